import numpy as np
from numpy.typing import NDArray

BITS_DEPTH: int

def dense_bits_s24(
    w: NDArray[np.uint8], start: NDArray[np.uint8], x: NDArray[np.int8], runs: bytes, *, bits: int, base: int
) -> NDArray[np.int32]: ...
def dense_sparse_s24(
    w: NDArray[np.uint8], start: NDArray[np.uint8], x: NDArray[np.int8], *, base: int
) -> NDArray[np.int32]: ...
def dense_bitmap_s24(
    w: NDArray[np.uint8], start: NDArray[np.uint8], x: NDArray[np.int8], *, records: int, base: int
) -> NDArray[np.int32]: ...
def dense_book_s24(
    w: NDArray[np.uint8], book: NDArray[np.int8], start: NDArray[np.uint8], x: NDArray[np.int8], runs: bytes, *, base: int
) -> NDArray[np.int32]: ...
def dense_lists_s24(w: NDArray[np.uint8], x: NDArray[np.int8], *, rows: int, base: int) -> NDArray[np.int32]: ...
