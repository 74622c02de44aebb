"""One step of training, and measuring: what happens to one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels_loss_f32
from engine import kernels_products as kernels
from engine.training.losses import Loss
from engine.training.metrics import Metrics, Tally
from engine.training.operations import Mode, Operation, run_backward, run_forward
from engine.training.optimizers import Optimizer

if TYPE_CHECKING:
    from engine.training.sequential import Sequential

Array = NDArray[np.float32]

#: Of the gradients in half precision: at first, least and most, and updates without overflow until it doubles.
FIRST_SCALE, LEAST_SCALE, MOST_SCALE = 2.0**10, 2.0**-14, 2.0**15
STEPS_TO_DOUBLE = 1000


class GradientError(ArithmeticError):
    """A gradient beyond half precision at the least loss scale; names the layer nearest to the loss."""


class Gatherer:
    """Brings the samples of a batch together, in a buffer that the next batch overwrites."""

    def __init__(self, x: Array, batch_size: int, threads: int) -> None:
        self._x = x
        self._batch = np.empty((batch_size, *x.shape[1:]), np.float32)
        self._threads = threads
        self._contiguous = x.flags.c_contiguous and x.flags.aligned

    def __call__(self, index: NDArray[np.uint32]) -> Array:
        """Return x[index]."""
        batch = self._batch[: len(index)]
        if self._contiguous:
            return kernels.gather_f32(index, self._x, out=batch, threads=self._threads)
        np.take(self._x, index, axis=0, out=batch, mode="clip")
        return batch


def forward(net: Sequential, x: Array, loss: Loss | None = None, *, training: bool = False) -> Array:
    """Run all layers in the mode that was set; with `loss`, without what that absorbs."""
    if net.operations[0].mode.half_forward:
        x = kernels.round_f16(x)
    return run_forward(net._chain(loss), x, training=training)


def train_batch(
    net: Sequential, x: Array, y: NDArray[Any], loss: Loss, optimizer: Optimizer, *, weights: Array | None = None
) -> tuple[Array, int | None]:
    """Make one update; return each sample's loss and the number of right answers, both from before the update."""
    output = forward(net, x, loss, training=True)
    gradient = np.empty_like(output)
    losses = loss.compute(output, y, gradient)
    if weights is not None:
        kernels_loss_f32.scale_rows_f32(weights, losses[:, None])
        kernels_loss_f32.scale_rows_f32(weights, gradient.reshape(len(x), -1))
    correct = loss.correct(output, y)
    if np.isfinite(losses).all():
        _backward(net._chain(loss), gradient, net.loss_scale)
        if not net.operations[0].mode.half_backward:
            _update(net, optimizer)
        elif _unscale(net):
            _update(net, optimizer)
            _round_state(net)
    return losses, correct


def _backward(chain: list[Operation], gradient: Array, scale: float) -> None:
    """Compute the gradients of all parameters, in half precision times `scale`."""
    if chain[0].mode.half_backward:
        np.multiply(gradient, np.float32(scale), out=gradient)
        kernels.round_f16(gradient, out=gradient)
    first = next((i for i, operation in enumerate(chain) if operation.parameters), len(chain))
    run_backward(chain, gradient, first=first, needs_dx=False)


def _update(net: Sequential, optimizer: Optimizer) -> None:
    net.steps += 1
    gradients = net.gradients
    optimizer.clip(gradients.values())
    for name, w in net.parameters.items():
        optimizer.apply(net.steps, gradients[name], w, net.optimizer_state[name])


def _unscale(net: Sequential) -> bool:
    """Divide the gradients by the loss scale; if one has overflowed, lower the scale and return False."""
    gradients = net.gradients.values()
    if not all(np.isfinite(array).all() for array in gradients):
        if net.loss_scale <= LEAST_SCALE:
            names = [name for name, array in net.gradients.items() if not np.isfinite(array).all()]
            raise GradientError(f"the gradient of layer {names[-1].partition('/')[0]} overflows half precision")
        net.loss_scale, net.scaled_steps = max(net.loss_scale / 2, LEAST_SCALE), 0
        return False
    for array in gradients:
        np.multiply(array, np.float32(1 / net.loss_scale), out=array)
    net.scaled_steps += 1
    if net.scaled_steps == STEPS_TO_DOUBLE:
        net.loss_scale, net.scaled_steps = min(net.loss_scale * 2, MOST_SCALE), 0
    return True


def _round_state(net: Sequential) -> None:
    """Round what an update has stored."""
    states = [array for slots in net.optimizer_state.values() for array in slots.values()]
    for array in (*net.parameters.values(), *net.statistics.values(), *states):
        kernels.round_f16(array, out=array)


def measure(net: Sequential, x: Array, y: NDArray[Any], loss: Loss, *, batch_size: int, mode: Mode) -> Metrics:
    """Return mean loss and accuracy."""
    net._set_mode(mode)
    tally = Tally()
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        output = forward(net, np.ascontiguousarray(x[part]), loss)
        tally.add(loss.compute(output, y[part], None), loss.correct(output, y[part]))
    return tally.metrics()
