"""What text.py, the world messages, the text models and the loaders of real text must refuse."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.bad_input_cases import DOWNLOAD, LONG, NOTHING, SPLIT, TABLE, TEXT, Bad, Case, choice, number, seed, whole
from xailib import text, worlds, zoo
from xailib.worlds import real
from xailib.worlds.messages import MessagesTruth

WORDS = text.split_words("You are not a winner.")

ONE_TEXT = [
    NOTHING,
    LONG,
    Bad("a number", 3),
    Bad("NaN", np.nan),
    Bad("a list", ["free"]),
    Bad("empty", ""),
    Bad("marks only", "!?"),
]
TEXTS = [
    NOTHING,
    LONG,
    Bad("one text", "free"),
    Bad("a number", 3),
    Bad("numbers", [1, 2]),
    Bad("no texts", []),
    Bad("a gap", ["free", None]),
    Bad("NaN", ["free", np.nan]),
    Bad("two dimensions", [["free", "click"]]),
    Bad("a ragged list", [["free"], ["free", "click"]]),
    Bad("a table", TABLE),
]


@cache
def truth() -> MessagesTruth:
    return worlds.messages(60).truth


CASES: dict[str, Case] = {
    "text.split_words": Case(text.split_words, lambda: {"text": "Hi Tom."}, {"text": ONE_TEXT}),
    "text.keep": Case(
        text.keep,
        lambda: {"words": WORDS, "masks": np.ones((2, 5), bool)},
        {
            "words": [NOTHING, TEXT, LONG, Bad("a list", ["free"])],
            "masks": [
                NOTHING,
                TEXT,
                LONG,
                Bad("a number", 1),
                Bad("one dimension", np.ones(5, bool)),
                Bad("another width", np.ones((2, 4), bool)),
                Bad("three dimensions", np.ones((2, 5, 1), bool)),
                Bad("other numbers", np.full((2, 5), 0.5)),
                Bad("NaN", np.full((2, 5), np.nan)),
                Bad("text entries", [["yes"] * 5]),
            ],
            "filler": [NOTHING, LONG, Bad("a number", 0), Bad("NaN", np.nan), Bad("a list", ["UNK"])],
        },
    ),
    "worlds.messages.messages": Case(
        worlds.messages,
        lambda: {"n": 60},
        {"n": whole(59, 200_001), "shortcut": number(0, 1.01, optional=True), "random_state": seed()},
    ),
    "worlds.messages.MessagesTruth.predict": Case(truth().predict, lambda: {"texts": ["free"]}, {"texts": TEXTS}),
    "worlds.messages.MessagesTruth.log_odds": Case(truth().log_odds, lambda: {"texts": ["free"]}, {"texts": TEXTS}),
    "worlds.messages.MessagesTruth.shapley": Case(
        truth().shapley,
        lambda: {"text": "Not free."},
        {"text": [*ONE_TEXT, Bad("a sentence full of cues", "free " * 21)]},
    ),
    "zoo.text.text_model": Case(
        zoo.text_model,
        lambda: {"name": "messages-words", "world": worlds.messages(60)},
        {"name": choice(), "world": [TEXT, Bad("a table", TABLE), Bad("another world", worlds.houses(60))]},
    ),
    "worlds.real.docstrings": Case(real.docstrings, dict, SPLIT),
    "worlds.real.sms_spam": Case(real.sms_spam, dict, SPLIT, needs=DOWNLOAD),
}
