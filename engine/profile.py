"""Where the time of a model goes: seconds, multiply-adds and their rate, step by step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import Program, Step
from engine.summary import macs

#: What moving a byte through a kernel without weights costs, in multiply-adds.
_WORK_PER_BYTE = 4


@dataclass(frozen=True)
class StepProfile:
    """One step: `seconds` for the batch (median), `macs` multiply-adds for the batch."""

    name: str
    kernel: str
    seconds: float
    macs: int

    @property
    def gmacs(self) -> float:
        """Multiply-adds in a nanosecond; 0 where the clock saw no time pass."""
        return self.macs / self.seconds * 1e-9 if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """A model's steps, and the median of their sums.

    Parameters
    ----------
    steps : tuple of StepProfile
        In the order of the program.
    seconds : float
        Median over the repetitions of all steps together; without the call from Python.
    batch : int
        Samples a repetition.
    repeats : int
        Repetitions.
    """

    steps: tuple[StepProfile, ...]
    seconds: float
    batch: int
    repeats: int

    @property
    def macs(self) -> int:
        """Multiply-adds for the batch."""
        return sum(step.macs for step in self.steps)

    @property
    def gmacs(self) -> float:
        """Multiply-adds in a nanosecond; 0 where the clock saw no time pass."""
        return self.macs / self.seconds * 1e-9 if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        steps = [asdict(step) | {"gmacs": step.gmacs} for step in self.steps]
        return asdict(self) | {"steps": steps, "macs": self.macs, "gmacs": self.gmacs}

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("step", "kernel", "us", "share", "MACs", "GMAC/s")]
        total = sum(step.seconds for step in self.steps) or 1.0
        for step in self.steps:
            share = f"{100 * step.seconds / total:.1f}%"
            rows.append((step.name, step.kernel, f"{step.seconds * 1e6:.2f}", share, f"{step.macs:,}", f"{step.gmacs:.2f}"))
        rows.append(("all", "", f"{self.seconds * 1e6:.2f}", "", f"{self.macs:,}", f"{self.gmacs:.2f}"))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        rows.insert(1, tuple("-" * width for width in widths))
        lines = [
            "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
            for cells in (list(zip(row, widths, strict=True)) for row in rows)
        ]
        samples = "1 sample" if self.batch == 1 else f"{self.batch} samples"
        return "\n".join([*lines, f"{samples}, median of {self.repeats} runs, 1 thread"])


def profile_of(program: Program, seconds: NDArray[np.float64], batch: int) -> Profile:
    """Make a profile from the seconds of each step, ``float64[repeats, steps]``, for a batch."""
    medians = np.median(seconds, axis=0)
    steps = tuple(
        StepProfile(step.name, step.kernel, float(took), macs(step) * batch)
        for step, took in zip(program.steps, medians, strict=True)
    )
    return Profile(steps, float(np.median(seconds.sum(axis=1))), batch, len(seconds))


def work(step: Step) -> int:
    """How long one sample takes, roughly and in multiply-adds: what decides whether threads pay."""
    return macs(step) + _WORK_PER_BYTE * (step.x_size + step.y_size)
