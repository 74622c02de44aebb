"""SGD and Adam, step by step, against Keras and against their formulas in float64."""

import importlib

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32 as kernels

STEPS = 60
SIZE = 37


def gradients(seed=0):
    """A different gradient every step, of sizes from 1e-4 to 10, as layers have them."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-4, 1, SIZE)
    return [(rng.normal(size=SIZE) * scale).astype(np.float32) for _ in range(STEPS)]


def start():
    return np.random.default_rng(9).uniform(-1, 1, SIZE).astype(np.float32)


def keras_steps(optimizer):
    keras = importlib.import_module("keras")
    variable = keras.Variable(start())
    optimizer.build([variable])
    for dw in gradients():
        optimizer.apply([keras.ops.convert_to_tensor(dw)], [variable])
        yield variable.numpy()


@pytest.mark.parametrize(("rate", "momentum"), [(0.01, 0.0), (0.1, 0.9), (0.003, 0.5)])
def test_sgd_equals_keras_step_by_step(rate, momentum):
    keras = importlib.import_module("keras")
    w, velocity = start(), np.zeros(SIZE, np.float32) if momentum else None
    wanted = keras_steps(keras.optimizers.SGD(rate, momentum=momentum))
    for step, (dw, want) in enumerate(zip(gradients(), wanted, strict=True), 1):
        kernels.sgd_f32(dw, w, velocity, learning_rate=rate, momentum=momentum)
        oracle.assert_close(w, want, 1e-5 * np.abs(want) + 1e-5 * rate, f"sgd_f32 {rate} {momentum} step {step}")


@pytest.mark.parametrize("options", [{}, {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-4}])
def test_adam_equals_keras_step_by_step(options):
    keras = importlib.import_module("keras")
    names = {"beta1": "beta_1", "beta2": "beta_2"}
    optimizer = keras.optimizers.Adam(**{names.get(name, name): value for name, value in options.items()})
    w, m, v = start(), np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)
    rate = options.get("learning_rate", 0.001)
    for t, (dw, want) in enumerate(zip(gradients(), keras_steps(optimizer), strict=True), 1):
        kernels.adam_f32(t, dw, w, m, v, **options)
        oracle.assert_close(w, want, 1e-5 * np.abs(want) + 1e-5 * rate, f"adam_f32 {options} step {t}")


def test_adam_keeps_its_formula():
    beta1, beta2, rate, epsilon = (float(np.float32(value)) for value in (0.9, 0.999, 0.01, 1e-7))
    w, m, v = start(), np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)
    w64, m64, v64 = w.astype(float), np.zeros(SIZE), np.zeros(SIZE)
    for t, dw in enumerate(gradients(1), 1):
        kernels.adam_f32(t, dw, w, m, v, learning_rate=rate)
        g = dw.astype(float)
        m64 += (g - m64) * (1 - beta1)
        v64 += (g * g - v64) * (1 - beta2)
        w64 -= rate * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m64 / (np.sqrt(v64) + epsilon)
        oracle.assert_close(w, w64, t * 4 * oracle.EPS * (np.abs(w64) + 4 * rate), f"adam_f32 step {t}")


def test_adam_late_steps_have_no_bias_correction():
    w, m, v = np.zeros(1, np.float32), np.float32([1]), np.float32([1])
    kernels.adam_f32(2**31, np.float32([1]), w, m, v, learning_rate=0.5, epsilon=1e-7)
    assert w[0] == np.float32(-0.5) / np.float32(1 + 1e-7)


def test_learning_rate_zero_changes_nothing():
    w = start()
    kernels.sgd_f32(gradients()[0], w, learning_rate=0.0)
    np.testing.assert_array_equal(w, start())


def test_errors_name_the_argument():
    w, dw = start(), gradients()[0]
    with pytest.raises(ValueError, match=r"sgd_f32: velocity is None but momentum is 0\.9; expected an array like w"):
        kernels.sgd_f32(dw, w, learning_rate=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="sgd_f32: learning_rate is nan"):
        kernels.sgd_f32(dw, w, learning_rate=np.nan)
    with pytest.raises(ValueError, match=r"sgd_f32: dw has shape \(37,\); expected \(36,\)"):
        kernels.sgd_f32(dw, w[:36], learning_rate=0.1)
    with pytest.raises(ValueError, match="adam_f32: t is 0"):
        kernels.adam_f32(0, dw, w, np.zeros_like(w), np.zeros_like(w))
    with pytest.raises(ValueError, match="adam_f32: m overlaps w"):
        kernels.adam_f32(1, dw, w, w, np.zeros_like(w))
    w.flags.writeable = False
    with pytest.raises(ValueError, match="sgd_f32: w is read-only"):
        kernels.sgd_f32(dw, w, learning_rate=0.1)
