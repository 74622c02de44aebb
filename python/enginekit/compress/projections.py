"""From any weights to the nearest that fit a constraint: steps of an output's own width, or a layer's few values."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

#: Widths tried, as shares of the one that clips nothing.
_WIDTHS = np.linspace(0.25, 1.0, 31)
#: Rounds of k-means each time that the values are fitted.
_ROUNDS = 10


class Projection(ABC):
    """Weights float32[out, n] that fit, nearest to given ones. Zeros stay zero."""

    @abstractmethod
    def fit(self, rows: Rows) -> None:
        """Choose widths or values for weights like these."""

    @abstractmethod
    def apply(self, rows: Rows) -> Rows:
        """Give the nearest weights that fit."""


class Steps(Projection):
    """Whole steps of a width for each output, the one of least squared error.

    Parameters
    ----------
    low, high : int
        Lowest and highest step.

    Examples
    --------
    >>> steps = Steps(-1, 1)
    >>> rows = np.float32([[0.9, -1.1, 0.1, 0.0], [2.0, 0.0, 0.2, -2.0]])
    >>> steps.fit(rows)
    >>> steps.apply(rows).round(2).tolist()
    [[1.0, -1.0, 0.0, 0.0], [2.0, 0.0, 0.0, -2.0]]
    """

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.width: Rows = np.ones((0, 1), np.float32)

    def fit(self, rows: Rows) -> None:
        """Choose a width for each output."""
        values = rows.astype(np.float64)
        widest = np.maximum(values.max(axis=1) / self.high, values.min(axis=1) / self.low)
        widest = np.where(widest > 0, widest, 1.0)
        best, least = widest, np.full(len(rows), np.inf)
        for share in _WIDTHS:
            width = widest * share
            places = np.clip(np.rint(values / width[:, None]), self.low, self.high)
            squares = np.square(places).sum(axis=1)
            width = np.where(squares > 0, (places * values).sum(axis=1) / np.maximum(squares, 1), width)
            error = np.square(places * width[:, None] - values).sum(axis=1)
            better = (error < least) & (width > 0)
            best, least = np.where(better, width, best), np.where(better, error, least)
        self.width = best[:, None].astype(np.float32)

    def apply(self, rows: Rows) -> Rows:
        """Round to whole steps."""
        return np.asarray(np.clip(np.rint(rows / self.width), self.low, self.high) * self.width, np.float32)


class Clusters(Projection):
    """A few values for a whole layer, found by k-means.

    Parameters
    ----------
    count : int
    keep_zero : bool
        One of the values is zero, and weights of zero keep it.

    Examples
    --------
    >>> clusters = Clusters(2, keep_zero=False)
    >>> clusters.fit(np.float32([[1, 2], [9, 10]]))
    >>> clusters.apply(np.float32([[1, 2], [9, 10]])).tolist()
    [[1.5, 1.5], [9.5, 9.5]]
    """

    def __init__(self, count: int, *, keep_zero: bool) -> None:
        self.count, self.keep_zero = count, keep_zero
        self.values: Rows = np.zeros(0, np.float32)

    def fit(self, rows: Rows) -> None:
        """Go on from the values before, or start with quantiles."""
        w = np.sort(rows[rows != 0] if self.keep_zero else rows.ravel()).astype(np.float64)
        count = self.count - self.keep_zero
        if w.size == 0:
            self.values = np.zeros(1, np.float32)
            return
        before = self.values[self.values != 0] if self.keep_zero else self.values
        values = before.astype(np.float64) if len(before) else np.linspace(w[0], w[-1], 2 * count + 1)[1::2]
        sums = np.concatenate([[0.0], np.cumsum(w)])
        for _ in range(_ROUNDS):
            cuts = np.concatenate([[0], np.searchsorted(w, _middles(values)), [w.size]])
            members = np.diff(cuts)
            values = np.where(members > 0, np.diff(sums[cuts]) / np.maximum(members, 1), values)
        values = np.append(values, 0.0) if self.keep_zero else values
        self.values = np.unique(values.astype(np.float32))

    def apply(self, rows: Rows) -> Rows:
        """Give the nearest value."""
        nearest = self.values[np.searchsorted(_middles(self.values), rows)]
        return np.where(rows == 0, np.float32(0), nearest) if self.keep_zero else nearest


def _middles(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return (values[1:] + values[:-1]) / 2


def block_scores(rows: Rows, activity: NDArray[np.float32], block: int) -> NDArray[np.float64]:
    """Say how important, float64[blocks, n], the weights are that `block` outputs have for an input.

    The root of their sum of squares times the root of the input's activity: what is often zero matters less, as does a weight
    that is small. A last block of fewer outputs counts as if it were full.

    Examples
    --------
    >>> block_scores(np.float32([[3, 1], [4, 1], [5, 1]]), np.float32([1, 4]), 2).tolist()
    [[5.0, 2.8284271247461903], [7.0710678118654755, 2.8284271247461903]]
    """
    starts = np.arange(0, len(rows), block)
    squares = np.add.reduceat(np.square(rows, dtype=np.float64), starts, axis=0)
    full = np.minimum(block, len(rows) - starts) / block
    return np.asarray(np.sqrt(squares / full[:, None] * activity))


def keep(scores: NDArray[np.float64], outputs: int, block: int, share: float) -> NDArray[np.bool_]:
    """Which weights bool[outputs, n] to keep so that a share of the blocks goes, those of the lowest scores.

    Examples
    --------
    >>> keep(np.float64([[5, 2], [1, 3]]), 3, 2, 0.5).astype(int).tolist()
    [[1, 0], [1, 0], [0, 1]]
    """
    count = round(share * scores.size)
    order = np.argsort(scores, axis=None, kind="stable")
    kept = np.ones(scores.size, bool)
    kept[order[:count]] = False
    return np.repeat(kept.reshape(scores.shape), block, axis=0)[:outputs]
