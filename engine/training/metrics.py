"""Loss and accuracy over batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """What :meth:`Sequential.evaluate` measures: mean loss, and accuracy in ``[0, 1]`` or None for regression."""

    loss: float
    accuracy: float | None


class Tally:
    """Running mean of loss and accuracy, in float64: for reports alone."""

    def __init__(self) -> None:
        self.count = 0
        self.correct: int | None = 0
        self.loss = 0.0

    def add(self, losses: NDArray[np.float32], correct: int | None) -> float:
        """Count one batch; return its mean loss."""
        total = float(losses.sum(dtype=np.float64))
        self.count += len(losses)
        self.loss += total
        self.correct = None if correct is None or self.correct is None else self.correct + correct
        return total / len(losses)

    def metrics(self) -> Metrics:
        """Return the means so far."""
        return Metrics(self.loss / self.count, None if self.correct is None else self.correct / self.count)
