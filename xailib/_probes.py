"""Parts of probing: checked rows and labels, splits by group, fitting, code blocks, directions. Fitting is scikit-learn's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from xailib import _validation as check

#: share of the groups that tests a probe
TEST_SHARE = 1 / 3

_PROBES = ("linear", "mlp")


# --- rows, labels, splits ---------------------------------------------------------------------------------------------


def values_of(A: Any, name: str, *, min_rows: int) -> np.ndarray:
    values = check.array(A.detach().cpu() if isinstance(A, Tensor) else A, name, ndim=2)
    if len(values) < min_rows:
        raise ValueError(f"{name} must have at least {min_rows} rows, but has {len(values)}.")
    return values


def labels_of(y: Any, name: str = "y") -> np.ndarray:
    """Labels as an array (n,) of whole numbers or texts, of at least two kinds."""
    labels = one_dimensional(y, name)
    if len(np.unique(labels)) < 2:
        raise ValueError(f"{name} has one class only ({labels[0].item()!r}): a probe needs at least two to tell apart.")
    return labels


def one_dimensional(values: Any, name: str) -> np.ndarray:
    a = np.asarray(values)
    if a.dtype == object and a.ndim == 1 and all(isinstance(one, str) for one in a):
        a = a.astype(str)
    if a.ndim != 1 or a.dtype.kind not in "iubU":
        raise TypeError(f"{name} must be one whole number or text per row, not {check.shown(values)}.")
    if not len(a):
        raise ValueError(f"{name} is empty: give one per row.")
    return a


def codes_of(values: Any, name: str, n: int) -> np.ndarray:
    """Numbers 0, 1, ... for the different entries."""
    a = one_dimensional(values, name)
    if len(a) != n:
        raise ValueError(f"{name} must have {n} entries, one per row, but has {len(a)}.")
    return np.unique(a, return_inverse=True)[1]


def groups_of(groups: Any, n: int) -> np.ndarray:
    codes = np.arange(n) if groups is None else codes_of(groups, "groups", n)
    if codes.max() < 2:
        raise ValueError(f"groups must be three or more, so that some train and some test; there are {codes.max() + 1}.")
    return codes


def rows_of(A: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    values, labels = values_of(A, "A", min_rows=3), labels_of(y)
    same_length(values, labels)
    return values, labels


def same_length(values: np.ndarray, labels: np.ndarray) -> None:
    if len(values) != len(labels):
        raise ValueError(f"A and y must have one entry per row each, but A has {len(values)} and y has {len(labels)}.")


def check_splits(n_splits: Any, test_share: Any, *, low: int) -> None:
    check.number(n_splits, "n_splits", low=low, integer=True)
    check.number(test_share, "test_share", low=0, high=1, open_low=True, open_high=True)


def splits(
    groups: np.ndarray, n_splits: int, test_share: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers of training and test part; whole groups, at least one on either side."""
    n_groups = groups.max() + 1
    n_test = int(np.clip(round(test_share * n_groups), 1, n_groups - 1))
    for _ in range(n_splits):
        tests = np.isin(groups, rng.permutation(n_groups)[:n_test])
        yield np.flatnonzero(~tests), np.flatnonzero(tests)


