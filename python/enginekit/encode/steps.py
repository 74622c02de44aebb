"""Requantization with shorter multipliers, proven equal to the exact rule.

Requantizing is a step function of the sum with at most 255 steps. One multiplication, whose shift is whole bytes, gives the
same codes for every sum of a range if and only if it steps at the same sums. :func:`wide_step` looks for such a multiplier.
"""

from __future__ import annotations

import functools
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
    rescale: Rescale, rounding: Rounding, y: OutputS8, sum_range: tuple[int, int], grid: tuple[int, int] = (1, 0)
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smallest sum in a range at which each code is reached.

    Parameters
    ----------
    rescale : Rescale
    rounding : Rounding
    y : OutputS8
    sum_range : (int, int)
        Lowest and highest sum. The exact rule must be monotone in it: |accumulator| * 2**left < 2**31.
    grid : (int, int)
        The accumulator is ``grid[0] * sum + grid[1]``.

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
        reached = exact_codes(np.minimum(middle, sum_range[1]) * grid[0] + grid[1], rescale, rounding, y.zero) >= codes
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
    rescale: Rescale,
    rounding: Rounding,
    y: OutputS8,
    sum_range: tuple[int, int],
    *,
    shift: int,
    tries: int = 8,
    grid: tuple[int, int] = (1, 0),
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
    grid : (int, int)
        The accumulator is ``grid[0] * sum + grid[1]``.

    Returns
    -------
    (mult, offset) or None
        None if there is none among those tried: the sum keeps the exact rule.

    Examples
    --------
    >>> wide_step(Rescale(1 << 30, 0, 9), Rounding.SINGLE, OutputS8(0, -128, 127), (-70000, 70000), shift=40)
    (1073741825, 2155872256)
    """
    nearest = round(rescale.mult * grid[0] * 2.0 ** (shift - 31 + rescale.left - rescale.right))
    largest = max(-sum_range[0], sum_range[1])
    furthest = largest * grid[0] + abs(grid[1])
    if nearest >= 1 << 32 or furthest << rescale.left >= 1 << 31 or largest * nearest >= 1 << (shift + 14):
        return None
    steps = thresholds(rescale, rounding, y, sum_range, grid)
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
    rescale: tuple[Rescale, ...],
    rounding: Rounding,
    y: OutputS8,
    sum_ranges: list[tuple[int, int]],
    grids: list[tuple[int, int]] | None = None,
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
    grids : list of (int, int), optional
        One an output: the accumulator is ``grid[0] * sum + grid[1]``. By default it is the sum.

    Returns
    -------
    WideSteps or None
        None if some output has no such record.
    """
    records = rescale if len(rescale) == len(sum_ranges) else rescale * len(sum_ranges)
    grids = grids or [(1, 0)] * len(sum_ranges)
    for shift in (40, 32):
        each = zip(records, sum_ranges, grids, strict=True)
        found = [wide_step(r, rounding, y, span, shift=shift, grid=grid) for r, span, grid in each]
        if all(step is not None for step in found):
            before = [np.array([grid[1] - grid[0]]) for grid in grids]  # accumulators of the sum -1
            below = [exact_codes(sums, r, rounding, y.zero)[0] <= y.lo for sums, r in zip(before, records, strict=True)]
            return WideSteps(shift, np.array(found, np.uint32), all(below))
    return None


#: Shift and unit of the offset of ``eng_short_step``, the bits of its numbers, and the most doublings.
_SHORT_SHIFT, _SHORT_UNIT, _SHORT_MULT, _SHORT_OFFSET, _MOST_DOUBLINGS = 32, 8, 24, 24, 8
#: Cycles of ``eng_requant_short_s24_s8``: call, record, sum, one beyond 16 bits, negative one; a sum beside the first
#: of a record, and for that once; doubled sum, and each doubling.
_SHORT_CALL, _SHORT_RECORD, _SHORT_SUM, _SHORT_LARGE, _SHORT_NEGATIVE = 97, 10, 69, 89, 15
_SHORT_COPY, _SHORT_COPIES, _SHORT_DOUBLED, _SHORT_DOUBLING = 9, 5, 3, 6
#: Cycles of ``eng_requant_each_s24_s8``: call, sum, one beyond 16 bits, negative one.
_EACH_CALL, _EACH_SUM, _EACH_LARGE, _EACH_NEGATIVE = 59, 72, 92, 18
#: Most sums of it and of ``eng_requant_same_s24_s8``, and the latter's cycles: call, sum, one beyond 16 bits, negative one.
_SAME_MOST = 255
_SAME_CALL, _SAME_SUM, _SAME_LARGE, _SAME_NEGATIVE = 87, 60, 80, 14
#: More where there are halvings: of a sum, of one beyond 16 bits, of each halving; and the most of them.
_HALVED, _LARGE_HALVED, _HALVING, _MOST_HALVINGS = 7, 3, 5, 7


