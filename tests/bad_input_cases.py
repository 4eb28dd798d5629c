"""The table behind test_bad_input: for every public function a call that works, and for every argument what must be refused.

A new public function, or a new parameter, without an entry here makes test_bad_input fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn

from xailib import effects, evaluation, exercises, methods, models, permutation, plots, results, saliency, worlds, zoo
from xailib.worlds import real, toys


@dataclass(frozen=True)
class Bad:
    """One value that must be refused.

    Attributes
    ----------
    what : for the name of the test
    value : the value
    says : regular expression the message must hold; by default the name of the argument
    late : True if only the model's answer can show that the value is bad
    """

    what: str
    value: Any
    says: str | None = None
    late: bool = False


@dataclass(frozen=True)
class Anything:
    """A parameter that has no bad values, and why."""

    why: str


@dataclass(frozen=True)
class Case:
    """A public function, a call that works, and the bad values of each of its arguments.

    ``good`` makes fresh arguments; a :class:`Counted` model among them counts its calls. ``needs`` says what the good call
    needs that tests do not have.
    """

    call: Callable[..., Any]
    good: Callable[[], dict[str, Any]]
    bad: Mapping[str, list[Bad] | Anything] = field(default_factory=dict)
    needs: str = ""


# --- models that count how often they are asked ---------------------------------------------------------------------


class Counted:
    """A prediction function."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, X: Any) -> Any:
        self.calls += 1
        return self.function(X)


class CountedNet(nn.Module):
    """A small network, or one that answers with what ``instead`` makes of its scores."""

    def __init__(self, instead: Callable[[Any], Any] = lambda scores: scores, n_classes: int = 2) -> None:
        super().__init__()
        self.conv, self.pool, self.linear = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Linear(4, n_classes)
        self.instead, self.calls = instead, 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.instead(self.linear(self.pool(self.conv(x)).flatten(1)))


# --- data -----------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
N = 80
TABLE = pd.DataFrame(
    {"a": RNG.normal(size=N), "b": RNG.normal(size=N), "count": RNG.integers(0, 5, N), "kind": pd.Categorical(list("xyxz") * 20)}
)
CONSTANT = TABLE.assign(flat=1.0)
WIDE = pd.DataFrame(RNG.normal(size=(N, 500)), columns=[f"feature_with_a_long_name_{j}" for j in range(500)])
ARRAY = TABLE[["a", "b"]].to_numpy()
VALUES = TABLE["a"].to_numpy() + TABLE["b"].to_numpy()
CLASSES = (VALUES > 0).astype(int)
IMAGES = RNG.random((3, 3, 8, 8))
MAPS = RNG.random((3, 8, 8))
MASKS = MAPS > 0.5


def total(X: Any) -> np.ndarray:
    return X["a"].to_numpy(float) + X["b"].to_numpy(float)


def probability(X: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-total(X)))


def with_value(data: Any, value: float) -> Any:
    """A copy with one entry replaced."""
    if isinstance(data, pd.DataFrame):
        return data.assign(a=[value, *data["a"].to_numpy()[1:]])
    changed = np.array(data, dtype=float)
    changed.flat[0] = value
    return changed


# --- kinds of bad values --------------------------------------------------------------------------------------------

NOTHING, TEXT = Bad("nothing", None), Bad("text", "many")
LONG = Bad("a large array", np.arange(1000.0).reshape(10, 100))


def number(low: float | None = None, high: float | None = None, *, optional: bool = False) -> list[Bad]:
    """Values no number argument takes: ``low`` and ``high`` are numbers just outside the range."""
    outside = [Bad(f"{limit}", limit) for limit in (low, high) if limit is not None]
    wrong = [TEXT, LONG, Bad("NaN", np.nan), Bad("inf", np.inf), Bad("a bool", True), Bad("a list", [1])]
    return outside + wrong + ([] if optional else [NOTHING])


def whole(low: int | None = 0, high: int | None = None, *, optional: bool = False) -> list[Bad]:
    return [Bad("a fraction", 2.5), *number(low, high, optional=optional)]


def choice(*, optional: bool = False) -> list[Bad]:
    wrong = [Bad("unknown", "unknown"), Bad("a number", 3), Bad("NaN", np.nan), LONG, Bad("a list", ["quantile"])]
    return wrong + ([] if optional else [NOTHING])


def flag() -> list[Bad]:
    return [TEXT, NOTHING, LONG, Bad("a number", 2), Bad("NaN", np.nan)]


def seed() -> list[Bad]:
    return [Bad("negative", -1), Bad("a fraction", 0.5), TEXT, Bad("a bool", True), Bad("NaN", np.nan), LONG]


def table(*, min_rows: int = 2) -> list[Bad]:
    """What is no table of at least ``min_rows`` complete rows with names that tell its columns apart."""
    return [
        NOTHING,
        TEXT,
        Bad("a number", 3),
        Bad("a list", [[1.0, 2.0]]),
        Bad("a Series", TABLE["a"]),
        Bad("one dimension", np.ones(3)),
        Bad("three dimensions", np.ones((3, 2, 2))),
        Bad("no columns", np.ones((3, 0))),
        Bad("too few rows", TABLE[: min_rows - 1]),
        Bad("NaN", with_value(TABLE, np.nan)),
        Bad("inf", with_value(TABLE, np.inf)),
        Bad("missing category", TABLE.assign(kind=[None, *TABLE["kind"][1:]])),
        Bad("two columns of one name", TABLE.rename(columns={"b": "a"})),
    ]


def vector(length: int | None = None, *, ndim_ok: tuple[int, ...] = (1,), optional: bool = False) -> list[Bad]:
    """What is no finite numeric array of the wanted dimensions (and length)."""
    wrong = [
        Bad("text", "many"),
        Bad("text entries", ["many", "few"]),
        Bad("numbers as text", ["1", "2"]),
        Bad("NaN", [np.nan] * (length or 2)),
        Bad("inf", [np.inf] * (length or 2)),
        Bad("empty", []),
    ]
    if length is not None:
        wrong.append(Bad("another length", np.ones(length + 1)))
    wrong += [Bad(f"{d} dimensions", np.ones((2,) * d)) for d in (0, 1, 2, 5) if d not in ndim_ok]
    return wrong + ([] if optional else [NOTHING])


