"""Clock, reset, sleep, interrupts, ports, EEPROM and timers."""

import pytest
from tools.sim.programs import HEAD

from enginekit.sim import Chip, Fault

SPIN = bytes.fromhex("ffcf")  # rjmp .-2
CCP, IOREG, SPM = 0x34, 0xD8, 0x9D


def code(assemble, *lines):
    return b"".join(w.to_bytes(2, "little") for line in assemble(lines) for w in line)


def peek(chip, address, size=1):
    return int.from_bytes(chip.read(address, size), "little")


def poke(chip, address, value, size=1):
    """Write as the CPU does, low byte first."""
    chip.write(address, value.to_bytes(size, "little"))


def protected(chip, address, value, signature=IOREG):
    poke(chip, CCP, signature)
    poke(chip, address, value)


# -------------------------------------------------------------------------------------------------------------- clock

MCLKCTRLB = 0x61


@pytest.mark.parametrize("oscillator", [16_000_000, 20_000_000])
def test_clock_out_of_reset_is_a_sixth(oscillator):
    chip = Chip(SPIN, oscillator=oscillator)
    assert chip.clock_hz == oscillator / 6
    chip.run(1_000_000)
    assert chip.seconds == 6 * chip.cycles / oscillator
    assert peek(chip, 0x1282) == (2 if oscillator == 20_000_000 else 1)  # fuse OSCCFG


@pytest.mark.parametrize(("value", "divider"), [(0x00, 1), (0x01, 2), (0x03, 4), (0x0B, 64), (0x11, 6), (0x19, 48), (0x10, 1)])
def test_prescaler(value, divider):
    chip = Chip(SPIN)
    chip.run(600)
    protected(chip, MCLKCTRLB, value)
    assert chip.clock_hz == 20e6 / divider
    before = chip.seconds
    chip.run(1000)
    assert chip.seconds - before == pytest.approx(1000 * divider / 20e6)
    assert peek(chip, MCLKCTRLB) == value


def test_clock_is_protected():
    chip = Chip(SPIN)
    poke(chip, MCLKCTRLB, 0)
    assert chip.clock_hz == pytest.approx(20e6 / 6)
    poke(chip, CCP, SPM)
    poke(chip, MCLKCTRLB, 0)
    assert chip.clock_hz == pytest.approx(20e6 / 6)


@pytest.mark.parametrize(("between", "changed"), [(0, True), (2, True), (3, True), (4, False)])
def test_protection_opens_for_four_instructions(between, changed, assemble):
    """The protected write must be one of the four instructions behind the write of CCP."""
    lines = ["ldi r16, 0xd8", "out 0x34, r16", *["nop"] * between, f"sts {MCLKCTRLB}, r1", "break"]
    chip = Chip(code(assemble, *lines))
    chip.run()
    assert (chip.clock_hz == 20e6) == changed


def test_reserved_prescaler_and_other_clocks_are_refused():
    for address, value in ((MCLKCTRLB, 0x1F), (0x60, 0x01)):
        chip = Chip(SPIN)
        with pytest.raises(Exception, match="CLKCTRL"):
            protected(chip, address, value)


# ----------------------------------------------------------------------------------------------------- reset and fuses


def test_software_reset(assemble):
    lines = [f"lds r20, {0x40}", "sbrc r20, 4", "break", "ldi r17, 0x77", f"sts {0x2900}, r17", "ldi r16, 0xd8", "ldi r18, 1"]
    chip = Chip(code(assemble, *lines, "out 0x34, r16", f"sts {0x41}, r18", "nop"))
    protected(chip, MCLKCTRLB, 0)
    assert chip.run(1000).reason == "break"
    assert chip.register(20) == 0x11  # power-on and software reset
    assert peek(chip, 0x2900) == 0x77  # SRAM keeps its contents
    assert chip.clock_hz == pytest.approx(20e6 / 6)  # peripherals do not
    assert chip.sp == 0x3FFF


def test_reset_is_protected(assemble):
    chip = Chip(code(assemble, "ldi r18, 1", f"sts {0x41}, r18", "break"))
    assert chip.run(100).reason == "break"
    assert chip.instructions == 3


