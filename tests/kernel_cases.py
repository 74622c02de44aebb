"""Cases for every int8 kernel, from a seed: one set for the oracle, the Python bindings, and the C tests on host and chip."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import reference
from numpy.typing import NDArray

from engine.program import (
    AddParams,
    ArgmaxParams,
    Broadcast,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    CopyParams,
    DenseParams,
    DenseWideParams,
    LookupParams,
    MeanParams,
    MulParams,
    OutputS8,
    PadParams,
    Params,
    Pool2DParams,
    QuantizeParams,
    Ratio,
    RequantizeParams,
    Rescale,
    Window,
)
from engine.rescale import fixed_point, softmax_params

SEED = 20
FILLS = ("random", "min", "max", "alternating", "zero")
#: Rescale records by name; None stands for one that spreads this case's accumulators over int8.
RESCALES: dict[str, Rescale | None] = {
    "fitting": None,
    "zero": Rescale(0, 0, 0),
    "one": Rescale(2**30, 1, 0),
    "ends": Rescale(2**31 - 1, 0, 0),
    "left 1": Rescale(1518500250, 1, 0),
    "left 30": Rescale(2**31 - 1, 30, 0),
    "right 1": Rescale(2**30, 0, 1),
    "right 2": Rescale(1234567891, 0, 2),
    "right 31": Rescale(2**31 - 1, 0, 31),
}
OUTPUTS = (
    OutputS8(0, -128, 127),
    OutputS8(-128, -128, 127),
    OutputS8(127, -128, 127),
    OutputS8(-15, -15, 100),
    OutputS8(3, 3, 3),
)


@dataclass(frozen=True, eq=False)
class Case:
    """One call: `args` follow params; `want` is the oracle's answer."""

    kernel: str
    name: str
    params: Params
    args: tuple[NDArray, ...]
    want: NDArray = field(repr=False)

    def __str__(self) -> str:
        return f"{self.kernel} {self.name}"


def fill(rng: np.random.Generator, kind: str, shape: tuple[int, ...], low: int = -128) -> NDArray[np.int8]:
    """Codes: random, all at one end, the two ends by turns, or zero; `low` is the lower end."""
    count = int(np.prod(shape))
    values = {
        "random": lambda: rng.integers(low, 128, count),
        "min": lambda: np.full(count, low),
        "max": lambda: np.full(count, 127),
        "alternating": lambda: np.where(np.arange(count) % 2, 127, low),
        "zero": lambda: np.zeros(count),
    }
    return values[kind]().astype(np.int8).reshape(shape)


def records(rng: np.random.Generator, name: str, count: int, spread: float) -> tuple[Rescale, ...]:
    """`count` records of a kind; the fitting ones bring accumulators of size `spread` near the ends of int8."""
    fixed = RESCALES[name]
    if fixed is not None:
        return (fixed,) * count
    return tuple(fixed_point(float(ratio)) for ratio in 100 / max(spread, 1.0) * 2.0 ** rng.uniform(-1, 1, count))


def biases(rng: np.random.Generator, w: NDArray[np.int8], x_max: int, *, at_bound: bool) -> NDArray[np.int32]:
    """int32[out]: small, or as large as the accumulator's proof allows, with either sign."""
    flat = np.abs(w.astype(np.int64)).reshape(len(w), -1)
    if at_bound:
        return ((2**31 - 1 - x_max * flat.sum(axis=1)) * np.where(np.arange(len(w)) % 2, -1, 1)).astype(np.int32)
    return rng.integers(-1000, 1001, len(w)).astype(np.int32)


