# Kernels of eng/tensor_s8.h, and those with uint8 codes. Part of kernels.pyx.

from engine.program import AddParams, CopyParams, LookupParams, MeanParams, MulParams, PadParams


cdef extern from "eng.h" nogil:
    ctypedef struct eng_broadcast:
        uint32_t size, repeat

    ctypedef struct eng_add_s8_params:
        uint32_t count
        eng_broadcast x, x2
        int8_t zero_x, zero_x2
        eng_rescale rescale_x, rescale_x2, rescale_y
        eng_output_s8 y

    ctypedef struct eng_mul_s8_params:
        uint32_t count
        eng_broadcast x, x2
        int8_t zero_x, zero_x2
        eng_rescale rescale
        eng_output_s8 y

    ctypedef struct eng_mean_s8_params:
        uint32_t pixels
        uint16_t channels
        int8_t zero_x
        eng_rescale rescale
        eng_output_s8 y

    ctypedef struct eng_copy_s8_params:
        uint32_t rows, size, stride, first

    ctypedef struct eng_pad_s8_params:
        uint16_t in_h, in_w, channels, top, bottom, left, right, front, back
        int8_t value

    ctypedef struct eng_lookup_s8_params:
        uint32_t count
        const int8_t *codes

    void eng_depthwise_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
    void eng_add_s8(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y)
    void eng_sub_s8(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y)
    void eng_mul_s8(const eng_mul_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y)
    void eng_mean_s8(const eng_mean_s8_params *p, const int8_t *x, int8_t *y)
    void eng_copy_s8(const eng_copy_s8_params *p, const int8_t *x, int8_t *y)
    void eng_pad_s8(const eng_pad_s8_params *p, const int8_t *x, int8_t *y)
    void eng_lookup_s8(const eng_lookup_s8_params *p, const int8_t *x, int8_t *y)
    void eng_requantize_u8_s8(const eng_requantize_s8_params *p, const uint8_t *x, int8_t *y)
    void eng_requantize_s8_u8(const eng_requantize_s8_params *p, const int8_t *x, uint8_t *y)
    void eng_quantize_f32_u8(const eng_quantize_params *p, const float *x, uint8_t *y)
    void eng_dequantize_u8_f32(const eng_quantize_params *p, const uint8_t *x, float *y)

    ctypedef enum eng_op:
        ENG_OP_DEPTHWISE_CONV2D_S8
        ENG_OP_ADD_S8
        ENG_OP_SUB_S8
        ENG_OP_MUL_S8
        ENG_OP_MEAN_S8
        ENG_OP_COPY_S8
        ENG_OP_PAD_S8
        ENG_OP_LOOKUP_S8
        ENG_OP_REQUANTIZE_U8_S8
        ENG_OP_REQUANTIZE_S8_U8
        ENG_OP_QUANTIZE_F32_U8
        ENG_OP_DEQUANTIZE_U8_F32


