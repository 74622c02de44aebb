"""Dense layers in blocks of rows: ``eng_dense_rows``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from enginekit.encode.groups import DEPTH, DEPTH8, InputRange, group_lengths, product_range, row_headers

#: Rows of a block that there are kernels for.
DENSE_ROWS = (1, 2, 3, 4, 5, 8)
#: A finished sum is kept in 24 bits.
SUM_BOUND = 1 << 23
#: Cycles of eng_dense_rows<R>_s24 outside its blocks, and of a block outside its groups without what depends on R.
_CALL_CYCLES, _BLOCK_CYCLES = 103, 42
#: Of eng_dense_rows8_s24: call, block, input, group, and a sum of groups that leaves 16 bits.
_CALL8, _BLOCK8, _INPUT8, _GROUP8, _OVERFLOW8 = 131, 189, 58, 38, 11
#: Of eng_dense_runs<R>_s24: call, block and its share a row, run, product, input in a run, and a product that leaves 16 bits.
_RUNS_CALL, _RUNS_BLOCK, _RUNS_ROW, _RUN, _RUN_PRODUCT, _RUN_INPUT, _RUN_OVERFLOW = 152, 54, 17, 18, 8, 6, 9


@dataclass(frozen=True, eq=False)
class DenseRows:
    """What an ``eng_dense_rows`` points to.

    Parameters
    ----------
    rows : int
        Rows of a block: which kernel reads it.
    w : int8[blocks, in, rows]
    groups : bytes
        Headers of all blocks.
    start : uint8[blocks, rows, 3]
        For ``eng_dense_rows<R>_s24``.
    runs_start : uint8[blocks, rows, 3] or None
        For ``eng_dense_runs<R>_s24``; None where skipping is not possible or not provable.
    lengths : tuple of (tuple of int)
        Group lengths of each block.
    x_range : InputRange
        Lowest and highest input code.
    """

    rows: int
    w: NDArray[np.int8]
    groups: bytes
    start: NDArray[np.uint8]
    runs_start: NDArray[np.uint8] | None
    lengths: tuple[tuple[int, ...], ...]
    x_range: InputRange

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return int(self.w.shape[0])

    @property
    def flash(self) -> int:
        """Bytes of constants, without those for skipping."""
        return int(self.w.size + self.start.size) + len(self.groups)

    @property
    def cycles(self) -> int:
        """Cycles of ``eng_dense_rows<R>_s24`` from call to return.

        Exact for R up to 5. Blocks of 8 rows take 11 more whenever the sum of a row's groups leaves 16 bits, which depends on
        the inputs: counted here as for the slowest among those that drive one row to either end; see :meth:`cycles_for`.
        """
        if self.rows < 8:
            return self._least
        low, high = self.x_range
        rows = self.w.transpose(0, 2, 1).reshape(-1, self.w.shape[1])
        ends = np.concatenate([np.where(rows > 0, high, low), np.where(rows > 0, low, high)])
        return int(self.cycles_for(ends.astype(np.int8)).max())

    @property
    def _least(self) -> int:
        size, groups = self.w.shape[1], sum(len(block) for block in self.lengths)
        if self.rows == 8:
            return int(_CALL8 + self.blocks * (_BLOCK8 + _INPUT8 * size) + _GROUP8 * groups)
        rows, pairs = self.rows, (self.rows + 1) // 2
        inputs = self.blocks * size * (2 + 7 * rows)
        cycles = inputs + groups * (1 + 2 * rows + pairs + 11) + self.blocks * (_BLOCK_CYCLES + 12 * rows + pairs)
        return int(cycles + _CALL_CYCLES)

    def cycles_for(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        """Cycles of ``eng_dense_rows<R>_s24`` for each of `x`, ``int8[n, in]``, exactly."""
        total = np.full(len(x), self._least, np.int64)
        if self.rows < 8:
            return total
        for w, start, lengths in zip(self.w, self.start, self.lengths, strict=True):
            ends = np.cumsum(lengths) - 1
            sums = np.cumsum(x[:, :, None].astype(np.int32) * w.astype(np.int32), axis=1, dtype=np.int32)[:, ends]
            total += leaving(joined_s24(start), sums, np.where(np.arange(8) < 5, _OVERFLOW8, _OVERFLOW8 + 2))
        return total

    def runs_cycles_for(self, x: NDArray[np.int8], zero_x: int) -> NDArray[np.int64]:
        """Cycles of ``eng_dense_runs<R>_s24`` for each of `x`, ``int8[n, in]``, where no gap or run exceeds 255 inputs."""
        assert self.runs_start is not None
        inside = x != zero_x
        runs = inside[:, 0] + (inside[:, 1:] & ~inside[:, :-1]).sum(1)
        block = _RUNS_BLOCK + _RUNS_ROW * self.rows
        inputs = (_RUN_PRODUCT * self.rows + _RUN_INPUT) * inside.sum(1)
        total = _RUNS_CALL + self.blocks * (block + _RUN * runs - 2 * (runs > 0) + inputs)
        for w, start in zip(self.w, self.runs_start, strict=True):
            products = (x[:, :, None].astype(np.int32) - zero_x) * w.astype(np.int32)
            sums = np.cumsum(products, axis=1, dtype=np.int32)
            total += leaving(joined_s24(start), sums, np.full(self.rows, _RUN_OVERFLOW))
        return np.asarray(total, np.int64)


def joined_s24(split: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Join split starts to sums, int32[rows]."""
    parts = split.astype(np.int32)
    return (parts[:, 2] << 16) + (((parts[:, 1] ^ 0x80) - 0x80) << 8) + parts[:, 0]


