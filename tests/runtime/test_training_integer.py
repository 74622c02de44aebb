"""Networks that train in integers: equal to an oracle step by step, deterministic, loadable as int8 models, good on digits."""

import math
import signal

import numpy as np
import pytest
import reference_int as oracle

import engine
from engine.errors import UnsupportedError
from engine.training import (
    MSE,
    SGD,
    Conv2D,
    Dense,
    Dropout,
    ExponentialDecay,
    Flatten,
    Huber,
    IntegerSequential,
    MaxPool2D,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
)
from engine.training.fitting import sample_order
from engine.training.integer_layers import Flatten as FlattenOperation
from engine.training.integer_layers import MaxPool2D as PoolOperation
from engine.training.integer_layers import short_fraction
from enginekit.datasets import mnist
from enginekit.quantize import quantize


class OracleNetwork:
    """The same network in int64 NumPy; takes scales and initial masters from it, and nothing else."""

    def __init__(self, net):
        self.net = net
        self.rng = oracle.Rng(net.rng)
        self.parameters = [[layer.w.astype(np.int64), layer.bias.astype(np.int64)] for layer in net.layers]

    def constants(self, learning_rate, unit):
        """mult and steps by the formula of the header: learning rate, unit of the gradient and scales in real numbers."""
        found = []
        for layer in reversed(self.net.layers):
            mult, shift = short_fraction(learning_rate * unit * layer.x.scale * 256 / layer.scale_w)
            found.append((mult, (shift, *short_fraction(1 / (256 * layer.x.scale**2)))))
            unit *= layer.scale_w / mult
        return found

    def forward(self, x):
        """Rows, sums and output codes of every operation."""
        codes, trail, weighted = x, [], 0
        for operation in self.net.operations:
            if isinstance(operation, FlattenOperation):
                trail.append(codes)
                codes = codes.reshape(len(codes), -1)
            elif isinstance(operation, PoolOperation):
                taps, pixels = oracle.patches(operation.window, codes, -999)
                taps = taps.reshape(*taps.shape[:3], -1, taps.shape[5])
                trail.append((taps, pixels))
                codes = taps.max(axis=3)
            else:
                rows, pixels = codes, None
                if operation.window is not None:
                    seen, pixels = oracle.patches(operation.window, codes, operation.x.zero)
                    rows = seen.reshape(-1, self.parameters[weighted][0].shape[1])
                sums = oracle.dense(rows, operation.x.zero, *self.parameters[weighted])
                codes = self.requantized(operation, sums).reshape(len(x), *operation.y_shape)
                trail.append((rows, pixels, sums, codes))
                weighted += 1
        return trail

    @staticmethod
    def requantized(layer, sums):
        """Dense: one rounding of the product; convolution: of its upper half, then of a shift. Ties away from zero at last."""
        ratio = layer.rescale
        assert ratio.mult / 2.0**31 * 2.0 ** (ratio.left - ratio.right) == layer.x.scale * layer.scale_w / layer.y.scale
        if layer.window is None:
            codes = np.vectorize(lambda acc: oracle.rescale(acc, ratio), otypes=[np.int64])(sums)
        else:
            high = ((sums << ratio.left) * ratio.mult + 2**30) >> 31
            codes = np.sign(high) * ((np.abs(high) + (1 << ratio.right >> 1)) >> ratio.right)
        return np.clip(codes + layer.y.zero, layer.output.lo, layer.output.hi)

    def step(self, dy, trail, constants):
        dy, exponent, at = dy.astype(np.int64), 0, len(self.net.layers) - 1
        for operation, kept in zip(reversed(self.net.operations), reversed(trail), strict=True):
            if isinstance(operation, FlattenOperation):
                dy = dy.reshape(kept.shape)
            elif isinstance(operation, PoolOperation):
                dy = self.unpooled(operation, dy, *kept)
            else:
                dy, exponent = self.learned(operation, kept, dy, exponent, at, constants[len(self.net.layers) - 1 - at])
                at -= 1

    def learned(self, layer, kept, dy, exponent, at, constants):
        rows, pixels, _, codes = kept
        mult, step = constants
        if at < len(self.net.layers) - 1:
            dy = np.where((codes <= layer.output.lo) | (codes >= layer.output.hi), 0, dy.reshape(codes.shape))
        h, t = oracle.errors(dy.reshape(len(rows), -1), mult, self.rng)
        exponent += t
        w, bias = self.parameters[at]
        dx = h @ oracle.codes(w)
        dw, dbias = h.T @ (rows - layer.x.zero), h.sum(axis=0)
        self.parameters[at] = list(oracle.sgd(step, exponent, self.rng, dw, dbias, w, bias))
        if pixels is not None:
            batch = len(codes)
            dx = oracle.scatter(layer.window, pixels, dx.reshape(batch, *pixels.shape, -1), layer.x_shape[2])
        return dx, exponent

    @staticmethod
    def unpooled(operation, dy, taps, pixels):
        flat = pixels.reshape(*pixels.shape[:2], -1)
        at = taps.argmax(axis=3)
        dx = np.zeros((len(dy), operation.x_shape[0] * operation.x_shape[1], operation.x_shape[2]), np.int64)
        for b, r, q, c in np.ndindex(*at.shape):
            dx[b, flat[r, q, at[b, r, q, c]], c] += dy[b, r, q, c]
        return dx.reshape(len(dy), *operation.x_shape)


