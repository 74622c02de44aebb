"""Float networks in float64 NumPy, written from the layers' definitions: the judge of importers and of quantization."""

import numpy as np

from engine.graph import Activation, Padding
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Relu, Softmax


def forward(network, x):
    """Outputs of every layer for x [batch, *input_shape]."""
    outputs = []
    y = np.asarray(x, np.float64)
    for layer in network.layers:
        y = apply(layer, y)
        outputs.append(y)
    return outputs


def apply(layer, x):
    if isinstance(layer, Dense):
        return activate(x @ layer.w.astype(np.float64).T + layer.bias, layer.activation)
    if isinstance(layer, Conv2D):
        return activate(convolve(layer, x), layer.activation)
    if isinstance(layer, MaxPool2D):
        return np.nanmax(windows(x, layer.kernel, layer.stride, (1, 1), layer.padding), axis=(3, 4))
    if isinstance(layer, AveragePool2D):
        return np.nanmean(windows(x, layer.kernel, layer.stride, (1, 1), layer.padding), axis=(3, 4))
    if isinstance(layer, Flatten):
        return x.reshape(len(x), -1)
    if isinstance(layer, Relu):
        return np.clip(x, 0, layer.max_value)
    assert isinstance(layer, Softmax)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def activate(y, activation):
    low, high = {
        Activation.NONE: (-np.inf, np.inf),
        Activation.RELU: (0, np.inf),
        Activation.RELU6: (0, 6),
        Activation.RELU_N1_TO_1: (-1, 1),
    }[activation]
    return np.clip(y, low, high)


def convolve(layer, x):
    w = layer.w.astype(np.float64)
    taps = windows(x, w.shape[1:3], layer.stride, layer.dilation, layer.padding)
    return np.einsum("nrqijc,oijc->nrqo", np.nan_to_num(taps), w) + layer.bias


def windows(x, kernel, stride, dilation, padding):
    """[batch, out_h, out_w, kernel_h, kernel_w, channels], NaN where the tap lies in the padding."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes, pads = [], []
    for size, span, step in zip(x.shape[1:3], spans, stride, strict=True):
        out = -(-size // step) if padding is Padding.SAME else (size - span) // step + 1
        total = max((out - 1) * step + span - size, 0) if padding is Padding.SAME else 0
        sizes.append(out)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=np.nan)
    y = np.empty((len(x), *sizes, *kernel, x.shape[3]))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i * dilation[0], i * dilation[0] + (sizes[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(j * dilation[1], j * dilation[1] + (sizes[1] - 1) * stride[1] + 1, stride[1])
            y[:, :, :, i, j] = padded[:, rows, columns]
    return y
