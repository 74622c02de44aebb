"""Write a .tflite as C for the chip: NAME.c and NAME.h, to be compiled with the core in csrc.

The sources hold the weights, a straight-line NAME_run and a self-test with golden inputs. How each layer's weights are
encoded, and with which kernel, is chosen over all combinations by what they cost; the results are the same. Stderr says what
was chosen. A model that does not fit the chip, or the limits given, is refused with the bytes or milliseconds that it lacks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from enginekit.cli.choice import add_choice, choose, steps_table, totals
from enginekit.cli.output import as_json, result, story


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", type=Path, help="int8 .tflite file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to write; made if missing")
    parser.add_argument("--name", default="model", help="prefix of files and identifiers (default %(default)s)")
    parser.add_argument("--golden", type=Path, metavar="FILE", help=".npy with inputs for the self-test, of the model's type")
    add_choice(parser)
    parser.add_argument("--any-chip", action="store_true", help="write it even if it does not fit")
    parser.add_argument("--json", action="store_true", help="print files and sizes as JSON")


def main(args: argparse.Namespace) -> int:
    """Choose, check, emit, write."""
    import engine
    from enginekit.cli.inputs import read_data
    from enginekit.emit import emit
    from enginekit.plan import check_fits, plan

    model = engine.load(args.model)
    encoding = choose(args, model, for_chip=not args.any_chip)
    costs = plan(model, encoding)
    if not args.any_chip:
        check_fits(costs, costs.chip, code=costs.code + costs.link, stack=costs.ram - costs.arena + costs.stack)
    golden = None if args.golden is None else list(read_data(str(args.golden)).x)
    files = emit(model, name=args.name, golden=golden, optimize=encoding)
    args.output.mkdir(parents=True, exist_ok=True)
    paths = [args.output / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    if args.json:
        result(as_json({"files": [str(path) for path in paths]} | costs.as_dict()))
    else:
        result("\n".join(str(path) for path in paths))
    story(steps_table(costs) + "\n\n" + totals(costs))
    return 0
