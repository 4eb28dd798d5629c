"""The linear algebra of concept vectors: directions that are never written out, and the three classifiers that find them.

A layer may have a hundred thousand numbers, a set has thirty images. A concept vector is a weighted sum of examples, so that
inner products between examples, and between gradients and examples, are all that is needed. They are computed once per layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from xailib._networks import blocks


@dataclass(frozen=True, eq=False)
class Layer:
    """Everything at one layer: activations of all examples, gradients of the class images, and their inner products."""

    name: str
    X: np.ndarray  # (examples, p)
    G: np.ndarray  # (class images, p)

    @cached_property
    def mean(self) -> np.ndarray:
        return self.X.mean(axis=0)

    @property
    def XX(self) -> np.ndarray:
        """(examples, examples) of centred activations: all that the classifiers with a name need."""
        return self._products[0]

    @property
    def GX(self) -> np.ndarray:
        """(class images, examples): directional derivatives along the examples."""
        return self._products[1]

    @cached_property
    def mean_square(self) -> float:
        """Of all examples, centred."""
        return float(self.XX.trace() / len(self.XX))

    @cached_property
    def _products(self) -> tuple[np.ndarray, np.ndarray]:
        """By blocks of columns, never a second copy of everything: in the network's precision, summed in double."""
        XX, GX = np.zeros((len(self.X), len(self.X))), np.zeros((len(self.G), len(self.X)))
        for c in blocks(self.X.shape[1], _COLUMNS):
            x = self.X[:, c] - self.mean[c]
            XX += x @ x.T
            GX += self.G[:, c] @ x.T
        return XX, GX


_COLUMNS = 4096


@dataclass(frozen=True, eq=False)
class InSpan:
    """A direction as a weighted sum of examples: v = sum_i weights_i x_i, of unit length."""

    rows: np.ndarray
    weights: np.ndarray
    norm: float
    intercept: float

    def along(self, layer: Layer) -> np.ndarray:
        return layer.GX[:, self.rows] @ self.weights

    def decide(self, layer: Layer, rows: np.ndarray) -> np.ndarray:
        return self.norm * layer.XX[np.ix_(rows, self.rows)] @ self.weights + self.intercept

    def explicit(self, layer: Layer) -> np.ndarray:
        return self.weights @ (layer.X[self.rows] - layer.mean)

    def origin(self, layer: Layer) -> np.ndarray:
        """Where the classifier counts from."""
        return layer.mean

    def coordinates(self, layer: Layer) -> np.ndarray:
        """The weights of all examples."""
        return np.bincount(self.rows, self.weights, minlength=len(layer.X))

    def squared(self, layer: Layer, total: np.ndarray) -> float:
        return float(total @ layer.XX @ total)


@dataclass(frozen=True, eq=False)
class Explicit:
    """A direction as p numbers, from an estimator of the caller."""

    vector: np.ndarray
    norm: float
    intercept: float

    def along(self, layer: Layer) -> np.ndarray:
        return layer.G @ self.vector

    def decide(self, layer: Layer, rows: np.ndarray) -> np.ndarray:
        return self.norm * layer.X[rows].astype(np.float64) @ self.vector + self.intercept

    def explicit(self, layer: Layer) -> np.ndarray:
        return self.vector

    def origin(self, layer: Layer) -> np.ndarray:
        return np.zeros_like(self.vector)

    def coordinates(self, layer: Layer) -> np.ndarray:
        return self.vector

    def squared(self, layer: Layer, total: np.ndarray) -> float:
        return float(total @ total)


Direction = InSpan | Explicit


@dataclass(frozen=True, eq=False)
class Run:
    """One CAV: its direction, what it says about the class images, and how well it separates."""

    direction: Direction
    derivatives: np.ndarray
    accuracy: float

    @property
    def summary(self) -> tuple[float, float, float, float]:
        """Sign count, magnitude, accuracy; and the sign count with zeros counted half, which a test can compare."""
        S = self.derivatives
        return float((S > 0).mean()), float(S.mean()), self.accuracy, float((1 + np.sign(S).mean()) / 2)

    @property
    def reversed_summary(self) -> tuple[float, float, float, float]:
        """The same with concept and counterpart exchanged: the CAV points the other way."""
        return replace(self, derivatives=-self.derivatives).summary


def one_run(space: Layer, learn: Learner, concept: np.ndarray, *others: np.ndarray) -> Run:
    """CAV of a set against one other set, or against the union of several."""
    own, rest = learn.split(concept), [learn.split(rows) for rows in others]
    sides = [own, (np.concatenate([train for train, _ in rest]), np.concatenate([test for _, test in rest]))]
    direction = learn.fit(space, sides)
    return Run(direction, direction.along(space), held_out_accuracy(space, direction, sides))


Split = tuple[np.ndarray, np.ndarray]  # rows to train on, rows held out


