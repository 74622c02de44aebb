"""Depthwise convolutions channel by channel: emitted layers on host and chip against the model, and the kernels beneath."""

from dataclasses import replace

import numpy as np
import pytest
from avr_costs import table_at_hand
from avr_kernels import ROOT, Bench, build, s24, word
from emitted_layers import Layers, cases, inputs
from random_graphs import R6, Chain, R

from engine import kernels
from engine.model import Model
from engine.program import OutputS8, Rescale
from enginekit import costs
from enginekit.costs.depthwise import ShortChannels
from enginekit.encode.choose import Optimize, encode
from enginekit.encode.depthwise import MOST_TAPS, depthwise_layers
from enginekit.encode.steps import Rounding, short_steps

ZERO = {"activation": R, "zero": -128}
LAYERS = {
    "same": Chain((7, 7, 3), zero=-128).depthwise(3, **ZERO),
    "valid": Chain((8, 9, 2)).depthwise(3, padding="valid", **ZERO),
    "stride": Chain((9, 8, 2), zero=17).depthwise(3, 2, activation=R6),
    "stride of three": Chain((11, 11, 1)).depthwise(4, 3),
    "dilated": Chain((9, 7, 2), zero=40).depthwise(3, dilation=2, **ZERO),
    "dilated and strided": Chain((12, 10, 2)).depthwise(2, 2, dilation=3, padding="valid"),
    "multiplier": Chain((5, 6, 2)).depthwise(3, multiplier=3, **ZERO),
    "pointwise": Chain((3, 5, 4)).depthwise(1, **ZERO),
    "whole map": Chain((5, 5, 6)).depthwise(5, padding="valid"),
    "wide": Chain((3, 30, 1)).depthwise(3, **ZERO),
    "kernel larger than the map": Chain((3, 2, 2)).depthwise(5),
    "one column": Chain((9, 1, 2)).depthwise(3, 2),
}
CASES = [case for name, chain in LAYERS.items() for case in cases(name, chain.graph(), depthwise_layers)]
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return Layers(CASES, tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    names = ("plane_s8", "depthwise_s24", "requant_short_s24")
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / f"csrc/avr/{name}.S" for name in names]))


@pytest.mark.parametrize("name", NAMES)
def test_layers(layers, name):
    layers.check(name, inputs(layers.cases[name]))


def test_every_kernel_is_reached():
    symbols = {symbol for case in CASES for symbol in case.candidate.symbols}
    assert symbols >= {f"eng_depthwise_planes{n}_s8" for n in (4, 7)}
    assert any("bands" in case.candidate.encoding for case in CASES)


def test_a_multiply_add_costs_what_is_claimed():
    """Of a layer as networks have them: 14 x 14 x 16, 3 x 3, ReLU."""
    found = cases("", Chain((14, 14, 16), zero=-128).depthwise(3, **ZERO).graph(), depthwise_layers)
    assert min(case.candidate.cycles for case in found) / (14 * 14 * 16 * 9) < 22


@pytest.mark.parametrize("exact", [False, True])
def test_the_exact_rule_gives_the_same(tmp_path, exact):
    """A layer whose ratios have short multipliers, and the same layer without."""
    chain = Chain((6, 9, 2), zero=-128).depthwise(3, **ZERO)
    found = cases("layer", chain.graph(), depthwise_layers)[:2]
    if exact:
        found = [replace(c, candidate=replace(c.candidate, layer=replace(c.candidate.layer, steps=None))) for c in found]
    layers = Layers([replace(case, name=f"{n}") for n, case in enumerate(found)], tmp_path)
    for name, case in layers.cases.items():
        assert ("exact" in case.candidate.symbols[0]) == exact
        for _, codes in inputs(case):
            x = codes.astype(np.int8)
            got, call = layers.chip(name, x)
            np.testing.assert_array_equal(got, case.model.run(x))
            np.testing.assert_array_equal(layers.host(name, x), case.model.run(x))
            assert call.cycles == pytest.approx(case.candidate.mean_cycles(x), rel=0.01)


