"""Arguments of the verbs that choose encodings, and what they print of the choice."""

from __future__ import annotations

import argparse
from typing import Any

from enginekit.cli.inputs import DATA_SOURCES
from enginekit.cli.output import as_table

#: For verbs that take nothing else of it.
OPTIMIZE = ("size", "speed", "balanced")
#: As enginekit.chips.CHIPS has them.
CHIP_NAMES = ("atmega4809", "atmega328p")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare what :func:`choose` reads."""
    parser.add_argument(
        "--optimize",
        choices=OPTIMIZE,
        default="size",
        help="fewest bytes of flash, fewest cycles, or the least product of both (default %(default)s)",
    )
    parser.add_argument("--max-flash", type=int, metavar="BYTES", help="of the whole firmware with its link and self-test")
    parser.add_argument("--max-ram", type=int, metavar="BYTES", help="static RAM, arena and stack of the firmware")
    parser.add_argument("--max-ms", type=float, metavar="MS", help="milliseconds of the slowest input at the chip's clock")
    parser.add_argument(
        "--max-acc-bits", type=int, metavar="BITS", help="of every layer's accumulator, proven from its weights"
    )
    parser.add_argument("--explain", action="store_true", help="say of each layer what else it could be, and at what cost")
    parser.add_argument("--chip", choices=CHIP_NAMES, default="atmega4809", help="what for (default: %(default)s)")
    parser.add_argument("--toolchain", default="avr-gcc-5.4", help="whose code is reckoned with (default: %(default)s)")
    add_samples(parser)


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Declare ``--samples``."""
    parser.add_argument("--samples", metavar="SOURCE", help=f"inputs over which cycles are averaged: {DATA_SOURCES}")
    parser.add_argument("--count", type=int, default=100, help="how many of them (default: %(default)s)")


def samples(args: argparse.Namespace, model: Any) -> Any:
    """Read what ``--samples`` names; None without."""
    from enginekit.cli import codes

    return None if args.samples is None else codes.get(model, args.samples, args.count).x


def choose(args: argparse.Namespace, model: Any, *, for_chip: bool) -> Any:
    """Choose encodings as the arguments say; `for_chip` prefers what fits the chip.

    Raises
    ------
    DoesNotFitError
        If nothing keeps to the limits given.
    """
    from engine.errors import DoesNotFitError
    from enginekit import costs
    from enginekit.chips import CHIPS
    from enginekit.encode.choose import Limits, Optimize, encode

    table = costs.load(args.toolchain, CHIPS[args.chip])

    given = {"flash": args.max_flash, "ram": args.max_ram, "ms": args.max_ms, "acc_bits": args.max_acc_bits}
    chip = {"flash": table.chip.usable_flash, "ram": table.chip.ram} if for_chip else {}
    tighter = given | {key: value if given[key] is None else min(value, given[key]) for key, value in chip.items()}
    more = {"samples": samples(args, model), "table": table}
    try:
        return encode(model, Optimize(args.optimize), limits=Limits(**tighter), **more)
    except DoesNotFitError:
        if any(value is not None for value in given.values()):
            raise
        return encode(model, Optimize(args.optimize), **more)  # whoever asked says by how much it does not fit


def steps_table(costs: Any) -> str:
    """Print what was chosen, one line a step."""
    header = ["layer", "kernel", "encoding", "flash", "code", "arena", "stack", "acc bits", "slowest, cycles", "mean, cycles"]
    rows = [
        [
            *(s.name, s.kernel, s.encoding, s.flash, s.code, s.arena, s.stack, s.acc_bits),
            *(cycles(s.worst_cycles), cycles(s.mean_cycles)),
        ]
        for s in costs.steps
    ]
    return as_table(header, rows)


_LIMITS = {"flash": "{:,.0f} bytes of flash", "ram": "{:,.0f} bytes of RAM", "ms": "{:.2f} ms for the slowest input"}


