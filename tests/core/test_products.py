"""Fused convolution and pool, threads, and half precision: against the kernels and the arithmetic that they stand for."""

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32 as kernels
from engine import kernels_products as products
from engine.graph import Padding
from engine.program import Window
from engine.window import slide

#: image, kernel, stride, dilation, padding, pool, in_c, out_c, batch
POOLED = [
    ((28, 28), (3, 3), 1, 1, Padding.VALID, (2, 2), 1, 12, 3),
    ((9, 7), (3, 3), 1, 1, Padding.SAME, (2, 2), 1, 20, 18),
    ((8, 11), (2, 3), 1, 1, Padding.SAME, (2, 3), 3, 5, 35),
    ((12, 9), (3, 2), 2, 1, Padding.VALID, (1, 2), 2, 33, 2),
    ((13, 13), (3, 3), 1, 2, Padding.SAME, (3, 3), 2, 4, 17),
    ((5, 5), (5, 5), 1, 1, Padding.VALID, (1, 1), 4, 3, 2),
    ((6, 40), (3, 3), 1, 1, Padding.VALID, (2, 20), 1, 2, 1),
]


def make_window(image, kernel, stride, dilation, padding):
    (out_h, top), (out_w, left) = (slide(image[i], kernel[i], stride, dilation, padding) for i in range(2))
    return Window(*image, out_h, out_w, *kernel, stride, stride, dilation, dilation, top, left)


def pool_window(window, pool):
    return Window(window.out_h, window.out_w, window.out_h // pool[0], window.out_w // pool[1], *pool, *pool, 1, 1, 0, 0)


def values(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def pooled_case(spec, seed=0):
    image, kernel, stride, dilation, padding, pool, in_c, out_c, batch = spec
    rng = np.random.default_rng(seed)
    window = make_window(image, kernel, stride, dilation, padding)
    x, w, bias = values(rng, batch, *image, in_c), values(rng, out_c, *kernel, in_c), values(rng, out_c)
    dy = values(rng, batch, window.out_h // pool[0], window.out_w // pool[1], out_c)
    return window, pool, x, w, bias, dy


@pytest.mark.parametrize("limit", [np.inf, 0.5])
@pytest.mark.parametrize("spec", POOLED)
def test_fused_pool_equals_the_three_layers(spec, limit):
    window, pool, x, w, bias, dy = pooled_case(spec)
    y, winner = products.conv2d_max_pool2d_f32(window, pool, x, w, bias, limit=limit)
    conv = kernels.conv2d_f32(window, x, w, bias)
    want, index = kernels.max_pool2d_f32(pool_window(window, pool), conv)
    np.testing.assert_array_equal(y, kernels.relu_f32(want, limit=limit), err_msg=f"{spec}")
    dw, dbias, dx = np.zeros_like(w), np.zeros_like(bias), np.empty_like(x)
    products.conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner, dy, dw, dbias, limit=limit, dx=dx)
    dpooled = kernels.relu_f32_backward(y, dy, limit=limit)
    dconv = kernels.max_pool2d_f32_backward(pool_window(window, pool), index, dpooled)
    exact = {"dw": np.zeros_like(w), "dbias": np.zeros_like(bias), "dx": np.empty_like(x)}
    kernels.conv2d_f32_backward(window, x, w, dconv, exact["dw"], exact["dbias"], dx=exact["dx"])
    for name, got in (("dw", dw), ("dbias", dbias), ("dx", dx)):
        oracle.assert_close(got, exact[name].astype(float), 3e-5, f"{name} {spec}")


@pytest.mark.parametrize("spec", POOLED)
def test_fused_pool_adds_to_gradients_and_may_leave_dx_out(spec):
    window, pool, x, w, bias, dy = pooled_case(spec)
    y, winner = products.conv2d_max_pool2d_f32(window, pool, x, w, bias)
    first = np.ones_like(w), np.ones_like(bias)
    products.conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner, dy, *first)
    again = np.ones_like(w), np.ones_like(bias)
    products.conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner, dy, *again, dx=np.empty_like(x))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    zero = np.zeros_like(w), np.zeros_like(bias)
    products.conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner, dy, *zero)
    oracle.assert_close(first[0] - 1, zero[0].astype(float), 1e-4, f"dw {spec}")


