"""Writes small .tflite files straight from :class:`engine.graph.Graph`, and runs them in TensorFlow's reference kernels.

Independent of ``engine.tflite``: it uses TensorFlow's own object API, so that it can judge that reader and writer too.
Hundreds of files a second, where the converter needs a second for each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import flatbuffers
import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.interpreter import Interpreter, OpResolverType

from engine.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    LeakyReluOptions,
    MeanOptions,
    NoOptions,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)

BUILTIN = {
    "dense": "FULLY_CONNECTED",
    "conv2d": "CONV_2D",
    "max_pool2d": "MAX_POOL_2D",
    "average_pool2d": "AVERAGE_POOL_2D",
    "softmax": "SOFTMAX",
    "reshape": "RESHAPE",
    "relu": "RELU",
    "relu6": "RELU6",
    "relu_n1_to_1": "RELU_N1_TO_1",
    "quantize": "QUANTIZE",
    "dequantize": "DEQUANTIZE",
    "argmax": "ARG_MAX",
    "depthwise_conv2d": "DEPTHWISE_CONV_2D",
    "add": "ADD",
    "sub": "SUB",
    "mul": "MUL",
    "mean": "MEAN",
    "concatenation": "CONCATENATION",
    "pad": "PAD",
    "padv2": "PADV2",
    "logistic": "LOGISTIC",
    "tanh": "TANH",
    "leaky_relu": "LEAKY_RELU",
    "hard_swish": "HARD_SWISH",
}
#: Version that TensorFlow Lite's converter writes for int8 (FULLY_CONNECTED: 12 with scales per channel).
VERSION = {
    "dense": 4,
    "conv2d": 3,
    "max_pool2d": 2,
    "average_pool2d": 2,
    "softmax": 2,
    "quantize": 2,
    "dequantize": 2,
    "argmax": 2,
    "depthwise_conv2d": 3,
    "add": 2,
    "sub": 2,
    "mul": 2,
    "mean": 2,
    "concatenation": 2,
    "pad": 2,
    "padv2": 2,
    "logistic": 2,
    "tanh": 2,
    "leaky_relu": 2,
}
#: Elementwise operators: the options' table in the schema.
ELEMENTWISE = {"add": schema.AddOptionsT, "sub": schema.SubOptionsT, "mul": schema.MulOptionsT}
ACTIVATION = {
    Activation.NONE: schema.ActivationFunctionType.NONE,
    Activation.RELU: schema.ActivationFunctionType.RELU,
    Activation.RELU6: schema.ActivationFunctionType.RELU6,
    Activation.RELU_N1_TO_1: schema.ActivationFunctionType.RELU_N1_TO_1,
}
PADDING = {Padding.SAME: schema.Padding.SAME, Padding.VALID: schema.Padding.VALID}
DTYPE = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "float32": schema.TensorType.FLOAT32,
}


def tensor(
    shape: Sequence[int],
    scale: float | NDArray[np.float32] | None = None,
    zero: int = 0,
    *,
    dtype: str = "int8",
    data: NDArray | None = None,
    axis: int = 0,
    name: str = "",
) -> Tensor:
    """Make a :class:`Tensor`; `scale` may be a number."""
    scales = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
    return Tensor(name, tuple(int(n) for n in shape), np.dtype(dtype), scales, zero, axis, data)


def single(op: str, tensors: Sequence[Tensor], options: object = NoOptions()) -> Graph:
    """Make a graph of one operator: the last tensor comes out; of the others, those without data go in."""
    last = len(tensors) - 1
    layer = Layer(op, op, tuple(range(last)), (last,), options)  # type: ignore[arg-type]
    inputs = tuple(i for i, t in enumerate(tensors[:last]) if t.data is None)
    return Graph(op, tuple(tensors), (layer,), inputs, (last,))


def _quantization(t: Tensor) -> schema.QuantizationParametersT | None:
    if t.scale is None:
        return None
    q = schema.QuantizationParametersT()
    q.scale = t.scale.astype(np.float32)
    q.zeroPoint = np.full(t.scale.size, t.zero_point, np.int64)
    q.quantizedDimension = t.axis
    return q


def _depthwise_options(o: Conv2DOptions, weights: Tensor, x: Tensor) -> tuple[int, object]:
    d = schema.DepthwiseConv2DOptionsT()
    d.padding, d.strideH, d.strideW = PADDING[o.padding], o.stride_h, o.stride_w
    d.dilationHFactor, d.dilationWFactor = o.dilation_h, o.dilation_w
    d.fusedActivationFunction, d.depthMultiplier = ACTIVATION[o.activation], weights.shape[3] // x.shape[3]
    return schema.BuiltinOptions.DepthwiseConv2DOptions, d


def _join_options(layer: Layer) -> tuple[int, object] | None:
    o = layer.options
    if isinstance(o, ElementwiseOptions):
        e = ELEMENTWISE[layer.op]()
        e.fusedActivationFunction = ACTIVATION[o.activation]
        return getattr(schema.BuiltinOptions, type(e).__name__[:-1]), e
    if isinstance(o, ConcatenationOptions):
        c = schema.ConcatenationOptionsT()
        c.axis, c.fusedActivationFunction = o.axis, ACTIVATION[o.activation]
        return schema.BuiltinOptions.ConcatenationOptions, c
    if isinstance(o, MeanOptions):
        m = schema.ReducerOptionsT()
        m.keepDims = o.keep_dims
        return schema.BuiltinOptions.ReducerOptions, m
    if isinstance(o, LeakyReluOptions):
        r = schema.LeakyReluOptionsT()
        r.alpha = o.alpha
        return schema.BuiltinOptions.LeakyReluOptions, r
    return None


def _options(layer: Layer, graph: Graph) -> tuple[int, object]:
    o = layer.options
    if layer.op == "depthwise_conv2d" and isinstance(o, Conv2DOptions):
        return _depthwise_options(o, graph.tensors[layer.inputs[1]], graph.tensors[layer.inputs[0]])
    if (join := _join_options(layer)) is not None:
        return join
    if isinstance(o, DenseOptions):
        d = schema.FullyConnectedOptionsT()
        d.fusedActivationFunction, d.keepNumDims = ACTIVATION[o.activation], o.keep_num_dims
        return schema.BuiltinOptions.FullyConnectedOptions, d
    if isinstance(o, Conv2DOptions):
        c = schema.Conv2DOptionsT()
        c.padding, c.strideH, c.strideW = PADDING[o.padding], o.stride_h, o.stride_w
        c.dilationHFactor, c.dilationWFactor = o.dilation_h, o.dilation_w
        c.fusedActivationFunction = ACTIVATION[o.activation]
        return schema.BuiltinOptions.Conv2DOptions, c
    if isinstance(o, Pool2DOptions):
        p = schema.Pool2DOptionsT()
        p.padding, p.strideH, p.strideW = PADDING[o.padding], o.stride_h, o.stride_w
        p.filterHeight, p.filterWidth = o.kernel_h, o.kernel_w
        p.fusedActivationFunction = ACTIVATION[o.activation]
        return schema.BuiltinOptions.Pool2DOptions, p
    if isinstance(o, SoftmaxOptions):
        s = schema.SoftmaxOptionsT()
        s.beta = o.beta
        return schema.BuiltinOptions.SoftmaxOptions, s
    if layer.op == "argmax":
        a = schema.ArgMaxOptionsT()
        a.outputType = schema.TensorType.INT32
        return schema.BuiltinOptions.ArgMaxOptions, a
    return schema.BuiltinOptions.NONE, None


def _operator_code(layer: Layer, graph: Graph) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, BUILTIN[layer.op])
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = VERSION.get(layer.op, 1)
    if layer.op == "dense" and (scale := graph.tensors[layer.inputs[1]].scale) is not None and scale.size > 1:
        code.version = 12
    return code


def to_tflite(graph: Graph) -> bytes:
    """Serialize `graph` with TensorFlow's object API."""
    model = schema.ModelT()
    model.version, model.description = 3, graph.name
    model.buffers = [schema.BufferT()]
    subgraph = schema.SubGraphT()
    subgraph.name, subgraph.tensors, subgraph.operators, model.operatorCodes = "main", [], [], []
    for index, t in enumerate(graph.tensors):
        s = schema.TensorT()
        s.name, s.shape, s.type = t.name or f"t{index}", np.asarray(t.shape, np.int32), DTYPE[t.dtype.name]
        s.quantization, s.buffer = _quantization(t), 0
        if t.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(t.data).tobytes(), np.uint8)
            s.buffer = len(model.buffers)
            model.buffers.append(buffer)
        subgraph.tensors.append(s)
    for index, layer in enumerate(graph.layers):
        model.operatorCodes.append(_operator_code(layer, graph))
        operator = schema.OperatorT()
        operator.opcodeIndex = index
        operator.inputs, operator.outputs = np.asarray(layer.inputs, np.int32), np.asarray(layer.outputs, np.int32)
        operator.builtinOptionsType, operator.builtinOptions = _options(layer, graph)
        subgraph.operators.append(operator)
    subgraph.inputs, subgraph.outputs = np.asarray(graph.inputs, np.int32), np.asarray(graph.outputs, np.int32)
    model.subgraphs = [subgraph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Judge:
    """TensorFlow Lite's reference kernels (BUILTIN_REF) on a graph or on the bytes of a .tflite file.

    Batches: a leading dimension that is a multiple of the model's (1) runs the model once for each part.
    """

    def __init__(self, model: Graph | bytes) -> None:
        content = model if isinstance(model, bytes) else to_tflite(model)
        self._interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        self._interpreter.allocate_tensors()
        self._inputs = self._interpreter.get_input_details()
        self._x = self._inputs[0]
        self._y = self._interpreter.get_output_details()[0]

    def run(self, x: NDArray, *others: NDArray) -> NDArray:
        """Outputs of the model for the batch `x` of shape [N, ...], and as many of its other inputs, concatenated."""
        out = []
        batches = [a.reshape(-1, *t["shape"]) for a, t in zip((x, *others), self._inputs, strict=True)]
        for parts in zip(*batches, strict=True):
            for part, t in zip(parts, self._inputs, strict=True):
                self._interpreter.set_tensor(t["index"], part)
            self._interpreter.invoke()
            out.append(self._interpreter.get_tensor(self._y["index"]))
        return np.concatenate(out) if out[0].ndim else np.asarray(out)
