"""Graph to program: every fact that a kernel needs, computed once.

Each layer becomes a call of a kernel, or nothing (a reshape only renames bytes); calls are fused where the result is
provably the same; buffers are placed in one arena.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import arena
from engine.errors import QuantError, UnsupportedError
from engine.graph import Activation, Conv2DOptions, DenseOptions, Graph, Layer, Pool2DOptions, SoftmaxOptions, Tensor
from engine.names import identifiers
from engine.program import (
    ArgmaxParams,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    DenseParams,
    OutputS8,
    Params,
    Pool2DParams,
    Program,
    QuantizeParams,
    RequantizeParams,
    Rescale,
    Step,
)
from engine.rescale import (
    dense_rescale,
    fold_zero_point,
    output_range,
    product_rescale,
    relu_rescale,
    requantize_rescale,
    softmax_params,
)
from engine.validate import validate
from engine.window import padded, window

INT8_RANGE = (-128, 127)
ACCUMULATOR_LIMIT = 1 << 31
#: Offsets into the arena are 32-bit numbers.
MAX_ARENA = (1 << 31) - 1
#: Ratio of exactly 1: the rescale record for which requantization changes nothing but the range.
UNITY = Rescale(1 << 30, 1, 0)

RELUS = {"relu": Activation.RELU, "relu6": Activation.RELU6, "relu_n1_to_1": Activation.RELU_N1_TO_1}


@dataclass(frozen=True, eq=False)
class _Call:
    """A kernel call before its buffers are placed; `x` and `y` are tensors of the graph.

    `worst` is the bound on the accumulator that the core's own check uses: all inputs at the far end of int8.
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


def lower(graph: Graph) -> Program:
    """Lower a graph to kernel calls over one arena.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    Program
        Steps in the order of the graph's layers. Reshapes have no step. Stand-alone ReLUs that only narrow a range
        are fused into the step before; so is a max pool into the convolution before it, where it does not make
        the convolution compute more.

    Raises
    ------
    FormatError, UnsupportedError
        See :func:`engine.validate.validate`.
    QuantError
        If a scale cannot be represented or an accumulator could leave int32; names layer and channel.
    """
    validate(graph)
    lowering = _Lowering(graph)
    calls = lowering.calls()
    calls = _fuse(calls, lowering, _fuse_clamp)
    calls = _fuse(calls, lowering, _fuse_pool)
    return _placed(calls, lowering)


