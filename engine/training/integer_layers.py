"""Layers of integer training at work: scales, masters and the calls of the kernels. The rules are in ``eng/train_int.h``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels_f32
from engine import kernels_train_int as kernels
from engine.errors import QuantError
from engine.graph import Activation, Padding
from engine.kernels import quantize_f32_s8
from engine.program import OutputS8, QuantizeParams, Rescale, Window
from engine.rescale import dense_rescale, fixed_point, output_range

Codes = NDArray[np.int8]
Sums = NDArray[np.int32]
Shape = tuple[int, ...]

#: Fraction of a master that stands for its code exactly.
MIDDLE = 128
#: Units of a master in one code.
UNITS = 256
#: Largest accumulator that `dense_int` can give.
MOST_ACC = 2**31 - 1


@dataclass(frozen=True)
class Constants:
    """What a layer needs to learn at one learning rate: mult of its errors, (shift, bias_mult, bias_shift) of its steps."""

    mult: int
    step: tuple[int, int, int]


@dataclass(frozen=True)
class Quantization:
    """Scale and zero point of codes; the scale is as a file stores it, float32."""

    scale: float
    zero: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.float32(self.scale)))

    def codes(self, real: NDArray[np.float32]) -> Codes:
        """Quantize finite numbers of any shape as ``Model.predict`` does."""
        params = QuantizeParams(real.size, np.float32(self.scale), self.zero)
        return quantize_f32_s8(params, np.ascontiguousarray(real).reshape(-1)).reshape(real.shape)


@dataclass
class Flow:
    """A backward pass on its way down: the gradient, and the sum of the errors' exponents so far."""

    dy: Sums
    exponent: int = 0


class Operation:
    """One layer."""

    def __init__(self, name: str, x_shape: Shape, y_shape: Shape) -> None:
        self.name = name
        self.x_shape = x_shape
        self.y_shape = y_shape

    def forward(self, x: Codes) -> Codes:
        """Compute output codes."""
        raise NotImplementedError

    def backward(self, dy: Sums) -> Sums:
        """Turn the gradient of the last forward's output into that of its input."""
        raise NotImplementedError

    def gradient_bound(self, bound: int) -> int:
        """Largest magnitude of the input's gradient where that of the output is at most `bound`."""
        return bound


class Flatten(Operation):
    """Another shape."""

    def __init__(self, name: str, x_shape: Shape) -> None:
        super().__init__(name, x_shape, (math.prod(x_shape),))

    def forward(self, x: Codes) -> Codes:
        """Reshape."""
        return x.reshape(len(x), *self.y_shape)

    def backward(self, dy: Sums) -> Sums:
        """Reshape back."""
        return dy.reshape(len(dy), *self.x_shape)


