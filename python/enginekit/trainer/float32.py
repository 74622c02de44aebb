"""Trainers in float32: all layers of a small :class:`engine.training.Sequential`, with any of its optimizers."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels_f32
from engine.errors import FormatError, UnsupportedError
from engine.graph import Tensor
from engine.training import layers, losses, optimizers
from engine.training.operations import LIMITS, STEMS, Mode, Operation
from engine.training.schedules import Schedule
from engine.training.sequential import Sequential
from engine.training.stepping import forward
from enginekit.records import float_literal
from enginekit.trainer.base import Field, Outcome, Trainer, Twin, brief, lay_out
from enginekit.trainer.writer import STATE, Ref, Writer, Written

#: Layers that are a function of each element, whose gradient follows from the output; they work in place.
ELEMENTWISE = (
    *(layers.Relu, layers.LeakyRelu, layers.Elu, layers.Tanh, layers.Sigmoid, layers.Softplus, layers.Exponential),
    layers.Softmax,
)
SUPPORTED = (layers.Dense, layers.Flatten, *ELEMENTWISE)
#: Kernels of losses, and the header that declares them.
LOSSES: dict[type[losses.Loss], tuple[str, str]] = {
    losses.SoftmaxCrossEntropy: ("eng_softmax_cross_entropy_f32", "train_f32"),
    losses.MSE: ("eng_mse_f32", "train_f32"),
    losses.MAE: ("eng_mae_f32", "loss_f32"),
    losses.MSLE: ("eng_msle_f32", "loss_f32"),
    losses.Huber: ("eng_huber_f32", "loss_f32"),
    losses.BinaryCrossEntropy: ("eng_binary_cross_entropy_f32", "loss_f32"),
    losses.SquaredHinge: ("eng_squared_hinge_f32", "loss_f32"),
    losses.CategoricalCrossEntropy: ("eng_categorical_cross_entropy_f32", "loss_f32"),
}
#: Kernels of optimizers, the struct of their options, and whether they take the number of the step.
OPTIMIZERS: dict[type[optimizers.Optimizer], tuple[str, str, bool]] = {
    optimizers.SGD: ("eng_sgd_f32", "eng_sgd_f32_params", False),
    optimizers.Adam: ("eng_adam_f32", "eng_adam_f32_params", True),
    optimizers.AdamW: ("eng_adam_f32", "eng_adam_f32_params", True),
    optimizers.Adamax: ("eng_adamax_f32", "eng_adam_f32_params", True),
    optimizers.Nadam: ("eng_nadam_f32", "eng_adam_f32_params", True),
    optimizers.RMSprop: ("eng_rmsprop_f32", "eng_rmsprop_f32_params", False),
    optimizers.Adagrad: ("eng_adagrad_f32", "eng_adagrad_f32_params", False),
    optimizers.Adadelta: ("eng_adadelta_f32", "eng_adadelta_f32_params", False),
    optimizers.Ftrl: ("eng_ftrl_f32", "eng_ftrl_f32_params", False),
}
#: All arrays of an optimizer in the order of its kernel; those that it does not keep are null.
SLOTS: dict[type[optimizers.Optimizer], tuple[str, ...]] = {
    optimizers.SGD: ("velocity",),
    optimizers.RMSprop: ("v", "velocity", "average"),
}


class FloatTrainer(Trainer):
    """Trains as ``Sequential.fit`` does with batches of `batch_size`, the samples in the order in which they come."""

    kind = "float32"
    net: Sequential

    def __init__(self, net: Sequential, loss: losses.Loss, optimizer: optimizers.Optimizer, batch_size: int) -> None:
        super().__init__(net, net.name)
        _refuse(net, loss, optimizer)
        for operation in self.net.operations:
            operation.release()
        #: What is minimized, how, and after how many samples a step is made.
        self.rule, self.optimizer, self.batch_size = loss, optimizer, batch_size

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Samples so far, parameters, the optimizer's arrays over all of them, and the gradients of an unfinished batch."""
        count = self.net.parameter_count
        arrays: list[tuple[str, NDArray[Any]]] = [("steps", np.zeros((), np.uint32)), *self.net.parameters.items()]
        arrays += [(slot, np.full(count, self.optimizer.start(slot), np.float32)) for slot in self.optimizer.slots]
        if self.batch_size > 1:
            arrays.append(("gradients", np.zeros(count, np.float32)))
        return lay_out(arrays)

    @property
    def x(self) -> Tensor:
        """The network's input."""
        return Tensor("x", (1, *self.net.input_shape), np.dtype(np.float32))

    @property
    def y(self) -> Tensor:
        """The network's output."""
        return Tensor("y", (1, *self.net.output_shape), np.dtype(np.float32))

    @property
    def classes(self) -> int | None:
        """Outputs, for cross-entropy with labels."""
        return self.net.output_shape[0] if isinstance(self.rule, losses.SoftmaxCrossEntropy) else None

    @property
    def target(self) -> NDArray[Any]:
        """A label, or numbers."""
        return np.zeros((), np.uint16) if self.classes else np.zeros(self.net.output_shape, np.float32)

    @property
    def loss_dtype(self) -> np.dtype[Any]:
        """The loss itself."""
        return np.dtype(np.float32)

    @property
    def loss_kernel(self) -> str:
        """The loss's."""
        return LOSSES[type(self.rule)][0]

    def loss(self, raw: Any) -> float:
        """Give the loss."""
        return float(raw)

    def raw_loss(self, loss: float) -> float:
        """Give the loss."""
        return loss

    @property
    def settings(self) -> str:
        """Loss, optimizer, batch size."""
        return f"loss={brief(self.rule)}, optimizer={brief(self.optimizer)}, batch_size={self.batch_size}"

    def _body_digest(self) -> bytes:
        return repr((self.net.input_shape, self.net.layers)).encode()

    def twin(self) -> FloatTwin:
        """Give the network itself, at the start."""
        return FloatTwin(self, self.network(self.start_state()))

    def _adopt(self, net: Sequential, values: dict[str, NDArray[Any]]) -> None:
        for name, array in net.parameters.items():
            if not np.isfinite(values[name]).all():
                raise FormatError(f"{name} holds NaN or infinity: no state of a trainer, or one that has diverged")
            array[:] = values[name]
        net.optimizer, net.steps = self.optimizer, int(values["steps"]) // self.batch_size
        bounds = np.cumsum([array.size for array in net.parameters.values()])[:-1]
        net.optimizer_state = {name: {} for name in net.parameters}
        for slot in self.optimizer.slots:
            for (name, array), part in zip(net.parameters.items(), np.split(values[slot], bounds), strict=True):
                net.optimizer_state[name][slot] = part.reshape(array.shape).copy()
        if self.batch_size > 1:
            for array, part in zip(net.gradients.values(), np.split(values["gradients"], bounds), strict=True):
                array[:] = part.reshape(array.shape)

    def write(self, prefix: str) -> Written:
        """Write the calls that ``Sequential`` makes for each sample of a batch, and for the step behind the last one."""
        return _Lines(self, prefix).write()


