"""What ``eng_softmax_s8`` does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.program import SoftmaxParams, Step
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import divide
from enginekit.costs.samples import Samples

_NAME, _HIGH = "eng_softmax_s8", "eng_high_s32"
_ONE, _CHORD, _SLOPE = 1 << 29, 1515870810, -1010580540  # Q29_ONE, Q29_48_OVER_17, Q29_NEG_32_OVER_17
_STEPS = 3
_FRACTION, _SHIFT, _ZEROS = 12, 35, range(13)


def softmax(step: Step, samples: Samples) -> Bill:
    """Count ``eng_softmax_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, SoftmaxParams)
    elements = p.rows * p.size
    bill.add(_NAME, call=1, row=p.rows, element=elements)
    divide(bill, elements, _FRACTION)
    bill.add(_HIGH, call=elements + p.rows * (1 + 2 * _STEPS), negative_b=p.rows)  # the chord has a negative slope
    if samples.x is None:
        _any(bill, p)
    else:
        for row in samples.x.reshape(-1, p.size).astype(np.int64):
            _row(bill, p, row, 1 / len(samples.x))
    return bill


def _any(bill: Bill, p: SoftmaxParams) -> None:
    """Count what some row may do: at least one element is the largest, whose exponential is 1."""
    elements = p.rows * p.size
    bill.choose(elements, _NAME, {}, {"larger": 1.0})
    bill.choose(2 * elements, _NAME, {}, {"hit": 1.0})
    bill.choose(elements, _NAME, {}, {"full": 1.0})
    bill.choose(p.rows * _STEPS, _HIGH, {}, {"negative_b": 1.0})
    bill.add("eng_divide_s32", call=elements)
    shifts = [Bill() for _ in _ZEROS]
    for zeros, each in zip(_ZEROS, shifts, strict=True):
        divide(each, p.size, _SHIFT - zeros)
        each.times["eng_divide_s32", "call"] -= p.size
        each.add(_NAME, zero=zeros)
    bill.choices.append((p.rows, tuple(dict(each.times) for each in shifts)))
    bill.choose(p.rows, _NAME, {}, {"saturated": 1.0})


def _row(bill: Bill, p: SoftmaxParams, x: NDArray[np.int64], share: float) -> None:
    running = np.maximum.accumulate(np.concatenate([[-128], x]))
    difference = x.max() - x
    hit = difference < p.table_size
    table = np.array(p.table, np.int64)
    e = np.where(hit, table[np.where(hit, difference, 0)], 0)
    total = int(((e + (1 << (_FRACTION - 1))) >> _FRACTION).sum())
    zeros = 32 - total.bit_length()
    d = (total << zeros & 0xFFFFFFFF) >> 1
    at, negative = _CHORD + _high(d, _SLOPE), 0
    for _ in range(_STEPS):
        left = _ONE - _high(d, at)
        negative += left < 0
        at += 4 * _high(at, left)
    mult = (1 << 31) - 1 if at >= 1 << 30 else 2 * at
    shift = _SHIFT - zeros
    products = (e * mult + (1 << 30)) >> 31
    full = ((products + (1 << (shift - 1))) >> shift > 255).sum()
    found = {
        "larger": (np.diff(running) > 0).sum(),
        "hit": 2 * hit.sum(),
        "zero": zeros,
        "full": full,
        "saturated": at >= 1 << 30,
    }
    bill.add(_NAME, **{key: float(n) * share for key, n in found.items()})
    bill.add(_HIGH, negative_b=negative * share)
    divide(bill, len(x) * share, shift)


def _high(a: int, b: int) -> int:
    return (a * b + (1 << 30)) >> 31
