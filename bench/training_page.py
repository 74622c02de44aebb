"""docs/training.md's tables and the README's claim on training, from what the benchmarks of training measured.

``python bench/training_page.py`` writes them; a test holds them against bench/results/training*.json.
"""

from __future__ import annotations

from pathlib import Path

from avr_page import README, RESULTS, ROOT, Rows, between, load, table

PAGE = ROOT / "docs" / "training.md"
EPOCHS = (1, 5, 10)
XOR, HEAD = "XOR 2-3-1 float32 Adam, an epoch of 4", "head of 784-32-10, rotated digits, speed"
#: What a table says whose figures are not there yet.
MISSING = "Not measured yet: `make bench` fills this table."
CONTENDERS = {"engine": "engine", "keras": "Keras", "torch": "PyTorch"}


def results(name: str) -> Rows:
    """Rows of a suite; none if it has not run."""
    return load(name)["results"] if (RESULTS / f"{name}.json").exists() else {}


def speed(rows: Rows) -> str:
    """Samples a second, and how many times those of the others."""
    lines = []
    for network in ("cnn 12", "784-32-10"):
        for ending, threads in (("", "1"), (", 2 threads", "2")):
            found = {c: rows.get(f"{network} {c}{ending}") for c in CONTENDERS}
            if found["engine"] is None:
                continue
            medians = {c: row["samples/s median"] for c, row in found.items() if row is not None}
            cells = [f"{medians[c]:,.0f}" if c in medians else "-" for c in CONTENDERS]
            times = [f"{medians['engine'] / medians[c]:.2f}" if c in medians else "-" for c in ("keras", "torch")]
            lines.append([network, threads, *cells, *times])
    head = ["network", "threads", *CONTENDERS.values(), "times Keras", "times PyTorch"]
    return table(head, lines) if lines else MISSING


def precision(rows: Rows) -> str:
    """Loss and accuracy on test digits at some epochs, by mode: mean, least to most."""

    def cell(row: dict[str, dict[str, float]], key: str) -> str:
        scale = 100 if key.startswith("accuracy") else 1
        mean, least, most = (scale * row[key][each] for each in ("mean", "least", "most"))
        return f"{mean:.3f} ({least:.3f}-{most:.3f})" if scale == 1 else f"{mean:.2f} % ({least:.2f}-{most:.2f})"

    modes = {name.removeprefix("precision "): row for name, row in rows.items() if name.startswith("precision ")}
    lines = [
        [mode, str(epoch), cell(row, f"loss {epoch}"), cell(row, f"accuracy {epoch}"), f"{row['seconds']['mean']:.1f}"]
        for mode, row in modes.items()
        for epoch in EPOCHS
    ]
    return table(["forward/backward", "epoch", "loss", "accuracy", "seconds, 10 epochs"], lines, left=2) if lines else MISSING


def integers(rows: Rows) -> str:
    """Accuracy of training in integers."""
    lines = [
        [
            name,
            str(row["epochs"]),
            ", ".join(str(rate) for rate in row["learning_rates"]),
            f"{100 * row['accuracy_mean']:.2f} % ({100 * row['accuracy_least']:.2f}-{100 * row['accuracy_most']:.2f})",
            f"{100 * row['accuracy_of_int8_model_least']:.2f} %",
            str(row["seeds"]),
            f"{row['seconds_an_epoch']:.1f}",
        ]
        for name, row in rows.items()
    ]
    head = [
        "network",
        "epochs",
        "learning rates",
        "accuracy: mean, least-most",
        "int8 model, least",
        "seeds",
        "seconds an epoch",
    ]
    return table(head, lines) if lines else MISSING


def chip(rows: Rows) -> str:
    """What a step takes on the chip."""
    lines = []
    for name, row in rows.items():
        if "ram" not in row:
            continue
        cycles = [f"{row['cycles_mean']:,}", f"{row['cycles_max']:,}", f"{row['ms_mean']:.2f}"]
        lines.append([name, *cycles, f"{row['ram']:,}", f"{row['state']:,}", f"{row['flash']:,}"])
    field = rows[XOR]["field"] if XOR in rows else None
    if field:
        about = "AIfES, XOR 2-3-1 float32 Adam, an epoch of 4"
        lines.append([about, "-", "-", f"{field['ms_an_epoch']:.2f}", f"{field['ram']:,}", "-", f"{field['flash']:,}"])
    head = ["trainer", "cycles, mean", "slowest", "ms", "RAM with stack, B", "of it state", "flash with link, B"]
    return table(head, lines) if lines else MISSING


def won(rows: Rows) -> str:
    """What a head loses and wins back."""
    lines = [
        [name, str(row["steps"]), *(f"{100 * row[key]:.2f} %" for key in ("upright", "changed", "after", "won_back"))]
        for name, row in rows.items()
        if "won_back" in row
    ]
    head = ["trainer", "steps", "digits as trained for", "changed, before", "after", "won back of what was lost"]
    return table(head, lines) if lines else MISSING


def kernels(rows: Rows) -> str:
    """Cycles of the kernels in assembly and in C."""
    lines = [
        [name, f"{row['assembly']:,.1f}", f"{row['C']:,.1f}", f"{row['times']:.2f}"]
        for name, row in rows.items()
        if "times" in row
    ]
    return table(["what", "assembly, cycles", "C at -Os, cycles", "times"], lines) if lines else MISSING


def claim(rows: Rows) -> str:
    """Write what the README says."""
    xor, head = rows[XOR], rows[HEAD]
    return (
        f"The chip learns, too: the head of a 784-32-10 digit classifier, retrained in {head['steps']:,} steps of "
        f"{head['ms_mean']:.1f} ms, wins back {100 * head['won_back']:.0f} % of what rotated digits cost it,\n"
        f"in {head['ram']:,} bytes of RAM; XOR 2-3-1 in float32 with Adam takes {xor['ms_mean']:.1f} ms an epoch of 4, "
        f"{xor['ram']} bytes of RAM and {xor['flash']:,} of flash.\n"
        "After every step every byte is the host's: [training](docs/training.md)."
    )


def parts() -> dict[str, str]:
    """Contents of the page's marks."""
    host, on_chip = results("training"), results("training_chip")
    return {
        "speed": speed(host),
        "precision": precision(host),
        "integers": integers(results("training_int")),
        "chip": chip(on_chip),
        "won": won(on_chip),
        "kernels": kernels(on_chip),
    }


def pages() -> dict[Path, str]:
    """What the files should say."""
    text = PAGE.read_text()
    for name, content in parts().items():
        text = between(text, name, content)
    return {PAGE: text, README: between(README.read_text(), "training", claim(results("training_chip")))}


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
