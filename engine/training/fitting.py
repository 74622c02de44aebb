"""The training loop: batches, epochs, history, interruption, divergence."""

from __future__ import annotations

import math
import signal
import threading
import time
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels_f32
from engine.errors import DivergedError
from engine.training import stepping
from engine.training.callbacks import Callback
from engine.training.losses import Loss
from engine.training.metrics import Metrics, Tally
from engine.training.operations import FLOAT, Mode
from engine.training.optimizers import Optimizer
from engine.training.progress import Progress

if TYPE_CHECKING:
    from engine.training.sequential import Sequential

#: Odd, and other than the step inside eng_rng_seed, so that epochs do not share parts of their states.
EPOCH_STEP = 0x85EBCA77
#: The same between the layers of an epoch.
LAYER_STEP = 0xC2B2AE3D
ADVICE = "lower the learning rate, or check the scale of x and y"


@dataclass
class History:
    """One entry a finished epoch.

    Parameters
    ----------
    loss, accuracy : list of float
        Means over the epoch's batches, each as it was before its update; accuracy is empty for regression.
    validation_loss, validation_accuracy : list of float
        After the epoch; empty without validation data (accuracy: or for regression).
    seconds : list of float
        Wall-clock time of each epoch, validation included.
    interrupted : bool
        Whether Ctrl-C ended the fit early; the network then has the weights of the last finished batch.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False

    def add(self, train: Metrics, validation: Metrics | None, seconds: float) -> None:
        """Append one epoch."""
        self.loss.append(train.loss)
        self.seconds.append(seconds)
        if train.accuracy is not None:
            self.accuracy.append(train.accuracy)
        if validation is not None:
            self.validation_loss.append(validation.loss)
            if validation.accuracy is not None:
                self.validation_accuracy.append(validation.accuracy)


def sample_order(seed: int, epoch: int, count: int) -> NDArray[np.uint32]:
    """Return the order of `count` samples in an epoch (counted from 0 over the network's life), the same on every machine."""
    order = np.arange(count, dtype=np.uint32)
    kernels_f32.shuffle_u32(kernels_f32.rng_seed((seed + EPOCH_STEP * epoch) % 2**32), order)
    return order


class Interruption:
    """Turns the first Ctrl-C into a flag, so that no update is cut in half; the second raises KeyboardInterrupt.

    Only in the main thread, and only in place of Python's own handler.
    """

    def __init__(self) -> None:
        self.requested = False
        self._installed = False

    def __enter__(self) -> Interruption:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._request)
            self._installed = True
        return self

    def _request(self, signum: int, frame: FrameType | None) -> None:
        if self.requested:
            signal.default_int_handler(signum, frame)
        self.requested = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Job:
    """Checked arguments of one fit; `y` and `validation` as the loss's kernel wants them."""

    x: NDArray[np.float32]
    y: NDArray[Any]
    loss: Loss
    optimizer: Optimizer
    epochs: int
    batch_size: int
    validation: tuple[NDArray[np.float32], NDArray[Any]] | None
    seed: int
    progress: bool
    callbacks: tuple[Callback, ...] = ()
    weights: NDArray[np.float32] | None = None
    mode: Mode = FLOAT


