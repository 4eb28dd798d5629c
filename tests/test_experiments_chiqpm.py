"""The CHiQPM experiment in small: it goes on after a kill, writes what it says, and its readers read it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from xailib.chiqpm import _pipeline, conformal
from xailib.course import manifest
from xailib.experiments import chiqpm as experiment
from xailib.experiments.chiqpm import Settings

SMALL = Settings(seeds=(0,), pictures=120, epochs=1, cycles=(1,), pool=80, splits=2, draws=2, draw=80)
#: without similar pairs, which take the longest to solve
FEW = {name: (0.0, *experiment.CONDITIONS[name][1:]) for name in experiment.CALIBRATED}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small run in a cache and a folder of its own."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAILIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(experiment, "CONDITIONS", FEW)
        patch.setattr(experiment, "GRID", {"n_features": (4, 8), "n_per_class": (2,), "density": (0.0,)})
        patch.setattr(_pipeline, "solve", partial(_pipeline.solve, bound_steps=0, shakes=0))
        for cached in (experiment._start, experiment._dense_predicted, experiment._solved):
            cached.cache_clear()
        yield experiment.run(SMALL, folder), folder
        for cached in (experiment._start, experiment._dense_predicted, experiment._solved):
            cached.cache_clear()


@pytest.fixture
def reading(small, monkeypatch):
    """The stored arrays as if a second seed had found the same."""
    by_seed = ("table", "dense", "falls", "overlap", "splits", "ambiguous", "by_class", "shift", "selected", "W")
    twice = {key: np.concatenate([a, a]) if key in by_seed else a for key, a in small[0].items()}
    monkeypatch.setattr(experiment, "results", lambda: twice)
    return twice


def test_a_small_run_writes_its_file_and_registers_it(small):
    arrays, folder = small
    assert list(manifest.read(folder)) == [experiment.FILE]
    assert manifest.problems(folder) == []
    with np.load(folder / experiment.FILE) as stored:
        assert sorted(stored.files) == sorted(arrays)
    assert arrays["table"].shape == (1, 3, len(experiment.MEASURES))
    assert arrays["splits"].shape == (1, 3, 4, len(conformal.METHODS), 2, len(experiment.SPLIT_NUMBERS))
    assert arrays["fresh"].shape == (2, 4, len(conformal.METHODS), len(experiment.SPLIT_NUMBERS))
    assert arrays["falls"].shape == (1, 2, 20, 16, 5)


def test_a_second_run_trains_nothing(small, tmp_path, monkeypatch):
    for name in ("_measure", "_measure_dense", "_calibrate"):
        monkeypatch.setattr(experiment, name, lambda *_: pytest.fail("measured again"))
    experiment.run(SMALL, tmp_path)
    assert (tmp_path / experiment.FILE).read_bytes() == (small[1] / experiment.FILE).read_bytes()


def test_shipped_head_is_feasible(small):
    W = small[0]["W"]
    assert (W.sum(axis=3) == 4).all()
    assert all(len(np.unique(head, axis=0)) == 20 for heads in W for head in heads)


def test_the_grid_of_the_lab_marks_what_is_infeasible(small):
    """Four features have six pairs, too few for twenty classes."""
    arrays = small[0]
    assert (arrays["grid_selected"][0] == -1).all()
    assert np.isnan(arrays["grid_Z"][0]).all()
    assert (arrays["grid_selected"][1] >= 0).all()
    assert (arrays["grid_W"][1].sum(axis=-1) == 2).all()


def test_readers_say_what_is_stored(reading):
    table = experiment.table()
    assert list(table.index) == list(FEW)
    assert np.isclose(table.loc[experiment.DEFAULT, "accuracy"], reading["table"][:, 0, 0].mean())
    differences = experiment.paired(experiment.DEFAULT, experiment.WITHOUT)
    assert np.isclose(differences.loc["Z", "mean"], 0, atol=1e-3)  # the loss does not change the program
    rows = experiment.splits()
    assert len(rows) == 2 * 4 * len(conformal.METHODS) * 2
    one = rows.query("seed == 1 and alpha == 0.1 and method == 'THR' and split == 1").iloc[0]
    assert np.isclose(one["coverage"], reading["splits"][1, 0, 1, conformal.METHODS.index("THR"), 1, 0])
    assert len(experiment.fresh_draws()) == 4 * len(conformal.METHODS) * 2
    assert experiment.parts().shape == (16, 11)