def networks():
    return {
        "dense": IntegerSequential((11,), [Dense(7, activation="relu"), Dense(5, activation="relu6"), Dense(3)], seed=3),
        "conv": IntegerSequential(
            (7, 8, 2),
            [
                Conv2D(3, 3, padding="same", activation="relu"),
                MaxPool2D(3, stride=2),
                Conv2D(4, 2, activation="relu"),
                Flatten(),
                Dense(3),
            ],
            seed=5,
            x_scale=2.0**-8,
        ),
    }


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), MSE()])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_every_step_is_the_oracles(name, batch, loss):
    net = networks()[name]
    twin = OracleNetwork(net)
    rng = np.random.default_rng(1)
    rate, last = 0.05, net.layers[-1]
    unit = 2.0**-15 if isinstance(loss, SoftmaxCrossEntropy) else 2 * last.y.scale / 128 / last.y_shape[0]
    for step in range(40):
        x = rng.integers(-128, 128, (batch, *net.input_shape)).astype(np.int8)
        trail = twin.forward(x.astype(np.int64))
        sums = trail[-1][2]
        if isinstance(loss, MSE):
            y = rng.integers(-60, 60, (batch, 3)).astype(np.int8)
            dy = (trail[-1][3] - y) * 128
        else:
            y = rng.integers(0, 3, batch)
            ratio = net.loss_rescale()
            dy = np.array([oracle.softmax_cross_entropy(row.tolist(), y[i], ratio)[1] for i, row in enumerate(sums)])
        twin.step(dy, trail, twin.constants(rate, unit / batch))
        net.train_batch(x, y, loss=loss, learning_rate=rate)
        for i, layer in enumerate(net.layers):
            for got, want, what in ((layer.w, twin.parameters[i][0], "w"), (layer.bias, twin.parameters[i][1], "bias")):
                bad = np.argwhere(got != want)
                assert not len(bad), f"{name}, batch {batch}, step {step}, {layer.name}/{what}: first at {bad[0]}"
        assert net.rng.tolist() == twin.rng.s
    assert net.steps == 40


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_the_model_computes_what_was_trained(name):
    net = networks()[name]
    rng = np.random.default_rng(2)
    x = rng.integers(-128, 128, (50, *net.input_shape)).astype(np.int8)
    net.fit(x, rng.integers(0, 3, 50), epochs=3, batch_size=5, learning_rate=0.02)
    model = engine.load(net.model().to_bytes())
    want = net.layers[-1].requantized(net._sums(x))
    np.testing.assert_array_equal(model.run(x), want)
    step = net.layers[-1].y.scale
    real = net.predict(x)
    inside = np.abs(real) < 127 * step
    assert np.abs(real - model.predict(x.astype(np.float32) * net.layers[0].x.scale + 128 * net.layers[0].x.scale))[
        inside
    ].max() <= step / 2 * (1 + 1e-6)
    codes = [t.data for t in model.graph.tensors if t.data is not None and t.dtype == np.int8]
    assert all(np.abs(data.astype(int)).max() <= 127 for data in codes)


def test_the_same_seed_gives_the_same_bits_however_the_epochs_are_split():
    rng = np.random.default_rng(3)
    x, y = rng.integers(-128, 128, (30, 11)).astype(np.int8), rng.integers(0, 3, 30)
    first, second, other = (networks()["dense"] for _ in range(3))
    first.fit(x, y, epochs=4, batch_size=7)
    second.fit(x, y, epochs=1, batch_size=7)
    second.fit(x, y, epochs=3, batch_size=7)
    other.fit(x, y, epochs=4, batch_size=7, seed=99)
    assert first.model().digest == second.model().digest != other.model().digest
    assert first.rng.tolist() == second.rng.tolist()


