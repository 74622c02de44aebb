"""Whole dense layers on blocks of rows: segments, requantization, skipping of zeros, and their C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from engine.program import DenseParams, Step
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import add_s24
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.dense import DenseRows, dense_rows
from enginekit.encode.dense_requant import DenseRequant, dense_requant
from enginekit.encode.moved import dense_moved_layers
from enginekit.encode.skipping import RunLimits, run_limits
from enginekit.records import MAX_ARRAY

#: Blocks tried; more rows share the load of an input, fewer have longer groups.
_ROWS = (8, 5, 4, 3)
#: Segments tried for sums that need more than 24 bits: adding a third to a sum that was held within them would not be exact.
_MOST_SEGMENTS = 2
#: Bytes on AVR of eng_dense_rows and eng_runs.
_ROWS_BYTES, _RUNS_BYTES = 9, 7


@dataclass(frozen=True, eq=False)
class Segment:
    """Some inputs of a layer, all of its outputs.

    Parameters
    ----------
    parts : tuple of DenseRows
        All outputs in order, in parts that avr-gcc takes as one array.
    runs : RunLimits or None
        None where zeros are not skipped.
    """

    parts: tuple[DenseRows, ...]
    runs: RunLimits | None

    @property
    def size(self) -> int:
        """Inputs."""
        return int(self.parts[0].w.shape[1])

    @property
    def sum_size(self) -> int:
        """Bytes of the sums."""
        return sum(3 * part.blocks * part.rows for part in self.parts)

    def cycles_for(self, x: NDArray[np.int8]) -> NDArray[np.float64]:
        """Cycles of the sums for each of `x`, int8[n, size]."""
        dense = sum(part.cycles_for(x) for part in self.parts)
        if self.runs is None:
            return np.asarray(dense, np.float64)
        skipped, search = (np.array(each) for each in zip(*map(self.runs.search, x), strict=True))
        sparse = sum(part.runs_cycles_for(x, self.runs.zero_x) for part in self.parts)
        return np.asarray(np.where(skipped, sparse, dense) + search)

    @property
    def cycles(self) -> float:
        """Cycles of the slowest inputs: full, or such that the search for runs ends in vain."""
        dense = sum(part.cycles for part in self.parts)
        return dense + (0 if self.runs is None else self.runs.slowest)


@dataclass(frozen=True, eq=False)
class DenseLayer(Candidate):
    """One dense layer on ``eng_dense_rows<R>_s24``, and where zeros are skipped on ``eng_dense_runs<R>_s24`` too.

    Parameters
    ----------
    segments : tuple of Segment
        Inputs are cut into segments where the sum of all could leave 24 bits. All are in blocks of the same number of rows.
    requant : DenseRequant
    w : int8[out, in]
        The weights, for the sums of samples.
    bias : int32[out]
    """

    segments: tuple[Segment, ...]
    requant: DenseRequant
    w: NDArray[np.int8]
    bias: NDArray[np.int32]

    @property
    def parts(self) -> tuple[DenseRows, ...]:
        """Those of all segments."""
        return tuple(part for segment in self.segments for part in segment.parts)

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return self.parts[0].rows

    @property
    def skips(self) -> bool:
        """Whether zeros are skipped."""
        return any(segment.runs for segment in self.segments)

    @property
    def encoding(self) -> str:
        """Name for people."""
        return f"rows of {self.rows}" + (", skipping zeros" if self.skips else "")

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        times = 2 if self.skips else 1
        return Data(
            weights=sum(part.w.nbytes for part in self.parts),
            bias=sum(part.start.nbytes for part in self.parts) * times,
            tables=sum(len(part.groups) for part in self.parts) + self.requant.tables,
            params=_ROWS_BYTES * len(self.parts) * times
            + self.requant.params
            + _RUNS_BYTES * sum(segment.runs is not None for segment in self.segments),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        skipping = ("eng_runs_s8", f"eng_dense_runs{self.rows}_s24") if self.skips else ()
        adding = ("eng_add_s24",) if len(self.segments) > 1 else ()
        return (*skipping, f"eng_dense_rows{self.rows}_s24", *adding, self.requant.symbol)

    @property
    def sum_size(self) -> int:
        """Bytes of the sums of all segments."""
        return sum(segment.sum_size for segment in self.segments)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return self.sum_size + max(segment.runs.table if segment.runs else 0 for segment in self.segments)

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest inputs."""
        last, added = self.requant.cycles, self._added(None)
        if last is None or added is None:
            return None
        return round(sum(segment.cycles for segment in self.segments)) + added + last

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        if not len(samples):
            return None
        x = samples.reshape(len(samples), -1)
        cuts = np.cumsum([segment.size for segment in self.segments])[:-1]
        parts = list(zip(np.split(x, cuts, axis=1), np.split(self.w, cuts, axis=1), strict=True))
        sums = [part.astype(np.int64) @ w.T.astype(np.int64) for part, w in parts]
        sums[0] += self.bias
        last, added = self.requant.cycles_for(np.sum(sums, axis=0)), self._added(np.cumsum(sums, axis=0)[1:])
        if last is None or added is None:
            return None
        cycles = [segment.cycles_for(part) for segment, (part, _) in zip(self.segments, parts, strict=True)]
        return float((np.sum(cycles, axis=0) + last).mean() + added)

    def _added(self, totals: NDArray[np.int64] | None) -> float | None:
        """Cycles of adding the sums of segments, with what the additions give, ``int64[segments - 1, n, out]``."""
        bill = Bill()
        for number in range(len(self.segments) - 1):
            add_s24(bill, len(self.w), None if totals is None else totals[number])
        return self.requant.table.priced(bill)

    def emit(self, at: Place) -> StepText:
        """Write definitions and calls."""
        step, prefix = at.step, at.prefix
        lines = [f"/* {comment(step.name)}: {step.kernel} in blocks of {self.rows} rows, |accumulator| <= {step.acc_bound} */"]
        for number, part in enumerate(self.parts):
            lines += _part_data(f"{prefix}_", part, number, skip=self.skips)
        lines += self.requant.emit(prefix)
        for number, segment in enumerate(self.segments):
            if segment.runs is not None:
                limits = segment.runs
                fields = [limits.size, limits.slack, limits.capacity, limits.gain, limits.zero_x]
                lines.append(f"static const eng_runs {prefix}_runs{number} = {braces(fields)};")
        return StepText("\n".join(lines), _calls(self, at))


