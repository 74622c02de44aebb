"""Reading a TensorFlow Lite file as a graph."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import EngineError, FormatError, UnsupportedError
from engine.graph import (
    Activation,
    Conv2DOptions,
    DenseOptions,
    Graph,
    Layer,
    NoOptions,
    Options,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.tflite.file import File, Operator
from engine.tflite.flat import Table
from engine.tflite.schema import (
    ACTIVATION_NAMES,
    ACTIVATIONS,
    OPERATOR_OF_NAME,
    OPTIONS_TYPE,
    PADDINGS,
    Conv2DField,
    DenseField,
    Pool2DField,
    SoftmaxField,
)
from engine.validate import validate

#: Operators whose inputs after the first are folded into the layer: the target shape, the axis.
_CONSTANT_SECOND_INPUT = {"reshape", "argmax"}


def read(data: bytes, *, source: str = "model") -> Graph:
    """Read a full-integer TensorFlow Lite file.

    Parameters
    ----------
    data : bytes
        The whole file. Constant tensors of the graph are views of it, so keep it unchanged.
    source : str
        Name for messages, such as the file's path.

    Returns
    -------
    Graph
        Checked by :func:`engine.validate.validate`. Tensors that no layer uses are dropped; so are the operators that
        only compute the target shape of a RESHAPE.

    Raises
    ------
    FormatError
        If the file is truncated or garbled, or contradicts itself.
    UnsupportedError
        If it uses operators, element types or features that are not supported; all operators at once.
    QuantError
        If its quantization is inconsistent.
    """
    try:
        file = File(data)
        graph = _graph(file, _live_operators(file))
        validate(graph)
    except EngineError as error:
        raise type(error)(f"{source}: {error}") from None
    return graph


def _live_operators(file: File) -> list[Operator]:
    """Operators without those that only compute the shape for a RESHAPE, whose output tensor has it already."""
    operators = [_without_shape_input(file, operator) for operator in file.operators]
    while True:
        used = {i for operator in operators for i in operator.inputs} | set(file.outputs)
        live = [operator for operator in operators if not _computes_unused_shape(file, operator, used)]
        if len(live) == len(operators):
            return live
        operators = live


def _without_shape_input(file: File, operator: Operator) -> Operator:
    if operator.name != "RESHAPE" or len(operator.inputs) != 2:
        return operator
    target, output = operator.inputs[1], operator.outputs[:1]
    if output and target >= 0 and file.is_constant(target):
        _check_target_shape(file.tensor(target), file.tensor(output[0]), operator)
    return replace(operator, inputs=operator.inputs[:1])


def _check_target_shape(target: Tensor, output: Tensor, operator: Operator) -> None:
    if target.dtype != np.int32 or target.data is None:
        raise FormatError(f"{operator.what}: its target shape is {target.dtype}; expected int32")
    shape = [int(n) for n in target.data.flat]
    fits = len(shape) == len(output.shape) and all(n in (-1, m) for n, m in zip(shape, output.shape, strict=True))
    if not fits or shape.count(-1) > 1:
        raise FormatError(f"{operator.what}: target shape {shape} does not fit the output's shape {output.shape}")


def _computes_unused_shape(file: File, operator: Operator, used: set[int]) -> bool:
    unused = bool(operator.outputs) and not used.intersection(operator.outputs)
    return unused and all(file.type_name(i) in ("int32", "int64") for i in operator.outputs)


def _graph(file: File, operators: Sequence[Operator]) -> Graph:
    _refuse_operators(operators)
    _refuse_types(file, operators)
    layers = []
    for index, operator in enumerate(operators):
        op = OPERATOR_OF_NAME[operator.name]
        inputs = _inputs(file, op, operator)
        layers.append(Layer(op, f"{op}_{index}", inputs, operator.outputs, _options(op, operator)))
    names = file.layer_names()
    if names:
        if len(names) != len(layers):
            raise FormatError(f"metadata names {len(names)} layers; the model has {len(layers)}")
        layers = [replace(layer, name=name) for layer, name in zip(layers, names, strict=True)]
    return _compact(file, layers)


def _compact(file: File, layers: Sequence[Layer]) -> Graph:
    """Keep the tensors that are used, in the file's order."""
    used = set(file.inputs) | set(file.outputs)
    for layer in layers:
        used.update(layer.inputs, layer.outputs)
    used.discard(-1)
    order = sorted(used)
    number = {old: new for new, old in enumerate(order)}
    number[-1] = -1

    def renumber(indices: Iterable[int]) -> tuple[int, ...]:
        return tuple(number[i] for i in indices)

    return Graph(
        file.name,
        tuple(file.tensor(i) for i in order),
        tuple(replace(layer, inputs=renumber(layer.inputs), outputs=renumber(layer.outputs)) for layer in layers),
        renumber(file.inputs),
        renumber(file.outputs),
    )


