"""Small dense layers as instructions: every weight that is not zero is an LDI.

The layer's sums are written as one function in the model's C. Off the chip, ``eng_dense_sparse1_s24`` is its twin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enginekit import costs
from enginekit.c_text import array, braces, comment
from enginekit.encode.assembly import code_bytes, indented, inline, straight_cycles
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.grid import Grid
from enginekit.encode.sparse import dense_sparse

#: Most weights that are written as instructions: some ten bytes each.
MOST_WEIGHTS = 200
#: Registers of sums: those that need not be saved first.
_FREE, _SAVED = (18, 19, 24, 25), (*range(2, 18), 28, 29)
#: Registers of an input, a weight and zero.
_X, _W, _ZERO = 20, 21, 23
#: Furthest that ADIW and SBIW go.
_FAR = 63


@dataclass(frozen=True, eq=False)
class DenseCode(Candidate):
    """One dense layer whose sums are instructions.

    Parameters
    ----------
    grid : Grid
    symbol : str
        Name of the code.
    """

    grid: Grid
    symbol: str

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "weights as instructions"

    @property
    def data(self) -> Data:
        """Bytes of constants; the code counts as the weights."""
        return Data(code_bytes(self.assembly()), 0, self.grid.requant.tables, self.grid.requant.params)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return (self.symbol, self.grid.requant.symbol)

    @property
    def own_stack(self) -> int:
        """Bytes of stack."""
        return max(2 + len(self._saved), costs.load().deepest([self.grid.requant.symbol]))

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare what is called."""
        return ("eng/encodings.h", "eng/encodings_sparse.h", *self.grid.requant.headers)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted, for the sums."""
        return 3 * len(self.grid.codes)

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest input: all take the same but in the requantization."""
        last = self.grid.requant.cycles
        return None if last is None else straight_cycles(self._lines()) + last

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        last = self.grid.requant.cycles_for(self.grid.sums(samples.reshape(len(samples), -1))) if len(samples) else None
        return None if last is None else straight_cycles(self._lines()) + float(last.mean())

    @property
    def _width(self) -> int:
        """Bytes of a sum: two if that is enough for every one of them, however the inputs are."""
        low, high = self.grid.spans()
        start = self.grid.start
        return 2 if (start + low).min() >= -(1 << 15) and (start + high).max() < 1 << 15 else 3

    @property
    def _at_once(self) -> int:
        """Rows whose sums fit the registers; with several blocks r25:r24 keep the inputs' address."""
        rows = len(self.grid.codes)
        most = (len(_FREE) + len(_SAVED)) // self._width
        return rows if rows <= most else (len(_FREE) - 2 + len(_SAVED)) // self._width

    @property
    def _registers(self) -> list[int]:
        several = len(self.grid.codes) > self._at_once
        pool = [*(_FREE[:2] if several else _FREE), *_SAVED]
        return pool[: self._width * self._at_once]

    @property
    def _saved(self) -> list[int]:
        return [n for n in self._registers if n in _SAVED]

    def assembly(self) -> str:
        """Write the code: a function of x and sums."""
        head = [
            f'    .section .text.{self.symbol}, "ax", @progbits',
            f"    .type   {self.symbol}, @function",
            f"{self.symbol}:",
        ]
        return "\n".join([*head, indented(self._lines()), f"    .size   {self.symbol}, . - {self.symbol}"]) + "\n"

    def _lines(self) -> list[str]:
        saved = self._saved
        lines = [*(f"push r{n}" for n in saved), "movw r26, r24", "movw r30, r22", f"ldi r{_ZERO}, 0"]
        for at in range(0, len(self.grid.codes), self._at_once):
            if at:
                lines.append("movw r26, r24")
            lines += self._block(slice(at, at + self._at_once))
        return [*lines, *(f"pop r{n}" for n in reversed(saved)), "clr r1", "ret"]

    def _block(self, rows: slice) -> list[str]:
        """Sum some rows and store their sums; X is at the first input, Z where the sums go."""
        codes, width = self.grid.codes[rows], self._width
        places = [self._registers[n * width : (n + 1) * width] for n in range(len(codes))]
        lines = [line for start, sums in zip(self.grid.start[rows], places, strict=True) for line in _load(int(start), sums)]
        passed = 0
        for column in codes.T.astype(np.int64):
            if not column.any():
                passed += 1
                continue
            lines += _forward(passed)
            passed = 0
            lines.append(f"ld r{_X}, X+")
            if self.grid.base:
                lines.append(f"subi r{_X}, {self.grid.base & 0xFF}")
            for size in sorted({abs(int(code)) for code in column if code}):
                lines += _products(size, column, places)
        return lines + [line for sums in places for line in _store(sums)]

    def emit(self, at: Place) -> StepText:
        """Write the code for AVR, for others the records of its portable twin, and the calls."""
        step, prefix = at.step, at.prefix
        twin = dense_sparse(self.grid, slice(None), block=1)
        arguments = "const int8_t *x, uint8_t *sum"
        tables = [array(f"static const uint8_t {prefix}_{kind}", map(str, v.ravel())) for kind, v in twin.arrays().items()]
        record = braces([f"{prefix}_w", f"{prefix}_start", len(twin.start), twin.base])
        lines = [
            f"/* {comment(step.name)}: {step.kernel}, {self.encoding}, |accumulator| <= {step.acc_bound} */",
            "#ifdef __AVR__",
            f"void {self.symbol}({arguments});",
            *inline(self.assembly()),
            "#else",
            *tables,
            f"static const eng_dense_sparse {prefix}_sums = {record};",
            f"static void {self.symbol}({arguments})",
            "{",
            f"    eng_dense_sparse1_s24(&{prefix}_sums, x, sum);",
            "}",
            "#endif",
            *self.grid.requant.emit(prefix),
        ]
        x = f"(const int8_t *)(arena + {step.x_offset}u)"
        calls = [f"    {self.symbol}({x}, arena + {at.scratch}u);", self.grid.requant.call(prefix, at.scratch, step.y_offset)]
        return StepText("\n".join(lines), calls)


