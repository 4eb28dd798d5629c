"""Glass boxes: sums that must be exact, closed forms, and definitions written out slowly."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression

from xailib import glassbox, worlds
from xailib.glassbox import (
    AdditiveModel,
    design_matrix,
    edit_shape,
    fit_additive,
    linear_reasons,
    log_odds_table,
    purified,
    purify,
    read_ebm,
    rule_list,
    shape_functions,
    variance_inflation,
)

EBM = {"n_jobs": 1, "outer_bags": 2, "random_state": 0, "learning_rate": 0.05, "max_bins": 64, "max_interaction_bins": 8}
CASES = settings(deadline=None, max_examples=30)


def mixed(n: int = 600, seed: int = 0, *, missing: bool = False) -> pd.DataFrame:
    """A float, a whole number, a flag, and categories of text and of numbers."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "count": rng.integers(0, 5, n),
            "flag": rng.random(n) < 0.5,
            "kind": pd.Categorical(rng.choice(list("xyz"), n)),
            "grade": pd.Categorical(rng.choice([1, 2, 3], n)),
        }
    )
    if missing:
        X.loc[: n // 20, "size"] = np.nan
        X.loc[n // 20 : n // 10, "kind"] = np.nan
    return X


def outcome(X: pd.DataFrame, seed: int = 1) -> np.ndarray:
    log_odds = X["size"].fillna(0) + (X["kind"] == "x") + X["count"] * X["flag"] * 0.5 - 1.2
    return (np.random.default_rng(seed).random(len(X)) < expit(log_odds)).astype(int)


@pytest.fixture(scope="module")
def loans():
    return worlds.loans(1500)


@pytest.fixture(scope="module")
def ebm(loans):
    return ExplainableBoostingClassifier(interactions=2, **EBM).fit(*loans.train)


@pytest.fixture(scope="module")
def model(ebm):
    return read_ebm(ebm)


# linear models --------------------------------------------------------------------------------------------------------


def test_reasons_of_the_bank_by_hand():
    X = pd.DataFrame({"income": [30.0], "defaults": [1.0], "credit": [5.0]})
    average = pd.DataFrame({"income": [40.0], "defaults": [0.0], "credit": [10.0]})
    reasons = linear_reasons([-0.04, 1.5, -0.06], X, background=average, intercept=0.8)
    np.testing.assert_allclose(reasons.values, [[0.4, 1.5, 0.3]])
    assert reasons.base_value == pytest.approx(0.8 - 1.6 - 0.6)
    np.testing.assert_allclose(reasons.efficiency_gap(), 0, atol=1e-12)


def test_reasons_add_up_to_scikit_learn_and_do_not_hang_on_units(loans):
    X, y = loans.train
    X = X.drop(columns="customer_number")
    Z = design_matrix(X)
    fitted = LinearRegression().fit(Z, y)
    reasons = linear_reasons(fitted.coef_, X, background=X, intercept=float(fitted.intercept_))
    np.testing.assert_allclose(reasons.prediction, fitted.predict(Z), atol=1e-10)
    np.testing.assert_allclose(reasons.values.mean(axis=0), 0, atol=1e-10)
    in_euro = X.assign(annual_income_keur=1000 * X["annual_income_keur"])
    beta = fitted.coef_ / np.where(Z.columns == "annual_income_keur", 1000, 1)
    again = linear_reasons(beta, in_euro, background=in_euro, intercept=float(fitted.intercept_))
    np.testing.assert_allclose(again.values, reasons.values, atol=1e-10)


def test_reasons_of_one_category_are_added_up():
    X = pd.DataFrame({"kind": pd.Categorical(["a", "b", "c"]), "size": [1.0, 2.0, 3.0]})
    reasons = linear_reasons([1.0, 10.0, 2.0], X, background=X)
    assert reasons.feature_names == ["kind", "size"]
    np.testing.assert_allclose(reasons.values[:, 0], np.array([0, 1, 10]) - 11 / 3)


def test_a_category_of_one_level_gives_no_reason():
    X = pd.DataFrame({"kind": pd.Categorical(["a", "a"]), "size": [1.0, 3.0]})
    reasons = linear_reasons([2.0], X, background=X)
    np.testing.assert_allclose(reasons.values, [[0, -2], [0, 2]])


def test_two_by_two_table_gives_the_odds_ratio_and_its_interval():
    a, b, c, d = 30, 70, 12, 88  # exposed: cases, others; not exposed: cases, others
    x, y = np.repeat([1.0, 1, 0, 0], [a, b, c, d]), np.repeat([1, 0, 1, 0], [a, b, c, d])
    line = log_odds_table(pd.DataFrame({"x": x}), y).loc["x"]
    assert line["odds_ratio"] == pytest.approx(a * d / (b * c), rel=1e-9)
    assert line["std_error"] == pytest.approx(np.sqrt(1 / a + 1 / b + 1 / c + 1 / d), rel=1e-9)
    assert np.log(line["upper"] / line["lower"]) == pytest.approx(2 * 1.959963985 * line["std_error"], rel=1e-8)


def test_maximum_likelihood_equals_scikit_learn(loans):
    X, y = loans.train
    Z = design_matrix(X[["age_years", "annual_income_keur", "prior_defaults", "region"]])
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(Z, y)
    ours = log_odds_table(Z, y)["coefficient"]
    np.testing.assert_allclose(ours, [*theirs.intercept_, *theirs.coef_[0]], rtol=1e-5, atol=1e-7)


def test_a_step_is_a_power_of_the_odds_ratio(loans):
    X, y = loans.train
    X = X[["annual_income_keur", "prior_defaults"]]
    one, ten = log_odds_table(X, y), log_odds_table(X, y, per={"annual_income_keur": 10})
    for column in ("odds_ratio", "lower", "upper"):
        assert ten.loc["annual_income_keur", column] == pytest.approx(one.loc["annual_income_keur", column] ** 10)
        assert ten.loc["prior_defaults", column] == one.loc["prior_defaults", column]


@pytest.mark.full
def test_wald_intervals_hold_in_large_samples():
    hits = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(400, 2))
        y = (rng.random(400) < expit(X @ [0.8, -0.3] - 0.5)).astype(int)
        table = log_odds_table(X, y)
        hits.append((table["lower"] <= np.exp([-0.5, 0.8, -0.3])) & (np.exp([-0.5, 0.8, -0.3]) <= table["upper"]))
    assert np.all(np.abs(np.mean(hits, axis=0) - 0.95) < 0.02)


def test_variance_inflation_of_a_pair_and_by_regression():
    z = np.random.default_rng(0).normal(size=(500, 3))
    X = np.column_stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1], z[:, 2]])
    r = np.corrcoef(X[:, 0], X[:, 1])[0, 1]
    np.testing.assert_allclose(variance_inflation(X[:, :2]), 1 / (1 - r**2))
    for j, factor in enumerate(variance_inflation(X)):
        others = np.delete(X, j, axis=1)
        assert factor == pytest.approx(1 / (1 - LinearRegression().fit(others, X[:, j]).score(others, X[:, j])))


