"""The SoftCAM experiment in small: it goes on after a kill, chooses by its rule, and its stored table follows from its seeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from xailib import _cache, evaluation, softcam
from xailib._training import TrainingRun
from xailib.course import manifest
from xailib.experiments import softcam as experiment
from xailib.experiments.softcam import Seed, Settings

SMALL = Settings(
    seeds=(1, 2),
    pictures=60,
    widths=(2, 2, 2, 3),
    base_epochs=1,
    epochs=1,
    batch_size=16,
    l1=(0.0, 1e-9),
    l2=(0.0, 1e-9),
    path=(0.0, 1e-9),
    integration_steps=2,
    deletion_pictures=3,
    patches=2,
)


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Worlds and checkpoints of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAILIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        experiment._world.cache_clear()
        yield
        experiment._world.cache_clear()


@pytest.fixture(scope="module")
def small(own_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return experiment.run(SMALL, folder), folder


def test_a_small_run_writes_both_files_and_registers_them(small):
    stored, folder = small
    assert sorted(manifest.read(folder)) == [experiment.EXPLORER, experiment.TABLE]
    assert manifest.problems(folder) == []
    assert json.loads((folder / experiment.TABLE).read_text()) == json.loads(json.dumps(stored))
    with np.load(folder / experiment.EXPLORER) as arrays:
        assert arrays["evidence"].shape == (2, 2, len(arrays["images"]), 2, 12, 12)
        assert arrays["accuracy"].shape == (2, 2)
        assert arrays["images"].dtype == np.uint8


def test_a_second_run_trains_nothing_and_gives_the_same_file(small, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingRun, "one_epoch", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(experiment, "_measure", lambda *_: pytest.fail("measured again"))
    experiment.run(SMALL, tmp_path)
    for name in (experiment.TABLE, experiment.EXPLORER):
        assert (tmp_path / name).read_bytes() == (small[1] / name).read_bytes()


def test_summaries_are_means_over_seeds(small):
    stored, _ = small
    row = next(r for r in stored["summary"] if (r["model"], r["map"], r["metric"]) == ("sparse", "evidence", "precision"))
    values = [stored["per_seed"][s]["models"]["sparse"]["maps"]["evidence"]["precision"] for s in ("1", "2")]
    assert [row["mean"], row["lower"], row["upper"]] == pytest.approx(evaluation.mean_interval(np.array(values)), abs=1e-6)
    assert row["seeds"] == 2


def test_differences_are_paired_by_seed(small):
    stored, _ = small
    names = {"model": "dense", "map": "evidence", "minus_model": "black box", "minus_map": "Grad-CAM", "metric": "sensitivity"}
    row = next(r for r in stored["paired"] if names.items() <= r.items())
    maps = [(s["models"]["dense"]["maps"], s["models"]["black box"]["maps"]) for s in stored["per_seed"].values()]
    values = [own["evidence"]["sensitivity"] - other["Grad-CAM"]["sensitivity"] for own, other in maps]
    assert [row["mean"], row["lower"], row["upper"]] == pytest.approx(evaluation.mean_interval(np.array(values)), abs=1e-6)


def test_the_path_counts_what_each_penalty_finds(small):
    stored, _ = small
    truth = Seed(1, SMALL).world.truth
    first = stored["per_seed"]["1"]["path"][0]
    assert [record["l1"] for record in stored["per_seed"]["1"]["path"]] == list(SMALL.path)
    healthy = Seed(1, SMALL).held_out[~Seed(1, SMALL).sick]
    model = Seed(1, SMALL).soft(0.0, 0.0)
    margin = experiment._margin(model, truth.with_lesions(healthy, red=5, faint=False))
    assert first["found: five ordinary dots"] == (margin > 0).mean()
    limit = experiment._alarm_limit(model, SMALL)
    other = experiment._world(experiment.VALIDATION, SMALL.pictures)
    alarms = experiment._margin(model, other.X[~other.truth.diseased]) > limit
    assert alarms.mean() == pytest.approx(experiment.FALSE_ALARMS, abs=1 / len(alarms))
    assert first["found: five ordinary dots, at 3 %"] == (margin > limit).mean()


def test_all_models_of_a_seed_start_from_one_base_and_differ_in_the_loss_alone(small):
    seed = Seed(1, SMALL)
    black, unpenalised = seed.black_box(), seed.soft(0.0, 0.0)
    images = torch.as_tensor(seed.images)
    with torch.no_grad():  # the linear layer before or behind the mean: the same training but for rounding
        torch.testing.assert_close(unpenalised(images), black(images), atol=1e-3, rtol=1e-3)
    assert seed.soft(0.0, 1e-9).exact


def test_two_seeds_differ_in_world_and_weights(small):
    one, two = Seed(1, SMALL), Seed(2, SMALL)
    assert not np.array_equal(one.images, two.images)
    assert not torch.equal(one.base().classifier.weight, two.base().classifier.weight)


@pytest.mark.parametrize("loss", [0.0, 0.0101])
def test_the_rule_takes_the_strongest_penalty_within_one_point(loss):
    accuracy = np.full((3, 3), 0.95)
    accuracy[2] -= loss  # the strongest l1
    accuracy[1, 2] -= 0.02  # a pair that is too strong
    found = {"l1": np.array([0.0, 1.0, 3.0]), "l2": np.array([0.0, 1.0, 2.0]), "accuracy": accuracy}
    wanted = {"sparse": (3.0, 0.0), "dense": (0.0, 2.0), "elastic": (3.0, 2.0)}
    if loss:
        wanted |= {"sparse": (1.0, 0.0), "elastic": (1.0, 1.0)}
    assert experiment.choose(found) == wanted


def test_a_grid_that_is_too_strong_says_so():
    accuracy = np.array([[0.95, 0.95], [0.9, 0.9]])
    with pytest.raises(ValueError, match="no sparse penalty of the grid keeps the accuracy within one point"):
        experiment.choose({"l1": np.array([0.0, 1.0]), "l2": np.array([0.0, 1.0]), "accuracy": accuracy})


KILLED = """
from xailib._training import TrainingRun
from xailib.experiments import softcam as experiment
from tests.test_experiments_softcam import SMALL
save = TrainingRun.save

