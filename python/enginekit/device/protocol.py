"""What travels over the serial link. Twin of ``firmware/link.h``, which describes it; a test compares the two."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError

PROTOCOL = 2

HELLO = 0x01
RUN = 0x02
SELFTEST = 0x03
STATS = 0x04
TRAINER = 0x05
TRAIN = 0x06
EVALUATE = 0x07
READ = 0x08
WRITE = 0x09
SAVE = 0x0A
LOAD = 0x0B
RESTART = 0x0C
ANSWER = 0x80
ERROR = 0xFF

ERR_DAMAGED = 1
ERR_KIND = 2
ERR_LENGTH = 3
ERR_PROTOCOL = 4
ERR_STEP = 5
ERR_LABEL = 6
ERR_RANGE = 7
ERR_ROOM = 8
ERR_RECORD = 9
ERR_LEARNED = 10

#: By the number of ``MODEL_TRAINER``.
TRAINERS = (None, "integer", "float32")

#: ``eng_status`` by number.
STATUS = ("ok", "null", "op", "shape", "range", "overflow", "align", "arena", "overlap", "selftest")

VERB_NAMES = {
    HELLO: "hello",
    RUN: "run",
    SELFTEST: "selftest",
    STATS: "stats",
    TRAINER: "trainer",
    TRAIN: "train",
    EVALUATE: "evaluate",
    READ: "read",
    WRITE: "write",
    SAVE: "save",
    LOAD: "load",
    RESTART: "restart",
}
#: What is in EEPROM when nothing can be loaded.
_RECORDS = ("EEPROM is empty", "EEPROM holds the weights of another trainer", "what EEPROM holds is damaged")


class DeviceError(EngineError):
    """Something about a device: absent, refusing, or not what was expected."""


class NoAnswerError(DeviceError):
    """No undamaged answer came, however often the request was repeated."""


class ProtocolError(DeviceError):
    """The device speaks another version of the protocol, or its answer makes no sense."""


class RequestError(DeviceError):
    """The device understood a request and refused it."""


class StepError(RequestError):
    """The device has been trained by someone else meanwhile."""


class ModelMismatchError(DeviceError):
    """The device runs another model than the caller expects."""


@dataclass(frozen=True)
class TensorCard:
    """A tensor of the device's model: shape without batch, NumPy dtype, scale and zero point."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    scale: float
    zero: int

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class Card:
    """What a device says of itself and of its model.

    Parameters
    ----------
    mcu : str
        The chip.
    clock_hz : int
        Its core's frequency, Hz.
    engine : str
        Version of the C core in its firmware.
    name : str
        The model's name.
    hash : bytes
        The first 8 bytes of :attr:`engine.Model.digest`.
    arena : int
        Bytes of RAM for activations.
    x, y : TensorCard
        The model's input and output.
    trainer : "integer", "float32" or None
        Whether the model trains on the chip, and how.
    """

    mcu: str
    clock_hz: int
    engine: str
    name: str
    hash: bytes
    arena: int
    x: TensorCard
    y: TensorCard
    trainer: str | None


class Reply(NamedTuple):
    """An inference: the output in the model's shape and dtype, and the cycles that the model took."""

    y: NDArray[np.generic]
    cycles: int


class Batch(NamedTuple):
    """Inferences of a batch: outputs stacked along axis 0, and uint32[N] cycles."""

    y: NDArray[np.generic]
    cycles: NDArray[np.uint32]


@dataclass(frozen=True)
class Stats:
    """RAM of a device, bytes, and how many damaged requests it has seen since reset.

    Parameters
    ----------
    ram : int
        All of the chip.
    data : int
        Static data, the arena included.
    arena : int
        Of it, the arena.
    stack_peak : int
        Deepest stack since reset.
    damaged : int
        Damaged requests, modulo 65536.
    """

    ram: int
    data: int
    arena: int
    stack_peak: int
    damaged: int

    @property
    def free(self) -> int:
        """Bytes that nothing has used."""
        return self.ram - self.data - self.stack_peak


class Selftest(NamedTuple):
    """Whether the golden pairs came out right, and ``eng_status`` in a word."""

    passed: bool
    status: str


@dataclass(frozen=True)
class Learner:
    """How far a trainer on a device is.

    Parameters
    ----------
    steps : int
        Samples that it has been trained on.
    state : int
        Bytes of its state.
    crc : int
        CRC-16 of the state.
    chunk : int
        Most bytes that can be written at once.
    saved : int
        Bytes of EEPROM that hold a state of this trainer; 0 if none is there.
    """

    steps: int
    state: int
    crc: int
    chunk: int
    saved: int


class _Reader:
    """Takes fields off the front of an answer."""

    def __init__(self, what: str, data: bytes) -> None:
        self._what = what
        self._data = data

    def take(self, form: str) -> tuple[int | float, ...]:
        size = struct.calcsize("<" + form)
        if len(self._data) < size:
            raise ProtocolError(f"the answer to {self._what} ends early: it lacks {size - len(self._data)} bytes")
        fields = struct.unpack("<" + form, self._data[:size])
        self._data = self._data[size:]
        return fields

    def integer(self, form: str) -> int:
        return int(self.take(form)[0])

    def text(self) -> str:
        head, zero, self._data = self._data.partition(b"\x00")
        if not zero:
            raise ProtocolError(f"the answer to {self._what} ends inside a text")
        return head.decode("ascii", "replace")

    def rest(self, size: int) -> bytes:
        if len(self._data) != size:
            raise ProtocolError(f"the answer to {self._what} has {len(self._data)} bytes where {size} belong")
        return self._data


