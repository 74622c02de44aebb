"""Model: an int8 network that runs, explains itself, and is saved as a TensorFlow Lite file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import _arguments as check
from engine._session import Runner, Session
from engine.dispatch import isa
from engine.errors import EngineError, UnsupportedError
from engine.graph import Graph, Tensor
from engine.lower import lower
from engine.profile import Profile, profile_of, work
from engine.program import Program, clear_unwritten
from engine.summary import summarize
from engine.tflite import read, write

#: As engine._session takes it; the stub has the meaning of its parts.
Port = tuple[str, np.dtype[Any], tuple[int, ...], int, float, int]
MOST_THREADS = 256
Arrays = NDArray[Any] | Sequence[NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Trace:
    """What one step wrote: `step_name`, the graph's `tensor`, and its contents, ``[N, ...]``."""

    step_name: str
    tensor: Tensor
    array: NDArray[Any]


class Model(Runner):
    """An int8 network, ready to run.

    Immutable; may be run from several threads at once; pickles.

    Parameters
    ----------
    graph : Graph
    threads : int, optional
        How many threads may share a batch, 1 ... 256; see :func:`load`.

    Raises
    ------
    FormatError, UnsupportedError, QuantError
        If the graph is inconsistent, not supported, or cannot be computed in int32; names layer and tensor.
    TypeError
        If `graph` is no Graph: a file, or its bytes, is for :func:`load`.

    Examples
    --------
    A dense layer of two inputs and one output, all scales 0.5: ``y = (3 * x[0] - 2 * x[1]) / 2``, rounded half up.

    >>> import numpy as np
    >>> from engine.graph import DenseOptions, Graph, Layer, Tensor
    >>> int8, half = np.dtype(np.int8), np.array([0.5], np.float32)
    >>> x, y = Tensor("x", (1, 2), int8, half), Tensor("y", (1, 1), int8, half)
    >>> w = Tensor("w", (1, 2), int8, half, data=np.array([[3, -2]], np.int8))
    >>> layer = Layer("dense", "only", (0, 1, -1), (2,), DenseOptions())
    >>> model = Model(Graph("example", (x, w, y), (layer,), (0,), (2,)))
    >>> model.run(np.array([[10, 20], [3, 0]], np.int8))
    array([[-5],
           [ 5]], dtype=int8)
    >>> model.predict(np.array([[5, 10]], np.float32))
    array([[-2.5]], dtype=float32)
    """

    def __init__(self, graph: Graph, *, threads: int | None = None) -> None:
        if not isinstance(graph, Graph):
            kind = type(graph).__name__
            raise TypeError(f"Model: graph is a {kind}; expected a Graph. For a .tflite file or its bytes: engine.load")
        self._graph = graph
        self._threads = _threads(threads)
        self._program = lower(graph)
        self._digest: bytes | None = None
        self._unpredictable = _unpredictable(self.inputs, self.outputs)
        self._session = _session(graph, self._program, self._threads)
        self._attach(self._session)

    @property
    def graph(self) -> Graph:
        """The layers and tensors, with TensorFlow Lite's semantics."""
        return self._graph

    @property
    def program(self) -> Program:
        """The kernel calls that run it."""
        return self._program

    @property
    def threads(self) -> int:
        """How many threads may share a batch."""
        return self._threads

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Input tensors."""
        return tuple(self._graph.tensors[i] for i in self._graph.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Output tensors."""
        return tuple(self._graph.tensors[i] for i in self._graph.outputs)

    @property
    def input(self) -> Tensor:
        """The input tensor of a model that has one."""
        return _only(self.inputs, "input")

    @property
    def output(self) -> Tensor:
        """The output tensor of a model that has one."""
        return _only(self.outputs, "output")

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a batch of real numbers: quantize, run, dequantize.

        Parameters
        ----------
        x : float32[N, ...]
            Shape of :attr:`input` with any batch N. Values outside the range of the input's quantization saturate; NaN
            counts as 0.

        Returns
        -------
        float32[N, ...]
            Shape of :attr:`output`.

        Raises
        ------
        TypeError, ValueError
            As :meth:`run`.
        UnsupportedError
            If input or output hold no quantized or real numbers (class indices), or there are several of them.
        """
        if self._unpredictable is not None:
            raise UnsupportedError(self._unpredictable)
        return self._session.predict(x)

    def trace(self, x: Arrays) -> list[Trace]:
        """Run a batch and keep what every step wrote.

        Parameters
        ----------
        x : array
            As for :meth:`run`.

        Returns
        -------
        list of Trace
            One a step of :attr:`program`, in order. Parts of a concatenation that no step has written yet are 0.
        """
        arrays = self._session.trace(x)
        steps = self._program.steps
        return [
            Trace(s.name, self._graph.tensors[s.y], clear_unwritten(s.params, a)) for s, a in zip(steps, arrays, strict=True)
        ]

    def profile(self, x: Arrays, *, repeats: int = 100) -> Profile:
        """Measure every step, on one thread.

        Parameters
        ----------
        x : array
            As for :meth:`run`, at least one sample. Times are for the whole batch, run sample by sample.
        repeats : int
            How often the batch is run, 1 ... 1,000,000, after one run that is not counted.

        Returns
        -------
        Profile
            Medians over the repetitions; print it for a table.

        Raises
        ------
        TypeError, ValueError
            As :meth:`run`; or if the batch is empty or `repeats` out of range.
        """
        repeats = check.integer("profile", "repeats", repeats, 1, 1_000_000)
        seconds = self._session.profile(x, repeats + 1)[1:]
        batch = len(x) if isinstance(x, np.ndarray) else len(x[0])
        if batch == 0:
            raise ValueError("profile: x is an empty batch; expected at least one sample")
        return profile_of(self._program, seconds, batch)

    def summary(self) -> str:
        """Table of the steps: shapes, parameters, multiply-adds, bytes of constants; then the arena."""
        return summarize(self._graph, self._program)

    def to_bytes(self) -> bytes:
        """Serialize as a TensorFlow Lite file; equal models give equal bytes."""
        return write(self._graph)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_bytes` to a file, conventionally named ``.tflite``."""
        Path(path).write_bytes(self.to_bytes())

    @property
    def digest(self) -> bytes:
        """SHA-256 of :meth:`to_bytes`, 32 bytes: the identity of the model, on the host and on the chip."""
        if self._digest is None:
            self._digest = hashlib.sha256(self.to_bytes()).digest()
        return self._digest

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.to_bytes(), self._threads)

    def __repr__(self) -> str:
        ends = f"{_text(self.inputs)} -> {_text(self.outputs)}"
        return f"<engine.Model {ends}, {len(self._program.steps)} steps, arena {self._program.arena} bytes>"


