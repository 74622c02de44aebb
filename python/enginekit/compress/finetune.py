"""Training under a constraint: the network always holds weights that fit, gradients move what they were rounded from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine import training
from engine.errors import QuantError
from enginekit.compress.compression import Compression
from enginekit.compress.layers import LayerReport, WeightedLayer, layer_report, weighted_layers
from enginekit.compress.projections import Clusters, Projection, Steps, block_scores, keep

#: Share of the updates over which pruning goes from none to all of it, and how often it goes on in that time.
_PRUNING, _PRUNINGS = 0.5, 100


@dataclass(frozen=True)
class Report:
    """What compression did.

    Parameters
    ----------
    compression : Compression
    layers : tuple of LayerReport
    before, after : float or None
        Accuracy on the validation data; None without, or for a regression.
    history : training.History or None
        Of the training; None without.
    """

    compression: Compression
    layers: tuple[LayerReport, ...]
    before: float | None
    after: float | None
    history: training.History | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "compression": asdict(self.compression),
            "accuracy_before": self.before,
            "accuracy_after": self.after,
            "layers": [asdict(layer) for layer in self.layers],
        }


class _Constrained:
    """A layer, its weights before rounding, what they are rounded by, and which of them are kept."""

    def __init__(self, layer: WeightedLayer, compression: Compression, share: float) -> None:
        self.layer, self.share, self.block = layer, share, compression.block
        self.masters = layer.rows()
        self.held = self.masters
        self.kept = np.ones(self.masters.shape, bool)
        self.projection: Projection | None = None
        if not compression.suits(layer.w.size):
            return
        if compression.levels is not None:
            self.projection = Steps(*compression.levels)
        elif compression.clusters is not None:
            self.projection = Clusters(compression.clusters, keep_zero=share > 0)

    def prune(self, part: float) -> None:
        """Prune a part, up to 1, of the layer's share, those pruned before included."""
        if self.share > 0:
            scores = block_scores(np.where(self.kept, self.masters, 0), self.layer.activity, self.block)
            self.kept = keep(scores, len(self.masters), self.block, self.share * part)

    def hold(self, *, fit: bool) -> None:
        """Give the network weights that fit; choose widths or values anew with `fit`."""
        self.masters = np.where(self.kept, self.masters, np.float32(0))
        self.held = self.masters
        if self.projection is not None:
            if fit:
                self.projection.fit(self.masters)
            self.held = self.projection.apply(self.masters)
        self.layer.assign(self.held)

    def follow(self) -> None:
        """Move the weights before rounding by what an update has moved those that fit."""
        self.masters = self.masters + (self.layer.rows() - self.held)


