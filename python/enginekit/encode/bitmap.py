"""Dense layers with a bit a weight that says whether it is stored: ``eng_dense_bitmap_s24``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from enginekit.encode.dense import joined_s24, leaving, split_s24
from enginekit.encode.grid import Grid
from enginekit.encode.sparse import OVERFLOW, WORTH, driven_overflows, hard_inputs, stored_inputs
from enginekit.encode.sums import DenseSums, SummedLayer, in_blocks
from enginekit.records import MAX_ARRAY

#: Rows of a byte of bits, and most bytes: those of a record fit a byte.
_BYTE, _MOST_BYTES = 8, 28
#: Cycles: outside rows and records; of a row; a record whose input is base, or is not; a byte of bits; a weight, a zero.
_CALL, _ROW, _PASSED, _RECORD, _BITS, _WEIGHT, _ZERO = 70, 27, 19, 18, 11, 16, 3


@dataclass(frozen=True, eq=False)
class DenseBitmap(DenseSums):
    """What an ``eng_dense_bitmap`` points to.

    Parameters
    ----------
    w : uint8[n]
        Records.
    start : uint8[rows, 3]
    places : int64[records]
        Inputs of the records.
    codes : int8[rows, records]
        Their weights.
    base, reach : int
        Lowest input, and how far the highest is from it.
    size : int
        Inputs.
    """

    w: NDArray[np.uint8]
    start: NDArray[np.uint8]
    places: NDArray[np.int64]
    codes: NDArray[np.int8]
    base: int
    reach: int
    size: int

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "bitmap"

    @property
    def symbol(self) -> str:
        """Function that computes the sums."""
        return "eng_dense_bitmap_s24"

    @property
    def record(self) -> tuple[str, str, int]:
        """Header, name and bytes of the record."""
        return "eng/encodings_sparse.h", "eng_dense_bitmap", 8

    @property
    def slots(self) -> int:
        """Sums written."""
        return len(self.start)

    @property
    def takes_runs(self) -> bool:
        """It passes by itself what need not be multiplied."""
        return False

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return records and starts."""
        return {"w": self.w, "start": self.start}

    def fields(self, names: Mapping[str, str]) -> list[object]:
        """Fields of the record."""
        return [names["w"], names["start"], len(self.places), len(self.start) // _BYTE, self.base]

    @property
    def cycles(self) -> int:
        """Cycles of the slowest input, see :func:`~enginekit.encode.sparse.hard_inputs`."""
        driven = self._outside + int(self._each_record.sum())
        driven += driven_overflows(self.codes.T, joined_s24(self.start), self.reach, OVERFLOW)
        return max(driven, int(self.cycles_for(hard_inputs(self.size, self.base, self.reach)).max()))

    def cycles_for(self, x: NDArray[np.int8], *, skip: bool = True) -> NDArray[np.float64]:  # noqa: ARG002  it always skips
        """Cycles for each of `x`, exactly."""
        inputs = x[:, self.places].astype(np.int32) - self.base
        total = self._outside + np.where(inputs != 0, self._each_record, _PASSED).sum(1)
        total += np.where(inputs[:, -1] != 0, -1, 1)  # the last record ends the loop
        sums = np.cumsum(inputs[:, :, None] * self.codes.T.astype(np.int32), axis=1, dtype=np.int32)
        total += leaving(joined_s24(self.start), sums, np.full(self.slots, OVERFLOW))
        return np.asarray(total, np.float64)

    @property
    def _outside(self) -> int:
        return _CALL + _ROW * self.slots

    @property
    def _each_record(self) -> NDArray[np.int64]:
        """Cycles of each record whose input is not base, overflows aside."""
        stored = (self.codes != 0).reshape(-1, _BYTE, len(self.places))
        byte = np.where(stored.any(axis=1), _BITS + (_WEIGHT - _ZERO) * stored.sum(1) + _ZERO * _BYTE, _BITS)
        last = np.where(stored[-1].any(axis=0), 0, 2)  # a byte without a weight at the end is left by a jump
        return np.asarray(byte.sum(0) + last + _RECORD, np.int64)


def dense_bitmap(grid: Grid, rows: slice) -> DenseBitmap:
    """Encode some rows of a layer.

    Parameters
    ----------
    grid : Grid
    rows : slice
        Which; at most 224.

    Returns
    -------
    DenseBitmap

    Raises
    ------
    QuantError
        If there are more rows than a record holds.
    """
    blocks = in_blocks(grid.codes[rows], _BYTE)
    if len(blocks) > _MOST_BYTES:
        raise QuantError(f"{len(blocks) * _BYTE} rows by bits: expected at most {_MOST_BYTES * _BYTE}")
    codes = blocks.reshape(-1, grid.codes.shape[1])
    places = stored_inputs(codes)
    places = places if len(places) else np.zeros(1, np.int64)  # C has no arrays without elements
    passed = np.diff(places, prepend=0)
    start = split_s24(in_blocks(grid.start[rows], _BYTE)).reshape(-1, 3)
    stream = b"".join(_record(int(gap), codes[:, at]) for gap, at in zip(passed, places, strict=True))
    w = np.frombuffer(stream, np.uint8)
    return DenseBitmap(w, start, places, codes[:, places], grid.base, grid.reach, grid.codes.shape[1])


def _record(passed: int, column: NDArray[np.int8]) -> bytes:
    """Write one input's record."""
    rows = column.reshape(-1, _BYTE)
    bits = np.packbits(rows != 0, axis=1, bitorder="little")[:, 0]
    content = b"".join(bytes([byte]) + row[row != 0].tobytes() for byte, row in zip(bits.tolist(), rows, strict=True))
    return bytes([passed, len(content)]) + content


def bitmap_layers(grid: Grid) -> Iterator[SummedLayer]:
    """Give a layer with a bit a weight, if that may save bytes."""
    out, size = grid.codes.shape
    inputs = int(grid.codes.any(axis=0).sum())
    if int((grid.codes != 0).sum()) + inputs * (2 + -(-out // _BYTE)) > out * size + WORTH:
        return
    most = _MOST_BYTES * _BYTE
    parts = tuple(dense_bitmap(grid, slice(at, at + most)) for at in range(0, len(grid.codes), most))
    if all(len(part.w) <= MAX_ARRAY for part in parts):
        yield SummedLayer(parts, None, grid)
