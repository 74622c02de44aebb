"""What emitted files have in common: front matter, the header's macros, arrays of inputs, templates."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine._version import __version__
from engine.errors import UnsupportedError
from engine.graph import Tensor
from enginekit.c_text import array, braces, c_string, comment
from enginekit.records import MAX_ARRAY, float_literal

_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "uint16": "uint16_t", "int32": "int32_t", "float32": "float"}
#: Bytes of the digest that go into the header.
_HASH_BYTES = 8
_TITLE_LENGTH = 31


def front_matter(title: str, digest: bytes, name: str, options: str) -> dict[str, str]:
    """Give the values that all files share."""
    return {
        "version": __version__,
        "about": comment(title),
        "digest": digest.hex(),
        "options": f"name={name}, {options}",
        "name": name,
        "NAME": name.upper(),
        "title": c_string(title[:_TITLE_LENGTH]),
        "hash": braces([f"0x{byte:02x}" for byte in digest[:_HASH_BYTES]]),
    }


def edge(prefix: str, tensor: Tensor, offset: int) -> dict[str, str]:
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


def golden_array(name: str, data: NDArray[Any], *, flash: bool = False) -> str:
    """Define the array of a golden input or output; with `flash` it is only read by the functions of eng/flash.h.

    Raises
    ------
    UnsupportedError
        If avr-gcc cannot hold it.
    """
    if data.nbytes > MAX_ARRAY:
        raise UnsupportedError(f"golden array {name} has {data.nbytes} bytes; at most {MAX_ARRAY} work: pass golden=[]")
    if data.dtype == np.float32:
        texts = [float_literal(value) for value in data.ravel().tolist()]
    else:
        texts = [str(value) for value in data.ravel().tolist()]
    return array(f"static const {_C_TYPES[data.dtype.name]} {'ENG_FLASH ' if flash else ''}{name}", texts)


def fill(package: str, template: str, values: dict[str, str]) -> str:
    """Fill a template of a package."""
    text = resources.files(package).joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(values).rstrip("\n") + "\n"
