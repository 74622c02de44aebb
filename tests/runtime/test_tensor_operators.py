"""Graphs of one operator that the converter seldom writes, through our writer: every byte equal to the reference."""

import numpy as np
import pytest
from tflite_builder import Judge, tensor

import engine
from engine import tflite
from engine.graph import (
    Activation,
    ConcatenationOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    LeakyReluOptions,
    MeanOptions,
    NoOptions,
    PadOptions,
)

SHAPE = (1, 5, 4, 3)


def one(op, y, options, *others, x=None):
    """Graph of one layer; `others` are constants, or None for the first input again."""
    tensors = [x or tensor(SHAPE, 0.05, -3)]
    inputs = [0]
    for other in others:
        inputs.append(0 if other is None else len(tensors))
        if other is not None:
            tensors.append(other)
    layer = Layer(op, op, tuple(inputs), (len(tensors),), options)
    return Graph(op, (*tensors, y), (layer,), (0,), (len(tensors),))


def codes(shape, scale, zero, seed=3):
    data = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    data.flags.writeable = False
    return tensor(shape, scale, zero, data=data)


def like(shape):
    return tensor(shape, 0.05, -3)


RELU6 = ElementwiseOptions(Activation.RELU6)
CASES = {
    "pad": lambda: one("pad", like((1, 8, 5, 3)), PadOptions(((0, 0), (1, 2), (0, 1), (0, 0)))),
    "pad_channels": lambda: one("pad", like((1, 5, 4, 6)), PadOptions(((0, 0), (0, 0), (0, 0), (1, 2)))),
    "padv2": lambda: one("pad", like((1, 8, 5, 3)), PadOptions(((0, 0), (1, 2), (0, 1), (0, 0)), 17)),
    "concatenate_rows": lambda: one("concatenation", like((1, 10, 4, 3)), ConcatenationOptions(1), None),
    "concatenate_channels": lambda: one("concatenation", like((1, 5, 4, 9)), ConcatenationOptions(3), None, None),
    "mean": lambda: one("mean", tensor((1, 3), 0.02, 7), MeanOptions((1, 2))),
    "mean_kept": lambda: one("mean", tensor((1, 1, 1, 3), 0.02, 7), MeanOptions((1, 2), keep_dims=True)),
    "mean_all": lambda: one("mean", tensor((1,), 0.02, 7), MeanOptions((1, 2, 3))),
    "mean_rows": lambda: one("mean", tensor((1, 4, 3), 0.02, 7), MeanOptions((1,))),
    "add_columns": lambda: one("add", tensor(SHAPE, 0.06, 4), ElementwiseOptions(), codes((1, 5, 1, 3), 0.1, 0)),
    "mul_columns": lambda: one("mul", tensor(SHAPE, 0.06, 4), RELU6, codes((5, 1, 3), 0.1, 0)),
    "add_bias": lambda: one("add", tensor(SHAPE, 0.06, 4), RELU6, codes((3,), 0.01, 9)),
    "add_scalar": lambda: one("add", tensor(SHAPE, 0.06, 4), ElementwiseOptions(), codes((), 0.3, -128)),
    "sub_pixels": lambda: one("sub", tensor(SHAPE, 0.06, 4), RELU6, codes((1, 5, 4, 1), 0.04, 9)),
    "mul_channels": lambda: one("mul", tensor(SHAPE, 0.06, 4), ElementwiseOptions(), codes((1, 1, 1, 3), 0.02, 5)),
    "square": lambda: one("mul", tensor(SHAPE, 0.2, -128), ElementwiseOptions(), None),
    "leaky_relu": lambda: one("leaky_relu", tensor(SHAPE, 0.03, 5), LeakyReluOptions(0.3)),
    "hard_swish": lambda: one("hard_swish", tensor(SHAPE, 0.03, -100), NoOptions()),
    "logistic": lambda: one("logistic", tensor(SHAPE, 1 / 256, -128), NoOptions()),
    "tanh": lambda: one("tanh", tensor(SHAPE, 1 / 128, 0), NoOptions()),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_reference(name):
    graph = CASES[name]()
    data = tflite.write(graph)
    model = engine.load(data)
    x = np.random.default_rng(2).integers(-128, 128, (24, *SHAPE[1:])).astype(np.int8)
    want = Judge(data).run(x)
    got = model.run(x)
    bad = np.flatnonzero(got.ravel() != want.ravel())
    assert not bad.size, f"{name}: {bad.size} differ, first at {bad[0]}: got {got.flat[bad[0]]}, want {want.flat[bad[0]]}"
    assert tflite.write(tflite.read(data)) == data


REFUSED = {
    "other_scale": (
        lambda: one("concatenation", tensor((1, 10, 4, 3), 0.06, -3), ConcatenationOptions(1), None),
        engine.QuantError,
        "quantized otherwise than the output",
    ),
    "axes": (lambda: one("mean", like((1, 5, 3)), MeanOptions((2,))), engine.UnsupportedError, r"over axes \(2,\)"),
    "activations": (
        lambda: Graph(
            "both",
            (tensor(SHAPE, 0.05, -3), tensor((1, 5, 1, 3), 0.05, -3), tensor(SHAPE, 0.1, 2)),
            (Layer("add", "add", (0, 1), (2,), ElementwiseOptions()),),
            (0, 1),
            (2,),
        ),
        engine.UnsupportedError,
        "repeated along its first or its last",
    ),
    "constant_first": (
        lambda: Graph(
            "first",
            (codes((1, 1, 1, 3), 0.1, 0), tensor(SHAPE, 0.05, -3), tensor(SHAPE, 0.1, 2)),
            (Layer("sub", "sub", (0, 1), (2,), ElementwiseOptions()),),
            (1,),
            (2,),
        ),
        engine.UnsupportedError,
        "only if it is a single number",
    ),
    "shapes": (
        lambda: one("mul", like(SHAPE), ElementwiseOptions(), codes((2,), 0.1, 0)),
        engine.FormatError,
        "do not fit each other",
    ),
    "tanh_scale": (lambda: one("tanh", like(SHAPE), NoOptions()), engine.QuantError, r"expected 0.0078125 \(1/128\) and 0"),
    "small_output": (
        lambda: one("add", tensor(SHAPE, 1e-9, 0), ElementwiseOptions(), None),
        engine.QuantError,
        "too small beside",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    make, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        engine.Model(make())
