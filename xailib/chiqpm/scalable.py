r"""The program solved at the size of ImageNet, with a certificate that says how good the solution is.

A general solver sees two million yes-or-no variables. The structure makes them few. Write :math:`a_{cf} = \kappa A_{fc}`.

**Given the kept features S, the classes come apart.** Leave the pairs and uniqueness aside for a moment: every class takes its
best ``n_wc`` features, and what remains to choose is ``S`` alone,

.. math:: Z(S) = \sum_c \mathrm{top}_{n_{wc}} \{a_{cf} : f \in S\} + \sum_{f \in S} b_f - \sum_{i < j \in S} \tilde R_{ij}.

The first sum has diminishing returns, so *greedy* choice is good, and *swaps* make it better. Let :math:`t_c` be the n_wc-th
best value of class c and :math:`u_c` the one after that. Exchanging i for j changes a class that does not use i by
:math:`\max(0, a_{cj} - t_c)`, and a class that does by :math:`\max(a_{cj}, u_c) - a_{ci}`. All swaps of all features are priced
in two passes over the table; we take the best until none is left, shake, and repeat.

**Pairs and duplicates are repaired exactly.** Given ``S``, the groups of classes that pairs connect do not see each other. Small
groups are small exact programs (:mod:`~xailib.chiqpm.exact`) that must avoid subsets already taken. Large groups are first met
somehow and then improved: two features are exchanged along a whole chain of partners, single classes move. Classes without
partners share out the subsets that are left, by a matching. "Exactly" is about the constraints, which all hold in the end. As
paired classes will share nearly all features, the search for ``S`` also tries a table in which each of them speaks for its
partners as well, and it ends with swaps that are judged by what they really bring.

**No selection can beat the bound.** Let :math:`\lambda_c` be a price for each of the ``n_wc`` places of class c. Paying instead
of counting can only help, so for *any* prices

.. math:: Z \le n_{wc} \sum_c \lambda_c + \text{the sum of the } n_f \text{ largest } v_f, \qquad
          v_f = b_f + \sum_c \max(0, a_{cf} - \lambda_c).

Pairs get a reward :math:`\nu` for every shared feature, minus :math:`(n_{wc} - 1) \nu` once. Then feature f is no longer free
to decide class by class; but along a *tree* of pairs the best decision is found from the leaves to the root. Pairs that close a
cycle are left out, which keeps the bound valid and makes it a little weaker.

Redundancy is a quadratic, and the usual linear trick (:math:`p_{ij} \ge s_i + s_j - 1`) is worth nothing in a bound: half of
each of 100 features pays no penalty. A *convex* stand-in does better. Take any table :math:`U U^T` and any shift w, and let
:math:`e_{ij} = \max(0, U_i \cdot U_j + w_i + w_j - \tilde R_{ij})` be where they charge too much. On every S of ``n_f``
features, and for any vector y,

.. math:: \sum_{i < j \in S} \tilde R_{ij} \ge \sum_{f \in S} \Big( U_f \cdot y - \tfrac12 \|U_f\|^2 + (n_f - 1) w_f
          - \tfrac12 \, \mathrm{top}_{n_f - 1} \{e_{fj}\}_j \Big) - \tfrac12 \|y\|^2,

because :math:`\frac12 \|\sum_S U_f\|^2 \ge y \cdot \sum_S U_f - \frac12 \|y\|^2`. The right side is again a sum over single
features and joins :math:`v_f`. Every choice of :math:`\lambda, \nu, U, w, y` is a certificate; gradient steps find a good one.

Uniqueness and cycles are not priced. What is proved is printed as the gap, (bound - Z) / Z_A.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from xailib import _validation as check
from xailib.chiqpm._assignment import Assignment, assign
from xailib.chiqpm._bound import Bound, minimise
from xailib.chiqpm.program import Program, Solution, neighbours, solution_of

__all__ = ["solve"]

#: the search after the first local optimum looks at this many features, those most worth keeping at the dual prices
MOST_SEARCHED = 400
#: how many features a shake replaces
SHAKEN = (3, 9)
#: how many swaps are tried before a selection counts as a local optimum of the true objective
MOST_TRIED = 120


def solve(program: Program, *, bound_steps: int = 600, shakes: int = 20, repairs: int = 4000, random_state: Any = 0) -> Solution:
    """A feasible, nearly best solution of a program of any size, and a proved upper bound.

    Parameters
    ----------
    program : Program
    bound_steps : int, gradient steps for the bound; 0 takes the prices of the first selection as they are
    shakes : int, how often the best selection is disturbed and improved again
    repairs : int, how many paired classes may be assigned anew while swaps are tried on the true objective (50 classes without
        partners count as one)
    random_state : int, Generator or None

    Returns
    -------
    Solution
        All constraints hold. ``details``: ``seconds``; ``unproved_classes``, how many classes are in groups of pairs too large
        to be assigned by an exact program; ``Z_unconstrained``, what the same features would bring if no two classes had to
        share features or to differ: how much of the gap is due to constraints that the bound prices in part only.

    Raises
    ------
    ValueError
        If a group of pairs could not be met in many attempts. Requests that can be shown to be infeasible are refused by
        :class:`Program`.

    Notes
    -----
    Where the optimum is known the solution is within half a per cent of it: the bound is the weaker part. Memory is that of ``A``
    and ``R``, several times. The result does not depend on the number of threads. Taught in chapter 16.

    Examples
    --------
    >>> A = np.array([[1.0, 0.9, 0.0], [0.5, 0.6, 0.1], [0.0, 0.1, 1.0]])
    >>> solution = solve(Program(A, n_features=3, n_per_class=1))
    >>> solution.W.astype(int), round(solution.objective, 2)
    (array([[1, 0, 0],
           [0, 1, 0],
           [0, 0, 1]]), 866.67)
    """
    check.instance(program, Program, "program")
    check.number(bound_steps, "bound_steps", low=0, integer=True)
    check.number(shakes, "shakes", low=0, integer=True)
    check.number(repairs, "repairs", low=0, integer=True)
    rng = check.random_generator(random_state)
    start = time.perf_counter()
    with threadpool_limits(1):
        first = local_optimum(Choice(program, program.coverage.T), np.empty(0, dtype=int))
        dual = Bound(program)
        bound, prices, priced = minimise(dual, first, bound_steps)
        pool = np.argsort(-dual.unpriced(prices), kind="stable")[:MOST_SEARCHED]
        pool = np.union1d(np.union1d(pool, first), priced)
        tables = [program.coverage.T] if not program.pairs else [program.coverage.T, speaking_for_partners(program)]
        choices = [Choice(program, table, pool) for table in tables]
        selected, assigned = searched(program, choices, first, shakes, repairs, rng)
    details = {
        "seconds": time.perf_counter() - start,
        "unproved_classes": int(assigned.unproved.sum()),
        "Z_unconstrained": choices[0].value(np.searchsorted(choices[0].pool, selected)),
    }
    return solution_of(program, selected, assigned.W, bound, "greedy, swaps, dual bound", **details)


def searched(
    program: Program, choices: Sequence[Choice], first: np.ndarray, shakes: int, repairs: float, rng: np.random.Generator
) -> tuple[np.ndarray, Assignment]:
    """The best selection met, with its assignment: one search per table, and then shakes of the best as long as repairs last."""
    best: tuple[float, np.ndarray, Assignment] | None = None
    tried: set[bytes] = set()
    for start in range(len(choices) + shakes):
        choice = choices[start % len(choices)]
        selected = (
            shaken(choice, first, shakes, rng) if best is None or start < len(choices) else shaken(choice, best[1], 1, rng, True)
        )
        key = np.sort(selected).tobytes()
        if key in tried or (best is not None and repairs <= 0):
            continue
        tried.add(key)
        assigned = assign(np.ascontiguousarray(program.coverage[selected].T), program.n_per_class, program.pairs)
        selected, assigned, repairs = polished(program, choices[-1], selected, assigned, repairs - assigned.work)
        Z = program.objective(selected, assigned.W)["Z"]
        if best is None or best[0] < Z:
            best = Z, selected, assigned
    assert best is not None
    return best[1], best[2]


def polished(
    program: Program, choice: Choice, selected: np.ndarray, found: Assignment, repairs: float
) -> tuple[np.ndarray, Assignment, float]:
    """Swaps judged by what they really bring, pairs and duplicates included: the most promising first, until none helps.

    Only groups of classes that lose a feature, or would like the new one, are assigned anew; ``repairs`` limits how many classes,
    and what is left of it comes back.
    """
    selected, n_wc = selected.copy(), program.n_per_class
    Z = program.objective(selected, found.W)["Z"]
    improved = True
    while improved and repairs > 0:
        improved = False
        gain = choice.swaps(np.searchsorted(choice.pool, selected))
        for flat in np.argsort(-gain, axis=None, kind="stable")[:MOST_TRIED]:
            out, into = np.unravel_index(int(flat), gain.shape)
            if repairs <= 0 or gain[out, into] == -np.inf:
                break
            trial = selected.copy()
            trial[out] = choice.pool[into]
            values = np.ascontiguousarray(program.coverage[trial].T)
            least = np.where(found.W, program.coverage[selected].T, np.inf).min(axis=1)
            new = assign(values, n_wc, program.pairs, found, found.W[:, out] | (values[:, out] > least))
            repairs -= new.work
            if program.objective(trial, new.W)["Z"] > Z + 1e-9:
                selected, found, improved = trial, new, True
                Z = program.objective(selected, found.W)["Z"]
                break
    return selected, found, repairs


def speaking_for_partners(program: Program) -> np.ndarray:
    """A table (C, F) for the search: n_wc - 1 parts the mean of a class and its partners, 1 part the class itself."""
    table, n_wc = program.coverage.T.copy(), program.n_per_class
    for c, partners in enumerate(neighbours(program.n_classes, program.pairs)):
        if partners:
            together = program.coverage[:, [c, *sorted(partners)]].mean(axis=1)
            table[c] = ((n_wc - 1) * together + program.coverage[:, c]) / n_wc
    return table


class Choice:
    """Z(S) for a table (C, F) of what classes gain from features, with S taken from a pool of features."""

    def __init__(self, program: Program, table: np.ndarray, pool: np.ndarray | None = None) -> None:
        self.pool = np.arange(table.shape[1]) if pool is None else pool
        self.table = np.ascontiguousarray(table[:, self.pool])
        self.penalty, self.bias = program.penalty[np.ix_(self.pool, self.pool)], program.bias[self.pool]
        self.n_f, self.n_wc = program.n_features, program.n_per_class
        #: what an empty place is worth: less than any feature
        self.nothing = float(self.table.min()) - 1.0

    def value(self, S: np.ndarray) -> float:
        """Z(S)."""
        top = -np.partition(-self.table[:, S], self.n_wc - 1, axis=1)[:, : self.n_wc]
        return float(top.sum() + self.bias[S].sum() - self.penalty[np.ix_(S, S)].sum() / 2)

    def best_additions(self, S: np.ndarray, barred: np.ndarray) -> np.ndarray:
        """S filled up to ``n_f`` features, each the one that adds most."""
        kept = S.tolist()
        places = np.full((len(self.table), self.n_wc), self.nothing)
        if kept:
            inside = np.sort(self.table[:, kept], axis=1)[:, -self.n_wc :]
            places[:, -inside.shape[1] :] = inside
        cost = self.penalty[:, kept].sum(axis=1)
        rows = np.arange(len(places))
        while len(kept) < self.n_f:
            worst = places.argmin(axis=1)
            threshold = places[rows, worst]
            gain = np.maximum(self.table - threshold[:, None], 0.0).sum(axis=0) + self.bias - cost
            gain[kept], gain[barred] = -np.inf, -np.inf
            f = int(gain.argmax())
            kept.append(f)
            cost += self.penalty[f]
            places[rows, worst] = np.maximum(self.table[:, f], threshold)
        return np.array(kept)

    def swaps(self, S: np.ndarray) -> np.ndarray:
        """(n_f, pool): what Z gains if the k-th of S is exchanged for each other feature."""
        inside = self.table[:, S]
        order = np.argsort(-inside, axis=1, kind="stable")
        ranked = np.take_along_axis(inside, order, axis=1)
        threshold = ranked[:, self.n_wc - 1]
        following = ranked[:, self.n_wc] if self.n_f > self.n_wc else np.full(len(ranked), self.nothing)
        above = np.maximum(self.table - threshold[:, None], 0.0)
        gain = np.tile(above.sum(axis=0) + self.bias - self.penalty[S].sum(axis=0), (len(S), 1))
        gain += self.penalty[S] + (self.penalty[np.ix_(S, S)].sum(axis=1) - self.bias[S])[:, None]
        for k in range(len(S)):
            users = np.flatnonzero((order[:, : self.n_wc] == k).any(axis=1))
            instead = np.maximum(self.table[users], following[users, None]) - above[users]
            gain[k] += instead.sum(axis=0) - inside[users, k].sum()
        gain[:, S] = -np.inf
        return gain


def local_optimum(choice: Choice, S: np.ndarray, barred: np.ndarray | None = None) -> np.ndarray:
    """Greedy additions to S, then the best swap while there is one; in the pool's numbering."""
    S = choice.best_additions(S, np.empty(0, dtype=int) if barred is None else barred)
    while True:
        gain = choice.swaps(S)
        out, into = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[out, into] <= 1e-9:
            return S
        S[out] = into


def shaken(choice: Choice, selected: np.ndarray, shakes: int, rng: np.random.Generator, always: bool = False) -> np.ndarray:
    """The best local optimum met (or ``always`` the last) as feature numbers: bar some, fill the gap, swap."""
    S = local_optimum(choice, np.searchsorted(choice.pool, selected))
    best = choice.value(S)
    most = min(SHAKEN[1], len(S), len(choice.pool) - len(S))
    for _ in range(shakes if most > 0 else 0):
        out = rng.permutation(len(S))[: rng.integers(min(SHAKEN[0], most), most + 1)]
        other = local_optimum(choice, np.delete(S, out), S[out])
        value = choice.value(other)
        if always or value > best + 1e-9:
            S, best = other, value
    return choice.pool[S]
