"""Writes what a run measured to bench/results/<suite>.json, beside the machine, compiler and commit that measured it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import engine
from enginekit.costs.measure import table_name
from enginekit.costs.table import DEFAULT

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


def first_line(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


def machine() -> dict[str, str]:
    """Return CPU, the instruction set that kernels run with, compilers and commit."""
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ""
    )
    return {
        "cpu": cpu or platform.processor(),
        "instructions": engine.isa(),
        "python": platform.python_version(),
        "compiler": first_line("gcc", "--version"),
        "avr compiler": first_line("avr-gcc", "--version"),
        "commit": first_line("git", "rev-parse", "--short", "HEAD"),
    }


Record = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="module")
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    """Collect rows of a suite; written when its last benchmark is done, to ``results/<suite>.json``.

    With ENGINE_ISA set it is ``results/<suite>-<ISA>.json``; of a module with ``ON_CHIP`` and a compiler that is not Debian
    12's, ``results/<suite>-<compiler>.json``.
    """
    rows: dict[str, dict[str, Any]] = {}
    yield rows.__setitem__
    stem = Path(request.node.fspath).stem.removeprefix("bench_")
    compiler = table_name(first_line("avr-gcc", "--version")) if getattr(request.module, "ON_CHIP", False) else DEFAULT
    suite = "-".join(filter(None, [stem, os.environ.get("ENGINE_ISA"), "" if compiler == DEFAULT else compiler]))
    if rows:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps({"machine": machine(), "results": rows}, indent=2)
        (RESULTS / f"{suite}.json").write_text(text + "\n")
