"""Checks of what the modules of CHiQPM share: assignments, activations, labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from xailib import _validation as check


def assignment(W: Any) -> np.ndarray:
    """W as (n_classes, n_f) bool: as many features for every class, and no two classes with the same ones."""
    values = check.array(W, "W", ndim=2)
    if not np.isin(values, (0, 1)).all():
        raise ValueError("W must hold zeros and ones (or False and True): which features belong to which class.")
    own = values.astype(bool)
    counts = own.sum(axis=1)
    if counts.min() < counts.max() or counts[0] == 0:
        span = f"{counts.min()} to {counts.max()}" if counts.max() else "none"
        raise ValueError(f"W must give every class the same number of features, at least one, but it gives {span}.")
    _, first, copies = np.unique(own, axis=0, return_index=True, return_inverse=True)
    twins = np.flatnonzero(first[copies.ravel()] != np.arange(len(own)))
    if len(twins):
        one, other = first[copies.ravel()][twins[0]], twins[0]
        raise ValueError(f"W gives classes {one} and {other} the same features, so nothing could tell them apart.")
    return own


def activations(features: Any, n_features: int | None = None, name: str = "features") -> np.ndarray:
    """Normalised and rectified features (n, n_f), none of them negative."""
    values = check.array(features, name, ndim=2)
    if n_features is not None and values.shape[1] != n_features:
        raise ValueError(f"{name} must have {n_features} columns, one per column of W, but the shape is {values.shape}.")
    if values.min() < 0:
        raise ValueError(f"{name} must be rectified, but the smallest value is {values.min():.3g}: give max({name}, 0).")
    return values


def classes(y: Any, n: int, name: str = "y", n_classes: int | None = None) -> np.ndarray:
    """Class numbers (n,), from 0."""
    values = np.asarray(y)
    if values.dtype.kind not in "iu" or values.shape != (n,) or (values < 0).any():
        raise ValueError(f"{name} must be one class number from 0 for each of the {n} rows, not {check.shown(y)}.")
    if n_classes is not None and values.max() >= n_classes:
        raise ValueError(f"{name} goes up to {values.max()}, but there are {n_classes} classes, 0 to {n_classes - 1}.")
    return values.astype(np.int64)


def similarity_matrix(similarity: Any, n_classes: int | None = None, name: str = "similarity") -> np.ndarray:
    """Symmetric (n_classes, n_classes) numbers; the diagonal is not used."""
    values = check.array(similarity, name, ndim=2)
    if values.shape[0] != values.shape[1] or not np.allclose(values, values.T):
        raise ValueError(f"{name} must be a symmetric square matrix, one row and column per class; its shape is {values.shape}.")
    if n_classes is not None and len(values) != n_classes:
        raise ValueError(f"{name} must have {n_classes} rows, one per class, not {len(values)}.")
    return values
