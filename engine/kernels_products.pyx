# SPDX-License-Identifier: Apache-2.0
"""Training kernels that multiply: dense and convolutions in float and in half precision, and updates.

They run with the best instruction set of this processor (:func:`engine.isa`) and on `threads` threads; neither changes a bit.
Half precision (names in f16) means float32 arrays of values that IEEE half has: every product and every partial sum is
rounded to one. Arrays are taken as they are or refused, never converted: TypeError for a wrong dtype, ValueError for anything
else. Backward kernels add to parameter gradients and overwrite `dx`.
"""

from functools import lru_cache

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from engine._views cimport optional_f32, read_f32, write_f32

from engine import _arguments as check
from engine.dispatch import isa
from engine.program import Window
from engine.window import blind_position


cdef extern from "eng/train_kernels.h" nogil:
    ctypedef struct eng_window:
        uint16_t in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left

    ctypedef struct eng_dense_f32_params:
        size_t batch
        uint16_t in_ "in"
        uint16_t out

    ctypedef struct eng_conv2d_f32_params:
        size_t batch
        eng_window window
        uint16_t in_c, out_c

    ctypedef struct eng_conv2d_max_pool2d_f32_params:
        size_t batch
        eng_window window
        uint16_t in_c, out_c, pool_h, pool_w
        float limit

    ctypedef struct eng_depthwise_conv2d_f32_params:
        size_t batch
        eng_window window
        uint16_t in_c, multiplier

    ctypedef struct eng_sgd_f32_params:
        size_t count
        float learning_rate, momentum

    ctypedef struct eng_adam_f32_params:
        size_t count
        float learning_rate, beta1, beta2, epsilon

    ctypedef struct eng_products_kernels:
        void (*depthwise_conv2d)(const eng_depthwise_conv2d_f32_params *, const float *, const float *, const float *, float *) noexcept nogil
        void (*depthwise_conv2d_backward)(const eng_depthwise_conv2d_f32_params *, const float *, const float *, const float *,
                                          float *, float *, float *) noexcept nogil

    ctypedef struct eng_train_kernels:
        eng_products_kernels f32, f16
        void (*sgd)(const eng_sgd_f32_params *, const float *, float *, float *) noexcept nogil
        void (*adam)(const eng_adam_f32_params *, uint32_t, const float *, float *, float *, float *) noexcept nogil
        void (*round_f16)(size_t, const float *, float *) noexcept nogil

    ctypedef int eng_isa
    int ENG_ISA_COUNT
    const char *eng_isa_name(eng_isa)
    const eng_train_kernels *eng_train_kernels_of(eng_isa)


cdef extern from "train_team.h" nogil:
    ctypedef struct engine_team:
        const eng_products_kernels *products
        const eng_train_kernels *kernels
        size_t threads

    bint engine_dense(const engine_team *, const eng_dense_f32_params *, const float *, const float *, const float *, float *)
    bint engine_dense_backward(const engine_team *, const eng_dense_f32_params *, const float *, const float *, const float *,
                               float *, float *, float *)
    bint engine_conv2d(const engine_team *, const eng_conv2d_f32_params *, const float *, const float *, const float *, float *)
    bint engine_conv2d_backward(const engine_team *, const eng_conv2d_f32_params *, const float *, const float *, const float *,
                                float *, float *, float *)
    bint engine_conv2d_max_pool2d(const engine_team *, const eng_conv2d_max_pool2d_f32_params *, const float *, const float *,
                                  const float *, float *, uint8_t *)
    bint engine_conv2d_max_pool2d_backward(const engine_team *, const eng_conv2d_max_pool2d_f32_params *, const float *,
                                           const float *, const float *, const uint8_t *, const float *, float *, float *,
                                           float *)
    bint engine_gather(const engine_team *, size_t, size_t, const uint32_t *, const float *, float *)


cdef const eng_train_kernels *_chosen = NULL


cdef const eng_train_kernels *_kernels() except NULL:
    """The kernels of :func:`engine.isa`, looked up at the first use."""
    global _chosen
    cdef int i
    if _chosen is NULL:
        name = isa().encode()
        for i in range(ENG_ISA_COUNT):
            if eng_isa_name(i) == name:
                _chosen = eng_train_kernels_of(i)
    return _chosen


