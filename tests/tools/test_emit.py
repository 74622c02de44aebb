"""Emitted C: the same bytes as the host's Session, layer by layer; text that is deterministic and names that are safe."""

import re

import compilers
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from emitted import Emitted
from random_graphs import CHAINS, Chain

from engine.errors import EngineError, UnsupportedError
from engine.graph import Activation, Graph
from engine.model import Model
from enginekit.c_text import array, c_string, check_identifier, comment
from enginekit.emit import emit
from enginekit.emit.golden import default_golden
from enginekit.encode import Conv3x3Pool2
from enginekit.encode.choose import ENCODERS, Optimize, encode
from enginekit.encode.plain import plain
from enginekit.plan import plan
from enginekit.records import split

OK, SELFTEST = 0, 9


def inputs(model, count, seed=7):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (count, *model.input.shape[1:]))
    return (codes / 40 if model.input.dtype == np.float32 else codes).astype(model.input.dtype)  # of uint8, the same bits


@pytest.mark.parametrize("name", CHAINS)
def test_same_bytes_as_the_session_layer_by_layer(name, tmp_path):
    model = Model(CHAINS[name]())
    own = encode(model, Optimize.SIZE, encoders=[plain])
    net = Emitted(emit(model, name="net", optimize=own), "net", model, tmp_path)
    calls = [part for step in model.program.steps for part in [step] * len(split(step))]
    whole = {step.y: step for step in model.program.steps}
    for x in inputs(model, 20):
        y, arenas = net.run(x)
        assert len(arenas) == len(calls)
        after = {id(step): arena for step, arena in zip(calls, arenas, strict=True)}
        for step, trace in zip(model.program.steps, model.trace(x[None]), strict=True):
            if whole[step.y] is not step:
                continue  # the first parts of a concatenation
            got = net.read(step.y_offset, trace.tensor, after[id(step)])
            assert got.tobytes() == trace.array.tobytes(), f"{name}: step {step.name} differs first"
        assert y.tobytes() == model.run(x[None]).tobytes()
    assert net.selftest() == OK


def test_a_dense_layer_with_too_many_weights_for_one_array_is_split():
    model = Model(CHAINS["split"]())
    text = emit(model, optimize=encode(model, Optimize.SIZE, encoders=[plain]))["model.c"]
    sizes = [int(size) for size in re.findall(r"int8_t ENG_FLASH model_dense_0_w\d\[(\d+)\]", text)]
    assert sizes == [41 * 784, 41 * 784, 8 * 784]
    assert len(re.findall(r"^    eng_dense_s8\(", text, re.MULTILINE)) == 4


def encoded_if_possible(context):
    """Whatever is not plain, if there is something."""
    return [found for encoder in ENCODERS if encoder is not plain for found in encoder(context)] or plain(context)


@pytest.mark.parametrize("name", CHAINS)
def test_encoded_weights_give_the_same_bytes(name, tmp_path):
    model = Model(CHAINS[name]())
    encoding = encode(model, Optimize.SPEED, encoders=[encoded_if_possible])
    assert set(encoding.encoded) >= {i for i, step in enumerate(model.program.steps) if step.kernel == "dense_s8"}
    net = Emitted(emit(model, name="net", optimize=encoding), "net", model, tmp_path)
    for x in inputs(model, 20):
        rare = np.where(np.random.default_rng(1).random(x.shape) < 0.9, model.input.zero_point, x).astype(x.dtype)
        for codes in (x, rare):
            assert net.run(codes)[0].tobytes() == model.run(codes[None]).tobytes()
    assert net.selftest() == OK


def test_a_convolution_of_one_channel_takes_the_kernel_for_it(tmp_path):
    digits = Chain((12, 14, 1)).conv(4, 3, activation=Activation.RELU, zero=-128)
    model = Model(digits.pool("max_pool2d", 2).flatten().dense(10).graph())
    assert isinstance(encode(model, Optimize.SPEED).encoded[0], Conv3x3Pool2)
    files = emit(model, name="net", optimize=Optimize.SPEED)
    assert "    eng_conv3x3_pool2_s8(" in files["net.c"]
    net = Emitted(files, "net", model, tmp_path)
    for x in inputs(model, 20):
        half = np.where(np.arange(12)[:, None, None] < 6, model.input.zero_point, x).astype(np.int8)
        for codes in (x, half):
            assert net.run(codes)[0].tobytes() == model.run(codes[None]).tobytes()


