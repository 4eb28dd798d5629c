"""Tabular black boxes, fitted to a world in a second or two on first use: nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from xailib import _validation as check
from xailib import worlds
from xailib.worlds._world import World


def tabular(name: str, world: World | None = None) -> Pipeline:
    """Fit a tabular black box to the training rows of a world.

    Parameters
    ----------
    name : {"loans-boosting", "loans-forest", "loans-logistic", "houses-boosting", "houses-forest"}
    world : World, optional
        Its variants (another correlation, ``third_order``, another seed) are welcome; the default world if not given, and then
        the model is fitted once per process and shared: do not refit it.

    Returns
    -------
    Pipeline
        Takes the DataFrame of the world, all columns included (``customer_number`` too), categories as they are.

    Raises
    ------
    ValueError
        If the name is unknown, or the world is of another kind than the model.

    Notes
    -----
    One thread and fixed seeds: the same data give the same model. Introduced in chapter 2.

    Examples
    --------
    >>> tabular("loans-logistic")[-1]
    LogisticRegression(C=1000.0, max_iter=1000)
    """
    check.one_of(name, "name", TABULAR)
    if world is None:
        return _default(name)
    kind = name.partition("-")[0]
    if not getattr(world, "name", "").startswith(kind):
        raise ValueError(f"world must be a {kind} world for {name!r}, not {getattr(world, 'name', check.shown(world))}.")
    X, y = world.train
    with threadpool_limits(limits=1):
        return _BUILDERS[name](X).fit(X, y)


def card(name: str) -> str:
    """Model card in Markdown: what the model is, and held-out scores beside the best possible ones, measured now."""
    check.one_of(name, "name", TABULAR)
    kind, world = name.partition("-")[0], _default_world(name)
    scores = "\n".join(f"| {metric} | {model:.3f} | {best:.3f} |" for metric, (model, best) in held_out(name).items())
    estimator = " ".join(repr(_default(name)[-1]).split())
    return f"""# {name}

`{estimator}`

Fitted to the {world.n_train:,} training rows of the world `{kind}`, every column included.

| on {len(world.X) - world.n_train:,} held-out rows | model | the planted rule itself |
|---|---|---|
{scores}

Fitted by `xailib.zoo.tabular` on first use; nothing stored. For teaching only."""


def held_out(name: str) -> dict[str, tuple[float, float]]:
    """Held-out scores of a model and of the world's oracle, which no model beats but by luck: metric -> (model, oracle)."""
    check.one_of(name, "name", TABULAR)
    model, world = _default(name), _default_world(name)
    X, y = world.test
    oracle = world.truth.predict(X)
    if name.startswith("houses"):
        return {"R squared": (r2_score(y, model.predict(X)), r2_score(y, oracle))}
    p = model.predict_proba(X)[:, 1]
    return {
        "AUC": (roc_auc_score(y, p), roc_auc_score(y, oracle)),
        "accuracy": (accuracy_score(y, p > 0.5), accuracy_score(y, oracle > 0.5)),
    }


def _default_world(name: str) -> World:
    return worlds.houses() if name.startswith("houses") else worlds.loans()


@cache
def _default(name: str) -> Pipeline:
    return tabular(name, _default_world(name))


def _columns(X: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Categorical columns, and the others."""
    categorical = [column for column in X.columns if isinstance(X[column].dtype, pd.CategoricalDtype)]
    return categorical, [column for column in X.columns if column not in categorical]


def _levels(X: pd.DataFrame) -> list[list[str]]:
    """Levels of every categorical column, those without a row included."""
    return [list(X[column].cat.categories) for column in _columns(X)[0]]


def _trees(estimator: Any, X: pd.DataFrame) -> Pipeline:
    """Levels as whole numbers, then trees; categorical columns come first."""
    categorical, numeric = _columns(X)
    encode = (OrdinalEncoder(categories=_levels(X)), categorical)
    return make_pipeline(make_column_transformer(encode, ("passthrough", numeric), verbose_feature_names_out=False), estimator)


def _boosting(kind: Callable[..., Any], X: pd.DataFrame, **settings: float) -> Pipeline:
    categorical, _ = _columns(X)
    return _trees(kind(categorical_features=list(range(len(categorical))), random_state=0, **settings), X)


def _forest(kind: Callable[..., Any], X: pd.DataFrame, **settings: float) -> Pipeline:
    return _trees(kind(n_estimators=100, random_state=0, n_jobs=1, **settings), X)


def _logistic(X: pd.DataFrame) -> Pipeline:
    categorical, numeric = _columns(X)
    one_hot = (OneHotEncoder(categories=_levels(X), drop="first"), categorical)
    columns = make_column_transformer(one_hot, (StandardScaler(), numeric), verbose_feature_names_out=False)
    return make_pipeline(columns, LogisticRegression(C=1000.0, max_iter=1000))


_BUILDERS: dict[str, Callable[[pd.DataFrame], Pipeline]] = {
    "loans-boosting": partial(_boosting, HistGradientBoostingClassifier, max_iter=200, learning_rate=0.04, max_leaf_nodes=8),
    # leaves of two rows: with one, some held-out probabilities are exactly 0 and a single default ruins the log loss
    "loans-forest": partial(_forest, RandomForestClassifier, min_samples_leaf=2),
    "loans-logistic": _logistic,
    "houses-boosting": partial(_boosting, HistGradientBoostingRegressor, max_iter=250, learning_rate=0.1, max_leaf_nodes=10),
    "houses-forest": partial(_forest, RandomForestRegressor, max_features=0.5),
}

#: name -> function without arguments that returns the fitted pipeline of the default world, the same object every time
TABULAR: dict[str, Callable[[], Pipeline]] = {name: partial(_default, name) for name in _BUILDERS}