def dense_cases(rng: np.random.Generator, sizes: tuple[int, ...] = (1, 2, 3, 7, 8, 9, 13, 31, 300)) -> Iterator[Case]:
    """Every size against a few outputs; fills, rescale records, outputs and bias at the bound by turns."""
    names = list(RESCALES)
    for turn in range(9 * len(sizes)):
        n_in, n_out = sizes[turn % len(sizes)], (1, 2, 3, 5)[turn % 4]
        x_kind, w_kind, rescale = FILLS[turn % 5], FILLS[turn // 5 % 5], names[turn // len(sizes) % len(names)]
        x, w = fill(rng, x_kind, (n_in,)), fill(rng, w_kind, (n_out, n_in), -128 if turn % 3 == 0 else -127)
        at_bound = turn % 7 == 3
        bias = biases(rng, w, 128, at_bound=at_bound)
        spread = 2.0**31 if at_bound else 60.0 * 60.0 * n_in**0.5 + 500
        step = int(turn % 2 == 0)
        p = DenseParams(n_in, n_out, step, OUTPUTS[turn % 5], records(rng, rescale, n_out if step else 1, spread))
        name = f"{n_in}->{n_out} x={x_kind} w={w_kind} rescale={rescale}{' bias at bound' * at_bound} turn={turn}"
        yield Case("dense_s8", name, p, (x, w, bias), reference.dense_s8(p, x, w, bias))


def dense_wide_cases(rng: np.random.Generator, count: int = 90) -> Iterator[Case]:
    """Ratios that bring accumulators onto ties and next to them, ordinary ones, and the extremes."""
    for turn in range(count):
        rows, n_in, n_out = (1, 2, 3, 7)[turn % 4], (1, 2, 3, 7, 8, 13, 31)[turn % 7], (1, 2, 3, 5)[turn // 2 % 4]
        x, w = fill(rng, FILLS[turn % 5], (rows, n_in)), fill(rng, FILLS[turn // 5 % 5], (n_out, n_in), -128)
        at_bound = turn % 6 == 3
        bias = biases(rng, w, 128, at_bound=at_bound)
        step = int(turn % 2 == 0)
        numbers = [tie_ratio(rng, turn + n, 2.0**31 if at_bound else 6000.0) for n in range(n_out if step else 1)]
        p = DenseWideParams(rows, n_in, n_out, step, OUTPUTS[turn % 5], tuple(map(bits_of, numbers)))
        yield Case(
            "dense_wide_s8", f"{rows}x{n_in}->{n_out} turn={turn}", p, (x, w, bias), reference.dense_wide_s8(p, x, w, bias)
        )


def tie_ratio(rng: np.random.Generator, turn: int, spread: float) -> float:
    """Ratio that takes some accumulator to n + 1/2, an ulp up or down, or anything between 2**-426 and 2**405."""
    tie = (int(rng.integers(0, 255)) + 0.5) / int(rng.integers(1, int(spread)))
    return (tie, np.nextafter(tie, 0), np.nextafter(tie, 1), 2.0 ** rng.uniform(-426, 405), 100 / spread, 0.0)[turn % 6]


def bits_of(ratio: float) -> Ratio:
    return Ratio(*struct.unpack("<II", struct.pack("<d", ratio)))


def window(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    *,
    same: bool,
) -> Window:
    """Geometry with TensorFlow's SAME or VALID padding."""
    out, pad = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        extent = (k - 1) * d + 1
        count = -(-n // s) if same else (n - extent) // s + 1
        out.append(count)
        pad.append(max((count - 1) * s + extent - n, 0) // 2 if same else 0)
    return Window(*size, *out, *kernel, *stride, *dilation, *pad)


#: (image, kernel, stride, dilation, same): ragged on purpose.
GEOMETRIES = (
    ((1, 1), (1, 1), (1, 1), (1, 1), False),
    ((5, 7), (3, 3), (1, 1), (1, 1), False),
    ((5, 7), (3, 3), (1, 1), (1, 1), True),
    ((7, 8), (3, 2), (2, 3), (1, 1), False),
    ((7, 8), (3, 2), (2, 3), (1, 1), True),
    ((8, 8), (4, 4), (2, 2), (1, 1), True),
    ((9, 7), (2, 3), (1, 1), (3, 2), False),
    ((9, 7), (3, 3), (1, 1), (2, 3), True),
    ((1, 13), (1, 5), (1, 2), (1, 1), True),
    ((13, 1), (4, 1), (3, 1), (1, 1), False),
    ((2, 3), (5, 7), (1, 1), (1, 1), True),
    ((3, 3), (3, 3), (1, 1), (1, 1), False),
    ((9, 9), (1, 1), (4, 2), (1, 1), True),
)
CHANNELS = ((1, 1), (1, 3), (2, 5), (3, 2), (7, 1), (8, 4))


def conv_case(rng: np.random.Generator, turn: int) -> tuple[Conv2DParams, tuple[NDArray, ...], str]:
    """One convolution; all that varies does so with `turn`."""
    size, kernel, stride, dilation, same = GEOMETRIES[turn % len(GEOMETRIES)]
    in_c, out_c = CHANNELS[turn // 2 % len(CHANNELS)]
    x_kind, w_kind, rescale = FILLS[turn % 5], FILLS[turn // 7 % 5], list(RESCALES)[turn // 3 % len(RESCALES)]
    zero_x = (0, -128, 127, -3, 0)[turn // 4 % 5]
    x_max = max(127 - zero_x, zero_x + 128)
    x, w = fill(rng, x_kind, (*size, in_c)), fill(rng, w_kind, (out_c, *kernel, in_c), -127 - (turn % 3 == 0))
    at_bound = turn % 11 == 5
    bias = biases(rng, w, x_max, at_bound=at_bound)
    spread = 2.0**31 if at_bound else 60.0 * x_max * (in_c * kernel[0] * kernel[1]) ** 0.5 + 500
    step = int(turn % 2 == 0)
    v = window(size, kernel, stride, dilation, same=same)
    p = Conv2DParams(v, in_c, out_c, zero_x, step, OUTPUTS[turn % 5], records(rng, rescale, out_c if step else 1, spread))
    name = (
        f"{size}x{in_c} kernel={kernel} stride={stride} dilation={dilation} {'SAME' if same else 'VALID'} -> {out_c} x={x_kind}"
    )
    return p, (x, w, bias), f"{name} w={w_kind} zero_x={zero_x} rescale={rescale}{' bias at bound' * at_bound} turn={turn}"


def conv2d_cases(rng: np.random.Generator, count: int = 180) -> Iterator[Case]:
    """Geometries, channels, fills, zero points, records."""
    for turn in range(count):
        p, args, name = conv_case(rng, turn)
        yield Case("conv2d_s8", name, p, args, reference.conv2d_s8(p, *args))


def left_shift_fits(p: Conv2DParams, w: NDArray[np.int8], bias: NDArray[np.int32]) -> bool:
    """The fused kernel's condition: no accumulator leaves int32 when shifted left."""
    x_max = max(127 - p.zero_x, p.zero_x + 128)
    bound = x_max * np.abs(w.astype(np.int64)).reshape(len(w), -1).sum(axis=1) + np.abs(bias.astype(np.int64))
    return all(int(b) << p.rescale[n * p.rescale_step].left < 2**31 for n, b in enumerate(bound))


def conv2d_max_pool2d_cases(rng: np.random.Generator, count: int = 120) -> Iterator[Case]:
    """The same convolutions, pooled by windows that fit what they give."""
    for turn in range(count):
        conv, args, name = conv_case(rng, turn)
        if not left_shift_fits(conv, *args[1:]):
            p_y = records(rng, "fitting", len(conv.rescale), 2.0**31)
            conv = replace(conv, rescale=p_y)
        size = (conv.window.out_h, conv.window.out_w)
        kernel = (min(2 + turn % 2, size[0]), min(2 + turn // 2 % 2, size[1]))
        stride, same = ((2, 2), (1, 3), (3, 1))[turn % 3], turn % 4 == 1
        pool = window(size, kernel, stride, (1, 1), same=same)
        p = Conv2DMaxPool2DParams(conv, pool)
        name = f"{name} pool={kernel} stride={stride} {'SAME' if same else 'VALID'}"
        yield Case("conv2d_max_pool2d_s8", name, p, args, reference.conv2d_max_pool2d_s8(p, *args))


def pool_cases(rng: np.random.Generator, kernel: str, count: int = 65) -> Iterator[Case]:
    """Geometries and channels, clamps, fills; windows up to 25 x 5."""
    oracle: Callable[[Pool2DParams, NDArray], NDArray] = getattr(reference, kernel)
    geometries = (*GEOMETRIES, ((25, 5), (25, 5), (1, 1), (1, 1), False), ((8, 8), (8, 8), (8, 8), (1, 1), False))
    for turn in range(count):
        size, taps, stride, dilation, same = geometries[turn % len(geometries)]
        channels, kind = (1, 2, 3, 7, 8, 13)[turn % 6], FILLS[turn // 3 % 5]
        lo, hi = ((-128, 127), (-20, 127), (0, 31), (5, 5))[turn % 4]
        p = Pool2DParams(window(size, taps, stride, dilation, same=same), channels, lo, hi)
        x = fill(rng, kind, (*size, channels))
        name = f"{size}x{channels} kernel={taps} stride={stride} dilation={dilation} {'SAME' if same else 'VALID'} x={kind}"
        yield Case(kernel, f"{name} [{lo}, {hi}] turn={turn}", p, (x,), oracle(p, x))


def requantize_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Every record and zero points at the ends, over all 256 codes."""
    everything = np.arange(-128, 128).astype(np.int8)
    for turn, (name, record) in enumerate(RESCALES.items()):
        for zero_x in (-128, -1, 0, 127):
            r = record or fixed_point(float(2.0 ** rng.uniform(-4, 1)))
            p = RequantizeParams(256, zero_x, r, OUTPUTS[(turn + zero_x) % 5])
            yield Case(
                "requantize_s8", f"zero_x={zero_x} rescale={name}", p, (everything,), reference.requantize_s8(p, everything)
            )
    p = RequantizeParams(1, 5, Rescale(2**30, 1, 0), OUTPUTS[0])
    yield Case("requantize_s8", "one code", p, (everything[:1],), reference.requantize_s8(p, everything[:1]))


def softmax_cases(rng: np.random.Generator, sizes: tuple[int, ...] = (1, 2, 3, 10, 101)) -> Iterator[Case]:
    """Sizes, scales from flat to one-hot, fills."""
    for turn in range(8 * len(sizes)):
        size, rows = sizes[turn % len(sizes)], 1 + turn % 3
        scale = float(np.float32((0.001, 0.01, 1 / 16, 0.17, 0.5, 3.0, 300.0)[turn % 7]))
        beta = (1.0, 1.0, 0.3)[turn % 3]
        x = fill(rng, FILLS[turn // 2 % 5], (rows, size))
        p = softmax_params(scale, beta, rows=rows, size=size)
        name = f"{rows}x{size} scale={scale:g} beta={beta} turn={turn}"
        yield Case("softmax_s8", name, p, (x,), reference.softmax_s8(x, scale, beta))


def argmax_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Ties, ends, one code."""
    for turn, size in enumerate((1, 2, 3, 10, 300)):
        for kind in FILLS:
            p, x = ArgmaxParams(1 + turn, size), fill(rng, kind, (1 + turn, size))
            yield Case("argmax_s8", f"{1 + turn}x{size} x={kind}", p, (x,), reference.argmax_s8(p, x))


def quantize_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Ties, values at the edge of a tie, far outside, infinite, NaN, subnormal."""
    edge = float(np.nextafter(np.float32(0.5), np.float32(0)))
    special = [0.0, -0.0, 0.5, -0.5, 1.5, -1.5, edge, -edge, 254.5, 1e30, -1e30, np.inf, -np.inf, np.nan, 1e-40, 127.5, -128.5]
    for scale in (1.0, 0.5, 1 / 255, 1e-30, 1e30):
        for zero in (-128, 0, 127):
            with np.errstate(over="ignore"):
                x = (np.array([*special, *rng.uniform(-300, 300, 15)]) * scale).astype(np.float32)
            p = QuantizeParams(len(x), np.float32(scale), zero)
            yield Case("quantize_f32_s8", f"scale={scale:g} zero={zero}", p, (x,), reference.quantize_f32_s8(p, x))


def dequantize_cases() -> Iterator[Case]:
    """All codes."""
    everything = np.arange(-128, 128).astype(np.int8)
    for scale in (1.0, 0.1, 1 / 255, 1e-30, 1e30):
        for zero in (-128, 0, 127):
            p = QuantizeParams(256, np.float32(scale), zero)
            want = reference.dequantize_s8_f32(p, everything)
            yield Case("dequantize_s8_f32", f"scale={scale:g} zero={zero}", p, (everything,), want)


def depthwise_cases(rng: np.random.Generator, count: int = 130) -> Iterator[Case]:
    """Geometries, channels and multipliers, fills, zero points, records."""
    for turn in range(count):
        size, kernel, stride, dilation, same = GEOMETRIES[turn % len(GEOMETRIES)]
        in_c, copies = (1, 2, 3, 5, 8)[turn // 2 % 5], (1, 1, 2, 3)[turn % 4]
        out_c, zero_x, step = in_c * copies, (0, -128, 127, -3, 0)[turn // 4 % 5], int(turn % 2 == 0)
        x_kind, w_kind, rescale = FILLS[turn % 5], FILLS[turn // 7 % 5], list(RESCALES)[turn // 3 % len(RESCALES)]
        x, w = fill(rng, x_kind, (*size, in_c)), fill(rng, w_kind, (*kernel, out_c), -127 - (turn % 3 == 0))
        x_max, at_bound = max(127 - zero_x, zero_x + 128), turn % 11 == 5
        bias = biases(rng, np.moveaxis(w, -1, 0), x_max, at_bound=at_bound)
        spread = 2.0**31 if at_bound else 60.0 * x_max * (kernel[0] * kernel[1]) ** 0.5 + 500
        v = window(size, kernel, stride, dilation, same=same)
        p = Conv2DParams(v, in_c, out_c, zero_x, step, OUTPUTS[turn % 5], records(rng, rescale, out_c if step else 1, spread))
        name = f"{size}x{in_c} kernel={kernel} stride={stride} dilation={dilation} {'SAME' if same else 'VALID'} -> {out_c}"
        name = f"{name} x={x_kind} w={w_kind} zero_x={zero_x} rescale={rescale}{' bias at bound' * at_bound} turn={turn}"
        yield Case("depthwise_conv2d_s8", name, p, (x, w, bias), reference.depthwise_conv2d_s8(p, x, w, bias))


#: How two operands meet: result's size, and size and repeat of each.
BROADCASTS = (
    (1, (1, 1), (1, 1)),
    (37, (37, 1), (37, 1)),
    (37, (37, 1), (1, 1)),
    (30, (1, 30), (30, 1)),
    (30, (30, 1), (5, 1)),
    (30, (6, 1), (30, 1)),
    (30, (30, 1), (6, 5)),
    (30, (3, 2), (5, 1)),
)


def operand_cases(rng: np.random.Generator, kernel: str, count: int = 96) -> Iterator[Case]:
    """Broadcasts, fills and zero points of both operands, scales from equal to far apart."""
    oracle = getattr(reference, kernel)
    for turn in range(count):
        n, one, other = BROADCASTS[turn % len(BROADCASTS)]
        zeros = (0, -128, 127, -3, 57)[turn % 5], (0, 127, -128, 11)[turn % 4]
        kinds = FILLS[turn // 3 % 5], FILLS[turn // 5 % 5]
        x, x2 = fill(rng, kinds[0], one[:1]), fill(rng, kinds[1], other[:1])
        common = (n, Broadcast(*one), Broadcast(*other), *zeros)
        if kernel == "mul_s8":
            r = records(rng, list(RESCALES)[turn % len(RESCALES)], 1, 6000.0)[0]
            p: Params = MulParams(*common, r, OUTPUTS[turn % 5])
        else:
            ratio = (1.0, float(rng.uniform(0.01, 1)), 2.0**-12, 2.0**-31)[turn % 4]
            r, r2 = fixed_point(0.5), fixed_point(0.5 * ratio)
            r, r2 = (r, r2) if turn % 3 else (r2, r)
            r_y = (
                fixed_point(2.0**-18 * float(2.0 ** rng.uniform(-3, 3)))
                if turn % 7
                else Rescale(2**31 - 1, 0, (0, 31)[turn % 2])
            )
            p = AddParams(*common, r, r2, r_y, OUTPUTS[turn % 5])
        name = f"{n} of {one} and {other} x={kinds[0]} x2={kinds[1]} zeros={zeros} turn={turn}"
        yield Case(kernel, name, p, (x, x2), oracle(p, x, x2))


def mean_cases(rng: np.random.Generator, count: int = 60) -> Iterator[Case]:
    """Pixels and channels, ratios, multipliers of 30 bits, zero points."""
    for turn in range(count):
        pixels, channels = (1, 2, 3, 7, 9, 49, 125)[turn % 7], (1, 2, 5, 8)[turn % 4]
        zero_x, kind = (0, -128, 127, -3, 57)[turn % 5], FILLS[turn // 2 % 5]
        ratio = float(2.0 ** rng.uniform(-3, 3))
        r = fixed_point(ratio / pixels)
        if turn % 6 == 2:
            r = Rescale(2**29 + turn, 0, 1)
        p = MeanParams(pixels, channels, zero_x, r, OUTPUTS[turn % 5])
        x = fill(rng, kind, (pixels, channels))
        yield Case("mean_s8", f"{pixels}x{channels} x={kind} {r} turn={turn}", p, (x,), reference.mean_s8(p, x))


def copy_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Whole rows and parts of them."""
    for rows, size, stride, first in ((1, 1, 1, 0), (1, 9, 9, 0), (1, 5, 12, 7), (7, 3, 8, 0), (7, 3, 8, 5), (2, 1, 300, 299)):
        for kind in ("random", "min", "alternating"):
            p, x = CopyParams(rows, size, stride, first), fill(rng, kind, (rows, size))
            yield Case("copy_s8", f"{rows}x{size} to {first} of {stride} x={kind}", p, (x,), reference.copy_s8(p, x))


def pad_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Margins on every side, and on none."""
    margins = (
        (0, 0, 0, 0, 0, 0),
        (1, 1, 1, 1, 0, 0),
        (0, 1, 0, 1, 0, 0),
        (2, 0, 3, 0, 0, 0),
        (0, 0, 0, 0, 2, 5),
        (1, 2, 3, 4, 5, 6),
    )
    for turn, (size, margin) in enumerate((s, m) for s in ((1, 1, 1), (5, 4, 3), (1, 7, 8)) for m in margins):
        p, x = PadParams(*size, *margin, (-128, 127, 0, -7)[turn % 4]), fill(rng, FILLS[turn % 5], size)
        yield Case("pad_s8", f"{size} by {margin} turn={turn}", p, (x,), reference.pad_s8(p, x))


def lookup_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Every code, and few of them, through random tables."""
    everything = np.arange(-128, 128).astype(np.int8)
    for turn in range(12):
        x = everything if turn % 3 == 0 else fill(rng, FILLS[turn % 5], (turn,))
        p = LookupParams(len(x), tuple(int(c) for c in rng.integers(-128, 128, 256)))
        yield Case("lookup_s8", f"{len(x)} codes turn={turn}", p, (x,), reference.lookup_s8(p, x))


def unsigned(cases: Iterator[Case], kernel: str) -> Iterator[Case]:
    """The same params for the twin with uint8 codes."""
    for case in cases:
        x = reference.as_u8(case.args[0]) if kernel in {"requantize_u8_s8", "dequantize_u8_f32"} else case.args[0]
        yield Case(kernel, case.name, case.params, (x,), getattr(reference, kernel)(case.params, x))


def all_cases(kernel: str, seed: int = SEED) -> list[Case]:
    """Every case of one kernel."""
    rng = np.random.default_rng(seed)
    makers: dict[str, Callable[[], Iterator[Case]]] = {
        "dense_s8": lambda: dense_cases(rng),
        "dense_wide_s8": lambda: dense_wide_cases(rng),
        "conv2d_s8": lambda: conv2d_cases(rng),
        "conv2d_max_pool2d_s8": lambda: conv2d_max_pool2d_cases(rng),
        "max_pool2d_s8": lambda: pool_cases(rng, "max_pool2d_s8"),
        "average_pool2d_s8": lambda: pool_cases(rng, "average_pool2d_s8"),
        "requantize_s8": lambda: requantize_cases(rng),
        "softmax_s8": lambda: softmax_cases(rng),
        "argmax_s8": lambda: argmax_cases(rng),
        "quantize_f32_s8": lambda: quantize_cases(rng),
        "dequantize_s8_f32": dequantize_cases,
        "depthwise_conv2d_s8": lambda: depthwise_cases(rng),
        "add_s8": lambda: operand_cases(rng, "add_s8"),
        "sub_s8": lambda: operand_cases(rng, "sub_s8"),
        "mul_s8": lambda: operand_cases(rng, "mul_s8"),
        "mean_s8": lambda: mean_cases(rng),
        "copy_s8": lambda: copy_cases(rng),
        "pad_s8": lambda: pad_cases(rng),
        "lookup_s8": lambda: lookup_cases(rng),
        "requantize_u8_s8": lambda: unsigned(requantize_cases(rng), "requantize_u8_s8"),
        "requantize_s8_u8": lambda: unsigned(requantize_cases(rng), "requantize_s8_u8"),
        "quantize_f32_u8": lambda: unsigned(quantize_cases(rng), "quantize_f32_u8"),
        "dequantize_u8_f32": lambda: unsigned(dequantize_cases(), "dequantize_u8_f32"),
    }
    return list(makers[kernel]())
