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
from engine.program import clear_unwritten
from enginekit import device, sim, toolchain
from enginekit.chips import ATMEGA4809
from enginekit.emit import emit
from enginekit.encode.choose import Encoding, Optimize, encode

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
    encoding : Encoding or None
        How the firmware's model is emitted.
    """

    y: NDArray[Any]
    cycles: NDArray[np.int64]
    layer_cycles: tuple[float, ...]
    functions: tuple[FunctionCycles, ...]
    flash: int
    ram: int
    arena: int
    stack: int
    encoding: Encoding | None = None

    @property
    def optimize(self) -> Optimize:
        """What the firmware was emitted for."""
        return Optimize.SIZE if self.encoding is None else self.encoding.optimize

    @property
    def clock(self) -> int:
        """Hz, of the chip that it was emitted for."""
        return ATMEGA4809.clock if self.encoding is None else self.encoding.table.chip.clock


@dataclass(frozen=True, eq=False)
class Firmware:
    """A model's firmware: the image, and what it was built from and for."""

    image: toolchain.FirmwareImage
    model: Model
    usart: int
    encoding: Encoding

    @property
    def optimize(self) -> Optimize:
        """What it was emitted for."""
        return self.encoding.optimize


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
    ends : sequence of (str, int)
        The functions whose returns to ``model_run`` tell how far it is, in order, each with the index of its step; the last
        one of a step ends it. See :func:`step_ends`.
    on_step : callable, optional
        Called with a step's index when it has been computed, for looking into the arena.
    """

    def __init__(self, board: Board, ends: Sequence[tuple[str, int]], on_step: Callable[[int], None] | None = None) -> None:
        self._chip = board.chip
        self._on_step = on_step
        self._ends = tuple(ends)
        self._at = 0
        self._since = 0
        self.inferences = 0
        self.step_cycles = [0] * (1 + max((step for _, step in self._ends), default=-1))
        self.function_cycles: dict[str, int] = defaultdict(int)
        board.line.on_start = self._start
        self._kernels = {symbol for symbol, _ in self._ends}
        for symbol in dict.fromkeys(symbol for symbol, _ in self._ends):
            self._chip.on_return(symbol, partial(self._returned, symbol))
        self._chip.on_return("model_run", self._end)

    def _start(self) -> None:
        self._at = 0
        self._since = self._chip.cycles
        self._chip.clear_profile()

    def _returned(self, symbol: str) -> None:
        if self._chip.call_stack()[-1] in self._kernels:
            return  # a subroutine of the kernel's own, or a kernel that another one calls
        expected, step = self._ends[self._at] if self._at < len(self._ends) else ("the end of model_run", -1)
        if symbol != expected:
            raise EngineError(f"the firmware called {symbol} where the program has {expected}: it was built from another model")
        self._at += 1
        if self._at < len(self._ends) and self._ends[self._at][1] == step:
            return
        self.step_cycles[step] += self._chip.cycles - self._since
        self._since = self._chip.cycles
        if self._on_step is not None:
            self._on_step(step)

    def _end(self) -> None:
        if self._at != len(self._ends):
            raise EngineError(f"the firmware ended an inference after {self._at} of {len(self._ends)} kernel calls")
        self.inferences += 1
        for row in self._chip.profile():
            self.function_cycles[row.name] += row.exclusive


def step_ends(model: Model, optimize: Optimize | Encoding = Optimize.SIZE) -> list[tuple[str, int]]:
    """Return the functions that end the steps of the emitted ``model_run``, in order, each with the index of its step."""
    chosen = encode(model, optimize).steps
    return [(symbol, index) for index, placed in enumerate(chosen) for symbol in placed.candidate.ends]


def build(
    model: Model, folder: str | Path, *, usart: int | None = None, optimize: Optimize | Encoding = Optimize.SIZE
) -> Firmware:
    """Emit `model` and build its firmware in `folder`, for the chip that it is encoded for, by default the ATmega4809.

    See :func:`enginekit.toolchain.build_firmware` for `usart` and the errors.
    """
    encoding = encode(model, optimize)
    chip = encoding.table.chip
    image = toolchain.build_firmware(emit(model, optimize=encoding), folder, chip=chip, usart=usart)
    return Firmware(image, model, chip.link_usart if usart is None else usart, encoding)


def boot(firmware: Firmware) -> Board:
    """Start `firmware` on a fresh simulated chip and let it say which model it runs.

    Raises
    ------
    ModelMismatchError
        If that is another model.
    """
    chip = sim.Chip.from_elf(firmware.image.elf)
    line = Line(chip, firmware.usart)
    client = device.Client(line, model=firmware.model)
    return Board(chip, line, client, client.hello())


def run_on_chip(firmware: Firmware, x: NDArray[Any], *, progress: Progress | None = None) -> ChipRun:
    """Run inputs on the simulated chip over the serial link and measure.

    Parameters
    ----------
    firmware : Firmware
        From :func:`build`.
    x : array[n, *input shape without batch]
        At least one input.
    progress : callable, optional
        ``progress(done, total)``.

    Returns
    -------
    ChipRun
    """
    board = boot(firmware)
    profiler = Profiler(board, step_ends(firmware.model, firmware.encoding))
    y, cycles = board.client.run_batch(x, progress=progress)
    runs = profiler.inferences
    functions = (FunctionCycles(name, total / runs) for name, total in profiler.function_cycles.items() if total)
    return ChipRun(
        y=y,
        cycles=cycles.astype(np.int64),
        layer_cycles=tuple(total / runs for total in profiler.step_cycles),
        functions=tuple(sorted(functions, key=lambda f: -f.cycles)),
        flash=firmware.image.flash,
        ram=firmware.image.ram,
        arena=board.card.arena,
        stack=board.chip.stack_peak,
        encoding=firmware.encoding,
    )


def trace_on_chip(firmware: Firmware, x: NDArray[Any]) -> list[list[Trace]]:
    """Run inputs on the simulated chip and keep what every step wrote into the arena.

    Parameters
    ----------
    firmware, x
        As for :func:`run_on_chip`.

    Returns
    -------
    list of list of Trace
        For each input, what :meth:`engine.Model.trace` gives for it on the host.
    """
    board = boot(firmware)
    model = firmware.model
    arena, _ = board.chip.symbol("arena")
    found: list[list[Trace]] = []

    def look(index: int) -> None:
        step = firmware.encoding.program.steps[index]
        tensor = model.graph.tensors[step.y]
        content = bytearray(board.chip.read(arena + step.y_offset, step.y_size))
        array = np.frombuffer(content, tensor.dtype).reshape(1, *tensor.shape[1:])
        found[-1].append(Trace(step.name, tensor, clear_unwritten(step.params, array)))

    Profiler(board, step_ends(model, firmware.encoding), look)
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
