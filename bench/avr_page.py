"""docs/avr.md's tables, docs/avr.svg and the README's claim and table, from what the benchmarks measured on the simulated chip.

``python bench/avr_page.py`` writes them; a test holds them against bench/results/avr.json and demo.json.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
README, PAGE, PICTURE = ROOT / "README.md", ROOT / "docs" / "avr.md", ROOT / "docs" / "avr.svg"
CLAIM, LARGEST = "784-32-10, one scale, speed", "784-W-10, the largest that fits"

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Rival:
    """What another library takes: ms of 784-8-10, 784-32-10 and 784-40-10; flash and RAM of the first, bytes."""

    name: str
    ms: tuple[float, float, float]
    flash: int
    ram: int


#: Their own sources for 784-W-10 in int8, compiled by avr-gcc 5.4 at each one's best level, in the same simulation.
RIVALS = (
    Rival("NNoM 0.4.2, -Os", (5.86, 21.95, 27.32), 16_865, 3_949),
    Rival("TinyMaix, -O3, patched to load", (10.1, 32.5, 40.0), 22_706, 1_430),
    Rival("onnx2c QLinearMatMul, -O2, no bias", (20.0, 79.1, 98.8), 8_908, 839),
    Rival("AIfES Q7, -O1", (20.9, 80.9, 100.9), 18_039, 3_020),
)
#: H. O. Lofstad, NTNU 2021: NNoM with a tanh on the input, ATmega4809 at 20 MHz; flash of the whole test firmware.
PUBLISHED = ("published, on hardware: NNoM with tanh", (7.01, 23.14, 28.51), (21_984, 41_072, 47_424))
WIDTHS = ("784-8-10", "784-32-10", "784-40-10")
#: One weight scale a layer, as theirs have.
OURS = "{}, one scale, speed"


def load(name: str) -> dict[str, Any]:
    """Read what a suite wrote: machine and results."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def table(head: list[str], rows: list[list[str]], *, left: int = 1) -> str:
    """Markdown; the first `left` columns are text."""
    rule = "|" + "---|" * left + "---:|" * (len(head) - left)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def _off(measured: float, predicted: float | None) -> str:
    return "-" if predicted is None else f"{100 * (predicted / measured - 1):+.2f} %"


def networks(results: Rows) -> str:
    """Whole networks: time, bytes, and how far off the predictions were."""
    head = ["network", "mean, ms", "slowest image", "hard inputs", "bound", "code, B", "data, B", "flash, B"]
    head += ["arena + stack, B", "predicted: ms", "flash", "static RAM"]
    rows = []
    for name, row in results.items():
        if "predicted" not in row:
            continue
        foreseen = row["predicted"]
        bound = "-" if foreseen["slowest_ms"] is None else f"{foreseen['slowest_ms']:.2f}"
        cells = [f"W = {row['width']}, {name}" if name == LARGEST else name]
        cells += [f"{row[key]:.2f}" for key in ("mean_ms", "slowest_image_ms", "hard_inputs_ms")] + [bound]
        cells += [f"{row[key]:,}" for key in ("code", "data", "flash")] + [f"{row['arena']:,} + {row['stack']}"]
        cells += [_off(row["mean_ms"], foreseen["mean_ms"]), _off(row["flash"], foreseen["flash"])]
        rows.append([*cells, f"{foreseen['ram_static'] - row['ram_static']:+d} B"])
    return table(head, rows)


def layers(results: Rows) -> str:
    """Steps of the networks, over test images."""
    rows = []
    for name, row in results.items():
        for step in row.get("layers", ()):
            if "cycles_per_mac" in step:
                cells = [name, step["layer"], step["encoding"], f"{step['macs']:,}", f"{step['cycles']:,}"]
                rows.append([*cells, f"{step['cycles_per_mac']:.2f}", f"{step['floor']:.1f}"])
    return table(["network", "layer", "encoding", "MACs", "cycles", "a MAC", "floor"], rows, left=3)


def kernels(results: Rows) -> str:
    """Single layers: any input, and strokes."""
    head = ["layer", "encoding", "cycles", "a MAC", "floor", "strokes, a MAC", "an output", "data, B", "code, B", "stack, B"]
    rows = []
    for name, row in results.items():
        if "cycles_strokes" not in row:
            continue
        per_mac = [f"{row[key]:.2f}" if key in row else "-" for key in ("cycles_per_mac", "floor", "strokes_per_mac")]
        cells = [name, row["encoding"], f"{row['cycles']:,}", *per_mac, f"{row['cycles'] / row['outputs']:,.0f}"]
        rows.append([*cells, *(f"{row[key]:,}" for key in ("data", "code", "stack"))])
    return table(head, rows, left=2)


