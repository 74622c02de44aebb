"""The tutorial runs: its shell and Python blocks, in order, in one empty folder; and the README's example."""

import os
import re
import subprocess
import sys
from pathlib import Path

import avr_page
import chart
import pytest
import training_page

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


@pytest.mark.parametrize("page", ["docs/tutorial.md", "docs/training.md", "README.md"])
def test_the_page_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    found = blocks(page, "sh", "python")
    assert found, f"{page} has no block to run"
    for language, text in found:
        run(language, text, tmp_path)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_pages_show_what_was_measured_on_the_chip() -> None:
    for path, want in avr_page.pages().items():
        assert path.read_text() == want, f"{path.name} differs from bench/results/avr.json or demo.json: run bench/avr_page.py"
    readme = (ROOT / "README.md").read_text()
    assert avr_page.claim(avr_page.load("avr")["results"]) in readme
    assert avr_page.demo(avr_page.load("demo")["results"]) in readme


def test_pages_show_what_training_was_measured_to_cost() -> None:
    for path, want in training_page.pages().items():
        assert path.read_text() == want, f"{path.name} differs from bench/results/training*.json: run bench/training_page.py"
    page = training_page.PAGE.read_text()
    for name, content in training_page.parts().items():
        assert content in page, f"docs/training.md has no place for {name!r}"
    assert training_page.claim(training_page.results("training_chip")) in training_page.README.read_text()


def test_the_page_on_inference_shows_the_results_as_they_were_measured() -> None:
    found = chart.load()
    wanted = {
        chart.PAGE: chart.page(chart.PAGE.read_text(), found, chart.load_others()),
        chart.PICTURE: chart.picture(found["results"]),
    }
    for path, want in wanted.items():
        assert path.read_text() == want, f"docs/{path.name} differs from bench/results/inference.json: run bench/chart.py"
