"""The float network as data: what importers and training produce, and what quantization consumes.

A chain of layers, some of which hold branches. Shapes exclude the batch dimension; activations HWC; convolution weights
float32[out, kernel_h, kernel_w, in], depthwise float32[1, kernel_h, kernel_w, out]; dense weights float32[out, in].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.graph import Activation, Padding


@dataclass(frozen=True, eq=False)
class Dense:
    """``y = activation(w @ x + bias)``; w float32[out, in], bias float32[out]."""

    name: str
    w: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class Conv2D:
    """2-D convolution; w float32[out, kernel_h, kernel_w, in], bias float32[out]."""

    name: str
    w: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D:
    """2-D convolution of each channel with kernels of its own; w float32[1, kernel_h, kernel_w, out], bias float32[out].

    Output channel n reads input channel ``n // multiplier``.
    """

    name: str
    w: NDArray[np.float32]
    bias: NDArray[np.float32]
    multiplier: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class MaxPool2D:
    """Max pool."""

    name: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = Padding.VALID


@dataclass(frozen=True)
class AveragePool2D:
    """Average pool over the taps inside the image."""

    name: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = Padding.VALID


@dataclass(frozen=True)
class Flatten:
    """HWC to a vector, row-major."""

    name: str


@dataclass(frozen=True)
class Relu:
    """ReLU, or ReLU6 with ``max_value=6``, as a layer of its own."""

    name: str
    max_value: float | None = None


@dataclass(frozen=True)
class Softmax:
    """Softmax over the last dimension."""

    name: str


@dataclass(frozen=True)
class LeakyRelu:
    """``x`` above 0, ``slope * x`` below."""

    name: str
    slope: float


@dataclass(frozen=True)
class Tanh:
    """Hyperbolic tangent."""

    name: str


@dataclass(frozen=True)
class Sigmoid:
    """``1 / (1 + e^-x)``."""

    name: str


@dataclass(frozen=True, eq=False)
class Residual:
    """``activation(layers(x) + shortcut(x))``; an empty shortcut passes x on."""

    name: str
    layers: tuple[NetworkLayer, ...]
    shortcut: tuple[NetworkLayer, ...] = ()
    activation: Activation = Activation.NONE


NetworkLayer = (
    Dense
    | Conv2D
    | DepthwiseConv2D
    | MaxPool2D
    | AveragePool2D
    | Flatten
    | Relu
    | LeakyRelu
    | Tanh
    | Sigmoid
    | Softmax
    | Residual
)


@dataclass(frozen=True, eq=False)
class Network:
    """A chain of layers; `input_shape` without batch, ``(784,)`` or ``(28, 28, 1)``."""

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[NetworkLayer, ...]
