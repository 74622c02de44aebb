"""Networks with branches, depthwise convolutions and smooth activations: trained, quantized, equal to TensorFlow Lite."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from engine import network
from engine import training as t
from engine.errors import FormatError, UnsupportedError
from enginekit.emit import emit
from enginekit.importers import to_json
from enginekit.quantize import measure, quantize
from enginekit.quantize.chain import forward, fuse, steps


def data(count=120):
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(0, 1, (4, 8, 8, 2))
    y = rng.integers(0, 4, count)
    return (prototypes[y] + rng.normal(0, 0.3, (count, 8, 8, 2))).astype(np.float32), y


def layers():
    return [
        t.Conv2D(6, 3, padding="same", activation="relu"),
        t.Residual([t.DepthwiseConv2D(3, padding="same"), t.BatchNorm(0.5), t.Relu(), t.Conv2D(6, 1)]),
        t.Relu(6),
        t.Residual([t.Conv2D(8, 3, stride=2), t.LeakyRelu(0.2)], [t.AveragePool2D(2), t.Conv2D(8, 2), t.Tanh()]),
        t.DepthwiseConv2D(2, 2, activation="relu"),
        t.Flatten(),
        t.Dense(12),
        t.Sigmoid(),
        t.Dense(4),
        t.Softmax(),
    ]


@pytest.fixture(scope="module")
def trained():
    net = t.Sequential((8, 8, 2), layers(), seed=2)
    x, y = data()
    net.fit(x, y, optimizer=t.Adam(0.01), epochs=12, batch_size=20)
    return net


def test_int8_model_is_as_good_and_equals_tensorflow_lite(trained):
    x, y = data()
    model = quantize(trained.network(), x)
    ops = [layer.op for layer in model.graph.layers]
    assert {"add", "depthwise_conv2d", "leaky_relu", "tanh", "logistic"} <= set(ops)
    codes = encoded(model, x)
    got = model.run(codes)
    judge = Interpreter(model_content=model.to_bytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    judge.allocate_tensors()
    for i, code in enumerate(codes[:40]):
        judge.set_tensor(judge.get_input_details()[0]["index"], code[None])
        judge.invoke()
        np.testing.assert_array_equal(got[i], judge.get_tensor(judge.get_output_details()[0]["index"])[0], err_msg=f"input {i}")
    floats = trained.evaluate(x, y).accuracy
    assert floats > 0.9
    assert np.mean(got.argmax(axis=1) == y) > floats - 0.05


def encoded(model, x):
    scale, zero = float(model.input.scale[0]), model.input.zero_point
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)


@pytest.mark.parametrize("options", [{"float_edges": True}, {"per_channel": False}, {"method": "percentile"}])
def test_every_way_of_quantizing_takes_branches(trained, options):
    x, _ = data()
    model = quantize(trained.network(), x, **options)
    report = measure(trained.network(), model, x[:50])
    assert [layer.op for layer in report.layers if layer.op == "add"] == ["add", "add"]
    sqnr = [layer.sqnr for layer in report.layers if layer.sqnr is not None]
    assert min(sqnr) > 8, sqnr


def test_steps_give_what_the_network_gives(trained):
    x, _ = data(20)
    fused = fuse(trained.network())
    outputs = next(forward(fused, x))
    assert len(outputs) == len(steps(fused)) + 1
    np.testing.assert_allclose(outputs[-1], trained.predict(x), rtol=1e-4, atol=1e-5)
    assert [layer.activation.value for layer in fused.layers if isinstance(layer, network.Residual)] == ["relu6", "none"]
    assert not any(isinstance(step.layer, network.Relu) for step in steps(fused))


def test_c_comes_out(trained):
    files = emit(quantize(trained.network(), data()[0]))
    assert "eng_add_s8" in "".join(files.values())


def test_what_does_not_fit_is_refused_by_name(trained):
    w, bias = np.zeros((3, 4), np.float32), np.zeros(3, np.float32)
    bad = network.Network("bad", (4,), (network.Residual("sum", (network.Dense("inner", w, bias),)),))
    with pytest.raises(FormatError, match=r"layer 0 'sum' \(Residual\): its layers give \(3,\) but its shortcut gives \(4,\)"):
        quantize(bad, np.zeros((1, 4), np.float32))
    spoiled = network.Residual("sum", (network.Dense("inner", np.full((4, 4), np.nan, np.float32), np.zeros(4, np.float32)),))
    with pytest.raises(FormatError, match=r"'sum' \(Residual\): layer 0 'inner' \(Dense\): 16 weights are not finite"):
        quantize(network.Network("bad", (4,), (spoiled,)), np.zeros((1, 4), np.float32))
    kernel = network.DepthwiseConv2D("d", np.zeros((1, 2, 2, 5), np.float32), np.zeros(5, np.float32), 2)
    with pytest.raises(FormatError, match=r"\(DepthwiseConv2D\): weights have 5 channels but 2, times a multiplier of 2"):
        quantize(network.Network("bad", (4, 4, 2), (kernel,)), np.zeros((1, 4, 4, 2), np.float32))
    with pytest.raises(UnsupportedError, match="layer 'residual': Residual has no JSON form"):
        to_json(trained.network())
    net = t.Sequential((4,), [t.Residual([t.Dense(4), t.Elu()]), t.Softplus()])
    with pytest.raises(UnsupportedError, match=r"layer residual_elu: Elu has no int8 form; layer softplus: Softplus has no"):
        net.network()
