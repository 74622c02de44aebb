"""Compiling and assembling small programs for the simulated chip."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[3]
TOOLCHAIN = ROOT / "firmware" / "toolchain.mk"

Build = Callable[..., Path]
Assemble = Callable[[Sequence[str]], list[list[int]]]


@pytest.fixture(scope="session")
def avr_flags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Compiler, device and link flags as firmware/toolchain.mk finds them."""
    makefile = tmp_path_factory.mktemp("toolchain") / "Makefile"
    names = ("AVR_CC", "AVR_DEVICE", "AVR_STARTUP", "AVR_LDFLAGS")
    lines = "\n".join(f"\t@echo {name}=$({name})" for name in names)
    makefile.write_text(f"include {TOOLCHAIN}\nall:\n{lines}\n")
    output = subprocess.run(["make", "-s", "-f", makefile], check=True, capture_output=True, text=True).stdout
    return {name: shlex.split(value) for name, _, value in (line.partition("=") for line in output.splitlines())}


@pytest.fixture(scope="session")
def build(avr_flags: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compile and link a C program: ``build(source, *flags) -> path of the ELF file``."""
    folder = tmp_path_factory.mktemp("programs")

    def build_program(source: str, *flags: str) -> Path:
        number = len(list(folder.glob("*.c")))
        file, elf = folder / f"program{number}.c", folder / f"program{number}.elf"
        file.write_text(source)
        device = f"-mmcu={avr_flags['AVR_DEVICE'][0]}"
        command = [*avr_flags["AVR_CC"], device, "-O2", "-std=gnu11", "-Wall", "-ffunction-sections", *flags, str(file)]
        subprocess.run([*command, *avr_flags["AVR_STARTUP"], *avr_flags["AVR_LDFLAGS"], "-o", str(elf)], check=True)
        return elf

    return build_program


@pytest.fixture(scope="session")
def assemble(tmp_path_factory: pytest.TempPathFactory) -> Assemble:
    """Assemble lines one by one: ``assemble(lines) -> opcode words of each``."""
    folder = tmp_path_factory.mktemp("assembly")

    def assemble_lines(lines: Sequence[str]) -> list[list[int]]:
        source, output = folder / "lines.s", folder / "lines.o"
        source.write_text("".join(f"line{i}:\n    {line}\n" for i, line in enumerate(lines)) + f"line{len(lines)}:\n")
        subprocess.run(["avr-as", "-mmcu=avrxmega3", "-mno-skip-bug", "-o", output, source], check=True)
        linked = folder / "lines.elf"
        subprocess.run(["avr-ld", "-m", "avrxmega3", "-Ttext=0", "-e0", "-o", linked, output], check=True)
        with linked.open("rb") as stream:
            elf = ELFFile(stream)
            text = elf.get_section_by_name(".text").data()
            at = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        words = [int.from_bytes(text[i : i + 2], "little") for i in range(0, len(text), 2)]
        return [words[at[f"line{i}"] // 2 : at[f"line{i + 1}"] // 2] for i in range(len(lines))]

    return assemble_lines
