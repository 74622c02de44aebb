"""Training on the simulated ATmega4809: cycles a step, RAM and flash of whole trainers, and kernels against portable C.

``python -m pytest bench/bench_training_chip.py --benchmark-only`` writes bench/results/training_chip.json. Cycles are counted,
not timed; after every step all bytes of the state are compared with the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, word
from conftest import Record
from firmware.test_training_chip import Bench as Chip

from engine.model import Model
from engine.training import MSE, Adam, Dense, IntegerSequential, Sequential, Sigmoid, Softmax
from enginekit import costs
from enginekit.costs.stack import Program
from enginekit.costs.table import DEFAULT, TRAINER
from enginekit.datasets import mnist
from enginekit.encode.choose import Optimize
from enginekit.quantize import quantize
from enginekit.trainer import Trainer, make_trainer

CLOCK = 20_000  # cycles a millisecond
STEPS = 1000
#: AIfES, XOR 2-3-1, float32, Adam, 4 samples an epoch, measured the same way.
FIELD = {"ms_an_epoch": 14.1, "ram": 1414, "flash": 20802}


def footprint(chip: Chip) -> dict[str, int]:
    """Bytes of the whole firmware; the stack is the deepest possible. And flash without what every trainer's link takes."""
    link = costs.load(TRAINER + DEFAULT).flash
    return {
        "ram": chip.image.ram + Program(chip.image.elf).bound,
        "arena": chip.trainer.written.arena,
        "state": chip.trainer.state,
        "flash": chip.image.flash,
        "flash_without_link": chip.image.flash - link,
    }


def figures(cycles: list[int]) -> dict[str, float]:
    return {
        "cycles_mean": round(float(np.mean(cycles))),
        "cycles_max": max(cycles),
        "ms_mean": round(np.mean(cycles) / CLOCK, 3),
    }


def test_xor(benchmark: Any, record: Record, tmp_path: Path) -> None:
    x, y = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]]), np.float32([[0], [1], [1], [0]])
    net = Sequential((2,), [Dense(3), Sigmoid(), Dense(1), Sigmoid()], seed=4)
    trainer = make_trainer(net, loss=MSE(), optimizer=Adam(0.1), batch_size=4)
    chip = Chip(trainer, tmp_path)
    cycles = chip.train((x[i % 4], y[i % 4]) for i in range(STEPS))
    epochs = [int(each) for each in np.array(cycles).reshape(-1, 4).sum(axis=1)]
    error = float(np.abs(trainer.network(chip.state()).predict(x) - y).max())
    row = {"epochs": len(epochs), **figures(epochs), "ms_max": round(max(epochs) / CLOCK, 3), "largest_error": round(error, 4)}
    record("XOR 2-3-1 float32 Adam, an epoch of 4", row | footprint(chip) | {"field": FIELD})
    benchmark.pedantic(lambda: None, rounds=1)


def codes(images: np.ndarray) -> np.ndarray:
    return (images.reshape(len(images), -1).astype(np.int16) - 128).astype(np.int8)


Change = Callable[[np.ndarray], np.ndarray]


def rotated(images: np.ndarray) -> np.ndarray:
    return np.rot90(images, axes=(1, 2))


def inverted(images: np.ndarray) -> np.ndarray:
    return 255 - images


@pytest.fixture(scope="module")
def digits_model() -> Model:
    digits = mnist()
    assert digits.is_mnist
    x = digits.train_x.reshape(-1, 784).astype(np.float32) / 255
    net = Sequential((784,), [Dense(32, activation="relu"), Dense(10), Softmax()], seed=1)
    net.fit(x, digits.train_y, epochs=4, batch_size=64, seed=1, progress=False)
    return quantize(net.network(), x[:500])


