"""Dense layers that multiply only what moved from a blank image's codes: ``eng_moved``, ``eng_dense_moved<R>_s24``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError
from engine.program import DenseParams
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.dense import DenseRows, dense_rows
from enginekit.encode.dense_requant import DenseRequant, dense_requant
from enginekit.records import MAX_ARRAY

#: Rows of a block that there are kernels for.
_ROWS = (5, 4, 3)
#: Most bytes that a cell's weights of a block may have, most cells, and runs that the table takes.
_CELL, _CELLS, _RUNS = 255, 255, 40
#: Layers of fewer inputs are not worth a search.
_LEAST_INPUTS = 128
#: Bytes on AVR of eng_dense_rows and eng_moved.
_ROWS_BYTES, _MOVED_BYTES = 9, 6
#: Cycles of eng_dense_moved<R>_s24: call, block, its share a row, no run, run, cell, product, input that differs, less, or is
#: at rest.
_CALL, _BLOCK, _ROW, _NO_RUN, _RUN, _CELL_MOVED, _PRODUCT, _DIFFERS, _LESS, _AT_REST = 127, 56, 12, 2, 30, 4, 9, 11, 4, 15


class _Search(NamedTuple):
    """Cycles of eng_moved_s8: call, code at rest, input read, cell at rest, cell that moved, run, last cell if it moved."""

    call: int
    code: int
    input_: int
    rest: int
    moved: int
    run: int
    last: int


#: Longest cell whose codes at rest lie in registers; cycles of such cells and of others.
_SHORT = 14
_SHORT_SEARCH, _LONG_SEARCH = _Search(120, 3, 4, 8, 22, 7, -8), _Search(94, 0, 10, 9, 18, 3, -1)


@dataclass(frozen=True, eq=False)
class DenseMoved(Candidate):
    """One dense layer on ``eng_dense_rows<R>_s24``, and where its inputs are mostly at rest on ``eng_dense_moved<R>_s24``.

    Parameters
    ----------
    part : DenseRows
        All outputs.
    rest : int8[period]
    rest_sums : int64[blocks * rows]
        Sums at rest.
    limit : int
        Cells that may have moved.
    requant : DenseRequant
    w : int8[out, in]
    bias : int32[out]
    """

    part: DenseRows
    rest: NDArray[np.int8]
    rest_sums: NDArray[np.int64]
    limit: int
    requant: DenseRequant
    w: NDArray[np.int8]
    bias: NDArray[np.int32]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.w.shape[1]) // len(self.rest)

    @property
    def capacity(self) -> int:
        """Runs that the table takes."""
        return min(_RUNS, -(-self.cells // 2))

    @property
    def encoding(self) -> str:
        """Name for people."""
        return f"rows of {self.part.rows}, skipping what is at rest"

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        return Data(
            weights=self.part.w.nbytes,
            bias=2 * self.part.start.nbytes,
            tables=len(self.part.groups) + len(self.rest) + self.requant.tables,
            params=2 * _ROWS_BYTES + _MOVED_BYTES + self.requant.params,
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        rows = self.part.rows
        return ("eng_moved_s8", f"eng_dense_moved{rows}_s24", f"eng_dense_rows{rows}_s24", self.requant.symbol)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare them."""
        return ("eng/encodings.h", "eng/encodings_moved.h")

    @property
    def sum_size(self) -> int:
        """Bytes of the sums."""
        return 3 * self.part.blocks * self.part.rows

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return self.sum_size + 1 + 2 * self.capacity

    @property
    def search(self) -> _Search:
        """Cycles of the search."""
        return _SHORT_SEARCH if len(self.rest) <= _SHORT else _LONG_SEARCH

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest inputs that are thinkable: every cell differs in its last input, and the search is in vain.

        What is found instead takes no longer than all inputs: `limit` sees to that.
        """
        if self.requant.cycles is None:
            return None
        s, period = self.search, len(self.rest)
        moved = min(self.limit + 1, self.cells)
        found = s.call + s.code * period + self.cells * (s.input_ * period + s.rest) + moved * (s.moved - s.rest)
        return found + s.run * (self.capacity + 1) + self.part.cycles + self.requant.cycles

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        x = samples.reshape(len(samples), -1)
        last = self.requant.cycles_for(x.astype(np.int64) @ self.w.T.astype(np.int64) + self.bias)
        if not len(samples) or last is None:
            return None
        return float(np.mean([self.cycles_of(each) for each in x]) + last.mean())

    def cycles_of(self, x: NDArray[np.int8]) -> int:
        """Cycles of search and sums for one input ``int8[in]``, exactly unless the search is in vain, then within 10."""
        differences = x.reshape(self.cells, -1).astype(np.int64) - self.rest
        moved = (differences != 0).any(axis=1)
        opened = moved & ~np.concatenate([[False], moved[:-1]])
        over = (np.cumsum(moved) > self.limit) | (np.cumsum(opened) > self.capacity)
        seen = slice(0, int(over.argmax()) + 1 if over.any() else self.cells)
        first = np.where(moved, (differences != 0).argmax(axis=1) + 1, len(self.rest))[seen]
        s = self.search
        search = s.call + s.code * len(self.rest) + s.input_ * int(first.sum()) + s.run * int(opened[seen].sum())
        search += int(np.where(moved[seen], s.moved, s.rest).sum())
        if over.any():
            return search + self.part.cycles
        return search + s.last * int(moved[-1]) + self._moved_cycles(differences, int(moved.sum()), int(opened.sum()))

    def _moved_cycles(self, differences: NDArray[np.int64], cells: int, runs: int) -> int:
        rows, active = self.part.rows, differences[(differences != 0).any(axis=1)].ravel()
        inputs = int((active != 0).sum()) * (_PRODUCT * rows + _DIFFERS) + int((active < 0).sum()) * _LESS
        inputs += int((active == 0).sum()) * _AT_REST
        block = _BLOCK + _ROW * rows + (_RUN * runs or _NO_RUN) + _CELL_MOVED * cells + inputs
        return _CALL + self.part.blocks * block

    def emit(self, at: Place) -> StepText:
        """Write definitions and calls."""
        prefix, rows = at.prefix, self.part.rows
        bytes_at_rest = np.stack([(self.rest_sums >> shift) & 0xFF for shift in (0, 8, 16)], axis=1)
        tables: list[tuple[str, str, NDArray[Any]]] = [
            ("w", "int8_t", self.part.w),
            ("groups", "uint8_t", np.frombuffer(self.part.groups, np.uint8)),
            ("start", "uint8_t", self.part.start),
            ("rest_start", "uint8_t", bytes_at_rest),
            ("rest", "int8_t", self.rest),
        ]
        step = at.step
        lines = [f"/* {comment(step.name)}: {step.kernel} in blocks of {rows} rows, |accumulator| <= {step.acc_bound} */"]
        for kind, c_type, values in tables:
            lines.append(array(f"static const {c_type} {prefix}_{kind}", [str(value) for value in values.ravel().tolist()]))
        for name, start in (("rows", "start"), ("moving", "rest_start")):
            fields = [f"{prefix}_w", f"{prefix}_groups", f"{prefix}_{start}", self.part.blocks, self.w.shape[1]]
            lines.append(f"static const eng_dense_rows {prefix}_{name} = {braces(fields)};")
        fields = [f"{prefix}_rest", len(self.rest), self.cells, self.capacity, self.limit]
        lines += [f"static const eng_moved {prefix}_moved = {braces(fields)};", *self.requant.emit(prefix)]
        return StepText("\n".join(lines), self._calls(at))

    def _calls(self, at: Place) -> list[str]:
        prefix, rows = at.prefix, self.part.rows
        x, sums = f"(const int8_t *)(arena + {at.step.x_offset}u)", f"arena + {at.scratch}u"
        table = f"arena + {at.scratch + self.sum_size}u"
        moving = [f"&{prefix}_moving", f"&{prefix}_moved", x, table, sums]
        return [
            f"    if (eng_moved_s8(&{prefix}_moved, {x}, {table}) != 0) {{",
            wrapped(f"        eng_dense_moved{rows}_s24(", moving, ");"),
            "    } else {",
            f"        eng_dense_rows{rows}_s24(&{prefix}_rows, {x}, {sums});",
            "    }",
            self.requant.call(prefix, at.scratch, at.step.y_offset),
        ]


def dense_moved_layers(context: Context) -> Iterator[DenseMoved]:
    """Give a dense layer after a convolution in blocks of every size: an :data:`~enginekit.encode.candidate.Encoder`."""
    step, rest = context.step, context.rest
    if not isinstance(step.params, DenseParams) or rest is None or step.w is None or step.bias is None:
        return
    period, size, out = len(rest.codes), step.params.in_, step.params.out
    if size < _LEAST_INPUTS or size % period or not 2 <= size // period <= _CELLS:
        return
    w = step.w.reshape(out, size)
    x_range = np.tile(rest.low, size // period), np.tile(rest.high, size // period)
    requant = dense_requant(step, x_range, context.table)
    for rows in _ROWS:
        if requant is None or rows * period > _CELL or size * -(-out // rows) * rows > MAX_ARRAY:
            continue
        try:
            part = dense_rows(w, step.bias, rows, x_range=x_range)
        except QuantError:
            continue
        padded = np.zeros(part.blocks * rows, np.int64)
        padded[:out] = step.bias + w.astype(np.int64) @ np.tile(rest.codes, size // period).astype(np.int64)
        limit = _limit(part, size // period, period)
        yield DenseMoved(part, rest.codes, padded, limit, requant, w, step.bias)


def _limit(part: DenseRows, cells: int, period: int) -> int:
    """Cells that may have moved so that they never take longer than all inputs: all of them differ, and are less."""
    cell = period * (_PRODUCT * part.rows + _DIFFERS + _LESS) + _CELL_MOVED
    block = _BLOCK + _ROW * part.rows + _RUN * min(_RUNS, -(-cells // 2))
    return int(min(max((part.cycles - _CALL) // part.blocks - block, 0) // cell, cells))
