"""train, quantize, inspect and emit from the command line: files, JSON, exit codes, messages."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from command_line import run
from networks import cnn, images

import engine
from engine import training
from enginekit import cli
from enginekit.emit import emit
from enginekit.importers import from_json, to_json
from enginekit.plan import plan
from enginekit.quantize import quantize

HELP = Path(__file__).parent / "help"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labelled 6x6 images, a network trained on them, and its int8 model."""
    path = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    x = rng.integers(0, 120, (600, 6, 6)).astype(np.uint8)
    x[np.arange(600), y, :] += 100
    np.savez(path / "data.npz", x=x[:500], y=y[:500], test_x=x[500:], test_y=y[500:])
    np.save(path / "x.npy", x.astype(np.float32) / 255)
    data = str(path / "data.npz")
    assert cli.main(["train", "conv4-pool2-3", "--data", data, "--epochs", "3", "-o", str(path / "net.npz")]) == 0
    assert cli.main(["quantize", str(path / "net.npz"), "--data", data, "-o", str(path / "net.tflite")]) == 0
    return path


def plain(text):
    """Help without line breaks, and in the one spelling of options that all Python versions can be brought to."""
    return re.sub(r"(-\w) ([A-Z]+), (--[\w-]+) \2", r"\1, \3 \2", " ".join(text.split()))


@pytest.mark.parametrize("name", ["enginekit", "train", "compress", "quantize", "inspect", "emit", "bench"])
def test_help(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = run(capsys, *([] if name == "enginekit" else [name]), "--help")
    assert (code, err) == (0, "")
    assert plain(out) == plain((HELP / f"{name}.txt").read_text()), (
        f"if that is intended, write it to {HELP}/{name}.txt:\n{out}"
    )


# ---------------------------------------------------------------- train


def test_train_learns_and_says_so(folder, capsys, tmp_path):
    out_file = tmp_path / "n.json"
    argv = ["train", "36-16-3", "--data", folder / "data.npz", "--epochs", 4, "--learning-rate", 0.01, "-o", out_file, "--json"]
    code, out, err = run(capsys, *argv)
    assert code == 0
    report = json.loads(out)
    assert report["network"] == "36-16-3"
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1, 2, 3, 4]
    assert set(report["epochs"][0]) == {"epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds"}
    assert report["epochs"][-1]["validation_accuracy"] > 0.9
    assert "500 training inputs of" in err
    assert from_json(out_file).layers[0].w.shape == (16, 36)
    again = tmp_path / "m.json"
    assert run(capsys, *argv[:-2], again)[0] == 0
    assert again.read_text() == out_file.read_text()


def test_train_prints_a_table(folder, capsys, tmp_path):
    code, out, _ = run(capsys, "train", "3", "--data", folder / "data.npz", "--epochs", 2, "-o", tmp_path / "n.npz")
    assert code == 0
    header, _, first, second = out.splitlines()
    assert header.split("  ")[0] == "epoch"
    assert (first.split()[0], second.split()[0]) == ("1", "2")
    assert training.load(tmp_path / "n.npz").epochs == 2


def test_train_regression(capsys, tmp_path):
    x = np.random.default_rng(0).random((200, 2)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=x.sum(axis=1))
    argv = ["--data", tmp_path / "d.npz", "--epochs", 30, "--learning-rate", 0.01, "-o", tmp_path / "n.npz", "--json"]
    code, out, _ = run(capsys, "train", "8-1", *argv)
    assert code == 0
    epochs = json.loads(out)["epochs"]
    assert epochs[-1]["loss"] < 0.01
    assert "accuracy" not in epochs[0]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["train", "12-x", "--data", "D"], 1, "network '12-x': the last part is 'x'; expected the number of outputs"),
        (["train", "conv-3", "--data", "D"], 1, "network 'conv-3': cannot read 'conv'"),
        (["train", "conv4-pool9-3", "--data", "D"], 1, "network 'conv4-pool9-3': "),
        (["train", "4-conv4-3", "--data", "D"], 1, "'conv4' needs an image, but a vector comes in"),
        (["train", "2", "--data", "D"], 1, "data.npz: "),
        (["train", "3", "--data", "D", "--limit", "0"], 1, "data.npz: "),
        (["train", "3", "--data", "D", "--learning-rate", "-1"], 1, "learning_rate"),
        (["train", "3", "--data", "X"], 1, "x.npy: has no labels; expected y (or train_y)"),
        (["train", "3", "--data", "nonsense"], 2, "'nonsense': data is mnist, an .npz file"),
        (["train", "3", "--data", "missing.npz"], 1, "No such file or directory: 'missing.npz'"),
        (["train", "3", "--data", "D", "-o", "n.txt"], 2, "n.txt: a network is written as .npz or .json"),
    ],
)
def test_train_errors(folder, capsys, tmp_path, argv, code, message):
    argv = [{"D": folder / "data.npz", "X": folder / "x.npy"}.get(part, part) for part in argv]
    if "-o" not in argv:
        argv += ["-o", tmp_path / "n.npz"]
    got, out, err = run(capsys, *argv)
    assert (got, out) == (code, ""), err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "n.npz").exists()


