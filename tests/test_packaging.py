"""The files around the package agree with each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from xailib.course import doctor, lint, notebook, paths
from xailib.course.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
PIP_SECTION = next(d["pip"] for d in ENVIRONMENT["dependencies"] if isinstance(d, dict))
PACKAGES = ["jupyterlab", "ipywidgets", "torch", "torchvision", "shap", "lime", "anchor-exp", "dice-ml", "interpret", "nbval"]


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", r).group().lower().replace("_", "-") for r in requirements}


def test_environment_installs_this_package_with_its_pins() -> None:
    assert "-e .[test]" in PIP_SECTION
    assert "-c constraints.txt" in PIP_SECTION
    python = next(d for d in ENVIRONMENT["dependencies"] if str(d).startswith("python="))
    assert python.split("=")[1] == PROJECT["project"]["requires-python"].removeprefix(">=")


def test_environment_lists_nothing_twice() -> None:
    conda = {d for d in ENVIRONMENT["dependencies"] if isinstance(d, str)}
    assert {d.split("=")[0] for d in conda} == {"python", "pip"}
    assert all(line.startswith("-") for line in PIP_SECTION)


def test_every_dependency_is_pinned_for_repeatable_outputs() -> None:
    wanted = names(PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"])
    assert wanted <= set(doctor.tested_versions())


def test_constraints_hold_no_local_versions_or_addresses() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "+cpu" not in text
    assert "@" not in text
    assert "file:" not in text


def test_the_ten_packages_are_dependencies_and_each_line_says_why() -> None:
    assert set(PACKAGES) <= names(PROJECT["project"]["dependencies"])
    block = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    assert all("#" in line for line in block.strip().splitlines())


def test_importing_the_package_is_cheap() -> None:
    code = "import time, sys; t = time.perf_counter(); import xailib; s = time.perf_counter() - t; print(s, sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(out.split()[0]) < 0.2
    assert not any(f"'{m}'" in out for m in ("torch", "shap", "matplotlib", "sklearn", "ipywidgets"))


def test_jupyterlab_starts_without_pop_ups() -> None:
    folder = ROOT / "xailib" / "course" / "jupyter"
    assert json.loads((folder / "page_config.json").read_text())["buildCheck"] is False
    overrides = json.loads((folder / "overrides.json").read_text())
    assert overrides["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_doctor_finds_this_environment_healthy(capsys) -> None:
    assert doctor.report()
    assert "PROBLEM" not in capsys.readouterr().out


def test_doctor_names_what_is_missing_or_differs(monkeypatch, capsys) -> None:
    monkeypatch.setattr(doctor, "NEEDED", ("torch", "no-such-package"))
    monkeypatch.setattr(doctor, "tested_versions", lambda: {"torch": "1.0", "no-such-package": "1"})
    assert not doctor.report()
    out = capsys.readouterr().out
    assert "outputs were stored with 1.0" in out
    assert "no-such-package is missing" in out


def test_click_test_answers() -> None:
    click = doctor.ClickTest()
    assert click.answer.value == click.waiting
    click.button.click()
    assert click.heard in click.answer.value


@pytest.mark.parametrize("command", ["nonsense", "reset", "build 77"])
def test_command_line_says_what_is_wrong(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "xailib.course", *command.split()], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize("source", paths.sources(), ids=lambda p: p.stem)
def test_readme_lists_every_chapter_with_its_minutes(source: Path) -> None:
    minutes = lint.estimated_minutes(notebook.from_script(source.read_text()))
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if f"chapters/{source.stem}.ipynb" in line)
    assert row.rstrip("| ").endswith(str(minutes))


def test_readme_shows_a_picture_that_exists() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert all((ROOT / picture).exists() for picture in pictures)
