"""Bad arguments of vocabularies, of the worlds of token sequences, and of the transformers' loaders."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.bad_input_cases import LONG, NOTHING, SPLIT, TEXT, Bad, Case, choice, number, seed, whole
from tests.bad_input_messages import TEXTS
from xailib import text, worlds, zoo
from xailib.worlds import real

VOCABULARY = text.Vocabulary(["<pad>", "the", "key"])
TOKENS = [
    NOTHING,
    TEXT,
    LONG,
    Bad("a number", 3),
    Bad("one row", np.array([1, 2])),
    Bad("fractions", np.full((2, 8), 0.5)),
    Bad("NaN", np.full((2, 8), np.nan)),
    Bad("no rows", np.zeros((0, 8), dtype=int)),
    Bad("no tokens", np.zeros((2, 0), dtype=int)),
    Bad("an unknown number", np.full((2, 8), 999)),
    Bad("a negative number", np.full((2, 8), -1)),
]


@cache
def world(name: str) -> Any:
    return worlds.facts() if name == "facts" else getattr(worlds, name)(30)


def method(name: str, attribute: str) -> Callable[..., Any]:
    """A method of a truth, looked up when called."""
    return lambda **arguments: getattr(world(name).truth, attribute)(**arguments)


def tokens_of(name: str, argument: str = "tokens") -> Callable[[], dict[str, Any]]:
    return lambda: {argument: world(name).X[:3]}


def of_tokens(name: str, attribute: str, *more: Bad) -> Case:
    return Case(method(name, attribute), tokens_of(name), {"tokens": [*TOKENS, *more]})


def oracle(name: str) -> Case:
    renamed = [Bad(bad.what, bad.value, "tokens" if bad.says is None else bad.says) for bad in TOKENS]
    return Case(method(name, "predict"), tokens_of(name, "X"), {"X": renamed})


TOO_SHORT = Bad("too short", np.ones((2, 3), dtype=int), "prompts have 8 tokens")
NO_PROMPT = Bad("no prompt", np.ones((2, 8), dtype=int), "is not a prompt of this world")
NO_NOUN = Bad("no noun", np.ones((2, 8), dtype=int), "row 0 has no noun")
NO_VERB = Bad("no verb", np.ones((2, 8), dtype=int), "row 0 has no verb")
NOT_BALANCED = Bad("closes what is not open", np.full((2, 8), 5), "closes a bracket")
ONE_WORD = [NOTHING, LONG, Bad("a number", 3), Bad("a list", ["key"])]

CASES: dict[str, Case] = {
    "text.Vocabulary": Case(
        text.Vocabulary,
        lambda: {"words": ["<pad>", "a"]},
        {
            "words": [
                NOTHING,
                Bad("a number", 3),
                Bad("no words", []),
                Bad("no padding", ["a", "b"]),
                Bad("a number among them", ["<pad>", 3]),
                Bad("twice the same", ["<pad>", "a", "a"]),
            ]
        },
    ),
    "text.Vocabulary.number": Case(
        VOCABULARY.number,
        lambda: {"word": "key"},
        {"word": [*ONE_WORD, Bad("unknown", "keys", "'keys' is not in the vocabulary")]},
    ),
    "text.Vocabulary.encode": Case(
        VOCABULARY.encode,
        lambda: {"texts": ["the key"]},
        {"texts": [*TEXTS, Bad("unknown word", ["the keys"], "'keys' is not in the vocabulary")]},
    ),
    "text.Vocabulary.decode": Case(
        VOCABULARY.decode,
        lambda: {"row": [1, 2, 0]},
        {
            "row": [
                NOTHING,
                TEXT,
                Bad("a number", 3),
                Bad("two dimensions", [[1, 2]]),
                Bad("an unknown number", [3]),
                Bad("a negative number", [-1]),
                Bad("fractions", [0.5]),
            ]
        },
    ),
    "worlds.copies.copies": Case(
        worlds.copies, lambda: {"n": 30}, {"n": whole(29, 200_001), "length": whole(31, 97), "random_state": seed()}
    ),
    "worlds.copies.CopiesTruth.source": of_tokens("copies", "source"),
    "worlds.copies.CopiesTruth.sources": of_tokens("copies", "sources"),
    "worlds.copies.CopiesTruth.predict": oracle("copies"),
    "worlds.facts.facts": Case(worlds.facts, dict, {"random_state": seed()}),
    "worlds.facts.FactsTruth.template": of_tokens("facts", "template", TOO_SHORT, NO_PROMPT),
    "worlds.facts.FactsTruth.subject": of_tokens("facts", "subject", TOO_SHORT, NO_PROMPT),
    "worlds.facts.FactsTruth.distractor": of_tokens("facts", "distractor", TOO_SHORT, NO_PROMPT),
    "worlds.facts.FactsTruth.relation": of_tokens("facts", "relation", TOO_SHORT, NO_PROMPT),
    "worlds.facts.FactsTruth.answer": of_tokens("facts", "answer", TOO_SHORT, NO_PROMPT),
    "worlds.facts.FactsTruth.predict": oracle("facts"),
    "worlds.facts.FactsTruth.pairs": Case(
        method("facts", "pairs"), lambda: {"n": 2}, {"n": whole(0, 100_001), "random_state": seed()}
    ),
    "worlds.agreement.agreement": Case(worlds.agreement, lambda: {"n": 30}, {"n": whole(29, 200_001), "random_state": seed()}),
    "worlds.agreement.AgreementTruth.subject": of_tokens("agreement", "subject", NO_NOUN),
    "worlds.agreement.AgreementTruth.verb": of_tokens("agreement", "verb", NO_VERB),
    "worlds.agreement.AgreementTruth.number": of_tokens("agreement", "number", NO_NOUN),
    "worlds.agreement.AgreementTruth.attractors": of_tokens("agreement", "attractors", NO_VERB),
    "worlds.agreement.AgreementTruth.noun_positions": of_tokens("agreement", "noun_positions"),
    "worlds.agreement.AgreementTruth.is_plural": of_tokens("agreement", "is_plural"),
    "worlds.agreement.AgreementTruth.predict": oracle("agreement"),
    "worlds.brackets.brackets": Case(
        worlds.brackets, lambda: {"n": 30}, {"n": whole(29, 200_001), "length": whole(7, 65), "random_state": seed()}
    ),
    "worlds.brackets.BracketsTruth.depth": of_tokens("brackets", "depth"),
    "worlds.brackets.BracketsTruth.innermost": of_tokens("brackets", "innermost", NOT_BALANCED),
    "worlds.brackets.BracketsTruth.predict": oracle("brackets"),
    "worlds.real.docstring_paragraphs": Case(real.docstring_paragraphs, dict, SPLIT),
    "zoo.compiled.compiled_copies": Case(zoo.compiled_copies, dict, {"context": whole(1, 98), "confidence": number(0)}),
    "zoo.language.vocabulary": Case(zoo.vocabulary, lambda: {"name": "facts-transformer"}, {"name": choice()}),
    "zoo.language.checkpoints": Case(zoo.checkpoints, dict, {"name": choice()}),
    "zoo.language.encode": Case(
        zoo.encode,
        lambda: {"name": "brackets-transformer", "texts": ["( )"], "longest": 2},
        {
            "name": choice(),
            "texts": [*TEXTS, Bad("unknown word", ["{ }"], "is not in the vocabulary")],
            "longest": whole(0, optional=True),
        },
    ),
}
