"""CHiQPM: a classifier made of few features, each class of five of them, whose explanations form a tree and whose doubt is a set.

:mod:`~xailib.chiqpm.program` says what is to be chosen, :mod:`~xailib.chiqpm.exact` and :mod:`~xailib.chiqpm.scalable` choose it,
and :mod:`~xailib.chiqpm.instances` makes programs of any size to try them on. :mod:`~xailib.chiqpm.network` trains what the
choice is made from and what is made of the choice, :mod:`~xailib.chiqpm.hierarchy` explains its predictions,
:mod:`~xailib.chiqpm.conformal` turns its doubt into sets, and :mod:`~xailib.chiqpm.metrics` measures it.

Modules are imported on first use, so that the program needs no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

#: module -> its public names
_PUBLIC = {
    "program": [
        "Program",
        "Solution",
        "build_program",
        "class_correlations",
        "locality_bias",
        "penalties",
        "redundancy",
        "redundancy_threshold",
        "similar_pairs",
    ],
    "exact": [
        "solve_exactly",
    ],
    "scalable": [
        "solve",
    ],
    "instances": [
        "FAMILIES",
        "instance",
    ],
    "network": [
        "CHiQPM",
        "Description",
        "describe",
        "diversity_loss",
        "feature_maps",
        "fine_tune",
        "grounding_loss",
        "pooled_features",
        "train_dense",
        "with_binary_head",
    ],
    "hierarchy": [
        "ContrastivePage",
        "Tree",
        "common_prefixes",
        "contrastive_page",
        "level_sets",
        "ordered_features",
        "scaled_heat",
        "tree",
    ],
    "conformal": [
        "METHODS",
        "Calibrated",
        "aps_scores",
        "calibrate",
        "choose_level",
        "class_coverage",
        "covered_reference",
        "hierarchical_scores",
        "level_accuracy",
        "over_splits",
        "quantile",
        "reference_quantile",
        "reference_scores",
        "set_quality",
        "thr_scores",
    ],
    "metrics": [
        "accuracy_ratio",
        "active_means",
        "attribute_similarity",
        "class_independence",
        "contrastiveness",
        "correlation",
        "diversity",
        "feature_health",
        "part_falls",
        "part_overlap",
        "pivot_parts",
        "rectified_control",
        "set_coherence",
        "shared_pairs",
        "structural_grounding",
    ],
}
_FUNCTIONS = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"xailib.chiqpm.{_FUNCTIONS[name]}"), name)
    if name in _PUBLIC:
        return importlib.import_module(f"xailib.chiqpm.{name}")
    raise AttributeError(f"module 'xailib.chiqpm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_PUBLIC])
