"""C sources from an int8 model: const data, params records, and a straight-line ``model_run``."""

from enginekit.emit.sources import emit

__all__ = ["emit"]
