"""Random int8 graphs, layer by layer, with scales that spread outputs over the whole range."""

from dataclasses import replace

import numpy as np

from engine.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    MeanOptions,
    NoOptions,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.window import slide

INT8, UINT8, INT32, FLOAT32 = (np.dtype(each) for each in ("int8", "uint8", "int32", "float32"))


class Chain:
    """Builds a chain: every method adds a layer that reads what the one before wrote."""

    def __init__(self, shape, *, seed=0, name="chain", scale=0.02, zero=3, dtype=INT8):
        self.rng = np.random.default_rng(seed)
        self.name = name
        self.tensors, self.layers = [], []
        self.shape = shape
        if dtype == FLOAT32:
            self.last = self.add(Tensor("x", (1, *shape), FLOAT32))
        else:
            self.last = self.add(Tensor("x", (1, *shape), dtype, np.float32([scale]), zero))

    def add(self, tensor):
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def call(self, op, inputs, output, options):
        self.layers.append(Layer(op, f"{op} {len(self.layers)}", (self.last, *inputs), (output,), options))
        self.last, self.shape = output, self.tensors[output].shape[1:]
        return self

    def activation(self, shape, scale=None, zero=None, dtype=INT8):
        before = self.tensors[self.last]
        scale = before.scale if scale is None else np.float32([scale])
        return self.add(Tensor("", (1, *shape), dtype, scale, before.zero_point if zero is None else zero))

    def weights(self, *shape):
        """Weights and bias whose sums give outputs a standard deviation of some 50 codes."""
        x = self.tensors[self.last]
        terms = int(np.prod(shape[1:]))
        w = self.rng.integers(-127, 128, shape).astype(np.int8)
        bias = self.rng.integers(-3000, 3000, shape[0]).astype(np.int32)
        scale = (self.rng.uniform(0.5, 1.5, shape[0]) / 1000).astype(np.float32)
        y_scale = float(x.scale[0]) * 0.001 * 73 * 73 * np.sqrt(terms) / 50
        return (
            self.add(Tensor("", w.shape, INT8, scale, data=w)),
            self.add(Tensor("", bias.shape, INT32, (scale * x.scale).astype(np.float32), data=bias)),
            y_scale,
        )

    def dense(self, out, activation=Activation.NONE, zero=-7):
        w, bias, scale = self.weights(out, self.shape[0])
        return self.call("dense", (w, bias), self.activation((out,), scale, zero), DenseOptions(activation))

    def dense_each(self, out, activation=Activation.NONE, zero=-7):
        """A dense layer over each vector of the last dimension."""
        w, bias, scale = self.weights(out, self.shape[-1])
        y = self.activation((*self.shape[:-1], out), scale, zero)
        return self.call("dense", (w, bias), y, DenseOptions(activation, keep_num_dims=True))

    def conv(self, out, kernel, stride=1, *, dilation=1, padding=Padding.VALID, activation=Activation.NONE, zero=5):
        w, bias, scale = self.weights(out, kernel, kernel, self.shape[2])
        size = [slide(n, kernel, stride, dilation, padding)[0] for n in self.shape[:2]]
        options = Conv2DOptions(stride, stride, dilation, dilation, padding, activation)
        return self.call("conv2d", (w, bias), self.activation((*size, out), scale, zero), options)

    def pool(self, op, kernel, stride=None, padding=Padding.VALID):
        stride = stride or kernel
        size = [slide(n, kernel, stride, 1, padding)[0] for n in self.shape[:2]]
        return self.call(
            op, (), self.activation((*size, self.shape[2])), Pool2DOptions(kernel, kernel, stride, stride, padding)
        )

    def depthwise(
        self, kernel, stride=1, *, dilation=1, multiplier=1, padding=Padding.SAME, activation=Activation.NONE, zero=-11
    ):
        out, padding = self.shape[2] * multiplier, Padding(padding)
        w, bias, scale = self.weights(out, kernel, kernel)
        t = self.tensors[w]
        self.tensors[w] = replace(t, shape=(1, kernel, kernel, out), axis=3, data=np.moveaxis(t.data, 0, -1)[np.newaxis])
        size = [slide(n, kernel, stride, dilation, padding)[0] for n in self.shape[:2]]
        options = Conv2DOptions(stride, stride, dilation, dilation, padding, activation)
        return self.call("depthwise_conv2d", (w, bias), self.activation((*size, out), scale, zero), options)

    def join(self, op, other, *, activation=Activation.NONE):
        """Add, subtract or multiply the tensor `other`, an index."""
        scale = float(self.tensors[self.last].scale[0]) * (30 if op == "mul" else 1.2)
        return self.call(op, (other,), self.activation(self.shape, scale, 9), ElementwiseOptions(activation))

    def concatenate(self, other):
        """Append the channels of the tensor `other`, quantized like the last."""
        shape = (*self.shape[:-1], self.shape[-1] + self.tensors[other].shape[-1])
        return self.call("concatenation", (other,), self.activation(shape), ConcatenationOptions(len(shape)))

    def mean(self):
        return self.call("mean", (), self.activation(self.shape[2:]), MeanOptions((1, 2)))

    def flatten(self):
        return self.call("reshape", (), self.activation((int(np.prod(self.shape)),)), NoOptions())

    def relu(self, op="relu"):
        before = self.tensors[self.last]
        return self.call(op, (), self.activation(self.shape, float(before.scale[0]) * 0.6, -100), NoOptions())

    def softmax(self):
        return self.call("softmax", (), self.activation(self.shape, 1 / 256, -128), SoftmaxOptions(1.0))

    def argmax(self):
        return self.call("argmax", (), self.add(Tensor("", (1,), INT32)), NoOptions())

    def quantize(self, scale=0.02, zero=-4):
        return self.call("quantize", (), self.add(Tensor("", (1, *self.shape), INT8, np.float32([scale]), zero)), NoOptions())

    def dequantize(self):
        return self.call("dequantize", (), self.add(Tensor("", (1, *self.shape), FLOAT32)), NoOptions())

    def graph(self):
        return Graph(self.name, tuple(self.tensors), tuple(self.layers), (0,), (self.last,))


