"""The tutorial runs: its shell and Python blocks, in order, in one empty folder; and the README's example."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import chart
import pytest

ROOT = Path(__file__).parents[2]


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """Fenced blocks of the given languages, in order: (language, text)."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [(language, text) for language, text in found if language in languages]


def run(language: str, text: str, folder: Path) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'python'}"}
    if language == "sh":
        text = text.replace("enginekit ", f"{sys.executable} -m enginekit ")
    command = ["bash", "-euc", text] if language == "sh" else [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"this block failed:\n{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", ["docs/tutorial.md", "README.md"])
def test_the_page_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    found = blocks(page, "sh", "python")
    assert found, f"{page} has no block to run"
    for language, text in found:
        run(language, text, tmp_path)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_quotes_the_results_as_they_were_measured() -> None:
    readme = (ROOT / "README.md").read_text()
    demo = json.loads((ROOT / "bench/results/demo.json").read_text())["results"]
    for name, row in demo.items():
        quotes = [
            f"{100 * row['accuracy_float']:.2f} → {100 * row['accuracy_int8_host']:.2f} %",
            f"{row['flash_bytes']:,} B",
            f"{row['ram_bytes']:,} + {row['stack_bytes']} B",
            f"| {row['ms_mean']:.1f} |",
        ]
        for quote in quotes:
            assert quote in readme, f"README.md does not say {quote!r} of {name}"
    chip = json.loads((ROOT / "bench/results/avr_kernels.json").read_text())["results"]["784-32-10"]
    claims = [chip["mean_ms"], chip["slowest_image_ms"], chip["hard_inputs_ms"]]
    for claim in [*(f"{ms:.1f} ms" for ms in claims), f"{chip['arena'] + chip['stack']:,} bytes"]:
        assert claim in readme.replace("\n", " "), f"README.md does not say {claim!r} of 784-32-10"


def test_the_page_on_inference_shows_the_results_as_they_were_measured() -> None:
    found = chart.load()
    wanted = {chart.PAGE: chart.page(chart.PAGE.read_text(), found), chart.PICTURE: chart.picture(found["results"])}
    for path, want in wanted.items():
        assert path.read_text() == want, f"docs/{path.name} differs from bench/results/inference.json: run bench/chart.py"
