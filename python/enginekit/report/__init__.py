"""The report: one self-contained HTML page about one or more evaluated models."""

from __future__ import annotations

from engine.errors import EngineError

try:
    from enginekit.report.page import Fact, render, versions
except ModuleNotFoundError as error:
    if error.name not in {"jinja2", "markupsafe"}:
        raise
    raise EngineError("the report needs Jinja: pip install 'engine[report]'") from error

__all__ = ["Fact", "render", "versions"]
