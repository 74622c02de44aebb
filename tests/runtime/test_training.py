"""Networks learn, repeat bit for bit, convert, and refuse bad input before any work."""

import io
import signal
import subprocess
import sys

import numpy as np
import pytest
import reference_f32 as oracle

from engine import network, training
from engine.errors import DivergedError, UnsupportedError
from engine.graph import Activation, Padding
from engine.training import (
    MSE,
    SGD,
    Adam,
    AveragePool2D,
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    Relu,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    stepping,
)
from engine.training.fitting import sample_order

XOR_X = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR_Y = np.array([0, 1, 1, 0])


def stripes(count=240, seed=0):
    """Images of 8x8 with bright rows (class 0), columns (1) or a diagonal (2), in noise."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 0.3, (count, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, count)
    for image, label in zip(x, y, strict=True):
        at = rng.integers(0, 8)
        if label == 0:
            image[at] += 1
        elif label == 1:
            image[:, at] += 1
        else:
            image[np.arange(8), np.arange(8)] += 1
    return x, y


def small_cnn(seed=0):
    layers = [Conv2D(6, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(3)]
    return Sequential((8, 8, 1), layers, seed=seed)


def test_xor_is_learned():
    net = Sequential((2,), [Dense(8, activation="relu"), Dense(2)], seed=1)
    history = net.fit(XOR_X, XOR_Y, optimizer=Adam(0.05), epochs=100, batch_size=4)
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert history.accuracy[-1] == 1.0
    assert net.evaluate(XOR_X, XOR_Y).accuracy == 1.0
    np.testing.assert_array_equal(net.predict(XOR_X).argmax(axis=1), XOR_Y)


def test_a_line_is_fitted_by_regression():
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    y = 3 * x - 2
    net = Sequential((1,), [Dense(1)])
    history = net.fit(x, y, optimizer=SGD(0.1, 0.9), epochs=60, batch_size=16)
    assert history.accuracy == []
    w, bias = net.parameters["dense/w"].item(), net.parameters["dense/bias"].item()
    assert (w, bias) == (pytest.approx(3, abs=1e-3), pytest.approx(-2, abs=1e-3))
    metrics = net.evaluate(x, y)
    assert metrics.accuracy is None
    assert metrics.loss < 1e-6


def test_images_are_learned_by_a_cnn_and_validated():
    x, y = stripes()
    net = small_cnn()
    history = net.fit(x, y, optimizer=Adam(0.01), epochs=15, batch_size=16, validation=stripes(90, seed=1))
    assert history.validation_accuracy[-1] > 0.95
    assert len(history.validation_loss) == len(history.seconds) == 15
    metrics = net.evaluate(*stripes(90, seed=1))
    assert (metrics.loss, metrics.accuracy) == (history.validation_loss[-1], history.validation_accuracy[-1])


@pytest.mark.parametrize(
    "layers",
    [
        [Conv2D(4, 3, padding="same", stride=2, activation="relu6"), AveragePool2D(2), Flatten(), Dense(3), Softmax()],
        [Conv2D(4, (3, 2), dilation=2), Relu(), Conv2D(5, 1, activation="relu"), MaxPool2D(2, 1, "same"), Flatten(), Dense(3)],
        [Flatten(), Relu(6), Dense(9, init="glorot_normal"), Relu(max_value=1.5), Dense(3, init="he_normal"), Softmax()],
    ],
)
def test_every_layer_learns(layers):
    x, y = stripes()
    history = Sequential((8, 8, 1), layers).fit(x, y, optimizer=Adam(0.005), epochs=12, batch_size=8)
    assert history.loss[-1] < 0.75 * history.loss[0]


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), MSE()])
def test_gradients_through_a_whole_network(loss):
    """What one SGD step changes, against central differences of the loss in float64."""
    layers = [
        Conv2D(2, 2, padding="same", activation="relu6"),
        AveragePool2D(2),
        MaxPool2D((2, 1)),
        Flatten(),
        Dense(3),
        Softmax(),
    ]
    net = Sequential((4, 4, 2), layers, seed=4)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (5, 4, 4, 2)).astype(np.float32)
    y = np.array([0, 1, 2, 1, 0]) if loss == SoftmaxCrossEntropy() else rng.uniform(0, 1, (5, 3)).astype(np.float32)
    before = {name: array.astype(float) for name, array in net.parameters.items()}

    def exact(**changed):
        p = before | {name.replace("__", "/"): value for name, value in changed.items()}
        conv, pool, peak = (net.operations[i].window for i in range(3))
        h = oracle.relu(oracle.conv2d(conv, x, p["conv2d/w"], p["conv2d/bias"]), 6)
        h = oracle.max_pool2d(peak, oracle.average_pool2d(pool, h)).reshape(5, -1)
        h = oracle.dense(h, p["dense/w"], p["dense/bias"])
        values = oracle.softmax_cross_entropy(h, y) if loss == SoftmaxCrossEntropy() else oracle.mse(oracle.softmax(h), y)
        return values.mean()

    net.fit(x, y, loss=loss, optimizer=SGD(1.0), batch_size=5)
    for name, array in net.parameters.items():
        want = oracle.central_difference(lambda v, name=name: exact(**{name.replace("/", "__"): v}), before[name])
        oracle.assert_close(before[name] - array, want, 2e-6, f"{loss} {name}")


def test_same_seed_same_bits():
    x, y = stripes()
    nets = [small_cnn(seed=7) for _ in range(2)]
    histories = [net.fit(x, y, epochs=2, batch_size=32) for net in nets]
    assert histories[0].loss == histories[1].loss
    for name, array in nets[0].parameters.items():
        np.testing.assert_array_equal(array, nets[1].parameters[name])
    other = small_cnn(seed=8)
    assert not np.array_equal(other.parameters["conv2d/w"], small_cnn(seed=7).parameters["conv2d/w"])


def test_one_long_fit_is_two_short_ones():
    x, y = stripes()
    once, twice = small_cnn(), small_cnn()
    once.fit(x, y, optimizer=SGD(0.01, 0.9), epochs=4, batch_size=50)
    twice.fit(x, y, optimizer=SGD(0.01, 0.9), epochs=2, batch_size=50)
    twice.fit(x, y, optimizer=SGD(0.01, 0.9), epochs=2, batch_size=50)
    for name, array in once.parameters.items():
        np.testing.assert_array_equal(array, twice.parameters[name])


def test_predict_does_not_depend_on_the_batch():
    x, _ = stripes(30)
    net = small_cnn()
    np.testing.assert_array_equal(net.predict(x), net.predict(x, batch_size=1))
    np.testing.assert_array_equal(net.predict(x), net.predict(x, batch_size=7))


def test_softmax_at_the_end_trains_like_logits():
    x, y = stripes()
    plain = Sequential((8, 8, 1), [Flatten(), Dense(3)], seed=2)
    ended = Sequential((8, 8, 1), [Flatten(), Dense(3), Softmax()], seed=2)
    assert plain.fit(x, y, epochs=2).loss == ended.fit(x, y, epochs=2).loss
    np.testing.assert_array_equal(plain.parameters["dense/w"], ended.parameters["dense/w"])
    oracle.assert_close(ended.predict(x), oracle.softmax(plain.predict(x)), 1e-6, "softmax")
    assert plain.evaluate(x, y) == ended.evaluate(x, y)


def test_sample_order_is_a_new_permutation_every_epoch():
    orders = [sample_order(0, epoch, 100) for epoch in range(3)]
    assert all(sorted(order.tolist()) == list(range(100)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[1], sample_order(0, 1, 100))
    assert sample_order(0, 0, 8).tolist() == sample_order(0, 0, 8).tolist()


def test_network_holds_what_was_trained():
    x, _ = stripes(4)
    layers = [
        Conv2D(4, 3, (2, 1), "same", 1, "relu"),
        MaxPool2D(2, 1),
        AveragePool2D((1, 2)),
        Flatten(),
        Dense(3),
        Relu(6),
        Softmax(),
    ]
    net = Sequential((8, 8, 1), layers, name="stripes")
    made = net.network()
    assert made.name == "stripes"
    assert made.input_shape == (8, 8, 1)
    assert [layer.name for layer in made.layers] == [
        "conv2d", "max_pool2d", "average_pool2d", "flatten", "dense", "relu", "softmax",
    ]  # fmt: skip
    conv = made.layers[0]
    assert isinstance(conv, network.Conv2D)
    assert (conv.stride, conv.dilation, conv.padding, conv.activation) == ((2, 1), (1, 1), Padding.SAME, Activation.RELU)
    back = training.from_network(made)
    assert back.layers == net.layers
    np.testing.assert_array_equal(back.predict(x), net.predict(x))
    back.parameters["dense/w"][:] = 0
    assert made.layers[4].w.any()
    assert net.parameters["dense/w"].any()


def test_from_network_lists_all_that_is_not_supported():
    w, bias = np.zeros((2, 2), np.float32), np.zeros(2, np.float32)
    bad = network.Network(
        "bad",
        (2,),
        (
            network.Dense("a", w, bias, Activation.RELU_N1_TO_1),
            network.Relu("b", -1.0),
            network.Softmax("c"),
            network.Softmax("c"),
        ),
    )
    with pytest.raises(UnsupportedError) as caught:
        training.from_network(bad)
    for part in ("layer a: Dense: activation", "layer b: Relu: max_value is -1.0", "layer c: the name is used more than once"):
        assert part in str(caught.value)


@pytest.fixture
def ctrl_c():
    """Ctrl-C interrupts, as at a terminal; what is started in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_returns_the_history_so_far(monkeypatch):
    x, y = stripes()
    net = small_cnn()
    original, calls = stepping.train_batch, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 40:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments, **options)

    monkeypatch.setattr(stepping, "train_batch", interrupted)
    history = net.fit(x, y, epochs=1000, batch_size=16)  # 15 batches an epoch
    assert history.interrupted
    assert len(history.loss) == 2
    assert len(calls) == 40
    assert np.isfinite(net.predict(x)).all()
    assert net.epochs == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()
    assert not net.fit(x, y, epochs=1).interrupted


