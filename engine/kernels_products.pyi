"""Training kernels that multiply; see kernels_products.pyx."""

import numpy as np
from numpy.typing import NDArray

from engine.program import Window

_F32 = NDArray[np.float32]
_U8 = NDArray[np.uint8]

def dense_f32(x: _F32, w: _F32, bias: _F32, *, out: _F32 | None = None, threads: int = 1) -> _F32: ...
def dense_f32_backward(
    x: _F32, w: _F32, dy: _F32, dw: _F32, dbias: _F32, *, dx: _F32 | None = None, threads: int = 1
) -> None: ...
def dense_f16(x: _F32, w: _F32, bias: _F32, *, out: _F32 | None = None, threads: int = 1) -> _F32: ...
def dense_f16_backward(
    x: _F32, w: _F32, dy: _F32, dw: _F32, dbias: _F32, *, dx: _F32 | None = None, threads: int = 1
) -> None: ...
def conv2d_f32(window: Window, x: _F32, w: _F32, bias: _F32, *, out: _F32 | None = None, threads: int = 1) -> _F32: ...
def conv2d_f32_backward(
    window: Window, x: _F32, w: _F32, dy: _F32, dw: _F32, dbias: _F32, *, dx: _F32 | None = None, threads: int = 1
) -> None: ...
def conv2d_f16(window: Window, x: _F32, w: _F32, bias: _F32, *, out: _F32 | None = None, threads: int = 1) -> _F32: ...
def conv2d_f16_backward(
    window: Window, x: _F32, w: _F32, dy: _F32, dw: _F32, dbias: _F32, *, dx: _F32 | None = None, threads: int = 1
) -> None: ...
def conv2d_max_pool2d_f32(
    window: Window,
    pool: tuple[int, int],
    x: _F32,
    w: _F32,
    bias: _F32,
    *,
    limit: float = ...,
    out: _F32 | None = None,
    winner: _U8 | None = None,
    threads: int = 1,
) -> tuple[_F32, _U8]: ...
def conv2d_max_pool2d_f32_backward(
    window: Window,
    pool: tuple[int, int],
    x: _F32,
    w: _F32,
    y: _F32,
    winner: _U8,
    dy: _F32,
    dw: _F32,
    dbias: _F32,
    *,
    limit: float = ...,
    dx: _F32 | None = None,
    threads: int = 1,
) -> None: ...
def depthwise_conv2d_f32(window: Window, x: _F32, w: _F32, bias: _F32, *, out: _F32 | None = None) -> _F32: ...
def depthwise_conv2d_f32_backward(
    window: Window, x: _F32, w: _F32, dy: _F32, dw: _F32, dbias: _F32, *, dx: _F32 | None = None
) -> None: ...
def depthwise_conv2d_f16(window: Window, x: _F32, w: _F32, bias: _F32, *, out: _F32 | None = None) -> _F32: ...
def depthwise_conv2d_f16_backward(
    window: Window, x: _F32, w: _F32, dy: _F32, dw: _F32, dbias: _F32, *, dx: _F32 | None = None
) -> None: ...
def round_f16(x: _F32, *, out: _F32 | None = None) -> _F32: ...
def gather_f32(index: NDArray[np.uint32], x: _F32, *, out: _F32, threads: int = 1) -> _F32: ...
def sgd_f32(dw: _F32, w: _F32, velocity: _F32 | None = None, *, learning_rate: float, momentum: float = 0.0) -> None: ...
def adam_f32(
    t: int,
    dw: _F32,
    w: _F32,
    m: _F32,
    v: _F32,
    *,
    learning_rate: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
) -> None: ...
