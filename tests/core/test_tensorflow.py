"""Oracle and C kernels against TensorFlow Lite's reference kernels, on generated one-operator models: no byte may differ.

Here scales become integers with :mod:`engine.rescale`, so that this judges those functions too.
"""

from collections.abc import Iterator

import kernel_cases
import numpy as np
import pytest
import reference
from ai_edge_litert.interpreter import Interpreter as LiteRT
from ai_edge_litert.interpreter import OpResolverType as LiteRTResolver
from judged import ACTIVATIONS, EVERYTHING, SEED, ZEROS, assert_equal, awkward_scales, output_scale, random_scale, weight_scales
from kernel_cases import CHANNELS, GEOMETRIES
from tflite_builder import Judge, single, tensor, to_tflite

from engine import kernels
from engine.graph import Activation, Conv2DOptions, DenseOptions, Graph, NoOptions, Padding, Pool2DOptions, SoftmaxOptions
from engine.program import (
    ArgmaxParams,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    DenseParams,
    DenseWideParams,
    Pool2DParams,
    QuantizeParams,
    RequantizeParams,
)
from engine.rescale import (
    dense_ratios,
    dense_rescale,
    fold_zero_point,
    output_range,
    product_rescale,
    relu_rescale,
    requantize_rescale,
    softmax_params,
)


def bound(w: np.ndarray, bias: np.ndarray) -> int:
    return int((128 * np.abs(w.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))).max())


