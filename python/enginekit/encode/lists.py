"""Dense layers whose rows have few values, as lists of the inputs that each value weighs: ``eng_dense_lists_s24``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enginekit.encode.grid import Grid
from enginekit.encode.sparse import WORTH
from enginekit.encode.sums import DenseSums, SummedLayer
from enginekit.records import MAX_ARRAY

#: Most entries in one go, control byte of a list without any, what it exceeds where a list goes on, and inputs of a far step.
_ENTRIES, _BEGIN, _MORE, _FAR = 127, 1, 128, 256
#: Most rows of a record.
_MOST_ROWS = 255
#: Cycles: outside rows; of a row; where a list begins or goes on, product included; of an entry.
_CALL, _ROW, _BEGINS, _GOES_ON, _ENTRY = 35, 21, 23, 27, 10


@dataclass(frozen=True, eq=False)
class DenseLists(DenseSums):
    """What an ``eng_dense_lists`` points to.

    Parameters
    ----------
    w : uint8[n]
        Sums to start from and lists of all rows.
    rows : int
    base : int
    spent : int
        Cycles, whatever the inputs.
    """

    w: NDArray[np.uint8]
    rows: int
    base: int
    spent: int

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "lists by value"

    @property
    def symbol(self) -> str:
        """Function that computes the sums."""
        return "eng_dense_lists_s24"

    @property
    def record(self) -> tuple[str, str, int]:
        """Header, name and bytes of the record."""
        return "eng/encodings_lists.h", "eng_dense_lists", 4

    @property
    def slots(self) -> int:
        """Sums written."""
        return self.rows

    @property
    def takes_runs(self) -> bool:
        """It reads every input listed."""
        return False

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the lists."""
        return {"w": self.w}

    def fields(self, names: Mapping[str, str]) -> list[object]:
        """Fields of the record."""
        return [names["w"], self.rows, self.base]

    @property
    def cycles(self) -> int:
        """Cycles of any input."""
        return self.spent

    def cycles_for(self, x: NDArray[np.int8], *, skip: bool = True) -> NDArray[np.float64]:  # noqa: ARG002  all take the same
        """Cycles for each of `x`, exactly."""
        return np.full(len(x), float(self.spent))


def pieces(places: NDArray[np.int64]) -> list[tuple[int, list[int]]]:
    """Cut a list of inputs into pieces: how many times 256 inputs are passed first, and inputs passed before each entry.

    The first piece has no entries if its first input is too far.

    >>> pieces(np.array([3, 5, 600]))
    [(0, [3, 2]), (2, [83])]
    >>> pieces(np.array([300]))
    [(0, []), (1, [44])]
    """
    found: list[tuple[int, list[int]]] = [(0, [])]
    for gap in np.diff(places, prepend=0).tolist():
        far, near = divmod(gap, _FAR)
        if far or len(found[-1][1]) == _ENTRIES:
            found.append((far, []))
        found[-1][1].append(near)
    return found


def _entries_cycles(count: int) -> int:
    """Cycles of reading some entries in one go."""
    fours = count // 4
    return 8 + _ENTRY * count + (1 - count % 2) + (1 - count // 2 % 2) + (3 * fours - 1 if fours else 1)


def _row(codes: NDArray[np.int8], start: int) -> tuple[bytes, int]:
    """Write a row; give its cycles too."""
    stream, cycles = int(start).to_bytes(3, "little", signed=True), _ROW
    for value in np.unique(codes[codes != 0]).tolist():
        for number, (far, gaps) in enumerate(pieces(np.flatnonzero(codes == value))):
            head = [_MORE + len(gaps), far] if number else [_BEGIN + len(gaps), value & 0xFF]
            stream += bytes([*head, *gaps])
            cycles += (_GOES_ON if number else _BEGINS) + _entries_cycles(len(gaps))
    return stream + b"\0", cycles


def dense_lists(grid: Grid, rows: slice) -> DenseLists:
    """Encode some rows of a layer, at most 255.

    Parameters
    ----------
    grid : Grid
    rows : slice
        Which.

    Returns
    -------
    DenseLists

    Examples
    --------
    >>> from enginekit.encode.dense_requant import DenseRequant
    >>> requant = DenseRequant((), None, 1, None)
    >>> grid = Grid(np.array([[0, 1, 0, 1, -1]], np.int8), np.array([300]), 0, 255, True, requant)
    >>> dense_lists(grid, slice(None)).w.tolist()
    [44, 1, 0, 2, 255, 4, 3, 1, 1, 2, 0]
    """
    each = [_row(codes, int(start)) for codes, start in zip(grid.codes[rows], grid.start[rows], strict=True)]
    stream = np.frombuffer(b"".join(text for text, _ in each), np.uint8)
    return DenseLists(stream, len(each), grid.base, _CALL - 1 + sum(cycles for _, cycles in each))


def lists_layers(grid: Grid) -> Iterator[SummedLayer]:
    """Give a layer as lists of inputs, if that may save bytes."""
    out, size = grid.codes.shape
    if int((grid.codes != 0).sum()) > out * size + WORTH - 4 * out:
        return
    lengths = [len(_row(codes, 0)[0]) for codes in grid.codes]
    if sum(lengths) > out * size + WORTH:
        return
    parts = tuple(dense_lists(grid, rows) for rows in _slices(lengths))
    if all(len(part.w) <= MAX_ARRAY for part in parts):
        yield SummedLayer(parts, None, grid)


def _slices(lengths: list[int]) -> Iterator[slice]:
    """Cut rows of so many bytes into slices that one array and one record hold."""
    begin, filled = 0, 0
    for at, length in enumerate(lengths):
        if at > begin and (filled + length > MAX_ARRAY or at - begin == _MOST_ROWS):
            yield slice(begin, at)
            begin, filled = at, 0
        filled += length
    yield slice(begin, len(lengths))
