# SPDX-License-Identifier: Apache-2.0
"""Optimizers beyond SGD and Adam, weight decay and clipping: functions on arrays, one per C function of eng/update_f32.h.

`w`, the states and clipped gradients change in place, all of them float32 of one shape; `t` counts steps from 1. Arrays are
taken as they are or refused, never converted: TypeError for a wrong dtype, ValueError for anything else.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t

from engine._views cimport optional_f32, read_f32, write_f32

from engine import _arguments as check


cdef extern from "eng/update_f32.h" nogil:
    ctypedef struct eng_sgd_f32_params:
        size_t count
        float learning_rate, momentum

    ctypedef struct eng_adam_f32_params:
        size_t count
        float learning_rate, beta1, beta2, epsilon

    ctypedef struct eng_rmsprop_f32_params:
        size_t count
        float learning_rate, rho, momentum, epsilon

    ctypedef struct eng_adagrad_f32_params:
        size_t count
        float learning_rate, epsilon

    ctypedef struct eng_adadelta_f32_params:
        size_t count
        float learning_rate, rho, epsilon

    ctypedef struct eng_ftrl_f32_params:
        size_t count
        float learning_rate, l1, l2, shrinkage, beta

    ctypedef struct eng_weight_decay_f32_params:
        size_t count
        float learning_rate, weight_decay

    ctypedef struct eng_clip_f32_params:
        size_t count
        float limit

    void eng_nesterov_f32(const eng_sgd_f32_params *, const float *, float *, float *)
    void eng_rmsprop_f32(const eng_rmsprop_f32_params *, const float *, float *, float *, float *, float *)
    void eng_adagrad_f32(const eng_adagrad_f32_params *, const float *, float *, float *)
    void eng_adadelta_f32(const eng_adadelta_f32_params *, const float *, float *, float *, float *)
    void eng_adamax_f32(const eng_adam_f32_params *, uint32_t, const float *, float *, float *, float *)
    void eng_nadam_f32(const eng_adam_f32_params *, uint32_t, const float *, float *, float *, float *)
    void eng_ftrl_f32(const eng_ftrl_f32_params *, const float *, float *, float *, float *)
    void eng_weight_decay_f32(const eng_weight_decay_f32_params *, float *)
    void eng_clip_f32(const eng_clip_f32_params *, float *)
    float eng_sum_squares_f32(size_t, const float *)
    float eng_clip_factor_f32(float, float)
    void eng_scale_f32(size_t, float, float *)


def _changed(function, name, array):
    """An array of any shape, at least one element, that may be written."""
    check.updated(function, name, array, np.float32, getattr(array, "shape", ()))
    if array.size < 1:
        raise ValueError(f"{function}: {name} has shape {array.shape}; expected at least 1 element")
    return array


def _check_step(function, dw, w, **states):
    _changed(function, "w", w)
    check.array(function, "dw", dw, np.float32, w.shape)
    taken = {"dw": dw, "w": w}
    for name, state in states.items():
        if state is None:
            continue
        check.updated(function, name, state, np.float32, w.shape)
        check.apart(function, name, state, **taken)
        taken[name] = state
    check.apart(function, "w", w, dw=dw)


cdef float _rate(function, value) except? -1:
    return check.number(function, "learning_rate", value, 0, INFINITY)


cdef float _share(function, name, value) except? -1:
    return check.number(function, name, value, 0, 1)


cdef float _positive(function, name, value) except? -1:
    return check.number(function, name, value, 0, INFINITY, open_lo=True)


def nesterov_f32(dw, w, velocity, *, learning_rate, momentum):
    """Update `w` and `velocity` by one step of gradient descent with Nesterov's momentum."""
    name = "nesterov_f32"
    _check_step(name, dw, w, velocity=velocity)
    cdef eng_sgd_f32_params p
    p.count, p.learning_rate, p.momentum = w.size, _rate(name, learning_rate), _share(name, "momentum", momentum)
    eng_nesterov_f32(&p, read_f32(dw), write_f32(w), write_f32(velocity))


def rmsprop_f32(dw, w, v, velocity=None, average=None, *, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7):
    """Update `w`, `v`, `velocity` (needed if momentum is not 0) and `average` (if centered) by one step of RMSprop."""
    name = "rmsprop_f32"
    _check_step(name, dw, w, v=v, velocity=velocity, average=average)
    cdef eng_rmsprop_f32_params p
    p.count, p.learning_rate, p.rho = w.size, _rate(name, learning_rate), _share(name, "rho", rho)
    p.momentum, p.epsilon = _share(name, "momentum", momentum), _positive(name, "epsilon", epsilon)
    if velocity is None and momentum != 0:
        raise ValueError(f"rmsprop_f32: velocity is None but momentum is {momentum}; expected an array like w")
    eng_rmsprop_f32(&p, read_f32(dw), write_f32(w), write_f32(v), optional_f32(velocity), optional_f32(average))


