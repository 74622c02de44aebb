"""Steps of a chip's program that are several of the model's."""

from __future__ import annotations

from dataclasses import dataclass

from engine.program import Step

#: Kernel of such a step.
CHAIN = "chain"


@dataclass(frozen=True)
class ChainParams:
    """The steps of a chain, as they are when each is computed whole."""

    steps: tuple[Step, ...]
