"""Lossless encodings of weights for the kernels in csrc/include/eng/encodings.h, each with the proof that it needs."""

from enginekit.encode.conv import Conv3x3Pool2, conv3x3_pool2
from enginekit.encode.dense import DENSE_ROWS, DenseRows, dense_rows
from enginekit.encode.groups import group_lengths, row_headers
from enginekit.encode.steps import (
    Rounding,
    ShortSteps,
    WideSteps,
    same_steps,
    short_step,
    short_steps,
    thresholds,
    wide_step,
    wide_steps,
)

__all__ = [
    "DENSE_ROWS",
    "Conv3x3Pool2",
    "DenseRows",
    "Rounding",
    "ShortSteps",
    "WideSteps",
    "conv3x3_pool2",
    "dense_rows",
    "group_lengths",
    "row_headers",
    "same_steps",
    "short_step",
    "short_steps",
    "thresholds",
    "wide_step",
    "wide_steps",
]
