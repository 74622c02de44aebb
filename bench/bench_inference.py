"""Inference against TensorFlow Lite and LiteRT, with XNNPACK and without, in interleaved runs; kernels one by one.

``python -m pytest bench/bench_inference.py --benchmark-only`` on a quiet machine. Whole calls are timed, from NumPy array
to NumPy array (set_tensor, invoke, get_tensor), after all bytes have been compared with those of TensorFlow Lite's
reference kernels. Ratios are of medians. Batches of 256 are run against XNNPACK only. ONNX Runtime is
not among the contenders yet.

A model with operators that the engine does not support is recorded as such. With ``ENGINE_ISA`` set, results go to a file
of their own.
"""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import random_graphs
from random_graphs import Activation, Chain, Padding
from tflite_builder import Judge

import engine
from engine.profile import work
from enginekit import datasets, rivals
from enginekit.timing import race

#: GMAC/s of one core: two 512-bit VNNI instructions, 64 multiply-adds each, a cycle at 2.4 GHz.
PEAK = 307
BUDGET = 4.0  # seconds of a race
RELU, SAME = Activation.RELU, Padding.SAME
XNNPACK = tuple(rival.name for rival in rivals.RIVALS if rival.xnnpack)


def dense_net(width: int) -> bytes:
    return engine.Model(Chain((784,)).dense(width, RELU).dense(10).graph()).to_bytes()


def conv_net() -> bytes:
    chain = Chain((28, 28, 1)).conv(12, 3, activation=RELU).pool("max_pool2d", 2).flatten().dense(10)
    return engine.Model(chain.graph()).to_bytes()


def resnet8() -> bytes:
    """Three stages of one residual block, 16 to 64 channels, on 32 x 32 x 3: 12.5 million multiply-adds."""
    keras_int8 = importlib.import_module("keras_int8")  # loads TensorFlow
    k = keras_int8.LAYERS

    def conv(x: Any, channels: int, kernel: int = 3, stride: int = 1) -> Any:
        return k.Conv2D(channels, kernel, strides=stride, padding="same")(x)

    inputs = k.Input((32, 32, 3))
    x = k.ReLU()(conv(inputs, 16))
    for stage, channels in enumerate((16, 32, 64)):
        stride = 1 if stage == 0 else 2
        y = conv(k.ReLU()(conv(x, channels, stride=stride)), channels)
        x = k.ReLU()(k.Add()([x if stage == 0 else conv(x, channels, 1, stride), y]))
    x = k.Dense(10, activation="softmax")(k.Flatten()(k.AveragePooling2D(8)(x)))
    return keras_int8.convert(keras_int8.keras.Model(inputs, x), keras_int8.normal_samples((32, 32, 3), count=4))


def mobilenet() -> bytes:
    """MobileNetV1, a quarter of its channels, on 96 x 96 x 3: 7.5 million multiply-adds."""
    keras_int8 = importlib.import_module("keras_int8")
    network = keras_int8.keras.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, classes=2)
    rng = np.random.default_rng(0)
    for layer in network.layers:  # as initialized, its activations fade out before the end
        layer.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in layer.get_weights()])
    return keras_int8.convert(network, keras_int8.normal_samples((96, 96, 3), count=4))


def shared(name: str) -> bytes:
    folder = datasets.shared_models()
    if folder is None:
        pytest.skip("the shared model files are not on this machine")
    return (folder / name).read_bytes()


MODELS: dict[str, Callable[[], bytes]] = {
    "784-8-10": functools.partial(dense_net, 8),
    "784-32-10": functools.partial(dense_net, 32),
    "784-40-10": functools.partial(dense_net, 40),
    "conv12-pool2-10": conv_net,
    "ad01": functools.partial(shared, "ad01_int8.tflite"),
    "kws": functools.partial(shared, "kws_ref_model.tflite"),
    "ResNet-8": resnet8,
    "MobileNetV1-0.25": mobilenet,
}

KERNELS: dict[str, Callable[[], Chain]] = {
    "dense 784x32": lambda: Chain((784,)).dense(32),
    "dense 128x640": lambda: Chain((128,)).dense(640),
    "conv 3x3 1-12 28x28": lambda: Chain((28, 28, 1)).conv(12, 3),
    "conv 3x3 16-16 32x32": lambda: Chain((32, 32, 16)).conv(16, 3, padding=SAME),
    "conv 3x3 64-64 8x8": lambda: Chain((8, 8, 64)).conv(64, 3, padding=SAME),
    "conv 1x1 64-64 25x5": lambda: Chain((25, 5, 64)).conv(64, 1),
    "conv 3x3 1-12 28x28, pool 2": lambda: Chain((28, 28, 1)).conv(12, 3, activation=RELU).pool("max_pool2d", 2),
    "max pool 2 26x26x12": lambda: Chain((26, 26, 12)).pool("max_pool2d", 2),
    "average pool 8 8x8x64": lambda: Chain((8, 8, 64)).pool("average_pool2d", 8),
    "relu 8192": lambda: Chain((8192,)).relu(),
    "softmax 10": lambda: Chain((10,)).softmax(),
    "argmax 10": lambda: Chain((10,)).argmax(),
}


