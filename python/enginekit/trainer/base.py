"""What a trainer is: a network, its rule of learning, and how its numbers lie in the chip's RAM."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError
from engine.graph import Tensor
from enginekit.trainer.writer import Written

#: Of the class that a trainer without classes has decided for.
NO_CLASS = 0xFFFF


@dataclass(frozen=True, eq=False)
class Field:
    """A part of the state: its name, what it holds at the start, and where it lies in the state, bytes."""

    name: str
    start: NDArray[Any]
    offset: int

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.offset + self.start.nbytes

    def read(self, state: bytes) -> NDArray[Any]:
        """Take it out of a state."""
        return np.frombuffer(state[self.offset : self.end], self.start.dtype).reshape(self.start.shape).copy()


def lay_out(arrays: Sequence[tuple[str, NDArray[Any]]]) -> tuple[Field, ...]:
    """Put arrays one behind the other; wide elements have to come before narrow ones."""
    fields, offset = [], 0
    for name, array in arrays:
        assert offset % array.itemsize == 0, name
        fields.append(Field(name, array, offset))
        offset += array.nbytes
    return tuple(fields)


def brief(item: Any) -> str:
    """Write a dataclass with what differs from its defaults.

    >>> from engine.training import SGD
    >>> brief(SGD(0.5))
    'SGD(learning_rate=0.5)'
    """
    values = [(field, getattr(item, field.name)) for field in dataclasses.fields(item)]
    return f"{type(item).__name__}({', '.join(f'{f.name}={value!r}' for f, value in values if value != f.default)})"


class Outcome(NamedTuple):
    """What a step or an evaluation finds.

    Parameters
    ----------
    loss : float
        Of the sample, before the step; as :meth:`fit` of the network counts it.
    predicted : int or None
        The class that the network decided for before the step; None where there are no classes.
    """

    loss: float
    predicted: int | None


class Trainer(ABC):
    """A network that the chip trains, one sample at a time.

    Made by :func:`enginekit.trainer.make_trainer`; immutable: the network it was made from may change, it does not.
    """

    #: "integer" or "float32".
    kind: str
    #: Samples that a step is made by.
    batch_size = 1

    def __init__(self, net: Any, name: str) -> None:
        self.net = copy.deepcopy(net)
        #: For people.
        self.name = name

    # ------------------------------------------------------------------------------------------------ what the chip needs

    @abstractmethod
    def write(self, prefix: str) -> Written:
        """Write constants and calls with names that start with `prefix`."""

    @cached_property
    def written(self) -> Written:
        """:meth:`write` with the usual prefix: sizes do not depend on it."""
        return self.write("model")

    @cached_property
    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """The state in order: all that outlives a step. The first one is the number of steps, uint32."""

    @property
    def state(self) -> int:
        """Bytes of the state."""
        return self.fields[-1].end

    @property
    @abstractmethod
    def x(self) -> Tensor:
        """The input, batch 1."""

    @property
    @abstractmethod
    def y(self) -> Tensor:
        """The output, batch 1."""

    @property
    @abstractmethod
    def target(self) -> NDArray[Any]:
        """A target's dtype and shape: uint16[] for a label."""

    @property
    @abstractmethod
    def classes(self) -> int | None:
        """Labels are below this; None where targets are numbers."""

    @property
    @abstractmethod
    def loss_dtype(self) -> np.dtype[Any]:
        """Of the loss in an outcome."""

    @property
    @abstractmethod
    def loss_kernel(self) -> str:
        """Function of the core that computes it."""

    @abstractmethod
    def loss(self, raw: Any) -> float:
        """Give the loss of an outcome as :meth:`fit` counts it."""

    @abstractmethod
    def raw_loss(self, loss: float) -> float:
        """Give the loss as it lies in an outcome: undo :meth:`loss`."""

    @property
    def outcome(self) -> int:
        """Bytes of an outcome: the loss, and the class where there are classes."""
        return 4 if self.classes is None else 6

    def parse_outcome(self, data: bytes) -> Outcome:
        """Read an outcome as the chip gives it."""
        raw = np.frombuffer(data[:4], self.loss_dtype)[0]
        return Outcome(self.loss(raw), None if self.classes is None else int.from_bytes(data[4:6], "little"))

    def pack_outcome(self, found: Outcome) -> bytes:
        """Write an outcome as the chip gives it."""
        raw = np.array(self.raw_loss(found.loss)).astype(self.loss_dtype).tobytes()
        return raw if found.predicted is None else raw + found.predicted.to_bytes(2, "little")

    @property
    @abstractmethod
    def settings(self) -> str:
        """The rule of learning in words, without what the state holds."""

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of network, state at the start and rule: the identity of the trainer, on the host and on the chip."""
        parts = [self.kind.encode(), self.settings.encode(), self._body_digest(), self.start_state()]
        return hashlib.sha256(b"\0".join(parts)).digest()

    @abstractmethod
    def _body_digest(self) -> bytes:
        """Digest of all that the state does not hold."""

    @property
    def flash(self) -> int:
        """Bytes of constants on the chip, golden samples not included."""
        return self.written.flash + sum(each.start.nbytes for each in self.fields if each.start.any())

    def start_state(self) -> bytes:
        """Give the state at the start."""
        return b"".join(each.start.tobytes() for each in self.fields)

    # ------------------------------------------------------------------------------------------------ the host's side

    @abstractmethod
    def twin(self) -> Twin:
        """Give what does the same on the host, at the start."""

    def network(self, state: bytes) -> Any:
        """Give the network with a state that came from the chip.

        Returns
        -------
        IntegerSequential or Sequential
            Trains on from there with the same bits as the chip.

        Raises
        ------
        FormatError
            If `state` has another size, or holds numbers that the network cannot have.
        """
        if len(state) != self.state:
            raise FormatError(f"trainer {self.name!r}: a state of {len(state)} bytes; this trainer's has {self.state}")
        net = copy.deepcopy(self.net)
        self._adopt(net, {each.name: each.read(state) for each in self.fields})
        return net

    @abstractmethod
    def _adopt(self, net: Any, values: dict[str, NDArray[Any]]) -> None:
        """Put a state's numbers into a network."""

    def check_target(self, target: Any) -> NDArray[Any]:
        """Return a target as the chip takes it.

        Raises
        ------
        TypeError, ValueError
            If it is none.
        """
        like = self.target
        if self.classes is None:
            if not isinstance(target, np.ndarray) or target.dtype != like.dtype or target.shape != like.shape:
                came = f"{target.dtype}{list(target.shape)}" if isinstance(target, np.ndarray) else type(target).__name__
                raise TypeError(f"train: the target is {came}; this trainer takes {like.dtype}{list(like.shape)}")
            if target.dtype.kind == "f" and not np.isfinite(target).all():
                raise ValueError("train: the target holds NaN or infinity; expected finite numbers")
            return target
        if not isinstance(target, int | np.integer) or isinstance(target, bool):
            raise TypeError(f"train: the target is {target!r}; this trainer takes a label, an integer")
        if not 0 <= target < self.classes:
            raise ValueError(f"train: the label is {target}; expected labels in [0, {self.classes - 1}]")
        return np.array(target, np.uint16)

    def check_input(self, x: Any) -> NDArray[Any]:
        """Return an input as the chip takes it, without batch.

        Raises
        ------
        TypeError, ValueError
            If it is none.
        """
        shape = self.x.shape[1:]
        if not isinstance(x, np.ndarray) or x.dtype != self.x.dtype:
            came = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
            raise TypeError(f"train: x is {came}; this trainer takes {self.x.dtype}")
        if x.shape != shape:
            raise ValueError(f"train: x has shape {x.shape}; this trainer takes {shape}")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ValueError("train: x holds NaN or infinity; expected finite numbers")
        return np.ascontiguousarray(x)


class Twin(ABC):
    """Does on the host what the chip does: the same state, bit for bit, after the same steps."""

    @abstractmethod
    def train(self, x: NDArray[Any], target: Any) -> Outcome:
        """Make a step by one sample, as :meth:`enginekit.device.Client.train` does."""

    @abstractmethod
    def evaluate(self, x: NDArray[Any], target: Any) -> Outcome:
        """Find loss and class without a step."""

    @abstractmethod
    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        """Compute the output for one input, without batch."""

    @abstractmethod
    def state(self) -> bytes:
        """Give the state as it lies in the chip's RAM."""
