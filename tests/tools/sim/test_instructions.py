"""Every instruction's result, flags and cycles against an oracle written from the formulas of the instruction set manual.

The opcodes come from avr-as, so that the decoder is judged too. The oracle works on `State` and gives the cycles.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product

import pytest

from enginekit.sim import Chip, Fault

EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFF)
WORD_EDGES = (0x0000, 0x0001, 0x003F, 0x00FF, 0x7FFF, 0x8000, 0xFFC0, 0xFFFF)
SREGS = (0x00, 0x01, 0x02, 0x7F, 0xFF)
AT = 0x200  # word address of the instruction under test
SRAM, FLASH, EEPROM = 0x2900, 0x9000, 0x1400
BITS = {name: 1 << n for n, name in enumerate("CZNVSHTI")}


@dataclass
class State:
    r: list[int] = field(default_factory=lambda: [(37 * n + 11) & 0xFF for n in range(32)])
    sreg: int = 0
    sp: int = 0x3F80
    pc: int = AT
    memory: dict[int, int] = field(default_factory=dict)  # data space: what is there before, what must be there after

    def copy(self) -> State:
        return replace(self, r=list(self.r), memory=dict(self.memory))

    def flag(self, name: str) -> int:
        return int(self.sreg & BITS[name] != 0)

    def flags(self, **values: int) -> None:
        for name, value in values.items():
            self.sreg = self.sreg & ~BITS[name] | (BITS[name] if value else 0)
        if "N" in values:
            self.sreg = self.sreg & ~BITS["S"] | (BITS["S"] if self.flag("N") ^ self.flag("V") else 0)

    def pair(self, n: int) -> int:
        return self.r[n] | self.r[n + 1] << 8

    def set_pair(self, n: int, value: int) -> None:
        self.r[n], self.r[n + 1] = value & 0xFF, value >> 8 & 0xFF

    def push(self, value: int) -> None:
        self.memory[self.sp] = value
        self.sp -= 1

    def pop(self) -> int:
        self.sp += 1
        return self.memory[self.sp]


Effect = Callable[[State], int]


@dataclass(frozen=True)
class Case:
    """One instruction: text for the assembler, its effect, and the states that it is tried in."""

    text: str
    effect: Effect
    states: tuple[State, ...]
    follower: str = "nop"  # what stands behind it, for skips


def bit(value: int, n: int) -> int:
    return value >> n & 1


def states(**choices: tuple[int, ...]) -> tuple[State, ...]:
    """All combinations: ``r17=EDGES`` registers, ``w26=...`` pairs, ``sreg=SREGS``."""
    result = []
    for values in product(*choices.values()):
        state = State()
        for name, value in zip(choices, values, strict=True):
            if name == "sreg":
                state.sreg = value
            elif name[0] == "w":
                state.set_pair(int(name[1:]), value)
            else:
                state.r[int(name[1:])] = value
        result.append(state)
    return tuple(result)


def with_memory(all_states: tuple[State, ...], **memory: int) -> tuple[State, ...]:
    result = []
    for state in all_states:
        changed = state.copy()
        changed.memory.update({int(name[1:], 16): value for name, value in memory.items()})
        result.append(changed)
    return tuple(result)


# ------------------------------------------------------------------------------------------------- arithmetic and logic


def add(s: State, a: int, b: int, carry: int) -> int:
    r = (a + b + carry) & 0xFF
    h = bit(a, 3) & bit(b, 3) | bit(b, 3) & ~bit(r, 3) | ~bit(r, 3) & bit(a, 3)
    v = bit(a, 7) & bit(b, 7) & ~bit(r, 7) | ~bit(a, 7) & ~bit(b, 7) & bit(r, 7)
    c = bit(a, 7) & bit(b, 7) | bit(b, 7) & ~bit(r, 7) | ~bit(r, 7) & bit(a, 7)
    s.flags(H=h & 1, V=v & 1, C=c & 1, Z=r == 0, N=bit(r, 7))
    return r


def subtract(s: State, a: int, b: int, borrow: int = 0, keep_zero: bool = False) -> int:
    r = (a - b - borrow) & 0xFF
    h = ~bit(a, 3) & bit(b, 3) | bit(b, 3) & bit(r, 3) | bit(r, 3) & ~bit(a, 3)
    v = bit(a, 7) & ~bit(b, 7) & ~bit(r, 7) | ~bit(a, 7) & bit(b, 7) & bit(r, 7)
    c = ~bit(a, 7) & bit(b, 7) | bit(b, 7) & bit(r, 7) | bit(r, 7) & ~bit(a, 7)
    zero = r == 0 and (s.flag("Z") == 1 or not keep_zero)
    s.flags(H=h & 1, V=v & 1, C=c & 1, Z=zero, N=bit(r, 7))
    return r


def logic(s: State, r: int) -> int:
    s.flags(V=0, Z=r == 0, N=bit(r, 7))
    return r


def shift(s: State, r: int, carry: int) -> int:
    s.flags(C=carry, V=bit(r, 7) ^ carry, Z=r == 0, N=bit(r, 7))
    return r


Binary = Callable[[State, int, int], "int | None"]

BINARY: dict[str, Binary] = {
    "add": lambda s, a, b: add(s, a, b, 0),
    "adc": lambda s, a, b: add(s, a, b, s.flag("C")),
    "sub": subtract,
    "sbc": lambda s, a, b: subtract(s, a, b, s.flag("C"), keep_zero=True),
    "and": lambda s, a, b: logic(s, a & b),
    "or": lambda s, a, b: logic(s, a | b),
    "eor": lambda s, a, b: logic(s, a ^ b),
    "mov": lambda s, a, b: b,
    "cp": lambda s, a, b: (subtract(s, a, b), None)[1],
    "cpc": lambda s, a, b: (subtract(s, a, b, s.flag("C"), keep_zero=True), None)[1],
}
IMMEDIATE: dict[str, Binary] = {
    "subi": BINARY["sub"],
    "sbci": BINARY["sbc"],
    "cpi": BINARY["cp"],
    "andi": BINARY["and"],
    "ori": BINARY["or"],
    "ldi": BINARY["mov"],
}
UNARY: dict[str, Callable[[State, int], int]] = {
    "com": lambda s, a: (logic(s, a ^ 0xFF), s.flags(C=1))[0],
    "neg": lambda s, a: subtract(s, 0, a),
    "swap": lambda s, a: a >> 4 | (a & 15) << 4,
    "inc": lambda s, a: ((a + 1) & 0xFF, s.flags(V=a == 0x7F, Z=a == 0xFF, N=bit((a + 1) & 0xFF, 7)))[0],
    "dec": lambda s, a: ((a - 1) & 0xFF, s.flags(V=a == 0x80, Z=a == 0x01, N=bit((a - 1) & 0xFF, 7)))[0],
    "asr": lambda s, a: shift(s, a >> 1 | a & 0x80, a & 1),
    "lsr": lambda s, a: shift(s, a >> 1, a & 1),
    "ror": lambda s, a: shift(s, a >> 1 | s.flag("C") << 7, a & 1),
}


def next_word(cycles: int, change: Callable[[State], object], words: int = 1) -> Effect:
    def effect(s: State) -> int:
        change(s)
        s.pc += words
        return cycles

    return effect


def store_register(d: int, value: int | None, s: State) -> None:
    if value is not None:
        s.r[d] = value


def binary_cases() -> Iterator[Case]:
    for name, operation in BINARY.items():
        for d, r in ((17, 4), (0, 31), (31, 15)):
            change = lambda s, d=d, r=r, op=operation: store_register(d, op(s, s.r[d], s.r[r]), s)  # noqa: E731
            yield Case(f"{name} r{d}, r{r}", next_word(1, change), states(**{f"r{d}": EDGES, f"r{r}": EDGES, "sreg": SREGS}))
        change = lambda s, op=operation: store_register(9, op(s, s.r[9], s.r[9]), s)  # noqa: E731
        yield Case(f"{name} r9, r9", next_word(1, change), states(r9=EDGES, sreg=SREGS))
    for name, operation in IMMEDIATE.items():
        for d, k in product((16, 21, 31), (*EDGES, 0x5A)):
            change = lambda s, d=d, k=k, op=operation: store_register(d, op(s, s.r[d], k), s)  # noqa: E731
            yield Case(f"{name} r{d}, {k}", next_word(1, change), states(**{f"r{d}": EDGES, "sreg": SREGS}))


def unary_cases() -> Iterator[Case]:
    for name, operation in UNARY.items():
        for d in (0, 17, 31):
            change = lambda s, d=d, op=operation: store_register(d, op(s, s.r[d]), s)  # noqa: E731
            values = (*EDGES, 0x02, 0x81, 0xFE, 0x5A)
            yield Case(f"{name} r{d}", next_word(1, change), states(**{f"r{d}": values, "sreg": SREGS}))


def adiw(s: State, d: int, k: int) -> None:
    a = s.pair(d)
    r = (a + k) & 0xFFFF
    s.flags(V=~bit(a, 15) & bit(r, 15) & 1, C=~bit(r, 15) & bit(a, 15) & 1, Z=r == 0, N=bit(r, 15))
    s.set_pair(d, r)


def sbiw(s: State, d: int, k: int) -> None:
    a = s.pair(d)
    r = (a - k) & 0xFFFF
    s.flags(V=bit(a, 15) & ~bit(r, 15) & 1, C=bit(r, 15) & ~bit(a, 15) & 1, Z=r == 0, N=bit(r, 15))
    s.set_pair(d, r)


def word_cases() -> Iterator[Case]:
    for d, k in product((24, 26, 28, 30), (0, 1, 32, 63)):
        setup = states(**{f"w{d}": WORD_EDGES, "sreg": SREGS})
        yield Case(f"adiw r{d}, {k}", next_word(2, lambda s, d=d, k=k: adiw(s, d, k)), setup)
        yield Case(f"sbiw r{d}, {k}", next_word(2, lambda s, d=d, k=k: sbiw(s, d, k)), setup)
    for d, r in ((0, 30), (30, 2), (16, 16)):
        yield Case(f"movw r{d}, r{r}", next_word(1, lambda s, d=d, r=r: s.set_pair(d, s.pair(r))), states(sreg=SREGS))


def signed(value: int) -> int:
    return value - 256 if value > 127 else value


def multiply(s: State, p: int, fractional: bool) -> None:
    p &= 0xFFFF
    c = bit(p, 15)
    p = p << 1 & 0xFFFF if fractional else p
    s.flags(C=c, Z=p == 0)
    s.set_pair(0, p)


MULTIPLY = {
    "mul": (lambda a, b: a * b, ((17, 4), (0, 31), (1, 1))),
    "muls": (lambda a, b: signed(a) * signed(b), ((16, 31), (25, 20), (18, 18))),
    "mulsu": (lambda a, b: signed(a) * b, ((16, 23), (21, 18), (19, 19))),
    "fmul": (lambda a, b: a * b, ((16, 23), (21, 18), (19, 19))),
    "fmuls": (lambda a, b: signed(a) * signed(b), ((16, 23), (21, 18), (19, 19))),
    "fmulsu": (lambda a, b: signed(a) * b, ((16, 23), (21, 18), (19, 19))),
}


def multiply_cases() -> Iterator[Case]:
    for name, (value, pairs) in MULTIPLY.items():
        for d, r in pairs:
            choice = {f"r{d}": EDGES, f"r{r}": EDGES, "sreg": SREGS}
            change = lambda s, d=d, r=r, v=value, f=name[0] == "f": multiply(s, v(s.r[d], s.r[r]), f)  # noqa: E731
            yield Case(f"{name} r{d}, r{r}", next_word(2, change), states(**choice))


def set_bit(s: State, d: int, n: int) -> None:
    s.r[d] = s.r[d] & ~(1 << n) | s.flag("T") << n


def bit_cases() -> Iterator[Case]:
    for n in range(8):
        name = "CZNVSHTI"[n]
        set_one = lambda s, n=n: setattr(s, "sreg", s.sreg | 1 << n)  # noqa: E731
        clear_one = lambda s, n=n: setattr(s, "sreg", s.sreg & ~(1 << n))  # noqa: E731
        yield Case(f"bset {n}", next_word(1, set_one), states(sreg=SREGS))
        yield Case(f"bclr {n}", next_word(1, clear_one), states(sreg=SREGS))
        yield Case(f"se{name.lower()}", next_word(1, set_one), states(sreg=SREGS))
        yield Case(f"cl{name.lower()}", next_word(1, clear_one), states(sreg=SREGS))
        d = 3 * n
        yield Case(f"bld r{d}, {n}", next_word(1, lambda s, d=d, n=n: set_bit(s, d, n)), states(sreg=SREGS, **{f"r{d}": EDGES}))
        take = lambda s, d=d, n=n: s.flags(T=bit(s.r[d], n))  # noqa: E731
        yield Case(f"bst r{d}, {n}", next_word(1, take), states(sreg=SREGS, **{f"r{d}": EDGES}))
    yield Case("nop", next_word(1, lambda s: None), states(sreg=SREGS))
    yield Case("wdr", next_word(1, lambda s: None), states(sreg=SREGS))
    yield Case("sleep", next_word(1, lambda s: None), states(sreg=(0,)))  # SLPCTRL does not enable sleep
    yield Case("break", next_word(1, lambda s: None), states(sreg=(0,)))


# -------------------------------------------------------------------------------------------------- loads and stores

POINTERS = {"X": 26, "Y": 28, "Z": 30}
PLACES = {SRAM: 0, EEPROM + 3: 0, FLASH: 1}  # address of the datum: extra cycles of a load


def load_cases() -> Iterator[Case]:
    for (name, p), (place, extra) in product(POINTERS.items(), PLACES.items()):
        here = with_memory(states(sreg=(0, 0xFF)), **{f"m{place:x}": 0xC3})

        def at(address: int, all_states: tuple[State, ...] = here, p: int = p) -> tuple[State, ...]:
            result = tuple(s.copy() for s in all_states)
            for s in result:
                s.set_pair(p, address)
            return result

        def load(s: State, p: int = p, place: int = place, after: int = 0) -> None:
            s.r[7] = s.memory[place]
            s.set_pair(p, s.pair(p) + after)

        yield Case(f"ld r7, {name}", next_word(2 + extra, load), at(place))
        yield Case(f"ld r7, {name}+", next_word(2 + extra, lambda s, f=load: f(s, after=1)), at(place))
        yield Case(f"ld r7, -{name}", next_word(2 + extra, lambda s, f=load: f(s, after=-1)), at(place + 1))
        for q in (1, 31, 32, 63) if name != "X" else ():
            yield Case(f"ldd r7, {name}+{q}", next_word(2 + extra, load), at(place - q))
    for place, extra in PLACES.items():
        here = with_memory(states(sreg=(0, 0xFF)), **{f"m{place:x}": 0xC3})
        get = lambda s, place=place: store_register(30, s.memory[place], s)  # noqa: E731
        yield Case(f"lds r30, {place}", next_word(3 + extra, get, words=2), here)


def store_cases() -> Iterator[Case]:
    for name, p in POINTERS.items():

        def store(s: State, p: int = p, offset: int = 0, after: int = 0) -> None:
            s.memory[s.pair(p) + offset] = s.r[7]
            s.set_pair(p, s.pair(p) + after)

        def predecrement(s: State, p: int = p) -> None:
            s.set_pair(p, s.pair(p) - 1)
            s.memory[s.pair(p)] = s.r[7]

        setup = states(**{f"w{p}": (SRAM, 0x2FFF), "sreg": (0, 0xFF)})
        yield Case(f"st {name}, r7", next_word(1, store), setup)
        yield Case(f"st {name}+, r7", next_word(1, lambda s, f=store: f(s, after=1)), setup)
        yield Case(f"st -{name}, r7", next_word(1, predecrement), setup)
        for q in (1, 31, 32, 63) if name != "X" else ():
            yield Case(f"std {name}+{q}, r7", next_word(1, lambda s, f=store, q=q: f(s, offset=q)), setup)
    put = lambda s: s.memory.__setitem__(SRAM, s.r[31])  # noqa: E731
    yield Case(f"sts {SRAM}, r31", next_word(2, put, words=2), states(sreg=(0, 0xFF)))
    yield Case("push r19", next_word(1, lambda s: s.push(s.r[19])), states(sreg=(0, 0xFF)))
    popped = with_memory(states(sreg=(0, 0xFF)), m3f81=0x99)
    yield Case("pop r19", next_word(2, lambda s: store_register(19, s.pop(), s)), popped)


def program_memory_cases() -> Iterator[Case]:
    here = with_memory(states(w30=(FLASH - 0x4000,), sreg=(0, 0xFF)), **{f"m{FLASH:x}": 0x3C})

    def load(s: State, d: int, after: int) -> None:
        s.r[d] = s.memory[FLASH]
        s.set_pair(30, s.pair(30) + after)

    yield Case("lpm", next_word(3, lambda s: load(s, 0, 0)), here)
    yield Case("lpm r12, Z", next_word(3, lambda s: load(s, 12, 0)), here)
    yield Case("lpm r12, Z+", next_word(3, lambda s: load(s, 12, 1)), here)


GPIOR1 = 0x1D


def io_cases() -> Iterator[Case]:
    here = tuple(s for v in EDGES for s in with_memory(states(sreg=(0, 0xFF)), **{f"m{GPIOR1:x}": v}))
    yield Case(f"in r5, {GPIOR1}", next_word(1, lambda s: store_register(5, s.memory[GPIOR1], s)), here)
    yield Case(f"out {GPIOR1}, r5", next_word(1, lambda s: s.memory.__setitem__(GPIOR1, s.r[5])), states(r5=EDGES))
    yield Case("in r5, 0x3F", next_word(1, lambda s: store_register(5, s.sreg, s)), states(sreg=SREGS))
    yield Case("out 0x3F, r5", next_word(1, lambda s: setattr(s, "sreg", s.r[5])), states(r5=EDGES, sreg=SREGS))
    yield Case("in r5, 0x3D", next_word(1, lambda s: store_register(5, s.sp & 0xFF, s)), states(sreg=(0,)))
    yield Case("in r5, 0x3E", next_word(1, lambda s: store_register(5, s.sp >> 8, s)), states(sreg=(0,)))
    yield Case("out 0x3D, r5", next_word(1, lambda s: setattr(s, "sp", s.sp & 0xFF00 | s.r[5])), states(r5=(0x20, 0xFF)))
    for n in range(8):
        on = lambda s, n=n: s.memory.__setitem__(GPIOR1, s.memory[GPIOR1] | 1 << n)  # noqa: E731
        off = lambda s, n=n: s.memory.__setitem__(GPIOR1, s.memory[GPIOR1] & ~(1 << n))  # noqa: E731
        yield Case(f"sbi {GPIOR1}, {n}", next_word(1, on), here)
        yield Case(f"cbi {GPIOR1}, {n}", next_word(1, off), here)


# -------------------------------------------------------------------------------------------------------------- flow


def jump_to(word: int, cycles: int) -> Effect:
    def effect(s: State) -> int:
        s.pc = word
        return cycles

    return effect


def call_to(target: Callable[[State], int], cycles: int, words: int) -> Effect:
    def effect(s: State) -> int:
        back, s.pc = s.pc + words, target(s)
        s.push(back & 0xFF)
        s.push(back >> 8)
        return cycles

    return effect


def return_effect(s: State) -> int:
    high = s.pop()
    s.pc = high << 8 | s.pop()
    return 4


def flow_cases() -> Iterator[Case]:
    both = states(sreg=(0, 0xFF))
    for distance in (0, 1, -1, 0x1F0, -0x1FF):
        yield Case(f"rjmp .{2 * distance:+d}", jump_to(AT + 1 + distance, 2), both)
        yield Case(f"rcall .{2 * distance:+d}", call_to(lambda s, d=distance: AT + 1 + d, 2, 1), both)
    for target in (0, 0x1234, 0x5FFF):
        yield Case(f"jmp {2 * target}", jump_to(target, 3), both)
        yield Case(f"call {2 * target}", call_to(lambda s, t=target: t, 3, 2), both)
        yield Case("ijmp", jump_to(target, 2), states(w30=(target,), sreg=(0, 0xFF)))
        yield Case("icall", call_to(lambda s: s.pair(30), 2, 1), states(w30=(target,), sreg=(0, 0xFF)))
    returning = with_memory(both, m3f81=0x12, m3f82=0x34)
    yield Case("ret", return_effect, returning)
    yield Case("reti", return_effect, returning)
    for n, distance in product(range(8), (0, 5, 63, -64)):
        for name, wanted in (("brbs", 1), ("brbc", 0)):

            def branch(s: State, n: int = n, distance: int = distance, wanted: int = wanted) -> int:
                taken = bit(s.sreg, n) == wanted
                s.pc += 1 + (distance if taken else 0)
                return 2 if taken else 1

            yield Case(f"{name} {n}, .{2 * distance:+d}", branch, states(sreg=(0, 0xFF, 1 << n, 0xFF ^ 1 << n)))


def skip_if(condition: Callable[[State], object], follower_words: int) -> Effect:
    def effect(s: State) -> int:
        skipped = follower_words if condition(s) else 0
        s.pc += 1 + skipped
        return 1 + skipped

    return effect


def skip_cases() -> Iterator[Case]:
    io = tuple(s for v in (*EDGES, 0x55, 0xAA) for s in with_memory(states(sreg=(0, 0xFF)), **{f"m{GPIOR1:x}": v}))
    for follower, words in (("nop", 1), ("jmp 0", 2), ("call 0", 2), (f"lds r0, {SRAM}", 2), (f"sts {SRAM}, r0", 2)):
        equal = skip_if(lambda s: s.r[3] == s.r[20], words)
        yield Case("cpse r3, r20", equal, states(r3=EDGES, r20=EDGES, sreg=(0, 0xFF)), follower)
        for n in range(8):
            values = states(r3=(*EDGES, 0x55, 0xAA), sreg=(0, 0xFF))
            yield Case(f"sbrc r3, {n}", skip_if(lambda s, n=n: not bit(s.r[3], n), words), values, follower)
            yield Case(f"sbrs r3, {n}", skip_if(lambda s, n=n: bit(s.r[3], n), words), values, follower)
            yield Case(f"sbic {GPIOR1}, {n}", skip_if(lambda s, n=n: not bit(s.memory[GPIOR1], n), words), io, follower)
            yield Case(f"sbis {GPIOR1}, {n}", skip_if(lambda s, n=n: bit(s.memory[GPIOR1], n), words), io, follower)


FAMILIES = {
    "two operands": binary_cases,
    "one operand": unary_cases,
    "words": word_cases,
    "multiply": multiply_cases,
    "bits": bit_cases,
    "loads": load_cases,
    "stores": store_cases,
    "program memory": program_memory_cases,
    "I/O": io_cases,
    "flow": flow_cases,
    "skips": skip_cases,
}


# ------------------------------------------------------------------------------------------------------------ running


def load_code(chip: Chip, words: list[int]) -> None:
    chip.write(0x4000 + 2 * AT, b"".join(w.to_bytes(2, "little") for w in words))


def apply(chip: Chip, state: State) -> None:
    for n, value in enumerate(state.r):
        chip.set_register(n, value)
    for address, value in state.memory.items():
        chip.write(address, bytes([value]))
    chip.sreg, chip.sp, chip.pc = state.sreg, state.sp, 2 * state.pc


def observe(chip: Chip, addresses: Iterator[int]) -> State:
    memory = {address: chip.read(address, 1)[0] for address in addresses}
    return State([chip.register(n) for n in range(32)], chip.sreg, chip.sp, chip.pc // 2, memory)


@pytest.mark.parametrize("family", FAMILIES)
def test_result_flags_and_cycles(family, assemble):
    cases = list(FAMILIES[family]())
    code = assemble([line for case in cases for line in (case.text, case.follower)])
    chip = Chip(b"")
    tried = 0
    for n, case in enumerate(cases):
        load_code(chip, code[2 * n] + code[2 * n + 1])
        for before in case.states:
            want = before.copy()
            want_cycles = case.effect(want)
            apply(chip, before)
            cycles, count = chip.cycles, chip.instructions
            chip.step()
            got = observe(chip, iter(want.memory))
            assert (got, chip.cycles - cycles, chip.instructions - count) == (want, want_cycles, 1), (
                f"{case.text} (before {case.follower}) from {before}"
            )
            tried += 1
    assert tried >= len(cases)


def test_random_operands(assemble):
    """Operand values beyond the edges, all 8-bit arithmetic."""
    rng = random.Random(2)
    cases = [*binary_cases(), *unary_cases(), *multiply_cases()]
    code = assemble([case.text for case in cases])
    chip = Chip(b"")
    for case, words in zip(cases, code, strict=True):
        load_code(chip, words)
        for _ in range(20):
            before = State(r=[rng.randrange(256) for _ in range(32)], sreg=rng.randrange(128))
            want = before.copy()
            case.effect(want)
            apply(chip, before)
            chip.step()
            got = observe(chip, iter(()))
            assert got == want, f"{case.text} from {before}"


MANUAL = """
add adc adiw sub subi sbc sbci sbiw and andi or ori eor com neg inc dec mul muls mulsu fmul fmuls fmulsu
rjmp ijmp jmp rcall icall call ret reti cpse cp cpc cpi sbrc sbrs sbic sbis brbs brbc mov movw ldi lds ld ldd sts st std
lpm in out push pop lsr ror asr swap sbi cbi bst bld bset bclr break nop sleep wdr
"""


def test_every_opcode_of_the_manual_is_covered(assemble):
    """Mnemonics of the AVRxt instruction set that the families above exercise (aliases left out)."""
    manual = set(MANUAL.split())
    tried = {case.text.split()[0] for make in FAMILIES.values() for case in make()}
    assert manual <= tried, sorted(manual - tried)


#: What avr-objdump knows of other AVR cores and the AVRxt of this chip lacks.
ELSEWHERE = {"elpm", "xch", "las", "lac", "lat", "des", "eijmp", "eicall"}


def test_reserved_opcodes_fault_and_no_others(tmp_path):
    binary = tmp_path / "opcodes.bin"
    binary.write_bytes(b"".join(opcode.to_bytes(2, "little") + bytes(2) for opcode in range(0x10000)))
    command = ["avr-objdump", "-D", "-b", "binary", "-m", "avr:103", binary]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    known = {
        int(m[1], 16) // 4: m[2]
        for m in re.finditer(r"^\s*([0-9a-f]+):\s+(?:[0-9a-f]{2} )+\s*(\S+)", listing, re.MULTILINE)
        if int(m[1], 16) % 4 == 0
    }
    assert len(known) == 0x10000
    chip = Chip(b"")
    for opcode, name in known.items():
        load_code(chip, [opcode, 0])
        chip.pc, chip.sp = 2 * AT, 0x3F00
        try:
            chip.step()
            kind = None
        except Fault as fault:
            kind = fault.kind
        assert (kind == "illegal opcode") == (name == ".word" or name in ELSEWHERE), f"0x{opcode:04X} {name}: {kind}"