def field(results: Rows) -> str:
    """Other libraries, and engine's networks for speed."""
    ours = [results[OURS.format(name)] for name in WIDTHS]
    means, hard = ([row[key] for row in ours] for key in ("mean_ms", "hard_inputs_ms"))
    memory = [f"{ours[0]['flash']:,}", f"{ours[0]['ram_static'] + ours[0]['stack']:,}"]
    rows = [
        ["**engine**, mean of the test images", *(f"**{ms:.2f}**" for ms in means), *memory],
        ["**engine**, hard inputs", *(f"**{ms:.2f}**" for ms in hard), *memory],
    ]
    rows += [[each.name, *(f"{ms:.2f}" for ms in each.ms), f"{each.flash:,}", f"{each.ram:,}"] for each in RIVALS]
    rows.append([PUBLISHED[0], *(f"{ms:.2f}" for ms in PUBLISHED[1]), f"{PUBLISHED[2][0]:,}", "-"])
    return table(["library", *(f"{name}, ms" for name in WIDTHS), "flash at 8, B", "RAM at 8, B"], rows)


def tables(found: dict[str, Any]) -> str:
    """All of docs/avr.md that is measured."""
    results, machine = found["results"], found["machine"]
    parts = [
        f"Compiled by {machine['avr compiler']}, commit {machine['commit']}.",
        "### Networks",
        networks(results),
        "### Their layers, mean of the test images",
        layers(results),
        "### Single layers",
        kernels(results),
        "### Beside other libraries",
        field(results),
    ]
    return "\n\n".join(parts)


def picture(results: Rows) -> str:
    """SVG: milliseconds of each library for each width."""
    ours = [[results[OURS.format(name)][key] for name in WIDTHS] for key in ("mean_ms", "hard_inputs_ms")]
    bars = [("engine, mean of the test images", ours[0], "#1b6ca8"), ("engine, hard inputs", ours[1], "#7fb0d6")]
    bars += [(each.name, list(each.ms), "#e07a2f") for each in RIVALS] + [(PUBLISHED[0], list(PUBLISHED[1]), "#f0bd94")]
    label, full, height = 250, 380, 13
    longest = max(max(ms) for _, ms, _ in bars)
    parts, y = [], 20
    for index, name in enumerate(WIDTHS):
        parts.append(f'<text x="0" y="{y}" font-weight="bold">{name}, ms at 20 MHz</text>')
        for title, ms, colour in bars:
            length = round(full * ms[index] / longest, 1)
            parts.append(f'<text x="0" y="{y + 16}">{title}</text>')
            parts.append(f'<rect x="{label}" y="{y + 7}" width="{length}" height="{height - 2}" fill="{colour}"/>')
            parts.append(f'<text x="{label + length + 4}" y="{y + 16}">{ms[index]:.1f}</text>')
            y += height
        y += 28
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {y}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, "<title>Milliseconds of an inference, int8, ATmega4809</title>", *parts, "</svg>", ""])


def claim(results: Rows) -> str:
    """The README's first paragraph."""
    row, nnom = results[CLAIM], RIVALS[0]
    mean, slowest, hard = (f"{row[key]:.1f} ms" for key in ("mean_ms", "slowest_image_ms", "hard_inputs_ms"))
    return (
        f"A 784-32-10 digit classifier runs on a simulated ATmega4809 at 20 MHz in **{mean}** (mean of {row['images']} MNIST "
        f"images; the slowest image {slowest}, the slowest of four inputs made to be slow {hard}),\n"
        f"{row['arena'] + row['stack']:,} bytes of arena and stack, every output byte equal to the host's: `make bench-avr`, "
        "figures in [bench/results/avr.json](bench/results/avr.json).\n"
        f"The fastest of four other libraries takes {nnom.ms[1]:.2f} ms: [tables, layer by layer](docs/avr.md)."
    )


def demo(results: Rows) -> str:
    """The README's table of the demo, `results` of demo.json."""
    names = sorted(results, key=lambda name: ("conv" in name, name))
    rows = {
        "accuracy, float → int8": [
            f"{100 * results[n]['accuracy_float']:.2f} → {100 * results[n]['accuracy_int8_host']:.2f} %" for n in names
        ],
        "bytes unlike TensorFlow Lite's reference": [
            f"{results[n]['differing_bytes_host_reference']} of 100,000" for n in names
        ],
        "bytes chip unlike host": [f"{results[n]['differing_bytes_chip_host']} of 5,000" for n in names],
        "flash": [f"{results[n]['flash_bytes']:,} B" for n in names],
        "RAM, static + stack": [f"{results[n]['ram_bytes']:,} + {results[n]['stack_bytes']} B" for n in names],
        "ms per inference, mean": [f"{results[n]['ms_mean']:.1f}" for n in names],
    }
    rule = "|---" * (len(names) + 1) + "|"
    return "\n".join([f"| | {' | '.join(names)} |", rule, *(f"| {key} | {' | '.join(cells)} |" for key, cells in rows.items())])


def between(text: str, mark: str, content: str) -> str:
    """Replace what a page has between two marks."""
    pattern = rf"<!-- {mark} -->.*<!-- end of {mark} -->"
    return re.sub(pattern, lambda _: f"<!-- {mark} -->\n{content}\n<!-- end of {mark} -->", text, flags=re.DOTALL)


def pages() -> dict[Path, str]:
    """What the files should say."""
    found = load("avr")
    readme = between(README.read_text(), "claim", claim(found["results"]))
    return {
        README: between(readme, "demo", demo(load("demo")["results"])),
        PAGE: between(PAGE.read_text(), "tables", tables(found)),
        PICTURE: picture(found["results"]),
    }


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
