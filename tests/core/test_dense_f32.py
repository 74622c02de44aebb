"""Dense in float: forward against the oracle, backward against central differences of the oracle."""

import numpy as np
import pytest
import reference_f32 as oracle

from engine import kernels_f32 as kernels

SIZES = [(1, 1, 1), (1, 2, 3), (3, 7, 8), (4, 8, 4), (5, 9, 13), (7, 3, 1), (8, 1, 9), (13, 17, 11), (128, 31, 10)]


def case(batch, inputs, outputs, seed=0):
    rng = np.random.default_rng([seed, batch, inputs, outputs])
    shapes = {"x": (batch, inputs), "w": (outputs, inputs), "bias": (outputs,), "dy": (batch, outputs)}
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("size", SIZES)
def test_forward(size):
    c = case(*size)
    got = kernels.dense_f32(c["x"], c["w"], c["bias"])
    # |x w| <= 1: a sum of n + 1 terms is off by at most (n + 1) roundings of a sum of at most n + 1.
    terms = size[1] + 1
    oracle.assert_close(got, oracle.dense(c["x"], c["w"], c["bias"]), (terms + 1) * terms * oracle.EPS, f"dense_f32 {size}")


@pytest.mark.parametrize("size", SIZES)
def test_sums_run_in_order_whatever_the_batch(size):
    c = case(*size)
    want = np.tile(c["bias"], (size[0], 1))
    for k in range(size[1]):
        want += c["x"][:, k : k + 1] * c["w"][:, k]
    together = kernels.dense_f32(c["x"], c["w"], c["bias"])
    singly = np.concatenate([kernels.dense_f32(row[None], c["w"], c["bias"]) for row in c["x"]])
    np.testing.assert_array_equal(together, want)
    np.testing.assert_array_equal(singly, want)


@pytest.mark.parametrize("size", SIZES[:-1])
def test_backward(size):
    c = case(*size)
    exact = {name: array.astype(float) for name, array in c.items()}

    def loss(**changed):
        values = exact | changed
        return (oracle.dense(values["x"], values["w"], values["bias"]) * exact["dy"]).sum()

    dw, dbias, dx = np.zeros_like(c["w"]), np.zeros_like(c["bias"]), np.full_like(c["x"], np.nan)
    kernels.dense_f32_backward(c["x"], c["w"], c["dy"], dw, dbias, dx=dx)
    for name, got, terms in (("w", dw, size[0]), ("bias", dbias, size[0]), ("x", dx, size[2])):
        want = oracle.central_difference(lambda v, name=name: loss(**{name: v}), exact[name])
        oracle.assert_close(got, want, (terms + 1) * terms * oracle.EPS + 1e-8, f"dense_f32_backward d{name} {size}")


def test_accumulates_parameters_and_overwrites_dx():
    c = case(5, 6, 7)
    dw, dbias = np.zeros_like(c["w"]), np.zeros_like(c["bias"])
    dx, again = np.empty_like(c["x"]), np.full_like(c["x"], 1e30)
    kernels.dense_f32_backward(c["x"], c["w"], c["dy"], dw, dbias, dx=dx)
    once = dw.copy(), dbias.copy()
    kernels.dense_f32_backward(c["x"], c["w"], c["dy"], dw, dbias, dx=again)
    oracle.assert_close(dw, 2.0 * once[0], 1e-5, "dw twice")
    oracle.assert_close(dbias, 2.0 * once[1], 1e-5, "dbias twice")
    np.testing.assert_array_equal(again, dx)


def test_without_dx_parameters_are_the_same():
    c = case(5, 6, 7)
    results = []
    for dx in (None, np.empty_like(c["x"])):
        dw, dbias = np.ones_like(c["w"]), np.ones_like(c["bias"])
        kernels.dense_f32_backward(c["x"], c["w"], c["dy"], dw, dbias, dx=dx)
        results.append((dw, dbias))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_nothing_beyond_the_outputs_is_touched():
    c = case(6, 5, 3)
    guarded = {
        name: np.full(c[like].size + 32, 7, np.float32)
        for name, like in (("y", "dy"), ("dw", "w"), ("dbias", "bias"), ("dx", "x"))
    }
    inner = {
        name: guarded[name][16:-16].reshape(c[like].shape)
        for name, like in (("y", "dy"), ("dw", "w"), ("dbias", "bias"), ("dx", "x"))
    }
    kernels.dense_f32(c["x"], c["w"], c["bias"], out=inner["y"])
    kernels.dense_f32_backward(c["x"], c["w"], c["dy"], inner["dw"], inner["dbias"], dx=inner["dx"])
    for name, array in guarded.items():
        assert (array[:16] == 7).all(), name
        assert (array[-16:] == 7).all(), name


def test_read_only_inputs_are_accepted():
    c = case(2, 3, 4)
    for array in c.values():
        array.flags.writeable = False
    kernels.dense_f32(c["x"], c["w"], c["bias"])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.zeros((2, 5), np.float32)}, ValueError, r"dense_f32: x has shape \(2, 5\); expected \(any, 3\)"),
        ({"x": np.zeros((2, 3))}, TypeError, r"dense_f32: x is an array of float64; expected float32"),
        ({"x": [[0.0, 0.0, 0.0]]}, TypeError, r"dense_f32: x is of type list; expected a NumPy array of float32"),
        ({"x": np.zeros((3, 2), np.float32).T}, ValueError, r"dense_f32: x is not contiguous in memory"),
        ({"x": np.zeros((0, 3), np.float32)}, ValueError, r"dense_f32: x has shape \(0, 3\)"),
        ({"bias": np.zeros(5, np.float32)}, ValueError, r"dense_f32: bias has shape \(5,\); expected \(4,\)"),
        ({"out": np.zeros((2, 5), np.float32)}, ValueError, r"dense_f32: out has shape \(2, 5\); expected \(2, 4\)"),
    ],
)
def test_errors_name_the_argument(change, error, message):
    arguments = case(2, 3, 4) | {"out": None} | change
    with pytest.raises(error, match=message):
        kernels.dense_f32(arguments["x"], arguments["w"], arguments["bias"], out=arguments["out"])


def test_overlapping_outputs_are_refused():
    c = case(4, 4, 4)
    with pytest.raises(ValueError, match="dense_f32: out overlaps x"):
        kernels.dense_f32(c["x"], c["w"], c["bias"], out=c["x"])
    with pytest.raises(ValueError, match="dense_f32_backward: dw overlaps w"):
        kernels.dense_f32_backward(c["x"], c["w"], c["dy"], c["w"], np.zeros(4, np.float32))
