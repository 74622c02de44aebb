"""Arguments of the verbs that make trainers for the chip, and what they say of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from enginekit.cli import UsageError
from enginekit.cli.output import as_table

#: Arguments by the kind of network that they are for.
_COMMON = ("learning_rate", "loss", "seed")
_INTEGER, _FLOAT = ("layers", "headroom"), ("optimizer", "momentum", "batch_size")
_LIMITS = ("max_flash", "max_ram", "max_ms", "max_acc_bits", "samples")


def add_learning(parser: argparse.ArgumentParser) -> None:
    """Declare what :func:`make` reads."""
    group = parser.add_argument_group("training on the chip")
    group.add_argument(
        "--train",
        choices=("head", "all"),
        help="make a trainer: of a .tflite's last dense layers, or of all layers, "
        "which of a .tflite have to be dense; of an .npz (enginekit train) all, in float32",
    )
    group.add_argument("--layers", type=int, metavar="N", help="how many dense layers the head has (default 1)")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="default 0.01, for adam 0.001")
    group.add_argument("--loss", choices=("cross-entropy", "mse"), help="default: what suits the network's end")
    group.add_argument("--seed", type=int, help="of the rounding in integers (default 0)")
    group.add_argument("--headroom", type=float, metavar="X", help="in integers, room for weights to grow (default 2)")
    group.add_argument("--optimizer", choices=("adam", "sgd"), help="in float32 (default sgd)")
    group.add_argument("--momentum", type=float, help="for sgd in float32 (default 0)")
    group.add_argument("--batch-size", type=int, metavar="N", help="in float32, a power of two (default 1)")


def refuse(args: argparse.Namespace, *more: str) -> None:
    """Refuse without ``--train`` what goes with it alone, and `more`.

    Raises
    ------
    UsageError
        Names the arguments.
    """
    _refuse(args, (*_COMMON, *_INTEGER, *_FLOAT, *more), "only with --train")


def make(args: argparse.Namespace, path: Path) -> Any:
    """Make the trainer that the arguments ask for.

    Raises
    ------
    UsageError
        If arguments do not go together.
    EngineError
        If the network cannot be trained on the chip.
    """
    given = [f"--{name.replace('_', '-')}" for name in _LIMITS if getattr(args, name, None) is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: not with --train; the plan of a trainer says what it takes")
    if getattr(args, "chip", "atmega4809") != "atmega4809":
        raise UsageError(f"--chip {args.chip}: not with --train; trainers are for the ATmega4809")
    if path.suffix == ".npz":
        return _float(args, path)
    if path.suffix != ".tflite":
        raise UsageError(f"{path}: a trainer is made of a .tflite, or of an .npz that `enginekit train` wrote")
    return _integer(args, path)


def _integer(args: argparse.Namespace, path: Path) -> Any:
    import engine
    from engine.errors import FormatError
    from engine.training import MSE, IntegerSequential, SoftmaxCrossEntropy
    from enginekit.encode.choose import Optimize
    from enginekit.trainer import make_trainer

    _refuse(args, _FLOAT, "a .tflite is trained in integers")
    model = engine.load(path)
    count = args.layers or 1
    if args.train == "all":
        if args.layers is not None:
            raise UsageError("--layers: not with --train all")
        count = sum(layer.op == "dense" for layer in model.graph.layers)
    options = {} if args.headroom is None else {"headroom": args.headroom}
    loss = {"cross-entropy": SoftmaxCrossEntropy(), "mse": MSE(), None: None}[args.loss]
    try:
        net = IntegerSequential.from_model(model, layers=count, seed=args.seed or 0, **options)
        if args.train == "all" and net.body is not None:
            raise UsageError(f"{path}: not all layers are dense; use --train head")
        return make_trainer(
            net, loss=loss, learning_rate=args.learning_rate, optimize=Optimize(getattr(args, "optimize", "size"))
        )
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: {error}") from error


def _float(args: argparse.Namespace, path: Path) -> Any:
    from engine import training
    from engine.errors import FormatError
    from enginekit.trainer import make_trainer

    _refuse(args, (*_INTEGER, "seed"), "an .npz is trained in float32")
    if args.train != "all":
        raise UsageError(f"{path}: --train head is for a .tflite; of an .npz all layers are trained: --train all")
    if args.momentum is not None and args.optimizer == "adam":
        raise UsageError("--momentum: not with --optimizer adam")
    rate = {} if args.learning_rate is None else {"learning_rate": args.learning_rate}
    loss = {"cross-entropy": training.SoftmaxCrossEntropy(), "mse": training.MSE(), None: None}[args.loss]
    try:
        if args.optimizer == "adam":
            optimizer: training.Optimizer = training.Adam(**rate)
        else:
            optimizer = training.SGD(**rate, momentum=args.momentum or 0.0)
        return make_trainer(training.load(path), loss=loss, optimizer=optimizer, batch_size=args.batch_size or 1)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: {error}") from error


def _refuse(args: argparse.Namespace, names: tuple[str, ...], reason: str) -> None:
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: {reason}")


def plan_table(costs: Any) -> str:
    """Print what a trainer takes."""
    rows = [(f"state: {kind}", size) for kind, size in costs.parts]
    rows += [
        ("activations, gradients, scratch", costs.work),
        ("RAM of the firmware", costs.ram),
        ("stack, at most", costs.stack),
    ]
    rows += [("flash: constants", costs.data), ("flash: golden samples", costs.golden), ("flash: code, about", costs.code)]
    return as_table(("trainer", "bytes"), rows)
