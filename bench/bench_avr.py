"""Networks and single layers on the simulated ATmega4809: cycles, flash and RAM, as measured and as predicted.

``make bench-avr`` writes bench/results/avr.json, and from it docs/avr.md, docs/avr.svg and the README's claim
(bench/avr_page.py). Cycles are counted, not timed; every output is compared with the host's, byte for byte, before anything is
reported. Networks are trained here, on MNIST.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avr_networks import LAYERS, NETWORKS, Trained, dense_net
from conftest import Record
from numpy.typing import NDArray

from engine import Model
from engine.errors import DoesNotFitError
from enginekit import costs, onchip, toolchain
from enginekit.costs.calls import FRAME_CODE
from enginekit.costs.measure import table_name
from enginekit.emit import emit
from enginekit.encode.choose import Encoding, Optimize, encode
from enginekit.encode.footprint import fixed_flash
from enginekit.encode.plain import plain
from enginekit.plan import Plan, plan

ON_CHIP = True
CLOCK = 20_000  # cycles a millisecond
FLOOR = 7.0  # cycles a multiply-add that is not skipped, weight by weight from flash: fetch 3, multiply 2, add 2
IMAGES = 500

#: Where the core is built, once for all.
FOLDER = pytest.fixture(lambda tmp_path_factory: tmp_path_factory.mktemp("firmware"), scope="module", name="folder")
trained = functools.cache(lambda name: NETWORKS[name]())


@functools.cache
def table() -> costs.Table:
    """Costs of the toolchain on the PATH."""
    return costs.load(table_name(toolchain.find().version))


def own_code(foreseen: Plan) -> int:
    """Bytes of code written for single layers, weights that are instructions and calls of groups not included."""
    return sum(step.own_code for step in foreseen.steps)


class Counter:
    """A model's firmware on the simulated chip, whose inferences are counted and compared with the host's."""

    def __init__(self, model: Model, encoding: Encoding, folder: Path) -> None:
        self.model, self.encoding = model, encoding
        self.image = toolchain.build_firmware(emit(model, golden=[], optimize=encoding), folder)
        self.board = onchip.boot(onchip.Firmware(self.image, model, 3, encoding))
        self.profiler = onchip.Profiler(self.board, onchip.step_ends(model, encoding))
        self.chip = self.board.chip
        self.arena, self.arena_bytes = self.chip.symbol("arena")
        self.chip.clear_stack_peak()

    def cycles(self, x: NDArray[Any]) -> int:
        """Run one input."""
        program = self.encoding.program
        self.chip.write(self.arena + program.input_offsets[0], x.tobytes())
        assert self.board.line.on_start is not None
        self.board.line.on_start()
        spent = self.chip.call("model_run", self.arena).cycles
        y = self.model.run(x[None])
        assert self.chip.read(self.arena + program.output_offsets[0], y.nbytes) == y.tobytes()
        return spent

    @property
    def code(self) -> int:
        """Bytes of flash beyond weights, tables and the firmware with its link.

        Kernels, those written for one layer too, and the function that calls them.
        """
        link = fixed_flash(self.model, self.encoding.table, golden=0) - FRAME_CODE
        foreseen = plan(self.model, self.encoding)
        return self.image.flash - link - foreseen.flash + own_code(foreseen)

    def layers(self) -> list[dict[str, Any]]:
        """What each step took, on average of all runs."""
        means = [total / self.profiler.inferences for total in self.profiler.step_cycles]
        rows = []
        for step, mean in zip(plan(self.model, self.encoding).steps, means, strict=True):
            row = {"layer": step.name, "encoding": step.encoding, "macs": step.macs, "cycles": round(mean)}
            rows.append(row | ({"cycles_per_mac": round(mean / step.macs, 2), "floor": FLOOR} if step.weights else {}))
        return rows


def hard_inputs(shape: tuple[int, ...]) -> Iterator[NDArray[np.int8]]:
    """Inputs made to be slow: all full, random, extreme, and nearly all beside a zero."""
    rng = np.random.default_rng(0)
    yield np.full(shape, 127, np.int8)
    yield rng.integers(-128, 128, shape).astype(np.int8)
    yield rng.choice(np.array([-128, 127], np.int8), shape)
    yield np.where(np.arange(np.prod(shape)).reshape(shape) % 16 == 0, -128, 127).astype(np.int8)


def measure(net: Trained, encoding: Encoding, folder: Path) -> dict[str, Any]:
    """Run test images and hard inputs."""
    counter = Counter(net.model, encoding, folder)
    images = [counter.cycles(x) for x in net.images[:IMAGES]]
    layers = counter.layers()
    hard = [counter.cycles(x) for x in hard_inputs(net.images.shape[1:])]
    foreseen = plan(net.model, encoding)
    firmware = foreseen.firmware - 2 * foreseen.golden - encoding.table.selftest
    return {
        "mean_ms": round(float(np.mean(images)) / CLOCK, 3),
        "slowest_image_ms": round(max(images) / CLOCK, 3),
        "hard_inputs_ms": round(max(hard) / CLOCK, 3),
        "accuracy_int8": net.accuracy,
        "flash": counter.image.flash,
        "data": foreseen.flash - own_code(foreseen),
        "code": counter.code,
        "ram_static": counter.image.ram,
        "arena": counter.arena_bytes,
        "stack": counter.chip.stack_peak,
        "images": len(images),
        "layers": layers,
        "predicted": {
            "mean_ms": None if foreseen.mean_ms is None else round(foreseen.mean_ms, 3),
            "slowest_ms": None if foreseen.worst_ms is None else round(foreseen.worst_ms, 3),
            "flash": firmware,
            "ram_static": foreseen.ram,
            "stack": foreseen.stack,
        },
    }


@pytest.mark.parametrize("optimize", [Optimize.SPEED, Optimize.SIZE])
@pytest.mark.parametrize("name", NETWORKS)
def test_network(benchmark: Any, record: Record, folder: Path, name: str, optimize: Optimize) -> None:
    """Mean over test images; the slowest of them and of hard inputs."""
    net = trained(name)
    encoding = encode(net.model, optimize, samples=net.images[:IMAGES], table=table())
    record(f"{name}, {optimize.value}", measure(net, encoding, folder))
    benchmark.pedantic(lambda: None, rounds=1)


def test_the_largest_that_fits(benchmark: Any, record: Record, folder: Path) -> None:
    """The widest 784-W-10 whose firmware fits flash and RAM beside an Arduino's bootloader."""
    for width in range(64, 0, -1):
        net = dense_net(width, epochs=1)
        try:
            encoding = encode(net.model, Optimize.SIZE, samples=net.images[:IMAGES], table=table())
            figures = measure(net, encoding, folder)
        except DoesNotFitError:
            continue
        record("784-W-10, the largest that fits", {"width": width} | figures)
        break
    benchmark.pedantic(lambda: None, rounds=1)


