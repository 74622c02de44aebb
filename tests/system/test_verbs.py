"""The verbs simulate, run and report on a small model, and what they print."""

import html.parser
import json
import re
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import engine
import enginekit
from engine.graph import Activation
from engine.network import Conv2D, Dense, Flatten, MaxPool2D, Network, Softmax
from enginekit import cli, evaluate, onchip
from enginekit.encode.choose import Optimize
from enginekit.plan import plan
from enginekit.quantize import quantize
from enginekit.report.layers import arena_blocks


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A convolutional network on 8x8 images with random weights."""
    rng = np.random.default_rng(5)

    def normal(*shape):
        return rng.normal(0, 0.4, shape).astype(np.float32)

    layers = (
        Conv2D("conv", normal(3, 3, 3, 1), normal(3), activation=Activation.RELU),
        MaxPool2D("pool", (2, 2), (2, 2)),
        Flatten("flatten"),
        Dense("dense", normal(10, 27), normal(10)),
        Softmax("softmax"),
    )
    model = quantize(Network("tiny", (8, 8, 1), layers), rng.uniform(0, 1, (50, 8, 8, 1)).astype(np.float32))
    file = tmp_path_factory.mktemp("verbs") / "tiny.tflite"
    model.save(file)
    return file


@pytest.fixture
def codes(tmp_path):
    x = np.random.default_rng(6).integers(-128, 128, (4, 8, 8, 1), np.int8)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy", x


def printed(capsys, *arguments, code=0):
    assert cli.main([str(a) for a in arguments]) == code
    return capsys.readouterr().out


@pytest.mark.parametrize("optimize", [o.value for o in Optimize])
def test_simulate_prints_costs_and_no_difference(path, capsys, tmp_path, optimize):
    more = ["--optimize", optimize, "--build", tmp_path / "build"]
    found = json.loads(printed(capsys, "simulate", path, "--count", 3, "--json", *more))
    assert found["differing_bytes_chip_host"] == 0
    chip = found["chip"]
    steps = engine.load(path).program.steps
    assert chip["images"] == 3
    assert len(chip["layer_cycles"]) == len(steps)
    assert chip["cycles_mean"] <= chip["cycles_max"]
    assert sum(chip["layer_cycles"]) == pytest.approx(chip["cycles_mean"], rel=0.005)
    assert sum(found["function_cycles"].values()) == pytest.approx(chip["cycles_mean"], rel=0.005)
    assert chip["arena_bytes"] == plan(engine.load(path), Optimize(optimize)).arena
    assert 0 < chip["stack_bytes"] < 600
    assert chip["arena_bytes"] <= chip["ram_bytes"] < 6144
    assert list((tmp_path / "build").glob("*.elf"))


def test_simulate_prints_tables(path, codes, capsys):
    text = printed(capsys, "simulate", path, "--images", codes[0], "--count", 2, "--usart", 1)
    for step in plan(engine.load(path)).steps:
        assert re.search(rf"^{step.name} +{step.kernel} +\d+ ", text, re.M)
        assert all(re.search(rf"^{symbol} +\d+$", text, re.M) for symbol in step.symbols)
    assert re.search(r"^bytes chip unlike host +0 of 20$", text, re.M)
    assert re.search(r"^time per inference, 20 MHz +\d+\.\d ms$", text, re.M)


def test_simulate_fails_and_names_the_layer_when_a_byte_differs(path, capsys, monkeypatch):
    honest_run, honest_trace = engine.Model.run, engine.Model.trace
    last = engine.load(path).program.steps[-1].name

    def trace(self, x):
        *before, end = honest_trace(self, x)
        return [*before, replace(end, array=end.array ^ np.int8(1))]

    monkeypatch.setattr(engine.Model, "run", lambda self, x: honest_run(self, x) ^ np.int8(1))
    monkeypatch.setattr(engine.Model, "trace", trace)
    assert cli.main(["simulate", str(path), "--count", "1"]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"^bytes chip unlike host +10 of 10$", out, re.M)
    assert f"input 0 differs from the host; {last}: 10 values differ, first at 0: " in err


def test_run_on_host_and_simulated_chip_agree(path, codes, capsys):
    file, x = codes
    host = json.loads(printed(capsys, "run", path, "--input", file, "--json"))
    chip = json.loads(printed(capsys, "run", path, "--input", file, "--json", "--port", "sim"))
    assert host["cycles"] is None
    assert len(chip["cycles"]) == 4
    assert host["dtype"] == chip["dtype"] == "int8"
    np.testing.assert_array_equal(host["output"], engine.load(path).run(x))
    assert chip["output"] == host["output"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_run_on_real_values_gives_real_values(path, tmp_path, capsys, dtype):
    values = np.random.default_rng(7).integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    x = values if dtype == np.uint8 else (values / np.float32(255)).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    lines = printed(capsys, "run", path, "--input", tmp_path / "x.npy").splitlines()
    got = np.array([[float(v) for v in line.split()] for line in lines])
    want = engine.load(path).predict((values / np.float32(255)).astype(np.float32))
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_run_writes_an_array(path, codes, tmp_path, capsys):
    assert printed(capsys, "run", path, "--input", codes[0], "--output", tmp_path / "y.npy") == ""
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), engine.load(path).run(codes[1]))


def test_run_takes_one_input_without_batch(path, codes, tmp_path, capsys):
    np.save(tmp_path / "one.npy", codes[1][2])
    one = printed(capsys, "run", path, "--input", tmp_path / "one.npy").split()
    assert [int(v) for v in one] == engine.load(path).run(codes[1][2:3])[0].tolist()


def test_run_on_a_missing_port(path, codes, capsys):
    assert cli.main(["run", str(path), "--input", str(codes[0]), "--port", "/dev/no-such-port"]) == 1
    assert "/dev/no-such-port" in capsys.readouterr().err


class Page(html.parser.HTMLParser):
    """What a page refers to, and whether its elements are closed."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.references, self.open, self.text, self.tags = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in {"src", "href", "srcset", "data"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def self_contained(text):
    page = Page(text)
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?://", text)
    return " ".join(page.text)


