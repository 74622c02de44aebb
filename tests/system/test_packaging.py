"""The sdist holds everything, the wheel built from it holds no build input, and it runs with NumPy and flatbuffers alone."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

#: One process builds the archives for all of these.
pytestmark = pytest.mark.xdist_group("packaging")

ROOT = Path(__file__).parents[2]
#: What a working tree holds beside the project's files.
WORKED = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", "__pycache__", "build", "dist", "out", "*.egg-info", "*.so", "engine-*"
)
ALLOWED = {"numpy", "flatbuffers", "engine", "enginekit"}


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An sdist of a copy of the tree, for setuptools works in the tree that it packs, and a wheel from the unpacked sdist."""
    out = tmp_path_factory.mktemp("dist")
    tree = shutil.copytree(ROOT, tmp_path_factory.mktemp("tree") / "engine", ignore=WORKED)
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, ".", cwd=tree)
    sdist = next(out.glob("*.tar.gz"))
    shutil.unpack_archive(sdist, out)
    source = out / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ".", cwd=source)
    return sdist, next(out.glob("*.whl"))


def test_sdist_holds_the_core_and_the_firmware(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "csrc/include/eng.h",
        "csrc/src/dense_s8.c",
        "engine/session.cpp",
        "firmware/Makefile",
        "LICENSE",
        "Makefile",
    ):
        assert needed in names, f"{needed} is missing from the sdist"
    assert not [name for name in names if name.endswith((".so", ".o", ".elf"))]


def test_wheel_holds_modules_stubs_and_firmware_sources_only(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[1]) as archive:
        names = archive.namelist()
    for needed in ("engine/py.typed", "engine/kernels.pyi", "engine/_session.pyi", "enginekit/py.typed"):
        assert needed in names, f"{needed} is missing from the wheel"
    assert "enginekit/sources/csrc/src/dense_s8.c" in names, "firmware cannot be built from an installed wheel"
    assert "enginekit/sources/firmware/Makefile" in names
    stray = [
        n
        for n in names
        if n.endswith((".pyx", ".pxd", ".pxi", ".cpp", ".hpp", ".c")) and not n.startswith("enginekit/sources/")
    ]
    assert not stray, f"build input in the wheel: {stray}"


def test_wheel_runs_in_an_empty_environment(archives: tuple[Path, Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    # The two dependencies are linked in rather than installed, so that the test needs no package index.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    for package in (np, flatbuffers):
        folder = Path(package.__file__).parent
        (site / folder.name).symlink_to(folder)
    libraries = Path(np.__file__).parent.parent / "numpy.libs"
    if libraries.exists():
        (site / libraries.name).symlink_to(libraries)
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", archives[1], cwd=tmp_path)

    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    script = (
        "import sys\n"
        "before = set(sys.modules)  # what the environment's own .pth files load\n"
        "import engine, engine.training, numpy as np\n"
        "from engine.training import Dense, Sequential\n"
        "net = Sequential((4,), [Dense(3, activation='relu'), Dense(2)], seed=1)\n"
        "assert net.predict(np.zeros((1, 4), np.float32)).shape == (1, 2)\n"
        "foreign = {name.partition('.')[0] for name, module in sys.modules.items()\n"
        "           if name not in before and 'site-packages' in (getattr(module, '__file__', None) or '')}\n"
        "print(sorted(foreign))\n"
    )
    loaded = set(eval(run(python, "-I", "-c", script, cwd=tmp_path, env=env)))
    assert loaded <= ALLOWED, f"import engine loaded {sorted(loaded - ALLOWED)}"
    run(python, "-I", "-m", "enginekit", "--help", cwd=tmp_path, env=env)
