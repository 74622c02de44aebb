"""From training to the chip on real handwritten digits: ``python -m enginekit.demo --out out/demo``.

Trains two small networks, quantizes them, compares them with float and with TensorFlow Lite's reference kernels, builds
their firmware and runs images through the simulated ATmega4809. Prints one table and writes report.html, results.json,
and each network's .tflite and .hex into the output folder.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import EngineError
from enginekit import datasets, digits, evaluate, toolchain
from enginekit.cli import output
from enginekit.digits import Event, Job
from enginekit.encode.choose import Optimize

if TYPE_CHECKING:
    from enginekit.report import Fact


class Story(Protocol):
    """Where news goes."""

    def __call__(self, event: Event) -> None:
        """Tell `event`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if everything agrees to the byte, 1 otherwise or if something is missing."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    job = _parse(arguments)
    try:
        return _demo(job, shlex.join(["python", "-m", "enginekit.demo", *arguments]))
    except (EngineError, OSError) as error:
        output.story(f"demo: {error}")
        return 1


def _parse(arguments: Sequence[str]) -> Job:
    parser = argparse.ArgumentParser(
        prog="python -m enginekit.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for what is written (default: out/demo)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a short training on 6,000 images, 1,000 test images, 3 on the chip: half a minute's look",
    )
    parser.add_argument("--images", type=int, metavar="N", help="images on the chip (default: 500, with --quick 3)")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and order (default: 0)")
    parser.add_argument(
        "--optimize", choices=[o.value for o in Optimize], default="size", help="least code, or faster kernels (default: size)"
    )
    args = parser.parse_args(arguments)
    if args.images is not None and args.images < 1:
        parser.error("--images: at least 1")
    return Job(args.out, args.quick, args.images, args.seed, Optimize(args.optimize))


def _demo(job: Job, command: str) -> int:
    from enginekit import report

    began = time.monotonic()
    tools = toolchain.find()
    images = datasets.mnist(progress=sys.stderr.isatty())
    output.story(images.source)
    if find_spec("ai_edge_litert") is None:
        output.story("not compared with TensorFlow Lite's reference kernels; to have that: pip install ai-edge-litert")
    job.out.mkdir(parents=True, exist_ok=True)
    evaluations = _work(job)
    seconds = time.monotonic() - began
    facts = [
        report.Fact("command", command),
        report.Fact("images", images.source),
        report.Fact("chip", f"ATmega4809 at 20 MHz, simulated cycle by cycle; emitted for {job.optimize.value}"),
        report.Fact("compiler", tools.version),
        report.Fact("reference", next((e.reference.library for e in evaluations if e.reference), "not installed")),
        *report.versions(),
        report.Fact("time", f"{seconds:.0f} s"),
    ]
    _write(job.out, evaluations, facts, images, seconds)
    _print(evaluations)
    output.story(f"{seconds:.0f} s; wrote {job.out / 'report.html'} and the models, firmware and results.json beside it")
    return 0 if all(e.reference_difference in (None, 0) and e.chip_difference == 0 for e in evaluations) else 1


def _work(job: Job) -> list[evaluate.Evaluation]:
    """Make and judge each network in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(len(digits.RECIPES), mp_context=context) as pool:
        news: queue.Queue[Event] = manager.Queue()
        futures = [pool.submit(digits.make, recipe, job, news) for recipe in digits.RECIPES]
        with _story() as tell:
            _relay(futures, news, tell)
        return [future.result() for future in futures]


def _relay(futures: Sequence[Future[Any]], news: queue.Queue[Event], tell: Story) -> None:
    """Tell the workers' news until all are done or one has failed."""
    while True:
        finished = all(f.done() for f in futures) or any(f.done() and f.exception() for f in futures)
        try:
            while True:
                tell(news.get(timeout=0.2))
        except queue.Empty:
            if finished:
                return


@contextmanager
def _story() -> Iterator[Story]:
    """Progress bars at a terminal with rich installed, else one line on stderr a stage."""
    names = {recipe.slug: recipe.name for recipe in digits.RECIPES}
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ModuleNotFoundError:
        yield _lines(names)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(names)
        return
    text = TextColumn("{task.description:<24}"), TextColumn("{task.fields[stage]:<26}")
    with Progress(*text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console) as bars:
        tasks = {slug: bars.add_task(name, stage="start", total=1) for slug, name in names.items()}
        yield lambda event: bars.update(tasks[event.slug], stage=event.stage, completed=event.done, total=event.total)


def _lines(names: dict[str, str]) -> Story:
    seen: set[tuple[str, str]] = set()

    def tell(event: Event) -> None:
        if (event.slug, event.stage) not in seen:
            seen.add((event.slug, event.stage))
            output.story(f"{names[event.slug]}: {event.stage}")

    return tell


def _write(
    out: Path, evaluations: Sequence[evaluate.Evaluation], facts: Sequence[Fact], images: datasets.Digits, seconds: float
) -> None:
    from enginekit import report

    page = report.render(evaluations, title="Handwritten digits on an ATmega4809", facts=facts, pictures=images.test_x)
    (out / "report.html").write_text(page, encoding="utf-8")
    results = {
        "facts": {fact.name: fact.value for fact in facts},
        "seconds": round(seconds, 1),
        "networks": [evaluate.summary(e) for e in evaluations],
    }
    (out / "results.json").write_text(output.as_json(results) + "\n", encoding="utf-8")


def _print(evaluations: Sequence[evaluate.Evaluation]) -> None:
    """Print the one table, with rich at a terminal."""
    header = ("", *(e.name for e in evaluations))
    rows = evaluate.table(evaluations)
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError:
        output.result(output.as_table(header, rows))
        return
    console = Console()
    if not console.is_terminal:
        output.result(output.as_table(header, rows))
        return
    table = Table(*(header[:1]), title="Handwritten digits on an ATmega4809", title_justify="left")
    for name in header[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
