# SPDX-License-Identifier: Apache-2.0
"""Integer training kernels: stateless functions on arrays, one per C function of eng/train_int.h, which has the rules.

Arrays are taken as they are or refused, never converted. Codes and errors are int8, masters int16, sums int32; `rng` is the
state that :func:`engine.kernels_f32.rng_seed` makes. Errors name the function and the argument: TypeError for a wrong dtype,
ValueError for anything else.
"""

import numpy as np

from libc.stdint cimport int8_t, int16_t, int32_t, uint8_t, uint16_t, uint32_t

from engine import _arguments as check
from engine.kernels_f32 import _check_window


cdef extern from "eng/train_int.h" nogil:
    ctypedef struct eng_rng:
        uint32_t state[4]

    ctypedef struct eng_rescale:
        int32_t mult
        uint8_t left, right

    ctypedef struct eng_output_s8:
        int8_t zero, lo, hi

    ctypedef struct eng_window:
        uint16_t in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left

    ctypedef struct eng_dense_int_params:
        size_t rows
        uint16_t in_ "in"
        uint16_t out
        int8_t zero_x

    ctypedef struct eng_step_int:
        int16_t shift
        uint8_t bias_mult
        int8_t bias_shift

    ctypedef struct eng_errors_int_params:
        size_t count
        uint8_t mult

    ctypedef struct eng_codes_int_params:
        size_t count
        eng_rescale rescale
        eng_output_s8 y

    ctypedef struct eng_relu_int_params:
        size_t count
        int8_t lo, hi

    ctypedef struct eng_softmax_int_params:
        size_t rows
        uint16_t classes
        eng_rescale rescale

    ctypedef struct eng_mse_int_params:
        size_t rows
        uint16_t cols

    ctypedef struct eng_patches_int_params:
        size_t batch
        eng_window window
        uint16_t channels
        int8_t zero_x

    void eng_dense_int(const eng_dense_int_params *, const int8_t *, const int16_t *, const int32_t *, int32_t *)
    void eng_dense_int_backward(const eng_dense_int_params *, const int8_t *, const int16_t *, int32_t *)
    void eng_dense_int_gradient(const eng_dense_int_params *, const int8_t *, const int8_t *, int32_t *, int32_t *)
    void eng_sgd_int(const eng_dense_int_params *, const eng_step_int *, int16_t, eng_rng *, const int32_t *, const int32_t *,
                     int16_t *, int32_t *)
    void eng_dense_int_step(const eng_dense_int_params *, const eng_step_int *, int16_t, eng_rng *, const int8_t *,
                            const int8_t *, int16_t *, int32_t *)
    uint16_t eng_argmax_int(uint16_t, const int32_t *)
    int16_t eng_errors_int(const eng_errors_int_params *, eng_rng *, const int32_t *, int8_t *)
    void eng_codes_single_int(const eng_codes_int_params *, const int32_t *, int8_t *)
    void eng_codes_double_int(const eng_codes_int_params *, const int32_t *, int8_t *)
    void eng_relu_int_backward(const eng_relu_int_params *, const int8_t *, int32_t *)
    void eng_softmax_cross_entropy_int(const eng_softmax_int_params *, const int32_t *, const uint16_t *, uint32_t *, int32_t *)
    void eng_mse_int(const eng_mse_int_params *, const int8_t *, const int8_t *, uint32_t *, int32_t *)
    void eng_patches_int(const eng_patches_int_params *, const int8_t *, int8_t *)
    void eng_patches_int_backward(const eng_patches_int_params *, const int32_t *, int32_t *)
    void eng_max_pool2d_int(const eng_patches_int_params *, const int8_t *, int8_t *, uint32_t *)
    void eng_max_pool2d_int_backward(const eng_patches_int_params *, const uint32_t *, const int32_t *, int32_t *)


#: What eng_master saturates at.
MASTER_MIN, MASTER_MAX = -32512, 32767
#: Rows (samples times positions) that one step may sum over.
MOST_ROWS = 32767


cdef int8_t *_s8(array) except NULL:
    return <int8_t *><size_t>array.ctypes.data


cdef int16_t *_s16(array) except NULL:
    return <int16_t *><size_t>array.ctypes.data


cdef int32_t *_s32(array) except NULL:
    return <int32_t *><size_t>array.ctypes.data


cdef uint32_t *_u32(array) except NULL:
    return <uint32_t *><size_t>array.ctypes.data


cdef int32_t *_optional(array) except? NULL:
    return NULL if array is None else _s32(array)


