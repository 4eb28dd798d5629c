"""The world ``houses``: the population is what the card says, and the stated effects are its effects."""

from __future__ import annotations

import hashlib
from itertools import combinations, permutations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import worlds
from xailib.worlds.houses import COLUMNS, HEATING_SHARE, RAILWAY, SHAPES, STYLE_MATCH

WORLD = worlds.houses()
TRUTH = WORLD.truth
LARGE = worlds.houses(300_000, random_state=1)
NUMERIC = [column for column in COLUMNS if column not in ("railway", "heating")]
YEARS = ["year_built", "district_year"]


def values_of(column: str) -> list:
    """Three values of a column inside the bulk of its data, or all levels."""
    if column in NUMERIC:
        return np.quantile(LARGE.X[column], [0.1, 0.5, 0.9], method="inverted_cdf").tolist()
    return list(LARGE.X[column].cat.categories)


def literal_ale(f, X: pd.DataFrame, column: str, edges: np.ndarray) -> np.ndarray:
    """First-order ALE at the edges, from its definition: mean change over each bin, accumulated, centred over the rows."""
    x = X[column].to_numpy(float)
    k = np.clip(np.searchsorted(edges, x, side="left"), 1, len(edges) - 1)
    change = f(X.assign(**{column: edges[k]})) - f(X.assign(**{column: edges[k - 1]}))
    counts = np.bincount(k, minlength=len(edges))[1:]
    steps = np.bincount(k, change, minlength=len(edges))[1:] / counts
    ale = np.concatenate([[0.0], np.cumsum(steps)])
    return ale - (counts * (ale[:-1] + ale[1:]) / 2).sum() / len(X)


# --- the data ---------------------------------------------------------------------------------------------------------


def test_importing_the_module_does_not_hide_the_function():
    assert callable(worlds.houses)


def test_columns_are_the_published_ones():
    assert list(WORLD.X) == list(COLUMNS)
    assert len(WORLD.X) == len(WORLD.y) == 4500
    assert WORLD.n_train == 3000
    assert not WORLD.X.isna().any().any()
    assert set(WORLD.X["bedrooms"]) == set(range(1, 7))
    assert WORLD.X["house_number"].between(1, 200).all()


def test_columns_are_rounded_to_their_precision():
    decimals = {"distance_to_railway_km": 2, "distance_to_centre_km": 1, "year_built": 1, "district_year": 1}
    for column in NUMERIC:
        assert (WORLD.X[column] == WORLD.X[column].round(decimals.get(column, 0))).all(), column
    assert (WORLD.y == WORLD.y.round(1)).all()


def test_same_seed_same_world():
    again = worlds.houses()
    pd.testing.assert_frame_equal(again.X, WORLD.X)
    assert (again.y == WORLD.y).all()
    assert again.card == WORLD.card
    pd.testing.assert_frame_equal(worlds.houses(random_state=np.random.default_rng(0)).X, WORLD.X)
    assert not worlds.houses(random_state=1).X.equals(WORLD.X)


def test_the_default_world_is_the_one_the_notebooks_were_built_on():
    text = WORLD.X.assign(price=WORLD.y).to_csv(index=False, float_format="%.2f", lineterminator="\n")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "7d42997ccda6687a"


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 0.95])
def test_area_and_bedrooms_have_the_asked_correlation(correlation):
    X = worlds.houses(300_000, correlation=correlation, random_state=2).X
    # five standard errors of a normal correlation, plus room for the rounded bedrooms
    error = 5 * (1 - correlation**2) / np.sqrt(len(X)) + 0.001
    assert abs(X["square_metres"].corr(X["bedrooms"]) - correlation) < error


def test_another_correlation_changes_the_bedrooms_only():
    other = worlds.houses(correlation=0.2)
    same = [column for column in COLUMNS if column != "bedrooms"]
    pd.testing.assert_frame_equal(other.X[same], WORLD.X[same])
    assert (other.X["bedrooms"] != WORLD.X["bedrooms"]).any()


def test_only_two_pairs_are_correlated():
    R = LARGE.X.corr(numeric_only=True)
    assert abs(R.loc["year_built", "district_year"] - 0.6) < 0.01
    planted = {("square_metres", "bedrooms"), ("year_built", "district_year")}
    others = [R.loc[a, b] for i, a in enumerate(R) for b in R.columns[i + 1 :] if (a, b) not in planted]
    assert np.abs(others).max() < 5 / np.sqrt(len(LARGE.X))


def test_shares_of_the_categories():
    heating = LARGE.X["heating"].value_counts(normalize=True)
    for name, share in HEATING_SHARE.items():
        assert abs(heating[name] - share) < 4 * np.sqrt(share / len(LARGE.X))
    assert abs((LARGE.X["railway"] == "metro").mean() - 0.5) < 2 / np.sqrt(len(LARGE.X))


