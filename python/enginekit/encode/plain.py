"""The kernels of eng/infer_s8.h and eng/tensor_s8.h as they are, on weights as they are: what every step can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnsupportedError
from engine.program import DenseParams, Params, Step
from enginekit.c_text import array, comment, wrapped
from enginekit.costs import Table
from enginekit.costs.formulas import count
from enginekit.costs.samples import Samples
from enginekit.encode.candidate import Candidate, Context, Data, Place, StepText
from enginekit.records import ELEMENTS, MAX_ARRAY, TENSOR_PARAMS, arrays, avr_size, c_name, initializer, split

#: What a kernel reads and writes, where it is not int8.
_X_TYPES = {
    **dict.fromkeys(("quantize_f32_s8", "quantize_f32_u8"), "float"),
    **dict.fromkeys(("requantize_u8_s8", "dequantize_u8_f32"), "uint8_t"),
}
_Y_TYPES = {
    **dict.fromkeys(("dequantize_s8_f32", "dequantize_u8_f32"), "float"),
    **dict.fromkeys(("requantize_s8_u8", "quantize_f32_u8"), "uint8_t"),
    "argmax_s8": "int32_t",
}
#: Samples whose cycles are counted at once, for the memory that their sums take.
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class _Part:
    """One call of a step: all of it, or some output rows of a dense layer."""

    params: Params
    w: NDArray[np.int8] | None
    bias: NDArray[np.int32] | None
    y_offset: int
    suffix: str


@dataclass(frozen=True, eq=False)
class Plain(Candidate):
    """A step's own kernel; a dense layer too large for one array is several calls.

    Parameters
    ----------
    step : Step
    x_range : (int, int)
        Lowest and highest code that it can read.
    table : Table
        Of costs.
    """

    step: Step
    x_range: tuple[int, int]
    table: Table

    @property
    def encoding(self) -> str:
        """Name for people."""
        return "plain"

    @property
    def data(self) -> Data:
        """Bytes of constants."""
        step = self.step
        tables = sum(len(values) * ELEMENTS[name][0] for name, values in arrays(step.params))
        weights, bias = (0 if array is None else array.nbytes for array in (step.w, step.bias))
        return Data(weights, bias, tables, avr_size(type(step.params)) * len(split(step)))

    @property
    def ram(self) -> int:
        """Bytes of constants that are not read by the functions of eng/flash.h."""
        step = self.step
        return self.data.params + (step.w.nbytes if step.w is not None and step.bias is None else 0)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Functions that are called."""
        return (f"eng_{self.step.kernel}",)

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted."""
        return self.step.scratch_size

    @property
    def ends(self) -> tuple[str, ...]:
        """Functions that end the step."""
        return self.symbols * len(split(self.step))

    @property
    def cycles(self) -> float | None:
        """Cycles of the slowest input, see :mod:`enginekit.costs.formulas`."""
        return self._priced(Samples(*self.x_range))

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step."""
        parts = [samples[at : at + _AT_ONCE] for at in range(0, len(samples), _AT_ONCE)]
        means = [self._priced(self._samples(part)) for part in parts]
        known = [mean for mean in means if mean is not None]
        if not known or len(known) < len(means):
            return None
        return sum(mean * len(part) for mean, part in zip(known, parts, strict=True)) / len(samples)

    def _samples(self, inputs: NDArray[Any]) -> Samples:
        x, x2 = np.split(inputs, [self.step.x_size], axis=1)
        return Samples(*self.x_range, x, x2 if self.step.x2 is not None else None)

    def _priced(self, samples: Samples) -> float | None:
        total = 0.0
        for part in _parts(self.step):
            bill = count(replace(self.step, params=part.params, w=part.w, bias=part.bias), samples)
            cycles = None if bill is None else self.table.priced(bill)
            if cycles is None:
                return None
            total += cycles
        return total

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare `symbols`."""
        return ("eng/tensor_s8.h",) if isinstance(self.step.params, TENSOR_PARAMS) else ()

    def emit(self, at: Place) -> StepText:
        """Write definitions and calls.

        Raises
        ------
        UnsupportedError
            If an array exceeds what avr-gcc can hold and the step is not a dense layer, whose rows are split.
        """
        step, prefix = at.step, at.prefix
        parts = _parts(step)
        bound = f", |accumulator| <= {step.acc_bound}" if step.acc_bound else ""
        title = f"/* {comment(step.name)}: {step.kernel}{bound} */"
        data = [_data(part, f"{prefix}_", step) for part in parts]
        return StepText("\n".join([title, *data]), [_call(step, part, prefix) for part in parts])


def plain(context: Context) -> Iterator[Candidate]:
    """Give a step's own kernel: an :data:`~enginekit.encode.candidate.Encoder`."""
    yield Plain(context.step, context.x_range, context.table)


