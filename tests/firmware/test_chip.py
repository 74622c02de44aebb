"""The firmware on the simulated chip: verbs, exact cycles, RAM, and noise on the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from firmware.test_link import Hiss
from random_graphs import CHAINS, Chain, R

import engine
from enginekit import device, emit, toolchain
from enginekit.device import frame, protocol
from enginekit.encode.choose import Optimize, encode
from enginekit.sim import Chip, SimulatedSerial
from firmware import tiny

RAM = 6144
BAUD = 115200

MODELS: dict[str, Callable[[], engine.graph.Graph]] = {
    "dense": lambda: Chain((784,)).dense(32, R).dense(10).graph(),
    "digits": CHAINS["digits"],
    "cnn": lambda: Chain((28, 28, 1)).conv(12, 3, activation=R).pool("max_pool2d", 2).flatten().dense(10).graph(),
    "average_pool": CHAINS["average_pool"],
    "argmax": CHAINS["relu"],
    "float_edges": CHAINS["float_edges"],
}


@pytest.fixture(scope="module")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> toolchain.FirmwareImage:
    return toolchain.build_firmware(tiny.files(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def built_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the core's objects already; saves compiling them in every test."""
    folder = tmp_path_factory.mktemp("shared")
    toolchain.build_firmware(tiny.files(), folder)
    return folder


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[engine.Model, toolchain.FirmwareImage]]:
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, tuple[engine.Model, toolchain.FirmwareImage]] = {}

    def built(name: str) -> tuple[engine.Model, toolchain.FirmwareImage]:
        if name not in made:
            model = engine.Model(MODELS[name]())
            image = toolchain.build_firmware(emit.emit(model), folder)
            elf = image.elf.rename(folder / f"{name}.elf")  # one folder for all: the core is compiled once
            made[name] = model, replace(image, elf=elf)
        return made[name]

    return built


