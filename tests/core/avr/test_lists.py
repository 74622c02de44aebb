"""Dense layers as lists of the inputs of each value, on the simulated chip, against their portable twin and the plain sum."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from dense_grids import adversaries, grid_of

from engine import kernels_compressed
from enginekit.encode.lists import dense_lists, lists_layers

ALL = slice(None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/dense_lists.S"]))


def check(bench, grid, x, what):
    encoded = dense_lists(grid, ALL)
    host = kernels_compressed.dense_lists_s24(encoded.w, x, rows=encoded.rows, base=encoded.base)
    assert host.tolist() == grid.sums(x[None])[0].tolist(), f"{what}, host"
    bench.clear()
    params = bench.flash(word(bench.flash(encoded.w)) + bytes([encoded.rows, encoded.base & 0xFF]))
    at, sums = bench.ram(x), bench.ram(3 * encoded.slots)
    call = bench.call(encoded.symbol, params, at, sums)
    assert s24(bench.read(sums, 3 * encoded.slots)).tolist() == host.tolist(), f"{what}, chip"
    assert call.stack <= 7
    assert call.cycles == encoded.cycles == encoded.cycles_for(x[None])[0], what


@pytest.mark.parametrize(
    "shape",
    [
        *((1, 1, [-128]), (7, 13, [-1, 0, 1]), (3, 784, [-1, 1]), (18, 300, [-1, 0, 0, 0, 0, 1])),
        *((5, 1100, [29]), (5, 97, [-128, -9, 0, 0, 3, 127]), (255, 9, [0, 0, 0, 0, 5]), (2, 5, [0])),
    ],
)
@pytest.mark.parametrize("x_range", [(-128, 127), (-3, 5), (127, 127)])
def test_inputs_listed_are_added_up(bench, shape, x_range):
    out, size, values = shape
    rng = np.random.default_rng(size)
    grid = grid_of(rng, rng.choice(np.array(values, np.int8), (out, size)), x_range)
    for number, x in enumerate(adversaries(rng, grid.codes, x_range)):
        check(bench, grid, x, f"lists {out}x{size} of {values}, x in {x_range}, input {number}")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 126, 127, 128, 129, 254, 255, 300])
def test_lists_of_every_length(bench, count):
    """Also the largest sum of inputs that one product is made of."""
    grid = grid_of(np.random.default_rng(count), np.full((1, count), -128 if count < 256 else -100, np.int8), (-128, 127))
    check(bench, grid, np.full(count, 127, np.int8), f"{count} inputs")


@pytest.mark.parametrize("places", [[0], [255], [256], [511], [512, 513], [0, 256, 900, 901], [3, 1023]])
def test_entries_far_apart(bench, places):
    rng = np.random.default_rng(len(places))
    w = np.zeros((2, 1024), np.int8)
    w[1, places] = -1
    check(bench, grid_of(rng, w, (-128, 127)), rng.integers(-128, 128, 1024).astype(np.int8), f"entries at {places}")


def test_rows_of_all_values_are_not_listed():
    rng = np.random.default_rng(0)
    assert not list(lists_layers(grid_of(rng, rng.integers(-127, 128, (32, 784)).astype(np.int8), (-128, 127))))


def test_more_rows_than_a_record_holds_are_cut():
    rng = np.random.default_rng(0)
    (layer,) = lists_layers(grid_of(rng, rng.choice(np.array([0, 0, 0, 1], np.int8), (600, 70)), (-128, 127)))
    assert [part.rows for part in layer.parts] == [255, 255, 90]
    (layer,) = lists_layers(grid_of(rng, rng.choice(np.array([0, 1], np.int8), (250, 400)), (-128, 127)))
    assert all(len(part.w) <= 32767 for part in layer.parts)
    assert sum(part.rows for part in layer.parts) == 250
    assert len(layer.parts) == 2


def test_streams_are_checked():
    x, zeros = np.zeros(4, np.int8), [0, 0, 0]
    for stream, message in (
        ([*zeros], "w ends within row 0 of 1"),
        ([*zeros, 3, 1, 0], "w ends within a list of row 0"),
        ([*zeros, 2, 1, 4, 0], "row 0 lists input 4 of 4"),
        ([*zeros, 2, 1, 1, 129, 1, 0, 0], "row 0 lists input 257 of 4"),
        ([*zeros, 129, 0, 0, 0], "row 0 goes on with a list that it has not begun"),
        ([*zeros, 2, 1, 3, 0, 0], "w has 1 bytes beyond its 1 rows"),
        ([], "w ends within row 0 of 1"),
    ):
        with pytest.raises(ValueError, match=message):
            kernels_compressed.dense_lists_s24(np.array(stream, np.uint8), x, rows=1, base=0)
