"""A device without a chip: the firmware's link, compiled for the host, behind something like pyserial's Serial."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import trainers

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIRMWARE = ROOT / "firmware"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"]

Noise = Callable[[bytes], bytes]


def build_link(files: Mapping[str, str], out: Path) -> Path:
    """Compile link.c, frame.c and a model into a shared library for the host."""
    return _compile(files, out, "link.so", [], ["-O1", "-shared", "-fPIC", "-Wl,-Bsymbolic"])


def build_fuzzer(files: Mapping[str, str], out: Path) -> Path:
    """Compile the same into a program that feeds its input to the link, with sanitizers."""
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return _compile(files, out, "fuzz", [HERE / "fuzz.c"], ["-O1", "-g", *sanitizers])


def _compile(files: Mapping[str, str], out: Path, name: str, extra: list[Path], flags: list[str]) -> Path:
    for file, text in files.items():
        (out / file).write_text(text)
    trains = "MODEL_TRAINER" in files["model.h"]
    sources = [FIRMWARE / "link.c", HERE / "hardware.c", out / "model.c", *extra]
    sources += [FIRMWARE / "training.c", *trainers.core_objects()] if trains else [ROOT / "csrc/src/frame.c"]
    includes = [f"-I{folder}" for folder in (ROOT / "csrc/include", FIRMWARE, out)]
    subprocess.run(
        ["cc", "-std=c11", *flags, *WARNINGS, *includes, *map(str, sources), "-lm", "-o", str(out / name)], check=True
    )
    return out / name


class Board:
    """A serial port with the device behind it, instantly. `to_device` and `to_host` may damage what passes.

    Silence is what it is for the firmware: when the host reads and nothing is there, the device notices first.
    """

    def __init__(self, library: Path, *, to_device: Noise = bytes, to_host: Noise = bytes) -> None:
        self.timeout: float | None = 1.0
        self.to_device = to_device
        self.to_host = to_host
        self.written: list[bytes] = []
        self._link = ctypes.CDLL(str(library))
        #: The device's EEPROM, which outlives a reset.
        self.cells = (ctypes.c_uint8 * 256).in_dll(self._link, "cells")
        self.cells[:] = [0xFF] * 256
        self.reset()
        self._incoming = bytearray()

    def reset(self) -> None:
        """Start the device again."""
        self._link.link_init()

    def write(self, data: bytes) -> int:
        self.written.append(data)
        for byte in self.to_device(data):
            self._link.link_receive(ctypes.c_uint8(byte))
        self._collect()
        return len(data)

    def read(self, size: int = 1) -> bytes:
        if not self._incoming:
            self._link.link_silence()
            self._collect()
        data = bytes(self._incoming[:size])
        del self._incoming[:size]
        return data

    def reset_input_buffer(self) -> None:
        self._incoming.clear()

    def inject(self, data: bytes) -> None:
        """Put bytes before the host as if the device had sent them."""
        self._incoming += data

    def _collect(self) -> None:
        count = ctypes.c_uint32.in_dll(self._link, "sent_count")
        sent = (ctypes.c_uint8 * 65536).in_dll(self._link, "sent")
        self._incoming += self.to_host(bytes(sent[: count.value]))
        count.value = 0
