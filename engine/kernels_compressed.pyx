# cython: boundscheck=False, wraparound=False
"""The kernels that read compressed weights of dense layers (csrc/include/eng: encodings_bits.h, encodings_book.h,
encodings_lists.h and encodings_sparse.h), on arrays.

Nothing is converted: arrays must have the documented dtype, shape and C order. Streams are checked, so that no call can read
out of bounds; bounds of sums are the encoder's to prove (:mod:`enginekit.encode`).

All raise TypeError for a wrong type or dtype and ValueError for a wrong shape or value.
"""

import numpy as np

from engine import _arguments as check

from libc.stdint cimport int8_t, uint8_t, uint16_t, uint32_t


cdef extern from "eng/encodings_bits.h" nogil:
    enum:
        ENG_BITS_DEPTH

    ctypedef struct eng_dense_bits:
        const uint8_t *w
        const uint8_t *start
        uint16_t in_ "in"
        uint8_t blocks
        int8_t base

    void eng_dense_bits4_rows4_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_bits4_rows8_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_bits2_rows4_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_bits2_rows8_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)

cdef extern from "eng/encodings_book.h" nogil:
    ctypedef struct eng_dense_book:
        const uint8_t *w
        const int8_t *book
        const uint8_t *start
        uint16_t in_ "in"
        uint8_t blocks
        int8_t base

    void eng_dense_book4_s24(const eng_dense_book *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
    void eng_dense_book2_s24(const eng_dense_book *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)

cdef extern from "eng/encodings_lists.h" nogil:
    ctypedef struct eng_dense_lists:
        const uint8_t *w
        uint8_t rows
        int8_t base

    void eng_dense_lists_s24(const eng_dense_lists *p, const int8_t *x, uint8_t *sum)

cdef extern from "eng/encodings_sparse.h" nogil:
    ctypedef struct eng_dense_sparse:
        const uint8_t *w
        const uint8_t *start
        uint8_t blocks
        int8_t base

    ctypedef struct eng_dense_bitmap:
        const uint8_t *w
        const uint8_t *start
        uint16_t records
        uint8_t bytes
        int8_t base

    void eng_dense_bitmap_s24(const eng_dense_bitmap *p, const int8_t *x, uint8_t *sum)
    void eng_dense_sparse1_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum)
    void eng_dense_sparse4_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum)
    void eng_dense_sparse8_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum)

ctypedef void (*dense_sparse)(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum) noexcept nogil
ctypedef void (*dense_bits)(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum) noexcept nogil

cdef dense_sparse *SPARSE = [
    eng_dense_sparse1_s24, NULL, NULL, eng_dense_sparse4_s24, NULL, NULL, NULL, eng_dense_sparse8_s24
]
cdef dense_bits *BITS4 = [eng_dense_bits4_rows4_s24, eng_dense_bits4_rows8_s24]
cdef dense_bits *BITS2 = [eng_dense_bits2_rows4_s24, eng_dense_bits2_rows8_s24]

#: Inputs until the high bytes of low sums are moved.
BITS_DEPTH = ENG_BITS_DEPTH


def _check_runs(str function, bytes runs, int size):
    if len(runs) == 0 or len(runs) != 1 + 2 * runs[0] or sum(runs[1:]) > size or 0 in runs[2::2]:
        raise ValueError(f"{function}: runs is not a table of runs within {size} inputs")
    return runs


def _sums(const uint8_t[::1] raw):
    """int32 of little-endian s24."""
    parts = np.asarray(raw).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 2] << 24) | (parts[:, 1] << 16) | (parts[:, 0] << 8)) >> 8


