# cython: boundscheck=False, wraparound=False
"""The kernels of dense layers in pairs of rows and as code (csrc/include/eng/encodings_dense.h), on arrays.

Nothing is converted: arrays must have the documented dtype, shape and C order. Lengths are checked, so that no call can read
out of bounds; bounds of sums are the encoder's to prove (:mod:`enginekit.encode`).

All raise TypeError for a wrong type or dtype and ValueError for a wrong shape or value.
"""

import numpy as np

from engine import _arguments as check

from libc.stdint cimport int8_t, uint8_t, uint16_t


cdef extern from "eng/encodings_dense.h" nogil:
    enum:
        ENG_CALLS_ROWS
        ENG_CALLS_OVER

    ctypedef struct eng_dense_pairs:
        const uint8_t *pair
        uint16_t in_ "in"
        uint8_t pairs

    ctypedef struct eng_dense_calls:
        const int8_t *w
        const uint8_t *lengths
        const uint8_t *bias
        const uint8_t *dense
        uint16_t in_ "in"
        uint8_t rows, blocks
        int8_t zero_x
        uint8_t stops
        uint16_t first, step, first_cost, cost
        uint8_t price, capacity

    void eng_dense_pairs_s24(const eng_dense_pairs *p, const int8_t *x, uint8_t *sum)
    void eng_dense_calls_s24(const eng_dense_calls *p, const int8_t *x, uint8_t *sum)

#: Most rows of a block, and what is added to the number of inputs that are left out to make it a length.
CALLS_ROWS, CALLS_OVER = ENG_CALLS_ROWS, ENG_CALLS_OVER


def _sums(const uint8_t[::1] raw):
    """int32 of little-endian s24."""
    parts = np.asarray(raw).reshape(-1, 3).astype(np.int32)
    return ((parts[:, 2] << 24) | (parts[:, 1] << 16) | (parts[:, 0] << 8)) >> 8


def _blocks(str function, w, most):
    """Sizes of ``w[blocks, in, rows]``."""
    if not isinstance(w, np.ndarray) or w.ndim != 3 or not 1 <= w.shape[2] <= most:
        raise TypeError(f"{function}: w must be an array int8[blocks, in, rows] of 1 to {most} rows")
    return check.integer(function, "blocks", w.shape[0], 1, 255), check.integer(function, "in", w.shape[1], 1, 65535), w.shape[2]


def dense_pairs_s24(pairs, x):
    """Dense sums of pairs of rows, as ``eng_dense_pairs_s24`` computes them.

    Parameters
    ----------
    pairs : uint8[count, 6 + 2 * in]
        Starts and weights: see ``eng_dense_pairs``.
    x : int8[in]

    Returns
    -------
    int32[count * 2]

    Examples
    --------
    >>> pairs = np.array([[5, 0, 0, 0, 0, 0, 2, 255, 3, 0]], np.uint8)
    >>> dense_pairs_s24(pairs, np.array([10, 100], np.int8))
    array([325, -10], dtype=int32)
    """
    cdef str function = "dense_pairs_s24"
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, np.shape(x))
    size = check.integer(function, "in", px.shape[0], 1, 65535)
    count = check.integer(function, "pairs", len(pairs), 1, 255)
    cdef const uint8_t[:, ::1] pp = check.array(function, "pairs", pairs, np.uint8, (count, 6 + 2 * size))
    cdef uint8_t[::1] out = np.empty(count * 6, np.uint8)
    cdef eng_dense_pairs p = [&pp[0, 0], size, count]
    eng_dense_pairs_s24(&p, &px[0], &out[0])
    return _sums(out)


def dense_calls_s24(w, lengths, dense, x, *, bias=None, zero_x=0, stops=0, first=0, step=0, first_cost=0, cost=0, price=0, capacity=0):
    """Dense sums as ``eng_dense_calls_s24`` and the code that is written from the same numbers compute them.

    Parameters
    ----------
    w : int8[blocks, in, rows]
        Up to ``CALLS_ROWS`` rows.
    lengths : bytes
        Of the groups: see ``eng_dense_calls``.
    dense : uint8[n, rows, 3]
        One for each stop but the last, or one; then one for each block but the first.
    x : int8[in]
    bias : uint8[blocks, rows, 3], optional
        With stops only.
    zero_x, stops, first, step, first_cost, cost, price, capacity : int
        See ``eng_dense_calls``.

    Returns
    -------
    int32[blocks * rows]

    Examples
    --------
    >>> w, dense = np.array([[[2], [3]]], np.int8), np.array([[[5, 128, 255]]], np.uint8)
    >>> dense_calls_s24(w, bytes([2, 0]), dense, np.array([10, 100], np.int8))
    array([325], dtype=int32)
    """
    cdef str function = "dense_calls_s24"
    blocks, size, rows = _blocks(function, w, ENG_CALLS_ROWS)
    cdef const int8_t[:, :, ::1] pw = check.array(function, "w", w, np.int8, w.shape)
    cdef const int8_t[::1] px = check.array(function, "x", x, np.int8, (size,))
    cdef eng_dense_calls p
    p.stops = check.integer(function, "stops", stops, 0, 255)
    p.first = check.integer(function, "first", first, 0, size)
    p.step = check.integer(function, "step", step, 0, size)
    if stops and (first < 1 or first + (stops - 1) * step != size):
        raise ValueError(f"{function}: {stops} stops, the first after {first} inputs, then every {step}, do not end at {size}")
    cdef bytes groups = bytes(lengths)
    _check_lengths(function, groups, range(first, size, step or size) if stops else range(0), [size - first if stops else size, *[size] * (blocks - 1)])
    cdef const uint8_t[::1] pl = groups
    variants = max(stops - 1, 1) + blocks - 1
    cdef const uint8_t[:, :, ::1] pd = check.array(function, "dense", dense, np.uint8, (variants, rows, 3))
    bias = np.zeros((blocks, rows, 3), np.uint8) if bias is None and not stops else bias
    cdef const uint8_t[:, :, ::1] pb = check.array(function, "bias", bias, np.uint8, (blocks, rows, 3))
    p.w, p.lengths, p.bias, p.dense = &pw[0, 0, 0], &pl[0], &pb[0, 0, 0], &pd[0, 0, 0]
    p.in_, p.rows, p.blocks = size, rows, blocks
    p.zero_x = check.integer(function, "zero_x", zero_x, -128, 127)
    p.first_cost = check.integer(function, "first_cost", first_cost, 0, 32767)
    p.cost = check.integer(function, "cost", cost, 0, 32767)
    p.price = check.integer(function, "price", price, 0, 63)
    p.capacity = check.integer(function, "capacity", capacity, 0, 127)
    cdef uint8_t[::1] out = np.empty(blocks * rows * 3, np.uint8)
    eng_dense_calls_s24(&p, &px[0], &out[0])
    return _sums(out)


def _check_lengths(str function, bytes lengths, stops, sizes):
    """Groups of each block sum to its size, and those of the first one end at the stops."""
    *parts, rest = (np.frombuffer(part, np.uint8).astype(np.int64) for part in lengths.split(b"\0"))
    counts = [part - np.where(part > ENG_CALLS_OVER, ENG_CALLS_OVER, 0) for part in parts]
    if rest.size or [int(count.sum()) for count in counts] != sizes:
        raise ValueError(f"{function}: lengths do not sum to {sizes}, each ended by 0")
    ends = set(np.cumsum(counts[0]).tolist())
    missing = [stop for stop in stops[1:] if stop - stops[0] not in ends]
    if missing:
        raise ValueError(f"{function}: no group ends at the stop after {missing[0]} inputs")
