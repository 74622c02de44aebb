"""Dilated convolutions as files spell them: SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.graph import Conv2DOptions, Padding, PadOptions, Tensor
from engine.tflite.file import File, Operator
from engine.tflite.options import conv2d_options
from engine.window import slide

_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True)
class _Chain:
    """Operators in a row, each the only user of the one before; over sequences, the image is made and unmade between."""

    first: Operator
    expand: Operator | None
    conv: Operator
    squeeze: Operator | None
    last: Operator

    @property
    def all(self) -> list[Operator]:
        """Those that there are, in order."""
        parts = (self.first, self.expand, self.conv, self.squeeze, self.last)
        return [part for part in parts if part is not None]


def fold_dilated(file: File, operators: Sequence[Operator]) -> list[Operator]:
    """Turn SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND into a dilated convolution where the result is the same.

    Padding that is neither SAME nor VALID, as of causal convolutions, becomes a PAD before it.

    Parameters
    ----------
    file : File
        Shapes of tensors between the operators are settled.
    operators : sequence of Operator

    Returns
    -------
    list of Operator
    """
    uses = Counter(i for operator in operators for i in operator.inputs)
    uses.update(file.outputs)
    maker = {i: operator for operator in operators for i in operator.outputs}
    folded: dict[int, Operator | None] = {}
    for last in operators:
        chain = _chain(last, maker, uses)
        whole = _dilated(file, chain) if chain else None
        if chain and whole:
            folded |= {operator.index: None for operator in chain.all} | {operator.index: operator for operator in whole}
    replaced = (folded.get(operator.index, operator) for operator in operators)
    return [operator for operator in replaced if operator is not None]


def _chain(last: Operator, maker: dict[int, Operator], uses: Counter[int]) -> _Chain | None:
    """Find the operators that end in `last`."""
    if last.name != "BATCH_TO_SPACE_ND" or len(last.inputs) != 3:
        return None
    conv, squeeze = _source_of(last, maker, uses), None
    if conv is not None and conv.name in _RESHAPES:
        conv, squeeze = _source_of(conv, maker, uses), conv
    if conv is None or conv.name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or len(conv.inputs) < 2:
        return None
    first, expand = _source_of(conv, maker, uses), None
    if first is not None and first.name in _RESHAPES:
        first, expand = _source_of(first, maker, uses), first
    if first is None or first.name != "SPACE_TO_BATCH_ND" or len(first.inputs) != 3 or min(first.inputs) < 0:
        return None
    if (expand is None) != (squeeze is None):
        return None
    return _Chain(first, expand, conv, squeeze, last)


def _source_of(operator: Operator, maker: dict[int, Operator], uses: Counter[int]) -> Operator | None:
    """Give the operator that makes another's first input, if for it alone."""
    if not operator.inputs or len(operator.outputs) != 1:
        return None
    source = maker.get(operator.inputs[0])
    if source is None or len(source.outputs) != 1 or uses[operator.inputs[0]] != 1 or source.index >= operator.index:
        return None
    return source


def _dilated(file: File, chain: _Chain) -> list[Operator] | None:
    """Give the operators that stand for a chain, under indices of its own; None if none do."""
    w = chain.conv.inputs[1]
    options = conv2d_options(chain.conv)
    moves = options.stride_h, options.stride_w, options.dilation_h, options.dilation_w
    if w < 0 or moves != (1, 1, 1, 1) or options.padding is not Padding.VALID or not _alike_throughout(file, chain):
        return None
    axes = _axes(file, chain)
    if axes is None:
        return None
    for padding in (Padding.SAME, Padding.VALID):
        if all(axis.slides_alike(padding) for axis in axes):
            return _operators(file, chain, _with(options, axes, padding), axes, None)
    pads = [axis.pads_for_valid() for axis in axes]
    explicit = [pad for pad in pads if pad is not None]
    return _operators(file, chain, _with(options, axes, Padding.VALID), axes, explicit) if len(explicit) == 2 else None


def _with(options: Conv2DOptions, axes: list[_Axis], padding: Padding) -> Conv2DOptions:
    return replace(options, dilation_h=axes[0].block, dilation_w=axes[1].block, padding=padding)


def _operators(
    file: File, chain: _Chain, options: Conv2DOptions, axes: list[_Axis], pads: list[tuple[int, int]] | None
) -> list[Operator]:
    """Put together: the image of a sequence, PAD, convolution, the sequence again; whatever of it is needed."""
    x, y = chain.first.inputs[0], chain.last.outputs[0]
    made: list[Operator] = []
    if chain.expand is not None:
        image = chain.expand.outputs[0]
        made.append(replace(chain.expand, inputs=(x,)))
        file.settle(image, (1, axes[0].size, axes[1].size, file.tensor(x).shape[-1]))
        x = image
    if pads is not None:
        paddings = ((0, 0), *pads, (0, 0))
        padded = chain.first.outputs[0]
        shape = [n + sum(pad) for n, pad in zip(file.tensor(x).shape, paddings, strict=True)]
        # The image of a sequence is made first: its operator's place, then, is the first one's.
        made = [replace(operator, index=chain.first.index) for operator in made]
        place = chain.first if chain.expand is None else chain.expand
        made.append(replace(place, name="PAD", inputs=(x,), outputs=(padded,), replaced=PadOptions(paddings)))
        file.settle(padded, tuple(shape))
        x = padded
    to = y if chain.squeeze is None else chain.conv.outputs[0]
    made.append(replace(chain.conv, inputs=(x, *chain.conv.inputs[1:]), outputs=(to,), replaced=options))
    if chain.squeeze is not None:
        file.settle(to, (1, axes[0].out, axes[1].out, file.tensor(y).shape[-1]))
        made.append(replace(chain.squeeze, inputs=(to,), outputs=(y,)))
    return made


