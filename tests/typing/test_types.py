"""What the stubs promise to users, checked by mypy on a small program: good calls pass, wrong ones are errors."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

GOOD = """
import numpy as np
import engine

model: engine.Model = engine.load("model.tflite")
y = model.run(np.zeros((1, 784), np.int8))
model.run(np.zeros((1, 784), np.int8), out=y)
threads: int = engine.load(b"", threads=2).threads
seconds: float = model.profile(np.zeros((1, 784), np.int8), repeats=3).steps[0].seconds
probabilities = model.predict(np.zeros((1, 784), np.float32))
text: str = model.summary()
raw: bytes = model.to_bytes()
model.save("copy.tflite")
arena: int = model.program.arena
names: list[str] = [layer.name for layer in model.graph.layers]
"""

BAD = {
    "engine.load(3)": "arg-type",
    "engine.load('a').summary() + 1": "operator",
    "engine.load('a').no_such_method()": "attr-defined",
    "engine.load('a').run([1], out=3)": "call-overload",
    "engine.load('a', threads='2')": "arg-type",
}


def mypy(source: str, folder: Path) -> str:
    program = folder / "program.py"
    program.write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(folder / "cache"), str(program)],
        cwd=ROOT,
        env={"MYPYPATH": f"{ROOT}:{ROOT / 'python'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_correct_program_passes(tmp_path: Path) -> None:
    found = mypy(GOOD, tmp_path)
    assert "program.py" not in found, found


def test_wrong_calls_are_errors(tmp_path: Path) -> None:
    found = mypy("import engine\n" + "\n".join(BAD), tmp_path)
    for line, (call, code) in enumerate(BAD.items(), start=2):
        assert any(row.startswith(f"{tmp_path}/program.py:{line}:") and f"[{code}]" in row for row in found.splitlines()), (
            f"{call} should be an error of kind {code}; mypy said:\n{found}"
        )
