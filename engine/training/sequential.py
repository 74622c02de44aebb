"""The network that trains: a chain of layers with parameters, fit, evaluate, predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import kernels_f32, network
from engine.training import conversion, fitting, stepping
from engine.training.building import OPERATIONS, build
from engine.training.callbacks import Callback
from engine.training.fitting import History
from engine.training.layers import Layer
from engine.training.losses import MSE, Loss, SoftmaxCrossEntropy, check_finite
from engine.training.metrics import Metrics
from engine.training.operations import Mode, Operation, mode_of
from engine.training.optimizers import Adam, Optimizer

Array = NDArray[np.float32]


class Sequential:
    """A chain of float layers.

    Parameters
    ----------
    input_shape : tuple of int
        Without batch: ``(784,)`` or ``(28, 28, 1)``.
    layers : sequence of Layer
        :class:`Dense`, :class:`Conv2D`, :class:`MaxPool2D`, ...; at least one.
    seed : int
        Of the initial weights, in ``[0, 2**32)``: the same seed gives the same bits on every machine.
    name : str
        Name of the network.

    Raises
    ------
    TypeError, ValueError
        Naming the layer, if the chain does not fit together.

    Notes
    -----
    Buffers are kept between calls: one thread at a time.

    >>> from engine.training import layers
    >>> net = Sequential((784,), [layers.Dense(32, activation="relu"), layers.Dense(10)])
    >>> net.output_shape, net.parameter_count
    ((10,), 25450)
    """

    def __init__(self, input_shape: Sequence[int], layers: Sequence[Layer], *, seed: int = 0, name: str = "network") -> None:
        self._build(input_shape, layers, None, seed, name)
        rng = kernels_f32.rng_seed(self.seed)
        for operation in self.operations:
            operation.initialize(rng)

    def _build(
        self, input_shape: Sequence[int], layers: Sequence[Layer], names: tuple[str, ...] | None, seed: int, name: str
    ) -> None:
        """Everything but the parameters."""
        chain = tuple(layers)
        if not chain:
            raise ValueError("Sequential: layers is empty; expected at least one layer")
        for i, layer in enumerate(chain):
            if type(layer) not in OPERATIONS:
                supported = ", ".join(kind.__name__ for kind in OPERATIONS)
                raise TypeError(f"Sequential: layers[{i}] is {layer!r}; expected one of {supported}")
        if not isinstance(input_shape, Sequence) or len(input_shape) not in (1, 3):
            raise ValueError(f"Sequential: input_shape is {input_shape!r}; expected (size,) or (height, width, channels)")
        self.input_shape = tuple(check.integer("Sequential", "input_shape", size, 1, 2**31 - 1) for size in input_shape)
        self.seed = check.integer("Sequential", "seed", seed, 0, 2**32 - 1)
        self.name = name
        self.layers = chain
        self.operations: list[Operation] = build(self.input_shape, chain, names)
        self.output_shape = self.operations[-1].y_shape
        #: Epochs finished over the network's life; decides the next epoch's sample order.
        self.epochs = 0
        #: Updates that the optimizer has made since it was new.
        self.steps = 0
        #: The last fit's optimizer, and its state by parameter and slot.
        self.optimizer: Optimizer | None = None
        self.optimizer_state: dict[str, dict[str, Array]] = {}
        #: Factor of the gradients in precision "fp16/fp16", and updates since it last changed.
        self.loss_scale = stepping.FIRST_SCALE
        self.scaled_steps = 0

    @classmethod
    def _restore(
        cls, input_shape: Sequence[int], layers: Sequence[Layer], names: tuple[str, ...], seed: int, name: str
    ) -> Sequential:
        """Make a network without parameters, for those who assign them."""
        net = cls.__new__(cls)
        net._build(input_shape, layers, names, seed, name)
        return net

    @property
    def parameters(self) -> dict[str, Array]:
        """Live arrays by ``layer/parameter``: ``conv2d/w``, ``conv2d/bias``; writing into them changes the network."""
        return {f"{op.name}/{name}": array for op in self.operations for name, array in op.parameters.items()}

    @property
    def statistics(self) -> dict[str, Array]:
        """Live arrays by ``layer/statistic``: running means and variances, which training changes without a gradient."""
        return {f"{op.name}/{name}": array for op in self.operations for name, array in op.statistics.items()}

    @property
    def gradients(self) -> dict[str, Array]:
        """Live arrays by ``layer/parameter``: what the last update followed, clipped."""
        return {f"{op.name}/{name}": array for op in self.operations for name, array in op.gradients.items()}

    @property
    def parameter_count(self) -> int:
        """Weights and biases in all."""
        return sum(array.size for array in self.parameters.values())

    # ------------------------------------------------------------------------------------------------ public work

    def fit(
        self,
        x: Array,
        y: NDArray[Any],
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        epochs: int = 1,
        batch_size: int = 32,
        validation: tuple[Array, NDArray[Any]] | None = None,
        seed: int | None = None,
        progress: bool = True,
        callbacks: Sequence[Callback] = (),
        sample_weight: Array | None = None,
        class_weight: Mapping[int, float] | None = None,
        threads: int = 1,
        precision: str = "fp32/fp32",
    ) -> History:
        """Train.

        Parameters
        ----------
        x : float32[n, *input_shape]
            Finite.
        y : integers[n] or float32[n, *output_shape]
            Labels for :class:`SoftmaxCrossEntropy`, targets for :class:`MSE`.
        loss : Loss
            By default SoftmaxCrossEntropy for integer `y` and MSE for float.
        optimizer : Optimizer
            By default ``Adam()``. One that equals the last fit's goes on with its state, another starts afresh.
        epochs, batch_size : int
            At least 1. The last batch of an epoch may be smaller.
        validation : (x, y), optional
            Measured after each epoch.
        seed : int, optional
            Of the order of samples, reshuffled each epoch; by default the network's. Two fits of 5 epochs give the same bits
            as one of 10.
        progress : bool
            Show a progress bar if stderr is a terminal and rich is installed.
        callbacks : sequence of Callback
            See :mod:`engine.training.callbacks`.
        sample_weight : float32[n], optional
            Factors, at least 0, of each sample's loss and gradient.
        class_weight : mapping of label to float, optional
            The same for the samples of a label; 1 for labels that are not in it.
        threads : int
            Threads that share a batch, in [1, 1024]; no bit depends on it.
        precision : "fp32/fp32", "fp16/fp32" or "fp16/fp16"
            Of the forward and the backward pass. In fp16 every stored value is rounded to IEEE half, and so is every product
            and every partial sum of dense layers and convolutions; other layers and the loss compute in float and round what
            they store. In "fp16/fp32" weights are rounded for the forward pass and kept in float. In "fp16/fp16" weights,
            gradients and the optimizer's state are halves too, and the gradient of the loss is scaled: by `loss_scale`, which
            halves (skipping the update) when a gradient overflows, and doubles after 1000 updates without.

        Returns
        -------
        History
            Of the finished epochs: all, or those before Ctrl-C.

        Raises
        ------
        TypeError, ValueError
            Before any work, if an argument is not as described.
        engine.errors.DivergedError
            If loss or weights become NaN or infinite; names epoch, batch and layer. The network is left as it was after the
            last finished epoch.
        """
        chosen = self._loss("fit", y, loss)
        used = Adam() if optimizer is None else optimizer
        if not isinstance(used, Optimizer):
            raise TypeError(f"fit: optimizer is {optimizer!r}; expected SGD(...) or Adam(...)")
        job = fitting.Job(
            x=self._check_x("fit", "x", x),
            y=chosen.check_targets("fit", y, len(x), self.output_shape),
            loss=chosen,
            optimizer=used,
            epochs=check.integer("fit", "epochs", epochs, 1, 2**31 - 1),
            batch_size=min(check.integer("fit", "batch_size", batch_size, 1, 2**31 - 1), len(x)),
            validation=self._check_validation(validation, chosen),
            seed=self.seed if seed is None else check.integer("fit", "seed", seed, 0, 2**32 - 1),
            progress=progress,
            callbacks=self._check_callbacks(callbacks),
            weights=self._check_weights(y, sample_weight, class_weight),
            mode=mode_of("fit", threads, precision),
        )
        self._adopt(used)
        return fitting.run(self, job)

    def evaluate(
        self,
        x: Array,
        y: NDArray[Any],
        *,
        loss: Loss | None = None,
        batch_size: int = 128,
        threads: int = 1,
        precision: str = "fp32/fp32",
    ) -> Metrics:
        """Measure mean loss and accuracy; arguments are as in :meth:`fit`."""
        mode = mode_of("evaluate", threads, precision)
        chosen = self._loss("evaluate", y, loss)
        samples = self._check_x("evaluate", "x", x)
        targets = chosen.check_targets("evaluate", y, len(x), self.output_shape)
        size = check.integer("evaluate", "batch_size", batch_size, 1, 2**31 - 1)
        return stepping.measure(self, samples, targets, chosen, batch_size=size, mode=mode)

    def predict(self, x: Array, *, batch_size: int = 128, threads: int = 1, precision: str = "fp32/fp32") -> Array:
        """Compute the last layer's output: float32[n, *input_shape] -> float32[n, *output_shape].

        `threads` and `precision`, of which the forward half counts, are as in :meth:`fit`.
        """
        self._set_mode(mode_of("predict", threads, precision))
        samples = self._check_x("predict", "x", x)
        size = check.integer("predict", "batch_size", batch_size, 1, 2**31 - 1)
        result = np.empty((len(samples), *self.output_shape), np.float32)
        for start in range(0, len(samples), size):
            result[start : start + size] = stepping.forward(self, np.ascontiguousarray(samples[start : start + size]))
        return result

    def network(self) -> network.Network:
        """Copy the network as data: what ``enginekit.quantize`` takes."""
        return conversion.to_network(self)

    def save(self, path: str | Path) -> None:
        """Write layers, parameters, optimizer and its state to `path`; :func:`engine.training.load` goes on bit for bit."""
        from engine.training import storage  # noqa: PLC0415  storage builds networks

        storage.save(self, Path(path))

    def summary(self) -> str:
        """Return a table of layers, output shapes and parameters."""
        rows = [
            (op.name, type(op.layer).__name__, str(op.y_shape), str(sum(a.size for a in op.parameters.values())))
            for op in self.operations
        ]
        rows = [("layer", "kind", "output", "parameters"), *rows, ("total", "", "", str(self.parameter_count))]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)

    # ------------------------------------------------------------------------------------------------ checks

    def _check_x(self, function: str, name: str, x: Any) -> Array:
        if not isinstance(x, np.ndarray):
            raise TypeError(f"{function}: {name} is of type {type(x).__name__}; expected a NumPy array of float32")
        if x.dtype != np.float32:
            raise TypeError(
                f"{function}: {name} has dtype {x.dtype}; expected float32 (convert it: x.astype(np.float32), bytes also / 255)"
            )
        if x.shape[1:] != self.input_shape or len(x) < 1:
            expected = f"(n, {', '.join(map(str, self.input_shape))})"
            raise ValueError(f"{function}: {name} has shape {x.shape}; expected {expected} with n >= 1")
        check_finite(function, name, x)
        return x

    def _loss(self, function: str, y: Any, loss: Loss | None) -> Loss:
        if loss is None:
            return SoftmaxCrossEntropy() if np.asarray(y).dtype.kind in "iu" else MSE()
        if not isinstance(loss, Loss):
            raise TypeError(f"{function}: loss is {loss!r}; expected a loss such as SoftmaxCrossEntropy() or MSE()")
        return loss

    def _check_validation(self, validation: Any, loss: Loss) -> tuple[Array, NDArray[Any]] | None:
        if validation is None:
            return None
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise TypeError("fit: validation is not a pair; expected (x, y)")
        x = self._check_x("fit", "validation x", validation[0])
        return x, loss.check_targets("fit: validation", validation[1], len(x), self.output_shape)

    @staticmethod
    def _check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
        given = tuple(callbacks)
        for i, callback in enumerate(given):
            if not isinstance(callback, Callback):
                raise TypeError(f"fit: callbacks[{i}] is {callback!r}; expected an engine.training.Callback")
        return given

    @staticmethod
    def _check_weights(y: Any, samples: Any, classes: Any) -> Array | None:
        if samples is None and classes is None:
            return None
        labels = np.asarray(y)
        weights = np.ones(len(labels), np.float32)
        if samples is not None:
            weights = check.array("fit", "sample_weight", samples, np.float32, (len(labels),)).copy()
            check_finite("fit", "sample_weight", weights)
        if classes is not None and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
            raise ValueError("fit: class_weight needs integer labels in y, one a sample; use sample_weight")
        for label, weight in (classes or {}).items():
            weights[labels == label] *= np.float32(check.number("fit", f"class_weight[{label}]", weight, 0, np.inf))
        if (weights < 0).any():
            raise ValueError(f"fit: sample_weight[{int((weights < 0).argmax())}] is below 0; expected at least 0")
        return weights

    # ------------------------------------------------------------------------------------------------ steps

    def _adopt(self, optimizer: Optimizer) -> None:
        """Keep the state of an equal optimizer, make a new one for another."""
        if optimizer == self.optimizer:
            return
        self.optimizer, self.steps = optimizer, 0
        self.optimizer_state = {
            name: {slot: np.full_like(array, optimizer.start(slot)) for slot in optimizer.slots}
            for name, array in self.parameters.items()
        }

    def _set_mode(self, mode: Mode) -> None:
        for operation in self.operations:
            operation.mode = mode

    def _chain(self, loss: Loss | None) -> list[Operation]:
        """Return the operations; with `loss`, without what that absorbs."""
        absorbed = None if loss is None else loss.absorbs
        return self.operations[:-1] if absorbed and isinstance(self.layers[-1], absorbed) else self.operations


def from_network(source: network.Network, *, seed: int = 0) -> Sequential:
    """Make a trainable copy of a float network, such as an imported one.

    Parameters
    ----------
    source : engine.network.Network
    seed : int
        Of the order of samples in later fits.

    Raises
    ------
    engine.errors.UnsupportedError
        If it uses something that cannot be trained here; lists all such layers.
    """
    layers, names, parameters = conversion.from_network_layers(source)
    net = Sequential._restore(source.input_shape, layers, names, seed, source.name)
    conversion.assign(net.operations, parameters)
    return net
