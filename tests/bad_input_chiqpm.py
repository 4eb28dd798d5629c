"""Bad arguments of CHiQPM's networks, hierarchy, conformal sets and metrics: joins the table of tests/bad_input_cases.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from tests.bad_input_cases import (
    IMAGES,
    NOTHING,
    PICTURES,
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
from xailib import worlds
from xailib.chiqpm import conformal, hierarchy, metrics, network
from xailib.chiqpm.network import CHiQPM
from xailib.experiments import chiqpm as experiment
from xailib.zoo.architectures import GapCNN

RNG = np.random.default_rng(0)
N, N_F = 40, 4
HEAD = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], bool)
FEATURES = RNG.exponential(size=(N, N_F))
Y = np.arange(N) % 3
SIMILARITY = np.array([[0, 0.5, 0.2], [0.5, 0, 0.1], [0.2, 0.1, 0]])
SETS = RNG.random((N, 3)) < 0.6
STACK = RNG.random((N, N_F, 3, 3))
PROBABILITIES = RNG.dirichlet(np.ones(3), size=N)


class CountedDense(GapCNN):
    """A small dense network that counts how often its features are asked."""

    def __init__(self) -> None:
        super().__init__(3, (5, 6), (1,), 3)


def net() -> CHiQPM:
    return CHiQPM(nn.Sequential(nn.Conv2d(3, N_F, 3), nn.ReLU()), HEAD, np.zeros(N_F), np.ones(N_F))


@cache
def bird_world() -> Any:
    return worlds.birds(60)


def bird_net() -> CHiQPM:
    return CHiQPM(nn.Conv2d(3, N_F, 1), HEAD, np.zeros(N_F), np.ones(N_F))


# --- kinds of bad values --------------------------------------------------------------------------------------------

ASSIGNMENT = [
    *vector(ndim_ok=(2,)),
    Bad("fractions", HEAD * 0.5),
    Bad("unequal numbers", np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]]), "W must give every class the same number"),
    Bad("a class without features", np.zeros((3, 4)), "W must give every class .* at least one"),
    Bad("two classes alike", HEAD[[0, 1, 0]], "W gives classes 0 and 2 the same features"),
]
ACTIVATIONS = [
    *vector(ndim_ok=(2,)),
    Bad("NaN inside", with_value(FEATURES, np.nan)),
    Bad("negative", with_value(FEATURES, -1.0), "features must be rectified"),
    Bad("another width", FEATURES[:, :3]),
]
RECTIFIED = ACTIVATIONS[:-1]
PLAIN = [bad for bad in RECTIFIED if bad.what != "negative"]


def labels(name: str = "y", *, n: int = N, too_large: bool = True) -> list[Bad]:
    return [
        NOTHING,
        TEXT,
        Bad("another length", np.zeros(n + 1, int)),
        Bad("negative", np.full(n, -1)),
        Bad("fractions", np.full(n, 0.5)),
        *([Bad("no such class", np.full(n, 3))] if too_large else []),
    ]


SIMILARITIES = [
    *vector(ndim_ok=(2,)),
    Bad("not symmetric", SIMILARITY + np.eye(3, k=1)),
    Bad("not square", SIMILARITY[:, :2]),
    Bad("another size", np.zeros((4, 4))),
]
OPTIONAL_SIMILARITIES = [bad for bad in SIMILARITIES if bad.value is not None]
PREDICTION_SETS = [
    NOTHING,
    TEXT,
    Bad("numbers", SETS.astype(int)),
    Bad("one dimension", SETS[0]),
    Bad("empty", np.empty((0, 3), bool)),
]
STACKS = [*vector(ndim_ok=(4,)), Bad("another number", STACK[:, :2])]
SCORES = [*vector(), Bad("too few", [1.0, 2.0], "alpha 0.1 needs at least 9")]
CHANCES = [*vector(ndim_ok=(2,)), Bad("negative", [[-0.5, 1.5]]), Bad("not adding up to 1", [[0.5, 0.2]])]
ALPHA = number(0.0, 1.0)
NO_DENSE = [NOTHING, TEXT, Bad("another network", CountedNet())]
TRAINING = {
    "images": [bad for bad in PICTURES if not bad.late],
    "labels": labels("labels", n=3, too_large=False),
    "diversity": number(-0.1),
    "batch_size": whole(0),
    "learning_rate": number(0.0),
    "weight_decay": number(-0.1),
    "random_state": [bad for bad in seed() if bad.value is not None],
}
LENGTHS = [NOTHING, TEXT, Bad("a number", 3), Bad("empty", []), Bad("zero", [1, 0]), Bad("fractions", [1.5])]


def head(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"features": FEATURES, "W": HEAD, **more}


# --- networks -------------------------------------------------------------------------------------------------------

TENSORS = [NOTHING, TEXT, Bad("an array", FEATURES), Bad("one dimension", torch.ones(3)), Bad("empty", torch.ones(0, 4))]
MAP_TENSORS = [
    NOTHING,
    TEXT,
    Bad("an array", STACK),
    Bad("three dimensions", torch.ones(3, 2, 2)),
    Bad("too many", torch.ones(3, 9, 2, 2)),
]

NETWORK = {
    "chiqpm.network.CHiQPM": Case(
        CHiQPM,
        lambda: {"features": nn.Identity(), "W": HEAD, "mean": np.zeros(4), "std": np.ones(4)},
        {
            "features": [NOTHING, TEXT, Bad("a function", len)],
            "W": ASSIGNMENT,
            "mean": vector(4),
            "std": [*vector(4), Bad("negative", -np.ones(4))],
            "dropout": number(-0.1, 1.0),
            "selected": [TEXT, Bad("too few", [1, 2]), Bad("one twice", [1, 1, 2, 3]), Bad("fractions", [0.5, 1.0, 2.0, 3.0])],
        },
    ),
    "chiqpm.network.CHiQPM.normalised": Case(
        lambda maps: net().normalised(maps),
        lambda: {"maps": torch.ones(2, N_F, 3, 3)},
        {"maps": [NOTHING, TEXT, Bad("an array", STACK), Bad("another number", torch.ones(2, 3, 3, 3))]},
    ),
    "chiqpm.network.train_dense": Case(
        network.train_dense,
        lambda: {"images": IMAGES, "labels": [0, 1, 2], "widths": (3, 4), "pool_after": (1,), "epochs": 1},
        TRAINING
        | {
            "dropout": number(-0.1, 1.0),
            "widths": LENGTHS,
            "pool_after": [bad for bad in LENGTHS if bad.what != "empty"],
            "epochs": whole(0),
            "checkpoint": [Bad("a number", 3), Bad("a folder", "/")],
        },
    ),
    "chiqpm.network.fine_tune": Case(
        network.fine_tune,
        lambda: {"model": net(), "images": IMAGES, "labels": [0, 1, 2], "cycles": (1,)},
        TRAINING
        | {
            "model": [*NO_DENSE, Bad("a dense network", CountedDense())],
            "labels": [
                *TRAINING["labels"],
                Bad("no class of the model", [0, 1, 3], "labels go up to 3, but the model has 3 classes"),
            ],
            "cycles": LENGTHS,
            "free_epochs": whole(-1, 2),
            "grounding": number(-0.1),
            "factor": number(-0.1),
            "train_from": [Bad("unknown", "conv9"), Bad("a number", 3)],
            "decay": number(0.0, 1.1),
        },
    ),
    "chiqpm.network.diversity_loss": Case(
        network.diversity_loss,
        lambda: {"maps": torch.ones(2, 4, 3, 3), "scores": torch.ones(2, 3), "weights": torch.ones(3, 4)},
        {
            "maps": MAP_TENSORS,
            "scores": [*TENSORS, Bad("another length", torch.ones(3, 3))],
            "weights": [*TENSORS, Bad("another width", torch.ones(3, 5))],
            "strength": number(-0.1),
        },
    ),
    "chiqpm.network.grounding_loss": Case(
        network.grounding_loss,
        lambda: {"features": torch.ones(2, 4), "labels": torch.tensor([0, 1]), "W": torch.tensor(HEAD)},
        {
            "features": [*TENSORS, Bad("another width", torch.ones(2, 5), "W must have one column for each of the 5 features")],
            "labels": [
                NOTHING,
                TEXT,
                Bad("an array", np.array([0, 1])),
                Bad("another length", torch.tensor([0])),
                Bad("no such class", torch.tensor([0, 3])),
                Bad("fractions", torch.ones(2)),
            ],
            "W": [*TENSORS, Bad("a class without features", torch.zeros(3, 4))],
            "factor": number(-0.1),
        },
    ),
    "chiqpm.network.with_binary_head": Case(
        network.with_binary_head,
        lambda: {"dense": CountedDense(), "selected": [0, 2, 3, 5], "W": HEAD, "features": np.ones((5, 6))},
        {
            "dense": [*NO_DENSE, Bad("batch normalisation", GapCNN(3, (5, 6), (1,), 3, batch_norm=True))],
            "selected": [
                TEXT,
                Bad("one twice", [0, 2, 2, 5]),
                Bad("no such feature", [0, 1, 2, 6]),
                Bad("fractions", [0.5, 1.0]),
                Bad("too few", [0, 1, 2], "W must have one column for each of the 3 selected features"),
            ],
            "W": ASSIGNMENT,
            "features": [*vector(ndim_ok=(2,)), Bad("another width", FEATURES)],
            "dropout": number(-0.1, 1.0),
        },
    ),
    **{
        f"chiqpm.network.{name}": Case(
            getattr(network, name),
            lambda: {"model": net(), "images": IMAGES},
            {"model": NO_DENSE, "images": PICTURES, "batch_size": whole(0)},
        )
        for name in ("feature_maps", "pooled_features", "describe")
    },
}

# --- hierarchy ------------------------------------------------------------------------------------------------------

HEADED = {"features": ACTIVATIONS, "W": ASSIGNMENT}
PREDICTED = [bad for bad in labels("predicted") if bad.value is not None]
ONE = [*vector(4), Bad("negative", [-1.0, 1.0, 1.0, 1.0]), Bad("nothing active", np.zeros(4), "features are all 0")]


def a_tree() -> hierarchy.Tree:
    return hierarchy.tree([0.5, 2.0, 1.0, 0.0], HEAD)


def a_page() -> hierarchy.ContrastivePage:
    return hierarchy.contrastive_page(**page_arguments())


def page_arguments() -> dict[str, Any]:
    images = np.random.default_rng(1).random((N, 3, 6, 6))
    return {
        "images": images,
        "maps": STACK,
        "features": FEATURES,
        "W": HEAD,
        "y": Y,
        "pair": (0, 1),
        "active_mean": np.ones(N_F),
    }


NAMES = [TEXT, Bad("a number", 3), Bad("too few", ["a"]), Bad("numbers", [1, 2, 3, 4])]
HIERARCHY = {
    "chiqpm.hierarchy.ordered_features": Case(hierarchy.ordered_features, head(), HEADED),
    "chiqpm.hierarchy.common_prefixes": Case(hierarchy.common_prefixes, head(), HEADED | {"predicted": PREDICTED}),
    "chiqpm.hierarchy.level_sets": Case(hierarchy.level_sets, head(), HEADED | {"predicted": PREDICTED}),
    "chiqpm.hierarchy.tree": Case(
        hierarchy.tree,
        lambda: {"features": FEATURES[0], "W": HEAD},
        {"features": ONE, "W": ASSIGNMENT, "scope": choice(), "predicted": whole(-1, 3, optional=True)},
    ),
    "chiqpm.hierarchy.Tree.children": Case(
        lambda node: a_tree().children(node),
        lambda: {"node": ()},
        {"node": [NOTHING, Bad("a number", 3), Bad("no such node", (0, 3))]},
    ),
    "chiqpm.hierarchy.Tree.plot": Case(
        lambda **more: a_tree().plot(**more),
        dict,
        {
            "ax": [TEXT, Bad("a figure", plt.figure())],
            "class_names": NAMES,
            "feature_names": NAMES,
            "predicted_set": [TEXT, Bad("numbers", [1, 0, 0]), Bad("too few", [True])],
            "n_names": whole(0),
        },
    ),
    "chiqpm.hierarchy.contrastive_page": Case(
        hierarchy.contrastive_page,
        page_arguments,
        {
            "images": [bad for bad in PICTURES if not bad.late],
            "maps": STACKS,
            "features": ACTIVATIONS,
            "W": ASSIGNMENT,
            "y": labels(),
            "pair": [
                NOTHING,
                TEXT,
                Bad("one", [0]),
                Bad("twice the same", [1, 1]),
                Bad("no such class", [0, 3]),
                Bad("fractions", [0.5, 1.0]),
            ],
            "active_mean": [*vector(4), Bad("zero", np.zeros(4))],
            "n_examples": whole(0, 30),
            "n_shared": whole(-1),
        },
    ),
    "chiqpm.hierarchy.ContrastivePage.role": Case(
        lambda feature: a_page().role(feature), lambda: {"feature": 1}, {"feature": [NOTHING, TEXT, Bad("of neither", 3)]}
    ),
    "chiqpm.hierarchy.ContrastivePage.plot": Case(
        lambda **more: a_page().plot(**more),
        dict,
        {"figure": [TEXT, Bad("a number", 3)], "class_names": NAMES[:3], "gamma": number(0.0)},
    ),
    "chiqpm.hierarchy.scaled_heat": Case(
        hierarchy.scaled_heat,
        lambda: {"maps": STACK, "features": FEATURES, "active_mean": np.ones(4), "size": (6, 6)},
        {
            "maps": [*vector(ndim_ok=(4,)), Bad("another number", STACK[:, :2], "features must have 2 columns")],
            "features": [*ACTIVATIONS, Bad("fewer rows", FEATURES[:3])],
            "active_mean": [*vector(4), Bad("zero", np.zeros(4))],
            "size": [NOTHING, TEXT, Bad("a number", 6), Bad("zero", (0, 6)), Bad("fractions", (2.5, 6.0))],
        },
    ),
}

# --- conformal prediction -------------------------------------------------------------------------------------------

SCORED = HEADED | {"n_limit": whole(-1, 3), "predicted": PREDICTED}
LABELLED = HEADED | {"y": labels()}
CONFORMAL = {
    "chiqpm.conformal.hierarchical_scores": Case(conformal.hierarchical_scores, head(n_limit=1), SCORED),
    "chiqpm.conformal.reference_scores": Case(conformal.reference_scores, head(n_limit=1), SCORED),
    "chiqpm.conformal.thr_scores": Case(
        conformal.thr_scores, lambda: {"probabilities": PROBABILITIES}, {"probabilities": CHANCES}
    ),
    "chiqpm.conformal.aps_scores": Case(
        conformal.aps_scores, lambda: {"probabilities": PROBABILITIES}, {"probabilities": CHANCES, "random_state": seed()}
    ),
    **{
        f"chiqpm.conformal.{name}": Case(
            getattr(conformal, name), lambda: {"scores": np.arange(20.0), "alpha": 0.1}, {"scores": SCORES, "alpha": ALPHA}
        )
        for name in ("quantile", "reference_quantile")
    },
    "chiqpm.conformal.level_accuracy": Case(conformal.level_accuracy, head(y=Y), LABELLED),
    "chiqpm.conformal.choose_level": Case(conformal.choose_level, head(y=Y, alpha=0.1), LABELLED | {"alpha": ALPHA}),
    "chiqpm.conformal.calibrate": Case(
        conformal.calibrate,
        head(y=Y),
        LABELLED
        | {
            "alpha": [*ALPHA, Bad("too small for so few", 0.01, "alpha 0.01 needs at least 99 calibration scores")],
            "method": choice(),
            "random_state": seed(),
        },
    ),
    "chiqpm.conformal.Calibrated.sets": Case(
        lambda features, **more: conformal.calibrate(FEATURES, HEAD, Y, method="APS").sets(features, **more),
        lambda: {"features": FEATURES},
        {"features": ACTIVATIONS, "with_prediction": flag(), "random_state": seed()},
    ),
    "chiqpm.conformal.set_quality": Case(
        conformal.set_quality,
        lambda: {"sets": SETS, "y": Y},
        {"sets": PREDICTION_SETS, "y": labels(), "similarity": OPTIONAL_SIMILARITIES},
    ),
    "chiqpm.conformal.class_coverage": Case(
        conformal.class_coverage, lambda: {"sets": SETS, "y": Y}, {"sets": PREDICTION_SETS, "y": labels(), "level": ALPHA}
    ),
    "chiqpm.conformal.covered_reference": Case(
        conformal.covered_reference,
        lambda: {"n_scores": 100, "n_test": 100, "alpha": 0.1},
        {
            "n_scores": [*whole(0), Bad("too few", 5, "alpha 0.1 needs at least 9")],
            "n_test": whole(0),
            "alpha": ALPHA,
        },
    ),
    "chiqpm.conformal.over_splits": Case(
        conformal.over_splits,
        head(y=Y, alphas=[0.2], methods=["THR"], n_splits=1),
        LABELLED
        | {
            "alphas": [
                NOTHING,
                TEXT,
                Bad("a number", 0.1),
                Bad("empty", []),
                Bad("out of range", [0.1, 1.0]),
                Bad("too small for so few", [0.01], "alpha 0.01 needs at least 99"),
            ],
            "methods": [NOTHING, TEXT, Bad("a name", "THR"), Bad("empty", []), Bad("unknown", ["RAPS"])],
            "n_splits": whole(0),
            "n_calibration": whole(0, N, optional=True),
            "similarity": OPTIONAL_SIMILARITIES,
            "random_state": seed(),
        },
    ),
}

# --- metrics --------------------------------------------------------------------------------------------------------

PARTS = ["beak", "wing"]
MASKED = RNG.random((N, 2, 6, 6)) < 0.3
ONE_ROW = Bad("one row", FEATURES[:1])
METRICS = {
    "chiqpm.metrics.accuracy_ratio": Case(
        metrics.accuracy_ratio,
        lambda: {"predicted": Y, "predicted_by_dense": Y, "y": Y},
        {
            "predicted": labels("predicted", too_large=False),
            "predicted_by_dense": [*labels("predicted_by_dense", too_large=False), Bad("never right", (Y + 1) % 3)],
            "y": [NOTHING, TEXT, Bad("negative", np.full(N, -1)), Bad("fractions", np.full(N, 0.5))],
        },
    ),
    "chiqpm.metrics.diversity": Case(
        metrics.diversity,
        lambda: {"maps": STACK, "weights": HEAD, "predicted": Y, "k": 2},
        {
            "maps": [
                *vector(ndim_ok=(4,)),
                Bad("another number", STACK[:, :2], "weights must have one column for each of the 2 maps"),
            ],
            "weights": [*vector(ndim_ok=(2,)), Bad("another width", HEAD[:, :2])],
            "predicted": labels("predicted"),
            "k": [*whole(0, 5), Bad("more than a class has", 3, "k is 3, but a predicted class has fewer features")],
        },
    ),
    "chiqpm.metrics.class_independence": Case(
        metrics.class_independence,
        lambda: {"features": FEATURES, "y": Y},
        {"features": PLAIN, "y": labels(too_large=False)},
    ),
    "chiqpm.metrics.contrastiveness": Case(
        metrics.contrastiveness, lambda: {"features": FEATURES}, {"features": [*PLAIN, ONE_ROW], "random_state": seed()}
    ),
    "chiqpm.metrics.active_means": Case(
        metrics.active_means, lambda: {"features": FEATURES}, {"features": [*RECTIFIED, ONE_ROW], "random_state": seed()}
    ),
    "chiqpm.metrics.rectified_control": Case(
        metrics.rectified_control, lambda: {"features": FEATURES}, {"features": RECTIFIED, "random_state": seed()}
    ),
    "chiqpm.metrics.correlation": Case(
        metrics.correlation, lambda: {"features": FEATURES}, {"features": [*PLAIN, Bad("one column", FEATURES[:, :1])]}
    ),
    "chiqpm.metrics.feature_health": Case(
        metrics.feature_health, lambda: {"features": FEATURES}, {"features": [*RECTIFIED, Bad("one column", FEATURES[:, :1])]}
    ),
    "chiqpm.metrics.attribute_similarity": Case(
        metrics.attribute_similarity,
        lambda: {"attributes": HEAD},
        {
            "attributes": [
                *vector(ndim_ok=(2,)),
                Bad("a class without attributes", np.zeros((2, 3)), "attributes of class 0 are all 0"),
            ]
        },
    ),
    "chiqpm.metrics.structural_grounding": Case(
        metrics.structural_grounding,
        lambda: {"W": HEAD, "similarity": SIMILARITY, "n_pairs": 2},
        {
            "W": ASSIGNMENT,
            "similarity": [*SIMILARITIES, Bad("no similarity", np.zeros((3, 3)))],
            "n_pairs": whole(0, 4),
        },
    ),
    "chiqpm.metrics.shared_pairs": Case(metrics.shared_pairs, lambda: {"W": HEAD}, {"W": ASSIGNMENT}),
    "chiqpm.metrics.set_coherence": Case(
        metrics.set_coherence,
        lambda: {"sets": SETS, "similarity": SIMILARITY},
        {"sets": PREDICTION_SETS, "similarity": SIMILARITIES},
    ),
    "chiqpm.metrics.part_overlap": Case(
        metrics.part_overlap,
        lambda: {"maps": STACK, "features": FEATURES, "masks": MASKED, "part_names": PARTS},
        {
            "maps": [*vector(ndim_ok=(4,)), Bad("another number", STACK[:, :2], "features must have 2 columns")],
            "features": [*ACTIVATIONS, Bad("fewer rows", FEATURES[:3])],
            "masks": [NOTHING, TEXT, Bad("numbers", MASKED * 1.0), Bad("fewer", MASKED[:3]), Bad("one part", MASKED[:, 0])],
            "part_names": [NOTHING, Bad("one text", "beak"), Bad("too few", ["beak"]), Bad("numbers", [1, 2])],
        },
    ),
    "chiqpm.metrics.pivot_parts": Case(
        metrics.pivot_parts,
        lambda: {"W": HEAD, "falls": RNG.random((3, 4, 2)), "pairs": [(0, 1, "wing")], "part_names": PARTS},
        {
            "W": ASSIGNMENT,
            "falls": [*vector(ndim_ok=(3,)), Bad("another shape", np.ones((3, 4, 3)))],
            "pairs": [
                NOTHING,
                TEXT,
                Bad("a number", 3),
                Bad("pairs without parts", [(0, 1)]),
                Bad("an unknown part", [(0, 1, "nose")]),
                Bad("no such class", [(0, 3, "wing")]),
            ],
            "part_names": [
                NOTHING,
                Bad("one text", "beak"),
                Bad("too few", ["wing"], "falls must have shape"),
                Bad("numbers", [1, 2]),
            ],
        },
    ),
    "chiqpm.metrics.part_falls": Case(
        metrics.part_falls,
        lambda: {"model": bird_net(), "world": bird_world(), "indices": [50]},
        {
            "model": NO_DENSE,
            "world": [NOTHING, TEXT, Bad("a table", FEATURES)],
            "indices": [TEXT, Bad("out of range", [60]), Bad("negative", [-1]), Bad("empty", []), Bad("fractions", [0.5])],
        },
    ),
}

STORED = "data/chiqpm_birds.npz"
EXPERIMENT = {
    "experiments.chiqpm.paired": Case(
        experiment.paired,
        lambda: {"first": experiment.DEFAULT, "second": experiment.WITHOUT},
        {"first": choice(), "second": choice()},
        needs=STORED,
    ),
    "experiments.chiqpm.splits": Case(
        experiment.splits,
        lambda: {"network_number": 0},
        {"network_number": [TEXT, Bad("another", 3), Bad("a fraction", 0.5), NOTHING]},
        needs=STORED,
    ),
    "experiments.chiqpm.parts": Case(
        experiment.parts,
        lambda: {"seed": 0, "network_number": 0},
        {"seed": [TEXT, Bad("negative", -1), Bad("another", 9)], "network_number": [TEXT, Bad("another", 2)]},
        needs=STORED,
    ),
}

CASES = NETWORK | HIERARCHY | CONFORMAL | METRICS | EXPERIMENT
