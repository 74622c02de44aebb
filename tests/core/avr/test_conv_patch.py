"""The sum over a convolution's patch in assembly, inside the plain convolution on the simulated chip, against the host's."""

import numpy as np
import pytest
from avr_kernels import ROOT, Bench, build, word

from engine import kernels
from engine.program import Conv2DParams, OutputS8, Rescale, Window

C_FILES = ("conv2d_s8", "conv2d_patch_s8")
TWINS = ("conv2d_patch_sum_s8", "rescale")
#: in_h, in_w, in_c, out_c, kernel, stride, dilation, pad
SHAPES = [
    (1, 1, 1, 1, (1, 1), 1, 1, (0, 0)),
    (5, 4, 1, 3, (3, 3), 1, 1, (1, 1)),
    (7, 3, 2, 3, (3, 2), 2, 1, (1, 0)),
    (6, 7, 3, 2, (3, 3), 1, 2, (2, 2)),
    (3, 3, 16, 5, (1, 1), 1, 1, (0, 0)),
    (4, 3, 100, 2, (3, 3), 1, 1, (1, 1)),
    (9, 2, 5, 4, (5, 1), 3, 1, (2, 0)),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    sources = [ROOT / f"csrc/src/{name}.c" for name in C_FILES] + [ROOT / f"csrc/avr/{name}.S" for name in TWINS]
    return Bench(build(tmp_path_factory.mktemp("avr"), sources))


def outputs(size, kernel, stride, dilation, pad):
    return (size + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1


def place(bench, params):
    fields = [getattr(params.window, name) for name in params.window.__dataclass_fields__]
    records = b"".join(int(r.mult).to_bytes(4, "little") + bytes([r.left, r.right]) for r in params.rescale)
    y = bytes(value & 0xFF for value in (params.zero_x, 1, params.y.zero, params.y.lo, params.y.hi))
    return bench.flash(b"".join(map(word, [*fields, params.in_c, params.out_c])) + y + word(bench.flash(records)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zero", [0, -128, 127, 5])
def test_patch_sum(bench, shape, zero):
    in_h, in_w, in_c, out_c, (kernel_h, kernel_w), stride, dilation, (top, left) = shape
    rng = np.random.default_rng(sum(shape[:4]) + zero + 128)
    out_h, out_w = outputs(in_h, kernel_h, stride, dilation, top), outputs(in_w, kernel_w, stride, dilation, left)
    window = Window(in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride, stride, dilation, dilation, top, left)
    rescale = tuple(Rescale(int(rng.integers(1 << 30, 1 << 31)), 0, int(rng.integers(4, 12))) for _ in range(out_c))
    params = Conv2DParams(window, in_c, out_c, zero, 1, OutputS8(-3, -128, 127), rescale)
    bias = rng.integers(-20000, 20000, out_c).astype(np.int32)
    w = rng.integers(-128, 128, (out_c, kernel_h, kernel_w, in_c)).astype(np.int8)
    x = rng.integers(-128, 128, (in_h, in_w, in_c)).astype(np.int8)
    full = (np.full_like(x, low) for low in (-128, 127))
    adversary = np.ascontiguousarray(np.broadcast_to(np.where(w[0, 0, 0] > 0, 127, -128), x.shape), np.int8)
    for number, image in enumerate((x, *full, adversary)):
        want = kernels.conv2d_s8(params, image, w, bias)
        bench.clear()
        at, y = bench.ram(image), bench.ram(want.size)
        bench.call("eng_conv2d_s8", place(bench, params), at, bench.flash(w), bench.flash(bias), y)
        got = np.frombuffer(bench.read(y, want.size), np.int8)
        bad = np.flatnonzero(got != want.ravel())
        what = f"{shape} zero {zero} input {number}"
        assert bad.size == 0, f"{what}: at {bad[0]} got {got[bad[0]]}, want {want.ravel()[bad[0]]}"