def make_input(model: engine.Model, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = model.input.shape[1:]
    if model.input.dtype == np.float32:
        return rng.normal(0, 1, shape).astype(np.float32)
    return rng.integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("name", MODELS)
def test_chip_and_host_agree_in_bytes_and_cycles(
    name: str, build: Callable[[str], tuple[engine.Model, toolchain.FirmwareImage]]
) -> None:
    model, image = build(name)
    chip = Chip.from_elf(image.elf, sram_fill=0x5A)
    client = device.Client(SimulatedSerial(chip, baudrate=BAUD), model=model)
    card = client.hello()
    assert card.hash == model.digest[:8]
    assert (card.x.shape, card.x.dtype) == (model.input.shape[1:], model.input.dtype)
    assert (card.y.shape, card.y.dtype) == (model.output.shape[1:] or (1,), model.output.dtype)
    for seed in range(3):
        x = make_input(model, seed)
        chip.clear_profile()
        y, cycles = client.run(x)
        assert y.tobytes() == model.run(x[None]).tobytes(), (name, seed)
        assert cycles == next(each.inclusive for each in chip.profile() if each.name == "model_run"), (name, seed)
    assert client.selftest() == (True, "ok")
    assert client.retries == 0
    client.stats()
    stats = client.stats()
    assert stats.stack_peak == chip.stack_peak
    assert (stats.ram, stats.data) == (RAM, image.ram)
    assert stats.arena == encode(model, Optimize.SIZE).arena
    assert stats.free == RAM - image.ram - stats.stack_peak > 0
    assert stats.stack_peak <= toolchain.STACK
    assert chip.usart(3).overruns == 0


def test_code_of_the_dense_network_with_the_link_fits_6_kib(
    build: Callable[[str], tuple[engine.Model, toolchain.FirmwareImage]],
) -> None:
    _, image = build("dense")
    assert image.code <= 6 * 1024, f"{image.code} B of code"


def test_cnn_fits_the_chip(build: Callable[[str], tuple[engine.Model, toolchain.FirmwareImage]]) -> None:
    _, image = build("cnn")
    assert image.flash <= 48640
    assert image.ram + toolchain.STACK <= RAM


@pytest.mark.parametrize("usart", range(4))
def test_every_usart(usart: int, tmp_path: Path) -> None:
    image = toolchain.build_firmware(tiny.files(), tmp_path, usart=usart, usart_alternative=usart % 2 == 1)
    chip = Chip.from_elf(image.elf)
    client = device.Client(SimulatedSerial(chip, usart=usart, baudrate=BAUD))
    x = np.arange(12, dtype=np.int8).reshape(3, 4)
    assert client.run(x).y.tobytes() == tiny.run(x.tobytes())
    route = chip.read(0x05E2, 1)[0]
    assert route == (usart % 2) << 2 * usart
    port, pin = 0x0400 + 0x20 * (0, 2, 5, 1)[usart], 4 * (usart % 2)
    assert chip.read(port, 1)[0] == 1 << pin, "driven"
    assert chip.read(port + 4, 1)[0] == 1 << pin, "high"
    assert chip.read(port + 0x10 + pin + 1, 1)[0] == 0x08, "pulled up"


@pytest.mark.parametrize("oscillator", [16_000_000, 20_000_000])
def test_the_fuses_say_the_clock(oscillator: int, tiny_image: toolchain.FirmwareImage) -> None:
    """SimulatedSerial complains when the baud rate is off; the same image serves both."""
    chip = Chip.from_elf(tiny_image.elf, oscillator=oscillator)
    card = device.Client(SimulatedSerial(chip, baudrate=BAUD)).hello()
    assert card.clock_hz == oscillator == chip.clock_hz
    assert abs(chip.usart(3).baud / BAUD - 1) < 0.005


def test_other_baud_rate_and_clock_by_the_build(tmp_path: Path) -> None:
    image = toolchain.build_firmware(tiny.files(), tmp_path, baud=38400, clock_hz=16_000_000)
    chip = Chip.from_elf(image.elf, oscillator=16_000_000)
    assert device.Client(SimulatedSerial(chip, baudrate=38400)).hello().clock_hz == 16_000_000
    assert abs(chip.usart(3).baud / 38400 - 1) < 0.005


@pytest.mark.parametrize("delay", [0, 1, 1800, 2000, 2500, 3000, 400_000])
def test_cycles_are_exact_beyond_the_timers_16_bits(delay: int, built_before: Path) -> None:
    image = toolchain.build_firmware(tiny.files(delay=delay), built_before)
    chip = Chip.from_elf(image.elf)
    client = device.Client(SimulatedSerial(chip))
    client.hello()
    for seed in range(3):
        chip.clear_profile()
        cycles = client.run(np.full((3, 4), seed, np.int8)).cycles
        assert cycles == next(each.inclusive for each in chip.profile() if each.name == "model_run")
    assert cycles > delay


def test_a_byte_takes_less_time_than_the_line(tiny_image: toolchain.FirmwareImage) -> None:
    """usart.h counts on it: there is no receive buffer but the hardware's."""
    chip = Chip.from_elf(tiny_image.elf)
    chip.run(5000)
    rng = np.random.default_rng(2)
    starts: list[int] = []
    costs: list[int] = []
    chip.on_return("link_receive", lambda: costs.append(chip.cycles - starts[-1]))
    for data in (bytes([5, 0, 0, 7] * 3), rng.bytes(300), bytes(300)):
        wire = frame.encode(protocol.RUN, 1, data).wire
        chip.usart(3).send(wire)
        while chip.run(3_000_000, until="link_receive").reason == "until":
            starts.append(chip.cycles)
        assert len(costs) == len(wire), "bytes were lost"
        assert max(costs[:-1]) <= 300
        costs.clear()


class TwoWayHiss:
    """Noise for SimulatedSerial, each direction by its own stream of chances."""

    def __init__(self, seed: int, there: float, back: float) -> None:
        self.to_chip, self.to_host = Hiss(seed, there), Hiss(seed + 1000, back)

    def __call__(self, direction: str, data: bytes) -> bytes:
        return self.to_chip(data) if direction == "to_chip" else self.to_host(data)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("there", "back"), [(0.02, 0), (0, 0.02), (0.02, 0.02)])
