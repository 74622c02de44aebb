"""The session below a model: calls, no copies, threads that change no bit, forks, profiles."""

import copy
import inspect
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import int8_graphs
import numpy as np
import pytest
import random_graphs
from int8_graphs import Chain

import engine
from engine import profile
from engine._session import Runner, Session
from engine.lower import lower

ROOT = Path(__file__).parents[2]
WIDE = 600  # 784 * 600 multiply-adds a sample: a few samples are work for several threads


def wide(threads=None):
    return engine.Model(Chain((1, 784), scale=0.001).dense(WIDE).graph(), threads=threads)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(-128, 128, (37, 784)).astype(np.int8)


@pytest.fixture(scope="module")
def want(x):
    model = wide(1)
    return np.concatenate([model.run(x[n : n + 1]) for n in range(len(x))])


class TestCall:
    def test_signature_and_documentation(self):
        assert str(inspect.signature(engine.Model.run)) == "(self, /, x, *, out=None)"
        assert inspect.getdoc(wide().run).startswith("Run a batch.\n\nParameters\n----------\nx : int8[N, ...]")

    def test_arguments_by_name(self, x, want):
        model = wide()
        out = np.empty_like(want)
        assert model.run(out=out, x=x) is out
        assert np.array_equal(out, want)
        assert np.array_equal(model.run(x, out=None), want)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda m, x: m.run(), "run: x is missing"),
            (lambda m, x: m.run(x, x), "run: takes one positional argument, x; 2 were given"),
            (lambda m, x: m.run(x, x=x), "run: unexpected or repeated argument 'x'; it takes x and out"),
            (lambda m, x: m.run(x, batch=3), "run: unexpected or repeated argument 'batch'"),
            (lambda m, x: Runner().run(x), "run: the model has not been initialized"),
            (lambda m, x: engine.Model.__new__(engine.Model).run(x), "run: the model has not been initialized"),
            (lambda m, x: Runner()._attach(m), "Unable to cast"),
        ],
    )
    def test_wrong_calls(self, x, call, message):
        with pytest.raises((TypeError, RuntimeError), match=message):
            call(wide(), x)

    def test_a_subclass_may_override_it(self, x, want):
        class Louder(engine.Model):
            def run(self, x, *, out=None):
                return super().run(x, out=out) + np.int8(1)

        assert np.array_equal(Louder(wide().graph).run(x), want + np.int8(1))

    def test_the_session_lives_as_long_as_its_model(self, x, want):
        run = wide().run
        assert np.array_equal(run(x), want)


class TestMemory:
    def test_out_is_written_in_place(self, x, want):
        memory = np.full((len(x) + 2, WIDE), 77, np.int8)
        out = memory[1:-1]
        address = out.ctypes.data
        assert wide(2).run(x, out=out) is out
        assert out.ctypes.data == address
        assert np.array_equal(memory[1:-1], want)
        assert (memory[[0, -1]] == 77).all()

    def test_nothing_is_allocated_with_out(self, x, want):
        model, out = wide(), np.empty_like(want)
        model.run(x, out=out)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(50):
                model.run(x, out=out)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 1000
        assert peak - before < len(x) * WIDE

    def test_results_do_not_share_memory(self, x, want):
        model = wide()
        first, second = model.run(x), model.run(x[::-1].copy())
        assert not np.shares_memory(first, second)
        assert np.array_equal(first, want)
        assert first.flags.owndata
        assert first.flags.c_contiguous

    def test_references_are_balanced(self, x):
        model = wide()
        out = np.empty((1, WIDE), np.int8)
        dtype = model.output.dtype
        counted = (x, out, dtype, model)
        before = [sys.getrefcount(o) for o in counted]
        for _ in range(100):
            model.run(x[:1])
            model.run(x[:1], out=out)
            with pytest.raises(TypeError):
                model.run(3)
        assert [sys.getrefcount(o) for o in counted] == before