def dense_bits_s24(w, start, x, runs, *, bits, base):
    """Dense sums of weights of a few bits, as ``eng_dense_bits<B>_rows<R>_s24`` computes them.

    Parameters
    ----------
    w : uint8[blocks, in, rows * bits // 8]
        Blocks of 4 or 8 rows; of the rows of a byte the first in the lowest bits; fields are weights plus 8 or 2.
    start : uint8[blocks, rows, 3]
    x : int8[in]
    runs : bytes
        From :func:`engine.kernels_encoded.runs_s8`, or of all inputs.
    bits : int
        4 or 2.
    base : int
        -128 to 127; no input in runs is less, none exceeds it by more than 255.

    Returns
    -------
    int32[blocks * rows]

    Examples
    --------
    >>> w = np.array([[[0x98, 0x8A]]], np.uint8)  # one input, weights 0, 1, 2, 0
    >>> dense_bits_s24(w, np.zeros((1, 4, 3), np.uint8), np.array([100], np.int8), bytes([1, 0, 1]), bits=4, base=0)
    array([  0, 100, 200,   0], dtype=int32)
    """
    cdef str function = "dense_bits_s24"
    if bits not in (4, 2):
        raise ValueError(f"{function}: bits is {bits}; expected 4 or 2")
    if not isinstance(w, np.ndarray) or w.ndim != 3 or w.shape[2] * 8 // bits not in (4, 8):
        raise TypeError(f"{function}: w must be an array uint8[blocks, in, rows * bits // 8] of 4 or 8 rows")
    rows = w.shape[2] * 8 // bits
    blocks = check.integer(function, "blocks", w.shape[0], 1, 255)
    size = check.integer(function, "in", w.shape[1], 1, 65535)
    cdef const uint8_t[:, :, ::1] pw = check.array(function, "w", w, np.uint8, w.shape)
    cdef const uint8_t[:, :, ::1] ps = check.array(function, "start", start, np.uint8, (blocks, rows, 3))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (size,))
    cdef const uint8_t[::1] pr = _check_runs(function, bytes(runs), size)
    cdef uint8_t[::1] out = np.empty(blocks * rows * 3, np.uint8)
    cdef eng_dense_bits p = [&pw[0, 0, 0], &ps[0, 0, 0], size, blocks, check.integer(function, "base", base, -128, 127)]
    (BITS4 if bits == 4 else BITS2)[<int>rows // 8](&p, &px[0], &pr[0], &out[0])
    return _sums(out)


def dense_book_s24(w, book, start, x, runs, *, base):
    """Dense sums of weights by indices, as ``eng_dense_book<B>_s24`` computes them.

    Parameters
    ----------
    w : uint8[blocks, in, bits]
        Indices of 4 or 2 bits of 8 rows; of the rows of a byte the first in the lowest bits.
    book : int8[blocks, 2**bits]
        Values.
    start : uint8[blocks, 8, 3]
    x : int8[in]
    runs : bytes
        From :func:`engine.kernels_encoded.runs_s8`, or of all inputs.
    base : int
        -128 to 127; no input in runs is less, none exceeds it by more than 255.

    Returns
    -------
    int32[blocks * 8]

    Examples
    --------
    >>> w, book = np.array([[[0b11, 0]]], np.uint8), np.array([[-5, 0, 0, 7]], np.int8)
    >>> dense_book_s24(w, book, np.zeros((1, 8, 3), np.uint8), np.array([10], np.int8), bytes([1, 0, 1]), base=0)[:2]
    array([ 70, -50], dtype=int32)
    """
    cdef str function = "dense_book_s24"
    if not isinstance(w, np.ndarray) or w.ndim != 3 or w.shape[2] not in (4, 2):
        raise TypeError(f"{function}: w must be an array uint8[blocks, in, bits] of 4 or 2 bits")
    blocks = check.integer(function, "blocks", w.shape[0], 1, 255)
    size = check.integer(function, "in", w.shape[1], 1, 65535)
    bits = w.shape[2]
    cdef const uint8_t[:, :, ::1] pw = check.array(function, "w", w, np.uint8, w.shape)
    cdef const int8_t[:, ::1] pb = check.array(function, "book", book, np.int8, (blocks, 1 << bits))
    cdef const uint8_t[:, :, ::1] ps = check.array(function, "start", start, np.uint8, (blocks, 8, 3))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (size,))
    cdef const uint8_t[::1] pr = _check_runs(function, bytes(runs), size)
    cdef uint8_t[::1] out = np.empty(blocks * 24, np.uint8)
    cdef eng_dense_book p
    p.w, p.book, p.start, p.in_, p.blocks = &pw[0, 0, 0], &pb[0, 0], &ps[0, 0, 0], size, blocks
    p.base = check.integer(function, "base", base, -128, 127)
    (eng_dense_book4_s24 if bits == 4 else eng_dense_book2_s24)(&p, &px[0], &pr[0], &out[0])
    return _sums(out)


