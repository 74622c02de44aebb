"""The training kernels as C: warnings on both compilers, headers that stand alone, symbols that inference does not need."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INCLUDE = ROOT / "csrc/include"
HEADERS = ["train_f32.h", "random.h", "math_f32.h"]
SOURCES = sorted((ROOT / "csrc/src").glob("*.c"))
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wcast-qual",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wdouble-promotion",
    "-Wundef",
    "-Werror",
]

#: What the core may need from outside, beside libgcc's helpers.
ALLOWED = {"memcpy", "memset", "memmove", "sqrtf"}


def declared(header):
    """Functions that a header declares."""
    return set(re.findall(r"\b(eng_\w+)\(", (INCLUDE / "eng" / header).read_text()))


TRAINING = set().union(*map(declared, HEADERS))
TRAINING_SOURCES = [
    source for source in SOURCES if TRAINING & set(re.findall(r"^[\w *]*\b(eng_\w+)\(", source.read_text(), re.M))
]


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr}"
    return done.stdout


def symbols(path):
    """Defined and undefined global symbols of an object file."""
    lines = [line.split() for line in run("nm", "-g", "-P", path).splitlines()]
    return {line[0] for line in lines if line[1] != "U"}, {line[0] for line in lines if line[1] == "U"}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Defined and undefined symbols of every file of the core."""
    folder = tmp_path_factory.mktemp("objects")
    flags = ["-std=c11", "-O3", "-ffp-contract=off", f"-I{INCLUDE}"]
    for source in SOURCES:
        run("gcc", *flags, *WARNINGS, "-c", source, "-o", folder / f"{source.stem}.o")
    return {source.stem: symbols(folder / f"{source.stem}.o") for source in SOURCES}


def test_all_that_the_headers_declare_is_defined(objects):
    defined = set().union(*(defined for defined, _ in objects.values()))
    assert defined >= TRAINING
    assert len(TRAINING) > 30


def test_inference_needs_nothing_of_training(objects):
    for name, (defined, undefined) in objects.items():
        if not defined & TRAINING:
            assert not undefined & TRAINING, f"{name}.c needs {sorted(undefined & TRAINING)}"


def test_training_needs_only_listed_symbols(objects):
    for source in TRAINING_SOURCES:
        foreign = {name for name in objects[source.stem][1] if not name.startswith(("eng_", "__", "_GLOBAL_"))}
        assert foreign <= ALLOWED, f"{source.name} needs {sorted(foreign - ALLOWED)}"


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("compiler", "language", "standard"), [("gcc", "c", "c11"), ("g++", "c++", "c++17")])
def test_headers_stand_alone(header, compiler, language, standard, tmp_path):
    source = tmp_path / "alone"
    source.write_text(f'#include "eng/{header}"\n')
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{INCLUDE}"]
    run(compiler, *flags, "-x", language, "-c", source, "-o", tmp_path / "alone.o")


@pytest.mark.parametrize("source", TRAINING_SOURCES, ids=lambda path: path.name)
def test_compiles_for_the_chip(source, tmp_path):
    assert shutil.which("avr-gcc"), "avr-gcc is missing; install it: apt-get install gcc-avr avr-libc"
    target = tmp_path / "object.o"
    run("avr-gcc", "-mmcu=avrxmega3", "-std=c11", "-O2", *WARNINGS, f"-I{INCLUDE}", "-c", source, "-o", target)
    sections = run("avr-size", "-A", target)
    for section in (".data", ".bss"):
        match = re.search(rf"^\{section}\s+(\d+)", sections, re.M)
        assert match is None or match[1] == "0", f"{source.name} has mutable globals: {sections}"
