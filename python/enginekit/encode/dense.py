"""Dense layers in blocks of rows: ``eng_dense_rows``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from enginekit.encode.groups import group_lengths, product_range, row_headers

#: Rows of a block that there are kernels for.
DENSE_ROWS = (1, 2, 3, 4, 5)
#: A finished sum is kept in 24 bits; the kernel that skips zeros has two bits less.
SUM_BOUND, RUNS_BOUND = 1 << 23, (1 << 22) - (1 << 16)
#: Cycles of eng_dense_rows<R>_s24 outside its blocks, and of a block outside its groups without what depends on R.
_CALL_CYCLES, _BLOCK_CYCLES = 103, 42


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
    """

    rows: int
    w: NDArray[np.int8]
    groups: bytes
    start: NDArray[np.uint8]
    runs_start: NDArray[np.uint8] | None
    lengths: tuple[tuple[int, ...], ...]

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
        """Cycles of ``eng_dense_rows<R>_s24`` from call to return, exactly; they do not depend on the inputs."""
        rows, pairs = self.rows, (self.rows + 1) // 2
        inputs = self.blocks * self.w.shape[1] * (2 + 7 * rows)
        groups = sum(len(block) for block in self.lengths) * (1 + 2 * rows + pairs + 11)
        return int(inputs + groups + self.blocks * (_BLOCK_CYCLES + 12 * rows + pairs) + _CALL_CYCLES)


def _s24(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Low three bytes of each value, little endian."""
    return np.stack([(values >> shift) & 0xFF for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


def _bound(what: str, low: NDArray[np.int64], high: NDArray[np.int64], bound: int) -> None:
    worst = max(-int(low.min()), int(high.max()))
    if worst >= bound:
        raise QuantError(f"{what} can reach {worst}; 24-bit sums must stay below {bound}")


def _runs_start(
    w: NDArray[np.int8], bias: NDArray[np.int64], x_range: tuple[int, int], zero_x: int
) -> NDArray[np.int64] | None:
    """Bias without the zero point, if inputs minus the zero point fit a byte and no partial sum leaves 23 bits."""
    if x_range[0] < zero_x:
        return None
    start = bias + zero_x * w.astype(np.int64).sum(1)
    low, high = product_range(w, (0, x_range[1] - zero_x))
    worst = np.maximum(np.abs(start + low.sum(1)), np.abs(start + high.sum(1))).max()
    return start if max(worst, np.abs(start).max()) < RUNS_BOUND else None


def dense_rows(
    w: NDArray[np.int8], bias: NDArray[np.int32], rows: int, *, x_range: tuple[int, int] = (-128, 127), zero_x: int = 0
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
    x_range : (int, int)
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
    lengths = [group_lengths(block, x_range) for block in by_block]
    start = full_bias.reshape(blocks, rows) - 32768 * np.array([len(block) for block in lengths])[:, None]
    runs_start = _runs_start(padded, full_bias, x_range, zero_x)
    return DenseRows(
        rows,
        np.ascontiguousarray(by_block.transpose(0, 2, 1)),
        b"".join(row_headers(block, rows) for block in lengths),
        _s24(start),
        None if runs_start is None else _s24(runs_start.reshape(blocks, rows)),
        tuple(tuple(block) for block in lengths),
    )
