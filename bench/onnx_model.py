"""A graph as ONNX: float operators between QuantizeLinear and DequantizeLinear (QDQ), which ONNX Runtime runs in int8.

Convolutions are NCHW there: images are transposed where they come in, and back before a reshape. Activations are uint8, which
ONNX Runtime's x86 kernels want: the codes plus 128. Results may differ from ours by a code where ONNX Runtime rounds otherwise.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnsupportedError
from engine.graph import (
    Activation,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    MeanOptions,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.window import window

OPSET = 18
LIMITS = {Activation.RELU: (0.0, None), Activation.RELU6: (0.0, 6.0), Activation.RELU_N1_TO_1: (-1.0, 1.0)}


def unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type that ONNX Runtime gets for ours."""
    return np.dtype(np.uint8) if dtype == np.int8 else dtype


def unsigned_zero(t: Tensor) -> NDArray[np.uint8]:
    """Zero point of uint8 codes."""
    return np.array([t.zero_point + (128 if t.dtype == np.int8 else 0)], np.uint8)


class Exporter:
    """Nodes and constants so far; tensors are named ``t<index>`` (codes) and ``t<index>f`` (real numbers)."""

    def __init__(self, graph: Graph) -> None:
        self.onnx = importlib.import_module("onnx")
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.real: dict[int, str] = {}

    def constant(self, name: str, data: NDArray[Any]) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.array(data, order="C"), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes))
        return output

    def scales(self, name: str, scale: NDArray[np.float32], zero: NDArray[Any]) -> list[str]:
        both = (scale[0], zero[0]) if scale.size == 1 else (scale, np.resize(zero, scale.shape))
        return [self.constant(f"{name}_{part}", np.asarray(data)) for part, data in zip(("scale", "zero"), both, strict=True)]

    def dequantized(self, name: str, data: NDArray[Any], scale: NDArray[np.float32], axis: int = 0) -> str:
        """Return a constant as real numbers."""
        quantization = self.scales(name, scale, np.zeros(1, data.dtype))
        inputs = [self.constant(f"{name}_codes", data), *quantization]
        return self.node("DequantizeLinear", inputs, name, **({"axis": axis} if scale.size > 1 else {}))

    def source(self, index: int) -> str:
        """Return a tensor as real numbers, images as NCHW."""
        return self.real[index]

    def result(self, index: int, source: str) -> None:
        """Quantize what a layer made."""
        t = self.graph.tensors[index]
        if t.dtype == np.float32 or t.scale is None:
            self.real[index] = source
            return
        quantization = self.scales(f"t{index}", t.scale, unsigned_zero(t))
        codes = self.node("QuantizeLinear", [source, *quantization], f"t{index}")
        self.real[index] = self.node("DequantizeLinear", [codes, *quantization], f"t{index}f")

    def activated(self, index: int, source: str, activation: Activation) -> str:
        if activation is Activation.NONE:
            return source
        if activation is Activation.RELU:
            return self.node("Relu", [source], f"t{index}_relu")
        limits = [self.constant(f"t{index}_limit{i}", np.float32(v)) for i, v in enumerate(LIMITS[activation])]
        return self.node("Clip", [source, *limits], f"t{index}_clip")


def _tensors(exporter: Exporter, layer: Layer) -> tuple[Tensor, Tensor, int]:
    tensors = exporter.graph.tensors
    return tensors[layer.inputs[0]], tensors[layer.outputs[0]], layer.outputs[0]


def _bias(exporter: Exporter, layer: Layer, scale: NDArray[np.float32]) -> list[str]:
    if layer.inputs[2] < 0:
        return []
    data = exporter.graph.tensors[layer.inputs[2]].data
    assert data is not None
    return [exporter.dequantized(f"b{layer.outputs[0]}", data, scale.astype(np.float32))]


def _weights(exporter: Exporter, layer: Layer) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
    """Weights, their scales and those of the accumulators."""
    x, w = (exporter.graph.tensors[i] for i in layer.inputs[:2])
    assert w.data is not None
    assert w.scale is not None
    assert x.scale is not None
    return w.data, w.scale, x.scale * w.scale


def _dense(exporter: Exporter, layer: Layer) -> None:
    assert isinstance(layer.options, DenseOptions)
    index = layer.outputs[0]
    w, scale, acc = _weights(exporter, layer)
    weights = exporter.dequantized(f"w{index}", w, scale)
    source = exporter.source(layer.inputs[0])
    if len(exporter.graph.tensors[layer.inputs[0]].shape) != 2:
        source = exporter.node("Flatten", [source], f"t{index}_flat")
    y = exporter.node("Gemm", [source, weights, *_bias(exporter, layer, acc)], f"t{index}_gemm", transB=1)
    exporter.result(index, exporter.activated(index, y, layer.options.activation))


