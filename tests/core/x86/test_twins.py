"""The twins for every instruction set of this processor: equal to the portable kernels, alone and in whole models."""

import os
import platform
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from judged import ISAS, available_isas
from random_graphs import Activation, Chain, Padding

import engine

ROOT = Path(__file__).resolve().parents[3]
CC = os.environ.get("CC", "cc")
FLAGS = {
    "avx2": ["-mavx2", "-mfma"],
    "avxvnni": ["-mavx2", "-mfma", "-mavxvnni"],
    "avx512vnni": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"],
}
IS_X86 = platform.machine() in ("x86_64", "AMD64")


def available() -> list[str]:
    """Names that ENGINE_ISA may hold here, as the error message lists them."""
    done = python("engine.isa()", isa="none")
    listed = done.stderr.split("this processor has ")[1].split(";")[0]
    return listed.split(", ")


def python(code: str, isa: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter with ENGINE_ISA set."""
    environment = {**os.environ, "ENGINE_ISA": isa}
    return subprocess.run(
        [sys.executable, "-c", f"import engine\n{code}"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def accepted(flags: list[str]) -> bool:
    """Whether the compiler knows the flags."""
    command = [CC, *flags, "-x", "c", "-fsyntax-only", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def build(folder: Path, *options: str) -> list[Path]:
    """Compile test_twins.c and, for x86, test_winograd.c with the core and the twins."""
    folder.mkdir(parents=True, exist_ok=True)
    flags_of = {name: flags for name, flags in FLAGS.items() if IS_X86 and accepted(flags)}
    without = [] if "avxvnni" in flags_of else ["-DENG_WITHOUT_AVXVNNI"]
    command = [CC, "-std=gnu11", "-ffp-contract=off", "-g", f"-I{ROOT}/csrc/include", f"-I{ROOT}/csrc/x86", *without, *options]
    twins = ROOT / "csrc" / "x86"
    objects = []
    jobs = []
    training = ("_f32", "_f16")
    for source, flags in [(s, f) for n, f in flags_of.items() for s in sorted(twins.glob(f"{n}*.c"))]:
        if source.stem.endswith(training):
            continue
        objects.append(folder / f"{source.stem}.o")
        jobs.append(subprocess.Popen([*command, *flags, "-c", source, "-o", objects[-1]]))
    assert all(job.wait() == 0 for job in jobs)
    packing = ("across", "depthwise", "image", "lanes", "mul", "planes", "products", "quads", "winograd") if IS_X86 else ()
    shared = [twins / f"{name}.c" for name in ("dispatch", "elementwise", *packing)]
    sources = [*shared, *sorted((ROOT / "csrc" / "src").glob("*.c"))]
    programs = [folder / "test_twins", *([folder / "test_winograd"] if IS_X86 else [])]
    for program in programs:
        main = Path(__file__).with_name(f"{program.name}.c")
        subprocess.run([*command, main, *sources, *objects, "-lm", "-o", program], check=True)
    return programs


@pytest.mark.parametrize("sanitize", [False, True], ids=["plain", "sanitized"])
def test_equals_portable_kernels(tmp_path, sanitize):
    # Points-to analysis of sanitized twins would take 4 GB each.
    options = ["-O1", "-fno-tree-pta", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if sanitize else ["-O2"]
    programs = build(tmp_path, *options)
    for program, isa in product(programs, available()):
        done = subprocess.run([program, isa, "1", "500" if sanitize else "3000"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not IS_X86, reason="x86 twins")
def test_a_compiler_without_avxvnni_will_do(tmp_path):
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-DENG_WITHOUT_AVXVNNI", f"-I{ROOT}/csrc/include"]
    dispatch = tmp_path / "dispatch.o"
    subprocess.run([CC, *flags, "-c", ROOT / "csrc" / "x86" / "dispatch.c", "-o", dispatch], check=True)
    symbols = subprocess.run(["nm", dispatch], check=True, capture_output=True, text=True).stdout
    assert "eng_avx2_products" in symbols
    assert "eng_avxvnni" not in symbols


@pytest.mark.parametrize("isa", ISAS)
def test_environment_forces_one_or_says_what_there_is(isa):
    done = python("print(engine.isa())", isa)
    if isa in available():
        assert done.stdout.strip() == isa, done.stderr
    else:
        assert done.returncode != 0
        assert f"ENGINE_ISA is {isa}, but this processor has portable" in done.stderr


@pytest.mark.parametrize("channels", [3, 8, 12, 16, 17, 24, 32, 33, 48])
def test_first_layers_of_digits(channels, monkeypatch):
    """Pairs of 3 x 3 of one channel under a pool of 2 have loops of their own, by blocks of outputs."""
    graph = Chain((14, 13, 1)).conv(channels, 3, activation=Activation.RELU).pool("max_pool2d", 2).graph()
    x = np.random.default_rng(channels).integers(-128, 128, (5, 14, 13, 1)).astype(np.int8)
    found = {}
    for isa in available_isas():
        monkeypatch.setenv("ENGINE_ISA", isa)
        found[isa] = engine.Model(graph).run(x)
    for isa, y in found.items():
        np.testing.assert_array_equal(y, found["portable"], err_msg=isa)


@pytest.mark.parametrize("shape", [(784, 32), (784, 40), (784, 8), (40, 10), (4, 100), (3000, 33)])
@pytest.mark.parametrize("least", [-127, -128])
def test_ends_of_the_range_do_not_saturate(shape, least, monkeypatch):
    """Products of bytes are summed in pairs of 16 bits: none may be larger than the largest, nor smaller than the smallest."""
    chain = Chain(shape[:1]).dense(shape[1])
    w = chain.tensors[chain.layers[0].inputs[1]]
    ends = np.array([least, 127], np.int8)
    np.copyto(w.data, ends[np.random.default_rng(1).integers(0, 2, w.shape)])
    w.data[0], w.data[-1] = least, 127
    x = np.random.default_rng(2).choice(np.array([-128, -127, 127], np.int8), (5, shape[0]))
    x[0], x[1] = -128, 127
    found = {}
    for isa in available_isas():
        monkeypatch.setenv("ENGINE_ISA", isa)
        model = engine.Model(chain.graph())
        found[isa] = np.concatenate([model.run(each[np.newaxis]) for each in x])
        np.testing.assert_array_equal(model.run(x), found[isa], err_msg=f"{isa}, as a batch")
    for isa, y in found.items():
        np.testing.assert_array_equal(y, found["portable"], err_msg=isa)


@pytest.mark.parametrize(("shape", "channels"), [((32, 32, 16), 16), ((9, 17, 24), 40), ((8, 8, 64), 64), ((7, 5, 33), 8)])
def test_convolutions_of_3x3_for_which_there_are_twins_of_their_own(shape, channels, monkeypatch):
    graph = Chain(shape).conv(channels, 3, padding=Padding.SAME).conv(17, 3, activation=Activation.RELU).graph()
    x = np.random.default_rng(channels).integers(-128, 128, (40, *shape)).astype(np.int8)
    found = {}
    for isa in available_isas():
        monkeypatch.setenv("ENGINE_ISA", isa)
        found[isa] = engine.Model(graph).run(x)
        np.testing.assert_array_equal(engine.Model(graph, threads=2).run(x), found[isa], err_msg=isa)
    for isa, y in found.items():
        np.testing.assert_array_equal(y, found["portable"], err_msg=isa)


def test_unknown_name_is_refused():
    done = python("engine.isa()", "sse9")
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("engine.errors.EngineError: ENGINE_ISA is sse9, but this processor has portable")
    )


def test_best_is_the_default():
    assert python("print(engine.isa())", "").stdout.strip() == available()[-1]