def run(net: Sequential, job: Job) -> History:
    """Train `net` in place."""
    history = History()
    batches = -(-len(job.x) // job.batch_size)
    with Interruption() as interruption, Progress(enabled=job.progress, epochs=job.epochs, batches=batches) as bar:
        for callback in job.callbacks:
            callback.on_fit_begin(net)
        stopped = False
        try:
            for epoch in range(1, job.epochs + 1):
                start = time.perf_counter()
                for callback in job.callbacks:
                    callback.on_epoch_begin(net, epoch)
                with KeptState(net):
                    train = _epoch(net, job, epoch, interruption, bar)
                if train is None:
                    break
                validation = _validate(net, job)
                history.add(train, validation, time.perf_counter() - start)
                figures = _figures(net, job, train, validation)
                verdicts = [callback.on_epoch_end(net, epoch, figures) for callback in job.callbacks]
                stopped = True in verdicts
                if stopped:
                    break
        except KeyboardInterrupt:
            interruption.requested = True
        finally:
            for callback in job.callbacks:
                callback.on_fit_end(net)
    history.interrupted = interruption.requested and not stopped and len(history.loss) < job.epochs
    return history


def _figures(net: Sequential, job: Job, train: Metrics, validation: Metrics | None) -> dict[str, float]:
    """Collect what callbacks see of an epoch."""
    figures = {"loss": train.loss, "accuracy": train.accuracy}
    if validation is not None:
        figures |= {"validation_loss": validation.loss, "validation_accuracy": validation.accuracy}
    figures["learning_rate"] = job.optimizer.rate(net.steps)
    return {name: value for name, value in figures.items() if value is not None}


def _validate(net: Sequential, job: Job) -> Metrics | None:
    if job.validation is None:
        return None
    return stepping.measure(net, *job.validation, job.loss, batch_size=job.batch_size, mode=job.mode)


class KeptState:
    """Puts a network back into the state at the beginning of the block if that ends in DivergedError."""

    def __init__(self, net: Sequential) -> None:
        self._net = net

    def _arrays(self) -> list[NDArray[np.float32]]:
        states = [array for slots in self._net.optimizer_state.values() for array in slots.values()]
        return [*self._net.parameters.values(), *self._net.statistics.values(), *states]

    def __enter__(self) -> None:
        self._steps = self._net.steps
        self._kept = [array.copy() for array in self._arrays()]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, DivergedError):
            self._net.steps = self._steps
            for array, kept in zip(self._arrays(), self._kept, strict=True):
                array[:] = kept


def _epoch(net: Sequential, job: Job, epoch: int, interruption: Interruption, bar: Progress) -> Metrics | None:
    """Train one epoch; None if it was interrupted."""
    order = sample_order(job.seed, net.epochs, len(job.x))
    for i, operation in enumerate(net.operations, 1):
        operation.start_epoch((job.seed + EPOCH_STEP * net.epochs + LAYER_STEP * i) % 2**32)
    net._set_mode(job.mode)
    gather = stepping.Gatherer(job.x, job.batch_size, job.mode.threads)
    tally = Tally()
    for batch, start in enumerate(range(0, len(order), job.batch_size), 1):
        if interruption.requested:
            return None
        index = order[start : start + job.batch_size]
        x = gather(index)
        weights = None if job.weights is None else job.weights[index]
        try:
            losses, correct = stepping.train_batch(net, x, job.y[index], job.loss, job.optimizer, weights=weights)
        except stepping.GradientError as error:
            raise DivergedError(f"epoch {epoch}, batch {batch}: training diverged: {error}; {ADVICE}") from None
        mean = tally.add(losses, correct)
        if not math.isfinite(mean):
            raise DivergedError(_diagnosis(net, x, f"epoch {epoch}, batch {batch}"))
        for callback in job.callbacks:
            callback.on_batch_end(net, batch, mean)
        bar.advance(epoch, vars(tally.metrics()))
    if not all(np.isfinite(w).all() for w in net.parameters.values()):
        raise DivergedError(_diagnosis(net, x, f"end of epoch {epoch}"))
    net.epochs += 1
    return tally.metrics()


def _diagnosis(net: Sequential, x: NDArray[np.float32], where: str) -> str:
    """Name the first layer whose weights or outputs are not finite."""
    for operation in net.operations:
        for name, parameter in operation.parameters.items():
            if not np.isfinite(parameter).all():
                return f"{where}: training diverged: {name} of layer {operation.name} holds NaN or infinity; {ADVICE}"
        x = operation.forward(x)
        if not np.isfinite(x).all():
            return f"{where}: training diverged: the output of layer {operation.name} holds NaN or infinity; {ADVICE}"
    return f"{where}: training diverged: the output of layer {net.operations[-1].name} is too large for the loss; {ADVICE}"
