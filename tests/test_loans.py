"""The world ``loans``: the data are what the card says, and the truth is true."""

from __future__ import annotations

import hashlib
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from xailib import worlds
from xailib.worlds.loans import CATEGORIES, COLUMNS, INTERACTION, SHAPES, THIRD_ORDER, LoansTruth

WORLD = worlds.loans()
THIRD = worlds.loans(third_order=True)
LARGE = worlds.loans(100_000, random_state=1)


def test_importing_the_module_does_not_hide_the_function():
    assert callable(worlds.loans)
    assert isinstance(WORLD.truth, LoansTruth)


# --- the data ---------------------------------------------------------------------------------------------------------


def test_columns_are_the_published_ones():
    assert list(WORLD.X) == list(COLUMNS)
    assert len(WORLD.X) == len(WORLD.y) == len(WORLD.truth.group) == 6000
    assert not WORLD.X.isna().any().any()
    for column, names in CATEGORIES.items():
        assert tuple(WORLD.X[column].cat.categories) == names
        assert set(WORLD.X[column]) == set(names)


def test_columns_are_rounded_to_their_precision():
    decimals = {"annual_income_keur": 1, "credit_age_years": 1, "debt_to_income": 2, "loan_amount_keur": 1, "height_in": 1}
    numeric = WORLD.X.select_dtypes("number")
    for column in numeric:
        assert (numeric[column] == numeric[column].round(decimals.get(column, 0))).all(), column


def test_train_and_test_split_the_rows():
    (X_train, y_train), (X_test, y_test) = WORLD.train, WORLD.test
    assert len(X_train) == len(y_train) == WORLD.n_train == 4000
    assert len(X_test) == len(y_test) == 2000
    pd.testing.assert_frame_equal(WORLD.truth.background, X_train)


def test_same_seed_same_world():
    again = worlds.loans()
    pd.testing.assert_frame_equal(again.X, WORLD.X)
    assert (again.y == WORLD.y).all()
    assert again.card == WORLD.card
    from_generator = worlds.loans(random_state=np.random.default_rng(0))
    pd.testing.assert_frame_equal(from_generator.X, WORLD.X)
    assert not worlds.loans(random_state=1).X.equals(WORLD.X)


def test_third_order_changes_the_outcome_and_not_the_applicants():
    pd.testing.assert_frame_equal(THIRD.X, WORLD.X)
    assert (THIRD.y != WORLD.y).any()


def test_the_default_world_is_the_one_the_notebooks_were_built_on():
    digest = hashlib.sha256(
        WORLD.X.to_csv(index=False, lineterminator="\n").encode() + WORLD.y.astype(np.int8).tobytes()
    ).hexdigest()
    assert digest[:16] == "058663a12b154d59"


@pytest.mark.parametrize("world", [WORLD, THIRD], ids=["plain", "third order"])
def test_classes_are_neither_rare_nor_even(world):
    assert 0.25 < world.y.mean() < 0.35
    assert set(np.unique(world.y)) == {0, 1}


def test_planted_correlations():
    X = LARGE.X
    assert X["credit_age_years"].corr(X["age_years"]) > 0.7
    assert (X["credit_age_years"] <= X["age_years"] - 18).all()
    assert X["debt_to_income"].corr(X["open_loans"]) > 0.7
    assert X["loan_amount_keur"].corr(X["annual_income_keur"]) > 0.5


def test_other_columns_are_uncorrelated():
    pairs = {("age_years", "credit_age_years"), ("open_loans", "debt_to_income"), ("annual_income_keur", "loan_amount_keur")}
    pairs.add(("height_cm", "height_in"))
    R = LARGE.X.corr(numeric_only=True)
    gaps = [(a, b, R.loc[a, b]) for i, a in enumerate(R) for b in R.columns[i + 1 :] if (a, b) not in pairs]
    # five standard errors of a correlation of independent columns
    assert all(abs(r) < 5 / np.sqrt(len(LARGE.X)) for _, _, r in gaps), gaps


def test_income_is_log_normal():
    z = (np.log(LARGE.X["annual_income_keur"]) - np.log(42)) / 0.45
    error = 1 / np.sqrt(len(z))
    assert abs(z.mean()) < 4 * error
    assert abs(z.std() - 1) < 4 * error
    assert abs(z.skew()) < 4 * np.sqrt(6) * error
    assert abs(z.kurt()) < 4 * np.sqrt(24) * error


def test_the_two_heights_say_the_same():
    # rounding to whole centimetres is exact, rounding to a tenth of an inch moves by at most half a tenth
    assert (2.54 * WORLD.X["height_in"] - WORLD.X["height_cm"]).abs().max() <= 2.54 * 0.05 + 1e-9


