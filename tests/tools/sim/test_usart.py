"""USARTs: flags, frame times, receive buffer, loop-back, interrupts."""

import pytest
from tools.sim.programs import HEAD

from enginekit.sim import Chip, Fault

SPIN = bytes.fromhex("ffcf")  # rjmp .-2
BASES = [0x0800 + 0x20 * n for n in range(4)]
RXDATAL, RXDATAH, TXDATAL, STATUS, CTRLA, CTRLB, CTRLC, BAUD = 0, 1, 2, 4, 5, 6, 7, 8
RXC, TXC, DRE = 0x80, 0x40, 0x20
RXEN, TXEN, CLK2X = 0x80, 0x40, 0x02
BUFOVF, LBME = 0x40, 0x08


class Port:
    """The registers of one USART, and the chip around it."""

    def __init__(self, number=3, baud=64 * 4, control_b=RXEN | TXEN):
        self.chip = Chip(SPIN)
        self.line = self.chip.usart(number)
        self.base = BASES[number]
        self.set(BAUD, baud & 0xFF)
        self.set(BAUD + 1, baud >> 8)
        self.set(CTRLB, control_b)

    def set(self, register, value):
        self.chip.write(self.base + register, bytes([value]))

    def get(self, register):
        return self.chip.read(self.base + register, 1)[0]

    def cycles_until(self, condition, limit=100_000):
        """Cycles from now until the condition holds; the loop takes 2 a turn."""
        start = self.chip.cycles
        while not condition():
            self.chip.step()
            assert self.chip.cycles - start < limit
        return self.chip.cycles - start


def test_idle_status():
    port = Port()
    assert port.get(STATUS) == DRE
    assert port.get(RXDATAH) == 0


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(("baud", "control_b", "frame"), [(256, 0, 640), (694, 0, 1735), (65, 0, 162.5), (694, CLK2X, 867.5)])
def test_frame_time(number, baud, control_b, frame):
    """10 bits of S * BAUD / 64 cycles; fractions add up over frames."""
    port = Port(number, baud, TXEN | control_b)
    for byte in b"\x55\xaa":
        port.set(TXDATAL, byte)
    for frames in (1, 2):
        port.cycles_until(lambda n=frames: port.line.received >= n)
        assert 0 <= port.chip.cycles - frames * frame < 3
    assert port.line.receive() == b"\x55\xaa"
    assert port.line.baud == pytest.approx(port.chip.clock_hz * 10 / frame)


def test_transmit_flags():
    port = Port()
    port.set(TXDATAL, 1)
    assert port.get(STATUS) == DRE  # went straight into the shift register
    port.set(TXDATAL, 2)
    assert port.get(STATUS) == 0
    port.set(TXDATAL, 3)  # no room: lost
    assert port.cycles_until(lambda: port.get(STATUS) & DRE) in (640, 641, 642)
    assert port.get(STATUS) == DRE
    assert port.cycles_until(lambda: port.get(STATUS) & TXC) in (638, 640)
    assert port.line.receive() == b"\x01\x02"
    port.set(STATUS, TXC)
    assert port.get(STATUS) == DRE


def test_transmitter_off_sends_nothing():
    port = Port(control_b=RXEN)
    port.set(TXDATAL, 1)
    port.chip.run(2000)
    assert port.line.receive() == b""


def test_receive_in_order_and_in_time():
    port = Port()
    port.line.send(b"abc")
    assert port.cycles_until(lambda: port.get(STATUS) & RXC) in (640, 642)
    assert port.get(RXDATAH) == RXC
    assert port.get(RXDATAL) == ord("a")
    assert port.get(STATUS) == DRE
    assert port.cycles_until(lambda: port.get(STATUS) & RXC) in (638, 640)
    assert (port.line.waiting, port.get(RXDATAL)) == (1, ord("b"))


def test_receive_buffer_holds_three_and_the_fourth_start_bit_loses_one():
    """Two bytes of buffer and the shift register; what waits there is overwritten."""
    port = Port()
    port.line.send(b"abc")
    port.chip.run(10_000)
    assert [port.get(RXDATAL) for _ in range(3)] == list(b"abc")
    assert port.get(RXDATAH) == 0

    port.line.send(b"abcdef")
    port.chip.run(10_000)
    assert port.get(RXDATAH) == RXC | BUFOVF
    assert [port.get(RXDATAL) for _ in range(3)] == list(b"abf")
    assert port.get(RXDATAH) == 0
    assert port.line.overruns == 3


