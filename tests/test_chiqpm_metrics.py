"""Metrics of CHiQPM: extremes by hand, invariances, and what a feature without any class structure scores."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xailib import worlds
from xailib.chiqpm import metrics
from xailib.chiqpm.network import CHiQPM

RNG = np.random.default_rng(0)
SEEDS = st.integers(0, 10_000)


def test_accuracy_ratio_may_exceed_one():
    assert metrics.accuracy_ratio([0, 1, 1], [0, 0, 0], [0, 1, 1]) == 3.0


# --- diversity ------------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_diversity_lies_between_its_bounds_and_ignores_scale(seed, k):
    rng = np.random.default_rng(seed)
    maps, weights, predicted = rng.exponential(size=(6, 4, 3, 3)), rng.random((5, 4)), rng.integers(5, size=6)
    value = metrics.diversity(maps, weights, predicted, k=k)
    assert 1 / k - 1e-9 <= value <= 1 + 1e-9
    assert np.isclose(value, metrics.diversity(maps * rng.random((6, 4, 1, 1)) * 50, weights, predicted, k=k))


def test_diversity_counts_the_features_of_the_predicted_class():
    maps = np.zeros((1, 3, 1, 50))
    maps[0, 0, 0, 0] = maps[0, 1, 0, 0] = maps[0, 2, 0, 49] = 1.0
    weights = [[1, 1, 0], [0, 1, 1]]
    values = [metrics.diversity(maps, weights, [c], k=2) for c in (0, 1)]
    assert np.allclose(values, [0.5, 1.0], atol=1e-4)


# --- independence, correlation, contrast ----------------------------------------------------------------------------


def test_class_independence_at_its_extremes():
    y = np.repeat(np.arange(4), 5)
    assert np.isclose(metrics.class_independence(np.eye(4)[y], y), 0)
    uniform = np.tile([[0.0], [1.0], [2.0], [3.0], [4.0]], (4, 1))
    assert np.isclose(metrics.class_independence(uniform, y), 3 / 4)


@given(SEEDS)
@settings(deadline=None, max_examples=20)
def test_class_independence_ignores_scale_and_shift(seed):
    rng = np.random.default_rng(seed)
    f, y = rng.normal(size=(30, 3)), rng.integers(3, size=30)
    assert np.isclose(metrics.class_independence(f, y), metrics.class_independence(f * [2.0, 3.0, 9.0] + [1.0, -5.0, 2.0], y))


def test_correlation_of_copies_and_of_orthogonal_features():
    f = RNG.random((20, 1))
    assert np.isclose(metrics.correlation(np.hstack([f, 3 * f])), 1)
    assert metrics.correlation(np.eye(4)) == 0
    assert metrics.correlation(np.hstack([f, 0 * f])) == 0


def test_contrastiveness_of_two_clear_groups_and_of_one_blob():
    clear = np.concatenate([RNG.normal(0, 0.1, 300), RNG.normal(5, 0.1, 300)])[:, None]
    assert metrics.contrastiveness(clear) > 0.999
    assert metrics.contrastiveness(RNG.normal(size=(600, 1))) < 0.75
    assert metrics.contrastiveness(np.ones((10, 1))) == 0


def test_overlap_is_the_area_under_the_smaller_density():
    one, other = NormalDist(0.0, 1.0), NormalDist(1.5, 0.4)
    x = np.linspace(-8, 8, 40_001)
    densities = [np.exp(-(((x - n.mean) / n.stdev) ** 2) / 2) / n.stdev / np.sqrt(2 * np.pi) for n in (one, other)]
    assert np.isclose(metrics._overlap(one, other), np.minimum(*densities).sum() * (x[1] - x[0]), atol=1e-4)


def test_a_rectifier_alone_makes_features_contrastive():
    """The control: no class structure at all, and above the 99 % that are claimed for the method."""
    noise = np.random.default_rng(1).normal(size=(4000, 5))
    assert metrics.contrastiveness(noise) < 0.6
    assert metrics.contrastiveness(np.maximum(noise, 0)) > 0.99
    control = metrics.rectified_control(np.maximum(noise - 1, 0))
    assert metrics.contrastiveness(control) > 0.99


def test_the_control_has_as_many_zeros_as_each_feature():
    f = np.maximum(np.random.default_rng(2).normal([-1.0, 0.0, 1.5], size=(5000, 3)), 0)
    control = metrics.rectified_control(f)
    assert np.allclose((f > 0).mean(axis=0), (control > 0).mean(axis=0), atol=0.03)
    assert (metrics.rectified_control(np.zeros((50, 2))) > 0).mean() < 0.1


@given(SEEDS)
@settings(deadline=None, max_examples=5)
def test_contrastiveness_ignores_scale(seed):
    f = np.random.default_rng(seed).exponential(size=(300, 2))
    assert np.isclose(metrics.contrastiveness(f, random_state=0), metrics.contrastiveness(1000 * f, random_state=0), atol=1e-6)


def test_active_means_are_those_of_the_upper_group():
    f = np.concatenate([np.zeros((100, 2)), np.random.default_rng(0).normal([2.0, 7.0], 0.1, (50, 2))])
    assert np.allclose(metrics.active_means(f), [2.0, 7.0], atol=0.1)
    assert metrics.active_means(np.zeros((5, 1)))[0] > 0


def test_health_finds_dead_and_repeated_features():
    f = RNG.exponential(size=(50, 3))
    table = metrics.feature_health(np.column_stack([f, 2 * f[:, 0], np.zeros(50)]))
    assert table["dead"].tolist() == [False, False, False, False, True]
    assert np.allclose(table.loc[[0, 3], "largest_cosine"], 1)
    assert table["largest_cosine"][1] < 0.9


# --- classes --------------------------------------------------------------------------------------------------------


def test_attribute_similarity_of_birds_is_largest_for_siblings():
    truth = worlds.birds(60).truth
    T = metrics.attribute_similarity(truth.attributes)
    assert np.allclose(T, T.T)
    assert not np.diag(T).any()
    siblings = [T[a, b] for a, b, _ in truth.pairs]
    others = T[np.triu_indices(20, 1)]
    assert min(siblings) > others.mean()


def test_structural_grounding_is_one_where_features_are_attributes():
    """Four attributes for each class, features the same four: both cosines agree."""
    W = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0], [0, 1, 1, 0, 1, 1], [0, 0, 1, 1, 1, 1]])
    T = metrics.attribute_similarity(W)
    assert np.isclose(metrics.structural_grounding(W, T, n_pairs=3), 1)
    assert np.isclose(metrics.structural_grounding(W, T / 2, n_pairs=3), 2)


def test_pairs_that_tie_at_the_edge_share_what_is_left():
    W = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]])[:3]
    T = np.array([[0, 0.9, 0.5], [0.9, 0, 0.5], [0.5, 0.5, 0]])
    assert np.isclose(metrics.structural_grounding(W, T, n_pairs=2), (0.5 + 0.5 * 0.5 * 2) / (0.9 + 0.5))
    renumbered = [2, 0, 1]
    assert np.isclose(
        metrics.structural_grounding(W[renumbered], T[np.ix_(renumbered, renumbered)], n_pairs=2),
        metrics.structural_grounding(W, T, n_pairs=2),
    )


def test_structural_grounding_follows_the_released_code_where_nothing_ties():
    """Fifty largest entries of the flattened symmetric matrix."""
    rng = np.random.default_rng(0)
    W = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
    T = rng.random((5, 5))
    T = (T + T.T) / 2
    np.fill_diagonal(T, 0)
    top = np.argsort(T.ravel())[-6:]
    cosines = (W @ W.T / 2).ravel()
    assert np.isclose(metrics.structural_grounding(W, T, n_pairs=3), cosines[top].sum() / T.ravel()[top].sum())


def test_shared_pairs_counts_each_pair_once():
    W = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 0, 1, 1, 1]])
    table = metrics.shared_pairs(W)
    assert table["shared"].tolist() == [2, 1, 1]
    assert table["contrastive"].tolist() == [True, False, False]


def test_set_coherence_pools_pairs_so_that_large_sets_dominate():
    T = np.array([[0, 1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    sets = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]], bool)
    assert np.isclose(metrics.set_coherence(sets, T), 2 / 7)
    assert np.isclose(metrics.set_coherence(sets, T + np.eye(4)), 2 / 7)
    assert np.isnan(metrics.set_coherence(sets[2:], T))


# --- parts ----------------------------------------------------------------------------------------------------------


def test_overlap_of_a_map_with_masks():
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 2, 8, 8), bool)
    masks[:, 0, :4], masks[:, 1, 4:] = True, True
    maps = np.zeros((3, 2, 8, 8))
    maps[:, 0, :4] = rng.random((3, 4, 8))
    maps[:, 1] = rng.random((3, 8, 8))
    table = metrics.part_overlap(maps, [[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]], masks, ["upper", "lower"])
    assert np.allclose(table.loc[0], [1, 0])
    assert np.isclose(table.loc[1].sum(), 1)
    assert metrics.part_overlap(maps, np.zeros((3, 2)), masks, ["upper", "lower"]).isna().all(axis=None)


@cache
def red_counter() -> CHiQPM:
    """Feature 0 is the share of red light, feature 1 of green, each less what no picture has less of."""
    conv = nn.Conv2d(3, 2, 1, bias=False)
    conv.weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[:, :, None, None]
    return CHiQPM(conv, [[True, False], [False, True]], [0.0, 0.0], [1.0, 1.0])


def test_falls_are_differences_of_features_on_pictures_drawn_again():
    world = worlds.birds(60)
    table = metrics.part_falls(red_counter(), world, [50, 51, 52])
    assert table.shape == (2, 5)
    with_wing = [i for i in (50, 51, 52) if world.truth.present[i, 2]]
    direct = [(world.X[i] - world.truth.without(i, "wing"))[:2].mean(axis=(1, 2)) for i in with_wing]
    assert np.allclose(table["wing"], np.mean(direct, axis=0), atol=1e-6)


def test_falls_need_a_birds_world():
    with pytest.raises(TypeError, match="birds world"):
        metrics.part_falls(red_counter(), pd.DataFrame({"a": [1]}))


def test_pivots_of_pairs_that_share_all_but_one_feature_only():
    W = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 0, 1, 1, 1]])
    falls = np.zeros((3, 5, 3))
    falls[0, 2], falls[1, 3] = [0, 1, 0.5], [0.2, 0.1, 0.0]
    table = metrics.pivot_parts(W, falls, [(0, 1, "crest"), (0, 2, "wing")], ["beak", "crest", "wing"])
    assert table[["of", "against", "feature", "found", "right"]].to_numpy().tolist() == [
        [0, 1, 2, "crest", True],
        [1, 0, 3, "beak", False],
    ]
