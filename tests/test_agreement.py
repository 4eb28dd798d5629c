"""The world agreement: the verb has the number of its first noun, and the author is nowhere."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from xailib import worlds

module = importlib.import_module("xailib.worlds.agreement")  # the name in the package is the function


@pytest.fixture(scope="module")
def world():
    return worlds.agreement(3000)


def test_verb_agrees_with_the_first_noun(world):
    words = world.truth.vocabulary.words
    subject, verb = world.truth.subject(world.X), world.truth.verb(world.X)
    singular, plural = ({pair[k] for pair in module.VERBS} for k in (0, 1))
    for row, s, v, y in zip(world.X, subject, verb, world.y, strict=True):
        assert words[row[v]] in (plural if y else singular)
        assert words[row[s]].endswith("s") == bool(y)
        assert all(words[token].rstrip("s") not in module.NOUNS for token in row[:s])
    np.testing.assert_array_equal(world.truth.predict(world.X), world.y)


def test_numbers_of_the_nouns_are_tossed_apart(world):
    nouns = world.truth.noun_positions(world.X)
    plural = np.take_along_axis(world.truth.is_plural(world.X), np.maximum(nouns, 0), axis=1)
    both = (nouns >= 0).all(axis=1)
    correlations = np.corrcoef(plural[both].T)
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(both.sum())
    shares = np.bincount((nouns >= 0).sum(axis=1), minlength=4)[1:] / len(world.X)
    np.testing.assert_allclose(shares, module.ATTRACTOR_SHARES, atol=0.04)


def test_attractors_are_nouns_of_the_other_number(world):
    nouns = world.truth.noun_positions(world.X)
    plural = world.truth.is_plural(world.X)
    want = [sum(plural[i, j] != world.y[i] for j in row[1:] if j >= 0) for i, row in enumerate(nouns)]
    np.testing.assert_array_equal(world.truth.attractors(world.X), want)
    assert set(want) == {0, 1, 2}


def test_author_is_a_coin_that_no_word_depends_on(world):
    author = world.truth.author
    assert len(author) == len(world.X)
    counts = [[(world.X[author == a] == token).any(axis=1).mean() for token in range(len(module.VOCABULARY))] for a in (0, 1)]
    assert np.abs(np.subtract(*counts)).max() < 4.5 * np.sqrt(0.5 / len(author))


def test_last_noun_is_as_tempting_as_the_card_says(world):
    nouns = world.truth.noun_positions(world.X)
    last = nouns[np.arange(len(nouns)), (nouns >= 0).sum(axis=1) - 1]
    right = world.truth.is_plural(world.X)[np.arange(len(nouns)), last] == world.y
    assert f"right for {module._last_noun_right():.0%}" in world.card
    assert right.mean() == pytest.approx(module._last_noun_right(), abs=0.04)


def test_same_seed_same_sentences():
    first, second = worlds.agreement(30), worlds.agreement(30)
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.truth.author, second.truth.author)
    assert len(first.truth.background) == 200
    assert first.truth.verb_forms.shape == (4, 2)


def test_rows_without_noun_or_verb_are_named():
    truth = worlds.agreement(30).truth
    with pytest.raises(ValueError, match="row 1 has no verb"):
        truth.verb(truth.vocabulary.encode(["<s> the key is old .", "<s> the key"]))
