"""Toys: every closed form against its definition, by simulation or by enumeration."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib.worlds import toys

COVARIANCE = [[1.0, 0.6, 0.0], [0.6, 2.0, -0.5], [0.0, -0.5, 1.5]]
TOYS = {
    "linear": toys.linear(),
    "correlated linear": toys.linear((2.0, -1.0, 0.5), COVARIANCE),
    "redundant pair": toys.redundant_pair(),
    "suppressor": toys.suppressor(),
    "additive": toys.additive(0.7),
    "xor": toys.xor(),
    "product": toys.gaussian_product(0.7),
    "independent product": toys.gaussian_product(0.0),
    "negative product": toys.gaussian_product(-0.5),
}
GAMES = {
    "glove": toys.glove(),
    "airport": toys.airport(),
    "unsorted airport": toys.airport((3.0, 0.0, 2.5, 3.0)),
    "majority": toys.weighted_majority(),
    "unanimity": toys.unanimity((0, 2), 4),
    "switches": toys.switches(),
}
N = 400_000
every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
every_game = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)


def close(sample: np.ndarray, target: float) -> bool:
    """Within five standard errors of the sample's mean."""
    return abs(sample.mean() - target) <= 5 * sample.std() / np.sqrt(len(sample)) + 1e-9


# --- data toys --------------------------------------------------------------------------------------------------------


@every_toy
def test_mean(toy):
    assert close(toy.predict(toy.sample(N)), toy.mean)


@every_toy
def test_permutation_importance_is_the_rise_of_the_squared_error(toy):
    X, fresh = toy.sample(N, 1), toy.sample(N, 2)
    groups = [[j] for j in range(toy.n_features)] + [list(range(toy.n_features))]
    for group in groups:
        shuffled = X.copy()
        shuffled[:, group] = fresh[:, group]
        assert close((toy.predict(X) - toy.predict(shuffled)) ** 2, toy.permutation_importance(*group)), group


@every_toy
def test_pdp_is_the_mean_with_the_feature_set(toy):
    X, grid = toy.sample(N), np.array([0.0, 1.0])
    for j in range(toy.n_features):
        for x, target in zip(grid, toy.pdp(j, grid), strict=True):
            forced = X.copy()
            forced[:, j] = x
            assert close(toy.predict(forced), target), (j, x)


@pytest.mark.parametrize("name", [name for name in TOYS if name != "xor"])
def test_ale_is_the_accumulated_conditional_slope(name):
    toy, step = TOYS[name], 1e-3
    X = toy.sample(N)
    for j in range(toy.n_features):
        up, down = X.copy(), X.copy()
        up[:, j] += step
        down[:, j] -= step
        slope = (toy.predict(up) - toy.predict(down)) / (2 * step)
        for x in (-1.0, 0.0, 0.5):
            near = np.abs(X[:, j] - x) < 0.05
            want = (toy.ale(j, [x + step]) - toy.ale(j, [x - step])) / (2 * step)
            # the window is symmetric but its density is not: that shifts a slope of at most 2 per unit by under 0.01
            error = 5 * slope[near].std() / np.sqrt(near.sum()) + 0.01
            assert abs(slope[near].mean() - want[0]) < error, (j, x)


def test_ale_of_xor_is_the_mean_jump_between_its_levels():
    X = toys.xor().sample(N)
    for j in range(2):
        low, high = X.copy(), X.copy()
        low[:, j], high[:, j] = 0, 1
        jump = toys.xor().ale(j, [0, 1])
        assert close(toys.xor().predict(high) - toys.xor().predict(low), jump[1] - jump[0])


@every_toy
def test_ale_is_centred_over_the_population(toy):
    X = toy.sample(N)
    for j in range(toy.n_features):
        assert close(toy.ale(j, X[:, j]), 0)


