"""What :mod:`xailib.probing` must refuse, in the manner of :mod:`tests.bad_input_cases`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from tests.bad_input_cases import AX, NOTHING, RNG, TEXT, Bad, Case, choice, number, seed, whole, with_value
from xailib import probing
from xailib.zoo.transformer import Transformer

N, D = 24, 8
TOKENS = RNG.integers(1, 10, (N, 5))
PADDED = np.where(np.arange(5) < 4, TOKENS, 0)
Y, TYPES = np.arange(N) % 2, np.arange(N) % 5
A = RNG.normal(size=(N, D)) + Y[:, None]


class CountedTransformer(Transformer):
    """Counts how often it is asked; ``instead`` answers with something else."""

    def __init__(self, instead: Any = lambda scores: scores) -> None:
        super().__init__(vocabulary=10, context=6, width=D, n_heads=2, n_layers=1)
        self.calls, self.instead = 0, instead

    def forward(self, tokens: Any) -> Any:
        self.calls += 1
        return self.instead(super().forward(tokens))


class Loose(CountedTransformer):
    """One parameter is its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


@cache
def remover() -> probing.Eraser:
    return probing.eraser(A, Y)


NARROW = probing.Eraser(np.eye(3)[:1], np.zeros(3), "by hand")
NO_HOOKS = Bad("no hook points", nn.Linear(3, 3), "model has no hook points")
MODEL = [
    NOTHING,
    TEXT,
    Bad("a number", 3),
    NO_HOOKS,
    Bad("NaN", CountedTransformer(lambda scores: scores * np.nan), "model returned missing", late=True),
    Bad("one row too few", CountedTransformer(lambda scores: scores[1:]), "model must return one row", late=True),
]
ROWS = [
    NOTHING,
    TEXT,
    Bad("a number", 3),
    Bad("one sequence without axis", TOKENS[0]),
    Bad("fractions", TOKENS / 2),
    Bad("texts", ["the key", "the keys"]),
    Bad("empty batch", TOKENS[:0], "tokens are empty"),
    Bad("empty sequences", TOKENS[:, :0], "tokens are empty"),
    Bad("too long", np.ones((N, 7), int), "the model reads 6 at most"),
    Bad("not in the vocabulary", TOKENS + 90, "from 0 to 9"),
    Bad("negative", -TOKENS, "from 0 to 9"),
    Bad("nothing but padding", np.where(np.arange(N)[:, None] == 2, 0, TOKENS), "nothing but padding in sequence 2"),
]
POINT = [
    Bad("nothing", None, "not a hook point"),
    Bad("unknown", "blocks.0.resid_posr", "not a hook point of the model.* it has embedded, final,.* resid_post"),
    Bad("a number", 3, "not a hook point"),
    Bad("a block that is not there", "blocks.7.resid_post", "not a hook point"),
    Bad("a module that is no hook point", "tokens", "not a hook point of the model.* it has embedded, final,"),
]


def positions(name: str = "positions", *, mean: bool = True) -> list[Bad]:
    wrong = [
        TEXT,
        Bad("a fraction", 1.5),
        Bad("outside", 5, f"{name} must lie in 0 to 4"),
        Bad("negative", -1, f"{name} must lie in 0 to 4"),
        Bad("too few", np.zeros(3, int)),
        Bad("a mask of another shape", np.ones((N, 4), bool)),
        Bad("an empty mask", np.zeros((N, 5), bool), f"{name} mark nothing"),
        Bad("NaN", np.full(N, np.nan)),
    ]
    return [Bad(bad.what, bad.value, bad.says or name) for bad in wrong] + ([] if mean else [Bad("mean", "mean", name)])


def values(name: str = "A", n: int = N) -> list[Bad]:
    return [
        NOTHING,
        TEXT,
        Bad("one dimension", A[:, 0]),
        Bad("three dimensions", A[None]),
        Bad("NaN", with_value(A, np.nan)),
        Bad("inf", with_value(A, np.inf)),
        Bad("empty", A[:0]),
        Bad("two rows", A[:2]),
        Bad("other rows", A[:-1], "A and y must have one entry per row"),
    ]


LABELS = [
    NOTHING,
    TEXT,
    Bad("one class", np.zeros(N, int), "y has one class only"),
    Bad("fractions", Y / 2),
    Bad("NaN", np.full(N, np.nan)),
    Bad("two dimensions", np.eye(N, dtype=int)),
    Bad("empty", np.array([], dtype=int)),
    Bad("a label missing", np.array([None, *["a", "b"] * 11, "a"], dtype=object)),
]
FEWER = Bad("fewer", Y[:-1], "y")


