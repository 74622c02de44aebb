# cython: boundscheck=False, wraparound=False
"""The int8 kernels of the C core as stateless functions on arrays, one a C function.

Nothing is converted: arrays must have the documented dtype, shape and C order. Every function allocates its result or
writes it to `out`. Arguments that the C core's own check refuses raise :class:`ValueError` with its text, so that no call
can read or write out of bounds.

All raise TypeError for a wrong type or dtype and ValueError for a wrong shape or value.
"""

import numpy as np

from engine import _arguments as check
from engine.program import (
    ArgmaxParams,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    DenseParams,
    DenseWideParams,
    Pool2DParams,
    QuantizeParams,
    Ratio,
    RequantizeParams,
    SoftmaxParams,
)

from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t, uint32_t


cdef extern from "eng.h" nogil:
    ctypedef enum eng_status:
        ENG_OK

    const char *eng_status_text(eng_status status)

    ctypedef struct eng_window:
        uint16_t in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left

    ctypedef struct eng_rescale:
        int32_t mult
        uint8_t left, right

    ctypedef struct eng_output_s8:
        int8_t zero, lo, hi

    int32_t eng_rescale_double(int32_t acc, const eng_rescale *r)
    int32_t eng_rescale_single(int32_t acc, const eng_rescale *r)

    ctypedef struct eng_ratio:
        uint32_t low, high

    int32_t eng_rescale_wide(int32_t acc, const eng_ratio *r)

    # `in` is a keyword here
    ctypedef struct eng_dense_s8_params:
        uint16_t in_ "in"
        uint16_t out
        uint8_t rescale_step
        eng_output_s8 y
        const eng_rescale *rescale

    ctypedef struct eng_dense_wide_s8_params:
        uint32_t rows
        uint16_t in_ "in"
        uint16_t out
        uint8_t ratio_step
        eng_output_s8 y
        const eng_ratio *ratio

    ctypedef struct eng_conv2d_s8_params:
        eng_window window
        uint16_t in_c, out_c
        int8_t zero_x
        uint8_t rescale_step
        eng_output_s8 y
        const eng_rescale *rescale

    ctypedef struct eng_conv2d_max_pool2d_s8_params:
        eng_conv2d_s8_params conv
        eng_window pool

    ctypedef struct eng_pool2d_s8_params:
        eng_window window
        uint16_t channels
        int8_t lo, hi

    ctypedef struct eng_requantize_s8_params:
        uint32_t count
        int8_t zero_x
        eng_rescale rescale
        eng_output_s8 y

    ctypedef struct eng_softmax_s8_params:
        uint32_t rows
        uint16_t size, table_size
        const int32_t *table

    ctypedef struct eng_argmax_s8_params:
        uint32_t rows
        uint16_t size

    ctypedef struct eng_quantize_params:
        uint32_t count
        float scale
        int8_t zero

    void eng_dense_s8(const eng_dense_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
    void eng_dense_wide_s8(const eng_dense_wide_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
    void eng_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
    void eng_conv2d_max_pool2d_s8(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w,
                                  const int32_t *bias, int8_t *y)
    void eng_max_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
    void eng_average_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
    void eng_requantize_s8(const eng_requantize_s8_params *p, const int8_t *x, int8_t *y)
    void eng_softmax_s8(const eng_softmax_s8_params *p, const int8_t *x, int8_t *y)
    void eng_argmax_s8(const eng_argmax_s8_params *p, const int8_t *x, int32_t *y)
    void eng_quantize_f32_s8(const eng_quantize_params *p, const float *x, int8_t *y)
    void eng_dequantize_s8_f32(const eng_quantize_params *p, const int8_t *x, float *y)

    ctypedef enum eng_op:
        ENG_OP_DENSE_S8
        ENG_OP_DENSE_WIDE_S8
        ENG_OP_CONV2D_S8
        ENG_OP_CONV2D_MAX_POOL2D_S8
        ENG_OP_MAX_POOL2D_S8
        ENG_OP_AVERAGE_POOL2D_S8
        ENG_OP_REQUANTIZE_S8
        ENG_OP_SOFTMAX_S8
        ENG_OP_ARGMAX_S8
        ENG_OP_QUANTIZE_F32_S8
        ENG_OP_DEQUANTIZE_S8_F32

    eng_status eng_params_check(uint8_t op, const void *params, const int8_t *w, const int32_t *bias)


#: ``eng_rescale`` as NumPy sees it.
RESCALE = np.dtype([("mult", np.int32), ("left", np.uint8), ("right", np.uint8)], align=True)
assert RESCALE.itemsize == sizeof(eng_rescale)
#: ``eng_ratio`` as NumPy sees it.
RATIO = np.dtype([("low", np.uint32), ("high", np.uint32)], align=True)
assert RATIO.itemsize == sizeof(eng_ratio)


cdef _refuse(str function, eng_status status):
    raise ValueError(f"{function}: {eng_status_text(status).decode()}")


cdef _check(str function, eng_op op, const void *params, const int8_t *w, const int32_t *bias):
    cdef eng_status status
    with nogil:
        status = eng_params_check(<uint8_t>op, params, w, bias)
    if status != ENG_OK:
        _refuse(function, status)


cdef _expect(str function, params, kind):
    if not isinstance(params, kind):
        raise TypeError(f"{function}: params is of type {type(params).__name__}; expected {kind.__name__}")


cdef eng_window _window(str function, str name, w) except *:
    cdef eng_window r
    u = lambda field: check.integer(function, f"{name}.{field}", getattr(w, field), 0, 65535)
    r.in_h, r.in_w, r.out_h, r.out_w = u("in_h"), u("in_w"), u("out_h"), u("out_w")
    r.kernel_h, r.kernel_w, r.stride_h, r.stride_w = u("kernel_h"), u("kernel_w"), u("stride_h"), u("stride_w")
    r.dilation_h, r.dilation_w, r.pad_top, r.pad_left = u("dilation_h"), u("dilation_w"), u("pad_top"), u("pad_left")
    return r


cdef eng_output_s8 _output(str function, y) except *:
    cdef eng_output_s8 r
    code = lambda field: check.integer(function, f"y.{field}", getattr(y, field), -128, 127)
    r.zero, r.lo, r.hi = code("zero"), code("lo"), code("hi")
    return r


def _rescales(str function, rescale, count):
    """The records as one array; their number must be `count`."""
    if len(rescale) != count:
        raise ValueError(f"{function}: rescale has {len(rescale)} records; expected {count}")
    rows = [(check.integer(function, "rescale.mult", r.mult, 0, 2**31 - 1), check.integer(function, "rescale.left", r.left, 0, 30),
             check.integer(function, "rescale.right", r.right, 0, 31)) for r in rescale]
    return np.array(rows, RESCALE)


def _ratios(str function, ratio, count):
    """The records as one array; their number must be `count`."""
    if len(ratio) != count:
        raise ValueError(f"{function}: ratio has {len(ratio)} records; expected {count}")
    rows = [(check.integer(function, "ratio.low", r.low, 0, 2**32 - 1), check.integer(function, "ratio.high", r.high, 0, 2**32 - 1))
            for r in ratio]
    return np.array(rows, RATIO)


cdef uint16_t _u16(str function, str name, value) except *:
    return check.integer(function, name, value, 1, 65535)


cdef uint32_t _u32(str function, str name, value) except *:
    return check.integer(function, name, value, 1, 2**32 - 1)


cdef int8_t _code(str function, str name, value) except *:
    return check.integer(function, name, value, -128, 127)


cdef const int8_t *_in8(a) except NULL:
    cdef const int8_t[::1] view = a.reshape(-1)
    return &view[0]


cdef int8_t *_out8(a) except NULL:
    cdef int8_t[::1] view = a.reshape(-1)
    return &view[0]


cdef const int32_t *_in32(a) except NULL:
    cdef const int32_t[::1] view = a.reshape(-1)
    return &view[0]


def _apart(str function, x, out):
    """The result must not be written over the input."""
    if np.may_share_memory(x, out):
        raise ValueError(f"{function}: out overlaps x; expected separate memory")
    return out


def rescale_double(acc, rescale, *, out=None):
    """Rescale accumulators with double rounding, as convolutions do.

    Parameters
    ----------
    acc : int32[n]
    rescale : Rescale
    out : int32[n], optional

    Returns
    -------
    int32[n]
        ``rdiv(hi(acc * 2**left, mult), right)``, see eng/quant.h.

    Examples
    --------
    >>> from engine.program import Rescale
    >>> rescale_double(np.array([5, -5], np.int32), Rescale(1 << 30, 0, 0)).tolist()
    [3, -2]
    """
    return _rescale("rescale_double", acc, rescale, out, True)


def rescale_single(acc, rescale, *, out=None):
    """Rescale accumulators with single rounding, as dense layers do.

    Parameters
    ----------
    acc : int32[n]
    rescale : Rescale
    out : int32[n], optional

    Returns
    -------
    int32[n]
        ``acc * mult / 2**(31 - left + right)`` to nearest, ties away from zero.

    Examples
    --------
    >>> from engine.program import Rescale
    >>> rescale_single(np.array([5, -5], np.int32), Rescale(1 << 30, 0, 0)).tolist()
    [3, -3]
    """
    return _rescale("rescale_single", acc, rescale, out, False)


def rescale_wide(acc, ratio, *, out=None):
    """Accumulators times a double, as IEEE 754 has it, to nearest, ties away from zero: dense layers with ratios in full.

    Parameters
    ----------
    acc : int32[n]
    ratio : Ratio
        Positive and normal, or 0.
    out : int32[n], optional

    Returns
    -------
    int32[n]
        Saturated at plus and minus ``2**31 - 1``.

    Examples
    --------
    >>> import struct
    >>> from engine.program import Ratio
    >>> rescale_wide(np.array([1, 3, -3], np.int32), Ratio(*struct.unpack("<II", struct.pack("<d", 0.5))))
    array([ 1,  2, -2], dtype=int32)
    """
    cdef str function = "rescale_wide"
    if not isinstance(ratio, Ratio):
        raise TypeError(f"{function}: ratio is of type {type(ratio).__name__}; expected Ratio")
    size = (np.size(acc),)
    cdef const int32_t[::1] a = check.array(function, "acc", acc, np.int32, size)
    result = check.output(function, out, np.int32, size)
    cdef int32_t[::1] y = result
    cdef const eng_ratio[::1] records = _ratios(function, (ratio,), 1)
    if not (1 <= ratio.high >> 20 <= 2046 or ratio.high == ratio.low == 0):
        raise ValueError(f"{function}: ratio is no positive normal number")
    cdef Py_ssize_t i
    with nogil:
        for i in range(a.shape[0]):
            y[i] = eng_rescale_wide(a[i], &records[0])
    return result


cdef _rescale(str function, acc, rescale, out, bint twice):
    size = (np.size(acc),)
    cdef const int32_t[::1] a = check.array(function, "acc", acc, np.int32, size)
    result = check.output(function, out, np.int32, size)
    cdef int32_t[::1] y = result
    cdef const eng_rescale[::1] records = _rescales(function, (rescale,), 1)
    cdef Py_ssize_t i
    if records[0].left != 0 and records[0].right != 0:
        raise ValueError(f"{function}: rescale shifts both ways: {rescale}; expected at most one of left and right")
    with nogil:
        for i in range(a.shape[0]):
            y[i] = eng_rescale_double(a[i], &records[0]) if twice else eng_rescale_single(a[i], &records[0])
    return result


def dense_s8(params, x, w, bias, *, out=None):
    """Dense layer: ``out[n] = requant(bias[n] + sum_k w[n, k] * x[k])``.

    Parameters
    ----------
    params : DenseParams
    x : int8[in]
    w : int8[out, in]
    bias : int32[out]
        With the input zero point folded in.
    out : int8[out], optional
        Must not overlap `x`.

    Returns
    -------
    int8[out]

    Examples
    --------
    >>> from engine.program import DenseParams, OutputS8, Rescale
    >>> params = DenseParams(3, 1, 0, OutputS8(0, -128, 127), (Rescale(1 << 30, 0, 0),))
    >>> x, w = np.array([1, 2, 3], np.int8), np.array([[4, 5, 6]], np.int8)
    >>> dense_s8(params, x, w, np.array([8], np.int32))
    array([20], dtype=int8)
    """
    cdef str function = "dense_s8"
    _expect(function, params, DenseParams)
    cdef eng_dense_s8_params p
    p.in_, p.out = _u16(function, "in_", params.in_), _u16(function, "out", params.out)
    p.rescale_step = check.integer(function, "rescale_step", params.rescale_step, 0, 1)
    p.y = _output(function, params.y)
    cdef const eng_rescale[::1] records = _rescales(function, params.rescale, params.out if params.rescale_step else 1)
    p.rescale = &records[0]
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.in_,)))
    cdef const int8_t *pw = _in8(check.array(function, "w", w, np.int8, (params.out, params.in_)))
    cdef const int32_t *pb = _in32(check.array(function, "bias", bias, np.int32, (params.out,)))
    result = _apart(function, x, check.output(function, out, np.int8, (params.out,)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_DENSE_S8, &p, pw, pb)
    with nogil:
        eng_dense_s8(&p, px, pw, pb, py)
    return result


def dense_wide_s8(params, x, w, bias, *, out=None):
    """Dense layer over several vectors, ratios in full: ``out[r, n] = requant_wide(bias[n] + sum_k w[n, k] * x[r, k])``.

    Parameters
    ----------
    params : DenseWideParams
    x : int8[rows, in]
    w : int8[out, in]
    bias : int32[out]
        With the input zero point folded in.
    out : int8[rows, out], optional
        Must not overlap `x`.

    Returns
    -------
    int8[rows, out]

    Examples
    --------
    The ratio is 0.5; its bits as two words.

    >>> from engine.program import DenseWideParams, OutputS8, Ratio
    >>> params = DenseWideParams(2, 3, 1, 0, OutputS8(0, -128, 127), (Ratio(0, 0x3FE00000),))
    >>> x, w = np.array([[1, 2, 3], [3, 2, 1]], np.int8), np.array([[4, 5, 6]], np.int8)
    >>> dense_wide_s8(params, x, w, np.array([8], np.int32))
    array([[20],
           [18]], dtype=int8)
    """
    cdef str function = "dense_wide_s8"
    _expect(function, params, DenseWideParams)
    cdef eng_dense_wide_s8_params p
    p.rows = _u32(function, "rows", params.rows)
    p.in_, p.out = _u16(function, "in_", params.in_), _u16(function, "out", params.out)
    p.ratio_step = check.integer(function, "ratio_step", params.ratio_step, 0, 1)
    p.y = _output(function, params.y)
    cdef const eng_ratio[::1] records = _ratios(function, params.ratio, params.out if params.ratio_step else 1)
    p.ratio = &records[0]
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.rows, params.in_)))
    cdef const int8_t *pw = _in8(check.array(function, "w", w, np.int8, (params.out, params.in_)))
    cdef const int32_t *pb = _in32(check.array(function, "bias", bias, np.int32, (params.out,)))
    result = _apart(function, x, check.output(function, out, np.int8, (params.rows, params.out)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_DENSE_WIDE_S8, &p, pw, pb)
    with nogil:
        eng_dense_wide_s8(&p, px, pw, pb, py)
    return result


cdef eng_conv2d_s8_params _conv(str function, params) except *:
    """Everything but the rescale records."""
    cdef eng_conv2d_s8_params p
    p.window = _window(function, "window", params.window)
    p.in_c, p.out_c = _u16(function, "in_c", params.in_c), _u16(function, "out_c", params.out_c)
    p.zero_x = _code(function, "zero_x", params.zero_x)
    p.rescale_step = check.integer(function, "rescale_step", params.rescale_step, 0, 1)
    p.y = _output(function, params.y)
    p.rescale = NULL
    return p


def _conv_inputs(str function, p, x, w, bias):
    """Check shapes of a convolution's inputs."""
    v = p.window
    check.array(function, "x", x, np.int8, (v.in_h, v.in_w, p.in_c))
    check.array(function, "w", w, np.int8, (p.out_c, v.kernel_h, v.kernel_w, p.in_c))
    check.array(function, "bias", bias, np.int32, (p.out_c,))


def conv2d_s8(params, x, w, bias, *, out=None):
    """2-D convolution; padding holds the input's zero point.

    Parameters
    ----------
    params : Conv2DParams
    x : int8[in_h, in_w, in_c]
    w : int8[out_c, kernel_h, kernel_w, in_c]
    bias : int32[out_c]
    out : int8[out_h, out_w, out_c], optional
        Must not overlap `x`.

    Returns
    -------
    int8[out_h, out_w, out_c]

    Examples
    --------
    >>> from engine.program import Conv2DParams, OutputS8, Rescale, Window
    >>> window = Window(1, 4, 1, 3, 1, 2, 1, 1, 1, 1, 0, 0)
    >>> params = Conv2DParams(window, 1, 1, 0, 0, OutputS8(0, -128, 127), (Rescale(1 << 30, 1, 0),))
    >>> x = np.array([[[1], [3], [6], [10]]], np.int8)
    >>> conv2d_s8(params, x, np.array([[[[-1], [1]]]], np.int8), np.array([0], np.int32)).ravel()
    array([2, 3, 4], dtype=int8)
    """
    cdef str function = "conv2d_s8"
    _expect(function, params, Conv2DParams)
    cdef eng_conv2d_s8_params p = _conv(function, params)
    cdef const eng_rescale[::1] records = _rescales(function, params.rescale, params.out_c if params.rescale_step else 1)
    p.rescale = &records[0]
    _conv_inputs(function, params, x, w, bias)
    result = check.output(function, out, np.int8, (params.window.out_h, params.window.out_w, params.out_c))
    cdef const int8_t *px = _in8(x)
    cdef const int8_t *pw = _in8(w)
    cdef const int32_t *pb = _in32(bias)
    cdef int8_t *py = _out8(_apart(function, x, result))
    _check(function, ENG_OP_CONV2D_S8, &p, pw, pb)
    with nogil:
        eng_conv2d_s8(&p, px, pw, pb, py)
    return result


def conv2d_max_pool2d_s8(params, x, w, bias, *, out=None):
    """Convolution and max pool in one; the map between them never exists.

    Parameters
    ----------
    params : Conv2DMaxPool2DParams
    x : int8[in_h, in_w, in_c]
    w : int8[out_c, kernel_h, kernel_w, in_c]
    bias : int32[out_c]
    out : int8[pool.out_h, pool.out_w, out_c], optional
        Must not overlap `x`.

    Returns
    -------
    int8[pool.out_h, pool.out_w, out_c]

    Examples
    --------
    >>> from engine.program import Conv2DMaxPool2DParams, Conv2DParams, OutputS8, Rescale, Window
    >>> window, pool = Window(1, 4, 1, 4, 1, 1, 1, 1, 1, 1, 0, 0), Window(1, 4, 1, 2, 1, 2, 1, 2, 1, 1, 0, 0)
    >>> conv = Conv2DParams(window, 1, 1, 0, 0, OutputS8(0, -128, 127), (Rescale(1 << 30, 1, 0),))
    >>> x, w = np.array([[[1], [3], [10], [6]]], np.int8), np.ones((1, 1, 1, 1), np.int8)
    >>> conv2d_max_pool2d_s8(Conv2DMaxPool2DParams(conv, pool), x, w, np.array([0], np.int32)).ravel()
    array([ 3, 10], dtype=int8)
    """
    cdef str function = "conv2d_max_pool2d_s8"
    _expect(function, params, Conv2DMaxPool2DParams)
    cdef eng_conv2d_max_pool2d_s8_params p
    p.conv = _conv(function, params.conv)
    p.pool = _window(function, "pool", params.pool)
    count = params.conv.out_c if params.conv.rescale_step else 1
    cdef const eng_rescale[::1] records = _rescales(function, params.conv.rescale, count)
    p.conv.rescale = &records[0]
    _conv_inputs(function, params.conv, x, w, bias)
    result = check.output(function, out, np.int8, (params.pool.out_h, params.pool.out_w, params.conv.out_c))
    cdef const int8_t *px = _in8(x)
    cdef const int8_t *pw = _in8(w)
    cdef const int32_t *pb = _in32(bias)
    cdef int8_t *py = _out8(_apart(function, x, result))
    _check(function, ENG_OP_CONV2D_MAX_POOL2D_S8, &p, pw, pb)
    with nogil:
        eng_conv2d_max_pool2d_s8(&p, px, pw, pb, py)
    return result


cdef eng_pool2d_s8_params _pool(str function, params) except *:
    cdef eng_pool2d_s8_params p
    _expect(function, params, Pool2DParams)
    p.window = _window(function, "window", params.window)
    p.channels = _u16(function, "channels", params.channels)
    p.lo, p.hi = _code(function, "lo", params.lo), _code(function, "hi", params.hi)
    return p


def max_pool2d_s8(params, x, *, out=None):
    """Max pool over the taps inside the image.

    Parameters
    ----------
    params : Pool2DParams
    x : int8[in_h, in_w, channels]
    out : int8[out_h, out_w, channels], optional
        Must not overlap `x`.

    Returns
    -------
    int8[out_h, out_w, channels]

    Examples
    --------
    >>> from engine.program import Pool2DParams, Window
    >>> window = Window(1, 4, 1, 2, 1, 2, 1, 2, 1, 1, 0, 0)
    >>> max_pool2d_s8(Pool2DParams(window, 1, -128, 127), np.array([[[1], [3], [10], [6]]], np.int8)).ravel()
    array([ 3, 10], dtype=int8)
    """
    cdef str function = "max_pool2d_s8"
    cdef eng_pool2d_s8_params p = _pool(function, params)
    v = params.window
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (v.in_h, v.in_w, params.channels)))
    result = _apart(function, x, check.output(function, out, np.int8, (v.out_h, v.out_w, params.channels)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_MAX_POOL2D_S8, &p, NULL, NULL)
    with nogil:
        eng_max_pool2d_s8(&p, px, py)
    return result


def average_pool2d_s8(params, x, *, out=None):
    """Average pool over the taps inside the image, rounded half away from zero.

    Parameters
    ----------
    params : Pool2DParams
    x : int8[in_h, in_w, channels]
    out : int8[out_h, out_w, channels], optional
        Must not overlap `x`.

    Returns
    -------
    int8[out_h, out_w, channels]

    Examples
    --------
    >>> from engine.program import Pool2DParams, Window
    >>> window = Window(1, 4, 1, 2, 1, 2, 1, 2, 1, 1, 0, 0)
    >>> average_pool2d_s8(Pool2DParams(window, 1, -128, 127), np.array([[[1], [2], [-1], [-2]]], np.int8)).ravel()
    array([ 2, -2], dtype=int8)
    """
    cdef str function = "average_pool2d_s8"
    cdef eng_pool2d_s8_params p = _pool(function, params)
    v = params.window
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (v.in_h, v.in_w, params.channels)))
    result = _apart(function, x, check.output(function, out, np.int8, (v.out_h, v.out_w, params.channels)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_AVERAGE_POOL2D_S8, &p, NULL, NULL)
    with nogil:
        eng_average_pool2d_s8(&p, px, py)
    return result


def requantize_s8(params, x, *, out=None):
    """Write codes with another scale, zero point and range: QUANTIZE from int8 to int8, and ReLU as a layer.

    Parameters
    ----------
    params : RequantizeParams
    x : int8[count]
    out : int8[count], optional
        May be `x`; must not overlap it otherwise.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import OutputS8, RequantizeParams, Rescale
    >>> params = RequantizeParams(3, 0, Rescale(1 << 30, 1, 0), OutputS8(0, 0, 127))
    >>> requantize_s8(params, np.array([-5, 0, 5], np.int8))
    array([0, 0, 5], dtype=int8)
    """
    cdef str function = "requantize_s8"
    _expect(function, params, RequantizeParams)
    cdef eng_requantize_s8_params p
    p.count = _u32(function, "count", params.count)
    p.zero_x = _code(function, "zero_x", params.zero_x)
    p.y = _output(function, params.y)
    cdef const eng_rescale[::1] records = _rescales(function, (params.rescale,), 1)
    p.rescale = records[0]
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.count,)))
    result = check.output(function, out, np.int8, (params.count,))
    cdef int8_t *py = _out8(result)
    if py != px:
        _apart(function, x, result)
    _check(function, ENG_OP_REQUANTIZE_S8, &p, NULL, NULL)
    with nogil:
        eng_requantize_s8(&p, px, py)
    return result


