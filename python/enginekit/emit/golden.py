"""Inputs for the self-test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.model import Model
from engine.program import QuantizeParams

#: Seed and number of the inputs that are made when none are given.
GOLDEN_SEED = 0
GOLDEN_COUNT = 2


class GoldenError(EngineError):
    """A golden input that does not fit the model."""


def default_golden(model: Model) -> list[NDArray[Any]]:
    """Make random inputs that use the whole range of codes, the same every time.

    Returns
    -------
    list of arrays
        Of the model input's dtype and shape, batch 1 included.
    """
    rng = np.random.default_rng(GOLDEN_SEED)
    return [_random_input(model, rng) for _ in range(GOLDEN_COUNT)]


def _random_input(model: Model, rng: np.random.Generator) -> NDArray[Any]:
    tensor = model.inputs[0]
    x: NDArray[Any] = rng.integers(-128, 128, tensor.shape)
    if tensor.dtype == np.uint8:
        x = x + 128
    elif tensor.dtype == np.float32:
        params = model.program.steps[0].params
        x = (x - params.zero) * np.float64(params.scale) if isinstance(params, QuantizeParams) else x / 128
    return x.astype(tensor.dtype)


def check_golden(model: Model, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return given inputs with batch 1.

    Raises
    ------
    GoldenError
        If one has another dtype or shape, or is not finite.
    """
    tensor = model.inputs[0]
    checked = []
    for index, given in enumerate(inputs):
        x = np.asarray(given)
        if x.dtype != tensor.dtype:
            raise GoldenError(f"golden input {index} is {x.dtype}; the model takes {tensor.dtype}")
        if x.shape not in (tensor.shape, tensor.shape[1:]):
            raise GoldenError(f"golden input {index} has shape {list(x.shape)}; the model takes {list(tensor.shape)}")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise GoldenError(f"golden input {index} has NaN or infinite values")
        checked.append(np.ascontiguousarray(x).reshape(tensor.shape))
    return checked
