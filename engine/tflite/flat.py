"""Reading flatbuffer tables with every access checked against the file.

A flatbuffer is a graph of offsets into one run of bytes. Nothing in a file is trusted: each table, field, vector and
string is checked to lie inside the file before it is touched. Parts may overlap or be referred to many times, so what is
read in all has a limit too: time and memory are proportional to the file's size.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError


def _at(data: bytes, layout: struct.Struct, position: int, what: str) -> int:
    if position < 0 or position + layout.size > len(data):
        raise FormatError(
            f"{what}: byte {position} lies outside the file of {len(data)} bytes; the file is truncated or garbled"
        )
    value: int = layout.unpack_from(data, position)[0]
    return value


#: Bytes that may be read and kept in all, for each byte of a file and on top. Sound files take less than two a byte.
READS_PER_BYTE, READS_FREE = 64, 1 << 20


class Budget:
    """What may still be read of a file; contents of constants, which are never copied, do not count."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = READS_PER_BYTE * size + READS_FREE

    def take(self, count: int, what: str) -> None:
        """Count `count` bytes of `what`."""
        self._left -= count
        if self._left < 0:
            raise FormatError(f"{what}: the file's parts refer to one another too often; it is garbled")


_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_SCALARS = {code: struct.Struct("<" + code) for code in "?bBhHiIqQf"}


class Table:
    """A table inside a flatbuffer.

    Parameters
    ----------
    data : bytes
        The whole file.
    position : int
        Where the table begins.
    what : str
        Name for messages, such as ``"subgraphs[0].tensors[3]"``.
    budget : Budget
        One for the whole file.

    Raises
    ------
    FormatError
        If the table or its vtable does not lie inside the file.
    """

    __slots__ = ("_data", "_position", "_size", "_vtable", "_vtable_size", "budget", "what")

    def __init__(self, data: bytes, position: int, what: str, budget: Budget) -> None:
        self._data = data
        self.budget = budget
        self._position = position
        self.what = what
        self._vtable = position - _at(data, _I32, position, what)
        self._vtable_size = _at(data, _U16, self._vtable, what)
        self._size = _at(data, _U16, self._vtable + 2, what)
        inside = self._vtable + self._vtable_size <= len(data) and position + self._size <= len(data)
        if self._vtable_size < 4 or self._vtable_size % 2 or self._size < 4 or not inside:
            raise FormatError(f"{what}: its table of fields is garbled")

    def _field(self, slot: int, size: int) -> int:
        """Position of a field's value, or 0 if the field is absent."""
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_size:
            return 0
        offset = _at(self._data, _U16, self._vtable + entry, self.what)
        if offset == 0:
            return 0
        if offset < 4 or offset + size > self._size:
            raise FormatError(f"{self.what}: field {slot} lies outside its table")
        return self._position + offset

    def _target(self, slot: int, what: str) -> int:
        """Position that an offset field points to, or 0 if the field is absent."""
        field = self._field(slot, 4)
        if field == 0:
            return 0
        offset = _at(self._data, _U32, field, what)
        if offset < 4:
            raise FormatError(f"{what}: an offset of {offset} is garbled")
        return field + offset

    def _vector(self, slot: int, size: int, what: str) -> tuple[int, int]:
        """Position of the first element and number of elements of a vector; (0, 0) if absent."""
        start = self._target(slot, what)
        if start == 0:
            return 0, 0
        count = _at(self._data, _U32, start, what)
        if start + 4 + count * size > len(self._data):
            raise FormatError(f"{what}: {count} elements of {size} bytes do not fit in the file; it is truncated or garbled")
        return start + 4, count

    def number(self, slot: int, code: str, default: Any) -> Any:
        """Scalar field; `code` is a format character of :mod:`struct`."""
        layout = _SCALARS[code]
        field = self._field(slot, layout.size)
        return default if field == 0 else layout.unpack_from(self._data, field)[0]

    def table(self, slot: int, name: str) -> Table | None:
        """Table that a field points to, or None."""
        what = f"{self.what}.{name}"
        position = self._target(slot, what)
        return Table(self._data, position, what, self.budget) if position else None

    def tables(self, slot: int, name: str) -> list[Table]:
        """Vector of tables."""
        what = f"{self.what}.{name}" if self.what else name
        start, count = self._vector(slot, 4, what)
        self.budget.take(4 * count, what)
        offsets = struct.unpack_from(f"<{count}I", self._data, start)
        return [Table(self._data, start + 4 * i + offset, f"{what}[{i}]", self.budget) for i, offset in enumerate(offsets)]

    def array(self, slot: int, dtype: str, name: str) -> NDArray[Any]:
        """Vector of numbers as a read-only view; `dtype` with its byte order, such as ``"<i4"``. Empty if absent."""
        item = np.dtype(dtype)
        start, count = self._vector(slot, item.itemsize, f"{self.what}.{name}")
        self.budget.take(count * item.itemsize, f"{self.what}.{name}")
        return np.frombuffer(self._data, item, count, start) if count else np.empty(0, item)

    def contents(self, slot: int, name: str) -> memoryview:
        """Vector of bytes as a view, however often; empty if absent."""
        start, count = self._vector(slot, 1, f"{self.what}.{name}")
        return memoryview(self._data)[start : start + count]

    def string(self, slot: int, name: str) -> str:
        """UTF-8 string; empty if absent."""
        start, count = self._vector(slot, 1, f"{self.what}.{name}")
        self.budget.take(count, f"{self.what}.{name}")
        try:
            return self._data[start : start + count].decode("utf-8")
        except UnicodeDecodeError:
            raise FormatError(f"{self.what}.{name}: not UTF-8 text; the file is garbled") from None


def root(data: bytes, what: str) -> Table:
    """Root table of a flatbuffer."""
    return Table(data, _at(data, _U32, 0, what), what, Budget(len(data)))
