"""Dense layers whose weights take 4 or 2 bits: ``eng_dense_bits<B>_rows<R>_s24``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from enginekit.encode.dense import SUM_BOUND, s24
from enginekit.encode.grid import Grid
from enginekit.encode.sums import DenseSums, SummedLayer, in_blocks, row_slices, search_limits

#: Bits of a weight, and rows of a block, that there are kernels for.
BITS, ROWS = (4, 2), (8, 4)
#: Inputs until the high bytes of low sums are moved, ENG_BITS_DEPTH.
DEPTH = 17
#: Longest entry of a table of runs.
_LONGEST = 255


def zero_field(bits: int) -> int:
    """Field of a weight of zero: ``ENG_BITS<B>_ZERO``.

    >>> zero_field(4), zero_field(2)
    (8, 2)
    """
    return 1 << (bits - 1)


def fits_bits(codes: NDArray[np.int8], bits: int) -> bool:
    """Whether all codes are numbers of so many bits, the highest for the sign.

    >>> fits_bits(np.array([-8, 7], np.int8), 4), fits_bits(np.array([2], np.int8), 2)
    (True, False)
    """
    return bool(codes.min() >= -zero_field(bits) and codes.max() < zero_field(bits))


@dataclass(frozen=True, eq=False)
class DenseBits(DenseSums):
    """What an ``eng_dense_bits`` points to.

    Parameters
    ----------
    bits, rows : int
        Of a weight; of a block.
    w : uint8[blocks, in, rows * bits // 8]
    start : uint8[blocks, rows, 3]
    base : int
    """

    bits: int
    rows: int
    w: NDArray[np.uint8]
    start: NDArray[np.uint8]
    base: int

    @property
    def encoding(self) -> str:
        """Name for people."""
        return f"{self.bits} bits in rows of {self.rows}"

    @property
    def symbol(self) -> str:
        """Function that computes the sums."""
        return f"eng_dense_bits{self.bits}_rows{self.rows}_s24"

    @property
    def record(self) -> tuple[str, str, int]:
        """Header, name and bytes of the record."""
        return "eng/encodings_bits.h", "eng_dense_bits", 8

    @property
    def slots(self) -> int:
        """Sums written."""
        return len(self.w) * self.rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Weights and starts."""
        return {"w": self.w, "start": self.start}

    def fields(self, names: Mapping[str, str]) -> list[object]:
        """Fields of the record."""
        return [names["w"], names["start"], self.w.shape[1], len(self.w), self.base]

    @property
    def cycles(self) -> int:
        """Cycles when every input is in a run; the table lies in flash."""
        lengths = all_runs(self.w.shape[1])
        return self._cycles(lengths) + (len(self.w) + 1) * (1 + 2 * len(lengths))

    def cycles_for(self, x: NDArray[np.int8], *, skip: bool = True) -> NDArray[np.float64]:
        """Cycles for each of `x`. Exact unless a run or gap to skip exceeds 255 inputs; their table lies in SRAM."""
        if not skip:
            return np.full(len(x), float(self.cycles))
        return np.array([self._cycles(lengths) for lengths in run_lengths(x, self.base)], np.float64)

    def _cycles(self, lengths: NDArray[np.int64]) -> int:
        """Cycles for runs of such lengths, as the instructions of csrc/avr have them."""
        size = int(self.w.shape[2])
        low = size * (1 if self.bits == 4 else 2)  # sums of 16 bits
        total = int(lengths.sum())
        inputs = total * (8 + size * (13 if self.bits == 4 else 24)) + total // DEPTH * (14 + 9 * low)
        block = 86 + 21 * low + 2 * (size > 1) + 2 * (size > 2) + 33 * len(lengths) + inputs
        return 147 + len(self.w) * block + 8 * len(lengths) + 9 * total + _fields_cycles(self.slots * self.bits // 8, self.bits)


def all_runs(size: int) -> NDArray[np.int64]:
    """Lengths of the entries of a table of runs of all inputs.

    >>> all_runs(300).tolist()
    [255, 45]
    """
    return np.diff([*range(0, size, _LONGEST), size])


def run_lengths(x: NDArray[np.int8], base: int) -> Iterator[NDArray[np.int64]]:
    """Yield the lengths of the runs of inputs other than `base` of each of `x`, int8[n, in].

    >>> [lengths.tolist() for lengths in run_lengths(np.array([[5, 5, 0, 5], [0, 0, 0, 0]], np.int8), 0)]
    [[2, 1], []]
    """
    edges = np.diff(np.pad((x != base).astype(np.int8), ((0, 0), (1, 1))), axis=1)
    return (np.flatnonzero(row == -1) - np.flatnonzero(row == 1) for row in edges)


def _fields_cycles(bytes_: int, bits: int) -> int:
    """Cycles of ``eng_dense_bits<B>_end`` for the rows of so many bytes."""
    return 42 + 81 * bytes_ if bits == 4 else 4 + 294 * bytes_


def dense_bits(grid: Grid, rows: slice, *, bits: int, block: int) -> DenseBits:
    """Encode some rows of a layer.

    Parameters
    ----------
    grid : Grid
    rows : slice
        Which.
    bits : int
        One of ``BITS``.
    block : int
        One of ``ROWS``.

    Returns
    -------
    DenseBits

    Raises
    ------
    QuantError
        If a weight does not fit, or a sum does not fit the 24 bits less the place of its field.
    """
    codes = grid.codes[rows]
    if bits not in BITS or block not in ROWS or not fits_bits(codes, bits):
        raise QuantError(f"weights from {codes.min()} to {codes.max()} do not fit {bits} bits in rows of {block}")
    low, high = (side[rows] for side in grid.spans())
    places = np.arange(len(codes)) % (8 // bits) * bits
    bound = SUM_BOUND >> places
    if (low < -bound).any() or (high >= bound).any():
        worst = int(np.maximum(-low / bound, high / bound).argmax())
        raise QuantError(f"sum {worst} reaches {low[worst]} to {high[worst]}; its field holds what is below {bound[worst]}")
    by_block = in_blocks(codes, block)
    fields = (by_block.astype(np.int64) + zero_field(bits)).reshape(len(by_block), -1, 8 // bits, codes.shape[1])
    joined = (fields << (np.arange(8 // bits) * bits)[:, None]).sum(2).astype(np.uint8)
    start = s24(in_blocks(grid.start[rows], block))
    return DenseBits(bits, block, np.ascontiguousarray(joined.transpose(0, 2, 1)), start, grid.base)


def bits_layers(grid: Grid) -> Iterator[SummedLayer]:
    """Give a layer in as few bits as its weights fit, if that is 4 or less: with and without a search for inputs to skip."""
    for block in ROWS:
        parts = next((found for bits in reversed(BITS) if (found := _parts(grid, bits, block))), ())
        if parts:
            limits = search_limits(grid, parts)
            yield from (SummedLayer(parts, runs, grid) for runs in {limits, None})


def _parts(grid: Grid, bits: int, block: int) -> tuple[DenseBits, ...]:
    """Encode all rows; none if something does not fit."""
    slices = row_slices(len(grid.codes), block, grid.codes.shape[1] * block * bits // 8)
    try:
        return tuple(dense_bits(grid, rows, bits=bits, block=block) for rows in slices)
    except QuantError:
        return ()
