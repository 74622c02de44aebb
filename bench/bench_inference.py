"""Inference against TensorFlow Lite and LiteRT, with XNNPACK and without, and ONNX Runtime, in interleaved runs.

``python -m pytest bench/bench_inference.py --benchmark-only`` on a quiet machine, then ``python bench/chart.py`` for
docs/inference.md. Whole calls are timed, from NumPy array to NumPy array (set_tensor, invoke, get_tensor), after all bytes have
been compared with those of TensorFlow Lite's reference kernels. Ratios are of medians. With two
threads every contender's go to sleep before the next one's turn. ONNX Runtime gets the model as bench/onnx_model.py converts
it, and the note says how many of its codes differ.

The peak is measured, bench/peak.c: the kernels' multiply-add on registers alone, on one core. Convolutions by minimal filtering
count with all of the model's multiply-adds, and may exceed it. A model with operators that the engine does not support is
recorded as such. With ``ENGINE_ISA`` set, results go to a file of their own.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_model
import pytest
import random_graphs
from random_graphs import Activation, Chain, Padding
from tflite_builder import Judge

import engine
from engine.profile import work
from engine.summary import macs
from enginekit import datasets, rivals
from enginekit.timing import REST, race

PEAK_FLAGS = {"avx512vnni": ("-mavx512f", "-mavx512vnni"), "avxvnni": ("-mavx2", "-mavxvnni"), "avx2": ("-mavx2",)}
BUDGET = 4.0  # seconds of a race
RELU, SAME = Activation.RELU, Padding.SAME
ONNX = "ONNX Runtime"


@functools.cache
def peak() -> float | None:
    """GMAC/s that one core can do with the instructions in use; None for portable kernels."""
    flags = PEAK_FLAGS.get(engine.isa())
    if flags is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        source = Path(__file__).with_name("peak.c")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", *flags, str(source), "-o", str(program)], check=True)
        return float(subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout)


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


def doubled(op: str, shape: tuple[int, ...]) -> Chain:
    """A tensor added to (multiplied by) another: itself in another scale."""
    chain = Chain(shape)
    start = chain.last
    return chain.quantize(0.0137).join(op, start)


KERNELS: dict[str, Callable[[], Chain]] = {
    "dense 784x32": lambda: Chain((784,)).dense(32),
    "dense 128x640": lambda: Chain((128,)).dense(640),
    "conv 3x3 1-12 28x28": lambda: Chain((28, 28, 1)).conv(12, 3),
    "conv 3x3 16-16 32x32": lambda: Chain((32, 32, 16)).conv(16, 3, padding=SAME),
    "conv 3x3 64-64 8x8": lambda: Chain((8, 8, 64)).conv(64, 3, padding=SAME),
    "conv 1x1 64-64 25x5": lambda: Chain((25, 5, 64)).conv(64, 1),
    "conv 3x3 1-12 28x28, pool 2": lambda: Chain((28, 28, 1)).conv(12, 3, activation=RELU).pool("max_pool2d", 2),
    "depthwise 3x3 64 25x5": lambda: Chain((25, 5, 64)).depthwise(3),
    "max pool 2 26x26x12": lambda: Chain((26, 26, 12)).pool("max_pool2d", 2),
    "average pool 8 8x8x64": lambda: Chain((8, 8, 64)).pool("average_pool2d", 8),
    "mean 3x3x256": lambda: Chain((3, 3, 256)).mean(),
    "add 32x32x16": lambda: doubled("add", (32, 32, 16)),
    "mul 32x32x16": lambda: doubled("mul", (32, 32, 16)),
    "relu 8192": lambda: Chain((8192,)).relu(),
    "quantize float 784": lambda: Chain((784,), dtype=np.dtype(np.float32)).quantize(),
    "softmax 10": lambda: Chain((10,)).softmax(),
    "argmax 10": lambda: Chain((10,)).argmax(),
}


@functools.cache
def content(name: str) -> bytes:
    return MODELS[name]()


def samples(model: engine.Model, count: int) -> np.ndarray:
    shape, rng = (count, *model.input.shape[1:]), np.random.default_rng(1)
    if model.input.dtype == np.float32:
        return rng.normal(size=shape).astype(np.float32)
    return rng.integers(-128, 128, shape).astype(model.input.dtype)


def rounds_for(calls: dict[str, Callable[[], object]]) -> int:
    """As many rounds as the budget of time has, 5 to 31."""
    took = 0.0
    for call in calls.values():
        start = time.perf_counter()
        call()
        took += max(0.01, time.perf_counter() - start)
    return int(min(31, max(5, BUDGET / took)))


def onnx_call(model: engine.Model, x: np.ndarray, threads: int) -> tuple[Callable[[], object] | None, str]:
    """ONNX Runtime on the batch, and a note; no call if the model cannot be converted."""
    try:
        call = onnx_model.session_call(onnx_model.to_onnx(model.graph), x, threads)
    except (engine.UnsupportedError, ImportError) as error:
        return None, str(error)
    differing = np.mean(onnx_model.flipped(call()) != model.run(x))
    return call, f"{100 * differing:.2f}% of its outputs differ from TensorFlow Lite's reference kernels"


def compared(content: bytes, model: engine.Model, x: np.ndarray, threads: int) -> dict[str, Any]:
    """Race engine against all others on a batch."""
    assert np.array_equal(model.run(x)[:4], Judge(content).run(x[:4]))
    others = rivals.contenders(content, x, threads=threads)
    calls: dict[str, Callable[[], object]] = {"engine": lambda: model.run(x), **others.calls}
    call, note = onnx_call(model, x, threads)
    calls |= {ONNX: call} if call is not None else {}
    timings = race(calls, rounds=rounds_for(calls), rest=REST if threads > 1 else 0.0)
    ours = timings["engine"].median
    return {
        "rounds": timings["engine"].rounds,
        "us median": {contender: round(timing.median * 1e6, 3) for contender, timing in timings.items()},
        "us minimum": {contender: round(timing.minimum * 1e6, 3) for contender, timing in timings.items()},
        "ratio": {contender: round(timing.median / ours, 3) for contender, timing in timings.items()},
        "notes": others.notes | {ONNX: note},
    }


def rates(macs: int, seconds: float, threads: int = 1) -> dict[str, Any]:
    """Multiply-adds, and the share of what the cores could do."""
    rate, most = macs / seconds * 1e-9, peak()
    share = {} if most is None else {"peak GMAC/s": most * threads, "share of peak": round(rate / most / threads, 4)}
    return {"MACs": macs, "GMAC/s": round(rate, 2)} | share


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
    x = samples(model, batch)
    race_row = compared(content(name), model, x, threads)
    ours = race_row["us median"]["engine"] * 1e-6
    row = rates(batch * sum(macs(step) for step in model.program.steps), ours, threads) | race_row
    record(case, row)
    benchmark.extra_info |= row
    benchmark.pedantic(lambda: model.run(x), rounds=5, iterations=max(1, int(0.005 / ours)))


@pytest.mark.parametrize("name", list(KERNELS))
def test_kernel(name: str, benchmark: Any, record: Any) -> None:
    """A model of one layer (add and mul: two): the kernels' time alone, and whole calls against the others."""
    model = engine.Model(KERNELS[name]().graph())
    x = samples(model, 1)
    once = sum(work(step) for step in model.program.steps)
    found = model.profile(x, repeats=int(min(100_000, max(100, 1e9 / once))))
    row = {"us median of kernels": {step.name: round(step.seconds * 1e6, 3) for step in found.steps}}
    row |= rates(found.macs, found.seconds) if found.macs else {}
    record(f"kernel {name}", row | compared(model.to_bytes(), model, x, 1))
    benchmark.pedantic(lambda: model.run(x), rounds=5, iterations=100)


def test_call(benchmark: Any, record: Any) -> None:
    """What a call costs beside its kernel: two multiply-adds."""
    model = engine.Model(random_graphs.Chain((2,)).dense(1).graph())
    x, out = samples(model, 1), np.empty((1, 1), np.int8)
    timings = race({"run(x)": lambda: model.run(x), "run(x, out=out)": lambda: model.run(x, out=out), "nothing": lambda: None})
    kernel = model.profile(x, repeats=100_000).seconds
    medians = {name: timing.median * 1e9 for name, timing in timings.items()}
    lambdas = medians.pop("nothing")
    record("call, ns", {name: round(ns - lambdas) for name, ns in medians.items()} | {"of it kernel": round(kernel * 1e9)})
    benchmark.pedantic(lambda: model.run(x, out=out), rounds=5, iterations=10_000)
