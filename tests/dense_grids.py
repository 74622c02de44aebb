"""Dense layers in units of their own, and inputs that drive their sums to the ends: what tests of encodings share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from random_graphs import Chain

from engine.graph import Activation
from engine.model import Model
from engine.program import OutputS8, Rescale
from enginekit.encode.dense_requant import DenseRequant
from enginekit.encode.grid import Grid


def grid_of(rng: np.random.Generator, codes: NDArray[np.int8], x_range: tuple[int, int]) -> Grid:
    """Codes of weights with starts at random."""
    start = rng.integers(-30000, 30000, len(codes)).astype(np.int64)
    requant = DenseRequant((Rescale(1 << 30, 0, 9),), OutputS8(0, -128, 127), len(codes), None)
    return Grid(codes, start, x_range[0], x_range[1] - x_range[0], True, requant)


def adversaries(rng: np.random.Generator, codes: NDArray[np.int8], x_range: tuple[int, int]) -> Iterator[NDArray[np.int8]]:
    """Random inputs, some at the lowest, ends of the range, and the ones that drive the first row's sum to its bounds."""
    low, high = x_range
    size = codes.shape[1]
    yield rng.integers(low, high + 1, size).astype(np.int8)
    some = np.repeat(rng.random(size // 5 + 1) < 0.3, 5)[:size]
    yield np.where(some, rng.integers(low, high + 1, size), low).astype(np.int8)
    yield np.full(size, low, np.int8)
    yield np.full(size, high, np.int8)
    yield np.where(codes[0] > 0, high, low).astype(np.int8)
    yield np.where(codes[0] > 0, low, high).astype(np.int8)


def runs_of(inside: NDArray[np.bool_]) -> list[int]:
    """Table of the runs of inputs that are `inside`, as ``eng_runs_s8`` writes it; gaps and runs may be of any length."""
    table, gap, at = [0], 0, 0
    while at < len(inside):
        if not inside[at]:
            gap, at = gap + 1, at + 1
            if gap <= 255:
                continue
            table += [255, 1]
            gap = 0
            continue
        length = 1
        while at + length < len(inside) and inside[at + length] and length < 255:
            length += 1
        table += [gap, length]
        gap, at = 0, at + length
    table[0] = len(table) // 2
    return table


def model_of(matrices: list[NDArray[np.int8]], *, zero: int = -128, activation: Activation = Activation.RELU) -> Model:
    """Make dense layers of given weights, whose outputs use most codes; all but the last with an activation."""
    chain = Chain((matrices[0].shape[1],), zero=zero, scale=1 / 255)
    for number, w in enumerate(matrices):
        last = number == len(matrices) - 1
        chain.dense(len(w), Activation.NONE if last else activation, -7 if last else -128)
        layer = chain.layers[-1]
        weights, y = layer.inputs[1], layer.outputs[0]
        spread = float(np.sqrt(np.mean(w.astype(np.float64) ** 2))) or 1.0
        chain.tensors[weights] = replace(chain.tensors[weights], data=w)
        chain.tensors[y] = replace(chain.tensors[y], scale=chain.tensors[y].scale * np.float32(spread / 73))
    return Model(chain.graph())


def some_inputs(model: Model, count: int, share: float = 0.2) -> NDArray[np.int8]:
    """Inputs int8[2 * count, in]: random ones, and as many of which only a share differs from the zero point, in runs."""
    rng = np.random.default_rng(5)
    size = model.input.shape[1]
    full = rng.integers(-128, 128, (count, size))
    inside = np.repeat(rng.random((count, size // 6 + 1)) < share, 6, axis=1)[:, :size]
    return np.concatenate([full, np.where(inside, full, model.input.zero_point)]).astype(np.int8)
