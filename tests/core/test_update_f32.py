"""Optimizers beyond SGD and Adam, weight decay, clipping and schedules, step by step, against Keras."""

import importlib

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_update_f32 as kernels
from engine import training

STEPS = 60
SHAPES = ((5, 7), (11,))

#: Ours, the name of Keras's, and Keras's options where they differ in name.
NAMES = {
    "beta1": "beta_1",
    "beta2": "beta_2",
    "l1": "l1_regularization_strength",
    "l2": "l2_regularization_strength",
    "shrinkage": "l2_shrinkage_regularization_strength",
}

CASES = [
    ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-4}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True, "momentum": 0.5, "epsilon": 1e-3}),
    ("Adagrad", {}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-3}),
    ("Adadelta", {}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-5}),
    ("AdamW", {}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.1}),
    ("Adamax", {}),
    ("Adamax", {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.9}),
    ("Nadam", {}),
    ("Nadam", {"learning_rate": 0.02, "beta1": 0.95, "beta2": 0.99}),
    ("Ftrl", {"learning_rate": 0.1}),
    ("Ftrl", {"learning_rate": 0.1, "l1": 0.05, "l2": 0.02, "shrinkage": 0.01, "beta": 0.3}),
    ("SGD", {"weight_decay": 0.1, "clipvalue": 0.2}),
    ("SGD", {"learning_rate": 0.05, "clipnorm": 0.5}),
    ("Adam", {"global_clipnorm": 1.5}),
]


def gradients(seed=0):
    """A different gradient every step, of sizes from 1e-4 to 10, as layers have them."""
    rng = np.random.default_rng(seed)
    scales = [10.0 ** rng.uniform(-4, 1, shape) for shape in SHAPES]
    return [[(rng.normal(size=scale.shape) * scale).astype(np.float32) for scale in scales] for _ in range(STEPS)]


def start():
    rng = np.random.default_rng(9)
    return [rng.uniform(-1, 1, shape).astype(np.float32) for shape in SHAPES]


def our_steps(optimizer):
    arrays = start()
    states = [{slot: np.full_like(w, optimizer.start(slot)) for slot in optimizer.slots} for w in arrays]
    for step, dws in enumerate(gradients(), 1):
        clipped = [dw.copy() for dw in dws]
        optimizer.clip(clipped)
        for dw, w, state in zip(clipped, arrays, states, strict=True):
            optimizer.apply(step, dw, w, state)
        yield [w.copy() for w in arrays]


def keras_steps(optimizer):
    keras = importlib.import_module("keras")
    variables = [keras.Variable(w) for w in start()]
    optimizer.build(variables)
    for dws in gradients():
        optimizer.apply([keras.ops.convert_to_tensor(dw) for dw in dws], variables)
        yield [variable.numpy() for variable in variables]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_update_equals_keras_step_by_step(kind, options):
    keras = importlib.import_module("keras")
    theirs = getattr(keras.optimizers, kind)(**{NAMES.get(name, name): value for name, value in options.items()})
    ours = getattr(training, kind)(**options)
    for step, (got, want) in enumerate(zip(our_steps(ours), keras_steps(theirs), strict=True), 1):
        for index, (w, expected) in enumerate(zip(got, want, strict=True)):
            # Of the weight, and of the way that it has gone. Keras's own 1 - beta^t loses digits in the first steps.
            tolerance = 1e-5 * (np.abs(expected) + ours.rate(1) * step)
            oracle.assert_close(w, expected, tolerance, f"{kind} {options} step {step} array {index}")


def keras_schedules():
    k = importlib.import_module("keras").optimizers.schedules
    return [
        (training.PiecewiseConstant((5, 20), (0.1, 0.02, 0.5)), k.PiecewiseConstantDecay([5, 20], [0.1, 0.02, 0.5])),
        (training.ExponentialDecay(0.1, 7, 0.6), k.ExponentialDecay(0.1, 7, 0.6)),
        (training.ExponentialDecay(0.1, 7, 0.6, staircase=True), k.ExponentialDecay(0.1, 7, 0.6, staircase=True)),
        (training.CosineDecay(0.1, 30, 0.1), k.CosineDecay(0.1, 30, 0.1)),
        (
            training.WarmUp(10, training.CosineDecay(0.3, 25), start=0.01),
            k.CosineDecay(0.01, 25, warmup_target=0.3, warmup_steps=10),
        ),
    ]


