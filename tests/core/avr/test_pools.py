"""Pools and means on host and chip against the model, and the assembly beneath over all sums."""

import numpy as np
import pytest
from avr_costs import table_at_hand
from avr_kernels import ROOT, Bench, build, word
from emitted_layers import Layers, cases, inputs
from random_graphs import SAME, Chain

from enginekit.costs import pools
from enginekit.costs.bill import Bill
from enginekit.encode.plain import plain

LAYERS = {
    "average 2": Chain((6, 6, 3)).pool("average_pool2d", 2),
    "average 3 same": Chain((7, 8, 2)).pool("average_pool2d", 3, 2, SAME),
    "average of all": Chain((5, 7, 4)).pool("average_pool2d", 5),
    "average of many": Chain((17, 17, 2)).pool("average_pool2d", 16, 1),
    "average of one": Chain((3, 4, 5)).pool("average_pool2d", 1),
    "max 2": Chain((6, 6, 3)).pool("max_pool2d", 2),
    "max 3 same": Chain((7, 8, 2)).pool("max_pool2d", 3, 2, SAME),
    "max of all": Chain((5, 7, 4)).pool("max_pool2d", 5, 2, SAME),
    "max of one channel": Chain((9, 4, 1)).pool("max_pool2d", 2),
    "max of one": Chain((3, 4, 5)).pool("max_pool2d", 1),
    "max of 300 channels": Chain((2, 2, 300)).pool("max_pool2d", 2),
    "mean": Chain((5, 5, 6), zero=-128).mean(),
    "mean of an odd map": Chain((17, 3, 2), zero=127).mean(),
    "mean of a pixel": Chain((1, 1, 7)).mean(),
}
CASES = [case for name, chain in LAYERS.items() for case in cases(name, chain.graph(), plain)]
NAMES = [case.name for case in CASES]
#: Counts of taps that are divided by: shifts, products, and bit by bit.
COUNTS = [(1, 1), (1, 2), (2, 2), (3, 1), (3, 3), (7, 7), (1, 128), (15, 17), (16, 16), (17, 19)]


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return Layers(CASES, tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    names = ("max_pool_run_s8", "average_pool_run_s8", "sum_s8")
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / f"csrc/avr/{name}.S" for name in names]))


@pytest.mark.parametrize("name", NAMES)
def test_layers(layers, name):
    layers.check(name, inputs(layers.cases[name]))


def rounded(sums, count):
    """Half away from zero."""
    return np.sign(sums) * ((2 * np.abs(sums) + count) // (2 * count))


def test_every_sum_is_divided_exactly():
    """What the kernels' header claims of `below` and `mult`, for each count and each sum."""
    for count in range(1, 600):
        sums = np.arange(-128 * count, 127 * count + 1)
        run = pools.Run(1, count, 1, 1)
        half = count // 2
        shifted = sums + 128 * count + half
        shifted -= shifted < (0 if count % 2 else 128 * count + half)
        quotients = shifted * run.mult >> 24 if run.mult else shifted // count
        np.testing.assert_array_equal(quotients - 128, rounded(sums, count), err_msg=str(count))
        assert run.mult < 1 << 24
        assert shifted.max() < 256 * count


def record(bench, run, x, lo, hi):
    """An ``eng_pool_run`` over windows that lie side by side."""
    half = run.count // 2
    sizes = [x, run.columns * run.channels, run.channels, run.count * run.channels]
    sizes += [run.rows, run.columns, run.channels, run.positions]
    longs = [run.count, half, 0 if run.count % 2 else 128 * run.count + half, run.mult]
    ends = bytes([lo & 0xFF, hi & 0xFF])
    return bench.ram(b"".join(map(word, sizes)) + ends + b"".join(n.to_bytes(4, "little") for n in longs))


def windows(rng, count):
    """Taps whose sums are ties and their neighbours, of both signs, and the ends: int8[positions, count]."""
    around = np.array([-1, 0, 1])
    middles = [rng.integers(-127, 127) * count + count // 2 for _ in range(9)]
    sums = np.clip(np.concatenate([[-128 * count, 127 * count, 0], *(m + around for m in middles)]), -128 * count, 127 * count)
    taps = np.full((len(sums), count), 1) * (sums // count)[:, None]
    return (taps + (np.arange(count) < (sums % count)[:, None])).astype(np.int8)


@pytest.mark.parametrize("limits", [(-128, 127), (-20, 31), (5, 5)])
@pytest.mark.parametrize("taps", COUNTS)
def test_runs(bench, taps, limits):
    rng = np.random.default_rng(taps)
    rows, columns = taps
    for drawn in (windows(rng, rows * columns), rng.integers(-128, 128, (3, rows * columns * 5)).astype(np.int8)):
        x = drawn[: max(1, 3000 // drawn.shape[1])]
        channels = x.shape[1] // (rows * columns)
        run = pools.Run(rows, columns, channels, len(x), limits[1])
        by_tap = x.reshape(len(x), -1, channels).astype(np.int64)
        want = {
            "max": (pools.max_run, by_tap.max(axis=1)),
            "average": (pools.average_run, rounded(by_tap.sum(axis=1), rows * columns)),
        }
        for name, (count, codes) in want.items():
            bench.clear()
            at = record(bench, run, bench.ram(x), *limits)
            y = bench.ram(codes.size)
            call = bench.call(f"eng_{name}_pool_run_s8", at, y)
            got = np.frombuffer(bench.read(y, codes.size), np.int8)
            assert got.tolist() == codes.clip(*limits).ravel().tolist(), name
            bill = Bill()
            count(bill, run)
            assert call.cycles == bill.cycles(table_at_hand().cycles), name
            assert call.stack <= 20


@pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 257, 1500])
def test_sums(bench, n):
    rng = np.random.default_rng(n)
    for step in (1, 3):
        for x in (rng.integers(-128, 128, n * step), np.full(n * step, -128), np.full(n * step, 127)):
            bench.clear()
            call = bench.call("eng_sum_s8", bench.ram(x.astype(np.int8)), 0, n, step)
            got = int.from_bytes(bytes(bench.chip.register(at) for at in range(22, 26)), "little", signed=True)
            assert got == x[::step].sum()
            assert call.stack <= 2


def test_an_output_costs_what_is_claimed():
    """Of 14 x 14 x 8, 2 x 2: cycles an output."""
    for op, most in (("max_pool2d", 55), ("average_pool2d", 125)):
        (case,) = cases("", Chain((14, 14, 8)).pool(op, 2).graph(), plain)
        assert case.candidate.cycles / (7 * 7 * 8) < most
