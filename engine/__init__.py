"""Int8 neural networks for 8-bit microcontrollers: the runtime."""

from engine._version import __version__

__all__ = ["__version__"]
