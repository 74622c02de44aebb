"""What a model costs on the chip beside its data: code, stack, cycles; known without compiling."""

from enginekit.costs.table import Table, load

__all__ = ["Table", "load"]
