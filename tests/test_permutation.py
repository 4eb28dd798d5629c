"""Permutation importance: closed forms, scikit-learn's numbers, honest intervals, few model calls, clear refusals."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import permutation_importance as scikit_learn_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, mean_absolute_error, r2_score, roc_auc_score

from xailib import predictor
from xailib.permutation import (
    METRICS,
    Metric,
    permutation_importance,
    permutation_importances,
    scikit_learn_permutations,
)

WEIGHTS = np.array([2.0, -1.0, 0.0])


def linear(X):
    return np.asarray(X, dtype=float) @ WEIGHTS


def logistic(X):
    return 1 / (1 + np.exp(-linear(X)))


def gaussian(n, rho=0.0, seed=0):
    covariance = np.array([[1, rho, 0], [rho, 1, 0], [0, 0, 1]])
    return np.random.default_rng(seed).multivariate_normal(np.zeros(3), covariance, n)


def all_orders(n):
    return np.array(list(permutations(range(n))))


# --- closed forms ---------------------------------------------------------------------------------------------------


def test_linear_model_over_all_permutations_is_twice_the_explained_variance():
    X = gaussian(5)
    result = permutation_importance(linear, X, linear(X), metric="squared_error", permutations=all_orders(5))
    np.testing.assert_allclose(result.values, 2 * WEIGHTS**2 * X.var(axis=0), rtol=1e-12)
    assert result.values[2] == 0.0


def test_group_of_a_linear_model_is_twice_its_quadratic_form():
    X = gaussian(5, rho=0.8)
    result = permutation_importance(
        linear, X, linear(X), metric="squared_error", permutations=all_orders(5), groups={"pair": [0, 1]}
    )
    a = WEIGHTS[:2]
    assert result.names == ["pair", "x2"]
    assert result.values[0] == pytest.approx(2 * a @ np.cov(X[:, :2].T, ddof=0) @ a, rel=1e-12)


def test_duplicates_share_and_their_group_mends_it():
    x = gaussian(6)[:, :1]
    X, y = np.hstack([x, x]), 3 * x[:, 0]
    settings = {"metric": "squared_error", "permutations": all_orders(6)}
    halves = permutation_importance(lambda X: 1.5 * X.sum(1), X, y, **settings)
    whole = permutation_importance(lambda X: 1.5 * X.sum(1), X, y, groups={"both": [0, 1]}, **settings)
    np.testing.assert_allclose(halves.values, 2 * 1.5**2 * x.var())
    assert whole.values[0] == pytest.approx(4 * halves.values[0])  # quadratic: twice the weight, four times the loss


def test_difference_and_ratio_of_the_table_by_hand():
    """Errors 0.34, 0.19, 0.12 and 0.10 after shuffling against 0.10 before."""
    row = np.arange(100.0)
    X = np.column_stack([row] * 5)  # the row's number, and four columns that can lose it
    misses_when_shuffled = np.array([34, 19, 12, 10])

    def predict(X):
        shuffled = X[:, 1:] != X[:, :1]
        misses = np.where(shuffled.any(1), shuffled @ misses_when_shuffled, 10)
        return (X[:, 0] < misses).astype(float)

    settings = {"metric": "error_rate", "features": [1, 2, 3, 4], "permutations": np.roll(np.arange(100), 1)[None]}
    difference = permutation_importance(predict, X, np.zeros(100), **settings)
    ratio = permutation_importance(predict, X, np.zeros(100), form="ratio", **settings)
    assert difference.baseline == pytest.approx(0.10)
    np.testing.assert_allclose(difference.values, [0.24, 0.09, 0.02, 0.0], atol=1e-12)
    np.testing.assert_allclose(ratio.values, [3.4, 1.9, 1.2, 1.0])
    assert (difference.unit, ratio.unit) == ("increase of error_rate", "ratio of error_rate")


def test_conditional_by_a_regressor_leaves_only_what_the_others_do_not_tell():
    rho = 0.9
    X = gaussian(20_000, rho)
    alone = permutation_importance(linear, X, linear(X), metric="squared_error", n_repeats=3)
    given_rest = permutation_importance(linear, X, linear(X), metric="squared_error", n_repeats=3, conditional=LinearRegression())
    np.testing.assert_allclose(alone.values, 2 * WEIGHTS**2, rtol=0.05)
    np.testing.assert_allclose(given_rest.values, 2 * WEIGHTS**2 * (1 - rho**2), rtol=0.05)
    assert given_rest.method == "conditional permutation, 3 repeats"


def test_an_exact_duplicate_has_no_conditional_importance():
    x = gaussian(300)[:, :1]
    X = pd.DataFrame({"height_cm": (170 + 10 * x[:, 0]).round().astype(int), "weight": x[:, 0] * 0 + gaussian(300, seed=1)[:, 0]})
    X["height_in"] = X["height_cm"] / 2.54
    result = permutation_importance(
        lambda X: X["height_cm"] + X["height_in"], X, X["height_cm"], metric="squared_error", conditional=LinearRegression()
    )
    np.testing.assert_allclose(result.values, 0, atol=1e-20)


def test_strata_keep_donors_inside_and_explain_away_what_the_stratum_knows():
    stratum = np.repeat([0, 10], 200)
    X = np.column_stack([stratum + gaussian(400)[:, 0], gaussian(400)[:, 1]])
    model = lambda X: X[:, 0]  # noqa: E731
    free = permutation_importance(model, X, X[:, 0], metric="squared_error")
    within = permutation_importance(model, X, X[:, 0], metric="squared_error", conditional=stratum)
    spread = np.mean([X[stratum == s, 0].var() for s in (0, 10)])
    assert free.values[0] == pytest.approx(2 * X[:, 0].var(), rel=0.05)
    assert within.values[0] == pytest.approx(2 * spread, rel=0.1)


# --- scikit-learn ----------------------------------------------------------------------------------------------------


def mixed_table(n=300):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "income": rng.normal(40, 10, n),
            "defaults": rng.poisson(1, n),
            "employment": pd.Categorical(rng.choice(["salaried", "self-employed", "none"], n)),
            "on_list": rng.random(n) < 0.02,
        }
    )
    y = (X["income"] - 10 * X["defaults"] + 8 * (X["employment"] == "salaried") + rng.normal(0, 5, n) > 32).astype(int)
    return X, y.to_numpy()


@pytest.mark.parametrize(("metric", "scoring"), [("log_loss", "neg_log_loss"), ("accuracy", "accuracy"), ("roc_auc", "roc_auc")])
def test_equal_to_scikit_learn_on_a_frame_with_categories(metric, scoring):
    X, y = mixed_table()
    model = HistGradientBoostingClassifier(random_state=0, max_iter=20, categorical_features="from_dtype").fit(X, y)
    theirs = scikit_learn_importance(model, X, y, scoring=scoring, n_repeats=4, random_state=3)
    orders = scikit_learn_permutations(len(X), n_repeats=4, random_state=3)
    ours = permutation_importance(predictor(model), X, y, metric=metric, permutations=orders)
    np.testing.assert_allclose(ours.samples, theirs.importances, atol=1e-12)
    np.testing.assert_allclose(ours.values, theirs.importances_mean, atol=1e-12)


@pytest.mark.parametrize(
    ("metric", "scoring"),
    [("squared_error", "neg_mean_squared_error"), ("absolute_error", "neg_mean_absolute_error"), ("r2", "r2")],
)
def test_equal_to_scikit_learn_on_an_array_regression(metric, scoring):
    X = gaussian(200)
    model = RandomForestRegressor(20, random_state=0).fit(X, linear(X))
    theirs = scikit_learn_importance(model, X, linear(X), scoring=scoring, n_repeats=3, random_state=7)
    orders = scikit_learn_permutations(len(X), n_repeats=3, random_state=7)
    ours = permutation_importance(predictor(model), X, linear(X), metric=metric, permutations=orders)
    np.testing.assert_allclose(ours.samples, theirs.importances, atol=1e-12)


def test_equal_to_scikit_learn_with_three_classes():
    X = gaussian(200)
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    model = LogisticRegression().fit(X, y)
    theirs = scikit_learn_importance(model, X, y, scoring=["neg_log_loss", "accuracy"], n_repeats=3, random_state=1)
    orders = scikit_learn_permutations(len(X), n_repeats=3, random_state=1)
    ours = permutation_importances(predictor(model), X, y, metrics=["log_loss", "accuracy"], permutations=orders)
    np.testing.assert_allclose(ours["log_loss"].samples, theirs["neg_log_loss"].importances, atol=1e-12)
    np.testing.assert_allclose(ours["accuracy"].samples, theirs["accuracy"].importances, atol=1e-12)


def test_metrics_equal_scikit_learns():
    X, rng = gaussian(200), np.random.default_rng(0)
    y, value = rng.integers(0, 2, 200), linear(X) + rng.normal(size=200)
    p = logistic(X)
    pairs = {"log_loss": log_loss(y, p), "brier_score": brier_score_loss(y, p), "roc_auc": roc_auc_score(y, p)}
    pairs |= {"accuracy": accuracy_score(y, p > 0.5), "error_rate": 1 - accuracy_score(y, p > 0.5)}
    for name, theirs in pairs.items():
        assert np.mean(METRICS[name].function(y, p)) == pytest.approx(theirs, rel=1e-12), name
    two_columns = np.column_stack([1 - p, p])
    for name, theirs in pairs.items():
        assert np.mean(METRICS[name].function(y, two_columns)) == pytest.approx(theirs, rel=1e-12), name
    assert np.mean(METRICS["absolute_error"].function(value, linear(X))) == mean_absolute_error(value, linear(X))
    assert METRICS["r2"].function(value, linear(X)).mean() == pytest.approx(r2_score(value, linear(X)))


# --- the literal definition ------------------------------------------------------------------------------------------


def literal(predict, X, y, loss, columns, orders):
    """One copy at a time, as the formula says."""
    untouched = loss(y, predict(X))
    samples = []
    for order in orders:
        copy = X.copy()
        copy[:, columns] = X[order][:, columns]
        samples.append(loss(y, predict(copy)) - untouched)
    return np.array(samples)


def test_equal_to_the_literal_definition_whatever_the_batches():
    X = gaussian(60).round(1)
    y = linear(X) + np.random.default_rng(1).normal(size=60)
    orders = np.array([np.random.default_rng(r).permutation(60) for r in range(4)])
    squared = lambda y, p: np.mean((y - p) ** 2)  # noqa: E731
    wanted = [literal(linear, X, y, squared, columns, orders) for columns in ([0, 2], [1])]
    for batch_rows in (7, 60, 250, 10_000):
        ours = permutation_importance(
            linear, X, y, metric="squared_error", groups={"pair": [0, 2]}, permutations=orders, batch_rows=batch_rows
        )
        np.testing.assert_allclose(ours.samples, wanted, rtol=1e-9)


def test_several_metrics_in_one_pass_are_those_of_single_passes():
    X, y = mixed_table()
    model = RandomForestClassifier(10, random_state=0).fit(X.drop(columns="employment"), y)
    predict = lambda X: model.predict_proba(X.drop(columns="employment"))[:, 1]  # noqa: E731
    calls = []
    counted = lambda X: (calls.append(len(X)), predict(X))[1]  # noqa: E731
    together = permutation_importances(counted, X, y, metrics=["log_loss", "accuracy", "roc_auc"])
    assert len(calls) == 2  # the untouched rows, then all copies at once
    for name, result in together.items():
        alone = permutation_importance(predict, X, y, metric=name)
        np.testing.assert_array_equal(result.samples, alone.samples)
        np.testing.assert_array_equal(result.std_errors, alone.std_errors)
        assert result.unit == ("increase of log_loss" if name == "log_loss" else f"decrease of {name}")


def test_only_distinct_changed_rows_are_predicted():
    X = np.column_stack([np.repeat([0.0, 1.0], 50), gaussian(100)[:, 0]])
    rows = []
    permutation_importance(
        lambda X: (rows.append(len(X)), X[:, 0])[1], X, X[:, 0], metric="squared_error", features=[0], n_repeats=50
    )
    assert rows == [100, 100]  # a row has one other value it could receive, however often it receives it


def test_batches_bound_the_rows_per_call():
    X, sizes = gaussian(100), []
    permutation_importance(
        lambda X: (sizes.append(len(X)), linear(X))[1], X, linear(X), metric="squared_error", n_repeats=10, batch_rows=300
    )
    assert max(sizes) <= 300
    assert len(sizes) == 1 + 3 * 4  # ten copies of 100 rows, four calls for each feature


@given(st.permutations([0, 1, 2]), st.floats(0.1, 10))
def test_renaming_columns_renames_importances_and_units_scale(order, scale):
    X, y = gaussian(30), linear(gaussian(30))
    plain = permutation_importance(linear, X, y, metric="squared_error", n_repeats=2)
    moved = permutation_importance(
        lambda Z: scale * linear(Z[:, np.argsort(order)]), X[:, order], scale * y, metric="squared_error", n_repeats=2
    )
    np.testing.assert_allclose(moved.values, scale**2 * plain.values[order], rtol=1e-9)


def test_same_seed_same_result_and_caller_data_untouched():
    X, y = mixed_table()
    before = X.copy()
    predict = lambda X: (X["income"] / 100).clip(0, 1)  # noqa: E731
    first, second, other = (permutation_importance(predict, X, y, random_state=s).values for s in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    pd.testing.assert_frame_equal(X, before)
    frozen = gaussian(40)
    frozen.setflags(write=False)
    permutation_importance(linear, frozen, linear(frozen), metric="squared_error", conditional=LinearRegression())


# --- uncertainty -----------------------------------------------------------------------------------------------------


def simulated(seed, n):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, linear(X) + rng.normal(size=n), (rng.random(n) < logistic(X)).astype(int)


def coverage(predict, which, metric, truth, *, n, runs, form="difference"):
    inside = 0
    for seed in range(runs):
        X, value, label = simulated(seed, n)
        y = label if which == "class" else value
        result = permutation_importance(predict, X, y, metric=metric, features=[0], form=form, random_state=seed)
        low, high = result.interval()[0]
        inside += low <= truth <= high
    return inside / runs


# truth: 2 a^2 var(x) over permutations with fixed points, and its ratio to the noise variance 1
CLOSED = [("difference", 2 * 4 * (1 - 1 / 300)), ("ratio", 1 + 2 * 4 * (1 - 1 / 300))]


@pytest.mark.parametrize(("form", "truth"), CLOSED)
def test_interval_covers_the_population_value(form, truth):
    covered = coverage(linear, "value", "squared_error", truth, n=300, runs=150, form=form)
    assert 0.90 <= covered <= 0.99  # 0.95 wanted; the binomial spread of 150 runs is 0.018


@pytest.mark.full
@pytest.mark.parametrize(("form", "truth"), CLOSED)
def test_interval_covers_the_population_value_in_many_runs(form, truth):
    assert 0.935 <= coverage(linear, "value", "squared_error", truth, n=300, runs=2000, form=form) <= 0.98


@pytest.mark.full
@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc"])
def test_interval_covers_the_population_value_of_classification_metrics(metric):
    X, _, y = simulated(10_000_019, 400_000)
    truth = permutation_importance(logistic, X, y, metric=metric, features=[0], n_repeats=1).values[0] * (1 - 1 / 400)
    assert 0.93 <= coverage(logistic, "class", metric, truth, n=400, runs=600) <= 0.985


def test_repeats_alone_understate_the_uncertainty():
    """The spread over repeats, which other packages print, knows nothing of the rows that were drawn."""
    inside = 0
    for seed in range(100):
        X, y, _ = simulated(seed, 300)
        samples = permutation_importance(linear, X, y, metric="squared_error", features=[0], random_state=seed).samples[0]
        inside += abs(samples.mean() - CLOSED[0][1]) <= 1.96 * samples.std(ddof=1) / np.sqrt(len(samples))
    assert inside / 100 < 0.6


def test_p_value_of_a_used_but_worthless_feature_is_not_small_too_often():
    """On held-out data a feature that is pure noise changes nothing in expectation, however much the model uses it."""
    low = 0
    for seed in range(200):
        X, _, _ = simulated(seed, 200)
        y = X[:, 1] + np.random.default_rng(10_000 + seed).normal(size=200)
        result = permutation_importance(
            lambda X: X[:, 1] + 0.3 * X[:, 2], X, y, metric="squared_error", features=[2], random_state=seed
        )
        low += result.p_values[0] < 0.05
    assert low / 200 <= 0.09  # at most 0.05 wanted, plus its binomial spread


def test_p_values_at_the_ends():
    X, y, _ = simulated(0, 300)
    result = permutation_importance(linear, X, y, metric="squared_error")
    assert result.p_values[0] < 1e-10
    assert (result.values[2], result.std_errors[2], result.p_values[2]) == (0.0, 0.0, 1.0)


# --- own metrics -----------------------------------------------------------------------------------------------------


def test_functions_and_scores_of_ones_own():
    X, y, _ = simulated(0, 300)

    def pinball(y, prediction):
        return np.maximum(0.9 * (y - prediction), 0.1 * (prediction - y))

    def worst_error(y, prediction):
        return np.abs(y - prediction).max()

    several = permutation_importances(
        linear, X, y, metrics=[pinball, worst_error, Metric("agreement", lambda y, p: y * p > 0, greater_is_better=True)]
    )
    assert [r.unit for r in several.values()] == ["increase of pinball", "increase of worst_error", "decrease of agreement"]
    assert all(r.ranking()[:2] == ["x0", "x1"] and r.values[2] == 0 for r in several.values())
    assert several["agreement"].values[0] == pytest.approx(
        np.mean(y * linear(X) > 0) - (several["agreement"].baseline - several["agreement"].values[0])
    )


def test_the_jackknife_agrees_with_the_influence_of_the_same_metric():
    X, y, _ = simulated(0, 1000)

    def mean_squared_error(y, prediction):
        return np.mean((y - prediction) ** 2)

    both = permutation_importances(linear, X, y, metrics=["squared_error", mean_squared_error])
    rows, blocks = both["squared_error"], both["mean_squared_error"]
    np.testing.assert_allclose(blocks.samples, rows.samples, rtol=1e-12)
    np.testing.assert_allclose(blocks.std_errors, rows.std_errors, rtol=0.5)  # 20 blocks: the error itself is 16 % uncertain


def test_a_loss_and_its_score_are_mirror_images():
    X, _, y = simulated(0, 300)
    both = permutation_importances(logistic, X, y, metrics=["accuracy", "error_rate"])
    np.testing.assert_allclose(both["accuracy"].values, both["error_rate"].values, atol=1e-15)
    np.testing.assert_allclose(both["accuracy"].std_errors, both["error_rate"].std_errors)


# --- refusals --------------------------------------------------------------------------------------------------------

X0, Y0, C0 = simulated(0, 60)
FRAME = pd.DataFrame(X0, columns=["a", "b", "c"])


def bad(message, error=ValueError, **changes):
    return pytest.param(changes, error, message, id=message[:40])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        bad("predict must be a function, not LogisticRegression: wrap", TypeError, predict=LogisticRegression()),
        bad("X must be a DataFrame or a 2-D array", TypeError, X=[[1, 2]]),
        bad("X must have two dimensions", X=np.zeros(60)),
        bad("missing or infinite values", X=np.where(X0[3, 1] == X0, np.nan, X0)),
        bad("missing or infinite values", X=np.where(X0[3, 1] == X0, np.inf, X0)),
        bad("at least 2 rows", X=X0[:1], y=Y0[:1]),
        bad("y must have one value per row of X, shape (60,)", y=Y0[:5]),
        bad("y must have one value per row of X, shape (60,)", y=Y0[:, None]),
        bad("y has missing values", y=np.where(Y0[4] == Y0, np.nan, Y0)),
        bad("y must be numeric", TypeError, y=np.array(["a"] * 60)),
        bad("r2 needs y to vary", y=np.ones(60), metric="r2"),
        bad("log_loss needs classes numbered 0, 1, ..., k-1 in y", metric="log_loss"),
        bad("log_loss needs classes numbered 0, 1, ..., k-1 in y", metric="log_loss", y=np.array(["no", "yes"] * 30)),
        bad("roc_auc needs both classes 0 and 1 in y, not [0, 1, 2]", metric="roc_auc", y=np.arange(60) % 3),
        bad("metric must be one of 'log_loss'", metric="mse"),
        bad("form must be one of 'difference', 'ratio'", form="quotient"),
        bad("needs a loss, for which 0 is perfect, not the score 'r2'", metric="r2", form="ratio"),
        bad("features: 'age' is unknown; the features are a, b, c", X=FRAME, features=["age"]),
        bad("features: 7 is unknown; the features are x0, x1, x2", features=[7]),
        bad("features must be a list of column names or numbers", TypeError, features="a"),
        bad("groups['ab']: 'age' is unknown; the features are a, b, c", X=FRAME, groups={"ab": ["a", "age"]}),
        bad("groups must be a dict", TypeError, groups=[["a", "b"]]),
        bad("groups must be a dict", TypeError, X=FRAME, groups={"ab": "ab"}),
        bad("groups must be a dict", TypeError, groups={"none": []}),
        bad("groups has the name 'a', which is also a feature", X=FRAME, groups={"a": ["b", "c"]}),
        bad("features and groups are both empty", features=[]),
        bad("'x1' is constant in X", X=X0 * [1, 0, 1]),
        bad("n_repeats must be a whole number", n_repeats=0),
        bad("n_repeats must be a whole number", TypeError, n_repeats=2.5),
        bad("permutations must hold the row numbers 0 to 59", permutations=np.zeros((2, 60), int)),
        bad("permutations must hold the row numbers 0 to 59", permutations=np.arange(59)[None]),
        bad("permutations must hold the row numbers 0 to 59", permutations=np.arange(60.0)[None]),
        bad("donors from other strata", permutations=np.arange(60)[None, ::-1], conditional=np.arange(60) // 20),
        bad("conditional must be None, a regressor, or 60 stratum labels", conditional="age"),
        bad("conditional must be None, a regressor, or 60 stratum labels", conditional=[1, 2]),
        bad("every row into a stratum of its own", conditional=np.arange(60)),
        bad("conditional has no other columns", conditional=LinearRegression(), groups={"all": [0, 1, 2]}),
        bad("holds categories", TypeError, X=FRAME.assign(c="red").assign(c=["r", "g"] * 30), conditional=LinearRegression()),
        bad("batch_rows must be a whole number", batch_rows=0),
        bad("random_state must be", random_state="seed"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence_before_any_model_call(changes, error, message):
    def never(_):
        raise AssertionError("the model was called")

    arguments = {"predict": never, "X": X0, "y": Y0, "metric": "squared_error", **changes}
    with pytest.raises(error) as caught:
        permutation_importance(**arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("predict", "settings", "message"),
    [
        (lambda X: X[:5, 0], {}, "one row per input row"),
        (lambda X: X[:, 0] * np.nan, {}, "missing or infinite values"),
        (lambda X: X[:, :2], {}, "squared_error needs one number per row"),
        (lambda X: X[:, 0] * 9, {"metric": "log_loss", "y": C0}, "log_loss needs probabilities, but predict returned"),
        (lambda X: X[:, 0] * 0 + 0.5, {"metric": "log_loss", "y": np.arange(60) % 3}, "y holds class 2, but predict"),
        (linear, {"form": "ratio", "y": linear(X0)}, "divides by the untouched model's squared_error, which is 0"),
        (linear, {"metric": lambda y, p: np.zeros((2, 2))}, "must return one number, or one per row, not shape (2, 2)"),
        (linear, {"metric": lambda y, p: (y - p) * np.nan}, "returned missing or infinite values"),
    ],
)
def test_bad_models_and_metrics_get_one_sentence(predict, settings, message):
    with pytest.raises(ValueError) as caught:
        permutation_importance(predict, X0, **{"y": Y0, "metric": "squared_error", **settings})
    assert message in str(caught.value)


@pytest.mark.parametrize("metrics", ["log_loss", [], None])
def test_metrics_must_be_a_list(metrics):
    with pytest.raises(TypeError, match="metrics must be a list"):
        permutation_importances(linear, X0, Y0, metrics=metrics)


@pytest.mark.parametrize("name", ["roc_auc", "r2"])
def test_row_values_of_a_metric_that_is_no_mean_are_its_influence(name):
    """Counting one row twice moves the metric by that row's influence over n, to first order."""
    X, value, label = simulated(0, 2000)
    y, prediction = (label, logistic(X)) if name == "roc_auc" else (value, linear(X))
    function = METRICS[name].function
    values = function(y, prediction)
    for row in (0, 1, 2):
        twice = np.append(np.arange(2000), row)
        moved = function(y[twice], prediction[twice]).mean() - values.mean()
        assert moved == pytest.approx((values[row] - values.mean()) / 2000, rel=0.02, abs=2e-7)


def test_metrics_need_different_names():
    with pytest.raises(ValueError, match="different names"):
        permutation_importances(linear, X0, Y0, metrics=["r2", "r2"])


def test_a_model_that_changes_its_width_is_caught():
    widths = iter([2, 3])
    with pytest.raises(ValueError, match="2 columns"):
        permutation_importance(
            lambda X: np.full((len(X), next(widths)), 0.3), X0, C0, metric="log_loss", features=[0], n_repeats=1
        )


def test_scikit_learn_permutations_refuses_nonsense():
    with pytest.raises(ValueError, match="n_rows must be"):
        scikit_learn_permutations(1)
    with pytest.raises(ValueError, match="n_repeats must be"):
        scikit_learn_permutations(5, n_repeats=0)
