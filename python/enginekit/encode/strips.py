"""Chains of layers with sliding windows, computed in strips of rows: no map within a chain is ever whole.

For each strip of the last layer's rows each layer computes the rows that the next one needs of it, those that two strips need
twice. A strip of a layer is the layer over fewer rows of its image, padded only where the image ends: the same kernels on the
same weights, so the same codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.arena import Buffer, Layout, place
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, Pool2DParams, Step, Window
from enginekit.encode.candidate import Candidate, Context, Data, Encoder, Place, StepText
from enginekit.encode.chain import ChainParams
from enginekit.encode.depthwise import depthwise_layers
from enginekit.encode.im2col import im2col_layers
from enginekit.encode.plain import plain

#: What the layers of a chain can be emitted as.
_ENCODERS: tuple[Encoder, ...] = (plain, im2col_layers, depthwise_layers)
#: Strips that are tried: so many, and those of one and two rows.
_COUNTS, _ROWS = (2, 3, 4), (1, 2)
#: A definition of an array of weights, biases, rescale records or the like.
_ARRAY = re.compile(r"static const (u?int\d+_t|eng_\w+) (ENG_FLASH )?(\w+)\[\d*\] = (\{.*?\});\n?", re.DOTALL)
#: Arrays that are counted among params, and are not shared.
_OWN = ("_runs", "_distances")

Rows = tuple[int, int]


@dataclass(frozen=True)
class Shape:
    """Rows, columns and channels of what a step with a sliding window reads and writes."""

    x: tuple[int, int, int]
    y: tuple[int, int, int]

    def fits(self, after: Shape) -> bool:
        """Whether another step reads just this."""
        return self.y == after.x


def shape_of(step: Step) -> Shape | None:
    """Shape of a step that can be computed in strips; None of others."""
    p = step.params
    if isinstance(p, Conv2DMaxPool2DParams):
        v = p.conv.window
        return Shape((v.in_h, v.in_w, p.conv.in_c), (p.pool.out_h, p.pool.out_w, p.conv.out_c))
    if isinstance(p, Conv2DParams | Pool2DParams):
        v = p.window
        channels = (p.channels, p.channels) if isinstance(p, Pool2DParams) else (p.in_c, p.out_c)
        return Shape((v.in_h, v.in_w, channels[0]), (v.out_h, v.out_w, channels[1]))
    return None


def _reads(v: Window, rows: Rows) -> Rows:
    """Rows of its image that a window needs for some rows of positions."""
    first = rows[0] * v.stride_h - v.pad_top
    last = (rows[1] - 1) * v.stride_h - v.pad_top + (v.kernel_h - 1) * v.dilation_h
    return max(first, 0), min(last + 1, v.in_h)


def _cut_window(v: Window, rows: Rows) -> Window:
    first, end = _reads(v, rows)
    return replace(v, in_h=end - first, out_h=rows[1] - rows[0], pad_top=max(v.pad_top - rows[0] * v.stride_h, 0))


def cut(step: Step, rows: Rows) -> tuple[Step, Rows]:
    """Give the step that computes some rows of outputs from the rows of inputs that they need, and which those are."""
    p = step.params
    if isinstance(p, Conv2DMaxPool2DParams):
        inner = _reads(p.pool, rows)
        needed = _reads(p.conv.window, inner)
        conv = replace(p.conv, window=_cut_window(p.conv.window, inner))
        params: Any = replace(p, conv=conv, pool=_cut_window(p.pool, rows))
    else:
        assert isinstance(p, Conv2DParams | Pool2DParams)
        needed, params = _reads(p.window, rows), replace(p, window=_cut_window(p.window, rows))
    shape = shape_of(replace(step, params=params))
    assert shape is not None
    sizes = [a * b * c for a, b, c in (shape.x, shape.y)]
    return replace(step, params=params, x_size=sizes[0], y_size=sizes[1]), needed


def strips(steps: Sequence[Step], rows: int) -> list[list[tuple[Step, Rows, Rows]]]:
    """Cut a chain into strips of `rows` rows of its last layer.

    Returns
    -------
    list of list
        For each strip, for each layer: its step, and the rows that it reads and writes.
    """
    last = shape_of(steps[-1])
    assert last is not None
    found = []
    for first in range(0, last.y[0], rows):
        wanted, strip = (first, min(first + rows, last.y[0])), []
        for step in reversed(steps):
            part, needed = cut(step, wanted)
            strip.append((part, needed, wanted))
            wanted = needed
        found.append(strip[::-1])
    return found


def _layout(strip_list: Sequence[Sequence[tuple[Step, Rows, Rows]]], scratch: Sequence[int]) -> Layout:
    """Place the maps between layers, then the layers' scratch."""
    count = len(scratch)
    maps = [max(strip[layer][0].y_size for strip in strip_list) for layer in range(count - 1)]
    buffers = [Buffer(size, layer, layer + 1) for layer, size in enumerate(maps)]
    return place(buffers + [Buffer(size, layer, layer) for layer, size in enumerate(scratch)])


