r"""Permutation importance: how much worse a model gets when a feature, or a group of features, is shuffled.

.. math:: \mathrm{Imp}(g) = \frac{1}{R} \sum_{r=1}^{R} L\bigl(y, f(X^{\pi_r(g)})\bigr) - L\bigl(y, f(X)\bigr)

:math:`X^{\pi(g)}` is the table in which row :math:`i` holds, in the columns of :math:`g`, the
values of row :math:`\pi(i)`, its donor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.utils import check_random_state

from xailib import _validation as check
from xailib._progress import progress
from xailib.models import BATCH_ROWS, Predict, batched
from xailib.results import Importance

#: blocks of rows in the jackknife that gives standard errors to metrics without values per row
JACKKNIFE_BLOCKS = 20


def permutation_importance(
    predict: Predict,
    X: Any,
    y: Any,
    *,
    metric: Any = "log_loss",
    features: Sequence[Any] | None = None,
    groups: Mapping[str, Sequence[Any]] | None = None,
    conditional: Any = None,
    form: str = "difference",
    n_repeats: int = 10,
    permutations: Any = None,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
) -> Importance:
    r"""How much worse the model gets when one feature, or one group, is shuffled.

    .. math:: \mathrm{Imp}(g) = \frac{1}{R} \sum_{r=1}^{R} L(y, f(X^{\pi_r(g)})) - L(y, f(X))

    Parameters
    ----------
    predict : function, (n, p) -> (n,) or (n, k)
    X : array or DataFrame, shape (n, p), at least two rows, no missing values
    y : (n,) true values; for classes the numbers 0, 1, ..., k-1, in the order of the model's columns
    metric : str, Metric or function
        A name from ``METRICS``, a :class:`Metric`, or a function ``(y, prediction) -> (n,)`` or ``-> float`` that is
        larger when the model is worse.
    features : columns (names or numbers) to shuffle alone; default: every column that is in no group
    groups : dict, name -> columns that are shuffled together, by the same permutation
    conditional : None, (n,) labels, or a regressor
        None: donors come from all rows. Labels: each row's donor comes from its own stratum. A scikit-learn regressor: every
        shuffled column is predicted from the columns outside its group (5-fold cross-fitted, categories one-hot) and only
        the residuals are shuffled; those columns must be numeric.
    form : {"difference", "ratio"}
        :math:`L^\pi - L`, or :math:`L^\pi / L` (losses only). For a score the difference is taken the other way round.
    n_repeats : int, number of permutations R
    permutations : (R, n) array of row numbers, optional
        In copy r, row i gets the values of row ``permutations[r, i]``. Replaces ``n_repeats`` and ``random_state``.
    batch_rows : int, most rows per model call
    random_state : int, numpy Generator or None

    Returns
    -------
    Importance
        ``values`` (g,) in units of the metric, positive when shuffling hurts; ``samples`` (g, R), one value per repeat.

    Raises
    ------
    TypeError, ValueError
        One sentence about the argument that is wrong; an unknown column lists the columns there are. A constant feature is
        refused: a column that never varies cannot show whether the model relies on it.

    Notes
    -----
    Measures reliance of *this model*, not causes in the world. Breiman (2001); Fisher, Rudin & Dominici (2019), eq. 3;
    strata: Strobl et al. (2008); residuals: Chamma et al. (2023). Taught in chapter 2.

    All copies use the same R permutations, so that differences between features are paired, and each distinct changed row
    is predicted once. Standard errors take the row as the unit and count it twice, as receiver and as donor of values,
    since both draws make the result random. For a mean of row losses, with :math:`h_r(i)` the increase of the loss of row
    i in copy r, that is the Hajek projection (slightly too wide with few repeats)

    .. math:: \psi_i = \frac{1}{R} \sum_r \bigl[h_r(i) + h_r(\pi_r^{-1}(i))\bigr] - \bar h, \qquad
              \mathrm{se} = \mathrm{sd}(\psi) / \sqrt{n}

    AUC and R squared enter by their influence functions; a function that returns one number for all rows gets a jackknife
    over 20 blocks of rows, left out in both roles. The p-value belongs to the one-sided paired t-test of "no worse than
    untouched". The model, and the regressor of ``conditional``, count as fixed.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> permutation_importance(lambda X: 3 * X[:, 0], X, 3 * X[:, 0], metric="squared_error")
    Importance(permutation, 10 repeats; increase of squared_error; 2 features; largest: x0 17.3898, x1 0.0000)
    """
    several = permutation_importances(
        predict,
        X,
        y,
        metrics=[metric],
        features=features,
        groups=groups,
        conditional=conditional,
        form=form,
        n_repeats=n_repeats,
        permutations=permutations,
        batch_rows=batch_rows,
        random_state=random_state,
    )
    return next(iter(several.values()))


def permutation_importances(
    predict: Predict,
    X: Any,
    y: Any,
    *,
    metrics: Sequence[Any],
    features: Sequence[Any] | None = None,
    groups: Mapping[str, Sequence[Any]] | None = None,
    conditional: Any = None,
    form: str = "difference",
    n_repeats: int = 10,
    permutations: Any = None,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
) -> dict[str, Importance]:
    """Permutation importance under several metrics, from one pass over the shuffled copies.

    Parameters
    ----------
    metrics : list of names, Metrics or functions, each as ``metric`` in :func:`permutation_importance`
    predict, X, y, features, groups, conditional, form, n_repeats, permutations, batch_rows, random_state : as there

    Returns
    -------
    dict, metric name -> Importance

    Raises
    ------
    TypeError, ValueError
        As :func:`permutation_importance`.

    Notes
    -----
    The formula is that of :func:`permutation_importance`; the model is called once for all metrics. Taught in chapter 2.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = X[:, 0] + X[:, 1]
    >>> both = permutation_importances(
    ...     lambda X: X[:, 0] + X[:, 1], X, y, metrics=["squared_error", "r2"], groups={"pair": [0, 1]}
    ... )
    >>> {name: result.names for name, result in both.items()}
    {'squared_error': ['pair', 'x2'], 'r2': ['pair', 'x2']}
    """
    check.function(predict, "predict")
    X = check.table(X, min_rows=2)
    chosen = _metrics(metrics)
    y = _targets(y, len(X), chosen)
    _known_form(form, chosen)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    columns = _columns_of_groups(X, features, groups)
    orders = _row_orders(len(X), n_repeats, permutations, conditional, random_state)
    X, shuffles = _shuffles(X, columns, conditional)

    untouched = batched(predict, X, batch_rows=batch_rows)
    meters = [_Meter(metric, y, untouched, orders, form) for metric in chosen]
    copies = _permuted_predictions(predict, X, untouched, shuffles, orders, batch_rows)
    readings = [[meter.read(permuted) for meter in meters] for permuted in copies]
    method = f"{'permutation' if conditional is None else 'conditional permutation'}, {len(orders)} repeats"
    return {
        meter.metric.name: meter.importance([reading[m] for reading in readings], list(columns), method)
        for m, meter in enumerate(meters)
    }


def scikit_learn_permutations(n_rows: int, n_repeats: int = 5, random_state: Any = 0) -> np.ndarray:
    """The row orders that ``sklearn.inspection.permutation_importance`` uses, to be passed as ``permutations``.

    Parameters
    ----------
    n_rows, n_repeats : int
    random_state : int or RandomState, as given to scikit-learn

    Returns
    -------
    array of int, shape (n_repeats, n_rows)

    Notes
    -----
    scikit-learn shuffles one index array again and again and applies it to the column it has already shuffled: the orders
    multiply up. Every column starts from the same seed. Taught in chapter 2.

    Examples
    --------
    >>> scikit_learn_permutations(4, n_repeats=2)
    array([[1, 3, 2, 0],
           [0, 1, 2, 3]])
    """
    check.number(n_rows, "n_rows", low=2, integer=True)
    check.number(n_repeats, "n_repeats", low=1, integer=True)
    if not isinstance(random_state, np.random.RandomState):
        check.number(random_state, "random_state", low=0, high=2**32 - 1, integer=True)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max + 1)
    generator = check_random_state(seed)
    index, order, orders = np.arange(n_rows), np.arange(n_rows), []
    for _ in range(n_repeats):
        generator.shuffle(index)
        order = order[index]
        orders.append(order)
    return np.array(orders)


# --- metrics ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A loss or a score: what "worse" means.

    Attributes
    ----------
    name : appears in the unit, "increase of <name>" or, for a score, "decrease of <name>"
    function : (y, prediction) -> (n,) one number per row, of which the mean counts, or -> float, one number for all rows.
        For a metric that is no mean of row losses, the numbers may be the metric plus each row's influence on it.
    greater_is_better : True for a score
    target : {"any", "value", "class"}; "class" wants y in 0, 1, ..., k-1 and probabilities as predictions
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], Any]
    greater_is_better: bool = False
    target: str = "any"

    def check_prediction(self, y: np.ndarray, prediction: np.ndarray) -> None:
        """Raise if the model's output does not fit the metric."""
        if self.target == "value" and prediction.ndim != 1:
            raise ValueError(f"{self.name} needs one number per row, but predict returned shape {prediction.shape}.")
        if self.target != "class":
            return
        n_classes = 2 if prediction.ndim == 1 else prediction.shape[1]
        if y.max() >= n_classes:
            raise ValueError(f"y holds class {y.max()}, but predict returned probabilities for {n_classes} classes (0 counts).")
        if prediction.min() < 0 or prediction.max() > 1:
            span = f"{prediction.min():.4g} to {prediction.max():.4g}"
            raise ValueError(f"{self.name} needs probabilities, but predict returned numbers from {span}.")


