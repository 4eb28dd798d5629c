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


def test_the_stored_phase_diagram_holds_models_of_the_stored_loss():
    stored = experiment.explorer()
    p, importance = np.geomspace(0.02, 1, 12), np.geomspace(0.1, 10, 11)
    assert stored["phase_weights"].shape == (12, 11, 2)
    for i, j in ((2, 5), (6, 5), (11, 0)):
        ideal = sae.phase_losses(p[i], importance[j]).iloc[0, 2:].min()
        assert stored["phase_losses"][i, j] == pytest.approx(ideal, rel=0.1)
        weights = np.sort(np.abs(stored["phase_weights"][i, j]))
        assert weights[0] < 0.1 or weights[0] > 0.8  # nothing is half kept where the formula is clear


def test_one_of_the_sizes_is_trained_again():
    stored, again = experiment.explorer(), experiment.all_sizes(16)
    assert set(again) == {name for name in stored if name.startswith("size_")}
    for name in ("size_cosine", "size_matched", "size_explained"):
        np.testing.assert_allclose(again[name], stored[name][0], atol=0.03)
    # a feature without a latent counts as 0, so half of the latents means half of the mean
    np.testing.assert_allclose(stored["size_cosine"][0], stored["size_matched"][0] / 2, atol=1e-6)
    assert stored["peer_cosine"].shape == stored["peer_f1"].shape == (experiment.N_WORLDS,)


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
            return {f"of_{name}": np.ones(2)}

        return make

    parts = ("toys", "dictionaries", "all_sizes", "phase", "peer", "dial")
    for name in parts:
        monkeypatch.setattr(experiment, name, part(name))
    with pytest.raises(KeyboardInterrupt):
        experiment.run()
    assert not (tmp_path / "data" / experiment.FILE).exists()
    experiment.run()
    assert (
        len(calls) == len(experiment.FEATURES) + len(experiment.SIZES) + len(experiment.ALL_SIZES) + 3 + 1
    )  # the killed part twice, no other
    with np.load(tmp_path / "data" / experiment.FILE) as stored:
        assert sorted(stored.files) == sorted(f"of_{name}" for name in parts)
    assert _cache.content_key("a") != _cache.content_key("b")
