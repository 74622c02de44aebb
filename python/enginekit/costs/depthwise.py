"""Depthwise convolutions channel by channel: how planes lie, and what ``eng_depthwise_planes`` and what it calls does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.program import Conv2DParams, OutputS8, Rescale
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import exact24

SHORT, EXACT = "eng_requant_short_channel_s24_s8", "eng_requant_double_channel_s24_s8"
_PLANE, _WORD = "eng_plane_s8", 1 << 16


@dataclass(frozen=True)
class Run:
    """``eng_plane_run``."""

    first: int
    left: int
    inside: int
    right: int


@dataclass(frozen=True)
class Planes:
    """How the channels of a depthwise convolution are copied and read; a record of ``eng_depthwise_planes``, but for weights.

    Parameters
    ----------
    runs : tuple of Run
        Of ``eng_plane``.
    pitch : int
        Codes of a row of a plane.
    order : tuple of int
        Taps, row by row, in the order in which they lie in a plane.
    distance : tuple of int
        Of ``eng_depthwise``.
    """

    params: Conv2DParams
    runs: tuple[Run, ...]
    pitch: int
    order: tuple[int, ...]
    distance: tuple[int, ...]

    @property
    def multiplier(self) -> int:
        """Filters of a channel."""
        return self.params.out_c // self.params.in_c

    @property
    def row_step(self) -> int:
        """From a row of outputs to the next, in a plane."""
        return self.params.window.stride_h * self.pitch

    @property
    def reach(self) -> int:
        """Rows of the image that a row of outputs needs, from the first to the last."""
        return (self.params.window.kernel_h - 1) * self.params.window.dilation_h + 1

    def rows(self, outputs: int) -> int:
        """Rows of a plane for so many rows of outputs."""
        return (outputs - 1) * self.params.window.stride_h + self.reach

    def scratch(self, band: int, at_once: int) -> tuple[int, int]:
        """Bytes of a plane for a band of rows of outputs, and of its sums, those that fill the last row's group included."""
        out_w = self.params.window.out_w
        return self.rows(band) * self.pitch, 3 * (band * out_w + -out_w % at_once)

    def bands(self, band: int) -> list[tuple[int, int]]:
        """Give each band's first row of outputs, and how many it has."""
        out_h = self.params.window.out_h
        return [(first, min(band, out_h - first)) for first in range(0, out_h, band)]


