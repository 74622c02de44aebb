"""What `simulate --train` does: a network learns on the simulated chip, and is measured before, during and after."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enginekit.cli import UsageError, learning
from enginekit.cli.inputs import DATA_SOURCES, Data, as_inputs, read_data
from enginekit.cli.output import as_json, as_table, result, story

#: What may be done to images before they are shown.
CHANGES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "none": lambda images: images,
    "rotate90": lambda images: np.rot90(images, axes=(1, 2)),
    "rotate180": lambda images: images[:, ::-1, ::-1],
    "invert": lambda images: 255 - images,
}
#: Inputs that accuracy is measured on.
TEST_INPUTS = 2000
CLOCK = 20_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what goes with ``--train`` alone."""
    learning.add_learning(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write what was learned: a .tflite, or an .npz")
    parser.add_argument("--change", choices=CHANGES, help="what is done to images before they are shown (default: none)")


def refuse(args: argparse.Namespace) -> None:
    """Refuse without ``--train`` what goes with it alone."""
    learning.refuse(args, "output", "change")


def main(args: argparse.Namespace) -> int:
    """Teach, measure, report; return the exit code."""
    from enginekit.trainer.onchip import teach

    if args.images is None:
        raise UsageError(f"--train: what on? --images {DATA_SOURCES}")
    trainer = learning.make(args, Path(args.model))
    _check_output(args, trainer)
    data = _changed(read_data(args.images), args.change or "none", args.images)
    count = args.count or 100
    if len(data.x) < count:
        raise UsageError(f"--count {count}: {args.images} has {len(data.x)} inputs to train on")
    lessons = _samples(trainer, data.x[:count], data.y, args)
    unseen = (data.x, data.y) if data.test_x is None else (data.test_x, data.test_y)
    test = _samples(trainer, unseen[0][:TEST_INPUTS], unseen[1], args)
    with tempfile.TemporaryDirectory(prefix="enginekit-") as scratch:
        story(f"training on {count} inputs of {data.source}")
        course = teach(
            trainer, list(zip(*lessons, strict=True)), args.build or scratch, usart=3 if args.usart is None else args.usart
        )
    if args.output is not None:
        _save(trainer.network(course.states[count]), args.output)
    found = _report(trainer, course, test, data.source)
    result(as_json(found) if args.json else _as_text(found))
    if course.differing is None:
        return 0
    story(f"enginekit simulate: the chip differs from the host after step {course.differing}")
    return 1


def _check_output(args: argparse.Namespace, trainer: Any) -> None:
    suffix, where = (".npz", "float32") if trainer.kind == "float32" else (".tflite", "integers")
    if args.output is not None and args.output.suffix != suffix:
        raise UsageError(f"--output {args.output}: what is learned in {where} is written as {suffix}")


def _save(net: Any, path: Path) -> None:
    """Write a network as `enginekit train` does, an int8 one as a model."""
    (net.model() if path.suffix == ".tflite" else net).save(path)
    story(f"wrote {path}")


def _changed(data: Data, change: str, source: str) -> Data:
    """Change the images of training and test."""
    if change == "none":
        return data
    if data.x.dtype != np.uint8 or data.x.ndim < 3:
        raise UsageError(f"--change {change}: {source} has no images of uint8 pixels")
    x, test_x = (None if each is None else np.ascontiguousarray(CHANGES[change](each)) for each in (data.x, data.test_x))
    assert x is not None
    return Data(x, data.y, test_x, data.test_y, f"{data.source}, {change}")


def _samples(trainer: Any, x: NDArray[Any], y: NDArray[Any] | None, args: argparse.Namespace) -> tuple[Any, Any]:
    """Give inputs, and as many targets, as the trainer takes them."""
    from engine.errors import FormatError
    from enginekit.cli import codes

    if y is None:
        raise FormatError(f"{args.images}: has no labels or targets; expected y (or train_y)")
    if trainer.kind == "float32":
        inputs: NDArray[Any] = as_inputs(x, trainer.x.shape[1:], args.images)
    else:
        inputs = codes.as_codes(trainer.net.model(), x, args.images)
    targets = _targets(trainer, y[: len(inputs)], len(inputs), args.images)
    try:
        for sample, target in zip(inputs, targets, strict=True):
            trainer.check_input(sample)
            trainer.check_target(target)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{args.images}: {error}") from error
    return inputs, targets


def _targets(trainer: Any, y: NDArray[Any], count: int, source: str) -> NDArray[Any]:
    from engine.errors import FormatError

    if trainer.classes:
        if y.dtype.kind not in "iu" or y.shape != (count,):
            raise FormatError(
                f"{source}: y is {y.dtype}{list(y.shape)}; labels are {count} integers (for numbers use --loss mse)"
            )
        return y
    if y.dtype.kind not in "iuf" or y.size != count * trainer.target.size:
        raise FormatError(f"{source}: y is {y.dtype}{list(y.shape)}; expected {count} times {trainer.target.size} numbers")
    targets: NDArray[Any] = np.ascontiguousarray(y, np.float32).reshape(count, *trainer.target.shape)
    if trainer.kind == "integer":
        if not np.isfinite(targets).all():
            raise FormatError(f"{source}: y holds NaN or infinity")
        targets = trainer.net.layers[-1].y.codes(targets)
    return targets


def _report(trainer: Any, course: Any, test: tuple[Any, Any], source: str) -> dict[str, Any]:
    x, y = test
    stages = []
    for steps, state in course.states.items():
        figures = trainer.network(state).evaluate(x, y, loss=trainer.rule)
        accuracy = None if figures.accuracy is None else round(figures.accuracy, 4)
        stages.append({"steps": steps, "accuracy": accuracy, "loss": round(figures.loss, 4)})
    return {
        "trainer": trainer.kind,
        "settings": trainer.settings,
        "data": source,
        "steps": len(course.cycles),
        "test_inputs": len(x),
        "stages": stages,
        "cycles_mean": round(float(course.cycles.mean())),
        "cycles_max": int(course.cycles.max()),
        "ms_mean": round(1000 * float(course.cycles.mean()) / CLOCK, 3),
        "flash": course.flash,
        "ram": course.ram,
        "arena": course.arena,
        "stack": course.stack,
        "state": trainer.state,
        "first_differing_step": course.differing,
    }


def _as_text(found: dict[str, Any]) -> str:
    stages = [
        (each["steps"], "" if each["accuracy"] is None else f"{100 * each['accuracy']:.2f} %", each["loss"])
        for each in found["stages"]
    ]
    equal = found["first_differing_step"] is None
    figures = [
        ("steps whose every byte is the host's", f"{found['steps']} of {found['steps']}" if equal else "not all"),
        ("cycles a step, mean", found["cycles_mean"]),
        ("cycles a step, slowest", found["cycles_max"]),
        ("ms a step at 20 MHz", found["ms_mean"]),
        ("flash, B", found["flash"]),
        ("RAM, static + stack, B", f"{found['ram']} + {found['stack']}"),
        ("state, B", found["state"]),
    ]
    header = ("steps", f"accuracy on {found['test_inputs']} inputs", "loss")
    return "\n\n".join([as_table(header, stages), as_table(("figure", found["trainer"]), figures)])
