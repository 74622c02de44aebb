"""Integer training kernels against the oracle: equal in every bit, on ragged and extreme data."""

import numpy as np
import pytest
import reference_int as oracle

from engine import kernels as inference
from engine import kernels_f32
from engine import kernels_train_int as kernels
from engine.graph import Padding, Pool2DOptions
from engine.program import OutputS8, Rescale
from engine.rescale import fixed_point
from engine.window import window as make_window

SIZES = [(1, 1, 1), (2, 3, 7), (3, 8, 9), (1, 13, 17), (5, 31, 2)]
FILLS = ["random", "least", "most", "alternating", "zero"]


def fill(kind, shape, lo, hi, dtype, seed=0):
    rng = np.random.default_rng(seed)
    made = {
        "random": lambda: rng.integers(lo, hi, shape, endpoint=True),
        "least": lambda: np.full(shape, lo),
        "most": lambda: np.full(shape, hi),
        "alternating": lambda: np.where(np.arange(np.prod(shape)).reshape(shape) % 2, lo, hi),
        "zero": lambda: np.zeros(shape),
    }
    return made[kind]().astype(dtype)


def same(got, want, what):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, what
    bad = np.argwhere(got != want)
    assert not len(bad), f"{what}: {len(bad)} differ, first at {bad[0]}: got {got[tuple(bad[0])]}, want {want[tuple(bad[0])]}"


def rngs(seed):
    state = kernels_f32.rng_seed(seed)
    return state, oracle.Rng(state)


def test_the_oracles_generator_is_the_cores():
    state, twin = rngs(7)
    assert [kernels_f32.rng_next(state) for _ in range(50)] == [twin.next() for _ in range(50)]


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SIZES)
@pytest.mark.parametrize("zero_x", [-128, 0, 127])
def test_dense_and_its_gradients(rows, inputs, outputs, zero_x, kind):
    x = fill(kind, (rows, inputs), -128, 127, np.int8)
    w = fill(kind, (outputs, inputs), kernels.MASTER_MIN, kernels.MASTER_MAX, np.int16, 1)
    bias = fill(kind, (outputs,), -(2**30), 2**30, np.int32, 2)
    h = fill(kind, (rows, outputs), -127, 127, np.int8, 3)
    where = f"dense_int {rows}x{inputs}->{outputs} {kind} zero_x {zero_x}"
    same(kernels.dense_int(x, w, bias, zero_x=zero_x), oracle.dense(x, zero_x, w, bias), where)
    same(kernels.dense_int_backward(h, w), h.astype(np.int64) @ oracle.codes(w), where)
    dw, dbias = np.full((outputs, inputs), 5, np.int32), np.full(outputs, -3, np.int32)
    kernels.dense_int_gradient(x, h, dw, dbias, zero_x=zero_x)
    same(dw, 5 + h.astype(np.int64).T @ (x.astype(np.int64) - zero_x), where)
    same(dbias, -3 + h.sum(axis=0, dtype=np.int64), where)


def test_the_largest_accumulator():
    x, w = np.full((1, 32767), -128, np.int8), np.full((1, 32767), kernels.MASTER_MIN, np.int16)
    bias = np.array([2**30], np.int32)
    same(kernels.dense_int(x, w, bias, zero_x=127), oracle.dense(x, 127, w, bias), "dense_int at its bound")


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("limit", [1, 2**7, 2**15, 2**22 - 1, 2**22, 2**31 - 1])
@pytest.mark.parametrize("mult", [128, 200, 255])
def test_errors(limit, mult, kind):
    dy = fill(kind, (3, 5), -limit, limit, np.int32)
    state, twin = rngs(limit % 1000 + mult)
    h, exponent = kernels.errors_int(dy, state, mult=mult)
    want, shift = oracle.errors(dy.astype(np.int64), mult, twin)
    same(h, want, f"errors_int {limit} {mult} {kind}")
    assert exponent == shift
    assert state.tolist() == twin.s


def test_errors_are_unbiased():
    """The mean over many draws is the gradient: within 5 deviations of a sum of roundings."""
    dy = np.array([32768, -32768, 100, -1, 3], np.int32)
    state, sums, count = kernels_f32.rng_seed(1), np.zeros(5), 20000
    for _ in range(count):
        h, exponent = kernels.errors_int(dy, state, mult=128)
        sums += h * 2.0**exponent
    assert np.all(np.abs(sums / count - dy * 128) <= 5 * 0.5 * 2.0**exponent / count**0.5)


