"""Operators of one int8 code to one int8 code as tables of 256, computed as TensorFlow Lite's reference kernels do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.errors import QuantError
from engine.program import OutputS8, RequantizeParams
from engine.rescale import add_rescales, fixed_point

INT8_MIN, INT8_MAX = -128, 127
INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1


@dataclass(frozen=True)
class Quantization:
    """Scale (float32, positive) and zero point of an int8 tensor."""

    scale: float
    zero: int


def logistic(x: Quantization, y: Quantization) -> tuple[int, ...]:
    """Table of ``1 / (1 + exp(-x))``.

    Returns
    -------
    tuple of int
        What the codes -128 ... 127 become.

    Examples
    --------
    >>> logistic(Quantization(0.1, 0), Quantization(1 / 256, -128))[128]
    0
    """
    one = np.float32(1)
    return _by_float(x, y, lambda v: one / (one + np.float32(math.exp(-float(v)) if v > -80 else math.inf)))


def tanh(x: Quantization, y: Quantization) -> tuple[int, ...]:
    """Table of the hyperbolic tangent; see :func:`logistic`."""
    return _by_float(x, y, lambda v: np.float32(math.tanh(float(v))))


def leaky_relu(x: Quantization, y: Quantization, alpha: float) -> tuple[int, ...]:
    """Table of ``x`` where it is not negative and ``alpha * x`` elsewhere, in fixed point.

    Raises
    ------
    QuantError
        If a ratio of scales cannot be represented.

    Examples
    --------
    >>> leaky_relu(Quantization(0.5, 0), Quantization(0.5, 0), 0.25)[120:132]
    (-2, -2, -2, -1, -1, -1, -1, 0, 0, 1, 2, 3)
    """
    with np.errstate(over="ignore", under="ignore"):
        steep = float(np.float32(x.scale) / np.float32(y.scale))
        flat = float(np.float32(x.scale) * np.float32(alpha) / np.float32(y.scale))
    sign = -1 if flat < 0 else 1
    positive, negative = fixed_point(steep), fixed_point(abs(flat))

    def code(v: int) -> int:
        record = positive if v >= 0 else negative
        mult = record.mult if v >= 0 else record.mult * sign
        return _divide(_high(_wrap32(v << record.left), mult, 31), record.right)

    return tuple(_clamp8(code(v - x.zero) + y.zero) for v in range(INT8_MIN, INT8_MAX + 1))


def hard_swish(x: Quantization, y: Quantization) -> tuple[int, ...]:
    """Table of ``x * clamp(x + 3, 0, 6) / 6``, in 16-bit fixed point.

    Raises
    ------
    QuantError
        If the output's scale is too small for the reference.
    """
    fine = np.float32(1 / 128) * np.float32(x.scale)
    with np.errstate(over="ignore"):
        output = fixed_point(float(fine / np.float32(y.scale)))
        relu = fixed_point(float(fine / (np.float32(3) / np.float32(32768))))
    if output.left:
        raise QuantError(f"hard swish from scale {x.scale:g} to {y.scale:g}; the output's must be at least the input's / 128")
    output_mult, relu_mult = _to_16_bits(output.mult), _to_16_bits(relu.mult)

    def code(v: int) -> int:
        wide = v * 128
        value = _clamp16(_high(wide, output_mult, 15))
        gate = _clamp16(wide << (relu.left - 1)) if relu.left else wide
        gate = _clamp16(_high(gate, relu_mult, 15))
        gate = _clamp16(gate << 1) if relu.left else _divide(gate, relu.right)
        gate = (gate + (1 << 15)) >> 1
        product = gate * value
        return _divide(abs(product) // (1 << 15) * (1 if product >= 0 else -1), output.right)

    return tuple(_clamp8(code(v - x.zero) + y.zero) for v in range(INT8_MIN, INT8_MAX + 1))


def requantized(p: RequantizeParams) -> tuple[int, ...]:
    """Table of a requantization, by double rounding.

    Examples
    --------
    >>> from engine.program import OutputS8, RequantizeParams, Rescale
    >>> requantized(RequantizeParams(1, 0, Rescale(1 << 30, 0, 0), OutputS8(7, -128, 127)))[125:133]
    (6, 6, 7, 7, 8, 8, 9, 9)
    """

    def code(v: int) -> int:
        return _divide(_high(_wrap32((v - p.zero_x) << p.rescale.left), p.rescale.mult, 31), p.rescale.right) + p.y.zero

    return tuple(max(p.y.lo, min(code(v), p.y.hi)) for v in range(INT8_MIN, INT8_MAX + 1))


def subtract_from(minuend: Quantization, code: int, x: Quantization, output: OutputS8, *, scale_y: float) -> tuple[int, ...]:
    """Table of a constant less ``x``, as the reference's SUB of two tensors computes it.

    Parameters
    ----------
    minuend : Quantization
        Of the constant.
    code : int
        The constant.
    x : Quantization
    output : OutputS8
        Zero point and range of the output.
    scale_y : float
        Scale of the output.

    Raises
    ------
    QuantError
        If the output's scale is too small for the reference.

    Examples
    --------
    >>> subtract_from(Quantization(0.5, 0), 2, Quantization(0.5, 0), OutputS8(0, -128, 127), scale_y=0.5)[126:132]
    (4, 3, 2, 1, 0, -1)
    """
    one, two, last = add_rescales(minuend.scale, x.scale, scale_y)
    first = _divide(_high((code - minuend.zero) << 20, one.mult, 31), one.right)

    def difference(v: int) -> int:
        total = first + _divide(_high((x.zero - v) << 20, two.mult, 31), two.right)
        return _divide(_high(total, last.mult, 31), last.right) + output.zero

    return tuple(max(output.lo, min(difference(v), output.hi)) for v in range(INT8_MIN, INT8_MAX + 1))


def _by_float(x: Quantization, y: Quantization, function: Callable[[np.float32], np.float32]) -> tuple[int, ...]:
    """Table of a function of real numbers, all in float32, rounded half away from zero."""
    inverse = np.float32(1) / np.float32(y.scale)

    def code(v: int) -> int:
        scaled = float(function(np.float32(x.scale) * np.float32(v - x.zero)) * inverse)
        return int(math.copysign(math.floor(abs(scaled) + 0.5), scaled)) + y.zero

    return tuple(_clamp8(code(v)) for v in range(INT8_MIN, INT8_MAX + 1))


def _high(a: int, b: int, bits: int) -> int:
    """Give ``a * b / 2**bits`` to nearest, ties towards +infinity."""
    return (a * b + (1 << (bits - 1))) >> bits


def _divide(v: int, n: int) -> int:
    """Give ``v / 2**n`` to nearest, ties away from zero."""
    return ((abs(v) + ((1 << n) >> 1)) >> n) * (1 if v >= 0 else -1)


def _to_16_bits(mult: int) -> int:
    return min((mult + (1 << 15)) >> 16, INT16_MAX)


def _wrap32(v: int) -> int:
    return (v + (1 << 31)) % (1 << 32) - (1 << 31)


def _clamp16(v: int) -> int:
    return max(INT16_MIN, min(v, INT16_MAX))


def _clamp8(v: int) -> int:
    return max(INT8_MIN, min(v, INT8_MAX))
