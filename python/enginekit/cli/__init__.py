"""The command line: ``enginekit <verb>``, one module a verb, in pipeline order.

A verb's module has ``add_arguments(parser)`` and ``main(args) -> int`` and is imported only when that verb is asked for.
The result goes to stdout, the story to stderr. Exit codes: 0 done, 1 the work failed (one message on stderr, no
traceback), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast


@dataclass(frozen=True)
class Verb:
    """A verb, what ``--help`` says of it in one line, and the module that does it."""

    name: str
    summary: str

    @property
    def module(self) -> str:
        """Full name of the verb's module."""
        return f"enginekit.cli.{self.name}"


VERBS: tuple[Verb, ...] = (
    Verb("train", "train a float network on images"),
    Verb("compress", "prune a float network, give its weights fewer bits or values"),
    Verb("quantize", "float network and calibration data to an int8 .tflite"),
    Verb("inspect", "layers, accumulator widths, flash and RAM of a .tflite"),
    Verb("emit", "C sources for the chip from a .tflite"),
    Verb("simulate", "run a .tflite on the simulated chip"),
    Verb("flash", "write a firmware to a board"),
    Verb("run", "run inputs on the host, the simulated chip or a board"),
    Verb("bench", "time a .tflite on this machine, beside TensorFlow Lite"),
    Verb("report", "a self-contained page about a model"),
)


class UsageError(Exception):
    """Arguments that parse but make no sense together; raised by a verb's ``main``, exit code 2."""


class VerbModule(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def main(self, args: argparse.Namespace) -> int:
        """Do the work and return the exit code."""


class _Version(argparse.Action):
    """Prints the version; asks the runtime for it only then, so that ``--help`` need not load NumPy."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from engine._version import __version__

        sys.stdout.write(f"enginekit {__version__}\n")
        parser.exit()


def make_parser(wanted: str | None) -> argparse.ArgumentParser:
    """Make the parser of the whole program; only the verb `wanted` gets its arguments, which loads its module."""
    parser = argparse.ArgumentParser(
        prog="enginekit",
        description="Int8 neural networks for 8-bit microcontrollers: train, quantize, plan, emit, simulate, run.",
        epilog="Exit codes: 0 done, 1 the work failed, 2 wrong usage. `enginekit <verb> --help` says more.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="<verb>", title="verbs, in pipeline order")
    for verb in VERBS:
        sub = verbs.add_parser(verb.name, help=verb.summary)
        if verb.name == wanted:
            module = _load(verb)
            sub.description = (sys.modules[verb.module].__doc__ or verb.summary).strip()
            sub.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(sub)
            sub.set_defaults(_main=module.main, _parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 the work failed, 2 wrong usage.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    names = {verb.name for verb in VERBS}
    wanted = next((argument for argument in arguments if argument in names), None)
    parser = make_parser(wanted)
    try:
        args = parser.parse_args(arguments)
        if args.verb is None:
            parser.error("a verb is missing")
        return _run(args)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0


def _load(verb: Verb) -> VerbModule:
    return cast("VerbModule", importlib.import_module(verb.module))


def _run(args: argparse.Namespace) -> int:
    """Run the verb and turn the errors that it raises on purpose into messages."""
    from engine.errors import EngineError

    try:
        return int(args._main(args))
    except UsageError as error:
        args._parser.error(str(error))
    except BrokenPipeError:
        # Whoever read stdout has enough. The interpreter flushes it once more at its end: give it a place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (EngineError, OSError) as error:
        return _failed(args.verb, str(error))
    except KeyboardInterrupt:
        return _failed(args.verb, "interrupted")
    return 2


def _failed(verb: str, message: str) -> int:
    sys.stderr.write(f"enginekit {verb}: {message}\n")
    return 1
