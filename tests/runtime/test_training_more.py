"""Networks of the further layers and losses learn as in Keras, repeat bit for bit, fold, and refuse what does not fit."""

import importlib

import numpy as np
import pytest

from engine import training as t
from engine.errors import UnsupportedError
from engine.training.fitting import sample_order


def data(shape, count=120, classes=4):
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(0, 1, (classes, *shape))
    y = rng.integers(0, classes, count)
    return (prototypes[y] + rng.normal(0, 0.5, (count, *shape))).astype(np.float32), y


def give_weights(net, model):
    """Keras stores dense and convolution weights as [..., in, out], depthwise ones as [kernel_h, kernel_w, in, multiplier]."""
    theirs = [layer for layer in model.layers if layer.weights]
    ours = [operation for operation in net.operations if operation.parameters]
    for operation, layer in zip(ours, theirs, strict=True):
        p = operation.parameters
        if "gamma" in p:
            layer.set_weights([p["gamma"], p["beta"], *operation.statistics.values()])
        elif type(operation.layer) is t.DepthwiseConv2D:
            layer.set_weights([p["w"][0].reshape(layer.weights[0].shape), p["bias"]])
        else:
            layer.set_weights([np.moveaxis(p["w"], 0, -1), p["bias"]])


def compare(net, model, loss, their_loss, x, y):
    keras = importlib.import_module("keras")
    give_weights(net, model)
    model.compile(optimizer=keras.optimizers.SGD(0.02, momentum=0.5), loss=their_loss)
    ours = net.fit(x, y, loss=loss, optimizer=t.SGD(0.02, 0.5), epochs=4, batch_size=24, seed=3)
    for epoch, got in enumerate(ours.loss):
        order = sample_order(3, epoch, len(x))
        want = model.fit(x[order], y[order], batch_size=24, epochs=1, shuffle=False, verbose=0).history["loss"][0]
        assert got == pytest.approx(want, rel=1e-4), f"epoch {epoch}"
    np.testing.assert_allclose(net.predict(x), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4)


def test_depthwise_and_batch_norm_equal_keras():
    k = importlib.import_module("keras").layers
    layers = [
        t.Conv2D(4, 3),
        t.BatchNorm(0.8),
        t.Relu(),
        t.DepthwiseConv2D(3, 2, padding="same", activation="relu"),
        t.BatchNorm(0.9, 0.01),
        t.Flatten(),
        t.Dense(4),
    ]
    model = [
        k.Input((7, 7, 2)),
        k.Conv2D(4, 3),
        k.BatchNormalization(momentum=0.8),
        k.ReLU(),
        k.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu"),
        k.BatchNormalization(momentum=0.9, epsilon=0.01),
        k.Flatten(),
        k.Dense(4),
    ]
    keras = importlib.import_module("keras")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net = t.Sequential((7, 7, 2), layers, seed=1)
    compare(net, keras.Sequential(model), t.SoftmaxCrossEntropy(), loss, *data((7, 7, 2)))


def test_activations_and_binary_cross_entropy_equal_keras():
    keras = importlib.import_module("keras")
    k = keras.layers
    net = t.Sequential(
        (10,),
        [
            t.Dense(9),
            t.LeakyRelu(0.2),
            t.Dense(8),
            t.Elu(0.7),
            t.Dense(8),
            t.Tanh(),
            t.Dense(7),
            t.Softplus(),
            t.Dense(6),
            t.Sigmoid(),
            t.Dense(2),
            t.Exponential(),
            t.Dense(1),
            t.Sigmoid(),
        ],
        seed=2,
    )
    model = [
        k.Input((10,)),
        k.Dense(9),
        k.LeakyReLU(negative_slope=0.2),
        k.Dense(8),
        k.ELU(0.7),
        k.Dense(8, activation="tanh"),
        k.Dense(7, activation="softplus"),
        k.Dense(6, activation="sigmoid"),
        k.Dense(2, activation="exponential"),
        k.Dense(1, activation="sigmoid"),
    ]
    x, y = data((10,), classes=2)
    compare(net, keras.Sequential(model), t.BinaryCrossEntropy(), "binary_crossentropy", x, y[:, None])
    assert net.evaluate(x, y, loss=t.BinaryCrossEntropy()).accuracy == np.mean((net.predict(x)[:, 0] > 0.5) == y)