def feature() -> list[Bad]:
    """What is no column of the table."""
    values = {
        "unknown": "height",
        "too large": 99,
        "negative": -1,
        "a fraction": 0.5,
        "a bool": True,
        "nothing": None,
        "NaN": np.nan,
    }
    return [Bad(what, value, r"feature.* (is unknown|must be)") for what, value in values.items()] + [Bad("empty", [], "feature")]


def predict(*, width: str | None = "predict must return one number per row") -> list[Bad]:
    """What is no prediction function, and functions whose answers are unusable."""
    answers: dict[str, tuple[Callable[[Any], Any], str]] = {
        "one row too many": (lambda X: np.zeros(len(X) + 1), "predict must return one row per input row"),
        "a single number": (lambda X: 1.0, "predict must return one row per input row"),
        "three dimensions": (lambda X: np.zeros((len(X), 2, 2)), "predict must return one row per input row"),
        "NaN": (lambda X: np.full(len(X), np.nan), "predict returned missing or infinite"),
        "inf": (lambda X: np.full(len(X), np.inf), "predict returned missing or infinite"),
        "labels": (lambda X: ["yes"] * len(X), "predict must return numbers"),
        "nothing": (lambda X: None, "predict"),
    }
    if width:
        answers["two columns"] = (lambda X: np.zeros((len(X), 2)), width)
    late = [Bad(f"returns {what}", function, says, late=True) for what, (function, says) in answers.items()]
    return [NOTHING, TEXT, LONG, Bad("an estimator", LinearRegression(), r"predict .*xailib\.predictor"), *late]


def batch_rows() -> list[Bad]:
    return whole(0)


# --- models ---------------------------------------------------------------------------------------------------------


@cache
def classifier() -> LogisticRegression:
    return LogisticRegression().fit(ARRAY, CLASSES)


def curious() -> Iterator[np.ndarray]:
    """A talk with the model: asks about the table once."""
    yield ARRAY


MODELS = {
    "models.predictor": Case(
        models.predictor,
        lambda: {"model": classifier(), "output": "probability"},
        {
            "model": [NOTHING, TEXT, Bad("a number", 3), Bad("no probabilities", LinearRegression(), "predict_proba")],
            "output": [*choice(), Bad("another family's", "logit")],
            "class_index": whole(-1, optional=True),
        },
    ),
    "models.in_blocks": Case(
        models.in_blocks,
        lambda: {"explain": lambda block: block, "n": 5, "rows_each": 2, "batch_rows": 4},
        {
            "explain": [NOTHING, TEXT, Bad("a number", 3)],
            "n": whole(0),
            "rows_each": whole(0),
            "batch_rows": whole(0),
            "n_jobs": [TEXT, Bad("zero", 0), Bad("a fraction", 1.5)],
            "desc": Anything("a label"),
        },
    ),
    "models.side_by_side": Case(
        models.side_by_side,
        lambda: {"talks": [curious()], "ask": Counted(lambda rows: rows.sum(axis=1))},
        {
            "talks": [NOTHING, TEXT, Bad("a number", 3), Bad("no generator", [len]), Bad("one talk alone", curious())],
            "ask": [
                NOTHING,
                TEXT,
                Bad("one answer too many", lambda rows: np.zeros(len(rows) + 1), "ask must return one answer per row", late=True),
                Bad("a single number", lambda rows: 1.0, "ask must return one answer per row", late=True),
            ],
        },
    ),
    "models.batched": Case(
        models.batched,
        lambda: {"predict": Counted(total), "X": TABLE, "width": 1},
        {
            "predict": predict(),
            "X": [
                NOTHING,
                TEXT,
                Bad("a number", 3),
                Bad("a list", [[1.0]]),
                Bad("one dimension", VALUES),
                Bad("texts with a gap", np.array(["free", None], dtype=object)),
                Bad("no rows", TABLE[:0]),
            ],
            "batch_rows": batch_rows(),
            "width": [*whole(0, optional=True), Bad("not the model's", 2, "2 columns", late=True)],
        },
    ),
}

# --- permutation ----------------------------------------------------------------------------------------------------


def permutation_bad() -> dict[str, list[Bad] | Anything]:
    orders = np.array([np.arange(N)[::-1]])
    return {
        "predict": predict(width="squared_error needs one number per row"),
        "X": [*table(), Bad("a constant column", CONSTANT, "'flat' is constant")],
        "y": [
            *vector(N),
            Bad("shorter", VALUES[:-1]),
            Bad("a column", VALUES[:, None]),
        ],
        "features": [
            Bad("text", "a"),
            Bad("a number", 1),
            Bad("unknown", ["height"]),
            Bad("out of range", [99]),
            Bad("NaN", [np.nan]),
            Bad("empty", []),
        ],
        "groups": [
            Bad("a list", [["a", "b"]]),
            TEXT,
            Bad("unknown", {"both": ["a", "height"]}),
            Bad("empty group", {"both": []}),
            Bad("a name for a group", {"both": "a"}),
            Bad("a number for a group", {"both": 3}),
            Bad("a feature's name", {"a": ["count", "b"]}),
        ],
        "conditional": [
            TEXT,
            Bad("a number", 3),
            Bad("shorter", np.zeros(N - 1)),
            Bad("NaN", np.full(N, np.nan)),
            Bad("all different", np.arange(N)),
            Bad("categories to predict", LinearRegression()),
        ],
        "form": choice(),
        "n_repeats": whole(0),
        "permutations": [
            TEXT,
            Bad("one dimension", orders[0]),
            Bad("fractions", orders + 0.5),
            Bad("NaN", np.full((1, N), np.nan)),
            Bad("shorter", orders[:, 1:]),
            Bad("a row twice", np.zeros((1, N), int)),
            Bad("empty", np.zeros((0, N), int)),
        ],
        "batch_rows": batch_rows(),
        "random_state": seed(),
    }


