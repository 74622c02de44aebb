"""A serial port whose other end is the simulated chip."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import EngineError
from enginekit.sim.chip import Chip

#: Relative difference of baud rates up to which two asynchronous ends understand each other.
BAUD_TOLERANCE = 0.04

_SLICE_SECONDS = 1e-3


class SimulatedSerial:
    """Behaves like ``serial.Serial``, and lets the chip run while it waits for bytes.

    Time is simulated time: `timeout` counts what the chip's clock says, however long that takes on the host. Writing does not
    let time pass; the bytes arrive at the chip's baud rate while somebody reads.

    Parameters
    ----------
    chip : Chip
    usart : int
        0 to 3.
    timeout : float or None
        Simulated seconds that a read waits at most; None waits without end.
    baudrate : int or None
        The host's rate. If given, a read or write complains when the firmware's rate differs by more than 4 %, where real
        hardware would garble the bytes. None takes whatever the firmware sets.
    noise : callable, optional
        ``noise(direction, data) -> bytes`` with direction ``"to_chip"`` or ``"to_host"``: gives what arrives instead of
        `data`, for tests of damaged, lost and repeated bytes.

    Examples
    --------
    ``device.Client(SimulatedSerial(Chip.from_elf("firmware.elf"), usart=3, timeout=1.0))``
    """

    def __init__(
        self,
        chip: Chip,
        usart: int = 3,
        timeout: float | None = 1.0,
        *,
        baudrate: int | None = None,
        noise: Callable[[str, bytes], bytes] | None = None,
    ) -> None:
        self.chip = chip
        self.timeout = timeout
        self.baudrate = baudrate
        self.noise = noise
        self.is_open = True
        self._port = chip.usart(usart)
        self._usart = usart
        self._buffer = bytearray()

    @property
    def port(self) -> str:
        """Name of the port."""
        return f"sim:USART{self._usart}"

    name = port

    @property
    def in_waiting(self) -> int:
        """Number of bytes that a read would give at once."""
        self._collect()
        return len(self._buffer)

    @property
    def out_waiting(self) -> int:
        """Number of written bytes that have not reached the chip."""
        return self._port.waiting

    def write(self, data: bytes) -> int:
        """Send bytes to the chip; give their number."""
        self._check_open()
        sent = bytes(data)
        self._check_baud()
        self._port.send(self.noise("to_chip", sent) if self.noise else sent)
        return len(sent)

    def read(self, size: int = 1) -> bytes:
        """Read up to `size` bytes; fewer if the timeout passes first."""
        return self._read(size, None)

    def read_until(self, expected: bytes = b"\n", size: int | None = None) -> bytes:
        """Read until `expected` has come, `size` bytes are read or the timeout passes."""
        return self._read(size, bytes(expected))

    def _read(self, size: int | None, expected: bytes | None) -> bytes:
        self._check_open()
        start = self.chip.seconds
        while (count := self._complete(size, expected)) is None:
            left = None if self.timeout is None else start + self.timeout - self.chip.seconds
            if (left is not None and left <= 0) or not self._advance(left):
                count = len(self._buffer) if size is None else min(size, len(self._buffer))
                break
        result = bytes(self._buffer[:count])
        del self._buffer[:count]
        return result

    def _complete(self, size: int | None, expected: bytes | None) -> int | None:
        self._collect()
        if expected is not None and (at := self._buffer.find(expected)) >= 0:
            end = at + len(expected)
            return end if size is None else min(end, size)
        return size if size is not None and len(self._buffer) >= size else None

    def _advance(self, left: float | None) -> bool:
        """Let the chip run for a slice of time, or less; False if nothing will ever change."""
        seconds = _SLICE_SECONDS if left is None else min(_SLICE_SECONDS, left)
        stop = self.chip.run(max(1, round(seconds * self.chip.clock_hz)))
        if stop.reason == "cycles":
            return True
        if stop.reason == "asleep":
            return left is not None or self._port.received > 0
        raise EngineError(f"SimulatedSerial: the program stopped ({stop.reason}) in {stop.function} while a read waited")

    def _collect(self) -> None:
        data = self._port.receive()
        if data:
            self._check_baud()
            self._buffer += self.noise("to_host", data) if self.noise else data

    def _check_baud(self) -> None:
        if self.baudrate is None or not self._port.enabled:
            return
        actual = self._port.baud
        if abs(actual / self.baudrate - 1) > BAUD_TOLERANCE:
            raise EngineError(
                f"SimulatedSerial: USART{self._usart} runs at {actual:.0f} baud, the host at {self.baudrate}: bytes would be "
                f"garbled; check the main clock's prescaler (now {self.chip.clock_hz / 1e6:.2f} MHz) and BAUD"
            )

    def _check_open(self) -> None:
        if not self.is_open:
            raise EngineError("SimulatedSerial: the port is closed")

    def reset_input_buffer(self) -> None:
        """Drop what the chip has sent so far."""
        self._port.receive()
        self._buffer.clear()

    def reset_output_buffer(self) -> None:
        """Drop written bytes that have not reached the chip."""
        self._port.discard()

    def flush(self) -> None:
        """Let the chip run until all written bytes have arrived (at most `timeout` simulated seconds)."""
        self._check_open()
        start = self.chip.seconds
        while self._port.waiting:
            left = None if self.timeout is None else start + self.timeout - self.chip.seconds
            if (left is not None and left <= 0) or not self._advance(left):
                return

    def close(self) -> None:
        """Refuse further reads and writes."""
        self.is_open = False

    def __enter__(self) -> SimulatedSerial:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
