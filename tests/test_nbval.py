"""Strict nbval, as this package configures it, passes an honest notebook and fails a changed one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xailib.course import build
from xailib.course import notebook as nb

CELLS = """# %%
import os

print("threads", os.environ["OMP_NUM_THREADS"], "proxy", os.environ["https_proxy"])

# %%
object()

# %%
0.1 + 0.2
"""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small notebook, built as chapters are."""
    folder = tmp_path_factory.mktemp("nbval")
    notebook = nb.from_script(CELLS)
    build._execute(notebook)
    nb.write(nb.canonical(notebook), folder / "honest.ipynb")
    return folder / "honest.ipynb"


def strict(path: Path) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and k != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "-p", "no:dash", str(path)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=path.parent)


def test_an_honest_notebook_passes_although_addresses_differ(honest: Path) -> None:
    done = strict(honest)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("old", "new"), [("0.30000000000000004", "0.30000000000000001"), ("threads 1", "threads 2"), ("127.0.0.1:9", "127.0.0.1:8")]
)
def test_one_changed_digit_fails(honest: Path, tmp_path: Path, old: str, new: str) -> None:
    text = honest.read_text()
    assert old in text
    changed = tmp_path / "changed.ipynb"
    changed.write_text(text.replace(old, new))
    assert strict(changed).returncode == 1
