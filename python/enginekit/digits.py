"""The two networks that read handwritten digits: how they are trained, quantized and judged, for the demo and the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from queue import Queue

import numpy as np
from numpy.typing import NDArray

from engine import training
from engine.model import Model
from enginekit import datasets, evaluate, onchip
from enginekit.datasets import Digits
from enginekit.encode.choose import Optimize
from enginekit.onchip import Progress
from enginekit.quantize import quantize


@dataclass(frozen=True)
class Recipe:
    """How one network is made.

    Parameters
    ----------
    name : str
        For people.
    slug : str
        For file names and C identifiers.
    input_shape : tuple of int
        Without batch.
    layers : callable
        Makes the layers, fresh ones at each call.
    epochs : int
        Passes over the training images.
    batch_size : int
        Images a step.
    learning_rate : float
        Of Adam, in the first epochs; a tenth of it in the last third.
    chip_images : int
        Test images that the demo runs on the simulated chip.
    small_sums : bool
        As in :func:`enginekit.quantize.quantize`.
    """

    name: str
    slug: str
    input_shape: tuple[int, ...]
    layers: Callable[[], list[training.Layer]]
    epochs: int
    batch_size: int
    learning_rate: float
    chip_images: int
    small_sums: bool = False


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, its int8 model, its accuracy in float on the test images, and the history by epoch."""

    network: training.Sequential
    model: Model
    float_accuracy: float
    curves: tuple[tuple[str, tuple[float, ...]], ...]


def _dense_layers() -> list[training.Layer]:
    return [training.Dense(32, activation="relu"), training.Dense(10), training.Softmax()]


def _cnn_layers() -> list[training.Layer]:
    return [
        training.Conv2D(12, 3, activation="relu"),
        training.MaxPool2D(2),
        training.Flatten(),
        training.Dense(10),
        training.Softmax(),
    ]


#: Training images that calibrate the activations' ranges.
CALIBRATION = 500
#: Sets with fewer training images than half of this are passed several times an epoch.
SMALL_SET = 20_000

DENSE = Recipe("784-32-10", "dense32", (784,), _dense_layers, epochs=12, batch_size=64, learning_rate=2e-3, chip_images=500)
CNN = Recipe(
    "conv 12, pool, dense 10",
    "conv12",
    (28, 28, 1),
    _cnn_layers,
    epochs=6,
    batch_size=64,
    learning_rate=2e-3,
    chip_images=500,
    small_sums=True,
)
RECIPES = (DENSE, CNN)


def pixels(images: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Scale uint8[n, 28, 28] to float32[n, *shape] in [0, 1]."""
    return (images.astype(np.float32) / np.float32(255)).reshape(len(images), *shape)


@dataclass(frozen=True)
class Job:
    """What is asked of :func:`make`.

    Parameters
    ----------
    out : Path
        Folder for the .tflite, the .hex and the firmware's sources.
    quick : bool
        A short training on 6,000 images, 1,000 test images, 3 on the chip.
    images : int or None
        Images on the chip; None for the network's own default.
    seed : int
        Of the initial weights and of the order of training.
    optimize : Optimize
        What the C for the chip is emitted for.
    """

    out: Path
    quick: bool = False
    images: int | None = None
    seed: int = 0
    optimize: Optimize = Optimize.SIZE


@dataclass(frozen=True)
class Event:
    """A worker's news: what `slug` is doing, and how far it is."""

    slug: str
    stage: str
    done: int
    total: int


def train(recipe: Recipe, images: Digits, *, seed: int = 0, progress: Progress | None = None) -> Trained:
    """Train and quantize a network.

    Parameters
    ----------
    recipe : Recipe
    images : Digits
        Smaller sets than MNIST are passed more often.
    seed : int
        Of the initial weights and the order of training.
    progress : callable, optional
        ``progress(epochs done, epochs)``.

    Returns
    -------
    Trained
        Calibrated on the first training images.
    """
    x, y = pixels(images.train_x, recipe.input_shape), images.train_y.astype(np.int32)
    validation = pixels(images.test_x, recipe.input_shape), images.test_y.astype(np.int32)
    network = training.Sequential(recipe.input_shape, recipe.layers(), seed=seed, name=recipe.slug)
    epochs = recipe.epochs * max(1, SMALL_SET // len(x))
    losses: list[tuple[float, float]] = []
    for epoch in range(epochs):
        rate = recipe.learning_rate * (0.1 if 3 * epoch >= 2 * epochs else 1.0)
        optimizer = training.Adam(rate)
        history = network.fit(
            x, y, optimizer=optimizer, epochs=1, batch_size=recipe.batch_size, validation=validation, seed=seed, progress=False
        )
        losses.append((history.loss[0], history.validation_loss[0]))
        if progress is not None:
            progress(epoch + 1, epochs)
    model = quantize(network.network(), x[:CALIBRATION], small_sums=recipe.small_sums)
    accuracy = network.evaluate(*validation).accuracy or 0.0
    train_losses, test_losses = zip(*losses, strict=True)
    return Trained(network, model, accuracy, (("training loss", train_losses), ("test loss", test_losses)))


def make(recipe: Recipe, job: Job, news: Queue[Event]) -> evaluate.Evaluation:
    """Train, quantize, compare, build and run one network, telling `news`; writes the model and its firmware."""
    images = datasets.mnist(download=False)
    if job.quick:
        recipe, images = replace(recipe, epochs=1), shortened(images, train=6000, test=1000)

    def stage(name: str) -> Progress:
        news.put(Event(recipe.slug, name, 0, 1))
        return _Throttle(lambda done, total: news.put(Event(recipe.slug, name, done, total)))

    trained = train(recipe, images, seed=job.seed, progress=stage("train"))
    model = trained.model
    model.save(job.out / f"{recipe.slug}.tflite")
    x = evaluate.codes(model, images.test_x)
    stage("int8 on the host")
    host = model.run(x)
    reference = None
    if find_spec("ai_edge_litert") is not None:
        reference = evaluate.run_reference(model, x, progress=stage("TensorFlow Lite reference"))
    stage("build the firmware")
    firmware = onchip.build(model, job.out / f"{recipe.slug}-firmware", optimize=job.optimize)
    (job.out / f"{recipe.slug}.hex").write_bytes(firmware.image.hex.read_bytes())
    count = job.images or (3 if job.quick else recipe.chip_images)
    chip = onchip.run_on_chip(firmware, x[:count], progress=stage("simulated chip"))
    stage("done")(1, 1)
    return evaluate.Evaluation(recipe.name, model, host, images.test_y, trained.float_accuracy, reference, chip, trained.curves)


def shortened(images: Digits, *, train: int, test: int) -> Digits:
    """Return the first images only."""
    return replace(
        images,
        train_x=images.train_x[:train],
        train_y=images.train_y[:train],
        test_x=images.test_x[:test],
        test_y=images.test_y[:test],
    )


class _Throttle:
    """Passes a progress on at most five times a second, and the last."""

    def __init__(self, target: Progress) -> None:
        self._target = target
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.2
            self._target(done, total)
