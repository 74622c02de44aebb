"""Emitted trainers, compiled for the host: the bits of the networks that they were made from, after every step."""

import re

import compilers
import numpy as np
import pytest
import trainers

from engine.errors import DoesNotFitError, EngineError, FormatError, UnsupportedError
from engine.program import OutputS8, Rescale, Window
from engine.training import (
    MSE,
    SGD,
    Adam,
    Conv2D,
    CosineDecay,
    Dense,
    Dropout,
    Flatten,
    Huber,
    IntegerSequential,
    Sequential,
    Softmax,
)
from engine.training.fitting import sample_order
from enginekit import toolchain
from enginekit.chips import ATMEGA4809
from enginekit.costs.stack import Program
from enginekit.emit.golden import GoldenError
from enginekit.records import avr_size
from enginekit.trainer import check_trainer_fits, emit_trainer, make_trainer, plan_trainer
from enginekit.trainer.writer import SIZES, STRUCTS

OK, SELFTEST = 0, 9
NESTED = {"rescale": Rescale, "y": OutputS8, "window": Window}


@pytest.fixture
def learner(tmp_path):
    """Compiles a trainer."""

    def make(trainer):
        return trainers.Learner(emit_trainer(trainer, name="net"), tmp_path, "net")

    return make


@pytest.mark.parametrize("name", trainers.ALL)
def test_every_step_has_the_bits_of_the_twin(name, learner):
    trainer = trainers.ALL[name]()
    device, twin = learner(trainer), trainer.twin()
    assert device["ARENA"] == trainer.written.arena
    assert device["STATE_SIZE"] == trainer.state == len(twin.state())
    device.call("start")
    assert device.get("STATE") == twin.state() == trainer.start_state()
    for i, (x, target) in enumerate(trainers.samples(trainer, 60)):
        for function, expected in (("evaluate", twin.evaluate), ("train_step", twin.train)):
            device.scramble(i)
            device.put("X", x)
            device.put("TARGET", trainer.check_target(target))
            device.call(function)
            want = expected(x, target)
            assert trainer.parse_outcome(device.get("OUTCOME")) == want, f"{name}: {function} {i}"
            assert device.get("STATE") == twin.state(), f"{name}: the state differs after {function} {i}"
        if i % 10 == 0:
            device.scramble(i)
            device.put("X", x)
            device.call("run")
            assert device.get("Y") == twin.run(x).tobytes(), f"{name}: output after step {i}"


@pytest.mark.parametrize("name", ["dense", "head", "xor"])
def test_selftest(name, learner):
    trainer = trainers.ALL[name]()
    device = learner(trainer)
    assert device.call("selftest") == OK
    assert device.get("STATE") == trainer.start_state()


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (r"(dense_2_errors = \{\.count = 3, \.mult = )\d+", r"\g<1>255"),
        (r"(golden_x\[22\] = \{\s+)-?\d+", r"\g<1>77"),
        (r"crc == 0x", "crc != 0x"),
        (r"(start7\[15\] = \{\s+)-?\d+", r"\g<1>5"),
    ],
)
def test_a_selftest_that_must_fail(tmp_path, pattern, new):
    files = emit_trainer(trainers.ALL["dense"]())
    files["model.c"], count = re.subn(pattern, new, files["model.c"])
    assert count == 1
    assert trainers.Learner(files, tmp_path).call("selftest") == SELFTEST


def test_golden_samples_may_be_given(learner, tmp_path):
    trainer = trainers.ALL["head"]()
    files = emit_trainer(trainer, golden=trainers.samples(trainer, 3))
    assert f"model_golden_x[{3 * 56}]" in files["model.c"]
    assert trainers.Learner(files, tmp_path).call("selftest") == OK
    with pytest.raises(GoldenError, match="golden has 0 samples; the self-test of a trainer takes 1 to 255"):
        emit_trainer(trainer, golden=[])
    with pytest.raises(GoldenError, match=r"the label is 4; expected labels in \[0, 3\]"):
        emit_trainer(trainer, golden=[(np.zeros((8, 7, 1), np.int8), 4)])


@pytest.mark.parametrize("name", trainers.ALL)
def test_emission_is_pure(name):
    trainer = trainers.ALL[name]()
    files = emit_trainer(trainer)
    assert emit_trainer(trainer) == files == emit_trainer(trainers.ALL[name]())
    assert trainer.digest == trainers.ALL[name]().digest
    assert max(map(len, files["model.h"].splitlines())) <= 120


def test_the_digest_tells_trainers_apart():
    net = trainers.integer_dense()
    found = {make_trainer(net, learning_rate=rate).digest for rate in (0.1, 0.2)}
    net.layers[0].w[0, 0] += 1
    found |= {make_trainer(net, learning_rate=0.1).digest, make_trainer(net, loss=MSE(), learning_rate=0.1).digest}
    assert len(found | {trainers.ALL[name]().digest for name in trainers.ALL}) == 4 + len(trainers.ALL)


