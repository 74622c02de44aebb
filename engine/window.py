"""Geometry of sliding windows: output sizes and padding, as TensorFlow Lite computes them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.graph import Conv2DOptions, Padding, Pool2DOptions
from engine.program import Window


def slide(size: int, kernel: int, stride: int, dilation: int, padding: Padding) -> tuple[int, int]:
    """Slide a window along one dimension.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Pixels, taps, and steps between positions and between taps; at least 1.
    padding : Padding

    Returns
    -------
    positions : int
        Output size; below 1 if the window is larger than the image and padding is VALID.
    before : int
        Pixels of padding before the image; SAME puts the odd one after it.

    Examples
    --------
    >>> slide(28, 3, 1, 1, Padding.VALID)
    (26, 0)
    >>> slide(5, 4, 2, 1, Padding.SAME)
    (3, 1)
    """
    reach = (kernel - 1) * dilation + 1
    if padding is Padding.VALID:
        return (size - reach) // stride + 1, 0
    positions = -(-size // stride)
    return positions, max((positions - 1) * stride + reach - size, 0) // 2


def window(in_h: int, in_w: int, kernel: tuple[int, int], options: Conv2DOptions | Pool2DOptions) -> Window:
    """Window of a convolution or pool over an image of `in_h` by `in_w` pixels; `kernel` is (height, width)."""
    dilation = (options.dilation_h, options.dilation_w) if isinstance(options, Conv2DOptions) else (1, 1)
    out_h, pad_top = slide(in_h, kernel[0], options.stride_h, dilation[0], options.padding)
    out_w, pad_left = slide(in_w, kernel[1], options.stride_w, dilation[1], options.padding)
    return Window(
        in_h, in_w, out_h, out_w, *kernel, options.stride_h, options.stride_w, *dilation, pad_top=pad_top, pad_left=pad_left
    )


def padded(w: Window) -> bool:
    """Whether any tap of any position lies outside the image."""
    return any(axis.outside() for axis in _axes(w))


def blind_position(w: Window) -> bool:
    """Whether some position has no tap inside the image, which happens with dilations larger than the image."""
    return any(axis.blind() for axis in _axes(w))


@dataclass(frozen=True)
class _Axis:
    size: int
    positions: int
    kernel: int
    stride: int
    dilation: int
    before: int

    def outside(self) -> bool:
        last = (self.positions - 1) * self.stride + (self.kernel - 1) * self.dilation - self.before
        return self.before > 0 or last >= self.size

    def blind(self) -> bool:
        for start in range(-self.before, -self.before + self.positions * self.stride, self.stride):
            first = max(0, -(start // self.dilation))  # first tap at or after pixel 0
            if first >= self.kernel or start + first * self.dilation >= self.size:
                return True
        return False


def _axes(w: Window) -> tuple[_Axis, _Axis]:
    return (
        _Axis(w.in_h, w.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top),
        _Axis(w.in_w, w.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left),
    )
