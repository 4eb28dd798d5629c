"""Partial dependence, ICE, ALE and Friedman's H against definitions written out slowly, closed forms and scikit-learn."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_pd
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from xailib import effects, predictor, worlds
from xailib.effects import ale, grid_points, h_statistic, ice, level_order, partial_dependence

mpl.use("Agg")
RHO = 0.9


def gaussians(n: int, rho: float = RHO, seed: int = 0) -> np.ndarray:
    """Rows of two standard normals with correlation ``rho`` and an independent third."""
    z = np.random.default_rng(seed).standard_normal((n, 3))
    return np.column_stack([z[:, 0], rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1], z[:, 2]])


def mixed(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """A table with a float, a count, an unordered and an ordered category."""
    rng = np.random.default_rng(seed)
    size = np.maximum(rng.normal(100, 30, n), 20)
    kind = np.where(size + rng.normal(0, 25, n) > 105, "house", rng.choice(["flat", "loft", "cabin"], n))
    grade = pd.Categorical(rng.choice(["low", "mid", "top"], n), categories=["low", "mid", "top"], ordered=True)
    rooms = np.maximum(1, (size / 25).astype(int) + rng.integers(-1, 2, n))
    return pd.DataFrame({"size": size, "rooms": rooms, "kind": pd.Categorical(kind), "grade": grade})


def mixed_model(X: pd.DataFrame) -> np.ndarray:
    """Nonlinear, with interactions between every pair of columns."""
    kind = X["kind"].map({"flat": 0.0, "loft": 1.0, "cabin": -2.0, "house": 3.0}).astype(float)
    grade = X["grade"].map({"low": 0.0, "mid": 0.5, "top": 2.0}).astype(float)
    return np.asarray(np.sqrt(X["size"]) * (1 + 0.1 * grade) + kind * X["rooms"] + np.sin(X["rooms"]) * X["size"] / 50)


def wavy(X: np.ndarray) -> np.ndarray:
    """Smooth, not additive, in all three columns."""
    return np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 0] * X[:, 2] ** 2 + np.abs(X[:, 1])


# the definitions, written out row by row -------------------------------------------------------------------------------


def type_1_quantiles(values, size):
    ordered = sorted(values)
    edges = {ordered[0]}
    for i in range(1, size + 1):
        edges.add(ordered[math.ceil(len(ordered) * i / size - 1e-9) - 1])
    return sorted(edges)


def interval_of(value, edges):
    for k in range(1, len(edges)):
        if value <= edges[k]:
            return k
    raise AssertionError("outside the grid")


def with_value(row, changes):
    changed = row.copy()
    for j, value in changes.items():
        changed[j] = value
    return changed


def literal_first_order(f, X, j, edges):
    n, K = len(X), len(edges) - 1
    differences = {k: [] for k in range(1, K + 1)}
    for row in X:
        k = interval_of(row[j], edges)
        differences[k].append(f(with_value(row, {j: edges[k]})) - f(with_value(row, {j: edges[k - 1]})))
    g = [0.0]
    for k in range(1, K + 1):
        g.append(g[-1] + sum(differences[k]) / len(differences[k]))
    centre = sum(len(differences[k]) * (g[k - 1] + g[k]) / 2 for k in range(1, K + 1)) / n
    return np.array([value - centre for value in g])


def literal_second_order(f, X, first_column, second_column, e1, e2):
    K1, K2 = len(e1) - 1, len(e2) - 1
    cells = {(a, b): [] for a in range(1, K1 + 1) for b in range(1, K2 + 1)}
    for row in X:
        a, b = interval_of(row[first_column], e1), interval_of(row[second_column], e2)
        upper, lower = (
            f(with_value(row, {first_column: e1[a], second_column: edge}))
            - f(with_value(row, {first_column: e1[a - 1], second_column: edge}))
            for edge in (e2[b], e2[b - 1])
        )
        cells[a, b].append(upper - lower)
    centre = {(a, b): ((e1[a - 1] + e1[a]) / 2 / (e1[-1] - e1[0]), (e2[b - 1] + e2[b]) / 2 / (e2[-1] - e2[0])) for a, b in cells}
    full = [cell for cell in cells if cells[cell]]
    delta = {}
    for cell in cells:
        source = cell if cells[cell] else min(full, key=lambda other: math.dist(centre[cell], centre[other]))
        delta[cell] = sum(cells[source]) / len(cells[source])
    g = np.zeros((K1 + 1, K2 + 1))
    for a in range(1, K1 + 1):
        for b in range(1, K2 + 1):
            g[a, b] = sum(delta[i, m] for i in range(1, a + 1) for m in range(1, b + 1))
    count = {cell: len(cells[cell]) for cell in cells}
    first = [0.0]
    for a in range(1, K1 + 1):
        rises = [count[a, b] * (g[a, b - 1] - g[a - 1, b - 1] + g[a, b] - g[a - 1, b]) / 2 for b in range(1, K2 + 1)]
        first.append(first[-1] + sum(rises) / sum(count[a, b] for b in range(1, K2 + 1)))
    second = [0.0]
    for b in range(1, K2 + 1):
        rises = [count[a, b] * (g[a - 1, b] - g[a - 1, b - 1] + g[a, b] - g[a, b - 1]) / 2 for a in range(1, K1 + 1)]
        second.append(second[-1] + sum(rises) / sum(count[a, b] for a in range(1, K1 + 1)))
    pure = np.array([[g[a, b] - first[a] - second[b] for b in range(K2 + 1)] for a in range(K1 + 1)])
    middle = 0.0
    for a, b in cells:
        middle += count[a, b] * (pure[a - 1, b - 1] + pure[a, b - 1] + pure[a - 1, b] + pure[a, b]) / 4 / len(X)
    return pure - middle


def literal_level_order(X, name):
    """Sum of the distances in every other column, then one-dimensional classical scaling by a double loop."""
    levels = sorted(X[name].unique())
    distance = np.zeros((len(levels), len(levels)))
    for other in X.columns.drop(name):
        for a, first in enumerate(levels):
            for b, second in enumerate(levels):
                x, y = X.loc[X[name] == first, other], X.loc[X[name] == second, other]
                if pd.api.types.is_numeric_dtype(X[other]):
                    places = [np.quantile(X[other], q) for q in np.linspace(0, 1, 100)]
                    distance[a, b] += max(abs((x <= q).mean() - (y <= q).mean()) for q in places)
                else:
                    distance[a, b] += sum(abs((x == v).mean() - (y == v).mean()) for v in X[other].unique()) / 2
    squared = distance**2
    product = -0.5 * (squared - squared.mean(0) - squared.mean(1)[:, None] + squared.mean())
    values, vectors = np.linalg.eigh(product)
    position = vectors[:, values.argmax()]
    return [levels[i] for i in np.argsort(position if position[0] <= 0 else -position)]


def literal_by_levels(f, X, name, levels):
    jumps = {k: [] for k in range(1, len(levels))}
    for i in range(len(X)):
        row = X.iloc[[i]]

        def at(k, row=row):
            return f(row.assign(**{name: pd.Series([levels[k]], index=row.index).astype(X[name].dtype)}))[0]

        k = levels.index(row[name].iloc[0])
        if k < len(levels) - 1:
            jumps[k + 1].append(at(k + 1) - at(k))
        if k > 0:
            jumps[k].append(at(k) - at(k - 1))
    g = [0.0]
    for k in range(1, len(levels)):
        g.append(g[-1] + np.mean(jumps[k]))
    centre = sum((X[name] == level).mean() * value for level, value in zip(levels, g, strict=True))
    return np.array(g) - centre


def rowwise(predict):
    return lambda row: predict(row[None, :])[0]


# scikit-learn ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forest():
    X = gaussians(250)
    return RandomForestRegressor(20, random_state=0).fit(X, wavy(X)), X


@pytest.mark.parametrize("features", [[0], [1, 2]])
def test_partial_dependence_equals_scikit_learn(forest, features):
    model, X = forest
    theirs = sklearn_pd(model, X, features, method="brute", grid_resolution=12)
    grid = tuple(theirs["grid_values"]) if len(features) == 2 else theirs["grid_values"][0]
    ours = partial_dependence(predictor(model), X, features, grid=grid)
    np.testing.assert_allclose(ours.values, theirs["average"][0], atol=1e-10, rtol=0)


def test_ice_equals_scikit_learn(forest):
    model, X = forest
    theirs = sklearn_pd(model, X, [0], method="brute", kind="individual", grid_resolution=12)
    ours = ice(predictor(model), X, 0, grid=theirs["grid_values"][0])
    np.testing.assert_allclose(ours.curves, theirs["individual"][0], atol=1e-10, rtol=0)
    centred = ice(predictor(model), X, 0, kind="centred", grid=theirs["grid_values"][0])
    np.testing.assert_allclose(centred.curves, ours.curves - ours.curves[:, [0]], atol=1e-12)


def test_categories_equal_scikit_learn():
    X = mixed()
    encode = make_column_transformer((OneHotEncoder(), ["kind", "grade"]), remainder="passthrough")
    model = make_pipeline(encode, GradientBoostingRegressor(random_state=0, n_estimators=20)).fit(X, mixed_model(X))
    theirs = sklearn_pd(model, X, ["kind"], method="brute", categorical_features=["kind"])
    ours = partial_dependence(predictor(model), X, "kind", grid=list(theirs["grid_values"][0]))
    np.testing.assert_allclose(ours.values, theirs["average"][0], atol=1e-10, rtol=0)


def test_integer_columns_work_where_scikit_learn_raises():
    X = np.random.default_rng(0).integers(0, 200, (300, 2))
    model = LinearRegression().fit(X, X @ [2.0, 1.0])
    with pytest.raises(ValueError, match="nteger"):
        sklearn_pd(model, X, [0], method="brute")
    grid = np.linspace(0, 199, 7)
    result = partial_dependence(predictor(model), X, 0, grid=grid)
    np.testing.assert_allclose(np.diff(result.values), 2 * np.diff(grid))
    assert ale(predictor(model), X, 0, bins=5).grid[0].dtype == X.dtype


# ALE against the definition -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("j", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 7, 20])
def test_first_order_equals_the_definition(j, size):
    X = gaussians(173)
    edges = type_1_quantiles(X[:, j], size)
    np.testing.assert_allclose(ale(wavy, X, j, bins=size).values, literal_first_order(rowwise(wavy), X, j, edges), atol=1e-10)


def test_first_order_with_ties_equals_the_definition():
    X = gaussians(150).round(0)
    result = ale(wavy, X, 0, bins=30)
    edges = type_1_quantiles(X[:, 0], 30)
    assert result.grid[0].tolist() == edges
    np.testing.assert_allclose(result.values, literal_first_order(rowwise(wavy), X, 0, edges), atol=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.95])
def test_second_order_equals_the_definition(rho):
    X = gaussians(160, rho)
    result = ale(wavy, X, (0, 1), bins=(6, 5))
    expected = literal_second_order(rowwise(wavy), X, 0, 1, type_1_quantiles(X[:, 0], 6), type_1_quantiles(X[:, 1], 5))
    np.testing.assert_allclose(result.values, expected, atol=1e-10)
    assert (result.details["counts"] == 0).any() == (rho > 0.5)


@pytest.mark.parametrize(("name", "order"), [("kind", None), ("grade", ["low", "mid", "top"])])
def test_levels_equal_the_definition(name, order):
    X = mixed(120)
    levels = order or literal_level_order(X, name)
    result = ale(mixed_model, X, name)
    assert result.grid[0].tolist() == levels
    np.testing.assert_allclose(result.values, literal_by_levels(mixed_model, X, name, levels), atol=1e-10)


def test_discrete_counts_equal_the_definition():
    X = mixed(120)
    result = ale(mixed_model, X, "rooms", discrete=True)
    levels = sorted(X["rooms"].unique())
    np.testing.assert_allclose(result.values, literal_by_levels(mixed_model, X, "rooms", levels), atol=1e-10)


def test_empty_interval_takes_the_mean_of_its_nearest_neighbours():
    X = np.column_stack([[0.0, 0.5, 1.0, 3.5, 4.0], np.ones(5)])
    result = ale(lambda X: X[:, 0] ** 2, X, 0, bins=[0.0, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(np.diff(result.values), [1, 1, 7, 7])
    tie = ale(lambda X: X[:, 0] ** 2, np.delete(X, [3], axis=0), 0, bins=[0.0, 1.0, 3.0, 4.0])
    np.testing.assert_allclose(np.diff(tie.values), [1, 4, 7])


# grids ----------------------------------------------------------------------------------------------------------------


def test_quantiles_are_type_1_of_r():
    assert grid_points(np.arange(1, 12), 4).tolist() == [1, 3, 6, 9, 11]
    # in floating point 3/5 is a little too large here and the next value would be taken
    assert grid_points(np.arange(1, 11), 5).tolist() == [1, 2, 4, 6, 8, 10]


@given(arrays(float, st.integers(2, 40), elements=st.integers(-5, 5).map(float)), st.integers(1, 12))
def test_grid_points_are_values_of_the_data(values, size):
    grid = grid_points(values, size)
    assert set(grid) <= set(values)
    assert (grid[0], grid[-1]) == (values.min(), values.max())
    assert (np.diff(grid) > 0).all()
    assert len(grid) <= size + 1


def test_uniform_grid():
    np.testing.assert_allclose(grid_points([3.0, 1.0, 2.0], 4, "uniform"), [1, 1.5, 2, 2.5, 3])


# closed forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_additive_model_partial_dependence_is_the_component_plus_a_constant(rho):
    X = gaussians(400, rho)
    result = partial_dependence(lambda X: np.exp(X[:, 0]) + 5 * X[:, 1] ** 2, X, 0)
    np.testing.assert_allclose(result.values, np.exp(result.grid[0]) + 5 * np.mean(X[:, 1] ** 2), atol=1e-12)


def test_product_is_flat_on_average_and_ice_shows_its_slopes():
    X = gaussians(400)
    X[:, 1] -= X[:, 1].mean()
    result = ice(lambda X: X[:, 0] * X[:, 1], X, 0, kind="derivative", grid=[-1.0, 0.0, 2.0])
    np.testing.assert_allclose(result.curves, np.repeat(X[:, [1]], 3, axis=1), atol=1e-12)
    np.testing.assert_allclose(partial_dependence(lambda X: X[:, 0] * X[:, 1], X, 0).values, 0, atol=1e-12)


def test_linear_model_slope_is_exact():
    X = gaussians(300)
    result = ale(lambda X: X @ [2.0, -1.0, 0.5], X, 0, bins=17)
    np.testing.assert_allclose(np.diff(result.values) / np.diff(result.grid[0]), 2.0, atol=1e-12)


def test_product_of_correlated_features_is_half_rho_a_squared():
    X = gaussians(40_000)
    result = ale(lambda X: X[:, 0] * X[:, 1], X, 0)
    inner = np.abs(result.grid[0]) < 2
    # up to a constant: the two outermost intervals are wide, and their mid-points shift the centring by 0.08
    difference = (result.values - RHO * result.grid[0] ** 2 / 2)[inner]
    assert np.ptp(difference) < 0.05


def test_two_levels_differ_by_the_mean_difference():
    X = pd.DataFrame({"kind": ["a", "b", "a", "b", "b"], "size": [1.0, 2.0, 3.0, 4.0, 5.0]})
    result = ale(lambda X: np.where(X["kind"] == "b", X["size"] ** 2, 0.0), X, "kind")
    assert np.diff(result.values) == pytest.approx(np.mean(X["size"] ** 2))


def test_second_order_of_an_additive_model_is_zero():
    result = ale(lambda X: np.exp(X[:, 0]) + X[:, 1] ** 3, gaussians(500), (0, 1), bins=12)
    assert np.abs(result.values).max() < 1e-10


def test_second_order_of_a_product_is_the_product_without_main_effects():
    X = np.random.default_rng(0).uniform(-1, 1, (20_000, 2))
    result = ale(lambda X: X[:, 0] * X[:, 1], X, (0, 1), bins=10)
    a, b = result.grid
    np.testing.assert_allclose(result.values, np.outer(a, b), atol=0.02)
    mixed_difference = np.diff(np.diff(result.values, axis=0), axis=1)
    np.testing.assert_allclose(mixed_difference, np.outer(np.diff(a), np.diff(b)), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25), st.floats(-0.99, 0.99))
def test_curves_are_centred_over_the_rows(seed, size, rho):
    X = gaussians(120, rho, seed)
    result = ale(wavy, X, 0, bins=size)
    middles = (result.values[:-1] + result.values[1:]) / 2
    assert np.average(middles, weights=result.details["counts"]) == pytest.approx(0, abs=1e-12)
    by_level = ale(mixed_model, mixed(80, seed), "kind")
    assert np.average(by_level.values, weights=by_level.details["counts"]) == pytest.approx(0, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_effects_are_linear_in_the_model_and_indifferent_to_the_order_of_rows(seed):
    X = gaussians(90, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(X)
    for effect in (lambda f, X: ale(f, X, 0, bins=9).values, lambda f, X: partial_dependence(f, X, (0, 2), grid=4).values):
        both = effect(lambda X: 2 * wavy(X) - X[:, 0] ** 3, X)
        np.testing.assert_allclose(both, 2 * effect(wavy, X) - effect(lambda X: X[:, 0] ** 3, X), atol=1e-10)
        np.testing.assert_allclose(effect(wavy, shuffled), effect(wavy, X), atol=1e-10)


# Friedman's H ---------------------------------------------------------------------------------------------------------


def test_h_of_a_pure_product_is_one_and_of_a_sum_zero():
    X = gaussians(300, rho=0.0)
    X -= X.mean(axis=0)
    table = h_statistic(lambda X: X[:, 0] * X[:, 1] + X[:, 2], X, max_rows=300)
    assert table.loc["x0 x x1", "H2"] == pytest.approx(1, abs=1e-12)
    assert table.loc[["x0 x x2", "x1 x x2"], "H2"].max() < 1e-12


def test_h_equals_the_definition():
    X = gaussians(12)
    n = len(X)

    def pd_at(row, columns):
        return np.mean([wavy(np.array([[row[c] if c in columns else other[c] for c in range(3)]]))[0] for other in X])

    joint, first, second, own, rest = (
        np.array([pd_at(row, columns) for row in X]) for columns in ({0, 1}, {0}, {1}, {0, 1, 2}, {1, 2})
    )
    joint, first, second, own, rest = (v - v.mean() for v in (joint, first, second, own, rest))
    pair = h_statistic(wavy, X, [0, 1], max_rows=n).iloc[0]
    assert pair["H2"] == pytest.approx(np.sum((joint - first - second) ** 2) / np.sum(joint**2))
    assert pair["interaction"] == pytest.approx(np.sqrt(np.mean((joint - first - second) ** 2)))
    overall = h_statistic(wavy, X, [0], overall=True, max_rows=n).iloc[0]
    assert overall["H2"] == pytest.approx(np.sum((own - first - rest) ** 2) / np.sum(own**2))
    assert overall["H"] == pytest.approx(np.sqrt(overall["H2"]))


def test_h_is_large_for_features_that_hardly_matter():
    X = gaussians(200, rho=0.0)
    table = h_statistic(lambda X: 0.001 * X[:, 0] * X[:, 1] + 10 * X[:, 2], X)
    assert table.loc["x0 x x1", "H2"] > 0.9
    assert table.loc["x0 x x1", "interaction"] < 0.002


def test_h_is_undefined_for_features_the_model_ignores():
    table = h_statistic(lambda X: np.exp(X[:, 2]), gaussians(100), [0, 1])
    assert np.isnan(table.loc["x0 x x1", "H2"])


# bands ----------------------------------------------------------------------------------------------------------------


def product(X):
    return X[:, 0] * X[:, 1] + np.sin(3 * X[:, 0])


def bounded(n, seed, rho=RHO):
    """Rows whose first feature stays inside a fixed grid, correlated with the second."""
    rng = np.random.default_rng([seed, n])
    a = rng.uniform(-2, 2, n)
    return np.column_stack([a, rho * a + math.sqrt(1 - rho**2) * rng.standard_normal(n)])


def coverage(effect, *, n_rows, repetitions, rho=RHO):
    """Share of intervals that hold the same effect computed on 200,000 rows, and share of bands that hold it everywhere."""
    truth = effect(bounded(200_000, 0, rho), 0).values
    results = [effect(bounded(n_rows, seed, rho), seed) for seed in range(repetitions)]
    inside = np.array([(r.lower <= truth) & (truth <= r.upper) for r in results])
    return inside.mean(), inside.reshape(repetitions, -1).all(axis=1).mean()


EDGES = np.linspace(-2, 2, 21)
BANDS = {
    "ALE": lambda X, seed, **how: ale(product, X, 0, bins=EDGES, n_resamples=200, random_state=seed, **how),
    "PDP": lambda X, seed, **how: partial_dependence(product, X, 0, grid=EDGES, n_resamples=200, random_state=seed, **how),
}


@pytest.mark.parametrize("name", BANDS)
def test_intervals_cover_in_simulation(name):
    # 80 repetitions of correlated points: a wide tolerance that still excludes the 0.86 of intervals that do not accumulate
    pointwise, _ = coverage(lambda X, seed: BANDS[name](X, seed), n_rows=600, repetitions=80)
    assert 0.90 < pointwise <= 1


def test_simultaneous_bands_cover_the_whole_curve():
    _, everywhere = coverage(lambda X, seed: BANDS["ALE"](X, seed, simultaneous=True), n_rows=600, repetitions=80)
    assert everywhere > 0.87


@pytest.mark.full
@pytest.mark.parametrize("n_rows", [300, 1000])
@pytest.mark.parametrize("name", BANDS)
def test_intervals_cover_in_simulation_at_the_stated_repetitions(name, n_rows):
    pointwise, _ = coverage(lambda X, seed: BANDS[name](X, seed), n_rows=n_rows, repetitions=1000)
    # the points of a curve are correlated, in the extreme all alike: the standard error of the share is up to 0.007
    assert 0.93 < pointwise < 0.975


@pytest.mark.full
@pytest.mark.parametrize("name", BANDS)
def test_simultaneous_bands_cover_at_the_stated_repetitions(name):
    _, everywhere = coverage(lambda X, seed: BANDS[name](X, seed, simultaneous=True), n_rows=1000, repetitions=1000)
    assert 0.925 < everywhere < 0.98


def level_effect(X, seed):
    """Jumps between four levels of a count."""
    table = pd.DataFrame({"k": np.digitize(X[:, 0], [-1, 0, 1]), "b": X[:, 1]})
    return ale(lambda X: X["k"] ** 2 * X["b"], table, "k", discrete=True, n_resamples=200, random_state=seed)


def second_order_effect(X, seed):
    """A surface over twenty cells, some of them thin."""
    bins = (np.linspace(-2, 2, 5), np.array([-9.0, -1.5, -0.5, 0.5, 1.5, 9.0]))
    return ale(lambda X: np.sin(X[:, 0] * X[:, 1]), X, (0, 1), bins=bins, n_resamples=200, random_state=seed)


@pytest.mark.full
@pytest.mark.parametrize(("effect", "rho"), [(level_effect, RHO), (second_order_effect, 0.3)])
def test_other_intervals_cover_at_the_stated_repetitions(effect, rho):
    pointwise, _ = coverage(effect, n_rows=1000, repetitions=1000, rho=rho)
    assert 0.93 < pointwise < 0.975


@pytest.mark.full
def test_intervals_do_not_know_what_empty_cells_hold():
    """At a strong correlation cells without rows borrow a neighbour's value: no resampling of the rows can tell the error."""
    pointwise, _ = coverage(second_order_effect, n_rows=1000, repetitions=200, rho=0.9)
    assert pointwise < 0.9