@every_toy
def test_shapley_values_equal_enumeration_over_a_large_background(toy):
    background, rows = toy.sample(60_000, 3), toy.sample(2, 4)
    got = toy.shapley(rows)
    for i, row in enumerate(rows):

        def worth(coalitions: np.ndarray, row: np.ndarray = row) -> np.ndarray:
            return np.array([toy.predict(np.where(S, row, background)).mean() for S in coalitions])

        want = toys.exact_shapley(worth, toy.n_features)
        # six standard errors of the background's mean, times the largest scale among the coalitions
        scale = max(toy.predict(np.where(S, row, background)).std() for S in np.eye(toy.n_features, dtype=bool))
        scale = max(scale, toy.predict(background).std())
        np.testing.assert_allclose(got.values[i], want, atol=6 * scale / np.sqrt(len(background)))


@every_toy
def test_shapley_values_are_efficient(toy):
    np.testing.assert_allclose(toy.shapley(toy.sample(100)).efficiency_gap(), 0, atol=1e-12)


def test_gaussian_draws_have_the_asked_covariance():
    X = TOYS["correlated linear"].sample(N)
    np.testing.assert_allclose(np.cov(X.T), COVARIANCE, atol=0.02)
    np.testing.assert_allclose(np.ptp(toys.redundant_pair().sample(100), axis=1), 0, atol=1e-12)


def test_suppressor_needs_a_feature_that_is_uncorrelated_with_its_output():
    toy = toys.suppressor()
    X = toy.sample(N)
    assert abs(np.corrcoef(X[:, 1], toy.predict(X))[0, 1]) < 5 / np.sqrt(N)
    assert toy.permutation_importance(1) == 2


def test_published_numbers():
    assert [toys.linear((3.0, 1.0)).permutation_importance(j) for j in (0, 1)] == [18, 2]
    group = toys.linear((2.0, -1.0), [[1.0, 0.5], [0.5, 1.0]]).permutation_importance(0, 1)
    assert group == pytest.approx(2 * (4 + 1 - 2))
    np.testing.assert_allclose(toys.gaussian_product(0.9).ale(0, [-1, 1, 3]), [0, 0, 3.6])
    np.testing.assert_array_equal(toys.gaussian_product(0.9).pdp(1, [-1, 1, 3]), 0)


def test_same_seed_same_sample():
    toy = toys.additive()
    np.testing.assert_array_equal(toy.sample(5, 3), toy.sample(5, np.random.default_rng(3)))
    assert (toy.sample(5, 3) != toy.sample(5, 4)).any()


# --- games ------------------------------------------------------------------------------------------------------------


def average_over_orders(game: toys.Game) -> np.ndarray:
    """Shapley values from their first definition: the mean gain over all orders of arrival."""
    p = len(game.players)
    gains = np.zeros(p)
    orders = list(permutations(range(p)))
    for order in orders:
        present = np.zeros(p, dtype=bool)
        for player in order:
            before = game.value(present)
            present[player] = True
            gains[player] += game.value(present) - before
    return gains / len(orders)


@every_game
def test_stated_shares_are_the_average_over_all_orders(game):
    np.testing.assert_allclose(game.shapley, average_over_orders(game), atol=1e-12)


@every_game
def test_nobody_earns_nothing_and_the_shares_add_up(game):
    p = len(game.players)
    assert game.value(np.zeros(p, dtype=bool)) == 0
    assert game.shapley.sum() == pytest.approx(game.value(np.ones(p, dtype=bool)))


def test_published_shares():
    np.testing.assert_allclose(toys.glove().shapley, [1 / 6, 1 / 6, 2 / 3])
    np.testing.assert_allclose(toys.airport((1, 2, 3)).shapley, [1 / 3, 5 / 6, 11 / 6])
    np.testing.assert_allclose(toys.weighted_majority(4, (3, 2, 1, 1)).shapley, [1 / 2, 1 / 6, 1 / 6, 1 / 6])
    np.testing.assert_allclose(toys.unanimity((1, 2, 3), 5).shapley, [0, 1 / 3, 1 / 3, 1 / 3, 0])


