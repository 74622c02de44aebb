"""Float arithmetic on the chip is IEEE 754's, bit for bit: normal and subnormal numbers, zeros, infinities, ties."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, word

LOOPS = """
#include <math.h>
#include <stdint.h>
typedef struct { float a[256], b[256], y[256]; uint16_t n; } numbers;
#define LOOP(name, value) void name(numbers *p) { for (uint16_t i = 0; i < p->n; ++i) { p->y[i] = value; } }
LOOP(loop_add, p->a[i] + p->b[i])
LOOP(loop_subtract, p->a[i] - p->b[i])
LOOP(loop_multiply, p->a[i] * p->b[i])
LOOP(loop_divide, p->a[i] / p->b[i])
LOOP(loop_sqrt, sqrtf(p->a[i]))
"""
OPERATIONS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
SPECIAL = [
    0,
    1e-45,
    1.17549435e-38,
    1.17549421e-38,
    3.4028235e38,
    1,
    2,
    0.5,
    1 + 2**-23,
    1 - 2**-24,
    2**-24,
    2**-25,
    np.inf,
    np.nan,
]
SPECIAL += [2**24 - 1, 2**24, 1.5, 3, 2**-126, 2**-149, 2**127]


def bits(rng, keep, add=0):
    """Random numbers: only some bits of the representation random, some set."""
    return (rng.integers(0, 2**32, 256, np.uint64).astype(np.uint32) & np.uint32(keep) | np.uint32(add)).view(np.float32)


KINDS = {
    "any": lambda rng: bits(rng, 0xFFFFFFFF),
    "usual": lambda rng: (rng.normal(size=256) * np.exp2(rng.integers(-12, 12, 256))).astype(np.float32),
    "near 1": lambda rng: bits(rng, 0x8000000F, 0x3F7FFFF8),
    "few digits": lambda rng: bits(rng, 0x80FFF000, 0x3F000000),
    "subnormal": lambda rng: bits(rng, 0x80FFFFFF),
    "small": lambda rng: bits(rng, 0x8FFFFFFF),
    "large": lambda rng: bits(rng, 0x80FFFFFF, 0x7E000000),
    "special": lambda rng: (rng.choice(SPECIAL, 256) * rng.choice([1, -1], 256)).astype(np.float32),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    (folder / "loops.c").write_text(LOOPS)
    return Bench(build(folder, [folder / "loops.c", *(ROOT / f"csrc/avr/{name}.S" for name in ("float_sum", "float_product"))]))


def run(bench, name, a, b):
    bench.clear()
    at = bench.ram(a.tobytes() + b.tobytes() + bytes(1024) + word(256))
    call = bench.call(f"loop_{name}", at)
    return np.frombuffer(bench.read(at, 3074)[2048:3072], np.float32), call.cycles / 256


def same(got, want):
    return (got.view(np.uint32) == want.view(np.uint32)) | (np.isnan(got) & np.isnan(want))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_operations(bench, name, kind):
    rng = np.random.default_rng(len(kind))
    for other in KINDS.values():
        for a, b in ((KINDS[kind](rng), other(rng)) for _ in range(3)):
            with np.errstate(all="ignore"):
                want = OPERATIONS[name](a, b)
            got, _ = run(bench, name, a, b)
            bad = np.flatnonzero(~same(got, want))
            assert not len(bad), f"{name} {kind}: {a[bad[0]]!r}, {b[bad[0]]!r}: {got[bad[0]]!r}, want {want[bad[0]]!r}"


@pytest.mark.parametrize("kind", KINDS)
def test_square_root_of_the_library(bench, kind):
    rng = np.random.default_rng(5)
    for _ in range(8):
        a = KINDS[kind](rng)
        with np.errstate(all="ignore"):
            want = np.sqrt(a)
        assert same(run(bench, "sqrt", a, a)[0], want).all()


@pytest.mark.parametrize(("name", "cycles"), [("add", 125), ("subtract", 125), ("multiply", 130), ("divide", 415)])
def test_cycles(bench, name, cycles):
    """With the loop of 26 cycles around it."""
    rng = np.random.default_rng(0)
    a, b = KINDS["usual"](rng), KINDS["usual"](rng)
    assert run(bench, name, a, b)[1] <= cycles


def test_the_library_is_not_linked_beside_them(bench):
    names = set(bench.chip.image.symbols)
    assert {"__addsf3", "__mulsf3", "__divsf3", "sqrt"} <= names
    assert not names & {"__addsf3x", "__mulsf3x", "__divsf3x"}
