"""The stored probe bench follows from the shipped network, and a killed run goes on where it stopped."""

from __future__ import annotations

import numpy as np
import pytest

from xailib import _cache, probing, zoo
from xailib.course import manifest
from xailib.experiments import probing as experiment


def test_the_bench_has_every_setting():
    stored = experiment.bench()
    shape = (3, 2, 5, len(experiment.HIDDEN), len(experiment.TRAINING_ROWS), experiment.SPLITS)
    assert stored["accuracy"].shape == stored["control"].shape == shape
    assert stored["majority"].shape == (3, len(experiment.TRAINING_ROWS), experiment.SPLITS)
    assert all(((array >= 0) & (array <= 1)).all() for array in stored.values())


@pytest.mark.parametrize(("q", "point"), [(0, 1), (1, 2), (2, 4)])
def test_stored_numbers_are_measured_again(q, point):
    X, positions, y, types = experiment.rows(experiment.QUESTIONS[q])
    A = probing.activations(zoo.load(experiment.MODEL), X, experiment.POINTS[point], positions)
    again = probing.measure(A, y, types=types, n_splits=experiment.SPLITS, n_train=100)
    size = experiment.TRAINING_ROWS.index(100)
    np.testing.assert_allclose(again.accuracy, experiment.bench()["accuracy"][q, 0, point, 0, size], atol=0.01)
    np.testing.assert_allclose(again.control, experiment.bench()["control"][q, 0, point, 0, size], atol=0.01)


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    calls: list[tuple[str, ...]] = []
    shape = (len(experiment.HIDDEN), len(experiment.TRAINING_ROWS), experiment.SPLITS)

    def part(*names):
        calls.append(names)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return {name: np.full(shape, 0.5) for name in ("accuracy", "control", "majority")}

    listed = manifest.read()
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(experiment, "part", part)
    monkeypatch.setattr(experiment.manifest, "data_dir", lambda: folder)
    monkeypatch.setattr(experiment.manifest, "read", lambda folder=None: dict(listed))
    with pytest.raises(KeyboardInterrupt):
        experiment.run()
    assert not (folder / experiment.FILE).exists()
    experiment.run()
    assert len(calls) == 4 + 27  # 30 parts, three of them made before
    assert _cache.sha256(folder / experiment.FILE) in (folder / "MANIFEST.json").read_text()