def _refuse_operators(operators: Iterable[Operator]) -> None:
    places: dict[str, list[int]] = defaultdict(list)
    for operator in operators:
        if operator.name not in OPERATOR_OF_NAME:
            places[operator.name].append(operator.index)
    if not places:
        return
    count = sum(len(indices) for indices in places.values())
    listed = "; ".join(f"{name} at {', '.join(map(str, indices))}" for name, indices in places.items())
    supported = ", ".join(sorted(OPERATOR_OF_NAME))
    verb = "operator is" if count == 1 else "operators are"
    raise UnsupportedError(f"{count} {verb} not supported (name at index): {listed}. Supported are {supported}.")


def _refuse_types(file: File, operators: Iterable[Operator]) -> None:
    """Refuse files that are not full-integer, by the name of what they are."""
    for operator in operators:
        x = _type_of(file, operator.inputs[:1])
        y = _type_of(file, operator.outputs[:1])
        w = _type_of(file, operator.inputs[1:2])
        if OPERATOR_OF_NAME[operator.name] in ("quantize", "dequantize"):
            _refuse_edge(operator, x, y)
        elif x == "float32" and w == "int8":
            raise UnsupportedError(
                f"a dynamic-range quantized file ({operator.what} has float32 activations with int8 weights); convert "
                "full-integer: set representative_dataset and target_spec.supported_ops = [TFLITE_BUILTINS_INT8]"
            )
        elif "float32" in (x, w) or "float16" in (x, w):
            raise UnsupportedError(
                f"a float file ({operator.what} computes in {x}); quantize it first: enginekit.quantize, or the "
                "converter with representative_dataset and supported_ops = [TFLITE_BUILTINS_INT8]"
            )
        elif x == "int16":
            raise UnsupportedError(f"16-bit activations ({operator.what}) are not supported; convert with int8 activations")
        elif x == "uint8":
            raise UnsupportedError(f"uint8 activations ({operator.what}) are not supported; convert with int8 quantization")
        elif w in ("int4", "int2", "uint4"):
            raise UnsupportedError(f"{w} weights ({operator.what}) are not supported; convert with int8 weights")


def _refuse_edge(operator: Operator, x: str | None, y: str | None) -> None:
    if "uint8" in (x, y):
        raise UnsupportedError(
            f"a uint8 edge ({operator.what} from {x} to {y}) is not supported; convert with inference_input_type and "
            "inference_output_type of int8 or float32"
        )
    if "float16" in (x, y):
        raise UnsupportedError(f"a float16 file ({operator.what} from {x} to {y}) is not supported; convert full-integer")


def _type_of(file: File, index: tuple[int, ...]) -> str | None:
    return file.type_name(index[0]) if index and index[0] >= 0 else None


def _inputs(file: File, op: str, operator: Operator) -> tuple[int, ...]:
    inputs = operator.inputs
    if op == "argmax":
        _check_axis(file, operator)
    if op in _CONSTANT_SECOND_INPUT:
        return inputs[:1]
    if op in ("dense", "conv2d") and len(inputs) == 2:
        return (*inputs, -1)
    return inputs


