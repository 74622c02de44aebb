"""The int8 model as data: tensors and layers with TensorFlow Lite's semantics.

Read from a .tflite file (:mod:`engine.tflite`) or made by ``enginekit.quantize``; everything downstream consumes it.
Shapes include the batch dimension, which is 1. Layouts are TensorFlow Lite's: activations NHWC, convolution weights
OHWI, dense weights [out, in].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Activation(Enum):
    """Activation fused into a layer."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    RELU_N1_TO_1 = "relu_n1_to_1"


class Padding(Enum):
    """SAME pads to ``ceil(in / stride)`` outputs, more at the end where it is odd; VALID does not pad."""

    SAME = "same"
    VALID = "valid"


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor.

    Parameters
    ----------
    name : str
        Name in the file; may be empty, need not be unique.
    shape : tuple of int
        With the batch dimension (1) for activations.
    dtype : numpy dtype
        int8, uint8, int32, int64 or float32.
    scale : float32[1] or float32[channels] or None
        Quantization scale, exactly as stored; None if the tensor is not quantized.
    zero_point : int
        Zero point; 0 for weights.
    axis : int
        Dimension that `scale` runs along when it has more than one element.
    data : array or None
        Contents of a constant tensor, read-only; None for an activation.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: NDArray[np.float32] | None = None
    zero_point: int = 0
    axis: int = 0
    data: NDArray[Any] | None = None


@dataclass(frozen=True)
class DenseOptions:
    """FULLY_CONNECTED: inputs x, weights int8[out, in], bias int32[out] (optional, -1 when absent)."""

    activation: Activation = Activation.NONE
    keep_num_dims: bool = False


@dataclass(frozen=True)
class Conv2DOptions:
    """CONV_2D and DEPTHWISE_CONV_2D: inputs x, weights, bias int32[out] (optional, -1 when absent).

    Weights are int8[out, kernel_h, kernel_w, in]; depthwise int8[1, kernel_h, kernel_w, out], where output channel n
    reads input channel ``n // (out / in)``.
    """

    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class Pool2DOptions:
    """MAX_POOL_2D and AVERAGE_POOL_2D."""

    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class SoftmaxOptions:
    """SOFTMAX over the last dimension."""

    beta: float = 1.0


@dataclass(frozen=True)
class ElementwiseOptions:
    """ADD, SUB and MUL of two activations."""

    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class MeanOptions:
    """MEAN over `axes` (not negative, ascending); they stay as dimensions of 1 if `keep_dims`."""

    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True)
class ConcatenationOptions:
    """CONCATENATION of one or more activations along `axis` (not negative)."""

    axis: int
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class PadOptions:
    """PAD and PADV2: (before, after) for each dimension, filled with the code `value`; None is the zero point (PAD)."""

    paddings: tuple[tuple[int, int], ...]
    value: int | None = None


@dataclass(frozen=True)
class LeakyReluOptions:
    """LEAKY_RELU: x, or ``alpha * x`` where x is negative."""

    alpha: float = 0.0


@dataclass(frozen=True)
class NoOptions:
    """Everything else.

    RESHAPE, SQUEEZE and EXPAND_DIMS (all "reshape", to the output tensor's shape), RELU, RELU6, RELU_N1_TO_1, LOGISTIC,
    TANH, HARD_SWISH, QUANTIZE, DEQUANTIZE, ARG_MAX (last dimension).
    """


Options = (
    DenseOptions
    | Conv2DOptions
    | Pool2DOptions
    | SoftmaxOptions
    | ElementwiseOptions
    | MeanOptions
    | ConcatenationOptions
    | PadOptions
    | LeakyReluOptions
    | NoOptions
)

#: Operators of :class:`Layer`, by our name, and the options that each takes.
OPERATORS: dict[str, type] = {
    "dense": DenseOptions,
    "conv2d": Conv2DOptions,
    "depthwise_conv2d": Conv2DOptions,
    "max_pool2d": Pool2DOptions,
    "average_pool2d": Pool2DOptions,
    "softmax": SoftmaxOptions,
    "reshape": NoOptions,
    "relu": NoOptions,
    "relu6": NoOptions,
    "relu_n1_to_1": NoOptions,
    "leaky_relu": LeakyReluOptions,
    "hard_swish": NoOptions,
    "logistic": NoOptions,
    "tanh": NoOptions,
    "add": ElementwiseOptions,
    "sub": ElementwiseOptions,
    "mul": ElementwiseOptions,
    "mean": MeanOptions,
    "concatenation": ConcatenationOptions,
    "pad": PadOptions,
    "quantize": NoOptions,
    "dequantize": NoOptions,
    "argmax": NoOptions,
}


@dataclass(frozen=True)
class Layer:
    """One operator: `inputs` and `outputs` are indices into ``Graph.tensors``; -1 is an absent optional input."""

    op: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options


@dataclass(frozen=True)
class Graph:
    """A model: tensors, layers in execution order, and which tensors go in and come out."""

    name: str
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