def dense_layers(context: Context) -> Iterator[Candidate]:
    """Give a dense layer in blocks of every size: an :data:`~enginekit.encode.candidate.Encoder`."""
    step = context.step
    if not isinstance(step.params, DenseParams):
        return
    yield from dense_moved_layers(context)
    requant = dense_requant(step, context.x_range, context.table)
    if requant is None:
        return
    assert step.w is not None
    assert step.bias is not None
    for rows in _ROWS:
        segments = _segments(context, rows)
        if segments and (len(segments) == 1 or requant.steps is not None):
            yield DenseLayer(segments, requant, step.w.reshape(step.params.out, step.params.in_), step.bias)


def _parts(
    w: NDArray[np.int8], bias: NDArray[np.int32], rows: int, x_range: tuple[int, int], zero_x: int
) -> tuple[DenseRows, ...]:
    most = MAX_ARRAY // (rows * w.shape[1]) * rows
    if most == 0:
        raise QuantError(f"a block of {rows} rows of {w.shape[1]} inputs exceeds {MAX_ARRAY} bytes")
    cuts = range(0, len(w), min(most, 255 * rows))
    return tuple(
        dense_rows(w[cut : cut + cuts.step], bias[cut : cut + cuts.step], rows, x_range=x_range, zero_x=zero_x) for cut in cuts
    )