@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        (t.MAE(), "mean_absolute_error"),
        (t.Huber(), "huber"),
        (t.MSLE(), "mean_squared_logarithmic_error"),
        (t.SquaredHinge(), "squared_hinge"),
        (t.CategoricalCrossEntropy(), "categorical_crossentropy"),
    ],
)
def test_losses_train_as_in_keras(loss, theirs):
    keras = importlib.import_module("keras")
    x, y = data((6,), classes=3)
    target = np.eye(3, dtype=np.float32)[y]
    net = t.Sequential((6,), [t.Dense(5, activation="relu"), t.Dense(3), t.Softmax()], seed=4)
    k = keras.layers
    model = keras.Sequential([k.Input((6,)), k.Dense(5, activation="relu"), k.Dense(3), k.Softmax()])
    compare(net, model, loss, theirs, x, target)


def rich(seed=0):
    layers = [t.Conv2D(3, 3), t.BatchNorm(0.5), t.Relu(), t.Dropout(0.3), t.Flatten(), t.Dense(4), t.BatchNorm(0.5)]
    return t.Sequential((5, 5, 1), layers, seed=seed)


def test_dropout_and_statistics_resume_bit_for_bit(tmp_path):
    x, y = data((5, 5, 1))
    whole, half = rich(), rich()
    options = {"optimizer": t.RMSprop(0.01), "batch_size": 32}
    whole.fit(x, y, epochs=4, **options)
    half.fit(x, y, epochs=2, **options)
    half.save(tmp_path / "half")
    back = t.load(tmp_path / "half")
    back.fit(x, y, epochs=2, **options)
    for name, array in (whole.parameters | whole.statistics).items():
        np.testing.assert_array_equal((back.parameters | back.statistics)[name], array, err_msg=name)
    np.testing.assert_array_equal(back.predict(x), whole.predict(x))


def test_batch_norm_folds_and_dropout_goes():
    x, y = data((5, 5, 1))
    net = rich()
    net.fit(x, y, optimizer=t.Adam(0.01), epochs=3)
    folded = t.from_network(net.network())
    assert [type(layer).__name__ for layer in folded.layers] == ["Conv2D", "Relu", "Flatten", "Dense"]
    np.testing.assert_allclose(folded.predict(x), net.predict(x), rtol=1e-4, atol=1e-5)


def test_network_names_all_that_int8_cannot_take():
    net = t.Sequential((4,), [t.Dense(3, activation="relu"), t.BatchNorm(), t.Elu(), t.Dense(2), t.Softplus()])
    with pytest.raises(UnsupportedError, match=r"batch_norm: BatchNorm does not follow .* elu: Elu .* softplus: Softplus"):
        net.network()


def residual(seed=0):
    """Identity and projection shortcuts, with activations, batch normalization and dropout inside."""
    layers = [
        t.Conv2D(4, 3, padding="same", activation="relu"),
        t.Residual([t.Conv2D(6, 3, padding="same", activation="relu"), t.Conv2D(4, 3, padding="same")], activation="relu"),
        t.Residual([t.Conv2D(5, 3, stride=2), t.BatchNorm(0.7), t.Relu()], [t.Conv2D(5, 3, stride=2)]),
        t.Flatten(),
        t.Residual([t.Dense(20, activation="relu6"), t.Dense(20)], [t.Dense(20)]),
        t.Dense(4),
    ]
    return t.Sequential((7, 7, 2), layers, seed=seed)


def operations_of(net):
    """The operations with parameters, those of branches in place."""
    for operation in net.operations:
        inside = [*operation.body, *operation.shortcut] if type(operation.layer) is t.Residual else [operation]
        yield from (op for op in inside if op.parameters)


