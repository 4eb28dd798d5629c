"""Makes `pytest --nbval chapters` strict and repeatable wherever the course is installed; idle in every other pytest run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_DEFAULTS = {
    "nbval_current_env": True,
    "nbval_cell_timeout": 300.0,
    "nbval_sanitize_with": str(Path(__file__).with_name("nbval_sanitize.cfg")),
}


def pytest_configure(config: Any) -> None:
    """Give nbval's kernels the environment the notebooks were built in, and its options our defaults."""
    if not getattr(config.option, "nbval", False):
        return
    from xailib.course.build import kernel_environment

    os.environ.update(kernel_environment())
    for name, value in _DEFAULTS.items():
        if name == "nbval_cell_timeout" or not getattr(config.option, name, None):
            setattr(config.option, name, value)
