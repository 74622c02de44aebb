"""avr-gcc: finding it, building firmware around an emitted model, and reading what came out.

The rules of the build are in ``firmware/Makefile`` alone; this module calls it and checks its result. Sources come from
the repository this package lies in, or from the installed package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DoesNotFitError, EngineError
from enginekit.chips import ATMEGA4809, Chip

#: RAM that a build must leave for the stack, bytes; tests/firmware measures what is used.
STACK = 320
#: Where the ATmega4809 maps its flash into the data space, and where its RAM ends.
FLASH_MAP = 0x4000
RAM_END = 0x4000

PACKAGES = "gcc-avr binutils-avr avr-libc make"
INSTALL = f"On Debian and Ubuntu: apt-get install {PACKAGES}"
_PROGRAMS = ("avr-gcc", "avr-ar", "avr-size", "avr-objcopy", "make")
#: What firmware/Makefile would take from the environment, beside what an outer make says.
_MAKE_VARIABLES = (
    *("OPT", "OPT_HOT", "HOT", "F_CPU", "FLASH", "RAM", "STACK", "ROOTS", "AVR_CC", "AVR_FLASH", "AVR_RAM"),
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL"),
)
_PROBE = "int main(void) { return 0; }\n"
_DEVICE_FLAGS = {"atmega4809": ["-mmcu=atmega4809"], "avrxmega3": ["-mmcu=avrxmega3", "-nostartfiles"]}
_DEVICES = {"atmega4809": _DEVICE_FLAGS, "atmega328p": {"atmega328p": ["-mmcu=atmega328p"]}}


class ToolchainError(EngineError):
    """avr-gcc or a companion is missing, broken, or refused what it was given."""


@dataclass(frozen=True)
class Toolchain:
    """A working avr-gcc.

    Parameters
    ----------
    gcc : Path
        The compiler.
    version : str
        What it says of itself.
    device : str
        The chip's name if it knows it; for an ATmega4809 that it does not know ``"avrxmega3"``: then ``firmware/startup.S``
        stands in.
    """

    gcc: Path
    version: str
    device: str


@dataclass(frozen=True)
class Section:
    """A section of an ELF file: where the program sees it, where it is stored, and its size in bytes."""

    address: int
    load_address: int
    size: int


@dataclass(frozen=True)
class Symbol:
    """A symbol of an ELF file; `source` is the C file of a local one, else empty."""

    name: str
    address: int
    size: int
    kind: str
    section: str
    source: str


@dataclass(frozen=True)
class FirmwareImage:
    """A firmware that was built and checked.

    Parameters
    ----------
    elf, hex : Path
        The files.
    flash : int
        Bytes of flash, all included.
    ram : int
        Bytes of static RAM, the arena included, the stack not.
    model_data : int
        Of `flash`, the constant data of the model: weights, biases, parameters, golden pairs.
    sections : dict of str to Section
        Those that take flash or RAM.
    symbols : tuple of Symbol
        All symbols with a size.
    """

    elf: Path
    hex: Path
    flash: int
    ram: int
    model_data: int
    sections: dict[str, Section]
    symbols: tuple[Symbol, ...]

    @property
    def code(self) -> int:
        """Bytes of flash without the model's data."""
        return self.flash - self.model_data


def find(chip: Chip = ATMEGA4809) -> Toolchain:
    """Find avr-gcc on the PATH and try it.

    Parameters
    ----------
    chip : Chip
        What it must link for.

    Returns
    -------
    Toolchain

    Raises
    ------
    ToolchainError
        If a program is missing or the compiler can build for neither the chip nor its family.
    """
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ToolchainError(f"{', '.join(missing)}: not found on the PATH. {INSTALL}")
    gcc = shutil.which("avr-gcc") or "avr-gcc"
    complaint = ""
    for device, flags in _DEVICES[chip.mcu].items():
        done = _call([gcc, *flags, "-x", "c", "-", "-o", os.devnull], stdin=_PROBE)
        if done.returncode == 0:
            version = _call([gcc, "--version"]).stdout.partition("\n")[0]
            return Toolchain(Path(gcc), version, device)
        complaint = done.stderr.strip()
    raise ToolchainError(f"{gcc} cannot build for the {chip.name}: {complaint}\n{INSTALL}")


def sources() -> Path:
    """Return the folder that holds ``csrc`` and ``firmware``.

    Raises
    ------
    ToolchainError
        If neither a repository nor an installed package holds them.
    """
    package = Path(__file__).resolve().parent
    for folder in (package.parents[1], package / "sources"):
        if (folder / "firmware" / "Makefile").is_file() and (folder / "csrc" / "include").is_dir():
            return folder
    raise ToolchainError(
        f"the firmware's sources are neither in {package.parents[1]} nor in {package / 'sources'}: reinstall engine"
    )


