"""Checks of graphs made by hand: each message names layer and tensor."""

from dataclasses import replace

import numpy as np
import pytest
from int8_graphs import Chain, frozen
from tflite_builder import tensor

import engine
from engine.graph import (
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    NoOptions,
    Padding,
    PadOptions,
    Pool2DOptions,
)
from engine.validate import validate
from engine.window import blind_position, padded, slide, window


def dense():
    return Chain((1, 6)).dense(4).graph()


def conv():
    return Chain((1, 8, 7, 2)).conv2d(3, (3, 3), (6, 5)).pool("max_pool2d", (2, 2), (2, 2), (3, 2)).graph()


def changed(graph, index, **changes):
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(graph, tensors=tuple(tensors))


def layered(graph, index, **changes):
    layers = list(graph.layers)
    layers[index] = replace(layers[index], **changes)
    return replace(graph, layers=tuple(layers))


def weights(shape):
    return {"shape": shape, "data": frozen(np.ones(shape, np.int8))}


ONE = np.float32([0.5])
CASES = {
    "weights of another size": (
        lambda: changed(dense(), 1, **weights((4, 5))),
        engine.FormatError,
        r"layer 'dense_0' \(dense\): input shape \(1, 6\) does not hold a multiple of 5",
    ),
    "several vectors": (
        lambda: changed(dense(), 1, **weights((4, 3))),
        engine.FormatError,
        r"has shape \(1, 4\); expected \(2, 4\)",
    ),
    "output of another size": (
        lambda: changed(dense(), 3, shape=(1, 5)),
        engine.FormatError,
        r"tensor 3 'dense_0_out' has shape \(1, 5\); expected \(1, 4\)",
    ),
    "float activation": (
        lambda: changed(dense(), 3, dtype=np.dtype(np.float32), scale=None),
        engine.UnsupportedError,
        "tensor 3 'dense_0_out' is float32; supported is int8",
    ),
    "no scale": (lambda: changed(dense(), 0, scale=None), engine.QuantError, "tensor 0 'x' needs one quantization scale"),
    "an operand absent": (
        lambda: layered(dense(), 0, op="add", inputs=(0, -1), options=ElementwiseOptions()),
        engine.FormatError,
        r"layer 'dense_0' \(add\): an input is missing",
    ),
    "paddings that are no pairs": (
        lambda: layered(dense(), 0, op="pad", inputs=(0,), options=PadOptions(((0, 0), (1,)))),
        engine.FormatError,
        r"paddings \(\(0, 0\), \(1,\)\) do not fit input shape \(1, 6\)",
    ),
    "weights absent": (lambda: layered(dense(), 0, inputs=(0, -1, 2)), engine.UnsupportedError, "its weights are not constant"),
    "weights declared otherwise": (
        lambda: changed(dense(), 1, data=frozen(np.ones((4, 6), np.int16))),
        engine.FormatError,
        r"tensor 1 'w' is declared int8\[4, 6\] but holds int16\[4, 6\]",
    ),
    "scales along the input": (
        lambda: changed(dense(), 1, axis=1, scale=np.full(6, 0.01, np.float32)),
        engine.QuantError,
        "weights tensor 1 'w' have 6 scales along dimension 1; expected 1, or 4 along dimension 0",
    ),
    "bias of another size": (
        lambda: changed(dense(), 2, shape=(3,), data=frozen(np.zeros(3, np.int32))),
        engine.FormatError,
        r"bias tensor 2 'bias' is int32\[3\]; expected constant int32\[4\]",
    ),
    "bias with a zero point": (
        lambda: changed(dense(), 2, zero_point=1),
        engine.QuantError,
        "bias tensor 2 'bias' has zero point 1",
    ),
    "bias of another scale": (
        lambda: changed(dense(), 2, scale=np.full(4, 0.9, np.float32)),
        engine.QuantError,
        "bias tensor 2 'bias' has scale 0.9 in channel 0; expected .*, the product of the scales of input and weights",
    ),
    "bias with one scale": (
        lambda: changed(dense(), 2, scale=np.ones(3, np.float32)),
        engine.QuantError,
        "has 3 scales; expected 4",
    ),
    "infinite scale": (
        lambda: changed(dense(), 0, scale=np.float32([np.inf])),
        engine.QuantError,
        "tensor 0 'x': a scale is not a finite number above 0",
    ),
    "used too early": (lambda: layered(conv(), 0, inputs=(4, 1, 2)), engine.FormatError, "used before a layer makes it"),
    "made twice": (
        lambda: layered(conv(), 1, outputs=(3,)),
        engine.FormatError,
        "already an input, a constant or made by a layer",
    ),
    "no such tensor": (lambda: layered(conv(), 1, inputs=(9,)), engine.FormatError, "there is no tensor 9; the graph has 5"),
    "inputs missing": (
        lambda: layered(dense(), 0, inputs=(0, 1)),
        engine.FormatError,
        "2 inputs and 1 outputs; expected 3 and 1",
    ),
    "unknown operator": (lambda: layered(dense(), 0, op="lstm"), engine.UnsupportedError, r"layer 'dense_0' \(lstm\)"),
    "input twice": (lambda: replace(dense(), inputs=(0, 0)), engine.FormatError, "name a tensor twice"),
    "batch of two": (
        lambda: changed(changed(dense(), 0, shape=(2, 6)), 3, shape=(2, 4)),
        engine.UnsupportedError,
        r"tensor 0 'x': shape \(2, 6\) does not begin with a batch dimension of 1",
    ),
    "no image": (lambda: changed(conv(), 0, shape=(1, 56, 2)), engine.FormatError, r"\(1, 56, 2\) is not \[batch, height"),
    "channels": (lambda: changed(conv(), 1, **weights((3, 3, 3, 5))), engine.FormatError, "do not fit 2 input channels"),
    "groups": (lambda: changed(conv(), 1, **weights((3, 3, 3, 1))), engine.FormatError, "do not fit 2 input channels"),
    "kernel larger than the image": (
        lambda: changed(conv(), 1, **weights((3, 9, 3, 2))),
        engine.FormatError,
        "larger than the image",
    ),
    "stride": (lambda: layered(conv(), 0, options=Conv2DOptions(stride_h=0)), engine.UnsupportedError, "outside 1 ... 65535"),
    "blind": (
        lambda: layered(
            changed(Chain((1, 2, 2, 1)).conv2d(1, (2, 2), (2, 2)).graph(), 3, shape=(1, 2, 2, 1)),
            0,
            options=Conv2DOptions(dilation_h=4, dilation_w=4, padding=Padding.SAME),
        ),
        engine.UnsupportedError,
        "some outputs see no pixel",
    ),
    "pool that rescales": (
        lambda: changed(conv(), 4, scale=ONE),
        engine.QuantError,
        "a pool does not rescale: they must be equal",
    ),
    "pool kernel": (
        lambda: layered(conv(), 1, options=Pool2DOptions(5000, 5000, 1, 1, Padding.SAME)),
        engine.UnsupportedError,
        "more than 16777215 taps",
    ),
    "softmax output": (
        lambda: changed(Chain((1, 6)).softmax().graph(), 1, zero_point=0),
        engine.QuantError,
        r"layer 'softmax_0' \(softmax\): output has scale 0.00390625, zero point 0; expected 0.00390625 \(1/256\) and -128",
    ),
    "softmax too long": (lambda: Chain((1, 5000)).softmax().graph(), engine.UnsupportedError, "supported are up to 4095"),
    "reshape of another size": (
        lambda: Chain((1, 6)).reshape((1, 7)).graph(),
        engine.FormatError,
        "differ in the number of values",
    ),
    "reshape that rescales": (
        lambda: changed(Chain((1, 6)).reshape((1, 3, 2)).graph(), 1, scale=ONE),
        engine.QuantError,
        "a reshape does not rescale",
    ),
    "relu of another shape": (
        lambda: changed(Chain((1, 6)).relu().graph(), 1, shape=(1, 3, 2)),
        engine.FormatError,
        "expected",
    ),
    "dequantize to int32": (
        lambda: changed(Chain((1, 6)).dequantize().graph(), 1, dtype=np.dtype(np.int32)),
        engine.UnsupportedError,
        "is int32; supported is float32",
    ),
    "argmax to int64": (
        lambda: changed(Chain((1, 6)).argmax().graph(), 1, dtype=np.dtype(np.int64)),
        engine.UnsupportedError,
        r"is int64; supported is int32 \(output_type=tf.int32\)",
    ),
    "constant input": (
        lambda: Graph(
            "g",
            (tensor((1, 2), 0.1, data=frozen(np.zeros((1, 2), np.int8))), tensor((1, 2), 0.1), tensor((1, 2), 0.1)),
            (Layer("relu", "r", (0,), (1,), NoOptions()),),
            (2,),
            (1,),
        ),
        engine.UnsupportedError,
        "tensor 0 is constant; expected an activation",
    ),
    "nothing to run": (lambda: replace(dense(), layers=(), outputs=(0,)), engine.UnsupportedError, "cannot be run"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_by_name(name):
    make, kind, message = CASES[name]
    with pytest.raises(kind, match=message):
        validate(make())
    with pytest.raises(kind, match=message):
        engine.Model(make())


def test_sound_graphs_pass():
    validate(dense())
    validate(conv())


def test_dense_may_keep_its_dimensions():
    graph = layered(
        changed(changed(dense(), 0, shape=(1, 1, 6)), 3, shape=(1, 1, 4)), 0, options=DenseOptions(keep_num_dims=True)
    )
    assert engine.Model(graph).run(np.zeros((2, 1, 6), np.int8)).shape == (2, 1, 4)


@pytest.mark.parametrize("padding", list(Padding))
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_windows_by_enumeration(kernel, stride, dilation, padding):
    """Positions and padding against a count of taps, pixel by pixel."""
    options = Conv2DOptions(stride, stride, dilation, dilation, padding)
    for size in range(1, 14):
        positions, before = slide(size, kernel, stride, dilation, padding)
        if positions < 1:
            assert padding is Padding.VALID
            assert size < (kernel - 1) * dilation + 1
            continue
        taps = [[p * stride + k * dilation - before for k in range(kernel)] for p in range(positions)]
        w = window(size, size, (kernel, kernel), options)
        assert padded(w) == any(not 0 <= t < size for row in taps for t in row)
        assert blind_position(w) == any(not any(0 <= t < size for t in row) for row in taps)
        if padding is Padding.SAME:
            assert positions == -(-size // stride)
            after = max(taps[-1][-1] - (size - 1), 0)
            assert before in (after, after - 1) or before == 0
        else:
            assert not padded(w)
            assert taps[-1][-1] + stride >= size
