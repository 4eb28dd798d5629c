"""The table of chapter 15 follows from the code that is said to have made it."""

from __future__ import annotations

import numpy as np
import pytest

from xailib import ecor, zoo
from xailib.course import manifest
from xailib.experiments import ecor as experiment


@pytest.fixture
def towers():
    return zoo.load(experiment.MODEL)


def test_every_condition_is_stored_for_every_seed():
    found = experiment.table()
    for seed in experiment.SEEDS:
        rows = found[found.seed == seed]
        for condition in experiment.conditions(seed):
            same = (rows.condition == condition.name) & (rows.factorisation == condition.factorisation)
            assert (same & (rows.tuning == condition.tuning)).any(), condition
    assert set(found.condition) >= {"main", "ambiguous", "unseen names", "templates", "snow", "controls", "tokens", "withheld"}
    assert not found.duplicated([*experiment.WORDS, "seed", "n_tokens", "n_categories", "n_rationales"]).any()


def test_the_four_outcomes_partition_the_pictures():
    found = experiment.table()
    for suffix in ("", "_any"):
        outcomes = found[[f"{m}{suffix}" for m in experiment.MEASURES]]
        np.testing.assert_allclose(outcomes.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(outcomes[f"RR{suffix}"] + outcomes[f"RW{suffix}"], found.accuracy, atol=1e-5)
    assert (found.RR_any >= found.RR - 1e-6).all()


def test_an_untuned_row_comes_out_again(towers):
    (again,) = experiment.rows(0, experiment.Condition("categories", "ecor", species=experiment._of_each_family(1, 0)))
    found = experiment.table().query("condition == 'categories' and factorisation == 'ecor' and tuning == 'none' and seed == 0")
    stored = found[found.n_categories == 5].iloc[0]
    for measure in (*experiment.MEASURES, "accuracy", "truthful"):
        assert again[measure] == pytest.approx(stored[measure], abs=0.03)


def test_what_the_lab_shows_belongs_to_the_shipped_towers(towers):
    stored = experiment.explorer()
    assert len(stored["images"]) == len(stored["y"]) == len(stored["seen"]) == experiment.LAB_PICTURES
    np.testing.assert_allclose(np.linalg.norm(stored["vectors"], axis=2), 1, atol=1e-5)
    untuned = towers.encode_image(stored["images"] / np.float32(255)).detach().numpy()
    np.testing.assert_allclose(stored["vectors"][0], untuned, atol=0.02)
    assert stored["shallow"].shape[1:] == stored["snow"].shape[1:] == (experiment.TUNING["n_tokens"], towers.width)
    assert len(stored["deep"]) == towers.n_blocks


@pytest.mark.parametrize("n", [1, 2, 3])
def test_smaller_worlds_have_all_families_in_equal_parts(n):
    draws = [experiment._of_each_family(n, seed) for seed in experiment.SEEDS]
    assert all(np.bincount(np.array(draw) // 4).tolist() == [n] * 5 for draw in draws)
    assert len(set(draws)) > 1
    assert set(experiment._of_each_family(1, 0)) <= set(draws[0])


def test_names_that_nobody_has_read_are_unknown_to_the_text_tower(towers):
    for new, old in zip(experiment.UNSEEN_NAMES, experiment.BirdsTruth.species_names, strict=True):
        first, family = new.split()
        assert first not in towers.vocabulary.words
        assert family == old.split()[1]


def test_reciting_shows_reasons_of_the_named_species_only():
    recite, lot = experiment.controls(0)
    assert recite["factorisation"] == "recite"
    assert recite["RR"] + recite["RW"] == pytest.approx(recite["accuracy"])
    assert 0.5 < recite["RR"] / recite["accuracy"] < 0.9  # five of seven
    assert lot["accuracy"] < 0.12


def test_tuned_tokens_are_kept_and_depend_on_what_made_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_CACHE", str(tmp_path))
    calls = []

    def tune(*_, **given):
        calls.append(given)
        prompt = {0: zoo.load(experiment.MODEL).image.positions.detach()[:2]}
        return ecor.Tuned(prompt, *(None for _ in range(len(ecor.Tuned.__dataclass_fields__) - 1)))

    monkeypatch.setattr(experiment.ecor, "tune", tune)
    every = tuple(range(20))
    for seed, way in ((0, "ecor"), (0, "ecor"), (0, "dror"), (1, "ecor")):
        experiment.tokens(seed, way, experiment.TUNING, every, 50, (), "dim")
    assert [(c["random_state"], c["factorisation"]) for c in calls] == [(0, "ecor"), (0, "dror"), (1, "ecor")]


def test_pictures_to_judge_by_are_not_those_to_tune_on():
    tuning, judging = experiment.pictures(0)
    assert (len(tuning.y), len(judging.y)) == (experiment.TUNED_ON, experiment.TESTED_ON)
    own = {image.tobytes() for image in tuning.images}
    assert not any(image.tobytes() in own for image in judging.images)
    assert all(filed in seen for filed, seen in zip(judging.filed, judging.seen, strict=True))


def test_both_files_are_in_the_manifest():
    for name in (experiment.FILE, experiment.EXPLORER):
        assert manifest.read()[name]["command"] == experiment.COMMAND
