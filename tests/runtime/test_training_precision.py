"""Training in half precision: what is rounded, that it learns, scales its loss, resumes, and repeats bit for bit."""

import numpy as np
import pytest

from engine import kernels_products as products
from engine import training as t
from engine.errors import DivergedError

MODES = ("fp32/fp32", "fp16/fp32", "fp16/fp16")


def data(shape=(8, 8, 1), count=160, classes=4):
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(0, 1, (classes, *shape))
    y = rng.integers(0, classes, count)
    return (prototypes[y] + rng.normal(0, 0.3, (count, *shape))).astype(np.float32), y


def everything(seed=1):
    """A network with every kind of layer."""
    layers = [
        t.Conv2D(6, 3, padding="same", activation="relu"),
        t.MaxPool2D(2),
        t.BatchNorm(0.8),
        t.LeakyRelu(0.1),
        t.DepthwiseConv2D(2, 2, activation="relu6"),
        t.AveragePool2D(2, 1),
        t.Dropout(0.1),
        t.Flatten(),
        t.Dense(12),
        t.Tanh(),
        t.Residual([t.Dense(12)], activation="relu"),
        t.Dense(8),
        t.Elu(),
        t.Dense(8),
        t.Softplus(),
        t.Dense(4),
        t.Softmax(),
    ]
    return t.Sequential((8, 8, 1), layers, seed=seed)


def is_half(array):
    return np.array_equal(products.round_f16(np.ascontiguousarray(array)), array)


@pytest.mark.parametrize("precision", MODES)
def test_every_mode_learns_with_every_layer(precision):
    x, y = data()
    net = everything()
    history = net.fit(x, y, optimizer=t.SGD(0.05, 0.5), epochs=25, batch_size=20, precision=precision, validation=(x, y))
    assert history.accuracy[-1] > 0.8, history.accuracy
    metrics = net.evaluate(x, y, batch_size=20, precision=precision)
    assert (metrics.loss, metrics.accuracy) == (history.validation_loss[-1], history.validation_accuracy[-1])


def test_what_is_stored_is_half():
    x, y = data()
    both, forward = everything(), everything()
    both.fit(x, y, optimizer=t.SGD(0.05, 0.5), epochs=2, precision="fp16/fp16")
    forward.fit(x, y, optimizer=t.SGD(0.05, 0.5), epochs=2, precision="fp16/fp32")
    stored = both.parameters | both.statistics
    assert all(is_half(array) for array in stored.values())
    assert all(is_half(array) for slots in both.optimizer_state.values() for array in slots.values())
    assert not is_half(forward.parameters["conv2d/w"])
    assert is_half(forward.predict(x, precision="fp16/fp32"))
    assert not is_half(forward.predict(x))


def test_one_step_of_a_dense_layer_is_numpy_float16():
    """Forward, gradient and update of one sample, value by value."""
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (1, 5)).astype(np.float16)
    target = rng.normal(0, 1, (1, 3)).astype(np.float16)
    net = t.Sequential((5,), [t.Dense(3)], seed=2)
    w = net.parameters["dense/w"].astype(np.float16)
    y = np.zeros((1, 3), np.float16)
    for k in range(5):
        y = y + x[:, k : k + 1] * w[:, k]
    scaled = ((y.astype(np.float32) - target.astype(np.float32)) * np.float32(2 / 3) * np.float32(1024)).astype(np.float16)
    dw = (scaled.T * x).astype(np.float32) / 1024
    want = (net.parameters["dense/w"] - np.float32(0.125) * dw).astype(np.float16)
    options = {"loss": t.MSE(), "optimizer": t.SGD(0.125), "precision": "fp16/fp16"}
    net.fit(x.astype(np.float32), target.astype(np.float32), **options)
    np.testing.assert_array_equal(net.parameters["dense/w"], want.astype(np.float32))


def test_an_overflow_skips_the_update_and_halves_the_scale():
    x, y = np.full((4, 2), 100, np.float32), np.full((4, 1), -60000, np.float32)
    net = t.Sequential((2,), [t.Dense(1)])
    net.parameters["dense/w"][:] = products.round_f16(net.parameters["dense/w"])
    before = net.parameters["dense/w"].copy()
    net.fit(x, y, optimizer=t.SGD(1e-6), batch_size=4, epochs=1, precision="fp16/fp16")
    np.testing.assert_array_equal(net.parameters["dense/w"], before)
    assert (net.loss_scale, net.steps) == (512.0, 0)
    net.fit(x, y, optimizer=t.SGD(1e-6), batch_size=4, epochs=20, precision="fp16/fp16")
    assert net.steps > 0
    assert not np.array_equal(net.parameters["dense/w"], before)


