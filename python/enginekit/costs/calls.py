"""Estimates the code that the lines of ``model_run`` become."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Entry and return of model_run with the registers that it saves: bytes of code; of stack, beside the return address.
FRAME_CODE, FRAME_STACK = 24, 10
#: Their cycles: before the first call, behind the last, and beyond the returns by which steps are told apart. With one call, to
#: which the compiler jumps, there is nothing to save.
ENTRY_CYCLES, EXIT_CYCLES, FRAME_CYCLES = 10, 10, 7
#: Cycles of CALL.
_CALL_CYCLES = 3
_CALL = re.compile(r"eng_\w+\(([^;]*)\)\s*(?:;|!=)")
_CAST = re.compile(r"\([a-z0-9_ ]+\*\)")
_ARENA = re.compile(r"arena \+ (\d+)u")


def call_bytes(lines: Sequence[str]) -> int:
    """Estimate bytes of code.

    Parameters
    ----------
    lines : sequence of str
        The calls of one step, as candidates emit them.

    Returns
    -------
    int
        Without entry and return of the function around: within a dozen bytes of avr-gcc at -Os.

    Examples
    --------
    >>> call_bytes(["    eng_f(&params, arena + 0u, arena + 300u);"])
    16
    """
    total = 0
    for line in lines:
        for call in _CALL.finditer(line.replace("\n", " ")):
            arguments = _CAST.sub("", call[1]).split(",")
            total += 4 + sum(_argument(argument.strip(" ()")) for argument in arguments)
        total += 6 if " if (" in line else 0
    return total


def call_cycles(lines: Sequence[str]) -> int:
    """Estimate cycles of the calls themselves, as far as the callees do not count them; of all branches, not of the longest.

    Examples
    --------
    >>> call_cycles(["    eng_f(&params, arena + 0u, arena + 300u);"])
    9
    """
    return call_bytes(lines) // 2 + call_count(lines) * (_CALL_CYCLES - 2)


def call_count(lines: Sequence[str]) -> int:
    """Count the calls in lines of C."""
    return sum(len(_CALL.findall(line.replace("\n", " "))) for line in lines)


def _argument(text: str) -> int:
    """Bytes that load a pair of registers: from the arena's address, or with a constant."""
    offset = _ARENA.match(text)
    if offset is None:
        return 4
    distance = int(offset[1])
    return 2 if distance == 0 else 4 if distance < 64 else 6
