r"""Shapley values: a prediction, shared out fairly among the features.

.. math:: \phi_j = \sum_{S \subseteq P \setminus j} \frac{1}{p \binom{p-1}{|S|}} \bigl[v(S \cup j) - v(S)\bigr]

:math:`v(S)`, the worth of the coalition :math:`S`, is the mean prediction when only the features in :math:`S` are known.
What stands in for the others is a choice, made by a value function (:class:`Marginal`, :class:`GaussianConditional`,
:class:`NeighbourConditional`) and named in every result. The estimators differ in how many worths they ask for:
:func:`exact` all :math:`2^p`, :func:`permutation` those along random orders, :func:`kernel` a sample weighted by size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, permutations
from math import comb, factorial
from typing import Any

import numpy as np
import pandas as pd

from xailib import _validation as check
from xailib import models
from xailib import text as text_module
from xailib._progress import progress
from xailib.models import BATCH_ROWS, Predict
from xailib.results import Attribution, Interactions

#: more players than this have over a million coalitions
MAX_EXACT_PLAYERS = 20
#: more players than this have over 400,000 orderings
MAX_ORDERED_PLAYERS = 9


def exact(
    predict: Predict,
    X: Any,
    background: Any,
    *,
    groups: Mapping[str, Sequence[Any]] | None = None,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Attribution:
    r"""Shapley values by the sum over all subsets.

    .. math:: \phi_j = \sum_{S \subseteq P \setminus j} \frac{1}{p \binom{p-1}{|S|}} \bigl[v(S \cup j) - v(S)\bigr]

    Parameters
    ----------
    predict : function, (n, p) -> (n,) or (n, k)
    X : array or DataFrame, shape (n, p), the rows to explain; categories are welcome
    background : array or DataFrame with the columns of ``X``, or a value function
        A table means :class:`Marginal`: absent features take the values of its rows, all of them (one row: a single baseline).
    groups : dict, name -> features, optional: each group is one player, present or absent as a whole; other features stay alone
    batch_rows : int, rows per model call
    n_jobs : int or None, as in joblib

    Returns
    -------
    Attribution
        ``values`` (n, players), or (n, k, players) for k outputs, in units of the prediction; their sum is the prediction minus
        the base value, the mean prediction over the background.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or there are more than 20 players; the message says what to do.

    Notes
    -----
    Shapley (1953); Lundberg & Lee (2017). Costs :math:`2^p - 2` worths of one model row per background row each. A feature in
    which the row equals the whole background cannot change anything: its value is zero, and it costs nothing.
    Taught in chapter 5.

    Examples
    --------
    >>> exact(lambda X: X[:, 0] * X[:, 1], np.array([[2.0, 3.0]]), np.zeros((1, 2)))
    Attribution(exact Shapley, single baseline; 1 instance; first: x0 +3.0000, x1 +3.0000)
    """
    task = _task(predict, X, background, groups, batch_rows, n_jobs)
    _refuse_too_many(task, 2 ** len(task.names) - 2)
    method = f"exact Shapley, {task.value.describe()}"
    return Attribution(**task.explain(method, _subset_plan, 2 ** len(task.names)))


def permutation(
    predict: Predict,
    X: Any,
    background: Any,
    *,
    n_permutations: int = 100,
    groups: Mapping[str, Sequence[Any]] | None = None,
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Attribution:
    r"""Shapley values by sampling orders in which the features become known, each order together with its reverse.

    .. math:: \hat\phi_j = \frac{1}{m} \sum_{\pi} \bigl[v(\mathrm{before}_\pi(j) \cup j) - v(\mathrm{before}_\pi(j))\bigr]

    Parameters
    ----------
    predict, X, background, groups, batch_rows, n_jobs : as in :func:`exact`
    n_permutations : int, m, even: orders and their reverses; from p! on, all orders are taken once
    random_state : int, Generator or None; each instance draws its own orders

    Returns
    -------
    Attribution
        As :func:`exact`, and ``std_errors``: the spread between antithetic pairs over the root of their number (NaN for one
        pair). They measure the drawing of orders, not that of the background.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    Castro, Gómez & Tejada (2009); antithetic pairs: Mitchell, Cooper, Frank & Holmes (2022). Exact from the first pair for
    functions with interactions of at most two features. Every worth is an average over the whole background, and is asked for
    once, however many orders pass by it. Taught in chapter 5.

    Examples
    --------
    >>> X = np.array([[1.0, 2.0, 3.0]])
    >>> permutation(lambda X: X @ [1.0, 1.0, 0.0] + X[:, 0] * X[:, 2], X, np.zeros((1, 3)), n_permutations=2).values
    array([[2.5, 2. , 1.5]])
    """
    task = _task(predict, X, background, groups, batch_rows, n_jobs)
    m = check.number(n_permutations, "n_permutations", low=2, integer=True)
    if m % 2:
        raise ValueError(f"n_permutations must be even, because every order comes with its reverse, not {m}.")
    rng = check.random_generator(random_state)
    method = f"permutation Shapley, {task.value.describe()}, {m} permutations"
    return Attribution(**task.explain(method, lambda who, rng: _order_plan(len(who), m, rng), m * len(task.names), rng))


def kernel(
    predict: Predict,
    X: Any,
    background: Any,
    *,
    n_coalitions: int = 1000,
    groups: Mapping[str, Sequence[Any]] | None = None,
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Attribution:
    r"""Shapley values by a weighted regression of worths on coalitions (KernelSHAP).

    .. math:: \min_\phi \sum_S \frac{p - 1}{\binom{p}{|S|} |S| (p - |S|)}
        \Bigl[v(S) - v(\emptyset) - \sum_{j \in S} \phi_j\Bigr]^2 \quad \text{with} \quad \sum_j \phi_j = v(P) - v(\emptyset)

    Parameters
    ----------
    predict, X, background, groups, batch_rows, n_jobs : as in :func:`exact`
    n_coalitions : int
        Worths to ask for, beside the two that are known (nothing and everything): at least four per player. From
        :math:`2^p - 2` on all are taken and the values are exact.
    random_state : int, Generator or None; each instance draws its own coalitions

    Returns
    -------
    Attribution
        As :func:`exact`, and ``std_errors``: they measure the drawing of coalitions, not that of the background.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    Lundberg & Lee (2017), theorem 2; pairs: Covert & Lee (2021). Coalitions come in complementary pairs, for which even-order
    interactions cancel. Sizes the budget covers are enumerated, from both ends; from each other size pairs are drawn without
    replacement and weighted up. Like every regression KernelSHAP it has a bias, of order one over the budget: up to half a
    standard error at the smallest budget, a tenth at 400 coalitions of 12 players. Standard errors are those of a regression
    estimator in a stratified sample (Särndal, Swensson & Wretman 1992, section 6.6) with leave-one-out residuals, to be trusted
    from about eight coalitions per player on. Taught in chapter 5.

    Examples
    --------
    >>> X = np.ones((1, 15))
    >>> kernel(lambda X: X.sum(axis=1), X, 0 * X, n_coalitions=100).values.round(6)
    array([[1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1.]])
    """
    task = _task(predict, X, background, groups, batch_rows, n_jobs)
    m = check.number(n_coalitions, "n_coalitions", low=1, integer=True)
    _enough_coalitions(m, len(task.names))
    rng = check.random_generator(random_state)
    budget = "all" if m >= 2 ** len(task.names) - 2 else m
    method = f"kernel Shapley, {task.value.describe()}, {budget} coalitions"
    return Attribution(**task.explain(method, lambda who, rng: _kernel_plan(len(who), m, rng), m, rng))


def owen(
    predict: Predict,
    X: Any,
    background: Any,
    groups: Mapping[str, Sequence[Any]],
    *,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Attribution:
    r"""Owen values: first the groups share the prediction, then the features of each group share what it got.

    .. math:: \phi_j = \sum_{H \subseteq M \setminus k} \sum_{S \subseteq B_k \setminus j}
        \frac{1}{m \binom{m-1}{|H|}} \frac{1}{b_k \binom{b_k-1}{|S|}} \bigl[v(Q \cup S \cup j) - v(Q \cup S)\bigr],
        \qquad Q = \bigcup_{h \in H} B_h

    for feature j in the group :math:`B_k`, one of m: other groups join as a whole.

    Parameters
    ----------
    predict, X, background, batch_rows, n_jobs : as in :func:`exact`
    groups : dict, name -> features: the groups; a feature in none is a group of its own

    Returns
    -------
    Attribution
        One value per feature; those of a group add up to the group's value in ``exact(..., groups=groups)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or some group leaves more than 20 players; the message says what to do.

    Notes
    -----
    Owen (1977). With groups of one, or one group of all, these are Shapley values. Taught in chapter 5.

    Examples
    --------
    >>> X = np.ones((1, 3))
    >>> owen(lambda X: X[:, 0] * X[:, 1] * X[:, 2], X, 0 * X, {"twins": [0, 1]}).values
    array([[0.25, 0.25, 0.5 ]])
    """
    if groups is None:
        raise TypeError("groups must be a dict, name -> list of columns: without groups, use shapley.exact.")
    task = _task(predict, X, background, groups, batch_rows, n_jobs)
    unions = [np.flatnonzero(task.player_of_column == k) for k in range(len(task.names))]
    largest = len(unions) - 1 + max(map(len, unions))
    _refuse_too_many(task, sum(2 ** (len(unions) - 1 + len(union)) for union in unions), largest)
    by_feature = replace(task, names=check.feature_names(X), player_of_column=np.arange(X.shape[1]))
    method = f"exact Owen values, {task.value.describe()}"
    return Attribution(**by_feature.explain(method, lambda who, rng: _owen_plan(who, unions), len(unions) * 2**largest))


def interactions(
    predict: Predict,
    X: Any,
    background: Any,
    *,
    groups: Mapping[str, Sequence[Any]] | None = None,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Interactions:
    r"""Pairwise Shapley interaction values: what two features do together beyond what each does alone.

    .. math:: I_{ij} = \sum_{S \subseteq P \setminus \{i, j\}} \frac{1}{(p-1) \binom{p-2}{|S|}}
        \bigl[v(S \cup ij) - v(S \cup i) - v(S \cup j) + v(S)\bigr],
        \qquad I_{ii} = \phi_i - \tfrac12 \sum_{j \ne i} I_{ij}

    Parameters
    ----------
    predict, X, background, groups, batch_rows, n_jobs : as in :func:`exact`

    Returns
    -------
    Interactions
        ``values`` (n, p, p), or (n, k, p, p), symmetric. Off the diagonal stands the *whole* interaction index of a pair (shap
        shows half of it on either side); on the diagonal the main effects. Main effects and pairs together sum to the
        prediction minus the base value.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or there are more than 20 players; the message says what to do.

    Notes
    -----
    Grabisch & Roubens (1999); Lundberg, Erion et al. (2020), whose index shap's tree explainer gives; its exact explainer gives
    another, Shapley-Taylor, which differs as soon as three features interact. Costs what :func:`exact` costs. Taught in
    chapter 5.

    Examples
    --------
    >>> interactions(lambda X: X[:, 0] * X[:, 1], np.ones((1, 2)), np.zeros((1, 2))).values[0]
    array([[0., 1.],
           [1., 0.]])
    """
    task = _task(predict, X, background, groups, batch_rows, n_jobs)
    _refuse_too_many(task, 2 ** len(task.names) - 2)
    method = f"exact pairwise Shapley interactions, {task.value.describe()}"
    fields = task.explain(method, _pair_plan, 2 ** len(task.names))
    del fields["std_errors"]  # there is nothing random
    return Interactions(**fields)


def text(
    predict: Callable[[np.ndarray], np.ndarray],
    texts: Sequence[str],
    *,
    n_coalitions: int = 1000,
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> list[Attribution]:
    """Shapley values of the words of texts; an absent word is deleted.

    Parameters
    ----------
    predict : function, array of n texts -> (n,) or (n, k)
    texts : list or array of texts, each with at least one word
    n_coalitions : int, as in :func:`kernel`: a text whose coalitions are no more than this gets exact values
    random_state, batch_rows, n_jobs : as in :func:`kernel`

    Returns
    -------
    list of Attribution, one per text
        ``values`` (1, words), or (1, k, words); ``feature_names`` are the words, ``base_value`` is the prediction of "".

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    Words are cut and texts put together by :mod:`xailib.text`. Taught in chapter 5.

    Examples
    --------
    >>> shout = text(lambda texts: np.array([2.0 * ("win" in t) for t in texts]), ["win now"])[0]
    >>> shout.to_frame()
       win  now
    0  2.0  0.0
    """
    check.function(predict, "predict")
    cut = [text_module.split_words(t) for t in check.texts(texts)]
    m = check.number(n_coalitions, "n_coalitions", low=1, integer=True)
    _enough_coalitions(m, max(map(len, cut)), "words")
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    rngs = check.random_generator(random_state).spawn(len(cut))

    def explain(block: slice) -> list[Attribution]:
        plans = [_kernel_plan(len(words), m, rng) for words, rng in zip(cut[block], rngs[block], strict=True)]
        versions = [text_module.keep(words, plan[0]) for words, plan in zip(cut[block], plans, strict=True)]
        answers = models.batched(predict, np.concatenate(versions), batch_rows=batch_rows)
        worths = np.split(answers, np.cumsum([len(v) for v in versions])[:-1])
        return [_of_text(*each) for each in zip(cut[block], plans, worths, strict=True)]

    blocks = models.in_blocks(explain, len(cut), rows_each=m, batch_rows=batch_rows, n_jobs=n_jobs, desc="texts")
    return [result for block in blocks for result in block]


def of_game(worth: Callable[[np.ndarray], np.ndarray], n_players: int, *, players: Sequence[str] | None = None) -> Attribution:
    r"""Shapley values of a coalition game by the sum over all subsets.

    .. math:: \phi_j = \sum_{S \subseteq P \setminus j} \frac{1}{p \binom{p-1}{|S|}} \bigl[v(S \cup j) - v(S)\bigr]

    Parameters
    ----------
    worth : function, boolean coalitions (m, p) -> (m,), or (m, k) for k games at once
    n_players : int, p, at most 20
    players : p names, optional

    Returns
    -------
    Attribution
        ``values`` (p,), or (k, p) for k games; they add up to the worth of all players minus that of none.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    Shapley (1953). Taught in chapter 5.

    Examples
    --------
    >>> of_game(lambda S: np.minimum(S[:, :2].sum(axis=1), S[:, 2]), 3).values.round(3)
    array([0.167, 0.167, 0.667])
    """
    v, names = _game(worth, n_players, MAX_EXACT_PLAYERS, players)
    values, _ = _subset_shares(v)
    return _of_game(v, values, names, "exact Shapley of a game")


def brute_force(
    worth: Callable[[np.ndarray], np.ndarray], n_players: int, *, players: Sequence[str] | None = None
) -> Attribution:
    r"""Shapley values of a coalition game as the average over all orders in which the players can arrive.

    .. math:: \phi_j = \frac{1}{p!} \sum_\pi \bigl[v(\mathrm{before}_\pi(j) \cup j) - v(\mathrm{before}_\pi(j))\bigr]

    Parameters
    ----------
    worth, players : as in :func:`of_game`
    n_players : int, p, at most 9 (362,880 orders)

    Returns
    -------
    Attribution
        As :func:`of_game`, from which it differs by rounding only.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    For seeing what the sum over subsets adds up. Taught in chapter 5.

    Examples
    --------
    >>> brute_force(lambda S: S.all(axis=1), 4, players=["a", "b", "c", "d"])
    Attribution(brute-force Shapley of a game, all 24 orders; 1 instance; first: a +0.2500, b +0.2500, c +0.2500)
    """
    v, names = _game(worth, n_players, MAX_ORDERED_PLAYERS, players)
    p, code = len(names), 2 ** np.arange(len(names))[::-1]
    shares = np.zeros((p, v.shape[1]))
    for order in progress(permutations(range(p)), factorial(p), "orders"):
        arrived = np.concatenate([[0], np.cumsum(code[list(order)])])  # the row of v of each coalition on the way
        shares[list(order)] += np.diff(v[arrived], axis=0)
    return _of_game(v, shares.T / factorial(p), names, f"brute-force Shapley of a game, all {factorial(p)} orders")


# value functions: what stands in for what is not known -------------------------------------------------------------------


class ValueFunction:
    """Makes the model rows behind the worth of a coalition; the worth is the mean of their predictions.

    Attributes
    ----------
    table : the background
    n_rows : int, model rows per coalition
    estimand : "marginal", "single baseline" or "conditional"
    """

    table: Any
    n_rows: int
    estimand: str

    def describe(self) -> str:
        """The estimand with its numbers, for the name of a result."""
        raise NotImplementedError

    def base_rows(self) -> Any:
        """The rows whose mean prediction is the base value, the worth of nothing known."""
        return self.table

    def rows(self, X: Any, which: Any, masks: Any) -> Any:
        """Model rows for pairs of an instance and a coalition.

        Parameters
        ----------
        X : array or DataFrame, shape (n, p), the instances
        which : (q,) row numbers of ``X``
        masks : (q, p) of True and False: the columns that are known

        Returns
        -------
        array or DataFrame, shape (q * n_rows, p); the rows of one pair stand together
        """
        _same_columns(check.table(X), self.table)
        numbers = np.atleast_1d(check.positions(which, "which", len(X)))
        known = np.asarray(masks)
        if known.dtype != bool or known.shape != (len(numbers), X.shape[1]):
            raise ValueError(
                f"masks must hold True and False in the shape {(len(numbers), X.shape[1])}, one row per entry of which, "
                f"not {known.dtype} in the shape {known.shape}."
            )
        return self._rows(X, numbers, known)

    def _rows(self, X: Any, which: np.ndarray, masks: np.ndarray) -> Any:
        raise NotImplementedError


class Marginal(ValueFunction):
    r"""Absent features take the values of every background row in turn, whatever the known ones are.

    .. math:: v(S) = \frac{1}{b} \sum_{i=1}^b f(x_S, z_{i, -S})

    Parameters
    ----------
    background : array or DataFrame, shape (b, p); one row is a single baseline. All rows are used, never a sample of them

    Raises
    ------
    TypeError, ValueError
        If the table is unusable.

    Notes
    -----
    Also called interventional; asks the model about rows that may not exist when features are correlated. Taught in chapter 5.
    """

    def __init__(self, background: Any) -> None:
        self.table = check.table(background, "background")
        self.n_rows = len(background)
        self.estimand = "marginal" if self.n_rows > 1 else "single baseline"

    def describe(self) -> str:
        """The estimand with its numbers."""
        return f"marginal over {self.n_rows} background rows" if self.n_rows > 1 else "single baseline"

    def _rows(self, X: Any, which: np.ndarray, masks: np.ndarray) -> Any:
        return _mixed(X, which, masks, self.table)


class GaussianConditional(ValueFunction):
    r"""Absent features are drawn from a normal distribution, given the known ones.

    .. math:: v(S) = \mathrm{E}\bigl[f(x_S, Z_{-S}) \mid Z_S = x_S\bigr], \qquad Z \sim N(\hat\mu, \hat\Sigma)

    Parameters
    ----------
    background : array or DataFrame of numbers, shape (b, p), for the mean and the covariance
    n_draws : int, even: normal draws come as :math:`\hat\mu \pm z`
    random_state : int, Generator or None

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable.

    Notes
    -----
    Aas, Jullum & Løland (2021). The draws are made once: a draw is conditioned by moving it by the regression of the absent
    features on what is known (conditioning by kriging). From twice the number of features on they have exactly the mean and the
    covariance of the background, so the worth of a function of degree two is exact; of a linear function it always is.
    The normal distribution is an assumption. Taught in chapter 5.
    """

    estimand = "conditional"

    def __init__(self, background: Any, *, n_draws: int = 200, random_state: Any = 0) -> None:
        self.table = check.table(background, "background", min_rows=2, allow_text=False)
        self.n_rows = check.number(n_draws, "n_draws", low=2, integer=True)
        if self.n_rows % 2:
            raise ValueError(f"n_draws must be even, because draws come in pairs, not {n_draws}.")
        values = np.asarray(background, dtype=float)
        self.mean, self.covariance = values.mean(axis=0), np.atleast_2d(np.cov(values.T))
        z = _normal_pairs(self.n_rows, len(self.mean), check.random_generator(random_state))
        self.draws = self.mean + z @ _root(self.covariance)

    def describe(self) -> str:
        """The estimand with its numbers."""
        return f"conditional (normal, {self.n_rows} draws)"

    def base_rows(self) -> Any:
        """The draws, before anything is known."""
        return _like(self.table, self.draws)

    def _rows(self, X: Any, which: np.ndarray, masks: np.ndarray) -> Any:
        x, coalitions = np.asarray(X, dtype=float), np.unique(masks, axis=0, return_inverse=True)
        rows = np.empty((len(which), *self.draws.shape))
        for c, known in enumerate(coalitions[0]):
            pairs = np.flatnonzero(coalitions[1].ravel() == c)
            moves = x[which[pairs], None][:, :, known] - self.draws[:, known]
            rows[pairs] = np.where(known, x[which[pairs], None], self.draws)
            rows[np.ix_(pairs, np.arange(self.n_rows), ~known)] += moves @ self._slopes(known)
        return _like(self.table, rows.reshape(-1, x.shape[1]))

    def _slopes(self, known: np.ndarray) -> np.ndarray:
        """Regression of the absent features on the known ones."""
        return np.linalg.pinv(self.covariance[np.ix_(known, known)], hermitian=True) @ self.covariance[np.ix_(known, ~known)]


class NeighbourConditional(ValueFunction):
    r"""Absent features take the values of the background rows that are nearest to x in the known features.

    .. math:: v(S) = \frac{1}{k} \sum_{i \in N_k(x_S)} f(x_S, z_{i, -S}), \qquad
        d_S(x, z)^2 = \sum_{j \in S} \frac{(x_j - z_j)^2}{\mathrm{sd}_j^2}

    Parameters
    ----------
    background : array or DataFrame, shape (b, p); for a category, differing counts as a distance of one standard deviation
    n_neighbours : int, k, at most b
    random_state : int, Generator or None, for the order in which rows at the same distance are taken

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable.

    Notes
    -----
    After Aas, Jullum & Løland (2021), section 3.3, with equal weights. Few neighbours are noisy, many are near the marginal
    values: with k = b they are equal to them. Taught in chapter 5.
    """

    estimand = "conditional"

    def __init__(self, background: Any, *, n_neighbours: int = 20, random_state: Any = 0) -> None:
        self.table = check.table(background, "background", min_rows=2)
        self.n_rows = check.number(n_neighbours, "n_neighbours", low=1, high=len(background), integer=True)
        self.order = check.random_generator(random_state).permutation(len(background))

    def describe(self) -> str:
        """The estimand with its numbers."""
        return f"conditional ({self.n_rows} nearest of {len(self.table)} background rows)"

    def _rows(self, X: Any, which: np.ndarray, masks: np.ndarray) -> Any:
        chosen = np.empty((len(which), self.n_rows), dtype=int)
        for i in np.unique(which):
            pairs = which == i
            distances = masks[pairs].astype(float) @ self._distances(X, i)[self.order].T
            chosen[pairs] = self.order[np.argpartition(distances, self.n_rows - 1, axis=1)[:, : self.n_rows]]
        return _mixed(X, which, masks, self.table, chosen)

    def _distances(self, X: Any, i: int) -> np.ndarray:
        """Squared distance of instance i to each background row in each feature, (b, p)."""
        distances = np.empty(self.table.shape)
        for j in range(self.table.shape[1]):
            z, x = _column(self.table, j), _column(X, j)[i]
            if check.is_numeric(z) and not isinstance(z, pd.Categorical):
                z = np.asarray(z, dtype=float)
                distances[:, j] = (z - float(x)) ** 2 / (z.var() or 1.0)
            else:
                distances[:, j] = np.asarray(z) != x
        return distances


def _normal_pairs(n: int, p: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal draws and their negatives, (n, p); with enough of them, of unit covariance exactly."""
    z = rng.standard_normal((n // 2, p))
    if n // 2 >= p:
        z = np.linalg.solve(np.linalg.cholesky(z.T @ z / len(z)), z.T).T
    return np.concatenate([z, -z])


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric root, also of a singular covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _like(table: Any, values: np.ndarray) -> Any:
    """Numbers in the form of ``table``."""
    return pd.DataFrame(values, columns=table.columns) if isinstance(table, pd.DataFrame) else values


def _column(table: Any, j: int) -> Any:
    return table.iloc[:, j].array if isinstance(table, pd.DataFrame) else table[:, j]


def _mixed(X: Any, which: np.ndarray, masks: np.ndarray, donors: Any, chosen: np.ndarray | None = None) -> Any:
    """Rows with the known columns of instance ``which[i]`` and the others of its ``chosen`` donors (by default all of them)."""
    if _is_block(X) and _is_block(donors):
        x, z = np.asarray(X)[which], np.asarray(donors)
        rows = np.where(masks[:, None], x[:, None], z if chosen is None else z[chosen])
        return _like(X, rows.reshape(-1, x.shape[1]))
    needed, which = np.unique(which, return_inverse=True)
    donor = np.arange(len(donors))[None] if chosen is None else chosen
    stacked = pd.concat([X.iloc[needed], donors], ignore_index=True)
    places = (np.where(known[:, None], which[:, None], len(needed) + donor).ravel() for known in masks.T)
    return pd.DataFrame({c: stacked[c].array.take(at) for c, at in zip(X.columns, places, strict=True)}, copy=False)


def _differs(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Where x differs from some row of z, column by column."""
    return (x != z[0]) | (z != z[0]).any(axis=0)


def _is_block(table: Any) -> bool:
    """True if the table is one block of memory: an array, or a DataFrame of one numeric type."""
    if isinstance(table, np.ndarray):
        return True
    first = table.dtypes.iloc[0]
    return isinstance(first, np.dtype) and first.kind in "biuf" and bool((table.dtypes == first).all())


# who plays --------------------------------------------------------------------------------------------------------------

#: coalitions of the players who count (m, d), nothing first and all last; and a function of their worths (m, k) that returns
#: values (k, d), or (k, d, d) for pairs, and their standard errors, None where they are exact
Shares = tuple[np.ndarray, np.ndarray | None]
Plan = tuple[np.ndarray, Callable[[np.ndarray], Shares]]


@dataclass(frozen=True)
class _Task:
    """What is to be explained, checked.

    Attributes
    ----------
    names : of the players
    player_of_column : (p,) the player each column belongs to
    """

    predict: Predict
    X: Any
    value: ValueFunction
    names: list[str]
    player_of_column: np.ndarray
    batch_rows: int
    n_jobs: int | None

    def explain(
        self, method: str, plan: Callable[[np.ndarray, np.random.Generator], Plan], n_coalitions: int, rng: Any = None
    ) -> dict[str, Any]:
        """The fields of the result; ``n_coalitions`` is the most that one instance needs."""
        # with one background row, nothing known and all known are one model row each, as every coalition: no call of their own
        single = self._is_single_baseline()
        full, empty = (np.empty((len(self.X), 0)), np.empty(0)) if single else self._ends()
        asked = slice(None) if single else slice(1, -1)
        players, rngs = self._who_counts(), (rng or np.random.default_rng(0)).spawn(len(self.X))

        def explain_block(block: slice) -> list[tuple[Shares, int, np.ndarray]]:
            plans = [plan(who, child) for who, child in zip(players[block], rngs[block], strict=True)]
            masks = [self._columns(who, coalitions[asked]) for who, (coalitions, _) in zip(players[block], plans, strict=True)]
            counts = [len(m) for m in masks]
            which = np.repeat(np.arange(block.start, block.stop), counts)
            games = np.split(self._worths(which, np.concatenate(masks), len(empty)), np.cumsum(counts)[:-1])
            if not single:
                games = [np.concatenate([empty[None], v, last[None]]) for v, last in zip(games, full[block], strict=True)]
            return [(shares(game), len(game) - 2, game[[0, -1]]) for (_, shares), game in zip(plans, games, strict=True)]

        rows_each = max(1, n_coalitions * self.value.n_rows)
        blocks = models.in_blocks(explain_block, len(self.X), rows_each=rows_each, batch_rows=self.batch_rows, n_jobs=self.n_jobs)
        shares, counts, ends = zip(*[each for block in blocks for each in block], strict=True)
        return self._fields(method, shares, np.array(counts), players, ends[0][0], np.array(ends)[:, 1])

    def _is_single_baseline(self) -> bool:
        return isinstance(self.value, Marginal) and self.value.n_rows == 1

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Worths of the full coalition, (n, k), and of the empty one, (k,), in one call if the tables can be stacked."""
        base, n = self.value.base_rows(), len(self.X)
        if _is_block(self.X) and _is_block(base):
            outputs = self._outputs(_like(self.X, np.concatenate([np.asarray(self.X), np.asarray(base)])))
            return outputs[:n], outputs[n:].mean(axis=0)
        return self._outputs(self.X), self._outputs(base).mean(axis=0)

    def _outputs(self, table: Any) -> np.ndarray:
        """Predictions, (n, k) also for k = 1."""
        return models.batched(self.predict, table, batch_rows=self.batch_rows).reshape(len(table), -1)

    def _who_counts(self) -> list[np.ndarray]:
        """For each instance the players with a column in which it differs from some background row."""
        if _is_block(self.X) and _is_block(self.value.table):
            differs = _differs(np.asarray(self.X), np.asarray(self.value.table))
        else:
            columns = ((np.asarray(_column(t, j)) for t in (self.X, self.value.table)) for j in range(self.X.shape[1]))
            differs = np.column_stack([_differs(x, z) for x, z in columns])
        players = [np.unique(self.player_of_column[row]) for row in differs]
        return [who if len(who) else np.array([0]) for who in players]  # somebody must play, if only for nothing

    def _columns(self, who: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
        """Coalitions of the players who count as known columns; the others change nothing, present or absent."""
        known = np.zeros((len(coalitions), len(self.names)), dtype=bool)
        known[:, who] = coalitions
        return known[:, self.player_of_column]

    def _worths(self, which: np.ndarray, masks: np.ndarray, k: int) -> np.ndarray:
        """Mean prediction of each coalition, (m, k), in model calls of at most ``batch_rows`` rows."""
        if len(which) == 0:
            return np.empty((0, k))
        per_call, worths = max(1, self.batch_rows // self.value.n_rows), []
        parts = np.array_split(np.arange(len(which)), -(-len(which) // per_call))
        for part in progress(parts, len(parts), "model calls"):
            outputs = self._outputs(self.value.rows(self.X, which[part], masks[part]))
            worths.append(outputs.reshape(len(part), self.value.n_rows, -1).mean(axis=1))
        return np.concatenate(worths)

    def _fields(
        self, method: str, shares: Sequence[Shares], counts: np.ndarray, players: list[np.ndarray], empty: Any, full: Any
    ) -> dict[str, Any]:
        """What all instances' results are made of; players who do not count get zero."""
        k, axes = len(empty), shares[0][0].ndim - 1
        ends = len(self.X) if self._is_single_baseline() else len(self.value.base_rows())
        values, errors = np.zeros((2, len(shares), k, *(len(self.names),) * axes))
        for i, (who, (value, error)) in enumerate(zip(players, shares, strict=True)):
            at = (slice(None), *np.ix_(*[who] * axes))
            values[i][at], errors[i][at] = value, 0.0 if error is None else error
        one = k == 1
        return {
            "values": values[:, 0] if one else values,
            "base_value": float(empty[0]) if one else empty,
            "prediction": full[:, 0] if one else full,
            "feature_names": self.names,
            "instance": self.X,
            "method": method,
            "std_errors": None if all(error is None for _, error in shares) else (errors[:, 0] if one else errors),
            "details": {
                "estimand": self.value.estimand,
                "n_coalitions": counts,
                "n_model_rows": int(counts.sum()) * self.value.n_rows + len(self.X) + ends,
            },
        }


def _task(predict: Any, X: Any, background: Any, groups: Any, batch_rows: Any, n_jobs: Any) -> _Task:
    """The checked arguments that all estimators share."""
    check.function(predict, "predict")
    check.table(X)
    value = background if isinstance(background, ValueFunction) else Marginal(background)
    _same_columns(X, value.table)
    names, player_of_column = _players(X, groups)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    if n_jobs is not None and check.number(n_jobs, "n_jobs", integer=True) == 0:
        raise ValueError("n_jobs must not be 0: use None for one process, 2 for two, -1 for all cores.")
    return _Task(predict, X, value, names, player_of_column, batch_rows, n_jobs)


def _same_columns(X: Any, background: Any) -> None:
    """Raise unless the two tables have the same columns of the same kinds."""
    if isinstance(X, pd.DataFrame) != isinstance(background, pd.DataFrame):
        raise TypeError("X and background must both be DataFrames or both be arrays.")
    if X.shape[1] != background.shape[1]:
        raise ValueError(f"background must have the {X.shape[1]} columns of X, but has {background.shape[1]}.")
    if not isinstance(X, pd.DataFrame):
        return
    if list(X.columns) != list(background.columns):
        other = next(b for a, b in zip(X.columns, background.columns, strict=True) if a != b)
        raise ValueError(f"background must have the columns of X in the same order, but has {other!r} in the wrong place.")
    for name, x, z in zip(X.columns, X.dtypes, background.dtypes, strict=True):
        if x != z and not (check.is_numeric(X[name]) and check.is_numeric(background[name])):
            raise TypeError(
                f"X and background must have the same type in column {name!r} (the same levels, too), not {x} and {z}."
            )


def _players(X: Any, groups: Any) -> tuple[list[str], np.ndarray]:
    """Names of the players, in the order of their first columns, and the player of each column."""
    names = check.feature_names(X)
    groups = {} if groups is None else groups
    if not isinstance(groups, Mapping) or any(np.ndim(g) != 1 or len(g) == 0 for g in groups.values()):
        raise TypeError("groups must be a dict, name -> list of at least one column, e.g. {'size': ['height', 'width']}.")
    for group in groups:
        if not isinstance(group, str) or group in names:
            raise ValueError(f"groups must have names that are text and no feature's, not {check.shown(group)}.")
    owner = dict(enumerate(names))
    for group, columns in groups.items():
        for j in (check.column(X, c, f"groups[{group!r}]:") for c in columns):
            if owner[j] != names[j]:
                raise ValueError(f"groups has the feature {names[j]!r} twice: a feature can be in one group only.")
            owner[j] = group
    players = list(dict.fromkeys(owner.values()))
    return players, np.array([players.index(owner[j]) for j in range(len(names))])


def _refuse_too_many(task: _Task, n_coalitions: int, n_players: int | None = None) -> None:
    """Raise where enumeration is hopeless, with the bill."""
    p = n_players or len(task.names)
    if p > MAX_EXACT_PLAYERS:
        rows = n_coalitions * task.value.n_rows
        raise ValueError(
            f"X has {p} players, and all their coalitions need {rows:.2g} model rows per instance (limit: {MAX_EXACT_PLAYERS} "
            "players): use shapley.kernel or shapley.permutation, or join features by groups."
        )


def _enough_coalitions(n_coalitions: int, p: int, players: str = "players") -> None:
    """Raise for a budget in which the regression has too little to stand on."""
    if n_coalitions < min(4 * p, 2**p - 2):
        raise ValueError(
            f"n_coalitions must be at least {min(4 * p, 2**p - 2)} (four for each of {p} {players}), not {n_coalitions}."
        )


# from worths to shares ----------------------------------------------------------------------------------------------------


def _all_coalitions(d: int) -> np.ndarray:
    """All subsets of d players, (2**d, d), in the order of binary numbers: nobody first, all last."""
    return np.indices((2,) * d, dtype=bool).reshape(d, 2**d).T


def _subset_plan(who: np.ndarray, rng: Any = None) -> Plan:
    return _all_coalitions(len(who)), _subset_shares


def _pair_plan(who: np.ndarray, rng: Any = None) -> Plan:
    return _all_coalitions(len(who)), _pair_shares


def _size_weights(d: int) -> np.ndarray:
    """The weight of each subset of d - 1 other players: equal for all sizes, and for all subsets of a size."""
    sizes = _all_coalitions(d - 1).sum(axis=1)
    return (1 / (d * np.array([comb(d - 1, s) for s in range(d)])))[sizes]


def _joins(cube: np.ndarray, j: int) -> np.ndarray:
    """What player j, one axis of the cube of worths, adds to each coalition of the others."""
    return np.take(cube, 1, axis=j) - np.take(cube, 0, axis=j)


def _subset_shares(v: np.ndarray) -> Shares:
    """The sum over all subsets; v (2**d, k) is folded into a cube with one axis of length two per player."""
    d, k = len(v).bit_length() - 1, v.shape[1]
    cube = v.reshape(*(2,) * d, k)
    values = [_size_weights(d) @ _joins(cube, j).reshape(-1, k) for j in range(d)]
    return np.reshape(values, (d, k)).T, None


def _pair_shares(v: np.ndarray) -> Shares:
    """Interaction index of each pair, (k, d, d); the diagonal is the Shapley value less half of the row."""
    d, k = len(v).bit_length() - 1, v.shape[1]
    cube = v.reshape(*(2,) * d, k)
    values = np.zeros((k, d, d))
    for i, j in combinations(range(d), 2):
        together = _joins(_joins(cube, j), i).reshape(-1, k)
        values[:, i, j] = values[:, j, i] = _size_weights(d - 1) @ together
    main = _subset_shares(v)[0] - values.sum(axis=2) / 2
    values[:, np.arange(d), np.arange(d)] = main
    return values, None


def _owen_plan(who: np.ndarray, unions: list[np.ndarray]) -> Plan:
    """For each union a cube of worths: one axis for each other union, one for each of its own features."""
    members = [np.flatnonzero(np.isin(who, union)) for union in unions]
    members = [own for own in members if len(own)]
    m, cubes = len(members), []
    for k, own in enumerate(members):
        others, cube = members[:k] + members[k + 1 :], _all_coalitions(m - 1 + len(own))
        known = np.zeros((len(cube), len(who)), dtype=bool)
        for axis, columns in enumerate([*others, *own[:, None]]):
            known[:, columns] = cube[:, [axis]]
        cubes.append(known)
    coalitions, place = _distinct(np.concatenate(cubes))
    places = np.split(place, np.cumsum([len(known) for known in cubes])[:-1])

    def shares(v: np.ndarray) -> Shares:
        values = np.empty((v.shape[1], len(who)))
        for own, at in zip(members, places, strict=True):
            cube = v[at].reshape(*(2,) * (m - 1 + len(own)), -1)
            weights = np.outer(_size_weights(m), _size_weights(len(own))).ravel()
            for axis, j in enumerate(own, start=m - 1):
                values[:, j] = weights @ _joins(cube, axis).reshape(len(weights), -1)
        return values, None

    return coalitions, shares


def _order_plan(d: int, n: int, rng: np.random.Generator) -> Plan:
    """n / 2 random orders and their reverses, or all d! where that is no more."""
    if n >= factorial(d):
        return _subset_plan(np.arange(d))
    orders = rng.permuted(np.tile(np.arange(d), (n // 2, 1)), axis=1)
    arrival = np.argsort(orders, axis=1)
    there = arrival[:, None, :] < np.arange(d + 1)[:, None]  # (pairs, steps, players): who is there after t steps
    coalitions, place = _distinct(np.concatenate([there, ~there]).reshape(-1, d))
    forward, reverse = place.reshape(2, n // 2, d + 1)

    def shares(v: np.ndarray) -> Shares:
        steps = np.diff(v[forward] - v[reverse], axis=1) / 2  # a player's step in an order and in its reverse, averaged
        pairs = np.take_along_axis(steps, arrival[:, :, None], axis=1)
        errors = pairs.std(axis=0, ddof=1) / np.sqrt(n // 2) if n > 2 else np.full(pairs.shape[1:], np.nan)
        return pairs.mean(axis=0).T, errors.T

    return coalitions, shares


def _distinct(coalitions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each coalition once, nobody first and all last, and where each of the given ones has gone."""
    d = coalitions.shape[1]
    if d > 62:  # as binary numbers they would not fit into an integer
        rows, place = np.unique(coalitions, axis=0, return_inverse=True)
        return rows, place.ravel()
    _, first, place = np.unique(coalitions @ 2 ** np.arange(d)[::-1], return_index=True, return_inverse=True)
    return coalitions[first], place


def _kernel_plan(d: int, n: int, rng: np.random.Generator) -> Plan:
    """Complementary pairs of coalitions: the sizes that n covers in full, and draws from each of the others."""
    if n >= 2**d - 2:
        return _subset_plan(np.arange(d))
    n_drawn = _pairs_per_size(d, n // 2)
    S = np.concatenate([_draw_subsets(d, size, m, rng) for size, m in enumerate(n_drawn, start=1)])
    coalitions = np.concatenate([np.zeros((1, d), dtype=bool), S, ~S, np.ones((1, d), dtype=bool)])

    def shares(v: np.ndarray) -> Shares:
        of_subset, of_complement = np.split(v[1:-1], 2)
        return _regression_shares(S, (of_subset - of_complement) / 2, v[-1] - v[0], n_drawn)

    return coalitions, shares


def _regression_shares(S: np.ndarray, u: np.ndarray, total: np.ndarray, n_drawn: np.ndarray) -> Shares:
    r"""Weighted least squares of half the differences between complements, under the constraint that the values sum to ``total``.

    Written for the deviations from equal shares, which sum to zero, so that the constraint needs no multiplier. The subsets S
    stand in the order of their size, ``n_drawn`` of each.
    """
    d = S.shape[1]
    size = np.repeat(np.arange(1, d // 2 + 1), n_drawn)
    n_all = np.array([_n_pairs(d, s) for s in range(1, d // 2 + 1)])
    mass = _size_mass(d)
    weight = (mass / n_drawn)[size - 1]
    Z = S - (size / d)[:, None]
    y = u - (size / d - 0.5)[:, None] * total
    inverse = np.linalg.inv(Z.T @ (weight[:, None] * Z) + np.ones((d, d)) / d**2) - np.ones((d, d))
    influence = Z @ inverse
    deviations = (weight[:, None] * influence).T @ y
    leverage = weight * (Z * influence).sum(axis=1)
    residual = (y - Z @ deviations) / (1 - leverage)[:, None]  # what each pair misses when it is left out
    part = influence[:, :, None] * residual[:, None]
    mean = np.add.reduceat(part, np.cumsum(n_drawn) - n_drawn) / n_drawn[:, None, None]
    spread = mass**2 * (1 - n_drawn / n_all) / (n_drawn * np.maximum(n_drawn - 1, 1))
    variance = np.einsum("i,ijk->jk", spread[size - 1], (part - mean[size - 1]) ** 2)
    return (total / d + deviations).T, np.sqrt(variance).T


def _n_pairs(d: int, size: int) -> int:
    """Number of complementary pairs whose smaller half has this size, or 2**53 where it is more than can ever be drawn."""
    return min(comb(d, size) // (2 if 2 * size == d else 1), 2**53)


def _size_mass(d: int) -> np.ndarray:
    """Kernel weight of all pairs of a size: the kernel's, times the number of pairs."""
    sizes = np.arange(1, d // 2 + 1)
    return np.where(2 * sizes == d, 0.5, 1.0) * (d - 1) / (sizes * (d - sizes))


@lru_cache(maxsize=256)
def _pairs_per_size(d: int, n_pairs: int) -> np.ndarray:
    """How many pairs of each size: all where the share by kernel weight is more, never fewer than two, and size one in full."""
    n_all = np.array([float(_n_pairs(d, s)) for s in range(1, d // 2 + 1)])
    share = _size_mass(d)
    full = np.arange(1, d // 2 + 1) == 1
    while True:
        wanted = np.where(full, n_all, (n_pairs - n_all[full].sum()) * share / share[~full].sum())
        if not (wanted > n_all).any():
            break
        full |= wanted > n_all
    counts = np.where(full, n_all, np.maximum(np.floor(wanted), 2)).astype(int)
    while counts.sum() != n_pairs:
        step = np.sign(n_pairs - counts.sum())
        open_to = ~full & ((counts < n_all) if step > 0 else (counts > 2))
        counts[np.argmax(np.where(open_to, step * (wanted - counts), -np.inf))] += step
    return counts


def _draw_subsets(d: int, size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """n different subsets of one size, (n, d), all equally likely; of two complements of equal size, the one with player 0."""
    n_all = _n_pairs(d, size)
    if n_all <= max(10_000, 4 * n):
        pool = _subsets(d, size)
        return pool if n == n_all else pool[rng.choice(n_all, n, replace=False)]
    found = np.empty((0, d), dtype=bool)
    while len(found) < n:
        drawn = np.argsort(rng.random((n, d)), axis=1) < size
        if 2 * size == d:
            drawn = drawn == drawn[:, :1]
        found = np.unique(np.concatenate([found, drawn]), axis=0)
    return found[rng.choice(len(found), n, replace=False)]


@lru_cache(maxsize=256)
def _subsets(d: int, size: int) -> np.ndarray:
    """All subsets of one size; of half the size, those with player 0."""
    chosen = np.array(list(combinations(range(d), size)))[: _n_pairs(d, size)]  # those with player 0 come first
    masks = np.zeros((len(chosen), d), dtype=bool)
    np.put_along_axis(masks, chosen, True, axis=1)
    return masks


# games and texts ----------------------------------------------------------------------------------------------------------


def _game(worth: Any, n_players: Any, most: int, players: Any) -> tuple[np.ndarray, list[str]]:
    """The worth of every coalition, (2**p, k), and the players' names."""
    check.function(worth, "worth")
    p = check.number(n_players, "n_players", low=1, high=most, integer=True)
    names = [f"player {j}" for j in range(1, p + 1)] if players is None else players
    if isinstance(names, str) or not isinstance(names, Sequence) or len(names) != p:
        raise ValueError(f"players must be a list of {p} names, not {check.shown(players)}.")
    v = check.array(worth(_all_coalitions(p)), "what worth returns", ndim=(1, 2))
    if len(v) != 2**p:
        raise ValueError(f"worth must return one number per coalition: {2**p} coalitions in, {len(v)} numbers back.")
    return v.reshape(2**p, -1), [str(name) for name in names]


def _of_game(v: np.ndarray, values: np.ndarray, names: list[str], method: str) -> Attribution:
    one = v.shape[1] == 1
    empty, full = (float(v[0, 0]), float(v[-1, 0])) if one else (v[0], v[-1])
    everybody = np.ones(len(names), dtype=bool)
    return Attribution(values[0] if one else values, empty, full, names, everybody, method, details={"estimand": "game"})


def _of_text(words: Any, plan: Plan, worths: np.ndarray) -> Attribution:
    """The explanation of one text."""
    coalitions, shares = plan
    v = worths.reshape(len(coalitions), -1)
    values, errors = shares(v)
    one = v.shape[1] == 1
    how = "exact" if errors is None else "kernel"
    many = "" if errors is None else f", {len(coalitions) - 2} coalitions"
    return Attribution(
        values=values if one else values[None],
        base_value=float(v[0, 0]) if one else v[0],
        prediction=v[-1] if one else v[-1:],
        feature_names=list(words.words),
        instance=np.array([words.words], dtype=object),
        method=f"{how} Shapley, absent words deleted{many}",
        std_errors=errors if one or errors is None else errors[None],
        details={"estimand": "absent words deleted", "n_coalitions": np.array([len(coalitions) - 2]), "n_model_rows": len(v)},
    )