@dataclass(frozen=True)
class _Axis:
    """One dimension of an image on its way through the three operators."""

    size: int
    kernel: int
    block: int
    pads: tuple[int, int]
    crops: tuple[int, int]
    out: int

    @property
    def sound(self) -> bool:
        """Whether the operators' sizes agree with each other."""
        padded = self.size + sum(self.pads)
        if self.block < 1 or padded % self.block or min(*self.pads, *self.crops) < 0:
            return False
        return (padded // self.block - self.kernel + 1) * self.block - sum(self.crops) == self.out > 0

    @property
    def before(self) -> int:
        """Padding before the first position's first tap; negative if the image begins there cut."""
        return self.pads[0] - self.crops[0]

    def slides_alike(self, padding: Padding) -> bool:
        """Whether a dilated convolution with `padding` reads the same pixels at each of the same positions."""
        return slide(self.size, self.kernel, 1, self.block, padding) == (self.out, self.before)

    def pads_for_valid(self) -> tuple[int, int] | None:
        """Give the padding with which VALID gives the same positions; None if the image would have to be cut instead."""
        after = self.out + (self.kernel - 1) * self.block - self.size - self.before
        return (self.before, after) if min(self.before, after) >= 0 else None


def _axes(file: File, chain: _Chain) -> list[_Axis] | None:
    """Height and width; None if the operators do not fit together."""
    x, y, w = (file.tensor(i) for i in (chain.first.inputs[0], chain.last.outputs[0], chain.conv.inputs[1]))
    spatial = len(x.shape) - 2
    rank = 2 if chain.expand is None else 1
    if spatial != rank or len(y.shape) != len(x.shape) or len(w.shape) != 4:
        return None
    block, again = (_numbers(file, op.inputs[1], (spatial,)) for op in (chain.first, chain.last))
    pads, crops = (_numbers(file, op.inputs[2], (spatial, 2)) for op in (chain.first, chain.last))
    if not (block and pads and crops) or block != again:
        return None
    ends = [(numbers[2 * n], numbers[2 * n + 1]) for numbers in (pads, crops) for n in range(spatial)]
    axes = [
        _Axis(x.shape[n + 1], kernel, block[n], ends[n], ends[spatial + n], y.shape[n + 1])
        for n, kernel in enumerate(w.shape[1:3] if spatial == 2 else (max(w.shape[1:3]),))
    ]
    if spatial == 1:
        axes = _as_image(file, chain, axes[0], w)
    return axes if axes and all(axis.sound for axis in axes) else None


def _as_image(file: File, chain: _Chain, axis: _Axis, w: Tensor) -> list[_Axis]:
    """Say which dimension of the convolution's image a sequence is: the other one has size and kernel 1; none if neither."""
    one = _Axis(1, 1, 1, (0, 0), (0, 0), 1)
    shape = file.tensor(chain.conv.inputs[0]).shape
    length = (axis.size + sum(axis.pads)) // max(axis.block, 1)
    if len(shape) == 4 and shape[1:3] == (1, length) and w.shape[1] == 1:
        return [one, axis]
    if len(shape) == 4 and shape[1:3] == (length, 1) and w.shape[2] == 1:
        return [axis, one]
    return []


def _alike_throughout(file: File, chain: _Chain) -> bool:
    """Whether nothing but the convolution changes what codes mean."""
    first = [file.tensor(i) for i in (chain.first.inputs[0], chain.first.outputs[0], chain.conv.inputs[0])]
    last = [file.tensor(i) for i in (chain.conv.outputs[0], chain.last.inputs[0], chain.last.outputs[0])]
    return all(_alike(part[0], other) for part in (first, last) for other in part[1:])


def _alike(a: Tensor, b: Tensor) -> bool:
    if a.scale is None or b.scale is None:
        return False
    return a.dtype == b.dtype and a.zero_point == b.zero_point and np.array_equal(a.scale, b.scale)


def _numbers(file: File, index: int, shape: tuple[int, ...]) -> list[int] | None:
    """Integers of a constant of one shape."""
    if index < 0 or not file.is_constant(index):
        return None
    tensor = file.tensor(index)
    if tensor.data is None or tensor.dtype not in (np.int32, np.int64) or tensor.shape != shape:
        return None
    return [int(n) for n in tensor.data.flat]
