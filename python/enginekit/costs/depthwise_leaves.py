"""Calls of ``eng_depthwise_planes`` and of what it calls: what their prices are fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from enginekit.costs import depthwise, trials
from enginekit.costs.bill import Bill
from enginekit.costs.stage import Stage
from enginekit.costs.table import load
from enginekit.costs.trials import Rng
from enginekit.encode.depthwise import DepthwisePlanes, Layer, layer_of
from enginekit.encode.steps import Rounding, short_steps
from enginekit.records import packed

_Leaf = Callable[[Stage, Rng], tuple[Bill, list[int]]]


def _word(number: int) -> bytes:
    return (number & 0xFFFF).to_bytes(2, "little")


def _bytes(numbers: list[int]) -> bytes:
    return bytes(number & 0xFF for number in numbers)


def _layer(rng: Rng, *, short: bool = False) -> Layer:
    """Draw a layer; with short steps if those are asked for."""
    while True:
        trial = trials.depthwise(rng, "depthwise_conv2d_s8", largest=int(rng.choice([6, 18])))
        layer = layer_of(trial.step, (-128, 127), short=short)
        if layer is not None and (layer.steps is not None or not short):
            return layer


def _plane_record(stage: Stage, candidate: DepthwisePlanes) -> bytes:
    """Bytes of an eng_plane."""
    runs = b"".join(_word(run.first) + bytes([run.left, run.inside, run.right]) for run in candidate.layer.planes.runs)
    row, step, *rest = candidate.fields()[0]
    return _word(stage.flash(runs)) + _word(row) + _word(step) + _bytes(rest)


def _taps_record(stage: Stage, candidate: DepthwisePlanes) -> bytes:
    """Bytes of an eng_depthwise."""
    row_step, out_w = candidate.fields()[1]
    return _word(stage.flash(bytes(candidate.layer.planes.distance))) + _word(row_step) + bytes([out_w])


def _requant_records(stage: Stage, layer: Layer) -> bytes:
    """Pointers to a layer's records and to the record about them."""
    if layer.steps is None:
        records = stage.flash(b"".join(packed(record, {}) for record in layer.rescale))
        return _word(records) + _word(stage.flash(_word(layer.params.out_c) + packed(layer.params.y, {})))
    y = layer.params.y
    about = _word(layer.params.out_c) + _bytes([layer.steps.doublings, y.lo, y.hi])
    return _word(stage.flash(layer.steps.steps.tobytes())) + _word(stage.flash(about))


def _candidate(rng: Rng, at_once: int, *, short: bool = False) -> DepthwisePlanes:
    layer = _layer(rng, short=short)
    return DepthwisePlanes(layer, int(rng.integers(1, layer.params.window.out_h + 1)), at_once, load())


def _plane(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    candidate, bill = _candidate(rng, 4), Bill()
    v, in_c = candidate.layer.params.window, candidate.layer.params.in_c
    first, rows = int(rng.integers(-3, v.in_h + 3)), int(rng.integers(1, 8))
    depthwise.plane(bill, candidate.layer.planes, 1, first, rows)
    x, plane = stage.ram(bytes(v.in_h * v.in_w * in_c)), stage.ram(bytes(rows * candidate.layer.planes.pitch))
    return bill, [stage.flash(_plane_record(stage, candidate)), x, first & 0xFFFF, rows, plane]


def _filter(at_once: int) -> _Leaf:
    def draw(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
        candidate, bill = _candidate(rng, at_once), Bill()
        rows = candidate.band
        depthwise.filter_sums(bill, candidate.layer.planes, at_once, 1, rows)
        plane, sums = (stage.ram(bytes(size)) for size in candidate.layer.planes.scratch(rows, at_once))
        filters = stage.flash(candidate.layer.filters().tobytes())
        return bill, [stage.flash(_taps_record(stage, candidate)), filters, plane, sums, rows]

    return draw


def _requant(*, exact: bool) -> _Leaf:
    def draw(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
        channel, bill, count = _channel(rng, exact=exact), Bill(), int(rng.integers(1, 12))
        low, high = channel.spans[0]
        sums = rng.integers(low, high + 1, count)
        channel.requant.add(bill, 1, count, sums[None, :, None])
        over = sums - (0 if channel.steps is None else channel.steps.start[0])
        raw = b"".join((int(n) & 0xFFFFFF).to_bytes(3, "little") for n in over)
        pointers = _requant_records(stage, channel)
        record, about = (int.from_bytes(pointers[at : at + 2], "little") for at in (0, 2))
        return bill, [about, record, stage.ram(raw), stage.ram(bytes(count * channel.params.out_c)), count]

    return draw


def _channel(rng: Rng, *, exact: bool) -> Layer:
    """Draw a layer of one channel, with sums of any size."""
    while True:
        layer, high = _layer(rng), int(2.0 ** rng.uniform(6, 23))
        record, y = trials.rescale(rng, high), trials.output(rng)
        record = replace(record, left=0)
        spans = [(-int(rng.integers(0, 1 << 20)), high)]
        steps = None if exact else short_steps((record,), Rounding.DOUBLE, y, spans)
        if exact or steps is not None:
            params = replace(layer.params, in_c=1, out_c=1, rescale=(record,), rescale_step=0, y=y)
            return replace(layer, planes=replace(layer.planes, params=params), spans=spans, steps=steps)


def _planes(at_once: int, *, exact: bool) -> _Leaf:
    def draw(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
        candidate = _candidate(rng, at_once, short=not exact)
        layer = candidate.layer
        v, in_c, out_c = layer.params.window, layer.params.in_c, layer.params.out_c
        x = trials.codes(rng, v.in_h * v.in_w * in_c)
        bill = depthwise.depthwise_planes(layer.planes, candidate.band, at_once, layer.requant, layer.sums(x[None]))
        sums, *rest = candidate.fields()[2]
        record = _plane_record(stage, candidate) + _taps_record(stage, candidate)
        record += _word(stage.flash(layer.filters().tobytes())) + _requant_records(stage, layer) + _word(sums) + _bytes(rest)
        places = [stage.ram(x.tobytes()), stage.ram(bytes(v.out_h * v.out_w * out_c)), stage.ram(bytes(candidate.scratch))]
        return bill, [stage.flash(record), *places]

    return draw


#: Function -> what draws a call of it; each after those that it calls.
DEPTHWISE_LEAVES: dict[str, _Leaf] = {
    "eng_plane_s8": _plane,
    "eng_depthwise4_s24": _filter(4),
    "eng_depthwise7_s24": _filter(7),
    depthwise.SHORT: _requant(exact=False),
    depthwise.EXACT: _requant(exact=True),
    "eng_depthwise_planes4_s8": _planes(4, exact=False),
    "eng_depthwise_planes7_s8": _planes(7, exact=False),
    "eng_depthwise_planes4_exact_s8": _planes(4, exact=True),
    "eng_depthwise_planes7_exact_s8": _planes(7, exact=True),
}
