"""Smaller networks: weights pruned, of a few bits, or clustered, and trained on under that constraint."""

from enginekit.compress.compression import Compression
from enginekit.compress.finetune import Report, compress
from enginekit.compress.layers import LayerReport

__all__ = ["Compression", "LayerReport", "Report", "compress"]
