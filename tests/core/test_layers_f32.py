"""Activations, dropout, depthwise convolution and batch normalization, against formulas and central differences."""

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32
from engine import kernels_layer_f32 as kernels
from engine.graph import Padding
from engine.program import Window
from engine.window import slide

ACTIVATIONS = {
    "leaky_relu": oracle.leaky_relu,
    "elu": oracle.elu,
    "tanh": lambda x: np.tanh(x.astype(float)),
    "sigmoid": oracle.sigmoid,
    "softplus": oracle.softplus,
    "exponential": lambda x: np.exp(x.astype(float)),
}


def uniform(shape, seed=0, scale=3.0):
    return np.random.default_rng(seed).uniform(-scale, scale, shape).astype(np.float32)


def test_expm1_and_log1p_keep_their_bounds():
    x = np.concatenate([-np.geomspace(1e-30, 87, 100_001), np.linspace(-2, 0, 100_001)]).astype(np.float32)
    want = np.expm1(x.astype(float))
    oracle.assert_close(kernels.expm1_f32(x), want, 5e-7 * np.abs(want), "expm1_f32")
    x = np.concatenate([np.geomspace(1e-30, 1, 100_001), np.linspace(0, 1, 100_001)]).astype(np.float32)
    want = np.log1p(x.astype(float))
    oracle.assert_close(kernels.log1p_f32(x), want, 5e-7 * want, "log1p_f32")


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("size", [1, 7, 8, 101])
def test_activation(kind, size):
    forward, backward = getattr(kernels, f"{kind}_f32"), getattr(kernels, f"{kind}_f32_backward")
    x, dy = uniform(size, scale=5), uniform(size, seed=1)
    x[np.abs(x) < 0.01] = 1
    y = forward(x)
    want = ACTIVATIONS[kind](x)
    oracle.assert_close(y, want, 1e-6 * np.abs(want), f"{kind} {size}")
    gradient = oracle.central_difference(lambda v: (ACTIVATIONS[kind](v) * dy).sum(), x.astype(float))
    # A gradient from the output inherits the output's error, of 2^-24 beside 1.
    oracle.assert_close(backward(y, dy), gradient, 3e-6 * (1 + np.abs(gradient)), f"{kind} backward {size}")
    moved, moved_dy = x.copy(), dy.copy()
    forward(moved, out=moved)
    np.testing.assert_array_equal(moved, y)
    backward(y, moved_dy, dx=moved_dy)
    np.testing.assert_array_equal(moved_dy, backward(y, dy))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation_at_the_ends(kind):
    y = getattr(kernels, f"{kind}_f32")(np.float32([-1e30, 1e30, np.nan, 0]))
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(y, ACTIVATIONS[kind](np.float32([-1e30, 1e30, np.nan, 0])).astype(np.float32), rtol=1e-6)


def test_dropout_keeps_its_share_and_repeats():
    x, kept = uniform(40_000), np.zeros(40_000, np.uint8)
    y = kernels.dropout_f32(kernels_f32.rng_seed(3), 0.25, x, kept)
    assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.25 * 0.75 / x.size)
    np.testing.assert_array_equal(y, np.where(kept, x * (np.float32(1) / np.float32(0.75)), 0))
    again = np.zeros_like(kept)
    np.testing.assert_array_equal(kernels.dropout_f32(kernels_f32.rng_seed(3), 0.25, x, again), y)
    np.testing.assert_array_equal(again, kept)
    np.testing.assert_array_equal(kernels.dropout_f32_backward(0.25, kept, x), y)
    np.testing.assert_array_equal(kernels.dropout_f32(kernels_f32.rng_seed(3), 0, x, kept), x)


