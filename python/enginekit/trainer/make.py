"""From a network to a trainer: what can be trained on the chip, and with which rule."""

from __future__ import annotations

import math
from typing import Any

from engine import _arguments as check
from engine.training import MSE, SGD, IntegerSequential, Loss, Optimizer, Sequential, Softmax, SoftmaxCrossEntropy
from enginekit.encode.choose import Optimize
from enginekit.trainer.base import Trainer
from enginekit.trainer.float32 import FloatTrainer
from enginekit.trainer.integer import IntegerTrainer

#: Learning rate of integer trainers unless given.
RATE = 0.01


def make_trainer(
    net: IntegerSequential | Sequential,
    *,
    loss: Loss | None = None,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    batch_size: int = 1,
    optimize: Optimize = Optimize.SIZE,
) -> Trainer:
    """Plan a trainer for the chip.

    Parameters
    ----------
    net : IntegerSequential or Sequential
        As it is now: its weights, and the generator of an IntegerSequential, are what the chip starts with.
        ``IntegerSequential.from_model`` makes one of an int8 model, whose last dense layers are trained in RAM while the body
        stays in flash. All layers of a Sequential are trained, in float32: Dense, Flatten, activations and Softmax.
    loss : Loss, optional
        In integers SoftmaxCrossEntropy (if not given) or MSE. In float32 any; if not given, MSE for a Sequential that does not
        end in Softmax.
    learning_rate : float, optional
        Of an IntegerSequential, positive; 0.01 if not given.
    optimizer : Optimizer, optional
        Of a Sequential, with a number as learning rate; SGD(0.01) if not given. It starts afresh.
    batch_size : int
        Of a Sequential: after so many samples a step is made, a power of two, so that dividing by it rounds nothing. The result
        is that of ``fit`` with this batch size, bit for bit.
    optimize : Optimize
        What the kernels of the frozen body are chosen for.

    Returns
    -------
    Trainer

    Raises
    ------
    UnsupportedError, TypeError, ValueError
        If the chip cannot train this network with this rule; says why.
    """
    size = check.integer("make_trainer", "batch_size", batch_size, 1, 2**15)
    if isinstance(net, Sequential):
        if learning_rate is not None:
            raise ValueError("make_trainer: learning_rate is for an IntegerSequential; give a Sequential an optimizer")
        if size & (size - 1):
            raise ValueError(f"make_trainer: batch_size is {size}; expected a power of two")
        return FloatTrainer(net, _float_loss(net, loss), SGD() if optimizer is None else _optimizer(optimizer), size)
    if not isinstance(net, IntegerSequential):
        raise TypeError(f"make_trainer: net is {net!r}; expected an IntegerSequential or a Sequential")
    if optimizer is not None or size != 1:
        raise ValueError("make_trainer: an IntegerSequential has no optimizer and a batch_size of 1; give it a learning_rate")
    rate = RATE if learning_rate is None else learning_rate
    check.number("make_trainer", "learning_rate", rate, 0, math.inf, open_lo=True)
    return IntegerTrainer(net, _integer_loss(loss), float(rate), optimize)


def _optimizer(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"make_trainer: optimizer is {optimizer!r}; expected SGD(...) or Adam(...)")
    return optimizer


def _float_loss(net: Sequential, loss: Any) -> Loss:
    if loss is None:
        return SoftmaxCrossEntropy() if isinstance(net.layers[-1], Softmax) else MSE()
    if not isinstance(loss, Loss):
        raise TypeError(f"make_trainer: loss is {loss!r}; expected MSE() or SoftmaxCrossEntropy()")
    return loss


def _integer_loss(loss: Any) -> Loss:
    if loss is None:
        return SoftmaxCrossEntropy()
    if not isinstance(loss, SoftmaxCrossEntropy | MSE):
        raise TypeError(f"make_trainer: loss is {loss!r}; in integers there are SoftmaxCrossEntropy() and MSE()")
    return loss
