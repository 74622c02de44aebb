"""Teaches the simulated ATmega4809 over the serial link, and compares it with the host after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enginekit import sim, toolchain
from enginekit.device import Trainee
from enginekit.trainer.base import Trainer
from enginekit.trainer.sources import Sample, emit_trainer
from enginekit.trainer.writer import STATE

#: ``progress(done, total)``, called after each step.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Course:
    """What the chip has learned and what it cost.

    Parameters
    ----------
    cycles : int64[n]
        Of each step, as the firmware's own timer counts them.
    losses : float64[n]
        Of each sample before its step.
    states : dict of int to bytes
        Steps -> state as the client read it over the link.
    differing : int or None
        The first step after which outcome or state differed from the host's in a byte; None if none did.
    flash, ram, arena, stack : int
        Bytes: the firmware's flash and static RAM, the arena's part of that, the deepest stack.
    """

    cycles: NDArray[np.int64]
    losses: NDArray[np.float64]
    states: dict[int, bytes]
    differing: int | None
    flash: int
    ram: int
    arena: int
    stack: int


def teach(
    trainer: Trainer,
    samples: Sequence[Sample],
    folder: str | Path,
    *,
    usart: int = 3,
    reads: int = 4,
    progress: Progress | None = None,
) -> Course:
    """Build a trainer's firmware, train it on samples on the simulated chip, and its twin on the host.

    Parameters
    ----------
    trainer : Trainer
    samples : sequence of (x, target)
        At least one; one step each, in order.
    folder : path
        Where to build, see :func:`enginekit.toolchain.build_firmware`.
    usart : int
        The chip's serial port.
    reads : int
        How often the state is read over the link, at even distances; the last time at the end. It is read at the start too.
    progress : callable, optional
        ``progress(done, total)``.

    Returns
    -------
    Course

    Raises
    ------
    ToolchainError, DoesNotFitError
        If the firmware cannot be built, or does not fit.
    """
    image = toolchain.build_firmware(emit_trainer(trainer), folder, usart=usart)
    chip = sim.Chip.from_elf(image.elf)
    client, twin = Trainee(sim.SimulatedSerial(chip, usart), trainer), trainer.twin()
    client.hello()
    at = chip.symbol("arena")[0] + trainer.written.offsets[STATE]
    total = len(samples)
    wanted = {round(total * part / reads) for part in range(1, reads + 1)}
    states, lessons, differing = {0: client.read_state()}, [], None
    for step, (x, target) in enumerate(samples, 1):
        lessons.append(client.train(x, target))
        same = lessons[-1][:2] == twin.train(x, target) and chip.read(at, trainer.state) == twin.state()
        if differing is None and not same:
            differing = step
        if step in wanted:
            states[step] = client.read_state()
        if progress is not None:
            progress(step, total)
    return Course(
        cycles=np.array([lesson.cycles for lesson in lessons], np.int64),
        losses=np.array([lesson.loss for lesson in lessons]),
        states=states,
        differing=differing,
        flash=image.flash,
        ram=image.ram,
        arena=trainer.written.arena,
        stack=chip.stack_peak,
    )
