"""Post-training quantization: ranges, weights, whole models against float, TensorFlow Lite's converter and its reference."""

import re
from dataclasses import replace

import float_oracle
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import cnn, dense_net, everything, images

import engine
from engine.errors import FormatError, QuantError
from engine.graph import Activation, Padding
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Network, Relu, Softmax
from enginekit.quantize import measure, quantize
from enginekit.quantize.calibrate import Range, make_range, ranges
from enginekit.quantize.chain import forward, fuse
from enginekit.quantize.weights import MIN_RATIO, quantize_weights


def reference(model, x):
    """Outputs of LiteRT's reference kernels for int8 or float inputs [n, ...]."""
    judge = Interpreter(model_content=model.to_bytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    judge.allocate_tensors()
    (source,), (sink,) = judge.get_input_details(), judge.get_output_details()
    outputs = []
    for sample in x:
        judge.set_tensor(source["index"], sample[None])
        judge.invoke()
        outputs.append(judge.get_tensor(sink["index"])[0])
    return np.stack(outputs)


def codes(model, x):
    tensor = model.input
    scaled = x.astype(np.float64) / float(tensor.scale[0])
    return np.clip(np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + tensor.zero_point, -128, 127).astype(np.int8)


# ---------------------------------------------------------------- ranges


def test_pixels_have_scale_one_over_255():
    assert make_range(0.0, 1.0).scale_and_zero() == (np.float32(1 / 255), -128)


@given(st.floats(-1e6, 1e6, width=32), st.floats(0, 1e6, width=32))
def test_a_range_is_covered_and_zero_is_exact(low, width):
    seen = make_range(low, low + width)
    scale, zero = seen.scale_and_zero()
    assert -128 <= zero <= 127
    assert seen.low <= 0 <= seen.high
    slack = 0.5001 * float(scale)
    assert float(scale) * (-128 - zero) <= min(low, 0) + slack
    assert float(scale) * (127 - zero) >= max(low + width, 0) - slack


@pytest.mark.parametrize("value", [0.0, 1e-40, -1e-42])
def test_an_activation_that_is_always_zero_has_a_defined_scale(value):
    assert make_range(value, 0.0) == Range(0.0, 1.0)


def test_minmax_ranges_are_those_of_the_float_network():
    network, x = fuse(cnn()), images(40)
    seen = ranges(network, x, None)
    for got, want in zip(seen, [x, *float_oracle.forward(network, x)], strict=True):
        np.testing.assert_allclose([got.low, got.high], [min(want.min(), 0), max(want.max(), 0)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("percentile", [95.0, 99.9])
def test_percentile_ranges_are_quantiles(percentile):
    network, x = fuse(dense_net()), images(301)  # no percentile falls on a whole rank
    seen = ranges(network, x, percentile)
    outputs = float_oracle.forward(network, x)
    assert (seen[0].low, seen[0].high) == (0.0, 1.0)
    for got, values in zip(seen[1:], outputs, strict=True):
        want = np.percentile(values, [100 - percentile, percentile], method="inverted_cdf")
        resolution = (values.max() - values.min()) / 60000
        assert abs(got.low - min(want[0], 0)) <= resolution
        assert abs(got.high - max(want[1], 0)) <= resolution


def test_percentile_100_is_minmax():
    network, x = fuse(dense_net()), images(50)
    for a, b in zip(ranges(network, x, 100.0), ranges(network, x, None), strict=True):
        np.testing.assert_allclose([a.low, a.high], [b.low, b.high], rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------- float network


@pytest.mark.parametrize("make", [cnn, dense_net, everything])
def test_forward_is_the_oracles_and_fusing_changes_nothing(make):
    network = make()
    x = np.random.default_rng(5).uniform(-1, 1, (7, *network.input_shape)).astype(np.float32)
    fused = fuse(network)
    (outputs,) = forward(fused, x)
    for layer, got, want in zip(fused.layers, outputs[1:], float_oracle.forward(fused, x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5, err_msg=layer.name)
    np.testing.assert_allclose(outputs[-1], float_oracle.forward(network, x)[-1], rtol=1e-4, atol=1e-5)


def test_relus_move_up_through_pools_and_merge():
    w, bias = np.ones((2, 1, 1, 1), np.float32), np.zeros(2, np.float32)
    conv = Conv2D("conv", w, bias)
    chain = (conv, MaxPool2D("pool", (2, 2), (2, 2)), Relu("a"), Flatten("flat"), Relu("b", 6.0), Relu("c"))
    fused = fuse(Network("n", (4, 4, 1), chain))
    assert [layer.name for layer in fused.layers] == ["conv", "pool", "flat"]
    assert fused.layers[0].activation is Activation.RELU6


def test_relus_that_cannot_be_fused_stay():
    chain = (Relu("first"), AveragePool2D("pool", (2, 2), (2, 2)), Relu("second"))
    assert [layer.name for layer in fuse(Network("n", (4, 4, 1), chain)).layers] == ["first", "pool", "second"]


def test_batches_do_not_matter(monkeypatch):
    network, x = cnn(), images(23)
    whole = quantize(network, x).to_bytes()
    monkeypatch.setattr("enginekit.quantize.chain.BATCH", 5)
    assert quantize(network, x).to_bytes() == whole


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 3, 2), (1, 1)])
def test_weights_are_within_half_a_step(shape, per_channel):
    rng = np.random.default_rng(1)
    w = (rng.standard_normal(shape) * 10 ** rng.uniform(-3, 1, (shape[0], *[1] * (len(shape) - 1)))).astype(np.float32)
    bias = rng.standard_normal(shape[0]).astype(np.float32)
    q = quantize_weights(w, bias, np.float32(0.01), np.float32(0.05), per_channel=per_channel, where="d")
    assert q.scale.shape == (shape[0] if per_channel else 1,)
    assert np.abs(q.w.astype(int)).max() == 127
    scale = q.scale.astype(np.float64).reshape(-1, *[1] * (len(shape) - 1))
    assert (np.abs(q.w * scale - w) <= scale * 0.5001).all()
    unit = 0.01 * q.scale.astype(np.float64)
    assert (np.abs(q.bias * unit - bias) <= unit * 0.5001 + 1e-7 * np.abs(bias)).all()


def codes_of(w, *, scale_y=0.05, per_channel=True):
    bias = np.linspace(-1, 1, len(w)).astype(np.float32)
    return quantize_weights(w, bias, np.float32(1 / 255), np.float32(scale_y), per_channel=per_channel, where="d")


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("most", [1, 2, 7, 8])
def test_weights_on_a_coarse_grid_keep_their_steps(most, per_channel):
    rng = np.random.default_rng(most)
    steps = rng.integers(-most, most, (5, 40))
    steps[:, 0] = -most
    steps[3] = 0
    width = rng.uniform(0.01, 0.1, (5, 1)) if per_channel else 0.03
    q = codes_of((steps * width).astype(np.float32), per_channel=per_channel)
    assert q.w.tolist() == steps.tolist()
    live = np.delete(q.w * q.scale.reshape(-1, 1).astype(np.float64), 3, axis=0)
    np.testing.assert_allclose(live, np.delete(steps * width, 3, axis=0), rtol=1e-6)


def test_steps_are_multiplied_where_the_bias_would_lose():
    steps = np.random.default_rng(0).integers(-3, 4, (4, 40))
    q = codes_of((steps * 10).astype(np.float32))
    factor = q.w.astype(int).max() // steps.max()
    assert 1 < factor <= 127 // 3
    assert (q.w == factor * steps).all()
    assert (q.scale / 255 / 0.05 <= 0.25).all()
    assert (codes_of((steps * 10).astype(np.float32), scale_y=1e-4).w == 127 // 3 * steps).all()


def test_a_layer_of_few_values_keeps_as_few_codes():
    rng = np.random.default_rng(0)
    values = np.sort(rng.standard_normal(16)).astype(np.float32)
    q = codes_of(values[rng.integers(0, 16, (6, 50))])
    assert len(np.unique(q.w)) <= 16
    assert len(np.unique(q.scale)) == 1
    more = codes_of(np.append(values, np.float32(0.123))[rng.integers(0, 17, (6, 50))])
    assert (np.abs(more.w.astype(int)).max(axis=1) == 127).all()


@pytest.mark.parametrize("bias", [0.0, 0.3, -1e3, 1e30])
def test_a_dead_channel(bias):
    w = np.array([[1, 2], [0, 0]], np.float32)
    q = quantize_weights(w, np.float32([0, bias]), np.float32(1 / 255), np.float32(0.02), per_channel=True, where="d")
    assert q.w[1].tolist() == [0, 0]
    assert q.scale[1] == np.float32(0.02 * 255 * MIN_RATIO) or np.isclose(q.scale[1], 0.02 * 255 * MIN_RATIO, rtol=1e-6)
    reached = float(q.bias[1]) * float(q.scale[1]) / 255
    assert reached == pytest.approx(np.clip(bias, -256 * 0.02, 256 * 0.02), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("bias", [1e4, -1e4, 1e9, -1e9, 3e38])
@pytest.mark.parametrize("activation", [Activation.NONE, Activation.RELU])
def test_a_huge_bias_clamps_the_output_as_it_should(bias, activation):
    rng = np.random.default_rng(2)
    w = rng.standard_normal((3, 20)).astype(np.float32)
    small = Network("n", (20,), (Dense("d", w, np.zeros(3, np.float32), activation),))
    large = replace(small, layers=(replace(small.layers[0], bias=np.float32([0, bias, 0])),))
    x = rng.uniform(-1, 1, (50, 20)).astype(np.float32)
    model = quantize(large, x)
    outputs = model.run(codes(model, x))
    scale, zero = float(model.output.scale[0]), model.output.zero_point
    want = float_oracle.forward(large, x)[-1][:, 1]
    assert np.abs(scale * (outputs[:, 1].astype(int) - zero) - want).max() <= 2 * scale
    assert (outputs == reference(model, codes(model, x))).all()


def test_cut_biases_are_counted():
    network = Network("n", (2,), (Dense("d", np.ones((2, 2), np.float32), np.float32([0, -1e9]), Activation.RELU),))
    x = np.random.default_rng(0).random((9, 2), np.float32)
    (layer,) = measure(network, quantize(network, x), x).layers
    assert layer.biases_cut == 1


def test_values_without_a_float32_scale_are_refused():
    network = Network("n", (2,), (Dense("tiny", np.ones((1, 2), np.float32), np.zeros(1, np.float32)),))
    with pytest.raises(QuantError, match=r"layer 0 'tiny' \(Dense\): .*no float32 scale; rescale"):
        quantize(network, np.full((3, 2), 1e-35, np.float32))


# ---------------------------------------------------------------- whole models


NETWORKS = {"dense": dense_net, "cnn": cnn, "everything": everything}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "options", [{}, {"per_channel": False}, {"method": "percentile", "percentile": 99.5}, {"float_edges": True}]
)
def test_the_written_file_runs_in_the_reference_with_equal_bytes(name, options):
    network = NETWORKS[name]()
    x = images(60, network.input_shape)
    model = engine.load(quantize(network, x[:40], **options).to_bytes())
    given_x = x if options.get("float_edges") else codes(model, x)
    got, want = model.run(given_x), reference(model, given_x)
    differing = np.flatnonzero((got != want).reshape(len(x), -1).any(axis=1))
    assert got.dtype == want.dtype
    assert differing.size == 0, f"{name} {options}: first at input {differing[:1]}"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("per_channel", [True, False])
def test_outputs_follow_the_float_network(name, per_channel):
    network = NETWORKS[name]()
    x = images(200, network.input_shape)
    model = quantize(network, x[:100], per_channel=per_channel)
    want = float_oracle.forward(network, x)[-1]
    error = np.abs(model.predict(x) - want)[:100]
    assert error.max() < 0.1 * np.abs(want).max()
    report = measure(network, model, x[100:])
    assert all(layer.sqnr is None or layer.sqnr > 15 for layer in report.layers), report


def test_graph_has_tflites_conventions():
    model = quantize(cnn(), images(30))
    tensors, layers = model.graph.tensors, model.graph.layers
    assert [layer.op for layer in layers] == ["conv2d", "max_pool2d", "reshape", "dense", "softmax"]
    conv, pool, flat, dense, softmax = (tensors[layer.outputs[0]] for layer in layers)
    assert (model.input.scale, model.input.zero_point) == (np.float32([1 / 255]), -128)
    assert layers[0].options.activation is Activation.RELU
    assert conv.zero_point == -128
    for kept in (pool, flat):
        assert (kept.scale, kept.zero_point) == (conv.scale, conv.zero_point)
    assert (softmax.scale, softmax.zero_point) == (np.float32([1 / 256]), -128)
    for layer in (layers[0], layers[3]):
        x, w, bias = (tensors[index] for index in layer.inputs)
        assert w.scale.shape == (w.shape[0],)
        assert np.allclose(bias.scale, x.scale.astype(np.float64) * w.scale, rtol=1e-7)
        assert (w.zero_point, bias.zero_point, bias.dtype) == (0, 0, np.int32)
    assert dense.shape == (1, 10)


def test_a_layer_that_is_always_zero_still_works():
    rng = np.random.default_rng(3)
    dead = Dense("dead", rng.standard_normal((4, 6)).astype(np.float32), np.full(4, -99, np.float32), Activation.RELU)
    last = Dense("last", rng.standard_normal((3, 4)).astype(np.float32), np.float32([1, -2, 0.5]))
    network = Network("n", (6,), (dead, last))
    x = rng.random((20, 6), np.float32)
    model = quantize(network, x)
    np.testing.assert_allclose(model.predict(x), np.tile([1, -2, 0.5], (20, 1)), atol=0.02)
    assert (model.run(codes(model, x)) == reference(model, codes(model, x))).all()


@pytest.mark.parametrize("last", [Relu("r"), Softmax("s")])
def test_matrices_come_in_too(last):
    """Keras users flatten images without a channel dimension."""
    chain = (last, Flatten("flat"), Dense("d", np.eye(6, dtype=np.float32), np.zeros(6, np.float32)))
    network = Network("n", (2, 3), chain)
    x = np.random.default_rng(1).uniform(-1, 1, (30, 2, 3)).astype(np.float32)
    model = quantize(network, x)
    np.testing.assert_allclose(model.predict(x), float_oracle.forward(network, x)[-1], atol=0.02)
    assert (model.run(codes(model, x)) == reference(model, codes(model, x))).all()


def test_all_zero_calibration_data():
    network = dense_net()
    model = quantize(network, np.zeros((3, *network.input_shape), np.float32))
    assert model.input.scale == np.float32([1 / 255])


def test_the_same_model_every_time():
    assert quantize(cnn(), images(10)).digest == quantize(cnn(), images(10)).digest


def test_measure_sees_fused_layers_and_clipping():
    network, x = cnn(), images(50)
    report = measure(network, quantize(network, x, method="percentile", percentile=90), x)
    names = [layer.name for layer in report.layers]
    assert names == ["conv", "pool", "flat", "digit", "probability"]
    assert report.layers[0].sqnr is None
    assert report.layers[0].weights == 12 * 9
    assert report.layers[0].weights_at_limit >= 12
    assert 0.05 < report.layers[0].clipped < 0.15
    assert measure(network, quantize(network, x), x).layers[0].clipped == 0
    assert report.inputs == 50
    assert report.as_dict()["layers"][3]["op"] == "dense"


def test_measure_refuses_another_model():
    with pytest.raises(QuantError, match="the model has 3 layers but network"):
        measure(cnn(), quantize(dense_net(), images(5)), images(5))


# ---------------------------------------------------------------- bad input


def broken(value):
    x = images(20)
    x[13, 5, 5, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (broken(np.nan), "calibration data: input 13 has NaN, infinite or too large values"),
        (broken(np.inf), "calibration data: input 13"),
        (images(20).astype(np.float64) * 1e300, "calibration data: input 0"),
        (images(0), "calibration data is empty; network 'cnn' needs [count, 28, 28, 1] with at least one"),
        (images(3)[..., 0], "calibration data has shape [3, 28, 28]; network 'cnn' needs [count, 28, 28, 1]"),
        (images(3)[0], "calibration data has shape [28, 28, 1]; network 'cnn' needs [count, 28, 28, 1]"),
        ((images(3) * 255).astype(np.uint8), "calibration data is uint8; expected floating point"),
        (np.zeros((3, 28, 28, 1), bool), "calibration data is bool"),
    ],
)
def test_unusable_calibration_data_is_refused(x, message):
    with pytest.raises(QuantError, match=re.escape(message)):
        quantize(cnn(), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "kl"}, "method is 'kl'"),
        ({"method": "percentile", "percentile": 50}, "percentile is 50"),
        ({"percentile": 101}, "101"),
    ],
)
def test_unusable_options_are_refused(options, message):
    with pytest.raises(QuantError, match=message):
        quantize(cnn(), images(3), **options)


