"""Dense layers of 4 and 2 bits a weight on the simulated chip, against their portable twins and the plain sum."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from dense_grids import adversaries, grid_of, runs_of

from engine import kernels_compressed
from engine.errors import QuantError
from enginekit.encode.bits import dense_bits

ALL = slice(None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/dense_bits.S"]))


def weights(rng, out, size, bits, kind):
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if kind == "random":
        return rng.integers(low, high + 1, (out, size)).astype(np.int8)
    return np.full((out, size), {"lowest": low, "highest": high}[kind], np.int8)


def place(bench, encoded, *, in_ram):
    """Write an eng_dense_bits and what it points to; returns its address, and a function that places a table of runs."""
    blocks, size, _ = encoded.w.shape
    record = word(bench.flash(encoded.w)) + word(bench.flash(encoded.start)) + word(size)
    return bench.flash(record + bytes([blocks, encoded.base & 0xFF])), bench.ram if in_ram else bench.flash


def check(bench, encoded, grid, x, runs, *, in_ram, what):
    host = kernels_compressed.dense_bits_s24(encoded.w, encoded.start, x, runs, bits=encoded.bits, base=encoded.base)
    want = grid.sums(x[None])[0]
    assert host[: len(want)].tolist() == want.tolist(), f"{what}, host"
    bench.clear()
    params, put = place(bench, encoded, in_ram=in_ram)
    at, table, sums = bench.ram(x), put(runs), bench.ram(3 * encoded.slots)
    call = bench.call(encoded.symbol, params, at, table, sums)
    assert s24(bench.read(sums, 3 * encoded.slots)).tolist() == host.tolist(), f"{what}, chip"
    assert call.stack <= 47
    return call.cycles


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("rows", [4, 8])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, "random"), (7, 17, "random"), (5, 35, "lowest"), (11, 97, "highest"), (13, 300, "random"), (2, 784, "random")],
)
@pytest.mark.parametrize("x_range", [(-128, 127), (-3, 5), (127, 127)])
def test_all_inputs_and_those_that_differ_from_the_lowest(bench, bits, rows, shape, x_range):
    out, size, kind = shape
    rng = np.random.default_rng(rows * 1000 + size)
    grid = grid_of(rng, weights(rng, out, size, bits, kind), x_range)
    encoded = dense_bits(grid, ALL, bits=bits, block=rows)
    everything = bytes(runs_of(np.ones(size, bool)))
    for number, x in enumerate(adversaries(rng, grid.codes, x_range)):
        what = f"{bits} bits, rows of {rows}, {kind} {out}x{size} x in {x_range} input {number}"
        cycles = check(bench, encoded, grid, x, everything, in_ram=False, what=what)
        assert cycles == encoded.cycles, what
        runs = bytes(runs_of(x != grid.base))
        cycles = check(bench, encoded, grid, x, runs, in_ram=True, what=f"{what}, skipping")
        if max(runs[1:], default=0) < 255:
            assert cycles == encoded.cycles_for(x[None])[0], what


@pytest.mark.parametrize("length", [1, 16, 17, 18, 34, 255])
def test_parts_of_runs(bench, length):
    """Runs that end before, with and after the point where high bytes are moved."""
    rng = np.random.default_rng(length)
    size = 5 * (length + 2)
    grid = grid_of(rng, np.clip(weights(rng, 8, size, 4, "random"), -3, 3), (-128, 127))
    encoded = dense_bits(grid, ALL, bits=4, block=8)
    x = np.full(size, grid.base, np.int8)
    for at in (0, length + 1, 2 * length + 3):
        x[at : at + length] = rng.integers(1, 128, length)
    cycles = check(bench, encoded, grid, x, bytes(runs_of(x != grid.base)), in_ram=True, what=f"runs of {length}")
    assert length == 255 or cycles == encoded.cycles_for(x[None])[0]


def test_bounds_are_reached_and_never_passed(bench):
    """The highest row of a byte of 4 bits holds 19 bits and a sign: 2056 inputs of 255 at weight 1."""
    rng = np.random.default_rng(1)
    w = np.zeros((2, 2056), np.int8)
    w[1] = 1
    grid = grid_of(rng, w, (-128, 127))
    encoded = dense_bits(grid, ALL, bits=4, block=4)
    everything = bytes(runs_of(np.ones(2056, bool)))
    check(bench, encoded, grid, np.full(2056, 127, np.int8), everything, in_ram=False, what="at the bound")
    w = np.ones((2, 2057), np.int8)
    with pytest.raises(QuantError, match=r"sum 1 reaches 0 to 524535; its field holds what is below 524288"):
        dense_bits(grid_of(rng, w, (-128, 127)), ALL, bits=4, block=4)
    dense_bits(grid_of(rng, w[:1], (-128, 127)), ALL, bits=4, block=4)
    dense_bits(grid_of(rng, -w[:, :2056], (-128, 127)), ALL, bits=4, block=4)


def test_weights_that_do_not_fit_are_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(QuantError, match=r"weights from 8 to 8 do not fit 4 bits in rows of 8"):
        dense_bits(grid_of(rng, np.full((1, 1), 8, np.int8), (0, 1)), ALL, bits=4, block=8)
    with pytest.raises(QuantError, match=r"weights from -3 to -3 do not fit 2 bits in rows of 4"):
        dense_bits(grid_of(rng, np.full((1, 1), -3, np.int8), (0, 1)), ALL, bits=2, block=4)


def test_tables_of_runs_are_checked():
    grid = grid_of(np.random.default_rng(1), np.ones((4, 5), np.int8), (0, 1))
    encoded = dense_bits(grid, ALL, bits=4, block=4)
    for runs in (b"", bytes([1, 0]), bytes([1, 0, 6]), bytes([1, 3, 0])):
        with pytest.raises(ValueError, match="runs is not a table of runs within 5 inputs"):
            kernels_compressed.dense_bits_s24(encoded.w, encoded.start, np.zeros(5, np.int8), runs, bits=4, base=0)
    with pytest.raises(ValueError, match="bits is 3; expected 4 or 2"):
        kernels_compressed.dense_bits_s24(encoded.w, encoded.start, np.zeros(5, np.int8), b"\0", bits=3, base=0)