def test_schedules_equal_keras():
    for ours, theirs in keras_schedules():
        for step in range(45):
            assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-8), f"{ours} step {step}"


def test_a_scheduled_optimizer_equals_keras():
    keras = importlib.import_module("keras")
    ours, theirs = keras_schedules()[-1]
    wanted = keras_steps(keras.optimizers.Adamax(theirs))
    for step, (got, want) in enumerate(zip(our_steps(training.Adamax(ours)), wanted, strict=True), 1):
        oracle.assert_close(got[0], want[0], 1e-5 * np.abs(want[0]) + 1e-6, f"scheduled Adamax step {step}")


def test_rmsprop_centered_survives_a_constant_gradient():
    w, v, average = (np.zeros(3, np.float32) for _ in range(3))
    for _ in range(400):
        kernels.rmsprop_f32(np.float32([1e3, 3, 1e-3]), w, v, None, average, learning_rate=1e-3, epsilon=1e-7)
    assert np.isfinite(w).all()


def test_nadam_late_steps_are_those_of_the_formula():
    """From step 410 on the warm-up of the momentum is over: mu(t) = beta1, products of it have vanished."""
    w, m, v = np.zeros(1, np.float32), np.float32([1]), np.float32([1])
    kernels.nadam_f32(2**31, np.float32([1]), w, m, v, learning_rate=0.5)
    assert w[0] == pytest.approx(-0.5 * (0.9 + 0.1), rel=1e-6)


def test_clipping_keeps_what_is_within_the_limit():
    x = [np.float32([3, 4]), np.float32([12])]
    kernels.clip_norm_f32(x, limit=13)
    np.testing.assert_array_equal(np.concatenate(x), np.float32([3, 4, 12]))
    kernels.clip_norm_f32(x, limit=6.5)
    np.testing.assert_array_equal(np.concatenate(x), np.float32([1.5, 2, 6]))
    large = np.random.default_rng(0).normal(size=100_003).astype(np.float32)
    norm = np.linalg.norm(large.astype(float))
    kernels.clip_norm_f32([large], limit=1)
    oracle.assert_close(np.linalg.norm(large.astype(float)), 1, (256 + 400) * 2**-23, f"norm of what had {norm}")


def test_nan_goes_through_clipping():
    x = np.float32([np.nan, 3, -3])
    kernels.clip_f32(x, limit=1)
    np.testing.assert_array_equal(x, np.float32([np.nan, 1, -1]))
    kernels.clip_norm_f32([x], limit=0.5)
    assert np.isnan(x[0])


def test_errors_name_the_argument():
    w, dw = start()[0], gradients()[0][0]
    with pytest.raises(ValueError, match=r"rmsprop_f32: velocity is None but momentum is 0\.9"):
        kernels.rmsprop_f32(dw, w, np.zeros_like(w), learning_rate=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="adamax_f32: u overlaps w"):
        kernels.adamax_f32(1, dw, w, np.zeros_like(w), w)
    with pytest.raises(ValueError, match="nadam_f32: t is 0"):
        kernels.nadam_f32(0, dw, w, np.zeros_like(w), np.zeros_like(w))
    with pytest.raises(ValueError, match=r"clip_norm_f32: arrays\[1\] has shape \(0,\)"):
        kernels.clip_norm_f32([w, np.zeros(0, np.float32)], limit=1)
    with pytest.raises(TypeError, match="clip_f32: x is an array of float64; expected float32"):
        kernels.clip_f32(np.zeros(3), limit=1)
    with pytest.raises(ValueError, match="Adam: clipnorm and clipvalue are given; expected one way of clipping"):
        training.Adam(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="SGD: nesterov is True but momentum is 0"):
        training.SGD(nesterov=True)
    with pytest.raises(ValueError, match="PiecewiseConstant: 2 values for 2 boundaries; expected 3"):
        training.PiecewiseConstant((1, 2), (0.1, 0.2))
    with pytest.raises(ValueError, match="RMSprop: rho is 1"):
        training.RMSprop(rho=1)
    with pytest.raises(ValueError, match="Ftrl: l1 is -1"):
        training.Ftrl(l1=-1)
