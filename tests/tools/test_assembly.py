"""Assembly in emitted C."""

import re

from enginekit.encode.assembly import inline


def test_long_assembly_is_cut_into_statements_that_compilers_take():
    section = '    .section .text.f, "ax", @progbits'
    text = "\n".join([section, "f:", *(f"    ldi r18, {n}" for n in range(256)), "    ret"])
    written = [line.replace('"', '\\"') for line in text.splitlines()]
    statements = "\n".join(inline(text, most=500)).split(");\n")
    lines = [re.findall(r'^    "(.*)\\n"$', each, re.MULTILINE) for each in statements]
    assert len(lines) > 5
    assert all(sum(len(line) + 1 for line in each) <= 500 + len(section) for each in lines)
    assert {each[0] for each in lines} == {written[0]}
    assert [written[0], *(line for each in lines for line in each[1:])] == written
