"""What the edges between float32 and codes do: division, comparisons and conversions of avr-libc's float library.

Scales are normal numbers; inputs may be anything. The library divides bit by bit, and shifts bit by bit to align and normalize.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import QuantizeParams, Step
from enginekit.costs.bill import Bill
from enginekit.costs.samples import Samples

_BITS = 24  # of a mantissa
_MOST = 256.0  # quotients are cut there
_EXPONENTS = range(1, 8)  # of whole quotients that are told from those of exponent 0; at 256 they are cut


def quantize(step: Step, samples: Samples) -> Bill | None:
    """Count ``eng_quantize_f32_s8`` and ``_u8``; None for a scale below the normal numbers."""
    p, bill, name = step.params, Bill(), f"eng_{step.kernel}"
    assert isinstance(p, QuantizeParams)
    if float(p.scale) < np.finfo(np.float32).tiny:
        return None
    bill.add(name, call=1, element=p.count)
    if samples.x is None:
        bill.choose(p.count, name, *_any_quotient())
        return bill
    x = np.ascontiguousarray(samples.x).view(np.float32).ravel()
    bill.add(name, **{event: n * p.count / x.size for event, n in _seen(x, np.float32(p.scale), p.zero).items()})
    return bill


def _any_quotient() -> list[dict[str, float]]:
    """List what an element may do at most: each path with all its bits and shifts."""
    divided = {"ones": float(_BITS), "not_less": 1.0, "up": 1.0}
    signs: list[dict[str, float]] = [{}, {"negative": 1.0, "negative_whole": 1.0, "negative_rest": 1.0}]
    ends: list[dict[str, float]] = [{}, {"more": 1.0}, {"fewer": 1.0}]
    cuts: list[dict[str, float]] = [{}, {"below": 1.0}, {"above": 1.0}]
    wholes: list[dict[str, float]] = [{}, *({f"whole{n}": 1.0} for n in _EXPONENTS)]
    paths = [whole | rest for whole in wholes for rest in ({"normalized": _BITS - 1.0}, {"integer": 1.0})]
    tiny = {"small": 1.0, "x_shift": _BITS - 1.0, "v_shift": float(_BITS)}
    paths += [tiny, tiny | {"aligned": 1.0, "align_bytes": 4.0, "align_bits": 7.0}]
    far: list[dict[str, float]] = [{}, {"over": 1.0}, {"under": 1.0}]
    found = [divided | a | b | c | d | e for a in signs for b in ends for c in cuts for d in paths for e in far]
    quick: list[dict[str, float]] = [{"zero": 1.0}, {"infinite": 1.0}, {"nan": 1.0}]
    quick += [divided | {"too_large": 1.0}, divided | {"zero": 1.0, "too_small": 1.0, "x_shift": _BITS - 1.0}]
    return [*found, *(each | sign | cut for each in quick for sign in signs for cut in cuts)]


def _seen(x: NDArray[np.float32], scale: np.float32, zero: int) -> dict[str, float]:
    """Count what elements do, all in all."""
    with np.errstate(all="ignore"):
        v = x / scale
    found = _divided(x, v, scale)
    number = v[~np.isnan(x)]
    cut = np.clip(number, -_MOST, _MOST)
    whole = np.trunc(cut)
    rest = cut - whole
    code = whole + (rest >= 0.5) - (rest <= -0.5) + zero
    found |= {
        "over": number > _MOST,
        "under": number < -_MOST,
        "negative": number < 0,
        "negative_whole": whole < 0,
        "negative_rest": rest < 0,
        "more": rest >= 0.5,
        "fewer": rest <= -0.5,
        "below": code < -128,
        "above": code > 127,
        "integer": (rest == 0) & (whole != 0),
        "small": (whole == 0) & (number != 0),
        "zero": number == 0,
        "half": np.abs(rest) == 0.5,
    }
    large, exponent = whole != 0, np.frexp(cut)[1] - 1
    found |= {f"whole{n}": large & (exponent == n) for n in _EXPONENTS}
    shifted = large & (rest != 0)
    aligned = (np.frexp(number[(whole == 0) & (number != 0)])[1] + 126).clip(1)  # what 0 is shifted by, to be subtracted
    aligned = np.where(aligned <= 32, aligned, 0)
    found |= {"aligned": aligned != 0, "align_bytes": aligned // 8, "align_bits": aligned % 8}
    found["normalized"] = exponent[shifted] - (np.frexp(rest[shifted])[1] - 1)
    return {event: float(np.sum(each)) for event, each in found.items()}


def _divided(x: NDArray[np.float32], v: NDArray[np.float32], scale: np.float32) -> dict[str, Any]:
    """Count the steps of the divisions."""
    usual = np.isfinite(x) & (x != 0)
    a, below = _mantissas(x[usual])
    b = _mantissas(np.array([scale]))[0][0]
    divisor = np.where(a >= b, 2 * b, b)
    shifts = np.zeros(a.shape, np.int64)
    while (late := (a << (shifts + 1)) < divisor).any():  # of numbers below the normal ones
        shifts += late
    quotient, left = np.divmod(a << (_BITS + shifts), divisor)
    result = np.abs(v[usual])
    tiny = (result != 0) & (result < np.finfo(np.float32).tiny)
    ones = [np.unpackbits((quotient >> at).astype(np.uint8)).sum() for at in (0, 8, 16)]
    return {
        "infinite": np.isinf(x),
        "nan": np.isnan(x),
        "too_large": np.isinf(v) & usual,
        "too_small": (v == 0) & usual,
        "not_less": a >= b,
        "ones": np.sum(ones),
        "up": 2 * left > divisor,
        "x_shift": shifts[below],
        "v_shift": (-125 - np.frexp(result[tiny])[1]).clip(0),
    }


def _mantissas(x: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Mantissas with their hidden bit, and which numbers have none."""
    bits = x.view(np.uint32).astype(np.int64)
    below = bits >> 23 & 0xFF == 0
    return (bits & 0x7FFFFF) | np.where(below, 0, 1 << 23), below


