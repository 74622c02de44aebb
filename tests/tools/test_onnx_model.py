"""The contender ONNX Runtime: converted graphs compute what ours do, up to its own rounding."""

import numpy as np
import onnx_model
import pytest
from random_graphs import Activation, Chain, Padding

import engine

RELU = Activation.RELU
GRAPHS = {
    "dense": lambda: Chain((13,)).dense(7, RELU).dense(3),
    "conv": lambda: Chain((9, 8, 3)).conv(5, 3, 2, padding=Padding.SAME, activation=RELU).flatten().dense(4),
    "depthwise": lambda: Chain((9, 8, 6)).depthwise(3, activation=Activation.RELU6).pool("max_pool2d", 2).flatten().dense(4),
    "average": lambda: Chain((8, 8, 6)).pool("average_pool2d", 2).flatten().softmax(),
    "mean": lambda: Chain((4, 5, 6)).mean(),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_codes_agree_but_for_rounding(name):
    pytest.importorskip("onnxruntime")
    model = engine.Model(GRAPHS[name]().graph())
    x = np.random.default_rng(4).integers(-128, 128, (6, *model.input.shape[1:])).astype(np.int8)
    content = onnx_model.to_onnx(model.graph)
    got = onnx_model.flipped(onnx_model.session_call(content, x, 1)())
    assert got.shape == model.run(x).shape
    apart = np.abs(got.astype(int) - model.run(x))
    assert apart.max() <= 1, f"{name}: differs by {apart.max()} first at {np.argwhere(apart > 1)[0]}"


def test_what_cannot_be_converted_is_named():
    pytest.importorskip("onnx")
    graph = Chain((6,)).dense(4).argmax().graph()
    with pytest.raises(engine.UnsupportedError, match="not converted to ONNX: argmax"):
        onnx_model.to_onnx(graph)
