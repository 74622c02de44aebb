"""Where a candidate's scratch lies in the arena, and what it may overwrite."""

from __future__ import annotations

from engine.program import Program
from enginekit.encode.candidate import Candidate
from enginekit.encode.memory import SLIDING
from enginekit.encode.plain import Plain


def room(program: Program, index: int, candidate: Candidate) -> tuple[int, int]:
    """Find where a candidate's scratch lies, and where all that its step uses ends."""
    step = program.steps[index]
    ends = [step.x_offset + step.x_size + candidate.tail, step.x2_offset + step.x2_size, step.y_offset + step.y_size]
    scratch = 0
    if isinstance(candidate, Plain):
        scratch = step.scratch_offset
    elif candidate.scratch:
        scratch = _hole(program, index, candidate.scratch, candidate.tail)
    if candidate.scratch:
        ends.append(scratch + candidate.scratch)
    return scratch, max(ends)


def usable(program: Program, index: int, candidate: Candidate) -> bool:
    """Whether what a candidate changes behind its input is free, and whether it may write where it reads if it is to."""
    step = program.steps[index]
    in_place = step.kernel in SLIDING and step.x_offset == step.y_offset
    return (candidate.tail == 0 or _tail_is_free(program, index, candidate)) and (candidate.in_place or not in_place)


def _live(program: Program, index: int) -> list[tuple[int, int]]:
    """List the parts of the arena that hold what a step or a later one reads, when that step begins."""
    wanted = [(s.x_offset, s.x_offset + s.x_size) for s in program.steps[index:]]
    wanted += [(s.x2_offset, s.x2_offset + s.x2_size) for s in program.steps[index:]]
    outputs = [(offset, offset + 1) for offset in program.output_offsets]
    written = [(s.y_offset, s.y_offset + s.y_size) for s in program.steps[:index]]
    written += [(s.x_offset, s.x_offset + s.x_size) for s in program.steps[: index + 1]]
    return [a for a in written if any(a[0] < b[1] and b[0] < a[1] for b in (*wanted, *outputs))]


def _tail_is_free(program: Program, index: int, candidate: Candidate) -> bool:
    """Whether what a candidate changes behind its input is read by nobody."""
    begin = program.steps[index].x_offset + program.steps[index].x_size
    return not any(start < begin + candidate.tail and begin < end for start, end in _live(program, index))


def _hole(program: Program, index: int, size: int, tail: int) -> int:
    """Find the lowest place of `size` bytes that no buffer uses while a step runs; it may end beyond the arena."""
    step = program.steps[index]
    behind = step.x_offset + step.x_size
    place = 0
    for start, end in sorted([*_live(program, index), (step.y_offset, step.y_offset + step.y_size), (behind, behind + tail)]):
        if start - place >= size:
            break
        place = max(place, end)
    return place
