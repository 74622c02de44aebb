"""The client of a device: one request, one answer, repeated until it comes through undamaged."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from enginekit.device import frame, protocol
from enginekit.device.protocol import Batch, Card, ModelMismatchError, NoAnswerError, ProtocolError, Reply, Selftest, Stats

if TYPE_CHECKING:
    from engine import Model
    from enginekit.trainer import Trainer

#: Bytes that the client reads through in one attempt: more than twice the longest answer that a chip of 6 KB gives.
_ENOUGH = 16384
#: Silence that ends a broken answer: longer than the gaps that USB makes, and than the device's own patience (s).
_GAP = 0.1
_QUIET = 0.03
#: Requests whose answer depends on the model's size.
_LONG = (protocol.RUN, protocol.SELFTEST, protocol.TRAIN, protocol.EVALUATE)


class Port(Protocol):
    """What the client needs of a port: pyserial's ``Serial`` and the simulated chip's have it."""

    timeout: float | None

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""

    def read(self, size: int = 1, /) -> bytes:
        """Receive up to `size` bytes; fewer when `timeout` seconds pass."""

    def reset_input_buffer(self) -> None:
        """Drop what has come in."""


class Client:
    """Runs a model on a device at the other end of a serial line.

    Requests whose answers are lost or damaged are repeated; a damaged frame is never taken for an answer, nor the answer
    to one request for that to another.

    Parameters
    ----------
    port : Port
        A ``serial.Serial``, or :class:`enginekit.sim.SimulatedSerial`.
    model : engine.Model or Trainer, optional
        What the device must run; another one is an error at the first request.
    attempts : int
        How often a request is sent before giving up.
    patience : float
        Seconds to wait for an answer that needs no inference.
    run_patience : float
        Seconds to wait for an inference, or the self-test.

    Examples
    --------
    >>> client = Client(port)  # doctest: +SKIP
    >>> reply = client.run(x)  # doctest: +SKIP
    """

    def __init__(
        self,
        port: Port,
        *,
        model: Model | Trainer | None = None,
        attempts: int = 5,
        patience: float = 0.5,
        run_patience: float = 10.0,
    ) -> None:
        if attempts < 1 or patience <= 0 or run_patience <= 0:
            raise ValueError(f"Client: {attempts} attempts of {patience} s and {run_patience} s; expected positive numbers")
        self._port = port
        self._model = model
        self._attempts = attempts
        self._patience = patience
        self._run_patience = run_patience
        self._sequence = secrets.randbelow(256)
        self._card: Card | None = None
        #: Requests that had to be repeated so far.
        self.retries = 0

    def hello(self) -> Card:
        """Ask the device what it is and which model it runs.

        Returns
        -------
        Card

        Raises
        ------
        NoAnswerError
            If nothing answers.
        ProtocolError
            If the device speaks another version of the protocol.
        ModelMismatchError
            If it runs another model than the one this client was made for.
        """
        card = protocol.parse_hello(self._request(protocol.HELLO, bytes([protocol.PROTOCOL]), self._patience))
        if self._model is not None and card.hash != bytes(self._model.digest[: len(card.hash)]):
            expected = bytes(self._model.digest[: len(card.hash)])
            raise ModelMismatchError(
                f"the device runs the model {card.name!r} with hash {card.hash.hex()}, expected {expected.hex()}: "
                "emit, build and flash the model again"
            )
        self._card = card
        return card

    def run(self, x: NDArray[Any]) -> Reply:
        """Run the model on one input.

        Parameters
        ----------
        x : array
            Of the dtype and shape that the model has, without batch; values are codes, as in ``engine.Model.run``.

        Returns
        -------
        Reply
            ``y`` in the model's dtype and shape; ``cycles`` from the first instruction of ``model_run`` through its return.

        Raises
        ------
        TypeError
            If `x` is no array of the model's dtype.
        ValueError
            If `x` has another shape.
        DeviceError
            As in :meth:`hello`.
        """
        card = self._card or self.hello()
        data = _checked(x, card.x.shape, card, "Client.run").tobytes()
        return protocol.parse_run(self._request(protocol.RUN, data, self._run_patience), card.y)

    def run_batch(self, x: NDArray[Any], *, progress: Callable[[int, int], None] | None = None) -> Batch:
        """Run the model on N inputs, one after the other.

        Parameters
        ----------
        x : array[N, ...]
            Inputs of the model's dtype.
        progress : function of (done, total), optional
            Called after each.

        Returns
        -------
        Batch
            ``y`` of shape [N, ...] and uint32[N] ``cycles``.

        Raises
        ------
        TypeError, ValueError, DeviceError
            As in :meth:`run`.
        """
        card = self._card or self.hello()
        total = len(x) if isinstance(x, np.ndarray) and x.ndim else 0
        _checked(x, (total, *card.x.shape), card, "Client.run_batch")
        y = np.empty((total, *card.y.shape), dtype=card.y.dtype)
        cycles = np.empty(total, dtype=np.uint32)
        for n in range(total):
            y[n], cycles[n] = self.run(x[n])
            if progress is not None:
                progress(n + 1, total)
        return Batch(y, cycles)

    def selftest(self) -> Selftest:
        """Have the device run the golden inputs that lie in its flash and compare the outputs.

        Returns
        -------
        Selftest

        Raises
        ------
        DeviceError
            As in :meth:`hello`.
        """
        return protocol.parse_selftest(self._request(protocol.SELFTEST, b"", self._run_patience))

    def stats(self) -> Stats:
        """Ask for the device's use of RAM.

        Returns
        -------
        Stats

        Raises
        ------
        DeviceError
            As in :meth:`hello`.
        """
        return protocol.parse_stats(self._request(protocol.STATS, b"", self._patience))

    def _request(self, kind: int, payload: bytes, patience: float) -> bytes:
        """Send a request until its answer comes; return that without its echo."""
        self._sequence = (self._sequence + 1) % 256
        request = frame.encode(kind, self._sequence, payload)
        heard = 0
        self._port.reset_input_buffer()
        for attempt in range(self._attempts):
            if attempt:
                self.retries += 1
                self._wait_for_quiet()
            self._port.write(request.wire)
            answer, count = self._await(kind, request.crc, patience)
            heard += count
            if answer is not None:
                return self._accepted(answer, kind, len(payload))
        raise NoAnswerError(self._silence(kind, heard))

    def _await(self, kind: int, crc: int, patience: float) -> tuple[frame.Frame | None, int]:
        """Read until the answer to the current request, or damage, or silence; return it and how many bytes came."""
        decoder = frame.Decoder()
        echo = crc.to_bytes(2, "little")
        wait = patience
        for count in range(_ENOUGH):
            byte = self._read(wait)
            if not byte:
                return None, count
            wait = _GAP
            for each in decoder.feed(byte):
                if each.sequence == self._sequence and each.payload[:2] == echo and each.kind in _answers(kind):
                    return each, count + 1
                if _says_damaged(each):
                    return None, count + 1
                # An answer to an earlier request: the one to ours is still to come.
                wait = patience
            if decoder.damaged:
                return None, count + 1
        return None, _ENOUGH

    def _wait_for_quiet(self) -> None:
        """Let whatever is still coming come, so that the device listens when the request is repeated."""
        for _ in range(_ENOUGH):
            if not self._read(_QUIET):
                break

    def _read(self, seconds: float) -> bytes:
        """Wait for one byte. Setting pyserial's timeout is a system call, so it is not set without need."""
        if self._port.timeout != seconds:
            self._port.timeout = seconds
        return self._port.read(1)

    def _accepted(self, answer: frame.Frame, kind: int, size: int) -> bytes:
        data = answer.payload[2:]
        if answer.kind != protocol.ERROR:
            return data
        raise protocol.refusal(kind, size, *protocol.parse_error(data))

    def _silence(self, kind: int, heard: int) -> str:
        where = getattr(self._port, "name", None) or getattr(self._port, "port", None) or "the device"
        what = f"{protocol.VERB_NAMES[kind]}: no answer from {where} to {self._attempts} requests"
        if heard:
            return f"{what}; {heard} bytes came that are none: a disturbed line, another baud rate, or another firmware"
        slow = f" Or does it take longer than {self._run_patience} s?" if kind in _LONG else ""
        return (
            f"{what} and not a single byte: is this the right port, and has the firmware been flashed (enginekit flash)?{slow}"
        )


def _answers(kind: int) -> tuple[int, int]:
    return kind | protocol.ANSWER, protocol.ERROR


def _says_damaged(answer: frame.Frame) -> bool:
    """Whether the device reports a damaged request; it cannot know whose that was."""
    if answer.kind != protocol.ERROR:
        return False
    try:
        return protocol.parse_error(answer.payload[2:])[0] == protocol.ERR_DAMAGED
    except ProtocolError:
        return False


def _checked(x: NDArray[Any], shape: tuple[int, ...], card: Card, function: str) -> NDArray[Any]:
    if not isinstance(x, np.ndarray) or x.dtype != card.x.dtype:
        came = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(
            f"{function}: x is {came}; the model on the device takes {card.x.dtype} (quantize with the scale and "
            f"zero point of Client.hello().x)"
        )
    if x.shape != shape:
        raise ValueError(f"{function}: x has shape {x.shape}; the model on the device takes {shape}")
    return x
