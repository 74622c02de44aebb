import numpy as np
from numpy.typing import NDArray

BITS_DEPTH: int

def dense_bits_s24(
    w: NDArray[np.uint8], start: NDArray[np.uint8], x: NDArray[np.int8], runs: bytes, *, bits: int, base: int
) -> NDArray[np.int32]: ...
