"""Encoders and their proofs: bounds are reached and never passed, and encoded layers give the plain layers' codes."""

import numpy as np
import pytest

from engine import kernels, kernels_encoded
from engine.errors import QuantError
from engine.program import DenseParams, OutputS8, Rescale
from enginekit.encode import Rounding, dense_rows, group_lengths, row_headers, same_steps, short_steps, wide_step, wide_steps
from enginekit.encode.groups import HIGHEST, LOWEST, product_range
from enginekit.encode.steps import exact_codes, thresholds


def random_weights(rng, out, size, spread=25):
    return np.clip(np.rint(rng.normal(0, spread, (out, size))), -128, 127).astype(np.int8)


@pytest.mark.parametrize("x_range", [(-128, 127), (0, 127), (-128, -128), (-5, 90)])
def test_groups_fit_and_cannot_be_longer(x_range):
    w = random_weights(np.random.default_rng(1), 5, 400)
    lengths = group_lengths(w, x_range, depth=255)
    assert sum(lengths) == 400
    low, high = product_range(w, x_range)
    at = 0
    for length in lengths:
        assert high[:, at : at + length].sum(1).max() <= HIGHEST
        assert low[:, at : at + length].sum(1).min() >= LOWEST
        more = slice(at, at + length + 1)
        if at + length < 400 and length < 255:
            assert high[:, more].sum(1).max() > HIGHEST or low[:, more].sum(1).min() < LOWEST
        at += length


def test_adversary_reaches_the_end_of_a_16_bit_accumulator():
    # 255 * 127 + 127 = 32512: the most that a group may add. One more would wrap if 255 are left from the group before.
    w = np.array([[127, 127, 1, 1]], np.int8)
    assert group_lengths(w, (0, 127)) == [4]
    assert group_lengths(np.array([[127, 127, 2, 1]], np.int8), (0, 127)) == [3, 1]
    assert group_lengths(np.array([[-128, -128, 1]], np.int8), (0, 127)) == [3]
    assert group_lengths(np.array([[127, 127, 2]], np.int8), (-128, 0)) == [3]
    assert group_lengths(np.array([[127, 127, 3]], np.int8), (-128, 0)) == [2, 1]


def test_headers_name_the_groups():
    assert row_headers([12, 3, 1], 4) == bytes([1, 1 + 9 * 17, 1 + 11 * 17, 0])
    assert row_headers([7, 1], 8) == bytes([1, 1 + 6 * 33, 0])
    assert (kernels_encoded.DEPTH, kernels_encoded.DEPTH8) == (12, 7)


def test_range_of_inputs_is_checked():
    with pytest.raises(QuantError, match=r"inputs in \(0, 300\): expected a range within \[-128, 127\]"):
        group_lengths(np.ones((1, 1), np.int8), (0, 300))
    with pytest.raises(QuantError, match="blocks of 9 rows"):
        dense_rows(np.ones((1, 1), np.int8), np.zeros(1, np.int32), 9)


def test_sums_beyond_24_bits_are_refused():
    w = np.full((1, 600), 127, np.int8)
    with pytest.raises(QuantError, match="can reach 9753600; 24-bit sums must stay below 8388608"):
        dense_rows(w, np.zeros(1, np.int32), 1)
    assert dense_rows(w, np.zeros(1, np.int32), 1, x_range=(-100, 100)).runs_start is None


def test_skipping_is_offered_only_where_it_is_proven():
    w = random_weights(np.random.default_rng(0), 4, 60)
    bias = np.zeros(4, np.int32)
    assert dense_rows(w, bias, 4, x_range=(-128, 127), zero_x=-128).runs_start is not None
    assert dense_rows(w, bias, 4, x_range=(-128, 127), zero_x=-127).runs_start is None
    assert dense_rows(w, bias + (1 << 22), 4, x_range=(-128, 127), zero_x=-128).runs_start is not None


