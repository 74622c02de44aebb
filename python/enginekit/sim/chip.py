"""The simulated chip as a Python object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from enginekit.sim._chip import Machine
from enginekit.sim.image import ATMEGA4809, Image, Layout, Symbol, read_elf, read_hex

_ARGUMENTS = (24, 22, 20, 18, 16, 14, 12, 10, 8)


class Fault(EngineError):  # noqa: N818 -- a fault of the simulated program, as in "bus fault"
    """The program did something that the chip cannot do, or that is not modelled.

    Attributes
    ----------
    kind : str
        ``"unmapped"``, ``"illegal opcode"``, ``"write to flash"``, ``"read only"``, ``"jump"``, ``"stack"`` or
        ``"not modelled"``.
    address : int
        The data address (for illegal opcodes and jumps the byte address in flash) that it is about.
    pc : int
        Byte address of the instruction.
    function : str
        Function and offset of the instruction, ``"main+0x12"``; ``"?"`` without symbols.
    cycle : int
    """

    def __init__(self, message: str, *, kind: str, address: int, pc: int, function: str, cycle: int) -> None:
        super().__init__(f"{message} (address 0x{address:04X}) by the instruction at 0x{pc:04X} in {function}, cycle {cycle}")
        self.kind = kind
        self.address = address
        self.pc = pc
        self.function = function
        self.cycle = cycle


@dataclass(frozen=True)
class Stop:
    """Why and where a run ended.

    Attributes
    ----------
    reason : str
        ``"break"`` (a BREAK instruction, which is done), ``"breakpoint"``, ``"until"``, ``"cycles"`` (the limit is reached)
        or ``"asleep"`` (sleeping, and nothing but the host can wake the chip; the time up to the limit has passed).
    pc : int
        Byte address of the next instruction.
    function : str
        Function and offset of it.
    cycle : int
    """

    reason: str
    pc: int
    function: str
    cycle: int


@dataclass(frozen=True)
class FunctionProfile:
    """What one function cost.

    Attributes
    ----------
    name : str
    calls : int
        Calls, interrupts and jumps to its start from other functions.
    exclusive : int
        Cycles in the function itself.
    inclusive : int
        Cycles from entry to return, callees and interrupts included; recursion counted once.
    """

    name: str
    calls: int
    exclusive: int
    inclusive: int


@dataclass(frozen=True)
class CallResult:
    """What `Chip.call` gives.

    Attributes
    ----------
    cycles : int
        From the function's first instruction to its return, both included; the call itself is not.
    registers : bytes
        r0 to r31 after the return.
    """

    cycles: int
    registers: bytes

    def value(self, size: int, *, signed: bool = False) -> int:
        """Read the result as avr-gcc returns it: 1 byte in r24, 2 in r25:r24, 4 in r25:r22, 8 in r25:r18."""
        first = 24 if size == 1 else 26 - size
        return int.from_bytes(self.registers[first : first + size], "little", signed=signed)


class SerialPort:
    """The wires of one USART, seen from the host. Take it from `Chip.usart`."""

    def __init__(self, machine: Machine, number: int) -> None:
        self._machine = machine
        self._number = number

    def send(self, data: bytes) -> None:
        """Put bytes on the line to the chip.

        They arrive one after another, without gaps, at the chip's own baud rate, as soon as its receiver is enabled.
        """
        self._machine.usart_send(self._number, bytes(data))

    def receive(self) -> bytes:
        """Take what the chip has sent completely since the last call."""
        return self._machine.usart_receive(self._number)

    @property
    def received(self) -> int:
        """Number of bytes that `receive` would give."""
        return self._machine.usart_received(self._number)

    @property
    def waiting(self) -> int:
        """Number of bytes on the line that have not reached the chip's receiver."""
        return self._machine.usart_waiting(self._number)

    @property
    def enabled(self) -> bool:
        """Whether the firmware has enabled receiver or transmitter."""
        return self._machine.usart_enabled(self._number)

    @property
    def baud(self) -> float:
        """The rate in bits per second that clock, BAUD and CLK2X give at this moment."""
        return self._machine.usart_baud(self._number)

    @property
    def overruns(self) -> int:
        """Number of bytes lost because the firmware did not read them in time."""
        return self._machine.usart_overruns(self._number)

    def discard(self) -> None:
        """Drop the bytes on the line that have not reached the chip's receiver."""
        self._machine.usart_discard(self._number)


