"""The float network as it will be quantized: ReLUs fused into the layers that feed them, branches as steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine import kernels_f32, kernels_layer_f32, training
from engine.errors import QuantError
from engine.graph import Activation
from engine.network import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    LeakyRelu,
    MaxPool2D,
    Network,
    NetworkLayer,
    Relu,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
)
from engine.training.operations import LIMITS
from enginekit.shapes import Shape, label, output_shape

#: Images a forward pass: bounds the memory that calibration takes, and nothing else.
BATCH = 256


def fuse(network: Network) -> Network:
    """Fuse ReLUs into the Dense, convolution or Residual before them, and drop a Flatten that changes nothing.

    A ReLU commutes with a max pool and a Flatten, so it moves up through them; what the network computes stays the same.

    Examples
    --------
    >>> dense = Dense("d", np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    >>> fused = fuse(Network("n", (3,), (Flatten("f"), dense, Relu("r"))))
    >>> [(layer.name, layer.activation.value) for layer in fused.layers]
    [('d', 'relu')]
    """
    return replace(network, layers=_fuse_chain(network.layers, network.input_shape))


def _fuse_chain(chain: tuple[NetworkLayer, ...], shape: Shape) -> tuple[NetworkLayer, ...]:
    layers: list[NetworkLayer] = []
    for layer in chain:
        after = output_shape(layer, shape, layer.name)
        if isinstance(layer, Residual):
            body, shortcut = (_fuse_chain(branch, shape) for branch in (layer.layers, layer.shortcut))
            layers.append(replace(layer, layers=body, shortcut=shortcut))
        elif not (isinstance(layer, Flatten) and shape == after) and not (
            isinstance(layer, Relu) and _fuse_relu(layer, layers)
        ):
            layers.append(layer)
        shape = after
    return tuple(layers)


def _fuse_relu(relu: Relu, layers: list[NetworkLayer]) -> bool:
    """Fuse `relu` into the last of `layers` that is neither pool nor Flatten; say whether that was possible."""
    index = len(layers) - 1
    while index >= 0 and isinstance(layers[index], (MaxPool2D, Flatten)):
        index -= 1
    target = layers[index] if index >= 0 else None
    if not isinstance(target, (Dense, Conv2D, DepthwiseConv2D, Residual)):
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


@dataclass(frozen=True, eq=False)
class Step:
    """One operator of the int8 model, and what it reads.

    Parameters
    ----------
    index : int
        Its number, from 0, in the order of computation.
    layer : NetworkLayer
        The layer; a Residual here is the sum of its branches alone.
    inputs : tuple of int
        Values that it reads: 0 is the network's input, i + 1 what step i gives.
    x_shape, y_shape : tuple of int
        Shapes of its input, or inputs, and output, without batch.
    """

    index: int
    layer: NetworkLayer
    inputs: tuple[int, ...]
    x_shape: Shape
    y_shape: Shape

    @property
    def label(self) -> str:
        """Say which step, for messages."""
        return label(self.index, self.layer)


def steps(network: Network) -> list[Step]:
    """Give the operators of a network in order, those of branches before their sum.

    Examples
    --------
    >>> network = Network("n", (3,), (Residual("sum", (Tanh("t"),), (Sigmoid("s"),)), Relu("r")))
    >>> [(step.layer.name, step.inputs) for step in steps(network)]
    [('t', (0,)), ('s', (0,)), ('sum', (1, 2)), ('r', (3,))]
    """
    found: list[Step] = []
    _append(found, network.layers, 0, network.input_shape)
    return found


def _append(found: list[Step], chain: tuple[NetworkLayer, ...], value: int, shape: Shape) -> int:
    """Append the steps of a chain that reads `value`; return the value that it gives."""
    for layer in chain:
        after = output_shape(layer, shape, layer.name)
        inputs: tuple[int, ...] = (value,)
        if isinstance(layer, Residual):
            inputs = _append(found, layer.layers, value, shape), _append(found, layer.shortcut, value, shape)
        found.append(Step(len(found), layer, inputs, after if isinstance(layer, Residual) else shape, after))
        value, shape = len(found), after
    return value


def forward(network: Network, x: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    """Run the float kernels step by step.

    Parameters
    ----------
    network : Network
    x : float32[count, *input_shape]

    Yields
    ------
    list of float32[batch, *shape]
        The input and every step's output, for one batch after the other.

    Raises
    ------
    QuantError
        If a step's output is not finite.
    """
    stages = [_Stage(step) for step in steps(network)]
    for start in range(0, len(x), BATCH):
        outputs = [x[start : start + BATCH]]
        for stage in stages:
            outputs.append(stage([outputs[i] for i in stage.step.inputs]))
            if not np.isfinite(outputs[-1]).all():
                raise QuantError(f"{stage.step.label}: its output over the calibration data is not finite")
        yield outputs


class _Stage:
    """One step as a network of its own, on inputs of any rank."""

    def __init__(self, step: Step):
        self.step = step
        layer, shape = step.layer, step.x_shape
        #: What the kernel sees: elementwise functions work on single values, softmax on rows.
        self.x_shape = (math.prod(shape),) if isinstance(layer, (Relu, LeakyRelu, Tanh, Sigmoid)) else shape
        self.x_shape = shape[-1:] if isinstance(layer, Softmax) else self.x_shape
        alone = None if isinstance(layer, (Flatten, Residual)) else Network(layer.name, self.x_shape, (layer,))
        self.net = None if alone is None else training.from_network(alone)

    def __call__(self, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if isinstance(self.step.layer, Residual):
            return _sum(self.step.layer, *inputs)
        y = inputs[0] if self.net is None else self.net.predict(inputs[0].reshape(-1, *self.x_shape))
        return y.reshape(-1, *self.step.y_shape)


def _sum(layer: Residual, a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    y = kernels_layer_f32.add_f32(np.ascontiguousarray(a), np.ascontiguousarray(b))
    if layer.activation in LIMITS:
        kernels_f32.relu_f32(y, limit=LIMITS[layer.activation], out=y)
    return y
