"""Training is there as a whole, and inference needs none of it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INCLUDE = ROOT / "csrc/include"
SOURCES = sorted((ROOT / "csrc/src").glob("*.c"))


def declared(header):
    """Functions that a header declares."""
    return set(re.findall(r"\b(eng_\w+)\(", (INCLUDE / "eng" / header).read_text()))


TRAINING = (
    declared("train_f32.h")
    | declared("train_f16.h")
    | declared("train_int.h")
    | declared("update_f32.h")
    | declared("layer_f32.h")
    | declared("loss_f32.h")
    | declared("random.h")
    | declared("math_f32.h")
)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Defined and undefined symbols of every file of the core."""
    folder = tmp_path_factory.mktemp("objects")
    found = {}
    for source in SOURCES:
        target = folder / f"{source.stem}.o"
        subprocess.run(["cc", "-std=c11", "-O2", f"-I{INCLUDE}", "-c", str(source), "-o", str(target)], check=True)
        listing = subprocess.run(["nm", "-g", "-P", str(target)], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listing.splitlines()]
        found[source.name] = {row[0] for row in rows if row[1] != "U"}, {row[0] for row in rows if row[1] == "U"}
    return found


def test_all_that_the_headers_declare_is_defined(objects):
    defined = set().union(*(defined for defined, _ in objects.values()))
    assert TRAINING - defined == set()
    assert len(TRAINING) > 30


def test_inference_needs_nothing_of_training(objects):
    inference = {name: undefined for name, (defined, undefined) in objects.items() if not defined & TRAINING}
    assert {"dense_s8.c", "conv2d_s8.c", "softmax_s8.c", "model.c"} <= set(inference)
    for name, undefined in inference.items():
        assert not undefined & TRAINING, f"{name} needs {sorted(undefined & TRAINING)}"


def test_files_of_training_hold_nothing_else(objects):
    for name, (defined, _) in objects.items():
        if defined & TRAINING:
            assert defined <= TRAINING, f"{name} also defines {sorted(defined - TRAINING)}"
