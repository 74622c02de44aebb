"""Which of its candidates each step of a model gets, and where its scratch lies in the arena."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import DoesNotFitError
from engine.model import Model
from engine.program import Program, Step
from enginekit import costs
from enginekit.costs.calls import ENTRY_CYCLES, EXIT_CYCLES, call_bytes, call_count, call_cycles
from enginekit.encode.alternatives import Judgement, Reasons, reasons
from enginekit.encode.candidate import Candidate, Context, Encoder, Place, StepText
from enginekit.encode.chain import CHAIN, ChainParams
from enginekit.encode.compressed import compressed_layers
from enginekit.encode.conv import conv3x3_pool2_layers
from enginekit.encode.conv_code import conv3x3_code_layers
from enginekit.encode.dense_calls import dense_calls_layers
from enginekit.encode.dense_layer import dense_layers
from enginekit.encode.dense_pairs import dense_pairs_layers
from enginekit.encode.depthwise import depthwise_layers
from enginekit.encode.footprint import fixed_flash, stack_bound, static_ram
from enginekit.encode.im2col import im2col_layers
from enginekit.encode.memory import least_arena, programs
from enginekit.encode.plain import Plain, plain
from enginekit.encode.rest import Rest, rest_of
from enginekit.encode.room import room, usable
from enginekit.encode.search import Combination, Objective, Option, frontier
from enginekit.encode.strips import strips_layers
from enginekit.proofs import Proof, prove
from enginekit.toolchain import STACK
from enginekit.work import macs

#: Every way of emitting a step. A new one is one class and one function, named here.
ENCODERS: tuple[Encoder, ...] = (
    plain,
    dense_pairs_layers,
    dense_layers,
    dense_calls_layers,
    compressed_layers,
    conv3x3_pool2_layers,
    conv3x3_code_layers,
    im2col_layers,
    depthwise_layers,
    strips_layers,
)
#: Cycles that a byte of flash is worth when the code is chosen for speed: no kernel is added for next to nothing.
_SPEED_BYTE = 4.0
#: What a cycle of the slowest input counts beside one of the mean.
_SPEED_WORST = 0.25
#: Cycles of a byte of flash when it is chosen for size, the other way round.
_SIZE_BYTE = 1e5
#: What is assumed where cycles are not predicted: cycles a multiply-add of a plain kernel and of another, and a byte written.
_GUESS_PLAIN, _GUESS_MAC, _GUESS_OUTPUT = 60, 12, 250


class Optimize(Enum):
    """What the emitted code is chosen for: fewest bytes of flash, fewest cycles, or the least product of both."""

    SIZE = "size"
    SPEED = "speed"
    BALANCED = "balanced"


@dataclass(frozen=True)
class Limits:
    """What a choice must keep to; None where it need not.

    Parameters
    ----------
    flash, ram : int or None
        Bytes of the whole firmware: code, link and two golden pairs included; static RAM, arena and stack.
    ms : float or None
        Milliseconds of the slowest input at 20 MHz.
    acc_bits : int or None
        Bits of the widest accumulator, see :mod:`enginekit.proofs`.
    """

    flash: int | None = None
    ram: int | None = None
    ms: float | None = None
    acc_bits: int | None = None


@dataclass(frozen=True)
class Placed:
    """A step's candidate, where in the arena its scratch lies, its stack, and its cycles.

    Those are of the slowest input and the mean; None where they are not predicted.
    """

    candidate: Candidate
    scratch: int
    stack: int = 0
    worst: float | None = None
    mean: float | None = None


@dataclass(frozen=True)
class Encoding:
    """How each step of a program is emitted, in order, the bytes of arena that they all need, and what it was chosen for."""

    steps: tuple[Placed, ...]
    arena: int
    optimize: Optimize
    #: The calls and where they find their data: the model's own program, or one of the same layers that needs less RAM.
    program: Program
    #: Bytes of code of the kernels, by the table of costs; of the calls; kernels that the table does not know.
    kernels: int = 0
    calls: int = 0
    unknown: tuple[str, ...] = field(default=())
    #: Bytes of stack of the deepest kernel.
    stack: int = 0
    #: What the costs are from.
    table: costs.Table = field(default_factory=costs.load)
    #: Over what each step was chosen, and which limits decided.
    reasons: Reasons = field(default_factory=Reasons)

    @property
    def encoded(self) -> dict[int, Candidate]:
        """Those that are not plain, by the step's index."""
        return {index: placed.candidate for index, placed in enumerate(self.steps) if not isinstance(placed.candidate, Plain)}


