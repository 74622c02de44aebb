"""Layers at work: parameters, gradients and buffers around the kernels. One class a kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import kernels_f32 as kernels
from engine import kernels_layer_f32 as more
from engine import kernels_products as products
from engine.graph import Activation, Padding
from engine.program import Window
from engine.training import layers
from engine.window import blind_position, slide

Array = NDArray[np.float32]
Shape = tuple[int, ...]
Pair = tuple[int, int]

LIMITS = {Activation.RELU: math.inf, Activation.RELU6: 6.0}


@dataclass(frozen=True)
class Mode:
    """How a network computes.

    Parameters
    ----------
    threads : int
        That share a batch; no bit depends on it.
    half_forward, half_backward : bool
        Round every stored value of that pass, and every partial sum of layers with weights, to IEEE half.
    """

    threads: int = 1
    half_forward: bool = False
    half_backward: bool = False


#: On one thread, in float.
FLOAT = Mode()

#: By the names that ``fit(precision=...)`` takes: forward / backward.
PRECISIONS = {"fp32/fp32": (False, False), "fp16/fp32": (True, False), "fp16/fp16": (True, True)}


def mode_of(function: str, threads: Any, precision: Any) -> Mode:
    """Check the arguments that public functions take."""
    if precision not in PRECISIONS:
        raise ValueError(f"{function}: precision is {precision!r}; expected one of {', '.join(map(repr, PRECISIONS))}")
    return Mode(check.integer(function, "threads", threads, 1, 1024), *PRECISIONS[precision])


class Operation:
    """One layer with its state.

    Parameters
    ----------
    name : str
        Unique in the network.
    layer : Layer
        What it computes.
    x_shape : tuple of int
        Shape of its input, without batch.
    """

    def __init__(self, name: str, layer: layers.Layer, x_shape: Shape) -> None:
        self.name = name
        self.layer = layer
        self.x_shape = x_shape
        self.y_shape: Shape = x_shape
        self.mode = FLOAT
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        #: What training changes without a gradient.
        self.statistics: dict[str, Array] = {}
        self._buffers: dict[str, NDArray[Any]] = {}

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shapes of the parameters, in order."""
        return {}

    def initialize(self, rng: NDArray[np.uint32]) -> None:
        """Make the parameters, drawing from the generator `rng`."""

    def assign(self, parameters: dict[str, Array]) -> None:
        """Take over parameters; their shapes have been checked."""
        self.parameters = parameters
        self.gradients = {name: np.zeros_like(array) for name, array in parameters.items()}

    def forward(self, x: Array) -> Array:
        """Compute the output into a buffer that the next call overwrites."""
        raise NotImplementedError

    def forward_training(self, x: Array) -> Array:
        """Compute the output of a training step, where that differs."""
        return self.forward(x)

    def start_epoch(self, seed: int) -> None:
        """Begin an epoch; everything random in it follows from `seed`."""

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        """Add to the gradients; return the gradient of the last forward's input, if needed. May overwrite `dy`."""
        raise NotImplementedError

    def _buffer(self, name: str, batch: int, shape: Shape, dtype: type = np.float32) -> NDArray[Any]:
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < batch:
            buffer = self._buffers[name] = np.empty((batch, *shape), dtype)
        return buffer[:batch]

    def release(self) -> None:
        """Free the buffers."""
        self._buffers.clear()


def run_forward(chain: Sequence[Operation], x: Array, *, training: bool) -> Array:
    """Run operations one after the other, in their mode; in half precision `x` has been rounded."""
    half = chain[0].mode.half_forward if chain else False
    for operation in chain:
        x = operation.forward_training(x) if training else operation.forward(x)
        if half and not isinstance(operation, Weighted):  # those round as they compute
            products.round_f16(x, out=x)
    return x


def run_backward(chain: Sequence[Operation], dy: Array, *, first: int = 0, needs_dx: bool = True) -> Array | None:
    """Set the gradients of all parameters from operation `first` on; return the gradient of its input, if needed."""
    half = chain[0].mode.half_backward if chain else False
    gradient: Array | None = dy
    for i in range(len(chain) - 1, first - 1, -1):
        operation = chain[i]
        for array in operation.gradients.values():
            array.fill(0)
        assert gradient is not None
        gradient = operation.backward(gradient, needs_dx=needs_dx or i > first)
        if half and not isinstance(operation, Weighted):
            for array in (*operation.gradients.values(), *(() if gradient is None else (gradient,))):
                products.round_f16(array, out=array)
    return gradient


