"""Mutates .tflite files, graphs and programs, loads what comes out, and runs what loads: ``make fuzz``.

Every execution follows from the seed and its number, so that a finding is repeated by both. An execution is good if it ends
in a model that runs, or in an EngineError; anything else is a finding, and so is one that takes longer than `PATIENCE`. Under
the address sanitizer (the build that ``make fuzz`` makes), reads and writes out of bounds and allocations beyond a limit end
the process, and the parent reports the execution that did it.
"""

from __future__ import annotations

import argparse
import faulthandler
import math
import mmap
import os
import random
import struct
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np

import engine
from engine.graph import OPERATORS, Graph
from engine.lower import lower
from engine.model import _session
from engine.profile import work
from engine.program import Step
from engine.tflite import flat

#: Seconds that one execution may take, sanitizers included.
PATIENCE = 30.0
#: Models of more multiply-adds or bytes of arena are loaded, not run.
MOST_WORK, MOST_ARENA = 3_000_000, 4_000_000
#: What a session may say about a program that lowering did not make.
REFUSALS = (engine.EngineError, ValueError, TypeError, RuntimeError, OverflowError)
NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 4,
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 3e38, math.inf, -math.inf, math.nan, 1 / 256, 2.0**-30, 2.0**30)

#: Fields that no mutation touches: names, and of steps arrays and what only names tensors.
FIXED = {False: {"name"}, True: {"name", "layers", "w", "bias", "x", "x2", "y"}}

#: Position, format character.
Spot = tuple[int, str]


@contextmanager
def watched(spots: list[Spot]) -> Iterator[None]:
    """Note where the reader reads, and what it takes each place for."""
    at, number, tables, array = flat._at, flat.Table.number, flat.Table.tables, flat.Table.array

    def noted_at(data, layout, position, what):
        spots.append((position, layout.format.strip("<")))
        return at(data, layout, position, what)

    def noted_number(self, slot, code, default):
        if field := self._field(slot, struct.calcsize(f"<{code}")):
            spots.append((field, code))
        return number(self, slot, code, default)

    def noted_tables(self, slot, name):
        start, count = self._vector(slot, 4, name)
        spots.extend((start + 4 * i, "I") for i in range(min(count, 64)))
        return tables(self, slot, name)

    def noted_array(self, slot, dtype, name):
        item = np.dtype(dtype)
        start, count = self._vector(slot, item.itemsize, name)
        spots.extend((start + item.itemsize * i, item.char if item.char != "l" else "q") for i in range(min(count, 12)))
        return array(self, slot, dtype, name)

    flat._at, flat.Table.number, flat.Table.tables, flat.Table.array = noted_at, noted_number, noted_tables, noted_array
    try:
        yield
    finally:
        flat._at, flat.Table.number, flat.Table.tables, flat.Table.array = at, number, tables, array


