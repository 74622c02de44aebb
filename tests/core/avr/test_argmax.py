"""The assembly twin of argmax on the simulated chip, against the reference."""

import numpy as np
import pytest
import reference
from avr_kernels import ROOT, Bench, build, word

from engine.program import ArgmaxParams


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/argmax_s8.S"]))


def rows_of(rng, rows, size):
    """Random, all the same, rising, falling, the largest last, ends of the range."""
    random = rng.integers(-128, 128, (rows, size))
    yield from (random, np.zeros((rows, size)), np.sort(random), -np.sort(-random))
    yield np.where(np.arange(size) == size - 1, 127, random.clip(max=126))
    yield rng.choice([-128, 127], (rows, size))


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (1, 10), (3, 7), (5, 1), (2, 256), (1, 300), (300, 2), (257, 5)])
def test_argmax(bench, rows, size):
    p = ArgmaxParams(rows, size)
    for x in rows_of(np.random.default_rng(size), rows, size):
        codes = x.astype(np.int8)
        bench.clear()
        params = bench.flash(word(rows) + word(0) + word(size))
        at, y = bench.ram(codes), bench.ram(4 * rows + 1)
        bench.chip.write(y + 4 * rows, b"\x5a")
        call = bench.call("eng_argmax_s8", params, at, y)
        got = bench.read(y, 4 * rows + 1)
        assert (np.frombuffer(got[:-1], "<i4") == reference.argmax_s8(p, codes).ravel()).all(), (rows, size)
        assert got[-1] == 0x5A, "beyond the indices"
        assert call.stack <= 2
        assert call.cycles <= 25 + rows * (27 + 10 * (size - 1))
