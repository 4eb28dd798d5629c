"""Bad arguments of ECOR: joins the table of tests/bad_input_cases.py."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.bad_input_cases import (
    LONG,
    NOTHING,
    PICTURES,
    TEXT,
    Bad,
    Case,
    choice,
    flag,
    number,
    whole,
    with_value,
)
from xailib import ecor


class CountedTowers(nn.Module):
    """Two small towers that count how often they are asked, or answer with what ``instead`` makes of their vectors."""

    width, n_blocks, logit_scale = 4, 2, 10.0

    def __init__(self, instead: Callable[[Any], Any] = lambda vectors: vectors) -> None:
        super().__init__()
        self.conv, self.instead, self.calls = nn.Conv2d(3, 4, 3), instead, 0

    def encode_image(self, images: Any, prompt_tokens: Any = None) -> Any:
        self.calls += 1
        added = 0 if prompt_tokens is None else sum(tokens.sum(dim=0) for tokens in prompt_tokens.values())
        return self.instead(nn.functional.normalize(self.conv(images).mean(dim=(2, 3)) + added, dim=1))

    def encode_text(self, texts: list[str]) -> Any:
        self.calls += 1
        letters = torch.tensor([[text.count(letter) for letter in "aeio"] for text in texts], dtype=torch.float32)
        return nn.functional.normalize(letters + 0.1, dim=1)


CANDIDATES = ecor.rationales({"cat": ["whiskers", "fur"], "dog": ["hanging ears", "fur"]})
SCORES = {"rationale": np.zeros((3, 3)), "pair": np.zeros((3, 2, 3))}
BELIEFS = ecor.from_scores(SCORES, CANDIDATES)
IMAGES = np.random.default_rng(0).random((3, 3, 8, 8))
Y, REASONS = [0, 1, 0], [0, 2, 1]

NO_CANDIDATES = [NOTHING, TEXT, Bad("plain lists", {"cat": ["fur"]}, "rationales must be of type Rationales"), LONG]
NO_TEMPLATES = [NOTHING, TEXT, Bad("a dict", {"pair": "{c} {r}"})]
NO_TOWERS = [
    NOTHING,
    TEXT,
    Bad("a function", lambda x: x),
    Bad("one tower", nn.Linear(3, 2), "towers must be a torch module with encode_image"),
    Bad("no vectors", CountedTowers(lambda v: v[:, 0]), "towers.encode_image must return one vector", late=True),
    Bad("longer vectors", CountedTowers(lambda v: 2 * v), "towers.encode_image must return unit vectors", late=True),
    Bad("nothing back", CountedTowers(lambda v: None), "towers.encode_image must return one vector", late=True),
    Bad("NaN", CountedTowers(lambda v: v * torch.nan), "towers.encode_image must return unit vectors", late=True),
]
Y_BAD = [
    NOTHING,
    TEXT,
    Bad("another length", [0, 1]),
    Bad("negative", [0, -1, 0]),
    Bad("fractions", [0.0, 0.5, 1.0]),
    Bad("names", ["cat", "dog", "cat"]),
    Bad("no such category", [0, 1, 2]),
    Bad("ragged", [[0], [1, 1], [0]]),
]
R_BAD = [
    NOTHING,
    TEXT,
    Bad("another length", [0, 1]),
    Bad("negative", [0, -1, 0]),
    Bad("fractions", [0.0, 0.5, 1.0]),
    Bad("no such rationale", [0, 1, 3]),
    Bad("ragged", [[0], [1, 1], [0]]),
    Bad("boolean of another shape", np.ones((3, 2), bool)),
    Bad("a picture without a true one", np.eye(3, dtype=bool) & (np.arange(3) < 2)),
]
PROMPT = [
    TEXT,
    Bad("tokens alone", np.ones((2, 4))),
    Bad("empty", {}),
    Bad("no such block", {2: np.ones((2, 4))}),
    Bad("a name for a block", {"first": np.ones((2, 4))}),
    Bad("another width", {0: np.ones((2, 5))}),
    Bad("one dimension", {0: np.ones(4)}),
    Bad("NaN", {0: with_value(np.ones((2, 4)), np.nan)}),
]


@cache
def lists_file() -> str:
    """A file in the benchmark's form, and beside it some that are not."""
    folder = Path(tempfile.mkdtemp())
    (folder / "good.json").write_text(json.dumps({"cat": ["fur"]}), encoding="utf-8")
    (folder / "broken.json").write_text("{", encoding="utf-8")
    (folder / "list.json").write_text("[1]", encoding="utf-8")
    (folder / "empty.json").write_text("{}", encoding="utf-8")
    return str(folder / "good.json")


def beside(name: str) -> str:
    return str(Path(lists_file()).with_name(name))


def good(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"towers": CountedTowers(), "images": IMAGES, **more, "rationales": CANDIDATES}


SHARED = {
    "towers": NO_TOWERS,
    "images": PICTURES,
    "rationales": NO_CANDIDATES,
    "factorisation": choice(),
    "templates": NO_TEMPLATES,
    "batch_size": whole(0),
}

