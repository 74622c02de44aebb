"""What a network is made of, as data: frozen descriptions that :class:`engine.training.Sequential` builds from.

Sizes may be one number or a pair (vertical, horizontal); padding is "valid" or "same"; activation None, "relu" or "relu6".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from engine import _arguments as check
from engine.graph import Activation, Padding

Size = int | tuple[int, int]

#: Names of initializations; the default is He for a layer with a ReLU of its own and Glorot for others.
INITIALIZATIONS = ("he_uniform", "he_normal", "glorot_uniform", "glorot_normal")

E = TypeVar("E", Activation, Padding)


def _pair(layer: str, name: str, value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{layer}: {name} has {len(pair)} numbers; expected one, or two (vertical, horizontal)")
    return check.integer(layer, name, pair[0], 1, 65535), check.integer(layer, name, pair[1], 1, 65535)


def _choice(layer: str, name: str, value: Any, choices: tuple[E, ...]) -> E:
    for choice in choices:
        if value is choice or value == choice.value:
            return choice
    spelled = ", ".join(repr(choice.value) for choice in choices)
    raise ValueError(f"{layer}: {name} is {value!r}; expected one of {spelled}")


def _activation(layer: str, value: Any) -> Activation:
    if value in ("softmax", "Softmax"):
        raise ValueError(f"{layer}: activation is {value!r}; expected a layer Softmax() of its own after this one")
    choices = (Activation.NONE, Activation.RELU, Activation.RELU6)
    return Activation.NONE if value is None else _choice(layer, "activation", value, choices)


def _padding(layer: str, value: Any) -> Padding:
    return _choice(layer, "padding", value, (Padding.VALID, Padding.SAME))


def _init(layer: str, value: str | None, activation: Activation) -> str:
    default = "glorot_uniform" if activation is Activation.NONE else "he_uniform"
    name = default if value is None else value
    if name not in INITIALIZATIONS:
        raise ValueError(f"{layer}: init is {value!r}; expected one of {', '.join(map(repr, INITIALIZATIONS))}")
    return name


class Layer:
    """Base of all layers; after construction every field has its canonical type (pairs, enums)."""

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Dense(Layer):
    """``y = activation(w @ x + bias)`` on a vector.

    Parameters
    ----------
    units : int
        Outputs, in ``[1, 65535]``.
    activation : None, "relu" or "relu6"
    init : str, optional
        One of :data:`INITIALIZATIONS`; biases start at 0.
    """

    units: int
    activation: Activation | str | None = None
    init: str | None = None

    def __post_init__(self) -> None:
        activation = _activation("Dense", self.activation)
        units = check.integer("Dense", "units", self.units, 1, 65535)
        self._set(units=units, activation=activation, init=_init("Dense", self.init, activation))


@dataclass(frozen=True)
class Conv2D(Layer):
    """2-D convolution of an image [height, width, channels].

    Parameters
    ----------
    filters : int
        Output channels, in ``[1, 65535]``.
    kernel : int or (int, int)
    stride, dilation : int or (int, int), default 1
    padding : "valid" or "same"
    activation : None, "relu" or "relu6"
    init : str, optional
        One of :data:`INITIALIZATIONS`; biases start at 0.
    """

    filters: int
    kernel: Size
    stride: Size = 1
    padding: Padding | str = "valid"
    dilation: Size = 1
    activation: Activation | str | None = None
    init: str | None = None

    def __post_init__(self) -> None:
        activation = _activation("Conv2D", self.activation)
        self._set(
            filters=check.integer("Conv2D", "filters", self.filters, 1, 65535),
            kernel=_pair("Conv2D", "kernel", self.kernel),
            stride=_pair("Conv2D", "stride", self.stride),
            padding=_padding("Conv2D", self.padding),
            dilation=_pair("Conv2D", "dilation", self.dilation),
            activation=activation,
            init=_init("Conv2D", self.init, activation),
        )


@dataclass(frozen=True)
class Pool2D(Layer):
    """Base of the pools."""

    kernel: Size
    stride: Size | None = None
    padding: Padding | str = "valid"

    def __post_init__(self) -> None:
        name = type(self).__name__
        stride = self.kernel if self.stride is None else self.stride
        self._set(kernel=_pair(name, "kernel", self.kernel), stride=_pair(name, "stride", stride))
        self._set(padding=_padding(name, self.padding))


class MaxPool2D(Pool2D):
    """Max pool of an image; `stride` is the kernel's size unless given, `padding` "valid" or "same"."""


class AveragePool2D(Pool2D):
    """Average pool over the taps inside the image; `stride` is the kernel's size unless given."""


@dataclass(frozen=True)
class Flatten(Layer):
    """Image to vector, row-major."""