def test_intervals_do_not_know_the_bend_inside_long_steps():
    """Straight steps across wide intervals miss a curve, and more rows make the band narrower, not truer."""
    edges, years = np.arange(1870, 2051, 20), [1930, 1950, 1970, 1990]
    held = {}
    for n in (500, 2000):
        inside = []
        for seed in range(30):
            fresh = worlds.houses(n, random_state=1000 + seed)
            band = ale(fresh.truth.predict, fresh.X, "year_built", bins=edges, n_resamples=100, random_state=seed)
            limit, at = fresh.truth.ale("year_built", years), np.isin(edges, years)
            inside.append((band.lower[at] <= limit) & (limit <= band.upper[at]))
        held[n] = np.mean(inside)
    assert held[2000] < 0.1 < held[500] < 0.5


def test_only_short_steps_keep_ale_on_the_data():
    """On a model that is wrong by 100 keur off the data, ALE is right with many intervals and as wrong as PD with few."""
    world = worlds.houses()
    error = {}
    for bins in (80, 3):
        curve = ale(world.truth.predict_wrong_off_support, world.X, "square_metres", bins=bins)
        off = curve.values - world.truth.ale("square_metres", curve.grid[0])
        error[bins] = np.abs(off - np.median(off)).max()
    assert error[80] < 4
    assert error[3] > 50


