"""The training twins for every instruction set of this processor: equal to the portable kernels, alone and in whole fits."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from judged import ISAS, available_isas

ROOT = Path(__file__).resolve().parents[3]
CC = os.environ.get("CC", "cc")
FLAGS = {
    "avx2": ["-mavx2", "-mf16c"],
    "avx512vnni": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mf16c"],
}
IS_X86 = platform.machine() in ("x86_64", "AMD64")


def build(folder: Path, *options: str) -> Path:
    """Compile test_train_twins.c with the portable kernels and the twins."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [CC, "-std=gnu11", "-g", "-ffp-contract=off", f"-I{ROOT}/csrc/include", *options]
    twins = ROOT / "csrc" / "x86"
    jobs, objects = [], []
    for name, flags in FLAGS.items() if IS_X86 else ():
        for source in twins.glob(f"{name}_f*.c"):
            objects.append(folder / f"{source.stem}.o")
            jobs.append(subprocess.Popen([*command, *flags, "-c", source, "-o", objects[-1]]))
    assert all(job.wait() == 0 for job in jobs)
    program = folder / "test_train_twins"
    src = ROOT / "csrc" / "src"
    core = [*src.glob("*_f32.c"), *src.glob("*_f16.c"), src / "random.c", src / "rng_next.c"]
    sources = [Path(__file__).with_suffix(".c"), twins / "dispatch_train.c", *core]
    subprocess.run([*command, *sources, *objects, "-lm", "-o", program], check=True)
    return program


@pytest.mark.parametrize("sanitize", [False, True], ids=["plain", "sanitized"])
def test_equals_portable_kernels(tmp_path, sanitize):
    options = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if sanitize else ["-O2"]
    program = build(tmp_path, *options)
    for isa in available_isas():
        done = subprocess.run(
            [program, str(ISAS.index(isa)), "1", "15" if sanitize else "100"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{isa}: {done.stdout}{done.stderr}"


FIT = """
import hashlib, numpy as np
from engine import training as t
rng = np.random.default_rng(0)
x, y = rng.normal(size=(70, 10, 9, 1)).astype(np.float32), rng.integers(0, 5, 70)
layers = [t.Conv2D(6, 3, activation="relu"), t.MaxPool2D(2), t.Conv2D(5, 2, padding="same", activation="relu6"),
          t.DepthwiseConv2D(2), t.AveragePool2D(2, 1), t.Flatten(), t.Dense(5)]
for precision in ("fp32/fp32", "fp16/fp16"):
    for threads in (1, 3):
        net = t.Sequential((10, 9, 1), layers, seed=3)
        net.fit(x, y, optimizer=t.Adam(0.01), epochs=2, batch_size=40, threads=threads, precision=precision)
        bits = b"".join(array.tobytes() for array in net.parameters.values())
        print(precision, hashlib.sha256(bits).hexdigest())
"""


def test_fits_give_the_same_bits_whatever_the_instruction_set_and_the_threads():
    found = {}
    for isa in available_isas():
        environment = {**os.environ, "ENGINE_ISA": isa}
        done = subprocess.run(
            [sys.executable, "-c", FIT], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        lines = done.stdout.splitlines()
        assert lines[0] == lines[1], f"{isa}: fp32 depends on the number of threads"
        assert lines[2] == lines[3], f"{isa}: fp16 depends on the number of threads"
        found[isa] = lines
    assert len({tuple(lines) for lines in found.values()}) == 1, found
