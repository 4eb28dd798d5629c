r"""Partial dependence, ICE and ALE: how a prediction changes with one or two features.

The three answer different questions about the same model :math:`f`. Partial dependence gives *every* row the value
:math:`z` and averages; ICE shows the rows before averaging; ALE adds up local differences, each measured only on the rows
that live near :math:`z`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import eigh
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import norm

from xailib import _validation as check
from xailib import models
from xailib.models import BATCH_ROWS, Predict
from xailib.results import Effect

SPACINGS = ("quantile", "uniform")
ICE_KINDS = ("raw", "centred", "derivative")


def partial_dependence(
    predict: Predict,
    X: Any,
    features: Any,
    *,
    grid: Any = 40,
    spacing: str = "quantile",
    n_resamples: int = 0,
    level: float = 0.95,
    simultaneous: bool = False,
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
) -> Effect:
    r"""Average prediction when one feature, or two, are set to the same value in every row.

    .. math:: \mathrm{PD}_S(z) = \frac{1}{n}\sum_{i=1}^n f(z, x_{i,-S})

    Parameters
    ----------
    predict : function, (n, p) -> (n,)
    X : array or DataFrame, shape (n, p), the rows to average over
    features : name or column number, or a pair of them; numeric or categorical
    grid : int or array, or a pair of them: number of grid intervals, or the grid values themselves (levels of a category)
    spacing : {"quantile", "uniform"}, how an int ``grid`` is laid out; see :func:`grid_points`
    n_resamples : int, 0 for no band; else the number of resamples of the rows (no new predictions)
    level, simultaneous : coverage of the band, per grid point or for the whole curve at once
    random_state : int, Generator or None, for the resamples
    batch_rows : int, rows per model call

    Returns
    -------
    Effect
        ``values`` (k,) or (k1, k2) in units of the prediction.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable or the model returns more than one number per row; the message says what to do.

    Notes
    -----
    Friedman (2001), section 8.2. Also queries rows that can not exist when features are correlated. The band is for this
    model and this grid: it holds the uncertainty of the average over rows, not that of fitting. Taught in chapter 3.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 3.0]])
    >>> partial_dependence(lambda X: X[:, 0] * X[:, 1], X, 0, grid=[2.0, 4.0]).values
    array([2., 4.])
    """
    columns = _columns(predict, X, features, at_most=2)
    points = _points(X, columns, grid, spacing, "grid")
    check.flag(simultaneous, "simultaneous")
    resamples = _resamples(len(X), n_resamples, level, random_state)
    rows = np.stack([np.ones(len(X)), *resamples]) / len(X)
    averages = [block @ rows.T for block in _predictions(predict, X, columns, points, batch_rows)]
    values, *draws = np.concatenate(averages).T.reshape(-1, *map(len, points))
    return _effect(X, columns, points, values, "PDP", band=_band(values, draws, level, simultaneous))


def ice(
    predict: Predict,
    X: Any,
    feature: Any,
    *,
    kind: str = "raw",
    grid: Any = 40,
    spacing: str = "quantile",
    batch_rows: int = BATCH_ROWS,
) -> Effect:
    r"""One curve per row: the prediction for :math:`x_i` while one of its features is varied.

    .. math:: f(z, x_{i,-j}), \qquad f(z, x_{i,-j}) - f(z_0, x_{i,-j}), \qquad \partial f(z, x_{i,-j}) / \partial z

    Parameters
    ----------
    predict, X, feature, grid, spacing, batch_rows : as in :func:`partial_dependence`, one feature
    kind : {"raw", "centred", "derivative"}
        Centred curves start at zero at the first grid point; derivatives are central differences along the grid.

    Returns
    -------
    Effect
        ``curves`` (n, k), ``values`` (k,) their average (for ``"raw"``, the partial dependence).

    Raises
    ------
    TypeError, ValueError
        As :func:`partial_dependence`; also for the derivative of a category.

    Notes
    -----
    Goldstein, Kapelner, Bleich & Pitkin (2015). Parallel curves mean no interaction; crossing curves hide in a flat average.
    Taught in chapter 3.

    Examples
    --------
    >>> X = np.array([[1.0, -1.0], [2.0, 1.0]])
    >>> ice(lambda X: X[:, 0] * X[:, 1], X, 0, kind="derivative", grid=[0.0, 1.0, 2.0]).curves
    array([[-1., -1., -1.],
           [ 1.,  1.,  1.]])
    """
    check.one_of(kind, "kind", ICE_KINDS)
    columns = _columns(predict, X, feature, at_most=1)
    if kind == "derivative" and _is_categorical(X, columns[0]):
        raise ValueError("kind 'derivative' needs a numeric feature: use 'raw' or 'centred' for categories.")
    points = _points(X, columns, grid, spacing, "grid")
    curves = np.concatenate(list(_predictions(predict, X, columns, points, batch_rows))).T
    if kind == "centred":
        curves = curves - curves[:, :1]
    elif kind == "derivative":
        curves = np.gradient(curves, points[0].astype(float), axis=1)
    name = "ICE" if kind == "raw" else f"{kind} ICE"
    return _effect(X, columns, points, curves.mean(axis=0), name, curves=curves)


def ale(
    predict: Predict,
    X: Any,
    features: Any,
    *,
    bins: Any = 40,
    spacing: str = "quantile",
    discrete: bool = False,
    n_resamples: int = 0,
    level: float = 0.95,
    simultaneous: bool = False,
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
) -> Effect:
    r"""Accumulated local effects: local differences, averaged where the data are, then added up and centred.

    .. math:: \delta_k = \frac{1}{n_k}\sum_{i:\, z_{k-1} < x_{ij} \le z_k} f(z_k, x_{i,-j}) - f(z_{k-1}, x_{i,-j}),
        \qquad g_k = \sum_{m \le k} \delta_m, \qquad \mathrm{ALE}_k = g_k - \sum_m \frac{n_m}{n} \frac{g_{m-1} + g_m}{2}

    A pair of features gives the second-order effect: double differences per cell, accumulated twice, both first-order
    effects removed, centred. A category is accumulated over neighbouring levels, from both sides of each jump.

    Parameters
    ----------
    predict : function, (n, p) -> (n,)
    X : array or DataFrame, shape (n, p)
    features : name or column number (numeric or categorical), or a pair of numeric ones
    bins : int or array, or a pair of them: number of intervals, or their edges, which must cover the data; not used for levels
    spacing : {"quantile", "uniform"}, how an int ``bins`` is laid out; see :func:`grid_points`
    discrete : bool, treat a numeric feature (a count) as ordered levels instead of cutting it into intervals
    n_resamples : int, 0 for no band; else the number of resamples of the rows' differences (no new predictions)
    level, simultaneous : coverage of the band, per grid point or for the whole curve at once
    random_state, batch_rows : as in :func:`partial_dependence`

    Returns
    -------
    Effect
        ``values`` (k + 1,) at the interval edges, (k1 + 1, k2 + 1) for a pair, (levels,) for a category, in units of the
        prediction; ``details["counts"]`` are the rows per interval, cell or level.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable or the model returns more than one number per row; the message says what to do.

    Notes
    -----
    Apley & Zhu (2020), equations 15, 16 and 17 and appendix on categories; conventions of R's ``ALEPlot`` and ``iml``:
    type-1 quantiles, right-closed intervals (the minimum belongs to the first), an interval or cell without rows takes the
    nearest one's difference. Unordered levels are ordered by similarity, see :func:`level_order`. The band belongs to the
    *accumulated, centred* curve for this model and these intervals; it can not know the error of a borrowed difference, nor
    the bend that a straight step across a wide interval misses. Wide intervals also leave the data. Taught in chapter 3.

    Examples
    --------
    >>> X = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 3.0], [4.0, 3.0]])
    >>> ale(lambda X: X[:, 0] * X[:, 1], X, 0, bins=2)
    Effect(ALE of x0; 3 grid points; -3 to 7)
    """
    columns = _columns(predict, X, features, at_most=2)
    check.flag(discrete, "discrete")
    check.flag(simultaneous, "simultaneous")
    by_level = [discrete or _is_categorical(X, j) for j in columns]
    if len(columns) == 2 and any(by_level):
        raise ValueError("second-order ALE needs two numeric features: use partial_dependence for a category.")
    resamples = _resamples(len(X), n_resamples, level, random_state)
    if by_level[0]:
        name, points, estimate, details = _by_levels(predict, X, columns[0], batch_rows)
    else:
        points = _points(X, columns, bins, spacing, "bins", covering=True)
        order = _first_order if len(columns) == 1 else _second_order
        name, estimate, details = order(predict, X, columns, points, batch_rows)
    values = estimate(np.ones(len(X)))
    draws = [estimate(weights) for weights in resamples]
    return _effect(X, columns, points, values, name, band=_band(values, draws, level, simultaneous), details=details)


def h_statistic(
    predict: Predict,
    X: Any,
    features: Sequence[Any] | None = None,
    *,
    overall: bool = False,
    max_rows: int = 200,
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
) -> pd.DataFrame:
    r"""Friedman's H: the share of a joint partial dependence that is interaction.

    .. math:: H^2_{jk} = \frac{\sum_i [P_{jk}(x_i) - P_j(x_i) - P_k(x_i)]^2}{\sum_i P_{jk}(x_i)^2},
        \qquad H^2_j = \frac{\sum_i [f(x_i) - P_j(x_i) - P_{-j}(x_i)]^2}{\sum_i f(x_i)^2}

    with :math:`P` the partial dependence and every term centred over the rows.

    Parameters
    ----------
    predict : function, (n, p) -> (n,)
    X : array or DataFrame, shape (n, p)
    features : names or column numbers, at least two unless ``overall``; all features by default
    overall : bool, each feature against all others together instead of every pair
    max_rows : int, rows drawn without replacement; each pair costs about this number squared in predictions
    random_state : int, Generator or None, for the draw
    batch_rows : int, rows per model call

    Returns
    -------
    DataFrame
        One row per pair (or feature): ``H2``; ``H`` its root; ``interaction`` the root mean square of the interaction part
        in units of the prediction. ``H2`` is NaN where the joint effect does not vary.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    Friedman & Popescu (2008), equations 44 and 45. Defects to know: H is a ratio, so two features that hardly matter can show
    a large one (read ``interaction`` beside it); with correlated features it is measured on rows that can not exist; an
    estimate from few rows is positive even without interaction when the model is noisy. Taught in chapter 3.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> h_statistic(lambda X: X[:, 0] + X[:, 1], X).round(3).loc["x0 x x1", "H2"]
    np.float64(0.0)
    """
    check.table(X, min_rows=2)
    check.flag(overall, "overall")
    names = check.feature_names(X)
    wanted = range(len(names)) if features is None else features
    if isinstance(wanted, str) or not isinstance(wanted, list | tuple | range):
        raise TypeError(f"features must be a list of features, not {features!r}.")
    columns = [_columns(predict, X, feature, at_most=1)[0] for feature in wanted]
    if len(set(columns)) < max(len(columns), 1 if overall else 2):
        raise ValueError(f"features must be {'one' if overall else 'two'} or more different features, not {features!r}.")
    check.number(max_rows, "max_rows", low=2, integer=True)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    sample = _sample(X, max_rows, check.random_generator(random_state))
    if overall:
        return pd.DataFrame({names[j]: _interaction_overall(predict, sample, j, batch_rows) for j in columns}).T
    pairs = combinations(columns, 2)
    return pd.DataFrame({f"{names[j]} x {names[k]}": _interaction(predict, sample, j, k, batch_rows) for j, k in pairs}).T


def grid_points(values: Any, size: int = 40, spacing: str = "quantile") -> np.ndarray:
    r"""Distinct grid values for one numeric feature: at most ``size + 1``, from minimum to maximum.

    Parameters
    ----------
    values : (n,) numbers
    size : int, number of intervals
    spacing : {"quantile", "uniform"}
        Quantiles are R's type 1, :math:`x_{(\lceil n q \rceil)}`, so every grid point is a value of the data.

    Returns
    -------
    array, increasing

    Raises
    ------
    TypeError, ValueError
        If the values are not finite numbers, or the size or spacing is unusable.

    Notes
    -----
    Ranks are computed in whole numbers: in floating point, ``np.linspace(0, 1, 6)[3]`` is above 0.6 and picks the next value.

    Examples
    --------
    >>> grid_points([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 4)
    array([ 1,  3,  6,  9, 11])
    """
    check.array(values, "values", ndim=1)
    check.number(size, "grid size", low=1, integer=True)
    check.one_of(spacing, "spacing", SPACINGS)
    ordered = np.sort(np.asarray(values))
    if spacing == "uniform":
        return np.unique(np.linspace(ordered[0], ordered[-1], size + 1))
    ranks = [max(-(-len(ordered) * i // size), 1) for i in range(size + 1)]
    return np.unique(ordered[np.array(ranks) - 1])


def level_order(X: Any, feature: Any) -> np.ndarray:
    """Levels of a category in the order in which ALE accumulates them.

    An ordered category and a count keep their own order. Other levels are placed on a line by one-dimensional classical
    scaling of their distances in all *other* features: the largest gap between distribution functions for a number, half
    the summed difference of frequencies for a category.

    Parameters
    ----------
    X : array or DataFrame, shape (n, p)
    feature : name or column number

    Returns
    -------
    array of the levels that occur in ``X``

    Raises
    ------
    TypeError, ValueError
        If the table or the feature is unusable.

    Notes
    -----
    As in R's ``iml`` (distribution functions compared at 100 quantiles). The direction of the line is arbitrary: the first
    level in alphabetical order is put into the first half. Taught in chapter 3.

    Examples
    --------
    >>> X = pd.DataFrame({"kind": list("aaabbbccc"), "size": [1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 2.0, 3.0, 7.0]})
    >>> level_order(X, "kind").tolist()
    ['a', 'c', 'b']
    """
    check.table(X)
    j = check.column(X, feature)
    column = _column(X, j)
    if _has_own_order(column):
        return _levels(column)
    levels = _levels(column)
    codes = pd.Index(levels).get_indexer(pd.Index(column))
    others = [k for k in range(X.shape[1]) if k != j]
    distances = np.sum([_level_distances(_column(X, k), codes, len(levels)) for k in others], axis=0)
    return levels[np.argsort(_on_a_line(squareform(distances)), kind="stable")] if np.any(distances) else levels


# arguments ------------------------------------------------------------------------------------------------------------


def _columns(predict: Predict, X: Any, features: Any, *, at_most: int) -> list[int]:
    """Positions of the one or two features, after checking everything that can be checked before the model is called."""
    check.function(predict, "predict")
    check.table(X, min_rows=2)
    wanted = list(features) if isinstance(features, list | tuple) else [features]
    if not 1 <= len(wanted) <= at_most:
        raise ValueError(f"features must be one feature{' or a pair' if at_most == 2 else ''}, not {features!r}.")
    columns = [check.column(X, feature, "feature") for feature in wanted]
    if len(set(columns)) < len(columns):
        raise ValueError(f"features must be two different features, not {features!r}.")
    for j in columns:
        check.varying(X, j)
    return columns


def _points(X: Any, columns: list[int], grid: Any, spacing: str, name: str, *, covering: bool = False) -> list[np.ndarray]:
    """One array of grid points per feature, from a number of intervals or from given values."""
    check.one_of(spacing, "spacing", SPACINGS)
    grids = list(grid) if len(columns) == 2 and isinstance(grid, tuple) else [grid] * len(columns)
    if len(grids) != len(columns):
        raise ValueError(f"{name} must be one grid or a pair of grids for two features, not {len(grids)} of them.")
    return [_grid(X, j, g, spacing, name, covering) for j, g in zip(columns, grids, strict=True)]


def _grid(X: Any, j: int, grid: Any, spacing: str, name: str, covering: bool) -> np.ndarray:
    column = _column(X, j)
    counted = isinstance(grid, int | np.integer) and not isinstance(grid, bool)
    if counted:
        check.number(grid, name, low=1, integer=True)
    if _is_categorical(X, j):
        return level_order(X, j) if counted else _given_levels(column, grid, name)
    return grid_points(column, grid, spacing) if counted else _given_grid(column, grid, name, covering)


def _given_levels(column: pd.Series, grid: Any, name: str) -> np.ndarray:
    known = _levels(column).tolist()
    if isinstance(grid, str) or not np.iterable(grid):
        raise TypeError(f"{name} must be a number of intervals or a list of levels, not {grid!r}.")
    unknown = [level for level in grid if level not in known]
    if unknown or len(list(grid)) == 0:
        raise ValueError(f"{name} must hold levels that occur ({', '.join(map(repr, known))}), not {list(grid)!r}.")
    return np.asarray(grid, dtype=object)


def _given_grid(column: pd.Series, grid: Any, name: str, covering: bool) -> np.ndarray:
    points = np.asarray(grid)
    check.array(points, name, ndim=1)
    if (np.diff(points) <= 0).any():
        raise ValueError(f"{name} must be increasing, without repeats.")
    if covering and (len(points) < 2 or points[0] > column.min() or points[-1] < column.max()):
        raise ValueError(f"{name} must be at least two edges that cover the data, {column.min():g} to {column.max():g}.")
    return points


def _column(X: Any, j: int) -> pd.Series:
    return X.iloc[:, j] if isinstance(X, pd.DataFrame) else pd.Series(X[:, j]).infer_objects()


def _is_categorical(X: Any, j: int) -> bool:
    column = _column(X, j)
    return not check.is_numeric(column) or bool(pd.api.types.is_bool_dtype(column))


def _has_own_order(column: pd.Series) -> bool:
    return check.is_numeric(column) or bool(isinstance(column.dtype, pd.CategoricalDtype) and column.dtype.ordered)


def _levels(column: pd.Series) -> np.ndarray:
    """Levels that occur, in their own order, or alphabetically."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.remove_unused_categories().cat.categories)
    return np.asarray(sorted(column.unique()), dtype=None if check.is_numeric(column) else object)


# predictions ----------------------------------------------------------------------------------------------------------


def _predictions(predict: Predict, X: Any, columns: list[int], points: list[np.ndarray], batch_rows: int) -> Iterator[np.ndarray]:
    """Predictions (b, n) for every row at block after block of grid points: a few memory-bounded calls."""
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    n = len(X)
    places = [g.ravel() for g in np.meshgrid(*points, indexing="ij")]
    per_call = max(1, batch_rows // n)
    for start in range(0, len(places[0]), per_call):
        block = [np.repeat(g[start : start + per_call], n) for g in places]
        rows = _replaced(X, np.tile(np.arange(n), len(block[0]) // n), columns, block)
        yield models.batched(predict, rows, batch_rows=batch_rows, width=1).reshape(-1, n)


def _replaced(X: Any, index: np.ndarray, columns: list[int], values: list[np.ndarray]) -> Any:
    """Rows ``index`` of ``X`` with whole columns replaced, dtypes kept where they can be."""
    if isinstance(X, pd.DataFrame):
        rows = X.take(index).reset_index(drop=True)
        for j, column in zip(columns, values, strict=True):
            numeric = check.is_numeric(X.iloc[:, j])
            rows.isetitem(j, column if numeric else pd.array(column, dtype=X.dtypes.iloc[j]))
        return rows
    rows = X[index].astype(np.result_type(X.dtype, *[v.dtype for v in values]), copy=False)
    for j, column in zip(columns, values, strict=True):
        rows[:, j] = column
    return rows


# ALE ------------------------------------------------------------------------------------------------------------------

Estimate = Callable[[np.ndarray], np.ndarray]


def _first_order(
    predict: Predict, X: Any, columns: list[int], points: list[np.ndarray], batch_rows: int
) -> tuple[str, Estimate, dict[str, Any]]:
    """Differences across each row's own interval, and the curve they give under row weights."""
    edges, interval = points[0], _interval(X, columns[0], points[0])
    ends = [edges[interval + 1], edges[interval]]
    upper, lower = _at(predict, X, columns, [np.concatenate(ends)], 2, batch_rows)
    deltas, n_intervals = upper - lower, len(edges) - 1

    def curve(weights: np.ndarray) -> np.ndarray:
        counts = np.bincount(interval, weights, n_intervals)
        sums = np.bincount(interval, weights * deltas, n_intervals)
        g = _accumulated(sums, counts)
        return g - np.average((g[:-1] + g[1:]) / 2, weights=counts)

    return "ALE", curve, {"counts": np.bincount(interval, minlength=n_intervals)}


def _second_order(
    predict: Predict, X: Any, columns: list[int], points: list[np.ndarray], batch_rows: int
) -> tuple[str, Estimate, dict[str, Any]]:
    """Double differences across each row's own cell, and the surface they give under row weights."""
    a, b = (_interval(X, j, edges) for j, edges in zip(columns, points, strict=True))
    first = np.concatenate([points[0][a + up] for up in (1, 1, 0, 0)])
    second = np.concatenate([points[1][b + up] for up in (1, 0, 1, 0)])
    f22, f21, f12, f11 = _at(predict, X, columns, [first, second], 4, batch_rows)
    deltas, shape = (f22 - f21) - (f12 - f11), (len(points[0]) - 1, len(points[1]) - 1)
    cell, centres = np.ravel_multi_index((a, b), shape), _cell_centres(points)

    def surface(weights: np.ndarray) -> np.ndarray:
        counts = np.bincount(cell, weights, len(centres))
        sums = np.bincount(cell, weights * deltas, len(centres))
        local = _filled_from_nearest(sums, counts, centres).reshape(shape)
        return _without_main_effects(local, counts.reshape(shape))

    return "second-order ALE", surface, {"counts": np.bincount(cell, minlength=len(centres)).reshape(shape)}


def _by_levels(predict: Predict, X: Any, j: int, batch_rows: int) -> tuple[str, list[np.ndarray], Estimate, dict[str, Any]]:
    """Jumps between neighbouring levels, measured by rows on either side, and the curve they give under row weights."""
    levels = level_order(X, j)
    level = pd.Index(levels).get_indexer(_column(X, j))
    up, down = np.flatnonzero(level < len(levels) - 1), np.flatnonzero(level > 0)
    rows = np.concatenate([np.arange(len(X)), up, down])
    moved = levels[np.concatenate([level, level[up] + 1, level[down] - 1])]
    predictions = models.batched(predict, _replaced(X, rows, [j], [moved]), batch_rows=batch_rows, width=1)
    here, above, below = np.split(predictions, [len(X), len(X) + len(up)])
    deltas = np.concatenate([above - here[up], here[down] - below])
    jump, row, n_jumps = np.concatenate([level[up], level[down] - 1]), np.concatenate([up, down]), len(levels) - 1

    def curve(weights: np.ndarray) -> np.ndarray:
        counts = np.bincount(jump, weights[row], n_jumps)
        sums = np.bincount(jump, weights[row] * deltas, n_jumps)
        g = _accumulated(sums, counts)
        return g - np.average(g, weights=np.bincount(level, weights, len(levels)))

    return "ALE over levels", [levels], curve, {"counts": np.bincount(level, minlength=len(levels))}


def _interval(X: Any, j: int, edges: np.ndarray) -> np.ndarray:
    """Interval of each row, closed on the right; the minimum belongs to the first."""
    return np.maximum(np.searchsorted(edges, np.asarray(_column(X, j)), side="left") - 1, 0)


def _at(predict: Predict, X: Any, columns: list[int], values: list[np.ndarray], times: int, batch_rows: int) -> np.ndarray:
    """Predictions (times, n) for ``times`` copies of ``X`` with columns replaced."""
    rows = _replaced(X, np.tile(np.arange(len(X)), times), columns, values)
    return models.batched(predict, rows, batch_rows=batch_rows, width=1).reshape(times, len(X))


def _accumulated(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Running total of the interval means, from zero; an empty interval takes the mean of its nearest neighbours."""
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    full, empty = np.flatnonzero(counts), np.flatnonzero(counts == 0)
    if len(empty):
        distance = np.abs(empty[:, None] - full)
        nearest = distance == distance.min(axis=1, keepdims=True)
        means[empty] = nearest @ means[full] / nearest.sum(axis=1)
    return np.concatenate([[0.0], np.cumsum(means)])


def _cell_centres(points: list[np.ndarray]) -> np.ndarray:
    """Centres (cells, 2) of the cells, in units of each feature's range."""
    middles = [(g[:-1] + g[1:]) / 2 / (g[-1] - g[0]) for g in points]
    return np.stack([m.ravel() for m in np.meshgrid(*middles, indexing="ij")], axis=1)


def _filled_from_nearest(sums: np.ndarray, counts: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Cell means; an empty cell takes the mean of the nearest cell that holds rows."""
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    full, empty = np.flatnonzero(counts), np.flatnonzero(counts == 0)
    means[empty] = means[full[cdist(centres[empty], centres[full]).argmin(axis=1)]]
    return means


def _without_main_effects(local: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Accumulate cell means twice, remove both first-order effects, centre by the mean of each cell's corners."""
    g = np.zeros((local.shape[0] + 1, local.shape[1] + 1))
    g[1:, 1:] = local.cumsum(axis=0).cumsum(axis=1)
    g = g - _main_effect(g, counts)[:, None] - _main_effect(g.T, counts.T)[None, :]
    corners = (g[:-1, :-1] + g[1:, :-1] + g[:-1, 1:] + g[1:, 1:]) / 4
    return g - np.average(corners, weights=counts)


def _main_effect(g: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """First-order effect along the first axis of an accumulated surface: rises at mid-height of each cell, by counts."""
    rises = np.diff(g, axis=0)
    return _accumulated((counts * (rises[:, :-1] + rises[:, 1:]) / 2).sum(axis=1), counts.sum(axis=1))


def _level_distances(other: pd.Series, codes: np.ndarray, n_levels: int) -> np.ndarray:
    """Distances between levels (condensed) in the distribution of one other feature."""
    if check.is_numeric(other):
        places = np.quantile(other.astype(float), np.linspace(0, 1, 100))
        samples = [np.sort(np.asarray(other, dtype=float)[codes == level]) for level in range(n_levels)]
        below = np.array([np.searchsorted(s, places, side="right") / len(s) for s in samples])
        return pdist(below, "chebyshev")
    shares = pd.crosstab(codes, np.asarray(other, dtype=object), normalize="index").to_numpy()
    return pdist(shares, "cityblock") / 2


def _on_a_line(distances: np.ndarray) -> np.ndarray:
    """Positions from distances by one-dimensional classical scaling; the first item lies on the left."""
    centring = np.eye(len(distances)) - 1 / len(distances)
    _, vectors = eigh(-0.5 * centring @ distances**2 @ centring)
    return vectors[:, -1] * (-1 if vectors[0, -1] > 0 else 1)


# bands ----------------------------------------------------------------------------------------------------------------


def _resamples(n: int, n_resamples: int, level: float, random_state: Any) -> Iterator[np.ndarray]:
    """How often each row occurs in samples of n rows drawn with replacement; arguments are checked at once."""
    check.number(n_resamples, "n_resamples", low=0, integer=True)
    if n_resamples == 1:
        raise ValueError("n_resamples must be 0 (no band) or at least 2; use a few hundred.")
    check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
    rng = check.random_generator(random_state)
    return (np.bincount(rng.integers(n, size=n), minlength=n).astype(float) for _ in range(n_resamples))


Band = tuple[np.ndarray | None, np.ndarray | None]


def _band(values: np.ndarray, draws: list[np.ndarray], level: float, simultaneous: bool) -> Band:
    """Values plus and minus a multiple of the resampling standard error, or nothing without draws.

    The multiple is the normal quantile, or, for the whole curve at once, the quantile of the largest standardised deviation.
    """
    if not draws:
        return None, None
    std_error = np.std(draws, axis=0, ddof=1)
    multiple = norm.ppf(0.5 + level / 2)
    if simultaneous:
        deviations = np.abs(np.asarray(draws) - values)
        standardised = np.divide(deviations, std_error, out=np.zeros_like(deviations), where=std_error > 0)
        multiple = np.quantile(standardised.reshape(len(draws), -1).max(axis=1), level)
    return values - multiple * std_error, values + multiple * std_error


def _effect(
    X: Any,
    columns: list[int],
    points: list[np.ndarray],
    values: np.ndarray,
    method: str,
    *,
    band: Band = (None, None),
    curves: np.ndarray | None = None,
    details: dict[str, Any] | None = None,
) -> Effect:
    """The result, with the rows' own feature values for the rug."""
    names = [check.feature_names(X)[j] for j in columns]
    data = [np.asarray(_column(X, j)) for j in columns]
    return Effect(names, points, values, method, *band, curves=curves, data=data, details=details or {})


# Friedman's H ---------------------------------------------------------------------------------------------------------


def _sample(X: Any, max_rows: int, rng: np.random.Generator) -> Any:
    chosen = np.sort(rng.choice(len(X), size=min(max_rows, len(X)), replace=False))
    return X.take(chosen) if isinstance(X, pd.DataFrame) else X[chosen]


def _interaction(predict: Predict, X: Any, j: int, k: int, batch_rows: int) -> dict[str, float]:
    """H of one pair: joint partial dependence at the rows minus both single ones."""
    joint, first, second = (_pd_at_rows(predict, X, columns, batch_rows) for columns in ([j, k], [j], [k]))
    return _h(joint, joint - first - second)


def _interaction_overall(predict: Predict, X: Any, j: int, batch_rows: int) -> dict[str, float]:
    """H of one feature against all others: column j of row a in row b gives both partial dependences at once."""
    crossed = _crossed(predict, X, [j], batch_rows)
    own = np.diag(crossed)
    return _h(own, own - crossed.mean(axis=1) - crossed.mean(axis=0))


def _pd_at_rows(predict: Predict, X: Any, columns: list[int], batch_rows: int) -> np.ndarray:
    return _crossed(predict, X, columns, batch_rows).mean(axis=1)


def _crossed(predict: Predict, X: Any, columns: list[int], batch_rows: int) -> np.ndarray:
    """Predictions (n, n): entry (a, b) is row b with the chosen columns of row a."""
    n = len(X)
    values = [np.repeat(np.asarray(_column(X, j)), n) for j in columns]
    return _at(predict, X, columns, values, n, batch_rows)


def _h(joint: np.ndarray, rest: np.ndarray) -> dict[str, float]:
    """Variance share of ``rest``; undefined where ``joint`` varies by no more than rounding."""
    flat = joint.std() <= 1e-10 * np.abs(joint).max()
    h2 = np.nan if flat else rest.var() / joint.var()
    return {"H2": h2, "H": np.sqrt(h2), "interaction": rest.std()}
