"""Builds the C core once as a static library and links every extension with it.

Kernels for instruction sets that not every processor has are libraries of their own, with their own flags;
csrc/x86/dispatch.c in the core picks among them at run time.

The core has no mutable globals, so that each extension may carry its own copy.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pybind11
from Cython.Build import cythonize
from pybind11.setup_helpers import Pybind11Extension
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
CORE_HEADERS = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("csrc/include/**/*.h"))
CORE_SOURCES = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("csrc/src/*.c"))


def accepted(flag: str) -> bool:
    """Whether the C compiler knows a flag."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, flag, "-x", "c", "-fsyntax-only", os.devnull]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


#: Flags of the twins, csrc/x86/<name>*.c. Elsewhere dispatch.c has the portable kernels only.
TWINS = (
    {
        "avxvnni": ["-mavx2", "-mfma", "-mf16c", "-mavxvnni", "-fno-math-errno"],
        "avx512vnni": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mf16c", "-fno-math-errno"],
        "avx2": ["-mavx2", "-mfma", "-mf16c", "-fno-math-errno"],
    }
    if platform.machine() in ("x86_64", "AMD64")
    else {}
)
CORE_FLAGS = []
if TWINS and not accepted("-mavxvnni"):  # gcc before 11
    del TWINS["avxvnni"]
    CORE_FLAGS = ["-DENG_WITHOUT_AVXVNNI"]
PACKING_SOURCES = [
    f"csrc/x86/{name}.c" for name in ("across", "depthwise", "image", "lanes", "mul", "planes", "products", "quads", "winograd")
]
DISPATCH_SOURCES = [
    "csrc/x86/dispatch.c",
    "csrc/x86/dispatch_train.c",
    "csrc/x86/elementwise.c",
    *(PACKING_SOURCES if TWINS else []),
]
TWIN_SOURCES = {name: sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(f"csrc/x86/{name}*.c")) for name in TWINS}
TWIN_HEADERS = sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("csrc/x86/*.h"), *ROOT.glob("csrc/src/*_f*.[ch]")])
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef"]
C_WARNINGS = [*WARNINGS, "-Wcast-qual", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wdouble-promotion"]
#: Sanitized twins, unrolled by -O3, would take many minutes to compile, and points-to analysis gigabytes.
OPTIMIZE = ["-O1", "-fno-tree-pta"] if "-fsanitize" in os.environ.get("CFLAGS", "") else ["-O3"]
#: Contraction would fuse a*b+c on some hosts and not on others: float results must not depend on it.
C_FLAGS = ["-std=c11", *OPTIMIZE, "-fPIC", "-ffp-contract=off", *C_WARNINGS]
#: pybind11's headers are a system's: their warnings are not ours.
CXX_FLAGS = ["-O3", "-fvisibility=hidden", *WARNINGS, "-isystem", pybind11.get_include()]
#: Shipped inside the wheel as data, so that an installed enginekit can build firmware.
FIRMWARE_SOURCES = ("csrc", "firmware")


def cython(module: str, source: str, *beside: str) -> Extension:
    """Return the module of `source` and of the C++ files beside it."""
    headers = [*CORE_HEADERS, *(f"{Path(name).with_suffix('.h')}" for name in beside)]
    folders = ["csrc/include", *sorted({str(Path(name).parent) for name in beside})]
    return Extension(module, [source, *beside], include_dirs=folders, depends=headers, extra_compile_args=["-O2"])


def pybind(module: str, folder: str, pattern: str) -> Extension:
    sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).glob(pattern))
    headers = sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).glob("*.hpp"))
    return Pybind11Extension(
        module, sources, include_dirs=["csrc/include"], depends=CORE_HEADERS + headers, cxx_std=17, extra_compile_args=CXX_FLAGS
    )


class BuildCore(build_clib):
    """Static library; recompiled when a header changes."""

    def get_source_files(self) -> list[str]:
        return [
            *(CORE_SOURCES + CORE_HEADERS + DISPATCH_SOURCES + TWIN_HEADERS),
            *(source for sources in TWIN_SOURCES.values() for source in sources),
        ]


class BuildExtensions(build_ext):
    """setuptools' editable and in-place builds forget the static library that the extensions link."""

    def run(self) -> None:
        self.run_command("build_clib")
        folder = Path(self.get_finalized_command("build_clib").build_clib)
        archives = [str(folder / f"lib{name}.a") for name, _ in self.distribution.libraries]
        for extension in self.extensions:
            extension.depends = [*extension.depends, *archives]  # else a changed twin would not be linked again
        super().run()


class BuildPackages(build_py):
    """Adds the core's and the firmware's sources as ``enginekit/sources``."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "enginekit" / "sources"
        for name in FIRMWARE_SOURCES:
            shutil.copytree(
                ROOT / name, target / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "*.o", "*.elf")
            )


def library(name: str, sources: list[str], *flags: str) -> tuple[str, dict[str, object]]:
    """Return one entry of setup's libraries."""
    headers = CORE_HEADERS + TWIN_HEADERS
    return name, {
        "sources": sources,
        "include_dirs": ["csrc/include"],
        "cflags": [*C_FLAGS, *flags],
        "obj_deps": {"": headers},
    }


setup(
    # In the linker's order: who needs before who is needed.
    libraries=[
        library("eng_core", CORE_SOURCES + DISPATCH_SOURCES, *CORE_FLAGS),
        *(library(f"eng_{name}", TWIN_SOURCES[name], *flags) for name, flags in TWINS.items()),
    ],
    ext_modules=[
        *cythonize(
            [
                extension
                for extension in (
                    cython("engine.kernels", "engine/kernels.pyx"),
                    cython("engine.kernels_compressed", "engine/kernels_compressed.pyx"),
                    cython("engine.kernels_dense", "engine/kernels_dense.pyx"),
                    cython("engine.kernels_encoded", "engine/kernels_encoded.pyx"),
                    cython("engine.kernels_f32", "engine/kernels_f32.pyx"),
                    cython("engine.kernels_products", "engine/kernels_products.pyx", "engine/train_team.cpp"),
                    cython("engine.kernels_layer_f32", "engine/kernels_layer_f32.pyx"),
                    cython("engine.kernels_train_int", "engine/kernels_train_int.pyx"),
                    cython("engine.kernels_loss_f32", "engine/kernels_loss_f32.pyx"),
                    cython("engine.kernels_update_f32", "engine/kernels_update_f32.pyx"),
                    cython("enginekit.device.frame", "python/enginekit/device/frame.pyx"),
                )
                if (ROOT / extension.sources[0]).exists()
            ],
            language_level=3,
        ),
        *(
            extension
            for extension in (
                pybind("engine._session", "engine", "session.cpp"),
                pybind("enginekit.sim._chip", "python/enginekit/sim", "*.cpp"),
            )
            if extension.sources
        ),
    ],
    cmdclass={"build_clib": BuildCore, "build_ext": BuildExtensions, "build_py": BuildPackages},
)
