# SPDX-License-Identifier: Apache-2.0
"""Float32 training kernels: stateless functions on arrays, one per C function of eng/train_f32.h.

Arrays are taken as they are or refused, never converted. Activations float32[batch, h, w, c] or float32[batch, n];
weights as :mod:`engine.network` describes them. Backward kernels add to parameter gradients and overwrite `dx`.
Errors name the function and the argument: TypeError for a wrong dtype, ValueError for anything else.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport uint16_t, uint32_t

from engine import _arguments as check
from engine.kernels_products import (
    _check_image,
    _check_window,
    _output_shape,
    adam_f32,
    conv2d_f32,
    conv2d_f32_backward,
    conv2d_max_pool2d_f32,
    conv2d_max_pool2d_f32_backward,
    dense_f32,
    dense_f32_backward,
    sgd_f32,
)


cdef const float *_in(array) except NULL:
    cdef const float[::1] view = array.reshape(-1)
    return &view[0]


cdef float *_out(array) except NULL:
    cdef float[::1] view = array.reshape(-1)
    return &view[0]


cdef float *_optional(array) except? NULL:
    return NULL if array is None else _out(array)


cdef uint32_t *_words(array) except NULL:
    cdef uint32_t[::1] view = array.reshape(-1)
    return &view[0]


cdef eng_window _window(w):
    cdef eng_window c
    c.in_h, c.in_w, c.out_h, c.out_w = w.in_h, w.in_w, w.out_h, w.out_w
    c.kernel_h, c.kernel_w, c.stride_h, c.stride_w = w.kernel_h, w.kernel_w, w.stride_h, w.stride_w
    c.dilation_h, c.dilation_w, c.pad_top, c.pad_left = w.dilation_h, w.dilation_w, w.pad_top, w.pad_left
    return c


# ---------------------------------------------------------------------------------------------------- pools


cdef eng_pool2d_f32_params _pool2d_params(window, x):
    cdef eng_pool2d_f32_params p
    p.window = _window(window)
    p.batch, p.channels = x.shape[0], x.shape[3]
    return p


def max_pool2d_f32(window, x, *, out=None, index=None):
    """Take the maximum of each window of float32[batch, in_h, in_w, c].

    Returns
    -------
    y : float32[batch, out_h, out_w, c]
    index : uint32[batch, out_h, out_w, c]
        Pixel (row * in_w + column) of each maximum: the first of equals, or the first NaN.
    """
    name = "max_pool2d_f32"
    _check_image(name, window, x)
    shape = _output_shape(window, x.shape[0], x.shape[3])
    y = check.output(name, out, np.float32, shape)
    index = check.output(name, index, np.uint32, shape, name="index")
    check.apart(name, "out", y, x=x, index=index)
    check.apart(name, "index", index, x=x)
    cdef eng_pool2d_f32_params p = _pool2d_params(window, x)
    cdef const float *x_ = _in(x)
    cdef float *y_ = _out(y)
    cdef uint32_t *index_ = _words(index)
    with nogil:
        eng_max_pool2d_f32(&p, x_, y_, index_)
    return y, index


def max_pool2d_f32_backward(window, index, dy, *, dx=None):
    """Send `dy` float32[batch, out_h, out_w, c] to the pixels that `index` names; returns float32[batch, in_h, in_w, c]."""
    name = "max_pool2d_f32_backward"
    dx = _check_pool2d_backward(name, window, dy, dx)
    check.array(name, "index", index, np.uint32, dy.shape)
    check.apart(name, "dx", dx, index=index)
    check.integer(name, "largest index", index.max(), 0, window.in_h * window.in_w - 1)
    cdef eng_pool2d_f32_params p = _pool2d_params(window, dy)
    cdef const uint32_t[::1] view = index.reshape(-1)
    cdef const uint32_t *index_ = &view[0]
    cdef const float *dy_ = _in(dy)
    cdef float *dx_ = _out(dx)
    with nogil:
        eng_max_pool2d_f32_backward(&p, index_, dy_, dx_)
    return dx


def _check_pool2d_backward(function, window, dy, dx):
    _check_window(function, window)
    check.array(function, "dy", dy, np.float32, _output_shape(window, None, None))
    check.integer(function, "channels of dy", dy.shape[3], 1, 65535)
    check.apart(function, "dx", dx, dy=dy)
    return check.output(function, dx, np.float32, (dy.shape[0], window.in_h, window.in_w, dy.shape[3]), name="dx")


def average_pool2d_f32(window, x, *, out=None):
    """Average the taps inside the image of each window of float32[batch, in_h, in_w, c]: float32[batch, out_h, out_w, c]."""
    name = "average_pool2d_f32"
    _check_image(name, window, x)
    y = check.output(name, out, np.float32, _output_shape(window, x.shape[0], x.shape[3]))
    check.apart(name, "out", out, x=x)
    cdef eng_pool2d_f32_params p = _pool2d_params(window, x)
    cdef const float *x_ = _in(x)
    cdef float *y_ = _out(y)
    with nogil:
        eng_average_pool2d_f32(&p, x_, y_)
    return y


def average_pool2d_f32_backward(window, dy, *, dx=None):
    """Spread `dy` float32[batch, out_h, out_w, c] over the taps that were averaged: float32[batch, in_h, in_w, c]."""
    dx = _check_pool2d_backward("average_pool2d_f32_backward", window, dy, dx)
    cdef eng_pool2d_f32_params p = _pool2d_params(window, dy)
    cdef const float *dy_ = _in(dy)
    cdef float *dx_ = _out(dx)
    with nogil:
        eng_average_pool2d_f32_backward(&p, dy_, dx_)
    return dx


# ---------------------------------------------------------------------------------------------------- activations


def _any_shape(function, name, x):
    return check.array(function, name, x, np.float32, (None,) * max(1, getattr(x, "ndim", 1)))


def relu_f32(x, *, limit=INFINITY, out=None):
    """Compute ``min(max(x, 0), limit)``, float32 of any shape; `out` may be `x`.

    >>> relu_f32(np.float32([-1, 3, 8]), limit=6)
    array([0., 3., 6.], dtype=float32)
    """
    _any_shape("relu_f32", "x", x)
    y = check.output("relu_f32", out, np.float32, x.shape)
    cdef eng_relu_f32_params p
    p.count, p.limit = x.size, _check_limit("relu_f32", limit)
    cdef const float *x_ = _in(x)
    cdef float *y_ = _out(y)
    with nogil:
        eng_relu_f32(&p, x_, y_)
    return y


def _check_limit(function, limit):
    return limit if limit == INFINITY else check.number(function, "limit", limit, 0, INFINITY, open_lo=True)


def relu_f32_backward(y, dy, *, limit=INFINITY, dx=None):
    """Pass `dy` where ``0 < y < limit``, and 0 elsewhere; float32 of y's shape, `dx` may be `dy`."""
    name = "relu_f32_backward"
    _any_shape(name, "y", y)
    check.array(name, "dy", dy, np.float32, y.shape)
    dx = check.output(name, dx, np.float32, y.shape, name="dx")
    check.apart(name, "dx", dx, y=y)
    cdef eng_relu_f32_params p
    p.count, p.limit = y.size, _check_limit(name, limit)
    cdef const float *y_ = _in(y)
    cdef const float *dy_ = _in(dy)
    cdef float *dx_ = _out(dx)
    with nogil:
        eng_relu_f32_backward(&p, y_, dy_, dx_)
    return dx


