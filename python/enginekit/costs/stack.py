"""Bounds the depth of the stack from a linked program's instructions: what no measurement can prove."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from engine.errors import EngineError
from enginekit.toolchain import ToolchainError, read_image

#: Bytes of a return address on the stack of this family.
RETURN = 2
_SPL, _SPH = "0x3d", "0x3e"
_LINE = re.compile(r"^\s*([0-9a-f]+):\t[0-9a-f ]+\t([a-z]+)\s*([^;]*)(?:;.*?<([^>+]+)(?:\+0x[0-9a-f]+)?>)?")
_LABEL = re.compile(r"\.L|L\d+\^")  # local to assembly code
_HEAD = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
_JUMPS = ("rjmp", "jmp")
_CALLS = ("call", "rcall", "icall", "eicall")
_LEAVES = ("ret", "reti", "rjmp", "jmp", "ijmp", "break")
_SKIPS = ("cpse", "sbrc", "sbrs", "sbic", "sbis")


class UnboundedStackError(EngineError):
    """A program whose stack cannot be bounded: it recurses, calls what is not known, or moves the stack pointer at will."""


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly: byte address, mnemonic, operands, and the byte address that it jumps to or calls, if any."""

    address: int
    name: str
    operands: tuple[str, ...]
    target: int | None


@dataclass(frozen=True)
class Function:
    """A function's instructions, in order of address; `entry` if it is entered elsewhere, as a subroutine inside it."""

    name: str
    code: tuple[Instruction, ...]
    entry: int | None = None

    @property
    def start(self) -> int:
        """Byte address where it is entered: its first instruction, or `entry`."""
        return self.code[0].address if self.entry is None else self.entry

    def holds(self, address: int) -> bool:
        """Whether an address is within it."""
        return self.code[0].address <= address <= self.code[-1].address


@dataclass
class _Walk:
    """Where one function's instructions find the stack: bytes below the caller's, and what the frame pointer Y stands for."""

    depths: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    deepest: int = RETURN


