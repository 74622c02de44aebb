"""Networks in a word: ``784-32-10`` or ``conv12-pool2-10``."""

from __future__ import annotations

import math
import re

from engine import training
from engine.errors import EngineError
from engine.training import Layer


class SpecError(EngineError):
    """A network's short form that cannot be read or does not fit the data."""


def build(spec: str, input_shape: tuple[int, ...], *, seed: int = 0, softmax: bool = True) -> training.Sequential:
    """Make an untrained network from its short form.

    Parameters
    ----------
    spec : str
        Parts joined by ``-``: ``convF`` convolution with F filters, 3x3, VALID, ReLU, or with ``kK`` for KxK, ``sS`` for a
        stride, ``same`` for SAME padding (``conv16k5s2same``); ``poolK`` max pool; ``avgK`` average pool; a number, a dense
        layer with so many outputs, with ReLU but for the last. A first number equal to the number of inputs stands for the
        input.
    input_shape : tuple of int
        [height, width, channels] or [height, width], taken as one channel, or [features].
    seed : int
        Of the initial weights.
    softmax : bool
        Softmax at the end, for classes.

    Returns
    -------
    training.Sequential

    Raises
    ------
    SpecError
        Says which part is wrong.

    Examples
    --------
    >>> [type(layer).__name__ for layer in build("conv4-pool2-10", (28, 28)).layers]
    ['Conv2D', 'MaxPool2D', 'Flatten', 'Dense', 'Softmax']
    """
    shape = (*input_shape, 1) if len(input_shape) == 2 else input_shape
    parts = spec.split("-")
    if not parts[0].startswith(("conv", "pool", "avg")):
        size = math.prod(shape)
        shape = (size,)
        if len(parts) > 1 and parts[0] == str(size):
            parts = parts[1:]
    if not re.fullmatch(r"[1-9]\d*", parts[-1]):
        raise SpecError(f"network {spec!r}: the last part is {parts[-1]!r}; expected the number of outputs")
    layers: list[Layer] = []
    flat = len(shape) == 1
    for index, part in enumerate(parts):
        made = _layer(spec, part, last=index == len(parts) - 1)
        if isinstance(made, training.Dense) and not flat:
            layers.append(training.Flatten())
            flat = True
        elif not isinstance(made, training.Dense) and flat:
            raise SpecError(f"network {spec!r}: {part!r} needs an image, but a vector comes in")
        layers.append(made)
    if softmax:
        layers.append(training.Softmax())
    try:
        return training.Sequential(shape, layers, seed=seed, name=spec)
    except ValueError as error:
        raise SpecError(f"network {spec!r}: {error}") from error


def _layer(spec: str, part: str, *, last: bool) -> Layer:
    if re.fullmatch(r"[1-9]\d*", part):
        return training.Dense(int(part), activation=None if last else "relu")
    if conv := re.fullmatch(r"conv([1-9]\d*)(?:k([1-9]\d*))?(?:s([1-9]\d*))?(same)?", part):
        filters, kernel, stride, same = conv.groups()
        padding = "same" if same else "valid"
        return training.Conv2D(int(filters), int(kernel or 3), int(stride or 1), padding, activation="relu")
    if pool := re.fullmatch(r"(pool|avg)([1-9]\d*)", part):
        kind = training.MaxPool2D if pool[1] == "pool" else training.AveragePool2D
        return kind(int(pool[2]))
    raise SpecError(f"network {spec!r}: cannot read {part!r}; expected a number, convF, convFkKsSsame, poolK or avgK")