class _Constraint(training.Callback):
    """Keeps a network within a constraint while it trains; prunes more and more."""

    def __init__(self, layers: list[_Constrained], updates: int) -> None:
        self.layers, self.done = layers, 0
        self.pruned_at = max(int(updates * _PRUNING), 1)
        self.every = max(self.pruned_at // _PRUNINGS, 1)

    def on_epoch_begin(self, net: training.Sequential, epoch: int) -> None:  # noqa: ARG002  the interface
        for layer in self.layers:
            layer.hold(fit=True)

    def on_batch_end(self, net: training.Sequential, batch: int, loss: float) -> None:  # noqa: ARG002  the interface
        self.done += 1
        prunes = self.done <= self.pruned_at and (self.done % self.every == 0 or self.done == self.pruned_at)
        for layer in self.layers:
            layer.follow()
            if prunes:  # quickly at first, then ever more slowly (Zhu and Gupta, 2017)
                layer.prune(1 - (1 - self.done / self.pruned_at) ** 3)
            layer.hold(fit=prunes)


def compress(
    net: training.Sequential,
    x: NDArray[np.float32],
    y: NDArray[Any],
    compression: Compression,
    *,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 0.002,
    validation: tuple[NDArray[np.float32], NDArray[Any]] | None = None,
    seed: int | None = None,
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> Report:
    """Compress a trained network in place.

    Pruning goes step by step over the first half of the training, so that the rest can take over. Weights of a few bits and
    clustered ones are rounded for every batch, and its gradient moves what they were rounded from (straight-through
    estimator). The last update leaves weights that fit; :func:`enginekit.quantize.quantize` keeps them so.

    Parameters
    ----------
    net : training.Sequential
        Trained.
    x, y : arrays
        As for ``net.fit``; `x` also says which inputs are active.
    compression : Compression
    epochs : int
        0 compresses without training.
    batch_size, seed : int
        As for ``net.fit``.
    learning_rate : float
        Of Adam at first; it falls to a hundredth along a cosine.
    validation : (x, y), optional
        For the accuracy before and after.
    progress : callable, optional
        Called after each epoch with its number and figures, as of ``Callback.on_epoch_end``.

    Returns
    -------
    Report

    Raises
    ------
    QuantError
        If there is nothing to compress: no layer has as many weights as `compression` asks for.
    TypeError, ValueError
        As for ``net.fit``.
    """
    epochs = check.integer("compress", "epochs", epochs, 0, 2**31 - 1)
    batch_size = check.integer("compress", "batch_size", batch_size, 1, 2**31 - 1)
    layers = _constrained(net, x, compression)
    original = [layer.masters for layer in layers]
    before = _accuracy(net, validation)
    history = None
    if epochs > 0:
        updates = epochs * -(-len(x) // batch_size)
        rate = training.CosineDecay(learning_rate, updates, alpha=0.01)
        history = net.fit(
            *(x, y),
            optimizer=training.Adam(rate),
            epochs=epochs,
            batch_size=batch_size,
            validation=validation,
            seed=seed,
            progress=False,
            callbacks=[_Constraint(layers, updates), *([_Told(progress)] if progress is not None else [])],
        )
    for layer in layers:  # again, as training may have been interrupted
        layer.prune(1.0)
        layer.hold(fit=epochs == 0 or history is None)
    reports = tuple(layer_report(each.layer, rows) for each, rows in zip(layers, original, strict=True))
    return Report(compression, reports, before, _accuracy(net, validation), history)


class _Told(training.Callback):
    """Tells how an epoch went."""

    def __init__(self, progress: Callable[[int, dict[str, float]], None]) -> None:
        self.progress = progress

    def on_epoch_end(self, net: training.Sequential, epoch: int, figures: dict[str, float]) -> None:  # noqa: ARG002  the interface
        self.progress(epoch, figures)


def _constrained(net: training.Sequential, x: NDArray[np.float32], compression: Compression) -> list[_Constrained]:
    """Pair layers with the share of each that is pruned, so that the network's share is that asked for."""
    layers = weighted_layers(net, x)
    prunable = [layer for layer in layers if layer.w.size >= compression.least and not layer.depthwise]
    share = 0.0
    if compression.prune > 0:
        share = compression.prune * sum(layer.w.size for layer in layers) / max(sum(layer.w.size for layer in prunable), 1)
    if share >= 1 or (compression.prune > 0 and not prunable):
        raise QuantError(
            f"{100 * compression.prune:g} % of the weights cannot be pruned: layers of {compression.least} weights and more, "
            f"depthwise ones left out, have {sum(layer.w.size for layer in prunable):,} of "
            f"{sum(layer.w.size for layer in layers):,}"
        )
    found = [_Constrained(layer, compression, share if layer in prunable else 0.0) for layer in layers]
    active = [layer for layer in found if layer.projection is not None or layer.share > 0]
    if not active:
        raise QuantError(f"no layer has {compression.least} weights or more, the fewest that are worth {compression.text}")
    return active


def _accuracy(net: training.Sequential, validation: tuple[NDArray[np.float32], NDArray[Any]] | None) -> float | None:
    return None if validation is None else net.evaluate(*validation).accuracy
