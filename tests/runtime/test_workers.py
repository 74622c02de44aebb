"""The threads that share a batch, engine/workers.hpp, in a program of their own that gcc's sanitizers watch."""

import subprocess
from pathlib import Path

import compilers
import pytest

SOURCE = Path(__file__).with_name("workers_check.cpp")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror")


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_every_sample_is_computed_once(sanitizers, tmp_path):
    program = tmp_path / "workers_check"
    flags = ("-std=c++17", "-O1", "-g", f"-fsanitize={sanitizers}", "-pthread", *WARNINGS)
    compilers.run(["c++", *flags, "-I", compilers.ROOT / "engine", SOURCE, "-o", program])
    for arguments in ([], ["one CPU"]):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=120)
        if "unexpected memory mapping" in done.stderr:
            pytest.skip("the thread sanitizer does not run with this kernel's address space layout")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
