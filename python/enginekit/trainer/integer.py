"""Trainers in integers: a frozen int8 body, and layers that :class:`engine.training.IntegerSequential` trains."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError
from engine.graph import Tensor
from engine.model import Model
from engine.names import identifiers
from engine.training.integer import OCTAVES, IntegerSequential
from engine.training.integer_layers import Constants, Flatten, MaxPool2D, Operation, Weighted
from engine.training.losses import Loss, SoftmaxCrossEntropy
from enginekit.encode.candidate import Place
from enginekit.encode.choose import Encoding, Optimize, encode
from enginekit.trainer.base import Field, Outcome, Trainer, Twin, brief, lay_out
from enginekit.trainer.writer import STATE, Ref, Writer, Written

MASTER_MIN, BIAS_MAX = -32512, 2**30


class IntegerTrainer(Trainer):
    """Trains as ``IntegerSequential.train_batch`` does with one sample."""

    kind = "integer"
    net: IntegerSequential

    def __init__(self, net: IntegerSequential, loss: Loss, learning_rate: float, optimize: Optimize) -> None:
        super().__init__(net, net.name)
        #: What is minimized, and how fast.
        self.rule, self.learning_rate = loss, learning_rate
        if isinstance(loss, SoftmaxCrossEntropy):
            self.net.loss_rescale()  # refuses scales that are too coarse
        self._model, body, tail = self.net.model(), self.net.body, self.net.tail
        #: What runs before and behind the layers that are trained.
        self.body = None if body is None else (body, encode(body, optimize))
        self.tail = None if tail is None else (tail, encode(tail, optimize))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Steps, generator, then biases and masters of all layers."""
        named = list(zip(self.names, self.net.layers, strict=True))
        arrays: list[tuple[str, NDArray[Any]]] = [("steps", np.zeros((), np.uint32)), ("rng", self.net.rng)]
        arrays += [(f"{name}/bias", layer.bias) for name, layer in named]
        arrays += [(f"{name}/w", layer.w) for name, layer in named]
        return lay_out(arrays)

    @property
    def names(self) -> list[str]:
        """Of the layers that are trained, unique."""
        return identifiers(layer.name for layer in self.net.layers)

    @property
    def x(self) -> Tensor:
        """The model's input."""
        return self._model.input

    @property
    def y(self) -> Tensor:
        """The model's output."""
        return self._model.output

    @property
    def classes(self) -> int | None:
        """Outputs of the last layer that is trained, for cross-entropy."""
        return self.net.output_shape[0] if isinstance(self.rule, SoftmaxCrossEntropy) else None

    @property
    def target(self) -> NDArray[Any]:
        """A label, or codes."""
        return np.zeros((), np.uint16) if self.classes else np.zeros(self.net.output_shape, np.int8)

    @property
    def loss_dtype(self) -> np.dtype[Any]:
        """Units of the loss kernel."""
        return np.dtype(np.uint32)

    def loss(self, raw: Any) -> float:
        """Give nats, or the mean squared error."""
        if self.classes:
            return float(raw) / OCTAVES
        return float(raw) * self.net.layers[-1].y.scale ** 2 / self.net.output_shape[0]

    def raw_loss(self, loss: float) -> float:
        """Give the loss in the kernel's units."""
        if self.classes:
            return round(loss * OCTAVES)
        return round(loss * self.net.output_shape[0] / self.net.layers[-1].y.scale ** 2)

    @property
    def loss_kernel(self) -> str:
        """The kernel of cross-entropy or squared error."""
        return "eng_softmax_cross_entropy_int" if self.classes else "eng_mse_int"

    @property
    def settings(self) -> str:
        """Loss and learning rate."""
        return f"loss={brief(self.rule)}, learning_rate={self.learning_rate!r}"

    def _body_digest(self) -> bytes:
        return self._model.digest

    def twin(self) -> IntegerTwin:
        """Give the network itself."""
        return IntegerTwin(self, self.network(self.start_state()))

    def _adopt(self, net: IntegerSequential, values: dict[str, NDArray[Any]]) -> None:
        for name, layer in zip(self.names, net.layers, strict=True):
            w, bias = values[f"{name}/w"], values[f"{name}/bias"]
            if (w < MASTER_MIN).any() or (np.abs(bias.astype(np.int64)) > BIAS_MAX).any():
                raise FormatError(f"layer {name}: weights below {MASTER_MIN} or biases beyond 2^30: no state of a trainer")
            layer.w, layer.bias = w, bias
        if not values["rng"].any():
            raise FormatError("the generator's state is all zero: no state of a trainer")
        net.rng, net.steps = values["rng"], int(values["steps"])

    def write(self, prefix: str) -> Written:
        """Write the calls that ``IntegerSequential`` makes for one sample, in their order."""
        return _Lines(self, prefix).write()


