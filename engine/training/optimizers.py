"""Optimizers: how weights follow gradients. Descriptions are data; the network keeps their state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import kernels_f32

Array = NDArray[np.float32]


class Optimizer:
    """Base of all optimizers."""

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays that it keeps for every parameter; all start at 0."""
        raise NotImplementedError

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Change `w` and `state` in place; `step` counts from 1."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: ``velocity = momentum * velocity - learning_rate * dw; w += velocity``.

    Parameters
    ----------
    learning_rate : float
        Above 0.
    momentum : float
        In ``[0, 1)``.
    """

    learning_rate: float = 0.01
    momentum: float = 0.0

    def __post_init__(self) -> None:
        check.number("SGD", "learning_rate", self.learning_rate, 0, math.inf, open_lo=True)
        check.number("SGD", "momentum", self.momentum, 0, 1)

    @property
    def slots(self) -> tuple[str, ...]:
        """``velocity``, with momentum only."""
        return ("velocity",) if self.momentum else ()

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:  # noqa: ARG002  the interface
        """Run :func:`engine.kernels_f32.sgd_f32`."""
        kernels_f32.sgd_f32(dw, w, state.get("velocity"), learning_rate=self.learning_rate, momentum=self.momentum)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam, as Keras computes it.

    Parameters
    ----------
    learning_rate : float
        Above 0.
    beta1, beta2 : float
        In ``[0, 1)``.
    epsilon : float
        Above 0.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        check.number("Adam", "learning_rate", self.learning_rate, 0, math.inf, open_lo=True)
        check.number("Adam", "beta1", self.beta1, 0, 1)
        check.number("Adam", "beta2", self.beta2, 0, 1)
        check.number("Adam", "epsilon", self.epsilon, 0, math.inf, open_lo=True)

    @property
    def slots(self) -> tuple[str, ...]:
        """First and second moment."""
        return ("m", "v")

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_f32.adam_f32`."""
        kernels_f32.adam_f32(
            step,
            dw,
            w,
            state["m"],
            state["v"],
            learning_rate=self.learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in (SGD, Adam)}