def ways(model: Model, samples: NDArray[np.int8]) -> dict[str, Encoding]:
    """As it is, and as it is chosen for speed and for size; each encoding once."""
    chosen = {"plain": encode(model, Optimize.SIZE, encoders=[plain], table=table())}
    chosen |= {each.value: encode(model, each, samples=samples, table=table()) for each in (Optimize.SPEED, Optimize.SIZE)}
    first = {encoding_of(encoding): what for what, encoding in reversed(chosen.items())}
    return {what: chosen[what] for what in chosen if what in first.values()}


def encoding_of(encoding: Encoding) -> str:
    """In words."""
    return "; ".join(placed.candidate.encoding for placed in encoding.steps)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(benchmark: Any, record: Record, folder: Path, name: str) -> None:
    """One layer: any input, and inputs of which a fifth is not zero, in runs of six."""
    model = LAYERS[name]()
    rng = np.random.default_rng(0)
    shape, zero = model.input.shape[1:], model.input.zero_point
    full = rng.integers(-128, 128, (20, *shape)).astype(np.int8)
    strokes = np.repeat(rng.random((20, -(-full[0].size // 6))) < 0.19, 6, axis=1)[:, : full[0].size].reshape(full.shape)
    sparse = np.where(strokes, full, zero).astype(np.int8)
    for what, encoding in ways(model, sparse).items():
        counter = Counter(model, encoding, folder)
        macs = sum(step.macs for step in plan(model, encoding).steps if step.weights)
        means = [float(np.mean([counter.cycles(x) for x in inputs])) for inputs in (full, sparse)]
        figures = {
            "encoding": encoding_of(encoding),
            "macs": macs,
            "outputs": int(np.prod(model.output.shape)),
            "cycles": round(means[0]),
            "cycles_strokes": round(means[1]),
            "data": plan(model, encoding).flash - own_code(plan(model, encoding)),
            "code": counter.code,
            "stack": counter.chip.stack_peak,
        }
        if macs:
            figures |= {"cycles_per_mac": round(means[0] / macs, 2), "strokes_per_mac": round(means[1] / macs, 2)}
            figures["floor"] = FLOOR
        record(f"{name}, {what}", figures)
    benchmark.pedantic(lambda: None, rounds=1)