@pytest.mark.parametrize("function", [variance_inflation, lambda X: log_odds_table(X, np.arange(60) % 2)])
def test_columns_that_repeat_each_other_are_refused(function):
    a = np.random.default_rng(0).normal(size=(60, 2))
    with pytest.raises(ValueError, match="sums of others"):
        function(np.column_stack([a, a.sum(axis=1)]))


def test_perfect_separation_is_refused():
    with pytest.raises(ValueError, match="column 'x0' tells the classes of y apart"):
        log_odds_table(np.arange(40.0)[:, None], np.arange(40) > 19.5)


# rule lists -----------------------------------------------------------------------------------------------------------


def best_first_rule(X, y, n_cuts, min_rows):
    """Every condition and every pair, one after the other; the largest gain."""
    conditions = glassbox._conditions(X, n_cuts)

    def information(labels):
        p = labels.mean()
        return len(labels) * (0.0 if p in (0, 1) else -p * np.log(p) - (1 - p) * np.log(1 - p))

    best = 0.0
    for a, b in product(range(len(conditions)), repeat=2):
        covered = conditions[a].holds(X) & conditions[b].holds(X)
        if min(covered.sum(), (~covered).sum()) >= min_rows:
            best = max(best, information(y) - information(y[covered]) - information(y[~covered]))
    return best, information


