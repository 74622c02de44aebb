"""The firmware's link and the client, on the host: verbs, refusals, damage in both directions."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from firmware.fakes import FIRMWARE, Board, Noise, build_fuzzer, build_link
from serial.tools import list_ports

import engine
from enginekit import device
from enginekit.device import frame, protocol
from firmware import tiny


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_link(tiny.files(), tmp_path_factory.mktemp("link"))


@pytest.fixture
def board(library: Path) -> Board:
    return Board(library)


@pytest.fixture
def client(board: Board) -> device.Client:
    return device.Client(board)


def make_input(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (3, 4), dtype=np.int8)


def exchange(board: Board, kind: int, payload: bytes) -> list[frame.Frame]:
    board.reset_input_buffer()
    board.write(frame.encode(kind, 9, payload).wire)
    return frame.Decoder().feed(board.read(4096))


def test_hello_tells_everything(client: device.Client) -> None:
    card = client.hello()
    assert (card.mcu, card.clock_hz, card.name, card.hash, card.arena) == ("atmega4809", 20_000_000, "tiny", tiny.HASH, 17)
    assert card.x == device.TensorCard((3, 4), np.dtype("int8"), 0.5, -3)
    assert card.y == device.TensorCard((5,), np.dtype("int8"), 0.25, 7)

    assert card.engine == engine.__version__
    assert card.trainer is None


def test_run(client: device.Client) -> None:
    for seed in range(20):
        x = make_input(seed)
        y, cycles = client.run(x)
        assert y.tobytes() == tiny.run(x.tobytes())
        assert (y.dtype, y.shape, cycles) == (np.int8, (5,), 0x01020304)


def test_run_batch_reports_progress(client: device.Client) -> None:
    x = np.stack([make_input(seed) for seed in range(7)])
    seen: list[tuple[int, int]] = []
    y, cycles = client.run_batch(x, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 7) for n in range(1, 8)]
    assert (y.shape, cycles.dtype) == ((7, 5), np.uint32)
    assert [each.tobytes() for each in y] == [tiny.run(each.tobytes()) for each in x]
    assert client.run_batch(x[:0]).y.shape == (0, 5)


def test_selftest_and_stats(client: device.Client, tmp_path: Path) -> None:
    assert client.selftest() == (True, "ok")
    assert client.stats() == device.Stats(ram=6144, data=144, arena=17, stack_peak=77, damaged=0)
    assert client.stats().free == 6144 - 144 - 77
    broken = device.Client(Board(build_link(tiny.files(golden=False), tmp_path)))
    assert broken.selftest() == (False, "selftest")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((3, 4), np.uint8), TypeError, "x is an array of uint8; the model on the device takes int8"),
        (np.zeros((3, 4), np.float32), TypeError, "array of float32"),
        ([[0] * 4] * 3, TypeError, "x is list"),
        (np.zeros((4, 3), np.int8), ValueError, r"x has shape \(4, 3\); the model on the device takes \(3, 4\)"),
        (np.zeros((1, 3, 4), np.int8), ValueError, "shape"),
    ],
)
def test_wrong_input_is_refused_before_it_is_sent(
    client: device.Client, board: Board, x: object, error: type[Exception], message: str
) -> None:
    client.hello()
    sent = len(board.written)
    with pytest.raises(error, match=message):
        client.run(x)  # type: ignore[arg-type]
    assert len(board.written) == sent


def test_wrong_batch(client: device.Client) -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 4\); the model on the device takes \(3, 3, 4\)"):
        client.run_batch(np.zeros((3, 4), np.int8))
    with pytest.raises(TypeError, match="x is int"):
        client.run_batch(5)  # type: ignore[arg-type]


def test_expected_model(board: Board) -> None:
    right = SimpleNamespace(digest=tiny.HASH + b"more")
    wrong = SimpleNamespace(digest=b"\x01" * 32)
    assert device.Client(board, model=right).hello().name == "tiny"  # type: ignore[arg-type]
    with pytest.raises(device.ModelMismatchError, match="a0a1a2a3a4a5a6a7, expected 0101010101010101"):
        device.Client(board, model=wrong).run(make_input(0))  # type: ignore[arg-type]


def test_another_protocol_is_refused_on_both_sides(
    board: Board, client: device.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (answer,) = exchange(board, protocol.HELLO, b"\x01")
    assert (answer.kind, protocol.parse_error(answer.payload[2:])) == (protocol.ERROR, (protocol.ERR_PROTOCOL, 2))
    monkeypatch.setattr(protocol, "PROTOCOL", 3)
    with pytest.raises(
        device.ProtocolError, match="speaks version 2 of the protocol, this package version 3: its firmware is older"
    ):
        client.hello()
    with pytest.raises(device.ProtocolError, match="speaks version 4"):
        protocol.parse_hello(b"\x04" + bytes(40))


@pytest.mark.parametrize("size", [0, 1, tiny.X_SIZE - 1, tiny.X_SIZE + 1, 300, 7000, frame.PAYLOAD_MAX])
def test_wrong_length_is_refused_and_stores_nothing(board: Board, client: device.Client, size: int) -> None:
    (answer,) = exchange(board, protocol.RUN, b"\x55" * size)
    assert (answer.kind, answer.sequence) == (protocol.ERROR, 9)
    assert protocol.parse_error(answer.payload[2:]) == (protocol.ERR_LENGTH, tiny.X_SIZE)
    assert client.run(make_input(1)).y.tobytes() == tiny.run(make_input(1).tobytes())


@pytest.mark.parametrize(
    ("kind", "size"), [(protocol.SELFTEST, 1), (protocol.STATS, 4), (protocol.HELLO, 0), (protocol.HELLO, 2)]
)
def test_wrong_length_of_the_other_verbs(board: Board, kind: int, size: int) -> None:
    (answer,) = exchange(board, kind, bytes(size))
    assert protocol.parse_error(answer.payload[2:])[0] == protocol.ERR_LENGTH


def test_unknown_request(board: Board) -> None:
    for kind in (0, 5, 0x7F, 0x81, 0xFF):
        (answer,) = exchange(board, kind, b"")
        assert protocol.parse_error(answer.payload[2:]) == (protocol.ERR_KIND, kind)


def test_refusals_in_words() -> None:
    say = protocol.refusal
    assert "with 5 bytes of data, and its model takes 12" in str(say(protocol.RUN, 5, protocol.ERR_LENGTH, 12))
    assert "request 0x21: its firmware does not know it" in str(say(0x21, 5, protocol.ERR_KIND, 0x21))
    assert isinstance(say(protocol.RUN, 0, 77, 1), device.ProtocolError)


@pytest.mark.parametrize(
    ("parse", "data", "message"),
    [
        (protocol.parse_hello, b"\x02\x00", "ends early"),
        (protocol.parse_selftest, b"", "ends early: it lacks 1 bytes"),
        (protocol.parse_selftest, b"\x00\x00", "has 1 bytes where 0 belong"),
        (protocol.parse_stats, bytes(9), "ends early"),
    ],
)
def test_answers_that_make_no_sense(parse: object, data: bytes, message: str) -> None:
    with pytest.raises(device.ProtocolError, match=message):
        parse(data)  # type: ignore[operator]


def test_card_that_makes_no_sense(board: Board) -> None:
    (answer,) = exchange(board, protocol.HELLO, bytes([protocol.PROTOCOL]))
    good = answer.payload[2:]
    assert protocol.parse_hello(good).name == "tiny"
    for text, bad in [
        (b"int8\x00int8", b"intx\x00int8"),
        (b"int8\x00int8", b"int16\x00int8"),
        (b"atmega4809\x00", b"atmega4809"),
        (b"atmega4809\x00\x00", b"atmega4809\x00\x03"),
    ]:
        with pytest.raises(device.ProtocolError):
            protocol.parse_hello(good.replace(text, bad))


class Hiss:
    """Damages a stream: each byte may be flipped, dropped, doubled, or gain a neighbour; now and then a burst or a cut."""

    def __init__(self, seed: int, rate: float) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self.damages = 0

    def __call__(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self._random.random() >= self._rate:
                out.append(byte)
                continue
            self.damages += 1
            out += self._damaged(byte)
        if self._random.random() < self._rate * 5:
            self.damages += 1
            del out[self._random.randrange(len(out) + 1) :]
        return bytes(out)

    def _damaged(self, byte: int) -> bytes:
        pick = self._random.randrange(6)
        if pick == 0:
            return bytes([byte ^ 1 << self._random.randrange(8)])
        if pick == 1:
            return b""
        if pick == 2:
            return bytes([byte, byte])
        if pick == 3:
            return bytes([byte, self._random.randrange(256)])
        if pick == 4:
            return b"\x00"
        return self._random.randbytes(self._random.randrange(1, 30))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("there", "back"), [(0.02, 0), (0, 0.02), (0.02, 0.02)])
def test_noise_never_gives_a_wrong_answer_and_the_link_recovers(library: Path, seed: int, there: float, back: float) -> None:
    to_device, to_host = Hiss(seed, there), Hiss(seed + 100, back)
    client = device.Client(Board(library, to_device=to_device, to_host=to_host), attempts=40)
    for n in range(60):
        x = make_input(n)
        assert client.run(x).y.tobytes() == tiny.run(x.tobytes()), (seed, n)
    assert to_device.damages + to_host.damages > 10
    assert client.retries > 5


def lost(_: bytes) -> bytes:
    return b""


def garbled(data: bytes) -> bytes:
    return bytes(byte ^ 0x10 for byte in data)


@pytest.mark.parametrize("direction", ["to_device", "to_host"])
def test_device_absent(library: Path, direction: str) -> None:
    client = device.Client(Board(library, **{direction: lost}), attempts=3)
    with pytest.raises(
        device.NoAnswerError, match=r"hello: no answer from the device to 3 requests and not a single byte.*flash"
    ):
        client.hello()
    assert client.retries == 2
    with pytest.raises(device.NoAnswerError, match=r"selftest: no answer .* Or does it take longer than 10.0 s\?"):
        client.selftest()


def test_line_at_another_baud_rate(library: Path) -> None:
    client = device.Client(Board(library, to_host=garbled))
    with pytest.raises(device.NoAnswerError, match=r"bytes came that are none: .*another baud rate"):
        client.hello()


def test_answers_to_other_requests_are_passed_over(client: device.Client, board: Board) -> None:
    """An answer with the right number and verb, but to other data, as from a program that ran before this one."""
    client.hello()
    original = board.write

    def write(data: bytes) -> int:
        (request,) = frame.Decoder().feed(data)
        stale = frame.encode(protocol.RUN | protocol.ANSWER, request.sequence, b"\x12\x34" + bytes(4 + tiny.Y_SIZE))
        board.inject(stale.wire * 3)
        return original(data)

    board.write = write  # type: ignore[method-assign]
    assert client.run(make_input(5)).y.tobytes() == tiny.run(make_input(5).tobytes())
    assert client.retries == 0


def test_an_answer_that_comes_twice_serves_once(library: Path) -> None:
    client = device.Client(Board(library, to_host=lambda data: data + data, to_device=lambda data: data + data))
    for seed in range(10):
        assert client.run(make_input(seed)).y.tobytes() == tiny.run(make_input(seed).tobytes())
    assert client.retries == 0


@pytest.fixture
def cuts() -> Iterator[Noise]:
    lengths = iter(range(4, 60))

    def cut(data: bytes) -> bytes:
        return data[: next(lengths, len(data))]

    return cut


@pytest.mark.parametrize("direction", ["to_device", "to_host"])
def test_frames_cut_short_at_every_length(library: Path, direction: str, cuts: Noise) -> None:
    client = device.Client(Board(library, **{direction: cuts}), attempts=60)
    assert client.run(make_input(3)).y.tobytes() == tiny.run(make_input(3).tobytes())


def test_the_device_counts_damage_and_answers_it_once(board: Board, client: device.Client) -> None:
    before = client.stats().damaged
    wire = bytearray(frame.encode(protocol.STATS, 3, b"").wire)
    wire[6] ^= 4
    board.write(bytes(wire))
    frames = frame.Decoder().feed(board.read(100))
    assert [(each.kind, each.sequence, each.payload) for each in frames] == [(protocol.ERROR, 0, b"\x00\x00\x01\x00\x00")]
    assert board.read(100) == b""
    assert client.stats().damaged == before + 1


def test_constants_are_those_of_the_firmware() -> None:
    header = (FIRMWARE / "link.h").read_text()
    defines = dict(re.findall(r"#define LINK_(\w+) +(\w+)", header))
    for name, value in defines.items():
        assert getattr(protocol, name) == int(value, 0), name
    assert len(defines) == 15
    errors = re.findall(r"LINK_(ERR_\w+)", header.partition("typedef enum")[2])
    assert [getattr(protocol, name) for name in errors] == list(range(1, len(errors) + 1))


def test_status_names_are_those_of_the_core() -> None:
    names = re.findall(
        r"ENG_(?:ERR_)?(\w+)", (FIRMWARE.parent / "csrc/include/eng/types.h").read_text().partition("typedef enum")[2]
    )
    assert tuple(name.lower() for name in names[: names.index("STATUS_COUNT")]) == protocol.STATUS


def test_connect_lists_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None),
        SimpleNamespace(device="/dev/ttyACM7", description="Nano Every", vid=0x2341),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    with pytest.raises(device.DeviceError, match=r"which port\? There are: /dev/ttyACM7 \(Nano Every\), /dev/ttyS0"):
        device.connect()
    with pytest.raises(device.DeviceError, match=r"cannot open /no/such/port: .*There are: /dev/ttyACM7"):
        device.connect("/no/such/port")
    with pytest.raises(device.DeviceError, match="cannot open nonsense://x"):
        device.connect("nonsense://x")
    monkeypatch.setattr(list_ports, "comports", list)
    with pytest.raises(device.DeviceError, match="no serial port; is the board plugged in"):
        device.connect()


def test_connect_opens_a_port_through_pyserial() -> None:
    """pyserial's own loopback: it echoes requests, which are no answers."""
    client = device.connect("loop://", attempts=2, patience=0.05)
    with pytest.raises(device.NoAnswerError, match="bytes came that are none"):
        client.hello()


def test_any_bytes_at_all_under_sanitizers(tmp_path: Path) -> None:
    """Frames, damaged frames and noise: no read or write out of bounds, no undefined behaviour."""
    program = build_fuzzer(tiny.files(), tmp_path)
    rng = random.Random(11)
    stream = bytearray(rng.randbytes(200_000))
    for seed in range(600):
        kind, size = rng.choice([1, 2, 2, 3, 4, 77]), rng.choice([0, 1, tiny.X_SIZE, tiny.X_SIZE, rng.randrange(400), 7000])
        wire = frame.encode(kind, rng.randrange(256), rng.randbytes(size)).wire
        stream += Hiss(seed, rng.choice([0, 0, 0.001, 0.02]))(wire)
        if seed % 5 == 0:
            stream += b"\xff\xfe"
    done = subprocess.run([program], input=bytes(stream), capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
