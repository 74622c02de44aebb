"""A model as a table for people."""

from __future__ import annotations

import math

from engine.graph import Graph, Tensor
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, DenseParams, DenseWideParams, Program, Step

_HEADER = ("step", "kernel", "input", "output", "parameters", "MACs", "bytes")


def macs(step: Step) -> int:
    """Multiply-adds of one step, padding included; a fused pool computes only the positions that it looks at."""
    params = step.params
    if isinstance(params, DenseParams):
        return params.in_ * params.out
    if isinstance(params, DenseWideParams):
        return params.rows * params.in_ * params.out
    conv = params.conv if isinstance(params, Conv2DMaxPool2DParams) else params
    if not isinstance(conv, Conv2DParams):
        return 0
    w = conv.window
    positions = w.out_h * w.out_w
    if isinstance(params, Conv2DMaxPool2DParams):
        pool = params.pool
        positions = _covered(pool.in_h, pool.out_h, pool.kernel_h, pool.stride_h, pool.pad_top) * _covered(
            pool.in_w, pool.out_w, pool.kernel_w, pool.stride_w, pool.pad_left
        )
    seen = 1 if step.kernel == "depthwise_conv2d_s8" else conv.in_c
    return positions * conv.out_c * w.kernel_h * w.kernel_w * seen


def _covered(size: int, positions: int, kernel: int, stride: int, before: int) -> int:
    """Pixels under windows that do not overlap: to the end of each or of the map, less from where it begins."""
    return _clipped_sum(kernel - before, stride, positions, size) + _clipped_sum(before, -stride, positions, 0)


def _clipped_sum(first: int, step: int, count: int, most: int) -> int:
    """Sum ``min(first + step * p, most)`` over p < count, in no more time for large counts: a garbled program can have any."""
    count = max(count, 0)
    if step < 0:
        first, step = first + step * (count - 1), -step
    if step == 0:
        return count * min(first, most)
    below = min(max(-(-(most - first) // step), 0), count)
    return below * first + step * below * (below - 1) // 2 + (count - below) * most


def constant_bytes(step: Step) -> int:
    """Bytes of weights, biases and rescale records (6 each on the chip, ratios in full 8) of one step."""
    conv = step.params.conv if isinstance(step.params, Conv2DMaxPool2DParams) else step.params
    records = len(conv.rescale) if isinstance(conv, DenseParams | Conv2DParams) else 0
    ratios = len(conv.ratio) if isinstance(conv, DenseWideParams) else 0
    weights = step.w.nbytes if step.w is not None else 0
    return weights + (step.bias.nbytes if step.bias is not None else 0) + 6 * records + 8 * ratios


def summarize(graph: Graph, program: Program) -> str:
    """Table of the steps, then totals and the arena."""
    rows = [_HEADER]
    for step in program.steps:
        parameters = sum(a.size for a in (step.w, step.bias) if a is not None)
        ends = _text(graph.tensors[step.x]), _text(graph.tensors[step.y])
        rows.append((step.name, step.kernel, *ends, f"{parameters:,}", f"{macs(step):,}", f"{constant_bytes(step):,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[4:], widths[4:], strict=True)]
        lines.append("  ".join([*left, *right]))
    lines.insert(1, "  ".join("-" * width for width in widths))
    total = sum(constant_bytes(step) for step in program.steps)
    work = sum(macs(step) for step in program.steps)
    lines.append(f"{work:,} MACs, {total:,} bytes of weights, biases and rescale records, arena {program.arena:,} bytes")
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        lines += [f"{what}: {_described(graph.tensors[i])}" for i in indices]
    return "\n".join(lines)


def _text(tensor: Tensor) -> str:
    return f"{tensor.dtype}[{', '.join(str(n) for n in tensor.shape[1:])}]"


def _described(tensor: Tensor) -> str:
    name = f"{tensor.name!r}, " if tensor.name else ""
    quantized = "" if tensor.scale is None else f", scale {float(tensor.scale[0]):.6g}, zero point {tensor.zero_point}"
    return f"{name}{_text(tensor)} ({math.prod(tensor.shape):,} values a sample){quantized}"