def as_metric(metric: Any) -> Metric:
    """A :class:`Metric` from a name, a function or a Metric."""
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    return METRICS[check.one_of(metric, "metric", METRICS)]


def _probability_of_truth(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(y)), y]


def _log_loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(_probability_of_truth(y, p), np.finfo(float).eps))


def _brier(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Squared distance to the true class; for two classes that of one probability, as in scikit-learn."""
    return (y - p) ** 2 if p.ndim == 1 else ((np.eye(p.shape[1])[y] - p) ** 2).sum(1) / (2 if p.shape[1] == 2 else 1)


def _hit(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return y == (p > 0.5 if p.ndim == 1 else p.argmax(1))


def _miss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return ~_hit(y, p)


def _squared_error(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return (y - prediction) ** 2


def _absolute_error(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.abs(y - prediction)


def _r2(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """R squared plus each row's influence on it: the mean over rows is R squared."""
    spread, error = (y - y.mean()) ** 2, (y - prediction) ** 2
    unexplained = error.mean() / spread.mean()
    return 1 - unexplained - (error - unexplained * spread) / spread.mean()


def _roc_auc(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Area under the ROC curve plus each row's influence on it (DeLong et al., 1988): the mean over rows is the area."""
    score, positive = p if p.ndim == 1 else p[:, 1], y == 1
    rank, wins = rankdata(score), np.empty(len(y))
    for rows in (positive, ~positive):  # the share of the other class that is ranked on the right side of a row; ties count half
        wins[rows] = (rank[rows] - rankdata(score[rows])) / (~rows).sum()
    wins[~positive] = 1 - wins[~positive]
    area = wins[positive].mean()
    return area + (wins - area) * np.where(positive, 1 / positive.mean(), 1 / (~positive).mean())


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        Metric("log_loss", _log_loss, target="class"),
        Metric("brier_score", _brier, target="class"),
        Metric("error_rate", _miss, target="class"),
        Metric("accuracy", _hit, greater_is_better=True, target="class"),
        Metric("roc_auc", _roc_auc, greater_is_better=True, target="class"),
        Metric("squared_error", _squared_error, target="value"),
        Metric("absolute_error", _absolute_error, target="value"),
        Metric("r2", _r2, greater_is_better=True, target="value"),
    ]
}


