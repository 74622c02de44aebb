"""The report: one self-contained HTML page about one or more evaluated models."""

from __future__ import annotations

from enginekit.report.page import Fact, render, versions

__all__ = ["Fact", "render", "versions"]
