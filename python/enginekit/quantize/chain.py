"""The float network as it will be quantized: ReLUs fused into the layers that feed them, and its layers' outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine import training
from engine.errors import QuantError
from engine.graph import Activation
from engine.network import Conv2D, Dense, Flatten, MaxPool2D, Network, NetworkLayer, Relu, Softmax
from enginekit.shapes import Shape, label, output_shapes

#: Images a forward pass: bounds the memory that calibration takes, and nothing else.
BATCH = 256


def fuse(network: Network) -> Network:
    """Fuse ReLUs into the Dense or Conv2D before them, and drop a Flatten that changes nothing.

    A ReLU commutes with a max pool and a Flatten, so it moves up through them; what the network computes stays the same.

    Examples
    --------
    >>> dense = Dense("d", np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    >>> fused = fuse(Network("n", (3,), (Flatten("f"), dense, Relu("r"))))
    >>> [(layer.name, layer.activation.value) for layer in fused.layers]
    [('d', 'relu')]
    """
    layers: list[NetworkLayer] = []
    shape = network.input_shape
    for layer, after in zip(network.layers, output_shapes(network), strict=True):
        if isinstance(layer, Flatten) and shape == after:
            continue
        if not (isinstance(layer, Relu) and _fuse_relu(layer, layers)):
            layers.append(layer)
        shape = after
    return replace(network, layers=tuple(layers))


def _fuse_relu(relu: Relu, layers: list[NetworkLayer]) -> bool:
    """Fuse `relu` into the last of `layers` that is neither pool nor Flatten; say whether that was possible."""
    index = len(layers) - 1
    while index >= 0 and isinstance(layers[index], (MaxPool2D, Flatten)):
        index -= 1
    target = layers[index] if index >= 0 else None
    if not isinstance(target, (Dense, Conv2D)):
        return False
    wanted = Activation.RELU if relu.max_value is None else Activation.RELU6
    both = {
        (Activation.NONE, wanted): wanted,
        (Activation.RELU, wanted): wanted,
        (Activation.RELU6, wanted): Activation.RELU6,
    }.get((target.activation, wanted))
    if both is None:
        return False
    layers[index] = replace(target, activation=both)
    return True


def forward(network: Network, x: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    """Run the float kernels layer by layer.

    Parameters
    ----------
    network : Network
    x : float32[count, *input_shape]

    Yields
    ------
    list of float32[batch, *shape]
        The input and every layer's output, for one batch after the other.

    Raises
    ------
    QuantError
        If a layer's output is not finite.
    """
    shapes = [network.input_shape, *output_shapes(network)]
    stages = [_Stage(layer, *ends) for layer, ends in zip(network.layers, pairwise(shapes), strict=True)]
    for start in range(0, len(x), BATCH):
        outputs = [x[start : start + BATCH]]
        for index, stage in enumerate(stages):
            outputs.append(stage(outputs[-1]))
            if not np.isfinite(outputs[-1]).all():
                raise QuantError(f"{label(network, index)}: its output over the calibration data is not finite")
        yield outputs


class _Stage:
    """One layer as a network of its own, on inputs of any rank."""

    def __init__(self, layer: NetworkLayer, x_shape: Shape, y_shape: Shape):
        self.y_shape = y_shape
        #: What the kernel sees: ReLU works on single values, softmax on rows.
        self.x_shape = (math.prod(x_shape),) if isinstance(layer, Relu) else x_shape
        self.x_shape = x_shape[-1:] if isinstance(layer, Softmax) else self.x_shape
        one = Network(layer.name, self.x_shape, (layer,))
        self.net = None if isinstance(layer, Flatten) else training.from_network(one)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        y = x if self.net is None else self.net.predict(x.reshape(-1, *self.x_shape))
        return y.reshape(-1, *self.y_shape)
