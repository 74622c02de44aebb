"""How far the accumulators of a model can go: interval analysis over actual weights, biases and ranges of inputs.

Each tensor's codes lie in an interval: that of its calibration, or all of int8, then what each step makes of it after its fused
clamp. Each step's accumulator then has an exact lowest and highest value, and an input that reaches them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.model import Model
from engine.program import (
    AddParams,
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
    Params,
    Pool2DParams,
    Program,
    RequantizeParams,
    Rescale,
    SoftmaxParams,
    Step,
    Window,
)
from enginekit.encode.chain import ChainParams
from enginekit.encode.steps import Rounding, exact_codes

Range = tuple[int, int]
INT8: Range = (-128, 127)
#: What add, sub and their operands are shifted by before they are rescaled: ENG_ADD_SHIFT.
_ADD_SHIFT = 20
#: exp(0) as softmax sums it, Q12.19.
_SOFTMAX_ONE = 1 << 19


@dataclass(frozen=True, eq=False)
class Proof:
    """What is proven of one step.

    Parameters
    ----------
    name, kernel : str
    x_range : (int, int)
        Lowest and highest code that it can read.
    y_range : (int, int)
        Lowest and highest code that it can write.
    low, high : int
        Lowest and highest accumulator, bias included, exactly; both 0 for a step without one.
    adversaries : tuple of (int8[x_size], int8[x2_size] or None)
        For `low` and for `high`, inputs that reach it; empty for a step without an accumulator.
    """

    name: str
    kernel: str
    x_range: Range
    y_range: Range
    low: int
    high: int
    adversaries: tuple[tuple[NDArray[np.int8], NDArray[np.int8] | None], ...]

    @property
    def bits(self) -> int:
        """Bits of the smallest signed number that holds the accumulator; 0 without one.

        >>> Proof("", "", INT8, INT8, -129, 127, ()).bits
        9
        """
        return (
            1 + max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low < 0 else 0) if self.low or self.high else 0
        )


@dataclass(frozen=True, eq=False)
class _Found:
    """Extremes of an accumulator a channel, and the inputs that reach the lowest and the highest of all."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    adversaries: tuple[tuple[NDArray[np.int8], NDArray[np.int8] | None], ...]


def prove(model: Model, samples: NDArray[Any] | None = None) -> tuple[Proof, ...]:
    """Prove the accumulators of every step.

    Parameters
    ----------
    model : Model
    samples : array[n, ...], optional
        Inputs of the model. Then each tensor's interval is that of these samples, and the proof holds for inputs within them
        only; without, for every input.

    Returns
    -------
    tuple of Proof
        One a step.
    """
    seen: dict[int, Range] = {}
    if samples is not None:
        traces = zip(model.program.steps, model.trace(samples), strict=True)  # a copy's holds more than it wrote
        wrote = {i: t.array for i, (step, t) in enumerate(traces) if t.array.dtype == np.int8 and step.kernel != "copy_s8"}
        seen = {i: (int(array.min()), int(array.max())) for i, array in wrote.items()}
    ranges = _Ranges(model, samples)
    pieces: dict[int, Range] = {}
    proofs = []
    for index, step in enumerate(model.program.steps):
        x_range = ranges.read(step.x_offset, step.x_size)
        x2_range = ranges.read(step.x2_offset, step.x2_size) if step.x2 is not None else _constant(step)
        found = _accumulator(step, x_range, x2_range)
        y_range = seen.get(index, _written(step, x_range, found))
        before = pieces.get(step.y, y_range)  # a concatenation writes its output in pieces
        pieces[step.y] = (min(before[0], y_range[0]), max(before[1], y_range[1]))
        ranges.write(step.y_offset, step.y_size, pieces[step.y])
        low, high = (0, 0) if found is None else (int(found.low.min()), int(found.high.max()))
        adversaries = () if found is None else found.adversaries
        proofs.append(Proof(step.name, step.kernel, x_range, y_range, low, high, adversaries))
    return tuple(proofs)


def joined(proofs: Sequence[Proof], program: Program) -> tuple[Proof, ...]:
    """Give the proofs of a program of the same layers, in which some steps are chains of the model's."""
    found, left = [], list(proofs)
    for step in program.steps:
        count = len(step.params.steps) if isinstance(step.params, ChainParams) else 1
        own, left = left[:count], left[count:]
        low, high = min(proof.low for proof in own), max(proof.high for proof in own)
        chain = Proof(step.name, step.kernel, own[0].x_range, own[-1].y_range, low, high, ())
        found.append(own[0] if count == 1 else chain)
    return tuple(found)


