"""Cutting texts into words and joining some of them: nothing lost, nothing glued together, no sentence runs into the next."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib.text import Words, keep, split_words

PIECES = ["Hi", "you", "don't", "8/10", "www.example.org", "not", "(now)", '"free"', "-", "$5.50", "na", "ve", ".net"]
MARKS = [" ", ", ", ". ", "! ", "?! ", "... ", "\n", ".\n", "  ", "; "]
texts = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(MARKS)), min_size=1, max_size=12).map(
    lambda pairs: "".join(piece + mark for piece, mark in pairs)
)
some_text = texts.filter(lambda text: re.search(r"\w", text))


def one(text: str, kept: list[int], **settings: str) -> str:
    words = split_words(text)
    return keep(words, np.isin(np.arange(len(words)), kept)[None], **settings)[0]


def test_words_and_gaps_make_up_the_text():
    words = split_words('  Hi (Tom), you have "won" $5.50! Call\nme.  ')
    assert words.words == ["Hi", "Tom", "you", "have", "won", "5.50", "Call", "me"]
    assert words.sentences.tolist() == [0, 0, 0, 0, 0, 0, 1, 2]
    assert "".join(gap + word for gap, word in zip(words.gaps, [*words.words, ""], strict=True)).startswith("Hi (Tom), you")
    assert len(words) == 8


@given(some_text)
@settings(deadline=None, max_examples=60)
def test_nothing_is_lost(text):
    words = split_words(text)
    joined = "".join(gap + word for gap, word in zip(words.gaps, [*words.words, ""], strict=True))
    assert joined.split() == text.split()
    assert keep(words, np.ones((1, len(words)), bool))[0] == joined


@given(some_text, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_kept_words_come_back_in_order_and_in_their_sentences(text, seed):
    words = split_words(text)
    masks = np.random.default_rng(seed).random((8, len(words))) < 0.5
    for mask, version in zip(masks, keep(words, masks), strict=True):
        if not mask.any():
            assert version == ""
            continue
        again = split_words(version)
        assert again.words == [word for word, kept in zip(words.words, mask, strict=True) if kept]
        # the same neighbours share a sentence as before
        assert (np.diff(again.sentences) > 0).tolist() == (np.diff(words.sentences[mask]) > 0).tolist()


@given(some_text.filter(lambda text: "  " not in text), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_versions_are_tidy(text, seed):
    words = split_words(text)
    masks = np.random.default_rng(seed).random((8, len(words))) < 0.5
    for version in keep(words, masks):
        assert version == version.strip()
        assert "  " not in version
        assert "\n " not in version


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        ("Hi Tom, you won! Call me.", [0, 2, 5], "Hi you! me."),
        ("Hi Tom, you won! Call me.", [4], "Call."),
        ("Hi. You won! Bye.", [0, 3], "Hi. Bye."),
        ("The bag is free.", [0, 1, 2], "The bag is."),
        ("See you\nSent from my Lyra", [0, 3, 5], "See\nfrom Lyra"),
        ("Yes? (No.) Well", [0, 2], "Yes? Well"),
        ("free", [], ""),
    ],
)
def test_deletion(text, kept, expected):
    assert one(text, kept) == expected


def test_a_filler_takes_the_place_and_keeps_every_mark():
    assert one("Hi (Tom), you won! Bye.", [0, 2], filler="UNK") == "Hi (UNK), you UNK! UNK."


def test_masks_of_zeros_and_ones_are_masks():
    words = split_words("a b")
    assert keep(words, [[1, 0], [0.0, 1.0]]).tolist() == ["a", "b"]
    assert keep(words, np.ones((0, 2), bool)).shape == (0,)


def test_versions_are_plain_strings_in_an_object_array():
    versions = keep(split_words("a b"), [[True, False]])
    assert versions.dtype == object
    assert type(versions[0]) is str


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_words("..."), "text must have at least one word, not '...'"),
        (lambda: split_words(["a"]), "text must be of type str, not list"),
        (lambda: keep(split_words("a b"), [[1, 0, 1]]), r"masks must have two dimensions and 2 columns, .* \(1, 3\)"),
        (lambda: keep(split_words("a b"), [[1, 2]]), "masks must hold True and False"),
        (lambda: keep("a b", [[1, 0]]), "words must be of type Words, not str"),
        (lambda: keep(split_words("a b"), [[1, 0]], filler=None), "filler must be of type str"),
    ],
)
def test_bad_input_gets_a_sentence(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_words_are_frozen():
    with pytest.raises(AttributeError):
        split_words("a b").words = []
    assert isinstance(split_words("a"), Words)
