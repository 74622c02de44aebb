# cython: boundscheck=False, wraparound=False
"""The kernels that read encoded weights (csrc/include/eng/encodings.h), on arrays: what the chip runs, on the host.

Nothing is converted: arrays must have the documented dtype, shape and C order. Streams are checked, so that no call can read
out of bounds; bounds of accumulators are the encoder's to prove (:mod:`enginekit.encode`).

All raise TypeError for a wrong type or dtype and ValueError for a wrong shape or value.
"""

import numpy as np

from engine import _arguments as check

from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t, uint32_t


cdef extern from "eng/encodings.h" nogil:
    enum:
        ENG_ROWS_DEPTH
        ENG_ROWS8_DEPTH

    ctypedef struct eng_dense_rows:
        const int8_t *w
        const uint8_t *groups
        const uint8_t *start
        uint8_t blocks
        uint16_t in_ "in"

    ctypedef struct eng_step:
        uint32_t mult, offset

    ctypedef struct eng_requant_s24:
        const eng_step *step
        uint16_t count
        int8_t lo, hi
        uint8_t negative_is_lo

    ctypedef struct eng_runs:
        uint16_t in_ "in"
        uint16_t slack
        uint8_t capacity, gain
        int8_t zero_x

    void eng_dense_rows1_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
    void eng_dense_rows2_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
    void eng_dense_rows3_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
    void eng_dense_rows4_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
    void eng_dense_rows5_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
    void eng_dense_rows8_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
    uint8_t eng_runs_s8(const eng_runs *p, const int8_t *x, uint8_t *runs)
    void eng_dense_runs1_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_runs2_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_runs3_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_runs4_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_runs5_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_runs8_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
    ctypedef struct eng_filter3x3:
        int8_t w[9]

    ctypedef struct eng_conv3x3_pool2:
        const eng_filter3x3 *filter
        const int8_t *still
        uint8_t in_w, out_h, out_w, out_c
        int8_t zero_x
        uint8_t negative_is_lo, shift32

    void eng_conv3x3_pool2_s8(const eng_conv3x3_pool2 *p, const int8_t *x, int8_t *y)
    void eng_requant32_s24_s8(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y)
    void eng_requant40_s24_s8(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y)


cdef extern from "eng/encodings_moved.h" nogil:
    ctypedef struct eng_moved:
        const int8_t *rest
        uint8_t period, cells, capacity, limit

    uint8_t eng_moved_s8(const eng_moved *p, const int8_t *x, uint8_t *moved)
    void eng_dense_moved3_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum)
    void eng_dense_moved4_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum)
    void eng_dense_moved5_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum)

cdef extern from "eng/encodings_conv.h" nogil:
    ctypedef struct eng_filter3x3_code:
        int8_t w[9]
        uint8_t raise_ "raise"
        uint8_t start[2]
        uint8_t mult, offset

    ctypedef struct eng_conv3x3_code:
        const eng_filter3x3_code *filter
        const int8_t *still
        uint8_t in_w, out_h, out_w, out_c
        int8_t zero_x
        uint8_t shift

    void eng_conv3x3_pool2_code_s8(const eng_conv3x3_code *p, const int8_t *x, int8_t *y)

cdef extern from "eng/encodings_short.h" nogil:
    ctypedef struct eng_short_step:
        uint8_t mult[3]

    ctypedef struct eng_requant_short:
        const eng_short_step *step
        uint16_t count
        uint8_t copies, doublings
        int8_t lo, hi

    ctypedef struct eng_requant_same:
        const eng_short_step *step
        uint8_t sums, doublings, halvings
        int8_t lo, hi

    void eng_requant_short_s24_s8(const eng_requant_short *p, const uint8_t *sum, int8_t *y)
    void eng_requant_same_s24_s8(const eng_requant_same *p, const uint8_t *sum, int8_t *y)


ctypedef void (*dense_rows)(const eng_dense_rows *p, const int8_t *x, uint8_t *sum) noexcept nogil
ctypedef void (*dense_runs)(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum) noexcept nogil
ctypedef void (*dense_moved)(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum) noexcept nogil

