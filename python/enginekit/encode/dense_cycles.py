"""Cycles (AVRxt) of a dense layer as code, counted way by way as :mod:`enginekit.encode.dense_assembly` writes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from enginekit.encode.assembly import code_bytes
from enginekit.encode.dense_assembly import LONGEST, SCAN, DenseText, Stops


@dataclass(frozen=True, eq=False)
class DenseCycles:
    """Cycles and bytes of one layer's code.

    Parameters
    ----------
    text : DenseText
    w : int8[blocks, in, rows]
    """

    text: DenseText
    w: NDArray[np.int8]

    @cached_property
    def code(self) -> int:
        """Bytes of code."""
        return code_bytes(self.text.assembly())

    @property
    def _jump(self) -> int:
        """A jump to blocks, or over them."""
        return 3 if self.text.far[-1] else 2

    @cached_property
    def _edge(self) -> int:
        """Saving and restoring registers and state."""
        return 3 * len(self.text.saved) + 4 + 4 * 2 + 1 + 4 + (5 + 2 * 2 if self.text.keeps else 0)

    @property
    def _begin(self) -> int:
        """A call of ``begin``."""
        return 2 + 2 + 4 + (5 if self.text.keeps else 0) + 2 + 6 + (2 if self.text.rows > 4 else 0) + 4

    @property
    def _ready(self) -> int:
        """A call of ``ready``, and zero."""
        return 2 + 2 + self._high + 4 + 1

    @property
    def _high(self) -> int:
        return (self.text.rows + 1) // 2

    @property
    def _store(self) -> int:
        """A call of ``store``, with the bias loaded by two instructions."""
        return 2 + 2 + 1 + 2 + 4 + 2 + 2 + 2 + 1 + 15 * self.text.rows + 4

    @property
    def _plain(self) -> int:
        """A call of ``plain``."""
        return 2 + 2 * self.text.rows + 4

    def _groups(self, block: int, stretches: Iterable[tuple[int, ...]]) -> int:
        """Count calls of groups, and steps over inputs without weights."""
        rows = self.text.rows
        group = 2 + 2 * rows + self._high + 4 + (1 if self.text.far[block] else 0)
        return sum(group + n * (2 + 7 * rows) if n > 0 else 4 for lengths in stretches for n in lengths)

    def _stored(self, block: int) -> int:
        """Count a call of ``store`` at the end of a block's groups."""
        return self._store + (1 if self.text.far[block] else 0)

    def _other_by_groups(self) -> int:
        """Blocks but the first, by groups."""
        text, total = self.text, 0
        for block in range(1, text.blocks):
            begin = self._begin + 1 + (1 if text.far[block] else 0) + (2 if block % text.part == 0 else 0)
            total += begin + self._groups(block, text.groups[block]) + self._stored(block)
        return total

    @cached_property
    def by_groups(self) -> int:
        """Cycles of code that does not skip."""
        first = self._begin + 2 + self._ready + self._groups(0, self.text.groups[0]) + self._stored(0)
        return self._edge + 2 + first + self._other_by_groups()

    def of(self, x: NDArray[np.int8]) -> int:
        """Cycles for one input, int8[in]."""
        if self.text.stops is None:
            return self.by_groups
        walk = _Walk(self.text, self.text.stops, x)
        total = self._edge + self._first_begin + walk.cycles
        total += self._overflows(0, x[: walk.at])
        if walk.left > 0:
            return total + 3 + self._given_up(walk.left)
        total += 2 + 2 + 2 + self._plain + self._store - 4
        if self.text.blocks == 1:
            return total + self._jump
        if walk.room < 0:
            return total + 3 + self._ready - 1 + 2 + self._jump + self._other_by_groups()
        return total + 5 + self._jump + sum(self._again(block, x, walk.gaps) for block in range(1, self.text.blocks))

    @property
    def _first_begin(self) -> int:
        """Up to the call of ``first``, with it, and from there to the first input."""
        return 3 + 1 + 1 + 1 + 1 + self._begin + 2 + 3 + 2 + 1 + (2 if self.text.keeps else 0) + 1 + 2 + 10

    def _given_up(self, left: int) -> int:
        """From the stop at which skipping is given up."""
        stretches = self.text.groups[0]
        choice = 0
        for other in range(len(stretches) - 1, 0, -1):
            if other == left:
                choice += 1 + 1 + self._jump
                break
            choice += 1 + 2
        own = self._groups(0, stretches[len(stretches) - left :])
        bias = 2 if len(stretches) == 1 else 1 + 2 + 1 + 2
        others = self._other_by_groups()
        return self._plain + 1 + self._ready + choice + own + bias + self._stored(0) - 2 + others

    def _again(self, block: int, x: NDArray[np.int8], gaps: int) -> int:
        """Another block over the gaps that the first has found."""
        inputs = int((x != self.text.zero_x).sum())
        own = self._begin + 2 + 2 + 2 + 2 + self._plain + self._store - 4
        return own + inputs * (5 + 8 * self.text.rows) + 20 * gaps + 15 + self._overflows(block, x)

    def _overflows(self, block: int, x: NDArray[np.int8]) -> int:
        """Count where sums of inputs that are multiplied one by one leave the 16 bits that they are in."""
        inside = np.flatnonzero(x != self.text.zero_x)
        inputs = x[inside].astype(np.int32) - self.text.zero_x
        sums = np.cumsum(self.w[block, inside].astype(np.int32) * inputs[:, None], axis=0, dtype=np.int32)
        pages = np.diff(np.concatenate([np.zeros((1, self.text.rows), np.int32), sums]) + 0x8000 >> 16, axis=0)
        return int(6 * (pages != 0).sum())