METRIC = [Bad("unknown", "cost"), NOTHING, Bad("a number", 3), LONG]
ODD_METRIC = Bad("odd length", lambda y, prediction: np.ones(3), "metric .* must return", late=True)

PERMUTATION = {
    "permutation.permutation_importance": Case(
        permutation.permutation_importance,
        lambda: {"predict": Counted(total), "X": TABLE, "y": VALUES, "metric": "squared_error", "n_repeats": 2},
        permutation_bad()
        | {
            "metric": [
                *METRIC,
                ODD_METRIC,
                Bad("for classes", "log_loss", "log_loss needs classes"),
                Bad("returns NaN", lambda y, p: y * np.nan, "metric", late=True),
            ]
        },
    ),
    "permutation.permutation_importances": Case(
        permutation.permutation_importances,
        lambda: {"predict": Counted(total), "X": TABLE, "y": VALUES, "metrics": ["squared_error", "r2"], "n_repeats": 2},
        permutation_bad()
        | {
            "metrics": [
                NOTHING,
                Bad("text", "r2"),
                Bad("empty", []),
                Bad("twice", ["r2", "r2"]),
                *[Bad(f"[{bad.what}]", [bad.value], "metric") for bad in METRIC],
            ]
        },
    ),
    "permutation.scikit_learn_permutations": Case(
        permutation.scikit_learn_permutations,
        lambda: {"n_rows": 5},
        {"n_rows": whole(1), "n_repeats": whole(0), "random_state": [*seed(), NOTHING]},
    ),
    "permutation.as_metric": Case(permutation.as_metric, lambda: {"metric": "r2"}, {"metric": METRIC}),
    "permutation.Metric.check_prediction": Case(
        permutation.METRICS["log_loss"].check_prediction,
        lambda: {"y": CLASSES, "prediction": probability(TABLE)},
        {
            "y": [Bad("a third class", CLASSES + 1, "y holds class 2")],
            "prediction": [Bad("no probabilities", VALUES, "log_loss needs probabilities, but predict returned")],
        },
    ),
}

# --- effects --------------------------------------------------------------------------------------------------------


def effects_good(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"predict": Counted(total), "X": TABLE, **more}


def grid() -> list[Bad]:
    """What is neither a number of intervals nor a list of increasing values."""
    return [
        Bad("0", 0),
        Bad("a fraction", 2.5),
        TEXT,
        NOTHING,
        Bad("a bool", True),
        Bad("NaN", np.nan),
        Bad("empty", []),
        Bad("NaN inside", [0.0, np.nan]),
        Bad("falling", [1.0, 0.0]),
        Bad("repeated", [1.0, 1.0]),
        Bad("two dimensions", np.ones((2, 2))),
        Bad("one too many", (3, 3)),
    ]


PAIR = [Bad("twice the same", ["a", "a"]), Bad("three", ["a", "b", "count"])]
BAND = {"n_resamples": [*whole(-1), Bad("one", 1)], "level": number(0, 1), "simultaneous": flag(), "random_state": seed()}
TABLE_WITH_CONSTANT = [
    *table(),
    Bad("a constant feature", TABLE.assign(a=1.0), "'a' is constant"),
    Bad("without the feature", WIDE, "feature 'a' is unknown"),
]

EFFECTS = {
    "effects.partial_dependence": Case(
        effects.partial_dependence,
        effects_good(features="a", n_resamples=3),
        {
            "predict": predict(),
            "X": TABLE_WITH_CONSTANT,
            "features": [*feature(), *PAIR],
            "grid": grid(),
            "spacing": choice(),
            "batch_rows": batch_rows(),
            **BAND,
        },
    ),
    "effects.ice": Case(
        effects.ice,
        effects_good(feature="a"),
        {
            "predict": predict(),
            "X": TABLE_WITH_CONSTANT,
            "feature": [*feature(), Bad("a pair", ["a", "b"])],
            "kind": choice(),
            "grid": grid(),
            "spacing": choice(),
            "batch_rows": batch_rows(),
        },
    ),
    "effects.ale": Case(
        effects.ale,
        effects_good(features="a", n_resamples=3),
        {
            "predict": predict(),
            "X": TABLE_WITH_CONSTANT,
            "features": [*feature(), *PAIR, Bad("a pair with a category", ["a", "kind"])],
            "bins": [*grid(), Bad("not covering", [0.0, 0.1])],
            "spacing": choice(),
            "discrete": flag(),
            "batch_rows": batch_rows(),
            **BAND,
        },
    ),
    "effects.h_statistic": Case(
        effects.h_statistic,
        effects_good(features=["a", "b"], max_rows=10),
        {
            "predict": predict(),
            "X": TABLE_WITH_CONSTANT,
            "features": [
                Bad("text", "a"),
                Bad("one", ["a"]),
                Bad("twice", ["a", "a"]),
                Bad("unknown", ["a", "height"], "height"),
                Bad("empty", []),
                Bad("a number", 3),
            ],
            "overall": flag(),
            "max_rows": whole(1),
            "random_state": seed(),
            "batch_rows": batch_rows(),
        },
    ),
    "effects.grid_points": Case(
        effects.grid_points,
        lambda: {"values": VALUES},
        {"values": vector(), "size": whole(0), "spacing": choice()},
    ),
    "effects.level_order": Case(
        effects.level_order,
        lambda: {"X": TABLE, "feature": "kind"},
        {"X": table(min_rows=1), "feature": [*feature(), Bad("a list", ["kind"])]},
    ),
}

# --- saliency -------------------------------------------------------------------------------------------------------


