"""Whole dense layers on blocks of rows: segments, requantization, skipping of zeros, and their C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from engine.program import DenseParams, Rescale, Step
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.dense import SUM_BOUND, DenseRows, dense_rows
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, WideSteps, exact_codes, wide_steps
from enginekit.records import MAX_ARRAY, avr_size, initializer

#: Blocks tried; more rows share the load of an input, fewer have longer groups.
_ROWS = (5, 4, 3)
#: Segments tried for sums that need more than 24 bits: adding a third to a sum that was held within them would not be exact.
_MOST_SEGMENTS = 2
#: Skipping is tried for layers of at least so many inputs, up to the share of inputs in runs at which it stops to pay.
_SKIP_INPUTS, _SKIP_SHARE, _SKIP_RUNS = 128, 0.5, 64
#: Bytes on AVR of eng_dense_rows, eng_requant_s24, eng_requant_exact_s24 and eng_runs.
_ROWS_BYTES, _REQUANT_BYTES, _REQUANT_EXACT_BYTES, _RUNS_BYTES = 9, 7, 8, 7


@dataclass(frozen=True)
class RunLimits:
    """When zeros are skipped, see ``eng_runs``."""

    limit: int
    capacity: int
    sample_limit: int
    zero_x: int


@dataclass(frozen=True, eq=False)
class DenseLayer(Candidate):
    """One dense layer on ``eng_dense_rows<R>_s24``, and where zeros are skipped on ``eng_dense_runs<R>_s24`` too.

    Parameters
    ----------
    segments : tuple of (tuple of DenseRows)
        Inputs are cut into segments where the sum of all could leave 24 bits; each holds all outputs in order, in parts that
        avr-gcc takes as one array. All are in blocks of the same number of rows.
    rescale : int
        Bytes of rescale records.
    steps : WideSteps or None
        None for the exact rule.
    runs : RunLimits or None
        None where zeros are not skipped.
    """

    segments: tuple[tuple[DenseRows, ...], ...]
    rescale: int
    steps: WideSteps | None
    runs: RunLimits | None

    @property
    def parts(self) -> tuple[DenseRows, ...]:
        """Those of all segments."""
        return tuple(part for segment in self.segments for part in segment)

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return self.segments[0][0].rows

    @property
    def encoding(self) -> str:
        """Name for people."""
        return f"rows of {self.rows}" + (", skipping zeros" if self.runs else "")

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        times = 2 if self.runs else 1
        tables = sum(len(part.groups) for part in self.parts)
        return Data(
            weights=sum(part.w.nbytes for part in self.parts),
            bias=sum(part.start.nbytes for part in self.parts) * times,
            tables=tables + (self.rescale if self.steps is None else self.steps.steps.nbytes),
            params=_ROWS_BYTES * len(self.parts) * times
            + (_REQUANT_EXACT_BYTES if self.steps is None else _REQUANT_BYTES)
            + (_RUNS_BYTES if self.runs else 0),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        requant = "eng_requant_single_s24_s8" if self.steps is None else f"eng_requant{self.steps.shift}_s24_s8"
        skipping = ("eng_runs_s8", f"eng_dense_runs{self.rows}_s24") if self.runs else ()
        adding = ("eng_add_s24",) if len(self.segments) > 1 else ()
        return (*skipping, f"eng_dense_rows{self.rows}_s24", *adding, requant)

    @property
    def sum_size(self) -> int:
        """Bytes of the sums of all segments."""
        return sum(3 * part.blocks * part.rows for part in self.parts)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return self.sum_size + (0 if self.runs is None else 1 + 2 * self.runs.capacity)

    @property
    def cycles(self) -> int | None:
        """Cycles of the sums alone, when nothing is skipped."""
        return sum(part.cycles for part in self.parts)

    def emit(self, at: Place) -> StepText:
        """Write definitions and calls."""
        step, prefix = at.step, at.prefix
        lines = [f"/* {comment(step.name)}: {step.kernel} in blocks of {self.rows} rows, |accumulator| <= {step.acc_bound} */"]
        for number, part in enumerate(self.parts):
            lines += _part_data(f"{prefix}_", part, number, skip=self.runs is not None)
        lines += _requant_data(step, self, prefix)
        if self.runs is not None:
            limits = self.runs
            fields = [step.x_size, limits.limit, limits.capacity, limits.sample_limit, limits.zero_x]
            lines.append(f"static const eng_runs {prefix}_runs = {braces(fields)};")
        return StepText("\n".join(lines), _calls(step, self, prefix, at.scratch))


def dense_layers(context: Context) -> Iterator[Candidate]:
    """Give a dense layer in blocks of every size: an :data:`~enginekit.encode.candidate.Encoder`."""
    step = context.step
    if not isinstance(step.params, DenseParams):
        return
    steps = _steps(step, context.x_range)
    for rows in _ROWS:
        segments = _segments(step, rows, context.x_range, context.zero_x)
        if segments and (len(segments) == 1 or steps is not None):
            runs = _runs(step, segments, context.zero_x) if context.index == 0 else None
            yield DenseLayer(segments, len(step.params.rescale) * avr_size(Rescale), steps, runs)


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


def _segments(step: Step, rows: int, x_range: tuple[int, int], zero_x: int) -> tuple[tuple[DenseRows, ...], ...]:
    """Encode a layer in as few segments of inputs as keep every sum within 24 bits; none if `_MOST_SEGMENTS` do not."""
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
            return tuple(_parts(w[:, at : at + size], biases[n], rows, x_range, zero_x) for n, at in cuts)
        except QuantError:
            continue
    return ()


def _steps(step: Step, x_range: tuple[int, int]) -> WideSteps | None:
    """Find records for the layer's sums, which are held within 24 bits: beyond, every sum must give the same code."""
    params = step.params
    assert isinstance(params, DenseParams)
    assert step.w is not None
    assert step.bias is not None
    low, high = product_range(step.w.reshape(params.out, params.in_), x_range)
    bias = step.bias.astype(np.int64)
    spans = np.stack([bias + low.sum(1), bias + high.sum(1)], axis=1)
    held = spans.clip(-SUM_BOUND + 1, SUM_BOUND - 1)
    rescale = params.rescale if params.rescale_step else params.rescale * params.out
    for record, span, part in zip(rescale, spans, held, strict=True):
        codes = [
            exact_codes(ends, record, Rounding.SINGLE, params.y.zero).clip(params.y.lo, params.y.hi) for ends in (span, part)
        ]
        if (codes[0] != codes[1]).any():
            return None
    return wide_steps(rescale, Rounding.SINGLE, params.y, [(int(a), int(b)) for a, b in held])