def test_noise_never_gives_a_wrong_answer_and_the_link_recovers(
    seed: int, there: float, back: float, tiny_image: toolchain.FirmwareImage
) -> None:
    chip = Chip.from_elf(tiny_image.elf)
    noise = TwoWayHiss(seed, there, back)
    client = device.Client(SimulatedSerial(chip, noise=noise), attempts=40, run_patience=0.5)
    for n in range(30):
        x = np.random.default_rng(n).integers(-128, 128, (3, 4)).astype(np.int8)
        assert client.run(x).y.tobytes() == tiny.run(x.tobytes()), (seed, n)
    assert client.retries > 3
    assert noise.to_chip.damages + noise.to_host.damages > 5


def test_noise_on_a_long_input(build: Callable[[str], tuple[engine.Model, toolchain.FirmwareImage]]) -> None:
    model, image = build("dense")
    chip = Chip.from_elf(image.elf)
    client = device.Client(SimulatedSerial(chip, noise=TwoWayHiss(5, 0.001, 0.005)), model=model, attempts=40, run_patience=0.5)
    for seed in range(10):
        x = make_input(model, seed)
        assert client.run(x).y.tobytes() == model.run(x[None]).tobytes(), seed
    assert client.retries > 3


def test_recovery_after_a_burst_of_garbage(tiny_image: toolchain.FirmwareImage) -> None:
    chip = Chip.from_elf(tiny_image.elf)
    port = SimulatedSerial(chip)
    client = device.Client(port)
    x = np.ones((3, 4), np.int8)
    for seed in range(5):
        port.write(np.random.default_rng(seed).bytes(3000))
        assert client.run(x).y.tobytes() == tiny.run(x.tobytes())


def exchange(port: SimulatedSerial, kind: int, payload: bytes) -> frame.Frame:
    port.write(frame.encode(kind, 5, payload).wire)
    port.timeout = 1.0
    decoder = frame.Decoder()
    for _ in range(4096):
        for answer in decoder.feed(port.read(1)):
            return answer
    raise AssertionError("no answer")


def test_wrong_lengths_versions_and_oversized_frames(tiny_image: toolchain.FirmwareImage) -> None:
    chip = Chip.from_elf(tiny_image.elf)
    port = SimulatedSerial(chip)
    client = device.Client(port)
    client.hello()
    arena, _ = chip.symbol("arena")
    before = chip.read(arena, 17)
    for size in (0, 11, 13, 5000, frame.PAYLOAD_MAX):
        answer = exchange(port, protocol.RUN, b"\x77" * size)
        assert answer.kind == protocol.ERROR, size
        assert protocol.parse_error(answer.payload[2:]) == (protocol.ERR_LENGTH, 12)
        assert chip.read(arena, 17) == before, "something was stored"
    answer = exchange(port, protocol.HELLO, b"\x01")
    assert protocol.parse_error(answer.payload[2:]) == (protocol.ERR_PROTOCOL, protocol.PROTOCOL)
    answer = exchange(port, 0x55, b"")
    assert protocol.parse_error(answer.payload[2:]) == (protocol.ERR_KIND, 0x55)


def test_a_damaged_input_is_never_run(tiny_image: toolchain.FirmwareImage) -> None:
    chip = Chip.from_elf(tiny_image.elf)
    port = SimulatedSerial(chip, timeout=0.1)
    runs: list[int] = []
    chip.on_return("model_run", lambda: runs.append(chip.cycles))
    wire = frame.encode(protocol.RUN, 1, bytes(range(12))).wire
    for at in range(frame.PREAMBLE, len(wire) - 1):
        port.write(bytes([*wire[:at], wire[at] ^ 0x20, *wire[at + 1 :]]))
        port.read(200)
    assert runs == []
    port.write(wire)
    port.read(200)
    assert len(runs) == 1


def test_selftest_that_fails(built_before: Path) -> None:
    image = toolchain.build_firmware(tiny.files(golden=False), built_before)
    assert device.Client(SimulatedSerial(Chip.from_elf(image.elf))).selftest() == (False, "selftest")
