"""What :mod:`xailib.tcav` must refuse, in the manner of :mod:`tests.bad_input_cases`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from tests.bad_input_cases import (
    AGAINST,
    ARRAY,
    AX,
    IMAGES,
    LAYER,
    MODEL,
    NOTHING,
    PICTURES,
    RESULT,
    RNG,
    TARGET,
    TEXT,
    Bad,
    Case,
    CountedNet,
    choice,
    flag,
    number,
    seed,
    whole,
    with_value,
)
from xailib import plots, tcav

POOL = RNG.random((24, 3, 8, 8))
SETS = [POOL[:6], POOL[6:12], POOL[12:18]]
ACTIVATIONS = RNG.normal(size=(6, 5))


def good(**more: Any) -> Any:
    return lambda: {"model": CountedNet(), "images": IMAGES, **more}


@cache
def vector() -> tcav.Cav:
    return tcav.cav(RNG.normal(size=(5, 4 * 36)), RNG.normal(size=(5, 4 * 36)))


@cache
def found() -> tcav.Scores:
    return tcav.scores(CountedNet(), IMAGES, 0, {"c": POOL[18:]}, SETS, ["conv"])


CLASSIFIER = [
    *choice(),
    Bad("a class", DecisionTreeClassifier),
    Bad("a function", lambda X, y: X),
]
FIT = {
    "classifier": CLASSIFIER,
    "penalty": [*number(0), Bad("negative", -1.0)],
    "test_share": number(-0.1, 1),
    "random_state": seed(),
}
NOT_LINEAR = Bad("not linear", DecisionTreeClassifier(), "gives no coef_", late=True)
POSITIONS = {"positions": choice(), "batch_size": whole(0)}
ONE_LAYER = {"layer": LAYER}
MANY_LAYERS = {
    "layers": [
        NOTHING,
        Bad("text", "conv"),
        Bad("empty", []),
        Bad("unknown", ["conv", "cnov"], "did you mean 'conv'"),
        Bad("a number", 3),
    ]
}
GRADIENT = {"model": MODEL, "images": PICTURES, "target": TARGET, "against": AGAINST, "of": choice(), **POSITIONS}


def image_sets(name: str, *, few: Any) -> list[Bad]:
    """Bad members of a list of image arrays; ``few`` has too few of them."""
    members = {
        "one image in a set": POOL[:1],
        "no batch": POOL[0],
        "another size": POOL[:6, :, :4],
        "NaN": with_value(POOL[:6], np.nan),
        "text": "many",
    }
    return [NOTHING, Bad("a number", 3), Bad("text", "many"), Bad("too few", few)] + [
        Bad(f"a set: {what}", [POOL[:6], POOL[6:12], value], name) for what, value in members.items()
    ]


def named_sets(*, few: Any) -> list[Bad]:
    wrong = [Bad(bad.what, dict(zip("abc", bad.value, strict=True)), bad.says) for bad in image_sets("concepts", few=few)[4:]]
    return [
        NOTHING,
        TEXT,
        Bad("a list", SETS),
        Bad("names that are numbers", {1: POOL[:6], 2: POOL[6:]}),
        Bad("too few", few),
        *wrong,
    ]


def examples(name: str) -> list[Bad]:
    return [
        NOTHING,
        TEXT,
        Bad("one dimension", np.ones(5)),
        Bad("one example", ACTIVATIONS[:1]),
        Bad("another layer's", ACTIVATIONS[:, :3], "concept and random must come from one layer"),
        Bad("NaN", with_value(ACTIVATIONS, np.nan)),
        Bad("inf", with_value(ACTIVATIONS, np.inf)),
        Bad("empty", ACTIVATIONS[:0]),
    ]


CASES: dict[str, Case] = {
    "tcav.activations": Case(
        tcav.activations, good(layer="conv"), {"model": MODEL, "images": PICTURES, **ONE_LAYER, **POSITIONS}
    ),
    "tcav.gradients": Case(tcav.gradients, good(layer="conv"), {**GRADIENT, **ONE_LAYER}),
    "tcav.cav": Case(
        tcav.cav,
        lambda: {"concept": ACTIVATIONS, "random": ACTIVATIONS + 1},
        {"concept": examples("concept"), "random": examples("random"), **FIT, "classifier": [*CLASSIFIER, NOT_LINEAR]},
    ),
    "tcav.Cav.decision": Case(
        tcav.cav(ACTIVATIONS, ACTIVATIONS + 1).decision,
        lambda: {"activations": ACTIVATIONS},
        {
            "activations": [
                NOTHING,
                TEXT,
                Bad("one dimension", np.ones(5)),
                Bad("another width", ACTIVATIONS[:, :3]),
                Bad("NaN", with_value(ACTIVATIONS, np.nan)),
            ]
        },
    ),
    "tcav.sensitivity": Case(
        tcav.sensitivity,
        lambda: {"model": CountedNet(), "images": IMAGES, "layer": "conv", "target": 0, "cavs": vector()},
        {
            **GRADIENT,
            **ONE_LAYER,
            "cavs": [
                NOTHING,
                TEXT,
                Bad("an array", ARRAY),
                Bad("empty", []),
                Bad("a list of arrays", [ARRAY]),
                Bad("another layer's", tcav.cav(ACTIVATIONS, ACTIVATIONS + 1), late=True),
            ],
        },
    ),
    "tcav.random_sets": Case(
        tcav.random_sets,
        lambda: {"pool": POOL, "n_sets": 3, "set_size": 4},
        {
            "pool": [bad for bad in PICTURES if not bad.late],
            "n_sets": [*whole(0), Bad("more than there are", 9, "pool has 24 images")],
            "set_size": [*whole(1), Bad("more than there are", 9, "pool has 24 images")],
            "bootstrap": flag(),
            "random_state": seed(),
        },
    ),
    "tcav.scores": Case(
        tcav.scores,
        good(target=0, concepts={"c": POOL[18:]}, random_sets=SETS, layers=["conv"]),
        {
            **GRADIENT,
            **FIT,
            **MANY_LAYERS,
            "classifier": [*CLASSIFIER, NOT_LINEAR],
            "images": [bad for bad in PICTURES if not bad.late] + [Bad("another size", POOL[:, :, :4], "concepts.0. has images")],
            "concepts": named_sets(few={}),
            "random_sets": image_sets("random_sets", few=SETS[:1]),
            "controls": flag(),
        },
    ),
    "tcav.relative_scores": Case(
        tcav.relative_scores,
        good(target=0, concepts={"a": POOL[:6], "b": POOL[6:12]}, layers=["conv"], n_runs=2, n_relabelled=3),
        {
            **GRADIENT,
            **FIT,
            **MANY_LAYERS,
            "images": [bad for bad in PICTURES if not bad.late] + [Bad("another size", POOL[:, :, :4], "concepts.0. has images")],
            "concepts": named_sets(few={"a": POOL[:6]}),
            "n_runs": whole(1),
            "n_relabelled": whole(0),
        },
    ),
    "tcav.false_alarms": Case(
        tcav.false_alarms,
        good(target=0, layer="conv", pool=POOL, n_concepts=1, n_sets=3, set_size=6),
        {
            **GRADIENT,
            **FIT,
            **ONE_LAYER,
            "images": [bad for bad in PICTURES if not bad.late] + [Bad("another size", POOL[:, :, :4], "pool has images")],
            "pool": [bad for bad in PICTURES if not bad.late]
            + [Bad("too few", POOL[:9], "pool has 9 images"), Bad("another size", POOL[:, :, :4])],
            "edited": [TEXT, Bad("other images", POOL[:5]), Bad("NaN", with_value(POOL, np.nan))],
            "n_concepts": whole(0),
            "n_sets": whole(1),
            "set_size": whole(1),
        },
    ),
    "tcav.Scores.test": Case(
        found().test,
        dict,
        {
            "method": choice(),
            "statistic": choice(),
            "variance": choice(),
            "correction": choice(optional=True),
            "level": number(0, 1),
        },
    ),
    "tcav.Scores.plot": Case(found().plot, dict, {"ax": AX, "statistic": choice()}),
    "plots.concept_scores": Case(
        plots.concept_scores, lambda: {"result": found()}, {"result": RESULT, "ax": AX, "statistic": choice()}
    ),
}
