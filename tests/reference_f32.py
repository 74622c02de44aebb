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


def mae(x, target):
    return np.abs(x.astype(float) - target).mean(axis=1)


def huber(x, target, delta=1.0):
    e = np.abs(x.astype(float) - target)
    return np.where(e <= delta, e * e / 2, delta * e - delta * delta / 2).mean(axis=1)


def msle(x, target):
    a, b = (np.log1p(np.maximum(v.astype(float), 1e-7)) for v in (x, target))
    return ((a - b) ** 2).mean(axis=1)


def binary_cross_entropy(x, target):
    x = x.astype(float)
    return (np.logaddexp(0, x) - x * target).mean(axis=1)


def categorical_cross_entropy(x, target):
    return -(target * np.log(softmax(x))).sum(axis=1)


def squared_hinge(x, target):
    return (np.maximum(1 - target * x.astype(float), 0) ** 2).mean(axis=1)


def leaky_relu(x, slope=0.3):
    return np.where(x > 0, x, slope * x.astype(float))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x.astype(float), 0)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(float)))


def softplus(x):
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0, x.astype(float))


def depthwise_conv2d(window, x, w, bias):
    multiplier = w.shape[3] // x.shape[3]
    y = np.zeros((len(x), window.out_h, window.out_w, w.shape[3])) + bias
    for r, q, i, j, row, column in taps(window):
        y[:, r, q] += np.repeat(x[:, row, column].astype(float), multiplier, axis=1) * w[0, i, j]
    return y


def batch_norm(x, gamma, beta, mean, variance, epsilon):
    return gamma * (x.astype(float) - mean) / np.sqrt(variance.astype(float) + epsilon) + beta


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
