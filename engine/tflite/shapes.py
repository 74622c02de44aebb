"""Shapes that a file leaves to the run: those of tensors that RESHAPE makes for a free batch, worked out for one sample.

Keras spells a dense layer over the rows of an image as RESHAPE to [batch * rows, size], FULLY_CONNECTED, RESHAPE back, and
computes the target shapes from SHAPE by integer operators. What a tensor holds for one sample is known before any run: n rows
instead of the one that the file promises. Such a tensor gets a batch of 1 in front: [1, n, size].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnsupportedError
from engine.graph import DenseOptions
from engine.tflite.file import File, Operator
from engine.tflite.options import read_options
from engine.tflite.schema import (
    DTYPES,
    OPERATOR_OF_NAME,
    ConcatenationField,
    GatherField,
    PackField,
    ReducerField,
    StridedSliceField,
)

#: Operators that treat each row, or each value, alike: with rows in front of their input they have as many in their output.
_ROW_BY_ROW = frozenset(
    ("LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "HARD_SWISH", "QUANTIZE", "DEQUANTIZE", "SOFTMAX")
) | {"ADD", "SUB", "MUL"}
_READABLE = frozenset(str(dtype) for dtype in DTYPES.values())
#: A target shape of more values than this is none.
_MOST = 8

Numbers = NDArray[np.int64]


def settle_shapes(file: File) -> list[Operator]:
    """Work out the shapes that depend on the batch, for a batch of 1, and tell the file.

    Parameters
    ----------
    file : File
        Its tensors' shapes are settled where the file leaves more than the batch open, or has one row for several.

    Returns
    -------
    list of Operator
        Those of the file; dense layers over several rows a sample keep the dimensions of their input.

    Raises
    ------
    UnsupportedError
        If an operator that mixes rows reads several rows a sample in place of a batch.
    """
    if any(operator.name not in _FOLLOWED for operator in file.operators):
        return list(file.operators)  # to be refused by name
    settling = _Settling(file)
    return [settling.follow(operator) for operator in file.operators]


class _Settling:
    """What is known so far: `numbers` that shape arithmetic has computed, and the true shape of tensors with `rows`."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._numbers: dict[int, Numbers] = {}
        self._rows: dict[int, tuple[int, ...]] = {}

    def follow(self, operator: Operator) -> Operator:
        """Follow one operator; return it, or the one that stands for it."""
        tensors = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
        if len(operator.outputs) != 1 or any(self._file.type_name(i) not in _READABLE for i in tensors):
            return operator  # to be refused by type
        if self._file.type_name(operator.outputs[0]) in ("int32", "int64"):
            self._compute(operator)
        elif operator.name == "RESHAPE":
            self._reshape(operator)
        elif operator.name in OPERATOR_OF_NAME:
            return self._layer(operator)
        return operator

    def _compute(self, operator: Operator) -> None:
        """Compute integers from shapes; what is no shape arithmetic is left alone."""
        if operator.name == "SHAPE":
            shape = self._shape(operator.inputs[0]) if operator.inputs and operator.inputs[0] >= 0 else None
            found = None if shape is None else np.array(shape, np.int64)
        elif operator.name in _ARITHMETIC:
            parts = [self._known(i) for i in operator.inputs]
            known = [part for part in parts if part is not None]
            found = _ARITHMETIC[operator.name](operator, known) if known and len(known) == len(parts) else None
        else:
            found = None
        if found is not None and found.size <= _MOST:
            self._numbers[operator.outputs[0]] = found

    def _known(self, index: int) -> Numbers | None:
        """Integers of a tensor that is constant or was computed."""
        if index in self._numbers:
            return self._numbers[index]
        if index < 0 or not self._file.is_constant(index) or self._file.type_name(index) not in ("int32", "int64"):
            return None
        data = self._file.tensor(index).data
        return None if data is None or data.size > _MOST else data.astype(np.int64)

    def _shape(self, index: int) -> tuple[int, ...] | None:
        """Shape for one sample; None where the file leaves it open."""
        if index in self._rows:
            return self._rows[index]
        return None if self._file.is_open(index) else self._file.tensor(index).shape

    def _reshape(self, operator: Operator) -> None:
        if len(operator.inputs) != 2 or min(operator.inputs) < 0:
            return
        x, target = self._shape(operator.inputs[0]), self._known(operator.inputs[1])
        if x is None or target is None or target.ndim != 1:
            return
        shape = _filled([int(n) for n in target], math.prod(x))
        y = operator.outputs[0]
        if shape is not None and (self._file.is_open(y) or self._file.has_free_batch(y)):
            self._settle(y, shape)

    def _settle(self, index: int, shape: tuple[int, ...]) -> None:
        """Give a tensor its shape for one sample; several rows in place of the batch become a dimension of their own."""
        if shape[:1] == (1,):
            if self._file.is_open(index):
                self._file.settle(index, shape)
        else:
            self._rows[index] = shape
            self._file.settle(index, (1, *shape))

    def _layer(self, operator: Operator) -> Operator:
        """Carry rows through a layer."""
        x = operator.inputs[0] if operator.inputs else -1
        y = operator.outputs[0]
        read = [i for i in operator.inputs if i in self._rows]
        if operator.name == "FULLY_CONNECTED":
            return self._dense(operator, x, y)
        if not read:
            return operator
        rows = {self._rows[i][0] for i in read}
        others = [i for i in operator.inputs if i >= 0 and i not in read and not self._file.is_constant(i)]
        if operator.name not in _ROW_BY_ROW or len(rows) > 1 or others:
            raise UnsupportedError(
                f"{operator.what}: reads {self._rows[read[0]][0]} rows a sample where the batch should be; only dense layers, "
                "activations, softmax and arithmetic with constants may stand between such RESHAPEs"
            )
        self._settle(y, (rows.pop(), *self._file.tensor(y).shape[1:]))
        return operator

    def _dense(self, operator: Operator, x: int, y: int) -> Operator:
        w = operator.inputs[1] if len(operator.inputs) > 1 else -1
        shape = self._shape(x) if x >= 0 else None
        if w < 0 or not self._file.is_constant(w) or shape is None or not self._file.has_free_batch(y):
            return operator
        size = self._file.tensor(w).shape[-1:]
        options = read_options(self._file, operator)
        assert isinstance(options, DenseOptions)
        rows, rest = divmod(math.prod(shape), math.prod(size))
        if rest or rows == 1 or (options.keep_num_dims and x not in self._rows):
            return operator
        if self._file.tensor(x).shape != (1, rows, *size):
            raise UnsupportedError(
                f"{operator.what}: takes {list(shape)} for {rows} rows of {math.prod(size)} values; expected [1, rows, values]"
            )
        self._settle(y, (rows, *self._file.tensor(y).shape[-1:]))
        return replace(operator, replaced=replace(options, keep_num_dims=True))