# --- arguments -------------------------------------------------------------------------------------------------------


def _metrics(metrics: Any) -> list[Metric]:
    """Every metric as a Metric, with names that tell them apart."""
    if isinstance(metrics, str) or not isinstance(metrics, Sequence) or len(metrics) == 0:
        raise TypeError(f"metrics must be a list of at least one name, Metric or function, not {metrics!r}.")
    chosen = [as_metric(metric) for metric in metrics]
    if len({metric.name for metric in chosen}) < len(chosen):
        raise ValueError(f"metrics must have different names, not {', '.join(metric.name for metric in chosen)}.")
    return chosen


def _targets(y: Any, n: int, metrics: Sequence[Metric]) -> np.ndarray:
    """``y`` as an array that every metric can use, or one sentence about why not."""
    y = np.asarray(y)
    if y.shape != (n,):
        raise ValueError(f"y must have one value per row of X, shape ({n},), but its shape is {y.shape}.")
    if pd.isna(y).any():
        raise ValueError("y has missing values: drop those rows from X and y.")
    names = {target: [m.name for m in metrics if m.target == target] for target in ("value", "class")}
    if names["value"]:
        y = check.array(y, "y")
    if "r2" in names["value"] and np.ptp(y) == 0:
        raise ValueError("r2 needs y to vary, but all its values are equal.")
    return _class_numbers(y, names["class"]) if names["class"] else y


