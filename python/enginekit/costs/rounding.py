"""What the functions of csrc/include/eng/quant.h and eng_dot_s8 do, by the numbers that they are called with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.program import OutputS8, Ratio, Rescale
from enginekit.costs.bill import Bill

DOUBLE, SINGLE = "eng_rescale_double", "eng_rescale_single"
_REQUANT = {DOUBLE: "eng_requant_double_s8", SINGLE: "eng_requant_single_s8"}
WIDE = "eng_requant_wide_s8"
DOUBLE24 = "eng_requant_double_s24_s8"
_SUM24, _BYTE = (1 << 23) - 1, 255
_HALF, _WORD, _FRACTION = 1 << 31, (1 << 32) - 1, (1 << 20) - 1
_CUTS: tuple[dict[str, float], ...] = ({}, {"below": 1.0}, {"above": 1.0})


def divide(bill: Bill, times: float, n: int, negative: float = 0) -> None:
    """Count calls of ``eng_divide_s32`` with one shift, `negative` of them of negative numbers."""
    bill.add("eng_divide_s32", call=times, **_scaled(_divide_shift(n), times), negative=negative if 0 < n <= 31 else 0)


def dot(bill: Bill, times: float, n: int) -> None:
    """Count calls of ``eng_dot_s8`` over `n` products."""
    shape = {"product": n, "odd": n % 2, "page": n // 256, "none": int(n % 256 == 0)}
    bill.add("eng_dot_s8", call=times, **_scaled(shape, times))


def rescale(
    bill: Bill,
    function: str,
    records: Sequence[Rescale],
    calls: float,
    sums: NDArray[np.int64] | None,
    *,
    y: OutputS8 | None = None,
) -> None:
    """Count calls of ``eng_rescale_double`` or ``_single``, or of ``eng_requant_*`` if there is a `y`.

    Parameters
    ----------
    bill : Bill
    function : str
        ``DOUBLE`` or ``SINGLE``.
    records : sequence of Rescale
        One for all calls, or each for as many of them.
    calls : float
    sums : int64[n, ..., channels], optional
        What is rescaled, of n samples; the last dimension meets the records if there are several. Without, all that can be.
    y : OutputS8, optional
    """
    name = function if y is None else _REQUANT[function]
    shifts = _double_shift if function == DOUBLE else _single_shift
    share = calls / len(records)
    for number, record in enumerate(records):
        bill.add(name, call=share, **_scaled(shifts(record), share))
        if sums is None:
            signs = [{}, {"negative": 1.0}]
            signs += [{"negative": 1.0, "negative_high": 1.0}] if function == DOUBLE and record.right else []
            bill.choose(share, name, *(a | b for a, b in product(signs, _CUTS if y else ({},))))
        else:
            own = sums if len(records) == 1 else sums[..., number]
            bill.add(name, **_scaled(_seen(function, own.ravel(), record, y), 1 / len(sums)))


def requantized(function: str, sums: NDArray[np.int64], records: Sequence[Rescale], y: OutputS8) -> NDArray[np.int64]:
    """Codes of sums ``int64[..., channels]``, one record for all or one a channel."""
    if len(records) == 1:
        return np.asarray((rescaled(function, sums, records[0]) + y.zero).clip(y.lo, y.hi))
    columns = [rescaled(function, sums[..., n], record) for n, record in enumerate(records)]
    return np.asarray((np.stack(columns, axis=-1) + y.zero).clip(y.lo, y.hi))


def rescaled(function: str, sums: NDArray[np.int64], record: Rescale) -> NDArray[np.int64]:
    """Give what ``eng_rescale_double`` or ``_single`` makes of sums of any shape."""
    rule = kernels.rescale_double if function == DOUBLE else kernels.rescale_single
    return rule(np.ascontiguousarray(sums, np.int32).ravel(), record).astype(np.int64).reshape(sums.shape)


def _seen(function: str, sums: NDArray[np.int64], record: Rescale, y: OutputS8 | None) -> dict[str, float]:
    """Count what depends on the numbers."""
    sums = sums.astype(np.int32)
    found: dict[str, Any] = {}
    if function == DOUBLE:
        found["negative"] = (np.left_shift(sums, record.left) < 0).sum()
        if record.right:
            found["negative_high"] = (rescaled(function, sums, Rescale(record.mult, record.left, 0)) < 0).sum()
    else:
        found["negative"] = (sums < 0).sum()
    if y is not None:
        codes = rescaled(function, sums, record) + y.zero
        found |= {"below": (codes < y.lo).sum(), "above": (codes > y.hi).sum()}
    return found


def _scaled(events: dict[str, Any], times: float) -> dict[str, float]:
    return {name: float(n) * times for name, n in events.items()}


def _divide_shift(n: int) -> dict[str, float]:
    if n == 0 or n > 31:
        return {"none" if n == 0 else "gone": 1.0}
    return {"bytes": float((n - 1) // 8), "bits": float((n - 1) % 8)}


def _double_shift(record: Rescale) -> dict[str, float]:
    return {"left": float(record.left), **_divide_shift(record.right)}


def _single_shift(record: Rescale) -> dict[str, float]:
    shift = 30 - record.left + record.right
    return {"near": float(shift)} if shift < 32 else {"far": 1.0, "bytes": float((shift - 32) // 8), "bits": float(shift % 8)}


def requant_s24(bill: Bill, records: Sequence[Rescale], y: OutputS8, count: int, sums: NDArray[np.int64] | None) -> None:
    """Count ``eng_requant_single_s24_s8`` of `count` sums; arguments as for :func:`rescale`."""
    bill.add("eng_requant_single_s24_s8", call=1, output=count)
    rescale(bill, SINGLE, records, count, sums, y=y)


def requant_double_s24(
    bill: Bill, records: Sequence[Rescale], y: OutputS8, shape: tuple[int, int], sums: NDArray[np.int64] | None
) -> None:
    """Count calls of ``eng_requant_double_s24_s8``: `shape` are calls and copies.

    Of sums ``int64[calls, copies, count]``; without, of all that can be. One record a sum.
    """
    count, (calls, copies) = len(records), shape
    bill.add(DOUBLE24, call=calls, record=calls * count, copy=calls * copies)
    exact24(bill, DOUBLE24, records, calls * copies, None if sums is None else sums[None], y=y)


def exact24(
    bill: Bill, name: str, records: Sequence[Rescale], times: int, sums: NDArray[np.int64] | None, *, y: OutputS8
) -> None:
    """Count what the exact rule takes in assembly for `times` sums of each record.

    Of sums ``int64[n, ..., channels]`` of n samples; without, of all that can be.
    """
    for number, record in enumerate(records):
        shift = record.right - 1
        each = {"none": 1.0} if shift < 0 else {"bytes": float(shift // 8), "bits": float(shift % 8)}
        bill.add(name, sum=times, **_scaled(each, times))
        if sums is None:
            ends: tuple[dict[str, float], ...] = (*_CUTS, {"far": 1.0}, {"negative": 1.0, "far_negative": 1.0})
            bill.choose(times, name, *ends, *({"negative": 1.0} | cut for cut in _CUTS))
            continue
        own = sums[..., number]
        steps = rescaled(DOUBLE, own, record)
        far, codes = np.abs(steps) > _BYTE, steps + y.zero
        found = {"negative": own < 0, "far": far & (own >= 0), "far_negative": far & (own < 0)}
        found |= {"below": ~far & (codes < y.lo), "above": ~far & (codes > y.hi)}
        bill.add(name, **{event: float(each.sum()) / len(sums) for event, each in found.items()})


def add_s24(bill: Bill, count: int, totals: NDArray[np.int64] | None) -> None:
    """Count ``eng_add_s24`` of `count` sums, with what they add up to, ``int64[n, count]``."""
    bill.add("eng_add_s24", call=1, sum=count)
    if totals is None:
        bill.choose(count, "eng_add_s24", {}, {"low": 1.0}, {"high": 1.0})
    else:
        ends = {"low": totals < -_SUM24, "high": totals > _SUM24}
        bill.add("eng_add_s24", **{event: each.sum() / len(totals) for event, each in ends.items()})


# ------------------------------------------------------------------------------------------------ ratios in full


def requant_wide(bill: Bill, ratios: Sequence[Ratio], y: OutputS8, calls: float, sums: NDArray[np.int64] | None) -> None:
    """Count calls of ``eng_requant_wide_s8``; arguments as for :func:`rescale`."""
    share = calls / len(ratios)
    for number, ratio in enumerate(ratios):
        bill.add(WIDE, call=share)
        if sums is not None:
            own = (sums if len(ratios) == 1 else sums[..., number]).ravel()
            for outcome in _wide_seen(own, ratio, y):
                bill.add(WIDE, **_scaled(outcome, 1 / len(sums)))
        elif ratio.high == 0:
            bill.choose(share, WIDE, *(a | b for a, b in product(({"zero": 1.0}, {"null": 1.0}), _CUTS)))
        else:
            bill.choose(4 * share, WIDE, {}, {"carry": 1.0})
            ends = product(range(32), ({}, {"negative": 1.0}), ({}, {"tie": 1.0}, {"up": 1.0}), ({}, {"beyond": 1.0}), _CUTS)
            outcomes = [_wide_shifts(n, ratio) | a | b | c | d for n, a, b, c, d in ends]
            bill.choose(share, WIDE, {"zero": 1.0}, *outcomes)


def _wide_shifts(n: int, ratio: Ratio) -> dict[str, float]:
    """Count what follows from the number of bits beyond 53."""
    shift = 1075 - (ratio.high >> 20) - n
    left = 32 - n  # shifted by loops or counted by halves, as the compiler likes
    found: dict[str, float] = {
        "left_words": left // 16,
        "left_bytes": left // 8,
        "left_halves": left % 8 // 4,
        "left_bits": left % 8,
    }
    found["exact"] = int(n == 0)
    if shift <= 0:
        return found | {"large": 1.0}
    return found | ({"vanished": 1.0} if shift > 54 else {"right_bytes": (shift - 1) // 8, "right_bits": (shift - 1) % 8})


def _wide_seen(sums: NDArray[np.int64], ratio: Ratio, y: OutputS8) -> list[dict[str, float]]:
    results = kernels.rescale_wide(np.ascontiguousarray(sums, np.int32), ratio).astype(np.int64)
    codes = results + y.zero
    found: list[dict[str, float]] = [{"below": float((codes < y.lo).sum()), "above": float((codes > y.hi).sum())}]
    zeros = float((sums == 0).sum())
    if ratio.high == 0:
        return [*found, {"zero": zeros, "null": sums.size - zeros}]
    found.append({"zero": zeros, "negative": float((sums < 0).sum())})
    mantissa = ((ratio.high & _FRACTION) + _FRACTION + 1) << 32 | ratio.low
    for magnitude in np.abs(sums[sums != 0]).tolist():
        n = max((magnitude * mantissa).bit_length() - 53, 0)
        lost = (magnitude * mantissa & _WORD) << (32 - n) & _WORD if n else 0
        shifts = _wide_shifts(n, ratio)
        whole = "large" not in shifts and magnitude * mantissa >> (1075 - (ratio.high >> 20)) > _WORD >> 1
        ends = {"up": float(lost > _HALF), "tie": float(lost == _HALF), "beyond": float(whole)}
        found += [shifts, ends, {"carry": float(sum(_carries(magnitude, half) for half in (mantissa & _WORD, mantissa >> 32)))}]
    return found


def _carries(a: int, b: int) -> int:
    """Carries into the top word of a product of two numbers of 32 bits, made of four products of halves."""
    (a1, a0), (b1, b0) = divmod(a, 1 << 16), divmod(b, 1 << 16)
    middle, carries = ((a1 * b1 << 32 | a0 * b0) >> 16) & _WORD, 0
    for cross in (a1 * b0, a0 * b1):
        middle += cross
        carries += middle >> 32
        middle &= _WORD
    return carries
