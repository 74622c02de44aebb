"""`enginekit flash` and the boards, with programs on the PATH that stand in for the programmers."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import serial
from firmware.fakes import Board, build_link
from random_graphs import CHAINS

import engine
from engine import training
from engine.training import Adam, Dense, Sequential, Sigmoid
from enginekit import cli, device, emit
from enginekit.device import boards
from enginekit.sim import Chip, SimulatedSerial
from enginekit.trainer import make_trainer
from firmware import tiny

HEX = ":00000001FF\n"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put programs on an otherwise bare PATH; each notes its arguments in the file returned."""
    folder = tmp_path / "tools"
    folder.mkdir()
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(boards, "_TOUCH_SECONDS", 0.0)

    def install(*names: str, code: int = 0) -> Path:
        for name in names:
            program = folder / name
            program.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\necho "{name}: verified"\nexit {code}\n')
            program.chmod(0o755)
        return log

    return install


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def flash(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run `enginekit flash` on a board that is up at once."""
    monkeypatch.setattr("enginekit.cli.flash._BOOT_SECONDS", 0.0)

    def run(*arguments: object) -> Said:
        code = cli.main(["flash", *map(str, arguments)])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def hexfile(tmp_path: Path) -> Path:
    path = tmp_path / "firmware.hex"
    path.write_text(HEX)
    return path


@pytest.fixture
def board_port(tmp_path: Path) -> Iterator[str]:
    """A URL behind which a device answers, over and over."""
    board = Board(build_link(tiny.files(), tmp_path))
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.02)
                talk(connection)

    def talk(connection: socket.socket) -> None:
        while not stop.is_set():
            try:
                data = connection.recv(4096)
            except TimeoutError:
                data = None
            except OSError:
                return
            if data == b"":
                return
            board.write(data or b"")
            answer = board.read(65536)
            if answer:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"socket://127.0.0.1:{server.getsockname()[1]}"
    stop.set()
    thread.join()
    server.close()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("curiosity-nano", "pymcuprog write -d atmega4809 -t nedbg -f {hex} --erase --verify"),
        ("xplained-pro", "pymcuprog write -d atmega4809 -t edbg -f {hex} --erase --verify"),
        ("uno-wifi-rev2", "pymcuprog write -d atmega4809 -t medbg -f {hex} --erase --verify"),
        ("nano-every", "avrdude -p atmega4809 -c jtag2updi -P loop:// -b 115200 -e -D -U flash:w:{hex}:i"),
    ],
)
def test_the_programmer_is_called(
    name: str, command: str, tools: Callable[..., Path], hexfile: Path, flash: Callable[..., Said]
) -> None:
    log = tools("avrdude", "pymcuprog")
    arguments = (hexfile, "--board", name, "--port", "loop://")
    dry = flash(*arguments, "--dry-run")
    printed = dry.out.splitlines()
    assert dry.code == 0
    assert shlex.split(printed[-1]) == shlex.split(command.format(hex=hexfile))
    assert len(printed) == (2 if name == "nano-every" else 1)
    assert not log.exists()
    assert flash(*arguments, "--no-check").code == 0
    assert log.read_text().split() == command.format(hex=hexfile).split()


def test_the_port_of_a_nano_every_is_touched(
    tools: Callable[..., Path], hexfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tools("avrdude")
    touched: list[tuple[str, bool]] = []
    monkeypatch.setattr(boards, "touch", lambda port: touched.append((port, log.exists())))
    boards.flash(boards.BOARDS["nano-every"], hexfile, "/dev/ttyACM9")
    assert touched == [("/dev/ttyACM9", False)]
    assert log.exists()


def test_touching_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "_TOUCH_SECONDS", 0.0)
    opened: list[serial.SerialBase] = []
    original = serial.serial_for_url

    def note(url: str, **options: object) -> serial.SerialBase:
        opened.append(original(url, **options))
        return opened[-1]

    monkeypatch.setattr(serial, "serial_for_url", note)
    boards.touch("loop://")
    (port,) = opened
    assert (port.baudrate, port.dtr, port.is_open) == (1200, False, False)
    with pytest.raises(device.DeviceError, match=r"cannot open /no/port to touch it at 1200 baud"):
        boards.touch("/no/port")


def test_a_port_that_cannot_be_touched(tools: Callable[..., Path], hexfile: Path, flash: Callable[..., Said]) -> None:
    log = tools("avrdude")
    said = flash(hexfile, "--board", "nano-every", "--port", "/no/port")
    assert said.code == 1
    assert "cannot open /no/port to touch it" in said.err
    assert not log.exists()


def test_flash_and_check(tools: Callable[..., Path], hexfile: Path, board_port: str, flash: Callable[..., Said]) -> None:
    tools("pymcuprog")
    arguments = (hexfile, "--board", "curiosity-nano", "--port", board_port)
    assert "atmega4809 at 20 MHz runs 'tiny'; self-test passed" in flash(*arguments).out
    facts = json.loads(flash(*arguments, "--json").out)
    assert facts == {"model": "tiny", "hash": tiny.HASH.hex(), "mcu": "atmega4809", "clock_hz": 20_000_000, "selftest": "ok"}


def test_the_board_runs_another_model_than_the_one_flashed(
    tools: Callable[..., Path], tmp_path: Path, board_port: str, flash: Callable[..., Said]
) -> None:
    tools("pymcuprog")
    path = tmp_path / "dense.tflite"
    engine.Model(CHAINS["dense"]()).save(path)
    said = flash(path, "--board", "curiosity-nano", "--port", board_port)
    assert said.code == 1
    assert "the device runs the model 'tiny' with hash a0a1a2a3a4a5a6a7, expected" in said.err


def test_a_model_is_built_for_the_boards_port(tmp_path: Path, flash: Callable[..., Said]) -> None:
    model = engine.Model(CHAINS["dense"]())
    path = tmp_path / "dense.tflite"
    model.save(path)
    out = tmp_path / "built"
    said = flash(path, "--board", "nano-every", "--port", "COM3", "--dry-run", "--output", out)
    assert said.out.splitlines()[0] == "stty -F COM3 1200 hupcl"
    assert f"flash:w:{out / 'firmware.hex'}:i" in said.out
    assert "bytes of flash" in said.err
    assert (out / "model.c").read_text() == emit.emit(model)["model.c"]
    assert "-DUSART=3 -DUSART_ALT=1" in (out / "flags").read_text()


def test_a_trainer_is_built_and_programmed(tmp_path: Path, tools: Callable[..., Path], flash: Callable[..., Said]) -> None:
    Sequential((2,), [Dense(3), Sigmoid(), Dense(1), Sigmoid()], seed=4, name="xor").save(tmp_path / "xor.npz")
    out, learning = tmp_path / "out", ["--train", "all", "--optimizer", "adam", "--batch-size", "4"]
    log = tools("pymcuprog")
    said = flash(tmp_path / "xor.npz", "--board", "curiosity-nano", "--output", out, *learning)
    assert said.code == 0, said.err
    assert "built: " in said.err
    trainer = make_trainer(training.load(tmp_path / "xor.npz"), optimizer=Adam(), batch_size=4)
    chip = Chip.from_elf(out / "firmware.elf")
    client = device.Trainee(SimulatedSerial(chip, boards.BOARDS["curiosity-nano"].usart), trainer)
    assert client.selftest().passed
    assert "firmware.hex" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{hex}", "--board", "nano-every"], 2, "programmed through its serial port: give --port"),
        (["model.onnx", "--board", "xplained-pro"], 2, "a firmware is a .tflite or a .hex"),
        (["missing.hex", "--board", "xplained-pro"], 1, "missing.hex: no such file"),
        (["missing.tflite", "--board", "xplained-pro"], 1, "missing.tflite"),
        (["missing.tflite", "--board", "xplained-pro", "--dry-run"], 2, "give --output FOLDER"),
        (["{hex}", "--board", "uno"], 2, "invalid choice"),
        (["{hex}", "--board", "xplained-pro", "--train", "head"], 2, "--train: not with a .hex"),
        (["m.tflite", "--board", "xplained-pro", "--seed", "1"], 2, "--seed: only with --train"),
    ],
)
def test_bad_arguments(arguments: list[str], code: int, message: str, hexfile: Path, flash: Callable[..., Said]) -> None:
    said = flash(*(each.format(hex=hexfile) for each in arguments))
    assert said.code == code
    assert message in said.err


@pytest.mark.parametrize(
    ("board", "hint"), [("nano-every", "apt-get install avrdude"), ("curiosity-nano", "pip install 'engine")]
)
def test_a_missing_programmer(
    board: str, hint: str, hexfile: Path, flash: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(hexfile.parent))
    monkeypatch.setattr(sys, "executable", str(hexfile.parent / "python"))
    said = flash(hexfile, "--board", board, "--port", "loop://")
    assert said.code == 1
    assert "is needed to program the board and was not found" in said.err
    assert hint in said.err


def test_a_programmer_that_fails(tools: Callable[..., Path], hexfile: Path, flash: Callable[..., Said]) -> None:
    tools("pymcuprog", code=3)
    said = flash(hexfile, "--board", "curiosity-nano")
    assert said.code == 1
    assert "could not program the ATmega4809 Curiosity Nano (exit code 3):\npymcuprog: verified" in said.err