def _runs(step: Step, segments: tuple[tuple[DenseRows, ...], ...], zero_x: int) -> RunLimits | None:
    if step.x_size < _SKIP_INPUTS or len(segments) > 1 or any(part.runs_start is None for part in segments[0]):
        return None
    limit = min(int(step.x_size * _SKIP_SHARE), 65535)
    return RunLimits(limit, _SKIP_RUNS, min(limit // 16, 255), zero_x)


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


def _requant_data(step: Step, layer: DenseLayer, prefix: str) -> list[str]:
    params = step.params
    assert isinstance(params, DenseParams)
    if layer.steps is None:
        records = array(f"static const eng_rescale {prefix}_rescale", [initializer(r, {}) for r in params.rescale])
        fields = [f"{prefix}_rescale", params.out, params.rescale_step, initializer(params.y, {})]
        return [records, f"static const eng_requant_exact_s24 {prefix}_requant = {braces(fields)};"]
    records = array(f"static const eng_step {prefix}_steps", [f"{{{mult}u, {offset}u}}" for mult, offset in layer.steps.steps])
    fields = [f"{prefix}_steps", params.out, params.y.lo, params.y.hi, int(layer.steps.negative_is_lo)]
    return [records, f"static const eng_requant_s24 {prefix}_requant = {braces(fields)};"]


def _calls(step: Step, layer: DenseLayer, prefix: str, scratch: int) -> list[str]:
    x, rows = f"(const int8_t *)(arena + {step.x_offset}u)", layer.rows
    plain, skipping, at, number, x_at = [], [], scratch, 0, step.x_offset
    table = scratch + layer.sum_size
    for segment in layer.segments:
        for part in segment:
            arguments = [f"&{prefix}_rows{number}", f"(const int8_t *)(arena + {x_at}u)", f"arena + {at}u"]
            plain.append(wrapped(f"    eng_dense_rows{rows}_s24(", arguments, ");"))
            if layer.runs is not None:
                arguments = [
                    f"&{prefix}_skip{number}",
                    x,
                    str(layer.runs.zero_x),
                    f"arena + {table}u",
                    f"arena + {at}u",
                ]
                skipping.append(wrapped(f"    eng_dense_runs{rows}_s24(", arguments, ");"))
            at += 3 * part.blocks * part.rows
            number += 1
        x_at += segment[0].w.shape[1]
    plain += _additions(step, layer, scratch)
    arguments = [f"&{prefix}_requant", f"arena + {scratch}u", f"(int8_t *)(arena + {step.y_offset}u)"]
    last = wrapped(f"    {layer.symbols[-1]}(", arguments, ");")
    if layer.runs is None:
        return [*plain, last]
    test = f"    if (eng_runs_s8(&{prefix}_runs, {x}, arena + {table}u) != 0) {{"
    return [test, *_indented(skipping), "    } else {", *_indented(plain), "    }", last]


def _additions(step: Step, layer: DenseLayer, scratch: int) -> list[str]:
    """Add the sums of the later segments to those of the first."""
    assert isinstance(step.params, DenseParams)
    size, first = layer.sum_size // len(layer.segments), scratch
    places = [first + size * number for number in range(1, len(layer.segments))]
    return [f"    eng_add_s24(arena + {first}u, arena + {at}u, {step.params.out}u);" for at in places]


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line.replace("\n", "\n    ") for line in lines]
