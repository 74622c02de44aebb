"""The assembly twins of requantization on the simulated chip, against the portable ones and the oracle's formulas."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build

from engine import kernels
from engine.program import Rescale

EDGES = [0, 1, -1, 2, -2, 127, -128, 255, 256, 65535, 65536, -65536, (1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 - (1 << 31)]
MULTS = [0, 1 << 30, (1 << 30) + 1, (1 << 31) - 1, 1518500250, 1234567891]
SHIFTS = [(0, 0), (0, 1), (0, 2), (0, 3), (0, 8), (0, 9), (0, 10), (0, 16), (0, 17), (0, 24), (0, 30), (0, 31)]
SHIFTS += [(1, 0), (2, 0), (7, 0), (8, 0), (15, 0), (29, 0), (30, 0)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/rescale.S"]))


def record(rescale):
    return int(rescale.mult).to_bytes(4, "little") + bytes([rescale.left, rescale.right])


def call32(bench, function, value, *more):
    call = bench.call(function, (value >> 16) & 0xFFFF, value & 0xFFFF, *more)
    raw = bytes(bench.chip.register(n) for n in range(22, 26))
    return int.from_bytes(raw, "little", signed=True), call


def sums(rng, rescale):
    """Edges, random ones of every size, and ties where the multiplier makes them."""
    ties = [(k << rescale.right) + (1 << rescale.right >> 1) for k in (-3, -1, 0, 2)] if rescale.right < 28 else []
    random = [int(rng.integers(-(1 << bits), 1 << bits)) for bits in (4, 10, 17, 22, 30, 31)]
    return [value for value in [*EDGES, *ties, *(2 * tie for tie in ties), *random] if abs(value) < 1 << 31]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("rule", ["single", "double"])
def test_rescale(bench, rule, shift):
    rng = np.random.default_rng(sum(shift))
    plain = kernels.rescale_single if rule == "single" else kernels.rescale_double
    for mult in MULTS:
        rescale = Rescale(mult, *shift)
        bench.clear()
        at, y = bench.flash(record(rescale)), bench.flash(bytes([0xF6, 0x88, 0x63]))
        values = sums(rng, rescale)
        want = plain(np.array(values, np.int64).astype(np.int32), rescale)
        for value, expected in zip(values, want.tolist(), strict=True):
            got, call = call32(bench, f"eng_rescale_{rule}", value, at)
            assert got == expected, f"{rule} {rescale} of {value}: got {got}, want {expected}"
            assert call.stack <= 16
            _, call = call32(bench, f"eng_requant_{rule}_s8", value, at, y)
            wrapped = (expected - 10 + (1 << 31)) % (1 << 32) - (1 << 31)
            assert (call.result & 0xFF) == min(max(wrapped, -120), 99) & 0xFF, f"{rule} {rescale} of {value}: code"
            assert call.stack <= 20


def test_high_and_divide(bench):
    rng = np.random.default_rng(0)
    for a, b in zip(
        rng.integers(1 - (1 << 31), 1 << 31, 60).tolist(), rng.integers(1 - (1 << 31), 1 << 31, 60).tolist(), strict=True
    ):
        got, _ = call32(bench, "eng_high_s32", a, b >> 16, b & 0xFFFF)
        assert got == (a * b + (1 << 30)) >> 31, f"high of {a}, {b}"
        for n in (0, 1, 2, 7, 8, 9, 15, 24, 30, 31, 32, 200):
            got, _ = call32(bench, "eng_divide_s32", a, n)
            want = 0 if n > 31 else (abs(a) + (1 << n >> 1) >> n) * (1 if a > 0 else -1)
            assert got == want, f"{a} / 2**{n}"
