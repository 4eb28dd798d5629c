"""Bad arguments of :mod:`xailib.counterfactuals` and of its result; see bad_input_cases.py."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from tests.bad_input_cases import (
    ARRAY,
    LONG,
    NOTHING,
    TABLE,
    TEXT,
    VALUES,
    WIDE,
    Bad,
    Case,
    Counted,
    CountedNet,
    batch_rows,
    choice,
    flag,
    number,
    predict,
    probability,
    table,
    total,
    vector,
    whole,
)
from xailib import counterfactuals as cf
from xailib import plots

ONE = TABLE.iloc[[0]]
POINT = np.array([0.5, -0.5])


@cache
def tree() -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_depth=3, random_state=0).fit(ARRAY, probability(TABLE))


@cache
def result() -> Any:
    return cf.search(probability, ONE, TABLE)


def instance(name: str = "instance", other_names: str = "same columns") -> list[Bad]:
    """What is no single row of the table's columns."""
    return [
        *table(min_rows=1),
        Bad("several rows", TABLE[:2], "instance must be a single row"),
        Bad("other columns", WIDE.iloc[[0]], other_names),
    ]


def features() -> list[Bad]:
    return [NOTHING, Bad("text", "a"), Bad("a number", 3), Bad("unknown", ["height"], "height"), Bad("out of range", [99])]


def a_dict(*more: Bad) -> list[Bad]:
    return [Bad("a list", ["a"]), TEXT, Bad("a number", 3), Bad("unknown feature", {"height": "increase"}, "height"), *more]


def scale(p: str = "one per feature", *, named: bool = True) -> list[Bad]:
    """What is no scale: p positive numbers, or (``named``) a name."""
    return [
        NOTHING,
        Bad("unknown", "mads"),
        Bad("zero", np.zeros(4 if named else 2)),
        Bad("negative", [1.0, -1.0, 1.0, 1.0] if named else [1.0, -1.0]),
        Bad("NaN", np.full(4 if named else 2, np.nan)),
        Bad("another length", np.ones(9), p),
        Bad("two dimensions", np.ones((2, 2))),
    ]


GOAL = {
    "target": [
        Bad("unknown", "left"),
        Bad("a fraction", 0.5),
        Bad("negative", -1),
        Bad("a bool", True),
        Bad("NaN", np.nan),
        Bad("a class of a model with one output", 1, "target must be 'below', 'above' or None", late=True),
    ],
    "threshold": number(),
    "margin": number(-0.1),
    "batch_rows": batch_rows(),
}
ONE_SCORE = predict(width="target must be the number of a class")
SEARCH = GOAL | {
    "predict": ONE_SCORE,
    "data": [*table(), Bad("other columns", WIDE, "same columns")],
    "n_counterfactuals": whole(0),
    "immutable": features(),
    "direction": a_dict(
        Bad("unknown way", {"a": "up"}, r"direction\['a'\]"), Bad("of a category", {"kind": "increase"}, "direction .*category")
    ),
    "ranges": a_dict(
        Bad("one number", {"a": 3}, r"ranges\['a'\]"),
        Bad("turned around", {"a": (1, 0)}, r"ranges\['a'\]"),
        Bad("three", {"a": (1, 2, 3)}, r"ranges\['a'\]"),
        Bad("NaN", {"a": (0, np.nan)}, r"ranges\['a'\]"),
        Bad("unknown level", {"kind": ["q"]}, r"ranges\['kind'\] .*'q'"),
        Bad("empty", {"kind": []}, r"ranges\['kind'\]"),
    ),
    "derived": a_dict(
        Bad("no function", {"a": 3}, r"derived\['a'\]"),
        Bad("a category", {"kind": total}, "derived feature 'kind'"),
        Bad("returns one number", {"a": lambda rows: 1.0}, "derived function of 'a'", late=True),
        Bad("returns NaN", {"a": lambda rows: np.full(len(rows), np.nan)}, "derived function of 'a'", late=True),
    ),
    "max_changed": whole(0, optional=True),
    "sparsity": number(-0.1),
    "plausibility": [Bad("zero", 0), *number(-0.1, 1.1, optional=True)],
    "diversity": [Bad("one", 1), *number(-0.1, 1.1)],
    "scale": scale(),
    "rounding": flag(),
}
OTHER_LEVEL = Bad("unknown level", TABLE.iloc[[0]].assign(kind=TABLE["kind"].cat.rename_categories({"x": "q"}).iloc[[0]]), "'q'")
LIMITS = [Bad("text", "low"), Bad("NaN", np.nan), Bad("another length", np.zeros(9)), Bad("two dimensions", np.zeros((2, 2)))]
EXACT = {
    "instance": [
        NOTHING,
        TEXT,
        Bad("NaN", [np.nan, 0.0]),
        Bad("several rows", np.zeros((2, 2))),
        Bad("three dimensions", np.zeros((1, 1, 2))),
        Bad("text inside", ONE, "instance must be numeric"),
    ],
    "scale": scale(named=False),
    "lower": [*LIMITS, Bad("above the instance", 5.0)],
    "upper": [*LIMITS, Bad("below the instance", -5.0)],
    "immutable": features(),
}