def softmax_s8(params, x, *, out=None):
    """Softmax of each row; the result has scale 1/256 and zero point -128.

    Parameters
    ----------
    params : SoftmaxParams
        From :func:`engine.rescale.softmax_params`.
    x : int8[rows, size]
    out : int8[rows, size], optional
        May be `x`; must not overlap it otherwise.

    Returns
    -------
    int8[rows, size]

    Examples
    --------
    >>> from engine.rescale import softmax_params
    >>> softmax_s8(softmax_params(0.1, 1.0, rows=1, size=2), np.array([[0, 10]], np.int8))
    array([[-59,  59]], dtype=int8)
    """
    cdef str function = "softmax_s8"
    _expect(function, params, SoftmaxParams)
    cdef eng_softmax_s8_params p
    p.rows, p.size = _u32(function, "rows", params.rows), _u16(function, "size", params.size)
    p.table_size = _u16(function, "table_size", params.table_size)
    if len(params.table) != params.table_size:
        raise ValueError(f"{function}: table has {len(params.table)} entries; expected table_size = {params.table_size}")
    table = np.array([check.integer(function, "table", e, 0, 2**31 - 1) for e in params.table], np.int32)
    p.table = _in32(table)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.rows, params.size)))
    result = check.output(function, out, np.int8, (params.rows, params.size))
    cdef int8_t *py = _out8(result)
    if py != px:
        _apart(function, x, result)
    _check(function, ENG_OP_SOFTMAX_S8, &p, NULL, NULL)
    with nogil:
        eng_softmax_s8(&p, px, py)
    return result


