"""Small pictures for the page: SVG text and PNG data URIs, without a plotting library."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

INK = "#1f2933"
MUTED = "#66727f"
LINE = "#dfe4ea"
BLUE = "#2b6cb0"
ORANGE = "#c2560c"
#: Fills of neighbouring blocks; light enough for dark text.
FILLS = ("#bfdbf0", "#c9e7d3", "#fbe0b8", "#e2d3ee", "#f6cfcf", "#cfe8e8")


@dataclass(frozen=True)
class Block:
    """A buffer in the arena: bytes ``[offset, offset + size)`` from the start of column `first` to the end of column `last`."""

    label: str
    offset: int
    size: int
    first: int
    last: int
    scratch: bool = False


@dataclass(frozen=True)
class _Frame:
    """Pixels of the arena map: left and bottom edge, width of a column, height of a byte."""

    left: float
    bottom: float
    column: float
    unit: float


def png(pixels: NDArray[np.uint8]) -> str:
    """Write uint8[h, w] gray pixels as a ``data:image/png`` URI.

    >>> png(np.zeros((1, 1), np.uint8))[:27]
    'data:image/png;base64,iVBOR'
    """

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def histogram(codes: NDArray[np.int8], *, width: int = 300, height: int = 96, bins: int = 64) -> Markup:
    """Draw how often each range of int8 codes -128..127 occurs; `bins` divides 256. The bar that holds code 0 is darker."""
    counts = np.bincount(codes.ravel().astype(np.int64) + 128, minlength=256).reshape(bins, -1).sum(axis=1)
    peak = max(int(counts.max()), 1)
    bar, base = width / bins, height - 16
    middle = bins // 2
    parts = []
    for i, count in enumerate(counts):
        if count:
            tall = max(base * int(count) / peak, 0.8)
            fill = INK if i == middle else BLUE
            tip = f"{i * 256 // bins - 128} to {(i + 1) * 256 // bins - 129}: {count}"
            parts.append(
                f'<rect x="{i * bar:.2f}" y="{base - tall:.2f}" width="{bar - 0.6:.2f}" height="{tall:.2f}" '
                f'fill="{fill}"><title>{tip}</title></rect>'
            )
    parts.append(f'<line x1="0" y1="{base}" x2="{width}" y2="{base}" stroke="{LINE}"/>')
    for code, anchor in ((-128, "start"), (0, "middle"), (127, "end")):
        parts.append(_text((code + 128) * width / 256, height - 3, str(code), anchor=anchor, fill=MUTED))
    return _svg(width, height, parts, label="Histogram of weight codes")


def arena_map(blocks: Sequence[Block], columns: Sequence[str], total: int, *, width: int = 880) -> Markup:
    """Draw which bytes of an arena of `total` bytes are in use while each of `columns` runs; time to the right, bytes up."""
    left, top, tall = 60, 20, 220
    height = top + tall + 40
    column = (width - left) / max(len(columns), 1)
    total = max(total, 1)
    frame = _Frame(left, top + tall, column, tall / total)
    fills: dict[str, str] = {}
    parts = []
    for tick in _ticks(total):
        y = top + tall * (1 - tick / total)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{width}" y2="{y:.1f}" stroke="{LINE}"/>')
        parts.append(_text(left - 6, y + 4, f"{tick:,}", anchor="end", fill=MUTED))
    for block in sorted(blocks, key=lambda b: b.scratch):
        fill = fills.setdefault(block.label, FILLS[len(fills) % len(FILLS)])
        free = _free_above(block, blocks, 16 / frame.unit)
        parts.extend(_block(block, "none" if block.scratch else fill, frame, free_above=free))
    for i, name in enumerate(columns):
        x = left + (i + 0.5) * column
        parts.append(_text(x, top + tall + 18, _cut(name, column), anchor="middle", fill=INK))
    parts.append(_text(left - 6, top + tall + 18, "bytes", anchor="end", fill=MUTED))
    return _svg(width, height, parts, label="Buffers in the arena over time")


def _block(block: Block, fill: str, frame: _Frame, *, free_above: bool) -> list[str]:
    x = frame.left + block.first * frame.column + 2
    wide = (block.last - block.first + 1) * frame.column - 4
    high = max(block.size * frame.unit, 1.0)
    y = frame.bottom - block.offset * frame.unit - high
    tip = f"{block.label}: {block.size:,} B at {block.offset:,}"
    dash = ' stroke-dasharray="4 3"' if block.scratch else ""
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="2" fill="{fill}" '
        f'stroke="{MUTED}" stroke-width="0.7"{dash}><title>{_escape(tip)}</title></rect>'
    ]
    label = _cut(f"{block.label} · {block.size:,} B", wide)
    if high >= 14:
        parts.append(_text(x + wide / 2, y + high / 2 + 4, label, anchor="middle", fill=INK))
    elif free_above:
        parts.append(_text(x + wide / 2, y - 4, label, anchor="middle", fill=MUTED))
    return parts


def _free_above(block: Block, blocks: Sequence[Block], room: float) -> bool:
    """Whether the `room` bytes above `block` are unused while it lives."""
    low, high = block.offset + block.size, block.offset + block.size + room
    return not any(
        other is not block
        and other.first <= block.last
        and block.first <= other.last
        and other.offset < high
        and low < other.offset + other.size
        for other in blocks
    )


def curves(series: Sequence[tuple[str, Sequence[float]]], *, width: int = 420, height: int = 150) -> Markup:
    """Draw one line a series over epochs 1, 2, ..., with the last value written at its end; at most two series."""
    left, right, top, bottom = 54, 130, 10, 20
    values = [v for _, points in series for v in points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    count = max(len(points) for _, points in series)
    step = (width - left - right) / max(count - 1, 1)
    scale = height - top - bottom
    parts = []
    for value in (low, high):
        y = top + scale * (high - value) / span
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}" stroke="{LINE}"/>')
        parts.append(_text(left - 6, y + 4, f"{value:.3g}", anchor="end", fill=MUTED))
    labels = _spread([top + scale * (high - points[-1]) / span for _, points in series])
    for (name, points), colour, place in zip(series, (BLUE, ORANGE), labels, strict=False):
        path = " ".join(f"{left + i * step:.1f},{top + scale * (high - v) / span:.1f}" for i, v in enumerate(points))
        end_x, end_y = path.split(" ")[-1].split(",")
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(f'<circle cx="{end_x}" cy="{end_y}" r="2.6" fill="{colour}"/>')
        parts.append(_text(float(end_x) + 8, place + 4, f"{name} {points[-1]:.4f}", anchor="start", fill=colour))
    parts.append(_text(left, height - 4, "epoch 1", anchor="start", fill=MUTED))
    if count > 1:
        parts.append(_text(width - right, height - 4, str(count), anchor="end", fill=MUTED))
    return _svg(width, height, parts, label=", ".join(name for name, _ in series) + " by epoch", fixed=True)


def _spread(places: Sequence[float]) -> list[float]:
    """Push two labels at least 14 apart."""
    if len(places) != 2 or abs(places[0] - places[1]) >= 14:
        return list(places)
    middle, sign = sum(places) / 2, 1 if places[0] > places[1] else -1
    return [middle + 7 * sign, middle - 7 * sign]


def _ticks(total: int) -> list[int]:
    """Round steps from 0 to `total`, at most seven."""
    step = next(s for e in range(12) for m in (1, 2, 5) if total / (s := m * 10**e) <= 6)
    return list(range(0, total + 1, step))


def _cut(text: str, width: float) -> str:
    """Shorten `text` to about `width` pixels of 12-pixel type."""
    room = max(int(width / 6.6), 1)
    return text if len(text) <= room else text[: max(room - 1, 1)] + "…"


def _text(x: float, y: float, text: str, *, anchor: str, fill: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{_escape(text)}</text>'


def _escape(text: str) -> str:
    return str(Markup.escape(text))


def _svg(width: int, height: int, parts: Sequence[str], *, label: str, fixed: bool = False) -> Markup:
    style = f' style="max-width:{width}px"' if fixed else ""
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_escape(label)}" font-size="12"{style}>'
    return Markup(head + "".join(parts) + "</svg>")