def adagrad_f32(dw, w, total, *, learning_rate, epsilon=1e-7):
    """Update `w` and `total` by one step of Adagrad."""
    name = "adagrad_f32"
    _check_step(name, dw, w, total=total)
    cdef eng_adagrad_f32_params p
    p.count, p.learning_rate, p.epsilon = w.size, _rate(name, learning_rate), _positive(name, "epsilon", epsilon)
    eng_adagrad_f32(&p, read_f32(dw), write_f32(w), write_f32(total))


def adadelta_f32(dw, w, v, u, *, learning_rate, rho=0.95, epsilon=1e-7):
    """Update `w`, `v` and `u` by one step of Adadelta."""
    name = "adadelta_f32"
    _check_step(name, dw, w, v=v, u=u)
    cdef eng_adadelta_f32_params p
    p.count, p.learning_rate, p.rho = w.size, _rate(name, learning_rate), _share(name, "rho", rho)
    p.epsilon = _positive(name, "epsilon", epsilon)
    eng_adadelta_f32(&p, read_f32(dw), write_f32(w), write_f32(v), write_f32(u))


cdef eng_adam_f32_params _adam(function, w, learning_rate, beta1, beta2, epsilon) except *:
    cdef eng_adam_f32_params p
    p.count, p.learning_rate, p.epsilon = w.size, _rate(function, learning_rate), _positive(function, "epsilon", epsilon)
    p.beta1, p.beta2 = _share(function, "beta1", beta1), _share(function, "beta2", beta2)
    return p


def adamax_f32(t, dw, w, m, u, *, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7):
    """Update `w`, `m` and `u` by the `t`-th step of Adamax."""
    cdef uint32_t step = check.integer("adamax_f32", "t", t, 1, 2**32 - 1)
    _check_step("adamax_f32", dw, w, m=m, u=u)
    cdef eng_adam_f32_params p = _adam("adamax_f32", w, learning_rate, beta1, beta2, epsilon)
    eng_adamax_f32(&p, step, read_f32(dw), write_f32(w), write_f32(m), write_f32(u))


def nadam_f32(t, dw, w, m, v, *, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7):
    """Update `w`, `m` and `v` by the `t`-th step of Nadam."""
    cdef uint32_t step = check.integer("nadam_f32", "t", t, 1, 2**32 - 2)
    _check_step("nadam_f32", dw, w, m=m, v=v)
    cdef eng_adam_f32_params p = _adam("nadam_f32", w, learning_rate, beta1, beta2, epsilon)
    eng_nadam_f32(&p, step, read_f32(dw), write_f32(w), write_f32(m), write_f32(v))


def ftrl_f32(dw, w, n, z, *, learning_rate, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    """Update `w`, `n` (above 0 at the start) and `z` by one step of FTRL."""
    name = "ftrl_f32"
    _check_step(name, dw, w, n=n, z=z)
    cdef eng_ftrl_f32_params p
    p.count, p.learning_rate = w.size, _positive(name, "learning_rate", learning_rate)
    p.l1, p.l2 = check.number(name, "l1", l1, 0, INFINITY), check.number(name, "l2", l2, 0, INFINITY)
    p.shrinkage, p.beta = check.number(name, "shrinkage", shrinkage, 0, INFINITY), check.number(name, "beta", beta, 0, INFINITY)
    eng_ftrl_f32(&p, read_f32(dw), write_f32(w), write_f32(n), write_f32(z))


def weight_decay_f32(w, *, learning_rate, weight_decay):
    """Make `w` smaller by ``w * weight_decay * learning_rate``."""
    name = "weight_decay_f32"
    cdef eng_weight_decay_f32_params p
    p.count, p.learning_rate = _changed(name, "w", w).size, _rate(name, learning_rate)
    p.weight_decay = check.number(name, "weight_decay", weight_decay, 0, INFINITY)
    eng_weight_decay_f32(&p, write_f32(w))


def clip_f32(x, *, limit):
    """Bring every element of `x` into ``[-limit, limit]``.

    >>> x = np.float32([-3, 0.5, 2])
    >>> clip_f32(x, limit=1)
    >>> x
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    cdef eng_clip_f32_params p
    p.count, p.limit = _changed("clip_f32", "x", x).size, _positive("clip_f32", "limit", limit)
    eng_clip_f32(&p, write_f32(x))


def clip_norm_f32(arrays, *, limit):
    """Scale all `arrays`, a sequence, by one factor so that their common Euclidean norm is at most `limit`."""
    cdef float bound = _positive("clip_norm_f32", "limit", limit)
    cdef float total = 0
    cdef float factor
    for i, array in enumerate(arrays):
        _changed("clip_norm_f32", f"arrays[{i}]", array)
        total += eng_sum_squares_f32(array.size, read_f32(array))
    factor = eng_clip_factor_f32(total, bound)
    if factor == 1:
        return
    for array in arrays:
        eng_scale_f32(array.size, factor, write_f32(array))
