import numpy as np
from numpy.typing import NDArray

DEPTH: int

def dense_rows_s24(w: NDArray[np.int8], groups: bytes, start: NDArray[np.uint8], x: NDArray[np.int8]) -> NDArray[np.int32]: ...
def runs_s8(x: NDArray[np.int8], *, zero_x: int, slack: int, gain: int, capacity: int) -> bytes | None: ...
def dense_runs_s24(
    w: NDArray[np.int8], start: NDArray[np.uint8], x: NDArray[np.int8], runs: bytes, *, zero_x: int
) -> NDArray[np.int32]: ...
def requant_s24_s8(
    steps: NDArray[np.uint32], sums: NDArray[np.int32], *, shift: int, lo: int, hi: int, negative_is_lo: bool = False
) -> NDArray[np.int8]: ...
def requant_short_s24_s8(
    steps: NDArray[np.uint8], sums: NDArray[np.int32], *, lo: int, hi: int, doublings: int = 0
) -> NDArray[np.int8]: ...
def requant_same_s24_s8(
    step: NDArray[np.uint8], sums: NDArray[np.int32], *, lo: int, hi: int, doublings: int = 0, halvings: int = 0
) -> NDArray[np.int8]: ...
def conv3x3_pool2_s8(
    filters: NDArray[np.uint8],
    still: NDArray[np.int8],
    x: NDArray[np.int8],
    *,
    zero_x: int,
    negative_is_lo: bool = False,
    shift32: bool = False,
) -> NDArray[np.int8]: ...
def conv3x3_pool2_code_s8(
    filters: NDArray[np.uint8], still: NDArray[np.int8], x: NDArray[np.int8], *, zero_x: int, shift: int
) -> NDArray[np.int8]: ...
def moved_s8(x: NDArray[np.int8], rest: NDArray[np.int8], *, capacity: int, limit: int) -> bytes | None: ...
def dense_moved_s24(
    w: NDArray[np.int8], start: NDArray[np.uint8], x: NDArray[np.int8], rest: NDArray[np.int8], moved: bytes
) -> NDArray[np.int32]: ...
