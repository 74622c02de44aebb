"""Run a model on the simulated chip and compare every byte with the host.

Emits the model, builds its firmware with avr-gcc, sends inputs over the simulated serial link, and prints what the
inferences cost. Exit code 1 if a byte differs from the host's.

With --train a network learns on the simulated chip, from labelled --images, one step each; the host makes the same steps, and
every byte of weights, generator and optimizer is compared after each. Accuracy is measured before, during and after.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from enginekit.cli import teach
from enginekit.cli.choice import CHIP_NAMES, OPTIMIZE
from enginekit.cli.inputs import DATA_SOURCES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", help="full-integer .tflite; with --train all also an .npz")
    parser.add_argument("--images", metavar="SOURCE", help=f"{DATA_SOURCES} (default: random codes)")
    parser.add_argument("--count", type=_positive, help="how many of them (default: 10, with --train 100)")
    parser.add_argument("--build", metavar="DIR", help="keep the firmware's sources and images in this folder")
    parser.add_argument("--chip", choices=CHIP_NAMES, default="atmega4809", help="what it runs on (default: %(default)s)")
    parser.add_argument("--usart", type=int, choices=range(4), help="its serial port (default: the one that boards connect)")
    parser.add_argument("--optimize", choices=OPTIMIZE, default="size", help="as for emit (default: size)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    teach.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Do the work and return the exit code."""
    if args.train is not None:
        return teach.main(args)
    teach.refuse(args)
    import engine
    from enginekit import costs, evaluate, onchip
    from enginekit.chips import CHIPS
    from enginekit.cli import codes, output
    from enginekit.encode.choose import Optimize, encode

    model = engine.load(args.model)
    data = codes.get(model, args.images, args.count or 10)
    with tempfile.TemporaryDirectory(prefix="enginekit-") as scratch:
        encoding = encode(model, Optimize(args.optimize), table=costs.load(chip=CHIPS[args.chip]))
        firmware = onchip.build(model, args.build or scratch, usart=args.usart, optimize=encoding)
        output.story(f"built {firmware.image.flash} B of flash; running {len(data.x)} inputs ({data.source})")
        chip = onchip.run_on_chip(firmware, data.x)
        found = evaluate.Evaluation(Path(args.model).stem, model, model.run(data.x), data.labels, chip=chip)
        output.result(output.as_json(as_data(found)) if args.json else as_text(found))
        if not found.chip_difference:
            return 0
        output.story(_where(found, firmware, data.x))
    return 1


def _where(found: Any, firmware: Any, x: Any) -> str:
    """Say where the first input that came out differently goes apart."""
    import numpy as np

    from enginekit import onchip

    wrong = (found.chip.y != found.host).reshape(len(x), -1).any(axis=1)
    index = int(np.flatnonzero(wrong)[0])
    one = x[index : index + 1]
    chip = onchip.trace_on_chip(firmware, one)[0]
    layer = onchip.first_difference(chip, found.model.trace(one))
    return f"enginekit simulate: input {index} differs from the host; {layer or 'all layers agree when it is run again'}"


def as_data(found: Any) -> dict[str, Any]:
    """Return the run as plain data."""
    from enginekit import evaluate

    functions = {f.name: round(f.cycles, 1) for f in found.chip.functions}
    return {**evaluate.summary(found), "function_cycles": functions}


def as_text(found: Any) -> str:
    """Return the run as tables for people: figures, layers, functions."""
    from enginekit import evaluate
    from enginekit.cli import output

    chip = found.chip
    program = found.model.program if chip.encoding is None else chip.encoding.program
    figures = [(row[0].strip(), row[1]) for row in evaluate.table([found])]
    layers = [
        (step.name, step.kernel, round(cycles), round(evaluate.milliseconds(cycles, chip.clock), 3))
        for step, cycles in zip(program.steps, chip.layer_cycles, strict=True)
    ]
    functions = [(f.name, round(f.cycles)) for f in chip.functions[:15]]
    return "\n\n".join(
        [
            output.as_table(("figure", found.name), figures),
            output.as_table(("layer", "kernel", "cycles", "ms"), layers),
            output.as_table(("function", "own cycles"), functions),
        ]
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number
