"""Writes the kernel cases as C: ``make_vectors.py OUT.c [--part I --parts N]``, and their names beside it as ``OUT.txt``.

With parts, the cases are dealt into N files of about equal size, for a chip whose flash does not hold them all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path

import kernel_cases
import numpy as np
from kernel_cases import Case

from engine.program import KERNELS

CANARY = 8
STRUCTS = {
    "DenseParams": "eng_dense_s8_params",
    "DenseWideParams": "eng_dense_wide_s8_params",
    "Conv2DParams": "eng_conv2d_s8_params",
    "Conv2DMaxPool2DParams": "eng_conv2d_max_pool2d_s8_params",
    "Pool2DParams": "eng_pool2d_s8_params",
    "RequantizeParams": "eng_requantize_s8_params",
    "SoftmaxParams": "eng_softmax_s8_params",
    "ArgmaxParams": "eng_argmax_s8_params",
    "QuantizeParams": "eng_quantize_params",
    "AddParams": "eng_add_s8_params",
    "MulParams": "eng_mul_s8_params",
    "MeanParams": "eng_mean_s8_params",
    "CopyParams": "eng_copy_s8_params",
    "PadParams": "eng_pad_s8_params",
    "LookupParams": "eng_lookup_s8_params",
}


def numbers(values: Iterable[int]) -> str:
    return ", ".join(str(int(v)) for v in values)


def field_text(name: str, value: object, case: str) -> str:
    """One member of a params struct; pointers refer to arrays of their own."""
    if name in {"rescale", "ratio", "table", "codes"} and isinstance(value, tuple):
        return f".{name} = {case}_{name}"
    if is_dataclass(value):
        return f".{name} = {{{members(value, case)}}}"
    text = f"{float(value).hex()}f" if isinstance(value, np.floating) else str(value)
    return f".{name.rstrip('_')} = {text}"


def members(params: object, case: str) -> str:
    return ", ".join(field_text(f.name, getattr(params, f.name), case) for f in fields(params))  # type: ignore[arg-type]


def pointed(params: object, case: str) -> list[str]:
    """Arrays that the params struct points to."""
    lines = []
    for f in fields(params):  # type: ignore[arg-type]
        value = getattr(params, f.name)
        if f.name == "table":
            lines.append(f"static const int32_t {case}_table[] = {{{numbers(value)}}};")
        elif f.name == "codes":
            lines.append(f"static const int8_t {case}_codes[] = {{{numbers(value)}}};")
        elif f.name == "rescale" and isinstance(value, tuple):
            rows = ", ".join(f"{{{r.mult}, {r.left}, {r.right}}}" for r in value)
            lines.append(f"static const eng_rescale {case}_rescale[] = {{{rows}}};")
        elif f.name == "ratio":
            rows = ", ".join(f"{{{r.low}u, {r.high}u}}" for r in value)
            lines.append(f"static const eng_ratio {case}_ratio[] = {{{rows}}};")
        elif is_dataclass(value):
            lines += pointed(value, case)
    return lines


def aligned(offset: int) -> int:
    return (offset + 3) // 4 * 4


def places(case: Case) -> tuple[int, int]:
    """Offsets of the second input (0 without) and of the output."""
    behind_x = aligned(CANARY + case.args[0].nbytes + CANARY)
    if len(case.args) != 2:
        return 0, behind_x
    return behind_x, aligned(behind_x + case.args[1].nbytes + CANARY)


def case_text(case: Case, index: int) -> tuple[list[str], str]:
    """Definitions of one case, and its row in the table."""
    c = f"c{index}"
    x, want = case.args[0].tobytes(), case.want.tobytes()
    struct = STRUCTS[type(case.params).__name__]
    lines = [*pointed(case.params, c), f"static const {struct} {c}_params = {{{members(case.params, c)}}};"]
    lines += [f"static const uint8_t {c}_x[] = {{{numbers(x)}}};", f"static const uint8_t {c}_want[] = {{{numbers(want)}}};"]
    w = bias = x2 = "NULL"
    if len(case.args) == 3:
        w, bias = f"{c}_w", f"{c}_bias"
        lines.append(f"static const int8_t {w}[] = {{{numbers(case.args[1].ravel())}}};")
        lines.append(f"static const int32_t {bias}[] = {{{numbers(case.args[2])}}};")
    if len(case.args) == 2:
        x2 = f"{c}_x2"
        lines.append(f"static const uint8_t {x2}[] = {{{numbers(case.args[1].tobytes())}}};")
    x2_at, y_at = places(case)
    layer = f"{{ENG_OP_{case.kernel.upper()}, &{c}_params, {w}, {bias}, {CANARY}, {x2_at}, {y_at}, 0}}"
    x2_size = f"sizeof {x2}" if len(case.args) == 2 else "0"
    row = f"    {{{layer}, {c}_x, {x2}, {c}_want, sizeof {c}_x, {x2_size}, sizeof {c}_want}},"
    return lines, row


def weight(case: Case) -> int:
    """Bytes of constants, roughly."""
    return (
        80
        + case.want.nbytes
        + sum(a.nbytes for a in case.args)
        + 4 * len(getattr(case.params, "table", ()))
        + len(getattr(case.params, "codes", ()))
    )


def deal(cases: list[Case], part: int, parts: int) -> list[Case]:
    """Largest first, each to the part that has least."""
    dealt: list[list[Case]] = [[] for _ in range(parts)]
    totals = [0] * parts
    for case in sorted(cases, key=weight, reverse=True):
        least = totals.index(min(totals))
        dealt[least].append(case)
        totals[least] += weight(case)
    return dealt[part]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    options = parser.parse_args(argv)
    cases = deal([c for kernel in KERNELS for c in kernel_cases.all_cases(kernel)], options.part, options.parts)
    blocks = [case_text(case, i) for i, case in enumerate(cases)]
    arena = max(places(c)[1] + c.want.nbytes + CANARY for c in cases)
    text = ["/* Generated by make_vectors.py. */", '#include "vectors.h"', *(line for lines, _ in blocks for line in lines)]
    text += ["const vector vectors[] = {", *(row for _, row in blocks), "};", f"const uint16_t vector_count = {len(cases)};"]
    options.out.write_text("\n".join([*text, ""]))
    options.out.with_suffix(".txt").write_text("".join(f"{case}\n" for case in cases))
    options.out.with_suffix(".arena").write_text(f"-DVECTORS_ARENA={arena}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
