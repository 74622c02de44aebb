"""Dense layers of few values on the simulated chip, against their portable twins and the plain sum."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from dense_grids import adversaries, grid_of, runs_of

from engine import kernels_compressed
from engine.errors import QuantError
from enginekit.encode.book import INDEX_BITS, dense_book

ALL = slice(None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/dense_book.S"]))


def weights(rng, out, size, bits, kind):
    """Values of each block of 8 rows by themselves."""
    low, high = {"small": (-30, 31), "any": (-128, 128), "lowest": (-128, -127), "highest": (127, 128)}[kind]
    books = [rng.integers(low, high, 1 << bits) for _ in range(-(-out // 8))]
    return np.concatenate([book[rng.integers(0, 1 << bits, (8, size))] for book in books])[:out].astype(np.int8)


def check(bench, encoded, grid, x, runs, *, in_ram, what):
    host = kernels_compressed.dense_book_s24(encoded.w, encoded.book, encoded.start, x, runs, base=encoded.base)
    want = grid.sums(x[None])[0]
    assert host[: len(want)].tolist() == want.tolist(), f"{what}, host"
    bench.clear()
    blocks, size, bits = encoded.w.shape
    pointers = word(bench.flash(encoded.w)) + word(bench.flash(encoded.book)) + word(bench.flash(encoded.start))
    params = bench.flash(pointers + word(size) + bytes([blocks, encoded.base & 0xFF]))
    at, table, sums = bench.ram(x), (bench.ram if in_ram else bench.flash)(runs), bench.ram(3 * encoded.slots)
    call = bench.call(encoded.symbol, params, at, table, sums)
    assert s24(bench.read(sums, 3 * encoded.slots)).tolist() == host.tolist(), f"{what}, chip"
    assert call.stack <= (77 if bits == 4 else 53)
    return call.cycles


@pytest.mark.parametrize("bits", INDEX_BITS)
@pytest.mark.parametrize("shape", [(1, 1, "any"), (8, 35, "lowest"), (11, 97, "highest"), (13, 300, "any"), (18, 784, "small")])
@pytest.mark.parametrize("x_range", [(-128, 127), (-3, 5), (127, 127)])
def test_all_inputs_and_those_that_differ_from_the_lowest(bench, bits, shape, x_range):
    out, size, kind = shape
    rng = np.random.default_rng(bits * 1000 + size)
    grid = grid_of(rng, weights(rng, out, size, bits, kind), x_range)
    encoded = dense_book(grid, ALL, bits=bits)
    everything = bytes(runs_of(np.ones(size, bool)))
    for number, x in enumerate(adversaries(rng, grid.codes, x_range)):
        what = f"{bits} bits, {kind} {out}x{size} x in {x_range} input {number}"
        cycles = check(bench, encoded, grid, x, everything, in_ram=False, what=what)
        assert cycles == encoded.cycles_for(x[None], skip=False)[0] <= encoded.cycles * 1.02 + 60, what
        runs = bytes(runs_of(x != grid.base))
        cycles = check(bench, encoded, grid, x, runs, in_ram=True, what=f"{what}, skipping")
        if max(runs[1:], default=0) < 255:
            assert cycles == encoded.cycles_for(x[None])[0], what


def test_values_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    w = np.zeros((9, 20), np.int8)
    w[8, :5] = [1, 2, 3, 4, 5]
    with pytest.raises(QuantError, match="rows from 8 on have 6 values; indices of 2 bits take 4"):
        dense_book(grid_of(rng, w, (0, 1)), ALL, bits=2)
    assert dense_book(grid_of(rng, w, (0, 1)), ALL, bits=4).book[1, :6].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(QuantError, match=r"indices of 3 bits: expected one of \(2, 4\)"):
        dense_book(grid_of(rng, w, (0, 1)), ALL, bits=3)
