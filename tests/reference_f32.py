"""Float64 oracle of the training kernels: written from the formulas, shares no code with the core."""

from __future__ import annotations

import numpy as np

EPS = float(np.finfo(np.float32).eps) / 2  # rounding error of one float32 operation, relative


def dense(x, w, bias):
    return x.astype(float) @ w.astype(float).T + bias


def taps(window):
    """Yield (position r, q, kernel i, j, row, column) of every tap inside the image."""
    for r in range(window.out_h):
        for q in range(window.out_w):
            for i in range(window.kernel_h):
                for j in range(window.kernel_w):
                    row = r * window.stride_h + i * window.dilation_h - window.pad_top
                    column = q * window.stride_w + j * window.dilation_w - window.pad_left
                    if 0 <= row < window.in_h and 0 <= column < window.in_w:
                        yield r, q, i, j, row, column


def conv2d(window, x, w, bias):
    y = np.zeros((len(x), window.out_h, window.out_w, len(w))) + bias
    for r, q, i, j, row, column in taps(window):
        y[:, r, q] += x[:, row, column].astype(float) @ w[:, i, j].astype(float).T
    return y


def max_pool2d(window, x):
    y = np.full((len(x), window.out_h, window.out_w, x.shape[3]), -np.inf)
    for r, q, _, _, row, column in taps(window):
        y[:, r, q] = np.maximum(y[:, r, q], x[:, row, column])
    return y


def average_pool2d(window, x):
    total = np.zeros((len(x), window.out_h, window.out_w, x.shape[3]))
    count = np.zeros((window.out_h, window.out_w, 1))
    for r, q, _, _, row, column in taps(window):
        total[:, r, q] += x[:, row, column]
        count[r, q] += 1
    return total / count


def relu(x, limit=np.inf):
    return np.minimum(np.maximum(x.astype(float), 0), limit)


def softmax(x):
    e = np.exp(x.astype(float) - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_cross_entropy(x, label):
    x = x.astype(float)
    best = x.max(axis=1)
    return np.log(np.exp(x - best[:, None]).sum(axis=1)) + best - x[np.arange(len(x)), label]


def mse(x, target):
    return ((x.astype(float) - target) ** 2).mean(axis=1)


def central_difference(function, x, h=1e-5):
    """Gradient of a scalar function of a float64 array; error about h^2 times the third derivative."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] += h
        above = function(moved)
        moved[index] -= 2 * h
        gradient[index] = (above - function(moved)) / (2 * h)
    return gradient


def assert_close(got, want, tolerance, what):
    """Fail naming the first index where |got - want| exceeds the tolerance (a number, or an array like want)."""
    got, want = np.asarray(got, float), np.asarray(want, float)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, want {want.shape}"
    error = np.abs(got - want)
    bad = ~(error <= tolerance)
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        limit = np.broadcast_to(tolerance, want.shape)[index]
        raise AssertionError(
            f"{what}: first bad index {index}: got {got[index]!r}, want {want[index]!r}, allowed error {limit:.3g}"
        )
