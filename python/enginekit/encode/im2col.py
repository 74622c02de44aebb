"""Convolutions as products of unrolled patches, two output positions at a time: ``eng_conv2d_im2col``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import Rescale
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.costs import Table
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.convolution import Convolution, convolution_of
from enginekit.encode.im2col_cycles import Cycles, ExactRequant, Shape, ShortRequant, is_whole
from enginekit.encode.steps import Rounding, ShortSteps, exact_codes, short_steps
from enginekit.records import avr_size, initializer

#: ENG_IM2COL_TAPS; lowest finished sum; largest size, stride or pad.
MOST_TAPS, _LOWEST, _BYTE = 510, -0x7F7F80, 255
#: Bytes on AVR of eng_conv2d_im2col, eng_requant_short and eng_requant_double.
_PARAMS_BYTES, _SHORT_BYTES, _EXACT_BYTES = 47, 8, 9


@dataclass(frozen=True, eq=False)
class Im2col(Candidate):
    """What an ``eng_conv2d_im2col`` holds and points to.

    Parameters
    ----------
    conv : Convolution
    steps : ShortSteps or None
        None for the exact rule.
    moving : bool
        Whether taps without inputs but zeros are skipped.
    still : int8[out_c] or None
        Codes where all inputs are -128.
    table : Table
        Of costs.
    """

    conv: Convolution
    steps: ShortSteps | None
    moving: bool
    still: NDArray[np.int8] | None
    table: Table

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "patches" + (", skipping zeros" if self.moving else "")

    @cached_property
    def blocks(self) -> tuple[int, int]:
        """Blocks of three, and of two."""
        out = len(self.conv.w)
        threes = out // 3 - (out % 3 == 1 and out > 3)
        return threes, -(-(out - 3 * threes) // 2)

    @property
    def filters(self) -> int:
        """Filters, with those that fill the last block."""
        return 3 * self.blocks[0] + 2 * self.blocks[1]

    @property
    def copies(self) -> int:
        """Positions that are requantized at once."""
        return 2 if self.conv.pool is None and self.conv.window.out_h * self.conv.window.out_w > 1 else 1

    @property
    def in_place(self) -> bool:
        """Whether it may write where it reads: pixel by pixel, two of them read before both are written."""
        v, params = self.conv.window, self.conv.params
        pixelwise = (v.kernel_h, v.kernel_w, v.stride_h, v.stride_w, v.pad_top, v.pad_left) == (1, 1, 1, 1, 0, 0)
        return self.copies == 2 and pixelwise and params.out_c <= params.in_c and v.out_h * v.out_w % 2 == 0

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        records = len(self.conv.params.rescale) * avr_size(Rescale) if self.steps is None else self.steps.steps.nbytes
        still = 0 if self.still is None else self.still.nbytes
        params = _PARAMS_BYTES + (_EXACT_BYTES if self.steps is None else _SHORT_BYTES)
        return Data(self.filters * self.conv.taps, 3 * self.filters, records + still, params)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return (f"eng_conv2d_im2col{'' if self.steps else '_exact'}{'_moving' if self.moving else ''}_s8",)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare them."""
        return ("eng/encodings_im2col.h",)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return 6 + 2 * self.conv.taps + 3 * self.filters * self.copies

    @cached_property
    def _cycles(self) -> Cycles | None:
        conv = self.conv
        shape = Shape(conv, self.moving, self.blocks, self.copies, self.still is not None)
        if self.steps is not None:
            return Cycles(shape, ShortRequant(self.steps, conv.spans))
        exact = ExactRequant(conv.rescale, conv.params.y, self.table)
        return Cycles(shape, exact) if exact.known else None

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest input: nothing is skipped, every sum is large, and each takes the place of the one before."""
        return None if self._cycles is None else self._cycles.slowest

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        x, cycles = samples.reshape(len(samples), -1), self._cycles
        return float(np.mean([cycles.of(each) for each in x])) if len(x) and cycles is not None else None

    def streams(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Give the blocks of three and those of two, as bytes."""
        w = np.zeros((self.filters, self.conv.taps), np.int64)
        start = np.zeros(self.filters, np.int64)
        out = len(self.conv.w)
        first = 0 if self.steps is None else self.steps.start
        w[:out], start[:out] = self.conv.rows, self.conv.bias - first - 128 * self.conv.rows.sum(1)
        cut = 3 * self.blocks[0]
        return _stream(w[:cut], start[:cut], 3), _stream(w[cut:], start[cut:], 2)

    def emit(self, at: Place) -> StepText:
        """Write definitions and the call."""
        step, prefix = at.step, at.prefix
        lines = [f"/* {comment(step.name)}: {step.kernel} by patches, |accumulator| <= {self.conv.bound} */"]
        fields = []
        for rows, blocks, stream in zip((3, 2), self.blocks, self.streams(), strict=True):
            name = f"{prefix}_filters{rows}"
            lines += [array(f"static const uint8_t {name}", map(str, stream.tolist()))] if blocks else []
            fields.append(braces([name if blocks else 0, self.conv.taps, blocks]))
        lines += self._requant(prefix)
        if self.still is not None:
            lines.append(array(f"static const int8_t {prefix}_still", map(str, self.still.tolist())))
        still = 0 if self.still is None else f"{prefix}_still"
        members = [braces(_patch(self.conv)), *map(braces, _axes(self.conv)), still, braces(fields)]
        members += [f"&{prefix}_requant", str(len(self.conv.w)), str(self.copies)]
        lines.append(f"static const eng_conv2d_im2col {prefix}_params =\n    {braces(members)};")
        x, y = f"(const int8_t *)(arena + {step.x_offset}u)", f"(int8_t *)(arena + {step.y_offset}u)"
        arguments = [f"&{prefix}_params", x, y, f"arena + {at.scratch}u"]
        return StepText("\n".join(lines), [wrapped(f"    {self.symbols[0]}(", arguments, ");")])

    def _requant(self, prefix: str) -> list[str]:
        """Define the records of the requantization."""
        out, params = len(self.conv.w), self.conv.params
        if self.steps is None:
            records = array(f"static const eng_rescale {prefix}_rescale", [initializer(r, {}) for r in params.rescale])
            fields = [f"{prefix}_rescale", out, self.copies, int(len(params.rescale) > 1), initializer(params.y, {})]
            return [records, f"static const eng_requant_double {prefix}_requant = {braces(fields)};"]
        texts = [braces([braces(step[:3]), braces(step[3:])]) for step in self.steps.steps.tolist()]
        fields = [f"{prefix}_steps", out, self.copies, self.steps.doublings, params.y.lo, params.y.hi]
        return [
            array(f"static const eng_short_step {prefix}_steps", texts),
            f"static const eng_requant_short {prefix}_requant = {braces(fields)};",
        ]


