"""From layers to kernel calls: scales to integers, zero points into biases, proven bounds on accumulators."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import tables
from engine.errors import QuantError
from engine.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    LeakyReluOptions,
    MeanOptions,
    PadOptions,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.program import (
    AddParams,
    ArgmaxParams,
    Broadcast,
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
    RequantizeParams,
    Window,
)
from engine.rescale import (
    add_rescales,
    dense_ratios,
    dense_rescale,
    fold_zero_point,
    mean_rescale,
    mul_rescale,
    output_range,
    product_rescale,
    relu_rescale,
    requantize_rescale,
    softmax_params,
)
from engine.validate import broadcast, mean_shape
from engine.window import blind_position, padded, window

INT8_RANGE = (-128, 127)
ACCUMULATOR_LIMIT = 1 << 31
#: uint8 codes count as int8 codes that are smaller by this.
UINT8_OFFSET = 128

#: Records with the range of a fused activation.
Clamped = DenseParams | DenseWideParams | Conv2DParams | RequantizeParams | AddParams | MulParams | MeanParams
RELUS = {"relu": Activation.RELU, "relu6": Activation.RELU6, "relu_n1_to_1": Activation.RELU_N1_TO_1}


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel call before its buffers are placed; `x`, `x2` and `y` are tensors of the graph.

    `w` of an elementwise kernel is a constant in place of `x2`. `worst` is the bound on the accumulator that the core's own
    check uses: all inputs at the far end of int8.
    """

    kernel: str
    layers: tuple[int, ...]
    params: Params
    x: int
    y: int
    w: NDArray[np.int8] | None = None
    bias: NDArray[np.int32] | None = None
    acc_bound: int = 0
    worst: int = 0
    x2: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """Tensors that the kernel reads."""
        return (self.x,) if self.x2 is None else (self.x, self.x2)