def test_prices_scatter_around_the_rule():
    residual = LARGE.y - LARGE.truth.predict(LARGE.X)
    assert abs(residual.mean()) < 4 * 15 / np.sqrt(len(residual))
    assert abs(residual.std() / 15 - 1) < 4 / np.sqrt(2 * len(residual))


# --- the rule ---------------------------------------------------------------------------------------------------------


def published(column: str, text: str, X: pd.DataFrame) -> np.ndarray:
    """Effect of a column computed from the text that the data card prints."""
    if column in NUMERIC:
        return np.ones(len(X)) * eval(text, {"exp": np.exp}, {"x": X[column].to_numpy(float)})
    effects = dict(entry.rsplit(" ", 1) for entry in text.split(", "))
    return X[column].astype(str).map(effects).astype(float).to_numpy()


def test_the_price_is_the_published_sum():
    total = 120.0 + sum(published(column, shape.text, WORLD.X) for column, shape in SHAPES.items())
    for term in (STYLE_MATCH, RAILWAY):
        total = total + np.prod([published(column, shape.text, WORLD.X) for column, shape in term.items()], axis=0)
    np.testing.assert_allclose(TRUTH.predict(WORLD.X), total, atol=1e-9)


def test_card_publishes_every_column_and_formula():
    assert all(f"`{column}`" in WORLD.card for column in COLUMNS)
    for term in TRUTH.formula.terms:
        assert all(shape.text in WORLD.card for shape in term.values())
    assert "correlation 0.9." in WORLD.card
    assert "correlation 0.25." in worlds.houses(correlation=0.25).card


def test_the_price_rises_with_the_area_and_flattens():
    price = TRUTH.shapes["square_metres"](np.arange(40, 181))
    assert (np.diff(price) > 0).all()
    assert (np.diff(price, 2) < 0).all()


def test_more_bedrooms_cost_less_at_fixed_area_and_more_on_average():
    assert (np.diff(TRUTH.shapes["bedrooms"](np.arange(1, 7))) == -8).all()
    assert np.corrcoef(LARGE.X["bedrooms"], LARGE.y)[0, 1] > 0.2


def test_relevant_and_irrelevant_features():
    assert TRUTH.irrelevant == {"house_number"}
    assert TRUTH.relevant | TRUTH.irrelevant == set(COLUMNS)
    for column in COLUMNS:
        shuffled = WORLD.X.assign(**{column: WORLD.X[column].sample(frac=1, random_state=0).to_numpy()})
        change = np.abs(TRUTH.predict(shuffled) - TRUTH.predict(WORLD.X)).mean()
        assert change == 0 if column in TRUTH.irrelevant else change > 1


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_house_number_never_matters(seed):
    other = WORLD.X.assign(house_number=np.random.default_rng(seed).integers(1, 201, len(WORLD.X)))
    assert (TRUTH.predict(other) == TRUTH.predict(WORLD.X)).all()


# --- the effects ------------------------------------------------------------------------------------------------------


def test_mean_price_is_the_population_mean():
    price = LARGE.truth.predict(LARGE.X)
    assert abs(price.mean() - LARGE.truth.mean_price) < 4 * price.std() / np.sqrt(len(price))


@pytest.mark.parametrize("column", COLUMNS)
def test_pdp_is_the_mean_price_with_the_feature_set(column):
    X = LARGE.X[:50_000]
    for value, target in zip(values_of(column), TRUTH.pdp(column, values_of(column)), strict=True):
        price = TRUTH.predict(X.assign(**{column: value}))
        assert abs(price.mean() - target) < 4 * price.std() / np.sqrt(len(price))


@pytest.mark.parametrize("column", NUMERIC)
def test_ale_is_the_accumulated_mean_slope(column):
    edges = np.unique(np.quantile(LARGE.X[column], np.arange(41) / 40, method="inverted_cdf"))
    if column == "bedrooms":
        edges = np.arange(7)  # one bin ends at every number of bedrooms, the first one holds the ones
    got = literal_ale(TRUTH.predict, LARGE.X, column, edges.astype(float))
    target = TRUTH.ale(column, edges)
    # the estimate centres over bin mid-points, the target over the population: compare the shapes; the outer bins are wide.
    # Additive effects have no sampling error; 0.5 keur is twice the largest one of the others over three seeds
    inner, tolerance = slice(1, -1), 0.5 if column in STYLE_MATCH | RAILWAY else 1e-9
    np.testing.assert_allclose(got[inner] - got[inner].mean(), target[inner] - target[inner].mean(), atol=tolerance)


