"""docs/inference.md's tables and docs/inference.svg, from what bench/bench_inference.py measured.

``python bench/chart.py`` writes both; a test holds them against bench/results/inference.json and, for the other instruction
sets, the files that runs with ``ENGINE_ISA`` wrote.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "inference.json"
OTHERS = ("avxvnni", "avx2")
PAGE = ROOT / "docs" / "inference.md"
PICTURE = ROOT / "docs" / "inference.svg"
COLOURS = {
    "engine": "#1b6ca8",
    "TFLite XNNPACK": "#e07a2f",
    "TFLite": "#f0bd94",
    "LiteRT XNNPACK": "#3c8d5a",
    "LiteRT": "#a5cdb2",
    "ONNX Runtime": "#8a5fb0",
}
CASES = tuple((batch, threads) for batch in (1, 256) for threads in (1, 2))
LABEL, BAR, WIDTH, GAP = 130, 11, 700, 8  # pixels

Results = dict[str, dict[str, Any]]


def load(path: Path = RESULTS) -> dict[str, Any]:
    """Return what a run wrote: machine and results."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def rows(results: Results, batch: int, threads: int) -> dict[str, dict[str, Any]]:
    """Rows of a batch and a number of threads that were measured, by model."""
    ending = f", batch {batch}, threads {threads}"
    return {name.removesuffix(ending): row for name, row in results.items() if name.endswith(ending) and "us median" in row}


def _cells(name: str, row: dict[str, Any], contenders: list[str]) -> str:
    ratios = [f"{row['ratio'][c]:.2f}" if c in row["ratio"] else "-" for c in contenders]
    share = f"{row['share of peak']:.0%}" if "share of peak" in row else "-"
    cells = [name, f"{row['us median']['engine']:,.2f}", *ratios, f"{row['GMAC/s']:.1f}", share]
    return f"| {' | '.join(cells)} |"


def tables(results: Results) -> str:
    """Markdown: one table for each batch and number of threads."""
    parts = []
    for batch, threads in CASES:
        found = rows(results, batch, threads)
        if not found:
            continue
        contenders = [c for c in COLOURS if c != "engine" and any(c in row["ratio"] for row in found.values())]
        head = ["model", "engine, µs", *contenders, "GMAC/s", "of the peak"]
        lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
        lines += [_cells(name, row, contenders) for name, row in found.items()]
        title = f"### Batch {batch}, {threads} thread{'s' if threads > 1 else ''}"
        parts.append("\n".join([title, "", *lines]))
    return "\n\n".join(parts)


def sets_table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: batch 1 on one thread with the instruction sets that are forced, by their names."""
    by_set = {name: rows(each["results"], 1, 1) for name, each in found.items()}
    head = ["model", *(title for name in by_set for title in (f"{name}, µs", "TFLite XNNPACK"))]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for model in next(iter(by_set.values())):
        each = [measured[model] for measured in by_set.values()]
        cells = [
            cell for row in each for cell in (f"{row['us median']['engine']:,.2f}", f"{row['ratio']['TFLite XNNPACK']:.2f}")
        ]
        lines.append(f"| {' | '.join([model, *cells])} |")
    commits = ", ".join(f"`{name}` at {each['machine']['commit']}" for name, each in found.items())
    about = f"The same with `ENGINE_ISA` set, against the same XNNPACK, which keeps AVX-512-VNNI: {commits}."
    return "\n".join(["### Other instruction sets, batch 1, 1 thread", "", about, "", *lines])


def _length(ratio: float) -> float:
    """Pixels of a bar: logarithmic, from a quarter of engine's time to 64 times as much."""
    full = WIDTH - LABEL - 60
    return round(min(full, max(2.0, full * (math.log2(ratio) + 2) / 8)), 1)


def picture(results: Results) -> str:
    """SVG: time of every contender over engine's, batch 1 on one thread."""
    parts, y = [], 34
    for name, row in rows(results, 1, 1).items():
        contenders = [c for c in COLOURS if c in row["ratio"]]
        parts.append(f'<text x="0" y="{y + 10}">{name}</text>')
        for contender in contenders:
            ratio = row["ratio"][contender]
            length, end = _length(ratio), LABEL + _length(ratio) + 4
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{length}" height="{BAR - 1}" fill="{COLOURS[contender]}"/>')
            parts.append(f'<text x="{end}" y="{y + 9}" font-size="10">{ratio:.2f}</text>')
            y += BAR
        y += GAP
    legend = []
    for i, (contender, colour) in enumerate(COLOURS.items()):
        x = LABEL + 95 * i
        legend.append(f'<rect x="{x}" y="8" width="9" height="9" fill="{colour}"/><text x="{x + 12}" y="16">{contender}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, "<title>Time of a call over engine's, batch 1, one thread</title>", *legend, *parts, "</svg>", ""])


def page(text: str, found: dict[str, Any], others: dict[str, dict[str, Any]]) -> str:
    """The page with its tables, and the machine that they are from, replaced."""
    machine = found["machine"]
    about = f"Measured on {machine['cpu']} with `{machine['instructions']}` kernels, commit {machine['commit']}."
    replacement = f"<!-- tables -->\n{about}\n\n{tables(found['results'])}\n\n{sets_table(others)}\n<!-- end of tables -->"
    return re.sub(r"<!-- tables -->.*<!-- end of tables -->", lambda _: replacement, text, flags=re.DOTALL)


def load_others() -> dict[str, dict[str, Any]]:
    """Return what the runs with other instruction sets wrote, by set."""
    return {name: load(RESULTS.with_name(f"inference-{name}.json")) for name in OTHERS}


def main() -> None:
    found = load()
    PAGE.write_text(page(PAGE.read_text(), found, load_others()))
    PICTURE.write_text(picture(found["results"]))


if __name__ == "__main__":
    main()
