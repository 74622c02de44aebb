"""Facts about chips, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A microcontroller.

    Parameters
    ----------
    name : str
        As its maker writes it.
    flash : int
        Bytes of flash.
    usable_flash : int
        Bytes that a program may have: what remains beside the bootloader of the boards that have one.
    ram : int
        Bytes of SRAM, for data, arena and stack.
    clock : int
        Hz, at most.
    """

    name: str
    flash: int
    usable_flash: int
    ram: int
    clock: int


#: The chip of Arduino Nano Every and Uno WiFi Rev2; the latter's bootloader takes 512 B of flash.
ATMEGA4809 = Chip("ATmega4809", flash=49_152, usable_flash=48_640, ram=6_144, clock=20_000_000)
