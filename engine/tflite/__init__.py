"""TensorFlow Lite files: :func:`read` one into a :class:`engine.graph.Graph`, :func:`write` a graph as one."""

from __future__ import annotations

import importlib

from engine.graph import Graph
from engine.tflite.reader import read

__all__ = ["read", "write"]


def write(graph: Graph) -> bytes:
    """Write a graph as a file; see :func:`engine.tflite.writer.write`. Loads the package flatbuffers on first use."""
    data: bytes = importlib.import_module("engine.tflite.writer").write(graph)
    return data