def argmax_s8(params, x, *, out=None):
    """Index of the first largest code of each row.

    Parameters
    ----------
    params : ArgmaxParams
    x : int8[rows, size]
    out : int32[rows], optional

    Returns
    -------
    int32[rows]

    Examples
    --------
    >>> from engine.program import ArgmaxParams
    >>> argmax_s8(ArgmaxParams(1, 4), np.array([[1, 7, -3, 7]], np.int8))
    array([1], dtype=int32)
    """
    cdef str function = "argmax_s8"
    _expect(function, params, ArgmaxParams)
    cdef eng_argmax_s8_params p
    p.rows, p.size = _u32(function, "rows", params.rows), _u16(function, "size", params.size)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.rows, params.size)))
    result = _apart(function, x, check.output(function, out, np.int32, (params.rows,)))
    cdef int32_t[::1] y = result
    _check(function, ENG_OP_ARGMAX_S8, &p, NULL, NULL)
    with nogil:
        eng_argmax_s8(&p, px, &y[0])
    return result


cdef eng_quantize_params _quantize(str function, params) except *:
    cdef eng_quantize_params p
    _expect(function, params, QuantizeParams)
    p.count = _u32(function, "count", params.count)
    p.scale = <float>float(params.scale)
    p.zero = _code(function, "zero", params.zero)
    return p


