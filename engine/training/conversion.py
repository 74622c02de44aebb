"""Between networks that train and :class:`engine.network.Network`, their form as data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from engine import network
from engine.errors import FormatError, UnsupportedError
from engine.graph import Activation, Padding
from engine.training import layers
from engine.training.operations import Operation

if TYPE_CHECKING:
    from engine.training.sequential import Sequential

Array = NDArray[np.float32]
Pair = tuple[int, int]


def to_network(net: Sequential) -> network.Network:
    """Copy everything that inference needs: batch normalization folds into the layer before it, dropout goes.

    Raises
    ------
    UnsupportedError
        Naming all layers that a network as data cannot hold.
    """
    chain: list[network.NetworkLayer] = []
    problems: list[str] = []
    for operation, layer in zip(net.operations, net.layers, strict=True):
        if isinstance(layer, layers.BatchNorm):
            before = chain[-1] if chain else None
            if isinstance(before, network.Dense | network.Conv2D) and before.activation is Activation.NONE:
                chain[-1] = _fold(before, layer, operation)
            else:
                problems.append(f"layer {operation.name}: BatchNorm does not follow a Dense or Conv2D without activation")
        elif isinstance(layer, CONVERTIBLE):
            chain.append(_to_layer(operation.name, layer, operation))
        elif not isinstance(layer, layers.Dropout):
            problems.append(f"layer {operation.name}: {type(layer).__name__} has no int8 form")
    if problems:
        raise UnsupportedError(f"network: {net.name} cannot become data for int8: " + "; ".join(problems))
    return network.Network(net.name, net.input_shape, tuple(chain))


#: Layers with a twin in :mod:`engine.network`.
CONVERTIBLE = (layers.Dense, layers.Conv2D, layers.Pool2D, layers.Relu, layers.Flatten, layers.Softmax)


def _fold(before: network.Dense | network.Conv2D, layer: layers.BatchNorm, operation: Operation) -> network.NetworkLayer:
    """``gamma * (w @ x + bias - mean) / deviation + beta`` as one layer."""
    mean, variance = (operation.statistics[name].astype(float) for name in ("mean", "variance"))
    gamma, beta = (operation.parameters[name].astype(float) for name in ("gamma", "beta"))
    factor = gamma / np.sqrt(variance + layer.epsilon)
    w = before.w * factor.reshape(-1, *(1,) * (before.w.ndim - 1))
    bias = (before.bias - mean) * factor + beta
    return replace(before, w=w.astype(np.float32), bias=bias.astype(np.float32))


def _to_layer(name: str, layer: layers.Layer, operation: Operation) -> network.NetworkLayer:
    if isinstance(layer, layers.Dense):
        w, bias = (operation.parameters[key].copy() for key in ("w", "bias"))
        return network.Dense(name, w, bias, cast("Activation", layer.activation))
    if isinstance(layer, layers.Conv2D):
        w, bias = (operation.parameters[key].copy() for key in ("w", "bias"))
        stride, dilation, padding = cast("Pair", layer.stride), cast("Pair", layer.dilation), cast("Padding", layer.padding)
        return network.Conv2D(name, w, bias, stride, dilation, padding, cast("Activation", layer.activation))
    if isinstance(layer, layers.Pool2D):
        kind = network.MaxPool2D if isinstance(layer, layers.MaxPool2D) else network.AveragePool2D
        return kind(name, cast("Pair", layer.kernel), cast("Pair", layer.stride), cast("Padding", layer.padding))
    if isinstance(layer, layers.Relu):
        return network.Relu(name, layer.max_value)
    return network.Flatten(name) if isinstance(layer, layers.Flatten) else network.Softmax(name)


Parameters = list[dict[str, Array]]


def from_network_layers(source: network.Network) -> tuple[list[layers.Layer], tuple[str, ...], Parameters]:
    """Split a network into layers, their names and copies of their parameters."""
    problems: list[str] = []
    chain: list[layers.Layer] = []
    for layer in source.layers:
        made = _from_layer(layer)
        if isinstance(made, str):
            problems.append(f"layer {layer.name}: {made}")
        else:
            chain.append(made)
    names = tuple(layer.name for layer in source.layers)
    problems += [f"layer {name}: the name is used more than once" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise UnsupportedError(f"from_network: cannot train {source.name}: " + "; ".join(problems))
    parameters = [
        {"w": np.array(layer.w, np.float32, order="C"), "bias": np.array(layer.bias, np.float32, order="C")}
        if isinstance(layer, network.Dense | network.Conv2D)
        else {}
        for layer in source.layers
    ]
    return chain, names, parameters


def _from_layer(layer: Any) -> layers.Layer | str:
    """Return the layer's description, or what is not supported about it."""
    try:
        return _describe(layer)
    except (TypeError, ValueError) as error:
        return str(error)


def _describe(layer: Any) -> layers.Layer:
    if isinstance(layer, network.Dense):
        return layers.Dense(layer.w.shape[0], layer.activation)
    if isinstance(layer, network.Conv2D):
        kernel = (layer.w.shape[1], layer.w.shape[2])
        return layers.Conv2D(layer.w.shape[0], kernel, layer.stride, layer.padding, layer.dilation, layer.activation)
    if isinstance(layer, network.MaxPool2D):
        return layers.MaxPool2D(layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, network.AveragePool2D):
        return layers.AveragePool2D(layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, network.Relu):
        return layers.Relu(layer.max_value)
    if isinstance(layer, network.Flatten):
        return layers.Flatten()
    if isinstance(layer, network.Softmax):
        return layers.Softmax()
    raise TypeError(f"{type(layer).__name__} is not supported; expected one of {', '.join(layers.KINDS)}")


def assign(operations: list[Operation], parameters: Parameters) -> None:
    """Give operations their parameters; FormatError, naming the layer, if a shape does not fit."""
    for operation, arrays in zip(operations, parameters, strict=True):
        for name, shape in operation.parameter_shapes().items():
            if arrays[name].shape != shape:
                raise FormatError(f"layer {operation.name}: {name} has shape {arrays[name].shape}; expected {shape}")
        if arrays:
            operation.assign(arrays)