cdef eng_rng *_rng(function, rng) except NULL:
    check.updated(function, "rng", rng, np.uint32, (4,))
    return <eng_rng *>_u32(rng)


cdef eng_dense_int_params _dense(function, rows, in_, out, zero_x) except *:
    cdef eng_dense_int_params p
    p.rows = check.integer(function, "rows", rows, 1, 2**31 - 1)
    p.in_ = check.integer(function, "inputs of w", in_, 1, 32767)
    p.out = check.integer(function, "outputs of w", out, 1, 65535)
    p.zero_x = check.integer(function, "zero_x", zero_x, -128, 127)
    return p


def _check_masters(function, w, bias, *, changed):
    taken = check.updated if changed else check.array
    taken(function, "w", w, np.int16, (None, None))
    taken(function, "bias", bias, np.int32, (w.shape[0],))


def dense_int(x, w, bias, *, zero_x, out=None):
    """Sum ``bias[n] + sum_k (w[n][k] >> 8) * (x[i][k] - zero_x)``: x int8[rows, in], w int16[out, in] -> int32[rows, out].

    >>> import numpy as np
    >>> dense_int(np.int8([[3]]), np.int16([[2 * 256 + 128]]), np.int32([10]), zero_x=-1)
    array([[18]], dtype=int32)
    """
    name = "dense_int"
    _check_masters(name, w, bias, changed=False)
    check.array(name, "x", x, np.int8, (None, w.shape[1]))
    acc = check.output(name, out, np.int32, (x.shape[0], w.shape[0]))
    check.apart(name, "out", out, x=x, w=w, bias=bias)
    cdef eng_dense_int_params p = _dense(name, x.shape[0], w.shape[1], w.shape[0], zero_x)
    cdef const int8_t *x_ = _s8(x)
    cdef const int16_t *w_ = _s16(w)
    cdef const int32_t *bias_ = _s32(bias)
    cdef int32_t *acc_ = _s32(acc)
    with nogil:
        eng_dense_int(&p, x_, w_, bias_, acc_)
    return acc


def dense_int_backward(h, w, *, dx=None):
    """Sum ``sum_n h[i][n] * (w[n][k] >> 8)``: errors int8[rows, out] -> int32[rows, in]."""
    name = "dense_int_backward"
    check.array(name, "w", w, np.int16, (None, None))
    check.array(name, "h", h, np.int8, (None, w.shape[0]))
    result = check.output(name, dx, np.int32, (h.shape[0], w.shape[1]), name="dx")
    check.apart(name, "dx", dx, h=h, w=w)
    cdef eng_dense_int_params p = _dense(name, h.shape[0], w.shape[1], w.shape[0], 0)
    cdef const int8_t *h_ = _s8(h)
    cdef const int16_t *w_ = _s16(w)
    cdef int32_t *dx_ = _s32(result)
    with nogil:
        eng_dense_int_backward(&p, h_, w_, dx_)
    return result


def dense_int_gradient(x, h, dw, dbias, *, zero_x):
    """Add ``sum_i h[i][n] * (x[i][k] - zero_x)`` to `dw` int32[out, in] and ``sum_i h[i][n]`` to `dbias` int32[out].

    `x` int8[rows, in], `h` int8[rows, out], at most 32767 rows.
    """
    name = "dense_int_gradient"
    check.updated(name, "dw", dw, np.int32, (None, None))
    check.updated(name, "dbias", dbias, np.int32, (dw.shape[0],))
    check.array(name, "x", x, np.int8, (None, dw.shape[1]))
    check.array(name, "h", h, np.int8, (x.shape[0], dw.shape[0]))
    check.integer(name, "rows of x", x.shape[0], 1, MOST_ROWS)
    check.apart(name, "dbias", dbias, dw=dw)
    cdef eng_dense_int_params p = _dense(name, x.shape[0], dw.shape[1], dw.shape[0], zero_x)
    cdef const int8_t *x_ = _s8(x)
    cdef const int8_t *h_ = _s8(h)
    cdef int32_t *dw_ = _s32(dw)
    cdef int32_t *dbias_ = _s32(dbias)
    with nogil:
        eng_dense_int_gradient(&p, x_, h_, dw_, dbias_)


cdef eng_step_int _step(function, step) except *:
    """A (shift, bias_mult, bias_shift)."""
    shift, bias_mult, bias_shift = step
    cdef eng_step_int s
    s.shift = check.integer(function, "shift of step", shift, -1000, 1000)
    s.bias_mult = check.integer(function, "bias_mult of step", bias_mult, 0, 255)
    s.bias_shift = check.integer(function, "bias_shift of step", bias_shift, -100, 100)
    return s