CASES = {
    "ecor.rationales": Case(
        ecor.rationales,
        lambda: {"lists": {"cat": ["fur"]}},
        {
            "lists": [
                NOTHING,
                TEXT,
                LONG,
                Bad("empty", {}),
                Bad("an empty category", {"cat": ["fur"], "dog": []}),
                Bad("a text for a list", {"cat": "fur"}),
                Bad("numbers for texts", {"cat": [1, 2]}),
                Bad("a blank", {"cat": [" "]}),
                Bad("a number for a category", {3: ["fur"]}),
            ],
            "extra": [NOTHING, TEXT, Bad("numbers", [1]), Bad("a blank", [""])],
        },
    ),
    "ecor.read_rationales": Case(
        ecor.read_rationales,
        lambda: {"path": lists_file()},
        {
            "path": [
                NOTHING,
                Bad("a number", 3),
                Bad("broken", beside("broken.json")),
                Bad("no object", beside("list.json")),
                Bad("no category", beside("empty.json"), "lists is empty"),
            ],
            "leave_out_empty": flag(),
        },
    ),
    "ecor.prompts": Case(
        ecor.prompts,
        lambda: {"rationales": CANDIDATES},
        {"rationales": NO_CANDIDATES, "factorisation": choice(), "templates": NO_TEMPLATES},
    ),
    "ecor.beliefs": Case(ecor.beliefs, good(), {**SHARED, "prompt": PROMPT}),
    "ecor.from_scores": Case(
        ecor.from_scores,
        lambda: {"scores": SCORES, "rationales": CANDIDATES},
        {
            "scores": [
                NOTHING,
                TEXT,
                LONG,
                Bad("a table missing", {"pair": SCORES["pair"]}),
                Bad("another shape", {**SCORES, "pair": np.zeros((3, 3, 2))}),
                Bad("too few dimensions", {**SCORES, "pair": np.zeros((3, 2))}),
                Bad("other pictures", {**SCORES, "pair": np.zeros((2, 2, 3))}),
                Bad("NaN", {**SCORES, "pair": with_value(SCORES["pair"], np.nan)}),
            ],
            "rationales": [NOTHING, TEXT, Bad("plain lists", {"cat": ["fur"]})],
            "factorisation": choice(),
        },
    ),
    "ecor.top_pairs": Case(
        ecor.top_pairs,
        lambda: {"beliefs": BELIEFS, "k": 2},
        {
            "beliefs": [NOTHING, TEXT, Bad("the joint alone", BELIEFS.joint)],
            "k": whole(0, 7),
            "beam": whole(0, 4, optional=True),
        },
    ),
    "ecor.vote": Case(
        ecor.vote, lambda: {"pairs": BELIEFS.top_pairs(2)}, {"pairs": [NOTHING, TEXT, Bad("beliefs", BELIEFS), LONG]}
    ),
    "ecor.outcomes": Case(
        ecor.outcomes,
        lambda: {"found": BELIEFS, "y": Y, "r": REASONS},
        {
            "found": [NOTHING, TEXT, Bad("the joint alone", BELIEFS.joint)],
            "y": Y_BAD,
            "r": R_BAD,
            "k": whole(0, 7),
            "wrong_pair": choice(),
            "counting": choice(),
            "matching": choice(),
        },
    ),
    "ecor.shares": Case(
        ecor.shares,
        lambda: {"outcomes": ["RR", "WW"]},
        {"outcomes": [NOTHING, Bad("one word", "RR"), Bad("another word", ["RR", "RX"]), Bad("numbers", [1]), Bad("empty", [])]},
    ),
    "ecor.tune": Case(
        ecor.tune,
        good(y=Y, r=REASONS, epochs=1, n_tokens=1),
        {
            **SHARED,
            "images": [
                *[bad for bad in PICTURES if not bad.late],
                Bad("one picture alone", IMAGES[:1]),
                Bad("one channel", IMAGES[:, :1], late=True),
                Bad("too small for the towers", IMAGES[..., :2], late=True),
            ],
            "y": Y_BAD,
            "r": R_BAD,
            "n_tokens": whole(0),
            "blocks": [
                NOTHING,
                TEXT,
                Bad("a number", 0),
                Bad("empty", []),
                Bad("no such block", [2]),
                Bad("negative", [-1]),
                Bad("a fraction", [0.5]),
            ],
            "loss": choice(),
            "epochs": whole(0),
            "learning_rate": number(0),
            "validation_share": number(0, 1),
            "patience": whole(0),
            "random_state": [Bad("negative", -1), Bad("a fraction", 0.5), TEXT, Bad("a bool", True), NOTHING],
            "path": [Bad("a number", 3), Bad("a folder", "/")],
        },
    ),
    "ecor.Rationales.of": Case(
        CANDIDATES.of,
        lambda: {"category": "cat"},
        {"category": [NOTHING, TEXT, Bad("too large", 2), Bad("negative", -1), Bad("a bool", True), LONG]},
    ),
    "ecor.Rationales.number": Case(
        CANDIDATES.number,
        lambda: {"rationale": "fur"},
        {"rationale": [NOTHING, TEXT, Bad("a number", 0), LONG]},
    ),
    "ecor.Beliefs.top_rationales": Case(BELIEFS.top_rationales, lambda: {"m": 2}, {"m": whole(0, 4)}),
    "ecor.Beliefs.top_pairs": Case(BELIEFS.top_pairs, lambda: {"k": 2}, {"k": whole(0, 7), "beam": whole(0, 4, optional=True)}),
    "ecor.Beliefs.vote": Case(BELIEFS.vote, lambda: {"k": 2}, {"k": whole(0, 7)}),
    "ecor.TopPairs.to_frame": Case(BELIEFS.top_pairs(2).to_frame, lambda: {"picture": 0}, {"picture": whole(-1, 3)}),
}
