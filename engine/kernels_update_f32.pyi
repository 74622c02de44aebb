"""Optimizers beyond SGD and Adam, weight decay and clipping; see kernels_update_f32.pyx."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_F32 = NDArray[np.float32]

def nesterov_f32(dw: _F32, w: _F32, velocity: _F32, *, learning_rate: float, momentum: float) -> None: ...
def rmsprop_f32(
    dw: _F32,
    w: _F32,
    v: _F32,
    velocity: _F32 | None = None,
    average: _F32 | None = None,
    *,
    learning_rate: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
) -> None: ...
def adagrad_f32(dw: _F32, w: _F32, total: _F32, *, learning_rate: float, epsilon: float = 1e-7) -> None: ...
def adadelta_f32(
    dw: _F32, w: _F32, v: _F32, u: _F32, *, learning_rate: float, rho: float = 0.95, epsilon: float = 1e-7
) -> None: ...
def adamax_f32(
    t: int,
    dw: _F32,
    w: _F32,
    m: _F32,
    u: _F32,
    *,
    learning_rate: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
) -> None: ...
def nadam_f32(
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
def ftrl_f32(
    dw: _F32,
    w: _F32,
    n: _F32,
    z: _F32,
    *,
    learning_rate: float,
    l1: float = 0.0,
    l2: float = 0.0,
    shrinkage: float = 0.0,
    beta: float = 0.0,
) -> None: ...
def weight_decay_f32(w: _F32, *, learning_rate: float, weight_decay: float) -> None: ...
def clip_f32(x: _F32, *, limit: float) -> None: ...
def clip_norm_f32(arrays: Sequence[_F32], *, limit: float) -> None: ...
