"""What the kernels without windows do: dense layers, joins, copies, tables, softmax, argmax, and the float edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.program import (
    AddParams,
    ArgmaxParams,
    Broadcast,
    CopyParams,
    DenseParams,
    DenseWideParams,
    LookupParams,
    MulParams,
    PadParams,
    RequantizeParams,
    Step,
)
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import DOUBLE, SINGLE, dot, requant_wide, rescale, rescaled
from enginekit.costs.samples import Samples

_ADD_SHIFT = 20  # ENG_ADD_SHIFT


def dense(step: Step, samples: Samples) -> Bill:
    """Count ``eng_dense_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, DenseParams)
    bill.add("eng_dense_s8", call=1, output=p.out)
    dot(bill, p.out, p.in_)
    rescale(bill, SINGLE, p.rescale, p.out, _dense_sums(step, samples.x, p.in_), y=p.y)
    return bill


def dense_wide(step: Step, samples: Samples) -> Bill:
    """Count ``eng_dense_wide_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, DenseWideParams)
    outputs = p.rows * p.out
    bill.add("eng_dense_wide_s8", call=1, row=p.rows, output=outputs)
    dot(bill, outputs, p.in_)
    requant_wide(bill, p.ratio, p.y, outputs, _dense_sums(step, samples.x, p.in_))
    return bill


def _dense_sums(step: Step, x: NDArray[np.int8] | None, size: int) -> NDArray[np.int64] | None:
    if x is None:
        return None
    assert step.w is not None
    assert step.bias is not None
    products = x.reshape(len(x), -1, size).astype(np.float64) @ step.w.reshape(-1, size).T.astype(np.float64)
    return products.astype(np.int64) + step.bias


def _joined(bill: Bill, name: str, step: Step, samples: Samples) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Count the walks along two operands; give both less their zero points, for each element of the result."""
    p = step.params
    assert isinstance(p, AddParams | MulParams)
    bill.add(name, call=1, element=p.count, constant=p.count if step.w is not None else 0)
    for prefix, walk in (("x", p.x), ("x2", p.x2)):
        bill.add(name, **{f"{prefix}_step": p.count // walk.repeat, f"{prefix}_turn": p.count // walk.repeat // walk.size})
    other = samples.x2 if step.w is None else np.tile(step.w.ravel(), (1 if samples.x is None else len(samples.x), 1))
    return _walked(samples.x, p.x, p.count, p.zero_x), _walked(other, p.x2, p.count, p.zero_x2)


def _walked(x: NDArray[np.int8] | None, walk: Broadcast, count: int, zero: int) -> NDArray[np.int64] | None:
    if x is None:
        return None
    return x.reshape(len(x), -1)[:, np.arange(count) // walk.repeat % walk.size].astype(np.int64) - zero


def add(step: Step, samples: Samples) -> Bill:
    """Count ``eng_add_s8`` and ``eng_sub_s8``."""
    p, bill, name = step.params, Bill(), f"eng_{step.kernel}"
    assert isinstance(p, AddParams)
    a, b = _joined(bill, name, step, samples)
    scaled = []
    for x, record, sign in ((a, p.rescale_x, 1), (b, p.rescale_x2, -1 if step.kernel == "sub_s8" else 1)):
        shifted = None if x is None else x * (sign << _ADD_SHIFT)
        rescale(bill, DOUBLE, (record,), p.count, shifted)
        scaled.append(None if shifted is None else rescaled(DOUBLE, shifted, record))
    both = None if scaled[0] is None or scaled[1] is None else scaled[0] + scaled[1]
    rescale(bill, DOUBLE, (p.rescale_y,), p.count, both, y=p.y)
    return bill


def mul(step: Step, samples: Samples) -> Bill:
    """Count ``eng_mul_s8``."""
    p, bill, name = step.params, Bill(), "eng_mul_s8"
    assert isinstance(p, MulParams)
    a, b = _joined(bill, name, step, samples)
    for key, x, zero in (("negative_x", a, p.zero_x), ("negative_x2", b, p.zero_x2)):
        if x is None:
            bill.choose(p.count, name, {}, *([{key: 1.0}] if zero > -128 else []))
        else:
            bill.add(name, **{key: (x < 0).sum() / len(x)})
    rescale(bill, DOUBLE, (p.rescale,), p.count, None if a is None or b is None else a * b, y=p.y)
    return bill


def requantize(step: Step, samples: Samples) -> Bill:
    """Count ``eng_requantize_s8`` and its kin for uint8."""
    p, bill = step.params, Bill()
    assert isinstance(p, RequantizeParams)
    bill.add(f"eng_{step.kernel}", call=1, element=p.count)
    sums = None
    if samples.x is not None:
        codes = samples.x.view(np.uint8).astype(np.int64) - 128 if step.kernel == "requantize_u8_s8" else samples.x
        sums = codes.astype(np.int64) - p.zero_x
    rescale(bill, DOUBLE, (p.rescale,), p.count, sums, y=p.y)
    return bill


def copy(step: Step, _: Samples) -> Bill:
    """Count ``eng_copy_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, CopyParams)
    bill.add("eng_copy_s8", call=1, row=p.rows, byte=p.rows * p.size)
    return bill


def pad(step: Step, _: Samples) -> Bill:
    """Count ``eng_pad_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, PadParams)
    pixel = p.front + p.channels + p.back
    row = (p.left + p.in_w + p.right) * pixel
    whole = pixel == p.channels
    copied = p.in_h * p.in_w * p.channels
    bill.add("eng_pad_s8", call=1, row=p.in_h, whole=p.in_h * whole, piece=p.in_h * (1 if whole else p.in_w), copied=copied)
    bill.add("eng_pad_s8", filled=(p.top + p.in_h + p.bottom) * row)
    return bill


def lookup(step: Step, _: Samples) -> Bill:
    """Count ``eng_lookup_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, LookupParams)
    bill.add("eng_lookup_s8", call=1, element=p.count)
    return bill


def argmax(step: Step, samples: Samples) -> Bill:
    """Count ``eng_argmax_s8``."""
    p, bill, name = step.params, Bill(), "eng_argmax_s8"
    assert isinstance(p, ArgmaxParams)
    others = p.rows * (p.size - 1)
    bill.add(name, call=1, row=p.rows, element=others)
    if samples.x is None:
        bill.choose(others, name, {}, {"larger": 1.0})
    else:
        backwards = samples.x.reshape(len(samples.x), p.rows, p.size).astype(np.int64)[:, :, ::-1]
        highest = np.maximum.accumulate(backwards, axis=2)
        bill.add(name, larger=(backwards[:, :, 1:] >= highest[:, :, :-1]).sum() / len(backwards))
    return bill
