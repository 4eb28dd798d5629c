"""Benchmarks of the glass boxes: reading, purifying and fitting, against interpret and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from interpret.glassbox import ExplainableBoostingClassifier
from interpret.utils import purify as their_purify
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from tests.peers.measure import row
from xailib import worlds
from xailib.glassbox import design_matrix, fit_additive, log_odds_table, purify, read_ebm, rule_list

SETTINGS: dict[str, Any] = {"n_jobs": 1, "outer_bags": 4, "random_state": 0, "learning_rate": 0.04, "max_bins": 128}


def rows() -> list[dict[str, Any]]:
    """One row per task; the floor is what no implementation can avoid."""
    loans = worlds.loans(30_000)
    X, y = loans.train
    ebm = ExplainableBoostingClassifier(interactions=3, max_interaction_bins=16, **SETTINGS).fit(X[:4000], y[:4000])
    model = read_ebm(ebm)
    return [_reading(model, ebm, X), *_purifying(), *_fitting(X[:4000], y[:4000], ebm)]


def _reading(model: Any, ebm: Any, X: Any) -> dict[str, Any]:
    """The floor: finding the bin of every number, and nothing else."""
    numbers = [
        (term.cuts[0], X.iloc[:, term.features[0]].to_numpy()) for term in model.terms if isinstance(term.cuts[0], np.ndarray)
    ]
    floor = lambda: [np.searchsorted(cuts, x, side="right") for cuts, x in numbers]  # noqa: E731
    theirs = lambda: ebm.decision_function(X)  # noqa: E731
    return row("score of 20,000 rows, 17 terms", lambda: model.score(X), "interpret decision_function", theirs, floor)


def _purifying() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(64, 32))
    weights = rng.poisson(3.0, (64, 32)) + 0.1
    return [
        row("purify a table of 64 x 32", lambda: purify(table, weights), "interpret purify",
            lambda: their_purify(table.copy(), weights), lambda: (weights * table).sum(axis=1))
    ]  # fmt: skip


def _fitting(X: Any, y: np.ndarray, ebm: Any) -> list[dict[str, Any]]:
    Z = design_matrix(X.drop(columns=["customer_number", "on_fraud_list"]))
    logistic = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, solver="newton-cholesky")
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=50, random_state=0)
    machine = ExplainableBoostingClassifier(interactions=0, **(SETTINGS | {"outer_bags": 1}))
    gram = Z.to_numpy()
    return [
        row("log-odds table, 4,000 rows", lambda: log_odds_table(Z, y), "scikit-learn (no intervals)",
            lambda: logistic.fit(Z, y), lambda: gram.T @ gram),
        row("rule list, 4,000 rows", lambda: rule_list(X, y), "scikit-learn tree, 8 leaves",
            lambda: tree.fit(design_matrix(X), y), lambda: design_matrix(X)),
        row("additive model, 4,000 rows, 60 rounds", lambda: fit_additive(X, y), "interpret, 1 bag, no pairs",
            lambda: machine.fit(X, y), lambda: design_matrix(X)),
    ]  # fmt: skip
