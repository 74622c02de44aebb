"""Dense layers in pairs of rows on the simulated chip, against the portable twin, the plain sum and the candidate's costs."""

from types import SimpleNamespace

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from dense_grids import adversaries

from engine import kernels_dense
from engine.program import DenseParams, OutputS8, Rescale, Step
from enginekit.encode.candidate import Context
from enginekit.encode.dense_pairs import dense_pairs_layers


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/dense_pairs_s24.S"]))


def layers(w, bias):
    out, size = w.shape
    params = DenseParams(size, out, 0, OutputS8(3, -128, 127), (Rescale(1 << 30, 0, 11),))
    step = Step("dense_s8", (0,), "dense", params, w, bias.astype(np.int32), 0, 1, 0, 0, 0, size, out, 0, 1)
    return list(dense_pairs_layers(Context(SimpleNamespace(steps=(step,)), 0, (-128, 127), -128)))


@pytest.mark.parametrize(
    ("out", "size", "kind"), [(1, 1, 0), (2, 1, 0), (7, 13, 0), (5, 300, -128), (4, 257, 127), (10, 40, 0), (3, 784, 0)]
)
def test_pairs(bench, out, size, kind):
    rng = np.random.default_rng(out + size)
    w = np.full((out, size), kind, np.int8) if kind else rng.integers(-128, 128, (out, size)).astype(np.int8)
    bias = rng.integers(-30000, 30000, out)
    layer = layers(w, bias)[-1]  # multipliers of 32 bits: sums as they are
    assert (layer.requant.start == 0).all()
    for number, x in enumerate(adversaries(rng, w, (-128, 127))):
        want = bias + w.astype(np.int64) @ x.astype(np.int64)
        host = kernels_dense.dense_pairs_s24(layer.bytes, x)
        assert (host[:out] == want).all(), f"input {number}, host"
        bench.clear()
        at, sums = bench.ram(x), bench.ram(layer.scratch)
        params = bench.flash(word(bench.flash(layer.bytes)) + word(size) + bytes([len(layer.bytes)]))
        call = bench.call("eng_dense_pairs_s24", params, at, sums)
        got = s24(bench.read(sums, layer.scratch))
        assert (got == host).all(), f"input {number}: got {got}, want {host}"
        assert call.cycles == layer.cycles - layer.requant.cycles
        assert call.stack == 10


def test_what_it_counts_from_is_taken_off_the_bias():
    rng = np.random.default_rng(3)
    w, bias = rng.integers(-60, 60, (6, 30)).astype(np.int8), rng.integers(-3000, 3000, 6)
    short, wide = layers(w, bias)
    x = rng.integers(-128, 128, 30).astype(np.int8)
    sums = [kernels_dense.dense_pairs_s24(each.bytes, x) for each in (short, wide)]
    assert (sums[1] - sums[0] == short.requant.start).all()
    assert short.requant.start.any()
    assert short.mean_cycles(x[None]) < wide.mean_cycles(x[None]) <= wide.cycles


def test_sums_beyond_24_bits_are_left_to_others():
    assert layers(np.full((2, 784), 127, np.int8), np.zeros(2)) == []


def test_bad_calls_are_refused():
    with pytest.raises(ValueError, match="dense_pairs_s24: pairs has shape"):
        kernels_dense.dense_pairs_s24(np.zeros((1, 9), np.uint8), np.zeros(2, np.int8))