class _Ranges:
    """Intervals of what lies in the arena, by place, as reshaping costs no step."""

    def __init__(self, model: Model, samples: NDArray[Any] | None) -> None:
        self._written: list[tuple[int, int, Range]] = []
        if samples is not None and samples.dtype == np.int8:
            self.write(model.program.input_offsets[0], samples[0].size, (int(samples.min()), int(samples.max())))

    def write(self, offset: int, size: int, codes: Range) -> None:
        self._written.append((offset, size, codes))

    def read(self, offset: int, size: int) -> Range:
        """Give the interval of what was written there last, of several pieces if it takes them; all of int8 if unknown."""
        missing = {(offset, offset + size)}
        found: list[Range] = []
        for at, length, codes in reversed(self._written):
            hit = {(a, b) for a, b in missing if at < b and a < at + length}
            if not hit:
                continue
            found.append(codes)
            for a, b in hit:
                missing.remove((a, b))
                missing |= {(s, e) for s, e in ((a, min(at, b)), (max(at + length, a), b)) if s < e}
            if not missing:
                return min(low for low, _ in found), max(high for _, high in found)
        return INT8


def _constant(step: Step) -> Range:
    return INT8 if step.w is None else (int(step.w.min()), int(step.w.max()))


def _accumulator(step: Step, x: Range, x2: Range) -> _Found | None:
    params = step.params
    if isinstance(params, DenseParams | DenseWideParams):
        return _dense(step, x)
    if isinstance(params, Conv2DParams):
        return _convolution(step, params, x)
    if isinstance(params, Conv2DMaxPool2DParams):
        return _convolution(step, params.conv, x)
    if isinstance(params, Pool2DParams) and step.kernel == "average_pool2d_s8":
        window = params.window
        taps = max(len(t) for t in _taps_inside(window, 0)) * max(len(t) for t in _taps_inside(window, 1))
        return _uniform(step, x, lambda code: taps * code)
    if isinstance(params, MeanParams):
        return _uniform(step, x, lambda code: params.pixels * (code - params.zero_x))
    if isinstance(params, SoftmaxParams):
        most = np.array([params.size * _SOFTMAX_ONE])
        adversary = (np.zeros(step.x_size, np.int8), None)
        return _Found(np.array([_SOFTMAX_ONE]), most, (adversary, adversary))
    if isinstance(params, AddParams | MulParams):
        return _pairs(step, x, x2)
    return None


def _taps_inside(window: Window, axis: int) -> list[tuple[int, ...]]:
    """List the taps inside the image for each position along one axis: 0 down, 1 to the right."""
    w = window
    sizes = (w.in_h, w.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top)
    size, out, kernel, stride, dilation, pad = (sizes, (w.in_w, w.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left))[
        axis
    ]
    starts = [position * stride - pad for position in range(out)]
    return [tuple(tap for tap in range(kernel) if 0 <= start + tap * dilation < size) for start in starts]