def test_bands_cost_no_predictions_and_repeat_with_their_seed():
    calls = []

    def counted(X):
        calls.append(len(X))
        return wavy(X)

    X = gaussians(200)
    first = ale(counted, X, 0, n_resamples=50, random_state=3)
    again = ale(wavy, X, 0, n_resamples=50, random_state=np.random.default_rng(3))
    assert calls == [400]
    np.testing.assert_array_equal(first.lower, again.lower)
    assert (first.upper > first.lower)[1:].all()
    for features in ((0, 1), 2):
        band = ale(wavy, X, features, bins=5, n_resamples=20)
        assert band.lower.shape == band.values.shape


def test_band_of_a_mean_is_its_standard_error():
    X = gaussians(2000, rho=0.0)
    result = partial_dependence(lambda X: X[:, 1], X, 0, grid=[0.0, 1.0], n_resamples=4000)
    half = (result.upper - result.lower) / 2
    np.testing.assert_allclose(half, 1.959964 * X[:, 1].std() / math.sqrt(2000), rtol=0.05)


# cost, tables, care -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [70, 1000, 10_000])
def test_calls_are_few_big_and_bounded(batch_rows):
    sizes = []

    def counted(X):
        sizes.append(len(X))
        return wavy(X)

    X = gaussians(100)
    result = partial_dependence(counted, X, 0, grid=30, batch_rows=batch_rows)
    assert sum(sizes) == 100 * len(result.grid[0])
    assert max(sizes) <= batch_rows
    assert len(sizes) <= math.ceil(sum(sizes) / batch_rows) + (batch_rows < len(X)) * len(result.grid[0])
    np.testing.assert_allclose(result.values, partial_dependence(wavy, X, 0, grid=30).values, atol=1e-12)