@pytest.mark.parametrize("case", [(rotated, "size"), (rotated, "speed"), (inverted, "speed")])
def test_digits_head(benchmark: Any, record: Record, tmp_path: Path, digits_model: Model, case: tuple[Change, str]) -> None:
    change, optimize = case
    digits, model = mnist(), digits_model
    test = codes(change(digits.test_x))

    def accuracy(of: Model, images: np.ndarray) -> float:
        return float((of.run(images).argmax(axis=1) == digits.test_y).mean())

    trainer = make_trainer(IntegerSequential.from_model(model, seed=1), learning_rate=0.02, optimize=Optimize(optimize))
    chip = Chip(trainer, tmp_path)
    cycles = chip.train(zip(codes(change(digits.train_x[:STEPS])), digits.train_y[:STEPS].tolist(), strict=True))
    upright, before = accuracy(model, codes(digits.test_x)), accuracy(model, test)
    after = accuracy(trainer.network(chip.state()).model(), test)
    row = {"upright": upright, "changed": before, "after": after, "won_back": round((after - before) / (upright - before), 4)}
    name = f"head of 784-32-10, {change.__name__} digits, {optimize}"
    record(name, {"steps": STEPS, **figures(cycles), **row, **footprint(chip)})
    benchmark.pedantic(lambda: None, rounds=1)


def random_samples(trainer: Trainer) -> list[tuple[np.ndarray, int]]:
    rng = np.random.default_rng(0)
    shape = trainer.x.shape[1:]
    return [(rng.integers(-128, 128, shape).astype(np.int8), int(rng.integers(trainer.classes or 1))) for _ in range(STEPS)]


def test_all_layers_in_integers(benchmark: Any, record: Record, tmp_path: Path) -> None:
    net = IntegerSequential((16,), [Dense(32, activation="relu"), Dense(4)], seed=1)
    chip = Chip(make_trainer(net, learning_rate=0.05), tmp_path)
    cycles = chip.train(random_samples(chip.trainer))
    record("16-32-4 in integers, all layers", {"steps": STEPS, **figures(cycles), **footprint(chip)})
    benchmark.pedantic(lambda: None, rounds=1)


# ---------------------------------------------------------------------------------------------------- kernels

IN, OUT = 32, 10
LOOPS = """
#include <math.h>
#include <stdint.h>
#include "eng/math_f32.h"
typedef struct { float a[64], b[64], y[64]; } numbers;
#define LOOP(name, value) void name(numbers *p); \\
    void name(numbers *p) { for (uint8_t i = 0; i < 64; ++i) { p->y[i] = value; } }
LOOP(nothing, p->a[i]) LOOP(add, p->a[i] + p->b[i]) LOOP(multiply, p->a[i] * p->b[i]) LOOP(divide, p->a[i] / p->b[i])
LOOP(exponential, eng_exp_f32(p->a[i]))
"""
Call = Callable[[Bench], int]


class Kernel(NamedTuple):
    """Files in csrc/avr and in csrc/src that do the same, a call of either, and what its cycles are divided by."""

    twins: tuple[str, ...]
    portable: tuple[str, ...]
    call: Call
    divisor: int
    both: tuple[str, ...] = ()


def integer_call(function: str) -> Call:
    rng = np.random.default_rng(0)
    x, h = rng.integers(-128, 128, IN).astype(np.int8), rng.integers(1, 128, OUT).astype(np.int8)
    w, bias = rng.integers(-30000, 30000, (OUT, IN)).astype(np.int16), np.zeros(OUT, np.int32)
    x[x == -128] = -127

    def call(bench: Bench) -> int:
        p = bench.ram(word(1) + word(IN) + word(OUT) + b"\x80")
        state = bench.ram(np.array([1, 2, 3, 4], np.uint32))
        places = {
            "eng_dense_int": (p, bench.ram(x), bench.ram(w), bench.ram(bias), bench.ram(4 * OUT)),
            "eng_dense_int_backward": (p, bench.ram(h), bench.ram(w), bench.ram(4 * IN)),
            "eng_rng_next": (state,),
        }
        step = bench.ram(word(10) + bytes([254, 0]))
        places["eng_dense_int_step"] = (p, step, 0, state, bench.ram(x), bench.ram(h), bench.ram(w), bench.ram(bias))
        return bench.call(function, *places[function]).cycles

    return call


