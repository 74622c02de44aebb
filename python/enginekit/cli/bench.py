"""Time a model on this machine, beside TensorFlow Lite where that is installed, in one interleaved run.

Every contender gets the batch as a NumPy array and gives one back. `ratio` is its median over engine's; `differing`
counts outputs that are not engine's, which are those of TensorFlow Lite's reference kernels. A profile by step follows.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", type=Path, help="full-integer .tflite")
    parser.add_argument(
        "--input", metavar="FILE.npy", help="inputs, [n, ...], repeated to fill the batch (default: random codes)"
    )
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="samples a call (default: 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of every contender (default: 1)")
    parser.add_argument("--rounds", type=int, default=31, metavar="N", help="turns of about 10 ms that each gets (default: 31)")
    parser.add_argument("--alone", action="store_true", help="time engine only")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Do the work and return the exit code."""
    import numpy as np

    import engine
    from enginekit import rivals
    from enginekit.cli import UsageError, codes, output
    from enginekit.timing import REST, race

    for name in ("batch", "threads", "rounds"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} is {getattr(args, name)}; expected at least 1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    model = engine.load(args.model, threads=args.threads)
    given = codes.get(model, args.input, args.batch).x
    x = np.ascontiguousarray(np.resize(given, (args.batch, *given.shape[1:])))
    others = rivals.contenders(args.model.read_bytes(), x, threads=args.threads, names=() if args.alone else None)
    calls = {"engine": lambda: model.run(x), **others.calls}
    y = model.run(x)
    timings = race(calls, rounds=args.rounds, rest=REST if args.threads > 1 else 0.0)
    ours = timings["engine"].median
    rows = [
        {
            "name": name,
            "median_us": timing.median * 1e6,
            "minimum_us": timing.minimum * 1e6,
            "samples_per_s": args.batch / timing.median,
            "ratio": timing.median / ours,
            "differing": int(np.count_nonzero(calls[name]() != y)),
        }
        for name, timing in timings.items()
    ]
    profile = model.profile(x, repeats=max(5, 500 // args.batch))
    if args.json:
        about = {"model": str(args.model), "sha256": model.digest.hex(), "instructions": engine.isa()}
        about |= {"batch": args.batch, "threads": args.threads}
        output.result(output.as_json(about | {"contenders": rows, "notes": others.notes, "profile": profile.as_dict()}))
    else:
        output.story(f"engine: {engine.isa()} kernels")
        output.result(f"{_table(rows)}\n\n{profile}")
        for name, note in others.notes.items():
            output.story(f"{name}: {note}")
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    from enginekit.cli.output import as_table

    header = ["contender", "median us", "best us", "samples/s", "ratio", "differing"]
    cells = [
        [
            row["name"],
            f"{row['median_us']:.2f}".rjust(9),
            f"{row['minimum_us']:.2f}".rjust(7),
            f"{row['samples_per_s']:,.0f}".rjust(9),
            f"{row['ratio']:.2f}".rjust(5),
            row["differing"],
        ]
        for row in rows
    ]
    return as_table(header, cells)