def _check_entries(str function, const uint8_t[::1] w, int blocks, int rows, int size):
    """Check the segments: every block's entries lie within `size` inputs, and nothing is left over."""
    cdef Py_ssize_t at = 0
    cdef int block, k, place
    for block in range(blocks):
        place = 0
        while True:
            if at == w.shape[0]:
                raise ValueError(f"{function}: w ends within block {block} of {blocks}")
            left = w[at]
            at += 1
            if left == 0:
                break
            if at + left * (1 + rows) > w.shape[0]:
                raise ValueError(f"{function}: w ends within a segment of block {block}")
            for k in range(left):
                place += w[at]
                at += 1 + rows
            if place >= size:
                raise ValueError(f"{function}: block {block} has an entry for input {place} of {size}")
    if at != w.shape[0]:
        raise ValueError(f"{function}: w has {w.shape[0] - at} bytes beyond its {blocks} blocks")


def dense_sparse_s24(w, start, x, *, base):
    """Dense sums of the weights stored, as ``eng_dense_sparse<R>_s24`` computes them.

    Parameters
    ----------
    w : uint8[n]
        Segments of all blocks: number of entries, for each the inputs passed and `rows` weights; 0 ends a block.
    start : uint8[blocks, rows, 3]
        1, 4 or 8 rows.
    x : int8[in]
    base : int
        -128 to 127; no input stored is less, none exceeds it by more than 255.

    Returns
    -------
    int32[blocks * rows]

    Examples
    --------
    >>> w = np.array([2, 1, 3, 2, 255, 0], np.uint8)  # weight 3 of input 1, -1 of input 3
    >>> dense_sparse_s24(w, np.zeros((1, 1, 3), np.uint8), np.array([9, 10, 9, 1], np.int8), base=0)
    array([29], dtype=int32)
    """
    cdef str function = "dense_sparse_s24"
    if not isinstance(start, np.ndarray) or start.ndim != 3 or start.shape[1] not in (1, 4, 8):
        raise TypeError(f"{function}: start must be an array uint8[blocks, rows, 3] of 1, 4 or 8 rows")
    rows = start.shape[1]
    blocks = check.integer(function, "blocks", start.shape[0], 1, 255)
    cdef const uint8_t[:, :, ::1] ps = check.array(function, "start", start, np.uint8, (blocks, rows, 3))
    cdef const uint8_t[::1] pw = check.array(function, "w", w, np.uint8, np.shape(w))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, np.shape(x))
    _check_entries(function, pw, blocks, rows, px.shape[0])
    cdef uint8_t[::1] out = np.empty(blocks * rows * 3, np.uint8)
    cdef eng_dense_sparse p = [&pw[0], &ps[0, 0, 0], blocks, check.integer(function, "base", base, -128, 127)]
    SPARSE[<int>rows - 1](&p, &px[0], &out[0])
    return _sums(out)


def _check_records(str function, const uint8_t[::1] w, int records, int bytes_, int size):
    """Check the records: each lies within `size` inputs and is as long as it says and its bits say, and nothing is left over."""
    cdef Py_ssize_t at = 0, end
    cdef int record, place = 0
    for record in range(records):
        if at + 2 > w.shape[0] or at + 2 + w[at + 1] > w.shape[0]:
            raise ValueError(f"{function}: w ends within record {record} of {records}")
        place += w[at]
        if place >= size:
            raise ValueError(f"{function}: record {record} is for input {place} of {size}")
        end = at + 2 + w[at + 1]
        at += 2
        for _ in range(bytes_):
            at += 1 + (int(w[at]).bit_count() if at < end else 1 << 16)
        if at != end:
            raise ValueError(f"{function}: record {record} has other bytes than its bits say")
    if at != w.shape[0]:
        raise ValueError(f"{function}: w has {w.shape[0] - at} bytes beyond its {records} records")


