"""Checks of a graph: everything that lowering and the kernels rely on, with messages that name layer and tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.errors import FormatError, QuantError, UnsupportedError
from engine.graph import (
    OPERATORS,
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    Graph,
    Layer,
    MeanOptions,
    PadOptions,
    Pool2DOptions,
    Tensor,
)
from engine.window import blind_position, window

#: Layers, and bytes of weights that all of them use together, shared ones counted each time: what a garbled file may ask for.
MAX_LAYERS, MAX_WEIGHTS = 4096, 1 << 30
#: Weights of a grouped convolution once they are those of one over all channels, zeros between groups.
MAX_UNGROUPED = 1 << 24
#: Kernels count rows, channels and pixels in 16 bits.
MAX_SIZE = 65535
#: Bytes of one activation, so that a garbled shape cannot ask for all memory.
MAX_ACTIVATION = 1 << 28
#: Averages sum up to this many taps in 32 bits.
MAX_POOL_TAPS = (1 << 24) - 1
#: Softmax sums exponentials in 12 integer bits.
MAX_SOFTMAX = 4095
#: Largest relative difference between a bias's scale and the product of the scales of input and weights.
BIAS_SCALE_TOLERANCE = 1e-3
#: Largest difference between the scales of a pool's ends, TensorFlow Lite's own limit: it does not rescale there.
POOL_SCALE_TOLERANCE = 1e-6
SOFTMAX_SCALE = 1 / 256
SOFTMAX_ZERO_POINT = -128
#: Scale and zero point that the reference demands of outputs.
_FIXED_OUTPUTS = {"logistic": (1 / 256, -128), "tanh": (1 / 128, 0)}
#: Means sum up to this many pixels in 32 bits.
MAX_MEAN_PIXELS = (1 << 23) - 1

INT8, INT32, INT64, FLOAT32 = np.dtype(np.int8), np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float32)
UINT8 = np.dtype(np.uint8)


def validate(graph: Graph) -> None:
    """Check a graph.

    Raises
    ------
    FormatError
        If tensors and layers do not fit together: indices, shapes, element types, order.
    UnsupportedError
        If the graph is sound but needs something that is not supported, such as a fixed batch.
    QuantError
        If scales or zero points contradict each other.
    """
    _check_tensors(graph)
    _check_order(graph)
    _check_amount(graph)
    _check_ends(graph)
    for layer in graph.layers:
        _CHECKS[layer.op](_Place(graph, layer))


def _tensor_text(graph: Graph, index: int) -> str:
    name = graph.tensors[index].name
    return f"tensor {index} {name!r}" if name else f"tensor {index}"


def _check_tensors(graph: Graph) -> None:
    for index, tensor in enumerate(graph.tensors):
        what = _tensor_text(graph, index)
        if any(n < 1 for n in tensor.shape):
            raise FormatError(f"{what}: shape {tensor.shape} has a dimension below 1")
        if tensor.data is not None and (tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype):
            raise FormatError(
                f"{what} is declared {tensor.dtype}{list(tensor.shape)} but holds {tensor.data.dtype}{list(tensor.data.shape)}"
            )
        if tensor.data is None and math.prod(tensor.shape) * tensor.dtype.itemsize > MAX_ACTIVATION:
            raise UnsupportedError(f"{what}: {tensor.dtype}{list(tensor.shape)} takes more than {MAX_ACTIVATION} bytes")
        if not 0 <= tensor.axis < max(len(tensor.shape), 1) or not -(1 << 31) <= tensor.zero_point < 1 << 31:
            raise FormatError(f"{what}: axis {tensor.axis} or zero point {tensor.zero_point} is out of range")
        if tensor.scale is not None and not np.all(np.isfinite(tensor.scale) & (tensor.scale > 0)):
            raise QuantError(f"{what}: a scale is not a finite number above 0")


def _check_order(graph: Graph) -> None:
    """Every tensor is made once, before it is used."""
    count = len(graph.tensors)
    constant = {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None}
    known = constant | set(graph.inputs)
    for layer in graph.layers:
        what = f"layer {layer.name!r} ({layer.op})"
        if layer.op not in OPERATORS or not isinstance(layer.options, OPERATORS[layer.op]):
            raise UnsupportedError(f"{what}: not an operator with its options; supported are {', '.join(OPERATORS)}")
        for i in layer.inputs:
            if not -1 <= i < count:
                raise FormatError(f"{what}: there is no tensor {i}; the graph has {count}")
            if i >= 0 and i not in known:
                raise FormatError(f"{what}: {_tensor_text(graph, i)} is used before a layer makes it")
        for i in layer.outputs:
            if not 0 <= i < count:
                raise FormatError(f"{what}: there is no tensor {i}; the graph has {count}")
            if i in known:
                raise FormatError(f"{what}: {_tensor_text(graph, i)} is already an input, a constant or made by a layer")
        known.update(layer.outputs)
    for i in (*graph.inputs, *graph.outputs):
        if not 0 <= i < count or i not in known or i in constant:
            raise FormatError(f"tensor {i} cannot be an input or output of the model: no layer makes it, or it is constant")


def _check_amount(graph: Graph) -> None:
    if len(graph.layers) > MAX_LAYERS:
        raise UnsupportedError(f"the model has {len(graph.layers)} layers; supported are at most {MAX_LAYERS}")
    data = (graph.tensors[i].data for layer in graph.layers for i in layer.inputs if i >= 0)
    weights = sum(d.nbytes for d in data if d is not None)
    if weights > MAX_WEIGHTS:
        raise UnsupportedError(f"the layers use {weights} bytes of weights; supported are at most {MAX_WEIGHTS}")


def _check_ends(graph: Graph) -> None:
    if not graph.inputs or not graph.outputs or not graph.layers:
        raise UnsupportedError("a model without inputs, outputs or layers cannot be run")
    if len(set(graph.inputs)) != len(graph.inputs):
        raise FormatError(f"inputs {graph.inputs} name a tensor twice")
    for i in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[i]
        if not tensor.shape or tensor.shape[0] != 1:
            raise UnsupportedError(
                f"{_tensor_text(graph, i)}: shape {tensor.shape} does not begin with a batch dimension of 1; "
                "convert with a free batch or a batch of 1"
            )
        if tensor.dtype not in (INT8, UINT8, INT32, INT64, FLOAT32):
            raise UnsupportedError(f"{_tensor_text(graph, i)}: a model's {tensor.dtype} input or output is not supported")


class _Place:
    """One layer with its tensors, for checks and their messages."""

    def __init__(self, graph: Graph, layer: Layer) -> None:
        self.graph = graph
        self.layer = layer
        counts = {"dense": 3, "conv2d": 3, "depthwise_conv2d": 3, "add": 2, "sub": 2, "mul": 2}
        expected = max(len(layer.inputs), 1) if layer.op == "concatenation" else counts.get(layer.op, 1)
        if len(layer.inputs) != expected or len(layer.outputs) != 1:
            raise FormatError(f"{self}: {len(layer.inputs)} inputs and {len(layer.outputs)} outputs; expected {expected} and 1")
        if min(layer.inputs[: 1 if expected == 3 else None]) < 0:  # of weights and bias more is said where they are checked
            raise FormatError(f"{self}: an input is missing; only a bias may be")
        self.x = graph.tensors[layer.inputs[0]] if layer.op in ("add", "sub", "mul") else self.activation(layer.inputs[0])
        self.y = self.activation(layer.outputs[0])

    def __str__(self) -> str:
        return f"layer {self.layer.name!r} ({self.layer.op})"

    def text(self, index: int) -> str:
        return _tensor_text(self.graph, index)

    def activation(self, index: int) -> Tensor:
        tensor = self.graph.tensors[index]
        if tensor.data is not None:
            raise UnsupportedError(f"{self}: {self.text(index)} is constant; expected an activation")
        return tensor

    def require_shape(self, expected: tuple[int, ...]) -> None:
        if self.y.shape != expected:
            raise FormatError(
                f"{self}: {self.text(self.layer.outputs[0])} has shape {self.y.shape}; expected {expected} "
                f"from input shape {self.x.shape}"
            )

    def require_quantized(self, index: int, dtype: np.dtype[Any] = INT8) -> Tensor:
        """Return a tensor that must be of int8 (or uint8) with one scale."""
        tensor = self.graph.tensors[index]
        if tensor.dtype != dtype:
            raise UnsupportedError(f"{self}: {self.text(index)} is {tensor.dtype}; supported is {dtype}")
        if tensor.scale is None or tensor.scale.size != 1:
            raise QuantError(f"{self}: {self.text(index)} needs one quantization scale")
        lo, hi = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not lo <= tensor.zero_point <= hi:
            raise QuantError(f"{self}: {self.text(index)} has zero point {tensor.zero_point}; expected {lo} ... {hi}")
        return tensor

    def require_int8_ends(self) -> None:
        self.require_quantized(self.layer.inputs[0])
        self.require_quantized(self.layer.outputs[0])


def _check_weights(place: _Place) -> Tensor:
    """Weights and bias of a dense layer or convolution; output channels are their first dimension, depthwise the last."""
    place.require_int8_ends()
    index = place.layer.inputs[1]
    if index < 0 or place.graph.tensors[index].data is None:
        raise UnsupportedError(f"{place}: its weights are not constant")
    w = place.graph.tensors[index]
    if w.dtype != INT8:
        raise UnsupportedError(f"{place}: weights {place.text(index)} are {w.dtype}; supported is int8")
    if w.scale is None or w.zero_point != 0:
        raise QuantError(f"{place}: weights {place.text(index)} need scales and a zero point of 0, not {w.zero_point}")
    axis = len(w.shape) - 1 if place.layer.op == "depthwise_conv2d" else 0
    out = w.shape[axis] if w.shape else 0
    if w.scale.size not in (1, out) or (w.scale.size > 1 and w.axis != axis):
        raise QuantError(
            f"{place}: weights {place.text(index)} have {w.scale.size} scales along dimension {w.axis}; "
            f"expected 1, or {out} along dimension {axis}"
        )
    if place.layer.inputs[2] >= 0:
        _check_bias(place, w, out)
    return w


def _check_bias(place: _Place, w: Tensor, out: int) -> None:
    index = place.layer.inputs[2]
    bias = place.graph.tensors[index]
    if bias.data is None or bias.dtype != INT32 or bias.shape != (out,):
        raise FormatError(
            f"{place}: bias {place.text(index)} is {bias.dtype}{list(bias.shape)}; expected constant int32[{out}]"
        )
    if bias.zero_point != 0:
        raise QuantError(f"{place}: bias {place.text(index)} has zero point {bias.zero_point}; expected 0")
    if bias.scale is None or w.scale is None or place.x.scale is None:
        return
    if bias.scale.size not in (1, w.scale.size):
        raise QuantError(
            f"{place}: bias {place.text(index)} has {bias.scale.size} scales; expected {w.scale.size}, as the weights have"
        )
    product = float(place.x.scale[0]) * w.scale.astype(np.float64)
    wrong = np.flatnonzero(np.abs(bias.scale - product) > BIAS_SCALE_TOLERANCE * product)
    if wrong.size:
        channel = int(wrong[0])
        raise QuantError(
            f"{place}: bias {place.text(index)} has scale {bias.scale[min(channel, bias.scale.size - 1)]:g} in channel "
            f"{channel}; expected {product[channel]:g}, the product of the scales of input and weights"
        )


def _check_dense(place: _Place) -> None:
    w = _check_weights(place)
    options = place.layer.options
    assert isinstance(options, DenseOptions)
    if len(w.shape) != 2 or max(w.shape) > MAX_SIZE:
        raise UnsupportedError(f"{place}: weights of shape {w.shape}; supported are [out, in] of at most {MAX_SIZE} each")
    out, size = w.shape
    if math.prod(place.x.shape) % size:
        raise FormatError(f"{place}: input shape {place.x.shape} does not hold a multiple of {size} values")
    rows = math.prod(place.x.shape) // size
    if options.keep_num_dims and place.x.shape[-1] != size:
        raise FormatError(f"{place}: input shape {place.x.shape} does not end in {size}, yet its dimensions are to be kept")
    place.require_shape((*place.x.shape[:-1], out) if options.keep_num_dims else (rows, out))


def _check_image(place: _Place) -> tuple[int, int, int]:
    shape = place.x.shape
    if len(shape) != 4:
        raise FormatError(f"{place}: input shape {shape} is not [batch, height, width, channels]")
    if shape[0] != 1 or max(shape) > MAX_SIZE:
        raise UnsupportedError(f"{place}: input shape {shape}; supported are a batch of 1 and sizes up to {MAX_SIZE}")
    return shape[1], shape[2], shape[3]


def _check_window(place: _Place, kernel: tuple[int, int], channels: int) -> None:
    options = place.layer.options
    assert isinstance(options, Conv2DOptions | Pool2DOptions)
    height, width, _ = _check_image(place)
    moves = [options.stride_h, options.stride_w, *kernel]
    if isinstance(options, Conv2DOptions):
        moves += [options.dilation_h, options.dilation_w]
    if min(moves) < 1 or max(moves) > MAX_SIZE:
        raise UnsupportedError(f"{place}: a kernel, stride or dilation is outside 1 ... {MAX_SIZE}: {moves}")
    w = window(height, width, kernel, options)
    if max((w.kernel_h - 1) * w.dilation_h, (w.kernel_w - 1) * w.dilation_w) > MAX_SIZE:
        raise UnsupportedError(f"{place}: the dilated kernel of {kernel} reaches further than {MAX_SIZE} pixels")
    if w.out_h < 1 or w.out_w < 1:
        raise FormatError(f"{place}: the kernel of {kernel} is larger than the image of ({height}, {width})")
    if max(w.pad_top, w.pad_left) > MAX_SIZE or blind_position(w):
        raise UnsupportedError(
            f"{place}: with this dilation and padding some outputs see no pixel of the image of ({height}, {width})"
        )
    place.require_shape((1, w.out_h, w.out_w, channels))


def _check_conv2d(place: _Place) -> None:
    w = _check_weights(place)
    channels = _check_image(place)[2]
    if len(w.shape) != 4 or max(w.shape) > MAX_SIZE:
        raise FormatError(f"{place}: weights of shape {w.shape}; expected [out, height, width, in] of at most {MAX_SIZE} each")
    if channels % w.shape[3] or w.shape[0] % (channels // w.shape[3]):
        raise FormatError(f"{place}: weights of shape {w.shape} do not fit {channels} input channels")
    size = w.shape[1] * w.shape[2] * channels
    if size > MAX_SIZE:
        raise UnsupportedError(f"{place}: {w.shape[1]} x {w.shape[2]} taps of {channels} channels; at most {MAX_SIZE} weights")
    if w.shape[3] != channels and size * w.shape[0] > MAX_UNGROUPED:
        raise UnsupportedError(f"{place}: a grouped convolution of {size * w.shape[0]} weights; at most {MAX_UNGROUPED}")
    _check_window(place, (w.shape[1], w.shape[2]), w.shape[0])


def _check_depthwise_conv2d(place: _Place) -> None:
    w = _check_weights(place)
    channels = _check_image(place)[2]
    if len(w.shape) != 4 or w.shape[0] != 1 or max(w.shape) > MAX_SIZE:
        raise FormatError(f"{place}: weights of shape {w.shape}; expected [1, height, width, out] of at most {MAX_SIZE} each")
    if w.shape[3] % channels:
        raise FormatError(f"{place}: weights of shape {w.shape} do not fit {channels} input channels")
    if w.shape[1] * w.shape[2] > MAX_SIZE:
        raise UnsupportedError(f"{place}: a kernel of {w.shape[1]} x {w.shape[2]} taps; at most {MAX_SIZE}")
    _check_window(place, (w.shape[1], w.shape[2]), w.shape[3])


def _check_pool(place: _Place) -> None:
    place.require_int8_ends()
    options = place.layer.options
    assert isinstance(options, Pool2DOptions)
    channels = _check_image(place)[2]
    if options.kernel_h * options.kernel_w > MAX_POOL_TAPS:
        raise UnsupportedError(f"{place}: a window of more than {MAX_POOL_TAPS} taps")
    _check_window(place, (options.kernel_h, options.kernel_w), channels)
    assert place.x.scale is not None
    assert place.y.scale is not None
    if (
        abs(float(place.x.scale[0]) - float(place.y.scale[0])) > POOL_SCALE_TOLERANCE
        or place.x.zero_point != place.y.zero_point
    ):
        raise QuantError(
            f"{place}: input has scale {place.x.scale[0]:g}, zero point {place.x.zero_point}; output {place.y.scale[0]:g}, "
            f"{place.y.zero_point}; a pool does not rescale: they must be equal"
        )


def _check_softmax(place: _Place) -> None:
    place.require_int8_ends()
    place.require_shape(place.x.shape)
    if place.x.shape[-1:] == () or place.x.shape[-1] > MAX_SOFTMAX:
        raise UnsupportedError(f"{place}: over {place.x.shape[-1:]} values; supported are up to {MAX_SOFTMAX}")
    assert place.y.scale is not None
    if float(place.y.scale[0]) != SOFTMAX_SCALE or place.y.zero_point != SOFTMAX_ZERO_POINT:
        raise QuantError(
            f"{place}: output has scale {place.y.scale[0]:g}, zero point {place.y.zero_point}; "
            f"expected {SOFTMAX_SCALE:g} (1/256) and {SOFTMAX_ZERO_POINT}"
        )


def _check_reshape(place: _Place) -> None:
    if math.prod(place.x.shape) != math.prod(place.y.shape):
        raise FormatError(f"{place}: shapes {place.x.shape} and {place.y.shape} differ in the number of values")
    same = place.x.dtype == place.y.dtype and place.x.zero_point == place.y.zero_point
    if not same or _scales(place.x) != _scales(place.y):
        raise QuantError(f"{place}: input and output differ in element type or quantization; a reshape does not rescale")


def _scales(tensor: Tensor) -> list[float] | None:
    return None if tensor.scale is None else [float(s) for s in tensor.scale]


def _check_relu(place: _Place) -> None:
    place.require_int8_ends()
    place.require_shape(place.x.shape)


def _check_elementwise(place: _Place) -> None:
    a, b = (place.require_quantized(i) for i in place.layer.inputs)
    place.require_quantized(place.layer.outputs[0])
    if a.data is not None and (b.data is not None or (place.layer.op == "sub" and a.data.size > 1)):
        raise UnsupportedError(
            f"{place}: its {'first input is' if b.data is None else 'inputs are'} constant; supported is one of two, and the "
            "first of a subtraction only if it is a single number"
        )
    try:
        place.require_shape(np.broadcast_shapes(a.shape, b.shape))
    except ValueError:
        raise FormatError(f"{place}: inputs of shapes {a.shape} and {b.shape} do not fit each other") from None
    if None in (broadcast(t.shape, place.y.shape) for t in (a, b) if t.data is None):
        raise UnsupportedError(
            f"{place}: inputs of shapes {a.shape} and {b.shape}; supported is one that is repeated along its first or its last "
            "dimensions, such as [1, 1, 1, channels] or [1, height, width, 1] beside [1, height, width, channels]"
        )


def broadcast(shape: tuple[int, ...], whole: tuple[int, ...]) -> tuple[int, int] | None:
    """Say how an operand of `shape` meets a result of shape `whole`.

    Returns
    -------
    (size, repeat) or None
        Element i of the result reads element ``i // repeat % size``; None if that cannot be said so.

    Examples
    --------
    >>> broadcast((3,), (1, 4, 5, 3)), broadcast((1, 4, 5, 1), (1, 4, 5, 3)), broadcast((1, 4, 1, 3), (1, 4, 5, 3))
    ((3, 1), (20, 3), None)
    """
    size = math.prod(shape)
    dims = [(n, m) for n, m in zip((1,) * (len(whole) - len(shape)) + shape, whole, strict=True) if m != 1]
    stretched = [n != m for n, m in dims]
    if all(stretched):
        return size, 1
    first = stretched.index(False)
    last = len(dims) - stretched[::-1].index(False)
    if any(stretched[first:last]):
        return None
    return size, math.prod(m for _, m in dims[last:])


def _check_mean(place: _Place) -> None:
    place.require_int8_ends()
    options = place.layer.options
    assert isinstance(options, MeanOptions)
    shape = place.x.shape
    if any(not 0 <= axis < len(shape) for axis in options.axes):
        raise FormatError(f"{place}: axes {options.axes} do not fit input shape {shape}")
    if options.keep_dims:
        expected = tuple(1 if axis in options.axes else n for axis, n in enumerate(shape))
    else:
        expected = tuple(n for axis, n in enumerate(shape) if axis not in options.axes)
    place.require_shape(expected)
    pixels, channels = mean_shape(shape, options.axes)
    if pixels * channels != math.prod(shape):
        raise UnsupportedError(
            f"{place}: over axes {options.axes} of input shape {shape}; supported are neighbouring ones from the first behind "
            "the batch on, such as (1, 2) of [1, height, width, channels] and (1,) of [1, steps, features]"
        )
    if pixels > MAX_MEAN_PIXELS or channels > MAX_SIZE:
        raise UnsupportedError(
            f"{place}: over {pixels} values of {channels} channels; at most {MAX_MEAN_PIXELS} and {MAX_SIZE}"
        )


def mean_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, int]:
    """Say how a mean sees its input: as pixels of channels; their product is smaller than the input where it cannot.

    Examples
    --------
    >>> mean_shape((1, 4, 5, 3), (1, 2)), mean_shape((1, 7, 3), (2,))
    ((20, 3), (3, 1))
    """
    longer = [axis for axis in axes if shape[axis] > 1]
    pixels = math.prod(shape[axis] for axis in longer)
    neighbours = longer == list(range(min(longer, default=0), max(longer, default=-1) + 1))
    channels = math.prod(shape[max(longer) + 1 :]) if longer else math.prod(shape)
    return (pixels, channels) if neighbours else (pixels, 0)


def _check_concatenation(place: _Place) -> None:
    options = place.layer.options
    assert isinstance(options, ConcatenationOptions)
    if min(place.layer.inputs) < 0:
        raise FormatError(f"{place}: an input is missing")
    y = place.require_quantized(place.layer.outputs[0])
    parts = [place.activation(i) for i in place.layer.inputs]
    if options.activation is not Activation.NONE:
        raise UnsupportedError(f"{place}: a fused activation ({options.activation.value}) is not supported")
    if not 0 <= options.axis < len(y.shape):
        raise FormatError(f"{place}: there is no dimension {options.axis} in shape {y.shape}")
    for index, part in zip(place.layer.inputs, parts, strict=True):
        place.require_quantized(index)
        others = [*part.shape[: options.axis], *part.shape[options.axis + 1 :]]
        if len(part.shape) != len(y.shape) or others != [*y.shape[: options.axis], *y.shape[options.axis + 1 :]]:
            raise FormatError(f"{place}: {place.text(index)} of shape {part.shape} does not fit output shape {y.shape}")
        if _scales(part) != _scales(y) or part.zero_point != y.zero_point:
            raise QuantError(f"{place}: {place.text(index)} is quantized otherwise than the output; it must be the same")
    length = sum(part.shape[options.axis] for part in parts)
    place.require_shape((*y.shape[: options.axis], length, *y.shape[options.axis + 1 :]))


def _check_pad(place: _Place) -> None:
    place.require_int8_ends()
    options = place.layer.options
    assert isinstance(options, PadOptions)
    shape = place.x.shape
    if [len(pair) for pair in options.paddings] != [2] * len(shape) or any(min(pair) < 0 for pair in options.paddings):
        raise FormatError(f"{place}: paddings {options.paddings} do not fit input shape {shape}")
    place.require_shape(tuple(n + before + after for n, (before, after) in zip(shape, options.paddings, strict=True)))
    if _scales(place.x) != _scales(place.y) or place.x.zero_point != place.y.zero_point:
        raise QuantError(f"{place}: input and output differ in quantization; padding does not rescale")
    if options.value is not None and not -128 <= options.value <= 127:
        raise FormatError(f"{place}: the value {options.value} is no int8 code")
    if len(shape) > 4 or options.paddings[0] != (0, 0) or max(place.y.shape) > MAX_SIZE:
        raise UnsupportedError(
            f"{place}: paddings {options.paddings} of input shape {shape}; supported are up to 4 dimensions, the first (the "
            f"batch) unpadded, of sizes up to {MAX_SIZE}"
        )


def _check_table(place: _Place) -> None:
    """One code in, one code out; the reference fixes the output quantization of two of these operators."""
    place.require_int8_ends()
    place.require_shape(place.x.shape)
    expected = _FIXED_OUTPUTS.get(place.layer.op)
    if expected is None:
        return
    assert place.y.scale is not None
    scale, zero = expected
    if float(place.y.scale[0]) != scale or place.y.zero_point != zero:
        raise QuantError(
            f"{place}: output has scale {place.y.scale[0]:g}, zero point {place.y.zero_point}; "
            f"expected {scale:g} (1/{round(1 / scale)}) and {zero}"
        )


def _check_quantize(place: _Place) -> None:
    place.require_shape(place.x.shape)
    x, y = place.layer.inputs[0], place.layer.outputs[0]
    place.require_quantized(y, UINT8 if place.y.dtype == UINT8 else INT8)
    if place.x.dtype != FLOAT32:
        place.require_quantized(x, UINT8 if place.x.dtype == UINT8 else INT8)
    if place.x.dtype == place.y.dtype == UINT8:
        raise UnsupportedError(f"{place}: from uint8 to uint8; uint8 is supported at a model's edges only")


def _check_dequantize(place: _Place) -> None:
    place.require_shape(place.x.shape)
    place.require_quantized(place.layer.inputs[0], UINT8 if place.x.dtype == UINT8 else INT8)
    if place.y.dtype != FLOAT32:
        raise UnsupportedError(f"{place}: {place.text(place.layer.outputs[0])} is {place.y.dtype}; supported is float32")


def _check_argmax(place: _Place) -> None:
    place.require_quantized(place.layer.inputs[0])
    if not place.x.shape or place.x.shape[-1] > MAX_SIZE:
        raise UnsupportedError(f"{place}: over {place.x.shape[-1:]} values; supported are up to {MAX_SIZE}")
    place.require_shape(place.x.shape[:-1])
    if place.y.dtype != INT32:
        raise UnsupportedError(
            f"{place}: {place.text(place.layer.outputs[0])} is {place.y.dtype}; supported is int32 (output_type=tf.int32)"
        )


_CHECKS: dict[str, Callable[[_Place], None]] = {
    "dense": _check_dense,
    "conv2d": _check_conv2d,
    "depthwise_conv2d": _check_depthwise_conv2d,
    "max_pool2d": _check_pool,
    "average_pool2d": _check_pool,
    "softmax": _check_softmax,
    "reshape": _check_reshape,
    "relu": _check_relu,
    "relu6": _check_relu,
    "relu_n1_to_1": _check_relu,
    "leaky_relu": _check_table,
    "hard_swish": _check_table,
    "logistic": _check_table,
    "tanh": _check_table,
    "add": _check_elementwise,
    "sub": _check_elementwise,
    "mul": _check_elementwise,
    "mean": _check_mean,
    "concatenation": _check_concatenation,
    "pad": _check_pad,
    "quantize": _check_quantize,
    "dequantize": _check_dequantize,
    "argmax": _check_argmax,
}
