"""The .tflite reader and writer: round trips, what is read of real files, and what is refused by name."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import flatbuffers
import int8_graphs
import keras_int8
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from int8_graphs import Chain
from keras_int8 import LAYERS as K
from tensorflow.lite.python import schema_py_generated as schema
from tflite_builder import Judge

import engine
from engine import tflite
from engine.graph import OPERATORS, Graph, Tensor
from engine.tflite import schema as facts
from enginekit.datasets import shared_models

MODELS = shared_models()
GRAPHS = {
    "digits_like": int8_graphs.digits_like,
    "every_operator": int8_graphs.every_operator,
    "argmax": lambda: Chain((1, 17)).dense(9).argmax().graph(),
    "dense_only": lambda: Chain((1, 4)).dense(1, per_channel=False).graph(name="net ä"),
}


def assert_same_tensor(a: Tensor, b: Tensor):
    assert (a.name, a.shape, a.dtype, a.zero_point, a.axis) == (b.name, b.shape, b.dtype, b.zero_point, b.axis)
    assert (a.scale is None) == (b.scale is None)
    assert a.scale is None or (a.scale.dtype == b.scale.dtype and np.array_equal(a.scale, b.scale))
    assert (a.data is None) == (b.data is None)
    assert a.data is None or (a.data.dtype == b.data.dtype and np.array_equal(a.data, b.data))


def assert_same_graph(a: Graph, b: Graph):
    assert (a.name, a.layers, a.inputs, a.outputs) == (b.name, b.layers, b.inputs, b.outputs)
    assert len(a.tensors) == len(b.tensors)
    for one, other in zip(a.tensors, b.tensors, strict=True):
        assert_same_tensor(one, other)


def edited(graph: Graph, edit) -> bytes:
    """Write `graph`, change it through TensorFlow's object API, write again."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(tflite.write(graph), 0))
    edit(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("name", GRAPHS)
def test_reading_what_was_written_gives_an_equal_graph(name):
    graph = GRAPHS[name]()
    data = tflite.write(graph)
    assert_same_graph(tflite.read(data), graph)
    assert tflite.write(tflite.read(data)) == data


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_written_runs_in_tensorflow_lite_with_equal_bytes(name):
    graph = GRAPHS[name]()
    model = engine.Model(graph)
    rng = np.random.default_rng(4)
    shape = (20, *model.input.shape[1:])
    if model.input.dtype == np.float32:
        x = rng.normal(size=shape).astype(np.float32)
    else:
        x = rng.integers(-128, 128, shape).astype(np.int8)
    want = Judge(tflite.write(graph)).run(x)
    assert np.array_equal(model.run(x), want)


def test_what_is_written_runs_in_litert_with_equal_bytes():
    graph = int8_graphs.digits_like()
    model = engine.Model(graph)
    resolver = OpResolverType.BUILTIN_REF
    interpreter = Interpreter(model_content=model.to_bytes(), experimental_op_resolver_type=resolver)
    x = np.random.default_rng(5).integers(-128, 128, (16, 12, 12, 1)).astype(np.int8)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(source["index"], x.shape)  # the batch is written as free
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    assert np.array_equal(interpreter.get_tensor(target["index"]), model.run(x))
    assert interpreter.get_tensor_details()[source["index"]]["shape_signature"].tolist() == [-1, 12, 12, 1]


def test_tensorflow_reads_what_is_written():
    graph = replace(int8_graphs.every_operator(), name="net")
    data = tflite.write(graph)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    assert data[4:8] == b"TFL3"
    assert model.version == 3
    assert model.subgraphs[0].name == b"net"
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    written = {names[code.builtinCode]: code.version for code in model.operatorCodes}
    assert written["CONV_2D"] == 3
    assert written["SOFTMAX"] == 2
    versions = sorted(code.version for code in model.operatorCodes if names[code.builtinCode] == "FULLY_CONNECTED")
    assert versions == [4, 12]  # per tensor, per channel
    assert all(code.deprecatedBuiltinCode == code.builtinCode for code in model.operatorCodes)


def test_constants_are_aligned_for_reading_in_place():
    data = tflite.write(int8_graphs.every_operator())
    model = schema.Model.GetRootAsModel(data, 0)
    contents = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength()) if model.Buffers(i).DataLength()]
    base = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    assert len(contents) > 5
    assert all((c.__array_interface__["data"][0] - base) % 16 == 0 for c in contents)


