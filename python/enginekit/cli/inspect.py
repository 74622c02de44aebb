"""Show what a .tflite costs on the chip, before anything is compiled.

One line a kernel call: shapes, the real values that its output covers, multiply-adds, its encoding, the bits of the smallest
accumulator that provably cannot overflow and how far that can go (over the samples' ranges if there are any, else for every
input), bytes of flash for its data and of its kernels' code (which layers share), cycles, its buffers in the arena, and its
stack. RAM is exact; code and cycles are those of the toolchain.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from enginekit.cli.choice import add_choice, choose, cycles, explanation, samples, totals
from enginekit.cli.output import as_json, as_table, result, story


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", type=Path, help="int8 .tflite file")
    add_choice(parser)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("--check", action="store_true", help="fail (exit code 1) if the model does not fit the chip")


def main(args: argparse.Namespace) -> int:
    """Print the plan and say whether it fits."""
    import engine
    from engine.errors import DoesNotFitError
    from enginekit.plan import check_fits, plan

    model = engine.load(args.model)
    costs = plan(model, choose(args, model, for_chip=True), samples=samples(args, model))
    problem = None
    try:
        check_fits(costs, costs.chip, code=costs.code + costs.link, stack=costs.ram - costs.arena + costs.stack)
    except DoesNotFitError as error:
        problem = str(error)
    about = costs.as_dict() | {
        "sha256": model.digest.hex(),
        "fits": problem is None,
        "problem": problem,
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
    }
    for described, step in zip(about["steps"], costs.program.steps, strict=True):
        described["x_shape"] = list(model.graph.tensors[step.x].shape[1:])
        described["y_shape"] = list(model.graph.tensors[step.y].shape[1:])
        described["y_low"], described["y_high"] = _range(model.graph.tensors[step.y])
    why = explanation(costs, all_of_them=args.explain)
    result(as_json(about) if args.json else f"{_text(about)}\n\n{why}\n\n{totals(costs)}")
    story(problem or f"fits the {costs.chip.name}, with {costs.chip.usable_flash - costs.firmware:,} bytes of flash to spare")
    return 1 if problem and args.check else 0


def _tensor(tensor: Any) -> dict[str, Any]:
    scale = None if tensor.scale is None else float(tensor.scale[0])
    shape = list(tensor.shape[1:])
    return {"name": tensor.name, "dtype": tensor.dtype.name, "shape": shape, "scale": scale, "zero": tensor.zero_point}


def _range(tensor: Any) -> tuple[float | None, float | None]:
    """Real values that an int8 tensor's codes cover; None where they are no real numbers or not quantized."""
    if tensor.scale is None:
        return None, None
    scale = float(tensor.scale[0])
    return scale * (-128 - tensor.zero_point), scale * (127 - tensor.zero_point)


def _ends(what: str, tensors: list[dict[str, Any]]) -> list[str]:
    """Describe inputs or outputs, one line each."""
    lines = []
    for tensor in tensors:
        codes = "" if tensor["scale"] is None else f", {tensor['scale']:.6g} * (code - {tensor['zero']})"
        lines.append(f"{what}: {tensor['dtype']}{tensor['shape']}{codes}")
    return lines


def _text(about: dict[str, Any]) -> str:
    header = ["layer", "kernel", "in", "out", "low", "high", "MACs", "encoding", "acc bits", "acc low", "acc high"]
    header += ["flash", "code", "slowest, cycles", "mean, cycles", "read at", "write at", "arena", "stack"]
    rows = [
        [
            step["name"],
            step["kernel"],
            "x".join(map(str, step["x_shape"])),
            "x".join(map(str, step["y_shape"])),
            *("-" if step[end] is None else f"{step[end]:.4g}" for end in ("y_low", "y_high")),
            step["macs"],
            step["encoding"],
            step["acc_bits"],
            step["acc_low"],
            step["acc_high"],
            step["flash"],
            step["code"],
            cycles(step["worst_cycles"]),
            cycles(step["mean_cycles"]),
            step["x_offset"],
            step["y_offset"],
            step["arena"],
            step["stack"],
        ]
        for step in about["steps"]
    ]
    ends = [*_ends("input", about["inputs"]), *_ends("output", about["outputs"])]
    return "\n".join([as_table(header, rows), "", *ends, f"{about['macs']:,} MACs"])