cdef eng_softmax_f32_params _softmax_params(function, x) except *:
    cdef eng_softmax_f32_params p
    p.classes = check.integer(function, "classes", x.shape[x.ndim - 1], 1, 65535)
    p.rows = x.size // p.classes
    return p


def softmax_f32(x, *, out=None):
    """Compute softmax over the last dimension, float32 of any shape; `out` may be `x`."""
    _any_shape("softmax_f32", "x", x)
    cdef eng_softmax_f32_params p = _softmax_params("softmax_f32", x)
    y = check.output("softmax_f32", out, np.float32, x.shape)
    cdef const float *x_ = _in(x)
    cdef float *y_ = _out(y)
    with nogil:
        eng_softmax_f32(&p, x_, y_)
    return y


def softmax_f32_backward(y, dy, *, dx=None):
    """Compute the gradient of softmax from its output `y`; float32 of y's shape, `dx` may be `dy`."""
    name = "softmax_f32_backward"
    _any_shape(name, "y", y)
    cdef eng_softmax_f32_params p = _softmax_params(name, y)
    check.array(name, "dy", dy, np.float32, y.shape)
    dx = check.output(name, dx, np.float32, y.shape, name="dx")
    check.apart(name, "dx", dx, y=y)
    cdef const float *y_ = _in(y)
    cdef const float *dy_ = _in(dy)
    cdef float *dx_ = _out(dx)
    with nogil:
        eng_softmax_f32_backward(&p, y_, dy_, dx_)
    return dx