@pytest.mark.parametrize("edges", ["int8", "float32"])
def test_every_constant_is_what_tensorflow_reads(edges):
    shape = (8, 8, 2)
    layers = [K.Conv2D(3, 3, activation="relu"), K.MaxPooling2D(2), K.Flatten(), K.Dense(5)]
    data = keras_int8.convert(keras_int8.sequential(shape, layers), keras_int8.normal_samples(shape), edges=edges)
    for content in (data, engine.load(data).to_bytes()):
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        details = {d["name"]: d for d in interpreter.get_tensor_details()}
        graph = tflite.read(content)
        constants = [t for t in graph.tensors if t.data is not None]
        assert len(constants) == 4
        for t in constants:
            detail = details[t.name]
            assert np.array_equal(interpreter.get_tensor(detail["index"]), t.data)
            assert np.array_equal(detail["quantization_parameters"]["scales"], t.scale)
            assert detail["quantization_parameters"]["quantized_dimension"] == t.axis


def test_what_is_written_runs_with_the_default_kernels():
    """LiteRT's default (XNNPACK) rounds differently by at most 1 an operator; here it must accept file and versions."""
    graph = Chain((1, 9, 9, 2)).conv2d(4, (3, 3), (7, 7)).reshape((1, 196)).dense(6).graph()
    model = engine.Model(graph)
    interpreter = Interpreter(model_content=model.to_bytes())
    interpreter.allocate_tensors()
    x = np.random.default_rng(8).integers(-128, 128, (1, 9, 9, 2)).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert np.abs(y.astype(int) - model.run(x)).max() <= 2