def test_history_and_schedule():
    rng = np.random.default_rng(4)
    x, y = rng.integers(-128, 128, (20, 11)).astype(np.int8), rng.integers(0, 3, 20)
    net = networks()["dense"]
    rate = ExponentialDecay(0.1, 10, 0.5)
    history = net.fit(x, y, epochs=3, batch_size=8, validation=(x[:5], y[:5]), learning_rate=rate)
    assert [len(part) for part in (history.loss, history.accuracy, history.validation_loss, history.seconds)] == [3] * 4
    assert history.validation_accuracy[-1] == net.evaluate(x[:5], y[:5]).accuracy
    assert net.steps == 9
    assert not history.interrupted


def test_ctrl_c_returns_the_history_so_far(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background may ignore it
    net, other = networks()["dense"], networks()["dense"]
    rng = np.random.default_rng(0)
    x, y = rng.integers(-128, 128, (40, 11)).astype(np.int8), rng.integers(0, 3, 40)
    original, calls = IntegerSequential._train, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 11:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    try:
        monkeypatch.setattr(IntegerSequential, "_train", interrupted)
        history = net.fit(x, y, epochs=1000, batch_size=8)  # 5 batches an epoch
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.interrupted
    assert (len(history.loss), net.epochs, net.steps, len(calls)) == (2, 2, 11, 11)
    monkeypatch.undo()
    other.fit(x, y, epochs=2, batch_size=8)
    index = sample_order(other.seed, 2, 40)[:8]
    other.train_batch(x[index], y[index])
    assert net.model().digest == other.model().digest


def test_squared_error_learns_a_line():
    x = np.arange(-128, 128, dtype=np.int8).reshape(-1, 1)
    target = (x.astype(np.float32) + 128) / 255 * 2 - 1
    net = IntegerSequential((1,), [Dense(1)], seed=1)
    history = net.fit(x, target, epochs=60, batch_size=16, learning_rate=0.1)
    assert history.accuracy == []
    assert np.abs(net.predict(x) - target).max() < net.layers[-1].y.scale


def test_real_inputs_are_quantized_as_the_model_does():
    net = networks()["dense"]
    x = np.random.default_rng(5).uniform(-0.2, 1.2, (9, 11)).astype(np.float32)
    np.testing.assert_array_equal(
        net.layers[-1].requantized(net._sums(net._check_x("f", x))) * 1.0, net.model().predict(x) / 0.25
    )


@pytest.fixture(scope="module")
def digits_model():
    digits = mnist()
    x = digits.train_x[:6000].reshape(-1, 784).astype(np.float32) / 255
    net = Sequential((784,), [Dense(32, activation="relu"), Dense(10), Softmax()], seed=1)
    net.fit(x, digits.train_y[:6000], epochs=4, batch_size=32, seed=1)
    return quantize(net.network(), x[:300])


def codes_of(images):
    return (images.reshape(len(images), -1).astype(np.int16) - 128).astype(np.int8)


def test_a_head_wins_back_half_of_what_rotated_digits_cost(digits_model):
    digits = mnist()
    test = codes_of(np.rot90(digits.test_x, axes=(1, 2)))
    upright = (digits_model.run(codes_of(digits.test_x)).argmax(axis=1) == digits.test_y).mean()
    turned = (digits_model.run(test).argmax(axis=1) == digits.test_y).mean()
    head = IntegerSequential.from_model(digits_model, seed=1)
    assert [layer.w.shape for layer in head.layers] == [(10, 32)]
    head.fit(codes_of(np.rot90(digits.train_x[:1000], axes=(1, 2))), digits.train_y[:1000], batch_size=1, learning_rate=0.01)
    model = head.model()
    assert [layer.op for layer in model.graph.layers] == [layer.op for layer in digits_model.graph.layers]
    after = (model.run(test).argmax(axis=1) == digits.test_y).mean()
    assert after - turned >= (upright - turned) / 2, (upright, turned, after)
    assert engine.load(model.to_bytes()).digest == model.digest


def test_headroom_alone_changes_next_to_nothing(digits_model):
    digits = mnist()
    x = codes_of(digits.test_x[:2000])
    model = IntegerSequential.from_model(digits_model, layers=2).model()
    same = model.run(x).argmax(axis=1) == digits_model.run(x).argmax(axis=1)
    assert same.mean() > 0.97


def test_digits_in_integers_alone():
    digits = mnist()
    net = IntegerSequential((784,), [Dense(64, activation="relu"), Dense(10), Softmax()], seed=1)
    net.fit(codes_of(digits.train_x), digits.train_y, epochs=5, batch_size=32, learning_rate=0.2)
    figures = net.evaluate(codes_of(digits.test_x), digits.test_y)
    assert figures.accuracy >= (0.97 if digits.is_mnist else 0.9)
    assert math.isfinite(figures.loss)


def test_a_convolution_trains_as_well_as_in_float():
    """The same network, samples and learning rate; bench/bench_training_int.py trains on all digits and reaches 98 %."""
    digits = mnist()
    layers = [Conv2D(12, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10)]
    x, test = (images[..., None] for images in (digits.train_x[:6000], digits.test_x[:2000]))
    real = Sequential((28, 28, 1), layers, seed=1)
    real.fit((x / 255).astype(np.float32), digits.train_y[:6000], optimizer=SGD(0.1), epochs=2, batch_size=32)
    want = real.evaluate((test / 255).astype(np.float32), digits.test_y[:2000]).accuracy
    net = IntegerSequential((28, 28, 1), layers, seed=1)
    net.fit((x.astype(np.int16) - 128).astype(np.int8), digits.train_y[:6000], epochs=2, batch_size=32, learning_rate=0.1)
    got = net.evaluate((test.astype(np.int16) - 128).astype(np.int8), digits.test_y[:2000]).accuracy
    assert got >= want - 0.015, (got, want)


@pytest.mark.parametrize(
    ("work", "error", "says"),
    [
        (lambda net, x: net.fit(x, np.array([0, 1, 3])), ValueError, r"fit: y\[2\] is 3; expected labels in \[0, 2\]"),
        (lambda net, x: net.fit(x, np.array([0, 1])), ValueError, r"fit: y has shape \(2,\); expected \(3,\)"),
        (lambda net, x: net.fit(x[:, :5], np.zeros(3, int)), ValueError, r"x has shape \(3, 5\); expected \(n, 11\)"),
        (lambda net, x: net.fit(x.astype(float), np.zeros(3, int)), TypeError, "x is an array of float64"),
        (
            lambda net, x: net.fit(np.where(np.eye(3, 11, 2) > 0, np.float32(np.nan), 0), np.zeros(3, int)),
            ValueError,
            r"fit: x\[0, 2\] is nan; expected finite numbers",
        ),
        (
            lambda net, x: net.fit(x, np.full((3, 3), np.inf, np.float32)),
            ValueError,
            r"fit: y\[0, 0\] is inf; expected finite numbers",
        ),
        (lambda net, x: net.fit(x, np.zeros((3, 3))), TypeError, "y is no array of int8 or float32"),
        (lambda net, x: net.fit(x, np.zeros((3, 2), np.int8)), ValueError, r"y has shape \(3, 2\); expected \(3, 3\)"),
        (lambda net, x: net.fit(x, np.zeros(3, int), loss=Huber()), TypeError, "in integers there are"),
        (lambda net, x: net.fit(x, np.zeros(3, int), learning_rate=-1), ValueError, "learning_rate is -1"),
        (
            lambda net, x: net.fit(x, np.zeros(3, int), batch_size=40000),
            ValueError,
            "batch_size is 40000; expected 1",
        ),
        (lambda *_: IntegerSequential((4,), [Dense(2, activation="relu")]), ValueError, "the last layer with weights"),
        (
            lambda *_: IntegerSequential((4,), [Dropout(0.5), Dense(2)]),
            TypeError,
            r"layers\[0\] is .* not train in integers",
        ),
        (lambda *_: IntegerSequential((4, 4, 1), [Dense(2)]), ValueError, "put Flatten"),
        (lambda *_: IntegerSequential((40000,), [Dense(2)]), ValueError, "40000 inputs; at most 32767"),
        (
            lambda *_: IntegerSequential((8, 8, 1), [Conv2D(1, 3), Conv2D(30000, 6), Flatten(), Dense(1)]),
            ValueError,
            "the gradient of its input could reach",
        ),
    ],
)
def test_bad_input_is_named(work, error, says):
    net, x = networks()["dense"], np.zeros((3, 11), np.int8)
    before = net.model().digest
    with pytest.raises(error, match=says):
        work(net, x)
    assert net.model().digest == before


def test_models_without_a_head_are_refused(digits_model):
    with pytest.raises(UnsupportedError, match="does not end in 3 dense layers that could be trained; its layers are"):
        IntegerSequential.from_model(digits_model, layers=3)
    with pytest.raises(UnsupportedError, match="too coarse for softmax cross-entropy"):
        IntegerSequential((4,), [Dense(2)], x_scale=1.0, weight_range=8).fit(np.zeros((1, 4), np.int8), np.array([0]))
