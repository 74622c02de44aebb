"""A device without a chip: the firmware's link, compiled for the host, behind something like pyserial's Serial."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"]

Noise = Callable[[bytes], bytes]


def build_link(files: Mapping[str, str], out: Path) -> Path:
    """Compile link.c, frame.c and a model into a shared library for the host."""
    for name, text in files.items():
        (out / name).write_text(text)
    library = out / "link.so"
    sources = [FIRMWARE / "link.c", ROOT / "csrc/src/frame.c", Path(__file__).with_name("hardware.c"), out / "model.c"]
    includes = [f"-I{folder}" for folder in (ROOT / "csrc/include", FIRMWARE, out)]
    flags = ["-std=c11", "-O1", "-g", "-shared", "-fPIC", "-Wl,-Bsymbolic"]
    subprocess.run(["cc", *flags, *WARNINGS, *includes, *map(str, sources), "-o", str(library)], check=True)
    return library


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
        self._link.link_init()
        self._incoming = bytearray()

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
