"""Puts a trainer's C together: constants, calls of kernels, and where in the arena each buffer lies, by its lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.arena import Buffer, place
from engine.errors import UnsupportedError
from enginekit.c_text import array, wrapped
from enginekit.records import AVR_SIZES, MAX_ARRAY, avr_size, float_literal, initializer

C_TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.int16): "int16_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.uint32): "uint32_t",
    np.dtype(np.float32): "float",
}

#: The state, after all work buffers, and its alignment there.
STATE = "state"
ALIGNMENT = 4


def _floats(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "float")


#: Members of the kernels' records, in C's order, tested against the headers; "record" is one of :mod:`engine.program`.
STRUCTS: dict[str, dict[str, str]] = {
    "eng_dense_int_params": {"rows": "size_t", "in": "uint16_t", "out": "uint16_t", "zero_x": "int8_t"},
    "eng_step_int": {"shift": "int16_t", "bias_mult": "uint8_t", "bias_shift": "int8_t"},
    "eng_errors_int_params": {"count": "size_t", "mult": "uint8_t"},
    "eng_codes_int_params": {"count": "size_t", "rescale": "record", "y": "record"},
    "eng_relu_int_params": {"count": "size_t", "lo": "int8_t", "hi": "int8_t"},
    "eng_softmax_int_params": {"rows": "size_t", "classes": "uint16_t", "rescale": "record"},
    "eng_mse_int_params": {"rows": "size_t", "cols": "uint16_t"},
    "eng_patches_int_params": {"batch": "size_t", "window": "record", "channels": "uint16_t", "zero_x": "int8_t"},
    "eng_dense_f32_params": {"batch": "size_t", "in": "uint16_t", "out": "uint16_t"},
    "eng_relu_f32_params": {"count": "size_t", "limit": "float"},
    "eng_leaky_relu_f32_params": {"count": "size_t", "slope": "float"},
    "eng_elu_f32_params": {"count": "size_t", "alpha": "float"},
    "eng_softmax_f32_params": {"rows": "size_t", "classes": "uint16_t"},
    "eng_mse_f32_params": {"rows": "size_t", "cols": "size_t"},
    "eng_loss_f32_params": {"rows": "size_t", "cols": "size_t"},
    "eng_huber_f32_params": {"rows": "size_t", "cols": "size_t", "delta": "float"},
    "eng_clip_f32_params": {"count": "size_t", "limit": "float"},
    "eng_weight_decay_f32_params": {"count": "size_t", "learning_rate": "float", "weight_decay": "float"},
    "eng_sgd_f32_params": {"count": "size_t", **_floats("learning_rate", "momentum")},
    "eng_adam_f32_params": {"count": "size_t", **_floats("learning_rate", "beta1", "beta2", "epsilon")},
    "eng_rmsprop_f32_params": {"count": "size_t", **_floats("learning_rate", "rho", "momentum", "epsilon")},
    "eng_adagrad_f32_params": {"count": "size_t", **_floats("learning_rate", "epsilon")},
    "eng_adadelta_f32_params": {"count": "size_t", **_floats("learning_rate", "rho", "epsilon")},
    "eng_ftrl_f32_params": {"count": "size_t", **_floats("learning_rate", "l1", "l2", "shrinkage", "beta")},
}
#: Bytes of members on AVR.
SIZES = AVR_SIZES | {"size_t": 2, "int16_t": 2}


@dataclass(frozen=True)
class Ref:
    """A place in the arena as an argument: `offset` bytes into a buffer, as a pointer to `type`."""

    buffer: str
    type: str
    offset: int = 0


@dataclass(frozen=True)
class Written:
    """What a trainer's C is made of.

    Parameters
    ----------
    data : str
        Definitions of constants.
    parts : mapping of str to list of str
        Lines of each function's body.
    headers : tuple of str
        That declare the kernels.
    symbols : tuple of str
        Kernels that are called.
    offsets : mapping of str to int
        Of the buffers in the arena, bytes; the state is one of them.
    x_offset, y_offset : int
        Of input and output.
    arena : int
        Bytes of the arena, state included.
    flash : int
        Bytes of the constants on the chip.
    stack : int
        Bytes of stack of code that is among the constants.
    """

    data: str
    parts: Mapping[str, list[str]]
    headers: tuple[str, ...]
    symbols: tuple[str, ...]
    offsets: Mapping[str, int]
    x_offset: int
    y_offset: int
    arena: int
    flash: int
    stack: int


@dataclass
class _Life:
    size: int
    alignment: int
    fixed: int | None
    first: int | None = None
    last: int = 0


@dataclass
class _Call:
    function: str
    arguments: tuple[Ref | str, ...]
    store: Ref | None
    start: str
    end: str


@dataclass
class _Later:
    buffer: str
    write: Callable[[int], list[str]]


@dataclass
class Writer:
    """Takes definitions and calls in the order of time; buffers live from their first use to their last.

    Parameters
    ----------
    prefix : str
        Of all identifiers.
    """

    prefix: str
    flash: int = 0
    stack: int = 0
    headers: set[str] = field(default_factory=set)
    symbols: list[str] = field(default_factory=list)
    _now: int = 0
    _data: list[str] = field(default_factory=list)
    _lives: dict[str, _Life] = field(default_factory=dict)
    _parts: dict[str, list[_Call | _Later | str]] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ constants

    def define(self, struct: str, name: str, **values: Any) -> str:
        """Define a record; returns its address as an argument. The same definition again changes nothing."""
        full, members, size = f"{self.prefix}_{name}", [], 0
        for member, kind in STRUCTS[struct].items():
            value = values.pop("in_" if member == "in" else member)
            if kind == "record":
                members.append(f".{member} = {initializer(value, {})}")
                size += avr_size(type(value))
                continue
            members.append(f".{member} = {_number(value) if kind == 'float' else int(value)}")
            size += SIZES[kind]
        if values:
            raise TypeError(f"{struct} has no {', '.join(values)}")
        text = wrapped(f"static const {struct} {full} = {{", members, "};")
        if text not in self._data:
            self._data.append(text)
            self.flash += size
        return f"&{full}"

    @staticmethod
    def members(struct: str) -> tuple[str, ...]:
        """Names of a record's members."""
        return tuple(STRUCTS[struct])

    def text(self, data: str, flash: int) -> None:
        """Take definitions that someone else has written, with their bytes on the chip."""
        self._data.append(data)
        self.flash += flash

    # ------------------------------------------------------------------------------------------------ buffers and calls

    def buffer(self, name: str, size: int, alignment: int = 1, *, fixed: int | None = None) -> None:
        """Declare a work buffer of `size` bytes, alive from its first use to its last; `fixed` where its place is given."""
        self._lives.setdefault(name, _Life(size, alignment, fixed))

    def use(self, *names: str) -> None:
        """Say that buffers are in use now."""
        for name in names:
            if name != STATE:
                life = self._lives[name]
                life.first, life.last = self._now if life.first is None else life.first, self._now

    def call(
        self, part: str, function: str, *arguments: Ref | str, store: Ref | None = None, start: str = "", end: str = ";"
    ) -> None:
        """Call a function in a part of the program; time goes on.

        `store` is where its result goes; `start` and `end` are C around the call.
        """
        self.use(*(each.buffer for each in (*arguments, store) if isinstance(each, Ref)))
        self._parts.setdefault(part, []).append(_Call(function, arguments, store, start, end))
        if function.startswith("eng_"):
            self.symbols.append(function)
        self._now += 1

    def lines(self, part: str, texts: Iterable[str]) -> None:
        """Add lines as they are; time goes on."""
        self._parts.setdefault(part, []).extend(texts)
        self._now += 1

    def later(self, part: str, buffer: str, write: Callable[[int], list[str]]) -> None:
        """Let `write` make lines when it is known where a buffer lies, which it is given; time goes on."""
        self.use(buffer)
        self._parts.setdefault(part, []).append(_Later(buffer, write))
        self._now += 1

    def finish(self, state: int, x: Ref, y: Ref) -> Written:
        """Place the buffers, the state of so many bytes behind them, and write the calls; `x` and `y` are input and output."""
        offsets, work = self._place()
        offsets[STATE] = -(-work // ALIGNMENT) * ALIGNMENT
        parts = {
            part: [line for entry in entries for line in self._entry(entry, offsets)] for part, entries in self._parts.items()
        }
        return Written(
            data="\n".join(self._data),
            parts=parts,
            headers=tuple(sorted(self.headers)),
            symbols=tuple(dict.fromkeys(self.symbols)),
            offsets=offsets,
            x_offset=offsets[x.buffer] + x.offset,
            y_offset=offsets[y.buffer] + y.offset,
            arena=offsets[STATE] + state,
            flash=self.flash,
            stack=self.stack,
        )

    def _place(self) -> tuple[dict[str, int], int]:
        names = [name for name, life in self._lives.items() if life.first is not None]
        lives = [self._lives[name] for name in names]
        buffers = [Buffer(life.size, life.first or 0, life.last, life.alignment) for life in lives]
        layout = place(buffers, {i: life.fixed for i, life in enumerate(lives) if life.fixed is not None})
        return dict(zip(names, layout.offsets, strict=True)), layout.size

    @staticmethod
    def _entry(entry: _Call | _Later | str, offsets: Mapping[str, int]) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        if isinstance(entry, _Later):
            return entry.write(offsets[entry.buffer])
        arguments = [_argument(a, offsets) for a in entry.arguments]
        start = entry.start if entry.store is None else f"*{at(entry.store, offsets)} = "
        return [wrapped(f"    {start}{entry.function}(", arguments, f"){entry.end}")]


def at(ref: Ref, offsets: Mapping[str, int]) -> str:
    """Write a place in the arena as a C pointer."""
    return f"({ref.type} *)(arena + {offsets[ref.buffer] + ref.offset}u)"


def _argument(argument: Ref | str, offsets: Mapping[str, int]) -> str:
    return at(argument, offsets) if isinstance(argument, Ref) else argument


def _number(value: float) -> str:
    return "(float)INFINITY" if value == float("inf") else float_literal(value)


def define_array(name: str, values: NDArray[Any]) -> str:
    """Define an array of numbers, row-major.

    Raises
    ------
    UnsupportedError
        If avr-gcc cannot hold it.
    """
    if values.nbytes > MAX_ARRAY:
        raise UnsupportedError(f"array {name} has {values.nbytes} bytes; avr-gcc takes at most {MAX_ARRAY}")
    flat = values.ravel().tolist()
    if values.dtype == np.float32:
        texts = [_number(value) for value in flat]
    else:
        texts = [f"UINT32_C({value})" if values.dtype == np.uint32 else str(value) for value in flat]
    return array(f"static const {C_TYPES[values.dtype]} {name}", texts)