def _refuse(net: Sequential, loss: losses.Loss, optimizer: optimizers.Optimizer) -> None:
    """Refuse what has no place on the chip."""
    problems = [f"layer {op.name} ({type(op.layer).__name__})" for op in net.operations if not isinstance(op.layer, SUPPORTED)]
    if type(loss) not in LOSSES:
        problems.append(f"loss {loss!r}")
    if type(optimizer) not in OPTIMIZERS:
        problems.append(f"optimizer {optimizer!r}")
    elif isinstance(optimizer.learning_rate, Schedule):
        problems.append(f"a schedule as learning rate, {optimizer.learning_rate!r}")
    if optimizer.clipnorm is not None or optimizer.global_clipnorm is not None:
        problems.append("clipping by norm (clipvalue is supported)")
    if problems:
        kinds = ", ".join(kind.__name__ for kind in SUPPORTED)
        raise UnsupportedError(
            f"network {net.name!r}: float32 trainers on the chip have no {'; no '.join(problems)}. Layers supported: {kinds}"
        )
    if not net.parameter_count:
        raise UnsupportedError(f"network {net.name!r} has no weights that could be trained")


class FloatTwin(Twin):
    """A ``Sequential`` that trains sample by sample."""

    def __init__(self, trainer: FloatTrainer, net: Sequential) -> None:
        self._trainer = trainer
        #: The network.
        self.net = net
        net._set_mode(Mode())
        self._chain = net._chain(trainer.rule)
        self._samples = net.steps * trainer.batch_size

    def train(self, x: NDArray[Any], target: Any) -> Outcome:
        """Add the sample's gradients to those of its batch; behind the last sample of a batch, make a step."""
        trainer, gradients = self._trainer, self.net.gradients
        found, gradient = self._forward(x, target, training=True)
        if self._samples % trainer.batch_size == 0:
            for array in gradients.values():
                array.fill(0)
        gradient *= np.float32(1 / trainer.batch_size)
        self._backward(gradient)
        self._samples += 1
        if self._samples % trainer.batch_size == 0:
            self._step(gradients)
        return found

    def _step(self, gradients: dict[str, NDArray[np.float32]]) -> None:
        net, optimizer = self.net, self._trainer.optimizer
        optimizer.clip(gradients.values())
        net.steps += 1
        for name, w in net.parameters.items():
            optimizer.apply(net.steps, gradients[name], w, net.optimizer_state[name])

    def _backward(self, gradient: NDArray[np.float32]) -> None:
        first = next(i for i, operation in enumerate(self._chain) if operation.parameters)
        for i in range(len(self._chain) - 1, first - 1, -1):
            found = self._chain[i].backward(gradient, needs_dx=i > first)
            if found is not None:
                gradient = found

    def _forward(self, x: NDArray[Any], target: Any, *, training: bool) -> tuple[Outcome, NDArray[np.float32]]:
        trainer = self._trainer
        y = trainer.check_target(target)[None]
        output = forward(self.net, trainer.check_input(x)[None], trainer.rule, training=training)
        gradient = np.empty_like(output)
        losses_ = trainer.rule.compute(output, y, gradient)
        predicted = kernels_f32.argmax_f32(output[0]) if trainer.classes else None
        return Outcome(float(losses_[0]), predicted), gradient

    def evaluate(self, x: NDArray[Any], target: Any) -> Outcome:
        """Find loss and class."""
        return self._forward(x, target, training=False)[0]

    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        """Compute the output."""
        (y,) = forward(self.net, x[None])
        return np.array(y)

    def state(self) -> bytes:
        """Give samples, parameters, the optimizer's arrays, gradients."""
        net, trainer = self.net, self._trainer
        arrays = [np.uint32(self._samples), *net.parameters.values()]
        arrays += [net.optimizer_state[name][slot] for slot in trainer.optimizer.slots for name in net.parameters]
        if trainer.batch_size > 1:
            arrays += net.gradients.values()
        return b"".join(array.tobytes() for array in arrays)


