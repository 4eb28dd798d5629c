"""The world copies: blocks that repeat, where the next token stands, and the best anyone can predict."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import worlds

module = importlib.import_module("xailib.worlds.copies")  # the name in the package is the function


@pytest.fixture(scope="module")
def world():
    return worlds.copies(300)


def test_rows_repeat_one_block_of_distinct_syllables(world):
    for row, period in zip(world.X, world.y, strict=True):
        block = row[1 : 1 + period]
        assert len(set(block)) == period
        np.testing.assert_array_equal(row[1:], np.resize(block, len(row) - 1))
    assert (world.y.min(), world.y.max()) == (module.SHORTEST, module.LONGEST)
    assert (world.X[:, 0] == 1).all()


def test_source_holds_the_next_token(world):
    source = world.truth.source(world.X)
    known = source[:, :-1] >= 0
    np.testing.assert_array_equal(known, np.arange(48) > world.y[:, None])
    held = np.take_along_axis(world.X, np.maximum(source, 0), axis=1)[:, :-1]
    np.testing.assert_array_equal(held[known], world.X[:, 1:][known])


def test_sources_are_all_places_and_the_nearest_is_the_source(world):
    sources, source = world.truth.sources(world.X), world.truth.source(world.X)
    i, j, k = np.nonzero(sources)
    np.testing.assert_array_equal(world.X[i, k - 1], world.X[i, j])
    assert (k <= j).all()
    found = source >= 0
    np.testing.assert_array_equal(sources.any(axis=2), found)
    np.testing.assert_array_equal(np.where(sources, np.arange(49), -1).max(axis=2)[found], source[found])
    i = world.y.argmin()
    assert sources[i, 2 * world.y[i] + 1].sum() == 2


def test_oracle_is_a_distribution_that_the_rows_follow(world):
    p = world.truth.predict(world.X)
    np.testing.assert_allclose(p.sum(axis=2), 1)
    said = np.take_along_axis(p[:, :-1], world.X[:, 1:, None], axis=2)[..., 0]
    assert (said > 0).all()
    assert (said[world.truth.source(world.X)[:, :-1] >= 0] == 1).all()


def test_oracle_knows_how_often_a_block_ends():
    many = worlds.copies(6000, length=32)
    p, t = many.truth.predict(many.X[:, : module.SHORTEST + 4]), module.SHORTEST + 3
    alive = many.y >= t
    ends = p[alive, t][np.arange(alive.sum()), many.X[alive, 1]]
    np.testing.assert_allclose(ends, 1 / (module.LONGEST - t + 1))
    share = (many.y[alive] == t).mean()
    assert share == pytest.approx(ends[0], abs=4 * np.sqrt(ends[0] / alive.sum()))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), length=st.integers(32, 96))
def test_same_seed_same_rows(seed, length):
    first, second = (worlds.copies(30, length=length, random_state=seed) for _ in range(2))
    np.testing.assert_array_equal(first.X, second.X)
    assert first.X.shape == (30, 1 + length)


def test_card_and_repr_say_what_it_is(world):
    assert "one after the earlier occurrence" in world.card
    assert "300 rows" in repr(world)
    assert len(world.truth.background) == 200
