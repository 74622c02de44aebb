"""Figures of an evaluation: accuracy, differing bytes, tables."""

import json

import numpy as np
import pytest

from enginekit import evaluate
from enginekit.cli import output
from enginekit.onchip import ChipRun, FunctionCycles

Y = np.array([[-128, 127, 0], [5, 5, -1], [0, 1, 2], [-128, -128, -128]], np.int8)
LABELS = np.array([1, 1, 2, 0], np.uint8)


def chip_run(y):
    return ChipRun(
        y, np.array([20_000, 40_000][: len(y)]), (1000.0, 28_000.5), (FunctionCycles("f", 29_000.0),), 4096, 900, 800, 99
    )


def test_the_first_of_equal_outputs_is_the_class():
    assert evaluate.classes(Y).tolist() == [1, 0, 2, 0]
    assert evaluate.classes(Y.reshape(4, 1, 1, 3)).tolist() == [1, 0, 2, 0]


def test_accuracy():
    assert evaluate.accuracy(Y, LABELS) == 0.75
    assert evaluate.accuracy(Y[:1], LABELS) == 1.0
    assert evaluate.accuracy(None, LABELS) is None
    assert evaluate.accuracy(Y, None) is None
    assert evaluate.accuracy(Y[:0], LABELS) is None


def test_differing_bytes():
    other = Y.copy()
    other[0, 0], other[3, 2] = 127, 0
    assert evaluate.differing_bytes(Y, Y) == 0
    assert evaluate.differing_bytes(Y, other) == 2
    assert evaluate.differing_bytes(np.float32([1.0, 2.0]), np.float32([1.0, -2.0])) == 1
    with pytest.raises(ValueError, match=r"int8\[4, 3\] and int8\[3, 3\]"):
        evaluate.differing_bytes(Y, Y[:3])
    with pytest.raises(ValueError, match="cannot be compared"):
        evaluate.differing_bytes(Y, Y.view(np.uint8))


def test_an_evaluation_compares_what_both_have():
    wrong = Y[:2].copy()
    wrong[1, 2] = 3
    found = evaluate.Evaluation("net", None, Y, LABELS, 0.8, evaluate.ReferenceRun(Y ^ np.int8(1), "other"), chip_run(wrong))
    assert found.host_accuracy == 0.75
    assert found.chip_accuracy == 0.5
    assert found.chip_difference == 1
    assert found.reference_difference == 12
    plain = json.loads(output.as_json(evaluate.summary(found)))
    assert plain["chip"]["cycles_mean"] == 30_000
    assert plain["chip"]["ms_mean"] == 1.5
    rows = dict(evaluate.table([found]))
    assert rows["accuracy float"] == "80.00% of 4"
    assert rows["accuracy int8, chip"] == "50.00% of 2"
    assert rows["bytes unlike TFLite reference"] == "12 of 12"
    assert rows["bytes chip unlike host"] == "1 of 6"
    assert rows["time per inference, 20 MHz"] == "1.5 ms"


def test_what_was_not_measured_is_left_out():
    empty = evaluate.Evaluation("net", None)
    assert evaluate.table([empty]) == []
    plain = evaluate.summary(empty)
    assert plain["chip"] is None
    assert plain["accuracy_int8_host"] is None
    host = evaluate.Evaluation("net", None, Y, LABELS)
    assert [row[0] for row in evaluate.table([host, empty])] == ["accuracy int8, host"]
