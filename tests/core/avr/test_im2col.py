"""Convolutions by patches: emitted layers on host and chip against the model, and the two kernels beneath at their limits."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from emitted_layers import Layers, cases, inputs
from random_graphs import R6, SAME, Chain, R

from enginekit.encode.im2col import MOST_TAPS, im2col_layers
from enginekit.encode.im2col_cycles import PRODUCTS, SKIPPED

ZERO = {"activation": R, "zero": -128}
LAYERS = {
    "stride": Chain((9, 7, 2), zero=-128).conv(3, 3, 2, padding=SAME, **ZERO),
    "dilated": Chain((9, 7, 2)).conv(4, 2, dilation=2, **ZERO),
    "padded and dilated": Chain((9, 9, 1)).conv(3, 3, dilation=2, padding=SAME, activation=R6, zero=-128),
    "padded": Chain((6, 7, 2), zero=40).conv(5, 3, 2, padding=SAME, **ZERO),
    "pointwise": Chain((5, 5, 8), zero=-128).conv(12, 1, **ZERO),
    "wide": Chain((2, 20, 1), zero=-128).conv(7, 3, padding=SAME, **ZERO),
    "one filter": Chain((6, 7, 2), zero=-128).conv(1, 2, **ZERO),
    "one position": Chain((3, 3, 5)).conv(7, 3, **ZERO),
    "many channels": Chain((3, 3, 100)).conv(2, 2, **ZERO),
    "pool": Chain((8, 8, 3), zero=-128).conv(8, 3, **ZERO).pool("max_pool2d", 2),
    "pool at the edge": Chain((7, 8, 3)).conv(6, 3, padding=SAME, **ZERO).pool("max_pool2d", 3, 3, SAME),
    "large pool": Chain((9, 9, 2), zero=-128).conv(10, 2, **ZERO).pool("max_pool2d", 4),
    "linear": Chain((6, 7, 2)).conv(4, 3),
    "linear pool": Chain((6, 6, 1), zero=-128).conv(3, 3, padding=SAME).pool("max_pool2d", 2),
}
CASES = [case for name, chain in LAYERS.items() for case in cases(name, chain.graph(), im2col_layers)]
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return Layers(CASES, tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/im2col_s24.S"]))


@pytest.mark.parametrize("name", NAMES)
def test_layers(layers, name):
    layers.check(name, inputs(layers.cases[name], (1.0, 0.5, 0.05)))


def stream(rng, w, start, rows):
    """Blocks as the encoder writes them."""
    blocks = []
    for at in range(0, len(w), rows):
        starts = np.stack([(start[at : at + rows] >> s) & 0xFF for s in (0, 8, 16)], axis=1)
        blocks += [starts.ravel(), (w[at : at + rows].T + 128).ravel()]
    return np.concatenate(blocks).astype(np.uint8)


@pytest.mark.parametrize("taps", [1, 2, 3, 9, 510])
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("rows", [2, 3])
def test_products(bench, rows, moving, largest, taps):
    rng = np.random.default_rng(taps)
    blocks = 1 if taps > 9 else 3
    for kind in ("random", "sparse", "full"):
        bench.clear()
        u = rng.integers(0, 256, (taps, 2)) if kind != "full" else np.full((taps, 2), 255)
        u[rng.random(taps) < (0.6 if kind == "sparse" else 0)] = 0
        w = rng.integers(-128, 128, (blocks * rows, taps)) if kind != "full" else np.full((blocks * rows, taps), -128)
        start = rng.integers(-70000, 70000, len(w)) - 128 * w.sum(1)
        sums = (start[:, None] + 128 * w.sum(1)[:, None]) + w @ (u - 128)
        base = np.stack([(-128 * u.sum(0) >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8)
        flash = bench.flash(stream(rng, w, start, rows))
        patches = bench.ram(base.tobytes() + u.astype(np.uint8).tobytes())
        before = rng.integers(-400000, 400000, len(w)) if largest else np.zeros((len(w), 2), np.int64)
        y = bench.ram(np.stack([(before.ravel() >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8))
        symbol = f"eng_im2col{rows}{'_moving' if moving else ''}_s24"
        call = bench.call(symbol, bench.flash(word(flash) + word(taps) + bytes([blocks])), patches, y, largest)
        want = np.maximum(sums.max(1), before) if largest else sums
        assert s24(bench.read(y, 3 * want.size)).tolist() == want.ravel().tolist()
        cycles = PRODUCTS[rows, moving].cycles(blocks, taps, largest=bool(largest))
        cycles -= int((~u.any(axis=1)).sum()) * SKIPPED[rows] * blocks if moving else 0
        if largest:
            cycles += 2 * int((sums[:, 0] < sums[:, 1]).sum() + (sums.max(1) < before).sum())
        assert call.cycles == cycles
        assert call.stack <= (18 if rows == 2 else 24)


def test_what_it_cannot_do_is_left_to_the_plain_kernel():
    def found(chain):
        return len(cases("", chain.graph(), im2col_layers))

    assert found(Chain((2, 2, MOST_TAPS // 4)).conv(2, 2, **ZERO)) == 1
    assert found(Chain((2, 2, MOST_TAPS // 4 + 1)).conv(2, 2, **ZERO)) == 0
    assert found(Chain((1, 255, 1), zero=-128).conv(2, 1, **ZERO)) == 2
    assert found(Chain((1, 256, 1), zero=-128).conv(2, 1, **ZERO)) == 0
    assert found(Chain((9, 9, 2)).depthwise(3)) == 0
