r"""The program behind CHiQPM: which few features to keep, and which of them each class is made of.

A dense network has hundreds of pooled features and lets every class use all of them. CHiQPM keeps ``n_f`` features and builds
each of the ``C`` classes from exactly ``n_wc`` of them, with weight one. Which ones is decided once, by a program over
yes-or-no variables: ``s_f`` (feature ``f`` is kept) and ``W_cf`` (class ``c`` is made of feature ``f``). It maximises

.. math:: Z = \underbrace{\frac{1000}{n_{wc} C} \sum_{c, f} A_{fc} W_{cf}}_{Z_A}
          - \underbrace{\sum_{i < j} \tilde R_{ij} s_i s_j}_{-Z_R} + \underbrace{\sum_f b_f s_f}_{Z_B}

subject to

1. ``n_f`` features are kept, and a class uses only kept ones: :math:`\sum_f s_f = n_f`, :math:`W_{cf} \le s_f`;
2. every class has ``n_wc`` features: :math:`\sum_f W_{cf} = n_{wc}`;
3. no two classes have the same features;
4. each *similar pair* of classes shares all features but one: :math:`\sum_f W_{cf} W_{c'f} = n_{wc} - 1`. What is left over is
   the *pivot*: one feature on either side that tells the two apart.

Three constants come from the training data. ``A`` says how well a feature tracks a class (a correlation). ``R`` says how far
two features track the same classes (the cosine of their rows in ``A``), so that the second is redundant beside the first. ``b``
prefers features that look at one place. The similar pairs are the classes whose columns in ``A`` lie closest together.

**Which pairs can be met?** Write classes as points and subsets of ``n_wc`` out of ``n_f`` features as points too; join two
subsets that differ in one swap. The pairs ask for a copy of their graph among the subsets. Three things can go wrong, and each
is a proof:

- *Too many at once.* Classes that are all paired with each other either share one core of ``n_wc - 1`` features and differ in
  one petal each (a *sunflower*: at most ``n_f - n_wc + 1`` classes), or each leave out one of the same ``n_wc + 1`` features
  (at most ``n_wc + 1`` classes). There is no third way.
- *Too many around one.* A subset has ``n_wc (n_f - n_wc)`` neighbours, one for each swap.
- *Too many between two.* Two subsets have at most ``n_f - 2`` common neighbours if one swap apart, and 4 if two.

In the other direction, a connected group of at most ``n_f - n_wc + 1`` classes can always be met: put it into one sunflower,
where everybody is everybody's neighbour. Between these two lies a search, which :mod:`xailib.chiqpm.scalable` does.

Sources: CHiQPM (Norrenbrock et al., 2025), QPM (Norrenbrock et al., 2025), and the authors' released code for the constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import MeanShift

from xailib import _validation as check

__all__ = [
    "Program",
    "Solution",
    "build_program",
    "class_correlations",
    "locality_bias",
    "penalties",
    "redundancy",
    "redundancy_threshold",
    "similar_pairs",
]

#: largest preference for a local feature: 0.1 sqrt(10), beside A and R whose largest entries are 1
LARGEST_BIAS = 0.1 * np.sqrt(10)
#: the coverage term is this many times the mean entry of A that the classes use
COVERAGE_SCALE = 1000.0


# --- the constants ----------------------------------------------------------------------------------------------------


def class_correlations(X: Any, y: Any) -> np.ndarray:
    r"""How well every feature tracks every class: correlation with "is of class c", divided by the largest.

    .. math:: A_{fc} = \mathrm{corr}(x_f, \mathbf 1[y = c]) \Big/ \max_{f', c'} |\mathrm{corr}(x_{f'}, \mathbf 1[y = c'])|

    Parameters
    ----------
    X : array (n, F), pooled features of the training data, no NaN, no constant column
    y : (n,) class numbers 0 to C - 1; every class occurs

    Returns
    -------
    array (F, C), entries in [-1, 1]

    Raises
    ------
    ValueError
        If a feature is constant (it correlates with nothing: drop it) or a class number is missing.

    Notes
    -----
    Population moments. With very few pictures per class the largest entry can be one lucky feature, which makes all others small.
    Taught in chapter 16.

    Examples
    --------
    >>> class_correlations(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]), [0, 0, 1, 1])
    array([[ 1., -1.],
           [ 0.,  0.]])
    """
    features = check.array(X, "X", ndim=2)
    labels = _labels(y, len(features))
    centred = features - features.mean(axis=0)
    spread = centred.std(axis=0)
    flat = np.flatnonzero(spread <= 1e-12 * np.abs(features).max(axis=0, initial=1.0))
    if len(flat):
        some = check.listed(flat, width=60)
        raise ValueError(f"X has {len(flat)} constant features ({some}), which correlate with nothing: drop these columns.")
    share = np.bincount(labels) / len(labels)
    sums = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels))))) @ centred
    correlation = (sums / len(labels)).T / spread[:, None] / np.sqrt(share * (1 - share))
    return correlation / np.abs(correlation).max()


def _labels(y: Any, n: int) -> np.ndarray:
    labels = check.array(y, "y", ndim=1, length=n)
    if (labels != np.floor(labels)).any() or labels.min() < 0:
        raise ValueError("y must hold class numbers 0, 1, 2, ...: encode the classes first.")
    labels = labels.astype(int)
    missing = np.setdiff1d(np.arange(labels.max() + 1), labels)
    if len(missing):
        raise ValueError(f"y has no row of class {check.listed(missing, width=60)}: number the classes without gaps.")
    if labels.max() == 0:
        raise ValueError("y holds a single class: there is nothing to tell apart.")
    return labels


def redundancy(A: Any) -> np.ndarray:
    r"""How far two features track the same classes: the cosine of their rows in ``A``, negative ones cut to 0.

    .. math:: R_{ij} = \max\Big(0, \frac{A_i \cdot A_j}{\|A_i\| \|A_j\|}\Big) \Big/ \max_{k < l} R_{kl}, \qquad i < j

    Parameters
    ----------
    A : array (F, C) of :func:`class_correlations`

    Returns
    -------
    array (F, F), entries in [0, 1] above the diagonal, 0 elsewhere

    Notes
    -----
    Of class profiles, not of activations: two features that fire on different pictures of the same classes are redundant here.
    Taught in chapter 16.
    """
    profiles = check.array(A, "A", ndim=2)
    length = np.linalg.norm(profiles, axis=1, keepdims=True)
    unit = profiles / np.where(length > 0, length, 1.0)
    R = np.triu(np.maximum(unit @ unit.T, 0.0), k=1)
    return R / (R.max() or 1.0)


def redundancy_threshold(R: Any, n_features: int) -> float:
    """The smallest threshold at which a greedy search still finds ``n_features`` features with all redundancies below it.

    Parameters
    ----------
    R : array (F, F) of :func:`redundancy`
    n_features : int, how many features shall be kept

    Returns
    -------
    float; ``inf`` if only all pairs together would do (``n_features`` = F and every pair is redundant)

    Notes
    -----
    So the penalty can be avoided, though perhaps at a price. Finding the largest such set is NP-hard, and the published code uses
    a heuristic as well. Ours takes, again and again, the feature with the fewest redundant partners among those left, and bisects
    the threshold. Taught in chapter 16.
    """
    both = _upper(R, "R")
    both = both + both.T
    check.number(n_features, "n_features", low=1, high=len(both), integer=True)
    levels = np.append(np.unique(both[both > 0]), np.inf)
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        if _size_without(both >= levels[middle]) >= n_features:
            high = middle
        else:
            low = middle + 1
    return float(levels[low])


def _size_without(redundant: np.ndarray) -> int:
    """Size of a set of features no two of which are redundant: fewest partners first."""
    partners, left, size = redundant.sum(axis=1).astype(float), np.ones(len(redundant), dtype=bool), 0
    while left.any():
        taken = int(np.where(left, partners, np.inf).argmin())
        gone = left & redundant[taken]
        gone[taken] = True
        partners -= redundant[:, gone].sum(axis=1)
        left &= ~gone
        size += 1
    return size


def penalties(R: Any, threshold: float) -> np.ndarray:
    r"""What it costs to keep both of two features: redundancies from ``threshold`` on, rescaled; others cost nothing.

    .. math:: \tilde R_{ij} = \frac{R_{ij} - \min_{R > 0} R}{\max R - \min_{R > 0} R} \quad\text{if } R_{ij} \ge \epsilon

    Parameters
    ----------
    R : array (F, F) of :func:`redundancy`
    threshold : float, at least 0; ``inf`` switches the term off

    Returns
    -------
    array (F, F), above the diagonal

    Notes
    -----
    Taught in chapter 16.
    """
    R = _upper(R, "R")
    if not (isinstance(threshold, float) and threshold == np.inf):
        check.number(threshold, "threshold", low=0)
    positive = R[R > 0]
    if len(positive) == 0 or positive.max() == positive.min():
        return np.where((R > 0) & (threshold <= R), 1.0, 0.0)
    scaled = (R - positive.min()) / (positive.max() - positive.min())
    return np.where(threshold <= R, np.maximum(scaled, 0.0), 0.0)


def _upper(R: Any, name: str) -> np.ndarray:
    """A square table with nothing on or below the diagonal and nothing negative."""
    values = check.array(R, name, ndim=2)
    if values.shape[0] != values.shape[1] or np.tril(values).any() or values.min() < 0:
        raise ValueError(f"{name} must be square, 0 on and below the diagonal and nowhere negative: use redundancy(A).")
    return values


def locality_bias(maps: Any) -> np.ndarray:
    r"""A preference for features that look at one place, and not at the border.

    .. math:: b_f \propto \frac1n \sum_i \max_{pos} \mathrm{softmax}(M_{if}) \cdot \frac{x_{if}}{\sum_{f'} x_{if'}}, \qquad
              x_{if} = \mathrm{mean}_{pos}\, M_{if}

    Outliers are clipped to the range of the largest MeanShift cluster. Features whose peak lies on the border more often than the
    average feature's, weighted by activation, get the smallest value. The mean is 0 and the largest size 0.1 sqrt(10).

    Parameters
    ----------
    maps : array (n, F, height, width), rectified feature maps, at least 3 x 3

    Returns
    -------
    array (F,)

    Notes
    -----
    All passes see the same pictures; in the published code each sees its own random augmentation. Taught in chapter 16.
    """
    maps = check.images(maps, "maps").astype(float, copy=False)
    if min(maps.shape[2:]) < 3:
        raise ValueError(f"maps must be at least 3 x 3, or every position lies on the border, but they are {maps.shape[2:]}.")
    if maps.min() < 0:
        raise ValueError("maps must not be negative: take them after the rectifier.")
    activation = maps.mean(axis=(2, 3))
    total = activation.sum(axis=1, keepdims=True)
    share = np.divide(activation, total, out=np.zeros_like(activation), where=total > 0)
    flat = maps.reshape(*maps.shape[:2], -1)
    peak = 1 / np.exp(flat - flat.max(axis=2, keepdims=True)).sum(axis=2)
    b = _centred(_without_outliers((peak * share).mean(axis=0)))
    b[_at_the_border(flat.argmax(axis=2), activation, maps.shape[2:])] = b.min()
    return _centred(b)


def _without_outliers(values: np.ndarray) -> np.ndarray:
    """Values clipped to the range of their largest cluster."""
    if np.ptp(values) == 0:
        return values
    scaled = ((values - values.mean()) / values.std())[:, None]
    cluster = MeanShift().fit_predict(scaled)
    members = values[cluster == np.bincount(cluster).argmax()]
    return np.clip(values, members.min(), members.max())


def _at_the_border(peak: np.ndarray, activation: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Features that peak on the border more often than the average one does."""
    row, column = np.divmod(peak, shape[1])
    border = (row == 0) | (row == shape[0] - 1) | (column == 0) | (column == shape[1] - 1)
    total = activation.sum(axis=0)
    rate = np.divide((border * activation).sum(axis=0), total, out=np.ones(len(total)), where=total > 0)
    return rate > rate.mean()