def test_fraud_list_is_rare_and_decisive():
    listed = LARGE.X["on_fraud_list"] == 1
    assert abs(listed.mean() - 0.005) < 4 * np.sqrt(0.005 / len(LARGE.X))
    assert LARGE.y[listed].mean() > 0.85


def test_customer_numbers_are_unique():
    assert LARGE.X["customer_number"].is_unique
    assert LARGE.X["customer_number"].between(100_000, 999_999).all()


def test_region_is_a_proxy_of_the_group():
    b = pd.Series(LARGE.truth.group == "B")
    share = b.groupby(LARGE.X["region"]).mean()
    assert share["north"] < 0.15 < 0.5 < share["east"] < share["west"]
    assert roc_auc_score(b, LARGE.X["region"].map(share).astype(float)) > 0.7
    # the proxy carries the bias: group B has the worse odds, although the rule never reads the group
    p = LARGE.truth.predict(LARGE.X)
    assert p[b].mean() - p[~b].mean() > 0.05


def test_given_the_region_the_group_says_nothing_more_about_the_outcome():
    X, p, b = LARGE.X, LARGE.truth.predict(LARGE.X), LARGE.truth.group == "B"
    for region in CATEGORIES["region"]:
        inside = (X["region"] == region).to_numpy()
        error = p[inside].std() * np.sqrt(1 / (inside & b).sum() + 1 / (inside & ~b).sum())
        assert abs(p[inside & b].mean() - p[inside & ~b].mean()) < 4 * error


@pytest.mark.parametrize("world", [LARGE, THIRD], ids=["plain", "third order"])
def test_outcomes_follow_the_stated_probability(world):
    p = world.truth.predict(world.X)
    decile = np.digitize(p, np.quantile(p, np.arange(0.1, 1, 0.1)))
    for k in range(10):
        inside = decile == k
        z = (world.y - p)[inside].sum() / np.sqrt((p * (1 - p))[inside].sum())
        assert abs(z) < 4, (k, z)


# --- the truth --------------------------------------------------------------------------------------------------------

FORMULA_WORDS = {name: getattr(np, name) for name in ("exp", "log2", "tanh", "minimum", "maximum")} | {"expit": expit}


def published(term: dict, X: pd.DataFrame) -> np.ndarray:
    """Value of a term computed from the text that the data card prints."""
    product = np.ones(len(X))
    for column, shape in term.items():
        if column in CATEGORIES:
            effects = dict(entry.rsplit(" ", 1) for entry in shape.text.split(", "))
            product *= X[column].astype(str).map(effects).astype(float)
        else:
            product *= eval(shape.text, FORMULA_WORDS, {"x": X[column].to_numpy(float)})
    return product


@pytest.mark.parametrize("world", [WORLD, THIRD], ids=["plain", "third order"])
def test_log_odds_are_the_published_sum(world):
    terms = [{column: shape} for column, shape in SHAPES.items()] + [INTERACTION]
    terms += [THIRD_ORDER] if world is THIRD else []
    total = -2.2 + sum(published(term, world.X) for term in terms)
    np.testing.assert_allclose(world.truth.log_odds(world.X), total, atol=1e-12)
    np.testing.assert_allclose(world.truth.predict(world.X), expit(total), atol=1e-12)


def test_card_publishes_every_column_formula_and_fact():
    for world in (WORLD, THIRD):
        for term in world.truth.formula.terms:
            assert all(shape.text in world.card for shape in term.values())
        assert all(f"`{column}`" in world.card for column in COLUMNS)
        assert f"{world.y.mean():.1%}" in world.card
        assert f"{world.truth.bayes_accuracy:.3f}" in world.card
    assert "of three" in THIRD.card
    assert "of three" not in WORLD.card


def test_third_order_adds_one_product():
    gap = THIRD.truth.log_odds(WORLD.X) - WORLD.truth.log_odds(WORLD.X)
    np.testing.assert_allclose(gap, published(THIRD_ORDER, WORLD.X), atol=1e-12)


def test_relevant_and_irrelevant_features():
    truth = WORLD.truth
    assert truth.irrelevant == {"favourite_colour", "customer_number"}
    assert truth.relevant | truth.irrelevant == set(COLUMNS)
    assert set(truth.shapes) == truth.relevant


@given(seed=st.integers(0, 2**32 - 1), column=st.sampled_from(["favourite_colour", "customer_number"]))
@settings(max_examples=20, deadline=None)
def test_irrelevant_columns_never_matter(seed, column):
    shuffled = THIRD.X.copy()
    shuffled[column] = shuffled[column].sample(frac=1, random_state=seed).to_numpy()
    assert (THIRD.truth.log_odds(shuffled) == THIRD.truth.log_odds(THIRD.X)).all()


