"""Fills the templates of trainers: pure, and the same text for the same trainer and options."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enginekit.c_text import check_identifier
from enginekit.device.frame import crc
from enginekit.emit.golden import GOLDEN_SEED, GoldenError
from enginekit.emit.text import edge, fill, front_matter, golden_array
from enginekit.trainer.base import Trainer
from enginekit.trainer.writer import C_TYPES, STATE, Written, define_array

#: Golden steps that are made when none are given, at least.
GOLDEN_STEPS = 2
#: Most of them: the self-test counts in a byte.
MOST_STEPS = 255
#: Values of ``MODEL_TRAINER``.
KINDS = {"integer": 1, "float32": 2}
_PACKAGE = "enginekit.trainer"

Sample = tuple[NDArray[Any], Any]


def emit_trainer(trainer: Trainer, *, name: str = "model", golden: Sequence[Sample] | None = None) -> dict[str, str]:
    """Write a trainer as C for the core in ``csrc``.

    Parameters
    ----------
    trainer : Trainer
        From :func:`enginekit.trainer.make_trainer`.
    name : str
        Prefix of everything that the header declares, and name of the files: a C identifier, see
        :func:`enginekit.c_text.check_identifier`.
    golden : sequence of (x, target), optional
        Samples that the self-test trains on, 1 to 255, as :meth:`enginekit.device.Trainee.train` takes them. If not given, 2
        random ones, or a batch. What has to come out is computed by the trainer's twin.

    Returns
    -------
    dict of str to str
        File name -> text: ``model.c`` and ``model.h`` for the name "model". They have all that :func:`enginekit.emit.emit`
        writes for a model, so that the same firmware takes them, and ``model_start``, ``model_train_step`` and
        ``model_evaluate`` beside ``model_run``.

    Raises
    ------
    UnsupportedError
        If an array is larger than avr-gcc can hold.
    NameRefusedError
        If `name` cannot be a C prefix.
    EngineError
        If a golden sample does not fit the trainer.
    """
    check_identifier(name)
    samples = default_samples(trainer, golden_count(trainer)) if golden is None else _checked(trainer, golden)
    chosen = f"{len(samples)} given" if golden is not None else f"{len(samples)} random, seed {GOLDEN_SEED}"
    values = front_matter(trainer.name or name, trainer.digest, name, f"golden={chosen}, {trainer.settings}")
    values["options"] = "\n *          ".join(textwrap.wrap(values["options"], 106))
    written = trainer.write(name)
    return {
        f"{name}.c": _source(trainer, written, samples, values),
        f"{name}.h": _header(trainer, written, len(samples), values),
    }


def golden_count(trainer: Trainer) -> int:
    """Golden samples that are made when none are given: 2, or a batch."""
    return min(max(GOLDEN_STEPS, trainer.batch_size), MOST_STEPS)


def default_samples(trainer: Trainer, count: int) -> list[Sample]:
    """Make random samples, the same every time: codes over the whole range, real numbers in [-1, 1]."""
    rng = np.random.default_rng(GOLDEN_SEED)
    return [(_random(rng, trainer.x.shape[1:], trainer.x.dtype), _random_target(rng, trainer)) for _ in range(count)]


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype == np.float32:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    return rng.integers(-128, 128, shape).astype(dtype)


def _random_target(rng: np.random.Generator, trainer: Trainer) -> Any:
    if trainer.classes is not None:
        return int(rng.integers(trainer.classes))
    return _random(rng, trainer.target.shape, trainer.target.dtype)


def _checked(trainer: Trainer, golden: Sequence[Sample]) -> list[Sample]:
    if not 1 <= len(golden) <= MOST_STEPS:
        raise GoldenError(f"golden has {len(golden)} samples; the self-test of a trainer takes 1 to {MOST_STEPS}")
    try:
        for x, target in golden:
            trainer.check_input(x)
            trainer.check_target(target)
    except (TypeError, ValueError) as error:
        raise GoldenError(f"golden: {error}") from error
    return list(golden)


def _header(trainer: Trainer, written: Written, count: int, values: dict[str, str]) -> str:
    about = "a label, uint16_t" if trainer.classes else f"{trainer.target.size} numbers, {C_TYPES[trainer.target.dtype]}"
    fields = ",\n *   ".join(
        f"{field.offset}: {field.name} {C_TYPES[field.start.dtype]}{list(field.start.shape) or ''}" for field in trainer.fields
    )
    more = {
        "arena": str(written.arena),
        "selftest": f"Trains from the start on {count} golden samples, compares, and starts again",
        "kind": str(KINDS[trainer.kind]),
        "fields": fields,
        "state": str(trainer.state),
        "state_offset": str(written.offsets[STATE]),
        "target": str(trainer.target.nbytes),
        "target_offset": str(written.offsets["target"]),
        "target_about": about,
        "classes": str(trainer.classes or 0),
        "outcome": str(trainer.outcome),
        "outcome_offset": str(written.offsets["outcome"]),
        "loss_about": f"{C_TYPES[trainer.loss_dtype]} as {trainer.loss_kernel} has it",
    }
    more |= edge("x", trainer.x, written.x_offset) | edge("y", trainer.y, written.y_offset)
    more["training"] = fill(_PACKAGE, "trainer.h.in", values | more)
    return fill("enginekit.emit", "model.h.in", values | more)


def _source(trainer: Trainer, written: Written, samples: Sequence[Sample], values: dict[str, str]) -> str:
    parts = {part: "\n".join(written.parts.get(part, ())) for part in ("forward", "run", "evaluate", "train")}
    parts["run"] += "\n" if parts["run"] else ""
    arrays, start = _start(trainer, written, values["name"])
    more = parts | {
        "headers": "\n".join(f'#include "{header}"' for header in written.headers),
        "data": "\n".join([written.data, *arrays]),
        "start": "\n".join(start),
        "state": str(written.offsets[STATE]),
        "selftest": _selftest(trainer, samples, values),
    }
    return fill(_PACKAGE, "trainer.c.in", values | more)


def _start(trainer: Trainer, written: Written, name: str) -> tuple[list[str], list[str]]:
    """Constants that the state starts with, and the lines that put them there; what starts at 0 needs none."""
    arrays, lines = [], [f"    memset(arena + {written.offsets[STATE]}u, 0, {trainer.state}u);"]
    for i, field in enumerate(trainer.fields):
        if not field.start.any():
            continue
        arrays.append(define_array(f"{name}_start{i}", field.start))
        lines.append(f"    memcpy(arena + {written.offsets[STATE] + field.offset}u, {name}_start{i}, sizeof {name}_start{i});")
    return arrays, lines


def _selftest(trainer: Trainer, samples: Sequence[Sample], values: dict[str, str]) -> str:
    """Write the samples, and a CRC over outcomes, state and an output that only the right ones have."""
    name, twin = values["name"], trainer.twin()
    outcomes = b"".join(trainer.pack_outcome(twin.train(x, target)) for x, target in samples)
    arrays = [
        golden_array(f"{name}_golden_x", np.stack([x for x, _ in samples])),
        golden_array(f"{name}_golden_target", np.stack([trainer.check_target(target) for _, target in samples])),
    ]
    right = crc(outcomes + twin.state() + twin.run(samples[0][0]).tobytes())
    more = {"golden": "\n".join(arrays), "count": str(len(samples)), "crc": f"0x{right:04x}"}
    return fill(_PACKAGE, "selftest.c.in", values | more)