@dataclass(frozen=True, eq=False)
class Learner:
    """How CAVs are made: the classifier, its penalty, the share held out."""

    classifier: Any
    penalty: float
    test_share: float
    rng: np.random.Generator
    seed: int

    @property
    def name(self) -> str:
        if isinstance(self.classifier, str):
            return f"{self.classifier}, penalty {self.penalty:g}"
        return type(self.classifier).__name__

    def n_test(self, n: int) -> int:
        return min(n - 1, max(1, int(n * self.test_share))) if self.test_share else 0

    def split(self, rows: np.ndarray) -> Split:
        """Rows stand in random order already: the last ones are held out."""
        n_train = len(rows) - self.n_test(len(rows))
        return rows[:n_train], rows[n_train:]

    def fit(self, layer: Layer, sides: list[Split]) -> Direction:
        rows = np.concatenate([train for train, _ in sides])
        y = np.repeat([1.0, -1.0], [len(train) for train, _ in sides])
        if isinstance(self.classifier, str):
            return self._fit_in_span(layer, rows, y)
        return self._fit_estimator(layer, rows, y)

    def _fit_in_span(self, layer: Layer, rows: np.ndarray, y: np.ndarray) -> InSpan:
        K = layer.XX[np.ix_(rows, rows)]
        middle = K.mean(axis=0)
        centred = K - middle - middle[:, None] + middle.mean()
        scale = centred.trace() / len(rows)
        if scale <= 1e-20 + 1e-14 * layer.mean_square:
            raise ValueError(f"examples are all alike at {layer.name}, so nothing separates them: give other images or layers.")
        weights, bias = LOSSES[self.classifier](centred / scale, y, self.penalty)
        norm = np.sqrt(max(weights @ centred @ weights, 0.0)) / scale
        unit = weights / scale / norm if norm > 1e-12 / np.sqrt(scale) else np.zeros(len(rows))
        return InSpan(rows, unit, float(norm), float(bias - norm * middle @ unit))

    def _fit_estimator(self, layer: Layer, rows: np.ndarray, y: np.ndarray) -> Explicit:
        model = clone(self.classifier)
        if model.get_params().get("random_state", self) is None:
            model.set_params(random_state=self.seed)
        model.fit(layer.X[rows].astype(np.float64), (y > 0).astype(int))
        w = np.asarray(getattr(model, "coef_", None), dtype=float).ravel()
        if w.shape != layer.X.shape[1:]:
            raise ValueError(f"classifier {type(model).__name__} gives no coef_ with one weight per number: choose a linear one.")
        norm = float(np.linalg.norm(w))
        return Explicit(w / norm if norm else w, norm, float(np.ravel(getattr(model, "intercept_", 0.0))[0]))


def held_out_accuracy(layer: Layer, direction: Direction, sides: list[Split]) -> float:
    """Mean over both sides of the share of held-out examples that lie there."""
    if not len(sides[0][1]):
        return float("nan")
    level = _fair_level(layer, direction, sides)
    hits = [(direction.decide(layer, test) > level).mean() for _, test in sides]
    return float(hits[0] + 1 - hits[1]) / 2


def _fair_level(layer: Layer, direction: Direction, sides: list[Split]) -> float:
    """Zero for sides of one size; otherwise half-way between their means: the boundary of unequal sides nears the smaller."""
    trained = [train for train, _ in sides]
    if len(trained[0]) == len(trained[1]):
        return 0.0
    return float(np.mean([direction.decide(layer, train).mean() for train in trained]))


def mean_cosine(layer: Layer, directions: list[Direction]) -> float:
    """Over all pairs of unit vectors: (|sum|^2 - m) / (m^2 - m)."""
    m = len(directions)
    total = np.sum([d.coordinates(layer) for d in directions], axis=0)
    return (directions[0].squared(layer, total) - m) / (m * m - m) if m > 1 else float("nan")


# --- the three losses, in the span of the examples --------------------------------------------------------------------
# Each takes the centred Gram matrix (n, n) of examples of unit mean square and labels 1 and -1, and returns the weights of
# the examples and the bias.


def _ridge(K: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    ridge = len(y) * penalty * np.eye(len(y))
    return np.linalg.solve(K + ridge, y - y.mean()), float(y.mean())


def _logistic(K: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """In coordinates along the principal axes: a rotation changes neither the loss nor the penalty."""
    values, U = np.linalg.eigh(K)
    kept = values > 1e-10 * values[-1]
    root, U = np.sqrt(values[kept]), U[:, kept]
    model = LogisticRegression(C=1 / (len(y) * penalty), tol=1e-8, max_iter=10_000).fit(U * root, y)
    return U @ (model.coef_[0] / root), float(model.intercept_[0])


def _svm(K: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    model = SVC(kernel="precomputed", C=1 / (len(y) * penalty), tol=1e-6).fit(K, y)
    weights = np.zeros(len(y))
    weights[model.support_] = model.dual_coef_[0]
    return weights, float(model.intercept_[0])


LOSSES = {"ridge": _ridge, "logistic": _logistic, "svm": _svm}
