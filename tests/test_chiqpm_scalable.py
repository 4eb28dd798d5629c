"""The parts of the scalable solver against closed forms, and its certificate against everything that is feasible."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, islice, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_chiqpm_exact import brute_force, tiny
from xailib import chiqpm
from xailib.chiqpm import _assignment
from xailib.chiqpm._assignment import assign, best_subsets, best_twins, distinct_subsets, embed, exchange
from xailib.chiqpm._bound import Bound, minimise
from xailib.chiqpm.program import Program, neighbours
from xailib.chiqpm.scalable import Choice, local_optimum

SEEDS = st.integers(0, 10_000)


def small(family: str = "low rank", **more) -> Program:
    return chiqpm.instance(family, 12, 30, **({"n_features": 8, "n_per_class": 3, "density": 0.7} | more))


def total(values: np.ndarray, subsets) -> float:
    return sum(row[list(s)].sum() for row, s in zip(values, subsets, strict=True))


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_best_twins_are_the_best_pair_of_neighbours(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 8))
    n = int(rng.integers(1, k))
    values = rng.normal(size=(2, k)).round(1)
    subsets = [frozenset(s) for s in combinations(range(k), n)]
    best = max(total(values, (s, t)) for s in subsets for t in subsets if len(s & t) == n - 1)
    twins = next(best_twins(values, n))
    assert len(twins[0] & twins[1]) == n - 1
    assert np.isclose(total(values, twins), best)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_best_subsets_come_in_order_and_none_is_missing(seed):
    values = np.random.default_rng(seed).normal(size=6)
    found = list(best_subsets(values, 3))
    sums = [values[list(s)].sum() for s in found]
    assert sorted(map(sorted, found)) == [list(s) for s in combinations(range(6), 3)]
    assert np.all(np.diff(sums) <= 1e-12)


def test_all_swaps_are_priced_as_if_done():
    program = small()
    choice = Choice(program, program.coverage.T)
    S = np.arange(8)
    gain = choice.swaps(S)
    for k in range(8):
        for j in range(8, 30):
            other = S.copy()
            other[k] = j
            assert np.isclose(gain[k, j], choice.value(other) - choice.value(S))


def test_swaps_when_every_class_uses_every_feature():
    program = Program(np.random.default_rng(0).random((6, 1)), 3, 3)
    S = local_optimum(Choice(program, program.coverage.T), np.empty(0, dtype=int))
    assert sorted(S) == sorted(np.argsort(-program.A[:, 0])[:3])


def test_the_slope_of_the_bound_is_its_derivative():
    program = small("parts")
    rng = np.random.default_rng(0)
    bound = Bound(program)
    prices = bound.start(np.arange(8))
    bound.price_redundancy(prices, bound.all, np.arange(8))
    prices.shared[bound.forest.child] = rng.random(len(bound.forest.child))
    prices.shift[:] = 0.01 * rng.normal(size=30)
    slope = bound.slope(prices, bound.all)
    for a, g in zip(prices, slope, strict=True):
        direction = rng.normal(size=a.shape)
        if a is prices.shared:
            direction[bound.forest.root] = 0
        sides = []
        for sign in (1, -1):
            a += sign * 1e-6 * direction
            sides.append(bound.value(prices)[0])
            a -= sign * 1e-6 * direction
        assert np.isclose((sides[0] - sides[1]) / 2e-6, (g * direction).sum(), atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_no_prices_whatever_give_a_bound_below_a_feasible_solution(seed):
    """Not only the prices that gradient steps find: any."""
    rng = np.random.default_rng(seed)
    program = tiny(seed % 5, ((0, 1), (1, 2)))
    bound = Bound(program)
    prices = bound.start(np.arange(3))
    for a in prices:
        a += rng.normal(size=a.shape) * rng.choice([0.01, 1, 30])
    solution = chiqpm.solve(program, bound_steps=2, shakes=0, repairs=0)
    assert bound.value(prices)[0] >= solution.objective - 1e-9


@pytest.mark.parametrize("pairs", [(), ((0, 1), (1, 2))])
@pytest.mark.parametrize("seed", [0, 1])
def test_tiny_programs_are_solved_and_bounded(pairs, seed):
    program = tiny(seed, pairs)
    best = brute_force(program)
    solution = chiqpm.solve(program, bound_steps=100)
    assert best - 1e-9 <= solution.bound
    assert solution.objective <= best + 1e-9
    assert solution.objective >= 0.995 * best


def test_without_redundancy_and_pairs_the_bound_is_tight():
    program = replace(small("parts"), R=None, pairs=())
    solution = chiqpm.solve(program, bound_steps=200, shakes=5)
    assert solution.gap < 0.02


def test_pricing_redundancy_lowers_the_bound():
    program = small(n_features=10)
    first = local_optimum(Choice(program, program.coverage.T), np.empty(0, dtype=int))
    with_, without = (minimise(Bound(p), first, 200)[0] for p in (program, replace(program, R=None)))
    assert with_ < without


@pytest.mark.parametrize("family", ["low rank", "parts"])
def test_every_constraint_holds_and_the_same_seed_gives_the_same(family):
    program = chiqpm.instance(family, 30, 60, n_features=12, n_per_class=3)
    first, second = (chiqpm.solve(program, bound_steps=20, shakes=2, repairs=30) for _ in range(2))
    assert program.violations(first.selected, first.W) == []
    assert first.selected.tolist() == second.selected.tolist()
    assert (first.W == second.W).all()
    assert first.bound == second.bound >= first.objective


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_classes_without_partners_share_out_what_is_free_in_the_best_way(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, 4)).round(1)
    values[1] = values[0]
    subsets = [frozenset(s) for s in combinations(range(4), 2)]
    taken = {subsets[int(rng.integers(6))]}
    free = [s for s in subsets if s not in taken]
    found = distinct_subsets(values, 2, taken)
    assert len(set(found) - taken) == 3
    assert np.isclose(total(values, found), max(total(values, p) for p in permutations(free, 3)))


def test_classes_that_are_all_alike_still_differ():
    alike = np.tile(np.linspace(1, 0.1, 8)[:, None], (1, 9))
    solution = chiqpm.solve(Program(alike, 5, 2), bound_steps=5, shakes=1)
    assert len(np.unique(solution.W, axis=0)) == 9
    values = sorted((alike[list(solution.features_of(c)), c].sum() for c in range(9)), reverse=True)
    best = [alike[list(s), 0].sum() for s in islice(best_subsets(alike[:5, 0], 2), 9)]
    assert np.allclose(values, best)


@pytest.mark.parametrize("n_classes", [4, 12, 20])
def test_a_group_that_fits_into_a_sunflower_is_met(n_classes):
    values = np.random.default_rng(0).random((n_classes, 22))
    pairs = list(combinations(range(n_classes), 2))
    found = embed(values, 3, neighbours(n_classes, pairs), set())
    assert all(len(found[c] & found[d]) == 2 for c, d in pairs)
    assert len(set(found)) == n_classes


def test_a_chain_longer_than_a_sunflower_is_met_and_exchanges_only_improve_it():
    n = 40
    values, pairs = np.random.default_rng(0).random((n, 12)), [(c, c + 1) for c in range(n - 1)]
    found = embed(values, 3, neighbours(n, pairs), set())
    better = exchange(values, found, pairs, set())
    for subsets in (found, better):
        assert all(len(subsets[c] & subsets[d]) == 2 for c, d in pairs)
        assert len(set(subsets)) == n
    assert total(values, better) >= total(values, found)


def test_search_comes_near_the_exact_assignment(monkeypatch):
    values, pairs = np.random.default_rng(1).random((6, 9)), [(c, c + 1) for c in range(5)]
    whole = assign(values, 3, pairs)
    monkeypatch.setattr(_assignment, "EXACT_CELLS", 2)
    searched = assign(values, 3, pairs)
    assert not whole.unproved.any()
    assert searched.unproved.all()
    assert 0.95 * (values * whole.W).sum() <= (values * searched.W).sum() <= (values * whole.W).sum() + 1e-9


def test_a_tangle_that_counting_does_not_catch_is_refused_in_one_sentence():
    """Four classes paired with four others: two classes may have four common partners, but not four."""
    pairs = tuple((c, d) for c in range(4) for d in range(4, 8))
    program = Program(np.random.default_rng(0).random((8, 8)), 6, 2, pairs)
    with pytest.raises(ValueError, match="pairs connect 8 classes") as error:
        chiqpm.solve(program, bound_steps=1, shakes=0)
    assert str(error.value).count(".") == 1


def test_instances_are_seeded_and_differ_between_seeds():
    for family in ("low rank", "parts"):
        one, same, other = (chiqpm.instance(family, 12, 30, n_features=8, n_per_class=3, random_state=s) for s in (3, 3, 4))
        assert (one.A == same.A).all()
        assert one.pairs == same.pairs
        assert not np.allclose(one.A, other.A)
        assert np.abs(one.A).max() == 1


def test_siblings_make_small_groups_and_independent_classes_a_tangle():
    largest = {}
    for siblings in (True, False):
        program = chiqpm.instance("low rank", 200, 256, siblings=siblings)
        largest[siblings] = max(map(len, chiqpm.program.components(200, program.pairs)))
    assert largest[True] < 12 < 50 < largest[False]


@pytest.mark.full
def test_real_features_of_the_birds_network():
    program = chiqpm.instance("birds", 40, 128, n_features=20, n_per_class=4)
    assert program.A.shape == (128, 40)
    solution = chiqpm.solve(program, bound_steps=100, shakes=2)
    assert program.violations(solution.selected, solution.W) == []
