"""Depthwise convolution and the kernels without weights against TensorFlow Lite's reference kernels: no byte may differ."""

import kernel_cases
import numpy as np
import pytest
import reference
from judged import ACTIVATIONS, EVERYTHING, SEED, ZEROS, assert_equal, awkward_scales, output_scale, random_scale
from kernel_cases import GEOMETRIES
from tflite_builder import Judge, single, tensor

from engine import kernels, tables
from engine.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    ElementwiseOptions,
    LeakyReluOptions,
    MeanOptions,
    NoOptions,
    Padding,
)
from engine.program import (
    AddParams,
    Broadcast,
    Conv2DParams,
    CopyParams,
    LookupParams,
    MeanParams,
    MulParams,
    PadParams,
    QuantizeParams,
    RequantizeParams,
)
from engine.rescale import (
    add_rescales,
    mean_rescale,
    mul_rescale,
    output_range,
    product_rescale,
    requantize_rescale,
)


def test_depthwise_conv2d():
    rng = np.random.default_rng(SEED)
    for turn in range(156):
        size, kernel, stride, dilation, same = GEOMETRIES[turn % len(GEOMETRIES)]
        in_c, copies = int(rng.integers(1, 71 if turn % 5 == 0 else 8)), (1, 1, 2, 3)[turn % 4]
        out_c, activation = in_c * copies, ACTIVATIONS[turn // 2 % 4]
        zx, zy, sx = ZEROS[turn % 5], ZEROS[turn // 5 % 5], random_scale(rng)
        sw = (2.0 ** rng.uniform(-10, -2, out_c)).astype(np.float32)
        sy = output_scale(rng, turn, sx, sw, kernel[0] * kernel[1])
        w = rng.integers(-127, 128, (1, *kernel, out_c)).astype(np.int8)
        bias = rng.integers(-3000, 3001, out_c).astype(np.int32)
        v = kernel_cases.window(size, kernel, stride, dilation, same=same)
        constants = tensor(w.shape, sw, data=w, axis=3), tensor((out_c,), sx * sw, dtype="int32", data=bias)
        ends = tensor((1, *size, in_c), sx, zx), tensor((1, v.out_h, v.out_w, out_c), sy, zy)
        options = Conv2DOptions(*stride, *dilation, Padding.SAME if same else Padding.VALID, activation)
        p = Conv2DParams(v, in_c, out_c, zx, 1, output_range(activation, sy, zy), product_rescale(sx, sw, sy))
        x = rng.integers(-128, 128, (3, *size, in_c)).astype(np.int8)
        want = Judge(single("depthwise_conv2d", [ends[0], *constants, ends[1]], options)).run(x)
        what = f"depthwise {GEOMETRIES[turn % len(GEOMETRIES)]} {in_c}->{out_c} {activation} turn={turn}"
        assert_equal(want, np.stack([kernels.depthwise_conv2d_s8(p, image, w[0], bias) for image in x]), what)
        if turn % 4 == 0:
            oracle = np.stack([reference.depthwise_conv2d_s8(p, image, w[0], bias) for image in x])
            assert_equal(want, oracle, f"oracle of {what}")


#: Shapes of two operands and of the result, and how the operands meet it.
MEETINGS = (
    ((1, 4, 6, 5), (1, 4, 6, 5), (120, 1), (120, 1)),
    ((1, 4, 6, 5), (1,), (120, 1), (1, 1)),
    ((1,), (1, 4, 6, 5), (1, 1), (120, 1)),
    ((1, 4, 6, 5), (5,), (120, 1), (5, 1)),
    ((1, 4, 6, 5), (1, 1, 1, 5), (120, 1), (5, 1)),
    ((1, 1, 1, 5), (1, 4, 6, 5), (5, 1), (120, 1)),
    ((1, 4, 6, 5), (1, 4, 6, 1), (120, 1), (24, 5)),
    ((1, 4, 6, 5), (1, 1, 6, 1), (120, 1), (6, 5)),
    ((1, 37), (1, 37), (37, 1), (37, 1)),
)


def pair_scales(rng: np.random.Generator, turn: int) -> tuple[np.float32, np.float32, np.float32]:
    """Equal, similar, far apart, and powers of two, where rounding meets ties."""
    sx = random_scale(rng)
    if turn % 4 == 0:
        return sx, sx, np.float32(sx * (1, 2, 0.5)[turn // 4 % 3])
    if turn % 4 == 1:
        powers = 2.0 ** rng.integers(-8, 3, 3)
        return np.float32(powers[0] * 1.5), np.float32(powers[1] * 1.25), np.float32(powers[2])
    other = np.float32(sx * 2.0 ** rng.uniform(-2, 2)) if turn % 4 == 2 else np.float32(sx * 2.0 ** rng.uniform(-20, 20))
    return sx, other, np.float32(max(sx, other) * 2.0 ** rng.uniform(-2, 3))


@pytest.mark.parametrize("op", ["add", "sub", "mul"])
def test_joins(op):
    rng = np.random.default_rng(SEED)
    for turn in range(270):
        shape, shape2, one, other = MEETINGS[turn % len(MEETINGS)]
        (sx, sx2, sy), activation = pair_scales(rng, turn), ACTIVATIONS[turn % 4]
        if op == "mul":
            sx2 = max(sx2, np.float32(2.0**-14))  # the activations' limits must fit int32
            sy = np.float32(float(sx) * float(sx2) * (2.0 ** rng.uniform(-3, 9) if turn % 3 else 128.0))
        zx, zx2, zy = ZEROS[turn % 5], ZEROS[turn // 3 % 5], ZEROS[turn // 5 % 5]
        y_shape = shape if one[0] >= other[0] else shape2
        ends = tensor(shape, sx, zx), tensor(shape2, sx2, zx2), tensor(y_shape, sy, zy)
        count, y = int(np.prod(y_shape)), output_range(activation, sy, zy)
        common = (count, Broadcast(*one), Broadcast(*other), zx, zx2)
        if op == "mul":
            p: AddParams | MulParams = MulParams(*common, mul_rescale(sx, sx2, sy), y)
        else:
            p = AddParams(*common, *add_rescales(sx, sx2, sy), y)
        x, x2 = (rng.integers(-128, 128, (12, *s)).astype(np.int8) for s in (shape, shape2))
        want = Judge(single(op, ends, ElementwiseOptions(activation))).run(x, x2)
        what = f"{op} {shape} {sx!r} {zx}, {shape2} {sx2!r} {zx2} -> {sy!r} {zy} {activation} turn={turn}"
        pairs = [(a.ravel(), b.ravel()) for a, b in zip(x, x2, strict=True)]
        assert_equal(want, np.stack([getattr(kernels, f"{op}_s8")(p, *pair) for pair in pairs]), what)
        assert_equal(want, np.stack([getattr(reference, f"{op}_s8")(p, *pair) for pair in pairs]), f"oracle of {what}")


@pytest.mark.parametrize("keep_dims", [False, True])
def test_mean(keep_dims):
    rng = np.random.default_rng(SEED)
    sizes = ((1, 1), (2, 2), (3, 5), (7, 7), (25, 5), (8, 8), (12, 1), (1, 49))
    for turn in range(240):
        size, channels = sizes[turn % len(sizes)], int(rng.integers(1, 12))
        (sx, sy), zx, zy = awkward_scales(rng, turn), ZEROS[turn % 5], ZEROS[turn // 5 % 5]
        if turn % 4 == 0:
            sy, zy = sx, zx
        y_shape = (1, 1, 1, channels) if keep_dims else (1, channels)
        axes = tensor((2,), dtype="int32", data=np.array([1, 2], np.int32))
        graph = single(
            "mean",
            [tensor((1, *size, channels), sx, zx), axes, tensor(y_shape, sy, zy)],
            MeanOptions((1, 2), keep_dims),
        )
        pixels = size[0] * size[1]
        p = MeanParams(pixels, channels, zx, mean_rescale(sx, sy, pixels), output_range(Activation.NONE, sy, zy))
        x = rng.integers(-128, 128, (10, pixels, channels)).astype(np.int8)
        x[:4] = np.clip(x[:4] // 16 + zx, -128, 127)  # means near the zero point, where most ties are
        what = f"mean {size}x{channels} keep_dims={keep_dims} {sx!r} {zx} -> {sy!r} {zy} turn={turn}"
        want = Judge(graph).run(x)
        assert_equal(want, np.stack([kernels.mean_s8(p, image) for image in x]), what)
        assert_equal(want, np.stack([reference.mean_s8(p, image) for image in x]), f"oracle of {what}")


def test_concatenation():
    rng = np.random.default_rng(SEED)
    for shapes, axis in (
        (((1, 3, 4, 5), (1, 3, 4, 2), (1, 3, 4, 1)), 3),
        (((1, 3, 4, 5), (1, 2, 4, 5)), 1),
        (((1, 7), (1, 9)), 1),
    ):
        shape = list(shapes[0])
        shape[axis] = sum(s[axis] for s in shapes)
        ends = [*(tensor(s, 0.1, 3) for s in shapes), tensor(shape, 0.1, 3)]
        parts = [rng.integers(-128, 128, s).astype(np.int8) for s in shapes]
        want = Judge(single("concatenation", ends, ConcatenationOptions(axis))).run(*parts)
        rows, stride, first = int(np.prod(shape[:axis])), int(np.prod(shape[axis:])), 0
        got = np.zeros((rows, stride), np.int8)
        for part in parts:
            size = part.size // rows
            kernels.copy_s8(CopyParams(rows, size, stride, first), part.reshape(rows, size), out=got)
            first += size
        assert_equal(want, got, f"concatenation {shapes} axis={axis}")


@pytest.mark.parametrize("op", ["pad", "padv2"])
def test_pad(op):
    rng = np.random.default_rng(SEED)
    for turn, margin in enumerate(
        ((1, 1, 1, 1, 0, 0), (0, 1, 0, 1, 0, 0), (3, 2, 0, 4, 0, 0), (0, 0, 0, 0, 2, 3), (1, 2, 3, 4, 5, 6))
    ):
        zero, value = ZEROS[turn], int(rng.integers(-128, 128))
        top, bottom, left, right, front, back = margin
        shape = (1, 5 + top + bottom, 4 + left + right, 3 + front + back)
        paddings = np.array([[0, 0], [top, bottom], [left, right], [front, back]], np.int32)
        constants = [tensor((4, 2), dtype="int32", data=paddings)]
        if op == "padv2":
            constants.append(tensor((1,), 0.1, zero, data=np.array([value], np.int8)))
        x = rng.integers(-128, 128, (1, 5, 4, 3)).astype(np.int8)
        want = Judge(single(op, [tensor(x.shape, 0.1, zero), *constants, tensor(shape, 0.1, zero)], NoOptions())).run(x)
        p = PadParams(5, 4, 3, *margin, value if op == "padv2" else zero)
        assert_equal(want, kernels.pad_s8(p, x[0]), f"{op} {margin} zero={zero} value={value}")


@pytest.mark.parametrize("op", ["logistic", "tanh", "leaky_relu", "hard_swish"])
def test_tables(op):
    rng = np.random.default_rng(SEED)
    for turn in range(400):
        sx, zx, zy = np.float32(2.0 ** rng.uniform(-12, 2)), ZEROS[turn % 5], ZEROS[turn // 5 % 5]
        sy = np.float32(2.0 ** rng.uniform(-9, -5))
        options: NoOptions | LeakyReluOptions = NoOptions()
        if op == "logistic":
            sy, zy = np.float32(1 / 256), (-128, *ZEROS)[turn % 6]
        if op in ("leaky_relu", "hard_swish"):
            sy = np.float32(sx * 2.0 ** rng.uniform(-6, 6)) if turn % 3 else sx
        ends = tables.Quantization(float(sx), zx), tables.Quantization(float(sy), zy)
        if op == "leaky_relu":
            alpha = float(np.float32((0.1, 0.3, 0.01, 1.7, -0.5, 0.0, 2.0**-40)[turn % 7]))
            options, codes = LeakyReluOptions(alpha), tables.leaky_relu(*ends, alpha)
        else:
            codes = {"logistic": tables.logistic, "tanh": tables.tanh, "hard_swish": tables.hard_swish}[op](*ends)
        want = Judge(single(op, [tensor((1, 256), sx, zx), tensor((1, 256), sy, zy)], options)).run(EVERYTHING)
        got = kernels.lookup_s8(LookupParams(256, codes), EVERYTHING)
        assert_equal(want, got, f"{op} {sx!r} {zx} -> {sy!r} {zy} {options} turn={turn}")


def test_uint8_edges():
    rng = np.random.default_rng(SEED)
    unsigned = reference.as_u8(EVERYTHING)
    for turn in range(120):
        (sx, sy), zx, zy = awkward_scales(rng, turn), ZEROS[turn % 5], ZEROS[turn // 5 % 5]
        if turn % 4 == 0:
            sy, zy = sx, zx
        p = RequantizeParams(256, zx, requantize_rescale(sx, sy), output_range(Activation.NONE, sy, zy))
        u, s = tensor((1, 256), sx, zx + 128, dtype="uint8"), tensor((1, 256), sy, zy)
        what = f"{sx!r} {zx} -> {sy!r} {zy}"
        assert_equal(Judge(single("quantize", [u, s])).run(unsigned), kernels.requantize_u8_s8(p, unsigned), f"uint8 {what}")
        u, s = tensor((1, 256), sy, zy + 128, dtype="uint8"), tensor((1, 256), sx, zx)
        assert_equal(Judge(single("quantize", [s, u])).run(EVERYTHING), kernels.requantize_s8_u8(p, EVERYTHING), f"int8 {what}")


def test_float_to_uint8_and_back():
    rng = np.random.default_rng(SEED)
    unsigned = reference.as_u8(EVERYTHING)
    for turn in range(40):
        scale, zero = random_scale(rng), ZEROS[turn % 5]
        p, what = QuantizeParams(256, scale, zero), f"{scale!r} {zero}"
        q, f = tensor((1, 256), scale, zero + 128, dtype="uint8"), tensor((1, 256), dtype="float32")
        want, got = Judge(single("dequantize", [q, f])).run(unsigned), kernels.dequantize_u8_f32(p, unsigned)
        assert_equal(want.view(np.uint32), got.view(np.uint32), f"dequantize {what}")
        halves = (np.arange(-128, 128) + np.float32(0.5)) * scale
        for x in (halves, np.nextafter(halves, np.float32(0)), rng.uniform(-200, 200, 256) * scale):
            x32 = x.astype(np.float32)
            assert_equal(Judge(single("quantize", [f, q])).run(x32), kernels.quantize_f32_u8(p, x32), f"quantize {what}")