def names(argument: str, *, optional: bool = True) -> list[Bad]:
    wrong = [
        TEXT,
        Bad("fractions", Y / 2),
        Bad("fewer", Y[:-1]),
        Bad("two dimensions", np.eye(N, dtype=int)),
        Bad("empty", np.array([], dtype=int)),
    ]
    few = [Bad("two groups", Y, "groups must be three or more")] if argument == "groups" else []
    return wrong + few + ([] if optional else [NOTHING])


PROBE = [
    NOTHING,
    Bad("unknown", "forest"),
    Bad("a number", 3),
    Bad("a class", DecisionTreeClassifier),
    Bad("a function", lambda X, y: X),
]
SPLITS = {"n_splits": whole(1), "random_state": seed()}
FIT = {"A": values(), "y": [*LABELS, FEWER], "groups": names("groups"), "probe": PROBE}


def good(**more: Any) -> Any:
    return lambda: {"model": CountedTransformer(), "tokens": TOKENS, **more}


def values_for_method(name: str) -> list[Bad]:
    return [NOTHING, TEXT, Bad("one dimension", A[:, 0]), Bad("another width", A[:, :3]), Bad("NaN", with_value(A, np.nan))]


ERASERS = [
    TEXT,
    Bad("an eraser alone", remover()),
    Bad("unknown point", {"nowhere": remover()}, "not a hook point"),
    Bad("no eraser", {"embedded": A}, r"erase\['embedded'\] must be of type Eraser"),
    Bad("another width", {"embedded": NARROW}, "takes 3 numbers", late=True),
]
BEHAVIOUR = [
    NOTHING,
    TEXT,
    Bad("one number", lambda scores: 1.0, "behaviour must return one finite number per sequence", late=True),
    Bad("a matrix", lambda scores: scores[:, 0], "behaviour must return one finite number per sequence", late=True),
    Bad("NaN", lambda scores: scores[:, 0, 0] * np.nan, "behaviour must return", late=True),
    Bad("texts", lambda scores: np.array(["a"] * N), "behaviour must return", late=True),
]
BATCH = {"batch_size": whole(0), "padding": whole(-1, optional=True)}

