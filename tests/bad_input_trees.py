"""What :mod:`xailib.trees` must refuse, in the manner of :mod:`tests.bad_input_cases`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeRegressor

from tests.bad_input_cases import (
    ARRAY,
    LONG,
    NOTHING,
    PAIR,
    TABLE,
    TEXT,
    VALUES,
    Bad,
    Case,
    choice,
    feature,
    grid,
    table,
    whole,
)
from xailib import trees


@cache
def boosting() -> Pipeline:
    """Takes no missing values; levels are encoded first."""
    encode = make_column_transformer((OrdinalEncoder(), ["kind"]), remainder="passthrough")
    return make_pipeline(encode, GradientBoostingRegressor(n_estimators=5, random_state=0)).fit(TABLE, VALUES)


@cache
def stump() -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_depth=1).fit(ARRAY, VALUES)


@cache
def one_hot() -> Pipeline:
    encode = make_column_transformer((OneHotEncoder(), ["kind"]))
    return make_pipeline(encode, DecisionTreeRegressor()).fit(TABLE, VALUES)


MODEL = [
    NOTHING,
    TEXT,
    LONG,
    Bad("a number", 3),
    Bad("NaN", np.nan),
    Bad("a function", lambda X: X),
    Bad("a class", DecisionTreeRegressor),
    Bad("a linear model", LinearRegression().fit(ARRAY, VALUES), "model must be a scikit-learn tree"),
    Bad("not fitted", DecisionTreeRegressor(), "model is not fitted"),
    Bad("a pipeline that is not fitted", make_pipeline(DecisionTreeRegressor()), "model is not fitted"),
    Bad("one-hot columns", one_hot(), "last step on transformed columns"),
    Bad("a start of its own", GradientBoostingRegressor(init=LinearRegression()).fit(ARRAY, VALUES), "default init"),
]
N_THREADS = whole(0, optional=True)


def rows(name: str, *, optional: bool = False) -> list[Bad]:
    """What is no table of at least one row that suits the model."""
    return [
        *[bad for bad in table(min_rows=1) if not (optional and bad.value is None)],
        Bad("a column less", TABLE.drop(columns="b"), f"{name} lacks b"),
        Bad("a column more", TABLE.assign(height=1.0), f"{name} has columns the model does not know, height"),
        Bad("other names", TABLE.rename(columns={"a": "A"}), f"{name} lacks a"),
        Bad("an array of another width", np.ones((2, 3)), f"{name} must have the model's 4 columns"),
        Bad("an unknown level", TABLE.assign(kind=pd.Categorical(["w"] * len(TABLE))), f"{name} does not suit the model: .*'w'"),
        Bad("text for numbers", TABLE.assign(a=["low", "high"] * 40), f"{name} does not suit the model"),
    ]


def good(**more: Any) -> Any:
    return lambda: {"model": boosting(), **more}


CASES: dict[str, Case] = {
    "trees.shapley": Case(
        trees.shapley,
        good(X=TABLE[:3], background=TABLE[5:9]),
        {"model": MODEL, "X": rows("X"), "background": rows("background", optional=True), "n_threads": N_THREADS},
    ),
    "trees.partial_dependence": Case(
        trees.partial_dependence,
        good(background=TABLE, features="a", grid=3),
        {
            "model": MODEL,
            "background": [*rows("background"), Bad("a constant feature", TABLE.assign(a=1.0), "'a' is constant")],
            "features": [*feature(), *PAIR],
            "grid": grid(),
            "spacing": choice(),
            "output": [Bad("for a model with one", 0), TEXT, Bad("negative", -1), Bad("a fraction", 0.5)],
            "n_threads": N_THREADS,
        },
    ),
    "trees.leaf_table": Case(trees.leaf_table, good(), {"model": MODEL}),
    "trees.explained_output": Case(trees.explained_output, good(), {"model": MODEL}),
    "trees.LeafTable.rule": Case(trees.leaf_table(stump()).rule, lambda: {"leaf": 0}, {"leaf": whole(-1, 2)}),
}
