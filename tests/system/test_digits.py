"""What the project promises on real handwritten digits: int8 against float, TensorFlow Lite and the simulated chip."""

import re

import numpy as np
import pytest

import engine
from enginekit import digits, evaluate, onchip, toolchain
from enginekit.encode.choose import Optimize

SLUGS = [recipe.slug for recipe in digits.RECIPES]
#: Flash that a bootloader leaves on the boards with the least of it, and the chip's SRAM.
FLASH = 48_640
SRAM = 6_144
ACCURACY = {"dense32": 0.965, "conv12": 0.975}


def per_network(function):
    """Run a test for each network; with pytest-xdist's loadgroup each network stays in one process."""
    params = [pytest.param(slug, marks=pytest.mark.xdist_group(slug)) for slug in SLUGS]
    return pytest.mark.parametrize("slug", params)(function)


@pytest.fixture(scope="module")
def firmware(example, tmp_path_factory):
    """Build a network's firmware once a process: ``firmware("dense32")``."""
    built = {}

    def get(slug, optimize=Optimize.SIZE):
        key = slug, optimize
        if key not in built:
            built[key] = onchip.build(example(slug).model, tmp_path_factory.mktemp(slug), optimize=optimize)
        return built[key]

    return get


def assert_same_bytes(got, want, what):
    """Name the first differing image and byte."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if not np.array_equal(got, want):
        bad = np.argwhere(got != want)
        first = tuple(int(i) for i in bad[0])
        raise AssertionError(f"{what}: {len(bad)} bytes differ; first at {first}: got {got[first]}, want {want[first]}")


@per_network
def test_accuracy_of_int8_is_that_of_float(example, slug):
    network = example(slug)
    accuracy = evaluate.accuracy(network.host, network.images.test_y)
    assert len(network.host) == len(network.images.test_y)
    close = 0.003 if network.images.is_mnist else 0.01
    assert abs(accuracy - network.float_accuracy) <= close, f"{slug}: int8 {accuracy}, float {network.float_accuracy}"
    if network.images.is_mnist:
        assert len(network.host) == 10_000
        assert accuracy >= ACCURACY[slug]


@per_network
def test_every_byte_is_tensorflow_lites(example, slug):
    network = example(slug)
    reference = evaluate.run_reference(network.model, network.x)
    assert "BUILTIN_REF" in reference.library
    assert_same_bytes(network.host, reference.y, f"{slug} against {reference.library}")


@pytest.mark.parametrize(("optimize", "most"), [(Optimize.SIZE, 500), (Optimize.SPEED, 100)])
@per_network
def test_every_byte_of_the_chip_is_the_hosts(example, firmware, slug, optimize, most):
    network, built = example(slug), firmware(slug, optimize)
    count = min(most, len(network.x))
    chip = onchip.run_on_chip(built, network.x[:count])
    assert_same_bytes(chip.y, network.host[:count], f"{slug}: chip against host")
    assert chip.arena + chip.stack <= SRAM
    assert chip.stack <= toolchain.STACK
    assert chip.ram + toolchain.STACK <= SRAM
    assert chip.flash <= FLASH
    assert sum(chip.layer_cycles) == pytest.approx(np.mean(chip.cycles), rel=0.005)


@pytest.mark.parametrize("optimize", Optimize)
@per_network
def test_every_layer_of_the_chip_is_the_hosts(example, firmware, slug, optimize):
    network, built = example(slug), firmware(slug, optimize)
    traces = onchip.trace_on_chip(built, network.x[:10])
    assert len(traces) == 10
    for i, trace in enumerate(traces):
        want = network.model.trace(network.x[i : i + 1])
        assert [step.step_name for step in trace] == [step.step_name for step in want]
        difference = onchip.first_difference(trace, want)
        assert difference is None, f"{slug}, image {i}: {difference}"


@pytest.mark.xdist_group("conv12")
def test_the_convolutional_network_fits_the_chip(firmware):
    image = firmware("conv12").image
    assert image.flash <= FLASH
    assert image.ram <= SRAM - 512


@pytest.mark.xdist_group("dense32")
def test_code_of_the_dense_firmware_is_small(firmware):
    image = firmware("dense32").image
    data = re.compile(r"model_(\w+_)?(w\d*|bias|rescale|golden_\w+)$")
    weights = sum(s.size for s in image.symbols if s.source == "model.c" and data.match(s.name))
    assert weights > 784 * 32
    assert image.flash - weights <= 6 * 1024


@pytest.mark.xdist_group("dense32")
def test_a_saved_model_is_the_same_model(example):
    network = example("dense32")
    again = engine.load(network.model.to_bytes())
    assert again.digest == network.model.digest
