"""Float training kernels in assembly on the simulated chip: the host's bits."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, word

from engine import kernels_f32, kernels_layer_f32, kernels_products

TWINS = ("dense_f32", "adam_f32", "mse_f32", "sigmoid_f32", "exp_f32", "float_sum", "float_product", "float_shared")
LOOPS = """
#include "eng/math_f32.h"
void loop_exp(uint16_t n, float *x);
void loop_exp(uint16_t n, float *x) { for (uint16_t i = 0; i < n; ++i) { x[i] = eng_exp_f32(x[i]); } }
void loop_expm1(uint16_t n, float *x);
void loop_expm1(uint16_t n, float *x) { for (uint16_t i = 0; i < n; ++i) { x[i] = eng_expm1_f32(x[i]); } }
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("avr")
    (folder / "loops.c").write_text(LOOPS)
    return Bench(build(folder, [folder / "loops.c", *(ROOT / f"csrc/avr/{name}.S" for name in TWINS)]))


def real(seed, *shape):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, shape).astype(np.float32)
    x[rng.random(shape) < 0.15] = 0
    return x


def same(got, want, what):
    bad = np.flatnonzero((got.view(np.uint32) != want.view(np.uint32)) & ~(np.isnan(got) & np.isnan(want)))
    assert not len(bad), f"{what}: {len(bad)} differ, first at {bad[0]}: {got.ravel()[bad[0]]!r}, want {want.ravel()[bad[0]]!r}"


class Ram:
    """Float arrays in the chip's RAM."""

    def __init__(self, bench):
        bench.clear()
        self.bench = bench

    def put(self, array):
        return self.bench.ram(np.ascontiguousarray(array, np.float32))

    def get(self, at, *shape):
        return np.frombuffer(self.bench.read(at, 4 * int(np.prod(shape))), np.float32).reshape(shape)


EDGES = [87.33, -87.33, 88.72, -88.72, -0.34, 0.34, 0.3465736, -0.3465736, 87.5, -87, -86.9, 88.02, 88.4, 0, np.inf, np.nan, 1]


@pytest.mark.parametrize(("name", "host"), [("exp", kernels_layer_f32.exponential_f32), ("expm1", kernels_layer_f32.expm1_f32)])
def test_exponential(bench, name, host):
    rng = np.random.default_rng(1)
    edges = np.float32(EDGES).repeat(7).view(np.int32) + np.tile(np.arange(-3, 4), len(EDGES))
    sets = [rng.normal(0, 1, 500), rng.uniform(-95, 95, 500), rng.normal(0, 1, 300) * 10.0 ** rng.integers(-40, 0, 300)]
    sets += [edges.astype(np.int32).view(np.float32), rng.integers(0, 2**32, 500).astype(np.uint32).view(np.float32)]
    for x in (each.astype(np.float32) for each in sets):
        ram = Ram(bench)
        at = ram.put(x)
        call = bench.call(f"loop_{name}", len(x), at)
        same(ram.get(at, len(x)), host(x), name)
        assert call.stack <= 40


@pytest.mark.parametrize(("batch", "inputs", "outputs"), [(1, 1, 1), (1, 2, 3), (1, 3, 1), (2, 5, 4), (5, 7, 3), (1, 70, 2)])
def test_dense(bench, batch, inputs, outputs):
    x, w, bias, dy = real(1, batch, inputs), real(2, outputs, inputs), real(3, outputs), real(4, batch, outputs)
    params = word(batch) + word(inputs) + word(outputs)
    ram = Ram(bench)
    y = ram.put(np.full((batch, outputs), np.nan))
    p = bench.ram(params)
    at_x, at_w = ram.put(x), ram.put(w)
    call = bench.call("eng_dense_f32", p, at_x, at_w, ram.put(bias), y, 0)
    same(ram.get(y, batch, outputs), kernels_products.dense_f32(x, w, bias), "dense_f32")
    assert call.stack <= 45
    dw, dbias = real(5, outputs, inputs), real(6, outputs)
    for needs_dx in (True, False):
        places = [ram.put(dw), ram.put(dbias), ram.put(np.full(x.shape, np.nan)) if needs_dx else 0]
        call = bench.call("eng_dense_f32_backward", p, at_x, at_w, ram.put(dy), *places)
        want, dx = (dw.copy(), dbias.copy()), np.empty_like(x) if needs_dx else None
        kernels_products.dense_f32_backward(x, w, dy, *want, dx=dx)
        same(ram.get(places[0], *dw.shape), want[0], "dw")
        same(ram.get(places[1], outputs), want[1], "dbias")
        if needs_dx:
            same(ram.get(places[2], *x.shape), dx, "dx")
        assert call.stack <= 56


@pytest.mark.parametrize("t", [1, 2, 3, 7, 10, 255, 256, 1000, 65536, 10**9])
def test_adam(bench, t):
    dw, w, m = (real(t % 1000 + i, 13) for i in range(3))
    v = np.abs(real(7, 13))
    options = {"learning_rate": 0.05, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}
    ram = Ram(bench)
    p = bench.ram(word(13) + np.float32(list(options.values())).tobytes())
    places = [ram.put(array) for array in (dw, w, m, v)]
    call = bench.call("eng_adam_f32", p, t >> 16, t & 0xFFFF, *places)
    kernels_f32.adam_f32(t, dw, w, m, v, **options)
    for at, want, what in zip(places, (dw, w, m, v), ("dw", "w", "m", "v"), strict=True):
        same(ram.get(at, 13), want, f"{what} at step {t}")
    assert call.stack <= 64


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 2), (2, 300)])
def test_mse(bench, rows, columns):
    x, target = real(1, rows, columns), real(2, rows, columns)
    ram = Ram(bench)
    p, at_x, at_target, loss = bench.ram(word(rows) + word(columns)), ram.put(x), ram.put(target), ram.put(np.ones(rows))
    dx = np.empty_like(x)
    want = kernels_f32.mse_f32(x, target, dx=dx)
    for place in (0, ram.put(x) if x.size < 400 else at_x):
        call = bench.call("eng_mse_f32", p, at_x, at_target, loss, place)
        same(ram.get(loss, rows), want, "loss")
        if place:
            same(ram.get(place, rows, columns), dx, "dx")
        assert call.stack <= 48


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_sigmoid(bench, size):
    x, dy = real(1, size) * 10, real(2, size)
    x[:3] = np.float32([-0.0, np.nan, -200])[: len(x[:3])]
    ram = Ram(bench)
    y, at = ram.put(np.zeros(size)), ram.put(x)
    call = bench.call("eng_sigmoid_f32", size, at, y)
    want = kernels_layer_f32.sigmoid_f32(x, out=np.empty_like(x))
    same(ram.get(y, size), want, "sigmoid_f32")
    assert call.stack <= 56
    bench.call("eng_sigmoid_f32", size, at, at)
    same(ram.get(at, size), want, "sigmoid_f32 in place")
    at = ram.put(dy)
    call = bench.call("eng_sigmoid_f32_backward", size, y, at, at)
    same(ram.get(at, size), kernels_layer_f32.sigmoid_f32_backward(want, dy, dx=np.empty_like(x)), "backward")
    assert call.stack <= 28
    assert bench.call("eng_sigmoid_f32", 0, 0, 0).cycles < 80