def test_sums_beyond_24_bits_are_cut_in_two(tmp_path):
    model = Model(Chain((1200,), seed=3).dense(7, Activation.RELU).dense(5).graph())
    encoding = encode(model, Optimize.SPEED)
    assert [len(layer.segments) for layer in encoding.encoded.values()] == [2, 1]
    net = Emitted(emit(model, name="net", optimize=Optimize.SPEED), "net", model, tmp_path)
    w = model.program.steps[0].w.reshape(7, 1200)
    extremes = [np.where(row > 0, high, -1 - high).astype(np.int8) for row in w for high in (127, -128)]
    for x in [*inputs(model, 5), *extremes]:
        assert net.run(x)[0].tobytes() == model.run(x[None]).tobytes()


@pytest.mark.parametrize("optimize", Optimize)
@pytest.mark.parametrize("name", CHAINS)
def test_compiles_for_the_chip_and_weighs_what_the_plan_says(name, optimize, tmp_path):
    model = Model(CHAINS[name]())
    for file, text in emit(model, optimize=optimize).items():
        (tmp_path / file).write_text(text)
    unit = tmp_path / "model.o"
    compilers.run([*compilers.avr(), "-Os", "-fdata-sections", "-ffunction-sections", "-c", tmp_path / "model.c", "-o", unit])
    with unit.open("rb") as file:
        sections = {section.name: section["sh_size"] for section in ELFFile(file).iter_sections()}
    data = {section: size for section, size in sections.items() if section.startswith((".rodata", ".text.eng_code"))}
    golden = sum(size for section, size in data.items() if "golden" in section)
    assert sum(data.values()) - golden == plan(model, optimize).flash, data
    assert golden == 2 * plan(model).golden
    assert sum(size for section, size in sections.items() if section.startswith((".data", ".bss"))) == 0


def test_header_is_fine_in_cpp(tmp_path):
    (tmp_path / "net.h").write_text(emit(Model(CHAINS["digits"]()), name="net")["net.h"])
    (tmp_path / "use.cpp").write_text('#include "net.h"\nint shape[NET_X_RANK] = NET_X_SHAPE;\nconst char *name = NET_NAME;\n')
    compilers.run(["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", *compilers.INCLUDE, "-c", "use.cpp"], cwd=tmp_path)


@pytest.mark.parametrize("name", ["dense", "conv_pool", "float_edges", "relu"])
def test_the_header_says_what_the_model_is(name, tmp_path):
    model = Model(CHAINS[name]())
    files = emit(model, name="net")
    net = Emitted(files, "net", model, tmp_path)
    numbers = {
        "ARENA": encode(model, Optimize.SIZE).arena,
        "X_OFFSET": model.program.input_offsets[0],
        "Y_OFFSET": model.program.output_offsets[0],
    }
    for prefix, tensor in (("X", model.input), ("Y", model.output)):
        shape = tensor.shape[1:] or (1,)
        numbers[f"{prefix}_SIZE"] = int(np.prod(shape)) * tensor.dtype.itemsize
        numbers[f"{prefix}_RANK"] = len(shape)
        assert net.macro(files, f"{prefix}_SHAPE") == "{" + ", ".join(map(str, shape)) + "}"
        assert net.macro(files, f"{prefix}_DTYPE") == f'"{tensor.dtype}"'
        scale, zero = (1, 0) if tensor.scale is None else (tensor.scale[0], tensor.zero_point)
        assert np.float32(net.macro(files, f"{prefix}_SCALE").rstrip("f")) == np.float32(scale)
        assert net.macro(files, f"{prefix}_ZERO") == f"({zero})"
    for suffix, value in numbers.items():
        assert int(net.macro(files, suffix).rstrip("u")) == value, suffix
    hash_bytes = bytes(int(byte, 16) for byte in re.findall(r"0x\w\w", net.macro(files, "HASH")))
    assert hash_bytes == model.digest[:8]


