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
from enginekit.encode.steps import Rounding, ShortSteps, WideSteps, exact_codes, same_steps, short_steps, wide_steps
from enginekit.records import avr_size, initializer

#: Bytes on AVR of eng_requant_s24, eng_requant_exact_s24, and eng_requant_same, _each and _short.
_STEPS_BYTES, _EXACT_BYTES, _SHORT_PARAMS = 7, 8, {"same": 7, "each": 6, "short": 8}
#: Cycles of eng_requant40_s24_s8: call, sum, more of a negative one, negative sum that gives lo; more with a shift of 32: of
#: the call, and of a sum that does not give lo at once.
_CALL, _SUM, _NEGATIVE, _EARLY, _CALL32, _SUM32 = 79, 119, 7, 21, 2, 8


@dataclass(frozen=True, eq=False)
class DenseRequant:
    """How a dense layer's sums become codes.

    Parameters
    ----------
    rescale : tuple of Rescale
        The exact rule's records: one, or one an output.
    y : OutputS8
    out : int
    steps : WideSteps, ShortSteps or None
        None for the exact rule.
    table : Table
        Of costs.
    highest : int64[out], optional
        The highest sums, which a layer with ShortSteps needs to know its slowest cycles.
    """

    rescale: tuple[Rescale, ...]
    y: OutputS8
    out: int
    steps: WideSteps | ShortSteps | None
    table: Table = field(default_factory=load)
    highest: NDArray[np.int64] | None = None

    @property
    def start(self) -> NDArray[np.int64]:
        """What the bias of each sum must be lowered by, ``int64[out]``."""
        return self.steps.start if isinstance(self.steps, ShortSteps) else np.zeros(self.out, np.int64)

    @property
    def symbol(self) -> str:
        """Function that is called."""
        if isinstance(self.steps, ShortSteps):
            return f"eng_requant_{self._kind}_s24_s8"
        return "eng_requant_single_s24_s8" if self.steps is None else f"eng_requant{self.steps.shift}_s24_s8"

    @property
    def _kind(self) -> str:
        """Which of the kernels for ShortSteps: one record, one a sum, or one a sum and no limit to them."""
        assert isinstance(self.steps, ShortSteps)
        return "same" if self.steps.is_one else "each" if self.steps.fits_each else "short"

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare it."""
        return ("eng/encodings_short.h",) if isinstance(self.steps, ShortSteps) else ("eng/encodings.h",)

    @property
    def tables(self) -> int:
        """Bytes of the records."""
        if isinstance(self.steps, ShortSteps):
            return self.steps.steps[: 1 if self.steps.is_one else None].nbytes
        return len(self.rescale) * avr_size(Rescale) if self.steps is None else self.steps.steps.nbytes

    @property
    def params(self) -> int:
        """Bytes of the params record."""
        if isinstance(self.steps, ShortSteps):
            return _SHORT_PARAMS[self._kind]
        return _EXACT_BYTES if self.steps is None else _STEPS_BYTES

    def cycles_for(self, sums: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Cycles for each of `sums`, int64[n, out], before `start` is taken off, within 3 %; their mean with the exact rule."""
        if self.steps is None:
            exact = self._exact(sums)
            return None if exact is None else np.full(len(sums), exact)
        if isinstance(self.steps, ShortSteps):
            kinds = {"same": self.steps.same_cycles_for, "each": self.steps.each_cycles_for}
            found = kinds[self._kind](sums) if self._kind in kinds else self.steps.cycles_for(sums[:, None])
            return np.asarray(found, np.float64)
        call, each, negative = self._wide
        below = (sums < 0).sum(1)
        return np.asarray(call + each * (self.out - below) + negative * below, np.float64)

    @property
    def _wide(self) -> tuple[int, int, int]:
        """Cycles with WideSteps: call, sum, negative sum."""
        assert isinstance(self.steps, WideSteps)
        call, each = (_CALL, _SUM) if self.steps.shift == 40 else (_CALL + _CALL32, _SUM + _SUM32)
        return call, each, _EARLY if self.steps.negative_is_lo else each + _NEGATIVE

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest sums."""
        if isinstance(self.steps, ShortSteps):
            assert self.highest is not None
            found = self.cycles_for(self.highest[None])
            return None if found is None else float(found[0])
        if self.steps is None:
            return self._exact(None)
        call, each, negative = self._wide
        return call + max(each, negative) * self.out

    def _exact(self, sums: NDArray[np.int64] | None) -> float | None:
        bill = Bill()
        requant_s24(bill, self.rescale, self.y, self.out, sums)
        return self.table.priced(bill)

    def emit(self, prefix: str) -> list[str]:
        """Write definitions."""
        if isinstance(self.steps, ShortSteps):
            records = self.steps.steps[: 1 if self.steps.is_one else None].tolist()
            texts = [braces([braces(record[:3]), braces(record[3:])]) for record in records]
            doublings = self.steps.doublings
            shape = {"same": [doublings, self.steps.halvings], "each": [doublings], "short": [1, doublings]}[self._kind]
            fields = braces([f"{prefix}_steps", self.out, *shape, self.y.lo, self.y.hi])
            definition = f"static const {self.symbol.removesuffix('_s24_s8')} {prefix}_requant = {fields};"
            return [array(f"static const eng_short_step {prefix}_steps", texts), definition]
        if self.steps is None:
            records = array(f"static const eng_rescale {prefix}_rescale", [initializer(r, {}) for r in self.rescale])
            exact = braces([f"{prefix}_rescale", self.out, int(len(self.rescale) > 1), initializer(self.y, {})])
            return [records, f"static const eng_requant_exact_s24 {prefix}_requant = {exact};"]
        steps = [f"{{{mult}u, {offset}u}}" for mult, offset in self.steps.steps]
        records = array(f"static const eng_step {prefix}_steps", steps)
        wide = braces([f"{prefix}_steps", self.out, self.y.lo, self.y.hi, int(self.steps.negative_is_lo)])
        return [records, f"static const eng_requant_s24 {prefix}_requant = {wide};"]

    def call(self, prefix: str, sums: int, y: int) -> str:
        """Write the call; `sums` and `y` are offsets in the arena."""
        return wrapped(f"    {self.symbol}(", [f"&{prefix}_requant", f"arena + {sums}u", f"(int8_t *)(arena + {y}u)"], ");")


def sum_spans(w: NDArray[np.int8], bias: NDArray[np.int32] | NDArray[np.int64], x_range: InputRange) -> NDArray[np.int64]:
    """Lowest and highest sum of each output over all inputs in a range: int64[out, 2]."""
    low, high = product_range(w, x_range)
    return np.stack([bias + low.sum(1), bias + high.sum(1)], axis=1)


def dense_requant(step: Step, x_range: InputRange, table: Table | None = None) -> DenseRequant | None:
    """Find records for the layer's sums, which are held within 24 bits; see :func:`dense_requants`, without ShortSteps."""
    return next((each for each in dense_requants(step, x_range, table) if not isinstance(each.steps, ShortSteps)), None)


def dense_requants(step: Step, x_range: InputRange, table: Table | None = None) -> tuple[DenseRequant, ...]:
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
    tuple of DenseRequant
        Multipliers of 24 bits if there are some, then those of 32 bits; else the exact rule. Empty if sums beyond 24 bits
        do not all give the same code as the last within: the layer keeps the plain kernel.
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
            return ()
    ranges = [(int(a), int(b)) for a, b in held]
    short = None
    if (held == spans).all():
        same = same_steps(params.rescale[0], Rounding.SINGLE, params.y, ranges) if len(params.rescale) == 1 else None
        short = same or short_steps(rescale, Rounding.SINGLE, params.y, ranges)
    found = [short, wide_steps(rescale, Rounding.SINGLE, params.y, ranges)]
    known = tuple(steps for steps in found if steps is not None) or (None,)
    if known == (None,) and (held != spans).any():
        return ()
    costs = load() if table is None else table
    return tuple(DenseRequant(params.rescale, params.y, params.out, steps, costs, held[:, 1]) for steps in known)
