"""The plain JSON form: exact round trip, and errors that name the place."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import FormatError
from engine.graph import Activation, Padding
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Network, Relu, Softmax
from enginekit.importers import from_json, to_json


def everything(seed=3):
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return (rng.standard_normal(shape) * 10.0 ** rng.integers(-30, 30, shape)).astype(np.float32)

    return Network(
        "all of it",
        (12, 11, 2),
        (
            Conv2D("a", weights(3, 2, 3, 2), weights(3), (2, 1), (1, 2), Padding.SAME, Activation.RELU6),
            MaxPool2D("b", (2, 3), (1, 2), Padding.SAME),
            AveragePool2D("c", (2, 2), (2, 1)),
            Relu("d"),
            Relu("e", 6.0),
            Flatten("f"),
            Dense("g", weights(4, 45), weights(4), Activation.RELU),
            Softmax("h"),
        ),
    )


def assert_equal(got, want):
    assert (got.name, got.input_shape, len(got.layers)) == (want.name, want.input_shape, len(want.layers))
    for a, b in zip(got.layers, want.layers, strict=True):
        assert type(a) is type(b)
        for key, value in vars(b).items():
            if isinstance(value, np.ndarray):
                assert getattr(a, key).dtype == np.float32
                assert getattr(a, key).tobytes() == value.tobytes(), f"{b.name}.{key}"
            else:
                assert getattr(a, key) == value, f"{b.name}.{key}"


def test_round_trip_keeps_every_bit(tmp_path):
    network = everything()
    path = tmp_path / "n.json"
    path.write_text(to_json(network))
    assert_equal(from_json(path), network)
    assert_equal(from_json(json.loads(to_json(network))), network)


def test_defaults():
    layers = [
        {"type": "conv2d", "weights": [[[[1]]]]},
        {"type": "max_pool2d", "kernel": [2, 1]},
        {"type": "flatten"},
        {"type": "dense", "weights": [[1, 2]], "activation": "softmax", "name": "out"},
    ]
    network = from_json({"input_shape": [2, 2, 1], "layers": layers})
    conv, pool, _, _, softmax = network.layers
    assert (network.name, conv.name, softmax.name) == ("network", "conv2d_0", "out_softmax")
    assert (conv.stride, conv.dilation, conv.padding, conv.activation) == ((1, 1), (1, 1), Padding.VALID, Activation.NONE)
    assert conv.bias.tolist() == [0.0]
    assert pool.stride == (2, 1)


def dense(**changes):
    return {"input_shape": [2], "layers": [{"type": "dense", "weights": [[1, 2], [3, 4]], "bias": [0, 0], **changes}]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "network: expected an object, got []"),
        ({"layers": []}, 'network: "input_shape" is missing'),
        ({"input_shape": [2]}, 'network: "layers" is missing'),
        ({"input_shape": [0], "layers": [1]}, "network.input_shape: expected a list of positive integers, got [0]"),
        ({"input_shape": [2], "layers": []}, "network.layers: expected a list of layers, got []"),
        ({"input_shape": [2], "layers": [3]}, "layers[0]: expected an object, got 3"),
        ({"input_shape": [2], "layers": [{}]}, "layers[0].type: expected one of dense, conv2d, max_pool2d"),
        ({"input_shape": [2], "layers": [{"type": "lstm"}]}, 'got "lstm"'),
        ({"input_shape": [2], "layers": [{"type": "dense"}]}, 'layers[0]: "weights" is missing'),
        (dense(weights=[[1, 2], [3]]), "layers[0].weights[1]: has shape [1] but layers[0].weights[0] has [2]"),
        (dense(weights=[[1, 2], [3, "x"]]), 'layers[0].weights[1][1]: expected a number, got "x"'),
        (dense(weights=[[1, 2], [3, True]]), "layers[0].weights[1][1]: expected a number, got true"),
        (dense(weights=[1, 2]), "layers[0].weights[0]: expected a list, got 1"),
        (dense(weights=[[1, 2], [3, float("nan")]]), "layers[0].weights[1][1]: nan is not a finite float32"),
        (dense(weights=[[1, 1e39], [3, 4]]), "layers[0].weights[0][1]: 1e+39 is not a finite float32"),
        (dense(weights=[[1, 10**400], [3, 4]]), "layers[0].weights[0][1]: inf is not a finite float32"),
        (dense(weights=[]), "layers[0].weights: expected a list of lists, got []"),
        (dense(bias=[1]), "layer 0 'dense_0' (Dense): 2 outputs but 1 biases"),
        (dense(wieghts=[1]), 'layers[0]: unknown key "wieghts"'),
        (dense(activation="tanh"), "layers[0].activation: expected one of none, relu"),
        (dense(name=4), "layers[0].name: expected a text, got 4"),
        (dense() | {"input_shape": [3]}, "layer 0 'dense_0' (Dense): weights are [2, 2] but 3 values come in"),
        (dense() | {"input_shape": [2, 1]}, "needs a vector, got shape (2, 1); put a Flatten before it"),
        ({"input_shape": [2, 2, 1], "layers": [{"type": "max_pool2d", "kernel": 3}]}, "is larger than the image (2, 2)"),
        (
            {"input_shape": [2, 2, 1], "layers": [{"type": "max_pool2d", "kernel": [1, 0]}]},
            "layers[0].kernel: expected a",
        ),
        ({"input_shape": [2, 2], "layers": [{"type": "max_pool2d", "kernel": 1}]}, "needs an image"),
        ({"input_shape": [2], "layers": [{"type": "relu", "max_value": 5}]}, "layers[0].max_value: expected null or 6, got 5"),
    ],
)
def test_errors_name_the_place(value, message, tmp_path):
    path = tmp_path / "n.json"
    path.write_text(json.dumps(value))
    with pytest.raises(FormatError) as error:
        from_json(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "line 1 column 2: Expecting property name"), ('{"a": 1,\n  "b": }', "line 2 column 8"), ("", "line 1 column 1")],
)
def test_syntax_errors_name_line_and_column(text, message, tmp_path):
    path = tmp_path / "n.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        from_json(path)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "n.json"
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(FormatError, match=r"n\.json: not a JSON text"):
        from_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(FormatError, match=r"n\.json: not a JSON text"):
        from_json(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["dense", "same", "relu"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "weights", "kernel", "x"]), inner),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_file_is_read_or_refused_but_never_breaks_anything(data):
    layers = [
        {"type": "conv2d", "weights": [[[[1.0]]]], "stride": [1, 1], "padding": "same"},
        {"type": "max_pool2d", "kernel": 2},
        {"type": "flatten"},
        {"type": "dense", "weights": [[1, 2, 3, 4]], "bias": [0.5], "activation": "softmax"},
    ]
    value = {"input_shape": [4, 4, 1], "layers": layers}
    path = data.draw(st.sampled_from(list(places(value))))
    changed = data.draw(VALUES)
    if path:
        owner = value
        for key in path[:-1]:
            owner = owner[key]
        owner[path[-1]] = changed
    else:
        value = changed if isinstance(changed, dict) else {}
    try:
        network = from_json(value)
    except FormatError:
        return
    assert_equal(from_json(json.loads(to_json(network))), network)
