"""Dense layers over what moved from rest, on the simulated chip, against their portable twins and the plain sum."""

from types import SimpleNamespace

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word

from engine import kernels_encoded
from engine.program import Conv2DParams, DenseParams, OutputS8, Rescale, Step, Window
from enginekit.encode.candidate import Context
from enginekit.encode.moved import dense_moved_layers
from enginekit.encode.rest import rest_of

CAPACITY = 60


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / f"csrc/avr/{name}.S" for name in ("moved_s8", "dense_moved")]))


def inputs(rng, rest, cells):
    """At rest but for some cells; all else; ends of the range; one cell."""
    base = np.tile(rest, cells)
    period = len(rest)
    some = np.repeat(rng.random(cells) < 0.4, period) & (rng.random(base.size) < 0.7)
    yield "some", np.where(some, rng.integers(-128, 128, base.size), base).astype(np.int8)
    yield "rest", base.astype(np.int8)
    for value in (-128, 127):
        yield f"all {value}", np.full(base.size, value, np.int8)
    last = base.copy()
    last[-1] = ~last[-1]
    yield "the last", last.astype(np.int8)
    first = base.copy()
    first[0] = ~first[0]
    yield "the first", first.astype(np.int8)


def place(bench, rest, cells, limit):
    shape = bytes([len(rest), cells, CAPACITY, limit])
    return bench.flash(word(bench.flash(rest)) + shape)