def test_weights_that_are_no_numbers_are_refused_by_name():
    network = cnn()
    w = network.layers[3].w.copy()
    w[2, 7] = np.nan
    layers = (*network.layers[:3], replace(network.layers[3], w=w), *network.layers[4:])
    with pytest.raises(FormatError, match=r"layer 3 'digit' \(Dense\): 1 weights are not finite; the first is nan at \[2, 7\]"):
        quantize(replace(network, layers=layers), images(3))


def test_activations_that_overflow_are_refused_by_name():
    w = np.full((2, 4), 3e38, np.float32)
    network = Network("n", (4,), (Dense("big", w, np.zeros(2, np.float32)), Softmax("s")))
    with pytest.raises(QuantError, match=r"layer 0 'big' \(Dense\): its output over the calibration data is not finite"):
        quantize(network, np.ones((2, 4), np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_random_networks_equal_the_reference(seed):
    rng = np.random.default_rng(seed)
    size, channels, filters, kernel = (int(rng.integers(*span)) for span in ((5, 10), (1, 4), (1, 6), (1, 4)))
    w = (rng.standard_normal((filters, kernel, kernel, channels)) * 10 ** rng.uniform(-4, 2)).astype(np.float32)
    bias = (rng.standard_normal(filters) * 10 ** rng.uniform(-3, 3)).astype(np.float32)
    padding = [Padding.SAME, Padding.VALID][int(rng.integers(2))]
    activation = [Activation.NONE, Activation.RELU, Activation.RELU6][int(rng.integers(3))]
    conv = Conv2D("c", w, bias, (int(rng.integers(1, 3)),) * 2, (1, 1), padding, activation)
    pools = [MaxPool2D("p", (2, 2), (2, 2), Padding.SAME), AveragePool2D("p", (2, 2), (1, 1), Padding.SAME)]
    network = Network("n", (size, size, channels), (conv, pools[int(rng.integers(2))]))
    x = (rng.standard_normal((12, size, size, channels)) * 10 ** rng.uniform(-2, 2)).astype(np.float32)
    model = quantize(network, x, per_channel=bool(rng.integers(2)))
    assert (model.run(codes(model, x)) == reference(model, codes(model, x))).all()