def dense_models(count: int = 150) -> Iterator[tuple[str, Graph, DenseParams, np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(SEED)
    for turn in range(count):
        n_in, n_out = int(rng.integers(1, 71)), int(rng.integers(1, 14))
        per_channel = bool(turn % 2) and n_out > 1
        zx, zy, activation = ZEROS[turn % 5], ZEROS[turn // 5 % 5], ACTIVATIONS[turn % 4]
        sx, sw = random_scale(rng), weight_scales(rng, n_out if per_channel else 1)
        sy = output_scale(rng, turn, sx, sw, n_in)
        w = rng.integers(-128 if turn % 3 == 0 else -127, 128, (n_out, n_in)).astype(np.int8)
        bias = rng.integers(-3000, 3001, n_out).astype(np.int32)
        with_bias = turn % 5 != 4
        constants = [tensor(w.shape, sw, data=w)]
        if with_bias:
            constants.append(tensor((n_out,), sx * sw, dtype="int32", data=bias))
        x_and_y = tensor((1, n_in), sx, zx), tensor((1, n_out), sy, zy)
        graph = single("dense", [x_and_y[0], *constants, x_and_y[1]], DenseOptions(activation))
        folded = fold_zero_point(w, bias if with_bias else None, zx)
        records = dense_rescale(sx, sw, sy, bound(w, folded))
        assert records is not None
        p = DenseParams(n_in, n_out, int(per_channel), output_range(activation, sy, zy), records)
        x = rng.integers(-128, 128, (12, n_in)).astype(np.int8)
        yield f"dense {n_in}->{n_out} per_channel={per_channel} {activation} turn={turn}", graph, p, w, folded, x


def test_dense():
    for what, graph, p, w, bias, x in dense_models():
        want = Judge(graph).run(x)
        assert_equal(want, np.stack([kernels.dense_s8(p, row, w, bias) for row in x]), what)
        assert_equal(want, np.stack([reference.dense_s8(p, row, w, bias) for row in x]), f"oracle of {what}")


def near_ties(rng: np.random.Generator, count: int) -> Iterator[tuple[int, np.float32, np.float32, np.float32]]:
    """Accumulators below 76,200 with scales that bring them within 2**-31 of a tie, or onto it."""
    found = 0
    while found < count:
        sx, sw = random_scale(rng), random_scale(rng)
        if found % 4 == 0:
            acc, sx, sw = 2 * int(rng.integers(0, 60)) + 1, np.float32(0.5), np.float32(0.25)
            sy = np.float32(0.25)
        else:
            sy = np.float32(float(sx) * float(sw) * 2.0 ** rng.uniform(5, 9))
            ratio = float(sx) * float(sw) / float(sy)
            ties = np.arange(128) + 0.5
            nearest = np.rint(ties / ratio)
            close = np.flatnonzero((np.abs(nearest * ratio - ties) < ties * 2.0**-29) & (nearest > 0) & (nearest < 76200))
            if close.size == 0:
                continue
            acc = int(nearest[close[0]])
        found += 1
        yield acc, sx, sw, sy


def test_dense_at_ties():
    """Accumulators on a tie or so close to it that the multiplier's last bit decides, with both signs."""
    w = np.array([[120] * 5 + [1]], np.int8)
    for turn, (acc, sx, sw, sy) in enumerate(near_ties(np.random.default_rng(SEED), 120)):
        parts = [min(max(acc // 120 - 127 * i, 0), 127) for i in range(5)]
        x = np.array([[*parts, acc % 120]], np.int8)
        signs = np.concatenate([x, -x])
        both, scales = (np.concatenate([w, w]), [sw, sw]) if turn % 2 else (w, [sw])
        ends = tensor((1, 6), sx), tensor((1, len(both)), sy)
        graph = single("dense", [ends[0], tensor(both.shape, np.array(scales, np.float32), data=both), ends[1]], DenseOptions())
        bias = np.zeros(len(both), np.int32)
        records = dense_rescale(sx, scales, sy, bound(both, bias))
        assert records is not None
        p = DenseParams(6, len(both), int(len(scales) > 1), output_range(Activation.NONE, sy, 0), records)
        ratio = np.array([float(sx) * float(s) / float(sy) for s in scales])
        what = f"dense of {acc} with scales {sx!r} {sw!r} {sy!r}"
        want = Judge(graph).run(signs)
        assert_equal(want, np.stack([kernels.dense_s8(p, row, both, bias) for row in signs]), what)
        assert_equal(
            want, np.stack([reference.dense_by_scales(row, 0, both, bias, ratio, p.y) for row in signs]), f"oracle of {what}"
        )


def test_dense_rescale_has_the_steps_of_the_reference():
    """Around every step, for typical and extreme ratios: integer rule equals rounding in double."""
    rng = np.random.default_rng(SEED)
    for turn in range(300):
        ratio = 2.0 ** (rng.uniform(-16, 2) if turn % 3 else -int(rng.integers(0, 16)))
        scale = np.float32(ratio)
        (r,) = dense_rescale(1.0, [scale], 1.0, 1 << 23) or ()
        steps = np.ceil((np.arange(256) + 0.5) / float(scale)).astype(np.int64)
        acc = np.concatenate([s * (steps + d) for s in (1, -1) for d in (-1, 0, 1)])
        acc = acc[np.abs(acc) <= 1 << 23].astype(np.int32)
        scaled = acc * float(scale)
        want = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
        assert_equal(want.astype(np.int32), kernels.rescale_single(acc, r), f"ratio {scale!r} {r}")


def dense_scales(rng: np.random.Generator, reach: int) -> tuple[np.float32, np.float32, np.float32]:
    """Scales with which accumulators below 2**reach give all codes."""
    sx, sw = random_scale(rng), random_scale(rng)
    return sx, sw, np.float32(float(sx) * float(sw) * 2.0 ** (reach - 8 + rng.uniform(-1, 0)))


def test_dense_rescale_is_exact_or_none():
    """Up to 2**20 always exact here; at 2**26 often impossible, and then said, never approximated."""
    rng, refused = np.random.default_rng(SEED), 0
    for reach in (20, 26):
        for _ in range(150):
            sx, sw, sy = dense_scales(rng, reach)
            records = dense_rescale(sx, [sw], sy, 2**31 - 1)
            if records is None:
                assert reach > 20, f"{sx!r} {sw!r} {sy!r}"
                refused += 1
                continue
            (r,) = records
            ratio = float(sx) * float(sw) / float(sy)
            steps = np.ceil((np.arange(255) + 0.5) / ratio).astype(np.int64)
            acc = np.concatenate([s * (steps + d) for s in (1, -1) for d in (-2, -1, 0, 1)]).astype(np.int32)
            scaled = acc * ratio
            want = (np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)).astype(np.int32)
            reached = np.abs(want) <= 255
            assert_equal(want[reached], kernels.rescale_single(acc, r)[reached], f"{sx!r} {sw!r} {sy!r} {r}")
    assert refused > 10


def test_dense_rescale_takes_ranges_for_each_output():
    rng = np.random.default_rng(SEED)
    scales = iter(lambda: dense_scales(rng, 27), None)
    sx, sw, sy = next(s for s in scales if dense_rescale(s[0], [s[1]], s[2], 2**31 - 1) is None)
    records = dense_rescale(sx, [sw, sw], sy, [[(-1000, 1000)], [(2**30, 2**30 + 9), (-5, 5)]])
    assert records is not None
    assert records[0] == records[1]
    assert dense_rescale(sx, [sw, sw], sy, [[(-1000, 1000)], [(-(2**31) + 1, 0)]]) is None


def test_wide_rescale_rounds_as_double_arithmetic_does():
    """Products on ties and within a few units in the last place of them, for accumulators up to the ends of int32."""
    rng = np.random.default_rng(SEED)
    for turn in range(3000):
        acc = np.int64(2.0 ** rng.uniform(0, 31))
        ratio = (int(rng.integers(0, 2 ** (1 + turn % 12))) + 0.5) / float(acc)
        for _ in range(turn % 5 - 2):
            ratio = np.nextafter(ratio, 0 if turn % 2 else 1)
        around = acc + np.arange(-2, 3)
        codes = np.concatenate([around, -around, [2**31 - 1, -(2**31), 0]]).clip(-(2**31), 2**31 - 1).astype(np.int32)
        scaled = codes.astype(np.float64) * ratio
        want = np.sign(scaled) * np.trunc(np.abs(scaled) + np.where(np.abs(scaled) % 1 >= 0.5, 0.5, 0))
        got = kernels.rescale_wide(codes, kernel_cases.bits_of(ratio))
        assert_equal(want.clip(-(2**31) + 1, 2**31 - 1).astype(np.int32), got, f"ratio {ratio!r} turn={turn}")


def tied_dense(rng: np.random.Generator, turn: int) -> tuple[Graph, int]:
    """A dense layer whose ratio is a fraction of small numbers, so that many accumulators are ties or just beside one."""
    rows, per_channel = int(rng.integers(1, 5)), turn % 2
    sx = np.float32(int(rng.integers(1, 50)))
    sw = rng.integers(1, 50, 3 if per_channel else 1).astype(np.float32)
    sy = np.float32(int(rng.integers(1, 3000)))
    if turn % 3 == 0:
        sx, sw = random_scale(rng), weight_scales(rng, len(sw))
        sy = np.float32(float(sx) * float(sw[0]) * int(rng.integers(3, 500)))
    if turn % 3 == 1:  # 1 / 98: in double some multiples of 49 / 98 are ties and others are not
        sx, sw, sy = np.float32(1), np.ones(len(sw), np.float32), np.float32(98 << turn // 3 % 3)
    w = rng.integers(-128, 128, (3, 5)).astype(np.int8)
    limit = min(29.0, 30 - np.log2(float(sx) * float(sw.max()) / float(sy)))  # beyond int32 the reference is undefined
    bias = (rng.integers(-1, 2, 3) * 2.0 ** rng.uniform(0, limit, 3)).astype(np.int32)
    keep = turn % 4 < 2
    y = tensor((1, rows, 3) if keep else (rows, 3), sy, ZEROS[turn % 5])
    tensors = [tensor((1, rows, 5), sx, ZEROS[turn // 5 % 5]), tensor((3, 5), sw, data=w)]
    if turn % 5:
        tensors.append(tensor((3,), sx * sw, dtype="int32", data=bias))
    return single("dense", [*tensors, y], DenseOptions(ACTIVATIONS[turn % 4], keep_num_dims=keep)), rows


def test_dense_wide():
    """Several vectors, and ratios that no 31-bit multiplier represents, on ties."""
    rng, needed = np.random.default_rng(SEED), 0
    for turn in range(400):
        graph, rows = tied_dense(rng, turn)
        w, bias = graph.tensors[1], graph.tensors[2].data if len(graph.tensors) == 4 else None
        x, y = graph.tensors[0], graph.tensors[-1]
        folded = fold_zero_point(w.data, bias, x.zero_point)
        needed += dense_rescale(x.scale[0], w.scale, y.scale[0], bound(w.data, folded)) is None
        output = output_range(graph.layers[0].options.activation, y.scale[0], y.zero_point)
        p = DenseWideParams(rows, 5, 3, int(w.scale.size > 1), output, dense_ratios(x.scale[0], w.scale, y.scale[0]))
        batch = rng.integers(-128, 128, (60, rows, 5)).astype(np.int8)
        want = Judge(graph).run(batch)
        what = f"dense of {rows} vectors, scales {x.scale} {w.scale} {y.scale} turn={turn}"
        assert_equal(want, np.stack([kernels.dense_wide_s8(p, part, w.data, folded) for part in batch]), what)
        if turn % 10 == 0:
            assert_equal(
                want, np.stack([reference.dense_wide_s8(p, part, w.data, folded) for part in batch]), f"oracle of {what}"
            )
    assert needed > 20


def conv_model(turn: int, rng: np.random.Generator) -> tuple[str, Graph, Conv2DParams, np.ndarray, np.ndarray, np.ndarray]:
    size, kernel, stride, dilation, same = GEOMETRIES[turn % len(GEOMETRIES)]
    in_c, out_c = CHANNELS[turn // 3 % len(CHANNELS)] if turn % 10 else (int(rng.integers(1, 71)), int(rng.integers(1, 30)))
    zx, zy, activation = ZEROS[turn % 5], ZEROS[turn // 5 % 5], ACTIVATIONS[turn % 4]
    sx, sw = random_scale(rng), weight_scales(rng, out_c)
    sy = output_scale(rng, turn, sx, sw, in_c * kernel[0] * kernel[1])
    w = rng.integers(-127, 128, (out_c, *kernel, in_c)).astype(np.int8)
    bias = rng.integers(-3000, 3001, out_c).astype(np.int32)
    v = kernel_cases.window(size, kernel, stride, dilation, same=same)
    options = Conv2DOptions(*stride, *dilation, Padding.SAME if same else Padding.VALID, activation)
    tensors = [
        tensor((1, *size, in_c), sx, zx),
        tensor(w.shape, sw, data=w),
        tensor((out_c,), sx * sw, dtype="int32", data=bias),
    ]
    graph = single("conv2d", [*tensors, tensor((1, v.out_h, v.out_w, out_c), sy, zy)], options)
    fold = not same and turn % 2 == 0
    p = Conv2DParams(v, in_c, out_c, 0 if fold else zx, 1, output_range(activation, sy, zy), product_rescale(sx, sw, sy))
    name = f"conv2d {GEOMETRIES[turn % len(GEOMETRIES)]} {in_c}->{out_c} {activation} turn={turn}"
    return (
        name,
        graph,
        p,
        w,
        fold_zero_point(w, bias, zx) if fold else bias,
        rng.integers(-128, 128, (3, *size, in_c)).astype(np.int8),
    )


def test_conv2d():
    rng = np.random.default_rng(SEED)
    for turn in range(182):
        what, graph, p, w, bias, x = conv_model(turn, rng)
        want = Judge(graph).run(x)
        assert_equal(want, np.stack([kernels.conv2d_s8(p, image, w, bias) for image in x]), what)
        if turn % 4 == 0:
            assert_equal(want, np.stack([reference.conv2d_s8(p, image, w, bias) for image in x]), f"oracle of {what}")


def test_conv2d_and_max_pool2d_fused():
    """The fused kernel against two reference operators in one model; the pool's own clamp joins the convolution's."""
    rng = np.random.default_rng(SEED)
    for turn in range(60):
        what, graph, conv, w, bias, x = conv_model(turn, rng)
        if not kernel_cases.left_shift_fits(conv, w, bias):
            continue
        v, middle = conv.window, graph.tensors[-1]
        taps, stride, same = (min(2, v.out_h), min(2 + turn % 2, v.out_w)), ((2, 2), (1, 2))[turn % 2], turn % 3 == 0
        pool = kernel_cases.window((v.out_h, v.out_w), taps, stride, same=same)
        options = Pool2DOptions(*taps, *stride, Padding.SAME if same else Padding.VALID)
        y = tensor((1, pool.out_h, pool.out_w, conv.out_c), middle.scale, middle.zero_point)
        pooled = single("max_pool2d", [middle, y], options)
        layer = type(pooled.layers[0])("max_pool2d", "pool", (3,), (4,), options)
        both = Graph("both", (*graph.tensors, y), (*graph.layers, layer), (0,), (4,))
        p = Conv2DMaxPool2DParams(conv, pool)
        got = np.stack([kernels.conv2d_max_pool2d_s8(p, image, w, bias) for image in x])
        assert_equal(Judge(both).run(x), got, f"{what} then pool {taps} {stride}")


@pytest.mark.parametrize("op", ["max_pool2d", "average_pool2d"])
def test_pools(op):
    rng = np.random.default_rng(SEED)
    undilated = [g for g in GEOMETRIES if g[3] == (1, 1)]
    for turn in range(80):
        size, taps, stride, _, same = [*undilated, ((25, 5), (25, 5), (1, 1), (1, 1), False)][turn % (len(undilated) + 1)]
        channels, activation = int(rng.integers(1, 20)), ACTIVATIONS[turn % 4]
        scale, zero = random_scale(rng), ZEROS[turn % 5]
        v = kernel_cases.window(size, taps, stride, same=same)
        options = Pool2DOptions(*taps, *stride, Padding.SAME if same else Padding.VALID, activation)
        ends = tensor((1, *size, channels), scale, zero), tensor((1, v.out_h, v.out_w, channels), scale, zero)
        limits = output_range(activation, float(scale), zero)
        p = Pool2DParams(v, channels, limits.lo, limits.hi)
        x = rng.integers(-128, 128, (4, *size, channels)).astype(np.int8)
        got = np.stack([getattr(kernels, f"{op}_s8")(p, image) for image in x])
        assert_equal(Judge(single(op, ends, options)).run(x), got, f"{op} {p} {activation}")


@pytest.mark.parametrize("op", ["quantize", "relu", "relu6", "relu_n1_to_1"])
def test_requantize(op):
    activation = Activation.NONE if op == "quantize" else Activation(op)
    rng = np.random.default_rng(SEED)
    for turn in range(300):
        (sx, sy), zx, zy = awkward_scales(rng, turn), ZEROS[turn % 5], ZEROS[turn // 5 % 5]
        r = (requantize_rescale if op == "quantize" else relu_rescale)(sx, sy)
        p = RequantizeParams(256, zx, r, output_range(activation, sy, zy))
        want = Judge(single(op, [tensor((1, 256), sx, zx), tensor((1, 256), sy, zy)])).run(EVERYTHING)
        assert_equal(want, kernels.requantize_s8(p, EVERYTHING), f"{op} {sx!r} {zx} -> {sy!r} {zy}")
        assert_equal(want, reference.requantize_s8(p, EVERYTHING), f"oracle of {op} {sx!r} {zx} -> {sy!r} {zy}")


def test_softmax():
    rng = np.random.default_rng(SEED)
    for turn in range(150):
        size = int(rng.integers(1, 60)) if turn % 10 else int(rng.integers(200, 1500))
        # The reference aborts where a row's exponentials sum to 512 or more.
        scale = np.float32(2.0 ** rng.uniform(-12 if size < 512 else -3, 3))
        beta = np.float32((1.0, 1.0, 0.37, 2.5)[turn % 4])
        graph = single(
            "softmax", [tensor((1, size), scale, ZEROS[turn % 5]), tensor((1, size), 1 / 256, -128)], SoftmaxOptions(beta)
        )
        x = rng.integers(-128, 128, (20, size)).astype(np.int8)
        want = Judge(graph).run(x)
        what = f"softmax size={size} scale={scale!r} beta={beta!r}"
        p = softmax_params(scale, beta, rows=20, size=size)
        assert_equal(want, kernels.softmax_s8(p, x), what)
        assert_equal(want, reference.softmax_s8(x, scale, beta), f"oracle of {what}")


def test_argmax():
    rng = np.random.default_rng(SEED)
    for size in (1, 2, 10, 300):
        axis = tensor((), dtype="int32", data=np.array(1, np.int32))
        graph = single("argmax", [tensor((1, size), 0.1, 3), axis, tensor((1,), dtype="int32")])
        x = rng.integers(-4, 4, (30, size)).astype(np.int8)
        assert_equal(Judge(graph).run(x), kernels.argmax_s8(ArgmaxParams(30, size), x), f"argmax size={size}")


def test_quantize_and_dequantize():
    rng = np.random.default_rng(SEED)
    for turn in range(40):
        scale, zero = random_scale(rng), ZEROS[turn % 5]
        p = QuantizeParams(256, scale, zero)
        q, f = tensor((1, 256), scale, zero), tensor((1, 256), dtype="float32")
        want = Judge(single("dequantize", [q, f])).run(EVERYTHING)
        got = kernels.dequantize_s8_f32(p, EVERYTHING)
        assert_equal(want.view(np.uint32), got.view(np.uint32), f"dequantize {scale!r} {zero}")
        halves = (np.arange(-128, 128) + np.float32(0.5)) * scale
        for x in (halves, np.nextafter(halves, np.float32(0)), rng.uniform(-200, 200, 256) * scale):
            x32 = x.astype(np.float32)
            want = Judge(single("quantize", [f, q])).run(x32)
            assert_equal(want, kernels.quantize_f32_s8(p, x32), f"quantize {scale!r} {zero}")


def test_litert_gives_the_same_bytes():
    rng = np.random.default_rng(SEED)
    models = [(what, graph, x) for what, graph, _, _, _, x in dense_models(12)]
    models += [(m[0], m[1], m[5]) for m in (conv_model(turn, rng) for turn in range(13))]
    ends = tensor((1, 10), 0.2, 5), tensor((1, 10), 1 / 256, -128)
    models.append(("softmax", single("softmax", ends, SoftmaxOptions()), rng.integers(-128, 128, (50, 10)).astype(np.int8)))
    pair = tensor((1, 256), 0.01, 5), tensor((1, 256), 0.037, -7)
    models += [(op, single(op, pair, NoOptions()), EVERYTHING) for op in ("quantize", "relu", "relu6")]
    for what, graph, x in models:
        content = to_tflite(graph)
        other = LiteRT(model_content=content, experimental_op_resolver_type=LiteRTResolver.BUILTIN_REF)
        other.allocate_tensors()
        want = Judge(content).run(x)
        for row, expected in zip(x.reshape(-1, *graph.tensors[0].shape), want, strict=True):
            other.set_tensor(other.get_input_details()[0]["index"], row)
            other.invoke()
            assert_equal(expected, other.get_tensor(other.get_output_details()[0]["index"]), f"LiteRT: {what}")