def net(instead: Callable[[Any], Any]) -> CountedNet:
    return CountedNet(instead)


NO_MODEL = [NOTHING, TEXT, Bad("a function", total), Bad("an estimator", LinearRegression())]
MODEL = [
    *NO_MODEL,
    Bad("returns one dimension", net(lambda scores: scores[:, 0]), "model must return class scores", late=True),
    Bad("returns a row too few", net(lambda scores: scores[1:]), "model must return class scores", late=True),
    Bad("returns NaN", net(lambda scores: scores * np.nan), "model returned missing or infinite", late=True),
    Bad("returns a list", net(lambda scores: [scores]), "model must return class scores", late=True),
]
PICTURES = [
    NOTHING,
    TEXT,
    Bad("one image", IMAGES[0]),
    Bad("a table", ARRAY),
    Bad("NaN", with_value(IMAGES, np.nan)),
    Bad("inf", with_value(IMAGES, np.inf)),
    Bad("empty", IMAGES[:0]),
    Bad("five channels", RNG.random((2, 5, 8, 8)), late=True),
    Bad("too small for the model", RNG.random((2, 3, 2, 2)), late=True),
]
TARGET = [
    Bad("negative", -1),
    Bad("a fraction", 0.5),
    TEXT,
    Bad("a bool", True),
    Bad("NaN", np.nan),
    Bad("another length", [0, 1]),
    Bad("two dimensions", np.zeros((3, 1), int)),
    Bad("no class of the model", 7, "target 7 is out of range", late=True),
]
LAYER = [
    Bad("unknown", "features.9"),
    NOTHING,
    Bad("a number", 0),
    Bad("another model's", nn.Conv2d(3, 4, 3)),
    Bad("empty", ""),
]
NO_MAPS = Bad("gives no maps", "linear", late=True)
AGAINST = [Bad(bad.what, bad.value, bad.says and bad.says.replace("target", "against"), bad.late) for bad in TARGET]
DEEP = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(300)])


def saliency_good(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"model": CountedNet(), "images": IMAGES, **more}


GRADIENT = {"model": MODEL, "images": PICTURES, "target": TARGET, "against": AGAINST, "batch_size": whole(0)}
LAYER_MAP = GRADIENT | {"layer": [*LAYER, NO_MAPS], "relu": flag()}

SALIENCY = {
    "saliency.gradient": Case(saliency.gradient, saliency_good(), GRADIENT | {"channels": choice()}),
    "saliency.smoothgrad": Case(
        saliency.smoothgrad,
        saliency_good(n_samples=2),
        GRADIENT | {"n_samples": whole(0), "noise": number(-0.1, 1.1), "channels": choice(), "random_state": seed()},
    ),
    "saliency.integrated_gradients": Case(
        saliency.integrated_gradients,
        saliency_good(steps=2),
        GRADIENT
        | {
            "baseline": [*vector(ndim_ok=(0,)), Bad("empty list", []), Bad("another image's shape", np.zeros((3, 9, 9)))],
            "steps": whole(0),
        },
    ),
    **{
        f"saliency.{name}": Case(getattr(saliency, name), saliency_good(layer="conv"), LAYER_MAP)
        for name in ("gradcam", "hirescam", "layercam")
    },
    "saliency.cam": Case(
        saliency.cam,
        saliency_good(layer="conv", head="linear"),
        GRADIENT | {"layer": [*LAYER, NO_MAPS], "head": [*LAYER, Bad("no linear layer", "conv"), Bad("not the last", "pool")]},
    ),
    "saliency.randomise_layers": Case(
        saliency.randomise_layers,
        lambda: {"model": CountedNet(), "layers": ["linear"]},
        {
            "model": NO_MODEL,
            "layers": [
                NOTHING,
                Bad("text", "linear"),
                Bad("empty", []),
                Bad("unknown", ["features.9"], "layer"),
                Bad("a number", 3),
            ],
            "random_state": seed(),
        },
    ),
    "saliency.cascading_randomisation": Case(
        saliency.cascading_randomisation,
        lambda: {"model": CountedNet(), "explain": lambda m: saliency.gradient(m, IMAGES, 0)},
        {
            "model": NO_MODEL,
            "explain": [NOTHING, TEXT, Bad("returns no maps", lambda m: 3, late=True)],
            "layers": [Bad("text", "linear"), Bad("empty", []), Bad("unknown", ["features.9"], "layer"), Bad("a number", 3)],
            "random_state": seed(),
        },
    ),
}

# --- evaluation -----------------------------------------------------------------------------------------------------

NO_MAPS_AT_ALL = [
    *vector(ndim_ok=(5,)),
    Bad("NaN inside", with_value(MAPS, np.nan)),
]
NO_MASKS = [
    NOTHING,
    TEXT,
    Bad("numbers", MAPS),
    Bad("another shape", MASKS[:, 1:]),
    Bad("another number", MASKS[1:]),
    Bad("empty mask", np.zeros_like(MASKS), "mask 0 is empty"),
    Bad("full mask", np.ones_like(MASKS), "mask 0 is full"),
]


def maps_and_masks() -> dict[str, Any]:
    return {"maps": MAPS, "masks": MASKS}