class Base:
    """A sound file, the places in it that mean something, and its graph."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        spots: list[Spot] = []
        with watched(spots):
            self.graph = engine.load(data).graph
        self.spots = sorted({s for s in spots if s[0] + struct.calcsize(f"<{s[1]}") <= len(data)})


# ---- files


def mutate_file(rng: random.Random, bases: list[Base]) -> bytes:
    """Change one to six places."""
    base = rng.choice(bases)
    data = bytearray(base.data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        change = rng.choice((_field, _field, _field, _field, _retarget, _raw, _swap, _block))
        change(rng, data, base, bases)
    return bytes(data)


def _field(rng: random.Random, data: bytearray, base: Base, _: list[Base]) -> None:
    position, code = rng.choice(base.spots)
    size = struct.calcsize(f"<{code}")
    if position + size > len(data):
        return
    if code in "fd":
        struct.pack_into(f"<{code}", data, position, _real(rng, struct.unpack_from(f"<{code}", data, position)[0]))
        return
    value = int.from_bytes(data[position : position + size], "little")
    data[position : position + size] = (_number(rng, value) % (1 << 8 * size)).to_bytes(size, "little")


def _number(rng: random.Random, value: int) -> int:
    near = value + rng.randint(-3, 3)
    return rng.choice((near, near, rng.choice(NUMBERS), -rng.choice(NUMBERS), value * 2, value ^ 1 << rng.randrange(32)))


def _real(rng: random.Random, value: float) -> float:
    scaled = value * 2.0 ** rng.randint(-20, 20)
    return rng.choice((scaled if abs(scaled) < 3e38 else 1.0, rng.choice(FLOATS)))


def _retarget(rng: random.Random, data: bytearray, base: Base, _: list[Base]) -> None:
    """Let an offset point to where another one points."""
    words = [position for position, code in base.spots if code == "I" and position + 4 <= len(data)]
    if len(words) < 2:
        return
    one, other = rng.choice(words), rng.choice(words)
    target = other + struct.unpack_from("<I", data, other)[0]
    struct.pack_into("<I", data, one, (target - one) % (1 << 32))


def _raw(rng: random.Random, data: bytearray, _: Base, __: list[Base]) -> None:
    if not data:
        return
    position = rng.randrange(len(data))
    kind = rng.randrange(4)
    if kind == 0:
        data[position] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[position] = rng.randrange(256)
    elif kind == 2:
        word = position & ~3
        data[word : word + 4] = (rng.choice(NUMBERS) % (1 << 32)).to_bytes(4, "little")
    else:
        del data[position:]


def _swap(rng: random.Random, data: bytearray, base: Base, _: list[Base]) -> None:
    """Exchange two fields of the same kind."""
    (one, code), (other, kind) = rng.choice(base.spots), rng.choice(base.spots)
    size = struct.calcsize(f"<{code}")
    if code != kind or max(one, other) + size > len(data):
        return
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _block(rng: random.Random, data: bytearray, _: Base, bases: list[Base]) -> None:
    """Insert, delete or overwrite some bytes; what comes in is from this or another file."""
    source = rng.choice(bases).data
    size = rng.choice((1, 2, 4, 8, 40, 400))
    start, position = rng.randrange(len(source)), rng.randrange(len(data) + 1)
    taken = source[start : start + size]
    end = position + rng.choice((0, len(taken), len(taken)))
    data[position:end] = taken if rng.randrange(3) else b""


# ---- graphs and programs


def mutate_graph(rng: random.Random, bases: list[Base]) -> Graph:
    """Change one to three fields of tensors, layers or ends."""
    graph = rng.choice(bases).graph
    for _ in range(rng.choice((1, 1, 2, 3))):
        where = rng.choice(("tensors", "tensors", "layers", "layers", "inputs", "outputs"))
        items = list(getattr(graph, where))
        if not items:
            continue
        i = rng.randrange(len(items))
        items[i] = _tensor(rng, items[i]) if where == "tensors" else changed(rng, items[i])
        if rng.randrange(12) == 0:
            del items[i]
        graph = replace(graph, **{where: tuple(items)})
    return graph


def _tensor(rng: random.Random, tensor):
    kind = rng.randrange(6)
    if kind == 0:
        return replace(tensor, shape=changed(rng, tensor.shape))
    if kind == 1:
        return replace(tensor, zero_point=changed(rng, tensor.zero_point))
    if kind == 2:
        scale = None if tensor.scale is None else np.array([_real(rng, float(s)) for s in tensor.scale], np.float32)
        return replace(tensor, scale=rng.choice((scale, scale, None, np.float32([1]))))
    if kind == 3:
        return replace(tensor, dtype=np.dtype(rng.choice(("int8", "uint8", "int32", "int64", "float32"))))
    if kind == 4:
        return replace(tensor, axis=changed(rng, tensor.axis))
    if tensor.data is not None or not 0 < math.prod(tensor.shape) < 100_000 or min(tensor.shape) < 1:
        return replace(tensor, data=None)
    return replace(tensor, data=np.zeros(tensor.shape, tensor.dtype))


def changed(rng: random.Random, value):
    """Something like `value`, one part of it different."""
    if is_dataclass(value):
        fixed = FIXED[isinstance(value, Step)]
        names = [f.name for f in fields(value) if f.name not in fixed]
        name = rng.choice(names) if names else None
        if name == "op":
            return replace(value, op=rng.choice(list(OPERATORS)))
        return value if name is None else replace(value, **{name: changed(rng, getattr(value, name))})
    if isinstance(value, Enum):
        return rng.choice(list(type(value)))
    if isinstance(value, bool):
        return not value
    if isinstance(value, float | np.floating):
        return type(value)(_real(rng, float(value)))
    if isinstance(value, int):
        return _number(rng, value)
    if isinstance(value, tuple) and value:
        i = rng.randrange(len(value))
        kind = rng.randrange(8)
        middle = () if kind == 0 else (value[i], value[i]) if kind == 1 else (changed(rng, value[i]),)
        return (*value[:i], *middle, *value[i + 1 :])
    return value


def run_program(rng: random.Random, bases: list[Base]) -> str:
    """Change a field of the lowered program; the core's own check must refuse what it cannot run."""
    graph = rng.choice(bases).graph
    program = lower(graph)
    steps = list(program.steps)
    for _ in range(rng.choice((1, 1, 2))):
        i = rng.randrange(len(steps))
        steps[i] = changed(rng, steps[i])
    try:
        session = _session(graph, replace(program, steps=tuple(steps), arena=min(program.arena, MOST_ARENA)), 1)
        if sum(work(step) for step in steps) < MOST_WORK:
            session.trace(inputs(rng, [graph.tensors[i] for i in graph.inputs]))
    except REFUSALS:
        return "program refused"
    return "program ran"


