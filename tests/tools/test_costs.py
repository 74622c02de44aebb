"""Costs known before compiling: the tables against what is compiled and linked, the bound of the stack against what is used."""

import subprocess
from inspect import isabstract
from itertools import pairwise

import numpy as np
import pytest
from avr_costs import table_at_hand
from compilers import ROOT
from dense_grids import model_of
from random_graphs import CHAINS, Chain

from engine import training
from engine.errors import EngineError
from engine.graph import Activation
from engine.model import Model
from enginekit import costs, onchip, toolchain
from enginekit.costs.calls import FRAME_CODE
from enginekit.costs.measure import measure, measure_trainers, table_name
from enginekit.costs.stack import Program, UnboundedStackError
from enginekit.costs.table import TRAINER
from enginekit.emit import emit
from enginekit.encode.bitmap import DenseBitmap
from enginekit.encode.bits import DenseBits
from enginekit.encode.book import DenseBook
from enginekit.encode.candidate import Candidate
from enginekit.encode.choose import ENCODERS, Optimize, encode
from enginekit.encode.conv import Conv3x3Pool2
from enginekit.encode.conv_code import Conv3x3Code
from enginekit.encode.dense_calls import DenseCalls
from enginekit.encode.dense_code import DenseCode
from enginekit.encode.dense_layer import DenseLayer
from enginekit.encode.dense_pairs import DensePairs
from enginekit.encode.depthwise import DepthwisePlanes
from enginekit.encode.footprint import fixed_flash
from enginekit.encode.im2col import Im2col
from enginekit.encode.lists import DenseLists
from enginekit.encode.moved import DenseMoved
from enginekit.encode.plain import Plain
from enginekit.encode.sparse import DenseSparse
from enginekit.encode.strips import Strips
from enginekit.encode.sums import DenseSums, SummedLayer
from enginekit.plan import plan
from enginekit.quantize import quantize

#: Of every kind of kernel that trains, so that a table of trainers that has become old is noticed in seconds.
TRAINING = (
    *(
        "eng_dense_int",
        "eng_dense_int_step",
        "eng_sgd_int",
        "eng_errors_int",
        "eng_softmax_cross_entropy_int",
        "eng_patches_int",
    ),
    *("eng_dense_f32", "eng_sigmoid_f32", "eng_softmax_f32", "eng_mse_f32", "eng_adam_f32", "eng_nadam_f32", "eng_log_f32"),
)


@pytest.mark.xdist_group("costs")
@pytest.mark.parametrize("prefix", ["", TRAINER])
def test_the_table_is_what_is_linked(prefix, tmp_path):
    name = prefix + table_name(toolchain.find().version)
    if name not in costs.table.available(prefix=prefix):
        pytest.skip(f"no table for {name}")
    table, measured = costs.load(name), measure_trainers(tmp_path, only=TRAINING) if prefix else measure(tmp_path)
    for function, linked in measured["functions"].items():
        want = {section: measured["sections"][section] for section in linked["sections"]}
        known = table.functions.get(function)
        got = {section: table.sections[section] for section in known.sections} if known else None
        hint = f"{function} has changed: run `python -m enginekit.costs.measure`"
        assert got == want, hint
        assert known.stack == linked["stack"], hint
        assert table.cycles.get(function) == measured["cycles"].get(function), hint
    base = {"flash": table.flash, "ram": table.ram, "stack": table.stack, "stack_to_model": table.stack_to_model}
    base["selftest"] = table.selftest
    assert measured["base"] == base, "the firmware has changed: run `python -m enginekit.costs.measure`"


def test_code_is_paid_once():
    table = costs.load()
    one, both = table.code(["eng_conv2d_s8"]), table.code(["eng_conv2d_s8", "eng_conv2d_s8"])
    assert one == both > 0
    assert table.code(["eng_conv2d_s8", "eng_depthwise_conv2d_s8"]) < one + table.code(["eng_depthwise_conv2d_s8"])
    assert table.code(["eng_nothing"]) == 0
    assert table.unknown(["eng_nothing", "eng_conv2d_s8"]) == ["eng_nothing"]


def test_a_table_that_is_not_there():
    with pytest.raises(
        EngineError, match=r"no table of costs for 'avr-gcc-1.0' and ATmega4809; there are avr-gcc-14.2, avr-gcc-5.4"
    ):
        costs.load("avr-gcc-1.0")


