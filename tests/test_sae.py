"""Closed forms of the toy model, recovery of known dictionaries, no silent failure of sparsity, and no side effects."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import sae
from xailib._sae_training import kth_largest
from xailib.zoo.transformer import Transformer

KINDS = {"batch-top-k": {"k": 2}, "top-k": {"k": 2}, "relu": {"l1": 0.2}}


@pytest.fixture(scope="module")
def world() -> sae.Planted:
    return sae.planted(6000, 12, 8, n_active=1.5)


@pytest.fixture(scope="module")
def trained(world: sae.Planted) -> sae.SparseAutoencoder:
    return sae.fit(world.activations, 12, k=1.5, steps=500)


def transformer(**more: object) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Transformer(vocabulary=11, context=9, width=8, n_heads=2, n_layers=2, **more).eval()


TOKENS = np.random.default_rng(0).integers(1, 11, size=(6, 7))


# --- toy models -------------------------------------------------------------------------------------------------------


def by_hand(W: np.ndarray, b: np.ndarray | float = 0.0, p: float = 0.3, importance: object = 1.0) -> sae.ToyModel:
    n = W.shape[1]
    return sae.ToyModel(W, np.full(n, b), p, np.full(n, importance), 0.0)


def test_three_directions_in_the_plane_give_back_one_feature_and_half_of_two():
    angles = np.deg2rad([90, 210, 330])
    toy = by_hand(np.array([np.cos(angles), np.sin(angles)]))
    X = np.array([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]])
    np.testing.assert_allclose(toy.reconstruct(X), [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(toy.interference, 0.5)
    assert toy.n_represented == 3


def test_superposition_of_three_yes_or_no_features_breaks_even_at_one_third():
    """Expected loss 1.5 p^2 + 1.5 p^3 against p - p^2 for keeping two features and guessing the mean of the third."""
    angles = np.deg2rad([90, 210, 330])
    toy = by_hand(np.array([np.cos(angles), np.sin(angles)]))
    X = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    losses = ((X - toy.reconstruct(X)) ** 2).sum(axis=1)
    for p in (0.1, 1 / 3, 0.5):
        weight = np.prod(np.where(X > 0, p, 1 - p), axis=1)
        assert losses @ weight == pytest.approx(1.5 * p**2 + 1.5 * p**3)
    third = 1 / 3
    assert 1.5 * third**2 + 1.5 * third**3 == pytest.approx(third - third**2)


def test_ideal_losses_are_those_of_simulated_answers():
    rng, p, r = np.random.default_rng(0), 0.4, 0.7
    x = rng.random((400_000, 2)) * (rng.random((400_000, 2)) < p)
    ours = sae.phase_losses(p, r).iloc[0]
    importance = np.array([1, r])

    def loss(W: list[list[float]], b: list[float]) -> float:
        return float((((x - sae.ToyModel(np.array(W), np.array(b), p, importance, 0.0).reconstruct(x)) ** 2) @ importance).mean())

    assert ours["first only"] == pytest.approx(loss([[1, 0]], [0, p / 2]), rel=0.01)
    assert ours["second only"] == pytest.approx(loss([[0, 1]], [p / 2, 0]), rel=0.01)
    assert ours["superposition"] == pytest.approx(loss([[1, -1]], [0, 0]), rel=0.01)


@given(r=st.floats(0.05, 20))
@settings(deadline=None, max_examples=30)
def test_the_boundary_is_where_the_ideal_losses_meet(r: float):
    edge = float(sae.phase_boundary(r))
    losses = sae.phase_losses(edge, r).iloc[0]
    assert losses["superposition"] == pytest.approx(min(losses["first only"], losses["second only"]), rel=1e-9)
    below = sae.phase_losses(0.9 * edge, r).iloc[0]
    assert below["superposition"] < min(below["first only"], below["second only"])


def test_phase_boundary_keeps_shapes_and_is_symmetric():
    assert sae.phase_boundary(1.0).shape == ()
    assert sae.phase_boundary(np.ones((3,))).shape == (3,)
    # which feature is called the first does not matter: importance r of the second is importance 1/r of the first
    np.testing.assert_allclose(sae.phase_boundary(4.0), sae.phase_boundary(0.25))


def test_trained_models_follow_the_ideal_answers_and_are_never_much_worse():
    found = sae.phase_diagram([0.05, 0.2, 0.7, 1.0], [0.15, 0.6, 4.0], steps=400)
    frame = found.to_frame()
    assert (frame["state"] == frame["ideal"]).mean() >= 11 / 12
    assert (frame["loss"] < 1.1 * frame["ideal_loss"] + 0.003).all()
    assert found.weights.shape == (4, 3, 2)


def test_dense_features_get_a_dimension_each_and_sparse_ones_share():
    toys = sae.toy_models([1.0, 0.3, 0.03], importance=0.8, steps=700, restarts=2, batch_size=256)
    counts = [toy.n_represented for toy in toys]
    assert counts[0] == 2
    assert counts[0] < counts[1] <= 4
    assert counts[2] == 5
    assert (toys[0].norms[:2] > 0.9).all()  # the two most important ones
    pentagon = np.sort(np.arctan2(*toys[2].W))
    gaps = np.diff(np.append(pentagon, pentagon[0] + 2 * np.pi))
    np.testing.assert_allclose(gaps, 2 * np.pi / 5, atol=0.25)


def test_restarts_only_help():
    one, many = (sae.toy_models([0.5, 0.5], steps=200, restarts=r, batch_size=64, random_state=3) for r in (1, 6))
    assert min(toy.loss for toy in many) <= min(toy.loss for toy in one) + 1e-12
    assert sae.toy_model(steps=50, random_state=1).loss == sae.toy_model(steps=50, random_state=1).loss


def test_importance_may_be_a_decay_a_row_or_a_row_for_each():
    short = {"steps": 5, "restarts": 1, "batch_size": 8}
    rows = sae.toy_models([0.5, 0.1], 3, 2, importance=[[1, 1, 1], [3, 2, 1]], **short)
    assert rows[1].importance.tolist() == [3, 2, 1]
    assert sae.toy_model(3, 2, importance=[1, 5, 2], **short).importance.tolist() == [1, 5, 2]
    np.testing.assert_allclose(sae.toy_model(3, 2, importance=0.5, **short).importance, [1, 0.5, 0.25])


# --- planted features -------------------------------------------------------------------------------------------------


def test_planted_rows_are_sums_of_their_features(world: sae.Planted):
    np.testing.assert_allclose(world.activations, world.codes @ world.dictionary, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(world.dictionary, axis=1), 1)
    np.testing.assert_allclose((world.codes > 0).mean(axis=0), world.rates, atol=0.03)
    first, second = world.halves()
    assert len(first.codes) == 4500
    np.testing.assert_array_equal(np.concatenate([first.codes, second.codes]), world.codes)


def test_spreading_pushes_directions_apart():
    near, far = (sae.planted(10, 32, 20, spread=spread) for spread in (False, True))
    assert far.coherence < 0.25 < 0.4 < near.coherence
    welch = np.sqrt((32 - 20) / (20 * 31))  # no arrangement can have a smaller largest cosine
    assert far.coherence >= welch


@pytest.mark.parametrize("tied", [True, False])
def test_children_need_their_parents_unless_they_are_the_control(tied: bool):
    made = sae.planted(20_000, 12, 12, n_active=1.0, n_parents=2, children=3, tied=tied)
    on = made.codes > 0
    assert made.parents.tolist() == [-1] * 2 + [0] * 3 + [1] * 3 + [-1] * 4
    orphans = (on[:, 2:5].any(axis=1) & ~on[:, 0]).mean()
    assert orphans == 0 if tied else orphans > 0.05
    np.testing.assert_allclose(on.mean(axis=0), made.rates, atol=0.01)  # the same rates, tied or not
    if tied:
        assert on[:, 2:5].sum(axis=1).max() == 1
        assert on[on[:, 0]][:, 2:5].any(axis=1).mean() == pytest.approx(0.6, abs=0.03)


# --- autoencoders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_dictionary_is_recovered_at_the_right_size(kind: str):
    """The stated measure: mean matched cosine above 0.95; far above luck and principal components."""
    features = sae.planted(8000, 32, 20)
    train, test = features.halves()
    found = sae.fit(train.activations, 32, kind=kind, **KINDS[kind])
    score = sae.recovery(found.dictionary, features.dictionary, latents=found.encode(test.activations), codes=test.codes)
    assert score.mean_cosine > 0.95
    assert score.mean_f1 > {"batch-top-k": 0.85, "top-k": 0.7, "relu": 0.65}[kind]
    luck = sae.recovery(sae.random_dictionary(32, 20), features.dictionary).mean_cosine
    assert luck < 0.5
    assert sae.recovery(sae.pca_dictionary(train.activations), features.dictionary).mean_cosine < 0.55


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_recovery_holds_over_twenty_worlds(kind: str):
    worlds = [sae.planted(8000, 32, 20, random_state=seed) for seed in range(20)]
    found = sae.fit_many(np.stack([w.activations for w in worlds]), 32, kind=kind, **KINDS[kind])
    cosines = [sae.recovery(a.dictionary, w.dictionary).mean_cosine for a, w in zip(found, worlds, strict=True)]
    assert np.mean(cosines) > 0.95
    assert min(cosines) > 0.9


def test_an_autoencoder_set_by_hand_encodes_by_formula():
    D = np.array([[1.0, 0], [0, 1]])
    one = sae.SparseAutoencoder(D.T, np.array([-0.1, 0.0]), D, np.array([1.0, 2.0]), "relu", np.nan, 0.1, 0.0, np.ones(1), 0)
    z = one.encode(np.array([[1.5, 1.0], [0.0, 5.0]]))
    np.testing.assert_allclose(z, [[0.4, 0], [0, 3]])
    np.testing.assert_allclose(one.decode(z), [[1.4, 2], [1, 5]])


@pytest.mark.parametrize("kind", KINDS)
def test_sparsity_is_what_was_asked_for(kind: str, world: sae.Planted):
    one = sae.fit(world.activations, 12, kind=kind, steps=300, **KINDS[kind])
    on = (one.encode(world.activations) > 0).sum(axis=1)
    if kind == "top-k":
        assert on.max() <= 2
    if kind == "batch-top-k":
        assert on.mean() == pytest.approx(2, abs=0.15)
        assert on.max() > 2  # rows share the budget
    np.testing.assert_allclose(np.linalg.norm(one.dictionary, axis=1), 1, atol=1e-9)
    assert one.encode(world.activations).min() >= 0


def test_a_row_is_encoded_alone(trained: sae.SparseAutoencoder, world: sae.Planted):
    """A batch decides in training only: afterwards the threshold does, so company changes nothing."""
    A = world.activations[:20]
    np.testing.assert_allclose(np.vstack([trained.encode(a[None]) for a in A]), trained.encode(A), atol=1e-12)


def test_more_penalty_means_fewer_latents_and_less_explained(world: sae.Planted):
    weak, strong = sae.fit_many(world.activations, 12, kind="relu", l1=[0.05, 0.5], steps=300)
    measured = [sae.evaluate(one, world.activations) for one in (weak, strong)]
    assert measured[0].l0 > measured[1].l0
    assert measured[0].explained > measured[1].explained


def test_without_unit_norm_the_penalty_is_dodged(world: sae.Planted):
    """Latents shrink, rows grow: the product stays, the penalty does not."""
    kept, free = (sae.fit(world.activations, 12, kind="relu", l1=0.4, unit_norm=u, steps=600) for u in (True, False))
    assert np.linalg.norm(free.dictionary, axis=1).mean() > 2
    sums = [one.encode(world.activations).sum(axis=1).mean() for one in (kept, free)]
    assert sums[1] < 0.75 * sums[0]
    assert sae.evaluate(free, world.activations).l0 > sae.evaluate(kept, world.activations).l0


@given(scale=st.sampled_from([1e-3, 1.0, 1e4]), shift=st.floats(-50, 50))
@settings(deadline=None, max_examples=8)
def test_neither_unit_nor_origin_of_the_activations_matters(scale: float, shift: float):
    features = sae.planted(600, 6, 4)
    one, other = (
        sae.fit(A, 6, kind="relu", l1=0.2, steps=40) for A in (features.activations, scale * (features.activations + shift))
    )
    np.testing.assert_allclose(other.dictionary, one.dictionary, atol=1e-5)
    z, z_scaled = one.encode(features.activations), other.encode(scale * (features.activations + shift))
    np.testing.assert_allclose(z_scaled / scale, z, atol=1e-4)


def test_the_same_seed_gives_the_same_autoencoder_and_another_one_another(world: sae.Planted):
    before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    one, same, other = (sae.fit(world.activations, 12, k=2, steps=60, random_state=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.dictionary, same.dictionary)
    assert np.abs(one.dictionary - other.dictionary).max() > 0.1
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_activations_are_not_changed(world: sae.Planted):
    before = world.activations.copy()
    sae.fit(world.activations, 12, k=2, steps=30)
    np.testing.assert_array_equal(world.activations, before)


def test_training_works_where_gradients_are_off(world: sae.Planted):
    with torch.inference_mode():
        assert sae.fit(world.activations, 12, k=2, steps=20).n_latents == 12
        assert sae.toy_model(steps=5, restarts=1).n_represented >= 0


def test_many_at_once_are_the_ones_one_by_one():
    """Batched tensors share the draws, so an autoencoder alone is the first of many with the same data."""
    A = sae.planted(500, 6, 4).activations
    alone = sae.fit(A, 6, kind="relu", l1=0.1, steps=25)
    both = sae.fit_many(np.stack([A, A]), 6, kind="relu", l1=[0.1, 0.3], steps=25)
    assert [one.l1 for one in both] == [0.1, 0.3]
    assert both[0].dictionary.shape == alone.dictionary.shape
    assert sae.evaluate(both[0], A).explained == pytest.approx(sae.evaluate(alone, A).explained, abs=0.25)


def test_dead_latents_are_started_anew_and_find_what_was_missed():
    """At the right size a dead latent is a feature that nobody speaks for."""
    worlds = [sae.planted(6000, 32, 20, random_state=seed) for seed in (0, 3)]
    A = np.stack([w.activations for w in worlds])
    left, helped = (sae.fit_many(A, 32, k=2, resample=resample, steps=700) for resample in (False, True))
    assert all(one.n_resampled == 0 for one in left)
    assert all(one.n_resampled > 0 for one in helped)
    for without, with_help, w in zip(left, helped, worlds, strict=True):
        assert sae.evaluate(without, w.activations).dead > sae.evaluate(with_help, w.activations).dead
        cosines = [sae.recovery(one.dictionary, w.dictionary).mean_cosine for one in (without, with_help)]
        assert cosines[1] > cosines[0] + 0.02


@given(k=st.lists(st.integers(1, 6), min_size=3, max_size=3), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=25)
def test_kth_largest_is_that_of_a_sorted_row(k: list[int], seed: int):
    z = torch.as_tensor(np.random.default_rng(seed).normal(size=(3, 6)))
    expected = [float(row.sort(descending=True).values[i - 1]) for row, i in zip(z, k, strict=True)]
    np.testing.assert_allclose(kth_largest(z, torch.tensor(k)).numpy(), expected)


def test_the_frontier_trades_latents_for_variance(world: sae.Planted):
    train, test = world.halves()
    found = sae.frontier(train.activations, test.activations, 12, {"top-k": [1, 2, 4], "relu": [0.3, 0.1]}, steps=200)
    assert found["kind"].tolist() == ["top-k"] * 3 + ["relu"] * 2
    for _, rows in found.groupby("kind"):
        assert rows["l0"].is_monotonic_increasing
        assert rows["explained"].is_monotonic_increasing


def test_explained_variance_of_perfect_and_useless_autoencoders():
    A = np.random.default_rng(0).normal(size=(50, 2))
    both_signs = np.vstack([np.eye(2), -np.eye(2)])
    perfect = sae.SparseAutoencoder(both_signs.T, np.zeros(4), both_signs, np.zeros(2), "relu", np.nan, 0.1, 0.0, np.ones(1), 0)
    assert sae.evaluate(perfect, A).explained == pytest.approx(1)
    assert sae.evaluate(perfect, A).l0 == 2
    silent = sae.SparseAutoencoder(
        both_signs.T, np.full(4, -99.0), both_signs, A.mean(axis=0), "relu", np.nan, 1.0, 0.0, np.ones(1), 0
    )
    measured = sae.evaluate(silent, A)
    assert measured.explained == pytest.approx(0)
    assert (measured.l0, measured.dead) == (0, 1)


# --- recovery ---------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), m=st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_the_matching_is_the_best_of_all(seed: int, m: int):
    rng = np.random.default_rng(seed)
    D, T = rng.normal(size=(m, 3)), rng.normal(size=(4, 3))
    C = (T / np.linalg.norm(T, axis=1, keepdims=True)) @ (D / np.linalg.norm(D, axis=1, keepdims=True)).T
    best = (
        max(C[range(4), list(p)].sum() for p in itertools.permutations(range(m), 4))
        if m >= 4
        else max(C[list(p), range(m)].sum() for p in itertools.permutations(range(4), m))
    )
    found = sae.recovery(D, T)
    assert found.cosines.sum() == pytest.approx(best)
    assert sorted(found.latents[found.latents >= 0].tolist()) == sorted(set(found.latents[found.latents >= 0].tolist()))
    assert (found.latents == -1).sum() == max(0, 4 - m)


def test_order_and_length_of_the_rows_do_not_matter_but_their_sign_does():
    T = np.random.default_rng(0).normal(size=(5, 5))
    shuffled = np.array([3, 1, 4, 0, 2])
    assert sae.recovery(7 * T[shuffled], T).mean_cosine == pytest.approx(1)
    assert sae.recovery(T[shuffled], T).latents.tolist() == np.argsort(shuffled).tolist()
    one = np.eye(4)
    assert sae.recovery(-one, one).mean_cosine == 0  # a direction at right angles is better than the opposite
    assert sae.recovery(-one, one, signed=False).mean_cosine == 1


def test_f1_counts_firings_on_the_matched_latent():
    codes = np.array([[1.0, 0], [1, 0], [0, 1], [0, 0]])
    latents = np.array([[0.0, 2], [0, 0], [3, 0], [1, 0]])
    found = sae.recovery([[0.0, 1], [1, 0]], np.eye(2), latents=latents, codes=codes)
    np.testing.assert_allclose(found.precision, [1, 0.5])
    np.testing.assert_allclose(found.recall, [0.5, 1])
    np.testing.assert_allclose(found.f1, [2 / 3, 2 / 3])
    assert np.isnan(sae.recovery(np.eye(2), np.eye(2)).mean_f1)


def test_a_feature_without_a_latent_counts_as_lost():
    found = sae.recovery([[1.0, 0]], np.eye(2), latents=np.ones((3, 1)), codes=np.ones((3, 2)))
    assert (found.mean_cosine, found.mean_f1) == (0.5, 0.5)
    assert found.latents.tolist() == [0, -1]


def test_the_components_of_pca_come_with_both_signs():
    A = np.random.default_rng(1).normal(size=(200, 3)) * [3, 2, 1]
    V = sae.pca_dictionary(A)
    np.testing.assert_allclose(V[:3], -V[3:])
    assert sae.recovery(V, np.eye(3)).mean_cosine > 0.99


def test_splits_counts_the_latents_that_speak_for_a_feature():
    rng = np.random.default_rng(0)
    codes = (rng.random((2000, 3)) < [0.3, 0.2, 0.1]) * 1.0
    half = rng.random(2000) < 0.5
    latents = np.column_stack(
        [codes[:, 0] * half, codes[:, 0] * ~half, codes[:, 1], rng.random(2000) < 0.2, np.zeros(2000), np.arange(2000) < 5]
    )
    assert sae.splits(latents, codes).tolist() == [2, 1, 0]


@given(seed=st.integers(0, 200))
@settings(deadline=None, max_examples=20)
def test_a_perfect_code_is_never_called_split(seed: int):
    """Nested features too: every firing of a child has its parent on, and still it speaks for the child."""
    nested = sae.planted(3000, 12, 12, n_active=1.5, n_parents=2, children=3, random_state=seed)
    assert sae.splits(nested.codes, nested.codes).tolist() == [1] * 12


def test_two_features_on_one_direction_have_none_of_their_own():
    toy = by_hand(np.array([[1.0, 0.9, 0, 0.1], [0, 0.1, 1, 0]]))
    assert toy.represented.tolist() == [False, False, True, False]
    assert toy.n_represented == 1
    assert by_hand(np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])).n_represented == 4
    toy.plot()
    plt.close("all")


def test_a_threshold_leaves_k_latents_on():
    features = sae.planted(2000, 12, 10)
    weak = sae.fit(features.activations, 12, kind="relu", l1=0.05, steps=300)
    read = sae.thresholded(weak, features.activations, 1.5)
    z, before = read.encode(features.activations), weak.encode(features.activations)
    assert (z > 0).sum() == 3000
    np.testing.assert_array_equal(z[z > 0], before[z > 0])
    assert before[z == 0].max() <= z[z > 0].min()
    assert weak.kind == "relu"


def hand_made(D: np.ndarray, W: np.ndarray, b: float = 0.0) -> sae.SparseAutoencoder:
    return sae.SparseAutoencoder(W.T, np.full(len(D), b), D, np.zeros(D.shape[1]), "relu", np.nan, 0.1, 0.0, np.ones(1), 0)


def test_absorption_is_seen_in_an_absorbing_dictionary_and_not_in_an_honest_one():
    features = sae.planted(4000, 4, 6, n_active=1.0, n_parents=1, children=2)
    T = features.dictionary
    inverse = np.linalg.pinv(T).T  # row i reads feature i alone
    honest = sae.absorption(hand_made(T, inverse, -0.01), features)
    np.testing.assert_allclose(honest["gap"], 0, atol=1e-12)
    # the child's latent writes parent and child at once; the parent's is silenced by any child
    D = T.copy()
    D[[1, 2]] += T[0]
    D[[1, 2]] /= np.linalg.norm(D[[1, 2]], axis=1, keepdims=True)
    W = inverse.copy()
    W[0] -= 5 * (inverse[1] + inverse[2])
    absorbing = sae.absorption(hand_made(D, W, -0.01), features)
    assert (absorbing["gap"] > 0.95).all()
    assert (absorbing["child_holds_parent"] > honest["child_holds_parent"] + 0.3).all()


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_true_name_passes_and_a_lucky_one_does_not():
    rng = np.random.default_rng(0)
    words = rng.choice(["prize", "lamp", "noon", "mum"], 4000)
    first = np.arange(4000) < 2000
    is_prize, noise = (words == "prize") * rng.uniform(1, 2, 4000), (rng.random(4000) < 0.05) * rng.uniform(1, 2, 4000)
    table = sae.name_latents(np.column_stack([noise, is_prize, np.zeros(4000)]), words, first).set_index("latent")
    assert table.index.tolist() == [1, 0]  # best name first; a latent that is never on has no name
    assert table.loc[1, "name"] == ("prize",)
    assert table.loc[1, ["precision", "recall", "f1"]].tolist() == [1, 1, 1]
    assert table.loc[0, "f1"] < 0.2
    assert table.loc[0, "chance"] == pytest.approx(2 * 0.05 / 1.05, abs=0.02)


def test_only_the_first_rows_are_looked_at():
    words = np.array(["a"] * 60 + ["b"] * 60)
    z = np.ones((120, 1))
    table = sae.name_latents(z, words, np.arange(120) < 60)
    assert table["name"][0] == ("a",)
    assert table["f1"][0] == 0
    assert table["seen_f1"][0] == 1


def test_weak_firings_may_be_left_out_of_the_test():
    words = np.tile(["a", "b"], 100)
    z = np.where(words == "a", 4.0, 1.0)[:, None]
    first = np.arange(200) < 100
    weak, strong = (sae.name_latents(z, words, first, above=share) for share in (0, 0.5))
    assert weak["name"][0] == strong["name"][0] == ("a",)
    assert weak["precision"][0] == 0.5
    assert strong["precision"][0] == 1
    assert weak["recall"][0] == strong["recall"][0] == 1


def test_scores_of_a_name_are_precision_recall_and_chance():
    score = sae.score_name([1.0, 1, 0, 0], np.array([True, False, True, True]))
    assert (score.precision, score.recall) == (1 / 2, 1 / 3)  # of two firings one fits; one of three named rows fires
    assert score.f1 == pytest.approx(2 / 5)
    assert score.chance == pytest.approx(2 / 3)
    everything = sae.score_name([1.0, 1, 0, 0], np.ones(4, dtype=bool))
    assert everything.f1 == pytest.approx(score.chance)


# --- transformers -----------------------------------------------------------------------------------------------------


def test_activations_leave_padding_out_and_are_the_models_own():
    model = transformer(padding=0, n_outputs=2, causal=False)
    tokens = TOKENS.copy()
    tokens[0, 4:] = 0
    found = sae.token_activations(model, tokens, "blocks.0.resid_post")
    assert len(found) == tokens.size - 3
    np.testing.assert_array_equal(found.tokens, tokens[found.sequence, found.position])
    seen = []
    hook = model.blocks[0].resid_post.register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.no_grad():
        model(torch.as_tensor(tokens))
    hook.remove()
    assert len(sae.token_activations(model, tokens, "embedded", padding=None)) == tokens.size
    np.testing.assert_allclose(found.values, seen[0].numpy()[found.sequence, found.position], atol=1e-6)


class Linear(torch.nn.Module):
    """Hook point, then a linear read-out of the last token: the closed form of steering."""

    def __init__(self, w: np.ndarray) -> None:
        from xailib.zoo.transformer import HookPoint

        super().__init__()
        self.place = HookPoint()
        self.table = torch.nn.Embedding(11, len(w))
        self.w = torch.nn.Parameter(torch.as_tensor(w, dtype=torch.float32))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        a = self.place(self.table(tokens))[:, -1]
        return torch.stack([a @ self.w, -a @ self.w], dim=1)


def linear() -> tuple[Linear, sae.SparseAutoencoder]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Linear(np.array([1.0, -2, 0.5]))
    A = model.table.weight.detach().numpy().astype(float)
    return model, sae.fit(A, 4, kind="relu", l1=0.05, steps=50)


def test_steering_a_linear_model_has_the_slope_of_the_formula():
    model, one = linear()
    w = model.w.detach().numpy().astype(float)
    for j in range(4):
        response = sae.steer(model, TOKENS, "place", one, j, [0, 1, 4], target=0)
        np.testing.assert_allclose(response.slopes, one.dictionary[j] @ w, atol=1e-5)
        np.testing.assert_allclose(response.effect(), 4 * one.dictionary[j] @ w, atol=1e-5)
        difference = sae.steer(model, TOKENS, "place", one, j, [0, 1, 4], target=0, against=1)
        np.testing.assert_allclose(difference.slopes, 2 * response.slopes, atol=1e-5)
    across = np.cross(w, [0.3, 1, 0.2])
    control = sae.steer(model, TOKENS, "place", one, 0, [0, 1, 4], target=0, direction=across)
    np.testing.assert_allclose(control.slopes, 0, atol=1e-5)


def test_clamping_to_the_present_value_changes_nothing():
    model, one = linear()
    A = model.table.weight.detach().numpy().astype(float)
    z = one.encode(A)[:, 1]
    token = int(z.argmax())
    row = np.array([[token, token]])
    response = sae.steer(model, row, "place", one, 1, [z[token], z[token] + 1], target=0)
    assert response.scores[0, 0] == pytest.approx(response.untouched[0], abs=1e-6)


def test_where_limits_the_clamping():
    model, one = linear()
    last = np.zeros(TOKENS.shape, dtype=bool)
    last[:, -1] = True
    everywhere, here, elsewhere = (
        sae.steer(model, TOKENS, "place", one, 0, [0, 3], target=0, where=where) for where in (None, last, ~last)
    )
    np.testing.assert_allclose(here.scores, everywhere.scores, atol=1e-6)
    np.testing.assert_allclose(elsewhere.scores, elsewhere.untouched[:, None] * np.ones(2), atol=1e-6)


def test_next_token_models_are_read_at_the_last_real_token():
    model = transformer(padding=0)
    tokens = TOKENS.copy()
    tokens[0, 4:] = 0
    one = sae.fit(sae.token_activations(model, tokens, "blocks.1.resid_post").values, 4, kind="relu", l1=0.1, steps=20)
    response = sae.steer(model, tokens, "blocks.1.resid_post", one, 0, [0, 1], target=3, of="probability")
    with torch.no_grad():
        expected = model(torch.as_tensor(tokens)).softmax(dim=2).numpy()
    np.testing.assert_allclose(response.untouched[0], expected[0, 3, 3], atol=1e-6)
    np.testing.assert_allclose(response.untouched[1:], expected[1:, -1, 3], atol=1e-6)


def test_the_model_is_left_as_it_was():
    model = transformer(padding=0).train()
    model.requires_grad_(True)
    one = sae.fit(sae.token_activations(model, TOKENS, "embedded").values, 4, k=1, steps=20)
    sae.steer(model, TOKENS, "embedded", one, 0, [0, 1], target=2)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_dose_response_is_a_table_with_intervals():
    response = sae.DoseResponse(np.array([0.0, 2]), np.array([[0.0, 1], [0, 3]]), np.zeros(2), "latent 0", "logit of 1")
    assert response.slopes.tolist() == [0.5, 1.5]
    frame = response.to_frame()
    assert frame.columns.tolist() == ["value", "mean", "lower", "upper"]
    assert frame["mean"].tolist() == [0, 2]
    assert repr(response) == "DoseResponse(latent 0: 2 texts, clamped to 0 ... 2, mean effect +2.00 in logit of 1)"


# --- what people see --------------------------------------------------------------------------------------------------


def test_results_show_themselves(trained: sae.SparseAutoencoder, world: sae.Planted):
    assert repr(trained) == "SparseAutoencoder(batch-top-k, k 1.5: 8 dimensions, 12 latents)"
    found = sae.recovery(trained.dictionary, world.dictionary)
    assert repr(found).startswith("Recovery(12 features: mean matched cosine 0.9")
    assert isinstance(found.to_frame(), pd.DataFrame)
    found.plot()
    toy = by_hand(np.eye(2))
    assert repr(toy) == "ToyModel(2 features, 2 dimensions, density 0.3: 2 represented, loss 0.0000)"
    assert toy.to_frame()["length"].tolist() == [1, 1]
    toy.plot()
    diagram = sae.PhaseDiagram(np.array([0.1]), np.array([1.0, 2.0]), np.array([[[1.0, -1.0], [1.0, 0.0]]]), np.zeros((1, 2)))
    assert diagram.states.tolist() == [["superposition", "first only"]]
    assert repr(diagram) == "PhaseDiagram(2 toy models: 1 superposition, 1 first only)"
    diagram.plot()
    sae.DoseResponse(np.array([0.0, 2]), np.zeros((3, 2)), np.zeros(3), "latent 0", "logit of 1").plot()
    plt.close("all")
