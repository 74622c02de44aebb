"""Operators that only exist because of how files are made: folded away before the rest is understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import FormatError
from engine.graph import Padding, Tensor
from engine.tflite.file import File, Operator
from engine.tflite.options import conv2d_options
from engine.window import slide


def live_operators(file: File) -> list[Operator]:
    """Give the operators that compute something.

    Those that only compute the shape for a RESHAPE are dropped, since its output tensor has it already. Convolutions between
    SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND become dilated ones where that is the same.
    """
    operators = fold_dilated(file, [_without_shape_input(file, operator) for operator in file.operators])
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


def fold_dilated(file: File, operators: Sequence[Operator]) -> list[Operator]:
    """Turn SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND into a dilated convolution where the result is the same."""
    uses = Counter(i for operator in operators for i in operator.inputs)
    uses.update(file.outputs)
    maker = {i: operator for operator in operators for i in operator.outputs}
    folded: dict[int, Operator] = {}
    dropped: set[int] = set()
    for last in operators:
        chain = _chain(last, maker, uses)
        whole = _dilated(file, *chain) if chain else None
        if chain and whole:
            folded[last.index] = whole
            dropped.update(operator.index for operator in chain[:2])
    return [folded.get(operator.index, operator) for operator in operators if operator.index not in dropped]


def _chain(last: Operator, maker: dict[int, Operator], uses: Counter[int]) -> tuple[Operator, Operator, Operator] | None:
    """Find the three operators that end in `last`, each the only user of the one before."""
    conv = _only_source(last, "BATCH_TO_SPACE_ND", maker, uses)
    if conv is None or conv.name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return None
    first = _only_source(conv, conv.name, maker, uses)
    if first is None or first.name != "SPACE_TO_BATCH_ND" or len(first.inputs) != 3 or min(first.inputs) < 0:
        return None
    return first, conv, last


def _only_source(operator: Operator, name: str, maker: dict[int, Operator], uses: Counter[int]) -> Operator | None:
    if operator.name != name or len(operator.inputs) < 2 or len(operator.outputs) != 1:
        return None
    source = maker.get(operator.inputs[0])
    if source is None or len(source.outputs) != 1 or uses[operator.inputs[0]] != 1 or source.index >= operator.index:
        return None
    return source


def _dilated(file: File, first: Operator, conv: Operator, last: Operator) -> Operator | None:
    block = _pair(file, first.inputs[1])
    paddings, crops = _two_pairs(file, first.inputs[2]), _two_pairs(file, last.inputs[-1])
    w = conv.inputs[1]
    if not (block and paddings and crops) or len(last.inputs) != 3 or w < 0:
        return None
    if _pair(file, last.inputs[1]) != block or min(block) < 1:
        return None
    options = conv2d_options(conv)
    moves = options.stride_h, options.stride_w, options.dilation_h, options.dilation_w
    if moves != (1, 1, 1, 1) or options.padding is not Padding.VALID:
        return None
    x, y = file.tensor(first.inputs[0]), file.tensor(last.outputs[0])
    kernel = file.tensor(w).shape[1:3]
    same = _alike(x, file.tensor(first.outputs[0])) and _alike(file.tensor(conv.outputs[0]), y)
    if not same or len(x.shape) != 4 or len(y.shape) != 4 or len(kernel) != 2:
        return None
    for padding in (Padding.SAME, Padding.VALID):
        axes = map(_Axis, x.shape[1:3], kernel, block, paddings, crops, y.shape[1:3])
        if all(axis.slides_alike(padding) for axis in axes):
            whole = replace(options, dilation_h=block[0], dilation_w=block[1], padding=padding)
            return replace(conv, inputs=(first.inputs[0], *conv.inputs[1:]), outputs=last.outputs, replaced=whole)
    return None


@dataclass(frozen=True)
class _Axis:
    """One dimension of an image on its way through the three operators."""

    size: int
    kernel: int
    block: int
    pads: tuple[int, int]
    crops: tuple[int, int]
    out: int

    def slides_alike(self, padding: Padding) -> bool:
        """Whether a dilated convolution with `padding` reads the same pixels at each of the same positions."""
        padded = self.size + sum(self.pads)
        if padded % self.block or min(*self.pads, *self.crops) < 0:
            return False
        positions = (padded // self.block - self.kernel + 1) * self.block - sum(self.crops)
        before = self.pads[0] - self.crops[0]
        return positions == self.out and slide(self.size, self.kernel, 1, self.block, padding) == (positions, before)


def _alike(a: Tensor, b: Tensor) -> bool:
    if a.scale is None or b.scale is None:
        return False
    return a.dtype == b.dtype and a.zero_point == b.zero_point and np.array_equal(a.scale, b.scale)


def _numbers(file: File, index: int, shape: tuple[int, ...]) -> list[int] | None:
    if index < 0 or not file.is_constant(index):
        return None
    tensor = file.tensor(index)
    if tensor.data is None or tensor.dtype not in (np.int32, np.int64) or tensor.shape != shape:
        return None
    return [int(n) for n in tensor.data.flat]


def _pair(file: File, index: int) -> tuple[int, int] | None:
    numbers = _numbers(file, index, (2,))
    return (numbers[0], numbers[1]) if numbers else None


def _two_pairs(file: File, index: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    numbers = _numbers(file, index, (2, 2))
    return ((numbers[0], numbers[1]), (numbers[2], numbers[3])) if numbers else None
