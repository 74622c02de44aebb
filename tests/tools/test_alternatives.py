"""Why an encoding was chosen: what it beat, at what cost, and which limits decided."""

import json
from itertools import pairwise

import numpy as np
import pytest
from command_line import run
from dense_grids import model_of, some_inputs
from random_graphs import CHAINS

from engine.errors import DoesNotFitError
from engine.model import Model
from enginekit.cli.choice import explanation
from enginekit.encode.choose import Limits, Optimize, candidates, encode
from enginekit.plan import plan
from enginekit.proofs import prove

#: Bytes by which a call may be longer or shorter than estimated, for each of a step's two to four.
CALL = 24


def layers(*sizes):
    rng = np.random.default_rng(sizes[0])
    return model_of([rng.integers(-8, 8, (out, size)).astype(np.int8) for size, out in pairwise(sizes)])


@pytest.fixture(scope="module")
def model():
    return layers(60, 16, 10)


@pytest.fixture(scope="module")
def samples(model):
    return some_inputs(model, 3)


def with_each(model, encoding, index, samples):
    """Encode a model with each candidate of step `index`, all other steps as they are."""
    for candidate in candidates(model, prove(model), index):
        chosen = [[placed.candidate] for placed in encoding.steps]
        chosen[index] = [candidate]
        yield encode(model, encoding.optimize, samples=samples, encoders=[lambda context, chosen=chosen: chosen[context.index]])


@pytest.mark.parametrize("optimize", Optimize)
def test_an_alternative_costs_what_a_firmware_with_it_costs(model, samples, optimize):
    encoding = encode(model, optimize, samples=samples)
    chosen = plan(model, encoding)
    for index, step in enumerate(chosen.steps):
        told = {(each.encoding, each.symbols): each for each in step.alternatives}
        assert len(told) == len(step.alternatives) > 10
        for changed in with_each(model, encoding, index, samples):
            other = plan(model, changed)
            found = other.steps[index]
            if (found.encoding, found.symbols) == (step.encoding, step.symbols):
                continue
            about = told.pop((found.encoding, found.symbols))
            what = f"{step.name}: {about}"
            assert other.firmware - chosen.firmware == pytest.approx(about.flash, abs=2 * CALL), what
            assert other.arena - chosen.arena == about.arena, what
            assert changed.stack - encoding.stack == about.stack, what
            for key, difference in (("mean_cycles", about.mean), ("worst_cycles", about.worst)):
                assert getattr(found, key) - getattr(step, key) == pytest.approx(difference, abs=4 * CALL), what
        assert not told, "alternatives that no encoder gives"


@pytest.mark.parametrize("optimize", Optimize)
@pytest.mark.parametrize("name", [name for name in CHAINS if name != "split"])
def test_nothing_that_keeps_to_the_limits_is_better(name, optimize):
    for alternatives in encode(Model(CHAINS[name]()), optimize).reasons.alternatives:
        assert all(each.score >= 0 and not each.exceeds for each in alternatives)
        assert [each.score for each in alternatives] == sorted(each.score for each in alternatives)


@pytest.mark.parametrize("limit", ["flash", "ram", "ms"])
def test_the_limit_that_decided_is_named_with_what_it_lacks(model, samples, limit):
    free = plan(model, encode(model, Optimize.SPEED, samples=samples))
    used = {"flash": free.firmware, "ram": free.ram + free.stack, "ms": free.worst_ms}
    assert not free.exceeded
    assert not free.unlimited
    loose = plan(model, encode(model, Optimize.SPEED, samples=samples, limits=Limits(**{limit: 2 * used[limit]})))
    assert (loose.exceeded, loose.unlimited) == ({}, ())
    lacks = {"flash": 60, "ram": 8, "ms": 0.05}[limit]
    tight = plan(model, encode(model, Optimize.SPEED, samples=samples, limits=Limits(**{limit: used[limit] - lacks})))
    assert tight.exceeded == {limit: pytest.approx(lacks, abs=0.01 if limit == "ms" else 2 * CALL)}
    assert tight.unlimited == tuple(step.encoding for step in free.steps)
    left = {"flash": tight.firmware, "ram": tight.ram + tight.stack, "ms": tight.worst_ms}
    assert left[limit] <= used[limit] - lacks + (2 * CALL if limit == "flash" else 0.01)
    assert any(limit in each.exceeds for step in tight.steps for each in step.alternatives)
    text = explanation(tight, all_of_them=False)
    assert "limits decided: the best without them (dense_0: " in text
    assert {"flash": "bytes of flash", "ram": "bytes of RAM", "ms": "ms for the slowest input"}[limit] in text.splitlines()[1]


def test_a_refusal_says_what_lacks(model):
    for limits, message in (
        (Limits(flash=3000), r"keeps to the limits\. The nearest \(.*\): flash: [\d,]+ bytes too many for 3,000"),
        (Limits(ms=0.01), r"slowest input: \d+\.\d\d ms too many for 0\.01"),
        (Limits(ram=100), r"RAM: [\d,]+ bytes too many for 100"),
    ):
        with pytest.raises(DoesNotFitError, match=message):
            encode(model, Optimize.SPEED, limits=limits)


@pytest.mark.parametrize("verb", ["emit", "inspect"])
def test_the_program_gives_a_reason_for_each_layer(verb, model, capsys, tmp_path):
    model.save(tmp_path / "net.tflite")
    argv = [verb, tmp_path / "net.tflite", "--optimize", "speed", *(["-o", tmp_path] if verb == "emit" else [])]
    code, out, err = run(capsys, *argv)
    assert code == 0
    costs = plan(model, encode(model, Optimize.SPEED))
    said = err if verb == "emit" else out
    assert "chosen for speed: fewest cycles on average with 0.25 of the slowest input's, a byte of flash counting 4" in said
    for step in costs.steps:
        next_best = step.alternatives[0]
        assert f"{step.name}: {step.encoding}, rather than {next_best.encoding} (" in said
        more = f"{abs(next_best.flash):,} bytes {'more' if next_best.flash > 0 else 'fewer'}"
        assert (more if next_best.flash else "as many bytes") in said
    assert "worse by" not in said
    code, out, err = run(capsys, *argv, "--explain", "--json")
    assert code == 0
    for step, told in zip(costs.steps, json.loads(out)["steps"], strict=True):
        assert [each["flash"] for each in told["alternatives"]] == [each.flash for each in step.alternatives]
    if verb == "emit":
        assert err.count("worse by") == len(costs.steps)
        for step in costs.steps:
            assert all(f" {100 * each.score:.1f} %" in err for each in step.alternatives)


def test_what_a_limit_forbids_is_said(model, samples):
    free = plan(model, encode(model, Optimize.SPEED, samples=samples))
    tight = plan(model, encode(model, Optimize.SPEED, samples=samples, limits=Limits(flash=free.firmware - 60)))
    forbidden = [each for step in tight.steps for each in step.alternatives if each.exceeds and each.score < 0]
    assert forbidden
    assert all(each.exceeds["flash"] > 0 for each in forbidden)
    assert f"; not {forbidden[0].encoding} (" in explanation(tight, all_of_them=False)


def test_a_layer_of_one_kind_says_so():
    text = explanation(plan(Model(CHAINS["conv_pool"]())), all_of_them=True)
    assert "the only encoding that it can have" in text
