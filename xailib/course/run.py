"""`lab` and `test` without make: the same steps on every system."""

from __future__ import annotations

import os
import subprocess
import sys

from xailib.course.build import kernel_environment
from xailib.course.paths import ROOT

FIRST_CHAPTER = "/lab/tree/chapters/00_start_here.ipynb"

#: every gate of `make test`, in order; cheap ones first
GATES: dict[str, list[str]] = {
    "style": ["ruff", "check", "xailib", "tests", "chapters/source"],
    "format": ["ruff", "format", "--check", "xailib", "tests", "chapters/source"],
    "types": ["mypy"],
    "chapters": ["xailib.course", "lint"],
    "tests": ["pytest", "tests", "-m", "not full and not e2e", "-n", "2", "--dist", "loadfile"],
    "doctests": ["pytest", "--doctest-modules", "xailib", "-n", "2", "--dist", "loadfile"],
    "notebooks": ["pytest", "--nbval", "chapters", "-n", "2", "--dist", "loadfile", "-o", "timeout=0"],
}


def open_lab() -> int:
    """Start JupyterLab at the repository's root, bound to this machine and with a token, chapter 0 on screen."""
    command = [sys.executable, "-m", "jupyterlab", f"--LabApp.default_url={FIRST_CHAPTER}", "--ServerApp.ip=127.0.0.1"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    # small networks are fastest on one thread, and several open chapters then share the machine
    environment = {**dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"), **os.environ}
    return subprocess.run([*command, f"--ServerApp.root_dir={ROOT}"], env=environment, check=False).returncode


def run_gates() -> int:
    """Run every gate, all of them even after a failure, and say which failed."""
    environment = {**os.environ, **kernel_environment()}
    failed = []
    for name, arguments in GATES.items():
        print(f"--- {name}: python -m {' '.join(arguments)}", flush=True)
        if subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, check=False).returncode:
            failed.append(name)
    print(f"gates failed: {', '.join(failed)}" if failed else f"all {len(GATES)} gates passed")
    return 1 if failed else 0
