"""How well an int8 model follows its float network, layer by layer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import QuantError
from engine.graph import Graph, Layer
from engine.model import Model
from engine.network import Network
from enginekit.quantize.calibrate import check_data
from enginekit.quantize.chain import forward, fuse, steps


@dataclass(frozen=True)
class LayerReport:
    """One layer of the int8 model against the float network.

    Parameters
    ----------
    name, op : str
        As in the model's graph.
    scale, zero_point : float, int
        Of the output.
    low, high : float
        Real values that the output's codes cover.
    float_low, float_high : float
        Real values that the float network gave.
    clipped : float
        Share of the float network's values outside [low, high] by more than a code.
    sqnr : float or None
        Signal to quantization noise ratio in dB, all errors of the layers before included; infinity if there is no error,
        None if the layer's output never exists (fused with the layer after it).
    max_error : float or None
        Largest absolute error.
    weights, weights_at_limit, biases_cut : int
        Number of weights, of those with code -127 or 127, and of biases that were cut because they alone clamp the output.
    """

    name: str
    op: str
    scale: float
    zero_point: int
    low: float
    high: float
    float_low: float
    float_high: float
    clipped: float
    sqnr: float | None
    max_error: float | None
    weights: int
    weights_at_limit: int
    biases_cut: int


@dataclass(frozen=True)
class Report:
    """All layers, and over how many inputs they were measured."""

    inputs: int
    layers: tuple[LayerReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; an infinite SQNR becomes None."""
        layers = [asdict(layer) for layer in self.layers]
        for layer in layers:
            if layer["sqnr"] is not None and math.isinf(layer["sqnr"]):
                layer["sqnr"] = None
        return {"inputs": self.inputs, "layers": layers}


def measure(network: Network, model: Model, inputs: ArrayLike) -> Report:
    """Compare an int8 model with the float network that it was quantized from.

    Parameters
    ----------
    network : Network
        The argument of :func:`quantize`.
    model : Model
        Its result, possibly written to a file and read again.
    inputs : floating point [count, *input_shape]
        Calibration data or, better, other data. Memory: all activations of these inputs.

    Raises
    ------
    QuantError
        If the model does not have the network's layers, or the inputs are unusable.
    """
    fused = fuse(network)
    x = check_data(fused, inputs)
    layers = [layer for layer in model.graph.layers if layer.op not in ("quantize", "dequantize")]
    plan = steps(fused)
    if len(layers) != len(plan):
        raise QuantError(f"the model has {len(layers)} layers but network {network.name!r} has {len(plan)} after fusing")
    batches = list(forward(fused, x))
    floats = [np.concatenate([outputs[i + 1] for outputs in batches]) for i in range(len(layers))]
    codes = _codes(model, x)
    reports = (
        _layer_report(model.graph, layer, exact, codes.get(layer.outputs[0]), plan[i].layer)
        for i, (layer, exact) in enumerate(zip(layers, floats, strict=True))
    )
    return Report(len(x), tuple(reports))


def _codes(model: Model, x: NDArray[np.float32]) -> dict[int, NDArray[np.int8]]:
    """Run the model on all inputs; give what its steps wrote, by tensor."""
    traces = model.trace(_encode(model, x))
    return {step.y: trace.array for step, trace in zip(model.program.steps, traces, strict=True)}


def _encode(model: Model, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return inputs in the model's own type."""
    tensor = model.input
    if tensor.scale is None:
        return x
    scaled = x.astype(np.float64) / float(tensor.scale[0])
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + tensor.zero_point
    codes: NDArray[np.int8] = np.clip(rounded, -128, 127).astype(np.int8)
    return codes


def _layer_report(
    graph: Graph, layer: Layer, exact: NDArray[np.float32], codes: NDArray[np.int8] | None, source: Any
) -> LayerReport:
    tensor = graph.tensors[layer.outputs[0]]
    assert tensor.scale is not None
    scale, zero = float(tensor.scale[0]), tensor.zero_point
    low, high = scale * (-128 - zero), scale * (127 - zero)
    sqnr, error = (None, None) if codes is None else _noise(exact, scale * (codes.astype(np.float64) - zero))
    weights, at_limit, cut = _weight_counts(graph, layer, source)
    return LayerReport(
        name=layer.name,
        op=layer.op,
        scale=scale,
        zero_point=zero,
        low=low,
        high=high,
        float_low=float(exact.min()),
        float_high=float(exact.max()),
        clipped=float(np.mean((exact < low - scale) | (exact > high + scale))),
        sqnr=sqnr,
        max_error=error,
        weights=weights,
        weights_at_limit=at_limit,
        biases_cut=cut,
    )


def _noise(exact: NDArray[np.float32], got: NDArray[np.float64]) -> tuple[float, float]:
    """Return SQNR in dB and the largest absolute error."""
    error = got.reshape(exact.shape) - exact
    signal, noise = float(np.sum(np.square(exact, dtype=np.float64))), float(np.sum(np.square(error)))
    if noise == 0:
        return math.inf, 0.0
    ratio = 10 * math.log10(signal / noise) if signal > 0 else 0.0
    return ratio, float(np.abs(error).max())


def _weight_counts(graph: Graph, layer: Layer, source: Any) -> tuple[int, int, int]:
    if layer.op not in ("dense", "conv2d", "depthwise_conv2d"):
        return 0, 0, 0
    w, bias = (graph.tensors[index] for index in layer.inputs[1:3])
    assert w.data is not None
    assert bias.data is not None
    assert bias.scale is not None
    wanted = source.bias / bias.scale.astype(np.float64)
    cut = int(np.count_nonzero(np.abs(wanted - bias.data) > 1 + np.abs(wanted) * 1e-6))
    return w.data.size, int(np.count_nonzero(np.abs(w.data.astype(np.int16)) >= 127)), cut
