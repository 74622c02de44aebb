"""TensorFlow Lite files: :func:`read` one into a :class:`engine.graph.Graph`, :func:`write` a graph as one."""

from engine.tflite.reader import read
from engine.tflite.writer import write

__all__ = ["read", "write"]
