"""Write a .tflite as C for the chip: NAME.c and NAME.h, to be compiled with the core in csrc.

The sources hold the weights, a straight-line NAME_run and a self-test with golden inputs. How each layer's weights are
encoded, and with which kernel, is chosen over all combinations by what they cost; the results are the same. Stderr says what
was chosen over what, and which limits decided; with --explain all that each layer could be. A model that does not fit the
chip, or the limits given, is refused with the bytes or milliseconds that it lacks.

With --train the C also learns: NAME_train_step makes a step by one sample, with the bits of the host.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from enginekit.cli import learning
from enginekit.cli.choice import add_choice, choose, explanation, steps_table, totals
from enginekit.cli.output import as_json, result, story


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", type=Path, help="int8 .tflite file; with --train all also an .npz")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to write; made if missing")
    parser.add_argument("--name", default="model", help="prefix of files and identifiers (default %(default)s)")
    parser.add_argument("--golden", type=Path, metavar="FILE", help=".npy with inputs for the self-test, of the model's type")
    add_choice(parser)
    learning.add_learning(parser)
    parser.add_argument("--any-chip", action="store_true", help="write it even if it does not fit")
    parser.add_argument("--json", action="store_true", help="print files and sizes as JSON")


def main(args: argparse.Namespace) -> int:
    """Choose, check, emit, write."""
    import engine
    from enginekit.cli.inputs import read_data
    from enginekit.emit import emit
    from enginekit.plan import check_fits, plan

    if args.train is not None:
        return _emit_trainer(args)
    learning.refuse(args)
    model = engine.load(args.model)
    encoding = choose(args, model, for_chip=not args.any_chip)
    costs = plan(model, encoding)
    if not args.any_chip:
        check_fits(costs, costs.chip, code=costs.code + costs.link, stack=costs.ram - costs.arena + costs.stack)
    golden = None if args.golden is None else list(read_data(str(args.golden)).x)
    _write(args, emit(model, name=args.name, golden=golden, optimize=encoding), costs)
    story("\n\n".join([steps_table(costs), explanation(costs, all_of_them=args.explain), totals(costs)]))
    return 0


def _emit_trainer(args: argparse.Namespace) -> int:
    from enginekit.chips import ATMEGA4809
    from enginekit.cli import UsageError
    from enginekit.trainer import check_trainer_fits, emit_trainer, plan_trainer

    if args.golden is not None:
        raise UsageError("--golden: not with --train; golden samples are made")
    trainer = learning.make(args, args.model)
    costs = plan_trainer(trainer, toolchain=args.toolchain)
    if not args.any_chip:
        check_trainer_fits(costs, ATMEGA4809)
    _write(args, emit_trainer(trainer, name=args.name), costs)
    story(learning.plan_table(costs))
    return 0


def _write(args: argparse.Namespace, files: dict[str, str], costs: Any) -> None:
    """Write the files and say which, with what they cost if asked for JSON."""
    args.output.mkdir(parents=True, exist_ok=True)
    paths = [args.output / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    if args.json:
        result(as_json({"files": [str(path) for path in paths]} | costs.as_dict()))
    else:
        result("\n".join(str(path) for path in paths))
