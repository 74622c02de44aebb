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
    Conv2DOptions,
    DenseOptions,
    Graph,
    Layer,
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
}
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
    """Make a graph of one operator: the first tensor goes in, the last comes out, those between are constants."""
    last = len(tensors) - 1
    layer = Layer(op, op, tuple(range(last)), (last,), options)  # type: ignore[arg-type]
    return Graph(op, tuple(tensors), (layer,), (0,), (last,))


def _quantization(t: Tensor) -> schema.QuantizationParametersT | None:
    if t.scale is None:
        return None
    q = schema.QuantizationParametersT()
    q.scale = t.scale.astype(np.float32)
    q.zeroPoint = np.full(t.scale.size, t.zero_point, np.int64)
    q.quantizedDimension = t.axis
    return q


def _options(layer: Layer) -> tuple[int, object]:
    o = layer.options
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
        operator.builtinOptionsType, operator.builtinOptions = _options(layer)
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
        self._x = self._interpreter.get_input_details()[0]
        self._y = self._interpreter.get_output_details()[0]

    def run(self, x: NDArray) -> NDArray:
        """Outputs of the model for the batch `x` of shape [N, ...], concatenated."""
        out = []
        for part in x.reshape(-1, *self._x["shape"]):
            self._interpreter.set_tensor(self._x["index"], part)
            self._interpreter.invoke()
            out.append(self._interpreter.get_tensor(self._y["index"]))
        return np.concatenate(out) if out[0].ndim else np.asarray(out)
