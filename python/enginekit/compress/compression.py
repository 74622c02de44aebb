"""What to compress to."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import QuantError

#: Bits of a weight that there are encodings for, and their levels: whole steps from zero.
LEVELS = {4: (-7, 7), 2: (-2, 1)}
#: Levels of ternary weights.
TERNARY = (-1, 1)
#: Most values of a clustered layer.
MOST_CLUSTERS = 16


@dataclass(frozen=True)
class Compression:
    """A constraint on the weights of a network; biases stay as they are.

    Parameters
    ----------
    prune : float
        Share of all the network's weights, in [0, 1), that become zero. Layers of fewer than `least` weights keep theirs, the
        others make up for it.
    block : int
        Neighbouring outputs, counted from the first, whose weights for an input are kept or pruned together. The kernels for
        blocks of 8 and 4 are several times as fast as those for zeros anywhere.
    bits : int, optional
        4 or 2: weights become whole steps, -7 to 7 or -2 to 1, of a width for each output.
    ternary : bool
        Weights become -1, 0 or 1 times a width for each output.
    clusters : int, optional
        Weights of a layer become one of so many values, 2 to 16.
    least : int
        Weights of the smallest layer that is touched; 4 bits suit smaller ones too.

    Raises
    ------
    QuantError
        If a number is outside its range, nothing is asked for, or of `bits`, `ternary` and `clusters` more than one.

    Examples
    --------
    >>> Compression(prune=0.8, block=8).text
    '80 % pruned in blocks of 8'
    >>> Compression(prune=0.5, bits=4).text
    '50 % pruned, 4 bits'
    """

    prune: float = 0.0
    block: int = 1
    bits: int | None = None
    ternary: bool = False
    clusters: int | None = None
    least: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.prune < 1:
            raise QuantError(f"prune is {self.prune}; expected a share of the weights, at least 0 and below 1")
        if self.block < 1 or self.least < 0:
            raise QuantError(f"block is {self.block} and least {self.least}; expected at least 1 and at least 0")
        if self.bits is not None and self.bits not in LEVELS:
            raise QuantError(f"bits is {self.bits}; expected one of {', '.join(map(str, LEVELS))}")
        if self.clusters is not None and not 2 <= self.clusters <= MOST_CLUSTERS:
            raise QuantError(f"clusters is {self.clusters}; expected 2 to {MOST_CLUSTERS}")
        values = (self.bits is not None) + self.ternary + (self.clusters is not None)
        if values > 1:
            raise QuantError("of bits, ternary and clusters at most one can be asked for")
        if values == 0 and self.prune == 0:
            raise QuantError("nothing to compress to: give prune, bits, ternary or clusters")

    @property
    def levels(self) -> tuple[int, int] | None:
        """Lowest and highest step; None where weights are no steps."""
        return TERNARY if self.ternary else LEVELS[self.bits] if self.bits is not None else None

    def suits(self, weights: int) -> bool:
        """Whether the values of a layer with so many weights are constrained."""
        return self.bits == 4 or ((self.levels is not None or self.clusters is not None) and weights >= self.least)

    @property
    def text(self) -> str:
        """What it asks for, in words."""
        blocks = f" in blocks of {self.block}" if self.block > 1 else ""
        parts = [f"{100 * self.prune:g} % pruned{blocks}"] if self.prune else []
        parts += [f"{self.bits} bits"] if self.bits is not None else []
        parts += ["ternary"] if self.ternary else []
        parts += [f"{self.clusters} values a layer"] if self.clusters is not None else []
        return ", ".join(parts)
