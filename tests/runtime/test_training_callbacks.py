"""Callbacks see each epoch and batch, stop, save and log; weights of samples scale what they should."""

import csv
import importlib
import sys

import numpy as np
import pytest

from engine import training as t
from engine.errors import DivergedError


def data(count=60, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = (np.eye(3)[y] @ np.random.default_rng(7).normal(size=(3, 5)) + rng.normal(0, 0.7, (count, 5))).astype(np.float32)
    return x, y


def network():
    return t.Sequential((5,), [t.Dense(8), t.BatchNorm(0.5), t.Relu(), t.Dense(3)], seed=1)


class Recorder(t.Callback):
    def __init__(self, stop_after=0):
        self.calls, self.stop_after = [], stop_after

    def on_fit_begin(self, *_):
        self.calls.append("begin")

    def on_epoch_begin(self, *args):
        epoch = args[1]
        self.calls.append(("epoch", epoch))

    def on_batch_end(self, *args):
        _, batch, loss = args
        assert loss > 0
        self.calls.append(("batch", batch))

    def on_epoch_end(self, *args):
        _, epoch, figures = args
        self.calls.append(("done", epoch, sorted(figures)))
        return epoch == self.stop_after

    def on_fit_end(self, *_):
        self.calls.append("end")


def test_callbacks_are_called_in_order_and_can_stop():
    x, y = data()
    recorder = Recorder(stop_after=2)
    history = network().fit(x, y, epochs=5, batch_size=40, validation=data(20, 1), callbacks=[recorder])
    figures = ["accuracy", "learning_rate", "loss", "validation_accuracy", "validation_loss"]
    epochs = [[("epoch", n), ("batch", 1), ("batch", 2), ("done", n, figures)] for n in (1, 2)]
    assert recorder.calls == ["begin", *epochs[0], *epochs[1], "end"]
    assert len(history.loss) == 2
    assert not history.interrupted


def test_a_failing_fit_still_ends_its_callbacks():
    x, y = data()
    recorder = Recorder()
    with pytest.raises(DivergedError):
        network().fit(x, y, optimizer=t.SGD(1e30), epochs=3, callbacks=[recorder])
    assert recorder.calls[-1] == "end"


class Saboteur(t.Callback):
    """Spoils the network at the end of each epoch after the second, so that the best is known."""

    def on_epoch_begin(self, net, epoch):
        if epoch > 2:
            for array in net.parameters.values():
                array[:] = array * 3 + 1


def test_early_stopping_restores_the_best_epoch():
    x, y = data()
    plain, stopped = network(), network()
    plain.fit(x, y, optimizer=t.SGD(0.05), epochs=2)
    stopping = t.EarlyStopping(patience=3)
    history = stopped.fit(x, y, optimizer=t.SGD(0.05), epochs=50, validation=data(30, 1), callbacks=[Saboteur(), stopping])
    assert (stopping.best_epoch, stopping.stopped_epoch, len(history.loss)) == (2, 5, 5)
    for name, array in (plain.parameters | plain.statistics).items():
        np.testing.assert_array_equal((stopped.parameters | stopped.statistics)[name], array, err_msg=name)


def test_early_stopping_without_validation_says_so():
    with pytest.raises(ValueError, match="EarlyStopping: there is no validation_loss in this fit"):
        network().fit(*data(), callbacks=[t.EarlyStopping()])
    with pytest.raises(ValueError, match="EarlyStopping: monitor is 'val_loss'; expected one of 'loss'"):
        t.EarlyStopping("val_loss")


def test_a_checkpoint_resumes_bit_for_bit(tmp_path):
    x, y = data()
    options = {"optimizer": t.Nadam(t.WarmUp(3, t.CosineDecay(0.02, 20))), "batch_size": 16}
    whole = network()
    history = whole.fit(x, y, epochs=5, callbacks=[t.ModelCheckpoint(tmp_path / "at-{epoch}")], **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"at-{n}" for n in range(1, 6)]
    back = t.load(tmp_path / "at-2")
    rest = back.fit(x, y, epochs=3, **options)
    assert rest.loss == history.loss[2:]
    for name, array in (whole.parameters | whole.statistics).items():
        np.testing.assert_array_equal((back.parameters | back.statistics)[name], array, err_msg=name)


def test_a_checkpoint_of_the_best_keeps_the_best(tmp_path):
    x, y = data()
    path = tmp_path / "best"
    callbacks = [Saboteur(), t.ModelCheckpoint(path, monitor="validation_accuracy")]
    history = network().fit(x, y, epochs=4, validation=data(30, 1), callbacks=callbacks)
    assert t.load(path).epochs == 1 + int(np.argmax(history.validation_accuracy))


def test_csv_has_a_line_an_epoch(tmp_path):
    x, y = data()
    path, net = tmp_path / "log.csv", network()
    history = net.fit(x, y, epochs=2, callbacks=[t.CSVLogger(path)])
    history_2 = net.fit(x, y, epochs=1, callbacks=[t.CSVLogger(path, append=True)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["loss"]) for row in rows] == history.loss + history_2.loss
    assert {float(row["learning_rate"]) for row in rows} == {0.001}


def test_tensorboard_gets_figures_and_histograms(tmp_path):
    pytest.importorskip("tensorboardX", reason="comes with the extra tensorboard")
    x, y = data()
    net = network()
    history = net.fit(x, y, epochs=2, callbacks=[t.TensorBoard(tmp_path)])
    (path,) = tmp_path.iterdir()
    events = importlib.import_module("tensorflow").compat.v1.train.summary_iterator(str(path))
    values = {(event.step, value.tag): value for event in events for value in event.summary.value}
    for step, loss in enumerate(history.loss, 1):
        assert values[step, "loss"].simple_value == pytest.approx(loss, rel=1e-6)
        for kind in ("weights", "gradients"):
            assert values[step, f"{kind}/dense/w"].histo.num == 40


def test_tensorboard_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"TensorBoard needs tensorboardX: pip install engine\[tensorboard\]"):
        t.TensorBoard(tmp_path)


