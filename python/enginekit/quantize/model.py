"""Builds the int8 graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import QuantError
from engine.graph import (
    Conv2DOptions,
    DenseOptions,
    Graph,
    Layer,
    NoOptions,
    Options,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from engine.model import Model
from engine.network import AveragePool2D, Conv2D, Dense, MaxPool2D, Network, NetworkLayer, Relu, Softmax
from enginekit.quantize.calibrate import Range, check_data, ranges
from enginekit.quantize.chain import fuse
from enginekit.quantize.weights import quantize_weights, small_sum_scales
from enginekit.shapes import check_network, label, output_shapes

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


@dataclass
class _Builder:
    """Makes the graph tensor by tensor; `_scale` and `_zero` describe the activation that the next layer reads."""

    network: Network
    seen: list[Range]
    per_channel: bool
    float_edges: bool
    small_sums: bool
    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    _scale: np.float32 = field(init=False)
    _zero: int = field(init=False)

    def graph(self) -> Graph:
        shapes = [self.network.input_shape, *output_shapes(self.network)]
        self._scale, self._zero = self.seen[0].scale_and_zero()
        x = source = self._input(shapes[0])
        for index, layer in enumerate(self.network.layers):
            x = self._layer(index, layer, x, shapes[index + 1])
        if self.float_edges:
            last = self._add(Tensor("output", (1, *shapes[-1]), FLOAT32))
            x = self._call("dequantize", "dequantize", (x,), last, NoOptions())
        return Graph(self.network.name, tuple(self.tensors), tuple(self.layers), (source,), (x,))

    def _input(self, shape: tuple[int, ...]) -> int:
        if not self.float_edges:
            return self._activation("input", shape)
        return self._add(Tensor("input", (1, *shape), FLOAT32))

    def _layer(self, index: int, layer: NetworkLayer, x: int, shape: tuple[int, ...]) -> int:
        """Add one layer that reads tensor `x`; return the tensor that it writes."""
        if self.float_edges and index == 0:
            inner = self._activation("input_int8", self.network.input_shape)
            x = self._call("quantize", "quantize", (x,), inner, NoOptions())
        if isinstance(layer, (Dense, Conv2D)):
            return self._weighted(index, layer, x, shape)
        if isinstance(layer, (MaxPool2D, AveragePool2D)):
            op = "max_pool2d" if isinstance(layer, MaxPool2D) else "average_pool2d"
            options: Options = Pool2DOptions(*layer.kernel, *layer.stride, layer.padding)
        elif isinstance(layer, Softmax):
            op, options = "softmax", SoftmaxOptions()
            self._scale, self._zero = np.float32(1 / 256), -128
        elif isinstance(layer, Relu):
            op, options = "relu" if layer.max_value is None else "relu6", NoOptions()
            self._scale, self._zero = self.seen[index + 1].scale_and_zero()
        else:
            op, options = "reshape", NoOptions()
        return self._call(op, layer.name, (x,), self._activation(layer.name, shape), options)

    def _weighted(self, index: int, layer: Dense | Conv2D, x: int, shape: tuple[int, ...]) -> int:
        scale_x, zero_x = self._scale, self._zero
        self._scale, self._zero = self.seen[index + 1].scale_and_zero()
        small = self.small_sums and isinstance(layer, Conv2D) and layer.w[0].size <= _FEW_WEIGHTS
        least = small_sum_scales(layer.w, layer.bias, scale_x, zero_x, self._scale) if small else None
        codes = quantize_weights(
            layer.w,
            layer.bias,
            scale_x,
            self._scale,
            per_channel=self.per_channel,
            where=label(self.network, index),
            least_scale=least,
        )
        w = self._constant(f"{layer.name}/weights", codes.w, codes.scale)
        bias = self._constant(f"{layer.name}/bias", codes.bias, codes.bias_scale)
        y = self._activation(layer.name, shape)
        if isinstance(layer, Dense):
            return self._call("dense", layer.name, (x, w, bias), y, DenseOptions(layer.activation))
        options = Conv2DOptions(*layer.stride, *layer.dilation, layer.padding, layer.activation)
        return self._call("conv2d", layer.name, (x, w, bias), y, options)

    def _activation(self, name: str, shape: tuple[int, ...]) -> int:
        scale = np.array([self._scale], np.float32)
        return self._add(Tensor(name, (1, *shape), INT8, scale, self._zero))

    def _constant(self, name: str, data: NDArray[np.int8] | NDArray[np.int32], scale: NDArray[np.float32]) -> int:
        data.setflags(write=False)
        return self._add(Tensor(name, data.shape, data.dtype, scale, 0, 0, data))

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _call(self, op: str, name: str, inputs: tuple[int, ...], output: int, options: Options) -> int:
        self.layers.append(Layer(op, name, inputs, (output,), options))
        return output
