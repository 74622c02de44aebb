"""Convolution of one channel with 3 x 3 filters and 2 x 2 max pool: ``eng_conv3x3_pool2``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import Conv2DMaxPool2DParams, OutputS8, Rescale, Step, Window
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.costs import Table, load
from enginekit.costs.conv3x3 import Records
from enginekit.costs.conv3x3 import conv3x3_pool2 as conv3x3_pool2_bill
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, exact_codes, wide_step

#: Bytes on AVR of ``eng_filter3x3`` and ``eng_conv3x3_pool2``.
FILTER_BYTES, _PARAMS_BYTES = 22, 11


@dataclass(frozen=True, eq=False)
class Conv3x3Pool2(Candidate):
    """What an ``eng_conv3x3_pool2`` holds and points to.

    Parameters
    ----------
    filters : uint8[out_c, 22]
        ``eng_filter3x3[out_c]``.
    still : int8[out_c]
    in_w, out_h, out_w, zero_x : int
    negative_is_lo, shift32 : bool
    x_range : (int, int)
        Lowest and highest input code.
    table : Table
        Of costs.
    """

    filters: NDArray[np.uint8]
    still: NDArray[np.int8]
    in_w: int
    out_h: int
    out_w: int
    zero_x: int
    negative_is_lo: bool
    shift32: bool
    x_range: tuple[int, int] = (-128, 127)
    table: Table = field(default_factory=load)

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "3x3 and pool 2x2 in one"

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        weights = 9 * len(self.filters)
        return Data(weights, 0, int(self.filters.size + self.still.size) - weights, _PARAMS_BYTES)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return ("eng_conv3x3_pool2_s8",)

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest input."""
        return self.table.priced(conv3x3_pool2_bill(self._records, None, self.x_range))

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs ``int8[n, in_h * in_w]``."""
        return self.table.priced(conv3x3_pool2_bill(self._records, samples)) if len(samples) else None

    @property
    def _records(self) -> Records:
        """The records in numbers."""
        parts = self.filters.astype(np.int64)
        bias, mult, offset = (
            (parts[:, at : at + size] << 8 * np.arange(size)).sum(axis=1) for at, size in ((9, 3), (12, 4), (16, 4))
        )
        bias = np.where(bias >= 1 << 23, bias - (1 << 24), bias)
        w, shift = self.filters[:, :9].view(np.int8).astype(np.int64), 32 if self.shift32 else 40
        return Records(w, bias, mult, offset, self.in_w, self.out_h, self.out_w, self.zero_x, shift, self.negative_is_lo)

    def emit(self, at: Place) -> StepText:
        """Write definitions and the call."""
        step, prefix = at.step, at.prefix
        records = array(f"static const eng_filter3x3 {prefix}_filters", [_record(record.tolist()) for record in self.filters])
        still = array(f"static const int8_t {prefix}_still", [str(code) for code in self.still.tolist()])
        shape = [self.in_w, self.out_h, self.out_w, len(self.filters), self.zero_x]
        fields = [f"{prefix}_filters", f"{prefix}_still", *shape, int(self.negative_is_lo), int(self.shift32)]
        params = f"static const eng_conv3x3_pool2 {prefix}_params = {braces(fields)};"
        title = f"/* {comment(step.name)}: {step.kernel}, 3x3 and 2x2 at once, |accumulator| <= {step.acc_bound} */"
        x, y = f"(const int8_t *)(arena + {step.x_offset}u)", f"(int8_t *)(arena + {step.y_offset}u)"
        call = wrapped("    eng_conv3x3_pool2_s8(", [f"&{prefix}_params", x, y], ");")
        return StepText("\n".join([title, records, still, params]), [call])


def _record(record: list[int]) -> str:
    """Write an eng_filter3x3 from its bytes."""
    weights = [value - 256 if value > 127 else value for value in record[:9]]
    fields = [weights, record[9:12], record[12:16], record[16:20]]
    return braces([*(braces(field) for field in fields), *record[20:]])


def conv3x3_pool2_layers(context: Context) -> Iterator[Candidate]:
    """Give a fused convolution and max pool: an :data:`~enginekit.encode.candidate.Encoder`."""
    layer = conv3x3_pool2(context.step, x_range=context.x_range, zero_x=context.zero_x)
    if layer is not None:
        yield replace(layer, table=context.table)


def fits_conv3x3_pool2(params: Conv2DMaxPool2DParams) -> bool:
    """Say whether a layer has one input channel, 3 x 3 filters without padding, and 2 x 2 pools."""
    conv, pool = params.conv.window, params.pool
    sizes = params.conv.in_c == 1 and params.conv.out_c <= 255 and conv.in_w <= 255 and pool.out_h <= 255
    return sizes and _is_window(conv, 3, 1) and _is_window(pool, 2, 2)


def _is_window(window: Window, kernel: int, stride: int) -> bool:
    """Whether a window has this kernel and stride, no dilation and no padding, at the end neither."""
    steps = (window.kernel_h, window.kernel_w, window.stride_h, window.stride_w) == (kernel, kernel, stride, stride)
    plain = (window.dilation_h, window.dilation_w, window.pad_top, window.pad_left) == (1, 1, 0, 0)
    last_h, last_w = (window.out_h - 1) * stride + kernel, (window.out_w - 1) * stride + kernel
    return steps and plain and last_h <= window.in_h and last_w <= window.in_w


def _filter(
    w: NDArray[np.int8], bias: int, rescale: Rescale, *, shift: int, y: OutputS8, x_range: tuple[int, int]
) -> list[int] | None:
    """Bytes of one ``eng_filter3x3``; None if it cannot be proven."""
    low, high = product_range(w, x_range)
    if low[:2].sum() < -32768 or high[:2].sum() > 32767:
        return None
    span = (bias + int(low.sum()), bias + int(high.sum()))
    if max(-span[0], span[1], abs(bias)) >= 1 << 23:
        return None
    step = wide_step(rescale, Rounding.DOUBLE, y, span, shift=shift)
    if step is None:
        return None
    numbers = [(bias >> shift) & 0xFF for shift in (0, 8, 16)]
    numbers += [(number >> shift) & 0xFF for number in step for shift in (0, 8, 16, 24)]
    return [int(value) & 0xFF for value in w] + numbers + [y.lo + 128, y.hi + 128]


def conv3x3_pool2(step: Step, *, x_range: tuple[int, int], zero_x: int) -> Conv3x3Pool2 | None:
    """Encode a fused convolution and max pool, if it is of the kernel's kind.

    Parameters
    ----------
    step : Step
        Any step.
    x_range : (int, int)
        Lowest and highest input code.
    zero_x : int
        The input's zero point; windows that are all zero_x are not computed.

    Returns
    -------
    Conv3x3Pool2 or None
        None if the step is something else, or some filter's bounds or multiplier cannot be proven.
    """
    params = step.params
    if not isinstance(params, Conv2DMaxPool2DParams) or not fits_conv3x3_pool2(params):
        return None
    assert step.w is not None
    assert step.bias is not None
    conv, y = params.conv, params.conv.y
    w = step.w.reshape(conv.out_c, 9)
    totals = w.astype(np.int64).sum(1)
    bias = step.bias.astype(np.int64) - conv.zero_x * totals
    rescale = conv.rescale if conv.rescale_step else conv.rescale * conv.out_c
    for shift in (40, 32):
        found = [_filter(*each, shift=shift, y=y, x_range=x_range) for each in zip(w, bias.tolist(), rescale, strict=True)]
        filters = [each for each in found if each is not None]
        if len(filters) == len(found):
            break
    else:
        return None
    still_sums = bias + zero_x * totals
    still = [exact_codes(still_sums[[n]], rescale[n], Rounding.DOUBLE, y.zero)[0] for n in range(conv.out_c)]
    below = [exact_codes(np.array([-1]), each, Rounding.DOUBLE, y.zero)[0] <= y.lo for each in rescale]
    return Conv3x3Pool2(
        np.array(filters, np.uint8),
        np.clip(still, y.lo, y.hi).astype(np.int8),
        conv.window.in_w,
        params.pool.out_h,
        params.pool.out_w,
        zero_x,
        all(below),
        shift == 32,
        x_range,
    )
