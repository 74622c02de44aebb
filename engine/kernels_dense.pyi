import numpy as np
from numpy.typing import NDArray

CALLS_ROWS: int
CALLS_OVER: int

def dense_pairs_s24(pairs: NDArray[np.uint8], x: NDArray[np.int8]) -> NDArray[np.int32]: ...
def dense_calls_s24(
    w: NDArray[np.int8],
    lengths: bytes,
    dense: NDArray[np.uint8],
    x: NDArray[np.int8],
    *,
    bias: NDArray[np.uint8] | None = None,
    zero_x: int = 0,
    stops: int = 0,
    first: int = 0,
    step: int = 0,
    first_cost: int = 0,
    cost: int = 0,
    price: int = 0,
    capacity: int = 0,
) -> NDArray[np.int32]: ...
