"""Accumulators: the inputs that are said to reach a bound reach it, none goes beyond, and host and chip still agree there."""

import numpy as np
import pytest
import reference
from random_graphs import CHAINS, Chain

from engine.errors import DoesNotFitError
from engine.graph import Activation, Padding
from engine.model import Model
from enginekit import sim, toolchain
from enginekit.emit import emit
from enginekit.encode.choose import Limits, Optimize, encode
from enginekit.plan import plan
from enginekit.proofs import prove

#: One layer of each kind that sums, alone, so that its input can be chosen.
LAYERS = {
    "dense": lambda: Chain((37,)).dense(9).graph(),
    "dense_relu": lambda: Chain((150,), zero=-128).dense(20, Activation.RELU).graph(),
    "conv": lambda: Chain((7, 6, 3), zero=-20).conv(5, 3).graph(),
    "conv_same": lambda: Chain((6, 7, 2), zero=40).conv(4, 3, 2, padding=Padding.SAME).graph(),
    "conv_dilated": lambda: Chain((9, 9, 1)).conv(3, 3, dilation=2, padding=Padding.SAME).graph(),
    "conv_never_zero": lambda: Chain((5, 5, 2), zero=-128).conv(3, 3, padding=Padding.SAME).graph(),
    "conv_pool": lambda: Chain((8, 8, 1), zero=-128).conv(4, 3, activation=Activation.RELU).pool("max_pool2d", 2).graph(),
    "pointwise": lambda: Chain((4, 3, 7)).conv(6, 1).graph(),
    "depthwise": lambda: Chain((6, 5, 4), zero=11).depthwise(3).graph(),
    "average_pool": lambda: Chain((6, 6, 3)).pool("average_pool2d", 3, 2, Padding.SAME).graph(),
    "mean": lambda: Chain((5, 4, 3), zero=-7).mean().graph(),
    "softmax": lambda: Chain((23,), scale=0.1).softmax().graph(),
}


def doubled(op):
    chain = Chain((4, 5), zero=-9)
    return chain.join(op, chain.last).graph()


LAYERS |= {op: lambda op=op: doubled(op) for op in ("add", "sub", "mul")}


def accumulators(step, x):
    """What a step adds up, in int64, by definition."""
    p, codes = step.params, x.astype(np.int64)
    if step.kernel == "dense_s8":
        return step.w.reshape(p.out, -1).astype(np.int64) @ codes + step.bias
    if step.kernel in ("conv2d_s8", "conv2d_max_pool2d_s8"):
        conv = getattr(p, "conv", p)
        w = conv.window
        return reference.conv2d_acc(conv, x.reshape(w.in_h, w.in_w, conv.in_c), step.w, step.bias)
    if step.kernel == "depthwise_conv2d_s8":
        w = p.window
        image = codes.reshape(w.in_h, w.in_w, p.in_c)
        taps = step.w.reshape(w.kernel_h, w.kernel_w, p.out_c).astype(np.int64)
        sums = np.zeros((w.out_h, w.out_w, p.out_c), np.int64) + step.bias
        for row, column in np.ndindex(w.out_h, w.out_w):
            for i, j, at, left in reference.taps(w, row, column):
                sums[row, column] += taps[i, j] * (image[at, left] - p.zero_x)
        return sums
    if step.kernel == "average_pool2d_s8":
        w = p.window
        image = codes.reshape(w.in_h, w.in_w, p.channels)
        each = [sum(image[at, left] for _, _, at, left in reference.taps(w, *place)) for place in np.ndindex(w.out_h, w.out_w)]
        return np.array(each)
    if step.kernel == "mean_s8":
        return (codes.reshape(p.pixels, -1) - p.zero_x).sum(0)
    if step.kernel == "softmax_s8":
        table = reference.divide(np.array(p.table, np.int64), 12)
        return np.array([sum(table[d] if d < p.table_size else 0 for d in codes.max() - codes)])
    left, right = codes - p.zero_x, codes - p.zero_x2
    if step.kernel == "mul_s8":
        return left * right
    right = -right if step.kernel == "sub_s8" else right
    parts = (left << 20, p.rescale_x), (right << 20, p.rescale_x2)
    return sum(reference.rescale_double(value, rescale) for value, rescale in parts)


