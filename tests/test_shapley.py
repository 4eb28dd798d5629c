"""Shapley values against closed forms, all orders, definitions written out slowly, and their own claims about their errors."""

from __future__ import annotations

import math
from functools import cache
from itertools import permutations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from xailib import predictor, shapley, worlds
from xailib.text import split_words
from xailib.worlds import toys

mpl.use("Agg")
GAMES = [toys.glove(), toys.airport(), toys.weighted_majority(), toys.unanimity((0, 2), 5), toys.switches()]
BY_NAME = pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
ESTIMATORS = {
    "exact": shapley.exact,
    "permutation": lambda *a, **k: shapley.permutation(*a, n_permutations=20, **k),
    "kernel": lambda *a, **k: shapley.kernel(*a, n_coalitions=28, **k),
}


def wavy(X):
    """Not additive, every column matters, interactions of three."""
    X = np.asarray(X, dtype=float)
    return np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 0] * X[:, 2] ** 2 + np.abs(X[:, 1]) * X[:, 3] * X[:, 4] - X[:, 5] * X[:, 2]


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 6)), rng.normal(size=(9, 6))


def mixed(n: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kind = pd.Categorical(rng.choice(["flat", "house", "loft"], n), categories=["flat", "house", "loft"])
    rooms, old = rng.integers(1, 6, n), rng.random(n) < 0.3
    return pd.DataFrame({"size": rng.normal(100, 30, n), "rooms": rooms, "kind": kind, "old": old})


def mixed_model(X: pd.DataFrame) -> np.ndarray:
    assert isinstance(X["kind"].dtype, pd.CategoricalDtype)
    assert X["old"].dtype == bool
    level = X["kind"].map({"flat": 0.0, "house": 2.0, "loft": -1.0}).astype(float)
    return np.asarray(X["size"] * (1 + 0.1 * level) + level * X["rooms"] - 30 * X["old"] * X["rooms"])


# the definitions, written out --------------------------------------------------------------------------------------------


def literal_worth(f, x, background, known):
    total = 0.0
    for row in background:
        total += f(np.where(known, x, row)[None])[0]
    return total / len(background)


def literal_shapley(v, p):
    shares = np.zeros(p)
    for order in permutations(range(p)):
        for i, j in enumerate(order):
            shares[j] += v({*order[: i + 1]}) - v({*order[:i]})
    return shares / math.factorial(p)


def literal_owen(v, unions):
    """All orders in which the members of a union stand together."""
    p = sum(map(len, unions))
    together = [
        order for order in permutations(range(p)) if all(np.ptp([order.index(j) for j in u]) == len(u) - 1 for u in unions)
    ]
    shares = np.zeros(p)
    for order in together:
        for i, j in enumerate(order):
            shares[j] += v({*order[: i + 1]}) - v({*order[:i]})
    return shares / len(together)


def literal_interaction(v, p, i, j):
    others = [k for k in range(p) if k not in (i, j)]
    total = 0.0
    for mask in range(2 ** len(others)):
        S = {k for b, k in enumerate(others) if mask >> b & 1}
        weight = math.factorial(len(S)) * math.factorial(p - len(S) - 2) / math.factorial(p - 1)
        total += weight * (v(S | {i, j}) - v(S | {i}) - v(S | {j}) + v(S))
    return total


def game_of(f, x, background):
    """Set of known columns -> worth; each is computed once."""

    @cache
    def worth(known):
        return literal_worth(f, x, background, np.isin(np.arange(len(x)), list(known)))

    return lambda S: worth(frozenset(S))


# games ---------------------------------------------------------------------------------------------------------------------


@BY_NAME
def test_games_have_their_closed_form(game):
    p = len(game.players)
    for result in (shapley.of_game(game.worth, p, players=game.players), shapley.brute_force(game.worth, p)):
        np.testing.assert_allclose(result.values, game.shapley, atol=1e-12)
        assert abs(result.efficiency_gap()) < 1e-12
    assert shapley.of_game(game.worth, p, players=game.players).feature_names == list(game.players)


def test_games_of_the_literature_in_numbers():
    for game, expected in zip(GAMES, [[1, 1, 4], [2, 5, 11], [3, 1, 1, 1], [3, 0, 3, 0, 0], [0, 0]], strict=True):
        np.testing.assert_allclose(6 * shapley.of_game(game.worth, len(expected)).values, expected, atol=1e-12)


def test_several_games_at_once():
    both = shapley.of_game(lambda S: np.column_stack([S.all(axis=1), S.any(axis=1)]), 3)
    np.testing.assert_allclose(both.values, np.full((2, 3), 1 / 3))
    np.testing.assert_array_equal(both.base_value, [0, 0])


def random_worths(p, seed, k=1):
    return np.random.default_rng(seed).normal(size=(2**p, k))


def as_worth(table):
    """A game from a table of worths, players as bits, the last player the lowest."""
    return lambda S: table[S @ (2 ** np.arange(S.shape[1])[::-1])]


@given(p=st.integers(1, 6), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_axioms_on_random_games(p, seed):
    u, w = random_worths(p, seed), random_worths(p, seed + 1)
    share = {name: shapley.of_game(as_worth(t), p).values for name, t in {"u": u, "w": w, "sum": 2 * u - w}.items()}
    np.testing.assert_allclose(share["sum"], 2 * share["u"] - share["w"], atol=1e-12)  # linearity
    assert abs(share["u"].sum() - (u[-1] - u[0])[0]) < 1e-12  # efficiency
    np.testing.assert_allclose(share["u"], shapley.brute_force(as_worth(u), p).values, atol=1e-12)
    # dummy: a new last player who adds 0.7 to everybody
    with_dummy = shapley.of_game(as_worth((u + np.array([0.0, 0.7])).reshape(-1, 1)), p + 1).values
    np.testing.assert_allclose(with_dummy, [*share["u"], 0.7], atol=1e-12)
    # symmetry: a permuted game has permuted shares
    order = np.random.default_rng(seed).permutation(p)
    permuted = shapley.of_game(lambda S: as_worth(u)(S[:, np.argsort(order)]), p).values
    np.testing.assert_allclose(permuted, share["u"][order], atol=1e-12)


@pytest.mark.parametrize("n", [15, 20])
def test_equal_players_get_equal_shares(n):
    np.testing.assert_allclose(shapley.of_game(lambda S: S.sum(axis=1), n).values, np.ones(n), atol=1e-10)


def test_a_game_that_returns_too_little_is_refused():
    with pytest.raises(ValueError, match="8 coalitions in, 7 numbers back"):
        shapley.of_game(lambda S: np.zeros(len(S) - 1), 3)


# models with known values --------------------------------------------------------------------------------------------------


def linear_case(rng):
    w, X, Z = rng.normal(size=5), rng.normal(size=(2, 5)), rng.normal(size=(7, 5))
    return lambda X: X @ w, X, Z, w * (X - Z.mean(axis=0))


def additive_case(rng):
    X, Z = rng.normal(size=(2, 4)), rng.normal(size=(7, 4))
    return lambda X: (X**3).sum(axis=1), X, Z, X**3 - (Z**3).mean(axis=0)


def product_case(rng):
    """Independent background: a full grid."""
    X, a, b = np.array([[2.0, 5.0]]), np.array([0.0, 1.0]), np.array([1.0, 3.0, 5.0])
    Z = np.array([[i, j] for i in a for j in b])
    ma, mb = a.mean(), b.mean()
    x1, x2 = X[0]
    both = (x1 - ma) * (x2 - mb) / 2
    return lambda X: X[:, 0] * X[:, 1], X, Z, [[(x1 - ma) * mb + both, (x2 - mb) * ma + both]]


def min_case(rng):
    return lambda X: X.min(axis=1), np.array([[3.0, 1.0, 2.0]]), np.zeros((1, 3)), [[1 / 3, 1 / 3, 1 / 3]]


def max_case(rng):
    """The airport game."""
    return lambda X: X.max(axis=1), np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 3)), [[1 / 3, 5 / 6, 11 / 6]]