def depthwise_conv2d_s8(params, x, w, bias, *, out=None):
    """Depthwise convolution: output channel n reads input channel ``n // (out_c // in_c)``.

    Parameters
    ----------
    params : Conv2DParams
        `out_c` is a multiple of `in_c`.
    x : int8[in_h, in_w, in_c]
    w : int8[kernel_h, kernel_w, out_c]
    bias : int32[out_c]
    out : int8[out_h, out_w, out_c], optional
        Must not overlap `x`.

    Returns
    -------
    int8[out_h, out_w, out_c]

    Examples
    --------
    >>> from engine.program import Conv2DParams, OutputS8, Rescale, Window
    >>> window = Window(1, 3, 1, 2, 1, 2, 1, 1, 1, 1, 0, 0)
    >>> params = Conv2DParams(window, 1, 2, 0, 0, OutputS8(0, -128, 127), (Rescale(1 << 30, 1, 0),))
    >>> x, w = np.array([[[1], [3], [6]]], np.int8), np.array([[[-1, 1], [1, 1]]], np.int8)
    >>> depthwise_conv2d_s8(params, x, w, np.array([0, 0], np.int32)).tolist()
    [[[2, 4], [3, 9]]]
    """
    cdef str function = "depthwise_conv2d_s8"
    _expect(function, params, Conv2DParams)
    cdef eng_conv2d_s8_params p = _conv(function, params)
    cdef const eng_rescale[::1] records = _rescales(function, params.rescale, params.out_c if params.rescale_step else 1)
    p.rescale = &records[0]
    v = params.window
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (v.in_h, v.in_w, params.in_c)))
    cdef const int8_t *pw = _in8(check.array(function, "w", w, np.int8, (v.kernel_h, v.kernel_w, params.out_c)))
    cdef const int32_t *pb = _in32(check.array(function, "bias", bias, np.int32, (params.out_c,)))
    result = _apart(function, x, check.output(function, out, np.int8, (v.out_h, v.out_w, params.out_c)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_DEPTHWISE_CONV2D_S8, &p, pw, pb)
    with nogil:
        eng_depthwise_conv2d_s8(&p, px, pw, pb, py)
    return result


cdef eng_broadcast _broadcast(str function, str name, b) except *:
    cdef eng_broadcast r
    r.size, r.repeat = _u32(function, f"{name}.size", b.size), _u32(function, f"{name}.repeat", b.repeat)
    return r


cdef eng_rescale _rescale_record(str function, rescale) except *:
    cdef const eng_rescale[::1] records = _rescales(function, (rescale,), 1)
    return records[0]


def _in_place_or_apart(str function, x, result):
    """The result lies exactly where an input lies, or apart from it."""
    if result.ctypes.data != x.ctypes.data or result.size != x.size:
        _apart(function, x, result)


cdef _add(str function, eng_op op, params, x, x2, out):
    cdef eng_add_s8_params p
    _expect(function, params, AddParams)
    p.count = _u32(function, "count", params.count)
    p.x, p.x2 = _broadcast(function, "x", params.x), _broadcast(function, "x2", params.x2)
    p.zero_x, p.zero_x2 = _code(function, "zero_x", params.zero_x), _code(function, "zero_x2", params.zero_x2)
    p.rescale_x = _rescale_record(function, params.rescale_x)
    p.rescale_x2 = _rescale_record(function, params.rescale_x2)
    p.rescale_y = _rescale_record(function, params.rescale_y)
    p.y = _output(function, params.y)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.x.size,)))
    cdef const int8_t *px2 = _in8(check.array(function, "x2", x2, np.int8, (params.x2.size,)))
    result = check.output(function, out, np.int8, (params.count,))
    _in_place_or_apart(function, x, result)
    _in_place_or_apart(function, x2, result)
    cdef int8_t *py = _out8(result)
    _check(function, op, &p, NULL, NULL)
    with nogil:
        if op == ENG_OP_ADD_S8:
            eng_add_s8(&p, px, px2, py)
        else:
            eng_sub_s8(&p, px, px2, py)
    return result


def add_s8(params, x, x2, *, out=None):
    """Add two tensors of codes, one of them broadcast if `params` says so.

    Parameters
    ----------
    params : AddParams
        Records from :func:`engine.rescale.add_rescales`.
    x : int8[params.x.size]
    x2 : int8[params.x2.size]
    out : int8[count], optional
        May be `x` or `x2`; must not overlap them otherwise.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import AddParams, Broadcast, OutputS8, Rescale
    >>> half, one = Rescale(1 << 30, 0, 0), Rescale(1 << 30, 0, 18)
    >>> params = AddParams(2, Broadcast(2, 1), Broadcast(1, 1), 0, 0, half, half, one, OutputS8(0, -128, 127))
    >>> add_s8(params, np.array([1, 2], np.int8), np.array([10], np.int8))
    array([11, 12], dtype=int8)
    """
    return _add("add_s8", ENG_OP_ADD_S8, params, x, x2, out)


def sub_s8(params, x, x2, *, out=None):
    """Subtract `x2` from `x`, one of them broadcast if `params` says so.

    Parameters
    ----------
    params : AddParams
        Records from :func:`engine.rescale.add_rescales`.
    x : int8[params.x.size]
    x2 : int8[params.x2.size]
    out : int8[count], optional
        May be `x` or `x2`; must not overlap them otherwise.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import AddParams, Broadcast, OutputS8, Rescale
    >>> half, one = Rescale(1 << 30, 0, 0), Rescale(1 << 30, 0, 18)
    >>> params = AddParams(2, Broadcast(2, 1), Broadcast(1, 1), 0, 0, half, half, one, OutputS8(0, -128, 127))
    >>> sub_s8(params, np.array([1, 2], np.int8), np.array([10], np.int8))
    array([-9, -8], dtype=int8)
    """
    return _add("sub_s8", ENG_OP_SUB_S8, params, x, x2, out)