@pytest.mark.parametrize("column", COLUMNS)
def test_ale_has_mean_zero_over_the_population(column):
    effect = TRUTH.ale(column, LARGE.X[column])
    assert abs(effect.mean()) <= 4 * effect.std() / np.sqrt(len(effect)) + 1e-3  # 0.001 keur: rounding


@pytest.mark.parametrize("column", ["railway", "heating"])
def test_ale_of_a_category_is_the_mean_difference_of_its_levels(column):
    levels = values_of(column)
    prices = [TRUTH.predict(LARGE.X.assign(**{column: level})) for level in levels]
    for (low, a), (high, b) in permutations(enumerate(levels), 2):
        jump = prices[high] - prices[low]
        target = TRUTH.ale(column, [a, b])
        assert abs(jump.mean() - (target[1] - target[0])) < 4 * jump.std() / np.sqrt(len(jump)) + 1e-9


@pytest.mark.parametrize("column", [*YEARS, "distance_to_railway_km"])
def test_flat_pdp_over_a_strong_effect(column):
    grid = values_of(column)
    assert np.ptp(TRUTH.pdp(column, grid)) == 0
    change = TRUTH.predict(LARGE.X.assign(**{column: grid[2]})) - TRUTH.predict(LARGE.X.assign(**{column: grid[0]}))
    assert np.abs(change).mean() > 25  # keur between the tenth and the ninetieth percentile of one and the same house
    assert abs((change > 0).mean() - 0.5) < 0.01


def test_railway_ice_curves_cross_at_the_mean_distance():
    near, mean, far = (LARGE.X[:100].assign(distance_to_railway_km=d) for d in (0.0, 2.5, 5.0))
    rise = TRUTH.predict(far) - TRUTH.predict(near)
    freight = (near["railway"] == "freight").to_numpy()
    np.testing.assert_allclose(rise, np.where(freight, 60, -60))
    np.testing.assert_allclose(TRUTH.predict(mean), (TRUTH.predict(near) + TRUTH.predict(far)) / 2)


def test_ale_of_the_years_is_the_known_parabola():
    years = np.array([1930, 1945, 1960, 1975, 1990])
    np.testing.assert_allclose(TRUTH.ale("year_built", years), 0.1 * 0.6 * ((years - 1960) ** 2 - 15**2) / 2)


def test_second_order_ale_of_the_years_is_the_product_less_its_main_effects():
    a, b = LARGE.X["year_built"], LARGE.X["district_year"]
    surface = TRUTH.ale_of_years(a, b)
    assert abs(surface.mean()) < 4 * surface.std() / np.sqrt(len(surface))
    # no main effect is left: the mean slope in a, at every a, is zero (0.6 a - 0.6 a); a year more changes the surface by that
    slope = TRUTH.ale_of_years(a + 1, b) - TRUTH.ale_of_years(a - 1, b)
    for low in range(1935, 1985, 10):
        inside = a.between(low, low + 9)
        assert abs(slope[inside].mean()) < 4 * slope[inside].std() / np.sqrt(inside.sum())
    # and it keeps the whole interaction of the price
    corner = TRUTH.ale_of_years([1980, 1980, 1940, 1940], [1980, 1940, 1980, 1940])
    np.testing.assert_allclose(corner @ [1, -1, -1, 1], 0.1 * 40 * 40)


# --- impossible houses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_bedrooms_probability_is_the_share_in_the_population(correlation):
    world = worlds.houses(300_000, correlation=correlation, random_state=3)
    inside = world.X["square_metres"].between(128, 132)
    bedrooms = world.X["bedrooms"][inside]
    shares = np.array([world.truth.bedrooms_probability(130, k) for k in range(1, 7)])
    np.testing.assert_allclose(shares.sum(), 1)
    counts = np.array([(bedrooms == k).mean() for k in range(1, 7)])
    np.testing.assert_allclose(counts, shares, atol=4 * 0.5 / np.sqrt(inside.sum()))


def test_possible_houses():
    assert LARGE.truth.possible(LARGE.X).mean() > 0.9999
    odd = WORLD.X[:2].assign(square_metres=[50, 170], bedrooms=[6, 1])
    assert not TRUTH.possible(odd).any()


def test_the_model_wrong_off_the_support_can_not_be_faulted_on_data():
    wrong = TRUTH.predict_wrong_off_support(WORLD.X)
    np.testing.assert_array_equal(wrong[TRUTH.possible(WORLD.X)], TRUTH.predict(WORLD.X)[TRUTH.possible(WORLD.X)])
    odd = WORLD.X[:2].assign(square_metres=[50, 170], bedrooms=[6, 1])
    np.testing.assert_allclose(TRUTH.predict_wrong_off_support(odd) - TRUTH.predict(odd), [100, -100])


