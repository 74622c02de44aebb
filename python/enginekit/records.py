"""The params records of kernels as C lays them out: field types for the emitter, sizes on the chip for the planner.

One table for both, so that a plan counts exactly the bytes that are emitted. Tests compare it with the headers, by compiler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from engine.program import (
    AddParams,
    ArgmaxParams,
    Broadcast,
    Conv2DMaxPool2DParams,
    Conv2DParams,
    CopyParams,
    DenseParams,
    DenseWideParams,
    LookupParams,
    MeanParams,
    MulParams,
    OutputS8,
    PadParams,
    Params,
    Pool2DParams,
    QuantizeParams,
    Ratio,
    RequantizeParams,
    Rescale,
    SoftmaxParams,
    Step,
    Window,
)

#: Largest object that avr-gcc accepts, bytes: its size must fit a signed 16-bit integer.
MAX_ARRAY = 32_767

#: Pointer to an array of this element, emitted beside the record.
_RESCALE_ARRAY, _RATIO_ARRAY, _TABLE, _CODES = "const eng_rescale *", "const eng_ratio *", "const int32_t *", "const int8_t *"
_POINTERS = (_RESCALE_ARRAY, _RATIO_ARRAY, _TABLE, _CODES)

#: Bytes on AVR: pointers have two, and nothing is padded.
AVR_SIZES = {
    "uint8_t": 1,
    "int8_t": 1,
    "uint16_t": 2,
    "uint32_t": 4,
    "int32_t": 4,
    "float": 4,
    _RESCALE_ARRAY: 2,
    _RATIO_ARRAY: 2,
    _TABLE: 2,
    _CODES: 2,
}

_WINDOW_FIELDS = (
    *("in_h", "in_w", "out_h", "out_w", "kernel_h", "kernel_w", "stride_h", "stride_w"),
    *("dilation_h", "dilation_w", "pad_top", "pad_left"),
)

_PAD_FIELDS = ("in_h", "in_w", "channels", "top", "bottom", "left", "right", "front", "back")

#: Bytes on AVR of one element of what a pointer field points to, and its name in C.
ELEMENTS = {"rescale": (6, "eng_rescale"), "ratio": (8, "eng_ratio"), "table": (4, "int32_t"), "codes": (1, "int8_t")}

#: Name in C, and the fields in the order of the headers: attribute of the Python record -> C type, or the nested record.
_STRUCTS: dict[type, tuple[str, Mapping[str, str | type]]] = {
    Window: ("eng_window", dict.fromkeys(_WINDOW_FIELDS, "uint16_t")),
    Rescale: ("eng_rescale", {"mult": "int32_t", "left": "uint8_t", "right": "uint8_t"}),
    Ratio: ("eng_ratio", {"low": "uint32_t", "high": "uint32_t"}),
    OutputS8: ("eng_output_s8", {"zero": "int8_t", "lo": "int8_t", "hi": "int8_t"}),
    DenseParams: (
        "eng_dense_s8_params",
        {"in_": "uint16_t", "out": "uint16_t", "rescale_step": "uint8_t", "y": OutputS8, "rescale": _RESCALE_ARRAY},
    ),
    DenseWideParams: (
        "eng_dense_wide_s8_params",
        {
            "rows": "uint32_t",
            "in_": "uint16_t",
            "out": "uint16_t",
            "ratio_step": "uint8_t",
            "y": OutputS8,
            "ratio": _RATIO_ARRAY,
        },
    ),
    Conv2DParams: (
        "eng_conv2d_s8_params",
        {
            "window": Window,
            "in_c": "uint16_t",
            "out_c": "uint16_t",
            "zero_x": "int8_t",
            "rescale_step": "uint8_t",
            "y": OutputS8,
            "rescale": _RESCALE_ARRAY,
        },
    ),
    Pool2DParams: ("eng_pool2d_s8_params", {"window": Window, "channels": "uint16_t", "lo": "int8_t", "hi": "int8_t"}),
    Conv2DMaxPool2DParams: ("eng_conv2d_max_pool2d_s8_params", {"conv": Conv2DParams, "pool": Window}),
    RequantizeParams: (
        "eng_requantize_s8_params",
        {"count": "uint32_t", "zero_x": "int8_t", "rescale": Rescale, "y": OutputS8},
    ),
    SoftmaxParams: (
        "eng_softmax_s8_params",
        {"rows": "uint32_t", "size": "uint16_t", "table_size": "uint16_t", "table": _TABLE},
    ),
    ArgmaxParams: ("eng_argmax_s8_params", {"rows": "uint32_t", "size": "uint16_t"}),
    QuantizeParams: ("eng_quantize_params", {"count": "uint32_t", "scale": "float", "zero": "int8_t"}),
    Broadcast: ("eng_broadcast", {"size": "uint32_t", "repeat": "uint32_t"}),
    AddParams: (
        "eng_add_s8_params",
        {
            "count": "uint32_t",
            "x": Broadcast,
            "x2": Broadcast,
            "zero_x": "int8_t",
            "zero_x2": "int8_t",
            "rescale_x": Rescale,
            "rescale_x2": Rescale,
            "rescale_y": Rescale,
            "y": OutputS8,
        },
    ),
    MulParams: (
        "eng_mul_s8_params",
        {
            "count": "uint32_t",
            "x": Broadcast,
            "x2": Broadcast,
            "zero_x": "int8_t",
            "zero_x2": "int8_t",
            "rescale": Rescale,
            "y": OutputS8,
        },
    ),
    MeanParams: (
        "eng_mean_s8_params",
        {
            "pixels": "uint32_t",
            "channels": "uint16_t",
            "zero_x": "int8_t",
            "rescale": Rescale,
            "y": OutputS8,
        },
    ),
    CopyParams: ("eng_copy_s8_params", dict.fromkeys(("rows", "size", "stride", "first"), "uint32_t")),
    PadParams: ("eng_pad_s8_params", {**dict.fromkeys(_PAD_FIELDS, "uint16_t"), "value": "int8_t"}),
    LookupParams: ("eng_lookup_s8_params", {"count": "uint32_t", "codes": _CODES}),
}

#: Records of the kernels in eng/tensor_s8.h.
TENSOR_PARAMS = (AddParams, MulParams, MeanParams, CopyParams, PadParams, LookupParams)


def c_name(record: type) -> str:
    """Name of the C struct of a record class.

    >>> c_name(DenseParams)
    'eng_dense_s8_params'
    """
    return _STRUCTS[record][0]


def fields(record: type) -> Mapping[str, str | type]:
    """Fields of a record class in C's order: attribute -> C type, or the class of a nested record."""
    return _STRUCTS[record][1]


