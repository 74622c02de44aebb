"""When skipping inputs that are equal to the zero point pays: the limits of ``eng_runs_s8``, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import QuantError

#: Layers of fewer inputs are not worth a search.
LEAST_INPUTS = 32
#: Inputs that the search may be behind before it gives up, and the most runs that a table may have.
_SLACK, _MOST_RUNS = 48, 64
#: What a run counts for, ENG_RUN_PRICE; and the most that a skipped input may count for, so that inputs with more runs than a
#: table takes are given up early.
_RUN_PRICE, _MOST_GAIN = 8, 3
#: Bound of ``slack + gain * in``.
_BALANCE = 32_768
#: Cycles of eng_runs_s8: call, run, input outside runs, input in a run.
_CALL, _RUN, _OUTSIDE, _INSIDE = 66, 78, 4.27, 4.75


@dataclass(frozen=True)
class RunLimits:
    """An ``eng_runs``.

    Parameters
    ----------
    size : int
        Inputs.
    slack, gain, capacity, zero_x : int
        See ``eng_runs``.
    """

    size: int
    slack: int
    gain: int
    capacity: int
    zero_x: int

    @property
    def table(self) -> int:
        """Bytes of the table."""
        return 1 + 2 * self.capacity

    def search(self, x: NDArray[np.int8]) -> tuple[bool, float]:
        """Whether ``eng_runs_s8`` skips, and its cycles, for one input ``int8[size]``.

        Cycles are within 3 % of the kernel's.
        """
        inside = np.flatnonzero(np.diff(np.concatenate([[0], x != self.zero_x, [0]])))
        starts, stops = inside[::2], inside[1::2]
        gaps = starts - np.concatenate([[0], stops[:-1]])
        spent = np.concatenate([[0], np.cumsum(stops - starts)[:-1]]) + _RUN_PRICE * np.arange(1, len(starts) + 1)
        before = self.slack + self.gain * np.cumsum(gaps) - spent
        entries = np.cumsum(1 + (gaps - 1).clip(0) // 256 + (stops - starts - 1) // 255)
        over = np.flatnonzero((stops - starts > before) | (entries > self.capacity))
        runs = int(over[0]) if over.size else len(starts)
        cycles = _CALL + _RUN * runs + _INSIDE * (stops - starts)[:runs].sum() + _OUTSIDE * gaps[:runs].sum()
        if not over.size:
            return True, cycles + _OUTSIDE * (self.size - (stops[-1] if stops.size else 0))
        length = min(int(stops[runs] - starts[runs]), max(int(before[runs]), 0) + 1)
        return False, cycles + _RUN + _OUTSIDE * gaps[runs] + _INSIDE * length

    @property
    def slowest(self) -> float:
        """Cycles of a search, at most: it gives up at the last input."""
        return _CALL + _RUN * (self.capacity + 1) + _INSIDE * self.size


def run_limits(size: int, zero_x: int, *, input_cycles: float, run_input_cycles: float) -> RunLimits | None:
    """Find limits with which skipping pays.

    Parameters
    ----------
    size, zero_x : int
        Inputs, and their zero point.
    input_cycles : float
        Cycles of an input when none is skipped.
    run_input_cycles : float
        Cycles of an input in a run.

    Returns
    -------
    RunLimits or None
        None for few inputs.

    Examples
    --------
    >>> run_limits(784, -128, input_cycles=240, run_input_cycles=280)
    RunLimits(size=784, slack=48, gain=3, capacity=64, zero_x=-128)
    """
    if size < LEAST_INPUTS:
        return None
    if input_cycles <= _OUTSIDE:
        raise QuantError(f"an input of {input_cycles} cycles is not worth skipping")
    lost = max(run_input_cycles + _INSIDE - input_cycles, 1.0)
    gain = int(np.clip((input_cycles - _OUTSIDE) / lost, 1, min(_MOST_GAIN, (_BALANCE - 1 - _SLACK) // size)))
    return RunLimits(size, _SLACK, gain, min(_MOST_RUNS, size // 2), zero_x)