def test_first_of_equals_and_first_nan_win():
    window, pool = make_window((4, 4), (1, 1), 1, 1, Padding.VALID), (2, 2)
    x = np.float32([[1, 1, 2, np.nan], [1, 0, np.nan, 3], [-1, -2, 0, 0], [-3, -1, 0, 0]])[None, :, :, None]
    one = np.ones((1, 1, 1, 1), np.float32)
    y, winner = products.conv2d_max_pool2d_f32(window, pool, x, one, np.zeros(1, np.float32))
    np.testing.assert_array_equal(y[0, :, :, 0], np.float32([[1, np.nan], [0, 0]]))
    np.testing.assert_array_equal(winner[0, :, :, 0], [[0, 1], [0, 0]])


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(threads):
    window, pool, x, w, bias, dy = pooled_case(((8, 9), (3, 3), 1, 1, Padding.SAME, (2, 2), 2, 5, 50))
    rng = np.random.default_rng(1)
    dconv = values(rng, 50, window.out_h, window.out_w, 5)
    inputs, weights, outputs = values(rng, 50, 77), values(rng, 13, 77), values(rng, 50, 13)

    def run(threads):
        results = []
        for conv, backward in (
            (products.conv2d_f32, products.conv2d_f32_backward),
            (products.conv2d_f16, products.conv2d_f16_backward),
        ):
            dw, dbias, dx = np.zeros_like(w), np.zeros_like(bias), np.empty_like(x)
            results.append(conv(window, x, w, bias, threads=threads))
            backward(window, x, w, dconv, dw, dbias, dx=dx, threads=threads)
            results += [dw, dbias, dx]
        y, winner = products.conv2d_max_pool2d_f32(window, pool, x, w, bias, threads=threads)
        dw, dbias, dx = np.zeros_like(w), np.zeros_like(bias), np.empty_like(x)
        products.conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner, dy, dw, dbias, dx=dx, threads=threads)
        results += [y, winner, dw, dbias, dx]
        dw, dbias, dx = np.zeros_like(weights), np.zeros(13, np.float32), np.empty_like(inputs)
        results.append(products.dense_f32(inputs, weights, np.ones(13, np.float32), threads=threads))
        products.dense_f32_backward(inputs, weights, outputs, dw, dbias, dx=dx, threads=threads)
        return [*results, dw, dbias, dx]

    for i, (got, want) in enumerate(zip(run(threads), run(1), strict=True)):
        np.testing.assert_array_equal(got, want, err_msg=f"result {i}")


def test_a_group_is_summed_by_itself():
    """Gradients of more than 16 samples are those of the groups, added in order."""
    rng = np.random.default_rng(2)
    window = make_window((6, 6), (3, 3), 1, 1, Padding.VALID)
    x, w, dy = values(rng, 40, 6, 6, 2), values(rng, 3, 3, 3, 2), values(rng, 40, 4, 4, 3)
    dw, dbias = np.zeros_like(w), np.zeros(3, np.float32)
    kernels.conv2d_f32_backward(window, x, w, dy, dw, dbias)
    want_dw, want_dbias = np.zeros_like(w), np.zeros(3, np.float32)
    for start in (0, 16, 32):
        group = np.zeros_like(w), np.zeros(3, np.float32)
        kernels.conv2d_f32_backward(window, x[start : start + 16], w, dy[start : start + 16], *group)
        want_dw, want_dbias = want_dw + group[0], want_dbias + group[1]
    np.testing.assert_array_equal(dw, want_dw)
    np.testing.assert_array_equal(dbias, want_dbias)


def test_rounding_is_that_of_numpy():
    rng = np.random.default_rng(3)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = halves[np.isfinite(halves)]
    between = (finite[:-1].astype(float) + finite[1:]) / 2
    x = np.concatenate([halves, between.astype(np.float32), rng.integers(0, 2**32, 100_000, np.uint32).view(np.float32)])
    numbers = x[~np.isnan(x)]
    for sample in (x, np.nextafter(numbers, np.float32(np.inf)), np.nextafter(numbers, np.float32(-np.inf))):
        with np.errstate(over="ignore"):
            want = sample.astype(np.float16).astype(np.float32)
        got = products.round_f16(sample)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def half_sum(start, left, right):
    """Sum products in half precision, in order: start float16[rows, cols], left [rows, steps], right [steps, cols]."""
    for step in range(left.shape[1]):
        start = start + left[:, step : step + 1] * right[step]
    return start


