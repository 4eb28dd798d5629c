"""What :mod:`xailib.patching` must refuse, in the manner of :mod:`tests.bad_input_cases`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.bad_input_cases import AX, NOTHING, TEXT, Bad, Case, CountedNet, choice, flag, number, seed, whole
from xailib import patching, pretrained
from xailib.patching import Site
from xailib.zoo.transformer import Transformer

TOKENS = np.array([[1, 2, 3, 4], [5, 6, 7, 1]])
OTHERS = np.array([[1, 2, 8, 4], [5, 9, 7, 1]])
ANSWERS = np.array([[1, 2], [3, 4]])


class CountedTransformer(Transformer):
    """A small transformer that counts how often it is asked, or answers with what ``instead`` makes of its scores."""

    def __init__(self, instead: Any = None, **options: Any) -> None:
        super().__init__(10, 6, width=8, n_heads=2, **options)
        self.instead, self.calls = instead, 0

    def forward(self, tokens: Any) -> Any:
        self.calls += 1
        scores = super().forward(tokens)
        return scores if self.instead is None else self.instead(scores)


def good(**more: Any) -> Any:
    return lambda: {"model": CountedTransformer(), "tokens": TOKENS, **more}


def pair(**more: Any) -> Any:
    return lambda: {"model": CountedTransformer(), "clean": TOKENS, "corrupted": OTHERS, "answers": ANSWERS, **more}


@cache
def found() -> patching.PatchMap:
    return patching.patch_map(Transformer(10, 6), TOKENS, OTHERS, ANSWERS)


@cache
def lens() -> patching.LogitLens:
    return patching.logit_lens(Transformer(10, 6), TOKENS)


NO_MODEL = [NOTHING, TEXT, Bad("a function", lambda x: x), Bad("a class", Transformer)]
HOOKED = [*NO_MODEL, Bad("no hook points", nn.Linear(2, 2), "model has no hook points")]
STRICT = [*NO_MODEL, Bad("another network", CountedNet(), "model must be an xailib.zoo.transformer.Transformer")]
NAN = Bad("returns NaN", CountedTransformer(lambda scores: scores * torch.nan), "missing or infinite scores", late=True)


def tokens(name: str) -> list[Bad]:
    values = {
        "a list of texts": ["Paris is in"],
        "fractions": TOKENS / 2,
        "one dimension": TOKENS[0],
        "three dimensions": TOKENS[None],
        "no rows": TOKENS[:0],
        "no tokens": TOKENS[:, :0],
        "longer than the context": np.ones((1, 7), dtype=int),
        "an unknown token": TOKENS + 9,
        "negative": -TOKENS,
    }
    return [NOTHING, TEXT, *(Bad(what, value, name) for what, value in values.items())]


def site(argument: str = "sites") -> list[Bad]:
    return [
        NOTHING,
        Bad("a number", 3),
        Bad("empty", []),
        Bad("unknown", "blocks.0.attn_uot", "is not a hook point of the model"),
        Bad("unknown among known", ["embedded", "nowhere"], "is not a hook point of the model"),
        Bad("a number among names", ["embedded", 3], argument),
        Bad("no such head", Site("blocks.0.attention.heads", head=2)),
        Bad("a head where there is none", Site("embedded", head=0)),
        Bad("a head that is no number", Site("blocks.0.attention.heads", head="0")),
        Bad("a position outside", Site("embedded", position=4), "position must lie from -4 to 3"),
        Bad("positions of other sequences", Site("embedded", position=[1, 2, 3]), "position"),
        Bad("a position that is no number", Site("embedded", position="last"), "position"),
    ]


def answers(k: int = 10) -> list[Bad]:
    return [
        NOTHING,
        TEXT,
        Bad("fractions", ANSWERS / 2),
        Bad("one column", ANSWERS[:, :1]),
        Bad("of other sequences", np.array([[1, 2]] * 3)),
        Bad("an unknown token", np.array([[1, k], [3, 4]])),
        Bad("negative", np.array([[1, -2], [3, 4]])),
        Bad("twice the same", np.array([[1, 2], [3, 3]]), "answers of sequence 1 are the same"),
    ]


POSITION = [TEXT, Bad("outside", 4), Bad("before the start", -5), Bad("of other sequences", [1, 2, 3]), Bad("a fraction", 0.5)]
BATCH = {"batch_size": whole(0)}
OTHER_SHAPE = Bad("another length", TOKENS[:, :3], "must have the same shape")
PAIR = {
    "model": STRICT,
    "clean": [*tokens("clean"), OTHER_SHAPE],
    "corrupted": [
        *tokens("corrupted"),
        OTHER_SHAPE,
        Bad("the clean one", np.array([TOKENS[0], OTHERS[1]]), "same logit difference in pair 0", late=True),
    ],
    "answers": answers(),
    "direction": choice(),
    "at": POSITION,
    **BATCH,
}
LABELS = [Bad("too few", ["a", "b"])]
POINTS = [bad for bad in site("points") if not isinstance(bad.value, Site)]

CASES: dict[str, Case] = {
    "patching.record": Case(
        patching.record,
        good(points=["embedded"]),
        {
            "model": [*HOOKED, NAN],
            "tokens": tokens("tokens"),
            "points": [bad for bad in POINTS if bad is not NOTHING and "number among" not in bad.what]
            + [Bad("a number among names", ["embedded", 3], "3 is not a hook point")],
            **BATCH,
        },
    ),
    "patching.ablate": Case(
        patching.ablate,
        good(sites="embedded", to="resample"),
        {
            "model": [*HOOKED, NAN],
            "tokens": [*tokens("tokens"), Bad("one sequence", TOKENS[:1], "no other to resample from")],
            "sites": site(),
            "to": choice(),
            "reference": [bad for bad in tokens("reference") if bad is not NOTHING] + [Bad("another length", TOKENS[:, :3])],
            "random_state": seed(),
            **BATCH,
        },
    ),
    "patching.patch": Case(
        patching.patch,
        lambda: {"model": CountedTransformer(), "into": TOKENS, "source": OTHERS, "sites": "embedded"},
        {
            "model": [*HOOKED, NAN],
            "into": [*tokens("into"), OTHER_SHAPE],
            "source": [*tokens("source"), OTHER_SHAPE],
            "sites": site(),
            **BATCH,
        },
    ),
    "patching.logit_difference": Case(
        patching.logit_difference,
        lambda: {"scores": np.ones((2, 4, 10)), "answers": ANSWERS},
        {
            "scores": [NOTHING, TEXT, Bad("one dimension", np.ones(3)), Bad("NaN", np.full((2, 4, 10), np.nan))],
            "answers": answers(),
            "at": [NOTHING, *POSITION],
        },
    ),
    "patching.patch_map": Case(
        patching.patch_map, pair(), {**PAIR, "part": [*choice(), Bad("a point", "blocks.0.attn_out")], "by_position": flag()}
    ),
    "patching.path_patch": Case(
        patching.path_patch,
        pair(),
        {
            **PAIR,
            "receiver": [
                TEXT,
                Bad("a number", 1),
                Bad("three numbers", (0, 1, 2)),
                Bad("no such layer", (2, 0)),
                Bad("no such head", (1, 2)),
                Bad("fractions", (0.5, 1)),
            ],
            "inputs": [NOTHING, Bad("empty", []), Bad("unknown", "outputs"), Bad("a number", 3), Bad("a list of numbers", [0])],
        },
    ),
    "patching.logit_lens": Case(
        patching.logit_lens, good(), {"model": [*STRICT, NAN], "tokens": tokens("tokens"), "at": POSITION, **BATCH}
    ),
    "patching.direct_logit_attribution": Case(
        patching.direct_logit_attribution,
        good(answers=ANSWERS),
        {"model": [*STRICT, NAN], "tokens": tokens("tokens"), "answers": answers(), "at": POSITION, **BATCH},
    ),
    "patching.attention_to": Case(
        patching.attention_to,
        good(targets=[0, 0, 1, 2]),
        {
            "model": [*HOOKED, NAN],
            "tokens": tokens("tokens"),
            "targets": [
                NOTHING,
                TEXT,
                Bad("a number", 3),
                Bad("fractions", [0.5, 0, 1, 2]),
                Bad("of another length", [0, 1, 2]),
                Bad("outside", [0, 0, 1, 4]),
                Bad("all none", np.array([[0, 0, 1, 2], [-1] * 4]), "targets of sequence 1 are all -1"),
            ],
            **BATCH,
        },
    ),
    "patching.PatchMap.to_frame": Case(found().to_frame, dict, {"level": number(0, 1)}),
    "patching.PatchMap.plot": Case(found().plot, dict, {"ax": AX, "labels": LABELS}),
    "patching.LogitLens.difference": Case(lens().difference, lambda: {"answers": ANSWERS}, {"answers": answers()}),
    "patching.LogitLens.ranks": Case(
        lens().ranks,
        lambda: {"answers": ANSWERS[:, 0]},
        {"answers": [NOTHING, TEXT, Bad("pairs", ANSWERS), Bad("unknown", [1, 10]), Bad("fractions", [0.5, 1.0])]},
    ),
    "pretrained.from_gpt2": Case(
        pretrained.from_gpt2,
        lambda: {"network": None},
        {"network": [NOTHING, TEXT, Bad("another network", CountedNet()), Bad("ours", Transformer(10, 6))]},
        needs="transformers, an extra",
    ),
    "patching.LogitLens.plot": Case(lens().plot, lambda: {"answers": ANSWERS}, {"answers": answers(), "ax": AX}),
}
