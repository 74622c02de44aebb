"""Every kernel against the oracle, exactly; and what bindings promise: canaries, in place, no conversion, messages."""

import kernel_cases
import numpy as np
import pytest
import reference
from kernel_cases import Case

from engine import kernels
from engine.program import KERNELS, ArgmaxParams, Conv2DMaxPool2DParams, OutputS8, Pool2DParams, RequantizeParams, Rescale


def assert_same(case: Case, got: np.ndarray) -> None:
    assert got.dtype == case.want.dtype, str(case)
    assert got.shape == case.want.shape, str(case)
    got_bits, want_bits = got.view(np.uint8).ravel(), case.want.view(np.uint8).ravel()
    if not np.array_equal(got_bits, want_bits):
        bad = int(np.flatnonzero(got.ravel() != case.want.ravel())[0])
        raise AssertionError(f"{case} seed={kernel_cases.SEED}: index {bad}: got {got.flat[bad]}, want {case.want.flat[bad]}")


@pytest.mark.parametrize("kernel", KERNELS)
def test_equals_oracle(kernel):
    cases = kernel_cases.all_cases(kernel)
    assert len(cases) > 10
    for case in cases:
        assert_same(case, getattr(kernels, kernel)(case.params, *case.args))


@pytest.mark.parametrize("kernel", KERNELS)
def test_writes_its_output_and_nothing_else(kernel):
    for case in kernel_cases.all_cases(kernel)[:40]:
        size = case.want.nbytes
        for canary in (0x5A, 0xA5):
            memory = np.full(size + 128, canary, np.uint8)
            out = memory[64 : 64 + size].view(case.want.dtype).reshape(case.want.shape)
            if kernel == "copy_s8":  # keeps the other columns
                out[...] = 0
            assert getattr(kernels, kernel)(case.params, *case.args, out=out) is out
            assert_same(case, out)
            assert (memory[:64] == canary).all(), f"{case}: wrote before its output"
            assert (memory[64 + size :] == canary).all(), f"{case}: wrote behind its output"


@pytest.mark.parametrize("kernel", ["add_s8", "sub_s8", "mul_s8"])
def test_joins_in_place(kernel):
    for case in kernel_cases.all_cases(kernel):
        for operand in (0, 1):
            args = [a.copy() for a in case.args]
            if args[operand].size == case.want.size:
                assert_same(case, getattr(kernels, kernel)(case.params, *args, out=args[operand]))


def test_copy_keeps_the_other_columns():
    for case in kernel_cases.all_cases("copy_s8"):
        out, p = np.full(case.want.shape, 77, np.int8), case.params
        kernels.copy_s8(p, *case.args, out=out)
        assert (np.delete(out, range(p.first, p.first + p.size), axis=1) == 77).all(), str(case)


@pytest.mark.parametrize("kernel", ["requantize_s8", "softmax_s8", "lookup_s8"])
def test_works_in_place(kernel):
    for case in kernel_cases.all_cases(kernel):
        x = case.args[0].copy()
        assert getattr(kernels, kernel)(case.params, x, out=x) is x
        assert_same(case, x)


@pytest.mark.parametrize("kernel", KERNELS)
def test_accepts_read_only_inputs_and_leaves_them_alone(kernel):
    case = kernel_cases.all_cases(kernel)[7]
    args = [a.copy() for a in case.args]
    for a in args:
        a.flags.writeable = False
    assert_same(case, getattr(kernels, kernel)(case.params, *args))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(args, case.args, strict=True))


def test_fused_equals_conv_then_pool():
    for case in kernel_cases.all_cases("conv2d_max_pool2d_s8"):
        p = case.params
        assert isinstance(p, Conv2DMaxPool2DParams)
        full = kernels.conv2d_s8(p.conv, *case.args)
        assert_same(case, kernels.max_pool2d_s8(Pool2DParams(p.pool, p.conv.out_c, -128, 127), full))


def test_concatenated_rows_give_concatenated_outputs():
    for case in kernel_cases.all_cases("dense_s8"):
        x, w, bias = case.args
        whole = kernels.dense_s8(case.params, x, w, bias)
        for n in range(len(bias)):
            p = case.params
            one = type(p)(p.in_, 1, 0, p.y, (p.rescale[n * p.rescale_step],))
            assert kernels.dense_s8(one, x, w[n : n + 1], bias[n : n + 1])[0] == whole[n], str(case)


def test_relu_twice_is_relu_once():
    x = np.arange(-128, 128).astype(np.int8)
    for zero in (-128, -15, 0, 127):
        for hi in (127, max(zero, 40)):
            relu = RequantizeParams(256, zero, Rescale(2**30, 1, 0), OutputS8(zero, zero, hi))
            once = kernels.requantize_s8(relu, x)
            np.testing.assert_array_equal(once, np.clip(x, zero, hi))
            np.testing.assert_array_equal(kernels.requantize_s8(relu, once), once)


RECORDS = [r for r in kernel_cases.RESCALES.values() if r] + [
    Rescale(mult, left, right)
    for mult in (2**30, 2**30 + 1, 1518500249, 2**31 - 1)
    for left, right in [(n, 0) for n in range(31)] + [(0, n) for n in range(1, 32)]
]


