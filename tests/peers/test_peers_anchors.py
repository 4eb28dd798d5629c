"""anchor-exp draws from the same distribution as we do; its search returns rules that fail their own claim."""

from __future__ import annotations

import numpy as np
import pytest

from xailib import anchors

anchor_tabular = pytest.importorskip("anchor.anchor_tabular")
anchor_base = pytest.importorskip("anchor.anchor_base")

X = np.random.default_rng(0).multivariate_normal(np.zeros(4), 0.4 + 0.6 * np.eye(4), size=1500)


def model(rows):
    return (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0.2).astype(int)


@pytest.fixture
def peer(monkeypatch):
    """Its own global random numbers, put back afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield anchor_tabular.AnchorTabularExplainer(["no", "yes"], [f"x{j}" for j in range(4)], X.copy())
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize("features", [(), (0,), (0, 2)])
def test_same_perturbation_distribution(peer, features):
    """Precision of a rule by their sampler and by ours, within the noise of 20,000 draws each."""
    instance = np.array([1.5, 0.1, 1.5, -2.0])
    label = model(instance[None])[0]
    sample, mapping = peer.get_sample_fn(instance, model)
    chosen = [i for i, (f, op, v) in mapping.items() if f in features and op == "geq" and v == 1]
    assert len(chosen) == len(features)
    theirs = sample(chosen, 20_000)[2].mean()
    medians = [np.quantile(X[:, j], 0.5) for j in features]
    rule = [f"x{j} > {median:.12f}" for j, median in zip(features, medians, strict=True)]
    ours = anchors.precision(model, X, rule, label, n_samples=20_000).precision
    assert theirs == pytest.approx(ours, abs=4 * 0.5 * np.sqrt(2 / 20_000))


@pytest.mark.parametrize("p", [0.2, 0.9])
def test_same_bounds(p):
    low, high = anchors.kl_bounds(p, 1, 0.05)
    base = anchor_base.AnchorBaseBeam
    assert base.dlow_bernoulli(p, 0.05) == pytest.approx(low, abs=1e-4)
    assert base.dup_bernoulli(p, 0.05) == pytest.approx(high, abs=1e-4)


def test_a_rule_that_failed_is_returned_by_the_peer_and_named_by_us(peer):
    """Labels of half the rows are a coin: no rule can reach 0.95. Theirs comes back long and with a claim, ours says so."""
    coin = lambda rows: ((rows[:, 0] > 0.5) ^ (np.floor(np.abs(rows).sum(axis=1) * 1e4) % 5 == 0)).astype(int)  # noqa: E731
    instance = next(row for row in X if coin(row[None])[0] == 1 and row[0] > 0.5)
    theirs = peer.explain_instance(instance, coin, threshold=0.95, max_anchor_size=3)
    ours = anchors.explain(coin, instance, X, threshold=0.95, max_conditions=3)
    assert theirs.precision() < 0.95
    assert theirs.names()
    assert not ours.found
    assert ours.interval[0] < 0.8 < ours.interval[1]


def test_the_peers_beam_width_never_reaches_its_search(monkeypatch, peer):
    seen = {}
    monkeypatch.setattr(
        anchor_base.AnchorBaseBeam,
        "anchor_beam",
        staticmethod(lambda *args, **kwargs: seen.update(kwargs) or {"feature": []}),
    )
    peer.explain_instance(X[0], model, beam_size=7)
    assert "beam_size" not in seen