def _stream(w: NDArray[np.int64], start: NDArray[np.int64], rows: int) -> NDArray[np.uint8]:
    """Bytes of blocks of so many filters: starts, then weights plus 128 by taps."""
    blocks = len(w) // rows
    starts = np.stack([(start >> shift) & 0xFF for shift in (0, 8, 16)], axis=1).reshape(blocks, 3 * rows)
    weights = (w + 128).reshape(blocks, rows, w.shape[1]).transpose(0, 2, 1).reshape(blocks, rows * w.shape[1])
    return np.concatenate([starts, weights], axis=1).astype(np.uint8).ravel()


def _patch(conv: Convolution) -> list[int]:
    """Fields of an eng_im2col."""
    v, in_c = conv.window, conv.params.in_c
    row = v.in_w * in_c
    run, runs, last = (v.kernel_w * in_c, 1, v.in_w - v.kernel_w) if is_whole(conv) else (in_c, v.kernel_w, v.in_w - 1)
    sizes = [v.in_h, in_c, v.kernel_h, v.kernel_w, v.dilation_h, v.dilation_w]
    padding = conv.params.zero_x + 128
    return [row, v.dilation_h * row, v.dilation_w * in_c, *sizes, padding, run, runs, last, v.in_w - 1]


def _axes(conv: Convolution) -> list[list[int]]:
    """Fields of the two eng_im2col_axis."""
    v, p = conv.window, conv.pooling
    down = [v.stride_h, v.pad_top, v.out_h, p.kernel_h, p.stride_h, p.pad_top, p.out_h]
    right = [v.stride_w, v.pad_left, v.out_w, p.kernel_w, p.stride_w, p.pad_left, p.out_w]
    return [down, right]


def _fits(conv: Convolution) -> bool:
    """Whether sizes are within those of the records."""
    v = conv.window
    small = (
        max(v.in_h, v.in_w, conv.params.in_c, conv.params.out_c, v.dilation_h, v.dilation_w, *_axes(conv)[0], *_axes(conv)[1])
        <= _BYTE
    )
    undilated = (conv.pooling.dilation_h, conv.pooling.dilation_w) == (1, 1)
    return small and undilated and conv.taps <= MOST_TAPS and v.in_h * v.in_w * conv.params.in_c < 1 << 15


def im2col_layers(context: Context) -> Iterator[Im2col]:
    """Give a convolution by patches: an :data:`~enginekit.encode.candidate.Encoder`.

    None if sizes are beyond the kernel's, sums beyond 24 bits, or a ratio is one or more.
    """
    conv = convolution_of(context.step, context.x_range)
    if conv is None or not _fits(conv) or conv.bound >= -_LOWEST or any(record.left for record in conv.rescale):
        return
    steps = short_steps(conv.rescale, Rounding.DOUBLE, conv.params.y, conv.spans)
    if steps is not None and any(low - start < _LOWEST for (low, _), start in zip(conv.spans, steps.start, strict=True)):
        steps = None
    still = _still(conv) if context.zero_x == -128 and (not conv.padded or conv.params.zero_x == -128) else None
    yield Im2col(conv, steps, False, still, context.table)
    if still is not None:
        yield Im2col(conv, steps, True, still, context.table)


def _still(conv: Convolution) -> NDArray[np.int8]:
    """Codes where all inputs are -128."""
    sums = conv.bias - 128 * conv.rows.sum(1)
    y = conv.params.y
    codes = [exact_codes(sums[[n]], rescale, Rounding.DOUBLE, y.zero)[0] for n, rescale in enumerate(conv.rescale)]
    return np.asarray(np.clip(codes, y.lo, y.hi), np.int8)
