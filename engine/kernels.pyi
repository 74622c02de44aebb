import numpy as np
from numpy.typing import NDArray

from engine.program import (
    ArgmaxParams,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    DenseParams,
    Pool2DParams,
    QuantizeParams,
    RequantizeParams,
    Rescale,
    SoftmaxParams,
)

RESCALE: np.dtype[np.void]

def rescale_double(acc: NDArray[np.int32], rescale: Rescale, *, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]: ...
def rescale_single(acc: NDArray[np.int32], rescale: Rescale, *, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]: ...
def dense_s8(
    params: DenseParams,
    x: NDArray[np.int8],
    w: NDArray[np.int8],
    bias: NDArray[np.int32],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def conv2d_s8(
    params: Conv2DParams,
    x: NDArray[np.int8],
    w: NDArray[np.int8],
    bias: NDArray[np.int32],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def conv2d_max_pool2d_s8(
    params: Conv2DMaxPool2DParams,
    x: NDArray[np.int8],
    w: NDArray[np.int8],
    bias: NDArray[np.int32],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def max_pool2d_s8(params: Pool2DParams, x: NDArray[np.int8], *, out: NDArray[np.int8] | None = None) -> NDArray[np.int8]: ...
def average_pool2d_s8(
    params: Pool2DParams, x: NDArray[np.int8], *, out: NDArray[np.int8] | None = None
) -> NDArray[np.int8]: ...
def requantize_s8(
    params: RequantizeParams, x: NDArray[np.int8], *, out: NDArray[np.int8] | None = None
) -> NDArray[np.int8]: ...
def softmax_s8(params: SoftmaxParams, x: NDArray[np.int8], *, out: NDArray[np.int8] | None = None) -> NDArray[np.int8]: ...
def argmax_s8(params: ArgmaxParams, x: NDArray[np.int8], *, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]: ...
def quantize_f32_s8(
    params: QuantizeParams, x: NDArray[np.float32], *, out: NDArray[np.int8] | None = None
) -> NDArray[np.int8]: ...
def dequantize_s8_f32(
    params: QuantizeParams, x: NDArray[np.int8], *, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]: ...