def candidates(
    model: Model,
    proofs: Sequence[Proof],
    index: int,
    encoders: Sequence[Encoder] = ENCODERS,
    table: costs.Table | None = None,
) -> list[Candidate]:
    """Give every candidate of a step; `proofs` are those of the model, for every input."""
    context = _context(model, model.program, proofs, index, costs.load() if table is None else table)
    return [each for each in _encoded(encoders, context) if usable(model.program, index, each)]


def _context(model: Model, program: Program, proofs: Sequence[Proof], index: int, table: costs.Table) -> Context:
    step, first = program.steps[index], sum(len(_steps(each)) for each in program.steps[:index])
    parts = tuple(
        Context(replace(program, steps=(part,)), 0, proofs[first + n].x_range, _zero_x(model, part), None, table)
        for n, part in enumerate(_steps(step))
    )
    return Context(program, index, proofs[first].x_range, _zero_x(model, step), _rest(model, program, index), table, parts)


def _encoded(encoders: Sequence[Encoder], context: Context) -> Iterator[Candidate]:
    """Give what all encoders give; of a chain only that of chains gives any."""
    for encoder in encoders:
        if (context.step.kernel == CHAIN) == (encoder is strips_layers):
            yield from encoder(context)


def _steps(step: Step) -> tuple[Step, ...]:
    """Give a chain's steps, or the one that it is."""
    return step.params.steps if isinstance(step.params, ChainParams) else (step,)


def _zero_x(model: Model, step: Step) -> int:
    return model.graph.tensors[step.x].zero_point


def _rest(model: Model, program: Program, index: int) -> Rest | None:
    """Say what a step reads where the image is blank, if a convolution wrote all of it."""
    step, before = program.steps[index], program.steps[index - 1]
    if index == 0 or (before.y_offset, before.y_size) != (step.x_offset, step.x_size):
        return None
    before = _steps(before)[-1]
    return rest_of(before, _zero_x(model, before))


