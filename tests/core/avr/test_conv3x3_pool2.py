"""The convolution kernel of one channel on the simulated chip, against its portable twin and the plain kernel."""

from dataclasses import replace

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, word

from engine import kernels, kernels_encoded
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, OutputS8, Rescale, Step, Window
from enginekit.encode import conv3x3_pool2


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(build(tmp_path_factory.mktemp("avr"), [ROOT / "csrc/avr/conv3x3_pool2_s8.S"]))


def layer(rng, in_h, in_w, out_c, *, narrow=False, spread=60, right=(8, 11)):
    conv_h, conv_w = in_h - 2, in_w - 2
    window = Window(in_h, in_w, conv_h, conv_w, 3, 3, 1, 1, 1, 1, 0, 0)
    pool = Window(conv_h, conv_w, conv_h // 2, conv_w // 2, 2, 2, 2, 2, 1, 1, 0, 0)
    rescale = tuple(Rescale(int(rng.integers(1 << 30, 1 << 31)), 0, int(rng.integers(*right))) for _ in range(out_c))
    y = OutputS8(-128, -100, 90) if narrow else OutputS8(-128, -128, 127)
    params = Conv2DMaxPool2DParams(Conv2DParams(window, 1, out_c, 0, 1, y, rescale), pool)
    w = np.clip(np.rint(rng.normal(0, spread, (out_c, 3, 3, 1))), -127, 127).astype(np.int8)
    bias = rng.integers(-6000, 6000, out_c).astype(np.int32)
    size = (conv_h // 2) * (conv_w // 2) * out_c
    return Step("conv2d_max_pool2d_s8", (0,), "conv", params, w, bias, 0, 1, 0, 0, 0, in_h * in_w, size, 0, 1)


def images(rng, in_h, in_w, zero):
    strokes = np.full((in_h, in_w), zero, np.int8)
    strokes[in_h // 3 : in_h // 2, 1:-1] = rng.integers(-128, 128, strokes[in_h // 3 : in_h // 2, 1:-1].shape)
    return {
        "random": rng.integers(-128, 128, (in_h, in_w)).astype(np.int8),
        "lowest": np.full((in_h, in_w), -128, np.int8),
        "highest": np.full((in_h, in_w), 127, np.int8),
        "extremes": rng.choice(np.array([-128, 127], np.int8), (in_h, in_w)),
        "zero": np.full((in_h, in_w), zero, np.int8),
        "strokes": strokes,
    }


def run_on_chip(bench, encoded, x):
    bench.clear()
    out_c = len(encoded.filters)
    size = encoded.out_h * encoded.out_w * out_c
    filters, still = bench.flash(encoded.filters), bench.flash(encoded.still)
    shape = bytes(
        [encoded.in_w, encoded.out_h, encoded.out_w, out_c, encoded.zero_x & 0xFF, encoded.negative_is_lo, encoded.shift32]
    )
    at, y = bench.ram(x), bench.ram(size)
    call = bench.call("eng_conv3x3_pool2_s8", bench.flash(word(filters) + word(still) + shape), at, y)
    return np.frombuffer(bench.read(y, size), np.int8), call


@pytest.mark.parametrize("shape", [(4, 4, 1), (5, 7, 2), (6, 4, 12), (4, 255, 1), (28, 28, 3), (9, 61, 5)])
@pytest.mark.parametrize("zero", [-128, 0, 17])
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("right", [(8, 11), (6, 8)])
def test_same_codes_as_the_plain_kernel(bench, shape, zero, narrow, right):
    rng = np.random.default_rng(sum(shape) + zero + 128)
    step = layer(rng, *shape, narrow=narrow, right=right)
    if shape[2] > 1:
        step.w[0] = [[[127], [127], [127]], [[-128], [-128], [127]], [[127], [-128], [127]]]
    encoded = conv3x3_pool2(step, x_range=(-128, 127), zero_x=zero)
    assert encoded is not None
    assert encoded.negative_is_lo
    assert encoded.shift32 == (right == (6, 8))
    encoded = replace(encoded, negative_is_lo=narrow)
    for kind, x in images(rng, *shape[:2], zero).items():
        want = kernels.conv2d_max_pool2d_s8(step.params, x[..., None], step.w, step.bias)
        host = kernels_encoded.conv3x3_pool2_s8(
            encoded.filters, encoded.still, x, zero_x=zero, negative_is_lo=encoded.negative_is_lo, shift32=encoded.shift32
        )
        assert host.tobytes() == want.tobytes(), f"{kind} {shape}: portable twin differs from the plain kernel"
        got, call = run_on_chip(bench, encoded, x)
        bad = np.flatnonzero(got != want.ravel())
        assert bad.size == 0, f"{kind} {shape}: at {bad[0]} got {got[bad[0]]}, want {want.ravel()[bad[0]]}"
        assert call.stack <= 36


def test_what_it_cannot_do_is_left_to_the_plain_kernel():
    rng = np.random.default_rng(1)
    step = layer(rng, 8, 8, 2)
    step.w[1, 0, 0:2] = -128
    assert conv3x3_pool2(step, x_range=(-128, 127), zero_x=-128) is None
    assert conv3x3_pool2(layer(rng, 8, 8, 2, right=(0, 1)), x_range=(-128, 127), zero_x=-128) is None
    assert conv3x3_pool2(layer(rng, 8, 256, 2), x_range=(-128, 127), zero_x=-128) is None
