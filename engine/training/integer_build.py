"""Builds the layers of a network that trains in integers: scales, and initial masters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine.graph import Activation, Padding
from engine.program import Window
from engine.training import layers as kinds
from engine.training.integer_layers import (
    Flatten,
    MaxPool2D,
    Operation,
    Quantization,
    Shape,
    Weighted,
    initial_weights,
    masters,
)
from engine.training.layers import Layer
from engine.training.operations import STEMS
from engine.training.operations import _window as build_window

#: Inputs from which on the weights' range is 1 unless given; below it is 2.
MANY_INPUTS = 256
MOST_INPUTS = 32767
SUPPORTED = "Dense, Conv2D, MaxPool2D, Flatten and, at the end, Softmax"


@dataclass(frozen=True)
class Ranges:
    """What codes stand for: the input's quantization, and the ranges of activations and weights."""

    x_scale: float
    x_zero: int
    activation: float
    weight: float | None

    def of_weights(self, fan_in: int) -> float:
        """Range of a layer's weights, a power of two."""
        default = 1.0 if fan_in >= MANY_INPUTS else 2.0
        return power_of_two(self.weight or default)


def power_of_two(value: float) -> float:
    """Round up to a power of two.

    >>> power_of_two(6.0), power_of_two(0.25)
    (8.0, 0.25)
    """
    return float(2.0 ** math.ceil(math.log2(value)))


def ends_in_softmax(layers: Sequence[Layer]) -> bool:
    """Whether the model has a softmax behind the layers that are trained."""
    return isinstance(layers[-1], kinds.Softmax)


def build(shape: Shape, layers: Sequence[Layer], ranges: Ranges, rng: NDArray[np.uint32]) -> list[Operation]:
    """Make the operations of a chain, drawing its weights."""
    chain = list(layers)
    if chain and isinstance(chain[-1], kinds.Softmax):
        chain.pop()
    if not chain or not isinstance(chain[-1], kinds.Dense) or chain[-1].activation is not Activation.NONE:
        raise ValueError(
            "IntegerSequential: the last layer with weights must be Dense(...) without activation; a Softmax() may follow it"
        )
    if len(shape) not in (1, 3):
        raise ValueError(f"IntegerSequential: input_shape is {shape!r}; expected (size,) or (height, width, channels)")
    for size in shape:
        check.integer("IntegerSequential", "input_shape", size, 1, 65535)
    builder = _Builder(ranges, rng, shape)
    operations = [builder.add(name, layer) for name, layer in zip(_names(chain), chain[:-1], strict=False)]
    operations.append(builder.add(_names(chain)[-1], chain[-1], last=True))
    _prove_gradients(operations)
    return operations


def _prove_gradients(operations: Sequence[Operation]) -> None:
    """Refuse a chain in which the sum of a gradient could leave int32."""
    bound = 2**15
    for operation in reversed(operations):
        bound = operation.gradient_bound(bound)
        if bound >= 2**31:
            raise ValueError(
                f"layer {operation.name}: the gradient of its input could reach {bound}, beyond int32; "
                "use fewer outputs or a smaller kernel"
            )


def _names(chain: Sequence[Layer]) -> list[str]:
    names: list[str] = []
    for i, layer in enumerate(chain):
        if type(layer) not in (kinds.Dense, kinds.Conv2D, kinds.MaxPool2D, kinds.Flatten):
            raise TypeError(
                f"IntegerSequential: layers[{i}] is {layer!r}, which does not train in integers; supported are {SUPPORTED}"
            )
        stem = STEMS[type(layer)]
        count = sum(name == stem or name.startswith(f"{stem}_") for name in names)
        names.append(f"{stem}_{count}" if count else stem)
    return names


class _Builder:
    """Makes the operations one after the other; knows shape and quantization of what the next one reads."""

    def __init__(self, ranges: Ranges, rng: NDArray[np.uint32], shape: Shape) -> None:
        self._ranges = ranges
        self._rng = rng
        self._shape = shape
        self._codes = Quantization(ranges.x_scale, ranges.x_zero)

    def add(self, name: str, layer: Layer, *, last: bool = False) -> Operation:
        """Make the operation of `layer`."""
        operation = self._operation(name, layer, last=last)
        self._shape = operation.y_shape
        if isinstance(operation, Weighted):
            self._codes = operation.y
        return operation

    def _operation(self, name: str, layer: Layer, *, last: bool) -> Operation:
        if isinstance(layer, kinds.Flatten):
            return Flatten(name, self._shape)
        if isinstance(layer, kinds.MaxPool2D):
            return MaxPool2D(name, self._shape, build_window(name, layer, self._shape), cast("Padding", layer.padding))
        if isinstance(layer, kinds.Conv2D):
            window = build_window(name, layer, self._shape)
            return self._weighted(name, layer, (window.out_h, window.out_w, layer.filters), window)
        assert isinstance(layer, kinds.Dense)
        if len(self._shape) != 1:
            raise ValueError(f"layer {name}: Dense takes a vector, not {self._shape}; put Flatten() before it")
        return self._weighted(name, layer, (layer.units,), None, last=last)

    def _output(self, layer: kinds.Dense | kinds.Conv2D, *, last: bool) -> Quantization:
        """Quantization of a layer's output: a ReLU has all codes for what is positive, others half of them."""
        limit = power_of_two(self._ranges.activation)
        if layer.activation is Activation.NONE:
            return Quantization((4 if last else 1) * limit / 128, 0)
        return Quantization(limit / 256, -128)

    def _weighted(
        self, name: str, layer: kinds.Dense | kinds.Conv2D, y_shape: Shape, window: Window | None, *, last: bool = False
    ) -> Weighted:
        taps = 1 if window is None else window.kernel_h * window.kernel_w
        inputs, outputs = taps * self._shape[-1], y_shape[-1]
        if inputs > MOST_INPUTS:
            raise ValueError(
                f"layer {name}: {inputs} inputs; at most {MOST_INPUTS} train in integers: pool or stride before it"
            )
        scale = self._ranges.of_weights(inputs) / 128
        real = initial_weights(cast("str", layer.init), (inputs, taps * outputs), (outputs, inputs), self._rng)
        return Weighted(
            name=name,
            x_shape=self._shape,
            y_shape=y_shape,
            x=self._codes,
            y=self._output(layer, last=last),
            scale_w=scale,
            w=masters(real, scale),
            bias=np.zeros(outputs, np.int32),
            activation=cast("Activation", layer.activation),
            window=window,
            padding=cast("Padding", layer.padding) if isinstance(layer, kinds.Conv2D) else Padding.VALID,
        )
