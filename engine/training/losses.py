"""Losses: what is minimized, what targets it takes, and how its gradient starts the backward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import kernels_f32, kernels_loss_f32
from engine.training.layers import Layer, Sigmoid, Softmax

Array = NDArray[np.float32]


class Loss:
    """Base of all losses."""

    #: Kind of layer that, at the end of the network, is part of the loss.
    absorbs: ClassVar[type[Layer] | None] = None
    #: Whether targets are labels, so that there is an accuracy.
    classifies = False

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the targets as the kernel wants them, or raise TypeError or ValueError."""
        raise NotImplementedError

    def compute(self, output: NDArray[np.float32], y: NDArray[Any], dx: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return each sample's loss and write the gradient of the mean loss to `dx`, if given."""
        raise NotImplementedError

    def correct(self, output: NDArray[np.float32], y: NDArray[Any]) -> int | None:
        """Count samples whose largest output is the label's; None for regression."""
        return int(np.count_nonzero(output.argmax(axis=1) == y)) if self.classifies else None


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """``-log(softmax(logits)[label])``, for integer labels.

    A network that ends in Softmax is trained on the logits before it, which is the same and numerically safe; the outputs of
    any other network are taken as logits.
    """

    absorbs = Softmax
    classifies = True

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """Labels of any integer type in ``[0, classes)``."""
        if len(output_shape) != 1 or output_shape[0] < 2:
            raise ValueError(
                f"{function}: SoftmaxCrossEntropy needs a vector of at least 2 outputs, one a class; "
                f"this network gives {output_shape}"
            )
        labels = np.asarray(y)
        if labels.dtype.kind not in "iu":
            raise TypeError(
                f"{function}: y has dtype {labels.dtype}; SoftmaxCrossEntropy expects integer class labels "
                "(for one-hot targets use y.argmax(axis=1); for float targets use MSE)"
            )
        if labels.shape != (count,):
            raise ValueError(f"{function}: y has shape {labels.shape}; expected ({count},), one label a sample of x")
        wrong = (labels < 0) | (labels >= output_shape[0])
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(
                f"{function}: y[{first}] is {labels[first]}; expected labels in [0, {output_shape[0] - 1}], "
                f"since this network has {output_shape[0]} outputs"
            )
        return labels.astype(np.uint16)

    def compute(self, output: NDArray[np.float32], y: NDArray[Any], dx: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Run the fused kernel."""
        return kernels_f32.softmax_cross_entropy_f32(output, y, dx=dx)


class _Regression(Loss):
    """What losses with float targets of the output's shape share."""

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """float32[count, *output_shape], finite."""
        targets = np.asarray(y)
        if targets.dtype != np.float32:
            raise TypeError(
                f"{function}: y has dtype {targets.dtype}; {type(self).__name__} expects float32 targets "
                "(convert them with .astype)"
            )
        if targets.shape != (count, *output_shape):
            raise ValueError(
                f"{function}: y has shape {targets.shape}; expected {(count, *output_shape)}, x's count and the output's shape"
            )
        check_finite(function, "y", targets)
        return targets

    def compute(self, output: NDArray[np.float32], y: NDArray[Any], dx: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Run the kernel on flattened outputs."""
        rows = len(output)
        gradient = None if dx is None else dx.reshape(rows, -1)
        return self._kernel(output.reshape(rows, -1), y.reshape(rows, -1), gradient)

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        raise NotImplementedError


@dataclass(frozen=True)
class MSE(_Regression):
    """Mean squared error over outputs, for float32 targets of the output's shape."""

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_f32.mse_f32(x, target, dx=dx)


@dataclass(frozen=True)
class MAE(_Regression):
    """Mean absolute error over outputs, for float32 targets of the output's shape."""

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_loss_f32.mae_f32(x, target, dx=dx)


@dataclass(frozen=True)
class Huber(_Regression):
    """Squared error / 2 up to `delta`, above 0, linear beyond; for float32 targets of the output's shape."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        check.number("Huber", "delta", self.delta, 0, math.inf, open_lo=True)

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_loss_f32.huber_f32(x, target, delta=self.delta, dx=dx)


@dataclass(frozen=True)
class MSLE(_Regression):
    """Mean squared difference of ``log(1 + v)``; for float32 targets of the output's shape, what is below 0 counts as 0."""

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_loss_f32.msle_f32(x, target, dx=dx)


class _Binary(_Regression):
    """What losses with two answers an output share."""

    classifies = True
    #: Smallest target; the largest is 1.
    _low: ClassVar[float]

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """Numbers or booleans of the output's shape; for one output also [count]."""
        targets = np.asarray(y)
        if targets.dtype.kind not in "biuf":
            raise TypeError(f"{function}: y has dtype {targets.dtype}; {type(self).__name__} expects numbers or booleans")
        if output_shape == (1,) and targets.shape == (count,):
            targets = targets[:, None]
        targets = super().check_targets(function, targets.astype(np.float32), count, output_shape)
        wrong = (targets < self._low) | (targets > 1)
        if wrong.any():
            value = targets[wrong][0]
            raise ValueError(f"{function}: y holds {value}; {type(self).__name__} expects targets in [{self._low:g}, 1]")
        return np.ascontiguousarray(targets)

    def correct(self, output: Array, y: NDArray[Any]) -> int | None:
        """Count samples all of whose outputs, logits, lie on the target's side of the middle."""
        middle = (self._low + 1) / 2
        return int(np.count_nonzero(((output > 0) == (y > middle)).reshape(len(output), -1).all(axis=1)))


@dataclass(frozen=True)
class BinaryCrossEntropy(_Binary):
    """``-y log(p) - (1 - y) log(1 - p)`` with ``p = sigmoid(logit)``, for targets in [0, 1].

    A network that ends in Sigmoid is trained on the logits before it, which is the same and numerically safe; the outputs of
    any other network are taken as logits.
    """

    absorbs = Sigmoid
    _low = 0.0

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_loss_f32.binary_cross_entropy_f32(x, target, dx=dx)


@dataclass(frozen=True)
class SquaredHinge(_Binary):
    """``max(1 - y * output, 0)^2``, for targets -1 and 1; 0 and 1, if there are no others, are taken for them."""

    _low = -1.0

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """As :class:`BinaryCrossEntropy`, and moved to -1 and 1."""
        targets = super().check_targets(function, y, count, output_shape)
        return targets * 2 - 1 if np.isin(targets, (0, 1)).all() else targets

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_loss_f32.squared_hinge_f32(x, target, dx=dx)


@dataclass(frozen=True)
class CategoricalCrossEntropy(_Regression):
    """``-sum(y * log(softmax(logits)))``, for one-hot targets or shares that sum to 1, float32[count, classes].

    A Softmax at the end of the network is part of it, as with :class:`SoftmaxCrossEntropy`.
    """

    absorbs = Softmax
    classifies = True

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """Finite, not below 0, rows that sum to 1."""
        if len(output_shape) != 1 or output_shape[0] < 2:
            raise ValueError(
                f"{function}: CategoricalCrossEntropy needs a vector of at least 2 outputs; this network gives {output_shape}"
            )
        targets = super().check_targets(function, y, count, output_shape)
        wrong = (targets < 0).any(axis=1) | (np.abs(targets.sum(axis=1) - 1) > 1e-3)
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(f"{function}: y[{first}] is {targets[first]}; expected shares of at least 0 that sum to 1")
        return np.ascontiguousarray(targets)

    def correct(self, output: Array, y: NDArray[Any]) -> int | None:
        """Count samples whose largest output is where the largest target is."""
        return int(np.count_nonzero(output.argmax(axis=1) == y.argmax(axis=1)))

    def _kernel(self, x: Array, target: Array, dx: Array | None) -> Array:
        return kernels_loss_f32.categorical_cross_entropy_f32(x, target, dx=dx)


def check_finite(function: str, name: str, array: NDArray[np.float32]) -> None:
    """Raise ValueError that names the first NaN or infinity of `array`; looks at blocks, to need little memory."""
    block = max(1, 2**20 // max(1, array[:1].size))
    for start in range(0, len(array), block):
        finite = np.isfinite(array[start : start + block])
        if not finite.all():
            place = np.unravel_index(int(finite.argmin()), finite.shape)
            index = (start + int(place[0]), *map(int, place[1:]))
            raise ValueError(f"{function}: {name}{list(index)} is {array[index]}; expected finite numbers")


LOSSES: dict[str, type[Loss]] = {
    kind.__name__: kind
    for kind in (
        SoftmaxCrossEntropy,
        CategoricalCrossEntropy,
        BinaryCrossEntropy,
        MSE,
        MAE,
        MSLE,
        Huber,
        SquaredHinge,
    )
}
