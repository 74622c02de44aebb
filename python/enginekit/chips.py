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
        Hz: of its boards, at most.
    usarts : int
        Serial ports that it has.
    link_usart : int
        The one that its boards connect to USB.
    mapped_flash : bool
        Whether constants are read from flash as from RAM; else by LPM alone.
    """

    name: str
    flash: int
    usable_flash: int
    ram: int
    clock: int
    usarts: int = 4
    link_usart: int = 3
    mapped_flash: bool = True

    @property
    def mcu(self) -> str:
        """Its name for the compiler.

        >>> ATMEGA4809.mcu
        'atmega4809'
        """
        return self.name.lower()


#: The chip of Arduino Nano Every and Uno WiFi Rev2; the latter's bootloader takes 512 B of flash.
ATMEGA4809 = Chip("ATmega4809", flash=49_152, usable_flash=48_640, ram=6_144, clock=20_000_000, usarts=4, link_usart=3)
#: The chip of Arduino Uno and Nano, with a crystal of 16 MHz; the Uno's bootloader takes 512 B of flash.
ATMEGA328P = Chip(
    "ATmega328P",
    flash=32_768,
    usable_flash=32_256,
    ram=2_048,
    clock=16_000_000,
    usarts=1,
    link_usart=0,
    mapped_flash=False,
)
CHIPS = {chip.mcu: chip for chip in (ATMEGA4809, ATMEGA328P)}
