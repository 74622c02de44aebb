"""What ``eng_conv3x3_pool2_s8`` does: by its records, since sums that leave 16 bits take a longer way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from enginekit.costs.bill import Bill

NAME = "eng_conv3x3_pool2_s8"
_WORD = 1 << 16
_OUTPUTS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True, eq=False)
class Records:
    """An ``eng_conv3x3_pool2`` in numbers.

    Parameters
    ----------
    w : int64[out_c, 9]
    bias, mult, offset : int64[out_c]
    in_w, out_h, out_w, zero_x, shift : int
    negative_is_lo : bool
    """

    w: NDArray[np.int64]
    bias: NDArray[np.int64]
    mult: NDArray[np.int64]
    offset: NDArray[np.int64]
    in_w: int
    out_h: int
    out_w: int
    zero_x: int
    shift: int
    negative_is_lo: bool


def conv3x3_pool2(r: Records, x: NDArray[np.int8] | None, x_range: tuple[int, int] = (-128, 127)) -> Bill:
    """Count a call for inputs ``x[n, in_h * in_w]``, or for all in a range."""
    bill, windows = Bill(), r.out_h * r.out_w
    bill.add(NAME, call=1, row=r.out_h)
    if x is None:
        bill.choose(windows, NAME, {"moving": 1.0, "still_row": 3.0}, {"still": 1.0, "still_code": len(r.w)})
        for w in r.w:
            _any_filter(bill, r, w, windows, x_range)
        return bill
    image = x.reshape(len(x), -1, r.in_w).astype(np.int64)
    corners = sliding_window_view(image, (4, 4), axis=(1, 2))[:, ::2, ::2][:, : r.out_h, : r.out_w]
    still = np.minimum.accumulate((corners == r.zero_x).all(axis=4), axis=3)
    moving, share = ~still[..., 3], 1 / len(x)
    count = int(moving.sum()) * share
    bill.add(NAME, moving=count, still_row=still[moving].sum() * share, still=windows - count)
    bill.add(NAME, still_code=(windows - count) * len(r.w))
    for number in range(len(r.w)):
        found = _filter(r, number, corners[moving])
        bill.add(NAME, **{event: float(np.sum(each)) * share for event, each in found.items()})
    return bill


def _any_filter(bill: Bill, r: Records, w: NDArray[np.int64], windows: int, x_range: tuple[int, int]) -> None:
    """Count what a filter may do: each overflow beyond the first of a sum needs products that add up to half a word."""
    reach = int(np.abs(w).sum()) * max(-x_range[0], x_range[1])
    overflows = max((reach - _WORD // 2) // (_WORD // 4) + 1, 0) if reach >= _WORD // 2 else 0
    wide: dict[str, float] = {"wide": 1.0, "overflow": 4.0 * min(overflows, 7), "odd": 4.0, "larger": 3.0} if overflows else {}
    long = {"shift32": 1.0, "beyond32": 1.0} if r.shift == 32 else {"beyond": 1.0}
    ends = [{"long": 1.0} | long, {"long": 1.0, "tall": 1.0} | long, {"long": 1.0, "tall": 1.0, "negative": 1.0} | long]
    bill.add(NAME, filter=windows, asked=windows * r.negative_is_lo)
    bill.choose(windows, NAME, *(wide | end for end in (*ends, *([{}] if r.negative_is_lo else []))))


def _filter(r: Records, number: int, corners: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
    """Count one filter at windows ``corners[n, 4, 4]``."""
    sums = [_sum(r.w[number], corners[:, i : i + 3, j : j + 3].reshape(-1, 9)) for i, j in _OUTPUTS]
    lows, highs, overflows = (np.stack(each) for each in zip(*sums, strict=True))
    wide = (highs != 0).any(axis=0)
    totals = lows + highs * (_WORD // 2)
    first, second = totals[0] < totals[1], totals[2] < totals[3]
    third = np.maximum(totals[0], totals[1]) < np.maximum(totals[2], totals[3])
    total = totals.max(axis=0) + r.bias[number]
    long = (total >= 0) | (not r.negative_is_lo)
    scaled = total * r.mult[number] + (r.offset[number] << (r.shift - 24)) >> r.shift
    return {
        "filter": np.ones(len(corners)),
        "asked": np.full(len(corners), r.negative_is_lo),
        "overflow": overflows,
        "wide": wide,
        "odd": wide & (highs & 1 == 1),
        "larger": wide & np.stack([first, second, third]),
        "long": long,
        "shift32": long & (r.shift == 32),
        "tall": long & (total >> 16 != 0),
        "negative": long & (total < 0),
        ("beyond32" if r.shift == 32 else "beyond"): long & (scaled >> 8 != 0),
    }


def _sum(w: NDArray[np.int64], x: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Add products as the kernel does: a sum of 16 bits, what it left them by in half words, and how often it did."""
    low = np.zeros(len(x), np.int64)
    high, overflows = low.copy(), low.copy()
    for tap in range(9):
        low = low + w[tap] * x[:, tap]
        over = (low >= _WORD // 2).astype(np.int64) - (low < -_WORD // 2)
        low, high, overflows = low - over * (_WORD // 2), high + over, overflows + np.abs(over)
    return low, high, overflows
