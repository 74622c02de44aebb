"""The version, in its one place; ENG_VERSION of the C headers is tested equal."""

VERSION = "0.1.0"