def sgd_int(step, exponent, rng, dw, dbias, w, bias):
    """Move masters `w` int16[out, in] and `bias` int32[out] by gradients that :func:`dense_int_gradient` summed.

    `step` is (shift, bias_mult, bias_shift) of ``eng_step_int``, `exponent` the sum of the errors' exponents.
    """
    name = "sgd_int"
    _check_masters(name, w, bias, changed=True)
    check.array(name, "dw", dw, np.int32, w.shape)
    check.array(name, "dbias", dbias, np.int32, bias.shape)
    check.apart(name, "w", w, dw=dw, dbias=dbias, bias=bias)
    check.apart(name, "bias", bias, dw=dw, dbias=dbias)
    cdef eng_dense_int_params p = _dense(name, 1, w.shape[1], w.shape[0], 0)
    cdef eng_step_int s = _step(name, step)
    cdef int16_t t = check.integer(name, "exponent", exponent, -1000, 1000)
    cdef eng_rng *rng_ = _rng(name, rng)
    cdef const int32_t *dw_ = _s32(dw)
    cdef const int32_t *dbias_ = _s32(dbias)
    cdef int16_t *w_ = _s16(w)
    cdef int32_t *bias_ = _s32(bias)
    with nogil:
        eng_sgd_int(&p, &s, t, rng_, dw_, dbias_, w_, bias_)


def dense_int_step(step, exponent, rng, x, h, w, bias, *, zero_x):
    """Do what :func:`dense_int_gradient` of one row, from zero, and :func:`sgd_int` do, without memory for gradients.

    `x` int8[in], `h` int8[out].
    """
    name = "dense_int_step"
    _check_masters(name, w, bias, changed=True)
    check.array(name, "x", x, np.int8, (w.shape[1],))
    check.array(name, "h", h, np.int8, bias.shape)
    check.apart(name, "w", w, x=x, h=h, bias=bias)
    cdef eng_dense_int_params p = _dense(name, 1, w.shape[1], w.shape[0], zero_x)
    cdef eng_step_int s = _step(name, step)
    cdef int16_t t = check.integer(name, "exponent", exponent, -1000, 1000)
    eng_dense_int_step(&p, &s, t, _rng(name, rng), _s8(x), _s8(h), _s16(w), _s32(bias))


def errors_int(dy, rng, *, mult, out=None):
    """Round int32 gradients of any shape to a block of int8 errors: (h, exponent) with ``dy * mult ~ h * 2**exponent``."""
    name = "errors_int"
    check.array(name, "dy", dy, np.int32, (None,) * max(1, getattr(dy, "ndim", 1)))
    h = check.output(name, out, np.int8, dy.shape)
    check.apart(name, "out", out, dy=dy)
    cdef eng_errors_int_params p
    p.count, p.mult = dy.size, check.integer(name, "mult", mult, 128, 255)
    cdef eng_rng *rng_ = _rng(name, rng)
    cdef const int32_t *dy_ = _s32(dy)
    cdef int8_t *h_ = _s8(h)
    cdef int16_t exponent
    with nogil:
        exponent = eng_errors_int(&p, rng_, dy_, h_)
    return h, exponent


cdef eng_rescale _rescale(function, r) except *:
    cdef eng_rescale c
    c.mult = check.integer(function, "rescale.mult", r.mult, 0, 2**31 - 1)
    c.left = check.integer(function, "rescale.left", r.left, 0, 30)
    c.right = check.integer(function, "rescale.right", r.right, 0, 31)
    return c


cdef eng_codes_int_params _codes(function, acc, rescale, y) except *:
    cdef eng_codes_int_params p
    check.array(function, "acc", acc, np.int32, (None,) * max(1, getattr(acc, "ndim", 1)))
    p.count, p.rescale = acc.size, _rescale(function, rescale)
    p.y.zero = check.integer(function, "y.zero", y.zero, -128, 127)
    p.y.lo = check.integer(function, "y.lo", y.lo, -128, 127)
    p.y.hi = check.integer(function, "y.hi", y.hi, y.lo, 127)
    return p


def codes_single_int(acc, rescale, y, *, out=None):
    """Requantize int32 sums of any shape as dense layers do; `rescale` and `y` are those of :mod:`engine.program`."""
    cdef eng_codes_int_params p = _codes("codes_single_int", acc, rescale, y)
    codes = check.output("codes_single_int", out, np.int8, acc.shape)
    cdef const int32_t *acc_ = _s32(acc)
    cdef int8_t *codes_ = _s8(codes)
    with nogil:
        eng_codes_single_int(&p, acc_, codes_)
    return codes


