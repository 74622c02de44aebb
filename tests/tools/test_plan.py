"""Plans: what is counted, what does not fit, and by how much."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from random_graphs import CHAINS, Chain

from engine.errors import DoesNotFitError
from engine.graph import Activation
from engine.model import Model
from enginekit.chips import ATMEGA4809, Chip
from enginekit.encode.choose import Optimize, encode
from enginekit.encode.plain import plain
from enginekit.plan import check_fits, plan


def test_the_chip():
    assert Chip("ATmega4809", 49152, 48640, 6144, 20_000_000) == ATMEGA4809


def test_a_dense_layer_by_hand():
    model = Model(Chain((13,)).dense(7).graph())
    (step,) = plan(model, encode(model, Optimize.SIZE, encoders=[plain])).steps
    assert (step.weights, step.bias, step.tables, step.params) == (91, 28, 42, 10)
    assert step.flash == 171
    assert step.macs == 91
    assert (step.x_size, step.y_size) == (13, 7)


def test_the_digit_cnn_by_hand():
    chain = Chain((28, 28, 1)).conv(12, 3, activation=Activation.RELU).pool("max_pool2d", 2).flatten().dense(10)
    model = Model(chain.graph())
    costs = plan(model, encode(model, Optimize.SIZE, encoders=[plain]))
    conv, dense = costs.steps
    assert (conv.weights, conv.bias, conv.tables, conv.params) == (108, 48, 72, 59)
    assert conv.macs == 26 * 26 * 12 * 9
    assert (conv.x_size, conv.y_size) == (784, 2028)
    assert (dense.weights, dense.bias, dense.tables, dense.params) == (20280, 40, 60, 10)
    assert costs.arena == max(784 + 2028, 2028 + 10)
    assert costs.flash == 108 + 48 + 72 + 59 + 20280 + 40 + 60 + 10


def test_a_split_layer_has_one_record_a_part():
    model = Model(CHAINS["split"]())
    (step, _) = plan(model, encode(model, Optimize.SIZE, encoders=[plain])).steps
    assert step.params == 3 * 10


@pytest.mark.parametrize("name", CHAINS)
def test_accumulator_bits_hold_and_are_tight(name):
    model = Model(CHAINS[name]())
    for step, costs in zip(model.program.steps, plan(model).steps, strict=True):
        if step.acc_bound:
            assert max(-costs.acc_low, costs.acc_high) <= step.acc_bound
        if costs.acc_bits:
            half = 1 << (costs.acc_bits - 1)
            assert -half <= costs.acc_low <= costs.acc_high < half
            assert costs.acc_low < -half // 2 or costs.acc_high >= half // 2


@pytest.mark.parametrize("name", CHAINS)
def test_the_arena_is_the_end_of_the_last_buffer(name):
    costs = plan(Model(CHAINS[name]()))
    assert costs.arena == max(step.arena for step in costs.steps)


def test_as_dict_is_json_and_adds_up():
    costs = plan(Model(CHAINS["conv_pool"]()))
    about = json.loads(json.dumps(costs.as_dict()))
    assert about["flash"] == sum(step["flash"] for step in about["steps"]) == costs.flash
    assert about["golden"] == 144 + 10
    assert {"name", "kernel", "layers", "weights", "bias", "tables", "params", "macs", "acc_bits"} <= set(about["steps"][0])


def test_what_fits_is_not_refused():
    costs = plan(Model(CHAINS["digits"]()))
    check_fits(costs, ATMEGA4809)
    check_fits(costs, ATMEGA4809, code=48640 - costs.flash, stack=6144 - costs.arena)


def test_too_much_flash_names_bytes_and_layer():
    costs = plan(Model(CHAINS["split"]()))
    lacking = costs.flash - 48640
    message = f"flash: {costs.flash:,} bytes of data, but ATmega4809 has 48,640: {lacking:,} bytes too many; layer"
    with pytest.raises(DoesNotFitError, match=re.escape(message)):
        check_fits(costs, ATMEGA4809)


def test_code_and_stack_count():
    costs = plan(Model(CHAINS["dense"]()))
    with pytest.raises(DoesNotFitError, match="and 48,640 bytes of code, but") as error:
        check_fits(costs, ATMEGA4809, code=48640, stack=6144)
    assert f": {costs.flash:,} bytes too many" in str(error.value)
    assert f": {costs.arena:,} bytes too many" in str(error.value)
    assert "RAM" in str(error.value)


def test_one_byte_decides():
    costs = replace(plan(Model(CHAINS["dense"]())), arena=6144)
    check_fits(costs, ATMEGA4809)
    with pytest.raises(DoesNotFitError, match="1 bytes too many"):
        check_fits(replace(costs, arena=6145), ATMEGA4809)


def test_large_maps_name_the_layer():
    chain = Chain((42, 42, 1)).conv(16, 3, zero=-128).pool("average_pool2d", 2)
    costs = plan(Model(chain.graph()))
    assert costs.arena > 6144
    with pytest.raises(DoesNotFitError, match=r"layer '\w+' reads [\d,]+ and writes [\d,]+"):
        check_fits(costs, ATMEGA4809)


def test_macs_are_those_of_the_definition():
    model = Model(Chain((9, 7, 2)).conv(3, 3, 2).graph())
    (step,) = plan(model).steps
    out = model.output.shape[1:]
    assert step.macs == int(np.prod(out)) * 3 * 3 * 2
