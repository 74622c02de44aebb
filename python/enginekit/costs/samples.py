"""What is known of a step's inputs when its cycles are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs of one step.

    Parameters
    ----------
    low, high : int
        Lowest and highest code that it can read.
    x : int8[n, x_size], optional
        What it reads, bytes if it is no int8; without, all that can be.
    x2 : int8[n, x2_size], optional
        Its second input, if that is no constant.
    """

    low: int = -128
    high: int = 127
    x: NDArray[np.int8] | None = None
    x2: NDArray[np.int8] | None = None
