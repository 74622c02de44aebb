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


def inline(text: str) -> list[str]:
    r"""Write a text as an ``__asm__`` outside functions.

    >>> print("\n".join(inline("f:\n    ret")))
    __asm__(
        "f:\n"
        "    ret\n"
    );
    """
    return ["__asm__(", *(f'    {c_string(line)[:-1]}\\n"' for line in text.splitlines()), ");"]