def quantize_f32_s8(params, x, *, out=None):
    """Write float values as codes: ``round(x / scale) + zero``, ties away from zero, saturated; NaN gives `zero`.

    Parameters
    ----------
    params : QuantizeParams
    x : float32[count]
    out : int8[count], optional
        Must not overlap `x`.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import QuantizeParams
    >>> quantize_f32_s8(QuantizeParams(3, np.float32(0.5), 10), np.array([0.25, -0.25, 99], np.float32))
    array([ 11,   9, 127], dtype=int8)
    """
    cdef str function = "quantize_f32_s8"
    cdef eng_quantize_params p = _quantize(function, params)
    cdef const float[::1] view = check.array(function, "x", x, np.float32, (params.count,))
    result = _apart(function, x, check.output(function, out, np.int8, (params.count,)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_QUANTIZE_F32_S8, &p, NULL, NULL)
    with nogil:
        eng_quantize_f32_s8(&p, &view[0], py)
    return result


def dequantize_s8_f32(params, x, *, out=None):
    """Write codes as float values: ``scale * (x - zero)``.

    Parameters
    ----------
    params : QuantizeParams
    x : int8[count]
    out : float32[count], optional
        Must not overlap `x`.

    Returns
    -------
    float32[count]

    Examples
    --------
    >>> from engine.program import QuantizeParams
    >>> dequantize_s8_f32(QuantizeParams(2, np.float32(0.5), 10), np.array([10, 13], np.int8))
    array([0. , 1.5], dtype=float32)
    """
    cdef str function = "dequantize_s8_f32"
    cdef eng_quantize_params p = _quantize(function, params)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.count,)))
    result = _apart(function, x, check.output(function, out, np.float32, (params.count,)))
    cdef float[::1] y = result
    _check(function, ENG_OP_DEQUANTIZE_S8_F32, &p, NULL, NULL)
    with nogil:
        eng_dequantize_s8_f32(&p, px, &y[0])
    return result


include "kernels_tensor.pxi"
