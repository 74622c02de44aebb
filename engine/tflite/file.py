"""The parts of a TensorFlow Lite file that matter here, read and checked one by one, before they are understood as a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError, UnsupportedError
from engine.graph import Options, Tensor
from engine.tflite import flat
from engine.tflite.flat import Table
from engine.tflite.schema import (
    DTYPES,
    IDENTIFIER,
    LAYER_NAMES_METADATA,
    OPERATOR_NAMES,
    SCHEMA_VERSION,
    TYPE_NAMES,
    BufferField,
    MetadataField,
    ModelField,
    OperatorCodeField,
    OperatorField,
    OptionsType,
    QuantizationField,
    SubGraphField,
    TensorField,
)

#: Offsets in a flatbuffer are signed 32-bit numbers.
MAX_FILE = (1 << 31) - 1
MAX_RANK = 8


@dataclass(frozen=True)
class Operator:
    """One operator as stored: `index` in the file, `name` of TensorFlow Lite, tensors by index, -1 where one is absent.

    `replaced` are options that stand in for those of the file, in an operator that was put together from several.
    """

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None
    replaced: Options | None = None

    @property
    def what(self) -> str:
        """Name for messages."""
        return f"operator {self.index} ({self.name})"


class File:
    """A TensorFlow Lite file; only its first subgraph is looked at.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    FormatError
        If the file is not a TensorFlow Lite model of schema version 3, is truncated, or is garbled.
    """

    def __init__(self, data: bytes) -> None:
        _check_header(data)
        self._data = data
        self._model = flat.root(data, "model")
        version = self._model.number(ModelField.VERSION, "I", 0)
        if version != SCHEMA_VERSION:
            raise FormatError(f"schema version is {version}; expected {SCHEMA_VERSION}")
        subgraphs = self._model.tables(ModelField.SUBGRAPHS, "subgraphs")
        if not subgraphs:
            raise FormatError("the model has no subgraph")
        self._buffers = self._model.tables(ModelField.BUFFERS, "buffers")
        self._graph = subgraphs[0]
        self._tensors = self._graph.tables(SubGraphField.TENSORS, "tensors")
        self.name = self._graph.string(SubGraphField.NAME, "name")
        self.inputs = self._indices(self._graph, SubGraphField.INPUTS, "inputs")
        self.outputs = self._indices(self._graph, SubGraphField.OUTPUTS, "outputs")
        self.operators = self._read_operators()
        self._settled: dict[int, tuple[int, ...]] = {}

    def _indices(self, table: Table, slot: int, name: str, *, optional: bool = False) -> tuple[int, ...]:
        indices = tuple(int(i) for i in table.array(slot, "<i4", name))
        lowest = -1 if optional else 0
        for i in indices:
            if not lowest <= i < len(self._tensors):
                raise FormatError(f"{table.what}.{name}: there is no tensor {i}; the subgraph has {len(self._tensors)}")
        return indices

    def _read_operators(self) -> tuple[Operator, ...]:
        names = [_operator_name(code) for code in self._model.tables(ModelField.OPERATOR_CODES, "operator_codes")]
        operators = []
        for index, table in enumerate(self._graph.tables(SubGraphField.OPERATORS, "operators")):
            opcode = table.number(OperatorField.OPCODE_INDEX, "I", 0)
            if opcode >= len(names):
                raise FormatError(f"{table.what}: there is no operator code {opcode}; the file has {len(names)}")
            inputs = self._indices(table, OperatorField.INPUTS, "inputs", optional=True)
            outputs = self._indices(table, OperatorField.OUTPUTS, "outputs")
            options = table.table(OperatorField.BUILTIN_OPTIONS, "builtin_options")
            kind = table.number(OperatorField.BUILTIN_OPTIONS_TYPE, "B", OptionsType.NONE)
            if (kind == OptionsType.NONE) != (options is None):
                raise FormatError(f"{table.what}: options of type {kind} do not fit what is stored")
            operators.append(Operator(index, names[opcode], inputs, outputs, kind, options))
        return tuple(operators)

    def type_name(self, index: int) -> str:
        """Element type of a tensor, by name."""
        code: int = self._tensors[index].number(TensorField.TYPE, "b", 0)
        if not 0 <= code < len(TYPE_NAMES):
            raise FormatError(f"{self._tensors[index].what}: there is no element type {code}")
        return TYPE_NAMES[code]

    def tensor_name(self, index: int) -> str:
        """Name of a tensor for messages."""
        name = self._tensors[index].string(TensorField.NAME, "name")
        return f"tensor {index} {name!r}" if name else f"tensor {index}"

    def is_open(self, index: int) -> bool:
        """Whether the file leaves open more of a tensor's shape than the batch, and nothing has settled it."""
        return index not in self._settled and -1 in self._signature(index)[1:]

    def has_free_batch(self, index: int) -> bool:
        """Whether the file leaves open a tensor's first dimension."""
        return self._signature(index)[:1] == (-1,)

    def is_settled(self, index: int) -> bool:
        """Whether :meth:`settle` was told a tensor's shape."""
        return index in self._settled

    def settle(self, index: int, shape: tuple[int, ...]) -> None:
        """Give an activation a shape in place of the file's."""
        self._settled[index] = shape

    def _signature(self, index: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self._tensors[index].array(TensorField.SHAPE_SIGNATURE, "<i4", "shape_signature"))

    def is_constant(self, index: int) -> bool:
        """Whether a tensor has contents in the file."""
        return len(self._contents(self._tensors[index])) > 0

    def tensor(self, index: int) -> Tensor:
        """Read one tensor with its quantization and contents.

        Raises
        ------
        FormatError
            If its shape, buffer or quantization is garbled.
        UnsupportedError
            If it is of a kind that has no counterpart here.
        """
        table = self._tensors[index]
        what = f"{table.what} {table.string(TensorField.NAME, 'name')!r}"
        code = TYPE_NAMES.index(self.type_name(index))
        if code not in DTYPES:
            supported = ", ".join(str(dtype) for dtype in DTYPES.values())
            raise UnsupportedError(f"{what}: element type {TYPE_NAMES[code]} is not supported; supported are {supported}")
        _refuse_special(table, what)
        shape = self._settled[index] if index in self._settled else _shape(table, what)
        scale, zero_point, axis = _quantization(table, shape, what)
        contents = self._contents(table)
        data = _constant(contents, DTYPES[code], shape, table) if contents else None
        name = table.string(TensorField.NAME, "name")
        return Tensor(name, shape, DTYPES[code], scale, zero_point, axis, data)

    def _contents(self, table: Table) -> memoryview:
        """Bytes of a tensor's buffer, inside the flatbuffer or behind it; empty for an activation."""
        number: int = table.number(TensorField.BUFFER, "I", 0)
        if number >= len(self._buffers):
            raise FormatError(f"{table.what}: there is no buffer {number}; the file has {len(self._buffers)}")
        buffer = self._buffers[number]
        start = buffer.number(BufferField.OFFSET, "Q", 0)
        if start > 1:  # 0 and 1 stand for "inside"
            size = buffer.number(BufferField.SIZE, "Q", 0)
            if start + size > len(self._data):
                raise FormatError(f"{buffer.what}: {size} bytes at {start} lie outside the file of {len(self._data)} bytes")
            return memoryview(self._data)[start : start + size]
        return buffer.contents(BufferField.DATA, "data")

    def layer_names(self) -> tuple[str, ...]:
        """Layer names that :func:`engine.tflite.write` stored, or none."""
        for entry in self._model.tables(ModelField.METADATA, "metadata"):
            if entry.string(MetadataField.NAME, "name") != LAYER_NAMES_METADATA:
                continue
            number = entry.number(MetadataField.BUFFER, "I", 0)
            if number >= len(self._buffers):
                raise FormatError(f"{entry.what}: there is no buffer {number}; the file has {len(self._buffers)}")
            return tuple(self._buffers[number].string(BufferField.DATA, "data").split("\n"))
        return ()


