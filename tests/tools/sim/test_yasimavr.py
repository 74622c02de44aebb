"""yasimavr, an independent simulator of the same chip, must see the same instructions and the same memory.

Its cycle counts are those of classic AVR cores and differ from the AVRxt's; they are not compared.
"""

from __future__ import annotations

import numpy as np
import pytest
import random_graphs
from tools.sim.programs import ECHO, HEAD, PROGRAMS, USART3
from yasimavr.device_library import load_device
from yasimavr.lib import core
from yasimavr.utils.uart import UART_IO

from engine import Model
from enginekit import toolchain
from enginekit.device import Client
from enginekit.emit import emit
from enginekit.sim import Chip, SimulatedSerial

SRAM, SRAM_BYTES = 0x2800, 0x1800
LIMIT = 20_000_000


class Judge:
    """yasimavr's ATmega4809, stepped one instruction at a time."""

    def __init__(self, elf, usart=3):
        self.device = load_device("atmega4809")
        firmware = core.Firmware.read_elf(str(elf))
        firmware.frequency = 20_000_000
        self.loop = core.SimLoop(self.device)
        self.device.load_firmware(firmware)
        self.probe = core.DeviceDebugProbe(self.device)
        self.probe.write_data(SRAM, bytes(SRAM_BYTES))
        self.uart = UART_IO(self.device, usart)
        self.instructions = 0

    def step(self):
        clock = self.loop.cycle_manager()
        clock.increment_cycle(self.device.exec_cycle())
        clock.process_timers()
        self.instructions += 1

    def run_until(self, *addresses):
        """Run until the program counter is at one of the byte addresses; give it."""
        for _ in range(LIMIT):
            self.step()
            if (at := self.probe.read_pc()) in addresses:
                return at
        raise AssertionError(f"yasimavr did not get to {addresses} in {LIMIT} instructions")

    def state(self):
        registers = [self.probe.read_gpreg(n) for n in range(32)]
        return registers, self.probe.read_sreg(), self.probe.read_sp(), bytes(self.probe.read_data(SRAM, SRAM_BYTES))


def state_of(chip):
    return [chip.register(n) for n in range(32)], chip.sreg, chip.sp, chip.read(SRAM, SRAM_BYTES)


def compare(chip, judge):
    ours, theirs = state_of(chip), judge.state()
    assert ours[:3] == theirs[:3]
    differing = [hex(SRAM + i) for i in range(SRAM_BYTES) if ours[3][i] != theirs[3][i]]
    assert differing == []


@pytest.mark.parametrize("optimize", ["-O2", "-Os"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, optimize, build):
    elf = build(HEAD + PROGRAMS[name], optimize, "-lm")
    chip, judge = Chip.from_elf(elf), Judge(elf)
    assert chip.run(LIMIT, until="finish").reason == "until"
    judge.run_until(chip.symbol("finish")[0])
    compare(chip, judge)
    assert chip.instructions == judge.instructions > 1000


def test_echo(build):
    elf = build(HEAD + USART3 + ECHO)
    chip, judge = Chip.from_elf(elf), Judge(elf)
    text = b"Hi, chip!"
    chip.usart(3).send(text)
    assert chip.run(LIMIT, until="finish").reason == "until"
    for _ in range(300):  # its receiver must be on first
        judge.step()
    judge.uart.write(text)
    judge.run_until(chip.symbol("finish")[0])
    seen = chip.symbol("seen")
    assert chip.read(*seen) == bytes(judge.probe.read_data(*seen)) == text + bytes(16 - len(text))
    chip.run(30_000)
    for _ in range(30_000):
        judge.step()
    assert chip.usart(3).receive() == judge.uart.read(100) == bytes(c ^ 0x20 for c in text)


class JudgePort:
    """A serial port to yasimavr's chip; counts the instructions of one function meanwhile."""

    def __init__(self, judge, function):
        self.judge, self.timeout = judge, 1.0
        self.start, self.back, self.entered = function, None, 0
        self.counts, self.memory = [], []

    def write(self, data):
        self.judge.uart.write(bytes(data))
        return len(data)

    def read(self, size=1):
        deadline = self.judge.loop.cycle() + round(self.timeout * 20e6)
        while self.judge.uart.available() < size and self.judge.loop.cycle() < deadline:
            self.watch()
            self.judge.step()
        return self.judge.uart.read(size)

    def watch(self):
        """Note the instructions between the entry of the function and its return."""
        probe = self.judge.probe
        at = probe.read_pc()
        if at == self.start:
            high, low = probe.read_data(probe.read_sp() + 1, 2)
            self.back, self.entered = 2 * (high << 8 | low), self.judge.instructions
        elif at == self.back:
            self.counts.append(self.judge.instructions - self.entered)
            self.memory.append(bytes(probe.read_data(SRAM, SRAM_BYTES)))
            self.back = None

    def reset_input_buffer(self):
        self.judge.uart.read(10_000)


def small_cnn():
    chain = random_graphs.Chain((9, 9, 1), seed=4)
    return Model(
        chain.conv(3, 3, activation=random_graphs.Activation.RELU).pool("max_pool2d", 2).flatten().dense(5).softmax().graph()
    )


def perceptron():
    return Model(random_graphs.Chain((30,), seed=5).dense(16, random_graphs.Activation.RELU).dense(10).graph())


@pytest.mark.parametrize("make", [small_cnn, perceptron])
def test_firmware(make, tmp_path):
    """The project's own image: same answers over the line, same instructions in model_run, same statics after it."""
    model = make()
    image = toolchain.build_firmware(emit(model), tmp_path)
    x = np.random.default_rng(3).integers(-128, 128, model.input.shape[1:]).astype(np.int8)
    chip = Chip.from_elf(image.elf)
    theirs = JudgePort(Judge(image.elf), chip.symbol("model_run")[0])
    theirs.judge.run_until(chip.symbol("link_init")[0])

    counts, memory = [], []
    chip.on_call("model_run", lambda: counts.append(-chip.instructions))
    chip.on_return("model_run", lambda: counts.append(counts.pop() + chip.instructions))
    chip.on_return("model_run", lambda: memory.append(chip.read(SRAM, SRAM_BYTES)))

    replies = [Client(port, model=model).run(x) for port in (SimulatedSerial(chip, usart=3), theirs)]
    for reply in replies:
        assert np.array_equal(reply.y, model.run(x[None])[0])
    assert counts == theirs.counts
    assert counts[0] > 5_000
    # Different by nature: a number of cycles, and the decoder's check of a frame whose request has a random number.
    apart = {i for name in ("overhead", "decoder") for i in range(*np.cumsum(chip.symbol(name)))}
    statics = [i for i in range(SRAM, chip.image.stack_floor) if i not in apart]
    assert [hex(i) for i in statics if memory[0][i - SRAM] != theirs.memory[0][i - SRAM]] == []