@pytest.mark.parametrize("shift", [-3, 0, 1, 7, 8, 15, 16, 17, 20, 30, 47, 60])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SIZES)
def test_steps(rows, inputs, outputs, shift):
    seed = 100 * rows + shift
    x = fill("random", (rows, inputs), -128, 127, np.int8, seed)
    x[:, ::3] = -128
    h = fill("random", (rows, outputs), -127, 127, np.int8, seed + 1)
    h[:, ::4] = 0
    w = fill("random", (outputs, inputs), kernels.MASTER_MIN, kernels.MASTER_MAX, np.int16, seed + 2)
    bias = fill("random", (outputs,), -(2**30), 2**30, np.int32, seed + 3)
    dw, dbias = np.zeros(w.shape, np.int32), np.zeros_like(bias)
    kernels.dense_int_gradient(x, h, dw, dbias, zero_x=-128)
    for step, exponent in (((shift, 254, 0), 0), ((shift + 9, 128, 15), 9), ((shift, 200, -4), 0)):
        state, twin = rngs(abs(seed))
        want = oracle.sgd(step, exponent, twin, dw, dbias, w, bias)
        summed = w.copy(), bias.copy()
        kernels.sgd_int(step, exponent, state, dw, dbias, *summed)
        where = f"sgd_int {rows}x{inputs}->{outputs} step {step}"
        same(summed[0], want[0], where)
        same(summed[1], want[1], f"{where}: bias")
        assert state.tolist() == twin.s, where
        if rows == 1:
            fused, again = (w.copy(), bias.copy()), kernels_f32.rng_seed(abs(seed))
            kernels.dense_int_step(step, exponent, again, x[0], h[0], *fused, zero_x=-128)
            same(fused[0], summed[0], f"{where}: fused")
            same(fused[1], summed[1], f"{where}: fused bias")
            assert again.tolist() == state.tolist()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_steps_saturate(sign):
    """32767 rows of the largest errors and inputs: every sum at its bound."""
    rows = kernels.MOST_ROWS
    x, h = np.full((rows, 1), 127, np.int8), np.full((rows, 1), 127 * sign, np.int8)
    dw, dbias = np.zeros((1, 1), np.int32), np.zeros(1, np.int32)
    kernels.dense_int_gradient(x, h, dw, dbias, zero_x=-128)
    assert dw[0, 0] == sign * rows * 127 * 255
    for step in ((0, 255, 0), (16, 255, 14), (0, 255, 30)):
        w, bias = np.array([[sign * 100]], np.int16), np.array([-sign * (2**30 - 5)], np.int32)
        state, twin = rngs(3)
        want = oracle.sgd(step, 0, twin, dw, dbias, w, bias)
        kernels.sgd_int(step, 0, state, dw, dbias, w, bias)
        same(w, want[0], f"step {step}")
        same(bias, want[1], f"step {step}")


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("limit", [10, 1000, 10**6, 2**31 - 1])
def test_softmax_cross_entropy(limit, kind):
    acc = fill(kind, (6, 7), -limit, limit, np.int32)
    label = np.arange(6, dtype=np.uint16)
    for ratio in (0.999, 0.1, 1e-3, 1e-6):
        dy = np.empty_like(acc)
        loss = kernels.softmax_cross_entropy_int(acc, label, fixed_point(ratio), dy=dy)
        for i in range(len(acc)):
            want, gradient = oracle.softmax_cross_entropy(acc[i].tolist(), label[i], fixed_point(ratio))
            assert loss[i] == want, (limit, kind, ratio, i)
            same(dy[i], gradient, f"softmax_cross_entropy_int {limit} {kind} {ratio} row {i}")
        assert kernels.softmax_cross_entropy_int(acc, label, fixed_point(ratio)).tolist() == loss.tolist()


def test_softmax_cross_entropy_is_close_to_the_real_one():
    """1.1 % of an exponential (half a grain of z), and what 15 bits cut off of small ones."""
    logits = np.random.default_rng(0).normal(0, 3, (200, 10))
    ratio = 1 / 16
    acc = np.rint(logits * 64 / np.log(2) / ratio).astype(np.int32)
    label = np.random.default_rng(1).integers(0, 10, 200).astype(np.uint16)
    dy = np.empty_like(acc)
    loss = kernels.softmax_cross_entropy_int(acc, label, fixed_point(ratio), dy=dy) / 64 * np.log(2)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    want = p - np.eye(10)[label]
    assert np.abs(dy / 2**15 - want).max() < 0.012
    assert np.abs(loss + np.log(p[np.arange(200), label])).max() < 3 / 64


@pytest.mark.parametrize("kind", FILLS)
def test_mse(kind):
    y, target = fill(kind, (4, 5), -128, 127, np.int8), fill(kind, (4, 5), -128, 127, np.int8, 1)[::-1].copy()
    dy = np.empty((4, 5), np.int32)
    loss = kernels.mse_int(y, target, dy=dy)
    d = y.astype(np.int64) - target
    same(dy, d * 128, kind)
    same(loss, (d * d).sum(axis=1), kind)


def test_codes_are_those_of_inference():
    acc = fill("random", (500,), -(10**6), 10**6, np.int32)
    y = OutputS8(-5, -5, 100)
    for rescale in (fixed_point(1e-4), fixed_point(0.3), Rescale(2**30, 0, 3)):
        for kernel, rounded in (
            (kernels.codes_single_int, inference.rescale_single),
            (kernels.codes_double_int, inference.rescale_double),
        ):
            want = np.clip(rounded(acc, rescale).astype(np.int64) + y.zero, y.lo, y.hi)
            same(kernel(acc, rescale, y), want, kernel.__name__)