def residual():
    """Two convolutions around which the input of the second block is carried, and what is concatenated with itself."""
    chain = Chain((8, 7, 2)).conv(4, 3, padding=Padding.SAME, activation=Activation.RELU)
    before = chain.last
    chain.conv(4, 3, padding=Padding.SAME).join("add", before, activation=Activation.RELU)
    chain.concatenate(chain.last).join("mul", chain.last)
    return chain.mean().dense(3).softmax().graph()


def depthwise():
    """A separable convolution; its map is subtracted from another one's."""
    chain = Chain((9, 6, 1)).conv(6, 3, 2, padding=Padding.SAME, activation=Activation.RELU).depthwise(3)
    before = chain.last
    return (
        chain.conv(6, 1, activation=Activation.RELU6).join("sub", before).pool("average_pool2d", 3).flatten().dense(4).graph()
    )


R, R6, SAME = Activation.RELU, Activation.RELU6, Padding.SAME

#: Name -> graph; every kernel occurs.
CHAINS = {
    "dense": lambda: Chain((13,)).dense(7, R).dense(5).graph(),
    "conv": lambda: Chain((9, 7, 2)).conv(3, 3, 2, padding=SAME, activation=R6).conv(4, 2, dilation=2).graph(),
    "conv_pool": lambda: (
        Chain((12, 12, 1)).conv(5, 3, activation=R).pool("max_pool2d", 2).flatten().dense(10).softmax().graph()
    ),
    "max_pool": lambda: Chain((8, 7, 3)).pool("max_pool2d", 3, 2, SAME).relu("relu6").graph(),
    "average_pool": lambda: Chain((9, 9, 2)).conv(4, 3).pool("average_pool2d", 3, 2, SAME).flatten().dense(3).graph(),
    "relu": lambda: Chain((30,)).relu().dense(4).argmax().graph(),
    "float_edges": lambda: (
        Chain((6, 5, 1), dtype=FLOAT32).quantize().conv(2, 3, activation=R).flatten().dense(4).softmax().dequantize().graph()
    ),
    "digits": lambda: Chain((784,), name='a "digit"\\ reader */').dense(32, R).dense(10).softmax().graph(),
    "uint8_edge": lambda: Chain((9, 4), dtype=UINT8, zero=200).quantize().graph(),
    "several_vectors": lambda: Chain((3, 5)).dense_each(6, R).dense_each(4).flatten().dense(3).softmax().graph(),
    "residual": residual,
    "depthwise": depthwise,
    "split": lambda: Chain((784,)).dense(90, R).dense(10).graph(),
}
