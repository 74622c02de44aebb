"""Serial ports: which there are, and opening one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from enginekit.device.client import Client
from enginekit.device.protocol import DeviceError
from enginekit.device.trainee import Trainee

if TYPE_CHECKING:
    from engine import Model
    from enginekit.trainer import Trainer

BAUD = 115200
#: USB vendors whose boards carry an ATmega4809: Arduino, and Microchip (both of its numbers).
BOARD_VENDORS = (0x2341, 0x2A03, 0x03EB, 0x04D8)


def candidates() -> list[str]:
    """List the serial ports of this machine, likely boards first, each with what it says of itself."""
    from serial.tools import list_ports

    ports = sorted(list_ports.comports(), key=lambda port: (port.vid not in BOARD_VENDORS, port.device))
    return [f"{port.device} ({port.description})" for port in ports]


@overload
def connect(url: str | None = None, *, baud: int = BAUD, model: Model | None = None, **options: Any) -> Client: ...
@overload
def connect(url: str | None = None, *, baud: int = BAUD, trainer: Trainer, **options: Any) -> Trainee: ...
def connect(
    url: str | None = None,
    *,
    baud: int = BAUD,
    model: Model | None = None,
    trainer: Trainer | None = None,
    **options: Any,
) -> Client:
    """Open a serial port and return a client of the device behind it.

    Parameters
    ----------
    url : str
        A port such as ``/dev/ttyACM0`` or ``COM3``, or any URL of pyserial, such as ``socket://host:port``.
    baud : int
        Bits a second, as the firmware was built.
    model : engine.Model, optional
        The model that the device must run.
    trainer : Trainer, optional
        The trainer that the device must hold.
    **options
        Passed to :class:`Client`.

    Returns
    -------
    Client or Trainee
        The latter with a trainer.

    Raises
    ------
    DeviceError
        If `url` is missing or cannot be opened; lists the ports there are. If pyserial is missing.
    """
    try:
        import serial
    except ImportError as error:
        raise DeviceError("serial ports need pyserial: pip install 'engine[device]'") from error
    if url is None:
        raise DeviceError(f"connect: which port? {_offer()}")
    try:
        port = serial.serial_for_url(url, baudrate=baud)
    except (OSError, ValueError) as error:
        raise DeviceError(f"connect: cannot open {url}: {error}. {_offer()}") from error
    return Client(port, model=model, **options) if trainer is None else Trainee(port, trainer, **options)


def _offer() -> str:
    found = candidates()
    return f"There are: {', '.join(found)}" if found else "This machine has no serial port; is the board plugged in?"
