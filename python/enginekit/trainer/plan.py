"""What a trainer takes of the chip, before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import DoesNotFitError
from enginekit import costs
from enginekit.chips import Chip
from enginekit.costs.calls import FRAME_CODE, FRAME_STACK, call_bytes
from enginekit.costs.table import DEFAULT, TRAINER
from enginekit.encode.footprint import tensor_bytes
from enginekit.trainer.base import Trainer
from enginekit.trainer.sources import golden_count

#: The firmware aligns the arena to so many bytes, and its size with it.
ARENA_ALIGNMENT = 4
#: Bytes of code of ``model_start``, the self-test, and entry and return of the four other functions, beside their calls.
_START, _SELFTEST, _FUNCTIONS = 50, 240, 4
#: Bytes of stack of the self-test, which leads deepest.
_SELFTEST_STACK = 18


@dataclass(frozen=True)
class TrainerPlan:
    """Cost of a trainer, bytes.

    Parameters
    ----------
    name : str
        The network's.
    parts : tuple of (str, int)
        What the state consists of: weights and biases, optimizer, gradients of an unfinished batch, generator and counter.
    state, work, arena : int
        RAM that outlives a step; the rest of the arena, with activations, gradients and scratch; both.
    ram : int
        Static RAM of the firmware, the arena included.
    stack : int
        Stack that the firmware takes at most.
    data : int
        Constants in flash: weights at the start, the frozen body, records; without golden samples.
    golden : int
        Golden samples.
    code : int
        Code of kernels and calls, and of the link around, estimated: within 5 % of what the toolchain makes of it.
    unknown : tuple of str
        Functions whose code and stack the table of costs does not know; they are not counted.
    """

    name: str
    parts: tuple[tuple[str, int], ...]
    state: int
    work: int
    arena: int
    ram: int
    stack: int
    data: int
    golden: int
    code: int
    unknown: tuple[str, ...]

    @property
    def flash(self) -> int:
        """Flash of the whole firmware."""
        return self.data + self.golden + self.code

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**vars(self), "parts": dict(self.parts), "unknown": list(self.unknown), "flash": self.flash}


def plan_trainer(trainer: Trainer, *, toolchain: str = DEFAULT) -> TrainerPlan:
    """Give what a trainer costs on the chip; arena, static RAM and data are exact, code and stack those of the toolchain."""
    table = costs.load(TRAINER + toolchain)
    written = trainer.written
    lines = [line for part in written.parts.values() for line in part]
    code = table.code(written.symbols) + call_bytes(lines) + _FUNCTIONS * FRAME_CODE + _START + _SELFTEST
    sample = tensor_bytes(trainer.x) + trainer.target.nbytes
    deepest = max(table.deepest(written.symbols), written.stack)
    aligned = -(-written.arena // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
    return TrainerPlan(
        name=trainer.name,
        parts=_parts(trainer),
        state=trainer.state,
        work=written.arena - trainer.state,
        arena=written.arena,
        ram=table.ram + aligned + trainer.outcome,
        stack=max(table.stack, table.stack_to_model + _SELFTEST_STACK + FRAME_STACK + 2 + deepest),
        data=trainer.flash,
        golden=golden_count(trainer) * sample,
        code=table.flash + code,
        unknown=tuple(table.unknown(written.symbols)),
    )


def _parts(trainer: Trainer) -> tuple[tuple[str, int], ...]:
    """Sum the fields by what they are."""
    sums = {"weights and biases": 0, "optimizer": 0, "gradients": 0, "generator and counter": 0}
    for field in trainer.fields:
        if "/" in field.name:
            kind = "weights and biases"
        elif field.name in ("steps", "rng"):
            kind = "generator and counter"
        else:
            kind = "gradients" if field.name == "gradients" else "optimizer"
        sums[kind] += field.start.nbytes
    return tuple((kind, size) for kind, size in sums.items() if size)


def check_trainer_fits(costs_: TrainerPlan, chip: Chip) -> None:
    """Refuse a trainer that does not fit.

    Raises
    ------
    DoesNotFitError
        Says by how many bytes flash or RAM or both are exceeded, and what takes them.
    """
    problems = []
    if costs_.flash > chip.usable_flash:
        problems.append(
            f"flash: {costs_.data:,} bytes of data, {costs_.golden:,} of golden samples and about {costs_.code:,} of code, but "
            f"{chip.name} has {chip.usable_flash:,}: {costs_.flash - chip.usable_flash:,} bytes too many"
        )
    needed = costs_.ram + costs_.stack
    if needed > chip.ram:
        parts = ", ".join(f"{kind} {size:,}" for kind, size in (*costs_.parts, ("activations and scratch", costs_.work)))
        problems.append(
            f"RAM: {costs_.ram:,} bytes ({parts}) and {costs_.stack:,} of stack, but {chip.name} has {chip.ram:,}: "
            f"{needed - chip.ram:,} bytes too many; train fewer or smaller layers"
        )
    if problems:
        raise DoesNotFitError(f"trainer {costs_.name!r} does not fit. " + ". ".join(problems))
