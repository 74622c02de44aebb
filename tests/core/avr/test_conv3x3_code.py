"""Convolutions written as instructions, on the simulated chip, against their portable twin and the plain kernel."""

from types import SimpleNamespace

import numpy as np
import pytest
from avr_kernels import Bench, build

from engine import kernels, kernels_encoded
from engine.program import Conv2DMaxPool2DParams, Conv2DParams, OutputS8, Rescale, Step, Window
from engine.rescale import fixed_point
from enginekit.encode.candidate import Context
from enginekit.encode.conv_code import conv3x3_code, record

SHAPES = [(4, 4, 1), (5, 7, 2), (6, 4, 12), (4, 255, 1), (28, 28, 3), (9, 61, 5), (7, 13, 16)]


def layer(rng, in_h, in_w, out_c, *, shift, spread=25, zero=-128):
    """A layer whose sums span 16 bits and whose ratios are 8-bit numbers; weights of one sign, zeros and -128 among them."""
    conv_h, conv_w = in_h - 2, in_w - 2
    window = Window(in_h, in_w, conv_h, conv_w, 3, 3, 1, 1, 1, 1, 0, 0)
    pool = Window(conv_h, conv_w, conv_h // 2, conv_w // 2, 2, 2, 2, 2, 1, 1, 0, 0)
    rescale = tuple(fixed_point(int(rng.integers(130, 256)) / 2**shift) for _ in range(out_c))
    y = OutputS8(zero, -128, 127)
    params = Conv2DMaxPool2DParams(Conv2DParams(window, 1, out_c, 0, 1, y, rescale), pool)
    w = np.clip(np.rint(rng.normal(0, spread, (out_c, 3, 3, 1))), -28, 28).astype(np.int8)
    special = [np.full((3, 3, 1), -28), np.zeros((3, 3, 1)), np.eye(3)[..., None] * 80, np.full((3, 3, 1), 28)]
    for n in range(1, min(out_c, 5)):
        w[n] = special[n - 1]
    if out_c > 5:
        w[5] = 0
        w[5, 2, 1], w[5, 0, 0] = -128, 120
    wide = w.astype(np.int64).reshape(out_c, 9)
    low = -128 * wide.sum(1) - 255 * np.maximum(-wide, 0).sum(1)
    high = low + 255 * np.abs(wide).sum(1)
    bias = rng.integers(-high, -low + 1) if zero == -128 else np.zeros(out_c)
    size = (conv_h // 2) * (conv_w // 2) * out_c
    return Step("conv2d_max_pool2d_s8", (0,), "conv", params, w, bias.astype(np.int32), 0, 1, 0, 0, 0, in_h * in_w, size, 0, 1)


def encode(step, zero_x=-128, x_range=(-128, 127)):
    return conv3x3_code(Context(SimpleNamespace(steps=(step,)), 0, x_range, zero_x))


def images(rng, in_h, in_w, zero, w):
    strokes = np.full((in_h, in_w), zero, np.int8)
    strokes[in_h // 3 : in_h // 2, 1:-1] = rng.integers(-128, 128, strokes[in_h // 3 : in_h // 2, 1:-1].shape)
    tiles = (-(-in_h // 3), -(-in_w // 3))
    reach = np.tile(np.where(w[0, ..., 0] > 0, 127, -128), tiles)[:in_h, :in_w].astype(np.int8)
    return {
        "random": rng.integers(-128, 128, (in_h, in_w)).astype(np.int8),
        "lowest": np.full((in_h, in_w), -128, np.int8),
        "highest": np.full((in_h, in_w), 127, np.int8),
        "extremes": rng.choice(np.array([-128, 127], np.int8), (in_h, in_w)),
        "the largest sum": reach,
        "the smallest sum": (-1 - reach).astype(np.int8),
        "zero": np.full((in_h, in_w), zero, np.int8),
        "strokes": strokes,
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shift", [14, 15, 16])
def test_same_codes_as_the_plain_kernel(tmp_path, shape, shift):
    rng = np.random.default_rng(sum(shape) + shift)
    zero_x = -128 if shift != 15 else 17
    step = layer(rng, *shape, shift=shift)
    encoded = encode(step, zero_x)
    assert encoded is not None
    assert encoded.shift == shift
    source = tmp_path / "code.S"
    source.write_text(f"    .global {encoded.symbol}\n{encoded.assembly()}")
    bench = Bench(build(tmp_path, [source]))
    start, size = bench.chip.symbol(encoded.symbol)
    assert size == 2 * encoded.words, f"{shape}: {size} bytes of code at {start}, {2 * encoded.words} predicted"
    filters = np.array([record(each) for each in encoded.filters], np.uint8)
    still = np.array(encoded.still, np.int8)
    for kind, x in images(rng, *shape[:2], zero_x, step.w).items():
        want = kernels.conv2d_max_pool2d_s8(step.params, x[..., None], step.w, step.bias)
        host = kernels_encoded.conv3x3_pool2_code_s8(filters, still, x, zero_x=zero_x, shift=shift)
        assert host.tobytes() == want.tobytes(), f"{kind} {shape}: portable twin differs from the plain kernel"
        bench.clear()
        at, y = bench.ram(x), bench.ram(want.size)
        call = bench.call(encoded.symbol, at, y)
        got = np.frombuffer(bench.read(y, want.size), np.int8)
        bad = np.flatnonzero(got != want.ravel())
        assert bad.size == 0, f"{kind} {shape}: at {bad[0]} got {got[bad[0]]}, want {want.ravel()[bad[0]]}"
        assert call.cycles == encoded.cycles_of(x.ravel()) <= encoded.cycles, f"{kind} {shape}"
        assert call.stack <= 28


def test_what_it_cannot_do_is_left_to_others():
    rng = np.random.default_rng(1)
    assert encode(layer(rng, 8, 8, 2, shift=16, zero=-100)) is None, "negative values, whose ties go down"
    wide = layer(rng, 8, 8, 2, shift=16)
    wide.w[0] = 60
    assert encode(wide) is None, "sums that need more than 16 bits"
    long = layer(rng, 8, 8, 1, shift=16)
    params = long.params
    odd = Conv2DMaxPool2DParams(
        Conv2DParams(params.conv.window, 1, 1, 0, 1, params.conv.y, (Rescale(1234567891, 0, 8),)), params.pool
    )
    steep = Step(long.kernel, (0,), "conv", odd, long.w, long.bias, 0, 1, 0, 0, 0, 64, 9, 0, 1)
    assert encode(steep) is None, "a ratio that no 8-bit multiplier gives"
