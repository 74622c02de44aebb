"""Pruning, low-bit and clustered weights: constraints hold while and after training, and the quantizer keeps them."""

import itertools

import numpy as np
import pytest

from engine import training
from engine.errors import QuantError
from enginekit.compress import Compression, compress
from enginekit.compress.layers import weighted_layers
from enginekit.compress.projections import Clusters, Steps, block_scores, keep
from enginekit.quantize import quantize


def task(count=600, seed=0):
    """Images of 6 x 6 in which a row is brighter: three classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.random((count, 6, 6, 1)).astype(np.float32) * 0.5
    x[np.arange(count), y] += 0.4
    x[:, 5] = 0  # never active
    return x.reshape(count, 36), y


def dense_net(seed=1):
    x, y = task()
    net = training.Sequential((36,), [training.Dense(40, activation="relu"), training.Dense(3)], seed=seed)
    net.fit(x, y, epochs=4, batch_size=32, progress=False)
    return net


def conv_net():
    layers = [
        training.Conv2D(9, 3, activation="relu"),
        training.DepthwiseConv2D(3, padding="same"),
        training.Flatten(),
        training.Dense(3),
    ]
    return training.Sequential((6, 6, 1), layers, seed=2)


def codes(net, x):
    """Int8 weights of the quantized layers."""
    graph = quantize(net.network(), x[:100]).graph
    return [graph.tensors[layer.inputs[1]].data for layer in graph.layers if layer.op != "reshape"]


# ---------------------------------------------------------------- projections


@pytest.mark.parametrize("levels", [(-7, 7), (-2, 1), (-1, 1)])
def test_steps_are_the_nearest_and_their_width_is_good(levels):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5, 300)).astype(np.float32) * rng.uniform(0.01, 10, (5, 1)).astype(np.float32)
    rows[3] = 0
    steps = Steps(*levels)
    steps.fit(rows)
    held = steps.apply(rows)
    for row, weights, width in zip(held, rows, steps.width[:, 0], strict=True):
        every = np.arange(levels[0], levels[1] + 1) * width
        assert np.abs(row - weights) == pytest.approx(np.abs(weights[:, None] - every).min(axis=1), abs=1e-5)
        error = np.square(row - weights).sum()
        for other in width * np.array([0.8, 1.25]):
            rounded = np.clip(np.rint(weights / other), *levels) * other
            assert error <= np.square(rounded - weights).sum() * 1.0001
    assert (held[3] == 0).all()
    assert (steps.apply(held) == held).all(), "what fits stays"


def test_clusters_find_the_best_values():
    rng = np.random.default_rng(1)
    truth = np.float32([-3, -0.5, 0.7, 2])
    rows = truth[rng.integers(0, 4, (6, 50))] + rng.normal(0, 0.02, (6, 50)).astype(np.float32)
    clusters = Clusters(4, keep_zero=False)
    clusters.fit(rows)
    assert clusters.values == pytest.approx(truth, abs=0.02)
    assert len(np.unique(clusters.apply(rows))) == 4


def test_clusters_keep_zeros():
    rows = np.float32([[0, 0, 1, 1.1, -2], [0, 5, 5, 0, 0]])
    clusters = Clusters(4, keep_zero=True)
    clusters.fit(rows)
    held = clusters.apply(rows)
    assert ((held == 0) == (rows == 0)).all()
    assert len(np.unique(held)) <= 4
    empty = Clusters(3, keep_zero=True)
    empty.fit(np.zeros((2, 2), np.float32))
    assert (empty.apply(np.zeros((2, 2), np.float32)) == 0).all()


def test_least_important_blocks_go_first():
    rows = np.float32([[3, 1, 9], [4, 1, 9], [1, 1, 1]])
    scores = block_scores(rows, np.float32([1, 1, 0]), 2)
    assert scores.tolist() == [[5.0, pytest.approx(2**0.5), 0.0], [pytest.approx(2**0.5), pytest.approx(2**0.5), 0.0]]
    assert keep(scores, 3, 2, 1 / 3).tolist() == [[True, True, False]] * 3
    assert keep(scores, 3, 2, 5 / 6).tolist() == [[True, False, False]] * 2 + [[False] * 3]


# ---------------------------------------------------------------- training under a constraint


WANTED = [
    Compression(prune=0.7, least=200),
    Compression(prune=0.7, block=8, least=200),
    Compression(bits=4),
    Compression(bits=2, least=200),
    Compression(ternary=True, least=200),
    Compression(clusters=5, least=200),
    Compression(prune=0.5, block=4, bits=4, least=200),
    Compression(prune=0.5, clusters=6, least=200),
]


class Watch(training.Callback):
    """Collects how many zeros and values the first layer has after each batch."""

    def __init__(self):
        self.zeros, self.values = [], []

    def on_batch_end(self, net, batch, loss):  # noqa: ARG002  the interface
        w = net.parameters["dense/w"]
        self.zeros.append((w == 0).mean())
        self.values.append(max(len(np.unique(row)) for row in w))


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.text)
def test_the_network_keeps_to_it_and_the_quantizer_too(wanted, monkeypatch):
    x, y = task()
    net, test = dense_net(), task(300, seed=9)
    before = net.evaluate(*test).accuracy
    watch = Watch()
    fit = net.fit
    monkeypatch.setattr(net, "fit", lambda *a, callbacks, **more: fit(*a, callbacks=[*callbacks, watch], **more))
    report = compress(net, x, y, wanted, epochs=6, batch_size=32, validation=test, seed=3)
    assert report.before == before
    assert report.after == net.evaluate(*test).accuracy >= before - 0.05
    w = net.parameters["dense/w"]
    first = codes(net, x)[0]
    if wanted.prune:
        if wanted.levels is None:
            assert (w == 0).sum() == pytest.approx(wanted.prune * (w.size + 120), rel=0.02)
        zero_blocks = (w == 0).reshape(-1, wanted.block, 36).all(axis=1)
        assert zero_blocks.mean() >= wanted.prune
        assert (first[w == 0] == 0).all()
        assert (np.diff(watch.zeros) >= -0.02).all(), "masks are kept"
        assert watch.zeros[5] < watch.zeros[-1] / 2, "not all at once"
        assert report.layers[0].zeros == (w == 0).mean()
    if wanted.levels is not None:
        low, high = wanted.levels
        assert first.min() >= low
        assert first.max() <= high
        assert max(watch.values) <= high - low + 1
        assert report.layers[0].values <= high - low + 1
    if wanted.clusters is not None:
        assert len(np.unique(w)) <= wanted.clusters
        assert len(np.unique(first)) <= wanted.clusters


def test_what_never_is_active_is_pruned_first():
    x, y = task()
    net = dense_net()
    compress(net, x, y, Compression(prune=0.2, least=200), epochs=0)
    w = net.parameters["dense/w"]
    assert (w[:, 30:] == 0).all(), "inputs that are always zero"
    assert (w[:, :30] == 0).mean() < 0.1


def test_without_training():
    x, y = task()
    net = dense_net()
    report = compress(net, x, y, Compression(bits=4), epochs=0)
    assert (report.history, report.before, report.after) == (None, None, None)
    assert [np.abs(each).max() <= 7 for each in codes(net, x)] == [True, True]
    assert 0 < report.layers[0].change < 0.2


def test_training_makes_up_for_rounding():
    x, y = task()
    test = task(500, seed=4)
    rounded, trained = dense_net(), dense_net()
    wanted = Compression(ternary=True, least=0)
    compress(rounded, x, y, wanted, epochs=0)
    compress(trained, x, y, wanted, epochs=8, batch_size=32)
    assert trained.evaluate(*test).loss < rounded.evaluate(*test).loss


def test_the_same_seed_gives_the_same_bits():
    x, y = task()
    nets = [dense_net() for _ in range(2)]
    for net in nets:
        compress(net, x, y, Compression(prune=0.5, clusters=7, least=200), epochs=2, seed=5)
    for a, b in zip(*(net.parameters.values() for net in nets), strict=True):
        assert a.tobytes() == b.tobytes()


def test_convolutions():
    x, y = task()
    images = x.reshape(-1, 6, 6, 1)
    net = conv_net()
    compress(net, images, y, Compression(bits=4), epochs=2)
    for each, channels_last in zip(codes(net, images), (False, True, False), strict=True):
        assert np.abs(each).max() <= 7, channels_last
    net = conv_net()
    report = compress(net, images, y, Compression(prune=0.5, least=80), epochs=1)
    assert {layer.name for layer in report.layers} == {"conv2d", "dense"}
    total = sum(net.parameters[f"{name}/w"].size for name in ("conv2d", "depthwise_conv2d", "dense"))
    zeros = sum((net.parameters[f"{name}/w"] == 0).sum() for name in ("conv2d", "dense"))
    assert zeros == pytest.approx(0.5 * total, abs=2)


def test_activity_of_channels_and_branches():
    inner = [training.Conv2D(2, 1)]
    net = training.Sequential((4, 4, 2), [training.Conv2D(2, 3, padding="same"), training.Residual(inner), training.Flatten()])
    x = np.zeros((3, 4, 4, 2), np.float32)
    x[..., 1] = 2
    first, second = weighted_layers(net, x)
    assert first.activity.reshape(9, 2).tolist() == [[0, 2]] * 9
    assert second.activity.tolist() == [1, 1]
    rows = first.rows()
    first.assign(rows * 2)
    assert net.parameters["conv2d/w"].reshape(2, -1).tolist() == (rows * 2).tolist()


def test_an_interrupted_training_leaves_weights_that_fit(monkeypatch):
    x, y = task()
    net = dense_net()

    def stopped(*args, callbacks, **more):
        callbacks[0].on_epoch_begin(net, 1)
        net.parameters["dense/w"][:] += 0.001
        return training.History()

    monkeypatch.setattr(net, "fit", stopped)
    compress(net, x, y, Compression(prune=0.6, bits=4, least=200), epochs=3)
    assert (net.parameters["dense/w"] == 0).mean() > 0.6
    assert np.abs(codes(net, x)[0]).max() <= 7


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "nothing to compress to: give prune, bits, ternary or clusters"),
        ({"prune": 1.0}, "prune is 1.0; expected a share of the weights, at least 0 and below 1"),
        ({"prune": -0.1}, "prune is -0.1"),
        ({"prune": 0.5, "block": 0}, "block is 0 and least 1000; expected at least 1 and at least 0"),
        ({"bits": 3}, "bits is 3; expected one of 4, 2"),
        ({"clusters": 17}, "clusters is 17; expected 2 to 16"),
        ({"clusters": 1}, "clusters is 1; expected 2 to 16"),
    ],
)
def test_what_makes_no_sense_is_refused(wanted, message):
    with pytest.raises(QuantError, match=message):
        Compression(**wanted)


@pytest.mark.parametrize("pair", list(itertools.combinations([{"bits": 4}, {"ternary": True}, {"clusters": 4}], 2)))
def test_one_kind_of_value_at_a_time(pair):
    with pytest.raises(QuantError, match="of bits, ternary and clusters at most one can be asked for"):
        Compression(**pair[0], **pair[1])


def test_networks_without_such_layers_are_refused():
    x, y = task()
    net = dense_net()
    with pytest.raises(QuantError, match="no layer has 5000 weights or more, the fewest that are worth 4 values a layer"):
        compress(net, x, y, Compression(clusters=4, least=5000))
    with pytest.raises(QuantError, match=r"95 % of the weights cannot be pruned: layers of 1000 weights .* 1,440 of 1,560"):
        compress(net, x, y, Compression(prune=0.95))