def min_uneven_case(rng):
    """With baseline (0, 1, 0): worth 1 needs the first and the third, whatever the second."""
    return lambda X: X.min(axis=1), np.array([[1.0, 1.0, 1.0]]), np.array([[0.0, 1.0, 0.0]]), [[0.5, 0, 0.5]]


def xor_case(rng):
    return lambda X: (X[:, 0] != X[:, 1]).astype(float), np.ones((1, 2)), np.zeros((1, 2)), [[0, 0]]


def fifteen_case(rng):
    return lambda X: X.sum(axis=1), np.ones((1, 15)), np.zeros((1, 15)), np.ones((1, 15))


CASES = [linear_case, additive_case, product_case, min_case, max_case, min_uneven_case, xor_case, fifteen_case]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_closed_forms(case):
    f, X, Z, expected = case(np.random.default_rng(0))
    np.testing.assert_allclose(shapley.exact(f, X, Z).values, expected, atol=1e-10)
    full = shapley.kernel(f, X, Z, n_coalitions=2**15)
    np.testing.assert_allclose(full.values, expected, atol=1e-8)
    assert full.std_errors is None


@pytest.mark.parametrize("case", [linear_case, additive_case, product_case, fifteen_case], ids=lambda case: case.__name__)
def test_additive_and_pairwise_functions_are_exact_from_the_first_draws(case):
    """Complementary coalitions cancel every interaction of two features."""
    f, X, Z, expected = case(np.random.default_rng(0))
    one_pair = shapley.permutation(f, X, Z, n_permutations=2)
    np.testing.assert_allclose(one_pair.values, expected, atol=1e-10)
    p = X.shape[1]
    least = shapley.kernel(f, X, Z, n_coalitions=min(4 * p, 2**p - 2))
    np.testing.assert_allclose(least.values, expected, atol=1e-10)
    if least.std_errors is not None:
        np.testing.assert_allclose(least.std_errors, 0, atol=1e-8)


@pytest.mark.parametrize("toy", [toys.linear(), toys.additive(), toys.xor()], ids=lambda toy: toy.name)
def test_toys_with_a_population_as_background(toy):
    """Closed forms of the population, met within the sampling error of the background."""
    X, Z = toy.sample(5, 1), toy.sample(4000, 0)
    got, truth = shapley.exact(toy.predict, X, Z), toy.shapley(X)
    assert np.abs(got.values - truth.values).max() < 0.1
    assert np.abs(got.efficiency_gap()).max() < 1e-12


# the general case against the definitions ----------------------------------------------------------------------------------


def test_exact_is_the_average_over_all_orders(task):
    X, Z = task
    result = shapley.exact(wavy, X, Z)
    for i, x in enumerate(X):
        np.testing.assert_allclose(result.values[i], literal_shapley(game_of(wavy, x, Z), 6), atol=1e-12)
    np.testing.assert_allclose(result.base_value, wavy(Z).mean())
    np.testing.assert_allclose(result.prediction, wavy(X))
    assert result.std_errors is None


