"""Bad arguments of I2X: joins the table of tests/bad_input_cases.py."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.bad_input_cases import (
    IMAGES,
    NO_MODEL,
    NOTHING,
    PICTURES,
    TARGET,
    TEXT,
    Bad,
    Case,
    CountedNet,
    choice,
    flag,
    number,
    seed,
    vector,
    whole,
    with_value,
)
from xailib import i2x
from xailib.i2x import checks, curation, explanation, prototypes, tracing, training

RNG = np.random.default_rng(0)
N, K, C, T = 30, 3, 2, 2
MANY = RNG.random((N, 3, 8, 8))
Y = np.arange(N) % 2


@cache
def checkpoints() -> i2x.Checkpoints:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return i2x.collect([CountedNet() for _ in range(T + 1)])


@cache
def found() -> i2x.Prototypes:
    return i2x.find_prototypes(checkpoints().model, MANY, "conv", K)


@cache
def traced() -> i2x.Trace:
    return i2x.trace(checkpoints(), MANY, Y, found(), relu=False)


@cache
def effects() -> i2x.Effects:
    return i2x.explain(traced())


@cache
def covered() -> i2x.Occlusion:
    return i2x.occlude(checkpoints().model, MANY, found(), per_prototype=2)


def groups(n: int = N) -> i2x.Groups:
    return i2x.Groups(np.arange(n) % 2, 2, n, 0.0, found=True)


def frozen() -> nn.Module:
    return CountedNet().requires_grad_(False)


CURATION = i2x.Curation(np.arange(4, N), np.arange(4), "the first four")
LOSSES = RNG.random(N)

TRAINABLE = [
    *NO_MODEL,
    Bad("half precision", CountedNet().half(), r"model is in torch.float16.*train model.float"),
    Bad("frozen", frozen(), "no parameter that requires a gradient"),
]
LAYER = [
    Bad("unknown", "features.9"),
    NOTHING,
    Bad("a number", 0),
    Bad("another model's", nn.Conv2d(3, 4, 3)),
    Bad("gives no maps", "linear", late=True),
]


def labels(n: int = N, *, late: bool = True) -> list[Bad]:
    wrong = [
        NOTHING,
        TEXT,
        Bad("another length", [0, 1]),
        Bad("negative", np.where(np.arange(n) == 0, -1, 0)),
        Bad("fractions", np.full(n, 0.5)),
    ]
    return wrong + ([Bad("no class of the model", np.full(n, 7), "labels .*7.*2 classes", late=True)] if late else [])


def an_instance(*others: Any) -> list[Bad]:
    return [NOTHING, TEXT, Bad("a number", 3), *[Bad(f"a {type(other).__name__}", other) for other in others]]


PAIR = [
    NOTHING,
    TEXT,
    Bad("one class", 1),
    Bad("three", (0, 1, 1)),
    Bad("the same twice", (1, 1)),
    Bad("negative", (-1, 0)),
    Bad("unknown", (0, 9)),
    Bad("fractions", (0.5, 1.0)),
]
CHECKPOINTS = an_instance(CountedNet(), [CountedNet(), CountedNet()])
PROTOTYPES = [*an_instance(CountedNet()), Bad("of another layer", replace(found(), layer="nowhere"))]
NARROW = replace(found(), mean=found().mean[:2], axes=found().axes[:, :2])
OTHER_WIDTH = Bad("of another width", NARROW, "prototypes were found in 2 channels, but .* 4", late=True)
TRACE = an_instance(checkpoints())
ALPHA = number(0)
TRAINING = {
    "batch_size": whole(0),
    "learning_rate": number(0),
    "weight_decay": number(-0.1),
    "random_state": [Bad("negative", -1), Bad("a fraction", 0.5), TEXT, Bad("a bool", True), NOTHING],
}
SOURCE = [*choice(), Bad("no transformer", "rollout", "source 'rollout' needs a transformer")]
LOOK = {"source": SOURCE, "relu": flag(), "normalise": flag(), "batch_size": whole(0)}
ROWS = [*vector(ndim_ok=(2,)), Bad("NaN inside", with_value(np.ones((N, K)), np.nan))]
GROUPS = [TEXT, Bad("a number", 3), Bad("one for two stretches", [groups()]), Bad("of other images", [groups(5)] * T)]
SHARE = number(0, 1.1)
NO_ROW = [Bad("negative", -1), Bad("too large", 99), TEXT, Bad("a fraction", 0.5), Bad("empty", [])]


def model_and_images(**more: Any) -> Any:
    return lambda: {"model": CountedNet(), "images": MANY, **more}


TRAIN = {
    "training.collect": Case(
        training.collect,
        lambda: {"models": [checkpoints().states[0], checkpoints().states[1]], "model": CountedNet(), "steps": [0, 5]},
        {
            "models": [
                NOTHING,
                TEXT,
                Bad("no checkpoints", []),
                Bad("one checkpoint", [CountedNet()], "models holds one checkpoint, but a change needs two"),
                Bad("numbers", [1, 2]),
                Bad("another architecture", [CountedNet(n_classes=3), CountedNet()], "checkpoint 0 differs"),
                Bad("a function among them", [CountedNet(), len]),
            ],
            "model": [NOTHING, TEXT, Bad("of other shapes", CountedNet(n_classes=3), "checkpoint 0 differs")],
            "steps": [TEXT, Bad("too few", [3]), Bad("falling", [5, 0]), Bad("fractions", [0.5, 1.5]), Bad("a number", 3)],
        },
    ),
    "training.Checkpoints.at": Case(lambda t: checkpoints().at(t), lambda: {"t": 1}, {"t": whole(-1, T + 1)}),
    "training.train": Case(
        training.train,
        model_and_images(labels=Y, keep=2, batch_size=10),
        {
            "model": TRAINABLE,
            "images": PICTURES,
            "labels": labels(),
            "keep": [
                NOTHING,
                TEXT,
                Bad("zero", 0),
                Bad("a fraction", 1.5),
                Bad("more than updates", 9, "keep is 9, but this training has 3 updates"),
                Bad("one state", [3]),
                Bad("falling", [3, 0]),
                Bad("without the final model", [0, 2]),
            ],
            "epochs": whole(0),
            **TRAINING,
        },
    ),
    "training.fine_tune": Case(
        training.fine_tune,
        model_and_images(labels=Y, stages=[range(10)]),
        {
            "model": TRAINABLE,
            "images": PICTURES,
            "labels": labels(),
            "stages": [
                NOTHING,
                TEXT,
                Bad("none", []),
                Bad("a number", 3),
                Bad("no images in one", [range(5), []]),
                Bad("an unknown image", [[0, N]]),
                Bad("text for one", ["all"]),
            ],
            "epochs": whole(0),
            **TRAINING,
        },
    ),
}

FIND = {
    "prototypes.find_prototypes": Case(
        prototypes.find_prototypes,
        model_and_images(layer="conv", n_prototypes=K),
        {
            "model": NO_MODEL,
            "images": [*PICTURES, Bad("all the same", np.zeros_like(MANY), "the same features everywhere", late=True)],
            "layer": LAYER,
            "n_prototypes": [*whole(1), Bad("more than images", N + 1, f"n_prototypes is {N + 1}, but there are {N} images")],
            "variance": number(0, 1.1),
            "max_dims": whole(0),
            "max_vectors": whole(K - 1),
            "random_state": seed(),
            "batch_size": whole(0),
        },
    ),
    "prototypes.Prototypes.assign": Case(
        lambda features: found().assign(features),
        lambda: {"features": RNG.random((2, 4, 6, 6))},
        {"features": [*vector(ndim_ok=(4,)), Bad("another width", np.ones((2, 3, 6, 6)))]},
    ),
    "prototypes.assign": Case(
        prototypes.assign,
        model_and_images(prototypes=found()),
        {"model": NO_MODEL, "images": PICTURES, "prototypes": [*PROTOTYPES, OTHER_WIDTH], "batch_size": whole(0)},
    ),
    "prototypes.exemplars": Case(
        prototypes.exemplars,
        model_and_images(prototypes=found()),
        {
            "model": NO_MODEL,
            "images": PICTURES,
            "prototypes": [*PROTOTYPES, OTHER_WIDTH],
            "n_images": whole(0),
            "batch_size": whole(0),
        },
    ),
}

FOLLOW = {
    "tracing.trace": Case(
        tracing.trace,
        lambda: {"checkpoints": checkpoints(), "images": MANY, "labels": Y, "prototypes": found()},
        {
            "checkpoints": CHECKPOINTS,
            "images": PICTURES,
            "labels": labels(),
            "prototypes": [*PROTOTYPES, OTHER_WIDTH],
            "target": [bad for bad in TARGET if bad.value is not None],
            **LOOK,
        },
    ),
    "tracing.attention_maps": Case(
        tracing.attention_maps,
        lambda: {"checkpoints": checkpoints(), "images": IMAGES, "target": 0, "layer": "conv"},
        {"checkpoints": CHECKPOINTS, "images": PICTURES, "target": [*TARGET, NOTHING], "layer": LAYER, **LOOK},
    ),
    "tracing.intensities": Case(
        tracing.intensities,
        lambda: {"maps": np.ones((2, 3, 3)), "assignments": np.ones((2, 3, 3), int), "n_prototypes": 2},
        {
            "maps": vector(ndim_ok=(3,)),
            "assignments": [
                NOTHING,
                TEXT,
                Bad("fractions", np.full((2, 3, 3), 0.5)),
                Bad("another shape", np.zeros((2, 3), int)),
                Bad("negative", np.full((2, 3, 3), -1)),
                Bad("no such prototype", np.full((2, 3, 3), 2)),
            ],
            "n_prototypes": [*whole(0), Bad("too few", 1, "assignments must lie in 0 to 0")],
        },
    ),
    "tracing.Trace.dP": Case(lambda t: traced().dP(t), lambda: {"t": 0}, {"t": whole(-1, T)}),
    "tracing.Trace.dY": Case(lambda t: traced().dY(t), lambda: {"t": 0}, {"t": whole(-1, T)}),
}

EXPLAIN = {
    "explanation.ridge": Case(
        explanation.ridge,
        lambda: {"dP": RNG.random((N, K)), "dY": RNG.random((N, C))},
        {
            "dP": [*ROWS, Bad("fewer rows", np.ones((N - 1, K)))],
            "dY": [*ROWS, Bad("fewer rows", np.ones((N - 1, C)))],
            "alpha": ALPHA,
            "weights": [*vector(N, optional=True), Bad("zero", np.zeros(N))],
            "standardise": flag(),
            "centre": flag(),
        },
    ),
    "explanation.find_groups": Case(
        explanation.find_groups,
        lambda: {"dY": RNG.random((N, C))},
        {
            "dY": [*ROWS, Bad("one row", np.ones((1, C)))],
            "min_cluster_size": whole(1, optional=True),
            "max_rows": whole(1),
            "random_state": seed(),
        },
    ),
    "explanation.Groups.means": Case(
        lambda values: groups().means(values),
        lambda: {"values": RNG.random((N, 2))},
        {"values": [*ROWS, Bad("another length", np.ones((5, 2)))]},
    ),
    "explanation.explain": Case(
        explanation.explain,
        lambda: {"trace": traced()},
        {
            "trace": TRACE,
            "alpha": ALPHA,
            "mode": choice(),
            "groups": GROUPS,
            "standardise": flag(),
            "centre": flag(),
        },
    ),
    "explanation.group_effects": Case(
        explanation.group_effects,
        lambda: {"trace": traced(), "t": 0, "groups": groups()},
        {
            "trace": TRACE,
            "t": whole(-1, T),
            "groups": [*an_instance(), Bad("of other images", groups(5))],
            "alpha": ALPHA,
            "standardise": flag(),
        },
    ),
    "explanation.shared_prototypes": Case(
        explanation.shared_prototypes,
        lambda: {"trace": traced(), "effects": effects(), "groups": [groups()] * T},
        {
            "trace": TRACE,
            "effects": [*an_instance(traced()), Bad("of another trace", replace(effects(), beta=effects().beta[:1]))],
            "groups": GROUPS,
            "share": SHARE,
            "present_in": SHARE,
        },
    ),
    "explanation.separation": Case(
        explanation.separation, lambda: {"trace": traced()}, {"trace": TRACE, "accuracy": number(0.5, 1.1)}
    ),
    "explanation.Effects.intra_class": Case(
        lambda label, top=5: effects().intra_class(label, top=top), lambda: {"label": 0}, {"label": whole(-1, C), "top": whole(0)}
    ),
    "explanation.Effects.inter_class": Case(lambda pair: effects().inter_class(pair), lambda: {"pair": (0, 1)}, {"pair": PAIR}),
    "explanation.Effects.plot": Case(
        lambda label, ax=None, top=12: effects().plot(label, ax, top=top),
        lambda: {"label": 0},
        {"label": whole(-1, C), "ax": [TEXT, Bad("a number", 3)], "top": whole(0)},
    ),
}

CURATE = {
    "curation.most_confused": Case(
        curation.most_confused,
        lambda: {"predicted": [0, 1, 1], "labels": [0, 1, 0]},
        {
            "predicted": [*labels(3, late=False), Bad("empty", []), Bad("all right", [0, 1, 0], "no two classes are confused")],
            "labels": labels(3, late=False),
        },
    ),
    "curation.confusions": Case(
        curation.confusions,
        lambda: {"predicted": [0, 1, 1], "labels": [0, 1, 0], "pair": (0, 1)},
        {"predicted": [*labels(3, late=False), Bad("empty", [])], "labels": labels(3, late=False), "pair": PAIR},
    ),
    "curation.uncertain_prototypes": Case(
        curation.uncertain_prototypes,
        lambda: {"effects": effects(), "pair": (0, 1)},
        {
            "effects": an_instance(traced()),
            "pair": PAIR,
            "min_changes": whole(0),
            "active": number(-0.1, 1),
            "swing": number(-0.1, 1.1),
        },
    ),
    "curation.curate": Case(
        curation.curate,
        lambda: {"trace": traced(), "prototypes": [0], "rule": "intensity"},
        {
            "trace": TRACE,
            "prototypes": [NOTHING, *NO_ROW],
            "pair": [bad for bad in PAIR if bad.value is not None],
            "rule": choice(),
            "share": SHARE,
            "quantile": number(0, 1),
        },
    ),
    "curation.random_removal": Case(
        curation.random_removal,
        lambda: {"curation": CURATION, "labels": Y},
        {"curation": an_instance(traced()), "labels": labels(late=False), "random_state": seed()},
    ),
    "curation.matched_removal": Case(
        curation.matched_removal,
        lambda: {"curation": CURATION, "labels": Y, "losses": LOSSES},
        {
            "curation": an_instance(traced()),
            "labels": labels(late=False),
            "losses": vector(N),
            "bins": whole(0),
            "random_state": seed(),
        },
    ),
    "curation.Curation.removed_per_class": Case(
        lambda labels: CURATION.removed_per_class(labels), lambda: {"labels": Y}, {"labels": labels(late=False)}
    ),
    "curation.Curation.overlap": Case(
        lambda other: CURATION.overlap(other), lambda: {"other": CURATION}, {"other": an_instance(Y)}
    ),
    "curation.protocol": Case(
        curation.protocol,
        model_and_images(
            labels=Y, curation=CURATION, losses=LOSSES, test_images=MANY[:5], test_labels=Y[:5], pair=(0, 1), batch_size=15
        ),
        {
            "model": TRAINABLE,
            "images": PICTURES,
            "labels": labels(),
            "curation": [*an_instance(traced()), Bad("of other images", i2x.Curation(np.arange(3), np.arange(3, 5), "five"))],
            "losses": vector(N),
            "test_images": [bad for bad in PICTURES if not bad.late],
            "test_labels": labels(5, late=False),
            "pair": PAIR,
            "epochs": whole(0),
            **TRAINING,
        },
    ),
}

CHECK = {
    "checks.choose_n_prototypes": Case(
        checks.choose_n_prototypes,
        lambda: {
            "checkpoints": checkpoints(),
            "images": MANY,
            "labels": Y,
            "layer": "conv",
            "candidates": [2, 4],
            "folds": 2,
        },
        {
            "checkpoints": CHECKPOINTS,
            "images": PICTURES,
            "labels": labels(),
            "layer": LAYER,
            "candidates": [
                NOTHING,
                TEXT,
                Bad("a number", 3),
                Bad("empty", []),
                Bad("falling", [4, 2]),
                Bad("one", [1, 2]),
                Bad("fractions", [2.0, 4.0]),
                Bad("more than images", [2, N + 1], f"candidates go up to {N + 1}, but {N} images"),
            ],
            "folds": whole(1, N + 1),
            "max_images": whole(3),
            "alpha": ALPHA,
            "source": SOURCE,
            "random_state": seed(),
            "batch_size": whole(0),
        },
    ),
    "checks.linearity": Case(
        checks.linearity,
        lambda: {"trace": traced(), "folds": 2},
        {
            "trace": TRACE,
            "model": [TEXT, Bad("a number", 3), Bad("a class", nn.Linear), Bad("a network", CountedNet())],
            "alpha": ALPHA,
            "folds": whole(1, N + 1),
            "max_rows": whole(3),
            "random_state": TRAINING["random_state"],
        },
    ),
    "checks.occlude": Case(
        checks.occlude,
        model_and_images(prototypes=found(), per_prototype=2),
        {
            "model": NO_MODEL,
            "images": PICTURES,
            "prototypes": [*PROTOTYPES, OTHER_WIDTH],
            "per_prototype": whole(0),
            "fill": [NOTHING, TEXT, Bad("NaN", np.nan), Bad("a list", [0.0])],
            "grow_pixels": whole(-1),
            "random_state": seed(),
            "batch_size": whole(0),
        },
    ),
    "checks.causal_check": Case(
        checks.causal_check,
        lambda: {"effects": effects(), "occlusion": covered(), "n_resamples": 5},
        {
            "effects": an_instance(traced()),
            "occlusion": [
                *an_instance(traced()),
                Bad("of other prototypes", replace(covered(), drop=covered().drop[:2])),
                Bad("of two prototypes", replace(covered(), n_images=np.array([2, 2, 0]))),
            ],
            "t": whole(-1, T, optional=True),
            "classes": NO_ROW,
            "unit": choice(),
            "control": flag(),
            "level": number(0, 1),
            "n_resamples": whole(0),
            "random_state": seed(),
        },
    ),
}

CASES = {f"i2x.{key}": case for key, case in (TRAIN | FIND | FOLLOW | EXPLAIN | CURATE | CHECK).items()}
