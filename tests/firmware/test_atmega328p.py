"""The ATmega328P, whose flash only LPM reads: from model to simulated chip, the host's bytes, and what was predicted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from random_graphs import CHAINS, Chain, R

from engine import Model
from engine.errors import DoesNotFitError
from enginekit import costs, device, onchip, toolchain
from enginekit.chips import ATMEGA328P
from enginekit.cli import main
from enginekit.costs.measure import table_name
from enginekit.emit import emit
from enginekit.encode.choose import Limits, Optimize, encode
from enginekit.plan import plan
from enginekit.sim import Chip, SimulatedSerial
from firmware import tiny

GRAPHS = {
    **{name: graph for name, graph in CHAINS.items() if name not in ("split", "digits")},  # which do not fit
    "784-8-10": lambda: Chain((784,), zero=-128, name="digits").dense(8, R).dense(10).softmax().graph(),
}


@pytest.fixture(scope="module")
def table() -> costs.Table:
    name = table_name(toolchain.find(ATMEGA328P).version)
    if name not in costs.table.available(ATMEGA328P):
        pytest.skip(f"no table for {name}")
    return costs.load(name, ATMEGA328P)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the core is built once for all models."""
    return tmp_path_factory.mktemp("atmega328p")


def inputs(model: Model, count: int) -> np.ndarray:
    codes = np.random.default_rng(0).integers(-128, 128, (count, *model.input.shape[1:]))
    return (codes / 40 if model.input.dtype == np.float32 else codes).astype(model.input.dtype)


def without_interrupts(chip: Chip) -> int:
    """Cycles of model_run less those of the timer's interrupts, 27 each."""
    rows = {row.name: row for row in chip.profile()}
    taken = rows["__vector_13"].calls if "__vector_13" in rows else 0
    return rows["model_run"].inclusive - 27 * taken


@pytest.mark.xdist_group("atmega328p")
@pytest.mark.parametrize("name", GRAPHS)
def test_the_hosts_bytes_and_the_planned_costs(name: str, table: costs.Table, folder: Path) -> None:
    model = Model(GRAPHS[name]())
    x = inputs(model, 3)
    encoding = encode(model, Optimize.SPEED, table=table)
    assert not encoding.encoded
    planned = plan(model, encoding)
    firmware = onchip.build(model, folder, optimize=encoding)
    assert planned.ram == firmware.image.ram
    assert planned.firmware == pytest.approx(firmware.image.flash, rel=0.01)
    board = onchip.boot(firmware)
    assert (board.card.mcu, board.card.clock_hz) == ("atmega328p", ATMEGA328P.clock)
    for each in x:
        board.chip.clear_profile()
        y, cycles = board.client.run(each)
        assert y.tobytes() == model.run(each[None]).tobytes()
        assert cycles == without_interrupts(board.chip)
    assert board.client.selftest() == (True, "ok")
    stats = board.client.stats()
    assert (stats.ram, stats.data) == (ATMEGA328P.ram, planned.ram)
    assert board.chip.stack_peak <= planned.stack
    assert board.client.retries == 0


@pytest.mark.parametrize("delay", [0, 1, 1800, 2000, 2500, 3000, 400_000])
def test_cycles_are_exact_beyond_the_timers_16_bits(delay: int, folder: Path) -> None:
    image = toolchain.build_firmware(tiny.files(delay=delay), folder, chip=ATMEGA328P)
    chip = Chip.from_elf(image.elf)
    client = device.Client(SimulatedSerial(chip, 0))
    client.hello()
    for seed in range(3):
        chip.clear_profile()
        cycles = client.run(np.full((3, 4), seed, np.int8)).cycles
        assert cycles == without_interrupts(chip)
    assert cycles > delay


def test_what_does_not_fit_is_refused_by_bytes(table: costs.Table) -> None:
    model = Model(CHAINS["split"]())
    limits = Limits(flash=ATMEGA328P.usable_flash, ram=ATMEGA328P.ram)
    with pytest.raises(DoesNotFitError, match=r"flash: [\d,]+ bytes too many for 32,256"):
        encode(model, Optimize.SIZE, limits=limits, table=table)


def test_encoded_layers_do_not_compile(folder: Path) -> None:
    model = Model(GRAPHS["784-8-10"]())
    encoding = encode(model, Optimize.SPEED)
    assert encoding.encoded
    with pytest.raises(toolchain.ToolchainError, match=r"encoded layers .* emit for the ATmega328P with --chip atmega328p"):
        toolchain.build_firmware(emit(model, optimize=encoding), folder, chip=ATMEGA328P)


def test_arguments_are_checked(folder: Path) -> None:
    with pytest.raises(ValueError, match="usart is 1; the ATmega328P has 0"):
        toolchain.build_firmware(tiny.files(), folder, chip=ATMEGA328P, usart=1)
    with pytest.raises(ValueError, match="the ATmega328P's serial port has one place"):
        toolchain.build_firmware(tiny.files(), folder, chip=ATMEGA328P, usart_alternative=True)
    files = tiny.files()
    with pytest.raises(toolchain.ToolchainError, match="is a trainer: the ATmega328P has no room for one"):
        toolchain.build_firmware(files | {"model.h": files["model.h"] + "#define MODEL_TRAINER 1\n"}, folder, chip=ATMEGA328P)
    with pytest.raises(DoesNotFitError, match=r"RAM: \d+ B and 320 B for the stack of 2048 B"):
        toolchain.build_firmware(tiny.files(arena=1700), folder, chip=ATMEGA328P)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "digits.tflite")
    Model(GRAPHS["784-8-10"]()).save(path)
    assert main(["inspect", path, "--chip", "atmega328p", "--check"]) == 0
    assert "fits the ATmega328P" in capsys.readouterr().err
    assert main(["emit", path, "--chip", "atmega328p", "-o", str(tmp_path / "c")]) == 0
    assert "ENG_FLASH" in (tmp_path / "c/model.c").read_text()
    capsys.readouterr()
    assert main(["simulate", path, "--chip", "atmega328p", "--count", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differing_bytes_chip_host"] == 0
    assert found["chip"]["ms_mean"] == pytest.approx(found["chip"]["cycles_mean"] / 16_000)
