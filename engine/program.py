"""The lowered model: one record a kernel call, over one arena. Twin of csrc/include/eng/model.h.

:func:`engine.lower.lower` makes it from a :class:`engine.graph.Graph`: zero points folded into biases, multipliers
computed, convolution and max pool fused, arena offsets planned. The Session runs these records and the emitter prints
them, so that host and chip cannot differ.

The params classes mirror the C structs field by field, in order and by name (a test compares them with the headers);
`rescale` and `table` hold what the C pointers point to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """``eng_window``."""

    in_h: int
    in_w: int
    out_h: int
    out_w: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int


@dataclass(frozen=True)
class Rescale:
    """``eng_rescale``: ``mult / 2**31 * 2**left / 2**right``."""

    mult: int
    left: int
    right: int


@dataclass(frozen=True)
class OutputS8:
    """``eng_output_s8``."""

    zero: int
    lo: int
    hi: int


@dataclass(frozen=True)
class DenseParams:
    """``eng_dense_s8_params``."""

    in_: int
    out: int
    rescale_step: int
    y: OutputS8
    rescale: tuple[Rescale, ...]


@dataclass(frozen=True)
class Ratio:
    """``eng_ratio``: the bits of a double, 32 each."""

    low: int
    high: int


@dataclass(frozen=True)
class DenseWideParams:
    """``eng_dense_wide_s8_params``."""

    rows: int
    in_: int
    out: int
    ratio_step: int
    y: OutputS8
    ratio: tuple[Ratio, ...]


@dataclass(frozen=True)
class Conv2DParams:
    """``eng_conv2d_s8_params``."""

    window: Window
    in_c: int
    out_c: int
    zero_x: int
    rescale_step: int
    y: OutputS8
    rescale: tuple[Rescale, ...]


@dataclass(frozen=True)
class Pool2DParams:
    """``eng_pool2d_s8_params``."""

    window: Window
    channels: int
    lo: int
    hi: int


@dataclass(frozen=True)
class Conv2DMaxPool2DParams:
    """``eng_conv2d_max_pool2d_s8_params``."""

    conv: Conv2DParams
    pool: Window


@dataclass(frozen=True)
class RequantizeParams:
    """``eng_requantize_s8_params``."""

    count: int
    zero_x: int
    rescale: Rescale
    y: OutputS8


@dataclass(frozen=True)
class SoftmaxParams:
    """``eng_softmax_s8_params``; ``table[d]`` is ``exp(-scale * beta * d)`` in Q0.31."""

    rows: int
    size: int
    table_size: int
    table: tuple[int, ...]


@dataclass(frozen=True)
class ArgmaxParams:
    """``eng_argmax_s8_params``."""

    rows: int
    size: int


@dataclass(frozen=True)
class QuantizeParams:
    """``eng_quantize_params``."""

    count: int
    scale: np.float32
    zero: int


@dataclass(frozen=True)
class Broadcast:
    """``eng_broadcast``: element ``i`` of the result reads element ``i // repeat % size`` of the operand."""

    size: int
    repeat: int


@dataclass(frozen=True)
class AddParams:
    """``eng_add_s8_params``: addition and subtraction."""

    count: int
    x: Broadcast
    x2: Broadcast
    zero_x: int
    zero_x2: int
    rescale_x: Rescale
    rescale_x2: Rescale
    rescale_y: Rescale
    y: OutputS8


@dataclass(frozen=True)
class MulParams:
    """``eng_mul_s8_params``."""

    count: int
    x: Broadcast
    x2: Broadcast
    zero_x: int
    zero_x2: int
    rescale: Rescale
    y: OutputS8


@dataclass(frozen=True)
class MeanParams:
    """``eng_mean_s8_params``."""

    pixels: int
    channels: int
    zero_x: int
    rescale: Rescale
    y: OutputS8


@dataclass(frozen=True)
class CopyParams:
    """``eng_copy_s8_params``: columns ``first ... first+size-1`` of each row of `stride`."""

    rows: int
    size: int
    stride: int
    first: int


@dataclass(frozen=True)
class PadParams:
    """``eng_pad_s8_params``."""

    in_h: int
    in_w: int
    channels: int
    top: int
    bottom: int
    left: int
    right: int
    front: int
    back: int
    value: int