cdef engine_team _team(bint half, threads) except *:
    cdef engine_team team
    team.kernels = _kernels()
    team.products = &team.kernels.f16 if half else &team.kernels.f32
    team.threads = threads
    if team.threads < 1:
        raise ValueError(f"threads is {threads}; expected at least 1")
    return team


cdef int _done(bint enough_memory) except -1:
    if not enough_memory:
        raise MemoryError("there is no memory for a training kernel's scratch")
    return 0


# ---------------------------------------------------------------------------------------------------- windows


cdef eng_window _window(w):
    cdef eng_window c
    c.in_h, c.in_w, c.out_h, c.out_w = w.in_h, w.in_w, w.out_h, w.out_w
    c.kernel_h, c.kernel_w, c.stride_h, c.stride_w = w.kernel_h, w.kernel_w, w.stride_h, w.stride_w
    c.dilation_h, c.dilation_w, c.pad_top, c.pad_left = w.dilation_h, w.dilation_w, w.pad_top, w.pad_left
    return c


def _check_window(function, window):
    """Establish the domain of the kernels: sizes are uint16, every position sees the image."""
    if not isinstance(window, Window):
        raise TypeError(f"{function}: window is of type {type(window).__name__}; expected engine.program.Window")
    _check_geometry(function, window)


@lru_cache(maxsize=256)
def _check_geometry(function, window):
    for name, value in vars(window).items():
        check.integer(function, f"window.{name}", value, 0 if name.startswith("pad") else 1, 65535)
    for axis, span in (
        ("h", (window.kernel_h - 1) * window.dilation_h),
        ("w", (window.kernel_w - 1) * window.dilation_w),
    ):
        check.integer(function, f"(window.kernel_{axis} - 1) * window.dilation_{axis}", span, 0, 65535)
    if blind_position(window):
        raise ValueError(f"{function}: {window} has a position without any tap inside the image; expected fewer positions")


def _check_image(function, window, x, channels=None, name="x"):
    _check_window(function, window)
    check.array(function, name, x, np.float32, (None, window.in_h, window.in_w, channels))
    check.integer(function, f"channels of {name}", x.shape[3], 1, 65535)


def _output_shape(window, batch, channels):
    return batch, window.out_h, window.out_w, channels


def _check_gradients(name, x, w, dy, dw, dbias, dx, outputs):
    check.updated(name, "dw", dw, np.float32, w.shape)
    check.updated(name, "dbias", dbias, np.float32, (outputs,))
    check.apart(name, "dw", dw, x=x, w=w, dy=dy, dbias=dbias)
    check.apart(name, "dbias", dbias, x=x, w=w, dy=dy)
    if dx is not None:
        check.updated(name, "dx", dx, np.float32, x.shape)
        check.apart(name, "dx", dx, x=x, w=w, dy=dy, dw=dw, dbias=dbias)


# ---------------------------------------------------------------------------------------------------- dense


cdef eng_dense_f32_params _dense_params(function, x, w) except *:
    check.array(function, "w", w, np.float32, (None, None))
    check.array(function, "x", x, np.float32, (None, w.shape[1]))
    check.integer(function, "inputs of w", w.shape[1], 1, 65535)
    check.integer(function, "outputs of w", w.shape[0], 1, 65535)
    cdef eng_dense_f32_params p
    p.batch, p.in_, p.out = x.shape[0], w.shape[1], w.shape[0]
    return p


cdef _dense(function, bint half, x, w, bias, out, threads):
    cdef eng_dense_f32_params p = _dense_params(function, x, w)
    check.array(function, "bias", bias, np.float32, (w.shape[0],))
    y = check.output(function, out, np.float32, (x.shape[0], w.shape[0]))
    check.apart(function, "out", out, x=x, w=w, bias=bias)
    cdef engine_team team = _team(half, threads)
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *bias_ = read_f32(bias)
    cdef float *y_ = write_f32(y)
    cdef bint done
    with nogil:
        done = engine_dense(&team, &p, x_, w_, bias_, y_)
    _done(done)
    return y


cdef _dense_backward(function, bint half, x, w, dy, dw, dbias, dx, threads):
    cdef eng_dense_f32_params p = _dense_params(function, x, w)
    check.array(function, "dy", dy, np.float32, (x.shape[0], w.shape[0]))
    _check_gradients(function, x, w, dy, dw, dbias, dx, w.shape[0])
    cdef engine_team team = _team(half, threads)
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *dy_ = read_f32(dy)
    cdef float *dw_ = write_f32(dw)
    cdef float *dbias_ = write_f32(dbias)
    cdef float *dx_ = optional_f32(dx)
    cdef bint done
    with nogil:
        done = engine_dense_backward(&team, &p, x_, w_, dy_, dw_, dbias_, dx_)
    _done(done)


