"""What every encoding of a convolution starts from: folded biases, ranges of sums, patches of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engine.program import Conv2DMaxPool2DParams, Conv2DParams, Rescale, Step, Window
from enginekit.encode.groups import product_range

#: A window of one tap: no pool.
_ALONE = (1, 1, 1, 1, 1, 1, 0, 0)


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution and the max pool over it, if there is one.

    Parameters
    ----------
    params : Conv2DParams
    pool : Window or None
    w : int8[out_c, kernel_h, kernel_w, in_c]
    bias : int64[out_c]
        With the input's zero point folded in: padding then holds the zero point, as a code.
    x_range : (int, int)
        Lowest and highest code of a tap, padding included.
    """

    params: Conv2DParams
    pool: Window | None
    w: NDArray[np.int8]
    bias: NDArray[np.int64]
    x_range: tuple[int, int]

    @property
    def window(self) -> Window:
        """The convolution's."""
        return self.params.window

    @cached_property
    def pooling(self) -> Window:
        """The pool, or one that takes every position alone."""
        size = self.window.out_h, self.window.out_w
        return self.pool or Window(*size, *size, *_ALONE)

    @property
    def rescale(self) -> tuple[Rescale, ...]:
        """One record a channel."""
        return self.params.rescale if self.params.rescale_step else self.params.rescale * self.params.out_c

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Weights by filter, int64[out_c, taps]."""
        return self.w.reshape(len(self.w), -1).astype(np.int64)

    @property
    def taps(self) -> int:
        """Taps of a filter."""
        return int(self.rows.shape[1])

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Lowest and highest sum of each channel, whatever the input."""
        low, high = (self.bias + side.sum(1) for side in product_range(self.w.reshape(len(self.w), -1), self.x_range))
        return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]

    @property
    def bound(self) -> int:
        """Largest magnitude of a sum."""
        return max(max(-low, high) for low, high in self.spans)

    @property
    def padded(self) -> bool:
        """Whether some tap is outside the image."""
        v = self.window
        ends = (v.out_h - 1) * v.stride_h + (v.kernel_h - 1) * v.dilation_h - v.pad_top, v.in_h
        sides = (v.out_w - 1) * v.stride_w + (v.kernel_w - 1) * v.dilation_w - v.pad_left, v.in_w
        return bool(v.pad_top or v.pad_left) or ends[0] >= ends[1] or sides[0] >= sides[1]

    def patches(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Unroll one input, ``int8[in_h * in_w * in_c]``, to ``int8[conv_h, conv_w, taps]``, padding filled in."""
        v = self.window
        image = x.reshape(v.in_h, v.in_w, self.params.in_c)
        reach = (v.kernel_h - 1) * v.dilation_h + 1, (v.kernel_w - 1) * v.dilation_w + 1
        after = [
            max((n - 1) * s + r - p - size, 0)
            for n, s, r, p, size in zip(
                (v.out_h, v.out_w), (v.stride_h, v.stride_w), reach, (v.pad_top, v.pad_left), image.shape[:2], strict=True
            )
        ]
        margin = ((v.pad_top, after[0]), (v.pad_left, after[1]), (0, 0))
        filled = np.pad(image, margin, constant_values=self.params.zero_x)
        taps = sliding_window_view(filled, reach, axis=(0, 1))[
            :: v.stride_h, :: v.stride_w, :, :: v.dilation_h, :: v.dilation_w
        ]
        found = taps[: v.out_h, : v.out_w].transpose(0, 1, 3, 4, 2)
        return np.ascontiguousarray(found).reshape(v.out_h, v.out_w, -1)


def convolution_of(step: Step, x_range: tuple[int, int]) -> Convolution | None:
    """Take a step apart, if it is a convolution that is not depthwise.

    Parameters
    ----------
    step : Step
    x_range : (int, int)
        Lowest and highest code that it reads.

    Returns
    -------
    Convolution or None
    """
    fused = step.params if isinstance(step.params, Conv2DMaxPool2DParams) else None
    params = step.params if fused is None else fused.conv
    if step.kernel not in ("conv2d_s8", "conv2d_max_pool2d_s8") or not isinstance(params, Conv2DParams):
        return None
    pool = None if fused is None else fused.pool
    assert step.w is not None
    assert step.bias is not None
    v = params.window
    w = step.w.reshape(params.out_c, v.kernel_h, v.kernel_w, params.in_c)
    bias = step.bias.astype(np.int64) - params.zero_x * w.astype(np.int64).sum((1, 2, 3))
    found = Convolution(params, pool, w, bias, x_range)
    if not found.padded:
        return found
    return Convolution(params, pool, w, bias, (min(x_range[0], params.zero_x), max(x_range[1], params.zero_x)))