@pytest.mark.parametrize("at_once", [4, 7])
@pytest.mark.parametrize("out_w", [1, 3, 4, 7, 8, 15])
@pytest.mark.parametrize("taps", [1, 2, 252])
def test_sums_at_their_bound(bench, at_once, out_w, taps):
    rng = np.random.default_rng(taps + out_w)
    distance = rng.integers(1, 4, taps - 1).tolist()
    rows, row_step = 3, out_w + 2
    at = np.cumsum([0, *distance])
    size = int(at[-1]) + (rows - 1) * row_step + out_w
    for w, x in (
        (rng.integers(-128, 128, taps), rng.integers(-128, 128, size)),
        (np.full(taps, -128), np.full(size, -128)),
        (np.full(taps, 127), np.full(size, -128)),
    ):
        bench.clear()
        low = int((w.astype(int) * -128).min() * taps)
        start = int(rng.choice([-(1 << 23) - min(low, 0) if low < 0 else 0, 1000]))
        want = [start + int((w * x[at + row * row_step + n]).sum()) for row in range(rows) for n in range(out_w)]
        assert max(map(abs, want)) <= 1 << 23
        filters = np.concatenate([[(start >> s) & 0xFF for s in (0, 8, 16)], w & 0xFF]).astype(np.uint8)
        places = [bench.flash(filters), bench.ram(x.astype(np.int8).tobytes() + bytes(at_once))]
        room = 3 * (rows * out_w + -out_w % at_once)
        sums = bench.ram(room)
        record = bench.flash(word(bench.flash(bytes([*distance, 0]))) + word(row_step) + bytes([out_w]))
        call = bench.call(f"eng_depthwise{at_once}_s24", record, *places, sums, rows)
        got = s24(bench.read(sums, room))[: rows * out_w]
        assert got.tolist() == want
        assert call.stack <= 34


@pytest.mark.parametrize("doublings", [0, 1, 8])
def test_codes_of_a_channel(bench, doublings):
    bench.clear()
    rng = np.random.default_rng(doublings)
    rescale, y = Rescale(0x7A5A5A5B, 0, 8 - doublings), OutputS8(-100, -100, 120)
    span = (-(1 << 21), (1 << 22 - doublings))
    steps = short_steps((rescale,), Rounding.DOUBLE, y, [span])
    assert steps is not None
    assert steps.doublings == doublings
    sums = np.concatenate([rng.integers(*span, 200), rng.integers(-300, 300, 100), [*span]])
    raw = b"".join(int(n - steps.start[0] & 0xFFFFFF).to_bytes(3, "little") for n in sums)
    record = bench.flash(word(5) + bytes([steps.doublings, y.lo & 0xFF, y.hi & 0xFF]))
    codes = bench.ram(5 * len(sums))
    call = bench.call("eng_requant_short_channel_s24_s8", record, bench.flash(steps.steps), bench.ram(raw), codes, len(sums))
    got = np.frombuffer(bench.read(codes, 5 * len(sums)), np.int8)
    want = np.clip(kernels.rescale_double(sums.astype(np.int32), rescale).astype(int) + y.zero, y.lo, y.hi)
    assert got[::5].tolist() == want.tolist()
    assert set(got[1::5].view(np.uint8)) == {0xA5}
    assert call.stack <= 16
    numbers = (steps.steps.astype(np.int64).reshape(1, 2, 3) << 8 * np.arange(3)).sum(axis=2)
    bill = costs.bill.Bill()
    ShortChannels(steps.start, np.array([span[1]]), steps.doublings, numbers).add(bill, 1, len(sums), sums[None, :, None])
    assert call.cycles == bill.cycles(table_at_hand().cycles)


def test_what_it_cannot_do_is_left_to_the_plain_kernel():
    def found(chain):
        return len(cases("", chain.graph(), depthwise_layers))

    assert found(Chain((9, 9, 2)).depthwise(3)) == 6
    assert found(Chain((9, 9, 2)).conv(2, 3)) == 0
    assert found(Chain((1, 255, 1)).depthwise(1)) == 2
    assert found(Chain((1, 256, 1)).depthwise(1)) == 0
    assert found(Chain((20, 20, 1)).depthwise(15, padding="valid")) > 0
    assert found(Chain((20, 20, 1)).depthwise(16, padding="valid")) == 0
    assert 15 * 15 <= MOST_TAPS < 16 * 16


def test_a_model_gets_it_where_it_is_faster():
    model = Model(Chain((10, 10, 8), zero=-128).depthwise(3, **ZERO).graph())
    assert encode(model, Optimize.SPEED).steps[0].candidate.encoding.startswith("channel by channel")
