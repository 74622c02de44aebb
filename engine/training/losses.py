"""Losses: what is minimized, what targets it takes, and how its gradient starts the backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels_f32


class Loss:
    """Base of all losses."""

    #: Whether a Softmax at the end of the network is part of the loss.
    takes_logits = False
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

    takes_logits = True
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


@dataclass(frozen=True)
class MSE(Loss):
    """Mean squared error over outputs, for float32 targets of the output's shape."""

    def check_targets(self, function: str, y: Any, count: int, output_shape: tuple[int, ...]) -> NDArray[Any]:
        """float32[count, *output_shape], finite."""
        targets = np.asarray(y)
        if targets.dtype != np.float32:
            raise TypeError(f"{function}: y has dtype {targets.dtype}; MSE expects float32 targets (convert them with .astype)")
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
        return kernels_f32.mse_f32(output.reshape(rows, -1), y.reshape(rows, -1), dx=gradient)


def check_finite(function: str, name: str, array: NDArray[np.float32]) -> None:
    """Raise ValueError that names the first NaN or infinity of `array`; looks at blocks, to need little memory."""
    block = max(1, 2**20 // max(1, array[:1].size))
    for start in range(0, len(array), block):
        finite = np.isfinite(array[start : start + block])
        if not finite.all():
            place = np.unravel_index(int(finite.argmin()), finite.shape)
            index = (start + int(place[0]), *map(int, place[1:]))
            raise ValueError(f"{function}: {name}{list(index)} is {array[index]}; expected finite numbers")


LOSSES: dict[str, type[Loss]] = {kind.__name__: kind for kind in (SoftmaxCrossEntropy, MSE)}