def exact_everywhere(rescale, rounding, y, span, shift):
    """Whether a found step equals the exact rule around every threshold and at random sums."""
    step = wide_step(rescale, rounding, y, span, shift=shift)
    if step is None:
        return False
    _, first = thresholds(rescale, rounding, y, span)
    rng = np.random.default_rng(0)
    sums = np.concatenate([first - 1, first, rng.integers(span[0], span[1] + 1, 2000), span]).clip(*span).astype(np.int32)
    got = kernels_encoded.requant_s24_s8(np.array([step] * len(sums), np.uint32), sums, shift=shift, lo=y.lo, hi=y.hi)
    want = exact_codes(sums, rescale, rounding, y.zero).clip(y.lo, y.hi)
    bad = np.flatnonzero(got != want)
    assert bad.size == 0, f"{rescale} {rounding}: sum {sums[bad[0]]} gives {got[bad[0]]}, want {want[bad[0]]}"
    return True


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("bits", [9, 17, 20, 22])
@pytest.mark.parametrize("relu", [False, True])
def test_short_multipliers_are_exact_wherever_one_is_found(rounding, bits, relu):
    rng = np.random.default_rng(bits)
    found = 0
    for _ in range(25):
        rescale = Rescale(int(rng.integers(1 << 30, 1 << 31)), 0, int(rng.integers(max(bits - 13, 0), bits - 6)))
        zero = int(rng.integers(-128, 127))
        y = OutputS8(zero, zero if relu else -128, 127)
        span = (-int(rng.integers(1, 1 << bits)), int(rng.integers(1, 1 << bits)))
        found += any(exact_everywhere(rescale, rounding, y, span, shift) for shift in (32, 40))
    if rounding is Rounding.SINGLE or relu:
        assert found >= 22


