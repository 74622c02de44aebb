"""Ranges of activations over calibration data, and the scale and zero point that a range gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import QuantError
from engine.network import Network
from enginekit.quantize.chain import forward, steps

#: Resolution of the histograms that percentiles are read from, relative to the full range.
BINS = 1 << 16


@dataclass(frozen=True)
class Range:
    """Real values that codes must cover, ``low <= 0 <= high``.

    Examples
    --------
    >>> Range(0.0, 1.0).scale_and_zero()
    (np.float32(0.003921569), -128)
    >>> Range(-1.0, 3.0).scale_and_zero()
    (np.float32(0.015686275), -64)
    """

    low: float
    high: float

    def scale_and_zero(self) -> tuple[np.float32, int]:
        """Give float32 scale and zero point in [-128, 127], as TensorFlow Lite's quantizer does.

        The scale is the range over 255; the zero point comes from the end of the range with the smaller rounding error and
        is rounded, so that real 0 has a code of its own.
        """
        scale = (self.high - self.low) / 255
        from_low, from_high = -128 - self.low / scale, 127 - self.high / scale
        low_is_better = 128 + abs(self.low / scale) < 127 + abs(self.high / scale)
        nudged = _round(from_low if low_is_better else from_high)
        return np.float32(scale), min(max(nudged, -128), 127)


def make_range(low: float, high: float) -> Range:
    """Make the range that covers `low`, `high` and 0.

    A range too narrow for a float32 scale, such as that of an activation that is always zero, becomes [0, 1]: code -128 is
    0 and stays so, and other values that might come later keep a meaning.

    >>> make_range(0.5, 2.0), make_range(0.0, 0.0)
    (Range(low=0.0, high=2.0), Range(low=0.0, high=1.0))
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if (high - low) / 255 < float(np.finfo(np.float32).tiny):
        return Range(0.0, 1.0)
    return Range(low, high)


def check_data(network: Network, data: ArrayLike) -> NDArray[np.float32]:
    """Return calibration data as float32[count, *input_shape].

    Raises
    ------
    QuantError
        If it is empty, of another shape, not of floating point, or not finite.
    """
    x = np.asarray(data)
    expected = ", ".join(["count", *map(str, network.input_shape)])
    if x.dtype.kind != "f":
        raise QuantError(
            f"calibration data is {x.dtype}; expected floating point, as the network was trained on (images: divide by 255)"
        )
    if x.shape[1:] != network.input_shape:
        raise QuantError(f"calibration data has shape {list(x.shape)}; network {network.name!r} needs [{expected}]")
    if x.shape[0] == 0:
        raise QuantError(f"calibration data is empty; network {network.name!r} needs [{expected}] with at least one input")
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(x).all():
        first = int(np.argwhere(~np.isfinite(x))[0][0])
        raise QuantError(f"calibration data: input {first} has NaN, infinite or too large values; remove or repair it")
    return x


def ranges(network: Network, x: NDArray[np.float32], percentile: float | None) -> list[Range]:
    """Give the range of the input and of every step's output.

    Parameters
    ----------
    network : Network
        Fused (:func:`enginekit.quantize.chain.fuse`).
    x : float32[count, *input_shape]
        As :func:`check_data` returns it.
    percentile : float or None
        None: from minimum to maximum. Otherwise in (50, 100]: the share of values, in percent, that may not lie above the
        range, and the same below it. The input keeps minimum and maximum, since it is data and not an activation.

    Raises
    ------
    QuantError
        If a layer's output is not finite.
    """
    lows, highs = _extremes(network, x)
    if percentile is not None:
        lows, highs = _cut(network, x, lows, highs, percentile / 100)
    return [make_range(low, high) for low, high in zip(lows, highs, strict=True)]


def _extremes(network: Network, x: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    count = len(steps(network)) + 1
    lows, highs = [math.inf] * count, [-math.inf] * count
    for outputs in forward(network, x):
        for i, y in enumerate(outputs):
            lows[i], highs[i] = min(lows[i], float(y.min())), max(highs[i], float(y.max()))
    return lows, highs


def _cut(
    network: Network, x: NDArray[np.float32], lows: list[float], highs: list[float], share: float
) -> tuple[list[float], list[float]]:
    """Narrow the extremes of all but the input to the quantiles 1 - `share` and `share`, read from histograms."""
    counts = np.zeros((len(lows), BINS), np.int64)
    for outputs in forward(network, x):
        for i, y in enumerate(outputs[1:], start=1):
            counts[i] += np.histogram(y, bins=BINS, range=_nonempty(lows[i], highs[i]))[0]
    new_lows, new_highs = [lows[0]], [highs[0]]
    for i in range(1, len(lows)):
        edges = np.linspace(*_nonempty(lows[i], highs[i]), BINS + 1)
        below = np.cumsum(counts[i])
        ranks = (math.ceil(round(float(below[-1]) * part, 6)) for part in (1 - share, share))
        first, last = (int(np.searchsorted(below, rank)) for rank in ranks)
        new_lows.append(max(lows[i], float(edges[min(first, BINS - 1)])))
        new_highs.append(min(highs[i], float(edges[min(last, BINS - 1) + 1])))
    return new_lows, new_highs


def _nonempty(low: float, high: float) -> tuple[float, float]:
    """Give a range that histograms accept, also where all values are equal."""
    return (low, high) if high > low else (low, low + max(1.0, abs(low)))


def _round(value: float) -> int:
    """Round to nearest, ties away from zero.

    >>> _round(2.5), _round(-2.5), _round(-2.4)
    (3, -3, -2)
    """
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
