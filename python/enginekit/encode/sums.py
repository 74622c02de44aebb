"""Dense layers as sums and their requantization: what every encoding of the sums' weights must say, and the layer's C."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enginekit.c_text import array, braces, comment, wrapped
from enginekit.encode.candidate import Candidate, Data, Place, StepText
from enginekit.encode.grid import Grid
from enginekit.encode.skipping import RunLimits, run_limits
from enginekit.records import MAX_ARRAY

#: Bytes on AVR of eng_runs, and inputs of one entry of a table of runs.
_RUNS_BYTES, _LONGEST = 7, 255
#: Blocks that a record can count.
_MOST_BLOCKS = 255


class DenseSums(ABC):
    """Weights of a dense layer, or of some of its outputs, as a kernel reads them that writes 24-bit sums."""

    @property
    @abstractmethod
    def encoding(self) -> str:
        """Name for people."""

    @property
    @abstractmethod
    def symbol(self) -> str:
        """Function that computes the sums."""

    @property
    @abstractmethod
    def record(self) -> tuple[str, str, int]:
        """The function's params record: header, name in C, bytes on AVR."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """Sums that it writes, those beyond the layer's last output included."""

    @property
    def takes_runs(self) -> bool:
        """Whether it wants a table of runs, after the inputs."""
        return True

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Constants by the kind that names them: ``w``, ``start``, ..."""

    @abstractmethod
    def fields(self, names: Mapping[str, str]) -> list[object]:
        """Fields of the record, given the names of the constants."""

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Cycles (AVRxt) of the slowest input, of which nothing can be skipped."""

    @abstractmethod
    def cycles_for(self, x: NDArray[np.int8], *, skip: bool = True) -> NDArray[np.float64]:
        """Cycles for each of `x`, int8[n, in]; with a table of the runs that differ from base, or one of all inputs."""


_C_TYPES = {"uint8": "uint8_t", "int8": "int8_t", "uint16": "uint16_t"}


@dataclass(frozen=True, eq=False)
class SummedLayer(Candidate):
    """One dense layer: sums, then their requantization; where inputs are skipped, the search for them first.

    Parameters
    ----------
    parts : tuple of DenseSums
        All outputs in order, in parts that avr-gcc takes as one array.
    runs : RunLimits or None
        None where no search is made: every input is in a run, or the kernel looks for itself.
    grid : Grid
        What is encoded.
    """

    parts: tuple[DenseSums, ...]
    runs: RunLimits | None
    grid: Grid

    @property
    def encoding(self) -> str:
        """Name for people."""
        return self.parts[0].encoding + (", skipping zeros" if self.runs else "")

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        arrays = [part.arrays() for part in self.parts]
        weights, start = (sum(each[kind].nbytes for each in arrays if kind in each) for kind in ("w", "start"))
        tables = sum(values.nbytes for each in arrays for values in each.values()) - weights - start
        tables += len(self._all_inputs) + self.grid.requant.tables
        params = sum(part.record[2] for part in self.parts) + self.grid.requant.params
        return Data(weights, start, tables, params + (_RUNS_BYTES if self.runs else 0))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        search = ("eng_runs_s8",) if self.runs else ()
        return (*search, self.parts[0].symbol, self.grid.requant.symbol)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare them."""
        return ("eng/encodings.h", self.parts[0].record[0], *self.grid.requant.headers)

    @property
    def sum_size(self) -> int:
        """Bytes of the sums."""
        return 3 * sum(part.slots for part in self.parts)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return self.sum_size + (self.runs.table if self.runs else 0)

    @property
    def _all_inputs(self) -> list[int]:
        """Table of runs of all inputs; empty if none is wanted."""
        size = self.grid.codes.shape[1]
        cuts = range(0, size, _LONGEST) if self.parts[0].takes_runs else []
        pairs = [(0, min(_LONGEST, size - cut)) for cut in cuts]
        return [len(pairs), *(value for pair in pairs for value in pair)] if pairs else []

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest inputs; None where they are not predicted."""
        last = self.grid.requant.cycles
        if last is None:
            return None
        return sum(part.cycles for part in self.parts) + round(self.runs.slowest if self.runs else 0) + last

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        x = samples.reshape(len(samples), -1)
        last = self.grid.requant.cycles_for(self.grid.sums(x)) if len(x) else None
        if last is None:
            return None
        skipped, search = np.zeros(len(x), bool), np.zeros(len(x))
        if self.runs is not None:
            skipped, search = (np.array(each) for each in zip(*map(self.runs.search, x), strict=True))
        cycles = np.zeros(len(x))
        for skip in (False, True):
            if (skipped == skip).any():
                cycles[skipped == skip] = sum(part.cycles_for(x[skipped == skip], skip=skip) for part in self.parts)
        return float((cycles + search + last).mean())

    def emit(self, at: Place) -> StepText:
        """Write definitions and calls."""
        step, prefix = at.step, at.prefix
        lines = [f"/* {comment(step.name)}: {step.kernel}, {self.encoding}, |accumulator| <= {step.acc_bound} */"]
        for number, part in enumerate(self.parts):
            lines += _definitions(part, prefix, number)
        if self._all_inputs:
            lines.append(array(f"static const uint8_t {prefix}_all", [str(value) for value in self._all_inputs]))
        if self.runs is not None:
            fields = [self.runs.size, self.runs.slack, self.runs.capacity, self.runs.gain, self.runs.zero_x]
            lines.append(f"static const eng_runs {prefix}_runs = {braces(fields)};")
        lines += self.grid.requant.emit(prefix)
        return StepText("\n".join(lines), self._calls(at))

    def _calls(self, at: Place) -> list[str]:
        x, sums, lines = f"(const int8_t *)(arena + {at.step.x_offset}u)", at.scratch, []
        runs = [f"{at.prefix}_all"] if self.parts[0].takes_runs else []
        if self.runs is not None:
            table = f"arena + {at.scratch + self.sum_size}u"
            search = f"eng_runs_s8(&{at.prefix}_runs, {x}, {table}) != 0"
            lines.append(f"    const uint8_t *const {at.prefix}_found =\n        {search} ? {table} : {at.prefix}_all;")
            runs = [f"{at.prefix}_found"]
        for number, part in enumerate(self.parts):
            arguments = [f"&{at.prefix}_sums{number}", x, *runs, f"arena + {sums}u"]
            lines.append(wrapped(f"    {part.symbol}(", arguments, ");"))
            sums += 3 * part.slots
        return [*lines, self.grid.requant.call(at.prefix, at.scratch, at.step.y_offset)]


def _definitions(part: DenseSums, prefix: str, number: int) -> list[str]:
    """Define a part's constants and its record."""
    lines, names = [], {}
    for kind, values in part.arrays().items():
        names[kind] = f"{prefix}_{kind}{number}"
        texts = [str(value) for value in values.ravel().tolist()]
        lines.append(array(f"static const {_C_TYPES[values.dtype.name]} {names[kind]}", texts))
    record = braces(part.fields(names))
    return [*lines, f"static const {part.record[1]} {prefix}_sums{number} = {record};"]


def row_slices(out: int, rows: int, block_bytes: int) -> list[slice]:
    """Cut outputs into slices of whole blocks that one array and one record hold; none if a block does not fit."""
    most = min(MAX_ARRAY // max(block_bytes, 1), _MOST_BLOCKS) * rows
    return [slice(at, min(at + most, out)) for at in range(0, out, most)] if most else []


def in_blocks(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """Cut rows into blocks, [blocks, rows, ...], with rows of zeros where the last is not full."""
    blocks = -(-len(values) // rows)
    padded = np.zeros((blocks * rows, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded.reshape(blocks, rows, *values.shape[1:])


def search_limits(grid: Grid, parts: tuple[DenseSums, ...]) -> RunLimits | None:
    """Limits of a search for runs of inputs, if they may be skipped and it is worth it."""
    size = grid.codes.shape[1]
    if not grid.skips:
        return None
    an_input = sum(part.cycles for part in parts) / size
    return run_limits(size, grid.base, input_cycles=an_input, run_input_cycles=an_input)