@functools.cache
def content(name: str) -> bytes:
    return MODELS[name]()


def codes(model: engine.Model, count: int) -> np.ndarray:
    shape = (count, *model.input.shape[1:])
    return np.random.default_rng(1).integers(-128, 128, shape).astype(model.input.dtype)


def rounds_for(calls: dict[str, Callable[[], object]]) -> int:
    """As many rounds as the budget of time has, 5 to 31."""
    took = 0.0
    for call in calls.values():
        start = time.perf_counter()
        call()
        took += max(0.01, time.perf_counter() - start)
    return int(min(31, max(5, BUDGET / took)))


@pytest.mark.parametrize("threads", [1, 2], ids=lambda n: f"threads {n}")
@pytest.mark.parametrize("batch", [1, 256], ids=lambda n: f"batch {n}")
@pytest.mark.parametrize("name", list(MODELS))
def test_model(name: str, batch: int, threads: int, benchmark: Any, record: Any) -> None:
    case = f"{name}, batch {batch}, threads {threads}"
    try:
        model = engine.load(content(name), threads=threads)
    except engine.UnsupportedError as error:
        record(case, {"unsupported": str(error)})
        pytest.skip(str(error))
    x = codes(model, batch)
    checked = x[:4]
    assert np.array_equal(model.run(x)[:4], Judge(content(name)).run(checked))
    others = rivals.contenders(content(name), x, threads=threads, names=None if batch == 1 else XNNPACK)
    calls = {"engine": lambda: model.run(x), **others.calls}
    timings = race(calls, rounds=rounds_for(calls))
    ours = timings["engine"].median
    macs = batch * model.profile(x[:1], repeats=1).macs
    row: dict[str, Any] = {
        "MACs": macs,
        "GMAC/s": round(macs / ours * 1e-9, 2),
        "share of VNNI-512 peak": round(macs / ours * 1e-9 / PEAK / threads, 4),
        "rounds": timings["engine"].rounds,
        "us median": {contender: round(timing.median * 1e6, 3) for contender, timing in timings.items()},
        "us minimum": {contender: round(timing.minimum * 1e6, 3) for contender, timing in timings.items()},
        "ratio": {contender: round(timing.median / ours, 3) for contender, timing in timings.items()},
    }
    record(case, row | ({"notes": others.notes} if others.notes else {}))
    benchmark.extra_info |= row
    benchmark.pedantic(calls["engine"], rounds=5, iterations=max(1, int(0.005 / ours)))


@pytest.mark.parametrize("name", list(KERNELS))
def test_kernel(name: str, benchmark: Any, record: Any) -> None:
    model = engine.Model(KERNELS[name]().graph())
    x = codes(model, 1)
    once = sum(work(step) for step in model.program.steps)
    found = model.profile(x, repeats=int(min(100_000, max(100, 1e9 / once))))
    row = {"MACs": found.macs, "us median": round(found.seconds * 1e6, 3), "GMAC/s": round(found.gmacs, 2)}
    record(f"kernel {name}", row | {"share of VNNI-512 peak": round(found.gmacs / PEAK, 4)})
    benchmark.pedantic(lambda: model.run(x), rounds=5, iterations=100)


def test_call(benchmark: Any, record: Any) -> None:
    """What a call costs beside its kernel: two multiply-adds."""
    model = engine.Model(random_graphs.Chain((2,)).dense(1).graph())
    x, out = codes(model, 1), np.empty((1, 1), np.int8)
    timings = race({"run(x)": lambda: model.run(x), "run(x, out=out)": lambda: model.run(x, out=out), "nothing": lambda: None})
    kernel = model.profile(x, repeats=100_000).seconds
    medians = {name: timing.median * 1e9 for name, timing in timings.items()}
    lambdas = medians.pop("nothing")
    record("call, ns", {name: round(ns - lambdas) for name, ns in medians.items()} | {"of it kernel": round(kernel * 1e9)})
    benchmark.pedantic(lambda: model.run(x, out=out), rounds=5, iterations=10_000)
