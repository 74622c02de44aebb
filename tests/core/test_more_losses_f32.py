"""Losses beyond cross-entropy with labels and MSE, against their formulas, central differences and Keras."""

import importlib

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_loss_f32 as kernels

SIZES = [(1, 2), (3, 7), (8, 10), (5, 13)]
KINDS = ["mae", "huber", "msle", "binary_cross_entropy", "categorical_cross_entropy", "squared_hinge"]


def case(kind, size, seed=0):
    """Outputs and targets that lie away from the corners of the loss."""
    rng = np.random.default_rng(seed)
    x, target = rng.uniform(-3, 3, size), rng.uniform(-3, 3, size)
    if kind == "msle":
        x, target = np.where(np.abs(x) < 0.01, 1, x), np.abs(target)
    elif kind == "binary_cross_entropy":
        target = rng.uniform(0, 1, size)
    elif kind == "categorical_cross_entropy":
        target = oracle.softmax(target)
    elif kind == "squared_hinge":
        target = np.sign(target)
    return x.astype(np.float32), target.astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient(kind, size):
    x, target = case(kind, size)
    formula, kernel = getattr(oracle, kind), getattr(kernels, f"{kind}_f32")
    dx = np.full_like(x, np.nan)
    loss = kernel(x, target, dx=dx)
    # Each of cols terms of at most 36 with its own roundings, and their sum.
    oracle.assert_close(loss, formula(x, target), (size[1] + 8) * 36 * oracle.EPS, f"{kind} {size}")
    want = oracle.central_difference(lambda v: formula(v, target).mean(), x.astype(float))
    oracle.assert_close(dx, want, (size[1] + 12) * 8 * oracle.EPS + 1e-8, f"{kind} gradient {size}")
    np.testing.assert_array_equal(kernel(x, target), loss)
    moved = x.copy()
    kernel(moved, target, dx=moved)
    np.testing.assert_array_equal(moved, dx)


KERAS = {
    "mae": lambda k: k.MeanAbsoluteError(reduction=None),
    "huber": lambda k: k.Huber(0.7, reduction=None),
    "msle": lambda k: k.MeanSquaredLogarithmicError(reduction=None),
    "binary_cross_entropy": lambda k: k.BinaryCrossentropy(from_logits=True, reduction=None),
    "categorical_cross_entropy": lambda k: k.CategoricalCrossentropy(from_logits=True, reduction=None),
    "squared_hinge": lambda k: k.SquaredHinge(reduction=None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_loss_equals_keras(kind):
    tensorflow, keras = importlib.import_module("tensorflow"), importlib.import_module("keras")
    x, target = case(kind, (9, 6), seed=5)
    theirs = KERAS[kind](keras.losses)
    tensor = tensorflow.Variable(x)
    with tensorflow.GradientTape() as tape:
        want = theirs(target, tensor)
        mean = tensorflow.reduce_mean(want)
    dx = np.zeros_like(x)
    options = {"delta": 0.7} if kind == "huber" else {}
    loss = getattr(kernels, f"{kind}_f32")(x, target, dx=dx, **options)
    np.testing.assert_allclose(loss, want.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dx, tape.gradient(mean, tensor).numpy(), rtol=1e-5, atol=1e-7)


def test_extremes_stay_finite_and_nan_shows():
    large = np.float32([[1e30, -1e30]])
    np.testing.assert_array_equal(kernels.binary_cross_entropy_f32(large, np.float32([[1, 0]])), [0])
    np.testing.assert_array_equal(kernels.categorical_cross_entropy_f32(large, np.float32([[1, 0]])), [0])
    confident = kernels.binary_cross_entropy_f32(np.float32([[-15]]), np.float32([[0]]))
    assert confident[0] == pytest.approx(np.log1p(np.exp(-15)), rel=1e-6)
    for kind in KINDS:
        assert np.isnan(getattr(kernels, f"{kind}_f32")(np.float32([[np.nan, 1]]), np.float32([[1, 0]]))[0]), kind


def test_huber_errors_and_checks():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match="huber_f32: delta is 0"):
        kernels.huber_f32(x, x, delta=0)
    with pytest.raises(ValueError, match=r"mae_f32: target has shape \(2, 2\); expected \(2, 3\)"):
        kernels.mae_f32(x, np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="msle_f32: dx overlaps target"):
        kernels.msle_f32(x, x, dx=x)
