"""From layers to operations, and the operation that holds others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from engine import kernels_f32 as kernels
from engine import kernels_layer_f32 as more
from engine.graph import Activation
from engine.training import layers, operations
from engine.training.operations import FLOAT, LIMITS, STEMS, Array, Mode, Operation, Shape, fuse, run_backward, run_forward


class _Residual(Operation):
    """Two branches and their sum; parameters are the branches', by ``layer/parameter``."""

    _y: Array

    def __init__(self, name: str, layer: layers.Residual, x_shape: Shape) -> None:
        self._mode = FLOAT
        self.body: list[Operation] = []
        self.shortcut: list[Operation] = []
        super().__init__(name, layer, x_shape)
        counts: dict[str, int] = {}
        try:
            self.body = build(x_shape, layer.layers, counts=counts)
            self.shortcut = build(x_shape, layer.shortcut, counts=counts)
        except ValueError as error:
            raise ValueError(f"layer {name}: {error}") from None
        self.activation = cast("Activation", layer.activation)
        self.y_shape = self.body[-1].y_shape
        other = self.shortcut[-1].y_shape if self.shortcut else x_shape
        if other != self.y_shape:
            raise ValueError(
                f"layer {name}: its layers give {self.y_shape} but its shortcut gives {other}; expected the same shape"
            )
        self.statistics = {f"{op.name}/{key}": array for op in self.children for key, array in op.statistics.items()}

    @property
    def children(self) -> list[Operation]:
        """The operations of both branches."""
        return [*self.body, *self.shortcut]

    @property
    def mode(self) -> Mode:
        """As of every operation; the branches have the same."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        for operation in self.children:
            operation.mode = mode

    def parameter_shapes(self) -> dict[str, Shape]:
        return {f"{op.name}/{key}": shape for op in self.children for key, shape in op.parameter_shapes().items()}

    def initialize(self, rng: NDArray[np.uint32]) -> None:
        for operation in self.children:
            operation.initialize(rng)
        self._collect()

    def assign(self, parameters: dict[str, Array]) -> None:
        for operation in self.children:
            operation.assign({key: parameters[f"{operation.name}/{key}"] for key in operation.parameter_shapes()})
        self._collect()

    def _collect(self) -> None:
        self.parameters = {f"{op.name}/{key}": array for op in self.children for key, array in op.parameters.items()}
        self.gradients = {f"{op.name}/{key}": array for op in self.children for key, array in op.gradients.items()}

    def start_epoch(self, seed: int) -> None:
        for i, operation in enumerate(self.children, 1):
            operation.start_epoch((seed + 0x9E3779B9 * i) % 2**32)

    def forward(self, x: Array) -> Array:
        return self._run(x, training=False)

    def forward_training(self, x: Array) -> Array:
        return self._run(x, training=True)

    def _run(self, x: Array, *, training: bool) -> Array:
        y = self._buffer("y", len(x), self.y_shape)
        branches = [run_forward(branch, x, training=training) for branch in (self.body, self.shortcut)]
        self._y = more.add_f32(*branches, out=y)
        if self.activation in LIMITS:
            kernels.relu_f32(y, limit=LIMITS[self.activation], out=y)
        return y

    def backward(self, dy: Array, *, needs_dx: bool) -> Array | None:
        if self.activation in LIMITS:
            kernels.relu_f32_backward(self._y, dy, limit=LIMITS[self.activation], dx=dy)
        other = self._buffer("other", len(dy), self.y_shape)  # a branch may overwrite its gradient
        np.copyto(other, dy)
        left, right = run_backward(self.body, dy), run_backward(self.shortcut, other)
        if not needs_dx:
            return None
        assert left is not None
        assert right is not None
        return more.add_f32(left, right, out=self._buffer("dx", len(dy), self.x_shape))

    def release(self) -> None:
        super().release()
        for operation in self.children:
            operation.release()


OPERATIONS: dict[type[layers.Layer], Any] = operations.OPERATIONS | {layers.Residual: _Residual}


def build(
    input_shape: Shape,
    chain: Sequence[layers.Layer],
    names: tuple[str, ...] | None = None,
    counts: dict[str, int] | None = None,
) -> list[Operation]:
    """Make the operations of a chain of layers, without parameters.

    Names are automatic unless given; `counts` goes on counting those of another chain.
    """
    shape = input_shape
    made: list[Operation] = []
    counts = {} if counts is None else counts
    for i, layer in enumerate(chain):
        stem = STEMS[type(layer)]
        counts[stem] = counts.get(stem, -1) + 1
        automatic = f"{stem}_{counts[stem]}" if counts[stem] else stem
        operation: Operation = OPERATIONS[type(layer)](names[i] if names else automatic, layer, shape)
        made.append(operation)
        shape = operation.y_shape
    for before, after in itertools.pairwise(made):
        fuse(before, after)
    return made