CASES: dict[str, Case] = {
    "probing.activations": Case(
        probing.activations,
        good(point="blocks.0.resid_post"),
        {
            "model": MODEL,
            "tokens": ROWS,
            "point": POINT,
            "positions": positions(),
            "erase": ERASERS,
            "erase_positions": positions("erase_positions", mean=False),
            **BATCH,
        },
    ),
    "probing.untrained": Case(
        probing.untrained,
        lambda: {"model": CountedTransformer()},
        {"model": [NOTHING, TEXT, Bad("a loose parameter", Loose(), "model's parameter 'scale'")], "random_state": seed()},
    ),
    "probing.linear_probe": Case(probing.linear_probe, dict, {"penalty": number(0)}),
    "probing.mlp_probe": Case(probing.mlp_probe, dict, {"hidden": whole(0), "penalty": number(-1.0), "steps": whole(0)}),
    "probing.control_labels": Case(
        probing.control_labels,
        lambda: {"types": TYPES, "y": Y},
        {"types": names("types", optional=False), "y": [*LABELS, Bad("fewer", Y[:-1], "types")], "random_state": seed()},
    ),
    "probing.measure": Case(
        probing.measure,
        lambda: {"A": A, "y": Y, "n_splits": 2},
        {
            **FIT,
            **SPLITS,
            "types": names("types"),
            "test_share": number(0, 1),
            "n_train": whole(1, optional=True),
        },
    ),
    "probing.Measurement.interval": Case(
        probing.measure(A, Y, n_splits=2).interval,
        dict,
        {"what": [*choice(), Bad("no control task", "control", "give types")], "level": number(0, 1)},
    ),
    "probing.Measurement.difference": Case(
        probing.measure(A, Y, n_splits=2).difference,
        lambda: {"other": probing.measure(A, Y, n_splits=2)},
        {
            "other": [
                NOTHING,
                TEXT,
                Bad("an accuracy", 0.9),
                Bad("other splits", probing.measure(A, Y, n_splits=3), "other must come from the same splits"),
                Bad("other rows", probing.measure(A[:20], Y[:20], n_splits=2), "other must come from the same splits"),
            ],
            "level": number(0, 1),
        },
    ),
    "probing.Measurement.plot": Case(probing.measure(A, Y, n_splits=2).plot, dict, {"ax": AX}),
    "probing.detect": Case(
        probing.detect,
        lambda: {"A": A, "y": Y, "n_shuffles": 19},
        {
            **FIT,
            "A": [
                *values(),
                Bad("an empty dictionary", {}, "A is empty"),
                Bad("a bad point", {"a": A, "b": A[:, 0]}, r"A\['b'\]"),
            ],
            "groups": [*names("groups"), Bad("labels that differ within", np.arange(N) // 4, "y must be the same")],
            "n_shuffles": [*whole(0), Bad("too few for the level", 18, "cannot reach level=0.05: take 19")],
            "test_share": number(0, 1),
            "level": number(0, 1),
            "random_state": seed(),
        },
    ),
    "probing.Detection.plot": Case(probing.detect(A, Y, n_shuffles=19).plot, dict, {"ax": AX}),
    "probing.code_length": Case(
        probing.code_length,
        lambda: {"A": A, "y": Y, "n_orders": 1},
        {
            **FIT,
            "probe": [*PROBE, Bad("no probabilities", RidgeClassifier(), "probe must give probabilities")],
            "ends": [
                NOTHING,
                TEXT,
                Bad("falling", [0.5, 0.2, 1.0]),
                Bad("not to the end", [0.1, 0.5]),
                Bad("zero", [0.0, 1.0]),
                Bad("empty", []),
                Bad("NaN", [np.nan, 1.0]),
            ],
            "n_orders": whole(0),
            "random_state": seed(),
        },
    ),
    "probing.CodeLength.plot": Case(probing.code_length(A, Y, n_orders=1).plot, dict, {"ax": AX}),
    "probing.sweep": Case(
        probing.sweep,
        good(y=Y, positions=1, n_splits=2, n_untrained=0),
        {
            "model": MODEL,
            "tokens": ROWS,
            "y": [*LABELS, Bad("fewer", Y[:-1], "y has 23 labels, but the positions give 24 rows")],
            "positions": positions(),
            "points": [
                TEXT,
                Bad("empty", []),
                Bad("a number", 3),
                Bad("unknown", ["embedded", "nowhere"], "not a hook point"),
            ],
            "types": names("types"),
            "groups": names("groups"),
            "probe": PROBE,
            "n_splits": whole(1),
            "n_untrained": [*whole(-1), Bad("one", 1, "n_untrained=1 gives no interval")],
            "random_state": seed(),
            **BATCH,
        },
    ),
    "probing.Sweep.plot": Case(
        probing.sweep(CountedTransformer(), TOKENS, Y, positions=1, n_splits=2, n_untrained=0).plot, dict, {"ax": AX}
    ),
    "probing.eraser": Case(
        probing.eraser,
        lambda: {"A": A, "y": Y},
        {
            "A": [*values(), Bad("equal means", np.repeat(A[::2], 2, axis=0), "same mean in A")],
            "y": [*LABELS, FEWER],
            "within": [
                *names("within"),
                Bad("the property itself", Y, "within has a class without any 1 of y"),
            ],
            "method": choice(),
            "max_directions": whole(0),
            "random_state": seed(),
        },
    ),
    "probing.Eraser.apply": Case(remover().apply, lambda: {"A": A}, {"A": values_for_method("A")}),
    "probing.Eraser.removed_share": Case(
        remover().removed_share, lambda: {"A": A}, {"A": [*values_for_method("A"), Bad("one row", A[:1])]}
    ),
    "probing.amnesic": Case(
        probing.amnesic,
        good(point="blocks.0.resid_post", remover=remover(), behaviour=lambda scores: scores[:, 0, 0], n_random=1),
        {
            "model": MODEL,
            "tokens": ROWS,
            "point": POINT,
            "remover": [NOTHING, TEXT, Bad("an array", A), Bad("another width", NARROW, "remover takes 3 numbers", late=True)],
            "behaviour": BEHAVIOUR,
            "positions": positions(mean=False),
            "n_random": whole(0),
            "random": choice(),
            "random_state": seed(),
            **BATCH,
        },
    ),
    "probing.Amnesic.plot": Case(
        probing.amnesic(CountedTransformer(), TOKENS, "embedded", remover(), lambda scores: scores[:, 0, 0], n_random=1).plot,
        dict,
        {"ax": AX},
    ),
}
