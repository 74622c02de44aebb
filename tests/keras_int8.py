"""Small Keras models, converted full-integer by TensorFlow Lite."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

LAYERS = keras.layers


def sequential(shape: Sequence[int], layers: Sequence[Any], *, batch: int | None = None, seed: int = 0) -> Any:
    """Build a model with random weights, biases included; `batch` None leaves it free."""
    model = keras.Sequential([keras.Input(tuple(shape), batch_size=batch), *layers])
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        weights = layer.get_weights()
        layer.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in weights])
    return model


def normal_samples(shape: Sequence[int], *, seed: int = 0, count: int = 20) -> NDArray[np.float32]:
    """Calibration data, float32[count, *shape]."""
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def convert(
    model: Any,
    samples: NDArray[np.float32],
    *,
    edges: str = "int8",
    per_channel: bool = True,
    change: Callable[[Any], None] | None = None,
) -> bytes:
    """Convert full-integer; `edges` is the element type of input and output, `change` edits the converter at the end."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[np.newaxis]] for x in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.as_dtype(edges)
    converter._experimental_disable_per_channel = not per_channel
    if change is not None:
        change(converter)
    return bytes(converter.convert())
