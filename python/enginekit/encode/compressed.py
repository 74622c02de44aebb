"""Dense layers whose weights fit something smaller than a byte each."""

from __future__ import annotations

from collections.abc import Iterator

from engine.program import DenseParams
from enginekit.encode.bitmap import bitmap_layers
from enginekit.encode.bits import bits_layers
from enginekit.encode.book import book_layers
from enginekit.encode.candidate import Candidate, Context
from enginekit.encode.dense_code import dense_code_layers
from enginekit.encode.grid import dense_grids
from enginekit.encode.lists import lists_layers
from enginekit.encode.sparse import sparse_layers


def compressed_layers(context: Context) -> Iterator[Candidate]:
    """Give a dense layer in every such encoding that its weights fit: an :data:`~enginekit.encode.candidate.Encoder`."""
    if not isinstance(context.step.params, DenseParams):
        return
    for grid in dense_grids(context):
        for encoder in (bits_layers, sparse_layers, bitmap_layers, book_layers, lists_layers):
            yield from encoder(grid)
        yield from dense_code_layers(context, grid)
