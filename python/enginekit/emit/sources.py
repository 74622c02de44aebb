"""Fills the templates: pure, and the same text for the same model and options."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine._version import __version__
from engine.errors import UnsupportedError
from engine.graph import Tensor
from engine.model import Model
from enginekit.c_text import array, braces, c_string, check_identifier, comment
from enginekit.emit.golden import GOLDEN_SEED, check_golden, default_golden
from enginekit.encode.candidate import Place
from enginekit.encode.choose import Encoding, Optimize, encode
from enginekit.records import MAX_ARRAY, float_literal

_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "float32": "float"}
#: Bytes of the model's digest that go into the header.
_HASH_BYTES = 8
_TITLE_LENGTH = 31


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
    values = _front_matter(model, name, f"golden={chosen}, optimize={encoding.optimize.value}")
    return {
        f"{name}.c": _source(model, encoding, inputs, values),
        f"{name}.h": _header(model, encoding.arena, values, len(inputs)),
    }


def _front_matter(model: Model, name: str, options: str) -> dict[str, str]:
    """Values that both files share."""
    title = model.graph.name or name
    return {
        "version": __version__,
        "about": comment(title),
        "digest": model.digest.hex(),
        "options": f"name={name}, {options}",
        "name": name,
        "NAME": name.upper(),
        "title": c_string(title[:_TITLE_LENGTH]),
    }


def _header(model: Model, arena: int, values: dict[str, str], pairs: int) -> str:
    program = model.program
    more = {
        "hash": braces([f"0x{byte:02x}" for byte in model.digest[:_HASH_BYTES]]),
        "arena": str(arena),
        "pairs": str(pairs),
        "plural": "" if pairs == 1 else "s",
    }
    more |= _edge("x", model.inputs[0], program.input_offsets[0]) | _edge("y", model.outputs[0], program.output_offsets[0])
    return _fill("model.h.in", values | more)


def _edge(prefix: str, tensor: Tensor, offset: int) -> dict[str, str]:
    """Macros of the input or output; a tensor without quantization has scale 1 and zero point 0."""
    shape = tensor.shape[1:] or (1,)
    quantized = tensor.scale is not None
    return {
        f"{prefix}_dtype": tensor.dtype.name,
        f"{prefix}_offset": str(offset),
        f"{prefix}_size": str(int(np.prod(shape)) * tensor.dtype.itemsize),
        f"{prefix}_rank": str(len(shape)),
        f"{prefix}_shape": braces(shape),
        f"{prefix}_scale": float_literal(float(tensor.scale[0]) if tensor.scale is not None else 1.0),
        f"{prefix}_zero": f"({tensor.zero_point if quantized else 0})",
    }


def _source(model: Model, encoding: Encoding, inputs: Sequence[NDArray[Any]], values: dict[str, str]) -> str:
    pairs = zip(model.program.steps, encoding.steps, strict=True)
    steps = [placed.candidate.emit(Place(step, values["name"], placed.scratch)) for step, placed in pairs]
    headers = {header for placed in encoding.steps for header in placed.candidate.headers}
    calls = [call for step in steps for call in step.calls] or ["    (void)arena;"]
    more = {
        "headers": "\n".join(f'#include "{header}"' for header in sorted(headers | {"eng/infer_s8.h"})),
        "string_h": "\n#include <string.h>\n" if inputs else "",
        "data": "\n\n".join(step.data for step in steps),
        "calls": "\n".join(calls),
        "selftest": _selftest(model, inputs, values),
    }
    return _fill("model.c.in", values | more)


def _selftest(model: Model, inputs: Sequence[NDArray[Any]], values: dict[str, str]) -> str:
    name = values["name"]
    if not inputs:
        return f"eng_status {name}_selftest(uint8_t *arena)\n{{\n    (void)arena;\n    return ENG_OK;\n}}\n"
    pairs = []
    for index, x in enumerate(inputs):
        pairs.append(_golden_array(f"{name}_golden_x{index}", x))
        pairs.append(_golden_array(f"{name}_golden_y{index}", np.asarray(model.run(x))))
    checks = [f"    status = {name}_check(arena, {name}_golden_x{i}, {name}_golden_y{i});" for i in range(len(inputs))]
    guarded = [checks[0], *(f"    if (status == ENG_OK) {{\n    {check}\n    }}" for check in checks[1:])]
    more = {"golden": "\n".join(pairs), "checks": "\n".join(guarded)}
    return _fill("selftest.c.in", values | more)


def _golden_array(name: str, data: NDArray[Any]) -> str:
    if data.nbytes > MAX_ARRAY:
        raise UnsupportedError(f"golden array {name} has {data.nbytes} bytes; at most {MAX_ARRAY} work: pass golden=[]")
    if data.dtype == np.float32:
        texts = [float_literal(value) for value in data.ravel().tolist()]
    else:
        texts = [str(value) for value in data.ravel().tolist()]
    return array(f"static const {_C_TYPES[data.dtype.name]} {name}", texts)


def _fill(template: str, values: dict[str, str]) -> str:
    text = resources.files("enginekit.emit").joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(values).rstrip("\n") + "\n"