@pytest.mark.parametrize("groups", [{"a": [0, 3], "b": [5, 1, 2]}, {"a": [4]}, {"all": range(6)}, {}])
def test_owen_is_the_average_over_orders_that_keep_groups_together(task, groups):
    X, Z = task
    unions = [list(g) for g in groups.values()]
    unions += [[j] for j in range(6) if all(j not in u for u in unions)]
    result = shapley.owen(wavy, X, Z, groups)
    np.testing.assert_allclose(result.values[0], literal_owen(game_of(wavy, X[0], Z), unions), atol=1e-12)
    grouped = shapley.exact(wavy, X, Z, groups=groups)
    for name, columns in groups.items():
        share = grouped.values[:, grouped.feature_names.index(name)]
        np.testing.assert_allclose(result.values[:, list(columns)].sum(axis=1), share, atol=1e-12)


def test_owen_with_trivial_groups_is_shapley(task):
    X, Z = task
    plain = shapley.exact(wavy, X, Z).values
    np.testing.assert_allclose(shapley.owen(wavy, X, Z, {"all": list(range(6))}).values, plain, atol=1e-12)
    np.testing.assert_allclose(shapley.owen(wavy, X, Z, {}).values, plain, atol=1e-12)


def test_interactions_are_the_definition(task):
    X, Z = task
    result = shapley.interactions(wavy, X, Z)
    v = game_of(wavy, X[1], Z)
    for i in range(6):
        for j in range(i):
            np.testing.assert_allclose(result.values[1, i, j], literal_interaction(v, 6, i, j), atol=1e-12)
    np.testing.assert_array_equal(result.values, result.values.transpose(0, 2, 1))
    np.testing.assert_allclose(result.shapley_values(), shapley.exact(wavy, X, Z).values, atol=1e-12)
    np.testing.assert_allclose(result.efficiency_gap(), 0, atol=1e-12)
    upper = np.triu(result.values).sum(axis=(1, 2))
    np.testing.assert_allclose(upper, result.prediction - result.base_value, atol=1e-12)


def test_interaction_of_a_product_is_one():
    values = shapley.interactions(lambda X: X[:, 0] * X[:, 1] + 3 * X[:, 2], np.ones((1, 3)), np.zeros((1, 3))).values[0]
    np.testing.assert_allclose(values, [[0, 1, 0], [1, 0, 0], [0, 0, 3]], atol=1e-12)


def test_a_group_is_one_player(task):
    X, Z = task
    result = shapley.exact(wavy, X, Z, groups={"pair": [1, 4]})
    assert result.feature_names == ["x0", "pair", "x2", "x3", "x5"]

    def worth(S):
        known = np.column_stack([S[:, [0]], S[:, [1]], S[:, [2]], S[:, [3]], S[:, [1]], S[:, [4]]])
        return np.array([literal_worth(wavy, X[0], Z, row) for row in known])

    np.testing.assert_allclose(result.values[0], shapley.of_game(worth, 5).values, atol=1e-12)


# metamorphic -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_several_outputs_are_one_output_each(task, name):
    X, Z = task
    both = ESTIMATORS[name](lambda X: np.column_stack([wavy(X), X[:, 0] ** 2]), X, Z)
    assert both.values.shape == (3, 2, 6)
    assert both.base_value.shape == (2,)
    for k, f in enumerate([wavy, lambda X: X[:, 0] ** 2]):
        one, part = ESTIMATORS[name](f, X, Z), both.of_output(k)
        np.testing.assert_allclose(part.values, one.values, atol=1e-12)
        np.testing.assert_allclose(part.prediction, one.prediction)
        if one.std_errors is not None:
            np.testing.assert_allclose(part.std_errors, one.std_errors, atol=1e-10)


def test_interactions_of_several_outputs(task):
    X, Z = task
    both = shapley.interactions(lambda X: np.column_stack([wavy(X), X[:, 0] ** 2]), X, Z)
    assert both.values.shape == (3, 2, 6, 6)
    np.testing.assert_allclose(both.of_output(0).values, shapley.interactions(wavy, X, Z).values, atol=1e-12)
    assert "2 outputs" in repr(both)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_batches_do_not_change_the_numbers(task, name):
    X, Z = task
    more = {} if name == "exact" else {"random_state": 3}
    whole = ESTIMATORS[name](wavy, X, Z, **more)
    for batch_rows in (1, 50, 5000):
        parts = ESTIMATORS[name](wavy, X, Z, batch_rows=batch_rows, **more)
        np.testing.assert_allclose(parts.values, whole.values, atol=1e-12)


def test_processes_do_not_change_the_numbers(task):
    X, Z = task
    two, one = (shapley.kernel(wavy, X, Z, n_coalitions=28, batch_rows=50, n_jobs=n) for n in (2, None))
    np.testing.assert_array_equal(two.values, one.values)
    np.testing.assert_array_equal(two.std_errors, one.std_errors)


@pytest.mark.parametrize("name", ["permutation", "kernel"])
def test_seeds(task, name):
    X, Z = task
    first, again = (ESTIMATORS[name](wavy, X, Z, random_state=1) for _ in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.std_errors, again.std_errors)
    assert (first.values != ESTIMATORS[name](wavy, X, Z, random_state=2).values).any()
    # an instance's draws do not hang on the others
    np.testing.assert_allclose(ESTIMATORS[name](wavy, X[:2], Z, random_state=1).values, first.values[:2], atol=1e-12)