# ---------------------------------------------------------------------------------------------------- losses


def softmax_cross_entropy_f32(x, label, *, dx=None):
    """Compute each row's cross-entropy of softmax(x) and, if `dx` is given, the gradient of the mean loss.

    `x` float32[rows, classes] logits, `label` uint16[rows] below classes, `dx` float32[rows, classes], may be `x`.
    Returns float32[rows].
    """
    name = "softmax_cross_entropy_f32"
    check.array(name, "x", x, np.float32, (None, None))
    check.array(name, "label", label, np.uint16, (x.shape[0],))
    check.integer(name, "largest label", label.max(), 0, x.shape[1] - 1)
    cdef eng_softmax_f32_params p = _softmax_params(name, x)
    if dx is not None:
        check.updated(name, "dx", dx, np.float32, x.shape)
        check.apart(name, "dx", dx, label=label)
    loss = np.empty(x.shape[0], np.float32)
    cdef const uint16_t[::1] labels = label
    cdef const uint16_t *label_ = &labels[0]
    cdef const float *x_ = _in(x)
    cdef float *loss_ = _out(loss)
    cdef float *dx_ = _optional(dx)
    with nogil:
        eng_softmax_cross_entropy_f32(&p, x_, label_, loss_, dx_)
    return loss


def argmax_f32(x):
    """Give the index of the largest of `x` float32[count], the first of equals.

    >>> import numpy as np
    >>> argmax_f32(np.float32([0.5, 2, 2]))
    1
    """
    check.array("argmax_f32", "x", x, np.float32, (None,))
    return eng_argmax_f32(check.integer("argmax_f32", "count", x.shape[0], 1, 65535), _in(x))


def mse_f32(x, target, *, dx=None):
    """Compute each row's mean squared error and, if `dx` is given, the gradient of the mean loss.

    `x`, `target` and `dx` float32[rows, cols]; `dx` may be `x`. Returns float32[rows].
    """
    check.array("mse_f32", "x", x, np.float32, (None, None))
    check.array("mse_f32", "target", target, np.float32, x.shape)
    if dx is not None:
        check.updated("mse_f32", "dx", dx, np.float32, x.shape)
        check.apart("mse_f32", "dx", dx, target=target)
    loss = np.empty(x.shape[0], np.float32)
    cdef eng_mse_f32_params p
    p.rows, p.cols = x.shape[0], x.shape[1]
    cdef const float *x_ = _in(x)
    cdef const float *target_ = _in(target)
    cdef float *loss_ = _out(loss)
    cdef float *dx_ = _optional(dx)
    with nogil:
        eng_mse_f32(&p, x_, target_, loss_, dx_)
    return loss


# ---------------------------------------------------------------------------------------------------- random numbers


cdef eng_rng *_rng(function, rng) except NULL:
    check.updated(function, "rng", rng, np.uint32, (4,))
    return <eng_rng *>_words(rng)


