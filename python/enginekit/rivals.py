"""TensorFlow Lite's interpreters as contenders in a race: whichever of TensorFlow and LiteRT are installed."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rival:
    """One way to run a .tflite: the interpreter's module, and whether it hands the model to XNNPACK."""

    name: str
    package: str
    module: str
    xnnpack: bool


#: LiteRT is TensorFlow Lite under its new name, released on its own.
RIVALS = (
    Rival("TFLite XNNPACK", "tensorflow", "tensorflow.lite.python.interpreter", xnnpack=True),
    Rival("TFLite", "tensorflow", "tensorflow.lite.python.interpreter", xnnpack=False),
    Rival("LiteRT XNNPACK", "ai-edge-litert", "ai_edge_litert.interpreter", xnnpack=True),
    Rival("LiteRT", "ai-edge-litert", "ai_edge_litert.interpreter", xnnpack=False),
)


@dataclass(frozen=True, eq=False)
class Contenders:
    """What can be timed: `calls` return the outputs for the batch; `notes` say what is special or missing, by name."""

    calls: dict[str, Callable[[], NDArray[Any]]]
    notes: dict[str, str]


def contenders(content: bytes, x: NDArray[Any], *, threads: int = 1, names: Sequence[str] | None = None) -> Contenders:
    """Prepare the installed rivals for a batch.

    Parameters
    ----------
    content : bytes
        A .tflite file with one input and one output.
    x : array
        The batch, ``[N, ...]`` in the input's element type.
    threads : int
        Given to the interpreters as ``num_threads``.
    names : sequence of str, optional
        Which of :data:`RIVALS`; all if not given.

    Returns
    -------
    Contenders
        Each call sets the input, invokes and gets the output. A rival that cannot take the batch at once gets it sample
        by sample, and a note.
    """
    calls: dict[str, Callable[[], NDArray[Any]]] = {}
    notes: dict[str, str] = {}
    for rival in RIVALS:
        if names is not None and rival.name not in names:
            continue
        try:
            module = importlib.import_module(rival.module)
        except ImportError:
            notes[rival.name] = f"not installed; pip install {rival.package}"
            continue
        try:
            calls[rival.name] = _batch_call(_interpreter(module, rival, content, threads), x)
        except (RuntimeError, ValueError) as error:
            if len(x) == 1:
                notes[rival.name] = f"refuses the model: {_first_line(error)}"
                continue
            calls[rival.name] = _sample_call(_interpreter(module, rival, content, threads), x)
            notes[rival.name] = f"sample by sample, since it refuses the batch: {_first_line(error)}"
    return Contenders(calls, notes)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()


def _interpreter(module: Any, rival: Rival, content: bytes, threads: int) -> Any:
    kind = module.OpResolverType.AUTO if rival.xnnpack else module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's says that LiteRT replaces it
        return module.Interpreter(model_content=content, num_threads=threads, experimental_op_resolver_type=kind)


def _batch_call(interpreter: Any, x: NDArray[Any]) -> Callable[[], NDArray[Any]]:
    source, target = (ends()[0]["index"] for ends in (interpreter.get_input_details, interpreter.get_output_details))
    interpreter.resize_tensor_input(source, x.shape)
    interpreter.allocate_tensors()

    def call() -> NDArray[Any]:
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target))

    found = call().shape
    if not found or found[0] != len(x):
        raise ValueError(f"gives {list(found)} for a batch of {len(x)}")
    return call


def _sample_call(interpreter: Any, x: NDArray[Any]) -> Callable[[], NDArray[Any]]:
    source, target = (ends()[0]["index"] for ends in (interpreter.get_input_details, interpreter.get_output_details))
    interpreter.allocate_tensors()
    samples = [x[n : n + 1] for n in range(len(x))]

    def call() -> NDArray[Any]:
        out = []
        for sample in samples:
            interpreter.set_tensor(source, sample)
            interpreter.invoke()
            out.append(interpreter.get_tensor(target))
        return np.concatenate(out)

    return call