@pytest.mark.parametrize("seed", range(3))
def test_the_first_rule_is_the_best_of_all_pairs(seed):
    X = mixed(150, seed)[["size", "count", "kind"]]
    y = outcome(mixed(150, seed), seed)
    best, information = best_first_rule(X, y, 4, 10)
    found = rule_list(X, y, max_rules=1, n_cuts=4, min_rows=10)
    covered = found.which(X) == 0
    gain = information(y) - information(y[covered]) - information(y[~covered])
    assert gain == pytest.approx(best, abs=1e-6)


def test_the_planted_conjunction_comes_back():
    X = pd.DataFrame(np.random.default_rng(0).integers(0, 4, (800, 3)), columns=list("abc"))
    y = ((X["a"] > 1) & (X["c"] <= 0)).to_numpy(int)
    found = rule_list(X, y, max_rules=3)
    assert {str(c) for c in found.rules[0].conditions} == {"a > 1", "c <= 0"}
    assert len(found.rules) == 2
    assert ((found.predict(X) > 0.5) == y).all()
    assert str(found).splitlines()[1].startswith("ELSE 0.0")


def test_a_single_condition_is_not_said_twice():
    X = pd.DataFrame({"a": np.arange(200.0), "b": np.random.default_rng(0).normal(size=200)})
    found = rule_list(X, X["a"] > 99, max_rules=1, min_rows=1)
    assert len(found.rules[0].conditions) == 1


@CASES
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 2), st.booleans())
def test_rule_lists_cover_every_row_once_and_fall_when_asked(seed, max_rules, max_conditions, falling):
    X = mixed(200, seed)
    y = outcome(X, seed)
    found = rule_list(X, y, max_rules=max_rules, max_conditions=max_conditions, min_rows=15, falling=falling)
    answered = found.which(X)
    assert [int((answered == k).sum()) for k in range(len(found.rules))] == [rule.n_rows for rule in found.rules]
    assert [int(y[answered == k].sum()) for k in range(len(found.rules))] == [rule.n_positive for rule in found.rules]
    assert min(rule.n_rows for rule in found.rules) >= 15
    assert all(len(rule.conditions) <= max_conditions for rule in found.rules)
    if falling:
        shares = [rule.n_positive / rule.n_rows for rule in found.rules]
        assert (np.diff(shares) <= 1e-12).all()


def test_rule_list_reads_as_it_predicts(loans):
    X, y = loans.train
    found = rule_list(X, y)
    frame = found.to_frame()
    assert frame["when"].iloc[-1] == "else"
    assert frame["n_rows"].sum() == len(X)
    shuffled = X.sample(frac=1, random_state=0)[X.columns[::-1]]
    np.testing.assert_array_equal(found.predict(shuffled), found.predict(X.loc[shuffled.index]))


# reading a machine ----------------------------------------------------------------------------------------------------


