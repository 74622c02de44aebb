"""Layers with encoded weights: their data and their lines of C."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engine.program import DenseParams, Step
from enginekit.emit.text import array, braces, comment, wrapped
from enginekit.encode.choose import DenseEncoding
from enginekit.encode.conv import Conv3x3Pool2
from enginekit.encode.dense import DenseRows
from enginekit.records import initializer


def emit_dense(step: Step, layer: DenseEncoding, name: str) -> tuple[str, list[str]]:
    """Write definitions and calls of one layer; `name` is the prefix of the model's identifiers."""
    prefix = f"{name}_{step.name}"
    lines = [f"/* {comment(step.name)}: {step.kernel} in blocks of {layer.rows} rows, |accumulator| <= {step.acc_bound} */"]
    for number, part in enumerate(layer.parts):
        lines += _part_data(f"{prefix}_", part, number, skip=layer.runs is not None)
    lines += _requant_data(step, layer, prefix)
    if layer.runs is not None:
        limits = layer.runs
        fields = [step.x_size, limits.limit, limits.capacity, limits.sample_limit, limits.zero_x]
        lines.append(f"static const eng_runs {prefix}_runs = {braces(fields)};")
    return "\n".join(lines), _calls(step, layer, prefix)


def _numbers(values: Iterable[int] | NDArray[np.generic]) -> list[str]:
    return [str(value) for value in np.asarray(values).ravel().tolist()]


def _part_data(prefix: str, part: DenseRows, number: int, *, skip: bool) -> list[str]:
    tables: list[tuple[str, str, list[str]]] = [
        ("w", "int8_t", _numbers(part.w)),
        ("groups", "uint8_t", _numbers(list(part.groups))),
        ("start", "uint8_t", _numbers(part.start)),
    ]
    if skip:
        assert part.runs_start is not None
        tables.append(("skip_start", "uint8_t", _numbers(part.runs_start)))
    lines = [array(f"static const {c_type} {prefix}{kind}{number}", texts) for kind, c_type, texts in tables]
    names = {kind: f"{prefix}{kind}{number}" for kind, _, _ in tables}
    size = f"{part.blocks}, {part.w.shape[1]}"
    rows = f"{{{names['w']}, {names['groups']}, {names['start']}, {size}}}"
    lines.append(f"static const eng_dense_rows {prefix}rows{number} =\n    {rows};")
    if skip:
        rows = f"{{{names['w']}, {names['groups']}, {names['skip_start']}, {size}}}"
        lines.append(f"static const eng_dense_rows {prefix}skip{number} =\n    {rows};")
    return lines


def _requant_data(step: Step, layer: DenseEncoding, prefix: str) -> list[str]:
    params = step.params
    assert isinstance(params, DenseParams)
    if layer.steps is None:
        records = array(f"static const eng_rescale {prefix}_rescale", [initializer(r, {}) for r in params.rescale])
        fields = [f"{prefix}_rescale", params.out, params.rescale_step, initializer(params.y, {})]
        return [records, f"static const eng_requant_exact_s24 {prefix}_requant = {braces(fields)};"]
    records = array(f"static const eng_step {prefix}_steps", [f"{{{mult}u, {offset}u}}" for mult, offset in layer.steps.steps])
    fields = [f"{prefix}_steps", params.out, params.y.lo, params.y.hi, int(layer.steps.negative_is_lo)]
    return [records, f"static const eng_requant_s24 {prefix}_requant = {braces(fields)};"]


def _calls(step: Step, layer: DenseEncoding, prefix: str) -> list[str]:
    x, rows = f"(const int8_t *)(arena + {step.x_offset}u)", layer.rows
    plain, skipping, at, number, x_at = [], [], layer.sum_offset, 0, step.x_offset
    for segment in layer.segments:
        for part in segment:
            arguments = [f"&{prefix}_rows{number}", f"(const int8_t *)(arena + {x_at}u)", f"arena + {at}u"]
            plain.append(wrapped(f"    eng_dense_rows{rows}_s24(", arguments, ");"))
            if layer.runs is not None:
                arguments = [
                    f"&{prefix}_skip{number}",
                    x,
                    str(layer.runs.zero_x),
                    f"arena + {layer.table_offset}u",
                    f"arena + {at}u",
                ]
                skipping.append(wrapped(f"    eng_dense_runs{rows}_s24(", arguments, ");"))
            at += 3 * part.blocks * part.rows
            number += 1
        x_at += segment[0].w.shape[1]
    plain += _additions(step, layer)
    kernel = "eng_requant_single_s24_s8" if layer.steps is None else f"eng_requant{layer.steps.shift}_s24_s8"
    arguments = [f"&{prefix}_requant", f"arena + {layer.sum_offset}u", f"(int8_t *)(arena + {step.y_offset}u)"]
    last = wrapped(f"    {kernel}(", arguments, ");")
    if layer.runs is None:
        return [*plain, last]
    test = f"    if (eng_runs_s8(&{prefix}_runs, {x}, arena + {layer.table_offset}u) != 0) {{"
    return [test, *_indented(skipping), "    } else {", *_indented(plain), "    }", last]


def _additions(step: Step, layer: DenseEncoding) -> list[str]:
    """Add the sums of the later segments to those of the first."""
    assert isinstance(step.params, DenseParams)
    size, first = layer.sum_size // len(layer.segments), layer.sum_offset
    places = [first + size * number for number in range(1, len(layer.segments))]
    return [f"    eng_add_s24(arena + {first}u, arena + {at}u, {step.params.out}u);" for at in places]


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line.replace("\n", "\n    ") for line in lines]


def emit_conv(step: Step, layer: Conv3x3Pool2, name: str) -> tuple[str, list[str]]:
    """Write definitions and the call of one fused convolution and max pool."""
    prefix = f"{name}_{step.name}"
    records = array(f"static const eng_filter3x3 {prefix}_filters", [_filter(record.tolist()) for record in layer.filters])
    still = array(f"static const int8_t {prefix}_still", _numbers(layer.still))
    shape = [
        layer.in_w,
        layer.out_h,
        layer.out_w,
        len(layer.filters),
        layer.zero_x,
        int(layer.negative_is_lo),
        int(layer.shift32),
    ]
    params = f"static const eng_conv3x3_pool2 {prefix}_params = {braces([f'{prefix}_filters', f'{prefix}_still', *shape])};"
    title = f"/* {comment(step.name)}: {step.kernel}, 3x3 and 2x2 at once, |accumulator| <= {step.acc_bound} */"
    x, y = f"(const int8_t *)(arena + {step.x_offset}u)", f"(int8_t *)(arena + {step.y_offset}u)"
    call = wrapped("    eng_conv3x3_pool2_s8(", [f"&{prefix}_params", x, y], ");")
    return "\n".join([title, records, still, params]), [call]


def _filter(record: list[int]) -> str:
    """Write an eng_filter3x3 from its bytes."""
    weights = [value - 256 if value > 127 else value for value in record[:9]]
    fields = [weights, record[9:12], record[12:16], record[16:20]]
    return braces([*(braces(field) for field in fields), *record[20:]])
