"""The version, in its one place; ENG_VERSION of the C headers is tested equal."""

__version__ = "0.1.0"
