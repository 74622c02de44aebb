"""Models of one layer, each with one given encoding, emitted together: run on the host and on the simulated chip."""

import ctypes
from dataclasses import dataclass

import compilers
import numpy as np
from avr_kernels import Bench, build
from emitted import core_objects

from engine.model import Model
from enginekit.emit import emit
from enginekit.encode.candidate import Candidate
from enginekit.encode.choose import Encoding, Optimize, candidates, encode
from enginekit.proofs import prove


@dataclass(frozen=True, eq=False)
class Case:
    """A model of one layer with the encoding that it is to have."""

    name: str
    model: Model
    candidate: Candidate

    @property
    def encoding(self) -> Encoding:
        return encode(self.model, Optimize.SPEED, encoders=[lambda _: [self.candidate]])


def cases(name, graph, encoder):
    """Every candidate that an encoder gives for a graph of one layer."""
    model = Model(graph)
    assert len(model.program.steps) == 1, name
    found = candidates(model, prove(model), 0, [encoder])
    return [Case(f"{name}, {candidate.encoding}", model, candidate) for candidate in found]


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
        program = case.model.program
        arena = np.full(case.encoding.arena + 4, 0xA5, np.uint8)
        arena[program.input_offsets[0] :][: x.size] = x.view(np.uint8).ravel()
        self._host[f"{self._names[name]}_run"](arena.ctypes.data_as(ctypes.c_void_p))
        return self._output(case, arena[program.output_offsets[0] :].tobytes())

    def chip(self, name, x):
        """Output of the emitted C on the chip, and the call."""
        case = self.cases[name]
        program = case.model.program
        self._chip.clear()
        arena = self._chip.ram(case.encoding.arena)
        self._chip.chip.write(arena + program.input_offsets[0], x.tobytes())
        call = self._chip.call(f"{self._names[name]}_run", arena)
        return self._output(case, self._chip.read(arena, case.encoding.arena)[program.output_offsets[0] :]), call

    @staticmethod
    def _output(case, raw):
        size = case.model.program.steps[-1].y_size
        return np.frombuffer(raw[:size], np.int8).reshape(case.model.output.shape)
