"""SimulatedSerial behaves like a serial port, in simulated time."""

import random

import pytest
from tools.sim.programs import ECHO, HEAD, USART3

from engine.errors import EngineError
from enginekit.sim import Chip, SimulatedSerial


@pytest.fixture(scope="module")
def echo(build):
    return build(HEAD + USART3 + ECHO)


def port(echo, **options):
    return SimulatedSerial(Chip.from_elf(echo), **options)


def test_echo(echo):
    serial = port(echo, baudrate=115200)
    assert serial.write(b"Hello") == 5
    assert serial.read(5) == b"hELLO"
    assert serial.in_waiting == 0
    # Five bytes in and the last one out: six frames of 86.75 us, and the start of the program.
    assert serial.chip.seconds == pytest.approx(6 * 10 * 16 * 694 / 64 / 20e6, abs=1.1e-3)


def test_timeout_is_simulated(echo):
    serial = port(echo, timeout=0.25)
    assert serial.read(1) == b""
    assert 0.25 <= serial.chip.seconds < 0.2501
    serial.write(b"a")
    assert serial.read(3) == b"A"
    serial.timeout = 0
    assert serial.read(1) == b""


def test_read_until(echo):
    serial = port(echo)
    serial.write(b"ONE\x0aTWO")
    assert serial.read_until(b"\x2a") == b"one\x2a"
    assert serial.read_until(b"o") == b"two"
    serial.write(b"LONG")
    assert serial.read_until(b"g", 2) == b"lo"
    assert serial.read_until(b"?") == b"ng"


def test_buffers_and_closing(echo):
    with port(echo) as serial:
        serial.write(b"abc")
        serial.flush()
        assert serial.out_waiting == 0
        serial.chip.run(10_000)
        assert serial.in_waiting == 3
        serial.reset_input_buffer()
        serial.write(b"xyz")
        serial.reset_output_buffer()
        assert serial.read(5) == b"X"  # its start bit had gone out
        assert serial.name == serial.port == "sim:USART3"
    with pytest.raises(EngineError, match="closed"):
        serial.read(1)
    with pytest.raises(EngineError, match="closed"):
        serial.write(b"a")


def test_wrong_baud_rate(echo):
    serial = port(echo, baudrate=9600)
    serial.chip.run(until="main")
    serial.chip.run(1000)
    with pytest.raises(EngineError, match=r"USART3 runs at 1152\d\d baud, the host at 9600.*20\.00 MHz"):
        serial.write(b"a")


def test_forgotten_prescaler_is_noticed(build):
    """BAUD computed for 20 MHz while the chip still runs at a sixth of it."""
    elf = build(HEAD + USART3.replace("REG(0x0061) = 0;", "") + ECHO)
    serial = SimulatedSerial(Chip.from_elf(elf), baudrate=115200)
    serial.chip.run(10_000)
    with pytest.raises(EngineError, match=r"runs at 192\d\d baud"):
        serial.write(b"a")


def test_noise_in_both_directions(echo):
    rng = random.Random(1)
    heard = []

    def noise(direction, data):
        heard.append((direction, data))
        return bytes(b ^ 1 if direction == "to_chip" else b ^ 2 for b in data for _ in range(rng.choice((1, 1, 2))))

    serial = port(echo, timeout=0.01, noise=noise)
    serial.write(b"\x10" * 8)
    answer = serial.read(100)
    assert set(answer) == {0x10 ^ 1 ^ 0x20 ^ 2}
    assert len(answer) > 8
    assert heard[0] == ("to_chip", b"\x10" * 8)
    assert {direction for direction, _ in heard} == {"to_chip", "to_host"}


def test_a_program_that_stops_is_an_error_not_a_timeout(build):
    serial = SimulatedSerial(Chip.from_elf(build(HEAD + 'int main(void) { __asm__ volatile("break"); finish(); }')))
    with pytest.raises(EngineError, match=r"program stopped \(break\) in main"):
        serial.read(1)


SLEEPER = '{ *(volatile uint8_t *)0x50 = 1; __asm__ volatile("sleep"); finish(); }'


def test_reading_from_a_chip_asleep_for_ever_ends(build):
    serial = SimulatedSerial(Chip.from_elf(build(HEAD + "int main(void)" + SLEEPER)), timeout=None)
    assert serial.read(1) == b""
    serial.timeout = 0.5
    assert serial.read(1) == b""
    assert serial.chip.seconds >= 0.5
