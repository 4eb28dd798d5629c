"""Upper bounds for the program: what no selection of features can beat, whatever it does (see scalable.py for the argument)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xailib.chiqpm.program import Program, neighbours

#: features whose redundancy is priced, and rank of the price
MOST_PRICED, RANK, FIRST_GUESS = 640, 64, 0.1
CHECK_EVERY = 25


@dataclass
class Prices:
    """The multipliers; every choice of them gives a valid bound."""

    per_class: np.ndarray  # lambda (C,): price of one of a class's n_wc places
    shared: np.ndarray  # nu (C,): reward for a feature that a class shares with its parent in the forest
    shape: np.ndarray  # U (F, r): U U^T stands in for the penalties
    point: np.ndarray  # y (r,): where the convex function of s is linearised, y = U^T s
    shift: np.ndarray  # w (F,): w_i + w_j is added to U_i . U_j

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.per_class, self.shared, self.shape, self.point, self.shift))

    def copy(self) -> Prices:
        """The same numbers in new arrays."""
        return Prices(*(a.copy() for a in self))


class Forest:
    """A spanning forest of the pair graph: for each class its parent, with levels from the leaves up."""

    def __init__(self, program: Program) -> None:
        partners = neighbours(program.n_classes, program.pairs)
        self.parent, depth = np.full(program.n_classes, -1), np.zeros(program.n_classes, dtype=int)
        seen: set[int] = set()
        for root in sorted(range(program.n_classes), key=lambda c: -len(partners[c])):
            queue = [] if root in seen else [root]
            seen.add(root)
            for c in queue:
                for d in sorted(partners[c] - seen):
                    self.parent[d], depth[d] = c, depth[c] + 1
                    seen.add(d)
                    queue.append(d)
        self.child, self.root = np.flatnonzero(self.parent >= 0), np.flatnonzero(self.parent < 0)
        self.levels = [self._level(np.flatnonzero((self.parent >= 0) & (depth == d))) for d in range(depth.max(), 0, -1)]

    def _level(self, children: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Children sorted by parent, where each parent's children start, and those parents."""
        children = children[np.argsort(self.parent[children], kind="stable")]
        parents, starts = np.unique(self.parent[children], return_index=True)
        return children, starts, parents

    def best(self, gain: np.ndarray, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""For every feature (column) the best set of classes to give it to: dynamic programming from the leaves to the roots.

        .. math:: h_f = \max_{w \in \{0, 1\}^C} \sum_c gain_{cf} w_c + \sum_{c \text{ child}} shared_c w_c w_{parent(c)}
        """
        without, with_ = np.zeros_like(gain), gain
        for children, starts, parents in self.levels:
            stays, goes = without[children], with_[children]
            up_without, up_with = np.maximum(stays, goes), np.maximum(stays, goes + shared[children, None])
            without[parents] += np.add.reduceat(up_without, starts, axis=0)
            with_[parents] += np.add.reduceat(up_with, starts, axis=0)
        return np.maximum(without[self.root], with_[self.root]).sum(axis=0), without, with_

    def classes(self, without: np.ndarray, with_: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """The maximising w of :meth:`best`, (C, columns) bool, from the roots to the leaves."""
        w = with_ > without
        for children, _, _ in self.levels[::-1]:
            w[children] = with_[children] + shared[children, None] * w[self.parent[children]] > without[children]
        return w


class Bound:
    """The dual function of a program: value and slope at given prices."""

    def __init__(self, program: Program) -> None:
        self.program, self.forest = program, Forest(program)
        self.coverage, self.penalty, self.bias = np.ascontiguousarray(program.coverage.T), program.penalty, program.bias
        self.priced = bool(self.penalty.any())
        self.all = np.arange(len(self.bias))
        self._rows, self._part = self.all, (self.coverage, self.penalty)

    def start(self, selected: np.ndarray) -> Prices:
        """Prices at which a class would just not buy a further feature of ``selected``; redundancy free of charge."""
        C, F = self.coverage.shape
        n_wc = self.program.n_per_class
        inside = np.sort(self.coverage[:, selected], axis=1)
        price = inside[:, -n_wc] if len(selected) == n_wc else (inside[:, -n_wc] + inside[:, -n_wc - 1]) / 2
        return Prices(price.copy(), np.zeros(C), np.zeros((F, RANK)), np.zeros(RANK), np.zeros(F))

    def price_redundancy(self, prices: Prices, rows: np.ndarray, selected: np.ndarray) -> None:
        """Fill in a first guess: a part of the leading eigenvectors of the penalties among ``rows``."""
        size, vectors = np.linalg.eigh(self.penalty[np.ix_(rows, rows)])
        rank = min(RANK, len(rows))
        prices.shape[rows, :rank] = FIRST_GUESS * vectors[:, -rank:] * np.sqrt(np.maximum(size[-rank:], 0.0))
        prices.point[:] = prices.shape[selected].sum(axis=0)

    def value(self, prices: Prices) -> tuple[float, np.ndarray]:
        """The bound, over all features, and the features that attain it."""
        return self._evaluate(prices, self.all)[:2]

    def unpriced(self, prices: Prices) -> np.ndarray:
        """(F,) worth of every feature before any redundancy is paid."""
        return self.forest.best(self.coverage - prices.per_class[:, None], prices.shared)[0] + self.bias

    def slope(self, prices: Prices, rows: np.ndarray) -> Prices:
        """A subgradient of the bound over ``rows``."""
        _, top, (place, without, with_, excess) = self._evaluate(prices, rows)
        n_f, n_wc, child = self.program.n_features, self.program.n_per_class, self.forest.child
        given = self.forest.classes(without[:, place], with_[:, place], prices.shared)
        slope = Prices(*(np.zeros_like(a) for a in prices))
        slope.per_class[:] = n_wc - given.sum(axis=1)
        slope.shared[child] = (given[child] & given[self.forest.parent[child]]).sum(axis=1) - (n_wc - 1)
        if self.priced:
            U, paid = prices.shape[rows], 0.5 * _largest(excess[place], n_f - 1)
            slope.shape[rows] = paid.T @ U[place]
            slope.shape[top] += U[place] + paid @ U - prices.point
            slope.point[:] = prices.point - U[place].sum(axis=0)
            slope.shift[rows] = paid.sum(axis=0)
            slope.shift[top] += paid.sum(axis=1) - (n_f - 1)
        return slope

    def _evaluate(self, prices: Prices, rows: np.ndarray) -> tuple[float, np.ndarray, tuple[np.ndarray, ...]]:
        n_f, n_wc = self.program.n_features, self.program.n_per_class
        coverage, penalty = self._slices(rows)
        worth, without, with_ = self.forest.best(coverage - prices.per_class[:, None], prices.shared)
        worth += self.bias[rows]
        excess = np.zeros((0, 0))
        if self.priced:
            U, shift = prices.shape[rows], prices.shift[rows]
            excess = U @ U.T
            own = excess.diagonal().copy()
            excess += shift[:, None] + shift - penalty
            np.fill_diagonal(excess, 0.0)
            np.maximum(excess, 0.0, out=excess)
            worth += 0.5 * own - U @ prices.point - (n_f - 1) * shift
            if n_f > 1:
                worth += 0.5 * np.partition(excess, -(n_f - 1), axis=1)[:, -(n_f - 1) :].sum(axis=1)
        place = np.argpartition(worth, -n_f)[-n_f:]
        constant = n_wc * prices.per_class.sum() - (n_wc - 1) * prices.shared[self.forest.child].sum()
        bound = constant + 0.5 * prices.point @ prices.point + worth[place].sum()
        return float(bound), rows[place], (place, without, with_, excess)

    def _slices(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coverage and penalties of some features; those of the last call are kept."""
        if rows is self.all:
            return self.coverage, self.penalty
        if rows is not self._rows:
            self._rows, self._part = rows, (self.coverage[:, rows].copy(), self.penalty[np.ix_(rows, rows)])
        return self._part


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Which entries are among the k largest of their row, and positive."""
    if k == 0:
        return np.zeros(values.shape, dtype=bool)
    return (values >= np.partition(values, -k, axis=1)[:, [-k]]) & (values > 0)


def minimise(bound: Bound, selected: np.ndarray, steps: int) -> tuple[float, Prices, np.ndarray]:
    """The lowest bound met in ``steps`` steps downhill (Adam), its prices, and the features that attain it.

    Most features are never worth keeping. Steps look at the most valuable ones only; every bound that counts is over all.
    """
    prices = bound.start(selected)
    scale = float(np.abs(prices.per_class).mean()) or 1.0
    rates = (0.005 * scale, 0.005 * scale, 0.004, 0.05, 2e-5) if bound.priced else (0.02 * scale,) * 5
    mean, square = (Prices(*(np.zeros_like(a) for a in prices)) for _ in range(2))
    value, top = bound.value(prices)
    best = value, prices.copy(), top
    rows = bound.all
    for step in range(1, steps + 1):
        if step % CHECK_EVERY == 1:
            most = MOST_PRICED if bound.priced else 8 * bound.program.n_features
            rows = np.sort(np.argsort(-bound.unpriced(prices), kind="stable")[:most])
            if step == 1 and bound.priced:
                bound.price_redundancy(prices, rows, selected)
        slope = bound.slope(prices, rows)
        decay = 0.5 * (1 + np.cos(np.pi * step / (steps + 1)))
        for a, g, m, s, rate in zip(prices, slope, mean, square, rates, strict=True):
            m += 0.1 * (g - m)
            s += 0.01 * (g * g - s)
            a -= rate * decay * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.99**step)) + 1e-9)
        if step % CHECK_EVERY == 0 or step == steps:
            value, top = bound.value(prices)
            if value < best[0]:
                best = value, prices.copy(), top
    return best
