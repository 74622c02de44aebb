"""The report: one self-contained HTML page about one or more evaluated models."""
