"""compress from the command line: files, JSON, exit codes, messages; and that the chip's code gets smaller by it."""

import json

import numpy as np
import pytest

from engine import training
from enginekit import cli
from enginekit.importers import from_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labelled vectors of 40 numbers, and a network trained on them."""
    path = tmp_path_factory.mktemp("compress")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 500)
    x = rng.random((500, 40)).astype(np.float32)
    x[np.arange(500), y] += 1
    np.savez(path / "data.npz", x=x[:400], y=y[:400], test_x=x[400:], test_y=y[400:])
    np.savez(path / "numbers.npz", x=x, y=x[:, :2].sum(axis=1))
    np.save(path / "x.npy", x)
    data = str(path / "data.npz")
    assert cli.main(["train", "160-3", "--data", data, "--epochs", "4", "-o", str(path / "net.npz")]) == 0
    assert cli.main(["train", "160-3", "--data", data, "--epochs", "4", "-o", str(path / "net.json")]) == 0
    assert cli.main(["train", "32-1", "--data", str(path / "numbers.npz"), "--epochs", "1", "-o", str(path / "sum.npz")]) == 0
    return path


def run(capsys, *argv):
    capsys.readouterr()
    code = cli.main([str(part) for part in argv])
    return code, *capsys.readouterr()


def test_a_table_and_the_story(folder, capsys, tmp_path):
    target = tmp_path / "small.npz"
    argv = ["compress", folder / "net.npz", "--prune", 0.6, "--block", 8, "--data", folder / "data.npz", "--epochs", 2]
    code, out, err = run(capsys, *argv, "-o", target)
    assert code == 0
    header, _, layer, _, accuracy = out.splitlines()
    assert header.split() == ["layer", "weights", "zero", "%", "values", "of", "an", "output", "change", "%"]
    assert layer.split()[:2] == ["dense", "6400"]
    assert accuracy.startswith("accuracy on the test data: ")
    assert "60 % pruned in blocks of 8; 400 training inputs of" in err
    assert "epoch 2/2: loss " in err
    assert f"wrote {target}: 60 % pruned in blocks of 8" in err
    w = training.load(target).parameters["dense/w"]
    assert (w == 0).reshape(20, 8, 40).all(axis=1).mean() > 0.6


def test_json_and_the_same_bits_again(folder, capsys, tmp_path):
    argv = [
        "compress",
        folder / "net.json",
        "--clusters",
        6,
        "--data",
        folder / "data.npz",
        "--epochs",
        1,
        "--seed",
        7,
        "--json",
    ]
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        code, out, _ = run(capsys, *argv, "-o", file)
        assert code == 0
    assert files[0].read_text() == files[1].read_text()
    about = json.loads(out)
    assert set(about) == {"compression", "accuracy_before", "accuracy_after", "layers"}
    assert about["compression"]["clusters"] == 6
    assert about["layers"][0]["values"] <= 6
    assert len(np.unique(from_json(files[0]).layers[0].w)) <= 6


def test_what_is_compressed_takes_less_flash(folder, capsys, tmp_path):
    flash = {}
    for name, options in {"four": ["--bits", 4], "two": ["--bits", 2]}.items():
        net, model = tmp_path / f"{name}.npz", tmp_path / f"{name}.tflite"
        argv = ["--data", folder / "data.npz"]
        assert run(capsys, "compress", folder / "net.npz", *options, *argv, "--epochs", 1, "-o", net)[0] == 0
        assert run(capsys, "quantize", net, *argv, "-o", model)[0] == 0
        _, out, _ = run(capsys, "inspect", model, "--json")
        first = json.loads(out)["steps"][0]
        flash[name] = first["weights"]
        assert first["encoding"].startswith(f"{options[1]} bits")
    assert flash == {"four": 6400 // 2, "two": 6400 // 4}


def test_a_regression_without_test_data(folder, capsys, tmp_path):
    argv = ["compress", folder / "sum.npz", "--bits", 4, "--data", folder / "numbers.npz", "--epochs", 1]
    code, out, _ = run(capsys, *argv, "-o", tmp_path / "n.npz")
    assert code == 0
    assert "accuracy" not in out


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "nothing to compress to: give prune, bits, ternary or clusters"),
        (["--prune", 1.5], 2, "prune is 1.5; expected a share of the weights, at least 0 and below 1"),
        (["--clusters", 40], 2, "clusters is 40; expected 2 to 16"),
        (["--bits", 3], 2, "argument --bits: invalid choice: 3 (choose from"),
        (["--bits", 4, "--ternary"], 2, "argument --ternary: not allowed with argument --bits"),
        (["--bits", 4, "-o", "n.txt"], 2, "n.txt: a network is written as .npz or .json"),
        (["--bits", 4, "--data", "x.npy"], 1, "x.npy: has no labels; expected y (or train_y)"),
        (["--bits", 4, "--data", "numbers.npz"], 1, "numbers.npz: "),
        (["--bits", 4, "--batch-size", 0], 1, "batch_size"),
        (["--bits", 4, "--epochs", -1], 1, "compress: epochs is -1; expected"),
        (["--prune", 0.99], 1, "99 % of the weights cannot be pruned: layers of 1000 weights and more"),
    ],
)
def test_errors(folder, capsys, tmp_path, argv, code, message):
    argv = [folder / part if str(part).endswith((".npy", ".npz")) else part for part in argv]
    argv += [] if "--data" in argv else ["--data", folder / "data.npz"]
    argv += [] if "-o" in argv else ["-o", tmp_path / "n.npz"]
    got, out, err = run(capsys, "compress", folder / "net.npz", *argv)
    assert (got, out) == (code, ""), err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "n.npz").exists()
