"""Widgets: :class:`Playground` is the shell, and each chapter has one module of labs built on it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xailib.lab.playground import Playground, Prediction, Reading

_SHELL = {"Playground", "Prediction", "Reading", "slider", "choice", "switch", "tiles"}

__all__ = ["Playground", "Prediction", "Reading", "chapters", "choice", "slider", "switch", "tiles"]


def chapters() -> list[str]:
    """Names of the modules that hold labs: every module here but the shell."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "playground")


def __getattr__(name: str) -> Any:
    if name in _SHELL:
        return getattr(importlib.import_module("xailib.lab.playground"), name)
    if name in chapters():
        return importlib.import_module(f"xailib.lab.{name}")
    raise AttributeError(f"module 'xailib.lab' has no attribute {name!r}; labs exist for {', '.join(chapters())}")
