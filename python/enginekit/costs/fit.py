"""Fits the prices of events to cycles that the simulated chip counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import EngineError
from enginekit.costs.bill import Bill, Event, Prices
from enginekit.costs.formulas import FORMULAS
from enginekit.costs.leaves import LEAVES
from enginekit.costs.samples import Samples
from enginekit.costs.stage import Stage
from enginekit.costs.trials import DRAW, Rng, Trial

#: Calls that prices are fitted to, and the seed that draws them.
CALLS, SEED = 300, 20
#: Share of the calls that are asked what else might have happened.
_ASKED = 0.1
#: Most that a fitted call may be off, relative to its cycles; with subnormal numbers in the float library, which these are for.
TOLERANCE, FLOAT_TOLERANCE = 0.002, 0.015


@dataclass(frozen=True)
class Observed:
    """A call: what happened, the cycles that it took, and what might have happened with other inputs."""

    bill: Bill
    cycles: int
    possible: frozenset[Event] = frozenset()


class UnfittedError(EngineError):
    """A formula that does not describe its function."""


def fit(function: str, elf: str | Path, prices: Prices, *, calls: int = CALLS, seed: int = SEED) -> dict[str, float] | None:
    """Fit the prices of one function's events.

    Parameters
    ----------
    function : str
        ``eng_...``.
    elf : path
        A firmware that it is linked into.
    prices : mapping
        Of the functions that it calls and that have formulas of their own.
    calls, seed : int
        How many calls are drawn, and from which seed.

    Returns
    -------
    dict of str to float
        Cycles of each event; None for a function without a formula.

    Raises
    ------
    UnfittedError
        If a call's cycles are not what the formula makes of any prices, within :data:`TOLERANCE`, or if the calls drawn do not
        tell some event from the others.
    """
    if not priced(function):
        return None
    stage, rng = Stage(elf), np.random.default_rng(seed)
    seen = [observe(function, stage, rng) for _ in range(calls)]
    events = sorted({event for each in seen for name, event in (*each.bill.times, *each.possible) if name == function})
    counts = np.array([[each.bill.times.get((function, event), 0.0) for event in events] for each in seen])
    known = np.array([_known(function, each.bill, prices) for each in seen])
    cycles = np.array([each.cycles for each in seen], np.float64)
    weights = 1 / cycles
    found, _, rank, _ = np.linalg.lstsq(counts * weights[:, None], (cycles - known) * weights, rcond=1e-9)
    if rank < len(events):
        never = ", ".join(event for n, event in enumerate(events) if not counts[:, n].any()) or "none"
        raise UnfittedError(
            f"{function}: {len(events)} events, but the calls drawn tell only {rank} apart: {', '.join(events)}; never: {never}"
        )
    rounded = np.asarray(np.round(found, 2))
    off = np.abs(counts @ rounded + known - cycles) * weights
    if off.max() > (FLOAT_TOLERANCE if "_f32" in function else TOLERANCE):
        worst = seen[int(off.argmax())]
        raise UnfittedError(
            f"{function}: its formula is off by {off.max():.2%} of {worst.cycles} cycles at {dict(worst.bill.times)}"
        )
    return {event: float(rounded[n]) for n, event in enumerate(events)}


def priced(function: str) -> bool:
    """Whether a function has a formula."""
    return function in LEAVES or function.removeprefix("eng_") in FORMULAS


def order(functions: list[str]) -> list[str]:
    """Sort functions so that those come first which others call."""
    return sorted(functions, key=lambda name: (list(LEAVES).index(name) if name in LEAVES else len(LEAVES), name))


def observe(function: str, stage: Stage, rng: Rng) -> Observed:
    """Draw a call of a function and run it."""
    if function in LEAVES:
        stage.clear()
        bill, arguments = LEAVES[function](stage, rng)
        return Observed(bill, stage.call(function, *arguments))
    kernel = function.removeprefix("eng_")
    trial = DRAW[kernel](rng, kernel)
    possible = bill_of(trial, known=False) if rng.random() < _ASKED else Bill()
    decided = {event for _, outcomes in possible.choices for each in outcomes for event in each}
    return Observed(bill_of(trial), stage.run(trial)[0], frozenset(decided | set(possible.times)))


def bill_of(trial: Trial, *, known: bool = True) -> Bill:
    """Count what a trial's kernel does, with its inputs known or not."""
    x, x2 = (None if each is None else each.reshape(1, -1).view(np.int8) for each in (trial.x, trial.x2))
    bill = FORMULAS[trial.step.kernel](trial.step, Samples(x=x, x2=x2) if known else Samples())
    if bill is None:
        raise UnfittedError(f"eng_{trial.step.kernel}: the formula says nothing of {trial.step.params}")
    return bill


def _known(function: str, bill: Bill, prices: Prices) -> float:
    others = Bill()
    others.times.update({key: n for key, n in bill.times.items() if key[0] != function})
    missing = others.functions() - set(prices)
    if missing:
        raise UnfittedError(f"{function} calls {', '.join(sorted(missing))}, which must be measured first")
    return others.cycles(prices)
