"""The formula of each kernel's cycles: what happens in a call, to be multiplied by the prices of a toolchain's table."""

from __future__ import annotations

from collections.abc import Callable

from engine.program import Step
from enginekit.costs import elementwise, floats, pools, sliding
from enginekit.costs.bill import Bill
from enginekit.costs.samples import Samples
from enginekit.costs.softmax import softmax

#: Counts what a step's kernel does; None for a step that it cannot say it of.
Formula = Callable[[Step, Samples], Bill | None]

#: Kernel, as steps name it -> formula.
FORMULAS: dict[str, Formula] = {
    "dense_s8": elementwise.dense,
    "dense_wide_s8": elementwise.dense_wide,
    "conv2d_s8": sliding.conv2d,
    "conv2d_max_pool2d_s8": sliding.conv2d_max_pool2d,
    "depthwise_conv2d_s8": sliding.depthwise,
    "max_pool2d_s8": pools.max_pool2d,
    "average_pool2d_s8": pools.average_pool2d,
    "add_s8": elementwise.add,
    "sub_s8": elementwise.add,
    "mul_s8": elementwise.mul,
    "mean_s8": pools.mean,
    "requantize_s8": elementwise.requantize,
    "requantize_u8_s8": elementwise.requantize,
    "requantize_s8_u8": elementwise.requantize,
    "copy_s8": elementwise.copy,
    "pad_s8": elementwise.pad,
    "lookup_s8": elementwise.lookup,
    "softmax_s8": softmax,
    "argmax_s8": elementwise.argmax,
    "quantize_f32_s8": floats.quantize,
    "quantize_f32_u8": floats.quantize,
    "dequantize_s8_f32": floats.dequantize,
    "dequantize_u8_f32": floats.dequantize,
}


def count(step: Step, samples: Samples) -> Bill | None:
    """Count what a step's kernel does; None if that cannot be said."""
    formula = FORMULAS.get(step.kernel)
    return None if formula is None else formula(step, samples)