def test_residual_equals_keras():
    keras = importlib.import_module("keras")
    k = keras.layers
    same = {"padding": "same"}
    made = [
        k.Conv2D(4, 3, activation="relu", **same),
        k.Conv2D(6, 3, activation="relu", **same),
        k.Conv2D(4, 3, **same),
        k.Conv2D(5, 3, strides=2),
        k.BatchNormalization(momentum=0.7),
        k.Conv2D(5, 3, strides=2),
        k.Dense(20, activation="relu6"),
        k.Dense(20),
        k.Dense(20),
        k.Dense(4),
    ]
    given = k.Input((7, 7, 2))
    x = made[0](given)
    x = k.ReLU()(k.Add()([made[2](made[1](x)), x]))
    x = k.Flatten()(k.Add()([k.ReLU()(made[4](made[3](x))), made[5](x)]))
    model = keras.Model(given, made[9](k.Add()([made[7](made[6](x)), made[8](x)])))
    net = residual(3)
    for operation, layer in zip(operations_of(net), made, strict=True):
        p = operation.parameters
        normalizes = "gamma" in p
        layer.set_weights(
            [*p.values(), *operation.statistics.values()] if normalizes else [np.moveaxis(p["w"], 0, -1), p["bias"]]
        )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.02, momentum=0.5), loss=loss)
    x, y = data((7, 7, 2))
    np.testing.assert_allclose(net.predict(x), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4)
    got = net.fit(x, y, optimizer=t.SGD(0.02, 0.5), epochs=4, batch_size=24, seed=3).loss
    for epoch in range(4):
        order = sample_order(3, epoch, len(x))
        want = model.fit(x[order], y[order], batch_size=24, shuffle=False, verbose=0).history["loss"][0]
        assert got[epoch] == pytest.approx(want, rel=1e-4), f"epoch {epoch}"


@pytest.mark.parametrize("precision", ["fp32/fp32", "fp16/fp16"])
def test_residual_resumes_and_repeats_bit_for_bit(tmp_path, precision):
    x, y = data((7, 7, 2))
    options = {"optimizer": t.SGD(0.02, 0.9), "batch_size": 50, "precision": precision}
    whole, half = residual(), residual()
    whole.fit(x, y, epochs=3, threads=3, **options)
    half.fit(x, y, epochs=1, **options)
    half.save(tmp_path / "half")
    back = t.load(tmp_path / "half")
    assert back.layers == half.layers
    back.fit(x, y, epochs=2, **options)
    for name, array in (whole.parameters | whole.statistics).items():
        np.testing.assert_array_equal((back.parameters | back.statistics)[name], array, err_msg=name)
    assert {"residual/conv2d/w", "residual_1/conv2d_1/bias", "residual_2/dense/w"} <= set(whole.parameters)


def test_residual_goes_to_a_network_and_back():
    x, y = data((7, 7, 2))
    net = residual()
    net.fit(x, y, epochs=2)
    made = net.network()
    back = t.from_network(made)
    np.testing.assert_allclose(back.predict(x), net.predict(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(t.from_network(back.network()).predict(x), back.predict(x))


def test_residual_refuses_what_does_not_fit():
    with pytest.raises(
        ValueError, match=r"layer residual: its layers give \(3,\) but its shortcut gives \(4,\); expected the same"
    ):
        t.Sequential((4,), [t.Residual([t.Dense(3)])])
    with pytest.raises(ValueError, match="layer residual: layer conv2d: takes an image"):
        t.Sequential((4,), [t.Residual([t.Conv2D(3, 3)])])
    with pytest.raises(ValueError, match="Residual: layers is empty"):
        t.Residual([])
    with pytest.raises(TypeError, match="Residual: shortcut is 3; expected a sequence of layers"):
        t.Residual([t.Dense(2)], 3)


def test_targets_are_checked():
    x = np.zeros((3, 4), np.float32)
    net = t.Sequential((4,), [t.Dense(2)])
    with pytest.raises(ValueError, match=r"fit: y\[1\] is .*; expected shares of at least 0 that sum to 1"):
        net.fit(x, np.float32([[1, 0], [1, 1], [0, 1]]), loss=t.CategoricalCrossEntropy())
    with pytest.raises(ValueError, match=r"fit: y holds 2\.0; BinaryCrossEntropy expects targets in \[0, 1\]"):
        net.fit(x, np.float32([[1, 0], [2, 1], [0, 1]]), loss=t.BinaryCrossEntropy())
    with pytest.raises(TypeError, match="fit: y has dtype float64; Huber expects float32 targets"):
        net.fit(x, np.zeros((3, 2)), loss=t.Huber())
    with pytest.raises(ValueError, match="Dropout: rate is 1"):
        t.Dropout(1)
    with pytest.raises(ValueError, match="layer depthwise_conv2d: takes an image"):
        t.Sequential((4,), [t.DepthwiseConv2D(3)])
