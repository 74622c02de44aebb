"""Networks in files: a NumPy .npz archive with a JSON header, no pickles."""

from __future__ import annotations

import dataclasses
import json
import os
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError
from engine.training.conversion import assign
from engine.training.layers import KINDS, Layer
from engine.training.optimizers import OPTIMIZERS, Optimizer
from engine.training.schedules import SCHEDULES, Schedule
from engine.training.sequential import Sequential

Array = NDArray[np.float32]

FORMAT = "engine.training"
VERSION = 1


def _fields(item: Layer | Optimizer | Schedule) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}  # type: ignore[arg-type]
    return {"kind": type(item).__name__} | {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, Schedule | Layer):
        return _fields(value)
    if isinstance(value, tuple) and any(isinstance(entry, Layer) for entry in value):
        return [_fields(entry) for entry in value]
    return value.value if isinstance(value, Enum) else value


def save(net: Sequential, path: Path) -> None:
    """Write `net`, replacing `path` only when all is written."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "name": net.name,
        "input_shape": net.input_shape,
        "seed": net.seed,
        "epochs": net.epochs,
        "steps": net.steps,
        "loss_scale": [net.loss_scale, net.scaled_steps],
        "layers": [_fields(layer) for layer in net.layers],
        "names": [operation.name for operation in net.operations],
        "optimizer": None if net.optimizer is None else _fields(net.optimizer),
    }
    arrays: dict[str, NDArray[Any]] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    arrays |= {f"parameter/{name}": array for name, array in net.parameters.items()}
    arrays |= {f"statistic/{name}": array for name, array in net.statistics.items()}
    for name, slots in net.optimizer_state.items():
        arrays |= {f"state/{slot}/{name}": array for slot, array in slots.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | Path) -> Sequential:
    """Read a network that :meth:`Sequential.save` wrote, with its optimizer's state: training goes on bit for bit.

    Raises
    ------
    OSError
        If the file cannot be opened.
    engine.errors.FormatError
        If the file is truncated, garbled, of another kind or of a newer version.
    """
    with Path(path).open("rb") as file:
        try:
            return _restore(_arrays(file))
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None
        except Exception as error:  # whatever zipfile, NumPy, json and our own checks make of garbled bytes
            raise FormatError(f"{path}: damaged, or not written by Sequential.save: {error}") from error


def _arrays(file: BinaryIO) -> dict[str, NDArray[Any]]:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise FormatError(f"not an archive of {FORMAT}")
    return {name: archive[name] for name in archive.files}


def _restore(arrays: dict[str, NDArray[Any]]) -> Sequential:
    header = _header(arrays)
    layers = [_make(entry, KINDS) for entry in header["layers"]]
    names = tuple(map(str, header["names"]))
    if len(names) != len(layers) or len(set(names)) != len(names):
        raise FormatError("names of layers are missing or not unique")
    net = Sequential._restore(tuple(header["input_shape"]), layers, names, header["seed"], str(header["name"]))
    shapes = [operation.parameter_shapes() for operation in net.operations]
    parameters = [
        [_take(arrays, f"parameter/{name}/{key}", shape) for key, shape in entry.items()]
        for name, entry in zip(names, shapes, strict=True)
    ]
    assign(net.operations, parameters)
    for name, array in net.statistics.items():
        array[:] = _take(arrays, f"statistic/{name}", array.shape)
    net.epochs, net.steps = int(header["epochs"]), int(header["steps"])
    scale, steps = header.get("loss_scale", (net.loss_scale, net.scaled_steps))
    net.loss_scale, net.scaled_steps = float(scale), int(steps)
    if header["optimizer"] is not None:
        net.optimizer = _make(header["optimizer"], OPTIMIZERS)
        net.optimizer_state = {
            name: {slot: _take(arrays, f"state/{slot}/{name}", array.shape) for slot in net.optimizer.slots}
            for name, array in net.parameters.items()
        }
    return net


def _header(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    if "header" not in arrays or arrays["header"].dtype != np.uint8:
        raise FormatError(f"no header; not an archive of {FORMAT}")
    header = json.loads(arrays["header"].tobytes())
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FormatError(f"not an archive of {FORMAT}")
    if header.get("version") != VERSION:
        raise FormatError(f"version {header.get('version')} of the format; this release reads version {VERSION}")
    return header


def _make(entry: dict[str, Any], kinds: dict[str, Any]) -> Any:
    values = {key: _rich(value) for key, value in entry.items()}
    kind = values.pop("kind")
    if kind not in kinds:
        raise FormatError(f"unknown kind {kind!r}; expected one of {', '.join(kinds)}")
    return kinds[kind](**values)


def _rich(value: Any) -> Any:
    """Return what :func:`_plain` was given."""
    if isinstance(value, dict):
        return _make(value, SCHEDULES | KINDS)
    return tuple(_rich(entry) for entry in value) if isinstance(value, list) else value


def _take(arrays: dict[str, NDArray[Any]], key: str, shape: tuple[int, ...]) -> Array:
    if key not in arrays:
        raise FormatError(f"{key} is missing")
    array = arrays[key]
    if array.dtype != np.float32 or array.shape != shape:
        raise FormatError(f"{key} is {array.dtype}{list(array.shape)}; expected float32{list(shape)}")
    return np.ascontiguousarray(array)