def _segments(context: Context, rows: int) -> tuple[Segment, ...]:
    """Encode a layer in as few segments of inputs as keep every sum within 24 bits; none if `_MOST_SEGMENTS` do not."""
    step = context.step
    params = step.params
    assert isinstance(params, DenseParams)
    assert step.w is not None
    assert step.bias is not None
    w = step.w.reshape(params.out, params.in_)
    for count in range(1, min(_MOST_SEGMENTS, params.in_) + 1):
        size = -(-params.in_ // count)
        biases = [step.bias, *[np.zeros_like(step.bias)] * (count - 1)]
        try:
            cuts = enumerate(range(0, params.in_, size))
            parts = [_parts(w[:, at : at + size], biases[n], rows, context.x_range, context.zero_x) for n, at in cuts]
        except QuantError:
            continue
        at_zero = context.rest is None or bool((context.rest.codes == context.zero_x).all())
        return tuple(Segment(each, _runs(each, context.zero_x) if at_zero else None) for each in parts)
    return ()


def _runs(parts: tuple[DenseRows, ...], zero_x: int) -> RunLimits | None:
    """Limits of a segment that is worth searching for runs."""
    if any(part.runs_start is None for part in parts):
        return None
    rows, size, blocks = parts[0].rows, parts[0].w.shape[1], sum(part.blocks for part in parts)
    dense = sum(part.cycles for part in parts) / size
    return run_limits(size, zero_x, input_cycles=dense, run_input_cycles=blocks * (8 * rows + 6))


def _numbers(values: Iterable[int] | NDArray[np.generic]) -> list[str]:
    return [str(value) for value in np.asarray(values).ravel().tolist()]


def _part_data(prefix: str, part: DenseRows, number: int, *, skip: bool) -> list[str]:
    tables: list[tuple[str, str, list[str]]] = [
        ("w", "int8_t", _numbers(part.w)),
        ("groups", "uint8_t", _numbers(list(part.groups))),
        ("start", "uint8_t", _numbers(part.start)),
    ]
    if skip:
        assert part.runs_start is not None
        tables.append(("skip_start", "uint8_t", _numbers(part.runs_start)))
    lines = [array(f"static const {c_type} {prefix}{kind}{number}", texts) for kind, c_type, texts in tables]
    names = {kind: f"{prefix}{kind}{number}" for kind, _, _ in tables}
    size = f"{part.blocks}, {part.w.shape[1]}"
    rows = f"{{{names['w']}, {names['groups']}, {names['start']}, {size}}}"
    lines.append(f"static const eng_dense_rows {prefix}rows{number} =\n    {rows};")
    if skip:
        rows = f"{{{names['w']}, {names['groups']}, {names['skip_start']}, {size}}}"
        lines.append(f"static const eng_dense_rows {prefix}skip{number} =\n    {rows};")
    return lines


def _calls(layer: DenseLayer, at: Place) -> list[str]:
    lines, number, x_at, sums = [], 0, at.step.x_offset, at.scratch
    table = f"arena + {at.scratch + layer.sum_size}u"
    for index, segment in enumerate(layer.segments):
        x, plain, skipping = f"(const int8_t *)(arena + {x_at}u)", [], []
        for part in segment.parts:
            name = f"_dense_rows{layer.rows}_s24("
            plain.append(wrapped(f"    eng{name}", [f"&{at.prefix}_rows{number}", x, f"arena + {sums}u"], ");"))
            if segment.runs is not None:
                arguments = [f"&{at.prefix}_skip{number}", x, str(segment.runs.zero_x), table, f"arena + {sums}u"]
                skipping.append(wrapped(f"    eng_dense_runs{layer.rows}_s24(", arguments, ");"))
            sums += 3 * part.blocks * part.rows
            number += 1
        if segment.runs is None:
            lines += plain
        else:
            test = f"    if (eng_runs_s8(&{at.prefix}_runs{index}, {x}, {table}) != 0) {{"
            lines += [test, *_indented(skipping), "    } else {", *_indented(plain), "    }"]
        x_at += segment.size
    lines += _additions(at.step, layer, at.scratch)
    return [*lines, layer.requant.call(at.prefix, at.scratch, at.step.y_offset)]


def _additions(step: Step, layer: DenseLayer, scratch: int) -> list[str]:
    """Add the sums of the later segments to those of the first."""
    assert isinstance(step.params, DenseParams)
    size = layer.segments[0].sum_size
    places = [scratch + size * number for number in range(1, len(layer.segments))]
    return [f"    eng_add_s24(arena + {scratch}u, arena + {at}u, {step.params.out}u);" for at in places]


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line.replace("\n", "\n    ") for line in lines]
