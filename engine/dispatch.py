"""Which instruction set models run with."""

from __future__ import annotations

from engine import _session
from engine.errors import EngineError


def isa() -> str:
    """Name the instruction set that models loaded from now on run with.

    Results do not depend on it: every set gives the portable kernels' bytes.

    Returns
    -------
    {"portable", "avx2", "avxvnni", "avx512vnni"}
        The best that processor and operating system have, or what the environment variable ``ENGINE_ISA`` names.

    Raises
    ------
    EngineError
        If ``ENGINE_ISA`` names one that is unknown or not available; says which are.

    Examples
    --------
    >>> import engine
    >>> engine.isa() in ("portable", "avx2", "avxvnni", "avx512vnni")
    True
    """
    try:
        return _session.isa()
    except ValueError as error:
        raise EngineError(str(error)) from None