EVALUATION = {
    "evaluation.pointing_game": Case(evaluation.pointing_game, maps_and_masks, {"maps": NO_MAPS_AT_ALL, "masks": NO_MASKS}),
    "evaluation.relevance_mass": Case(evaluation.relevance_mass, maps_and_masks, {"maps": NO_MAPS_AT_ALL, "masks": NO_MASKS}),
    "evaluation.iou": Case(
        evaluation.iou,
        maps_and_masks,
        {"maps": NO_MAPS_AT_ALL, "masks": NO_MASKS, "threshold": number(0, 1.1)},
    ),
    "evaluation.deletion_curve": Case(
        evaluation.deletion_curve,
        lambda: {"predict": Counted(lambda X: X.sum(1)), "X": ARRAY, "relevance": ARRAY, "steps": 2},
        {
            "predict": [*predict(width=None), Bad("returns two columns", lambda X: X, "predict returns 2 columns", late=True)],
            "X": vector(ndim_ok=(2,)),
            "relevance": [
                *vector(ndim_ok=(2,)),
                Bad("another shape", ARRAY[:, :1]),
                Bad("NaN inside", with_value(ARRAY, np.nan)),
            ],
            "baseline": [*vector(ndim_ok=(0, 1)), Bad("another shape", np.ones(3))],
            "target": [
                Bad("negative", -1),
                Bad("a fraction", 0.5),
                TEXT,
                Bad("a bool", True),
                Bad("another length", [0, 1]),
                Bad("no such column", 7, late=True),
            ],
            "steps": whole(0),
            "least_first": flag(),
            "batch_rows": whole(0, optional=True),
        },
    ),
    "evaluation.rank_agreement": Case(
        evaluation.rank_agreement,
        lambda: {"values": ARRAY, "truth": ARRAY},
        {
            name: [*vector(ndim_ok=(2,)), Bad("another shape", ARRAY[1:]), Bad("NaN inside", with_value(ARRAY, np.nan))]
            for name in ("values", "truth")
        }
        | {"signed": flag()},
    ),
    "evaluation.resampling_effects": Case(
        evaluation.resampling_effects,
        lambda: {"predict": Counted(total), "X": TABLE[:3], "background": TABLE},
        {
            "predict": predict(),
            "X": table(min_rows=1),
            "background": [
                *table(min_rows=1),
                Bad("other columns", WIDE),
                Bad("another order", TABLE[["b", "a", "count", "kind"]]),
            ],
            "batch_rows": batch_rows(),
        },
    ),
    "evaluation.mean_interval": Case(
        evaluation.mean_interval,
        lambda: {"values": VALUES},
        {"values": [*vector(), Bad("one value", [1.0])], "level": number(0, 1)},
    ),
}

# --- results and plots ----------------------------------------------------------------------------------------------


def attribution() -> results.Attribution:
    return results.Attribution(ARRAY, 0.0, ARRAY.sum(1), ["a", "b"], ARRAY, "made up")


def attribution_of_two() -> results.Attribution:
    return results.Attribution(np.ones((3, 2, 4)), np.ones(2), np.ones((3, 2)), list("abcd"), np.ones((3, 4)), "two outputs")


def heatmap() -> results.Heatmap:
    return results.Heatmap(MAPS, np.zeros(3, int), "made up", (8, 8), np.ones(3))


def curve() -> results.DeletionCurve:
    return results.DeletionCurve(np.array([0.0, 1.0]), np.ones((3, 2)), "most relevant first")


@cache
def importance() -> results.Importance:
    return permutation.permutation_importance(total, TABLE, VALUES, metric="squared_error", n_repeats=2)


@cache
def effect() -> results.Effect:
    return effects.partial_dependence(total, TABLE, "a")


AX = [TEXT, Bad("a number", 3)]
ROW = [*whole(-1, N)]
INDEX = [*whole(-1, 3)]
IMAGE = [TEXT, Bad("another shape", np.zeros((3, 9, 9))), Bad("NaN", with_value(IMAGES[0], np.nan))]
RESULT = [NOTHING, TEXT, Bad("an array", ARRAY)]
NO_LABEL = Anything("any object can label a curve: matplotlib shows its text")

RESULTS = {
    "results.Importance.interval": Case(importance().interval, dict, {"level": number(0, 1)}),
    "results.Attribution.of_output": Case(attribution_of_two().of_output, lambda: {"index": 1}, {"index": whole(-1, 2)}),
    "results.Attribution.plot": Case(attribution().plot, dict, {"ax": AX, "row": ROW}),
    "results.Heatmap.plot": Case(
        heatmap().plot, dict, {"ax": AX, "image": IMAGE, "index": INDEX, "limit": number(0, optional=True)}
    ),
    "results.DeletionCurve.plot": Case(curve().plot, dict, {"ax": AX, "label": NO_LABEL}),
    "results.Importance.plot": Case(importance().plot, dict, {"ax": AX}),
    "results.Effect.plot": Case(effect().plot, dict, {"ax": AX}),
    "plots.attribution": Case(plots.attribution, lambda: {"result": attribution()}, {"result": RESULT, "ax": AX, "row": ROW}),
    "plots.heatmap": Case(
        plots.heatmap,
        lambda: {"result": heatmap()},
        {"result": RESULT, "ax": AX, "image": IMAGE, "index": INDEX, "limit": number(0, optional=True)},
    ),
    "plots.deletion_curve": Case(
        plots.deletion_curve, lambda: {"result": curve()}, {"result": RESULT, "ax": AX, "label": NO_LABEL}
    ),
    "plots.importance": Case(plots.importance, lambda: {"result": importance()}, {"result": RESULT, "ax": AX}),
    "plots.effect": Case(plots.effect, lambda: {"result": effect()}, {"result": RESULT, "ax": AX}),
    "plots.rug": Case(
        plots.rug,
        lambda: {"values": VALUES, "ax": plots.axes(None)},
        {"values": vector(), "ax": [*AX, NOTHING], "n_ticks": whole(0)},
    ),
    "plots.axes": Case(plots.axes, lambda: {"ax": None}, {"ax": AX}),
    "plots.small_png": Case(
        plots.small_png, lambda: {"data": plots.png(plots.axes(None).figure)}, {"data": [NOTHING, TEXT, Bad("an array", ARRAY)]}
    ),
    "plots.png": Case(plots.png, lambda: {"figure": plots.axes(None).figure}, {"figure": RESULT}),
    "plots.show": Case(
        plots.show,
        lambda: {"figure": plots.axes(None).figure, "caption": "A figure."},
        {"figure": RESULT, "caption": [NOTHING, Bad("a number", 3), Bad("empty", "")]},
    ),
}