def dense_f32(x, w, bias, *, out=None, threads=1):
    """Compute ``y = x @ w.T + bias``: float32[batch, in], float32[out, in], float32[out] -> float32[batch, out].

    >>> dense_f32(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), np.zeros(1, np.float32))
    array([[2.]], dtype=float32)
    """
    return _dense("dense_f32", False, x, w, bias, out, threads)


def dense_f32_backward(x, w, dy, dw, dbias, *, dx=None, threads=1):
    """Add to `dw` and `dbias` and, if `dx` is given, overwrite it; `dy` float32[batch, out], the others of their shapes."""
    _dense_backward("dense_f32_backward", False, x, w, dy, dw, dbias, dx, threads)


def dense_f16(x, w, bias, *, out=None, threads=1):
    """:func:`dense_f32` in half precision."""
    return _dense("dense_f16", True, x, w, bias, out, threads)


def dense_f16_backward(x, w, dy, dw, dbias, *, dx=None, threads=1):
    """:func:`dense_f32_backward` in half precision."""
    _dense_backward("dense_f16_backward", True, x, w, dy, dw, dbias, dx, threads)


# ---------------------------------------------------------------------------------------------------- conv2d


cdef eng_conv2d_f32_params _conv2d_params(function, window, x, w) except *:
    _check_image(function, window, x)
    check.array(function, "w", w, np.float32, (None, window.kernel_h, window.kernel_w, x.shape[3]))
    check.integer(function, "outputs of w", w.shape[0], 1, 65535)
    cdef eng_conv2d_f32_params p
    p.window = _window(window)
    p.batch, p.in_c, p.out_c = x.shape[0], x.shape[3], w.shape[0]
    return p


cdef _conv2d(function, bint half, window, x, w, bias, out, threads):
    cdef eng_conv2d_f32_params p = _conv2d_params(function, window, x, w)
    check.array(function, "bias", bias, np.float32, (w.shape[0],))
    y = check.output(function, out, np.float32, _output_shape(window, x.shape[0], w.shape[0]))
    check.apart(function, "out", out, x=x, w=w, bias=bias)
    cdef engine_team team = _team(half, threads)
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *bias_ = read_f32(bias)
    cdef float *y_ = write_f32(y)
    cdef bint done
    with nogil:
        done = engine_conv2d(&team, &p, x_, w_, bias_, y_)
    _done(done)
    return y


cdef _conv2d_backward(function, bint half, window, x, w, dy, dw, dbias, dx, threads):
    cdef eng_conv2d_f32_params p = _conv2d_params(function, window, x, w)
    check.array(function, "dy", dy, np.float32, _output_shape(window, x.shape[0], w.shape[0]))
    _check_gradients(function, x, w, dy, dw, dbias, dx, w.shape[0])
    cdef engine_team team = _team(half, threads)
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *dy_ = read_f32(dy)
    cdef float *dw_ = write_f32(dw)
    cdef float *dbias_ = write_f32(dbias)
    cdef float *dx_ = optional_f32(dx)
    cdef bint done
    with nogil:
        done = engine_conv2d_backward(&team, &p, x_, w_, dy_, dw_, dbias_, dx_)
    _done(done)


def conv2d_f32(window, x, w, bias, *, out=None, threads=1):
    """Convolve float32[batch, in_h, in_w, in_c] with float32[out_c, kernel_h, kernel_w, in_c]; padding holds 0.

    `window` is an :class:`engine.program.Window`. Returns float32[batch, out_h, out_w, out_c].
    """
    return _conv2d("conv2d_f32", False, window, x, w, bias, out, threads)


def conv2d_f32_backward(window, x, w, dy, dw, dbias, *, dx=None, threads=1):
    """Add to `dw` and `dbias` and, if `dx` is given, overwrite it; `dy` float32[batch, out_h, out_w, out_c].

    `dw` and `dbias` are summed over the batch in groups of 16 samples: eng/train_f32.h has the rule.
    """
    _conv2d_backward("conv2d_f32_backward", False, window, x, w, dy, dw, dbias, dx, threads)