cdef dense_rows *ROWS = [
    eng_dense_rows1_s24, eng_dense_rows2_s24, eng_dense_rows3_s24, eng_dense_rows4_s24, eng_dense_rows5_s24, NULL, NULL,
    eng_dense_rows8_s24,
]
cdef dense_runs *RUNS = [
    eng_dense_runs1_s24, eng_dense_runs2_s24, eng_dense_runs3_s24, eng_dense_runs4_s24, eng_dense_runs5_s24, NULL, NULL,
    eng_dense_runs8_s24,
]
cdef dense_moved *MOVED = [eng_dense_moved3_s24, eng_dense_moved4_s24, eng_dense_moved5_s24]

#: Longest group of a block of 1 to 5 rows, and of 8.
DEPTH, DEPTH8 = ENG_ROWS_DEPTH, ENG_ROWS8_DEPTH


def _lengths(str function, const uint8_t[::1] groups, int rows, int blocks, int size):
    """Check the headers: every block's lengths sum to `size`, then 0, and nothing is left over."""
    cdef Py_ssize_t at = 0
    cdef int block, done, header, step = 4 * rows + 1, depth = DEPTH8 if rows == 8 else DEPTH
    for block in range(blocks):
        done = 0
        while True:
            if at == groups.shape[0]:
                raise ValueError(f"{function}: groups end within block {block} of {blocks}")
            header = groups[at]
            at += 1
            if header == 0:
                break
            if (header - 1) % step or (header - 1) // step >= depth:
                raise ValueError(f"{function}: groups[{at - 1}] is {header}, which is no header for blocks of {rows} rows")
            done += depth - (header - 1) // step
        if done != size:
            raise ValueError(f"{function}: the groups of block {block} cover {done} inputs; expected {size}")
    if at != groups.shape[0]:
        raise ValueError(f"{function}: groups has {groups.shape[0] - at} bytes beyond its {blocks} blocks")


def _blocks(str function, w, start):
    if not isinstance(w, np.ndarray) or w.ndim != 3:
        raise TypeError(f"{function}: w must be an array int8[blocks, in, rows]")
    blocks, size, rows = w.shape
    check.integer(function, "blocks", blocks, 1, 255)
    check.integer(function, "in", size, 1, 65535)
    if rows not in (1, 2, 3, 4, 5, 8):
        raise ValueError(f"{function}: blocks of {rows} rows; expected 1 to 5, or 8")
    check.array(function, "w", w, np.int8, w.shape)
    check.array(function, "start", start, np.uint8, (blocks, rows, 3))
    return blocks, size, rows


def _raw(str function, sums):
    """Little-endian s24 of int32."""
    if max(abs(int(sums.min())), abs(int(sums.max()) + 1)) > 1 << 23:
        raise ValueError(f"{function}: a sum does not fit 24 bits")
    return np.stack([(sums >> s) & 0xFF for s in (0, 8, 16)], axis=-1).astype(np.uint8).reshape(-1)


def _sums(const uint8_t[::1] raw):
    """int32 of little-endian s24."""
    parts = np.asarray(raw).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 2] << 24) | (parts[:, 1] << 16) | (parts[:, 0] << 8)) >> 8


def dense_rows_s24(w, groups, start, x):
    """Dense sums in blocks of rows, as ``eng_dense_rows<R>_s24`` computes them.

    Parameters
    ----------
    w : int8[blocks, in, rows]
        `rows` from 1 to 5, or 8.
    groups : bytes
        Headers of all blocks.
    start : uint8[blocks, rows, 3]
    x : int8[in]

    Returns
    -------
    int32[blocks * rows]

    Examples
    --------
    >>> w, start = np.array([[[2], [3]]], np.int8), np.array([[[5, 128, 255]]], np.uint8)
    >>> dense_rows_s24(w, bytes([1 + 10 * 5, 0]), start, np.array([10, 100], np.int8))
    array([325], dtype=int32)
    """
    cdef str function = "dense_rows_s24"
    blocks, size, rows = _blocks(function, w, start)
    cdef const int8_t[:, :, ::1] pw = w
    cdef const uint8_t[:, :, ::1] ps = start
    cdef const uint8_t[::1] pg = bytes(groups)
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (size,))
    _lengths(function, pg, rows, blocks, size)
    cdef uint8_t[::1] out = np.empty(blocks * rows * 3, np.uint8)
    cdef eng_dense_rows p = [&pw[0, 0, 0], &pg[0], &ps[0, 0, 0], blocks, size]
    ROWS[<int>rows - 1](&p, &px[0], &out[0])
    return _sums(out)