def test_tables_agree_with_tensorflows():
    codes = {name: value for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    assert dict(zip(facts.OPERATOR_NAMES, range(len(facts.OPERATOR_NAMES)), strict=True)) == codes
    types = {name.lower(): value for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    assert dict(zip(facts.TYPE_NAMES, range(len(facts.TYPE_NAMES)), strict=True)) == types
    assert set(facts.OPERATOR_OF_NAME.values()) == set(OPERATORS)
    for kind in facts.OptionsType:
        name = "NONE" if kind == facts.OptionsType.NONE else kind.name.title().replace("_", "") + "Options"
        assert getattr(schema.BuiltinOptions, name) == kind


def test_writing_is_deterministic():
    assert tflite.write(int8_graphs.digits_like()) == tflite.write(int8_graphs.digits_like())


def test_layer_names_survive_only_where_they_are_not_the_default():
    graph = int8_graphs.digits_like()
    assert b"engine.layer_names" not in tflite.write(graph)
    named = replace(graph, layers=tuple(replace(layer, name=f"schicht {i}é") for i, layer in enumerate(graph.layers)))
    data = tflite.write(named)
    assert b"engine.layer_names" in data
    assert_same_graph(tflite.read(data), named)


def test_weights_of_minus_128_are_exact():
    graph = Chain((1, 6)).dense(4).graph()
    w = graph.tensors[1].data.copy()
    w[:] = -128
    graph = replace(graph, tensors=(graph.tensors[0], replace(graph.tensors[1], data=w), *graph.tensors[2:]))
    model = engine.load(tflite.write(graph))
    assert np.array_equal(model.graph.tensors[1].data, w)
    x = np.full((1, 6), -128, np.int8)
    assert np.array_equal(model.run(x), Judge(tflite.write(graph)).run(x))


def test_other_subgraphs_signatures_and_metadata_are_tolerated():
    def edit(model):
        extra = schema.SubGraphT()
        extra.name, extra.tensors, extra.operators, extra.inputs, extra.outputs = "other", [], [], [], []
        model.subgraphs.append(extra)
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.inputs, signature.outputs = "serving_default", [], []
        model.signatureDefs = [signature]
        metadata = schema.MetadataT()
        metadata.name, metadata.buffer = "min_runtime_version", 0
        model.metadata = [metadata]

    graph = int8_graphs.digits_like()
    assert_same_graph(tflite.read(edited(graph, edit)), graph)


def test_buffers_behind_the_flatbuffer_are_read():
    graph = Chain((1, 6)).dense(4).graph()
    weights = graph.tensors[1].data.tobytes()

    def edit(model, start=0):
        model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, start or 1 << 40, len(weights)

    start = len(edited(graph, edit))
    data = edited(graph, lambda model: edit(model, start))
    assert len(data) == start
    assert_same_graph(tflite.read(data + weights), graph)
    with pytest.raises(engine.FormatError, match=r"buffers\[1\]: 24 bytes at \d+ lie outside the file"):
        tflite.read(data + weights[:-1])


@pytest.mark.skipif(MODELS is None, reason="the shared model files are not on this machine")
class TestSharedModels:
    def test_every_weight_of_anomaly_detection_survives_saving(self, tmp_path):
        model = engine.load(MODELS / "ad01_int8.tflite")
        model.save(tmp_path / "copy.tflite")
        assert_same_graph(engine.load(tmp_path / "copy.tflite").graph, model.graph)

    def test_keyword_spotting_survives_saving(self):
        model = engine.load(MODELS / "kws_ref_model.tflite")
        assert_same_graph(tflite.read(model.to_bytes()), model.graph)


class TestRefusals:
    def convert(self, layers, shape=(8, 8, 2), **options):
        return keras_int8.convert(keras_int8.sequential(shape, layers), keras_int8.normal_samples(shape), **options)

    def test_all_unsupported_operators_at_once(self):
        layers = [K.ELU(), K.Conv2D(2, 1), K.ELU(), K.Activation("exponential")]
        with pytest.raises(engine.UnsupportedError, match=r"3 operators .* ELU at 1, 5; EXP at 7\. Supported"):
            engine.load(self.convert(layers))

    def test_dynamic_range_file(self):
        def dynamic(converter):
            converter.representative_dataset = None
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            converter.inference_input_type = converter.inference_output_type = tf.float32

        data = self.convert([K.Dense(40), K.Dense(40)], shape=(64,), change=dynamic)
        with pytest.raises(engine.UnsupportedError, match=r"dynamic-range quantized file \(operator 0 \(FULLY_CONNECTED\)"):
            engine.load(data)

    def test_float_file(self):
        def plain(converter):
            converter.optimizations = []
            converter.representative_dataset = None
            converter.target_spec.supported_ops = []

        data = self.convert([K.Dense(4)], shape=(6,), edges="float32", change=plain)
        with pytest.raises(engine.UnsupportedError, match="a float file"):
            engine.load(data)

    def test_sixteen_bit_activations(self):
        def wide(converter):
            mode = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [mode]
            converter.inference_input_type = converter.inference_output_type = tf.int16

        with pytest.raises(engine.UnsupportedError, match="16-bit activations"):
            engine.load(self.convert([K.Dense(4)], shape=(6,), change=wide))

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "not a TensorFlow Lite file"),
            (b"TFL3", "not a TensorFlow Lite file"),
            (b"PK\3\4" + b"\0" * 60, r"not a TensorFlow Lite file \(a .keras file"),
            (b"\xff\xff\xff\x7fTFL3" + b"\0" * 16, "outside the file of 24 bytes"),
            (b"\0\0\0\0TFL3" + b"\0" * 16, "garbled"),
        ],
    )
    def test_not_a_model(self, data, message):
        with pytest.raises(engine.FormatError, match=message):
            engine.load(data)

    def test_messages_name_the_file(self, tmp_path):
        path = tmp_path / "broken.tflite"
        path.write_bytes(b"nothing")
        with pytest.raises(engine.FormatError, match=r"broken\.tflite: not a TensorFlow Lite file"):
            engine.load(path)
        with pytest.raises(FileNotFoundError):
            engine.load(tmp_path / "absent.tflite")


def _first(model):
    return model.subgraphs[0].operators[0]


def _tensor(model, index):
    return model.subgraphs[0].tensors[index]