@pytest.mark.parametrize("acc", [[5], [3, 7, 7], [-(2**31), 2**31 - 1, 0], [4, 4], [-1, -2, -3]])
def test_argmax(acc):
    assert kernels.argmax_int(np.int32(acc)) == np.argmax(acc)
    assert kernels_f32.argmax_f32(np.float32(acc)) == np.argmax(acc)


def test_relu_backward():
    y, dx = np.array([-128, -127, 0, 63, 64, 65], np.int8), np.arange(1, 7, dtype=np.int32)
    kernels.relu_int_backward(y, dx, lo=-128, hi=64)
    assert dx.tolist() == [0, 2, 3, 4, 0, 0]


@pytest.mark.parametrize("padding", Padding)
@pytest.mark.parametrize("geometry", [(5, 7, 3, 2, 1, 2), (4, 4, 1, 1, 2, 1), (6, 5, 2, 3, 3, 1), (3, 3, 3, 3, 1, 1)])
def test_patches_and_pools(geometry, padding):
    h, w, kernel_h, kernel_w, stride_h, stride_w = geometry
    window = make_window(h, w, (kernel_h, kernel_w), Pool2DOptions(kernel_h, kernel_w, stride_h, stride_w, padding))
    x = fill("random", (2, h, w, 3), -128, 127, np.int8)
    seen, pixels = oracle.patches(window, x, 9)
    got = kernels.patches_int(window, x, zero_x=9)
    same(got, seen.reshape(got.shape), f"patches_int {geometry}")
    dpatches = fill("random", got.shape, -(10**6), 10**6, np.int32)
    dx = np.full(x.shape, 77, np.int32)
    kernels.patches_int_backward(window, dpatches, dx=dx)
    same(dx, oracle.scatter(window, pixels, dpatches.reshape(seen.shape), 3), f"patches_int_backward {geometry}")

    taps = oracle.patches(window, x, -999)[0].reshape(2, window.out_h, window.out_w, -1, 3)
    y, index = kernels.max_pool2d_int(window, x)
    same(y, taps.max(axis=3), f"max_pool2d_int {geometry}")
    same(index, first(taps, pixels), f"index of max_pool2d_int {geometry}")
    dy = fill("random", y.shape, -1000, 1000, np.int32)
    kernels.max_pool2d_int_backward(window, index, dy, dx=dx)
    want = np.zeros((2, h * w, 3), np.int64)
    for b, r, q, c in np.ndindex(*y.shape):
        want[b, index[b, r, q, c], c] += dy[b, r, q, c]
    same(dx, want.reshape(x.shape), f"max_pool2d_int_backward {geometry}")


def first(taps, pixels):
    """The pixel of the first largest tap."""
    at = taps.argmax(axis=3)
    flat = pixels.reshape(*pixels.shape[:2], -1)
    rows, columns = np.indices(pixels.shape[:2])
    return flat[rows[None, ..., None], columns[None, ..., None], at]


def test_bad_arguments_are_named():
    x, w, bias = np.zeros((2, 3), np.int8), np.zeros((4, 3), np.int16), np.zeros(4, np.int32)
    state, acc = kernels_f32.rng_seed(0), np.zeros((1, 4), np.int32)
    many, errors = np.zeros((32768, 3), np.int8), np.zeros((32768, 4), np.int8)
    with pytest.raises(ValueError, match=r"dense_int: x has shape \(2, 3\); expected \(any, 5\)"):
        kernels.dense_int(x, np.zeros((4, 5), np.int16), bias, zero_x=0)
    with pytest.raises(TypeError, match="dense_int: w is an array of int8; expected int16"):
        kernels.dense_int(x, np.zeros((4, 3), np.int8), bias, zero_x=0)
    with pytest.raises(ValueError, match=r"dense_int: zero_x is 128; expected -128 \.\.\. 127"):
        kernels.dense_int(x, w, bias, zero_x=128)
    with pytest.raises(ValueError, match=r"errors_int: mult is 100; expected 128 \.\.\. 255"):
        kernels.errors_int(bias, state, mult=100)
    with pytest.raises(ValueError, match="label has a 4; expected labels below 4"):
        kernels.softmax_cross_entropy_int(acc, np.array([4], np.uint16), fixed_point(0.5))
    with pytest.raises(ValueError, match="expected a ratio below 1"):
        kernels.softmax_cross_entropy_int(acc, np.array([0], np.uint16), fixed_point(1.5))
    with pytest.raises(ValueError, match=r"rows of x is 32768; expected 1 \.\.\. 32767"):
        kernels.dense_int_gradient(many, errors, np.zeros((4, 3), np.int32), bias, zero_x=0)
