"""``enginekit bench``, the race and the rivals: what is timed is checked, the times are not."""

import itertools
import json
import types

import numpy as np
import pytest
from random_graphs import CHAINS

import engine
from enginekit import cli, rivals, timing


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "net.tflite"
    engine.Model(CHAINS["dense"]()).save(path)
    return path


def test_json_names_every_contender(path, capsys):
    assert cli.main(["bench", str(path), "--batch", "3", "--threads", "2", "--rounds", "1", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["sha256"] == engine.load(path).digest.hex()
    assert about["instructions"] == engine.isa()
    assert (about["batch"], about["threads"]) == (3, 2)
    rows = {row["name"]: row for row in about["contenders"]}
    assert list(rows) == ["engine", *(rival.name for rival in rivals.RIVALS)]
    assert rows["engine"]["ratio"] == 1
    assert rows["engine"]["differing"] == 0
    assert all(row["median_us"] >= row["minimum_us"] > 0 for row in rows.values())
    assert about["notes"] == {}
    assert [step["name"] for step in about["profile"]["steps"]] == [s.name for s in engine.load(path).program.steps]


def test_alone_prints_two_tables(path, capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 13), np.int8))
    assert cli.main(["bench", str(path), "--alone", "--rounds", "1", "--batch", "5", "--input", str(tmp_path / "x.npy")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["contender", "median", "us", "best", "us", "samples/s", "ratio", "differing"]
    assert [line.split()[0] for line in lines[2:4] if line] == ["engine"]
    assert lines[-1] == "5 samples, median of 100 runs, 1 thread"


@pytest.mark.parametrize("name", ["batch", "threads", "rounds"])
def test_counts_below_one_are_wrong_usage(path, capsys, name):
    assert cli.main(["bench", str(path), "--alone", f"--{name}", "0"]) == 2
    assert f"--{name} is 0; expected at least 1" in capsys.readouterr().err


def test_an_empty_input_is_refused(path, capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((0, 13), np.int8))
    assert cli.main(["bench", str(path), "--alone", "--input", str(tmp_path / "x.npy")]) == 1
    assert "x.npy: shape (0, 13); the model takes [n, 13]" in capsys.readouterr().err


def test_a_rival_that_is_missing_is_a_note(path, monkeypatch):
    monkeypatch.setattr(rivals, "RIVALS", (rivals.Rival("Other", "other-package", "no_such_module", xnnpack=False),))
    found = rivals.contenders(path.read_bytes(), np.zeros((1, 13), np.int8))
    assert found.calls == {}
    assert found.notes == {"Other": "not installed; pip install other-package"}


class Stubborn:
    """An interpreter for batches of one that doubles its input."""

    OpResolverType = types.SimpleNamespace(AUTO=0, BUILTIN_WITHOUT_DEFAULT_DELEGATES=3)

    def __init__(self):
        self.Interpreter = lambda **_: self

    def get_input_details(self):
        return [{"index": 0}]

    get_output_details = get_input_details

    def resize_tensor_input(self, _, shape):
        if shape[0] != 1:
            raise RuntimeError("1 != 2\nsecond line")

    def allocate_tensors(self):
        pass

    def set_tensor(self, _, x):
        assert len(x) == 1
        self.x = x

    def invoke(self):
        pass

    def get_tensor(self, _):
        return 2 * self.x


def test_a_rival_that_refuses_the_batch_gets_it_sample_by_sample(monkeypatch):
    monkeypatch.setattr(rivals.importlib, "import_module", lambda name: Stubborn())
    x = np.arange(6, dtype=np.int8).reshape(2, 3)
    found = rivals.contenders(b"", x, names=["LiteRT"])
    assert found.notes == {"LiteRT": "sample by sample, since it refuses the batch: 1 != 2"}
    assert np.array_equal(found.calls["LiteRT"](), 2 * x)


def test_a_race_takes_turns(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    turns = []
    found = timing.race({name: lambda name=name: turns.append(name) for name in "ab"}, rounds=3, seconds=0.5)
    assert turns[4:] == list("ababab")
    assert found == {"a": timing.Timing(1, 1, 3), "b": timing.Timing(1, 1, 3)}


def test_contenders_rest_before_their_turns(monkeypatch):
    turns, clock = [], itertools.count()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(timing.time, "sleep", turns.append)
    timing.race({name: lambda name=name: turns.append(name) for name in "ab"}, rounds=2, seconds=0.5, rest=0.25)
    assert turns[-12:] == [0.25, "a", "a", 0.25, "b", "b"] * 2