@dataclass(frozen=True)
class Relu(Layer):
    """``min(max(x, 0), max_value)`` as a layer of its own; ``max_value=6`` is ReLU6, None is no limit."""

    max_value: float | None = None

    def __post_init__(self) -> None:
        value = self.max_value
        if value is not None and (isinstance(value, bool | str) or not 0 < float(value) < float("inf")):
            raise ValueError(f"Relu: max_value is {value!r}; expected None or a positive finite number")
        self._set(max_value=None if value is None else float(value))


@dataclass(frozen=True)
class Softmax(Layer):
    """Softmax over the last dimension; at the end of a network trained with SoftmaxCrossEntropy it costs no accuracy."""


@dataclass(frozen=True)
class DepthwiseConv2D(Layer):
    """2-D convolution of each channel with kernels of its own.

    Parameters
    ----------
    kernel : int or (int, int)
    multiplier : int
        Kernels, and so outputs, for each channel.
    stride, dilation : int or (int, int), default 1
    padding : "valid" or "same"
    activation : None, "relu" or "relu6"
    init : str, optional
        One of :data:`INITIALIZATIONS`; biases start at 0.
    """

    kernel: Size
    multiplier: int = 1
    stride: Size = 1
    padding: Padding | str = "valid"
    dilation: Size = 1
    activation: Activation | str | None = None
    init: str | None = None

    def __post_init__(self) -> None:
        name = "DepthwiseConv2D"
        activation = _activation(name, self.activation)
        self._set(
            kernel=_pair(name, "kernel", self.kernel),
            multiplier=check.integer(name, "multiplier", self.multiplier, 1, 65535),
            stride=_pair(name, "stride", self.stride),
            padding=_padding(name, self.padding),
            dilation=_pair(name, "dilation", self.dilation),
            activation=activation,
            init=_init(name, self.init, activation),
        )


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalization of each channel, by the batch's statistics in training and by running ones in inference.

    Parameters
    ----------
    momentum : float
        Of the running statistics, in ``[0, 1)``.
    epsilon : float
        Added to the variance, above 0.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        check.number("BatchNorm", "momentum", self.momentum, 0, 1)
        check.number("BatchNorm", "epsilon", self.epsilon, 0, math.inf, open_lo=True)


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, sets a share `rate` in ``[0, 1)`` of the elements to 0 and scales the others by 1 / (1 - rate)."""

    rate: float = 0.5

    def __post_init__(self) -> None:
        check.number("Dropout", "rate", self.rate, 0, 1)


@dataclass(frozen=True)
class LeakyRelu(Layer):
    """``x`` above 0, ``slope * x`` below; slope of at least 0."""

    slope: float = 0.3

    def __post_init__(self) -> None:
        check.number("LeakyRelu", "slope", self.slope, 0, math.inf)


@dataclass(frozen=True)
class Elu(Layer):
    """``x`` above 0, ``alpha * (e^x - 1)`` below; alpha above 0."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check.number("Elu", "alpha", self.alpha, 0, math.inf, open_lo=True)


@dataclass(frozen=True)
class Tanh(Layer):
    """Hyperbolic tangent."""


@dataclass(frozen=True)
class Sigmoid(Layer):
    """``1 / (1 + e^-x)``; at the end of a network trained with BinaryCrossEntropy it costs no accuracy."""


@dataclass(frozen=True)
class Softplus(Layer):
    """``log(1 + e^x)``."""


@dataclass(frozen=True)
class Exponential(Layer):
    """``e^x``."""


@dataclass(frozen=True)
class Residual(Layer):
    """Two branches from the same input, added: ``activation(layers(x) + shortcut(x))``.

    Parameters
    ----------
    layers : sequence of Layer
        The one branch, at least one layer.
    shortcut : sequence of Layer
        The other; empty passes the input on.
    activation : None, "relu" or "relu6"
        Of the sum.
    """

    layers: Sequence[Layer]
    shortcut: Sequence[Layer] = ()
    activation: Activation | str | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "shortcut"):
            branch = getattr(self, name)
            if not isinstance(branch, list | tuple) or not all(isinstance(layer, Layer) for layer in branch):
                raise TypeError(f"Residual: {name} is {branch!r}; expected a sequence of layers")
        if not self.layers:
            raise ValueError("Residual: layers is empty; expected at least one layer")
        activation = _activation("Residual", self.activation)
        self._set(layers=tuple(self.layers), shortcut=tuple(self.shortcut), activation=activation)


KINDS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        Dense,
        Conv2D,
        DepthwiseConv2D,
        BatchNorm,
        Dropout,
        MaxPool2D,
        AveragePool2D,
        Flatten,
        Relu,
        LeakyRelu,
        Elu,
        Tanh,
        Sigmoid,
        Softplus,
        Exponential,
        Softmax,
        Residual,
    )
}