def test_report_with_images_labels_and_chip(path, codes, tmp_path, capsys):
    model = engine.load(path)
    labels = model.run(codes[1]).reshape(4, 10).argmax(axis=1)
    labels[0] = (labels[0] + 1) % 10
    np.savez(tmp_path / "labelled.npz", x=codes[1], y=labels)
    more = ["--images", tmp_path / "labelled.npz", "--chip", 2, "--json"]
    found = json.loads(printed(capsys, "report", path, "-o", tmp_path / "r.html", *more))
    assert found["accuracy_int8_host"] == 0.75
    assert found["differing_bytes_chip_host"] == 0
    text = self_contained((tmp_path / "r.html").read_text(encoding="utf-8"))
    for step in model.program.steps:
        assert step.name in text
        assert step.kernel in text
    assert "1 of 4 images misread" in text
    assert f"{found['chip']['flash_bytes']:,} B" in text


def test_report_of_a_model_alone(path, tmp_path, capsys):
    assert printed(capsys, "report", path, "-o", tmp_path / "r.html") == ""
    text = self_contained((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Layers" in text
    assert "Arena over time" in text
    assert "Confusion" not in text
    assert "measured" not in text


def test_report_without_jinja_says_how_to_install(path, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("enginekit.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(enginekit, "report", raising=False)
    assert cli.main(["report", str(path), "-o", str(tmp_path / "r.html")]) == 1
    assert capsys.readouterr().err == "enginekit report: the report needs Jinja: pip install 'engine[report]'\n"


def test_reference_without_litert_says_how_to_install(path, codes, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(engine.EngineError, match="pip install ai-edge-litert"):
        evaluate.run_reference(engine.load(path), codes[1])


@pytest.mark.parametrize("verb", ["simulate", "run", "report"])
def test_help(verb, capsys):
    text = printed(capsys, verb, "--help")
    assert text.startswith(f"usage: enginekit {verb} ")
    assert "--json" in text


@pytest.mark.parametrize("arguments", [["simulate"], ["simulate", "m", "--count", "0"], ["run", "m"], ["report", "m"]])
def test_wrong_usage(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "usage: enginekit" in capsys.readouterr().err


def test_a_chip_with_another_model_is_refused(path, tmp_path):
    other = quantize(
        Network("other", (4,), (Dense("dense", np.eye(4, dtype=np.float32), np.zeros(4, np.float32)),)),
        np.eye(4, dtype=np.float32),
    )
    firmware = replace(onchip.build(other, tmp_path), model=engine.load(path))
    with pytest.raises(engine.EngineError, match="runs the model 'other'"):
        onchip.boot(firmware)


def test_a_profile_for_another_order_of_kernels_is_refused(path, codes, tmp_path):
    model = engine.load(path)
    ends = onchip.step_ends(model)
    for wrong, message in ((ends[::-1], "the firmware called"), ([*ends, ends[0]], "ended an inference after")):
        board = onchip.boot(onchip.build(model, tmp_path))
        onchip.Profiler(board, wrong)
        with pytest.raises(engine.EngineError, match=message):
            board.client.run(codes[1][0])


def test_buffers_of_the_report_live_from_writer_to_last_reader(path):
    model = engine.load(path)
    blocks, columns = arena_blocks(model.graph, plan(model))
    steps = model.program.steps
    assert columns == ["input", *(step.name for step in steps), "output"]
    buffers = [block for block in blocks if not block.scratch]
    assert [(b.offset, b.size) for b in buffers] == [(steps[0].x_offset, 64), *((s.y_offset, s.y_size) for s in steps)]
    assert [(b.first, b.last) for b in buffers] == [(i, i + 1) for i in range(len(steps) + 1)]
    for column in range(len(columns)):
        alive = sorted({(b.offset, b.offset + b.size) for b in blocks if b.first <= column <= b.last})  # softmax is in place
        assert all(end <= start for (_, end), (start, _) in pairwise(alive)), (columns[column], alive)
        assert alive[-1][1] <= plan(model).arena