def net(instead: Any = lambda score: score) -> Any:
    """A module with one score for a row of two numbers."""

    class Score(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls = torch.nn.Linear(2, 1), 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return instead(self.linear(x))

    torch.manual_seed(0)
    return Score()


CASES = {
    "counterfactuals.search": Case(
        cf.search,
        lambda: {"predict": Counted(probability), "instance": ONE, "data": TABLE},
        SEARCH | {"instance": [*instance(), OTHER_LEVEL]},
    ),
    "counterfactuals.search_many": Case(
        cf.search_many,
        lambda: {"predict": Counted(probability), "X": TABLE[:2], "data": TABLE},
        SEARCH
        | {
            "X": [*table(min_rows=1), Bad("other columns", WIDE, "same columns")],
            "n_jobs": [*whole(None, optional=True), Bad("zero", 0)],
        },
    ),
    "counterfactuals.mad_scale": Case(cf.mad_scale, lambda: {"data": TABLE}, {"data": table()}),
    "counterfactuals.distance": Case(
        cf.distance,
        lambda: {"instance": ONE, "rows": TABLE, "data": TABLE},
        {
            "instance": instance(),
            "rows": [*table(min_rows=1), Bad("other columns", WIDE, "same columns")],
            "scale": scale(),
            "data": [*[bad for bad in table() if bad is not NOTHING], Bad("nothing", None, "data is needed")],
            "norm": choice(),
        },
    ),
    "counterfactuals.isolation": Case(
        cf.isolation,
        lambda: {"rows": TABLE[:3], "data": TABLE},
        {
            "rows": [*table(min_rows=1), Bad("other columns", WIDE, "same columns")],
            "data": [*table(), Bad("other columns", WIDE, "same columns")],
            "scale": scale(),
            "n_neighbours": [*whole(0), Bad("all rows", len(TABLE))],
        },
    ),
    "counterfactuals.quality": Case(
        cf.quality,
        lambda: {"predict": Counted(probability), "instance": ONE, "rows": TABLE[:3], "data": TABLE},
        GOAL
        | {
            "predict": ONE_SCORE,
            "instance": instance(),
            "rows": [
                *[bad for bad in table(min_rows=1) if bad.what != "too few rows"],
                Bad("other columns", WIDE, "same columns"),
            ],
            "data": [*table(min_rows=6), Bad("other columns", WIDE, "same columns")],
            "scale": scale(),
        },
    ),
    "counterfactuals.nearest_linear": Case(
        cf.nearest_linear,
        lambda: {"weights": [1.0, 2.0], "intercept": -1.0, "instance": POINT},
        EXACT | {"weights": vector(2), "intercept": number(), "norm": choice()},
    ),
    "counterfactuals.nearest_leaf": Case(
        cf.nearest_leaf,
        lambda: {"tree": tree(), "instance": POINT},
        EXACT
        | {
            "tree": [
                NOTHING,
                TEXT,
                Bad("a linear model", LinearRegression()),
                Bad("not fitted", DecisionTreeRegressor()),
                Bad("a forest", RandomForestRegressor(2).fit(ARRAY, VALUES), "tree must be a single tree"),
                Bad("two outputs", DecisionTreeRegressor().fit(ARRAY, ARRAY)),
            ],
            "instance": [*EXACT["instance"], Bad("too long", np.zeros(3))],
            "target": [*GOAL["target"][:-1], Bad("a class of a tree with one output", 1, "target must be 'below'")],
            "threshold": number(),
            "norm": choice(),
        },
    ),
    "counterfactuals.gradient": Case(
        cf.gradient,
        lambda: {"model": net(), "instance": POINT},
        EXACT
        | {
            "model": [
                NOTHING,
                TEXT,
                Bad("a function", total),
                Bad("an estimator", LinearRegression()),
                Bad("two scores", net(lambda score: torch.cat([score, score], 1)), "model must return one score", late=True),
                Bad("returns NaN", net(lambda score: score * np.nan), "model returned a missing", late=True),
                Bad("returns a list", net(lambda score: [score]), "model must return one score", late=True),
                Bad("wants images", CountedNet(), late=True),
            ],
            "target": number(),
            "tolerance": [Bad("zero", 0), *number(-1)],
            "first_weight": [Bad("zero", 0), *number(-1)],
            "growth": [Bad("one", 1), *number(0.5)],
            "max_weight": number(-1),
            "steps": whole(0),
        },
    ),
    "results.Counterfactuals.plot": Case(
        lambda ax: result().plot(ax), lambda: {"ax": None}, {"ax": [TEXT, Bad("a number", 3), LONG]}
    ),
    "plots.counterfactuals": Case(
        plots.counterfactuals,
        lambda: {"result": result()},
        {"result": [NOTHING, TEXT, Bad("a number", 3)], "ax": [TEXT, Bad("a number", 3), LONG]},
    ),
}
