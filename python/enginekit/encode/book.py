"""Dense layers whose weights take few values, as indices of 4 or 2 bits: ``eng_dense_book<B>_s24``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from enginekit.encode.bits import all_runs, run_lengths
from enginekit.encode.dense import joined_s24, leaving, split_s24
from enginekit.encode.grid import Grid
from enginekit.encode.sparse import driven_overflows, hard_inputs
from enginekit.encode.sums import DenseSums, SummedLayer, in_blocks, row_slices, search_limits

#: Rows of a block, and bits of an index that there are kernels for.
ROWS, INDEX_BITS = 8, (2, 4)
#: Cycles of an overflow.
_OVERFLOW = 12


@dataclass(frozen=True, eq=False)
class DenseBook(DenseSums):
    """What an ``eng_dense_book`` points to.

    Parameters
    ----------
    bits : int
        Of an index.
    w : uint8[blocks, in, bits]
    book : int8[blocks, 2**bits]
    start : uint8[blocks, 8, 3]
    codes : int8[blocks * 8, in]
        The weights that the indices stand for.
    base, reach : int
        Lowest input, and how far the highest is from it.
    """

    bits: int
    w: NDArray[np.uint8]
    book: NDArray[np.int8]
    start: NDArray[np.uint8]
    codes: NDArray[np.int8]
    base: int
    reach: int

    @property
    def encoding(self) -> str:
        """Name for people."""
        return f"{1 << self.bits} values in rows of {ROWS}"

    @property
    def symbol(self) -> str:
        """Function that computes the sums."""
        return f"eng_dense_book{self.bits}_s24"

    @property
    def record(self) -> tuple[str, str, int]:
        """Header, name and bytes of the record."""
        return "eng/encodings_book.h", "eng_dense_book", 10

    @property
    def slots(self) -> int:
        """Sums written."""
        return len(self.codes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return indices, values and starts."""
        return {"w": self.w, "book": self.book, "start": self.start}

    def fields(self, names: Mapping[str, str]) -> list[object]:
        """Fields of the record."""
        return [names["w"], names["book"], names["start"], self.w.shape[1], len(self.w), self.base]

    @property
    def cycles(self) -> int:
        """Cycles of the slowest input, see :func:`~enginekit.encode.sparse.hard_inputs`; the table of runs lies in flash."""
        hard = hard_inputs(self.w.shape[1], self.base, self.reach).astype(np.int32) - self.base
        driven = driven_overflows(self.codes.T, joined_s24(self.start.reshape(-1, 3)), self.reach, _OVERFLOW)
        return self._full + max(driven, int(self._overflows(hard).max()))

    def cycles_for(self, x: NDArray[np.int8], *, skip: bool = True) -> NDArray[np.float64]:
        """Cycles for each of `x`. Exact unless a run or gap to skip exceeds 255 inputs; their table lies in SRAM."""
        loops = [self._cycles(lengths) for lengths in run_lengths(x, self.base)] if skip else [self._full] * len(x)
        return np.array(loops, np.float64) + self._overflows(x.astype(np.int32) - self.base)

    @property
    def _full(self) -> int:
        """Cycles without overflows when every input is in a run; the table lies in flash."""
        lengths = all_runs(self.w.shape[1])
        return self._cycles(lengths) + len(self.w) * (1 + 2 * len(lengths))

    def _overflows(self, inputs: NDArray[np.int32]) -> NDArray[np.int64]:
        """Cycles of the overflows that inputs less base, int32[n, in], bring."""
        total = np.zeros(len(inputs), np.int64)
        for w, start in zip(self.codes.reshape(-1, ROWS, self.w.shape[1]), self.start, strict=True):
            sums = np.cumsum(inputs[:, :, None] * w.T.astype(np.int32), axis=1, dtype=np.int32)
            total += leaving(joined_s24(start), sums, np.full(ROWS, _OVERFLOW))
        return total

    def _cycles(self, lengths: NDArray[np.int64]) -> int:
        """Cycles without overflows for runs of such lengths, whose table lies in SRAM, as the instructions have them."""
        an_input = 103 if self.bits == 4 else 105
        block = 202 + 7 * (1 << self.bits) + 33 * len(lengths) + an_input * int(lengths.sum())
        return 129 + self.bits + len(self.w) * block


def dense_book(grid: Grid, rows: slice, *, bits: int) -> DenseBook:
    """Encode some rows of a layer.

    Parameters
    ----------
    grid : Grid
    rows : slice
        Which.
    bits : int
        One of ``INDEX_BITS``.

    Returns
    -------
    DenseBook

    Raises
    ------
    QuantError
        If a block of 8 rows has more values than there are indices.

    Examples
    --------
    >>> from enginekit.encode.dense_requant import DenseRequant
    >>> requant = DenseRequant((), None, 1, None)
    >>> grid = Grid(np.array([[100, -3, 100]], np.int8), np.zeros(1, np.int64), 0, 255, True, requant)
    >>> encoded = dense_book(grid, slice(None), bits=2)
    >>> encoded.book.tolist(), encoded.w[0, :, 0].tolist()
    ([[-3, 100, 0, 0]], [1, 0, 1])
    """
    if bits not in INDEX_BITS:
        raise QuantError(f"indices of {bits} bits: expected one of {INDEX_BITS}")
    blocks = in_blocks(grid.codes[rows], ROWS)
    books = np.zeros((len(blocks), 1 << bits), np.int8)
    indices = np.zeros(blocks.shape, np.int64)
    count = len(grid.codes[rows])
    for number, block in enumerate(blocks):
        used = block[: count - number * ROWS]
        values, where = np.unique(used, return_inverse=True)
        if len(values) > 1 << bits:
            raise QuantError(f"rows from {number * ROWS} on have {len(values)} values; indices of {bits} bits take {1 << bits}")
        books[number, : len(values)] = values
        indices[number, : len(used)] = where.reshape(used.shape)
    fields = indices.transpose(0, 2, 1).reshape(len(blocks), -1, bits, 8 // bits)
    w = np.ascontiguousarray((fields << (np.arange(8 // bits) * bits)).sum(3).astype(np.uint8))
    start = split_s24(in_blocks(grid.start[rows], ROWS))
    codes = np.take_along_axis(books[:, None], indices, axis=2).reshape(-1, grid.codes.shape[1])
    return DenseBook(bits, w, books, start, codes, grid.base, grid.reach)


def book_layers(grid: Grid) -> Iterator[SummedLayer]:
    """Give a layer by indices of as few bits as its values take: with and without a search for inputs to skip."""
    for bits in INDEX_BITS:
        slices = row_slices(len(grid.codes), ROWS, grid.codes.shape[1] * bits)
        try:
            parts = tuple(dense_book(grid, rows, bits=bits) for rows in slices)
        except QuantError:
            continue
        limits = search_limits(grid, parts)
        yield from (SummedLayer(parts, runs, grid) for runs in {limits, None} if parts)
        return
