"""Optimizers: how weights follow gradients. Descriptions are data; the network keeps their state.

Each takes a number or a :class:`engine.training.schedules.Schedule` as `learning_rate`, and by keyword what all share:
`weight_decay`, `clipnorm`, `global_clipnorm` and `clipvalue`, the last three of which exclude each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import kernels_f32, kernels_update_f32
from engine.training.schedules import Schedule, rate_at

Array = NDArray[np.float32]
Rate = float | Schedule


@dataclass(frozen=True)
class Optimizer:
    """Base of all optimizers.

    Parameters
    ----------
    learning_rate : float or Schedule
        Above 0; a schedule may reach 0.
    weight_decay : float, optional
        Before each update, every parameter loses ``weight_decay * learning_rate`` of itself.
    clipnorm : float, optional
        Largest Euclidean norm of the gradient of one parameter array.
    global_clipnorm : float, optional
        Largest norm of all gradients together.
    clipvalue : float, optional
        Largest magnitude of one element of a gradient.
    """

    #: Numbers in [0, 1), and numbers above 0, among the fields.
    _shares: ClassVar[tuple[str, ...]] = ()
    _positive: ClassVar[tuple[str, ...]] = ()

    learning_rate: Rate = 0.001
    weight_decay: float | None = field(default=None, kw_only=True)
    clipnorm: float | None = field(default=None, kw_only=True)
    global_clipnorm: float | None = field(default=None, kw_only=True)
    clipvalue: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.learning_rate, Schedule):
            check.number(name, "learning_rate", self.learning_rate, 0, math.inf, open_lo=True)
        for share in self._shares:
            check.number(name, share, getattr(self, share), 0, 1)
        for positive in self._positive:
            check.number(name, positive, getattr(self, positive), 0, math.inf, open_lo=True)
        if self.weight_decay is not None:
            check.number(name, "weight_decay", self.weight_decay, 0, math.inf)
        clips = {key: getattr(self, key) for key in ("clipnorm", "global_clipnorm", "clipvalue")}
        given = [key for key, value in clips.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{name}: {' and '.join(given)} are given; expected one way of clipping")
        for key in given:
            check.number(name, key, clips[key], 0, math.inf, open_lo=True)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays that it keeps for every parameter."""
        raise NotImplementedError

    def start(self, slot: str) -> float:  # noqa: ARG002  the interface
        """Return what the arrays of a slot hold at first."""
        return 0.0

    def rate(self, step: int) -> float:
        """Return the learning rate of an update, counted from 1."""
        return rate_at(self.learning_rate, step - 1)

    def clip(self, gradients: Iterable[Array]) -> None:
        """Clip the gradients of all parameters, in place."""
        if self.global_clipnorm is not None:
            kernels_update_f32.clip_norm_f32(list(gradients), limit=self.global_clipnorm)
        elif self.clipnorm is not None:
            for dw in gradients:
                kernels_update_f32.clip_norm_f32((dw,), limit=self.clipnorm)
        elif self.clipvalue is not None:
            for dw in gradients:
                kernels_update_f32.clip_f32(dw, limit=self.clipvalue)

    def apply(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Decay `w`, then update it and `state` in place; `step` counts from 1. The gradient has been clipped."""
        if self.weight_decay:
            kernels_update_f32.weight_decay_f32(w, learning_rate=self.rate(step), weight_decay=self.weight_decay)
        self.update(step, dw, w, state)

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Change `w` and `state` in place; `step` counts from 1."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: ``velocity = momentum * velocity - learning_rate * dw; w += velocity``.

    Parameters
    ----------
    momentum : float
        In ``[0, 1)``.
    nesterov : bool
        Look ahead: ``w += momentum * velocity - learning_rate * dw`` instead; needs momentum.
    """

    _shares = ("momentum",)

    learning_rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov is True but momentum is 0; expected a momentum above 0")

    @property
    def slots(self) -> tuple[str, ...]:
        """``velocity``, with momentum only."""
        return ("velocity",) if self.momentum else ()

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_f32.sgd_f32` or :func:`engine.kernels_update_f32.nesterov_f32`."""
        rate = self.rate(step)
        if self.nesterov:
            kernels_update_f32.nesterov_f32(dw, w, state["velocity"], learning_rate=rate, momentum=self.momentum)
        else:
            kernels_f32.sgd_f32(dw, w, state.get("velocity"), learning_rate=rate, momentum=self.momentum)


@dataclass(frozen=True)
class _Moments(Optimizer):
    """What Adam and its relatives share: fields, and two moments as state."""

    _shares = ("beta1", "beta2")
    _positive = ("epsilon",)

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7

    @property
    def slots(self) -> tuple[str, ...]:
        """First and second moment."""
        return ("m", "v")

    def _options(self, step: int) -> dict[str, float]:
        return {"learning_rate": self.rate(step), "beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}


@dataclass(frozen=True)
class Adam(_Moments):
    """Adam, as Keras computes it.

    Parameters
    ----------
    beta1, beta2 : float
        In ``[0, 1)``.
    epsilon : float
        Above 0.
    """

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_f32.adam_f32`."""
        kernels_f32.adam_f32(step, dw, w, state["m"], state["v"], **self._options(step))


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay of 0.004 unless given."""

    weight_decay: float | None = field(default=0.004, kw_only=True)


@dataclass(frozen=True)
class Adamax(_Moments):
    """Adam with the largest magnitude in place of the second moment."""

    @property
    def slots(self) -> tuple[str, ...]:
        """First moment and largest magnitude."""
        return ("m", "u")

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_update_f32.adamax_f32`."""
        kernels_update_f32.adamax_f32(step, dw, w, state["m"], state["u"], **self._options(step))


@dataclass(frozen=True)
class Nadam(_Moments):
    """Adam with Nesterov's momentum."""

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_update_f32.nadam_f32`."""
        kernels_update_f32.nadam_f32(step, dw, w, state["m"], state["v"], **self._options(step))


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square.

    Parameters
    ----------
    rho, momentum : float
        In ``[0, 1)``.
    epsilon : float
        Above 0.
    centered : bool
        Divide by the root of the variance instead.
    """

    _shares = ("rho", "momentum")
    _positive = ("epsilon",)

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    @property
    def slots(self) -> tuple[str, ...]:
        """Mean square; ``velocity`` with momentum, ``average`` if centered."""
        return ("v", *(("velocity",) if self.momentum else ()), *(("average",) if self.centered else ()))

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_update_f32.rmsprop_f32`."""
        kernels_update_f32.rmsprop_f32(
            dw,
            w,
            state["v"],
            state.get("velocity"),
            state.get("average"),
            learning_rate=self.rate(step),
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
        )


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares, which starts at `initial_accumulator_value`, above 0."""

    _positive = ("initial_accumulator_value", "epsilon")

    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    @property
    def slots(self) -> tuple[str, ...]:
        """Sum of squares."""
        return ("total",)

    def start(self, slot: str) -> float:  # noqa: ARG002  the interface
        """Return the initial accumulator value."""
        return self.initial_accumulator_value

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_update_f32.adagrad_f32`."""
        kernels_update_f32.adagrad_f32(dw, w, state["total"], learning_rate=self.rate(step), epsilon=self.epsilon)


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Gradients times the ratio of running means of squares, of steps and of gradients; rho in ``[0, 1)``, epsilon above 0."""

    _shares = ("rho",)
    _positive = ("epsilon",)

    rho: float = 0.95
    epsilon: float = 1e-7

    @property
    def slots(self) -> tuple[str, ...]:
        """Mean squares of gradients and of steps."""
        return ("v", "u")

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_update_f32.adadelta_f32`."""
        options = {"learning_rate": self.rate(step), "rho": self.rho, "epsilon": self.epsilon}
        kernels_update_f32.adadelta_f32(dw, w, state["v"], state["u"], **options)


@dataclass(frozen=True)
class Ftrl(Optimizer):
    """Follow the regularized leader, with learning_rate_power -1/2: L1 makes weights exactly 0.

    Parameters
    ----------
    initial_accumulator_value : float
        Above 0.
    l1, l2, shrinkage, beta : float
        0 or above: Keras's l1_regularization_strength, l2_regularization_strength, l2_shrinkage_regularization_strength, beta.
    """

    _positive = ("initial_accumulator_value",)

    initial_accumulator_value: float = 0.1
    l1: float = 0.0
    l2: float = 0.0
    shrinkage: float = 0.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("l1", "l2", "shrinkage", "beta"):
            check.number("Ftrl", name, getattr(self, name), 0, math.inf)

    @property
    def slots(self) -> tuple[str, ...]:
        """Sum of squares, and the linear term."""
        return ("n", "z")

    def start(self, slot: str) -> float:
        """Return the initial accumulator value for the sum of squares."""
        return self.initial_accumulator_value if slot == "n" else 0.0

    def update(self, step: int, dw: Array, w: Array, state: dict[str, Array]) -> None:
        """Run :func:`engine.kernels_update_f32.ftrl_f32`."""
        options = {"l1": self.l1, "l2": self.l2, "shrinkage": self.shrinkage, "beta": self.beta}
        kernels_update_f32.ftrl_f32(dw, w, state["n"], state["z"], learning_rate=self.rate(step), **options)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__: kind for kind in (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, Nadam, Ftrl)
}
