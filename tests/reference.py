"""The oracle: what every int8 kernel must give, in int64 NumPy, written from the formulas and sharing no code with the core.

Formulas: TensorFlow Lite's int8 quantization specification; Jacob et al., CVPR 2018, section 2.2; gemmlowp's fixed-point
exp and reciprocal for softmax. Written for clarity: multiplications are whole integers, divisions are exact, and a window
visits every tap and asks whether it is inside the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engine.program import (
    AddParams,
    ArgmaxParams,
    Broadcast,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    CopyParams,
    DenseParams,
    DenseWideParams,
    LookupParams,
    MeanParams,
    MulParams,
    OutputS8,
    PadParams,
    Pool2DParams,
    QuantizeParams,
    Ratio,
    RequantizeParams,
    Rescale,
    Window,
)

Int = NDArray[np.int64]
S8 = NDArray[np.int8]
INT32_MAX = 2**31 - 1


def _wrap32(v: Int) -> Int:
    """To the int32 with the same low 32 bits."""
    return (v + 2**31) % 2**32 - 2**31


def high(a: Int, b: Int | int) -> Int:
    """hi(a, b) = a*b / 2^31 to nearest, ties towards +infinity."""
    return (np.asarray(a, np.int64) * np.asarray(b, np.int64) + 2**30) // 2**31


def divide(v: Int, n: int) -> Int:
    """rdiv(v, n) = v / 2^n to nearest, ties away from zero."""
    v = np.asarray(v, np.int64)
    return np.sign(v) * ((2 * np.abs(v) + 2**n) // 2 ** (n + 1))


def rescale_double(acc: Int, r: Rescale) -> Int:
    """Convolutions, QUANTIZE, stand-alone ReLU."""
    return divide(high(_wrap32(np.asarray(acc, np.int64) * 2**r.left), r.mult), r.right)


def rescale_single(acc: Int, r: Rescale) -> Int:
    """Dense layers: acc*mult / 2^s to nearest, ties away from zero, modulo 2^32."""
    s = 31 - r.left + r.right
    exact = [(abs(int(a)) * r.mult * 2 + 2**s) // 2 ** (s + 1) * (1 if a >= 0 else -1) for a in np.ravel(acc)]
    return _wrap32(np.array(exact, np.int64)).reshape(np.shape(acc))


def write(v: Int, y: OutputS8) -> S8:
    """Add the zero point and clamp to the activation's range."""
    return np.clip(_wrap32(v + y.zero), y.lo, y.hi).astype(np.int8)


def _requantize_channels(acc: Int, p: DenseParams | Conv2DParams, rescale: Callable[[Int, Rescale], Int]) -> S8:
    """Accumulators [..., channels] with one record for all or one a channel."""
    out = np.empty(acc.shape, np.int8)
    for n in range(acc.shape[-1]):
        out[..., n] = write(rescale(acc[..., n], p.rescale[n * p.rescale_step]), p.y)
    return out


def dense_by_scales(x: S8, zero_x: int, w: S8, bias: Int, ratio: NDArray[np.float64], y: OutputS8) -> S8:
    """What the reference does: the accumulator times the ratio in double, rounded half away from zero."""
    acc = w.astype(np.int64) @ (x.astype(np.int64) - zero_x) + bias
    scaled = acc.astype(np.float64) * ratio
    return write((np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)).astype(np.int64), y)


def dense_s8(p: DenseParams, x: S8, w: S8, bias: NDArray[np.int32]) -> S8:
    """y[n] = requant_single(bias[n] + sum_k w[n][k] x[k])."""
    acc = bias.astype(np.int64) + w.astype(np.int64) @ x.astype(np.int64)
    return _requantize_channels(acc, p, rescale_single)


def rescale_wide(acc: Int, ratio: Ratio) -> Int:
    """acc * ratio in exact arithmetic, rounded to 53 bits (ties to even), then half away from zero, saturated."""
    exponent, fraction = (ratio.high >> 20) - 1075, 2**52 + ((ratio.high % 2**20) << 32) + ratio.low
    exact = [
        0 if ratio.high == 0 else _round_twice(abs(int(a)) * fraction, exponent) * (1 if a >= 0 else -1) for a in np.ravel(acc)
    ]
    return np.array(exact, np.int64).reshape(np.shape(acc))


