"""Networks of the shapes that people run on small devices, with random weights: every byte equal to the reference."""

import keras_int8
import numpy as np
import pytest
from keras_int8 import LAYERS as K
from tflite_builder import Judge

import engine

COUNT = 4


def functional(shape, build, seed=0):
    """Build a model whose random weights keep activations alive at any depth."""
    keras_int8.keras.utils.set_random_seed(seed)
    x = K.Input(shape)
    model = keras_int8.keras.Model(x, build(x))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        weights = []
        for w in layer.get_weights():
            fan_in = max(w.size // w.shape[-1], 1)
            if isinstance(layer, K.DepthwiseConv2D) and w.ndim == 4:
                fan_in = w.shape[0] * w.shape[1]
            scale = 0.1 if w.ndim == 1 else np.sqrt(2 / fan_in)
            weights.append(rng.normal(scale=scale, size=w.shape))
        layer.set_weights(weights)
    return model


def mobilenet_v1(x):
    y = K.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(x)
    for filters, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        y = K.DepthwiseConv2D(3, strides=stride, padding="same", activation="relu6")(y)
        y = K.Conv2D(filters, 1, activation="relu6")(y)
    return K.Dense(2, activation="softmax")(K.Flatten()(K.AveragePooling2D(3)(y)))


def mobilenet_v2(x):
    y = K.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(x)
    for filters, stride in ((8, 1), (12, 2), (12, 1)):
        z = K.Conv2D(6 * y.shape[-1], 1, activation="relu6")(y)
        if stride == 2:
            z = K.DepthwiseConv2D(3, strides=2, activation="relu6")(K.ZeroPadding2D(((0, 1), (0, 1)))(z))
        else:
            z = K.DepthwiseConv2D(3, padding="same", activation="relu6")(z)
        z = K.Conv2D(filters, 1)(z)
        y = K.Add()([y, z]) if stride == 1 else z
    return K.Dense(5, activation="softmax")(K.GlobalAveragePooling2D()(y))


def resnet_8(x):
    y = K.Conv2D(16, 3, padding="same", activation="relu")(x)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        z = K.Conv2D(filters, 3, strides=stride, padding="same", activation="relu")(y)
        z = K.Conv2D(filters, 3, padding="same")(z)
        if stride == 2:
            y = K.Conv2D(filters, 1, strides=2, padding="same")(y)
        y = K.ReLU()(K.Add()([y, z]))
    return K.Dense(10, activation="softmax")(K.Flatten()(K.AveragePooling2D(8)(y)))


def ds_cnn(x):
    y = K.Conv2D(16, (10, 4), strides=2, padding="same", activation="relu")(x)
    for _ in range(2):
        y = K.DepthwiseConv2D(3, padding="same", activation="relu")(y)
        y = K.Conv2D(16, 1, activation="relu")(y)
    return K.Dense(12, activation="softmax")(K.GlobalAveragePooling2D(keepdims=False)(y))


def autoencoder(x):
    for units in (128, 128, 8, 128, 128):
        x = K.Dense(units, activation="relu")(x)
    return K.Dense(640)(x)


def branches(x):
    """Concatenation, arithmetic between activations and the activations that are tables."""
    a = K.Conv2D(4, 3, padding="same")(x)
    b = K.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = K.Conv2D(6, 3, strides=2)(K.ZeroPadding2D(((2, 1), (0, 1)))(K.Concatenate()([a, b])))
    y = K.LeakyReLU(negative_slope=0.2)(y)
    y = K.Subtract()([K.Activation("hard_swish")(y), K.Activation("tanh")(y)])
    gate = K.Conv2D(6, 1, activation="sigmoid")(K.GlobalAveragePooling2D(keepdims=True)(y))
    y = K.Multiply()([y, gate])
    return K.Dense(3)(K.Concatenate()([K.GlobalAveragePooling2D()(y), K.Flatten()(y)]))


def dilated(x):
    """Dilated convolutions behind a free batch, which files spell as three operators."""
    y = K.Conv2D(4, 3, dilation_rate=2, padding="same", activation="relu")(x)
    y = K.DepthwiseConv2D(3, dilation_rate=(2, 2))(y)
    return K.Conv2D(3, 3, dilation_rate=3)(y)


MODELS = {
    "mobilenet_v1": ((96, 96, 3), mobilenet_v1),
    "mobilenet_v2": ((24, 24, 3), mobilenet_v2),
    "resnet_8": ((32, 32, 3), resnet_8),
    "ds_cnn": ((49, 10, 1), ds_cnn),
    "autoencoder": ((640,), autoencoder),
    "branches": ((12, 12, 2), branches),
    "dilated": ((13, 14, 2), dilated),
}


@pytest.mark.parametrize("name", MODELS)
def test_equal_to_the_reference(name):
    shape, build = MODELS[name]
    edges = {"branches": "uint8", "mobilenet_v2": "float32"}.get(name, "int8")
    data = keras_int8.convert(functional(shape, build), keras_int8.normal_samples(shape, count=4), edges=edges)
    model = engine.load(data)
    rng = np.random.default_rng(1)
    if edges == "float32":
        x = rng.normal(size=(COUNT, *shape)).astype(np.float32)
    else:
        x = rng.integers(0, 256, (COUNT, *shape)).astype(np.uint8).view(edges)
    want = Judge(data).run(x)
    got = model.run(x)
    bad = np.flatnonzero(got.ravel() != want.ravel())
    assert not bad.size, f"{name}: {bad.size} differ, first at {bad[0]}: got {got.flat[bad[0]]}, want {want.flat[bad[0]]}"
    assert len(np.unique(want)) > 2, "the activations have died"
    assert np.array_equal(Judge(model.to_bytes()).run(x), want), "saved and run by TensorFlow Lite"
    assert engine.load(model.to_bytes()).to_bytes() == model.to_bytes()


def test_padding_joins_the_convolution_behind_it():
    shape, build = MODELS["branches"]
    model = engine.load(keras_int8.convert(functional(shape, build), keras_int8.normal_samples(shape, count=4)))
    assert "pad" in [layer.op for layer in model.graph.layers]
    assert "pad_s8" not in [step.kernel for step in model.program.steps]


def test_dilated_convolutions_are_one_operator():
    shape, build = MODELS["dilated"]
    model = engine.load(keras_int8.convert(functional(shape, build), keras_int8.normal_samples(shape, count=4)))
    convolutions = [layer for layer in model.graph.layers if "conv2d" in layer.op]
    assert [layer.options.dilation_h for layer in convolutions] == [2, 2, 3]
