"""Times contenders against one another in one interleaved run, so that a noisy machine is noisy for all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds a call: minimum and median over the rounds."""

    minimum: float
    median: float
    rounds: int


def calibrate(call: Callable[[], object], seconds: float) -> int:
    """Return how many calls make a round of about `seconds`."""
    call()
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        took = time.perf_counter() - start
        if took >= seconds:
            return calls
        calls = max(calls * 2, int(calls * seconds / max(took, 1e-9)))


#: Pause after which threads that wait for more work by spinning have gone to sleep: ONNX Runtime's do it for some 30 ms.
REST = 0.1


def race(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int = 31, seconds: float = 0.01, rest: float = 0.0
) -> dict[str, Timing]:
    """Run every contender `rounds` times in turn, each turn about `seconds` long.

    Parameters
    ----------
    contenders : mapping of name to callable
        What is timed; each is called without arguments.
    rounds : int
        How many turns each gets.
    seconds : float
        Length of a turn.
    rest : float
        Seconds of pause before each turn, and one call that is not timed after it. Contenders with threads of their own want
        :data:`REST`: those of the one before would otherwise spin on for a while, at the cost of the next.

    Returns
    -------
    dict of name to Timing
        In the order of `contenders`.
    """
    calls = {name: calibrate(call, seconds) for name, call in contenders.items()}
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            if rest > 0:
                time.sleep(rest)
                call()
            start = time.perf_counter()
            for _ in range(calls[name]):
                call()
            samples[name].append((time.perf_counter() - start) / calls[name])
    return {name: Timing(float(np.min(took)), float(np.median(took)), rounds) for name, took in samples.items()}
