"""Costs on the chip as the tests need them: those of the toolchain that they compile with."""

from __future__ import annotations

import functools

from enginekit import costs, toolchain
from enginekit.costs.measure import table_name


@functools.cache
def table_at_hand() -> costs.Table:
    """Costs with the toolchain on the PATH; of the default one where there is none, or where it has no table."""
    try:
        name = table_name(toolchain.find().version)
    except toolchain.ToolchainError:
        return costs.load()
    return costs.load(name) if name in costs.table.available() else costs.load()