class MaxPool2D(Operation):
    """Max pool of codes."""

    _index: NDArray[np.uint32]

    def __init__(self, name: str, x_shape: Shape, window: Window, padding: Padding) -> None:
        super().__init__(name, x_shape, (window.out_h, window.out_w, x_shape[2]))
        self.window = window
        self.padding = padding

    def forward(self, x: Codes) -> Codes:
        """Take maxima and remember where they were."""
        y, self._index = kernels.max_pool2d_int(self.window, x)
        return y

    def backward(self, dy: Sums) -> Sums:
        """Pass gradients to the maxima."""
        dx = np.empty((len(dy), *self.x_shape), np.int32)
        kernels.max_pool2d_int_backward(self.window, self._index, dy, dx=dx)
        return dx

    def gradient_bound(self, bound: int) -> int:
        """Windows that overlap add up."""
        w = self.window
        return bound * -(-w.kernel_h // w.stride_h) * -(-w.kernel_w // w.stride_w)


@dataclass(eq=False)
class Weighted(Operation):
    """Dense, or a convolution if it has a window.

    Parameters
    ----------
    name : str
    x_shape, y_shape : tuple of int
        Without batch.
    x, y : Quantization
        Of input and output codes.
    scale_w : float
        Of the weights.
    w : int16[out, in]
        Masters, in rows of ``kernel_h * kernel_w * in_c`` for a convolution.
    bias : int32[out]
        In units of ``x.scale * scale_w``.
    activation : Activation
    window : Window, optional
    padding : Padding
        How the window came about.
    """

    name: str
    x_shape: Shape
    y_shape: Shape
    x: Quantization
    y: Quantization
    scale_w: float
    w: NDArray[np.int16]
    bias: Sums
    activation: Activation = Activation.NONE
    window: Window | None = None
    padding: Padding = Padding.VALID
    output: OutputS8 = field(init=False)
    rescale: Rescale = field(init=False)

    def __post_init__(self) -> None:
        self.scale_w = float(np.float32(self.scale_w))
        self.output = output_range(self.activation, self.y.scale, self.y.zero)
        if self.window is None:
            records = dense_rescale(self.x.scale, [self.scale_w], self.y.scale, MOST_ACC)
            if records is None:
                raise QuantError(
                    f"integer dense layer: no 31-bit multiplier is exact for x scale {self.x.scale!r}, weight scale "
                    f"{self.scale_w!r} and y scale {self.y.scale!r}; change one of them by a bit (another calibration does)"
                )
            (self.rescale,) = records
        else:
            self.rescale = fixed_point(self.x.scale * self.scale_w / self.y.scale)
        self._rows: Codes = np.empty((0, self.w.shape[1]), np.int8)
        self._codes: Codes = np.empty((0, *self.y_shape), np.int8)

    @property
    def codes(self) -> Codes:
        """The weights as the int8 model has them: int8[out, in]."""
        return (self.w >> 8).astype(np.int8)

    def gradient_bound(self, bound: int) -> int:  # noqa: ARG002  errors are int8 again, whatever came
        """Sum over outputs and taps of products of errors and weights."""
        taps = 1 if self.window is None else self.window.kernel_h * self.window.kernel_w
        return taps * len(self.bias) * 127 * 127

    def sums(self, x: Codes) -> Sums:
        """Compute the accumulators int32[rows, out]."""
        self._rows = x if self.window is None else kernels.patches_int(self.window, x, zero_x=self.x.zero)
        return kernels.dense_int(self._rows, self.w, self.bias, zero_x=self.x.zero)

    def requantized(self, sums: Sums) -> Codes:
        """Turn accumulators into output codes int8[batch, *y_shape]."""
        kernel = kernels.codes_single_int if self.window is None else kernels.codes_double_int
        self._codes = kernel(sums, self.rescale, self.output).reshape(-1, *self.y_shape)
        return self._codes

    def forward(self, x: Codes) -> Codes:
        """Compute sums and requantize them."""
        return self.requantized(self.sums(x))

    def learn(self, flow: Flow, constants: Constants, rng: NDArray[np.uint32], *, clamped: bool, needs_dx: bool) -> None:
        """Take a step by the gradient of the output and, if needed, put that of the input in its place."""
        if clamped:
            kernels.relu_int_backward(self._codes, flow.dy, lo=self.output.lo, hi=self.output.hi)
        h, exponent = kernels.errors_int(flow.dy.reshape(len(self._rows), -1), rng, mult=constants.mult)
        flow.exponent += exponent
        if needs_dx:
            flow.dy = self._input_gradient(kernels.dense_int_backward(h, self.w), len(flow.dy))
        self._step(h, flow.exponent, constants, rng)

    def _input_gradient(self, drows: Sums, batch: int) -> Sums:
        if self.window is None:
            return drows
        dx = np.empty((batch, *self.x_shape), np.int32)
        kernels.patches_int_backward(self.window, drows, dx=dx)
        return dx

    def _step(self, h: Codes, exponent: int, constants: Constants, rng: NDArray[np.uint32]) -> None:
        zero = self.x.zero
        if len(h) == 1:
            kernels.dense_int_step(constants.step, exponent, rng, self._rows[0], h[0], self.w, self.bias, zero_x=zero)
            return
        dw, dbias = np.zeros(self.w.shape, np.int32), np.zeros_like(self.bias)
        kernels.dense_int_gradient(self._rows, h, dw, dbias, zero_x=zero)
        kernels.sgd_int(constants.step, exponent, rng, dw, dbias, self.w, self.bias)

    def constants(self, learning_rate: float, unit: float) -> tuple[Constants, float]:
        """Give the constants for gradients whose unit is worth `unit`, and the worth of a unit of the input's gradient."""
        mult, shift = short_fraction(learning_rate * unit * self.x.scale * UNITS / self.scale_w)
        bias_mult, bias_shift = short_fraction(1 / (UNITS * self.x.scale**2))
        return Constants(mult, (shift, bias_mult, bias_shift)), unit * self.scale_w / mult


def short_fraction(value: float) -> tuple[int, int]:
    """Write a positive number as ``mult / 2**shift`` with mult in ``[128, 255]``: within 2**-8 of it.

    >>> short_fraction(0.75)
    (192, 8)
    """
    mantissa, exponent = math.frexp(value)
    mult = round(mantissa * 256)
    if mult == 256:
        mult, exponent = 128, exponent + 1
    return mult, 8 - exponent


def masters(w: NDArray[np.floating[Any]], scale: float) -> NDArray[np.int16]:
    """Give the masters nearest to real weights; what is out of range saturates."""
    units = np.rint(np.asarray(w, np.float64) / scale * UNITS) + MIDDLE
    limited: NDArray[np.int16] = np.clip(units, kernels.MASTER_MIN, kernels.MASTER_MAX).astype(np.int16)
    return limited


def initial_weights(init: str, fans: tuple[int, int], shape: Shape, rng: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Draw real weights float32[shape] as the float layers do; `fans` are the inputs of an output and the reverse."""
    method, distribution = init.split("_")
    w = np.empty(shape, np.float32)
    draw = kernels_f32.init_uniform_f32 if distribution == "uniform" else kernels_f32.init_normal_f32
    what = "limit" if distribution == "uniform" else "deviation"
    draw(rng, getattr(kernels_f32, f"{method}_{what}_f32")(*fans[: 1 if method == "he" else 2]), w)
    return w