def build_firmware(
    files: Mapping[str, str],
    out_dir: str | Path,
    *,
    chip: Chip = ATMEGA4809,
    usart: int | None = None,
    usart_alternative: bool = False,
    baud: int = 115200,
    clock_hz: int | None = None,
    optimize: str | None = None,
    flash: int | None = None,
    ram: int | None = None,
    stack: int = STACK,
    roots: Sequence[str] = (),
) -> FirmwareImage:
    """Build the firmware around an emitted model.

    Parameters
    ----------
    files : mapping of str to str
        ``model.c`` and ``model.h``, as :func:`enginekit.emit.emit` returns them.
    out_dir : path
        Folder for sources, objects, ``firmware.elf``, ``.hex`` and ``.map``; made if missing, reused if not.
    chip : Chip
        What to build for.
    usart : int, optional
        Serial port of the chip; the one that its boards connect to USB if not given.
    usart_alternative : bool
        Whether it comes out at its alternative pins.
    baud : int
        Bits a second.
    clock_hz : int, optional
        Oscillator in Hz; read from the chip's fuses if not given.
    optimize : str, optional
        Optimization of every file, such as ``"-O2"``; the Makefile's choice file by file if not given.
    flash, ram, stack : int, optional
        Budgets in bytes: flash and RAM, by default the chip's, and what must be left of it for the stack.
    roots : sequence of str
        Functions of the core to link although nothing calls them.

    Returns
    -------
    FirmwareImage

    Raises
    ------
    ToolchainError
        If the toolchain is missing or the sources do not compile; says what the compiler said.
    DoesNotFitError
        If flash or RAM do not suffice; says by how many bytes.
    ValueError
        If an argument is out of range.
    """
    if not {"model.c", "model.h"} <= files.keys():
        raise ValueError(f"build_firmware: files has {sorted(files)}; expected model.c and model.h")
    usart = chip.link_usart if usart is None else usart
    if usart not in range(chip.usarts):
        raise ValueError(f"build_firmware: usart is {usart}; the {chip.name} has {', '.join(map(str, range(chip.usarts)))}")
    if usart_alternative and not chip.mapped_flash:
        raise ValueError(f"build_firmware: usart_alternative; the {chip.name}'s serial port has one place")
    flash, ram = chip.usable_flash if flash is None else flash, chip.ram if ram is None else ram
    find(chip)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        _write_if_new(out / name, text)
    options: dict[str, object] = {"BUILD": ".", "MODEL": ".", "MCU": chip.mcu, "USART": usart, "BAUD": baud}
    options["USART_ALT"] = int(usart_alternative)
    if clock_hz is not None:
        options["F_CPU"] = clock_hz
    if optimize is not None:
        options |= {"OPT": optimize, "OPT_HOT": optimize}
    if roots:
        options["ROOTS"] = " ".join(roots)
        (out / "firmware.elf").unlink(missing_ok=True)  # make does not see that the roots have changed
    _make(out, options, chip, flash, ram - stack)
    image = read_image(out / "firmware.elf")
    _check_budget(image, flash, ram, stack)
    return image


def read_image(elf: str | Path) -> FirmwareImage:
    """Read sizes, sections and symbols of a firmware, and check that its constants are where the chip maps them.

    Parameters
    ----------
    elf : path
        A linked ELF file; the ``.hex`` is taken to lie beside it.

    Returns
    -------
    FirmwareImage

    Raises
    ------
    ToolchainError
        If ``.rodata`` is linked for another map than the ATmega4809's, or pyelftools is missing.
    """
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise ToolchainError("reading a firmware needs pyelftools: pip install 'engine[device]'") from error
    path = Path(elf)
    with path.open("rb") as file:
        parsed = ELFFile(file)
        sections = dict(_sections(parsed))
        symbols = tuple(_symbols(parsed))
    rodata = sections.get(".rodata")
    if rodata is not None and rodata.address - rodata.load_address != FLASH_MAP:
        raise ToolchainError(
            f"{path}: .rodata is stored at {rodata.load_address:#06x} and would be read at {rodata.address:#06x}, but the "
            f"ATmega4809 maps flash at {FLASH_MAP:#06x}; link with the flags of firmware/toolchain.mk"
        )
    # By address: the compiler gives equal constants one place. Where flash is not mapped they are among code, or in RAM.
    places = (".rodata",) if rodata is not None else (".text", ".data")
    data = {s.address: s.size for s in symbols if s.source == "model.c" and s.kind == "STT_OBJECT" and s.section in places}
    size = {name: section.size for name, section in sections.items()}
    in_ram = [sections[name] for name in (".data", ".bss", ".noinit") if name in sections]
    return FirmwareImage(
        elf=path,
        hex=path.with_suffix(".hex"),
        flash=size.get(".text", 0) + size.get(".rodata", 0) + size.get(".data", 0),
        ram=max((s.address + s.size for s in in_ram), default=0) - min((s.address for s in in_ram), default=0),
        model_data=sum(data.values()),
        sections=sections,
        symbols=symbols,
    )


