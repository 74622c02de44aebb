"""The table of params records against the core's headers, judged by the chip's compiler."""

import compilers
import numpy as np
import pytest

from engine import program
from enginekit import records

RECORDS = [program.Window, program.Rescale, program.OutputS8, *dict.fromkeys(program.KERNELS.values())]


def checks(record):
    """C that compiles only if every field has the place and size that the table says."""
    name, place = records.c_name(record), 0
    for field, kind in records.fields(record).items():
        member = field.rstrip("_")
        if isinstance(kind, str):
            yield f'_Static_assert(_Generic((({name} *)0)->{member}, {kind}: 1, default: 0), "type of {name}.{member}");'
            size = records.AVR_SIZES[kind]
        else:
            size = records.avr_size(kind)
        yield f'_Static_assert(offsetof({name}, {member}) == {place}, "place of {name}.{member}");'
        yield f'_Static_assert(sizeof((({name} *)0)->{member}) == {size}, "size of {name}.{member}");'
        place += size
    yield f'_Static_assert(sizeof({name}) == {place}, "size of {name}");'


@pytest.mark.parametrize("record", RECORDS, ids=records.c_name)
def test_places_and_sizes_on_the_chip(record, tmp_path):
    source = tmp_path / "check.c"
    source.write_text(
        '#include <stddef.h>\n#include "eng/infer_s8.h"\n#include "eng/tensor_s8.h"\n' + "\n".join(checks(record)) + "\n"
    )
    compilers.run([*compilers.avr(), "-c", source, "-o", tmp_path / "check.o"])


@pytest.mark.parametrize("record", RECORDS, ids=records.c_name)
def test_fields_are_those_of_the_python_record(record):
    assert list(records.fields(record)) == list(record.__dataclass_fields__)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0f"),
        (1 / 255, "0.00392156886f"),
        (-2.5e-20, "-2.49999992e-20f"),
        (16777216.0, "16777216.0f"),
        (3e38, "3.00000001e+38f"),
    ],
)
def test_float_literals(value, text):
    assert records.float_literal(value) == text
    assert np.float32(text[:-1]) == np.float32(value)


@pytest.mark.parametrize(
    ("in_", "out", "rows"),
    [(784, 32, [32]), (784, 41, [41]), (784, 42, [41, 1]), (784, 55, [41, 14]), (1, 6000, [5461, 539]), (32767, 3, [1, 1, 1])],
)
def test_rows_are_split_where_an_array_would_be_too_large(in_, out, rows):
    params = program.DenseParams(in_, out, 0, program.OutputS8(0, -128, 127), ())
    step = program.Step("dense_s8", (0,), "d", params, None, None, 0, 1, 0, 0, 0, in_, out, 0, 0)
    parts = records.split(step)
    assert [len(part) for part in parts] == rows
    assert [row for part in parts for row in part] == list(range(out))
