"""Exceptions of the package. Messages name the file, layer or argument, what came, what is supported, and what to do."""

from __future__ import annotations


class EngineError(Exception):
    """Base of every error that this package raises on purpose."""


class FormatError(EngineError):
    """A file is truncated, garbled or not of the format that it should be."""


class UnsupportedError(EngineError):
    """A file or network is well formed but uses something that is not supported; all such places are listed."""


class QuantError(EngineError):
    """A scale, zero point, range or accumulator bound cannot be represented."""


class DoesNotFitError(EngineError):
    """A model needs more flash, RAM or time than the target has; says by how many bytes or milliseconds."""


class DivergedError(EngineError):
    """Training produced NaN or infinity; says in which epoch, batch and layer."""
