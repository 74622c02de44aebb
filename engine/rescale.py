"""Turns scales into the integers that kernels compute with, as TensorFlow Lite's reference kernels do.

Each operator's ratio has its own precision there, and it matters: convolutions and dense layers multiply and divide in
double, QUANTIZE divides in double, the stand-alone ReLUs divide in float32. A multiplier from the wrong precision differs
in its last bits, and so do some outputs. Dense layers do not even use a multiplier: :func:`dense_rescale`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from engine.graph import Activation
from engine.program import OutputS8, Ratio, Rescale, SoftmaxParams

#: (least, most) each.
Ranges = Sequence[tuple[int, int]]

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
#: Integer bits of the fixed-point number that softmax exponentiates (Q5.26).
SOFTMAX_INTEGER_BITS = 5
#: Largest row: the sum of exponentials is kept in Q12.19.
SOFTMAX_MAX_SIZE = 4095


def fixed_point(scale: float) -> Rescale:
    """Write a rescale ratio as ``mult / 2**31 * 2**left / 2**right``.

    Parameters
    ----------
    scale : float
        ``scale_x * scale_w / scale_y`` (dimensionless), finite, >= 0.

    Returns
    -------
    Rescale
        `mult` in ``[2**30, 2**31)``, at most one shift non-zero; all zero if `scale` is below ``2**-32``.

    Raises
    ------
    QuantError
        If `scale` is negative, not finite, or ``2**30`` or more.

    Notes
    -----
    Relative error <= 2**-31. Same values as TensorFlow Lite's QuantizeMultiplier.

    Examples
    --------
    >>> fixed_point(0.25)
    Rescale(mult=1073741824, left=0, right=1)
    >>> fixed_point(3.0)
    Rescale(mult=1610612736, left=2, right=0)
    """
    if not (math.isfinite(scale) and scale >= 0):
        raise QuantError(
            f"rescale ratio is {scale}; expected a finite number >= 0: check the scales of input, weights and output"
        )
    fraction, exponent = math.frexp(scale)
    mult = math.floor(fraction * (1 << 31) + 0.5)
    if mult == 1 << 31:
        mult, exponent = 1 << 30, exponent + 1
    if mult == 0 or exponent < -31:
        return Rescale(0, 0, 0)
    if exponent > 30:
        raise QuantError(f"rescale ratio {scale:g} is too large; expected below 2**30: the output's scale is far too small")
    return Rescale(mult, max(exponent, 0), max(-exponent, 0))


def product_rescale(scale_x: float, scale_w: Iterable[float], scale_y: float) -> tuple[Rescale, ...]:
    """Rescale records of a convolution, one for each element of `scale_w`.

    Parameters
    ----------
    scale_x, scale_y : float
        Scales of input and output, as stored (float32), positive.
    scale_w : iterable of float
        Scale of the weights, one for all or one an output channel.

    Raises
    ------
    QuantError
        If a ratio cannot be represented.

    Examples
    --------
    >>> product_rescale(0.5, [0.5, 2.0], 1.0)
    (Rescale(mult=1073741824, left=0, right=1), Rescale(mult=1073741824, left=1, right=0))
    """
    x, y = _positive("input", scale_x), _positive("output", scale_y)
    return tuple(fixed_point(x * float(np.float32(w)) / y) for w in scale_w)


def dense_rescale(
    scale_x: float,
    scale_w: Iterable[float],
    scale_y: float,
    accumulators: int | Iterable[Ranges],
    reach: int = INT8_MAX - INT8_MIN,
) -> tuple[Rescale, ...] | None:
    """Rescale records of a dense layer, one for each element of `scale_w`, or None where there are none: :func:`dense_ratios`.

    TensorFlow Lite's reference multiplies a dense layer's accumulator by the ratio of the scales in double and rounds half
    away from zero. The kernels' 31-bit multiplier is chosen such that every one of the `accumulators` gives the same code:
    the one nearest to the ratio mostly does, one of its neighbours where an accumulator lies within 2**-32 of a tie.

    Parameters
    ----------
    scale_x, scale_y : float
        Scales of input and output, as stored (float32), positive.
    scale_w : iterable of float
        Scale of the weights, one for all or one an output.
    accumulators : int or iterable of sequences of (int, int)
        Largest magnitude of all accumulators; or, for each element of `scale_w`, the ranges (least, most) that the
        accumulators of its outputs can have. Proven from the weights.
    reach : int
        Largest distance of a code from the output's zero point; codes beyond are clamped.

    Returns
    -------
    tuple of Rescale, or None
        None if some ratio has no 31-bit multiplier that is exact for all accumulators: the steps between the codes lie so
        close to integers that they contradict each other.

    Notes
    -----
    Of random ratios with which accumulators below 2**20 reach all codes, 15,000 of 15,000 have an exact multiplier; below
    2**22, 3,994 of 4,000; below 2**24, 3,597 of 4,000.

    Examples
    --------
    >>> dense_rescale(0.5, [0.5], 1.0, 100000)
    (Rescale(mult=1073741824, left=0, right=1),)
    """
    ratios = _double_ratios(scale_x, scale_w, scale_y)
    ranges = [[(-accumulators, accumulators)]] * len(ratios) if isinstance(accumulators, int) else list(accumulators)
    records = []
    for ratio, r in zip(ratios, ranges, strict=True):
        record = _with_exact_steps(ratio, _magnitudes(r), reach)
        if record is None:
            return None
        records.append(record)
    return tuple(records)


def dense_ratios(scale_x: float, scale_w: Iterable[float], scale_y: float) -> tuple[Ratio, ...]:
    """Ratios of a dense layer in full, one for each element of `scale_w`: exact whatever the accumulators.

    Parameters
    ----------
    scale_x, scale_y : float
        Scales of input and output, as stored (float32), positive.
    scale_w : iterable of float
        Scale of the weights, one for all or one an output.

    Raises
    ------
    QuantError
        If a scale is not a finite number above 0.

    Examples
    --------
    >>> [hex(word) for word in (dense_ratios(0.5, [0.5], 1.0)[0].high, dense_ratios(1.0, [1.0], 3.0)[0].low)]
    ['0x3fd00000', '0x55555555']
    """
    return tuple(Ratio(*struct.unpack("<II", struct.pack("<d", r))) for r in _double_ratios(scale_x, scale_w, scale_y))


def _double_ratios(scale_x: float, scale_w: Iterable[float], scale_y: float) -> list[float]:
    """Products of float32 scales are exact in double; one rounding, of the quotient. Never subnormal: at least 2**-426."""
    x, y = _positive("input", scale_x), _positive("output", scale_y)
    return [x * _positive("weights", w) / y for w in scale_w]


def _magnitudes(ranges: Ranges) -> list[tuple[int, int]]:
    """Ranges of the magnitudes of accumulators that are not zero: ascending, apart from one another."""
    both = [(low, high) for low, high in ranges] + [(-high, -low) for low, high in ranges]
    merged: list[tuple[int, int]] = []
    for low, high in sorted((max(low, 1), high) for low, high in both if high >= 1):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _with_exact_steps(ratio: float, magnitudes: list[tuple[int, int]], reach: int) -> Rescale | None:
    """Find the record whose steps from one code to the next are at the accumulators where the reference's are."""
    largest = magnitudes[-1][1] if magnitudes else 0
    if ratio >= 1 << 30 or ratio * largest >= INT32_MAX:  # beyond the records, or the single rounding would wrap
        return None
    nearest = fixed_point(ratio)
    if not nearest.mult or not magnitudes:  # acc * ratio < 1/2
        return nearest
    lowest, highest = 1 << 30, (1 << 31) - 1
    shift = 31 - nearest.left + nearest.right
    for code in range(min(reach, math.ceil(largest * ratio) + 1)):
        step = _step_after(code, ratio)
        scaled_tie = (2 * code + 1) << (shift - 1)
        for low, high in magnitudes:
            if step <= high:  # the smallest that must give more than `code`
                lowest = max(lowest, -(-scaled_tie // max(step, low)))
            if step > low:  # the largest that must not
                highest = min(highest, -(-scaled_tie // min(step - 1, high)) - 1)
    if lowest > highest:
        return None
    return Rescale(min(max(nearest.mult, lowest), highest), nearest.left, nearest.right)


def _step_after(code: int, ratio: float) -> int:
    """Find the smallest accumulator that gives ``code + 1``, in double as the reference has it."""
    tie = code + 0.5
    step = math.ceil(tie / ratio)
    while (step - 1) * ratio >= tie:
        step -= 1
    while step * ratio < tie:
        step += 1
    return step


def requantize_rescale(scale_x: float, scale_y: float) -> Rescale:
    """Rescale record of QUANTIZE from int8 to int8: the ratio of the scales in double."""
    return fixed_point(_positive("input", scale_x) / _positive("output", scale_y))


def relu_rescale(scale_x: float, scale_y: float) -> Rescale:
    """Rescale record of a stand-alone RELU, RELU6 or RELU_N1_TO_1: the ratio of the scales in float32."""
    with np.errstate(over="ignore", under="ignore"):
        return fixed_point(float(np.float32(_positive("input", scale_x)) / np.float32(_positive("output", scale_y))))


def add_rescales(scale_x: float, scale_x2: float, scale_y: float) -> tuple[Rescale, Rescale, Rescale]:
    """Rescale records of ADD and SUB: of either operand to twice the larger scale, and of the sum (2**20 times finer) to y.

    Raises
    ------
    QuantError
        If a ratio cannot be represented, or the last is not below 1: the reference demands that.

    Examples
    --------
    >>> [record.right for record in add_rescales(0.5, 0.25, 0.5)]
    [0, 1, 18]
    """
    x, x2, y = _positive("first input", scale_x), _positive("second input", scale_x2), _positive("output", scale_y)
    twice = 2 * max(x, x2)
    last = fixed_point(twice / ((1 << 20) * y))
    if last.left:
        raise QuantError(
            f"output scale {y:g} is too small beside the inputs' {x:g} and {x2:g}; expected at least 2**-19 of them"
        )
    return fixed_point(x / twice), fixed_point(x2 / twice), last


def mul_rescale(scale_x: float, scale_x2: float, scale_y: float) -> Rescale:
    """Rescale record of MUL: product and ratio of the scales in float32."""
    x, x2, y = _positive("first input", scale_x), _positive("second input", scale_x2), _positive("output", scale_y)
    with np.errstate(over="ignore", under="ignore"):
        return fixed_point(float(np.float32(x) * np.float32(x2) / np.float32(y)))


def mean_rescale(scale_x: float, scale_y: float, count: int) -> Rescale:
    """Rescale record of MEAN over `count` pixels, with the division in the multiplier, which loses up to one of its bits.

    TensorFlow 2.21's reference has this one rule, whether dimensions are kept or not. Earlier releases rescaled the sum and
    then divided where they were kept.

    Examples
    --------
    >>> mean_rescale(1.0, 1.0, 3)
    Rescale(mult=715827882, left=0, right=0)
    """
    ratio = fixed_point(_positive("input", scale_x) / _positive("output", scale_y))
    exponent = ratio.left - ratio.right
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    exponent -= shift
    return Rescale((ratio.mult << shift) // count, max(exponent, 0), max(-exponent, 0))


def output_range(activation: Activation, scale: float, zero_point: int) -> OutputS8:
    """Zero point and clamping range of an int8 output with a fused (or stand-alone) activation.

    Parameters
    ----------
    activation : Activation
        ReLU clamps at `zero_point`, whatever that is.
    scale : float
        Scale of the output, as stored (float32), positive.
    zero_point : int
        In ``[-128, 127]``.

    Raises
    ------
    QuantError
        If a parameter is outside its range, or a limit of the activation does not fit int32.

    Examples
    --------
    >>> output_range(Activation.RELU6, 0.05, -100)
    OutputS8(zero=-100, lo=-100, hi=20)
    """
    scale = _positive("output", scale)
    if not INT8_MIN <= zero_point <= INT8_MAX:
        raise QuantError(f"zero point of the output is {zero_point}; expected -128 ... 127")

    def code(value: float) -> int:
        with np.errstate(over="ignore"):
            ratio = float(np.float32(value) / np.float32(scale))
        if abs(ratio) > INT32_MAX:
            raise QuantError(f"activation limit {value:g} does not fit int32 with an output scale of {scale:g}")
        return zero_point + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))

    lo, hi = INT8_MIN, INT8_MAX
    if activation in (Activation.RELU, Activation.RELU6):
        lo = zero_point
    if activation is Activation.RELU6:
        hi = min(hi, code(6.0))
    if activation is Activation.RELU_N1_TO_1:
        lo, hi = max(lo, code(-1.0)), min(hi, code(1.0))
    return OutputS8(zero_point, lo, hi)


def fold_zero_point(w: NDArray[np.int8], bias: NDArray[np.int32] | None, zero_x: int) -> NDArray[np.int32]:
    """Move the input's zero point into the bias: ``bias[n] - zero_x * sum(w[n])``.

    Exact for dense layers and for convolutions without padding.

    Parameters
    ----------
    w : int8[out, ...]
    bias : int32[out] or None
    zero_x : int

    Raises
    ------
    QuantError
        If a folded bias does not fit int32.

    Examples
    --------
    >>> fold_zero_point(np.array([[1, 2]], np.int8), np.array([10], np.int32), -128).tolist()
    [394]
    """
    wide = np.zeros(len(w), np.int64) if bias is None else bias.astype(np.int64)
    wide = wide - zero_x * w.reshape(len(w), -1).sum(axis=1, dtype=np.int64)
    bad = np.flatnonzero((wide < INT32_MIN) | (wide > INT32_MAX))
    if bad.size:
        raise QuantError(
            f"bias of output {bad[0]} is {wide[bad[0]]} with the input zero point {zero_x} folded in; expected int32"
        )
    folded: NDArray[np.int32] = wide.astype(np.int32)
    return folded


def softmax_params(scale: float, beta: float, *, rows: int, size: int) -> SoftmaxParams:
    """Parameters of int8 softmax over the last dimension.

    Parameters
    ----------
    scale : float
        Scale of the input, as stored (float32), positive.
    beta : float
        Factor of the exponent, positive; 1 for the usual softmax.
    rows : int
        Number of vectors, >= 1.
    size : int
        Length of one, in ``[1, 4095]``.

    Returns
    -------
    SoftmaxParams
        The table holds the exponentials that the reference's fixed-point polynomial gives, which differ from
        ``exp`` by less than 2**-21.

    Raises
    ------
    QuantError
        If a parameter is outside its range, or ``scale * beta * 2**26 <= 1``.

    Notes
    -----
    Source: gemmlowp's exp_on_negative_values and TensorFlow Lite's PreprocessSoftmaxScaling.

    Examples
    --------
    >>> p = softmax_params(0.5, 1.0, rows=1, size=10)
    >>> p.table_size, [round(e / 2**31, 4) for e in p.table[:3]]
    (32, [1.0, 0.6065, 0.3679])
    """
    if not 1 <= size <= SOFTMAX_MAX_SIZE:
        raise QuantError(f"softmax over {size} values; supported are 1 ... {SOFTMAX_MAX_SIZE}")
    fraction_bits = 31 - SOFTMAX_INTEGER_BITS
    ratio = min(_positive("input", scale) * _positive("beta", beta) * (1 << fraction_bits), float(INT32_MAX))
    if ratio <= 1:
        raise QuantError(
            f"softmax with an input scale of {scale:g} and beta {beta:g}: too small; expected a product over 2**-26"
        )
    step = _fixed_point_left(ratio)
    farthest = math.floor(((1 << SOFTMAX_INTEGER_BITS) - 1) * (1 << fraction_bits) / (1 << step.left))
    count = min(farthest, INT8_MAX - INT8_MIN) + 1
    table = tuple(_exp_q31(_high(-d << step.left, step.mult)) for d in range(count))
    return SoftmaxParams(rows, size, count, table)


def _fixed_point_left(scale: float) -> Rescale:
    """:func:`fixed_point` for ``1 < scale < 2**31``, where the left shift may be 31."""
    fraction, exponent = math.frexp(scale)
    mult = math.floor(fraction * (1 << 31) + 0.5)
    return Rescale(1 << 30, exponent + 1, 0) if mult == 1 << 31 else Rescale(mult, exponent, 0)


def _positive(what: str, scale: float) -> float:
    value = float(np.float32(scale))
    if not (math.isfinite(value) and value > 0):
        raise QuantError(f"scale of the {what} is {value:g}; expected a finite number > 0")
    return value


def _high(a: int, b: int) -> int:
    """``round(a * b / 2**31)``, ties towards +infinity: what eng/quant.h calls hi(a, b)."""
    return (a * b + (1 << 30)) >> 31


def _divide(v: int, n: int) -> int:
    """``v / 2**n`` to nearest, ties away from zero: what eng/quant.h calls rdiv(v, n)."""
    return ((abs(v) + (1 << (n - 1))) >> n) * (1 if v >= 0 else -1)


#: exp(-2**k) in Q0.31 for k = -2 ... 4.
_EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_OF_EIGHTH = 1895147668  # exp(-1/8) in Q0.31
_THIRD = 715827883  # 1/3 in Q0.31


def _exp_q31(a: int) -> int:
    """exp(a) in Q0.31 for a <= 0 in Q5.26: a polynomial around -1/8 on (-1/4, 0], times a factor for each higher bit."""
    if a == 0:
        return INT32_MAX
    quarter = 1 << 24
    rest = (a & (quarter - 1)) - quarter
    x = (rest << 5) + (1 << 28)
    x2 = _high(x, x)
    x3, x4 = _high(x2, x), _high(x2, x2)
    tail = _divide(_high(_divide(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_OF_EIGHTH + _high(_EXP_OF_EIGHTH, x + tail)
    for k, factor in enumerate(_EXP_OF_POWERS):
        if (rest - a) & (quarter << k):
            result = _high(result, factor)
    return result
