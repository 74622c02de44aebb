"""Between networks that train and :class:`engine.network.Network`, their form as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    problems: list[str] = []
    chain = _copy_chain(net.operations, "", problems)
    if problems:
        raise UnsupportedError(f"network: {net.name} cannot become data for int8: " + "; ".join(problems))
    return network.Network(net.name, net.input_shape, chain)


#: Layers with weights, and their twins.
WEIGHTED = network.Dense | network.Conv2D | network.DepthwiseConv2D


def _copy_chain(operations: Sequence[Operation], prefix: str, problems: list[str]) -> tuple[network.NetworkLayer, ...]:
    """Copy a chain; what has no twin in :mod:`engine.network` is added to `problems`."""
    chain: list[network.NetworkLayer] = []
    for operation in operations:
        layer, name = operation.layer, f"{prefix}{operation.name}"
        if isinstance(layer, layers.BatchNorm):
            before = chain[-1] if chain else None
            if isinstance(before, WEIGHTED) and before.activation is Activation.NONE:
                chain[-1] = _fold(before, layer, operation)
            else:
                problems.append(
                    f"layer {name}: BatchNorm does not follow a Dense, Conv2D or DepthwiseConv2D without activation"
                )
        elif isinstance(layer, layers.Residual):
            both = cast("Any", operation)
            body, shortcut = (_copy_chain(branch, f"{name}_", problems) for branch in (both.body, both.shortcut))
            chain.append(network.Residual(name, body, shortcut, both.activation))
        elif isinstance(layer, layers.Elu | layers.Softplus | layers.Exponential):
            problems.append(f"layer {name}: {type(layer).__name__} has no int8 form")
        elif not isinstance(layer, layers.Dropout):
            chain.append(_to_layer(name, layer, operation))
    return tuple(chain)


def _fold(before: WEIGHTED, layer: layers.BatchNorm, operation: Operation) -> network.NetworkLayer:
    """``gamma * (w @ x + bias - mean) / deviation + beta`` as one layer."""
    mean, variance = (operation.statistics[name].astype(float) for name in ("mean", "variance"))
    gamma, beta = (operation.parameters[name].astype(float) for name in ("gamma", "beta"))
    factor = gamma / np.sqrt(variance + layer.epsilon)
    last = isinstance(before, network.DepthwiseConv2D)
    w = before.w * (factor if last else factor.reshape(-1, *(1,) * (before.w.ndim - 1)))
    bias = (before.bias - mean) * factor + beta
    return replace(before, w=w.astype(np.float32), bias=bias.astype(np.float32))


def _to_layer(name: str, layer: layers.Layer, operation: Operation) -> network.NetworkLayer:
    if isinstance(layer, layers.Dense):
        w, bias = (operation.parameters[key].copy() for key in ("w", "bias"))
        return network.Dense(name, w, bias, cast("Activation", layer.activation))
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
        w, bias = (operation.parameters[key].copy() for key in ("w", "bias"))
        window = cast("Pair", layer.stride), cast("Pair", layer.dilation), cast("Padding", layer.padding)
        activation = cast("Activation", layer.activation)
        if isinstance(layer, layers.Conv2D):
            return network.Conv2D(name, w, bias, *window, activation)
        return network.DepthwiseConv2D(name, w, bias, layer.multiplier, *window, activation)
    if isinstance(layer, layers.Pool2D):
        kind = network.MaxPool2D if isinstance(layer, layers.MaxPool2D) else network.AveragePool2D
        return kind(name, cast("Pair", layer.kernel), cast("Pair", layer.stride), cast("Padding", layer.padding))
    if isinstance(layer, layers.Relu):
        return network.Relu(name, layer.max_value)
    if isinstance(layer, layers.LeakyRelu):
        return network.LeakyRelu(name, layer.slope)
    return PLAIN[type(layer)](name)


#: Layers without parameters, and their twins.
PLAIN: dict[type[layers.Layer], type[network.Flatten | network.Softmax | network.Tanh | network.Sigmoid]] = {
    layers.Flatten: network.Flatten,
    layers.Softmax: network.Softmax,
    layers.Tanh: network.Tanh,
    layers.Sigmoid: network.Sigmoid,
}


#: Of each layer, in the order of its operation's parameters.
Parameters = list[list[Array]]


def from_network_layers(source: network.Network) -> tuple[list[layers.Layer], tuple[str, ...], Parameters]:
    """Split a network into layers, their names and copies of their parameters.

    Layers inside a Residual get automatic names.
    """
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
    return chain, names, [list(_arrays(layer)) for layer in source.layers]


def _arrays(layer: network.NetworkLayer) -> Iterator[Array]:
    """Copy a layer's arrays, in the order of its operation's parameters."""
    if isinstance(layer, WEIGHTED):
        yield np.array(layer.w, np.float32, order="C")
        yield np.array(layer.bias, np.float32, order="C")
    elif isinstance(layer, network.Residual):
        for inner in (*layer.layers, *layer.shortcut):
            yield from _arrays(inner)


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
    if isinstance(layer, network.DepthwiseConv2D):
        kernel = (layer.w.shape[1], layer.w.shape[2])
        window = layer.stride, layer.padding, layer.dilation
        return layers.DepthwiseConv2D(kernel, layer.multiplier, *window, layer.activation)
    if isinstance(layer, network.MaxPool2D):
        return layers.MaxPool2D(layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, network.AveragePool2D):
        return layers.AveragePool2D(layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, network.Relu):
        return layers.Relu(layer.max_value)
    if isinstance(layer, network.LeakyRelu):
        return layers.LeakyRelu(layer.slope)
    if isinstance(layer, network.Residual):
        body, shortcut = ([_describe(inner) for inner in branch] for branch in (layer.layers, layer.shortcut))
        return layers.Residual(body, shortcut, layer.activation)
    for kind, twin in PLAIN.items():
        if isinstance(layer, twin):
            return kind()
    raise TypeError(f"{type(layer).__name__} is not supported; expected one of {', '.join(layers.KINDS)}")


def assign(operations: list[Operation], parameters: Parameters) -> None:
    """Give operations their parameters; FormatError, naming the layer, if a shape does not fit."""
    for operation, arrays in zip(operations, parameters, strict=True):
        shapes = operation.parameter_shapes()
        for array, (name, shape) in zip(arrays, shapes.items(), strict=True):
            if array.shape != shape:
                raise FormatError(f"layer {operation.name}: {name} has shape {array.shape}; expected {shape}")
        if arrays:
            operation.assign(dict(zip(shapes, arrays, strict=True)))
