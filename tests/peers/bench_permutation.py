"""Permutation importance on 5,000 x 20: ours, scikit-learn and the floor, measured in turns, medians."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance as scikit_learn_importance

from tests.peers.measure import row
from xailib import predictor
from xailib.permutation import permutation_importance, permutation_importances, scikit_learn_permutations

TURNS, REPEATS = 5, 5


def rows() -> list[dict[str, Any]]:
    """One row per task: seconds of ours, of scikit-learn, and of the floor (all distinct rows in one model call)."""
    X, y = make_classification(5000, 20, n_informative=8, random_state=0)
    models = {
        "random forest": RandomForestClassifier(100, random_state=0).fit(X, y),
        "histogram gradient boosting": HistGradientBoostingClassifier(random_state=0).fit(X, y),
    }
    return [row for name, model in models.items() for row in _model_rows(name, model, X, y)]


def _model_rows(name: str, model: Any, X: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    orders = scikit_learn_permutations(len(X), REPEATS, random_state=0)
    predict, copies = predictor(model), _copies(X, orders)
    same_work = {"n_repeats": REPEATS, "random_state": 0}
    one = row(
        f"permutation importance, {name}",
        lambda: permutation_importance(predict, X, y, permutations=orders),
        "scikit-learn",
        lambda: scikit_learn_importance(model, X, y, scoring="neg_log_loss", **same_work),
        lambda: predict(copies),
        TURNS,
    )
    three = row(
        f"permutation importance, 3 metrics, {name}",
        lambda: permutation_importances(predict, X, y, metrics=["log_loss", "accuracy", "roc_auc"], permutations=orders),
        "scikit-learn",
        lambda: scikit_learn_importance(model, X, y, scoring=["neg_log_loss", "accuracy", "roc_auc"], **same_work),
        lambda: predict(copies),
        TURNS,
    )
    return [one, three]


def _copies(X: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """The untouched rows and all shuffled copies, one below the other, without those in which nothing changed."""
    parts = [X]
    for j in range(X.shape[1]):
        for order in orders:
            copy = X.copy()
            copy[:, j] = X[order, j]
            parts.append(copy[copy[:, j] != X[:, j]])
    return np.concatenate(parts)
