"""Integer training in int64 NumPy and Python integers, from the formulas of eng/train_int.h; shares nothing with the core."""

import numpy as np

OCTAVE = 64
ONE = 2**15
POWERS = [round(ONE * 2 ** (-i / OCTAVE)) for i in range(OCTAVE)]


class Rng:
    """xoshiro128++, from four words of state."""

    def __init__(self, state):
        self.s = [int(word) for word in state]

    def next(self):
        s = self.s
        result = (rotate((s[0] + s[3]) % 2**32, 7) + s[0]) % 2**32
        t = (s[1] << 9) % 2**32
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 11)
        return result


class Halves:
    """16 bits at a time: the lower half of a number, then its upper half."""

    def __init__(self, rng):
        self.rng, self.kept = rng, None

    def next(self):
        if self.kept is not None:
            value, self.kept = self.kept, None
            return value
        number = self.rng.next()
        self.kept = number >> 16
        return number & 0xFFFF


def rotate(v, left):
    return ((v << left) | (v >> (32 - left))) % 2**32


def codes(masters):
    return masters.astype(np.int64) >> 8


def dense(x, zero_x, w, bias):
    return bias + (x.astype(np.int64) - zero_x) @ codes(w).T


def errors(dy, mult, rng):
    """A block of errors and its exponent."""
    most = int(np.abs(dy).max())
    cut = max(most.bit_length() - 22, 0)
    shift = max(((most >> cut) * mult).bit_length() - 7, 0)
    h = np.zeros(dy.size, np.int64)
    for i, v in enumerate(dy.ravel().tolist()):
        if v:
            r = rng.next() % 2**shift
            h[i] = min(max(((v >> cut) * mult + r) >> shift, -127), 127)
    return h.reshape(dy.shape), cut + shift


def sgd(step, exponent, rng, dw, dbias, w, bias):
    """Return masters and biases after one step."""
    shift, bias_mult, bias_shift = step
    n = max(shift - exponent, 0)
    w, bias = w.astype(np.int64).copy(), bias.astype(np.int64).copy()
    if n > 16:
        u = rng.next()
        if n >= 48 or u >> (48 - n):
            return w, bias
        n = 16
    halves = Halves(rng)
    for i in range(len(w)):
        for k in np.flatnonzero(dw[i]):
            r = halves.next() >> (16 - n)
            w[i, k] = min(max(w[i, k] - ((int(dw[i, k]) + r) >> n), -32512), 32767)
        amount = max(n + bias_shift, 0)
        if dbias[i] and amount <= 30:
            r = rng.next() % 2**amount
            bias[i] = min(max(int(bias[i]) - ((int(dbias[i]) * bias_mult + r) >> amount), -(2**30)), 2**30)
    return w, bias


def rescale(acc, ratio):
    """acc * mult / 2^s to nearest, ties away from zero."""
    shift = 31 - ratio.left + ratio.right
    product = abs(int(acc)) * ratio.mult
    rounded = (product + 2 ** (shift - 1)) >> shift
    return rounded if acc >= 0 else -rounded


def softmax_cross_entropy(acc, label, ratio):
    """Loss in 1/64 octaves and gradient of one row."""
    z = [rescale(a, ratio) for a in acc]
    d = [max(z) - v for v in z]
    e = [POWERS[v % OCTAVE] >> (v // OCTAVE) if v // OCTAVE <= 15 else 0 for v in d]
    total = sum(e)
    dy = [(v * ONE + total // 2) // total - (ONE if i == label else 0) for i, v in enumerate(e)]
    return logarithm(total) + d[label], np.array(dy)


def logarithm(v):
    log = 0
    while v >= 2 * ONE:
        v, log = v >> 1, log + OCTAVE
    return log + OCTAVE - sum(power > v // 2 for power in POWERS)


def patches(window, x, zero_x):
    """int64[batch, out_h, out_w, kernel_h, kernel_w, channels] and the pixels that each tap reads, -1 outside."""
    w = window
    batch, channels = len(x), x.shape[3]
    y = np.full((batch, w.out_h, w.out_w, w.kernel_h, w.kernel_w, channels), zero_x, np.int64)
    pixels = np.full(y.shape[1:5], -1)
    for r, q, i, j in np.ndindex(*pixels.shape):
        row, column = r * w.stride_h + i * w.dilation_h - w.pad_top, q * w.stride_w + j * w.dilation_w - w.pad_left
        if 0 <= row < w.in_h and 0 <= column < w.in_w:
            pixels[r, q, i, j] = row * w.in_w + column
            y[:, r, q, i, j] = x[:, row, column]
    return y, pixels


def scatter(window, pixels, dpatches, channels):
    """Sum gradients of taps into pixels."""
    batch = len(dpatches)
    dx = np.zeros((batch, window.in_h * window.in_w, channels), np.int64)
    for at in np.ndindex(*pixels.shape):
        if pixels[at] >= 0:
            dx[:, pixels[at]] += dpatches[(slice(None), *at)]
    return dx.reshape(batch, window.in_h, window.in_w, channels)
