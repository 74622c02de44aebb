"""Convolution of one channel with 3 x 3 filters and 2 x 2 max pool, its weights as instructions: ``eng_conv3x3_code``.

The 16 inputs of a window stay in registers for all filters, as unsigned numbers x + 128, so that each weight is one LDI for
four products. The code is written out from :data:`_TEMPLATE`; ``csrc/src/conv3x3_pool2_code_s8.c`` is its portable twin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engine.program import Conv2DMaxPool2DParams, OutputS8, Rescale
from enginekit.c_text import array, braces, comment
from enginekit.encode.assembly import inline, instructions
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.conv import fits_conv3x3_pool2
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, exact_codes, thresholds

_TEMPLATE = "conv3x3_code.S.in"
#: Shifts of the product that the code can take, the most precise multiplier first.
SHIFTS = (16, 15, 14)
#: Sums are 16 bits.
_SPAN = 1 << 16
#: Registers of a window's inputs by (row, column), and of the four sums.
_INPUT, _SUMS = 2, (18, 20, 22, 24)
_SAVED = (*range(2, 18), 28, 29)
#: Filters up to which RJMP and RCALL reach from end to end.
_SHORT = 14
#: Cycles of instructions that take more than one, with operands in SRAM.
_CYCLES = {"ldd": 2, "mul": 2, "pop": 2}


@dataclass(frozen=True)
class CodeFilter:
    """One ``eng_filter3x3_code``: nine weights and the numbers of its step."""

    w: tuple[int, ...]
    raise_: int
    start: int
    mult: int
    offset: int


@dataclass(frozen=True, eq=False)
class Conv3x3Code(Candidate):
    """What an ``eng_conv3x3_code`` holds and points to, and the code that the emitter writes instead for AVR.

    Parameters
    ----------
    filters : tuple of CodeFilter
    still : tuple of int
    in_w, out_h, out_w, zero_x, shift : int
    symbol : str
        Name of the code.
    """

    filters: tuple[CodeFilter, ...]
    still: tuple[int, ...]
    in_w: int
    out_h: int
    out_w: int
    zero_x: int
    shift: int
    symbol: str

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "3x3 and pool 2x2 in one, weights as instructions"

    @property
    def data(self) -> Data:
        """Bytes of constants: on AVR all of them are in the code, which counts as the weights."""
        return Data(2 * self.words, 0, 0, 0)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return (self.symbol,)

    @property
    def own_stack(self) -> int:
        """Bytes of stack."""
        return 27

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare what is called off the chip."""
        return ("eng/encodings_conv.h",)

    @property
    def words(self) -> int:
        """Words of code."""
        return sum(2 if name in ("call", "jmp") else 1 for name in instructions(self.assembly()))

    @property
    def cycles(self) -> int:
        """Cycles of the slowest input that is thinkable: no window still, every sum beyond the clamp."""
        filters = sum(_cycles(_filter(each)) + self._clamped(16 - self.shift) for each in self.filters)
        return self._outside + self.out_h * self.out_w * (self._active + filters)

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs ``int8[n, in_h * in_w]``, counted way by way."""
        return float(np.mean([self.cycles_of(x) for x in samples])) if len(samples) else None

    def cycles_of(self, x: NDArray[np.int8]) -> int:
        """Cycles for one input ``int8[in_h * in_w]``."""
        image = x.reshape(-1, self.in_w).astype(np.int64)
        corners = sliding_window_view(image, (4, 4))[::2, ::2][: self.out_h, : self.out_w]
        moving = (corners != self.zero_x).any(axis=(2, 3))
        active = int(moving.sum())
        total = self._outside + active * self._active + (int(moving.size) - active) * self._still
        for each in self.filters:
            products = np.maximum(_products(each, self._sums(each, image)[moving]), -1)
            total += active * _cycles(_filter(each)) + int((products < 0).sum()) * self._below
            for bits in range(17 - self.shift):  # clamped at the first bit that does not fit
                fits = products << bits < 1 << 24
                total += int(((products >= 0) & ~fits).sum()) * self._clamped(bits)
                products = products[fits]
            total += int((products >= 0).sum()) * self._between
        return total

    def _sums(self, each: CodeFilter, image: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pooled sums ``sum w * (x + 128)``."""
        taps = sliding_window_view(image + 128, (3, 3))[: 2 * self.out_h, : 2 * self.out_w]
        sums = (taps * np.array(each.w).reshape(3, 3)).sum(axis=(2, 3))
        pooled: NDArray[np.int64] = sums.reshape(self.out_h, 2, self.out_w, 2).max(axis=(1, 3))
        return pooled

    @property
    def _is_long(self) -> bool:
        return len(self.filters) > _SHORT

    @property
    def _jump(self) -> int:
        return 3 if self._is_long else 2

    @property
    def _below(self) -> int:
        """Cycles of the shared end of a filter whose sum is below its start."""
        return 22 + self._jump

    @property
    def _between(self) -> int:
        """Cycles of the shared end of a filter whose sum is between its start and the clamp."""
        return 30 + self._jump + 3 * (16 - self.shift)

    def _clamped(self, bits: int) -> int:
        """Cycles of the shared end of a filter whose sum is clamped when shifted by so many bits."""
        return 31 + self._jump + 3 * bits

    @property
    def _outside(self) -> int:
        """Cycles outside windows, and of what every window takes beside its test and codes."""
        row = 3 + _cycles(_loads(self.in_w, column=0, after=0)) + _cycles(self._row_step) + 3
        window = 6 + _cycles(_loads(self.in_w, column=2, after=2)) + 2 + 17 + 7
        windows = self.out_w * window + (self.out_w - 1) * (1 + self._jump) + 2
        return 18 + 3 + self.out_h * (row + windows) + (self.out_h - 1) * (1 + self._jump) + 2 + 41

    @property
    def _active(self) -> int:
        return 1 + self._jump

    @property
    def _still(self) -> int:
        return 2 + self._jump + 2 * len(self.filters)

    @property
    def _row_step(self) -> list[str]:
        return _step(28, 2 * self.in_w - 2 * self.out_w)

    def assembly(self) -> str:
        """Write the code: a function of x and y."""
        jump, call = ("jmp", "call") if self._is_long else ("rjmp", "rcall")
        values = {
            "symbol": self.symbol,
            "out_h": self.out_h,
            "out_w": self.out_w,
            "jump": jump,
            "save": _lines(f"push r{n}" for n in _SAVED),
            "restore": _lines(f"pop r{n}" for n in reversed(_SAVED)),
            "first": _lines(_loads(self.in_w, column=0, after=0)),
            "second": _lines(_loads(self.in_w, column=2, after=2)),
            "still_input": (self.zero_x + 128) & 0xFF,
            "compare": _lines(f"cpc r{n}, r18" for n in range(_INPUT + 1, _INPUT + 16)),
            "still": _lines(line for code in self.still for line in (f"ldi r18, {code & 0xFF}", "st X+, r18")),
            "align": _lines(["lsl r20", "rol r21", "brcs 3f"] * (16 - self.shift)),
            "filters": "\n".join(_lines([*_filter(each), f"{call} .L{self.symbol}_code"]) for each in self.filters),
            "row_step": _lines(self._row_step),
        }
        text = resources.files("enginekit.encode").joinpath("templates", _TEMPLATE).read_text(encoding="utf-8")
        return Template(text).substitute(values)

    def emit(self, at: Place) -> StepText:
        """Write the code for AVR, for others the records of its portable twin, and the call."""
        step, prefix = at.step, at.prefix
        records = array(f"static const eng_filter3x3_code {prefix}_filters", [_record(each) for each in self.filters])
        still = array(f"static const int8_t {prefix}_still", [str(code) for code in self.still])
        shape = [self.in_w, self.out_h, self.out_w, len(self.filters), self.zero_x, self.shift]
        arguments = "const int8_t *x, int8_t *y"
        lines = [
            f"/* {comment(step.name)}: {step.kernel}, 3x3 and 2x2 at once, |accumulator| <= {step.acc_bound} */",
            "#ifdef __AVR__",
            f"void {self.symbol}({arguments});",
            *inline(self.assembly()),
            "#else",
            records,
            still,
            f"static const eng_conv3x3_code {prefix}_params = {braces([f'{prefix}_filters', f'{prefix}_still', *shape])};",
            f"static void {self.symbol}({arguments})",
            "{",
            f"    eng_conv3x3_pool2_code_s8(&{prefix}_params, x, y);",
            "}",
            "#endif",
        ]
        x, y = f"(const int8_t *)(arena + {step.x_offset}u)", f"(int8_t *)(arena + {step.y_offset}u)"
        return StepText("\n".join(lines), [f"    {self.symbol}({x}, {y});"])


