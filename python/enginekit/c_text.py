"""Names, strings, comments and arrays in C, each made in one place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from engine.errors import EngineError

#: Columns of emitted array lines.
WIDTH = 120

#: Keywords of C and C++, and main, each between spaces.
_KEYWORDS = (
    " auto break case char const continue default do double else enum extern float for goto if inline int long register"
    " restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"
    " alignas alignof and and_eq asm bitand bitor bool catch class compl concept const_cast consteval constexpr constinit"
    " decltype delete dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr operator"
    " or or_eq private protected public reinterpret_cast requires static_assert static_cast template this thread_local throw"
    " true try typeid typename using virtual wchar_t xor xor_eq main "
)


class NameRefusedError(EngineError):
    """A name that cannot be the prefix of emitted identifiers."""


def check_identifier(name: str) -> str:
    """Return `name` if it can be the prefix of emitted C identifiers.

    Raises
    ------
    NameRefusedError
        If it is not a letter and up to 30 letters, digits and underscores, is a keyword of C or C++, or is the core's (``eng``
        or ``eng_...``).

    Examples
    --------
    >>> check_identifier("digits_2")
    'digits_2'
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name):
        raise NameRefusedError(f"name {name!r}: expected a C identifier of 1 to 31 letters, digits and _, first a letter")
    if f" {name} " in _KEYWORDS:
        raise NameRefusedError(f"name {name!r} is a keyword of C or C++; choose another")
    if name.lower() == "eng" or name.lower().startswith("eng_"):
        raise NameRefusedError(f"name {name!r}: names with eng belong to the core; choose another")
    return name


def c_string(text: str) -> str:
    r"""Write printable ASCII as a C string literal; everything else becomes ``?``.

    >>> print(c_string('5" ü'))
    "5\" ?"
    """
    plain = printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?")
    return f'"{plain}"'


def printable(text: str) -> str:
    r"""Replace what is not printable ASCII by ``?``.

    >>> printable("a\nb")
    'a?b'
    """
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def comment(text: str) -> str:
    r"""Make text safe inside a C comment.

    >>> comment("a*/b\\")
    'a*?/b?'
    """
    return printable(text).replace("*/", "*?/").replace("/*", "/?*").replace("\\", "?")


def array(declaration: str, items: Iterable[str]) -> str:
    """Write a definition: `declaration` without its length, items wrapped at `WIDTH` columns.

    >>> print(array("static const int8_t w", ["1", "-2"]))
    static const int8_t w[2] = {
        1, -2};
    """
    texts = list(items)
    lines = ",\n".join(_wrap(texts))
    return f"{declaration}[{len(texts)}] = {{\n{lines}}};"


def braces(items: Sequence[object]) -> str:
    """Write an initializer list on one line.

    >>> braces((28, 28, 1))
    '{28, 28, 1}'
    """
    return "{" + ", ".join(map(str, items)) + "}"


def wrapped(start: str, items: Sequence[str], end: str) -> str:
    """Write `items` after `start`, on further lines where one line is not enough.

    >>> wrapped("f(", ["a", "b"], ");")
    'f(a, b);'
    """
    line = f"{start}{', '.join(items)}{end}"
    return line if len(line) <= WIDTH else f"{start}\n" + ",\n".join(_wrap(items, indent=8)) + end


def _wrap(texts: Sequence[str], indent: int = 4) -> Iterator[str]:
    """Yield lines of comma-separated texts, without the comma at their end."""
    line: list[str] = []
    room = WIDTH - indent - 1
    for text in texts:
        if line and len(text) + 2 > room:
            yield " " * indent + ", ".join(line)
            line, room = [], WIDTH - indent - 1
        line.append(text)
        room -= len(text) + 2
    if line:
        yield " " * indent + ", ".join(line)
