"""Worlds whose mechanism we wrote down, and loaders for real data.

``loans``, ``houses``, ``messages``, ``birds``, ``fundus``, ``agreement``, ``brackets``, ``copies``, ``facts`` and ``toys`` carry
a ``truth``; :mod:`xailib.worlds.real` loads data no one planted.
"""

from __future__ import annotations

import importlib
from typing import Any

# eager, because importing a submodule of the same name elsewhere must not hide the function
from xailib.worlds.agreement import agreement
from xailib.worlds.birds import birds
from xailib.worlds.brackets import brackets
from xailib.worlds.copies import copies
from xailib.worlds.facts import facts
from xailib.worlds.fundus import fundus
from xailib.worlds.houses import houses
from xailib.worlds.loans import loans
from xailib.worlds.messages import messages

_SUBMODULES = {"real", "toys"}

__all__ = ["agreement", "birds", "brackets", "copies", "facts", "fundus", "houses", "loans", "messages", "real", "toys"]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"xailib.worlds.{name}")
    raise AttributeError(f"module 'xailib.worlds' has no attribute {name!r}")