# ---- executions


def inputs(rng: random.Random, tensors):
    """A batch of 1 to 3 samples for each tensor: one array, or a tuple of them."""
    batch = rng.choice((1, 1, 2, 3))
    arrays = []
    for tensor in tensors:
        shape = (batch, *tensor.shape[1:])
        size = math.prod(shape) * tensor.dtype.itemsize
        array = np.frombuffer(rng.randbytes(size), tensor.dtype).reshape(shape)
        arrays.append(np.nan_to_num(array) if tensor.dtype == np.float32 and rng.randrange(2) else array)
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def run_model(rng: random.Random, made: bytes | Graph) -> str:
    try:
        model = engine.load(made) if isinstance(made, bytes) else engine.Model(made)
        if sum(map(work, model.program.steps)) > MOST_WORK or model.program.arena > MOST_ARENA:
            return "too large to run"
        x = inputs(rng, model.inputs)
        y = model.run(x)
        if rng.randrange(8) == 0:
            again = engine.load(model.to_bytes()).run(x)
            for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (y, again)), strict=True):
                assert a.tobytes() == b.tobytes(), "the saved model gives other bytes"
    except engine.EngineError:
        return "refused"
    return "ran"


def execute(seed: int, number: int, bases: list[Base]) -> str:
    """Do execution `number`; say how it ended."""
    rng = random.Random(f"{seed} {number}")
    kind = rng.randrange(16)
    if kind == 0:
        return run_program(rng, bases)
    return run_model(rng, mutate_graph(rng, bases) if kind < 4 else mutate_file(rng, bases))


def load_bases(folder: Path) -> list[Base]:
    """All files of a folder, by name."""
    return [Base(path.read_bytes()) for path in sorted(folder.glob("*.tflite"))]


def judged(seed: int, number: int, bases: list[Base]) -> tuple[str, str]:
    """Do an execution; how it ended, and the traceback if it is a finding."""
    try:
        return execute(seed, number, bases), ""
    except Exception:
        return "finding", f"FINDING seed {seed} execution {number}\n{traceback.format_exc()}"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def work_through(options: argparse.Namespace) -> int:
    """Child: execution after execution, its number kept where the parent finds it."""
    bases = load_bases(options.corpus)
    ends: Counter[str] = Counter()
    deadline = time.monotonic() + options.seconds
    with open(options.progress, "r+b") as file, mmap.mmap(file.fileno(), 8) as progress:
        number = options.first
        while time.monotonic() < deadline:
            struct.pack_into("<q", progress, 0, number)
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            end, finding = judged(options.seed, number, bases)
            ends[end] += 1
            if finding:
                say(finding)
            number += 1
    faulthandler.cancel_dump_traceback_later()
    say(f"{number - options.first} executions: " + ", ".join(f"{n} {end}" for end, n in ends.most_common()))
    return 1 if ends["finding"] else 0


def watch_over(options: argparse.Namespace) -> int:
    """Parent: start the child, and again behind an execution that killed it."""
    end, first, bad = time.monotonic() + options.seconds, options.first, 0
    options.progress.write_bytes(bytes(8))
    while (left := end - time.monotonic()) > 0 and bad < options.findings:
        command = [sys.executable, __file__, "--worker", "--corpus", options.corpus, "--progress", options.progress]
        command += ["--seed", options.seed, "--seconds", left, "--first", first]
        code = subprocess.run(list(map(str, command)), check=False, env={**os.environ}).returncode
        if code in (0, 1):
            return 1 if code or bad else 0
        number = struct.unpack("<q", options.progress.read_bytes())[0]
        say(f"FINDING seed {options.seed} execution {number}: the process ended with {code}")
        first, bad = number + 1, bad + 1
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of sound .tflite files")
    parser.add_argument("--progress", type=Path, default=Path("fuzz.progress"))
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first execution")
    parser.add_argument("--findings", type=int, default=20, help="stop after so many that ended the process")
    parser.add_argument("--only", type=int, help="do this execution alone and show what it does")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is not None:
        end, finding = judged(options.seed, options.only, load_bases(options.corpus))
        say(finding or end)
        return int(bool(finding))
    return work_through(options) if options.worker else watch_over(options)


if __name__ == "__main__":
    sys.exit(main())
