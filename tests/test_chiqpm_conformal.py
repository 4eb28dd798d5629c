"""Quantiles and scores by hand, the promise by simulation, and the defects of the reference behaviour."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib.chiqpm import conformal
from xailib.chiqpm.conformal import METHODS, calibrate, hierarchical_scores, over_splits, quantile, reference_scores
from xailib.chiqpm.hierarchy import common_prefixes, ordered_features

N_F, N_WC = 8, 3
W = np.zeros((12, N_F), bool)
for _row, _subset in zip(W, itertools.combinations(range(N_F), N_WC), strict=False):
    _row[list(_subset)] = True


def pictures(n: int, seed: int = 0, *, doubt: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """Features of n pictures whose own features are strong, others sometimes too, and at least one is on."""
    rng = np.random.default_rng(seed)
    y = rng.integers(len(W), size=n)
    z = 2.0 * W[y] + rng.normal(size=(n, N_F)) * doubt - 0.8
    return np.maximum(z, 0.1 * (z == z.max(axis=1, keepdims=True))), y


# --- the quantile ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "alpha", "rank"), [(9, 0.1, 9), (10, 0.1, 10), (19, 0.1, 18), (99, 0.05, 95), (4, 0.25, 4), (3, 0.5, 2)]
)
def test_quantile_is_the_rounded_up_order_statistic(n, alpha, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert quantile(scores, alpha) == rank


@pytest.mark.parametrize(("n", "alpha", "least"), [(8, 0.1, 9), (18, 0.05, 19), (2, 0.25, 3), (5, 0.12, 8)])
def test_too_few_scores_are_refused_with_the_number_that_is_enough(n, alpha, least):
    with pytest.raises(ValueError, match=f"at least {least} calibration scores"):
        quantile(np.ones(n), alpha)
    quantile(np.ones(least), alpha)


def test_with_distinct_scores_a_new_one_is_covered_exactly_as_often_as_its_rank_says():
    """All orders of six scores: the last is at most the quantile of the first five with probability ceil(6 * 0.7) / 6."""
    covered = [order[5] <= quantile(np.array(order[:5], float), 0.3) for order in itertools.permutations(range(6))]
    assert np.mean(covered) == 5 / 6


def test_reference_quantile_is_another_number():
    """torch.quantile at ceil(n + 1)(1 - alpha)/n, interpolated."""
    import torch

    scores = np.random.default_rng(0).normal(size=37)
    for alpha in (0.05, 0.1, 0.12):
        level = int(np.ceil(37 + 1)) * (1 - alpha) / 37
        assert np.isclose(conformal.reference_quantile(scores, alpha), torch.quantile(torch.tensor(scores), level).item())


# --- the hierarchical score -----------------------------------------------------------------------------------------


def slow_score(f, W, n_limit, c, predicted):
    """The formulas with loops."""
    mine, theirs = ordered_features(f[None], W)[0][[c, predicted]]
    k = 0
    while k < len(mine) and mine[k] == theirs[k]:
        k += 1
    diversion = f[mine[k]] if k < len(mine) else 0.0
    if k < n_limit:
        return n_limit - k - diversion / (1 + diversion)
    return -diversion - sum(f[mine[j]] for j in range(n_limit, k))


@pytest.mark.parametrize("n_limit", range(N_WC + 1))
def test_scores_are_those_of_the_formula(n_limit):
    f, _ = pictures(15)
    predicted = (f @ W.T).argmax(axis=1)
    expected = [[slow_score(f[i], W, n_limit, c, predicted[i]) for c in range(len(W))] for i in range(len(f))]
    assert np.allclose(hierarchical_scores(f, W, n_limit), expected)


@given(st.integers(0, 1000), st.integers(0, N_WC))
@settings(deadline=None, max_examples=30)
def test_the_prediction_is_never_stranger_than_another_class(seed, n_limit):
    f, _ = pictures(40, seed)
    scores = hierarchical_scores(f, W, n_limit)
    own = scores[np.arange(len(f)), (f @ W.T).argmax(axis=1)]
    assert (own[:, None] <= scores + 1e-9).all()


@given(st.integers(0, 1000), st.integers(1, N_WC))
@settings(deadline=None, max_examples=30)
def test_classes_that_leave_early_come_after_those_that_stay_level_by_level(seed, n_limit):
    f, _ = pictures(40, seed)
    scores, shared = hierarchical_scores(f, W, n_limit), common_prefixes(f, W)
    assert (scores[shared >= n_limit] <= 0).all()
    for k in range(n_limit):
        here = scores[shared == k]
        assert ((here > n_limit - k - 1) & (here <= n_limit - k)).all()


def test_a_bound_on_activations_and_a_large_constant_would_give_the_same_order():
    """The other way to fix the score beforehand; only the order of scores matters to a quantile."""
    f, _ = pictures(60)
    shared, predicted = common_prefixes(f, W), (f @ W.T).argmax(axis=1)
    M = 10 * f.max()
    for n_limit in range(1, N_WC + 1):
        order = ordered_features(f, W)
        last = np.take_along_axis(order, np.minimum(shared, N_WC - 1)[:, :, None], axis=2)[:, :, 0]
        diversion = np.where(shared < N_WC, np.take_along_axis(f, last, axis=1), 0)
        with_constant = np.where(shared < n_limit, M * (n_limit - shared) - diversion, reference_scores(f, W, n_limit, predicted))
        ranks = [pd.Series(s.round(9).ravel()).rank(method="dense") for s in (with_constant, hierarchical_scores(f, W, n_limit))]
        assert (ranks[0] == ranks[1]).all()


def test_without_a_limit_both_scores_agree():
    f, _ = pictures(30)
    assert np.array_equal(hierarchical_scores(f, W, 0), reference_scores(f, W, 0))


def test_level_accuracy_falls_to_the_accuracy():
    f, y = pictures(300)
    levels = conformal.level_accuracy(f, W, y)
    assert (np.diff(levels) <= 0).all()
    assert levels[-1] == ((f @ W.T).argmax(axis=1) == y).mean()
    for alpha in (0.02, 0.2, 0.6):
        n_limit = conformal.choose_level(f, W, y, alpha)
        assert (levels[:n_limit] >= 1 - alpha).all()
        assert (levels[n_limit:] < 1 - alpha).all()


# --- baselines ------------------------------------------------------------------------------------------------------


def test_aps_by_hand():
    p = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    U = np.random.default_rng(4).random(2)
    expected = [[1.0 - 0.2 * u, 0.5 - 0.5 * u, 0.8 - 0.3 * u] for u in U]
    assert np.allclose(conformal.aps_scores(p, random_state=4), expected)


def test_aps_scores_of_the_truth_are_uniform_when_probabilities_are_right():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), size=20_000)
    y = (rng.random(20_000)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    s = conformal.aps_scores(p, random_state=1)[np.arange(len(p)), y]
    assert np.abs(np.quantile(s, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 0.02


def test_thr_sets_are_all_classes_above_a_probability():
    f, y = pictures(300)
    rule = calibrate(f, W, y, alpha=0.2, method="THR")
    p = np.exp(f @ W.T)
    p /= p.sum(axis=1, keepdims=True)
    assert np.array_equal(rule.sets(f), p >= 1 - rule.threshold)


# --- the promise ----------------------------------------------------------------------------------------------------

POOL = pictures(1200, doubt=0.75)


@pytest.fixture(scope="module")
def splits():
    return over_splits(
        *POOL[:1],
        W,
        POOL[1],
        alphas=(0.2, 0.1),
        methods=("hierarchical", "APS", "THR"),
        n_splits=60,
        n_calibration=200,
        random_state=1,
    )


@pytest.mark.parametrize("method", ["hierarchical", "APS", "THR"])
@pytest.mark.parametrize("alpha", [0.2, 0.1])
def test_coverage_keeps_the_promise(splits, method, alpha):
    table = splits.query("method == @method and alpha == @alpha")
    reference = conformal.covered_reference(int(table["n_scores"].iloc[0]), 1000, alpha)
    error = 4 * reference.std() / 1000 / np.sqrt(len(table))
    assert table["coverage"].mean() >= reference.mean() / 1000 - error
    assert table["everything"].mean() < 0.002


@pytest.mark.parametrize("method", ["APS", "THR"])
def test_coverage_over_splits_follows_the_beta_binomial(splits, method):
    """Of distinct scores: by the probability integral transform the numbers are uniform, up to steps of one picture."""
    table = splits.query("method == @method and alpha == 0.1")
    reference = conformal.covered_reference(200, 1000, 0.1)
    u = reference.cdf((table["coverage"] * 1000).round())
    assert abs(u.mean() - 0.5) < 0.15
    assert abs(u.std() - np.sqrt(1 / 12)) < 0.09


def test_beta_binomial_is_that_of_random_ranks():
    """Any pool of distinct scores, split at random: how many of the test part lie below the quantile of the other part."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(4000):
        ranks = rng.permutation(60).astype(float)
        covered.append((ranks[19:] <= quantile(ranks[:19], 0.1)).sum())
    reference = conformal.covered_reference(19, 41, 0.1)
    assert abs(np.mean(covered) - reference.mean()) < 4 * reference.std() / np.sqrt(4000)
    assert abs(np.std(covered) / reference.std() - 1) < 0.06


