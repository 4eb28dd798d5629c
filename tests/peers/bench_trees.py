"""Tree Shapley values and partial dependence: ours, the peer and the floor, measured in turns, medians.

Ours runs on two threads of its own (``n_threads=2``; the loops are compiled and need neither OpenMP nor numba's thread pool, so
``OMP_NUM_THREADS=1`` does not bind them); a second row gives one thread, beside the same peer's time in the row above. shap's
loops know one thread only. Neither calls the model for its sums, so Shapley values have no floor; that of partial dependence is
predicting every row at every grid point.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_partial_dependence

from tests.peers.measure import row
from xailib.trees import partial_dependence, shapley

N_ROWS, N_FEATURES, N_EXPLAINED, N_BACKGROUND = 5_000, 20, 500, 100

Call = Callable[[], Any]


def rows() -> list[dict[str, Any]]:
    """One row per task and peer: seconds of ours, of the peer, and of the floor."""
    X = np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES))
    y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + X[:, 3]
    forest = RandomForestRegressor(100, random_state=0).fit(X, y)
    boosting = HistGradientBoostingRegressor(random_state=0).fit(X, y)
    classes = RandomForestClassifier(100, max_depth=8, random_state=0).fit(X, np.digitize(y, [-1.5, 0.0, 1.5]))
    table = []
    for name, model, repeats in (
        ("deep forest", forest, 2),
        ("boosting", boosting, 5),
        ("shallow forest, 4 classes", classes, 2),
    ):
        table += _shapley_rows(name, model, X, repeats)
    return table + _partial_dependence_rows("deep forest", forest, X) + _partial_dependence_rows("boosting", boosting, X)


def _shapley_rows(name: str, model: Any, X: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    explained, background = X[:N_EXPLAINED], X[-N_BACKGROUND:]
    table = []
    for estimand, against in (("marginal", background), ("path-dependent", None)):
        peer = _shap(model, explained, against)
        for n_threads, theirs in ((2, peer), (1, None)):
            ours = lambda against=against, n_threads=n_threads: shapley(model, explained, against, n_threads=n_threads)  # noqa: E731
            task = f"TreeSHAP {estimand}, {name}, {n_threads} thread{'s' if n_threads > 1 else ''}"
            table.append(row(task, ours, "shap", theirs, _nothing, repeats) | {"floor_s": None})
    one = lambda: shapley(model, X[:1], background, n_threads=2)  # noqa: E731
    peer = _shap(model, X[:1], background)
    return [*table, row(f"TreeSHAP marginal, {name}, one row", one, "shap", peer, _nothing, repeats) | {"floor_s": None}]


def _partial_dependence_rows(name: str, model: Any, X: np.ndarray) -> list[dict[str, Any]]:
    grid = np.linspace(-2, 2, 50)

    def theirs(method: str) -> Call:
        return lambda: sklearn_partial_dependence(model, X, [0], method=method, kind="average", custom_values={0: grid})

    def floor() -> None:
        batch = np.tile(X, (10, 1))
        for _ in range(len(grid) // 10):
            model.predict(batch)

    ours = lambda: partial_dependence(model, X, 0, grid=grid, n_threads=2)  # noqa: E731
    return [
        row(f"PDP, 50 points, 5,000 rows, {name}", ours, f"scikit-learn {method}", theirs(method), floor, 2)
        for method in ("brute", "recursion")
    ]


def _shap(model: Any, explained: np.ndarray, background: np.ndarray | None) -> Call:
    """shap's values, reading of the model included as in ours; its progress bar goes nowhere."""
    import shap

    mode = "tree_path_dependent" if background is None else "interventional"

    def call() -> np.ndarray:
        with contextlib.redirect_stderr(io.StringIO()):
            explainer = shap.TreeExplainer(model, background, feature_perturbation=mode)
            return explainer.shap_values(explained, check_additivity=False)

    return call


def _nothing() -> None:
    """No floor."""