class _Walk:
    """The way of the first block over one input, up to its end or where it gives up.

    `cycles` from the first input on, but for overflows; `left` stops left where it gives up, else 0; `at` inputs before that;
    `gaps` kept, and `room` for more, negative if there was too little.
    """

    def __init__(self, text: DenseText, stops: Stops, x: NDArray[np.int8]) -> None:
        self._text, self._stops = text, stops
        self._moving = np.concatenate([x != text.zero_x, [False, True]])
        self._next = np.flatnonzero(self._moving)
        self._rest = np.flatnonzero(~self._moving)
        self._stop, self.left = stops.first, stops.count
        self._balance, self.room, self.gaps = -stops.first_cost, stops.capacity, 0
        self.cycles, self.at = 0, 0
        self._keep = 4 if text.keeps else 0
        while self._run():
            pass

    def _run(self) -> bool:
        """Multiply up to the next zero or stop; say whether it goes on."""
        zero = int(self._rest[np.searchsorted(self._rest, self.at)])
        end = min(zero, self._stop)
        self.cycles += (end - self.at) * (5 + 8 * self._text.rows) + 4 + (1 if self._text.keeps else 0) + 2
        self.at = end
        if end < self._stop:
            return self._gap()
        self.cycles += 2
        return self._halt()

    def _halt(self, *, known: bool = False) -> bool:
        """Do what a stop does; `known` if a long gap follows."""
        self.left -= 1
        if self.left == 0:
            return self._finish(8)
        self._balance -= self._stops.cost
        if self._balance < 0 and not known:
            self.cycles += 17
            return False
        self.cycles += 25
        self._stop += self._stops.step
        return True

    def _finish(self, cycles: int) -> bool:
        self.left, self.at = 0, self._text.size
        self.cycles += cycles + (1 if self._text.keeps else 0) + 1 + 4
        return False

    def _gap(self) -> bool:
        """Look for the next run, from a zero that is no stop's."""
        at_stop = self._stop < self._text.size and bool(self._moving[self._stop])
        places = self._next[np.searchsorted(self._next, self.at + 1) :]
        found = int(places[0]) if places[0] != self._stop else int(places[1])
        read = found - self.at
        self.cycles += 1 + 1 + 4 * (read - 1) + 5 + 2 * ((read - 1) // SCAN) + 2
        if found < self._stop:
            self._accept(found, 1)
            self.cycles += 3 - 5  # on to the products; this input was not loaded by the loop over a run
            return True
        if not at_stop:
            return self._pass(found)
        known = found - self._stop >= self._stops.evidence
        self._accept(self._stop, 2 + 2 + 2 + 1 + 1 + 2 + 1 + 1 + 2 + 2 + 1 + 1 + 2)
        self.cycles += 2
        return self._halt(known=known)

    def _pass(self, found: int) -> bool:
        """Go past stops inside a gap."""
        self.cycles += 2 + 2 + 2 + 1 + 2
        while True:
            self.left -= 1
            if self.left == 0:
                return self._finish(3)
            self._balance -= self._stops.cost
            self._stop += self._stops.step
            if found < self._stop:
                self._accept(found, 11 + 15)
                self.cycles += 3 - 5
                return True
            self.cycles += 12

    def _accept(self, found: int, cycles: int) -> None:
        """Take a gap for what it is, but for the branch behind it."""
        gap = found - self.at
        longer = (gap - 1) // LONGEST
        self._balance += gap - self._stops.price
        self.room -= 1
        self.gaps += 1 + longer
        self.cycles += cycles + 7 + longer * (11 + self._keep // 4) + 2 + self._keep + 6
        self.at = found