def conv2d_f16(window, x, w, bias, *, out=None, threads=1):
    """:func:`conv2d_f32` in half precision."""
    return _conv2d("conv2d_f16", True, window, x, w, bias, out, threads)


def conv2d_f16_backward(window, x, w, dy, dw, dbias, *, dx=None, threads=1):
    """:func:`conv2d_f32_backward` in half precision."""
    _conv2d_backward("conv2d_f16_backward", True, window, x, w, dy, dw, dbias, dx, threads)


# ---------------------------------------------------------------------------------------------------- conv2d and max pool


cdef eng_conv2d_max_pool2d_f32_params _pooled_params(function, window, pool, x, w, limit) except *:
    cdef eng_conv2d_f32_params conv = _conv2d_params(function, window, x, w)
    cdef eng_conv2d_max_pool2d_f32_params p
    p.batch, p.window, p.in_c, p.out_c = conv.batch, conv.window, conv.in_c, conv.out_c
    p.pool_h = check.integer(function, "height of pool", pool[0], 1, window.out_h)
    p.pool_w = check.integer(function, "width of pool", pool[1], 1, window.out_w)
    check.integer(function, "size of pool", pool[0] * pool[1], 1, 256)
    if not limit > 0:
        raise ValueError(f"{function}: limit is {limit}; expected a positive number or infinity")
    p.limit = limit
    return p


def _pooled_shape(window, pool, batch, channels):
    return batch, window.out_h // pool[0], window.out_w // pool[1], channels


def conv2d_max_pool2d_f32(window, pool, x, w, bias, *, limit=INFINITY, out=None, winner=None, threads=1):
    """Convolve, apply ReLU up to `limit`, and take the maximum of each `pool` of (height, width) positions.

    `x`, `w` and `bias` as in :func:`conv2d_f32`. Pools do not overlap; positions that do not fill one are left out.

    Returns
    -------
    y : float32[batch, out_h // height, out_w // width, out_c]
    winner : uint8 of y's shape
        Position (row * width + column) of each maximum in its pool: the first of equals, or the first NaN.
    """
    name = "conv2d_max_pool2d_f32"
    cdef eng_conv2d_max_pool2d_f32_params p = _pooled_params(name, window, pool, x, w, limit)
    check.array(name, "bias", bias, np.float32, (w.shape[0],))
    shape = _pooled_shape(window, pool, x.shape[0], w.shape[0])
    y = check.output(name, out, np.float32, shape)
    winner = check.output(name, winner, np.uint8, shape, name="winner")
    check.apart(name, "out", y, x=x, w=w, bias=bias, winner=winner)
    check.apart(name, "winner", winner, x=x, w=w, bias=bias)
    cdef engine_team team = _team(False, threads)
    cdef uint8_t[::1] winners = winner.reshape(-1)
    cdef uint8_t *winner_ = &winners[0]
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *bias_ = read_f32(bias)
    cdef float *y_ = write_f32(y)
    cdef bint done
    with nogil:
        done = engine_conv2d_max_pool2d(&team, &p, x_, w_, bias_, y_, winner_)
    _done(done)
    return y, winner


def conv2d_max_pool2d_f32_backward(window, pool, x, w, y, winner, dy, dw, dbias, *, limit=INFINITY, dx=None, threads=1):
    """Add to `dw` and `dbias` and, if `dx` is given, overwrite it; only the winning positions count.

    `y` and `winner` as the forward pass gave them, `dy` of y's shape. Sums as in :func:`conv2d_f32_backward`.
    """
    name = "conv2d_max_pool2d_f32_backward"
    cdef eng_conv2d_max_pool2d_f32_params p = _pooled_params(name, window, pool, x, w, limit)
    shape = _pooled_shape(window, pool, x.shape[0], w.shape[0])
    for label, array, dtype in (("y", y, np.float32), ("winner", winner, np.uint8), ("dy", dy, np.float32)):
        check.array(name, label, array, dtype, shape)
    if winner.max() >= pool[0] * pool[1]:
        raise ValueError(f"{name}: winner holds {winner.max()}; expected positions below {pool[0] * pool[1]}")
    _check_gradients(name, x, w, dy, dw, dbias, dx, w.shape[0])
    cdef engine_team team = _team(False, threads)
    cdef const uint8_t[::1] winners = winner.reshape(-1)
    cdef const uint8_t *winner_ = &winners[0]
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *y_ = read_f32(y)
    cdef const float *dy_ = read_f32(dy)
    cdef float *dw_ = write_f32(dw)
    cdef float *dbias_ = write_f32(dbias)
    cdef float *dx_ = optional_f32(dx)
    cdef bint done
    with nogil:
        done = engine_conv2d_max_pool2d_backward(&team, &p, x_, w_, y_, winner_, dy_, dw_, dbias_, dx_)
    _done(done)


