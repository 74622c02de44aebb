"""Keras models through TensorFlow Lite's converter and engine.load: every byte equal to the reference kernels."""

import keras_int8
import numpy as np
import pytest
from keras_int8 import LAYERS as K
from tflite_builder import Judge

import engine
from engine import tflite
from engine.errors import UnsupportedError
from engine.graph import Graph

COUNT = 24

NETWORKS = {
    "dense": ((20,), lambda: [K.Dense(16, activation="relu"), K.Dense(10, activation="softmax")]),
    "conv_pool": (
        (12, 12, 1),
        lambda: [K.Conv2D(4, 3, activation="relu"), K.MaxPooling2D(2), K.Flatten(), K.Dense(10, activation="softmax")],
    ),
    "strided_same": (
        (13, 11, 3),
        lambda: [
            K.Conv2D(5, 3, strides=2, padding="same", activation="relu6"),
            K.ReLU(),
            K.Conv2D(7, (2, 3), padding="same"),
            K.AveragePooling2D(3, 2, padding="same"),
            K.Flatten(),
            K.Dense(3),
        ],
    ),
    "no_bias": (
        (8, 8, 4),
        lambda: [
            K.Conv2D(6, 1, use_bias=False),
            K.ReLU(max_value=6),
            K.MaxPooling2D(3, 2, padding="same"),
            K.AveragePooling2D(2),
            K.Reshape((24,)),
            K.Dense(1, use_bias=False),
        ],
    ),
    "overlapping_pool": (
        (10, 9, 2),
        lambda: [K.Conv2D(3, 3, activation="relu"), K.MaxPooling2D(3, 2), K.Flatten(), K.Dense(4, activation="relu")],
    ),
}

#: What a free batch makes the converter compute shapes for, and dilated convolutions over sequences.
FREE_BATCH = {
    "dense_over_rows": ((4, 6), lambda: [K.Dense(7), K.Dense(5, activation="relu")]),
    "dense_over_an_image": ((3, 4, 6), lambda: [K.Dense(7, activation="tanh"), K.ReLU(), K.Dense(5, activation="softmax")]),
    "rows_flattened": ((4, 6), lambda: [K.Dense(3, activation="sigmoid"), K.Flatten(), K.Dense(4)]),
    "reshape_with_a_free_dimension": ((4, 4, 2), lambda: [K.Reshape((-1, 4)), K.Dense(3), K.Reshape((2, -1, 3))]),
    "sequence": (
        (20, 3),
        lambda: [
            K.Conv1D(5, 5, padding="causal", activation="relu"),
            K.SeparableConv1D(6, 3, strides=2, padding="same"),
            K.MaxPooling1D(2),
            K.Flatten(),
            K.Dense(2, activation="softmax"),
        ],
    ),
    "dilated_sequence": (
        (20, 3),
        lambda: [K.Conv1D(6, 3, dilation_rate=2, padding="same", activation="relu"), K.Conv1D(4, 2, dilation_rate=3)],
    ),
    "causal_sequence": (
        (20, 3),
        lambda: [
            K.Conv1D(6, 2, dilation_rate=4, padding="causal", activation="relu"),
            K.DepthwiseConv1D(3, dilation_rate=2, padding="same"),
            K.GlobalAveragePooling1D(),
            K.Dense(2),
        ],
    ),
}


def inputs(shape, dtype, seed=1):
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.normal(scale=2, size=(COUNT, *shape)).astype(np.float32)
    x = rng.integers(-128, 128, (COUNT, *shape)).astype(np.int8)
    x[0], x[1] = -128, 127
    return x.view(np.uint8) if dtype == "uint8" else x


def assert_equal(got, want, what):
    bad = np.flatnonzero(got.ravel() != want.ravel())
    assert got.shape == want.shape, f"{what}: shape {got.shape}, want {want.shape}"
    assert got.dtype == want.dtype, f"{what}: {got.dtype}, want {want.dtype}"
    if bad.size:
        first = bad[0]
        pytest.fail(f"{what}: {bad.size} differ, first at {first}: got {got.flat[first]}, want {want.flat[first]}")