class IntegerTwin(Twin):
    """An ``IntegerSequential`` that trains sample by sample."""

    def __init__(self, trainer: IntegerTrainer, net: IntegerSequential) -> None:
        self._trainer = trainer
        #: The network.
        self.net = net

    def train(self, x: NDArray[Any], target: Any) -> Outcome:
        """Run ``train_batch`` on one sample."""
        found = self.evaluate(x, target)
        trainer = self._trainer
        self.net.train_batch(x[None], self._targets(target), loss=trainer.rule, learning_rate=trainer.learning_rate)
        return found

    def evaluate(self, x: NDArray[Any], target: Any) -> Outcome:
        """Run ``evaluate`` on one sample."""
        batch = self._trainer.check_input(x)[None]
        loss = self.net.evaluate(batch, self._targets(target), loss=self._trainer.rule).loss
        return Outcome(loss, int(self.net._sums(batch)[0].argmax()) if self._trainer.classes else None)

    def _targets(self, target: Any) -> NDArray[Any]:
        checked = self._trainer.check_target(target)
        return checked.astype(np.int64)[None] if self._trainer.classes else checked[None]

    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        """Run the model as it is now."""
        (y,) = self.net.model().run(x[None])
        return np.array(y)

    def state(self) -> bytes:
        """Give steps, generator, biases, masters."""
        layers = self.net.layers
        arrays = [np.uint32(self.net.steps), self.net.rng, *(layer.bias for layer in layers), *(layer.w for layer in layers)]
        return b"".join(array.tobytes() for array in arrays)


