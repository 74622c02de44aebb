"""Networks that learn on the simulated chip: every bit is the host's after every step, they learn, and they fit."""

from pathlib import Path

import numpy as np
import pytest
from firmware.test_training_chip import Bench

from engine import Model
from engine.training import MSE, Adam, Dense, IntegerSequential, Sequential, Sigmoid, Softmax
from enginekit.costs.stack import Program
from enginekit.datasets import mnist
from enginekit.encode.choose import Optimize
from enginekit.quantize import quantize
from enginekit.trainer import make_trainer

CLOCK = 20_000_000
STEPS = 1000


def codes(images: np.ndarray) -> np.ndarray:
    return (images.reshape(len(images), -1).astype(np.int16) - 128).astype(np.int8)


def ram(bench: Bench) -> int:
    """Static RAM, the arena included, and the deepest stack that is possible."""
    bound = Program(bench.image.elf).bound
    assert bench.chip.stack_peak <= bound
    return bench.image.ram + bound


@pytest.fixture(scope="module")
def digits_model() -> Model:
    digits = mnist()
    x = digits.train_x[:10000].reshape(-1, 784).astype(np.float32) / 255
    net = Sequential((784,), [Dense(32, activation="relu"), Dense(10), Softmax()], seed=1)
    net.fit(x, digits.train_y[:10000], epochs=4, batch_size=32, seed=1, progress=False)
    return quantize(net.network(), x[:500])


def test_a_head_learns_rotated_digits(digits_model: Model, tmp_path: Path) -> None:
    digits = mnist()
    test = codes(np.rot90(digits.test_x, axes=(1, 2)))
    upright = (digits_model.run(codes(digits.test_x)).argmax(axis=1) == digits.test_y).mean()
    turned = (digits_model.run(test).argmax(axis=1) == digits.test_y).mean()
    head = IntegerSequential.from_model(digits_model, seed=1)
    trainer = make_trainer(head, learning_rate=0.02, optimize=Optimize.SPEED)
    bench = Bench(trainer, tmp_path)
    samples = zip(codes(np.rot90(digits.train_x[:STEPS], axes=(1, 2))), digits.train_y[:STEPS].tolist(), strict=True)
    cycles = bench.train(samples)
    assert len(cycles) == STEPS
    model = trainer.network(bench.state()).model()
    after = (model.run(test).argmax(axis=1) == digits.test_y).mean()
    assert after - turned >= (upright - turned) / 2, (upright, turned, after)
    assert ram(bench) <= 4096
    assert max(cycles) <= 0.025 * CLOCK


def test_xor_within_the_fields_half(tmp_path: Path) -> None:
    """2-3-1, float32, Adam, an epoch of 4 samples: AIfES needs 14.1 ms, 1,414 B of RAM and 20,802 B of flash."""
    x, y = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]]), np.float32([[0], [1], [1], [0]])
    net = Sequential((2,), [Dense(3), Sigmoid(), Dense(1), Sigmoid()], seed=4)
    trainer = make_trainer(net, loss=MSE(), optimizer=Adam(0.1), batch_size=4)
    bench = Bench(trainer, tmp_path)
    cycles = bench.train((x[i % 4], y[i % 4]) for i in range(STEPS))
    epochs = np.array(cycles).reshape(-1, 4).sum(axis=1)
    assert epochs.max() <= 0.006 * CLOCK
    assert ram(bench) <= 600
    assert bench.image.flash <= 8192
    trained = trainer.network(bench.state())
    assert np.abs(trained.predict(x) - y).max() < 0.05
    net.fit(x, y, loss=MSE(), optimizer=Adam(0.1), epochs=STEPS // 4, batch_size=4, progress=False)
    assert np.abs(net.predict(x) - y).max() < 0.05