def _filled(target: list[int], size: int) -> tuple[int, ...] | None:
    """Replace the -1 in a target shape for `size` values; None if that cannot be."""
    if target.count(-1) > 1 or any(n < 1 and n != -1 for n in target):
        return None
    known = math.prod(n for n in target if n != -1)
    if size % known or (-1 not in target and size != known):
        return None
    return tuple(size // known if n == -1 else n for n in target)


def _gather(operator: Operator, inputs: list[Numbers]) -> Numbers | None:
    table = operator.options
    if len(inputs) != 2 or inputs[0].ndim != 1:
        return None
    if table is not None and (table.number(GatherField.AXIS, "i", 0) or table.number(GatherField.BATCH_DIMS, "i", 0)):
        return None
    inside = (inputs[1] >= 0) & (inputs[1] < len(inputs[0]))
    return np.asarray(inputs[0][inputs[1]]) if inside.all() else None


def _product(operator: Operator, inputs: list[Numbers]) -> Numbers | None:
    if len(inputs) != 2 or inputs[0].ndim != 1 or inputs[1].tolist() not in ([0], [-1], 0, -1):
        return None
    keep = operator.options is not None and bool(operator.options.number(ReducerField.KEEP_DIMS, "?", False))
    return np.asarray(inputs[0].prod(keepdims=keep))


def _pack(operator: Operator, inputs: list[Numbers]) -> Numbers | None:
    axis = 0 if operator.options is None else operator.options.number(PackField.AXIS, "i", 0)
    return np.stack(inputs) if axis == 0 and all(part.ndim == 0 for part in inputs) else None


def _concatenation(operator: Operator, inputs: list[Numbers]) -> Numbers | None:
    axis = 0 if operator.options is None else operator.options.number(ConcatenationField.AXIS, "i", 0)
    return np.concatenate(inputs) if axis in (0, -1) and all(part.ndim == 1 for part in inputs) else None


def _strided_slice(operator: Operator, inputs: list[Numbers]) -> Numbers | None:
    """Take one number, or a run of them; masks as Keras writes them."""
    if len(inputs) != 4 or inputs[0].ndim != 1 or any(part.shape != (1,) for part in inputs[1:]):
        return None
    fields = StridedSliceField
    masks = {slot: 0 if operator.options is None else int(operator.options.number(slot, "i", 0)) for slot in fields}
    begin, end, stride = (int(part[0]) for part in inputs[1:])
    if stride == 0 or masks[fields.ELLIPSIS_MASK] or masks[fields.NEW_AXIS_MASK]:
        return None
    if masks[fields.SHRINK_AXIS_MASK]:
        return np.asarray(inputs[0][begin]) if -len(inputs[0]) <= begin < len(inputs[0]) else None
    first, last = None if masks[fields.BEGIN_MASK] else begin, None if masks[fields.END_MASK] else end
    return inputs[0][first:last:stride]


def _multiply(_: Operator, inputs: list[Numbers]) -> Numbers | None:
    return np.asarray(inputs[0] * inputs[1]) if len(inputs) == 2 and {part.ndim for part in inputs} == {0} else None


def _cast(_: Operator, inputs: list[Numbers]) -> Numbers | None:
    return inputs[0]


#: Operators on the integers of a shape. CONCATENATION and MUL are layers too, of int8.
_ARITHMETIC: dict[str, Callable[[Operator, list[Numbers]], Numbers | None]] = {
    "GATHER": _gather,
    "REDUCE_PROD": _product,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "STRIDED_SLICE": _strided_slice,
    "MUL": _multiply,
    "CAST": _cast,
}

_FOLLOWED = frozenset({*OPERATOR_OF_NAME, *_ARITHMETIC, "SHAPE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"})