def float_call(function: str) -> Call:
    rng = np.random.default_rng(0)

    def call(bench: Bench) -> int:
        numbers = [bench.ram(rng.normal(0, 1, 16).astype(np.float32)) for _ in range(4)]
        dense = bench.ram(word(1) + word(4) + word(4))
        adam = bench.ram(word(16) + np.float32([0.05, 0.9, 0.999, 1e-7]).tobytes())
        places = {
            "eng_dense_f32": (dense, numbers[0], numbers[1], numbers[2], numbers[3], 0),
            "eng_dense_f32_backward": (dense, numbers[0], numbers[1], numbers[2], numbers[3], bench.ram(16), bench.ram(16)),
            "eng_adam_f32": (adam, 0, 100, numbers[0], numbers[1], numbers[2], bench.ram(np.ones(16, np.float32))),
        }
        return bench.call(function, *places[function]).cycles

    return call


def loop_call(name: str) -> Call:
    rng = np.random.default_rng(0)
    data = rng.normal(0, 1, 192).astype(np.float32)

    def call(bench: Bench) -> int:
        return bench.call(name, bench.ram(data)).cycles - bench.call("nothing", bench.ram(data)).cycles

    return call


FLOATS = ("float_sum", "float_product", "float_shared")
DENSE_FLOATS = (("dense_f32", *FLOATS), ("dense_f32", "matmul_f32", "rows_f32", "sum_rows_f32"))
STEP = ("rng_next", "move_row_int")
KERNELS = {
    "random number": Kernel(("rng_next",), ("rng_next",), integer_call("eng_rng_next"), 1),
    "dense_int, a multiply-add": Kernel(("dense_int",), ("dense_int",), integer_call("eng_dense_int"), IN * OUT),
    "dense_int_backward, a multiply-add": Kernel(
        ("dense_backward_int",), ("dense_backward_int",), integer_call("eng_dense_int_backward"), IN * OUT
    ),
    "dense_int_step, a weight": Kernel(STEP, STEP, integer_call("eng_dense_int_step"), IN * OUT, ("sgd_int",)),
    "dense_f32, a multiply-add": Kernel(*DENSE_FLOATS, float_call("eng_dense_f32"), 16),
    "dense_f32_backward, a multiply-add": Kernel(*DENSE_FLOATS, float_call("eng_dense_f32_backward"), 32),
    "adam_f32, a parameter of 16": Kernel(("adam_f32", *FLOATS), ("adam_f32",), float_call("eng_adam_f32"), 16),
    **{
        f"float {name}": Kernel((*FLOATS, "exp_f32"), ("exp_f32",), loop_call(name), 64)
        for name in ("add", "multiply", "divide", "exponential")
    },
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernel(benchmark: Any, record: Record, tmp_path: Path, name: str) -> None:
    """The twin and portable C at -Os, as the firmware would have it, with the library's floats."""
    kernel = KERNELS[name]
    (tmp_path / "loops.c").write_text(LOOPS)
    shared = [tmp_path / "loops.c", *(ROOT / f"csrc/src/{file}.c" for file in kernel.both)]
    if "exp_f32" not in kernel.portable:
        shared.append(ROOT / "csrc/src/exp_f32.c")  # the loops call it
    files = {
        "assembly": [ROOT / f"csrc/avr/{file}.S" for file in kernel.twins],
        "C": [ROOT / f"csrc/src/{file}.c" for file in kernel.portable],
    }
    row: dict[str, Any] = {}
    for kind, own in files.items():
        folder = tmp_path / kind
        folder.mkdir()
        row[kind] = round(kernel.call(Bench(build(folder, [*shared, *own], "-Os"))) / kernel.divisor, 1)
    record(name, row | {"times": round(row["C"] / row["assembly"], 2)})
    benchmark.pedantic(lambda: None, rounds=1)
