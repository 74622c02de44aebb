"""C compilers for tests: the core's warnings as errors, on the host and for the chip."""

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WARNINGS = (
    *("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wcast-qual", "-Werror"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes", "-Wdouble-promotion", "-Wundef", "-Wno-unused-macros"),
)
INCLUDE = ("-I", str(ROOT / "csrc" / "include"))


def run(command, **options):
    """Run a compiler; its messages are the failure's text."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@functools.cache
def avr():
    """avr-gcc and the device that it knows: the chip itself, or its core."""
    probe = ["avr-gcc", "-mmcu=atmega4809", "-x", "c", "-c", "-", "-o", "/dev/null"]
    known = subprocess.run(probe, input="int x;", capture_output=True, text=True, check=False).returncode == 0
    return ("avr-gcc", f"-mmcu={'atmega4809' if known else 'avrxmega3'}", *WARNINGS, *INCLUDE)


def host():
    """The host's compiler, for position-independent code."""
    return ("cc", *WARNINGS, "-ffp-contract=off", "-O1", "-fPIC", *INCLUDE)
