# SPDX-License-Identifier: Apache-2.0
"""Float32 layers beyond those of kernels_f32: functions on arrays, one per C function of eng/layer_f32.h.

Arrays are taken as they are or refused, never converted: TypeError for a wrong dtype, ValueError for anything else.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from engine._views cimport optional_f32, read_f32, write_f32

from engine import _arguments as check
from engine.kernels_products import depthwise_conv2d_f32, depthwise_conv2d_f32_backward


cdef extern from "eng/layer_f32.h" nogil:
    ctypedef struct eng_rng:
        uint32_t state[4]

    ctypedef struct eng_leaky_relu_f32_params:
        size_t count
        float slope

    ctypedef struct eng_elu_f32_params:
        size_t count
        float alpha

    ctypedef struct eng_dropout_f32_params:
        size_t count
        float rate

    ctypedef struct eng_batch_norm_f32_params:
        size_t rows
        uint16_t channels
        float epsilon, momentum

    void eng_leaky_relu_f32(const eng_leaky_relu_f32_params *, const float *, float *)
    void eng_leaky_relu_f32_backward(const eng_leaky_relu_f32_params *, const float *, const float *, float *)
    void eng_elu_f32(const eng_elu_f32_params *, const float *, float *)
    void eng_elu_f32_backward(const eng_elu_f32_params *, const float *, const float *, float *)
    void eng_tanh_f32(size_t, const float *, float *)
    void eng_tanh_f32_backward(size_t, const float *, const float *, float *)
    void eng_sigmoid_f32(size_t, const float *, float *)
    void eng_sigmoid_f32_backward(size_t, const float *, const float *, float *)
    void eng_softplus_f32(size_t, const float *, float *)
    void eng_softplus_f32_backward(size_t, const float *, const float *, float *)
    void eng_exponential_f32(size_t, const float *, float *)
    void eng_exponential_f32_backward(size_t, const float *, const float *, float *)
    void eng_add_f32(size_t, const float *, const float *, float *)
    void eng_dropout_f32(const eng_dropout_f32_params *, eng_rng *, const float *, uint8_t *, float *)
    void eng_dropout_f32_backward(const eng_dropout_f32_params *, const uint8_t *, const float *, float *)
    void eng_batch_norm_f32_train(const eng_batch_norm_f32_params *, const float *, const float *, const float *, float *, float *,
                                  float *, float *, float *)
    void eng_batch_norm_f32(const eng_batch_norm_f32_params *, const float *, const float *, const float *, const float *,
                            const float *, float *)
    void eng_batch_norm_f32_backward(const eng_batch_norm_f32_params *, const float *, const float *, const float *, const float *,
                                     float *, float *, float *, float *)

cdef extern from "eng/math_f32.h" nogil:
    float eng_expm1_f32(float)
    float eng_log1p_f32(float)


ctypedef void (*Forward)(size_t, const float *, float *) noexcept nogil
ctypedef void (*Backward)(size_t, const float *, const float *, float *) noexcept nogil


def _any(function, name, array):
    check.array(function, name, array, np.float32, getattr(array, "shape", ()))
    if array.size < 1:
        raise ValueError(f"{function}: {name} has shape {array.shape}; expected at least 1 element")
    return array


def _gradient(function, y, dy, dx):
    """Check what a backward pass from the output takes; return dx, which may be dy."""
    _any(function, "y", y)
    check.array(function, "dy", dy, np.float32, y.shape)
    dx = check.output(function, dx, np.float32, y.shape, name="dx")
    check.apart(function, "dx", dx, y=y)
    return dx


# ---------------------------------------------------------------------------------------------------- activations


cdef _forward(function, Forward kernel, x, out):
    y = check.output(function, out, np.float32, _any(function, "x", x).shape)
    cdef size_t count = x.size
    cdef const float *x_ = read_f32(x)
    cdef float *y_ = write_f32(y)
    with nogil:
        kernel(count, x_, y_)
    return y


cdef _backward(function, Backward kernel, y, dy, dx):
    dx = _gradient(function, y, dy, dx)
    cdef size_t count = y.size
    cdef const float *y_ = read_f32(y)
    cdef const float *dy_ = read_f32(dy)
    cdef float *dx_ = write_f32(dx)
    with nogil:
        kernel(count, y_, dy_, dx_)
    return dx


def tanh_f32(x, *, out=None):
    """Compute tanh(x), float32 of any shape; `out` may be `x`."""
    return _forward("tanh_f32", eng_tanh_f32, x, out)


def tanh_f32_backward(y, dy, *, dx=None):
    """Compute the gradient from the output `y`; float32 of y's shape, `dx` may be `dy`."""
    return _backward("tanh_f32_backward", eng_tanh_f32_backward, y, dy, dx)


def sigmoid_f32(x, *, out=None):
    """Compute 1 / (1 + e^-x), float32 of any shape; `out` may be `x`."""
    return _forward("sigmoid_f32", eng_sigmoid_f32, x, out)


def sigmoid_f32_backward(y, dy, *, dx=None):
    """Compute the gradient from the output `y`; float32 of y's shape, `dx` may be `dy`."""
    return _backward("sigmoid_f32_backward", eng_sigmoid_f32_backward, y, dy, dx)