def runs_s8(x, *, zero_x, slack, gain, capacity):
    """Find the runs of inputs that differ from the zero point.

    Parameters
    ----------
    x : int8[in]
    zero_x : int
        -128 to 127.
    slack, gain : int
        Inputs in runs, and 8 a run, may exceed `gain` times those skipped before them by `slack`; slack + gain * in < 32768, gain to 255.
    capacity : int
        Most runs; 0 to 255.

    Returns
    -------
    bytes or None
        Number of runs, then gap and length of each; None if there are too many inputs in runs, or runs.

    Examples
    --------
    >>> list(runs_s8(np.array([0, 0, 5, 6, 0, 7], np.int8), zero_x=0, slack=15, gain=2, capacity=4))
    [2, 2, 2, 1, 1]
    """
    cdef str function = "runs_s8"
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, np.shape(x))
    cdef eng_runs p
    p.in_ = check.integer(function, "in", px.shape[0], 1, 65535)
    p.capacity = check.integer(function, "capacity", capacity, 0, 255)
    p.gain = check.integer(function, "gain", gain, 0, 255)
    p.slack = check.integer(function, "slack", slack, 0, 32767 - gain * px.shape[0])
    p.zero_x = check.integer(function, "zero_x", zero_x, -128, 127)
    cdef uint8_t[::1] out = np.empty(1 + 2 * capacity, np.uint8)
    if not eng_runs_s8(&p, &px[0], &out[0]):
        return None
    return bytes(out[: 1 + 2 * out[0]])


def dense_runs_s24(w, start, x, runs, *, zero_x):
    """Dense sums over runs of inputs, as ``eng_dense_runs<R>_s24`` computes them.

    Parameters
    ----------
    w : int8[blocks, in, rows]
        `rows` from 1 to 5, or 8.
    start : uint8[blocks, rows, 3]
    x : int8[in]
    runs : bytes
        From :func:`runs_s8`.
    zero_x : int
        -128 to 127.

    Returns
    -------
    int32[blocks * rows]

    Examples
    --------
    >>> w, start = np.array([[[2], [3], [4]]], np.int8), np.array([[[5, 0, 0]]], np.uint8)
    >>> dense_runs_s24(w, start, np.array([1, 7, 1], np.int8), bytes([1, 1, 1]), zero_x=1)
    array([23], dtype=int32)
    """
    cdef str function = "dense_runs_s24"
    blocks, size, rows = _blocks(function, w, start)
    cdef const int8_t[:, :, ::1] pw = w
    cdef const uint8_t[:, :, ::1] ps = start
    cdef const uint8_t[::1] pr = bytes(runs)
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (size,))
    if len(pr) == 0 or len(pr) != 1 + 2 * pr[0] or sum(bytes(runs)[1:]) > size:
        raise ValueError(f"{function}: runs is not a table of runs within {size} inputs")
    cdef uint8_t[::1] out = np.empty(blocks * rows * 3, np.uint8)
    cdef eng_dense_rows p = [&pw[0, 0, 0], NULL, &ps[0, 0, 0], blocks, size]
    cdef int8_t zero = check.integer(function, "zero_x", zero_x, -128, 127)
    RUNS[<int>rows - 1](&p, &px[0], zero, &pr[0], &out[0])
    return _sums(out)


def requant_s24_s8(steps, sums, *, shift, lo, hi, negative_is_lo=False):
    """Requantize sums by one multiplication each.

    Parameters
    ----------
    steps : uint32[n, 2]
        ``eng_step[n]``: mult, offset.
    sums : int32[n]
        In [-2**23, 2**23).
    shift : int
        32 or 40.
    lo, hi : int
        Range of the codes, -128 to 127.
    negative_is_lo : bool
        Give `lo` for every negative sum.

    Returns
    -------
    int8[n]

    Examples
    --------
    >>> steps = np.array([[1 << 31, 0x80800000]], np.uint32)  # a half, rounded, zero point 0
    >>> requant_s24_s8(steps, np.array([9], np.int32), shift=32, lo=-128, hi=127)
    array([5], dtype=int8)
    """
    cdef str function = "requant_s24_s8"
    count = check.integer(function, "count", len(sums), 1, 65535)
    cdef const uint32_t[:, ::1] ps = check.array(function, "steps", steps, np.uint32, (count, 2))
    check.array(function, "sums", sums, np.int32, (count,))
    cdef const uint8_t[::1] pr = _raw(function, sums)
    cdef int8_t[::1] out = np.empty(count, np.int8)
    cdef eng_requant_s24 p
    p.step = <const eng_step *>&ps[0, 0]
    p.count = count
    p.lo = check.integer(function, "lo", lo, -128, 127)
    p.hi = check.integer(function, "hi", hi, -128, 127)
    p.negative_is_lo = bool(negative_is_lo)
    if shift not in (32, 40):
        raise ValueError(f"{function}: shift is {shift}; expected 32 or 40")
    (eng_requant40_s24_s8 if shift == 40 else eng_requant32_s24_s8)(&p, &pr[0], &out[0])
    return np.asarray(out)