def test_the_scale_doubles_after_a_thousand_updates():
    x, y = data((3,), 10)
    net = t.Sequential((3,), [t.Dense(4)])
    net.fit(x, y, optimizer=t.SGD(0.01), batch_size=1, epochs=100, precision="fp16/fp16")
    assert (net.loss_scale, net.scaled_steps) == (2048.0, 0)


def test_half_precision_resumes_bit_for_bit(tmp_path):
    x, y = data()
    options = {"optimizer": t.SGD(0.05, 0.9), "batch_size": 32, "precision": "fp16/fp16"}
    whole, part = everything(), everything()
    whole.fit(x, y, epochs=3, **options)
    part.fit(x, y, epochs=1, **options)
    part.save(tmp_path / "part")
    back = t.load(tmp_path / "part")
    assert (back.loss_scale, back.scaled_steps) == (part.loss_scale, part.scaled_steps)
    back.fit(x, y, epochs=2, **options)
    for name, array in (whole.parameters | whole.statistics).items():
        np.testing.assert_array_equal((back.parameters | back.statistics)[name], array, err_msg=name)


def test_modes_and_threads_are_checked():
    x, y = data()
    net = everything()
    with pytest.raises(ValueError, match=r"fit: precision is 'fp8'; expected one of 'fp32/fp32', 'fp16/fp32', 'fp16/fp16'"):
        net.fit(x, y, precision="fp8")
    with pytest.raises(ValueError, match=r"predict: threads is 0; expected 1 \.\.\. 1024"):
        net.predict(x, threads=0)
    with pytest.raises(TypeError, match="evaluate: threads is of type float"):
        net.evaluate(x, y, threads=1.5)


def test_predict_and_evaluate_share_a_batch():
    x, y = data()
    net = everything()
    net.fit(x, y, epochs=1, threads=3)
    np.testing.assert_array_equal(net.predict(x, threads=3), net.predict(x))
    assert net.evaluate(x, y, threads=2) == net.evaluate(x, y)


class Grenade(t.Callback):
    """Spoils the weights in the middle of the third epoch."""

    def __init__(self):
        self.batches = 0

    def on_batch_end(self, net, batch, loss):  # noqa: ARG002  the interface
        self.batches += 1
        if self.batches == 12:  # five an epoch
            net.parameters["dense/w"][:] = np.inf


def test_gradients_beyond_half_end_the_fit():
    x, y = np.full((4, 2), 30000, np.float32), np.full((4, 1), -60000, np.float32)
    net = t.Sequential((2,), [t.Dense(1)])
    net.parameters["dense/w"][:] = 0
    with pytest.raises(DivergedError, match=r"epoch \d+, batch 1: .* gradient of layer dense overflows half precision"):
        net.fit(x, y, optimizer=t.SGD(1e-6), batch_size=4, epochs=40, precision="fp16/fp16")
    assert net.steps == 0


def test_divergence_keeps_the_weights_of_the_last_finished_epoch():
    x, y = data()

    def fresh():
        return t.Sequential((8, 8, 1), [t.Conv2D(4, 3, activation="relu"), t.MaxPool2D(2), t.Flatten(), t.Dense(4)], seed=5)

    options = {"optimizer": t.Adam(0.01), "batch_size": 32}
    spoiled, good = fresh(), fresh()
    with pytest.raises(DivergedError, match=r"epoch 3, batch 3: training diverged: w of layer dense holds NaN or infinity"):
        spoiled.fit(x, y, epochs=5, callbacks=[Grenade()], **options)
    good.fit(x, y, epochs=2, **options)
    assert (spoiled.epochs, spoiled.steps) == (2, good.steps)
    for name, array in good.parameters.items():
        np.testing.assert_array_equal(spoiled.parameters[name], array, err_msg=name)
    spoiled.fit(x, y, epochs=1, **options)
    good.fit(x, y, epochs=1, **options)
    np.testing.assert_array_equal(spoiled.predict(x), good.predict(x))
