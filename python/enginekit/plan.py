"""What a model costs on the chip, before anything is compiled: flash, RAM and cycles, by layer and in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from engine.errors import DoesNotFitError
from engine.model import Model
from engine.program import Program, Step
from enginekit.chips import ATMEGA4809, Chip
from enginekit.costs import Table
from enginekit.costs.calls import FRAME_CODE, FRAME_CYCLES
from enginekit.encode.alternatives import Alternative
from enginekit.encode.choose import Encoding, Optimize, Placed, encode
from enginekit.encode.footprint import fixed_flash, stack_bound, static_ram, tensor_bytes
from enginekit.proofs import Proof, joined, prove
from enginekit.work import macs

#: Fields of a plan that JSON has in another form.
_IN_OTHER_FORM = ("steps", "unknown", "program", "chip", "exceeded", "unlimited")


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
    weights, bias, tables, params, own_code : int
        Bytes of flash: weights; biases; rescale records and look-up tables; the params record; code written for it alone.
    x_offset, x_size, tail, y_offset, y_size, scratch_offset, scratch_size : int
        Buffers in the arena, bytes; what is changed behind x.
    macs : int
        Multiply-adds (for pools: taps read).
    acc_bits : int
        Bits of the smallest signed accumulator that cannot overflow, proven from the weights; 0 without an accumulator.
    acc_low, acc_high : int
        The lowest and highest accumulator, which some input reaches.
    symbols : tuple of str
        Functions of the core that it calls.
    code : int
        Bytes of flash of those and of all that they call. Several steps share what they have in common.
    stack : int
        Bytes of stack of the deepest of them.
    worst_cycles, mean_cycles : float or None
        Cycles (AVRxt) of the slowest input and on average; None where they are not predicted.
    alternatives : tuple of Alternative
        What else it could have been, and what that would cost: the best first, those that exceed a limit last.
    """

    name: str
    kernel: str
    encoding: str
    layers: tuple[int, ...]
    weights: int
    bias: int
    tables: int
    params: int
    own_code: int
    x_offset: int
    x_size: int
    tail: int
    y_offset: int
    y_size: int
    scratch_offset: int
    scratch_size: int
    macs: int
    acc_bits: int
    acc_low: int
    acc_high: int
    symbols: tuple[str, ...]
    code: int
    stack: int
    worst_cycles: float | None
    mean_cycles: float | None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def flash(self) -> int:
        """Bytes of flash."""
        return self.weights + self.bias + self.tables + self.params + self.own_code

    @property
    def arena(self) -> int:
        """Bytes of the arena up to the end of the last of its buffers."""
        ends = (self.x_offset + self.x_size + self.tail, self.y_offset + self.y_size, self.scratch_offset + self.scratch_size)
        return max(ends[: 3 if self.scratch_size else 2])


@dataclass(frozen=True)
class Plan:
    """Cost of a model.

    Parameters
    ----------
    name : str
        The model's.
    optimize : str
        What its encodings were chosen for.
    arena : int
        Bytes of RAM for activations, all of the RAM that the model needs beside the stack.
    steps : tuple of StepPlan
        One a kernel call, in order.
    golden : int
        Bytes of flash of one golden pair; only a program that calls the self-test carries golden pairs.
    kernels, calls : int
        Bytes of code: of the core's functions with what they call, and of ``model_run``.
    link : int
        Bytes of flash of the firmware around the model, with two golden pairs and the self-test.
    ram : int
        Bytes of static RAM of the firmware, the arena included.
    stack : int
        Bytes of stack that the firmware takes at most.
    unknown : tuple of str
        Functions whose code and stack the table of costs does not know; they are not counted.
    program : Program
        The kernel calls and where their buffers lie: the model's own, or one of the same layers that needs less RAM.
    chip : Chip
        What it was made for.
    exceeded : mapping of str to float
        The limits that decided the choice, see :class:`~enginekit.encode.alternatives.Reasons`.
    unlimited : tuple of str
        Encodings of the best combination without limits, where those decided.
    """

    name: str
    optimize: str
    arena: int
    steps: tuple[StepPlan, ...]
    golden: int
    kernels: int
    calls: int
    link: int
    ram: int
    stack: int
    unknown: tuple[str, ...]
    program: Program
    chip: Chip = ATMEGA4809
    exceeded: Mapping[str, float] = field(default_factory=dict)
    unlimited: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """Bytes of code beyond the data and the link."""
        return self.kernels + self.calls

    @property
    def firmware(self) -> int:
        """Bytes of flash of the whole firmware."""
        return self.flash + self.code + self.link

    @property
    def worst_ms(self) -> float | None:
        """Milliseconds of the slowest input at the chip's clock; None where a step is not predicted."""
        return self._ms([step.worst_cycles for step in self.steps])

    @property
    def mean_ms(self) -> float | None:
        """Milliseconds on average at the chip's clock, see :func:`enginekit.encode.choose.encode`."""
        return self._ms([step.mean_cycles for step in self.steps])

    def _ms(self, cycles: Sequence[float | None]) -> float | None:
        known = [each for each in cycles if each is not None]
        return 1000 * (FRAME_CYCLES + sum(known)) / self.chip.clock if len(known) == len(cycles) else None

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
        steps = [
            vars(step)
            | {"layers": list(step.layers), "symbols": list(step.symbols), "flash": step.flash, "arena": step.arena}
            | {"alternatives": [vars(each) | {"symbols": list(each.symbols)} for each in step.alternatives]}
            for step in self.steps
        ]
        return {
            **{key: value for key, value in vars(self).items() if key not in _IN_OTHER_FORM},
            **{key: getattr(self, key) for key in ("flash", "code", "firmware", "macs", "worst_ms", "mean_ms")},
            "unknown": list(self.unknown),
            "exceeded": dict(self.exceeded),
            "unlimited": list(self.unlimited),
            "chip": self.chip.name,
            "steps": steps,
        }