class Chip:
    """A chip with a program: an ATmega4809, or whatever the image is for.

    Parameters
    ----------
    image : Image or bytes
        The program; bytes are flash from address 0, of an ATmega4809.
    oscillator : int, optional
        Frequency in Hz. ATmega4809: 20,000,000 (the default) or 16,000,000, as the fuse OSCCFG selects; out of reset the CPU
        runs at a sixth of it. ATmega328P: of its crystal, 16,000,000 (the default), 20,000,000 or 8,000,000.
    sram_fill : int
        What SRAM holds at power-on, 0-255.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> chip = Chip(bytes.fromhex("0fef 1fe1 010f 9895"))  # ldi r16, 0xff; ldi r17, 0x1f; add r16, r17; break
    >>> chip.run().reason, chip.cycles, hex(chip.register(16))
    ('break', 4, '0x1e')
    """

    def __init__(self, image: Image | bytes, *, oscillator: int | None = None, sram_fill: int = 0) -> None:
        if isinstance(image, (bytes, bytearray)):
            image = Image(bytes(image), b"", 0, {}, (), ATMEGA4809.sram_start)
        layout = image.layout
        hertz = layout.oscillators[0] if oscillator is None else oscillator
        if hertz not in layout.oscillators:
            raise ValueError(f"Chip: oscillator is {hertz}; expected one of {layout.oscillators}")
        if not 0 <= sram_fill <= 0xFF:
            raise ValueError(f"Chip: sram_fill is {sram_fill}; expected 0 to 255")
        self.image = image
        self._machine = Machine(layout.flash_mapped is None, hertz, sram_fill)
        self._machine.load(image.flash, image.eeprom, image.start)
        self._machine.set_functions([(f.name, f.address, f.size) for f in image.functions])
        self._machine.stack_floor = image.stack_floor
        self._names = ["?", *(f.name for f in image.functions)]
        self._return_hooks: dict[int, list[Callable[[], None]]] = {}
        self._call_hooks: dict[int, list[Callable[[], None]]] = {}
        self._breakpoints: set[int] = set()

    @property
    def layout(self) -> Layout:
        """Which chip it is, and where its memories are."""
        return self.image.layout

    @classmethod
    def from_elf(cls, path: str | Path, *, oscillator: int | None = None, sram_fill: int = 0) -> Chip:
        """Load a program that avr-gcc linked.

        Parameters
        ----------
        path : str or Path
        oscillator, sram_fill : int
            As for `Chip`.

        Returns
        -------
        Chip

        Raises
        ------
        FormatError
            If the file is not a linked ELF program for AVR, or is linked for other addresses than the chip's.
        DoesNotFitError
            If it is too large; says by how many bytes.
        """
        return cls(read_elf(path), oscillator=oscillator, sram_fill=sram_fill)

    @classmethod
    def from_hex(cls, path: str | Path, *, oscillator: int | None = None, sram_fill: int = 0) -> Chip:
        """Load an Intel HEX file; there are no symbols then."""
        return cls(read_hex(path), oscillator=oscillator, sram_fill=sram_fill)

    # -------------------------------------------------------------------------------------------------------- running

    def run(self, max_cycles: int | None = None, until: str | int | None = None) -> Stop:
        """Run the program.

        Parameters
        ----------
        max_cycles : int, optional
            Stop after this many CPU cycles from now (instructions are not cut). Without it, only BREAK, breakpoints and
            faults end the run.
        until : str or int, optional
            Stop before the instruction at this function or byte address. If the last run stopped there, the program runs on
            to the next time.

        Returns
        -------
        Stop

        Raises
        ------
        Fault
            If the program does what the chip cannot do, or what is not modelled. The state stays as it was when it happened.
        """
        if max_cycles is not None and max_cycles < 0:
            raise ValueError(f"run: max_cycles is {max_cycles}; expected 0 or more")
        limit = None if max_cycles is None else self.cycles + max_cycles
        if until is None:
            return self._stop(self._run(limit, None))
        target = self._code_address(until)
        self._machine.set_breakpoint(target, True)
        try:
            reason = self._run(limit, target)
        finally:
            self._machine.set_breakpoint(target, target in self._breakpoints or target in self._call_hooks)
        return self._stop("until" if reason == "breakpoint" and self.pc == target else reason)

    def _run(self, limit: int | None, target: int | None) -> str:
        while True:
            reason, fault = self._machine.run(limit)
            for index in self._machine.take_returned():
                for callback in tuple(self._return_hooks.get(index, ())):
                    callback()
            if fault is not None:
                kind, address, message = fault
                raise Fault(message, kind=kind, address=address, pc=self.pc, function=self.where(), cycle=self.cycles)
            at = self.pc
            if reason == "breakpoint":
                for callback in tuple(self._call_hooks.get(at, ())):
                    callback()
            asked = reason == "breakpoint" and (at in self._breakpoints or at == target)
            if asked or reason not in {"returned", "breakpoint"}:
                return reason

    def _stop(self, reason: str) -> Stop:
        return Stop(reason, self.pc, self.where(), self.cycles)

    def step(self) -> Stop:
        """Execute one instruction (and enter an interrupt before it, if one is due)."""
        return self.run(1)

    def call(self, symbol: str, *arguments: int, max_cycles: int | None = None) -> CallResult:
        """Call a function of the program as a debugger does, and let the program stand where it was.

        Parameters
        ----------
        symbol : str
        *arguments : int
            Up to nine arguments of 8 or 16 bits, pointers among them, in avr-gcc's registers r25:r24, r23:r22, ..., r9:r8.
        max_cycles : int, optional

        Returns
        -------
        CallResult

        Raises
        ------
        EngineError
            If the function does not return: within `max_cycles`, or because of BREAK, a breakpoint or sleep.
        Fault
            As for `run`.

        Notes
        -----
        Registers and SREG are put back afterwards; memory is as the function leaves it. The program must have run far enough
        to have set up what the function needs: stack pointer, r1 = 0, static data.
        """
        address = self._code_address(symbol)
        if len(arguments) > len(_ARGUMENTS):
            raise ValueError(f"call: {len(arguments)} arguments; at most {len(_ARGUMENTS)} go in registers")
        saved = [self.register(n) for n in range(32)]
        back, sp, sreg, start = self.pc, self.sp, self.sreg, self.cycles
        for n, value in zip(_ARGUMENTS, arguments, strict=False):
            self.set_register(n, value & 0xFF)
            self.set_register(n + 1, value >> 8 & 0xFF)
        self._machine.call(address)
        while self.pc != back or self.sp != sp:
            left = None if max_cycles is None else start + max_cycles - self.cycles
            stop = self.run(left, until=back)
            if stop.reason != "until":
                raise EngineError(f"call: {symbol} did not return ({stop.reason}); the program stands in {stop.function}")
        result = CallResult(self.cycles - start, bytes(self.register(n) for n in range(32)))
        for n, value in enumerate(saved):
            self.set_register(n, value)
        self.sreg = sreg
        return result

    def power_on(self) -> None:
        """Start again from power-on: registers and SRAM lose their contents, flash and EEPROM keep them."""
        self._machine.power_on()

    def add_breakpoint(self, where: str | int) -> None:
        """Let runs stop before the instruction at a function or byte address."""
        address = self._code_address(where)
        self._breakpoints.add(address)
        self._machine.set_breakpoint(address, True)

    def remove_breakpoint(self, where: str | int) -> None:
        """Undo `add_breakpoint`."""
        address = self._code_address(where)
        self._breakpoints.discard(address)
        self._machine.set_breakpoint(address, address in self._call_hooks)

    def on_call(self, symbol: str, callback: Callable[[], None]) -> None:
        """Call `callback` whenever execution comes to the first instruction of a function, before that instruction.

        Parameters
        ----------
        symbol : str
            Name of a function that exists in the program (not inlined).
        callback : callable
            Without arguments. It may read and write registers and memory; exceptions end the run.
        """
        address = self._code_address(symbol)
        self._call_hooks.setdefault(address, []).append(callback)
        self._machine.set_breakpoint(address, True)

    def on_return(self, symbol: str, callback: Callable[[], None]) -> None:
        """Call `callback` whenever a function has returned, before the caller's next instruction.

        Parameters
        ----------
        symbol : str
            Name of a function that exists in the program (not inlined).
        callback : callable
            Without arguments. It may read and write memory; exceptions end the run.
        """
        address = self._code_address(symbol)
        index = next((i for i, f in enumerate(self.image.functions, 1) if f.address == address), None)
        if index is None:
            raise KeyError(f"on_return: {symbol} is not a function")
        self._return_hooks.setdefault(index, []).append(callback)
        self._machine.watch(index, True)

    # ---------------------------------------------------------------------------------------------------------- state

    def symbol(self, name: str) -> tuple[int, int]:
        """Give address and size in bytes of a symbol.

        Variables have addresses in data space, as `read` takes them; functions have byte addresses in flash.

        Raises
        ------
        KeyError
            If there is no such symbol; names similar ones.
        """
        found = self._symbol(name)
        return found.address, found.size

    def _symbol(self, name: str) -> Symbol:
        try:
            return self.image.symbols[name]
        except KeyError:
            near = sorted(s for s in self.image.symbols if name in s or s in name)[:5]
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise KeyError(f"no symbol {name!r} in the program{hint}") from None

    def _code_address(self, where: str | int) -> int:
        return where if isinstance(where, int) else self._symbol(where).address

    def read(self, address: int, n: int) -> bytes:
        """Read data space as a debugger does, without spending cycles.

        ATmega4809: SRAM is at 0x2800-0x3FFF, EEPROM at 0x1400, flash at 0x4000-0xFFFF. ATmega328P: registers are at 0-0x1F,
        SRAM at 0x100-0x8FF. I/O registers are read as the CPU reads them, with the side effects that this has (reading received
        data takes a byte).
        """
        return self._machine.read(address, n)

    def read_flash(self, address: int, n: int) -> bytes:
        """Read flash from a byte address in it, as LPM does."""
        return self._machine.read_flash(address, n)

    def write_flash(self, address: int, data: bytes) -> None:
        """Write flash at a byte address in it, as a programmer does."""
        self._machine.write_flash(address, bytes(data))

    def write(self, address: int, data: bytes) -> None:
        """Write data space as a debugger does; mapped flash and EEPROM too."""
        self._machine.write(address, bytes(data))

    def register(self, n: int) -> int:
        """Give the value of register `n`, 0 to 31."""
        return self._machine.register(n)

    def set_register(self, n: int, value: int) -> None:
        """Set register `n`, 0 to 31."""
        self._machine.set_register(n, value)

    @property
    def sreg(self) -> int:
        """Status register: I T H S V N Z C from bit 7 to bit 0."""
        return self._machine.sreg

    @sreg.setter
    def sreg(self, value: int) -> None:
        self._machine.sreg = value

    @property
    def sp(self) -> int:
        """Stack pointer: address of the next byte to be pushed."""
        return self._machine.sp

    @sp.setter
    def sp(self, value: int) -> None:
        self._machine.sp = value

    @property
    def pc(self) -> int:
        """Byte address of the next instruction."""
        return self._machine.pc

    @pc.setter
    def pc(self, value: int) -> None:
        self._machine.pc = value

    def where(self, address: int | None = None) -> str:
        """Name function and offset of a byte address in flash (default: the next instruction)."""
        at = self.pc if address is None else address
        for f in self.image.functions:
            if f.address <= at < f.address + f.size:
                return f"{f.name}+0x{at - f.address:X}" if at > f.address else f.name
        return "?"

    def usart(self, n: int) -> SerialPort:
        """Give the serial line of USART `n`: 0 to 3, or 0 alone on an ATmega328P."""
        last = 3 if self.layout.flash_mapped is not None else 0
        if not 0 <= n <= last:
            raise ValueError(f"usart: {n}; the chip has USART0" + (f" to USART{last}" if last else ""))
        return SerialPort(self._machine, n)

    # -------------------------------------------------------------------------------------------------------- reports

    @property
    def cycles(self) -> int:
        """CPU cycles since the chip was made; sleep counts."""
        return self._machine.cycles

    @property
    def instructions(self) -> int:
        """Instructions executed since the chip was made."""
        return self._machine.instructions

    @property
    def seconds(self) -> float:
        """Simulated time; follows the prescaler of the main clock."""
        return self._machine.seconds

    @property
    def clock_hz(self) -> float:
        """The CPU's (and the peripherals') frequency at this moment."""
        return self._machine.hertz

    @property
    def stack_peak(self) -> int:
        """Most bytes of stack in use since power-on or `clear_stack_peak`."""
        return self.layout.sram_end - 1 - self._machine.lowest_sp

    def clear_stack_peak(self) -> None:
        """Measure `stack_peak` from now on."""
        self._machine.clear_stack_peak()

    @property
    def ram_static(self) -> int:
        """Bytes of initialized and zeroed data."""
        return self.image.stack_floor - self.layout.sram_start

    @property
    def ram_free(self) -> int:
        """Bytes that neither static data nor the deepest stack so far have used."""
        return self.layout.sram_end - self.layout.sram_start - self.ram_static - self.stack_peak

    @property
    def flash_used(self) -> int:
        """Bytes of the flash image, initial values of data included."""
        return len(self.image.flash)

    @property
    def flash_free(self) -> int:
        """Bytes of flash that the image leaves."""
        return self.layout.flash_bytes - len(self.image.flash)

    def profile(self) -> tuple[FunctionProfile, ...]:
        """Say what each function cost, the most expensive in itself first.

        Cycles belong to the function that was called or jumped to, not to the one whose address range holds the instruction
        (they differ in shared epilogues). The exclusive cycles of all functions add up to `cycles` since `clear_profile`;
        ``"?"`` stands for code without a symbol.
        """
        rows = (FunctionProfile(name, *account) for name, account in zip(self._names, self._machine.accounts(), strict=True))
        return tuple(sorted((r for r in rows if r.calls or r.exclusive), key=lambda r: -r.exclusive))

    def clear_profile(self) -> None:
        """Profile from now on."""
        self._machine.clear_profile()

    def call_stack(self) -> tuple[str, ...]:
        """Name the functions that are active, outermost first."""
        return tuple(self._names[i] for i in self._machine.call_stack())