def mul_s8(params, x, x2, *, out=None):
    """Multiply two tensors of codes, one of them broadcast if `params` says so.

    Parameters
    ----------
    params : MulParams
        Record from :func:`engine.rescale.mul_rescale`.
    x : int8[params.x.size]
    x2 : int8[params.x2.size]
    out : int8[count], optional
        May be `x` or `x2`; must not overlap them otherwise.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import Broadcast, MulParams, OutputS8, Rescale
    >>> params = MulParams(2, Broadcast(2, 1), Broadcast(1, 1), 0, 0, Rescale(1 << 30, 1, 0), OutputS8(0, -128, 127))
    >>> mul_s8(params, np.array([1, 2], np.int8), np.array([10], np.int8))
    array([10, 20], dtype=int8)
    """
    cdef str function = "mul_s8"
    cdef eng_mul_s8_params p
    _expect(function, params, MulParams)
    p.count = _u32(function, "count", params.count)
    p.x, p.x2 = _broadcast(function, "x", params.x), _broadcast(function, "x2", params.x2)
    p.zero_x, p.zero_x2 = _code(function, "zero_x", params.zero_x), _code(function, "zero_x2", params.zero_x2)
    p.rescale = _rescale_record(function, params.rescale)
    p.y = _output(function, params.y)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.x.size,)))
    cdef const int8_t *px2 = _in8(check.array(function, "x2", x2, np.int8, (params.x2.size,)))
    result = check.output(function, out, np.int8, (params.count,))
    _in_place_or_apart(function, x, result)
    _in_place_or_apart(function, x2, result)
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_MUL_S8, &p, NULL, NULL)
    with nogil:
        eng_mul_s8(&p, px, px2, py)
    return result


