"""Per-layer rows, arena lifetimes and weight statistics of a lowered model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from engine.graph import Graph
from engine.model import Model
from engine.program import Program
from enginekit.onchip import ChipRun
from enginekit.plan import Plan, StepPlan
from enginekit.report import charts


@dataclass(frozen=True)
class LayerRow:
    """A kernel call as the page shows it; `cycles` are measured, None without a chip run, `slowest` and `mean` predicted."""

    name: str
    kernel: str
    shape: str
    macs: int
    acc_bits: int
    flash: int
    ram: int
    stack: int
    slowest: int | None
    mean: int | None
    cycles: int | None
    share: float


@dataclass(frozen=True)
class WeightTable:
    """Weights of one kernel call: how many, how they are spread, and the histogram."""

    name: str
    count: int
    zeros: float
    distinct: int
    low: int
    high: int
    chart: Markup


def layer_rows(model: Model, costs: Plan, chip: ChipRun | None) -> list[LayerRow]:
    """Return one row a step, with the mean cycles if it ran on a chip."""
    spent = [None] * len(costs.steps) if chip is None else [round(c) for c in chip.layer_cycles]
    total = sum(c for c in spent if c is not None) or 1
    rows = []
    for step, cost, used in zip(costs.program.steps, costs.steps, spent, strict=True):
        shape = " x ".join(str(n) for n in model.graph.tensors[step.y].shape[1:])
        share = 0.0 if used is None else used / total
        ram = cost.x_size + cost.y_size + cost.scratch_size
        row = LayerRow(
            name=step.name,
            kernel=step.kernel,
            shape=shape,
            macs=cost.macs,
            acc_bits=cost.acc_bits,
            flash=cost.flash,
            ram=ram,
            stack=cost.stack,
            slowest=None if cost.worst_cycles is None else round(cost.worst_cycles),
            mean=None if cost.mean_cycles is None else round(cost.mean_cycles),
            cycles=used,
            share=share,
        )
        rows.append(row)
    return rows


def arena_blocks(graph: Graph, costs: Plan) -> tuple[list[charts.Block], list[str]]:
    """Return the buffers with their lifetimes, and the names of the columns of time.

    The first column is the input's arrival, the last the reading of the output; between them one a kernel call. A buffer
    lives from what writes it to the last that reads its bytes, under whatever tensor's name; `costs` has the scratch.
    """
    program = costs.program
    columns = ["input", *(step.name for step in program.steps), "output"]
    blocks: list[charts.Block] = []
    for index, offset in zip(graph.inputs, program.input_offsets, strict=True):
        tensor = graph.tensors[index]
        size = int(np.prod(tensor.shape)) * tensor.dtype.itemsize
        blocks.append(charts.Block(_label(graph, index), offset, size, 0, 0))
    for column, step in enumerate(program.steps, start=1):
        _extend(blocks, step.x_offset, column)
        if step.x2 is not None:
            _extend(blocks, step.x2_offset, column)
        blocks.append(charts.Block(_label(graph, step.y), step.y_offset, step.y_size, column, column))
    for offset in program.output_offsets:
        _extend(blocks, offset, len(columns) - 1)
    return blocks + _scratch(costs.steps), columns


def _label(graph: Graph, index: int) -> str:
    return graph.tensors[index].name or f"tensor {index}"


def _extend(blocks: list[charts.Block], offset: int, column: int) -> None:
    """Let the buffer that was last written at `offset` live until `column`."""
    for i in reversed(range(len(blocks))):
        if blocks[i].offset <= offset < blocks[i].offset + blocks[i].size:
            blocks[i] = replace(blocks[i], last=column)
            return


def _scratch(steps: Sequence[StepPlan]) -> list[charts.Block]:
    return [
        charts.Block(f"scratch of {step.name}", step.scratch_offset, step.scratch_size, column, column, scratch=True)
        for column, step in enumerate(steps, start=1)
        if step.scratch_size
    ]


def weight_tables(program: Program) -> list[WeightTable]:
    """Return the statistics of each kernel call that has weights."""
    return [
        WeightTable(
            name=step.name,
            count=step.w.size,
            zeros=float(np.mean(step.w == 0)),
            distinct=len(np.unique(step.w)),
            low=int(step.w.min()),
            high=int(step.w.max()),
            chart=charts.histogram(step.w),
        )
        for step in program.steps
        if step.w is not None and step.w.size
    ]
