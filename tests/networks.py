"""Float networks with random weights, and images that look like pixels."""

import numpy as np

from engine.graph import Activation, Padding
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Network, Relu, Softmax


def images(count, shape=(28, 28, 1), seed=4):
    """float32[count, *shape]: pixels k / 255, most of them 0, with 0 and 1 among them."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, *shape)) * (rng.random((count, *shape)) < 0.3)
    if count:
        pixels[0].flat[:2] = (0, 255)
    return (pixels / 255).astype(np.float32)


def weights(rng, *shape):
    """Weights and bias that keep activations near 1."""
    fan_in = int(np.prod(shape[1:]))
    w = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    return w.astype(np.float32), (rng.standard_normal(shape[0]) * 0.1).astype(np.float32)


def dense_net(seed=1):
    rng = np.random.default_rng(seed)
    hidden, last = weights(rng, 32, 784), weights(rng, 10, 32)
    layers = (Flatten("flat"), Dense("hidden", *hidden, Activation.RELU), Dense("digit", *last))
    return Network("dense", (28, 28, 1), layers)


def cnn(seed=2):
    rng = np.random.default_rng(seed)
    layers = (
        Conv2D("conv", *weights(rng, 12, 3, 3, 1), activation=Activation.RELU),
        MaxPool2D("pool", (2, 2), (2, 2)),
        Flatten("flat"),
        Dense("digit", *weights(rng, 10, 2028)),
        Softmax("probability"),
    )
    return Network("cnn", (28, 28, 1), layers)


def everything(seed=3):
    """A network with every layer and option that quantization knows."""
    rng = np.random.default_rng(seed)
    layers = (
        Conv2D("a", *weights(rng, 6, 3, 2, 2), (2, 1), (1, 2), Padding.SAME, Activation.RELU6),
        MaxPool2D("b", (2, 3), (1, 2), Padding.SAME),
        Relu("c"),
        Conv2D("d", *weights(rng, 5, 2, 2, 6)),
        AveragePool2D("e", (2, 2), (2, 1), Padding.SAME),
        Relu("f", 6.0),
        Flatten("g"),
        Dense("h", *weights(rng, 9, 50)),
        Relu("i"),
        Dense("j", *weights(rng, 4, 9)),
        Softmax("k"),
    )
    return Network("everything", (9, 11, 2), layers)