def explanation(costs: Any, *, all_of_them: bool) -> str:
    """Say why each layer is as it is: over what it was chosen, or `all_of_them`; and which limits decided."""
    from enginekit.encode.choose import SOUGHT, Optimize

    lines = [f"chosen for {costs.optimize}: {SOUGHT[Optimize(costs.optimize)]}"]
    if costs.exceeded:
        best = ", ".join(f"{step.name}: {encoding}" for step, encoding in zip(costs.steps, costs.unlimited, strict=True))
        lines.append(f"limits decided: the best without them ({best}) takes {_exceeding(costs.exceeded)}")
    for step in costs.steps:
        lines.append(f"{step.name}: {step.encoding}, {_reason(step)}")
        if all_of_them and step.alternatives:
            lines += ["", _alternatives_table(step), ""]
    return "\n".join(lines)


def _reason(step: Any) -> str:
    """Say what is next best to a step's encoding, and what a limit forbids that is better."""
    allowed = [each for each in step.alternatives if not each.exceeds]
    better = [each for each in step.alternatives if each.exceeds and each.score < 0]
    texts = [f"rather than {_costing(allowed[0])}" if allowed else "the only encoding that it can have"]
    if better:
        texts.append(f"not {_costing(better[0])}: it takes {_exceeding(better[0].exceeds)}")
    return "; ".join(texts)


def _costing(other: Any) -> str:
    """Name an alternative and what it has more or less than the choice."""
    parts = [
        _more(other.flash, "bytes"),
        "cycles not predicted" if other.mean is None else _more(other.mean, "cycles on average"),
    ]
    return f"{other.encoding} ({' + '.join(_kernels(other))}: {', '.join(parts)})"


def _kernels(other: Any) -> list[str]:
    """Names of functions without what all have in common."""
    return [name.removeprefix("eng_") for name in other.symbols]


def _more(amount: float, what: str) -> str:
    """Print a difference.

    >>> _more(12.0, "bytes"), _more(-1200, "cycles"), _more(0, "bytes")
    ('12 bytes more', '1,200 cycles fewer', 'as many bytes')
    """
    number = round(amount)
    return f"{abs(number):,} {what} {'more' if number > 0 else 'fewer'}" if number else f"as many {what}"


def _exceeding(exceeds: Any) -> str:
    return " and ".join(_LIMITS[key].format(amount) for key, amount in exceeds.items()) + " too many"


def _alternatives_table(step: Any) -> str:
    """Print what else a step could be, the chosen way first; differences to it."""
    header = ["encoding", "kernels", "flash", "arena", "stack", "slowest, cycles", "mean, cycles", "worse by", "exceeds"]
    rows: list[list[object]] = [[step.encoding, " ".join(_kernels(step)), *["chosen"] * 6, ""]]
    rows += [
        [
            *(each.encoding, " ".join(_kernels(each)), f"{each.flash:+,}", f"{each.arena:+,}", f"{each.stack:+,}"),
            *("not predicted" if value is None else f"{value:+,.0f}" for value in (each.worst, each.mean)),
            *(f"{100 * each.score:.1f} %", _exceeding(each.exceeds) if each.exceeds else ""),
        ]
        for each in step.alternatives
    ]
    return as_table(header, rows)


def totals(costs: Any) -> str:
    """Print the sums."""
    unknown = f"; not counted, as no table has it: {', '.join(costs.unknown)}" if costs.unknown else ""
    lines = [
        f"{costs.flash:,} bytes of flash for data, {costs.code:,} for code{unknown}; with the link {costs.firmware:,}",
        f"{costs.arena:,} bytes of RAM for the arena; the firmware {costs.ram:,}, and at most {costs.stack:,} of stack",
        f"slowest input {ms(costs.worst_ms)}, mean {ms(costs.mean_ms)} at {costs.chip.clock // 1_000_000} MHz",
    ]
    return "\n".join(lines)


def cycles(value: float | None) -> str:
    """Print cycles, or that they are not predicted.

    >>> cycles(1234.4), cycles(None)
    ('1,234', 'not predicted')
    """
    return "not predicted" if value is None else f"{value:,.0f}"


def ms(value: float | None) -> str:
    """Print milliseconds, or that they are not predicted.

    >>> ms(2.5), ms(None)
    ('2.500 ms', 'not predicted')
    """
    return "not predicted" if value is None else f"{value:.3f} ms"
