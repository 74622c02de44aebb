import numpy as np
from numpy.typing import NDArray

from engine.program import (
    AddParams,
    ArgmaxParams,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    CopyParams,
    DenseParams,
    DenseWideParams,
    LookupParams,
    MeanParams,
    MulParams,
    PadParams,
    Pool2DParams,
    QuantizeParams,
    Ratio,
    RequantizeParams,
    Rescale,
    SoftmaxParams,
)

RESCALE: np.dtype[np.void]
RATIO: np.dtype[np.void]

def rescale_double(acc: NDArray[np.int32], rescale: Rescale, *, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]: ...
def rescale_single(acc: NDArray[np.int32], rescale: Rescale, *, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]: ...
def rescale_wide(acc: NDArray[np.int32], ratio: Ratio, *, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]: ...
def dense_wide_s8(
    params: DenseWideParams,
    x: NDArray[np.int8],
    w: NDArray[np.int8],
    bias: NDArray[np.int32],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
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
def depthwise_conv2d_s8(
    params: Conv2DParams,
    x: NDArray[np.int8],
    w: NDArray[np.int8],
    bias: NDArray[np.int32],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def add_s8(
    params: AddParams,
    x: NDArray[np.int8],
    x2: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def sub_s8(
    params: AddParams,
    x: NDArray[np.int8],
    x2: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def mul_s8(
    params: MulParams,
    x: NDArray[np.int8],
    x2: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def mean_s8(
    params: MeanParams,
    x: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def copy_s8(
    params: CopyParams,
    x: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def pad_s8(
    params: PadParams,
    x: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def lookup_s8(
    params: LookupParams,
    x: NDArray[np.int8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def requantize_u8_s8(
    params: RequantizeParams,
    x: NDArray[np.uint8],
    *,
    out: NDArray[np.int8] | None = None,
) -> NDArray[np.int8]: ...
def requantize_s8_u8(
    params: RequantizeParams,
    x: NDArray[np.int8],
    *,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]: ...
def quantize_f32_u8(
    params: QuantizeParams,
    x: NDArray[np.float32],
    *,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]: ...
def dequantize_u8_f32(
    params: QuantizeParams,
    x: NDArray[np.uint8],
    *,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]: ...
