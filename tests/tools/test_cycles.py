"""Formulas of the kernels' cycles: against the simulated chip on calls that no price was fitted to."""

import numpy as np
import pytest

from engine.program import CopyParams, DenseParams, QuantizeParams
from enginekit import costs, toolchain
from enginekit.costs import trials
from enginekit.costs.bill import Bill
from enginekit.costs.fit import LEAVES, SEED, UnfittedError, bill_of, fit, observe, order
from enginekit.costs.formulas import FORMULAS, count
from enginekit.costs.measure import empty_model, measure, table_name
from enginekit.costs.samples import Samples
from enginekit.costs.stage import Stage
from enginekit.emit import emit


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cycles")
    roots = [*LEAVES, *(f"eng_{kernel}" for kernel in FORMULAS)]
    return toolchain.build_firmware(emit(empty_model(), golden=[]), folder, roots=roots).elf


@pytest.fixture(scope="module")
def table():
    name = table_name(toolchain.find().version)
    if name not in costs.table.available():
        pytest.skip(f"no table for {name}")
    return costs.load(name)


@pytest.mark.parametrize("kernel", FORMULAS)
def test_a_call_costs_what_the_formula_says(kernel, elf, table):
    """Each call by itself with its inputs known, and the slowest inputs in any case."""
    stage, rng = Stage(elf), np.random.default_rng(SEED + 1)
    for _ in range(25):
        trial = trials.DRAW[kernel](rng, kernel)
        cycles, _ = stage.run(trial)
        about = f"{trial.step.params} {trial.x.tolist()}"
        assert table.priced(bill_of(trial)) == pytest.approx(cycles, rel=0.01 if "f32" in kernel else 0.002), about
        assert table.priced(bill_of(trial, known=False)) >= cycles * (0.99 if "f32" in kernel else 1 - 1e-9), about


@pytest.mark.parametrize("kernel", FORMULAS)
def test_a_sample_costs_what_it_costs_among_others(kernel, table):
    rng = np.random.default_rng(5)
    trial = trials.DRAW[kernel](rng, kernel)
    x = trial.x.reshape(1, -1).view(np.int8)
    others = rng.integers(-20, 20, (2, x.size)).astype(np.int8)
    x2 = None if trial.x2 is None else trial.x2.reshape(1, -1)
    alone = [table.priced(count(trial.step, Samples(x=one[None], x2=x2))) for one in (x[0], *others)]
    together = Samples(x=np.concatenate([x, others]), x2=None if x2 is None else np.repeat(x2, 3, axis=0))
    assert table.priced(count(trial.step, together)) == pytest.approx(np.mean(alone))


def test_no_input_is_slower_than_the_slowest():
    """Of 3 outputs each takes the dearer of its outcomes; what is certain is counted once."""
    bill = Bill()
    bill.add("f", call=1)
    bill.choose(3, "f", {}, {"negative": 1.0}, {"above": 2.0})
    assert bill.cycles({"f": {"call": 10.0, "negative": 3.0, "above": 1.0}}) == 10 + 3 * 3
    assert bill.functions() == {"f"}


def test_a_narrower_range_of_inputs_is_never_slower(table):
    rng = np.random.default_rng(3)
    drawn = (trials.DRAW["conv2d_s8"](rng, "conv2d_s8") for _ in range(100))
    trial = next(each for each in drawn if each.step.params.zero_x not in (0, -128))
    worst = [table.priced(count(trial.step, Samples(*ends))) for ends in ((-128, 127), (trial.step.params.zero_x, 10))]
    assert worst[1] < worst[0]


def test_what_has_no_prices_is_not_promised(table):
    bill = Bill()
    bill.add("eng_newer", call=1)
    assert table.priced(bill) is None
    params = QuantizeParams(3, np.float32(1e-40), 0)
    assert count(trials.trial("quantize_f32_s8", params, np.zeros(3, np.float32), 3).step, Samples()) is None


def test_a_formula_that_lacks_an_event_is_refused(monkeypatch, elf):
    def forgetful(step, samples):
        bill = Bill()
        bill.add("eng_copy_s8", call=1, row=step.params.rows)
        return bill

    monkeypatch.setitem(FORMULAS, "copy_s8", forgetful)
    with pytest.raises(UnfittedError, match=r"eng_copy_s8: its formula is off by \d+"):
        fit("eng_copy_s8", elf, {})


def test_events_that_cannot_be_told_apart_are_refused(monkeypatch, elf):
    def doubtful(step, samples):
        bill = Bill()
        bill.add("eng_copy_s8", call=1, entry=1, row=step.params.rows, byte=step.params.rows * step.params.size)
        return bill

    monkeypatch.setitem(FORMULAS, "copy_s8", doubtful)
    with pytest.raises(
        UnfittedError, match="4 events, but the calls drawn tell only 3 apart: byte, call, entry, row; never: none"
    ):
        fit("eng_copy_s8", elf, {})


def test_callees_come_first(elf):
    assert order(["eng_dense_s8", "eng_add_s8", "eng_dot_s8"]) == ["eng_dot_s8", "eng_add_s8", "eng_dense_s8"]
    with pytest.raises(
        UnfittedError, match="eng_dense_s8 calls eng_dot_s8, eng_requant_single_s8, which must be measured first"
    ):
        fit("eng_dense_s8", elf, {})
    assert fit("eng_runs_s8", elf, {}) is None


def test_one_function_alone_is_measured_again(tmp_path, table):
    about = measure(tmp_path, only=["eng_lookup_s8"], prices=table.cycles)
    assert about["cycles"]["eng_lookup_s8"] == table.cycles["eng_lookup_s8"]
    assert list(about["functions"]) == ["eng_lookup_s8"]
    with pytest.raises(toolchain.EngineError, match="the core has no function eng_nothing; it has eng_add_s24"):
        measure(tmp_path, only=["eng_nothing"])


def test_the_stage_refuses_what_does_not_fit(elf):
    stage = Stage(elf)
    with pytest.raises(toolchain.EngineError, match="bytes of RAM too many"):
        stage.run(trials.trial("copy_s8", CopyParams(1, 6000, 6000, 0), np.zeros(6000, np.int8), 6000))
    big = np.zeros((200, 255), np.int8)
    params = DenseParams(255, 200, 0, trials.output(np.random.default_rng(0)), (trials.rescale(np.random.default_rng(0), 9),))
    with pytest.raises(toolchain.EngineError, match="bytes of flash too many"):
        stage.run(trials.trial("dense_s8", params, big[0], 200, w=big, bias=np.zeros(200, np.int32)))


def test_leaves_are_seen_too(elf, table):
    rng = np.random.default_rng(8)
    for function in LEAVES:
        seen = observe(function, Stage(elf), rng)
        assert table.priced(seen.bill) == pytest.approx(seen.cycles, rel=0.002), function
