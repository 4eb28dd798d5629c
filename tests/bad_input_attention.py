"""What :mod:`xailib.attention` must refuse, in the manner of :mod:`tests.bad_input_cases`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from tests.bad_input_cases import AX, NOTHING, RNG, TEXT, Bad, Case, choice, number, seed, vector, whole
from xailib import attention
from xailib.zoo.transformer import Transformer


class CountedTransformer(Transformer):
    """Counts how often it is asked; ``instead`` makes something else of its scores."""

    def __init__(self, instead: Any = lambda scores: scores, **options: Any) -> None:
        torch.manual_seed(0)
        super().__init__(9, 6, **({"width": 8, "n_heads": 2, "n_outputs": 3, "padding": 0} | options))
        self.instead, self.calls = instead, 0

    def forward(self, tokens: Any) -> Any:
        self.calls += 1
        return self.instead(super().forward(tokens))


TOKENS = RNG.integers(1, 9, (3, 5))
PATTERNS = RNG.dirichlet(np.ones(4), (2, 3, 4))  # (layers, heads, l, l)
P, Q = RNG.dirichlet(np.ones(4), 3), RNG.dirichlet(np.ones(4), 3)

MODEL = [
    NOTHING,
    TEXT,
    Bad("a function", lambda x: x),
    Bad("no hook points", torch.nn.Linear(2, 2), "model has no hook points"),
    Bad("returns NaN", CountedTransformer(lambda scores: scores * np.nan), "missing or infinite scores", late=True),
    Bad("one row too few", CountedTransformer(lambda scores: scores[1:]), "model must return one row", late=True),
]
TOKEN_BATCH = [
    NOTHING,
    TEXT,
    Bad("fractions", TOKENS + 0.5),
    Bad("one sequence", TOKENS[0]),
    Bad("empty", TOKENS[:0]),
    Bad("no positions", TOKENS[:, :0]),
    Bad("longer than the context", np.ones((2, 7), dtype=int), "the model reads 6 at most"),
    Bad("unknown token", TOKENS + 9, "tokens must lie from 0 to 8"),
    Bad("negative", -TOKENS),
]
POSITION = [
    TEXT,
    Bad("outside", 5),
    Bad("negative", -1),
    Bad("a fraction", 1.5),
    Bad("too many", [1, 2]),
    Bad("another than the classifier's", 1, "position must be None for a classifier"),
]
BATCH = {"model": MODEL, "tokens": TOKEN_BATCH, "position": POSITION, "batch_size": whole(0)}
MIX = {"fusion": choice(), "residual": number(-0.1, 1.1)}
WEIGHTS = [
    NOTHING,
    TEXT,
    Bad("two dimensions", PATTERNS[0, 0]),
    Bad("not square", PATTERNS[..., :3]),
    Bad("rows that do not sum to 1", 2 * PATTERNS, "rows that sum to 1"),
    Bad("negative", PATTERNS - 0.5),
    Bad("NaN", PATTERNS * np.nan),
    Bad("empty", PATTERNS[:0]),
]
NAMES = [
    Bad("text", "many words"),
    Bad("a number", 3),
    Bad("too few", ["one"]),
    Bad("numbers", [1, 2, 3, 4, 5]),
]
TARGET = [
    TEXT,
    Bad("a fraction", 0.5),
    Bad("negative", -1),
    Bad("another length", [0, 1]),
    Bad("no class of the model", 3, "target 3 is out of range: the model has 3 classes", late=True),
]
AGAINST = [bad if not bad.late else Bad(bad.what, 3, "against 3 is out of range", late=True) for bad in TARGET]
BASELINE = [
    NOTHING,
    Bad("text", "mean"),
    Bad("no token", 9),
    Bad("negative", -1),
    Bad("a fraction", 0.5),
    Bad("another width", np.zeros(7)),
    Bad("NaN", np.full(8, np.nan)),
    Bad("two dimensions", np.zeros((2, 8))),
]
SKIP = [NOTHING, TEXT, Bad("a number", 3), Bad("fractions", [0.5])]
ATTRIBUTION = {**BATCH, "target": TARGET, "against": AGAINST, "skip": SKIP, "names": NAMES}
ONE_LAYER = [TEXT, Bad("there is none", 2), Bad("negative", -1), Bad("a fraction", 0.5), Bad("a list", [[0]])]


def good(**more: Any) -> Any:
    return lambda: {"model": CountedTransformer(), "tokens": TOKENS, **more}


@cache
def found() -> attention.Maps:
    return attention.maps(CountedTransformer(), TOKENS)


@cache
def moved() -> attention.Permutations:
    return attention.permutations(CountedTransformer(), TOKENS, n_permutations=3)


@cache
def other() -> attention.Adversary:
    return attention.adversary(CountedTransformer(), TOKENS, steps=2)


def distributions() -> list[Bad]:
    wrong = [
        Bad("does not sum to 1", 2 * P),
        Bad("negative", P - 0.5),
        Bad("other shapes", RNG.dirichlet(np.ones(3)), "do not fit together"),
    ]
    return [*vector(ndim_ok=(1, 2, 5)), *wrong]


CASES: dict[str, Case] = {
    "attention.maps": Case(attention.maps, good(), BATCH),
    "attention.rollout": Case(attention.rollout, lambda: {"patterns": PATTERNS}, {"patterns": WEIGHTS, **MIX}),
    "attention.flow": Case(
        attention.flow,
        lambda: {"patterns": PATTERNS},
        {
            "patterns": WEIGHTS,
            "position": [TEXT, Bad("outside", 4), Bad("negative", -1), Bad("a fraction", 1.5), Bad("too many", [1, 2])],
            **MIX,
        },
    ),
    "attention.value_weighted": Case(attention.value_weighted, good(), {**BATCH, "heads": choice()}),
    "attention.token_weights": Case(attention.token_weights, good(), {**BATCH, **MIX, "aggregation": choice()}),
    "attention.rerun": Case(
        attention.rerun,
        good(patterns={}),
        {
            **BATCH,
            "patterns": [
                NOTHING,
                TEXT,
                Bad("an array", PATTERNS),
                Bad("no layer", {2: found().values[0]}),
                Bad("a name", {"blocks.0": found().values[0]}),
                Bad("another shape", {0: found().values[0][:, :, :4]}),
                Bad("another number of heads", {0: found().values[0][:, :1]}, late=True),
                Bad("negative", {0: -found().values[0]}),
                Bad("NaN", {0: np.nan * found().values[0]}),
            ],
        },
    ),
    "attention.probabilities": Case(
        attention.probabilities, lambda: {"scores": [1.0, 2.0]}, {"scores": vector(ndim_ok=(1, 2, 5))}
    ),
    "attention.tvd": Case(attention.tvd, lambda: {"p": P, "q": Q}, {"p": distributions(), "q": distributions()}),
    "attention.jsd": Case(attention.jsd, lambda: {"p": P, "q": Q}, {"p": distributions(), "q": distributions()}),
    "attention.permutations": Case(
        attention.permutations,
        good(n_permutations=2),
        {
            **BATCH,
            "layers": [TEXT, Bad("a number", 1), Bad("empty", []), Bad("there is none", [2]), Bad("a fraction", [0.5])],
            "n_permutations": whole(0),
            "random_state": seed(),
        },
    ),
    "attention.adversary": Case(
        attention.adversary,
        good(steps=2),
        {
            **BATCH,
            "layer": ONE_LAYER,
            "epsilon": number(0, 1),
            "n_starts": whole(0),
            "steps": whole(0),
            "learning_rate": number(0),
            "random_state": seed(),
        },
    ),
    "attention.trained_adversary": Case(
        attention.trained_adversary,
        good(steps=2),
        {
            **BATCH,
            "layer": ONE_LAYER,
            "strength": number(-1),
            "steps": whole(0),
            "learning_rate": number(0),
            "random_state": seed(),
        },
    ),
    "attention.gradient_x_input": Case(attention.gradient_x_input, good(), {**ATTRIBUTION, "baseline": BASELINE}),
    "attention.integrated_gradients": Case(
        attention.integrated_gradients, good(steps=2), {**ATTRIBUTION, "baseline": BASELINE, "steps": whole(0)}
    ),
    "attention.occlusion": Case(
        attention.occlusion,
        good(),
        {
            **ATTRIBUTION,
            "tokens": [*TOKEN_BATCH, Bad("one position", TOKENS[:, :1], "give a replacement")],
            "replacement": [TEXT, Bad("no token", 9), Bad("negative", -1), Bad("a fraction", 0.5)],
        },
    ),
    "attention.Maps.without": Case(
        found().without,
        lambda: {"keys": 0},
        {
            "keys": [
                NOTHING,
                TEXT,
                Bad("outside", 5),
                Bad("negative", -1),
                Bad("too many", [1, 2]),
                Bad("booleans of another shape", np.ones((3, 4), dtype=bool)),
            ]
        },
    ),
    "attention.Maps.plot": Case(
        found().plot,
        dict,
        {"ax": AX, "layer": whole(2), "head": whole(2, optional=True), "row": whole(3), "names": NAMES},
    ),
    "attention.Permutations.plot": Case(moved().plot, dict, {"ax": AX}),
    "attention.Adversary.plot": Case(other().plot, dict, {"ax": AX, "row": whole(3), "names": NAMES}),
}
