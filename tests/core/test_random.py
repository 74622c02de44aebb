"""The generator, its shuffles and the initializations: exact values for seeds, and statistics."""

import numpy as np
import pytest

from engine import kernels_f32 as kernels

UNIFORM_42 = ["-0x1.9f8b840000000p-2", "0x1.fe0ff40000000p-2", "-0x1.2942300000000p-3", "0x1.079ae80000000p-2"]
NORMAL_42 = ["-0x1.6cb3dc0000000p-2", "0x1.1398fa0000000p-2", "-0x1.b2cfe20000000p-2", "-0x1.0baacc0000000p-3"]


def finalize(z):
    z = ((z ^ z >> 16) * 0x85EBCA6B) % 2**32
    z = ((z ^ z >> 13) * 0xC2B2AE35) % 2**32
    return z ^ z >> 16


def xoshiro(state):
    """xoshiro128++ 1.0, from its published definition."""

    def rotate(v, k):
        return (v << k | v >> (32 - k)) % 2**32

    result = (rotate((state[0] + state[3]) % 2**32, 7) + state[0]) % 2**32
    t = state[1] << 9 & 0xFFFFFFFF
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= t
    state[3] = rotate(state[3], 11)
    return result


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
def test_generator_is_its_definition(seed):
    rng = kernels.rng_seed(seed)
    state = [finalize((seed + (i + 1) * 0x9E3779B9) % 2**32) for i in range(4)]
    assert rng.tolist() == state
    assert [kernels.rng_next(rng) for _ in range(1000)] == [xoshiro(state) for _ in range(1000)]


def test_published_first_output():
    # The reference implementation from state 1, 2, 3, 4.
    rng = np.uint32([1, 2, 3, 4])
    assert [kernels.rng_next(rng) for _ in range(3)] == [641, 1573767, 3222811527]


def test_shuffle_is_a_permutation_and_repeats():
    index = np.arange(1000, dtype=np.uint32)
    kernels.shuffle_u32(kernels.rng_seed(3), index)
    assert sorted(index.tolist()) == list(range(1000))
    again = np.arange(1000, dtype=np.uint32)
    kernels.shuffle_u32(kernels.rng_seed(3), again)
    np.testing.assert_array_equal(index, again)
    assert (index == np.arange(1000)).sum() < 10


def test_shuffle_is_uniform():
    rng = kernels.rng_seed(5)
    counts = np.zeros((5, 5))
    for _ in range(10_000):
        index = np.arange(5, dtype=np.uint32)
        kernels.shuffle_u32(rng, index)
        counts[np.arange(5), index] += 1
    # 2,000 expected in each cell, deviation 40.
    assert np.abs(counts - 2000).max() < 200


def test_seeded_values_are_the_same_everywhere():
    w = np.empty(4, np.float32)
    kernels.init_uniform_f32(kernels.rng_seed(42), 0.5, w)
    assert [float(value).hex() for value in w] == UNIFORM_42
    kernels.init_normal_f32(kernels.rng_seed(42), 0.5, w)
    assert [float(value).hex() for value in w] == NORMAL_42


def test_uniform_statistics():
    w = np.empty(200_000, np.float32)
    kernels.init_uniform_f32(kernels.rng_seed(1), 0.25, w)
    assert w.min() >= -0.25
    assert w.max() < 0.25
    assert abs(w.mean(dtype=float)) < 0.002
    assert w.std(dtype=float) == pytest.approx(0.25 / np.sqrt(3), rel=0.01)


def test_normal_statistics():
    w = np.empty(200_000, np.float32)
    kernels.init_normal_f32(kernels.rng_seed(1), 1.0, w)
    assert np.abs(w).max() <= 2
    assert abs(w.mean(dtype=float)) < 0.01
    assert w.std(dtype=float) == pytest.approx(0.87962566, rel=0.01)
    # A truncated normal has 71.5 % within one deviation.
    assert (np.abs(w) < 1).mean() == pytest.approx(0.71524, abs=0.01)


@pytest.mark.parametrize("fans", [(1, 1), (9, 108), (784, 32), (2028, 10)])
def test_variances(fans):
    fan_in, fan_out = fans
    assert kernels.he_limit_f32(fan_in) ** 2 / 3 == pytest.approx(2 / fan_in, rel=1e-6)
    assert kernels.glorot_limit_f32(fan_in, fan_out) ** 2 / 3 == pytest.approx(2 / (fan_in + fan_out), rel=1e-6)
    assert (kernels.he_deviation_f32(fan_in) * 0.87962566) ** 2 == pytest.approx(2 / fan_in, rel=1e-6)
    assert (kernels.glorot_deviation_f32(*fans) * 0.87962566) ** 2 == pytest.approx(2 / (fan_in + fan_out), rel=1e-6)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"rng_seed: seed is -1; expected 0 \.\.\. 4294967295"):
        kernels.rng_seed(-1)
    with pytest.raises(ValueError, match=r"init_uniform_f32: rng has shape \(3,\); expected \(4,\)"):
        kernels.init_uniform_f32(np.zeros(3, np.uint32), 1.0, np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="shuffle_u32: index is an array of int64; expected uint32"):
        kernels.shuffle_u32(kernels.rng_seed(0), np.arange(3))