def shuffled(labels: np.ndarray, groups: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The labels and ``n`` shuffles of them among the groups, as class numbers (1 + n, rows)."""
    codes = np.unique(labels, return_inverse=True)[1]
    first = np.unique(groups, return_index=True)[1]
    of_group = codes[first]
    if (of_group[groups] != codes).any():
        odd = labels[groups == groups[(of_group[groups] != codes).argmax()]]
        raise ValueError(
            f"y must be the same for all rows of a group, but one holds {check.listed(np.unique(odd))}: one row each."
        )
    orders = [of_group, *(rng.permutation(of_group) for _ in range(n))]
    return np.array(orders)[:, groups]


# --- fitting ----------------------------------------------------------------------------------------------------------


def linear(penalty: float = 1.0) -> Pipeline:
    """Logistic regression on standardised values."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, max_iter=1000))


def mlp(hidden: int = 64, penalty: float = 1.0, steps: int = 50) -> Pipeline:
    """One hidden layer on standardised values."""
    return make_pipeline(StandardScaler(), MLPClassifier((hidden,), solver="lbfgs", alpha=penalty, max_iter=steps))


def probe_of(probe: Any, also: Sequence[str] = ()) -> Any:
    """A classifier to copy."""
    if isinstance(probe, str | type) or not (hasattr(probe, "fit") and hasattr(probe, "get_params")):
        if not isinstance(probe, str) or probe not in _PROBES:
            kinds = ", ".join(map(repr, (*also, *_PROBES)))
            raise ValueError(f"probe must be one of {kinds} or a scikit-learn classifier, not {check.shown(probe)}.")
        return linear() if probe == "linear" else mlp()
    return probe


def name_of(probe: Any) -> str:
    last = probe[-1] if isinstance(probe, Pipeline) else probe
    if isinstance(last, MLPClassifier):
        return f"MLP probe, {last.hidden_layer_sizes[0]} units"
    return "linear probe" if isinstance(last, LogisticRegression) else type(last).__name__


def fit(probe: Any, A: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """A fitted copy; with a single class, the classifier that always says it."""
    if (y == y[0]).all():
        return DummyClassifier(strategy="most_frequent").fit(A, y)
    one = clone(probe)
    free = [name for name, value in one.get_params().items() if name.split("__")[-1] == "random_state" and value is None]
    one.set_params(**dict.fromkeys(free, seed))
    with warnings.catch_warnings():  # the number of steps is part of an MLP probe's capacity: it may stop before it converges
        warnings.simplefilter("ignore", ConvergenceWarning)
        return one.fit(A, y)


@dataclass(frozen=True)
class Split:
    """One split: how a probe does on any labels."""

    A: np.ndarray
    train: np.ndarray
    test: np.ndarray
    probe: Any
    seed: int

    def accuracy(self, y: np.ndarray) -> float:
        fitted = fit(self.probe, self.A[self.train], y[self.train], self.seed)
        return float((fitted.predict(self.A[self.test]) == y[self.test]).mean())

    def majority(self, y: np.ndarray) -> float:
        kinds, counts = np.unique(y[self.train], return_counts=True)
        return float((y[self.test] == kinds[counts.argmax()]).mean())


def accuracies(A: np.ndarray, Y: np.ndarray, train: np.ndarray, test: np.ndarray, probe: Any, seed: int) -> np.ndarray:
    """Held-out accuracy for each row of labels, (labels,)."""
    if isinstance(probe, str):
        return ridge_accuracies(A, Y, train, test)
    one = Split(A, train, test, probe, seed)
    return np.array([one.accuracy(y) for y in Y])


def ridge_accuracies(A: np.ndarray, Y: np.ndarray, train: np.ndarray, test: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Ridge regression on one-hot labels, all rows of labels at once: the values are inverted only once."""
    scaler = StandardScaler().fit(A[train])
    Z, Z_test = scaler.transform(A[train]), scaler.transform(A[test])
    K = int(Y.max()) + 1
    hot = np.eye(K)[Y[:, train]].transpose(1, 0, 2).reshape(len(train), -1)  # (rows, labels x classes)
    mean = hot.mean(axis=0)
    W = np.linalg.solve(Z.T @ Z + penalty * np.eye(Z.shape[1]), Z.T @ (hot - mean))
    scores = (Z_test @ W + mean).reshape(len(test), len(Y), K)
    return (scores.argmax(axis=2) == Y[:, test].T).mean(axis=0)


def coded(
    A: np.ndarray, y: np.ndarray, groups: np.ndarray, K: int, probe: Any, shares: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bits of each block for one order of the groups: by the probe, by frequencies alone; and the blocks' rows."""
    place = rng.permutation(groups.max() + 1)[groups]
    order, last = np.argsort(place, kind="stable"), np.unique(np.ceil(shares * (groups.max() + 1) - 1e-9).astype(int))
    stops = np.searchsorted(np.sort(place), last)
    starts, seed = np.append(0, stops[:-1]), int(rng.integers(2**31))
    sent, frequency = [], []
    for start, stop in zip(starts, stops, strict=True):
        seen, now = order[:start], order[start:stop]
        p = np.full((len(now), K), 1 / K)
        if start:
            fitted = fit(probe, A[seen], y[seen], seed)
            p = np.zeros((len(now), K))
            p[:, fitted.classes_] = fitted.predict_proba(A[now])
        sent.append(bits_of(p, y[now], start))
        counts = np.bincount(y[seen], minlength=K) / max(start, 1)
        frequency.append(bits_of(np.tile(counts if start else np.full(K, 1 / K), (len(now), 1)), y[now], start))
    return np.array(sent), np.array(frequency), stops - starts


def bits_of(p: np.ndarray, y: np.ndarray, t: int) -> float:
    """Bits for labels under probabilities (n, K) from t rows, mixed with one row's worth of uniform ones."""
    mixed = (t * p[np.arange(len(y)), y] + 1 / p.shape[1]) / (t + 1)
    return float(-np.log2(mixed).sum())


# --- directions -------------------------------------------------------------------------------------------------------


def between_means(A: np.ndarray, y: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of the class means' differences within what is held fixed, averaged, (k, d)."""
    means = np.mean([class_means(A[held == kind], y[held == kind], np.unique(y)) for kind in range(held.max() + 1)], axis=0)
    _, sizes, V = np.linalg.svd(means, full_matrices=False)
    kept = sizes > 1e-8 * max(np.abs(A - A.mean(axis=0)).max(), 1e-300)
    if not kept.any():
        raise ValueError("all classes of y have the same mean in A: there is no direction to take out.")
    return V[kept]


def class_means(A: np.ndarray, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Class means, counted from the middle of them, (classes, d)."""
    missing = classes[~np.isin(classes, y)]
    if len(missing):
        raise ValueError(f"within has a class without any {missing[0].item()!r} of y: within it there is nothing to compare.")
    means = np.array([A[y == label].mean(axis=0) for label in classes])
    return means - means.mean(axis=0)


def nullspaces(A: np.ndarray, y: np.ndarray, max_directions: int, rng: np.random.Generator) -> np.ndarray:
    """Normals of linear probes, each fitted to what the ones before left over, until held-out rows are guessed."""
    ((train, test),) = splits(np.arange(len(y)), 1, TEST_SHARE, rng)
    V, mean = np.empty((0, A.shape[1])), A[train].mean(axis=0)
    while len(V) < max_directions:
        left = A - (A - mean) @ V.T @ V
        one = Split(left, train, test, linear(), 0)
        fitted = fit(one.probe, left[train], y[train], 0)
        guess, n = one.majority(y), len(test)
        accuracy = float((fitted.predict(left[test]) == y[test]).mean())
        if accuracy <= guess + math.sqrt(guess * (1 - guess) / n) or isinstance(fitted, DummyClassifier):
            break
        V = orthonormal(V, fitted[-1].coef_ / np.where(fitted[0].scale_ > 0, fitted[0].scale_, 1))[:max_directions]
    if not len(V):
        raise ValueError("no linear probe reads y from A better than the most frequent label: there is nothing to take out.")
    return V


def orthonormal(V: np.ndarray, new: np.ndarray) -> np.ndarray:
    """An orthonormal basis: V, then what is new in further rows."""
    for v in new:
        v = v - (v @ V.T) @ V
        v = v - (v @ V.T) @ V  # twice: once leaves rounding behind
        if np.linalg.norm(v) > 1e-8 * float(np.linalg.norm(new)):
            V = np.vstack([V, v / np.linalg.norm(v)])
    return V


def random_directions(A: np.ndarray, k: int, n: int, kind: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Orthonormal random directions (k, d), n times: any, or spread like the values."""
    d = A.shape[1]
    if kind == "isotropic":
        return [np.linalg.qr(rng.normal(size=(d, k)))[0].T for _ in range(n)]
    centred = A - A.mean(axis=0)
    return [orthonormal(np.empty((0, d)), rng.normal(size=(k, len(A))) @ centred) for _ in range(n)]
