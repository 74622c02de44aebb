"""Measures what the core's functions cost on the chip, and writes it into the table of this package.

``python -m enginekit.costs.measure`` builds the firmware around a model without layers, then with each function of the core in
turn, and keeps sizes and stack by toolchain. Functions with a formula (:mod:`enginekit.costs.formulas`) are run on the
simulated chip, and the prices of their events fitted. Run it when a kernel has changed or is new; a test says so. With names of
functions as arguments it measures those alone, and leaves the rest of the table as it is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.graph import Graph, Layer, NoOptions, Tensor
from engine.model import Model
from enginekit import toolchain
from enginekit.chips import ATMEGA4809, CHIPS, Chip
from enginekit.cli.output import result, story
from enginekit.costs.bill import Prices
from enginekit.costs.empty_trainer import ARENA, OUTCOME, empty_trainer
from enginekit.costs.fit import fit, order
from enginekit.costs.link_map import kept
from enginekit.costs.stack import Program
from enginekit.costs.table import TRAINER, path_of
from enginekit.emit import emit

#: Functions of the core that serve the link, not the model.
_LINK = ("eng_frame", "eng_status", "eng_float_")
#: Object of the model itself, which depends on the model.
_MODEL = "model.o "


def empty_model() -> Model:
    """Return a model that only reshapes: no kernel call, no data."""
    scale = np.ones(1, np.float32)
    tensors = tuple(Tensor(name, (1, 4), np.dtype(np.int8), scale) for name in ("x", "y"))
    return Model(Graph("", tensors, (Layer("reshape", "reshape", (0,), (1,), NoOptions()),), (0,), (1,)))


def table_name(version: str) -> str:
    """Name a toolchain's tables, see :func:`enginekit.costs.load`.

    >>> table_name("avr-gcc (GCC) 5.4.0")
    'avr-gcc-5.4'
    """
    found = re.search(r"(\d+\.\d+)(\.\d+)?\s*$", version)
    return f"avr-gcc-{found[1] if found else version}"


def measure(
    folder: str | Path,
    *,
    chip: Chip = ATMEGA4809,
    only: Sequence[str] = (),
    prices: Prices | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Build, run and measure.

    Parameters
    ----------
    folder : str or Path
        Where to build.
    chip : Chip
        What for.
    only : sequence of str
        Measure the functions of these names; all if empty.
    prices : mapping, optional
        Cycles of the events of functions that are not measured and that others call.
    progress : callable, optional
        Called with the name of each function.

    Returns
    -------
    dict
        What the table holds: ``toolchain``; ``base``, flash, static RAM and stack (up to ``model_run``, and otherwise) of the
        firmware alone; ``sections``, bytes by object and section; ``functions``, for each the sections that it brings and
        the bytes of stack that a call takes; ``cycles``, those of the events of each function that has a formula, on chips that
        map their flash.

    Raises
    ------
    EngineError
        If a function of `only` is not in the core.
    UnfittedError
        If a formula does not describe its function, see :func:`enginekit.costs.fit.fit`.
    """
    folder = Path(folder)
    files = emit(empty_model(), golden=[])
    pair = 8  # bytes in and out of the empty model
    tested = toolchain.build_firmware(emit(empty_model()), folder, chip=chip).flash - 2 * pair
    image = toolchain.build_firmware(files, folder, chip=chip)
    base = _without_model(kept(folder / "firmware.map"))
    program = Program(image.elf)
    about: dict[str, Any] = {
        "toolchain": toolchain.find().version,
        "base": {
            "flash": image.flash - _model_bytes(folder),
            "ram": image.ram - empty_model().program.arena,
            "stack": program.bound,
            "stack_to_model": program.depth_of("model_run") - 2,
            "selftest": tested - image.flash,
        }
        | ({} if chip.mapped_flash else _variables(image)),
        "sections": {},
        "functions": {},
        "cycles": dict(prices or {}),
    }
    for name in _chosen(_functions(folder / "core" / "libeng.a"), only):
        if progress is not None:
            progress(name)
        toolchain.build_firmware(files, folder, chip=chip, roots=[name])
        pieces = _without_model(kept(folder / "firmware.map"))
        more = sorted(key for key in pieces if key not in base)
        about["sections"] |= {key: pieces[key] for key in more}
        about["functions"][name] = {"sections": more, "stack": Program(folder / "firmware.elf").need(name)}
        found = fit(name, folder / "firmware.elf", about["cycles"]) if chip.mapped_flash else None
        if found is not None:
            about["cycles"][name] = found
    return about