# --- worlds ---------------------------------------------------------------------------------------------------------


@cache
def loans_world() -> Any:
    return worlds.loans(60)


def loans_truth() -> Any:
    return loans_world().truth


@cache
def houses_truth() -> Any:
    return worlds.houses(60).truth


@cache
def birds_truth() -> Any:
    return worlds.birds(40).truth


def world_table(truth: Callable[[], Any], column: str) -> list[Bad]:
    """What is no table of a world: ``column`` is one that its rule reads."""
    X = truth().background
    return [
        NOTHING,
        TEXT,
        Bad("an array", ARRAY),
        Bad("a column less", X.drop(columns=column)),
        Bad("NaN", X.assign(**{column: np.nan})),
        Bad("inf", X.assign(**{column: np.inf})),
        Bad("text in a number", X.assign(**{column: "many"})),
        Bad("no rows", X[:0]),
    ]


def shape_values(name: str) -> list[Bad]:
    """What a planted function of a number can not take; text is a level, so that it is refused by the function itself."""
    return [Bad(bad.what, bad.value, rf"^({name}|values of a numeric feature) must|^{name} has") for bad in vector()]


def optional(bads: list[Bad]) -> list[Bad]:
    return [bad for bad in bads if bad.value is not None]


KNOWN_FEATURE = [Bad("unknown", "shoe_size"), NOTHING, Bad("a number", 0), Bad("NaN", np.nan), Bad("a list", ["age_years"])]
PART = choice()
SPECIES = whole(-1, 20)
INDICES = [
    Bad("a fraction", 0.5),
    TEXT,
    Bad("negative", -1),
    Bad("too large", 40),
    Bad("empty", []),
    Bad("NaN", np.nan),
    Bad("a bool", True),
]
LOANS, HOUSES = world_table(loans_truth, "annual_income_keur"), world_table(houses_truth, "square_metres")


def bird(method: str) -> Callable[..., Any]:
    return lambda **arguments: getattr(birds_truth(), method)(**arguments)


WORLDS = {
    "worlds.loans.loans": Case(
        worlds.loans,
        lambda: {"n": 60},
        {"n": whole(59, 500_001), "third_order": flag(), "random_state": seed()},
    ),
    "worlds.loans.LoansTruth.predict": Case(loans_truth().predict, lambda: {"X": loans_truth().background}, {"X": LOANS}),
    "worlds.loans.LoansTruth.log_odds": Case(loans_truth().log_odds, lambda: {"X": loans_truth().background}, {"X": LOANS}),
    "worlds.loans.LoansTruth.centred_shape": Case(
        loans_truth().centred_shape,
        lambda: {"feature": "age_years", "values": [30, 40]},
        {"feature": KNOWN_FEATURE, "values": shape_values("values")},
    ),
    "worlds.loans.LoansTruth.interaction": Case(
        loans_truth().interaction,
        lambda: {"prior_defaults": [0, 1], "annual_income_keur": [30.0, 40.0]},
        {"prior_defaults": vector(2, ndim_ok=(0, 1, 2, 5)), "annual_income_keur": vector(2, ndim_ok=(0, 1, 2, 5))},
    ),
    "worlds.loans.LoansTruth.shapley": Case(
        loans_truth().shapley,
        lambda: {"X": loans_truth().background},
        {"X": LOANS, "background": optional(LOANS)},
    ),
    "worlds.loans.LoansTruth.pdp": Case(
        loans_truth().pdp,
        lambda: {"feature": "age_years", "grid": [30, 40]},
        {"feature": KNOWN_FEATURE, "grid": shape_values("grid"), "background": optional(LOANS)},
    ),
    "worlds.houses.houses": Case(
        worlds.houses,
        lambda: {"n": 60},
        {"n": whole(59, 500_001), "correlation": number(-0.1, 0.96), "random_state": seed()},
    ),
    "worlds.houses.HousesTruth.predict": Case(houses_truth().predict, lambda: {"X": houses_truth().background}, {"X": HOUSES}),
    "worlds.houses.HousesTruth.possible": Case(houses_truth().possible, lambda: {"X": houses_truth().background}, {"X": HOUSES}),
    "worlds.houses.HousesTruth.predict_wrong_off_support": Case(
        houses_truth().predict_wrong_off_support, lambda: {"X": houses_truth().background}, {"X": HOUSES}
    ),
    **{
        f"worlds.houses.HousesTruth.{name}": Case(
            getattr(houses_truth(), name),
            lambda argument=argument: {"feature": "square_metres", argument: [90, 100]},
            {"feature": KNOWN_FEATURE, argument: shape_values(argument)},
        )
        for name, argument in {"centred_shape": "values", "pdp": "grid", "ale": "grid"}.items()
    },
    "worlds.houses.HousesTruth.ale_of_years": Case(
        houses_truth().ale_of_years,
        lambda: {"year_built": [1950, 1960], "district_year": [1960, 1970]},
        {"year_built": vector(2, ndim_ok=(0, 1, 2, 5)), "district_year": vector(2, ndim_ok=(0, 1, 2, 5))},
    ),
    "worlds.houses.HousesTruth.bedrooms_probability": Case(
        houses_truth().bedrooms_probability,
        lambda: {"square_metres": [90, 100], "bedrooms": [2, 3]},
        {"square_metres": vector(2, ndim_ok=(0, 1, 2, 5)), "bedrooms": vector(2, ndim_ok=(0, 1, 2, 5))},
    ),
    "worlds.houses.HousesTruth.shapley": Case(
        houses_truth().shapley,
        lambda: {"X": houses_truth().background},
        {"X": HOUSES, "background": optional(HOUSES)},
    ),
    "worlds.birds.birds": Case(
        worlds.birds,
        lambda: {"n": 40},
        {
            "n": whole(39),
            "shortcut": choice(optional=True),
            "shortcut_strength": number(-0.1, 1.1),
            "marker": flag(),
            "ambiguous": flag(),
            "missing_rate": number(-0.1, 1.1, optional=True),
            "random_state": seed(),
        },
    ),
    "worlds.birds.BirdsTruth.labelled_rationales": Case(bird("labelled_rationales"), dict, {"random_state": seed()}),
    "worlds.birds.BirdsTruth.looks": Case(bird("looks"), lambda: {"species": 0}, {"species": SPECIES}),
    "worlds.birds.BirdsTruth.pivots": Case(bird("pivots"), lambda: {"species": 0}, {"species": SPECIES}),
    "worlds.birds.BirdsTruth.sibling": Case(
        bird("sibling"),
        lambda: {"species": 0, "part": birds_truth().pivots(0)[0]},
        {"species": SPECIES, "part": [*PART, Bad("no pivot", "body")]},
    ),
    "worlds.birds.BirdsTruth.mask": Case(bird("mask"), lambda: {"what": "beak"}, {"what": PART, "indices": INDICES}),
    **{
        f"worlds.birds.BirdsTruth.{name}": Case(bird(name), dict, {"indices": INDICES})
        for name in ("masks", "rationales", "captions")
    },
    "worlds.birds.BirdsTruth.predict": Case(
        bird("predict"),
        lambda: {"X": birds_truth().background},
        {"X": [*vector(ndim_ok=(2,)), Bad("five codes", np.zeros((2, 5))), Bad("NaN inside", np.full((2, 6), np.nan))]},
    ),
    "worlds.birds.BirdsTruth.templates": Case(
        bird("templates"), lambda: {"index": 0}, {"index": [*INDICES, NOTHING, Bad("several", [0, 1])]}
    ),
    "worlds.birds.BirdsTruth.render": Case(
        bird("render"),
        lambda: {"indices": 0},
        {
            "indices": INDICES,
            "without": [
                Bad(what, value, "part to leave out must be one of")
                for what, value in {"unknown": "hat", "the body": "body", "a number": 3, "unknown in a list": ["hat"]}.items()
            ],
            "background": choice(optional=True),
            "part_from": [
                TEXT,
                Bad("unknown part", {"hat": 1}, "part must be one of"),
                Bad("unknown species", {"beak": 99}, "species for 'beak'"),
                Bad("a name", {"beak": "finch"}, "species for 'beak'"),
            ],
            "marker": [bad for bad in flag() if bad.value is not None],
        },
    ),
    "worlds.birds.BirdsTruth.without": Case(
        bird("without"), lambda: {"indices": 0, "part": "beak"}, {"indices": INDICES, "part": [*PART, Bad("the body", "body")]}
    ),
    "worlds.birds.BirdsTruth.with_background": Case(
        bird("with_background"),
        lambda: {"indices": 0, "kind": "snow"},
        {"indices": INDICES, "kind": PART},
    ),
    "worlds.birds.BirdsTruth.with_part_from": Case(
        bird("with_part_from"),
        lambda: {"indices": 0, "part": "beak", "species": 3},
        {"indices": INDICES, "part": PART, "species": SPECIES},
    ),
    "worlds.birds.BirdsTruth.with_marker": Case(
        bird("with_marker"),
        lambda: {"indices": 0},
        {"indices": INDICES, "present": flag()},
    ),
}

