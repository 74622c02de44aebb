"""What the kernels with sliding windows do: convolutions, those with a max pool, depthwise convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.program import Conv2DMaxPool2DParams, Conv2DParams, Step, Window
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import DOUBLE, requantized, rescale
from enginekit.costs.samples import Samples

_POOL_PATCHES = 4  # ENG_POOL_PATCHES
_PATCH_AT, _PATCH_SUM = "eng_conv2d_patch_at", "eng_conv2d_patch_sum"


@dataclass(frozen=True, eq=False)
class Axis:
    """A window along one dimension: for each position the first tap inside the image, and how many are.

    Parameters
    ----------
    first, count : int64[positions]
    size, kernel, stride, dilation, pad : int
    """

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    size: int
    kernel: int
    stride: int
    dilation: int
    pad: int

    @property
    def positions(self) -> int:
        """How many there are."""
        return len(self.first)

    @property
    def inside(self) -> int:
        """Taps inside the image, of all positions."""
        return int(self.count.sum())

    @property
    def outside(self) -> dict[str, float]:
        """Taps before and behind the image, of all positions."""
        before = int(self.first.sum())
        return {"before": before, "behind": self.positions * self.kernel - self.inside - before}

    def pixels(self, tap: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions whose tap is inside, and the pixels that it reads there."""
        at = np.flatnonzero((self.first <= tap) & (tap < self.first + self.count))
        return at, at * self.stride + tap * self.dilation - self.pad

    @property
    def uses(self) -> NDArray[np.int64]:
        """How often each pixel is read: int64[size]."""
        found = np.zeros(self.size, np.int64)
        for tap in range(self.kernel):
            found[self.pixels(tap)[1]] += 1
        return found


def axes(w: Window) -> tuple[Axis, Axis]:
    """Rows and columns of a window."""
    return (
        _axis(w.in_h, w.out_h, kernel=w.kernel_h, stride=w.stride_h, dilation=w.dilation_h, pad=w.pad_top),
        _axis(w.in_w, w.out_w, kernel=w.kernel_w, stride=w.stride_w, dilation=w.dilation_w, pad=w.pad_left),
    )


