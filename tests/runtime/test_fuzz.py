"""A short run of the fuzzer (the long one is ``make fuzz``), and what bounds the work that a garbled file can ask for."""

import struct
from collections import Counter
from dataclasses import replace

import file_fuzzer
import fuzz_corpus
import int8_graphs
import numpy as np
import pytest

import engine
from engine import tflite
from engine.tflite import file as tflite_file
from engine.tflite.schema import TensorField

EXECUTIONS, SEED = 2500, 4809


@pytest.mark.xdist_group("fuzz")
def test_mutated_files_graphs_and_programs():
    bases = [file_fuzzer.Base(data) for data in fuzz_corpus.files().values()]
    ends = Counter()
    for number in range(EXECUTIONS):
        end, finding = file_fuzzer.judged(SEED, number, bases)
        assert not finding, finding
        ends[end] += 1
    assert min(ends[end] for end in ("refused", "ran", "program refused", "program ran")) > EXECUTIONS // 200, ends


def named_by_one_string(data: bytes, length: int) -> bytes:
    """The same file, except that all tensors share one name of `length` bytes behind everything else."""
    file = tflite_file.File(data)
    longer = bytearray(data.ljust(-(-len(data) // 4) * 4, b"\0"))
    for table in file._tensors:
        field = table._field(TensorField.NAME, 4)
        struct.pack_into("<I", longer, field, len(longer) - field)
    return bytes(longer) + struct.pack("<I", length) + b"a" * length


def test_parts_that_are_referred_to_too_often_are_refused():
    chain = int8_graphs.Chain((1, 4))
    for _ in range(600):
        chain.relu()
    data = tflite.write(chain.graph())
    assert engine.load(named_by_one_string(data, 100)).graph.tensors[0].name == "a" * 100
    with pytest.raises(engine.FormatError, match="refer to one another too often"):
        engine.load(named_by_one_string(data, 4_000_000))


def test_too_many_layers_are_refused():
    chain = int8_graphs.Chain((1, 2))
    for _ in range(4097):
        chain.relu()
    with pytest.raises(engine.UnsupportedError, match="the model has 4097 layers; supported are at most 4096"):
        engine.Model(chain.graph())


def test_shared_weights_count_for_each_layer():
    graph = int8_graphs.Chain((1, 1200)).dense(1200).dense(1200).graph()
    layer = graph.layers[1]
    tensors = [replace(graph.tensors[layer.outputs[0]], name=str(i)) for i in range(800)]
    count = len(graph.tensors)
    ends = [layer.inputs[0], *range(count, count + 800)]
    layers = [replace(layer, inputs=(ends[i], *layer.inputs[1:]), outputs=(ends[i + 1],)) for i in range(800)]
    many = replace(graph, tensors=(*graph.tensors, *tensors), layers=(graph.layers[0], *layers), outputs=(ends[-1],))
    with pytest.raises(engine.UnsupportedError, match=r"use 115\d+ bytes of weights; supported are at most 1073741824"):
        engine.Model(many)


def test_an_arena_of_hundreds_of_megabytes_is_refused():
    chain = int8_graphs.Chain((1, 1 << 14, 1 << 13))
    first = chain.relu().relu().graph()
    tensors = [replace(t, name=str(i)) for i, t in enumerate([first.tensors[0]] * 6)]
    layers = [engine.graph.Layer("relu", str(i), (0,), (i,), engine.graph.NoOptions()) for i in range(1, 6)]
    graph = engine.graph.Graph("wide", tuple(tensors), tuple(layers), (0,), (1, 2, 3, 4, 5))
    with pytest.raises(engine.UnsupportedError, match=r"the activations take \d+ bytes; supported are at most 536870912"):
        engine.Model(graph)


def test_floats_that_are_no_numbers_come_out_as_codes():
    """Whatever bits a float32 input has, quantizing gives some code."""
    graph = int8_graphs.Chain((1, 4), dtype="float32").quantize().graph()
    x = np.array([[np.nan, np.inf, -np.inf, 1e38]], np.float32)
    assert engine.Model(graph).run(x).dtype == np.int8