def disassemble(elf: str | Path) -> list[Function]:
    """Read the functions of a linked program with avr-objdump; labels inside assembly code start none.

    Raises
    ------
    ToolchainError
        If avr-objdump is missing or refuses the file.
    """
    try:
        done = subprocess.run(["avr-objdump", "-d", str(elf)], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolchainError(f"avr-objdump: {error.strerror}") from error
    if done.returncode != 0:
        raise ToolchainError(f"avr-objdump {elf}: {done.stderr.strip()}")
    heads: list[tuple[int, str, list[Instruction]]] = []
    for line in done.stdout.splitlines():
        head, found = _HEAD.match(line), _LINE.match(line)
        if head:
            heads.append((int(head[1], 16), head[2], []))
        elif found and heads:
            heads[-1][2].append(_instruction(found))
    starts = {symbol.address for symbol in read_image(elf).symbols if symbol.kind == "STT_FUNC"}
    starts |= {i.target for _, _, code in heads for i in code if i.name in ("call", "rcall", "jmp") and i.target is not None}
    merged: list[tuple[str, list[Instruction]]] = []
    for address, name, code in heads:
        if (address in starts and not _LABEL.match(name)) or not merged:
            merged.append((name, []))
        merged[-1][1].extend(code)
    return [Function(name, tuple(code)) for name, code in merged if code]


def _instruction(found: re.Match[str]) -> Instruction:
    address, name = int(found[1], 16), found[2]
    operands = tuple(part.strip() for part in found[3].split(",")) if found[3].strip() else ()
    target = None
    if name in ("call", "jmp"):
        target = int(operands[0], 16)
    elif operands and operands[-1].startswith("."):
        target = address + 2 + int(operands[-1][1:])
    return Instruction(address, name, operands, target)


class Program:
    """A linked program's call graph and the stack that each function needs.

    Parameters
    ----------
    elf : str or Path
        With its symbols.
    """

    def __init__(self, elf: str | Path) -> None:
        self._elf = Path(elf)
        self.functions = disassemble(elf)
        self._after = {a.name: b.name for a, b in pairwise(self.functions)}
        self._by_start = {function.start: function for function in self.functions if function.start}  # not the vectors
        self.by_name = {function.name: function for function in self.functions}
        self._needs: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._open: list[str] = []

    def need(self, name: str) -> int:
        """Bytes of stack that a call of a function takes at most, its return address included.

        Raises
        ------
        UnboundedStackError
            If that cannot be known; names the function.
        """
        if name in self._needs:
            return self._needs[name]
        if name in self._open:
            raise UnboundedStackError(f"{self._elf}: {' -> '.join([*self._open, name])}: recursion has no bound")
        self._open.append(name)
        walk = _Walk()
        self._follow(self.by_name[name], walk)
        self._open.pop()
        self._needs[name], self._left[name] = walk.deepest, _left_behind(self.by_name[name], walk)
        return walk.deepest

    @property
    def bound(self) -> int:
        """Bytes of stack that the program takes at most: ``main`` and what it calls, and one interrupt on top."""
        handlers = [f.name for f in self.functions if re.fullmatch(r"__vector_\d+", f.name)]
        return self.need("main") + max((self.need(name) for name in handlers), default=0)

    def depth_of(self, name: str, root: str = "main") -> int:
        """Bytes on the stack when a function is entered from `root` by the deepest way, return addresses included."""
        depth = self._depths_to(name, root)
        if depth is None:
            raise UnboundedStackError(f"{self._elf}: {root} does not lead to {name}")
        return depth

    def _depths_to(self, name: str, root: str) -> int | None:
        if root == name:
            return RETURN
        self.need(root)
        walk = _Walk()
        self._follow(self.by_name[root], walk)
        found = [
            depth + below if instruction.name in _CALLS else depth - RETURN + below
            for instruction in self.by_name[root].code
            for depth, _ in [walk.depths.get(instruction.address, (0, None))]
            for callee in self._callees(self.by_name[root], instruction)
            if (below := self._depths_to(name, callee)) is not None
        ]
        return max(found, default=None)

    def _callees(self, function: Function, instruction: Instruction) -> Iterator[str]:
        """Yield what an instruction calls, or goes to for good."""
        if instruction.name in ("icall", "eicall"):
            yield from self._pointed(function)
        elif _leads_elsewhere(function, instruction):
            yield self._at(function, instruction.target or 0)
        if instruction is function.code[-1] and instruction.name not in _LEAVES:
            yield self._after[function.name.partition("+")[0]]

    def _at(self, function: Function, address: int) -> str:
        """Name what starts at an address; a way into the middle of a function is a function of its own."""
        if address not in self._by_start:
            around = next((f for f in self.functions if f.holds(address)), None)
            if around is None:
                raise UnboundedStackError(f"{function.name} leads to 0x{address:x}, where there is no code")
            inner = Function(f"{around.name}+0x{address - around.start:x}", around.code, address)
            self._by_start[address] = self.by_name[inner.name] = inner
        return self._by_start[address].name

    def _pointed(self, function: Function) -> set[str]:
        """Functions whose address `function` or what leads to it loads, and those in the tables of constants that it names."""
        found = {name for each in self._leading_to(function) for name in self._loaded(each)}
        loaded = {word for low, high in pairwise(function.code) for word in _loaded_words(low, high)}
        for table, names in self._tables.items():
            found |= names if loaded & set(table) else set()
        if not found:
            raise UnboundedStackError(f"{function.name} calls through a pointer, and nothing says what that points to")
        return found

    def _leading_to(self, function: Function) -> list[Function]:
        """Return `function`, its callers, theirs, and so on."""
        found = [function]
        for each in found:
            found += [f for f in self.functions if f not in found and any(i.target == each.start for i in f.code)]
        return found

    def _loaded(self, function: Function) -> Iterator[str]:
        for low, high in pairwise(function.code):
            if low.name == "ldi":
                yield from (self._pointable[2 * word] for word in _loaded_words(low, high) if 2 * word in self._pointable)

    @cached_property
    def _pointable(self) -> dict[int, str]:
        """Names of the functions that a pointer may point to, by address; the way from reset to main is none."""
        functions = {symbol.address for symbol in read_image(self._elf).symbols if symbol.kind == "STT_FUNC"}
        return {start: function.name for start, function in self._by_start.items() if start in functions}

    @cached_property
    def _tables(self) -> dict[range, set[str]]:
        """Addresses of constants that hold addresses of functions, and the functions; the model's hold none."""
        elffile = importlib.import_module("elftools.elf.elffile")
        with self._elf.open("rb") as file:
            parsed = elffile.ELFFile(file)
            where = ".rodata" if parsed.get_section_by_name(".rodata") is not None else ".data"  # as the chip maps its flash
            section = parsed.get_section_by_name(where)
            content, base = (section.data(), section["sh_addr"] & 0xFFFF) if section is not None else (b"", 0)
        found: dict[range, set[str]] = {}
        for table in read_image(self._elf).symbols:
            if table.section == where and table.source not in ("", "model.c"):
                raw = content[table.address - base :][: table.size]
                words = {2 * int.from_bytes(raw[at : at + 2], "little") for at in range(len(raw) - 1)}
                names = {self._pointable[word] for word in words if word in self._pointable}
                found |= {range(table.address, table.address + table.size): names} if names else {}
        return found

    def _follow(self, function: Function, walk: _Walk) -> None:
        """Walk a function's instructions by every way; those after a computed jump find the stack as it left it."""
        at = {instruction.address: n for n, instruction in enumerate(function.code)}
        pending: list[tuple[int, int, int | None]] = [(function.start, RETURN, None)]
        after_jump: tuple[int, int | None] | None = None
        while pending:
            address, depth, frame = pending.pop()
            if address in walk.depths:
                if walk.depths[address][0] != depth:
                    raise UnboundedStackError(f"{function.name}: the stack at 0x{address:x} depends on the way there")
                continue
            walk.depths[address] = (depth, frame)
            n = at[address]
            instruction = function.code[n]
            depth, frame = self._step(function, instruction, walk, depth, frame)
            if instruction.name == "ijmp":
                after_jump = (depth, frame)
            pending += [(place, depth, frame) for place in _next(function, n) if place in at]
            if not pending and after_jump is not None:
                left = [i.address for i in function.code if i.address not in walk.depths]
                pending += [(left[0], *after_jump)] if left else []

    def _step(
        self, function: Function, instruction: Instruction, walk: _Walk, depth: int, frame: int | None
    ) -> tuple[int, int | None]:
        """Say where the stack is after one instruction."""
        name, operands = instruction.name, instruction.operands
        for callee in self._callees(function, instruction):
            below = depth if name in _CALLS else depth - RETURN
            walk.deepest = max(walk.deepest, below + self.need(callee))
            if name in _CALLS:
                depth += self._left[callee]
        if name == "push":
            depth += 1
        elif name == "pop":
            depth -= 1
        elif name == "rcall" and instruction.target == instruction.address + 2:
            depth += RETURN  # room on the stack, the short way
        elif name == "in" and operands[1] == _SPL and operands[0] == "r28":
            frame = depth
        elif name == "out" and operands[0] == _SPL:
            if operands[1] != "r28" or frame is None:
                raise UnboundedStackError(
                    f"{function.name}: sets the stack pointer at 0x{instruction.address:x} from {operands[1]}"
                )
            depth = frame
        elif frame is not None and operands[:1] in (("r28",), ("r29",)):
            frame = _moved(name, operands, frame)
        walk.deepest = max(walk.deepest, depth)
        return depth, frame


def _left_behind(function: Function, walk: _Walk) -> int:
    """Bytes that a function leaves on the stack: one that takes its return address off, saves registers, and jumps back."""
    depths = [depth for depth, _ in walk.depths.values()]
    jumps = [walk.depths[i.address][0] for i in function.code if i.name == "ijmp" and i.address in walk.depths]
    return max(jumps) if jumps and min(depths) <= 0 else 0


def _leads_elsewhere(function: Function, instruction: Instruction) -> bool:
    """Whether an instruction calls a function, or goes to another one for good."""
    if instruction.target is None or instruction.target == instruction.address + 2:
        return False
    return instruction.name in _CALLS or not function.holds(instruction.target)


def _loaded_words(low: Instruction, high: Instruction) -> Iterator[int]:
    """Yield the 16-bit number that two instructions in a row load or, by subtracting its complement, add; if any."""
    names = (low.name, high.name)
    if names not in (("ldi", "ldi"), ("subi", "sbci")) or int(high.operands[0][1:]) != int(low.operands[0][1:]) + 1:
        return
    word = int(high.operands[1], 16) << 8 | int(low.operands[1], 16)
    yield word if names[0] == "ldi" else -word & 0xFFFF


def _moved(name: str, operands: tuple[str, ...], frame: int) -> int | None:
    """Say what Y stands for after an instruction on it; None when it is something else."""
    if name in ("in", "out") or (name, *operands) == ("sbc", "r29", "r1"):  # r1 is zero in compiled code
        return frame
    if name in ("sbiw", "adiw"):
        return frame + int(operands[1], 16) * (1 if name == "sbiw" else -1)
    if name == "subi" and operands[0] == "r28":
        return frame + int(operands[1], 16)
    if name == "sbci" and operands[0] == "r29":
        moved = frame + (int(operands[1], 16) << 8)
        return moved - 0x10000 if moved > 0x8000 else moved
    return None


def _next(function: Function, n: int) -> Iterable[int]:
    """Addresses in the function to which instruction `n` may lead."""
    instruction = function.code[n]
    name = instruction.name
    following = [each.address for each in function.code[n + 1 : n + 3]]
    if name in _LEAVES:
        return [instruction.target] if instruction.target is not None else []
    if name in _SKIPS:
        return following
    if name.startswith("br") and instruction.target is not None:
        return [*following[:1], instruction.target]
    return following[:1]
