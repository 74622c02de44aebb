"""Between int8 graphs and layers that train: cutting trainable layers off a model, and putting trained ones into one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.errors import UnsupportedError
from engine.graph import (
    Conv2DOptions,
    DenseOptions,
    Graph,
    Layer,
    NoOptions,
    Options,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.training.integer_layers import Flatten, MaxPool2D, Operation, Quantization, Weighted, masters

INT8, INT32 = np.dtype(np.int8), np.dtype(np.int32)
#: What may follow the last dense layer.
TAIL = ("softmax", "argmax", "dequantize", "reshape", "quantize")
MOST_INPUTS = 32767


# ---------------------------------------------------------------------------------------------------- out of a model


def split(graph: Graph, count: int, headroom: float) -> tuple[Graph | None, list[Operation]]:
    """Cut the last `count` dense layers off a model; returns what is before them, or None, and the layers."""
    found = _head(graph, count)
    first = graph.layers[found[0]]
    layers = [_weighted(graph, graph.layers[i], headroom, last=i == found[-1]) for i in found]
    if found[0] == 0:
        return None, list(layers)
    body = replace(graph, layers=graph.layers[: found[0]], outputs=(first.inputs[0],))
    return body, list(layers)


def tail(graph: Graph, count: int, operations: int | None) -> Graph | None:
    """Cut off what follows the last of `count` trained layers; None if nothing does.

    `operations` is how many layers come before, if the model was not made by :func:`split`.
    """
    first = _head(graph, count)[-1] + 1 if operations is None else operations
    layers = graph.layers[first:]
    return replace(graph, layers=layers, inputs=(layers[0].inputs[0],)) if layers else None


def _head(graph: Graph, count: int) -> list[int]:
    """Find the indices of the last `count` dense layers, ascending, which must feed one another."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UnsupportedError(
            f"model {graph.name!r} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; "
            "layers are trained in models with one of each"
        )
    index = len(graph.layers) - 1
    while index >= 0 and graph.layers[index].op in TAIL:
        index -= 1
    found = list(range(index - count + 1, index + 1))
    ops = [graph.layers[i].op if i >= 0 else "the input" for i in found]
    if index < 0 or any(op != "dense" for op in ops):
        there = ", ".join(f"{layer.name or i} ({layer.op})" for i, layer in enumerate(graph.layers))
        raise UnsupportedError(
            f"model {graph.name!r} does not end in {count} dense layer{'s' if count > 1 else ''} that could be trained; "
            f"its layers are {there}"
        )
    for i, after in itertools.pairwise(found):
        if graph.layers[after].inputs[0] != graph.layers[i].outputs[0]:
            raise UnsupportedError(f"layer {graph.layers[after].name!r} does not read {graph.layers[i].name!r} before it")
    return found


def _quantization(graph: Graph, index: int, layer: Layer) -> Quantization:
    tensor = graph.tensors[index]
    if tensor.dtype != INT8 or tensor.scale is None:
        raise UnsupportedError(f"layer {layer.name!r}: {tensor.name!r} is {tensor.dtype}; int8 codes are trained")
    return Quantization(float(tensor.scale[0]), tensor.zero_point)


def _weighted(graph: Graph, layer: Layer, headroom: float, *, last: bool) -> Weighted:
    """Make masters of a dense layer: one scale for all of its outputs, with room for the weights to grow."""
    assert isinstance(layer.options, DenseOptions)
    weights = graph.tensors[layer.inputs[1]]
    x, y = _quantization(graph, layer.inputs[0], layer), _quantization(graph, layer.outputs[0], layer)
    assert weights.data is not None
    assert weights.scale is not None
    out, inputs = weights.shape
    if inputs > MOST_INPUTS:
        raise UnsupportedError(f"layer {layer.name!r} has {inputs} inputs; at most {MOST_INPUTS} train in integers")
    scales = np.broadcast_to(weights.scale.astype(np.float64), (out,))
    real = weights.data * scales[:, None]
    scale = float(np.float32(max(float(np.abs(real).max()), float(scales.min())) * headroom / 127))
    bias = np.zeros(out, np.int32)
    if layer.inputs[2] >= 0:
        codes = graph.tensors[layer.inputs[2]].data
        assert codes is not None
        bias = np.rint(codes * (scales / scale)).astype(np.int32)
    if last:
        y = Quantization(y.scale * headroom, y.zero)
    return Weighted(layer.name, (inputs,), (out,), x, y, scale, masters(real, scale), bias, layer.options.activation)


