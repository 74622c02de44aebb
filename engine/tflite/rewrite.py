"""Operators that only exist because of how files are made: folded away before the rest is understood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.errors import FormatError
from engine.graph import Tensor
from engine.tflite.dilated import fold_dilated
from engine.tflite.file import File, Operator
from engine.tflite.shapes import settle_shapes


def live_operators(file: File) -> list[Operator]:
    """Give the operators that compute something.

    Those that only compute the shape for a RESHAPE are dropped, since its output tensor has it already. Convolutions between
    SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND become dilated ones where that is the same.
    """
    operators = fold_dilated(file, [_without_shape_input(file, operator) for operator in settle_shapes(file)])
    used, live = set(file.outputs), []
    for operator in reversed(operators):  # users come after what they use
        if not _computes_unused_shape(file, operator, used):
            live.append(operator)
            used.update(operator.inputs)
    return live[::-1]


def _without_shape_input(file: File, operator: Operator) -> Operator:
    if operator.name != "RESHAPE" or len(operator.inputs) != 2:
        return operator
    target, output = operator.inputs[1], operator.outputs[:1]
    if output and target >= 0 and file.is_constant(target) and not file.is_settled(output[0]):
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
