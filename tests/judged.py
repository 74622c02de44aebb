"""What the comparisons with TensorFlow Lite share: scales and zero points that reach the corners, and the verdict."""

import numpy as np
import pytest

import engine
from engine.graph import Activation

SEED = 4809
ZEROS = (-128, 127, 0, -3, 57)
ACTIVATIONS = tuple(Activation)
EVERYTHING = np.arange(-128, 128).astype(np.int8)


def assert_equal(want: np.ndarray, got: np.ndarray, what: str) -> None:
    assert got.size == want.size, what
    bad = np.flatnonzero(got.ravel() != want.ravel())
    if bad.size:
        i = bad[0]
        raise AssertionError(
            f"{what} seed={SEED}: {bad.size} of {want.size} differ; index {i}: got {got.flat[i]}, want {want.flat[i]}"
        )


def random_scale(rng: np.random.Generator) -> np.float32:
    return np.float32(2.0 ** rng.uniform(-10, 0))


def weight_scales(rng: np.random.Generator, count: int) -> np.ndarray:
    """Ordinary ones, now and then a dead channel behind the first."""
    dead = (rng.random(count) < 0.1) & (np.arange(count) > 0)
    return np.where(dead, 2e-11, 2.0 ** rng.uniform(-10, -2, count)).astype(np.float32)


def output_scale(rng: np.random.Generator, turn: int, sx: np.float32, sw: np.ndarray, terms: int) -> np.float32:
    """Mostly one that spreads outputs over int8; sometimes so small that ratios exceed 1, or so large that nothing is left."""
    spread = float(sx) * float(sw.max()) * 60.0 * terms**0.5
    return np.float32(spread * 2.0 ** (rng.uniform(-1, 2) if turn % 4 else (-9.0, -14.0, 25.0)[turn // 4 % 3]))


def awkward_scales(rng: np.random.Generator, turn: int) -> tuple[np.float32, np.float32]:
    """Pairs whose ratio puts some code within a few float32 steps of a tie, where the multiplier's last bits decide."""
    sx = random_scale(rng)
    if turn % 3 == 0:
        return sx, np.float32(sx * 2.0 ** rng.uniform(-6, 6))
    return sx, np.float32(float(sx) * int(rng.integers(1, 256)) / (int(rng.integers(0, 120)) + 0.5))


#: As ENGINE_ISA names them and eng_isa numbers them. A processor may lack one between others.
ISAS = ("portable", "avx2", "avxvnni", "avx512vnni")


def is_available(isa: str) -> bool:
    """Whether ENGINE_ISA may be set to `isa` here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_ISA", isa)
        try:
            return engine.isa() == isa
        except engine.EngineError:
            return False


def available_isas() -> list[str]:
    """Names of the instruction sets of this processor, the least first."""
    return [isa for isa in ISAS if is_available(isa)]
