"""The second half of every encoded dense layer: from 24-bit sums to codes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.program import DenseParams, OutputS8, Rescale, Step
from enginekit.c_text import array, braces, wrapped
from enginekit.costs import Table, load
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import requant_s24
from enginekit.encode.dense import SUM_BOUND
from enginekit.encode.groups import InputRange, product_range
from enginekit.encode.steps import Rounding, WideSteps, exact_codes, wide_steps
from enginekit.records import avr_size, initializer

#: Bytes on AVR of eng_requant_s24 and eng_requant_exact_s24.
_STEPS_BYTES, _EXACT_BYTES = 7, 8
#: Cycles of eng_requant<S>_s24_s8: call, sum, negative sum that gives lo.
_CALL, _SUM, _NEGATIVE = 75, 125, 22


@dataclass(frozen=True, eq=False)
class DenseRequant:
    """How a dense layer's sums become codes.

    Parameters
    ----------
    rescale : tuple of Rescale
        The exact rule's records: one, or one an output.
    y : OutputS8
    out : int
    steps : WideSteps or None
        None for the exact rule.
    table : Table
        Of costs.
    """

    rescale: tuple[Rescale, ...]
    y: OutputS8
    out: int
    steps: WideSteps | None
    table: Table = field(default_factory=load)

    @property
    def symbol(self) -> str:
        """Function that is called."""
        return "eng_requant_single_s24_s8" if self.steps is None else f"eng_requant{self.steps.shift}_s24_s8"

    @property
    def tables(self) -> int:
        """Bytes of the records."""
        return len(self.rescale) * avr_size(Rescale) if self.steps is None else self.steps.steps.nbytes

    @property
    def params(self) -> int:
        """Bytes of the params record."""
        return _EXACT_BYTES if self.steps is None else _STEPS_BYTES

    def cycles_for(self, sums: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Cycles for each of `sums`, int64[n, out], within 3 %; their mean with the exact rule."""
        if self.steps is None:
            exact = self._exact(sums)
            return None if exact is None else np.full(len(sums), exact)
        early = (sums < 0).sum(1) if self.steps.negative_is_lo else np.zeros(len(sums), np.int64)
        return np.asarray(_CALL + _SUM * (self.out - early) + _NEGATIVE * early, np.float64)

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest sums."""
        return self._exact(None) if self.steps is None else _CALL + _SUM * self.out

    def _exact(self, sums: NDArray[np.int64] | None) -> float | None:
        bill = Bill()
        requant_s24(bill, self.rescale, self.y, self.out, sums)
        return self.table.priced(bill)

    def emit(self, prefix: str) -> list[str]:
        """Write definitions."""
        if self.steps is None:
            records = array(f"static const eng_rescale {prefix}_rescale", [initializer(r, {}) for r in self.rescale])
            fields = [f"{prefix}_rescale", self.out, int(len(self.rescale) > 1), initializer(self.y, {})]
            return [records, f"static const eng_requant_exact_s24 {prefix}_requant = {braces(fields)};"]
        records = array(
            f"static const eng_step {prefix}_steps", [f"{{{mult}u, {offset}u}}" for mult, offset in self.steps.steps]
        )
        fields = [f"{prefix}_steps", self.out, self.y.lo, self.y.hi, int(self.steps.negative_is_lo)]
        return [records, f"static const eng_requant_s24 {prefix}_requant = {braces(fields)};"]

    def call(self, prefix: str, sums: int, y: int) -> str:
        """Write the call; `sums` and `y` are offsets in the arena."""
        return wrapped(f"    {self.symbol}(", [f"&{prefix}_requant", f"arena + {sums}u", f"(int8_t *)(arena + {y}u)"], ");")


def sum_spans(w: NDArray[np.int8], bias: NDArray[np.int32], x_range: InputRange) -> NDArray[np.int64]:
    """Lowest and highest sum of each output over all inputs in a range: int64[out, 2]."""
    low, high = product_range(w, x_range)
    return np.stack([bias + low.sum(1), bias + high.sum(1)], axis=1)


def dense_requant(step: Step, x_range: InputRange, table: Table | None = None) -> DenseRequant | None:
    """Find records for the layer's sums, which are held within 24 bits.

    Parameters
    ----------
    step : Step
        A dense one.
    x_range : InputRange
        Lowest and highest input code.
    table : Table, optional
        Of costs.

    Returns
    -------
    DenseRequant or None
        None if sums beyond 24 bits do not all give the same code as the last within: the layer keeps the plain kernel.
    """
    params = step.params
    assert isinstance(params, DenseParams)
    assert step.w is not None
    assert step.bias is not None
    spans = sum_spans(step.w.reshape(params.out, params.in_), step.bias.astype(np.int64), x_range)
    held = spans.clip(-SUM_BOUND + 1, SUM_BOUND - 1)
    rescale = params.rescale if params.rescale_step else params.rescale * params.out
    for record, span, part in zip(rescale, spans, held, strict=True):
        if (span == part).all():
            continue
        codes = [
            exact_codes(ends, record, Rounding.SINGLE, params.y.zero).clip(params.y.lo, params.y.hi) for ends in (span, part)
        ]
        if (codes[0] != codes[1]).any():
            return None
    steps = wide_steps(rescale, Rounding.SINGLE, params.y, [(int(a), int(b)) for a, b in held])
    if steps is None and (held != spans).any():
        return None
    return DenseRequant(params.rescale, params.y, params.out, steps, load() if table is None else table)
