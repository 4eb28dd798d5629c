"""Bad input for the functions of ``xailib.glassbox``."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.bad_input_cases import (
    ARRAY,
    CLASSES,
    CONSTANT,
    LONG,
    NOTHING,
    TABLE,
    TEXT,
    Bad,
    Case,
    N,
    choice,
    feature,
    flag,
    number,
    table,
    vector,
    whole,
)
from xailib import glassbox

NUMBERS = TABLE[["a", "b", "count"]]
LABELS = [
    *vector(N),
    Bad("values", np.linspace(0, 1, N), "y must hold 0 and 1"),
    Bad("one class only", np.ones(N), "y must hold 0 and 1"),
    Bad("labels 1 and 2", CLASSES + 1, "y must hold 0 and 1"),
]
#: what is no table with the columns of a fitted model; missing values are welcome there
ROWS = [
    NOTHING,
    TEXT,
    Bad("a number", 3),
    Bad("a list", [[1.0, 2.0]]),
    Bad("a Series", TABLE["a"]),
    Bad("one dimension", np.ones(3)),
    Bad("three dimensions", np.ones((3, 2, 2))),
    Bad("no rows", TABLE[:0]),
    Bad("a lacking column", TABLE.drop(columns="a"), "lacks the column 'a'"),
    Bad("too few columns", ARRAY[:, :0], "X must"),
]
TWICE = Bad("two columns of one name", TABLE.rename(columns={"b": "a"})[["a", "count", "kind"]])
NO_MODEL = [NOTHING, TEXT, LONG, Bad("an array", ARRAY), Bad("a class", glassbox.AdditiveModel)]
POSITIVE = np.ones((3, 2))


@cache
def model() -> glassbox.AdditiveModel:
    return glassbox.fit_additive(TABLE, CLASSES, n_rounds=3)


@cache
def rules() -> glassbox.RuleList:
    return glassbox.rule_list(TABLE, CLASSES, min_rows=5)


def machine(**changes: Any) -> SimpleNamespace:
    """What a fitted machine shows of itself, on the columns of TABLE."""
    shown: dict[str, Any] = {
        "intercept_": np.array([0.5]),
        "term_features_": [(0,)],
        "term_scores_": [np.zeros(4)],
        "bin_weights_": [np.zeros(4)],
        "bins_": [[np.array([0.0])]],
        "feature_names_in_": ["a"],
        "link_": "logit",
    }
    return SimpleNamespace(**(shown | changes))


class Unfitted:
    """Has no attribute that fitting would set."""


CASES: dict[str, Case] = {
    "glassbox.linear_reasons": Case(
        glassbox.linear_reasons,
        lambda: {"coefficients": [1.0, 2.0, 3.0], "X": NUMBERS, "background": NUMBERS},
        {
            "coefficients": [*vector(), Bad("too few", [1.0, 2.0])],
            "X": table(min_rows=1),
            "background": [*table(min_rows=1), Bad("other columns", TABLE)],
            "intercept": number(),
        },
    ),
    "glassbox.log_odds_table": Case(
        glassbox.log_odds_table,
        lambda: {"X": TABLE[["count"]], "y": np.arange(N) % 2},
        {
            "X": [
                *table(),
                Bad("a constant column", CONSTANT, "'flat' is constant"),
                Bad("a sum of others", NUMBERS.assign(sum=NUMBERS["a"] + NUMBERS["b"]), "X has columns that are sums"),
                Bad("a column that gives y away", NUMBERS.assign(given=np.arange(N) % 2), "column 'given' tells the classes"),
            ],
            "y": LABELS,
            "per": [
                TEXT,
                Bad("a list", [10]),
                Bad("unknown", {"height": 1}),
                Bad("zero", {"count": 0}),
                Bad("text", {"count": "a"}),
            ],
            "level": number(0, 1),
        },
    ),
    "glassbox.design_matrix": Case(glassbox.design_matrix, lambda: {"X": TABLE}, {"X": table(min_rows=1)}),
    "glassbox.variance_inflation": Case(
        glassbox.variance_inflation,
        lambda: {"X": TABLE},
        {
            "X": [
                *table(min_rows=3),
                Bad("a constant column", CONSTANT, "'flat' is constant"),
                Bad("a copy", NUMBERS.assign(copy=NUMBERS["a"]), "X has columns that are sums"),
            ]
        },
    ),
    "glassbox.rule_list": Case(
        glassbox.rule_list,
        lambda: {"X": TABLE, "y": CLASSES, "min_rows": 5},
        {
            "X": table(),
            "y": LABELS,
            "max_rules": whole(0),
            "max_conditions": [*whole(0), Bad("three", 3)],
            "n_cuts": whole(0),
            "min_rows": whole(0),
            "falling": flag(),
        },
    ),
    "glassbox.Condition.holds": Case(glassbox.Condition("a", "<=", 0.0).holds, lambda: {"X": TABLE}, {"X": [*ROWS, TWICE]}),
    "glassbox.RuleList.which": Case(rules().which, lambda: {"X": TABLE}, {"X": ROWS}),
    "glassbox.RuleList.predict": Case(rules().predict, lambda: {"X": TABLE}, {"X": ROWS}),
    "glassbox.AdditiveModel.contributions": Case(model().contributions, lambda: {"X": TABLE}, {"X": ROWS}),
    "glassbox.AdditiveModel.score": Case(model().score, lambda: {"X": TABLE}, {"X": ROWS}),
    "glassbox.AdditiveModel.predict": Case(model().predict, lambda: {"X": TABLE}, {"X": ROWS}),
    "glassbox.read_ebm": Case(
        glassbox.read_ebm,
        lambda: {"ebm": machine()},
        {
            "ebm": [
                NOTHING,
                TEXT,
                LONG,
                Bad("not fitted", Unfitted(), "ebm must be a fitted"),
                Bad("three classes", machine(intercept_=np.zeros(3))),
                Bad("another link", machine(link_="log")),
                Bad("a term of three", machine(term_features_=[(0, 0, 0)])),
            ]
        },
    ),
    "glassbox.fit_additive": Case(
        glassbox.fit_additive,
        lambda: {"X": TABLE, "y": CLASSES, "n_rounds": 2},
        {
            "X": table(),
            "y": LABELS,
            "link": choice(),
            "n_rounds": whole(0),
            "learning_rate": number(0, 1.5),
            "max_bins": whole(1),
            "ridge": number(-1),
        },
    ),
    "glassbox.shape_functions": Case(
        glassbox.shape_functions, lambda: {"model": model(), "X": TABLE}, {"model": NO_MODEL, "X": ROWS}
    ),
    "glassbox.purify": Case(
        glassbox.purify,
        lambda: {"table": np.arange(6.0).reshape(3, 2), "weights": POSITIVE},
        {
            "table": vector(ndim_ok=(2,)),
            "weights": [
                *vector(ndim_ok=(2,)),
                Bad("another shape", np.ones((2, 3))),
                Bad("negative", -POSITIVE),
                Bad("all zero", 0 * POSITIVE),
            ],
            "tolerance": number(0),
            "max_passes": whole(0),
        },
    ),
    "glassbox.purified": Case(glassbox.purified, lambda: {"model": model(), "X": TABLE}, {"model": NO_MODEL, "X": ROWS}),
    "glassbox.edit_shape": Case(
        glassbox.edit_shape,
        lambda: {"model": model(), "feature": "a"},
        {
            "model": NO_MODEL,
            "feature": feature(),
            "where": [
                TEXT,
                Bad("a number", 3),
                Bad("empty", []),
                Bad("one end", [1.0]),
                Bad("ends turned around", (2.0, 1.0)),
                Bad("NaN", (np.nan, 1.0)),
                Bad("levels", ["x", "y"]),
                Bad("a set", {1.0, 2.0}),
            ],
            "add": number(),
            "flatten": flag(),
            "monotone": choice(optional=True),
        },
    ),
}
