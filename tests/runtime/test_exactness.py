"""The exactness matrix: every operator, as a file of its own, on every instruction set, against TensorFlow Lite's reference.

``ENGINE_EXACTNESS=N`` draws N models of each operator instead of `MODELS`; the seed stays, so that a longer run begins with
the same ones. No byte may differ.
"""

import os
import zlib

import numpy as np
import pytest
import single_operators
from judged import assert_equal, available_isas
from tflite_builder import Judge, to_tflite

import engine

MODELS = int(os.environ.get("ENGINE_EXACTNESS", "45"))


def samples(rng, tensors, count=5):
    """A batch for each input: random codes, all at either end, and a few values far apart."""
    arrays = []
    for t in tensors:
        shape = (count, *t.shape[1:])
        if t.dtype == np.float32:
            arrays.append((rng.normal(size=shape) * 2.0 ** rng.uniform(-6, 6)).astype(np.float32))
            continue
        x = rng.integers(0, 256, shape).astype(np.uint8)
        x[0], x[1] = 128, 127
        x[2] = rng.choice(np.array([0, 127, 128, 255], np.uint8), shape[1:])
        arrays.append(x.view(t.dtype))
    return arrays


@pytest.mark.parametrize("name", single_operators.OPERATORS)
def test_equal_to_the_reference(name, monkeypatch):
    isas = available_isas()
    for turn in range(MODELS):
        rng = np.random.default_rng([zlib.crc32(name.encode()), turn])
        graph = single_operators.OPERATORS[name](rng, turn)
        shapes = [(t.shape, t.scale, t.zero_point) for t in graph.tensors]
        what = f"{name} turn={turn} {graph.layers[0].options} {shapes}"
        data = to_tflite(graph)
        x = samples(rng, [graph.tensors[i] for i in graph.inputs])
        want = Judge(data).run(*x)
        for isa in isas:
            monkeypatch.setenv("ENGINE_ISA", isa)
            model = engine.load(data)
            got = model.run(x[0] if len(x) == 1 else tuple(x))
            assert_equal(want.view(np.uint8), got.view(np.uint8), f"{isa}: {what}")
            if turn % 5 == 0:
                again = engine.load(model.to_bytes()).run(x[0] if len(x) == 1 else tuple(x))
                assert_equal(got.view(np.uint8), again.view(np.uint8), f"{isa}, saved: {what}")
