"""What linking a function of the core costs, by toolchain: read from the tables that :mod:`enginekit.costs.measure` writes."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from enginekit.chips import ATMEGA4809, Chip
from enginekit.costs.bill import Bill, Prices

#: Debian 12's, which the tests and Arduino-less users have.
DEFAULT = "avr-gcc-5.4"
#: Before the name of a table of the firmware of trainers.
TRAINER = "trainer-"


@dataclass(frozen=True)
class Linked:
    """What one function brings into a program: its sections and those of all that it calls, and the stack of a call."""

    sections: frozenset[str]
    stack: int


@dataclass(frozen=True, eq=False)
class Table:
    """Costs of code with one toolchain on one chip.

    Parameters
    ----------
    toolchain : str
        As the compiler names itself.
    chip : Chip
    flash, ram, stack : int
        Bytes of the firmware without a model: flash; static RAM without the arena; stack.
    stack_to_model : int
        Bytes of the stack when ``model_run`` is called.
    selftest : int
        Bytes of code of a self-test of two golden pairs.
    sections : mapping of str to int
        Bytes of each section of the core and of the libraries that it uses.
    functions : mapping of str to Linked
    cycles : mapping of str to mapping of str to float
        Cycles of each event of the functions that have formulas, see :mod:`enginekit.costs.formulas`.
    data, before_arena : int
        On chips that do not map their flash: of `ram`, bytes set before ``main``, and bytes between them and the arena.
    """

    toolchain: str
    chip: Chip
    flash: int
    ram: int
    stack: int
    stack_to_model: int
    selftest: int
    sections: Mapping[str, int]
    functions: Mapping[str, Linked]
    cycles: Prices
    data: int = 0
    before_arena: int = 0

    def code(self, symbols: Iterable[str]) -> int:
        """Bytes of code that these functions bring together; those that :meth:`unknown` names count nothing."""
        brought = {section for name in symbols if name in self.functions for section in self.functions[name].sections}
        return sum(self.sections[section] for section in brought)

    def deepest(self, symbols: Iterable[str]) -> int:
        """Bytes of stack of the function that takes most."""
        return max((self.functions[name].stack for name in symbols if name in self.functions), default=0)

    def priced(self, bill: Bill) -> float | None:
        """Cycles of a bill, see :meth:`~enginekit.costs.bill.Bill.cycles`; None if some function has no prices here."""
        return bill.cycles(self.cycles) if bill.functions() <= set(self.cycles) else None

    def unknown(self, symbols: Iterable[str]) -> list[str]:
        """Functions that the table does not have: newer than it."""
        return sorted({name for name in symbols if name not in self.functions})


@functools.cache
def load(name: str = DEFAULT, chip: Chip = ATMEGA4809) -> Table:
    """Read a table.

    Parameters
    ----------
    name : str
        Of a toolchain, as in :func:`available`.
    chip : Chip

    Raises
    ------
    EngineError
        If there is none of this name.

    Examples
    --------
    >>> load().code(["eng_requant32_s24_s8", "eng_requant40_s24_s8"])
    298
    """
    path = path_of(name, chip)
    if not path.is_file():
        known = available(chip, prefix=TRAINER if name.startswith(TRAINER) else "")
        raise EngineError(f"no table of costs for {name!r} and {chip.name}; there are {', '.join(known) or 'none'}")
    about = json.loads(path.read_text())
    functions = {key: Linked(frozenset(each["sections"]), each["stack"]) for key, each in about["functions"].items()}
    return Table(
        about["toolchain"],
        chip,
        **about["base"],
        sections=about["sections"],
        functions=functions,
        cycles=about.get("cycles", {}),
    )


def path_of(name: str, chip: Chip) -> Path:
    """Say where the table of a toolchain and a chip lies; those of the ATmega4809 are named by the toolchain alone."""
    return Path(__file__).parent / f"{name}{_ending(chip)}.json"


def _ending(chip: Chip) -> str:
    return "" if chip is ATMEGA4809 else f"-{chip.mcu}"


def available(chip: Chip = ATMEGA4809, *, prefix: str = "") -> list[str]:
    """Names of the toolchains that were measured for a chip; with the prefix :data:`TRAINER` of their tables for trainers.

    >>> "avr-gcc-5.4" in available()
    True
    """
    pattern = re.compile(rf"({prefix}avr-gcc-[0-9.]+){_ending(chip)}")
    found = [pattern.fullmatch(path.stem) for path in Path(__file__).parent.glob(f"{prefix}avr-gcc-*.json")]
    return sorted(match[1] for match in found if match)
