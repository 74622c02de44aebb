"""Training on the simulated chip: the host's bits after every step, exact cycles, and what it takes of the chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trainers
from firmware.test_chip import TwoWayHiss

from enginekit import device, toolchain
from enginekit.sim import Chip, SimulatedSerial
from enginekit.trainer import Trainer, emit_trainer

RAM = 6144


class Bench:
    """A trainer in the firmware on the chip, called without its link, and its twin on the host."""

    def __init__(self, trainer: Trainer, folder: Path) -> None:
        self.trainer, self.twin = trainer, trainer.twin()
        self.image = toolchain.build_firmware(emit_trainer(trainer), folder)
        self.chip = Chip.from_elf(self.image.elf, sram_fill=0x5A)
        self.chip.run(until="link_receive", max_cycles=100_000)
        self.arena, size = self.chip.symbol("arena")
        assert size == trainer.written.arena
        assert self.state() == trainer.start_state()

    def _put(self, x: np.ndarray, target: Any) -> None:
        offsets = self.trainer.written.offsets
        self.chip.write(self.arena + self.trainer.written.x_offset, x.tobytes())
        self.chip.write(self.arena + offsets["target"], self.trainer.check_target(target).tobytes())

    def state(self) -> bytes:
        return self.chip.read(self.arena + self.trainer.written.offsets["state"], self.trainer.state)

    def train(self, samples: Iterable[tuple[np.ndarray, Any]]) -> list[int]:
        """Train chip and twin on the same samples, compare all after every step, and give the cycles of each."""
        cycles = []
        for step, (x, target) in enumerate(samples):
            self._put(x, target)
            cycles.append(self.chip.call("model_train_step", self.arena).cycles)
            want = self.twin.train(x, target)
            found = self.chip.read(self.arena + self.trainer.written.offsets["outcome"], self.trainer.outcome)
            assert self.trainer.parse_outcome(found) == want, f"outcome of step {step}"
            assert self.state() == self.twin.state(), f"state after step {step}"
        return cycles


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[Trainer], Bench]:
    return lambda trainer: Bench(trainer, tmp_path)


@pytest.mark.parametrize("name", ["xor", "dense", "head", "conv", "fused"])
def test_a_thousand_steps_have_the_hosts_bits(name: str, bench: Callable[[Trainer], Bench]) -> None:
    trainer = trainers.ALL[name]()
    bench(trainer).train(trainers.samples(trainer, 1000))


@pytest.mark.parametrize("name", ["xor", "head"])
def test_over_the_link(name: str, tmp_path: Path) -> None:
    trainer = trainers.ALL[name]()
    image = toolchain.build_firmware(emit_trainer(trainer), tmp_path)
    chip = Chip.from_elf(image.elf, sram_fill=0x5A)
    client = device.Trainee(SimulatedSerial(chip), trainer)
    twin = trainer.twin()
    assert client.hello().trainer == trainer.kind
    assert client.selftest() == (True, "ok")
    for x, target in trainers.samples(trainer, 12):
        chip.clear_profile()
        lesson = client.train(x, target)
        assert (lesson.loss, lesson.predicted) == twin.train(x, target)
        profile = {each.name: each for each in chip.profile()}
        assert profile["model_train_step"].calls == 1
        assert lesson.cycles == profile["model_train_step"].inclusive
        assert client.evaluate(x, target)[:2] == twin.evaluate(x, target)
        assert client.run(x).y.tobytes() == twin.run(x).tobytes()
    assert client.read_state() == twin.state()
    client.restart()
    client.write_state(twin.state())
    assert client.network().parameters if trainer.kind == "float32" else client.network().model().digest
    stats = client.stats()
    assert stats.data == image.ram
    assert stats.stack_peak <= chip.stack_peak <= toolchain.STACK
    assert chip.usart(3).overruns == 0
    assert client.retries == 0


def test_noise_on_the_line(tmp_path: Path) -> None:
    trainer = trainers.ALL["xor"]()
    chip = Chip.from_elf(toolchain.build_firmware(emit_trainer(trainer), tmp_path).elf)
    port = SimulatedSerial(chip, noise=TwoWayHiss(3, 0.01, 0.01))
    client = device.Trainee(port, trainer, attempts=60, run_patience=0.5)
    twin = trainer.twin()
    for x, target in trainers.samples(trainer, 25):
        assert client.train(x, target)[:2] == twin.train(x, target)
    assert client.read_state() == twin.state()
    assert client.retries > 3


def test_eeprom_keeps_the_state_over_a_power_failure(tmp_path: Path) -> None:
    trainer = trainers.ALL["xor"]()
    chip = Chip.from_elf(toolchain.build_firmware(emit_trainer(trainer), tmp_path).elf)
    client = device.Trainee(SimulatedSerial(chip), trainer)
    client.fit(trainers.samples(trainer, 3))
    start = chip.cycles
    client.save()
    assert chip.cycles - start > 3 * 4e-3 * chip.clock_hz, "three pages, 4 ms each"
    state = client.read_state()
    start = chip.cycles
    client.save()
    assert chip.cycles - start < 10e-3 * chip.clock_hz, "nothing differs, nothing is written"
    client.fit(trainers.samples(trainer, 2))
    chip.power_on()
    again = device.Trainee(SimulatedSerial(chip), trainer)
    assert again.read_state() == state
    assert again.learner().saved == trainer.state + 8
    chip.write(0x1400 + 20, bytes([chip.read(0x1400 + 20, 1)[0] ^ 1]))
    chip.power_on()
    assert device.Trainee(SimulatedSerial(chip), trainer).read_state() == trainer.start_state()


def test_a_byte_takes_less_time_than_the_line(tmp_path: Path) -> None:
    """usart.h counts on it: there is no receive buffer but the hardware's."""
    trainer = trainers.ALL["head"]()
    chip = Chip.from_elf(toolchain.build_firmware(emit_trainer(trainer), tmp_path).elf)
    client = device.Trainee(SimulatedSerial(chip), trainer)
    state = trainer.start_state()
    starts: list[int] = []
    costs: list[int] = []
    chip.on_call("link_receive", lambda: starts.append(chip.cycles))
    chip.on_return("link_receive", lambda: costs.append(chip.cycles - starts[-1]))
    for work in (lambda: client.train(*trainers.samples(trainer, 1)[0]), lambda: client.write_state(state)):
        work()
        assert sorted(costs)[len(costs) * 9 // 10] <= 300
        costs.clear()