@pytest.mark.parametrize("rows", [3, 4, 5])
@pytest.mark.parametrize(
    ("period", "cells", "out"), [(1, 1, 1), (1, 255, 4), (12, 30, 10), (51, 9, 7), (7, 40, 5), (12, 169, 5)]
)
def test_moved(bench, rows, period, cells, out):
    rng = np.random.default_rng(rows + period + cells)
    rest = rng.integers(-128, 128, period).astype(np.int8)
    size, blocks = period * cells, -(-out // rows)
    w = np.zeros((blocks * rows, size), np.int8)
    w[:out] = rng.integers(-128, 128, (out, size))
    w[0] = 127 if size * 127 * 255 < 1 << 23 else 9
    at_rest = rng.integers(-70000, 70000, blocks * rows) + w.astype(np.int64) @ np.tile(rest, cells)
    packed = np.ascontiguousarray(w.reshape(blocks, rows, size).transpose(0, 2, 1))
    start = np.stack([(at_rest >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8).reshape(blocks, rows, 3)
    for kind, x in inputs(rng, rest, cells):
        what = f"moved{rows} {kind}, {cells} cells of {period}"
        bench.clear()
        at, table, sums = bench.ram(x), bench.ram(1 + 2 * CAPACITY), bench.ram(3 * blocks * rows)
        params = place(bench, rest, cells, 255)
        found = bench.call("eng_moved_s8", params, at, table)
        host = kernels_encoded.moved_s8(x, rest, capacity=CAPACITY, limit=255)
        assert (found.result & 0xFF) == (host is not None), what
        assert found.stack <= 20
        if host is None:
            continue
        assert bench.read(table, 1 + 2 * CAPACITY)[: len(host)] == host, what
        want = at_rest + w.astype(np.int64) @ (x.astype(np.int64) - np.tile(rest, cells))
        want = ((want + (1 << 23)) % (1 << 24)) - (1 << 23)
        got = kernels_encoded.dense_moved_s24(packed, start, x, rest, host)
        assert (got == want).all(), f"{what}, host: got {got}, want {want}"
        head = word(bench.flash(packed)) + word(0) + word(bench.flash(start)) + bytes([blocks]) + word(size)
        call = bench.call(f"eng_dense_moved{rows}_s24", bench.flash(head), params, at, table, sums)
        got = s24(bench.read(sums, 3 * blocks * rows))
        bad = np.flatnonzero(got != want)
        assert bad.size == 0, f"{what}: first difference at {bad[0]}: got {got[bad[0]]}, want {want[bad[0]]}"
        assert call.stack <= 36


@pytest.mark.parametrize("limit", [0, 3, 11, 12])
def test_it_gives_up_beyond_its_limits(bench, limit):
    rest = np.array([3, -4], np.int8)
    x = np.tile(rest, 12)
    x[::2] = 5
    bench.clear()
    at, table = bench.ram(x), bench.ram(1 + 2 * CAPACITY)
    call = bench.call("eng_moved_s8", place(bench, rest, 12, limit), at, table)
    assert (call.result & 0xFF) == (limit == 12)
    assert (kernels_encoded.moved_s8(x, rest, capacity=CAPACITY, limit=limit) is None) == (limit < 12)
    assert (
        kernels_encoded.moved_s8(np.tile([9, 3], 9)[:18].astype(np.int8), np.array([3], np.int8), capacity=8, limit=99) is None
    )


def follower(rng, channels, side, out):
    """A dense layer behind a convolution, as its candidates: weights of both at random."""
    window = Window(side, side, side, side, 1, 1, 1, 1, 1, 1, 0, 0)
    rescale = tuple(Rescale(int(rng.integers(1 << 30, 1 << 31)), 0, 6) for _ in range(channels))
    conv = Conv2DParams(window, 1, channels, 0, 1, OutputS8(-128, -128, 127), rescale)
    size = side * side * channels
    bias = rng.integers(-300, 900, channels).astype(np.int32)
    kernel = rng.integers(-127, 128, (channels, 1, 1, 1)).astype(np.int8)
    before = Step("conv2d_s8", (0,), "conv", conv, kernel, bias, 0, 1, 0, size, 0, side * side, size, 0, 1)
    params = DenseParams(size, out, 1, OutputS8(3, -128, 127), tuple(Rescale(1 << 30, 0, 11 + n % 3) for n in range(out)))
    w = np.clip(np.rint(rng.normal(0, 20, (out, size))), -127, 127).astype(np.int8)
    more = rng.integers(-20000, 20000, out).astype(np.int32)
    step = Step("dense_s8", (1,), "dense", params, w, more, 1, 2, size, 2 * size, 0, size, out, 0, 1)
    return tuple(
        dense_moved_layers(Context(SimpleNamespace(steps=(before, step)), 1, (-128, 127), -128, rest_of(before, -128)))
    )


@pytest.mark.parametrize("shape", [(12, 13, 10), (5, 7, 3)])
def test_candidates_know_their_cycles(bench, shape):
    rng = np.random.default_rng(shape[0])
    layers = follower(rng, *shape)
    assert [each.part.rows for each in layers] == [5, 4, 3]
    for layer in layers:
        rest, rows, cells = layer.rest, layer.part.rows, layer.cells
        images = np.tile(rest, cells) + np.zeros((3, 1), np.int64)
        images[1, : rest.size * 5] += 1
        some = slice(images[2].size // 2, images[2].size * 3 // 4)
        images[2, some] = np.where(rng.random(images[2, some].size) < 0.3, rng.integers(-128, 128), images[2, some])
        for x in images.clip(-128, 127).astype(np.int8):
            bench.clear()
            at, table, sums = bench.ram(x), bench.ram(1 + 2 * layer.capacity), bench.ram(layer.sum_size)
            limits = bytes([len(rest), cells, layer.capacity, layer.limit])
            params = bench.flash(word(bench.flash(rest)) + limits)
            search = bench.call("eng_moved_s8", params, at, table)
            assert search.result & 0xFF
            start = np.stack([(layer.rest_sums >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8)
            head = word(bench.flash(layer.part.w)) + word(0) + word(bench.flash(start)) + bytes([layer.part.blocks])
            head = bench.flash(head + word(layer.w.shape[1]))
            call = bench.call(f"eng_dense_moved{rows}_s24", head, params, at, table, sums)
            got = s24(bench.read(sums, layer.sum_size))[: len(layer.w)]
            assert (got == layer.w.astype(np.int64) @ x.astype(np.int64) + layer.bias).all()
            assert search.cycles + call.cycles == layer.cycles_of(x), f"rows of {rows}, {shape}"


@pytest.mark.parametrize("shape", [(12, 13, 10), (20, 9, 4)])
def test_no_input_is_slower_than_promised(shape):
    """As many cells as may have moved, all of their inputs less or more; and searches that end in vain at the last cell."""
    for layer in follower(np.random.default_rng(shape[0]), *shape):
        cells, period, limit = layer.cells, len(layer.rest), layer.limit
        base = np.tile(layer.rest.astype(np.int64), (cells, 1))
        apart = np.where(base > -128, base - 1, base + 1)
        last = np.arange(period) == period - 1
        scattered = np.arange(cells) % 2 == 0
        for most in (limit, limit + 1):
            first = np.arange(cells) < most
            alternating = scattered & (np.cumsum(scattered) <= most) | (np.arange(cells) >= cells - most + scattered.sum())
            for moved in (first, first[::-1], alternating):
                for where in (moved[:, None] & last, np.repeat(moved[:, None], period, axis=1)):
                    x = np.where(where, apart, base).astype(np.int8)
                    assert layer.cycles_of(x.ravel()) <= layer.cycles - layer.requant.cycles


def test_only_after_a_convolution_and_with_proven_sums():
    rng = np.random.default_rng(2)
    layer = follower(rng, 12, 13, 10)[0]
    assert layer.cycles is not None
    assert layer.cycles > layer.part.cycles
    assert follower(rng, 100, 4, 3) == (), "cells of more bytes than the kernels take"
    assert follower(rng, 3, 4, 3) == (), "too few inputs to be worth a search"
    assert rest_of(Step("copy", (0,), "x", None, None, None, 0, 1, 0, 0, 0, 1, 1, 0, 1), 0) is None
