r"""Counterfactuals: the smallest change of a row that changes the decision, inside limits that a person can live with.

.. math:: \min_{x'} d(x, x') \quad \text{such that } f(x') \text{ is on the other side}, \qquad
    d(x, x') = \sum_j \frac{|x_j - x'_j|}{\mathrm{MAD}_j}

:func:`search` asks any model; :func:`gradient` descends a torch module; :func:`nearest_linear` and :func:`nearest_leaf` are exact
for a line and for one tree, and grade the other two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xailib import _counterfactual_search as engine
from xailib import _validation as check
from xailib import models
from xailib._counterfactual_search import MAX_ROWS, N_NEIGHBOURS, Search, as_frame, columns_of, same_columns
from xailib.models import BATCH_ROWS, Predict
from xailib.results import Counterfactuals

NORMS = ("l1", "l2")
SCALES = {"mad": "MAD", "std": "standard deviation", "range": "range"}
#: model rows of one instance that wait together, roughly: how many instances share a call follows from it
ROWS_EACH = 2_000
_TINY = 1e-12


def search(
    predict: Predict,
    instance: Any,
    data: Any,
    *,
    target: str | int | None = None,
    threshold: float = 0.5,
    margin: float = 0.0,
    n_counterfactuals: int = 1,
    immutable: Sequence[Any] = (),
    direction: Mapping[Any, str] | None = None,
    ranges: Mapping[Any, Sequence[Any]] | None = None,
    derived: Mapping[Any, Callable[[Any], Any]] | None = None,
    max_changed: int | None = None,
    sparsity: float = 0.0,
    plausibility: float | None = None,
    diversity: float = 0.5,
    scale: Any = "mad",
    rounding: bool = True,
    batch_rows: int = BATCH_ROWS,
) -> Counterfactuals:
    r"""Nearest rows that a model decides otherwise, inside limits; any model, numbers and categories.

    .. math:: \min_{x'} \sum_j \frac{|x_j - x'_j|}{s_j} + \text{sparsity} \cdot \#\{j: x_j \ne x'_j\}
        \quad \text{such that } f(x') \text{ is in the target and } x' \text{ within the limits}

    Parameters
    ----------
    predict : function, (n, p) -> (n,), or (n, c) together with a class as ``target``
    instance : DataFrame or array of one row
    data : DataFrame or array (n, p), n >= 2: gives scale, ranges, levels, and rows to start from
    target : "below" or "above" the threshold, the number of a class for c outputs, or None for the other side of the threshold
    threshold : float; below means at most ``threshold - margin``, above means more than ``threshold + margin``
    margin : float >= 0, how far beyond the threshold a row has to be, in units of the prediction
    n_counterfactuals : int, at most this many rows
    immutable : features that stay as they are
    direction : feature -> "increase" or "decrease", for numbers
    ranges : feature -> (lowest, highest) for a number, or a list of allowed levels; by default what ``data`` holds. A row outside
        its range has to come inside
    derived : feature -> function of the rows that computes it from other columns (``height_in`` from ``height_cm``); such a
        feature follows, it is neither counted as a change nor in the distance
    max_changed : int, at most this many changed features
    sparsity : float >= 0, what each changed feature costs beyond its distance
    plausibility : float in (0, 1], limit on :func:`isolation`; a row that is itself more isolated sets its own limit
    diversity : float in [0, 1), what it is worth to be far from the rows already chosen
    scale : "mad", "std", "range" or p positive numbers; see :func:`mad_scale`
    rounding : bool, round changed numbers as the data are (up to three decimals); integer columns stay whole in any case
    batch_rows : int, rows per model call

    Returns
    -------
    Counterfactuals
        Every row is valid for the model and inside the limits. None found: ``found`` is false and ``reason`` says how hard the
        search looked.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable; the message says what to do.

    Notes
    -----
    A search, not a proof: lines through the instance, pairs of features, values of the nearest rows on the other side, then every
    change taken back as far as the decision allows, and exchanged for others. The distance is that of Wachter, Mittelstadt &
    Russell (2018), equation 4. No random numbers. Taught in chapter 7.

    Examples
    --------
    >>> data = np.random.default_rng(0).normal(size=(200, 2))
    >>> result = search(lambda X: X @ [1.0, 2.0], np.array([[-1.0, -1.0]]), data, threshold=0.0, scale=[1, 1])
    >>> result.changed, result.distances.round(2)
    ([['x1']], array([1.5]))
    """
    settings = locals()
    x = as_frame(check.table(settings.pop("instance"), "instance"))
    if len(x) != 1:
        raise ValueError(f"instance must be a single row, not {len(x)}: use search_many for several.")
    return _search_all(instances=instance, name="instance", n_jobs=None, **settings)[0]


def search_many(
    predict: Predict,
    X: Any,
    data: Any,
    *,
    target: str | int | None = None,
    threshold: float = 0.5,
    margin: float = 0.0,
    n_counterfactuals: int = 1,
    immutable: Sequence[Any] = (),
    direction: Mapping[Any, str] | None = None,
    ranges: Mapping[Any, Sequence[Any]] | None = None,
    derived: Mapping[Any, Callable[[Any], Any]] | None = None,
    max_changed: int | None = None,
    sparsity: float = 0.0,
    plausibility: float | None = None,
    diversity: float = 0.5,
    scale: Any = "mad",
    rounding: bool = True,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> list[Counterfactuals]:
    """:func:`search` for every row of a table; the rows that all searches wait for share the model's calls.

    Parameters
    ----------
    X : DataFrame or array (n, p), the instances
    n_jobs : int or None, processes, as in joblib
    predict, data, target, threshold, margin, n_counterfactuals, immutable, direction, ranges, derived, max_changed, sparsity,
    plausibility, diversity, scale, rounding, batch_rows : as in :func:`search`

    Returns
    -------
    list of Counterfactuals, one for each row, the same whatever ``batch_rows`` and ``n_jobs`` are

    Raises
    ------
    TypeError, ValueError
        As :func:`search`.

    Notes
    -----
    Taught in chapter 7.

    Examples
    --------
    >>> data = np.random.default_rng(0).normal(size=(200, 2))
    >>> [r.found for r in search_many(lambda X: X[:, 0] + X[:, 1], data[:3], data, threshold=0.0)]
    [True, True, True]
    """
    settings = locals()
    instances = settings.pop("X")
    return _search_all(instances=instances, name="X", **settings)


def _search_all(
    predict: Predict, instances: Any, data: Any, name: str, n_jobs: int | None, **settings: Any
) -> list[Counterfactuals]:
    """Check everything, score data and instances once, then search block by block."""
    check.function(predict, "predict")
    check.table(data, "data", min_rows=2)
    check.table(instances, name)
    if n_jobs is not None and check.number(n_jobs, "n_jobs", integer=True) == 0:
        raise ValueError("n_jobs must not be 0: use None for one process, 2 for two, -1 for all cores.")
    batch_rows = check.number(settings.pop("batch_rows"), "batch_rows", low=1, integer=True)
    scale = settings.pop("scale")
    settings["scale"] = _scale_of(scale, as_frame(data))
    settings["scale_name"] = SCALES[scale] if isinstance(scale, str) else "the given scale"
    problem = engine.problem_of(predict, instances, data, name, batch_rows, **settings)
    X = problem.coding.encode(instances, name)
    raw = models.batched(predict, instances, batch_rows=batch_rows)
    problem.goal_of(raw[0])  # a target that does not fit the model's output is refused here, before any search
    seeds = problem.sample[:: max(1, -(-len(problem.sample) // MAX_ROWS))]
    raw_seeds = models.batched(predict, problem.coding.decode(seeds), batch_rows=batch_rows)

    def explain(block: slice) -> list[Counterfactuals]:
        searches = [Search(problem, x, r, seeds, raw_seeds) for x, r in zip(X[block], raw[block], strict=True)]
        return engine.run_all(problem, searches)

    blocks = models.in_blocks(explain, len(X), rows_each=ROWS_EACH, batch_rows=batch_rows, n_jobs=n_jobs)
    return [result for block in blocks for result in block]


# what one unit of distance is -------------------------------------------------------------------------------------------


def mad_scale(data: Any) -> pd.DataFrame:
    r"""One unit of distance for each feature: the median absolute deviation, with a stated fall-back.

    .. math:: \mathrm{MAD}_j = \mathrm{median}_i \, |x_{ij} - \mathrm{median}_l \, x_{lj}|

    Parameters
    ----------
    data : DataFrame or array, shape (n, p), n >= 2

    Returns
    -------
    DataFrame
        One row per feature: ``scale``, and the ``rule`` that gave it. When more than half of the rows share one value the MAD is
        zero, and the *mean* absolute deviation from the median takes its place; a constant column gets 1. A changed category
        costs 1.

    Raises
    ------
    TypeError, ValueError
        If the table is unusable.

    Notes
    -----
    Wachter, Mittelstadt & Russell (2018) divide by the MAD and do not say what to do when it is zero; DiCE then divides by 1.
    Taught in chapter 7.

    Examples
    --------
    >>> mad_scale(np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0], [9.0, 1.0]]))
        scale                     rule
    x0   1.50                      MAD
    x1   0.25  mean absolute deviation
    """
    check.table(data, "data", min_rows=2)
    frame = as_frame(data)
    rows = [_mad_of(frame[c]) if check.is_numeric(frame[c]) else (1.0, "category: a change costs 1") for c in frame]
    return pd.DataFrame(rows, columns=["scale", "rule"], index=[str(c) for c in frame])


def _mad_of(column: pd.Series) -> tuple[float, str]:
    deviations = np.abs(column.astype(float) - column.astype(float).median())
    for value, rule in ((deviations.median(), "MAD"), (deviations.mean(), "mean absolute deviation")):
        if value > 0:
            return float(value), rule
    return 1.0, "constant: one unit"


def _scale_of(scale: Any, frame: pd.DataFrame) -> np.ndarray:
    """p positive numbers from a name or from numbers; 1 for categories unless numbers are given."""
    if isinstance(scale, str):
        check.one_of(scale, "scale", SCALES)
        if scale == "mad":
            return mad_scale(frame)["scale"].to_numpy(float)
        spread = [_spread(frame[c], scale) if check.is_numeric(frame[c]) else 1.0 for c in frame]
        return np.array([s if s > 0 else 1.0 for s in spread])
    return _positive(scale, "scale", frame.shape[1])


def _spread(column: pd.Series, scale: str) -> float:
    values = column.to_numpy(float)
    return float(values.std() if scale == "std" else np.ptp(values))


def _positive(values: Any, name: str, p: int) -> np.ndarray:
    """p positive numbers, from one number or from p."""
    given = check.array(values, name, ndim=(0, 1))
    if given.ndim == 1 and len(given) != p:
        raise ValueError(f"{name} must be one number or {p}, one per feature, not {len(given)}.")
    if (given <= 0).any():
        raise ValueError(f"{name} must hold positive numbers only, but the smallest is {given.min():g}.")
    return np.broadcast_to(given, p).astype(float)


def distance(instance: Any, rows: Any, scale: Any = "mad", *, data: Any = None, norm: str = "l1") -> np.ndarray:
    r"""Distance from one row to others; a changed category counts like a change by one unit.

    .. math:: d_1(x, x') = \sum_j \frac{|x_j - x'_j|}{s_j}, \qquad d_2(x, x') = \sqrt{\sum_j \frac{(x_j - x'_j)^2}{s_j^2}}

    Parameters
    ----------
    instance : DataFrame or array of one row
    rows : like it, with n rows
    scale : "mad", "std" or "range" of ``data``, or p positive numbers
    data : DataFrame or array with the same columns, needed when ``scale`` is a name
    norm : {"l1", "l2"}

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    TypeError, ValueError
        If the tables do not have the same columns, or an argument is unusable.

    Notes
    -----
    Taught in chapter 7.

    Examples
    --------
    >>> distance(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0], [1.0, 5.0]]), [2.0, 1.0])
    array([1., 3.])
    """
    check.one_of(norm, "norm", NORMS)
    x, others = as_frame(check.table(instance, "instance")), as_frame(check.table(rows, "rows"))
    same_columns(x, "instance", others, "rows")
    if len(x) != 1:
        raise ValueError(f"instance must be a single row, not {len(x)}.")
    if isinstance(scale, str) and data is None:
        raise ValueError(f"data is needed for scale {scale!r}: give the table that it is computed from.")
    known = others if data is None else as_frame(check.table(data, "data", min_rows=2))
    same_columns(x, "instance", known, "data")
    s = _scale_of(scale, known)
    moves = [_move(x.iloc[:, j], others.iloc[:, j]) for j in range(x.shape[1])]
    u = np.column_stack(moves) / s
    return u.sum(axis=1) if norm == "l1" else np.sqrt((u**2).sum(axis=1))


def _move(before: pd.Series, after: pd.Series) -> np.ndarray:
    if check.is_numeric(before) and check.is_numeric(after):
        return np.abs(after.to_numpy(float) - float(before.iloc[0]))
    return (after.astype(object).to_numpy() != before.iloc[0]).astype(float)


def isolation(rows: Any, data: Any, *, scale: Any = "mad", n_neighbours: int = N_NEIGHBOURS) -> np.ndarray:
    r"""How far from the data a row lies, as a rank: the share of data rows that are closer to their neighbours than it is.

    .. math:: \frac{1}{n}\,\#\{i: \bar d_k(x_i) < \bar d_k(x')\}, \qquad \bar d_k = \text{mean distance to the k nearest rows}

    Parameters
    ----------
    rows : DataFrame or array (m, p)
    data : DataFrame or array (n, p) in the same columns, more rows than ``n_neighbours``; of many, 1,000 evenly spread
    scale : as in :func:`distance`
    n_neighbours : int, k

    Returns
    -------
    array, shape (m,)
        Near 0: in a crowd. 0.5: like the median row. 1: further out than every row of the data.

    Raises
    ------
    TypeError, ValueError
        If the tables do not have the same columns, or there are too few rows.

    Notes
    -----
    Data rows are compared without themselves. A row in a gap between two crowds is isolated as well, and one inside a crowd can
    still be impossible: distance knows no facts. Taught in chapter 7.

    Examples
    --------
    >>> isolation(np.array([[0.0], [9.0]]), np.arange(-2.0, 3.0, 0.5)[:, None], n_neighbours=2)
    array([0., 1.])
    """
    check.table(rows, "rows")
    check.table(data, "data", min_rows=2)
    check.number(n_neighbours, "n_neighbours", low=1, integer=True)
    same_columns(as_frame(rows), "rows", as_frame(data), "data")
    coding = engine.coding_of(data, _scale_of(scale, as_frame(data)), [rows])
    if n_neighbours >= len(data):
        raise ValueError(f"n_neighbours must be smaller than the number of rows of data, {len(data)}, not {n_neighbours}.")
    crowd = engine.crowd_of(coding, engine.evenly(coding.encode(data, "data"), MAX_ROWS), n_neighbours)
    return crowd.isolation(coding.encode(rows, "rows"))


def quality(
    predict: Predict,
    instance: Any,
    rows: Any,
    data: Any,
    *,
    target: str | int | None = None,
    threshold: float = 0.5,
    margin: float = 0.0,
    scale: Any = "mad",
    batch_rows: int = BATCH_ROWS,
) -> dict[str, float]:
    r"""Scores of counterfactuals from anywhere: validity, distance, sparsity, diversity, plausibility.

    Parameters
    ----------
    predict, instance, data, target, threshold, margin, scale, batch_rows : as in :func:`search`
    rows : DataFrame or array (k, p), the counterfactuals to score; no row is allowed and gives NaN for all but ``found``

    Returns
    -------
    dict
        ``found`` number of rows; ``valid`` share on the right side; ``nearest`` and ``distance`` smallest and mean distance;
        ``changed`` mean number of changed features; ``diversity`` mean distance between the rows (NaN for one);
        ``feature_sets`` number of different sets of changed features; ``isolation`` mean of :func:`isolation`.

    Raises
    ------
    TypeError, ValueError
        As :func:`search`.

    Notes
    -----
    Mothilal, Sharma & Tan (2020), section 4. Diversity grows with distance: compare it at equal distance only. Taught in
    chapter 7.

    Examples
    --------
    >>> data = np.random.default_rng(0).normal(size=(100, 2))
    >>> x, rows = np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0], [-0.5, 0.0]])
    >>> quality(lambda X: X[:, 0], x, rows, data, threshold=0.0, scale=[1, 1])["valid"]
    0.5
    """
    check.function(predict, "predict")
    check.table(data, "data", min_rows=N_NEIGHBOURS + 1)
    x = as_frame(check.table(instance, "instance"))
    same_columns(x, "instance", as_frame(data), "data")
    goal_of = engine.goal_maker(target, threshold, margin)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    names = ("valid", "nearest", "distance", "changed", "diversity", "feature_sets", "isolation")
    if isinstance(rows, pd.DataFrame | np.ndarray) and rows.ndim == 2 and len(rows) == 0:
        return {"found": 0.0} | dict.fromkeys(names, np.nan)
    same_columns(as_frame(check.table(rows, "rows")), "rows", as_frame(data), "data")
    coding = engine.coding_of(data, _scale_of(scale, as_frame(data)), [rows, instance])
    d = distance(instance, rows, coding.scale)
    Z, z = coding.encode(rows, "rows"), coding.encode(x, "instance")[0]
    goal = goal_of(models.batched(predict, instance, batch_rows=batch_rows)[0])
    valid = goal.slack(models.batched(predict, rows, batch_rows=batch_rows)) >= 0
    between = [coding.costs(row, Z[i + 1 :]).sum(axis=1) for i, row in enumerate(Z[:-1])]
    scores = {
        "valid": valid.mean(),
        "nearest": d.min(),
        "distance": d.mean(),
        "changed": (z != Z).sum(axis=1).mean(),
        "diversity": np.concatenate(between).mean() if between else np.nan,
        "feature_sets": len(np.unique(z != Z, axis=0)),
        "isolation": isolation(rows, data, scale=coding.scale).mean(),
    }
    return {"found": float(len(rows))} | {name: float(score) for name, score in scores.items()}


# exact answers where the boundary is known ------------------------------------------------------------------------------


def nearest_linear(
    weights: Any,
    intercept: float,
    instance: Any,
    *,
    scale: Any = 1.0,
    norm: str = "l1",
    lower: Any = None,
    upper: Any = None,
    immutable: Sequence[Any] = (),
) -> Counterfactuals:
    r"""Nearest point on the boundary of a linear model, inside a box: exact.

    .. math:: \min_{x'} \lVert (x' - x) / s \rVert \quad \text{such that } w^\top x' + b = 0, \; l \le x' \le u

    Without a box: L1 moves one feature, the one with the largest :math:`|w_j| s_j`; L2 moves all of them, by
    :math:`-(w^\top x + b)\, s_j^2 w_j / \sum_k s_k^2 w_k^2` (for equal scales the orthogonal projection).

    Parameters
    ----------
    weights : (p,)
    intercept : float
    instance : DataFrame or array of one row, or an array (p,)
    scale : positive number, or p of them
    norm : {"l1", "l2"}
    lower, upper : numbers or (p,), the box; None for no limit. The instance has to lie inside
    immutable : features that stay as they are

    Returns
    -------
    Counterfactuals
        One row, on the boundary; or none, and then ``reason`` holds the proof.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or the instance lies outside the box.

    Notes
    -----
    In a box the cheapest feature goes first and the next one takes over when it is full (L1), or every feature moves until its
    wall, like water rising (L2). Taught in chapter 7.

    Examples
    --------
    >>> nearest_linear([1.0, 2.0], -1.0, [0.0, 0.0]).rows.to_numpy()
    array([[0. , 0.5]])
    >>> nearest_linear([1.0, 2.0], -1.0, [0.0, 0.0], norm="l2").rows.to_numpy().round(2)
    array([[0.2, 0.4]])
    """
    check.one_of(norm, "norm", NORMS)
    frame, x = _numeric_row(instance)
    w = check.array(weights, "weights", ndim=1, length=len(x))
    b = float(check.number(intercept, "intercept"))
    s = _positive(scale, "scale", len(x))
    low, high = _box(frame, x, lower, upper, immutable)
    f = float(w @ x + b)
    method = f"nearest point on a line, {norm.upper()}, exact"
    gain = w * np.sign(-f) * s  # how much one unit of distance brings us towards the boundary
    best = float(f + w @ np.where(gain > 0, high - x, np.where(gain < 0, low - x, 0.0)))
    if f * best > 0:
        reason = f"proven: inside these limits the score stays {'above' if f > 0 else 'below'} 0, its limit is {best:.4g}"
        return _exact(frame, None, f, s, "score = 0", method, reason, norm)
    room = np.where(gain > 0, high - x, x - low) / s
    fill = _fill_one_by_one if norm == "l1" else _fill_like_water
    moved = x + np.sign(gain) * s * fill(np.abs(gain), room, abs(f))
    return _exact(frame, np.clip(moved, low, high), f, s, "score = 0", method, "", norm, after=lambda z: float(w @ z + b))


def _fill_one_by_one(gain: np.ndarray, room: np.ndarray, needed: float) -> np.ndarray:
    """L1: moves u, the largest gain first, each until its wall; ``gain @ u`` is what is needed."""
    u = np.zeros(len(gain))
    for j in np.argsort(-gain, kind="stable"):
        if gain[j] == 0 or needed / gain[j] <= room[j]:  # the last one, which is not filled up
            u[j] = needed / gain[j] if gain[j] > 0 else 0.0
            break
        u[j] = room[j]
        needed -= gain[j] * room[j]
    return u


def _fill_like_water(gain: np.ndarray, room: np.ndarray, needed: float) -> np.ndarray:
    r"""L2: moves :math:`u_j = \min(\mu\, g_j, r_j)` with the one level :math:`\mu` for which ``gain @ u`` is what is needed."""
    rising = gain > 0
    g, r = gain[rising], room[rising]
    u = np.zeros(len(gain))
    full = np.divide(r, g)
    level = needed / (g @ g) if len(g) else 0.0
    for level_here in np.sort(full):  # walls in the order in which they are reached
        swimming = full > level_here
        brought = g[~swimming] @ r[~swimming]
        if g @ np.minimum(level_here * g, r) >= needed:
            break
        level = (needed - brought) / (g[swimming] @ g[swimming]) if swimming.any() else np.inf
    u[rising] = np.minimum(level * g, r)
    return u


def nearest_leaf(
    tree: Any,
    instance: Any,
    *,
    target: str | int | None = None,
    threshold: float = 0.5,
    scale: Any = 1.0,
    norm: str = "l1",
    lower: Any = None,
    upper: Any = None,
    immutable: Sequence[Any] = (),
) -> Counterfactuals:
    r"""Nearest row that one scikit-learn tree decides otherwise: exact, by the box of every leaf.

    .. math:: \min_{\text{leaves } B \text{ in the target}} \; \min_{x' \in B} \lVert (x' - x) / s \rVert

    Parameters
    ----------
    tree : fitted DecisionTreeClassifier (two classes: probability of the second; more: ``target`` is a class) or
        DecisionTreeRegressor
    instance : DataFrame or array of one row, or an array (p,)
    target, threshold : as in :func:`search`
    scale, norm, lower, upper, immutable : as in :func:`nearest_linear`

    Returns
    -------
    Counterfactuals
        One row; or none, and then ``reason`` holds the proof. ``details["n_leaves"]`` is how many boxes were looked at.

    Raises
    ------
    TypeError, ValueError
        If the model is no single tree: the boxes of a forest are intersections of one leaf of each tree, and their number grows
        exponentially.

    Notes
    -----
    A leaf is a box that is open on the left, and the tree compares in 32 bits, so the nearest point beyond a threshold is
    the next 32-bit number. Taught in chapter 7.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> tree = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> nearest_leaf(tree, [0.0]).rows.to_numpy().round(4)
    array([[1.5]])
    """
    check.one_of(norm, "norm", NORMS)
    goal_of = engine.goal_maker(target, threshold, 0.0)
    nodes, values = _tree_parts(tree)
    frame, x = _numeric_row(instance)
    if len(x) != tree.n_features_in_:
        raise ValueError(f"instance must have {tree.n_features_in_} features like the tree, not {len(x)}.")
    s = _positive(scale, "scale", len(x))
    low, high = _box(frame, x, lower, upper, immutable)
    leaves = list(_leaf_boxes(nodes, 0, np.full(len(x), -np.inf), np.full(len(x), np.inf)))
    raw = np.array([values[leaf] for leaf, _, _ in leaves])
    before = values[nodes.apply(x.astype(np.float32)[None])[0]]
    goal = goal_of(before)
    wanted = goal.slack(raw) >= 0
    points = [_nearest_in_box(x, np.maximum(a, low), np.minimum(c, high)) for _, a, c in leaves]
    reachable = [k for k, z in enumerate(points) if wanted[k] and z is not None]
    method = f"nearest leaf, {norm.upper()}, exact"
    details = {"n_leaves": len(leaves), "n_target_leaves": int(wanted.sum())}
    if not reachable:
        reason = f"proven: none of the {details['n_target_leaves']} leaves in the target reaches into these limits"
        return _exact(frame, None, before, s, goal.text, method, reason, norm, details=details)
    lengths = [_length((points[k] - x) / s, norm) for k in reachable]
    best = points[reachable[int(np.argmin(lengths))]]
    after = lambda z: values[nodes.apply(z.astype(np.float32)[None])[0]]  # noqa: E731
    return _exact(frame, best, before, s, goal.text, method, "", norm, after=after, details=details)


def _tree_parts(tree: Any) -> tuple[Any, np.ndarray]:
    """scikit-learn's arrays of a tree, and the output of each node: a number, or probabilities of three and more classes."""
    if hasattr(tree, "estimators_"):
        raise TypeError("tree must be a single tree: a forest has a box for each combination of leaves; use search instead.")
    nodes = getattr(tree, "tree_", None)
    if nodes is None:
        raise TypeError(f"tree must be a fitted DecisionTreeClassifier or DecisionTreeRegressor, not {type(tree).__name__}.")
    if nodes.value.shape[1] != 1:
        raise ValueError(f"tree must have one output, not {nodes.value.shape[1]}: fit one tree for each.")
    values = nodes.value[:, 0]
    if not hasattr(tree, "classes_"):
        return nodes, values[:, 0]
    values = values / values.sum(axis=1, keepdims=True)
    return nodes, values[:, 1] if values.shape[1] == 2 else values


