"""The world brackets: what opens closes, depth, and the exact probabilities of what follows."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import worlds

module = importlib.import_module("xailib.worlds.brackets")  # the name in the package is the function


PARTNER = {"(": ")", "[": "]"}


@pytest.fixture(scope="module")
def world():
    return worlds.brackets(1500)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), length=st.integers(8, 64))
def test_strings_are_balanced_or_cut(seed, length):
    world = worlds.brackets(30, length=length, random_state=seed)
    for row in world.X:
        words, stack = world.truth.vocabulary.decode(row), []
        assert words[0] == "<s>"
        for word in words[1:]:
            if word in PARTNER:
                stack.append(PARTNER[word])
                assert len(stack) <= module.DEEPEST
            elif word != "<end>":
                assert stack.pop() == word
        assert (words[-1] == "<end>" and not stack) or len(words) == 1 + length


def test_depth_and_innermost_by_hand(world):
    tokens = world.truth.vocabulary.encode(["<s> [ ( ) ] <end>", "<s> ( [ [ ]"])
    assert world.truth.depth(tokens).tolist() == [[0, 1, 2, 1, 0, 0], [0, 1, 2, 3, 2, 2]]
    assert world.truth.innermost(tokens).tolist() == [[0, 2, 1, 2, 0, 0], [0, 1, 2, 2, 2, 2]]


def test_oracle_is_a_distribution_that_the_strings_follow(world):
    p, after = world.truth.predict(world.X), world.X[:, 1:]
    np.testing.assert_allclose(p.sum(axis=2), 1)
    said = np.take_along_axis(p[:, :-1], after[..., None], axis=2)[..., 0]
    assert (said > 0).all()
    depth, real = world.truth.depth(world.X)[:, :-1], after > 0
    for level in range(module.DEEPEST + 1):
        at = real & (depth == level)
        opened = np.isin(after[at], module._OPEN).mean()
        want = p[:, :-1][at][:, list(module._OPEN)].sum(axis=1).mean()
        assert opened == pytest.approx(want, abs=4 * np.sqrt(0.25 / at.sum()) + 1e-12)


def test_a_wrong_bracket_is_named(world):
    with pytest.raises(ValueError, match="row 0 closes a bracket at position 3 that is not open there"):
        world.truth.innermost(world.truth.vocabulary.encode(["<s> ( [ )"]))


def test_labels_are_the_greatest_depths(world):
    np.testing.assert_array_equal(world.y, world.truth.depth(world.X).max(axis=1))
    assert set(range(module.DEEPEST + 1)) == set(world.y)
    assert len(world.truth.background) == 200
    assert "innermost open bracket" in world.card
    np.testing.assert_array_equal(worlds.brackets(30).X, worlds.brackets(30).X)