def _window(x: Tensor, kernel: tuple[int, int], options: Conv2DOptions | Pool2DOptions) -> dict[str, list[int]]:
    win = window(x.shape[1], x.shape[2], kernel, options)
    reach_h = (win.out_h - 1) * win.stride_h + (win.kernel_h - 1) * win.dilation_h + 1
    reach_w = (win.out_w - 1) * win.stride_w + (win.kernel_w - 1) * win.dilation_w + 1
    after = max(reach_h - win.pad_top - win.in_h, 0), max(reach_w - win.pad_left - win.in_w, 0)
    return {
        "kernel_shape": [win.kernel_h, win.kernel_w],
        "strides": [win.stride_h, win.stride_w],
        "dilations": [win.dilation_h, win.dilation_w],
        "pads": [win.pad_top, win.pad_left, *after],
    }


def _conv(exporter: Exporter, layer: Layer) -> None:
    options = layer.options
    assert isinstance(options, Conv2DOptions)
    x, _, index = _tensors(exporter, layer)
    w, scale, acc = _weights(exporter, layer)
    depthwise = layer.op == "depthwise_conv2d"
    kernel = w.shape[1], w.shape[2]
    weights = exporter.dequantized(f"w{index}", np.transpose(w, (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)), scale)
    inputs = [exporter.source(layer.inputs[0]), weights, *_bias(exporter, layer, acc)]
    attributes = _window(x, kernel, options) | {"group": x.shape[3] if depthwise else 1}
    y = exporter.node("Conv", inputs, f"t{index}_conv", **attributes)
    exporter.result(index, exporter.activated(index, y, options.activation))


def _pool(exporter: Exporter, layer: Layer) -> None:
    options = layer.options
    assert isinstance(options, Pool2DOptions)
    x, _, index = _tensors(exporter, layer)
    attributes: dict[str, Any] = dict(_window(x, (options.kernel_h, options.kernel_w), options))
    op = "MaxPool"
    if layer.op == "average_pool2d":
        op, attributes = "AveragePool", attributes | {"count_include_pad": 0}
        del attributes["dilations"]
    y = exporter.node(op, [exporter.source(layer.inputs[0])], f"t{index}_pool", **attributes)
    exporter.result(index, exporter.activated(index, y, options.activation))


def _mean(exporter: Exporter, layer: Layer) -> None:
    assert isinstance(layer.options, MeanOptions)
    x, y, index = _tensors(exporter, layer)
    if layer.options.axes != (1, 2) or len(x.shape) != 4:
        raise UnsupportedError(f"mean over {layer.options.axes} of {x.shape} is not converted to ONNX")
    pooled = exporter.node("GlobalAveragePool", [exporter.source(layer.inputs[0])], f"t{index}_mean")
    if len(y.shape) == 2:
        pooled = exporter.node("Flatten", [pooled], f"t{index}_flat")
    exporter.result(index, pooled)


def _elementwise(exporter: Exporter, layer: Layer) -> None:
    options = layer.options
    assert isinstance(options, ElementwiseOptions)
    index = layer.outputs[0]
    if any(exporter.graph.tensors[i].data is not None for i in layer.inputs):
        raise UnsupportedError(f"{layer.op} of a constant is not converted to ONNX")
    y = exporter.node(layer.op.capitalize(), [exporter.source(i) for i in layer.inputs], f"t{index}_{layer.op}")
    exporter.result(index, exporter.activated(index, y, options.activation))


def _reshape(exporter: Exporter, layer: Layer) -> None:
    x, y, index = _tensors(exporter, layer)
    source = exporter.source(layer.inputs[0])
    if len(x.shape) == 4 and x.shape[3] > 1 and x.shape[1] * x.shape[2] > 1:
        source = exporter.node("Transpose", [source], f"t{index}_nhwc", perm=[0, 2, 3, 1])
    shape = exporter.constant(f"t{index}_shape", np.array([-1, *y.shape[1:]], np.int64))
    source = exporter.node("Reshape", [source, shape], f"t{index}_shaped")
    if len(y.shape) == 4:
        source = exporter.node("Transpose", [source], f"t{index}_nchw", perm=[0, 3, 1, 2])
    exporter.result(index, source)