def _ends(w: NDArray[np.int8], x: Range, zero: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest product of each weight with a code less its zero point."""
    a, b = w.astype(np.int64) * (x[0] - zero), w.astype(np.int64) * (x[1] - zero)
    return np.minimum(a, b), np.maximum(a, b)


def _dense(step: Step, x: Range) -> _Found:
    assert step.w is not None
    assert step.bias is not None
    w = step.w.reshape(len(step.bias), -1)
    low, high = _ends(w, x, 0)
    sums = [step.bias + each.sum(1) for each in (low, high)]
    repeat = step.x_size // w.shape[1]
    lowest, highest = w[int(sums[0].argmin())], w[int(sums[1].argmax())]
    least = np.where(lowest > 0, x[0], x[1]).astype(np.int8)
    most = np.where(highest > 0, x[1], x[0]).astype(np.int8)
    return _Found(sums[0], sums[1], ((np.tile(least, repeat), None), (np.tile(most, repeat), None)))


def _convolution(step: Step, params: Conv2DParams, x: Range) -> _Found:
    """Bound the sums over every set of taps that lies inside the image at some position: padding adds nothing."""
    assert step.w is not None
    assert step.bias is not None
    window, depthwise = params.window, step.kernel == "depthwise_conv2d_s8"
    w = step.w.reshape(window.kernel_h, window.kernel_w, params.out_c).transpose(2, 0, 1)[..., None] if depthwise else step.w
    w = w.reshape(params.out_c, window.kernel_h, window.kernel_w, -1)
    low, high = _ends(w, x, params.zero_x)
    best = [(1 << 62, 0, 0, 0), (1 << 62, 0, 0, 0)]
    lows, highs = [], []
    for row, rows in _distinct(_taps_inside(window, 0)):
        for column, columns in _distinct(_taps_inside(window, 1)):
            block = np.ix_(range(params.out_c), rows, columns)
            sums = [step.bias + each[block].sum((1, 2, 3)) for each in (low, high)]
            lows.append(sums[0])
            highs.append(sums[1])
            for end, (sign, each) in enumerate(((1, sums[0]), (-1, sums[1]))):
                best[end] = min(best[end], (int((sign * each).min()), int((sign * each).argmin()), row, column))
    signs = [w[channel] * (1 if end else -1) for end, (_, channel, _, _) in enumerate(best)]
    adversaries = tuple((_image(step, x, found, sign), None) for found, sign in zip(best, signs, strict=True))
    return _Found(np.min(lows, axis=0), np.max(highs, axis=0), adversaries)


def _distinct(taps: list[tuple[int, ...]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield each different set of taps with the first position that has it."""
    seen: set[tuple[int, ...]] = set()
    for position, inside in enumerate(taps):
        if inside not in seen:
            seen.add(inside)
            yield position, inside


def _image(step: Step, x: Range, found: tuple[int, int, int, int], w: NDArray[np.int8]) -> NDArray[np.int8]:
    """Write an input with the highest codes under positive weights ``w[kernel_h, kernel_w, channels]`` at one position."""
    params = step.params.conv if isinstance(step.params, Conv2DMaxPool2DParams) else step.params
    assert isinstance(params, Conv2DParams)
    window = params.window
    _, channel, row, column = found
    image = np.full((window.in_h, window.in_w, params.in_c), x[0], np.int8)
    first = channel * params.in_c // params.out_c if step.kernel == "depthwise_conv2d_s8" else 0
    for i in _taps_inside(window, 0)[row]:
        for j in _taps_inside(window, 1)[column]:
            at = row * window.stride_h + i * window.dilation_h - window.pad_top
            left = column * window.stride_w + j * window.dilation_w - window.pad_left
            image[at, left, first : first + w.shape[2]] = np.where(w[i, j] > 0, x[1], x[0])
    return np.tile(image.ravel(), step.x_size // image.size)


def _uniform(step: Step, x: Range, total: Callable[[int], int]) -> _Found:
    """Bound a sum that grows with every input: all lowest, all highest."""
    ends = tuple((np.full(step.x_size, code, np.int8), None) for code in x)
    return _Found(np.array([total(x[0])]), np.array([total(x[1])]), ends)


def _pairs(step: Step, x: Range, x2: Range) -> _Found:
    """Bound an operation of two inputs: it is monotone in each, so that its ends are at corners."""
    params = step.params
    corners = [(a, b) for a in x for b in x2]
    values = [_pair(params, step.kernel, a, b) for a, b in corners]
    order = np.argsort(values, kind="stable")
    ends = [corners[int(order[at])] for at in (0, -1)]
    inputs = tuple(
        (np.full(step.x_size, a, np.int8), np.full(step.x2_size, b, np.int8) if step.x2 is not None else None) for a, b in ends
    )
    return _Found(np.array([min(values)]), np.array([max(values)]), inputs)


def _pair(params: Params, kernel: str, a: int, b: int) -> int:
    assert isinstance(params, AddParams | MulParams)
    left, right = a - params.zero_x, b - params.zero_x2
    if isinstance(params, MulParams):
        return left * right
    sign = -1 if kernel == "sub_s8" else 1
    return _rescaled(left << _ADD_SHIFT, params.rescale_x) + _rescaled(sign * right << _ADD_SHIFT, params.rescale_x2)


def _rescaled(value: int, rescale: Rescale) -> int:
    return int(kernels.rescale_double(np.array([value], np.int32), rescale)[0])


def _written(step: Step, x: Range, found: _Found | None) -> Range:
    """Give the interval of what a step writes, after its clamp."""
    params = step.params
    if isinstance(params, Pool2DParams):
        return max(x[0], params.lo), min(max(x[1], params.lo), params.hi)
    if isinstance(params, CopyParams):
        return x
    if isinstance(params, PadParams):
        return min(x[0], params.value), max(x[1], params.value)
    if isinstance(params, LookupParams):
        codes = params.codes[x[0] + 128 : x[1] + 129]
        return min(codes), max(codes)
    if isinstance(params, RequantizeParams) and step.kernel == "requantize_s8":
        ends = np.array(x) - params.zero_x
        return _clamped(ends, (params.rescale,), Rounding.DOUBLE, params.y)
    if isinstance(params, Conv2DMaxPool2DParams):
        params = params.conv
    if isinstance(params, DenseParams | Conv2DParams) and found is not None:
        rounding = Rounding.SINGLE if isinstance(params, DenseParams) else Rounding.DOUBLE
        rescale = params.rescale if params.rescale_step else params.rescale * len(found.low)
        return _clamped(np.stack([found.low, found.high]), rescale, rounding, params.y)
    return (params.y.lo, params.y.hi) if hasattr(params, "y") else INT8


def _clamped(sums: NDArray[Any], rescale: tuple[Rescale, ...], rounding: Rounding, y: OutputS8) -> Range:
    columns = sums.reshape(2, -1).T
    codes = np.array([exact_codes(column, r, rounding, y.zero) for column, r in zip(columns, rescale, strict=True)])
    return int(codes.min().clip(y.lo, y.hi)), int(codes.max().clip(y.lo, y.hi))
