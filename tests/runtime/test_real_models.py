"""Real files, whole: every byte equal to TensorFlow Lite's reference on every instruction set.

All .tflite files below the shared model folder (:func:`enginekit.datasets.shared_models`) and below the folder that
``ENGINE_MODELS`` names, for a longer run on files of yours. Those of the latter may be refused, if it is said why.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from judged import available_isas
from tflite_builder import Judge

import engine
from enginekit.datasets import shared_models

SHARED, MORE = shared_models(), os.environ.get("ENGINE_MODELS")
COUNT = 16


def files() -> list[Path]:
    return [path for folder in (SHARED, MORE) if folder is not None for path in sorted(Path(folder).rglob("*.tflite"))]


def samples(tensor, seed: int) -> np.ndarray:
    """Random codes, all at either end, all at the zero point, and random walks as sounds and pictures have them."""
    rng = np.random.default_rng(seed)
    shape = (COUNT, *tensor.shape[1:])
    if tensor.dtype == np.float32:
        return (rng.normal(size=shape) * 2.0 ** rng.uniform(-3, 3, (COUNT, *[1] * (len(shape) - 1)))).astype(np.float32)
    lowest = 0 if tensor.dtype == np.uint8 else -128
    x = rng.integers(0, 256, shape) + lowest
    x[0], x[1], x[2], x[3] = lowest, lowest + 255, tensor.zero_point, rng.choice([lowest, lowest + 255], shape[1:])
    x[4:10] = (np.cumsum(rng.normal(size=(6, *shape[1:])), axis=1) * 20 + lowest + 128).clip(lowest, lowest + 255)
    return x.astype(tensor.dtype)


@pytest.mark.skipif(not files(), reason="neither the shared model files nor ENGINE_MODELS are on this machine")
@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_equal_to_the_reference(path, monkeypatch):
    data = path.read_bytes()
    try:
        model = engine.load(data)
    except engine.UnsupportedError as error:
        if SHARED is not None and path.is_relative_to(SHARED):
            raise
        pytest.skip(str(error))
    x = samples(model.input, seed=len(data))
    want = Judge(data).run(x)
    assert len(np.unique(want)) > 1, "the inputs move nothing"
    assert np.array_equal(Judge(model.to_bytes()).run(x), want), "saved and run by TensorFlow Lite"
    for isa in available_isas():
        monkeypatch.setenv("ENGINE_ISA", isa)
        got = engine.load(data).run(x)
        bad = np.flatnonzero((got != want).reshape(COUNT, -1).any(axis=1))
        assert not bad.size, f"{path.name}, {isa}: samples {bad.tolist()} differ"
