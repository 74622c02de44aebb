"""Dense layers as calls on the simulated chip, against the portable twin, the plain sum and the candidate's costs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from avr_kernels import Bench, build, s24

from engine import kernels_dense
from engine.program import DenseParams, OutputS8, Rescale, Step
from enginekit.encode import dense_assembly, group_lengths
from enginekit.encode.candidate import Context
from enginekit.encode.dense_calls import DenseCalls, dense_calls, dense_calls_layers
from enginekit.encode.dense_requant import dense_requants


def step_of(w, bias, zero=-128):
    out, size = w.shape
    params = DenseParams(size, out, 0, OutputS8(-128, -128, 127), (Rescale(1 << 30, 0, 12),))
    folded = bias - zero * w.astype(np.int64).sum(1)
    return Step("dense_s8", (0,), "dense", params, w, folded.astype(np.int32), 0, 1, 0, 0, 0, size, out, 0, 1)


def context_of(w, bias, zero=-128, x_range=(-128, 127)):
    return Context(SimpleNamespace(steps=(step_of(w, bias, zero),)), 0, x_range, zero)


def layer_of(w, bias, *, rows, depth=8, skips=True, zero=-128):
    context = context_of(w, bias, zero, (zero if skips else -128, 127))
    return dense_calls(context, dense_requants(context.step, context.x_range)[-1], rows=rows, depth=depth, skips=skips)


def constants(name, values):
    raw = np.ascontiguousarray(values).ravel().view(np.uint8).tolist()
    lines = [f"    .byte {', '.join(map(str, raw[at : at + 30]))}" for at in range(0, len(raw), 30)]
    return "\n".join([f'    .section .rodata.{name}, "a", @progbits', f"{name}:", *lines]) + "\n"


def bench_of(layer: DenseCalls, folder):
    text = layer.text
    parts = range(0, len(layer.w), text.part)
    tables = {f"w{n}": layer.w[at : at + text.part] for n, at in enumerate(parts)}
    tables |= {"bias": layer.skip_bias, "dense": layer.dense}
    source = folder / "layer.S"
    data = "".join(constants(f"{text.symbol}_{name}", values) for name, values in tables.items())
    source.write_text(f"    .global {text.symbol}\n{text.assembly()}{data}")
    return Bench(build(folder, [source]))


def on_host(layer: DenseCalls, x):
    stops = layer.text.stops
    more = {} if stops is None else {**vars(stops), "stops": stops.count, "bias": layer.skip_bias}
    more.pop("count", None)
    return kernels_dense.dense_calls_s24(layer.w, layer.lengths, layer.dense, x, zero_x=layer.text.zero_x, **more)


def inputs(rng, layer: DenseCalls):
    """None zero, all zero, and every way past the stops: gaps and runs that end there, before and behind; too many gaps."""
    size, zero = layer.text.size, layer.text.zero_x
    full = rng.integers(zero + 1, 128, size)
    everywhere = np.arange(size)
    yield "full", full
    yield "any", rng.integers(-128 if layer.text.stops is None else zero, 128, size)
    yield "highest", np.full(size, 127)
    yield "zero", np.full(size, zero)
    signs = layer.w[0, :, 0] > 0
    yield "up", np.where(signs, 127, zero)
    yield "down", np.where(signs, zero, 127)
    for share in (0.03, 0.2, 0.6):
        inside = np.repeat(rng.random(size // 5 + 1) < share, 5)[:size]
        yield f"runs of {share}", np.where(inside, full, zero)
    yield "every other", np.where(everywhere % 2 == 0, full, zero)
    yield "the last", np.where(everywhere == size - 1, full, zero)
    yield "the first", np.where(everywhere == 0, full, zero)
    if layer.text.stops is None:
        return
    stops = [layer.text.stops.first + n * layer.text.stops.step for n in range(layer.text.stops.count)]
    for stop in stops:
        for shift in (-1, 0, 1):
            yield f"from {stop + shift}", np.where(everywhere >= stop + shift, full, zero)
            yield f"up to {stop + shift}", np.where(everywhere < stop + shift, full, zero)
            yield f"not at {stop + shift}", np.where(everywhere == stop + shift, zero, full)
            yield f"only at {stop + shift}", np.where(everywhere == stop + shift, full, zero)
    yield "at stops", np.where(np.isin(everywhere, stops), full, zero)
    yield "sparse, then full", np.where((everywhere % 3 == 0) | (everywhere >= stops[1] + 3), full, zero)


def check(layer, bench, bias, out, what, x):
    x = x.astype(np.int8)
    rows = layer.w.transpose(0, 2, 1).reshape(-1, layer.text.size)[:out].astype(np.int64)
    want = bias + rows @ (x.astype(np.int64) - layer.text.zero_x) - layer.requant.start
    host = on_host(layer, x)
    assert (host[:out] == want).all(), f"{what}, host: {host[:out]} instead of {want}"
    bench.clear()
    at, sums = bench.ram(np.concatenate([x, np.zeros(layer.tail, np.int8)])), bench.ram(layer.scratch)
    call = bench.call(layer.text.symbol, at, sums)
    got = s24(bench.read(sums, layer.scratch)[: 3 * len(host)])
    assert (got == host).all(), f"{what}: {got} instead of {host}"
    assert bench.read(at, len(x) + layer.tail)[: len(x)] == x.tobytes(), f"{what}: the input has changed"
    assert call.cycles == layer.cost.of(x), what
    assert call.stack <= layer.own_stack, what
    return call


SHAPES = [(1, 64, 3), (4, 65, 4), (9, 130, 4), (5, 300, 5), (11, 784, 5), (13, 784, 2), (30, 100, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("skips", [True, False])
def test_same_sums_as_the_plain_layer(shape, skips, tmp_path):
    out, size, rows = shape
    rng = np.random.default_rng(size)
    w = np.clip(np.rint(rng.normal(0, 25, (out, size))), -127, 127).astype(np.int8)
    bias = rng.integers(-30000, 30000, out)
    layer = layer_of(w, bias, rows=rows, skips=skips)
    bench = bench_of(layer, tmp_path)
    assert bench.chip.symbol(layer.text.symbol)[1] == layer.cost.code
    dearest = max(check(layer, bench, bias, out, what, x).cycles for what, x in inputs(rng, layer))
    # The slowest inputs that are predicted, within what a row's sums that go to and fro over 16 bits may cost.
    assert dearest <= (layer.cycles - layer.requant.cycles) * 1.01


@pytest.mark.parametrize("code", [-128, 127])
@pytest.mark.parametrize("zero", [-128, -5, 100])
def test_ends_of_the_weights(code, zero, tmp_path):
    rng = np.random.default_rng(0)
    w = np.full((6, 100), code, np.int8)
    w[1] = rng.integers(-128, 128, 100)
    layer = layer_of(w, np.zeros(6, np.int64), rows=4, depth=12, zero=zero)
    bench = bench_of(layer, tmp_path)
    for what, x in inputs(rng, layer):
        check(layer, bench, np.zeros(6, np.int64), 6, what, x)


def test_gaps_beyond_the_table(tmp_path):
    """More gaps than are kept, and gaps longer than an entry: the other blocks fall back on groups, or go on all the same."""
    rng = np.random.default_rng(1)
    w, bias = rng.integers(-30, 31, (8, 1500)).astype(np.int8), rng.integers(-9000, 9000, 8)
    whole = layer_of(w, bias, rows=4)
    stops = replace(whole.text.stops, capacity=20)
    layer = replace(whole, text=replace(whole.text, stops=stops))
    bench = bench_of(layer, tmp_path)
    places = np.arange(1500)
    for gaps in (19, 20, 21, 22, 60):
        x = np.where((places % 24 == 5) & (places < 24 * gaps), 90, -128)
        check(layer, bench, bias, 8, f"{gaps} gaps", x)
    for at in (254, 255, 256, 509, 510, 511, 766, 1499):
        check(layer, bench, bias, 8, f"a gap of {at}", np.where(places == at, 100, -128))


def test_inputs_without_weights_are_left_out(tmp_path):
    rng = np.random.default_rng(2)
    w, bias = rng.integers(-40, 41, (7, 600)).astype(np.int8), rng.integers(-9000, 9000, 7)
    w[:, 3:5], w[:, 40:41], w[:, 70:90], w[:, 200:520], w[:, 597:] = 0, 0, 0, 0, 0
    w[:4, 150:160] = 0
    for skips in (False, True):
        layer = layer_of(w, bias, rows=4, skips=skips)
        lengths = [n for stretch in layer.text.groups[1] for n in stretch]
        assert -20 in lengths
        assert sum(-n for n in lengths if n < 0) >= 340
        bench = bench_of(layer, tmp_path)
        for what, x in inputs(rng, layer):
            check(layer, bench, bias, 7, what, x)


def test_weights_in_several_arrays(tmp_path):
    rng = np.random.default_rng(3)
    w, bias = rng.integers(-40, 41, (14, 90)).astype(np.int8), rng.integers(-9000, 9000, 14)
    for skips in (False, True):
        whole = layer_of(w, bias, rows=4, skips=skips)
        layer = replace(whole, text=replace(whole.text, part=2))
        bench = bench_of(layer, tmp_path)
        for what, x in inputs(rng, layer):
            check(layer, bench, bias, 14, what, x)


@pytest.mark.parametrize("rows", [4, 5])
@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("near", [0, 2, 3])
def test_blocks_beyond_the_reach_of_short_calls(rows, skips, near, tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    w, bias = rng.integers(-60, 61, (4 * rows, 90)).astype(np.int8), rng.integers(-9000, 9000, 4 * rows)
    short = layer_of(w, bias, rows=rows, skips=skips)
    for reach in range(0, short.cost.code, 20):
        monkeypatch.setattr(dense_assembly, "REACH", reach)
        layer = replace(short, text=replace(short.text))
        if layer.text.far.count(False) == near:
            break
    assert layer.text.far == (False,) * near + (True,) * (4 - near)
    bench = bench_of(layer, tmp_path)
    assert bench.chip.symbol(layer.text.symbol)[1] == layer.cost.code > short.cost.code
    for what, x in inputs(rng, layer):
        check(layer, bench, bias, 4 * rows, what, x)


def test_a_layer_beyond_the_reach_of_short_calls(tmp_path):
    rng = np.random.default_rng(6)
    w = rng.choice([-127, 0, 127], (60, 500), p=[0.2, 0.6, 0.2]).astype(np.int8)
    bias = rng.integers(-9000, 9000, 60)
    layer = layer_of(w, bias, rows=4)
    assert layer.text.far[-1] > layer.text.far[0]
    bench = bench_of(layer, tmp_path)
    for what, x in list(inputs(rng, layer))[:6]:
        check(layer, bench, bias, 60, what, x)


def test_groups_are_those_that_are_proven():
    rng = np.random.default_rng(4)
    w = np.clip(np.rint(rng.normal(0, 25, (8, 300))), -127, 127).astype(np.int8)
    layer = layer_of(w, np.zeros(8, np.int64), rows=4, skips=False, depth=12)
    assert [list(block[0]) for block in layer.text.groups] == [group_lengths(w[:4], depth=12), group_lengths(w[4:], depth=12)]


def test_what_it_cannot_do_is_left_to_others():
    full = np.full((2, 784), 127, np.int8)
    assert list(dense_calls_layers(context_of(full, np.zeros(2)))) == [], "sums beyond 24 bits"
    few = np.ones((4, 15), np.int8)
    assert list(dense_calls_layers(context_of(few, np.zeros(4)))) == [], "too few inputs"
    some = list(dense_calls_layers(context_of(np.ones((4, 100), np.int8), np.zeros(4), -100)))
    assert not any(each.text.stops for each in some), "inputs below their zero point"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"lengths": bytes([3, 0])}, r"lengths do not sum to \[8\]"),
        ({"stops": 2, "first": 3, "step": 4}, "2 stops, the first after 3 inputs, then every 4, do not end at 8"),
        ({"stops": 3, "first": 2, "step": 3, "lengths": bytes([4, 2, 0])}, "no group ends at the stop after 5 inputs"),
        ({"dense": np.zeros((2, 1, 3), np.uint8)}, "dense has shape"),
    ],
)
def test_bad_calls_are_refused(more, message):
    w, x = np.ones((1, 8, 1), np.int8), np.zeros(8, np.int8)
    known = {"lengths": bytes([8, 0]), "dense": np.zeros((max(more.get("stops", 1) - 1, 1), 1, 3), np.uint8)} | more
    lengths, dense = known.pop("lengths"), known.pop("dense")
    with pytest.raises(ValueError, match=f"dense_calls_s24: {message}"):
        kernels_dense.dense_calls_s24(w, lengths, dense, x, bias=np.zeros((1, 1, 3), np.uint8), **known)
