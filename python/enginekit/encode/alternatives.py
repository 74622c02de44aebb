"""What a choice of encodings beat, step by step, and which of the limits decided it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enginekit.costs import Table
from enginekit.encode.search import Combination, Objective, Option, combined

#: By how much a combination exceeds each limit: ``{"flash": bytes, "ram": bytes, "ms": milliseconds}``, those exceeded alone.
Excess = Callable[[Combination], dict[str, float]]


@dataclass(frozen=True)
class Alternative:
    """Another way of emitting one step, all other steps being as chosen.

    Parameters
    ----------
    encoding : str
        Name for people, as :attr:`~enginekit.encode.candidate.Candidate.encoding`.
    symbols : tuple of str
        Functions of the core that it calls.
    flash : int
        Bytes of flash that the firmware has more than the chosen one, less than 0 if it has fewer: data, calls and the code of
        kernels that no other step brings. Calls are estimated, as in the search.
    arena, stack : int
        Bytes of the arena, and of the stack of the deepest kernel, that it has more.
    worst, mean : float or None
        Cycles (AVRxt) of the slowest input and on average that the step takes more; None where one of the two ways is not
        predicted.
    score : float
        How much worse it is by what was asked for, relative to the choice: 0.01 is 1 %. Negative only for one that a limit
        excludes. See :class:`~enginekit.encode.choose.Optimize`.
    exceeds : mapping of str to float
        Limits that the firmware would not keep to with it, and by how much: ``flash`` and ``ram`` in bytes, ``ms`` in
        milliseconds.
    """

    encoding: str
    symbols: tuple[str, ...]
    flash: int
    arena: int
    stack: int
    worst: float | None
    mean: float | None
    score: float
    exceeds: Mapping[str, float]


@dataclass(frozen=True)
class Reasons:
    """Why a combination was chosen.

    Parameters
    ----------
    alternatives : tuple of (tuple of Alternative)
        For each step, what else it could have been: those that keep to the limits first, and of those the best first.
    exceeded : mapping of str to float
        The limits that decided: those that the best combination of all does not keep to, and by how much, as
        :attr:`Alternative.exceeds`. Empty if the choice is the best of all.
    unlimited : tuple of str
        Encodings of the steps of that best combination; empty if the choice is.
    """

    alternatives: tuple[tuple[Alternative, ...], ...] = ()
    exceeded: Mapping[str, float] = field(default_factory=dict)
    unlimited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What combinations are best by, what they must keep to, and the costs of their code."""

    objective: Objective
    excess: Excess
    table: Table


def reasons(steps: Sequence[Sequence[Option]], chosen: Combination, best: Combination, by: Judgement) -> Reasons:
    """Compare a choice with what else each step could have been.

    Parameters
    ----------
    steps : sequence of (sequence of Option)
        All options of all steps.
    chosen, best : Combination
        The best that keeps to the limits, and the best without any.
    by : Judgement
        What they are the best by.
    """
    found = tuple(_alternatives(options, at, chosen, by) for at, options in enumerate(steps))
    exceeded = by.excess(best)
    return Reasons(found, exceeded, tuple(option.candidate.encoding for option in best.options) if exceeded else ())


def _alternatives(options: Sequence[Option], at: int, chosen: Combination, by: Judgement) -> tuple[Alternative, ...]:
    """Put each of `options` but the chosen one into the place of step `at`."""
    own, best = chosen.options[at], by.objective(chosen)
    found = []
    for option in options:
        if option is own:
            continue
        other = combined([*chosen.options[:at], option, *chosen.options[at + 1 :]], by.table)
        predicted = own.predicted and option.predicted
        found.append(
            Alternative(
                option.candidate.encoding,
                option.candidate.symbols,
                other.flash - chosen.flash,
                other.arena - chosen.arena,
                other.stack - chosen.stack,
                option.worst - own.worst if predicted else None,
                option.mean - own.mean if predicted else None,
                (by.objective(other) - best) / best,
                by.excess(other),
            )
        )
    return tuple(sorted(found, key=lambda each: (bool(each.exceeds), each.score)))
