"""Networks that the chip trains, their samples, and emitted trainers as libraries of the host."""

import ctypes
import functools
import re
import tempfile
from pathlib import Path

import compilers
import numpy as np
from random_graphs import Chain

from engine.graph import Activation
from engine.model import Model
from engine.training import (
    MSE,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Conv2D,
    Dense,
    Elu,
    Exponential,
    Flatten,
    Ftrl,
    Huber,
    IntegerSequential,
    LeakyRelu,
    MaxPool2D,
    Nadam,
    Relu,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from enginekit.trainer import make_trainer

#: Undefined behaviour, misaligned access among it, stops the process.
TRAPS = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")


def head(layers=1, *, seed=1):
    """An int8 convolutional network whose last dense layers are trained."""
    chain = Chain((8, 7, 1), scale=1 / 255, zero=-128, seed=seed).conv(3, 3, activation=Activation.RELU).pool("max_pool2d", 2)
    chain = chain.flatten().dense(9, Activation.RELU).dense(4).softmax()
    return IntegerSequential.from_model(Model(chain.graph()), layers=layers, seed=seed)


def integer_conv():
    """Convolutions, an overlapping pool and dense layers, all trained."""
    layers = [Conv2D(3, 3, padding="same", activation="relu"), MaxPool2D(3, stride=2), Conv2D(2, 2, activation="relu")]
    return IntegerSequential((6, 5, 1), [*layers, Flatten(), Dense(3)], seed=5)


def integer_dense():
    return IntegerSequential((11,), [Dense(7, activation="relu"), Dense(5, activation="relu6"), Dense(3), Softmax()], seed=3)


def xor():
    """The network that the field trains."""
    return Sequential((2,), [Dense(3), Sigmoid(), Dense(1), Sigmoid()], seed=4, name="xor")


def classifier(*middle, outputs=3):
    return Sequential((4,), [Dense(5), *middle, Dense(outputs), Softmax()], seed=6)


#: Trainers by name; each has something that no other has.
INTEGER = {
    "dense": lambda: make_trainer(integer_dense(), learning_rate=0.05),
    "dense squares": lambda: make_trainer(integer_dense(), loss=MSE(), learning_rate=0.05),
    "conv": lambda: make_trainer(integer_conv(), learning_rate=0.1),
    "head": lambda: make_trainer(head(), learning_rate=0.02),
    "two layers": lambda: make_trainer(head(2), learning_rate=0.02),
    "head squares": lambda: make_trainer(head(), loss=MSE(), learning_rate=0.02),
}
FLOAT = {
    "xor": lambda: make_trainer(xor(), optimizer=Adam(0.05), batch_size=4),
    "xor sgd": lambda: make_trainer(xor(), optimizer=SGD(0.5)),
    "logits": lambda: make_trainer(xor(), loss=BinaryCrossEntropy(), optimizer=SGD(0.1, momentum=0.9, nesterov=True)),
    "relu": lambda: make_trainer(classifier(Relu(), Tanh()), optimizer=SGD(0.1, momentum=0.9), batch_size=2),
    "fused": lambda: make_trainer(
        Sequential((2, 2, 1), [Flatten(), Dense(5, activation="relu6"), Tanh(), Dense(3), Softmax()], seed=6),
        optimizer=AdamW(0.01, clipvalue=0.5),
    ),
    "leaky": lambda: make_trainer(classifier(LeakyRelu(), Softplus()), loss=MSE(), optimizer=RMSprop(0.01, centered=True)),
    "elu": lambda: make_trainer(classifier(Elu(0.5)), loss=CategoricalCrossEntropy(), optimizer=Adamax(0.01), batch_size=2),
    "exponential": lambda: make_trainer(
        Sequential((4,), [Exponential(), Dense(2)], seed=1), loss=Huber(0.5), optimizer=Nadam(0.01)
    ),
    "adagrad": lambda: make_trainer(classifier(Tanh()), optimizer=Adagrad(0.05)),
    "adadelta": lambda: make_trainer(classifier(Tanh()), optimizer=Adadelta(0.5)),
    "ftrl": lambda: make_trainer(classifier(Tanh()), optimizer=Ftrl(0.05, l1=1e-3)),
}
ALL = INTEGER | FLOAT


def samples(trainer, count, seed=0):
    """Random samples as a trainer takes them."""
    rng = np.random.default_rng(seed)
    shape, found = trainer.x.shape[1:], []
    for _ in range(count):
        x = rng.integers(-128, 128, shape).astype(np.int8) if trainer.kind == "integer" else rng.normal(0, 1, shape)
        found.append((x.astype(trainer.x.dtype), target(trainer, rng)))
    return found


def target(trainer, rng):
    """A label; codes; or shares that sum to 1, which every loss takes."""
    if trainer.classes:
        return int(rng.integers(trainer.classes))
    if trainer.kind == "integer":
        return rng.integers(-100, 100, trainer.target.shape).astype(np.int8)
    shares = np.zeros(trainer.target.shape, np.float32)
    shares[rng.integers(len(shares))] = rng.integers(2) if len(shares) == 1 else 1
    return shares


@functools.cache
def core_objects():
    """Inference and training of the core, compiled once."""
    folder = Path(tempfile.mkdtemp())
    sources = [p for p in (compilers.ROOT / "csrc/src").glob("*.c") if not p.stem.endswith("_f16") and "model" not in p.stem]
    compilers.run([*compilers.host(), *TRAPS, "-c", *sorted(sources)], cwd=folder)
    return sorted(folder.glob("*.o"))


class Learner:
    """An emitted trainer on the host: the chip's functions on an arena with canaries behind it."""

    CANARY = 64

    def __init__(self, files, folder, name="model"):
        for file, text in files.items():
            (folder / file).write_text(text)
        library = folder / f"{name}.so"
        compilers.run(
            [*compilers.host(), *TRAPS, "-I", folder, "-shared", folder / f"{name}.c", *core_objects(), "-lm", "-o", library]
        )
        self._library, self._name, self._header = ctypes.CDLL(str(library)), name, files[f"{name}.h"]
        self._memory = np.full(self["ARENA"] + self.CANARY, 0xA5, np.uint8)

    def __getitem__(self, macro):
        return int(re.search(rf"#define {self._name.upper()}_{macro} (\d+)", self._header)[1])

    def call(self, function):
        result = self._library[f"{self._name}_{function}"](self._memory.ctypes.data_as(ctypes.c_void_p))
        assert (self._memory[-self.CANARY :] == 0xA5).all(), f"{function} writes behind the arena"
        return result

    def scramble(self, seed):
        """Change everything that a step must not rely on."""
        self._memory[: self["STATE_OFFSET"]] = np.random.default_rng(seed).integers(0, 256, self["STATE_OFFSET"])

    def put(self, part, data):
        raw = np.frombuffer(np.asarray(data).tobytes(), np.uint8)
        assert raw.size == self[f"{part}_SIZE"]
        self._memory[self[f"{part}_OFFSET"] :][: raw.size] = raw

    def get(self, part):
        return self._memory[self[f"{part}_OFFSET"] :][: self[f"{part}_SIZE"]].tobytes()
