"""Random models of one operator as TensorFlow Lite files have them, for the exactness matrix: name -> maker of a graph."""

from __future__ import annotations

from collections.abc import Callable

import kernel_cases
import numpy as np
from judged import ACTIVATIONS, ZEROS, awkward_scales, output_scale, random_scale, weight_scales
from tflite_builder import single, tensor

from engine.graph import (
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    LeakyReluOptions,
    MeanOptions,
    NoOptions,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.window import blind_position

Rng = np.random.Generator


def zeros(turn: int) -> tuple[int, int]:
    return ZEROS[turn % 5], ZEROS[turn // 5 % 5]


def channels(rng: Rng) -> int:
    return int(rng.integers(1, 71) if rng.integers(2) else rng.integers(1, 9))


def ints(*values: object) -> Tensor:
    data = np.array(values[0] if len(values) == 1 else values, np.int32)
    return tensor(data.shape, dtype="int32", data=data)


def codes(rng: Rng, shape: tuple[int, ...], scale: object, zero: int = 0, *, axis: int = 0, lowest: int = -128) -> Tensor:
    return tensor(shape, scale, zero, data=rng.integers(lowest, 128, shape).astype(np.int8), axis=axis)


def bias(rng: Rng, count: int, scale: np.ndarray, *, always: bool = False) -> list[Tensor]:
    """Now and then none, where the reference allows that."""
    if rng.integers(5) == 0 and not always:
        return []
    spread = 2.0 ** rng.uniform(3, 20 if rng.integers(4) == 0 else 12)
    return [tensor((count,), scale, dtype="int32", data=rng.normal(scale=spread, size=count).astype(np.int32))]


def dense(rng: Rng, turn: int) -> Graph:
    size, out = int(rng.integers(1, 300 if turn % 3 else 40)), channels(rng)
    rows = int(rng.integers(1, 5)) if turn % 4 == 0 else 1
    lead = ((1,), (1, rows), (1, 1, rows), (1, rows, 1))[turn // 2 % 4]
    keep = turn % 2 == 1 or rows > 1
    if not keep:
        lead, rows = (1,), 1
    per_channel = out > 1 and bool(rng.integers(2))
    (zx, zy), sx, sw = zeros(turn), random_scale(rng), weight_scales(rng, out if per_channel else 1)
    sy = output_scale(rng, turn, sx, sw, size)
    x, w = tensor((*lead, size), sx, zx), codes(rng, (out, size), sw, lowest=-128 if turn % 3 == 0 else -127)
    y = tensor((*lead, out) if keep else (1, out), sy, zy)
    return single("dense", [x, w, *bias(rng, out, sx * sw), y], DenseOptions(ACTIVATIONS[turn % 4], keep_num_dims=keep))


def geometry(rng: Rng, *, dilated: bool):
    """Window with its options, none of whose positions sees padding only."""
    while True:
        size = tuple(int(n) for n in rng.integers(1, 13, 2))
        kernel = tuple(int(rng.integers(1, min(n, 5) + 1)) for n in size)
        stride = tuple(int(n) for n in rng.integers(1, 4, 2))
        dilation = tuple(int(n) for n in rng.integers(1, 4, 2)) if dilated and rng.integers(3) == 0 else (1, 1)
        same = bool(rng.integers(2))
        win = kernel_cases.window(size, kernel, stride, dilation, same=same)
        if min(win.out_h, win.out_w) > 0 and not blind_position(win):
            return win, Padding.SAME if same else Padding.VALID


def conv2d(rng: Rng, turn: int) -> Graph:
    win, padding = geometry(rng, dilated=True)
    groups = int(rng.integers(2, 4)) if turn % 9 == 8 else 1
    in_c, out_c = (groups * max(channels(rng) // groups, 1) for _ in range(2))
    (zx, zy), sx = zeros(turn), random_scale(rng)
    sw = weight_scales(rng, 1 if turn % 7 == 6 else out_c)
    taps = win.kernel_h * win.kernel_w * in_c // groups
    options = Conv2DOptions(win.stride_h, win.stride_w, win.dilation_h, win.dilation_w, padding, ACTIVATIONS[turn % 4])
    w = codes(rng, (out_c, win.kernel_h, win.kernel_w, in_c // groups), sw, lowest=-128 if turn % 3 == 0 else -127)
    y = tensor((1, win.out_h, win.out_w, out_c), output_scale(rng, turn, sx, sw, taps), zy)
    return single(
        "conv2d", [tensor((1, win.in_h, win.in_w, in_c), sx, zx), w, *bias(rng, out_c, sx * sw, always=True), y], options
    )


def depthwise(rng: Rng, turn: int) -> Graph:
    win, padding = geometry(rng, dilated=True)
    multiplier = int(rng.integers(1, 5)) if turn % 3 == 0 else 1
    in_c = max(channels(rng) // multiplier, 1)
    out_c = in_c * multiplier
    (zx, zy), sx = zeros(turn), random_scale(rng)
    sw = weight_scales(rng, 1 if turn % 7 == 6 else out_c)
    options = Conv2DOptions(win.stride_h, win.stride_w, win.dilation_h, win.dilation_w, padding, ACTIVATIONS[turn % 4])
    w = codes(rng, (1, win.kernel_h, win.kernel_w, out_c), sw, axis=3)
    sy = output_scale(rng, turn, sx, sw, win.kernel_h * win.kernel_w)
    ends = tensor((1, win.in_h, win.in_w, in_c), sx, zx), tensor((1, win.out_h, win.out_w, out_c), sy, zy)
    return single("depthwise_conv2d", [ends[0], w, *bias(rng, out_c, sx * sw), ends[1]], options)


def pool(op: str) -> Callable[[Rng, int], Graph]:
    def make(rng: Rng, turn: int) -> Graph:
        win, padding = geometry(rng, dilated=False)
        count, zero, scale = channels(rng), ZEROS[turn % 5], random_scale(rng)
        options = Pool2DOptions(win.kernel_h, win.kernel_w, win.stride_h, win.stride_w, padding, ACTIVATIONS[turn % 4])
        ends = [tensor((1, h, w, count), scale, zero) for h, w in ((win.in_h, win.in_w), (win.out_h, win.out_w))]
        return single(op, ends, options)

    return make


def shape_of(rng: Rng) -> tuple[int, ...]:
    return (1, *(int(n) for n in rng.integers(1, 8, rng.integers(1, 3))), channels(rng))


def simple(op: str, *, fixed: tuple[float, int] | None = None) -> Callable[[Rng, int], Graph]:
    """Operators of one code to one code."""

    def make(rng: Rng, turn: int) -> Graph:
        shape, (sx, sy), (zx, zy) = shape_of(rng), awkward_scales(rng, turn), zeros(turn)
        sy, zy = fixed or (sy, zy)
        if op == "hard_swish":
            sy = np.float32(sx * 2.0 ** rng.uniform(-6, 6))
        alpha = float(np.float32((0.1, 0.3, 0.01, 1.7, -0.5, 0.0)[turn % 6]))
        options = LeakyReluOptions(alpha) if op == "leaky_relu" else NoOptions()
        return single(op, [tensor(shape, sx, zx), tensor(shape, sy, zy)], options)

    return make


def softmax(rng: Rng, turn: int) -> Graph:
    size = int(rng.integers(1, 200))
    shape = (1, *((int(rng.integers(1, 9)),) if turn % 2 else ()), size)
    beta = (1.0, 1.0, 0.37, 2.5)[turn % 4]
    x = tensor(shape, np.float32(2.0 ** rng.uniform(-12, 3)), ZEROS[turn % 5])
    return single("softmax", [x, tensor(shape, 1 / 256, -128)], SoftmaxOptions(float(np.float32(beta))))


def join(op: str) -> Callable[[Rng, int], Graph]:
    """Two activations, or one and a constant on either side, of the same shape or repeated."""

    def make(rng: Rng, turn: int) -> Graph:
        shape = (1, *(int(n) for n in rng.integers(1, 7, 2)), channels(rng))
        other = (shape, shape[-1:], (1, *shape[1:3], 1), (), (1, 1, 1, shape[3]))[turn % 5]
        (zx, zx2), sx = zeros(turn), random_scale(rng)
        sx2 = np.float32(sx * 2.0 ** rng.uniform(-7, 7))
        spread = float(sx) * float(sx2) * 150 if op == "mul" else max(float(sx), float(sx2))
        y = tensor(shape, np.float32(spread * 2.0 ** rng.uniform(-3, 3)), ZEROS[turn // 3 % 5])
        options = ElementwiseOptions(ACTIVATIONS[turn // 2 % 4])
        x = tensor(shape, sx, zx)
        if turn % 3 == 0:
            return single(op, [x, tensor(other, sx2, zx2) if len(other) == 4 else tensor(shape, sx2, zx2), y], options)
        if turn % 3 == 2 and (op != "sub" or other == ()):
            return single(op, [codes(rng, other, sx2, zx2), x, y], options)
        middle = (1, shape[1], 1, shape[3])
        return single(op, [x, codes(rng, middle if turn % 7 == 0 else other, sx2, zx2), y], options)

    return make


def mean(rng: Rng, turn: int) -> Graph:
    shape = (1, *(int(n) for n in rng.integers(1, 12, 2)), channels(rng)) if turn % 4 else (1, int(rng.integers(1, 60)), 7)
    axes = ((1, 2), (1, 2), (-3, -2), (1, 2, 3))[turn // 4 % 4] if len(shape) == 4 else (1,)
    keep = turn % 2 == 1
    gone = {a % len(shape) for a in axes}
    out = tuple(1 if i in gone else n for i, n in enumerate(shape) if keep or i not in gone)
    (sx, sy), (zx, zy) = awkward_scales(rng, turn), zeros(turn)
    sy = np.float32(sx * 2.0 ** rng.uniform(-4, 1))
    return single("mean", [tensor(shape, sx, zx), ints(axes), tensor(out, sy, zy)], MeanOptions(axes, keep))


def concatenation(rng: Rng, turn: int) -> Graph:
    shape, axis = [1, *(int(n) for n in rng.integers(1, 6, 3))], int(rng.integers(1, 4))
    sizes = [int(n) for n in rng.integers(1, 40, rng.integers(1, 6))]
    scale, zero = random_scale(rng), ZEROS[turn % 5]
    parts = [tensor([*shape[:axis], n, *shape[axis + 1 :]], scale, zero) for n in (*sizes, sum(sizes))]
    return single("concatenation", parts, ConcatenationOptions(axis - 4 if turn % 2 else axis))


def pad(op: str) -> Callable[[Rng, int], Graph]:
    def make(rng: Rng, turn: int) -> Graph:
        shape = (1, *(int(n) for n in rng.integers(1, 7, 2)), channels(rng))[: 4 - turn % 2]
        paddings = np.array([[0, 0], *(rng.integers(0, 4, 2) * (rng.integers(3) > 0) for _ in shape[1:])], np.int32)
        scale, zero = random_scale(rng), ZEROS[turn % 5]
        value = [codes(rng, (1,), scale, zero)] if op == "padv2" else []
        y = tensor(tuple(np.add(shape, paddings.sum(axis=1))), scale, zero)
        return single(op, [tensor(shape, scale, zero), ints(paddings), *value, y])

    return make


def edge(op: str, kinds: tuple[str, str]) -> Callable[[Rng, int], Graph]:
    """QUANTIZE and DEQUANTIZE between the element types `kinds`."""

    def make(rng: Rng, turn: int) -> Graph:
        shape, scales, both = shape_of(rng), awkward_scales(rng, turn), zeros(turn)
        ends = [
            tensor(shape, dtype="float32") if k == "float32" else tensor(shape, s, z + 128 * (k == "uint8"), dtype=k)
            for k, s, z in zip(kinds, scales, both, strict=True)
        ]
        return single(op, ends)

    return make


def argmax(rng: Rng, turn: int) -> Graph:
    shape = (1, *((int(rng.integers(1, 9)),) if turn % 2 else ()), int(rng.integers(1, 70)))
    axis = ints(-1 if turn % 3 else len(shape) - 1)
    return single("argmax", [tensor(shape, random_scale(rng), ZEROS[turn % 5]), axis, tensor(shape[:-1], dtype="int32")])


def reshape(rng: Rng, turn: int) -> Graph:
    shape = shape_of(rng)
    target = ((1, -1), (1, -1, shape[-1]), (-1, *shape[1:]), (1, *shape[:0:-1]))[turn % 4]
    out = np.empty(shape, np.int8).reshape(target).shape
    scale, zero = random_scale(rng), ZEROS[turn % 5]
    return single("reshape", [tensor(shape, scale, zero), ints(target), tensor(out, scale, zero)])


OPERATORS: dict[str, Callable[[Rng, int], Graph]] = {
    "dense": dense,
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise,
    "max_pool2d": pool("max_pool2d"),
    "average_pool2d": pool("average_pool2d"),
    **{op: simple(op) for op in ("relu", "relu6", "relu_n1_to_1", "leaky_relu", "hard_swish")},
    "logistic": simple("logistic", fixed=(1 / 256, -128)),
    "tanh": simple("tanh", fixed=(1 / 128, 0)),
    "softmax": softmax,
    **{op: join(op) for op in ("add", "sub", "mul")},
    "mean": mean,
    "concatenation": concatenation,
    "pad": pad("pad"),
    "padv2": pad("padv2"),
    "requantize": edge("quantize", ("int8", "int8")),
    "quantize_float32": edge("quantize", ("float32", "int8")),
    "quantize_uint8": edge("quantize", ("uint8", "int8")),
    "quantize_to_uint8": edge("quantize", ("int8", "uint8")),
    "dequantize": edge("dequantize", ("int8", "float32")),
    "dequantize_uint8": edge("dequantize", ("uint8", "float32")),
    "argmax": argmax,
    "reshape": reshape,
}
