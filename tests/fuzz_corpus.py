"""Writes the sound files that the fuzzer starts from: ``fuzz_corpus.py FOLDER``. Needs TensorFlow; the fuzzer does not."""

from __future__ import annotations

import sys
from pathlib import Path

import int8_graphs
import keras_int8
import random_graphs
import tflite_builder
from keras_int8 import LAYERS as K

from engine import tflite
from enginekit.datasets import shared_models


def files() -> dict[str, bytes]:
    """Small files with all tables and operators: from TensorFlow Lite's converter, from its object API, and from our writer."""
    shape = (8, 8, 1)
    layers = [K.Conv2D(2, 3, activation="relu"), K.MaxPooling2D(2), K.Flatten(), K.Dense(4, activation="softmax")]
    model, samples = keras_int8.sequential(shape, layers), keras_int8.normal_samples(shape)
    found = {f"converted_{edges}": keras_int8.convert(model, samples, edges=edges) for edges in ("float32", "uint8", "int8")}
    rows = keras_int8.sequential((4, 6), [K.Dense(3, activation="relu"), K.Dense(2)])
    found["rows"] = keras_int8.convert(rows, keras_int8.normal_samples((4, 6)))
    causal = keras_int8.sequential((12, 2), [K.Conv1D(3, 2, dilation_rate=2, padding="causal"), K.Flatten(), K.Dense(2)])
    found["causal"] = keras_int8.convert(causal, keras_int8.normal_samples((12, 2)))
    found["every_operator"] = tflite.write(int8_graphs.every_operator())
    found["digits_like"] = tflite_builder.to_tflite(int8_graphs.digits_like())
    for name in ("residual", "depthwise", "several_vectors", "conv", "relu", "max_pool", "average_pool", "float_edges"):
        found[name] = tflite.write(random_graphs.CHAINS[name]())
    if (folder := shared_models()) is not None:
        found["kws"] = (folder / "kws_ref_model.tflite").read_bytes()
    return found


def write(folder: Path) -> None:
    """Write every file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (folder / f"{name}.tflite").write_bytes(data)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