class _Lines:
    """Writes what :class:`Sequential` does for one sample, operation by operation."""

    def __init__(self, trainer: FloatTrainer, prefix: str) -> None:
        self._trainer = trainer
        self._w = Writer(prefix, headers={"eng/train_f32.h", f"eng/{LOSSES[type(trainer.rule)][1]}.h"})
        self._offsets = {field.name: field.offset for field in trainer.fields}
        self._count = trainer.net.parameter_count
        #: What each operation reads and leaves.
        self._reads: dict[str, Ref] = {}
        self._leaves: dict[str, Ref] = {}
        #: Buffers that no backward pass reads, so that a function of each element may work in place.
        self._free: set[str] = set()

    def write(self) -> Written:
        """Write all parts, in the order of time."""
        w, net, trainer = self._w, self._trainer.net, self._trainer
        w.buffer("target", trainer.target.nbytes, trainer.target.itemsize)
        w.buffer("x", 4 * math.prod(net.input_shape), 4)
        w.use("target", "x")
        x = y = Ref("x", "float")
        chain = net._chain(trainer.rule)
        for operation in net.operations:
            part = "forward" if operation in chain else "run"
            y = self._forward(part, operation, y)
        last = self._leaves[chain[-1].name] if chain else x
        w.use(y.buffer)
        self._prepare()
        self._backward(chain, self._loss(last))
        self._update()
        return w.finish(trainer.state, x, y)

    # ------------------------------------------------------------------------------------------------ forward

    def _forward(self, part: str, operation: Operation, x: Ref) -> Ref:
        """Write one operation; returns where its output is."""
        w, layer, name = self._w, operation.layer, operation.name
        self._reads[name] = x
        y = x
        if isinstance(layer, layers.Dense):
            y = Ref(f"{name} y", "float")
            w.buffer(y.buffer, 4 * layer.units, 4)
            w.call(part, "eng_dense_f32", self._dense(operation), x, self._at(f"{name}/w"), self._at(f"{name}/bias"), y, "NULL")
            if layer.activation in LIMITS:
                w.call(part, "eng_relu_f32", self._relu(name, layer.units, LIMITS[layer.activation]), y, y)
            else:
                self._free.add(y.buffer)
        elif isinstance(layer, ELEMENTWISE):
            if x.buffer == "x" or (part == "forward" and x.buffer not in self._free):
                y = Ref(f"{name} y", "float")
                w.buffer(y.buffer, 4 * math.prod(operation.y_shape), 4)
            self._free.discard(y.buffer)
            w.call(part, f"eng_{STEMS[type(layer)]}_f32", self._options(operation), x, y)
        self._leaves[name] = y
        return y

    def _options(self, operation: Operation) -> str:
        """Define what an elementwise kernel takes first: a count, or a record with it."""
        layer, name, count = operation.layer, operation.name, math.prod(operation.y_shape)
        w = self._w
        if isinstance(layer, layers.Relu):
            return self._relu(name, count, math.inf if layer.max_value is None else layer.max_value)
        if isinstance(layer, layers.Softmax):
            return w.define("eng_softmax_f32_params", f"{name}_rows", rows=1, classes=count)
        w.headers.add("eng/layer_f32.h")
        if isinstance(layer, layers.LeakyRelu | layers.Elu):
            return w.define(f"eng_{STEMS[type(layer)]}_f32_params", f"{name}_shape", count=count, **vars(layer))
        return f"{count}u"

    def _relu(self, name: str, count: int, limit: float) -> str:
        return self._w.define("eng_relu_f32_params", f"{name}_relu", count=count, limit=limit)

    def _dense(self, operation: Operation) -> str:
        (in_,), (out,) = operation.x_shape, operation.y_shape
        return self._w.define("eng_dense_f32_params", f"{operation.name}_dense", batch=1, in_=in_, out=out)

    def _at(self, name: str) -> Ref:
        return Ref(STATE, "float", self._offsets[name])

    # ------------------------------------------------------------------------------------------------ loss and backward

    def _prepare(self) -> None:
        """Write what a batch starts with: gradients of 0."""
        w, size, batch = self._w, 4 * self._count, self._trainer.batch_size
        if batch == 1:
            w.buffer("gradients", size, 4)
            w.call("train", "memset", self._gradients, "0", f"{size}u")
        else:
            w.lines("train", [f"    if ((*steps & {batch - 1}u) == 0) {{"])
            w.call("train", "memset", self._gradients, "0", f"{size}u", start="    ")
            w.lines("train", ["    }"])

    @property
    def _gradients(self) -> Ref:
        return Ref("gradients", "float") if self._trainer.batch_size == 1 else self._at("gradients")

    def _gradient(self, name: str) -> Ref:
        """Where the gradient of a parameter is summed."""
        base = self._gradients
        first = next(iter(self._trainer.net.parameters))
        return Ref(base.buffer, "float", base.offset + self._offsets[name] - self._offsets[first])

    def _loss(self, output: Ref) -> Ref:
        """Write loss and class into the outcome, and the gradient of the output, which is returned."""
        w, trainer = self._w, self._trainer
        size = math.prod(trainer.net._chain(trainer.rule)[-1].y_shape) if trainer.net._chain(trainer.rule) else 0
        w.buffer("outcome", trainer.outcome, 4)
        w.buffer("dy", 4 * size, 4)
        dy, loss = Ref("dy", "float"), Ref("outcome", "float")
        target = Ref("target", "uint16_t" if trainer.classes else "float")
        p = self._loss_params(size)
        for part, gradient in (("evaluate", "NULL"), ("train", dy)):
            if trainer.classes:
                w.call(part, "eng_argmax_f32", f"{trainer.classes}u", output, store=Ref("outcome", "uint16_t", 4))
            w.call(part, trainer.loss_kernel, p, output, target, loss, gradient)
        if trainer.batch_size > 1:
            w.headers.add("eng/update_f32.h")
            w.call("train", "eng_scale_f32", f"{size}u", float_literal(1 / trainer.batch_size), dy)
        return dy

    def _loss_params(self, size: int) -> str:
        rule = self._trainer.rule
        if self._trainer.classes:
            return self._w.define("eng_softmax_f32_params", "loss", rows=1, classes=size)
        if isinstance(rule, losses.MSE):
            return self._w.define("eng_mse_f32_params", "loss", rows=1, cols=size)
        if isinstance(rule, losses.Huber):
            return self._w.define("eng_huber_f32_params", "loss", rows=1, cols=size, delta=rule.delta)
        return self._w.define("eng_loss_f32_params", "loss", rows=1, cols=size)

    def _backward(self, chain: list[Operation], dy: Ref) -> None:
        first = next(i for i, operation in enumerate(chain) if operation.parameters)
        for i in range(len(chain) - 1, first - 1, -1):
            dy = self._backward_one(chain[i], dy, needs_dx=i > first)
        self._w.use("outcome")

    def _backward_one(self, operation: Operation, dy: Ref, *, needs_dx: bool) -> Ref:
        w, layer, name = self._w, operation.layer, operation.name
        if isinstance(layer, ELEMENTWISE):
            w.call("train", f"eng_{STEMS[type(layer)]}_f32_backward", self._options(operation), self._leaves[name], dy, dy)
            return dy
        if not isinstance(layer, layers.Dense):
            return dy
        x, y = self._reads[name], self._leaves[name]
        if layer.activation in LIMITS:
            w.call("train", "eng_relu_f32_backward", self._relu(name, layer.units, LIMITS[layer.activation]), y, dy, dy)
        dx: Ref | str = "NULL"
        if needs_dx:
            dx = Ref(f"{name} dx", "float")
            w.buffer(dx.buffer, 4 * operation.x_shape[0], 4)
        dw, dbias = self._gradient(f"{name}/w"), self._gradient(f"{name}/bias")
        w.call("train", "eng_dense_f32_backward", self._dense(operation), x, self._at(f"{name}/w"), dy, dw, dbias, dx)
        return dx if isinstance(dx, Ref) else dy

    # ------------------------------------------------------------------------------------------------ update

    def _update(self) -> None:
        """Write the step: at once, or behind the last sample of a batch."""
        w, batch = self._w, self._trainer.batch_size
        indent = "" if batch == 1 else "    "
        if batch > 1:
            w.lines("train", [f"    if ((*steps & {batch - 1}u) == {batch - 1}u) {{"])
        for call in self._updates():
            w.call("train", *call, start=indent)
        if batch > 1:
            w.lines("train", ["    }"])

    def _updates(self) -> list[tuple[Any, ...]]:
        w, optimizer = self._w, self._trainer.optimizer
        weights, calls = self._at(next(iter(self._trainer.net.parameters))), []
        rate = {"count": self._count, "learning_rate": optimizer.learning_rate}
        if optimizer.clipvalue is not None:
            w.headers.add("eng/update_f32.h")
            p = w.define("eng_clip_f32_params", "clip", count=self._count, limit=optimizer.clipvalue)
            calls.append(("eng_clip_f32", p, self._gradients))
        if optimizer.weight_decay:
            w.headers.add("eng/update_f32.h")
            p = w.define("eng_weight_decay_f32_params", "decay", **rate, weight_decay=optimizer.weight_decay)
            calls.append(("eng_weight_decay_f32", p, weights))
        kernel, struct, counts = OPTIMIZERS[type(optimizer)]
        if isinstance(optimizer, optimizers.SGD) and optimizer.nesterov:
            kernel = "eng_nesterov_f32"
        if kernel not in ("eng_sgd_f32", "eng_adam_f32"):
            w.headers.add("eng/update_f32.h")
        options = {key: getattr(optimizer, key) for key in w.members(struct) if key not in rate}
        p = w.define(struct, "optimizer", **rate, **options)
        slots = SLOTS.get(type(optimizer), optimizer.slots)
        arrays = [self._at(slot) if slot in optimizer.slots else "NULL" for slot in slots]
        step = [f"(*steps >> {self._trainer.batch_size.bit_length() - 1}) + 1"] if counts else []
        return [*calls, (kernel, p, *step, self._gradients, weights, *arrays)]
