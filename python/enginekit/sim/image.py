"""Reading avr-gcc's ELF files: what goes to flash and EEPROM, where functions lie, where the stack must stop.

Modelled on the addresses of avr-gcc's linker scripts: flash at 0, data space at 0x800000, EEPROM at 0x810000, fuses, lock
bits and signatures above (these are ignored). Initialized data is taken from its load address in flash.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DoesNotFitError, EngineError, FormatError


@dataclass(frozen=True)
class Layout:
    """Where a simulated chip has its memories.

    Parameters
    ----------
    name : str
        As its maker writes it.
    architecture : int
        What avr-gcc notes in ELF files for its family.
    flash_bytes, eeprom_bytes : int
        Sizes; 0 for an EEPROM that is not modelled.
    sram_start, sram_end : int
        First data address of SRAM, and the first behind it.
    flash_mapped : int or None
        Data address where flash can be read; None where only LPM reads it.
    oscillators : tuple of int
        Frequencies that it may have, Hz.
    """

    name: str
    architecture: int
    flash_bytes: int
    eeprom_bytes: int
    sram_start: int
    sram_end: int
    flash_mapped: int | None
    oscillators: tuple[int, ...]


ATMEGA4809 = Layout("ATmega4809", 103, 0xC000, 0x100, 0x2800, 0x4000, 0x4000, (20_000_000, 16_000_000))
ATMEGA328P = Layout("ATmega328P", 5, 0x8000, 0, 0x100, 0x900, None, (16_000_000, 20_000_000, 8_000_000))
LAYOUTS = (ATMEGA4809, ATMEGA328P)

_ARCHITECTURE = 0x7F  # of an ELF file's flags
_DATA_SPACE = 0x800000
_EEPROM_SPACE = 0x810000
_FUSE_SPACE = 0x820000
_EXECUTABLE = 0x4
_ALLOCATED = 0x2
#: Marks of the linker script that coincide with functions.
_NOT_FUNCTIONS = ("__trampolines_", "__ctors_", "__dtors_")


@dataclass(frozen=True)
class Symbol:
    """A name in the image.

    Attributes
    ----------
    name : str
    address : int
        In data space for variables (and for constants of the ATmega4809, 0x4000-0xFFFF), else in flash; bytes.
    size : int
        In bytes; 0 where assembly code does not state one.
    """

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Image:
    """A program for one of the chips.

    Attributes
    ----------
    flash : bytes
        From address 0.
    eeprom : bytes
        From the first EEPROM byte.
    start : int
        Byte address where execution starts and the vector table lies.
    symbols : dict of str to Symbol
    functions : tuple of Symbol
        In order of address, each with the size of the code up to the next one where the file does not state a size.
    stack_floor : int
        First address after static data: the lowest byte that the stack may use.
    layout : Layout
        The chip's.
    """

    flash: bytes
    eeprom: bytes
    start: int
    symbols: dict[str, Symbol]
    functions: tuple[Symbol, ...]
    stack_floor: int
    layout: Layout = ATMEGA4809


def read_elf(path: str | Path) -> Image:
    """Read an ELF file of avr-gcc.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Image

    Raises
    ------
    FormatError
        If the file is not an ELF file for AVR, or its constants lie where the chip does not see them.
    DoesNotFitError
        If flash, static data or EEPROM are larger than the chip's; says by how many bytes.
    """
    try:
        elffile = importlib.import_module("elftools.elf.elffile")
    except ImportError as error:
        raise EngineError("reading an ELF file needs pyelftools: pip install 'engine[device]'") from error
    with Path(path).open("rb") as stream:
        try:
            return _read(elffile.ELFFile(stream), str(path))
        except EngineError:
            raise
        except Exception as error:  # pyelftools lets errors of many kinds pass for files that are cut or garbled
            raise FormatError(f"{path}: not a readable ELF file ({error!r}); expected the .elf that avr-gcc links") from None


def _read(elf: Any, path: str) -> Image:
    if elf["e_machine"] != "EM_AVR":
        raise FormatError(f"{path}: made for {elf['e_machine']}; expected EM_AVR, as avr-gcc links")
    if elf["e_type"] != "ET_EXEC":
        raise FormatError(f"{path}: {elf['e_type']}, an object file or library; expected a linked program")
    chip = _layout(elf, path)
    flash, eeprom = _load(elf, path, chip)
    _check_constants(elf, path, chip)
    symbols, functions = _symbols(elf)
    start = elf["e_entry"]
    if start % 2 or start >= chip.flash_bytes:
        raise FormatError(f"{path}: starts at 0x{start:X}; expected an even address below 0x{chip.flash_bytes:X}")
    return Image(flash, eeprom, start, symbols, functions, _static_end(elf, path, chip), chip)


def _layout(elf: Any, path: str) -> Layout:
    family = elf["e_flags"] & _ARCHITECTURE
    for chip in LAYOUTS:
        if chip.architecture == family:
            return chip
    known = ", ".join(f"{chip.architecture} ({chip.name})" for chip in LAYOUTS)
    raise FormatError(f"{path}: compiled for AVR family {family}; expected one of {known}")


def read_hex(path: str | Path, chip: Layout = ATMEGA4809) -> Image:
    """Read an Intel HEX file: flash alone, without symbols.

    Parameters
    ----------
    path : str or Path
    chip : Layout
        The chip that it is for, which the file does not say.

    Returns
    -------
    Image

    Raises
    ------
    FormatError
        If a record is malformed or its checksum is wrong.
    DoesNotFitError
        If there is code beyond the end of flash; says by how many bytes.
    """
    flash = bytearray()
    base = 0
    for number, line in enumerate(Path(path).read_text(encoding="ascii", errors="replace").splitlines(), 1):
        record = _hex_record(line.strip(), f"{path}:{number}")
        kind, payload = record[3], record[4:-1]
        if kind == 1:
            break
        if kind in {2, 4}:
            base = int.from_bytes(payload, "big") << (4 if kind == 2 else 16)
        elif kind == 0:
            _place(flash, base + int.from_bytes(record[1:3], "big"), payload)
    _check_size(len(flash), chip.flash_bytes, "flash", str(path), chip)
    return Image(bytes(flash), b"", 0, {}, (), chip.sram_start, chip)


def _hex_record(line: str, place: str) -> bytes:
    try:
        record = bytes.fromhex(line[1:]) if line.startswith(":") else b""
    except ValueError:
        record = b""
    if len(record) < 5 or len(record) != record[0] + 5 or sum(record) & 0xFF:
        raise FormatError(f"{place}: not an Intel HEX record, or its checksum is wrong")
    return record


def _place(memory: bytearray, address: int, data: bytes) -> None:
    if len(memory) < address + len(data):
        memory.extend(b"\xff" * (address + len(data) - len(memory)))
    memory[address : address + len(data)] = data


def _load(elf: Any, path: str, chip: Layout) -> tuple[bytes, bytes]:
    flash, eeprom = bytearray(), bytearray()
    end = 0
    segments = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
    for segment in segments:
        load, data = segment["p_paddr"], segment.data()
        if len(data) != segment["p_filesz"]:
            raise FormatError(f"{path}: cut short; a segment of {segment['p_filesz']} bytes has {len(data)}")
        if load >= _FUSE_SPACE:
            continue
        if load >= _EEPROM_SPACE:
            _check_size(load - _EEPROM_SPACE + len(data), chip.eeprom_bytes, "EEPROM", path, chip)
            _place(eeprom, load - _EEPROM_SPACE, data)
        elif load < _DATA_SPACE:
            end = max(end, load + len(data))
            _check_size(end, chip.flash_bytes, "flash", path, chip)
            _place(flash, load, data)
    return bytes(flash), bytes(eeprom)


def _check_size(need: int, have: int, what: str, path: str, chip: Layout) -> None:
    if need > have:
        raise DoesNotFitError(f"{path}: {what} needs {need} bytes, {need - have} more than the {have} of the {chip.name}")


def _load_address(elf: Any, section: Any) -> int:
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment.section_in_segment(section):
            return int(segment["p_paddr"] + section["sh_addr"] - segment["p_vaddr"])
    return int(section["sh_addr"])


def _check_constants(elf: Any, path: str, chip: Layout) -> None:
    section = elf.get_section_by_name(".rodata")
    if section is None or section["sh_size"] == 0 or chip.flash_mapped is None:
        return
    seen = section["sh_addr"] & 0xFFFF
    mapped = _load_address(elf, section) + chip.flash_mapped
    if seen != mapped:
        raise FormatError(
            f"{path}: .rodata is linked for data address 0x{seen:04X} but the chip shows it at 0x{mapped:04X}; "
            f"link with -Wl,--defsym=__RODATA_PM_OFFSET__=0x{chip.flash_mapped:04X}"
        )


def _static_end(elf: Any, path: str, chip: Layout) -> int:
    end = chip.sram_start
    for section in elf.iter_sections():
        start = section["sh_addr"] - _DATA_SPACE
        in_flash = section["sh_type"] == "SHT_PROGBITS" and chip.flash_mapped is not None and start >= chip.flash_mapped
        if not section["sh_flags"] & _ALLOCATED or not 0 <= start < 0x10000 or in_flash or section["sh_size"] == 0:
            continue
        if start < chip.sram_start:
            raise FormatError(
                f"{path}: {section.name} is linked for data address 0x{start:04X}, below SRAM; "
                f"link with -Wl,--defsym=__DATA_REGION_ORIGIN__=0x{_DATA_SPACE + chip.sram_start:06X}"
            )
        end = max(end, start + section["sh_size"])
    _check_size(end - chip.sram_start, chip.sram_end - chip.sram_start, "static data", path, chip)
    return int(end)


def _symbols(elf: Any) -> tuple[dict[str, Symbol], tuple[Symbol, ...]]:
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return {}, ()
    code = {i for i, s in enumerate(elf.iter_sections()) if s["sh_flags"] & _EXECUTABLE}
    symbols: dict[str, Symbol] = {}
    starts: dict[int, tuple[int, Symbol]] = {}
    for entry in table.iter_symbols():
        value, kind, binding = entry["st_value"], entry["st_info"]["type"], entry["st_info"]["bind"]
        if not entry.name or entry["st_shndx"] == "SHN_UNDEF" or kind in {"STT_SECTION", "STT_FILE"}:
            continue
        symbol = Symbol(entry.name, value & 0xFFFF if value >= _DATA_SPACE else value, entry["st_size"])
        if entry.name not in symbols or binding != "STB_LOCAL":
            symbols[entry.name] = symbol
        is_function = kind == "STT_FUNC" or (kind == "STT_NOTYPE" and binding != "STB_LOCAL")
        if entry["st_shndx"] in code and is_function and not entry.name.startswith(_NOT_FUNCTIONS):
            rank = (kind == "STT_FUNC") * 2 + (symbol.size > 0)
            if value not in starts or rank > starts[value][0]:
                starts[value] = (rank, symbol)
    return symbols, _functions([s for _, s in starts.values()], elf)


def _functions(starts: list[Symbol], elf: Any) -> tuple[Symbol, ...]:
    """Give each function without a size the code up to the next one or to the end of its section."""
    ends = [s["sh_addr"] + s["sh_size"] for s in elf.iter_sections() if s["sh_flags"] & _EXECUTABLE]
    ordered = sorted(starts, key=lambda s: s.address)
    result = []
    for i, symbol in enumerate(ordered):
        section_end = min((e for e in ends if e > symbol.address), default=symbol.address)
        limit = min(section_end, ordered[i + 1].address if i + 1 < len(ordered) else section_end)
        size = symbol.size or limit - symbol.address
        if size > 0 and symbol.address % 2 == 0:
            result.append(Symbol(symbol.name, symbol.address, size))
    return tuple(result)