class Lowering:
    """What is known about a graph's tensors: which share bytes, and which int8 codes they can hold."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._owner: dict[int, int] = {}
        self._ranges: dict[int, tuple[int, int]] = {}
        self._maker = {layer.outputs[0]: index for index, layer in enumerate(graph.layers)}
        self._users = Counter(i for layer in graph.layers for i in layer.inputs)
        self._users.update(graph.outputs)
        for layer in graph.layers:
            if layer.op == "reshape":
                self._owner[layer.outputs[0]] = self.owner(layer.inputs[0])

    def owner(self, tensor: int) -> int:
        """Tensor whose bytes this one names; itself unless it is made by a reshape, or by what changes no code."""
        while tensor in self._owner:
            tensor = self._owner[tensor]
        return tensor

    def rename(self, tensor: int, other: int) -> None:
        """Say that a tensor has the bytes of another one."""
        self._owner[tensor] = self.owner(other)

    def calls(self) -> list[Call]:
        """Kernel calls of all layers, in order."""
        calls = []
        for index, layer in enumerate(self.graph.layers):
            if layer.op == "reshape":
                continue
            try:
                made = _BUILDERS[layer.op](self, layer)
            except QuantError as error:
                raise QuantError(f"layer {layer.name!r} ({layer.op}): {error}") from None
            for call in [made] if isinstance(made, Call) else made:
                calls.append(replace(call, layers=(*call.layers, index)))
                self._note_range(call)
        return calls

    def range(self, tensor: int) -> tuple[int, int]:
        """Smallest and largest code of an int8 tensor, over all inputs of the model."""
        return self._ranges.get(self.owner(tensor), INT8_RANGE)

    def _note_range(self, call: Call) -> None:
        lo, hi = self._range_of_output(call)
        if call.y in self._ranges:  # a concatenation's earlier part
            lo, hi = min(lo, self._ranges[call.y][0]), max(hi, self._ranges[call.y][1])
        self._ranges[call.y] = lo, hi

    def _range_of_output(self, call: Call) -> tuple[int, int]:
        params = call.params
        lo, hi = self.range(call.x)
        if isinstance(params, Pool2DParams):
            return clamp(lo, params.lo, params.hi), clamp(hi, params.lo, params.hi)
        if isinstance(params, CopyParams):
            return lo, hi
        if isinstance(params, PadParams):
            return min(lo, params.value), max(hi, params.value)
        if isinstance(params, LookupParams):
            codes = params.codes[lo + 128 : hi + 129]
            return min(codes), max(codes)
        if isinstance(params, Clamped):
            return params.y.lo, params.y.hi
        return INT8_RANGE

    def size(self, tensor: int) -> int:
        """Bytes of a tensor."""
        t = self.graph.tensors[tensor]
        return math.prod(t.shape) * t.dtype.itemsize

    def padding_before(self, tensor: int) -> int | None:
        """Index of a PAD of an image with its zero point that makes this tensor for one layer only."""
        index = self._maker.get(tensor)
        if index is None or self._users[tensor] != 1:
            return None
        layer = self.graph.layers[index]
        options = layer.options
        if not isinstance(options, PadOptions) or len(options.paddings) != 4 or options.paddings[3] != (0, 0):
            return None
        return index if options.value in (None, self.graph.tensors[tensor].zero_point) else None


def _scale(tensor: Tensor) -> float:
    assert tensor.scale is not None
    return float(tensor.scale[0])


def _zero(tensor: Tensor) -> int:
    """Zero point as kernels count."""
    return tensor.zero_point - (UINT8_OFFSET if tensor.dtype == np.uint8 else 0)


def _ends(lowering: Lowering, layer: Layer) -> tuple[Tensor, Tensor]:
    return lowering.graph.tensors[layer.inputs[0]], lowering.graph.tensors[layer.outputs[0]]


def _call(kernel: str, layer: Layer, params: Params) -> Call:
    return Call(kernel, (), params, layer.inputs[0], layer.outputs[0])


def _frozen(data: NDArray[Any]) -> NDArray[Any]:
    """Row-major and read-only, so that what was proven of it stays true."""
    frozen = np.ascontiguousarray(data)
    if frozen.flags.writeable:
        frozen = frozen.copy()
        frozen.flags.writeable = False
    return frozen


def _weights(lowering: Lowering, layer: Layer) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.float32]]:
    """Weights, biases (zeros if absent) and scales of the weights."""
    w = lowering.graph.tensors[layer.inputs[1]]
    assert w.data is not None
    assert w.scale is not None
    out = w.shape[-1] if layer.op == "depthwise_conv2d" else w.shape[0]
    bias = lowering.graph.tensors[layer.inputs[2]].data if layer.inputs[2] >= 0 else None
    return _frozen(w.data), np.zeros(out, np.int32) if bias is None else bias, w.scale


def _bounds(
    w: NDArray[np.int8], bias: NDArray[np.int32], codes: tuple[int, int], zero_x: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bounds on every partial sum ``bias + sum w * (x - zero_x)``, in any order, one an output channel.

    Returns
    -------
    exact, worst : int64[out]
        For inputs within `codes` and for all int8 inputs, the latter as eng_model_check computes it.
    """
    rows = w.reshape(len(w), -1)
    above = np.maximum(rows, 0).sum(axis=1, dtype=np.int64)
    below = rows.sum(axis=1, dtype=np.int64) - above
    lo, hi = min(codes[0] - zero_x, 0), max(codes[1] - zero_x, 0)
    wide = bias.astype(np.int64)
    exact = np.maximum(np.abs(wide + above * hi + below * lo), np.abs(wide + above * lo + below * hi))
    farthest = max(127 - zero_x, zero_x + 128)
    return exact, np.abs(wide) + farthest * (above - below)


def _proven(w: NDArray[np.int8], bias: NDArray[np.int32], codes: tuple[int, int], zero_x: int) -> tuple[int, int]:
    """Largest of :func:`_bounds`; refuses what could leave int32."""
    exact, worst = _bounds(w, bias, codes, zero_x)
    bad = np.flatnonzero(worst >= ACCUMULATOR_LIMIT)
    if bad.size:
        channel = int(bad[0])
        raise QuantError(
            f"the accumulator of output channel {channel} could reach {worst[channel]}, beyond int32 (bias {bias[channel]}); "
            "quantize with a larger scale for this layer's weights or input"
        )
    return int(exact.max()), int(worst.max())


