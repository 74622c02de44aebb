"""Int8 neural networks for 8-bit microcontrollers: the runtime."""

from engine._version import __version__
from engine.dispatch import isa
from engine.errors import DivergedError, DoesNotFitError, EngineError, FormatError, QuantError, UnsupportedError
from engine.model import Model, Trace, load
from engine.profile import Profile, StepProfile

__all__ = [
    "DivergedError",
    "DoesNotFitError",
    "EngineError",
    "FormatError",
    "Model",
    "Profile",
    "QuantError",
    "StepProfile",
    "Trace",
    "UnsupportedError",
    "__version__",
    "isa",
    "load",
]
