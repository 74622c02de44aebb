"""Simulated cycles a second: an inference, waiting for a byte, and interrupts.

``python -m pytest bench/bench_sim.py --benchmark-only``; processor time, so that other programs on the machine count little.
Each workload is checked to do what it says before it is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import random_graphs

from engine import Model
from enginekit import toolchain
from enginekit.emit import emit
from enginekit.sim import Chip

CYCLES = 20_000_000
GOAL = 50e6  # simulated cycles a second

SPIN = bytes.fromhex("ffcf")  # rjmp .-2
HANDLER = bytes.fromhex("0093860a 1895")  # sts TCB0.INTFLAGS, r16; reti


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    chain = random_graphs.Chain((784,), seed=1).dense(32, random_graphs.Activation.RELU).dense(10)
    model = Model(chain.graph())
    return model, toolchain.build_firmware(emit(model, golden=[]), tmp_path_factory.mktemp("firmware")).elf


def inference(model: Model, elf: Path) -> tuple[Chip, Callable[[], object]]:
    """784-32-10, dense."""
    chip = Chip.from_elf(elf)
    chip.run(until="link_init")
    arena, _ = chip.symbol("arena")
    x = np.random.default_rng(2).integers(-128, 128, model.input.shape[1:]).astype(np.int8)

    def run() -> None:
        end = chip.cycles + CYCLES
        while chip.cycles < end:
            chip.write(arena + model.program.input_offsets[0], x.tobytes())
            chip.call("model_run", arena)

    run()
    y = model.run(x[None])[0]
    assert chip.read(arena + model.program.output_offsets[0], y.nbytes) == y.tobytes()
    return chip, run


def waiting(_: Model, elf: Path) -> tuple[Chip, Callable[[], object]]:
    """The firmware's main loop polls the USART."""
    chip = Chip.from_elf(elf)
    chip.run(CYCLES)
    assert chip.where().startswith("usart_receive")
    return chip, lambda: chip.run(CYCLES)


def interrupts(_: Model, __: Path) -> tuple[Chip, Callable[[], object]]:
    """TCB0 asks every 100 cycles; its handler clears the flag."""
    chip = Chip(SPIN + bytes(46) + HANDLER)
    chip.write(0x0A8C, bytes([99, 0]))
    chip.write(0x0A85, b"\x01")
    chip.write(0x0A80, b"\x01")
    chip.set_register(16, 1)
    chip.sreg = 0x80
    chip.add_breakpoint(48)
    assert [chip.run().reason for _ in range(10)] == ["breakpoint"] * 10
    assert 900 < chip.cycles < 1010
    chip.remove_breakpoint(48)
    return chip, lambda: chip.run(CYCLES)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("workload", [inference, waiting, interrupts])
def test_simulated_cycles(workload, firmware, benchmark, record):
    chip, run = workload(*firmware)
    rounds = 8
    cycles, instructions = chip.cycles, chip.instructions
    benchmark.pedantic(run, rounds=rounds)
    spent = chip.cycles - cycles
    stats = benchmark.stats.stats
    record(
        workload.__name__,
        {
            "cycles a run": spent // rounds,
            "Mcycles/s median": round(spent / rounds / stats.median / 1e6, 1),
            "Mcycles/s max": round(spent / rounds / stats.min / 1e6, 1),
            "instructions a cycle": round((chip.instructions - instructions) / spent, 3),
        },
    )
    assert spent / rounds / stats.median > GOAL
