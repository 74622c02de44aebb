"""Requantization with shorter multipliers, proven equal to the exact rule.

Requantizing is a step function of the sum with at most 255 steps. One multiplication, whose shift is whole bytes, gives the
same codes for every sum of a range if and only if it steps at the same sums. :func:`wide_step` looks for such a multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.program import OutputS8, Rescale


class Rounding(Enum):
    """How the exact rule rounds: twice in convolutions, once in dense layers."""

    DOUBLE = "double"
    SINGLE = "single"


def exact_codes(sums: NDArray[np.int64], rescale: Rescale, rounding: Rounding, zero: int) -> NDArray[np.int64]:
    """Codes before clamping, as the C core computes them."""
    function = kernels.rescale_double if rounding is Rounding.DOUBLE else kernels.rescale_single
    return function(np.ascontiguousarray(sums, np.int32), rescale).astype(np.int64) + zero


def thresholds(
    rescale: Rescale, rounding: Rounding, y: OutputS8, sum_range: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smallest sum in a range at which each code is reached.

    Parameters
    ----------
    rescale : Rescale
    rounding : Rounding
    y : OutputS8
    sum_range : (int, int)
        Lowest and highest sum. The exact rule must be monotone in it: |sum| * 2**left < 2**31.

    Returns
    -------
    codes : int64[n]
        The codes in (lo, hi].
    first : int64[n]
        The smallest sum in the range that gives at least this code; one beyond the range's end if there is none.

    Examples
    --------
    >>> codes, first = thresholds(Rescale(1 << 30, 0, 0), Rounding.SINGLE, OutputS8(0, 0, 3), (-100, 100))
    >>> codes.tolist(), first.tolist()
    ([1, 2, 3], [1, 3, 5])
    """
    codes = np.arange(y.lo + 1, y.hi + 1, dtype=np.int64)
    low = np.full(codes.shape, sum_range[0], np.int64)
    high = np.full(codes.shape, sum_range[1] + 1, np.int64)
    while (low < high).any():
        middle = (low + high) // 2
        reached = exact_codes(np.minimum(middle, sum_range[1]), rescale, rounding, y.zero) >= codes
        high = np.where(reached, middle, high)
        low = np.where(reached | (low >= high), low, middle + 1)
    return codes, high


def _offset(
    mult: int, shift: int, steps: tuple[NDArray[np.int64], NDArray[np.int64]], sum_range: tuple[int, int]
) -> int | None:
    """Offset in units of ``2**(shift - 24)`` with which `mult` steps exactly where the exact rule does, or None.

    ``first * mult + offset >= (code + 128) * 2**shift > (first - 1) * mult + offset``, each side only inside the range.
    """
    codes, first = steps
    target, unit = (codes + 128) << shift, shift - 24
    inside, before = first <= sum_range[1], first > sum_range[0]
    lowest = int((target - first * mult)[inside].max(initial=0))
    highest = int((target - (first - 1) * mult)[before].min(initial=256 << shift)) - 1
    offset = -(-lowest >> unit)
    return offset if offset << unit <= highest and offset < 1 << 32 else None


def wide_step(
    rescale: Rescale, rounding: Rounding, y: OutputS8, sum_range: tuple[int, int], *, shift: int, tries: int = 8
) -> tuple[int, int] | None:
    """Find a multiplier and an offset that equal the exact rule for every sum in a range.

    Parameters
    ----------
    rescale : Rescale
    rounding : Rounding
    y : OutputS8
    sum_range : (int, int)
        Lowest and highest sum, below 2**23 in magnitude: the proven range.
    shift : int
        32 or 40: of the kernel that is to read the record.
    tries : int
        Multipliers tried on either side of the nearest.

    Returns
    -------
    (mult, offset) or None
        None if there is none among those tried: the sum keeps the exact rule.

    Examples
    --------
    >>> wide_step(Rescale(1 << 30, 0, 9), Rounding.SINGLE, OutputS8(0, -128, 127), (-70000, 70000), shift=40)
    (1073741825, 2155872256)
    """
    nearest = round(rescale.mult * 2.0 ** (shift - 31 + rescale.left - rescale.right))
    largest = max(-sum_range[0], sum_range[1])
    if nearest >= 1 << 32 or largest << rescale.left >= 1 << 31 or largest * nearest >= 1 << (shift + 14):
        return None
    steps = thresholds(rescale, rounding, y, sum_range)
    for distance in range(2 * tries + 1):
        mult = nearest + (distance + 1) // 2 * (1 if distance % 2 else -1)
        if 0 <= mult < 1 << 32:
            offset = _offset(mult, shift, steps, sum_range)
            if offset is not None:
                return mult, offset
    return None


@dataclass(frozen=True, eq=False)
class WideSteps:
    """Records of a layer for ``eng_requant<shift>_s24_s8``.

    Parameters
    ----------
    shift : int
    steps : uint32[out, 2]
        ``eng_step[out]``: mult, offset.
    negative_is_lo : bool
        Whether every negative sum gives ``lo``, for every output.
    """

    shift: int
    steps: NDArray[np.uint32]
    negative_is_lo: bool


def wide_steps(
    rescale: tuple[Rescale, ...], rounding: Rounding, y: OutputS8, sum_ranges: list[tuple[int, int]]
) -> WideSteps | None:
    """Find the records of a whole layer, with the larger shift if that is possible.

    Parameters
    ----------
    rescale : tuple of Rescale
        One, or one an output.
    rounding : Rounding
    y : OutputS8
    sum_ranges : list of (int, int)
        One an output.

    Returns
    -------
    WideSteps or None
        None if some output has no such record.
    """
    records = rescale if len(rescale) == len(sum_ranges) else rescale * len(sum_ranges)
    for shift in (40, 32):
        found = [wide_step(r, rounding, y, span, shift=shift) for r, span in zip(records, sum_ranges, strict=True)]
        if all(step is not None for step in found):
            minus_one = np.array([-1])
            below = [exact_codes(minus_one, r, rounding, y.zero)[0] <= y.lo for r in records]
            return WideSteps(shift, np.array(found, np.uint32), all(below))
    return None
