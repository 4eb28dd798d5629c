"""Bad arguments of the anchors, and of the result they return."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.bad_input_cases import (
    ARRAY,
    AX,
    LONG,
    NOTHING,
    RESULT,
    TABLE,
    TEXT,
    Bad,
    Case,
    Counted,
    batch_rows,
    choice,
    number,
    predict,
    seed,
    table,
    total,
    vector,
    whole,
)
from xailib import anchors, plots, results

ROW = TABLE[:1]
CONDITION = results.Condition("a", "<=", 0.5)
NOT_LABELS = Bad("returns probabilities", lambda X: np.full(len(X), 0.3), "predict must return labels", late=True)
NUMBERS: dict[str, Any] = {
    "threshold": number(0, 1.01),
    "delta": number(0, 1),
    "epsilon": number(0, 1),
    "tolerance": number(0, 1),
    "beam_width": whole(0),
    "max_conditions": whole(0),
    "batch_rows": batch_rows(),
    "random_state": seed(),
}
ON_TABLES: dict[str, Any] = NUMBERS | {
    "predict": [*predict(), NOT_LABELS],
    "data": [*table(), Bad("other columns", TABLE[["a", "b"]], "columns of data"), Bad("an array", ARRAY, "and data must both")],
    "distribution": choice(),
    "bins": whole(1),
}
INSTANCES = [*table(min_rows=1), Bad("other columns", TABLE[["b", "a"]][:1]), Bad("an array", ARRAY[:1])]
RULE = [
    NOTHING,
    TEXT,
    Bad("a number", 3),
    Bad("a list of numbers", [3]),
    Bad("no relation", ["a is small"]),
    Bad("unknown feature", ["height <= 3"], "rule: the feature 'height' is unknown"),
    Bad("a level of a number", ["a = red"]),
    Bad("order of levels", ["kind <= x"]),
    Bad("unknown level", ["kind = w"], "the levels in data are x, y, z"),
    Bad("obeyed by no row", ["a > 100"], "rule is obeyed by no row"),
    LONG,
]


def labels(X: Any) -> np.ndarray:
    return (total(X) > 0).astype(int)


def words(texts: Any) -> np.ndarray:
    return np.array(["free" in text for text in texts], dtype=int)


def rule() -> results.Anchor:
    return results.Anchor((CONDITION,), True, 0.97, (0.95, 0.98), 0.2, 0.95, 0.95, 1, "data", 100, 0)


def of_text() -> results.Anchor:
    return results.Anchor((results.Condition("text", "contains", "word"),), True, 1.0, (0.9, 1.0), 0.5, 0.95, 0.95, 1, "p", 9, 9)


def on_text(**more: Any) -> dict[str, Any]:
    return {"predict": Counted(words), "instance": "get a free gift", **more}


TEXT_BAD: dict[str, Any] = {
    name: bad for name, bad in NUMBERS.items() if name not in ("epsilon", "beam_width", "max_conditions")
} | {
    "predict": [*predict(), NOT_LABELS],
    "instance": [
        NOTHING,
        Bad("a number", 3),
        Bad("a list", ["get a free gift"]),
        Bad("empty", "", "text must have at least one word"),
        Bad("marks only", "!?", "text must have at least one word"),
    ],
    "filler": [NOTHING, Bad("a number", 0)],
}

CASES = {
    "anchors.explain": Case(
        anchors.explain,
        lambda: {"predict": Counted(labels), "instance": ROW, "data": TABLE},
        ON_TABLES
        | {
            "instance": [
                *INSTANCES,
                Bad("two rows", TABLE[:2], "instance must be one row, not 2"),
                Bad("a row as Series", TABLE.iloc[0], r"use X\.iloc"),
            ]
        },
    ),
    "anchors.explain_all": Case(
        anchors.explain_all,
        lambda: {"predict": Counted(labels), "X": ROW, "data": TABLE},
        ON_TABLES | {"X": INSTANCES, "n_jobs": [TEXT, Bad("0", 0), Bad("a fraction", 0.5), Bad("a bool", True)]},
    ),
    "anchors.precision": Case(
        anchors.precision,
        lambda: {"predict": Counted(labels), "data": TABLE, "rule": ["a > 0"], "label": 1},
        {
            **{name: NUMBERS[name] for name in ("threshold", "tolerance", "delta", "batch_rows", "random_state")},
            "predict": ON_TABLES["predict"],
            "data": [*table(), Bad("other columns", TABLE[["b", "count"]], "feature 'a' is unknown")],
            "rule": RULE,
            "label": number(),
            "distribution": choice(),
            "n_samples": whole(0),
        },
    ),
    "anchors.text": Case(
        anchors.text, on_text, TEXT_BAD | {name: NUMBERS[name] for name in ("epsilon", "beam_width", "max_conditions")}
    ),
    "anchors.text_precision": Case(
        anchors.text_precision,
        lambda: on_text(kept=[2]),
        TEXT_BAD
        | {
            "kept": [
                NOTHING,
                TEXT,
                Bad("a number", 3),
                Bad("a fraction", [0.5]),
                Bad("a position too far", [4]),
                Bad("negative", [-1]),
                Bad("another text's anchor", of_text()),
            ],
            "n_samples": whole(0),
        },
    ),
    "anchors.kl_bounds": Case(
        anchors.kl_bounds,
        lambda: {"p_hat": [0.5, 0.9], "n": [10, 20], "beta": 2.0},
        {
            "p_hat": [
                *vector(ndim_ok=(0, 1, 2, 5)),
                Bad("above one", 1.1),
                Bad("negative", -0.1),
                Bad("another shape", [0.5] * 3),
            ],
            "n": [*vector(ndim_ok=(0, 1, 2, 5)), Bad("negative", -1), Bad("another shape", [5] * 3)],
            "beta": [*vector(ndim_ok=(0, 1, 2, 5)), Bad("negative", -1.0), Bad("another shape", [1.0] * 3)],
        },
    ),
    "results.Anchor.covers": Case(
        rule().covers,
        lambda: {"X": TABLE},
        {"X": [*table(min_rows=1), Bad("without the column", TABLE[["b"]], "'a' is unknown")]},
    ),
    "results.Anchor.plot": Case(rule().plot, dict, {"ax": AX}),
    "results.holds": Case(
        results.holds,
        lambda: {"condition": CONDITION, "values": [0.1, 0.7]},
        {
            "condition": [
                NOTHING,
                TEXT,
                Bad("a tuple", ("a", "<=", 0.5)),
                Bad("unknown relation", CONDITION._replace(relation="~")),
            ],
            "values": [Bad("text", ["many"], "values of 'a' must be numbers")],
        },
    ),
    "plots.anchor": Case(plots.anchor, lambda: {"result": rule()}, {"result": RESULT, "ax": AX}),
}