def mean_s8(params, x, *, out=None):
    """Mean over all pixels of each channel.

    Parameters
    ----------
    params : MeanParams
        Record from :func:`engine.rescale.mean_rescale`.
    x : int8[pixels, channels]
    out : int8[channels], optional
        Must not overlap `x`.

    Returns
    -------
    int8[channels]

    Examples
    --------
    >>> from engine.program import MeanParams, OutputS8, Rescale
    >>> params = MeanParams(2, 2, 0, Rescale(1 << 30, 0, 0), OutputS8(0, -128, 127))
    >>> mean_s8(params, np.array([[1, 10], [2, -30]], np.int8))
    array([  2, -10], dtype=int8)
    """
    cdef str function = "mean_s8"
    cdef eng_mean_s8_params p
    _expect(function, params, MeanParams)
    p.pixels = _u32(function, "pixels", params.pixels)
    p.channels, p.zero_x = _u16(function, "channels", params.channels), _code(function, "zero_x", params.zero_x)
    p.rescale = _rescale_record(function, params.rescale)
    p.y = _output(function, params.y)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.pixels, params.channels)))
    result = _apart(function, x, check.output(function, out, np.int8, (params.channels,)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_MEAN_S8, &p, NULL, NULL)
    with nogil:
        eng_mean_s8(&p, px, py)
    return result


def copy_s8(params, x, *, out=None):
    """Write rows into some columns of `out`: one input of a concatenation.

    Parameters
    ----------
    params : CopyParams
    x : int8[rows, size]
    out : int8[rows, stride], optional
        Must not overlap `x`. Its other columns are kept; zero if it is not given.

    Returns
    -------
    int8[rows, stride]

    Examples
    --------
    >>> from engine.program import CopyParams
    >>> copy_s8(CopyParams(2, 1, 3, 1), np.array([[5], [6]], np.int8)).tolist()
    [[0, 5, 0], [0, 6, 0]]
    """
    cdef str function = "copy_s8"
    cdef eng_copy_s8_params p
    _expect(function, params, CopyParams)
    p.rows, p.size = _u32(function, "rows", params.rows), _u32(function, "size", params.size)
    p.stride = _u32(function, "stride", params.stride)
    p.first = check.integer(function, "first", params.first, 0, 2**32 - 1)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.rows, params.size)))
    if out is None:
        out = np.zeros((params.rows, params.stride), np.int8)
    result = _apart(function, x, check.output(function, out, np.int8, (params.rows, params.stride)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_COPY_S8, &p, NULL, NULL)
    with nogil:
        eng_copy_s8(&p, px, py)
    return result


def pad_s8(params, x, *, out=None):
    """Surround a tensor with a margin of one code.

    Parameters
    ----------
    params : PadParams
    x : int8[in_h, in_w, channels]
    out : int8[top + in_h + bottom, left + in_w + right, front + channels + back], optional
        Must not overlap `x`.

    Returns
    -------
    int8[top + in_h + bottom, left + in_w + right, front + channels + back]

    Examples
    --------
    >>> from engine.program import PadParams
    >>> pad_s8(PadParams(1, 1, 1, 0, 1, 1, 0, 0, 0, -9), np.array([[[5]]], np.int8)).tolist()
    [[[-9], [5]], [[-9], [-9]]]
    """
    cdef str function = "pad_s8"
    cdef eng_pad_s8_params p
    _expect(function, params, PadParams)
    margin = lambda field: check.integer(function, field, getattr(params, field), 0, 65535)
    p.in_h, p.in_w, p.channels = margin("in_h"), margin("in_w"), margin("channels")
    p.top, p.bottom, p.left, p.right = margin("top"), margin("bottom"), margin("left"), margin("right")
    p.front, p.back = margin("front"), margin("back")
    p.value = _code(function, "value", params.value)
    _check(function, ENG_OP_PAD_S8, &p, NULL, NULL)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.in_h, params.in_w, params.channels)))
    rows, columns = params.top + params.in_h + params.bottom, params.left + params.in_w + params.right
    shape = (rows, columns, params.front + params.channels + params.back)
    result = _apart(function, x, check.output(function, out, np.int8, shape))
    cdef int8_t *py = _out8(result)
    with nogil:
        eng_pad_s8(&p, px, py)
    return result


def lookup_s8(params, x, *, out=None):
    """Replace each code by what a table of 256 says.

    Parameters
    ----------
    params : LookupParams
        Codes from :mod:`engine.tables`.
    x : int8[count]
    out : int8[count], optional
        May be `x`; must not overlap it otherwise.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import LookupParams
    >>> lookup_s8(LookupParams(2, tuple(range(127, -129, -1))), np.array([-128, 3], np.int8))
    array([127,  -4], dtype=int8)
    """
    cdef str function = "lookup_s8"
    cdef eng_lookup_s8_params p
    _expect(function, params, LookupParams)
    p.count = _u32(function, "count", params.count)
    if len(params.codes) != 256:
        raise ValueError(f"{function}: codes has {len(params.codes)} entries; expected 256")
    codes = np.array([_code(function, "codes", code) for code in params.codes], np.int8)
    p.codes = _in8(codes)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.count,)))
    result = check.output(function, out, np.int8, (params.count,))
    _in_place_or_apart(function, x, result)
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_LOOKUP_S8, &p, NULL, NULL)
    with nogil:
        eng_lookup_s8(&p, px, py)
    return result


cdef eng_requantize_s8_params _requantize(str function, params) except *:
    cdef eng_requantize_s8_params p
    _expect(function, params, RequantizeParams)
    p.count = _u32(function, "count", params.count)
    p.zero_x = _code(function, "zero_x", params.zero_x)
    p.y = _output(function, params.y)
    p.rescale = _rescale_record(function, params.rescale)
    return p


