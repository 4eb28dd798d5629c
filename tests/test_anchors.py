"""Anchors: bounds, draws, closed forms, guarantees, and what is said when there is no anchor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from xailib import anchors, models, worlds, zoo
from xailib.results import Anchor, Condition

NORMAL = np.random.default_rng(0).normal(size=(2000, 5))
POSITIVE = np.array([1.0, 1.0, 1.0, 1.0, 1.0])


def both_positive(X):
    return (X[:, 1] > np.median(NORMAL[:, 1])) & (X[:, 3] > np.median(NORMAL[:, 3]))


def constant(X):
    return np.ones(len(X))


# --- bounds ---------------------------------------------------------------------------------------------------------


def kl(p, q):
    terms = [a * np.log(a / b) if a > 0 else 0.0 for a, b in ((p, q), (1 - p, 1 - q))]
    return sum(terms)


@given(p=st.floats(0.001, 0.999), n=st.integers(1, 10_000), beta=st.floats(0.01, 30))
@settings(deadline=None, max_examples=50)
def test_bounds_solve_their_equation(p, n, beta):
    low, high = anchors.kl_bounds(p, n, beta)
    assert low <= p <= high
    for bound, end in ((float(low), 0.0), (float(high), 1.0)):
        at_the_end = abs(bound - end) < 1e-6
        assert at_the_end or n * kl(p, bound) == pytest.approx(beta, rel=1e-2, abs=1e-3)


def test_bounds_closed_forms():
    low, high = anchors.kl_bounds([0.0, 1.0], 50, 2.0)
    np.testing.assert_allclose([low[0], high[0]], [0, 1 - np.exp(-2 / 50)], atol=1e-6)
    np.testing.assert_allclose([low[1], high[1]], [np.exp(-2 / 50), 1], atol=1e-6)
    assert [float(b) for b in anchors.kl_bounds(0.5, 0, 3.0)] == pytest.approx([0, 1], abs=1e-6)


def test_bounds_shrink_with_draws_and_are_inside_pinskers():
    for n in (10, 100, 1000):
        low, high = anchors.kl_bounds(0.9, n, 3.0)
        assert max(0.9 - low, high - 0.9) <= np.sqrt(3 / (2 * n)) + 1e-9
    widths = [np.ptp(anchors.kl_bounds(0.9, n, 3.0)) for n in (10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("p", [0.3, 0.9, 0.99])
def test_each_bound_errs_as_rarely_as_it_says(p):
    """Exact, by summing over all outcomes of 60 draws."""
    hits, beta = np.arange(61), 3.0
    low, high = anchors.kl_bounds(hits / 60, 60, beta)
    chance = binom.pmf(hits, 60, p)
    assert chance[low > p].sum() <= np.exp(-beta)
    assert chance[high < p].sum() <= np.exp(-beta)


# --- closed forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", anchors.DISTRIBUTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_a_conjunction_is_found_exactly(distribution, seed):
    anchor = anchors.explain(both_positive, POSITIVE, NORMAL, bins=2, distribution=distribution, random_state=seed)
    assert anchor.found
    assert [condition.feature for condition in anchor.conditions] == ["x1", "x3"]
    assert [condition.relation for condition in anchor.conditions] == [">", ">"]
    assert anchor.precision == 1
    assert anchor.coverage == both_positive(NORMAL).mean()
    np.testing.assert_array_equal(anchor.covers(NORMAL), both_positive(NORMAL))


@pytest.mark.parametrize("distribution", anchors.DISTRIBUTIONS)
def test_a_constant_model_needs_no_condition(distribution):
    anchor = anchors.explain(constant, POSITIVE, NORMAL, distribution=distribution)
    assert (anchor.found, len(anchor), anchor.coverage, anchor.precision) == (True, 0, 1, 1)
    assert anchor.rule == "(always)"
    assert anchor.covers(NORMAL).all()


@pytest.mark.parametrize("distribution", anchors.DISTRIBUTIONS)
def test_an_impossible_threshold_is_said(distribution):
    coin = lambda X: np.floor(np.abs(X).sum(axis=1) * 1e6) % 2  # noqa: E731
    anchor = anchors.explain(coin, POSITIVE, NORMAL, threshold=0.999, max_conditions=3, distribution=distribution)
    assert not anchor.found
    assert "not an anchor" in repr(anchor)
    low, high = anchor.interval
    assert low <= anchor.precision <= high
    assert low < 0.75


def test_precision_of_a_rule_in_closed_form():
    """Independent columns: fixing x0 > 0 leaves P(x1 > 0 | ...) = 1/2, whatever the draw."""
    X = np.array([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)] * 50)
    both = lambda X: (X > 0).all(axis=1)  # noqa: E731
    measured = anchors.precision(both, X, ["x0 > 0"], 1, n_samples=20_000)
    assert measured.interval[0] < 0.5 < measured.interval[1]
    assert measured.precision == pytest.approx(0.5, abs=0.02)
    assert anchors.precision(both, X, ["x0 > 0"], 1, distribution="data").precision == 0.5
    assert anchors.precision(both, X, ["x0 > 0", "x1 > 0"], 1).precision == 1
    assert anchors.precision(both, X, [], 1).precision == 0.25


def test_the_two_distributions_differ_when_columns_are_tied():
    """x1 = x0. Under the data, x0 > 0 decides x1; under the perturbation x0 is replaced alone."""
    x = np.random.default_rng(0).normal(size=1000)
    X = np.column_stack([x, x])
    second = lambda X: X[:, 1] > 0  # noqa: E731
    assert anchors.precision(second, X, ["x0 > 0"], 1, distribution="data").precision == 1
    own = anchors.precision(second, X, ["x0 > 0"], 1, n_samples=20_000)
    assert own.precision == pytest.approx((x > 0).mean(), abs=0.02)


def literal_draws(data, rule, n, rng):
    """The perturbation, row by row, as it reads: a row of the data, each broken feature mended from another row."""
    rows = data[rng.integers(len(data), size=n)].copy()
    for row in rows:
        for j, meets in rule.items():
            if not meets(row[j]):
                row[j] = rng.choice(data[meets(data[:, j]), j])
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_equals_a_literal_simulation(seed):
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(np.zeros(3), 0.5 + 0.5 * np.eye(3), size=400)
    model = lambda X: X[:, 0] + X[:, 1] * X[:, 2] > 0.3  # noqa: E731
    literal = model(literal_draws(X, {0: lambda v: v > 0.5, 2: lambda v: v <= 0.2}, 20_000, rng)).mean()
    ours = anchors.precision(model, X, ["x0 > 0.5", "x2 <= 0.2"], 1, n_samples=20_000, random_state=seed)
    assert ours.precision == pytest.approx(literal, abs=4 * 0.5 * np.sqrt(2 / 20_000))


def test_precision_is_unbiased_and_its_interval_honest():
    X = NORMAL[:300]
    model = lambda X: X[:, 0] + X[:, 1] > 0.5  # noqa: E731
    truth = anchors.precision(model, X, ["x0 > 0.3"], 1, n_samples=200_000, random_state=99).precision
    runs = [anchors.precision(model, X, ["x0 > 0.3"], 1, n_samples=300, random_state=seed) for seed in range(100)]
    estimates = np.array([a.precision for a in runs])
    assert abs(estimates.mean() - truth) < 4 * estimates.std() / 10
    assert sum(a.interval[0] <= truth <= a.interval[1] for a in runs) >= 93


# --- what a rule is -------------------------------------------------------------------------------------------------


def mixed_table(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "income": rng.normal(40, 10, n).round(1),
            "defaults": rng.poisson(0.8, n),
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "member": rng.random(n) < 0.5,
            "listed": (rng.random(n) < 0.1).astype(int),
            "same": 7,
        }
    )


def risky(X):
    assert isinstance(X["kind"].dtype, pd.CategoricalDtype)
    assert X["defaults"].dtype.kind == "i"
    return ((X["defaults"] >= 2) & (X["kind"] == "b")).to_numpy()


@pytest.mark.parametrize("distribution", anchors.DISTRIBUTIONS)
def test_frames_keep_their_types_and_rules_read_well(distribution):
    table = mixed_table(3000)
    row = table[(table["defaults"] >= 2) & (table["kind"] == "b")].iloc[[0]]
    anchor = anchors.explain(risky, row, table, distribution=distribution, tolerance=0.1)
    assert sorted(anchor.predicates) == ["defaults >= 2", "kind = b"]
    assert anchor.covers(row).all()
    assert anchor.to_frame()["rule"].item() == anchor.rule


def test_every_condition_holds_for_its_instance_and_constants_are_left_out():
    table = mixed_table()
    splits = anchors._Table(table, 4)
    met = splits.met(table[:20])
    for i in range(20):
        conditions = splits.conditions(met[:, i])
        assert conditions.obeys[:, i].all()
        assert "same" not in {c.feature for c in conditions.items}
        assert {"member", "listed", "kind"} <= {c.feature for c in conditions.items if c.relation == "="}


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_mended_draws_obey_the_rule_and_leave_the_rest_alone(seed):
    table, rng = mixed_table(), np.random.default_rng(seed)
    splits = anchors._Table(table, 4)
    i = int(rng.integers(len(table)))
    space = anchors._Rows(splits, splits.conditions(splits.met(table[i : i + 1])[:, 0]), np.zeros(len(table), bool))
    rule = tuple(sorted(rng.choice(len(space.conditions), 3, replace=False).tolist()))
    draws = space.draw(rng, 200)
    donors = space.versions(rule, draws)
    rows = splits.rows(donors)
    assert len(rows) == (~space.covered(rule)[draws.rows]).sum()
    anchor = Anchor(tuple(space.conditions[c] for c in rule), True, 1, (1, 1), 1, 1, 1, 1, "x", 0, 0)
    assert anchor.covers(rows).all()
    free = [j for j in range(table.shape[1]) if j not in set(space.columns[list(rule)])]
    broken = draws.rows[~space.covered(rule)[draws.rows]]
    assert (donors[:, free] == broken[:, None]).all()


def test_an_implied_condition_is_never_added():
    splits = anchors._Table(NORMAL, 4)
    space = anchors._Rows(splits, splits.conditions(splits.met(POSITIVE[None])[:, 0]), np.ones(len(NORMAL), bool))
    rules = [(c,) for c in range(len(space.conditions))]
    for rule in anchors._longer(space, rules):
        assert not any(space.implies[a][b] for a in rule for b in rule if a != b)
        assert space.coverage(rule) > 0


def test_no_condition_of_the_result_can_be_dropped_for_free():
    """The planted rule has two conditions; a search over five features must not carry passengers."""
    lengths = [len(anchors.explain(both_positive, POSITIVE, NORMAL, bins=2, random_state=seed)) for seed in range(10)]
    assert lengths == [2] * 10


# --- search ---------------------------------------------------------------------------------------------------------


def sum_model(X):
    return (X[:, 0] + 0.6 * X[:, 1] - 0.4 * X[:, 2] > 0).astype(int)


def test_many_instances_equal_one_by_one_and_any_number_of_processes():
    X = NORMAL[:4]
    together = anchors.explain_all(sum_model, X, NORMAL, random_state=3)
    in_pieces = anchors.explain_all(sum_model, X, NORMAL, random_state=3, batch_rows=2_000)
    parallel = anchors.explain_all(sum_model, X, NORMAL, random_state=3, n_jobs=2, batch_rows=4_000)
    assert [repr(a) for a in together] == [repr(a) for a in in_pieces] == [repr(a) for a in parallel]
    assert repr(anchors.explain(sum_model, X[0], NORMAL, random_state=3)) == repr(together[0])
    assert repr(anchors.explain(sum_model, X[:1], NORMAL, random_state=3)) == repr(together[0])


def test_few_big_calls():
    calls = []

    def counting(X):
        calls.append(len(X))
        return sum_model(X)

    found = anchors.explain_all(counting, NORMAL[:8], NORMAL)
    assert len(calls) < 60
    assert sum(calls) == sum(a.model_rows for a in found) + len(NORMAL) + 8


def test_the_data_distribution_asks_about_the_data_once():
    calls = []
    anchors.explain_all(lambda X: (calls.append(len(X)), sum_model(X))[1], NORMAL[:3], NORMAL, distribution="data")
    assert sorted(calls) == [3, 2000]


def test_inputs_are_left_alone_and_read_only_data_work():
    data = NORMAL.copy()
    data.setflags(write=False)
    before = data.copy()
    anchors.explain(sum_model, data[0], data)
    np.testing.assert_array_equal(data, before)


def test_the_fresh_test_is_what_is_reported():
    """A rule that only looked good in the race is not returned: precision belongs to draws the race never saw."""
    anchor = anchors.explain(sum_model, NORMAL[0], NORMAL, random_state=1)
    assert anchor.found
    again = anchors.precision(sum_model, NORMAL, anchor, anchor.prediction, n_samples=100_000, random_state=2)
    assert again.coverage == anchor.coverage
    assert anchor.interval[0] <= again.precision <= anchor.interval[1]


def test_a_race_keeps_the_best_rules():
    """Twelve rules of known precision: the two kept may be worse than the best by epsilon at most."""

    class Coins:
        fingerprint = anchors._fingerprint(2)
        p = np.linspace(0.3, 0.95, 12)

        def known(self, rule):
            return 0.0, 0.0

        def draw(self, rng, n):
            return rng.random(n)

        def versions(self, rule, draws):
            hit = draws < self.p[rule[0]]
            return np.column_stack([np.full(len(draws), 1), hit])

    judge = anchors._Drawn(Coins(), anchors._Settings(0.95, 0.05, beam_width=2), np.random.default_rng(0), 1)
    race = judge.best([(c,) for c in range(12)])
    kept, _ = models.side_by_side([race], lambda rows: rows[:, 1])[0]
    assert min(Coins.p[rule[0]] for rule in kept) >= Coins.p[-2] - 0.1


# --- statistical promises -------------------------------------------------------------------------------------------


def loans_setting(n_instances, seed=0):
    world, forest = worlds.loans(), zoo.load("loans-forest")
    data = worlds.loans(4000, random_state=1).X
    X = world.test[0].iloc[np.random.default_rng(seed).choice(2000, n_instances, replace=False)]
    return (lambda X: np.asarray(forest.predict(X))), X, data


def shares_kept(n_instances, n_samples, distribution="perturbation"):
    predict, X, data = loans_setting(n_instances)
    found = [a for a in anchors.explain_all(predict, X, data, random_state=0) if a.found]
    true = [
        anchors.precision(predict, data, a, a.prediction, n_samples=n_samples, random_state=10_000 + i).precision
        for i, a in enumerate(found)
    ]
    held = [t >= a.threshold - 0.05 for a, t in zip(found, true, strict=True)]
    inside = [a.interval[0] - 0.01 <= t <= a.interval[1] + 0.01 for a, t in zip(found, true, strict=True)]
    return len(found), sum(held), sum(inside)


def test_true_precision_in_small():
    n, held, inside = shares_kept(6, 4_000)
    assert n >= 3
    assert held == n
    assert inside >= n - 1


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_true_precision_of_200_anchors_with_100_000_fresh_draws():
    n, held, inside = shares_kept(240, 100_000)
    assert n >= 200
    assert held >= 0.92 * n
    assert inside >= 0.95 * n - 3


@pytest.mark.full
def test_the_count_on_the_data_holds_on_fresh_rows():
    predict, X, data = loans_setting(100)
    fresh = worlds.loans(100_000, random_state=2).X
    labels = predict(fresh)
    found = [a for a in anchors.explain_all(predict, X, data, distribution="data") if a.found]
    true = [np.mean(labels[a.covers(fresh)] == a.prediction) for a in found]
    assert len(found) >= 50
    assert np.mean([t >= 0.90 for t in true]) >= 0.95


# --- text -----------------------------------------------------------------------------------------------------------


def prize(texts):
    return np.array([("prize" in text) and ("not" not in text) for text in texts])


def test_text_finds_the_word_that_decides():
    anchor = anchors.text(prize, "Tom, claim the prize today")
    assert anchor.found
    assert anchor.predicates == ['"prize"']
    assert (anchor.precision, anchor.coverage) == (1, 0.5)
    assert anchor.covers(["a prize", "no luck", ""]).tolist() == [True, False, False]


def test_text_needs_the_negation_too():
    """Without "not" the label flips, so the word is part of the rule."""
    anchor = anchors.text(prize, "this is not a prize")
    assert anchor.prediction == 0
    assert anchor.predicates == ['"not"']
    for kept, expected in (([2], 1.0), ([4], 0.5), ([], 0.75)):
        measured = anchors.text_precision(prize, "this is not a prize", kept, n_samples=4000)
        assert measured.precision == pytest.approx(expected, abs=0.04)
        assert measured.coverage == 0.5 ** len(kept)
    assert anchors.text_precision(prize, "this is not a prize", anchor).precision == 1


def test_text_of_a_constant_model_and_without_anchor():
    always = lambda texts: np.ones(len(texts))  # noqa: E731
    assert anchors.text(always, "one two three").rule == "(always)"
    parity = lambda texts: np.array([text.count("UNK") % 2 for text in texts])  # noqa: E731
    none = anchors.text(parity, "one two three four five six seven", max_conditions=3)
    assert not none.found
    assert none.interval[0] < 0.6


def test_a_rule_on_words_is_no_rule_on_tables():
    anchor = anchors.text(prize, "claim the prize")
    with pytest.raises(TypeError, match="at least one text"):
        anchor.covers(pd.DataFrame({"a": [1]}))


def test_repr_and_plot():
    import matplotlib.pyplot as plt

    anchor = anchors.explain(both_positive, POSITIVE, NORMAL, bins=2)
    assert repr(anchor).startswith("Anchor(IF x1 > ")
    ax = anchor.plot()
    assert ax.get_xlabel() == "share"
    plt.close("all")
    assert str(Condition("a", "<=", 2.0)) == "a <= 2"