def _class_numbers(y: np.ndarray, names: list[str]) -> np.ndarray:
    """Classes 0, 1, ..., k-1 as integers; ROC AUC needs both of two."""
    if y.dtype.kind not in "biuf" or (y < 0).any() or (y != np.floor(y)).any():
        raise ValueError(
            f"{names[0]} needs classes numbered 0, 1, ..., k-1 in y, not {y[0]!r}: encode them in the order of the model's "
            "columns, or use metric='squared_error' for a regression."
        )
    if "roc_auc" in names and set(np.unique(y)) != {0, 1}:
        raise ValueError(f"roc_auc needs both classes 0 and 1 in y, not {np.unique(y)[:5].tolist()}.")
    return y.astype(int)


def _known_form(form: Any, metrics: Sequence[Metric]) -> None:
    check.one_of(form, "form", ["difference", "ratio"])
    scores = [metric.name for metric in metrics if metric.greater_is_better]
    if form == "ratio" and scores:
        raise ValueError(f"form='ratio' needs a loss, for which 0 is perfect, not the score {scores[0]!r}.")


def _columns_of_groups(X: Any, features: Any, groups: Any) -> dict[str, list[int]]:
    """Name -> column numbers of everything that will be shuffled together."""
    groups = {} if groups is None else groups
    if not isinstance(groups, Mapping) or any(np.ndim(g) != 1 or len(g) == 0 for g in groups.values()):
        raise TypeError(
            "groups must be a dict, name -> list of at least one column, e.g. {'height': ['height_cm', 'height_in']}."
        )
    columns = {str(name): [check.column(X, c, f"groups[{name!r}]:") for c in group] for name, group in groups.items()}
    taken = {j for group in columns.values() for j in group}
    names = check.feature_names(X)
    alone = _alone(X, features) if features is not None else [j for j in range(X.shape[1]) if j not in taken]
    clash = [names[j] for j in alone if names[j] in columns]
    if clash:
        raise ValueError(f"groups has the name {clash[0]!r}, which is also a feature: call the group something else.")
    columns |= {names[j]: [j] for j in alone}
    if not columns:
        raise ValueError("features and groups are both empty: name at least one column.")
    for j in {j for group in columns.values() for j in group}:
        check.varying(X, j)
    return columns


def _alone(X: Any, features: Any) -> list[int]:
    if isinstance(features, str) or not isinstance(features, Iterable):
        raise TypeError(f"features must be a list of column names or numbers, not {features!r}.")
    return [check.column(X, feature, "features:") for feature in features]


def _row_orders(n: int, n_repeats: Any, permutations: Any, conditional: Any, random_state: Any) -> np.ndarray:
    """The donors: (R, n) row numbers, drawn or as given."""
    check.number(n_repeats, "n_repeats", low=1, integer=True)
    generator = check.random_generator(random_state)
    labels = np.zeros(n) if conditional is None or _is_regressor(conditional) else _strata(conditional, n)
    if permutations is None:
        return _shuffle_within(labels, n_repeats, generator)
    orders = np.asarray(permutations)
    if (
        orders.ndim != 2
        or len(orders) == 0
        or orders.shape[1] != n
        or orders.dtype.kind not in "iu"
        or not (np.sort(orders, axis=1) == np.arange(n)).all()
    ):
        raise ValueError(f"permutations must hold the row numbers 0 to {n - 1}, each once, in every row of an (R, {n}) array.")
    if (labels[orders] != labels).any():
        raise ValueError("permutations take donors from other strata than conditional allows: give one of the two.")
    return orders


