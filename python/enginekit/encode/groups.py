"""Lengths of groups of inputs whose products a 16-bit accumulator can hold, whatever the inputs are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError

#: Longest group: ENG_ROWS_DEPTH, and ENG_ROWS8_DEPTH for blocks of 8 rows.
DEPTH, DEPTH8 = 12, 7
#: An accumulator biased by 0x8000 may hold 0 to 255 of the groups before when a group starts.
HIGHEST, LOWEST = 32767 - 255, -32768


#: Lowest and highest input, of all or each.
InputRange = tuple[int, int] | tuple[NDArray[np.int64], NDArray[np.int64]]


def product_range(w: NDArray[np.int8], x_range: InputRange) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bound each product ``w * x`` over all ``x`` in `x_range`.

    Parameters
    ----------
    w : int8[...]
    x_range : InputRange
        Lowest and highest input: one number, or as many as the last axis of `w` has.

    Returns
    -------
    lowest, highest : int64[...]

    Examples
    --------
    >>> low, high = product_range(np.array([2, -3], np.int8), (-128, 127))
    >>> low.tolist(), high.tolist()
    ([-256, -381], [254, 384])
    """
    a, b = w.astype(np.int64) * x_range[0], w.astype(np.int64) * x_range[1]
    return np.minimum(a, b), np.maximum(a, b)


def group_lengths(w: NDArray[np.int8], x_range: InputRange = (-128, 127), *, depth: int = DEPTH) -> list[int]:
    """Cut the inputs of a block of rows into as few groups as 16 bits allow.

    Taking each group as long as possible is optimal: a part of a group that fits, fits.

    Parameters
    ----------
    w : int8[rows, in]
        Codes in [-128, 127].
    x_range : InputRange
        Lowest and highest input, within [-128, 127].
    depth : int
        Longest group allowed.

    Returns
    -------
    list of int
        Lengths in [1, depth], summing to ``in``: for every row and group the products' sum is at most 32512 and at least
        -32768, whatever the inputs in `x_range`.

    Raises
    ------
    QuantError
        If the range is not one of int8.

    Examples
    --------
    >>> group_lengths(np.full((1, 5), 127, np.int8))
    [2, 2, 1]
    >>> group_lengths(np.full((1, 5), 127, np.int8), (0, 50))
    [5]
    """
    if np.min(x_range[0]) < -128 or np.max(x_range[1]) > 127 or np.any(x_range[0] > x_range[1]):
        raise QuantError(f"inputs in {x_range}: expected a range within [-128, 127]")
    lowest, highest = product_range(w, x_range)
    low = np.concatenate([np.zeros((len(w), 1), np.int64), lowest.cumsum(1)], axis=1)
    high = np.concatenate([np.zeros((len(w), 1), np.int64), highest.cumsum(1)], axis=1)
    lengths, start, size = [], 0, w.shape[1]
    while start < size:
        stop = min(start + depth, size)
        ends = np.arange(start + 1, stop + 1)
        fits = ((high[:, ends] - high[:, [start]] <= HIGHEST) & (low[:, ends] - low[:, [start]] >= LOWEST)).all(0)
        lengths.append(int(fits.argmin()) if not fits.all() else len(ends))
        start += lengths[-1]
    return lengths


def row_headers(lengths: list[int], rows: int) -> bytes:
    """Write group lengths as ``eng_dense_rows`` wants them: ENG_ROWS_HEADER or ENG_ROWS8_HEADER each, then 0.

    Examples
    --------
    >>> list(row_headers([12, 1], 5))
    [1, 232, 0]
    """
    depth = DEPTH8 if rows == 8 else DEPTH
    return bytes(1 + (depth - k) * (4 * rows + 1) for k in lengths) + b"\0"