# --- toys -----------------------------------------------------------------------------------------------------------

TOY_FEATURE = whole(-1, 3)
COALITIONS = np.array([[True, False, True]])

TOYS = {
    "worlds.toys.linear": Case(
        toys.linear,
        dict,
        {
            "weights": vector(),
            "covariance": [
                *vector(ndim_ok=(2,), optional=True),
                Bad("another size", np.eye(2)),
                Bad("not symmetric", np.triu(np.ones((3, 3)))),
                Bad("a negative variance", -np.eye(3)),
            ],
        },
    ),
    "worlds.toys.additive": Case(toys.additive, dict, {"rho": number(-1.1, 1.1)}),
    "worlds.toys.gaussian_product": Case(toys.gaussian_product, dict, {"rho": number(-1.1, 1.1)}),
    "worlds.toys.airport": Case(toys.airport, dict, {"costs": [*vector(), Bad("negative", [1.0, -1.0])]}),
    "worlds.toys.weighted_majority": Case(
        toys.weighted_majority,
        dict,
        {"quota": number(0, 8), "weights": [*vector(), Bad("negative", [9.0, -1.0])]},
    ),
    "worlds.toys.unanimity": Case(
        toys.unanimity,
        dict,
        {
            "carriers": [NOTHING, TEXT, Bad("empty", []), Bad("no such player", [7]), Bad("NaN", [np.nan]), Bad("a number", 3)],
            "n_players": whole(0),
        },
    ),
    "worlds.toys.Toy.sample": Case(toys.linear().sample, lambda: {"n": 5}, {"n": whole(0), "random_state": seed()}),
    "worlds.toys.Toy.permutation_importance": Case(
        toys.linear().permutation_importance,
        lambda: {"features": (0, 1)},
        {"features": [Bad("none", ()), *[Bad(bad.what, (bad.value,), "feature") for bad in TOY_FEATURE], Bad("twice", (0, 0))]},
    ),
    "worlds.toys.Toy.pdp": Case(
        toys.linear().pdp, lambda: {"feature": 0, "grid": [0.0]}, {"feature": TOY_FEATURE, "grid": vector()}
    ),
    "worlds.toys.Toy.ale": Case(
        toys.linear().ale, lambda: {"feature": 0, "grid": [0.0]}, {"feature": TOY_FEATURE, "grid": vector()}
    ),
    "worlds.toys.Toy.shapley": Case(
        toys.linear().shapley,
        lambda: {"X": np.ones((2, 3))},
        {"X": [*vector(ndim_ok=(2,)), Bad("another width", np.ones((2, 4))), Bad("NaN inside", np.full((2, 3), np.nan))]},
    ),
    "worlds.toys.Game.value": Case(
        toys.glove().value,
        lambda: {"coalitions": COALITIONS},
        {
            "coalitions": [
                NOTHING,
                TEXT,
                Bad("numbers", np.ones((1, 3))),
                Bad("NaN", np.full((1, 3), np.nan)),
                Bad("another width", np.ones((1, 4), bool)),
            ]
        },
    ),
}

