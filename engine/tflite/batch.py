"""Files converted with a fixed batch of several samples: the same network for one sample, since layers do not mix them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.errors import UnsupportedError
from engine.graph import ConcatenationOptions, Graph, Layer, MeanOptions, Tensor


def of_one_sample(graph: Graph) -> Graph:
    """Divide the first dimension of every activation by the batch that all inputs begin with.

    Parameters
    ----------
    graph : Graph
        As read, not yet validated.

    Returns
    -------
    Graph
        The graph itself if the batch is 1, or is not the same for all inputs.

    Raises
    ------
    UnsupportedError
        If an activation does not hold whole samples one after another, or a layer mixes samples.
    """
    batches = {graph.tensors[i].shape[:1] for i in graph.inputs}
    if len(batches) != 1 or (batch := next(iter(batches))) in ((), (1,)):
        return graph
    count = batch[0]
    for layer in graph.layers:
        _check_apart(graph, layer, count)
    tensors = list(graph.tensors)
    for index, tensor in enumerate(tensors):
        if tensor.data is None:
            tensors[index] = replace(tensor, shape=_divided(tensor, index, count))
    for layer in graph.layers:
        for i in layer.inputs[1:] if layer.op in ("add", "sub", "mul") else ():
            tensors[i] = _one_of(tensors[i], graph.tensors[layer.outputs[0]], layer)
    return replace(graph, tensors=tuple(tensors))


def _divided(tensor: Tensor, index: int, count: int) -> tuple[int, ...]:
    if not tensor.shape or tensor.shape[0] % count:
        raise UnsupportedError(
            f"tensor {index} {tensor.name!r}: shape {tensor.shape} does not begin with the batch of {count}; convert with a "
            "free batch or a batch of 1"
        )
    return (tensor.shape[0] // count, *tensor.shape[1:])


def _check_apart(graph: Graph, layer: Layer, count: int) -> None:
    """Refuse a layer that mixes the samples of a batch."""
    options = layer.options
    y = graph.tensors[layer.outputs[0]]
    sources = [graph.tensors[i] for i in layer.inputs if i >= 0 and graph.tensors[i].data is None]
    mixes = (isinstance(options, MeanOptions) and 0 in options.axes) or (
        isinstance(options, ConcatenationOptions) and options.axis == 0
    )
    if layer.op in ("softmax", "argmax"):
        mixes = any(len(x.shape) < 2 for x in sources)
    if layer.op in ("add", "sub", "mul"):
        mixes = any(len(x.shape) != len(y.shape) or x.shape[:1] != y.shape[:1] for x in sources)
    if mixes:
        raise UnsupportedError(
            f"layer {layer.name!r} ({layer.op}): mixes the samples of the fixed batch of {count}; convert with a batch of 1"
        )


def _one_of(operand: Tensor, y: Tensor, layer: Layer) -> Tensor:
    """Give a constant operand for one sample; those for the others must be the same."""
    data = operand.data
    if data is None or len(operand.shape) < len(y.shape) or operand.shape[0] == 1:
        return operand
    if np.any(data != data[:1]):
        raise UnsupportedError(
            f"layer {layer.name!r} ({layer.op}): its constant differs between the samples of the fixed batch"
        )
    first = data[:1].copy()
    first.flags.writeable = False
    return replace(operand, shape=first.shape, data=first)