# ---------------------------------------------------------------------------------------------------- depthwise conv2d


cdef eng_depthwise_conv2d_f32_params _depthwise_params(function, window, x, w) except *:
    _check_window(function, window)
    check.array(function, "x", x, np.float32, (None, window.in_h, window.in_w, None))
    check.array(function, "w", w, np.float32, (1, window.kernel_h, window.kernel_w, None))
    check.integer(function, "channels of w", w.shape[3], 1, 65535)
    if w.shape[3] % x.shape[3]:
        raise ValueError(f"{function}: w has {w.shape[3]} channels; expected a multiple of x's {x.shape[3]}")
    cdef eng_depthwise_conv2d_f32_params p
    p.batch, p.in_c, p.multiplier = x.shape[0], x.shape[3], w.shape[3] // x.shape[3]
    p.window = _window(window)
    return p


cdef _depthwise(function, bint half, window, x, w, bias, out):
    cdef eng_depthwise_conv2d_f32_params p = _depthwise_params(function, window, x, w)
    check.array(function, "bias", bias, np.float32, w.shape[3:])
    y = check.output(function, out, np.float32, _output_shape(window, x.shape[0], w.shape[3]))
    check.apart(function, "out", out, x=x, w=w, bias=bias)
    cdef engine_team team = _team(half, 1)
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *bias_ = read_f32(bias)
    cdef float *y_ = write_f32(y)
    with nogil:
        team.products.depthwise_conv2d(&p, x_, w_, bias_, y_)
    return y


cdef _depthwise_backward(function, bint half, window, x, w, dy, dw, dbias, dx):
    cdef eng_depthwise_conv2d_f32_params p = _depthwise_params(function, window, x, w)
    check.array(function, "dy", dy, np.float32, _output_shape(window, x.shape[0], w.shape[3]))
    _check_gradients(function, x, w, dy, dw, dbias, dx, w.shape[3])
    cdef engine_team team = _team(half, 1)
    cdef const float *x_ = read_f32(x)
    cdef const float *w_ = read_f32(w)
    cdef const float *dy_ = read_f32(dy)
    cdef float *dw_ = write_f32(dw)
    cdef float *dbias_ = write_f32(dbias)
    cdef float *dx_ = optional_f32(dx)
    with nogil:
        team.products.depthwise_conv2d_backward(&p, x_, w_, dy_, dw_, dbias_, dx_)


def depthwise_conv2d_f32(window, x, w, bias, *, out=None):
    """Convolve each channel of float32[batch, in_h, in_w, in_c] with its own kernels of float32[1, kernel_h, kernel_w, out_c].

    `out_c` is a multiple of `in_c`: output channel c * multiplier + m is of input channel c. Returns
    float32[batch, out_h, out_w, out_c].
    """
    return _depthwise("depthwise_conv2d_f32", False, window, x, w, bias, out)


def depthwise_conv2d_f32_backward(window, x, w, dy, dw, dbias, *, dx=None):
    """Add to `dw` and `dbias` and, if `dx` is given, overwrite it; `dy` of the output's shape, the others of their shapes."""
    _depthwise_backward("depthwise_conv2d_f32_backward", False, window, x, w, dy, dw, dbias, dx)


def depthwise_conv2d_f16(window, x, w, bias, *, out=None):
    """:func:`depthwise_conv2d_f32` in half precision."""
    return _depthwise("depthwise_conv2d_f16", True, window, x, w, bias, out)


def depthwise_conv2d_f16_backward(window, x, w, dy, dw, dbias, *, dx=None):
    """:func:`depthwise_conv2d_f32_backward` in half precision."""
    _depthwise_backward("depthwise_conv2d_f16_backward", True, window, x, w, dy, dw, dbias, dx)


# ---------------------------------------------------------------------------------------------------- half precision