# ---------------------------------------------------------------- quantize


def test_quantize_reports_every_layer(folder, capsys, tmp_path):
    target = tmp_path / "q.tflite"
    code, out, err = run(capsys, "quantize", folder / "net.npz", "--data", folder / "data.npz", "-o", target, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["inputs"] == 200
    assert [layer["op"] for layer in report["layers"]] == ["conv2d", "max_pool2d", "reshape", "dense", "softmax"]
    assert set(report["layers"][0]) == {
        *("name", "op", "scale", "zero_point", "low", "high", "float_low", "float_high", "clipped", "sqnr", "max_error"),
        *("weights", "weights_at_limit", "biases_cut"),
    }
    assert report["layers"][0]["sqnr"] is None
    assert report["layers"][3]["sqnr"] > 20
    assert f"wrote {target}: " in err
    assert "calibrating on 500 inputs" in err
    assert engine.load(target).input.shape == (1, 6, 6, 1)


@pytest.mark.parametrize(
    "options", [["--per-tensor"], ["--small-sums"], ["--method", "percentile", "--percentile", "99"], ["--float-edges"]]
)
def test_quantize_options_change_the_model(folder, capsys, tmp_path, options):
    target = tmp_path / "q.tflite"
    assert run(capsys, "quantize", folder / "net.npz", "--data", folder / "data.npz", "-o", target, *options)[0] == 0
    assert target.read_bytes() != (folder / "net.tflite").read_bytes()
    assert (engine.load(target).input.dtype == np.float32) == ("--float-edges" in options)


def test_quantize_reads_json_and_npy(folder, capsys, tmp_path):
    network = training.load(folder / "net.npz").network()
    (tmp_path / "n.json").write_text(to_json(network))
    code, out, _ = run(
        capsys, "quantize", tmp_path / "n.json", "--data", folder / "x.npy", "--count", 500, "-o", tmp_path / "q.tflite"
    )
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["layer", "operator"]
    same, other = engine.load(tmp_path / "q.tflite"), engine.load(folder / "net.tflite")
    assert [t.data.tobytes() for t in same.graph.tensors if t.data is not None] == [
        t.data.tobytes() for t in other.graph.tensors if t.data is not None
    ]


@pytest.mark.parametrize(
    ("network", "data", "code", "message"),
    [
        ("net.txt", "data.npz", 2, "net.txt: a network is a file .npz (enginekit train), .json, .keras or .h5"),
        ("missing.json", "data.npz", 1, "No such file or directory"),
        ("bad.json", "data.npz", 1, "bad.json: line 1 column 2"),
        ("bad.npz", "data.npz", 1, "bad.npz"),
        ("net.npz", "bad.npz", 1, "bad.npz: not a file of arrays"),
        ("net.npz", "empty.npz", 1, "empty.npz: has the arrays none; expected x (or train_x)"),
        ("net.npz", "small.npy", 1, "small.npy: an input has shape [3]; the network needs [6, 6, 1]"),
        ("net.npz", "nan.npy", 1, "calibration data: input 1 has NaN, infinite or too large values"),
        ("net.npz", "none.npy", 1, "calibration data is empty"),
        ("net.npz", "text.npy", 1, "text.npy: inputs are <U1[4]; expected uint8 pixels or floating point"),
    ],
)
def test_quantize_errors(folder, capsys, network, data, code, message):
    (folder / "bad.json").write_text("{")
    (folder / "bad.npz").write_bytes(b"PK\x03\x04nonsense")
    np.savez(folder / "empty.npz")
    np.save(folder / "small.npy", np.zeros((4, 3), np.float32))
    np.save(folder / "nan.npy", np.full((4, 36), [[0], [np.nan], [0], [0]], np.float32))
    np.save(folder / "none.npy", np.zeros((0, 36), np.float32))
    np.save(folder / "text.npy", np.array(list("text")))
    target = folder / "never.tflite"
    got, out, err = run(capsys, "quantize", folder / network, "--data", folder / data, "-o", target)
    assert (got, out) == (code, ""), err
    assert message in err
    assert not target.exists()


# ---------------------------------------------------------------- inspect


def test_inspect_as_json(folder, capsys):
    code, out, err = run(capsys, "inspect", folder / "net.tflite", "--json", "--check")
    assert code == 0
    about = json.loads(out)
    assert set(about) == {
        *("name", "arena", "flash", "macs", "golden", "steps", "sha256", "chip", "fits", "problem", "inputs", "outputs"),
        *("optimize", "kernels", "calls", "code", "link", "firmware", "ram", "stack", "unknown", "worst_ms", "mean_ms"),
        *("exceeded", "unlimited"),
    }
    model = engine.load(folder / "net.tflite")
    assert about["sha256"] == model.digest.hex()
    assert about["fits"] is True
    assert about["arena"] == plan(model).arena >= model.program.arena
    assert [step["kernel"] for step in about["steps"]] == ["conv2d_max_pool2d_s8", "dense_s8", "softmax_s8"]
    first = about["steps"][0]
    assert (first["x_shape"], first["y_shape"]) == ([6, 6, 1], [2, 2, 4])
    assert first["y_low"] == 0 < first["y_high"]
    assert about["inputs"] == [
        {"name": "input", "dtype": "int8", "shape": [6, 6, 1], "scale": pytest.approx(model.input.scale[0]), "zero": -128}
    ]
    assert "fits the ATmega4809" in err


def test_inspect_prints_a_table(folder, capsys):
    code, out, _ = run(capsys, "inspect", folder / "net.tflite")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["layer", "kernel"]
    assert "6x6x1" in lines[2]
    assert re.fullmatch(r"[\d,]+ bytes of RAM for the arena; the firmware [\d,]+, and at most [\d,]+ of stack", lines[-2])
    assert "encoding" in lines[0]


@pytest.fixture
def large(tmp_path):
    """A model with 60 KB of weights."""
    net = training.Sequential((784,), [training.Dense(75, activation="relu"), training.Dense(10)], name="large")
    path = tmp_path / "large.tflite"
    quantize(net.network(), images(5).reshape(5, 784)).save(path)
    return path


def test_a_model_too_large_for_the_chip_says_by_how_many_bytes(large, capsys, tmp_path):
    code, out, err = run(capsys, "inspect", large, "--json")
    about = json.loads(out)
    assert (code, about["fits"]) == (0, False)
    lacking = about["firmware"] - 48640
    assert f"{lacking:,} bytes too many" in about["problem"]
    code, out, err = run(capsys, "inspect", large, "--check")
    assert code == 1
    assert f"{lacking:,} bytes too many" in err
    code, out, err = run(capsys, "emit", large, "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert f"{lacking:,} bytes too many" in err
    assert not (tmp_path / "out").exists()
    assert run(capsys, "emit", large, "-o", tmp_path / "out", "--any-chip")[0] == 0


@pytest.mark.parametrize("verb", ["inspect", "emit"])
@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), (b"", "net.tflite"), (b"TFL3" * 9, "net.tflite")])
def test_files_that_are_no_models(verb, content, message, capsys, tmp_path):
    path = tmp_path / "net.tflite"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run(capsys, verb, path, *(["-o", tmp_path] if verb == "emit" else []))
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