def test_a_model_that_returns_a_view_of_its_input_is_averaged_rightly():
    X = gaussians(50)
    result = ice(lambda X: X[:, 0], X, 0, grid=[1.0, 2.0, 3.0], batch_rows=50)
    np.testing.assert_array_equal(result.curves, np.tile([1.0, 2.0, 3.0], (50, 1)))


@pytest.mark.parametrize("features", ["size", "rooms", "kind", "grade", ("size", "rooms"), ("kind", "size")])
def test_frames_keep_their_dtypes_and_are_not_changed(features):
    X = mixed()
    before, seen = X.copy(deep=True), []

    def predict(rows):
        seen.append(rows.dtypes)
        return mixed_model(rows)

    partial_dependence(predict, X, features, grid=4)
    if "kind" not in features or isinstance(features, str):
        ale(predict, X, features, bins=4)
    pd.testing.assert_frame_equal(X, before)
    assert all((dtypes == X.dtypes).all() for dtypes in seen)


def test_arrays_of_text_columns_and_read_only_arrays():
    frame = mixed()[["size", "kind"]].astype({"kind": object})
    rows = frame.to_numpy(dtype=object)

    def f(X):
        return np.where(X[:, 1] == "flat", 1.0, 2.0) * X[:, 0].astype(float)

    rows.flags.writeable = False
    by_name = ale(lambda X: np.where(X["kind"] == "flat", 1.0, 2.0) * X["size"], frame, "kind")
    np.testing.assert_allclose(ale(f, rows, 1).values, by_name.values)
    np.testing.assert_allclose(ale(f, rows, 0, bins=5).values, ale(f, rows.copy(), 0, bins=5).values)
    numbers = gaussians(60)
    numbers.flags.writeable = False
    partial_dependence(wavy, numbers, (0, 1), grid=3)


