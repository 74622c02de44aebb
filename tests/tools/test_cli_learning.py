"""emit --train and simulate --train: files, JSON, exit codes, messages."""

import json

import numpy as np
import pytest
from command_line import run

import engine
from engine.training import Adam, Dense, IntegerSequential, Sequential, Sigmoid
from enginekit import cli
from enginekit.trainer import emit_trainer, make_trainer
from enginekit.trainer.integer import IntegerTwin


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labelled 6x6 images, int8 models of them with and without a convolution, a float network, and XOR."""
    path = tmp_path_factory.mktemp("learning")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    x = rng.integers(0, 120, (400, 6, 6)).astype(np.uint8)
    x[np.arange(400), y, :] += 100
    data = str(path / "data.npz")
    np.savez(data, x=x[:300], y=y[:300], test_x=x[300:], test_y=y[300:])
    for name, network in (("conv", "conv4-pool2-3"), ("dense", "5-3")):
        assert cli.main(["train", network, "--data", data, "--epochs", "3", "-o", str(path / f"{name}.npz")]) == 0
        assert cli.main(["quantize", str(path / f"{name}.npz"), "--data", data, "-o", str(path / f"{name}.tflite")]) == 0
    corners = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]] * 10)
    np.savez(path / "xor.npz", x=corners, y=np.float32([0, 1, 1, 0] * 10))
    Sequential((2,), [Dense(3), Sigmoid(), Dense(1), Sigmoid()], seed=4, name="xor").save(path / "net.npz")
    return path


def test_emit_writes_what_the_library_does(folder, capsys, tmp_path):
    options = ["--train", "head", "--learning-rate", "0.02", "--seed", "5", "--name", "net"]
    code, out, err = run(capsys, "emit", folder / "conv.tflite", "-o", tmp_path, *options)
    assert code == 0
    assert out.split() == [str(tmp_path / name) for name in ("net.c", "net.h")]
    net = IntegerSequential.from_model(engine.load(folder / "conv.tflite"), seed=5)
    for name, text in emit_trainer(make_trainer(net, learning_rate=0.02), name="net").items():
        assert (tmp_path / name).read_text() == text
    assert "state: weights and biases" in err


def test_emit_all_layers_as_json(folder, capsys, tmp_path):
    code, out, _ = run(capsys, "emit", folder / "dense.tflite", "-o", tmp_path, "--train", "all", "--loss", "mse", "--json")
    assert code == 0
    about = json.loads(out)
    assert about["parts"] == {"weights and biases": 2 * (36 * 5 + 5 * 3) + 4 * 8, "generator and counter": 20}
    assert about["flash"] == about["data"] + about["golden"] + about["code"]
    net = IntegerSequential.from_model(engine.load(folder / "dense.tflite"), layers=2)
    assert f"SHA-256: {make_trainer(net, loss=engine.training.MSE()).digest.hex()}" in (tmp_path / "model.h").read_text()


def test_emit_float(folder, capsys, tmp_path):
    options = ["--train", "all", "--optimizer", "adam", "--learning-rate", "0.1", "--batch-size", "4"]
    assert run(capsys, "emit", folder / "net.npz", "-o", tmp_path, *options)[0] == 0
    trainer = make_trainer(engine.training.load(folder / "net.npz"), optimizer=Adam(0.1), batch_size=4)
    assert (tmp_path / "model.c").read_text() == emit_trainer(trainer)["model.c"]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["C", "--train", "all"], 2, "not all layers are dense; use --train head"),
        (["C", "--train", "all", "--layers", "1"], 2, "--layers: not with --train all"),
        (["C", "--train", "head", "--layers", "2"], 1, "does not end in 2 dense layers that could be trained"),
        (["C", "--train", "head", "--optimizer", "adam"], 2, "--optimizer: a .tflite is trained in integers"),
        (["C", "--train", "head", "--max-ram", "5000"], 2, "--max-ram: not with --train"),
        (["C", "--train", "head", "--golden", "x.npy"], 2, "--golden: not with --train"),
        (["C", "--train", "head", "--learning-rate", "-1"], 1, "learning_rate is -1"),
        (["C", "--train", "head", "--headroom", "0.5"], 1, "headroom is 0.5"),
        (
            ["C", "--train", "head", "--toolchain", "avr-gcc-1.0"],
            1,
            "no table of costs for 'trainer-avr-gcc-1.0' and ATmega4809; there are trainer-avr-gcc-14.2, trainer-avr-gcc-5.4",
        ),
        (["N", "--train", "head"], 2, "--train head is for a .tflite"),
        (["N", "--train", "all", "--seed", "1"], 2, "--seed: an .npz is trained in float32"),
        (["N", "--train", "all", "--batch-size", "3"], 1, "batch_size is 3; expected a power of two"),
        (["N", "--train", "all", "--optimizer", "adam", "--momentum", "0.9"], 2, "--momentum: not with --optimizer adam"),
        (["V", "--train", "all"], 1, "no layer conv2d (Conv2D)"),
        (["C", "--learning-rate", "0.1", "--momentum", "0.5"], 2, "--learning-rate, --momentum: only with --train"),
        (["n.json", "--train", "all"], 2, "a trainer is made of a .tflite, or of an .npz"),
    ],
)
def test_emit_errors(folder, capsys, tmp_path, argv, code, message):
    files = {"C": folder / "conv.tflite", "N": folder / "net.npz", "V": folder / "conv.npz"}
    got, out, err = run(capsys, "emit", *[files.get(part, part) for part in argv], "-o", tmp_path / "out")
    assert (got, out) == (code, ""), err
    assert message in err
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_refused_by_bytes(capsys, tmp_path):
    Sequential((200,), [Dense(10), Dense(3)], seed=1, name="large").save(tmp_path / "large.npz")
    code, out, err = run(capsys, "emit", tmp_path / "large.npz", "-o", tmp_path / "out", "--train", "all")
    assert (code, out) == (1, "")
    assert "trainer 'large' does not fit. RAM: " in err
    assert "(weights and biases 8,172, generator and counter 4, activations and scratch " in err
    assert "bytes too many; train fewer or smaller layers" in err
    assert run(capsys, "emit", tmp_path / "large.npz", "-o", tmp_path / "out", "--train", "all", "--any-chip")[0] == 0


def test_a_head_learns_on_the_simulated_chip(folder, capsys, tmp_path):
    argv = ["simulate", folder / "conv.tflite", "--train", "head", "--images", folder / "data.npz", "--change", "rotate180"]
    options = ["--count", 80, "--learning-rate", 0.05, "--build", tmp_path, "--output", tmp_path / "new.tflite"]
    code, out, err = run(capsys, *argv, *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["first_differing_step"] is None
    assert [stage["steps"] for stage in found["stages"]] == [0, 20, 40, 60, 80]
    assert found["stages"][-1]["accuracy"] > found["stages"][0]["accuracy"]
    assert found["steps"] == 80
    with np.load(folder / "data.npz") as data:
        x, y = np.rot90(data["test_x"], 2, axes=(1, 2)), data["test_y"]
    right = engine.load(tmp_path / "new.tflite").predict(x[..., None].astype(np.float32) / 255).argmax(axis=1) == y
    assert right.mean() == found["stages"][-1]["accuracy"]
    assert (tmp_path / "firmware.elf").exists()
    assert run(capsys, *argv[:6], "--count", 4, "--build", tmp_path)[1].startswith("steps  accuracy on 100 inputs")


def test_a_float_network_learns_on_the_simulated_chip(folder, capsys, tmp_path):
    argv = ["simulate", folder / "net.npz", "--train", "all", "--images", folder / "xor.npz", "--count", 40]
    code, out, err = run(
        capsys, *argv, "--optimizer", "adam", "--learning-rate", 0.1, "--batch-size", 4, "--json", "-o", tmp_path / "n.npz"
    )
    assert code == 0, err
    found = json.loads(out)
    with np.load(folder / "xor.npz") as data:
        figures = engine.training.load(tmp_path / "n.npz").evaluate(data["x"], data["y"][:, None], loss=engine.training.MSE())
    assert found["stages"][-1]["loss"] == round(figures.loss, 4)
    assert found["stages"][-1]["loss"] < found["stages"][0]["loss"]
    assert found["stages"][0]["accuracy"] is None


def test_a_differing_byte_is_an_error(folder, capsys, tmp_path, monkeypatch):
    original, calls = IntegerTwin.state, []

    def wrong(twin):
        calls.append(1)
        return original(twin) if len(calls) != 3 else b""

    monkeypatch.setattr(IntegerTwin, "state", wrong)
    argv = ["simulate", folder / "conv.tflite", "--train", "head", "--images", folder / "data.npz", "--count", 5]
    code, out, err = run(capsys, *argv, "--build", tmp_path)
    assert code == 1
    assert "the chip differs from the host after step" in err
    assert "not all" in out


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "--train: what on? --images mnist, an .npz file"),
        (["--images", "D", "--count", "500"], 2, "has 300 inputs to train on"),
        (["--images", "X", "--change", "invert"], 2, "has no images of uint8 pixels"),
        (["--images", "D", "--output", "x.npz"], 2, "what is learned in integers is written as .tflite"),
        (["--images", "none"], 1, "has no labels or targets"),
        (["--images", "y"], 1, "the label is 3; expected labels in [0, 2]"),
        (["--images", "column"], 1, "y is int64[5, 1]; labels are 5 integers"),
        (["--images", "nan", "--loss", "mse"], 1, "y holds NaN or infinity"),
        (["--images", "column", "--loss", "mse"], 1, "y is int64[5, 1]; expected 5 times 3 numbers"),
    ],
)
def test_simulate_errors(folder, capsys, tmp_path, argv, code, message):
    targets = {
        "none": {},
        "y": {"y": np.arange(5)},
        "column": {"y": np.zeros((5, 1), int)},
        "nan": {"y": np.full((5, 3), np.nan)},
    }
    files = {"D": folder / "data.npz", "X": folder / "xor.npz"} | {name: tmp_path / f"{name}.npz" for name in targets}
    for name, arrays in targets.items():
        np.savez(files[name], x=np.zeros((5, 6, 6), np.uint8), **arrays)
    options = [files.get(part, part) for part in argv]
    got, out, err = run(capsys, "simulate", folder / "conv.tflite", "--train", "head", "--count", "5", *options)
    assert (got, out) == (code, ""), err
    assert message in err


def test_arguments_of_training_need_it(folder, capsys):
    argv = ["simulate", folder / "conv.tflite", "--output", "x.tflite", "--change", "invert", "--seed", "1"]
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert "--seed, --output, --change: only with --train" in err