EDITS = {
    "schema version": (lambda m: setattr(m, "version", 2), engine.FormatError, "schema version is 2"),
    "no subgraph": (lambda m: setattr(m, "subgraphs", []), engine.FormatError, "no subgraph"),
    "opcode": (
        lambda m: setattr(_first(m), "opcodeIndex", 77),
        engine.FormatError,
        r"operators\[0\]: there is no operator code 77",
    ),
    "tensor": (
        lambda m: setattr(_first(m), "inputs", [0, 1, 99]),
        engine.FormatError,
        r"operators\[0\].inputs: there is no tensor 99",
    ),
    "buffer": (lambda m: setattr(_tensor(m, 1), "buffer", 50), engine.FormatError, "there is no buffer 50"),
    "element type": (lambda m: setattr(_tensor(m, 1), "type", 17), engine.UnsupportedError, "int4 weights"),
    "weight size": (lambda m: setattr(_tensor(m, 1), "shape", [4, 7]), engine.FormatError, r"int8\[4, 7\] takes 28 bytes"),
    "zero dimension": (lambda m: setattr(_tensor(m, 0), "shape", [1, 0]), engine.FormatError, "dimension below 1"),
    "free dimension": (
        lambda m: setattr(_tensor(m, 0), "shapeSignature", [1, -1]),
        engine.UnsupportedError,
        "only the batch dimension",
    ),
    "scale": (
        lambda m: setattr(_tensor(m, 0).quantization, "scale", [float("nan")]),
        engine.FormatError,
        "finite number above 0",
    ),
    "scale count": (
        lambda m: setattr(_tensor(m, 1).quantization, "scale", [1.0] * 3),
        engine.UnsupportedError,
        "4 zero points for 3 scales",
    ),
    "no scale": (lambda m: setattr(_tensor(m, 0).quantization, "scale", []), engine.QuantError, "needs one quantization scale"),
    "zero points": (
        lambda m: setattr(_tensor(m, 1).quantization, "zeroPoint", [0, 0, 1, 0]),
        engine.UnsupportedError,
        "4 zero points for 4 scales",
    ),
    "weight zero point": (
        lambda m: setattr(_tensor(m, 1).quantization, "zeroPoint", [3, 3, 3, 3]),
        engine.QuantError,
        "zero point of 0, not 3",
    ),
    "zero point": (lambda m: setattr(_tensor(m, 0).quantization, "zeroPoint", [500]), engine.QuantError, "zero point 500"),
    "bias scale": (
        lambda m: setattr(_tensor(m, 2).quantization, "scale", [1.0] * 4),
        engine.QuantError,
        "bias .* has scale 1 in channel 0",
    ),
    "variable": (lambda m: setattr(_tensor(m, 0), "isVariable", True), engine.UnsupportedError, "variable tensor"),
    "activation": (
        lambda m: setattr(_first(m).builtinOptions, "fusedActivationFunction", 4),
        engine.UnsupportedError,
        "fused activation TANH",
    ),
    "no such activation": (
        lambda m: setattr(_first(m).builtinOptions, "fusedActivationFunction", 9),
        engine.FormatError,
        "no activation 9",
    ),
    "shuffled weights": (
        lambda m: setattr(_first(m).builtinOptions, "weightsFormat", 1),
        engine.UnsupportedError,
        "shuffled weights",
    ),
    "options": (lambda m: setattr(_first(m), "builtinOptionsType", 9), engine.FormatError, "options of type 9; expected 8"),
    "output": (lambda m: setattr(m.subgraphs[0], "outputs", [1]), engine.FormatError, "tensor 1 cannot be an input or output"),
    "no output": (lambda m: setattr(m.subgraphs[0], "outputs", []), engine.UnsupportedError, "without inputs, outputs"),
}


@pytest.mark.parametrize("name", EDITS)
def test_contradictions_are_refused_by_name(name):
    edit, kind, message = EDITS[name]
    with pytest.raises(kind, match=message):
        engine.load(edited(Chain((1, 6)).dense(4).graph(), edit))


def test_reader_needs_no_writer_and_writer_is_loaded_on_demand():
    code = "import sys, engine; assert 'flatbuffers' not in sys.modules; engine.tflite.write"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
