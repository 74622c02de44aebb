"""Files whose batch is fixed at several samples: read as networks of one, with the reference's bytes for the whole batch."""

import keras_int8
import numpy as np
import pytest
from keras_int8 import LAYERS as K
from tflite_builder import Judge, tensor, to_tflite

import engine
from engine.graph import ConcatenationOptions, ElementwiseOptions, Graph, Layer, MeanOptions, NoOptions


def converted():
    shape = (8, 8, 2)
    layers = [K.Conv2D(3, 3, activation="relu"), K.MaxPooling2D(2), K.Flatten(), K.Dense(4, activation="softmax")]
    samples = keras_int8.normal_samples(shape)

    def four(converter):
        converter.representative_dataset = lambda: ([samples[:4]] for _ in range(4))

    return keras_int8.convert(keras_int8.sequential(shape, layers, batch=4), samples, change=four)


def test_converted_with_a_batch_of_four():
    data = converted()
    model = engine.load(data)
    x = np.random.default_rng(1).integers(-128, 128, (12, 8, 8, 2)).astype(np.int8)
    want = Judge(data).run(x)
    assert np.array_equal(model.run(x), want)
    assert np.array_equal(engine.load(model.to_bytes()).run(x[:5]), want[:5])


def graph_of(op, options, others, y):
    x = tensor((4, 3, 2), 0.1, 3)
    layer = Layer(op, op, tuple(range(1 + len(others))), (1 + len(others),), options)
    return Graph(op, (x, *others, y), (layer,), (0,), (1 + len(others),))


def constant(data, scale=0.05, zero=-2):
    return tensor(data.shape, scale, zero, data=data.astype(np.int8))


SAME = np.repeat(np.arange(6).reshape(1, 3, 2), 4, axis=0)
EACH = ElementwiseOptions()
KEPT = {
    "operand_for_each_sample": lambda: graph_of("add", EACH, [constant(SAME)], tensor((4, 3, 2), 0.12, 3)),
    "operand_for_all": lambda: graph_of("mul", EACH, [constant(SAME[0])], tensor((4, 3, 2), 0.12, 3)),
}


@pytest.mark.parametrize("name", KEPT)
def test_one_layer(name):
    data = to_tflite(KEPT[name]())
    x = np.random.default_rng(2).integers(-128, 128, (8, 3, 2)).astype(np.int8)
    assert np.array_equal(engine.load(data).run(x), Judge(data).run(x))


MIXED = {
    "mean": lambda: graph_of(
        "mean", MeanOptions((0,)), [tensor((1,), dtype="int32", data=np.int32([0]))], tensor((3, 2), 0.1, 3)
    ),
    "concatenation": lambda: graph_of(
        "concatenation", ConcatenationOptions(0), [tensor((4, 3, 2), 0.1, 3)], tensor((8, 3, 2), 0.1, 3)
    ),
    "operand": lambda: graph_of("sub", EACH, [constant(np.arange(24).reshape(4, 3, 2))], tensor((4, 3, 2), 0.12, 3)),
    "reshape": lambda: graph_of(
        "reshape", NoOptions(), [tensor((2,), dtype="int32", data=np.int32([6, 4]))], tensor((6, 4), 0.1, 3)
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_samples_is_refused_by_name(name):
    graph = MIXED[name]()
    if name == "concatenation":
        graph = Graph(graph.name, graph.tensors, graph.layers, (0, 1), graph.outputs)
    with pytest.raises(engine.UnsupportedError, match=r"batch of 4|differs between the samples"):
        engine.load(to_tflite(graph))
