"""What the firmware around a model takes: flash of the link and the golden pairs, static RAM, and the stack."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.model import Model
from enginekit.costs import Table
from enginekit.costs.calls import FRAME_CODE, FRAME_STACK

#: The firmware aligns the arena to so many bytes, and its size with it.
_ARENA_ALIGNMENT = 4


def fixed_flash(model: Model, table: Table, golden: int = 2) -> int:
    """Bytes of flash around a model: the link with its card, ``model_run`` itself, `golden` pairs and their test."""
    pair = sum(tensor_bytes(tensor) for tensor in (*model.inputs, *model.outputs))
    return table.flash + _card(model) + FRAME_CODE + golden * pair + (table.selftest if golden else 0)


def _card(model: Model) -> int:
    """Bytes by which the link's card is larger than that of a nameless model from one int8 to one."""
    edges = (*model.inputs, *model.outputs)
    shapes = sum(2 * (max(len(tensor.shape) - 1, 1) - 1) + len(tensor.dtype.name) - len("int8") for tensor in edges)
    return len(model.graph.name[:31] or "model") - len("model") + shapes


def static_ram(model: Model, table: Table, arena: int, constants: int) -> int:
    """Bytes of static RAM of the firmware: its own and the arena, on chips that do not map their flash also constants.

    Parameters
    ----------
    model : Model
    table : Table
    arena : int
    constants : int
        Bytes of :attr:`Candidate.ram` of all steps.
    """
    if table.chip.mapped_flash:
        return table.ram + _aligned(arena)
    more = _card(model) + constants
    return table.ram + _before_arena(table, more) - _before_arena(table, 0) + _aligned(arena)


def _before_arena(table: Table, more: int) -> int:
    """Bytes of RAM before the arena: data, padded to an even number, then what is cleared, then padding."""
    data = table.data + more
    return _aligned(data + data % 2 + table.before_arena)


def _aligned(size: int) -> int:
    return -(-size // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT


def tensor_bytes(tensor: Any) -> int:
    """Bytes of a tensor of batch 1."""
    return int(np.prod(tensor.shape, dtype=np.int64)) * int(tensor.dtype.itemsize)


def stack_bound(table: Table, deepest: int) -> int:
    """Bytes of stack of the firmware, given those of the deepest kernel."""
    return max(table.stack, table.stack_to_model + FRAME_STACK + 2 + deepest)