def _leaf_boxes(nodes: Any, node: int, low: np.ndarray, high: np.ndarray) -> Iterable[tuple[int, np.ndarray, np.ndarray]]:
    """Every leaf with the lowest and the highest 32-bit value of each feature that lead there."""
    if nodes.children_left[node] < 0:
        yield node, low, high
        return
    j, cut = nodes.feature[node], nodes.threshold[node]
    left, right = high.copy(), low.copy()
    left[j], right[j] = min(high[j], _float32_at_most(cut)), max(low[j], _float32_above(cut))
    yield from _leaf_boxes(nodes, nodes.children_left[node], low, left)
    yield from _leaf_boxes(nodes, nodes.children_right[node], right, high)


def _float32_at_most(value: float) -> float:
    near = np.float32(value)
    return float(near if float(near) <= value else np.nextafter(near, np.float32(-np.inf)))


def _float32_above(value: float) -> float:
    near = np.float32(value)
    return float(near if float(near) > value else np.nextafter(near, np.float32(np.inf)))


def _nearest_in_box(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """The point of the box nearest to x, or None for an empty box; x counts as what the tree sees of it, 32 bits."""
    inside = (np.float32(x) >= low) & (np.float32(x) <= high)
    return None if (low > high).any() else np.where(inside, x, np.clip(x, low, high))


def _length(u: np.ndarray, norm: str) -> float:
    return float(np.abs(u).sum() if norm == "l1" else np.sqrt((u**2).sum()))


def _numeric_row(instance: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """One row of numbers, as a frame and as a vector."""
    if not isinstance(instance, pd.DataFrame):
        instance = np.atleast_2d(check.array(instance, "instance", ndim=(1, 2)))
    frame = as_frame(check.table(instance, "instance", allow_text=False))
    if len(frame) != 1:
        raise ValueError(f"instance must be a single row, not {len(frame)}.")
    return frame, frame.to_numpy(float)[0]


def _box(frame: pd.DataFrame, x: np.ndarray, lower: Any, upper: Any, immutable: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits with the instance inside; immutable features have no room."""
    low, high = (_limit(v, name, len(x), default) for v, name, default in ((lower, "lower", -np.inf), (upper, "upper", np.inf)))
    for name, outside in (("lower", x < low), ("upper", x > high)):
        if outside.any():
            raise ValueError(f"{name} excludes the instance itself in feature {frame.columns[outside.argmax()]!r}: widen it.")
    fixed = columns_of(frame, immutable, "immutable")
    low[fixed] = high[fixed] = x[fixed]
    return low, high


def _limit(values: Any, name: str, p: int, default: float) -> np.ndarray:
    if values is None:
        return np.full(p, default)
    given = check.array(np.where(np.isinf(_as_numbers(values)), 0.0, _as_numbers(values)), name, ndim=(0, 1))
    if given.ndim == 1 and len(given) != p:
        raise ValueError(f"{name} must be one number or {p}, one per feature, not {len(given)}.")
    return np.broadcast_to(_as_numbers(values), p).astype(float)


def _as_numbers(values: Any) -> np.ndarray:
    """Floats, infinite ones welcome; anything else becomes NaN, which the caller's check refuses."""
    try:
        a = np.asarray(values)
        return a.astype(float) if a.dtype.kind in "iuf" else np.full(a.shape or (1,), np.nan)
    except (TypeError, ValueError):
        return np.full(1, np.nan)


def _exact(
    frame: pd.DataFrame,
    point: np.ndarray | None,
    before: Any,
    scale: np.ndarray,
    target: str,
    method: str,
    reason: str,
    norm: str,
    after: Callable[[np.ndarray], Any] | None = None,
    details: dict[str, Any] | None = None,
) -> Counterfactuals:
    """The result of an exact method: one row or none."""
    x = frame.to_numpy(float)[0]
    found = [] if point is None else [point]
    rows = pd.DataFrame(np.reshape(found, (len(found), len(x))), columns=frame.columns)
    predictions = np.array([after(z) for z in found]) if after else np.empty(0)
    lengths = np.array([_length((z - x) / scale, norm) for z in found])
    return Counterfactuals(frame, rows, before, predictions, lengths, scale, target, method, reason, details or {})


# by gradient ------------------------------------------------------------------------------------------------------------


def gradient(
    model: Any,
    instance: Any,
    *,
    target: float = 0.0,
    tolerance: float = 1e-3,
    scale: Any = 1.0,
    lower: Any = None,
    upper: Any = None,
    immutable: Sequence[Any] = (),
    first_weight: float = 0.1,
    growth: float = 2.0,
    max_weight: float = 1e6,
    steps: int = 100,
) -> Counterfactuals:
    r"""Wachter's counterfactual: descend distance plus squared miss, and raise the price of missing until the score fits.

    .. math:: \min_{x'} \; \lambda \, (f(x') - y')^2 + \sum_j \frac{|x'_j - x_j|}{s_j},
        \qquad \lambda = \lambda_0, \gamma \lambda_0, \gamma^2 \lambda_0, \dots

    Parameters
    ----------
    model : torch module, inputs (1, p) -> a score (1,) or (1, 1); the raw score (log-odds), whose gradient does not vanish
    instance : DataFrame or array of one row, or an array (p,)
    target : float y', the score asked for; 0 is the boundary of log-odds
    tolerance : float > 0, how far from y' the score may end
    scale, lower, upper, immutable : as in :func:`nearest_linear`; the scale is the MAD in the paper
    first_weight, growth, max_weight : the annealing: :math:`\lambda_0 > 0`, :math:`\gamma > 1`, and the largest :math:`\lambda`
    steps : int, descent steps for each :math:`\lambda`

    Returns
    -------
    Counterfactuals
        One row whose score is within ``tolerance`` of the target, or none and a reason.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or the model does not return one finite score.

    Notes
    -----
    Wachter, Mittelstadt & Russell (2018), equations 1 to 4, who use Adam. Here each step is a proximal one: a gradient step on
    the miss, then every change shrunk by the step's length in units of the scale, with the step halved until the objective
    falls. A change that is not worth its distance is exactly zero. A local method: for a model with several boundaries it finds
    one. Taught in chapter 7.

    Examples
    --------
    >>> import torch
    >>> line = torch.nn.Linear(2, 1, dtype=torch.float64)
    >>> _ = line.weight.data.copy_(torch.tensor([[1.0, 2.0]])), line.bias.data.fill_(-1.0)
    >>> gradient(line, [0.0, 0.0]).rows.to_numpy().round(3)
    array([[0. , 0.5]])
    """
    _check_gradient(target, tolerance, first_weight, growth, max_weight, steps)
    score = _torch_score(model)
    frame, x = _numeric_row(instance)
    s = _positive(scale, "scale", len(x))
    low, high = ((limit - x) / s for limit in _box(frame, x, lower, upper, immutable))
    before, _ = score(x)
    u, weight, length, n_calls = np.zeros(len(x)), float(first_weight), 1.0, 1
    reached = before
    while abs(reached - target) > tolerance and weight <= max_weight:
        u, length, calls = _descend(lambda v: score(x + s * v), s, u, target, weight, length, steps, low, high)
        reached, n_calls, weight = score(x + s * u)[0], n_calls + calls, weight * growth
    fits = abs(reached - target) <= tolerance
    reason = "" if fits else f"the descent ended at a score of {reached:.4g}, not {target:g}: no proof that none exists"
    text, method = f"score = {target:g}", "Wachter's gradient, L1, proximal"
    found = np.clip(x + s * u, x + s * low, x + s * high) if fits else None
    details = {"n_calls": n_calls, "weight": weight / growth}
    return _exact(frame, found, before, s, text, method, reason, "l1", after=lambda z: score(z)[0], details=details)


def _check_gradient(target: Any, tolerance: Any, first_weight: Any, growth: Any, max_weight: Any, steps: Any) -> None:
    check.number(target, "target")
    for value, name, low in ((tolerance, "tolerance", 0), (first_weight, "first_weight", 0), (growth, "growth", 1)):
        check.number(value, name, low=low, open_low=True)
    check.number(max_weight, "max_weight", low=first_weight)
    check.number(steps, "steps", low=1, integer=True)


def _descend(
    score: Callable[[np.ndarray], tuple[float, np.ndarray]],
    s: np.ndarray,
    u: np.ndarray,
    target: float,
    weight: float,
    length: float,
    steps: int,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, float, int]:
    """Proximal gradient steps at one weight, in units of the scale; stops when a step no longer lowers the objective."""
    calls = 1
    value, slope = score(u)
    for _ in range(steps):
        objective = weight * (value - target) ** 2 + np.abs(u).sum()
        downhill = 2 * weight * (value - target) * slope * s
        while length > _TINY:
            v = u - length * downhill
            v = np.clip(np.sign(v) * np.maximum(np.abs(v) - length, 0), low, high)
            new_value, new_slope = score(v)
            calls += 1
            if weight * (new_value - target) ** 2 + np.abs(v).sum() < objective:
                break
            length /= 2
        else:
            return u, 1.0 / weight, calls
        step, u, value, slope, length = np.abs(v - u).max(), v, new_value, new_slope, length * 1.5
        if step < 1e-9:
            break
    return u, length, calls


def _torch_score(model: Any) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """A function (p,) -> score and its gradient; the module's mode, parameters and gradients stay as they are."""
    if not models._is_torch(model):
        raise TypeError(f"model must be a torch module, not {type(model).__name__}: use search for any other model.")
    import torch

    first = next(model.parameters(), torch.zeros(1, dtype=torch.float64))

    def score(x: np.ndarray) -> tuple[float, np.ndarray]:
        inputs = torch.tensor(x[None], dtype=first.dtype, device=first.device, requires_grad=True)
        training = model.training
        model.eval()
        try:
            output = model(inputs)
        except (RuntimeError, TypeError) as error:
            reason = check.shown(str(error).splitlines()[0], 90)
            raise ValueError(f"model does not take a row of {len(x)} numbers: torch says {reason}.") from error
        finally:
            model.train(training)
        if not isinstance(output, torch.Tensor) or output.numel() != 1:
            raise ValueError("model must return one score for one row, of shape (1,) or (1, 1): wrap it to give the log-odds.")
        (slope,) = torch.autograd.grad(output.sum(), inputs)
        if not torch.isfinite(output).all() or not torch.isfinite(slope).all():
            raise ValueError("model returned a missing or infinite score or gradient: check it on this row first.")
        return float(output.detach()), slope[0].detach().cpu().numpy().astype(float)

    return score
