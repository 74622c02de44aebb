"""Options of operators: what a file says about a layer beside its activations and weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.errors import FormatError, UnsupportedError
from engine.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    LeakyReluOptions,
    MeanOptions,
    NoOptions,
    Options,
    Padding,
    PadOptions,
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
    ConcatenationField,
    Conv2DField,
    DenseField,
    DepthwiseConv2DField,
    ElementwiseField,
    LeakyReluField,
    OptionsType,
    Pool2DField,
    ReducerField,
    SoftmaxField,
)


def read_options(file: File, operator: Operator) -> Options:
    """Read what a file says about an operator.

    Raises
    ------
    FormatError
        If its options or its constant inputs (axes, paddings) are garbled.
    UnsupportedError
        If they are sound but not supported.
    """
    if operator.replaced is not None:
        return operator.replaced
    maker = _MAKERS.get(OPERATOR_OF_NAME[operator.name])
    fields = _fields(operator)
    return NoOptions() if maker is None else maker(file, fields)


def conv2d_options(operator: Operator) -> Conv2DOptions:
    """Read the options of a CONV_2D or DEPTHWISE_CONV_2D."""
    fields = _fields(operator)
    kind: type[Conv2DField | DepthwiseConv2DField]
    kind = Conv2DField if operator.name == "CONV_2D" else DepthwiseConv2DField
    return Conv2DOptions(
        fields.size(kind.STRIDE_H, "stride_h"),
        fields.size(kind.STRIDE_W, "stride_w"),
        fields.size(kind.DILATION_H, "dilation_h", 1),
        fields.size(kind.DILATION_W, "dilation_w", 1),
        fields.padding(kind.PADDING),
        fields.activation(kind.ACTIVATION),
    )


@dataclass(frozen=True)
class Fields:
    """Options of an operator, checked as they are read. An absent table has every field at its default."""

    operator: Operator
    table: Table | None

    def number(self, slot: int, code: str, default: int | float | bool) -> int | float | bool:
        """Scalar field."""
        value: int | float | bool = default if self.table is None else self.table.number(slot, code, default)
        return value

    def size(self, slot: int, what: str, default: int = 0) -> int:
        """Field that must be at least 1; `what` names it."""
        value = int(self.number(slot, "i", default))
        if value < 1:
            raise FormatError(f"{self.operator.what}: {what} is {value}; expected at least 1")
        return value

    def activation(self, slot: int) -> Activation:
        """Fused activation."""
        code = int(self.number(slot, "b", 0))
        if not 0 <= code < len(ACTIVATION_NAMES):
            raise FormatError(f"{self.operator.what}: there is no activation {code}")
        if code not in ACTIVATIONS:
            raise UnsupportedError(f"{self.operator.what}: fused activation {ACTIVATION_NAMES[code]} is not supported")
        return ACTIVATIONS[code]

    def padding(self, slot: int) -> Padding:
        """Say how the image is padded."""
        code = int(self.number(slot, "b", 0))
        if code not in PADDINGS:
            raise FormatError(f"{self.operator.what}: there is no padding {code}")
        return PADDINGS[code]


def _fields(operator: Operator) -> Fields:
    expected = OPTIONS_TYPE.get(operator.name, OptionsType.NONE)
    if operator.options is not None and operator.options_type != expected:
        raise FormatError(f"{operator.what}: options of type {operator.options_type}; expected {int(expected)}")
    return Fields(operator, operator.options)


def _dense(_: File, fields: Fields) -> DenseOptions:
    layout = fields.number(DenseField.WEIGHTS_FORMAT, "b", 0)
    if layout != 0:
        raise UnsupportedError(f"{fields.operator.what}: shuffled weights (format {layout}) are not supported")
    keep = bool(fields.number(DenseField.KEEP_NUM_DIMS, "?", False))
    return DenseOptions(fields.activation(DenseField.ACTIVATION), keep)


def _conv2d(_: File, fields: Fields) -> Conv2DOptions:
    return conv2d_options(fields.operator)


def _pool2d(_: File, fields: Fields) -> Pool2DOptions:
    return Pool2DOptions(
        fields.size(Pool2DField.KERNEL_H, "kernel_h"),
        fields.size(Pool2DField.KERNEL_W, "kernel_w"),
        fields.size(Pool2DField.STRIDE_H, "stride_h"),
        fields.size(Pool2DField.STRIDE_W, "stride_w"),
        fields.padding(Pool2DField.PADDING),
        fields.activation(Pool2DField.ACTIVATION),
    )


def _softmax(_: File, fields: Fields) -> SoftmaxOptions:
    beta = float(fields.number(SoftmaxField.BETA, "f", 0.0))
    if not (math.isfinite(beta) and beta > 0):
        raise FormatError(f"{fields.operator.what}: beta is {beta}; expected a finite number above 0")
    return SoftmaxOptions(beta)


def _elementwise(_: File, fields: Fields) -> ElementwiseOptions:
    return ElementwiseOptions(fields.activation(ElementwiseField.ACTIVATION))


def _leaky_relu(_: File, fields: Fields) -> LeakyReluOptions:
    alpha = float(fields.number(LeakyReluField.ALPHA, "f", 0.0))
    if not math.isfinite(alpha):
        raise FormatError(f"{fields.operator.what}: alpha is {alpha}; expected a finite number")
    return LeakyReluOptions(alpha)


def _mean(file: File, fields: Fields) -> MeanOptions:
    rank = len(_first(file, fields.operator).shape)
    axes = constant_input(file, fields.operator, 1, "axes").data
    assert axes is not None
    return MeanOptions(
        tuple(sorted({_axis(int(axis), rank, fields.operator) for axis in axes.flat})),
        bool(fields.number(ReducerField.KEEP_DIMS, "?", False)),
    )


def _concatenation(file: File, fields: Fields) -> ConcatenationOptions:
    rank = len(_first(file, fields.operator).shape)
    axis = _axis(int(fields.number(ConcatenationField.AXIS, "i", 0)), rank, fields.operator)
    return ConcatenationOptions(axis, fields.activation(ConcatenationField.ACTIVATION))


def _pad(file: File, fields: Fields) -> PadOptions:
    operator = fields.operator
    x = _first(file, operator)
    tensor = constant_input(file, operator, 1, "paddings")
    if tensor.shape != (len(x.shape), 2) or tensor.data is None or tensor.data.min() < 0:
        raise FormatError(
            f"{operator.what}: its paddings are {tensor.dtype}{list(tensor.shape)}; expected [{len(x.shape)}, 2], not negative"
        )
    paddings = tuple((int(before), int(after)) for before, after in tensor.data)
    if len(operator.inputs) < 3:
        return PadOptions(paddings)
    if operator.inputs[2] < 0 or not file.is_constant(operator.inputs[2]):
        raise UnsupportedError(f"{operator.what}: its value is not a constant")
    value = file.tensor(operator.inputs[2])
    if value.data is None or value.data.size != 1 or value.dtype != np.int8:
        raise UnsupportedError(f"{operator.what}: its value is {value.dtype}{list(value.shape)}; expected one int8")
    _check_value(x, value, operator)
    return PadOptions(paddings, int(value.data.item()))


def _check_value(x: Tensor, value: Tensor, operator: Operator) -> None:
    same = x.scale is not None and value.scale is not None and np.array_equal(x.scale, value.scale)
    if not same or x.zero_point != value.zero_point:
        raise UnsupportedError(f"{operator.what}: its value is quantized otherwise than its input")


def _first(file: File, operator: Operator) -> Tensor:
    if not operator.inputs or operator.inputs[0] < 0:
        raise FormatError(f"{operator.what}: its first input is missing")
    return file.tensor(operator.inputs[0])


def constant_input(file: File, operator: Operator, number: int, what: str) -> Tensor:
    """Give an input that must hold integers, constant in the file."""
    index = operator.inputs[number] if number < len(operator.inputs) else -1
    if index < 0 or not file.is_constant(index):
        raise UnsupportedError(f"{operator.what}: its {what} are not a constant")
    tensor = file.tensor(index)
    if tensor.dtype not in (np.int32, np.int64):
        raise FormatError(f"{operator.what}: its {what} are {tensor.dtype}{list(tensor.shape)}; expected integers")
    return tensor


def _axis(axis: int, rank: int, operator: Operator) -> int:
    if not -rank <= axis < rank:
        raise FormatError(f"{operator.what}: there is no dimension {axis}; its input has {rank}")
    return axis % rank


_MAKERS: dict[str, Callable[[File, Fields], Options]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "depthwise_conv2d": _conv2d,
    "max_pool2d": _pool2d,
    "average_pool2d": _pool2d,
    "softmax": _softmax,
    "add": _elementwise,
    "sub": _elementwise,
    "mul": _elementwise,
    "leaky_relu": _leaky_relu,
    "mean": _mean,
    "concatenation": _concatenation,
    "pad": _pad,
}