def round_f16(x, *, out=None):
    """Round float32 of any shape to the nearest values that IEEE half has, ties to even; `out` may be `x`.

    >>> round_f16(np.float32([1.0005, 70000, 1e-8]))
    array([1.000977,      inf, 0.      ], dtype=float32)
    """
    check.array("round_f16", "x", x, np.float32, (None,) * max(1, getattr(x, "ndim", 1)))
    y = check.output("round_f16", out, np.float32, x.shape)
    cdef const eng_train_kernels *kernels = _kernels()
    cdef size_t count = x.size
    cdef const float *x_ = read_f32(x)
    cdef float *y_ = write_f32(y)
    with nogil:
        kernels.round_f16(count, x_, y_)
    return y


# ---------------------------------------------------------------------------------------------------- samples


def gather_f32(index, x, *, out, threads=1):
    """Copy the samples `index`, uint32[count] below n, of `x`, float32[n, ...], to `out`, float32[count, ...]."""
    check.array("gather_f32", "index", index, np.uint32, (None,))
    check.integer("gather_f32", "largest index", index.max(), 0, len(x) - 1)
    check.array("gather_f32", "x", x, np.float32, (None, *x.shape[1:]))
    check.updated("gather_f32", "out", out, np.float32, (len(index), *x.shape[1:]))
    check.apart("gather_f32", "out", out, x=x)
    cdef engine_team team = _team(False, threads)
    cdef const uint32_t[::1] numbers = index
    cdef const uint32_t *index_ = &numbers[0]
    cdef size_t count = len(index)
    cdef size_t size = x.size // len(x)
    cdef const float *x_ = read_f32(x)
    cdef float *out_ = write_f32(out)
    cdef bint done
    with nogil:
        done = engine_gather(&team, count, size, index_, x_, out_)
    _done(done)
    return out


# ---------------------------------------------------------------------------------------------------- optimizers


def _check_step(function, dw, w, **states):
    check.array(function, "w", w, np.float32, (None,) * max(1, getattr(w, "ndim", 1)))
    check.updated(function, "w", w, np.float32, w.shape)
    check.array(function, "dw", dw, np.float32, w.shape)
    for name, state in states.items():
        check.updated(function, name, state, np.float32, w.shape)
        check.apart(function, name, state, dw=dw, w=w)
    check.apart(function, "w", w, dw=dw)


def sgd_f32(dw, w, velocity=None, *, learning_rate, momentum=0.0):
    """Update `w`, and `velocity` (needed if momentum is not 0), by one step of gradient descent, in place."""
    if velocity is None:
        _check_step("sgd_f32", dw, w)
    else:
        _check_step("sgd_f32", dw, w, velocity=velocity)
    cdef eng_sgd_f32_params p
    p.count = w.size
    p.learning_rate = check.number("sgd_f32", "learning_rate", learning_rate, 0, INFINITY)
    p.momentum = check.number("sgd_f32", "momentum", momentum, 0, 1)
    if velocity is None and momentum != 0:
        raise ValueError(f"sgd_f32: velocity is None but momentum is {momentum}; expected an array like w")
    cdef const eng_train_kernels *kernels = _kernels()
    cdef const float *dw_ = read_f32(dw)
    cdef float *w_ = write_f32(w)
    cdef float *velocity_ = optional_f32(velocity)
    with nogil:
        kernels.sgd(&p, dw_, w_, velocity_)


def adam_f32(t, dw, w, m, v, *, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7):
    """Update `w`, `m` and `v` by the `t`-th step (1, 2, ...) of Adam, in place."""
    cdef uint32_t t_ = check.integer("adam_f32", "t", t, 1, 2**32 - 1)
    _check_step("adam_f32", dw, w, m=m, v=v)
    check.apart("adam_f32", "m", m, v=v)
    cdef eng_adam_f32_params p
    p.count = w.size
    p.learning_rate = check.number("adam_f32", "learning_rate", learning_rate, 0, INFINITY)
    p.beta1 = check.number("adam_f32", "beta1", beta1, 0, 1)
    p.beta2 = check.number("adam_f32", "beta2", beta2, 0, 1)
    p.epsilon = check.number("adam_f32", "epsilon", epsilon, 0, INFINITY, open_lo=True)
    cdef const eng_train_kernels *kernels = _kernels()
    cdef const float *dw_ = read_f32(dw)
    cdef float *w_ = write_f32(w)
    cdef float *m_ = write_f32(m)
    cdef float *v_ = write_f32(v)
    with nogil:
        kernels.adam(&p, t_, dw_, w_, m_, v_)
