"""Networks trained by Keras and converted by TensorFlow Lite: all 10,000 test digits equal to its reference, every byte."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_int8
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras_int8 import LAYERS as K
from tflite_builder import Judge

import engine
from enginekit.datasets import mnist

#: Digits to train on; with them a few seconds give a network worth judging.
TRAINING = 12_000
SINGLES = 300

NETWORKS = {
    "784-32-10": ((784,), lambda: [K.Dense(32, activation="relu"), K.Dense(10, activation="softmax")], 0.90),
    "conv12-pool-10": (
        (28, 28, 1),
        lambda: [K.Conv2D(12, 3, activation="relu"), K.MaxPooling2D(2), K.Flatten(), K.Dense(10, activation="softmax")],
        0.92,
    ),
}


@pytest.fixture(scope="module")
def digits():
    return mnist()


def trained(name, digits):
    """Keras model, its float accuracy on the test digits, and the .tflite file."""
    shape, layers, _ = NETWORKS[name]
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input(shape), *layers()])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = (digits.train_x[:TRAINING].reshape(-1, *shape) / 255).astype(np.float32)
    epochs = 2 * TRAINING // len(x)  # more of them over the small set that stands in where MNIST cannot be had
    model.fit(x, digits.train_y[:TRAINING], batch_size=64, epochs=epochs, verbose=0)
    test = (digits.test_x.reshape(-1, *shape) / 255).astype(np.float32)
    accuracy = float(np.mean(model.predict(test, batch_size=500, verbose=0).argmax(1) == digits.test_y))
    return accuracy, keras_int8.convert(model, x[:200])


def reference(data, x):
    """TensorFlow Lite's reference kernels on one large batch, which the free batch of the file allows."""
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(source, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source, x)
    interpreter.invoke()
    return interpreter.get_tensor(target)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_test_digits_equal_the_reference(name, digits):
    shape, _, least = NETWORKS[name]
    float_accuracy, data = trained(name, digits)
    model = engine.load(data)
    assert model.input.zero_point == -128
    x = (digits.test_x.astype(np.int16) - 128).astype(np.int8).reshape(-1, *shape)
    y = model.run(x)
    want = reference(data, x)
    assert np.array_equal(want[:SINGLES], Judge(data).run(x[:SINGLES])), "the reference gives other bytes in a batch"
    differing = np.flatnonzero((y != want).any(axis=1))
    assert differing.size == 0, (
        f"{name}: {differing.size} digits differ, first {differing[0]}: {y[differing[0]]}, {want[differing[0]]}"
    )
    accuracy = float(np.mean(y.argmax(1) == digits.test_y))
    assert float_accuracy > least
    assert abs(accuracy - float_accuracy) <= max(0.003, 2 / len(y))
    saved = reference(model.to_bytes(), x[:500])
    assert np.array_equal(saved, y[:500]), f"{name}: the file that we write gives other bytes"
