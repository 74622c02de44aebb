"""The demo end to end, in its short form."""

import json
import re
import subprocess
import sys

import numpy as np

import engine
from enginekit import datasets, digits, evaluate


def test_quick_demo_writes_what_it_says(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "enginekit.demo", "--quick", "--images", "4", "--seed", "3", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for row in ("accuracy float", "accuracy int8, host", "accuracy int8, chip", "flash", "RAM", "stack", "time per inference"):
        assert re.search(rf"^ *{row}", done.stdout, re.M), done.stdout
    assert re.search(r"^bytes chip unlike host +0 of 40 +0 of 40$", done.stdout, re.M), done.stdout
    results = json.loads((out / "results.json").read_text())
    images = datasets.mnist()
    assert results["facts"]["images"] == images.source
    for recipe, found in zip(digits.RECIPES, results["networks"], strict=True):
        model = engine.load(out / f"{recipe.slug}.tflite")
        x = evaluate.codes(model, images.test_x[:1000])
        assert found["accuracy_int8_host"] == evaluate.accuracy(model.run(x), images.test_y[:1000])
        assert found["differing_bytes_host_reference"] == 0
        assert found["differing_bytes_chip_host"] == 0
        assert abs(found["accuracy_int8_host"] - found["accuracy_float"]) <= 0.01
        assert found["chip"]["images"] == 4
        assert flash_of(out / f"{recipe.slug}.hex") == found["chip"]["flash_bytes"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(recipe.name in page for recipe in digits.RECIPES)
    assert "https://" not in page


def flash_of(path):
    """Bytes that an Intel HEX file writes."""
    lines = path.read_text().splitlines()
    assert lines[-1].upper() == ":00000001FF"
    records = [np.frombuffer(bytes.fromhex(line[1:]), np.uint8) for line in lines]
    assert all(int(record.sum()) % 256 == 0 for record in records)
    return sum(int(record[0]) for record in records if record[3] == 0)
