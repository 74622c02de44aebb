"""Writing a graph as a TensorFlow Lite file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import flatbuffers
import numpy as np

from engine.graph import (
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    LeakyReluOptions,
    MeanOptions,
    Padding,
    PadOptions,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.tflite.schema import (
    ACTIVATIONS,
    DTYPES,
    IDENTIFIER,
    LAYER_NAMES_METADATA,
    NAME_OF_OPERATOR,
    OPERATOR_NAMES,
    OPTIONS_TYPE,
    PADDINGS,
    SCHEMA_VERSION,
    ArgMaxField,
    BufferField,
    ConcatenationField,
    Conv2DField,
    DenseField,
    DepthwiseConv2DField,
    ElementwiseField,
    LeakyReluField,
    MetadataField,
    ModelField,
    OperatorCodeField,
    OperatorField,
    OptionsType,
    Pool2DField,
    QuantizationField,
    ReducerField,
    ReshapeField,
    SoftmaxField,
    SubGraphField,
    TensorField,
)
from engine.validate import validate

DESCRIPTION = "engine"
#: TensorFlow Lite maps files into memory and reads contents in place.
CONTENTS_ALIGNMENT = 16
#: The deprecated field for operator codes is a byte; larger codes put this into it.
PLACEHOLDER_CODE = 127

_TYPE_CODES = {dtype: code for code, dtype in DTYPES.items()}
_ACTIVATION_CODES = {activation: code for code, activation in ACTIVATIONS.items()}
_PADDING_CODES: dict[Padding, int] = {padding: code for code, padding in PADDINGS.items()}
INT32 = np.dtype(np.int32)


def write(graph: Graph) -> bytes:
    """Write a graph as a TensorFlow Lite file.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    bytes
        The same for equal graphs. Runs in TensorFlow Lite with the bytes that :class:`engine.model.Model` gives; reading
        it gives an equal graph. If every activation begins with the batch dimension, the batch is written as free.
        Layer names, which the format has no place for, go into a metadata entry.

    Raises
    ------
    FormatError, UnsupportedError, QuantError
        See :func:`engine.validate.validate`.
    """
    validate(graph)
    return _Writer(graph).file()


@dataclass(frozen=True)
class _Stored:
    """A tensor as it will be stored; `buffer` is its index, 0 for none."""

    tensor: Tensor
    buffer: int


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._builder = flatbuffers.Builder(1024)
        self._buffers: list[bytes] = [b""]  # buffer 0 is the empty one, by convention
        self._free_batch = all(t.data is not None or t.shape[:1] == (1,) for t in graph.tensors)
        self._tensors = [_Stored(tensor, self._contents(tensor)) for tensor in graph.tensors]
        self._codes: list[tuple[int, int]] = []

    def file(self) -> bytes:
        b = self._builder
        # Operators first: they add the constants that the format wants as tensors.
        operators = self._vector([self._operator(layer) for layer in self._graph.layers])
        tensors = self._vector([self._tensor(stored) for stored in self._tensors])
        inputs, outputs = self._ints(self._graph.inputs), self._ints(self._graph.outputs)
        name = b.CreateString(self._graph.name)
        subgraph = self._table(
            5,
            (SubGraphField.TENSORS, "offset", tensors),
            (SubGraphField.INPUTS, "offset", inputs),
            (SubGraphField.OUTPUTS, "offset", outputs),
            (SubGraphField.OPERATORS, "offset", operators),
            (SubGraphField.NAME, "offset", name),
        )
        subgraphs = self._vector([subgraph])
        metadata = self._metadata()
        codes = self._vector([self._operator_code(*code) for code in self._codes])
        buffers = self._vector([self._buffer(contents) for contents in self._buffers])
        description = b.CreateString(DESCRIPTION)
        model = self._table(
            7,
            (ModelField.VERSION, "Uint32", SCHEMA_VERSION),
            (ModelField.OPERATOR_CODES, "offset", codes),
            (ModelField.SUBGRAPHS, "offset", subgraphs),
            (ModelField.DESCRIPTION, "offset", description),
            (ModelField.BUFFERS, "offset", buffers),
            (ModelField.METADATA, "offset", metadata),
        )
        b.Finish(model, IDENTIFIER)
        return bytes(b.Output())

    # -- flatbuffer parts

    def _table(self, fields: int, *values: tuple[int, str, int | float | bool]) -> int:
        """Write a table; a value is (slot, type, value), where the type is a flatbuffers name or "offset"."""
        b = self._builder
        b.StartObject(fields)
        for slot, kind, value in values:
            if kind != "offset":
                getattr(b, f"Prepend{kind}")(value)
                b.Slot(slot)
            elif value:
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(b.EndObject())

    def _vector(self, offsets: Sequence[int]) -> int:
        b = self._builder
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return int(b.EndVector())

    def _ints(self, values: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.asarray(values, np.int32)))

    # -- the model's parts

    def _contents(self, tensor: Tensor) -> int:
        """Buffer for a tensor: each constant has its own; activations share the empty one."""
        if tensor.data is None:
            return 0
        self._buffers.append(np.ascontiguousarray(tensor.data, tensor.dtype.newbyteorder("<")).tobytes())
        return len(self._buffers) - 1

    def _buffer(self, contents: bytes) -> int:
        b = self._builder
        if not contents:
            return self._table(3)
        b.StartVector(1, len(contents), CONTENTS_ALIGNMENT)
        b.head -= len(contents)
        b.Bytes[b.head : b.head + len(contents)] = contents
        vector = b.EndVector()
        return self._table(3, (BufferField.DATA, "offset", vector))

    def _tensor(self, stored: _Stored) -> int:
        tensor = stored.tensor
        shape = self._ints(tensor.shape)
        signature = 0
        if self._free_batch and tensor.data is None:
            signature = self._ints((-1, *tensor.shape[1:]))
        name = self._builder.CreateString(tensor.name)
        return self._table(
            9,
            (TensorField.SHAPE, "offset", shape),
            (TensorField.TYPE, "Int8", _TYPE_CODES[tensor.dtype]),
            (TensorField.BUFFER, "Uint32", stored.buffer),
            (TensorField.NAME, "offset", name),
            (TensorField.QUANTIZATION, "offset", self._quantization(tensor)),
            (TensorField.SHAPE_SIGNATURE, "offset", signature),
            (TensorField.HAS_RANK, "Bool", True),
        )

    def _quantization(self, tensor: Tensor) -> int:
        if tensor.scale is None:
            return 0
        zero_points = np.full(tensor.scale.size, tensor.zero_point, np.int64)
        scale = int(self._builder.CreateNumpyVector(tensor.scale.astype(np.float32)))
        zero = int(self._builder.CreateNumpyVector(zero_points))
        return self._table(
            7,
            (QuantizationField.SCALE, "offset", scale),
            (QuantizationField.ZERO_POINT, "offset", zero),
            (QuantizationField.QUANTIZED_DIMENSION, "Int32", tensor.axis),
        )

    def _operator(self, layer: Layer) -> int:
        index = self._code_index(layer)
        inputs = self._ints(self._stored_inputs(layer))
        outputs = self._ints(layer.outputs)
        maker = _OPTIONS.get(layer.op)
        kind = OPTIONS_TYPE.get(_name(layer), OptionsType.NONE)
        options = maker(self, layer) if maker else self._table(0) if kind else 0
        return self._table(
            5,
            (OperatorField.OPCODE_INDEX, "Uint32", index),
            (OperatorField.INPUTS, "offset", inputs),
            (OperatorField.OUTPUTS, "offset", outputs),
            (OperatorField.BUILTIN_OPTIONS_TYPE, "Uint8", kind),
            (OperatorField.BUILTIN_OPTIONS, "offset", options),
        )

    def _stored_inputs(self, layer: Layer) -> tuple[int, ...]:
        if layer.op == "reshape":
            return (*layer.inputs, self._constant(f"{layer.name}/shape", self._target_shape(layer)))
        if layer.op == "argmax":
            axis = len(self._graph.tensors[layer.inputs[0]].shape) - 1
            return (*layer.inputs, self._constant(f"{layer.name}/axis", axis))
        if isinstance(layer.options, MeanOptions):
            return (*layer.inputs, self._constant(f"{layer.name}/axes", layer.options.axes))
        if isinstance(layer.options, PadOptions):
            return self._pad_inputs(layer, layer.options)
        return layer.inputs

    def _pad_inputs(self, layer: Layer, options: PadOptions) -> tuple[int, ...]:
        inputs = (*layer.inputs, self._constant(f"{layer.name}/paddings", options.paddings))
        if options.value is None:
            return inputs
        x = self._graph.tensors[layer.inputs[0]]
        value = np.asarray(options.value, x.dtype)
        return (*inputs, self._stored(replace(x, name=f"{layer.name}/value", shape=(), data=value)))

    def _target_shape(self, layer: Layer) -> tuple[int, ...]:
        shape = self._graph.tensors[layer.outputs[0]].shape
        return (-1, *shape[1:]) if self._free_batch else shape

    def _constant(self, name: str, values: int | Sequence[int] | Sequence[Sequence[int]]) -> int:
        data = np.asarray(values, np.int32)
        return self._stored(Tensor(name, data.shape, INT32, data=data))

    def _stored(self, tensor: Tensor) -> int:
        self._tensors.append(_Stored(tensor, self._contents(tensor)))
        return len(self._tensors) - 1

    def _code_index(self, layer: Layer) -> int:
        code = OPERATOR_NAMES.index(_name(layer)), _version(layer, self._graph)
        if code not in self._codes:
            self._codes.append(code)
        return self._codes.index(code)

    def _operator_code(self, code: int, version: int) -> int:
        return self._table(
            4,
            (OperatorCodeField.DEPRECATED_BUILTIN_CODE, "Int8", min(code, PLACEHOLDER_CODE)),
            (OperatorCodeField.VERSION, "Int32", version),
            (OperatorCodeField.BUILTIN_CODE, "Int32", code),
        )

    def _metadata(self) -> int:
        names = [layer.name for layer in self._graph.layers]
        if names == [f"{layer.op}_{index}" for index, layer in enumerate(self._graph.layers)]:
            return 0
        self._buffers.append("\n".join(names).encode())
        name = self._builder.CreateString(LAYER_NAMES_METADATA)
        entry = self._table(2, (MetadataField.NAME, "offset", name), (MetadataField.BUFFER, "Uint32", len(self._buffers) - 1))
        return self._vector([entry])

    def _dense(self, layer: Layer) -> int:
        options = layer.options
        assert isinstance(options, DenseOptions)
        return self._table(
            5,
            (DenseField.ACTIVATION, "Int8", _ACTIVATION_CODES[options.activation]),
            (DenseField.KEEP_NUM_DIMS, "Bool", options.keep_num_dims),
        )

    def _conv2d(self, layer: Layer) -> int:
        options = layer.options
        assert isinstance(options, Conv2DOptions)
        return self._table(
            7,
            (Conv2DField.PADDING, "Int8", _PADDING_CODES[options.padding]),
            (Conv2DField.STRIDE_W, "Int32", options.stride_w),
            (Conv2DField.STRIDE_H, "Int32", options.stride_h),
            (Conv2DField.ACTIVATION, "Int8", _ACTIVATION_CODES[options.activation]),
            (Conv2DField.DILATION_W, "Int32", options.dilation_w),
            (Conv2DField.DILATION_H, "Int32", options.dilation_h),
        )

    def _depthwise_conv2d(self, layer: Layer) -> int:
        options = layer.options
        assert isinstance(options, Conv2DOptions)
        x, w = (self._graph.tensors[i] for i in layer.inputs[:2])
        field = DepthwiseConv2DField
        return self._table(
            7,
            (field.PADDING, "Int8", _PADDING_CODES[options.padding]),
            (field.STRIDE_W, "Int32", options.stride_w),
            (field.STRIDE_H, "Int32", options.stride_h),
            (field.DEPTH_MULTIPLIER, "Int32", w.shape[3] // x.shape[3]),
            (field.ACTIVATION, "Int8", _ACTIVATION_CODES[options.activation]),
            (field.DILATION_W, "Int32", options.dilation_w),
            (field.DILATION_H, "Int32", options.dilation_h),
        )

    def _pool2d(self, layer: Layer) -> int:
        options = layer.options
        assert isinstance(options, Pool2DOptions)
        return self._table(
            6,
            (Pool2DField.PADDING, "Int8", _PADDING_CODES[options.padding]),
            (Pool2DField.STRIDE_W, "Int32", options.stride_w),
            (Pool2DField.STRIDE_H, "Int32", options.stride_h),
            (Pool2DField.KERNEL_W, "Int32", options.kernel_w),
            (Pool2DField.KERNEL_H, "Int32", options.kernel_h),
            (Pool2DField.ACTIVATION, "Int8", _ACTIVATION_CODES[options.activation]),
        )

    def _softmax(self, layer: Layer) -> int:
        assert isinstance(layer.options, SoftmaxOptions)
        return self._table(1, (SoftmaxField.BETA, "Float32", layer.options.beta))

    def _reshape(self, layer: Layer) -> int:
        return self._table(1, (ReshapeField.NEW_SHAPE, "offset", self._ints(self._target_shape(layer))))

    def _argmax(self, layer: Layer) -> int:
        dtype = self._graph.tensors[layer.outputs[0]].dtype
        return self._table(1, (ArgMaxField.OUTPUT_TYPE, "Int8", _TYPE_CODES[dtype]))

    def _elementwise(self, layer: Layer) -> int:
        assert isinstance(layer.options, ElementwiseOptions)
        return self._table(2, (ElementwiseField.ACTIVATION, "Int8", _ACTIVATION_CODES[layer.options.activation]))

    def _mean(self, layer: Layer) -> int:
        assert isinstance(layer.options, MeanOptions)
        return self._table(1, (ReducerField.KEEP_DIMS, "Bool", layer.options.keep_dims))

    def _concatenation(self, layer: Layer) -> int:
        options = layer.options
        assert isinstance(options, ConcatenationOptions)
        return self._table(
            2,
            (ConcatenationField.AXIS, "Int32", options.axis),
            (ConcatenationField.ACTIVATION, "Int8", _ACTIVATION_CODES[options.activation]),
        )

    def _leaky_relu(self, layer: Layer) -> int:
        assert isinstance(layer.options, LeakyReluOptions)
        return self._table(1, (LeakyReluField.ALPHA, "Float32", layer.options.alpha))


_OPTIONS: dict[str, Callable[[_Writer, Layer], int]] = {
    "dense": _Writer._dense,
    "conv2d": _Writer._conv2d,
    "depthwise_conv2d": _Writer._depthwise_conv2d,
    "max_pool2d": _Writer._pool2d,
    "average_pool2d": _Writer._pool2d,
    "softmax": _Writer._softmax,
    "reshape": _Writer._reshape,
    "argmax": _Writer._argmax,
    "leaky_relu": _Writer._leaky_relu,
    "add": _Writer._elementwise,
    "sub": _Writer._elementwise,
    "mul": _Writer._elementwise,
    "mean": _Writer._mean,
    "concatenation": _Writer._concatenation,
}


def _name(layer: Layer) -> str:
    """TensorFlow Lite's name of the operator."""
    padded = isinstance(layer.options, PadOptions) and layer.options.value is not None
    return "PADV2" if padded else NAME_OF_OPERATOR[layer.op]


