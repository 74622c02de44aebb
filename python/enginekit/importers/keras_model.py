"""Keras 3 models as float networks: weights transposed to our layouts, inference-only layers dropped, the rest refused."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError, FormatError, UnsupportedError
from engine.graph import Activation, Padding
from engine.network import (
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    LeakyRelu,
    MaxPool2D,
    Network,
    NetworkLayer,
    Relu,
    Sigmoid,
    Softmax,
    Tanh,
)
from enginekit.shapes import Shape, check_network

_ACTIVATIONS = {"linear": Activation.NONE, "relu": Activation.RELU, "relu6": Activation.RELU6}
_NO_OPERATION = frozenset(
    {
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
        "ActivityRegularization",
    }
)


def from_keras(model: Any) -> Network:
    """Read a Keras 3 model: a chain of layers, Sequential or functional.

    Supported are Dense, Conv2D (stride, dilation, padding), MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D,
    GlobalMaxPooling2D, Flatten, Reshape to a vector, ReLU, Softmax, Activation, InputLayer; the activations linear, relu,
    relu6 and softmax; BatchNormalization directly after a Dense or Conv2D without activation, folded into its weights;
    dropout and noise layers, which do nothing at inference; and models of these as layers.

    Parameters
    ----------
    model : keras.Model or path
        A live model with a fixed input shape, or a ``.keras`` or ``.h5`` file (which needs Keras installed).

    Returns
    -------
    Network
        Convolution weights [out, kernel_h, kernel_w, in], dense weights [out, in]. A softmax activation becomes a layer.

    Raises
    ------
    UnsupportedError
        If anything is not supported; lists every such layer with index, name and class.
    FormatError
        If the file cannot be read, or a weight is NaN or infinite.
    EngineError
        If a file is given and Keras is not installed.
    """
    if isinstance(model, (str, Path)):
        model = _read(Path(model))
    network = _Import(model).network()
    check_network(network)
    return network


@dataclass(frozen=True)
class _Found:
    """A layer of the model, and where it stands, for messages."""

    layer: Any
    index: str

    @property
    def kind(self) -> str:
        return type(self.layer).__name__

    def __str__(self) -> str:
        return f"layer {self.index} {self.layer.name!r} ({self.kind})"


class _RefusedError(Exception):
    """Why one layer is not supported; collected, so that one error can list all."""


def _read(path: Path) -> Any:
    """Load a model file with Keras."""
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    try:
        keras = importlib.import_module("keras")
    except ImportError as error:
        raise EngineError(f"{path}: reading it needs Keras: pip install 'engine[tensorflow]'") from error
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        first = str(error).strip().split("\n", 1)[0]
        raise FormatError(f"{path}: Keras cannot read it: {first}") from error


class _Import:
    """One import: walks the layers and collects what it made and what it refused."""

    def __init__(self, model: Any):
        if not hasattr(model, "layers") or not hasattr(model, "name"):
            raise UnsupportedError(f"from_keras: expected a Keras model or a path, got {type(model).__name__}")
        self.name = str(model.name)
        _check_kind(model)
        self.shape = _input_shape(model)
        self.made: list[NetworkLayer] = []
        self.refused: list[str] = []
        self.model = model

    def network(self) -> Network:
        for found in _chain(self.model, ""):
            self._try(found)
        if self.refused:
            count = len(self.refused)
            lines = "\n  ".join(self.refused)
            raise UnsupportedError(
                f"model {self.name!r}: {count} layer{'s are' if count > 1 else ' is'} not supported:\n  {lines}\n"
                f"supported: {', '.join(sorted(_READERS))}, BatchNormalization after Dense or a convolution, dropout"
            )
        return Network(self.name, self.shape, tuple(self.made))

    def _try(self, found: _Found) -> None:
        try:
            self.made += self._import(found)
        except _RefusedError as error:
            self.refused.append(f"{found}: {error}")

    def _import(self, found: _Found) -> list[NetworkLayer]:
        if found.kind in _NO_OPERATION:
            return []
        if found.kind == "BatchNormalization":
            self._fold_normalization(found)
            return []
        if found.kind not in _READERS:
            raise _RefusedError("not supported")
        if getattr(found.layer, "data_format", "channels_last") != "channels_last":
            raise _RefusedError("data_format is channels_first; only channels_last")
        return _READERS[found.kind](found.layer)

    def _fold_normalization(self, found: _Found) -> None:
        """Fold ``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` into the weights of the layer before."""
        before = self.made[-1] if self.made else None
        if not isinstance(before, (Dense, Conv2D, DepthwiseConv2D)) or before.activation is not Activation.NONE:
            raise _RefusedError("can only be folded directly after a Dense or convolution without activation")
        layer = found.layer
        if _axis(layer.axis) not in (-1, len(layer.input.shape) - 1):
            raise _RefusedError(f"normalizes axis {layer.axis}; only the last")
        channels = len(before.bias)
        gamma = _float64(layer.gamma) if layer.scale else np.ones(channels)
        beta = _float64(layer.beta) if layer.center else np.zeros(channels)
        factor = gamma / np.sqrt(_float64(layer.moving_variance) + float(layer.epsilon))
        last = isinstance(before, DepthwiseConv2D)
        w = before.w.astype(np.float64) * (factor if last else factor.reshape(-1, *[1] * (before.w.ndim - 1)))
        bias = (before.bias.astype(np.float64) - _float64(layer.moving_mean)) * factor + beta
        self.made[-1] = replace(before, w=_float32(w), bias=_float32(bias))


def _chain(model: Any, prefix: str) -> Iterator[_Found]:
    """Yield the layers of a linear model in order, those of models inside it in place."""
    for index, layer in enumerate(_linear_layers(model)):
        place = f"{prefix}{index}"
        if hasattr(layer, "layers"):
            yield from _chain(layer, f"{place}.")
        elif type(layer).__name__ != "InputLayer":
            yield _Found(layer, place)


def _linear_layers(model: Any) -> list[Any]:
    """Return the layers of `model` in execution order; refuse one that branches or uses a layer twice."""
    _check_kind(model)
    if type(model).__name__ == "Sequential":
        return list(model.layers)
    nodes_by_depth = model._nodes_by_depth
    levels = [nodes_by_depth[depth] for depth in sorted(nodes_by_depth, reverse=True)]
    branching = [
        f"{node.operation.name!r} ({type(node.operation).__name__})"
        for level in levels
        for node in level
        if len(level) > 1 or len(node.input_tensors) > 1 or len(node.outputs) > 1
    ]
    if branching:
        raise UnsupportedError(
            f"model {model.name!r} branches at {', '.join(sorted(branching))}; only chains of layers with one input and one "
            "output are supported"
        )
    return [level[0].operation for level in levels]


def _check_kind(model: Any) -> None:
    """Refuse a subclassed model: the order of its layers is code."""
    if type(model).__name__ != "Sequential" and not hasattr(model, "_nodes_by_depth"):
        raise UnsupportedError(
            f"model {model.name!r} is a {type(model).__name__}: its layers' order is code; use a Sequential or functional model"
        )


def _input_shape(model: Any) -> Shape:
    """Return the shape of the model's one input, without batch."""
    if not getattr(model, "built", True) or getattr(model, "input_shape", None) is None:
        raise UnsupportedError(f"model {model.name!r} has no input shape: add a keras.Input or call it on data first")
    shape = model.input_shape
    if isinstance(shape, (list, dict)) or not all(isinstance(size, int) for size in shape[1:]):
        raise UnsupportedError(
            f"model {model.name!r}: input shape {shape}; expected one input whose sizes (but batch) are fixed"
        )
    return tuple(int(size) for size in shape[1:])


def _dense(layer: Any) -> list[NetworkLayer]:
    if len(layer.input.shape) != 2:
        raise _RefusedError(f"works on the last axis of {tuple(layer.input.shape[1:])}; put a Flatten before it")
    w = _float32(_float64(layer.kernel).T)
    activation, after = _activation(layer)
    return [Dense(layer.name, w, _bias(layer, w.shape[0]), activation), *after]


def _conv2d(layer: Any) -> list[NetworkLayer]:
    if layer.groups != 1:
        raise _RefusedError(f"groups is {layer.groups}; only 1")
    w = _float32(_float64(layer.kernel).transpose(3, 0, 1, 2))
    activation, after = _activation(layer)
    bias = _bias(layer, w.shape[0])
    conv = Conv2D(layer.name, w, bias, _pair(layer.strides), _pair(layer.dilation_rate), _padding(layer), activation)
    return [conv, *after]


def _depthwise_conv2d(layer: Any) -> list[NetworkLayer]:
    kernel = _float64(layer.kernel)  # [height, width, in, multiplier]
    w = _float32(kernel.reshape(1, *kernel.shape[:2], -1))
    activation, after = _activation(layer)
    window = _pair(layer.strides), _pair(layer.dilation_rate), _padding(layer)
    multiplier = int(layer.depth_multiplier)
    return [DepthwiseConv2D(layer.name, w, _bias(layer, w.shape[3]), multiplier, *window, activation), *after]


def _leaky_relu(layer: Any) -> list[NetworkLayer]:
    return [LeakyRelu(layer.name, float(layer.negative_slope))]


def _max_pool(layer: Any) -> list[NetworkLayer]:
    return [MaxPool2D(layer.name, _pair(layer.pool_size), _pair(layer.strides), _padding(layer))]


def _average_pool(layer: Any) -> list[NetworkLayer]:
    return [AveragePool2D(layer.name, _pair(layer.pool_size), _pair(layer.strides), _padding(layer))]


def _global_pool(pool: type[MaxPool2D] | type[AveragePool2D]) -> Callable[[Any], list[NetworkLayer]]:
    """Make the reader of a pool over the whole image, which gives a vector unless keepdims is set."""

    def read(layer: Any) -> list[NetworkLayer]:
        image = _pair(layer.input.shape[1:3])
        made: list[NetworkLayer] = [pool(layer.name, image, image)]
        return made if layer.keepdims else [*made, Flatten(f"{layer.name}_flatten")]

    return read


def _reshape(layer: Any) -> list[NetworkLayer]:
    if len(layer.output.shape) != 2:
        raise _RefusedError(f"reshapes to {tuple(layer.output.shape[1:])}; only to a vector")
    return [Flatten(layer.name)]


def _relu(layer: Any) -> list[NetworkLayer]:
    limit = None if layer.max_value is None else float(layer.max_value)
    if limit not in (None, 6.0) or float(layer.negative_slope) != 0.0 or float(layer.threshold) != 0.0:
        raise _RefusedError(
            f"max_value {layer.max_value}, negative_slope {layer.negative_slope}, threshold {layer.threshold}; "
            "only plain ReLU and ReLU6"
        )
    return [Relu(layer.name, limit)]


def _softmax(layer: Any) -> list[NetworkLayer]:
    if _axis(layer.axis) not in (-1, len(layer.input.shape) - 1):
        raise _RefusedError(f"axis is {layer.axis}; only the last")
    return [Softmax(layer.name)]


def _activation_layer(layer: Any) -> list[NetworkLayer]:
    name = _activation_name(layer)
    if name in _SMOOTH:
        return [_SMOOTH[name](layer.name)]
    activation = _ACTIVATIONS[name]
    if activation is Activation.NONE:
        return []
    return [Relu(layer.name, 6.0 if activation is Activation.RELU6 else None)]


_READERS: dict[str, Callable[[Any], list[NetworkLayer]]] = {
    "Activation": _activation_layer,
    "AveragePooling2D": _average_pool,
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Flatten": lambda layer: [Flatten(layer.name)],
    "GlobalAveragePooling2D": _global_pool(AveragePool2D),
    "GlobalMaxPooling2D": _global_pool(MaxPool2D),
    "LeakyReLU": _leaky_relu,
    "MaxPooling2D": _max_pool,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Softmax": _softmax,
}


#: Activations that become layers of their own.
_SMOOTH: dict[str, type[Sigmoid | Softmax | Tanh]] = {"sigmoid": Sigmoid, "softmax": Softmax, "tanh": Tanh}


def _activation(layer: Any) -> tuple[Activation, list[NetworkLayer]]:
    """Give the fused activation, and the layers that follow: softmax is a layer of its own."""
    name = _activation_name(layer)
    if name in _SMOOTH:
        return Activation.NONE, [_SMOOTH[name](f"{layer.name}_{name}")]
    return _ACTIVATIONS[name], []


def _activation_name(layer: Any) -> str:
    """Name the activation, a function or a layer given as one."""
    function = layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    if name not in {*_ACTIVATIONS, *_SMOOTH}:
        raise _RefusedError(f"activation is {name}; only {', '.join((*_ACTIVATIONS, *_SMOOTH))}")
    return str(name)


def _padding(layer: Any) -> Padding:
    return Padding(layer.padding)


def _pair(values: Any) -> tuple[int, int]:
    height, width = values
    return (int(height), int(width))


def _axis(axis: Any) -> int:
    """Return an axis that Keras may keep as a list of one."""
    return int(axis[0]) if isinstance(axis, (list, tuple)) and len(axis) == 1 else int(axis)


def _bias(layer: Any, outputs: int) -> NDArray[np.float32]:
    return _float32(_float64(layer.bias)) if layer.use_bias else np.zeros(outputs, np.float32)


def _float64(variable: Any) -> NDArray[np.float64]:
    """Return a Keras variable's value, whatever its precision."""
    return np.asarray(variable.numpy(), np.float64)


def _float32(array: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)