def test_booleans_are_levels():
    X = pd.DataFrame({"garden": [True, False, True, False], "size": [1.0, 2.0, 3.0, 4.0]})
    result = partial_dependence(lambda X: X["garden"] * 10 + X["size"], X, "garden")
    np.testing.assert_allclose(result.values, [2.5, 12.5])
    assert result.grid[0].tolist() == [False, True]


@pytest.mark.filterwarnings("error")
def test_level_order_passes_over_levels_that_no_row_has():
    kind = pd.Categorical(list("aaabbbccc"), categories=list("abcd"))
    X = pd.DataFrame({"kind": kind, "size": [1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 2.0, 3.0, 7.0]})
    assert level_order(X, "kind").tolist() == ["a", "c", "b"]


def test_level_order_keeps_own_orders_and_places_similar_levels_together():
    X = mixed()
    assert level_order(X, "grade").tolist() == ["low", "mid", "top"]
    assert level_order(X, "rooms").tolist() == sorted(set(X["rooms"]))
    shifted = pd.DataFrame({"k": np.repeat(list("abcd"), 200), "x": np.random.default_rng(0).normal(size=800)})
    shifted["x"] += shifted["k"].map({"a": 0.0, "b": 1.5, "c": 0.5, "d": 1.0})
    assert level_order(shifted, "k").tolist() == ["a", "c", "d", "b"]
    alone = pd.DataFrame({"k": ["b", "a", "c"]})
    assert level_order(alone, "k").tolist() == ["a", "b", "c"]