def _shuffle_within(labels: np.ndarray, n_repeats: int, generator: np.random.Generator) -> np.ndarray:
    """Permutations that move rows only among rows of the same label."""
    slots = np.argsort(labels, kind="stable")
    orders = np.empty((n_repeats, len(labels)), dtype=np.intp)
    for order in orders:
        order[slots] = np.lexsort((generator.random(len(labels)), labels))
    return orders


def _is_regressor(conditional: Any) -> bool:
    return hasattr(conditional, "fit") and hasattr(conditional, "predict")


def _strata(conditional: Any, n: int) -> np.ndarray:
    """Numbers 0, 1, ... for the strata given as labels, of which at least one must hold two rows."""
    labels = np.asarray(conditional)
    if labels.shape != (n,) or pd.isna(labels).any():
        raise ValueError(f"conditional must be None, a regressor, or {n} stratum labels, one per row, none missing.")
    codes, levels = pd.factorize(labels)
    if len(levels) == n:
        raise ValueError("conditional puts every row into a stratum of its own, so nothing can be shuffled: use coarser strata.")
    return codes


# --- shuffled copies -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shuffle:
    """One group: its columns, which rows hold equal values, and what a row receives from a donor."""

    columns: list[int]
    twin: np.ndarray  # (n,) the first row with the same values: rows with the same twin are the same donor
    fitted: np.ndarray | None = None  # (n, c) predictions from the other columns, for conditional permutation
    residual: np.ndarray | None = None  # (n, c)

    def received(self, X: Any, c: int, rows: np.ndarray, donors: np.ndarray) -> Any:
        """Values of column number ``c`` of the group for ``rows`` when ``donors`` give theirs."""
        if self.fitted is not None and self.residual is not None:
            return self.fitted[rows, c] + self.residual[donors, c]
        j = self.columns[c]
        return X.iloc[:, j].array.take(donors) if isinstance(X, pd.DataFrame) else X[donors, j]


def _shuffles(X: Any, columns: dict[str, list[int]], conditional: Any) -> tuple[Any, list[_Shuffle]]:
    """The groups, and X in a form that can hold what they receive (residuals make whole numbers fractional)."""
    if not _is_regressor(conditional):
        return X, [_Shuffle(group, _first_equal_row(X, group)) for group in columns.values()]
    return _fractional(X, columns), [_residual_shuffle(X, group, conditional) for group in columns.values()]


def _first_equal_row(X: Any, columns: list[int]) -> np.ndarray:
    """For every row the number of the first row that has the same values in these columns."""
    part = (
        X.iloc[:, columns].set_axis(range(len(columns)), axis=1) if isinstance(X, pd.DataFrame) else pd.DataFrame(X[:, columns])
    )
    labels = part.groupby(list(part.columns), sort=False, observed=True).ngroup().to_numpy()
    return np.unique(labels, return_index=True)[1][labels]


def _residual_shuffle(X: Any, columns: list[int], regressor: Any) -> _Shuffle:
    """Each column of the group split into what the other columns predict and the rest."""
    frame = pd.DataFrame(X)
    others = frame.drop(columns=frame.columns[columns])
    if others.shape[1] == 0:
        raise ValueError("conditional has no other columns to condition on: use conditional=None for this group.")
    design = pd.get_dummies(others, dtype=float).to_numpy(dtype=float)
    target = frame.iloc[:, columns].to_numpy(dtype=float)
    fitted = np.column_stack([cross_val_predict(clone(regressor), design, target[:, c], cv=5) for c in range(len(columns))])
    return _Shuffle(columns, np.arange(len(X)), fitted, target - fitted)


