"""Faults, stack, profile, hooks, breakpoints."""

import re

import pytest
from tools.sim.programs import HEAD

from engine.errors import EngineError
from enginekit.sim import Chip, Fault


def code(assemble, *lines):
    return b"".join(w.to_bytes(2, "little") for line in assemble(lines) for w in line)


# -------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("lines", "kind", "address", "message"),
    [
        (["lds r0, 0x2000"], "unmapped", 0x2000, "unmapped address"),
        (["sts 0x1500, r0"], "unmapped", 0x1500, "unmapped address"),
        (["sts 0x0fff, r0"], "unmapped", 0x0FFF, "unmapped address"),
        (["in r0, 0x20"], "unmapped", 0x20, "unmapped address"),
        (["lds r0, 0x0141"], "not modelled", 0x0141, "RTC is not modelled"),
        (["lds r0, 0x0100"], "not modelled", 0x0100, "WDT is not modelled"),
        (["sts 0x4000, r0"], "write to flash", 0x4000, "write to flash"),
        (["sts 0xffff, r0"], "write to flash", 0xFFFF, "write to flash"),
        (["spm"], "write to flash", 0, "SPM"),
        (["sts 0x1100, r0"], "read only", 0x1100, "SIGROW, which is read only"),
        (["sts 0x1285, r0"], "read only", 0x1285, "FUSES, which is read only"),
        (["ldi r31, 0xc0", "lpm"], "unmapped", 0xC000, "beyond the end of flash"),
        ([".word 0xffff"], "illegal opcode", 0, "illegal opcode 0xFFFF"),
        (["nop", ".word 0x0001"], "illegal opcode", 2, "illegal opcode 0x0001"),
        (["ldi r31, 0x60", "ijmp"], "jump", 0xC000, "jump outside flash"),
        (["ldi r31, 0xff", "icall"], "jump", 0x1FE00, "jump outside flash"),
        (["jmp 0xc000"], "jump", 0xC000, "jump outside flash"),
        (["call 0x10000"], "jump", 0x10000, "jump outside flash"),
        (["rjmp .-4"], "jump", 0x1FFFE, "jump outside flash"),
        (["ret"], "stack", 0x3FFF, "empty stack"),
        (["pop r0"], "stack", 0x3FFF, "empty stack"),
        (["ldi r16, 0x27", "out 0x3e, r16", "out 0x3d, r16"], "stack", 0x2727, "static data"),
    ],
)
def test_fault(lines, kind, address, message, assemble):
    chip = Chip(code(assemble, *lines))
    with pytest.raises(Fault, match=re.escape(message)) as caught:
        chip.run(100)
    fault = caught.value
    assert (fault.kind, fault.address, fault.function) == (kind, address, "?")
    assert fault.pc == chip.pc
    assert fault.cycle == chip.cycles
    assert f"0x{fault.pc:04X}" in str(fault)


def test_running_past_the_end_of_flash(assemble):
    for tail in (["nop"], [f"lds r0, {0x2800}"], ["sbrs r0, 0"]):
        words = code(assemble, *tail)[:2]
        chip = Chip(bytes(0xC000 - 2) + words)
        chip.pc = 0xC000 - 2
        with pytest.raises(Fault, match="past the end of flash") as fault:
            chip.run(100)
        assert fault.value.kind == "jump"


BAD_POINTER = """
volatile uint8_t *volatile nowhere = (volatile uint8_t *)0x2345;
NOINLINE void touch(void)
{
    *nowhere = 1;
}
int main(void)
{
    touch();
    finish();
}
"""


def test_fault_names_function_and_offset(build):
    chip = Chip.from_elf(build(HEAD + BAD_POINTER))
    with pytest.raises(Fault, match=r"address 0x2345.* in touch\+0x[0-9A-F]+, cycle \d+") as fault:
        chip.run()
    start, size = chip.symbol("touch")
    assert start < fault.value.pc < start + size
    assert chip.call_stack()[-2:] == ("main", "touch")
    with pytest.raises(Fault):  # the state is kept: it happens again
        chip.run()


# --------------------------------------------------------------------------------------------------------------- stack

DEEP = """
char statics[256] = {1};
volatile uint8_t depth = DEPTH;
NOINLINE uint8_t dive(uint8_t n)
{
    volatile char frame[40];
    frame[n & 31] = (char)n;
    return n == 0 ? 0 : (uint8_t)(dive((uint8_t)(n - 1)) + frame[n & 31] + statics[n]);
}
int main(void)
{
    depth = dive(depth);
    finish();
}
"""


def test_stack_peak(build):
    """Each level keeps two bytes of return address, 40 of frame and what it saves."""
    peaks = []
    for depth in (10, 11, 30):
        chip = Chip.from_elf(build(HEAD + DEEP, f"-DDEPTH={depth}"))
        assert chip.run(100_000, until="finish").reason == "until"
        peaks.append(chip.stack_peak)
        assert chip.ram_free == 6144 - chip.ram_static - chip.stack_peak
    level = peaks[1] - peaks[0]
    assert 44 <= level <= 52
    assert peaks[2] - peaks[0] == 20 * level