# --- real data ------------------------------------------------------------------------------------------------------

SPLIT = {"test_size": number(0.01, 0.99), "random_state": [*seed(), NOTHING]}
DOWNLOAD = "a download"

REAL = {
    **{f"worlds.real.{name}": Case(getattr(real, name), dict, SPLIT) for name in ("breast_cancer", "diabetes", "wine", "digits")},
    "worlds.real.photograph": Case(
        real.photograph,
        lambda: {"name": "chelsea"},
        {"name": choice(), "size_pixels": whole(0, 5000, optional=True)},
    ),
    "worlds.real.mnist": Case(real.mnist, dict, SPLIT | {"full": flag()}, needs=DOWNLOAD),
    "worlds.real.cifar10": Case(real.cifar10, dict, {"full": flag(), "random_state": SPLIT["random_state"]}, needs=DOWNLOAD),
    "worlds.real.california_housing": Case(real.california_housing, dict, SPLIT | {"missing": choice()}, needs=DOWNLOAD),
    "worlds.real.compas": Case(real.compas, dict, SPLIT | {"target": choice()}, needs=DOWNLOAD),
    "worlds.real.adult": Case(real.adult, dict, SPLIT | {"missing": choice()}, needs=DOWNLOAD),
}

# --- the zoo and the method cards -----------------------------------------------------------------------------------

BIRD_CLASS = [
    Bad("negative", -1),
    Bad("too large", 20),
    Bad("a fraction", 0.5),
    TEXT,
    Bad("NaN", np.nan),
    Bad("another length", [0, 1, 2]),
    Bad("a bool", True),
]

ZOO = {
    "zoo.load": Case(zoo.load, lambda: {"name": "loans-logistic"}, {"name": choice()}),
    "zoo.card": Case(zoo.card, lambda: {"name": "loans-logistic"}, {"name": choice()}),
    "zoo.tabular.tabular": Case(
        zoo.tabular,
        lambda: {"name": "loans-logistic", "world": worlds.loans(200)},
        {"name": choice(), "world": [TEXT, Bad("a table", TABLE), Bad("another world", worlds.houses(60))]},
    ),
    "zoo.vision.part_reliance": Case(
        zoo.part_reliance,
        lambda: {"model": CountedNet(n_classes=20), "world": worlds.birds(40), "indices": [0, 1]},
        {
            "model": [
                *NO_MODEL[:-1],
                Bad("an estimator", LinearRegression(), "for torch modules"),
                Bad("two classes", CountedNet(), "predict must return 20 columns", late=True),
                Bad("returns NaN", CountedNet(lambda scores: scores * np.nan, 20), "predict returned missing", late=True),
            ],
            "world": [NOTHING, TEXT, Bad("another world", loans_world())],
            "indices": optional(INDICES),
            "target": BIRD_CLASS,
            "against": BIRD_CLASS,
        },
    ),
    "zoo.architectures.LinearObserver": Case(
        zoo.LinearObserver,
        lambda: {"templates": IMAGES},
        {"templates": [*vector(ndim_ok=(4,)), Bad("NaN inside", with_value(IMAGES, np.nan))], "noise_sd": number(0)},
    ),
}

METHODS = {
    "methods.choose": Case(
        methods.choose,
        lambda: {"question": methods.QUESTIONS[0], "data": methods.DATA[0], "access": methods.ACCESS[0]},
        {name: choice() for name in ("question", "data", "access")},
    ),
    "methods.chapters_of": Case(
        methods.chapters_of, lambda: {"cards": methods.CARDS}, {"cards": Anything("it joins what methods.choose returns")}
    ),
}

# --- exercises and labs ---------------------------------------------------------------------------------------------

UNKNOWN_CHAPTER = [Bad("unknown", "99_nowhere"), NOTHING, Bad("a number", 2), Bad("NaN", np.nan)]
UNKNOWN_EXERCISE = [
    Bad("unknown chapter", "nowhere.efficiency", "chapter"),
    NOTHING,
    Bad("a number", 3),
    Bad("empty", "", "chapter"),
]


def a_chapter() -> dict[str, Any]:
    return {"chapter": "start_here"}


def an_exercise() -> dict[str, Any]:
    return {"exercise_id": next(iter(exercises.load("start_here")))}


TEACHING = {
    "exercises.engine.card": Case(exercises.card, an_exercise, {"exercise_id": UNKNOWN_EXERCISE}),
    "exercises.engine.check": Case(
        exercises.check,
        lambda: an_exercise() | {"answer": ...},
        {
            "exercise_id": UNKNOWN_EXERCISE,
            "answer": Anything("a wrong answer is what the function is for: it gets its own message"),
            "prediction": Anything("only compared with the measured number"),
        },
    ),
    "exercises.engine.progress": Case(exercises.progress, a_chapter, {"chapter": optional(UNKNOWN_CHAPTER)}),
    **{
        f"exercises.{where}.{name}": Case(getattr(exercises, name), a_chapter, {"chapter": UNKNOWN_CHAPTER})
        for name, where in {"load": "engine", "quiz": "questions"}.items()
    },
    "exercises.questions.warmup": Case(
        exercises.warmup,
        lambda: {"chapter": "permutation"},
        {"chapter": [*UNKNOWN_CHAPTER, Bad("a chapter without one", "start_here")]},
    ),
}

CASES: dict[str, Case] = (
    MODELS | PERMUTATION | EFFECTS | SALIENCY | EVALUATION | RESULTS | WORLDS | TOYS | REAL | ZOO | METHODS | TEACHING
)