def _round_twice(product: int, exponent: int) -> int:
    """product * 2**exponent as a double, then an integer: half up, at most 2**31 - 1."""
    drop = max(product.bit_length() - 53, 0)
    as_double = round(Fraction(product, 2**drop)) * Fraction(2) ** (drop + exponent)  # round() is half to even
    return min(math.floor(as_double + Fraction(1, 2)), 2**31 - 1)


def dense_wide_s8(p: DenseWideParams, x: S8, w: S8, bias: NDArray[np.int32]) -> S8:
    """y[r][n] = requant_wide(bias[n] + sum_k w[n][k] x[r][k])."""
    acc = bias.astype(np.int64) + x.astype(np.int64) @ w.astype(np.int64).T
    columns = [rescale_wide(acc[:, n], p.ratio[n * p.ratio_step]) for n in range(p.out)]
    return np.clip(np.stack(columns, axis=1) + p.y.zero, p.y.lo, p.y.hi).astype(np.int8)


def taps(v: Window, row: int, column: int) -> list[tuple[int, int, int, int]]:
    """(i, j, pixel row, pixel column) of every tap of one position that is inside the image."""
    inside = []
    for i in range(v.kernel_h):
        for j in range(v.kernel_w):
            h = row * v.stride_h + i * v.dilation_h - v.pad_top
            w = column * v.stride_w + j * v.dilation_w - v.pad_left
            if 0 <= h < v.in_h and 0 <= w < v.in_w:
                inside.append((i, j, h, w))
    return inside


def conv2d_acc(p: Conv2DParams, x: S8, w: S8, bias: NDArray[np.int32]) -> Int:
    """Accumulators [out_h, out_w, out_c]."""
    v = p.window
    distance = x.astype(np.int64) - p.zero_x
    wide = w.astype(np.int64)
    acc = np.empty((v.out_h, v.out_w, p.out_c), np.int64)
    for row in range(v.out_h):
        for column in range(v.out_w):
            acc[row, column] = bias
            for i, j, h, q in taps(v, row, column):
                acc[row, column] += wide[:, i, j] @ distance[h, q]
    return acc


def conv2d_s8(p: Conv2DParams, x: S8, w: S8, bias: NDArray[np.int32]) -> S8:
    """y = requant_double(bias + sum w (x - zero_x)) over the taps inside."""
    return _requantize_channels(conv2d_acc(p, x, w, bias), p, rescale_double)


def _pool(v: Window, x: NDArray, reduce: Callable[[Int], Int]) -> Int:
    """Reduce [taps, channels] to [channels] at every position."""
    out = np.empty((v.out_h, v.out_w, x.shape[2]), np.int64)
    for row in range(v.out_h):
        for column in range(v.out_w):
            out[row, column] = reduce(np.array([x[h, q] for _, _, h, q in taps(v, row, column)], np.int64))
    return out


def max_pool2d_s8(p: Pool2DParams, x: S8) -> S8:
    """Largest of the taps inside, clamped."""
    return np.clip(_pool(p.window, x, lambda t: t.max(axis=0)), p.lo, p.hi).astype(np.int8)


def average_pool2d_s8(p: Pool2DParams, x: S8) -> S8:
    """Mean of the taps inside, to nearest, ties away from zero, clamped."""

    def mean(t: Int) -> Int:
        total, count = t.sum(axis=0), len(t)
        return np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))

    return np.clip(_pool(p.window, x, mean), p.lo, p.hi).astype(np.int8)


def conv2d_max_pool2d_s8(p: Conv2DMaxPool2DParams, x: S8, w: S8, bias: NDArray[np.int32]) -> S8:
    """Literally one after the other: convolution, then max pool."""
    full = conv2d_s8(p.conv, x, w, bias)
    return max_pool2d_s8(Pool2DParams(p.pool, p.conv.out_c, -128, 127), full)