def _check_header(data: bytes) -> None:
    if data[4:8] != IDENTIFIER:
        found = bytes(data[4:8])
        hint = " (a .keras file or another archive: convert it first)" if data[:2] == b"PK" else ""
        raise FormatError(f"not a TensorFlow Lite file{hint}: bytes 4 to 7 are {found!r}, expected {IDENTIFIER!r}")
    if len(data) > MAX_FILE:
        raise FormatError(f"{len(data)} bytes; a flatbuffer has at most {MAX_FILE}")


def _operator_name(code: Table) -> str:
    number = max(
        code.number(OperatorCodeField.DEPRECATED_BUILTIN_CODE, "b", 0), code.number(OperatorCodeField.BUILTIN_CODE, "i", 0)
    )
    if not 0 <= number < len(OPERATOR_NAMES):
        return f"operator code {number}"
    name = OPERATOR_NAMES[number]
    return f"CUSTOM {code.string(OperatorCodeField.CUSTOM_CODE, 'custom_code')!r}" if name == "CUSTOM" else name


def _refuse_special(table: Table, what: str) -> None:
    if table.number(TensorField.IS_VARIABLE, "?", False):
        raise UnsupportedError(f"{what}: a variable tensor (state between runs) is not supported")
    if table.table(TensorField.SPARSITY, "sparsity") is not None:
        raise UnsupportedError(f"{what}: sparse storage is not supported; convert without sparsity compression")
    if table.number(TensorField.EXTERNAL_BUFFER, "I", 0):
        raise UnsupportedError(f"{what}: contents in another file are not supported; convert to one file")