@pytest.mark.parametrize("name", ["rescale_double", "rescale_single"])
def test_rescale_equals_oracle(name):
    rng = np.random.default_rng(kernel_cases.SEED)
    ends = np.array([0, 1, -1, 2**31 - 1, -(2**31 - 1), 2**30, -(2**30), 2**16, -(2**16)])
    powers = np.concatenate([s * 2 ** np.arange(31) + d for s in (1, -1) for d in (-1, 0, 1)])
    random = rng.integers(-(2**31) + 1, 2**31, 200) >> rng.integers(0, 31, 200)
    acc = np.clip(np.concatenate([ends, powers, random]), -(2**31) + 1, 2**31 - 1).astype(np.int32)
    for r in RECORDS:
        got, want = getattr(kernels, name)(acc, r), getattr(reference, name)(acc, r)
        bad = np.flatnonzero(got != want)
        assert bad.size == 0, f"{name} {r}: acc={acc[bad[0]]}: got {got[bad[0]]}, want {want[bad[0]]}"


@pytest.mark.parametrize("name", ["rescale_double", "rescale_single"])
@pytest.mark.parametrize("right", range(1, 12))
def test_rescale_at_every_tie(name, right):
    """mult = 2^30 halves exactly: every odd multiple of 2^right is a tie of the last rounding."""
    r = Rescale(2**30, 0, right)
    acc = np.concatenate([np.arange(-300, 301) * 2**right + d for d in (-1, 0, 1)]).astype(np.int32)
    np.testing.assert_array_equal(getattr(kernels, name)(acc, r), getattr(reference, name)(acc, r))


def example(kernel):
    case = next(c for c in kernel_cases.all_cases(kernel) if c.args[0].size > 8)
    return case.params, list(case.args)


@pytest.mark.parametrize("kernel", KERNELS)
def test_refuses_wrong_arguments_by_name(kernel):
    function, (p, args) = getattr(kernels, kernel), example(kernel)
    with pytest.raises(TypeError, match=rf"^{kernel}: params is of type tuple; expected {KERNELS[kernel].__name__}"):
        function((), *args)
    with pytest.raises(TypeError, match=rf"^{kernel}: x is of type list; expected a NumPy array of"):
        function(p, args[0].tolist(), *args[1:])
    with pytest.raises(TypeError, match=rf"^{kernel}: x is an array of float64; expected"):
        function(p, args[0].astype(np.float64), *args[1:])
    with pytest.raises(ValueError, match=rf"^{kernel}: x has shape \(1, 2, 3, 4\); expected \("):
        function(p, np.zeros((1, 2, 3, 4), args[0].dtype), *args[1:])
    strided = np.repeat(args[0], 2, axis=-1)[..., ::2]
    with pytest.raises(ValueError, match=rf"^{kernel}: x is not contiguous"):
        function(p, strided, *args[1:])
    result = function(p, *args)
    with pytest.raises(TypeError, match=rf"^{kernel}: out is an array of uint16"):
        function(p, *args, out=np.zeros(result.shape, np.uint16))
    result.flags.writeable = False
    with pytest.raises(ValueError, match=rf"^{kernel}: out is read-only"):
        function(p, *args, out=result)


@pytest.mark.parametrize("kernel", KERNELS)
def test_refuses_an_output_over_its_input(kernel):
    function, (p, args) = getattr(kernels, kernel), example(kernel)
    want = function(p, *args)
    memory = np.zeros(max(args[0].nbytes, want.nbytes) + 8, np.uint8)
    x = memory[4 : 4 + args[0].nbytes].view(args[0].dtype).reshape(args[0].shape)
    out = memory[: want.nbytes].view(want.dtype).reshape(want.shape)
    if not np.may_share_memory(x, out):
        out = memory[4 : 4 + want.nbytes].view(want.dtype).reshape(want.shape)
    with pytest.raises(ValueError, match=rf"^{kernel}: out overlaps x"):
        function(p, x, *args[1:], out=out)


def test_refuses_what_the_core_refuses():
    p, (x, w, bias) = example("dense_s8")
    bias = np.full_like(bias, 2**31 - 1)
    with pytest.raises(ValueError, match=r"^dense_s8: an accumulator could leave int32 with these weights$"):
        kernels.dense_s8(p, x, np.full_like(w, 127), bias)
    with pytest.raises(ValueError, match=r"^dense_s8: rescale.left is 31; expected 0 \.\.\. 30$"):
        kernels.dense_s8(type(p)(p.in_, p.out, 0, p.y, (Rescale(2**30, 31, 0),)), x, w, bias)
    with pytest.raises(ValueError, match=r"^dense_s8: a value is outside its documented range$"):
        kernels.dense_s8(type(p)(p.in_, p.out, 0, p.y, (Rescale(5, 0, 0),)), x, w, bias)
    with pytest.raises(ValueError, match=r"^dense_s8: rescale has 2 records; expected 1$"):
        kernels.dense_s8(type(p)(p.in_, p.out, 0, p.y, (Rescale(2**30, 0, 0),) * 2), x, w, bias)
    with pytest.raises(ValueError, match=r"^argmax_s8: rows is 0; expected 1 \.\.\. 4294967295$"):
        kernels.argmax_s8(ArgmaxParams(0, 1), np.zeros((0, 1), np.int8))
    with pytest.raises(TypeError, match=r"^argmax_s8: rows is of type float; expected an integer 1 \.\.\. 4294967295$"):
        kernels.argmax_s8(ArgmaxParams(1.0, 1), np.zeros((1, 1), np.int8))
