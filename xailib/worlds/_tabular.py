"""What the tabular worlds share: planted functions that are sums of products of one-dimensional functions.

For such a function partial dependence and Shapley values have closed forms, because every term involves at most a few features
and the rest of the table can not change its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import comb
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from xailib import _validation as check
from xailib.results import Attribution


@dataclass(frozen=True)
class Shape:
    """A one-dimensional planted function, together with the text that publishes it.

    Attributes
    ----------
    text : the formula as a reader would type it, in ``x``; or the list of levels and their effects
    function : (n,) values of the feature -> (n,) effects
    numeric : True for a function of a number, False for effects of levels
    """

    text: str
    function: Callable[[Any], np.ndarray]
    numeric: bool = True

    def __call__(self, values: Any) -> np.ndarray:
        """Effects of the feature's values, uncentred."""
        return self.function(values)


def curve(text: str, function: Callable[[np.ndarray], np.ndarray]) -> Shape:
    """A planted function of a number."""
    return Shape(text, lambda values: function(check.array(values, "values of a numeric feature")))


def levels(effects: Mapping[str, float]) -> Shape:
    """A planted function of a category: one effect per level; an unknown level raises."""
    names, table = list(effects), np.array(list(effects.values()))

    def function(values: Any) -> np.ndarray:
        codes = pd.Index(names).get_indexer(pd.Index(values))
        if (codes < 0).any():
            unknown = np.asarray(values, dtype=object)[codes < 0][0]
            raise ValueError(f"level {unknown!r} is unknown; the levels are {', '.join(names)}.")
        return table[codes]

    return Shape(", ".join(f"{name} {effect:+g}" for name, effect in effects.items()), function, numeric=False)


def category(codes: np.ndarray, names: Iterable[str]) -> pd.Categorical[str]:
    """A categorical column from level numbers."""
    return pd.Categorical.from_codes(codes.astype(int), categories=pd.Index(list(names)))


