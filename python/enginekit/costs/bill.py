"""Counts what a kernel call does: how often each priced event happens, and what its inputs decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Cycles of each event of each function: ``{"eng_copy_s8": {"call": 40.0, "row": 31.0, "byte": 8.0}}``.
Prices = Mapping[str, Mapping[str, float]]
#: An event and the function whose cycles it is about.
Event = tuple[str, str]


@dataclass
class Bill:
    """What happens in one kernel call.

    Parameters
    ----------
    times : dict of (function, event) to float
        What is certain, or what was counted over inputs, a call.
    choices : list of (float, tuple of dict)
        What inputs decide: how often, and between which outcomes, each with the events that come with it.
    """

    times: defaultdict[Event, float] = field(default_factory=lambda: defaultdict(float))
    choices: list[tuple[float, tuple[dict[Event, float], ...]]] = field(default_factory=list)

    def add(self, function: str, **events: float) -> None:
        """Add events of a function."""
        for event, times in events.items():
            self.times[function, event] += float(times)

    def choose(self, times: float, function: str, *outcomes: Mapping[str, float]) -> None:
        """Add a choice that inputs make `times` times between outcomes; one that may do nothing has ``{}`` among them."""
        events = tuple({(function, event): float(n) for event, n in each.items()} for each in outcomes)
        if times and events:
            self.choices.append((float(times), events))

    def functions(self) -> set[str]:
        """Functions that must have prices."""
        decided = {function for _, outcomes in self.choices for each in outcomes for function, _ in each}
        return decided | {function for function, _ in self.times}

    def cycles(self, prices: Prices) -> float:
        """Cycles of the slowest choices; of what was counted, if there are no choices."""
        slowest = (times * max(_sum(each, prices) for each in outcomes) for times, outcomes in self.choices)
        return _sum(self.times, prices) + sum(slowest)


def _sum(times: Mapping[Event, float], prices: Prices) -> float:
    return sum(n * prices[function][event] for (function, event), n in times.items() if n)