def requant_short_s24_s8(steps, sums, *, lo, hi, doublings=0):
    """Requantize sums that count from their first step by multipliers of 24 bits.

    Parameters
    ----------
    steps : uint8[n, 6]
        ``eng_short_step[n]``.
    sums : int32[n, copies]
        In [-2**23, 2**23), times ``2**doublings`` below 2**24.
    lo, hi : int
        Range of the codes, -128 to 127, lo < hi.
    doublings : int
        0 to 8.

    Returns
    -------
    int8[copies, n]

    Examples
    --------
    >>> steps = np.array([[0, 0, 128, 0, 0, 0]], np.uint8)  # 2**-9
    >>> requant_short_s24_s8(steps, np.array([[-1, 0, 512, 1023]], np.int32), lo=0, hi=127).ravel()
    array([0, 1, 2, 2], dtype=int8)
    """
    cdef str function = "requant_short_s24_s8"
    count = check.integer(function, "count", len(sums), 1, 65535)
    cdef const uint8_t[:, ::1] ps = check.array(function, "steps", steps, np.uint8, (count, 6))
    check.array(function, "sums", sums, np.int32, (count, None))
    cdef eng_requant_short p
    p.step = <const eng_short_step *>&ps[0, 0]
    p.count = count
    p.copies = check.integer(function, "copies", sums.shape[1], 1, 255)
    p.doublings = check.integer(function, "doublings", doublings, 0, 8)
    p.lo = check.integer(function, "lo", lo, -128, 126)
    p.hi = check.integer(function, "hi", hi, p.lo + 1, 127)
    if (p.copies - 1) * count >= 1 << 15:
        raise ValueError(f"{function}: {p.copies} copies of {count} sums; at most 32,767 codes beside the first copy work")
    if int(sums.max()) >= 1 << 24 - p.doublings:
        raise ValueError(f"{function}: a sum does not fit 24 bits when it is doubled {doublings} times")
    cdef const uint8_t[::1] pr = _raw(function, sums)
    y = np.empty((p.copies, count), np.int8)
    cdef int8_t[:, ::1] py = y
    eng_requant_short_s24_s8(&p, &pr[0], &py[0, 0])
    return y


def requant_same_s24_s8(step, sums, *, lo, hi, doublings=0, halvings=0):
    """Requantize sums that count from their first step by one multiplier of 24 bits.

    Parameters
    ----------
    step : uint8[6]
        An ``eng_short_step``.
    sums : int32[n]
        In [-2**23, 2**23), times ``2**doublings`` below 2**24; 1 to 255.
    lo, hi : int
        Range of the codes, -128 to 127, lo < hi.
    doublings, halvings : int
        0 to 8; 0 to 7.

    Returns
    -------
    int8[n]

    Examples
    --------
    >>> step = np.array([0, 0, 128, 0, 0, 0], np.uint8)  # 2**-9, halved once
    >>> requant_same_s24_s8(step, np.array([-1, 0, 1024], np.int32), lo=0, hi=127, halvings=1)
    array([0, 1, 2], dtype=int8)
    """
    cdef str function = "requant_same_s24_s8"
    cdef const uint8_t[::1] ps = check.array(function, "step", step, np.uint8, (6,))
    cdef eng_requant_same p
    p.step = <const eng_short_step *>&ps[0]
    p.sums = check.integer(function, "sums", len(sums), 1, 255)
    p.doublings = check.integer(function, "doublings", doublings, 0, 8)
    p.halvings = check.integer(function, "halvings", halvings, 0, 7)
    p.lo = check.integer(function, "lo", lo, -128, 126)
    p.hi = check.integer(function, "hi", hi, p.lo + 1, 127)
    check.array(function, "sums", sums, np.int32, (p.sums,))
    if int(sums.max()) >= 1 << 24 - p.doublings:
        raise ValueError(f"{function}: a sum does not fit 24 bits when it is doubled {doublings} times")
    cdef const uint8_t[::1] pr = _raw(function, sums)
    cdef int8_t[::1] y = np.empty(p.sums, np.int8)
    eng_requant_same_s24_s8(&p, &pr[0], &y[0])
    return np.asarray(y)


