"""Calls functions of a firmware on the simulated chip, with constants in free flash and data in free RAM."""

from __future__ import annotations

from pathlib import Path

from engine.errors import EngineError
from enginekit.costs.trials import Trial
from enginekit.records import packed, packed_arrays
from enginekit.sim import Chip
from enginekit.toolchain import FLASH_MAP, RAM_END

_FLASH_END, _STACK = 0x10000, 700


class Stage:
    """A chip that stands before the firmware's main loop, and room on it.

    Parameters
    ----------
    elf : path
        A firmware with what is to be called.
    """

    def __init__(self, elf: str | Path) -> None:
        self.chip = Chip.from_elf(elf)
        self.chip.run(until="link_init")
        self.clear()

    def clear(self) -> None:
        """Forget what was placed."""
        self._flash = FLASH_MAP + self.chip.flash_used
        self._ram = self.chip.image.stack_floor

    def flash(self, data: bytes) -> int:
        """Place constants; return their address in data space."""
        at, self._flash = self._flash, self._flash + len(data)
        if self._flash > _FLASH_END:
            raise EngineError(f"{self._flash - _FLASH_END} bytes of flash too many for a call on the stage")
        self.chip.write(at, data)
        return at

    def ram(self, data: bytes) -> int:
        """Place data; return its address."""
        at, self._ram = self._ram, self._ram + len(data)
        if self._ram > RAM_END - _STACK:
            raise EngineError(f"{self._ram - RAM_END + _STACK} bytes of RAM too many for a call on the stage")
        self.chip.write(at, data)
        return at

    def call(self, function: str, *arguments: int) -> int:
        """Cycles of a call with arguments of 16 bits."""
        return self.chip.call(function, *arguments, max_cycles=50_000_000).cycles

    def run(self, trial: Trial) -> tuple[int, bytes]:
        """Run a kernel; return its cycles and what it wrote."""
        self.clear()
        step = trial.step
        pointers = {name: self.flash(data) for name, data in packed_arrays(step.params)}
        arguments = [self.flash(packed(step.params, pointers)), self.ram(trial.x.tobytes())]
        if trial.x2 is not None:
            arguments.append(self.ram(trial.x2.tobytes()))
        arguments += [self.flash(array.tobytes()) for array in (step.w, step.bias) if array is not None]
        y = self.ram(bytes(step.y_size))
        return self.call(f"eng_{step.kernel}", *arguments, y), self.chip.read(y, step.y_size)


def words(number: int) -> tuple[int, int]:
    """Give the two halves of a 32-bit argument, in the order of registers."""
    return number >> 16 & 0xFFFF, number & 0xFFFF
