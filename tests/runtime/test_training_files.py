"""Saved networks come back bit for bit, and damaged files give clear errors."""

import json

import numpy as np
import pytest

from engine import training
from engine.errors import FormatError
from engine.training import (
    SGD,
    Adam,
    Conv2D,
    CosineDecay,
    Dense,
    Flatten,
    Ftrl,
    MaxPool2D,
    Nadam,
    Relu,
    Sequential,
    Softmax,
    WarmUp,
)

#: With a schedule in a schedule, and all that optimizers share.
RICH = Nadam(WarmUp(3, CosineDecay(0.01, 20, 0.1)), weight_decay=0.01, global_clipnorm=1.0)


def digits(count=64):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (count, 8, 8, 1)).astype(np.float32), rng.integers(0, 4, count)


def trained(optimizer=None):
    layers = [
        Conv2D(3, (3, 2), padding="same", stride=(2, 1), activation="relu6"),
        MaxPool2D(2, 1),
        Flatten(),
        Dense(4),
        Relu(3),
        Softmax(),
    ]
    net = Sequential((8, 8, 1), layers, seed=5, name="saved")
    if optimizer is not None:
        net.fit(*digits(), optimizer=optimizer, epochs=2, batch_size=20)
    return net


@pytest.mark.parametrize("optimizer", [None, SGD(0.01), SGD(0.01, 0.9), Adam(0.003), RICH])
def test_everything_comes_back(tmp_path, optimizer):
    net, path = trained(optimizer), tmp_path / "network.bin"
    net.save(path)
    back = training.load(path)
    assert (back.name, back.seed, back.layers, back.input_shape) == (net.name, net.seed, net.layers, net.input_shape)
    assert (back.epochs, back.steps, back.optimizer) == (net.epochs, net.steps, optimizer)
    for name, array in net.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], array)
    for name, slots in net.optimizer_state.items():
        for slot, array in slots.items():
            np.testing.assert_array_equal(back.optimizer_state[name][slot], array)
    again = tmp_path / "again"
    back.save(str(again))
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["again", "network.bin"]


@pytest.mark.parametrize("optimizer", [SGD(0.01, 0.9), Adam(0.003), RICH, Ftrl(0.05, l1=1e-3)])
def test_training_goes_on_bit_for_bit(tmp_path, optimizer):
    net = trained(optimizer)
    net.save(tmp_path / "network")
    back = training.load(tmp_path / "network")
    histories = [each.fit(*digits(), optimizer=optimizer, epochs=2, batch_size=20) for each in (net, back)]
    assert histories[0].loss == histories[1].loss
    for name, array in net.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], array)


def test_names_of_an_imported_network_are_kept(tmp_path):
    net = training.from_network(trained().network())
    net.save(tmp_path / "network")
    assert [op.name for op in training.load(tmp_path / "network").operations] == [op.name for op in net.operations]


def rewrite(source, target, change):
    with np.load(source) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    change(header, arrays)
    if "header" in arrays:
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with target.open("wb") as file:
        np.savez(file, **arrays)


def change_header(**values):
    return lambda header, arrays: header.update(values)


def change_layer(index, **values):
    return lambda header, arrays: header["layers"][index].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, arrays: arrays.pop("header"), "no header"),
        (change_header(format="other"), r"not an archive of engine\.training"),
        (change_header(version=99), "version 99 of the format; this release reads version 1"),
        (change_layer(0, kind="Conv9D"), "unknown kind 'Conv9D'; expected one of Dense, Conv2D"),
        (change_layer(0, filters=4), r"parameter/conv2d/w is float32\[3, 3, 2, 1\]; expected float32\[4, 3, 2, 1\]"),
        (change_layer(0, filters="many"), "Conv2D: filters"),
        (change_layer(0, surprise=1), "surprise"),
        (change_layer(3, units=60_000), r"parameter/dense/w is float32\[4, 63\]; expected"),
        (change_header(names=["a"]), "names of layers"),
        (change_header(input_shape=[8, 8]), "input_shape"),
        (change_header(seed=-1), "seed is -1"),
        (change_header(layers=None), "damaged"),
        (lambda header, arrays: arrays.pop("parameter/dense/w"), "parameter/dense/w is missing"),
        (lambda header, arrays: arrays.pop("state/m/dense/bias"), "state/m/dense/bias is missing"),
        (
            lambda header, arrays: arrays.update({"parameter/dense/bias": np.zeros(4)}),
            r"is float64\[4\]; expected float32",
        ),
        (lambda header, arrays: arrays.update({"parameter/dense/bias": np.zeros(4, object)}), "damaged"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path, change, message):
    trained(Adam()).save(tmp_path / "good")
    rewrite(tmp_path / "good", tmp_path / "bad", change)
    with pytest.raises(FormatError, match=message) as caught:
        training.load(tmp_path / "bad")
    assert str(tmp_path / "bad") in str(caught.value)


def test_truncated_files_are_refused(tmp_path):
    trained(Adam()).save(tmp_path / "good")
    data = (tmp_path / "good").read_bytes()
    for size in [0, 1, 3, 10, *range(50, len(data), 997), len(data) - 1]:
        (tmp_path / "bad").write_bytes(data[:size])
        with pytest.raises(FormatError, match="bad"):
            training.load(tmp_path / "bad")


def test_garbled_files_never_crash(tmp_path):
    net = trained(Adam())
    net.save(tmp_path / "good")
    data = (tmp_path / "good").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        garbled = bytearray(data)
        for at in rng.integers(0, len(data), 4):
            garbled[at] ^= int(rng.integers(1, 256))
        (tmp_path / "bad").write_bytes(bytes(garbled))
        try:
            training.load(tmp_path / "bad")
        except FormatError:
            refused += 1
    assert refused > 150  # the archive's checksums; flips in its unused fields are harmless


def test_other_files_are_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(FormatError, match="not an archive"):
        training.load(tmp_path / "array.npy")
    (tmp_path / "text").write_text("weights = 1\n")
    with pytest.raises(FormatError, match="text"):
        training.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        training.load(tmp_path / "missing")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    trained().save(tmp_path / "network")
    before = (tmp_path / "network").read_bytes()

    def full(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="disk full"):
        trained(Adam()).save(tmp_path / "network")
    assert (tmp_path / "network").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["network"]