class _Lowering:
    """What is known about a graph's tensors: which share bytes, and which int8 codes they can hold."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._owner: dict[int, int] = {}
        self._ranges: dict[int, tuple[int, int]] = {}
        for layer in graph.layers:
            if layer.op == "reshape":
                self._owner[layer.outputs[0]] = self.owner(layer.inputs[0])

    def owner(self, tensor: int) -> int:
        """Tensor whose bytes this one names; itself unless it is made by a reshape."""
        return self._owner.get(tensor, tensor)

    def calls(self) -> list[_Call]:
        calls = []
        for index, layer in enumerate(self.graph.layers):
            if layer.op == "reshape":
                continue
            try:
                call = _BUILDERS[layer.op](self, layer)
            except QuantError as error:
                raise QuantError(f"layer {layer.name!r} ({layer.op}): {error}") from None
            calls.append(replace(call, layers=(index,)))
            self._ranges[call.y] = self._range_of_output(call)
        return calls

    def range(self, tensor: int) -> tuple[int, int]:
        """Smallest and largest code of an int8 tensor, over all inputs of the model."""
        return self._ranges.get(self.owner(tensor), INT8_RANGE)

    def _range_of_output(self, call: _Call) -> tuple[int, int]:
        if isinstance(call.params, Pool2DParams):
            lo, hi = self.range(call.x)
            return _clamp(lo, call.params.lo, call.params.hi), _clamp(hi, call.params.lo, call.params.hi)
        if isinstance(call.params, DenseParams | Conv2DParams | RequantizeParams):
            return call.params.y.lo, call.params.y.hi
        return INT8_RANGE

    def size(self, tensor: int) -> int:
        """Bytes of a tensor."""
        t = self.graph.tensors[tensor]
        return math.prod(t.shape) * t.dtype.itemsize


def _scale(tensor: Tensor) -> float:
    assert tensor.scale is not None
    return float(tensor.scale[0])


def _ends(lowering: _Lowering, layer: Layer) -> tuple[Tensor, Tensor]:
    return lowering.graph.tensors[layer.inputs[0]], lowering.graph.tensors[layer.outputs[0]]


def _call(kernel: str, layer: Layer, params: Params) -> _Call:
    return _Call(kernel, (), params, layer.inputs[0], layer.outputs[0])


def _frozen(data: NDArray[Any]) -> NDArray[Any]:
    """Row-major and read-only, so that what was proven of it stays true."""
    frozen = np.ascontiguousarray(data)
    if frozen.flags.writeable:
        frozen = frozen.copy()
        frozen.flags.writeable = False
    return frozen


def _weights(lowering: _Lowering, layer: Layer) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.float32]]:
    w = lowering.graph.tensors[layer.inputs[1]]
    assert w.data is not None
    assert w.scale is not None
    bias = lowering.graph.tensors[layer.inputs[2]].data if layer.inputs[2] >= 0 else None
    return _frozen(w.data), np.zeros(w.shape[0], np.int32) if bias is None else bias, w.scale


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


def _dense(lowering: _Lowering, layer: Layer) -> _Call:
    x, y = _ends(lowering, layer)
    w, bias, scale = _weights(lowering, layer)
    assert isinstance(layer.options, DenseOptions)
    folded = fold_zero_point(w, bias, x.zero_point)
    exact, worst = _proven(w, folded, lowering.range(layer.inputs[0]), 0)
    rescale = dense_rescale(_scale(x), scale, _scale(y), worst)
    output = output_range(layer.options.activation, _scale(y), y.zero_point)
    params = DenseParams(w.shape[1], w.shape[0], int(scale.size > 1), output, rescale)
    return replace(_call("dense_s8", layer, params), w=w, bias=_frozen(folded), acc_bound=exact, worst=worst)


def _conv2d(lowering: _Lowering, layer: Layer) -> _Call:
    x, y = _ends(lowering, layer)
    w, bias, scale = _weights(lowering, layer)
    options = layer.options
    assert isinstance(options, Conv2DOptions)
    win = window(x.shape[1], x.shape[2], (w.shape[1], w.shape[2]), options)
    zero_x = x.zero_point
    if not padded(win):
        bias, zero_x = fold_zero_point(w, bias, zero_x), 0
    exact, worst = _proven(w, bias, lowering.range(layer.inputs[0]), zero_x)
    rescale = product_rescale(_scale(x), scale, _scale(y))
    output = output_range(options.activation, _scale(y), y.zero_point)
    params = Conv2DParams(win, w.shape[3], w.shape[0], zero_x, int(scale.size > 1), output, rescale)
    return replace(_call("conv2d_s8", layer, params), w=w, bias=_frozen(bias), acc_bound=exact, worst=worst)


def _pool(lowering: _Lowering, layer: Layer) -> _Call:
    x, y = _ends(lowering, layer)
    options = layer.options
    assert isinstance(options, Pool2DOptions)
    win = window(x.shape[1], x.shape[2], (options.kernel_h, options.kernel_w), options)
    output = output_range(options.activation, _scale(y), y.zero_point)
    return _call(f"{layer.op}_s8", layer, Pool2DParams(win, x.shape[3], output.lo, output.hi))


def _relu(lowering: _Lowering, layer: Layer) -> _Call:
    x, y = _ends(lowering, layer)
    rescale = relu_rescale(_scale(x), _scale(y))
    output = output_range(RELUS[layer.op], _scale(y), y.zero_point)
    return _call("requantize_s8", layer, RequantizeParams(math.prod(x.shape), x.zero_point, rescale, output))


def _quantize(lowering: _Lowering, layer: Layer) -> _Call:
    x, y = _ends(lowering, layer)
    count = math.prod(x.shape)
    if x.dtype == np.float32:
        return _call("quantize_f32_s8", layer, QuantizeParams(count, np.float32(_scale(y)), y.zero_point))
    rescale = requantize_rescale(_scale(x), _scale(y))
    output = OutputS8(y.zero_point, *INT8_RANGE)
    return _call("requantize_s8", layer, RequantizeParams(count, x.zero_point, rescale, output))


def _dequantize(lowering: _Lowering, layer: Layer) -> _Call:
    x, _ = _ends(lowering, layer)
    params = QuantizeParams(math.prod(x.shape), np.float32(_scale(x)), x.zero_point)
    return _call("dequantize_s8_f32", layer, params)


def _softmax(lowering: _Lowering, layer: Layer) -> _Call:
    x, _ = _ends(lowering, layer)
    assert isinstance(layer.options, SoftmaxOptions)
    rows, size = math.prod(x.shape[:-1]), x.shape[-1]
    return _call("softmax_s8", layer, softmax_params(_scale(x), layer.options.beta, rows=rows, size=size))


def _argmax(lowering: _Lowering, layer: Layer) -> _Call:
    x, _ = _ends(lowering, layer)
    return _call("argmax_s8", layer, ArgmaxParams(math.prod(x.shape[:-1]), x.shape[-1]))


_BUILDERS: dict[str, Callable[[_Lowering, Layer], _Call]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "softmax": _softmax,
    "relu": _relu,
    "relu6": _relu,
    "relu_n1_to_1": _relu,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "argmax": _argmax,
}


def _clamp(value: int, lo: int, hi: int) -> int:
    return max(lo, min(value, hi))


def _narrowed(output: OutputS8, lo: int, hi: int) -> OutputS8:
    """Range of a clamp to `output` followed by a clamp to [lo, hi]."""
    return OutputS8(output.zero, _clamp(output.lo, lo, hi), _clamp(output.hi, lo, hi))


def _fuse(calls: Sequence[_Call], lowering: _Lowering, rule: Callable[[_Call, _Call], _Call | None]) -> list[_Call]:
    """Apply a rule to each call and the only user of what it makes."""
    users = Counter(lowering.owner(call.x) for call in calls)
    users.update(lowering.owner(i) for i in lowering.graph.outputs)
    done: list[_Call] = []
    maker: dict[int, int] = {}
    for call in calls:
        source = lowering.owner(call.x)
        position = maker.get(source)
        fused = rule(done[position], call) if position is not None and users[source] == 1 else None
        if fused is None:
            position = len(done)
            done.append(call)
        else:
            assert position is not None
            done[position] = fused
        maker[call.y] = position
    return done


def _fuse_clamp(first: _Call, then: _Call) -> _Call | None:
    """Join a requantization that only narrows the range to the call before it."""
    narrow = then.params
    if not isinstance(narrow, RequantizeParams) or narrow.rescale != UNITY or narrow.zero_x != narrow.y.zero:
        return None
    params = first.params
    if isinstance(params, DenseParams | Conv2DParams | RequantizeParams):
        params = replace(params, y=_narrowed(params.y, narrow.y.lo, narrow.y.hi))
    elif isinstance(params, Pool2DParams):
        output = _narrowed(OutputS8(0, params.lo, params.hi), narrow.y.lo, narrow.y.hi)
        params = replace(params, lo=output.lo, hi=output.hi)
    else:
        return None
    return replace(first, params=params, layers=first.layers + then.layers, y=then.y)


def _fuse_pool(first: _Call, then: _Call) -> _Call | None:
    """Convolution and max pool become one where no position of the convolution would be computed twice.

    Exact because requantization is monotone while ``acc * 2**left`` stays inside int32, which `worst` proves.
    """
    conv, pool = first.params, then.params
    if not isinstance(conv, Conv2DParams) or not isinstance(pool, Pool2DParams) or then.kernel != "max_pool2d_s8":
        return None
    win = pool.window
    same_map = (win.in_h, win.in_w, pool.channels) == (conv.window.out_h, conv.window.out_w, conv.out_c)
    apart = win.stride_h >= win.kernel_h and win.stride_w >= win.kernel_w
    left = max(rescale.left for rescale in conv.rescale)
    if not (same_map and apart and first.worst << left < ACCUMULATOR_LIMIT):
        return None
    params = Conv2DMaxPool2DParams(replace(conv, y=_narrowed(conv.y, pool.lo, pool.hi)), win)
    return replace(first, kernel="conv2d_max_pool2d_s8", params=params, layers=first.layers + then.layers, y=then.y)


def _placed(calls: Sequence[_Call], lowering: _Lowering) -> Program:
    graph = lowering.graph
    shared = _shared_buffers(calls, lowering)
    buffers, number = _buffers(calls, lowering, shared)
    layout = arena.place(buffers)
    if layout.size > MAX_ARENA:
        raise UnsupportedError(f"the activations take {layout.size} bytes; supported are at most {MAX_ARENA}")
    offset = {tensor: layout.offsets[index] for tensor, index in number.items()}
    names = identifiers("_".join(graph.layers[i].name for i in call.layers) for call in calls)

    def at(tensor: int) -> int:
        return offset[lowering.owner(tensor)]

    steps = tuple(
        Step(
            call.kernel,
            call.layers,
            name,
            call.params,
            call.w,
            call.bias,
            call.x,
            call.y,
            at(call.x),
            at(call.y),
            0,
            lowering.size(call.x),
            lowering.size(call.y),
            0,
            call.acc_bound,
        )
        for call, name in zip(calls, names, strict=True)
    )
    return Program(steps, layout.size, tuple(at(i) for i in graph.inputs), tuple(at(i) for i in graph.outputs))


def _last_uses(calls: Sequence[_Call], lowering: _Lowering) -> dict[int, int]:
    """Step after which each tensor's bytes are free; a model's output is read after the last step."""
    last = {lowering.owner(i): -1 for i in lowering.graph.inputs}
    for step, call in enumerate(calls):
        last[lowering.owner(call.x)] = step
        last.setdefault(call.y, step)
    last.update((lowering.owner(i), len(calls)) for i in lowering.graph.outputs)
    return last


def _shared_buffers(calls: Sequence[_Call], lowering: _Lowering) -> dict[int, int]:
    """Find outputs that take their input's place: of kernels that may work in place, when nobody needs the input afterwards."""
    last = _last_uses(calls, lowering)
    shared: dict[int, int] = {}
    for step, call in enumerate(calls):
        source = lowering.owner(call.x)
        if call.kernel in _IN_PLACE and last[source] == step:
            shared[call.y] = shared.get(source, source)
    return shared


#: Kernels that may write where they read.
_IN_PLACE = {"requantize_s8", "softmax_s8"}


def _buffers(calls: Sequence[_Call], lowering: _Lowering, shared: dict[int, int]) -> tuple[list[arena.Buffer], dict[int, int]]:
    """Buffers with their lifetimes, and which of them each tensor lies in."""
    graph = lowering.graph
    last = _last_uses(calls, lowering)
    births = {lowering.owner(i): -1 for i in graph.inputs}
    births.update((call.y, step) for step, call in enumerate(calls))
    buffers: dict[int, arena.Buffer] = {}
    number: dict[int, int] = {}
    for tensor, birth in births.items():
        home = shared.get(tensor, tensor)
        buffer = arena.Buffer(lowering.size(tensor), birth, last[tensor], graph.tensors[tensor].dtype.itemsize)
        if home in buffers:
            buffer = replace(buffers[home], last=buffer.last)
        buffers[home] = buffer
        number[tensor] = list(buffers).index(home)
    return list(buffers.values()), number
