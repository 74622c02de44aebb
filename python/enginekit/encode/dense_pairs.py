"""Dense layers in pairs of rows, the kernel of fewest bytes: ``eng_dense_pairs``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import DenseParams
from enginekit.c_text import array, braces, comment, wrapped
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.encode.dense import SUM_BOUND, s24
from enginekit.encode.dense_requant import DenseRequant, dense_requants, sum_spans
from enginekit.records import MAX_ARRAY

#: Bytes on AVR of eng_dense_pairs, and pairs that it can count.
_PAIRS_BYTES, _MOST_PAIRS = 5, 255
#: Cycles of eng_dense_pairs_s24: call, pair, input of a pair.
_CALL, _PAIR, _INPUT = 50, 27, 24


@dataclass(frozen=True, eq=False)
class DensePairs(Candidate):
    """One dense layer on ``eng_dense_pairs_s24``.

    Parameters
    ----------
    w : int8[pairs, in, 2]
    bias : int64[pairs * 2]
        Less what `requant` counts from.
    out : int
    requant : DenseRequant
    """

    w: NDArray[np.int8]
    bias: NDArray[np.int64]
    out: int
    requant: DenseRequant

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "pairs of rows"

    @property
    def bytes(self) -> NDArray[np.uint8]:
        """What the kernel reads, uint8[pairs, 6 + 2 * in]."""
        start = s24(self.bias.reshape(-1, 2)).reshape(len(self.w), 6)
        return np.concatenate([start, self.w.reshape(len(self.w), -1).view(np.uint8)], axis=1)

    @property
    def _parts(self) -> list[slice]:
        """Pairs that one array and one record hold."""
        most = min(MAX_ARRAY // self.bytes.shape[1], _MOST_PAIRS)
        return [slice(at, min(at + most, len(self.w))) for at in range(0, len(self.w), most)]

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        params = _PAIRS_BYTES * len(self._parts) + self.requant.params
        return Data(self.w.nbytes, 6 * len(self.w), self.requant.tables, params)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return ("eng_dense_pairs_s24", self.requant.symbol)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare them."""
        return ("eng/encodings_dense.h", *self.requant.headers)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted: the sums."""
        return 6 * len(self.w)

    @property
    def _sums_cycles(self) -> int:
        return int(_CALL * len(self._parts) + len(self.w) * (_PAIR + _INPUT * self.w.shape[1]))

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest inputs; None with the exact rule."""
        last = self.requant.cycles
        return None if last is None else self._sums_cycles + last

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step; only requantization depends on them."""
        x = samples.reshape(len(samples), -1).astype(np.int64)
        rows = self.w.transpose(0, 2, 1).reshape(2 * len(self.w), -1)[: self.out].astype(np.int64)
        last = self.requant.cycles_for(x @ rows.T + self.bias[: self.out] + self.requant.start)
        return None if last is None or not len(x) else float(self._sums_cycles + last.mean())

    def emit(self, at: Place) -> StepText:
        """Write definitions and calls."""
        step, prefix, sums = at.step, at.prefix, at.scratch
        lines = [f"/* {comment(step.name)}: {step.kernel} in pairs of rows, |accumulator| <= {step.acc_bound} */"]
        calls, x = [], f"(const int8_t *)(arena + {step.x_offset}u)"
        for number, pairs in enumerate(self._parts):
            values = [str(byte) for byte in self.bytes[pairs].ravel().tolist()]
            lines.append(array(f"static const uint8_t {prefix}_w{number}", values))
            fields = [f"{prefix}_w{number}", self.w.shape[1], pairs.stop - pairs.start]
            lines.append(f"static const eng_dense_pairs {prefix}_pairs{number} = {braces(fields)};")
            calls.append(wrapped("    eng_dense_pairs_s24(", [f"&{prefix}_pairs{number}", x, f"arena + {sums}u"], ");"))
            sums += 6 * (pairs.stop - pairs.start)
        lines += self.requant.emit(prefix)
        return StepText("\n".join(lines), [*calls, self.requant.call(prefix, at.scratch, step.y_offset)])


def dense_pairs_layers(context: Context) -> Iterator[DensePairs]:
    """Give a dense layer in pairs of rows: an :data:`~enginekit.encode.candidate.Encoder`.

    None if a sum can leave 24 bits, or a pair of rows exceeds what an array can hold.
    """
    step = context.step
    params = step.params
    if not isinstance(params, DenseParams) or step.w is None or step.bias is None or 6 + 2 * params.in_ > MAX_ARRAY:
        return
    pairs = -(-params.out // 2)
    w = np.zeros((2 * pairs, params.in_), np.int8)
    w[: params.out] = step.w.reshape(params.out, params.in_)
    packed = np.ascontiguousarray(w.reshape(pairs, 2, -1).transpose(0, 2, 1))
    for requant in dense_requants(step, context.x_range, context.table):
        bias = np.zeros(2 * pairs, np.int64)
        bias[: params.out] = step.bias - requant.start
        if np.abs(sum_spans(w, bias, context.x_range)).max() < SUM_BOUND:
            yield DensePairs(packed, bias, params.out, requant)
