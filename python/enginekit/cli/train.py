"""Train a float network with the core's own kernels.

NETWORK is a short form: parts joined by "-". A number is a dense layer with so many outputs (ReLU but for the last; a first
number equal to the number of inputs stands for the input), convF a 3x3 convolution with F filters and ReLU (convFkK for KxK,
sS for a stride, same for SAME padding), poolK a max pool, avgK an average pool. Examples: 784-32-10, conv12-pool2-10.

Whole numbers as labels mean classes (softmax and cross-entropy), real numbers a regression (mean squared error). uint8 inputs
are taken for pixels and divided by 255. One line an epoch: loss and accuracy in training, then on the test data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enginekit.cli.inputs import DATA_SOURCES, Data, as_inputs, check_trained_path, read_data, save_trained
from enginekit.cli.output import as_json, as_table, result, story

if TYPE_CHECKING:
    from engine.training import History, Sequential


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("network", metavar="NETWORK", help="short form, such as 784-32-10 or conv12-pool2-10")
    parser.add_argument("--data", default="mnist", metavar="SOURCE", help=f"{DATA_SOURCES} (default %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N training inputs only")
    parser.add_argument("--epochs", type=int, default=5, help="default %(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="default %(default)s")
    parser.add_argument("--optimizer", choices=("adam", "sgd"), default="adam", help="default %(default)s")
    parser.add_argument("--learning-rate", type=float, help="default 0.001 for adam, 0.01 for sgd")
    parser.add_argument("--momentum", type=float, default=0.9, help="for sgd (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order; the same seed gives the same bits")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .npz or .json to write")
    parser.add_argument("--json", action="store_true", help="print the epochs as JSON")


def main(args: argparse.Namespace) -> int:
    """Train, write, report."""
    check_trained_path(args.output)
    data = read_data(args.data)
    story(f"{len(data.x):,} training inputs of {data.source}")
    net, history = _train(args, data)
    save_trained(net, args.output)
    story(f"wrote {args.output}: {net.parameter_count:,} parameters")
    epochs = _epochs(history)
    result(as_json({"network": args.network, "epochs": epochs}) if args.json else _table(epochs))
    return 0


def _train(args: argparse.Namespace, data: Data) -> tuple[Sequential, History]:
    import numpy as np

    from engine import training
    from engine.errors import FormatError
    from enginekit.spec import build

    if data.y is None:
        raise FormatError(f"{args.data}: has no labels; expected y (or train_y)")
    count = len(data.x) if args.limit is None else max(args.limit, 0)
    classes = data.y.dtype.kind in "iu"
    net = build(args.network, data.x.shape[1:], seed=args.seed, softmax=classes)
    x = as_inputs(data.x[:count], net.input_shape, args.data)
    validation = None
    if data.test_x is not None and data.test_y is not None:
        validation = (as_inputs(data.test_x, net.input_shape, args.data), data.test_y)
    try:
        optimizer = _optimizer(args)
        y = data.y[:count] if classes else np.ascontiguousarray(data.y[:count], np.float32).reshape(len(x), -1)
        options = {"epochs": args.epochs, "batch_size": args.batch_size}
        history = net.fit(x, y, optimizer=optimizer, validation=validation, seed=args.seed, **options)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{args.data}: {error}") from error
    if history.interrupted:
        story(f"interrupted after {len(history.loss)} epochs")
    assert isinstance(net, training.Sequential)
    return net, history


def _optimizer(args: argparse.Namespace) -> Any:
    from engine import training

    rates = {} if args.learning_rate is None else {"learning_rate": args.learning_rate}
    return training.Adam(**rates) if args.optimizer == "adam" else training.SGD(**rates, momentum=args.momentum)


def _epochs(history: History) -> list[dict[str, Any]]:
    """One object an epoch, with what was measured."""
    figures = ("loss", "accuracy", "validation_loss", "validation_accuracy", "seconds")
    measured = {name: getattr(history, name) for name in figures if getattr(history, name)}
    return [{"epoch": i + 1} | {name: values[i] for name, values in measured.items()} for i in range(len(history.loss))]


def _table(epochs: list[dict[str, Any]]) -> str:
    if not epochs:
        return "no epoch finished"
    header = [name.replace("_", " ") for name in epochs[0]]
    rows = [[value if isinstance(value, int) else f"{value:.4f}" for value in epoch.values()] for epoch in epochs]
    return as_table(header, rows)
