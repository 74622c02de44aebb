"""Calls kernels on the simulated chip, one function at a time, as a C caller would."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enginekit import toolchain
from enginekit.sim import Chip

ROOT = Path(__file__).parent.parent
SRAM, STACK_TOP, FLASH_AT, FLASH_END = 0x2800, 0x3FFF, 0x4000, 0x10000
CALL_SAVED = (*range(2, 18), 28, 29)
#: Registers of successive arguments of at most two bytes. One of four bytes takes two, its upper half first.
ARGUMENTS = (24, 22, 20, 18, 16, 14, 12, 10)


def build(out: Path, sources: list[Path], optimize: str = "-O2", *, roots: tuple[str, ...] = ()) -> Path:
    """Link kernels, all of them or what `roots` need, with a main that stops; returns the ELF file."""
    elf, flags = out / "kernels.elf", ["-std=c11", "-ffunction-sections", f"-I{ROOT / 'csrc/include'}", optimize]
    flags += ["-fdata-sections", "-Wl,--gc-sections", *(f"-Wl,--undefined={root}" for root in roots)] if roots else []
    main = out / "main.c"
    main.write_text('int main(void) { for (;;) { __asm__ volatile("break"); } }\n')
    found = toolchain.find()
    device = ["-mmcu=atmega4809"] if found.device == "atmega4809" else ["-mmcu=avrxmega3", "-nostartfiles"]
    startup = (
        []
        if found.device == "atmega4809"
        else [
            ROOT / "firmware/startup.S",
            "-Wl,--defsym=__RODATA_PM_OFFSET__=0x4000,--defsym=__DATA_REGION_ORIGIN__=0x802800",
            "-Wl,--defsym=__DATA_REGION_LENGTH__=0x1800,--defsym=__TEXT_REGION_LENGTH__=0xC000",
        ]
    )
    command = [str(found.gcc), *device, *flags, main, *sources, *startup, "-o", elf]
    subprocess.run([str(part) for part in command], check=True)
    return elf


@dataclass(frozen=True)
class Call:
    """What a call did: result register pair, cycles from the first instruction to the return, bytes of stack."""

    result: int
    cycles: int
    stack: int


class Bench:
    """A chip with kernels in flash, and what lies in memory for one call."""

    def __init__(self, elf: Path) -> None:
        self.chip = Chip.from_elf(elf, sram_fill=0xA5)
        self.chip.run(until="main")
        self.base = -(-self.chip.flash_used // 2) * 2 + FLASH_AT
        self.clear()

    def clear(self) -> None:
        """Forget what was placed."""
        self._flash, self._ram = self.base, SRAM

    def flash(self, data: bytes | NDArray) -> int:
        """Place constants behind the program; returns their address in data space."""
        raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        at, self._flash = self._flash, self._flash + len(raw)
        if self._flash > FLASH_END - 2:
            raise ValueError(f"{self._flash - FLASH_END} bytes too many for flash")
        self.chip.write(at, raw)
        return at

    def ram(self, data: bytes | NDArray | int) -> int:
        """Place data in SRAM, or reserve so many bytes filled with 0xA5; returns the address. Canaries lie between."""
        raw = (
            b"\xa5" * data
            if isinstance(data, int)
            else data
            if isinstance(data, bytes)
            else np.ascontiguousarray(data).tobytes()
        )
        at, self._ram = self._ram, self._ram + len(raw) + 8
        self.chip.write(at, raw + b"\x5a" * 8)
        return at

    def call(self, function: str, *arguments: int) -> Call:
        """Call with arguments of at most 16 bits; checks what the ABI promises to the caller."""
        chip = self.chip
        saved = {n: (n * 37 + 11) & 0xFF for n in CALL_SAVED}
        for n in range(32):
            chip.set_register(n, saved.get(n, 0xEE))
        for value, register in zip(arguments, ARGUMENTS, strict=False):
            for n, part in ((register, value & 0xFF), (register + 1, (value >> 8) & 0xFF)):
                chip.set_register(n, part)
                if n in saved:
                    saved[n] = part
        chip.set_register(1, 0)
        stop, _ = chip.symbol("main")
        chip.sp = STACK_TOP - 2
        chip.write(STACK_TOP - 1, bytes([stop >> 9, (stop >> 1) & 0xFF]))
        chip.sreg = 0x80
        chip.clear_stack_peak()
        chip.pc = chip.symbol(function)[0]
        before = chip.cycles
        reason = chip.run(20_000_000, until=stop).reason
        assert reason == "until", f"{function}: stopped by {reason}"
        used = STACK_TOP - chip.sp
        assert used == 0, f"{function}: returns with the stack off by {used}"
        assert chip.register(1) == 0, f"{function}: r1 is {chip.register(1)} on return; expected 0"
        assert chip.sreg & 0x80, f"{function}: interrupts are off on return"
        for n, value in saved.items():
            assert chip.register(n) == value, f"{function}: r{n} is {chip.register(n)} on return; it was {value}"
        result = chip.register(24) | chip.register(25) << 8
        return Call(result, chip.cycles - before, chip.stack_peak)

    def read(self, address: int, n: int) -> bytes:
        """Read `n` bytes of SRAM, and check the canary behind them."""
        raw = self.chip.read(address, n + 8)
        assert raw[n:] == b"\x5a" * 8, f"bytes behind 0x{address + n:04X} were overwritten"
        return raw[:n]


def s24(raw: bytes) -> NDArray[np.int32]:
    """Decode little-endian 24-bit numbers."""
    parts = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 2] << 24) | (parts[:, 1] << 16) | (parts[:, 0] << 8)) >> 8


def word(value: int) -> bytes:
    """Two bytes, little endian."""
    return int(value).to_bytes(2, "little")
