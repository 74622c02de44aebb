"""The smallest trainer that the firmware takes: no kernel call, so that what a kernel brings can be measured."""

from __future__ import annotations

_MACROS = {
    "NAME": '""',
    "HASH": "{0}",
    "ARENA": 16,
    **{f"{edge}_{key}": value for edge in "XY" for key, value in (("OFFSET", 0), ("SIZE", 4), ("RANK", 1), ("SHAPE", "{4}"))},
    **{f"{edge}_{key}": value for edge in "XY" for key, value in (("DTYPE", '"int8"'), ("SCALE", "1.0f"), ("ZERO", 0))},
    "TRAINER": 1,
    "STATE_OFFSET": 12,
    "STATE_SIZE": 4,
    "TARGET_OFFSET": 4,
    "TARGET_SIZE": 2,
    "CLASSES": 2,
    "OUTCOME_OFFSET": 4,
    "OUTCOME_SIZE": 6,
}
_FUNCTIONS = ("start", "run", "evaluate", "train_step")

#: Bytes of its arena, and of an outcome.
ARENA, OUTCOME = 16, 6


def empty_trainer() -> dict[str, str]:
    """Write its ``model.c`` and ``model.h``."""
    defines = "\n".join(f"#define MODEL_{name} {value}" for name, value in _MACROS.items())
    declarations = "\n".join(f"void model_{name}(uint8_t *arena);" for name in _FUNCTIONS)
    bodies = "\n".join(f"void model_{name}(uint8_t *arena)\n{{\n    (void)arena;\n}}" for name in _FUNCTIONS)
    test = "eng_status model_selftest(uint8_t *arena)"
    return {
        "model.h": f'#ifndef MODEL_H\n#define MODEL_H\n#include "eng/types.h"\n{defines}\n{declarations}\n{test};\n#endif\n',
        "model.c": f'#include "model.h"\n{bodies}\n{test}\n{{\n    (void)arena;\n    return ENG_OK;\n}}\n',
    }
