"""What verbs read: networks, models and data, by the kind of file that an argument names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FormatError
from engine.network import Network
from enginekit.cli import UsageError

if TYPE_CHECKING:
    from engine.training import Sequential

#: For ``--help``.
NETWORK_FILES = ".npz (enginekit train), .json, .keras or .h5"
DATA_SOURCES = "mnist, an .npz file with x and y (and test_x, test_y), or an .npy file with x"


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs and labels as stored; `y`, `test_x` and `test_y` are None where the source has none. `source` is for people."""

    x: NDArray[Any]
    y: NDArray[Any] | None
    test_x: NDArray[Any] | None
    test_y: NDArray[Any] | None
    source: str


def read_network(path: Path) -> Network:
    """Read a float network.

    Raises
    ------
    UsageError
        If the file's suffix says nothing.
    EngineError, OSError
        If it cannot be read.
    """
    if path.suffix == ".json":
        from enginekit.importers import from_json

        return from_json(path)
    if path.suffix in (".keras", ".h5"):
        from enginekit.importers import from_keras

        return from_keras(path)
    if path.suffix == ".npz":
        from engine import training

        return training.load(path).network()
    raise UsageError(f"{path}: a network is a file {NETWORK_FILES}")


def read_trainable(path: Path, *, seed: int) -> Sequential:
    """Read a float network to train on; `seed` is of the order of samples where its file has none.

    Raises
    ------
    UsageError, EngineError, OSError
        As for :func:`read_network`; also if it has something that cannot be trained here.
    """
    from engine import training

    return training.load(path) if path.suffix == ".npz" else training.from_network(read_network(path), seed=seed)


def check_trained_path(path: Path) -> None:
    """Refuse a name that :func:`save_trained` would not know what to do with."""
    if path.suffix not in (".npz", ".json"):
        raise UsageError(f"{path}: a network is written as .npz or .json")


def save_trained(net: Sequential, path: Path) -> None:
    """Write a trained network: with optimizer and state as .npz, as data alone as .json."""
    if path.suffix == ".npz":
        net.save(path)
    else:
        from enginekit.importers import to_json

        path.write_text(to_json(net.network()) + "\n", encoding="utf-8")


def read_data(text: str) -> Data:
    """Read data from a name or a file.

    Raises
    ------
    UsageError
        If `text` is neither.
    FormatError
        If the file is damaged or lacks what is needed.
    """
    if text == "mnist":
        from enginekit import datasets

        digits = datasets.mnist()
        return Data(digits.train_x, digits.train_y, digits.test_x, digits.test_y, digits.source)
    path = Path(text)
    if path.suffix not in (".npz", ".npy"):
        raise UsageError(f"{text!r}: data is {DATA_SOURCES}")
    content = _read_arrays(path)
    if isinstance(content, np.ndarray):
        return Data(content, None, None, None, text)
    x, y = (content.get(name, content.get(f"train_{name}")) for name in ("x", "y"))
    if x is None:
        raise FormatError(f"{path}: has the arrays {', '.join(content) or 'none'}; expected x (or train_x)")
    return Data(x, y, content.get("test_x"), content.get("test_y"), text)


def as_inputs(x: NDArray[Any], shape: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Return inputs as a network takes them: float32[count, *shape].

    Bytes are taken for pixels and divided by 255; inputs whose number of values fits are reshaped.

    Raises
    ------
    FormatError
        If the number of values does not fit, or the type is neither uint8 nor floating point.
    """
    if x.ndim < 1 or x.dtype.kind not in "fu" or (x.dtype.kind == "u" and x.dtype != np.uint8):
        raise FormatError(f"{what}: inputs are {x.dtype}{list(x.shape)}; expected uint8 pixels or floating point, [count, ...]")
    if x.shape[0] and x[0].size != np.prod(shape):
        raise FormatError(f"{what}: an input has shape {list(x.shape[1:])}; the network needs {list(shape)}")
    with np.errstate(over="ignore"):
        floats = x.reshape(-1, *shape).astype(np.float32)
    if x.dtype == np.uint8:
        floats /= np.float32(255)
    return floats


def _read_arrays(path: Path) -> NDArray[Any] | Mapping[str, NDArray[Any]]:
    try:
        content = np.load(path, allow_pickle=False)
        return content if isinstance(content, np.ndarray) else {name: content[name] for name in content.files}
    except FileNotFoundError:
        raise
    except Exception as error:
        raise FormatError(f"{path}: not a file of arrays: {error}") from error
