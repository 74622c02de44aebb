"""Compress a trained float network: prune it, give its weights fewer bits or fewer values, and train on.

The network keeps to the constraint while it trains, and the quantizer keeps to it after that, so that `emit` finds an encoding
that is as much smaller. Pruning goes with one of --bits, --ternary and --clusters. With --epochs 0 nothing is trained.

  enginekit compress net.npz --prune 0.8 --block 8 --data mnist -o pruned.npz
  enginekit compress net.npz --bits 4 --data mnist -o four.npz

Prints what became of each layer, and the accuracy on the test data before and after.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enginekit.cli import UsageError
from enginekit.cli.inputs import (
    DATA_SOURCES,
    NETWORK_FILES,
    as_inputs,
    check_trained_path,
    read_data,
    read_trainable,
    save_trained,
)
from enginekit.cli.output import as_json, as_table, result, story

if TYPE_CHECKING:
    from engine.training import Sequential
    from enginekit.compress import Compression, Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("network", type=Path, help=f"trained float network: {NETWORK_FILES}")
    parser.add_argument(
        "--prune", type=float, default=0.0, metavar="SHARE", help="of all weights that become zero, such as 0.8"
    )
    parser.add_argument(
        "--block",
        type=int,
        default=1,
        metavar="OUTPUTS",
        help="neighbours whose weights for an input are pruned together: with 8 or 4 the chip is fastest (default %(default)s)",
    )
    values = parser.add_mutually_exclusive_group()
    values.add_argument("--bits", type=int, choices=(4, 2), help="of a weight")
    values.add_argument("--ternary", action="store_true", help="weights of -1, 0 and 1 times a width for each output")
    values.add_argument("--clusters", type=int, metavar="VALUES", help="of the weights of a layer, 2 to 16")
    parser.add_argument("--data", required=True, metavar="SOURCE", help=f"to train on: {DATA_SOURCES}")
    parser.add_argument("--epochs", type=int, default=20, help="default %(default)s")
    parser.add_argument("--batch-size", type=int, default=128, help="default %(default)s")
    parser.add_argument("--learning-rate", type=float, default=0.002, help="at first (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of samples; the same seed gives the same bits")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .npz or .json to write")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(args: argparse.Namespace) -> int:
    """Compress, write, report."""
    from engine.errors import QuantError
    from enginekit.compress import Compression

    check_trained_path(args.output)
    try:
        wanted = Compression(args.prune, args.block, bits=args.bits, ternary=args.ternary, clusters=args.clusters)
    except QuantError as error:
        raise UsageError(str(error)) from error
    net = read_trainable(args.network, seed=args.seed)
    report = _compress(args, net, wanted)
    save_trained(net, args.output)
    story(f"wrote {args.output}: {wanted.text}")
    result(as_json(report.as_dict()) if args.json else _table(report))
    return 0


def _compress(args: argparse.Namespace, net: Sequential, wanted: Compression) -> Report:
    import numpy as np

    from engine.errors import FormatError
    from enginekit.compress import compress

    data = read_data(args.data)
    if data.y is None:
        raise FormatError(f"{args.data}: has no labels; expected y (or train_y)")
    x, y = as_inputs(data.x, net.input_shape, args.data), data.y
    validation = None
    if data.test_x is not None and data.test_y is not None:
        validation = (as_inputs(data.test_x, net.input_shape, args.data), _targets(data.test_y))
    story(f"{wanted.text}; {len(x):,} training inputs of {data.source}")

    def progress(epoch: int, figures: dict[str, float]) -> None:
        story(f"epoch {epoch}/{args.epochs}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))

    options: dict[str, Any] = {"batch_size": args.batch_size, "learning_rate": args.learning_rate, "seed": args.seed}
    try:
        with np.errstate(over="ignore"):
            return compress(
                net, x, _targets(y), wanted, epochs=args.epochs, validation=validation, progress=progress, **options
            )
    except (TypeError, ValueError) as error:
        raise FormatError(f"{args.data}: {error}") from error


def _targets(y: Any) -> Any:
    """Labels as they are, targets of a regression as rows of float32."""
    import numpy as np

    return y if y.dtype.kind in "iu" else np.ascontiguousarray(y, np.float32).reshape(len(y), -1)


def _table(report: Report) -> str:
    header = ["layer", "weights", "zero %", "values of an output", "change %"]
    rows = [
        [each.name, each.weights, f"{100 * each.zeros:.1f}", each.values, f"{100 * each.change:.1f}"] for each in report.layers
    ]
    text = as_table(header, rows)
    if report.before is not None and report.after is not None:
        text += f"\n\naccuracy on the test data: {100 * report.before:.2f} % before, {100 * report.after:.2f} % after"
    return text