def _axis(size: int, positions: int, *, kernel: int, stride: int, dilation: int, pad: int) -> Axis:
    start = np.arange(positions, dtype=np.int64) * stride - pad
    first = (-(start // dilation)).clip(0)
    last = np.minimum((size - 1 - start) // dilation, kernel - 1)
    return Axis(first, last - first + 1, size, kernel, stride, dilation, pad)


def taps(w: Window) -> Iterator[tuple[int, int, tuple[NDArray[np.int64], ...], tuple[NDArray[np.int64], ...]]]:
    """Yield each tap, row and column, with the positions where it is inside and the pixels that it reads, as indices."""
    rows, columns = axes(w)
    for i in range(w.kernel_h):
        for j in range(w.kernel_w):
            (at_row, row), (at_column, column) = rows.pixels(i), columns.pixels(j)
            yield i, j, np.ix_(at_row, at_column), np.ix_(row, column)


def conv_sums(step: Step, p: Conv2DParams, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Accumulators of a convolution, ``int64[n, out_h, out_w, out_c]``, of ``x[n, in_h, in_w, in_c]`` less the zero point."""
    assert step.w is not None
    assert step.bias is not None
    w = step.w.reshape(p.out_c, p.window.kernel_h, p.window.kernel_w, p.in_c).astype(np.float64)  # exact: sums are below 2^31
    sums = np.tile(step.bias.astype(np.float64), (len(x), p.window.out_h, p.window.out_w, 1))
    for i, j, (row, column), (from_row, from_column) in taps(p.window):
        sums[:, row, column] += x[:, from_row, from_column].astype(np.float64) @ w[:, i, j].T
    return sums.astype(np.int64)


def _patches(bill: Bill, p: Conv2DParams, samples: Samples, rows: Axis, columns: Axis) -> None:
    """Count the sums of the patches of all of these rows and columns, for all channels."""
    positions = rows.positions * columns.positions
    dilated = p.window.dilation_w != 1
    bill.add(_PATCH_AT, call=positions, dilated=positions * dilated)
    patches, inside = positions * p.out_c, rows.inside * columns.inside * p.out_c
    runs = rows.positions * columns.inside * p.out_c if dilated else patches
    products = inside * p.in_c
    pieces = inside if dilated else rows.inside * columns.positions * p.out_c
    patch_sums(bill, p.zero_x, calls=patches, runs=runs, rows=pieces, products=products)
    x = samples.x
    if x is None:
        wide = [{"wide": 1.0}] if samples.low - p.zero_x < -128 else []
        wide += [{"wide_up": 1.0}] if samples.high - p.zero_x > 127 else []
        bill.choose(products, _PATCH_SUM, {}, *wide)
        return
    uses = np.outer(rows.uses, columns.uses)[:, :, None] * p.out_c
    moved = x.reshape(-1, p.window.in_h, p.window.in_w, p.in_c).astype(np.int64) - p.zero_x
    down, up = ((each * uses).sum() / len(moved) for each in (moved < -128, moved > 127))
    bill.add(_PATCH_SUM, wide=down, wide_up=up)


def patch_sums(bill: Bill, zero_x: int, *, calls: float, runs: float, rows: float, products: float) -> None:
    """Count calls of ``eng_conv2d_patch_sum`` with these numbers of runs, rows of runs, and products in all."""
    bill.add(_PATCH_SUM, call=calls, run=runs)
    bill.add(_PATCH_SUM, **({"row_zero": rows, "tap_zero": products} if zero_x else {"row": rows, "tap": products}))


def conv2d(step: Step, samples: Samples) -> Bill:
    """Count ``eng_conv2d_s8``."""
    p, bill = step.params, Bill()
    assert isinstance(p, Conv2DParams)
    rows, columns = axes(p.window)
    positions = rows.positions * columns.positions
    bill.add("eng_conv2d_s8", call=1, row=rows.positions, column=positions, channel=positions * p.out_c)
    outside(bill, "eng_conv2d_s8", rows, columns)
    _patches(bill, p, samples, rows, columns)
    sums = None if samples.x is None else conv_sums(step, p, _moved(samples.x, p))
    rescale(bill, DOUBLE, p.rescale, positions * p.out_c, sums, y=p.y)
    return bill


def outside(bill: Bill, name: str, rows: Axis, columns: Axis, prefix: str = "") -> None:
    """Count the taps that the loops over positions step over."""
    across = {f"{prefix}column_{key}": n * rows.positions for key, n in columns.outside.items()}
    bill.add(name, **{f"{prefix}row_{key}": n for key, n in rows.outside.items()}, **across)


def _moved(x: NDArray[np.int8], p: Conv2DParams) -> NDArray[np.int64]:
    return x.reshape(-1, p.window.in_h, p.window.in_w, p.in_c).astype(np.int64) - p.zero_x


def depthwise(step: Step, samples: Samples) -> Bill:
    """Count ``eng_depthwise_conv2d_s8``."""
    p, bill, name = step.params, Bill(), "eng_depthwise_conv2d_s8"
    assert isinstance(p, Conv2DParams)
    assert step.w is not None
    rows, columns = axes(p.window)
    positions, copies = rows.positions * columns.positions, p.out_c // p.in_c
    bill.add(name, call=1, row=rows.positions, column=positions, channel=positions * p.out_c, source=positions * p.in_c)
    bill.add(name, divided=positions * copies.bit_count(), tap_row=rows.inside * columns.positions * p.out_c)
    bill.add(name, tap=rows.inside * columns.inside * p.out_c)
    outside(bill, name, rows, columns)
    below = step.w.reshape(p.window.kernel_h, p.window.kernel_w, p.out_c) < 0
    bill.add(name, negative_w=sum(len(at[0]) * at[1].size * below[i, j].sum() for i, j, at, _ in taps(p.window)))
    sums = None
    if samples.x is None:
        bill.choose(
            rows.inside * columns.inside * p.out_c, name, {}, *([{"negative_x": 1.0}] if samples.low < p.zero_x else [])
        )
    else:
        moved = _moved(samples.x, p)
        uses = np.outer(rows.uses, columns.uses)[:, :, None] * copies
        bill.add(name, negative_x=((moved < 0) * uses).sum() / len(moved))
        sums = depthwise_sums(step, p, moved)
    rescale(bill, DOUBLE, p.rescale, positions * p.out_c, sums, y=p.y)
    return bill


def depthwise_sums(step: Step, p: Conv2DParams, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Accumulators of a depthwise convolution; arguments as for :func:`conv_sums`."""
    assert step.w is not None
    assert step.bias is not None
    w = step.w.reshape(p.window.kernel_h, p.window.kernel_w, p.out_c).astype(np.int64)
    sums = np.tile(step.bias.astype(np.int64), (len(x), p.window.out_h, p.window.out_w, 1))
    wide = np.repeat(x, p.out_c // p.in_c, axis=3)
    for i, j, (row, column), (from_row, from_column) in taps(p.window):
        sums[:, row, column] += wide[:, from_row, from_column] * w[i, j]
    return sums


def conv2d_max_pool2d(step: Step, samples: Samples) -> Bill:
    """Count ``eng_conv2d_max_pool2d_s8``."""
    p, bill, name = step.params, Bill(), "eng_conv2d_max_pool2d_s8"
    assert isinstance(p, Conv2DMaxPool2DParams)
    conv = p.conv
    rows, columns = axes(p.pool)
    positions = rows.positions * columns.positions
    bill.add(name, call=1, row=rows.positions, column=positions, channel=positions * conv.out_c)
    outside(bill, name, rows, columns)
    conv_rows, conv_columns = (_at_taps(pool, axis) for pool, axis in zip((rows, columns), axes(conv.window), strict=True))
    pools = rows.inside * columns.inside
    bill.add(name, pool_row=rows.inside * columns.positions, pool_tap=pools)
    for key, n in conv_rows.outside.items():
        bill.add(name, **{f"conv_row_{key}": n * columns.positions})
    for key, n in conv_columns.outside.items():
        bill.add(name, **{f"conv_column_{key}": n * conv_rows.positions})
    batches = -(-np.outer(rows.count, columns.count) // _POOL_PATCHES)
    full = np.outer(rows.count, columns.count) // _POOL_PATCHES
    bill.add(name, batch=batches.sum(), full=full.sum(), batch_channel=batches.sum() * conv.out_c, patch=pools * conv.out_c)
    _patches(bill, conv, samples, conv_rows, conv_columns)
    calls = float(batches.sum() * conv.out_c)
    if samples.x is None:
        bill.choose(pools * conv.out_c, name, {}, {"better": 1.0})
        bill.choose(calls, name, {}, {"larger": 1.0})
        rescale(bill, DOUBLE, conv.rescale, calls, None, y=conv.y)
        return bill
    best, events = _pooled(conv_sums(step, conv, _moved(samples.x, conv)), rows, columns, conv)
    bill.add(name, **events)
    rescale(bill, DOUBLE, conv.rescale, calls, best, y=conv.y)
    return bill


def _at_taps(pool: Axis, conv: Axis) -> Axis:
    """Give the convolution's axis at the positions that the pool's taps read, one after the other."""
    at = np.concatenate([np.sort(pool.pixels(tap)[1]) for tap in range(pool.kernel)])
    return _Picked(conv.first[at], conv.count[at], conv.size, conv.kernel, conv.stride, conv.dilation, conv.pad, at)


@dataclass(frozen=True, eq=False)
class _Picked(Axis):
    """An axis at positions `at`, in any order and more than once."""

    at: NDArray[np.int64]

    def pixels(self, tap: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        here = np.flatnonzero((self.first <= tap) & (tap < self.first + self.count))
        return here, self.at[here] * self.stride + tap * self.dilation - self.pad

    @property
    def uses(self) -> NDArray[np.int64]:
        found = np.zeros(self.size, np.int64)
        for tap in range(self.kernel):
            np.add.at(found, self.pixels(tap)[1], 1)
        return found


def _pooled(
    sums: NDArray[np.int64], rows: Axis, columns: Axis, conv: Conv2DParams
) -> tuple[NDArray[np.int64], dict[str, float]]:
    """Largest sums of each batch of each position, ``int64[n, batches, out_c]``, and how often a larger one came."""
    found, better, larger = [], 0, 0
    for r in range(rows.positions):
        for c in range(columns.positions):
            places = [(i, j) for i in _span(rows, r) for j in _span(columns, c)]
            taken = np.stack([sums[:, i, j] for i, j in places], axis=1)
            code = np.full((len(sums), conv.out_c), -128, np.int64)
            for first in range(0, len(places), _POOL_PATCHES):
                running = np.maximum.accumulate(taken[:, first : first + _POOL_PATCHES], axis=1)
                better += running[:, 0].size + (np.diff(running, axis=1) > 0).sum()
                found.append(running[:, -1])
                codes = requantized(DOUBLE, running[:, -1], conv.rescale, conv.y)
                larger += (codes > code).sum()
                code = np.maximum(code, codes)
    return np.stack(found, axis=1), {"better": better / len(sums), "larger": larger / len(sums)}


def _span(axis: Axis, position: int) -> range:
    pixel = position * axis.stride + int(axis.first[position]) * axis.dilation - axis.pad
    return range(pixel, pixel + int(axis.count[position]) * axis.dilation, axis.dilation)