GRAPHS = {
    **{name: graph for name, graph in CHAINS.items() if name != "split"},  # which does not fit the chip
    "dense": lambda: Chain((100,), zero=-128).dense(12, Activation.RELU).dense(10).softmax().graph(),
}
#: Kernels whose cycles are the same for every input, but for signs and clamps: within 1 % of the prediction; the others 3 %.
STEADY = {"dense_s8", "conv2d_s8", "depthwise_conv2d_s8", "add_s8", "sub_s8", "mul_s8", "copy_s8", "mean_s8", "requantize_s8"}


def inputs(model, count):
    shape, rng = (count, *model.input.shape[1:]), np.random.default_rng(0)
    if model.input.dtype == np.float32:
        return rng.uniform(-3, 3, shape).astype(np.float32)
    return rng.integers(-128, 128, shape).astype(model.input.dtype)  # of uint8, the same bits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the core is built once for all models."""
    return tmp_path_factory.mktemp("firmware")


@pytest.mark.parametrize("optimize", [Optimize.SIZE, Optimize.SPEED])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_firmware_costs_what_was_planned(name, optimize, folder):
    model = Model(GRAPHS[name]())
    x = inputs(model, 4)
    held_against_the_chip(model, encode(model, optimize, samples=x, table=table_at_hand()), x, folder)


def held_against_the_chip(model, encoding, x, folder):
    """Build and run; flash, RAM, stack and cycles are what was planned."""
    planned = plan(model, encoding)
    run = onchip.run_on_chip(onchip.build(model, folder, optimize=encoding), x)
    assert planned.firmware == pytest.approx(run.flash, rel=0.01)
    assert planned.ram == run.ram
    bound = Program(folder / "firmware.elf").bound
    assert run.stack <= bound, f"{run.stack} bytes were used, {bound} proven"
    assert run.stack <= planned.stack, f"{run.stack} bytes of stack were used, {planned.stack} planned"
    assert bound <= run.stack + 40, f"a bound of {bound} says little about {run.stack}"
    for step, cycles in zip(planned.steps, run.layer_cycles, strict=True):
        steady = step.kernel in STEADY and step.encoding == "plain"
        assert step.mean_cycles == pytest.approx(cycles, rel=0.01 if steady else 0.03, abs=8), step
    assert planned.mean_ms * 20_000 == pytest.approx(run.cycles.mean(), rel=0.01)
    assert run.cycles.max() <= planned.worst_ms * 20_000


def test_the_smallest_dense_network_with_argmax_takes_at_most_600_bytes_of_code(folder):
    model = Model(Chain((784,), zero=-128).dense(8, Activation.RELU, zero=-128).dense(10).argmax().graph())
    x, table = inputs(model, 3), table_at_hand()
    encoding = encode(model, Optimize.SIZE, samples=x, table=table)
    image = toolchain.build_firmware(emit(model, golden=[], optimize=encoding), folder)
    code = image.flash - (fixed_flash(model, table, golden=0) - FRAME_CODE) - plan(model, encoding).flash
    assert code <= 600, f"{code} bytes of code beyond weights and link"
    run = onchip.run_on_chip(onchip.build(model, folder, optimize=encoding), x)
    assert run.cycles.max() < 4.5 * 20_000


def random_layers(values, *sizes):
    """Dense layers of weights from ``values(rng, out, in)``."""
    rng = np.random.default_rng(sizes[0])
    return model_of([values(rng, out, size).astype(np.int8) for size, out in pairwise(sizes)])


def any_weights(rng, *shape):
    return rng.integers(-127, 128, shape)


