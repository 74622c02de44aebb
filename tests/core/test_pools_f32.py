"""Max and average pool in float: forward against the oracle, backward against central differences of the oracle."""

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32 as kernels
from engine.graph import Padding
from engine.program import Window
from engine.window import slide

SAME, VALID = Padding.SAME, Padding.VALID

#: image, kernel, stride, padding, channels, batch
CASES = [
    ((1, 1), (1, 1), (1, 1), VALID, 1, 1),
    ((4, 6), (2, 2), (2, 2), VALID, 3, 2),
    ((5, 7), (2, 2), (2, 2), VALID, 4, 1),
    ((5, 7), (2, 2), (2, 2), SAME, 5, 2),
    ((5, 4), (3, 3), (1, 1), SAME, 2, 1),
    ((6, 5), (3, 2), (1, 2), VALID, 8, 1),
    ((7, 7), (2, 3), (3, 2), SAME, 9, 2),
    ((3, 3), (7, 7), (1, 1), SAME, 1, 1),
]


def case(spec):
    image, kernel, stride, padding, channels, batch = spec
    (out_h, top), (out_w, left) = (slide(image[i], kernel[i], stride[i], 1, padding) for i in range(2))
    window = Window(*image, out_h, out_w, *kernel, *stride, 1, 1, top, left)
    rng = np.random.default_rng(1)
    count = batch * image[0] * image[1] * channels
    # All values at least 1/64 apart, so that no central difference crosses a tie.
    x = (rng.permutation(count) - count // 2).reshape(batch, *image, channels).astype(np.float32) / 64
    return window, x, rng.uniform(-1, 1, (batch, out_h, out_w, channels)).astype(np.float32)


@pytest.mark.parametrize("spec", CASES)
def test_max_forward_is_exact_and_index_names_the_maximum(spec):
    window, x, _ = case(spec)
    y, index = kernels.max_pool2d_f32(window, x)
    np.testing.assert_array_equal(y, oracle.max_pool2d(window, x))
    pixels = x.reshape(len(x), -1, x.shape[3])
    picked = np.take_along_axis(pixels, index.reshape(len(x), -1, x.shape[3]).astype(int), axis=1)
    np.testing.assert_array_equal(picked.reshape(y.shape), y)


@pytest.mark.parametrize("spec", CASES)
def test_max_backward(spec):
    window, x, dy = case(spec)
    _, index = kernels.max_pool2d_f32(window, x)
    dx = np.full_like(x, np.nan)
    kernels.max_pool2d_f32_backward(window, index, dy, dx=dx)
    want = oracle.central_difference(lambda v: (oracle.max_pool2d(window, v) * dy).sum(), x.astype(float))
    taps = window.kernel_h * window.kernel_w
    oracle.assert_close(dx, want, taps * taps * oracle.EPS + 1e-8, f"max_pool2d_f32_backward {spec}")


def test_max_of_equals_is_the_first_and_nan_comes_through():
    window = Window(2, 2, 1, 1, 2, 2, 2, 2, 1, 1, 0, 0)
    y, index = kernels.max_pool2d_f32(window, np.float32([3, 5, 5, 5]).reshape(1, 2, 2, 1))
    assert (y.item(), index.item()) == (5, 1)
    y, index = kernels.max_pool2d_f32(window, np.float32([3, np.nan, 9, np.nan]).reshape(1, 2, 2, 1))
    assert np.isnan(y.item())
    assert index.item() == 1
    y, index = kernels.max_pool2d_f32(window, np.float32([np.nan, 1, 2, 3]).reshape(1, 2, 2, 1))
    assert np.isnan(y.item())
    assert index.item() == 0


@pytest.mark.parametrize("spec", CASES)
def test_average_forward(spec):
    window, x, _ = case(spec)
    taps = window.kernel_h * window.kernel_w
    tolerance = (taps + 2) * np.abs(x).max() * oracle.EPS * 2
    got = kernels.average_pool2d_f32(window, x)
    oracle.assert_close(got, oracle.average_pool2d(window, x), tolerance, f"average_pool2d_f32 {spec}")


@pytest.mark.parametrize("spec", CASES)
def test_average_backward(spec):
    window, x, dy = case(spec)
    dx = np.full_like(x, np.nan)
    kernels.average_pool2d_f32_backward(window, dy, dx=dx)
    want = oracle.central_difference(lambda v: (oracle.average_pool2d(window, v) * dy).sum(), x.astype(float))
    taps = window.kernel_h * window.kernel_w
    oracle.assert_close(dx, want, (taps + 2) * taps * oracle.EPS + 1e-8, f"average_pool2d_f32_backward {spec}")


def test_an_index_outside_the_image_is_refused():
    window, x, dy = case(CASES[1])
    index = np.full(dy.shape, x.shape[1] * x.shape[2], np.uint32)
    with pytest.raises(ValueError, match=r"max_pool2d_f32_backward: largest index is 24; expected 0 \.\.\. 23"):
        kernels.max_pool2d_f32_backward(window, index, dy)


def test_shapes_are_checked():
    window, x, dy = case(CASES[1])
    with pytest.raises(ValueError, match=r"average_pool2d_f32: x has shape \(2, 4, 5, 3\); expected \(any, 4, 6, any\)"):
        kernels.average_pool2d_f32(window, np.ascontiguousarray(x[:, :, :5]))
    with pytest.raises(TypeError, match="max_pool2d_f32_backward: index is an array of int64; expected uint32"):
        kernels.max_pool2d_f32_backward(window, np.zeros(dy.shape, np.int64), dy)
    with pytest.raises(ValueError, match="average_pool2d_f32_backward: dx has shape"):
        kernels.average_pool2d_f32_backward(window, dy, dx=np.empty_like(dy))