#: Oldest version of each operator with an int8 kernel; TensorFlow Lite refuses versions newer than itself.
_VERSIONS = {
    "conv2d": 3,
    "depthwise_conv2d": 3,
    "max_pool2d": 2,
    "average_pool2d": 2,
    "softmax": 2,
    "reshape": 1,
    "relu": 2,
    "relu6": 2,
    "relu_n1_to_1": 1,
    "dequantize": 2,
    "argmax": 2,
    "leaky_relu": 2,
    "hard_swish": 1,
    "logistic": 2,
    "tanh": 2,
    "add": 2,
    "sub": 2,
    "mul": 2,
    "mean": 2,
    "concatenation": 2,
    "pad": 2,
}


def _version(layer: Layer, graph: Graph) -> int:
    if layer.op == "dense":
        assert isinstance(layer.options, DenseOptions)
        scale = graph.tensors[layer.inputs[1]].scale
        if scale is not None and scale.size > 1:
            return 12  # runtimes without scales per channel took the first for all: make them refuse instead
        if layer.inputs[2] < 0:
            return 6
        return 5 if layer.options.keep_num_dims else 4
    if layer.op == "quantize":
        return 1 if graph.tensors[layer.inputs[0]].dtype == np.float32 else 2
    return _VERSIONS[layer.op]