def codes_double_int(acc, rescale, y, *, out=None):
    """Requantize int32 sums of any shape as convolutions do."""
    cdef eng_codes_int_params p = _codes("codes_double_int", acc, rescale, y)
    codes = check.output("codes_double_int", out, np.int8, acc.shape)
    cdef const int32_t *acc_ = _s32(acc)
    cdef int8_t *codes_ = _s8(codes)
    with nogil:
        eng_codes_double_int(&p, acc_, codes_)
    return codes


def argmax_int(acc):
    """Give the index of the largest of `acc` int32[count], the first of equals.

    >>> import numpy as np
    >>> argmax_int(np.int32([3, 7, 7]))
    1
    """
    check.array("argmax_int", "acc", acc, np.int32, (None,))
    return eng_argmax_int(check.integer("argmax_int", "count", acc.shape[0], 1, 65535), _s32(acc))


def relu_int_backward(y, dx, *, lo, hi):
    """Set `dx` int32 to 0, in place, where codes `y` int8 of the same shape are at an end of their range ``[lo, hi]``."""
    name = "relu_int_backward"
    check.array(name, "y", y, np.int8, (None,) * max(1, getattr(y, "ndim", 1)))
    check.updated(name, "dx", dx, np.int32, y.shape)
    cdef eng_relu_int_params p
    p.count = y.size
    p.lo, p.hi = check.integer(name, "lo", lo, -128, 127), check.integer(name, "hi", hi, -128, 127)
    cdef const int8_t *y_ = _s8(y)
    cdef int32_t *dx_ = _s32(dx)
    with nogil:
        eng_relu_int_backward(&p, y_, dx_)


def softmax_cross_entropy_int(acc, label, rescale, *, dy=None):
    """Give the loss of each row in 1/64 octaves, uint32[rows], and the gradient into `dy` int32[rows, classes] if given.

    `acc` int32[rows, classes], `label` uint16[rows] below classes; `rescale` takes acc to 1/64 octaves and is at most 1.
    """
    name = "softmax_cross_entropy_int"
    check.array(name, "acc", acc, np.int32, (None, None))
    cdef eng_softmax_int_params p
    p.rows, p.classes = acc.shape[0], check.integer(name, "classes", acc.shape[1], 1, 32767)
    p.rescale = _rescale(name, rescale)
    if p.rescale.left > 0:
        raise ValueError(f"{name}: rescale is {rescale}; expected a ratio below 1")
    check.array(name, "label", label, np.uint16, (acc.shape[0],))
    if label.max() >= acc.shape[1]:
        raise ValueError(f"{name}: label has a {label.max()}; expected labels below {acc.shape[1]}, the classes of acc")
    if dy is not None:
        check.updated(name, "dy", dy, np.int32, acc.shape)
        check.apart(name, "dy", dy, acc=acc)
    loss = np.empty(acc.shape[0], np.uint32)
    cdef const int32_t *acc_ = _s32(acc)
    cdef const uint16_t *label_ = <const uint16_t *><size_t>label.ctypes.data
    cdef uint32_t *loss_ = _u32(loss)
    cdef int32_t *dy_ = _optional(dy)
    with nogil:
        eng_softmax_cross_entropy_int(&p, acc_, label_, loss_, dy_)
    return loss


def mse_int(y, target, *, dy=None):
    """Give each row's sum of squared differences of codes, uint32[rows], and their 128-fold into `dy` int32 if given."""
    name = "mse_int"
    check.array(name, "y", y, np.int8, (None, None))
    check.array(name, "target", target, np.int8, y.shape)
    if dy is not None:
        check.updated(name, "dy", dy, np.int32, y.shape)
    cdef eng_mse_int_params p
    p.rows, p.cols = y.shape[0], check.integer(name, "columns", y.shape[1], 1, 65535)
    loss = np.empty(y.shape[0], np.uint32)
    cdef const int8_t *y_ = _s8(y)
    cdef const int8_t *target_ = _s8(target)
    cdef uint32_t *loss_ = _u32(loss)
    cdef int32_t *dy_ = _optional(dy)
    with nogil:
        eng_mse_int(&p, y_, target_, loss_, dy_)
    return loss