def test_a_trainer_is_not_the_network_that_it_was_made_from():
    net = trainers.integer_dense()
    trainer = make_trainer(net)
    digest, state = trainer.digest, trainer.start_state()
    net.fit(np.zeros((4, 11), np.int8), np.array([0, 1, 2, 0]), learning_rate=0.1)
    twin = trainer.twin()
    twin.train(np.zeros(11, np.int8), 1)
    assert (trainer.digest, trainer.start_state()) == (digest, state)
    assert twin.state() != state


@pytest.mark.parametrize("name", ["xor", "relu", "elu"])
def test_batches_are_those_of_fit(name):
    """The chip sees a batch's samples one after the other; the result is that of fit, bit for bit."""
    trainer = trainers.ALL[name]()
    twin, net = trainer.twin(), trainer.network(trainer.start_state())
    found = trainers.samples(trainer, 8 * trainer.batch_size)
    for x, target in found:
        twin.train(x, target)
    for at in range(0, len(found), trainer.batch_size):
        batch = found[at : at + trainer.batch_size]
        x, y = np.stack([x for x, _ in batch]), np.array([target for _, target in batch])
        order = np.argsort(sample_order(net.seed, net.epochs, len(batch)))
        net.fit(x[order], y[order], loss=trainer.rule, optimizer=trainer.optimizer, batch_size=len(batch), progress=False)
    for key, array in net.parameters.items():
        assert array.tobytes() == twin.net.parameters[key].tobytes(), key


@pytest.mark.parametrize("name", ["two layers", "conv", "xor", "fused"])
def test_a_state_becomes_a_network_that_trains_on(name):
    trainer = trainers.ALL[name]()
    twin, found = trainer.twin(), trainers.samples(trainer, 26)
    for x, target in found[:13]:
        twin.train(x, target)
    net = trainer.network(twin.state())
    other = type(twin)(trainer, net)
    other._samples = getattr(twin, "_samples", None)
    for x, target in found[13:]:
        assert other.train(x, target) == twin.train(x, target)
    assert other.state() == twin.state()
    if trainer.kind == "integer":
        assert net.model().digest == twin.net.model().digest


def test_states_that_are_none():
    trainer = trainers.ALL["head"]()
    state = bytearray(trainer.start_state())
    with pytest.raises(FormatError, match=r"a state of 5 bytes; this trainer's has"):
        trainer.network(b"12345")
    w = trainer.fields[-1].offset
    with pytest.raises(FormatError, match="weights below -32512"):
        trainer.network(bytes(state[:w]) + (-32513).to_bytes(2, "little", signed=True) + bytes(state[w + 2 :]))
    with pytest.raises(FormatError, match="all zero"):
        trainer.network(bytes(state[:4]) + bytes(16) + bytes(state[20:]))
    xor = trainers.ALL["xor"]()
    with pytest.raises(FormatError, match="dense/w holds NaN"):
        xor.network(bytes(4) + np.float32(np.nan).tobytes() + xor.start_state()[8:])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: make_trainer(5), TypeError, "net is 5; expected an IntegerSequential or a Sequential"),
        (lambda: make_trainer(trainers.head(), learning_rate=-1.0), ValueError, "learning_rate is -1"),
        (lambda: make_trainer(trainers.head(), loss=Huber()), TypeError, "in integers there are"),
        (lambda: make_trainer(trainers.head(), batch_size=4), ValueError, "a batch_size of 1; give it a learning_rate"),
        (lambda: make_trainer(trainers.head(), optimizer=Adam()), ValueError, "has no optimizer"),
        (lambda: make_trainer(trainers.xor(), learning_rate=0.1), ValueError, "give a Sequential an optimizer"),
        (lambda: make_trainer(trainers.xor(), batch_size=3), ValueError, "batch_size is 3; expected a power of two"),
        (lambda: make_trainer(trainers.xor(), optimizer="adam"), TypeError, "optimizer is 'adam'"),
        (lambda: make_trainer(trainers.xor(), loss="mse"), TypeError, "loss is 'mse'"),
        (
            lambda: make_trainer(trainers.xor(), optimizer=SGD(CosineDecay(0.1, 100))),
            UnsupportedError,
            "no a schedule as learning rate",
        ),
        (lambda: make_trainer(trainers.xor(), optimizer=SGD(0.1, clipnorm=1.0)), UnsupportedError, "clipping by norm"),
        (
            lambda: make_trainer(Sequential((4, 4, 1), [Conv2D(2, 3), Flatten(), Dropout(0.1), Dense(2)])),
            UnsupportedError,
            r"no layer conv2d \(Conv2D\); no layer dropout \(Dropout\)\. Layers supported: Dense, Flatten",
        ),
        (lambda: make_trainer(Sequential((4,), [Softmax()])), UnsupportedError, "has no weights"),
        (
            lambda: make_trainer(IntegerSequential((4,), [Dense(2)], x_scale=1.0, weight_range=8)),
            UnsupportedError,
            "too coarse for softmax cross-entropy",
        ),
        (
            lambda: emit_trainer(make_trainer(IntegerSequential((300,), [Dense(60)]))),
            EngineError,
            "has 36000 bytes; avr-gcc takes at most 32767",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "x", "target", "error", "message"),
    [
        ("head", np.zeros((8, 7, 1), np.float32), 1, TypeError, "x is an array of float32; this trainer takes int8"),
        ("head", np.zeros((8, 7), np.int8), 1, ValueError, r"x has shape \(8, 7\); this trainer takes \(8, 7, 1\)"),
        ("head", np.zeros((8, 7, 1), np.int8), 4, ValueError, r"the label is 4; expected labels in \[0, 3\]"),
        ("head", np.zeros((8, 7, 1), np.int8), 1.0, TypeError, "the target is 1.0; this trainer takes a label"),
        ("head", np.zeros((8, 7, 1), np.int8), True, TypeError, "the target is True"),
        ("xor", np.float32([0, np.nan]), np.float32([1]), ValueError, "x holds NaN or infinity"),
        ("xor", np.float32([0, 1]), np.float32([np.inf]), ValueError, "the target holds NaN or infinity"),
        ("xor", np.float32([0, 1]), 1, TypeError, r"the target is int; this trainer takes float32\[1\]"),
        ("xor", np.float32([0, 1]), np.float64([1]), TypeError, r"the target is float64\[1\]"),
    ],
)
def test_samples_that_do_not_fit(name, x, target, error, message):
    twin = trainers.ALL[name]().twin()
    state = twin.state()
    with pytest.raises(error, match=message):
        twin.train(x, target)
    assert twin.state() == state