def in_blocks(rng, out, size):
    return np.repeat(rng.random((out // 8, size)) < 0.2, 8, axis=0) * rng.integers(-99, 100, (out, size))


def pooled():
    layers = [training.Conv2D(4, 3, activation="relu"), training.MaxPool2D(2)]
    x = np.random.default_rng(0).random((20, 14, 14, 1)).astype(np.float32)
    return quantize(training.Sequential((14, 14, 1), layers, seed=1).network(), x, small_sums=True)


def moved():
    chain = Chain((14, 14, 1), zero=-128).conv(4, 3, activation=Activation.RELU).pool("max_pool2d", 2)
    return Model(chain.flatten().dense(10).graph())


#: Every class of candidates, and of sums in a SummedLayer: a network of which some layer can be emitted as one.
KINDS = {
    Plain: lambda: Model(CHAINS["dense"]()),
    DensePairs: lambda: random_layers(any_weights, 100, 12, 10),
    DenseLayer: lambda: random_layers(any_weights, 100, 12, 10),
    DenseCalls: lambda: random_layers(any_weights, 100, 12, 10),
    DenseCode: lambda: random_layers(any_weights, 12, 8, 3),
    DenseMoved: moved,
    DenseBits: lambda: random_layers(lambda rng, *shape: rng.integers(-8, 8, shape), 100, 16, 10),
    DenseBook: lambda: random_layers(lambda rng, *shape: rng.choice(rng.integers(-99, 100, 16), shape), 100, 16, 10),
    DenseSparse: lambda: random_layers(in_blocks, 100, 16, 8),
    DenseBitmap: lambda: random_layers(lambda rng, *shape: (rng.random(shape) < 0.3) * any_weights(rng, *shape), 100, 16, 10),
    DenseLists: lambda: random_layers(lambda rng, *shape: (rng.random(shape) < 0.2) * rng.choice([-9, 3], shape), 100, 16, 10),
    Conv3x3Pool2: pooled,
    Conv3x3Code: pooled,
    Im2col: lambda: Model(CHAINS["conv"]()),
    DepthwisePlanes: lambda: Model(CHAINS["depthwise"]()),
}


def kind_of(candidate):
    return type(candidate.parts[0] if isinstance(candidate, SummedLayer) else candidate)


def concrete(base):
    """Classes of the package below `base` that are not abstract."""
    for each in base.__subclasses__():
        yield from concrete(each)
        if each.__module__.startswith("enginekit.") and not isabstract(each):
            yield each


def test_no_encoding_is_without_a_prediction_held_against_the_chip():
    # Strips hold encodings of theirs, and chains of them are held against the chip in tests/core/avr/test_memory.py.
    assert set(KINDS) == {*concrete(Candidate), *concrete(DenseSums)} - {SummedLayer, Strips}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_encoding_costs_what_was_planned(kind, folder):
    def encoder(context):
        found = [each for encoder in ENCODERS for each in encoder(context)]
        return [each for each in found if kind_of(each) is kind][:1] or found[:1]

    model = KINDS[kind]()
    x = inputs(model, 4)
    encoding = encode(model, Optimize.SPEED, samples=x, encoders=[encoder], table=table_at_hand())
    assert any(kind_of(placed.candidate) is kind for placed in encoding.steps)
    held_against_the_chip(model, encoding, x, folder)


def test_recursion_has_no_bound(tmp_path):
    elf = program(
        tmp_path, "int f(int n); int f(int n) { return n ? f(n - 1) * n + f(n / 3) : 1; } int main(void) { return f(3); }"
    )
    with pytest.raises(UnboundedStackError, match=r"main -> f -> f: recursion has no bound"):
        _ = Program(elf).bound


def test_frames_and_pointers_are_followed(tmp_path):
    elf = program(
        tmp_path,
        "__attribute__((noinline)) void big(volatile char *p) { volatile char room[300]; room[0] = *p; *p = room[0]; }"
        "void (*volatile hidden)(volatile char *); volatile char c; int main(void) { big(&c); return 0; }",
    )
    assert 302 <= Program(elf).bound <= 320
    elf = program(tmp_path, "void (*volatile hidden)(void); int main(void) { hidden(); return 0; }")
    with pytest.raises(UnboundedStackError, match="main calls through a pointer, and nothing says what that points to"):
        _ = Program(elf).bound


def program(folder, text):
    (folder / "p.c").write_text(text)
    found = toolchain.find()
    device = ["-mmcu=atmega4809"] if found.device == "atmega4809" else ["-mmcu=avrxmega3", "-nostartfiles"]
    startup = [] if found.device == "atmega4809" else [ROOT / "firmware/startup.S", "-Wl,--defsym=__RODATA_PM_OFFSET__=0x4000"]
    command = [found.gcc, *device, "-O1", "-fno-optimize-sibling-calls", folder / "p.c", *startup, "-o", folder / "p.elf"]
    subprocess.run([str(part) for part in command], check=True)
    return folder / "p.elf"
