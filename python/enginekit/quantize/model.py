"""Builds the int8 graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import QuantError
from engine.graph import (
    Conv2DOptions,
    DenseOptions,
    ElementwiseOptions,
    Graph,
    Layer,
    LeakyReluOptions,
    NoOptions,
    Options,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.model import Model
from engine.network import (
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    LeakyRelu,
    MaxPool2D,
    Network,
    NetworkLayer,
    Relu,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
)
from enginekit.quantize.calibrate import Range, check_data, ranges
from enginekit.quantize.chain import Step, fuse, steps
from enginekit.quantize.weights import quantize_weights, small_sum_scales
from enginekit.shapes import check_network

#: Weights of a filter up to which sums are made small on request.
_FEW_WEIGHTS = 9
INT8, INT32, FLOAT32 = np.dtype(np.int8), np.dtype(np.int32), np.dtype(np.float32)


def quantize(
    network: Network,
    calibration: ArrayLike,
    *,
    method: Literal["minmax", "percentile"] = "minmax",
    percentile: float = 99.99,
    per_channel: bool = True,
    float_edges: bool = False,
    small_sums: bool = False,
) -> Model:
    """Quantize a float network to int8 after training.

    Every layer runs in float over the calibration data; the ranges seen give the activations' scales. ReLUs are fused into
    the layer before them, pools and Flatten keep their input's scale, softmax gives scale 1/256 and zero point -128.

    Parameters
    ----------
    network : Network
        Float network.
    calibration : floating point [count, *input_shape]
        Typical inputs, finite; some hundred are plenty.
    method : {"minmax", "percentile"}
        Ranges from minimum to maximum, or without the outermost values (:func:`enginekit.quantize.calibrate.ranges`).
    percentile : float
        In (50, 100], for that method.
    per_channel : bool
        Weight scales one an output channel, or one a layer.
    float_edges : bool
        Input and output float32, with QUANTIZE and DEQUANTIZE at the ends, instead of int8.
    small_sums : bool
        Give convolutions of at most nine weights a filter scales with which their sums span 16 bits and an 8-bit number
        requantizes them (:func:`enginekit.quantize.weights.small_sum_scales`): the chip computes those fastest. It costs
        their weights up to two bits. Needs `per_channel`.

    Returns
    -------
    Model
        Weights in [-127, 127]; bias int32 in units ``scale_x * scale_w``.

    Raises
    ------
    QuantError
        If the calibration data is empty, has another shape or is not finite, or a scale cannot be represented.
    FormatError
        If the network's shapes or weights are wrong.

    Examples
    --------
    >>> network = Network("half", (2,), (Dense("d", np.full((1, 2), 0.5, np.float32), np.zeros(1, np.float32)),))
    >>> model = quantize(network, np.array([[0.0, 1.0], [1.0, 1.0]], np.float32))
    >>> model.run(np.array([[127, 127]], np.int8))
    array([[127]], dtype=int8)
    """
    check_network(network)
    if method not in ("minmax", "percentile"):
        raise QuantError(f"method is {method!r}; expected 'minmax' or 'percentile'")
    if not 50 < percentile <= 100:
        raise QuantError(f"percentile is {percentile}; expected a number over 50, up to 100")
    if small_sums and not per_channel:
        raise QuantError("small_sums needs per_channel: every filter gets its own scale")
    fused = fuse(network)
    x = check_data(fused, calibration)
    seen = ranges(fused, x, percentile if method == "percentile" else None)
    return Model(_Builder(fused, seen, per_channel, float_edges, small_sums).graph())


#: Scale and zero point that the reference demands of these outputs.
_FIXED: dict[type[NetworkLayer], tuple[np.float32, int]] = {
    Softmax: (np.float32(1 / 256), -128),
    Sigmoid: (np.float32(1 / 256), -128),
    Tanh: (np.float32(1 / 128), 0),
}
_OPS: dict[type[NetworkLayer], str] = {
    Flatten: "reshape",
    MaxPool2D: "max_pool2d",
    AveragePool2D: "average_pool2d",
    Softmax: "softmax",
    Sigmoid: "logistic",
    Tanh: "tanh",
    LeakyRelu: "leaky_relu",
    Residual: "add",
}


@dataclass(frozen=True)
class _Value:
    """A tensor of the graph with its scale and zero point."""

    tensor: int
    scale: np.float32
    zero: int


@dataclass
class _Builder:
    """Makes the graph tensor by tensor; `values` are the input and what the steps so far have given."""

    network: Network
    seen: list[Range]
    per_channel: bool
    float_edges: bool
    small_sums: bool
    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    values: list[_Value] = field(default_factory=list)

    def graph(self) -> Graph:
        source = self._input()
        for step in steps(self.network):
            self.values.append(self._step(step))
        x = self.values[-1].tensor
        if self.float_edges:
            last = self._add(Tensor("output", self.tensors[x].shape, FLOAT32))
            x = self._call("dequantize", "dequantize", (x,), last, NoOptions())
        return Graph(self.network.name, tuple(self.tensors), tuple(self.layers), (source,), (x,))

    def _input(self) -> int:
        """Add the model's input; the steps read it as int8."""
        shape = self.network.input_shape
        scale, zero = self.seen[0].scale_and_zero()
        if not self.float_edges:
            self.values.append(self._activation("input", shape, scale, zero))
            return self.values[0].tensor
        source = self._add(Tensor("input", (1, *shape), FLOAT32))
        self.values.append(self._activation("input_int8", shape, scale, zero))
        self._call("quantize", "quantize", (source,), self.values[0].tensor, NoOptions())
        return source

    def _step(self, step: Step) -> _Value:
        """Add one step; return what it gives."""
        layer, x = step.layer, [self.values[i] for i in step.inputs]
        keeps = isinstance(layer, (MaxPool2D, AveragePool2D, Flatten))
        scale, zero = (
            (x[0].scale, x[0].zero) if keeps else _FIXED.get(type(layer)) or self.seen[step.index + 1].scale_and_zero()
        )
        if isinstance(layer, (Dense, Conv2D, DepthwiseConv2D)):
            return self._weighted(step, layer, x[0], scale, zero)
        options: Options = NoOptions()
        op = _OPS.get(type(layer), "")
        if isinstance(layer, (MaxPool2D, AveragePool2D)):
            options = Pool2DOptions(*layer.kernel, *layer.stride, layer.padding)
        elif isinstance(layer, Softmax):
            options = SoftmaxOptions()
        elif isinstance(layer, Relu):
            op = "relu" if layer.max_value is None else "relu6"
        elif isinstance(layer, LeakyRelu):
            options = LeakyReluOptions(layer.slope)
        elif isinstance(layer, Residual):
            options = ElementwiseOptions(layer.activation)
        y = self._activation(layer.name, step.y_shape, scale, zero)
        self._call(op, layer.name, tuple(value.tensor for value in x), y.tensor, options)
        return y

    def _weighted(self, step: Step, layer: Dense | Conv2D | DepthwiseConv2D, x: _Value, scale: np.float32, zero: int) -> _Value:
        small = self.small_sums and isinstance(layer, Conv2D) and layer.w[0].size <= _FEW_WEIGHTS
        codes = quantize_weights(
            np.moveaxis(layer.w, -1, 0) if isinstance(layer, DepthwiseConv2D) else layer.w,
            layer.bias,
            x.scale,
            scale,
            per_channel=self.per_channel,
            where=step.label,
            least_scale=small_sum_scales(layer.w, layer.bias, x.scale, x.zero, scale) if small else None,
        )
        bias = Tensor(f"{layer.name}/bias", codes.bias.shape, INT32, codes.bias_scale, 0, 0, codes.bias)
        options: Options
        if isinstance(layer, DepthwiseConv2D):
            data, axis, op = np.ascontiguousarray(np.moveaxis(codes.w, 0, -1)), 3, "depthwise_conv2d"
        else:
            data, axis, op = codes.w, 0, "dense" if isinstance(layer, Dense) else "conv2d"
        if isinstance(layer, Dense):
            options = DenseOptions(layer.activation)
        else:
            options = Conv2DOptions(*layer.stride, *layer.dilation, layer.padding, layer.activation)
        w = Tensor(f"{layer.name}/weights", data.shape, INT8, codes.scale, 0, axis, data)
        inputs = x.tensor, self._constant(w), self._constant(bias)
        y = self._activation(layer.name, step.y_shape, scale, zero)
        self._call(op, layer.name, inputs, y.tensor, options)
        return y

    def _activation(self, name: str, shape: tuple[int, ...], scale: np.float32, zero: int) -> _Value:
        return _Value(self._add(Tensor(name, (1, *shape), INT8, np.array([scale], np.float32), zero)), scale, zero)

    def _constant(self, tensor: Tensor) -> int:
        assert tensor.data is not None
        tensor.data.setflags(write=False)
        return self._add(tensor)

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _call(self, op: str, name: str, inputs: tuple[int, ...], output: int, options: Options) -> int:
        self.layers.append(Layer(op, name, inputs, (output,), options))
        return output
