"""Calls of kernels that prices are fitted to: small steps that are drawn so that every event occurs in every mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import program as records
from engine.graph import Conv2DOptions, Padding
from engine.program import Broadcast, OutputS8, Params, Ratio, Rescale, Step, Window
from engine.window import blind_position, window

Rng = np.random.Generator
#: Numbers that the float library takes its time for, or none at all.
_STRANGE = (np.inf, -np.inf, np.nan, 1e-40, -3e-42, 1e-37, 3e38)


@dataclass(frozen=True, eq=False)
class Trial:
    """One call of a kernel: its step, and what it reads."""

    step: Step
    x: NDArray[Any]
    x2: NDArray[np.int8] | None = None


def trial(
    kernel: str,
    params: Params,
    x: NDArray[Any],
    y_size: int,
    *,
    w: NDArray[np.int8] | None = None,
    bias: NDArray[np.int32] | None = None,
    x2: NDArray[np.int8] | None = None,
) -> Trial:
    """Make a step of these parts; its places in the arena mean nothing."""
    second = None if x2 is None else 0
    size = 0 if x2 is None else x2.nbytes
    return Trial(Step(kernel, (), kernel, params, w, bias, 0, 1, 0, 0, 0, x.nbytes, y_size, 0, 0, second, 0, size), x, x2)


def codes(rng: Rng, *shape: int) -> NDArray[np.int8]:
    """Draw codes; a quarter of the arrays are of one sign, so that signs are told from the rest."""
    low, high = ((-128, 128), (-128, 128), (0, 128), (-128, 0))[rng.integers(4)]
    return rng.integers(low, high, shape).astype(np.int8)


def output(rng: Rng) -> OutputS8:
    """Draw zero point and limits."""
    zero = int(rng.integers(-128, 128))
    low, high = np.sort(rng.integers(-128, 128, 2)).tolist() if rng.random() < 0.5 else (-128, 127)
    return OutputS8(zero, low, high)


def rescale(rng: Rng, largest: float) -> Rescale:
    """Draw a ratio that makes codes of sums of this size; some larger or smaller, so that codes are cut, or are 0."""
    mult = int(rng.integers(1 << 30, (1 << 31) - 1))
    shift = round(np.log2(100 / max(largest, 1))) + int(rng.integers(-4, 4))
    return Rescale(mult, min(max(shift, 0), 8), min(max(-shift, 0), 31))


def several(rng: Rng, count: int, largest: float) -> tuple[Rescale, ...]:
    """Draw one ratio for all outputs, or one each."""
    return tuple(rescale(rng, largest) for _ in range(count if rng.random() < 0.5 else 1))


def geometry(rng: Rng, *, largest: int = 6, taps: int = 3, dilated: bool = True) -> Window:
    """Draw a window, with every position seeing something of the image."""
    while True:
        h, w = (int(n) for n in rng.integers(1, largest + 1, 2))
        kernel = tuple(int(n) for n in rng.integers(1, taps + 1, 2))
        (down, right), (rows, columns) = rng.integers(1, 4, 2).tolist(), rng.integers(1, 3, 2).tolist()
        spread = dilated and rng.random() < 0.5
        padding = Padding.SAME if rng.random() < 0.7 else Padding.VALID
        options = Conv2DOptions(down, right, rows if spread else 1, columns if spread else 1, padding)
        found = window(h, w, (kernel[0], kernel[1]), options)
        if min(found.out_h, found.out_w) > 0 and not blind_position(found):
            return found


def dense(rng: Rng, kernel: str) -> Trial:
    """Draw a dense layer; some of more than 256 inputs."""
    size, out = int(rng.choice([*range(1, 40), 256, 300, 513])), int(rng.integers(1, 6))
    w, x = codes(rng, out, size), codes(rng, size)
    bias = rng.integers(-2000, 2000, out).astype(np.int32)
    ratios = several(rng, out, 70 * 70 * size**0.5)
    params = records.DenseParams(size, out, int(len(ratios) > 1), output(rng), ratios)
    return trial(kernel, params, x, out, w=w, bias=bias)


def dense_wide(rng: Rng, kernel: str) -> Trial:
    """Draw a dense layer over vectors."""
    rows, size, out = (int(n) for n in rng.integers(1, 6, 3))
    w, x = codes(rng, out, size), codes(rng, rows, size)
    bias = rng.integers(-300, 300, out).astype(np.int32) * int(rng.integers(2))
    x = x * np.int8(rng.integers(2)) if rng.random() < 0.2 else x
    count = out if rng.random() < 0.5 else 1
    bits = [np.float64(rng.uniform(1, 2) * 2.0 ** rng.integers(-40, 14)).view(np.uint64) for _ in range(count)]
    bits = [np.float64(2.0 ** rng.integers(-14, 2)).view(np.uint64) if rng.random() < 0.3 else each for each in bits]
    ratios = tuple(Ratio(int(each) & 0xFFFFFFFF, int(each) >> 32) if rng.random() < 0.95 else Ratio(0, 0) for each in bits)
    params = records.DenseWideParams(rows, size, out, int(count > 1), output(rng), ratios)
    return trial(kernel, params, x, rows * out, w=w, bias=bias)


def _conv(rng: Rng, win: Window, channels: int, out: int, taps: int) -> records.Conv2DParams:
    ratios = several(rng, out, 90 * 70 * taps**0.5)
    zero = int(rng.choice([0, -128, int(rng.integers(-128, 128))]))
    return records.Conv2DParams(win, channels, out, zero, int(len(ratios) > 1), output(rng), ratios)


def conv2d(rng: Rng, kernel: str) -> Trial:
    """Draw a convolution."""
    win, channels, out = geometry(rng), int(rng.integers(1, 5)), int(rng.integers(1, 5))
    taps = win.kernel_h * win.kernel_w * channels
    w, x = codes(rng, out, taps), codes(rng, win.in_h, win.in_w, channels)
    bias = rng.integers(-2000, 2000, out).astype(np.int32)
    y_size = win.out_h * win.out_w * out
    return trial(kernel, _conv(rng, win, channels, out, taps), x, y_size, w=w, bias=bias)


def conv2d_max_pool2d(rng: Rng, kernel: str) -> Trial:
    """Draw a convolution and a pool over its positions."""
    win, channels, out = geometry(rng), int(rng.integers(1, 3)), int(rng.integers(1, 4))
    while True:
        pool = geometry(rng, dilated=False)
        if (pool.in_h, pool.in_w) == (win.out_h, win.out_w):
            break
        win = geometry(rng)
    taps = win.kernel_h * win.kernel_w * channels
    w, x = codes(rng, out, taps), codes(rng, win.in_h, win.in_w, channels)
    bias = rng.integers(-2000, 2000, out).astype(np.int32)
    params = records.Conv2DMaxPool2DParams(_conv(rng, win, channels, out, taps), pool)
    return trial(kernel, params, x, pool.out_h * pool.out_w * out, w=w, bias=bias)


def depthwise(rng: Rng, kernel: str, *, largest: int = 6) -> Trial:
    """Draw a depthwise convolution."""
    win, channels, copies = geometry(rng, largest=largest), int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3, 4]))
    out, taps = channels * copies, win.kernel_h * win.kernel_w
    w, x = codes(rng, taps, out), codes(rng, win.in_h, win.in_w, channels)
    bias = rng.integers(-2000, 2000, out).astype(np.int32)
    return trial(kernel, _conv(rng, win, channels, out, taps), x, win.out_h * win.out_w * out, w=w, bias=bias)


def pool(rng: Rng, kernel: str) -> Trial:
    """Draw a pool; some over a whole image of more than 255 pixels."""
    win, channels = geometry(rng, taps=5, dilated=False), int(rng.integers(1, 5))
    if rng.random() < 0.1:
        win, channels = Window(16, 17, 1, 1, 16, int(rng.integers(16, 18)), 1, 1, 1, 1, 0, 0), 1
    limits = output(rng)
    x = codes(rng, win.in_h, win.in_w, channels)
    return trial(kernel, records.Pool2DParams(win, channels, limits.lo, limits.hi), x, win.out_h * win.out_w * channels)


def join(rng: Rng, kernel: str) -> Trial:
    """Draw an addition, subtraction or multiplication, of operands of the same shape or repeated."""
    inner, middle, outer = (int(n) for n in rng.integers(1, 6, 3))
    count = inner * middle * outer
    walks = [
        Broadcast(count, 1),
        Broadcast(inner, 1),
        Broadcast(middle, inner),
        Broadcast(1, 1),
        Broadcast(outer, count // outer),
    ]
    a, b = (walks[n] for n in rng.integers(0, len(walks), 2))
    zero, zero2 = rng.integers(-128, 128, 2).tolist()
    x, x2 = codes(rng, a.size), codes(rng, b.size)
    if kernel == "mul_s8":
        params: Params = records.MulParams(count, a, b, zero, zero2, rescale(rng, 120 * 120), output(rng))
    else:
        first, second = (Rescale(int(rng.integers(1 << 30, (1 << 31) - 1)), 0, int(n)) for n in rng.integers(0, 12, 2))
        params = records.AddParams(count, a, b, zero, zero2, first, second, rescale(rng, 1 << 26), output(rng))
    constant = rng.random() < 0.4
    return trial(kernel, params, x, count, w=x2 if constant else None, x2=None if constant else x2)


def mean(rng: Rng, kernel: str) -> Trial:
    """Draw a mean."""
    pixels, channels = int(rng.integers(1, 30)), int(rng.integers(1, 5))
    params = records.MeanParams(pixels, channels, int(rng.integers(-128, 128)), rescale(rng, 60 * pixels), output(rng))
    return trial(kernel, params, codes(rng, pixels, channels), channels)


def requantize(rng: Rng, kernel: str) -> Trial:
    """Draw a requantization."""
    count = int(rng.integers(1, 30))
    params = records.RequantizeParams(count, int(rng.integers(-128, 128)), rescale(rng, 120), output(rng))
    x = codes(rng, count)
    return trial(kernel, params, x.view(np.uint8) if kernel == "requantize_u8_s8" else x, count)


def copy(rng: Rng, kernel: str) -> Trial:
    """Draw a copy into some columns."""
    rows, size, first, more = (int(n) for n in rng.integers(1, 20, 4))
    stride = first - 1 + size + more - 1
    return trial(kernel, records.CopyParams(rows, size, stride, first - 1), codes(rng, rows, size), rows * stride)


def pad(rng: Rng, kernel: str) -> Trial:
    """Draw a padding, of channels or of none."""
    h, w, channels = (int(n) for n in rng.integers(1, 6, 3))
    margins = rng.integers(0, 3, 6)
    margins[4:] *= rng.integers(2)
    shape = np.array([h, w, channels]) + margins.reshape(3, 2).sum(axis=1)
    top, bottom, left, right, front, back = margins.tolist()
    value = int(rng.integers(-128, 128))
    params = records.PadParams(h, w, channels, top, bottom, left, right, front, back, value)
    return trial(kernel, params, codes(rng, h, w, channels), int(shape.prod()))


def lookup(rng: Rng, kernel: str) -> Trial:
    """Draw a table."""
    count = int(rng.integers(1, 50))
    return trial(kernel, records.LookupParams(count, tuple(codes(rng, 256).tolist())), codes(rng, count), count)


def softmax(rng: Rng, kernel: str) -> Trial:
    """Draw rows, with tables of any steepness."""
    rows, size = int(rng.integers(1, 3)), int(rng.integers(1, 30) if rng.random() < 0.9 else rng.integers(300, 900))
    rate = 2.0 ** rng.uniform(-8, 1)
    whole = np.minimum(np.rint(np.exp(-rate * np.arange(256)) * (1 << 31)), (1 << 31) - 1).astype(np.int64)
    table = tuple(whole[whole > 0].tolist())
    x = codes(rng, rows, size) if rng.random() < 0.7 else np.full((rows, size), rng.integers(-128, 128), np.int8)
    return trial(kernel, records.SoftmaxParams(rows, size, len(table), table), x, rows * size)


def argmax(rng: Rng, kernel: str) -> Trial:
    """Draw rows; some of them rise."""
    rows, size = int(rng.integers(1, 5)), int(rng.integers(1, 20))
    x = codes(rng, rows, size)
    x = np.sort(x, axis=1) if rng.random() < 0.3 else x
    return trial(kernel, records.ArgmaxParams(rows, size), x, 4 * rows)


def quantize(rng: Rng, kernel: str) -> Trial:
    """Draw floats of the range of codes and far beyond, integers, halves and numbers below the normal ones among them."""
    count, scale = int(rng.integers(1, 20)), np.float32(2.0 ** rng.uniform(-10, 3) if rng.random() < 0.8 else 1e-37)
    quotients = rng.uniform(-300, 300, count) if rng.random() < 0.5 else 2.0 ** rng.uniform(-6, 10, count)
    kinds = {0: np.rint(quotients), 1: np.rint(quotients) + 0.5, 2: quotients * 0, 3: quotients * 2.0**-120}
    x = (kinds.get(int(rng.integers(10)), quotients) * rng.choice([-1, 1]) * scale).astype(np.float32)
    if rng.random() < 0.2:
        x[:] = np.float32(rng.choice(_STRANGE))
        scale = (scale, np.float32(1e12), np.float32(1e-12))[rng.integers(3)]
    return trial(kernel, records.QuantizeParams(count, scale, int(rng.integers(-128, 128))), x, count)


def dequantize(rng: Rng, kernel: str) -> Trial:
    """Draw codes and a scale."""
    count, scale = int(rng.integers(1, 20)), np.float32(2.0 ** rng.uniform(-20, 20))
    scale = np.float32(2.0 ** rng.integers(-20, 20)) if rng.random() < 0.2 else scale
    params = records.QuantizeParams(count, scale, int(rng.integers(-128, 128)))
    x = codes(rng, count) if rng.random() < 0.8 else np.full(count, params.zero, np.int8)
    return trial(kernel, params, x.view(np.uint8) if kernel == "dequantize_u8_f32" else x, 4 * count)


#: Kernel -> what draws a call of it.
DRAW: dict[str, Callable[[Rng, str], Trial]] = {
    "dense_s8": dense,
    "dense_wide_s8": dense_wide,
    "conv2d_s8": conv2d,
    "conv2d_max_pool2d_s8": conv2d_max_pool2d,
    "depthwise_conv2d_s8": depthwise,
    "max_pool2d_s8": pool,
    "average_pool2d_s8": pool,
    "add_s8": join,
    "sub_s8": join,
    "mul_s8": join,
    "mean_s8": mean,
    "requantize_s8": requantize,
    "requantize_u8_s8": requantize,
    "requantize_s8_u8": requantize,
    "copy_s8": copy,
    "pad_s8": pad,
    "lookup_s8": lookup,
    "softmax_s8": softmax,
    "argmax_s8": argmax,
    "quantize_f32_s8": quantize,
    "quantize_f32_u8": quantize,
    "dequantize_s8_f32": dequantize,
    "dequantize_u8_f32": dequantize,
}