class TestThreads:
    @pytest.mark.parametrize("threads", [1, 2, 3, 7, 64, 256])
    def test_the_bytes_do_not_depend_on_the_number(self, x, want, threads):
        model = wide(threads)
        assert model.threads == threads
        for count in (0, 1, 2, 5, len(x)):
            assert np.array_equal(model.run(x[:count]), want[:count])

    def test_predict_and_trace_too(self, x):
        one, many = wide(1), wide(3)
        real = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
        assert np.array_equal(many.predict(real), one.predict(real))
        assert np.array_equal(many.trace(x)[0].array, one.trace(x)[0].array)

    def test_every_operator(self):
        graph = int8_graphs.every_operator()
        one, many = engine.Model(graph, threads=1), engine.Model(graph, threads=4)
        shape = one.input.shape[1:]
        x = np.random.default_rng(2).normal(size=(3000, *shape)).astype(np.float32)
        assert np.array_equal(many.run(x), one.run(x))

    def test_callers_at_once(self, x, want):
        model = wide(3)

        def call(n):
            return np.array_equal(model.run(x[n:]), want[n:])

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(call, list(range(20)) * 10))

    def test_models_at_once(self, x, want):
        models = [wide(n) for n in (1, 2, 4)]
        with ThreadPoolExecutor(6) as pool:
            assert all(np.array_equal(y, want) for y in pool.map(lambda n: models[n % 3].run(x), range(60)))

    def test_pickle_and_copy_keep_them(self, x, want):
        model = wide(3)
        for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
            assert twin.threads == 3
            assert np.array_equal(twin.run(x), want)
        run = pickle.loads(pickle.dumps(model.run))
        assert np.array_equal(run(x), want)

    def test_the_environment_gives_the_default(self, monkeypatch):
        monkeypatch.delenv("ENGINE_THREADS", raising=False)
        assert wide().threads == 1
        monkeypatch.setenv("ENGINE_THREADS", "5")
        assert wide().threads == 5
        assert wide(2).threads == 2
        assert engine.load(wide().to_bytes()).threads == 5
        assert engine.load(wide().to_bytes(), threads=4).threads == 4

    @pytest.mark.parametrize("text", ["", "many", "0", "257", "-1", "1.5"])
    def test_an_environment_that_is_no_number(self, monkeypatch, text):
        monkeypatch.setenv("ENGINE_THREADS", text)
        with pytest.raises(ValueError, match=f"ENGINE_THREADS is '{text}'; expected 1 ... 256"):
            wide()

    @pytest.mark.parametrize(
        ("threads", "kind", "message"),
        [
            (0, ValueError, "Model: threads is 0; expected 1 ... 256"),
            (257, ValueError, "threads is 257"),
            (True, TypeError, "threads is of type bool"),
            (2.0, TypeError, "threads is of type float; expected an integer 1 ... 256"),
        ],
    )
    def test_numbers_that_do_not_fit(self, threads, kind, message):
        with pytest.raises(kind, match=message):
            wide(threads)

    @pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
    def test_a_child_after_fork_has_threads_of_its_own(self, x, want):
        model = wide(3)
        model.run(x)
        for _ in range(3):
            child = os.fork()
            if child == 0:
                same = np.array_equal(model.run(x), want) and threading.active_count() == 1
                os._exit(0 if same else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert np.array_equal(model.run(x), want)

    @pytest.mark.parametrize("end", ["", "os._exit(0)", "raise SystemExit(0)"])
    def test_the_process_ends_while_they_wait(self, end, tmp_path):
        wide().save(tmp_path / "wide.tflite")
        code = f"""
import os
import numpy, engine
model = engine.load({str(tmp_path / "wide.tflite")!r}, threads=4)
model.run(numpy.zeros((64, 784), numpy.int8))
{end}
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestProfile:
    def test_fields(self):
        model = engine.Model(int8_graphs.digits_like())
        x = np.zeros((3, 12, 12, 1), np.int8)
        found = model.profile(x, repeats=7)
        assert [step.name for step in found.steps] == [step.name for step in model.program.steps]
        assert [step.kernel for step in found.steps] == [step.kernel for step in model.program.steps]
        assert [step.macs for step in found.steps] == [3 * 3600, 3 * 1000, 0]
        assert found.macs == 3 * 4600
        assert (found.batch, found.repeats) == (3, 7)
        assert all(step.seconds >= 0 for step in found.steps)
        assert 0 < found.seconds < 1
        assert found.gmacs == pytest.approx(found.macs / found.seconds / 1e9)

    def test_table(self):
        steps = (profile.StepProfile("conv", "conv2d_s8", 3e-6, 9000), profile.StepProfile("top", "softmax_s8", 1e-6, 0))
        found = profile.Profile(steps, 4.5e-6, batch=1, repeats=9)
        assert str(found).splitlines() == [
            "step  kernel        us  share   MACs  GMAC/s",
            "----  ----------  ----  -----  -----  ------",
            "conv  conv2d_s8   3.00  75.0%  9,000    3.00",
            "top   softmax_s8  1.00  25.0%      0    0.00",
            "all               4.50         9,000    2.00",
            "1 sample, median of 9 runs, 1 thread",
        ]

    def test_plain_data(self):
        found = wide().profile(np.zeros((1, 784), np.int8), repeats=1).as_dict()
        assert set(found) == {"steps", "seconds", "batch", "repeats", "macs", "gmacs"}
        assert set(found["steps"][0]) == {"name", "kernel", "seconds", "macs", "gmacs"}

    def test_no_time_is_no_rate(self):
        assert profile.StepProfile("a", "dense_s8", 0.0, 10).gmacs == 0.0
        assert profile.Profile((), 0.0, 1, 1).gmacs == 0.0

    def test_median_of_the_repetitions(self):
        model = engine.Model(int8_graphs.digits_like())
        seconds = np.array([[1.0, 2, 3], [9, 1, 1], [2, 3, 4]])
        found = profile.profile_of(model.program, seconds, 1)
        assert [step.seconds for step in found.steps] == [2, 2, 3]
        assert found.seconds == 9

    @pytest.mark.parametrize(
        ("count", "repeats", "message"),
        [(0, 3, "profile: x is an empty batch"), (1, 0, "profile: repeats is 0; expected 1 ... 1000000")],
    )
    def test_refusals(self, count, repeats, message):
        with pytest.raises(ValueError, match=message):
            wide().profile(np.zeros((count, 784), np.int8), repeats=repeats)

    def test_wrong_input(self):
        with pytest.raises(TypeError, match=r"profile: x \(x\) is float32"):
            wide().profile(np.zeros((1, 784), np.float32))


class TestEndsInPlace:
    """A dense layer at an end reads and writes the caller's arrays, unless somebody else needs the input."""

    @staticmethod
    def x(width):
        return np.random.default_rng(5).integers(-128, 128, (37, width)).astype(np.int8)

    @pytest.mark.parametrize("width", [8, 12, 13, 64])
    @pytest.mark.parametrize("out", [8, 16, 24, 40])
    def test_both_ends(self, width, out):
        model = engine.Model(Chain((1, width), scale=0.01).dense(out).dense(12).graph())
        x = self.x(width)
        want = model.trace(x)[-1].array
        assert np.array_equal(model.run(x), want)
        assert np.array_equal(np.concatenate([model.run(row[np.newaxis]) for row in x]), want)

    @pytest.mark.parametrize("op", ["add", "mul"])
    def test_an_input_that_is_read_again(self, op):
        chain = random_graphs.Chain((64,), scale=0.01)
        start = chain.last
        model = engine.Model(chain.dense(64).join(op, start).graph())
        x = self.x(64)
        assert np.array_equal(model.run(x), model.trace(x)[-1].array)

    def test_nothing_is_read_beyond_the_input(self):
        """Rows of a larger array, whose neighbours are the other extreme."""
        model = engine.Model(Chain((1, 12), scale=0.01).dense(40).graph())
        padded = np.full((39, 12), 127, np.int8)
        padded[1:38] = self.x(12)
        assert np.array_equal(model.run(padded[1:38]), model.run(self.x(12)))


class TestSeveralOutputs:
    """A chain whose inner tensor is an output as well."""

    @pytest.fixture
    def runner(self):
        graph = Chain((1, 8), scale=0.01).dense(6).dense(4).graph()
        program = lower(graph)
        int8 = np.dtype(np.int8)
        inner, last = program.steps
        ends = [("inner", int8, (6,), inner.y_offset, 0.0, 0), ("last", int8, (4,), last.y_offset, 0.0, 0)]
        start = [("x", int8, (8,), inner.x_offset, 0.0, 0)]
        runner = Runner()
        runner._attach(Session(program.steps, program.arena, start, ends, ends, work=10**6, threads=2))
        return runner, engine.Model(graph).trace(self.x())

    @staticmethod
    def x():
        return np.random.default_rng(3).integers(-128, 128, (9, 8)).astype(np.int8)

    def test_a_tuple_comes_out(self, runner):
        run, want = runner[0].run, runner[1]
        got = run(self.x())
        assert isinstance(got, tuple)
        assert all(np.array_equal(a, t.array) for a, t in zip(got, want, strict=True))

    def test_a_tuple_is_filled(self, runner):
        run, want = runner[0].run, runner[1]
        out = (np.empty((9, 6), np.int8), np.empty((9, 4), np.int8))
        assert run(self.x(), out=out) is out
        assert all(np.array_equal(a, t.array) for a, t in zip(out, want, strict=True))

    @pytest.mark.parametrize(
        ("shapes", "kind", "message"),
        [
            ([(9, 6)], TypeError, "run: out must be a tuple of 2 arrays, one for each"),
            ([(9, 6), (9, 5)], ValueError, r"out \(last\) is int8\[9, 5\]; expected int8\[N, 4\]"),
            ([(9, 6), (8, 4)], ValueError, r"out \(last\) has a batch of 8, the others of 9"),
        ],
    )
    def test_outputs_that_do_not_fit(self, runner, shapes, kind, message):
        with pytest.raises(kind, match=message):
            runner[0].run(self.x(), out=tuple(np.empty(shape, np.int8) for shape in shapes))

    def test_outputs_that_share_memory(self, runner):
        memory = np.zeros(80, np.int8)
        with pytest.raises(ValueError, match="run: the arrays of out share memory"):
            runner[0].run(self.x(), out=(memory[:54].reshape(9, 6), memory[44:].reshape(9, 4)))


def test_too_many_dimensions_are_refused():
    graph = wide().graph
    program = lower(graph)
    port = ("deep", np.dtype(np.int8), (1,) * 32, 0, 0.0, 0)
    with pytest.raises(ValueError, match="Session: deep has more than 32 dimensions"):
        Session(program.steps, program.arena, [port], [port], [port], work=1, threads=1)
