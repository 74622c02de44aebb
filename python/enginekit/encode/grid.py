"""A dense layer in units of its own: weights divided by what they have in common, inputs counted from their lowest code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.program import DenseParams
from enginekit.encode.candidate import Context
from enginekit.encode.dense import SUM_BOUND
from enginekit.encode.dense_requant import DenseRequant
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, same_steps, short_steps, wide_steps


@dataclass(frozen=True, eq=False)
class Grid:
    """A dense layer of which output n has the sum ``start[n] + sum_k codes[n, k] * (x[k] - base)``, less ``requant.start[n]``.

    Parameters
    ----------
    codes : int8[out, in]
        The weights, each row divided by its own common divisor.
    start : int64[out]
        Sums of inputs that are all `base`, less what `requant` counts from.
    base : int
        No input is below; the zero point, if that is so, else the lowest input.
    reach : int
        Highest input less `base`, at most 255.
    skips : bool
        Whether inputs are often equal to `base`, as far as is known.
    requant : DenseRequant
        From sums to codes.
    """

    codes: NDArray[np.int8]
    start: NDArray[np.int64]
    base: int
    reach: int
    skips: bool
    requant: DenseRequant

    def spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Lowest and highest sum of each output without its start, over all inputs."""
        low, high = product_range(self.codes, (0, self.reach))
        return low.sum(1), high.sum(1)

    def sums(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        """Compute sums int64[n, out] of inputs int8[n, in], before ``requant.start`` is taken off."""
        return np.asarray(self.start + self.requant.start + (x.astype(np.int64) - self.base) @ self.codes.T.astype(np.int64))

    @property
    def largest(self) -> int:
        """Largest magnitude of a code."""
        return int(np.abs(self.codes.astype(np.int64)).max(initial=0))


def dense_grids(context: Context) -> tuple[Grid, ...]:
    """Put a dense layer in units of its own.

    Parameters
    ----------
    context : Context
        Of a dense step.

    Returns
    -------
    tuple of Grid
        One for each requantization that is proven equal; empty if a sum can leave 24 bits. Rows keep their weights as they are
        where there is none for the smaller sums.
    """
    step = context.step
    params = step.params
    assert isinstance(params, DenseParams)
    assert step.w is not None
    assert step.bias is not None
    w = step.w.reshape(params.out, params.in_)
    base = context.zero_x if context.x_range[0] >= context.zero_x else context.x_range[0]
    reach = context.x_range[1] - base
    folded = step.bias + base * w.astype(np.int64).sum(1)
    at_zero = context.rest is None or bool((context.rest.codes == context.zero_x).all())
    for divisors in _divisors(w):
        codes = (w // divisors[:, None]).astype(np.int8)
        start = folded // divisors
        low, high = product_range(codes, (0, reach))
        spans = np.stack([start + low.sum(1), start + high.sum(1)], axis=1)
        if np.abs(spans).max() >= SUM_BOUND:
            continue
        requants = _requants(context, spans, divisors, folded - divisors * start)
        if requants:
            skips = base == context.zero_x and at_zero
            return tuple(Grid(codes, start - each.start, base, reach, skips, each) for each in requants)
    return ()


def _divisors(w: NDArray[np.int8]) -> Iterator[NDArray[np.int64]]:
    """Yield greatest common divisors of each row's weights, 1 for a row of zeros, then ones."""
    ones = np.ones(len(w), np.int64)
    largest = np.maximum(np.gcd.reduce(w.astype(np.int64), axis=1), ones)
    if (largest > 1).any():
        yield largest
    yield ones


def _requants(
    context: Context, spans: NDArray[np.int64], divisors: NDArray[np.int64], rest: NDArray[np.int64]
) -> tuple[DenseRequant, ...]:
    """Find records for sums of which ``divisors * sum + rest`` are the layer's accumulators."""
    params = context.step.params
    assert isinstance(params, DenseParams)
    ranges = [(int(low), int(high)) for low, high in spans]
    grids = [(int(divisor), int(left)) for divisor, left in zip(divisors, rest, strict=True)]
    one = len(params.rescale) == 1 and len(set(grids)) == 1
    short = same_steps(params.rescale[0], Rounding.SINGLE, params.y, ranges, grids[0]) if one else None
    short = short or short_steps(params.rescale, Rounding.SINGLE, params.y, ranges, grids)
    if short is not None and np.abs(spans - short.start[:, None]).max() >= SUM_BOUND:
        short = None
    found = [short, wide_steps(params.rescale, Rounding.SINGLE, params.y, ranges, grids)]
    known = tuple(steps for steps in found if steps is not None)
    if not known and (divisors > 1).any():
        return ()
    return tuple(
        DenseRequant(params.rescale, params.y, params.out, steps, context.table, spans[:, 1]) for steps in known or (None,)
    )
