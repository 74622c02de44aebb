"""Assembly for AVR that the emitter writes into a model's C: its bytes, its cycles, and how it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from enginekit.c_text import c_string

#: Cycles of instructions that take more than one on AVRxt, with operands in SRAM.
CYCLES = {"ld": 2, "ldd": 2, "mul": 2, "pop": 2, "adiw": 2, "sbiw": 2, "ret": 4}
_LONG = ("call", "jmp", "lds", "sts")
_LINE = re.compile(r"(?:\S+:)?\s+([a-z]+)")


def instructions(text: str) -> list[str]:
    r"""Names of the instructions of a text, directives and labels left out.

    >>> instructions("f:\n    ldi r18, 1\n1:  ret\n    .type f, @function")
    ['ldi', 'ret']
    """
    found = [_LINE.match(line) for line in text.splitlines()]
    return [match[1] for match in found if match is not None]


def code_bytes(text: str) -> int:
    r"""Bytes of code.

    >>> code_bytes("    call f\n    ret")
    6
    """
    return sum(4 if name in _LONG else 2 for name in instructions(text))


def straight_cycles(lines: Iterable[str]) -> int:
    """Cycles of instructions without a jump among them.

    >>> straight_cycles(["ld r20, X+", "add r2, r20"])
    3
    """
    return sum(CYCLES.get(line.split()[0], 1) for line in lines)


def indented(lines: Iterable[str]) -> str:
    r"""Join instructions to a text.

    >>> indented(["nop", "ret"])
    '    nop\n    ret'
    """
    return "\n".join(f"    {line}" for line in lines)


def inline(text: str, most: int = 30_000) -> list[str]:
    r"""Write a text as statements of ``__asm__`` outside functions.

    Each has at most `most` bytes: later versions of avr-gcc than 5.4 take no string literal of over 32,767. The compiler keeps
    them in order; each but the first goes on in the section of the one before.

    >>> print("\n".join(inline("f:\n    ret")))
    __asm__(
        "f:\n"
        "    ret\n"
    );
    """
    written, size, section = ["__asm__("], 0, ""
    for line in text.splitlines():
        if size + len(line) + 1 > most:
            written += [");", "__asm__(", _literal(section)]
            size = len(section) + 1
        written.append(_literal(line))
        size += len(line) + 1
        section = line if line.lstrip().startswith(".section") else section
    return [*written, ");"]


def _literal(line: str) -> str:
    """Write a line of assembly as a string literal of C."""
    return f'    {c_string(line)[:-1]}\\n"'