@dataclass(frozen=True, eq=False)
class ShortSteps:
    """Records of a layer for ``eng_requant_short_s24_s8`` or ``eng_requant_each_s24_s8``, or for ``eng_requant_same_s24_s8``.

    Parameters
    ----------
    start : int64[out]
        What the bias of each sum is lowered by: the sum at which the code leaves ``lo``.
    steps : uint8[out, 6]
        ``eng_short_step[out]``.
    doublings, halvings : int
        Halvings only if there is one record for all.
    """

    start: NDArray[np.int64]
    steps: NDArray[np.uint8]
    doublings: int
    halvings: int = 0

    def cycles_for(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cycles of ``eng_requant_short_s24_s8`` for each of `sums`, ``int64[n, copies, out]`` before `start` is taken off.

        Within 1 a sum. They rise with the sum: those of the highest are the slowest.
        """
        each = self._each(sums - self.start, _SHORT_SUM, _SHORT_LARGE, _SHORT_NEGATIVE).sum(axis=(1, 2))
        more = _SHORT_COPY * sums.shape[2] + _SHORT_COPIES
        return np.asarray(_SHORT_CALL + each + _SHORT_RECORD * sums.shape[2] + more * (sums.shape[1] - 1), np.int64)

    def same_cycles_for(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cycles of ``eng_requant_same_s24_s8`` for each of `sums`, ``int64[n, out]`` before `start` is taken off.

        Within 1 a sum, as those of :meth:`cycles_for`.
        """
        small, large = _SAME_SUM, _SAME_LARGE
        if self.halvings:
            small, large = small + _HALVED + _HALVING * self.halvings, large + _LARGE_HALVED + _HALVING * self.halvings
        return np.asarray(_SAME_CALL + self._each(sums - self.start, small, large, _SAME_NEGATIVE).sum(axis=1), np.int64)

    def each_cycles_for(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cycles of ``eng_requant_each_s24_s8``, as those of :meth:`same_cycles_for`."""
        each = self._each(sums - self.start, _EACH_SUM, _EACH_LARGE, _EACH_NEGATIVE)
        return np.asarray(_EACH_CALL + each.sum(axis=1), np.int64)

    @property
    def fits_each(self) -> bool:
        """Whether one call of ``eng_requant_each_s24_s8`` takes all sums."""
        return len(self.steps) <= _SAME_MOST

    @property
    def is_one(self) -> bool:
        """Whether one record serves all sums, in one call."""
        return bool((self.steps == self.steps[0]).all()) and len(self.steps) <= _SAME_MOST

    def _each(self, over: NDArray[np.int64], small: int, large: int, negative: int) -> NDArray[np.int64]:
        doubled = _SHORT_DOUBLED + _SHORT_DOUBLING * self.doublings if self.doublings else 0
        above = np.where(over << self.doublings < 1 << 16, small, large) + doubled
        return np.where(over < 0, negative, above)


def short_step(
    rescale: Rescale,
    rounding: Rounding,
    y: OutputS8,
    sum_range: tuple[int, int],
    *,
    doublings: int,
    tries: int = 16,
    grid: tuple[int, int] = (1, 0),
) -> tuple[int, int, int] | None:
    """Find start, multiplier and offset that equal the exact rule for every sum in a range.

    Parameters
    ----------
    rescale : Rescale
    rounding : Rounding
    y : OutputS8
    sum_range : (int, int)
        Lowest and highest sum, below 2**23 in magnitude: the proven range.
    doublings : int
        Of the kernel's call; less than 0 for halvings.
    tries : int
        Multipliers tried on either side of the nearest.
    grid : (int, int)
        The accumulator is ``grid[0] * sum + grid[1]``.

    Returns
    -------
    (start, mult, offset) or None
        None if there is none among those tried.

    Examples
    --------
    >>> short_step(Rescale(1 << 30, 0, 9), Rounding.SINGLE, OutputS8(0, 0, 127), (-70000, 70000), doublings=0)
    (512, 4194304, 0)
    """
    nearest = round(rescale.mult * grid[0] * 2.0 ** (_SHORT_SHIFT - doublings - 31 + rescale.left - rescale.right))
    low, high = sum_range
    furthest = max(-low, high) * grid[0] + abs(grid[1])
    if nearest >= 1 << _SHORT_MULT or furthest << rescale.left >= 1 << 31:
        return None
    codes, first = thresholds(rescale, rounding, y, sum_range, grid)
    inside, before = first <= high, first > low
    if not inside.any():
        return high + 1, 0, 0  # always lo
    target, left = (codes - y.lo - 1) << (_SHORT_SHIFT - doublings), max(doublings, 0)
    for distance in range(2 * tries + 1):
        mult = nearest + (distance + 1) // 2 * (1 if distance % 2 else -1)
        if not 1 <= mult < 1 << _SHORT_MULT:
            continue
        # mult * sum + offset reaches each target at its first sum, and not before
        least = int((target - first * mult)[inside].max())
        most = int((target - (first - 1) * mult)[before].min(initial=1 << 62)) - 1
        start = -(least // mult)
        offset = -(-(least + start * mult << left) >> _SHORT_UNIT)
        if offset << _SHORT_UNIT <= most + start * mult << left and _fits_short(start, offset, sum_range, left):
            return start, mult, offset
    return None


def _fits_short(start: int, offset: int, sum_range: tuple[int, int], doublings: int) -> bool:
    """Whether sums that count from `start` keep to the bounds of ``eng_requant_short_s24_s8``."""
    low, high = sum_range[0] - start, sum_range[1] - start
    return offset < 1 << _SHORT_OFFSET and low >= -(1 << 23) and high < min(1 << 23, 1 << 24 - doublings)


def short_steps(
    rescale: tuple[Rescale, ...],
    rounding: Rounding,
    y: OutputS8,
    sum_ranges: list[tuple[int, int]],
    grids: list[tuple[int, int]] | None = None,
) -> ShortSteps | None:
    """Find the records of a whole layer.

    Parameters
    ----------
    rescale : tuple of Rescale
        One, or one an output.
    rounding : Rounding
    y : OutputS8
    sum_ranges : list of (int, int)
        One an output.
    grids : list of (int, int), optional
        One an output: the accumulator is ``grid[0] * sum + grid[1]``. By default it is the sum.

    Returns
    -------
    ShortSteps or None
        None if some output has no such record: the layer keeps the multipliers of 32 bits, or the exact rule.
    """
    return _short_steps(rescale, rounding, y, tuple(sum_ranges), tuple(grids or [(1, 0)] * len(sum_ranges)))


@functools.lru_cache(maxsize=32)
def _short_steps(
    rescale: tuple[Rescale, ...],
    rounding: Rounding,
    y: OutputS8,
    sum_ranges: tuple[tuple[int, int], ...],
    grids: tuple[tuple[int, int], ...],
) -> ShortSteps | None:
    """Find them once: strips of a layer have the same."""
    records = rescale if len(rescale) == len(sum_ranges) else rescale * len(sum_ranges)
    if y.lo >= y.hi:
        return None
    scales = [grid[0] * 2.0 ** (record.left - record.right - 31) for record, grid in zip(records, grids, strict=True)]
    largest = max(record.mult * scale for record, scale in zip(records, scales, strict=True))
    least = next((n for n in range(_MOST_DOUBLINGS + 1) if largest < 2.0 ** (n - 8)), None)
    if least is None:
        return None
    for doublings in range(least, _MOST_DOUBLINGS + 1):
        each = zip(records, sum_ranges, grids, strict=True)
        found = [short_step(r, rounding, y, span, doublings=doublings, grid=grid) for r, span, grid in each]
        known = [step for step in found if step is not None]
        if len(known) == len(found):
            return ShortSteps(*_records(known), doublings)
    return None


def _records(found: list[tuple[int, int, int]]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Write starts, and multipliers with offsets as the kernels read them."""
    numbers = [[*mult.to_bytes(3, "little"), *offset.to_bytes(3, "little")] for _, mult, offset in found]
    return np.array([start for start, _, _ in found], np.int64), np.array(numbers, np.uint8)


def same_steps(
    rescale: Rescale,
    rounding: Rounding,
    y: OutputS8,
    sum_ranges: list[tuple[int, int]],
    grid: tuple[int, int] = (1, 0),
) -> ShortSteps | None:
    """Find one record for all sums of a layer whose weights have one scale.

    Parameters
    ----------
    rescale : Rescale
    rounding : Rounding
    y : OutputS8
    sum_ranges : list of (int, int)
        One an output.
    grid : (int, int)
        Every accumulator is ``grid[0] * sum + grid[1]``.

    Returns
    -------
    ShortSteps or None
        None if there is no such record.

    Examples
    --------
    >>> found = same_steps(Rescale(1 << 30, 0, 9), Rounding.SINGLE, OutputS8(0, 0, 127), [(-9, 700), (-70000, 70000)])
    >>> found.start.tolist(), found.steps.tolist(), found.doublings, found.halvings
    ([512, 512], [[0, 0, 64, 0, 0, 0], [0, 0, 64, 0, 0, 0]], 0, 0)
    """
    ratio = rescale.mult * grid[0] * 2.0 ** (rescale.left - rescale.right - 31)
    least = next((n for n in range(-_MOST_HALVINGS, _MOST_DOUBLINGS + 1) if ratio < 2.0 ** (n - 8)), None)
    if y.lo >= y.hi or least is None or len(sum_ranges) > _SAME_MOST:
        return None
    whole = min(low for low, _ in sum_ranges), max(high for _, high in sum_ranges)
    for doublings in sorted(range(least, _MOST_DOUBLINGS + 1), key=lambda n: (abs(n), n)):
        found = short_step(rescale, rounding, y, whole, doublings=doublings, grid=grid)
        if found is not None:
            return ShortSteps(*_records([found] * len(sum_ranges)), max(doublings, 0), max(-doublings, 0))
    return None