@given(seed=st.integers(0, 2**32 - 1), p=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_exact_shapley_equals_the_average_over_orders_on_random_games(seed, p):
    table = np.random.default_rng(seed).normal(size=2**p)
    table[0] = 0
    game = toys.Game("random", tuple(map(str, range(p))), lambda S: table[S @ (1 << np.arange(p))], np.zeros(p))
    np.testing.assert_allclose(toys.exact_shapley(game.value, p), average_over_orders(game), atol=1e-10)


def test_exact_shapley_takes_many_games_at_once():
    def worth(S: np.ndarray) -> np.ndarray:
        return np.column_stack([S[:, 0] * 2.0, S.all(axis=1)])

    np.testing.assert_allclose(toys.exact_shapley(worth, 2), [[2, 0.5], [0, 0.5]])


# --- manners ----------------------------------------------------------------------------------------------------------


@every_toy
def test_read_only_rows_are_welcome_and_left_alone(toy):
    X = toy.sample(20)
    X.setflags(write=False)
    toy.predict(X)
    toy.shapley(X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: toys.linear([]), ValueError, "weights is empty"),
        (lambda: toys.linear((1, np.nan)), ValueError, "weights has 1 missing or infinite"),
        (lambda: toys.linear((1, 2), np.eye(3)), ValueError, r"covariance must be a symmetric matrix of shape \(2, 2\)"),
        (lambda: toys.linear((1, 2), [[1, 0.5], [0, 1]]), ValueError, "covariance must be a symmetric matrix"),
        (lambda: toys.linear((1, 2), [[1, 2], [2, 1]]), ValueError, "covariance must be positive semi-definite"),
        (lambda: toys.additive(2), ValueError, r"rho must be a number in \[-1, 1\], not 2"),
        (lambda: toys.gaussian_product("a"), TypeError, "rho must be a number"),
        (lambda: toys.xor().sample(0), ValueError, "n must be a whole number"),
        (lambda: toys.xor().sample(3, -1), ValueError, "random_state must be"),
        (lambda: toys.xor().permutation_importance(), ValueError, "features is empty"),
        (lambda: toys.xor().permutation_importance(0, 0), ValueError, "features must name each feature once"),
        (lambda: toys.xor().permutation_importance(2), ValueError, r"feature must be a whole number in \[0, 1\], not 2"),
        (lambda: toys.xor().pdp("x0", [1]), TypeError, "feature must be a whole number"),
        (lambda: toys.xor().pdp(0, 3.0), ValueError, "grid must have 1 dimension"),
        (lambda: toys.xor().ale(0, []), ValueError, "grid is empty"),
        (lambda: toys.xor().ale(5, [0]), ValueError, "feature must be a whole number"),
        (lambda: toys.xor().shapley(np.zeros((2, 3))), ValueError, "X must have 2 columns for the toy 'xor'"),
        (lambda: toys.xor().shapley([1.0]), ValueError, "X must have 2 dimensions"),
        (lambda: toys.airport((1, -1)), ValueError, "costs must not be negative"),
        (lambda: toys.airport([]), ValueError, "costs is empty"),
        (lambda: toys.weighted_majority(9), ValueError, r"quota must be a number in \(0, 7\], not 9"),
        (lambda: toys.weighted_majority(1, (1, -1, 2)), ValueError, "weights must not be negative"),
        (lambda: toys.weighted_majority(1, np.ones(21)), ValueError, r"n_players must be a whole number in \[1, 20\]"),
        (lambda: toys.unanimity((), 3), ValueError, "carriers is empty"),
        (lambda: toys.unanimity(3), TypeError, "carriers must be a list of player numbers, not 3"),
        (lambda: toys.unanimity((3,), 3), ValueError, r"carriers must be a whole number in \[0, 2\], not 3"),
        (lambda: toys.unanimity((0,), 0), ValueError, "n_players must be a whole number"),
        (lambda: toys.glove().value([1, 1, 1]), ValueError, r"coalitions must be a boolean array of shape \(m, 3\)"),
        (lambda: toys.glove().value([True, False]), ValueError, r"coalitions must be a boolean array of shape \(m, 3\)"),
        (lambda: toys.exact_shapley(3, 2), TypeError, "worth must be a function"),
        (lambda: toys.exact_shapley(len, 30), ValueError, r"n_players must be a whole number in \[1, 20\], not 30"),
        (lambda: toys.exact_shapley(lambda S: S[0], 2), ValueError, "worth must return one row per coalition"),
    ],
)
def test_bad_input_gets_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()
