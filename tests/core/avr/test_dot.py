"""The assembly twin of the dot product on the simulated chip, against the plain sum."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/dot_s8.S"]))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 255, 256, 257, 511, 512, 784, 2028])
def test_dot(bench, size):
    rng = np.random.default_rng(size)
    random = rng.integers(-128, 128, (2, size)).astype(np.int8)
    lowest, highest = np.full((2, size), -128, np.int8), np.full((2, size), 127, np.int8)
    for x, w in (random, lowest, highest, (lowest[0], highest[0]), (highest[0], random[0])):
        bench.clear()
        call = bench.call("eng_dot_s8", bench.ram(x), bench.flash(w), size)
        got = call.result << 16 | bench.chip.register(23) << 8 | bench.chip.register(22)
        want = int(x.astype(np.int64) @ w.astype(np.int64))
        assert got == want % (1 << 32), f"dot of {size}: got {got}, want {want}"
        assert call.cycles <= 12.5 * size + 13 * (size // 256) + 46
        assert call.stack <= 4