@pytest.mark.parametrize("column", sorted(WORLD.truth.relevant))
def test_relevant_columns_matter(column):
    shuffled = WORLD.X.copy()
    shuffled[column] = shuffled[column].sample(frac=1, random_state=0).to_numpy()
    change = np.abs(WORLD.truth.log_odds(shuffled) - WORLD.truth.log_odds(WORLD.X))
    assert change.mean() > 0.02


def test_centred_shapes_have_mean_zero_over_the_background():
    truth = WORLD.truth
    for column in COLUMNS:
        assert abs(truth.centred_shape(column, truth.background[column]).mean()) < 1e-12
    assert (truth.centred_shape("customer_number", [1, 2]) == 0).all()
    np.testing.assert_allclose(np.diff(truth.centred_shape("region", ["north", "west"])), 0.9)


def test_interaction_weighs_defaults_more_at_low_income():
    low, high = WORLD.truth.interaction([1, 1], [15.0, 90.0])
    assert low > 0.65
    assert high < 1e-4
    assert WORLD.truth.interaction([0], [15.0]) == 0


def test_bayes_accuracy_is_what_the_oracle_reaches():
    for third_order in (False, True):
        fresh = worlds.loans(200_000, third_order=third_order, random_state=7)
        right = (fresh.truth.predict(fresh.X) > 0.5) == fresh.y
        # four standard errors of the count, plus the stated error of the truth itself
        assert abs(right.mean() - fresh.truth.bayes_accuracy) < 4 * right.std() / np.sqrt(len(right)) + 0.001


def test_truth_states_scale_and_estimand():
    truth = WORLD.truth
    assert truth.scale == "probability of default"
    assert "marginal" in truth.estimand
    assert "log-odds" in truth.estimand
    assert not truth.group.flags.writeable


def enumerate_shapley(f, row: pd.DataFrame, background: pd.DataFrame) -> np.ndarray:
    """Shapley values by all subsets of all columns, with every coalition evaluated by the full function."""
    columns, p = list(row), row.shape[1]
    coalitions = (np.arange(2**p)[:, None] >> np.arange(p)) % 2 == 1
    hybrid = {
        column: np.where(np.repeat(coalitions[:, j], len(background)), row[column].iloc[0], np.tile(background[column], 2**p))
        for j, column in enumerate(columns)
    }
    v = f(pd.DataFrame(hybrid)).reshape(2**p, len(background)).mean(axis=1)
    size = coalitions.sum(axis=1)
    phi = np.zeros(p)
    for j in range(p):
        for S in np.flatnonzero(~coalitions[:, j]):
            phi[j] += (v[S | 1 << j] - v[S]) / (p * comb(p - 1, int(size[S])))
    return phi


