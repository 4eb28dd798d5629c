"""Constants by hand, requests that can not be met, and the published formulas term by term."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import chiqpm
from xailib.chiqpm.program import LARGEST_BIAS, Program, components

RNG = np.random.default_rng(0)


def test_correlations_are_those_of_numpy():
    X, y = RNG.normal(size=(60, 5)), RNG.integers(0, 3, 60)
    expected = np.array([[np.corrcoef(x, y == c)[0, 1] for c in range(3)] for x in X.T])
    assert np.allclose(chiqpm.class_correlations(X, y), expected / np.abs(expected).max())


def test_correlations_do_not_depend_on_scale_or_shift_of_a_feature():
    X, y = RNG.normal(size=(60, 5)), RNG.integers(0, 3, 60)
    assert np.allclose(chiqpm.class_correlations(X, y), chiqpm.class_correlations(X * [1, 2, 3, 4, 5] + 7, y))


def test_redundancy_is_the_cosine_of_rows_of_A_and_not_of_activations():
    A = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 1.0]])
    half = np.sqrt(0.5)
    expected = np.zeros((5, 5))
    expected[0, 1], expected[0, 4], expected[1, 4], expected[2, 4] = 1, half, half, half
    assert np.allclose(chiqpm.redundancy(A), expected)


def test_penalties_are_rescaled_between_the_smallest_positive_redundancy_and_the_largest():
    R = np.triu(np.array([[0, 0.2, 1.0], [0, 0, 0.6], [0, 0, 0]]), 1)
    assert np.allclose(chiqpm.penalties(R, 0.5), np.array([[0, 0, 1.0], [0, 0, 0.5], [0, 0, 0]]))
    assert not chiqpm.penalties(R, np.inf).any()


@pytest.mark.parametrize("n_features", [2, 5, 9])
def test_at_the_threshold_enough_features_can_be_kept_for_nothing(n_features):
    R = chiqpm.redundancy(RNG.normal(size=(12, 4)))
    P = chiqpm.penalties(R, chiqpm.redundancy_threshold(R, n_features))
    assert any(not P[np.ix_(S, S)].any() for S in combinations(range(12), n_features))


def test_two_blocks_of_equal_features_can_give_two_features_for_nothing_and_no_third():
    R = chiqpm.redundancy(np.array([[0.8, 0.6], [0.8, 0.6], [0.6, 0.8], [0.6, 0.8]]))
    assert chiqpm.redundancy_threshold(R, 2) == 1
    assert chiqpm.redundancy_threshold(R, 3) == np.inf


def test_similar_pairs_are_the_closest_columns():
    A = RNG.normal(size=(6, 9))
    distance = {(c, d): np.linalg.norm(A[:, c] - A[:, d]) for c, d in combinations(range(9), 2)}
    assert list(chiqpm.similar_pairs(A, 0.5)) == sorted(distance, key=distance.get)[:4]
    assert chiqpm.similar_pairs(A, 0) == ()


def test_the_bias_prefers_one_place_and_punishes_the_border():
    heights = np.linspace(0.5, 1.5, 9)
    maps = np.full((20, 9, 5, 5), 0.2)
    maps[:, np.arange(9), 2, 2] += heights
    maps[:, 8] = np.roll(maps[:, 8], 2, axis=1)  # the sharpest of all, but on the border
    b = chiqpm.locality_bias(maps)
    assert np.all(np.diff(b[:8]) >= 0)
    assert b[8] == b[0] == b.min() < b[7]
    assert abs(b.mean()) < 1e-12
    assert np.isclose(np.abs(b).max(), LARGEST_BIAS)


def test_a_flat_bias_is_zero():
    assert not chiqpm.locality_bias(np.ones((3, 4, 5, 5))).any()


def example(**more) -> Program:
    A = np.array([[1.0, 0.2, 0.0], [0.3, 1.0, 0.1], [0.0, 0.4, 1.0], [0.5, 0.5, 0.5]])
    R = np.zeros((4, 4))
    R[0, 1], R[1, 3] = 0.5, 0.25
    return Program(A, 3, 2, ((0, 1),), R, np.array([0.1, 0.0, -0.1, 0.2]), **more)


def test_the_objective_by_hand():
    W = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
    found = example().objective([0, 1, 3], W)
    kappa = 1000 / (2 * 3)
    assert np.isclose(found["Z_A"], kappa * (1.0 + 0.3 + 1.0 + 0.5 + 0.0 + 0.5))
    assert np.isclose(found["Z_R"], -0.75)
    assert np.isclose(found["Z_B"], 0.3)
    assert np.isclose(found["Z"], found["Z_A"] + found["Z_R"] + found["Z_B"])
    weighted = example(weights=(2, 3, 0)).objective([0, 1, 3], W)
    assert np.allclose([weighted[k] for k in ("Z_A", "Z_R", "Z_B")], [2 * found["Z_A"], 3 * found["Z_R"], 0])


def test_violations_name_every_broken_constraint():
    fine = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
    assert example().violations([0, 1, 3], fine) == []
    assert example().violations([0, 1], fine[:, :2])[0] == "2 features are kept, not 3."
    assert "Class 0 has 3 features, not 2." in example().violations([0, 1, 3], np.array([[1, 1, 1], [0, 1, 1], [1, 0, 1]]))
    same = example().violations([0, 1, 3], np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]]))
    assert same == ["Classes 0, 1 have the same features.", "Classes 0 and 1 share 2 features, not 1."]


def clique(n: int) -> tuple[tuple[int, int], ...]:
    return tuple(combinations(range(n), 2))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n_features": 7, "n_per_class": 2}, "only 6 features"),
        ({"n_features": 2, "n_per_class": 3}, "n_per_class is 3"),
        ({"n_features": 4, "n_per_class": 4}, "only 1 distinct subsets, too few to tell 5 classes"),
        ({"n_features": 4, "n_per_class": 2, "pairs": ((1, 1),)}, "can not differ from itself"),
        ({"n_features": 4, "n_per_class": 2, "pairs": ((0, 5),)}, "classes 0 to 4, but one names 5"),
        ({"n_features": 4, "n_per_class": 2, "pairs": "all"}, "pairs must be pairs"),
        ({"n_features": 4, "n_per_class": 2, "pairs": clique(5)}, "contradict"),
        ({"n_features": 5, "n_per_class": 2, "R": np.zeros((3, 3))}, "R is about 3 features"),
        ({"n_features": 5, "n_per_class": 2, "b": np.zeros(3)}, "b is about 3 features"),
        ({"n_features": 5, "n_per_class": 2, "weights": (0, 1, 1)}, "weights"),
    ],
)
def test_a_bad_program_is_refused_with_the_reason(arguments, says):
    with pytest.raises((ValueError, TypeError), match=says):
        Program(np.ones((6, 5)), **arguments)


def johnson(n_f: int, n_wc: int) -> tuple[list[frozenset[int]], np.ndarray]:
    subsets = [frozenset(s) for s in combinations(range(n_f), n_wc)]
    return subsets, np.array([[len(s & t) == n_wc - 1 for t in subsets] for s in subsets])


def can_be_met(n_classes: int, pairs, n_f: int, n_wc: int) -> bool:
    """Whether the graph of pairs fits among the subsets: plain backtracking."""
    subsets, adjacent = johnson(n_f, n_wc)
    partners = [{d for d in range(c) if (d, c) in pairs or (c, d) in pairs} for c in range(n_classes)]

    def place(chosen: list[int]) -> bool:
        c = len(chosen)
        if c == n_classes:
            return True
        options = (s for s in range(len(subsets)) if s not in chosen and all(adjacent[s, chosen[d]] for d in partners[c]))
        return any(place([*chosen, s]) for s in options)

    return place([])


@settings(deadline=None, max_examples=60)
@given(n_f=st.integers(2, 5), n_wc=st.integers(1, 3), edges=st.sets(st.sampled_from(clique(5))))
def test_what_is_refused_really_is_infeasible(n_f, n_wc, edges):
    if n_wc > n_f:
        return
    pairs = tuple(sorted(edges))
    try:
        Program(np.ones((n_f, 5)), n_f, n_wc, pairs)
    except ValueError:
        assert not can_be_met(5, pairs, n_f, n_wc)


@pytest.mark.parametrize(("n_f", "n_wc"), [(6, 2), (6, 3), (5, 3), (7, 4)])
def test_the_largest_clique_is_a_sunflower_or_all_but_one(n_f, n_wc):
    largest = max(n_f - n_wc + 1, n_wc + 1)
    Program(np.ones((n_f, largest)), n_f, n_wc, clique(largest))
    with pytest.raises(ValueError, match=r"contradict|distinct subsets"):
        Program(np.ones((n_f, largest + 1)), n_f, n_wc, clique(largest + 1))


def test_pairs_are_ordered_and_counted_once():
    assert Program(np.ones((6, 5)), 4, 2, ((2, 1), (1, 2), (0, 4))).pairs == ((1, 2), (0, 4))


def test_components_are_sorted_by_size():
    assert [g.tolist() for g in components(5, ((0, 3), (3, 4)))] == [[0, 3, 4], [1], [2]]


def test_the_program_of_a_training_set_has_the_published_constants():
    X, y = RNG.normal(size=(90, 12)) + np.eye(12)[np.arange(90) % 6], np.arange(90) % 6
    program = chiqpm.build_program(X, y, n_features=5, n_per_class=2, density=0.5, threshold=0.0)
    assert np.allclose(program.A, chiqpm.class_correlations(X, y))
    assert len(program.pairs) == 3
    assert np.allclose(program.R, chiqpm.penalties(chiqpm.redundancy(program.A), 0.0))
    assert not np.asarray(program.b).any()
    assert replace(program, pairs=()).pairs == ()


def test_a_solution_names_what_classes_share_and_what_tells_them_apart():
    solution = chiqpm.solve(example())
    (mine,), (theirs,) = solution.pivots(0, 1)
    assert set(solution.features_of(0)) == {mine, *solution.shared(0, 1)}
    assert set(solution.features_of(1)) == {theirs, *solution.shared(0, 1)}
    assert solution.assignment()[:, solution.selected].tolist() == solution.W.tolist()
    assert solution.assignment().sum() == 3 * 2