def requantize_s8(p: RequantizeParams, x: S8) -> S8:
    """y = requant_double(x - zero_x)."""
    return write(rescale_double(x.astype(np.int64) - p.zero_x, p.rescale), p.y)


def argmax_s8(_: ArgmaxParams, x: S8) -> NDArray[np.int32]:
    """Index of the first largest of each row."""
    return np.array([row.tolist().index(max(row.tolist())) for row in x], np.int32)


def quantize_f32_s8(p: QuantizeParams, x: NDArray[np.float32]) -> S8:
    """round(x / scale) + zero, ties away from zero, saturated; NaN gives zero. The division is float32's."""
    out = np.empty(x.shape, np.int8)
    with np.errstate(all="ignore"):
        ratios = x / np.float32(p.scale)
    for i, v in enumerate(ratios.tolist()):
        if math.isnan(v):
            out[i] = p.zero
            continue
        v = max(-1000.0, min(1000.0, v))  # noqa: PLW2901
        nearest = math.floor(abs(v) + 0.5) * (1 if v >= 0 else -1)  # exact: abs(v) + 0.5 is a double
        out[i] = max(-128, min(127, nearest + p.zero))
    return out


def dequantize_s8_f32(p: QuantizeParams, x: S8) -> NDArray[np.float32]:
    """Scale times (x - zero), rounded once to float32."""
    return (float(np.float32(p.scale)) * (x.astype(np.float64) - p.zero)).astype(np.float32)


def depthwise_conv2d_s8(p: Conv2DParams, x: S8, w: S8, bias: NDArray[np.int32]) -> S8:
    """As a convolution of every output channel with the one input channel it sees."""
    v, copies = p.window, p.out_c // p.in_c
    distance = np.repeat(x.astype(np.int64) - p.zero_x, copies, axis=2)
    acc = np.empty((v.out_h, v.out_w, p.out_c), np.int64)
    for row in range(v.out_h):
        for column in range(v.out_w):
            acc[row, column] = bias + sum(w[i, j].astype(np.int64) * distance[h, q] for i, j, h, q in taps(v, row, column))
    return _requantize_channels(acc, p, rescale_double)


