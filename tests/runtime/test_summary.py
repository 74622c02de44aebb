"""Multiply-adds that a summary counts."""

import random

from engine import summary


def test_covered_pixels_are_those_of_each_window():
    rng = random.Random(1)
    for _ in range(3000):
        size, positions, kernel = rng.randrange(40), rng.randrange(9), rng.randrange(9)
        stride, before = rng.randrange(-3, 6), rng.randrange(-3, 6)
        starts = [p * stride - before for p in range(positions)]
        expected = sum(min(start + kernel, size) - max(start, 0) for start in starts)
        assert summary._covered(size, positions, kernel, stride, before) == expected


def test_a_garbled_number_of_positions_takes_no_time():
    positions = 1 << 62
    assert summary._covered(positions, positions, 1, 1, 0) == positions