def softplus_f32(x, *, out=None):
    """Compute log(1 + e^x), float32 of any shape; `out` may be `x`."""
    return _forward("softplus_f32", eng_softplus_f32, x, out)


def softplus_f32_backward(y, dy, *, dx=None):
    """Compute the gradient from the output `y`; float32 of y's shape, `dx` may be `dy`."""
    return _backward("softplus_f32_backward", eng_softplus_f32_backward, y, dy, dx)


def exponential_f32(x, *, out=None):
    """Compute e^x, float32 of any shape; `out` may be `x`."""
    return _forward("exponential_f32", eng_exponential_f32, x, out)


def exponential_f32_backward(y, dy, *, dx=None):
    """Compute the gradient from the output `y`; float32 of y's shape, `dx` may be `dy`."""
    return _backward("exponential_f32_backward", eng_exponential_f32_backward, y, dy, dx)


def leaky_relu_f32(x, *, slope=0.3, out=None):
    """Compute x, or slope * x below 0; float32 of any shape, `out` may be `x`."""
    name = "leaky_relu_f32"
    y = check.output(name, out, np.float32, _any(name, "x", x).shape)
    cdef eng_leaky_relu_f32_params p
    p.count, p.slope = x.size, check.number(name, "slope", slope, 0, INFINITY, open_lo=False)
    eng_leaky_relu_f32(&p, read_f32(x), write_f32(y))
    return y


def leaky_relu_f32_backward(y, dy, *, slope=0.3, dx=None):
    """Compute the gradient from the output `y`; float32 of y's shape, `dx` may be `dy`."""
    name = "leaky_relu_f32_backward"
    dx = _gradient(name, y, dy, dx)
    cdef eng_leaky_relu_f32_params p
    p.count, p.slope = y.size, check.number(name, "slope", slope, 0, INFINITY, open_lo=False)
    eng_leaky_relu_f32_backward(&p, read_f32(y), read_f32(dy), write_f32(dx))
    return dx


def elu_f32(x, *, alpha=1.0, out=None):
    """Compute x, or alpha * (e^x - 1) below 0; float32 of any shape, `out` may be `x`."""
    name = "elu_f32"
    y = check.output(name, out, np.float32, _any(name, "x", x).shape)
    cdef eng_elu_f32_params p
    p.count, p.alpha = x.size, check.number(name, "alpha", alpha, 0, INFINITY, open_lo=True)
    eng_elu_f32(&p, read_f32(x), write_f32(y))
    return y


def elu_f32_backward(y, dy, *, alpha=1.0, dx=None):
    """Compute the gradient from the output `y`; float32 of y's shape, `dx` may be `dy`."""
    name = "elu_f32_backward"
    dx = _gradient(name, y, dy, dx)
    cdef eng_elu_f32_params p
    p.count, p.alpha = y.size, check.number(name, "alpha", alpha, 0, INFINITY, open_lo=True)
    eng_elu_f32_backward(&p, read_f32(y), read_f32(dy), write_f32(dx))
    return dx


def expm1_f32(x):
    """Compute e^x - 1 of numbers of at most 0 with the core's own arithmetic, float32 of any shape."""
    y = np.empty_like(_any("expm1_f32", "x", x))
    cdef const float *x_ = read_f32(x)
    cdef float *y_ = write_f32(y)
    cdef size_t i
    for i in range(<size_t>x.size):
        y_[i] = eng_expm1_f32(x_[i])
    return y


def log1p_f32(x):
    """Compute log(1 + x) of numbers in [0, 1] with the core's own arithmetic, float32 of any shape."""
    y = np.empty_like(_any("log1p_f32", "x", x))
    cdef const float *x_ = read_f32(x)
    cdef float *y_ = write_f32(y)
    cdef size_t i
    for i in range(<size_t>x.size):
        y_[i] = eng_log1p_f32(x_[i])
    return y


# ---------------------------------------------------------------------------------------------------- add


def add_f32(a, b, *, out=None):
    """Compute ``a + b``, float32 of any shape; `out` may be either.

    >>> add_f32(np.float32([1, 2]), np.float32([3, 5]))
    array([4., 7.], dtype=float32)
    """
    check.array("add_f32", "b", b, np.float32, _any("add_f32", "a", a).shape)
    y = check.output("add_f32", out, np.float32, a.shape)
    cdef size_t count = a.size
    cdef const float *a_ = read_f32(a)
    cdef const float *b_ = read_f32(b)
    cdef float *y_ = write_f32(y)
    with nogil:
        eng_add_f32(count, a_, b_, y_)
    return y


# ---------------------------------------------------------------------------------------------------- dropout


