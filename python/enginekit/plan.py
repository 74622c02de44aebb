"""What a model costs on the chip, before anything is compiled: RAM exactly, flash of its data exactly, work by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import DoesNotFitError
from engine.model import Model
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, DenseParams, DenseWideParams, Params, Pool2DParams, Step
from enginekit.chips import Chip
from enginekit.encode.choose import Optimize, Placed, encode


@dataclass(frozen=True)
class StepPlan:
    """Cost of one kernel call.

    Parameters
    ----------
    name, kernel : str
        As in the program.
    encoding : str
        How its weights lie in flash, see :class:`enginekit.encode.candidate.Candidate`.
    layers : tuple of int
        Indices of the graph's layers that it covers.
    weights, bias, tables, params : int
        Bytes of flash: weights; biases; rescale records and look-up tables; the params record.
    x_offset, x_size, y_offset, y_size, scratch_offset, scratch_size : int
        Buffers in the arena, bytes.
    macs : int
        Multiply-adds (for pools: taps read).
    acc_bits : int
        Bits of the smallest signed accumulator that cannot overflow, proven from the weights; 0 without an accumulator.
    """

    name: str
    kernel: str
    encoding: str
    layers: tuple[int, ...]
    weights: int
    bias: int
    tables: int
    params: int
    x_offset: int
    x_size: int
    y_offset: int
    y_size: int
    scratch_offset: int
    scratch_size: int
    macs: int
    acc_bits: int

    @property
    def flash(self) -> int:
        """Bytes of flash."""
        return self.weights + self.bias + self.tables + self.params

    @property
    def arena(self) -> int:
        """Bytes of the arena up to the end of the last of its buffers."""
        ends = (self.x_offset + self.x_size, self.y_offset + self.y_size, self.scratch_offset + self.scratch_size)
        return max(ends[: 3 if self.scratch_size else 2])


@dataclass(frozen=True)
class Plan:
    """Cost of a model.

    Parameters
    ----------
    name : str
        The model's.
    arena : int
        Bytes of RAM for activations, all of the RAM that the model needs beside the stack.
    steps : tuple of StepPlan
        One a kernel call, in order.
    golden : int
        Bytes of flash of one golden pair; only a program that calls the self-test carries golden pairs.
    """

    name: str
    arena: int
    steps: tuple[StepPlan, ...]
    golden: int

    @property
    def flash(self) -> int:
        """Bytes of flash for the model's data; code and golden pairs not included."""
        return sum(step.flash for step in self.steps)

    @property
    def macs(self) -> int:
        """Multiply-adds of one inference."""
        return sum(step.macs for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        steps = [vars(step) | {"layers": list(step.layers), "flash": step.flash, "arena": step.arena} for step in self.steps]
        return {
            "name": self.name,
            "arena": self.arena,
            "flash": self.flash,
            "macs": self.macs,
            "golden": self.golden,
            "steps": steps,
        }


def plan(model: Model, optimize: Optimize = Optimize.SIZE) -> Plan:
    """Give what `model` costs on the chip.

    Parameters
    ----------
    model : Model
        Any int8 model.
    optimize : Optimize
        As for :func:`enginekit.emit.emit`.

    Returns
    -------
    Plan
        The arena is exact; flash counts the data that :func:`enginekit.emit.emit` writes, as it lies on AVR. Code is not
        counted: it depends on the compiler and on the rest of the program.
    """
    program = model.program
    pair = sum(_bytes(tensor) for tensor in (*model.inputs, *model.outputs))
    encoding = encode(model, optimize)
    steps = tuple(_step_plan(step, placed) for step, placed in zip(program.steps, encoding.steps, strict=True))
    return Plan(model.graph.name, encoding.arena, steps, pair)


def check_fits(costs: Plan, chip: Chip, *, code: int = 0, stack: int = 0) -> None:
    """Refuse a model that does not fit.

    Parameters
    ----------
    costs : Plan
    chip : Chip
    code : int
        Bytes of flash of everything but the model's data, if known.
    stack : int
        Bytes of RAM of everything but the arena, if known.

    Raises
    ------
    DoesNotFitError
        Says by how many bytes flash or RAM or both are exceeded, and which layer takes most.
    """
    problems = []
    if costs.flash + code > chip.usable_flash:
        largest = max(costs.steps, key=lambda step: step.flash)
        beside = f" and {code:,} bytes of code" if code else ""
        problems.append(
            f"flash: {costs.flash:,} bytes of data{beside}, but {chip.name} has {chip.usable_flash:,}: "
            f"{costs.flash + code - chip.usable_flash:,} bytes too many; layer {largest.name!r} takes {largest.flash:,}"
        )
    if costs.arena + stack > chip.ram:
        largest = max(costs.steps, key=lambda step: step.arena)
        beside = f" and {stack:,} bytes of stack" if stack else ""
        problems.append(
            f"RAM: {costs.arena:,} bytes of arena{beside}, but {chip.name} has {chip.ram:,}: "
            f"{costs.arena + stack - chip.ram:,} bytes too many; layer {largest.name!r} reads {largest.x_size:,} and writes "
            f"{largest.y_size:,}"
        )
    if problems:
        raise DoesNotFitError(f"model {costs.name!r} does not fit. " + ". ".join(problems))


def _step_plan(step: Step, placed: Placed) -> StepPlan:
    weights, bias, tables, params = placed.candidate.data
    return StepPlan(
        name=step.name,
        kernel=step.kernel,
        encoding=placed.candidate.encoding,
        layers=step.layers,
        weights=weights,
        bias=bias,
        tables=tables,
        params=params,
        x_offset=step.x_offset,
        x_size=step.x_size,
        y_offset=step.y_offset,
        y_size=step.y_size,
        scratch_offset=placed.scratch,
        scratch_size=placed.candidate.scratch,
        macs=_macs(step.kernel, step.params),
        acc_bits=step.acc_bound.bit_length() + 1 if step.acc_bound else 0,
    )


def _macs(kernel: str, params: Params) -> int:
    """Multiply-adds of one call; a fused max pool counts the convolution at the pooled positions' taps."""
    if isinstance(params, DenseParams):
        return params.in_ * params.out
    if isinstance(params, DenseWideParams):
        return params.rows * params.in_ * params.out
    if isinstance(params, Conv2DParams):
        taps = _conv_taps(params)
        return params.window.out_h * params.window.out_w * (taps // params.in_c if kernel == "depthwise_conv2d_s8" else taps)
    if isinstance(params, Conv2DMaxPool2DParams):
        pool = params.pool
        return pool.out_h * pool.out_w * pool.kernel_h * pool.kernel_w * _conv_taps(params.conv)
    if isinstance(params, Pool2DParams):
        window = params.window
        return window.out_h * window.out_w * window.kernel_h * window.kernel_w * params.channels
    return 0


def _conv_taps(params: Conv2DParams) -> int:
    return params.out_c * params.window.kernel_h * params.window.kernel_w * params.in_c


def _bytes(tensor: Any) -> int:
    size = tensor.dtype.itemsize
    for length in tensor.shape:
        size *= length
    return int(size)
