"""Run inputs through a model on the host, on the simulated chip or on a board.

int8 inputs are codes and give codes. uint8 (pixels that stand for 0 to 1) and float inputs are quantized first, and the
outputs are given as real values.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", help="full-integer .tflite")
    parser.add_argument("--input", required=True, metavar="FILE.npy", help="one input or a batch, [n, ...]")
    parser.add_argument("--output", metavar="FILE.npy", help="write the outputs here instead of printing them")
    parser.add_argument(
        "--port",
        metavar="URL|sim",
        help="run on a board with this model's firmware, by pyserial's name for it, or on the simulated chip (default: host)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Do the work and return the exit code."""
    import numpy as np

    import engine
    from enginekit import evaluate
    from enginekit.cli import codes, inputs, output

    model = engine.load(args.model)
    given = inputs.read_data(args.input).x
    y, cycles = _run(model, codes.as_codes(model, given, args.input), args.port)
    if given.dtype != np.int8:
        y = evaluate.real(model, y)
    if args.output:
        np.save(args.output, y)
        output.story(f"wrote {args.output}: {y.dtype}{list(y.shape)}")
    elif not args.json:
        output.result("\n".join(" ".join(f"{v:.6g}" for v in row) for row in y.reshape(len(y), -1)))
    if args.json:
        output.result(output.as_json({"output": None if args.output else y.tolist(), "dtype": str(y.dtype), "cycles": cycles}))
    return 0


def _run(model: Any, x: Any, port: str | None) -> tuple[Any, list[int] | None]:
    """Output codes, and cycles if it was a chip that ran."""
    if port is None:
        return model.run(x), None
    from enginekit import device, onchip

    if port == "sim":
        with tempfile.TemporaryDirectory(prefix="enginekit-") as folder:
            batch = onchip.boot(onchip.build(model, folder)).client.run_batch(x)
    else:
        batch = device.connect(port, model=model).run_batch(x)
    return batch.y, batch.cycles.tolist()