@given(seed=st.integers(0, 10**6), name=st.sampled_from(list(ESTIMATORS)))
@settings(deadline=None, max_examples=25)
def test_values_add_up_and_follow_the_columns(seed, name):
    rng = np.random.default_rng(seed)
    X, Z, order = rng.normal(size=(2, 6)), rng.normal(size=(3, 6)), rng.permutation(6)
    result = ESTIMATORS[name](wavy, X, Z)
    np.testing.assert_allclose(result.efficiency_gap(), 0, atol=1e-12)
    if name == "exact":
        moved = shapley.exact(lambda X: wavy(X[:, np.argsort(order)]), X[:, order], Z[:, order])
        np.testing.assert_allclose(moved.values, result.values[:, order], atol=1e-12)
        scaled = shapley.exact(lambda X: 2 - 3 * wavy(X), X, Z)
        np.testing.assert_allclose(scaled.values, -3 * result.values, atol=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_features_equal_to_the_background_get_zero_and_cost_nothing(task, name):
    X, Z = (np.column_stack([t, np.full(len(t), 5.0), np.full(len(t), 7.0)]) for t in task)
    rows = []

    def f(X):
        rows.append(len(X))
        return wavy(X[:, :6]) * X[:, 6]

    result = shapley.kernel(f, X, Z, n_coalitions=32) if name == "kernel" else ESTIMATORS[name](f, X, Z)
    np.testing.assert_array_equal(result.values[:, 6:], 0)
    if result.std_errors is not None:
        np.testing.assert_array_equal(result.std_errors[:, 6:], 0)
    assert sum(rows) == result.details["n_model_rows"]
    assert (result.details["n_coalitions"] <= 2**6 - 2).all()


def test_nothing_differs_at_all():
    result = shapley.exact(lambda X: X.sum(axis=1), np.ones((2, 3)), np.ones((4, 3)))
    np.testing.assert_array_equal(result.values, np.zeros((2, 3)))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_model_rows_are_counted_and_few_calls_made(task, name):
    X, Z = task
    sizes = []

    def f(X):
        sizes.append(len(X))
        return wavy(X)

    result = ESTIMATORS[name](f, X, Z)
    assert sum(sizes) == result.details["n_model_rows"]
    assert len(sizes) == 2  # the instances with the background, and one batch
    ESTIMATORS[name](f, X, Z, batch_rows=100)
    assert max(sizes[2:]) <= 100


@pytest.mark.parametrize("name", ESTIMATORS)
def test_single_baseline_takes_one_call(task, name):
    X, Z = task
    sizes = []

    def f(X):
        sizes.append(len(X))
        return np.column_stack([wavy(X), X[:, 0]])

    result = ESTIMATORS[name](f, X, Z[:1])
    assert sizes == [result.details["n_model_rows"]]
    np.testing.assert_allclose(result.base_value, f(Z[:1])[0])
    np.testing.assert_allclose(result.prediction, f(X))
    np.testing.assert_allclose(result.efficiency_gap(), 0, atol=1e-9)
    twice = ESTIMATORS[name](f, X, np.repeat(Z[:1], 2, axis=0))
    np.testing.assert_allclose(result.values, twice.values, atol=1e-9)


def test_budget_of_kernel_is_kept(task):
    X, Z = task
    for budget in (24, 25, 30, 41, 60, 61, 62, 500):
        used = shapley.kernel(wavy, X, Z, n_coalitions=budget).details["n_coalitions"]
        assert (used == min(budget - budget % 2, 62)).all()


@pytest.mark.parametrize("d", [5, 6, 9, 12, 31, 60, 200])
def test_coalitions_of_kernel_are_different_pairs(d):
    for budget in (4 * d, 4 * d + 7, 10 * d, 1200):
        S = shapley._kernel_plan(d, budget, np.random.default_rng(0))[0]
        assert len(np.unique(S, axis=0)) == len(S)
        if budget < 2**d - 2:
            assert len(S) == 2 + budget // 2 * 2
            inner = S[1:-1]
            np.testing.assert_array_equal(inner[: len(inner) // 2], ~inner[len(inner) // 2 :])
            assert (inner.sum(axis=1) == 1).sum() == d  # the smallest size is always complete


@pytest.mark.parametrize("d", [1, 3, 62, 63, 100])
def test_distinct_coalitions_keep_their_places(d):
    rng = np.random.default_rng(d)
    some = rng.random((30, d)) < 0.5
    given = np.concatenate([some, np.ones((1, d), bool), some, np.zeros((2, d), bool)])
    rows, place = shapley._distinct(given)
    np.testing.assert_array_equal(rows[place], given)
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert not rows[0].any()
    assert rows[-1].all()


def test_draws_of_one_size_are_all_equally_likely():
    for d, size, n in [(6, 3, 4), (30, 15, 3)]:
        rng, count = np.random.default_rng(0), np.zeros(d)
        for _ in range(3000):
            S = shapley._draw_subsets(d, size, n, rng)
            assert (S.sum(axis=1) == size).all()
            count += S.sum(axis=0)
        share = count / (3000 * n)
        assert share[0] == 1
        np.testing.assert_allclose(share[1:], (size - 1) / (d - 1), atol=0.03)


# tables ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_mixed_tables_keep_their_types(name):
    table = mixed()
    X, Z = table[:4], table[20:35]
    more = {"n_coalitions": 14} if name == "kernel" else {}
    run = shapley.kernel if name == "kernel" else ESTIMATORS[name]
    result = run(mixed_model, X, Z, **more)
    assert result.feature_names == ["size", "rooms", "kind", "old"]
    np.testing.assert_allclose(result.efficiency_gap(), 0, atol=1e-10)
    if name == "exact":
        codes = lambda T: T.assign(kind=T["kind"].cat.codes).to_numpy(float)  # noqa: E731
        kinds = table["kind"].cat.categories

        def numeric(A):
            T = pd.DataFrame(A, columns=table.columns)
            kind = pd.Categorical.from_codes(T["kind"].astype(int), categories=kinds)
            return mixed_model(T.assign(kind=kind, old=T["old"].astype(bool)))

        np.testing.assert_allclose(result.values, shapley.exact(numeric, codes(X), codes(Z)).values, atol=1e-10)


def test_frames_and_arrays_agree(task):
    X, Z = task
    names = list("abcdef")
    frames = shapley.exact(wavy, pd.DataFrame(X, columns=names, index=[7, 8, 9]), pd.DataFrame(Z, columns=names))
    np.testing.assert_array_equal(frames.values, shapley.exact(wavy, X, Z).values)
    by_name = shapley.exact(wavy, pd.DataFrame(X, columns=names), pd.DataFrame(Z, columns=names), groups={"g": ["b", "e"]})
    np.testing.assert_array_equal(by_name.values, shapley.exact(wavy, X, Z, groups={"g": [1, 4]}).values)


def test_a_pipeline_with_categories():
    table = mixed(200)
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(table, mixed_model(table))
    X, Z = table[:3], table[50:90]
    result = shapley.exact(predictor(model), X, Z)
    slope = dict(zip(encode.get_feature_names_out(), model[-1].coef_, strict=True))
    np.testing.assert_allclose(result.values[:, 0], slope["remainder__size"] * (X["size"] - Z["size"].mean()), atol=1e-9)


def test_input_is_left_alone(task):
    X, Z = (t.copy() for t in task)
    frame, other = mixed(5), mixed(8, seed=1)
    before = X.copy(), Z.copy(), frame.copy(), other.copy()
    for array in (X, Z):
        array.setflags(write=False)
    for run in (*ESTIMATORS.values(), shapley.interactions):
        run(wavy, X, Z)
    shapley.exact(mixed_model, frame, other)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Z, before[1])
    pd.testing.assert_frame_equal(frame, before[2])
    pd.testing.assert_frame_equal(other, before[3])


def test_columns_must_match():
    table = mixed()
    with pytest.raises(ValueError, match="same order"):
        shapley.exact(mixed_model, table[:2], table[["rooms", "size", "kind", "old"]])
    with pytest.raises(TypeError, match="both be DataFrames"):
        shapley.exact(wavy, table[:2], np.ones((2, 4)))
    with pytest.raises(ValueError, match="4 columns of X"):
        shapley.exact(wavy, np.ones((2, 4)), np.ones((2, 5)))
    with pytest.raises(TypeError, match="levels"):
        shapley.exact(mixed_model, table[:2], table.assign(kind=pd.Categorical(["hut"] * 60)))


def test_hopeless_enumeration_is_refused_with_the_bill():
    X = np.ones((1, 25))
    with pytest.raises(ValueError, match=r"25 players.*3\.4e\+08 model rows.*kernel or shapley.permutation"):
        shapley.exact(lambda X: X.sum(axis=1), X, np.zeros((10, 25)))
    with pytest.raises(ValueError, match="24 players"):
        shapley.owen(lambda X: X.sum(axis=1), X, 0 * X, {"a": [0, 1], "b": list(range(2, 5))})
    # 25 features in few groups are no problem
    groups = {f"g{k}": list(range(5 * k, 5 * k + 5)) for k in range(5)}
    values = shapley.owen(lambda X: X.sum(axis=1), X, 0 * X, groups).values
    np.testing.assert_allclose(values, np.ones((1, 25)), atol=1e-10)


# value functions ---------------------------------------------------------------------------------------------------------------


def test_every_result_names_its_estimand(task):
    X, Z = task
    many, one = "marginal over 9 background rows", "single baseline"
    assert shapley.exact(wavy, X, Z).method == f"exact Shapley, {many}"
    assert shapley.exact(wavy, X, Z[:1]).method == f"exact Shapley, {one}"
    assert shapley.kernel(wavy, X, Z, n_coalitions=30).method == f"kernel Shapley, {many}, 30 coalitions"
    assert shapley.kernel(wavy, X, Z).method == f"kernel Shapley, {many}, all coalitions"
    assert shapley.permutation(wavy, X, Z, n_permutations=6).method == f"permutation Shapley, {many}, 6 permutations"
    assert shapley.owen(wavy, X, Z, {}).method == f"exact Owen values, {many}"
    assert shapley.interactions(wavy, X, Z[:1]).method == f"exact pairwise Shapley interactions, {one}"
    normal = shapley.GaussianConditional(np.random.default_rng(0).normal(size=(50, 6)), n_draws=20)
    assert shapley.exact(wavy, X, normal).method == "exact Shapley, conditional (normal, 20 draws)"
    near = shapley.NeighbourConditional(Z, n_neighbours=3)
    assert shapley.exact(wavy, X, near).method == "exact Shapley, conditional (3 nearest of 9 background rows)"
    assert [shapley.exact(wavy, X, b).details["estimand"] for b in (Z, Z[:1], near)] == ["marginal", one, "conditional"]


def test_marginal_rows_are_known_values_over_background_values(task):
    X, Z = task
    masks = np.random.default_rng(1).random((4, 6)) < 0.5
    rows = shapley.Marginal(Z).rows(X, [2, 0, 0, 1], masks)
    expected = [np.where(mask, X[i], z) for i, mask in zip([2, 0, 0, 1], masks, strict=True) for z in Z]
    np.testing.assert_array_equal(rows, expected)


def correlated(n=4000, rho=0.7, seed=0):
    z = np.random.default_rng(seed).standard_normal((n, 3))
    return np.column_stack([z[:, 0], rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1], z[:, 2] + 2])


def test_conditional_values_of_a_linear_function_are_the_normal_formula():
    Z, w = correlated(), np.array([1.0, 0.0, -2.0])
    normal = shapley.GaussianConditional(Z, n_draws=10)
    X = np.array([[1.0, -0.5, 3.0], [0.3, 2.0, 0.0]])
    got = shapley.exact(lambda X: X @ w, X, normal)
    mean, C = Z.mean(axis=0), np.cov(Z.T)

    def worth(x):
        def v(S):
            filled = []
            for known in S:
                full = mean.copy()
                if known.any():
                    slopes = C[:, known] @ np.linalg.inv(C[np.ix_(known, known)])
                    full += slopes @ (x - mean)[known]
                full[known] = x[known]
                filled.append(full @ w)
            return np.array(filled)

        return v

    for x, values in zip(X, got.values, strict=True):
        np.testing.assert_allclose(values, shapley.of_game(worth(x), 3).values, atol=1e-10)
    assert abs(got.values[0, 1]) > 0.1  # the model does not read it: its value is what it tells about the first
    np.testing.assert_allclose(shapley.exact(lambda X: X @ w, X, Z).values[:, 1], 0, atol=1e-12)


def test_conditional_worth_of_a_product_is_exact():
    """E[x1 x2 | x1] = x1 E[x2 | x1] and E[x1 x2] = cov + means: the draws match mean and covariance."""
    Z = correlated(200)
    normal = shapley.GaussianConditional(Z, n_draws=8)
    mean, C = Z.mean(axis=0), np.cov(Z.T)
    product = lambda X: X[:, 0] * X[:, 1]  # noqa: E731
    assert abs(product(normal.base_rows()).mean() - (C[0, 1] * 199 / 199 + mean[0] * mean[1])) < 1e-12
    X = np.array([[1.5, 0.2, 0.0]])
    rows = normal.rows(X, [0], np.array([[True, False, False]]))
    expected = 1.5 * (mean[1] + C[0, 1] / C[0, 0] * (1.5 - mean[0]))
    assert abs(product(rows).mean() - expected) < 1e-12


def test_conditional_draws_have_the_conditional_covariance():
    Z = correlated(500)
    normal = shapley.GaussianConditional(Z, n_draws=50)
    known = np.array([False, True, False])
    rows = normal.rows(np.array([[9.0, 1.0, 9.0]]), [0], known[None])
    C = np.cov(Z.T)
    A, B = np.ix_(~known, ~known), np.ix_(~known, known)
    schur = C[A] - C[B] @ np.linalg.inv(C[np.ix_(known, known)]) @ C[B].T
    np.testing.assert_allclose(np.cov(rows[:, ~known].T, ddof=0), schur, atol=1e-10)
    np.testing.assert_array_equal(rows[:, 1], 1.0)


def test_conditional_with_a_constant_and_a_doubled_column():
    Z = correlated(100)
    Z = np.column_stack([Z, np.ones(100), Z[:, 0]])
    normal = shapley.GaussianConditional(Z)
    result = shapley.exact(lambda X: X[:, 0], Z[:2], normal)
    np.testing.assert_allclose(result.efficiency_gap(), 0, atol=1e-10)
    np.testing.assert_allclose(result.values[:, 0], result.values[:, 4], atol=1e-8)  # a copy tells as much as the original
    np.testing.assert_array_equal(result.values[:, 3], 0)


def test_all_neighbours_are_the_marginal_values(task):
    X, Z = task
    near = shapley.NeighbourConditional(Z, n_neighbours=9)
    np.testing.assert_allclose(shapley.exact(wavy, X, near).values, shapley.exact(wavy, X, Z).values, atol=1e-12)


def test_neighbours_are_the_nearest_in_the_known_columns():
    table = mixed(40)
    near = shapley.NeighbourConditional(table, n_neighbours=4)
    X = mixed(3, seed=5)
    known = np.array([[True, False, True, False]])
    rows = near.rows(X, [1], known)
    distance = ((table["size"] - X["size"][1]) / table["size"].std(ddof=0)) ** 2 + (table["kind"] != X["kind"][1])
    expected = table.iloc[np.argsort(distance.to_numpy(), kind="stable")[:4]]
    np.testing.assert_array_equal(np.sort(rows["rooms"]), np.sort(expected["rooms"]))
    assert (rows["size"] == X["size"][1]).all()
    assert rows["kind"].dtype == table["kind"].dtype


def test_a_copied_feature_shares_when_conditional():
    """f reads the first of two equal features: marginal gives it all, conditional half."""
    Z = np.repeat(np.random.default_rng(0).normal(size=(400, 1)), 2, axis=1)
    X = np.array([[1.0, 1.0]])
    marginal = shapley.exact(lambda X: X[:, 0], X, Z).values[0]
    conditional = shapley.exact(lambda X: X[:, 0], X, shapley.NeighbourConditional(Z, n_neighbours=5)).values[0]
    assert marginal[1] == 0
    np.testing.assert_allclose(conditional, marginal.sum() / 2, atol=0.05)


# sampling error ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hard():
    """Nine features, interactions of three and more, and the exact values."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=2**9).reshape(-1, 1)
    codes = 2 ** np.arange(9)[::-1]
    f = lambda X: 5 * X[:, 0] + X[:, 1] * X[:, 2] + table[(X > 0.5) @ codes, 0] * 0.3  # noqa: E731
    X, Z = np.ones((1, 9)), np.zeros((1, 9))
    return f, X, Z, shapley.exact(f, X, Z).values[0]


def draws(run, n, hard):
    """Values and standard errors of n independent runs, (n, p) each: many equal instances, each with its own draws."""
    f, X, Z, _ = hard
    result = run(f, np.repeat(X, n, axis=0), Z)
    return result.values, result.std_errors


RUNS = {
    "permutation": lambda n: lambda *a, **k: shapley.permutation(*a, n_permutations=n, **k),
    "kernel": lambda n: lambda *a, **k: shapley.kernel(*a, n_coalitions=n, **k),
}


@pytest.mark.parametrize(("name", "n"), [("permutation", 2), ("permutation", 20), ("kernel", 150)])
def test_unbiased_within_four_standard_errors_over_200_seeds(hard, name, n):
    values, _ = draws(RUNS[name](n), 200, hard)
    z = (values.mean(axis=0) - hard[3]) / (values.std(axis=0, ddof=1) / np.sqrt(200))
    assert np.abs(z).max() < 4


@pytest.mark.parametrize(("name", "few", "many"), [("permutation", 10, 160), ("kernel", 40, 160)])
def test_error_falls_like_one_over_the_root(hard, name, few, many):
    """Kernel draws without replacement and covers sizes in full, so its error falls faster, never slower."""
    error = [np.sqrt(np.mean((draws(RUNS[name](n), 300, hard)[0] - hard[3]) ** 2)) for n in (few, many)]
    slope = np.log(error[1] / error[0]) / np.log(many / few)
    if name == "permutation":
        assert abs(slope + 0.5) < 0.06
    else:
        assert slope < -0.5


COVERAGE = [("permutation", 40), ("permutation", 200), ("kernel", 60), ("kernel", 100), ("kernel", 300)]


def coverage(hard, name, n, repeats):
    values, errors = draws(RUNS[name](n), repeats, hard)
    return (np.abs(values - hard[3]) < 1.96 * errors).mean(axis=0)


@pytest.mark.parametrize(("name", "n"), COVERAGE)
def test_standard_errors_are_honest_in_small(hard, name, n):
    assert 0.92 < coverage(hard, name, n, 300).mean() < 0.98


@pytest.mark.full
@pytest.mark.parametrize(("name", "n"), COVERAGE)
def test_standard_errors_are_honest(hard, name, n):
    """95 % intervals, 2,000 repetitions."""
    assert 0.93 < coverage(hard, name, n, 2000).mean() < 0.97


@pytest.mark.full
@pytest.mark.parametrize(("name", "n"), [("permutation", 60), ("kernel", 100), ("kernel", 400)])
def test_standard_errors_are_honest_for_a_model(name, n):
    """A boosted model, 12 features, a background of 20 rows; 2,000 repetitions from a table of all worths."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(1500, 12))
    y = wavy(data[:, :6]) + data[:, 6] * data[:, 7] * data[:, 8] + data[:, 9:].sum(axis=1)
    f = HistGradientBoostingRegressor(random_state=0).fit(data, y).predict
    masks = shapley._all_coalitions(12)
    v = f(shapley.Marginal(data[:20]).rows(data[-1:], np.zeros(len(masks), int), masks)).reshape(-1, 20).mean(axis=1)
    play = lambda X: v[(X > 0.5) @ 2 ** np.arange(12)[::-1]]  # noqa: E731
    one = (play, np.ones((1, 12)), np.zeros((1, 12)))
    exact = shapley.exact(*one).values[0]
    share = coverage((*one, exact), name, n, 2000)
    assert 0.93 < share.mean() < 0.97
    assert (share > 0.91).all()


def test_one_pair_states_no_error_and_all_orders_none(task):
    X, Z = task
    assert np.isnan(shapley.permutation(wavy, X, Z, n_permutations=2).std_errors).all()
    every = shapley.permutation(wavy, X, Z, n_permutations=720)
    assert every.std_errors is None
    np.testing.assert_allclose(every.values, shapley.exact(wavy, X, Z).values, atol=1e-12)


def test_full_budget_equals_exact_on_a_model():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(300, 6))
    model = RandomForestClassifier(20, random_state=0).fit(data, np.digitize(wavy(data), [-1, 1]))
    X, Z, f = data[:4], data[100:130], predictor(model)
    exact = shapley.exact(f, X, Z)
    assert exact.values.shape == (4, 3, 6)
    np.testing.assert_allclose(shapley.kernel(f, X, Z, n_coalitions=62).values, exact.values, atol=1e-8)
    np.testing.assert_allclose(exact.values.sum(axis=1), 0, atol=1e-12)  # probabilities sum to one


