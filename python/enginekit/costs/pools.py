"""What pools and means do: walks over positions, and the functions that take maxima and sums of neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.program import MeanParams, Pool2DParams, Step, Window
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import DOUBLE, rescale, rescaled
from enginekit.costs.samples import Samples
from enginekit.costs.sliding import axes, outside

MAX_RUN, AVERAGE_RUN, SUM = "eng_max_pool_run_s8", "eng_average_pool_run_s8", "eng_sum_s8"
#: Largest count of taps whose sums are divided by a multiplication.
_MOST = 255
_PAGE = 256


@dataclass(frozen=True)
class Run:
    """What costs depend on in an ``eng_pool_run``: taps inside the image, and sizes."""

    rows: int
    columns: int
    channels: int
    positions: int
    hi: int = 127

    @property
    def count(self) -> int:
        """Taps of a window."""
        return self.rows * self.columns

    @property
    def mult(self) -> int:
        """Multiplier that divides by the count, 0 if there is none."""
        return -(-(1 << 24) // self.count) if 2 <= self.count <= _MOST else 0


def runs(p: Pool2DParams) -> Iterator[list[Run]]:
    """Yield each row of outputs as the pools walk along it."""
    rows, columns = axes(p.window)
    first, count = _inner(p.window)
    starts = [q for q in range(columns.positions) if not first < q < first + count]
    for taps in rows.count.tolist():
        yield [Run(taps, int(columns.count[q]), p.channels, count if q == first and count else 1, p.hi) for q in starts]


def _inner(v: Window) -> tuple[int, int]:
    """First column of outputs with all taps inside, and how many follow each other."""
    first = -(-v.pad_left // v.stride_w)
    last = v.in_w - 1 + v.pad_left - (v.kernel_w - 1) * v.dilation_w
    end = min(last // v.stride_w + 1, v.out_w)
    return first, max(end - first, 0)


def max_run(bill: Bill, run: Run) -> None:
    """Count a call of ``eng_max_pool_run_s8``."""
    pairs, pages = run.rows * ((run.columns + 1) // 2), -(-run.channels // _PAGE) - 1
    passes = pairs + (run.hi != 127)
    n = run.positions
    bill.add(MAX_RUN, call=1, position=n, row=n * run.rows, pair=n * pairs, odd=n * run.rows * (run.columns % 2))
    bill.add(MAX_RUN, first=n * run.channels, more=n * (pairs - 1) * run.channels, page=n * pages * passes)
    if run.hi != 127:
        bill.add(MAX_RUN, cut=n, cut_code=n * run.channels)


def average_run(bill: Bill, run: Run) -> None:
    """Count a call of ``eng_average_pool_run_s8``."""
    how = "divided" if run.mult == 0 else "product" if run.mult & 0xFFFF else "shift"
    outputs = run.positions * run.channels
    rows = outputs * run.rows
    bill.add(AVERAGE_RUN, position=run.positions, row=rows, pair=rows * ((run.columns + 1) // 2))
    bill.add(AVERAGE_RUN, odd=rows * (run.columns % 2), **{f"{how}_call": 1, how: outputs})


def sums(bill: Bill, times: int, n: int) -> None:
    """Count calls of ``eng_sum_s8`` of `n` codes."""
    bill.add(SUM, call=times, pair=times * ((n + 1) // 2), odd=times * (n % 2))


def _walk(bill: Bill, name: str, p: Pool2DParams, rows: list[list[Run]]) -> None:
    first, count = _inner(p.window)
    tall, wide = axes(p.window)
    bill.add(name, call=1, skipped=first, inner=count, row=len(rows), run=sum(len(row) for row in rows))
    bill.add(
        name,
        to_the_end=first + count >= p.window.out_w,
        met=len(rows) * (first < p.window.out_w),
        joined=len(rows) * (count > 0),
    )
    outside(bill, name, tall, wide)


def max_pool2d(step: Step, _: Samples) -> Bill:
    """Count ``eng_max_pool2d_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, Pool2DParams)
    rows = list(runs(p))
    _walk(bill, "eng_max_pool2d_s8", p, rows)
    for run in (run for row in rows for run in row):
        max_run(bill, run)
    return bill


def average_pool2d(step: Step, _: Samples) -> Bill:
    """Count ``eng_average_pool2d_s8``: where the count of taps changes, a division takes longer for each 1 of the quotient."""
    p, bill, name = step.params, Bill(), "eng_average_pool2d_s8"
    assert isinstance(p, Pool2DParams)
    rows, before = list(runs(p)), 0
    _walk(bill, name, p, rows)
    for run in (run for row in rows for run in row):
        average_run(bill, run)
        if run.count != before:
            bill.add(name, changed=1, odd=run.count % 2, small=run.count < 2, large=run.count > _MOST)
            bill.add(name, ones=(run.mult - 1).bit_count() if run.mult else 0)
        before = run.count
    return bill


def mean(step: Step, samples: Samples) -> Bill:
    """Count ``eng_mean_s8``."""
    p, bill, name = step.params, Bill(), "eng_mean_s8"
    assert isinstance(p, MeanParams)
    bill.add(name, call=1, channel=p.channels, negative_zero=p.zero_x < 0)
    sums(bill, p.channels, p.pixels)
    if samples.x is None:
        bill.choose(p.channels, name, {}, *({key: 1.0} for key in ("below", "above", "far_below", "far_above")))
        rescale(bill, DOUBLE, (p.rescale,), p.channels, None)
        return bill
    x = samples.x.reshape(-1, p.pixels, p.channels).astype(np.int64) - p.zero_x
    totals = x.sum(axis=1)
    v = rescaled(DOUBLE, totals, p.rescale)
    code = v.clip(-512, 512) + p.y.zero
    found = {"below": code < p.y.lo, "above": code > p.y.hi, "far_below": v < -512, "far_above": v > 512}
    bill.add(name, **{key: float(each.sum()) / len(x) for key, each in found.items()})
    rescale(bill, DOUBLE, (p.rescale,), p.channels, totals)
    return bill
