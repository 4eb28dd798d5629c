r"""The program solved exactly, without a commercial solver.

Everything in the program that is not linear is a product of two yes-or-no variables, and such a product can be written with
linear constraints that lose nothing:

- *Redundancy.* :math:`p_{ij} \ge s_i + s_j - 1`, :math:`p_{ij} \ge 0`. The objective pays for :math:`p_{ij}`, so at the optimum
  it is as small as it may be, which is :math:`s_i s_j`.
- *Similar pairs.* :math:`z_f \le W_{cf}`, :math:`z_f \le W_{c'f}`, :math:`z_f \ge W_{cf} + W_{c'f} - 1` leave :math:`z_f` no
  choice but :math:`W_{cf} W_{c'f}`; then :math:`\sum_f z_f = n_{wc} - 1`.
- *Uniqueness.* For two classes it is the same trick with an inequality: :math:`y_f \ge W_{cf} + W_{c'f} - 1` and :math:`\sum_f
  y_f \le n_{wc} - 1` leave them at least one feature apart. There are C (C - 1) / 2 pairs of classes and few of them ever come
  out alike, so we solve, look, and keep apart whom we see (*lazy* constraints). Every round solves a relaxation, so the first
  solution without duplicates is optimal. As the proof is the long part of a round, the first rounds stop at 2 %.

The rest is work for a mixed-integer solver: HiGHS, which comes with SciPy. For 20 classes and 64 features that takes seconds to
minutes. For 1,000 and 2,048 it is hopeless (two million yes-or-no variables); that is what :mod:`xailib.chiqpm.scalable` is
for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from xailib import _validation as check
from xailib.chiqpm.program import Program, Solution, solution_of

__all__ = ["solve_exactly"]

#: what HiGHS calls optimal: relative distance of bound and objective
TOLERANCE = 1e-7
#: the distance at which it stops while there may still be duplicates to find
ROUGH = 0.02


def solve_exactly(program: Program, *, time_limit: float = 120.0) -> Solution:
    """A provably best solution, by HiGHS with lazy uniqueness constraints.

    Parameters
    ----------
    program : Program
    time_limit : float, seconds for all rounds together

    Returns
    -------
    Solution
        With ``bound`` equal to the objective (``optimal``). If time runs out but the last solution is feasible, it comes with the
        bound proved so far. ``details``: ``rounds``, ``kept_apart`` (pairs of classes), ``seconds``.

    Raises
    ------
    ValueError
        If no assignment meets the pairs (HiGHS proved it).
    RuntimeError
        If time ran out before any feasible solution was found.

    Notes
    -----
    Meant for teaching sizes: about 20 classes x 64 features. Redundancies of 0 cost no variable. Taught in chapter 16.

    Examples
    --------
    >>> A = np.array([[1.0, 0.9, 0.0], [0.5, 0.6, 0.1], [0.0, 0.1, 1.0]])
    >>> solution = solve_exactly(Program(A, n_features=3, n_per_class=1))
    >>> solution.W.astype(int), round(solution.objective, 2)
    (array([[1, 0, 0],
           [0, 1, 0],
           [0, 0, 1]]), 866.67)
    """
    check.instance(program, Program, "program")
    check.number(time_limit, "time_limit", low=0, open_low=True)
    start = time.perf_counter()
    bound, rounds, tolerance = np.inf, 0, ROUGH
    apart: set[tuple[int, int]] = set()
    while True:
        rounds += 1
        left = max(time_limit - (time.perf_counter() - start), 0.01)
        model = Model(program, sorted(apart))
        answer = model.solve(time_limit=left, mip_rel_gap=tolerance)
        if answer.status == 2:
            raise ValueError("pairs contradict each other: the solver proved that no assignment meets all of them.")
        if answer.mip_dual_bound is not None and np.isfinite(answer.mip_dual_bound):
            bound = min(bound, -answer.mip_dual_bound)
        if answer.x is None:
            raise RuntimeError(f"time_limit of {time_limit:g} seconds ran out before a feasible solution was found: raise it.")
        selected, W = model.read(answer.x)
        alike = {(c, d) for c, d, _ in duplicates(W)}
        if answer.status != 0 and alike:
            raise RuntimeError(f"time_limit of {time_limit:g} seconds ran out while classes were still alike: raise it.")
        if not alike and (answer.status != 0 or tolerance == TOLERANCE):
            details = {"rounds": rounds, "kept_apart": len(apart), "seconds": time.perf_counter() - start}
            proved = program.objective(selected, W)["Z"] if answer.status == 0 else bound
            return solution_of(program, selected, W, proved, "exact (HiGHS)", **details)
        apart |= alike
        tolerance = ROUGH if alike and tolerance == ROUGH else TOLERANCE


def duplicates(W: np.ndarray) -> Iterable[tuple[int, int, np.ndarray]]:
    """Pairs of classes with the same features, and these."""
    _, which = np.unique(W, axis=0, return_inverse=True)
    which = which.ravel()
    for group in np.flatnonzero(np.bincount(which) > 1):
        members = np.flatnonzero(which == group)
        yield from ((int(c), int(d), np.flatnonzero(W[c])) for k, c in enumerate(members) for d in members[:k])


class Model:
    """The linear form of a program. Variables in this order: W (classes x features), s, p (redundancy), z (pairs x features).

    ``apart`` are pairs of classes that must differ; each has variables y, one per feature."""

    def __init__(self, program: Program, apart: Iterable[tuple[int, int]] = ()) -> None:
        self.program = program
        coverage = program.coverage.T
        self.shape = C, F = coverage.shape
        first, second = np.nonzero(np.triu(program.penalty))
        pairs = np.array(program.pairs, dtype=int).reshape(-1, 2)
        differ = np.array(list(apart), dtype=int).reshape(-1, 2)
        self.W = np.arange(C * F).reshape(C, F)
        s = C * F + np.arange(F)
        p = C * F + F + np.arange(len(first))
        z = C * F + F + len(first) + np.arange(len(pairs) * F).reshape(len(pairs), F)
        y = C * F + F + len(first) + z.size + np.arange(len(differ) * F).reshape(len(differ), F)
        self.n = C * F + F + len(first) + z.size + y.size
        self.cost = np.concatenate([-coverage.ravel(), -program.bias, program.penalty[first, second], np.zeros(z.size + y.size)])
        self.whole = np.concatenate([np.ones(C * F + F), np.zeros(len(p) + z.size + y.size)])
        self.rows: list[csr_matrix] = []
        self.low: list[np.ndarray] = []
        self.high: list[np.ndarray] = []

        n_wc = program.n_per_class
        ours, theirs = self.W[pairs[:, 0]], self.W[pairs[:, 1]]
        self.add([1.0] * F, [s], program.n_features, program.n_features)
        self.add([1.0] * F, self.W, n_wc, n_wc)
        self.add([1.0, -1.0], _columns(self.W, np.broadcast_to(s, (C, F))), -np.inf, 0)
        self.add([1.0, 1.0, -1.0], _columns(s[first], s[second], p), -np.inf, 1)
        self.add([1.0] * F, z, n_wc - 1, n_wc - 1)
        self.add([1.0, -1.0], _columns(z, ours), -np.inf, 0)
        self.add([1.0, -1.0], _columns(z, theirs), -np.inf, 0)
        self.add([1.0, 1.0, -1.0], _columns(ours, theirs, z), -np.inf, 1)
        self.add([1.0] * F, y, -np.inf, n_wc - 1)
        self.add([1.0, 1.0, -1.0], _columns(self.W[differ[:, 0]], self.W[differ[:, 1]], y), -np.inf, 1)

    def add(self, coefficients: Any, variables: Any, low: float, high: float) -> None:
        """One constraint per row of ``variables``, all with the same coefficients."""
        variables = np.asarray(variables)
        m, k = variables.shape
        where = (np.repeat(np.arange(m), k), variables.ravel())
        self.rows.append(csr_matrix((np.tile(coefficients, m), where), shape=(m, self.n)))
        self.low.append(np.full(m, float(low)))
        self.high.append(np.full(m, float(high)))

    def forbid(self, together: Iterable[tuple[int, np.ndarray]]) -> None:
        """Not all of these classes may have these features (each as many as a class has)."""
        used = np.concatenate([self.W[c, features] for c, features in together])
        self.add(np.ones(len(used)), used[None], -np.inf, len(used) - 1)

    def solve(self, **options: Any) -> Any:
        """SciPy's answer; status 0: optimal, 1: stopped early, 2: infeasible."""
        constraints = [
            LinearConstraint(r, lo, hi) for r, lo, hi in zip(self.rows, self.low, self.high, strict=True) if r.shape[0]
        ]
        options = {"mip_rel_gap": TOLERANCE} | options
        return milp(self.cost, constraints=constraints, integrality=self.whole, bounds=Bounds(0, 1), options=options)

    def read(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Selected features and which of them every class has."""
        C, F = self.shape
        W = x[: C * F].reshape(C, F) > 0.5
        selected = np.flatnonzero(x[C * F : C * F + F] > 0.5)
        return selected, W[:, selected]


def _columns(*variables: np.ndarray) -> np.ndarray:
    """Arrays of variables side by side: row k holds the k-th of each."""
    return np.stack([v.ravel() for v in variables], axis=1)
