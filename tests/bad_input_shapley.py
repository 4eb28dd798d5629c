"""What each function of xailib.shapley, and its result, must refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.bad_input_cases import (
    AX,
    LONG,
    NOTHING,
    ROW,
    TABLE,
    TEXT,
    WIDE,
    Anything,
    Bad,
    Case,
    Counted,
    N,
    batch_rows,
    predict,
    seed,
    table,
    total,
    whole,
)
from xailib import plots, results, shapley

NUMBERS = TABLE[["a", "b", "count"]].astype(float)

JOBS = [Bad("0", 0), Bad("a fraction", 1.5), TEXT, Bad("a bool", True)]
X = [
    *table(min_rows=1),
    Bad("another width", TABLE[["a", "b"]], "background must have the 2 columns of X"),
    Bad("another order", TABLE[["b", "a", "count", "kind"]], "same order"),
    Bad("an array", TABLE[["a", "b", "count"]].to_numpy(), "both be DataFrames"),
    Bad("other levels", TABLE.assign(kind=pd.Categorical(["q"] * N)), "same type in column 'kind'"),
]
BACKGROUND = [
    *table(min_rows=1),
    Bad("another width", TABLE[["a", "b"]]),
    Bad("an array", TABLE[["a", "b", "count"]].to_numpy(), "both be DataFrames"),
    Bad("another value function's", shapley.Marginal(NUMBERS), "background must have the 4 columns of X"),
]
GROUPS = [
    TEXT,
    Bad("a list", [["a", "b"]]),
    Bad("a number", 3),
    Bad("unknown", {"both": ["a", "height"]}),
    Bad("empty group", {"both": []}),
    Bad("a name for a group", {"both": "a"}),
    Bad("a number for a group", {"both": 3}),
    Bad("a feature's name", {"a": ["count", "b"]}),
    Bad("a number as name", {3: ["count", "b"]}),
    Bad("twice the same feature", {"one": ["a", "b"], "two": ["b", "count"]}),
    Bad("out of range", {"one": [99]}),
]
ANY_WIDTH = predict(width=None)


def good(**more: Any) -> Any:
    return lambda: {"predict": Counted(total), "X": TABLE[:3], "background": TABLE[10:20], **more}


COMMON: dict[str, list[Bad] | Anything] = {
    "predict": ANY_WIDTH,
    "X": X,
    "background": BACKGROUND,
    "groups": GROUPS,
    "batch_rows": batch_rows(),
    "n_jobs": JOBS,
}
#: 25 columns: more than can be enumerated
TOO_MANY = [Bad("25 columns", WIDE.iloc[:3, :25], "25 columns of X|background must")]


def value_rows(value: shapley.ValueFunction) -> Case:
    masks = np.array([[True, False, True], [False, False, True]])
    return Case(
        value.rows,
        lambda: {"X": NUMBERS[:2], "which": [0, 1], "masks": masks},
        {
            "X": [*table(min_rows=1), Bad("another width", NUMBERS[["a"]], "columns of X")],
            "which": [NOTHING, TEXT, Bad("too large", [0, 2]), Bad("negative", [-1, 0]), Bad("a fraction", [0.5, 1])][1:],
            "masks": [
                NOTHING,
                TEXT,
                Bad("numbers", masks.astype(int)),
                Bad("another width", masks[:, :2]),
                Bad("another length", masks[:1]),
                LONG,
            ],
        },
    )


def two_features() -> results.Interactions:
    return results.Interactions(np.ones((3, 2, 2)), 0.0, np.ones(3), ["a", "b"], np.ones((3, 2)), "made up")


def two_outputs() -> results.Interactions:
    values = np.ones((3, 2, 2, 2))
    return results.Interactions(values, np.ones(2), np.ones((3, 2)), ["a", "b"], np.ones((3, 2)), "made up, two outputs")


WORTH = [
    NOTHING,
    TEXT,
    Bad("a table", LONG.value),
    Bad("returns too few", lambda S: np.ones(len(S) - 1)),
    Bad("returns one number", lambda S: 1.0),
    Bad("returns NaN", lambda S: np.full(len(S), np.nan)),
    Bad("returns text", lambda S: ["win"] * len(S)),
    Bad("returns three dimensions", lambda S: np.ones((len(S), 1, 1))),
]
PLAYERS = [TEXT, Bad("too few", ["a"]), Bad("a number", 3)]


def game(function: Any, most: int) -> Case:
    return Case(
        function,
        lambda: {"worth": lambda S: S.sum(axis=1), "n_players": 3},
        {"worth": WORTH, "n_players": whole(0, most + 1), "players": PLAYERS},
    )


CASES = {
    "shapley.exact": Case(shapley.exact, good(), COMMON),
    "shapley.permutation": Case(
        shapley.permutation,
        good(n_permutations=4),
        COMMON | {"n_permutations": [*whole(1), Bad("odd", 5)], "random_state": seed()},
    ),
    "shapley.kernel": Case(
        shapley.kernel,
        good(n_coalitions=14),
        COMMON | {"n_coalitions": [*whole(0), Bad("too few", 13)], "random_state": seed()},
    ),
    "shapley.owen": Case(shapley.owen, good(groups={"both": ["a", "b"]}), COMMON | {"groups": [*GROUPS, NOTHING]}),
    "shapley.interactions": Case(shapley.interactions, good(), COMMON),
    "shapley.text": Case(
        shapley.text,
        lambda: {"predict": Counted(lambda texts: np.array([float(len(t)) for t in texts])), "texts": ["buy it now", "hello"]},
        {
            "predict": ANY_WIDTH,
            "texts": [
                NOTHING,
                Bad("one text", "hello"),
                Bad("a number", 3),
                Bad("empty", []),
                Bad("numbers", [1, 2]),
                Bad("a text without words", ["hello", "..."], "text must have at least one word"),
            ],
            "n_coalitions": [*whole(0), Bad("too few", 5)],
            "random_state": seed(),
            "batch_rows": batch_rows(),
            "n_jobs": JOBS,
        },
    ),
    "shapley.of_game": game(shapley.of_game, shapley.MAX_EXACT_PLAYERS),
    "shapley.brute_force": game(shapley.brute_force, shapley.MAX_ORDERED_PLAYERS),
    "shapley.ValueFunction.rows": value_rows(shapley.Marginal(NUMBERS[:5])),
    "shapley.Marginal": Case(shapley.Marginal, lambda: {"background": TABLE}, {"background": table(min_rows=1)}),
    "shapley.GaussianConditional": Case(
        shapley.GaussianConditional,
        lambda: {"background": NUMBERS},
        {
            "background": [*table(), Bad("a category", TABLE, "background must be numeric")],
            "n_draws": [*whole(0), Bad("odd", 5)],
            "random_state": seed(),
        },
    ),
    "shapley.NeighbourConditional": Case(
        shapley.NeighbourConditional,
        lambda: {"background": TABLE},
        {"background": table(min_rows=2), "n_neighbours": whole(0, N + 1), "random_state": seed()},
    ),
    "results.Interactions.of_output": Case(two_outputs().of_output, lambda: {"index": 1}, {"index": whole(-1, 2)}),
    "results.Interactions.plot": Case(two_features().plot, dict, {"ax": AX, "row": ROW}),
    "plots.interactions": Case(
        plots.interactions,
        lambda: {"result": two_features()},
        {"result": [NOTHING, TEXT, Bad("a table", TABLE), Bad("two outputs", two_outputs())], "ax": AX, "row": ROW},
    ),
}
