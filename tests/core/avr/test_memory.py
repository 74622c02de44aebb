"""Models in less RAM than the host's program takes, on host and chip: in place, and in strips of every height."""

from dataclasses import dataclass

import numpy as np
import pytest
from avr_costs import table_at_hand
from emitted_layers import Layers
from random_graphs import CHAINS, R6, SAME, Chain, R

from engine.errors import DoesNotFitError
from engine.model import Model
from enginekit import costs
from enginekit.costs.calls import FRAME_STACK
from enginekit.encode.choose import Encoding, Limits, Optimize, encode
from enginekit.encode.footprint import stack_bound, static_ram
from enginekit.encode.memory import flow_of, programs
from enginekit.plan import plan

ZERO = {"activation": R, "zero": -128}
NETWORKS = {
    "convolutions and a pool": lambda: (
        Chain((11, 9, 1), zero=-128).conv(5, 3, padding=SAME, **ZERO).conv(6, 3, padding=SAME, **ZERO).pool("max_pool2d", 2)
    ),
    "strides": lambda: Chain((13, 8, 2), zero=17).conv(7, 3, 2, padding=SAME, activation=R6).conv(3, 2, 2),
    "dilated": lambda: Chain((12, 7, 1)).conv(6, 3, dilation=2, padding=SAME, **ZERO).conv(2, 3, dilation=2),
    "separable": lambda: (
        Chain((10, 8, 3), zero=-128)
        .depthwise(3, **ZERO)
        .conv(9, 1, **ZERO)
        .depthwise(3, 2, **ZERO)
        .conv(4, 1, activation=R6, zero=-128)
    ),
    "in place": lambda: Chain((6, 5, 4), zero=-128).depthwise(3, **ZERO).conv(4, 1, **ZERO).depthwise(5, **ZERO).mean(),
    "pools": lambda: (
        Chain((9, 9, 2)).conv(6, 3, padding=SAME).pool("average_pool2d", 3, 2, SAME).pool("max_pool2d", 2, 1).flatten().dense(5)
    ),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A model and one of the ways to emit it."""

    model: Model
    encoding: Encoding
    name: str


def ram(model, encoding):
    table = encoding.table
    return static_ram(model, table, encoding.arena, 0) + stack_bound(table, encoding.stack)


def ways(name, model):
    """Encodings that need less and less RAM, until the model is refused."""
    limit = None
    while True:
        try:
            encoding = encode(model, Optimize.SPEED, limits=Limits(ram=limit), table=table_at_hand())
        except DoesNotFitError:
            return
        yield Case(model, encoding, f"{name}, {'; '.join(placed.candidate.encoding for placed in encoding.steps)}, {limit}")
        limit = ram(model, encoding) - 1


CASES = [case for name, chain in NETWORKS.items() for case in ways(name, Model(chain().graph()))]


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return Layers(CASES, tmp_path_factory.mktemp("layers"))


def inputs(shape):
    rng = np.random.default_rng(3)
    yield rng.integers(-128, 128, shape)
    yield np.where(rng.random(shape) < 0.1, rng.integers(-128, 128, shape), -128)
    yield rng.choice([-128, 127], shape)


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_the_same_codes_in_less_ram(layers, name):
    case = layers.cases[name]
    for codes in inputs(case.model.input.shape):
        x = codes.astype(np.int8)
        want = case.model.run(x)
        on_chip, call = layers.chip(name, x)
        np.testing.assert_array_equal(layers.host(name, x), want)
        np.testing.assert_array_equal(on_chip, want)
        planned = plan(case.model, encode(case.model, case.encoding), samples=x)
        assert call.cycles <= 1.01 * planned.worst_ms * 20_000
        assert call.stack <= case.encoding.stack + FRAME_STACK + 2


def test_every_way_is_tried():
    found = {name: [case.name for case in CASES if case.name.startswith(name)] for name in NETWORKS}
    for name in ("convolutions and a pool", "strides", "dilated", "separable", "pools"):
        assert sum("strips" in each for each in found[name]) >= 2, found[name]
    assert len({case.encoding.arena for case in CASES if case.name.startswith("separable")}) >= 4
    program = next(case.encoding.program for case in CASES if case.name.startswith("in place"))
    assert [step.x_offset == step.y_offset for step in program.steps] == [True, True, True, False]


@pytest.mark.parametrize("name", CHAINS)
def test_placements_keep_apart_what_is_alive(name):
    model = Model(CHAINS[name]())
    flow = flow_of(model)
    assert max(flow.y, default=0) < len(flow.sizes)
    for program in programs(model):
        assert program.arena < model.program.arena
        for index, step in enumerate(program.steps):
            assert step.x_offset + step.x_size <= program.arena
            later = [s for s in program.steps[index + 1 :] if step.y_offset <= s.x_offset < step.y_offset + step.y_size]
            assert later or any(step.y_offset <= at < step.y_offset + step.y_size for at in program.output_offsets)
        assert all(at < program.arena for at in (*program.input_offsets, *program.output_offsets))


def test_what_does_not_fit_in_strips_either_is_refused():
    model = Model(Chain((40, 40, 3)).conv(16, 3, padding=SAME, **ZERO).conv(16, 3, padding=SAME, **ZERO).graph())
    with pytest.raises(DoesNotFitError, match=r"no combination of encodings keeps to the limits.*RAM"):
        encode(model, Optimize.SPEED, limits=Limits(ram=6144))


def test_the_chips_ram_is_kept_to_unasked():
    """Two convolutions whose map alone is larger than the chip's RAM."""
    chain = (
        Chain((28, 28, 1), zero=-128).conv(12, 3, padding=SAME, **ZERO).conv(8, 3, padding=SAME, **ZERO).pool("max_pool2d", 2)
    )
    model = Model(chain.graph())
    assert model.program.arena > 6144
    encoding = encode(model, Optimize.SPEED)
    assert "strips" in encoding.steps[0].candidate.encoding
    assert ram(model, encoding) <= costs.load().chip.ram


def test_the_example_of_the_docs():
    """What docs/device.md says of strips."""
    convs = Chain((28, 28, 1), zero=-128).conv(16, 3, padding=SAME, **ZERO).conv(16, 3, padding=SAME, **ZERO)
    model = Model(convs.pool("max_pool2d", 2).conv(8, 3, 2, **ZERO).flatten().dense(10).graph())
    planned = plan(model, encode(model, Optimize.SPEED))
    assert (model.program.arena, planned.ram) == (28 * 28 * 16 + 14 * 14 * 16, 5697)
    assert planned.steps[0].encoding.startswith("6 strips: ")
