"""Argument checks of I2X that need no torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from xailib import _validation as check


def class_labels(labels: Any, n: int, name: str = "labels", what: str = "images") -> np.ndarray:
    """One class number from 0 for each of n images."""
    try:
        y = np.asarray(labels)
    except ValueError:
        y = np.empty((0, 0))
    if y.dtype.kind not in "iu" or y.shape != (n,) or (y < 0).any():
        raise ValueError(f"{name} must be one class number from 0 for each of the {n} {what}, not {check.shown(labels)}.")
    return y.astype(np.int64)


def class_pair(pair: Any, n_classes: int) -> tuple[int, int]:
    """Two different classes."""
    try:
        a = np.asarray(pair)
    except ValueError:
        a = np.empty(0)
    if a.dtype.kind not in "iu" or a.shape != (2,) or a[0] == a[1]:
        raise ValueError(f"pair must be two different class numbers, not {check.shown(pair)}.")
    if a.min() < 0 or a.max() >= n_classes:
        raise ValueError(f"pair must be two of the {n_classes} classes, 0 to {n_classes - 1}, not {check.shown(pair)}.")
    return int(a[0]), int(a[1])


def interval(t: Any, n_intervals: int, name: str = "t") -> int:
    """The number of a stretch of training between two checkpoints."""
    return int(check.number(t, name, low=0, high=n_intervals - 1, integer=True))


def changes(dP: Any, dY: Any) -> tuple[np.ndarray, np.ndarray]:
    """Changes of intensities (N, K) and of confidences (N, C), row by row of the same images."""
    P, Y = check.array(dP, "dP", ndim=2), check.array(dY, "dY", ndim=2)
    if len(P) != len(Y):
        raise ValueError(f"dP and dY must have one row per image each, but have {len(P)} and {len(Y)}.")
    return P, Y