@pytest.mark.parametrize("edges", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("per_channel", [True, False], ids=["per_channel", "per_tensor"])
@pytest.mark.parametrize("batch", [None, 1], ids=["free_batch", "batch_1"])
@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_reference(name, batch, per_channel, edges):
    shape, layers = NETWORKS[name]
    keras_model = keras_int8.sequential(shape, layers(), batch=batch)
    data = keras_int8.convert(keras_model, keras_int8.normal_samples(shape), edges=edges, per_channel=per_channel)
    model = engine.load(data)
    x = inputs(shape, edges)
    want = Judge(data).run(x)
    assert_equal(model.run(x), want, name)
    saved = model.to_bytes()
    assert_equal(Judge(saved).run(x), want, f"{name}, saved and run by TensorFlow Lite")
    assert engine.load(saved).to_bytes() == saved


@pytest.mark.parametrize("name", FREE_BATCH)
def test_shapes_that_depend_on_the_batch(name):
    shape, layers = FREE_BATCH[name]
    data = keras_int8.convert(keras_int8.sequential(shape, layers()), keras_int8.normal_samples(shape))
    model = engine.load(data)
    x = inputs(shape, "int8")
    want = Judge(data).run(x)
    assert_equal(model.run(x), want, name)
    saved = model.to_bytes()
    assert_equal(Judge(saved).run(x), want, f"{name}, saved and run by TensorFlow Lite")
    assert engine.load(saved).to_bytes() == saved


def test_rows_that_a_layer_would_mix_are_refused_by_name():
    """MEAN over the rows of a dense layer, whose RESHAPE back is missing: the file's shapes hold one row, a sample four."""
    shape = (4, 6)
    inside = keras_int8.keras.Input(shape)
    rows = keras_int8.keras.ops.reshape(inside, (-1, 6))
    outside = keras_int8.keras.ops.mean(K.Dense(3)(rows), axis=0, keepdims=True)
    data = keras_int8.convert(keras_int8.keras.Model(inside, outside), keras_int8.normal_samples(shape))
    with pytest.raises(UnsupportedError, match=r"operator \d+ \(MEAN\): reads 4 rows a sample where the batch should be"):
        engine.load(data)


def test_dilated_convolution_with_fixed_batch():
    shape = (9, 10, 2)
    keras_model = keras_int8.sequential(shape, [K.Conv2D(3, 3, dilation_rate=2, padding="same"), K.Flatten()], batch=1)
    data = keras_int8.convert(keras_model, keras_int8.normal_samples(shape))
    model = engine.load(data)
    assert model.graph.layers[0].options.dilation_h == 2
    x = inputs(shape, "int8")
    assert_equal(model.run(x), Judge(data).run(x), "dilated")


def test_free_batch_folds_flatten_into_one_reshape():
    shape, layers = NETWORKS["conv_pool"]
    data = keras_int8.convert(keras_int8.sequential(shape, layers()), keras_int8.normal_samples(shape))
    model = engine.load(data)
    assert [layer.op for layer in model.graph.layers] == ["conv2d", "max_pool2d", "reshape", "dense", "softmax"]
    assert [step.kernel for step in model.program.steps] == ["conv2d_max_pool2d_s8", "dense_s8", "softmax_s8"]


def test_dead_channels_and_large_biases():
    """A channel of zero weights gets a tiny scale, and its bias a huge code."""
    shape = (6, 6, 2)
    keras_model = keras_int8.sequential(shape, [K.Conv2D(4, 3, activation="relu"), K.Flatten(), K.Dense(3)])
    w, bias = keras_model.layers[0].get_weights()
    w[..., 1], bias[1] = 0, 3.5
    w[..., 2], bias[2] = 1e-9, -2.0
    keras_model.layers[0].set_weights([w, bias])
    data = keras_int8.convert(keras_model, keras_int8.normal_samples(shape))
    model = engine.load(data)
    _, weights, biases = (model.graph.tensors[i] for i in model.graph.layers[0].inputs)
    assert weights.scale.min() < 1e-6
    assert np.abs(biases.data.astype(np.int64)).max() > 1 << 28
    x = inputs(shape, "int8")
    assert_equal(model.run(x), Judge(data).run(x), "dead channels")


def test_trace_equals_the_reference_layer_by_layer():
    """Every step's output, with the networks cut behind it and run by the reference."""
    shape, layers = NETWORKS["strided_same"]
    data = keras_int8.convert(keras_int8.sequential(shape, layers()), keras_int8.normal_samples(shape))
    model = engine.load(data)
    x = inputs(shape, "int8")
    traces = model.trace(x)
    assert [t.step_name for t in traces] == [s.name for s in model.program.steps]
    for step, trace in zip(model.program.steps, traces, strict=True):
        last = max(step.layers)
        cut = Graph("cut", model.graph.tensors, model.graph.layers[: last + 1], model.graph.inputs, (step.y,))
        assert_equal(trace.array, Judge(tflite.write(cut)).run(x), trace.step_name)
        assert trace.array.shape == (COUNT, *trace.tensor.shape[1:])
