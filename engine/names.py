"""Names that hold in C."""

from __future__ import annotations

import re
from collections.abc import Iterable

_C_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
"""
_KEYWORDS = frozenset(_C_KEYWORDS.split())


def identifiers(names: Iterable[str]) -> list[str]:
    """Turn names into C identifiers, unique among themselves.

    Parameters
    ----------
    names : iterable of str
        Any text.

    Returns
    -------
    list of str
        ASCII letters, digits and underscores; a repeated name gets the first free number.

    Examples
    --------
    >>> identifiers(["conv 1", "conv 1", "2nd", "float", ""])
    ['conv_1', 'conv_1_2', 'n2nd', 'float_', 'n']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        if not base or base[0].isdigit():
            base = "n" + base
        if base in _KEYWORDS:
            base += "_"
        unique, number = base, 2
        while unique in taken:
            unique, number = f"{base}_{number}", number + 1
        taken.add(unique)
        result.append(unique)
    return result
