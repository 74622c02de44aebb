"""Files cut short or garbled: an EngineError or a model that runs, never anything else, and never for long."""

import time
from functools import cache

import int8_graphs
import keras_int8
import numpy as np
import pytest
import random_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_int8 import LAYERS as K

import engine
from engine import tflite
from enginekit.datasets import shared_models

#: Seconds that any of these small files may take, however garbled; a clean one takes a few milliseconds.
LIMIT = 2.0
NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFFFF, 1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 4, (1 << 32) - 1]


@cache
def files():
    """Files from our writer and from TensorFlow Lite's converter, with all the tables that those contain."""
    shape = (8, 8, 1)
    layers = [K.Conv2D(2, 3, activation="relu"), K.MaxPooling2D(2), K.Flatten(), K.Dense(4, activation="softmax")]
    converted = keras_int8.convert(keras_int8.sequential(shape, layers), keras_int8.normal_samples(shape), edges="float32")
    return {
        "converted": converted,
        "every_operator": tflite.write(int8_graphs.every_operator()),
        "digits_like": tflite.write(int8_graphs.digits_like()),
        "residual": tflite.write(random_graphs.residual()),
    }


def survive(data: bytes, what: str):
    """Load and run; anything but success or an EngineError fails the test."""
    start = time.perf_counter()
    try:
        model = engine.load(data)
        model.run(np.zeros((1, *model.input.shape[1:]), model.input.dtype))
        engine.load(model.to_bytes())
    except engine.EngineError:
        pass
    except Exception as error:
        pytest.fail(f"{what}: {type(error).__name__}: {error}")
    assert time.perf_counter() - start < LIMIT, what


@pytest.mark.skipif(shared_models() is None, reason="the shared model files are not on this machine")
def test_damage_to_keyword_spotting():
    data = (shared_models() / "kws_ref_model.tflite").read_bytes()
    assert all(is_refused(data[:length]) for length in range(0, len(data) - 64, 2999))
    rng = np.random.default_rng(9)
    structure = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)  # offsets and sizes have zeros, weights hardly any
    for trial in range(60):
        damaged = bytearray(data)
        for position in rng.choice(structure, 3):
            damaged[position] ^= int(rng.integers(1, 256))
        survive(bytes(damaged), f"kws, trial {trial}")


def is_refused(data: bytes) -> bool:
    try:
        engine.load(data)
    except engine.FormatError:
        return True
    return False


NAMES = ["converted", "every_operator", "digits_like", "residual"]


@pytest.mark.parametrize("name", NAMES)
def test_truncated_anywhere(name):
    data = files()[name]
    lengths = range(0, len(data), 3)
    accepted = [length for length in lengths if not is_refused(data[:length])]
    # The last thing in a file is what was written first, so only bytes that align it may be missing.
    assert all(length > len(data) - 16 for length in accepted)


@pytest.mark.parametrize("name", NAMES)
def test_inverted_bytes(name):
    data = files()[name]
    for position in range(NAMES.index(name), len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        survive(bytes(damaged), f"{name}, byte {position} inverted")


@pytest.mark.parametrize("name", NAMES)
def test_seeded_damage(name):
    data = files()[name]
    rng = np.random.default_rng(len(data))
    for trial in range(800):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 5)):
            position = int(rng.integers(len(data)))
            if rng.integers(2):
                damaged[position] ^= 1 << int(rng.integers(8))
            else:
                position &= ~3
                damaged[position : position + 4] = NUMBERS[rng.integers(len(NUMBERS))].to_bytes(4, "little")
        survive(bytes(damaged), f"{name}, trial {trial}")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    st.floats(0.9, 1),
)
def test_arbitrary_damage(name, edits, keep):
    data = bytearray(files()[name])
    for place, content in edits:
        position = int(place * (len(data) - 1))
        data[position : position + len(content)] = content
    survive(bytes(data[: int(keep * len(data)) + 1]), name)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_with_the_right_identifier(content):
    survive(content[:4].ljust(4, b"\0") + b"TFL3" + content[4:], "arbitrary bytes")


def test_a_huge_activation_is_refused_before_memory_is_asked_for():
    graph = int8_graphs.Chain((1, 6)).relu().graph()
    shape = (1, 1 << 20, 1 << 10)
    tensors = tuple(engine.graph.Tensor(t.name, shape, t.dtype, t.scale, t.zero_point) for t in graph.tensors)
    with pytest.raises(engine.UnsupportedError, match=r"int8\[1, 1048576, 1024\] takes more than \d+ bytes"):
        engine.Model(engine.graph.Graph("huge", tensors, graph.layers, graph.inputs, graph.outputs))