def requantize_u8_s8(params, x, *, out=None):
    """Write uint8 codes as int8 codes with another scale and zero point.

    Parameters
    ----------
    params : RequantizeParams
        `zero_x` is the input's zero point less 128.
    x : uint8[count]
    out : int8[count], optional
        Must not overlap `x`.

    Returns
    -------
    int8[count]

    Examples
    --------
    >>> from engine.program import OutputS8, RequantizeParams, Rescale
    >>> params = RequantizeParams(2, -128, Rescale(1 << 30, 1, 0), OutputS8(-128, -128, 127))
    >>> requantize_u8_s8(params, np.array([0, 255], np.uint8))
    array([-128,  127], dtype=int8)
    """
    cdef str function = "requantize_u8_s8"
    cdef eng_requantize_s8_params p = _requantize(function, params)
    cdef const uint8_t[::1] view = check.array(function, "x", x, np.uint8, (params.count,))
    result = _apart(function, x, check.output(function, out, np.int8, (params.count,)))
    cdef int8_t *py = _out8(result)
    _check(function, ENG_OP_REQUANTIZE_U8_S8, &p, NULL, NULL)
    with nogil:
        eng_requantize_u8_s8(&p, &view[0], py)
    return result


def requantize_s8_u8(params, x, *, out=None):
    """Write int8 codes as uint8 codes with another scale and zero point.

    Parameters
    ----------
    params : RequantizeParams
        `y` holds the output's zero point and limits, less 128.
    x : int8[count]
    out : uint8[count], optional
        Must not overlap `x`.

    Returns
    -------
    uint8[count]

    Examples
    --------
    >>> from engine.program import OutputS8, RequantizeParams, Rescale
    >>> params = RequantizeParams(2, -128, Rescale(1 << 30, 1, 0), OutputS8(-128, -128, 127))
    >>> requantize_s8_u8(params, np.array([-128, 127], np.int8))
    array([  0, 255], dtype=uint8)
    """
    cdef str function = "requantize_s8_u8"
    cdef eng_requantize_s8_params p = _requantize(function, params)
    cdef const int8_t *px = _in8(check.array(function, "x", x, np.int8, (params.count,)))
    result = _apart(function, x, check.output(function, out, np.uint8, (params.count,)))
    cdef uint8_t[::1] y = result
    _check(function, ENG_OP_REQUANTIZE_S8_U8, &p, NULL, NULL)
    with nogil:
        eng_requantize_s8_u8(&p, px, &y[0])
    return result


def quantize_f32_u8(params, x, *, out=None):
    """Write float values as uint8 codes; see :func:`quantize_f32_s8`.

    Parameters
    ----------
    params : QuantizeParams
        `zero` is the zero point less 128.
    x : float32[count]
    out : uint8[count], optional
        Must not overlap `x`.

    Returns
    -------
    uint8[count]

    Examples
    --------
    >>> from engine.program import QuantizeParams
    >>> quantize_f32_u8(QuantizeParams(3, np.float32(0.5), -128), np.array([0.25, -1, 999], np.float32))
    array([  1,   0, 255], dtype=uint8)
    """
    cdef str function = "quantize_f32_u8"
    cdef eng_quantize_params p = _quantize(function, params)
    cdef const float[::1] view = check.array(function, "x", x, np.float32, (params.count,))
    result = _apart(function, x, check.output(function, out, np.uint8, (params.count,)))
    cdef uint8_t[::1] y = result
    _check(function, ENG_OP_QUANTIZE_F32_U8, &p, NULL, NULL)
    with nogil:
        eng_quantize_f32_u8(&p, &view[0], &y[0])
    return result


def dequantize_u8_f32(params, x, *, out=None):
    """Write uint8 codes as float values: ``scale * (x - zero point)``.

    Parameters
    ----------
    params : QuantizeParams
        `zero` is the zero point less 128.
    x : uint8[count]
    out : float32[count], optional
        Must not overlap `x`.

    Returns
    -------
    float32[count]

    Examples
    --------
    >>> from engine.program import QuantizeParams
    >>> dequantize_u8_f32(QuantizeParams(2, np.float32(0.5), 0), np.array([128, 131], np.uint8))
    array([0. , 1.5], dtype=float32)
    """
    cdef str function = "dequantize_u8_f32"
    cdef eng_quantize_params p = _quantize(function, params)
    cdef const uint8_t[::1] view = check.array(function, "x", x, np.uint8, (params.count,))
    result = _apart(function, x, check.output(function, out, np.float32, (params.count,)))
    cdef float[::1] y = result
    _check(function, ENG_OP_DEQUANTIZE_U8_F32, &p, NULL, NULL)
    with nogil:
        eng_dequantize_u8_f32(&p, &view[0], &y[0])
    return result