class Weighted(Operation):
    """What dense and convolution share: weights, bias, fused ReLU."""

    activation: Activation
    _x: Array
    _y: Array

    def initialize(self, rng: NDArray[np.uint32]) -> None:
        """Draw the weights; biases are 0."""
        shapes = self.parameter_shapes()
        shape = shapes["w"]
        fan_in, fan_out = self._fans()
        w = np.empty(shape, np.float32)
        method, distribution = cast("str", cast("Any", self.layer).init).split("_")
        fans = (fan_in,) if method == "he" else (fan_in, fan_out)
        if distribution == "uniform":
            kernels.init_uniform_f32(rng, getattr(kernels, f"{method}_limit_f32")(*fans), w)
        else:
            kernels.init_normal_f32(rng, getattr(kernels, f"{method}_deviation_f32")(*fans), w)
        self.assign({"w": w, "bias": np.zeros(shapes["bias"], np.float32)})

    def _fans(self) -> tuple[int, int]:
        """Numbers of inputs to an output and of outputs that an input reaches."""
        shape = self.parameter_shapes()["w"]
        taps = math.prod(shape[1:-1])
        return taps * shape[-1], taps * shape[0]

    def _weights(self) -> tuple[Array, Array]:
        """Weights and bias as the forward pass takes them, rounded to half if that is in half precision."""
        w, bias = self.parameters["w"], self.parameters["bias"]
        if not self.mode.half_forward:
            return w, bias
        halves = self._buffer("w", len(w), w.shape[1:]), self._buffer("bias", len(bias), ())
        return products.round_f16(w, out=halves[0]), products.round_f16(bias, out=halves[1])

    def _activate(self, x: Array, y: Array) -> Array:
        self._x, self._y = x, y
        if self.activation in LIMITS:
            kernels.relu_f32(y, limit=LIMITS[self.activation], out=y)
        return y

    def _deactivate(self, dy: Array) -> Array:
        if self.activation in LIMITS:
            kernels.relu_f32_backward(self._y, dy, limit=LIMITS[self.activation], dx=dy)
        return dy


class _Dense(Weighted):
    """Dense layer with fused ReLU."""

    def __init__(self, name: str, layer: layers.Dense, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        if len(x_shape) != 1:
            raise ValueError(f"layer {name}: Dense takes a vector, not {x_shape}; put Flatten() before it")
        if x_shape[0] > 65535:
            raise ValueError(f"layer {name}: Dense takes at most 65535 inputs, not {x_shape[0]}; pool or stride before it")
        self.activation = cast("Activation", layer.activation)
        self.y_shape = (layer.units,)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"w": (*self.y_shape, *self.x_shape), "bias": self.y_shape}

    def forward(self, x: Array) -> Array:
        y = self._buffer("y", len(x), self.y_shape)
        kernel = products.dense_f16 if self.mode.half_forward else products.dense_f32
        return self._activate(x, kernel(x, *self._weights(), out=y, threads=self.mode.threads))

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        dx = self._buffer("dx", len(dy), self.x_shape) if needs_dx else None
        dw, dbias = self.gradients["w"], self.gradients["bias"]
        kernel = products.dense_f16_backward if self.mode.half_backward else products.dense_f32_backward
        kernel(self._x, self._weights()[0], self._deactivate(dy), dw, dbias, dx=dx, threads=self.mode.threads)
        return dx


def _window(name: str, layer: layers.Conv2D | layers.DepthwiseConv2D | layers.Pool2D, x_shape: Shape) -> Window:
    """Window of a convolution or pool over an image, refused if it does not fit."""
    if len(x_shape) != 3:
        raise ValueError(f"layer {name}: takes an image (height, width, channels), not {x_shape}")
    if max(x_shape) > 65535:
        raise ValueError(f"layer {name}: image {x_shape} is too large; at most 65535 in each dimension")
    kernel, stride = cast("Pair", layer.kernel), cast("Pair", layer.stride)
    dilation = cast("Pair", layer.dilation) if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) else (1, 1)
    padding = cast("Padding", layer.padding)
    (out_h, top), (out_w, left) = (
        slide(size, kernel[i], stride[i], dilation[i], padding) for i, size in enumerate(x_shape[:2])
    )
    spans = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True)]
    taps = f"kernel of {spans[0]}x{spans[1]} pixels"
    image = f"the image, {x_shape[0]}x{x_shape[1]}"
    if out_h < 1 or out_w < 1:
        raise ValueError(f"layer {name}: {taps} is larger than {image}; use a smaller kernel or dilation, or padding='same'")
    if max(spans) > 65536:
        raise ValueError(f"layer {name}: {taps} is too large; at most 65536")
    window = Window(x_shape[0], x_shape[1], out_h, out_w, *kernel, *stride, *dilation, top, left)
    if blind_position(window):
        raise ValueError(f"layer {name}: at some positions the {taps} sees padding alone on {image}; use a smaller dilation")
    return window


