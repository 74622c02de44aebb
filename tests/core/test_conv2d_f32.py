"""Convolution in float: forward against the oracle, backward against central differences of the oracle."""

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32 as kernels
from engine.graph import Padding
from engine.program import Window
from engine.window import blind_position, slide

SAME, VALID = Padding.SAME, Padding.VALID

#: image, kernel, stride, dilation, padding, in_c, out_c, batch
CASES = [
    ((1, 1), (1, 1), (1, 1), (1, 1), VALID, 1, 1, 1),
    ((5, 6), (3, 3), (1, 1), (1, 1), VALID, 1, 3, 2),
    ((5, 6), (3, 3), (1, 1), (1, 1), SAME, 2, 4, 1),
    ((7, 5), (2, 3), (2, 1), (1, 1), SAME, 3, 5, 2),
    ((7, 8), (3, 2), (2, 3), (1, 1), VALID, 2, 9, 1),
    ((8, 9), (3, 3), (1, 1), (2, 3), VALID, 1, 8, 1),
    ((6, 6), (2, 2), (1, 2), (2, 1), SAME, 4, 2, 3),
    ((3, 3), (5, 5), (1, 1), (1, 1), SAME, 1, 2, 1),
    ((9, 4), (1, 4), (3, 3), (1, 1), SAME, 5, 7, 1),
]


def make_window(image, kernel, stride, dilation, padding):
    (out_h, top), (out_w, left) = (slide(image[i], kernel[i], stride[i], dilation[i], padding) for i in range(2))
    return Window(*image, out_h, out_w, *kernel, *stride, *dilation, top, left)