def _load(number: int, sums: list[int]) -> list[str]:
    """Load a number into registers."""
    parts = [(number >> shift) & 0xFF for shift in range(0, 8 * len(sums), 8)]
    lines = []
    for part, register in zip(parts, sums, strict=True):
        if part == 0:
            lines.append(f"mov r{register}, r{_ZERO}")
        elif register >= 16:
            lines.append(f"ldi r{register}, {part}")
        else:
            lines += [f"ldi r{_W}, {part}", f"mov r{register}, r{_W}"]
    return lines


def _forward(inputs: int) -> list[str]:
    """Pass inputs without weights by."""
    whole, rest = divmod(inputs, _FAR)
    return [f"adiw r26, {_FAR}"] * whole + ([f"adiw r26, {rest}"] if rest else [])


def _products(size: int, column: NDArray[np.int64], places: list[list[int]]) -> list[str]:
    """Add an input's product with weights of one magnitude to the sums that have such weights."""
    lines = [] if size == 1 else [f"ldi r{_W}, {size}", f"mul r{_X}, r{_W}"]
    product = (_X, _ZERO, _ZERO) if size == 1 else (0, 1, _ZERO)
    for code, sums in zip(column.tolist(), places, strict=True):
        if abs(code) == size:
            first, more = ("add", "adc") if code > 0 else ("sub", "sbc")
            names = [first, *[more] * (len(sums) - 1)]
            lines += [f"{name} r{into}, r{part}" for name, into, part in zip(names, sums, product, strict=False)]
    return lines


def _store(sums: list[int]) -> list[str]:
    """Store a sum as three bytes; the sign of one of two becomes the third."""
    lines = [f"st Z+, r{register}" for register in sums]
    sign = [] if len(sums) == 3 else [f"lsl r{sums[1]}", f"sbc r{_W}, r{_W}", f"st Z+, r{_W}"]
    return lines + sign


def dense_code_layers(context: Context, grid: Grid) -> Iterator[DenseCode]:
    """Give a layer of few weights as instructions."""
    if np.count_nonzero(grid.codes) <= MOST_WEIGHTS:
        yield DenseCode(grid, f"eng_code_{context.step.name}")
