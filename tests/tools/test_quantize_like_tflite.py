"""Our quantizer beside TensorFlow Lite's converter, on the same Keras network and the same calibration data."""

from dataclasses import replace

import float_oracle
import keras
import keras_int8
import numpy as np
import pytest
from networks import cnn, dense_net, everything, images

import engine
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Relu
from enginekit.importers import from_keras
from enginekit.quantize import quantize

NETWORKS = {"dense": dense_net, "cnn": cnn, "everything": everything}


def to_keras(network):
    """The Keras model of a network, weights included."""
    layers, weights = [keras.Input(network.input_shape, batch_size=1)], []
    for layer in network.layers:
        layers.append(keras_layer(layer))
        if isinstance(layer, Conv2D):
            weights += [layer.w.transpose(1, 2, 3, 0), layer.bias]
        elif isinstance(layer, Dense):
            weights += [layer.w.T, layer.bias]
    model = keras.Sequential(layers)
    model.set_weights(weights)
    return model


def keras_layer(layer):
    kinds = keras.layers
    if isinstance(layer, (MaxPool2D, AveragePool2D)):
        kind = kinds.MaxPooling2D if isinstance(layer, MaxPool2D) else kinds.AveragePooling2D
        return kind(layer.kernel, layer.stride, layer.padding.value)
    if isinstance(layer, Flatten):
        return kinds.Flatten()
    if isinstance(layer, Relu):
        return kinds.ReLU(layer.max_value)
    if not isinstance(layer, (Conv2D, Dense)):
        return kinds.Softmax()
    activation = None if layer.activation.value == "none" else layer.activation.value
    if isinstance(layer, Dense):
        return kinds.Dense(len(layer.w), activation=activation)
    options = {"padding": layer.padding.value, "dilation_rate": layer.dilation, "activation": activation}
    return kinds.Conv2D(len(layer.w), layer.w.shape[1:3], layer.stride, **options)


def pair(name):
    network = NETWORKS[name]()
    if name == "everything":  # Keras has no layer with both a stride and a dilation
        network = without_dilation(network)
    model, x = to_keras(network), images(100, network.input_shape)
    return engine.load(keras_int8.convert(model, x)), quantize(from_keras(model), x), network


def without_dilation(network):
    first = replace(network.layers[0], dilation=(1, 1), stride=(1, 1))
    layers = (first, *network.layers[1:])
    return replace(network, layers=layers, input_shape=(5, 11, 2))


def weights_of(model):
    graph = model.graph
    return [graph.tensors[layer.inputs[1]] for layer in graph.layers if layer.op in ("dense", "conv2d")]


@pytest.mark.parametrize("name", NETWORKS)
def test_same_scales_and_outputs_as_tensorflow_lites_converter(name):
    theirs, ours, network = pair(name)
    for edge in ("input", "output"):
        a, b = getattr(theirs, edge), getattr(ours, edge)
        np.testing.assert_allclose(b.scale, a.scale, rtol=1e-4)
        assert b.zero_point == a.zero_point
    for a, b in zip(weights_of(theirs), weights_of(ours), strict=True):
        np.testing.assert_allclose(b.scale, a.scale, rtol=1e-5)
        assert np.abs(b.data.astype(int) - a.data).max() <= 1
    x = np.random.default_rng(8).integers(-128, 128, (400, *network.input_shape)).astype(np.int8)
    difference = np.abs(theirs.run(x).astype(int) - ours.run(x))
    # The converter keeps a ReLU after an average pool apart, with a scale of its own.
    assert np.mean(difference > 0) < (0.3 if name == "everything" else 0.001)
    assert difference.max() <= 4
    assert np.mean(theirs.run(x).argmax(axis=-1) == ours.run(x).argmax(axis=-1)) > 0.98
    real = (x.astype(np.float32) + 128) / 255
    exact = float_oracle.forward(network, real)[-1]
    errors = [np.abs(model.predict(real) - exact).mean() for model in (theirs, ours)]
    assert errors[1] <= 1.1 * errors[0], errors
