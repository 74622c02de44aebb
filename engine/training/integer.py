"""Networks that train in integers alone: int8 weights, activations and errors, the same bits on the host and on the chip.

The rule, its sources, bounds and limits are in ``csrc/include/eng/train_int.h`` and docs/training.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import kernels_f32
from engine import kernels_train_int as integers
from engine.errors import UnsupportedError
from engine.graph import Graph
from engine.model import Model
from engine.program import Rescale
from engine.rescale import fixed_point
from engine.training import integer_build, integer_graph
from engine.training.fitting import History, Interruption, sample_order
from engine.training.integer_layers import Constants, Flow, Operation, Quantization, Weighted
from engine.training.layers import Layer
from engine.training.losses import MSE, Loss, SoftmaxCrossEntropy, check_finite
from engine.training.metrics import Metrics
from engine.training.progress import Progress
from engine.training.schedules import Schedule

Codes = NDArray[np.int8]
Sums = NDArray[np.int32]

#: Units of the loss kernel in one nat.
OCTAVES = 64 / math.log(2)
#: Units of the cross-entropy kernel's gradient in one.
ONE = 2**15
#: Units of the squared error kernel's gradient in one code.
MSE_UNITS = 2**7


class IntegerSequential:
    """A chain of layers that trains in integers.

    Parameters
    ----------
    input_shape : tuple of int
        Without batch: ``(784,)`` or ``(28, 28, 1)``.
    layers : sequence of Layer
        Dense, Conv2D, MaxPool2D, Flatten, and at the end Softmax; activations None, "relu", "relu6". The last one with
        weights must be Dense without activation.
    seed : int
        Of the initial weights and of all rounding, in ``[0, 2**32)``.
    x_scale, x_zero : float, int
        Quantization of the input; the default is for pixels / 255, whose code is pixel - 128.
    activation_range : float
        Activations are at most this; rounded up to a power of two.
    weight_range : float, optional
        Weights are within this; rounded up to a power of two. By default 1 for layers of 256 inputs or more, else 2.
    name : str

    Raises
    ------
    TypeError, ValueError
        Naming the layer, if the chain does not fit together or has a layer that does not train in integers.

    Notes
    -----
    Plain stochastic gradient descent. In 5 epochs of MNIST 784-64-10 reaches 97 %, a convolution with max pool and a dense
    layer 98 %; bench/bench_training_int.py measures it.

    >>> x = np.int8([[-128, -128], [-128, 127], [127, -128], [127, 127]])
    >>> from engine.training.layers import Dense
    >>> net = IntegerSequential((2,), [Dense(16, activation="relu"), Dense(2)], seed=1)
    >>> history = net.fit(x, np.array([0, 1, 1, 0]), learning_rate=0.1, epochs=200, batch_size=4)
    >>> net.evaluate(x, np.array([0, 1, 1, 0])).accuracy
    1.0
    >>> net.model().run(x).argmax(axis=1)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        layers: Sequence[Layer],
        *,
        seed: int = 0,
        x_scale: float = 1 / 255,
        x_zero: int = -128,
        activation_range: float = 8.0,
        weight_range: float | None = None,
        name: str = "network",
    ) -> None:
        self._start(seed, name)
        ranges = integer_build.Ranges(
            check.number("IntegerSequential", "x_scale", x_scale, 0, math.inf, open_lo=True),
            check.integer("IntegerSequential", "x_zero", x_zero, -128, 127),
            check.number("IntegerSequential", "activation_range", activation_range, 0, math.inf, open_lo=True),
            weight_range and check.number("IntegerSequential", "weight_range", weight_range, 0, math.inf, open_lo=True),
        )
        self.operations: list[Operation] = integer_build.build(tuple(input_shape), layers, ranges, self.rng)
        self._body: Model | None = None
        self._base: Graph | None = None
        self._softmax = integer_build.ends_in_softmax(layers)

    def _start(self, seed: int, name: str) -> None:
        self.seed = check.integer("IntegerSequential", "seed", seed, 0, 2**32 - 1)
        self.name = name
        #: State of the generator that all rounding draws from: uint32[4].
        self.rng: NDArray[np.uint32] = kernels_f32.rng_seed(self.seed)
        #: Epochs finished over the network's life; decides the next epoch's sample order.
        self.epochs = 0
        #: Steps made over the network's life.
        self.steps = 0

    @classmethod
    def from_model(cls, model: Model, *, layers: int = 1, seed: int = 0, headroom: float = 2.0) -> IntegerSequential:
        """Make the last dense layers of an int8 model trainable; what comes before them stays as it is.

        Parameters
        ----------
        model : Model
            Ends in dense layers, a softmax or the like may follow.
        layers : int
            How many of them, counted from the end.
        seed : int
            Of all rounding.
        headroom : float
            At least 1: the range of the trained weights, and of the last layer's outputs, is so many times what it was. The
            weights' codes lose the bits that this takes, their masters lose nothing.

        Returns
        -------
        IntegerSequential
            It takes the model's input.

        Raises
        ------
        UnsupportedError
            If the model has no such layers at its end; names what is there.
        """
        net = cls.__new__(cls)
        net._start(seed, model.graph.name or "network")
        count = check.integer("from_model", "layers", layers, 1, 65535)
        room = check.number("from_model", "headroom", headroom, 1, 128)
        body, net.operations = integer_graph.split(model.graph, count, room)
        net._body, net._base, net._softmax = (None if body is None else Model(body)), model.graph, False
        return net

    @property
    def body(self) -> Model | None:
        """What runs before the layers that are trained; None if all of them are."""
        return self._body

    @property
    def tail(self) -> Model | None:
        """What runs behind the layers that are trained; None if nothing does."""
        count = len(self.operations) if self._base is None else None
        graph = integer_graph.tail(self.model().graph, len(self.layers), count)
        return None if graph is None else Model(graph)

    @property
    def layers(self) -> list[Weighted]:
        """The layers that are trained."""
        return [op for op in self.operations if isinstance(op, Weighted)]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input, without batch."""
        return self.operations[0].x_shape if self._body is None else self._body.input.shape[1:]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output, without batch."""
        return self.operations[-1].y_shape

    # ------------------------------------------------------------------------------------------------ public work

    def fit(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        *,
        loss: Loss | None = None,
        learning_rate: float | Schedule = 0.05,
        epochs: int = 1,
        batch_size: int = 32,
        validation: tuple[NDArray[Any], NDArray[Any]] | None = None,
        seed: int | None = None,
        progress: bool = True,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : int8[n, *input_shape] or float32[n, *input_shape]
            Codes, or real numbers that are quantized as ``Model.predict`` does.
        y : integers[n], int8[n, outputs] or float32[n, outputs]
            Labels for :class:`SoftmaxCrossEntropy`; for :class:`MSE` targets, as output codes or as real numbers.
        loss : SoftmaxCrossEntropy or MSE
            By default SoftmaxCrossEntropy for labels and MSE for targets.
        learning_rate : float or Schedule
            Positive; used to within 2**-8 of it.
        epochs, batch_size : int
            At least 1. An epoch's last batch may be smaller; its gradient is divided by `batch_size` all the same.
        validation : (x, y), optional
            Measured after each epoch.
        seed : int, optional
            Of the order of samples, reshuffled each epoch; by default the network's.
        progress : bool
            Show a progress bar if stderr is a terminal and rich is installed.

        Returns
        -------
        History
            Of the finished epochs: all, or those before Ctrl-C.

        Raises
        ------
        TypeError, ValueError
            Before any work, if an argument is not as described.
        """
        chosen, samples, targets = self._check("fit", x, y, loss)
        held = None if validation is None else self._check("fit: validation", *self._pair(validation), chosen)[1:]
        total = check.integer("fit", "epochs", epochs, 1, 2**31 - 1)
        size = self._check_batch("fit", batch_size)
        rate = _schedule("fit", learning_rate)
        order_seed = self.seed if seed is None else check.integer("fit", "seed", seed, 0, 2**32 - 1)
        history = History()
        with Interruption() as stop, Progress(enabled=progress, epochs=total, batches=-(-len(samples) // size)) as bar:
            for epoch in range(1, total + 1):
                start = time.perf_counter()
                tally = _Tally()
                order = sample_order(order_seed, self.epochs, len(samples))
                for at in range(0, len(samples), size):
                    if stop.requested:
                        history.interrupted = True
                        return history
                    index = order[at : at + size]
                    tally.add(*self._train(samples[index], targets[index], chosen, rate(self.steps), size))
                    bar.advance(epoch, vars(tally.metrics()))
                self.epochs += 1
                after = None if held is None else self._measure(*held, chosen, 256)
                history.add(tally.metrics(), after, time.perf_counter() - start)
        return history

    def train_batch(
        self, x: NDArray[Any], y: NDArray[Any], *, loss: Loss | None = None, learning_rate: float = 0.05
    ) -> Metrics:
        """Make one step by one batch; arguments as for :meth:`fit`. Returns what the batch gave before the step."""
        chosen, samples, targets = self._check("train_batch", x, y, loss)
        size = self._check_batch("train_batch", len(samples))
        rate = _schedule("train_batch", learning_rate)(0)
        tally = _Tally()
        tally.add(*self._train(samples, targets, chosen, rate, size))
        return tally.metrics()

    def evaluate(self, x: NDArray[Any], y: NDArray[Any], *, loss: Loss | None = None, batch_size: int = 256) -> Metrics:
        """Measure mean loss and accuracy; arguments as for :meth:`fit`."""
        chosen, samples, targets = self._check("evaluate", x, y, loss)
        return self._measure(samples, targets, chosen, check.integer("evaluate", "batch_size", batch_size, 1, 2**31 - 1))

    def predict(self, x: NDArray[Any], *, batch_size: int = 256) -> NDArray[np.float32]:
        """Give the last layer's outputs before they are rounded to codes, as real numbers float32[n, outputs]."""
        samples = self._check_x("predict", x)
        size = check.integer("predict", "batch_size", batch_size, 1, 2**31 - 1)
        last = self.layers[-1]
        unit = last.x.scale * last.scale_w
        parts = [self._sums(samples[at : at + size]) * unit for at in range(0, len(samples), size)]
        return np.concatenate(parts).astype(np.float32)

    def model(self) -> Model:
        """Give the network as it is now as an int8 model: weights in [-127, 127], biases int32."""
        if self._base is None:
            return Model(integer_graph.whole(self.name, self.operations, softmax=self._softmax))
        return Model(integer_graph.joined(self._base, self.layers))

    def constants(self, *, loss: Loss, learning_rate: float, batch_size: int = 1) -> list[Constants]:
        """Give each trained layer's constants for one learning rate, the first layer's first."""
        unit = 1.0 / ONE
        last = self.layers[-1]
        if isinstance(loss, MSE):
            unit = 2 * last.y.scale / (MSE_UNITS * last.y_shape[0])
        unit /= batch_size
        found = []
        for layer in reversed(self.layers):
            constants, unit = layer.constants(learning_rate, unit)
            found.append(constants)
        return found[::-1]

    def loss_rescale(self) -> Rescale:
        """Give what takes the last layer's accumulators to the loss kernel's 1/64 octaves.

        Raises
        ------
        UnsupportedError
            If one accumulator unit is more than such an octave.
        """
        last = self.layers[-1]
        ratio = last.x.scale * last.scale_w * OCTAVES
        if ratio >= 1:
            raise UnsupportedError(
                f"layer {last.name}: scales {last.x.scale:g} * {last.scale_w:g} are too coarse for softmax cross-entropy in "
                f"integers, whose unit is {1 / OCTAVES:.4f}; use activations or weights of a smaller range"
            )
        return fixed_point(ratio)

    # ------------------------------------------------------------------------------------------------ one batch

    def _sums(self, x: Codes) -> Sums:
        """Accumulators of the last layer."""
        codes = x if self._body is None else self._body.run(x).reshape(len(x), *self.operations[0].x_shape)
        for operation in self.operations[:-1]:
            codes = operation.forward(codes)
        return self.layers[-1].sums(codes)

    def _loss(self, sums: Sums, y: NDArray[Any], loss: Loss, dy: Sums | None) -> tuple[float, int | None]:
        """Sum the loss and count right answers."""
        last = self.layers[-1]
        if isinstance(loss, MSE):
            losses = integers.mse_int(last.requantized(sums), y, dy=dy)
            return float(losses.sum(dtype=np.uint64)) * last.y.scale**2 / y.shape[1], None
        losses = integers.softmax_cross_entropy_int(sums, y, self.loss_rescale(), dy=dy)
        return float(losses.sum(dtype=np.uint64)) / OCTAVES, int(np.count_nonzero(sums.argmax(axis=1) == y))

    def _train(self, x: Codes, y: NDArray[Any], loss: Loss, rate: float, batch: int) -> tuple[int, float, int | None]:
        """One step; returns the number of samples and what :meth:`_loss` gave before it."""
        sums = self._sums(x)
        flow = Flow(np.empty_like(sums))
        figures = self._loss(sums, y, loss, flow.dy)
        constants = iter(reversed(self.constants(loss=loss, learning_rate=rate, batch_size=batch)))
        first, last = self.layers[0], self.layers[-1]
        for operation in reversed(self.operations):
            if isinstance(operation, Weighted):
                clamped = operation is not last
                operation.learn(flow, next(constants), self.rng, clamped=clamped, needs_dx=operation is not first)
                if operation is first:
                    break
            else:
                flow.dy = operation.backward(flow.dy)
        self.steps += 1
        return len(x), *figures

    def _measure(self, x: Codes, y: NDArray[Any], loss: Loss, size: int) -> Metrics:
        tally = _Tally()
        for at in range(0, len(x), size):
            part = y[at : at + size]
            tally.add(len(part), *self._loss(self._sums(x[at : at + size]), part, loss, None))
        return tally.metrics()

    # ------------------------------------------------------------------------------------------------ checks

    def _check(self, function: str, x: Any, y: Any, loss: Loss | None) -> tuple[Loss, Codes, NDArray[Any]]:
        samples = self._check_x(function, x)
        labels = np.asarray(y).ndim == 1 and np.asarray(y).dtype.kind in "iu"
        chosen = (SoftmaxCrossEntropy() if labels else MSE()) if loss is None else loss
        if isinstance(chosen, SoftmaxCrossEntropy):
            self.loss_rescale()
            return chosen, samples, chosen.check_targets(function, y, len(samples), self.output_shape)
        if isinstance(chosen, MSE):
            return chosen, samples, self._check_targets(function, y, len(samples))
        raise TypeError(f"{function}: loss is {loss!r}; in integers there are SoftmaxCrossEntropy() and MSE()")

    def _check_x(self, function: str, x: Any) -> Codes:
        if not isinstance(x, np.ndarray) or x.dtype not in (np.int8, np.float32):
            came = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
            raise TypeError(f"{function}: x is {came}; expected codes (int8) or real numbers (float32)")
        if x.shape[1:] != self.input_shape or len(x) < 1:
            expected = f"(n, {', '.join(map(str, self.input_shape))})"
            raise ValueError(f"{function}: x has shape {x.shape}; expected {expected} with n >= 1")
        if x.dtype == np.int8:
            return x
        check_finite(function, "x", x)
        if self._body is None:  # what comes before the first layer with weights keeps codes as they are
            return self.layers[0].x.codes(x)
        tensor = self._body.input
        assert tensor.scale is not None
        return Quantization(float(tensor.scale[0]), tensor.zero_point).codes(x)

    def _check_targets(self, function: str, y: Any, count: int) -> Codes:
        last = self.layers[-1]
        if not isinstance(y, np.ndarray) or y.dtype not in (np.int8, np.float32):
            raise TypeError(f"{function}: y is no array of int8 or float32, which MSE expects (labels go with cross-entropy)")
        if y.shape != (count, *self.output_shape):
            raise ValueError(f"{function}: y has shape {y.shape}; expected {(count, *self.output_shape)}")
        if y.dtype == np.int8:
            return y
        check_finite(function, "y", y)
        return last.y.codes(y)

    def _check_batch(self, function: str, size: Any) -> int:
        """Rows that a step sums over are samples times positions."""
        positions = max(math.prod(op.y_shape[:-1]) for op in self.layers)
        return check.integer(function, "batch_size", size, 1, integers.MOST_ROWS // positions)

    @staticmethod
    def _pair(validation: Any) -> tuple[Any, Any]:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise TypeError("fit: validation is not a pair; expected (x, y)")
        return validation[0], validation[1]


class _Tally:
    """Running means of loss and accuracy: for reports alone."""

    def __init__(self) -> None:
        self.count = 0
        self.loss = 0.0
        self.correct: int | None = 0

    def add(self, count: int, loss: float, correct: int | None) -> None:
        """Count one batch."""
        self.count += count
        self.loss += loss
        self.correct = None if correct is None or self.correct is None else self.correct + correct

    def metrics(self) -> Metrics:
        """Return the means so far."""
        return Metrics(self.loss / self.count, None if self.correct is None else self.correct / self.count)


def _schedule(function: str, rate: Any) -> Callable[[int], float]:
    if isinstance(rate, Schedule):
        return rate
    value = check.number(function, "learning_rate", rate, 0, math.inf, open_lo=True)
    return lambda _: value
