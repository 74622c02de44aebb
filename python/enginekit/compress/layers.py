"""The layers of a network that have weights, as rows of an output each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import training
from engine.training.operations import Operation

#: Inputs over which the activity of each layer's inputs is measured.
_SAMPLES = 1000


@dataclass(frozen=True, eq=False)
class WeightedLayer:
    """Live weights of one layer.

    Parameters
    ----------
    name : str
    w : float32[...]
        The network's own array.
    depthwise : bool
        Outputs are its last axis, not its first.
    activity : float32[n]
        Root mean square of the input that each weight of an output is for; ones where that is not known.
    """

    name: str
    w: NDArray[np.float32]
    depthwise: bool
    activity: NDArray[np.float32]

    def rows(self) -> NDArray[np.float32]:
        """Copy the weights, float32[out, n]."""
        outputs_first = np.moveaxis(self.w, -1, 0) if self.depthwise else self.w
        return outputs_first.reshape(len(outputs_first), -1).copy()

    def assign(self, rows: NDArray[np.float32]) -> None:
        """Write weights, float32[out, n], into the network."""
        if self.depthwise:
            rest = (self.w.shape[-1], *self.w.shape[:-1])
            self.w[...] = np.moveaxis(rows.reshape(rest), 0, -1)
        else:
            self.w[...] = rows.reshape(self.w.shape)


@dataclass(frozen=True)
class LayerReport:
    """What became of a layer's weights.

    Parameters
    ----------
    name : str
    weights : int
    zeros : float
        Share of them.
    values : int
        Most distinct values that an output has.
    change : float
        Norm of what changed over the norm of the weights before; training is part of it.
    """

    name: str
    weights: int
    zeros: float
    values: int
    change: float


def layer_report(layer: WeightedLayer, before: NDArray[np.float32]) -> LayerReport:
    """Compare a layer with its rows before."""
    rows = layer.rows()
    norm = float(np.linalg.norm(before)) or 1.0
    values = max(len(np.unique(row)) for row in rows)
    return LayerReport(layer.name, rows.size, float((rows == 0).mean()), values, float(np.linalg.norm(rows - before)) / norm)


def weighted_layers(net: training.Sequential, x: NDArray[np.float32]) -> list[WeightedLayer]:
    """List a network's layers with weights; `x`, float32[n, *input_shape], are inputs like those to come."""
    x = x[:_SAMPLES]
    net.predict(x[:1])  # sets the operations' mode
    found = []
    for operation in net.operations:
        activity = _activity(operation, x)
        found += list(_layers([operation], "", activity))
        x = operation.forward(x)
    return found


def _layers(operations: Sequence[Operation], prefix: str, activity: NDArray[np.float32] | None) -> Iterator[WeightedLayer]:
    for operation in operations:
        name = f"{prefix}{operation.name}"
        branches: Any = operation
        if isinstance(operation.layer, training.Residual):
            for branch in (branches.body, branches.shortcut):
                yield from _layers(branch, f"{name}/", None)
        elif "w" in operation.parameters:
            w = operation.parameters["w"]
            depthwise = isinstance(operation.layer, training.DepthwiseConv2D)
            count = w.size // (w.shape[-1] if depthwise else w.shape[0])
            known = np.ones(1, np.float32) if activity is None or depthwise else activity
            yield WeightedLayer(name, w, depthwise, np.tile(known, count // len(known)))


def _activity(operation: Operation, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square of each input of a dense layer, or of each channel."""
    flat = isinstance(operation.layer, training.Dense)
    samples = x.reshape(len(x), -1) if flat else x.reshape(-1, x.shape[-1])
    return np.asarray(np.sqrt(np.mean(np.square(samples, dtype=np.float64), axis=0)), np.float32)