def _fractional(X: Any, columns: dict[str, list[int]]) -> Any:
    """X with the columns to be shuffled as floats; categories cannot have residuals."""
    if isinstance(X, np.ndarray):
        return check.array(X, "X with a regressor as conditional")
    chosen = sorted({j for group in columns.values() for j in group})
    text = [X.columns[j] for j in chosen if not check.is_numeric(X.iloc[:, j])]
    if text:
        raise TypeError(
            f"conditional by a regressor needs numeric columns, but {text[0]!r} holds categories: leave it out with "
            "features=, or give stratum labels."
        )
    return X.astype({X.columns[j]: float for j in chosen})


def _permuted_predictions(
    predict: Predict, X: Any, untouched: np.ndarray, shuffles: list[_Shuffle], orders: np.ndarray, batch_rows: int
) -> Iterator[np.ndarray]:
    """For each group the predictions on its R shuffled copies, shape (R, n) or (R, n, k)."""
    per_block = max(1, batch_rows // orders.size)
    blocks = [shuffles[b : b + per_block] for b in range(0, len(shuffles), per_block)]
    for block in progress(blocks, len(blocks), "permutation importance"):
        yield from _predict_block(predict, X, untouched, block, orders, batch_rows)


def _predict_block(
    predict: Predict, X: Any, untouched: np.ndarray, block: list[_Shuffle], orders: np.ndarray, batch_rows: int
) -> Iterator[np.ndarray]:
    """Predict every distinct changed row of a few groups together, in few large model calls."""
    n = len(X)
    donors = np.stack([shuffle.twin[orders] for shuffle in block])  # (g, R, n)
    changed = donors != np.stack([shuffle.twin for shuffle in block])[:, None]
    group, _, row = np.nonzero(changed)
    # sorted by row first: neighbours in the batch take nearly the same path through a tree, which trees reward with speed
    keys, where = np.unique((row * len(block) + group) * n + donors[changed], return_inverse=True)
    permuted = np.broadcast_to(untouched, (len(block), len(orders), *untouched.shape)).copy()
    if len(keys):
        rows = _received_rows(X, block, keys // n // len(block), keys // n % len(block), keys % n, batch_rows)
        width = 1 if untouched.ndim == 1 else untouched.shape[1]
        permuted[changed] = np.concatenate([batched(predict, part, width=width) for part in rows])[where]
    yield from permuted


def _received_rows(
    X: Any, block: list[_Shuffle], row: np.ndarray, group: np.ndarray, donor: np.ndarray, batch_rows: int
) -> Iterator[Any]:
    """Tables of at most ``batch_rows`` rows, equally long: row ``row[m]`` of X with the group's values from ``donor[m]``."""
    for part in np.array_split(np.arange(len(row)), -(-len(row) // batch_rows)):
        table = X.take(row[part]) if isinstance(X, pd.DataFrame) else X[row[part]]
        for g, shuffle in enumerate(block):
            at = np.flatnonzero(group[part] == g)
            for c, j in enumerate(shuffle.columns):
                _write(table, at, j, shuffle.received(X, c, row[part][at], donor[part][at]))
        yield table


def _write(table: Any, at: np.ndarray, j: int, values: Any) -> None:
    """Set column ``j`` at some rows of a table that is ours."""
    if isinstance(table, np.ndarray):
        table[at, j] = values
    else:
        column = table.iloc[:, j].array.copy()
        column[at] = values
        table.isetitem(j, column)


# --- from predictions to importance ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """One group under one metric: a value per repeat, and the standard error of their mean."""

    samples: np.ndarray
    std_error: float


class _Meter:
    """Compares shuffled copies with the untouched model under one metric."""

    def __init__(self, metric: Metric, y: np.ndarray, untouched: np.ndarray, orders: np.ndarray, form: str) -> None:
        metric.check_prediction(y, untouched)
        self.metric, self.y, self.untouched, self.orders, self.form = metric, y, untouched, orders, form
        self.row_losses = np.asarray(metric.function(y, untouched), dtype=float)
        if self.row_losses.shape not in ((), y.shape):
            raise ValueError(f"metric {metric.name!r} must return one number, or one per row, not shape {self.row_losses.shape}.")
        if not np.isfinite(self.row_losses).all():
            raise ValueError(f"metric {metric.name!r} returned missing or infinite values: check it on these predictions.")
        if not np.isfinite(self.row_losses).all():
            raise ValueError(f"metric {metric.name!r} returned missing or infinite values on the untouched predictions.")
        self.baseline = float(self.row_losses.mean())
        if form == "ratio" and self.baseline <= 0:
            raise ValueError(f"form='ratio' divides by the untouched model's {metric.name}, which is {self.baseline:g}.")
        self.left_in = [] if self.row_losses.ndim else self._jackknife_pairs()

    def _jackknife_pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each block: which (repeat, row) pairs stay without its rows, and the metric of the untouched model there."""
        block = np.arange(len(self.y)) % min(JACKKNIFE_BLOCKS, len(self.y))
        kept = [(block != b) & (block[self.orders] != b) for b in range(block.max() + 1)]
        return [(pairs, self._whole(pairs, [self.untouched] * len(self.orders))) for pairs in kept]

    def _whole(self, pairs: np.ndarray, copies: Any) -> np.ndarray:
        """A metric of all rows at once, for each copy on its own rows."""
        return np.array([float(self.metric.function(self.y[r], copy[r])) for r, copy in zip(pairs, copies, strict=True)])

    def read(self, permuted: np.ndarray) -> _Reading:
        """Samples and standard error from predictions of shape (R, n) or (R, n, k)."""
        return self._read_rows(permuted) if self.row_losses.ndim else self._read_whole(permuted)

    def _read_rows(self, permuted: np.ndarray) -> _Reading:
        """A mean over rows: the influence of a row is what it does as receiver and as donor."""
        losses = np.array([self.metric.function(self.y, copy) for copy in permuted], dtype=float)
        scale = losses.mean() / self.baseline if self.form == "ratio" else 1.0
        excess = losses - scale * self.row_losses
        donated = np.bincount(self.orders.ravel(), weights=excess.ravel()) / len(self.orders)
        influence = excess.mean(0) + donated - excess.mean()
        if self.form == "ratio":
            influence /= self.baseline
        return _Reading(self._compare(losses.mean(1), self.baseline), influence.std(ddof=1) / np.sqrt(len(self.y)))

    def _read_whole(self, permuted: np.ndarray) -> _Reading:
        """A metric of all rows at once: jackknife over blocks of rows, left out as receivers and as donors."""
        everything = np.ones_like(self.orders, dtype=bool)
        samples = self._compare(self._whole(everything, permuted), self.baseline)
        left_out = [self._compare(self._whole(pairs, permuted), untouched).mean() for pairs, untouched in self.left_in]
        return _Reading(samples, float(np.std(left_out) * np.sqrt(len(left_out) - 1)))

    def _compare(self, shuffled: np.ndarray, untouched: Any) -> np.ndarray:
        """Positive (or above one) where shuffling hurts."""
        if self.form == "ratio":
            return shuffled / untouched
        return untouched - shuffled if self.metric.greater_is_better else shuffled - untouched

    def importance(self, readings: list[_Reading], names: list[str], how: str) -> Importance:
        """The readings of all groups as a result."""
        samples = np.array([reading.samples for reading in readings])
        std_errors = np.array([reading.std_error for reading in readings])
        change = "ratio" if self.form == "ratio" else "decrease" if self.metric.greater_is_better else "increase"
        values = samples.mean(1)
        return Importance(
            values=values,
            samples=samples,
            std_errors=std_errors,
            p_values=self._p_values(values - (self.form == "ratio"), std_errors),
            names=names,
            baseline=self.baseline,
            unit=f"{change} of {self.metric.name}",
            method=how,
            n_rows=len(self.y),
        )

    def _p_values(self, excess: np.ndarray, std_errors: np.ndarray) -> np.ndarray:
        """One-sided t-test of "no worse than untouched"; without any spread the answer is certain."""
        degrees = (len(self.y) if self.row_losses.ndim else min(JACKKNIFE_BLOCKS, len(self.y))) - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(std_errors > 0, excess / std_errors, np.where(excess > 0, np.inf, -np.inf))
        return t.sf(statistic, degrees)
