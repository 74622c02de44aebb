"""The plain JSON form of a float network: readable by people, writable by any program.

One object::

    {
      "name": "digits",                      optional
      "input_shape": [28, 28, 1],            without batch: [features] or [height, width, channels]
      "layers": [ ... ]                      in order
    }

Every layer is an object with a "type" and an optional "name":

=================  ===================================================================================================
type               other keys (those in brackets are optional, with their defaults)
=================  ===================================================================================================
"dense"            "weights" [out][in], ["bias" [out]: zeros], ["activation": "none"]
"conv2d"           "weights" [out][kernel_h][kernel_w][in], ["bias" [out]: zeros], ["stride": 1], ["dilation": 1],
                   ["padding": "valid"], ["activation": "none"]
"max_pool2d"       "kernel", ["stride": as kernel], ["padding": "valid"]
"average_pool2d"   "kernel", ["stride": as kernel], ["padding": "valid"]
"flatten"
"relu"             ["max_value": null], or 6
"softmax"
=================  ===================================================================================================

Kernels, strides and dilations are an integer or [height, width]; "padding" is "valid" or "same"; "activation" is "none",
"relu", "relu6" or "softmax". Unknown keys are refused. Numbers are float32; NaN and infinity are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError, UnsupportedError
from engine.graph import Activation, Padding
from engine.network import AveragePool2D, Conv2D, Dense, Flatten, MaxPool2D, Network, NetworkLayer, Relu, Softmax
from enginekit.shapes import check_network


def from_json(source: str | Path | Mapping[str, Any]) -> Network:
    """Read a network in the plain JSON form (see the module's documentation).

    Parameters
    ----------
    source : path or mapping
        A file, or what ``json.load`` made of one.

    Returns
    -------
    Network
        Checked: shapes fit, weights are finite.

    Raises
    ------
    FormatError
        Names the file and the place in it, such as ``layers[2].weights[0][3]``, and what was expected there.

    Examples
    --------
    >>> layer = {"type": "dense", "weights": [[1, 2], [3, 4]], "activation": "relu"}
    >>> from_json({"input_shape": [2], "layers": [layer]}).layers[0].bias
    array([0., 0.], dtype=float32)
    """
    if isinstance(source, Mapping):
        return _network(source, "network")
    path = Path(source)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FormatError(f"{path}: line {error.lineno} column {error.colno}: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: not a JSON text: {error}") from error
    try:
        return _network(value, path.stem)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def to_json(network: Network) -> str:
    """Write `network` in the plain JSON form; :func:`from_json` gives back the same bits.

    Examples
    --------
    >>> print(to_json(Network("n", (4,), (Relu("r", max_value=6.0),))))
    {
      "name": "n",
      "input_shape": [4],
      "layers": [
        {"type": "relu", "name": "r", "max_value": 6.0}
      ]
    }
    """
    layers = ",\n    ".join(json.dumps(_describe(layer), allow_nan=False) for layer in network.layers)
    return (
        f'{{\n  "name": {json.dumps(network.name)},\n  "input_shape": {json.dumps(list(network.input_shape))},\n'
        f'  "layers": [\n    {layers}\n  ]\n}}'
    )


class _Fields:
    """The keys of one JSON object at a known place: each is taken once, and what remains is refused."""

    def __init__(self, value: object, place: str):
        if not isinstance(value, Mapping):
            raise FormatError(f"{place}: expected an object, got {_shown(value)}")
        self.place = place
        self._rest = dict(value)

    def take(self, key: str, default: Any = ...) -> Any:
        """Return the value of `key`, or `default`; without one the key must be there."""
        if key not in self._rest and default is ...:
            raise FormatError(f'{self.place}: "{key}" is missing')
        return self._rest.pop(key, default)

    def done(self) -> None:
        """Refuse keys that nobody took: a misspelt one must not be ignored."""
        if self._rest:
            raise FormatError(f"{self.place}: unknown key {json.dumps(next(iter(self._rest)))}")

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.take(key, default)
        if value not in choices:
            raise FormatError(f"{self.place}.{key}: expected one of {', '.join(choices)}; got {_shown(value)}")
        return str(value)

    def text(self, key: str, default: str) -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            raise FormatError(f"{self.place}.{key}: expected a text, got {_shown(value)}")
        return value

    def pair(self, key: str, default: Any = ...) -> tuple[int, int]:
        value = self.take(key, default)
        both = value if isinstance(value, (list, tuple)) else [value, value]
        if len(both) != 2 or not all(_is_size(size) for size in both):
            raise FormatError(f"{self.place}.{key}: expected a positive integer or two, got {_shown(value)}")
        return (int(both[0]), int(both[1]))

    def array(self, key: str, rank: int) -> NDArray[np.float32]:
        return _array(self.take(key), rank, f"{self.place}.{key}")

    def bias(self, outputs: int) -> NDArray[np.float32]:
        value = self.take("bias", None)
        return np.zeros(outputs, np.float32) if value is None else _array(value, 1, f"{self.place}.bias")


def _network(value: object, name: str) -> Network:
    fields = _Fields(value, "network")
    name = fields.text("name", name)
    shape = fields.take("input_shape")
    if not isinstance(shape, list) or not shape or not all(_is_size(size) for size in shape):
        raise FormatError(f"network.input_shape: expected a list of positive integers, got {_shown(shape)}")
    entries = fields.take("layers")
    if not isinstance(entries, list) or not entries:
        raise FormatError(f"network.layers: expected a list of layers, got {_shown(entries)}")
    fields.done()
    layers: list[NetworkLayer] = []
    for index, entry in enumerate(entries):
        layers += _layer(_Fields(entry, f"layers[{index}]"), index)
    network = Network(name, tuple(shape), tuple(layers))
    check_network(network)
    return network


def _layer(fields: _Fields, index: int) -> list[NetworkLayer]:
    kind = fields.choice("type", "", tuple(_READERS))
    name = fields.text("name", f"{kind}_{index}")
    layers = _READERS[kind](fields, name)
    fields.done()
    return layers


def _activation(fields: _Fields, name: str) -> tuple[Activation, list[NetworkLayer]]:
    """Give the fused activation and the layers that follow: softmax is a layer of its own."""
    value = fields.choice("activation", "none", ("none", "relu", "relu6", "softmax"))
    if value == "softmax":
        return Activation.NONE, [Softmax(f"{name}_softmax")]
    return Activation(value), []


def _dense(fields: _Fields, name: str) -> list[NetworkLayer]:
    w = fields.array("weights", 2)
    activation, after = _activation(fields, name)
    return [Dense(name, w, fields.bias(w.shape[0]), activation), *after]


def _conv2d(fields: _Fields, name: str) -> list[NetworkLayer]:
    w = fields.array("weights", 4)
    activation, after = _activation(fields, name)
    stride, dilation = fields.pair("stride", 1), fields.pair("dilation", 1)
    return [Conv2D(name, w, fields.bias(w.shape[0]), stride, dilation, _padding(fields), activation), *after]


def _max_pool2d(fields: _Fields, name: str) -> list[NetworkLayer]:
    kernel = fields.pair("kernel")
    return [MaxPool2D(name, kernel, fields.pair("stride", kernel), _padding(fields))]


def _average_pool2d(fields: _Fields, name: str) -> list[NetworkLayer]:
    kernel = fields.pair("kernel")
    return [AveragePool2D(name, kernel, fields.pair("stride", kernel), _padding(fields))]


def _relu(fields: _Fields, name: str) -> list[NetworkLayer]:
    limit = fields.take("max_value", None)
    if limit is not None and (isinstance(limit, bool) or limit != 6):
        raise FormatError(f"{fields.place}.max_value: expected null or 6, got {_shown(limit)}")
    return [Relu(name, None if limit is None else 6.0)]


_READERS: dict[str, Callable[[_Fields, str], list[NetworkLayer]]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "average_pool2d": _average_pool2d,
    "flatten": lambda _, name: [Flatten(name)],
    "relu": _relu,
    "softmax": lambda _, name: [Softmax(name)],
}


def _padding(fields: _Fields) -> Padding:
    return Padding(fields.choice("padding", "valid", ("valid", "same")))


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _shown(value: object) -> str:
    """Show a JSON value in a message, shortened."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _array(value: object, rank: int, place: str) -> NDArray[np.float32]:
    """Turn nested lists of numbers into float32, naming the first place that is none or out of range."""
    numbers: list[float] = []
    shape = _collect(value, rank, place, numbers)
    wide = np.array(numbers, np.float64)
    with np.errstate(over="ignore"):
        array = wide.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        index = "".join(f"[{int(i)}]" for i in np.unravel_index(int(bad[0]), shape))
        raise FormatError(f"{place}{index}: {wide[bad[0]]} is not a finite float32")
    return array.reshape(shape)


def _collect(value: object, rank: int, place: str, numbers: list[float]) -> tuple[int, ...]:
    """Append the numbers of nested lists of depth `rank` to `numbers` and return their shape."""
    if rank == 0:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FormatError(f"{place}: expected a number, got {_shown(value)}")
        try:
            numbers.append(float(value))
        except OverflowError:
            numbers.append(math.inf)
        return ()
    if not isinstance(value, (list, tuple)) or not value:
        raise FormatError(f"{place}: expected a list{' of lists' if rank > 1 else ''}, got {_shown(value)}")
    first = _collect(value[0], rank - 1, f"{place}[0]", numbers)
    for index, item in enumerate(value[1:], start=1):
        shape = _collect(item, rank - 1, f"{place}[{index}]", numbers)
        if shape != first:
            raise FormatError(f"{place}[{index}]: has shape {list(shape)} but {place}[0] has {list(first)}")
    return (len(value), *first)


def _describe(layer: NetworkLayer) -> dict[str, Any]:
    """Turn a layer into the JSON object that reads back as it."""
    kind = next((name for name, cls in _TYPES.items() if isinstance(layer, cls)), None)
    if kind is None:
        raise UnsupportedError(
            f"layer {layer.name!r}: {type(layer).__name__} has no JSON form; supported: {', '.join(sorted(_TYPES))}; "
            "save the trained network with Sequential.save, or the quantized model as .tflite"
        )
    about: dict[str, Any] = {"type": kind, "name": layer.name}
    if isinstance(layer, (Dense, Conv2D)):
        about |= {"activation": layer.activation.value}
    if isinstance(layer, Conv2D):
        about |= {"stride": list(layer.stride), "dilation": list(layer.dilation), "padding": layer.padding.value}
    if isinstance(layer, (MaxPool2D, AveragePool2D)):
        about |= {"kernel": list(layer.kernel), "stride": list(layer.stride), "padding": layer.padding.value}
    if isinstance(layer, Relu):
        about |= {"max_value": layer.max_value}
    if isinstance(layer, (Dense, Conv2D)):
        about |= {"weights": _plain(layer.w), "bias": _plain(layer.bias)}
    return about


_TYPES: dict[str, type] = {
    "dense": Dense,
    "conv2d": Conv2D,
    "max_pool2d": MaxPool2D,
    "average_pool2d": AveragePool2D,
    "flatten": Flatten,
    "relu": Relu,
    "softmax": Softmax,
}


def _plain(array: NDArray[np.float32]) -> Any:
    """Nested lists of the shortest decimals that read back as the same float32."""
    shortest = np.array([float(text) for text in array.ravel().astype(str)], np.float64)
    return shortest.reshape(array.shape).tolist()