def _check_axis(file: File, operator: Operator) -> None:
    if len(operator.inputs) != 2 or min(operator.inputs) < 0 or not file.is_constant(operator.inputs[1]):
        raise UnsupportedError(f"{operator.what}: its axis is not a constant")
    rank = len(file.tensor(operator.inputs[0]).shape)
    axis = file.tensor(operator.inputs[1])
    if axis.dtype not in (np.int32, np.int64) or axis.data is None or axis.data.size != 1:
        raise FormatError(f"{operator.what}: its axis is {axis.dtype}{list(axis.shape)}; expected one integer")
    if axis.data.item() not in (-1, rank - 1):
        raise UnsupportedError(f"{operator.what}: over axis {axis.data.item()} of {rank} dimensions; supported is the last")


@dataclass(frozen=True)
class _Fields:
    """Options of an operator, checked as they are read. An absent table has every field at its default."""

    operator: Operator
    table: Table | None

    def number(self, slot: int, code: str, default: int | float | bool) -> int | float | bool:
        value: int | float | bool = default if self.table is None else self.table.number(slot, code, default)
        return value

    def size(self, slot: int, what: str, default: int = 0) -> int:
        value = int(self.number(slot, "i", default))
        if value < 1:
            raise FormatError(f"{self.operator.what}: {what} is {value}; expected at least 1")
        return value

    def activation(self, slot: int) -> Activation:
        code = int(self.number(slot, "b", 0))
        if not 0 <= code < len(ACTIVATION_NAMES):
            raise FormatError(f"{self.operator.what}: there is no activation {code}")
        if code not in ACTIVATIONS:
            raise UnsupportedError(f"{self.operator.what}: fused activation {ACTIVATION_NAMES[code]} is not supported")
        return ACTIVATIONS[code]

    def padding(self, slot: int) -> Padding:
        code = int(self.number(slot, "b", 0))
        if code not in PADDINGS:
            raise FormatError(f"{self.operator.what}: there is no padding {code}")
        return PADDINGS[code]


def _options(op: str, operator: Operator) -> Options:
    if operator.options is not None and operator.options_type != OPTIONS_TYPE[op]:
        raise FormatError(f"{operator.what}: options of type {operator.options_type}; expected {int(OPTIONS_TYPE[op])}")
    fields = _Fields(operator, operator.options)
    if op == "dense":
        return _dense_options(fields)
    if op == "conv2d":
        return Conv2DOptions(
            fields.size(Conv2DField.STRIDE_H, "stride_h"),
            fields.size(Conv2DField.STRIDE_W, "stride_w"),
            fields.size(Conv2DField.DILATION_H, "dilation_h", 1),
            fields.size(Conv2DField.DILATION_W, "dilation_w", 1),
            fields.padding(Conv2DField.PADDING),
            fields.activation(Conv2DField.ACTIVATION),
        )
    if op in ("max_pool2d", "average_pool2d"):
        return Pool2DOptions(
            fields.size(Pool2DField.KERNEL_H, "kernel_h"),
            fields.size(Pool2DField.KERNEL_W, "kernel_w"),
            fields.size(Pool2DField.STRIDE_H, "stride_h"),
            fields.size(Pool2DField.STRIDE_W, "stride_w"),
            fields.padding(Pool2DField.PADDING),
            fields.activation(Pool2DField.ACTIVATION),
        )
    if op == "softmax":
        beta = float(fields.number(SoftmaxField.BETA, "f", 0.0))
        if not (math.isfinite(beta) and beta > 0):
            raise FormatError(f"{operator.what}: beta is {beta}; expected a finite number above 0")
        return SoftmaxOptions(beta)
    return NoOptions()


def _dense_options(fields: _Fields) -> DenseOptions:
    layout = fields.number(DenseField.WEIGHTS_FORMAT, "b", 0)
    if layout != 0:
        raise UnsupportedError(f"{fields.operator.what}: shuffled weights (format {layout}) are not supported")
    keep = bool(fields.number(DenseField.KEEP_NUM_DIMS, "?", False))
    return DenseOptions(fields.activation(DenseField.ACTIVATION), keep)
