"""Which of its candidates each step of a model gets, and where its scratch lies in the arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from engine.model import Model
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, DenseParams, DenseWideParams, Params, Program, RequantizeParams
from enginekit.encode.candidate import Candidate, Context, Encoder
from enginekit.encode.conv import conv3x3_pool2_layers
from enginekit.encode.conv_code import conv3x3_code_layers
from enginekit.encode.dense_layer import dense_layers
from enginekit.encode.plain import Plain, plain

#: Every way of emitting a step. A new one is one class and one function, named here.
ENCODERS: tuple[Encoder, ...] = (plain, dense_layers, conv3x3_pool2_layers, conv3x3_code_layers)
#: Cycles that a further kernel must save to be linked too, when the code is chosen for speed.
_KERNEL_PRICE = 50_000


class Optimize(Enum):
    """What the emitted code is chosen for.

    SIZE takes the plain kernels: the least code. SPEED takes encoded weights and their kernels wherever they are proven.
    """

    SIZE = "size"
    SPEED = "speed"


@dataclass(frozen=True)
class Placed:
    """A step's candidate, and where in the arena its scratch lies."""

    candidate: Candidate
    scratch: int


@dataclass(frozen=True)
class Encoding:
    """How each step of a program is emitted, in order, and the bytes of arena that they all need."""

    steps: tuple[Placed, ...]
    arena: int

    @property
    def encoded(self) -> dict[int, Candidate]:
        """Those that are not plain, by the step's index."""
        return {index: placed.candidate for index, placed in enumerate(self.steps) if not isinstance(placed.candidate, Plain)}


def _output_range(params: Params) -> tuple[int, int]:
    if isinstance(params, Conv2DMaxPool2DParams):
        return params.conv.y.lo, params.conv.y.hi
    if isinstance(params, DenseParams | DenseWideParams | Conv2DParams | RequantizeParams):
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


def candidates(model: Model, index: int) -> list[Candidate]:
    """Give every candidate of a step, the plain one first."""
    program = model.program
    step = program.steps[index]
    context = Context(program, index, input_range(program, index), model.graph.tensors[step.x].zero_point)
    return [candidate for encoder in ENCODERS for candidate in encoder(context)]


def encode(model: Model, optimize: Optimize) -> Encoding:
    """Choose encodings.

    Parameters
    ----------
    model : Model
    optimize : Optimize

    Returns
    -------
    Encoding
        Plain kernels with ``Optimize.SIZE``; with ``Optimize.SPEED`` what is fastest as a whole, wherever something faster
        than the plain kernel is proven.
    """
    choices = [candidates(model, index) for index in range(len(model.program.steps))]
    if optimize is Optimize.SIZE:
        return place(model.program, [choice[0] for choice in choices])
    return place(model.program, _fastest([choice[1:] or choice for choice in choices]))


def _fastest(choices: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Find the fewest cycles, those for further kernels included. Chains that call the same kernels compete step by step."""
    best: dict[frozenset[str], tuple[int, list[Candidate]]] = {frozenset(): (0, [])}
    for choice in choices:
        longer: dict[frozenset[str], tuple[int, list[Candidate]]] = {}
        for symbols, (cost, chain) in best.items():
            for candidate in choice:
                union = symbols | frozenset(candidate.symbols)
                total = cost + (candidate.cycles or 0) + _KERNEL_PRICE * len(union - symbols)
                if union not in longer or total < longer[union][0]:
                    longer[union] = (total, [*chain, candidate])
        best = longer
    return min(best.values(), key=lambda found: found[0])[1]


def place(program: Program, chosen: Sequence[Candidate]) -> Encoding:
    """Find room for the scratch of each step's candidate."""
    placed, arena = [], max((offset + 1 for offset in (*program.input_offsets, *program.output_offsets)), default=0)
    for index, (step, candidate) in enumerate(zip(program.steps, chosen, strict=True)):
        scratch = 0
        if isinstance(candidate, Plain):
            scratch = step.scratch_offset
            arena = max(arena, scratch + step.scratch_size if step.scratch_size else 0)
        elif candidate.scratch:
            scratch = _hole(program, index, candidate.scratch)
            arena = max(arena, scratch + candidate.scratch)
        ends = (step.x_offset + step.x_size, step.x2_offset + step.x2_size, step.y_offset + step.y_size)
        arena = max(arena, *ends)
        placed.append(Placed(candidate, scratch))
    return Encoding(tuple(placed), arena)