def test_a_class_must_be_chosen():
    X = gaussians(50)

    def many(X):
        return np.column_stack([X[:, 0], -X[:, 0]])

    for call in (partial_dependence, ice, ale):
        with pytest.raises(ValueError, match="choose a class"):
            call(many, X, 0)
    with pytest.raises(ValueError, match="choose a class"):
        h_statistic(many, X)


BAD = [
    (partial_dependence, {"features": "price"}, "'price' is unknown; the features are x0, x1, x2"),
    (partial_dependence, {"features": (0, 1, 2)}, "one feature or a pair"),
    (partial_dependence, {"features": (1, 1)}, "two different features"),
    (partial_dependence, {"features": ()}, "one feature or a pair"),
    (partial_dependence, {"grid": 0}, "grid must be a whole number"),
    (partial_dependence, {"grid": [1.0, np.nan]}, "grid has 1 missing"),
    (partial_dependence, {"grid": [2.0, 1.0]}, "increasing"),
    (partial_dependence, {"grid": []}, "grid is empty"),
    (partial_dependence, {"grid": "many"}, "grid must be numeric"),
    (partial_dependence, {"features": (0, 1), "grid": (3, 3, 3)}, "pair of grids"),
    (partial_dependence, {"spacing": "log"}, "spacing must be one of 'quantile', 'uniform'"),
    (partial_dependence, {"n_resamples": -1}, "n_resamples"),
    (partial_dependence, {"n_resamples": 1}, "at least 2"),
    (partial_dependence, {"level": 1.2}, "level"),
    (partial_dependence, {"random_state": "seed"}, "random_state"),
    (partial_dependence, {"batch_rows": 0}, "batch_rows"),
    (partial_dependence, {"predict": 3}, "predict must be a function"),
    (partial_dependence, {"X": [[1.0]]}, "X must be a DataFrame"),
    (partial_dependence, {"X": np.ones((1, 3))}, "at least 2 rows"),
    (partial_dependence, {"X": np.ones((9, 3))}, "'x0' is constant"),
    (partial_dependence, {"X": np.array([[np.inf, 1.0], [1.0, 2.0]])}, "missing or infinite"),
    (ice, {"features": (0, 1)}, "one feature"),
    (ice, {"kind": "wavy"}, "kind must be one of"),
    (ale, {"bins": [-0.1, 0.1]}, "cover the data"),
    (ale, {"bins": [0.0]}, "cover the data"),
    (ale, {"bins": True}, "bins must"),
    (ale, {"features": (0, 1), "discrete": True}, "two numeric features"),
    (h_statistic, {"features": 0}, "features must be a list"),
    (h_statistic, {"features": [0]}, "two or more"),
    (h_statistic, {"features": [0, 0]}, "different features"),
    (h_statistic, {"max_rows": 1}, "max_rows"),
]


