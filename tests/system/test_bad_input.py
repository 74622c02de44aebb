"""Bad input through the command line: one clear message, exit code 1, no traceback."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from engine import training
from engine.errors import DoesNotFitError
from engine.network import Dense, Network
from enginekit import cli, onchip, toolchain
from enginekit.quantize import quantize


def dense_network(inputs, outputs, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 0.1, (outputs, inputs)).astype(np.float32)
    return Network("probe", (inputs,), (Dense("dense", w, np.zeros(outputs, np.float32)),))


def quantized(inputs, outputs):
    x = np.random.default_rng(1).uniform(0, 1, (20, inputs)).astype(np.float32)
    return quantize(dense_network(inputs, outputs), x)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.tflite"
    quantized(5, 3).save(path)
    return path


def enginekit(*arguments, env=None):
    """The program in a process of its own."""
    command = [sys.executable, "-m", "enginekit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)


def refused(done, *words):
    """Check that a run failed with one message that has all of `words`."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_model_too_large_says_by_how_many_bytes(tmp_path):
    model = quantized(784, 70)
    with pytest.raises(DoesNotFitError) as caught:
        onchip.build(model, tmp_path)
    message = str(caught.value)
    numbers = [int(word.replace(",", "").rstrip(".,;")) for word in message.split() if word[0].isdigit()]
    assert any(784 * 70 - 48 * 1024 <= n <= 784 * 70 - 48 * 1024 + 8192 for n in numbers), message
    path = tmp_path / "large.tflite"
    model.save(path)
    refused(enginekit("simulate", path, "--count", 1), "enginekit simulate:", message.splitlines()[0])


def test_missing_compiler_says_how_to_install(small, tmp_path):
    env = {**os.environ, "PATH": str(tmp_path)}
    done = enginekit("simulate", small, env=env)
    refused(done, "avr-gcc", "apt-get install", "gcc-avr", "avr-libc")


def test_missing_compiler_in_the_demo(tmp_path):
    env = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "enginekit.demo", "--quick", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    refused(done, "avr-gcc", "apt-get install")


def test_missing_compiler_is_an_error_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Exception, match="apt-get install") as caught:
        toolchain.find()
    assert type(caught.value).__module__.split(".")[0] in {"engine", "enginekit"}


@pytest.mark.parametrize("verb", ["inspect", "simulate", "run", "report", "emit"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "garbled", "text"])
def test_a_damaged_model_file(small, tmp_path, capsys, verb, damage):
    content = small.read_bytes()
    garbled = bytearray(content)
    garbled[8:64] = bytes(56)
    path = tmp_path / "bad.tflite"
    path.write_bytes(
        {"empty": b"", "truncated": content[: len(content) // 2], "garbled": bytes(garbled), "text": b"hello\n"}[damage]
    )
    np.save(tmp_path / "x.npy", np.zeros((1, 5), np.int8))
    more = {
        "run": ["--input", str(tmp_path / "x.npy")],
        "report": ["-o", str(tmp_path / "r.html")],
        "emit": ["-o", str(tmp_path / "emitted")],
    }
    assert cli.main([verb, str(path), *more.get(verb, [])]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"enginekit {verb}: ")
    assert len(err.splitlines()) <= 3
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_calibration(tmp_path, bad):
    x = np.random.default_rng(1).uniform(0, 1, (20, 5)).astype(np.float32)
    x[7, 3] = bad
    with pytest.raises(Exception, match=r"(?i)nan|finite") as caught:
        quantize(dense_network(5, 3), x)
    assert type(caught.value).__module__ == "engine.errors"


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_not_finite_calibration_through_the_command_line(tmp_path, capsys, bad):
    training.Sequential((5,), [training.Dense(3)], seed=1).save(tmp_path / "network.npz")
    x = np.random.default_rng(1).uniform(0, 1, (20, 5)).astype(np.float32)
    x[7, 3] = bad
    data, output = save(tmp_path, x), tmp_path / "out.tflite"
    assert cli.main(["quantize", str(tmp_path / "network.npz"), "--data", data, "-o", str(output)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"(?i)enginekit quantize: .*(nan|finite)", err, re.S), err
    assert not output.exists()


def save(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    return str(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 4), np.int8), ["(2, 4)", "[n, 5]"]),
        (np.zeros((0, 5), np.int8), ["(0, 5)", "[n, 5]"]),
        (np.zeros(4, np.int8), ["(4,)"]),
        (np.array(3, np.int8), ["()"]),
        (np.zeros((2, 5), np.int16), ["int16", "int8"]),
        (np.full((2, 5), np.nan, np.float32), ["NaN"]),
        (np.array([["a"] * 5]), ["<U1", "int8"]),
    ],
)
def test_wrong_input_arrays(small, tmp_path, capsys, array, words):
    assert cli.main(["run", str(small), "--input", save(tmp_path, array)]) == 1
    err = capsys.readouterr().err
    assert all(word in err for word in ["x.npy", *words]), err


def test_a_file_that_is_no_array(small, tmp_path, capsys):
    path = tmp_path / "x.npy"
    path.write_bytes(b"not an array")
    assert cli.main(["run", str(small), "--input", str(path)]) == 1
    assert "x.npy: not a file of arrays" in capsys.readouterr().err
    assert cli.main(["run", str(small), "--input", str(tmp_path / "missing.npy")]) == 1
    assert "missing.npy" in capsys.readouterr().err


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros((4, 1), np.int64), np.zeros(4)])
def test_labels_that_do_not_belong(small, tmp_path, capsys, labels):
    np.savez(tmp_path / "labelled.npz", x=np.zeros((4, 5), np.int8), y=labels)
    arguments = ["report", str(small), "-o", str(tmp_path / "r.html"), "--images", str(tmp_path / "labelled.npz")]
    assert cli.main(arguments) == 1
    assert f"labels are {labels.dtype}{list(labels.shape)}; expected one integer" in capsys.readouterr().err