# ---------------------------------------------------------------- emit


def test_emit_writes_the_library_calls_files(folder, capsys, tmp_path):
    code, out, err = run(capsys, "emit", folder / "net.tflite", "-o", tmp_path / "a" / "b", "--name", "net")
    assert code == 0
    assert out.split() == [str(tmp_path / "a" / "b" / name) for name in ("net.c", "net.h")]
    for name, text in emit(engine.load(folder / "net.tflite"), name="net").items():
        assert (tmp_path / "a" / "b" / name).read_text() == text
    assert "bytes of flash for data" in err


def test_emit_as_json_with_golden_inputs(folder, capsys, tmp_path):
    np.save(tmp_path / "g.npy", np.zeros((3, 6, 6, 1), np.int8))
    code, out, _ = run(capsys, "emit", folder / "net.tflite", "-o", tmp_path, "--golden", tmp_path / "g.npy", "--json")
    assert code == 0
    about = json.loads(out)
    assert about["files"] == [str(tmp_path / name) for name in ("model.c", "model.h")]
    assert about["firmware"] == about["flash"] + about["code"] + about["link"]
    assert "golden=3 given" in (tmp_path / "model.c").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "int"], "name 'int' is a keyword"),
        (["--golden", "X"], "golden input 0 is float32; the model takes int8"),
        (["--max-flash", "4000"], "no combination of encodings keeps to the limits. The nearest (conv2d_max_pool2d: "),
        (["--max-flash", "4000"], "bytes too many for 4,000"),
        (["--max-flash", "0"], "no combination of encodings keeps to the limits"),
        (["--max-ram", "90"], "bytes too many for 90"),
        (["--max-ms", "0.001"], "ms too many for 0.001"),
        (["--max-acc-bits", "9"], "accumulators of 9 bits do not hold: "),
    ],
)
def test_emit_errors(folder, capsys, tmp_path, options, message):
    options = [folder / "x.npy" if part == "X" else part for part in options]
    code, out, err = run(capsys, "emit", folder / "net.tflite", "-o", tmp_path / "out", *options)
    assert (code, out) == (1, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_keras_files_from_the_command_line(capsys, tmp_path):
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", images(20, (6, 6, 1)))
    assert run(capsys, "quantize", tmp_path / "m.keras", "--data", tmp_path / "x.npy", "-o", tmp_path / "m.tflite")[0] == 0
    assert engine.load(tmp_path / "m.tflite").output.shape == (1, 3)


def test_the_digit_cnn_fits(capsys, tmp_path):
    (tmp_path / "n.json").write_text(to_json(cnn()))
    np.save(tmp_path / "x.npy", images(20))
    assert run(capsys, "quantize", tmp_path / "n.json", "--data", tmp_path / "x.npy", "-o", tmp_path / "n.tflite")[0] == 0
    code, out, _ = run(capsys, "inspect", tmp_path / "n.tflite", "--json", "--check")
    assert code == 0
    assert json.loads(out)["arena"] == 784 + 2028