@pytest.mark.parametrize(("call", "change", "message"), BAD)
def test_bad_input_gets_a_sentence_before_any_model_call(call, change, message):
    def never(X):
        raise AssertionError("the model was called")

    arguments = {"predict": never, "X": gaussians(30), "features": (0, 1) if call is h_statistic else 0} | change
    predict, X, features = (arguments.pop(name) for name in ("predict", "X", "features"))
    with pytest.raises((TypeError, ValueError), match=message) as error:
        call(predict, X, features, **arguments)
    assert "\n" not in str(error.value)


def test_categories_that_do_not_occur_are_refused():
    X = mixed()
    with pytest.raises(ValueError, match="levels that occur"):
        partial_dependence(mixed_model, X, "kind", grid=["castle"])
    with pytest.raises(TypeError, match="list of levels"):
        partial_dependence(mixed_model, X, "kind", grid="flat")
    with pytest.raises(ValueError, match="numeric feature"):
        ice(mixed_model, X, "kind", kind="derivative")
    with pytest.raises(ValueError, match="two numeric features"):
        ale(mixed_model, X, ("kind", "size"))


def test_a_model_that_fails_is_named():
    with pytest.raises(ValueError, match="missing or infinite"):
        ale(lambda X: X[:, 0] * np.nan, gaussians(30), 0)
    with pytest.raises(ValueError, match="one row per input row"):
        ale(lambda X: X[:3, 0], gaussians(30), 0)