def measure_trainers(
    folder: str | Path, *, only: Sequence[str] = (), progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Build and measure the firmware of trainers; as :func:`measure`, without cycles."""
    folder = Path(folder)
    files = empty_trainer()
    image = toolchain.build_firmware(files, folder)
    base, program = _without_model(kept(folder / "firmware.map")), Program(image.elf)
    about: dict[str, Any] = {
        "toolchain": toolchain.find().version,
        "base": {
            "flash": image.flash - _model_bytes(folder),
            "ram": image.ram - ARENA - OUTCOME,
            "stack": program.bound,
            "stack_to_model": program.depth_of("model_train_step") - 2,
            "selftest": 0,
        },
        "sections": {},
        "functions": {},
        "cycles": {},
    }
    for name in only or _functions(folder / "core" / "libeng.a"):
        if progress is not None:
            progress(name)
        toolchain.build_firmware(files, folder, roots=[name])
        pieces = _without_model(kept(folder / "firmware.map"))
        more = sorted(key for key in pieces if key not in base)
        about["sections"] |= {key: pieces[key] for key in more}
        about["functions"][name] = {"sections": more, "stack": Program(folder / "firmware.elf").need(name)}
    return about


def _variables(image: toolchain.FirmwareImage) -> dict[str, int]:
    """Bytes of variables and constants that are set before main, and of those cleared that lie before the arena, unpadded."""
    arena = next(symbol for symbol in image.symbols if symbol.name == "arena")
    before = [symbol for symbol in image.symbols if symbol.section == ".bss" and symbol.address < arena.address]
    end = max(symbol.address + symbol.size for symbol in before)
    data = sum(symbol.size for symbol in image.symbols if symbol.section == ".data")
    return {"data": data, "before_arena": end - image.sections[".bss"].address}


def _chosen(functions: list[str], only: Sequence[str]) -> list[str]:
    missing = sorted(set(only) - set(functions))
    if missing:
        raise EngineError(f"the core has no function {', '.join(missing)}; it has {', '.join(functions)}")
    return order([name for name in functions if not only or name in only])


def _without_model(pieces: dict[str, int]) -> dict[str, int]:
    return {key: size for key, size in pieces.items() if not key.startswith(_MODEL)}


def _model_bytes(folder: Path) -> int:
    return sum(size for key, size in kept(folder / "firmware.map").items() if key.startswith(_MODEL))


def _functions(archive: Path) -> list[str]:
    done = subprocess.run(["avr-nm", str(archive)], capture_output=True, text=True, check=True)
    names = set(re.findall(r" T (eng_\w+)$", done.stdout, re.MULTILINE))
    return sorted(name for name in names if not name.startswith(_LINK))


def write(path: Path, about: dict[str, Any]) -> None:
    """Write a table, sorted by name."""
    tables = {key: dict(sorted(about[key].items())) for key in ("sections", "functions", "cycles")}
    path.write_text(json.dumps(about | tables, indent=1) + "\n")


def main(only: Sequence[str] = (), chip: Chip = ATMEGA4809) -> int:
    """Measure with the toolchain on the PATH and write its table."""
    name = table_name(toolchain.find(chip).version)
    if not only and chip is ATMEGA4809:
        with tempfile.TemporaryDirectory() as scratch:
            write(path_of(TRAINER + name, chip), measure_trainers(scratch, progress=story))
    path = path_of(name, chip)
    known = json.loads(path.read_text()) if only else {}
    with tempfile.TemporaryDirectory() as scratch:
        about = measure(scratch, chip=chip, only=only, prices=known.get("cycles"), progress=story)
    write(path, about | {key: known.get(key, {}) | about[key] for key in ("sections", "functions", "cycles")})
    result(str(path))
    return 0


if __name__ == "__main__":
    chosen = [each for each in sys.argv[1:] if each in CHIPS]
    sys.exit(main([each for each in sys.argv[1:] if each not in CHIPS], CHIPS[chosen[0]] if chosen else ATMEGA4809))
