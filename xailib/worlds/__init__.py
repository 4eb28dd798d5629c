"""Worlds whose mechanism we wrote down, and loaders for real data.

``loans``, ``houses``, ``messages``, ``birds``, ``fundus`` and ``toys`` carry a ``truth``; :mod:`xailib.worlds.real` loads
data no one planted.
"""

from __future__ import annotations

import importlib
from typing import Any

# eager, because importing a submodule of the same name elsewhere must not hide the function
from xailib.worlds.birds import birds
from xailib.worlds.fundus import fundus
from xailib.worlds.houses import houses
from xailib.worlds.loans import loans
from xailib.worlds.messages import messages

_SUBMODULES = {"real", "toys"}

__all__ = ["birds", "fundus", "houses", "loans", "messages", "real", "toys"]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"xailib.worlds.{name}")
    raise AttributeError(f"module 'xailib.worlds' has no attribute {name!r}")
