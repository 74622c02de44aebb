"""Reading a TensorFlow Lite file as a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from engine.errors import EngineError, FormatError, UnsupportedError
from engine.graph import Graph, Layer
from engine.tflite.batch import of_one_sample
from engine.tflite.file import File, Operator
from engine.tflite.options import read_options
from engine.tflite.rewrite import live_operators
from engine.tflite.schema import OPERATOR_OF_NAME
from engine.validate import validate

#: Operators whose inputs after the first are folded into the layer: target shape, axes, paddings.
_ONE_INPUT = {"reshape", "argmax", "mean", "pad"}


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
        only compute the target shape of a RESHAPE. A fixed batch of several samples becomes one of 1.

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
        graph = of_one_sample(_graph(file, live_operators(file)))
        validate(graph)
    except EngineError as error:
        raise type(error)(f"{source}: {error}") from None
    return graph


def _graph(file: File, operators: Sequence[Operator]) -> Graph:
    _refuse_operators(operators)
    _refuse_types(file, operators)
    layers = []
    for index, operator in enumerate(operators):
        op = OPERATOR_OF_NAME[operator.name]
        inputs = _inputs(file, op, operator)
        layers.append(Layer(op, f"{op}_{index}", inputs, operator.outputs, read_options(file, operator)))
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
    if x == y == "uint8":
        raise UnsupportedError(f"uint8 activations ({operator.what}) are not supported; convert with int8 quantization")
    if "float16" in (x, y):
        raise UnsupportedError(f"a float16 file ({operator.what} from {x} to {y}) is not supported; convert full-integer")


def _type_of(file: File, index: tuple[int, ...]) -> str | None:
    return file.type_name(index[0]) if index and index[0] >= 0 else None


def _inputs(file: File, op: str, operator: Operator) -> tuple[int, ...]:
    inputs = operator.inputs
    if op == "argmax":
        _check_axis(file, operator)
    if op in _ONE_INPUT:
        return inputs[:1]
    if op in ("dense", "conv2d", "depthwise_conv2d") and len(inputs) == 2:
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
