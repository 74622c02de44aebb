"""Learning rates that change with the step: what an optimizer takes instead of a number. The rules are those of Keras 3.

Steps count updates, from 0, over the life of the optimizer's state.
"""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass
from typing import Any

from engine import _arguments as check


def _rate(owner: str, name: str, value: Any) -> float:
    return check.number(owner, name, value, 0, math.inf)


class Schedule:
    """Base of all schedules."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        raise NotImplementedError


@dataclass(frozen=True)
class PiecewiseConstant(Schedule):
    """``values[i]`` up to and including step ``boundaries[i]``, the last value from then on.

    >>> rate = PiecewiseConstant((100, 200), (0.1, 0.01, 0.001))
    >>> rate(100), rate(101), rate(1000)
    (0.1, 0.01, 0.001)
    """

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        name = "PiecewiseConstant"
        steps = tuple(check.integer(name, "boundaries", value, 0, 2**32) for value in self.boundaries)
        values = tuple(_rate(name, "values", value) for value in self.values)
        if any(b <= a for a, b in itertools.pairwise(steps)):
            raise ValueError(f"{name}: boundaries are {steps}; expected rising steps")
        if len(values) != len(steps) + 1:
            raise ValueError(f"{name}: {len(values)} values for {len(steps)} boundaries; expected {len(steps) + 1}")
        object.__setattr__(self, "boundaries", steps)
        object.__setattr__(self, "values", values)

    def __call__(self, step: int) -> float:
        """Look the step up."""
        return self.values[bisect.bisect_left(self.boundaries, step)]


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """``initial * decay_rate ** (step / decay_steps)``, the exponent rounded down with `staircase`."""

    initial: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        _rate("ExponentialDecay", "initial", self.initial)
        check.integer("ExponentialDecay", "decay_steps", self.decay_steps, 1, 2**32)
        check.number("ExponentialDecay", "decay_rate", self.decay_rate, 0, math.inf, open_lo=True)

    def __call__(self, step: int) -> float:
        """Compute the power."""
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.initial * self.decay_rate**exponent)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """``initial * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)``, `alpha` in [0, 1]; its end is kept."""

    initial: float
    decay_steps: int
    alpha: float = 0.0

    def __post_init__(self) -> None:
        _rate("CosineDecay", "initial", self.initial)
        check.integer("CosineDecay", "decay_steps", self.decay_steps, 1, 2**32)
        check.number("CosineDecay", "alpha", self.alpha, 0, math.nextafter(1, 2))

    def __call__(self, step: int) -> float:
        """Compute the cosine."""
        cosine = (1 + math.cos(math.pi * min(step, self.decay_steps) / self.decay_steps)) / 2
        return self.initial * ((1 - self.alpha) * cosine + self.alpha)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rises evenly from `start` to the first rate of `then` over `steps`, then follows `then`, whose steps begin there.

    ``WarmUp(100, CosineDecay(0.1, 1000))`` is Keras's ``CosineDecay(0, 1000, warmup_target=0.1, warmup_steps=100)``.

    >>> rate = WarmUp(4, 0.1)
    >>> rate(0), rate(2), rate(4), rate(9)
    (0.0, 0.05, 0.1, 0.1)
    """

    steps: int
    then: Schedule | float
    start: float = 0.0

    def __post_init__(self) -> None:
        check.integer("WarmUp", "steps", self.steps, 1, 2**32)
        _rate("WarmUp", "start", self.start)
        if not isinstance(self.then, Schedule):
            _rate("WarmUp", "then", self.then)

    def __call__(self, step: int) -> float:
        """Interpolate, or ask `then`."""
        if step >= self.steps:
            return rate_at(self.then, step - self.steps)
        return self.start + (rate_at(self.then, 0) - self.start) * (step / self.steps)


def rate_at(rate: Schedule | float, step: int) -> float:
    """Return the rate of a step, counted from 0, whether it changes or not."""
    return rate(step) if isinstance(rate, Schedule) else float(rate)


SCHEDULES: dict[str, type[Schedule]] = {
    kind.__name__: kind for kind in (PiecewiseConstant, ExponentialDecay, CosineDecay, WarmUp)
}
