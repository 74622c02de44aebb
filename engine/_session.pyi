"""Types of the compiled module; session.cpp has the documentation."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.program import Step

#: Name of a tensor, its element type, the shape of one sample (without batch), its offset in the arena, its scale (0 if it
#: is not quantized) and zero point.
Port = tuple[str, np.dtype[Any], tuple[int, ...], int, float, int]

KERNELS: tuple[str, ...]

class Session:
    """A program made ready to run; calls from several threads at once are safe."""

    def __init__(
        self,
        steps: Iterable[Step],
        arena: int,
        inputs: Iterable[Port],
        outputs: Iterable[Port],
        traced: Iterable[Port],
    ) -> None: ...
    def run(self, x: NDArray[Any] | Sequence[NDArray[Any]], out: Any) -> Any: ...
    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def trace(self, x: NDArray[Any] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]: ...
