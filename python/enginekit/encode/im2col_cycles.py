"""Cycles (AVRxt) of ``eng_conv2d_im2col`` and what it calls, for one input: counted, and fitted for the C around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.program import OutputS8, Rescale
from enginekit.costs import Table
from enginekit.costs.bill import Bill
from enginekit.costs.rounding import requant_double_s24
from enginekit.encode.convolution import Convolution
from enginekit.encode.steps import ShortSteps

#: eng_im2col_u8: call with two patches of a run each; row and run beside; border at the left, at the right; run filled there.
_GATHER, _ROW, _RUN, _LEFT, _RIGHT, _RIGHT_FILL = 336, 40, 29, 7, 8, 2
#: Codes copied, by four and alone, and filled.
_FOUR, _CODE, _FILL = 29, 11, 6
_BYTE = 255


@dataclass(frozen=True)
class Product:
    """``eng_im2col<R>_s24``: call, block, block whose sums are the largest, pair of taps, and what an odd one saves."""

    call: int
    block: int
    largest: int
    pair: int
    odd: int

    def cycles(self, blocks: int, taps: int, *, largest: bool) -> int:
        """Cycles of a call without taps that are skipped or sums that take another's place."""
        each = (self.largest if largest else self.block) + self.pair * ((taps + 1) // 2) - self.odd * (taps % 2)
        return self.call + blocks * each if blocks else 0


#: By filters of a block, and whether zeros are skipped; what skipping a tap saves; what taking another's place costs.
PRODUCTS = {
    (2, False): Product(77, 80, 107, 63, 29),
    (3, False): Product(95, 104, 144, 89, 42),
    (2, True): Product(77, 82, 109, 70, 34),
    (3, True): Product(95, 106, 146, 96, 47),
}
SKIPPED = {2: 21, 3: 34}
REPLACED = 2


@dataclass(frozen=True)
class Around:
    """The C of ``eng_conv2d_im2col<R>_s8`` at -Os, avr-gcc 5.4, fitted to what was measured.

    For a call, a row of outputs, a pooled output, two positions; two whose sums are computed, with blocks of three and of two;
    what is known beforehand, and each code of it.
    """

    call: int
    row: int
    output: int
    pair: int
    computed: int
    blocks: tuple[int, int]
    rest: int
    rest_code: int


#: By positions that are requantized at once.
AROUND = {2: Around(140, 22, 0, 124, 61, (21, 4), 55, 14), 1: Around(45, 57, 174, 130, 60, (21, 5), 25, 7)}
#: A byte of memset, what else a patch of zeros takes that is wanted, and two positions of zeros.
_CLEARED, _ZEROS, _ZERO = 5, 120, 10


def copied(codes: int) -> int:
    """Cycles of a run of so many codes.

    >>> copied(1), copied(4), copied(9)
    (15, 33, 71)
    """
    fours, rest = divmod(codes, 4)
    return (_FOUR * fours if fours else 1) + (_CODE * rest if rest else 2) + (2 if fours else 3)


def is_whole(conv: Convolution) -> bool:
    """Whether a row of taps is copied in one run where it is all inside."""
    v = conv.window
    return v.dilation_w == 1 and v.kernel_w * conv.params.in_c <= _BYTE and v.in_w >= v.kernel_w


def patch_cycles(conv: Convolution) -> NDArray[np.int64]:
    """Cycles of unrolling the patch of each position, beyond those of a call, ``int64[conv_h * conv_w]``."""
    v, in_c, whole = conv.window, conv.params.in_c, is_whole(conv)
    rows = np.arange(v.out_h)[:, None] * v.stride_h - v.pad_top + np.arange(v.kernel_h) * v.dilation_h
    columns = np.arange(v.out_w)[:, None] * v.stride_w - v.pad_left + np.arange(v.kernel_w) * v.dilation_w
    inside_rows = ((rows >= 0) & (rows < v.in_h)).sum(1)[:, None]
    first = columns[:, 0]
    left, right = first < 0, first > v.in_w - (v.kernel_w if whole else 1)
    border = left | right
    single = (border | (not whole))[None]
    taken = np.where(single, copied(in_c), copied(v.kernel_w * in_c))
    runs = np.where(single, v.kernel_w, 1)
    inside = np.where(single, ((columns >= 0) & (columns < v.in_w)).sum(1), 1)
    beyond = (columns >= v.in_w).sum(1)
    fills = _FILL * np.where(single, in_c, v.kernel_w * in_c)
    full = inside * taken + (runs - inside) * fills + _RIGHT_FILL * beyond  # a row of taps that is in the image
    empty = runs * fills
    total = inside_rows * full + (v.kernel_h - inside_rows) * empty
    total = total + _ROW * (v.kernel_h - 1) + _RUN * v.kernel_h * (runs - 1) + _LEFT * left + _RIGHT * (right & ~left)
    return np.asarray(total, np.int64).ravel()


@dataclass(frozen=True, eq=False)
class Shape:
    """What a layer's cycles depend on beside its inputs.

    Parameters
    ----------
    conv : Convolution
    moving : bool
        Whether taps without inputs but zeros are skipped.
    blocks : (int, int)
        Blocks of three, and of two.
    copies : int
        2 without a pool.
    asks : bool
        Whether patches of zeros are known beforehand.
    """

    conv: Convolution
    moving: bool
    blocks: tuple[int, int]
    copies: int
    asks: bool

    @property
    def filters(self) -> int:
        """Filters of all blocks."""
        return 3 * self.blocks[0] + 2 * self.blocks[1]

    @cached_property
    def pairs(self) -> NDArray[np.int64]:
        """Positions of the convolution that are computed together, output by output, int64[outputs, pairs of each, 2].

        Where pools at the edge have fewer positions, -1.
        """
        v, p = self.conv.window, self.conv.pooling
        if self.copies == 2:
            firsts = np.minimum(np.arange(0, v.out_h * v.out_w, 2), v.out_h * v.out_w - 2)
            return np.stack([firsts, firsts + 1], axis=1)[:, None]
        found = np.full((p.out_h * p.out_w, -(-p.kernel_h * p.kernel_w // 2), 2), -1, np.int64)
        for row, column in np.ndindex(p.out_h, p.out_w):
            top, left = row * p.stride_h - p.pad_top, column * p.stride_w - p.pad_left
            rows = range(max(top, 0), min(top + p.kernel_h, v.out_h))
            columns = range(max(left, 0), min(left + p.kernel_w, v.out_w))
            places = [i * v.out_w + j for i in rows for j in columns]
            even = [*places, places[-1]] if len(places) % 2 else places
            found[row * p.out_w + column, : len(even) // 2] = np.array(even).reshape(-1, 2)
        return found

    @cached_property
    def real(self) -> NDArray[np.bool_]:
        """Which of `pairs` there are."""
        return np.asarray(self.pairs[..., 0] >= 0, np.bool_)

    def product(self, *, largest: bool) -> int:
        """Cycles of the sums of all filters and two positions."""
        blocks, taps = self.blocks, self.conv.taps
        each = zip((3, 2), blocks, strict=True)
        return sum(PRODUCTS[rows, self.moving].cycles(n, taps, largest=largest) for rows, n in each)

    @property
    def skipped(self) -> int:
        """Cycles that a tap saves which is skipped."""
        return SKIPPED[3] * self.blocks[0] + SKIPPED[2] * self.blocks[1] if self.moving else 0


class Requant(Protocol):
    """Cycles of what makes codes of sums."""

    def of(self, sums: NDArray[np.int64]) -> float:
        """Cycles of all calls for sums ``int64[calls, copies, out]``."""

    def slowest(self, calls: int, copies: int) -> float:
        """Most cycles of so many calls."""


@dataclass(frozen=True, eq=False)
class ShortRequant:
    """``eng_requant_short_s24_s8``.

    Parameters
    ----------
    steps : ShortSteps
    spans : list of (int, int)
        Lowest and highest sum of each output.
    """

    steps: ShortSteps
    spans: list[tuple[int, int]]

    def of(self, sums: NDArray[np.int64]) -> float:
        """Cycles of all calls for sums ``int64[calls, copies, out]``."""
        return int(self.steps.cycles_for(sums).sum())

    def slowest(self, calls: int, copies: int) -> float:
        """Most cycles of so many calls: those of the highest sums."""
        high = np.array([high for _, high in self.spans])
        return calls * int(self.steps.cycles_for(np.broadcast_to(high, (1, copies, len(high))))[0])


@dataclass(frozen=True, eq=False)
class ExactRequant:
    """``eng_requant_double_s24_s8``.

    Parameters
    ----------
    records : tuple of Rescale
        One an output.
    y : OutputS8
    table : Table
    """

    records: tuple[Rescale, ...]
    y: OutputS8
    table: Table

    @property
    def known(self) -> bool:
        """Whether the table has what the kernel costs."""
        bill = Bill()
        requant_double_s24(bill, self.records, self.y, (1, 1), None)
        return self.table.priced(bill) is not None

    def of(self, sums: NDArray[np.int64]) -> float:
        """Cycles of all calls for sums ``int64[calls, copies, out]``."""
        return self._priced(len(sums), sums.shape[1], sums)

    def slowest(self, calls: int, copies: int) -> float:
        """Most cycles of so many calls."""
        return self._priced(calls, copies, None)

    def _priced(self, calls: int, copies: int, sums: NDArray[np.int64] | None) -> float:
        bill = Bill()
        requant_double_s24(bill, self.records, self.y, (calls, copies), sums)
        return bill.cycles(self.table.cycles)


class Cycles:
    """Cycles of a layer.

    Parameters
    ----------
    shape : Shape
    requant : Requant
    """

    def __init__(self, shape: Shape, requant: Requant) -> None:
        self._shape, self._requant = shape, requant
        patches = patch_cycles(shape.conv)[shape.pairs] * shape.real[..., None]
        self._always = int(patches.sum()) + _GATHER * int(shape.real.sum()) + self._around()

    def _around(self) -> int:
        """Cycles of the C around the kernels, whatever the input."""
        shape, around = self._shape, AROUND[self._shape.copies]
        pairs = int(shape.real.sum())
        if shape.copies == 2:
            return around.call + around.row * shape.conv.window.out_h + around.pair * pairs
        outputs = len(shape.pairs)
        rows = around.call + around.row * shape.conv.pooling.out_h
        return rows + around.output * outputs + around.pair * pairs + _CLEARED * 3 * shape.filters * outputs

    def _computed(self) -> int:
        """Cycles of the C around the sums of two positions."""
        around = AROUND[self._shape.copies]
        return around.computed + sum(cost for cost, n in zip(around.blocks, self._shape.blocks, strict=True) if n)

    @property
    def slowest(self) -> float:
        """Cycles of the slowest input that is thinkable."""
        shape = self._shape
        pairs = int(shape.real.sum())
        largest = shape.copies == 1
        each = shape.product(largest=largest) + self._computed() + (2 * REPLACED * shape.filters if largest else 0)
        requant = self._requant.slowest(len(shape.pairs), shape.copies)
        zeros = self._cleared_patches() if shape.asks and not shape.moving and shape.pairs.shape[1] > 1 else 0
        return self._always + pairs * each + len(shape.pairs) * zeros + requant

    def of(self, x: NDArray[np.int8]) -> float:
        """Cycles for one input ``int8[in_h * in_w * in_c]``."""
        shape = self._shape
        conv, pairs = shape.conv, shape.pairs
        patches = conv.patches(x).reshape(-1, conv.taps)
        sums = (patches.astype(np.int64) @ conv.rows.T + conv.bias)[pairs]
        moves = (patches != -128)[pairs].any(axis=2)  # [outputs, pairs, taps]
        real = shape.real
        computed: NDArray[np.bool_] = np.logical_and(real, moves.any(axis=2)) if shape.asks else real
        shown = computed.any(axis=1)
        skipped = shape.skipped * int((~moves[computed]).sum())
        each = shape.product(largest=shape.copies == 1) + self._computed()
        around = AROUND[shape.copies]
        rest = (around.rest + around.rest_code * len(conv.w)) * int((~shown).sum()) + _ZERO * int((real & ~computed).sum())
        total = self._always + each * int(computed.sum()) + rest - skipped
        if shape.copies == 2:
            return total + self._requant.of(sums[shown][:, 0])
        total += self._rests(computed) + REPLACED * _replaced(sums, computed)
        largest = np.where(computed[..., None, None], sums, -(1 << 40)).max(axis=(1, 2))
        return total + self._requant.of(largest[shown][:, None])

    def _cleared_patches(self) -> int:
        return _ZEROS + _CLEARED * 2 * self._shape.conv.taps

    def _rests(self, computed: NDArray[np.bool_]) -> int:
        """Cycles of the sums of patches of zeros, beside others of their output."""
        shape = self._shape
        each = shape.product(largest=True) + self._computed() - shape.skipped * shape.conv.taps + self._cleared_patches()
        mixed = computed.any(axis=1) & (shape.real & ~computed).any(axis=1)
        return each * int(mixed.sum())


def _replaced(sums: NDArray[np.int64], computed: NDArray[np.bool_]) -> int:
    """How often a sum is larger than the one that it is compared with, sums int64[outputs, pairs, 2, out]."""
    count = int((sums[:, :, 0] < sums[:, :, 1])[computed].sum())
    largest = np.full(sums[:, 0, 0].shape, -(1 << 40))
    for n in range(sums.shape[1]):
        here, each = computed[:, n], sums[:, n].max(axis=1)
        count += int((each < largest)[here].sum())
        largest = np.where(here[:, None], np.maximum(each, largest), largest)
    return count