def spread(x: S8, b: Broadcast, count: int, zero: int) -> Int:
    """The operand brought to the result's size, less its zero point."""
    once = np.repeat(x.astype(np.int64) - zero, b.repeat)
    return np.tile(once, count // len(once))


def _scaled_up(v: Int, r: Rescale) -> Int:
    return rescale_double(v * 2**20, r)


def add_s8(p: AddParams, x: S8, x2: S8) -> S8:
    """Both brought to twice the larger scale / 2^20, added, brought to the result's."""
    a, b = spread(x, p.x, p.count, p.zero_x), spread(x2, p.x2, p.count, p.zero_x2)
    return write(rescale_double(_scaled_up(a, p.rescale_x) + _scaled_up(b, p.rescale_x2), p.rescale_y), p.y)


def sub_s8(p: AddParams, x: S8, x2: S8) -> S8:
    """Addition of the negated second operand."""
    a, b = spread(x, p.x, p.count, p.zero_x), spread(x2, p.x2, p.count, p.zero_x2)
    return write(rescale_double(_scaled_up(a, p.rescale_x) + _scaled_up(-b, p.rescale_x2), p.rescale_y), p.y)


def mul_s8(p: MulParams, x: S8, x2: S8) -> S8:
    """y = requant_double((x - zero_x) (x2 - zero_x2))."""
    product = spread(x, p.x, p.count, p.zero_x) * spread(x2, p.x2, p.count, p.zero_x2)
    return write(rescale_double(product, p.rescale), p.y)


def mean_s8(p: MeanParams, x: S8) -> S8:
    """The sum rescaled; the ratio holds the division."""
    return write(rescale_double((x.astype(np.int64) - p.zero_x).sum(axis=0), p.rescale), p.y)


def copy_s8(p: CopyParams, x: S8) -> S8:
    """Into zeros."""
    y = np.zeros((p.rows, p.stride), np.int8)
    y[:, p.first : p.first + p.size] = x
    return y


def pad_s8(p: PadParams, x: S8) -> S8:
    """NumPy's own padding."""
    return np.pad(x, ((p.top, p.bottom), (p.left, p.right), (p.front, p.back)), constant_values=p.value)


def lookup_s8(p: LookupParams, x: S8) -> S8:
    """Code by code."""
    return np.array([p.codes[int(code) + 128] for code in x], np.int8)


def as_s8(x: NDArray[np.uint8]) -> S8:
    """The uint8 code less 128."""
    return (x.astype(np.int64) - 128).astype(np.int8)


def as_u8(x: S8) -> NDArray[np.uint8]:
    """The int8 code plus 128."""
    return (x.astype(np.int64) + 128).astype(np.uint8)


def requantize_u8_s8(p: RequantizeParams, x: NDArray[np.uint8]) -> S8:
    """int8 to int8 of the codes less 128."""
    return requantize_s8(p, as_s8(x))


def requantize_s8_u8(p: RequantizeParams, x: S8) -> NDArray[np.uint8]:
    """int8 to int8, plus 128."""
    return as_u8(requantize_s8(p, x))


def quantize_f32_u8(p: QuantizeParams, x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """As int8, plus 128."""
    return as_u8(quantize_f32_s8(p, x))


def dequantize_u8_f32(p: QuantizeParams, x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As int8, of the codes less 128."""
    return dequantize_s8_f32(p, as_s8(x))


# ---- softmax: from input scale to output codes, with the whole polynomial ----


def _exp_q31(a: Int) -> Int:
    """exp(a / 2^26) in Q0.31 for a <= 0.

    With a = r - k/4, -1/4 <= r < 0: a Taylor polynomial of order 4 around -1/8 in r, times exp(-1/4 * 2^b) for every bit b
    of k.
    """
    quarter = 2**24
    r = np.mod(a, quarter) - quarter
    k = (r - a) // quarter
    t = r * 2**5 + 2**28
    t2 = high(t, t)
    t3, t4 = high(t2, t), high(t2, t2)
    order_2_to_4 = divide(high(divide(t4, 2) + t3, round(2**31 / 3)) + t2, 1)
    exp_eighth = round(math.exp(-1 / 8) * 2**31)
    result = exp_eighth + high(t + order_2_to_4, exp_eighth)
    for bit in range(7):
        factor = round(math.exp(-(2.0 ** (bit - 2))) * 2**31)
        result = np.where(k >> bit & 1, high(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _reciprocal_q31(total: int) -> tuple[int, int]:
    """2^31 / (1 + a) by Newton's method, where ``total = (1 + a) * 2^e``; and e - 19."""
    e = total.bit_length() - 1
    d = total * 2 ** (31 - e) // 2  # (1 + a) / 2 in Q0.31
    x = round(48 / 17 * 2**29) + int(high(d, -round(32 / 17 * 2**29)))
    for _ in range(3):
        x += 4 * int(high(x, 2**29 - int(high(d, x))))
    return min(2 * x, INT32_MAX), e - 19


def softmax_s8(x: S8, scale: float, beta: float) -> S8:
    """Softmax of each row of int8[rows, size]; result in scale 1/256, zero point -128."""
    ratio = min(float(np.float32(scale)) * float(np.float32(beta)) * 2**26, 2.0**31 - 1)
    fraction, left = math.frexp(ratio)
    mult = round(fraction * 2**31)
    if mult == 2**31:
        mult, left = 2**30, left + 1
    farthest = 31 * 2**26 // 2**left
    out = np.full(x.shape, -128, np.int8)
    for row, y in zip(x.astype(np.int64), out, strict=True):
        difference = row - row.max()
        counts = difference >= -farthest
        e = _exp_q31(high(difference[counts] * 2**left, mult))
        inverse, bits = _reciprocal_q31(int(divide(e, 12).sum()))
        y[counts] = np.clip(divide(high(e, inverse), bits + 23) - 128, -128, 127)
    return out
