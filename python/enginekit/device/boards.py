"""Boards with an ATmega4809: which serial port reaches the USB connector, and how flash is written."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from enginekit.device.protocol import DeviceError

#: Opening a port at this rate and closing it makes an Arduino's USB chip a programmer (bit/s), which takes a while (s).
TOUCH_BAUD = 1200
_TOUCH_SECONDS = 0.5

_INSTALL = {
    "avrdude": "On Debian and Ubuntu: apt-get install avrdude (version 7 or later)",
    "pymcuprog": "Install it with: pip install 'engine[device]'",
}


@dataclass(frozen=True)
class Board:
    """A board.

    Parameters
    ----------
    name : str
        For the command line.
    title : str
        As its maker calls it.
    usart : int
        Serial port of the chip that reaches the USB connector.
    usart_alternative : bool
        Whether it does so from its alternative pins.
    programmer : str
        Program that writes flash: ``"avrdude"`` or ``"pymcuprog"``.
    tool : str
        What that program calls the board's own debugger.
    touch : bool
        Whether the port must be touched at 1200 baud before; such a board is programmed through its serial port.
    """

    name: str
    title: str
    usart: int
    usart_alternative: bool
    programmer: str
    tool: str
    touch: bool


BOARDS = {
    board.name: board
    for board in (
        Board("nano-every", "Arduino Nano Every", 3, True, "avrdude", "jtag2updi", True),
        Board("uno-wifi-rev2", "Arduino Uno WiFi Rev2", 3, True, "pymcuprog", "medbg", False),
        Board("curiosity-nano", "ATmega4809 Curiosity Nano", 3, False, "pymcuprog", "nedbg", False),
        Board("xplained-pro", "ATmega4809 Xplained Pro", 1, False, "pymcuprog", "edbg", False),
    )
}


def flash_command(board: Board, image: str | Path, port: str | None = None) -> list[str]:
    """Compose the command that writes a firmware to a board.

    Parameters
    ----------
    board : Board
    image : path
        Intel hex file.
    port : str, optional
        Serial port, for boards that are programmed through it.

    Returns
    -------
    list of str
        Program and arguments.

    Raises
    ------
    DeviceError
        If the board needs a port and there is none.

    Examples
    --------
    >>> " ".join(flash_command(BOARDS["curiosity-nano"], "firmware.hex"))
    'pymcuprog write -d atmega4809 -t nedbg -f firmware.hex --erase --verify'
    """
    if board.programmer == "pymcuprog":
        return ["pymcuprog", "write", "-d", "atmega4809", "-t", board.tool, "-f", str(image), "--erase", "--verify"]
    if port is None:
        raise DeviceError(f"the {board.title} is programmed through its serial port: which one?")
    command = ["avrdude", "-p", "atmega4809", "-c", board.tool, "-P", port, "-b", "115200", "-e", "-D"]
    return [*command, "-U", f"flash:w:{image}:i"]


def flash(board: Board, image: str | Path, port: str | None = None) -> None:
    """Write a firmware to a board and verify it.

    Parameters
    ----------
    board : Board
    image : path
        Intel hex file.
    port : str, optional
        Serial port, for boards that are programmed through it.

    Raises
    ------
    DeviceError
        If the programmer is not installed, the port cannot be opened, or programming fails; says what the programmer said.
    """
    command = flash_command(board, image, port)
    program = find_programmer(command[0])
    if board.touch and port is not None:
        touch(port)
    done = subprocess.run([program, *command[1:]], capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise DeviceError(
            "\n".join([f"{command[0]} could not program the {board.title} (exit code {done.returncode}):", *said])
        )


def find_programmer(name: str) -> str:
    """Find a program on the PATH or beside this Python; raises :class:`DeviceError` with how to install it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = shutil.which(name, path=path)
    if found is None:
        raise DeviceError(f"{name} is needed to program the board and was not found. {_INSTALL[name]}")
    return found


def touch(port: str) -> None:
    """Open and close a port at 1200 baud."""
    import serial

    try:
        with serial.serial_for_url(port, baudrate=TOUCH_BAUD) as opened:
            opened.dtr = False
    except (OSError, ValueError) as error:
        raise DeviceError(f"cannot open {port} to touch it at {TOUCH_BAUD} baud: {error}") from error
    time.sleep(_TOUCH_SECONDS)


def shell_lines(board: Board, image: str | Path, port: str | None = None) -> Sequence[str]:
    """Say what :func:`flash` would do, as lines for people; the touch as stty's line."""
    lines = [f"stty -F {shlex.quote(port)} {TOUCH_BAUD} hupcl"] if board.touch and port is not None else []
    return [*lines, shlex.join(flash_command(board, image, port))]
