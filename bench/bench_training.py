"""Training throughput against Keras on one thread, in one interleaved run.

Both start from the same weights and see the same samples in the same order; the losses of the first epoch are compared
before anything is timed.
"""

import importlib
from collections.abc import Callable

import numpy as np
import pytest

from engine.training import SGD, Conv2D, Dense, Flatten, MaxPool2D, Sequential
from engine.training.fitting import sample_order
from enginekit.timing import race

BATCH = 128
SAMPLES = 32 * BATCH

NETWORKS: dict[str, Callable[[], Sequential]] = {
    "cnn 12": lambda: Sequential((28, 28, 1), [Conv2D(12, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10)]),
    "784-32-10": lambda: Sequential((784,), [Dense(32, activation="relu"), Dense(10)]),
}


@pytest.fixture(scope="module")
def keras():
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return importlib.import_module("keras")


def keras_twin(keras, net):
    """The same network in Keras, with the same weights."""
    k = keras.layers
    layers = [k.Input(net.input_shape)]
    for layer in net.layers:
        if isinstance(layer, Conv2D):
            layers.append(k.Conv2D(layer.filters, layer.kernel, activation="relu"))
        elif isinstance(layer, Dense):
            layers.append(k.Dense(layer.units, activation=None if layer.activation.value == "none" else layer.activation.value))
        else:
            layers.append(k.MaxPooling2D(layer.kernel) if isinstance(layer, MaxPool2D) else k.Flatten())
    model = keras.Sequential(layers)
    weighted = [layer for layer in model.layers if layer.weights]
    for operation, layer in zip([op for op in net.operations if op.parameters], weighted, strict=True):
        layer.set_weights([np.moveaxis(operation.parameters["w"], 0, -1), operation.parameters["bias"]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=loss)
    return model


@pytest.mark.parametrize("name", list(NETWORKS))
def test_epoch(name, keras, benchmark, record):
    net = NETWORKS[name]()
    rng = np.random.default_rng(0)
    x = rng.random((SAMPLES, *net.input_shape), dtype=np.float32)
    y = rng.integers(0, 10, SAMPLES)
    model = keras_twin(keras, net)
    order = sample_order(0, 0, SAMPLES)

    def ours():
        return net.fit(x, y, optimizer=SGD(0.01), batch_size=BATCH, progress=False).loss[0]

    def theirs(samples=x, labels=y):
        return model.fit(samples, labels, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][0]

    assert ours() == pytest.approx(theirs(x[order], y[order]), rel=1e-4)
    timings = race({"engine": ours, "keras": theirs}, rounds=9)
    rates = {contender: SAMPLES / timing.median for contender, timing in timings.items()}
    for contender, timing in timings.items():
        row = {"samples/s median": SAMPLES / timing.median, "samples/s best": SAMPLES / timing.minimum, "rounds": timing.rounds}
        record(f"{name} {contender}", row)
    benchmark.extra_info |= {f"{contender} samples/s": round(rate) for contender, rate in rates.items()}
    benchmark.pedantic(ours, rounds=3)