def leaving(start: NDArray[np.int32], sums: NDArray[np.int32], price: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cycles for sums, int32[n, time, rows], that begin at `start` and leave the 16 bits that they are in: one more upwards."""
    page = np.concatenate([np.broadcast_to(start, (len(sums), 1, len(start))), start + sums], axis=1) + 0x8000 >> 16
    left = np.diff(page, axis=1)
    return np.asarray(((left != 0) * price + (left > 0)).sum((1, 2)), np.int64)


def s24(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Low three bytes of each value, little endian."""
    return np.stack([(values >> shift) & 0xFF for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


def split_s24(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Three bytes lo, mid, top of each value, mid signed: top * 65536 + mid * 256 + lo, modulo 2**24."""
    return s24(values + ((values & 0x8000) << 1))


def _bound(what: str, low: NDArray[np.int64], high: NDArray[np.int64], bound: int) -> None:
    worst = max(-int(low.min()), int(high.max()))
    if worst >= bound:
        raise QuantError(f"{what} can reach {worst}; 24-bit sums must stay below {bound}")


def _runs_start(w: NDArray[np.int8], bias: NDArray[np.int64], x_range: InputRange, zero_x: int) -> NDArray[np.int64] | None:
    """Bias without the zero point, if inputs minus the zero point fit a byte."""
    return bias + zero_x * w.astype(np.int64).sum(1) if np.all(x_range[0] >= zero_x) else None


def dense_rows(
    w: NDArray[np.int8], bias: NDArray[np.int32], rows: int, *, x_range: InputRange = (-128, 127), zero_x: int = 0
) -> DenseRows:
    """Encode a dense layer, or some of its rows, in blocks of `rows`.

    Parameters
    ----------
    w : int8[out, in]
        Codes in [-128, 127]. Where `out` is no multiple of `rows`, rows of zeros are added.
    bias : int32[out]
        With the input zero point folded in.
    rows : int
        One of ``DENSE_ROWS``.
    x_range : InputRange
        Lowest and highest input code.
    zero_x : int
        The input's zero point, for skipping inputs that are equal to it.

    Returns
    -------
    DenseRows

    Raises
    ------
    QuantError
        If a sum can leave 24 bits: such a layer keeps the plain kernel.

    Examples
    --------
    >>> encoded = dense_rows(np.ones((3, 4), np.int8), np.zeros(3, np.int32), 2)
    >>> encoded.w.shape, encoded.lengths
    ((2, 4, 2), ((4,), (4,)))
    """
    if rows not in DENSE_ROWS:
        raise QuantError(f"blocks of {rows} rows: expected one of {DENSE_ROWS}")
    blocks = -(-len(w) // rows)
    padded = np.zeros((blocks * rows, w.shape[1]), np.int8)
    padded[: len(w)] = w
    full_bias = np.zeros(blocks * rows, np.int64)
    full_bias[: len(w)] = bias
    low, high = product_range(padded, x_range)
    _bound("a dense layer's sum", full_bias + low.sum(1), full_bias + high.sum(1), SUM_BOUND)
    by_block = padded.reshape(blocks, rows, -1)
    lengths = [group_lengths(block, x_range, depth=DEPTH8 if rows == 8 else DEPTH) for block in by_block]
    start = full_bias.reshape(blocks, rows)
    biased = start - 32768 * np.array([len(block) for block in lengths])[:, None]
    runs_start = _runs_start(padded, full_bias, x_range, zero_x)
    return DenseRows(
        rows,
        np.ascontiguousarray(by_block.transpose(0, 2, 1)),
        b"".join(row_headers(block, rows) for block in lengths),
        split_s24(start) if rows == 8 else s24(biased),
        None if runs_start is None else split_s24(runs_start.reshape(blocks, rows)),
        tuple(tuple(block) for block in lengths),
        x_range,
    )
