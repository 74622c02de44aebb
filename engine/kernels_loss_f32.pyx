# SPDX-License-Identifier: Apache-2.0
"""Float32 losses: functions on arrays, one per C function of eng/loss_f32.h.

Arrays are taken as they are or refused, never converted: TypeError for a wrong dtype, ValueError for anything else.
"""

import numpy as np

from libc.math cimport INFINITY

from engine._views cimport optional_f32, read_f32, write_f32

from engine import _arguments as check


cdef extern from "eng/loss_f32.h" nogil:
    ctypedef struct eng_loss_f32_params:
        size_t rows, cols

    ctypedef struct eng_huber_f32_params:
        size_t rows, cols
        float delta

    ctypedef struct eng_matrix_size:
        size_t rows, cols

    void eng_mae_f32(const eng_loss_f32_params *, const float *, const float *, float *, float *)
    void eng_huber_f32(const eng_huber_f32_params *, const float *, const float *, float *, float *)
    void eng_msle_f32(const eng_loss_f32_params *, const float *, const float *, float *, float *)
    void eng_binary_cross_entropy_f32(const eng_loss_f32_params *, const float *, const float *, float *, float *)
    void eng_categorical_cross_entropy_f32(const eng_loss_f32_params *, const float *, const float *, float *, float *)
    void eng_squared_hinge_f32(const eng_loss_f32_params *, const float *, const float *, float *, float *)
    void eng_scale_rows_f32(const eng_matrix_size *, const float *, float *)


ctypedef void (*Kernel)(const eng_loss_f32_params *, const float *, const float *, float *, float *) noexcept nogil


def _check(function, x, target, dx):
    check.array(function, "x", x, np.float32, (None, None))
    check.array(function, "target", target, np.float32, x.shape)
    if dx is not None:
        check.updated(function, "dx", dx, np.float32, x.shape)
        check.apart(function, "dx", dx, target=target)


cdef _run(function, Kernel kernel, x, target, dx):
    _check(function, x, target, dx)
    loss = np.empty(x.shape[0], np.float32)
    cdef eng_loss_f32_params p
    p.rows, p.cols = x.shape[0], x.shape[1]
    cdef const float *x_ = read_f32(x)
    cdef const float *target_ = read_f32(target)
    cdef float *loss_ = write_f32(loss)
    cdef float *dx_ = optional_f32(dx)
    with nogil:
        kernel(&p, x_, target_, loss_, dx_)
    return loss


def mae_f32(x, target, *, dx=None):
    """Compute each row's mean absolute error and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows].
    """
    return _run("mae_f32", eng_mae_f32, x, target, dx)


def msle_f32(x, target, *, dx=None):
    """Compute each row's mean squared logarithmic error and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows].
    """
    return _run("msle_f32", eng_msle_f32, x, target, dx)


def binary_cross_entropy_f32(x, target, *, dx=None):
    """Compute each row's mean binary cross-entropy of the logits `x` and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows]. Targets in ``[0, 1]``.
    """
    return _run("binary_cross_entropy_f32", eng_binary_cross_entropy_f32, x, target, dx)


def categorical_cross_entropy_f32(x, target, *, dx=None):
    """Compute each row's cross-entropy of softmax(x) and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows]. Targets one-hot, or shares.
    """
    return _run("categorical_cross_entropy_f32", eng_categorical_cross_entropy_f32, x, target, dx)


def squared_hinge_f32(x, target, *, dx=None):
    """Compute each row's mean squared hinge and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows]. Targets -1 or 1.
    """
    return _run("squared_hinge_f32", eng_squared_hinge_f32, x, target, dx)


def huber_f32(x, target, *, delta=1.0, dx=None):
    """Compute each row's mean Huber loss and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows].
    """
    _check("huber_f32", x, target, dx)
    loss = np.empty(x.shape[0], np.float32)
    cdef eng_huber_f32_params p
    p.rows, p.cols = x.shape[0], x.shape[1]
    p.delta = check.number("huber_f32", "delta", delta, 0, INFINITY, open_lo=True)
    eng_huber_f32(&p, read_f32(x), read_f32(target), write_f32(loss), optional_f32(dx))
    return loss


def scale_rows_f32(factor, x):
    """Multiply each row of `x`, float32[rows, cols], by its factor, float32[rows], in place.

    >>> x = np.ones((2, 2), np.float32)
    >>> scale_rows_f32(np.float32([2, 3]), x)
    >>> x
    array([[2., 2.],
           [3., 3.]], dtype=float32)
    """
    check.updated("scale_rows_f32", "x", x, np.float32, (None, None))
    check.array("scale_rows_f32", "factor", factor, np.float32, x.shape[:1])
    check.apart("scale_rows_f32", "x", x, factor=factor)
    cdef eng_matrix_size size
    size.rows, size.cols = x.shape[0], x.shape[1]
    eng_scale_rows_f32(&size, read_f32(factor), write_f32(x))