def dropout_f32(rng, rate, x, kept, *, out=None):
    """Set a share `rate` of x's elements to 0 and scale the others; `kept`, uint8 of x's shape, is written. `out` may be `x`."""
    name = "dropout_f32"
    y = check.output(name, out, np.float32, _any(name, "x", x).shape)
    check.updated(name, "rng", rng, np.uint32, (4,))
    check.updated(name, "kept", kept, np.uint8, x.shape)
    cdef eng_dropout_f32_params p
    p.count, p.rate = x.size, check.number(name, "rate", rate, 0, 1)
    cdef uint32_t[::1] state = rng
    cdef uint8_t[::1] bytes_ = kept.reshape(-1)
    eng_dropout_f32(&p, <eng_rng *>&state[0], read_f32(x), &bytes_[0], write_f32(y))
    return y


def dropout_f32_backward(rate, kept, dy, *, dx=None):
    """Compute the gradient from what the forward pass kept; `dx` may be `dy`."""
    name = "dropout_f32_backward"
    dx = check.output(name, dx, np.float32, _any(name, "dy", dy).shape, name="dx")
    check.array(name, "kept", kept, np.uint8, dy.shape)
    cdef eng_dropout_f32_params p
    p.count, p.rate = dy.size, check.number(name, "rate", rate, 0, 1)
    cdef const uint8_t[::1] bytes_ = kept.reshape(-1)
    eng_dropout_f32_backward(&p, &bytes_[0], read_f32(dy), write_f32(dx))
    return dx


# ---------------------------------------------------------------------------------------------------- batch normalisation


cdef eng_batch_norm_f32_params _batch_norm(function, x, epsilon, momentum, dict vectors) except *:
    _any(function, "x", x)
    channels = check.integer(function, "channels of x", x.shape[x.ndim - 1], 1, 65535)
    for name, array in vectors.items():
        check.array(function, name, array, np.float32, (channels,))
    cdef eng_batch_norm_f32_params p
    p.rows, p.channels = x.size // channels, channels
    p.epsilon = check.number(function, "epsilon", epsilon, 0, INFINITY, open_lo=True)
    p.momentum = check.number(function, "momentum", momentum, 0, 1)
    return p


def batch_norm_f32_train(x, gamma, beta, mean, variance, *, epsilon=1e-3, momentum=0.99, xhat, inverse, out=None):
    """Normalize with the batch's own statistics and move the running `mean` and `variance`; `xhat` and `inverse` are written.

    `x`, `xhat` and the result float32[..., channels], the others float32[channels].
    """
    name = "batch_norm_f32_train"
    vectors = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance, "inverse": inverse}
    cdef eng_batch_norm_f32_params p = _batch_norm(name, x, epsilon, momentum, vectors)
    check.updated(name, "xhat", xhat, np.float32, x.shape)
    y = check.output(name, out, np.float32, x.shape)
    check.apart(name, "out", out, x=x, xhat=xhat)
    cdef const float *x_ = read_f32(x)
    cdef const float *gamma_ = read_f32(gamma)
    cdef const float *beta_ = read_f32(beta)
    cdef float *mean_ = write_f32(mean)
    cdef float *variance_ = write_f32(variance)
    cdef float *xhat_ = write_f32(xhat)
    cdef float *inverse_ = write_f32(inverse)
    cdef float *y_ = write_f32(y)
    with nogil:
        eng_batch_norm_f32_train(&p, x_, gamma_, beta_, mean_, variance_, xhat_, inverse_, y_)
    return y


def batch_norm_f32(x, gamma, beta, mean, variance, *, epsilon=1e-3, out=None):
    """Normalize float32[..., channels] with given statistics, float32[channels] each; `out` may be `x`."""
    name = "batch_norm_f32"
    vectors = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    cdef eng_batch_norm_f32_params p = _batch_norm(name, x, epsilon, 0, vectors)
    y = check.output(name, out, np.float32, x.shape)
    eng_batch_norm_f32(&p, read_f32(x), read_f32(gamma), read_f32(beta), read_f32(mean), read_f32(variance), write_f32(y))
    return y


def batch_norm_f32_backward(xhat, inverse, gamma, dy, dgamma, dbeta, *, dx=None):
    """Add to `dgamma` and `dbeta` and, if `dx` is given, overwrite it, which may be `dy`; `xhat`, `inverse` from the forward pass."""
    name = "batch_norm_f32_backward"
    vectors = {"inverse": inverse, "gamma": gamma, "dgamma": dgamma, "dbeta": dbeta}
    cdef eng_batch_norm_f32_params p = _batch_norm(name, xhat, 1, 0, vectors)
    check.array(name, "dy", dy, np.float32, xhat.shape)
    if dx is not None:
        check.updated(name, "dx", dx, np.float32, xhat.shape)
        check.apart(name, "dx", dx, xhat=xhat)
    scratch = np.empty(2 * gamma.size, np.float32)
    cdef const float *xhat_ = read_f32(xhat)
    cdef const float *inverse_ = read_f32(inverse)
    cdef const float *gamma_ = read_f32(gamma)
    cdef const float *dy_ = read_f32(dy)
    cdef float *dgamma_ = write_f32(dgamma)
    cdef float *dbeta_ = write_f32(dbeta)
    cdef float *dx_ = optional_f32(dx)
    cdef float *scratch_ = write_f32(scratch)
    with nogil:
        eng_batch_norm_f32_backward(&p, xhat_, inverse_, gamma_, dy_, dgamma_, dbeta_, dx_, scratch_)