def test_terms_add_up_to_the_decision_function_on_all_rows(ebm, model, loans):
    np.testing.assert_allclose(model.score(loans.X), ebm.decision_function(loans.X), atol=1e-10, rtol=0)
    np.testing.assert_allclose(model.predict(loans.X), ebm.predict_proba(loans.X)[:, 1], atol=1e-10, rtol=0)
    parts = model.contributions(loans.X)
    assert parts.feature_names == ebm.term_names_ or len(parts.feature_names) == len(ebm.term_names_)
    np.testing.assert_allclose(parts.values, ebm.eval_terms(loans.X), atol=1e-12)
    np.testing.assert_allclose(parts.efficiency_gap(), 0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Missing values detected")
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_missing_values_and_levels_never_seen(kind):
    X = mixed(missing=True)
    machine = {"classifier": ExplainableBoostingClassifier, "regressor": ExplainableBoostingRegressor}[kind]
    fitted = machine(interactions=[(0, 3), (1, 2), (3, 4)], **EBM).fit(X, outcome(X))
    strange = pd.DataFrame(
        {
            "size": [1.0, np.nan, np.inf, -np.inf, 0.0],
            "count": [9, 0, -3, 2, 1],
            "flag": [True, False, True, False, True],
            "kind": ["w", "x", None, "y", "z"],
            "grade": [4, 1, 2, 3, None],
        }
    )
    rows = pd.concat([X.astype(object), strange.astype(object)], ignore_index=True)
    read = read_ebm(fitted)
    expected = fitted.decision_function(rows) if kind == "classifier" else fitted.predict(rows)
    np.testing.assert_allclose(read.score(rows), expected, atol=1e-10, rtol=0)
    np.testing.assert_allclose(read.score(rows.to_numpy()), expected, atol=1e-10, rtol=0)
    pure = purified(read, X)
    np.testing.assert_allclose(pure.score(rows), expected, atol=1e-10, rtol=0)


def test_columns_are_found_by_name(model, loans):
    X = loans.test[0]
    np.testing.assert_array_equal(model.score(X[X.columns[::-1]].assign(extra=1)), model.score(X))


def test_a_machine_of_three_classes_is_refused():
    X = mixed(200)[["size", "count"]]
    fitted = ExplainableBoostingClassifier(interactions=0, **EBM).fit(X, X["count"] % 3)
    with pytest.raises(ValueError, match="two classes"):
        read_ebm(fitted)


def test_a_term_of_three_features_is_refused(ebm):
    fake = SimpleNamespace(**{k: getattr(ebm, k) for k in vars(ebm) if k.endswith("_") and not k.startswith("_")})
    fake.term_features_ = [*ebm.term_features_[:-1], (0, 1, 2)]
    with pytest.raises(ValueError, match="one or two features"):
        read_ebm(fake)


def test_reading_copies(ebm, loans):
    before = [scores.copy() for scores in ebm.term_scores_]
    read = read_ebm(ebm)
    for term in read.terms:
        term.scores[...] = 0
    edit_shape(read, "age_years", add=1.0)
    for scores, copy in zip(ebm.term_scores_, before, strict=True):
        np.testing.assert_array_equal(scores, copy)


# shapes ---------------------------------------------------------------------------------------------------------------


def test_shapes_are_the_terms_centred_over_the_rows(model, loans):
    X = loans.train[0]
    shapes, parts = shape_functions(model, X), model.contributions(X)
    for k, name in enumerate(parts.feature_names):
        effect = shapes[name]
        if len(effect.names) == 2:
            continue
        values = X[name]
        at = pd.Series(effect.values, index=effect.grid[0])
        np.testing.assert_allclose(at[values.tolist()], parts.values[:, k] - parts.values[:, k].mean(), atol=1e-12)
        assert effect.details["level"] == pytest.approx(parts.values[:, k].mean())


def test_the_table_of_a_pair_is_the_model_moved(model, loans):
    X = loans.train[0]
    name = model.term_names[-1]
    effect = shape_functions(model, X)[name]
    k = model.term_names.index(name)
    for a in range(0, len(effect.grid[0]), 5):
        for b in range(0, len(effect.grid[1]), 3):
            row = X[:1].assign(**{effect.names[0]: effect.grid[0][a], effect.names[1]: effect.grid[1][b]})
            expected = model.contributions(row).values[0, k] - effect.details["level"]
            assert effect.values[a, b] == pytest.approx(expected, abs=1e-12)


def test_shapes_of_a_category_and_a_plot(model, loans):
    effect = shape_functions(model, loans.train[0])["region"]
    assert effect.grid[0].tolist() == ["north", "south", "east", "west"]
    assert effect.plot().get_xlabel() == "region"


# boosting by hand -----------------------------------------------------------------------------------------------------


def test_many_rounds_are_least_squares_on_bins():
    X = mixed(400)[["count", "kind"]]
    y = X["count"] ** 2 + 3.0 * (X["kind"] == "y") + np.random.default_rng(0).normal(size=400)
    fitted = fit_additive(X, y, link="identity", n_rounds=300, learning_rate=1.0, ridge=0.0)
    indicators = pd.get_dummies(X.astype("category")).to_numpy(float)
    expected = indicators @ np.linalg.lstsq(indicators, y, rcond=None)[0]
    np.testing.assert_allclose(fitted.score(X), expected, atol=1e-8)


def test_many_rounds_are_maximum_likelihood_on_bins():
    X = mixed(500)[["flag", "kind"]].astype({"flag": int})
    y = outcome(mixed(500))
    fitted = fit_additive(X, y, n_rounds=400, learning_rate=0.5, ridge=0.0)
    table = log_odds_table(X, y)["coefficient"].to_numpy()
    expected = table[0] + design_matrix(X).to_numpy() @ table[1:]
    np.testing.assert_allclose(fitted.score(X), expected, atol=1e-8)


def test_boosted_curves_are_centred_and_a_constant_adds_nothing(loans):
    X, y = loans.train
    fitted = fit_additive(X[["age_years", "region"]].assign(one=1), y)
    np.testing.assert_allclose(fitted.contributions(X.assign(one=1)).values.mean(axis=0), 0, atol=1e-12)
    assert np.ptp(shape_functions(fitted, X.assign(one=1))["one"].values) == 0


def test_boosting_finds_a_planted_curve():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (6000, 2))
    y = np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=6000)
    fitted = fit_additive(X, y, link="identity", max_bins=64)
    found = shape_functions(fitted, X)["x0"]
    assert np.abs(found.values - np.sin(2 * found.grid[0]) + np.sin(2 * X[:, 0]).mean()).max() < 0.25
    assert np.abs(shape_functions(fitted, X)["x1"].values).max() < 0.1


