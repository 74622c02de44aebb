"""Finds the best combination of the steps' candidates: sums of data and cycles, code paid once, memory shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from enginekit.costs import Table
from enginekit.encode.candidate import Candidate

#: Combinations followed at most, over all sets of kernels and for each; beyond, the worst by the objective are dropped.
_WIDTH, _DEPTH = 3000, 48


@dataclass(frozen=True, eq=False)
class Option:
    """A candidate of one step with what it costs.

    Parameters
    ----------
    candidate : Candidate
    flash : int
        Bytes of data and of the calls.
    arena : int
        End in the arena of all that the step uses, with its scratch placed.
    scratch : int
        Where that scratch lies.
    stack : int
        Bytes of stack of its deepest kernel.
    worst, mean : float
        Cycles: of the slowest input, and on average.
    predicted : bool
        Whether the cycles are more than a guess.
    """

    candidate: Candidate
    flash: int
    arena: int
    scratch: int
    stack: int
    worst: float
    mean: float
    predicted: bool


@dataclass(frozen=True, eq=False)
class Combination:
    """One option a step, and the sums: bytes of data and calls, bytes of the kernels' code, cycles."""

    options: tuple[Option, ...]
    symbols: frozenset[str]
    data: int
    code: int
    worst: float
    mean: float

    @property
    def flash(self) -> int:
        """Bytes of data, calls and kernels."""
        return self.data + self.code

    @property
    def arena(self) -> int:
        """Bytes of the arena."""
        return max((option.arena for option in self.options), default=0)

    @property
    def stack(self) -> int:
        """Bytes of stack of the deepest kernel."""
        return max((option.stack for option in self.options), default=0)


#: What to minimize.
Objective = Callable[[Combination], float]


def frontier(steps: Sequence[Sequence[Option]], table: Table, objective: Objective) -> list[Combination]:
    """List combinations of which none is beaten by another in flash, slowest and mean cycles at once.

    Steps are added one after the other. Combinations that call the same kernels compete: what comes later costs them the same.
    """
    states: dict[frozenset[str], list[Combination]] = {frozenset(): [Combination((), frozenset(), 0, 0, 0.0, 0.0)]}
    for options in steps:
        longer: dict[frozenset[str], list[Combination]] = {}
        for before in (combination for group in states.values() for combination in group):
            for option in _undominated_options(options):
                after = _extended(before, option, table)
                longer.setdefault(after.symbols, []).append(after)
        states = _narrowed({symbols: _undominated(group, objective) for symbols, group in longer.items()}, objective)
    return _undominated([c for group in states.values() for c in group], objective, most=_WIDTH)


def combined(options: Iterable[Option], table: Table) -> Combination:
    """Add options up, one a step."""
    total = Combination((), frozenset(), 0, 0, 0.0, 0.0)
    for option in options:
        total = _extended(total, option, table)
    return total


def _extended(before: Combination, option: Option, table: Table) -> Combination:
    symbols = before.symbols | frozenset(option.candidate.symbols)
    code = before.code if symbols == before.symbols else table.code(symbols)
    return Combination(
        (*before.options, option),
        symbols,
        before.data + option.flash,
        code,
        before.worst + option.worst,
        before.mean + option.mean,
    )


def _undominated_options(options: Sequence[Option]) -> list[Option]:
    """Drop what another option beats in everything, with the same kernels or fewer."""

    def beats(a: Option, b: Option) -> bool:
        better = (a.flash, a.arena, a.stack, a.worst, a.mean), (b.flash, b.arena, b.stack, b.worst, b.mean)
        fewer = set(a.candidate.symbols) <= set(b.candidate.symbols)
        return fewer and all(x <= y for x, y in zip(*better, strict=True)) and better[0] != better[1]

    return [option for option in options if not any(beats(other, option) for other in options)]


def _undominated(group: Iterable[Combination], objective: Objective, most: int = _DEPTH) -> list[Combination]:
    kept: list[Combination] = []
    for each in sorted(group, key=lambda c: (c.worst, c.flash, c.mean)):
        if not any(k.flash <= each.flash and k.mean <= each.mean for k in kept):  # none before is slower at worst
            kept.append(each)
    if len(kept) <= most:
        return kept
    ends = {min(kept, key=lambda c: c.flash), kept[0]}
    return [*ends, *sorted(set(kept) - ends, key=objective)[: most - len(ends)]]


def _narrowed(states: dict[frozenset[str], list[Combination]], objective: Objective) -> dict[frozenset[str], list[Combination]]:
    """Keep the most promising sets of kernels; those of least flash and of least cycles always."""
    if sum(map(len, states.values())) <= _WIDTH:
        return states
    orders: list[Objective] = [objective, lambda c: c.flash, lambda c: c.worst]
    kept: dict[frozenset[str], list[Combination]] = {}
    best = [{symbols: min(map(order, group)) for symbols, group in states.items()} for order in orders]
    ranked = [sorted(states, key=each.__getitem__) for each in best]
    for symbols in (each for row in zip(*ranked, strict=True) for each in row):
        kept[symbols] = states[symbols]
        if sum(map(len, kept.values())) >= _WIDTH:
            break
    return kept
