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


def array(function: str, name: str, value: object, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `value` if it is a C-contiguous array of exactly `dtype` and `shape`; nothing is converted.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    want = np.dtype(dtype)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{function}: {name} is of type {type(value).__name__}; expected a NumPy array of {want} {shape}")
    if value.dtype != want:
        raise TypeError(f"{function}: {name} is an array of {value.dtype}; expected {want}: convert it knowingly")
    if value.shape != shape:
        raise ValueError(f"{function}: {name} has shape {value.shape}; expected {shape}")
    if not (value.flags.c_contiguous and value.flags.aligned):
        raise ValueError(f"{function}: {name} is not contiguous in memory; pass np.ascontiguousarray({name})")
    return value


def output(function: str, value: object, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a new array, or `value` if that is a writable one of exactly `dtype` and `shape`.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    if value is None:
        return np.empty(shape, dtype)
    out = array(function, "out", value, dtype, shape)
    if not out.flags.writeable:
        raise ValueError(f"{function}: out is read-only; expected a writable array")
    return out
