"""Graph to program: every fact that a kernel needs, computed once.

Each layer becomes calls of kernels, or nothing (a reshape only renames bytes): :mod:`engine.calls`. Here calls are fused
where the result is provably the same, and buffers are placed in one arena.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine import arena, tables
from engine.calls import ACCUMULATOR_LIMIT, Call, Clamped, Lowering, clamp
from engine.errors import UnsupportedError
from engine.graph import Graph
from engine.names import identifiers
from engine.program import (
    Conv2DMaxPool2DParams,
    Conv2DParams,
    LookupParams,
    OutputS8,
    Pool2DParams,
    Program,
    RequantizeParams,
    Rescale,
    Step,
)
from engine.validate import validate

#: Bytes of all activations that are alive at once, so that a garbled file cannot ask for all memory.
MAX_ARENA = 1 << 29
#: Ratio of exactly 1: the rescale record for which requantization changes nothing but the range.
UNITY = Rescale(1 << 30, 1, 0)


def lower(graph: Graph) -> Program:
    """Lower a graph to kernel calls over one arena.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    Program
        Steps in the order of the graph's layers. Reshapes have no step; a concatenation has one for each input. Paddings
        with the zero point join the convolution behind them. Stand-alone ReLUs that only narrow a range are fused into
        the step before; so is a max pool into the convolution before it, where it does not make the convolution compute
        more. Of two unary steps one of which is a table, one table remains. Requantizations that change no code have no
        step.

    Raises
    ------
    FormatError, UnsupportedError
        See :func:`engine.validate.validate`.
    QuantError
        If a scale cannot be represented or an accumulator could leave int32; names layer and channel.
    """
    validate(graph)
    lowering = Lowering(graph)
    calls = _needed(lowering.calls())
    calls = _fuse(calls, lowering, _fuse_clamp)
    calls = _fuse(calls, lowering, _fuse_tables)
    calls = _changing(calls, lowering)
    calls = _fuse(calls, lowering, _fuse_pool)
    return _placed(calls, lowering)


def _needed(calls: Sequence[Call]) -> list[Call]:
    """Drop calls whose results nobody reads: paddings that a convolution takes over."""
    folded = {index for call in calls for index in call.layers[:-1]}
    return [call for call in calls if call.layers[-1] not in folded]


def _narrowed(output: OutputS8, lo: int, hi: int) -> OutputS8:
    """Range of a clamp to `output` followed by a clamp to [lo, hi]."""
    return OutputS8(output.zero, clamp(output.lo, lo, hi), clamp(output.hi, lo, hi))


def _fuse(calls: Sequence[Call], lowering: Lowering, rule: Callable[[Call, Call], Call | None]) -> list[Call]:
    """Apply a rule to each call and the only user of what it makes."""
    users = Counter(lowering.owner(i) for call in calls for i in call.reads)
    users.update(lowering.owner(i) for i in lowering.graph.outputs)
    done: list[Call] = []
    maker: dict[int, int] = {}
    for call in calls:
        source = lowering.owner(call.x)
        position = maker.get(source)
        fused = rule(done[position], call) if position is not None and users[source] == 1 else None
        if fused is None:
            position = len(done)
            done.append(call)
        else:
            assert position is not None
            done[position] = fused
        maker[call.y] = position
    return done


def _changing(calls: Sequence[Call], lowering: Lowering) -> list[Call]:
    """Drop requantizations that change no code which can come: their result has the bytes of their input."""
    kept = []
    for call in calls:
        output = _narrowing(call)
        lo, hi = lowering.range(call.x)
        if output is not None and output.lo <= lo and hi <= output.hi:
            lowering.rename(call.y, call.x)
        else:
            kept.append(call)
    return kept


def _narrowing(call: Call) -> OutputS8 | None:
    """Give the output of a requantization that does nothing but clamp."""
    params = call.params
    if not isinstance(params, RequantizeParams) or call.kernel != "requantize_s8":
        return None
    return params.y if params.rescale == UNITY and params.zero_x == params.y.zero else None


def _fuse_clamp(first: Call, then: Call) -> Call | None:
    """Join a requantization that only narrows the range to the call before it."""
    output = _narrowing(then)
    if output is None:
        return None
    params = first.params
    if isinstance(params, Clamped):
        params = replace(params, y=_narrowed(params.y, output.lo, output.hi))
    elif isinstance(params, Pool2DParams):
        both = _narrowed(OutputS8(0, params.lo, params.hi), output.lo, output.hi)
        params = replace(params, lo=both.lo, hi=both.hi)
    elif isinstance(params, LookupParams):
        params = replace(params, codes=tuple(clamp(code, output.lo, output.hi) for code in params.codes))
    else:
        return None
    return replace(first, params=params, layers=first.layers + then.layers, y=then.y)


def _codes(call: Call) -> tuple[int, ...] | None:
    """Give what the codes -128 ... 127 become, if the call maps codes one by one."""
    if isinstance(call.params, LookupParams):
        return call.params.codes
    if isinstance(call.params, RequantizeParams) and call.kernel == "requantize_s8":
        return tables.requantized(call.params)
    return None


def _fuse_tables(first: Call, then: Call) -> Call | None:
    """Two unary calls become one table, if one of them is: two requantizations are smaller than that."""
    if not isinstance(first.params, LookupParams) and not isinstance(then.params, LookupParams):
        return None
    before, after = _codes(first), _codes(then)
    if before is None or after is None:
        return None
    assert isinstance(first.params, LookupParams | RequantizeParams)
    params = LookupParams(first.params.count, tuple(after[code + 128] for code in before))
    return replace(first, kernel="lookup_s8", params=params, layers=first.layers + then.layers, y=then.y)


def _fuse_pool(first: Call, then: Call) -> Call | None:
    """Convolution and max pool become one where no position of the convolution would be computed twice.

    Exact because requantization is monotone while ``acc * 2**left`` stays inside int32, which `worst` proves.
    """
    conv, pool = first.params, then.params
    if first.kernel != "conv2d_s8" or then.kernel != "max_pool2d_s8":
        return None
    assert isinstance(conv, Conv2DParams)
    assert isinstance(pool, Pool2DParams)
    win = pool.window
    same_map = (win.in_h, win.in_w, pool.channels) == (conv.window.out_h, conv.window.out_w, conv.out_c)
    apart = win.stride_h >= win.kernel_h and win.stride_w >= win.kernel_w
    left = max(rescale.left for rescale in conv.rescale)
    if not (same_map and apart and first.worst << left < ACCUMULATOR_LIMIT):
        return None
    params = Conv2DMaxPool2DParams(replace(conv, y=_narrowed(conv.y, pool.lo, pool.hi)), win)
    return replace(first, kernel="conv2d_max_pool2d_s8", params=params, layers=first.layers + then.layers, y=then.y)


def _placed(calls: Sequence[Call], lowering: Lowering) -> Program:
    graph = lowering.graph
    shared = _shared_buffers(calls, lowering)
    buffers, number = _buffers(calls, lowering, shared)
    layout = arena.place(buffers)
    if layout.size > MAX_ARENA:
        raise UnsupportedError(f"the activations take {layout.size} bytes; supported are at most {MAX_ARENA}")
    offset = {tensor: layout.offsets[index] for tensor, index in number.items()}
    names = identifiers("_".join(graph.layers[i].name for i in call.layers) for call in calls)

    def at(tensor: int) -> int:
        return offset[lowering.owner(tensor)]

    steps = tuple(
        Step(
            call.kernel,
            call.layers,
            name,
            call.params,
            call.w,
            call.bias,
            call.x,
            call.y,
            at(call.x),
            at(call.y),
            0,
            lowering.size(call.x),
            lowering.size(call.y),
            0,
            call.acc_bound,
            call.x2,
            0 if call.x2 is None else at(call.x2),
            0 if call.x2 is None else lowering.size(call.x2),
        )
        for call, name in zip(calls, names, strict=True)
    )
    return Program(steps, layout.size, tuple(at(i) for i in graph.inputs), tuple(at(i) for i in graph.outputs))


def _last_uses(calls: Sequence[Call], lowering: Lowering) -> dict[int, int]:
    """Step after which each tensor's bytes are free; a model's output is read after the last step."""
    last = {lowering.owner(i): -1 for i in lowering.graph.inputs}
    for step, call in enumerate(calls):
        last.update((lowering.owner(i), step) for i in (*call.reads, call.y))
    last.update((lowering.owner(i), len(calls)) for i in lowering.graph.outputs)
    return last


def _shared_buffers(calls: Sequence[Call], lowering: Lowering) -> dict[int, int]:
    """Find outputs that take their input's place: of kernels that may work in place, when nobody needs the input afterwards."""
    last = _last_uses(calls, lowering)
    shared: dict[int, int] = {}
    for step, call in enumerate(calls):
        for source in map(lowering.owner, call.reads if call.kernel in _IN_PLACE else ()):
            if last[source] == step and lowering.size(source) == lowering.size(call.y) and call.y not in shared:
                shared[call.y] = shared.get(source, source)
    return shared


#: Kernels that may write where they read.
_IN_PLACE = {
    *("requantize_s8", "requantize_u8_s8", "requantize_s8_u8", "softmax_s8", "lookup_s8"),
    *("add_s8", "sub_s8", "mul_s8"),
}


def _buffers(calls: Sequence[Call], lowering: Lowering, shared: dict[int, int]) -> tuple[list[arena.Buffer], dict[int, int]]:
    """Buffers with their lifetimes, and which of them each tensor lies in."""
    graph = lowering.graph
    last = _last_uses(calls, lowering)
    births = {lowering.owner(i): -1 for i in graph.inputs}
    for step, call in enumerate(calls):
        births.setdefault(call.y, step)  # a concatenation has several writers
    buffers: dict[int, arena.Buffer] = {}
    number: dict[int, int] = {}
    for tensor, birth in births.items():
        home = shared.get(tensor, tensor)
        buffer = arena.Buffer(lowering.size(tensor), birth, last[tensor], graph.tensors[tensor].dtype.itemsize)
        if home in buffers:
            buffer = replace(buffers[home], last=buffer.last)
        buffers[home] = buffer
        number[tensor] = list(buffers).index(home)
    return list(buffers.values()), number
