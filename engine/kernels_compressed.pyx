# cython: boundscheck=False, wraparound=False
"""The kernels that read compressed weights of dense layers (csrc/include/eng/encodings_bits.h), on arrays.

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

ctypedef void (*dense_bits)(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum) noexcept nogil

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