class _Lines:
    """Writes what :class:`IntegerSequential` does for a batch of one, operation by operation."""

    def __init__(self, trainer: IntegerTrainer, prefix: str) -> None:
        self._trainer = trainer
        self._net, self._rule = trainer.net, trainer.rule
        self._operations = self._net.operations
        self._prefix = prefix
        self._w = Writer(prefix, headers={"eng/train_int.h"})
        body = trainer.body[0].program.steps if trainer.body else ()
        tail = trainer.tail[0].program.steps if trainer.tail else ()
        taken = [step.name for step in (*body, *tail)]
        self._names = identifiers([*taken, *(op.name for op in self._operations)])[len(taken) :]
        #: What each operation reads.
        self._inputs: list[Ref] = []

    def write(self) -> Written:
        """Write all parts, in the order of time: the body first, the steps last."""
        self._w.buffer("target", self._trainer.target.nbytes, 2)
        self._w.use("target")
        codes = self._body()
        x = codes if self._trainer.body is None else Ref("body", "int8_t", self._trainer.body[0].program.input_offsets[0])
        for name, operation in zip(self._names, self._operations, strict=True):
            self._inputs.append(codes)
            codes = self._forward(name, operation, codes)
        y = self._output(codes)
        self._outcome(codes)
        self._backward()
        return self._w.finish(self._trainer.state, x, y)

    # ------------------------------------------------------------------------------------------------ forward

    def _body(self) -> Ref:
        """Compute what the first operation reads, and say where that is."""
        w = self._w
        if self._trainer.body is None:
            w.buffer("x", math.prod(self._net.input_shape), 1)
            w.use("x")
            return Ref("x", "int8_t")
        model, encoding = self._trainer.body
        features = model.outputs[0]
        w.buffer("body", encoding.arena, 4, fixed=0)
        w.buffer("features", math.prod(features.shape), 1, fixed=model.program.output_offsets[0])
        w.use("body")
        w.lines("forward", self._steps(model, encoding, 0))
        w.use("body", "features")
        return Ref("features", "int8_t")

    def _steps(self, model: Model, encoding: Encoding, base: int) -> list[str]:
        """Write a model's own steps, its arena lying `base` bytes into ours."""
        w, lines = self._w, []
        for step, placed in zip(model.program.steps, encoding.steps, strict=True):
            moved = replace(
                step,
                x_offset=step.x_offset + base,
                x2_offset=step.x2_offset + base,
                y_offset=step.y_offset + base,
                scratch_offset=step.scratch_offset + base,
            )
            text = placed.candidate.emit(Place(moved, self._prefix, placed.scratch + base))
            w.text(text.data, placed.candidate.flash)
            w.headers |= {"eng/infer_s8.h", *placed.candidate.headers}
            if placed.candidate.own_stack is None:
                w.symbols += placed.candidate.symbols
            else:
                w.stack = max(w.stack, placed.candidate.own_stack)
            lines += text.calls
        return lines

    def _forward(self, name: str, operation: Operation, x: Ref) -> Ref:
        """Write one operation; returns where the next one reads, for the last one its accumulators."""
        if isinstance(operation, Flatten):
            return x
        w = self._w
        y = Ref(f"{name} y", "int8_t")
        if isinstance(operation, MaxPool2D):
            w.buffer(y.buffer, math.prod(operation.y_shape))
            index = self._index(name, operation)
            w.call("forward", "eng_max_pool2d_int", self._patches(name, operation), x, y, index)
            return y
        assert isinstance(operation, Weighted)
        rows = self._rows(name, operation, x)
        acc = Ref(f"{name} acc", "int32_t")
        w.buffer(acc.buffer, 4 * math.prod(operation.y_shape), 4)
        master, bias = self._parameters(operation)
        w.call("forward", "eng_dense_int", self._dense(name, operation), rows, master, bias, acc)
        if operation is self._operations[-1]:
            return acc
        w.buffer(y.buffer, math.prod(operation.y_shape))
        w.call("forward", self._requantize(operation), self._codes(name, operation), acc, y)
        return y

    def _output(self, acc: Ref) -> Ref:
        """Write what turns accumulators into the model's output; returns where that is."""
        w, last = self._w, self._last
        trainer = self._trainer
        if trainer.tail is None:
            y = Ref("y", "int8_t")
            w.buffer("y", math.prod(last.y_shape))
            w.call("run", "eng_codes_single_int", self._codes(self._names[-1], last), acc, y)
            return y
        model, encoding = trainer.tail
        w.buffer("tail", encoding.arena, 4)
        codes = Ref("tail", "int8_t", model.program.input_offsets[0])
        w.call("run", "eng_codes_single_int", self._codes(self._names[-1], last), acc, codes)
        w.later("run", "tail", lambda base: self._steps(model, encoding, base))
        return Ref("tail", "int8_t", model.program.output_offsets[0])

    @property
    def _last(self) -> Weighted:
        return self._net.layers[-1]

    # ------------------------------------------------------------------------------------------------ loss and backward

    def _outcome(self, acc: Ref) -> None:
        """Write loss and class into the outcome, without and with the gradient of the accumulators."""
        w, last = self._w, self._last
        outputs, trainer = last.y_shape[0], self._trainer
        w.buffer("outcome", trainer.outcome, 4)
        w.buffer("dy", 4 * outputs, 4)
        loss, dy = Ref("outcome", "uint32_t"), Ref("dy", "int32_t")
        if trainer.classes:
            target = Ref("target", "uint16_t")
            self._predict(acc)
            p = w.define("eng_softmax_int_params", "loss", rows=1, classes=outputs, rescale=self._net.loss_rescale())
            for part, gradient in (("evaluate", "NULL"), ("train", dy)):
                w.call(part, "eng_softmax_cross_entropy_int", p, acc, target, loss, gradient)
            return
        w.buffer("codes", outputs)
        codes, target = Ref("codes", "int8_t"), Ref("target", "int8_t")
        p = w.define("eng_mse_int_params", "loss", rows=1, cols=outputs)
        for part, gradient in (("evaluate", "NULL"), ("train", dy)):
            w.call(part, "eng_codes_single_int", self._codes(self._names[-1], last), acc, codes)
            w.call(part, "eng_mse_int", p, codes, target, loss, gradient)

    def _predict(self, acc: Ref) -> None:
        for part in ("evaluate", "train"):
            predicted = Ref("outcome", "uint16_t", 4)
            self._w.call(part, "eng_argmax_int", f"{self._trainer.classes}u", acc, store=predicted)

    def _backward(self) -> None:
        """Write what ``IntegerSequential`` does backwards, down to the first layer with weights."""
        rule, rate = self._rule, self._trainer.learning_rate
        constants = dict(zip(self._net.layers, self._net.constants(loss=rule, learning_rate=rate), strict=True))
        first = self._net.layers[0]
        dy = Ref("dy", "int32_t")
        for i in reversed(range(len(self._operations))):
            name, operation, x = self._names[i], self._operations[i], self._inputs[i]
            if isinstance(operation, MaxPool2D):
                dx = self._gradient(name, operation)
                p = self._patches(name, operation)
                self._w.call("train", "eng_max_pool2d_int_backward", p, self._index(name, operation), dy, dx)
                dy = dx
            elif isinstance(operation, Weighted):
                dy = self._learn(name, operation, constants[operation], x, dy)
            if operation is first:
                break
        self._w.use("outcome")

    def _learn(self, name: str, layer: Weighted, constants: Constants, x: Ref, dy: Ref) -> Ref:
        """Write one layer's errors, its input's gradient, and its step."""
        w, count = self._w, math.prod(layer.y_shape)
        rng = self._field("rng", "eng_rng")
        if layer is not self._last:
            p = w.define("eng_relu_int_params", f"{name}_range", count=count, lo=layer.output.lo, hi=layer.output.hi)
            w.call("train", "eng_relu_int_backward", p, Ref(f"{name} y", "int8_t"), dy)
        h = Ref(f"{name} h", "int8_t")
        w.buffer(h.buffer, count)
        p = w.define("eng_errors_int_params", f"{name}_errors", count=count, mult=constants.mult)
        start, end = ("int16_t exponent = ", ";")
        if layer is not self._last:
            start, end = "exponent = (int16_t)(exponent + ", ");"
        w.call("train", "eng_errors_int", p, rng, dy, h, start=start, end=end)
        dx = self._input_gradient(name, layer, h) if layer is not self._net.layers[0] else dy
        self._step(name, layer, constants, self._seen(name, layer, x), h)
        return dx

    def _input_gradient(self, name: str, layer: Weighted, h: Ref) -> Ref:
        w, master = self._w, self._parameters(layer)[0]
        dx = self._gradient(name, layer)
        rows = dx if layer.window is None else Ref(f"{name} drows", "int32_t")
        if layer.window is not None:
            w.buffer(rows.buffer, 4 * math.prod(layer.y_shape[:-1]) * layer.w.shape[1], 4)
        w.call("train", "eng_dense_int_backward", self._dense(name, layer), h, master, rows)
        if layer.window is not None:
            w.call("train", "eng_patches_int_backward", self._patches(name, layer), rows, dx)
        return dx

    def _step(self, name: str, layer: Weighted, constants: Constants, rows: Ref, h: Ref) -> None:
        w, rng = self._w, self._field("rng", "eng_rng")
        master, bias = self._parameters(layer)
        p = self._dense(name, layer)
        shift, bias_mult, bias_shift = constants.step
        step = w.define("eng_step_int", f"{name}_step", shift=shift, bias_mult=bias_mult, bias_shift=bias_shift)
        if math.prod(layer.y_shape[:-1]) == 1:
            w.call("train", "eng_dense_int_step", p, step, "exponent", rng, rows, h, master, bias)
            return
        sums = Ref(f"{name} sums", "int32_t")
        size = 4 * (layer.w.size + layer.bias.size)
        w.buffer(sums.buffer, size, 4)
        dbias = replace(sums, offset=4 * layer.w.size)
        w.call("train", "memset", sums, "0", f"{size}u")
        w.call("train", "eng_dense_int_gradient", p, rows, h, sums, dbias)
        w.call("train", "eng_sgd_int", p, step, "exponent", rng, sums, dbias, master, bias)

    # ------------------------------------------------------------------------------------------------ places and records

    def _field(self, name: str, ctype: str) -> Ref:
        (found,) = (each for each in self._trainer.fields if each.name == name)
        return Ref(STATE, ctype, found.offset)

    def _parameters(self, layer: Weighted) -> tuple[Ref, Ref]:
        name = self._trainer.names[self._net.layers.index(layer)]
        return self._field(f"{name}/w", "int16_t"), self._field(f"{name}/bias", "int32_t")

    def _gradient(self, name: str, operation: Operation) -> Ref:
        """Declare the gradient of an operation's input."""
        self._w.buffer(f"{name} dx", 4 * math.prod(operation.x_shape), 4)
        return Ref(f"{name} dx", "int32_t")

    def _index(self, name: str, pool: MaxPool2D) -> Ref:
        """Say where a pool remembers its maxima."""
        index = Ref(f"{name} index", "uint32_t")
        self._w.buffer(index.buffer, 4 * math.prod(pool.y_shape), 4)
        return index

    def _seen(self, name: str, layer: Weighted, x: Ref) -> Ref:
        """Say where the rows lie that a layer multiplies with its weights."""
        return x if layer.window is None else Ref(f"{name} rows", "int8_t")

    def _rows(self, name: str, layer: Weighted, x: Ref) -> Ref:
        """Write what gathers a convolution's patches."""
        rows = self._seen(name, layer, x)
        if layer.window is not None:
            self._w.buffer(rows.buffer, math.prod(layer.y_shape[:-1]) * layer.w.shape[1])
            self._w.call("forward", "eng_patches_int", self._patches(name, layer), x, rows)
        return rows

    def _dense(self, name: str, layer: Weighted) -> str:
        rows, (out, in_) = math.prod(layer.y_shape[:-1]), layer.w.shape
        return self._w.define("eng_dense_int_params", f"{name}_dense", rows=rows, in_=in_, out=out, zero_x=layer.x.zero)

    def _codes(self, name: str, layer: Weighted) -> str:
        count = math.prod(layer.y_shape)
        return self._w.define("eng_codes_int_params", f"{name}_codes", count=count, rescale=layer.rescale, y=layer.output)

    @staticmethod
    def _requantize(layer: Weighted) -> str:
        return "eng_codes_single_int" if layer.window is None else "eng_codes_double_int"

    def _patches(self, name: str, operation: Weighted | MaxPool2D) -> str:
        zero = operation.x.zero if isinstance(operation, Weighted) else 0
        window, channels = operation.window, operation.x_shape[2]
        return self._w.define(
            "eng_patches_int_params", f"{name}_patches", batch=1, window=window, channels=channels, zero_x=zero
        )
