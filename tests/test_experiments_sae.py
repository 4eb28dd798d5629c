"""What the labs of chapter 13 show follows from the code that is said to have made it."""

from __future__ import annotations

import numpy as np
import pytest

from xailib import _cache, sae, worlds, zoo
from xailib.course import manifest
from xailib.experiments import sae as experiment


def test_every_setting_is_stored():
    stored = experiment.explorer()
    grid = (len(experiment.FEATURES), len(experiment.DECAYS), len(experiment.DENSITIES))
    assert stored["W"].shape == (*grid, 2, max(experiment.FEATURES))
    bench = (len(experiment.SIZES), len(experiment.STRENGTHS))
    assert stored["cosine"].shape == stored["f1"].shape == (*bench, experiment.PLANTED["n_features"])
    assert stored["explained"].shape == bench
    np.testing.assert_allclose(np.linalg.norm(stored["dictionary"], axis=1), 1, atol=1e-5)


def test_stored_toy_models_have_the_stored_loss():
    """On rows of our own."""
    stored, rng = experiment.explorer(), np.random.default_rng(0)
    for i, n in enumerate(experiment.FEATURES):
        for d, p in ((2, 0.5), (6, 0.1)):
            x = rng.random((40_000, n)) * (rng.random((40_000, n)) < p)
            W, b = stored["W"][i, 0, d, :, :n].astype(float), stored["b"][i, 0, d, :n].astype(float)
            importance = experiment.DECAYS[0] ** np.arange(n)
            toy = sae.ToyModel(W, b, p, importance, 0.0)
            loss = (((x - toy.reconstruct(x)) ** 2) @ importance).mean()
            assert loss == pytest.approx(stored["loss"][i, 0, d], rel=0.06, abs=0.0015)  # it was measured on 8192 rows


def test_a_dictionary_is_trained_again():
    stored, i = experiment.explorer(), experiment.SIZES.index(8)
    again = experiment.dictionaries(8)
    np.testing.assert_allclose(again["explained"], stored["explained"][i], atol=0.01)
    np.testing.assert_allclose(again["cosine"].mean(axis=1), stored["cosine"][i].mean(axis=1), atol=0.03)


def test_the_dial_rebuilds_mails_that_did_not_train_it():
    stored = experiment.explorer()
    names = ("encoder", "encoder_bias", "dictionary", "bias")
    one = sae.SparseAutoencoder(
        *(stored[name].astype(float) for name in names), "batch-top-k", 2.0, np.nan, float(stored["threshold"]), np.ones(1), 0
    )
    tokens = zoo.encode(experiment.MODEL, worlds.messages(2 * experiment.MAILS).X[experiment.MAILS :])
    fit = sae.evaluate(one, sae.token_activations(zoo.load(experiment.MODEL), tokens, experiment.PLACE).values)
    assert fit.explained > 0.9
    assert fit.l0 == pytest.approx(2, abs=0.2)


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(manifest, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setattr(manifest, "read", lambda folder=None: {f"{experiment.MODEL}.safetensors": {"sha256": "x"}})
    monkeypatch.setattr(manifest, "record", lambda name, **entry: None)
    calls: list[str] = []

    def part(name):
        def make(*_):
            calls.append(name)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return {"W" if name == "toys" else "cosine": np.ones(2)} if name != "dial" else {"bias": np.ones(2)}

        return make

    for name in ("toys", "dictionaries", "dial"):
        monkeypatch.setattr(experiment, name, part(name))
    with pytest.raises(KeyboardInterrupt):
        experiment.run()
    assert not (tmp_path / "data" / experiment.FILE).exists()
    experiment.run()
    assert len(calls) == len(experiment.FEATURES) + len(experiment.SIZES) + 1 + 1  # the killed part twice, no other
    with np.load(tmp_path / "data" / experiment.FILE) as stored:
        assert sorted(stored.files) == ["W", "bias", "cosine"]
    assert _cache.content_key("a") != _cache.content_key("b")
