"""Where a model's tensors lie on the chip: programs that need less RAM than the host's, of the same layers and the same codes.

Depthwise and pixelwise convolutions can write where they read, and a chain of layers with sliding windows can be computed in
strips: then no map within the chain is ever whole, see :mod:`enginekit.encode.strips`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.arena import Buffer, place
from engine.model import Model
from engine.program import Conv2DParams, Program, Step
from enginekit.encode.chain import CHAIN, ChainParams
from enginekit.encode.footprint import tensor_bytes
from enginekit.encode.strips import least_room, shape_of

#: Kernels of convolutions that some encoding of computes in place.
SLIDING = ("conv2d_s8", "depthwise_conv2d_s8")
#: Layers of a chain at most.
_LONGEST = 4


@dataclass(frozen=True)
class Flow:
    """Which buffer each step reads and writes, by number.

    Parameters
    ----------
    x, y : tuple of int
        Of each step.
    x2 : tuple of int or None
    inputs, outputs : tuple of int
        Of the program.
    sizes, alignments : tuple of int
        Of each buffer, in bytes.
    """

    x: tuple[int, ...]
    x2: tuple[int | None, ...]
    y: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sizes: tuple[int, ...]
    alignments: tuple[int, ...]

    def readers(self, buffer: int) -> list[int]:
        """List the steps that read a buffer; the number of steps stands for the caller of the program."""
        found = [index for index, pair in enumerate(zip(self.x, self.x2, strict=True)) if buffer in pair]
        return found + [len(self.x)] * (buffer in self.outputs)


def flow_of(model: Model) -> Flow:
    """Follow what lies in the arena from step to step."""
    program, tensors = model.program, model.graph.tensors
    sizes: list[int] = []
    alignments: list[int] = []
    held: dict[int, int] = {}

    def new(offset: int, size: int, alignment: int) -> int:
        for at, other in list(held.items()):
            if at < offset + size and offset < at + sizes[other]:
                del held[at]
        sizes.append(size)
        alignments.append(alignment)
        held[offset] = len(sizes) - 1
        return held[offset]

    inputs = []
    for tensor, offset in zip(model.inputs, program.input_offsets, strict=True):
        inputs.append(new(offset, tensor_bytes(tensor), tensor.dtype.itemsize))
    x: list[int] = []
    x2: list[int | None] = []
    y: list[int] = []
    wrote: dict[int, int] = {}
    for step in program.steps:
        x.append(held[step.x_offset])
        x2.append(None if step.x2 is None else held[step.x2_offset])
        known = wrote.get(step.y)  # a concatenation is written in pieces
        in_place = held.get(step.y_offset) if held.get(step.y_offset) in (x[-1], x2[-1]) else None
        again = known if known is not None and held.get(step.y_offset) == known else in_place
        y.append(new(step.y_offset, step.y_size, tensors[step.y].dtype.itemsize) if again is None else again)
        wrote[step.y] = y[-1]
    outputs = tuple(held[offset] for offset in program.output_offsets)
    return Flow(tuple(x), tuple(x2), tuple(y), tuple(inputs), outputs, tuple(sizes), tuple(alignments))


def programs(model: Model) -> Iterator[Program]:
    """Yield programs of the same layers that need less and less RAM, without the model's own."""
    flow = flow_of(model)
    whole: list[tuple[int, ...]] = [(index,) for index in range(len(model.program.steps))]
    shared = _in_place(model.program, flow)
    best = model.program
    if shared:
        found = _placed(model, flow, whole, shared)
        if found.arena < best.arena:
            best = found
            yield best
    units = whole
    while True:
        ways = [
            (least_arena(program), program, chain)
            for chain in _chains(model, flow, units)
            for program in [_placed(model, flow, chain, shared)]
        ]
        if not ways:
            return
        need, program, chosen = min(ways, key=lambda way: (way[0], len(model.program.steps) - len(way[2])))
        if need >= least_arena(best):
            return
        best, units = program, chosen
        yield best


