"""Talking to a board, or to the simulated chip, that runs this project's firmware."""