@pytest.mark.parametrize("name", LAYERS)
def test_adversaries_reach_the_bound_and_nothing_goes_beyond(name):
    model = Model(LAYERS[name]())
    (step,), (proof,) = model.program.steps, prove(model)
    rng = np.random.default_rng(1)
    for _ in range(60):
        x = rng.choice(np.array([-128, 127], np.int8), step.x_size) if rng.random() < 0.5 else codes(rng, step.x_size)
        sums = accumulators(step, x)
        assert proof.low <= sums.min() <= sums.max() <= proof.high, f"{name}: {sums.min()}...{sums.max()}"
    if name in ("add", "sub", "mul"):  # both inputs are one: a corner need not be reachable
        return
    (lowest, _), (highest, _) = proof.adversaries
    if name != "softmax":  # its least sum is one exponential, with the others out of the table
        assert accumulators(step, lowest).min() == proof.low
    assert accumulators(step, highest).max() == proof.high


@pytest.mark.parametrize("op", ["add", "sub", "mul"])
def test_pairs_reach_their_corners(op):
    chain = Chain((3,), zero=4, seed=2)
    first = chain.last
    model = Model(chain.relu().join(op, first).graph())
    step, proof = model.program.steps[-1], prove(model)[-1]
    p = step.params
    for (x, x2), want in zip(proof.adversaries, (proof.low, proof.high), strict=True):
        left, right = x.astype(np.int64) - p.zero_x, x2.astype(np.int64) - p.zero_x2
        if op == "mul":
            got = left * right
        else:
            right = -right if op == "sub" else right
            got = reference.rescale_double(left << 20, p.rescale_x) + reference.rescale_double(right << 20, p.rescale_x2)
        assert set(got.tolist()) == {want}


@pytest.mark.parametrize("optimize", [Optimize.SIZE, Optimize.SPEED])
@pytest.mark.parametrize("name", LAYERS)
def test_host_and_chip_agree_at_the_bound(name, optimize, tmp_path):
    model = Model(LAYERS[name]())
    encoding = encode(model, optimize)
    image = toolchain.build_firmware(emit(model, golden=[], optimize=encoding), tmp_path)
    chip = sim.Chip.from_elf(image.elf)
    chip.run(until="link_init")
    arena, _ = chip.symbol("arena")
    (proof,) = prove(model)
    for x, _ in proof.adversaries:
        want = model.run(x.reshape(1, *model.input.shape[1:]))
        chip.write(arena + encoding.program.input_offsets[0], x.tobytes())
        chip.call("model_run", arena)
        got = chip.read(arena + encoding.program.output_offsets[0], want.nbytes)
        assert got == want.tobytes(), f"{name} ({optimize.value}) at its bound: got {list(got)}, want {want.ravel().tolist()}"


@pytest.mark.parametrize("name", CHAINS)
def test_codes_of_whole_models_stay_in_their_intervals(name):
    model = Model(CHAINS[name]())
    if model.input.dtype != np.int8:
        return
    rng = np.random.default_rng(3)
    x = np.stack(
        [codes(rng, model.input.shape[1:]) for _ in range(20)] + [np.full(model.input.shape[1:], c) for c in (-128, 127)]
    )
    proofs = prove(model)
    for proof, trace in zip(proofs, model.trace(x.astype(np.int8)), strict=True):
        if trace.array.dtype == np.int8 and proof.kernel != "copy_s8":  # a copy writes only a part of its tensor
            assert proof.y_range[0] <= trace.array.min() <= trace.array.max() <= proof.y_range[1], proof.name
    for wide, narrow in zip(proofs, prove(model, x[:3].astype(np.int8)), strict=True):
        assert wide.low <= narrow.low <= narrow.high <= wide.high
        assert wide.bits >= narrow.bits


def test_bits_can_be_demanded():
    model = Model(Chain((100,)).dense(8).dense(4).graph())
    wide, narrow = (step.acc_bits for step in plan(model).steps)
    assert encode(model, Optimize.SPEED, limits=Limits(acc_bits=max(wide, narrow)))
    message = (
        rf"accumulators of {wide - 1} bits do not hold: dense_0 needs {wide} \(its accumulator reaches -[\d,]+ to [\d,]+\)"
    )
    with pytest.raises(DoesNotFitError, match=message):
        encode(model, Optimize.SPEED, limits=Limits(acc_bits=wide - 1))


def codes(rng, shape):
    return rng.integers(-128, 128, shape).astype(np.int8)
