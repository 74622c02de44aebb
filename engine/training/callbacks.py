"""What happens beside training: stop early, keep checkpoints, log. Passed to ``fit(callbacks=[...])``."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check

if TYPE_CHECKING:
    from engine.training.sequential import Sequential

#: What `figures` holds: loss, learning_rate, and where there are such: accuracy, validation_loss, validation_accuracy.
MONITORS = ("loss", "accuracy", "validation_loss", "validation_accuracy")


class Callback:
    """Base of all callbacks; override what is of interest.

    `epoch` counts the epochs of this fit from 1, ``net.epochs`` those of the network's life.
    """

    def on_fit_begin(self, net: Sequential) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, net: Sequential, epoch: int) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, net: Sequential, batch: int, loss: float) -> None:
        """After the update by a batch, counted from 1; `loss` is the batch's mean before it."""

    def on_epoch_end(self, net: Sequential, epoch: int, figures: dict[str, float]) -> bool | None:
        """After an epoch and its validation; returning True ends the fit."""

    def on_fit_end(self, net: Sequential) -> None:
        """After the last epoch, also if the fit was interrupted or failed."""


def _monitor(owner: str, name: str) -> str:
    if name not in MONITORS:
        raise ValueError(f"{owner}: monitor is {name!r}; expected one of {', '.join(map(repr, MONITORS))}")
    return name


def _figure(owner: str, name: str, figures: dict[str, float]) -> float:
    """Return the figure so that smaller is better."""
    if name not in figures:
        raise ValueError(f"{owner}: there is no {name} in this fit, which has {', '.join(figures)}; pass validation=(x, y)?")
    return -figures[name] if name.endswith("accuracy") else figures[name]


class EarlyStopping(Callback):
    """Ends a fit that no longer improves.

    Parameters
    ----------
    monitor : str
        One of :data:`MONITORS`.
    patience : int
        The fit ends after so many epochs in a row without improvement; 0 means 1, as in Keras.
    min_delta : float
        An improvement is more than this, at least 0.
    restore_best : bool
        At the end, give the network the parameters and statistics of the best epoch. The optimizer's state stays the last.
    """

    def __init__(
        self, monitor: str = "validation_loss", *, patience: int = 0, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        self.monitor = _monitor("EarlyStopping", monitor)
        self.patience = check.integer("EarlyStopping", "patience", patience, 0, 2**31 - 1)
        self.min_delta = check.number("EarlyStopping", "min_delta", min_delta, 0, math.inf)
        self.restore_best = restore_best
        #: The best epoch, from 1; 0 before there is one.
        self.best_epoch = 0
        #: The epoch that ended the fit; 0 if none did.
        self.stopped_epoch = 0
        self._best = math.inf
        self._kept: dict[str, NDArray[np.float32]] = {}

    def on_fit_begin(self, net: Sequential) -> None:  # noqa: ARG002  the interface
        """Forget earlier fits."""
        self.best_epoch = self.stopped_epoch = 0
        self._best, self._kept = math.inf, {}

    def on_epoch_end(self, net: Sequential, epoch: int, figures: dict[str, float]) -> bool:
        """Compare with the best epoch."""
        figure = _figure("EarlyStopping", self.monitor, figures)
        if figure < self._best - self.min_delta:
            self._best, self.best_epoch = figure, epoch
            if self.restore_best:
                self._kept = {name: array.copy() for name, array in (net.parameters | net.statistics).items()}
        elif epoch - self.best_epoch >= max(self.patience, 1):
            self.stopped_epoch = epoch
        return self.stopped_epoch > 0

    def on_fit_end(self, net: Sequential) -> None:
        """Restore the best epoch."""
        for name, array in (net.parameters | net.statistics).items():
            if name in self._kept:
                array[:] = self._kept[name]


class ModelCheckpoint(Callback):
    """Saves the network after epochs; :func:`engine.training.load` and another fit go on from there bit for bit.

    Parameters
    ----------
    path : path
        ``{epoch}`` in it stands for the epoch over the network's life. The file is replaced as a whole.
    monitor : str, optional
        Save only after epochs better in this than all before, one of :data:`MONITORS`; by default after every one.
    """

    def __init__(self, path: str | Path, *, monitor: str | None = None) -> None:
        self.path = str(path)
        self.monitor = None if monitor is None else _monitor("ModelCheckpoint", monitor)
        self._best = math.inf

    def on_epoch_end(self, net: Sequential, epoch: int, figures: dict[str, float]) -> None:  # noqa: ARG002  the interface
        """Save, if it is time."""
        if self.monitor is not None:
            figure = _figure("ModelCheckpoint", self.monitor, figures)
            if not figure < self._best:
                return
            self._best = figure
        net.save(self.path.replace("{epoch}", str(net.epochs)))


class CSVLogger(Callback):
    """Writes a line of figures after each epoch; `append` goes on in an existing file."""

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = Path(path)
        self.append = append

    def on_fit_begin(self, net: Sequential) -> None:  # noqa: ARG002  the interface
        """Empty the file, unless appending."""
        if not self.append:
            self.path.write_text("")

    def on_epoch_end(self, net: Sequential, epoch: int, figures: dict[str, float]) -> None:  # noqa: ARG002  the interface
        """Add a line, and before the first one the names."""
        row = {"epoch": net.epochs, **figures}
        new = not self.path.exists() or self.path.stat().st_size == 0
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


class TensorBoard(Callback):
    """Writes figures, and histograms of weights and gradients, for TensorBoard, through tensorboardX.

    Parameters
    ----------
    folder : path
        Of the event files.
    histograms : bool
        After each epoch, of every parameter and of its last gradient.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, *, histograms: bool = True) -> None:
        try:
            from tensorboardX import SummaryWriter  # noqa: PLC0415  optional
        except ImportError as error:
            raise ImportError("TensorBoard needs tensorboardX: pip install engine[tensorboard]") from error
        self._make: Any = SummaryWriter
        self._folder = str(folder)
        self._writer: Any = None
        self.histograms = histograms

    def on_fit_begin(self, net: Sequential) -> None:  # noqa: ARG002  the interface
        """Open the event file."""
        self._writer = self._make(self._folder)

    def on_epoch_end(self, net: Sequential, epoch: int, figures: dict[str, float]) -> None:  # noqa: ARG002  the interface
        """Write an epoch."""
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, net.epochs)
        if self.histograms:
            for name, array in net.parameters.items():
                self._writer.add_histogram(f"weights/{name}", array, net.epochs)
            for name, array in net.gradients.items():
                self._writer.add_histogram(f"gradients/{name}", array, net.epochs)
        self._writer.flush()

    def on_fit_end(self, net: Sequential) -> None:  # noqa: ARG002  the interface
        """Close the event file."""
        self._writer.close()
