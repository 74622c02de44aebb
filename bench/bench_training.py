"""Training: throughput against Keras and PyTorch, the loss curve against Keras's, and what half precision costs in accuracy.

Contenders start from the same weights and see the same samples in the same order. Each number of threads gets a process of its
own, since TensorFlow's is fixed once it runs; within it the contenders take turns.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.training import SGD, Conv2D, Dense, Flatten, MaxPool2D, Sequential
from engine.training.fitting import sample_order
from enginekit.timing import race

BATCH = 128
SAMPLES = 32 * BATCH
RATE = 0.01

NETWORKS: dict[str, Callable[[], Sequential]] = {
    "cnn 12": lambda: Sequential(
        (28, 28, 1), [Conv2D(12, 3, activation="relu", init="he_normal"), MaxPool2D(2), Flatten(), Dense(10)]
    ),
    "784-32-10": lambda: Sequential((784,), [Dense(32, activation="relu"), Dense(10)]),
}


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
    model.compile(optimizer=keras.optimizers.SGD(RATE), loss=loss)
    return model


def torch_epoch(torch, net, x, y):
    """A function that trains the same network for an epoch in PyTorch."""
    layers = []
    for layer, operation in zip(net.layers, net.operations, strict=True):
        if isinstance(layer, Conv2D):
            layers += [torch.nn.Conv2d(operation.x_shape[2], layer.filters, layer.kernel), torch.nn.ReLU()]
        elif isinstance(layer, Dense):
            layers.append(torch.nn.Linear(operation.x_shape[0], layer.units))
            layers += [torch.nn.ReLU()] if layer.activation.value == "relu" else []
        else:
            layers.append(torch.nn.MaxPool2d(layer.kernel) if isinstance(layer, MaxPool2D) else torch.nn.Flatten())
    model, loss = torch.nn.Sequential(*layers), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    images = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x)
    labels = torch.from_numpy(y)

    def epoch():
        order = torch.randperm(len(labels))
        for start in range(0, len(labels), BATCH):
            index = order[start : start + BATCH]
            optimizer.zero_grad()
            loss(model(images[index]), labels[index]).backward()
            optimizer.step()

    return epoch


def contenders(name, threads):
    """What trains an epoch, by name; checks that Keras's loss is ours."""
    keras = importlib.import_module("keras")
    net = NETWORKS[name]()
    rng = np.random.default_rng(0)
    x, y = rng.random((SAMPLES, *net.input_shape), dtype=np.float32), rng.integers(0, 10, SAMPLES)
    model = keras_twin(keras, net)
    order = sample_order(0, 0, SAMPLES)

    def ours():
        return net.fit(x, y, optimizer=SGD(RATE), batch_size=BATCH, threads=threads, progress=False).loss[0]

    def theirs(samples=x, labels=y):
        return model.fit(samples, labels, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][0]

    assert ours() == pytest.approx(theirs(x[order], y[order]), rel=1e-4)
    found = {"engine": ours, "keras": theirs}
    if importlib.util.find_spec("torch"):
        torch = importlib.import_module("torch")
        torch.set_num_threads(threads)
        found["torch"] = torch_epoch(torch, NETWORKS[name](), x, y)
    return found


def main(threads: int, rounds: int) -> None:
    """Race on so many threads; print one JSON object."""
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    results: dict[str, Any] = {}
    for name in NETWORKS:
        timings = race(contenders(name, threads), rounds=rounds)
        for contender, timing in timings.items():
            results[f"{name} {contender}" + (f", {threads} threads" if threads > 1 else "")] = {
                "samples/s median": SAMPLES / timing.median,
                "samples/s best": SAMPLES / timing.minimum,
                "rounds": timing.rounds,
                "engine is faster": timing.median / timings["engine"].median,
            }
    sys.stdout.write(json.dumps(results) + "\n")


@pytest.mark.parametrize("threads", [1, 2])
def test_throughput(threads, benchmark, record):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, str(threads), "15"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for name, row in json.loads(done.stdout.splitlines()[-1]).items():
        record(name, row)
        benchmark.extra_info[f"{name} samples/s"] = round(row["samples/s median"])
    net = NETWORKS["cnn 12"]()
    x, y = np.zeros((SAMPLES, 28, 28, 1), np.float32), np.zeros(SAMPLES, np.int64)
    benchmark.pedantic(lambda: net.fit(x, y, optimizer=SGD(RATE), batch_size=BATCH, threads=threads, progress=False), rounds=3)


def digits(training, test):
    """Images in [0, 1] and labels: so many of either set."""
    found = importlib.import_module("enginekit.datasets").mnist()
    pairs = ((found.train_x, found.train_y, training), (found.test_x, found.test_y, test))
    return [((x[:count].astype(np.float32) / 255).reshape(-1, 28, 28, 1), y[:count].astype(np.int64)) for x, y, count in pairs]


def test_loss_curve_is_that_of_keras(benchmark, record):
    """20 epochs of 10,000 digits: loss and validation loss of every epoch within 1e-4."""
    keras = importlib.import_module("keras")
    train, validation = digits(10_000, 1_000)
    net = NETWORKS["cnn 12"]()
    model = keras_twin(keras, net)
    history = benchmark.pedantic(
        lambda: net.fit(*train, optimizer=SGD(RATE), batch_size=BATCH, epochs=20, validation=validation, progress=False),
        rounds=1,
    )
    worst = 0.0
    for epoch in range(20):
        order = sample_order(0, epoch, len(train[0]))
        fit = model.fit(train[0][order], train[1][order], batch_size=BATCH, shuffle=False, verbose=0)
        loss = model.evaluate(*validation, batch_size=BATCH, verbose=0)
        gaps = abs(history.loss[epoch] / fit.history["loss"][0] - 1), abs(history.validation_loss[epoch] / loss - 1)
        worst = max(worst, *gaps)
    assert worst < 1e-4
    record(
        "equality cnn 12", {"epochs": 20, "worst relative difference": worst, "test accuracy": history.validation_accuracy[-1]}
    )


@pytest.mark.parametrize("precision", ["fp32/fp32", "fp16/fp32", "fp16/fp16"])
def test_precision(precision, benchmark, record):
    """2,000 digits, batch 100, 10 epochs: means and spread over 5 seeds on all test digits."""
    train, test = digits(2_000, 10_000)
    rows: list[dict[str, float]] = []

    def fit(seed):
        layers = NETWORKS["cnn 12"]().layers
        net = Sequential((28, 28, 1), layers, seed=seed)
        history = net.fit(
            *train, optimizer=SGD(RATE), batch_size=100, epochs=10, validation=test, precision=precision, progress=False
        )
        rows.append(
            {f"loss {e}": history.validation_loss[e - 1] for e in (1, 5, 10)}
            | {f"accuracy {e}": history.validation_accuracy[e - 1] for e in (1, 5, 10)}
            | {"seconds": sum(history.seconds)}
        )

    for seed in range(4):
        fit(seed)
    benchmark.pedantic(lambda: fit(4), rounds=1)
    table = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        table[key] = {"mean": float(np.mean(values)), "least": min(values), "most": max(values)}
    record(f"precision {precision}", table)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
