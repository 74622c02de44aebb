"""The client of a device that trains: samples there, weights back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enginekit.device import frame, protocol
from enginekit.device.client import Client, Port
from enginekit.device.protocol import Card, DeviceError, Learner, NoAnswerError, StepError

if TYPE_CHECKING:
    from enginekit.trainer import Outcome, Trainer

#: Bytes of the state that one request reads: short enough that noise rarely hits it.
READ_CHUNK = 128


class Lesson(NamedTuple):
    """What a step or an evaluation found, see :class:`enginekit.trainer.Outcome`, and the cycles that it took."""

    loss: float
    predicted: int | None
    cycles: int


class Trainee(Client):
    """A :class:`Client` of a device whose firmware holds a trainer.

    A request that trains says how many steps came before it, so that a repeated one does not train twice.

    Parameters
    ----------
    port : Port
        As for :class:`Client`.
    trainer : Trainer
        The one that the firmware was emitted from; another one is an error at the first request.
    **options
        As for :class:`Client`.

    Examples
    --------
    >>> board = Trainee(port, trainer)  # doctest: +SKIP
    >>> for x, label in samples:  # doctest: +SKIP
    ...     board.train(x, label)
    >>> board.network().model()  # an engine.Model with what was learned  # doctest: +SKIP
    """

    def __init__(self, port: Port, trainer: Trainer, **options: Any) -> None:
        super().__init__(port, model=trainer, **options)
        self.trainer = trainer
        self._steps: int | None = None

    def hello(self) -> Card:
        """Ask the device what it is, see :meth:`Client.hello`.

        Raises
        ------
        DeviceError
            As for a client; or if the device's model is no trainer.
        """
        card = super().hello()
        if card.trainer != self.trainer.kind:
            raise DeviceError(f"the device has {card.trainer or 'no'} training, expected {self.trainer.kind}")
        return card

    def learner(self) -> Learner:
        """Ask how far the training is."""
        learner = protocol.parse_learner(self._ask(protocol.TRAINER, b"", self._patience))
        if learner.state != self.trainer.state:
            raise DeviceError(f"the device has a state of {learner.state} bytes; this trainer's has {self.trainer.state}")
        self._steps = learner.steps
        return learner

    def train(self, x: NDArray[Any], target: Any) -> Lesson:
        """Make a step by one sample.

        Parameters
        ----------
        x : array
            Of the trainer's dtype and shape, without batch.
        target : int or array
            A label, or an array of the trainer's dtype and shape.

        Returns
        -------
        Lesson
            Loss and class from before the step.

        Raises
        ------
        TypeError, ValueError
            If the sample does not fit; nothing is sent then.
        StepError
            If the device has been trained by someone else since the last request. The next request goes on from there.
        DeviceError
            As in :meth:`Client.hello`.
        """
        data = self._sample(x, target)
        before = self.learner().steps if self._steps is None else self._steps
        payload = (before % 2**32).to_bytes(4, "little") + data
        try:
            answer = self._ask(protocol.TRAIN, payload, self._run_patience)
        except (NoAnswerError, StepError):
            self._steps = None  # whether the step was made is not known
            raise
        self._steps = before + 1
        return self._lesson(protocol.TRAIN, answer)

    def fit(
        self,
        samples: Iterable[tuple[NDArray[Any], Any]],
        *,
        progress: Callable[[int, Lesson], None] | None = None,
    ) -> list[Lesson]:
        """Make a step by each of some samples; `progress` is called with the number of steps made and what was found."""
        lessons = []
        for x, target in samples:
            lessons.append(self.train(x, target))
            if progress is not None:
                progress(len(lessons), lessons[-1])
        return lessons

    def evaluate(self, x: NDArray[Any], target: Any) -> Lesson:
        """Find loss and class of a sample without a step; arguments and errors as for :meth:`train`."""
        answer = self._ask(protocol.EVALUATE, self._sample(x, target), self._run_patience)
        return self._lesson(protocol.EVALUATE, answer)

    def read_state(self) -> bytes:
        """Read all that the training has changed: weights, optimizer, generator, number of steps.

        Raises
        ------
        DeviceError
            As in :meth:`Client.hello`; or if what came is not what the device has, which a further request repairs.
        """
        parts = []
        for offset in range(0, self.trainer.state, READ_CHUNK):
            size = min(READ_CHUNK, self.trainer.state - offset)
            request = offset.to_bytes(2, "little") + size.to_bytes(2, "little")
            parts.append(protocol.parse_bytes(protocol.READ, self._ask(protocol.READ, request, self._patience), size))
        state = b"".join(parts)
        self._compare("read", state)
        return state

    def write_state(self, state: bytes) -> None:
        """Write a state that :meth:`read_state`, or the trainer's twin, gave.

        Raises
        ------
        FormatError
            If it is no state of this trainer; nothing is sent then.
        DeviceError
            As in :meth:`read_state`. If it ends half-way the device has half of either state: write again, or restart.
        """
        self.trainer.network(state)
        chunk = self.learner().chunk
        self._steps = None
        for offset in range(0, len(state), chunk):
            data = offset.to_bytes(2, "little") + state[offset : offset + chunk]
            protocol.parse_bytes(protocol.WRITE, self._ask(protocol.WRITE, data, self._patience), 0)
        self._compare("written", state)

    def network(self) -> Any:
        """Read the state and give the network with it.

        Returns
        -------
        IntegerSequential or Sequential
            The ``model()`` of the former is an engine.Model.

        Raises
        ------
        FormatError, DeviceError
            As in :meth:`read_state`; or if the training has diverged.
        """
        return self.trainer.network(self.read_state())

    def save(self) -> None:
        """Keep the state in EEPROM; after a reset the device goes on from there.

        Raises
        ------
        RequestError
            If EEPROM is too small; says by how many bytes.
        DeviceError
            As in :meth:`Client.hello`.
        """
        self._order(protocol.SAVE)

    def load(self) -> None:
        """Go back to the state in EEPROM.

        Raises
        ------
        RequestError
            If there is none, it is another trainer's, or it is damaged.
        DeviceError
            As in :meth:`Client.hello`.
        """
        self._order(protocol.LOAD)

    def restart(self) -> None:
        """Go back to the state that the firmware was built with."""
        self._order(protocol.RESTART)

    def _order(self, kind: int) -> None:
        self._steps = None
        protocol.parse_bytes(kind, self._ask(kind, b"", self._run_patience), 0)

    def _ask(self, kind: int, payload: bytes, patience: float) -> bytes:
        """Send a request to a device that is known to hold the trainer."""
        if self._card is None:
            self.hello()
        return self._request(kind, payload, patience)

    def _sample(self, x: NDArray[Any], target: Any) -> bytes:
        return self.trainer.check_input(x).tobytes() + np.asarray(self.trainer.check_target(target)).tobytes()

    def _lesson(self, kind: int, answer: bytes) -> Lesson:
        cycles, data = protocol.parse_outcome(kind, answer, self.trainer.outcome)
        found: Outcome = self.trainer.parse_outcome(data)
        return Lesson(found.loss, found.predicted, cycles)

    def _compare(self, what: str, state: bytes) -> None:
        crc = self.learner().crc
        if crc != frame.crc(state):
            raise DeviceError(
                f"the state {what} has CRC {frame.crc(state):#06x}, the device's {crc:#06x}: someone else is at it"
            )
