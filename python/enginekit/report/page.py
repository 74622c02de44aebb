"""Puts evaluations into the page's template."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from engine import __version__
from enginekit import evaluate
from enginekit.encode.choose import Optimize
from enginekit.evaluate import Evaluation
from enginekit.plan import plan
from enginekit.report import charts
from enginekit.report.layers import arena_blocks, layer_rows, weight_tables

#: Most misread images that the page shows of one model.
MISREAD = 36
#: Most functions in the profile.
FUNCTIONS = 12
_PACKAGES = ("numpy", "ai-edge-litert", "tensorflow", "scikit-learn")


@dataclass(frozen=True)
class Fact:
    """A line of the page's "how this was made"."""

    name: str
    value: str


@dataclass(frozen=True)
class Misread:
    """An image whose class came out wrong: as PNG, the right class, what was read, and its number."""

    picture: str
    label: int
    read: int
    index: int


def render(
    evaluations: Sequence[Evaluation],
    *,
    title: str,
    facts: Sequence[Fact] = (),
    pictures: NDArray[np.uint8] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        One section each; what an evaluation does not have is left out.
    title : str
        Heading of the page.
    facts : sequence of Fact
        How the figures were made: command, data, versions.
    pictures : uint8[n, h, w], optional
        The images that the evaluations' outputs belong to, 0 is background; for the misread ones.

    Returns
    -------
    str
        HTML with inline style and pictures; it fetches nothing.
    """
    environment = Environment(
        loader=PackageLoader("enginekit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    page = environment.get_template("report.html")
    return page.render(
        title=title,
        names=[e.name for e in evaluations],
        table=evaluate.table(evaluations),
        sections=[_section(e, pictures) for e in evaluations],
        facts=facts,
        version=__version__,
    )


def versions() -> list[Fact]:
    """Return the versions of engine, Python and the packages that the figures depend on, as far as installed."""
    found = [
        Fact("engine", __version__),
        Fact("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    installed = {name for names in metadata.packages_distributions().values() for name in names}
    return found + [Fact(package, metadata.version(package)) for package in _PACKAGES if package in installed]


def _section(evaluation: Evaluation, pictures: NDArray[np.uint8] | None) -> dict[str, Any]:
    """Everything that the template shows of one model."""
    program = evaluation.model.program
    chip = evaluation.chip
    costs = plan(evaluation.model, Optimize.SIZE if chip is None else chip.encoding or chip.optimize)
    totals = [None if ms is None else round(ms * costs.chip.clock / 1000) for ms in (costs.worst_ms, costs.mean_ms)]
    blocks, columns = arena_blocks(evaluation.model.graph, costs)
    return {
        "name": evaluation.name,
        "layers": layer_rows(evaluation.model, costs, chip),
        "arena": costs.arena,
        "stack": costs.stack,
        "slowest": totals[0],
        "mean": totals[1],
        "arena_map": charts.arena_map(blocks, columns, costs.arena),
        "confusion": _confusion(evaluation),
        "weights": weight_tables(program),
        "misread": _misread(evaluation, pictures),
        "profile": _profile(evaluation),
        "curves": charts.curves(evaluation.curves) if evaluation.curves else None,
    }


def _confusion(evaluation: Evaluation) -> dict[str, Any] | None:
    """Count [right class][read class] of the host's outputs, with a shade 0 to 1 for each cell."""
    if evaluation.host is None or evaluation.labels is None:
        return None
    read = evaluate.classes(evaluation.host)
    count = int(np.prod(evaluation.host.shape[1:]))
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (evaluation.labels[: len(read)], read), 1)
    wrong = counts - np.diag(np.diag(counts))
    shade = np.sqrt(wrong / max(int(wrong.max()), 1))
    total = counts.sum(axis=1)
    return {
        "cells": [
            [{"n": int(n), "shade": round(float(s), 3)} for n, s in zip(*pair, strict=True)]
            for pair in zip(counts, shade, strict=True)
        ],
        "recall": [f"{counts[i, i] / total[i]:.1%}" if total[i] else "" for i in range(count)],
        "wrong": int(wrong.sum()),
        "images": len(read),
    }


def _misread(evaluation: Evaluation, pictures: NDArray[np.uint8] | None) -> dict[str, Any] | None:
    if pictures is None or evaluation.host is None or evaluation.labels is None:
        return None
    read = evaluate.classes(evaluation.host)
    wrong = np.flatnonzero(read != evaluation.labels[: len(read)])
    shown = [Misread(charts.png(255 - pictures[i]), int(evaluation.labels[i]), int(read[i]), int(i)) for i in wrong[:MISREAD]]
    return {"shown": shown, "count": len(wrong)}


def _profile(evaluation: Evaluation) -> list[dict[str, Any]] | None:
    """List the functions that take the most cycles of one inference."""
    chip = evaluation.chip
    if chip is None or not chip.functions:
        return None
    total = sum(f.cycles for f in chip.functions)
    top = sorted(chip.functions, key=lambda f: -f.cycles)[:FUNCTIONS]
    return [{"name": f.name, "cycles": round(f.cycles), "share": f.cycles / total} for f in top]
