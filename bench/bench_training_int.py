"""Training in integers alone on the host: accuracy on MNIST's 10,000 test images, over seeds.

``python -m pytest bench/bench_training_int.py --benchmark-only`` writes bench/results/training_int.json. The accuracies do not
vary from run to run or from machine to machine, the seconds do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from engine.training import Conv2D, Dense, Flatten, IntegerSequential, MaxPool2D, Softmax
from enginekit.datasets import mnist

BATCH = 32


class Course(NamedTuple):
    """A network, the learning rate of each epoch, how many seeds are tried, and the accuracy that every one has to reach."""

    make: Callable[[int], IntegerSequential]
    rates: list[float]
    seeds: int
    goal: float


#: PocketNN, integers alone, 784-100-50-10, reaches 96.98 % (J. Song, F. Lin, 2022).
COURSES = {
    "784-64-10": Course(
        lambda seed: IntegerSequential((784,), [Dense(64, activation="relu"), Dense(10), Softmax()], seed=seed),
        [0.2, 0.2, 0.2, 0.1, 0.05],
        seeds=5,
        goal=0.97,
    ),
    "conv 12 3x3, pool 2, dense 10": Course(
        lambda seed: IntegerSequential(
            (28, 28, 1), [Conv2D(12, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10), Softmax()], seed=seed
        ),
        [0.1, 0.1, 0.1, 0.05, 0.02],
        seeds=2,
        goal=0.98,
    ),
}


def codes(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return (images.reshape(-1, *shape).astype(np.int16) - 128).astype(np.int8)


@pytest.mark.parametrize("name", COURSES)
def test_accuracy(name: str, benchmark: Any, record: Any) -> None:
    digits = mnist()
    assert digits.is_mnist
    course = COURSES[name]
    found: list[list[float]] = []
    seconds: list[float] = []

    def train(seed: int) -> None:
        net = course.make(seed)
        x, test = codes(digits.train_x, net.input_shape), codes(digits.test_x, net.input_shape)
        start, curve = time.perf_counter(), []
        for rate in course.rates:
            net.fit(x, digits.train_y, learning_rate=rate, batch_size=BATCH, progress=False)
            curve.append(net.evaluate(test, digits.test_y).accuracy or 0.0)
        seconds.append((time.perf_counter() - start) / len(course.rates))
        model = net.model()  # an int8 model of its own has the accuracy, not only the network that trained
        right = model.run(test).reshape(len(test), -1).argmax(axis=1) == digits.test_y
        found.append([*curve, float(right.mean())])

    for seed in range(1, course.seeds + 1):
        train(seed)
    benchmark.pedantic(lambda: None, rounds=1)
    last = [curve[-2] for curve in found]
    assert min(last) >= course.goal, found
    record(
        name,
        {
            "seeds": len(found),
            "epochs": len(course.rates),
            "learning_rates": course.rates,
            "batch_size": BATCH,
            "accuracy_mean": round(float(np.mean(last)), 5),
            "accuracy_least": min(last),
            "accuracy_most": max(last),
            "accuracy_by_epoch_mean": [round(float(np.mean(each)), 5) for each in zip(*(c[:-1] for c in found), strict=True)],
            "accuracy_of_int8_model_least": min(curve[-1] for curve in found),
            "seconds_an_epoch": round(float(np.median(seconds)), 2),
        },
    )
