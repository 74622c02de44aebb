"""Runs test programs on the simulated chip and reads their ``check_result``: ``run_avr.py X.elf ...``."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from enginekit.sim import Chip

FINISHED = 0xC0DE
LAYOUT = "<HHIHHHhh"  # check.h
LIMIT = 2_000_000_000  # cycles


def run(elf: Path) -> bool:
    """Run one program and print its outcome."""
    chip = Chip.from_elf(elf)
    end = "exit" if "exit" in chip.image.symbols else None  # avr-libc's; firmware/startup.S stops the chip itself
    stop = chip.run(max_cycles=LIMIT, until=end)
    address, size = chip.symbol("check_result")
    raw = chip.read(address, size)
    finished, failures, checks, vector, line, index, got, want = struct.unpack(LAYOUT, raw)
    if stop.reason not in {"break", "until"} or finished != FINISHED:
        sys.stdout.write(f"{elf.stem}: did not finish: {stop}\n")
        return False
    sys.stdout.write(f"{elf.stem}: {checks} checks, {failures} failures, {chip.cycles / 1e6:.1f} M cycles\n")
    if failures:
        names = elf.with_name(elf.stem.replace("test_", "") + ".txt")
        name = names.read_text().splitlines()[vector] if names.exists() else f"vector {vector}"
        sys.stdout.write(f"  first: line {line}, {name}, index {index}: got {got}, want {want}\n")
    return failures == 0 and checks > 0


if __name__ == "__main__":
    results = [run(Path(name)) for name in sys.argv[1:]]
    sys.exit(0 if results and all(results) else 1)
