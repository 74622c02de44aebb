"""How much a step computes."""

from __future__ import annotations

from engine.program import Conv2DMaxPool2DParams, Conv2DParams, DenseParams, DenseWideParams, Pool2DParams, Step
from enginekit.encode.chain import ChainParams


def macs(step: Step) -> int:
    """Multiply-adds of one step; of pools, taps read. A fused max pool counts the convolution at the pooled positions' taps."""
    params = step.params
    if isinstance(params, DenseParams):
        return params.in_ * params.out
    if isinstance(params, DenseWideParams):
        return params.rows * params.in_ * params.out
    if isinstance(params, Conv2DParams):
        taps = _conv_taps(params)
        return (
            params.window.out_h * params.window.out_w * (taps // params.in_c if step.kernel == "depthwise_conv2d_s8" else taps)
        )
    if isinstance(params, Conv2DMaxPool2DParams):
        pool = params.pool
        return pool.out_h * pool.out_w * pool.kernel_h * pool.kernel_w * _conv_taps(params.conv)
    if isinstance(params, Pool2DParams):
        window = params.window
        return window.out_h * window.out_w * window.kernel_h * window.kernel_w * params.channels
    return sum(map(macs, params.steps)) if isinstance(params, ChainParams) else 0


def _conv_taps(params: Conv2DParams) -> int:
    return params.out_c * params.window.kernel_h * params.window.kernel_w * params.in_c