@dataclass(frozen=True)
class LookupParams:
    """``eng_lookup_s8_params``; ``codes[x + 128]`` is what code ``x`` becomes."""

    count: int
    codes: tuple[int, ...]


Params = (
    DenseParams
    | DenseWideParams
    | Conv2DParams
    | Pool2DParams
    | Conv2DMaxPool2DParams
    | RequantizeParams
    | SoftmaxParams
    | ArgmaxParams
    | QuantizeParams
    | AddParams
    | MulParams
    | MeanParams
    | CopyParams
    | PadParams
    | LookupParams
)

#: Kernels that a :class:`Step` can name, in the order of ``eng_op``, and the params class of each.
KERNELS: dict[str, type] = {
    "dense_s8": DenseParams,
    "conv2d_s8": Conv2DParams,
    "conv2d_max_pool2d_s8": Conv2DMaxPool2DParams,
    "max_pool2d_s8": Pool2DParams,
    "average_pool2d_s8": Pool2DParams,
    "requantize_s8": RequantizeParams,
    "softmax_s8": SoftmaxParams,
    "argmax_s8": ArgmaxParams,
    "quantize_f32_s8": QuantizeParams,
    "dequantize_s8_f32": QuantizeParams,
    "depthwise_conv2d_s8": Conv2DParams,
    "add_s8": AddParams,
    "sub_s8": AddParams,
    "mul_s8": MulParams,
    "mean_s8": MeanParams,
    "copy_s8": CopyParams,
    "pad_s8": PadParams,
    "lookup_s8": LookupParams,
    "requantize_u8_s8": RequantizeParams,
    "requantize_s8_u8": RequantizeParams,
    "quantize_f32_u8": QuantizeParams,
    "dequantize_u8_f32": QuantizeParams,
    "dense_wide_s8": DenseWideParams,
}


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel call.

    Parameters
    ----------
    kernel : str
        C function without its prefix, such as ``"conv2d_max_pool2d_s8"``.
    layers : tuple of int
        Indices of the graph's layers that this call covers.
    name : str
        Name for people, unique in the program and a valid C identifier.
    params : Params
        The params struct.
    w : int8 array or None
        Weights in the C layout; of ``add_s8``, ``sub_s8`` and ``mul_s8`` a constant in place of the second input.
    bias : int32[out] or None
        Bias with the input zero point folded in where the kernel wants it so.
    x, y : int
        Tensor indices in the graph of what is read and written.
    x_offset, y_offset, scratch_offset : int
        Byte offsets into the arena.
    x_size, y_size, scratch_size : int
        Bytes.
    acc_bound : int
        Proven maximum magnitude of the accumulator over all inputs, from the actual weights; 0 for a kernel without one.
    x2 : int or None
        Tensor index of the second input of ``add_s8``, ``sub_s8`` and ``mul_s8``.
    x2_offset, x2_size : int
        Byte offset and bytes of the second input; 0 without one.
    """

    kernel: str
    layers: tuple[int, ...]
    name: str
    params: Params
    w: NDArray[np.int8] | None
    bias: NDArray[np.int32] | None
    x: int
    y: int
    x_offset: int
    y_offset: int
    scratch_offset: int
    x_size: int
    y_size: int
    scratch_size: int
    acc_bound: int
    x2: int | None = None
    x2_offset: int = 0
    x2_size: int = 0


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in order, the arena's size in bytes, and where the model's inputs and outputs lie in it."""

    steps: tuple[Step, ...]
    arena: int
    input_offsets: tuple[int, ...]
    output_offsets: tuple[int, ...]


def clear_unwritten(params: Params, y: NDArray[Any]) -> NDArray[Any]:
    """Set what a step's result does not hold yet to 0: the inputs of a concatenation that come after its own.

    Parameters
    ----------
    params : Params
        The step's record.
    y : array
        What lies where the step writes, ``[N, ...]``; changed in place.

    Returns
    -------
    array
        `y`.
    """
    if isinstance(params, CopyParams):
        y.reshape(-1, params.rows, params.stride)[:, :, params.first + params.size :] = 0
    return y