def case(spec, seed=0):
    image, kernel, stride, dilation, padding, in_c, out_c, batch = spec
    window = make_window(image, kernel, stride, dilation, padding)
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (batch, *image, in_c),
        "w": (out_c, *kernel, in_c),
        "bias": (out_c,),
        "dy": (batch, window.out_h, window.out_w, out_c),
    }
    return window, {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("spec", CASES)
def test_forward(spec):
    window, c = case(spec)
    got = kernels.conv2d_f32(window, c["x"], c["w"], c["bias"])
    terms = c["w"][0].size + 1
    want = oracle.conv2d(window, c["x"], c["w"], c["bias"])
    oracle.assert_close(got, want, (terms + 1) * terms * oracle.EPS, f"conv2d_f32 {spec}")


@pytest.mark.parametrize("spec", CASES)
def test_backward(spec):
    window, c = case(spec)
    exact = {name: array.astype(float) for name, array in c.items()}

    def loss(**changed):
        values = exact | changed
        return (oracle.conv2d(window, values["x"], values["w"], values["bias"]) * exact["dy"]).sum()

    dw, dbias, dx = np.zeros_like(c["w"]), np.zeros_like(c["bias"]), np.full_like(c["x"], np.nan)
    kernels.conv2d_f32_backward(window, c["x"], c["w"], c["dy"], dw, dbias, dx=dx)
    positions = c["dy"][..., 0].size
    for name, got, terms in (("w", dw, positions), ("bias", dbias, positions), ("x", dx, c["w"].size // spec[5])):
        want = oracle.central_difference(lambda v, name=name: loss(**{name: v}), exact[name])
        oracle.assert_close(got, want, (terms + 2) * terms * oracle.EPS + 1e-8, f"conv2d_f32_backward d{name} {spec}")


@pytest.mark.parametrize("spec", CASES[:4])
def test_accumulates_parameters_and_overwrites_dx(spec):
    window, c = case(spec)
    dw, dbias = np.zeros_like(c["w"]), np.zeros_like(c["bias"])
    dx, again = np.empty_like(c["x"]), np.full_like(c["x"], 1e30)
    kernels.conv2d_f32_backward(window, c["x"], c["w"], c["dy"], dw, dbias, dx=dx)
    once = dw.copy(), dbias.copy()
    kernels.conv2d_f32_backward(window, c["x"], c["w"], c["dy"], dw, dbias, dx=again)
    oracle.assert_close(dw, 2.0 * once[0], 1e-5, "dw twice")
    oracle.assert_close(dbias, 2.0 * once[1], 1e-5, "dbias twice")
    np.testing.assert_array_equal(again, dx)
    dw_alone, dbias_alone = np.zeros_like(dw), np.zeros_like(dbias)
    kernels.conv2d_f32_backward(window, c["x"], c["w"], c["dy"], dw_alone, dbias_alone)
    np.testing.assert_array_equal(dw_alone, once[0])
    np.testing.assert_array_equal(dbias_alone, once[1])


def test_a_batch_is_its_images_one_by_one():
    window, c = case(((9, 7), (3, 3), (2, 1), (1, 1), SAME, 2, 5, 4))
    together = kernels.conv2d_f32(window, c["x"], c["w"], c["bias"])
    singly = [kernels.conv2d_f32(window, image[None], c["w"], c["bias"]) for image in c["x"]]
    np.testing.assert_array_equal(together, np.concatenate(singly))


def test_nothing_beyond_the_outputs_is_touched():
    window, c = case(CASES[3])
    outputs = (("y", "dy"), ("dw", "w"), ("dbias", "bias"), ("dx", "x"))
    guarded = {name: np.full(c[like].size + 32, 7, np.float32) for name, like in outputs}
    inner = {name: guarded[name][16:-16].reshape(c[like].shape) for name, like in outputs}
    kernels.conv2d_f32(window, c["x"], c["w"], c["bias"], out=inner["y"])
    kernels.conv2d_f32_backward(window, c["x"], c["w"], c["dy"], inner["dw"], inner["dbias"], dx=inner["dx"])
    for name, array in guarded.items():
        assert (array[:16] == 7).all(), name
        assert (array[-16:] == 7).all(), name


def test_windows_that_kernels_cannot_take_are_refused():
    x, w, bias = np.zeros((1, 4, 4, 1), np.float32), np.zeros((1, 3, 3, 1), np.float32), np.zeros(1, np.float32)
    good = make_window((4, 4), (3, 3), (1, 1), (1, 1), VALID)
    kernels.conv2d_f32(good, x, w, bias)
    with pytest.raises(TypeError, match=r"conv2d_f32: window is of type tuple; expected engine\.program\.Window"):
        kernels.conv2d_f32((4, 4), x, w, bias)
    far = Window(4, 4, 9, 2, 3, 3, 1, 1, 1, 1, 0, 0)
    with pytest.raises(ValueError, match="without any tap inside the image"):
        kernels.conv2d_f32(far, x, w, bias)
    with pytest.raises(ValueError, match=r"window\.stride_h is 0; expected 1 \.\.\. 65535"):
        kernels.conv2d_f32(Window(4, 4, 2, 2, 3, 3, 0, 1, 1, 1, 0, 0), x, w, bias)
    with pytest.raises(ValueError, match=r"conv2d_f32: w has shape \(1, 3, 3, 1\); expected \(any, 2, 2, 1\)"):
        kernels.conv2d_f32(make_window((4, 4), (2, 2), (1, 1), (1, 1), VALID), x, w, bias)


def random_spec(rng):
    """A convolution of any geometry whose positions all see the image."""
    while True:
        image, kernel = tuple(rng.integers(1, 13, 2).tolist()), tuple(rng.integers(1, 5, 2).tolist())
        stride, dilation = tuple(rng.integers(1, 4, 2).tolist()), tuple(rng.integers(1, 4, 2).tolist())
        padding = SAME if rng.integers(2) else VALID
        in_c, out_c, batch = (int(rng.integers(1, limit)) for limit in (10, 14, 4))
        spec = (image, kernel, stride, dilation, padding, in_c, out_c, batch)
        window = make_window(*spec[:5])
        if window.out_h >= 1 and window.out_w >= 1 and not blind_position(window):
            return spec


@pytest.mark.parametrize("seed", range(60))
def test_any_geometry(seed):
    """Forward against the oracle; backward by adjointness: a convolution without bias is linear in x and in w."""
    spec = random_spec(np.random.default_rng(seed))
    window, c = case(spec, seed)
    zero = np.zeros_like(c["bias"])
    y = kernels.conv2d_f32(window, c["x"], c["w"], zero)
    terms = c["w"][0].size + 1
    oracle.assert_close(y, oracle.conv2d(window, c["x"], c["w"], zero), (terms + 1) * terms * oracle.EPS, f"{spec} seed {seed}")
    dw, dbias, dx = np.zeros_like(c["w"]), zero.copy(), np.full_like(c["x"], np.nan)
    kernels.conv2d_f32_backward(window, c["x"], c["w"], c["dy"], dw, dbias, dx=dx)
    want = (oracle.conv2d(window, c["x"], c["w"], zero) * c["dy"]).sum()
    tolerance = 1e-6 * c["dy"].size * terms
    oracle.assert_close((dw * c["w"].astype(float)).sum(), want, tolerance, f"{spec} seed {seed}: dw")
    oracle.assert_close((dx * c["x"].astype(float)).sum(), want, tolerance, f"{spec} seed {seed}: dx")
    oracle.assert_close(dbias, c["dy"].astype(float).sum(axis=(0, 1, 2)), 1e-6 * c["dy"].size, f"{spec} seed {seed}: dbias")