def avr_size(record: type) -> int:
    """Bytes of a record on AVR.

    >>> avr_size(Rescale), avr_size(DenseParams), avr_size(Conv2DMaxPool2DParams)
    (6, 10, 59)
    """
    return sum(AVR_SIZES[kind] if isinstance(kind, str) else avr_size(kind) for kind in fields(record).values())


def split(step: Step) -> list[range]:
    """Say which output rows each emitted kernel call of a dense layer computes, so that no array exceeds `MAX_ARRAY`.

    Other kernels, and dense layers that are small enough, are one call: ``[range(out)]``.
    """
    if not isinstance(step.params, DenseParams):
        return [range(0)]
    row = max(step.params.in_, avr_size(Rescale))
    rows = max(MAX_ARRAY // row, 1)
    return [range(first, min(first + rows, step.params.out)) for first in range(0, step.params.out, rows)]


def arrays(params: Params) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield what the record's pointers point to: ``("rescale", records)``, ``("table", numbers)`` and the like."""
    for name, kind in fields(type(params)).items():
        value = getattr(params, name)
        if kind in _POINTERS:
            yield name, value
        elif kind is Conv2DParams:
            yield from arrays(value)


def initializer(record: Any, pointers: dict[str, str]) -> str:
    """Write a record as a C initializer list; `pointers` gives the names of the arrays of :func:`arrays`.

    >>> initializer(Rescale(1 << 30, 0, 3), {})
    '{1073741824, 0, 3}'
    """
    parts = []
    for name, kind in fields(type(record)).items():
        value = getattr(record, name)
        if isinstance(kind, type):
            parts.append(initializer(value, pointers))
        elif kind in _POINTERS:
            parts.append(pointers[name])
        elif kind == "float":
            parts.append(float_literal(float(value)))
        else:
            parts.append(str(int(value)))
    return "{" + ", ".join(parts) + "}"


def packed(record: Any, pointers: Mapping[str, int]) -> bytes:
    """Lay a record out as AVR has it; `pointers` gives the addresses of the arrays of :func:`arrays`.

    >>> packed(Rescale(1 << 30, 0, 3), {}).hex()
    '000000400003'
    """
    parts = []
    for name, kind in fields(type(record)).items():
        value = getattr(record, name)
        if isinstance(kind, type):
            parts.append(packed(value, pointers))
        elif kind == "float":
            parts.append(np.float32(value).tobytes())
        else:
            number = pointers[name] if kind in _POINTERS else int(value)
            parts.append((number & 0xFFFFFFFF).to_bytes(4, "little")[: AVR_SIZES[kind]])
    return b"".join(parts)


def packed_arrays(params: Params) -> Iterator[tuple[str, bytes]]:
    """Yield what the record's pointers point to, as :func:`arrays` does, laid out as AVR has it."""
    for name, values in arrays(params):
        size = ELEMENTS[name][0]
        records = name in ("rescale", "ratio")
        yield name, b"".join(packed(v, {}) if records else (v & 0xFFFFFFFF).to_bytes(4, "little")[:size] for v in values)


def float_literal(value: float) -> str:
    """Write a float32 so that it reads back as the same bits.

    >>> float_literal(0.1), float_literal(2.0), float_literal(1e-30)
    ('0.100000001f', '2.0f', '1e-30f')
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} has no C literal")
    text = f"{float(np.float32(value)):.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"