cdef eng_patches_int_params _patches(function, window, batch, channels, zero_x) except *:
    _check_window(function, window)
    cdef eng_patches_int_params p
    p.batch = check.integer(function, "batch", batch, 1, 2**31 - 1)
    p.channels = check.integer(function, "channels", channels, 1, 65535)
    p.zero_x = check.integer(function, "zero_x", zero_x, -128, 127)
    cdef eng_window *c = &p.window
    c.in_h, c.in_w, c.out_h, c.out_w = window.in_h, window.in_w, window.out_h, window.out_w
    c.kernel_h, c.kernel_w, c.stride_h, c.stride_w = window.kernel_h, window.kernel_w, window.stride_h, window.stride_w
    c.dilation_h, c.dilation_w, c.pad_top, c.pad_left = window.dilation_h, window.dilation_w, window.pad_top, window.pad_left
    return p


def patches_int(window, x, *, zero_x, out=None):
    """Gather what each position of a convolution sees of codes int8[batch, in_h, in_w, c].

    Returns int8[batch * out_h * out_w, kernel_h * kernel_w * c]; padding holds `zero_x`.
    """
    name = "patches_int"
    check.array(name, "x", x, np.int8, (None, window.in_h, window.in_w, None))
    batch, channels = x.shape[0], x.shape[3]
    cdef eng_patches_int_params p = _patches(name, window, batch, channels, zero_x)
    shape = batch * window.out_h * window.out_w, window.kernel_h * window.kernel_w * channels
    patches = check.output(name, out, np.int8, shape)
    cdef const int8_t *x_ = _s8(x)
    cdef int8_t *patches_ = _s8(patches)
    with nogil:
        eng_patches_int(&p, x_, patches_)
    return patches


def patches_int_backward(window, dpatches, *, dx):
    """Sum int32 gradients of patches into `dx` int32[batch, in_h, in_w, c], which is overwritten."""
    name = "patches_int_backward"
    check.updated(name, "dx", dx, np.int32, (None, window.in_h, window.in_w, None))
    batch, channels = dx.shape[0], dx.shape[3]
    shape = batch * window.out_h * window.out_w, window.kernel_h * window.kernel_w * channels
    check.array(name, "dpatches", dpatches, np.int32, shape)
    check.apart(name, "dx", dx, dpatches=dpatches)
    cdef eng_patches_int_params p = _patches(name, window, batch, channels, 0)
    cdef const int32_t *dpatches_ = _s32(dpatches)
    cdef int32_t *dx_ = _s32(dx)
    with nogil:
        eng_patches_int_backward(&p, dpatches_, dx_)


def max_pool2d_int(window, x, *, out=None, index=None):
    """Take maxima of codes int8[batch, in_h, in_w, c]: (y, index), both [batch, out_h, out_w, c], index uint32."""
    name = "max_pool2d_int"
    check.array(name, "x", x, np.int8, (None, window.in_h, window.in_w, None))
    shape = x.shape[0], window.out_h, window.out_w, x.shape[3]
    y = check.output(name, out, np.int8, shape)
    at = check.output(name, index, np.uint32, shape, name="index")
    cdef eng_patches_int_params p = _patches(name, window, x.shape[0], x.shape[3], 0)
    cdef const int8_t *x_ = _s8(x)
    cdef int8_t *y_ = _s8(y)
    cdef uint32_t *at_ = _u32(at)
    with nogil:
        eng_max_pool2d_int(&p, x_, y_, at_)
    return y, at


def max_pool2d_int_backward(window, index, dy, *, dx):
    """Sum `dy` int32[batch, out_h, out_w, c] where the maxima came from, into `dx` int32[batch, in_h, in_w, c], overwritten."""
    name = "max_pool2d_int_backward"
    check.updated(name, "dx", dx, np.int32, (None, window.in_h, window.in_w, None))
    shape = dx.shape[0], window.out_h, window.out_w, dx.shape[3]
    check.array(name, "dy", dy, np.int32, shape)
    check.array(name, "index", index, np.uint32, shape)
    check.apart(name, "dx", dx, dy=dy)
    if index.max() >= window.in_h * window.in_w:
        raise ValueError(f"{name}: index has a {index.max()}; the image has {window.in_h * window.in_w} pixels")
    cdef eng_patches_int_params p = _patches(name, window, dx.shape[0], dx.shape[3], 0)
    cdef const uint32_t *index_ = _u32(index)
    cdef const int32_t *dy_ = _s32(dy)
    cdef int32_t *dx_ = _s32(dx)
    with nogil:
        eng_max_pool2d_int_backward(&p, index_, dy_, dx_)