def least_room(params: ChainParams) -> int:
    """Bytes for the maps within a chain in strips of one row."""
    return _layout(strips(params.steps, 1), [0] * len(params.steps)).size


@dataclass(frozen=True, eq=False)
class Piece:
    """One layer of one strip.

    Parameters
    ----------
    layer, variant : int
        Which of the chain, and which of its steps that differ.
    step : Step
    candidate : Candidate
    reads, writes : (int, int)
        Rows of the layer's whole image and map.
    """

    layer: int
    variant: int
    step: Step
    candidate: Candidate
    reads: Rows
    writes: Rows


@dataclass(frozen=True, eq=False)
class Strips(Candidate):
    """A chain in strips.

    Parameters
    ----------
    params : ChainParams
    pieces : tuple of Piece
        In the order in which they are computed.
    layout : Layout
        Where maps within the chain lie in its scratch, and then the scratch of each layer.
    """

    params: ChainParams
    pieces: tuple[Piece, ...]
    layout: Layout

    @property
    def _layers(self) -> int:
        return len(self.params.steps)

    @cached_property
    def variants(self) -> list[Piece]:
        """Pieces that differ: one for each layer and variant."""
        return list({(piece.layer, piece.variant): piece for piece in reversed(self.pieces)}.values())[::-1]

    @property
    def encoding(self) -> str:
        """Name for people."""
        count = len(self.pieces) // self._layers
        return f"{count} strips: " + ", ".join(piece.candidate.encoding for piece in self.pieces[: self._layers])

    @property
    def data(self) -> Data:
        """Bytes of constants: each layer's once, and params of all variants."""
        firsts = [next(piece for piece in self.pieces if piece.layer == layer).candidate.data for layer in range(self._layers)]
        params = sum(piece.candidate.data.params for piece in self.variants)
        weights, bias, tables = (sum(getattr(each, kind) for each in firsts) for kind in ("weights", "bias", "tables"))
        return Data(weights, bias, tables, params)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return tuple(dict.fromkeys(name for piece in self.variants for name in piece.candidate.symbols))

    @property
    def ends(self) -> tuple[str, ...]:
        """Functions that end the pieces."""
        return tuple(name for piece in self.pieces for name in piece.candidate.ends)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare them."""
        return tuple(dict.fromkeys(name for piece in self.variants for name in piece.candidate.headers))

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return self.layout.size

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest input."""
        each = {(piece.layer, piece.variant): piece.candidate.cycles for piece in self.variants}
        known = [cycles for piece in self.pieces if (cycles := each[piece.layer, piece.variant]) is not None]
        return sum(known) if len(known) == len(self.pieces) else None

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of the chain's layers, side by side: ``int8[n, x_size of all]``."""
        sizes = np.cumsum([step.x_size for step in self.params.steps])[:-1]
        images = [x.reshape(len(x), self._rows(layer)[0], -1) for layer, x in enumerate(np.split(samples, sizes, axis=1))]
        total = 0.0
        for piece in self.pieces:
            x = images[piece.layer][:, piece.reads[0] : piece.reads[1]]
            mean = piece.candidate.mean_cycles(np.ascontiguousarray(x).reshape(len(x), -1))
            if mean is None:
                return None
            total += mean
        return total

    def _rows(self, layer: int) -> tuple[int, int]:
        """Rows of a layer's image and of its map."""
        shape = shape_of(self.params.steps[layer])
        assert shape is not None
        return shape.x[0], shape.y[0]

    def emit(self, at: Place) -> StepText:
        """Write definitions, each array once, and the calls strip by strip."""
        data: dict[tuple[int, int], str] = {}
        calls = []
        for piece in self.pieces:
            scratch = at.scratch + self.layout.offsets[self._layers - 1 + piece.layer]
            text = piece.candidate.emit(Place(self._at(piece, at), at.name, scratch))
            data[piece.layer, piece.variant] = text.data
            calls += text.calls
        return _shared("\n\n".join(data[key] for key in sorted(data)), calls)

    def _at(self, piece: Piece, at: Place) -> Step:
        """Give a piece's step its name and its places in the arena."""
        whole, layer = self.params.steps[piece.layer], piece.layer
        maps = self.layout.offsets
        x = (
            at.scratch + maps[layer - 1]
            if layer
            else at.step.x_offset + piece.reads[0] * (whole.x_size // self._rows(layer)[0])
        )
        row = whole.y_size // self._rows(layer)[1]
        y = at.scratch + maps[layer] if layer < self._layers - 1 else at.step.y_offset + piece.writes[0] * row
        return replace(piece.step, name=f"{whole.name}_{piece.variant}", x_offset=x, y_offset=y)


def _shared(data: str, calls: list[str]) -> StepText:
    """Leave out definitions of arrays that are equal to one before, which then takes their place."""
    first: dict[tuple[str, str], str] = {}
    for found in list(_ARRAY.finditer(data)):
        c_type, _, name, values = found.groups()
        if name.endswith(_OWN):
            continue
        known = first.setdefault((c_type, values), name)
        if known != name:
            data = re.sub(rf"\b{name}\b", known, data.replace(found[0], "", 1))
            calls = [re.sub(rf"\b{name}\b", known, call) for call in calls]
    return StepText(data, calls)


def strips_layers(context: Context) -> Iterator[Strips]:
    """Give a chain in strips of several heights: an :data:`~enginekit.encode.candidate.Encoder`.

    Of each height with plain kernels, and with the fastest of each layer.
    """
    params = context.step.params
    if not isinstance(params, ChainParams):
        return
    out_h = shape_of(params.steps[-1])
    assert out_h is not None
    heights = {-(-out_h.y[0] // count) for count in _COUNTS} | {rows for rows in _ROWS if rows < out_h.y[0]}
    for rows in sorted(heights):
        strip_list = strips(params.steps, rows)
        ways = [_encoded(context, strip_list, layer) for layer in range(len(params.steps))]
        for way in (0, -1):
            pieces = _pieces(strip_list, [kinds[way] for kinds in ways])
            scratch = [max(p.candidate.scratch for p in pieces if p.layer == layer) for layer in range(len(ways))]
            yield Strips(params, pieces, _layout(strip_list, scratch))
            if all(len(kinds) == 1 for kinds in ways):
                break


def _encoded(
    context: Context, strip_list: Sequence[Sequence[tuple[Step, Rows, Rows]]], layer: int
) -> list[list[tuple[Step, Candidate]]]:
    """Encode a layer of all strips: for each way, plain first and the fastest last, the steps that differ."""
    steps: list[Step] = []
    for strip in strip_list:
        if all(strip[layer][0].params != step.params for step in steps):
            steps.append(strip[layer][0])
    part = context.parts[layer]
    found: dict[str, list[Candidate]] = {}
    for step in steps:
        own = replace(part, program=replace(part.program, steps=(step,)), index=0)
        for candidate in (each for encoder in _ENCODERS for each in encoder(own) if each.tail == 0):
            found.setdefault(candidate.encoding, []).append(candidate)
    ways = [way for way in found.values() if len(way) == len(steps)]
    ways = [ways[0], *sorted(ways[1:], key=lambda way: -sum(each.cycles or np.inf for each in way))]
    return [list(zip(steps, way, strict=True)) for way in ways]


def _pieces(
    strip_list: Sequence[Sequence[tuple[Step, Rows, Rows]]], chosen: Sequence[list[tuple[Step, Candidate]]]
) -> tuple[Piece, ...]:
    pieces = []
    for strip in strip_list:
        for layer, (step, reads, writes) in enumerate(strip):
            variant = next(n for n, (each, _) in enumerate(chosen[layer]) if each.params == step.params)
            pieces.append(Piece(layer, variant, step, chosen[layer][variant][1], reads, writes))
    return tuple(pieces)