def planes(params: Conv2DParams) -> Planes:
    """Lay out the planes of a depthwise convolution: in each row, columns that are one stride apart are neighbours."""
    v, runs, starts, pitch = params.window, [], {}, 0
    columns = [j * v.dilation_w for j in range(v.kernel_w)]
    for phase in sorted({column % v.stride_w for column in columns}):
        width = v.out_w + max(column // v.stride_w for column in columns if column % v.stride_w == phase)
        at = [phase + n * v.stride_w - v.pad_left for n in range(width)]
        inside = [column for column in at if 0 <= column < v.in_w]
        left = sum(column < 0 for column in at)
        runs.append(Run(inside[0] * params.in_c if inside else 0, left, len(inside), width - left - len(inside)))
        starts[phase] = pitch
        pitch += width
    places = [
        i * v.dilation_h * pitch + starts[column % v.stride_w] + column // v.stride_w
        for i in range(v.kernel_h)
        for column in columns
    ]
    order = sorted(range(len(places)), key=places.__getitem__)
    sorted_places = [places[tap] for tap in order]
    distance = [b - a for a, b in pairwise(sorted_places)]
    return Planes(params, tuple(runs), pitch, tuple(order), (*distance, 0))


class ChannelRequant(Protocol):
    """What makes codes of a channel's sums."""

    def add(self, bill: Bill, calls: int, count: int, sums: NDArray[np.int64] | None) -> None:
        """Count `calls` calls for each channel, of `count` sums each channel in all.

        `sums` are int64[n, ..., channels], of n samples; None for all that can be.
        """


@dataclass(frozen=True, eq=False)
class ShortChannels:
    """Calls of ``eng_requant_short_channel_s24_s8``.

    Parameters
    ----------
    start, highest : int64[channels]
        What each channel's sums are lowered by; the highest that can be.
    doublings : int
        Of ``eng_requant_short_channel``.
    numbers : int64[channels, 2]
        Multiplier and offset of each channel.
    """

    start: NDArray[np.int64]
    highest: NDArray[np.int64]
    doublings: int
    numbers: NDArray[np.int64]

    def add(self, bill: Bill, calls: int, count: int, sums: NDArray[np.int64] | None) -> None:
        """Count the calls for all channels."""
        bill.add(SHORT, call=calls * len(self.start))
        if sums is None:
            for number, (start, highest) in enumerate(zip(self.start, self.highest, strict=True)):
                bill.choose(count, SHORT, *self._outcomes(number, int(highest - start)))
            return
        over = sums - self.start
        for number in range(len(self.start)):
            for event, times in self._seen(number, over[..., number]).items():
                bill.add(SHORT, **{event: times / len(sums)})

    def _outcomes(self, number: int, highest: int) -> list[dict[str, float]]:
        found: list[dict[str, float]] = [{"negative": 1.0}]
        ends = {0, min(highest, (_WORD - 1) >> self.doublings), min(highest, _WORD >> self.doublings), highest}
        each = [self._seen(number, np.array([end])) for end in sorted(ends) if end >= 0]
        return found + each

    def _seen(self, number: int, over: NDArray[np.int64]) -> dict[str, float]:
        mult, offset = self.numbers[number]
        doubled = over << self.doublings
        large = doubled >= _WORD
        beyond = large & ((doubled * mult + (offset << 8)) >> 40 > 0)
        positive = float((over >= 0).sum())
        found = {"negative": float((over < 0).sum()), "positive": positive}
        found |= {"large": float(large.sum()), "beyond": float(beyond.sum())}
        return found | ({"doubled": positive, "doubling": positive * self.doublings} if self.doublings else {})


@dataclass(frozen=True, eq=False)
class ExactChannels:
    """Calls of ``eng_requant_double_channel_s24_s8``: one record a channel."""

    records: tuple[Rescale, ...]
    y: OutputS8

    def add(self, bill: Bill, calls: int, count: int, sums: NDArray[np.int64] | None) -> None:
        """Count the calls for all channels."""
        bill.add(EXACT, call=calls * len(self.records))
        exact24(bill, EXACT, self.records, count, sums, y=self.y)


def plane(bill: Bill, p: Planes, times: int, first: int, rows: int) -> None:
    """Count calls of ``eng_plane_s8``, for rows of the image from `first` on."""
    inside = sum(0 <= first + n < p.params.window.in_h for n in range(rows))
    bill.add(_PLANE, call=times, row=times * rows, outside=times * (rows - inside))
    runs = p.runs
    each = {"run": len(runs), "border": sum((r.left > 0) + (r.right > 0) for r in runs), "odd": sum(r.inside % 2 for r in runs)}
    each |= {"two": sum((r.inside + 1) // 2 for r in runs)}
    filled = inside * sum(r.left + r.right for r in runs) + (rows - inside) * p.pitch
    bill.add(_PLANE, filled=times * filled, **{event: float(n * times * inside) for event, n in each.items()})


def filter_sums(bill: Bill, p: Planes, at_once: int, times: int, rows: int) -> None:
    """Count calls of ``eng_depthwise<at_once>_s24`` for so many rows of outputs."""
    groups = -(-p.params.window.out_w // at_once)
    name = f"eng_depthwise{at_once}_s24"
    bill.add(name, call=times, split=times * groups, row=times * rows, group=times * rows * groups)
    bill.add(name, tap=times * rows * groups * len(p.order))


def depthwise_planes(
    p: Planes, band: int, at_once: int, requant: ChannelRequant, sums: NDArray[np.int64] | None = None
) -> Bill:
    """Count a call of ``eng_depthwise_planes``, for the sums of all samples, ``int64[n, out_h, out_w, out_c]``, or for any."""
    bill, v = Bill(), p.params.window
    exact = "_exact" if isinstance(requant, ExactChannels) else ""
    bands = p.bands(band)
    name, channels, filters = f"eng_depthwise_planes{at_once}{exact}_s8", len(bands) * p.params.in_c, p.params.out_c
    bill.add(name, call=1, band=len(bands), channel=channels, filter=len(bands) * filters)
    for first, rows in bands:
        plane(bill, p, p.params.in_c, first * v.stride_h - v.pad_top, p.rows(rows))
        filter_sums(bill, p, at_once, filters, rows)
    requant.add(bill, len(bands), v.out_h * v.out_w, sums)
    return bill