def _sections(parsed: Any) -> Iterator[tuple[str, Section]]:
    """Yield the allocated sections; addresses of RAM without avr-gcc's 0x800000."""
    segments = [segment for segment in parsed.iter_segments() if segment["p_type"] == "PT_LOAD"]
    for section in parsed.iter_sections():
        size = section["sh_size"]
        if not section["sh_flags"] & 2 or size == 0:
            continue
        address = section["sh_addr"]
        load = address
        for segment in segments:
            if segment.section_in_segment(section):
                load = address - segment["p_vaddr"] + segment["p_paddr"]
        yield section.name, Section(address & 0xFFFF, load & 0xFFFF if section["sh_type"] == "SHT_NOBITS" else load, size)


def _symbols(parsed: Any) -> Iterator[Symbol]:
    table = parsed.get_section_by_name(".symtab")
    source = ""
    for symbol in table.iter_symbols() if table is not None else ():
        kind = symbol["st_info"]["type"]
        index = symbol["st_shndx"]
        if kind == "STT_FILE":
            source = symbol.name
        elif symbol["st_size"] > 0 and isinstance(index, int):
            local = symbol["st_info"]["bind"] == "STB_LOCAL"
            section = parsed.get_section(index).name
            name = symbol.name
            yield Symbol(name, symbol["st_value"] & 0xFFFF, symbol["st_size"], kind, section, source if local else "")


def _write_if_new(path: Path, text: str) -> None:
    """Leave an equal file alone, so that make does not compile it again."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _make(out: Path, options: Mapping[str, object], chip: Chip, flash: int, ram: int) -> None:
    makefile = sources() / "firmware" / "Makefile"
    if re.search(r"\s", str(makefile)):
        raise ToolchainError(f"make cannot work with the space in {makefile}: move engine to a folder without one")
    command = ["make", "--no-print-directory", f"-j{os.cpu_count() or 1}", "-C", str(out), "-f", str(makefile)]
    done = _call([*command, *(f"{key}={value}" for key, value in options.items()), "firmware.hex"])
    if done.returncode != 0:
        _raise_if_it_overflowed(done.stderr, chip, flash, ram)
        raise ToolchainError(f"building the firmware in {out} failed:\n{_story(done.stderr or done.stdout)}")


def _raise_if_it_overflowed(said: str, chip: Chip, flash: int, ram: int) -> None:
    """Where the toolchain brings the memory map, its linker refuses first, by the size of the chip."""
    over = {region: int(count) for region, count in re.findall(r"region `(\w+)' overflowed by (\d+) bytes", said)}
    ends = re.findall(r"address 0x80([0-9a-f]{4}) of .* is not within region `data'", said)
    lacks = []
    if "text" in over:
        lacks.append(f"flash: {over['text'] + chip.flash - flash} B too many for {flash} B")
    if "data" in over or ends:
        beyond = over.get("data") or max(int(end, 16) for end in ends) - RAM_END
        lacks.append(f"RAM: {beyond + chip.ram - ram} B too many for {ram} B without the stack's")
    if lacks:
        raise DoesNotFitError(f"the firmware does not fit the chip: {'; '.join(lacks)}")


def _check_budget(image: FirmwareImage, flash: int, ram: int, stack: int) -> None:
    lacks = []
    if image.flash > flash:
        model = f", of them {image.model_data} B the model's data"
        lacks.append(f"flash: {image.flash} of {flash} B{model}, {image.flash - flash} B too many")
    if image.ram + stack > ram:
        lacks.append(f"RAM: {image.ram} B and {stack} B for the stack of {ram} B, {image.ram + stack - ram} B too many")
    if lacks:
        image.hex.unlink(missing_ok=True)
        image.elf.unlink()
        raise DoesNotFitError(f"the firmware does not fit the chip: {'; '.join(lacks)}")


def _story(said: str) -> str:
    """Errors first; the rest of what a compiler says rarely helps."""
    lines = said.strip().splitlines()
    errors = [line for line in lines if "error" in line.lower() or "undefined reference" in line]
    return "\n".join((errors or lines)[:12])


def _call(command: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _MAKE_VARIABLES} | {"LC_ALL": "C"}
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, encoding="utf-8", errors="replace", env=environment, check=False
        )
    except OSError as error:
        raise ToolchainError(f"{command[0]}: {error.strerror}. {INSTALL}") from error