@pytest.mark.parametrize("size", [(1, 5, 3), (7, 33, 10), (20, 9, 40)])
def test_dense_in_half_precision_is_numpy_float16_in_order(size):
    batch, inputs, outputs = size
    rng = np.random.default_rng(4)
    shapes = {"x": (batch, inputs), "w": (outputs, inputs), "bias": (outputs,), "dy": (batch, outputs)}
    half = {name: rng.normal(0, 1, shape).astype(np.float16) for name, shape in shapes.items()}
    x, w, bias, dy = (half[name].astype(np.float32) for name in shapes)
    want = half_sum(np.broadcast_to(half["bias"], (batch, outputs)), half["x"], half["w"].T)
    np.testing.assert_array_equal(products.dense_f16(x, w, bias), want)
    dw, dbias, dx = np.zeros_like(w), np.zeros_like(bias), np.empty_like(x)
    products.dense_f16_backward(x, w, dy, dw, dbias, dx=dx)
    np.testing.assert_array_equal(dw, half_sum(np.zeros((outputs, inputs), np.float16), half["dy"].T, half["x"]))
    np.testing.assert_array_equal(dx, half_sum(np.zeros((batch, inputs), np.float16), half["dy"], half["w"]))
    ones = np.ones((1, batch), np.float16)
    np.testing.assert_array_equal(dbias, half_sum(np.zeros((1, outputs), np.float16), ones, half["dy"])[0])


def test_convolutions_in_half_precision_are_numpy_float16_in_order():
    rng = np.random.default_rng(5)
    window = make_window((5, 4), (2, 3), 1, 1, Padding.VALID)
    x, w, bias = (rng.normal(0, 1, shape).astype(np.float16) for shape in ((2, 5, 4, 3), (7, 2, 3, 3), (7,)))
    patches = np.stack([x[:, r : r + 2, q : q + 3].reshape(2, -1) for r in range(4) for q in range(2)], axis=1).reshape(16, -1)
    want = half_sum(np.broadcast_to(bias, (16, 7)), patches, w.reshape(7, -1).T).reshape(2, 4, 2, 7)
    arguments = [array.astype(np.float32) for array in (x, w, bias)]
    np.testing.assert_array_equal(products.conv2d_f16(window, *arguments), want)
    kernel, start = rng.normal(0, 1, (1, 2, 3, 3)).astype(np.float16), rng.normal(0, 1, 3).astype(np.float16)
    want = np.broadcast_to(start, (16, 3))
    for i in range(6):
        want = want + patches.reshape(16, 6, 3)[:, i] * kernel.reshape(6, 3)[i]
    got = products.depthwise_conv2d_f16(window, arguments[0], kernel.astype(np.float32), start.astype(np.float32))
    np.testing.assert_array_equal(got.reshape(16, 3), want)


def test_gather_copies_samples_and_checks_numbers():
    x = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    index = np.array([5, 0, 5], np.uint32)
    for threads in (1, 2):
        out = np.empty((3, 2, 2), np.float32)
        np.testing.assert_array_equal(products.gather_f32(index, x, out=out, threads=threads), x[index])
    with pytest.raises(ValueError, match=r"gather_f32: largest index is 6; expected 0 ... 5"):
        products.gather_f32(np.array([6], np.uint32), x, out=np.empty((1, 2, 2), np.float32))


def test_arguments_are_checked():
    window, pool, x, w, bias, dy = pooled_case(POOLED[0])
    y, winner = products.conv2d_max_pool2d_f32(window, pool, x, w, bias)
    with pytest.raises(ValueError, match=r"conv2d_max_pool2d_f32: height of pool is 27; expected 1 ... 26"):
        products.conv2d_max_pool2d_f32(window, (27, 1), x, w, bias)
    with pytest.raises(ValueError, match=r"size of pool is 260; expected 1 ... 256"):
        products.conv2d_max_pool2d_f32(window, (26, 10), x, w, bias)
    with pytest.raises(ValueError, match="limit is -1"):
        products.conv2d_max_pool2d_f32(window, pool, x, w, bias, limit=-1)
    with pytest.raises(ValueError, match="winner holds 4; expected positions below 4"):
        products.conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner * 0 + 4, dy, w.copy(), bias.copy())
    with pytest.raises(ValueError, match="threads is 0; expected at least 1"):
        products.dense_f32(np.ones((1, 2), np.float32), np.ones((3, 2), np.float32), np.ones(3, np.float32), threads=0)
