"""Weights and biases as integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError

#: Smallest rescale ratio scale_x * scale_w / scale_y that is used: weights that would need a finer scale move an output by
#: less than 255 * 2**-22 codes each. It keeps the bias, which counts in scale_x * scale_w, within int32.
MIN_RATIO = 2.0**-21
#: What sums of filters may span that are to fit 16 bits: the rest is for the rounding of nine weights and of places.
SUM_SPAN = (1 << 16) - 255 * 5 - 256
#: Codes beyond which an output is clamped whatever its zero point: 127 - (-128) + 1.
SPAN = 256
#: Most steps from zero of weights that are taken for compressed to 4 bits or fewer, and how far off a step one may be.
GRID_STEPS, _OFF_GRID = 8, 1e-4
#: Largest rescale ratio of such weights: it keeps the rounding of a bias below an eighth of an output's code.
_GRID_RATIO = 0.25
#: Most values of a layer that is taken for clustered.
CLUSTERS = 16
#: Weights of the smallest layer that is taken for compressed.
_FEWEST_COMPRESSED = 32


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """Codes of one layer: w int8[out, ...] in [-127, 127], scale float32[out] or float32[1], bias int32[out]."""

    w: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]


def quantize_weights(
    w: NDArray[np.float32],
    bias: NDArray[np.float32],
    scale_x: np.float32,
    scale_y: np.float32,
    *,
    per_channel: bool,
    where: str,
    least_scale: NDArray[np.float64] | None = None,
) -> QuantizedWeights:
    """Quantize weights symmetrically, and the bias in units of ``scale_x * scale_w``.

    The scale of a channel is ``max |w| / 127``, but at least what makes the rescale ratio ``MIN_RATIO``: a dead channel, all
    of whose weights are zero, gets that. Scales keep what compression has made, see :func:`compressed_scales`. A bias so large
    that it alone, against the worst input, clamps the output is cut to the smallest one that still does: the outputs are the
    same.

    Parameters
    ----------
    w : float32[out, ...]
    bias : float32[out]
    scale_x, scale_y : float32
        Scales of input and output.
    per_channel : bool
        One scale an output channel, or one for all.
    where : str
        Names the layer in errors.
    least_scale : float64[out], optional
        Scales that are taken where they are coarser, as of :func:`small_sum_scales`; with `per_channel` only.

    Raises
    ------
    QuantError
        If a scale is outside float32, or the bias outside int32.
    """
    rows = np.abs(w.reshape(len(w), -1).astype(np.float64))
    largest = rows.max(axis=1) if per_channel else rows.max(keepdims=True)[0]
    ratio = float(scale_y) / float(scale_x)
    scale = np.maximum(largest / 127, ratio * MIN_RATIO).astype(np.float32)
    kept = compressed_scales(w, ratio, per_channel=per_channel) if least_scale is None else None
    if kept is not None:
        scale = np.where(largest > 0, np.maximum(kept, ratio * MIN_RATIO), scale).astype(np.float32)
    if least_scale is not None:
        scale = np.maximum(scale, least_scale.astype(np.float32))
    tiny = float(np.finfo(np.float32).tiny)
    unit = float(scale_x) * scale.astype(np.float64)
    if not np.isfinite(scale).all() or unit.min() < tiny or float(scale.min()) < tiny:
        raise QuantError(
            f"{where}: weights up to {float(largest.max()):g} with an input scale of {float(scale_x):g} and an output scale of "
            f"{float(scale_y):g} have no float32 scale; rescale the network's weights or its input"
        )
    shape = (-1, *[1] * (w.ndim - 1))
    codes = np.clip(_round(w.astype(np.float64) / scale.astype(np.float64).reshape(shape)), -127, 127).astype(np.int8)
    reach = 255 * np.abs(codes.astype(np.int64)).reshape(len(w), -1).sum(axis=1) + np.ceil(SPAN * float(scale_y) / unit)
    bias_codes = np.clip(_round(bias.astype(np.float64) / unit), -reach, reach)
    if np.abs(bias_codes).max() > np.iinfo(np.int32).max:
        raise QuantError(f"{where}: bias of output {int(np.abs(bias_codes).argmax())} does not fit int32")
    return QuantizedWeights(codes, scale, bias_codes.astype(np.int32), unit.astype(np.float32))


def compressed_scales(w: NDArray[np.float32], ratio: float, *, per_channel: bool) -> NDArray[np.float64] | None:
    """Find scales with which compressed weights have codes that fit a smaller encoding, and lose nothing.

    Where the weights of every channel are whole steps, up to ``GRID_STEPS`` from zero, codes are those steps, or a multiple of
    them that keeps the bias precise. Where a layer has at most ``CLUSTERS`` values, its channels have one scale, so that
    it has as many codes.

    Parameters
    ----------
    w : float32[out, ...]
    ratio : float
        Scale of the output over that of the input.
    per_channel : bool
        One scale an output channel, or one for all.

    Returns
    -------
    float64[out], float64[1] or None
            None if the weights are neither, or few.

    Examples
    --------
    >>> compressed_scales(np.float32([[0.5, -1] * 9, [0.3, 0] * 9]), 1000.0, per_channel=True).round(3).tolist()
    [0.5, 0.3]
    """
    if w.size < _FEWEST_COMPRESSED:
        return None
    rows = np.abs(w.reshape(len(w) if per_channel else 1, -1).astype(np.float64))
    largest = rows.max(axis=1)
    steps = np.zeros(len(rows))
    for count in range(GRID_STEPS, 0, -1):
        places = rows * (count / np.where(largest > 0, largest, 1.0))[:, None]
        steps[(np.abs(places - np.rint(places)) < _OFF_GRID).all(axis=1)] = count
    if (steps > 0).all():
        finest = 127 // steps
        unit = largest / steps
        return np.asarray(unit / np.clip(np.ceil(unit / (ratio * _GRID_RATIO)), 1, finest))
    if per_channel and len(np.unique(w)) <= CLUSTERS:
        return np.full(len(w), largest.max() / 127)
    return None


def small_sum_scales(
    w: NDArray[np.float32], bias: NDArray[np.float32], scale_x: np.float32, zero_x: int, scale_y: np.float32
) -> NDArray[np.float64]:
    """Find scales with which sums span 16 bits and the rescale ratio is an 8-bit number over a power of two.

    The sum of a filter, bias included, and 0 then lie within an interval of ``SUM_SPAN``, whatever the input, and the ratio
    ``scale_x * scale_w / scale_y`` is ``k / 2**s`` with k up to 255 and one s in 14 to 16 for all. Where that is coarser than
    ``max |w| / 127`` the weights lose precision: filters of nine weights one to two bits.

    Parameters
    ----------
    w : float32[out, ...]
    bias : float32[out]
    scale_x, scale_y : float32
        Scales of input and output.
    zero_x : int
        Zero point of the input.

    Returns
    -------
    float64[out]
        Scales of weights; those of ``max |w| / 127`` where the ratio would need more than 8 bits.
    """
    rows = w.reshape(len(w), -1).astype(np.float64)
    ends = float(scale_x) * np.array([-128.0 - zero_x, 127.0 - zero_x])
    products = rows[:, :, None] * ends
    low, high = bias + products.min(axis=2).sum(axis=1), bias + products.max(axis=2).sum(axis=1)
    span = np.maximum(high, 0.0) - np.minimum(low, 0.0)
    least: NDArray[np.float64] = np.maximum(span / (float(scale_x) * SUM_SPAN), np.abs(rows).max(axis=1) / 127)
    unit = float(scale_y) / float(scale_x)
    for shift in (16, 15, 14):
        numbers = np.ceil(least / unit * 2.0**shift)
        if numbers.max() <= 255:
            return np.asarray(np.maximum(numbers, 1.0) * unit / 2.0**shift)
    return least


def _round(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to nearest, ties away from zero."""
    rounded: NDArray[np.float64] = np.copysign(np.floor(np.abs(values) + 0.5), values)
    return rounded
