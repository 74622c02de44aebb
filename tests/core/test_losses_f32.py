"""Activations and losses in float, and the exponential and logarithm under them."""

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32 as kernels

SIZES = [(1, 1), (1, 2), (3, 7), (8, 10), (5, 13)]


def uniform(shape, seed=0, scale=3.0):
    return np.random.default_rng(seed).uniform(-scale, scale, shape).astype(np.float32)


def test_exp_is_within_one_and_a_half_units_in_the_last_place():
    x = np.concatenate([np.linspace(-87.33, 88.72, 400_001), uniform(100_000, scale=1)]).astype(np.float32)
    want = np.exp(x.astype(float))
    oracle.assert_close(kernels.exp_f32(x), want, 1.2e-7 * want, "exp_f32")


def test_exp_at_the_ends():
    got = kernels.exp_f32(np.float32([0, -np.inf, -88, 89, np.inf, np.nan]))
    np.testing.assert_array_equal(got, np.float32([1, 0, 0, np.inf, np.inf, np.nan]))


def test_log_keeps_its_bound():
    x = np.concatenate([np.geomspace(1.2e-38, 3.4e38, 400_001), 1 + uniform(100_000, scale=0.5)]).astype(np.float32)
    want = np.log(x.astype(float))
    oracle.assert_close(kernels.log_f32(x), want, 1.2e-7 * np.maximum(np.abs(want), 1), "log_f32")
    assert kernels.log_f32(np.float32([1]))[0] == 0


@pytest.mark.parametrize("limit", [np.inf, 6.0, 0.5])
@pytest.mark.parametrize("size", [1, 3, 8, 17, 100])
def test_relu(limit, size):
    x, dy = uniform(size, scale=8), uniform(size, seed=1)
    y = kernels.relu_f32(x, limit=limit)
    np.testing.assert_array_equal(y, oracle.relu(x, limit))
    want = np.where((x > 0) & (x < limit), dy, 0)
    np.testing.assert_array_equal(kernels.relu_f32_backward(y, dy, limit=limit), want)


def test_relu_corners_and_nan():
    y = kernels.relu_f32(np.float32([0, -0.0, 6, np.nan, np.inf, -np.inf]), limit=6)
    np.testing.assert_array_equal(y, np.float32([0, 0, 6, np.nan, 6, 0]))
    np.testing.assert_array_equal(kernels.relu_f32_backward(y, np.ones_like(y), limit=6)[:3], 0)


def test_activations_work_in_place():
    x, dy = uniform((9, 11)), uniform((9, 11), seed=1)
    for forward, backward in (
        (kernels.relu_f32, kernels.relu_f32_backward),
        (kernels.softmax_f32, kernels.softmax_f32_backward),
    ):
        y, moved = forward(x), x.copy()
        forward(moved, out=moved)
        np.testing.assert_array_equal(moved, y)
        dx, moved = backward(y, dy), dy.copy()
        backward(y, moved, dx=moved)
        np.testing.assert_array_equal(moved, dx)


@pytest.mark.parametrize("size", SIZES)
def test_softmax(size):
    x, dy = uniform(size), uniform(size, seed=1)
    y = kernels.softmax_f32(x)
    # exp: 2 roundings of |x| <= 6, then its own error; n additions and a division.
    relative = (12 + 4 + size[1]) * 2 * oracle.EPS
    oracle.assert_close(y, oracle.softmax(x), relative * oracle.softmax(x), f"softmax_f32 {size}")
    want = oracle.central_difference(lambda v: (oracle.softmax(v) * dy).sum(), x.astype(float))
    oracle.assert_close(kernels.softmax_f32_backward(y, dy), want, 6 * relative + 1e-8, f"softmax_f32_backward {size}")


@pytest.mark.parametrize("size", SIZES)
def test_softmax_cross_entropy(size):
    x, label = uniform(size), np.random.default_rng(2).integers(0, size[1], size[0]).astype(np.uint16)
    dx = np.full_like(x, np.nan)
    loss = kernels.softmax_cross_entropy_f32(x, label, dx=dx)
    relative = (12 + 4 + size[1]) * 2 * oracle.EPS
    oracle.assert_close(loss, oracle.softmax_cross_entropy(x, label), 8 * relative, f"softmax_cross_entropy_f32 {size}")
    want = oracle.central_difference(lambda v: oracle.softmax_cross_entropy(v, label).mean(), x.astype(float))
    oracle.assert_close(dx, want, 2 * relative + 1e-8, f"softmax_cross_entropy_f32 gradient {size}")
    np.testing.assert_array_equal(kernels.softmax_cross_entropy_f32(x, label), loss)
    in_place = x.copy()
    np.testing.assert_array_equal(kernels.softmax_cross_entropy_f32(in_place, label, dx=in_place), loss)
    np.testing.assert_array_equal(in_place, dx)


def test_softmax_cross_entropy_is_stable():
    x = np.float32([[1e30, 0], [-1e30, 1e30], [500, 400]])
    loss = kernels.softmax_cross_entropy_f32(x, np.uint16([0, 1, 1]))
    np.testing.assert_array_equal(loss, np.float32([0, 0, 100]))
    assert np.isnan(kernels.softmax_cross_entropy_f32(np.float32([[np.nan, 1]]), np.uint16([1]))[0])


@pytest.mark.parametrize("size", SIZES)
def test_mse(size):
    x, target = uniform(size), uniform(size, seed=1)
    dx = np.full_like(x, np.nan)
    loss = kernels.mse_f32(x, target, dx=dx)
    oracle.assert_close(loss, oracle.mse(x, target), (size[1] + 4) * 36 * oracle.EPS, f"mse_f32 {size}")
    want = oracle.central_difference(lambda v: oracle.mse(v, target).mean(), x.astype(float))
    oracle.assert_close(dx, want, 12 * 4 * oracle.EPS + 1e-8, f"mse_f32 gradient {size}")
    np.testing.assert_array_equal(kernels.mse_f32(x, target), loss)


def test_labels_are_checked():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"softmax_cross_entropy_f32: largest label is 3; expected 0 \.\.\. 2"):
        kernels.softmax_cross_entropy_f32(x, np.uint16([0, 3]))
    with pytest.raises(TypeError, match="softmax_cross_entropy_f32: label is an array of int64; expected uint16"):
        kernels.softmax_cross_entropy_f32(x, np.array([0, 1]))
    with pytest.raises(ValueError, match="relu_f32: limit is 0"):
        kernels.relu_f32(x, limit=0)
    with pytest.raises(ValueError, match="relu_f32: limit is nan"):
        kernels.relu_f32(x, limit=np.nan)