def test_pdp_is_fooled_off_the_support_and_ale_is_not():
    f, X = TRUTH.predict_wrong_off_support, LARGE.X[:60_000]
    pdp = [f(X.assign(bedrooms=k)).mean() for k in (2, 4)]
    assert pdp[1] - pdp[0] > 10  # the truth is -16 keur
    ale = literal_ale(f, X, "bedrooms", np.arange(7.0))
    assert abs((ale[4] - ale[2]) - -16) < 2


# --- Shapley values and manners ---------------------------------------------------------------------------------------


def test_shapley_values_equal_enumeration_over_all_subsets():
    background, row = WORLD.X[50:70], WORLD.X.iloc[[7]]
    columns, p = list(COLUMNS), len(COLUMNS)

    def worth(S: frozenset) -> float:
        return TRUTH.predict(background.assign(**{column: row[column].iloc[0] for column in S})).mean()

    subsets = [frozenset(S) for size in range(p + 1) for S in combinations(columns, size)]
    v = {S: worth(S) for S in subsets}
    phi = [sum((v[S | {j}] - v[S]) / (p * comb(p - 1, len(S))) for S in subsets if j not in S) for j in columns]
    np.testing.assert_allclose(TRUTH.shapley(row, background).values[0], phi, atol=1e-10)


def test_shapley_values_are_efficient():
    got = TRUTH.shapley(WORLD.X)
    np.testing.assert_allclose(got.efficiency_gap(), 0, atol=1e-9)
    assert (got.to_frame()["house_number"] == 0).all()
    np.testing.assert_allclose(got.base_value, TRUTH.predict(WORLD.train[0]).mean())


def test_truth_leaves_its_input_alone_and_reads_read_only_tables():
    arrays = {column: WORLD.X[column].to_numpy(copy=True) for column in COLUMNS}
    for values in arrays.values():
        values.setflags(write=False)
    frozen = pd.DataFrame(arrays, copy=False)
    before = frozen.copy(deep=True)
    np.testing.assert_array_equal(TRUTH.predict(frozen), TRUTH.predict(WORLD.X))
    TRUTH.predict_wrong_off_support(frozen)
    TRUTH.shapley(frozen[:3], frozen[:50])
    pd.testing.assert_frame_equal(frozen, before)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: worlds.houses(3), ValueError, r"n must be a whole number in \[60, 500000\], not 3"),
        (lambda: worlds.houses(correlation=1), ValueError, r"correlation must be a number in \[0, 0.95\], not 1"),
        (lambda: worlds.houses(correlation="high"), TypeError, "correlation must be a number"),
        (lambda: worlds.houses(random_state="x"), ValueError, "random_state must be"),
        (lambda: TRUTH.predict(WORLD.X.to_numpy()), TypeError, "X must be a DataFrame"),
        (lambda: TRUTH.predict(WORLD.X.drop(columns="heating")), ValueError, "X lacks the column 'heating'"),
        (lambda: TRUTH.predict(WORLD.X.assign(heating="coal")), ValueError, "level 'coal' is unknown"),
        (lambda: TRUTH.predict_wrong_off_support(WORLD.X[["heating"]]), ValueError, "X lacks the column 'square_metres'"),
        (lambda: TRUTH.possible(WORLD.X[["heating"]]), ValueError, "X lacks the column 'square_metres'"),
        (lambda: TRUTH.possible(3), TypeError, "X must be a DataFrame"),
        (lambda: TRUTH.bedrooms_probability("big", 3), TypeError, "square_metres must be numeric"),
        (lambda: TRUTH.bedrooms_probability(100, np.nan), ValueError, "bedrooms has 1 missing"),
        (lambda: TRUTH.pdp("area", [1]), ValueError, "feature must be one of 'square_metres'"),
        (lambda: TRUTH.pdp("bedrooms", 3), ValueError, "grid must be a non-empty"),
        (lambda: TRUTH.pdp("year_built", []), ValueError, "grid must be a non-empty"),
        (lambda: TRUTH.ale("year_built", []), ValueError, "grid must be a non-empty"),
        (lambda: TRUTH.ale("area", [1]), ValueError, "feature must be one of 'square_metres'"),
        (lambda: TRUTH.ale_of_years("new", 1960), TypeError, "year_built must be numeric"),
        (lambda: TRUTH.centred_shape("area", [1]), ValueError, "feature must be one of 'square_metres'"),
        (lambda: TRUTH.shapley(WORLD.X[:1], WORLD.X[:0]), ValueError, "background must have at least 1 row"),
    ],
)
def test_bad_input_gets_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()