@pytest.mark.parametrize("world", [WORLD, THIRD], ids=["plain", "third order"])
def test_shapley_values_equal_enumeration_over_all_subsets(world):
    background = world.X[100:107]
    rows = world.X.iloc[[3, 4711]]
    got = world.truth.shapley(rows, background)
    for i in range(len(rows)):
        want = enumerate_shapley(world.truth.log_odds, rows.iloc[[i]], background)
        np.testing.assert_allclose(got.values[i], want, atol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_shapley_values_are_efficient_and_ignore_dummies(seed, size):
    background = THIRD.X.sample(size, random_state=seed)
    got = THIRD.truth.shapley(THIRD.X[:20], background)
    np.testing.assert_allclose(got.efficiency_gap(), 0, atol=1e-10)
    np.testing.assert_allclose(got.base_value, THIRD.truth.log_odds(background).mean())
    assert (got.to_frame()[sorted(THIRD.truth.irrelevant)] == 0).all().all()


def test_shapley_default_background_is_the_training_rows():
    rows = WORLD.X[:5]
    np.testing.assert_array_equal(WORLD.truth.shapley(rows).values, WORLD.truth.shapley(rows, WORLD.train[0]).values)


def test_the_two_heights_share_the_credit_in_halves():
    shares = WORLD.truth.shapley(WORLD.X).to_frame()
    # equal but for the rounding of inches: at most 0.05 in on either side of the difference to the mean
    assert (shares["height_cm"] - shares["height_in"]).abs().max() <= 0.015 * 2.54 * 0.05 * 2
    total = -0.03 * (WORLD.X["height_cm"] - WORLD.truth.background["height_cm"].mean())
    np.testing.assert_allclose(shares["height_cm"] + shares["height_in"], total, atol=0.015 * 2.54 * 0.05 * 2)


@pytest.mark.parametrize("world", [WORLD, THIRD], ids=["plain", "third order"])
def test_pdp_equals_brute_force(world):
    background = world.X[:200]
    for column in COLUMNS:
        grid = world.X[column].iloc[[0, 7, 11]].tolist()
        want = [world.truth.log_odds(background.assign(**{column: value})).mean() for value in grid]
        np.testing.assert_allclose(world.truth.pdp(column, grid, background), want, atol=1e-10)


def test_additive_models_lose_on_the_third_order_variant():
    """Boosting restricted to pairs falls behind free boosting on the variant, and does not on the plain world."""

    def auc(world: worlds.World, interactions: str | None) -> float:
        encode = make_column_transformer((OrdinalEncoder(), list(CATEGORIES)), remainder="passthrough")
        model = HistGradientBoostingClassifier(
            max_iter=300, learning_rate=0.03, max_leaf_nodes=8, interaction_cst=interactions, random_state=0
        )
        X, y = world.train
        X_test, y_test = world.test
        return roc_auc_score(y_test, make_pipeline(encode, model).fit(X, y).predict_proba(X_test)[:, 1])

    assert auc(THIRD, None) - auc(THIRD, "pairwise") > 0.015
    assert abs(auc(WORLD, None) - auc(WORLD, "pairwise")) < 0.01


def test_truth_leaves_its_input_alone_and_reads_read_only_tables():
    arrays = {column: WORLD.X[column].to_numpy(copy=True) for column in COLUMNS}
    for values in arrays.values():
        values.setflags(write=False)
    frozen = pd.DataFrame(arrays, copy=False)
    before = frozen.copy(deep=True)
    truth = WORLD.truth
    np.testing.assert_array_equal(truth.predict(frozen), truth.predict(WORLD.X))
    truth.shapley(frozen[:3], frozen[:50])
    truth.pdp("region", ["north"], frozen)
    pd.testing.assert_frame_equal(frozen, before)


def test_a_changed_world_does_not_change_its_truth():
    world = worlds.loans(90)
    before = world.truth.background.copy(deep=True)
    world.X.loc[:, "age_years"] = 0
    pd.testing.assert_frame_equal(world.truth.background, before)


def test_text_and_object_columns_are_as_good_as_categories():
    plain = WORLD.X.astype(dict.fromkeys(CATEGORIES, object))
    np.testing.assert_array_equal(WORLD.truth.log_odds(plain), WORLD.truth.log_odds(WORLD.X))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: worlds.loans(10), ValueError, r"n must be a whole number in \[60, 500000\], not 10"),
        (lambda: worlds.loans(6000.0), TypeError, "n must be a whole number"),
        (lambda: worlds.loans(third_order="yes"), ValueError, "third_order must be one of False, True"),
        (lambda: worlds.loans(random_state=-1), ValueError, "random_state must be a non-negative"),
        (lambda: WORLD.truth.predict(WORLD.X.to_numpy()), TypeError, "X must be a DataFrame with the columns of the world"),
        (lambda: WORLD.truth.predict(WORLD.X.drop(columns="region")), ValueError, "X lacks the column 'region'"),
        (lambda: WORLD.truth.predict(WORLD.X.assign(age_years=np.nan)), ValueError, "missing or infinite values in column 'age"),
        (lambda: WORLD.truth.predict(WORLD.X.assign(region="mars")), ValueError, "level 'mars' is unknown; the levels are north"),
        (lambda: WORLD.truth.shapley(WORLD.X[:2], WORLD.X[:0]), ValueError, "background must have at least 1 row"),
        (lambda: WORLD.truth.shapley(WORLD.X[:2], 5), TypeError, "background must be a DataFrame"),
        (lambda: WORLD.truth.centred_shape("age", [1]), ValueError, "feature must be one of 'age_years'"),
        (lambda: WORLD.truth.centred_shape("customer_number", 3), ValueError, "values must be a non-empty"),
        (lambda: WORLD.truth.pdp("age", [1]), ValueError, "feature must be one of 'age_years'"),
        (lambda: WORLD.truth.pdp("age_years", 3.0), ValueError, "grid must be a non-empty, one-dimensional list"),
        (lambda: WORLD.truth.pdp("age_years", []), ValueError, "grid must be a non-empty, one-dimensional list"),
        (lambda: WORLD.truth.pdp("region", ["mars"]), ValueError, "level 'mars' is unknown"),
    ],
)
def test_bad_input_gets_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()