def _accumulators(w: NDArray[np.int8], bias: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Least and most accumulator of each output over all codes."""
    wide = w.astype(np.int64)
    ends = np.minimum(wide * INT8_RANGE[0], wide * INT8_RANGE[1]), np.maximum(wide * INT8_RANGE[0], wide * INT8_RANGE[1])
    least, most = (bias + end.sum(axis=1) for end in ends)
    return list(zip(least.tolist(), most.tolist(), strict=True))


def _dense(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    w, bias, scale = _weights(lowering, layer)
    assert isinstance(layer.options, DenseOptions)
    folded = fold_zero_point(w, bias, x.zero_point)
    exact, worst = _proven(w, folded, lowering.range(layer.inputs[0]), 0)
    output = output_range(layer.options.activation, _scale(y), y.zero_point)
    reach = max(output.hi - output.zero, output.zero - output.lo, 0)
    ranges = _accumulators(w, folded)
    grouped = [[r] for r in ranges] if scale.size > 1 else [ranges]
    rescale = dense_rescale(_scale(x), scale, _scale(y), grouped, reach)
    (out, size), step, rows = w.shape, int(scale.size > 1), math.prod(x.shape) // w.shape[1]
    if rows == 1 and rescale is not None:
        call = _call("dense_s8", layer, DenseParams(size, out, step, output, rescale))
    else:
        ratios = dense_ratios(_scale(x), scale, _scale(y))
        call = _call("dense_wide_s8", layer, DenseWideParams(rows, size, out, step, output, ratios))
    return replace(call, w=w, bias=_frozen(folded), acc_bound=exact, worst=worst)


def _conv2d(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    w, bias, scale = _weights(lowering, layer)
    options = layer.options
    assert isinstance(options, Conv2DOptions)
    depthwise = layer.op == "depthwise_conv2d"
    if not depthwise and w.shape[3] != x.shape[3]:
        w = _ungrouped(w, x.shape[3])
    rows = w.reshape(-1, w.shape[-1]).T if depthwise else w  # one an output channel
    win = window(x.shape[1], x.shape[2], (w.shape[1], w.shape[2]), options)
    source, padding = layer.inputs[0], lowering.padding_before(layer.inputs[0])
    if padding is not None and (wider := _with_padding(win, lowering.graph.layers[padding])):
        win, source = wider, lowering.graph.layers[padding].inputs[0]
    else:
        padding = None
    zero_x = x.zero_point
    if not padded(win):
        bias, zero_x = fold_zero_point(rows, bias, zero_x), 0
    exact, worst = _proven(rows, bias, lowering.range(source), zero_x)
    rescale = product_rescale(_scale(x), scale, _scale(y))
    output = output_range(options.activation, _scale(y), y.zero_point)
    params = Conv2DParams(win, x.shape[3], y.shape[3], zero_x, int(scale.size > 1), output, rescale)
    call = replace(_call(f"{layer.op}_s8", layer, params), x=source, layers=() if padding is None else (padding,))
    return replace(call, w=w, bias=_frozen(bias), acc_bound=exact, worst=worst)


def _ungrouped(w: NDArray[np.int8], channels: int) -> NDArray[np.int8]:
    """Weights of a grouped convolution over all channels; those of other groups are 0, which adds nothing."""
    size, each = w.shape[3], w.shape[0] * w.shape[3] // channels
    whole = np.zeros((*w.shape[:3], channels), np.int8)
    for group in range(channels // size):
        rows = slice(group * each, (group + 1) * each)
        whole[rows, :, :, group * size : (group + 1) * size] = w[rows]
    return _frozen(whole)


def _with_padding(win: Window, layer: Layer) -> Window | None:
    """Window over the image before a PAD, or None if some position would see nothing but padding."""
    options = layer.options
    assert isinstance(options, PadOptions)
    (top, bottom), (left, right) = options.paddings[1:3]
    wider = replace(
        win,
        in_h=win.in_h - top - bottom,
        in_w=win.in_w - left - right,
        pad_top=win.pad_top + top,
        pad_left=win.pad_left + left,
    )
    return None if blind_position(wider) else wider


def _pool(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    options = layer.options
    assert isinstance(options, Pool2DOptions)
    win = window(x.shape[1], x.shape[2], (options.kernel_h, options.kernel_w), options)
    output = output_range(options.activation, _scale(y), y.zero_point)
    return _call(f"{layer.op}_s8", layer, Pool2DParams(win, x.shape[3], output.lo, output.hi))


def _relu(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    rescale = relu_rescale(_scale(x), _scale(y))
    output = output_range(RELUS[layer.op], _scale(y), y.zero_point)
    return _call("requantize_s8", layer, RequantizeParams(math.prod(x.shape), x.zero_point, rescale, output))


def _quantize(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    count = math.prod(x.shape)
    zero_y = _zero(y)
    if x.dtype == np.float32:
        kernel = "quantize_f32_u8" if y.dtype == np.uint8 else "quantize_f32_s8"
        return _call(kernel, layer, QuantizeParams(count, np.float32(_scale(y)), zero_y))
    rescale = requantize_rescale(_scale(x), _scale(y))
    kernel = {("uint8", "int8"): "requantize_u8_s8", ("int8", "uint8"): "requantize_s8_u8"}.get(
        (x.dtype.name, y.dtype.name), "requantize_s8"
    )
    return _call(kernel, layer, RequantizeParams(count, _zero(x), rescale, OutputS8(zero_y, *INT8_RANGE)))


def _dequantize(lowering: Lowering, layer: Layer) -> Call:
    x, _ = _ends(lowering, layer)
    params = QuantizeParams(math.prod(x.shape), np.float32(_scale(x)), _zero(x))
    return _call("dequantize_u8_f32" if x.dtype == np.uint8 else "dequantize_s8_f32", layer, params)


def _softmax(lowering: Lowering, layer: Layer) -> Call:
    x, _ = _ends(lowering, layer)
    assert isinstance(layer.options, SoftmaxOptions)
    rows, size = math.prod(x.shape[:-1]), x.shape[-1]
    return _call("softmax_s8", layer, softmax_params(_scale(x), layer.options.beta, rows=rows, size=size))


def _argmax(lowering: Lowering, layer: Layer) -> Call:
    x, _ = _ends(lowering, layer)
    return _call("argmax_s8", layer, ArgmaxParams(math.prod(x.shape[:-1]), x.shape[-1]))


@dataclass(frozen=True, eq=False)
class _Pair:
    """Operands of an elementwise layer: the second may be constant, and then lies in `constant`."""

    tensors: tuple[Tensor, Tensor]
    indices: tuple[int, int]
    y: Tensor

    @property
    def constant(self) -> NDArray[np.int8] | None:
        data = self.tensors[1].data
        if data is not None and broadcast(data.shape, self.y.shape) is None:  # repeated in the middle: written out
            data = np.broadcast_to(data, self.y.shape)
        return None if data is None else _frozen(data.reshape(-1))

    def broadcasts(self) -> tuple[Broadcast, Broadcast]:
        whole = math.prod(self.y.shape), 1
        first, second = (broadcast(t.shape, self.y.shape) for t in self.tensors)
        return Broadcast(*(first or whole)), Broadcast(*(second or whole))


def _pair(lowering: Lowering, layer: Layer) -> _Pair:
    a, b = layer.inputs
    if lowering.graph.tensors[a].data is not None:  # add and mul are commutative; _sub has seen to the other
        a, b = b, a
    tensors = lowering.graph.tensors
    return _Pair((tensors[a], tensors[b]), (a, b), tensors[layer.outputs[0]])


def _elementwise(layer: Layer, pair: _Pair, params: AddParams | MulParams) -> Call:
    constant = pair.constant
    x2 = pair.indices[1] if constant is None else None
    return replace(_call(f"{layer.op}_s8", layer, params), x=pair.indices[0], x2=x2, w=constant)


def _add(lowering: Lowering, layer: Layer) -> Call:
    pair = _pair(lowering, layer)
    a, b = pair.tensors
    assert isinstance(layer.options, ElementwiseOptions)
    output = output_range(layer.options.activation, _scale(pair.y), pair.y.zero_point)
    rescales = add_rescales(_scale(a), _scale(b), _scale(pair.y))
    zeros = a.zero_point, b.zero_point
    return _elementwise(layer, pair, AddParams(math.prod(pair.y.shape), *pair.broadcasts(), *zeros, *rescales, output))


def _sub(lowering: Lowering, layer: Layer) -> Call:
    tensors = lowering.graph.tensors
    first, x, y = tensors[layer.inputs[0]], tensors[layer.inputs[1]], tensors[layer.outputs[0]]
    if first.data is None:
        return _add(lowering, layer)
    assert isinstance(layer.options, ElementwiseOptions)
    minuend = tables.Quantization(_scale(first), first.zero_point), int(first.data.item())
    ends = tables.Quantization(_scale(x), x.zero_point), output_range(layer.options.activation, _scale(y), y.zero_point)
    codes = tables.subtract_from(*minuend, *ends, scale_y=_scale(y))
    return replace(_call("lookup_s8", layer, LookupParams(math.prod(y.shape), codes)), x=layer.inputs[1])


def _mul(lowering: Lowering, layer: Layer) -> Call:
    pair = _pair(lowering, layer)
    a, b = pair.tensors
    assert isinstance(layer.options, ElementwiseOptions)
    output = output_range(layer.options.activation, _scale(pair.y), pair.y.zero_point)
    rescale = mul_rescale(_scale(a), _scale(b), _scale(pair.y))
    zeros = a.zero_point, b.zero_point
    return _elementwise(layer, pair, MulParams(math.prod(pair.y.shape), *pair.broadcasts(), *zeros, rescale, output))


def _mean(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    assert isinstance(layer.options, MeanOptions)
    pixels, channels = mean_shape(x.shape, layer.options.axes)
    rescale = mean_rescale(_scale(x), _scale(y), pixels)
    output = OutputS8(y.zero_point, *INT8_RANGE)
    return _call("mean_s8", layer, MeanParams(pixels, channels, x.zero_point, rescale, output))


def _concatenation(lowering: Lowering, layer: Layer) -> list[Call]:
    """One copy for each input."""
    options = layer.options
    assert isinstance(options, ConcatenationOptions)
    shape = lowering.graph.tensors[layer.outputs[0]].shape
    rows, stride = math.prod(shape[: options.axis]), math.prod(shape[options.axis :])
    calls, first = [], 0
    for index in layer.inputs:
        size = math.prod(lowering.graph.tensors[index].shape[options.axis :])
        calls.append(replace(_call("copy_s8", layer, CopyParams(rows, size, stride, first)), x=index))
        first += size
    return calls


def _pad(lowering: Lowering, layer: Layer) -> Call:
    x, _ = _ends(lowering, layer)
    options = layer.options
    assert isinstance(options, PadOptions)
    missing = 4 - len(x.shape)  # dimensions of 1 behind the batch
    (top, bottom), (left, right), (front, back) = ((0, 0),) * missing + options.paddings[1:]
    height, width, channels = (1,) * missing + x.shape[1:]
    value = x.zero_point if options.value is None else options.value
    return _call("pad_s8", layer, PadParams(height, width, channels, top, bottom, left, right, front, back, value))


def _lookup(lowering: Lowering, layer: Layer) -> Call:
    x, y = _ends(lowering, layer)
    ends = tables.Quantization(_scale(x), x.zero_point), tables.Quantization(_scale(y), y.zero_point)
    if isinstance(layer.options, LeakyReluOptions):
        codes = tables.leaky_relu(*ends, layer.options.alpha)
    else:
        codes = {"logistic": tables.logistic, "tanh": tables.tanh, "hard_swish": tables.hard_swish}[layer.op](*ends)
    return _call("lookup_s8", layer, LookupParams(math.prod(x.shape), codes))


_BUILDERS: dict[str, Callable[[Lowering, Layer], Call | list[Call]]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "depthwise_conv2d": _conv2d,
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "softmax": _softmax,
    "relu": _relu,
    "relu6": _relu,
    "relu_n1_to_1": _relu,
    "leaky_relu": _lookup,
    "hard_swish": _lookup,
    "logistic": _lookup,
    "tanh": _lookup,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "mean": _mean,
    "concatenation": _concatenation,
    "pad": _pad,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "argmax": _argmax,
}


def clamp(value: int, lo: int, hi: int) -> int:
    """Nearest number in [lo, hi]."""
    return max(lo, min(value, hi))
