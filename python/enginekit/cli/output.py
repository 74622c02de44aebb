"""What verbs print: tables for people, JSON for programs, and the story on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def result(text: str) -> None:
    """Write `text` and a newline to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def story(text: str) -> None:
    """Write `text` and a newline to stderr."""
    sys.stderr.write(text + "\n")


def as_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Write plain data as indented JSON; NaN and infinity are refused, since JSON has none.

    >>> print(as_json({"flash": 3}))
    {
      "flash": 3
    }
    """
    return json.dumps(value, indent=2, allow_nan=False)


def as_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Align `rows` under `header`: numbers to the right, text to the left.

    >>> print(as_table(["layer", "bytes"], [["dense", 1024], ["softmax", 7]]))
    layer    bytes
    -------  -----
    dense     1024
    softmax      7
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    right = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]

    def line(texts: Sequence[str]) -> str:
        padded = (t.rjust(w) if r else t.ljust(w) for t, w, r in zip(texts, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["-" * w for w in widths]), *(line(row) for row in cells)])
