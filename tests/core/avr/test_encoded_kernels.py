"""Every assembly twin of the encoded kernels on the simulated chip, against its portable twin and the plain sum."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word

from engine import kernels_encoded
from enginekit.encode import dense_rows
from enginekit.encode.steps import ShortSteps

ROWS = (1, 2, 3, 4, 5, 8)
TWINS = ("dense_rows", "dense_rows8", "dense_runs", "runs_s8", "requant_s24", "requant_short_s24")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / f"csrc/avr/{name}.S" for name in TWINS]))


def weights(rng, out, size, kind):
    if kind == "random":
        return np.clip(np.rint(rng.normal(0, 25, (out, size))), -127, 127).astype(np.int8)
    return np.full((out, size), {"lowest": -128, "highest": 127}[kind], np.int8)


def inputs(rng, w, x_range):
    """Random inputs, ends of the range, and the ones that drive the first row's sum to its bounds."""
    low, high = x_range
    yield rng.integers(low, high + 1, w.shape[1]).astype(np.int8)
    yield np.full(w.shape[1], low, np.int8)
    yield np.full(w.shape[1], high, np.int8)
    yield np.where(w[0] > 0, high, low).astype(np.int8)
    yield np.where(w[0] > 0, low, high).astype(np.int8)


def place(bench, encoded, start):
    """Write an eng_dense_rows and what it points to; returns its address."""
    w, groups = bench.flash(encoded.w), bench.flash(encoded.groups)
    starts = bench.flash(start)
    return bench.flash(word(w) + word(groups) + word(starts) + bytes([encoded.blocks]) + word(encoded.w.shape[1]))


def check(what, got, want):
    bad = np.flatnonzero(got != want)
    assert bad.size == 0, f"{what}: first difference at {bad[0]}: got {got[bad[0]]}, want {want[bad[0]]}"


def plain(w, bias, x, zero=0):
    return bias + w.astype(np.int64) @ (x.astype(np.int64) - zero)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(
    "shape", [(1, 1, "random"), (7, 13, "random"), (5, 12, "lowest"), (11, 97, "highest"), (6, 301, "random")]
)
@pytest.mark.parametrize("x_range", [(-128, 127), (0, 127), (-3, 5)])
def test_dense_rows(bench, rows, shape, x_range):
    out, size, kind = shape
    rng = np.random.default_rng(rows * 1000 + size)
    w, bias = weights(rng, out, size, kind), rng.integers(-30000, 30000, out).astype(np.int32)
    encoded = dense_rows(w, bias, rows, x_range=x_range)
    for number, x in enumerate(inputs(rng, w, x_range)):
        what = f"dense_rows{rows} {kind} {out}x{size} x in {x_range} input {number}"
        host = kernels_encoded.dense_rows_s24(encoded.w, encoded.groups, encoded.start, x)
        check(f"{what}, host", host[:out], plain(w, bias, x))
        bench.clear()
        at, sums = bench.ram(x), bench.ram(3 * encoded.blocks * rows)
        call = bench.call(f"eng_dense_rows{rows}_s24", place(bench, encoded, encoded.start), at, sums)
        check(f"{what}, chip", s24(bench.read(sums, 3 * encoded.blocks * rows)), host)
        assert call.stack <= (39 if rows == 8 else 29)
        assert call.cycles == encoded.cycles_for(x[None])[0], what
        assert rows == 8 or call.cycles == encoded.cycles


