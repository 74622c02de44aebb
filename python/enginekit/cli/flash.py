"""Write a firmware to a board with an ATmega4809, and check that it answers.

FIRMWARE is an int8 .tflite, which is emitted and built for the board first, or a .hex that was built before. With --train the
firmware learns, as `enginekit emit --train` says; FIRMWARE may then be an .npz too. Boards:
nano-every (through its serial port), uno-wifi-rev2, curiosity-nano, xplained-pro (through their debuggers, by USB).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enginekit.cli import UsageError, learning
from enginekit.cli.output import as_json, result, story

if TYPE_CHECKING:
    from engine import Model
    from enginekit.device.boards import Board
    from enginekit.trainer import Trainer

#: Seconds that a board may take from programming to its first answer.
_BOOT_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from enginekit.device.boards import BOARDS

    parser.add_argument("firmware", type=Path, help="int8 .tflite, or .hex; with --train all also an .npz")
    parser.add_argument("-b", "--board", choices=sorted(BOARDS), required=True, help="the board")
    parser.add_argument("-p", "--port", help="its serial port; needed by nano-every and for the check")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="keep what is built here")
    parser.add_argument("--no-check", action="store_true", help="do not ask the board whether it runs the model")
    parser.add_argument("--dry-run", action="store_true", help="build, print the commands, and touch no board")
    parser.add_argument("--json", action="store_true", help="print what the board says of itself as JSON")
    learning.add_learning(parser)


def main(args: argparse.Namespace) -> int:
    """Build if need be, program, check."""
    from enginekit.device import boards

    board = boards.BOARDS[args.board]
    if board.touch and args.port is None:
        from enginekit.device import candidates

        found = ", ".join(candidates()) or "none is there"
        raise UsageError(f"the {board.title} is programmed through its serial port: give --port (ports: {found})")
    if args.dry_run and args.output is None and args.firmware.suffix != ".hex":
        raise UsageError("--dry-run builds a .tflite: give --output FOLDER to keep it")
    with tempfile.TemporaryDirectory() as scratch:
        model, image = _image(args, board, args.output or Path(scratch))
        if args.dry_run:
            result("\n".join(boards.shell_lines(board, image, args.port)))
            return 0
        story(f"programming the {board.title}")
        boards.flash(board, image, args.port)
    if args.port is None or args.no_check:
        story("programmed" + ("" if args.no_check else "; give --port to check that it answers"))
        return 0
    return _check(args, model)


def _image(args: argparse.Namespace, board: Board, out: Path) -> tuple[Model | Trainer | None, Path]:
    """Return the hex file, and the model or the trainer if there is one."""
    if args.train is None:
        learning.refuse(args)
    firmware: Path = args.firmware
    if firmware.suffix == ".hex":
        if args.train is not None:
            raise UsageError("--train: not with a .hex, which is built already")
        if not firmware.is_file():
            raise FileNotFoundError(f"{firmware}: no such file")
        return None, firmware
    from enginekit import toolchain

    model, files = _trainer(args) if args.train is not None else _model(firmware)
    image = toolchain.build_firmware(files, out, usart=board.usart, usart_alternative=board.usart_alternative)
    story(f"built: {image.flash:,} bytes of flash, {image.ram:,} bytes of RAM beside the stack")
    return model, image.hex


def _model(firmware: Path) -> tuple[Model, dict[str, str]]:
    if firmware.suffix != ".tflite":
        raise UsageError(f"{firmware}: a firmware is a .tflite or a .hex")
    import engine
    from enginekit import emit

    model = engine.load(firmware)
    return model, emit.emit(model)


def _trainer(args: argparse.Namespace) -> tuple[Trainer, dict[str, str]]:
    from enginekit.chips import ATMEGA4809
    from enginekit.trainer import check_trainer_fits, emit_trainer, plan_trainer

    trainer: Trainer = learning.make(args, args.firmware)
    check_trainer_fits(plan_trainer(trainer), ATMEGA4809)
    return trainer, emit_trainer(trainer)


def _check(args: argparse.Namespace, model: Model | Trainer | None) -> int:
    from enginekit.device import DeviceError, connect

    time.sleep(_BOOT_SECONDS)
    held: dict[str, Any] = {"model" if args.train is None else "trainer": model}
    client = connect(args.port, **held)
    card = client.hello()
    test = client.selftest()
    if not test.passed:
        raise DeviceError(f"the board runs {card.name!r}, but its self-test says: {test.status}")
    facts: dict[str, Any] = {
        "model": card.name,
        "hash": card.hash.hex(),
        "mcu": card.mcu,
        "clock_hz": card.clock_hz,
        "selftest": test.status,
    }
    result(as_json(facts) if args.json else f"{card.mcu} at {card.clock_hz / 1e6:g} MHz runs {card.name!r}; self-test passed")
    return 0