def test_smaller_alpha_gives_larger_sets_of_one_score():
    f, y = POOL
    scores = hierarchical_scores(f, W, 1)
    own = scores[np.arange(len(y)), y]
    sets = [scores <= quantile(own, alpha) for alpha in (0.3, 0.2, 0.1, 0.05)]
    assert all((a <= b).all() for a, b in itertools.pairwise(sets))


def test_sets_share_the_first_features_as_long_as_the_threshold_is_not_above_zero():
    f, y = POOL
    rule = next(r for r in (calibrate(f, W, y, alpha=0.3, random_state=seed) for seed in range(20)) if r.threshold <= 0)
    assert rule.n_limit >= 1
    assert (common_prefixes(f, W)[rule.sets(f)] >= rule.n_limit).all()


def test_adding_the_prediction_leaves_no_set_empty_and_covers_more():
    f, y = pictures(2000, 3, doubt=0.9)
    rule = calibrate(f, W, y, alpha=0.6, method="APS")
    plain, fuller = rule.sets(f), rule.sets(f, with_prediction=True)
    assert (plain.sum(axis=1) == 0).any()
    assert (fuller.sum(axis=1) > 0).all()
    assert (plain <= fuller).all()
    one, other = (conformal.set_quality(s, y)["coverage"] for s in (plain, fuller))
    assert other > one