# results and pictures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        lambda X: partial_dependence(mixed_model, X, "size", n_resamples=20),
        lambda X: partial_dependence(mixed_model, X, "kind"),
        lambda X: partial_dependence(mixed_model, X, ("size", "rooms"), grid=5),
        lambda X: partial_dependence(mixed_model, X, ("kind", "rooms"), grid=5),
        lambda X: ice(mixed_model, X, "size", kind="centred"),
        lambda X: ice(mixed_model, X, "size", kind="derivative"),
        lambda X: ale(mixed_model, X, "size", n_resamples=20),
        lambda X: ale(mixed_model, X, "rooms", discrete=True, n_resamples=20),
        lambda X: ale(mixed_model, X, "kind"),
        lambda X: ale(mixed_model, X, ("size", "rooms"), bins=6),
    ],
)
def test_every_effect_has_a_frame_and_a_labelled_picture(result):
    effect = result(mixed())
    frame = effect.to_frame()
    assert len(frame) == effect.values.size
    assert ("lower" in frame) == (effect.lower is not None)
    ax = effect.plot()
    assert ax.get_xlabel() == effect.names[0]
    assert ax.get_ylabel() in {"prediction", "change of the prediction", "slope of the prediction", effect.names[-1]}
    assert "Effect(" in repr(effect)
    mpl.pyplot.close(ax.figure)


def test_public_names_are_documented():
    for name in ("partial_dependence", "ice", "ale", "h_statistic", "grid_points", "level_order"):
        assert "Taught in chapter 3" in getattr(effects, name).__doc__ or name == "grid_points"


def test_scaling_inside_a_pipeline_does_not_matter():
    X = gaussians(200)
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, X @ [3.0, 1.0, 0.0])
    result = ale(predictor(model), pd.DataFrame(X, columns=["a", "b", "c"]).to_numpy(), 0, bins=8)
    np.testing.assert_allclose(np.diff(result.values) / np.diff(result.grid[0]), 3.0, atol=1e-9)
