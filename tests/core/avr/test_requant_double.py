"""The exact rule of convolutions in assembly against the core's: ties of both roundings, shifts, signs and clamps."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, word

from engine import kernels
from engine.program import Rescale

MULTS = (1 << 30, (1 << 31) - 1, 3 << 29, 0x5A5A5A5B, 0)
LIMITS = ((0, -128, 127), (-128, -128, 127), (127, -128, 127), (5, -3, 70), (-100, -100, -20))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/requant_double_s24.S"]))


def sums_of(rng, mult, right):
    """Sums of any size, and those around where codes change."""
    scale = 2.0 ** (31 + right) / max(mult, 1)
    steps = (np.concatenate([np.arange(-4, 4), [-129, -128, 127, 255, 256, -256]]) + 0.5) * scale
    near = np.round(steps[np.abs(steps) < (1 << 23) - 4]).astype(np.int64)
    sums = [near + n for n in range(-2, 3)]
    ends = [-(1 << 23), (1 << 23) - 1, 0, -1, 1, 2, -2, 3, -3]
    return np.concatenate([*sums, ends, rng.integers(-(1 << 23), 1 << 23, 12) >> rng.integers(0, 23, 12)])


def expected(sums, mult, right, limits):
    zero, lo, hi = limits
    return np.clip(kernels.rescale_double(sums.astype(np.int32), Rescale(mult, 0, right)).astype(int) + zero, lo, hi)


def packed(sums):
    return b"".join(int(n & 0xFFFFFF).to_bytes(3, "little") for n in sums)


def record(mult, right):
    return int(mult).to_bytes(4, "little") + bytes([0, right])


@pytest.mark.parametrize("right", range(32))
def test_a_channel(bench, right):
    rng = np.random.default_rng(right)
    for mult, limits in zip(MULTS, LIMITS, strict=True):
        bench.clear()
        sums = sums_of(rng, mult, right)
        about = bench.flash(word(3) + bytes(n & 0xFF for n in limits))
        y = bench.ram(3 * len(sums))
        places = about, bench.flash(record(mult, right)), bench.ram(packed(sums)), y, len(sums)
        call = bench.call("eng_requant_double_channel_s24_s8", *places)
        got = np.frombuffer(bench.read(y, 3 * len(sums)), np.int8)
        assert got[::3].tolist() == expected(sums, mult, right, limits).tolist(), f"{mult} {limits}"
        assert set(got[1::3].view(np.uint8)) == {0xA5}
        assert call.stack <= 19


@pytest.mark.parametrize("copies", [1, 2, 5])
@pytest.mark.parametrize("step", [0, 1])
def test_records_and_copies(bench, step, copies):
    rng = np.random.default_rng(copies)
    for limits in LIMITS:
        bench.clear()
        records = [(int(rng.choice(MULTS)), int(rng.integers(0, 32))) for _ in range(9 if step else 1)] * (1 if step else 9)
        sums = np.stack([sums_of(rng, *each)[-copies:] for each in records])  # [count, copies]
        places = bench.flash(b"".join(record(*each) for each in records[: 9 if step else 1]))
        about = bench.flash(word(places) + word(9) + bytes([copies, step]) + bytes(n & 0xFF for n in limits))
        y = bench.ram(9 * copies)
        call = bench.call("eng_requant_double_s24_s8", about, bench.ram(packed(sums.ravel())), y)
        want = np.stack([expected(row, *each, limits) for row, each in zip(sums, records, strict=True)], axis=1)
        assert np.frombuffer(bench.read(y, 9 * copies), np.int8).reshape(copies, 9).tolist() == want.tolist()
        assert call.stack <= 26