def sparse(rng, size, share, zero):
    x = rng.integers(zero, 128, size).astype(np.int8)
    runs = np.repeat(rng.random(size // 5 + 1) < share, 5)[:size]
    return np.where(runs, x, zero).astype(np.int8)


def find_runs(bench, x, zero, limits):
    slack, gain, capacity = limits
    params = bench.flash(word(len(x)) + word(slack) + bytes([capacity, gain, zero & 0xFF]))
    at, table = bench.ram(x), bench.ram(1 + 2 * capacity)
    call = bench.call("eng_runs_s8", params, at, table)
    assert call.stack <= 13
    raw = bench.read(table, 1 + 2 * capacity)
    return (raw[: 1 + 2 * raw[0]] if call.result & 0xFF else None), at, table


@pytest.mark.parametrize("zero", [-128, -5, 0, 127])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 31, 784])
def test_runs(bench, size, zero):
    rng = np.random.default_rng(size)
    for share in (0.0, 0.1, 0.5, 1.0):
        x = sparse(rng, size, share, zero)
        for slack, gain, capacity in ((size, 0, 200), (size // 2, 0, 200), (size, 0, 3), (5, 1, 200), (0, 41, 200), (8, 3, 60)):
            bench.clear()
            got, _, _ = find_runs(bench, x, zero, (slack, gain, capacity))
            want = kernels_encoded.runs_s8(x, zero_x=zero, slack=slack, gain=gain, capacity=capacity)
            assert got == want, f"runs of {size} inputs, share {share}, limits {slack, gain, capacity}"


@pytest.mark.parametrize(
    ("start", "stop", "size"),
    [(0, 0, 300), (255, 256, 600), (256, 300, 600), (512, 513, 1025), (0, 255, 256), (0, 600, 600), (3, 514, 515)],
)
def test_long_runs_and_gaps(bench, start, stop, size):
    x = np.full(size, -7, np.int8)
    x[start:stop] = 9
    x[size - 1] = 1
    bench.clear()
    got, _, _ = find_runs(bench, x, -7, (size + 99, 0, 20))
    table = kernels_encoded.runs_s8(x, zero_x=-7, slack=size + 99, gain=0, capacity=20)
    assert got == table
    covered, at = np.zeros(size, bool), 0
    for gap, length in zip(table[1::2], table[2::2], strict=True):
        covered[at + gap : at + gap + length] = True
        at += gap + length
    assert covered[x != -7].all()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("zero", [-128, -9, 0])
@pytest.mark.parametrize("shape", [(1, 3, "random"), (11, 97, "highest"), (6, 64, "lowest"), (6, 784, "random")])
def test_dense_runs(bench, rows, shape, zero):
    out, size, kind = shape
    rng = np.random.default_rng(rows * 1000 + size)
    w = weights(rng, out, size, kind)
    bias = rng.integers(-30000, 30000, out)
    folded = (bias - zero * w.astype(np.int64).sum(1)).astype(np.int32)
    encoded = dense_rows(w, folded, rows, x_range=(zero, 127), zero_x=zero)
    assert encoded.runs_start is not None
    adversary = np.where(w[0] > 0, 127, zero).astype(np.int8)
    bounce = np.where(np.arange(size) % 2, np.where(w[0] > 0, 127, zero), np.where(w[0] > 0, zero, 127)).astype(np.int8)
    for number, x in enumerate(
        (
            sparse(rng, size, 0.3, zero),
            sparse(rng, size, 1.0, zero),
            np.full(size, zero, np.int8),
            np.full(size, 127, np.int8),
            adversary,
            bounce,
        )
    ):
        bench.clear()
        table, at, runs = find_runs(bench, x, zero, (9 * size, 0, 255))
        if table is None:
            continue
        what = f"dense_runs{rows} {kind} {out}x{size} zero {zero} input {number}"
        host = kernels_encoded.dense_runs_s24(encoded.w, encoded.runs_start, x, table, zero_x=zero)
        check(f"{what}, host", host[:out], plain(w, bias, x, zero))
        sums = bench.ram(3 * encoded.blocks * rows)
        call = bench.call(f"eng_dense_runs{rows}_s24", place(bench, encoded, encoded.runs_start), at, zero, runs, sums)
        check(f"{what}, chip", s24(bench.read(sums, 3 * encoded.blocks * rows)), host)
        assert call.stack <= 41
        if max(table[1:], default=0) < 255:
            assert call.cycles == encoded.runs_cycles_for(x[None], zero)[0], what


@pytest.mark.parametrize("shift", [32, 40])
@pytest.mark.parametrize("negative_is_lo", [False, True])
def test_requant(bench, shift, negative_is_lo):
    rng = np.random.default_rng(shift)
    sums = np.concatenate([rng.integers(-(1 << bits), 1 << bits, 40) for bits in (3, 9, 15, 20, 23)]).astype(np.int32)
    sums = np.concatenate([sums, np.array([0, 1, -1, (1 << 23) - 1, -(1 << 23)], np.int32)])
    # |sum| * mult below 2^(shift + 14)
    mult = np.minimum(rng.integers(0, 1 << 32, len(sums)), ((1 << (shift + 14)) // (np.abs(sums.astype(np.int64)) + 1)))
    steps = np.stack([mult, rng.integers(0, 1 << 32, len(sums))], axis=1).astype(np.uint32)
    for lo, hi in ((-128, 127), (-20, 3), (5, 5)):
        want = kernels_encoded.requant_s24_s8(steps, sums, shift=shift, lo=lo, hi=hi, negative_is_lo=negative_is_lo)
        bench.clear()
        raw = np.stack([(sums >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8)
        at, y = bench.ram(raw), bench.ram(len(sums))
        params = bench.flash(word(bench.flash(steps)) + word(len(sums)) + bytes([lo & 0xFF, hi & 0xFF, negative_is_lo]))
        call = bench.call(f"eng_requant{shift}_s24_s8", params, at, y)
        check(f"requant{shift} to {lo, hi}", np.frombuffer(bench.read(y, len(sums)), np.int8), want)
        in_place = bench.call(f"eng_requant{shift}_s24_s8", params, at, at)
        assert bench.chip.read(at, len(sums)) == want.tobytes()
        assert call.stack <= 15
        assert in_place.cycles == call.cycles


@pytest.mark.parametrize("copies", [1, 2, 5])
@pytest.mark.parametrize("doublings", [0, 1, 8])
def test_short_requant(bench, copies, doublings):
    rng = np.random.default_rng(copies)
    top = min(23, 24 - doublings)
    for count in (1, 2, 33):
        sums = rng.integers(-(1 << 23), 1 << 23, (count, copies)) >> rng.integers(0, 23, (count, copies))
        sums = np.minimum(sums, (1 << top) - 1).astype(np.int32)
        sums[0], sums[-1, -1] = (1 << top) - 1, -(1 << 23)
        steps = rng.integers(0, 256, (count, 6)).astype(np.uint8)
        steps[count // 2] = (0, 0, 1, 255, 255, 255)
        for lo, hi in ((-128, 127), (-20, 3), (5, 6)):
            want = kernels_encoded.requant_short_s24_s8(steps, sums, lo=lo, hi=hi, doublings=doublings)
            bench.clear()
            raw = np.stack([(sums >> s) & 0xFF for s in (0, 8, 16)], axis=2).astype(np.uint8)
            at, y = bench.ram(raw), bench.ram(sums.size)
            shape = word(count) + bytes([copies, doublings, lo & 0xFF, hi & 0xFF])
            params = bench.flash(word(bench.flash(steps)) + shape)
            call = bench.call("eng_requant_short_s24_s8", params, at, y)
            got = np.frombuffer(bench.read(y, sums.size), np.int8).reshape(copies, count)
            check(f"{count} short steps to {lo, hi}", got.ravel(), want.ravel())
            assert call.stack <= 19
            predicted = ShortSteps(np.zeros(count, np.int64), steps, doublings).cycles_for(sums.T[None].astype(np.int64))[0]
            assert predicted - sums.size <= call.cycles <= predicted
            if copies == 1:
                bench.call("eng_requant_short_s24_s8", params, at, at)
                assert bench.chip.read(at, count) == want.tobytes()


@pytest.mark.parametrize("doublings", [0, 1, 8])
def test_each_requant(bench, doublings):
    rng = np.random.default_rng(doublings)
    top = min(23, 24 - doublings)
    for count in (1, 2, 33, 255):
        sums = np.minimum(rng.integers(-(1 << 23), 1 << 23, count) >> rng.integers(0, 23, count), (1 << top) - 1)
        sums[0], sums[-1] = (1 << top) - 1, -(1 << 23) if count > 1 else 5
        records = rng.integers(0, 256, (count, 6)).astype(np.uint8)
        records[count // 2] = (0, 0, 1, 255, 255, 255)
        for lo, hi in ((-128, 127), (-20, 3), (5, 6)):
            mult, offset = (part.astype(np.int64) @ [1, 1 << 8, 1 << 16] for part in (records[:, :3], records[:, 3:]))
            steps = (sums << doublings) * mult + 256 * offset >> 32
            want = np.where(sums < 0, lo, np.minimum(lo + 1 + steps, hi)).astype(np.int8)
            bench.clear()
            raw = np.stack([(sums >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8)
            at, y = bench.ram(raw), bench.ram(count)
            params = bench.flash(word(bench.flash(records)) + bytes([count, doublings, lo & 0xFF, hi & 0xFF]))
            call = bench.call("eng_requant_each_s24_s8", params, at, y)
            check(f"{count} sums to {lo, hi}", np.frombuffer(bench.read(y, count), np.int8), want)
            assert call.stack <= 12
            predicted = ShortSteps(np.zeros(count, np.int64), records, doublings).each_cycles_for(sums[None])[0]
            assert predicted - count <= call.cycles <= predicted
            bench.call("eng_requant_each_s24_s8", params, at, at)
            assert bench.chip.read(at, count) == want.tobytes()


@pytest.mark.parametrize(("doublings", "halvings"), [(0, 0), (1, 0), (8, 0), (0, 1), (0, 7)])
def test_same_requant(bench, doublings, halvings):
    rng = np.random.default_rng(doublings + halvings)
    top = min(23, 24 - doublings)
    for count in (1, 2, 33, 255):
        sums = np.minimum(rng.integers(-(1 << 23), 1 << 23, count) >> rng.integers(0, 23, count), (1 << top) - 1)
        sums[0], sums[-1] = (1 << top) - 1, -(1 << 23) if count > 1 else 5
        for lo, hi in ((-128, 127), (-20, 3), (5, 6)):
            record = rng.integers(0, 256, 6).astype(np.uint8)
            mult, offset = (int.from_bytes(part.tobytes(), "little") for part in (record[:3], record[3:]))
            steps = (sums << doublings) * mult + 256 * offset >> 32 + halvings
            want = np.where(sums < 0, lo, np.minimum(lo + 1 + steps, hi))
            host = kernels_encoded.requant_same_s24_s8(
                record, sums.astype(np.int32), lo=lo, hi=hi, doublings=doublings, halvings=halvings
            )
            check(f"{count} sums to {lo, hi}, host", host, want)
            bench.clear()
            raw = np.stack([(sums >> s) & 0xFF for s in (0, 8, 16)], axis=1).astype(np.uint8)
            at, y = bench.ram(raw), bench.ram(count)
            shape = bytes([count, doublings, halvings, lo & 0xFF, hi & 0xFF])
            params = bench.flash(word(bench.flash(record)) + shape)
            call = bench.call("eng_requant_same_s24_s8", params, at, y)
            check(f"{count} sums to {lo, hi}", np.frombuffer(bench.read(y, count), np.int8), want)
            assert call.stack <= 14
            found = ShortSteps(np.zeros(count, np.int64), np.tile(record, (count, 1)), doublings, halvings)
            predicted = found.same_cycles_for(sums[None])[0]
            assert predicted - count <= call.cycles <= predicted
            bench.call("eng_requant_same_s24_s8", params, at, at)
            assert bench.chip.read(at, count) == want.astype(np.int8).tobytes()