class _Conv2D(Weighted):
    """Convolution with fused ReLU, and with the max pool after it if :func:`fuse` has found one."""

    _winner: NDArray[np.uint8]

    def __init__(self, name: str, layer: layers.Conv2D, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        self.window = _window(name, layer, x_shape)
        self.activation = cast("Activation", layer.activation)
        self.y_shape = (self.window.out_h, self.window.out_w, layer.filters)
        #: Height and width of the pool that belongs to this operation, except in half precision.
        self.pool: Pair | None = None

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"w": (self.y_shape[2], self.window.kernel_h, self.window.kernel_w, self.x_shape[2]), "bias": self.y_shape[2:]}

    @property
    def pools(self) -> bool:
        """Whether the output is that of the pool."""
        return self.pool is not None and not self.mode.half_forward

    def _pooled(self, x: Array) -> Array:
        assert self.pool is not None
        shape = (self.y_shape[0] // self.pool[0], self.y_shape[1] // self.pool[1], self.y_shape[2])
        self._x = x
        self._y, self._winner = products.conv2d_max_pool2d_f32(
            self.window,
            self.pool,
            x,
            *self._weights(),
            limit=LIMITS[self.activation],
            out=self._buffer("pooled", len(x), shape),
            winner=self._buffer("winner", len(x), shape, np.uint8),
            threads=self.mode.threads,
        )
        return self._y

    def forward(self, x: Array) -> Array:
        if self.pools:
            return self._pooled(x)
        y = self._buffer("y", len(x), self.y_shape)
        kernel = products.conv2d_f16 if self.mode.half_forward else products.conv2d_f32
        return self._activate(x, kernel(self.window, x, *self._weights(), out=y, threads=self.mode.threads))

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        dx = self._buffer("dx", len(dy), self.x_shape) if needs_dx else None
        w, dw, dbias = self._weights()[0], self.gradients["w"], self.gradients["bias"]
        if self.pools:
            assert self.pool is not None
            limit, threads = LIMITS[self.activation], self.mode.threads
            products.conv2d_max_pool2d_f32_backward(
                self.window, self.pool, self._x, w, self._y, self._winner, dy, dw, dbias, limit=limit, dx=dx, threads=threads
            )
            return dx
        kernel = products.conv2d_f16_backward if self.mode.half_backward else products.conv2d_f32_backward
        kernel(self.window, self._x, w, self._deactivate(dy), dw, dbias, dx=dx, threads=self.mode.threads)
        return dx


class _DepthwiseConv2D(Weighted):
    """Depthwise convolution with fused ReLU."""

    def __init__(self, name: str, layer: layers.DepthwiseConv2D, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        self.window = _window(name, layer, x_shape)
        self.activation = cast("Activation", layer.activation)
        channels = x_shape[2] * layer.multiplier
        if channels > 65535:
            raise ValueError(f"layer {name}: {x_shape[2]} channels times {layer.multiplier} are more than 65535 outputs")
        self.y_shape = (self.window.out_h, self.window.out_w, channels)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"w": (1, self.window.kernel_h, self.window.kernel_w, self.y_shape[2]), "bias": self.y_shape[2:]}

    def _fans(self) -> tuple[int, int]:
        taps = self.window.kernel_h * self.window.kernel_w
        return taps, taps * cast("layers.DepthwiseConv2D", self.layer).multiplier

    def forward(self, x: Array) -> Array:
        kernel = products.depthwise_conv2d_f16 if self.mode.half_forward else products.depthwise_conv2d_f32
        y = kernel(self.window, x, *self._weights(), out=self._buffer("y", len(x), self.y_shape))
        return self._activate(x, y)

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        dx = self._buffer("dx", len(dy), self.x_shape) if needs_dx else None
        dw, dbias = self.gradients["w"], self.gradients["bias"]
        kernel = products.depthwise_conv2d_f16_backward if self.mode.half_backward else products.depthwise_conv2d_f32_backward
        kernel(self.window, self._x, self._weights()[0], self._deactivate(dy), dw, dbias, dx=dx)
        return dx


class _BatchNorm(Operation):
    """Batch normalization over the last dimension."""

    layer: layers.BatchNorm
    _inverse: Array

    def __init__(self, name: str, layer: layers.BatchNorm, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        channels = x_shape[-1:]
        self.statistics = {"mean": np.zeros(channels, np.float32), "variance": np.ones(channels, np.float32)}
        self._inverse = np.ones(channels, np.float32)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"gamma": self.x_shape[-1:], "beta": self.x_shape[-1:]}

    def initialize(self, rng: NDArray[np.uint32]) -> None:  # noqa: ARG002  the interface
        channels = self.x_shape[-1:]
        self.assign({"gamma": np.ones(channels, np.float32), "beta": np.zeros(channels, np.float32)})

    def forward(self, x: Array) -> Array:
        y = self._buffer("y", len(x), self.y_shape)
        return more.batch_norm_f32(x, **self.parameters, **self.statistics, epsilon=self.layer.epsilon, out=y)

    def forward_training(self, x: Array) -> Array:
        return more.batch_norm_f32_train(
            x,
            **self.parameters,
            **self.statistics,
            epsilon=self.layer.epsilon,
            momentum=self.layer.momentum,
            xhat=self._buffer("xhat", len(x), self.y_shape),
            inverse=self._inverse,
            out=self._buffer("y", len(x), self.y_shape),
        )

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        xhat = self._buffer("xhat", len(dy), self.y_shape)
        dgamma, dbeta = self.gradients["gamma"], self.gradients["beta"]
        dx = dy if needs_dx else None
        more.batch_norm_f32_backward(xhat, self._inverse, self.parameters["gamma"], dy, dgamma, dbeta, dx=dx)
        return dx


class _Dropout(Operation):
    """Dropout; inference passes through."""

    layer: layers.Dropout
    _rng: NDArray[np.uint32]

    def __init__(self, name: str, layer: layers.Dropout, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        self.start_epoch(0)

    def start_epoch(self, seed: int) -> None:
        self._rng = kernels.rng_seed(seed)

    def forward(self, x: Array) -> Array:
        return x

    def forward_training(self, x: Array) -> Array:
        kept = self._buffer("kept", len(x), self.y_shape, np.uint8)
        return more.dropout_f32(self._rng, self.layer.rate, x, kept, out=self._buffer("y", len(x), self.y_shape))

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        kept = self._buffer("kept", len(dy), self.y_shape, np.uint8)
        return more.dropout_f32_backward(self.layer.rate, kept, dy, dx=dy) if needs_dx else None


class _Activation(Operation):
    """An elementwise function whose gradient follows from its output."""

    _y: Array

    def __init__(self, name: str, layer: layers.Layer, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        stem = STEMS[type(layer)]
        self._forward, self._backward = getattr(more, f"{stem}_f32"), getattr(more, f"{stem}_f32_backward")

    def forward(self, x: Array) -> Array:
        self._y = self._forward(x, out=self._buffer("y", len(x), self.y_shape), **vars(self.layer))
        return self._y

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        return cast("Array", self._backward(self._y, dy, dx=dy, **vars(self.layer))) if needs_dx else None


class _Pool2D(Operation):
    def __init__(self, name: str, layer: layers.Pool2D, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        self.window = _window(name, layer, x_shape)
        self.y_shape = (self.window.out_h, self.window.out_w, x_shape[2])


class _MaxPool2D(_Pool2D):
    """Max pool; remembers where the maxima were."""

    _index: NDArray[np.uint32]
    #: The convolution that pools for this operation.
    before: _Conv2D | None = None

    def forward(self, x: Array) -> Array:
        if self.before is not None and self.before.pools:
            return x
        y, index = self._buffer("y", len(x), self.y_shape), self._buffer("index", len(x), self.y_shape, np.uint32)
        y, self._index = kernels.max_pool2d_f32(self.window, x, out=y, index=index)
        return y

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        if not needs_dx:
            return None
        if self.before is not None and self.before.pools:
            return dy
        return kernels.max_pool2d_f32_backward(self.window, self._index, dy, dx=self._buffer("dx", len(dy), self.x_shape))


class _AveragePool2D(_Pool2D):
    """Average pool."""

    def forward(self, x: Array) -> Array:
        return kernels.average_pool2d_f32(self.window, x, out=self._buffer("y", len(x), self.y_shape))

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        if not needs_dx:
            return None
        return kernels.average_pool2d_f32_backward(self.window, dy, dx=self._buffer("dx", len(dy), self.x_shape))


class _Flatten(Operation):
    """Another view of the same numbers."""

    def __init__(self, name: str, layer: layers.Flatten, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        self.y_shape = (math.prod(x_shape),)

    def forward(self, x: Array) -> Array:
        return x.reshape(len(x), -1)

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        return dy.reshape(len(dy), *self.x_shape) if needs_dx else None


class _Relu(Operation):
    """ReLU of its own."""

    _y: Array

    def __init__(self, name: str, layer: layers.Relu, x_shape: Shape) -> None:
        super().__init__(name, layer, x_shape)
        self.limit = math.inf if layer.max_value is None else layer.max_value

    def forward(self, x: Array) -> Array:
        self._y = kernels.relu_f32(x, limit=self.limit, out=self._buffer("y", len(x), self.y_shape))
        return self._y

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        return kernels.relu_f32_backward(self._y, dy, limit=self.limit, dx=dy) if needs_dx else None


class _Softmax(Operation):
    """Softmax over the last dimension."""

    _y: Array

    def forward(self, x: Array) -> Array:
        self._y = kernels.softmax_f32(x, out=self._buffer("y", len(x), self.y_shape))
        return self._y

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        return kernels.softmax_f32_backward(self._y, dy, dx=dy) if needs_dx else None


#: Of layers that hold no others.
OPERATIONS: dict[type[layers.Layer], Any] = {
    layers.Dense: _Dense,
    layers.Conv2D: _Conv2D,
    layers.DepthwiseConv2D: _DepthwiseConv2D,
    layers.BatchNorm: _BatchNorm,
    layers.Dropout: _Dropout,
    layers.LeakyRelu: _Activation,
    layers.Elu: _Activation,
    layers.Tanh: _Activation,
    layers.Sigmoid: _Activation,
    layers.Softplus: _Activation,
    layers.Exponential: _Activation,
    layers.MaxPool2D: _MaxPool2D,
    layers.AveragePool2D: _AveragePool2D,
    layers.Flatten: _Flatten,
    layers.Relu: _Relu,
    layers.Softmax: _Softmax,
}

#: Stems of automatic names, ``conv2d``, ``conv2d_1``, ... as Keras gives them.
STEMS = {
    layers.Dense: "dense",
    layers.Conv2D: "conv2d",
    layers.DepthwiseConv2D: "depthwise_conv2d",
    layers.BatchNorm: "batch_norm",
    layers.Dropout: "dropout",
    layers.LeakyRelu: "leaky_relu",
    layers.Elu: "elu",
    layers.Tanh: "tanh",
    layers.Sigmoid: "sigmoid",
    layers.Softplus: "softplus",
    layers.Exponential: "exponential",
    layers.MaxPool2D: "max_pool2d",
    layers.AveragePool2D: "average_pool2d",
    layers.Flatten: "flatten",
    layers.Relu: "relu",
    layers.Softmax: "softmax",
    layers.Residual: "residual",
}


def fuse(before: Operation, after: Operation) -> None:
    """Let a convolution with ReLU do the max pool after it, if that has no overlap and no padding."""
    if not isinstance(before, _Conv2D) or not isinstance(after, _MaxPool2D) or before.activation not in LIMITS:
        return
    pool = after.window
    size = pool.kernel_h, pool.kernel_w
    if size == (pool.stride_h, pool.stride_w) and (pool.pad_top, pool.pad_left) == (0, 0) and math.prod(size) <= 256:
        covered = pool.out_h * size[0] <= pool.in_h and pool.out_w * size[1] <= pool.in_w  # "same" may reach beyond
        before.pool, after.before = (size, before) if covered else (None, None)