def conv3x3_pool2_s8(filters, still, x, *, zero_x, negative_is_lo=False, shift32=False):
    """Convolve one channel with 3 x 3 filters and take the maximum of 2 x 2 outputs.

    Parameters
    ----------
    filters : uint8[out_c, 22]
        ``eng_filter3x3[out_c]``.
    still : int8[out_c]
        Codes of a window of `zero_x` only.
    x : int8[in_h, in_w]
        4 to 255 wide.
    zero_x : int
    negative_is_lo, shift32 : bool

    Returns
    -------
    int8[(in_h - 2) // 2, (in_w - 2) // 2, out_c]

    Examples
    --------
    >>> weights, scale = [0, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 128]  # the middle, times 1/512
    >>> record = np.array([[*weights, 0, 0, 0, *scale, 0, 0, 128, 128, 0, 255]], np.uint8)
    >>> conv3x3_pool2_s8(record, np.zeros(1, np.int8), np.full((4, 4), 100, np.int8), zero_x=0).ravel().tolist()
    [0]
    """
    cdef str function = "conv3x3_pool2_s8"
    out_c = check.integer(function, "out_c", len(filters), 1, 255)
    cdef const uint8_t[:, ::1] pf = check.array(function, "filters", filters, np.uint8, (out_c, sizeof_filter()))
    cdef const int8_t[::1] ps = check.array(function, "still", still, np.int8, (out_c,))
    in_h, in_w = np.shape(x)
    check.integer(function, "in_h", in_h, 4, 513)
    check.integer(function, "in_w", in_w, 4, 255)
    cdef const int8_t[:, ::1] px = check.array(function, "x", x, np.int8, (in_h, in_w))
    cdef eng_conv3x3_pool2 p
    p.filter = <const eng_filter3x3 *>&pf[0, 0]
    p.still = &ps[0]
    p.in_w, p.out_h, p.out_w, p.out_c = in_w, (in_h - 2) // 2, (in_w - 2) // 2, out_c
    p.zero_x = check.integer(function, "zero_x", zero_x, -128, 127)
    p.negative_is_lo, p.shift32 = bool(negative_is_lo), bool(shift32)
    cdef int8_t[:, :, ::1] out = np.empty((p.out_h, p.out_w, out_c), np.int8)
    eng_conv3x3_pool2_s8(&p, &px[0, 0], &out[0, 0, 0])
    return np.asarray(out)


cdef sizeof_filter():
    return sizeof(eng_filter3x3)


def conv3x3_pool2_code_s8(filters, still, x, *, zero_x, shift):
    """Convolve and pool as :func:`conv3x3_pool2_s8`, with sums that span 16 bits.

    Parameters
    ----------
    filters : uint8[out_c, 14]
        ``eng_filter3x3_code[out_c]``.
    still : int8[out_c]
        Codes of a window of `zero_x` only.
    x : int8[in_h, in_w]
        4 to 255 wide.
    zero_x : int
    shift : int
        14 to 16.

    Returns
    -------
    int8[(in_h - 2) // 2, (in_w - 2) // 2, out_c]

    Examples
    --------
    >>> record = np.array([[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 128, 0]], np.uint8)  # the middle, plus 128, halved
    >>> conv3x3_pool2_code_s8(record, np.zeros(1, np.int8), np.full((4, 4), 100, np.int8), zero_x=0, shift=16).ravel().tolist()
    [-128]
    """
    cdef str function = "conv3x3_pool2_code_s8"
    out_c = check.integer(function, "out_c", len(filters), 1, 255)
    cdef const uint8_t[:, ::1] pf = check.array(function, "filters", filters, np.uint8, (out_c, sizeof(eng_filter3x3_code)))
    cdef const int8_t[::1] ps = check.array(function, "still", still, np.int8, (out_c,))
    in_h, in_w = np.shape(x)
    check.integer(function, "in_h", in_h, 4, 513)
    check.integer(function, "in_w", in_w, 4, 255)
    cdef const int8_t[:, ::1] px = check.array(function, "x", x, np.int8, (in_h, in_w))
    cdef eng_conv3x3_code p
    p.filter = <const eng_filter3x3_code *>&pf[0, 0]
    p.still = &ps[0]
    p.in_w, p.out_h, p.out_w, p.out_c = in_w, (in_h - 2) // 2, (in_w - 2) // 2, out_c
    p.zero_x = check.integer(function, "zero_x", zero_x, -128, 127)
    p.shift = check.integer(function, "shift", shift, 14, 16)
    cdef int8_t[:, :, ::1] out = np.empty((p.out_h, p.out_w, out_c), np.int8)
    eng_conv3x3_pool2_code_s8(&p, &px[0, 0], &out[0, 0, 0])
    return np.asarray(out)