def rng_seed(seed):
    """Return the generator's state, uint32[4], for a seed in ``[0, 2**32)``; the functions below advance it in place.

    >>> rng_seed(0).dtype
    dtype('uint32')
    """
    cdef uint32_t value = check.integer("rng_seed", "seed", seed, 0, 2**32 - 1)
    state = np.empty(4, np.uint32)
    eng_rng_seed(_rng("rng_seed", state), value)
    return state


def rng_next(rng):
    """Return the next 32 random bits."""
    return eng_rng_next(_rng("rng_next", rng))


def shuffle_u32(rng, index):
    """Put uint32[n] into a random order, in place."""
    check.updated("shuffle_u32", "index", index, np.uint32, (None,))
    cdef uint32_t n = check.integer("shuffle_u32", "size of index", index.size, 1, 2**32 - 1)
    cdef eng_rng *rng_ = _rng("shuffle_u32", rng)
    cdef uint32_t *index_ = _words(index)
    with nogil:
        eng_shuffle_u32(rng_, n, index_)


def init_uniform_f32(rng, limit, w):
    """Fill `w`, float32 of any shape, with values uniform in ``[-limit, limit)``."""
    check.updated("init_uniform_f32", "w", w, np.float32, _any_shape("init_uniform_f32", "w", w).shape)
    eng_init_uniform_f32(_rng("init_uniform_f32", rng), w.size, check.number("init_uniform_f32", "limit", limit, 0, INFINITY), _out(w))


def init_normal_f32(rng, deviation, w):
    """Fill `w`, float32 of any shape, with normal values of mean 0, none beyond twice the deviation."""
    check.updated("init_normal_f32", "w", w, np.float32, _any_shape("init_normal_f32", "w", w).shape)
    eng_init_normal_f32(
        _rng("init_normal_f32", rng), w.size, check.number("init_normal_f32", "deviation", deviation, 0, INFINITY), _out(w)
    )


def he_limit_f32(fan_in):
    """Limit of the uniform He initialization: variance 2 / fan_in."""
    return eng_he_limit_f32(check.integer("he_limit_f32", "fan_in", fan_in, 1, 2**32 - 1))


def he_deviation_f32(fan_in):
    """Deviation of the truncated normal He initialization: variance 2 / fan_in."""
    return eng_he_deviation_f32(check.integer("he_deviation_f32", "fan_in", fan_in, 1, 2**32 - 1))


def glorot_limit_f32(fan_in, fan_out):
    """Limit of the uniform Glorot initialization: variance 2 / (fan_in + fan_out)."""
    name = "glorot_limit_f32"
    return eng_glorot_limit_f32(check.integer(name, "fan_in", fan_in, 1, 2**32 - 1), check.integer(name, "fan_out", fan_out, 1, 2**32 - 1))


def glorot_deviation_f32(fan_in, fan_out):
    """Deviation of the truncated normal Glorot initialization: variance 2 / (fan_in + fan_out)."""
    name = "glorot_deviation_f32"
    return eng_glorot_deviation_f32(
        check.integer(name, "fan_in", fan_in, 1, 2**32 - 1), check.integer(name, "fan_out", fan_out, 1, 2**32 - 1)
    )


# ---------------------------------------------------------------------------------------------------- functions


def exp_f32(x):
    """Compute e^x with the core's own arithmetic, float32 of any shape."""
    y = np.empty_like(_any_shape("exp_f32", "x", x))
    cdef const float *x_ = _in(x)
    cdef float *y_ = _out(y)
    cdef size_t i
    for i in range(<size_t>x.size):
        y_[i] = eng_exp_f32(x_[i])
    return y


def log_f32(x):
    """Compute the natural logarithm of positive normal numbers with the core's own arithmetic, float32 of any shape."""
    y = np.empty_like(_any_shape("log_f32", "x", x))
    cdef const float *x_ = _in(x)
    cdef float *y_ = _out(y)
    cdef size_t i
    for i in range(<size_t>x.size):
        y_[i] = eng_log_f32(x_[i])
    return y