def test_power_on_clears_ram_and_keeps_eeprom():
    chip = Chip(SPIN, sram_fill=0xA5)
    assert chip.read(0x2800, 0x1800) == b"\xa5" * 0x1800
    chip.write(0x2800, b"\x01")
    chip.write(0x1400, b"\x02")
    chip.power_on()
    assert (peek(chip, 0x2800), peek(chip, 0x1400)) == (0xA5, 0x02)


def test_identity():
    chip = Chip(SPIN)
    assert chip.read(0x1100, 3) == bytes([0x1E, 0x96, 0x51])
    assert chip.read(0x1300, 0x40) == b"\xff" * 0x40


# ---------------------------------------------------------------------------------------------------------- interrupts

TCB = [0x0A80 + 0x10 * n for n in range(4)]
COUNTING = """
#define REG(a) (*(volatile uint8_t *)(a))
#define REG16(a) (*(volatile uint16_t *)(a))
#define ISR(n) __attribute__((signal, used)) void __vector_##n(void)
volatile uint16_t ticks, others;
volatile uint8_t order[4], n, sreg_inside, status_inside;
"""


def test_interrupt_entry_takes_two_cycles_and_the_jump(assemble):
    """At TCB0's vector (12, byte 48) lies the handler itself."""
    lines = ["ldi r16, 0x3e", "out 0x1d, r16", "ldi r16, 1", f"sts {TCB[0] + 5}, r16", "sei", *["nop"] * 18, "inc r20", "reti"]
    program = code(assemble, *lines)
    assert program.index(code(assemble, "inc r20")) == 48
    chip = Chip(program)
    chip.run(until=2 * 5)  # sei
    poke(chip, TCB[0] + 12, 0, 2)
    chip.write(TCB[0], b"\x01")  # overflows every cycle
    chip.step()
    chip.step()  # the instruction behind sei
    before = chip.cycles, chip.pc
    chip.step()
    assert (chip.cycles - before[0], chip.pc) == (2, 48)
    assert chip.read(chip.sp + 1, 2) == (before[1] // 2).to_bytes(2, "big")
    assert chip.sreg & 0x80  # I stays set on this family
    assert peek(chip, 0x111) == 1  # CPUINT.STATUS: LVL0EX
    chip.step()
    chip.step()
    assert (chip.pc, peek(chip, 0x111)) == (before[1], 0)
    chip.step()
    assert chip.pc == before[1] + 2  # one instruction of the main program runs before the next interrupt
    chip.step()
    assert chip.pc == 48


PRIORITY = (
    COUNTING
    + """
ISR(12) { order[n++ & 3] = 12; REG(0x0A86) = 1; REG(0x0A85) = 0; }
ISR(13) { order[n++ & 3] = 13; REG(0x0A96) = 1; REG(0x0A95) = 0; }
ISR(36) { order[n++ & 3] = 36; REG(0x0AB6) = 1; REG(0x0AB5) = 0; }
int main(void)
{
    REG(0x0113) = URGENT;
    static const uint16_t bases[] = {0x0AB0, 0x0A90, 0x0A80};
    for (uint8_t i = 0; i < 3; ++i) {
        REG16(bases[i] + 12) = 9;
        REG(bases[i] + 5) = 1;
        REG(bases[i]) = 1;
    }
    for (uint8_t i = 0; i < 20; ++i) __asm__ volatile("nop");
    __asm__ volatile("sei");
    for (uint8_t i = 0; i < 20; ++i) __asm__ volatile("nop");
    finish();
}
"""
)


@pytest.mark.parametrize(("urgent", "order"), [(0, [12, 13, 36]), (36, [36, 12, 13]), (13, [13, 12, 36])])
def test_lower_vectors_go_first_and_the_urgent_one_before(urgent, order, build):
    chip = Chip.from_elf(build(HEAD + PRIORITY, f"-DURGENT={urgent}"))
    assert chip.run(10_000, until="finish").reason == "until"
    assert list(chip.read(chip.symbol("order")[0], 3)) == order


PERIODIC = (
    COUNTING
    + """
ISR(12) { REG(0x0A86) = 1; ++ticks; __asm__ volatile("in %0, 0x3f" : "=r"(sreg_inside)); status_inside = REG(0x0111); }
ISR(7) { REG(0x0A0B) = 1; ++others; }
int main(void)
{
    REG16(0x0A8C) = 1999;
    REG(0x0A85) = 1;
    REG(0x0A80) = 1;
    REG16(0x0A26) = 99;
    REG(0x0A0A) = 1;
    REG(0x0A00) = 0x09; /* divided by 16 */
    __asm__ volatile("sei");
    for (;;) __asm__ volatile("nop");
}
"""
)


def test_periodic_interrupts_of_both_timers(build):
    chip = Chip.from_elf(build(HEAD + PERIODIC))
    chip.run(2_000_500)
    assert peek(chip, chip.symbol("ticks")[0], 2) == 1000
    assert peek(chip, chip.symbol("others")[0], 2) == 2_000_000 // 1600
    assert peek(chip, chip.symbol("sreg_inside")[0]) & 0x80
    assert peek(chip, chip.symbol("status_inside")[0]) == 1


def test_slices_do_not_change_a_run(build):
    elf = build(HEAD + PERIODIC)
    whole, sliced = Chip.from_elf(elf), Chip.from_elf(elf)
    whole.run(300_000)
    while sliced.cycles < 300_000:
        sliced.run(min(37, 300_000 - sliced.cycles))
    assert (sliced.cycles, sliced.instructions, sliced.pc) == (whole.cycles, whole.instructions, whole.pc)
    assert sliced.read(0x2800, 0x1800) == whole.read(0x2800, 0x1800)


def test_sleep_without_a_way_to_wake(assemble):
    chip = Chip(code(assemble, "ldi r16, 1", f"sts {0x50}, r16", "sleep", "nop"))
    stop = chip.run()
    assert (stop.reason, chip.instructions) == ("asleep", 3)
    before = chip.cycles
    assert chip.run(100).reason == "asleep"
    assert chip.cycles == before + 100


def test_waking_takes_five_cycles_more(assemble):
    lines = ["ldi r16, 1", f"sts {0x50}, r16", f"sts {TCB[0] + 5}, r16", "sei", "sleep", *["nop"] * 17, "break"]
    program = code(assemble, *lines)
    assert program.index(code(assemble, "break")) == 48  # TCB0's vector
    chip = Chip(program)
    poke(chip, TCB[0] + 12, 999, 2)
    poke(chip, TCB[0], 1)
    assert chip.run(10_000).reason == "break"
    assert chip.cycles == 1000 + 5 + 2 + 1
    assert chip.instructions == 6


def test_other_sleep_modes_are_refused(assemble):
    chip = Chip(code(assemble, "ldi r16, 3", f"sts {0x50}, r16", "sleep"))
    with pytest.raises(Fault, match="only idle sleep"):
        chip.run()


# -------------------------------------------------------------------------------------------------------------- timers

TCA = 0x0A00


@pytest.mark.parametrize(("select", "divider"), list(enumerate([1, 2, 4, 8, 16, 64, 256, 1024])))
def test_tca_prescaler(select, divider):
    chip = Chip(SPIN)
    poke(chip, TCA, select << 1 | 1)
    chip.run(100_000)
    assert peek(chip, TCA + 0x20, 2) == (chip.cycles // divider) & 0xFFFF


def test_tca_overflow_flag_and_period():
    chip = Chip(SPIN)
    poke(chip, TCA + 0x26, 99, 2)
    poke(chip, TCA, 1)
    chip.run(98)
    assert (peek(chip, TCA + 0x20, 2), peek(chip, TCA + 0x0B)) == (98, 0)
    chip.run(2)
    assert (peek(chip, TCA + 0x20, 2), peek(chip, TCA + 0x0B)) == (0, 1)
    poke(chip, TCA + 0x0B, 1)
    assert peek(chip, TCA + 0x0B) == 0
    chip.run(150)
    assert (peek(chip, TCA + 0x20, 2), peek(chip, TCA + 0x0B)) == (50, 1)
    assert peek(chip, TCA + 0x26, 2) == 99


def test_tca_above_its_period_runs_to_the_end_first():
    chip = Chip(SPIN)
    poke(chip, TCA + 0x26, 99, 2)
    poke(chip, TCA + 0x20, 0xFFF0, 2)
    poke(chip, TCA, 1)
    chip.run(16)
    assert (peek(chip, TCA + 0x20, 2), peek(chip, TCA + 0x0B)) == (0, 0)
    chip.run(100)
    assert (peek(chip, TCA + 0x20, 2), peek(chip, TCA + 0x0B)) == (0, 1)


def test_tca_stops_restarts_and_resets():
    chip = Chip(SPIN)
    poke(chip, TCA, 1)
    chip.run(500)
    poke(chip, TCA, 0)
    chip.run(500)
    assert peek(chip, TCA + 0x20, 2) == 500
    poke(chip, TCA, 1)
    chip.run(10)
    assert peek(chip, TCA + 0x20, 2) == 510
    poke(chip, TCA + 5, 2 << 2)
    assert peek(chip, TCA + 0x20, 2) == 0
    poke(chip, TCA + 5, 3 << 2)
    assert (peek(chip, TCA), peek(chip, TCA + 0x26, 2)) == (0, 0xFFFF)


@pytest.mark.parametrize("timer", [TCA + 0x20, TCB[0] + 10])
def test_sixteen_bits_through_temp(timer):
    """The high byte is latched when the low one is read, and written when the high one is."""
    chip = Chip(SPIN)
    poke(chip, TCB[0] + 12, 0xFFFF, 2)
    chip.write(timer, b"\xf0")
    assert peek(chip, timer, 2) == 0
    chip.write(timer, b"\xf0")
    chip.write(timer + 1, b"\x12")
    chip.write(TCA, b"\x01")
    chip.write(TCB[0], b"\x01")
    assert peek(chip, timer) == 0xF0
    chip.run(100)
    assert peek(chip, timer + 1) == 0x12
    assert peek(chip, timer, 2) == 0x12F0 + 100


@pytest.mark.parametrize("n", range(4))
@pytest.mark.parametrize(("select", "divider"), [(0, 1), (1, 2), (2, 8)])
def test_tcb_periodic(n, select, divider):
    chip = Chip(SPIN)
    poke(chip, TCA, 3 << 1 | 1)  # a clock divided by 8
    base = TCB[n]
    poke(chip, base + 12, 999, 2)
    poke(chip, base, select << 1 | 1)
    assert peek(chip, base + 7) == 1
    chip.run(998 * divider)
    assert (peek(chip, base + 10, 2), peek(chip, base + 6)) == (998, 0)
    chip.run(2 * divider)
    assert (peek(chip, base + 10, 2), peek(chip, base + 6)) == (0, 1)
    poke(chip, base + 6, 1)
    chip.run(1500 * divider)
    assert (peek(chip, base + 10, 2), peek(chip, base + 6)) == (500, 1)


def test_tcb_on_tcas_clock_stops_with_it():
    chip = Chip(SPIN)
    poke(chip, TCB[1] + 12, 0xFFFF, 2)
    poke(chip, TCB[1], 2 << 1 | 1)
    chip.run(100)
    assert peek(chip, TCB[1] + 10, 2) == 0
    poke(chip, TCA, 1 << 1 | 1)
    chip.run(100)
    assert peek(chip, TCB[1] + 10, 2) == 50
    poke(chip, TCA, 2 << 1 | 1)
    chip.run(100)
    assert peek(chip, TCB[1] + 10, 2) == 75
    poke(chip, TCA, 0)
    chip.run(100)
    assert peek(chip, TCB[1] + 10, 2) == 75


@pytest.mark.parametrize(
    ("address", "name"), [(TCA + 1, "TCA0"), (TCA + 3, "TCA0"), (TCB[2] + 1, "TCB2"), (TCA + 0x28, "TCA0")]
)
def test_other_timer_modes_are_refused(address, name, assemble):
    chip = Chip(code(assemble, "ldi r16, 1", f"sts {address}, r16"))
    with pytest.raises(Fault, match=name) as fault:
        chip.run()
    assert (fault.value.kind, fault.value.address) == ("not modelled", address)


# --------------------------------------------------------------------------------------------------------------- ports


def test_port_strobes_and_virtual_port(assemble):
    chip = Chip(SPIN)
    port, virtual = 0x0420, 0x04  # PORTB
    for offset, value, register, result in [
        (1, 0x0F, 0, 0x0F), (2, 0x03, 0, 0x0C), (3, 0xFF, 0, 0xF3), (0, 0x55, 0, 0x55),
        (5, 0xF0, 4, 0xF0), (6, 0x30, 4, 0xC0), (7, 0xFF, 4, 0x3F), (4, 0x33, 4, 0x33),
    ]:  # fmt: skip
        poke(chip, port + offset, value)
        assert peek(chip, port + register) == result
    assert [peek(chip, virtual + i) for i in range(4)] == [0x55, 0x33, 0x11, 0]
    chip = Chip(code(assemble, "sbi 4, 0", "sbi 5, 0", "cbi 4, 0", "sbi 6, 3", "break"))
    chip.run()
    assert (peek(chip, port), peek(chip, port + 4)) == (0, 0x09)  # writing IN toggles OUT


def test_plain_registers():
    chip = Chip(SPIN)
    for address in (0x1C, 0x1F, 0x05E2, 0x0416):
        poke(chip, address, 0x5A)
        assert peek(chip, address) == 0x5A


# -------------------------------------------------------------------------------------------------------------- EEPROM

NVM, EEPROM = 0x1000, 0x1400
EEPROM_PROGRAM = (
    COUNTING
    + """
#define CELL(n) REG(0x1400 + (n))
volatile uint8_t busy, before, after, second, error;
static void command(uint8_t c)
{
    REG(0x34) = 0x9d;
    REG(0x1000) = c;
}
int main(void)
{
    before = CELL(70);
    CELL(70) = 0x3c;
    CELL(72) = 0x81;
    command(3);
    busy = REG(0x1002);
    command(3);
    error = REG(0x1002);
    while (REG(0x1002) & 2) ++ticks;
    after = CELL(70);
    CELL(70) = 0xf0;
    command(1); /* write without erasing */
    second = CELL(70); /* waits */
    CELL(72) = 0;
    command(2); /* erase what is loaded */
    while (REG(0x1002) & 2) {}
    finish();
}
"""
)


def test_eeprom(build):
    chip = Chip.from_elf(build(HEAD + EEPROM_PROGRAM))
    assert chip.run(1_000_000, until="finish").reason == "until"
    value = {name: peek(chip, chip.symbol(name)[0]) for name in ("before", "busy", "error", "after", "second")}
    assert value == {"before": 0xFF, "busy": 2, "error": 6, "after": 0x3C, "second": 0x30}
    assert (peek(chip, EEPROM + 70), peek(chip, EEPROM + 71), peek(chip, EEPROM + 72)) == (0x30, 0xFF, 0xFF)
    assert 8e-3 < chip.seconds < 8.2e-3  # 4 ms, 2 ms and 2 ms


def test_eeprom_commands_are_protected():
    chip = Chip(SPIN)
    chip.write(EEPROM, b"\x12")  # a debugger's write goes to the cell itself
    poke(chip, NVM, 6)
    assert peek(chip, EEPROM) == 0x12
    protected(chip, NVM, 6, SPM)
    assert peek(chip, EEPROM) == 0xFF
    assert peek(chip, NVM + 2) == 2
    chip.run(round(4e-3 * chip.clock_hz) + 2)
    assert peek(chip, NVM + 2) == 0


def test_chip_erase_is_refused(assemble):
    chip = Chip(code(assemble, "ldi r16, 0x9d", "ldi r17, 5", "out 0x34, r16", f"sts {NVM}, r17"))
    with pytest.raises(Fault, match=r"NVMCTRL\.CTRLA"):
        chip.run()
