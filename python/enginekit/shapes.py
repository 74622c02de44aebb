"""Shapes along a float network, and the check that a network makes sense, in one place for importers and quantizer."""

from __future__ import annotations

import math

import numpy as np

from engine.errors import FormatError
from engine.network import (
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    MaxPool2D,
    Network,
    NetworkLayer,
    Residual,
)
from engine.window import slide

Shape = tuple[int, ...]


def output_shapes(network: Network) -> list[Shape]:
    """Give the shape after every layer, without batch.

    Parameters
    ----------
    network : Network
        Any network; its shapes are checked on the way.

    Returns
    -------
    list of tuple of int
        One shape a layer.

    Raises
    ------
    FormatError
        If a layer does not fit what comes into it; names the layer.

    Examples
    --------
    >>> output_shapes(Network("n", (4, 4, 1), (MaxPool2D("pool", (2, 2), (2, 2)), Flatten("flat"))))
    [(2, 2, 1), (4,)]
    """
    if not network.input_shape or any(size < 1 for size in network.input_shape):
        raise FormatError(f"network {network.name!r}: input_shape {network.input_shape} needs positive sizes")
    shapes: list[Shape] = []
    shape = network.input_shape
    for index, layer in enumerate(network.layers):
        shape = output_shape(layer, shape, label(index, layer))
        shapes.append(shape)
    return shapes


def check_network(network: Network) -> None:
    """Check shapes, and that every weight and bias is a finite number.

    Raises
    ------
    FormatError
        Names the layer, the array and what is wrong.
    """
    if not network.layers:
        raise FormatError(f"network {network.name!r} has no layers")
    for index, layer in enumerate(network.layers):
        _check_finite(layer, label(index, layer))
    output_shapes(network)


def label(index: int | str, layer: NetworkLayer) -> str:
    """Say which layer, for messages: ``layer 2 'hidden' (Dense)``."""
    return f"layer {index} {layer.name!r} ({type(layer).__name__})"


def _check_finite(layer: NetworkLayer, where: str) -> None:
    if isinstance(layer, (Dense, Conv2D, DepthwiseConv2D)):
        _check_weights(layer, where)
    elif isinstance(layer, Residual):
        for branch in (layer.layers, layer.shortcut):
            for index, inner in enumerate(branch):
                _check_finite(inner, f"{where}: {label(index, inner)}")


def output_shape(layer: NetworkLayer, shape: Shape, where: str) -> Shape:
    """Give the shape after one layer; `where` names it in a FormatError."""
    if isinstance(layer, Dense):
        return _dense_shape(layer, shape, where)
    if isinstance(layer, (Conv2D, DepthwiseConv2D, MaxPool2D, AveragePool2D)):
        return _window_shape(layer, shape, where)
    if isinstance(layer, Residual):
        return _residual_shape(layer, shape, where)
    if isinstance(layer, Flatten):
        return (math.prod(shape),)
    return shape


def _dense_shape(layer: Dense, shape: Shape, where: str) -> Shape:
    out, in_ = layer.w.shape
    if len(shape) != 1:
        raise FormatError(f"{where}: needs a vector, got shape {shape}; put a Flatten before it")
    if shape[0] != in_:
        raise FormatError(f"{where}: weights are [{out}, {in_}] but {shape[0]} values come in")
    return (out,)


def _residual_shape(layer: Residual, shape: Shape, where: str) -> Shape:
    ends = []
    for branch in (layer.layers, layer.shortcut):
        end = shape
        for index, inner in enumerate(branch):
            end = output_shape(inner, end, f"{where}: {label(index, inner)}")
        ends.append(end)
    if not layer.layers or ends[0] != ends[1]:
        raise FormatError(f"{where}: its layers give {ends[0]} but its shortcut gives {ends[1]}; expected the same shape")
    return ends[0]


def _window_shape(layer: Conv2D | DepthwiseConv2D | MaxPool2D | AveragePool2D, shape: Shape, where: str) -> Shape:
    if len(shape) != 3:
        raise FormatError(f"{where}: needs an image [height, width, channels], got shape {shape}")
    dilation = layer.dilation if isinstance(layer, (Conv2D, DepthwiseConv2D)) else (1, 1)
    kernel = (layer.w.shape[1], layer.w.shape[2]) if isinstance(layer, (Conv2D, DepthwiseConv2D)) else layer.kernel
    channels = shape[2]
    if min(*kernel, *layer.stride, *dilation) < 1:
        raise FormatError(f"{where}: kernel {kernel}, stride {layer.stride} and dilation {dilation} need positive sizes")
    if isinstance(layer, Conv2D):
        if layer.w.shape[3] != channels:
            raise FormatError(f"{where}: weights expect {layer.w.shape[3]} channels but {channels} come in")
        channels = layer.w.shape[0]
    if isinstance(layer, DepthwiseConv2D):
        if layer.w.shape[3] != channels * layer.multiplier:
            raise FormatError(
                f"{where}: weights have {layer.w.shape[3]} channels but {channels}, times a multiplier of "
                f"{layer.multiplier}, come in"
            )
        channels = layer.w.shape[3]
    height, width = (
        slide(size, k, s, d, layer.padding)[0] for size, k, s, d in zip(shape[:2], kernel, layer.stride, dilation, strict=True)
    )
    if height < 1 or width < 1:
        raise FormatError(f"{where}: a kernel of {kernel} with dilation {dilation} is larger than the image {shape[:2]}")
    return (height, width, channels)


def _check_weights(layer: Dense | Conv2D | DepthwiseConv2D, where: str) -> None:
    rank = 2 if isinstance(layer, Dense) else 4
    for name, array, dims in (("weights", layer.w, rank), ("bias", layer.bias, 1)):
        if array.ndim != dims or array.size == 0:
            raise FormatError(f"{where}: {name} have shape {array.shape}; expected rank {dims} and no empty dimension")
        if array.dtype != np.float32:
            raise FormatError(f"{where}: {name} are {array.dtype}; expected float32")
        finite = np.isfinite(array)
        if not finite.all():
            first = tuple(int(i) for i in np.argwhere(~finite)[0])
            count = int(array.size - np.count_nonzero(finite))
            raise FormatError(f"{where}: {count} {name} are not finite; the first is {array[first]} at {list(first)}")
    outputs = layer.w.shape[3] if isinstance(layer, DepthwiseConv2D) else layer.w.shape[0]
    if layer.bias.shape[0] != outputs:
        raise FormatError(f"{where}: {outputs} outputs but {layer.bias.shape[0]} biases")