def short_codes(found, n, sums, y):
    """Codes of sums of one output, ``int64[count]``."""
    over = np.ascontiguousarray((sums - found.start[n])[:, None], np.int32)
    parts = np.array_split(over, 1 + len(over) // 60000)
    limits = {"lo": y.lo, "hi": y.hi, "doublings": found.doublings}
    repeated = [np.repeat(found.steps[n : n + 1], len(part), axis=0) for part in parts]
    pairs = zip(repeated, parts, strict=True)
    return np.concatenate([kernels_encoded.requant_short_s24_s8(*pair, **limits)[0] for pair in pairs]).astype(np.int64)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("right", [(9, 11), (7, 9), (5, 7), (2, 4)])
@pytest.mark.parametrize("relu", [False, True])
def test_multipliers_of_24_bits_are_exact_for_every_sum(rounding, right, relu):
    rng = np.random.default_rng(right[0])
    found = 0
    for _ in range(8):
        rescale = tuple(Rescale(int(m), 0, int(rng.integers(*right))) for m in rng.integers(1 << 30, 1 << 31, 3))
        zero = int(rng.integers(-128, 127))
        y = OutputS8(zero, zero if relu else -128, int(rng.integers(zero + 1, 128)))
        reach = 300 << right[0]
        spans = [(-int(rng.integers(1, reach)), int(rng.integers(1, reach))) for _ in rescale]
        spans[2] = (-reach, -reach // 2) if relu else spans[2]
        steps = short_steps(rescale, rounding, y, spans)
        found += steps is not None
        for n, span in enumerate(spans if steps is not None else []):
            sums = np.arange(span[0], span[1] + 1)
            want = exact_codes(sums, rescale[n], rounding, zero).clip(y.lo, y.hi)
            got = short_codes(steps, n, sums, y)
            bad = np.flatnonzero(got != want)
            assert bad.size == 0, f"{rescale[n]} {y}: sum {sums[bad[0]]} gives {got[bad[0]]}, want {want[bad[0]]}"
            assert ((got > y.lo) == (sums >= steps.start[n])).all()
    # Double rounding bends at a sum of 0: ties go away from it.
    assert found >= 6 or (rounding is Rounding.DOUBLE and not relu)


def test_multipliers_of_24_bits_have_their_limits():
    y, spans = OutputS8(0, -128, 127), [(-300, 300)]
    assert short_steps((Rescale((1 << 31) - 5000, 0, 0),), Rounding.SINGLE, y, spans) is not None
    assert short_steps((Rescale((1 << 31) - 5000, 0, 0),), Rounding.SINGLE, y, [(-300, 70000)]) is None
    assert short_steps((Rescale(1 << 30, 1, 0),), Rounding.SINGLE, y, spans) is None
    assert short_steps((Rescale(1 << 30, 0, 0),), Rounding.SINGLE, OutputS8(0, 5, 5), spans) is None
    assert short_steps((Rescale(1 << 30, 0, 12),), Rounding.SINGLE, y, [(-(1 << 23) + 1, (1 << 23) - 1)]) is None


@pytest.mark.parametrize(
    "rescale", [Rescale(0, 0, 0), Rescale((1 << 31) - 1, 0, 31), Rescale(1 << 30, 3, 0), Rescale(1 << 30, 0, 0)]
)
def test_ends_of_the_multipliers(rescale):
    for rounding in Rounding:
        for shift in (32, 40):
            exact_everywhere(rescale, rounding, OutputS8(-128, -128, 127), (-5000, 5000), shift)


@pytest.mark.parametrize("out", [1, 5, 12])
@pytest.mark.parametrize("relu", [False, True])
def test_encoded_layer_gives_the_plain_layers_codes(out, relu):
    rng = np.random.default_rng(out)
    size = 130
    w, bias = random_weights(rng, out, size), rng.integers(-20000, 20000, out).astype(np.int32)
    rescale = tuple(Rescale(int(m), 0, 9) for m in rng.integers(1 << 30, 1 << 31, out))
    y = OutputS8(-10, -10 if relu else -128, 127)
    params = DenseParams(size, out, int(out > 1), y, rescale)
    low, high = product_range(w, (-128, 127))
    spans = [(int(b + a), int(b + c)) for a, b, c in zip(low.sum(1), bias, high.sum(1), strict=True)]
    steps = wide_steps(rescale, Rounding.SINGLE, y, spans)
    assert steps is not None
    assert steps.negative_is_lo == relu
    encoded = dense_rows(w, bias, 4)
    for _ in range(20):
        x = rng.integers(-128, 128, size).astype(np.int8)
        sums = kernels_encoded.dense_rows_s24(encoded.w, encoded.groups, encoded.start, x)[:out]
        got = kernels_encoded.requant_s24_s8(
            steps.steps, sums, shift=steps.shift, lo=y.lo, hi=y.hi, negative_is_lo=steps.negative_is_lo
        )
        assert got.tolist() == kernels.dense_s8(params, x, w, bias).tolist()


@pytest.mark.parametrize("right", [11, 8, 3])
@pytest.mark.parametrize("relu", [False, True])
def test_one_multiplier_for_all_sums_is_exact_for_every_sum(right, relu):
    rng = np.random.default_rng(right)
    found = 0
    for _ in range(8):
        rescale = Rescale(int(rng.integers(1 << 30, 1 << 31)), 0, right)
        zero = int(rng.integers(-128, 120))
        y = OutputS8(zero, zero if relu else -128, 127)
        spans = [(-int(rng.integers(1, 300 << right)), int(rng.integers(1, 300 << right))) for _ in range(3)]
        steps = same_steps(rescale, Rounding.SINGLE, y, spans)
        found += steps is not None
        if steps is None:
            continue
        assert steps.is_one
        limits = {"lo": y.lo, "hi": y.hi, "doublings": steps.doublings, "halvings": steps.halvings}
        low, high = min(a for a, _ in spans), max(b for _, b in spans)
        for at in range(low, high + 1, max((high - low) // 400, 255)):
            sums = np.arange(at, min(at + 255, high + 1))
            got = kernels_encoded.requant_same_s24_s8(steps.steps[0], (sums - steps.start[0]).astype(np.int32), **limits)
            want = exact_codes(sums, rescale, Rounding.SINGLE, zero).clip(y.lo, y.hi)
            assert (got == want).all(), f"{rescale} {y}: sums from {at}"
        _, first = thresholds(rescale, Rounding.SINGLE, y, (low, high))
        sums = np.concatenate([first - 1, first]).clip(low, high)
        for part in np.array_split(sums, 4):
            got = kernels_encoded.requant_same_s24_s8(steps.steps[0], (part - steps.start[0]).astype(np.int32), **limits)
            assert (got == exact_codes(part, rescale, Rounding.SINGLE, zero).clip(y.lo, y.hi)).all()
    assert found >= 6


def test_one_multiplier_has_its_limits():
    y = OutputS8(0, -128, 127)
    assert same_steps(Rescale(1 << 30, 1, 0), Rounding.SINGLE, y, [(-300, 300)]) is None
    assert same_steps(Rescale(1 << 30, 0, 9), Rounding.SINGLE, y, [(-300, 300)] * 256) is None
    assert same_steps(Rescale(1 << 30, 0, 9), Rounding.SINGLE, OutputS8(0, 5, 5), [(-300, 300)]) is None
