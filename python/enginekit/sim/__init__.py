"""A simulated ATmega4809 or ATmega328P: runs the firmware, counts its cycles, and talks over a serial line like a board does.

The timing of instructions is cycle-exact; peripherals are advanced by events and cost the CPU loop nothing.

Modelled of the ATmega4809
--------------------------
- All instructions of the AVRxt core with its cycle counts, including one cycle more for loads from mapped flash. Reserved
  opcodes stop the run (also 0xFFFF, so that running into erased flash is noticed).
- Data space: I/O, EEPROM 0x1400 (256 B), SRAM 0x2800-0x3FFF, flash mapped at 0x4000-0xFFFF; signature, fuses and user row
  with plausible contents.
- Interrupts with 40 vectors, priorities by number, LVL1VEC; 2 cycles to enter (7 from sleep), plus the jump in the table.
  SREG.I is neither cleared on entry nor set by RETI, as on this family. One instruction runs after SEI and RETI before the
  next interrupt.
- USART0-3: asynchronous 8N1, normal and double speed, fractional baud rate, two bytes of receive buffer and the shift
  register behind it, overrun, RXC, TXC and DRE flags and interrupts, loop-back.
- TCA0 in normal mode (all prescalers, overflow flag and interrupt) and TCB0-3 in periodic interrupt mode (CLKDIV1, CLKDIV2,
  TCA0's clock), with 16-bit access through TEMP.
- CLKCTRL with its prescaler (6 out of reset) and protection; software reset; idle sleep; GPIOR0-3; PORT and VPORT with their
  set, clear and toggle registers, PORTMUX as plain storage.
- NVMCTRL for the EEPROM: page buffer, page write, erase, erase and write, erase all, buffer clear; 2 ms for each erasing or
  writing. Touching EEPROM meanwhile waits.
- CCP: four instructions for protected writes. A write to SPL holds interrupts for four instructions.

Modelled of the ATmega328P
--------------------------
- All instructions of the classic AVRe+ core with its cycle counts (stores and PUSH 2, CALL 4, RCALL and ICALL 3, LDS 2, SBI and
  CBI 2); flash is read by LPM alone. Registers in data space, SRAM 0x100-0x8FF. An interrupt clears SREG.I and RETI sets it; 4
  cycles to enter, plus the jump in the table of 26 vectors.
- USART0 as above, without a fractional baud rate; TIMER1 in normal mode with its overflow; PORTB to PORTD; GPIOR0-2, MCUSR and
  MCUCR as plain storage.

Not modelled
------------
Programming flash and fuses; frames other than 8N1, synchronous, SPI, IrDA, RS-485, auto-baud; compare, capture, PWM, split
and event modes of the timers, counting down, buffered registers; standby and power-down; external and 32 kHz clocks;
round-robin and compact vectors; RTC, ADC, AC, CCL, EVSYS, SPI, TWI, CRCSCAN, BOD, VREF, and the watchdog (WDR does nothing).
Using one of these stops with a `Fault` that names it. Start-up times and the pins' electrical side do not exist.
Writes to reserved bits are ignored. The stack is held against the end of static data; memory that malloc has given away
counts as free.
"""

from enginekit.sim.chip import CallResult, Chip, Fault, FunctionProfile, SerialPort, Stop
from enginekit.sim.image import ATMEGA328P, ATMEGA4809, Image, Layout, Symbol, read_elf, read_hex
from enginekit.sim.serial import SimulatedSerial

__all__ = [
    "ATMEGA328P",
    "ATMEGA4809",
    "CallResult",
    "Chip",
    "Fault",
    "FunctionProfile",
    "Image",
    "Layout",
    "SerialPort",
    "SimulatedSerial",
    "Stop",
    "Symbol",
    "read_elf",
    "read_hex",
]