def _softmax(exporter: Exporter, layer: Layer) -> None:
    assert isinstance(layer.options, SoftmaxOptions)
    if layer.options.beta != 1.0 or len(exporter.graph.tensors[layer.inputs[0]].shape) == 4:
        raise UnsupportedError("softmax of an image, or with beta, is not converted to ONNX")
    index = layer.outputs[0]
    exporter.result(index, exporter.node("Softmax", [exporter.source(layer.inputs[0])], f"t{index}_softmax", axis=-1))


def _unary(exporter: Exporter, layer: Layer) -> None:
    index = layer.outputs[0]
    source = exporter.source(layer.inputs[0])
    if layer.op in {"relu", "relu6"}:
        activation = Activation.RELU if layer.op == "relu" else Activation.RELU6
        exporter.result(index, exporter.activated(index, source, activation))
    else:
        op = {"logistic": "Sigmoid", "tanh": "Tanh"}[layer.op]
        exporter.result(index, exporter.node(op, [source], f"t{index}_{layer.op}"))


def _edge(exporter: Exporter, layer: Layer) -> None:
    exporter.result(layer.outputs[0], exporter.source(layer.inputs[0]))


CONVERTERS: dict[str, Callable[[Exporter, Layer], None]] = {
    "dense": _dense,
    "conv2d": _conv,
    "depthwise_conv2d": _conv,
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "mean": _mean,
    "add": _elementwise,
    "sub": _elementwise,
    "mul": _elementwise,
    "reshape": _reshape,
    "softmax": _softmax,
    "relu": _unary,
    "relu6": _unary,
    "logistic": _unary,
    "tanh": _unary,
    "quantize": _edge,
    "dequantize": _edge,
}


def _bring_in(exporter: Exporter, index: int) -> Any:
    """Declare an input; return its description."""
    t = exporter.graph.tensors[index]
    source = "x"
    if len(t.shape) == 4:
        source = exporter.node("Transpose", ["x"], "x_nchw", perm=[0, 3, 1, 2])
    if t.scale is None or t.dtype == np.float32:
        exporter.real[index] = source
    else:
        quantization = exporter.scales("x", t.scale, unsigned_zero(t))
        exporter.real[index] = exporter.node("DequantizeLinear", [source, *quantization], "xf")
    kind = exporter.onnx.helper.np_dtype_to_tensor_dtype(unsigned(t.dtype))
    return exporter.onnx.helper.make_tensor_value_info("x", kind, ["N", *t.shape[1:]])


def _bring_out(exporter: Exporter, index: int) -> tuple[str, Any]:
    """Name and description of the output: codes as the last layer's QuantizeLinear makes them."""
    t = exporter.graph.tensors[index]
    if len(t.shape) == 4:
        raise UnsupportedError("an image as output is not converted to ONNX")
    name = exporter.real[index] if t.dtype == np.float32 else f"t{index}"
    kind = exporter.onnx.helper.np_dtype_to_tensor_dtype(unsigned(t.dtype))
    return name, exporter.onnx.helper.make_tensor_value_info(name, kind, ["N", *t.shape[1:]])


def to_onnx(graph: Graph) -> bytes:
    """Convert a graph with one input and one output.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    bytes
        An ONNX model for any batch, input ``x`` in the graph's own layout.

    Raises
    ------
    UnsupportedError
        If an operator has no converter here; names it.
    ImportError
        If the package onnx is not installed.
    """
    missing = sorted({layer.op for layer in graph.layers} - set(CONVERTERS))
    if missing:
        raise UnsupportedError(f"not converted to ONNX: {', '.join(missing)}")
    exporter = Exporter(graph)
    start = _bring_in(exporter, graph.inputs[0])
    for layer in graph.layers:
        CONVERTERS[layer.op](exporter, layer)
    _, end = _bring_out(exporter, graph.outputs[0])
    helper = exporter.onnx.helper
    made = helper.make_graph(exporter.nodes, "graph", [start], [end], exporter.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    exporter.onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def flipped(codes: NDArray[Any]) -> NDArray[Any]:
    """Int8 codes as uint8 codes and back; anything else as it is."""
    if codes.dtype not in (np.int8, np.uint8):
        return codes
    other = np.uint8 if codes.dtype == np.int8 else np.int8
    return (codes.view(np.uint8) ^ np.uint8(128)).view(other)


def session_call(content: bytes, x: NDArray[Any], threads: int) -> Callable[[], NDArray[Any]]:
    """Return a call of ONNX Runtime for the batch `x`, which it gets as uint8; it returns uint8 as well."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed = {"x": flipped(x)}
    return lambda: np.asarray(session.run(None, feed)[0])