def _parts(step: Step) -> list[_Part]:
    rows = split(step)
    if len(rows) < 2:
        return [_Part(step.params, step.w, step.bias, step.y_offset, "")]
    return [_rows(step, part, str(index)) for index, part in enumerate(rows)]


def _rows(step: Step, rows: range, suffix: str) -> _Part:
    """Cut some output rows out of a dense layer: rows are independent, so the results are the same."""
    params = step.params
    assert isinstance(params, DenseParams)
    assert step.w is not None
    assert step.bias is not None
    chosen = slice(rows.start, rows.stop)
    rescale = params.rescale[chosen] if params.rescale_step else params.rescale
    w = step.w.reshape(params.out, params.in_)[chosen]
    return _Part(replace(params, out=len(rows), rescale=rescale), w, step.bias[chosen], step.y_offset + rows.start, suffix)


def _data(part: _Part, prefix: str, step: Step) -> str:
    """Define weights, biases, tables and params of one part."""
    lines, pointers = [], {}
    for kind, values in (("w", part.w), ("bias", part.bias)):
        if values is not None:
            texts = [str(value) for value in values.ravel().tolist()]
            flash = part.bias is not None  # a constant second input is read as activations are
            lines.append(_array(f"{prefix}{kind}{part.suffix}", f"{values.dtype.name}_t", texts, step, flash=flash))
    for kind, records in arrays(part.params):
        pointers[kind] = f"{prefix}{kind}{part.suffix}"
        texts = [initializer(item, {}) if kind in ("rescale", "ratio") else str(item) for item in records]
        lines.append(_array(pointers[kind], ELEMENTS[kind][1], texts, step))
    record = initializer(part.params, pointers)
    lines.append(f"static const {c_name(type(part.params))} {prefix}params{part.suffix} =\n    {record};")
    return "\n".join(lines)


def _array(name: str, c_type: str, texts: list[str], step: Step, *, flash: bool = True) -> str:
    size = len(texts) * {"int8_t": 1, "int32_t": 4, "eng_rescale": 6, "eng_ratio": 8}[c_type]
    if size > MAX_ARRAY:
        raise UnsupportedError(
            f"layer {step.name!r} ({step.kernel}): array {name} has {size} bytes; avr-gcc takes at most {MAX_ARRAY}, "
            "and only the rows of dense layers are split"
        )
    return array(f"static const {c_type} {'ENG_FLASH ' if flash else ''}{name}", texts)


def _call(step: Step, part: _Part, prefix: str) -> str:
    x_type, y_type = _X_TYPES.get(step.kernel, "int8_t"), _Y_TYPES.get(step.kernel, "int8_t")
    arguments = [f"&{prefix}_params{part.suffix}", f"(const {x_type} *)(arena + {step.x_offset}u)"]
    if part.w is not None and part.bias is None:  # a constant second input
        arguments.append(f"{prefix}_w{part.suffix}")
    elif step.x2 is not None:
        arguments.append(f"(const int8_t *)(arena + {step.x2_offset}u)")
    elif part.w is not None:
        arguments += [f"{prefix}_w{part.suffix}", f"{prefix}_bias{part.suffix}"]
    arguments.append(f"({y_type} *)(arena + {part.y_offset}u)")
    if step.scratch_size:
        arguments.append(f"arena + {step.scratch_offset}u")
    return wrapped(f"    eng_{step.kernel}(", arguments, ");")
