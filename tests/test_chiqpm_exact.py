"""Both solvers against every possibility on tiny programs, and against each other on small ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from xailib import chiqpm
from xailib.chiqpm.program import Program


def tiny(seed: int, pairs=((0, 1),), n_features: int = 3, n_classes: int = 3) -> Program:
    rng = np.random.default_rng(seed)
    R = 30 * np.triu(rng.random((5, 5)), 1) * (rng.random((5, 5)) < 0.6)
    return Program(rng.random((5, n_classes)), n_features, 2, pairs, R, rng.normal(size=5))


def brute_force(program: Program) -> float:
    """The best Z over all selections and all assignments."""
    best = -np.inf
    n_f, n_wc = program.n_features, program.n_per_class
    columns = np.array([[f in s for f in range(n_f)] for s in combinations(range(n_f), n_wc)])
    for selected in combinations(range(len(program.A)), n_f):
        for W in product(columns, repeat=program.n_classes):
            if not program.violations(list(selected), np.array(W)):
                best = max(best, program.objective(list(selected), np.array(W))["Z"])
    return best


@pytest.mark.parametrize("pairs", [(), ((0, 1),), ((0, 1), (1, 2)), ((0, 1), (1, 2), (0, 2))])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_exact_solution_is_the_best_of_all(pairs, seed):
    program = tiny(seed, pairs)
    solution = chiqpm.solve_exactly(program)
    assert np.isclose(solution.objective, brute_force(program))
    assert solution.optimal
    assert program.violations(solution.selected, solution.W) == []


def test_duplicates_are_cut_lazily():
    alike = np.tile([[1.0], [0.9], [0.8], [0.1]], (1, 3))
    solution = chiqpm.solve_exactly(Program(alike, 4, 2))
    assert solution.details["kept_apart"] > 0
    assert len(np.unique(solution.W, axis=0)) == 3
    assert np.isclose(solution.Z_A, 1000 / 6 * (1.9 + 1.8 + 1.7))


def test_pairs_can_only_cost():
    program = chiqpm.instance("parts", 6, 16, n_features=8, n_per_class=3)
    free = chiqpm.solve_exactly(replace(program, pairs=()))
    bound = chiqpm.solve_exactly(program)
    assert bound.objective <= free.objective + 1e-6


def test_time_that_runs_out_is_said():
    with pytest.raises(RuntimeError, match="time_limit"):
        chiqpm.solve_exactly(chiqpm.instance("low rank", 20, 64, n_features=16, n_per_class=4), time_limit=0.05)


@pytest.mark.full
@pytest.mark.parametrize("family", ["low rank", "parts", "birds"])
def test_the_stated_size_is_proved_in_two_minutes_and_the_scalable_solution_is_within_half_a_percent(family):
    program = chiqpm.instance(family, 20, 64, n_features=16, n_per_class=4)
    exact = chiqpm.solve_exactly(program, time_limit=120)
    near = chiqpm.solve(program)
    assert exact.optimal
    assert exact.objective <= near.bound + 1e-6
    assert near.objective >= 0.995 * exact.objective


@pytest.mark.full
@pytest.mark.parametrize("seed", range(4))
def test_pairs_that_tie_eight_classes_together_do_not_mislead_the_scalable_solver(seed):
    """Ten features for groups of seven and eight classes: what each gets is as hard as which features to keep."""
    program = chiqpm.instance("parts", 20, 32, n_features=10, n_per_class=3, random_state=seed)
    exact, near = chiqpm.solve_exactly(program), chiqpm.solve(program)
    assert exact.optimal
    assert near.objective >= 0.995 * exact.objective
