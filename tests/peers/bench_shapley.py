"""Shapley values: seconds against shap, captum and the floor; then error per evaluation against shap, shapiq and captum."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import shap
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from tests.peers.measure import row
from xailib import predictor, shapley

TURNS = 5
BUDGETS = (100, 200, 400, 800, 1600)
N_FEATURES, N_INSTANCES, N_SEEDS = 12, 5, 8


def data(n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Twelve features, two pairs of them correlated; main effects, products, kinks and an interaction of three."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, N_FEATURES))
    X[:, 1], X[:, 4] = 0.6 * X[:, 0] + 0.8 * X[:, 1], 0.6 * X[:, 3] + 0.8 * X[:, 4]
    y = 2 * X[:, 0] - X[:, 1] + X[:, 2] * X[:, 3] + np.sin(2 * X[:, 4]) * X[:, 5] + np.maximum(X[:, 6], X[:, 7])
    return X, y + 0.5 * X[:, 8] ** 2 + (X[:, 9] > 0) * X[:, 10] * X[:, 0] + 0.1 * rng.normal(size=n)


def models() -> dict[str, Any]:
    """Two families, fitted."""
    X, y = data()
    return {
        "random forest": RandomForestRegressor(100, random_state=0).fit(X, y),
        "histogram gradient boosting": HistGradientBoostingRegressor(random_state=0).fit(X, y),
    }


# seconds --------------------------------------------------------------------------------------------------------------


def rows() -> list[dict[str, Any]]:
    """Seconds of ours, of the peer, and of the floor: our model rows in one call."""
    warnings.filterwarnings("ignore", module="shap")
    return [row for name, model in models().items() for row in _model_rows(name, predictor(model))]


def _model_rows(name: str, f: Any) -> list[dict[str, Any]]:
    X = data()[0]
    one, many, Z = X[1000:1001], X[1000:1020], X[:100]
    ten = lambda A: f(np.column_stack([A, np.zeros((len(A), 2))]))  # noqa: E731
    masker, kernel = shap.maskers.Independent(Z[:, :10], max_samples=1000), {"l1_reg": False, "silent": True}
    tasks: dict[str, tuple[Callable[[Any], Any], Any, str, Callable[[], Any]]] = {
        "kernel, 1,000 coalitions": (
            lambda g: shapley.kernel(g, one, Z, n_coalitions=1000),
            f,
            "shap KernelExplainer",
            lambda: shap.KernelExplainer(f, Z).shap_values(one, nsamples=1000, **kernel),
        ),
        "kernel, 20 instances, 200 coalitions": (
            lambda g: shapley.kernel(g, many, Z[:50], n_coalitions=200),
            f,
            "shap KernelExplainer",
            lambda: shap.KernelExplainer(f, Z[:50]).shap_values(many, nsamples=200, **kernel),
        ),
        "permutation, 100 orders": (
            lambda g: shapley.permutation(g, one, Z, n_permutations=100),
            f,
            "shap PermutationExplainer",
            lambda: shap.PermutationExplainer(f, Z, seed=0)(one, max_evals=100 * (N_FEATURES + 1), silent=True),
        ),
        "exact, 10 features": (
            lambda g: shapley.exact(g, one[:, :10], Z[:, :10]),
            ten,
            "shap ExactExplainer",
            lambda: shap.ExactExplainer(ten, masker)(one[:, :10], silent=True),
        ),
        "exact interactions, 10 features": (
            lambda g: shapley.interactions(g, one[:, :10], Z[:, :10]),
            ten,
            "shap ExactExplainer",
            lambda: shap.ExactExplainer(ten, masker)(one[:, :10], interactions=True, silent=True),
        ),
        "kernel, single baseline, 200 coalitions": (
            lambda g: shapley.kernel(g, one, Z[:1], n_coalitions=200),
            f,
            "captum KernelShap, 200 per call",
            lambda: _captum(lambda z: f(np.where(z, one, Z[:1])), 200, 0),
        ),
    }
    return [
        row(f"Shapley {task}, {name}", _bound(ours, g), peer, theirs, _floor(ours, g), TURNS)
        for task, (ours, g, peer, theirs) in tasks.items()
    ]


def _bound(ours: Callable[[Any], Any], f: Any) -> Callable[[], Any]:
    return lambda: ours(f)


def _floor(ours: Callable[[Any], Any], f: Any) -> Callable[[], Any]:
    """All rows that ours asks for, in one call."""
    asked = []

    def listening(X: Any) -> Any:
        asked.append(np.array(X))
        return f(X)

    ours(listening)
    every = np.concatenate(asked)
    return lambda: f(every)


# error per evaluation -------------------------------------------------------------------------------------------------

Worth = Callable[[np.ndarray], np.ndarray]


def _ours(worth: Worth, budget: int, seed: int) -> np.ndarray:
    result = shapley.kernel(lambda X: worth(X > 0.5), np.ones((1, N_FEATURES)), np.zeros((1, N_FEATURES)),
                            n_coalitions=budget, random_state=seed)  # fmt: skip
    return result.values[0]


def _shap(worth: Worth, budget: int, seed: int) -> np.ndarray:
    """``l1_reg=False``: its default selects ten features and is wrong for more."""
    np.random.seed(seed)  # noqa: NPY002 - it draws from the global generator
    explainer = shap.KernelExplainer(lambda X: worth(X > 0.5), np.zeros((1, N_FEATURES)))
    return explainer.shap_values(np.ones((1, N_FEATURES)), nsamples=budget, l1_reg=False, silent=True)[0]


def _shapiq(worth: Worth, budget: int, seed: int) -> np.ndarray:
    """Its budget counts the empty and the full coalition."""
    import shapiq

    approximator = shapiq.KernelSHAP(N_FEATURES, random_state=seed)
    values = approximator.approximate(budget + 2, lambda masks: worth(masks.astype(bool)))
    return np.array([values[(j,)] for j in range(N_FEATURES)])


def _captum(worth: Worth, budget: int, seed: int) -> np.ndarray:
    import torch
    from captum.attr import KernelShap

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it draws from the global generators
    explainer = KernelShap(lambda X: torch.as_tensor(worth(X.numpy() > 0.5)))
    return explainer.attribute(torch.ones(1, N_FEATURES), n_samples=budget, perturbations_per_eval=budget)[0].numpy()


METHODS = {"ours": _ours, "shap": _shap, "shapiq": _shapiq, "captum": _captum}


def games(n_instances: int = N_INSTANCES, n_background: int = 50) -> dict[str, list[np.ndarray]]:
    """For each family and instance the worth of all 4,096 coalitions: each method then only looks them up."""
    X, masks = data()[0], shapley._all_coalitions(N_FEATURES)
    value = shapley.Marginal(X[:n_background])
    instances = X[1000 : 1000 + n_instances]
    worths: dict[str, list[np.ndarray]] = {}
    for name, model in models().items():
        for i in range(n_instances):
            parts = [value.rows(instances, np.full(len(m), i), m) for m in np.array_split(masks, 8)]
            outputs = np.concatenate([model.predict(part) for part in parts])
            worths.setdefault(name, []).append(outputs.reshape(-1, n_background).mean(axis=1))
    return worths


def accuracy(budgets: Any = BUDGETS, n_seeds: int = N_SEEDS, n_instances: int = N_INSTANCES) -> pd.DataFrame:
    """Root mean squared error over that of no explanation; one row per family and method, one column per budget."""
    logging.getLogger("shap").setLevel(logging.ERROR)
    code = 2 ** np.arange(N_FEATURES)[::-1]
    table = {}
    for family, worths in games(n_instances).items():
        truths = [shapley.of_game(lambda S, v=v: v[S @ code], N_FEATURES).values for v in worths]
        for method, run in METHODS.items():
            try:
                table[family, method] = [_error(run, worths, truths, code, budget, n_seeds) for budget in budgets]
            except ImportError:
                continue
    return pd.DataFrame(table, index=pd.Index(budgets, name="coalitions")).T.rename_axis(["family", "method"])


def _error(run: Any, worths: Any, truths: Any, code: np.ndarray, budget: int, n_seeds: int) -> float:
    misses = [
        np.sum((run(lambda S, v=v: v[S @ code], budget, seed) - truth) ** 2) / np.sum(truth**2)
        for v, truth in zip(worths, truths, strict=True)
        for seed in range(n_seeds)
    ]
    return float(np.sqrt(np.mean(misses)))


def advantage(table: pd.DataFrame, peer: str) -> float:
    """The peer's error over ours, geometric mean over budgets and families."""
    ratios = table.xs(peer, level="method") / table.xs("ours", level="method")
    return float(np.exp(np.log(ratios.to_numpy()).mean()))


def report() -> None:
    """Print the error of each method at equal numbers of evaluations, and our advantage."""
    table = accuracy()
    print(f"\nKernelSHAP: relative error at equal numbers of coalitions ({N_INSTANCES} instances x {N_SEEDS} seeds)")
    print(table.to_string(float_format="{:.4f}".format))
    for peer in METHODS:
        if peer != "ours" and peer in table.index.get_level_values("method"):
            print(f"{peer}'s error over ours, geometric mean: {advantage(table, peer):.2f}")
