"""The simulated ATmega328P: cycles of the classic core, its data space, interrupts, USART0 and TIMER1.

What instructions compute is the same code as the ATmega4809's, judged in test_instructions.py. simavr, an independent simulator
of this chip, must see the same instructions, cycles and memory for C programs.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tools.sim.programs import HEAD, PROGRAMS

from engine.errors import DoesNotFitError, FormatError
from enginekit.sim import ATMEGA328P, Chip, Fault, Image, read_elf, read_hex

SRAM, SRAM_BYTES, LIMIT = 0x100, 0x800, 30_000_000

#: Cycles of the classic core with a program counter of 16 bits, from the instruction set manual.
CYCLES = {
    1: """add r1,r2; adc r1,r2; sub r1,r2; sbc r1,r2; subi r16,1; sbci r16,1; and r1,r2; andi r16,1; or r1,r2; ori r16,1
    eor r1,r2; com r1; neg r1; inc r1; dec r1; cp r1,r2; cpc r1,r2; cpi r16,1; mov r1,r2; movw r2,r4; ldi r16,1; in r1,0x1e
    out 0x1e,r1
    lsr r1; ror r1; asr r1; swap r1; bst r1,2; bld r1,2; sec; clc; nop; wdr; sleep; cpse r1,r2; sbrc r3,0; sbrs r3,1
    sbic 0x1e,0; sbis 0x1e,1; brne .+4; brcs .+4""",
    2: """adiw r24,1; sbiw r24,1; mul r1,r2; muls r16,r17; mulsu r16,r17; fmul r16,r17; fmuls r16,r17; fmulsu r16,r17
    ld r1,X; ld r1,X+; ld r1,-X; ld r1,Y; ld r1,Y+; ld r1,-Y; ldd r1,Y+3; ld r1,Z; ldd r1,Z+3; lds r1,0x200
    st X,r1; st X+,r1; st -X,r1; st Y,r1; st Y+,r1; st -Y,r1; std Y+3,r1; st Z,r1; std Z+3,r1; sts 0x200,r1
    push r1; pop r1; sbi 0x1e,3; cbi 0x1e,3; rjmp .+4; ijmp; breq .+4; brcc .+4; sbrs r3,0; sbrc r3,1
    sbis 0x1e,0; sbic 0x1e,1""",
    3: "lpm; lpm r1,Z; lpm r1,Z+; jmp 0x200; rcall .+4; icall",
    4: "call 0x200; ret; reti",
}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classic")

    def program(source, *flags, device="atmega328p"):
        number = len(list(folder.glob("*.c")))
        file, elf = folder / f"program{number}.c", folder / f"program{number}.elf"
        file.write_text(source)
        subprocess.run(["avr-gcc", f"-mmcu={device}", "-std=gnu11", "-O2", "-Wall", *flags, file, "-o", elf, "-lm"], check=True)
        return elf

    return program


def blank():
    return Chip(Image(b"", b"", 0, {}, (), SRAM, ATMEGA328P))


@pytest.mark.parametrize("cycles", CYCLES)
def test_cycles(cycles, assemble):
    lines = [line.strip() for line in re.split(r"[;\n]", CYCLES[cycles])]
    chip = blank()
    for line, words in zip(lines, assemble(lines), strict=True):
        chip.write_flash(0x400, b"".join(word.to_bytes(2, "little") for word in words))
        for register, value in ((26, 0x80), (27, 2), (28, 0x80), (29, 2), (30, 0x80), (31, 2), (3, 1), (1, 5), (2, 6)):
            chip.set_register(register, value)
        chip.write(0x3E, b"\x01")  # GPIOR0
        chip.sreg, chip.sp, chip.pc = 0x02, 0x7F0, 0x400
        before = chip.cycles
        chip.step()
        assert chip.cycles - before == cycles, line


def test_skipping_two_words_takes_three(assemble):
    chip = blank()
    for line in ("cpse r1, r1", "sbrs r3, 0", "sbis 0x1e, 0"):
        words = [word for each in assemble([line, "jmp 0"]) for word in each]
        chip.write_flash(0x400, b"".join(word.to_bytes(2, "little") for word in words))
        chip.set_register(3, 1)
        chip.write(0x3E, b"\x01")
        chip.pc, before = 0x400, chip.cycles
        chip.step()
        assert (chip.cycles - before, chip.pc) == (3, 0x406), line


def test_data_space(assemble):
    chip = blank()
    chip.set_register(7, 0x5A)
    assert chip.read(7, 1) == b"\x5a"  # registers are data
    chip.write(8, b"\xa5")
    assert chip.register(8) == 0xA5
    assert chip.read(0x5D, 2) == bytes([0xFF, 0x08]) == chip.sp.to_bytes(2, "little")
    chip.write(SRAM, b"\x11" * SRAM_BYTES)
    assert chip.read(SRAM, SRAM_BYTES) == b"\x11" * SRAM_BYTES
    chip.write_flash(0x7FFE, b"\x12\x34")
    assert chip.read_flash(0x7FFE, 2) == b"\x12\x34"
    with pytest.raises(ValueError, match="leave the flash of 32768 bytes"):
        chip.write_flash(0x7FFF, b"\x12\x34")
    for line, kind, message in (
        ("lds r0, 0x900", "unmapped", "beyond the end of SRAM"),
        ("lds r0, 0x4000", "unmapped", "beyond the end of SRAM"),
        ("sts 0x44, r0", "not modelled", "TIMER0"),
        ("lds r0, 0x7A", "not modelled", "ADC"),
        ("lds r0, 0x3A", "unmapped", "unmapped address"),
    ):
        chip.write_flash(0, b"".join(word.to_bytes(2, "little") for word in assemble([line])[0]))
        chip.pc = 0
        with pytest.raises(Fault, match=message) as fault:
            chip.step()
        assert fault.value.kind == kind


def test_the_elf_file_says_the_chip(build, tmp_path):
    elf = build("int x = 3; int main(void) { return x; }")
    image = read_elf(elf)
    assert image.layout is ATMEGA328P
    assert image.stack_floor == SRAM + 2
    assert Chip(image).usart(0).enabled is False
    with pytest.raises(ValueError, match=r"usart: 1; the chip has USART0$"):
        Chip(image).usart(1)
    with pytest.raises(ValueError, match="oscillator is 1000000; expected one of"):
        Chip(image, oscillator=1_000_000)
    with pytest.raises(DoesNotFitError, match=r"static data needs 3000 bytes, 952 more than the 2048 of the ATmega328P"):
        read_elf(
            build(
                "char big[3000]; int main(void) { return *(volatile char *)big; }", "-Wl,--defsym=__DATA_REGION_LENGTH__=9000"
            )
        )
    with pytest.raises(FormatError, match=r"compiled for AVR family 25; expected one of 103 \(ATmega4809\), 5 \(ATmega328P\)"):
        read_elf(build("int main(void) { return 0; }", device="attiny85"))
    hex_file = tmp_path / "program.hex"
    subprocess.run(["avr-objcopy", "-O", "ihex", elf, hex_file], check=True)
    assert read_hex(hex_file, ATMEGA328P).flash == image.flash


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """simavr: ``judge(elf, end) -> (instructions, cycles, SREG, SP), data space`` when it comes to a byte address."""
    if not Path("/usr/include/simavr/sim_avr.h").is_file():
        pytest.skip("libsimavr-dev is not installed: run .ci/packages")
    program = tmp_path_factory.mktemp("judge") / "judge"
    source = Path(__file__).with_name("simavr_judge.c")
    subprocess.run(["cc", "-O1", source, "-o", program, "-lsimavr", "-lelf"], check=True)

    def run(elf, end):
        done = subprocess.run([program, elf, str(end), str(LIMIT)], check=True, capture_output=True, text=True)
        numbers, data = done.stdout.split("\n")[-3:-1]
        return tuple(map(int, numbers.split())), bytes.fromhex(data)

    return run


def compare(chip, judged):
    """Instructions, cycles, flags, stack, registers and SRAM."""
    numbers, data = judged
    assert (chip.instructions, chip.cycles, chip.sreg, chip.sp) == numbers
    assert bytes(chip.register(n) for n in range(32)) == data[:32]
    assert chip.read(SRAM, SRAM_BYTES) == data[SRAM:]


@pytest.mark.parametrize("optimize", ["-O2", "-Os"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, optimize, build, judge):
    elf = build(HEAD + PROGRAMS[name], optimize)
    chip = Chip.from_elf(elf)
    assert chip.run(LIMIT, until="finish").reason == "until"
    compare(chip, judge(elf, chip.symbol("finish")[0]))
    assert chip.instructions > 1000


PERIPHERALS = """
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
const char text[] PROGMEM = "Hi, Uno!";
volatile uint16_t overflows, taken;
volatile uint8_t inside;
ISR(TIMER1_OVF_vect) { ++overflows; inside = SREG >> 7; }
ISR(USART_RX_vect) { taken = UDR0; }
NOINLINE void finish(void) { __asm__ volatile("nop"); }
int main(void)
{
    UBRR0 = 8; /* 115,200 baud at 16 MHz, 3.5 % fast */
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
    for (uint8_t i = 0; i < 8; ++i) {
        while (!(UCSR0A & _BV(UDRE0))) {}
        UDR0 = pgm_read_byte(text + i);
    }
    TCNT1 = 0xFF00;
    TIMSK1 = _BV(TOIE1);
    TCCR1B = _BV(CS10);
    sei();
    while (overflows < 3 || taken == 0) {}
    cli();
    DDRB = 0x20;
    PINB = 0x20;
    finish();
    for (;;) {}
}
"""


def test_peripherals(build):
    source = PERIPHERALS.replace("NOINLINE", "__attribute__((noinline))")
    chip = Chip.from_elf(build(source))
    chip.usart(0).send(b"x")
    assert chip.run(LIMIT, until="finish").reason == "until"
    assert chip.usart(0).baud == pytest.approx(16e6 / 16 / 9)
    assert chip.usart(0).receive() == b"Hi, Uno!"
    assert int.from_bytes(chip.read(*chip.symbol("overflows")), "little") == 3
    assert chip.read(chip.symbol("taken")[0], 1) == b"x"
    assert chip.read(*chip.symbol("inside")) == b"\0"  # an interrupt clears SREG.I
    assert chip.read(0x25, 1) == b"\x20"
    assert 2 * 65536 + 256 < chip.cycles < 3 * 65536 + 20_000


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UCSR0C = 0x0E;", "UCSR0C: only asynchronous frames"),
        ("UCSR0B = 0x04;", "UCSR0B: only frames of 8 bits"),
        ("TCCR1A = 0x80;", "TCCR1A, TCCR1C: only normal mode"),
        ("TCCR1B = 0x09;", "TCCR1B: only normal mode on the internal clock"),
        ("TIMSK1 = 2;", "TIMSK1: only TOIE1"),
        ("OCR1A = 5;", r"TIMER1 \+ 0x09 is not modelled"),
    ],
)
def test_what_is_not_modelled_stops(statement, message, build):
    chip = Chip.from_elf(build(f"#include <avr/io.h>\nint main(void) {{ {statement} for (;;) {{}} }}"))
    with pytest.raises(Fault, match=message):
        chip.run(10_000)