def _in_place(program: Program, flow: Flow) -> dict[int, int]:
    """Find convolutions that can write where they read: what they write -> what they read."""
    found: dict[int, int] = {}
    for index, step in enumerate(program.steps):
        x, params = flow.x[index], step.params
        if step.kernel not in SLIDING or not isinstance(params, Conv2DParams) or params.in_c != params.out_c:
            continue
        v = params.window
        if step.kernel == "conv2d_s8" and ((v.kernel_h, v.kernel_w) != (1, 1) or v.out_h * v.out_w % 2):
            continue
        if max(flow.readers(x)) == index and flow.sizes[x] == step.y_size:
            found[flow.y[index]] = x
    return found


def _chains(model: Model, flow: Flow, units: Sequence[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Yield the units of a program with one chain more."""
    steps = model.program.steps
    for first in range(len(units)):
        run = list(units[first])
        for last in range(first + 1, min(first + _LONGEST, len(units))):
            if any(len(unit) > 1 for unit in units[first : last + 1]) or not _follows(steps, flow, units[last][0]):
                break
            run.append(units[last][0])
            yield [*units[:first], tuple(run), *units[last + 1 :]]


def _follows(steps: Sequence[Step], flow: Flow, index: int) -> bool:
    """Whether a step slides over what the step before it wrote for it alone."""
    before, after = shape_of(steps[index - 1]), shape_of(steps[index])
    if before is None or after is None or flow.x[index] != flow.y[index - 1]:
        return False
    return flow.readers(flow.x[index]) == [index] and before.fits(after)


def least_arena(program: Program) -> int:
    """Bytes of the arena with the least that chains need for strips."""
    rooms = [
        step.x_size + step.y_size + least_room(step.params) for step in program.steps if isinstance(step.params, ChainParams)
    ]
    return max(program.arena, *rooms, 0)


def _placed(model: Model, flow: Flow, units: Sequence[tuple[int, ...]], shared: dict[int, int]) -> Program:
    """Place the buffers of a program anew, `shared` ones where others lie, those within chains nowhere."""
    steps = model.program.steps
    inner = {flow.y[index] for unit in units for index in unit[:-1]}
    lone = {flow.y[unit[0]] for unit in units if len(unit) == 1}
    home: dict[int, int] = {}
    for number in range(len(flow.sizes)):  # what is read has a lower number than what is written
        home[number] = home[shared[number]] if number in shared and number in lone else number
    born = {home[number]: -1 for number in flow.inputs}
    last = dict(born)
    for time, unit in enumerate(units):
        written = home[flow.y[unit[-1]]]
        born.setdefault(written, time)
        used = (flow.x[unit[0]], flow.x2[unit[0]], flow.y[unit[-1]])
        last |= {home[each]: time for each in used if each is not None}
    last |= {home[number]: len(units) for number in flow.outputs}
    numbers = [number for number in born if number not in inner or number in last]
    layout = place([Buffer(flow.sizes[n], born[n], last[n], flow.alignments[n]) for n in numbers])
    offset = dict(zip(numbers, layout.offsets, strict=True))

    def at(number: int | None) -> int:
        return 0 if number is None else offset[home[number]]

    made = tuple(
        replace(
            _joined([steps[index] for index in unit]),
            x_offset=at(flow.x[unit[0]]),
            y_offset=at(flow.y[unit[-1]]),
            x2_offset=at(flow.x2[unit[0]]),
        )
        for unit in units
    )
    return Program(made, layout.size, tuple(map(at, flow.inputs)), tuple(map(at, flow.outputs)))


def _joined(steps: Sequence[Step]) -> Step:
    """Make one step of several."""
    first, last = steps[0], steps[-1]
    if len(steps) == 1:
        return first
    layers = tuple(layer for step in steps for layer in step.layers)
    bound = max(step.acc_bound for step in steps)
    name = f"{first.name}_to_{last.name}"
    sizes = first.x_size, last.y_size, 0
    params: Any = ChainParams(tuple(steps))
    return Step(CHAIN, layers, name, params, None, None, first.x, last.y, 0, 0, 0, *sizes, bound)