def killed(run, path):
    save(run, path)
    raise SystemExit(7)

TrainingRun.save = killed
experiment.Seed(1, SMALL).black_box()
"""


def test_a_killed_run_goes_on_where_it_stopped(own_cache, tmp_path, monkeypatch):
    want = Seed(1, SMALL).black_box().state_dict()
    monkeypatch.setenv("XAILIB_CACHE", str(tmp_path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", KILLED], env=environment, cwd=root, timeout=120).returncode == 7
    assert [path.name for path in (_cache.cache_dir() / "experiments" / "softcam").iterdir()] == ["1-base.safetensors"]
    epochs, one_epoch = [], TrainingRun.one_epoch
    monkeypatch.setattr(TrainingRun, "one_epoch", lambda run, epoch: (epochs.append(epoch), one_epoch(run, epoch)))
    again = Seed(1, SMALL).black_box().state_dict()
    assert epochs == [0]  # of the black box; the base was there
    assert all(torch.equal(v, again[k]) for k, v in want.items())


# --- the stored files ---------------------------------------------------------------------------------------------------


def test_the_stored_table_is_complete_and_its_numbers_follow_from_its_seeds():
    stored = experiment.results()
    per_seed = list(stored["per_seed"].values())
    assert len(per_seed) == len(stored["settings"]["seeds"]) >= 5
    assert stored["settings"]["tuning_seed"] not in stored["settings"]["seeds"]
    assert stored["rule"] == experiment.RULE
    assert stored["summary"] == experiment.summarise(per_seed)
    assert stored["paired"] == experiment.compare(per_seed)
    assert stored["path"] == experiment.summarise_path(per_seed)
    assert {"accuracy", "auc", *experiment.METRICS} <= set(experiment.table()["metric"])
    assert set(experiment.paired()["minus_map"]) >= set(experiment.POST_HOC)


def test_the_stored_strengths_follow_from_the_rule():
    stored, arrays = experiment.results(), experiment.explorer()
    assert {name: tuple(pair) for name, pair in stored["strengths"].items()} == experiment.choose(arrays)
    np.testing.assert_allclose(stored["grid_accuracy"], arrays["accuracy"], atol=1e-4)


def test_the_explorer_holds_what_the_lab_needs_in_less_than_a_megabyte():
    arrays = experiment.explorer()
    assert (manifest.data_dir() / experiment.EXPLORER).stat().st_size < 1_000_000
    assert arrays["evidence"].shape == (4, 4, 12, 2, 12, 12)
    assert arrays["images"].shape == (12, 3, 96, 96)
    assert (arrays["masks"].any(axis=(1, 2)) == (arrays["grades"] > 0)).all()
    assert np.isfinite(arrays["evidence"]).all()
    edited = softcam.edit_maps(arrays["evidence"][0, 0], arrays["masks"][:, 4::8, 4::8], target=1)
    assert edited.shape == (12, 2, 12, 12)


def test_the_grid_pictures_are_those_of_the_tuning_world():
    arrays, settings = experiment.explorer(), experiment.results()["settings"]
    assert settings == json.loads(json.dumps(experiment.asdict(Settings())))
    assert (arrays["pictures"] >= settings["pictures"] * 4 // 5).all()


# --- real data ----------------------------------------------------------------------------------------------------------

DATASETS = Path(__file__).parents[2] / "shared" / "datasets"


@pytest.mark.skipif(not DATASETS.exists(), reason="needs CIFAR-10 in XAILIB_DATA")
def test_resnet_18_is_converted_exactly_and_trained_on_a_few_photographs(monkeypatch):
    monkeypatch.setenv("XAILIB_DATA", str(DATASETS))
    found = experiment.cifar10(20, 1, size=64)
    assert found["largest difference of scores"] < 1e-4
    assert found["black box: mean size of evidence"] > 0


def test_the_command_refuses_nonsense(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softcam", "--cifar10", "--images", "0"])
    with pytest.raises(SystemExit):
        experiment.main()
    assert "must be at least 1" in capsys.readouterr().err
