"""How a model does on labelled images: on the host, under TensorFlow Lite's reference kernels and on the simulated chip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.errors import EngineError, UnsupportedError
from engine.model import Model
from engine.program import QuantizeParams
from enginekit.onchip import ChipRun, Progress

#: Clock of the chip for every time that is printed, Hz.


@dataclass(frozen=True, eq=False)
class ReferenceRun:
    """Outputs of another implementation: `y` int8[n, ...] and the `library` with its version."""

    y: NDArray[Any]
    library: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's outputs on the same images in up to three homes.

    Parameters
    ----------
    name : str
        For people, such as ``"784-32-10"``.
    model : engine.Model
        The int8 model.
    host : int8[n, ...] or None
        Outputs of :meth:`engine.Model.run`; None if the model was only described.
    labels : int[n] or None
        The right classes, if they are known.
    float_accuracy : float or None
        Accuracy of the float network on the same images, 0 to 1.
    reference : ReferenceRun or None
        Outputs of TensorFlow Lite on the same images.
    chip : ChipRun or None
        Outputs of the chip for the first ``len(chip.y)`` images, and what they cost.
    curves : tuple of (str, sequence of float)
        Training history by epoch, for the report.
    """

    name: str
    model: Model
    host: NDArray[Any] | None = None
    labels: NDArray[np.integer[Any]] | None = None
    float_accuracy: float | None = None
    reference: ReferenceRun | None = None
    chip: ChipRun | None = None
    curves: tuple[tuple[str, Sequence[float]], ...] = ()

    @property
    def host_accuracy(self) -> float | None:
        """Share of `host` outputs whose class is right."""
        return accuracy(self.host, self.labels)

    @property
    def chip_accuracy(self) -> float | None:
        """Share of `chip` outputs whose class is right, over the chip's images alone."""
        return None if self.chip is None else accuracy(self.chip.y, self.labels)

    @property
    def reference_difference(self) -> int | None:
        """Bytes in which `host` and `reference` differ."""
        if self.reference is None or self.host is None:
            return None
        return differing_bytes(self.host, self.reference.y)

    @property
    def chip_difference(self) -> int | None:
        """Bytes in which `chip` and the first of `host` differ."""
        if self.chip is None or self.host is None:
            return None
        return differing_bytes(self.host[: len(self.chip.y)], self.chip.y)


