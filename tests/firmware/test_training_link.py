"""Training over the link, on the host: what the device learns is what the twin learns, whatever happens on the line."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trainers
from firmware.fakes import Board, Noise, build_fuzzer, build_link
from firmware.test_link import Hiss

from engine.errors import FormatError
from enginekit import device
from enginekit.device import frame, protocol
from enginekit.trainer import Trainer, emit_trainer
from firmware import tiny

NAMES = ("xor", "head", "two layers")


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Trainer, Path]]:
    made = {name: trainers.ALL[name]() for name in NAMES}
    return {
        name: (trainer, build_link(emit_trainer(trainer), tmp_path_factory.mktemp("link"))) for name, trainer in made.items()
    }


@pytest.fixture
def connect(links: dict[str, tuple[Trainer, Path]]) -> Callable[..., tuple[Trainer, Board, device.Trainee]]:
    def connected(name: str, attempts: int = 5, **noise: Noise) -> tuple[Trainer, Board, device.Trainee]:
        trainer, library = links[name]
        board = Board(library, **noise)
        return trainer, board, device.Trainee(board, trainer, attempts=attempts)

    return connected


Connect = Callable[..., tuple[Trainer, Board, device.Trainee]]


def exchange(board: Board, kind: int, payload: bytes, sequence: int = 9) -> frame.Frame:
    board.reset_input_buffer()
    board.write(frame.encode(kind, sequence, payload).wire)
    (answer,) = frame.Decoder().feed(board.read(4096))
    return answer


def refusal(answer: frame.Frame) -> tuple[int, int]:
    assert answer.kind == protocol.ERROR
    return protocol.parse_error(answer.payload[2:])


@pytest.mark.parametrize("name", NAMES)
def test_the_device_learns_as_the_twin(name: str, connect: Connect) -> None:
    trainer, _, client = connect(name)
    twin = trainer.twin()
    assert client.hello().trainer == trainer.kind
    assert client.read_state() == trainer.start_state()
    for i, (x, target) in enumerate(trainers.samples(trainer, 25)):
        want = twin.evaluate(x, target)
        assert client.evaluate(x, target)[:2] == want
        lesson = client.train(x, target)
        assert (lesson.loss, lesson.predicted) == twin.train(x, target)
        assert lesson.cycles == 0x01020304
        assert client.learner().steps == i + 1
        assert client.read_state() == twin.state()
        assert client.run(x).y.tobytes() == twin.run(x).tobytes()
    assert client.retries == 0


def test_fit_reports_progress(connect: Connect) -> None:
    trainer, _, client = connect("xor")
    seen: list[int] = []
    lessons = client.fit(trainers.samples(trainer, 9), progress=lambda done, _: seen.append(done))
    assert seen == list(range(1, 10))
    twin = trainer.twin()
    assert [lesson[:2] for lesson in lessons] == [twin.train(x, target) for x, target in trainers.samples(trainer, 9)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("there", "back"), [(0.01, 0), (0, 0.01), (0.01, 0.01)])
def test_noise_loses_no_step_and_makes_none_twice(connect: Connect, seed: int, there: float, back: float) -> None:
    to_device, to_host = Hiss(seed, there), Hiss(seed + 100, back)
    trainer, _, client = connect("xor", attempts=60, to_device=to_device, to_host=to_host)
    twin = trainer.twin()
    for n, (x, target) in enumerate(trainers.samples(trainer, 60, seed)):
        lesson = client.train(x, target)
        assert (lesson.loss, lesson.predicted) == twin.train(x, target), (seed, n)
        if n % 20 == 7:
            client.write_state(twin.state())
    assert client.read_state() == twin.state()
    assert client.retries > 3
    assert to_device.damages + to_host.damages > 10


@pytest.mark.parametrize("name", NAMES)
def test_requests_that_come_twice_train_once(connect: Connect, name: str) -> None:
    trainer, _, client = connect(name, to_host=lambda data: data + data, to_device=lambda data: data + data)
    twin = trainer.twin()
    for x, target in trainers.samples(trainer, 12):
        assert client.train(x, target)[:2] == twin.train(x, target)
    assert client.read_state() == twin.state()
    assert client.retries == 0


def test_a_lost_answer_does_not_train_twice(connect: Connect) -> None:
    """The answer to every step is lost once: the request comes again, and gets the same answer."""
    lost = [0]

    def every_other(data: bytes) -> bytes:
        lost[0] += 1
        return b"" if data and lost[0] % 2 else data

    trainer, board, client = connect("head")
    twin = trainer.twin()
    client.learner()
    board.to_host = every_other
    for x, target in trainers.samples(trainer, 8):
        assert client.train(x, target)[:2] == twin.train(x, target)
    assert client.retries >= 8
    board.to_host = bytes
    assert client.read_state() == twin.state()


def test_frames_cut_short_at_every_length(connect: Connect) -> None:
    trainer, board, client = connect("xor", attempts=80)
    client.learner()
    for attribute in ("to_device", "to_host"):
        lengths = iter(range(1, 70))
        setattr(board, attribute, lambda data, lengths=lengths: data[: next(lengths, len(data))])
        x, target = trainers.samples(trainer, 1)[0]
        client.train(x, target)
        setattr(board, attribute, bytes)
    assert client.learner().steps == 2


def test_steps_out_of_turn_are_refused(connect: Connect) -> None:
    trainer, board, client = connect("xor")
    (first, second, third) = trainers.samples(trainer, 3)
    client.train(*first)
    other = device.Trainee(board, trainer)
    other.train(*second)
    state = client.read_state()
    client._steps = 1
    with pytest.raises(device.StepError, match="train: it has made another number of steps, 2 modulo 65536"):
        client.train(*third)
    assert client.read_state() == state
    client.train(*third)
    twin = trainer.twin()
    for x, target in (first, second, third):
        twin.train(x, target)
    assert client.read_state() == twin.state()


def test_an_old_answer_is_not_given_to_another_sample(connect: Connect) -> None:
    """The number of the last step with another sample is no repetition."""
    trainer, board, client = connect("xor")
    client.train(*trainers.samples(trainer, 1)[0])
    state = client.read_state()
    x, target = trainers.samples(trainer, 2)[1]
    answer = exchange(board, protocol.TRAIN, bytes(4) + x.tobytes() + target.tobytes())
    assert refusal(answer) == (protocol.ERR_STEP, 1)
    assert client.read_state() == state


def test_wrong_lengths_store_nothing(connect: Connect) -> None:
    trainer, board, client = connect("head")
    client.train(*trainers.samples(trainer, 1)[0])
    state, chunk = client.read_state(), client.learner().chunk
    size = trainer.x.shape[1] * trainer.x.shape[2] + 2
    wrong = {
        protocol.TRAIN: (0, 4, size, size + 3, size + 5, 5000),
        protocol.EVALUATE: (0, size - 1, size + 1, size + 4),
        protocol.READ: (0, 3, 5),
        protocol.WRITE: (0, 1, 2, 3 + chunk, 4000),
        **dict.fromkeys((protocol.TRAINER, protocol.SAVE, protocol.LOAD, protocol.RESTART), (1, 300)),
    }
    for kind, sizes in wrong.items():
        for each in sizes:
            assert refusal(exchange(board, kind, b"\x55" * each))[0] == protocol.ERR_LENGTH, (kind, each)
    assert client.read_state() == state


def test_labels_and_ranges_are_refused(connect: Connect) -> None:
    trainer, board, client = connect("head")
    state = client.read_state()
    x = bytes(56)
    for label in (4, 255, 256, 65535):
        for kind, head in ((protocol.TRAIN, bytes(4)), (protocol.EVALUATE, b"")):
            answer = exchange(board, kind, head + x + label.to_bytes(2, "little"))
            assert refusal(answer) == (protocol.ERR_LABEL, 4)
    size = trainer.state
    for offset, count in ((0, 0), (0, size + 1), (size, 1), (size - 1, 2), (65535, 65535), (1, 65535)):
        answer = exchange(board, protocol.READ, offset.to_bytes(2, "little") + count.to_bytes(2, "little"))
        assert refusal(answer) == (protocol.ERR_RANGE, size), (offset, count)
    for offset in (size, size - 3, 65535):
        assert refusal(exchange(board, protocol.WRITE, offset.to_bytes(2, "little") + b"abcd")) == (protocol.ERR_RANGE, size)
    assert client.read_state() == state
    assert client.learner().steps == 0


@pytest.mark.parametrize("name", NAMES)
def test_states_go_there_and_back(connect: Connect, name: str) -> None:
    trainer, _, client = connect(name)
    twin = trainer.twin()
    for x, target in trainers.samples(trainer, 7):
        twin.train(x, target)
    client.write_state(twin.state())
    assert client.read_state() == twin.state()
    x, target = trainers.samples(trainer, 1, seed=3)[0]
    assert client.train(x, target)[:2] == twin.train(x, target)
    assert client.read_state() == twin.state()
    net = client.network()
    if trainer.kind == "integer":
        model = net.model()
        assert model.run(x[None]).tobytes() == client.run(x).y.tobytes()
        assert model.digest == twin.net.model().digest  # type: ignore[attr-defined]
    client.restart()
    assert client.read_state() == trainer.start_state()


def test_no_state_is_sent_that_is_none(connect: Connect) -> None:
    _, board, client = connect("head")
    client.learner()
    sent = len(board.written)
    with pytest.raises(FormatError, match="a state of 3 bytes"):
        client.write_state(b"abc")
    assert len(board.written) == sent


def test_eeprom_outlives_a_reset(connect: Connect) -> None:
    trainer, board, client = connect("xor")
    assert client.learner().saved == 0
    with pytest.raises(device.RequestError, match="load: EEPROM is empty"):
        client.load()
    for x, target in trainers.samples(trainer, 5):
        client.train(x, target)
    client.save()
    saved = client.read_state()
    assert client.learner().saved == trainer.state + 8
    client.train(*trainers.samples(trainer, 1)[0])
    client.load()
    assert client.read_state() == saved
    client.restart()
    assert client.read_state() == trainer.start_state()
    board.reset()
    assert device.Trainee(board, trainer).read_state() == saved


def test_eeprom_that_is_damaged_or_anothers(connect: Connect) -> None:
    trainer, board, client = connect("xor")
    client.train(*trainers.samples(trainer, 1)[0])
    client.save()
    sound = bytes(board.cells)
    for at in range(trainer.state + 8):
        board.cells[:] = [*sound[:at], sound[at] ^ 1 << at % 8, *sound[at + 1 :]]
        board.reset()
        assert device.Trainee(board, trainer).read_state() == trainer.start_state(), at
        with pytest.raises(device.RequestError, match="another trainer" if 4 <= at < 8 else "is damaged"):
            client.load()
        assert client.learner().saved == 0
    for end in range(0, trainer.state + 8, 7):  # power was lost while writing
        board.cells[:] = [*sound[:end], *[0xFF] * (256 - end)]
        board.reset()
        assert device.Trainee(board, trainer).read_state() == trainer.start_state(), end


def test_what_does_not_fit_eeprom_is_refused_by_bytes(connect: Connect) -> None:
    trainer, board, client = connect("two layers")
    lacks = trainer.state + 8 - 256
    assert lacks > 0
    with pytest.raises(device.RequestError, match=f"save: its EEPROM lacks {lacks} bytes; read the state"):
        client.save()
    assert set(board.cells) == {0xFF}


def test_the_selftest_does_not_lose_what_was_learned(connect: Connect) -> None:
    trainer, _, client = connect("xor")
    assert client.selftest() == (True, "ok")
    client.train(*trainers.samples(trainer, 1)[0])
    state = client.read_state()
    with pytest.raises(device.RequestError, match="selftest: the self-test would lose what it has learned"):
        client.selftest()
    assert client.read_state() == state
    client.restart()
    assert client.selftest().passed
    client.write_state(state)
    with pytest.raises(device.RequestError, match="would lose"):
        client.selftest()


def test_wrong_samples_are_refused_before_they_are_sent(connect: Connect) -> None:
    _, board, client = connect("head")
    client.learner()
    sent = len(board.written)
    with pytest.raises(ValueError, match="the label is 9"):
        client.train(np.zeros((8, 7, 1), np.int8), 9)
    with pytest.raises(TypeError, match="x is an array of uint8"):
        client.evaluate(np.zeros((8, 7, 1), np.uint8), 1)
    assert len(board.written) == sent


def test_other_firmware_is_told_apart(links: dict[str, tuple[Trainer, Path]], tmp_path: Path) -> None:
    board = Board(links["xor"][1])
    with pytest.raises(device.ModelMismatchError, match="emit, build and flash"):
        device.Trainee(board, links["head"][0]).learner()
    plain = Board(build_link(tiny.files(), tmp_path))
    client = device.Client(plain)
    assert client.hello().trainer is None
    with pytest.raises(device.RequestError, match="train: its model is no trainer; emit it with --train"):
        client._request(protocol.TRAIN, bytes(10), 0.5)


def test_any_bytes_at_all_under_sanitizers(links: dict[str, tuple[Trainer, Path]], tmp_path: Path) -> None:
    """Frames, damaged frames and noise: no read or write out of bounds, no undefined behaviour."""
    trainer = links["xor"][0]
    program = build_fuzzer(emit_trainer(trainer), tmp_path)
    rng = random.Random(12)
    stream = bytearray(rng.randbytes(50_000))
    step = 0
    for seed in range(900):
        kind = rng.choice([protocol.RUN, *[protocol.TRAIN] * 4, *range(1, 14)])
        size = {protocol.TRAIN: 16, protocol.EVALUATE: 12, protocol.READ: 4, protocol.RUN: 8}.get(
            kind, rng.choice([0, 0, 3, 30])
        )
        payload = bytearray(rng.randbytes(size))
        if kind == protocol.TRAIN and rng.random() < 0.8:
            floats = np.float32([rng.uniform(-1, 1) for _ in range(3)])
            payload = bytearray(step.to_bytes(4, "little") + floats.tobytes())
            step += 1
        elif kind == protocol.READ and rng.random() < 0.7:
            payload = bytearray(rng.randrange(220).to_bytes(2, "little") + rng.randrange(220).to_bytes(2, "little"))
        wire = frame.encode(kind, rng.randrange(256), bytes(payload)).wire
        stream += Hiss(seed, rng.choice([0, 0, 0, 0.02]))(wire)
        if seed % 5 == 0:
            stream += b"\xff\xfe"
    done = subprocess.run([program], input=bytes(stream), capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
