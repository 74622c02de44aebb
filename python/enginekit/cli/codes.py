"""Inputs of the verbs that run int8 models: from a file, from MNIST's test images, or drawn from a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError
from engine.model import Model
from enginekit import evaluate
from enginekit.cli.inputs import read_data


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs in a model's element type, [n, *input shape]; labels and gray pictures where the source has them; its name."""

    x: NDArray[Any]
    labels: NDArray[Any] | None
    pictures: NDArray[np.uint8] | None
    source: str


def get(model: Model, source: str | None, count: int | None, *, seed: int = 0) -> Inputs:
    """Get `count` inputs (all if None) from `source`.

    Parameters
    ----------
    model : Model
        With one int8 or float32 input.
    source : str or None
        As :func:`enginekit.cli.inputs.read_data` takes it; the test images of a source that has them. None draws random
        codes (one if `count` is None).
    count : int or None
    seed : int
        For random codes.

    Raises
    ------
    FormatError
        If the source has another shape or type than the model takes, or labels that are not one integer an input.
    """
    if source is None:
        return Inputs(_random(model, count or 1, seed), None, None, f"random codes, seed {seed}")
    data = read_data(source)
    x, y = (data.x, data.y) if data.test_x is None else (data.test_x, data.test_y)
    x = x[:count] if x.ndim else x
    codes = as_codes(model, x, source)
    if y is not None:
        y = y[:count]
        if y.shape != (len(codes),) or y.dtype.kind not in "iu":
            raise FormatError(
                f"{source}: labels are {y.dtype}{list(y.shape)}; expected one integer for each of {len(codes)} inputs"
            )
    pictures = x if x.dtype == np.uint8 and x.ndim == 3 else None
    return Inputs(codes, y, pictures, data.source)


def as_codes(model: Model, x: NDArray[Any], name: str) -> NDArray[Any]:
    """Give `x` the model's element type and input shape with a batch in front.

    int8 is taken as codes, uint8 as pixels that stand for 0 to 1, floating point as real values. One input may come
    without a batch dimension.
    """
    shape = model.input.shape[1:]
    size = int(np.prod(shape))
    one = x.shape in {shape, (size,)}
    if not one and (x.ndim < 2 or not len(x) or x.size != len(x) * size):
        raise FormatError(f"{name}: shape {x.shape}; the model takes [n, {', '.join(map(str, shape))}]")
    if x.dtype.kind == "f":
        if not np.isfinite(x).all():
            raise FormatError(f"{name}: holds NaN or infinity")
    elif x.dtype not in (np.int8, np.uint8):
        raise FormatError(f"{name}: element type {x.dtype}; expected int8 codes, uint8 pixels or floating point")
    x = x.reshape(-1, *shape)
    if x.dtype == np.int8 and model.input.dtype == np.int8:
        return np.ascontiguousarray(x)
    if x.dtype == np.int8:
        raise FormatError(
            f"{name}: int8 codes, but the model takes {model.input.dtype}; expected uint8 pixels or floating point"
        )
    return evaluate.codes(model, x)


def _random(model: Model, count: int, seed: int) -> NDArray[Any]:
    shape = (count, *model.input.shape[1:])
    generator = np.random.default_rng(seed)
    if model.input.dtype == np.int8:
        return generator.integers(-128, 128, shape, np.int8)
    return generator.uniform(0, 1, shape).astype(np.float32)
