"""Dense layers without their zeros on the simulated chip, against their portable twins and the plain sum."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from dense_grids import adversaries, grid_of

from engine import kernels_compressed
from engine.errors import QuantError
from enginekit.encode.bitmap import dense_bitmap
from enginekit.encode.sparse import SPARSE_ROWS, dense_sparse

ALL = slice(None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / f"csrc/avr/dense_{name}.S" for name in ("bitmap", "sparse")]))


def weights(rng, out, size, density, kind="random"):
    w = {"random": np.clip(rng.normal(0, 30, (out, size)), -127, 127), "lowest": np.full((out, size), -128.0)}
    values = w.get(kind, np.full((out, size), 127.0))
    return np.where(rng.random((out, size)) < density, np.rint(values), 0).astype(np.int8)


def check(bench, encoded, grid, x, what):
    host = kernels_compressed.dense_sparse_s24(encoded.w, encoded.start, x, base=encoded.base)
    want = grid.sums(x[None])[0]
    assert host[: len(want)].tolist() == want.tolist(), f"{what}, host"
    bench.clear()
    record = word(bench.flash(encoded.w)) + word(bench.flash(encoded.start))
    params = bench.flash(record + bytes([len(encoded.start), encoded.base & 0xFF]))
    at, sums = bench.ram(x), bench.ram(3 * encoded.slots)
    call = bench.call(encoded.symbol, params, at, sums)
    assert s24(bench.read(sums, 3 * encoded.slots)).tolist() == host.tolist(), f"{what}, chip"
    assert call.stack <= 37
    assert call.cycles == encoded.cycles_for(x[None])[0], what
    return call.cycles


@pytest.mark.parametrize("block", SPARSE_ROWS)
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1.0, "random"),
        (7, 13, 0.5, "random"),
        (5, 97, 0.2, "lowest"),
        (11, 300, 0.3, "highest"),
        (18, 784, 0.1, "random"),
    ],
)
@pytest.mark.parametrize("x_range", [(-128, 127), (-3, 5), (127, 127)])
def test_what_is_stored_is_multiplied(bench, block, shape, x_range):
    out, size, density, kind = shape
    rng = np.random.default_rng(block * 1000 + size)
    grid = grid_of(rng, weights(rng, out, size, density, kind), x_range)
    encoded = dense_sparse(grid, ALL, block=block)
    for number, x in enumerate(adversaries(rng, grid.codes, x_range)):
        cycles = check(bench, encoded, grid, x, f"rows of {block}, {out}x{size} x in {x_range} input {number}")
        assert cycles <= encoded.cycles * 1.02 + 60


@pytest.mark.parametrize("places", [[], [0], [255], [256], [511], [0, 256, 900], [1023]])
@pytest.mark.parametrize("block", SPARSE_ROWS)
def test_entries_far_apart(bench, places, block):
    rng = np.random.default_rng(len(places))
    w = np.zeros((block + 1, 1024), np.int8)
    w[0, places] = 100
    grid = grid_of(rng, w, (-128, 127))
    encoded = dense_sparse(grid, ALL, block=block)
    check(bench, encoded, grid, rng.integers(-128, 128, 1024).astype(np.int8), f"entries at {places}")


@pytest.mark.parametrize("size", [254, 255, 256, 510, 511])
def test_blocks_of_several_segments(bench, size):
    rng = np.random.default_rng(size)
    grid = grid_of(rng, weights(rng, 5, size, 1.0), (-128, 127))
    for block in SPARSE_ROWS:
        encoded = dense_sparse(grid, ALL, block=block)
        check(bench, encoded, grid, rng.integers(-128, 128, size).astype(np.int8), f"{size} entries, rows of {block}")


def test_streams_are_checked():
    start, x = np.zeros((1, 1, 3), np.uint8), np.zeros(4, np.int8)
    for stream, message in (
        ([1, 0, 3], "w ends within block 0 of 1"),
        ([2, 0, 3], "w ends within a segment of block 0"),
        ([1, 4, 3, 0], "block 0 has an entry for input 4 of 4"),
        ([1, 3, 3, 0, 0], "w has 1 bytes beyond its 1 blocks"),
        ([], "w ends within block 0 of 1"),
    ):
        with pytest.raises(ValueError, match=message):
            kernels_compressed.dense_sparse_s24(np.array(stream, np.uint8), start, x, base=0)


def test_blocks_that_there_is_no_kernel_for_are_refused():
    with pytest.raises(QuantError, match=r"sparse blocks of 5 rows: expected one of \(8, 4, 1\)"):
        dense_sparse(grid_of(np.random.default_rng(0), np.ones((5, 1), np.int8), (0, 1)), ALL, block=5)


def check_bitmap(bench, encoded, grid, x, what):
    records = len(encoded.places)
    host = kernels_compressed.dense_bitmap_s24(encoded.w, encoded.start, x, records=records, base=encoded.base)
    want = grid.sums(x[None])[0]
    assert host[: len(want)].tolist() == want.tolist(), f"{what}, host"
    bench.clear()
    pointers = word(bench.flash(encoded.w)) + word(bench.flash(encoded.start))
    params = bench.flash(pointers + word(records) + bytes([encoded.slots // 8, encoded.base & 0xFF]))
    at, sums = bench.ram(x), bench.ram(3 * encoded.slots)
    call = bench.call(encoded.symbol, params, at, sums)
    assert s24(bench.read(sums, 3 * encoded.slots)).tolist() == host.tolist(), f"{what}, chip"
    assert call.stack <= 8
    assert call.cycles == encoded.cycles_for(x[None])[0], what
    return call.cycles


@pytest.mark.parametrize(
    "shape",
    [
        *((1, 1, 1.0, "random"), (7, 13, 0.5, "random"), (8, 97, 0.2, "lowest"), (19, 200, 0.3, "highest")),
        *((32, 300, 0.1, "random"), (224, 40, 0.9, "random"), (9, 5, 0.0, "random")),
    ],
)
@pytest.mark.parametrize("x_range", [(-128, 127), (-3, 5), (127, 127)])
def test_weights_whose_bits_are_set_are_multiplied(bench, shape, x_range):
    out, size, density, kind = shape
    rng = np.random.default_rng(size)
    grid = grid_of(rng, weights(rng, out, size, density, kind), x_range)
    encoded = dense_bitmap(grid, ALL)
    for number, x in enumerate(adversaries(rng, grid.codes, x_range)):
        cycles = check_bitmap(bench, encoded, grid, x, f"bitmap {out}x{size} x in {x_range} input {number}")
        assert cycles <= encoded.cycles * 1.02 + 60


@pytest.mark.parametrize("places", [[255], [256], [0, 256, 900]])
def test_records_far_apart(bench, places):
    rng = np.random.default_rng(len(places))
    w = np.zeros((9, 1024), np.int8)
    w[8, places] = -100
    grid = grid_of(rng, w, (-128, 127))
    check_bitmap(bench, dense_bitmap(grid, ALL), grid, rng.integers(-128, 128, 1024).astype(np.int8), f"records at {places}")


def test_records_are_checked():
    start, x = np.zeros((8, 3), np.uint8), np.zeros(4, np.int8)
    for stream, records, message in (
        ([0, 2, 1], 1, "w ends within record 0 of 1"),
        ([4, 2, 1, 9], 1, "record 0 is for input 4 of 4"),
        ([0, 2, 3, 9], 1, "record 0 has other bytes than its bits say"),
        ([0, 1, 0, 0], 1, "w has 1 bytes beyond its 1 records"),
    ):
        with pytest.raises(ValueError, match=message):
            kernels_compressed.dense_bitmap_s24(np.array(stream, np.uint8), start, x, records=records, base=0)
    with pytest.raises(QuantError, match="232 rows by bits: expected at most 224"):
        dense_bitmap(grid_of(np.random.default_rng(0), np.ones((225, 1), np.int8), (0, 1)), ALL)
