"""Placing buffers in one arena: lifetimes to offsets, for any graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Buffer:
    """Bytes that must stay untouched from step `first` to step `last`, both included; `alignment` of its offset."""

    size: int
    first: int
    last: int
    alignment: int = 1

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Layout:
    """Offsets, one a buffer, and the arena's size in bytes."""

    offsets: tuple[int, ...]
    size: int


#: For :func:`place`: no buffer has its place already.
NOWHERE: Mapping[int, int] = MappingProxyType({})


def place(buffers: Sequence[Buffer], fixed: Mapping[int, int] = NOWHERE) -> Layout:
    """Place buffers so that those alive at the same time do not overlap.

    Parameters
    ----------
    buffers : sequence of Buffer
        In any order; the result depends on it only among equals.
    fixed : mapping of int to int
        Offsets of buffers, by index, that lie where they lie; they may overlap each other.

    Returns
    -------
    Layout
        The smallest of several layouts. For a chain of layers, each reading what the one before wrote, it is the
        smallest possible: the most bytes that are alive at once (up to 3 bytes more if alignments differ).

    Examples
    --------
    >>> place([Buffer(784, 0, 1), Buffer(32, 1, 2), Buffer(10, 2, 3)])
    Layout(offsets=(0, 784, 0), size=816)
    """
    bound = most_alive(buffers)
    layouts = []
    for method in _METHODS:
        layout = method(buffers, fixed)
        if layout is None:
            continue
        if layout.size == bound:
            return layout
        layouts.append(layout)
    return min(layouts, key=lambda layout: layout.size)


def most_alive(buffers: Sequence[Buffer]) -> int:
    """Most bytes alive at any step: no layout can be smaller."""
    return max((sum(b.size for b in buffers if b.first <= at.first <= b.last) for at in buffers), default=0)


def overlapping(buffers: Sequence[Buffer], offsets: Sequence[int]) -> tuple[int, int] | None:
    """First pair of buffers that are alive at once and share bytes, or None."""
    for i, (a, start) in enumerate(zip(buffers, offsets, strict=True)):
        for j in range(i):
            b, other = buffers[j], offsets[j]
            if a.meets(b) and start < other + b.size and other < start + a.size:
                return j, i
    return None


def _by_size(buffers: Sequence[Buffer], fixed: Mapping[int, int]) -> Layout:
    return _greedy(buffers, fixed, sorted(range(len(buffers)), key=lambda i: (-buffers[i].size, buffers[i].first, i)))


def _by_area(buffers: Sequence[Buffer], fixed: Mapping[int, int]) -> Layout:
    def area(i: int) -> int:
        return buffers[i].size * (buffers[i].last - buffers[i].first + 1)

    return _greedy(buffers, fixed, sorted(range(len(buffers)), key=lambda i: (-area(i), buffers[i].first, i)))


def _by_birth(buffers: Sequence[Buffer], fixed: Mapping[int, int]) -> Layout:
    return _greedy(buffers, fixed, sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size, i)))


def _greedy(buffers: Sequence[Buffer], fixed: Mapping[int, int], order: Sequence[int]) -> Layout:
    """Place in the given order, each into the tightest gap among those placed before."""
    offsets = dict(fixed)
    for i in order:
        if i in offsets:
            continue
        taken = sorted((offsets[j], offsets[j] + buffers[j].size) for j in offsets if buffers[j].meets(buffers[i]))
        offsets[i] = _tightest_gap(taken, buffers[i])
    return _layout(buffers, [offsets[i] for i in range(len(buffers))])


def _tightest_gap(taken: Sequence[tuple[int, int]], buffer: Buffer) -> int:
    best, slack, end = -1, -1, 0
    for start, stop in taken:
        offset = _align(end, buffer.alignment)
        left = start - offset - buffer.size
        if left >= 0 and (best < 0 or left < slack):
            best, slack = offset, left
        end = max(end, stop)
    return best if best >= 0 else _align(end, buffer.alignment)


def _two_ended(buffers: Sequence[Buffer], fixed: Mapping[int, int]) -> Layout | None:
    """Alternate between both ends of the smallest arena, in order of birth; what lives one step lies in between.

    Reaches the bound for chains; None if some buffers would overlap, or have their places already.
    """
    if fixed:
        return None
    bound = most_alive(buffers)
    for size in range(bound, bound + 4):
        offsets = _alternate(buffers, size)
        if min(offsets, default=0) >= 0 and overlapping(buffers, offsets) is None:
            return _layout(buffers, offsets)
    return None


def _alternate(buffers: Sequence[Buffer], size: int) -> list[int]:
    offsets = [0] * len(buffers)
    low_end = 0
    low = True
    for i in sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].last, i)):
        b = buffers[i]
        if b.first == b.last:
            offsets[i] = _align(low_end, b.alignment)
        elif low:
            offsets[i], low_end, low = 0, b.size, False
        else:
            offsets[i], low = (size - b.size) // b.alignment * b.alignment, True
    return offsets


def _align(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _layout(buffers: Sequence[Buffer], offsets: Sequence[int]) -> Layout:
    return Layout(tuple(offsets), max((o + b.size for o, b in zip(offsets, buffers, strict=True)), default=0))


_METHODS: tuple[Callable[[Sequence[Buffer], Mapping[int, int]], Layout | None], ...] = (
    _by_size,
    _by_area,
    _by_birth,
    _two_ended,
)