def _blank(model: Model, program: Program, index: int) -> NDArray[np.int8]:
    """Make an input of a step as :func:`step_inputs` gives them, of zero points, or of what a convolution makes of them."""
    step, rest = program.steps[index], _rest(model, program, index)
    parts = [np.full(part.x_size, _zero_x(model, part) & 0xFF, np.uint8).view(np.int8) for part in _steps(step)]
    if rest is not None and step.x_size % len(rest.codes) == 0:
        parts[0] = np.tile(rest.codes, step.x_size // len(rest.codes))
    zero_x2 = 0 if step.x2 is None else model.graph.tensors[step.x2].zero_point
    return np.concatenate([*parts, np.full(step.x2_size, zero_x2, np.int8)])[None]


def step_inputs(model: Model, x: NDArray[Any]) -> Iterator[NDArray[np.int8]]:
    """Yield what each step reads, ``int8[n, x_size + x2_size]`` (bytes, if it is no int8), when the model runs `x`."""
    program = model.program
    places = {program.input_offsets[0]: np.ascontiguousarray(x)}
    for step, trace in zip(program.steps, model.trace(x), strict=True):
        read = [step.x_offset] + ([] if step.x2 is None else [step.x2_offset])
        yield np.concatenate([places[offset].view(np.int8).reshape(len(x), -1) for offset in read], axis=1)
        places[step.y_offset] = np.ascontiguousarray(trace.array)


def encode(
    model: Model,
    optimize: Optimize | Encoding,
    *,
    limits: Limits = Limits(),
    samples: NDArray[Any] | None = None,
    encoders: Sequence[Encoder] = ENCODERS,
    table: costs.Table | None = None,
) -> Encoding:
    """Choose encodings.

    Parameters
    ----------
    model : Model
    optimize : Optimize or Encoding
        What to choose for; a choice made before is returned as it is.
    limits : Limits
        What the choice must keep to.
    samples : array, optional
        Inputs of the model, over which the cycles of kernels that depend on them are averaged. Without, they count half-way
        between the slowest input and a blank one.
    encoders : sequence of Encoder
        Where candidates come from. On a chip that does not map its flash, layers are plain.
    table : Table, optional
        Costs with a toolchain on a chip; by default Debian 12's, ATmega4809.

    Returns
    -------
    Encoding
        The best combination that keeps to the limits, over all candidates of all steps: the code of a kernel is paid for once.
        Its `reasons` say over what each step was chosen, and which limits decided.

    Raises
    ------
    DoesNotFitError
        If an accumulator is wider than allowed, or no combination keeps to the limits: says by how much the nearest one does
        not, and what it is.
    """
    if isinstance(optimize, Encoding):
        return optimize
    table, proofs = costs.load() if table is None else table, prove(model)
    _check_accumulators(model, proofs, limits)
    makers = encoders if table.chip.mapped_flash else (plain,)
    choice = _Choice(model, proofs, samples, makers, table, limits, _OBJECTIVES[optimize])
    if makers is not ENCODERS:
        return choice.encoding(optimize, model.program, choice.best(model.program))
    return _smallest(choice, optimize)


def _smallest(choice: _Choice, optimize: Optimize) -> Encoding:
    """Choose the model's own program, or one that needs less RAM: at no cost, or where there is too little."""
    own, smaller = choice.model.program, list(programs(choice.model))
    whole = [program for program in smaller if all(step.kernel != CHAIN for step in program.steps)]
    refused = None
    try:
        found = [(program, choice.best(program)) for program in (own, *whole)]
        program, best = min(found, key=lambda each: (choice.objective(each[1]), each[1].arena))
        if choice.fits(best):
            return choice.encoding(optimize, program, best)
    except DoesNotFitError as error:
        refused = error
        if choice.limits.ram is None:
            raise
    small = choice.within_the_chip
    for program in (own, *smaller):
        if least_arena(program) > (small.limits.ram or 0):
            continue
        with suppress(DoesNotFitError):
            return small.encoding(optimize, program, small.best(program))
    if refused is not None:
        raise refused
    return choice.encoding(optimize, own, found[0][1])


#: A candidate, and its cycles with the slowest input and on average.
_Priced = tuple[Candidate, float | None, float | None]


@dataclass(frozen=True, eq=False)
class _Choice:
    """What combinations are chosen from and for."""

    model: Model
    proofs: Sequence[Proof]
    samples: NDArray[Any] | None
    encoders: Sequence[Encoder]
    table: costs.Table
    limits: Limits
    objective: Objective
    known: dict[Any, list[_Priced]] = field(default_factory=dict)
    offered: dict[int, tuple[Program, list[list[Option]]]] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> list[NDArray[np.int8]] | None:
        """What each step of the model's own program reads."""
        return None if self.samples is None else list(step_inputs(self.model, self.samples))

    def best(self, program: Program) -> Combination:
        """Find the best combination of a program that keeps to the limits."""
        return min(_within(self, program, self.options(program)), key=self.objective)

    def options(self, program: Program) -> list[list[Option]]:
        """Give the options of all steps of a program, the same ones each time."""
        if id(program) not in self.offered:
            found = [self._options(program, index) for index in range(len(program.steps))]
            self.offered[id(program)] = (program, found)
        return self.offered[id(program)][1]

    def _options(self, program: Program, index: int) -> list[Option]:
        """Give the options of a step; candidates and their cycles are the same wherever its buffers lie."""
        context = _context(self.model, program, self.proofs, index, self.table)
        key = context.step.layers, context.step.kernel, context.rest is None
        if key not in self.known:
            self.known[key] = [(each, *self._cycles(each, program, index)) for each in _encoded(self.encoders, context)]
        return [_option(program, index, self.table, each) for each in self.known[key] if usable(program, index, each[0])]

    def _cycles(self, candidate: Candidate, program: Program, index: int) -> tuple[float | None, float | None]:
        """Cycles of the slowest input and the mean."""
        if self.inputs is None:
            worst, quick = candidate.cycles, candidate.mean_cycles(_blank(self.model, program, index))
            return worst, None if worst is None or quick is None else (worst + quick) / 2
        first = sum(len(_steps(each)) for each in program.steps[:index])
        inputs = self.inputs[first : first + len(_steps(program.steps[index]))]
        return candidate.cycles, candidate.mean_cycles(np.concatenate(inputs, axis=1))

    def fits(self, found: Combination) -> bool:
        """Whether the chip has the RAM for a combination, with the stack that a firmware is built with at least."""
        ram = _ram(self.model, found, self.table)
        return ram + max(STACK - stack_bound(self.table, found.stack), 0) <= self.table.chip.ram

    @property
    def within_the_chip(self) -> _Choice:
        """The same choice, of what the chip's RAM holds at most."""
        spare = max(STACK - self.table.stack, 0)
        ram = self.table.chip.ram - spare
        ram = ram if self.limits.ram is None else min(ram, self.limits.ram)
        return replace(self, limits=replace(self.limits, ram=ram))

    def encoding(self, optimize: Optimize, program: Program, found: Combination) -> Encoding:
        """Make the choice, and say over what it was made."""
        options = self.options(program)
        free = self.limits == Limits()
        best = found if free else min(frontier(options, self.table, self.objective), key=self.objective)
        by = Judgement(self.objective, lambda each: _excess(self.model, each, self.limits, self.table), self.table)
        return replace(_encoding(program, found, optimize, self.table), reasons=reasons(options, found, best, by))


_OBJECTIVES: dict[Optimize, Objective] = {
    Optimize.SPEED: lambda c: c.mean + _SPEED_WORST * c.worst + _SPEED_BYTE * c.flash,
    Optimize.SIZE: lambda c: c.mean + _SIZE_BYTE * c.flash,
    Optimize.BALANCED: lambda c: (1 + c.mean) * (1 + c.flash),
}
#: The same in words.
SOUGHT = {
    Optimize.SPEED: f"fewest cycles on average with {_SPEED_WORST:g} of the slowest input's, "
    f"a byte of flash counting {_SPEED_BYTE:g}",
    Optimize.SIZE: "fewest bytes of flash, then fewest cycles on average",
    Optimize.BALANCED: "least product of flash and average cycles",
}


def _check_accumulators(model: Model, proofs: Sequence[Proof], limits: Limits) -> None:
    wide = [proof for proof in proofs if limits.acc_bits is not None and proof.bits > limits.acc_bits]
    if wide:
        texts = [f"{p.name} needs {p.bits} (its accumulator reaches {p.low:,} to {p.high:,})" for p in wide]
        raise DoesNotFitError(
            f"model {model.graph.name!r}: accumulators of {limits.acc_bits} bits do not hold: {'; '.join(texts)}"
        )


def _option(program: Program, index: int, table: costs.Table, priced: _Priced) -> Option:
    step, (candidate, worst, mean) = program.steps[index], priced
    scratch, end = room(program, index, candidate)
    predicted = worst is not None and mean is not None
    guess = float((_GUESS_PLAIN if isinstance(candidate, Plain) else _GUESS_MAC) * macs(step) + _GUESS_OUTPUT * step.y_size)
    return Option(
        candidate,
        candidate.flash + 24 * max(len(candidate.symbols), len(candidate.ends)),
        end,
        scratch,
        table.deepest(candidate.symbols) if candidate.own_stack is None else candidate.own_stack,
        guess if worst is None else float(worst),
        guess if mean is None else float(mean),
        predicted,
    )


def _excess(model: Model, found: Combination, limits: Limits, table: costs.Table) -> dict[str, float]:
    """By how much a combination exceeds each limit, relative to it."""
    used = {
        "flash": found.flash + fixed_flash(model, table),
        "ram": _ram(model, found, table),
        "ms": 1000 * found.worst / table.chip.clock,
    }
    bounds = {"flash": limits.flash, "ram": limits.ram, "ms": limits.ms}
    return {key: used[key] - bound for key, bound in bounds.items() if bound is not None and used[key] > bound}


def _ram(model: Model, found: Combination, table: costs.Table) -> int:
    """Bytes of static RAM and stack of the firmware."""
    constants = sum(option.candidate.ram for option in found.options)
    return static_ram(model, table, found.arena, constants) + stack_bound(table, found.stack)


def _within(choice: _Choice, program: Program, options: Sequence[Sequence[Option]]) -> list[Combination]:
    """List the combinations that keep to the limits, for every depth of stack that leaves the arena enough room."""
    model, limits, objective, table = choice.model, choice.limits, choice.objective, choice.table
    seen: list[Combination] = []
    if limits.ram is None:
        seen = frontier(options, table, objective)
    else:
        for deepest in {option.stack for step in options for option in step} or {0}:
            most = limits.ram - table.ram - stack_bound(table, deepest)
            small = [[o for o in step if o.stack <= deepest and o.arena <= most] for step in options]
            seen += frontier(small, table, objective) if all(small) else []
    fitting = [found for found in seen if not _excess(model, found, limits, table)]
    if not fitting:
        raise DoesNotFitError(_refusal(choice, program, frontier(options, table, objective)))
    sure = [found for found in fitting if all(option.predicted for option in found.options)]
    if limits.ms is not None and not sure:
        names = [s.name for s, o in zip(program.steps, fitting[0].options, strict=True) if not o.predicted]
        about = f"cycles of {', '.join(names)} are not predicted: {limits.ms} ms cannot be promised"
        raise DoesNotFitError(f"model {model.graph.name!r}: {about}")
    return fitting if limits.ms is None else sure


def _refusal(choice: _Choice, program: Program, seen: Sequence[Combination]) -> str:
    model, limits, table = choice.model, choice.limits, choice.table
    bounds = {"flash": limits.flash or 1, "ram": limits.ram or 1, "ms": limits.ms or 1}

    def distance(found: Combination) -> float:
        return sum(amount / bounds[key] for key, amount in _excess(model, found, limits, table).items())

    nearest = min(seen, key=distance)
    lacks = _excess(model, nearest, limits, table)
    texts = {
        "flash": "flash: {:,.0f} bytes too many for {:,}",
        "ram": "RAM: {:,.0f} bytes too many for {:,}",
        "ms": "slowest input: {:.2f} ms too many for {:,}",
    }
    problems = "; ".join(texts[key].format(amount, bounds[key]) for key, amount in lacks.items())
    pairs = zip(program.steps, nearest.options, strict=True)
    chosen = ", ".join(f"{step.name}: {option.candidate.encoding}" for step, option in pairs)
    return f"model {model.graph.name!r}: no combination of encodings keeps to the limits. The nearest ({chosen}): {problems}"


def _encoding(program: Program, found: Combination, optimize: Optimize, table: costs.Table) -> Encoding:
    edges = max((offset + 1 for offset in (*program.input_offsets, *program.output_offsets)), default=0)
    pairs = zip(program.steps, found.options, strict=True)
    texts = [option.candidate.emit(Place(step, "model", option.scratch)) for step, option in pairs]
    placed = _placed(found.options, texts)
    return Encoding(
        placed,
        max(found.arena, edges, program.arena if not placed else 0),
        optimize,
        program,
        table.code(found.symbols),
        sum(call_bytes(text.calls) for text in texts),
        tuple(table.unknown(name for each in placed if each.candidate.own_stack is None for name in each.candidate.symbols)),
        found.stack,
        table,
    )


def _placed(options: Sequence[Option], texts: Sequence[StepText]) -> tuple[Placed, ...]:
    """Add the cycles of the calls, which options do not know, and of the function around them."""
    calls = [call_cycles(text.calls) for text in texts]
    if sum(call_count(text.calls) for text in texts) > 1:
        calls[0] += ENTRY_CYCLES
        calls[-1] += EXIT_CYCLES
    return tuple(
        Placed(o.candidate, o.scratch, o.stack, *((o.worst + more, o.mean + more) if o.predicted else (None, None)))
        for o, more in zip(options, calls, strict=True)
    )