def test_reading_in_time_loses_nothing():
    port = Port()
    port.line.send(bytes(range(50)))
    seen = []
    for _ in range(50):
        port.chip.run(640)
        while port.get(STATUS) & RXC:
            seen.append(port.get(RXDATAL))
    port.chip.run(640)
    seen += [port.get(RXDATAL)] if port.get(STATUS) & RXC else []
    assert (seen, port.line.overruns) == (list(range(50)), 0)


def test_line_waits_for_the_receiver():
    port = Port(control_b=TXEN)
    port.line.send(b"ok")
    port.chip.run(5000)
    assert (port.get(STATUS), port.line.waiting) == (DRE, 2)
    port.set(CTRLB, RXEN)
    port.chip.run(1300)
    assert [port.get(RXDATAL), port.get(RXDATAL)] == list(b"ok")


def test_switching_the_receiver_off_flushes_it():
    port = Port()
    port.line.send(b"x")
    port.chip.run(1000)
    port.set(CTRLB, TXEN)
    assert port.get(STATUS) == DRE


def test_discarded_line_never_arrives():
    port = Port()
    port.line.send(b"abc")
    port.line.discard()
    port.chip.run(5000)
    assert (port.get(RXDATAL), port.get(STATUS)) == (ord("a"), DRE)  # its start bit had begun


def test_loopback():
    port = Port()
    port.set(CTRLA, LBME)
    port.set(TXDATAL, 0x5A)
    assert port.cycles_until(lambda: port.get(STATUS) & RXC) in (640, 642)
    assert port.get(RXDATAL) == 0x5A
    assert port.line.receive() == b""


@pytest.mark.parametrize(("register", "value"), [(CTRLC, 0x23), (CTRLC, 0x43), (CTRLA, 0x01), (CTRLB, 0x04)])
def test_what_is_not_modelled_is_refused_by_name(register, value, assemble):
    """The first one sets even parity."""
    code = assemble([f"ldi r16, {value}", f"sts {BASES[1] + register}, r16"])
    chip = Chip(b"".join(w.to_bytes(2, "little") for line in code for w in line))
    with pytest.raises(Fault, match=r"USART1\.CTRL.: only .* by the instruction at 0x0002") as fault:
        chip.run()
    assert (fault.value.kind, fault.value.address) == ("not modelled", BASES[1] + register)


INTERRUPTS = """
#define REG(a) (*(volatile uint8_t *)(a))
volatile uint8_t buffer[16], head, tail, done;
__attribute__((signal, used)) void __vector_17(void) /* USART0 RXC */
{
    buffer[head++ & 15] = (uint8_t)(REG(0x0800) + 1);
    REG(0x0805) |= 0x20;
}
__attribute__((signal, used)) void __vector_18(void) /* DRE */
{
    if (tail == head) REG(0x0805) &= (uint8_t)~0x20;
    else REG(0x0802) = buffer[tail++ & 15];
}
__attribute__((signal, used)) void __vector_19(void) /* TXC */
{
    done++;
}
int main(void)
{
    *(volatile uint16_t *)0x0808 = 256;
    REG(0x0806) = 0xc0;
    REG(0x0805) = 0xc0;
    REG(0x0050) = 1; /* idle sleep */
    __asm__ volatile("sei");
    for (;;) __asm__ volatile("sleep");
}
"""


def test_interrupts_while_asleep(build):
    chip = Chip.from_elf(build(HEAD + INTERRUPTS))
    line = chip.usart(0)
    assert chip.run(100_000).reason == "asleep"
    started = chip.instructions
    line.send(b"HAL")
    assert chip.run(1_000_000).reason == "asleep"
    assert line.receive() == b"IBM"
    assert 1 <= chip.read(chip.symbol("done")[0], 1)[0] <= 3
    assert chip.instructions - started < 500  # it slept between the bytes