def load(source: str | os.PathLike[str] | bytes | bytearray | memoryview, *, threads: int | None = None) -> Model:
    """Load a full-integer TensorFlow Lite model.

    Parameters
    ----------
    source : path or bytes
        A ``.tflite`` file, or its contents.
    threads : int, optional
        How many threads may share a batch, the caller's among them: 1 ... 256. If not given, the environment variable
        ``ENGINE_THREADS``, or 1. They are asked for only with batches of enough work, and woken only for a long one or for
        many in a row; a sample is never split. The number changes no byte of any result.

    Returns
    -------
    Model

    Raises
    ------
    FormatError
        If the file is truncated, garbled or not a TensorFlow Lite file.
    UnsupportedError
        If it uses what is not supported; lists all unsupported operators at once.
    QuantError
        If its quantization is inconsistent or an accumulator could leave int32.
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If `threads`, or ``ENGINE_THREADS``, is no such number.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "model"
    else:
        data, name = Path(source).read_bytes(), os.fspath(source)
    graph = read(data, source=name)
    try:
        return Model(graph, threads=threads)
    except EngineError as error:
        raise type(error)(f"{name}: {error}") from None


def _restore(data: bytes, threads: int) -> Model:
    return load(data, threads=threads)


def _threads(wanted: int | None) -> int:
    """Return how many threads a model gets."""
    if wanted is not None:
        return check.integer("Model", "threads", wanted, 1, MOST_THREADS)
    text = os.environ.get("ENGINE_THREADS", "1")
    try:
        return check.integer("Model", "ENGINE_THREADS", int(text), 1, MOST_THREADS)
    except ValueError:
        raise ValueError(f"Model: ENGINE_THREADS is {text!r}; expected 1 ... {MOST_THREADS}") from None


def _session(graph: Graph, program: Program, threads: int) -> Session:
    isa()  # the clearer error if ENGINE_ISA is wrong
    try:
        return Session(
            program.steps,
            program.arena,
            [_port(graph, i, at) for i, at in zip(graph.inputs, program.input_offsets, strict=True)],
            [_port(graph, i, at) for i, at in zip(graph.outputs, program.output_offsets, strict=True)],
            [_port(graph, step.y, step.y_offset) for step in program.steps],
            work=min(sum(work(step) for step in program.steps), 1 << 62),
            threads=threads,
        )
    except ValueError as error:
        raise EngineError(f"the core refuses the lowered model: {error}") from None


def _port(graph: Graph, index: int, offset: int) -> Port:
    tensor = graph.tensors[index]
    scale = float(tensor.scale[0]) if tensor.scale is not None and tensor.dtype == np.int8 else 0.0
    name = tensor.name or f"tensor {index}"
    return name, tensor.dtype, tensor.shape[1:], offset, scale, tensor.zero_point if scale else 0


def _only(tensors: tuple[Tensor, ...], what: str) -> Tensor:
    if len(tensors) != 1:
        raise UnsupportedError(f"the model has {len(tensors)} {what}s; use .{what}s and pass tuples to run")
    return tensors[0]


def _unpredictable(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> str | None:
    """Why predict cannot be used, or None."""
    if len(inputs) != 1 or len(outputs) != 1:
        return f"predict: the model has {len(inputs)} inputs and {len(outputs)} outputs; use run with tuples"
    for tensor in (*inputs, *outputs):
        if tensor.dtype != np.float32 and tensor.scale is None:
            return f"predict: {tensor.name!r} holds {tensor.dtype}, not quantized numbers; use run"
    return None


def _text(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(f"{t.dtype}{list(t.shape)}" for t in tensors)