@dataclass(frozen=True, eq=False)
class ProductSum:
    r"""The planted function :math:`f(x) = c + \sum_t \prod_{j \in t} u_{tj}(x_j)`.

    Attributes
    ----------
    intercept : float, the constant c
    terms : one mapping per term, from the features of the term to their functions u
    features : all columns of the table, in order; those in no term are irrelevant
    """

    intercept: float
    terms: tuple[Mapping[str, Shape], ...]
    features: tuple[str, ...]

    def __call__(self, X: pd.DataFrame) -> np.ndarray:
        """Values of f, shape (n,)."""
        self.require(X)
        return self.intercept + sum((_product(u(X[j]) for j, u in term.items()) for term in self.terms), np.zeros(len(X)))

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The functions of the terms with a single feature, by feature."""
        return MappingProxyType({j: u for term in self.terms if len(term) == 1 for j, u in term.items()})

    @property
    def relevant(self) -> frozenset[str]:
        """The features that f reads."""
        return frozenset(j for term in self.terms for j in term)

    def shapley(self, X: pd.DataFrame, background: pd.DataFrame, method: str) -> Attribution:
        r"""Exact marginal Shapley values of f: unknown features are drawn, jointly, from the rows of ``background``.

        By linearity the values of f are the sums of those of its terms, and by the dummy axiom a term is a game among its own
        features alone: with t features it takes :math:`2^t` averages, whatever the number of columns.
        """
        self.require(X)
        self.require(background, "background")
        values = np.zeros((len(X), len(self.features)))
        for term in self.terms:
            columns = [self.features.index(j) for j in term]
            values[:, columns] += exact_shapley(_term_game(term, X, background), len(term)).T
        base_value = float(self(background).mean())
        return Attribution(values, base_value, self(X), list(self.features), X[list(self.features)], method)

    def partial_dependence(self, feature: str, grid: Any, background: pd.DataFrame) -> np.ndarray:
        """Mean of f over the rows of ``background`` with ``feature`` set to each value of ``grid``, shape (k,)."""
        check.one_of(feature, "feature", self.features)
        check_grid(grid)
        self.require(background, "background")
        effect = np.full(len(grid), self.intercept)
        for term in self.terms:
            others = [u(background[j]) for j, u in term.items() if j != feature]
            weight = np.mean(_product(others))
            effect += weight * term[feature](grid) if feature in term else weight
        return effect

    def require(self, X: Any, name: str = "X") -> None:
        """Raise unless ``X`` is a finite DataFrame with every column that f reads."""
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"{name} must be a DataFrame with the columns of the world, not {type(X).__name__}.")
        missing = [j for j in self.features if j in self.relevant and j not in X.columns]
        if missing:
            raise ValueError(f"{name} lacks the column {missing[0]!r}: pass all columns of the world, by name.")
        check.table(X, name)
        text = [j for term in self.terms for j, u in term.items() if u.numeric and not check.is_numeric(X[j])]
        if text:
            raise TypeError(f"{name} must hold numbers in column {text[0]!r}, not {X[text[0]].dtype}.")


def check_grid(values: Any, name: str = "grid") -> None:
    """Raise unless ``values`` is a one-dimensional, non-empty list of numbers or levels."""
    if np.ndim(values) != 1 or len(values) == 0:
        raise ValueError(f"{name} must be a non-empty, one-dimensional list of numbers or levels, not {check.shown(values)}.")
    if np.asarray(values).dtype.kind in "biuf":
        check.array(values, name)


def product_text(formula: ProductSum) -> str:
    """The products of two and more functions, one line of Markdown each."""
    products = [term for term in formula.terms if len(term) > 1]
    return "\n".join("- " + " times ".join(f"`{u.text}` of `{j}`" for j, u in term.items()) for term in products)


def _product(factors: Iterable[np.ndarray]) -> Any:
    """Product of arrays; 1 for none."""
    product: Any = 1.0
    for factor in factors:
        product = product * factor
    return product


def _term_game(term: Mapping[str, Shape], X: pd.DataFrame, background: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """Worth of every coalition of a term's features, one column per row of ``X``."""
    at_x = [u(X[j]) for j, u in term.items()]
    at_background = [u(background[j]) for j, u in term.items()]

    def worth(coalitions: np.ndarray) -> np.ndarray:
        rows = np.empty((len(coalitions), len(X)))
        for row, known in zip(rows, coalitions, strict=True):
            row[:] = np.mean(_product(z for z, k in zip(at_background, known, strict=True) if not k))
            row *= _product(x for x, k in zip(at_x, known, strict=True) if k)
        return rows

    return worth


def exact_shapley(worth: Callable[[np.ndarray], np.ndarray], n_players: int) -> np.ndarray:
    r"""Shapley values by the sum over all subsets.

    .. math:: \phi_j = \sum_{S \not\ni j} \frac{1}{p \binom{p-1}{|S|}} \left[v(S \cup j) - v(S)\right]

    Parameters
    ----------
    worth : function, boolean coalitions (m, p) -> (m,) or (m, k) for k games at once
    n_players : int, p between 1 and 20

    Returns
    -------
    array, shape (p,) or (p, k)

    Notes
    -----
    Shapley (1953). Costs :math:`2^p` worths. Taught in chapter 5.

    Examples
    --------
    >>> exact_shapley(lambda coalitions: coalitions.all(axis=1).astype(float), 4)
    array([0.25, 0.25, 0.25, 0.25])
    """
    check.function(worth, "worth")
    p = check.number(n_players, "n_players", low=1, high=20, integer=True)
    coalitions = (np.arange(2**p)[:, None] >> np.arange(p)) % 2 == 1
    v = np.asarray(worth(coalitions), dtype=float)
    if v.ndim not in (1, 2) or len(v) != 2**p:
        raise ValueError(f"worth must return one row per coalition: {2**p} coalitions in, an output of shape {v.shape} back.")
    weight = np.array([1 / (p * comb(p - 1, size)) for size in range(p)])
    shares = []
    for j in range(p):
        S = np.flatnonzero(~coalitions[:, j])
        shares.append(np.tensordot(weight[coalitions[S].sum(axis=1)], v[S + 2**j] - v[S], axes=1))
    return np.array(shares)