def test_peak_ignores_the_moment_between_the_halves_of_sp(assemble):
    """SP goes from 0x3EF0 up to 0x3F05 low byte first: 0x3E05 in between is no depth."""
    lines = []
    for low, high in ((0xF0, 0x3E), (0x05, 0x3F)):
        lines += [f"ldi r16, {low}", f"ldi r17, {high}", "out 0x3d, r16", "out 0x3e, r17"]
    chip = Chip(code(assemble, *lines, "break"))
    chip.run()
    assert (chip.sp, chip.stack_peak) == (0x3F05, 0x3FFF - 0x3EF0)


def test_stack_that_runs_into_static_data(build):
    chip = Chip.from_elf(build(HEAD + DEEP, "-DDEPTH=250"))
    with pytest.raises(Fault, match="stack has run into static data") as fault:
        chip.run(1_000_000)
    assert (fault.value.kind, fault.value.function.split("+")[0]) == ("stack", "dive")
    assert fault.value.address + 1 < chip.image.stack_floor


def test_stack_may_fill_ram_to_the_last_byte(assemble):
    chip = Chip(code(assemble, "push r0", "rjmp .-4"))
    with pytest.raises(Fault, match="static data"):
        chip.run()
    assert chip.instructions == 2 * 6144 + 1
    assert chip.stack_peak == 6144


# ------------------------------------------------------------------------------------------------------- profile, hooks

CALLS = """
volatile uint16_t x;
NOINLINE void leaf(void) { for (uint8_t i = 0; i < 100; ++i) __asm__ volatile("nop"); }
NOINLINE void twice(void) { leaf(); leaf(); __asm__ volatile(""); }
NOINLINE void tail(void) { x = 5; leaf(); }
NOINLINE uint16_t recurse(uint16_t n) { if (n) recurse(n - 1); ++x; return x; }
int main(void)
{
    twice();
    tail();
    recurse(9);
    finish();
}
"""


def test_profile(build):
    chip = Chip.from_elf(build(HEAD + CALLS, "-foptimize-sibling-calls"))
    chip.run(until="finish")
    rows = {row.name: row for row in chip.profile()}
    leaf, tail, recurse = rows["leaf"], rows["tail"], rows["recurse"]
    assert (leaf.calls, rows["twice"].calls, tail.calls, recurse.calls) == (3, 1, 1, 10)
    assert leaf.inclusive == leaf.exclusive
    assert leaf.exclusive % 3 == 0
    assert rows["twice"].inclusive == rows["twice"].exclusive + leaf.exclusive * 2 // 3
    assert tail.inclusive == tail.exclusive + leaf.exclusive // 3  # although leaf returns to main
    assert recurse.inclusive == recurse.exclusive  # counted once
    assert sum(row.exclusive for row in rows.values()) == chip.cycles == rows["__vectors"].inclusive
    chip.clear_profile()
    assert [row for row in chip.profile() if row.exclusive] == []


def test_profile_measures_what_the_manual_says(build):
    """Call to return of an empty function is its RET alone: 4 cycles."""
    chip = Chip.from_elf(
        build(HEAD + 'NOINLINE void nothing(void) { __asm__ volatile(""); } int main(void) { nothing(); finish(); }')
    )
    chip.run(until="finish")
    row = next(row for row in chip.profile() if row.name == "nothing")
    assert (row.calls, row.exclusive, row.inclusive) == (1, 4, 4)


def test_hooks_on_call_and_return(build):
    chip = Chip.from_elf(build(HEAD + CALLS))
    seen = []
    address, _ = chip.symbol("x")
    chip.on_call("recurse", lambda: seen.append("in"))
    chip.on_return("recurse", lambda: seen.append(int.from_bytes(chip.read(address, 2), "little")))
    chip.on_return("leaf", lambda: seen.append("leaf"))
    assert chip.run(until="finish").reason == "until"
    assert seen == ["leaf"] * 3 + ["in"] * 10 + list(range(6, 16))
    plain = Chip.from_elf(build(HEAD + CALLS))
    plain.run(until="finish")
    assert (plain.cycles, plain.instructions) == (chip.cycles, chip.instructions)