def test_regression_of_all_subsets_is_exact():
    """The least squares of kernel itself, fed with everything, not the shortcut for full budgets."""
    for d in (5, 6, 9):
        v = random_worths(d, d, k=2)
        S = np.concatenate([shapley._subsets(d, size) for size in range(1, d // 2 + 1)])
        code = 2 ** np.arange(d)[::-1]
        u = (v[S @ code] - v[~S @ code]) / 2
        n_all = np.array([shapley._n_pairs(d, s) for s in range(1, d // 2 + 1)])
        values, errors = shapley._regression_shares(S, u, v[-1] - v[0], n_all)
        np.testing.assert_allclose(values, shapley.of_game(as_worth(v), d).values, atol=1e-8)
        np.testing.assert_array_equal(errors, 0)


def test_many_players(task):
    """Sixty features, few coalitions: unbiased where it matters, within the stated errors."""
    rng = np.random.default_rng(0)
    X, Z, w = np.ones((40, 60)), np.zeros((1, 60)), rng.normal(size=60)
    f = lambda X: X @ w + 3 * X[:, 0] * X[:, 1] * X[:, 2]  # noqa: E731
    expected = w + np.array([1.0] * 3 + [0.0] * 57)
    for result in (shapley.kernel(f, X, Z, n_coalitions=240), shapley.permutation(f, X, Z, n_permutations=10)):
        z = (result.values.mean(axis=0) - expected) / (result.values.std(axis=0, ddof=1) / np.sqrt(40) + 1e-9)
        assert np.abs(z).max() < 4.5


# text --------------------------------------------------------------------------------------------------------------------------


def spam(texts):
    return np.array([2.0 * ("win" in t) + ("prize" in t) * ("now" in t) - 0.5 * ("friend" in t) for t in texts])


def test_words_of_a_text():
    first, second = shapley.text(spam, ["Win a prize now", "win, friend, a prize now"])
    assert first.feature_names == ["Win", "a", "prize", "now"]
    np.testing.assert_allclose(first.values, [[0, 0, 0.5, 0.5]], atol=1e-12)
    np.testing.assert_allclose(second.values, [[2, -0.5, 0, 0.5, 0.5]], atol=1e-12)
    assert first.method == "exact Shapley, absent words deleted"
    assert first.std_errors is None
    np.testing.assert_allclose(second.efficiency_gap(), 0, atol=1e-12)


def test_long_texts_are_sampled():
    long = "friend " + " ".join(f"word{j}" for j in range(20)) + " win a prize now"
    result = shapley.text(spam, [long, "win"], n_coalitions=200)[0]
    assert result.method == "kernel Shapley, absent words deleted, 200 coalitions"
    values = dict(zip(result.feature_names, result.values[0], strict=True))
    for word, value in {"friend": -0.5, "win": 2.0, "prize": 0.5, "now": 0.5, "word3": 0.0}.items():
        assert abs(values[word] - value) < 1e-9
    assert result.std_errors.shape == (1, 25)
    two = shapley.text(lambda t: np.column_stack([spam(t), -spam(t)]), [long], n_coalitions=200)[0]
    assert two.values.shape == (1, 2, 25)
    np.testing.assert_allclose(two.of_output(0).values, result.values, atol=1e-12)


def test_more_subsets_than_a_float_can_count():
    X = np.ones((1, 1100))
    many = shapley.kernel(lambda X: X.sum(axis=1), X, 0 * X, n_coalitions=4400)
    np.testing.assert_allclose(many.values, X, atol=1e-8)


def test_words_of_mails_with_known_shares():
    world = worlds.messages()
    mails = [mail for mail in world.test[0] if len(split_words(mail)) <= 11][:8]
    assert len(mails) == 8
    for mail, found in zip(mails, shapley.text(world.truth.log_odds, mails, n_coalitions=2046), strict=True):
        truth = world.truth.shapley(mail)
        assert found.feature_names == truth.feature_names
        np.testing.assert_allclose(found.values[0], truth.values, atol=1e-10)
        assert abs(found.base_value - truth.base_value) < 1e-10


def test_text_of_one_word():
    np.testing.assert_allclose(shapley.text(spam, ["win"])[0].values, [[2.0]])


# results ----------------------------------------------------------------------------------------------------


def test_interactions_result(task):
    X, Z = task
    result = shapley.interactions(wavy, X, Z)
    frame = result.to_frame()
    assert list(frame.columns) == ["instance", "feature", "other", "value"]
    assert len(frame) == 3 * 21
    own = frame[frame["instance"] == 1]
    assert (np.diff(own["value"].abs()) <= 0).all()
    np.testing.assert_allclose(own["value"].sum(), result.prediction[1] - result.base_value, atol=1e-12)
    assert "x0 x x" in repr(result)
    assert "exact pairwise" in repr(result)
    ax = result.plot(row=2)
    assert len(ax.texts) == 36
    both = shapley.interactions(lambda X: np.column_stack([wavy(X), wavy(X)]), X, Z)
    assert list(both.to_frame().columns) == ["instance", "output", "feature", "other", "value"]
    with pytest.raises(ValueError, match="of_output"):
        both.plot()
    with pytest.raises(ValueError, match="several outputs"):
        result.of_output(0)


def test_attribution_plots(task):
    X, Z = task
    assert shapley.exact(wavy, X, Z).plot(row=1).get_xlabel()
    assert shapley.of_game(lambda S: S.all(axis=1), 3, players=["a", "b", "c"]).plot().get_yticklabels()[0].get_text() in "abc"
