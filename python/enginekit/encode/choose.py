"""Which encoding each layer of a model gets, and where its scratch lies in the arena."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from engine.model import Model
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, DenseParams, Params, Program, RequantizeParams, Step
from enginekit.encode.conv import Conv3x3Pool2, conv3x3_pool2
from enginekit.encode.dense import SUM_BOUND, DenseRows, dense_rows
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, WideSteps, exact_codes, wide_steps

#: Bytes of the largest object that avr-gcc accepts: longer weights are split between blocks.
_MAX_ARRAY = 32_767
#: Blocks tried; more rows share the load of an input, fewer have longer groups.
_ROWS = (5, 4, 3)
#: Segments tried for sums that need more than 24 bits: adding a third to a sum that was held within them would not be exact.
_MOST_SEGMENTS = 2
#: Skipping is tried for layers of at least so many inputs, up to the share of inputs in runs at which it stops to pay.
_SKIP_INPUTS, _SKIP_SHARE, _SKIP_RUNS = 128, 0.5, 64


class Optimize(Enum):
    """What the emitted code is chosen for.

    SIZE takes the plain kernels: the least code. SPEED takes encoded weights and their kernels wherever they are proven.
    """

    SIZE = "size"
    SPEED = "speed"


@dataclass(frozen=True)
class RunLimits:
    """When zeros are skipped, see ``eng_runs``."""

    limit: int
    capacity: int
    sample_limit: int
    zero_x: int


@dataclass(frozen=True, eq=False)
class DenseEncoding:
    """How one dense layer is emitted.

    Parameters
    ----------
    segments : tuple of (tuple of DenseRows)
        Inputs are cut into segments where the sum of all could leave 24 bits; each holds all outputs in order, in parts that
        avr-gcc takes as one array. All are in blocks of the same number of rows.
    steps : WideSteps or None
        None for the exact rule.
    runs : RunLimits or None
        None where zeros are not skipped.
    sum_offset, table_offset : int
        Bytes in the arena: where sums and the table of runs lie.
    """

    segments: tuple[tuple[DenseRows, ...], ...]
    steps: WideSteps | None
    runs: RunLimits | None
    sum_offset: int = 0
    table_offset: int = 0

    @property
    def parts(self) -> tuple[DenseRows, ...]:
        """Those of all segments."""
        return tuple(part for segment in self.segments for part in segment)

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return self.segments[0][0].rows

    @property
    def sum_size(self) -> int:
        """Bytes of the sums of all segments."""
        return sum(3 * part.blocks * part.rows for part in self.parts)

    @property
    def table_size(self) -> int:
        """Bytes of the table of runs."""
        return 0 if self.runs is None else 1 + 2 * self.runs.capacity

    @property
    def cycles(self) -> int:
        """Cycles of the sums when nothing is skipped."""
        return sum(part.cycles for part in self.parts)


@dataclass(frozen=True, eq=False)
class Encoding:
    """Encoded steps of a program by index, and the bytes of arena that they need with all others."""

    dense: dict[int, DenseEncoding]
    conv: dict[int, Conv3x3Pool2]
    arena: int


def _output_range(params: Params) -> tuple[int, int]:
    if isinstance(params, Conv2DMaxPool2DParams):
        return params.conv.y.lo, params.conv.y.hi
    if isinstance(params, DenseParams | Conv2DParams | RequantizeParams):
        return params.y.lo, params.y.hi
    return -128, 127


def input_range(program: Program, index: int) -> tuple[int, int]:
    """Lowest and highest code that a step can read: the clamp of the step that wrote it, else all of int8.

    Buffers are compared by place, as reshaping costs no step.
    """
    step = program.steps[index]
    for before in reversed(program.steps[:index]):
        if before.y_offset < step.x_offset + step.x_size and step.x_offset < before.y_offset + before.y_size:
            if (before.y_offset, before.y_size) != (step.x_offset, step.x_size):
                return -128, 127
            return _output_range(before.params)
    return -128, 127


def _parts(
    w: NDArray[np.int8], bias: NDArray[np.int32], rows: int, x_range: tuple[int, int], zero_x: int
) -> tuple[DenseRows, ...]:
    most = _MAX_ARRAY // (rows * w.shape[1]) * rows
    if most == 0:
        raise QuantError(f"a block of {rows} rows of {w.shape[1]} inputs exceeds {_MAX_ARRAY} bytes")
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


def _hole(program: Program, index: int, size: int) -> int:
    """Find the lowest place of `size` bytes that no buffer uses while a step runs; it may end beyond the arena."""
    step = program.steps[index]
    wanted = [(s.x_offset, s.x_offset + s.x_size) for s in program.steps[index:]]
    wanted += [(s.x2_offset, s.x2_offset + s.x2_size) for s in program.steps[index:]]
    outputs = [(offset, offset + 1) for offset in program.output_offsets]
    written = [(s.y_offset, s.y_offset + s.y_size) for s in program.steps[:index]]
    written += [(s.x_offset, s.x_offset + s.x_size) for s in program.steps[: index + 1]]
    live = [a for a in written if any(a[0] < b[1] and b[0] < a[1] for b in (*wanted, *outputs))]
    place = 0
    for start, end in sorted([*live, (step.y_offset, step.y_offset + step.y_size)]):
        if start - place >= size:
            break
        place = max(place, end)
    return place


def encode(model: Model, optimize: Optimize) -> Encoding:
    """Choose encodings.

    Parameters
    ----------
    model : Model
    optimize : Optimize

    Returns
    -------
    Encoding
        Steps that are not listed keep the plain kernel: all of them with ``Optimize.SIZE``, and with ``Optimize.SPEED`` those
        that nothing faster is proven for. One size of block serves the whole model, the one with the fewest cycles.
    """
    program = model.program
    if optimize is Optimize.SIZE:
        return Encoding({}, {}, program.arena)
    choices = [_dense_of_rows(model, rows) for rows in _ROWS]
    most = max(len(choice) for choice in choices)
    best = min((c for c in choices if len(c) == most), key=lambda c: sum(layer.cycles for layer in c.values()))
    placed, arena = {}, program.arena
    for index, layer in best.items():
        at = _hole(program, index, layer.sum_size + layer.table_size)
        table = at + layer.sum_size
        placed[index] = DenseEncoding(layer.segments, layer.steps, layer.runs, at, table)
        arena = max(arena, table + layer.table_size)
    return Encoding(placed, _convolutions(model), arena)


def _convolutions(model: Model) -> dict[int, Conv3x3Pool2]:
    program, chosen = model.program, {}
    for index, step in enumerate(program.steps):
        zero_x = model.graph.tensors[step.x].zero_point
        layer = conv3x3_pool2(step, x_range=input_range(program, index), zero_x=zero_x)
        if layer is not None:
            chosen[index] = layer
    return chosen


def _dense_of_rows(model: Model, rows: int) -> dict[int, DenseEncoding]:
    program, chosen = model.program, {}
    for index, step in enumerate(program.steps):
        if step.kernel != "dense_s8":
            continue
        x_range, zero_x = input_range(program, index), model.graph.tensors[step.x].zero_point
        segments, steps = _segments(step, rows, x_range, zero_x), _steps(step, x_range)
        if segments and (len(segments) == 1 or steps is not None):
            chosen[index] = DenseEncoding(segments, steps, _runs(step, segments, zero_x) if index == 0 else None)
    return chosen