def test_errors_of_hooks_reach_the_caller(build):
    chip = Chip.from_elf(build(HEAD + CALLS))
    chip.on_return("leaf", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        chip.run()
    with pytest.raises(KeyError, match=r"no symbol 'lea'.*did you mean.*leaf"):
        chip.on_return("lea", lambda: None)
    with pytest.raises(KeyError, match="x is not a function"):
        chip.on_return("x", lambda: None)


def test_breakpoints(build):
    chip = Chip.from_elf(build(HEAD + CALLS))
    chip.add_breakpoint("leaf")
    reasons = [chip.run(until="finish") for _ in range(4)]
    assert [stop.reason for stop in reasons] == ["breakpoint"] * 3 + ["until"]
    assert [stop.function for stop in reasons] == ["leaf"] * 3 + ["finish"]
    chip.power_on()
    chip.remove_breakpoint("leaf")
    assert chip.run(until="finish").reason == "until"
    plain = Chip.from_elf(build(HEAD + CALLS))
    plain.run(until="finish")
    assert chip.instructions == 2 * plain.instructions


FUNCTIONS = """
uint8_t memory[8];
NOINLINE uint8_t first(uint8_t a) { return (uint8_t)(a + 1); }
NOINLINE int16_t difference(int16_t a, int16_t b) { return a - b; }
NOINLINE uint32_t product(uint16_t a, uint16_t b, uint8_t *to) { to[1] = 7; return (uint32_t)a * b; }
NOINLINE uint64_t wide(uint16_t a, uint16_t b, uint16_t c, uint16_t d) { return (uint64_t)a << 48 | (uint64_t)b * c + d; }
NOINLINE void stuck(void) { for (;;) __asm__ volatile(""); }
int main(void)
{
    for (volatile uint8_t i = 0; i < 100; ++i) __asm__ volatile("");
    memory[0] = first(memory[1]) + (uint8_t)difference(1, 2) + (uint8_t)product(1, 2, memory) + (uint8_t)wide(1, 2, 3, 4);
    finish();
    stuck();
}
"""


def test_call(build):
    chip = Chip.from_elf(build(HEAD + FUNCTIONS))
    chip.run(until="main")
    chip.run(100)
    before = chip.pc, chip.sp, chip.sreg, [chip.register(n) for n in range(32)]
    assert chip.call("first", 255).value(1) == 0
    assert chip.call("difference", 1000, -30000 & 0xFFFF).value(2, signed=True) == 31000
    memory, _ = chip.symbol("memory")
    assert chip.call("product", 60000, 50000, memory).value(4) == 3_000_000_000
    assert chip.read(memory + 1, 1) == b"\x07"
    assert chip.call("wide", 0xABCD, 3, 5, 7).value(8) == 0xABCD << 48 | 22
    assert before == (chip.pc, chip.sp, chip.sreg, [chip.register(n) for n in range(32)])
    cycles = chip.call("difference", 1, 2).cycles
    row = next(row for row in chip.profile() if row.name == "difference")
    assert (row.calls, row.inclusive) == (2, 2 * cycles)
    with pytest.raises(EngineError, match=r"call: stuck did not return \(cycles\); the program stands in stuck"):
        chip.call("stuck", max_cycles=1000)


def test_until_goes_on_to_the_next_time(build):
    chip = Chip.from_elf(build(HEAD + CALLS))
    cycles = [chip.run(until="leaf").cycle for _ in range(3)]
    assert cycles == sorted(set(cycles))
    assert chip.run(50, until="leaf").reason == "cycles"


def test_break_is_passed(assemble):
    chip = Chip(code(assemble, "break", "inc r16", "break"))
    assert (chip.run().reason, chip.pc, chip.register(16)) == ("break", 2, 0)
    assert (chip.run().reason, chip.pc, chip.register(16)) == ("break", 6, 1)


def test_writing_flash_changes_the_program(assemble):
    chip = Chip(code(assemble, "jmp 0", "break"))
    chip.write(0x4002, (4 // 2).to_bytes(2, "little"))  # the second word of the jump
    assert chip.run(100).reason == "break"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda chip: chip.run(-1), "max_cycles is -1"),
        (lambda chip: chip.usart(4), "USART0 to USART3"),
        (lambda chip: chip.read(0xFFFF, 2), "leave the data space"),
        (lambda chip: chip.run(until=3), "not an even address"),
        (lambda chip: chip.run(until=0xC000), "below 49152"),
        (lambda _: Chip(b"", oscillator=8_000_000), "oscillator is 8000000"),
        (lambda _: Chip(b"", sram_fill=256), "sram_fill is 256"),
        (lambda _: Chip(bytes(0xC001)), "flash has 49153 bytes; the chip has 49152"),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call(Chip(b""))


def test_room_made_by_a_call_is_no_call(build):
    """``rcall .+0`` takes two bytes of stack, and the function returns once."""
    source = HEAD + (
        "NOINLINE void roomy(void) {"
        ' __asm__ volatile("rcall .+0\\n\\trcall .+0\\n\\tpop r0\\n\\tpop r0\\n\\tpop r0\\n\\tpop r0"); }'
        "int main(void) { roomy(); finish(); }"
    )
    chip, seen = Chip.from_elf(build(source)), []
    chip.on_return("roomy", lambda: seen.append(chip.call_stack()[-1]))
    chip.run(10_000, until="finish")
    assert seen == ["main"]
    assert [row.calls for row in chip.profile() if row.name == "roomy"] == [1]