@pytest.mark.parametrize("struct", STRUCTS)
def test_records_are_those_of_the_headers(struct, tmp_path):
    """Names, order, types and sizes on the chip, judged by its compiler."""
    place, checks = 0, []
    for member, kind in STRUCTS[struct].items():
        checks.append(f'_Static_assert(offsetof({struct}, {member}) == {place}, "place of {member}");')
        if kind == "record":
            size = avr_size(NESTED[member])
        else:
            size = SIZES[kind]
            checks.append(f'_Static_assert(_Generic((({struct} *)0)->{member}, {kind}: 1, default: 0), "type of {member}");')
        checks.append(f'_Static_assert(sizeof((({struct} *)0)->{member}) == {size}, "size of {member}");')
        place += size
    checks.append(f'_Static_assert(sizeof({struct}) == {place}, "size of {struct}");')
    headers = "\n".join(f'#include "eng/{name}.h"' for name in ("train_int", "layer_f32", "loss_f32", "update_f32"))
    (tmp_path / "check.c").write_text(f"#include <stddef.h>\n{headers}\n" + "\n".join(checks) + "\n")
    compilers.run([*compilers.avr(), "-c", tmp_path / "check.c", "-o", tmp_path / "check.o"])


def test_the_header_is_fine_in_cpp(tmp_path):
    (tmp_path / "net.h").write_text(emit_trainer(trainers.ALL["xor"](), name="net")["net.h"])
    (tmp_path / "use.cpp").write_text(
        '#include "net.h"\nvoid go(uint8_t *arena) { net_start(arena); net_train_step(arena); }\n'
    )
    compilers.run(["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", *compilers.INCLUDE, "-c", "use.cpp"], cwd=tmp_path)


@pytest.mark.parametrize("name", trainers.ALL)
def test_plans_are_what_is_built(name, firmware_folder):
    """RAM and constants exactly; code within 5 %; the stack within its bound."""
    trainer = trainers.ALL[name]()
    costs = plan_trainer(trainer)
    image = toolchain.build_firmware(emit_trainer(trainer), firmware_folder)
    assert costs.ram == image.ram
    assert costs.data + costs.golden == image.model_data
    assert costs.unknown == ()
    assert abs(costs.flash / image.flash - 1) <= 0.05
    assert 0 <= costs.stack - Program(image.elf).bound <= 30
    assert costs.state + costs.work == costs.arena == trainer.written.arena
    assert sum(size for _, size in costs.parts) == costs.state


@pytest.fixture(scope="module")
def firmware_folder(tmp_path_factory):
    """Where the core is built once for all trainers."""
    return tmp_path_factory.mktemp("firmware")


def test_what_does_not_fit_is_refused_by_bytes():
    trainer = make_trainer(IntegerSequential((300,), [Dense(10, activation="relu"), Dense(2)]))
    costs = plan_trainer(trainer)
    lacks = costs.ram + costs.stack - ATMEGA4809.ram
    assert lacks > 0
    with pytest.raises(DoesNotFitError, match=rf"RAM: {costs.ram:,} bytes \(weights and biases .*: {lacks:,} bytes too many"):
        check_trainer_fits(costs, ATMEGA4809)
