"""Cycles and code bytes of the chip's encoded kernels, and milliseconds of whole networks, on the simulated ATmega4809.

``python -m pytest bench/bench_avr_kernels.py --benchmark-only`` writes bench/results/avr_kernels.json. Cycles are counted, not
timed; every result is compared with the host's before it is reported. Networks are trained here, on MNIST.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, s24, word
from conftest import Record
from numpy.typing import NDArray

from engine import Model, kernels_encoded, training
from enginekit import toolchain
from enginekit.datasets import mnist
from enginekit.emit import emit
from enginekit.encode import DenseRows, dense_rows
from enginekit.encode.choose import Optimize, encode
from enginekit.quantize import quantize
from enginekit.sim import Chip

ON_CHIP = True
CLOCK = 20_000  # cycles a millisecond
FLOOR = 7.0  # cycles a multiply-add: fetch 3, multiply 2, add 2
IMAGES = 500
TWINS = ("dense_rows", "dense_rows8", "dense_runs", "runs_s8", "requant_s24", "conv3x3_pool2_s8")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / f"csrc/avr/{name}.S" for name in TWINS]))


def place(bench: Bench, encoded: DenseRows) -> Callable[[NDArray[np.uint8]], int]:
    """Place weights; give a function that places an eng_dense_rows for them."""
    pointers = word(bench.flash(encoded.w)) + word(bench.flash(encoded.groups))
    size = bytes([encoded.blocks]) + word(encoded.w.shape[1])
    return lambda start: bench.flash(pointers + word(bench.flash(start)) + size)


def row(bench: Bench, symbol: str, cycles: int, macs: int) -> dict[str, Any]:
    per_mac = round(cycles / macs, 2)
    return {"cycles": cycles, "macs": macs, "cycles_per_mac": per_mac, "floor": FLOOR, "code": bench.chip.symbol(symbol)[1]}


@pytest.mark.parametrize("layer", [(4, 8), (4, 32), (5, 40), (8, 8), (8, 32), (8, 40)])
@pytest.mark.parametrize("mean", [12, 25])
def test_dense(benchmark: Any, record: Record, bench: Bench, layer: tuple[int, int], mean: int) -> None:
    """All inputs, and a fifth of them in runs of six."""
    rows, out = layer
    rng = np.random.default_rng(out)
    w = np.clip(np.rint(rng.normal(0, mean * 1.2533, (out, 784))), -127, 127).astype(np.int8)
    encoded = dense_rows(w, np.zeros(out, np.int32), rows, zero_x=-128)
    assert encoded.runs_start is not None
    x = np.where(np.repeat(rng.random(131) < 0.19, 6)[:784], rng.integers(-127, 128, 784), -128).astype(np.int8)
    bench.clear()
    params = place(bench, encoded)
    at, sums, table = bench.ram(x), bench.ram(3 * out), bench.ram(201)
    call = bench.call(f"eng_dense_rows{rows}_s24", params(encoded.start), at, sums)
    want = kernels_encoded.dense_rows_s24(encoded.w, encoded.groups, encoded.start, x)
    assert (s24(bench.read(sums, 3 * out)) == want).all()
    record(f"dense 784-{out} by {rows}, mean |w| {mean}", row(bench, f"eng_dense_rows{rows}_s24", call.cycles, 784 * out))
    find = bench.call("eng_runs_s8", bench.flash(word(784) + word(784) + bytes([100, 3, 0x80])), at, table)
    skip = bench.call(f"eng_dense_runs{rows}_s24", params(encoded.runs_start), at, -128, table, sums)
    assert (s24(bench.read(sums, 3 * out)) == w.astype(np.int64) @ x.astype(np.int64)).all()
    figures = row(bench, f"eng_dense_runs{rows}_s24", find.cycles + skip.cycles, 784 * out)
    record(f"dense 784-{out} by {rows}, mean |w| {mean}, {(x != -128).mean():.0%} not zero", figures)
    benchmark.pedantic(lambda: None, rounds=1)


def train(layers: list[Any], shape: tuple[int, ...], epochs: int, *, small_sums: bool = False) -> tuple[Model, np.ndarray]:
    digits = mnist()
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
    model = quantize(net.network(), x[:1000], small_sums=small_sums)
    return model, (digits.test_x.reshape(-1, *shape).astype(np.int16) - 128).astype(np.int8)


def dense_net(width: int) -> tuple[Model, np.ndarray]:
    return train([training.Dense(width, activation="relu"), training.Dense(10)], (784,), 12)


def conv_net() -> tuple[Model, np.ndarray]:
    layers = [training.Conv2D(12, 3, activation="relu"), training.MaxPool2D(2), training.Flatten(), training.Dense(10)]
    return train(layers, (28, 28, 1), 2, small_sums=True)


NETWORKS = {
    "784-8-10": lambda: dense_net(8),
    "784-32-10": lambda: dense_net(32),
    "784-40-10": lambda: dense_net(40),
    "conv 12 3x3, pool 2, dense 10": conv_net,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network(benchmark: Any, record: Record, tmp_path: Path, name: str) -> None:
    """Mean over test images; the slowest of full, random and extreme inputs; each equal to the host's bytes."""
    model, images = NETWORKS[name]()
    assert model.input.scale is not None
    assert model.input.zero_point == -128
    image = toolchain.build_firmware(emit(model, golden=[], optimize=Optimize.SPEED), tmp_path)
    chip = Chip.from_elf(image.elf)
    chip.run(until="link_init")
    arena, size = chip.symbol("arena")

    def cycles(x: np.ndarray) -> int:
        chip.write(arena + model.program.input_offsets[0], x.tobytes())
        spent = chip.call("model_run", arena).cycles
        y = model.run(x[None])
        assert chip.read(arena + model.program.output_offsets[0], y.nbytes) == y.tobytes()
        return spent

    rng = np.random.default_rng(0)
    shape = images.shape[1:]
    hard = [np.full(shape, 127), rng.integers(-128, 128, shape), rng.choice([-128, 127], shape)]
    hard += [np.where(np.arange(784).reshape(shape) % 16 == 0, -128, 127)]
    chip.clear_stack_peak()
    measured = [cycles(x) for x in images[:IMAGES]]
    worst = max(cycles(x.astype(np.int8)) for x in hard)
    figures = {
        "mean_ms": round(float(np.mean(measured)) / CLOCK, 3),
        "slowest_image_ms": round(max(measured) / CLOCK, 3),
        "hard_inputs_ms": round(worst / CLOCK, 3),
        "arena": size,
        "stack": chip.stack_peak,
        "flash": image.flash,
        "images": len(measured),
    }
    assert encode(model, Optimize.SPEED).encoded
    record(name, figures)
    benchmark.pedantic(lambda: None, rounds=1)