def _cycles(lines: list[str]) -> int:
    """Cycles of instructions without a jump among them."""
    return sum(_CYCLES.get(line.split()[0], 1) for line in lines)


def _products(each: CodeFilter, sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compute what is shifted to become a code; negative for sums below the start."""
    over = sums + 256 * each.raise_ - each.start
    return np.where(over < 0, -1, over * each.mult + each.offset)


def record(each: CodeFilter) -> list[int]:
    """Bytes of one ``eng_filter3x3_code``."""
    return [*(w & 0xFF for w in each.w), each.raise_, each.start & 0xFF, each.start >> 8, each.mult, each.offset]


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(f"    {text}" for text in texts)


def _record(each: CodeFilter) -> str:
    """Write an eng_filter3x3_code."""
    return braces([braces(each.w), each.raise_, braces([each.start & 0xFF, each.start >> 8]), each.mult, each.offset])


def _step(low: int, distance: int) -> list[str]:
    """Move the pointer in registers low and low + 1."""
    if distance == 0:
        return []
    return [f"subi r{low}, {-distance & 0xFF}", f"sbci r{low + 1}, {(-distance >> 8) & 0xFF}"]


def _loads(in_w: int, *, column: int, after: int) -> list[str]:
    """Load two columns of a window into the registers of its last two, as x + 128, and move Y to column `after`."""
    lines, at = [], 0
    for row in range(4):
        place = row * in_w + column
        if place + 1 - at > 63:
            lines += _step(28, place - at)
            at = place
        for n in range(2):
            lines.append(f"ldd r{_INPUT + 4 * row + 2 + n}, Y+{place + n - at}")
    lines += [f"eor r{_INPUT + 4 * row + 2 + n}, r18" for row in range(4) for n in range(2)]
    return lines + _step(28, after - at)


def _filter(each: CodeFilter) -> list[str]:
    """Write one filter up to its shared end: four sums of nine products, then the numbers of its step."""
    lines: list[str] = []
    if not any(w > 0 for w in each.w):
        lines += ["ldi r18, 0", "ldi r19, 0", "movw r20, r18", "movw r22, r18", "movw r24, r18"]
    taps = sorted((k for k in range(9) if each.w[k] != 0), key=lambda k: each.w[k] < 0)
    for number, k in enumerate(taps):
        lines.append(f"ldi r31, {abs(each.w[k])}")
        for output, low in enumerate(_SUMS):
            row, column = k // 3 + output // 2, k % 3 + output % 2
            lines.append(f"mul r{_INPUT + 4 * row + column}, r31")
            if number == 0 and each.w[k] > 0:
                lines.append(f"movw r{low}, r0")
            else:
                add, carry = ("add", "adc") if each.w[k] > 0 else ("sub", "sbc")
                lines += [f"{add} r{low}, r0", f"{carry} r{low + 1}, r1"]
    if each.raise_:
        lines += [f"subi r{low + 1}, {-each.raise_ & 0xFF}" for low in _SUMS]
    numbers = (each.start & 0xFF, each.start >> 8, each.offset, each.mult)
    return lines + [f"ldi r{28 + n}, {number}" for n, number in enumerate(numbers)]


def _encoded(
    w: NDArray[np.int8], bias: int, rescale: Rescale, *, y: OutputS8, x_range: tuple[int, int], shift: int
) -> CodeFilter | None:
    """Find the numbers of one filter's step, and prove them; None if there are none.

    ``bias`` is of sums of bare codes; ``(sum - start) * mult + offset`` must pass ``n * 2**shift`` exactly where the exact rule
    gives code ``n - 128``.
    """
    low, high = product_range(w, (x_range[0] + 128, x_range[1] + 128))
    lowest, highest = int(low.sum()), int(high.sum())
    level = bias - 128 * int(w.astype(np.int64).sum())  # what makes a sum of x + 128 the accumulator
    mult = round(rescale.mult * 2.0 ** (shift - 31 + rescale.left - rescale.right))
    if not 1 <= mult <= 255 or max(-lowest - level, highest + level) << rescale.left >= 1 << 31:
        return None
    codes, first = thresholds(rescale, Rounding.DOUBLE, y, (lowest + level, highest + level))
    target, sums = (codes + 128) << shift, first - level
    inside, before = sums <= highest, sums > lowest
    least = int((target - sums * mult)[inside].max(initial=-(1 << 62)))
    most = int((target - (sums - 1) * mult)[before].min(initial=1 << 62)) - 1
    if least > most:
        return None
    # Where no sum in the range gives more than the lowest code, the start lies beyond the range.
    start, offset = (-(least // mult), least % mult) if inside.any() else (highest + 1, 0)
    raise_ = max(-(min(lowest, start) // 256), 0)
    if raise_ > 255 or max(highest, start) + 256 * raise_ >= _SPAN:
        return None
    return CodeFilter(tuple(int(value) for value in w), raise_, start + 256 * raise_, mult, offset)


def conv3x3_code(context: Context) -> Conv3x3Code | None:
    """Encode a fused convolution and max pool as instructions, if it is of the kind.

    Parameters
    ----------
    context : Context

    Returns
    -------
    Conv3x3Code or None
        None if the step is something else, its codes are clamped otherwise than to all of int8, or some filter's sums need more
        than 16 bits, or its rescale ratio more than an 8-bit multiplier.
    """
    step = context.step
    params = step.params
    if not isinstance(params, Conv2DMaxPool2DParams) or not fits_conv3x3_pool2(params):
        return None
    conv, y = params.conv, params.conv.y
    if (y.lo, y.hi) != (-128, 127):
        return None
    assert step.w is not None
    assert step.bias is not None
    w = step.w.reshape(conv.out_c, 9)
    totals = w.astype(np.int64).sum(1)
    bias = step.bias.astype(np.int64) - conv.zero_x * totals
    rescale = conv.rescale if conv.rescale_step else conv.rescale * conv.out_c
    for shift in SHIFTS:
        found = [
            _encoded(*each, y=y, x_range=context.x_range, shift=shift) for each in zip(w, bias.tolist(), rescale, strict=True)
        ]
        filters = tuple(each for each in found if each is not None)
        if len(filters) == len(found):
            break
    else:
        return None
    still_sums = bias + context.zero_x * totals
    still = [exact_codes(still_sums[[n]], rescale[n], Rounding.DOUBLE, y.zero)[0] for n in range(conv.out_c)]
    codes = tuple(int(code) for code in np.clip(still, y.lo, y.hi))
    size = conv.window.in_w, params.pool.out_h, params.pool.out_w
    return Conv3x3Code(filters, codes, *size, context.zero_x, shift, f"eng_code_{step.name}")


def conv3x3_code_layers(context: Context) -> Iterator[Candidate]:
    """Give a fused convolution and max pool as instructions: an :data:`~enginekit.encode.candidate.Encoder`."""
    layer = conv3x3_code(context)
    if layer is not None:
        yield layer
