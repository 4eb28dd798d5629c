"""What :mod:`xailib.sae` must refuse, in the manner of :mod:`tests.bad_input_cases`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.bad_input_cases import (
    AX,
    NOTHING,
    RNG,
    TEXT,
    Bad,
    Case,
    choice,
    flag,
    number,
    seed,
    vector,
    whole,
    with_value,
)
from xailib import sae
from xailib.zoo.transformer import HookPoint

FEATURES = sae.planted(400, 6, 4)
A = FEATURES.activations
WORDS = np.array(["a", "b"] * 200)
HALF = np.arange(400) < 200
TOKENS = RNG.integers(1, 9, size=(3, 5))
PLACE = "middle"


class CountedReader(nn.Module):
    """Three hook points and a next token; counts how often it is asked."""

    vocabulary, context = 9, 6

    def __init__(self, broken: bool = False) -> None:
        super().__init__()
        self.table, self.output = nn.Embedding(9, 4), nn.Linear(4, 9)
        self.middle, self.pairs, self.final = HookPoint(), HookPoint(), HookPoint()
        self.broken, self.calls = broken, 0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        a = self.middle(self.table(tokens))
        self.pairs(a[:, None] * a[:, :, None])
        return self.final(self.output(a)) * (torch.nan if self.broken else 1)


@cache
def trained() -> sae.SparseAutoencoder:
    return sae.fit(A, 6, k=2, steps=5)


@cache
def at_the_place() -> sae.SparseAutoencoder:
    return sae.fit(sae.token_activations(CountedReader(), TOKENS, PLACE).values, 5, k=2, steps=5)


def toy(**more: Any) -> Any:
    return lambda: {"steps": 2, "restarts": 1, "batch_size": 4, **more}


def short(**more: Any) -> Any:
    return lambda: {"steps": 2, "batch_size": 4, **more}


def rows(name: str = "", *, width: bool = True) -> list[Bad]:
    """What are no rows of numbers."""
    wrong = [
        NOTHING,
        TEXT,
        Bad("one dimension", np.ones(4)),
        Bad("empty", A[:0]),
        Bad("NaN", with_value(A, np.nan)),
        Bad("inf", with_value(A, np.inf)),
        Bad("text entries", [["a", "b"]]),
    ]
    return wrong + ([Bad("another width", A[:, :3], name or None)] if width else [])


POSITIVE = [*vector(), Bad("zero", [0.0, 1.0]), Bad("negative", [-1.0])]
SHARES = [*vector(), Bad("zero", [0.0]), Bad("above 1", [0.5, 1.5])]
IMPORTANCE = [
    *[bad for bad in vector(ndim_ok=(0, 1, 2)) if "dimensions" not in bad.what],
    Bad("five dimensions", np.ones((2,) * 5)),
    Bad("another length", np.ones(7)),
    Bad("zero", 0.0),
    Bad("above 1", 1.5),
    Bad("negative", -np.ones(5)),
]
TOY = {
    "steps": whole(0),
    "restarts": whole(0),
    "batch_size": whole(0),
    "learning_rate": [*number(0), Bad("negative", -1.0)],
    "random_state": seed(),
}
SIZES = {"n_features": whole(0), "n_hidden": whole(0)}
ACTIVATIONS = [*rows(width=False), Bad("all alike", np.ones((5, 4)))]
TRAINING = {
    "n_latents": whole(0),
    "kind": choice(),
    "steps": whole(0),
    "batch_size": whole(0),
    "learning_rate": [*number(0), Bad("negative", -1.0)],
    "unit_norm": flag(),
    "resample": flag(),
    "random_state": seed(),
}
STRENGTH = [
    Bad("missing", None, "needs k"),
    TEXT,
    Bad("zero", 0),
    Bad("more than latents", 7, "at most 6"),
    Bad("NaN", np.nan),
    Bad("two dimensions", np.ones((2, 2))),
]
PENALTY = [Bad("for another kind", 0.1, "no l1"), TEXT, Bad("NaN", np.nan)]
AUTOENCODER = [NOTHING, TEXT, Bad("an array", A)]
DIRECTIONS = [bad for bad in rows(width=False) if bad.what != "empty"] + [
    Bad("empty", np.empty((0, 4))),
    Bad("a row of zeros", np.vstack([np.eye(4), np.zeros(4)])),
    Bad("another width", np.eye(3), "dimensions"),
]
ACTIVITY = [TEXT, Bad("one dimension", np.ones(400)), Bad("NaN", np.full((400, 6), np.nan)), Bad("fewer rows", np.ones((3, 6)))]
MASK = [
    NOTHING,
    TEXT,
    Bad("numbers", np.ones(400)),
    Bad("another length", HALF[:9]),
    Bad("two dimensions", np.ones((400, 1), bool)),
]
MODEL = [
    NOTHING,
    TEXT,
    Bad("no hook points", nn.Linear(2, 2), "has no hook points"),
]
NAN = Bad("returns NaN", CountedReader(broken=True), "model returned missing", late=True)
TOKEN_BATCH = [
    NOTHING,
    TEXT,
    Bad("fractions", TOKENS + 0.5),
    Bad("one sequence", TOKENS[0]),
    Bad("empty", TOKENS[:0]),
    Bad("too long", np.ones((2, 7), int), "reads 6 at most"),
    Bad("outside the vocabulary", TOKENS + 9, "from 0 to 8"),
    Bad("negative", -TOKENS),
    Bad("nothing but padding", np.zeros((2, 3), int)),
]
NAME = [
    Bad("nothing", None, "is not a hook point"),
    Bad("a number", 3, "is not a hook point"),
    Bad("unknown", "midle", "it has middle, pairs, final"),
]
FOUR_D = Bad("another shape", "pairs", "is needed|values \\(n, l", late=True)
PADS = whole(-1, optional=True)

CASES: dict[str, Case] = {
    "sae.toy_model": Case(sae.toy_model, toy(), {**SIZES, **TOY, "density": number(0, 1.1), "importance": IMPORTANCE}),
    "sae.toy_models": Case(
        sae.toy_models,
        toy(densities=[0.5, 0.1]),
        {**SIZES, **TOY, "densities": SHARES, "importance": [*IMPORTANCE, Bad("rows for others", np.ones((3, 5)))]},
    ),
    "sae.ToyModel.reconstruct": Case(
        sae.ToyModel(np.eye(4), np.zeros(4), 0.5, np.ones(4), 0.0).reconstruct, lambda: {"X": A}, {"X": rows()}
    ),
    "sae.ToyModel.plot": Case(sae.ToyModel(np.eye(2), np.zeros(2), 0.5, np.ones(2), 0.0).plot, dict, {"ax": AX}),
    "sae.phase_losses": Case(
        sae.phase_losses,
        lambda: {"density": 0.5, "importance": [1.0, 2.0]},
        {
            "density": [
                *vector(ndim_ok=(0, 1)),
                Bad("zero", 0.0),
                Bad("above 1", 1.5),
                Bad("three", np.ones(3), "fit"),
            ],
            "importance": [*vector(ndim_ok=(0, 1)), Bad("zero", 0.0)],
        },
    ),
    "sae.phase_boundary": Case(
        sae.phase_boundary, lambda: {"importance": [1.0, 2.0]}, {"importance": [*vector(ndim_ok=(0, 1)), Bad("zero", 0.0)]}
    ),
    "sae.phase_diagram": Case(
        sae.phase_diagram,
        toy(densities=[0.5], importances=[1.0, 2.0]),
        {
            **TOY,
            "densities": [bad for bad in SHARES if bad is not NOTHING],
            "importances": [bad for bad in POSITIVE if bad is not NOTHING],
        },
    ),
    "sae.PhaseDiagram.plot": Case(
        sae.PhaseDiagram(np.array([0.1]), np.array([1.0]), np.zeros((1, 1, 2)), np.zeros((1, 1))).plot, dict, {"ax": AX}
    ),
    "sae.planted": Case(
        sae.planted,
        lambda: {"n": 20},
        {
            "n": whole(0),
            "n_features": whole(0),
            "n_dims": whole(0),
            "n_active": number(0, 33),
            "spread": flag(),
            "n_parents": [*whole(-1), Bad("too many", 16, "leave room")],
            "children": whole(0),
            "tied": flag(),
            "noise_sd": number(-0.1),
            "random_state": seed(),
        },
    ),
    "sae.fit": Case(
        sae.fit,
        short(activations=A, n_latents=6, k=2),
        {**TRAINING, "activations": ACTIVATIONS, "k": [*STRENGTH, Bad("several", [1, 2])], "l1": PENALTY},
    ),
    "sae.fit_many": Case(
        sae.fit_many,
        short(activations=A, n_latents=6, k=2),
        {
            **TRAINING,
            "activations": [*ACTIVATIONS, Bad("four dimensions", np.ones((2, 3, 4, 5)))],
            "k": STRENGTH,
            "l1": PENALTY,
        },
    ),
    "sae.SparseAutoencoder.encode": Case(trained().encode, lambda: {"activations": A}, {"activations": rows()}),
    "sae.SparseAutoencoder.decode": Case(
        trained().decode, lambda: {"latents": np.ones((2, 6))}, {"latents": [*rows(width=False), Bad("another width", A)]}
    ),
    "sae.SparseAutoencoder.reconstruct": Case(trained().reconstruct, lambda: {"activations": A}, {"activations": rows()}),
    "sae.evaluate": Case(
        sae.evaluate,
        lambda: {"autoencoder": trained(), "activations": A},
        {"autoencoder": AUTOENCODER, "activations": [*rows(), Bad("all alike", np.ones((5, 4)))]},
    ),
    "sae.thresholded": Case(
        sae.thresholded,
        lambda: {"autoencoder": trained(), "activations": A, "k": 2},
        {"autoencoder": AUTOENCODER, "activations": rows(), "k": [*number(0, 6), Bad("zero", 0)]},
    ),
    "sae.frontier": Case(
        sae.frontier,
        short(train=A, test=A, n_latents=6, strengths={"top-k": [1, 2], "relu": [0.1]}),
        {
            "train": [*rows(width=False), Bad("all alike", np.ones((5, 4)), "activations are all alike")],
            "test": rows("test"),
            "n_latents": whole(0),
            "strengths": [
                NOTHING,
                TEXT,
                Bad("empty", {}),
                Bad("a list", [1, 2]),
                Bad("unknown kind", {"jump": [1]}),
                Bad("zero", {"top-k": [0]}, "k must be above 0"),
                Bad("text", {"top-k": "many"}),
            ],
            "steps": whole(0),
            "batch_size": whole(0),
            "random_state": seed(),
        },
    ),
    "sae.recovery": Case(
        sae.recovery,
        lambda: {"dictionary": np.eye(4), "truth": FEATURES.dictionary, "latents": A, "codes": FEATURES.codes},
        {
            "dictionary": DIRECTIONS,
            "truth": DIRECTIONS,
            "latents": [*ACTIVITY, Bad("alone", None, "belong together")],
            "codes": [*ACTIVITY, Bad("alone", None, "belong together")],
            "signed": flag(),
        },
    ),
    "sae.Recovery.plot": Case(sae.recovery(np.eye(2), np.eye(2)).plot, dict, {"ax": AX}),
    "sae.random_dictionary": Case(
        sae.random_dictionary,
        lambda: {"n_latents": 3, "n_dims": 2},
        {"n_latents": whole(0), "n_dims": whole(0), "random_state": seed()},
    ),
    "sae.pca_dictionary": Case(
        sae.pca_dictionary,
        lambda: {"activations": A},
        {"activations": [*rows(width=False), Bad("one row", A[:1]), Bad("all alike", np.ones((5, 4)))]},
    ),
    "sae.splits": Case(
        sae.splits,
        lambda: {"latents": A, "codes": FEATURES.codes},
        {"latents": [NOTHING, *ACTIVITY], "codes": [NOTHING, *ACTIVITY], "precision": number(0, 1.1)},
    ),
    "sae.absorption": Case(
        sae.absorption,
        lambda: {"autoencoder": trained(), "features": sae.planted(400, 6, 4, n_parents=1)},
        {
            "autoencoder": AUTOENCODER,
            "features": [
                NOTHING,
                TEXT,
                Bad("an array", A),
                Bad("no parents", FEATURES),
                Bad("no rows to compare", sae.planted(3, 6, 4, n_parents=1), "plant more rows"),
                Bad("another width", sae.planted(400, 6, 5, n_parents=1), "activations have 5 columns"),
            ],
        },
    ),
    "sae.score_name": Case(sae.score_name, lambda: {"latent": np.ones(400), "fits": HALF}, {"latent": vector(), "fits": MASK}),
    "sae.name_latents": Case(
        sae.name_latents,
        lambda: {"latents": FEATURES.codes, "words": WORDS, "first": HALF},
        {
            "latents": [NOTHING, *ACTIVITY],
            "words": [NOTHING, TEXT, Bad("numbers", np.arange(400)), Bad("another length", WORDS[:9]), Bad("empty", [])],
            "first": [*MASK, Bad("all", np.ones(400, bool)), Bad("none", np.zeros(400, bool))],
            "n_top": whole(0),
            "min_share": number(0, 1.1),
            "min_on": whole(0),
            "above": number(-0.1, 1),
        },
    ),
    "sae.token_activations": Case(
        sae.token_activations,
        lambda: {"model": CountedReader(), "tokens": TOKENS, "name": PLACE},
        {"model": [*MODEL, NAN], "tokens": TOKEN_BATCH[:-1], "name": [*NAME, FOUR_D], "padding": PADS},
    ),
    "sae.steer": Case(
        sae.steer,
        lambda: {
            "model": CountedReader(),
            "tokens": TOKENS,
            "name": PLACE,
            "autoencoder": at_the_place(),
            "latent": 0,
            "values": [0.0, 1.0],
            "target": 1,
        },
        {
            "model": [*MODEL, NAN],
            "tokens": TOKEN_BATCH,
            "name": [*NAME, FOUR_D],
            "autoencoder": [*AUTOENCODER, Bad("another width", sae.fit(np.eye(5), 3, k=1, steps=2), "width", late=True)],
            "latent": whole(-1, 5),
            "values": [*vector(), Bad("all alike", [1.0, 1.0])],
            "target": [*whole(-1), Bad("no such output", 9, "outputs 0 to 8", late=True)],
            "against": [*whole(-1, optional=True), Bad("no such output", 9, "outputs 0 to 8", late=True)],
            "direction": [bad for bad in vector(4) if bad is not NOTHING] + [Bad("zero", np.zeros(4))],
            "where": [TEXT, Bad("numbers", TOKENS), Bad("another shape", TOKENS[:, :2] > 0)],
            "of": choice(),
            "padding": PADS,
        },
    ),
    "sae.DoseResponse.plot": Case(
        sae.DoseResponse(np.array([0.0, 1]), np.zeros((2, 2)), np.zeros(2), "latent 0", "logit of 1").plot, dict, {"ax": AX}
    ),
}
