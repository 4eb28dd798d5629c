"""The world facts: which word decides, that nothing else does, and what is held out."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from xailib import worlds

module = importlib.import_module("xailib.worlds.facts")  # the name in the package is the function


@pytest.fixture(scope="module")
def world():
    return worlds.facts()


@pytest.fixture(scope="module")
def words(world):
    return np.array(world.truth.vocabulary.words)


def test_every_fact_is_stated_once_per_city():
    assert len(set(module.CITIES)) == 64
    assert {len(cities) for _, cities in module.COUNTRIES.values()} == {4}
    assert module.ANSWER["country"]["Porto"] == "Portugal"
    assert module.ANSWER["language"]["Porto"] == "Portuguese"


def test_prompts_follow_the_templates(world, words):
    template, subject = world.truth.template(world.X), world.truth.subject(world.X)
    for row, k, position, answer in zip(world.X, template, subject, world.y, strict=True):
        relation, line = module.TEMPLATES[k]
        city = words[row[position]]
        assert line.split().index("{city}") == position - 1
        assert words[answer] == module.ANSWER[relation][city]
    assert set(template) == set(range(len(module.TEMPLATES)))


def test_second_city_has_another_answer(world, words):
    other = world.truth.distractor(world.X)
    rows = np.flatnonzero(other >= 0)
    assert 0.5 < len(rows) / len(world.X) < 1
    for i in rows:
        relation = module.RELATIONS[world.truth.relation(world.X[[i]])[0]]
        assert module.ANSWER[relation][words[world.X[i, other[i]]]] != words[world.y[i]]


def test_only_the_subject_changes_the_answer(world):
    rng = np.random.default_rng(0)
    cities = [world.truth.vocabulary.number(city) for city in module.CITIES]
    rows = world.X[world.truth.distractor(world.X) >= 0][:200]
    moved = rows.copy()
    moved[np.arange(len(rows)), world.truth.distractor(rows)] = rng.choice(cities, len(rows))
    np.testing.assert_array_equal(world.truth.answer(moved), world.truth.answer(rows))
    moved = rows.copy()
    moved[np.arange(len(rows)), world.truth.subject(rows)] = rng.choice(cities, len(rows))
    assert (world.truth.answer(moved) != world.truth.answer(rows)).mean() > 0.8


def test_held_out_combinations_are_new_but_their_facts_are_not(world):
    def combinations(rows):
        city = rows[np.arange(len(rows)), world.truth.subject(rows)]
        return set(zip(world.truth.template(rows), city, strict=True))

    known, new = combinations(world.train[0]), combinations(world.test[0])
    assert not known & new
    assert len(known) == 3 * len(new) == 384

    def facts(found):
        return {(module.TEMPLATES[template][0], city) for template, city in found}

    assert facts(new) <= facts(known)


def test_pairs_differ_in_the_subject_alone(world):
    pairs = world.truth.pairs(300)
    changed = pairs.clean != pairs.corrupted
    assert len(pairs) == 300
    assert (changed.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(changed.argmax(axis=1), pairs.subject)
    assert (pairs.answers[:, 0] != pairs.answers[:, 1]).all()
    np.testing.assert_array_equal(world.truth.answer(pairs.corrupted), pairs.answers[:, 1])
    np.testing.assert_array_equal(pairs.distractor, world.truth.distractor(pairs.clean))


def test_oracle_is_certain(world):
    p = world.truth.predict(world.X[:50])
    assert (p.max(axis=1) == 1).all()
    np.testing.assert_array_equal(p.argmax(axis=1), world.y[:50])


def test_what_is_no_prompt_is_refused(world):
    odd = world.X[:3].copy()
    odd[1, 7] = 0
    with pytest.raises(ValueError, match="is not a prompt of this world"):
        world.truth.answer(odd)
    with pytest.raises(ValueError, match="prompts have 8 tokens, but these have 5"):
        world.truth.subject(world.X[:, :5])


def test_seed_chooses_second_cities_and_order():
    again, other = worlds.facts(), worlds.facts(random_state=1)
    np.testing.assert_array_equal(worlds.facts().X, again.X)
    assert (other.X != again.X).any()
    assert "| Poland | Polish | Gdansk, Krakow, Poznan, Warsaw |" in again.card