def test_same_seed_same_rule():
    f, y = POOL
    for method in METHODS:
        one, other = (calibrate(f, W, y, method=method, random_state=3) for _ in range(2))
        assert (one.threshold, one.n_limit) == (other.threshold, other.n_limit)


# --- the reference behaviour ----------------------------------------------------------------------------------------


def confident(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that are recognised more often than 1 - alpha demands."""
    return pictures(n, seed, doubt=0.3)


def test_a_good_network_breaks_the_reference_rule():
    """The level is the last one, every score is 0: strictly below 0 is nothing, at most 0 is everything."""
    f, y = confident(400)
    assert ((f @ W.T).argmax(axis=1) == y).mean() > 0.95
    strict, inclusive, repaired = (
        calibrate(f, W, y, alpha=0.1, method=m) for m in ("reference", "reference, inclusive", "hierarchical")
    )
    assert strict.n_limit == inclusive.n_limit == repaired.n_limit == N_WC
    assert not strict.sets(f).any()
    assert inclusive.sets(f).all()
    assert np.array_equal(repaired.sets(f).sum(axis=1), np.ones(len(f)))


def test_excluded_classes_return_where_the_last_features_are_zero():
    """At the level before the last: a true class whose last feature is 0 scores 0, like every excluded class."""
    rng = np.random.default_rng(0)
    y = rng.integers(len(W), size=400)
    f = np.where(W[y], 3.0 + rng.random((400, N_F)), 0.0)
    last = np.array([np.flatnonzero(w)[-1] for w in W])[y]
    f[np.arange(400), last] = np.where(rng.random(400) < 0.5, 0.0, 1.0)
    excluded = common_prefixes(f, W) < N_WC - 1
    assert (reference_scores(f, W, N_WC - 1)[excluded] == 0).all()
    assert (hierarchical_scores(f, W, N_WC - 1)[excluded] > 0).all()


def test_the_half_for_the_threshold_must_be_large_enough():
    f, y = pictures(30)
    with pytest.raises(ValueError, match="at least 19 calibration scores in the half for the threshold, and there are 15"):
        calibrate(f, W, y, alpha=0.05)
    calibrate(f, W, y, alpha=0.05, method="THR")


# --- quality of sets ------------------------------------------------------------------------------------------------


def test_quality_by_hand():
    sets = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]], bool)
    similarity = np.array([[0, 0.6, 0.3], [0.6, 0, 0], [0.3, 0, 0]])
    quality = conformal.set_quality(sets, [1, 0, 2, 0], similarity=similarity)
    assert quality == {
        "coverage": 0.5,
        "size": 1.5,
        "empty": 0.25,
        "single": 0.25,
        "everything": 0.25,
        "largest": 3.0,
        "coherence": pytest.approx((0.6 * 2 + 0.3) / 4),
    }


def test_class_coverage_adds_up_and_its_intervals_hold_the_share():
    f, y = POOL
    sets = calibrate(f, W, y, alpha=0.2).sets(f)
    table = conformal.class_coverage(sets, y)
    assert table["n"].sum() == len(y)
    assert np.isclose(np.average(table["coverage"], weights=table["n"]), sets[np.arange(len(y)), y].mean())
    assert ((table["lower"] <= table["coverage"]) & (table["coverage"] <= table["upper"])).all()
    one = conformal.class_coverage(np.ones((10, 2), bool), np.zeros(10, int)).iloc[0]
    assert np.isclose(one["lower"], 0.025 ** (1 / 10))
    assert one["upper"] == 1


def test_drift_shows_in_the_reference_distribution():
    f, y = POOL
    rule = calibrate(f, W, y, alpha=0.1)
    reference = conformal.covered_reference(rule.n_scores, 500, 0.1)
    values = []
    for doubt in (0.75, 1.5):
        new, truth = pictures(500, 9, doubt=doubt)
        values.append(reference.cdf(rule.sets(new)[np.arange(500), truth].sum()))
    assert values[0] > 0.01
    assert values[1] < 1e-6
