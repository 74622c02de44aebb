"""The loss curve equals that of Keras from the same weights and in the same order of samples."""

import importlib

import numpy as np
import pytest

from engine.training import SGD, Adam, AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Sequential, Softmax
from engine.training.fitting import sample_order
from enginekit.datasets import mnist


@pytest.fixture(scope="module")
def keras():
    return importlib.import_module("keras")


def data(shape, count=200, classes=4):
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(0, 1, (classes, *shape))
    y = rng.integers(0, classes, count)
    return (prototypes[y] + rng.normal(0, 0.5, (count, *shape))).astype(np.float32), y


def give_weights(net, model):
    """Keras stores convolution weights as [kernel_h, kernel_w, in, out] and dense ones as [in, out]."""
    weighted = [layer for layer in model.layers if layer.weights]
    for operation, layer in zip([op for op in net.operations if op.parameters], weighted, strict=True):
        w = operation.parameters["w"]
        layer.set_weights([np.moveaxis(w, 0, -1), operation.parameters["bias"]])


def curves(net, model, x, y, optimizer):
    epochs, batch_size = 6, 24
    ours = net.fit(x, y, optimizer=optimizer, epochs=epochs, batch_size=batch_size, seed=3)
    theirs = []
    for epoch in range(epochs):
        order = sample_order(3, epoch, len(x))
        fit = model.fit(x[order], y[order], batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
        theirs.append(fit.history["loss"][0])
    return ours, theirs


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.02, 0.9), Adam(0.002)])
def test_cnn(keras, optimizer):
    k = keras.layers
    net = Sequential(
        (9, 9, 2),
        [
            Conv2D(5, 3, padding="same", activation="relu"),
            MaxPool2D(2),
            Conv2D(6, (2, 3), stride=(1, 2), activation="relu"),
            AveragePool2D(2, 1, "same"),
            Flatten(),
            Dense(4),
        ],
        seed=1,
    )
    model = keras.Sequential(
        [
            k.Input((9, 9, 2)),
            k.Conv2D(5, 3, padding="same", activation="relu"),
            k.MaxPooling2D(2),
            k.Conv2D(6, (2, 3), strides=(1, 2), activation="relu"),
            k.AveragePooling2D(2, 1, "same"),
            k.Flatten(),
            k.Dense(4),
        ]
    )
    check(keras, net, model, optimizer, from_logits=True)


def test_digits(keras):
    """The shorter form of bench/bench_training.py::test_loss_curve_is_that_of_keras, with threads."""
    found = mnist()
    x, y = found.train_x[:1500].astype(np.float32)[..., None] / 255, found.train_y[:1500].astype(np.int64)
    k = keras.layers
    net = Sequential((28, 28, 1), [Conv2D(12, 3, activation="relu", init="he_normal"), MaxPool2D(2), Flatten(), Dense(10)])
    model = keras.Sequential(
        [k.Input((28, 28, 1)), k.Conv2D(12, 3, activation="relu"), k.MaxPooling2D(2), k.Flatten(), k.Dense(10)]
    )
    give_weights(net, model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=loss)
    history = net.fit(x, y, optimizer=SGD(0.01), epochs=4, batch_size=128, threads=2)
    for epoch in range(4):
        order = sample_order(0, epoch, len(x))
        want = model.fit(x[order], y[order], batch_size=128, shuffle=False, verbose=0).history["loss"][0]
        assert history.loss[epoch] == pytest.approx(want, rel=1e-4), f"epoch {epoch}"


def test_dense_with_softmax(keras):
    k = keras.layers
    net = Sequential((30,), [Dense(16, activation="relu6"), Dense(4), Softmax()], seed=2)
    layers = [k.Input((30,)), k.Dense(16, activation="relu6"), k.Dense(4), k.Softmax()]
    check(keras, net, keras.Sequential(layers), Adam(0.01), from_logits=False)


def check(keras, net, model, optimizer, *, from_logits):
    x, y = data(net.input_shape)
    give_weights(net, model)
    if isinstance(optimizer, SGD):
        theirs = keras.optimizers.SGD(optimizer.learning_rate, momentum=optimizer.momentum)
    else:
        theirs = keras.optimizers.Adam(optimizer.learning_rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile(optimizer=theirs, loss=loss, metrics=["accuracy"])
    history, wanted = curves(net, model, x, y, optimizer)
    np.testing.assert_allclose(history.loss, wanted, rtol=1e-4)
    metrics = net.evaluate(x, y)
    want_loss, want_accuracy = model.evaluate(x, y, verbose=0)
    assert metrics.loss == pytest.approx(want_loss, rel=1e-4)
    assert metrics.accuracy == pytest.approx(want_accuracy)
    np.testing.assert_allclose(net.predict(x), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4)
