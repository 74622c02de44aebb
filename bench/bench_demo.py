"""The demo's table, once emitted for size and once for speed: what the README quotes.

``python -m pytest bench/bench_demo.py --benchmark-only``; the cycles and bytes do not vary, the seconds do.
"""

import json

import pytest

from enginekit import demo

ON_CHIP = True
CHIP = ("flash_bytes", "ram_bytes", "arena_bytes", "stack_bytes", "ms_mean", "images")
JUDGED = ("accuracy_float", "accuracy_int8_host", "differing_bytes_host_reference", "differing_bytes_chip_host")


@pytest.mark.parametrize("optimize", ["size", "speed"])
def test_demo(optimize, benchmark, record, tmp_path):
    command = ["--out", str(tmp_path), "--optimize", optimize]
    code = benchmark.pedantic(demo.main, args=[command], rounds=1)
    assert code == 0, "the demo found a differing byte, or something is missing"
    results = json.loads((tmp_path / "results.json").read_text())
    for network in results["networks"]:
        row = {key: network[key] for key in JUDGED} | {key: network["chip"][key] for key in CHIP}
        record(f"{network['name']}, {optimize}", row)
