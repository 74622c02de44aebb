"""Write one self-contained HTML page about a model: layers, arena, weights, and how it does on images.

With --images from a source that has labels also the confusion matrix and what was misread; with --chip N also cycles,
flash, RAM and stack from the simulated chip.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from enginekit.cli.choice import OPTIMIZE
from enginekit.cli.inputs import DATA_SOURCES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", help="full-integer .tflite")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.html", help="the page")
    parser.add_argument("--images", metavar="SOURCE", help=f"{DATA_SOURCES} (default: none)")
    parser.add_argument(
        "--chip", type=int, default=0, metavar="N", help="run the first N images on the simulated chip (default: 0)"
    )
    parser.add_argument("--optimize", choices=OPTIMIZE, default="size", help="as for emit (default: size)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def main(args: argparse.Namespace) -> int:
    """Do the work and return the exit code."""
    import engine
    from enginekit import evaluate, report
    from enginekit.cli import codes, output

    model = engine.load(args.model)
    data = codes.get(model, args.images, None if args.images else max(args.chip, 1))
    chip = _on_chip(model, data.x[: args.chip], args.optimize) if args.chip > 0 else None
    host = model.run(data.x) if args.images else None
    found = evaluate.Evaluation(Path(args.model).stem, model, host, data.labels, chip=chip)
    facts = [report.Fact("command", shlex.join(["enginekit", *sys.argv[1:]])), report.Fact("model", args.model)]
    facts += [report.Fact("images", data.source)] if args.images or chip else []
    page = report.render([found], title=found.name, facts=[*facts, *report.versions()], pictures=data.pictures)
    Path(args.output).write_text(page, encoding="utf-8")
    output.story(f"wrote {args.output}")
    if args.json:
        output.result(output.as_json({**evaluate.summary(found), "report": args.output}))
    return 0


def _on_chip(model: Any, x: Any, optimize: str) -> Any:
    from enginekit import onchip
    from enginekit.encode.choose import Optimize

    with tempfile.TemporaryDirectory(prefix="enginekit-") as folder:
        return onchip.run_on_chip(onchip.build(model, folder, optimize=Optimize(optimize)), x)
