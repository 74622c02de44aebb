"""Dense layers as code of their own, where each group of inputs is a call: ``eng_dense_calls``.

What is proven of groups is in :mod:`enginekit.encode.groups`, the code itself in :mod:`enginekit.encode.dense_assembly`; here
is what it computes, what it costs, and the numbers for its portable twin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import DenseParams
from enginekit.c_text import array, braces, comment
from enginekit.encode.assembly import inline
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.dense import SUM_BOUND, s24
from enginekit.encode.dense_assembly import LONGEST, DenseText, Stops
from enginekit.encode.dense_cycles import DenseCycles
from enginekit.encode.dense_requant import DenseRequant, dense_requants, sum_spans
from enginekit.encode.groups import group_lengths
from enginekit.records import MAX_ARRAY

#: Rows of a block and longest groups that are tried.
_ROWS, _DEPTHS = (4, 5), (8, 12)
#: Layers of fewer inputs are not worth code of their own, or looking for zeros.
_LEAST_INPUTS, _LEAST_SKIPPED = 16, 64
#: Stops of a layer that skips, the share of the inputs before the first one, the fewest of them, and gaps kept.
_STOPS, _FIRST, _LEAST_FIRST, _CAPACITY = 5, 40, 5, 100
#: Where the code can run: an AVR that reads flash as data.
_ON_CHIP = "#if defined(__AVR__) && !defined(ENG_FLASH_LPM)"
#: Cycles of a stop and a gap, at most.
_A_STOP, _A_GAP = 29, 36
#: Longest stretch without weights that the portable twin can go over at once.
_LONGEST_OVER = 127
#: Bytes behind the input that the code changes.
_TAIL = 2


@dataclass(frozen=True, eq=False)
class DenseCalls(Candidate):
    """One dense layer as code.

    Parameters
    ----------
    text : DenseText
    w : int8[blocks, in, rows]
    start : int64[blocks * rows]
        Bias, of sums of x - zero_x, less what `requant` counts from.
    bias : int64[blocks * rows]
        The same of sums of x.
    out : int
    requant : DenseRequant
    """

    text: DenseText
    w: NDArray[np.int8]
    start: NDArray[np.int64]
    bias: NDArray[np.int64]
    out: int
    requant: DenseRequant

    @property
    def encoding(self) -> str:
        """Name for people."""
        text = f"groups of {self.text.rows} rows as calls, up to {self.text.depth} inputs"
        return text + (", skipping zeros" if self.text.stops else "")

    @property
    def data(self) -> Data:
        """Bytes of constants and, as code, of what is written for the layer; its calls are the groups' lengths."""
        pairs = zip(self.text.groups, self.text.far, strict=True)
        calls = sum((4 if far else 2) * _groups(stretches) for stretches, far in pairs)
        bias = self.dense.nbytes + (self.skip_bias.nbytes if self.text.stops else 0)
        return Data(self.w.nbytes, bias, calls + self.requant.tables, self.requant.params, self.cost.code - calls)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return (self.text.symbol, self.requant.symbol)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare what is called."""
        return ("eng/encodings_dense.h", *self.requant.headers)

    @property
    def own_stack(self) -> int:
        """Bytes of stack."""
        return 8 + len(self.text.saved) + (2 if self.text.stops else 0) + (2 if self.text.keeps else 0)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted: sums, and the gaps."""
        kept = self.text.stops.capacity + 2 + self.text.size // LONGEST if self.text.keeps and self.text.stops else 0
        return 3 * self.text.blocks * self.text.rows + kept

    @property
    def tail(self) -> int:
        """Bytes behind the input that are changed."""
        return _TAIL if self.text.stops else 0

    @cached_property
    def cost(self) -> DenseCycles:
        """What the code costs."""
        return DenseCycles(self.text, self.w)

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest inputs: the sums of one row go as far as they can, and all or nearly all inputs count."""
        last = self.requant.cycles
        if last is None:
            return None
        if self.text.stops is None:
            return self.cost.by_groups + last
        signs = np.concatenate([self.w[0].T > 0, self.w[0].T <= 0])
        low = self.text.zero_x
        ends = np.concatenate([np.where(signs, 127, max(low + 1, -127)), np.where(signs, 127, low)]).astype(np.int8)
        in_vain = 4.25 * self.text.stops.evidence  # a gap that is looked over before skipping is given up
        return max(self.cost.of(x) for x in ends) + in_vain + last

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        x = samples.reshape(len(samples), -1)
        rows = self.w.transpose(0, 2, 1).reshape(-1, self.text.size)[: self.out]
        sums = x.astype(np.int64) @ rows.T.astype(np.int64) + self.bias[: self.out]
        last = self.requant.cycles_for(sums + self.requant.start)
        if not len(x) or last is None:
            return None
        return float(np.mean([self.cost.of(each) for each in x]) + last.mean())

    @property
    def skip_bias(self) -> NDArray[np.uint8]:
        """Bias where zeros are skipped, uint8[blocks, rows, 3]."""
        return s24(self.start.reshape(self.text.blocks, self.text.rows))

    @property
    def dense(self) -> NDArray[np.uint8]:
        """Bias of sums by groups, uint8[n, rows, 3]: of block 0 for each stop left, then of the others."""
        text = self.text
        bias, stops = self.bias.reshape(text.blocks, text.rows), text.stops
        found = []
        for left in range(1, len(text.groups[0]) + 1):
            stretches = text.groups[0][len(text.groups[0]) - left :]
            before = 0 if stops is None else stops.first + (stops.count - 1 - left) * stops.step
            skipped = text.zero_x * self.w[0, :before].astype(np.int64).sum(0)
            found.append(bias[0] + skipped - 32768 * _groups(stretches))
        found += [each - 32768 * _groups(groups) for each, groups in zip(bias[1:], text.groups[1:], strict=True)]
        return s24(np.array(found))

    @property
    def lengths(self) -> bytes:
        """Lengths of the groups as the portable twin reads them."""
        blocks = ([n if n > 0 else 128 - n for stretch in block for n in stretch] for block in self.text.groups)
        return b"".join(bytes([*block, 0]) for block in blocks)

    def emit(self, at: Place) -> StepText:
        """Write the code for AVR, for others the record of its portable twin, and the calls."""
        step, text, symbol = at.step, self.text, self.text.symbol
        used = "__attribute__((used)) static const uint8_t"
        arguments = "int8_t *x, uint8_t *sum"
        lines = [
            f"/* {comment(step.name)}: {step.kernel}, {self.encoding}, |accumulator| <= {step.acc_bound} */",
            self._weights(),
            *([array(f"{used} {symbol}_bias", _texts(self.skip_bias))] if text.stops else []),
            array(f"{used} {symbol}_dense", _texts(self.dense)),
            _ON_CHIP,
            f"void {symbol}({arguments});",
            *inline(text.assembly()),
            "#else",
            array(f"static const uint8_t {symbol}_lengths", [str(n) for n in self.lengths]),
            f"static const eng_dense_calls {symbol}_params =\n    {braces(self._fields())};",
            f"static void {symbol}({arguments})",
            "{",
            f"    eng_dense_calls_s24(&{symbol}_params, x, sum);",
            "}",
            "#endif",
            *self.requant.emit(at.prefix),
        ]
        call = f"    {symbol}((int8_t *)(arena + {step.x_offset}u), arena + {at.scratch}u);"
        return StepText("\n".join(lines), [call, self.requant.call(at.prefix, at.scratch, step.y_offset)])

    def _weights(self) -> str:
        """Define the weights: one array, which AVR has in parts that its compiler takes."""
        symbol, size = self.text.symbol, self.text.part * self.text.rows * self.text.size
        texts = _texts(self.w)
        declaration = "__attribute__((used)) static const int8_t"
        if len(texts) <= size:
            return array(f"{declaration} {symbol}_w0", texts)
        parts = []
        for number, begin in enumerate(range(0, len(texts), size)):
            lines = array("", texts[begin : begin + size]).partition("\n")[2].removesuffix("};")
            opened = f"{_ON_CHIP}\n    }};\n{declaration} {symbol}_w{number}[] = {{\n#else\n    ,\n#endif"
            parts.append(f"{opened}\n{lines}" if number else f"{declaration} {symbol}_w0[] = {{\n{lines}")
        return "\n".join(parts) + "};"

    def _fields(self) -> list[object]:
        text, stops = self.text, self.text.stops
        tables = [f"{text.symbol}_{name}" for name in ("w0", "lengths", "bias", "dense")]
        if stops is None:
            tables[2] = "0"
        limits = [0] * 7 if stops is None else [stops.count, stops.first, stops.step, stops.first_cost, stops.cost]
        limits += [] if stops is None else [stops.price, stops.capacity]
        return [*tables, text.size, text.rows, text.blocks, text.zero_x, *limits]


def _groups(stretches: tuple[tuple[int, ...], ...]) -> int:
    """Count groups that have weights."""
    return sum(length > 0 for stretch in stretches for length in stretch)


def _texts(values: NDArray[Any]) -> list[str]:
    return [str(value) for value in values.ravel().tolist()]


def dense_calls_layers(context: Context) -> Iterator[DenseCalls]:
    """Give a dense layer as calls, with and without skipping zeros: an :data:`~enginekit.encode.candidate.Encoder`."""
    step = context.step
    if not isinstance(step.params, DenseParams) or step.params.in_ < _LEAST_INPUTS:
        return
    requants = dense_requants(step, context.x_range, context.table)
    for rows, depth, skips in product(_ROWS, _DEPTHS, sorted({False, _may_skip(context)})):
        found = (dense_calls(context, requant, rows=rows, depth=depth, skips=skips) for requant in requants)
        yield from (layer for layer in found if layer is not None)


def _may_skip(context: Context) -> bool:
    """Whether inputs are often zero, as far as is known, and differ from it by at most a byte."""
    at_zero = context.rest is None or bool((context.rest.codes == context.zero_x).all())
    return at_zero and context.x_range[0] >= context.zero_x and context.step.x_size >= _LEAST_SKIPPED


def dense_calls(context: Context, requant: DenseRequant, *, rows: int, depth: int, skips: bool) -> DenseCalls | None:
    """Write a dense layer as code.

    Parameters
    ----------
    context : Context
        Of a dense step.
    requant : DenseRequant
    rows : int
        Of a block.
    depth : int
        Longest group.
    skips : bool
        Whether zeros are skipped.

    Returns
    -------
    DenseCalls or None
        None if a sum, with its bias or without, can leave 24 bits, or the weights of a block exceed what an array can hold.
    """
    step = context.step
    params = step.params
    assert isinstance(params, DenseParams)
    assert step.w is not None
    assert step.bias is not None
    size, blocks = params.in_, -(-params.out // rows)
    part = MAX_ARRAY // (rows * size)
    w = np.zeros((blocks * rows, size), np.int8)
    w[: params.out] = step.w.reshape(params.out, size)
    bias = np.zeros(blocks * rows, np.int64)
    bias[: params.out] = step.bias - requant.start
    start = bias + context.zero_x * w.astype(np.int64).sum(1)
    if part == 0 or not _fit(w, bias, start, context):
        return None
    by_block = w.reshape(blocks, rows, size)
    stops = _stops(by_block, context, depth) if skips else None
    cuts = list(accumulate([stops.first, *[stops.step] * (stops.count - 1)])) if stops else [0, size]
    first = tuple(_stretch(by_block[0][:, a:b], context, depth) for a, b in pairwise(cuts))
    groups = (first, *((_stretch(block, context, depth),) for block in by_block[1:]))
    text = DenseText(f"eng_code_{step.name}", rows, size, blocks, context.zero_x, depth, groups, stops, part)
    packed = np.ascontiguousarray(by_block.transpose(0, 2, 1))
    return DenseCalls(text, packed, start, bias, params.out, requant)


def _fit(w: NDArray[np.int8], bias: NDArray[np.int64], start: NDArray[np.int64], context: Context) -> bool:
    """Whether all sums fit 24 bits, with their bias, without, and counted from zero_x."""
    spans = sum_spans(w, np.zeros(len(w), np.int64), context.x_range)
    others = spans + bias[:, None], spans - (start - bias)[:, None]
    return max(int(np.abs(each).max()) for each in (spans, *others)) < SUM_BOUND


def _stretch(w: NDArray[np.int8], context: Context, depth: int) -> tuple[int, ...]:
    """Cut inputs ``w[rows, inputs]`` into groups; what has no weights is left out."""
    lengths: list[int] = []
    empty = (w == 0).all(0)
    edges = [0, *(np.flatnonzero(np.diff(empty)) + 1).tolist(), w.shape[1]]
    kept = 0
    for begin, end in pairwise(edges):
        if not empty[begin] or not _pays(end - begin, len(w)):
            continue
        lengths += [*group_lengths(w[:, kept:begin], context.x_range, depth=depth)] if begin > kept else []
        whole, rest = divmod(end - begin, _LONGEST_OVER)
        lengths += [-_LONGEST_OVER] * whole + ([-rest] if rest else [])
        kept = end
    return (*lengths, *(group_lengths(w[:, kept:], context.x_range, depth=depth) if kept < w.shape[1] else ()))


def _pays(inputs: int, rows: int) -> bool:
    """Whether going over inputs without weights is faster than a group that is cut in two there."""
    return inputs * (2 + 7 * rows) > 4 + 5 * rows // 2 + 6


def _stops(by_block: NDArray[np.int8], context: Context, depth: int) -> Stops:
    """Place the stops such that what skips is never slower than groups, but for the inputs before the first one."""
    _, rows, size = by_block.shape
    step = (size - max(size // _FIRST, _LEAST_FIRST)) // (_STOPS - 1)
    first = size - step * (_STOPS - 1)
    groups = np.mean([_groups((_stretch(block, context, depth),)) for block in by_block])
    an_input, one_by_one, scanned = 2 + 7 * rows + groups * (2.5 * rows + 6) / size, 8 * rows + 5, 4.25
    ratio = max(one_by_one - an_input, 0) / (one_by_one - scanned)
    a_zero = one_by_one - scanned
    first_cost, cost = (int(np.ceil(ratio * inputs + _A_STOP / a_zero)) for inputs in (first, step))
    return Stops(_STOPS, first, step, first_cost, cost, int(np.ceil(_A_GAP / a_zero)), _CAPACITY)
