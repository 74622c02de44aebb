"""Fills the templates: pure, and the same text for the same model and options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnsupportedError
from engine.model import Model
from enginekit.c_text import check_identifier
from enginekit.emit.golden import GOLDEN_SEED, check_golden, default_golden
from enginekit.emit.text import edge, fill, front_matter, golden_array
from enginekit.encode.candidate import Place
from enginekit.encode.choose import Encoding, Optimize, encode

_PACKAGE = "enginekit.emit"
#: In files with layers that are not plain.
_MAPPED_ONLY = """
#ifdef ENG_FLASH_LPM
#error "encoded layers are for chips whose flash is data space; emit for the ATmega328P with --chip atmega328p"
#endif
"""


def emit(
    model: Model,
    *,
    name: str = "model",
    golden: Sequence[NDArray[Any]] | None = None,
    optimize: Optimize | Encoding = Optimize.SIZE,
) -> dict[str, str]:
    """Write a model as C for the core in ``csrc``.

    Parameters
    ----------
    model : Model
        One input and one output.
    name : str
        Prefix of everything that the header declares, and name of the files: a C identifier, see
        :func:`enginekit.c_text.check_identifier`.
    golden : sequence of arrays, optional
        Inputs for the self-test, of the model input's dtype and shape (with or without batch 1). Two random ones if not given;
        an empty sequence for none. The outputs expected are those of ``Model.run``.
    optimize : Optimize or Encoding
        Which kernels to call: what to choose them for, or what :func:`enginekit.encode.choose.encode` chose. The results are
        the same.

    Returns
    -------
    dict of str to str
        File name -> text: ``model.c`` and ``model.h`` for the name "model".

    Raises
    ------
    UnsupportedError
        If the model has several inputs or outputs, or a weight array that avr-gcc cannot hold and that cannot be split.
    NameRefusedError
        If `name` cannot be a C prefix.
    EngineError
        If a golden input does not fit the model.
    """
    check_identifier(name)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedError(
            f"model {model.graph.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "C is emitted for one input and one output"
        )
    inputs = default_golden(model) if golden is None else check_golden(model, golden)
    chosen = f"{len(inputs)} given" if golden is not None else f"{len(inputs)} random, seed {GOLDEN_SEED}"
    encoding = encode(model, optimize)
    options = f"golden={chosen}, optimize={encoding.optimize.value}"
    values = front_matter(model.graph.name or name, model.digest, name, options)
    return {
        f"{name}.c": _source(model, encoding, inputs, values),
        f"{name}.h": _header(model, encoding, values, len(inputs)),
    }


def _header(model: Model, encoding: Encoding, values: dict[str, str], pairs: int) -> str:
    program = encoding.program
    plural = "" if pairs == 1 else "s"
    more = {
        "arena": str(encoding.arena),
        "selftest": f"Runs {pairs} golden input{plural} and compares every output byte",
        "training": "",
    }
    more |= edge("x", model.inputs[0], program.input_offsets[0]) | edge("y", model.outputs[0], program.output_offsets[0])
    return fill(_PACKAGE, "model.h.in", values | more)


def _source(model: Model, encoding: Encoding, inputs: Sequence[NDArray[Any]], values: dict[str, str]) -> str:
    pairs = zip(encoding.program.steps, encoding.steps, strict=True)
    steps = [placed.candidate.emit(Place(step, values["name"], placed.scratch)) for step, placed in pairs]
    headers = {header for placed in encoding.steps for header in placed.candidate.headers}
    calls = [call for step in steps for call in step.calls] or ["    (void)arena;"]
    more = {
        "headers": "\n".join(f'#include "{header}"' for header in sorted(headers | {"eng/flash.h", "eng/infer_s8.h"})),
        "flash": _MAPPED_ONLY if encoding.encoded else "",
        "data": "\n\n".join(step.data for step in steps),
        "calls": "\n".join(calls),
        "selftest": _selftest(model, inputs, values),
    }
    return fill(_PACKAGE, "model.c.in", values | more)


def _selftest(model: Model, inputs: Sequence[NDArray[Any]], values: dict[str, str]) -> str:
    name = values["name"]
    if not inputs:
        return f"eng_status {name}_selftest(uint8_t *arena)\n{{\n    (void)arena;\n    return ENG_OK;\n}}\n"
    pairs = []
    for index, x in enumerate(inputs):
        pairs.append(golden_array(f"{name}_golden_x{index}", x, flash=True))
        pairs.append(golden_array(f"{name}_golden_y{index}", np.asarray(model.run(x)), flash=True))
    checks = [f"    status = {name}_check(arena, {name}_golden_x{i}, {name}_golden_y{i});" for i in range(len(inputs))]
    guarded = [checks[0], *(f"    if (status == ENG_OK) {{\n    {check}\n    }}" for check in checks[1:])]
    more = {"golden": "\n".join(pairs), "checks": "\n".join(guarded)}
    return fill(_PACKAGE, "selftest.c.in", values | more)
