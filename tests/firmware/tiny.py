"""The smallest model that has everything the firmware asks of one; written by hand, so that no other part is needed."""

from __future__ import annotations

from typing import Any

X_SIZE, Y_SIZE = 12, 5
WEIGHTS = (3, -1, 4, -1, 5)
HASH = bytes(range(0xA0, 0xA8))


def run(x: bytes) -> bytes:
    """Compute what the chip computes."""
    return bytes(w * sum(x) & 0xFF for w in WEIGHTS)


def files(
    *, x_size: int = X_SIZE, arena: int = X_SIZE + Y_SIZE, flash: int = 0, delay: int = 0, golden: bool = True
) -> dict[str, str]:
    """Write ``model.c`` and ``model.h``; optionally with a larger arena, more constants, or a slower run."""
    macros: dict[str, Any] = {
        "NAME": '"tiny"',
        "HASH": "{" + ", ".join(map(str, HASH)) + "}",
        "ARENA": arena,
        "X_OFFSET": 0,
        "X_SIZE": x_size,
        "X_RANK": 2,
        "X_SHAPE": f"{{{x_size // 4}, 4}}",
        "X_DTYPE": '"int8"',
        "X_SCALE": "0.5f",
        "X_ZERO": -3,
        "Y_OFFSET": x_size,
        "Y_SIZE": Y_SIZE,
        "Y_RANK": 1,
        "Y_SHAPE": f"{{{Y_SIZE}}}",
        "Y_DTYPE": '"int8"',
        "Y_SCALE": "0.25f",
        "Y_ZERO": 7,
    }
    defines = "\n".join(f"#define MODEL_{name} {value}" for name, value in macros.items())
    blocks = [min(30000, flash - at) for at in range(0, flash, 30000)]
    ballast = "\n".join(f"static const uint8_t ballast{n}[{size}] = {{{n + 1}}};" for n, size in enumerate(blocks))
    touch = "".join(f"    (void)*(const volatile uint8_t *)&ballast{n}[sum];\n" for n in range(len(blocks)))
    wait = f"    for (volatile uint32_t i = 0; i < UINT32_C({delay}); ++i) {{\n    }}\n" if delay else ""
    header = f"""#ifndef MODEL_H
#define MODEL_H
#include "eng/types.h"
{defines}
void model_run(uint8_t *arena);
eng_status model_selftest(uint8_t *arena);
#endif
"""
    source = f"""#include "model.h"
static const int8_t w[{Y_SIZE}] = {{{", ".join(map(str, WEIGHTS))}}};
{ballast}
void model_run(uint8_t *arena)
{{
    const int8_t *weights = w;
    __asm__ volatile("" : "+r"(weights)); /* else the compiler makes them part of the code */
    uint8_t sum = 0;
    for (uint16_t i = 0; i < MODEL_X_SIZE; ++i)
        sum = (uint8_t)(sum + arena[i]);
{touch}{wait}    for (uint8_t n = 0; n < MODEL_Y_SIZE; ++n)
        arena[MODEL_Y_OFFSET + n] = (uint8_t)(sum * (uint8_t)weights[n]);
}}
eng_status model_selftest(uint8_t *arena)
{{
    for (uint16_t i = 0; i < MODEL_X_SIZE; ++i)
        arena[i] = 0;
    arena[1] = 2;
    model_run(arena);
    return arena[MODEL_Y_OFFSET] == {6 if golden else 7} ? ENG_OK : ENG_ERR_SELFTEST;
}}
"""
    return {"model.c": source, "model.h": header}
