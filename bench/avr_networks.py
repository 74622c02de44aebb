"""The networks and single layers that bench_avr.py measures: trained here, on MNIST, or with random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import Model, training
from engine.graph import Layer, NoOptions, Tensor
from enginekit.compress import Compression, compress
from enginekit.datasets import mnist
from enginekit.quantize import quantize


@dataclass(frozen=True, eq=False)
class Trained:
    """A quantized network, its accuracy on MNIST's test images, and those as it reads them."""

    model: Model
    accuracy: float
    images: NDArray[np.int8]


def train(
    layers: list[Any],
    shape: tuple[int, ...],
    epochs: int,
    *,
    small_sums: bool = False,
    per_channel: bool = True,
    compression: Compression | None = None,
) -> Trained:
    """Train on MNIST's training images, compress if asked to, quantize, and judge by the test images."""
    digits = mnist(fallback=False)
    x = (digits.train_x.reshape(-1, *shape) / 255).astype(np.float32)
    net = training.Sequential(shape, layers, seed=1)
    net.fit(
        x,
        digits.train_y.astype(np.int32),
        loss=training.SoftmaxCrossEntropy(),
        optimizer=training.Adam(1e-3),
        epochs=epochs,
        batch_size=128,
        seed=1,
        progress=False,
    )
    if compression is not None:
        compress(net, x, digits.train_y.astype(np.int32), compression, epochs=4, seed=1)
    return quantized(net, x[:1000], shape, small_sums=small_sums, per_channel=per_channel)


def quantized(
    net: training.Sequential,
    x: NDArray[np.float32],
    shape: tuple[int, ...],
    *,
    small_sums: bool = False,
    per_channel: bool = True,
) -> Trained:
    """Quantize a network of pixels in [0, 1], whose codes are then the pixels less 128."""
    digits = mnist(fallback=False)
    model = quantize(net.network(), x, small_sums=small_sums, per_channel=per_channel)
    assert (model.input.zero_point, model.input.dtype) == (-128, np.int8)
    images = (digits.test_x.reshape(-1, *shape).astype(np.int16) - 128).astype(np.int8)
    right = float((model.run(images).argmax(axis=-1).ravel() == digits.test_y).mean())
    return Trained(model, right, images)


def dense_net(width: int, *, epochs: int = 12, per_channel: bool = True, compression: Compression | None = None) -> Trained:
    """784-W-10, without softmax."""
    layers = [training.Dense(width, activation="relu"), training.Dense(10)]
    return train(layers, (784,), epochs, per_channel=per_channel, compression=compression)


def conv_net() -> Trained:
    """12 filters of 3x3, max pool, dense."""
    layers = [training.Conv2D(12, 3, activation="relu"), training.MaxPool2D(2), training.Flatten(), training.Dense(10)]
    return train(layers, (28, 28, 1), 2, small_sums=True)


def with_argmax(net: Trained) -> Trained:
    """Let a network end in the index of its largest output."""
    graph = net.model.graph
    index = Tensor("index", (1,), np.dtype(np.int32))
    layer = Layer("argmax", "argmax", graph.outputs, (len(graph.tensors),), NoOptions())
    graph = replace(graph, tensors=(*graph.tensors, index), layers=(*graph.layers, layer), outputs=layer.outputs)
    return Trained(Model(graph), net.accuracy, net.images)


NETWORKS = {
    "784-8-10": lambda: dense_net(8),
    "784-8-10, argmax": lambda: with_argmax(dense_net(8)),
    "784-32-10": lambda: dense_net(32),
    "784-40-10": lambda: dense_net(40),
    "784-8-10, one scale": lambda: dense_net(8, per_channel=False),
    "784-32-10, one scale": lambda: dense_net(32, per_channel=False),
    "784-40-10, one scale": lambda: dense_net(40, per_channel=False),
    "784-32-10, 4 bits": lambda: dense_net(32, compression=Compression(bits=4)),
    "784-32-10, 80 % pruned one by one": lambda: dense_net(32, compression=Compression(prune=0.8)),
    "784-32-10, 80 % pruned": lambda: dense_net(32, compression=Compression(prune=0.8, block=8)),
    "conv 12 3x3, pool 2, dense 10": conv_net,
}


def layer(shape: tuple[int, ...], *layers: training.Layer, small_sums: bool = False) -> Model:
    """Quantize layers with random weights, for inputs in [0, 1]."""
    rng = np.random.default_rng(1)
    x = rng.random((100, *shape)).astype(np.float32)
    return quantize(training.Sequential(shape, list(layers), seed=1).network(), x, small_sums=small_sums)


#: Weights as trained ones are: few of them large.
INIT = "he_normal"

LAYERS = {
    "dense 784-8": lambda: layer((784,), training.Dense(8, activation="relu", init=INIT)),
    "dense 784-32": lambda: layer((784,), training.Dense(32, activation="relu", init=INIT)),
    "dense 784-40": lambda: layer((784,), training.Dense(40, activation="relu", init=INIT)),
    "dense 32-10": lambda: layer((32,), training.Dense(10)),
    "conv 3x3, 1 to 12 of 28x28, pool 2": lambda: layer(
        (28, 28, 1), training.Conv2D(12, 3, activation="relu", init=INIT), training.MaxPool2D(2), small_sums=True
    ),
    "conv 3x3, 8 to 8 of 14x14": lambda: layer((14, 14, 8), training.Conv2D(8, 3, activation="relu", init=INIT)),
    "conv 5x5, 1 to 6 of 28x28, stride 2": lambda: layer(
        (28, 28, 1), training.Conv2D(6, 5, stride=2, activation="relu", init=INIT)
    ),
    "conv 1x1, 16 to 16 of 10x10": lambda: layer((10, 10, 16), training.Conv2D(16, 1, activation="relu", init=INIT)),
    "depthwise 3x3, 8 of 14x14": lambda: layer((14, 14, 8), training.DepthwiseConv2D(3, activation="relu", init=INIT)),
    "max pool 2, 8 of 14x14": lambda: layer((14, 14, 8), training.MaxPool2D(2)),
    "average pool 2, 8 of 14x14": lambda: layer((14, 14, 8), training.AveragePool2D(2)),
    "softmax 10": lambda: layer((10,), training.Softmax()),
    "tanh 100": lambda: layer((100,), training.Tanh()),
}
