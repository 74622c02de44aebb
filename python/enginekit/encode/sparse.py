"""Dense layers of which only the inputs are stored that a block of rows has weights for: ``eng_dense_sparse<R>_s24``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from enginekit.encode.dense import joined_s24, leaving, split_s24
from enginekit.encode.grid import Grid
from enginekit.encode.sums import DenseSums, SummedLayer, in_blocks, row_slices
from enginekit.records import MAX_ARRAY

#: Rows of a block that there are kernels for.
SPARSE_ROWS = (8, 4, 1)
#: Most entries of a segment, and most inputs that an entry may be from the one before.
_SEGMENT, _FURTHEST = 255, 255
#: Bytes beyond those of the dense weights that a layer may take: as much as a kernel that another layer does without.
WORTH = 600
#: Cycles of an overflow that a product brings, and of an entry whose input is passed by.
OVERFLOW, _PASSED = 9, 14


@dataclass(frozen=True, eq=False)
class DenseSparse(DenseSums):
    """What an ``eng_dense_sparse`` points to.

    Parameters
    ----------
    rows : int
        Of a block.
    w : uint8[n]
        Segments of all blocks.
    start : uint8[blocks, rows, 3]
    entries : tuple of (int64[n], int8[n, rows])
        Inputs and weights of the entries of each block.
    base, reach : int
        Lowest input, and how far the highest is from it.
    size : int
        Inputs.
    """

    rows: int
    w: NDArray[np.uint8]
    start: NDArray[np.uint8]
    entries: tuple[tuple[NDArray[np.int64], NDArray[np.int8]], ...]
    base: int
    reach: int
    size: int

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "sparse" if self.rows == 1 else f"sparse in rows of {self.rows}"

    @property
    def symbol(self) -> str:
        """Function that computes the sums."""
        return f"eng_dense_sparse{self.rows}_s24"

    @property
    def record(self) -> tuple[str, str, int]:
        """Header, name and bytes of the record."""
        return "eng/encodings_sparse.h", "eng_dense_sparse", 6

    @property
    def slots(self) -> int:
        """Sums written."""
        return len(self.start) * self.rows

    @property
    def takes_runs(self) -> bool:
        """It passes by itself what need not be multiplied."""
        return False

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Weights and starts."""
        return {"w": self.w, "start": self.start}

    def fields(self, names: Mapping[str, str]) -> list[object]:
        """Fields of the record."""
        return [names["w"], names["start"], len(self.start), self.base]

    @property
    def cycles(self) -> int:
        """Cycles of the slowest input, see :func:`hard_inputs`; nothing is passed by, every row overflows as it does most."""
        driven = self._outside
        for (at, w), start in zip(self.entries, self.start, strict=True):
            driven += len(at) * self._entry + driven_overflows(w, joined_s24(start), self.reach, OVERFLOW)
        return max(driven, int(self.cycles_for(hard_inputs(self.size, self.base, self.reach)).max()))

    def cycles_for(self, x: NDArray[np.int8], *, skip: bool = True) -> NDArray[np.float64]:  # noqa: ARG002  it always skips
        """Cycles for each of `x`, exactly."""
        total = np.full(len(x), self._outside, np.int64)
        for (at, w), start in zip(self.entries, self.start, strict=True):
            inputs = x[:, at].astype(np.int32) - self.base
            active = (inputs != 0).sum(1) if self.rows > 1 else len(at)
            total += active * self._entry + (len(at) - active) * _PASSED
            sums = np.cumsum(inputs[:, :, None] * w.astype(np.int32), axis=1, dtype=np.int32)
            total += leaving(joined_s24(start), sums, np.full(self.rows, OVERFLOW))
        return np.asarray(total, np.float64)

    @property
    def _entry(self) -> int:
        return 11 + (self.rows > 1) + 8 * self.rows

    @property
    def _outside(self) -> int:
        """Cycles of everything but entries."""
        segments = sum(-(-len(at) // _SEGMENT) for at, _ in self.entries)
        return 55 + 6 * self.rows + len(self.entries) * (29 + 17 * self.rows) + 7 * segments


def driven_overflows(w: NDArray[np.int8], start: NDArray[np.int32], reach: int, price: int) -> int:
    """Cycles of overflows of rows, int8[n, rows], each with the input that drives it to its worse end."""
    least = min(reach, 1)
    most = np.zeros(w.shape[1], np.int64)
    for ends in (np.where(w > 0, reach, least), np.where(w > 0, least, reach)):
        sums = np.cumsum(w.astype(np.int32) * ends.astype(np.int32), axis=0, dtype=np.int32)
        each = [leaving(start[[n]], sums[None, :, [n]], np.array([price]))[0] for n in range(w.shape[1])]
        most = np.maximum(most, np.array(each, np.int64))
    return int(most.sum())


def hard_inputs(size: int, base: int, reach: int) -> NDArray[np.int8]:
    """Make inputs, int8[9, size], none of them `base`: at random, and the highest. For overflows there is no better bound."""
    rng = np.random.default_rng(0)
    least = min(reach, 1)
    between = rng.integers(least, reach + 1, (4, size))
    ends = np.where(rng.random((4, size)) < 0.5, least, reach)
    return (np.concatenate([between, ends, np.full((1, size), reach)]) + base).astype(np.int8)


def stored_inputs(codes: NDArray[np.int8]) -> NDArray[np.int64]:
    """List the inputs of rows, int8[rows, in], to store: those with weights, and some between where a byte cannot pass them.

    >>> codes = np.zeros((2, 600), np.int8)
    >>> codes[1, [0, 3, 599]] = 1
    >>> stored_inputs(codes).tolist()
    [0, 3, 258, 513, 599]
    """
    found: list[int] = []
    at = 0
    for place in np.flatnonzero(codes.any(axis=0)).tolist():
        found += range(at + _FURTHEST, place, _FURTHEST)
        found.append(place)
        at = place
    return np.array(found, np.int64)


def _stream(places: NDArray[np.int64], w: NDArray[np.int8]) -> bytes:
    """Write a block's segments."""
    passed = np.diff(places, prepend=0).astype(np.uint8)
    entries = np.concatenate([passed[:, None], w.view(np.uint8)], axis=1)
    cuts = range(0, len(entries), _SEGMENT)
    parts = (entries[cut : cut + _SEGMENT] for cut in cuts)
    return b"".join(bytes([len(part)]) + part.tobytes() for part in parts) + b"\0"


def dense_sparse(grid: Grid, rows: slice, *, block: int) -> DenseSparse:
    """Encode some rows of a layer.

    Parameters
    ----------
    grid : Grid
    rows : slice
        Which.
    block : int
        One of ``SPARSE_ROWS``.

    Returns
    -------
    DenseSparse

    Raises
    ------
    QuantError
        If there is no such kernel.

    Examples
    --------
    >>> from enginekit.encode.dense_requant import DenseRequant
    >>> requant = DenseRequant((), None, 1, None)
    >>> grid = Grid(np.array([[0, 3, 0, -1]], np.int8), np.zeros(1, np.int64), 0, 255, True, requant)
    >>> dense_sparse(grid, slice(None), block=1).w.tolist()
    [2, 1, 3, 2, 255, 0]
    """
    if block not in SPARSE_ROWS:
        raise QuantError(f"sparse blocks of {block} rows: expected one of {SPARSE_ROWS}")
    blocks = in_blocks(grid.codes[rows], block)
    entries = tuple((at, np.ascontiguousarray(each[:, at].T)) for each in blocks for at in [stored_inputs(each)])
    stream = b"".join(_stream(*each) for each in entries)
    start = split_s24(in_blocks(grid.start[rows], block))
    size = grid.codes.shape[1]
    return DenseSparse(block, np.frombuffer(stream, np.uint8), start, entries, grid.base, grid.reach, size)


def sparse_layers(grid: Grid) -> Iterator[SummedLayer]:
    """Give a layer with what is zero left out, in blocks of every size that may save bytes."""
    out, size = grid.codes.shape
    for block in SPARSE_ROWS:
        stored = int(in_blocks(grid.codes, block).any(axis=1).sum()) * (1 + block)
        if stored > out * size + WORTH:
            continue
        most = max(int(each.any(axis=0).sum()) for each in in_blocks(grid.codes, block)) * (1 + block) + 2 * (
            size // _SEGMENT + 2
        )
        slices = row_slices(out, block, most)
        parts = tuple(dense_sparse(grid, rows, block=block) for rows in slices)
        if parts and all(len(part.w) <= MAX_ARRAY for part in parts):
            yield SummedLayer(parts, None, grid)
