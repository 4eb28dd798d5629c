"""xailib: explanation methods written to be read, and worlds in which they can be graded.

``import xailib`` is cheap: submodules are imported on first use, so neither torch nor matplotlib loads before it is needed.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

__version__ = "0.1.0"

_FUNCTIONS = {"predictor": "xailib.models", "batched": "xailib.models"}
_SUBMODULES = {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}

__all__ = sorted(_SUBMODULES | set(_FUNCTIONS))


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"xailib.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'xailib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