def classes(y: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of each row's largest output, the first of equals; int8[n, ...] to intp[n].

    >>> classes(np.array([[-128, 127], [3, 3]], np.int8)).tolist()
    [1, 0]
    """
    indices: NDArray[np.intp] = y.reshape(len(y), -1).argmax(axis=1)
    return indices


def accuracy(y: NDArray[Any] | None, labels: NDArray[np.integer[Any]] | None) -> float | None:
    """Return the share of rows of `y` whose class is in `labels` at the same place; None if either is unknown."""
    if y is None or labels is None or not len(y):
        return None
    return float(np.mean(classes(y) == labels[: len(y)]))


def differing_bytes(a: NDArray[Any], b: NDArray[Any]) -> int:
    """Count the bytes in which two arrays of one shape and element type differ."""
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(f"differing_bytes: {a.dtype}{list(a.shape)} and {b.dtype}{list(b.shape)} cannot be compared")
    return int(np.count_nonzero(np.ascontiguousarray(a).view(np.uint8) != np.ascontiguousarray(b).view(np.uint8)))


def codes(model: Model, x: NDArray[Any]) -> NDArray[Any]:
    """Turn images into a model's inputs.

    Parameters
    ----------
    model : engine.Model
        With one int8 or float32 input.
    x : uint8[n, ...] or floating point[n, ...]
        Pixels 0 to 255, which stand for 0 to 1, or real values; any shape with the right number of elements per image.

    Returns
    -------
    int8[n, *input shape without batch]
        ``round(x / scale) + zero_point`` by the core's kernel, clamped; float32 for a model that takes real values.

    Raises
    ------
    UnsupportedError
        If the model takes something else.
    """
    real = x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else np.ascontiguousarray(x, np.float32)
    tensor = model.input
    shape = (len(x), *tensor.shape[1:])
    if tensor.dtype == np.float32:
        return real.reshape(shape)
    if tensor.dtype != np.int8 or tensor.scale is None:
        raise UnsupportedError(f"codes: the input {tensor.name!r} of the model is {tensor.dtype}; expected int8 or float32")
    params = QuantizeParams(real.size, np.float32(tensor.scale[0]), tensor.zero_point)
    return kernels.quantize_f32_s8(params, real.reshape(-1)).reshape(shape)


def real(model: Model, y: NDArray[Any]) -> NDArray[np.float32]:
    """Turn a model's int8 outputs into real values by the core's kernel; float32 outputs are returned as they are."""
    tensor = model.output
    if tensor.dtype == np.float32:
        return y
    if tensor.dtype != np.int8 or tensor.scale is None:
        raise UnsupportedError(f"real: the output {tensor.name!r} of the model is {tensor.dtype}, not quantized numbers")
    params = QuantizeParams(y.size, np.float32(tensor.scale[0]), tensor.zero_point)
    return kernels.dequantize_s8_f32(params, np.ascontiguousarray(y).reshape(-1)).reshape(y.shape)


def run_reference(model: Model, x: NDArray[Any], *, progress: Progress | None = None) -> ReferenceRun:
    """Run `x` through TensorFlow Lite's reference kernels (``BUILTIN_REF``), image by image.

    Parameters
    ----------
    model : engine.Model
        Serialized with :meth:`engine.Model.to_bytes`, so that the writer is judged as well.
    x : int8[n, *input shape without batch]
        Input codes.
    progress : callable, optional
        ``progress(done, total)``.

    Returns
    -------
    ReferenceRun
        int8[n, *output shape without batch].

    Raises
    ------
    EngineError
        If LiteRT is not installed; the message says how to install it.
    """
    try:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise EngineError("comparing with TensorFlow Lite needs LiteRT: pip install ai-edge-litert") from error
    interpreter = Interpreter(
        model_content=model.to_bytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    into = interpreter.get_input_details()[0]["index"]
    out_of = interpreter.get_output_details()[0]["index"]
    y = np.empty((len(x), *model.output.shape[1:]), model.output.dtype)
    for i, image in enumerate(x):
        interpreter.set_tensor(into, image[np.newaxis])
        interpreter.invoke()
        y[i] = interpreter.get_tensor(out_of)[0]
        if progress is not None:
            progress(i + 1, len(x))
    return ReferenceRun(y, f"LiteRT {ai_edge_litert.__version__}, BUILTIN_REF")


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures of an evaluation as plain data for JSON; None where something was not measured."""
    chip = evaluation.chip
    return {
        "name": evaluation.name,
        "images": None if evaluation.host is None else len(evaluation.host),
        "accuracy_float": evaluation.float_accuracy,
        "accuracy_int8_host": evaluation.host_accuracy,
        "accuracy_int8_chip": evaluation.chip_accuracy,
        "reference": None if evaluation.reference is None else evaluation.reference.library,
        "differing_bytes_host_reference": evaluation.reference_difference,
        "chip": None if chip is None else chip_summary(chip),
        "differing_bytes_chip_host": evaluation.chip_difference,
    }


def chip_summary(chip: ChipRun) -> dict[str, Any]:
    """Return the figures of a run on the simulated chip as plain data; bytes, cycles, ms at 20 MHz."""
    mean = float(np.mean(chip.cycles))
    return {
        "images": len(chip.y),
        "optimize": chip.optimize.value,
        "flash_bytes": chip.flash,
        "ram_bytes": chip.ram,
        "arena_bytes": chip.arena,
        "stack_bytes": chip.stack,
        "cycles_mean": mean,
        "cycles_max": int(np.max(chip.cycles)),
        "ms_mean": milliseconds(mean, chip.clock),
        "layer_cycles": list(chip.layer_cycles),
    }


def milliseconds(cycles: float, clock: int) -> float:
    """Return the time of `cycles` at a clock in Hz, in ms."""
    return cycles / clock * 1000


def table(evaluations: Sequence[Evaluation]) -> list[tuple[str, ...]]:
    """Return rows of text, one figure a row and one evaluation a column after the first, for people.

    Rows that no evaluation has a value for are left out.
    """
    rows = [
        ("accuracy float", *(_percent(e.float_accuracy, e.host) for e in evaluations)),
        ("accuracy int8, host", *(_percent(e.host_accuracy, e.host) for e in evaluations)),
        ("accuracy int8, chip", *(_percent(e.chip_accuracy, None if e.chip is None else e.chip.y) for e in evaluations)),
        ("bytes unlike TFLite reference", *(_bytes_unlike(e.reference_difference, e.host) for e in evaluations)),
        (
            "bytes chip unlike host",
            *(_bytes_unlike(e.chip_difference, None if e.chip is None else e.chip.y) for e in evaluations),
        ),
    ]
    chips = [e.chip for e in evaluations]
    rows += [
        ("flash, whole firmware", *(_text(c, lambda c: f"{c.flash:,} B") for c in chips)),
        ("RAM, static", *(_text(c, lambda c: f"{c.ram:,} B") for c in chips)),
        ("  of it arena", *(_text(c, lambda c: f"{c.arena:,} B") for c in chips)),
        ("stack, peak", *(_text(c, lambda c: f"{c.stack:,} B") for c in chips)),
        (
            "time per inference, 20 MHz",
            *(_text(c, lambda c: f"{milliseconds(float(np.mean(c.cycles)), c.clock):.1f} ms") for c in chips),
        ),
    ]
    return [row for row in rows if any(row[1:])]


def _percent(share: float | None, images: NDArray[Any] | None) -> str:
    if share is None:
        return ""
    return f"{share:.2%}" + ("" if images is None else f" of {len(images):,}")


def _bytes_unlike(count: int | None, compared: NDArray[Any] | None) -> str:
    return "" if count is None or compared is None else f"{count:,} of {compared.nbytes:,}"


def _text(chip: ChipRun | None, form: Callable[[ChipRun], str]) -> str:
    return "" if chip is None else form(chip)
