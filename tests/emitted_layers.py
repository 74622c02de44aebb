"""Models of one layer, each with one given encoding, emitted together: run on the host and on the simulated chip."""

import ctypes
from dataclasses import dataclass

import compilers
import numpy as np
from avr_costs import table_at_hand
from avr_kernels import Bench, build
from emitted import core_objects

from engine.model import Model
from enginekit.emit import emit
from enginekit.encode.candidate import Candidate
from enginekit.encode.choose import Encoding, Optimize, candidates, encode
from enginekit.proofs import prove

#: Most bytes of stack that a kernel of one layer takes.
STACK = 110


@dataclass(frozen=True, eq=False)
class Case:
    """A model of one layer with the encoding that it is to have."""

    name: str
    model: Model
    candidate: Candidate

    @property
    def encoding(self) -> Encoding:
        return encode(self.model, Optimize.SPEED, encoders=[lambda _: [self.candidate]], table=table_at_hand())


def cases(name, graph, encoder):
    """Every candidate that an encoder gives for a graph of one layer."""
    model = Model(graph)
    assert len(model.program.steps) == 1, name
    found = candidates(model, prove(model), 0, [encoder], table_at_hand())
    return [Case(f"{name}, {candidate.encoding}", model, candidate) for candidate in found]


def inputs(case, shares=(1.0,)):
    """Random inputs, of which these shares are not the lowest code; constant ones, and those that drive sums to their ends."""
    shape, rng = case.model.input.shape, np.random.default_rng(1)
    for share in shares:
        yield f"{share:.0%}", np.where(rng.random(shape) < share, rng.integers(-128, 128, shape), -128)
    for code in (-128, 127):
        yield f"all {code}", np.full(shape, code)
    yield "extremes", rng.choice([-128, 127], shape)
    for adversary, _ in prove(case.model)[0].adversaries:
        yield "adversary", adversary.reshape(shape)


class Layers:
    """Emitted C of cases in one library of the host and one program of the chip."""

    def __init__(self, all_cases, folder):
        self.cases = {case.name: case for case in all_cases}
        self._names = {case.name: f"m{index}" for index, case in enumerate(all_cases)}
        sources = []
        for case in all_cases:
            for file, text in emit(case.model, name=self._names[case.name], golden=[], optimize=case.encoding).items():
                (folder / file).write_text(text)
                sources += [folder / file] if file.endswith(".c") else []
        library = folder / "layers.so"
        compilers.run([*compilers.host(), "-I", folder, "-shared", *sources, *core_objects(), "-lm", "-o", library])
        self._host = ctypes.CDLL(str(library))
        core = compilers.ROOT / "csrc"
        twins = sorted((core / "avr").glob("*.S"))
        names = {twin.stem for twin in twins}
        portable = [path for path in sorted((core / "src").glob("*_s[28]*.c")) if path.stem not in names]
        roots = tuple(f"{name}_run" for name in self._names.values())
        self._chip = Bench(build(folder, [*sources, *twins, *portable], "-Os", roots=roots))

    def host(self, name, x):
        """Output of the emitted C on the host."""
        case = self.cases[name]
        program = case.encoding.program
        arena = np.full(case.encoding.arena + 4, 0xA5, np.uint8)
        arena[program.input_offsets[0] :][: x.size] = x.view(np.uint8).ravel()
        self._host[f"{self._names[name]}_run"](arena.ctypes.data_as(ctypes.c_void_p))
        return self._output(case, arena[program.output_offsets[0] :].tobytes())

    def chip(self, name, x):
        """Output of the emitted C on the chip, and the call."""
        case = self.cases[name]
        program = case.encoding.program
        self._chip.clear()
        arena = self._chip.ram(case.encoding.arena)
        self._chip.chip.write(arena + program.input_offsets[0], x.tobytes())
        call = self._chip.call(f"{self._names[name]}_run", arena)
        return self._output(case, self._chip.read(arena, case.encoding.arena)[program.output_offsets[0] :]), call

    def check(self, name, all_inputs):
        """The model's codes on host and chip, in the cycles that are predicted, and with little stack."""
        case = self.cases[name]
        for kind, codes in all_inputs:
            x = codes.astype(np.int8)
            want = case.model.run(x)
            on_chip, call = self.chip(name, x)
            for where, got in (("host", self.host(name, x)), ("chip", on_chip)):
                bad = np.flatnonzero(got != want)
                assert bad.size == 0, f"{name}, {where}, {kind}: at {bad[0]} {got.flat[bad[0]]} instead of {want.flat[bad[0]]}"
            predicted = case.candidate.mean_cycles(x)
            assert abs(call.cycles / predicted - 1) < 0.01, f"{name}, {kind}: {call.cycles} cycles, {predicted} predicted"
            assert call.cycles <= 1.01 * case.candidate.cycles, f"{name}, {kind}"
            assert call.stack <= STACK, f"{name}, {kind}: {call.stack} bytes of stack"

    @staticmethod
    def _output(case, raw):
        size = case.model.program.steps[-1].y_size
        return np.frombuffer(raw[:size], np.int8).reshape(case.model.output.shape)