def moved_s8(x, rest, *, capacity, limit):
    """Find the runs of cells of inputs that differ from codes at rest.

    Parameters
    ----------
    x : int8[cells * period]
        1 to 255 cells.
    rest : int8[period]
        1 to 85 codes.
    capacity : int
        Most runs, 1 to 127.
    limit : int
        Most cells in runs, 0 to 255.

    Returns
    -------
    bytes or None
        Number of runs, then gap and length of each in cells; None if a limit is exceeded.

    Examples
    --------
    >>> rest = np.array([0, 7], np.int8)
    >>> list(moved_s8(np.array([0, 7, 1, 7, 0, 0, 0, 7], np.int8), rest, capacity=2, limit=4))
    [1, 1, 2]
    """
    cdef str function = "moved_s8"
    period = check.integer(function, "period", len(rest), 1, 85)
    cells = check.integer(function, "cells", len(x) // period, 1, 255)
    cdef const int8_t[::1] pr = check.array(function, "rest", rest, np.int8, (period,))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (cells * period,))
    cdef eng_moved p
    p.rest = &pr[0]
    p.period, p.cells = period, cells
    p.capacity = check.integer(function, "capacity", capacity, 1, 127)
    p.limit = check.integer(function, "limit", limit, 0, 255)
    cdef uint8_t[::1] out = np.zeros(1 + 2 * capacity, np.uint8)
    if not eng_moved_s8(&p, &px[0], &out[0]):
        return None
    return bytes(out[: 1 + 2 * out[0]])


def dense_moved_s24(w, start, x, rest, moved):
    """Dense sums over runs of cells, as ``eng_dense_moved<R>_s24`` computes them.

    Parameters
    ----------
    w : int8[blocks, in, rows]
        `rows` from 3 to 5.
    start : uint8[blocks, rows, 3]
        Sums at rest.
    x : int8[in]
    rest : int8[period]
        1 to 51 codes.
    moved : bytes
        From :func:`moved_s8`.

    Returns
    -------
    int32[blocks * rows]

    Examples
    --------
    >>> w, start = np.array([[[2, 0, 0], [3, 0, 0]]], np.int8), np.zeros((1, 3, 3), np.uint8)
    >>> dense_moved_s24(w, start, np.array([5, 6], np.int8), np.array([5, 7], np.int8), bytes([1, 0, 1]))
    array([-3,  0,  0], dtype=int32)
    """
    cdef str function = "dense_moved_s24"
    blocks, size, rows = _blocks(function, w, start)
    check.integer(function, "rows", rows, 3, 5)
    period = check.integer(function, "period", len(rest), 1, 51)
    cells = check.integer(function, "cells", size // period, 1, 255)
    cdef const int8_t[:, :, ::1] pw = w
    cdef const uint8_t[:, :, ::1] ps = start
    cdef const int8_t[::1] prest = check.array(function, "rest", rest, np.int8, (period,))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (cells * period,))
    cdef const uint8_t[::1] pm = bytes(moved)
    if len(pm) == 0 or len(pm) != 1 + 2 * pm[0] or sum(bytes(moved)[1:]) > cells or 0 in bytes(moved)[2::2]:
        raise ValueError(f"{function}: moved is not a table of runs within {cells} cells")
    if size != cells * period:
        raise ValueError(f"{function}: {size} inputs are no whole number of cells of {period}")
    cdef eng_moved at
    at.rest = &prest[0]
    at.period, at.cells, at.capacity, at.limit = period, cells, 127, 255
    cdef uint8_t[::1] out = np.empty(blocks * rows * 3, np.uint8)
    cdef eng_dense_rows p = [&pw[0, 0, 0], NULL, &ps[0, 0, 0], blocks, size]
    MOVED[<int>rows - 3](&p, &at, &px[0], &pm[0], &out[0])
    return _sums(out)
