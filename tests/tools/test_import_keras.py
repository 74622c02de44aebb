"""Keras models as float networks: same numbers as Keras, and everything else refused by name."""

import re

import float_oracle
import keras
import numpy as np
import pytest

from engine import training
from engine.errors import FormatError, UnsupportedError
from engine.graph import Activation, Padding
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Relu, Softmax
from enginekit.importers import from_keras

L = keras.layers


def randomized(model, seed=1):
    """Every weight random, biases and normalization statistics included."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.9, w.shape) - (0.5 if w.ndim > 1 else 0.0) for w in model.get_weights()])
    return model


def sequential(*layers, shape=(11, 9, 2), seed=1):
    return randomized(keras.Sequential([keras.Input(shape), *layers]), seed)


def assert_same(model, network, seed=2, tolerance=2e-5):
    x = np.random.default_rng(seed).standard_normal((3, *network.input_shape)).astype(np.float32)
    want = np.asarray(model(x, training=False))
    got = float_oracle.forward(network, x)[-1]
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


MODELS = {
    "dense": ([L.Dense(5, activation="relu"), L.Dense(3, activation="softmax")], (7,)),
    "no bias": ([L.Dense(4, use_bias=False)], (6,)),
    "conv": ([L.Conv2D(3, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(4)], (11, 9, 2)),
    "stride same": ([L.Conv2D(4, (3, 2), strides=(2, 3), padding="same", activation="relu6")], (11, 9, 2)),
    "dilation": ([L.Conv2D(2, 3, dilation_rate=(2, 1), padding="same", use_bias=False)], (11, 9, 2)),
    "pools": ([L.AveragePooling2D((3, 2), strides=2, padding="same"), L.MaxPooling2D(3, 2, padding="same")], (11, 9, 2)),
    "global average": ([L.Conv2D(3, 2), L.GlobalAveragePooling2D(), L.Softmax()], (5, 5, 1)),
    "global max": ([L.GlobalMaxPooling2D(keepdims=True), L.Flatten()], (5, 4, 3)),
    "activations": ([L.Conv2D(2, 2), L.ReLU(6.0), L.Activation("linear"), L.Activation("relu"), L.Reshape((80,))], (9, 6, 1)),
    "no operations": ([L.Dropout(0.5), L.Dense(3), L.GaussianNoise(1.0), L.Activation("softmax")], (4,)),
    "normalized": (
        [L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(4), L.BatchNormalization()],
        (6, 6, 2),
    ),
    "plain normalization": ([L.Dense(4), L.BatchNormalization(center=False, scale=False)], (3,)),
    "nested": ([keras.Sequential([L.Dense(4, activation="relu"), L.Dense(3)]), L.Softmax()], (5,)),
}


@pytest.mark.parametrize("name", MODELS)
def test_same_numbers_as_keras(name):
    layers, shape = MODELS[name]
    model = randomized(keras.Sequential([keras.Input(shape), *(clone(layer) for layer in layers)]))
    assert_same(model, from_keras(model))


def clone(layer):
    return type(layer).from_config(layer.get_config())


@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions_as_keras(seed):
    rng = np.random.default_rng(seed)
    strided = rng.random() < 0.5
    layer = L.Conv2D(
        int(rng.integers(1, 5)),
        tuple(int(k) for k in rng.integers(1, 4, 2)),
        strides=tuple(int(s) for s in rng.integers(1, 4, 2)) if strided else 1,
        dilation_rate=1 if strided else tuple(int(d) for d in rng.integers(1, 3, 2)),
        padding=["same", "valid"][int(rng.integers(2))],
        activation=[None, "relu", "relu6"][int(rng.integers(3))],
    )
    model = sequential(layer, shape=(*(int(s) for s in rng.integers(6, 13, 2)), int(rng.integers(1, 4))), seed=seed)
    assert_same(model, from_keras(model))


def test_layouts_and_names():
    model = sequential(
        L.Conv2D(5, (3, 2), strides=2, padding="same", activation="relu", name="edges"),
        L.MaxPooling2D((3, 2), name="pool"),
        L.Flatten(name="flat"),
        L.Dense(4, activation="softmax", name="digit"),
        shape=(11, 9, 2),
    )
    network = from_keras(model)
    conv, pool, flat, dense, softmax = network.layers
    kernel = np.asarray(model.layers[0].kernel)
    assert isinstance(conv, Conv2D)
    assert conv.w.shape == (5, 3, 2, 2)
    assert conv.w[4, 2, 1, 0] == kernel[2, 1, 0, 4]
    assert (conv.name, conv.stride, conv.padding, conv.activation) == ("edges", (2, 2), Padding.SAME, Activation.RELU)
    assert pool == MaxPool2D("pool", (3, 2), (3, 2), Padding.VALID)
    assert flat == Flatten("flat")
    assert isinstance(dense, Dense)
    assert np.array_equal(dense.w, np.asarray(model.layers[3].kernel).T)
    assert dense.w.flags["C_CONTIGUOUS"]
    assert softmax == Softmax("digit_softmax")
    assert (network.name, network.input_shape) == (model.name, (11, 9, 2))


def test_functional_chain_as_sequential():
    x = keras.Input((8, 8, 1))
    y = L.Flatten()(L.AveragePooling2D(2)(L.Conv2D(3, 3, activation="relu")(x)))
    model = randomized(keras.Model(x, L.Dense(2)(y)))
    network = from_keras(model)
    assert [type(layer) for layer in network.layers] == [Conv2D, AveragePool2D, Flatten, Dense]
    assert_same(model, network)


def test_part_of_a_larger_model():
    whole = sequential(L.Conv2D(3, 3), L.ReLU(), L.Flatten(), L.Dense(2))
    part = keras.Model(whole.inputs, whole.layers[1].output)
    network = from_keras(part)
    assert [type(layer) for layer in network.layers] == [Conv2D, Relu]
    assert_same(part, network)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files(tmp_path, suffix):
    model = sequential(L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(4))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    assert_same(model, from_keras(path))
    assert_same(model, from_keras(str(path)))


def test_everything_unsupported_is_listed_at_once():
    model = sequential(
        L.Conv2D(4, 3, groups=2, name="grouped"),
        L.UpSampling2D(name="larger"),
        L.Conv2D(2, 1, activation="elu", name="curved"),
        L.BatchNormalization(name="late"),
        L.ReLU(negative_slope=0.5, name="leaky"),
        L.Reshape((-1, 2), name="matrix"),
        L.Dense(3, name="rows"),
        L.Softmax(axis=1, name="columns"),
    )
    with pytest.raises(UnsupportedError) as error:
        from_keras(model)
    text = str(error.value)
    assert "8 layers are not supported" in text
    for part in (
        "layer 0 'grouped' (Conv2D): groups is 2; only 1",
        "layer 1 'larger' (UpSampling2D): not supported",
        "layer 2 'curved' (Conv2D): activation is elu; only linear, relu, relu6, sigmoid, softmax, tanh",
        "layer 3 'late' (BatchNormalization): can only be folded directly after a Dense or convolution",
        "layer 4 'leaky' (ReLU): max_value None, negative_slope 0.5",
        "layer 5 'matrix' (Reshape): reshapes to (",
        "layer 6 'rows' (Dense): works on the last axis of (",
        "layer 7 'columns' (Softmax): axis is 1; only the last",
    ):
        assert part in text, text


@pytest.mark.parametrize("layers", [[L.BatchNormalization], [lambda: L.Dense(3, activation="relu"), L.BatchNormalization]])
def test_normalization_that_cannot_be_folded(layers):
    with pytest.raises(UnsupportedError, match="can only be folded directly after"):
        from_keras(sequential(*(make() for make in layers), shape=(3,)))


def test_branches_are_refused_by_name():
    x = keras.Input((4,))
    y = L.Add(name="sum")([x, L.Dense(4)(x)])
    with pytest.raises(UnsupportedError, match=r"branches at .*'sum' \(Add\)"):
        from_keras(keras.Model(x, y))


def test_subclassed_models_are_refused():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Mine()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(UnsupportedError, match="Mine"):
        from_keras(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: keras.Sequential([L.Dense(3)]), "no input shape"),
        (lambda: keras.Sequential([keras.Input((None, 4, 1)), L.Conv2D(1, 1)]), "fixed"),
    ],
)
def test_shapes_must_be_known(model, message):
    with pytest.raises(UnsupportedError, match=message):
        from_keras(model())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value):
    model = sequential(L.Dense(3, name="first"), L.Dense(2, name="second"), shape=(4,))
    kernel, bias = model.layers[1].get_weights()
    kernel[2, 1] = value
    model.layers[1].set_weights([kernel, bias])
    with pytest.raises(
        FormatError, match=re.escape(f"layer 1 'second' (Dense): 1 weights are not finite; the first is {value} at [1, 2]")
    ):
        from_keras(model)


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "bad.keras"
    with pytest.raises(FileNotFoundError):
        from_keras(path)
    path.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(FormatError, match=r"bad\.keras: Keras cannot read it"):
        from_keras(path)


def test_other_objects_are_refused():
    with pytest.raises(UnsupportedError, match="expected a Keras model or a path, got int"):
        from_keras(3)


def test_depthwise_and_smooth_layers_are_imported():
    model = keras.Sequential(
        [
            keras.Input((7, 6, 2)),
            L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="deep"),
            L.BatchNormalization(),
            L.LeakyReLU(negative_slope=0.1),
            L.DepthwiseConv2D((2, 3), strides=(2, 2), use_bias=False, activation="tanh"),
            L.Flatten(),
            L.Dense(5, activation="sigmoid"),
            L.Dense(4),
            L.Activation("tanh"),
        ]
    )
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.1, 1, w.shape).astype(np.float32) for w in model.get_weights()])
    x = rng.normal(0, 1, (5, 7, 6, 2)).astype(np.float32)
    network = from_keras(model)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["DepthwiseConv2D", "LeakyRelu", "DepthwiseConv2D", "Tanh", "Flatten", "Dense", "Sigmoid", "Dense", "Tanh"]
    np.testing.assert_allclose(training.from_network(network).predict(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
