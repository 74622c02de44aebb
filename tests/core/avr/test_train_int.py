"""Integer training kernels in assembly on the simulated chip: the bits of the host's, whose oracle is elsewhere."""

import numpy as np
import pytest
import reference_int as oracle
from avr_kernels import ROOT, Bench, build, word

from engine import kernels_train_int as kernels

TWINS = ("rng_next", "dense_int", "dense_backward_int", "move_row_int")
#: Of the chip's own compiler: what calls the twins.
PORTABLE = ("sgd_int", "errors_int")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    sources = [*(ROOT / f"csrc/avr/{name}.S" for name in TWINS), *(ROOT / f"csrc/src/{name}.c" for name in PORTABLE)]
    return Bench(build(tmp_path_factory.mktemp("avr"), sources, "-Os"))


def params(rows, inputs, outputs, zero_x):
    return word(rows) + word(inputs) + word(outputs) + bytes([zero_x & 0xFF])


def fill(kind, rng, shape, lo, hi, dtype):
    made = {"random": rng.integers(lo, hi, shape, endpoint=True), "least": np.full(shape, lo), "most": np.full(shape, hi)}
    return made[kind].astype(dtype)


def same(got, want, what):
    bad = np.argwhere(got != want)
    assert not len(bad), f"{what}: {len(bad)} differ, first at {bad[0]}: got {got[tuple(bad[0])]}, want {want[tuple(bad[0])]}"


def test_generator(bench):
    rng = np.random.default_rng(0)
    for _ in range(200):
        state = rng.integers(0, 2**32, 4).astype(np.uint32)
        twin = oracle.Rng(state)
        bench.clear()
        at = bench.ram(state)
        call = bench.call("eng_rng_next", at)
        got = int.from_bytes(bytes(bench.chip.register(n) for n in range(22, 26)), "little")
        assert got == twin.next()
        assert np.frombuffer(bench.read(at, 16), np.uint32).tolist() == twin.s
        assert call.cycles <= 132
        assert call.stack <= 3


@pytest.mark.parametrize("kind", ["random", "least", "most"])
@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(1, 1, 1), (1, 32, 10), (2, 7, 3), (1, 255, 2), (1, 256, 2), (2, 300, 2)]
)
@pytest.mark.parametrize("zero_x", [-128, 0, 127, 5])
def test_dense(bench, rows, inputs, outputs, zero_x, kind):
    rng = np.random.default_rng(inputs)
    x = fill(kind, rng, (rows, inputs), -128, 127, np.int8)
    w = fill(kind, rng, (outputs, inputs), kernels.MASTER_MIN, kernels.MASTER_MAX, np.int16)
    bias = fill(kind, rng, (outputs,), -(2**30), 2**30, np.int32)
    bench.clear()
    p, acc = bench.ram(params(rows, inputs, outputs, zero_x)), bench.ram(4 * rows * outputs)
    call = bench.call("eng_dense_int", p, bench.ram(x), bench.ram(w), bench.ram(bias), acc)
    got = np.frombuffer(bench.read(acc, 4 * rows * outputs), np.int32).reshape(rows, outputs)
    same(got, kernels.dense_int(x, w, bias, zero_x=zero_x), f"dense_int {rows}x{inputs}->{outputs} {kind} zero_x {zero_x}")
    each = 16 if zero_x == -128 else 31
    assert call.cycles <= rows * (outputs * (each * inputs + 26 * (inputs // 256) + 110) + 60) + 160
    assert call.stack <= 27


@pytest.mark.parametrize("kind", ["random", "least", "most"])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (1, 32, 10), (2, 7, 3), (3, 100, 2)])
def test_backward(bench, rows, inputs, outputs, kind):
    rng = np.random.default_rng(inputs)
    h = fill(kind, rng, (rows, outputs), -127, 127, np.int8)
    h[:, ::3] = 0
    w = fill(kind, rng, (outputs, inputs), kernels.MASTER_MIN, kernels.MASTER_MAX, np.int16)
    bench.clear()
    p, dx = bench.ram(params(rows, inputs, outputs, 0)), bench.ram(4 * rows * inputs)
    call = bench.call("eng_dense_int_backward", p, bench.ram(h), bench.ram(w), dx)
    got = np.frombuffer(bench.read(dx, 4 * rows * inputs), np.int32).reshape(rows, inputs)
    same(got, kernels.dense_int_backward(h, w), f"dense_int_backward {rows}x{inputs}->{outputs} {kind}")
    assert call.cycles <= rows * (inputs * (8 + 32 * outputs) + 30 * outputs + 60) + 100
    assert call.stack <= 16


@pytest.mark.parametrize("shift", [-2, 0, 3, 8, 15, 16, 17, 20])
@pytest.mark.parametrize("zero_x", [-128, 0, 127, -3])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (32, 10), (7, 3)])
def test_step(bench, inputs, outputs, zero_x, shift):
    rng = np.random.default_rng(100 + inputs + shift)
    x, h = rng.integers(-128, 128, inputs).astype(np.int8), rng.integers(-127, 128, outputs).astype(np.int8)
    x[::4], h[::3] = zero_x, 0
    x[1:2], x[2:3], h[1:2] = -128, 127, -127
    w = rng.integers(kernels.MASTER_MIN, kernels.MASTER_MAX, (outputs, inputs), endpoint=True).astype(np.int16)
    w[:, ::5], w[:, 1::5] = kernels.MASTER_MIN, kernels.MASTER_MAX
    bias = rng.integers(-(2**30), 2**30, outputs).astype(np.int32)
    state = rng.integers(0, 2**32, 4).astype(np.uint32)
    bench.clear()
    step = (shift, 254, 0)
    record = bench.ram(int(shift).to_bytes(2, "little", signed=True) + bytes([254, 0]))
    at_rng, at_w, at_bias = bench.ram(state), bench.ram(w), bench.ram(bias)
    p = bench.ram(params(1, inputs, outputs, zero_x))
    call = bench.call("eng_dense_int_step", p, record, 0, at_rng, bench.ram(x), bench.ram(h), at_w, at_bias)
    kernels.dense_int_step(step, 0, state, x, h, w, bias, zero_x=zero_x)
    what = f"dense_int_step {inputs}->{outputs} zero_x {zero_x} shift {shift}"
    same(np.frombuffer(bench.read(at_w, w.nbytes), np.int16).reshape(w.shape), w, what)
    same(np.frombuffer(bench.read(at_bias, bias.nbytes), np.int32), bias, f"{what}: bias")
    assert np.frombuffer(bench.read(at_rng, 16), np.uint32).tolist() == state.tolist(), what
    assert call.stack <= 80


def test_errors(bench):
    rng = np.random.default_rng(3)
    for limit in (1, 100, 2**15, 2**22, 2**31 - 1):
        dy = rng.integers(-limit, limit, 10, endpoint=True).astype(np.int32)
        state = rng.integers(0, 2**32, 4).astype(np.uint32)
        bench.clear()
        at_rng, h = bench.ram(state), bench.ram(10)
        call = bench.call("eng_errors_int", bench.ram(word(10) + bytes([200])), at_rng, bench.ram(dy), h)
        want, exponent = kernels.errors_int(dy, state, mult=200)
        same(np.frombuffer(bench.read(h, 10), np.int8), want, f"errors_int {limit}")
        assert call.result == exponent
        assert np.frombuffer(bench.read(at_rng, 16), np.uint32).tolist() == state.tolist()
