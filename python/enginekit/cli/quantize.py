"""Quantize a float network to an int8 .tflite.

The network runs in float over calibration data, which gives every activation its range. The report, one line a layer, says
what range the codes cover, how far the int8 outputs are from the float ones (SQNR, largest error), and what was cut.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from enginekit.cli.inputs import DATA_SOURCES, NETWORK_FILES, as_inputs, read_data, read_network
from enginekit.cli.output import as_json, as_table, result, story

if TYPE_CHECKING:
    from enginekit.quantize import LayerReport

#: Inputs that the report is measured on, at most.
REPORT_INPUTS = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("network", type=Path, help=f"float network: {NETWORK_FILES}")
    parser.add_argument("--data", required=True, metavar="SOURCE", help=f"calibration data: {DATA_SOURCES}")
    parser.add_argument("--count", type=int, default=500, help="use the first COUNT inputs (default %(default)s)")
    parser.add_argument("--method", choices=("minmax", "percentile"), default="minmax", help="how ranges are chosen")
    parser.add_argument("--percentile", type=float, default=99.99, help="for that method (default %(default)s)")
    parser.add_argument("--per-tensor", action="store_true", help="one weight scale a layer instead of one an output channel")
    parser.add_argument(
        "--small-sums",
        action="store_true",
        help="coarser scales where convolutions of nine weights a filter then sum in 16 bits: twice as fast on the chip",
    )
    parser.add_argument("--float-edges", action="store_true", help="float32 input and output instead of int8")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .tflite to write")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(args: argparse.Namespace) -> int:
    """Quantize, write, report."""
    from enginekit.quantize import measure, quantize

    network = read_network(args.network)
    data = read_data(args.data)
    inputs = as_inputs(data.x[: max(args.count, 0)], network.input_shape, args.data)
    story(f"calibrating on {len(inputs)} inputs of {data.source}")
    model = quantize(
        network,
        inputs,
        method=args.method,
        percentile=args.percentile,
        per_channel=not args.per_tensor,
        float_edges=args.float_edges,
        small_sums=args.small_sums,
    )
    model.save(args.output)
    story(f"wrote {args.output}: {args.output.stat().st_size:,} bytes")
    report = measure(network, model, inputs[:REPORT_INPUTS])
    for layer in report.layers:
        if layer.float_low == layer.float_high:
            story(f"layer {layer.name!r} is always {layer.float_low:g} over the calibration data")
    result(as_json(report.as_dict()) if args.json else as_table(*_table(report.layers)))
    return 0


def _table(layers: Sequence[LayerReport]) -> tuple[list[str], list[list[object]]]:
    header = ["layer", "operator", "low", "high", "scale", "zero", "clipped %", "SQNR dB", "max error", "weights", "at limit"]
    rows: list[list[object]] = [
        [
            layer.name,
            layer.op,
            f"{layer.low:.4g}",
            f"{layer.high:.4g}",
            f"{layer.scale:.6g}",
            layer.zero_point,
            f"{100 * layer.clipped:.3f}",
            "-" if layer.sqnr is None else f"{layer.sqnr:.1f}",
            "-" if layer.max_error is None else f"{layer.max_error:.4g}",
            layer.weights,
            layer.weights_at_limit,
        ]
        for layer in layers
    ]
    return header, rows
