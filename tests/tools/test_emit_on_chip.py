"""Emitted C in the firmware, on the simulated chip: the bytes of the host's Session, and the flash that the plan says."""

import numpy as np
import pytest
from random_graphs import CHAINS, Chain

from engine.graph import Activation
from engine.model import Model
from enginekit import sim, toolchain
from enginekit.device import Client
from enginekit.emit import emit
from enginekit.plan import plan

GRAPHS = {
    **{name: CHAINS[name] for name in ("conv_pool", "average_pool", "relu", "float_edges", "residual", "depthwise")},
    # 42 x 784 weights are more than avr-gcc takes in one array.
    "split": lambda: Chain((784,)).dense(42, Activation.RELU).dense(10).graph(),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_same_bytes_on_the_chip(name, tmp_path):
    model = Model(GRAPHS[name]())
    image = toolchain.build_firmware(emit(model), tmp_path)
    assert image.model_data == plan(model).flash + 2 * plan(model).golden
    client = Client(sim.SimulatedSerial(sim.Chip.from_elf(image.elf)))
    card = client.hello()
    assert (card.hash, card.arena) == (model.digest[:8], plan(model).arena)
    assert client.selftest().passed
    rng = np.random.default_rng(3)
    inputs = rng.integers(-128, 128, (5, *model.input.shape[1:])).astype(np.int8)
    x = (inputs / np.float32(40)).astype(model.input.dtype) if model.input.dtype == np.float32 else inputs
    for index, (sample, want) in enumerate(zip(x, model.run(x), strict=True)):
        got = client.run(sample).y
        assert got.tobytes() == want.tobytes(), f"{name}: input {index}: got {got}, want {want}"