def _shape(table: Table, what: str) -> tuple[int, ...]:
    shape = tuple(int(n) for n in table.array(TensorField.SHAPE, "<i4", "shape"))
    signature = tuple(int(n) for n in table.array(TensorField.SHAPE_SIGNATURE, "<i4", "shape_signature"))
    if len(shape) > MAX_RANK:
        raise FormatError(f"{what}: {len(shape)} dimensions; at most {MAX_RANK} are possible")
    if any(n < 1 for n in shape):
        raise FormatError(f"{what}: shape {shape} has a dimension below 1")
    if signature and len(signature) != len(shape):
        raise FormatError(f"{what}: shape {shape} and shape signature {signature} differ in rank")
    for axis, n in enumerate(signature):
        if n == -1 and axis > 0:
            raise UnsupportedError(f"{what}: dimension {axis} of {signature} is free; only the batch dimension may be")
        if n not in (-1, shape[axis]):
            raise FormatError(f"{what}: shape {shape} and shape signature {signature} differ")
    return shape


def _quantization(table: Table, shape: tuple[int, ...], what: str) -> tuple[NDArray[np.float32] | None, int, int]:
    """Scale, zero point and axis."""
    quantization = table.table(TensorField.QUANTIZATION, "quantization")
    if quantization is None:
        return None, 0, 0
    if quantization.number(QuantizationField.DETAILS_TYPE, "B", 0):
        raise UnsupportedError(f"{what}: custom or blockwise quantization is not supported; convert to per-channel int8")
    scale = quantization.array(QuantizationField.SCALE, "<f4", "scale").astype(np.float32)
    zero_points = quantization.array(QuantizationField.ZERO_POINT, "<i8", "zero_point")
    axis = quantization.number(QuantizationField.QUANTIZED_DIMENSION, "i", 0)
    if scale.size == 0:
        return None, 0, 0
    if not np.all(np.isfinite(scale) & (scale > 0)):
        raise FormatError(f"{what}: a quantization scale is not a finite number above 0")
    if zero_points.size not in (0, 1, scale.size) or np.any(zero_points != zero_points[:1]):
        raise UnsupportedError(f"{what}: {zero_points.size} zero points for {scale.size} scales; expected the same one for all")
    if scale.size == 1:
        axis = 0
    elif not 0 <= axis < len(shape) or shape[axis] != scale.size:
        raise FormatError(f"{what}: {scale.size} scales do not fit dimension {axis} of shape {shape}")
    zero_point = int(zero_points[0]) if zero_points.size else 0
    if not -(1 << 31) <= zero_point < 1 << 31:
        raise FormatError(f"{what}: zero point {zero_point} does not fit int32")
    scale.flags.writeable = False
    return scale, zero_point, axis


def _constant(contents: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], table: Table) -> NDArray[Any]:
    size = math.prod(shape) * dtype.itemsize
    if len(contents) != size:
        what = f"{table.what} {table.string(TensorField.NAME, 'name')!r}"
        raise FormatError(f"{what}: {dtype}{list(shape)} takes {size} bytes, its buffer has {len(contents)}")
    data: NDArray[Any] = np.frombuffer(contents, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    if not data.flags.aligned:
        table.budget.take(size, table.what)
        data = data.copy()
    data.flags.writeable = False
    return data