def parse_hello(data: bytes) -> Card:
    """Read the answer to hello, without its echo; raises :class:`ProtocolError` if it makes no sense."""
    reader = _Reader("hello", data)
    protocol = reader.integer("B")
    if protocol != PROTOCOL:
        raise version_error(protocol)
    clock = reader.integer("I")
    version = ".".join(str(int(part)) for part in reader.take("3B"))
    digest = bytes(int(byte) for byte in reader.take("8B"))
    arena = reader.integer("H")
    tensors = [_tensor_fields(reader) for _ in "xy"]
    x, y = (_tensor(*fields, reader.text()) for fields in tensors)
    name, mcu = reader.text(), reader.text()
    trainer = reader.integer("B")
    reader.rest(0)
    if trainer >= len(TRAINERS):
        raise ProtocolError(f"the device has a trainer of kind {trainer}, which this version does not know")
    return Card(mcu, clock, version, name, digest, arena, x, y, TRAINERS[trainer])


def _tensor_fields(reader: _Reader) -> tuple[float, int, int, tuple[int, ...]]:
    scale, zero, size, rank = reader.take("fbHB")
    return float(scale), int(zero), int(size), tuple(int(n) for n in reader.take(f"{int(rank)}H"))


def _tensor(scale: float, zero: int, size: int, shape: tuple[int, ...], dtype: str) -> TensorCard:
    try:
        kind = np.dtype(dtype)
        card = TensorCard(shape, kind, scale, zero & 0xFF if kind == np.uint8 else zero)
    except TypeError as error:
        raise ProtocolError(f"the device's model has a tensor of type {dtype!r}, which NumPy does not have") from error
    if card.size != size:
        raise ProtocolError(f"the device says that a tensor {dtype}{list(shape)} has {size} bytes; it would have {card.size}")
    return card


def parse_run(data: bytes, y: TensorCard) -> Reply:
    """Read the answer to run, without its echo; `y` says what the output is."""
    reader = _Reader("run", data)
    cycles = reader.integer("I")
    output = np.frombuffer(reader.rest(y.size), dtype=y.dtype).reshape(y.shape).copy()
    return Reply(output, cycles)


def parse_selftest(data: bytes) -> Selftest:
    """Read the answer to selftest, without its echo."""
    reader = _Reader("selftest", data)
    code = reader.integer("B")
    reader.rest(0)
    return Selftest(code == 0, STATUS[code] if code < len(STATUS) else f"unknown status {code}")


def parse_stats(data: bytes) -> Stats:
    """Read the answer to stats, without its echo."""
    reader = _Reader("stats", data)
    stats = Stats(*(int(field) for field in reader.take("5H")))
    reader.rest(0)
    return stats


def parse_learner(data: bytes) -> Learner:
    """Read the answer to trainer, without its echo."""
    reader = _Reader("trainer", data)
    learner = Learner(*(int(field) for field in reader.take("I4H")))
    reader.rest(0)
    return learner


def parse_outcome(kind: int, data: bytes, size: int) -> tuple[int, bytes]:
    """Read the answer to train or evaluate, without its echo: cycles, and the outcome of so many bytes."""
    reader = _Reader(VERB_NAMES[kind], data)
    cycles = reader.integer("I")
    return cycles, reader.rest(size)


def parse_bytes(kind: int, data: bytes, size: int) -> bytes:
    """Read an answer that is so many bytes and nothing else, without its echo."""
    return _Reader(VERB_NAMES[kind], data).rest(size)


def parse_error(data: bytes) -> tuple[int, int]:
    """Read a refusal, without its echo: the error's number and detail."""
    reader = _Reader("a request", data)
    code, detail = (int(field) for field in reader.take("BH"))
    reader.rest(0)
    return code, detail


def refusal(kind: int, size: int, code: int, detail: int) -> DeviceError:
    """Say in words why a device refused a request of `kind` with `size` payload bytes."""
    verb = VERB_NAMES.get(kind, f"request {kind:#04x}")
    if code == ERR_PROTOCOL:
        return version_error(detail)
    if code == ERR_LENGTH:
        return RequestError(f"the device refused {verb}: it came with {size} bytes of data, and its model takes {detail}")
    if code == ERR_KIND and TRAINER <= kind <= RESTART:
        return RequestError(f"the device refused {verb}: its model is no trainer; emit it with --train, build and flash it")
    if code == ERR_KIND:
        return RequestError(f"the device refused {verb}: its firmware does not know it")
    said = _training_refusal(code, detail)
    if said is not None:
        return (StepError if code == ERR_STEP else RequestError)(f"the device refused {verb}: {said}")
    return ProtocolError(f"the device refused {verb} with error {code} ({detail}), which this version does not know")


def _training_refusal(code: int, detail: int) -> str | None:
    if code == ERR_RECORD and detail < len(_RECORDS):
        return _RECORDS[detail]
    return {
        ERR_STEP: f"it has made another number of steps, {detail} modulo 65536",
        ERR_LABEL: f"no such label; it knows {detail} classes",
        ERR_RANGE: f"beyond its state of {detail} bytes",
        ERR_ROOM: f"its EEPROM lacks {detail} bytes; read the state and keep it on the host",
        ERR_LEARNED: "the self-test would lose what it has learned; save or read the state, then restart",
    }.get(code)


def version_error(protocol: int) -> ProtocolError:
    """Say that the device speaks another version of the protocol."""
    older = "older" if protocol < PROTOCOL else "newer"
    return ProtocolError(
        f"the device speaks version {protocol} of the protocol, this package version {PROTOCOL}: "
        f"its firmware is {older}; build and flash it with this version of engine"
    )
