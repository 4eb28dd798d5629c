"""Counterfactuals of denied loans: our search and DiCE's three methods, time in turns, then every score of quality.

Four counterfactuals for each of five applicants; five features may change. DiCE loops over applicants, so our search is timed
both ways: one applicant at a time, and all of them side by side. kdtree finds none as soon as a continuous feature is held.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pandas as pd

from tests.peers.dice import FREE, METHODS, Dice
from tests.peers.measure import row
from xailib import counterfactuals as cf
from xailib import predictor, worlds, zoo
from xailib.models import Predict

N_APPLICANTS, N_EACH = 5, 4
MODELS = ("loans-boosting", "loans-forest")


def rows() -> list[dict[str, Any]]:
    """One row per model, way of asking and method; prints the table of quality as it goes."""
    table = []
    for name in MODELS:
        table += _of_model(name)
    return table + _known_optima()


def _of_model(name: str) -> list[dict[str, Any]]:
    model, world = zoo.load(name), worlds.loans()
    predict, (X, y), held_out = predictor(model), world.train, world.test[0]
    denied = held_out[predict(held_out) > 0.5][:N_APPLICANTS]
    fixed = [c for c in X if c not in FREE]
    how: dict[str, Any] = {"immutable": fixed, "n_counterfactuals": N_EACH}
    ours = cf.search_many(predict, denied, X, **how)
    n_rows = sum(r.details["n_evaluations"] for r in ours)
    calls = {
        "side by side": lambda: cf.search_many(predict, denied, X, **how),
        "one by one": lambda: [cf.search(predict, denied.iloc[[i]], X, **how) for i in range(len(denied))],
    }
    dice = {m: Dice(model, X, y, m) for m in METHODS} if importlib.util.find_spec("dice_ml") else {}
    _print_quality(name, predict, X, denied, ours, dice)
    floor = lambda: predict(pd.concat([X] * (1 + n_rows // len(X)))[:n_rows])  # noqa: E731
    return [
        row(f"{N_EACH} counterfactuals of {N_APPLICANTS} applicants, {way}, {name}", call, f"DiCE {m}",
            (lambda m=m: dice[m].explain(denied, N_EACH, FREE)) if dice else None, floor, 1 if m == "genetic" else 3)
        for m in METHODS for way, call in calls.items()
    ]  # fmt: skip


def _print_quality(
    name: str, predict: Predict, X: pd.DataFrame, denied: pd.DataFrame, ours: list[cf.Counterfactuals], dice: dict[str, Dice]
) -> None:
    found = {"xailib": [r.rows for r in ours]} | {f"DiCE {m}": d.explain(denied, N_EACH, FREE) for m, d in dice.items()}
    scores = {
        method: pd.DataFrame([cf.quality(predict, denied.iloc[[i]], tables[i], X) for i in range(len(tables))]).mean()
        for method, tables in found.items()
    }
    print(f"\n{name}, mean over {len(denied)} applicants\n{pd.DataFrame(scores).T.round(3).to_string()}\n", flush=True)


def _known_optima() -> list[dict[str, Any]]:
    """How far from the optimum of a line in ten features, and what the exact answer costs."""
    r = np.random.default_rng(0)
    X, w = r.normal(size=(500, 10)), r.normal(size=10)
    scale = cf.mad_scale(X)["scale"].to_numpy()
    predict = lambda Z: Z @ w  # noqa: E731
    ours = cf.search_many(predict, X[:20], X, threshold=0.0)
    inside = {"lower": X.min(axis=0), "upper": X.max(axis=0)}  # the search does not leave the range of the data
    exact = [cf.nearest_linear(w, 0.0, x, scale=scale, **inside).distances[0] for x in X[:20]]
    ratios = np.array([found.distances[0] / best for found, best in zip(ours, exact, strict=True)])
    print(f"\ndistance over the optimum of a line, 20 instances: mean {ratios.mean():.4f}, largest {ratios.max():.4f}\n")
    closed = lambda: [cf.nearest_linear(w, 0.0, x, scale=scale) for x in X[:20]]  # noqa: E731
    floor = lambda: predict(X)  # noqa: E731
    return [
        row("20 instances of a line", lambda: cf.search_many(predict, X[:20], X, threshold=0.0), "closed form", closed, floor, 3)
    ]
