"""Compressed dense layers from model to chip: the same bytes, and the flash, RAM and cycles that were predicted."""

from itertools import pairwise

import numpy as np
import pytest
from dense_grids import model_of, some_inputs
from emitted import Emitted

from enginekit import toolchain
from enginekit.emit import emit
from enginekit.encode.choose import Optimize, candidates, encode
from enginekit.encode.compressed import compressed_layers
from enginekit.plan import plan
from enginekit.proofs import prove
from enginekit.sim import Chip


def blocks(rng, out, size, rows, share):
    """Weights of blocks of rows for a share of the inputs."""
    kept = rng.random((-(-out // rows), size)) < share
    return np.repeat(kept, rows, axis=0)[:out] * rng.normal(0, 30, (out, size)).clip(-127, 127)


#: Name -> encoding that it must be possible to choose, and the codes of weights that ask for it.
KINDS = {
    "4 bits": ("4 bits", lambda rng, *shape: rng.integers(-8, 8, shape)),
    "4 bits, in larger steps": ("4 bits", lambda rng, *shape: rng.integers(-7, 8, shape) * 9),
    "2 bits": ("2 bits", lambda rng, *shape: rng.choice([-2, -1, 0, 0, 1, 1], shape)),
    "ternary": ("2 bits", lambda rng, *shape: rng.integers(-1, 2, shape) * 127),
    "16 values": ("16 values", lambda rng, *shape: rng.choice(rng.integers(-99, 100, 16), shape)),
    "4 values": ("4 values", lambda rng, *shape: rng.choice([-50, -9, 13, 61], shape)),
    "blocks": ("sparse in rows of 8", lambda rng, *shape: blocks(rng, *shape, 8, 0.2)),
    "small blocks": ("sparse in rows of 4", lambda rng, *shape: blocks(rng, *shape, 4, 0.2)),
    "rare weights": ("sparse", lambda rng, *shape: blocks(rng, *shape, 1, 0.05)),
    "rare weights of few values": (
        "lists by value",
        lambda rng, *shape: (rng.random(shape) < 0.2) * rng.choice([-9, 3, 64], shape),
    ),
    "a third of the weights": ("bitmap", lambda rng, *shape: blocks(rng, *shape, 1, 0.33)),
}


def matrices(kind, *sizes):
    rng = np.random.default_rng(sizes[0])
    return [KINDS[kind][1](rng, out, size).astype(np.int8) for size, out in pairwise(sizes)]


def choices(kind, model, wanted=""):
    """Every encoding of the first layer of this kind; the other layers with the first that there is."""

    def only(number):
        def encoder(context):
            found = [each for each in compressed_layers(context) if KINDS[kind][0] in each.encoding and wanted in each.encoding]
            return found[number : number + 1] if context.index == 0 else found[:1]

        return encoder

    number = 0
    while True:
        try:
            yield encode(model, Optimize.SPEED, samples=some_inputs(model, 3), encoders=[only(number)])
        except (IndexError, ValueError):
            return
        number += 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zero", [-128, 5])
def test_the_same_bytes(kind, zero, tmp_path):
    model = model_of(matrices(kind, 61, 13, 5), zero=zero)
    inputs = some_inputs(model, 10)
    seen = set()
    for number, encoding in enumerate(choices(kind, model)):
        folder = tmp_path / str(number)
        folder.mkdir()
        net = Emitted(emit(model, name="net", optimize=encoding), "net", model, folder)
        for x in inputs:
            assert net.run(x)[0].tobytes() == model.run(x[None]).tobytes(), encoding.steps[0].candidate.encoding
        seen.add(encoding.steps[0].candidate.encoding)
    if "bits" in KINDS[kind][0] or "values" in KINDS[kind][0]:
        assert any("skipping zeros" in name for name in seen) == (zero == -128)
        assert any("skipping" not in name for name in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_as_predicted(kind, tmp_path):
    model = model_of(matrices(kind, 500, 18, 5))
    inputs = some_inputs(model, 3)
    for encoding in choices(kind, model):
        what = encoding.steps[0].candidate.encoding
        costs = plan(model, encoding)
        image = toolchain.build_firmware(emit(model, optimize=encoding), tmp_path)
        assert image.model_data == costs.flash + 2 * costs.golden, what
        assert image.flash == pytest.approx(costs.firmware, rel=0.01), what
        assert image.ram == costs.ram, what
        chip = Chip.from_elf(image.elf)
        chip.run(until="link_init")
        arena, _ = chip.symbol("arena")
        cycles = []
        for x in inputs:
            chip.write(arena + model.program.input_offsets[0], x.tobytes())
            cycles.append(chip.call("model_run", arena).cycles)
            want = model.run(x[None])
            assert chip.read(arena + model.program.output_offsets[0], want.nbytes) == want.tobytes(), what
        assert np.mean(cycles) == pytest.approx(sum(step.mean for step in encoding.steps), rel=0.03), what
        assert max(cycles) <= sum(step.worst for step in encoding.steps) + 200, what


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_finds_them(kind):
    model = model_of(matrices(kind, 784, 32, 10))
    slower = "values" in KINDS[kind][0]  # than rows of whole codes
    for optimize in [Optimize.SIZE] if slower else Optimize:
        chosen = encode(model, optimize, samples=some_inputs(model, 5)).steps[0].candidate
        assert KINDS[kind][0] in chosen.encoding, optimize


def test_weights_that_fit_nothing_have_no_such_encoding():
    model = model_of([np.random.default_rng(0).integers(-127, 128, (8, 40)).astype(np.int8)])
    assert next(choices("4 bits", model), None) is None


def test_a_layer_of_more_weights_than_one_array_holds_is_split(tmp_path):
    model = model_of(matrices("4 bits", 784, 90, 3))
    encoding = encode(model, Optimize.SPEED)
    assert [len(part.w) for part in encoding.steps[0].candidate.parts] == [10, 2]
    net = Emitted(emit(model, name="net", optimize=encoding), "net", model, tmp_path)
    for x in some_inputs(model, 5):
        assert net.run(x)[0].tobytes() == model.run(x[None]).tobytes()


# ---------------------------------------------------------------- weights as instructions


def as_instructions(context):
    return [each for each in compressed_layers(context) if each.encoding == "weights as instructions"]


#: First layer: inputs, outputs, weights, zero point. Rows of three bytes and of two, blocks of rows, inputs passed by, ends.
SMALL = {
    "three bytes": (4, 8, lambda rng, *shape: rng.integers(-127, 128, shape), -128),
    "two bytes": (3, 7, lambda rng, *shape: rng.integers(-40, 40, shape), -128),
    "two blocks": (9, 17, lambda rng, *shape: rng.integers(-127, 128, shape), 3),
    "zeros": (150, 9, lambda rng, *shape: blocks(rng, *shape, 9, 0.1), -128),
    "ends": (6, 5, lambda rng, *shape: rng.choice([-128, -1, 0, 1, 127], shape), 0),
    "one": (1, 1, lambda rng, *shape: np.full(shape, -1), 127),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_layers_as_instructions(name, tmp_path):
    size, out, values, zero = SMALL[name]
    rng = np.random.default_rng(size)
    w = values(rng, out, size).astype(np.int8)
    model = model_of([w, rng.integers(-9, 10, (2, out)).astype(np.int8)], zero=zero)
    inputs = some_inputs(model, 6)
    encoding = encode(model, Optimize.SPEED, samples=inputs, encoders=[as_instructions])
    costs = plan(model, encoding)
    files = emit(model, name="net", optimize=encoding)
    net = Emitted(files, "net", model, tmp_path)
    image = toolchain.build_firmware(emit(model, optimize=encoding), tmp_path / "chip")
    assert image.flash == pytest.approx(costs.firmware, rel=0.01)
    chip = Chip.from_elf(image.elf)
    chip.run(until="link_init")
    arena, _ = chip.symbol("arena")
    chip.clear_stack_peak()
    cycles = []
    for x in inputs:
        want = model.run(x[None])
        assert net.run(x)[0].tobytes() == want.tobytes()
        chip.write(arena + model.program.input_offsets[0], x.tobytes())
        cycles.append(chip.call("model_run", arena).cycles)
        assert chip.read(arena + model.program.output_offsets[0], want.nbytes) == want.tobytes()
    assert np.mean(cycles) == pytest.approx(sum(step.mean for step in encoding.steps), rel=0.03)
    assert chip.stack_peak <= encoding.stack + 40


def test_the_smallest_networks_take_no_kernel_for_sums():
    rng = np.random.default_rng(0)
    model = model_of([rng.integers(-99, 99, shape).astype(np.int8) for shape in ((3, 2), (1, 3))])
    for optimize in Optimize:
        assert {step.candidate.encoding for step in encode(model, optimize, encoders=[compressed_layers]).steps} == {
            "weights as instructions"
        }
    large = model_of([rng.integers(1, 99, (3, 70)).astype(np.int8)])
    found = [each.encoding for each in candidates(large, prove(large), 0)]
    assert "sparse" in found
    assert "weights as instructions" not in found