def _centred(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    largest = np.abs(values).max()
    return values * (LARGEST_BIAS / largest) if largest > 1e-15 else np.zeros_like(values)


def similar_pairs(A: Any, density: float = 0.5) -> tuple[tuple[int, int], ...]:
    r"""The ``int(density * C)`` pairs of classes whose columns in ``A`` lie closest together (Euclidean distance).

    Parameters
    ----------
    A : array (F, C) of :func:`class_correlations`
    density : float (the paper's rho), pairs per class: 0.5 asks for half as many pairs as there are classes

    Returns
    -------
    tuple of (c, c') with c < c', closest first; ties by class number

    Notes
    -----
    A distance is small for two classes that are alike, and also for two that no feature tracks. Taught in chapter 16.

    Examples
    --------
    >>> similar_pairs(np.array([[0.0, 0.1, 1.0, 0.9]]), density=0.25)
    ((0, 1),)
    """
    columns = check.array(A, "A", ndim=2).T
    n_classes = len(columns)
    check.number(density, "density", low=0)
    wanted, there = int(density * n_classes), comb(n_classes, 2)
    if wanted > there:
        raise ValueError(f"density {density:g} asks for {wanted} pairs, but {n_classes} classes form only {there}: lower it.")
    square = (columns**2).sum(axis=1)
    first, second = np.triu_indices(n_classes, k=1)
    distance = (square[:, None] + square - 2 * columns @ columns.T)[first, second]
    closest = np.argsort(distance, kind="stable")[:wanted]
    return tuple((int(first[k]), int(second[k])) for k in closest)


# --- the program and its solutions --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Program:
    """A program to solve; a request that can be seen to be infeasible is refused here, with the reason.

    Attributes
    ----------
    A : (F, C), how well features track classes
    n_features : int, how many features to keep (the paper's n_f)
    n_per_class : int, how many features a class is made of (n_wc)
    pairs : pairs of class numbers (c, c'), each to share all features but one
    R : (F, F) above the diagonal, what it costs to keep two features together (R~); None for nothing
    b : (F,), preference for single features; None for none
    weights : of the three terms coverage, redundancy, bias
    """

    A: np.ndarray
    n_features: int
    n_per_class: int
    pairs: tuple[tuple[int, int], ...] = ()
    R: np.ndarray | None = None
    b: np.ndarray | None = None
    weights: Sequence[float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        A = check.array(self.A, "A", ndim=2)
        _set(self, A=A)
        check.number(self.n_features, "n_features", low=1, integer=True)
        check.number(self.n_per_class, "n_per_class", low=1, integer=True)
        if len(A) < self.n_features:
            raise ValueError(f"n_features is {self.n_features}, but A has only {len(A)} features (rows): ask for fewer.")
        if self.n_per_class > self.n_features:
            raise ValueError(f"n_per_class is {self.n_per_class}, but only n_features = {self.n_features} are kept: lower it.")
        R = np.zeros((len(A), len(A))) if self.R is None else _upper(self.R, "R")
        b = np.zeros(len(A)) if self.b is None else check.array(self.b, "b", ndim=1)
        for name, values in {"R": R, "b": b}.items():
            if len(values) != len(A):
                raise ValueError(f"{name} is about {len(values)} features, but A has {len(A)}: all three need the same ones.")
        weights = check.array(self.weights, "weights", ndim=1, length=3)
        if weights.min() < 0 or weights[0] == 0:
            raise ValueError(f"weights must not be negative, and the first (coverage) not 0, but they are {self.weights}.")
        _set(self, R=R, b=b, pairs=_pairs(self.pairs, A.shape[1]), weights=tuple(weights.tolist()))
        refuse_infeasible(self.n_classes, self.n_features, self.n_per_class, self.pairs)

    @property
    def n_classes(self) -> int:
        """Number of classes, the columns of ``A``."""
        return self.A.shape[1]

    @property
    def coverage(self) -> np.ndarray:
        """What class c gains from feature f, (F, C): ``A`` times weight times 1000 / (n_wc C)."""
        return self.weights[0] * COVERAGE_SCALE / (self.n_per_class * self.n_classes) * self.A

    @property
    def penalty(self) -> np.ndarray:
        """What it costs to keep i and j together, (F, F) symmetric, weight included."""
        upper = self.weights[1] * np.asarray(self.R)
        return upper + upper.T

    @property
    def bias(self) -> np.ndarray:
        """What keeping f adds by itself, (F,), weight included."""
        return self.weights[2] * np.asarray(self.b)

    def objective(self, selected: Any, W: Any) -> dict[str, float]:
        """``Z`` and its terms ``Z_A``, ``Z_R``, ``Z_B``, weights included, of a selection and an assignment (feasible or not).

        Parameters
        ----------
        selected : (k,) feature numbers
        W : (C, k) bool, which of the selected features each class is made of
        """
        chosen, W = self._checked(selected, W)
        Z_A = float((self.coverage[chosen].T * W).sum())
        Z_R = -float(self.weights[1] * np.asarray(self.R)[np.ix_(chosen, chosen)].sum())
        Z_B = float(self.bias[chosen].sum())
        return {"Z": Z_A + Z_R + Z_B, "Z_A": Z_A, "Z_R": Z_R, "Z_B": Z_B}

    def violations(self, selected: Any, W: Any) -> list[str]:
        """Every constraint that a selection and an assignment break, one sentence each; an empty list says: feasible.

        Parameters
        ----------
        selected : (k,) feature numbers
        W : (C, k) bool, which of the selected features each class is made of
        """
        chosen, W = self._checked(selected, W)
        found = []
        if len(chosen) != self.n_features:
            found.append(f"{len(chosen)} features are kept, not {self.n_features}.")
        size = W.sum(axis=1)
        wrong = np.flatnonzero(size != self.n_per_class)
        found += [f"Class {c} has {size[c]} features, not {self.n_per_class}." for c in wrong]
        which = np.unique(W, axis=0, return_inverse=True)[1].ravel()
        alike = [np.flatnonzero(which == k) for k in np.flatnonzero(np.bincount(which) > 1)]
        found += [f"Classes {check.listed(group)} have the same features." for group in alike]
        shared = {(c, d): int((W[c] & W[d]).sum()) for c, d in self.pairs}
        expected = self.n_per_class - 1
        found += [f"Classes {c} and {d} share {k} features, not {expected}." for (c, d), k in shared.items() if k != expected]
        return found

    def _checked(self, selected: Any, W: Any) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.atleast_1d(check.positions(selected, "selected", len(self.A), "feature"))
        if len(np.unique(chosen)) < len(chosen):
            raise ValueError("selected names a feature twice: every feature can be kept once.")
        used = check.array(W, "W", ndim=2)
        if used.shape != (self.n_classes, len(chosen)) or not np.isin(used, (0, 1)).all():
            shape = self.n_classes, len(chosen)
            raise ValueError(f"W must hold True or False in shape (classes, selected features), {shape}, not {used.shape}.")
        return chosen, used.astype(bool)

    def __repr__(self) -> str:
        return (
            f"Program({self.n_classes} classes x {len(self.A)} features: keep {self.n_features}, {self.n_per_class} per class, "
            f"{len(self.pairs)} similar pairs, {np.count_nonzero(self.penalty) // 2} redundant pairs of features)"
        )


def _set(frozen: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


@dataclass(frozen=True, eq=False)
class Solution:
    """Kept features, the classes made of them, and what is proved about both.

    Attributes
    ----------
    program : the :class:`Program` it solves; no constraint is broken
    selected : (n_f,) feature numbers, ascending
    W : (C, n_f) bool, which of the selected features each class is made of
    objective : Z; its terms are ``Z_A``, ``Z_R``, ``Z_B``
    bound : no feasible solution has a larger Z (proved)
    method : how it was found
    details : what only this method has
    """

    program: Program
    selected: np.ndarray
    W: np.ndarray
    objective: float
    Z_A: float
    Z_R: float
    Z_B: float
    bound: float
    method: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """(bound - Z) / Z_A: at most this share of the coverage term can still be gained."""
        return max(0.0, self.bound - self.objective) / self.Z_A if self.Z_A > 0 else np.inf

    @property
    def optimal(self) -> bool:
        """Whether the solution is proved to be optimal (gap at most 1e-6)."""
        return self.gap <= 1e-6

    def assignment(self) -> np.ndarray:
        """(C, F) bool: the same as ``W``, over all features."""
        full = np.zeros((self.program.n_classes, len(self.program.A)), dtype=bool)
        full[:, self.selected] = self.W
        return full

    def features_of(self, c: int) -> np.ndarray:
        """Feature numbers of a class."""
        return self.selected[self.W[self._class(c, "c")]]

    def shared(self, c: int, d: int) -> np.ndarray:
        """Feature numbers that two classes share."""
        return self.selected[self.W[self._class(c, "c")] & self.W[self._class(d, "d")]]

    def pivots(self, c: int, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Feature numbers that only class ``c`` has, and those that only class ``d`` has: what tells the two apart."""
        ours, theirs = self.W[self._class(c, "c")], self.W[self._class(d, "d")]
        return self.selected[ours & ~theirs], self.selected[theirs & ~ours]

    def _class(self, c: int, name: str) -> int:
        return int(check.number(c, name, low=0, high=len(self.W) - 1, integer=True))

    def __repr__(self) -> str:
        proved = "optimal" if self.optimal else f"gap at most {self.gap:.2%}"
        return (
            f"Solution({self.method}: Z = {self.objective:.4f} = {self.Z_A:.4f} (coverage) {self.Z_R:+.4f} (redundancy) "
            f"{self.Z_B:+.4f} (bias), bound {self.bound:.4f}, {proved})"
        )


def solution_of(program: Program, selected: np.ndarray, W: np.ndarray, bound: float, method: str, **details: Any) -> Solution:
    """A solution with its features in ascending order and its objective computed afresh; an infeasible one is a bug."""
    order = np.argsort(selected)
    selected, W = np.asarray(selected)[order], np.asarray(W)[:, order]
    broken = program.violations(selected, W)
    if broken:
        raise AssertionError(f"the solver broke a constraint: {broken[0]}")
    terms = program.objective(selected, W)
    Z = terms.pop("Z")
    return Solution(program, selected, W, Z, **terms, bound=max(bound, Z), method=method, details=details)


def build_program(
    X: Any,
    y: Any,
    *,
    n_features: int,
    n_per_class: int,
    density: float = 0.5,
    maps: Any = None,
    threshold: Any = "clique",
    weights: Sequence[float] = (1.0, 1.0, 1.0),
) -> Program:
    """The program of a training set: constants ``A``, ``R`` and ``b``, and the similar pairs.

    Parameters
    ----------
    X : array (n, F), pooled features of the training data
    y : (n,) class numbers
    n_features, n_per_class : int, how many features to keep, and how many make a class
    density : float (rho), similar pairs per class; 0 for none
    maps : array (n, F, height, width), optional
        Feature maps for the locality bias; without them there is none.
    threshold : "clique" or float
        Redundancies below it cost nothing. ``"clique"``: :func:`redundancy_threshold`; 0: all pairs count; ``inf``: none does.
    weights : of coverage, redundancy and bias

    Returns
    -------
    Program

    Raises
    ------
    ValueError, TypeError
        If the data are bad or the request is infeasible; the message says why.

    Notes
    -----
    The coverage term is at most 1000 whatever the size, but the redundancies grow with the number of kept pairs: 1225 for 50
    features, 45 for 10. In a small program coverage therefore weighs more; ``weights`` can undo that. Taught in chapter 16.
    """
    A = class_correlations(X, y)
    check.number(n_features, "n_features", low=1, integer=True)
    if n_features > len(A):
        raise ValueError(f"n_features is {n_features}, but X has only {len(A)} features: ask for fewer.")
    b = None if maps is None else locality_bias(maps)
    if b is not None and len(b) != len(A):
        raise ValueError(f"maps show {len(b)} features, but X has {len(A)}: give the maps of the same features.")
    if isinstance(threshold, str):
        check.one_of(threshold, "threshold", ["clique"])
    R = redundancy(A)
    R = penalties(R, redundancy_threshold(R, n_features) if isinstance(threshold, str) else threshold)
    return Program(A, n_features, n_per_class, similar_pairs(A, density), R, b, weights)


# --- which requests are infeasible --------------------------------------------------------------------------------------


def _pairs(pairs: Any, n_classes: int) -> tuple[tuple[int, int], ...]:
    """Pairs (c, d) with c < d, each once."""
    try:
        given = np.asarray(list(pairs) if not isinstance(pairs, np.ndarray) else pairs)
    except (TypeError, ValueError):
        given = np.empty(0, dtype=object)
    if given.size == 0 and isinstance(pairs, Iterable) and not isinstance(pairs, str):
        return ()
    if given.dtype.kind not in "iu" or given.ndim != 2 or given.shape[1] != 2:
        raise TypeError(f"pairs must be pairs of class numbers (c, d), not {check.shown(pairs)}.")
    if given.min() < 0 or given.max() >= n_classes:
        worst = given.max() if given.min() >= 0 else given.min()
        raise ValueError(f"pairs must name classes 0 to {n_classes - 1}, but one names {worst}.")
    same = given[given[:, 0] == given[:, 1]]
    if len(same):
        raise ValueError(f"pairs contradict themselves: class {same[0, 0]} can not differ from itself.")
    ordered = dict.fromkeys((int(min(c, d)), int(max(c, d))) for c, d in given)
    return tuple(ordered)


def refuse_infeasible(n_classes: int, n_features: int, n_per_class: int, pairs: Sequence[tuple[int, int]]) -> None:
    """Raise with the reason if counting alone shows that no solution exists (the module's text gives the arguments)."""
    subsets = comb(n_features, n_per_class)
    if n_classes > subsets:
        raise ValueError(
            f"n_features = {n_features} and n_per_class = {n_per_class} give only {subsets} distinct subsets, "
            f"too few to tell {n_classes} classes apart: raise n_features."
        )
    if not pairs:
        return
    partners = neighbours(n_classes, pairs)
    around = n_per_class * (n_features - n_per_class)
    request = f"with n_features = {n_features} and n_per_class = {n_per_class}"
    hub = max(range(n_classes), key=lambda c: len(partners[c]))
    if len(partners[hub]) > around:
        raise ValueError(
            f"pairs contradict each other: class {hub} has {len(partners[hub])} partners, at most {around} fit {request}."
        )
    for c, d in _close(partners):
        common, between = len(partners[c] & partners[d]), max(n_features - 2, 0 if d in partners[c] else 4)
        if common > between:
            raise ValueError(
                f"pairs contradict each other: classes {c} and {d} share {common} partners, at most {between} fit {request}."
            )
    largest = max(n_features - n_per_class + 1, n_per_class + 1) if n_features > n_per_class else 1
    clique = _clique(partners, min(largest, n_features) + 1)
    if clique:
        raise ValueError(
            f"pairs contradict each other: classes {check.listed(sorted(clique), width=80)} are all similar to each other, "
            f"at most {len(clique) - 1} such classes fit {request}."
        )


def neighbours(n_classes: int, pairs: Sequence[tuple[int, int]]) -> list[set[int]]:
    """For every class the set of its partners."""
    partners: list[set[int]] = [set() for _ in range(n_classes)]
    for c, d in pairs:
        partners[c].add(d)
        partners[d].add(c)
    return partners


def components(n_classes: int, pairs: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Groups of classes that the pairs connect, largest first; a class without partners is a group of its own."""
    first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = csr_matrix((np.ones(len(first)), (first, second)), shape=(n_classes, n_classes))
    n_groups, label = connected_components(graph, directed=False)
    groups = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label, minlength=n_groups))[:-1])
    return sorted(groups, key=len, reverse=True)


def _close(partners: list[set[int]]) -> set[tuple[int, int]]:
    """Pairs of classes that have a partner in common."""
    return {(c, d) for middle in partners for c in middle for d in middle if c < d}


def core_numbers(partners: list[set[int]], nodes: Iterable[int]) -> tuple[list[int], dict[int, int]]:
    """Classes in the order of peeling off the one with the fewest partners left, and how many that were at most so far."""
    left = {c: len(partners[c]) for c in nodes}
    order: list[int] = []
    core: dict[int, int] = {}
    deepest = 0
    while left:
        c = min(left, key=lambda x: (left[x], x))
        deepest = max(deepest, left.pop(c))
        order.append(c)
        core[c] = deepest
        for d in partners[c]:
            if d in left:
                left[d] -= 1
    return order, core


def _clique(partners: list[set[int]], size: int) -> set[int]:
    """``size`` classes that are all partners of each other, or nothing: only classes deep enough in the graph are looked at."""
    _, core = core_numbers(partners, range(len(partners)))
    deep = {c for c, k in core.items() if k >= size - 1}

    def grow(clique: set[int], candidates: set[int]) -> set[int]:
        if len(clique) == size:
            return clique
        if len(clique) + len(candidates) < size:
            return set()
        pivot = max(candidates, key=lambda c: len(partners[c] & candidates))
        for c in sorted(candidates - partners[pivot]):
            found = grow(clique | {c}, candidates & partners[c])
            if found:
                return found
            candidates = candidates - {c}
        return set()

    return grow(set(), deep) if len(deep) >= size else set()
