"""The AVR code of a dense layer whose groups are calls: what :mod:`enginekit.encode.dense_calls` proves and counts.

Each group of inputs is one RCALL into an unrolled body, entered as many steps before its end as the group is long; in blocks
beyond the reach of that, a CALL. Where zeros are skipped, the first block looks for runs of other inputs as it goes and keeps
the gaps for the blocks after it. Sentinels in the input end runs, so that no input is counted: a zero at the next stop or
behind the input, and behind that one that is none. At a stop the code that skips gives up if it has lost time against the
groups, which go on from there.

Registers: X inputs, Y weights, r1:r0 products, r16 weight, r17 input. Sums of a row: LOW and HIGH (16 bits, biased by 0x8000)
of a group, `mid` and `top` of the groups before. Groups: r25:r24 0x8080, r30 zero, r31 stops left. Skipping: `mid` signed,
r11:r10 behind the sentinel, r13:r12 behind the gap's first input, r14 entries left, r25:r24 balance, Z gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from enginekit.encode.assembly import code_bytes

LOW, HIGH = (2, 3, 4, 5, 6), (10, 11, 12, 13, 14)
#: Of up to four rows, and of five.
_MID, _TOP = ((6, 7, 8, 9), (7, 8, 9, 15, 18)), ((20, 21, 22, 23), (19, 20, 21, 22, 23))
_CALL_SAVED = (*range(2, 18), 28, 29)
_SPL, _SPH = "0x3d", "0x3e"
#: Inputs that the search for the end of a gap reads before it jumps back.
SCAN = 4
#: The longest gap that an entry holds.
LONGEST = 255
#: Bytes of code within which every RCALL and RJMP reaches, whatever stands where.
REACH = 4000


@dataclass(frozen=True)
class Stops:
    """Where a layer that skips zeros asks whether that pays.

    Parameters
    ----------
    count : int
        Stops, the end of the input included.
    first, step : int
        Inputs before the first one, and between two.
    first_cost, cost, price : int
        What the balance is below zero at first, loses at a stop and at a run; it gains one for each input skipped.
    capacity : int
        Gaps that are kept for other blocks, at most 127. Where there are more, those blocks are summed by groups. A gap takes a
        byte, and another for each LONGEST inputs.
    """

    count: int
    first: int
    step: int
    first_cost: int
    cost: int
    price: int
    capacity: int

    @property
    def evidence(self) -> int:
        """Inputs from a stop at which a run begins to the next run, from which on skipping is not given up at that stop."""
        return min(self.cost + self.price, 63)


@dataclass(frozen=True)
class DenseText:
    """What the code of one layer is written from.

    Parameters
    ----------
    symbol : str
        Its name; its constants are called ``<symbol>_w``, ``_bias`` and ``_dense``.
    rows, size, blocks : int
        Rows of a block, inputs, blocks.
    zero_x : int
        Input that is skipped.
    depth : int
        Longest group.
    groups : tuple of (tuple of (tuple of int))
        For each block its stretches, and the groups of each; negative where so many inputs have no weights. The first block of
        a layer that skips has a stretch from each stop but the last, other blocks one.
    stops : Stops or None
        None where nothing is skipped.
    part : int
        Blocks of which the weights lie in one array.
    """

    symbol: str
    rows: int
    size: int
    blocks: int
    zero_x: int
    depth: int
    groups: tuple[tuple[tuple[int, ...], ...], ...]
    stops: Stops | None
    part: int

    def weights(self, block: int) -> str:
        """Address of a block's weights."""
        return f"{self.symbol}_w{block // self.part}+{block % self.part * self.rows * self.size}"

    def assembly(self) -> str:
        """Write the code: a function of x and sum."""
        jump, lines = self._jump(), [f"{self.symbol}:", *self._fixed(self._jump())]
        for block, far in enumerate(self.far):
            lines += self._block(block, "call" if far else "rcall", jump)
        head = f'    .section .text.{self.symbol}, "ax", @progbits\n    .type   {self.symbol}, @function\n'
        return f"{head}{_text([*lines, *self._leave()])}\n    .size   {self.symbol}, . - {self.symbol}\n"

    @cached_property
    def far(self) -> tuple[bool, ...]:
        """Whether the calls of each block lie beyond the reach of RCALL; so do those of every later one."""
        end, found = code_bytes(_text(self._fixed("rjmp"))), []
        for block in range(self.blocks):
            end += code_bytes(_text(self._block(block, "rcall", "rjmp")))
            found.append(end > REACH)
        return tuple(found)

    def _jump(self) -> str:
        """Jump to blocks, or over them."""
        return "jmp" if self.far[-1] else "rjmp"

    def _fixed(self, jump: str) -> Iterator[str]:
        """Write all that stands before the blocks' calls."""
        yield from self._enter(jump)
        yield from self._skipping(self.stops) if self.stops is not None else ()
        for part in (self._body(jump), self._store(), self._begin(), self._by_groups()):
            yield from part

    def _label(self, name: str) -> str:
        return f".L{self.symbol}_{name}"

    @property
    def keeps(self) -> bool:
        """Whether gaps are kept: other blocks want them."""
        return self.stops is not None and self.blocks > 1

    @property
    def mid(self) -> tuple[int, ...]:
        """Middle byte of each row's sum."""
        return _MID[self.rows > len(_MID[0])]

    @property
    def top(self) -> tuple[int, ...]:
        """Top byte of each row's sum."""
        return _TOP[self.rows > len(_TOP[0])]

    @property
    def saved(self) -> list[int]:
        """Registers that are the caller's."""
        own = {*range(2, 10), *(reg for regs in (LOW, HIGH, self.mid) for reg in regs[: self.rows]), 16, 17, 28, 29}
        own |= {10, 11, 12, 13} if self.stops else set()
        own |= {14} if self.keeps else set()
        return [reg for reg in _CALL_SAVED if reg in own]

    def _enter(self, jump: str) -> Iterator[str]:
        yield from (f"push r{n}" for n in self.saved)
        if self.keeps:
            yield from ("movw r30, r22", *_add(30, 3 * self.rows * self.blocks), "push r31", "push r30")
        yield from (f"push r{n}" for n in (25, 24, 23, 22))
        if self.stops is None:
            yield f"rjmp {self._label('dense')}"
            return
        yield from self._first_block(self.stops)
        yield from self._other_blocks()
        yield f"{jump} {self._label('leave')}"

    def _by_groups(self) -> Iterator[str]:
        """Begin with groups, or go on with them where skipping is given up."""
        yield f"{self._label('dense')}:"
        if self.stops is None:
            yield from (f"rcall {self._label('begin')}", *_address(28, self.weights(0)))
        else:
            yield from (f"rcall {self._label('plain')}", "mov r31, r16")
        yield from (f"rcall {self._label('ready')}", "ldi r30, 0")

    def _leave(self) -> Iterator[str]:
        yield f"{self._label('leave')}:"
        yield from ["pop r0"] * (6 if self.keeps else 4)
        yield from (f"pop r{n}" for n in reversed(self.saved))
        yield from ("clr r1", "ret")

    def _first_block(self, stops: Stops) -> Iterator[str]:
        yield from ("movw r30, r24", *_add(30, self.size), f"ldi r16, {self._zero}", "st Z, r16", "inc r16", "std Z+1, r16")
        yield f"rcall {self._label('begin')}"
        yield from _address(28, self.weights(0))
        yield from ("movw r0, r26", *_add(26, stops.first), *_number(24, -stops.first_cost))
        yield "clt"
        if self.keeps:
            yield from (f"ldi r17, {stops.capacity}", "mov r14, r17")
        yield from (f"ldi r16, {stops.count}", f"rcall {self._label('place')}")
        yield from ("brcc 1f", f"rjmp {self._label('dense')}", "1:")
        yield from (*_address(30, f"{self.symbol}_bias"), f"rcall {self._label('store_split')}")

    def _other_blocks(self) -> Iterator[str]:
        if self.keeps:
            yield from ("sbrc r14, 7", f"rjmp {self._label('full')}", "set", f"ldi r24, {self.rows}", "clr r13")
        for block in range(1, self.blocks):
            yield f"rcall {self._label('begin')}"
            yield from _address(28, self.weights(block))
            yield f"rcall {self._label('next')}"
            yield from _address(30, f"{self.symbol}_bias+{3 * self.rows * block}")
            yield f"rcall {self._label('store_split')}"

    @property
    def _zero(self) -> int:
        return self.zero_x & 0xFF

    def _bias_high(self) -> Iterator[str]:
        """Set the high bytes of a group's sums to 0x80."""
        for n in range(0, self.rows, 2):
            yield f"mov{'w' if n + 1 < self.rows else ''} r{HIGH[n]}, r24"

    def _block(self, block: int, call: str, jump: str) -> Iterator[str]:
        """Write the calls of a block."""
        stretches = self.groups[block]
        if block == 1 and self.keeps:
            yield f"{self._label('others')}:"
        if block:
            yield from (f"{call} {self._label('begin')}", "ldi r30, 0")
            yield from _address(28, self.weights(block)) if block % self.part == 0 else ()
        else:
            yield from self._choice(len(stretches), jump)
        for number, lengths in enumerate(stretches):
            if number:
                yield f"{self._label(f'from{len(stretches) - number}')}:"
            for length in lengths:
                yield from self._over(-length) if length < 0 else [f"{call} {self._label(f'step{length}')}"]
        yield from self._dense_bias(block)
        yield f"{call} {self._label('store')}"

    def _over(self, inputs: int) -> Iterator[str]:
        """Go over inputs without weights."""
        for low, bytes_ in ((26, inputs), (28, inputs * self.rows)):
            yield from [f"adiw r{low}, {bytes_}"] if bytes_ < 64 else _add(low, bytes_)

    def _choice(self, stretches: int, jump: str) -> Iterator[str]:
        for left in range(stretches - 1, 0, -1):
            yield from (f"cpi r31, {left}", "brne 1f", f"{jump} {self._label(f'from{left}')}", "1:")

    def _dense_bias(self, block: int) -> Iterator[str]:
        """Bias of a block into Z: in the first one it depends on the stop."""
        size, stretches = 3 * self.rows, len(self.groups[0])
        if block or stretches == 1:
            yield from _address(30, f"{self.symbol}_dense+{size * (stretches - 1 + block)}")
        else:
            yield from (f"ldi r30, {size}", "mul r31, r30", "movw r30, r0")
            yield from (f"subi r30, lo8(-({self.symbol}_dense-{size}))", f"sbci r31, hi8(-({self.symbol}_dense-{size}))")

    def _body(self, jump: str) -> Iterator[str]:
        for length in range(self.depth, 0, -1):
            yield from (f"{self._label(f'step{length}')}:", "ld r17, X+")
            for n in range(self.rows):
                yield from ("ld r16, Y+", "muls r16, r17", f"add r{LOW[n]}, r0", f"adc r{HIGH[n]}, r1")
        for n in range(self.rows):
            yield from (f"add r{self.mid[n]}, r{HIGH[n]}", f"adc r{self.top[n]}, r30")
        yield from (*self._bias_high(), "ret")
        if self.keeps:
            yield from (f"{self._label('full')}:", f"rcall {self._label('ready')}", *_address(28, self.weights(1)))
            yield f"{jump} {self._label('others')}"
        yield from (f"{self._label('ready')}:", "ldi r24, 0x80", "ldi r25, 0x80", *self._bias_high(), "ret")

    def _store(self) -> Iterator[str]:
        """Write the sums of a block, with the bias at Z."""
        if self.stops is not None:
            yield from (f"{self._label('store_split')}:", f"rcall {self._label('plain')}")
        yield from (f"{self._label('store')}:", "movw r0, r30", f"in r30, {_SPL}", f"in r31, {_SPH}")
        yield from ("ldd r26, Z+3", "ldd r27, Z+4", f"adiw r26, {3 * self.rows}", "std Z+3, r26", "std Z+4, r27")
        yield from (f"sbiw r26, {3 * self.rows}", "movw r30, r0")
        for n in range(self.rows):
            for reg, add in ((LOW[n], "add"), (self.mid[n], "adc"), (self.top[n], "adc")):
                yield from ("ld r0, Z+", f"{add} r{reg}, r0", f"st X+, r{reg}")
        yield "ret"
        if self.stops is not None:  # the middle byte of a sum unsigned
            yield f"{self._label('plain')}:"
            yield from (line for n in range(self.rows) for line in (f"sbrc r{self.mid[n]}, 7", f"dec r{self.top[n]}"))
            yield "ret"

    def _begin(self) -> Iterator[str]:
        """Start a block: X the inputs, Z the gaps, sums zero."""
        yield from (f"{self._label('begin')}:", f"in r30, {_SPL}", f"in r31, {_SPH}", "ldd r26, Z+5", "ldd r27, Z+6")
        if self.keeps:
            yield from ("ldd r0, Z+7", "ldd r31, Z+8", "mov r30, r0")
        yield from ("clr r0", "clr r1")
        yield from (f"movw r{low}, r0" for low in range(2, 10, 2))
        yield from (["clr r15", "movw r18, r0"] if self.rows > len(_MID[0]) else [])
        yield from ("movw r20, r0", "movw r22, r0", "ret")

    def _skipping(self, stops: Stops) -> Iterator[str]:
        yield from self._overflows()
        if self.keeps:
            yield from self._again()
        yield f"{self._label('products')}:"
        for n in range(self.rows):
            yield from ("ld r16, Y+", "mulsu r16, r17", f"add r{LOW[n]}, r0", f"adc r{self.mid[n]}, r1")
            yield from (f"brvs {self._label(f'over{n}')}", f"{self._label(f'back{n}')}:")
        yield from (f"{self._label('next')}:", "ld r17, X+", f"subi r17, {self._zero}", f"brne {self._label('products')}")
        if self.keeps:
            yield f"brts {self._label('again')}"
        yield from ("cp r26, r10", "cpc r27, r11", f"breq {self._label('stop')}", "movw r12, r26")
        yield f"{self._label('scan')}:"
        for _ in range(SCAN):
            yield from ("ld r17, X+", f"cpi r17, {self._zero}", f"brne {self._label('found')}")
        yield f"rjmp {self._label('scan')}"
        yield from self._stop(stops)
        yield from self._found(stops)
        yield from self._passed(stops)

    def _overflows(self) -> Iterator[str]:
        """Write what counts a row's top byte up if its middle byte has become negative, else down."""
        for n in range(self.rows):
            yield from (f"{self._label(f'over{n}')}:", "brmi 1f", f"subi r{self.top[n]}, 2")
            yield from ("1:", f"inc r{self.top[n]}", f"rjmp {self._label(f'back{n}')}")

    def _found(self, stops: Stops) -> Iterator[str]:
        """At the first input of a run: the gap before it to the balance and the table, and Y over it."""
        yield from (f"{self._label('found')}:", "cp r26, r10", "cpc r27, r11", f"brsh {self._label('passed')}")
        yield from (f"{self._label('accept')}:", "movw r0, r26", "sub r0, r12", "sbc r1, r13", "add r24, r0", "adc r25, r1")
        yield from (f"sbiw r24, {stops.price}", f"{self._label('gap')}:", "tst r1", f"brne {self._label('long')}")
        if self.keeps:
            yield from ("sbrs r14, 7", "st Z+, r0", "sbrs r14, 7", "dec r14")
        yield from (f"ldi r16, {self.rows}", "mul r0, r16", "add r28, r0", "adc r29, r1", f"subi r17, {self._zero}")
        yield from (f"breq {self._label('stop')}", f"rjmp {self._label('products')}")
        yield from (f"{self._label('long')}:", f"ldi r16, {LONGEST}")
        if self.keeps:
            yield "st Z+, r16"
        yield from ("sub r0, r16", "clr r16", "sbc r1, r16", *_add(28, LONGEST * self.rows), f"rjmp {self._label('gap')}")

    def _stop(self, stops: Stops) -> Iterator[str]:
        """At a sentinel: put back what was there; end, give up, or go on with the next one."""
        yield from (f"{self._label('stop')}:", "pop r16", "pop r17", "st -X, r17", "dec r16")
        yield from (
            f"breq {self._label('end')}",
            *_add(24, -stops.cost),
            "brts 1f",
            f"brmi {self._label('give_up')}",
            "1:",
            "clt",
        )
        yield from ("movw r0, r26", *_add(26, stops.step), f"{self._label('place')}:", "ld r17, X", "push r17", "push r16")
        yield from (f"ldi r17, {self._zero}", "st X+, r17", "movw r10, r26", "movw r26, r0", f"rjmp {self._label('next')}")
        yield from (f"{self._label('give_up')}:", "sec", "ret", f"{self._label('end')}:")
        if self.keeps:
            yield "st Z, r16"
        yield from ("clc", "ret")

    def _passed(self, stops: Stops) -> Iterator[str]:
        """At a run found behind a sentinel: a stop if there is none but the input under it; else the next sentinel behind X.

        That stop is not asked whether skipping pays where a long gap is known to follow.
        """
        yield from (
            f"{self._label('passed')}:",
            "pop r16",
            "pop r17",
            f"cpi r17, {self._zero}",
            "breq 2f",
            "push r17",
            "push r16",
        )
        yield from ("sub r26, r10", "sbc r27, r11", f"sbiw r26, {stops.evidence}", "brcs 1f", "set", "1:", "movw r26, r10")
        yield from (f"ldi r17, {self._zero}", f"rjmp {self._label('accept')}", "2:", "dec r16", f"breq {self._label('end')}")
        yield from (*_add(24, -stops.cost), f"ldi r17, lo8({stops.step})", "add r10, r17", f"ldi r17, hi8({stops.step})")
        yield from ("adc r11, r17", "cp r26, r10", "cpc r27, r11", "brsh 2b", "movw r0, r26", "movw r26, r10", "ld r17, -X")
        yield from ("push r17", "push r16", f"ldi r17, {self._zero}", "st X, r17", "movw r26, r0", "ld r17, -X", "adiw r26, 1")
        yield f"rjmp {self._label('accept')}"

    def _again(self) -> Iterator[str]:
        """Skip the next gap that the first block has found."""
        yield from (f"{self._label('again')}:", "ld r0, Z+", "tst r0", "breq 1f", "add r26, r0", "adc r27, r13", "sbiw r26, 1")
        yield from ("mul r0, r24", "add r28, r0", "adc r29, r1", f"rjmp {self._label('next')}", "1:", "ret")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(line if line.endswith(":") else f"    {line}" for line in lines)


def _add(low: int, number: int) -> Iterator[str]:
    """Add a number to a pair of registers from r16 on."""
    yield from (f"subi r{low}, lo8({-number})", f"sbci r{low + 1}, hi8({-number})")


def _address(low: int, text: str) -> Iterator[str]:
    yield from (f"ldi r{low}, lo8({text})", f"ldi r{low + 1}, hi8({text})")


def _number(low: int, value: int) -> Iterator[str]:
    yield from (f"ldi r{low}, lo8({value})", f"ldi r{low + 1}, hi8({value})")