def plan(model: Model, optimize: Optimize | Encoding = Optimize.SIZE, *, samples: NDArray[Any] | None = None) -> Plan:
    """Give what `model` costs on the chip.

    Parameters
    ----------
    model : Model
        Any int8 model.
    optimize : Optimize or Encoding
        As for :func:`enginekit.emit.emit`.
    samples : array[n, ...], optional
        Inputs of the model for means and for the ranges that accumulators are proven over; without, all inputs.

    Returns
    -------
    Plan
        Arena and static RAM are exact, and so is the flash of the data that :func:`enginekit.emit.emit` writes. Code is that of
        the firmware as avr-gcc 5.4 compiles it, see :mod:`enginekit.costs`.
    """
    pair = sum(tensor_bytes(tensor) for tensor in (*model.inputs, *model.outputs))
    encoding = encode(model, optimize, samples=samples)
    table = encoding.table
    program, why = encoding.program, encoding.reasons
    proofs = joined(prove(model, samples), program)
    others = why.alternatives or ((),) * len(program.steps)
    steps = tuple(_step_plan(*each, table) for each in zip(program.steps, encoding.steps, proofs, others, strict=True))
    return Plan(
        name=model.graph.name,
        optimize=encoding.optimize.value,
        arena=encoding.arena,
        steps=steps,
        golden=pair,
        kernels=encoding.kernels,
        calls=encoding.calls + FRAME_CODE,
        link=fixed_flash(model, table) - FRAME_CODE,
        ram=static_ram(model, table, encoding.arena, sum(placed.candidate.ram for placed in encoding.steps)),
        stack=stack_bound(table, encoding.stack),
        unknown=encoding.unknown,
        program=program,
        chip=table.chip,
        exceeded=why.exceeded,
        unlimited=why.unlimited,
    )


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


def _step_plan(step: Step, placed: Placed, proof: Proof, others: tuple[Alternative, ...], table: Table) -> StepPlan:
    weights, bias, tables, params, own_code = placed.candidate.data
    return StepPlan(
        name=step.name,
        kernel=step.kernel,
        encoding=placed.candidate.encoding,
        layers=step.layers,
        weights=weights,
        bias=bias,
        tables=tables,
        params=params,
        own_code=own_code,
        x_offset=step.x_offset,
        x_size=step.x_size,
        tail=placed.candidate.tail,
        y_offset=step.y_offset,
        y_size=step.y_size,
        scratch_offset=placed.scratch,
        scratch_size=placed.candidate.scratch,
        macs=macs(step),
        acc_bits=proof.bits,
        acc_low=proof.low,
        acc_high=proof.high,
        symbols=placed.candidate.symbols,
        code=table.code(placed.candidate.symbols),
        stack=placed.stack,
        worst_cycles=placed.worst,
        mean_cycles=placed.mean,
        alternatives=others,
    )
