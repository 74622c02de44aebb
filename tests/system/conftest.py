"""The two trained networks, made once a test run even when several processes share the work."""

import fcntl
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import engine
from enginekit import datasets, digits, evaluate


@dataclass(frozen=True)
class Example:
    """A trained network with its int8 model and the test images as its input codes."""

    recipe: digits.Recipe
    path: Path
    model: engine.Model
    float_accuracy: float
    images: datasets.Digits
    x: np.ndarray
    host: np.ndarray


@pytest.fixture(scope="session")
def images():
    return datasets.mnist()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """One folder for all processes of this test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-gw") else base) / "trained"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def example(images, shared_folder):
    """Train or fetch a network: ``example("dense32")``."""
    made: dict[str, Example] = {}
    recipes = {recipe.slug: recipe for recipe in digits.RECIPES}

    def get(slug):
        if slug not in made:
            made[slug] = _load(recipes[slug], images, shared_folder)
        return made[slug]

    return get


def _load(recipe, images, folder):
    path = folder / f"{recipe.slug}.tflite"
    accuracy = folder / f"{recipe.slug}.pickle"
    with (folder / f"{recipe.slug}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not accuracy.exists():
            trained = digits.train(recipe, images)
            trained.model.save(path)
            accuracy.write_bytes(pickle.dumps(trained.float_accuracy))
    model = engine.load(path)
    x = evaluate.codes(model, images.test_x)
    return Example(recipe, path, model, pickle.loads(accuracy.read_bytes()), images, x, model.run(x))
