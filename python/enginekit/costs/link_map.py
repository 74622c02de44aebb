"""Reads from a linker's map what of each object was kept in flash."""

from __future__ import annotations

import re
from pathlib import Path

_OUTPUT = re.compile(r"^(\.\w+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+")
_PIECE = re.compile(r"^ (\.\S+|COMMON)?\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S.*)$")
_NAME = re.compile(r"^ (\.\S+)$")
#: Output sections that take flash.
FLASH_SECTIONS = (".text", ".rodata", ".data")


def kept(path: str | Path) -> dict[str, int]:
    """List what takes flash.

    Parameters
    ----------
    path : str or Path
        The map of a link with ``-Map``.

    Returns
    -------
    dict of str to int
        ``"dense_s8.o .text.eng_dense_s8"``, object and section, -> bytes. Filling between pieces is not included.
    """
    _, _, text = Path(path).read_text().partition("\nLinker script and memory map\n")
    found: dict[str, int] = {}
    inside, name = False, ""
    for line in text.splitlines():
        output = _OUTPUT.match(line)
        if output or (line and not line.startswith(" ")):
            inside = bool(output) and line.split()[0] in FLASH_SECTIONS
        alone, piece = _NAME.match(line), _PIECE.match(line)
        if alone:
            name = alone[1]
        elif piece and inside:
            section, size, source = piece[1] or name, int(piece[2], 16), piece[3]
            if size and not source.startswith(("0x", "load address")):
                key = f"{_object(source)} {section}"
                found[key] = found.get(key, 0) + size
    return found


def _object(source: str) -> str:
    """Name an object or a member of an archive, without folders; what the compiler made on the way is the startup."""
    member = re.search(r"\(([^)]+)\)$", source)
    name = member[1] if member else Path(source).name
    return "startup" if re.fullmatch(r"cc\w{6}\.o|crt\w+\.o", name) else name