def test_names_in_files_cannot_break_the_c(tmp_path):
    model = Model(CHAINS["digits"]())
    files = emit(model, name="net")
    assert '#define NET_NAME "a \\"digit\\"\\\\ reader */"' in files["net.h"]
    Emitted(files, "net", model, tmp_path)


def test_the_same_text_every_time():
    assert emit(Model(CHAINS["conv"]())) == emit(Model(CHAINS["conv"]()))
    assert not re.search(r"\d\d:\d\d|/home|/tmp|/work|20\d\d-", emit(Model(CHAINS["conv"]()))["model.c"])


@pytest.mark.parametrize("which", ["w", "bias"])
def test_the_selftest_notices_a_changed_constant(which, tmp_path):
    model = Model(CHAINS["dense"]())
    files = emit(model, optimize=encode(model, Optimize.SIZE, encoders=[plain]))
    wrong = re.sub(rf"(model_dense_1_{which}\[\d+\] = {{\s+)(-?\d+)", lambda m: f"{m[1]}{-int(m[2])}", files["model.c"])
    assert wrong != files["model.c"]
    assert Emitted(files | {"model.c": wrong}, "model", model, tmp_path).selftest() == SELFTEST


def test_given_golden_inputs(tmp_path):
    model = Model(CHAINS["dense"]())
    x = inputs(model, 3)
    files = emit(model, golden=list(x))
    assert "golden=3 given" in files["model.c"]
    text = re.search(r"model_golden_x2\[13\] = {([^}]*)}", files["model.c"])[1]
    assert [int(code) for code in text.split(",")] == x[2].tolist()
    assert Emitted(files, "model", model, tmp_path).selftest() == OK


def test_without_golden_inputs(tmp_path):
    model = Model(CHAINS["dense"]())
    files = emit(model, golden=[])
    assert "golden_x" not in files["model.c"]
    assert Emitted(files, "model", model, tmp_path).selftest() == OK


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        (np.zeros(13, np.float32), "golden input 1 is float32; the model takes int8"),
        (np.zeros(12, np.int8), "golden input 1 has shape [12]; the model takes [1, 13]"),
    ],
)
def test_golden_inputs_must_fit(golden, message):
    model = Model(CHAINS["dense"]())
    with pytest.raises(EngineError, match=re.escape(message)):
        emit(model, golden=[*default_golden(model)[:1], golden])


def test_golden_inputs_must_be_finite():
    model = Model(CHAINS["float_edges"]())
    with pytest.raises(EngineError, match="golden input 0 has NaN or infinite values"):
        emit(model, golden=[np.full((6, 5, 1), np.nan, np.float32)])


@pytest.mark.parametrize("name", ["", "2net", "a-b", "net ", "int", "class", "eng", "ENG_net", "_net", "n" * 32, "né"])
def test_names_that_are_no_prefix_are_refused(name):
    with pytest.raises(EngineError, match="name "):
        check_identifier(name)
    with pytest.raises(EngineError):
        emit(Model(CHAINS["dense"]()), name=name)


def test_arrays_that_cannot_be_split_are_refused():
    graph = Chain((4, 4, 64)).conv(60, 3).graph()
    with pytest.raises(UnsupportedError, match=r"layer 'conv2d_0' \(conv2d_s8\): array model_conv2d_0_w has 34560 bytes"):
        emit(Model(graph))


def test_several_outputs_are_refused():
    graph = Chain((4,)).dense(3).dense(2).graph()
    both = Graph(graph.name, graph.tensors, graph.layers, graph.inputs, (graph.layers[0].outputs[0], graph.outputs[0]))
    with pytest.raises(UnsupportedError, match="1 inputs and 2 outputs"):
        emit(Model(both))


def test_formatting():
    assert array("static const int8_t a", ["1"] * 100).count("\n") == 3
    assert all(len(line) <= 120 for line in array("static const int8_t a", ["-128"] * 999).splitlines())
    assert c_string("a??/b\n") == '"a?\\?/b?"'
    assert comment("x */ /* y") == "x *?/ /?* y"
