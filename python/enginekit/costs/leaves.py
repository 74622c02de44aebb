"""Calls of the functions that kernels share, and of those that only the emitter calls: what prices of theirs are fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.program import Conv2DParams, Ratio, Rescale
from enginekit.costs import pools, rounding, trials
from enginekit.costs.bill import Bill
from enginekit.costs.conv3x3 import Records, conv3x3_pool2
from enginekit.costs.depthwise_leaves import DEPTHWISE_LEAVES
from enginekit.costs.sliding import patch_sums
from enginekit.costs.stage import Stage, words
from enginekit.costs.trials import Rng
from enginekit.records import packed

#: Places what a function reads, and gives what the call does and its arguments.
Leaf = Callable[[Stage, Rng], tuple[Bill, list[int]]]


def _number(rng: Rng, bits: int = 31) -> int:
    """Draw a signed number of any magnitude."""
    return int(rng.integers(-(1 << bits), 1 << bits)) >> int(rng.integers(0, bits))


def _divide(_: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    bill, number, n = Bill(), _number(rng), int(rng.integers(0, 40))
    rounding.divide(bill, 1, n, int(number < 0))
    return bill, [*words(number), n]


def _high(_: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    a, b = _number(rng), _number(rng)
    bill = Bill()
    bill.add("eng_high_s32", call=1, negative_a=a < 0, negative_b=b < 0)
    return bill, [*words(a), *words(b)]


def _dot(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    n, bill = int(rng.choice([*range(1, 20), 255, 256, 257, 512, 600])), Bill()
    rounding.dot(bill, 1, n)
    return bill, [stage.ram(trials.codes(rng, n).tobytes()), stage.flash(trials.codes(rng, n).tobytes()), n]


def _rescaling(function: str, *, clamped: bool) -> Leaf:
    def draw(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
        number = _number(rng, 27)
        record = trials.rescale(rng, abs(number))
        record = Rescale(record.mult, 0, int(rng.integers(32))) if rng.random() < 0.3 else record
        y = trials.output(rng) if clamped else None
        bill = Bill()
        rounding.rescale(bill, function, (record,), 1, np.array([[number]], np.int64), y=y)
        places = [stage.flash(packed(each, {})) for each in (record, y) if each is not None]
        return bill, [*words(number), *places]

    return draw


def _wide(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    number, y, bill = _number(rng), trials.output(rng), Bill()
    exponent = int(rng.integers(-40, 14) if rng.random() < 0.8 else rng.integers(14, 70)) - abs(number).bit_length()
    bits = int(np.float64(rng.choice([1.0, rng.uniform(1, 2)]) * 2.0**exponent).view(np.uint64))
    ratio = Ratio(bits & 0xFFFFFFFF, bits >> 32) if rng.random() < 0.95 else Ratio(0, 0)
    rounding.requant_wide(bill, (ratio,), y, 1, np.array([[number]], np.int64))
    return bill, [*words(number), stage.ram(packed(ratio, {})), stage.flash(packed(y, {}))]  # kernels copy ratios to the stack


def _patch(rng: Rng) -> dict[str, int]:
    return {key: int(rng.integers(1, 5)) for key in ("rows", "runs", "run")}


def _patch_sum(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    sizes, zero, bill = _patch(rng), int(rng.choice([0, *rng.integers(-128, 128, 3)])), Bill()
    taps = sizes["rows"] * sizes["runs"] * sizes["run"]
    x = trials.codes(rng, sizes["runs"], sizes["rows"], sizes["run"])
    moved = x.astype(int) - zero
    steps = [sizes["run"], sizes["run"] * sizes["rows"]]  # from row to row, from run to run, in x and w
    fields = [stage.ram(x.tobytes()), 0, sizes["rows"], sizes["runs"], sizes["run"], taps, *steps, *steps]
    patch = stage.ram(b"".join(each.to_bytes(2, "little") for each in fields))
    patch_sums(bill, zero, calls=1, runs=sizes["runs"], rows=sizes["runs"] * sizes["rows"], products=taps)
    bill.add("eng_conv2d_patch_sum", wide=(moved < -128).sum(), wide_up=(moved > 127).sum())
    w = stage.flash(trials.codes(rng, taps).tobytes())
    return bill, [patch, zero & 0xFF, w, *words(_number(rng))]


def _patch_at(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    trial, bill = trials.conv2d(rng, "conv2d_s8"), Bill()
    assert isinstance(trial.step.params, Conv2DParams)
    params = stage.flash(packed(trial.step.params, {"rescale": 0}))
    span = b"".join(int(n).to_bytes(2, "little") for n in (0, 1, 0))
    bill.add("eng_conv2d_patch_at", call=1, dilated=int(trial.step.params.window.dilation_w != 1))
    return bill, [stage.ram(bytes(20)), params, stage.ram(b"0"), stage.ram(span), stage.ram(span)]


def _conv3x3(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    out_h, out_w, out_c = (int(n) for n in rng.integers(1, 4, 3))
    shape = (2 * out_h + 2, 2 * out_w + 2 + int(rng.integers(2)))
    w = trials.codes(rng, out_c, 9).astype(np.int64) // int(rng.choice([1, 1, 4, 30]))
    w[:, :2] //= 2  # the sum of the first two products stays within 16 bits
    zero, shift = int(rng.integers(-128, 128)), int(rng.choice([32, 40]))
    bias, offset = rng.integers(-(1 << 15), 1 << 15, out_c) * rng.choice([1, 100]), rng.integers(0, 1 << 32, out_c)
    mult = rng.integers(0, 1 << 31, out_c) >> (rng.integers(0, 12) if shift == 40 else rng.integers(8, 20))
    r = Records(w, bias, mult, offset, shape[1], out_h, out_w, zero, shift, bool(rng.integers(2)))
    x = np.where(rng.random(shape) < rng.choice([0.0, 0.02, 1.0]), trials.codes(rng, *shape), zero).astype(np.int8)
    filters = b""
    for row, *numbers in zip(w, bias, mult, offset, strict=True):
        raw = [(int(n) & 0xFFFFFFFF).to_bytes(4, "little") for n in numbers]
        filters += row.astype(np.int8).tobytes() + raw[0][:3] + raw[1] + raw[2] + bytes([0, 255])
    places = [stage.flash(filters), stage.flash(bytes(out_c))]
    sizes = [shape[1], out_h, out_w, out_c, zero & 0xFF, r.negative_is_lo, shift == 32]
    params = stage.flash(b"".join(each.to_bytes(2, "little") for each in places) + bytes(sizes))
    bill = conv3x3_pool2(r, x.reshape(1, -1))
    return bill, [params, stage.ram(x.tobytes()), stage.ram(bytes(out_h * out_w * out_c))]


def _requant_s24(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    count, bill = int(rng.integers(1, 10)), Bill()
    sums = np.array([_number(rng, 23) for _ in range(count)])
    records, y = trials.several(rng, count, float(np.abs(sums).max())), trials.output(rng)
    rounding.requant_s24(bill, records, y, count, sums[None])
    places = [stage.flash(b"".join(packed(each, {}) for each in records)), count]
    params = b"".join(n.to_bytes(2, "little") for n in places) + bytes([len(records) > 1]) + packed(y, {})
    raw = stage.ram(b"".join((int(n) & 0xFFFFFF).to_bytes(3, "little") for n in sums))
    return bill, [stage.flash(params), raw, stage.ram(bytes(count))]


def _requant_double_s24(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    count, copies, bill = int(rng.integers(1, 8)), int(rng.integers(1, 4)), Bill()
    sums = np.array([[_number(rng, 23) for _ in range(count)] for _ in range(copies)])
    drawn, y = trials.several(rng, count, float(np.abs(sums).max())), trials.output(rng)
    records = tuple(replace(each, left=0) for each in drawn)
    each = records if len(records) == count else records * count
    rounding.requant_double_s24(bill, each, y, (1, copies), sums[None])
    place = stage.flash(b"".join(packed(one, {}) for one in records))
    params = [*place.to_bytes(2, "little"), *count.to_bytes(2, "little"), copies, len(records) > 1]
    raw = stage.ram(b"".join((int(n) & 0xFFFFFF).to_bytes(3, "little") for n in sums.T.ravel()))
    return bill, [stage.flash(bytes(params) + packed(y, {})), raw, stage.ram(bytes(count * copies))]


def _add_s24(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    count, bill = int(rng.integers(1, 10)), Bill()
    sums = np.array([[_number(rng, 23) for _ in range(count)] for _ in range(2)])
    if rng.random() < 0.3:
        sums = np.sign(sums) * rng.integers(1 << 22, 1 << 23, sums.shape)
    rounding.add_s24(bill, count, sums.sum(axis=0)[None])
    raw = [stage.ram(b"".join((int(n) & 0xFFFFFF).to_bytes(3, "little") for n in row)) for row in sums]
    return bill, [*raw, count]


def _pool_run(stage: Stage, rng: Rng) -> tuple[list[int], pools.Run]:
    rows, columns, channels, positions = (int(n) for n in rng.integers(1, 6, 4))
    shape = [
        (rows, columns, channels, positions),
        (1, 2, int(rng.integers(255, 600)), 1),
        (20, int(rng.integers(12, 16)), 1, 2),
    ]
    run = pools.Run(*shape[int(rng.choice(3, p=[0.7, 0.1, 0.2]))], int(rng.choice([127, 5])))
    x = trials.codes(rng, run.rows * run.columns * run.positions * run.channels)
    column = run.channels * run.positions
    words2 = [
        stage.ram(x.tobytes()),
        run.columns * column,
        column,
        run.channels,
        run.rows,
        run.columns,
        run.channels,
        run.positions,
    ]
    half = run.count // 2
    longs = [run.count, half, 0 if run.count % 2 else 128 * run.count + half, run.mult]
    raw = b"".join(n.to_bytes(2, "little") for n in words2) + bytes([trials.output(rng).lo & 0xFF, run.hi])
    record = stage.ram(raw + b"".join(n.to_bytes(4, "little") for n in longs))
    return [record, stage.ram(bytes(run.positions * run.channels))], run


def _max_run(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    (arguments, run), bill = _pool_run(stage, rng), Bill()
    pools.max_run(bill, run)
    return bill, arguments


def _average_run(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    (arguments, run), bill = _pool_run(stage, rng), Bill()
    pools.average_run(bill, run)
    return bill, arguments


def _sum(stage: Stage, rng: Rng) -> tuple[Bill, list[int]]:
    n, step, bill = int(rng.integers(1, 300)), int(rng.integers(1, 6)), Bill()
    pools.sums(bill, 1, n)
    return bill, [stage.ram(trials.codes(rng, n * step).tobytes()), *words(n), step]


#: Functions that have formulas of their own beside the steps' kernels -> what draws a call; each after those that it calls.
LEAVES: dict[str, Leaf] = {
    "eng_divide_s32": _divide,
    "eng_high_s32": _high,
    "eng_dot_s8": _dot,
    "eng_rescale_double": _rescaling(rounding.DOUBLE, clamped=False),
    "eng_rescale_single": _rescaling(rounding.SINGLE, clamped=False),
    "eng_requant_double_s8": _rescaling(rounding.DOUBLE, clamped=True),
    "eng_requant_single_s8": _rescaling(rounding.SINGLE, clamped=True),
    "eng_requant_wide_s8": _wide,
    "eng_conv2d_patch_at": _patch_at,
    "eng_conv2d_patch_sum": _patch_sum,
    "eng_conv3x3_pool2_s8": _conv3x3,
    "eng_requant_single_s24_s8": _requant_s24,
    "eng_requant_double_s24_s8": _requant_double_s24,
    "eng_add_s24": _add_s24,
    "eng_max_pool_run_s8": _max_run,
    "eng_average_pool_run_s8": _average_run,
    "eng_sum_s8": _sum,
    **DEPTHWISE_LEAVES,
}
