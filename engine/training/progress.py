"""A progress bar on the terminal where there is one, silence elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from types import TracebackType
from typing import Any


class Progress:
    """Bar of one `fit`, drawn on stderr by rich; does nothing if rich is missing or stderr is not a terminal.

    Parameters
    ----------
    enabled : bool
        Whether the caller wants a bar.
    epochs, batches : int
        Epochs, and batches in each.
    """

    def __init__(self, *, enabled: bool, epochs: int, batches: int) -> None:
        self._bar: Any = None
        self._task: Any = None
        if enabled and sys.stderr is not None and sys.stderr.isatty() and importlib.util.find_spec("rich"):
            self._start(epochs, batches)

    def _start(self, epochs: int, batches: int) -> None:
        from rich.console import Console  # noqa: PLC0415  rich is optional and slow to load
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        self._bar = Bar(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("fit", total=epochs * batches, epoch=1, epochs=epochs, figures="")

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, epoch: int, figures: dict[str, float | None]) -> None:
        """Show one more batch done, in `epoch` (from 1), and the running figures that are not None."""
        if self._bar is not None:
            text = "  ".join(f"{name} {value:.4f}" for name, value in figures.items() if value is not None)
            self._bar.update(self._task, advance=1, epoch=epoch, figures=text)