def test_a_foreign_interrupt_handler_still_ends_the_fit_with_a_history(monkeypatch):
    x, y = stripes()
    net = small_cnn()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(stepping, "train_batch", interrupt)
    history = net.fit(x, y)
    assert history.interrupted
    assert history.loss == []


def test_divergence_names_epoch_batch_and_layer():
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    net = Sequential((1,), [Dense(4, activation="relu"), Dense(1)])
    with pytest.raises(
        DivergedError, match=r"epoch \d+, batch \d+: training diverged: .* layer dense.*lower the learning rate"
    ):
        net.fit(100 * x, x, optimizer=SGD(10.0), epochs=50, batch_size=8)
    net = Sequential((1,), [Dense(1)])
    net.parameters["dense/w"][:] = np.nan
    with pytest.raises(DivergedError, match="epoch 1, batch 1: training diverged: w of layer dense holds NaN"):
        net.fit(x, x)
    net = Sequential((1,), [Dense(1)])
    with pytest.raises(DivergedError, match="end of epoch 1: training diverged: w of layer dense holds NaN"):
        net.fit(x, np.float32(1e19) * x, optimizer=SGD(1e30), batch_size=64)


X, Y = stripes(6)


def spoiled(sample):
    """X with a NaN in one sample."""
    x = X.copy()
    x[sample, 0, 0, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X.astype(float)}, TypeError, r"fit: x has dtype float64; expected float32"),
        ({"x": (X * 255).astype(np.uint8)}, TypeError, r"fit: x has dtype uint8; expected float32 .* / 255"),
        ({"x": X.tolist()}, TypeError, r"fit: x is of type list"),
        ({"x": X[..., 0]}, ValueError, r"fit: x has shape \(6, 8, 8\); expected \(n, 8, 8, 1\)"),
        ({"x": X[:0]}, ValueError, r"fit: x has shape \(0, 8, 8, 1\); expected .* n >= 1"),
        (
            {"x": np.where(np.arange(6).reshape(6, 1, 1, 1) == 4, np.float32(np.nan), X)},
            ValueError,
            r"fit: x\[4, 0, 0, 0\] is nan",
        ),
        ({"y": Y[:5]}, ValueError, r"fit: y has shape \(5,\); expected \(6,\)"),
        ({"y": np.array([0, 1, 2, 3, 0, 0])}, ValueError, r"fit: y\[3\] is 3; expected labels in \[0, 2\]"),
        ({"y": np.array([0, 1, -1, 0, 0, 0])}, ValueError, r"fit: y\[2\] is -1"),
        ({"y": np.eye(3)[Y], "loss": SoftmaxCrossEntropy()}, TypeError, r"expects integer class labels"),
        ({"y": np.eye(3)[Y]}, TypeError, r"y has dtype float64; MSE expects float32"),
        ({"y": Y.astype(np.float32)}, ValueError, r"y has shape \(6,\); expected \(6, 3\)"),
        ({"y": np.full((6, 3), np.inf, np.float32)}, ValueError, r"fit: y\[0, 0\] is inf"),
        ({"epochs": 0}, ValueError, r"fit: epochs is 0"),
        ({"batch_size": 0}, ValueError, r"fit: batch_size is 0"),
        ({"batch_size": 1.5}, TypeError, r"fit: batch_size is of type float"),
        ({"seed": -1}, ValueError, r"fit: seed is -1"),
        ({"optimizer": "adam"}, TypeError, r"fit: optimizer is 'adam'; expected SGD"),
        ({"loss": "mse"}, TypeError, r"fit: loss is 'mse'"),
        ({"validation": X}, TypeError, r"validation is not a pair"),
        ({"validation": (X, Y[:2])}, ValueError, r"fit: validation: y has shape \(2,\)"),
        ({"validation": (X[:, :7], Y)}, ValueError, r"fit: validation x has shape"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(arguments, error, message):
    net = small_cnn()
    before = {name: array.copy() for name, array in net.parameters.items()}
    with pytest.raises(error, match=message):
        net.fit(**({"x": X, "y": Y} | arguments))
    assert net.optimizer is None
    for name, array in net.parameters.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sequential((8, 8, 1), []), ValueError, "layers is empty"),
        (lambda: Sequential((8, 8), [Flatten()]), ValueError, r"input_shape is \(8, 8\); expected"),
        (lambda: Sequential((8, 8, 1), ["dense"]), TypeError, r"layers\[0\] is 'dense'; expected one of Dense"),
        (
            lambda: Sequential((8, 8, 1), [Dense(3)]),
            ValueError,
            r"layer dense: .* a vector, not \(8, 8, 1\); put Flatten",
        ),
        (lambda: Sequential((9,), [Conv2D(3, 3)]), ValueError, r"layer conv2d: takes an image"),
        (
            lambda: Sequential((8, 8, 1), [Conv2D(3, 9)]),
            ValueError,
            r"layer conv2d: kernel of 9x9 pixels is larger",
        ),
        (lambda: Sequential((8, 8, 1), [MaxPool2D(2), MaxPool2D(5)]), ValueError, r"layer max_pool2d_1: kernel of 5x5"),
        (lambda: Sequential((300, 300, 1), [Flatten(), Dense(2)]), ValueError, r"at most 65535 inputs, not 90000"),
        (lambda: Sequential((4, 4, 1), [Conv2D(1, 2, padding="same", dilation=9)]), ValueError, r"sees padding alone"),
        (lambda: Dense(0), ValueError, r"Dense: units is 0"),
        (lambda: Dense(3, activation="softmax"), ValueError, r"expected a layer Softmax\(\) of its own"),
        (lambda: Dense(3, activation="tanh"), ValueError, r"activation is 'tanh'; expected one of 'none', 'relu', 'relu6'"),
        (lambda: Dense(3, init="ones"), ValueError, r"init is 'ones'; expected one of 'he_uniform'"),
        (lambda: Conv2D(3, (1, 2, 3)), ValueError, r"Conv2D: kernel has 3 numbers"),
        (lambda: Conv2D(3, 3, padding="full"), ValueError, r"Conv2D: padding is 'full'; expected one of 'valid', 'same'"),
        (lambda: MaxPool2D(2, 0), ValueError, r"MaxPool2D: stride is 0"),
        (lambda: Relu(0), ValueError, r"Relu: max_value is 0"),
        (lambda: SGD(0.0), ValueError, r"SGD: learning_rate is 0"),
        (lambda: SGD(0.1, momentum=1.0), ValueError, r"SGD: momentum is 1"),
        (lambda: Adam(beta2=-0.1), ValueError, r"Adam: beta2 is -0\.1"),
    ],
)
def test_bad_networks_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_cross_entropy_needs_a_vector_of_classes():
    x, y = stripes(4)
    with pytest.raises(ValueError, match=r"needs a vector of at least 2 outputs, one a class; this network gives \(6, 6, 2\)"):
        Sequential((8, 8, 1), [Conv2D(2, 3)]).fit(x, y)


def test_summary_and_counts():
    net = small_cnn()
    assert net.parameter_count == 6 * 9 + 6 + 54 * 3 + 3
    lines = net.summary().splitlines()
    assert lines[1].split() == ["conv2d", "Conv2D", "(6,", "6,", "6)", "60"]
    assert lines[-1].split() == ["total", "225"]


def test_progress_is_silent_without_a_terminal(capfd):
    small_cnn().fit(*stripes(20), progress=True)
    assert capfd.readouterr() == ("", "")


def test_progress_draws_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    small_cnn().fit(*stripes(20), epochs=2, batch_size=5, progress=True)
    assert "epoch 2/2" in terminal.getvalue()
    assert "accuracy" in terminal.getvalue()


def test_training_loads_nothing_heavy():
    code = "import sys, engine.training; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "tensorflow", "keras", "enginekit", "matplotlib", "sklearn"} & set(loaded)
