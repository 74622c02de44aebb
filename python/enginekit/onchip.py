"""Runs a model on the simulated ATmega4809: emits it, builds its firmware, talks to it over the serial link."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.model import Model, Trace
from engine.program import Program
from enginekit import device, sim, toolchain
from enginekit.emit import emit
from enginekit.records import split

#: ``progress(done, total)``, called after each image.
Progress = Callable[[int, int], None]

#: Simulated seconds between the last byte of a request and the inference, at most.
MARGIN = 0.05


@dataclass(frozen=True)
class FunctionCycles:
    """Cycles that one function spends in one inference on average, without those that it calls."""

    name: str
    cycles: float


@dataclass(frozen=True, eq=False)
class ChipRun:
    """What the chip answered and what it cost.

    Parameters
    ----------
    y : array[n, *output shape without batch]
        Outputs, as received over the link.
    cycles : int64[n]
        Cycles of each inference, as the firmware's own timer counts them.
    layer_cycles : tuple of float
        Mean cycles of each step of the program.
    functions : tuple of FunctionCycles
        Where the cycles of an inference go, the most expensive first.
    flash, ram, arena, stack : int
        Bytes: the whole firmware's flash and static RAM, the arena's part of that, the deepest stack.
    """

    y: NDArray[Any]
    cycles: NDArray[np.int64]
    layer_cycles: tuple[float, ...]
    functions: tuple[FunctionCycles, ...]
    flash: int
    ram: int
    arena: int
    stack: int


@dataclass(frozen=True, eq=False)
class Board:
    """A running simulated chip, the line to it, the client that talks over it, and what the chip said of itself."""

    chip: sim.Chip
    line: Line
    client: device.Client
    card: device.Card


class Line(sim.SimulatedSerial):
    """A simulated serial line that can stop the chip where an inference begins."""

    def __init__(self, chip: sim.Chip, usart: int) -> None:
        super().__init__(chip, usart)
        self.number = usart
        #: Called when ``model_run`` has been called and nothing of it has run yet; None to let it pass.
        self.on_start: Callable[[], None] | None = None

    def write(self, data: bytes) -> int:
        """Send `data`; with `on_start` set, let the chip run until the inference that `data` asks for begins."""
        count = super().write(data)
        if self.on_start is not None:
            seconds = 10 * len(data) / self.chip.usart(self.number).baud + MARGIN
            if self.chip.run(round(seconds * self.chip.clock_hz), until="model_run").reason == "until":
                self.on_start()
        return count


class Profiler:
    """Cycles of inferences, by step and by function.

    Parameters
    ----------
    board : Board
        Whose chip and line are watched from now on.
    calls : sequence of (str, int)
        The functions that ``model_run`` calls, in order, each with the index of the step that it belongs to; see
        :func:`kernel_calls`.
    on_step : callable, optional
        Called with a step's index when it has been computed, for looking into the arena.
    """

    def __init__(self, board: Board, calls: Sequence[tuple[str, int]], on_step: Callable[[int], None] | None = None) -> None:
        self._chip = board.chip
        self._on_step = on_step
        self._calls = tuple(calls)
        self._at = 0
        self._inclusive: dict[str, int] = {}
        self.inferences = 0
        self.step_cycles = [0] * (1 + max((step for _, step in self._calls), default=-1))
        self.function_cycles: dict[str, int] = defaultdict(int)
        board.line.on_start = self._start
        for symbol in dict.fromkeys(symbol for symbol, _ in self._calls):
            self._chip.on_return(symbol, partial(self._returned, symbol))
        self._chip.on_return("model_run", self._end)

    def _start(self) -> None:
        self._at = 0
        self._inclusive = {}
        self._chip.clear_profile()

    def _returned(self, symbol: str) -> None:
        expected, step = self._calls[self._at] if self._at < len(self._calls) else ("the end of model_run", -1)
        if symbol != expected:
            raise EngineError(f"the firmware called {symbol} where the program has {expected}: it was built from another model")
        total = next(row.inclusive for row in self._chip.profile() if row.name == symbol)
        self.step_cycles[step] += total - self._inclusive.get(symbol, 0)
        self._inclusive[symbol] = total
        self._at += 1
        last = self._at == len(self._calls) or self._calls[self._at][1] != step
        if last and self._on_step is not None:
            self._on_step(step)

    def _end(self) -> None:
        if self._at != len(self._calls):
            raise EngineError(f"the firmware ended an inference after {self._at} of {len(self._calls)} kernel calls")
        self.inferences += 1
        for row in self._chip.profile():
            self.function_cycles[row.name] += row.exclusive


def kernel_calls(program: Program) -> list[tuple[str, int]]:
    """Return the kernels that the emitted ``model_run`` calls, in order, each with the index of its step."""
    return [(f"eng_{step.kernel}", index) for index, step in enumerate(program.steps) for _ in split(step)]


def build(model: Model, folder: str | Path, *, usart: int = 3) -> toolchain.FirmwareImage:
    """Emit `model` and build its firmware in `folder`; see :func:`enginekit.toolchain.build_firmware` for the errors."""
    return toolchain.build_firmware(emit(model), folder, usart=usart)


def boot(image: toolchain.FirmwareImage, model: Model, *, usart: int = 3) -> Board:
    """Start `image` on a fresh simulated chip and check that it runs `model`.

    Raises
    ------
    ModelMismatchError
        If the chip says that it has another model.
    """
    chip = sim.Chip.from_elf(image.elf)
    line = Line(chip, usart)
    client = device.Client(line, model=model)
    return Board(chip, line, client, client.hello())


def run_on_chip(
    model: Model, image: toolchain.FirmwareImage, x: NDArray[Any], *, usart: int = 3, progress: Progress | None = None
) -> ChipRun:
    """Run inputs on the simulated chip over the serial link and measure.

    Parameters
    ----------
    model : Model
        What `image` was built from.
    image : FirmwareImage
        From :func:`build`.
    x : array[n, *input shape without batch]
        At least one input.
    usart : int
        The port that `image` was built for.
    progress : callable, optional
        ``progress(done, total)``.

    Returns
    -------
    ChipRun
    """
    board = boot(image, model, usart=usart)
    profiler = Profiler(board, kernel_calls(model.program))
    y, cycles = board.client.run_batch(x, progress=progress)
    runs = profiler.inferences
    functions = (FunctionCycles(name, total / runs) for name, total in profiler.function_cycles.items() if total)
    return ChipRun(
        y=y,
        cycles=cycles.astype(np.int64),
        layer_cycles=tuple(total / runs for total in profiler.step_cycles),
        functions=tuple(sorted(functions, key=lambda f: -f.cycles)),
        flash=image.flash,
        ram=image.ram,
        arena=board.card.arena,
        stack=board.chip.stack_peak,
    )


def trace_on_chip(model: Model, image: toolchain.FirmwareImage, x: NDArray[Any], *, usart: int = 3) -> list[list[Trace]]:
    """Run inputs on the simulated chip and keep what every step wrote into the arena.

    Parameters
    ----------
    model, image, x, usart
        As for :func:`run_on_chip`.

    Returns
    -------
    list of list of Trace
        For each input, what :meth:`engine.Model.trace` gives for it on the host.
    """
    board = boot(image, model, usart=usart)
    arena, _ = board.chip.symbol("arena")
    steps = model.program.steps
    found: list[list[Trace]] = []

    def look(index: int) -> None:
        step = steps[index]
        tensor = model.graph.tensors[step.y]
        content = board.chip.read(arena + step.y_offset, step.y_size)
        found[-1].append(Trace(step.name, tensor, np.frombuffer(content, tensor.dtype).reshape(1, *tensor.shape[1:])))

    Profiler(board, kernel_calls(model.program), look)
    for one in x:
        found.append([])
        board.client.run(one)
    return found


def first_difference(got: Sequence[Trace], want: Sequence[Trace]) -> str | None:
    """Name the first step in which two traces of one input differ, with index and values; None if they agree."""
    for a, b in zip(got, want, strict=True):
        if a.array.tobytes() != b.array.tobytes():
            bad = np.flatnonzero(a.array.ravel() != b.array.ravel())
            at = int(bad[0])
            values = f"{a.array.ravel()[at]} instead of {b.array.ravel()[at]}"
            return f"{a.step_name}: {len(bad)} values differ, first at {at}: {values}"
    return None
