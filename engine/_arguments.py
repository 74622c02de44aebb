"""Checks of arguments, with one form of message: function, argument, what came, what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def integer(function: str, name: str, value: object, lo: int, hi: int) -> int:
    """Return `value` if it is an integer in ``[lo, hi]``.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{function}: {name} is of type {type(value).__name__}; expected an integer {lo} ... {hi}")
    if not lo <= value <= hi:
        raise ValueError(f"{function}: {name} is {value}; expected {lo} ... {hi}")
    return int(value)


def number(function: str, name: str, value: object, lo: float, hi: float, *, open_lo: bool = False) -> float:
    """Return `value` as a float if it is a number in ``[lo, hi)``, or in ``(lo, hi)`` with `open_lo`; NaN never is.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    expected = f"expected a number in {'(' if open_lo else '['}{lo:g}, {hi:g})"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{function}: {name} is of type {type(value).__name__}; {expected}")
    result = float(value)
    if not lo <= result < hi or (open_lo and result == lo):
        raise ValueError(f"{function}: {name} is {result:g}; {expected}")
    return result


def _fits(shape: tuple[int, ...], want: tuple[int | None, ...]) -> bool:
    if shape == want:
        return True
    pairs = zip(shape, want, strict=False)
    return len(shape) == len(want) and all(size == wanted or (wanted is None and size > 0) for size, wanted in pairs)


def _spell(shape: tuple[int | None, ...]) -> str:
    return str(shape).replace("None", "any")


def array(function: str, name: str, value: object, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return `value` if it is a C-contiguous array of exactly `dtype` and `shape`; nothing is converted.

    None in `shape` stands for any size of at least 1.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    want = np.dtype(dtype)
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{function}: {name} is of type {type(value).__name__}; expected a NumPy array of {want} {_spell(shape)}"
        )
    if value.dtype != want:
        raise TypeError(f"{function}: {name} is an array of {value.dtype}; expected {want}: convert it knowingly")
    if not _fits(value.shape, shape):
        raise ValueError(f"{function}: {name} has shape {value.shape}; expected {_spell(shape)}")
    if not (value.flags.c_contiguous and value.flags.aligned):
        raise ValueError(f"{function}: {name} is not contiguous in memory; pass np.ascontiguousarray({name})")
    return value


def output(function: str, value: object, dtype: DTypeLike, shape: tuple[int, ...], *, name: str = "out") -> NDArray[Any]:
    """Return a new array, or `value` if that is a writable one of exactly `dtype` and `shape`.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    return np.empty(shape, dtype) if value is None else updated(function, name, value, dtype, shape)


def updated(function: str, name: str, value: object, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return `value` if it is a writable array of exactly `dtype` and `shape`: for what is changed in place.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    out = array(function, name, value, dtype, shape)
    if not out.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only; expected a writable array")
    return out


def apart(function: str, name: str, value: NDArray[Any] | None, **others: NDArray[Any] | None) -> None:
    """Refuse an output that shares memory with any of `others`.

    Raises
    ------
    ValueError
        Naming the first argument that overlaps.
    """
    for other, taken in others.items():
        if value is not None and taken is not None and np.may_share_memory(value, taken):
            raise ValueError(f"{function}: {name} overlaps {other}; expected an array of its own")