def test_the_same_data_give_the_same_model(loans):
    X, y = loans.train
    a, b = fit_additive(X, y), fit_additive(X, y)
    np.testing.assert_array_equal(a.score(X), b.score(X))
    assert repr(a).startswith("AdditiveModel(14 curves, 0 pairs")


# purifying ------------------------------------------------------------------------------------------------------------


def two_way_anova(table, weights):
    """Weighted least squares of the table on row and column indicators: the interaction is the residual."""
    k1, k2 = table.shape
    rows, columns = np.indices(table.shape)
    A = np.column_stack([np.eye(k1)[rows.ravel()], np.eye(k2)[columns.ravel()]])
    root = np.sqrt(weights.ravel())
    coefficients = np.linalg.lstsq(A * root[:, None], table.ravel() * root, rcond=None)[0]
    return table - (A @ coefficients).reshape(table.shape)


@CASES
@given(st.integers(0, 100_000), st.integers(2, 6), st.integers(2, 6))
def test_purify_equals_weighted_analysis_of_variance(seed, k1, k2):
    rng = np.random.default_rng(seed)
    table, weights = rng.normal(size=(k1, k2)) * 3, rng.uniform(0.05, 5, (k1, k2))
    parts = purify(table, weights)
    np.testing.assert_allclose(parts.pure, two_way_anova(table, weights), atol=1e-8)
    np.testing.assert_allclose(parts.pure + parts.first[:, None] + parts.second + parts.constant, table, atol=1e-10)
    np.testing.assert_allclose((weights * parts.pure).sum(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose((weights * parts.pure).sum(axis=1), 0, atol=1e-8)
    assert np.average(parts.first, weights=weights.sum(axis=1)) == pytest.approx(0, abs=1e-9)
    assert np.average(parts.second, weights=weights.sum(axis=0)) == pytest.approx(0, abs=1e-9)


def test_purify_a_product_under_independent_weights_is_the_centred_product():
    rng = np.random.default_rng(0)
    a, b, wa, wb = rng.normal(size=7), rng.normal(size=5), rng.uniform(1, 3, 7), rng.uniform(1, 3, 5)
    a_mean, b_mean = np.average(a, weights=wa), np.average(b, weights=wb)
    parts = purify(np.outer(a, b), np.outer(wa, wb))
    np.testing.assert_allclose(parts.pure, np.outer(a - a_mean, b - b_mean), atol=1e-12)
    np.testing.assert_allclose(parts.first, (a - a_mean) * b_mean, atol=1e-12)
    assert parts.constant == pytest.approx(a_mean * b_mean)


def test_purify_a_sum_leaves_no_interaction_and_purifying_twice_changes_nothing():
    table = np.arange(4.0)[:, None] + np.array([5.0, -1.0, 2.0])
    weights = np.random.default_rng(0).uniform(0, 1, (4, 3))
    np.testing.assert_allclose(purify(table, weights).pure, 0, atol=1e-10)
    once = purify(np.random.default_rng(1).normal(size=(4, 3)), weights).pure
    np.testing.assert_allclose(purify(once, weights).pure, once, atol=1e-10)


def test_purify_with_empty_rows_and_columns_still_adds_up():
    rng = np.random.default_rng(0)
    table, weights = rng.normal(size=(5, 4)), rng.uniform(1, 2, (5, 4))
    weights[0], weights[:, 3] = 0, 0
    parts = purify(table, weights)
    np.testing.assert_allclose(parts.pure + parts.first[:, None] + parts.second + parts.constant, table, atol=1e-10)
    np.testing.assert_allclose(parts.pure[1:, :3], purify(table[1:, :3], weights[1:, :3]).pure, atol=1e-9)


def test_the_order_of_the_moves_does_not_matter():
    rng = np.random.default_rng(3)
    table, weights = rng.normal(size=(6, 4)), rng.uniform(0.1, 3, (6, 4))
    across, down = purify(table, weights), purify(table.T, weights.T)
    np.testing.assert_allclose(across.pure, down.pure.T, atol=1e-9)
    np.testing.assert_allclose(across.first, down.second, atol=1e-9)


def test_a_purified_model_is_the_same_model_told_without_ambiguity(model, loans):
    X = loans.train[0]
    pure = purified(model, X)
    np.testing.assert_allclose(pure.score(loans.X), model.score(loans.X), atol=1e-10)
    parts = pure.contributions(X).values
    np.testing.assert_allclose(parts.mean(axis=0), 0, atol=1e-9)
    for term in pure.terms:
        if len(term.features) == 2:
            for axis in (0, 1):
                np.testing.assert_allclose((term.weights * term.scores).sum(axis=axis) / len(X), 0, atol=1e-9)
    assert pure.intercept == pytest.approx(model.score(X).mean())


def test_moving_a_curve_into_a_pair_and_purifying_brings_it_back(model, loans):
    """Two ways to write one function: after purifying they read the same."""
    X = loans.train[0]
    pair = next(t for t in model.terms if len(t.features) == 2)
    j = pair.features[0]
    ramp = np.linspace(-1, 1, pair.scores.shape[0])
    hidden = [
        glassbox.replace(t, scores=t.scores + ramp[:, None]) if t is pair else t
        for t in model.terms
    ]  # fmt: skip
    minus = glassbox.Term((j,), (pair.cuts[0],), -ramp, np.zeros(len(ramp)))
    hidden = [glassbox._sum_of_curves(t, minus) if t.features == (j,) else t for t in hidden]
    other = AdditiveModel(model.intercept, tuple(hidden), model.feature_names, model.link)
    np.testing.assert_allclose(other.score(X), model.score(X), atol=1e-10)
    ours, theirs = shape_functions(purified(model, X), X), shape_functions(purified(other, X), X)
    name = model.feature_names[j]
    assert np.abs(shape_functions(other, X)[name].values - shape_functions(model, X)[name].values).max() > 0.1
    np.testing.assert_allclose(theirs[name].values, ours[name].values, atol=1e-8)


# editing --------------------------------------------------------------------------------------------------------------


def test_an_edit_moves_exactly_the_rows_it_names(model, loans):
    X = loans.X
    edited = edit_shape(model, "prior_defaults", (2, 3), add=0.7)
    moved = edited.score(X) - model.score(X)
    np.testing.assert_allclose(moved, 0.7 * X["prior_defaults"].isin([2, 3]), atol=1e-12)
    edited = edit_shape(model, "region", ["east", "west"], add=-0.5)
    np.testing.assert_allclose(edited.score(X) - model.score(X), -0.5 * X["region"].isin(["east", "west"]), atol=1e-12)


def test_flat_everywhere_is_a_curve_that_says_nothing(model, loans):
    X = loans.train[0]
    flat = edit_shape(model, "annual_income_keur", flatten=True)
    k = model.term_names.index("annual_income_keur")
    before, after = (m.contributions(X).values[:, k] for m in (model, flat))
    assert np.ptp(after) == 0
    weights = model.terms[k].weights[1:-1]
    assert after[0] == pytest.approx(np.average(model.terms[k].scores[1:-1], weights=weights))
    assert np.ptp(before) > 1


@CASES
@given(st.integers(0, 100_000), st.sampled_from(["increasing", "decreasing"]))
def test_monotone_edits_are_monotone_keep_the_mean_and_cannot_be_beaten(seed, direction):
    rng = np.random.default_rng(seed)
    scores, weights = rng.normal(size=9), np.append(np.append(0.0, rng.uniform(0.5, 4, 7)), 0.0)
    model = AdditiveModel(0.0, (glassbox.Term((0,), (np.arange(6.0),), scores, weights),), ["a"], "identity")
    new = edit_shape(model, "a", monotone=direction).terms[0].scores
    inner, w = slice(1, -1), weights[1:-1]
    sign = 1 if direction == "increasing" else -1
    assert (sign * np.diff(new[inner]) >= -1e-12).all()
    np.testing.assert_array_equal(new[[0, -1]], scores[[0, -1]])
    assert np.average(new[inner], weights=w) == pytest.approx(np.average(scores[inner], weights=w))
    loss = np.sum(w * (new[inner] - scores[inner]) ** 2)
    for _ in range(20):
        rival = np.sort(rng.normal(size=7)) * sign
        assert np.sum(w * (rival - scores[inner]) ** 2) >= loss - 1e-9


def test_edits_never_change_the_model_they_start_from(model, loans):
    before = model.score(loans.X)
    edit_shape(model, "age_years", (20, 40), add=3.0, flatten=True, monotone="decreasing")
    np.testing.assert_array_equal(model.score(loans.X), before)


def test_a_feature_without_a_curve_is_named(loans):
    X, y = loans.train
    small = fit_additive(X[["age_years"]], y)
    only_pair = AdditiveModel(0.0, (), ["a", "b"], "identity")
    with pytest.raises(ValueError, match="is unknown"):
        edit_shape(small, "height_cm")
    with pytest.raises(ValueError, match="no curve of its own"):
        edit_shape(only_pair, "a")


@pytest.mark.filterwarnings("ignore:Missing values detected")
def test_an_edit_leaves_missing_values_alone():
    X = mixed(missing=True)
    read = read_ebm(ExplainableBoostingClassifier(interactions=0, **EBM).fit(X, outcome(X)))
    moved = edit_shape(read, "size", add=1.0).score(X) - read.score(X)
    np.testing.assert_allclose(moved, X["size"].notna().astype(float), atol=1e-12)


def test_inputs_stay_as_they_were(model, loans):
    X, y = loans.train
    before = X.copy()
    for call in (model.score, lambda X: rule_list(X, y), lambda X: fit_additive(X, y), lambda X: purified(model, X)):
        call(X)
    pd.testing.assert_frame_equal(X, before)
