"""The Model as people use it: running, arguments that do not fit, threads, pickling, a light import."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import int8_graphs
import numpy as np
import pytest
import random_graphs
from int8_graphs import Chain

import engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model():
    return engine.Model(int8_graphs.digits_like())


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(-128, 128, (9, 12, 12, 1)).astype(np.int8)


class TestRun:
    def test_batch_equals_singles(self, model, x):
        y = model.run(x)
        assert y.shape == (9, 10)
        assert y.dtype == np.int8
        for i in range(len(x)):
            assert np.array_equal(model.run(x[i : i + 1])[0], y[i])

    def test_empty_batch(self, model, x):
        assert model.run(x[:0]).shape == (0, 10)
        assert [t.array.shape[0] for t in model.trace(x[:0])] == [0, 0, 0]

    def test_out_is_filled_and_returned(self, model, x):
        out = np.empty((9, 10), np.int8)
        assert model.run(x, out=out) is out
        assert np.array_equal(out, model.run(x))

    def test_input_is_untouched_and_may_be_read_only(self, model, x):
        frozen = x.copy()
        frozen.flags.writeable = False
        model.run(frozen)
        assert np.array_equal(frozen, x)

    @pytest.mark.parametrize("graph", [b"TFL3", "digits.tflite", None])
    def test_what_is_no_graph_is_for_load(self, graph):
        with pytest.raises(TypeError, match=rf"graph is a {type(graph).__name__}; expected a Graph.*engine\.load"):
            engine.Model(graph)

    @pytest.mark.parametrize(
        ("change", "kind", "message"),
        [
            (lambda x: x.tolist(), TypeError, r"run: x \(x\) is a list; expected a NumPy array int8\[N, 12, 12, 1\]"),
            (lambda x: x.astype(np.float32), TypeError, r"run: x \(x\) is float32\[9, 12, 12, 1\]; expected int8"),
            (lambda x: x.astype(np.uint8), TypeError, "is uint8"),
            (lambda x: x.astype(np.int16), TypeError, "is int16.*nothing is converted silently"),
            (lambda x: x[0], ValueError, r"int8\[12, 12, 1\]; expected int8\[N, 12, 12, 1\] with the batch as first"),
            (lambda x: x[..., 0], ValueError, r"int8\[9, 12, 12\]"),
            (lambda x: x.reshape(9, 144), ValueError, r"int8\[9, 144\]"),
            (lambda x: x[:, :11], ValueError, r"int8\[9, 11, 12, 1\]"),
            (lambda x: np.repeat(x, 2, axis=2)[:, :, ::2], ValueError, "strided; pass numpy.ascontiguousarray"),
            (np.asfortranarray, ValueError, "strided"),
            (lambda x: np.int8(3), TypeError, "is a int8"),
            (lambda x: None, TypeError, "is a NoneType"),
        ],
    )
    def test_arguments_that_do_not_fit(self, model, x, change, kind, message):
        with pytest.raises(kind, match=message):
            model.run(change(x))
        with pytest.raises(kind):
            model.trace(change(x))

    @pytest.mark.parametrize(
        ("out", "kind", "message"),
        [
            (np.empty((9, 10), np.uint8), TypeError, "out .* is uint8"),
            (np.empty((8, 10), np.int8), ValueError, "out .* has a batch of 8, the others of 9"),
            (np.empty((9, 11), np.int8), ValueError, r"out .* is int8\[9, 11\]; expected int8\[N, 10\]"),
            (np.empty((9, 20), np.int8)[:, ::2], ValueError, "strided"),
            (np.broadcast_to(np.int8(0), (9, 10)), ValueError, "strided|read-only"),
        ],
    )
    def test_out_that_does_not_fit(self, model, x, out, kind, message):
        with pytest.raises(kind, match=message):
            model.run(x, out=out)

    def test_out_that_cannot_be_written(self, model, x):
        out = np.empty((9, 10), np.int8)
        out.flags.writeable = False
        with pytest.raises(ValueError, match="out is read-only"):
            model.run(x, out=out)

    def test_out_that_overlaps_the_input(self):
        model = engine.Model(Chain((1, 8)).dense(8).graph())
        memory = np.zeros(100, np.int8)
        with pytest.raises(ValueError, match="out and x share memory"):
            model.run(memory[:40].reshape(5, 8), out=memory[8:48].reshape(5, 8))
        model.run(memory[:40].reshape(5, 8), out=memory[40:80].reshape(5, 8))

    def test_swapped_byte_order_is_refused(self):
        model = engine.Model(int8_graphs.every_operator())
        x = np.zeros((1, 11, 9, 2), np.float32)
        with pytest.raises(TypeError, match="expected float32"):
            model.run(x.astype(x.dtype.newbyteorder()))


class TestPredict:
    def test_quantizes_runs_and_dequantizes(self, model, x):
        tensor = model.input
        real = (tensor.scale[0] * (x.astype(np.float32) - tensor.zero_point)).astype(np.float32)
        y = model.predict(real)
        assert y.dtype == np.float32
        assert np.array_equal(y, (model.run(x).astype(np.float32) + 128) / 256)

    def test_saturates(self, model):
        low = model.predict(np.full((1, 12, 12, 1), -1e30, np.float32))
        assert np.array_equal(low, (model.run(np.full((1, 12, 12, 1), -128, np.int8)).astype(np.float32) + 128) / 256)

    def test_float_edges_need_no_quantization(self):
        model = engine.Model(int8_graphs.every_operator())
        x = np.random.default_rng(1).normal(size=(5, 11, 9, 2)).astype(np.float32)
        assert np.array_equal(model.predict(x), model.run(x))

    @pytest.mark.parametrize(
        ("change", "kind", "message"),
        [
            (lambda x: x.astype(np.float64), TypeError, r"predict: x \(x\) is float64\[9, .*expected float32"),
            (lambda x: x.tolist(), TypeError, r"predict: x \(x\) is a list"),
            (lambda x: x[0], ValueError, r"predict: x .* expected float32\[N, 12, 12, 1\]"),
            (lambda x: x[:, ::-1], ValueError, "strided"),
        ],
    )
    def test_arguments_that_do_not_fit(self, model, x, change, kind, message):
        with pytest.raises(kind, match=message):
            model.predict(change(x.astype(np.float32)))

    def test_class_indices_are_no_real_numbers(self):
        model = engine.Model(Chain((1, 17)).dense(9).argmax().graph())
        with pytest.raises(engine.UnsupportedError, match="'argmax_1_out' holds int32, not quantized numbers; use run"):
            model.predict(np.zeros((1, 17), np.float32))
        assert model.run(np.zeros((3, 17), np.int8)).dtype == np.int32


def test_trace_ends_in_the_output(model, x):
    traces = model.trace(x)
    assert [t.step_name for t in traces] == [s.name for s in model.program.steps]
    assert [t.array.shape for t in traces] == [(9, 5, 5, 4), (9, 10), (9, 10)]
    assert np.array_equal(traces[-1].array, model.run(x))
    assert traces[-1].tensor is model.output


def test_trace_of_a_concatenation_has_no_bytes_of_older_runs():
    chain = random_graphs.Chain((4,)).dense(3)
    model = engine.Model(chain.concatenate(chain.last).graph())
    rng = np.random.default_rng(2)
    x, other = (rng.integers(-128, 128, (2, 4)).astype(np.int8) for _ in range(2))
    fresh = model.trace(x)
    model.run(other)
    again = model.trace(x)
    before, joined = fresh[-2].array, fresh[-1].array
    assert [t.step_name for t in fresh] == [s.name for s in model.program.steps]
    assert not before[:, 3:].any()
    assert np.array_equal(before[:, :3], joined[:, :3])
    assert all(np.array_equal(a.array, b.array) for a, b in zip(fresh, again, strict=True))


def test_threads_give_the_bytes_of_one(model):
    batches = [np.random.default_rng(i).integers(-128, 128, (64, 12, 12, 1)).astype(np.int8) for i in range(12)]
    want = [model.run(b) for b in batches]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(4):
            got = list(pool.map(model.run, batches))
            assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


def test_the_interpreter_lock_is_released_while_running():
    """Another thread makes progress while a long batch runs."""
    model = engine.Model(Chain((1, 2000), scale=0.001).dense(600).graph())
    x = np.zeros((6000, 2000), np.int8)
    ticks, done = [], threading.Event()

    def count():
        while not done.wait(0.0005):
            ticks.append(1)

    counter = threading.Thread(target=count)
    counter.start()
    model.run(x)
    done.set()
    counter.join()
    assert len(ticks) > 2


def test_pickle(model, x):
    copy = pickle.loads(pickle.dumps(model))
    assert copy.to_bytes() == model.to_bytes()
    assert np.array_equal(copy.run(x), model.run(x))


def test_load_takes_paths_and_bytes(model, tmp_path):
    path = tmp_path / "net.tflite"
    model.save(path)
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes())):
        assert engine.load(source).digest == model.digest


def test_digest_depends_on_every_weight(model):
    other = engine.Model(int8_graphs.Chain((1, 6)).dense(4).graph())
    assert len(model.digest) == 32
    assert model.digest != other.digest
    assert engine.Model(int8_graphs.digits_like()).digest == model.digest


def test_properties(model):
    assert model.input.shape == (1, 12, 12, 1)
    assert model.output.zero_point == -128
    assert model.inputs == (model.input,)
    assert model.outputs == (model.output,)
    assert repr(model) == "<engine.Model int8[1, 12, 12, 1] -> int8[1, 10], 3 steps, arena 244 bytes>"


def test_summary(model):
    text = model.summary().splitlines()
    assert text[0].split() == ["step", "kernel", "input", "output", "parameters", "MACs", "bytes"]
    assert text[2].split() == [
        *["conv2d_0_max_pool2d_1", "conv2d_max_pool2d_s8", "int8[12,", "12,", "1]", "int8[5,", "5,", "4]"],
        *["40", "3,600", "76"],
    ]
    assert text[3].split()[-3:] == ["1,010", "1,000", "1,100"]
    assert text[5] == "4,600 MACs, 1,176 bytes of weights, biases and rescale records, arena 244 bytes"
    assert text[6] == "input: 'x', int8[12, 12, 1] (144 values a sample), scale 0.05, zero point -3"


def test_import_is_light():
    """Nothing but NumPy, the standard library and ourselves."""
    code = """
import sys, sysconfig
before = set(sys.modules)
import numpy
import engine
mine = {name.partition(".")[0] for name in set(sys.modules) - before}
foreign = {n for n in mine if n not in sys.stdlib_module_names} - {"engine", "numpy"}
foreign = {n for n in foreign if not n.startswith("_distutils") and n != "__editable__"}
print(sorted(foreign))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"
