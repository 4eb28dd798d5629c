"""I2X: from where a network looks to why it looks there, told as a story of its training.

:mod:`~xailib.i2x.training` keeps checkpoints, and fine-tunes in stages. :mod:`~xailib.i2x.prototypes` finds prototypes in the
final model's features. :mod:`~xailib.i2x.tracing` follows attention to prototypes, and confidence, over the checkpoints.
:mod:`~xailib.i2x.explanation` relates the changes of both: groups, ridge, the structured map. :mod:`~xailib.i2x.curation` finds
uncertain prototypes and trains without them, beside controls, and :mod:`~xailib.i2x.checks` asks whether any of it is so: how
many prototypes, is the map linear, is it causal?

Modules are imported on first use, so that ridge and groups need no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

#: module -> its public names
_PUBLIC = {
    "training": ["Checkpoints", "collect", "fine_tune", "train"],
    "prototypes": ["Prototypes", "assign", "exemplars", "find_prototypes"],
    "tracing": ["SOURCES", "Trace", "attention_maps", "intensities", "trace"],
    "explanation": [
        "Effects",
        "Groups",
        "explain",
        "find_groups",
        "group_effects",
        "ridge",
        "separation",
        "shared_prototypes",
    ],
    "curation": [
        "ARMS",
        "Curation",
        "confusions",
        "curate",
        "matched_removal",
        "most_confused",
        "protocol",
        "random_removal",
        "uncertain_prototypes",
    ],
    "checks": ["Agreement", "Occlusion", "causal_check", "choose_n_prototypes", "linearity", "occlude"],
}
_FUNCTIONS = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"xailib.i2x.{_FUNCTIONS[name]}"), name)
    if name in _PUBLIC:
        return importlib.import_module(f"xailib.i2x.{name}")
    raise AttributeError(f"module 'xailib.i2x' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_PUBLIC])
