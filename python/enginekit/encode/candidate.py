"""What every way of emitting a step must say of itself, so that the chooser can compare them without compiling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from engine.program import Program, Step
from enginekit.costs import Table, load
from enginekit.encode.rest import Rest


class Data(NamedTuple):
    """Bytes of a step in flash: weights; biases; rescale records and look-up tables; the params records; code of its own."""

    weights: int
    bias: int
    tables: int
    params: int
    code: int = 0


@dataclass(frozen=True)
class StepText:
    """Definitions of a step's arrays and params, and the lines that call its kernels."""

    data: str
    calls: list[str]


@dataclass(frozen=True, eq=False)
class Context:
    """What is known where a step stands.

    Parameters
    ----------
    program : Program
        The step's.
    index : int
        The step's place in it.
    x_range : (int, int)
        Lowest and highest code that the step can read.
    zero_x : int
        Zero point of what it reads.
    rest : Rest, optional
        What it reads where the image is blank, if a convolution wrote it.
    table : Table
        Of costs.
    parts : tuple of Context
        Of a chain's steps.
    """

    program: Program
    index: int
    x_range: tuple[int, int]
    zero_x: int
    rest: Rest | None = None
    table: Table = field(default_factory=load)
    parts: tuple[Context, ...] = ()

    @property
    def step(self) -> Step:
        """The step itself."""
        return self.program.steps[self.index]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a candidate is emitted.

    Parameters
    ----------
    step : Step
        The one that it was made from; gives name and offsets in the arena.
    name : str
        Prefix of the model's identifiers.
    scratch : int
        Where in the arena the candidate's scratch lies.
    """

    step: Step
    name: str
    scratch: int

    @property
    def prefix(self) -> str:
        """Of the step's identifiers."""
        return f"{self.name}_{self.step.name}"


class Candidate(ABC):
    """One way of emitting one step: its bytes, its cycles, and its C. All ways of a step compute the same codes."""

    @property
    @abstractmethod
    def encoding(self) -> str:
        """Name for people: ``"plain"``, ``"rows of 4, skipping zeros"``."""

    @property
    @abstractmethod
    def data(self) -> Data:
        """Bytes of constants in flash, exactly those that :meth:`emit` defines."""

    @property
    def ram(self) -> int:
        """Bytes of `data` that the kernels read as RAM: there they are, on chips that do not map their flash."""
        return sum(self.data)

    @property
    @abstractmethod
    def symbols(self) -> tuple[str, ...]:
        """C functions that the emitted lines call. Code is paid for once, however many steps call them."""

    @property
    def ends(self) -> tuple[str, ...]:
        """Functions called last, in order, each as often as it is called, by whose returns one sees that the step is done."""
        return (self.symbols[-1],)

    @property
    def own_stack(self) -> int | None:
        """Bytes of stack of the code that it writes itself and counts as data; None if it calls the core's functions."""
        return None

    @property
    def scratch(self) -> int:
        """Bytes of the arena wanted while the step runs, beside what the program has placed for it."""
        return 0

    @property
    def tail(self) -> int:
        """Bytes right behind the step's input that it changes."""
        return 0

    @property
    def in_place(self) -> bool:
        """Whether it may write where it reads, though the kernel of the step in general may not."""
        return False

    @property
    def cycles(self) -> float | None:
        """Cycles (AVRxt) that the functions take with the slowest input; None where they are not predicted."""
        return None

    def mean_cycles(self, samples: NDArray[Any]) -> float | None:
        """Mean cycles over inputs of this step, ``int8[n, x_size]``; by default those of `cycles`, as of any input.

        Where a step has a second input, ``int8[n, x2_size]``, that lies behind the first.
        """
        return self.cycles if len(samples) else None

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that declare `symbols`."""
        return ("eng/encodings.h",)

    @property
    def flash(self) -> int:
        """Bytes of constants in flash."""
        return sum(self.data)

    @abstractmethod
    def emit(self, at: Place) -> StepText:
        """Write definitions and calls."""


#: Gives the candidates of a step; none if it is not of its kind, or something cannot be proven.
Encoder = Callable[[Context], Iterable[Candidate]]
