"""What a convolution's map holds where its input is blank, and the range of each of its channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.program import Conv2DMaxPool2DParams, Conv2DParams, Step
from enginekit.encode.groups import product_range
from enginekit.encode.steps import Rounding, exact_codes


@dataclass(frozen=True, eq=False)
class Rest:
    """Codes of the channels of a map.

    Parameters
    ----------
    codes : int8[channels]
        Where all taps of the convolution read the input's zero point.
    low, high : int64[channels]
        Proven range of each channel, whatever the input.
    """

    codes: NDArray[np.int8]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def rest_of(step: Step, zero_x: int) -> Rest | None:
    """Say what a step's output is at rest.

    Parameters
    ----------
    step : Step
        Any step.
    zero_x : int
        Zero point of its input.

    Returns
    -------
    Rest or None
        None if the step is no convolution, or its requantization could wrap.
    """
    params = step.params.conv if isinstance(step.params, Conv2DMaxPool2DParams) else step.params
    if not isinstance(params, Conv2DParams) or step.w is None or step.bias is None:
        return None
    w = step.w.reshape(params.out_c, -1)
    bias = step.bias.astype(np.int64)
    ends = -128 - params.zero_x, 127 - params.zero_x
    low, high = (side.sum(1) for side in product_range(w, ends))
    sums = np.stack([bias + low, bias + high, bias + (zero_x - params.zero_x) * w.astype(np.int64).sum(1)], axis=1)
    rescale = params.rescale if params.rescale_step else params.rescale * params.out_c
    if any(np.abs(row).max() << record.left >= 1 << 31 for row, record in zip(sums, rescale, strict=True)):
        return None
    exact = [exact_codes(row, record, Rounding.DOUBLE, params.y.zero) for row, record in zip(sums, rescale, strict=True)]
    codes = np.clip(np.array(exact), params.y.lo, params.y.hi)
    # Padding leaves out taps: it adds nothing, so that 0 belongs to the range of each tap.
    if params.window.pad_top or params.window.pad_left:
        codes[:, 0], codes[:, 1] = params.y.lo, params.y.hi
    return Rest(codes[:, 2].astype(np.int8), codes[:, 0], codes[:, 1])
