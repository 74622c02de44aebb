"""Graphs of a few layers with seeded random weights, for tests that need no converter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tflite_builder import tensor

from engine.graph import (
    Activation,
    Conv2DOptions,
    DenseOptions,
    Graph,
    Layer,
    NoOptions,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
)


def frozen(array):
    array.flags.writeable = False
    return array


class Chain:
    """Builds a graph layer by layer; each method adds one that reads what the last wrote."""

    def __init__(self, shape, *, scale=0.05, zero=-3, dtype="int8", seed=0):
        self._rng = np.random.default_rng(seed)
        quantization = () if dtype == "float32" else (scale, zero)
        self._tensors = [tensor(shape, *quantization, dtype=dtype, name="x")]
        self._layers = []
        self._last = 0

    def _x(self):
        return self._tensors[self._last]

    def _add(self, op, output, options, constants=()):
        inputs = [self._last]
        for constant in constants:
            inputs.append(-1 if constant is None else len(self._tensors))
            if constant is not None:
                self._tensors.append(constant)
        name = f"{op}_{len(self._layers)}"
        self._tensors.append(replace(output, name=f"{name}_out"))
        self._last = len(self._tensors) - 1
        self._layers.append(Layer(op, name, tuple(inputs), (self._last,), options))
        return self

    def _constants(self, shape, *, per_channel=True, bias=True):
        out = shape[0]
        w = frozen(self._rng.integers(-127, 128, shape).astype(np.int8))
        scales = self._rng.uniform(0.001, 0.01, out if per_channel else 1).astype(np.float32)
        b = frozen(self._rng.integers(-2000, 2000, out).astype(np.int32))
        product = (float(self._x().scale[0]) * scales.astype(np.float64)).astype(np.float32)
        weights = tensor(shape, scales, data=w, name="w")
        return weights, tensor((out,), product, dtype="int32", data=b, name="bias") if bias else None

    def dense(self, out, *, scale=0.1, zero=5, activation=Activation.NONE, per_channel=True, bias=True):
        size = int(np.prod(self._x().shape))
        constants = self._constants((out, size), per_channel=per_channel, bias=bias)
        return self._add("dense", tensor((1, out), scale, zero), DenseOptions(activation), constants)

    def conv2d(self, out, kernel, output_shape, *, scale=0.1, zero=-7, bias=True, **options):
        constants = self._constants((out, *kernel, self._x().shape[-1]), bias=bias)
        return self._add("conv2d", tensor((1, *output_shape, out), scale, zero), Conv2DOptions(**options), constants)

    def pool(self, op, kernel, stride, output_shape, *, padding=Padding.VALID, activation=Activation.NONE):
        x = self._x()
        output = tensor((1, *output_shape, x.shape[-1]), x.scale, x.zero_point)
        return self._add(op, output, Pool2DOptions(*kernel, *stride, padding, activation))

    def reshape(self, shape):
        x = self._x()
        return self._add("reshape", tensor(shape, x.scale, x.zero_point), NoOptions())

    def relu(self, op="relu", *, scale=None, zero=None):
        x = self._x()
        output = tensor(x.shape, x.scale if scale is None else scale, x.zero_point if zero is None else zero)
        return self._add(op, output, NoOptions())

    def quantize(self, *, scale=0.07, zero=9):
        return self._add("quantize", tensor(self._x().shape, scale, zero), NoOptions())

    def dequantize(self):
        return self._add("dequantize", tensor(self._x().shape, dtype="float32"), NoOptions())

    def softmax(self):
        return self._add("softmax", tensor(self._x().shape, 1 / 256, -128), SoftmaxOptions())

    def argmax(self):
        return self._add("argmax", tensor(self._x().shape[:-1], dtype="int32"), NoOptions())

    def graph(self, outputs=None, name="main"):
        return Graph(name, tuple(self._tensors), tuple(self._layers), (0,), (self._last,) if outputs is None else outputs)


def digits_like():
    """conv 4 3x3, max pool 2, dense 10, softmax on 12x12."""
    chain = Chain((1, 12, 12, 1)).conv2d(4, (3, 3), (10, 10), activation=Activation.RELU)
    return chain.pool("max_pool2d", (2, 2), (2, 2), (5, 5)).reshape((1, 100)).dense(10).softmax().graph()


def every_operator():
    """A chain that uses every operator but argmax."""
    chain = (
        Chain((1, 11, 9, 2), dtype="float32").quantize().conv2d(3, (3, 3), (6, 5), stride_h=2, stride_w=2, padding=Padding.SAME)
    )
    chain.relu("relu6", scale=0.03, zero=-100).pool("average_pool2d", (2, 2), (1, 1), (5, 4)).relu("relu_n1_to_1")
    chain.pool("max_pool2d", (3, 3), (2, 2), (3, 2), padding=Padding.SAME).reshape((1, 18)).dense(12, bias=False)
    chain.relu().quantize(scale=0.2, zero=0).dense(7, per_channel=False, activation=Activation.RELU6)
    return chain.softmax().dequantize().graph()