# ---------------------------------------------------------------------------------------------------- into a model


def joined(base: Graph, layers: Sequence[Weighted]) -> Graph:
    """Put trained layers in the place of those that :func:`split` cut off."""
    tensors = list(base.tensors)
    index = _head(base, len(layers))[0]
    changed = list(base.layers)
    for at, trained in enumerate(layers, index):
        layer = changed[at]
        w, bias = _constants(trained)
        inputs = [layer.inputs[0], len(tensors), len(tensors) + 1]
        tensors += [replace(w, name=tensors[layer.inputs[1]].name), bias]
        scale = np.array([trained.y.scale], np.float32)
        tensors[layer.outputs[0]] = replace(tensors[layer.outputs[0]], scale=scale, zero_point=trained.y.zero)
        changed[at] = replace(layer, inputs=tuple(inputs))
    return _compact(replace(base, tensors=tuple(tensors), layers=tuple(changed)))


def _compact(graph: Graph) -> Graph:
    """Drop tensors that nothing reads or writes."""
    used = sorted(
        {i for layer in graph.layers for i in (*layer.inputs, *layer.outputs) if i >= 0} | {*graph.inputs, *graph.outputs}
    )
    to = {old: new for new, old in enumerate(used)} | {-1: -1}

    def moved(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(to[i] for i in indices)

    layers = tuple(replace(layer, inputs=moved(layer.inputs), outputs=moved(layer.outputs)) for layer in graph.layers)
    tensors = tuple(graph.tensors[i] for i in used)
    return replace(graph, tensors=tensors, layers=layers, inputs=moved(graph.inputs), outputs=moved(graph.outputs))


def _constants(layer: Weighted) -> tuple[Tensor, Tensor]:
    """Weights and bias as tensors."""
    scale = np.array([layer.scale_w], np.float32)
    shape = layer.w.shape
    if layer.window is not None:
        shape = (shape[0], layer.window.kernel_h, layer.window.kernel_w, layer.x_shape[2])
    w, bias = layer.codes.reshape(shape), layer.bias.copy()
    w.setflags(write=False)
    bias.setflags(write=False)
    product = np.array([np.float32(layer.x.scale) * scale[0]], np.float32)
    return (
        Tensor(f"{layer.name}/weights", w.shape, INT8, scale, 0, 0, w),
        Tensor(f"{layer.name}/bias", bias.shape, INT32, product, 0, 0, bias),
    )


@dataclass
class _Chain:
    """A graph in the making."""

    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)

    def tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def activation(self, name: str, shape: tuple[int, ...], quantization: Quantization) -> int:
        scale = np.array([quantization.scale], np.float32)
        return self.tensor(Tensor(name, (1, *shape), INT8, scale, quantization.zero))

    def call(self, op: str, name: str, inputs: tuple[int, ...], output: int, options: Options) -> int:
        self.layers.append(Layer(op, name, inputs, (output,), options))
        return output


def whole(name: str, operations: Sequence[Operation], *, softmax: bool) -> Graph:
    """Give a chain of layers as a model of its own."""
    chain = _Chain()
    codes = next(op.x for op in operations if isinstance(op, Weighted))
    x = source = chain.activation("input", operations[0].x_shape, codes)
    for operation in operations:
        codes = operation.y if isinstance(operation, Weighted) else codes
        y = chain.activation(operation.name, operation.y_shape, codes)
        inputs: tuple[int, ...] = (x,)
        if isinstance(operation, Weighted):
            inputs = (x, *(chain.tensor(tensor) for tensor in _constants(operation)))
        op, options = _operator(operation)
        x = chain.call(op, operation.name, inputs, y, options)
    if softmax:
        y = chain.activation("softmax", operations[-1].y_shape, Quantization(1 / 256, -128))
        x = chain.call("softmax", "softmax", (x,), y, SoftmaxOptions())
    return Graph(name, tuple(chain.tensors), tuple(chain.layers), (source,), (x,))


def _operator(operation: Operation) -> tuple[str, Options]:
    if isinstance(operation, Flatten):
        return "reshape", NoOptions()
    if isinstance(operation, MaxPool2D):
        w = operation.window
        return "max_pool2d", Pool2DOptions(w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, operation.padding)
    assert isinstance(operation, Weighted)
    if operation.window is None:
        return "dense", DenseOptions(operation.activation)
    w = operation.window
    strides = (w.stride_h, w.stride_w, w.dilation_h, w.dilation_w)
    return "conv2d", Conv2DOptions(*strides, operation.padding, operation.activation)