def dense_bitmap_s24(w, start, x, *, records, base):
    """Dense sums of the weights stored, as ``eng_dense_bitmap_s24`` computes them.

    Parameters
    ----------
    w : uint8[n]
        Records: inputs passed, bytes that follow, then for every 8 rows their bits and the weights of those set.
    start : uint8[rows, 3]
        A multiple of 8 rows, at most 224.
    x : int8[in]
    records : int
        At most 65535.
    base : int
        -128 to 127; no input stored is less, none exceeds it by more than 255.

    Returns
    -------
    int32[rows]

    Examples
    --------
    >>> w = np.array([1, 3, 0b101, 3, 255], np.uint8)  # input 1: weights 3 and -1 of rows 0 and 2
    >>> dense_bitmap_s24(w, np.zeros((8, 3), np.uint8), np.array([9, 10], np.int8), records=1, base=0)
    array([ 30,   0, -10,   0,   0,   0,   0,   0], dtype=int32)
    """
    cdef str function = "dense_bitmap_s24"
    if not isinstance(start, np.ndarray) or start.ndim != 2 or len(start) % 8 or not 8 <= len(start) <= 224:
        raise TypeError(f"{function}: start must be an array uint8[rows, 3] of 8 to 224 rows, a multiple of 8")
    cdef const uint8_t[:, ::1] ps = check.array(function, "start", start, np.uint8, (len(start), 3))
    cdef const uint8_t[::1] pw = check.array(function, "w", w, np.uint8, np.shape(w))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, np.shape(x))
    check.integer(function, "records", records, 0, 65535)
    _check_records(function, pw, records, len(start) // 8, px.shape[0])
    cdef uint8_t[::1] out = np.empty(len(start) * 3, np.uint8)
    cdef const uint8_t *stream = &pw[0] if pw.shape[0] else NULL
    cdef eng_dense_bitmap p = [stream, &ps[0, 0], records, len(start) // 8, check.integer(function, "base", base, -128, 127)]
    eng_dense_bitmap_s24(&p, &px[0], &out[0])
    return _sums(out)


def _check_lists(str function, const uint8_t[::1] w, int rows, int size):
    """Check the lists: they name inputs within `size` only, each begins before it goes on, and nothing is left over."""
    cdef Py_ssize_t at = 0
    cdef int row, place, k, control
    for row in range(rows):
        at += 3
        place = -1
        while True:
            if at >= w.shape[0]:
                raise ValueError(f"{function}: w ends within row {row} of {rows}")
            control = w[at]
            at += 1
            if control == 0:
                break
            count = control - 1 if control <= 128 else control - 128
            if at + 1 + count > w.shape[0]:
                raise ValueError(f"{function}: w ends within a list of row {row}")
            if control > 128 and place < 0:
                raise ValueError(f"{function}: row {row} goes on with a list that it has not begun")
            place = 0 if control <= 128 else place + 256 * w[at]
            for k in range(count):
                place += w[at + 1 + k]
            at += 1 + count
            if count and place >= size:
                raise ValueError(f"{function}: row {row} lists input {place} of {size}")
    if at != w.shape[0]:
        raise ValueError(f"{function}: w has {w.shape[0] - at} bytes beyond its {rows} rows")


def dense_lists_s24(w, x, *, rows, base):
    """Dense sums of inputs listed by value, as ``eng_dense_lists_s24`` computes them.

    Parameters
    ----------
    w : uint8[n]
        For each row the sum to start from, three bytes, and lists: 1 + n, weight, n inputs passed before each entry; or where
        a list goes on 128 + n, inputs passed in units of 256, and n more; 0 ends a row.
    x : int8[in]
    rows : int
        1 to 255.
    base : int
        -128 to 127; no input listed is less, none exceeds it by more than 255.

    Returns
    -------
    int32[rows]

    Examples
    --------
    >>> w = np.array([44, 1, 0, 3, 5, 0, 2, 2, 255, 1, 0], np.uint8)  # from 300: weight 5 of inputs 0 and 2, -1 of input 1
    >>> dense_lists_s24(w, np.array([1, 2, 3], np.int8), rows=1, base=0)
    array([318], dtype=int32)
    """
    cdef str function = "dense_lists_s24"
    cdef const uint8_t[::1] pw = check.array(function, "w", w, np.uint8, np.shape(w))
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, np.shape(x))
    check.integer(function, "rows", rows, 1, 255)
    _check_lists(function, pw, rows, px.shape[0])
    cdef uint8_t[::1] out = np.empty(rows * 3, np.uint8)
    cdef eng_dense_lists p = [&pw[0], rows, check.integer(function, "base", base, -128, 127)]
    eng_dense_lists_s24(&p, &px[0] if px.shape[0] else NULL, &out[0])
    return _sums(out)
