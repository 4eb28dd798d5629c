"""Toys: functions and games so small that the right explanation fits on one line.

A :class:`Toy` is a function of random inputs (:func:`linear`, :func:`redundant_pair`, :func:`suppressor`, :func:`additive`,
:func:`xor`, :func:`gaussian_product`). A :class:`Game` gives a worth to every coalition of players (:func:`glove`,
:func:`airport`, :func:`weighted_majority`, :func:`unanimity`, :func:`switches`). Both carry their answers in closed form, each
for a stated estimand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.results import Attribution
from xailib.worlds._tabular import exact_shapley

__all__ = [
    "Game",
    "Toy",
    "additive",
    "airport",
    "exact_shapley",
    "gaussian_product",
    "glove",
    "linear",
    "redundant_pair",
    "suppressor",
    "switches",
    "unanimity",
    "weighted_majority",
    "xor",
]


@dataclass(frozen=True, eq=False)
class Toy:
    """A function of random inputs with its explanations in closed form; build one with the functions of this module.

    Attributes
    ----------
    name : str
    n_features : int, p; features are numbered from 0
    draw : function, (n, Generator) -> (n, p), rows of the population
    predict : function, (n, p) -> (n,), the oracle; ``y`` of a toy is its value plus noise, if any, that nothing depends on
    mean : float, mean of ``predict`` over the population
    importance_formula : function of a list of features
    pdp_formula, ale_formula : functions of a feature and a grid
    shares_formula : function of the rows to explain
    """

    name: str
    n_features: int
    draw: Callable[[int, np.random.Generator], np.ndarray]
    predict: Callable[[np.ndarray], np.ndarray]
    mean: float
    importance_formula: Callable[[list[int]], float]
    pdp_formula: Callable[[int, np.ndarray], np.ndarray]
    ale_formula: Callable[[int, np.ndarray], np.ndarray]
    shares_formula: Callable[[np.ndarray], np.ndarray]

    def sample(self, n: int, random_state: Any = 0) -> np.ndarray:
        """``n`` independent rows of the population, shape (n, p)."""
        check.number(n, "n", low=1, integer=True)
        return self.draw(n, check.random_generator(random_state))

    def permutation_importance(self, *features: int) -> float:
        """Expected rise of the mean squared error when these features are drawn anew, together, from their population."""
        if not features:
            raise ValueError("features is empty: name at least one feature to shuffle.")
        group = [self._feature(j) for j in features]
        if len(set(group)) < len(group):
            raise ValueError(f"features must name each feature once, not {features!r}.")
        return float(self.importance_formula(group))

    def pdp(self, feature: int, grid: Any) -> np.ndarray:
        """Population partial dependence E f(x_j, X_-j) at the grid points, shape (k,)."""
        return self.pdp_formula(self._feature(feature), check.array(grid, "grid", ndim=1))

    def ale(self, feature: int, grid: Any) -> np.ndarray:
        """Population accumulated local effect at the grid points, centred to mean zero over the population, shape (k,)."""
        return self.ale_formula(self._feature(feature), check.array(grid, "grid", ndim=1))

    def shapley(self, X: np.ndarray) -> Attribution:
        """Exact Shapley values, marginal: unknown features are drawn from the population, independently of the known ones."""
        X = check.array(X, "X", ndim=2)
        if X.shape[1] != self.n_features:
            raise ValueError(f"X must have {self.n_features} columns for the toy {self.name!r}, but its shape is {X.shape}.")
        names = [f"x{j}" for j in range(self.n_features)]
        return Attribution(self.shares_formula(X), self.mean, self.predict(X), names, X, "exact Shapley, marginal")

    def _feature(self, feature: int) -> int:
        return check.number(feature, "feature", low=0, high=self.n_features - 1, integer=True)


def linear(weights: Sequence[float] = (2.0, -1.0, 0.0), covariance: Any = None) -> Toy:
    r"""A weighted sum of normal features with mean zero: :math:`f(x) = w^\top x`.

    Shuffling the features g costs :math:`2\,w_g^\top C_{gg} w_g`; PDP, ALE and Shapley values are :math:`w_j x_j`, at any
    correlation.

    Parameters
    ----------
    weights : p numbers
    covariance : (p, p), symmetric and positive semi-definite; independent features of variance 1 if not given

    Examples
    --------
    >>> toy = linear((2.0, -1.0, 0.0))
    >>> [toy.permutation_importance(j) for j in range(3)]
    [8.0, 2.0, 0.0]
    """
    w = check.array(weights, "weights", ndim=1)
    C = np.eye(len(w)) if covariance is None else check.array(covariance, "covariance", ndim=2)
    return Toy(
        name="linear",
        n_features=len(w),
        draw=_gaussian(C, len(w)),
        predict=lambda X: X @ w,
        mean=0.0,
        importance_formula=lambda g: 2 * w[g] @ C[np.ix_(g, g)] @ w[g],
        pdp_formula=lambda j, x: w[j] * x,
        ale_formula=lambda j, x: w[j] * x,
        shares_formula=lambda X: w * X,
    )


def redundant_pair() -> Toy:
    """The mean of two features that always agree: shuffled one by one each costs 1/2, shuffled together they cost 2, not 1.

    Examples
    --------
    >>> toy = redundant_pair()
    >>> toy.permutation_importance(0), toy.permutation_importance(1), toy.permutation_importance(0, 1)
    (0.5, 0.5, 2.0)
    """
    return replace(linear((0.5, 0.5), np.ones((2, 2))), name="redundant pair")


def suppressor() -> Toy:
    """Signal plus noise minus noise: feature 1 is pure noise, uncorrelated with the output, and the model can not do without it.

    Feature 0 is the signal plus the noise, feature 1 the noise; the function is their difference, the signal.

    Examples
    --------
    >>> toy = suppressor()
    >>> toy.permutation_importance(0), toy.permutation_importance(1), toy.permutation_importance(0, 1)
    (4.0, 2.0, 2.0)
    """
    return replace(linear((1.0, -1.0), [[2, 1], [1, 1]]), name="suppressor")


def additive(rho: float = 0.7) -> Toy:
    r"""Two curves, no interaction: :math:`f(x) = x_0^2 + \sin x_1`, standard normal features with correlation ``rho``.

    PDP and ALE show the curves at any correlation (:math:`E x_0^2 = 1`, :math:`E \sin x_1 = 0`). Shuffling costs twice the
    variance of the curve: :math:`2 \cdot 2` and :math:`1 - e^{-2}`; the curves are uncorrelated, so a group costs the sum.

    Examples
    --------
    >>> additive().pdp(0, [0.0, 2.0]), additive().ale(0, [0.0, 2.0])
    (array([0., 4.]), array([-1.,  3.]))
    """
    curves, means, costs = (np.square, np.sin), (1.0, 0.0), (4.0, 1 - np.exp(-2))
    return Toy(
        name="additive",
        n_features=2,
        draw=_correlated_pair(rho),
        predict=lambda X: X[:, 0] ** 2 + np.sin(X[:, 1]),
        mean=sum(means),
        importance_formula=lambda g: sum(costs[j] for j in g),
        pdp_formula=lambda j, x: curves[j](x) - means[j] + sum(means),
        ale_formula=lambda j, x: curves[j](x) - means[j],
        shares_formula=lambda X: np.column_stack([curves[j](X[:, j]) - means[j] for j in range(2)]),
    )


def xor() -> Toy:
    """Exclusive or of two fair bits: no bit has an effect on its own, together they decide everything.

    PDP is flat at 1/2 and ALE at 0; the Shapley values are (f - 1/2) / 2 each; any shuffling costs 1/2.

    Examples
    --------
    >>> xor().shapley(np.array([[0, 0], [0, 1]])).values
    array([[-0.25, -0.25],
           [ 0.25,  0.25]])
    """
    return Toy(
        name="xor",
        n_features=2,
        draw=lambda n, rng: rng.integers(2, size=(n, 2)).astype(float),
        predict=_differ,
        mean=0.5,
        importance_formula=lambda g: 0.5,
        pdp_formula=lambda j, x: np.full(len(x), 0.5),
        ale_formula=lambda j, x: np.zeros(len(x)),
        shares_formula=lambda X: _halves(_differ(X) - 0.5),
    )


def gaussian_product(rho: float = 0.7) -> Toy:
    r"""A pure interaction, :math:`f(x) = x_0 x_1`, of standard normal features with correlation ``rho``.

    PDP is flat at 0, because it pairs every value with every other; ALE is :math:`\rho\,(x^2 - 1)/2`, because rows with a large
    :math:`x_0` have a large :math:`x_1`. Both are right: they answer different questions. The Shapley values are
    :math:`(x_0 x_1 - \rho)/2` each; any shuffling costs :math:`2 + 2\rho^2`.

    Notes
    -----
    Apley & Zhu (2020), section 5. Taught in chapter 3.

    Examples
    --------
    >>> gaussian_product(0.5).ale(0, [-1.0, 0.0, 3.0])
    array([ 0.  , -0.25,  2.  ])
    """
    return Toy(
        name="gaussian product",
        n_features=2,
        draw=_correlated_pair(rho),
        predict=lambda X: X[:, 0] * X[:, 1],
        mean=rho,
        importance_formula=lambda g: 2 + 2 * rho**2,
        pdp_formula=lambda j, x: np.zeros(len(x)),
        ale_formula=lambda j, x: rho * (x**2 - 1) / 2,
        shares_formula=lambda X: _halves(X[:, 0] * X[:, 1] - rho),
    )


def _differ(X: np.ndarray) -> np.ndarray:
    return (X[:, 0] != X[:, 1]).astype(float)


def _halves(total: np.ndarray) -> np.ndarray:
    """The same half of a total for both features, shape (n, 2)."""
    return np.column_stack([total / 2, total / 2])


def _correlated_pair(rho: float) -> Callable[[int, np.random.Generator], np.ndarray]:
    check.number(rho, "rho", low=-1, high=1)
    return _gaussian(np.array([[1.0, rho], [rho, 1.0]]), 2)


def _gaussian(C: np.ndarray, p: int) -> Callable[[int, np.random.Generator], np.ndarray]:
    """Draw normal rows with mean zero and covariance C: standard normal ones times the symmetric root of C."""
    if C.shape != (p, p) or not np.allclose(C, C.T):
        raise ValueError(f"covariance must be a symmetric matrix of shape ({p}, {p}), one row per weight.")
    variances, directions = np.linalg.eigh(C)
    if variances.min() < -1e-10:
        raise ValueError("covariance must be positive semi-definite: some combination of features has a negative variance.")
    root = directions * np.sqrt(np.maximum(variances, 0)) @ directions.T
    return lambda n, rng: rng.standard_normal((n, p)) @ root


@dataclass(frozen=True, eq=False)
class Game:
    """Players who earn something together, and each player's fair share; build one with the functions of this module.

    Attributes
    ----------
    name : str
    players : tuple of names
    worth : function, boolean coalitions (m, p) -> (m,)
    shapley : (p,), the exact Shapley values
    """

    name: str
    players: tuple[str, ...]
    worth: Callable[[np.ndarray], np.ndarray]
    shapley: np.ndarray

    def value(self, coalitions: Any) -> np.ndarray:
        """Worth of every coalition: boolean (m, p) -> (m,), or (p,) -> a number; nobody earns nothing."""
        masks = np.asarray(coalitions)
        if masks.dtype != bool or masks.ndim not in (1, 2) or masks.shape[-1] != len(self.players):
            p = len(self.players)
            raise ValueError(f"coalitions must be a boolean array of shape (m, {p}), but has {masks.dtype} and {masks.shape}.")
        values = np.asarray(self.worth(np.atleast_2d(masks)), dtype=float)
        return values if masks.ndim == 2 else values[0]


def glove() -> Game:
    """Two left gloves, one right glove; only pairs sell. The scarce right glove earns 2/3, each left one 1/6.

    Examples
    --------
    >>> glove().value([True, True, True]), glove().shapley.round(3)
    (np.float64(1.0), array([0.167, 0.167, 0.667]))
    """
    return Game(
        name="glove",
        players=("left 1", "left 2", "right"),
        worth=lambda S: np.minimum(S[:, :2].sum(axis=1), S[:, 2]),
        shapley=np.array([1 / 6, 1 / 6, 2 / 3]),
    )


def airport(costs: Sequence[float] = (1.0, 2.0, 3.0)) -> Game:
    r"""A runway as long as the largest plane needs: each piece is shared equally by the planes that use it.

    .. math:: \phi_{(k)} = \sum_{i \le k} \frac{c_{(i)} - c_{(i-1)}}{p - i + 1}, \qquad 0 = c_{(0)} \le \dots \le c_{(p)}

    Parameters
    ----------
    costs : p numbers, none negative

    Notes
    -----
    Littlechild & Owen (1973). Taught in chapter 5.

    Examples
    --------
    >>> airport((1, 2, 3)).shapley * 6
    array([ 2.,  5., 11.])
    """
    c = check.array(costs, "costs", ndim=1)
    if c.min() < 0:
        raise ValueError(f"costs must not be negative, but the smallest is {c.min():g}.")
    order = np.argsort(c)
    shares = np.empty(len(c))
    shares[order] = np.cumsum(np.diff(c[order], prepend=0) / np.arange(len(c), 0, -1))
    return Game("airport", _numbered("plane", len(c)), lambda S: (S * c).max(axis=1), shares)


def weighted_majority(quota: float = 4.0, weights: Sequence[float] = (3.0, 2.0, 1.0, 1.0)) -> Game:
    """A vote: a coalition wins 1 when its weights reach the quota. Shares by the sum over all subsets.

    Parameters
    ----------
    quota : float, above 0 and at most the sum of the weights
    weights : at most 20 numbers, none negative

    Examples
    --------
    >>> weighted_majority(4, (3, 2, 1, 1)).shapley * 6
    array([3., 1., 1., 1.])
    """
    w = check.array(weights, "weights", ndim=1)
    check.number(quota, "quota", low=0, high=w.sum(), open_low=True)
    if w.min() < 0:
        raise ValueError(f"weights must not be negative, but the smallest is {w.min():g}.")

    def wins(S: np.ndarray) -> np.ndarray:
        return (S @ w >= quota).astype(float)

    return Game("weighted majority", _numbered("voter", len(w)), wins, exact_shapley(wins, len(w)))


def unanimity(carriers: Sequence[int] = (0, 1), n_players: int = 3) -> Game:
    """Worth 1 when all carriers are in, else 0: carriers share equally, the others are dummies.

    Parameters
    ----------
    carriers : players who are all needed, numbered from 0
    n_players : int

    Examples
    --------
    >>> unanimity((0, 2), 4).shapley
    array([0.5, 0. , 0.5, 0. ])
    """
    p = check.number(n_players, "n_players", low=1, integer=True)
    if not np.iterable(carriers) or isinstance(carriers, str):
        raise TypeError(f"carriers must be a list of player numbers, not {carriers!r}.")
    T = sorted({check.number(j, "carriers", low=0, high=p - 1, integer=True) for j in carriers})
    if not T:
        raise ValueError("carriers is empty: name at least one player who is needed.")
    shares = np.zeros(p)
    shares[T] = 1 / len(T)
    return Game("unanimity", _numbered("player", p), lambda S: np.all(S[:, T], axis=1), shares)


def switches() -> Game:
    """Two switches of one lamp (exclusive or): it shines when exactly one is on, so with both on nobody earns anything.

    Examples
    --------
    >>> switches().value(np.array([[True, False], [True, True]])), switches().shapley
    (array([1., 0.]), array([0., 0.]))
    """
    return Game("switches", ("switch 1", "switch 2"), _differ, np.zeros(2))


def _numbered(word: str, n: int) -> tuple[str, ...]:
    return tuple(f"{word} {j}" for j in range(1, n + 1))