def window(size, kernel, stride, dilation, padding):
    (out_h, top), (out_w, left) = (slide(size[i], kernel[i], stride[i], dilation[i], padding) for i in (0, 1))
    return Window(*size, out_h, out_w, *kernel, *stride, *dilation, top, left)


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        ((5, 6), (3, 3), (1, 1), (1, 1), Padding.SAME),
        ((7, 5), (3, 2), (2, 1), (1, 1), Padding.VALID),
        ((7, 8), (2, 3), (1, 2), (2, 2), Padding.SAME),
        ((1, 1), (1, 1), (1, 1), (1, 1), Padding.VALID),
    ],
)
def test_depthwise_conv2d(shape, multiplier):
    win = window(*shape)
    channels = 2 * multiplier
    x, w, bias = uniform((2, *shape[0], 2)), uniform((1, *shape[1], channels), 1), uniform(channels, 2)
    want = oracle.depthwise_conv2d(win, x, w, bias)
    tolerance = (np.prod(shape[1]) + 1) * 12 * 2 * oracle.EPS
    oracle.assert_close(kernels.depthwise_conv2d_f32(win, x, w, bias), want, tolerance, f"depthwise {shape} {multiplier}")
    dy = uniform(want.shape, 3)
    dw, dbias, dx = np.ones_like(w), np.ones_like(bias), np.full_like(x, np.nan)
    kernels.depthwise_conv2d_f32_backward(win, x, w, dy, dw, dbias, dx=dx)
    arrays = {"x": x.astype(float), "w": w.astype(float), "bias": bias.astype(float)}
    for name, got in (("x", dx), ("w", dw - 1), ("bias", dbias - 1)):

        def loss(value, name=name):
            return (oracle.depthwise_conv2d(win, **(arrays | {name: value})) * dy).sum()

        gradient = oracle.central_difference(loss, arrays[name], h=1e-3)
        oracle.assert_close(got, gradient, 1e-4, f"depthwise d{name} {shape} {multiplier}")


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3, 2), (600, 1)])
def test_batch_norm(shape):
    x, gamma, beta = uniform(shape), uniform(shape[-1], 1), uniform(shape[-1], 2)
    mean, variance = np.full(shape[-1], 0.5, np.float32), np.full(shape[-1], 2, np.float32)
    xhat, inverse = np.empty_like(x), np.empty(shape[-1], np.float32)
    y = kernels.batch_norm_f32_train(x, gamma, beta, mean, variance, epsilon=0.01, momentum=0.9, xhat=xhat, inverse=inverse)
    axes = tuple(range(x.ndim - 1))

    def formula(x, gamma, beta):
        return oracle.batch_norm(x, gamma, beta, x.mean(axis=axes), x.var(axis=axes), 0.01)

    arrays = {"x": x.astype(float), "gamma": gamma.astype(float), "beta": beta.astype(float)}
    oracle.assert_close(y, formula(**arrays), 1e-5, f"batch_norm_f32_train {shape}")
    oracle.assert_close(mean, 0.45 + 0.1 * arrays["x"].mean(axis=axes), 1e-6, "running mean")
    oracle.assert_close(variance, 1.8 + 0.1 * arrays["x"].var(axis=axes), 2e-6, "running variance")
    got = kernels.batch_norm_f32(x, gamma, beta, mean, variance, epsilon=0.01)
    oracle.assert_close(got, oracle.batch_norm(x, gamma, beta, mean, variance, 0.01), 1e-5, f"batch_norm_f32 {shape}")
    dy = uniform(shape, 3)
    dgamma, dbeta, dx = np.ones_like(gamma), np.ones_like(beta), np.full_like(x, np.nan)
    kernels.batch_norm_f32_backward(xhat, inverse, gamma, dy, dgamma, dbeta, dx=dx)
    for name, got in (("x", dx), ("gamma", dgamma - 1), ("beta", dbeta - 1)):

        def loss(value, name=name):
            return (formula(**(arrays | {name: value})) * dy).sum()

        gradient = oracle.central_difference(loss, arrays[name])
        oracle.assert_close(got, gradient, 1e-4 * (1 + np.abs(gradient)), f"batch_norm d{name} {shape}")
    kernels.batch_norm_f32_backward(xhat, inverse, gamma, dy, dgamma, dbeta, dx=dy)
    np.testing.assert_array_equal(dy, dx)


def test_errors_name_the_argument():
    x = np.zeros((1, 4, 4, 2), np.float32)
    win = window((4, 4), (2, 2), (1, 1), (1, 1), Padding.VALID)
    with pytest.raises(ValueError, match="depthwise_conv2d_f32: w has 3 channels; expected a multiple of x's 2"):
        kernels.depthwise_conv2d_f32(win, x, np.zeros((1, 2, 2, 3), np.float32), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="dropout_f32: rate is 1"):
        kernels.dropout_f32(kernels_f32.rng_seed(0), 1, x, np.zeros(x.shape, np.uint8))
    with pytest.raises(ValueError, match="elu_f32: alpha is 0"):
        kernels.elu_f32(x, alpha=0)
    with pytest.raises(ValueError, match=r"batch_norm_f32: gamma has shape \(3,\); expected \(2,\)"):
        kernels.batch_norm_f32(x, *(np.zeros(3, np.float32) for _ in range(4)))
