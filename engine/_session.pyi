"""Types of the compiled module; session.cpp has the documentation."""

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from engine.program import Step

#: Name of a tensor, its element type, the shape of one sample (without batch), its offset in the arena, its scale (0 if it
#: is not quantized) and zero point.
Port = tuple[str, np.dtype[Any], tuple[int, ...], int, float, int]

KERNELS: tuple[str, ...]

def isa() -> str: ...

class Runnable:
    """What a :class:`Runner` can be attached to."""

class Session(Runnable):
    """A program made ready to run; safe to use from several threads."""

    def __init__(
        self,
        steps: Iterable[Step],
        arena: int,
        inputs: Iterable[Port],
        outputs: Iterable[Port],
        traced: Iterable[Port],
        *,
        work: int,
        threads: int,
    ) -> None: ...
    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def trace(self, x: NDArray[Any] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]: ...
    def profile(self, x: NDArray[Any] | Sequence[NDArray[Any]], repeats: int) -> NDArray[np.float64]: ...

class Runner:
    """What a session is attached to so that it runs; base class of :class:`engine.Model`."""

    def _attach(self, session: Runnable) -> None: ...
    @overload
    def run(self, x: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    @overload
    def run(self, x: Sequence[NDArray[Any]], *, out: NDArray[Any] | Sequence[NDArray[Any]] | None = None) -> Any: ...
