"""Depthwise convolutions channel by channel: ``eng_depthwise_planes``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import Conv2DParams, Rescale, Step
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.costs import Table
from enginekit.costs.depthwise import ChannelRequant, ExactChannels, Planes, ShortChannels, depthwise_planes, planes
from enginekit.costs.sliding import depthwise_sums
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, ShortSteps, short_steps
from enginekit.records import avr_size, initializer

#: Positions that a weight is loaded once for: one kernel each.
AT_ONCE = (4, 7)
#: Largest size, stride, pad or distance; most taps; lowest and highest sum.
_BYTE, MOST_TAPS, _LOWEST, _HIGHEST = 255, 252, -(1 << 23), (1 << 23) - 1
#: Bytes on AVR of eng_depthwise_planes and eng_plane_run; of eng_requant_short_channel and eng_requant_double_channel.
_PARAMS_BYTES, _RUN_BYTES, _REQUANT_BYTES = 31, 5, 5
#: Samples whose sums are counted at once.
_SAMPLES = 16


@dataclass(frozen=True, eq=False)
class Layer:
    """A depthwise convolution taken apart.

    Parameters
    ----------
    step : Step
    planes : Planes
    w : int64[out_c, taps]
        In the order in which taps lie in a plane.
    bias : int64[out_c]
        With the input's zero point folded in: padding then holds the zero point, as a code.
    spans : list of (int, int)
        Lowest and highest sum of each channel, whatever the input.
    steps : ShortSteps or None
        None for the exact rule.
    """

    step: Step
    planes: Planes
    w: NDArray[np.int64]
    bias: NDArray[np.int64]
    spans: list[tuple[int, int]]
    steps: ShortSteps | None

    @property
    def params(self) -> Conv2DParams:
        """The convolution's."""
        return self.planes.params

    @property
    def rescale(self) -> tuple[Rescale, ...]:
        """One record a channel."""
        return self.params.rescale if self.params.rescale_step else self.params.rescale * self.params.out_c

    @cached_property
    def requant(self) -> ChannelRequant:
        """What makes codes of sums."""
        if self.steps is None:
            return ExactChannels(self.rescale, self.params.y)
        parts = self.steps.steps.astype(np.int64).reshape(-1, 2, 3)
        numbers = (parts << 8 * np.arange(3)).sum(axis=2)
        highest = np.array([high for _, high in self.spans])
        return ShortChannels(self.steps.start, highest, self.steps.doublings, numbers)

    def filters(self) -> NDArray[np.uint8]:
        """Bytes of start and weights, filter by filter, uint8[out_c, 3 + taps]."""
        start = self.bias - (0 if self.steps is None else self.steps.start)
        starts = np.stack([(start >> shift) & 0xFF for shift in (0, 8, 16)], axis=1)
        return np.concatenate([starts, self.w & 0xFF], axis=1).astype(np.uint8)

    def sums(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        """Accumulators of samples ``int8[n, x_size]``, int64[n, out_h, out_w, out_c]."""
        v = self.params.window
        moved = x.reshape(-1, v.in_h, v.in_w, self.params.in_c).astype(np.int64) - self.params.zero_x
        return depthwise_sums(self.step, self.params, moved)


@dataclass(frozen=True, eq=False)
class DepthwisePlanes(Candidate):
    """What an ``eng_depthwise_planes`` holds and points to.

    Parameters
    ----------
    layer : Layer
    band : int
        Rows of outputs from one plane.
    at_once : int
        Of `AT_ONCE`.
    table : Table
        Of costs.
    """

    layer: Layer
    band: int
    at_once: int
    table: Table

    @property
    def encoding(self) -> str:
        """Name for people."""
        bands = len(self.layer.planes.bands(self.band))
        return f"channel by channel, {self.at_once} at once" + (f", in {bands} bands" if bands > 1 else "")

    @property
    def in_place(self) -> bool:
        """Whether it may write where it reads: each channel is copied whole before any of its codes is written."""
        v = self.layer.params.window
        return self.band == v.out_h and self.layer.planes.multiplier == 1 and v.out_h * v.out_w <= v.in_h * v.in_w

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        layer = self.layer
        taps, out_c = layer.w.shape[1], layer.params.out_c
        params = _PARAMS_BYTES + _REQUANT_BYTES + _RUN_BYTES * len(layer.planes.runs) + taps
        return Data(layer.w.size, 3 * out_c, out_c * avr_size(Rescale), params)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return (f"eng_depthwise_planes{self.at_once}{'' if self.layer.steps else '_exact'}_s8",)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare them."""
        return ("eng/encodings_depthwise.h",)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return sum(self.layer.planes.scratch(self.band, self.at_once))

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest input."""
        return self._priced(None)

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        x = samples.reshape(len(samples), -1)
        parts = [self._priced(self.layer.sums(x[at : at + _SAMPLES])) for at in range(0, len(x), _SAMPLES)]
        sizes = [len(x[at : at + _SAMPLES]) for at in range(0, len(x), _SAMPLES)]
        known = [part * size for part, size in zip(parts, sizes, strict=True) if part is not None]
        return sum(known) / len(x) if known and len(known) == len(parts) else None

    def _priced(self, sums: NDArray[np.int64] | None) -> float | None:
        bill = depthwise_planes(self.layer.planes, self.band, self.at_once, self.layer.requant, sums)
        return self.table.priced(bill)

    def emit(self, at: Place) -> StepText:
        """Write definitions and the call."""
        step, prefix, layer = at.step, at.prefix, self.layer
        bound = max(max(-low, high) for low, high in layer.spans)
        runs = [braces((run.first, run.left, run.inside, run.right)) for run in layer.planes.runs]
        lines = [
            f"/* {comment(step.name)}: {step.kernel} channel by channel, |accumulator| <= {bound} */",
            array(f"static const uint8_t {prefix}_filters", map(str, layer.filters().ravel().tolist())),
            array(f"static const eng_plane_run {prefix}_runs", runs),
            array(f"static const uint8_t {prefix}_distances", map(str, layer.planes.distance)),
            *self._requant(prefix),
            f"static const eng_depthwise_planes {prefix}_params =\n    {braces(self._members(prefix))};",
        ]
        x, y = f"(const int8_t *)(arena + {step.x_offset}u)", f"(int8_t *)(arena + {step.y_offset}u)"
        arguments = [f"&{prefix}_params", x, y, f"arena + {at.scratch}u"]
        return StepText("\n".join(lines), [wrapped(f"    {self.symbols[0]}(", arguments, ");")])

    def _members(self, prefix: str) -> list[object]:
        plane, taps, rest = self.fields()
        pointers = [f"{prefix}_filters", f"{prefix}_records", f"&{prefix}_requant"]
        return [braces([f"{prefix}_runs", *plane]), braces([f"{prefix}_distances", *taps]), *pointers, *rest]

    def fields(self) -> tuple[list[int], list[int], list[int]]:
        """Numbers of an eng_depthwise_planes: those of its eng_plane and its eng_depthwise, and its own."""
        p = self.layer.planes
        v, in_c = p.params.window, p.params.in_c
        plane = [v.in_w * in_c, v.stride_w * in_c, len(p.runs), p.pitch, v.in_h, p.params.zero_x]
        sizes = [p.scratch(self.band, self.at_once)[0], 3 + len(p.order), in_c, p.multiplier, v.out_h, self.band]
        return plane, [p.row_step, v.out_w], [*sizes, v.stride_h, v.pad_top, p.reach]

    def _requant(self, prefix: str) -> list[str]:
        """Define the records of the requantization."""
        params, steps = self.layer.params, self.layer.steps
        if steps is None:
            texts = [initializer(record, {}) for record in self.layer.rescale]
            fields = braces([params.out_c, initializer(params.y, {})])
            return [
                array(f"static const eng_rescale {prefix}_records", texts),
                f"static const eng_requant_double_channel {prefix}_requant = {fields};",
            ]
        texts = [braces([braces(step[:3]), braces(step[3:])]) for step in steps.steps.tolist()]
        fields = braces([params.out_c, steps.doublings, params.y.lo, params.y.hi])
        return [
            array(f"static const eng_short_step {prefix}_records", texts),
            f"static const eng_requant_short_channel {prefix}_requant = {fields};",
        ]


def layer_of(step: Step, x_range: tuple[int, int], *, short: bool = True) -> Layer | None:
    """Take a step apart, if it is a depthwise convolution that the kernels can compute.

    Parameters
    ----------
    step : Step
    x_range : (int, int)
        Lowest and highest code that it reads.
    short : bool
        Whether to look for multipliers of 24 bits.

    Returns
    -------
    Layer or None
        None if sizes are beyond the records', sums beyond 24 bits, or a ratio is one or more.
    """
    params = step.params
    if step.kernel != "depthwise_conv2d_s8" or not isinstance(params, Conv2DParams) or not _fits(params):
        return None
    found = planes(params)
    if max(*found.distance, found.pitch, found.reach) > _BYTE or any(run.inside == 0 for run in found.runs):
        return None
    assert step.w is not None
    assert step.bias is not None
    codes = step.w.reshape(-1, params.out_c).T[:, list(found.order)]
    w = codes.astype(np.int64)
    bias = step.bias.astype(np.int64) - params.zero_x * w.sum(1)
    reach = (min(x_range[0], params.zero_x), max(x_range[1], params.zero_x))
    low, high = (bias + side.sum(1) for side in product_range(codes, reach))
    spans = [(int(a), int(b)) for a, b in zip(low, high, strict=True)]
    rescale = params.rescale if params.rescale_step else params.rescale * params.out_c
    if low.min() < _LOWEST or high.max() > _HIGHEST or any(record.left for record in rescale):
        return None
    steps = short_steps(rescale, Rounding.DOUBLE, params.y, spans) if short else None
    return Layer(step, found, w, bias, spans, steps)


def _fits(params: Conv2DParams) -> bool:
    """Whether sizes are within those of the records."""
    v = params.window
    sizes = (v.in_h, v.in_w, v.out_h, v.out_w, v.stride_h, v.stride_w, v.pad_top, v.pad_left, params.in_c, params.out_c)
    small = max(sizes) <= _BYTE and v.kernel_h * v.kernel_w <= MOST_TAPS
    return small and v.in_h * v.in_w * params.in_c < 1 << 15 and v.out_h * v.out_w * params.out_c < 1 << 16


def depthwise_layers(context: Context) -> Iterator[DepthwisePlanes]:
    """Give a depthwise convolution channel by channel: an :data:`~enginekit.encode.candidate.Encoder`.

    In one band, two and four, which want less and less room; none if sizes are beyond the kernel's or sums beyond 24 bits.
    """
    layer = layer_of(context.step, context.x_range)
    if layer is None:
        return
    out_h = layer.params.window.out_h
    for band in sorted({-(-out_h // bands) for bands in (1, 2, 4)}):
        if layer.planes.rows(band) <= _BYTE:
            for at_once in AT_ONCE:
                yield DepthwisePlanes(layer, band, at_once, context.table)