def dequantize(step: Step, samples: Samples) -> Bill | None:
    """Count ``eng_dequantize_s8_f32`` and ``_u8_``; None for scales whose multiples leave the normal numbers."""
    p, bill, name = step.params, Bill(), f"eng_{step.kernel}"
    assert isinstance(p, QuantizeParams)
    if not np.finfo(np.float32).tiny <= p.scale < np.finfo(np.float32).max / 256:
        return None
    bill.add(name, call=1, element=p.count)
    raw = np.arange(samples.low, samples.high + 1) if samples.x is None else samples.x
    codes = raw if samples.x is None or step.kernel == "dequantize_s8_f32" else samples.x.view(np.uint8).astype(np.int64) - 128
    numbers = codes.ravel().astype(np.int64) - p.zero
    each = [_product(int(number), np.float32(p.scale)) for number in np.unique(numbers)]
    if samples.x is None:
        bill.choose(p.count, name, *each)
        return bill
    for events, times in zip(each, np.unique(numbers, return_counts=True)[1], strict=True):
        bill.add(name, **{event: n * times * p.count / numbers.size for event, n in events.items()})
    return bill


def _product(number: int, scale: np.float32) -> dict[str, float]:
    """Count what the conversion of a number and its product with the scale do."""
    if number == 0:
        return {"zero": 1.0}
    shifts = 8 - abs(number).bit_length()
    found = {"negative": float(number < 0), "shifted": float(shifts > 0), "normalized": float(shifts)}
    a, b = (int(_mantissas(np.array([each], np.float32))[0][0]) for each in (abs(number), scale))
    product = a * b
    short = product < 1 << (2 * _BITS - 1)
    lost = (product << short) & ((1 << _BITS) - 1)
    half, odd = 1 << (_BITS - 1), product << short >> _BITS & 1
    up, tie = lost > half, lost == half
    return found | {"short": float(short), "up": float(up), "tie": float(tie and not odd), "tie_odd": float(tie and odd)}