def test_weights_of_samples_and_classes_equal_keras():
    keras = importlib.import_module("keras")
    x, y = data()
    factors = np.random.default_rng(3).uniform(0, 2, len(x)).astype(np.float32)
    net = t.Sequential((5,), [t.Dense(3)], seed=1)
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(3)])
    model.layers[0].set_weights([net.parameters["dense/w"].T, net.parameters["dense/bias"]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    classes = {0: 2.0, 2: 0.25}
    both = factors * np.float32([classes.get(int(label), 1.0) for label in y])
    model.fit(x, y, sample_weight=both, batch_size=len(x), epochs=1, shuffle=False, verbose=0)
    net.fit(x, y, optimizer=t.SGD(0.1), batch_size=len(x), sample_weight=factors, class_weight=classes)
    np.testing.assert_allclose(net.parameters["dense/w"], model.layers[0].get_weights()[0].T, rtol=1e-5, atol=1e-6)


def test_bad_arguments_are_named():
    x, y = data()
    with pytest.raises(TypeError, match=r"fit: callbacks\[0\] is 'log'; expected an engine.training.Callback"):
        network().fit(x, y, callbacks=["log"])
    with pytest.raises(ValueError, match=r"fit: sample_weight\[1\] is below 0"):
        network().fit(x, y, sample_weight=np.where(np.arange(60) == 1, -1, 1).astype(np.float32))
    with pytest.raises(ValueError, match=r"fit: sample_weight has shape \(3,\); expected \(60,\)"):
        network().fit(x, y, sample_weight=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="fit: class_weight needs integer labels"):
        network().fit(x, np.ones((60, 3), np.float32), class_weight={0: 2.0})
