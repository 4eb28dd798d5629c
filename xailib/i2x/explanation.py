"""From changes of attention to changes of confidence: groups of images, ridge regression, and the structured explanation map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.linalg import solve
from sklearn.cluster import HDBSCAN
from sklearn.neighbors import NearestNeighbors

from xailib import _validation as check
from xailib._progress import progress
from xailib.i2x._inputs import changes, class_pair, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xailib.i2x.tracing import Trace

__all__ = [
    "Effects",
    "Groups",
    "explain",
    "find_groups",
    "group_effects",
    "ridge",
    "separation",
    "shared_prototypes",
]

MODES = ("per sample", "grouped")
#: HDBSCAN takes time and memory quadratic in the rows: more rows than this are sampled
MAX_ROWS = 10_000
#: groups are first sought with so many rows at least (and at least 1 in 200), at last with so many
FIRST_SIZE, ROWS_PER_SIZE, LEAST_SIZE = 20, 200, 2
#: more noise than this, and smaller groups are allowed
MOST_NOISE = 0.5


# --- ridge ------------------------------------------------------------------------------------------------------------


def ridge(
    dP: Any, dY: Any, alpha: float = 1.0, *, weights: Any = None, standardise: bool = True, centre: bool = False
) -> np.ndarray:
    r"""Ridge regression from changes of intensities to changes of confidences.

    .. math:: \beta = (\pi^\top W \pi + \lambda I)^{-1}\, \pi^\top W\, C

    Parameters
    ----------
    dP : array (N, K), :math:`\pi`, changes of intensities
    dY : array (N, C), changes of confidences
    alpha : float above 0, :math:`\lambda`
    weights : (N,) positive numbers, the diagonal of W; default 1 each
    standardise : bool
        Divide each column of dP by its standard deviation first, so that the penalty treats prototypes alike; ``beta`` is
        given in the original units all the same. A column that does not vary keeps its units.
    centre : bool, subtract means first, which is an intercept; the paper's formula has none

    Returns
    -------
    array (K, C), :math:`\beta`: change of confidence per unit of intensity
        Its rows sum to 0 because those of dY do.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not belong together, or ``alpha`` is not above 0.

    Notes
    -----
    Li et al. (2026); :math:`\lambda` is not stated. Taught in chapter 17.

    Examples
    --------
    >>> dP = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> ridge(dP, dP @ [[0.5, -0.5], [0.0, 0.0]], 1e-9).round(4) + 0.0
    array([[ 0.5, -0.5],
           [ 0. ,  0. ]])
    """
    P, Y = changes(dP, dY)
    check.number(alpha, "alpha", low=0, open_low=True)
    check.flag(standardise, "standardise")
    check.flag(centre, "centre")
    w = np.ones(len(P)) if weights is None else check.array(weights, "weights", ndim=1, length=len(P))
    if (w <= 0).any():
        raise ValueError("weights must be positive: leave rows out instead of giving them no weight.")
    return solve_ridge(P, Y, alpha, w, standardise, centre)


def solve_ridge(
    P: np.ndarray, Y: np.ndarray, alpha: float, w: np.ndarray, standardise: bool = True, centre: bool = False
) -> np.ndarray:
    """:func:`ridge` of arguments that were checked."""
    scale = _spread(P, w) if standardise else np.ones(P.shape[1])
    if centre:
        P, Y = (values - np.average(values, axis=0, weights=w) for values in (P, Y))
    pi = P / scale
    gram = pi.T @ (w[:, None] * pi) + alpha * np.eye(P.shape[1])
    return solve(gram, pi.T @ (w[:, None] * Y), assume_a="pos") / scale[:, None]


def _spread(P: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Standard deviation of each column; 1 for a column that is constant up to rounding, which keeps its units."""
    mean = np.average(P, axis=0, weights=w)
    sd = np.sqrt(np.average((P - mean) ** 2, axis=0, weights=w))
    return np.where(sd > 1e-12 * np.abs(mean), sd, 1.0)


# --- groups -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Groups:
    """Images whose confidences change alike.

    Attributes
    ----------
    labels : (N,), number of each row's group from 0; -1 is noise, a rest that belongs to none
    min_cluster_size : the smallest group that was allowed in the end
    n_sampled : rows that were clustered; the others joined the group of the nearest clustered row
    noise_share : share of the clustered rows that are noise
    found : False if there was only noise, so that all rows are in one group
    """

    labels: np.ndarray
    min_cluster_size: int
    n_sampled: int
    noise_share: float
    found: bool

    @property
    def n_groups(self) -> int:
        """Number of groups, the rest not counted."""
        return int(self.labels.max()) + 1

    @property
    def sizes(self) -> np.ndarray:
        """(G,), rows in each group."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_groups)

    def means(self, values: Any) -> np.ndarray:
        """(G, m), mean of each group's rows of values (N, m)."""
        V = check.array(values, "values", ndim=2, length=len(self.labels))
        return np.stack([V[self.labels == g].mean(axis=0) for g in range(self.n_groups)])

    def __repr__(self) -> str:
        if not self.found:
            return f"Groups(only noise was found: all {len(self.labels)} rows are in one group)"
        return f"Groups({self.n_groups} groups of {self.min_cluster_size} rows or more; {self.noise_share:.0%} noise)"


def find_groups(dY: Any, *, min_cluster_size: int | None = None, max_rows: int = MAX_ROWS, random_state: Any = 0) -> Groups:
    """HDBSCAN on changes of confidence: images that learn alike.

    Parameters
    ----------
    dY : array (N, C), changes of confidences
    min_cluster_size : int or None
        Smallest group to start with; None is 20 or one row in 200, whatever is more. It is halved, down to 2, until fewer than
        half of the rows are noise.
    max_rows : int, more rows than this are sampled; the others join the group of the nearest row that has one
    random_state : int, Generator or None, which rows are sampled

    Returns
    -------
    Groups
        If all rows are noise, one group with all rows, and ``found`` is False.

    Raises
    ------
    TypeError, ValueError
        If dY is no table of finite numbers with at least two rows.

    Notes
    -----
    Campello, Moulavi & Sander (2013). Li et al. (2026) do not state its settings. Taught in chapter 17.

    Examples
    --------
    >>> dY = np.repeat([[0.2, -0.2], [-0.3, 0.3]], 30, axis=0) + np.random.default_rng(0).normal(0, 0.01, (60, 2))
    >>> find_groups(dY)
    Groups(2 groups of 20 rows or more; 0% noise)
    """
    Y = check.array(dY, "dY", ndim=2)
    if len(Y) < 2:
        raise ValueError("dY must have at least two rows: one image is no group.")
    check.number(max_rows, "max_rows", low=2, integer=True)
    if min_cluster_size is not None:
        check.number(min_cluster_size, "min_cluster_size", low=2, integer=True)
    rng = check.random_generator(random_state)
    rows = np.arange(len(Y)) if len(Y) <= max_rows else np.sort(rng.choice(len(Y), max_rows, replace=False))
    sampled, size = _with_little_noise(Y[rows], min_cluster_size or max(FIRST_SIZE, len(rows) // ROWS_PER_SIZE))
    noise = float((sampled < 0).mean())
    if noise == 1:
        return Groups(np.zeros(len(Y), dtype=int), size, len(rows), noise, found=False)
    return Groups(_joined(Y, rows, sampled), size, len(rows), noise, found=True)


def _with_little_noise(Y: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """HDBSCAN's labels, and the smallest size that it took to have fewer than half of the rows as noise."""
    size = min(size, len(Y))
    least = min(size, LEAST_SIZE)
    while True:
        labels = HDBSCAN(min_cluster_size=size, copy=True).fit_predict(Y)
        if size == least or (labels < 0).mean() < MOST_NOISE:
            return labels.astype(int), size
        size = max(size // 2, least)


def _joined(Y: np.ndarray, rows: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Labels of all rows; those that were not sampled join the nearest row that has a group."""
    labels = np.full(len(Y), -2)
    labels[rows] = sampled
    others = np.flatnonzero(labels == -2)
    if len(others):
        grouped = sampled >= 0
        near = NearestNeighbors(n_neighbors=1).fit(Y[rows[grouped]]).kneighbors(Y[others], return_distance=False)[:, 0]
        labels[others] = sampled[grouped][near]
    return labels


# --- the structured explanation ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Effects:
    r"""The structured explanation map: which prototype moved which class, when, and which way.

    Attributes
    ----------
    beta : (T, K, C), change of confidence per unit of intensity, in each stretch of training
    scale : (T, K), standard deviation of each prototype's change of intensity
    steps : (T + 1,), updates at each checkpoint
    mode : what the rows of the regression were
    alpha : strength of the penalty
    groups : groups of the images in each stretch; empty when the mode does not need them
    """

    beta: np.ndarray
    scale: np.ndarray
    steps: np.ndarray
    mode: str
    alpha: float
    groups: tuple[Groups, ...] = ()

    @property
    def influence(self) -> np.ndarray:
        """(T, K, C), change of confidence that goes with a change of intensity by one standard deviation."""
        return self.beta * self.scale[:, :, None]

    def intra_class(self, label: int, *, top: int = 5) -> pd.DataFrame:
        """One class over time: its ``top`` strongest prototypes in each stretch, the strongest first.

        Columns ``interval, from_step, to_step, rank, prototype, influence``; the sign says whether it supports or opposes.
        """
        check.number(label, "label", low=0, high=self.beta.shape[2] - 1, integer=True)
        check.number(top, "top", low=1, integer=True)
        one = self.influence[:, :, label]
        order = np.argsort(-np.abs(one), axis=1, kind="stable")[:, :top]
        t, rank = (index.ravel() for index in np.indices(order.shape))
        columns = {"rank": rank + 1, "prototype": order.ravel(), "influence": one[t, order.ravel()]}
        return pd.DataFrame(self._times(t) | columns)

    def inter_class(self, pair: Any) -> pd.DataFrame:
        """Two classes over time: what each prototype does to the one rather than to the other.

        Columns ``interval, from_step, to_step, prototype, first, second, difference, opposite``; ``opposite`` is True where
        the prototype moves the two classes in opposite directions.
        """
        a, b = class_pair(pair, self.beta.shape[2])
        t, k = (index.ravel() for index in np.indices(self.scale.shape))
        first, second = self.influence[t, k, a], self.influence[t, k, b]
        columns = {"prototype": k, "first": first, "second": second, "difference": first - second}
        return pd.DataFrame(self._times(t) | columns | {"opposite": first * second < 0})

    def to_frame(self) -> pd.DataFrame:
        """Long form: interval, from_step, to_step, prototype, label, beta, influence."""
        t, k, c = (index.ravel() for index in np.indices(self.beta.shape))
        columns = {"prototype": k, "label": c, "beta": self.beta.ravel(), "influence": self.influence.ravel()}
        return pd.DataFrame(self._times(t) | columns)

    def plot(self, label: int, ax: Axes | None = None, *, top: int = 12) -> Axes:
        """One class: a row for each of its strongest prototypes, a column for each stretch of training, signed colours."""
        from xailib.i2x import _drawing

        check.number(label, "label", low=0, high=self.beta.shape[2] - 1, integer=True)
        check.number(top, "top", low=1, integer=True)
        return _drawing.influence_map(self, label, ax, top)

    def _times(self, t: np.ndarray) -> dict[str, np.ndarray]:
        return {"interval": t, "from_step": self.steps[t], "to_step": self.steps[t + 1]}

    def __repr__(self) -> str:
        T, K, C = self.beta.shape
        return f"Effects({T} stretches of training, {K} prototypes, {C} classes; ridge {self.mode}, alpha {self.alpha:g})"


def explain(
    trace: Trace,
    *,
    alpha: float = 1.0,
    mode: str = "per sample",
    groups: Sequence[Groups] | None = None,
    standardise: bool = True,
    centre: bool = False,
) -> Effects:
    r"""The structured explanation: one ridge regression for each stretch of training.

    .. math:: \beta^t = (\pi^{t\top} \pi^t + \lambda I)^{-1}\, \pi^{t\top} C^t

    Parameters
    ----------
    trace : Trace
    alpha, standardise, centre : as in :func:`ridge`
    mode : {"per sample", "grouped"}
        Rows of the regression are images, or means of groups of images with the groups' sizes as weights. There are often fewer
        groups than prototypes; then the penalty alone makes the answer unique.
    groups : list of Groups, one for each stretch, for ``"grouped"``; None finds them

    Returns
    -------
    Effects

    Raises
    ------
    TypeError, ValueError
        If the groups do not belong to the trace.

    Notes
    -----
    Li et al. (2026); which rows is not stated. The changes of attention and of confidence come from the same updates of the
    weights, so :math:`\beta` is a description, not yet a cause: see :func:`causal_check`. Taught in chapter 17.
    """
    trace = traced(trace)
    check.one_of(mode, "mode", MODES)
    for value, name in ((standardise, "standardise"), (centre, "centre")):
        check.flag(value, name)
    check.number(alpha, "alpha", low=0, open_low=True)
    known = _groups_of(trace, groups) if mode == "grouped" or groups is not None else ()
    beta, scale = [], []
    for t in progress(range(trace.n_intervals), trace.n_intervals, "ridge"):
        rows = _rows(trace, t, known[t] if mode == "grouped" else None)
        beta.append(solve_ridge(rows[0], rows[1], alpha, rows[2], standardise, centre))
        scale.append(trace.dP(t).std(axis=0))
    return Effects(np.stack(beta), np.stack(scale), trace.steps, mode, float(alpha), known)


def group_effects(trace: Trace, t: int, groups: Groups, *, alpha: float = 1.0, standardise: bool = True) -> np.ndarray:
    """Ridge regression inside each group, for one stretch of training.

    Parameters
    ----------
    trace : Trace
    t : int, the stretch, from 0
    groups : Groups of the images of the trace
    alpha, standardise : as in :func:`ridge`

    Returns
    -------
    array (G, K, C), change of confidence per unit of intensity in each group; the rest has none

    Raises
    ------
    TypeError, ValueError
        If the groups do not belong to the trace.

    Notes
    -----
    Li et al. (2026), "within each group". Taught in chapter 17.
    """
    trace = traced(trace)
    t = interval(t, trace.n_intervals)
    labels = _one_grouping(groups, len(trace.labels)).labels
    check.number(alpha, "alpha", low=0, open_low=True)
    check.flag(standardise, "standardise")
    dP, dY = trace.dP(t), trace.dY(t)
    inside = [labels == g for g in range(groups.n_groups)]
    return np.stack([solve_ridge(dP[i], dY[i], alpha, np.ones(i.sum()), standardise) for i in inside])


def shared_prototypes(
    trace: Trace, effects: Effects, groups: Sequence[Groups] | None = None, *, share: float = 0.1, present_in: float = 0.5
) -> pd.DataFrame:
    """Which prototypes all groups of a class have, and which only some of them.

    Parameters
    ----------
    trace : Trace
    effects : Effects of this trace, for the influence
    groups : list of Groups, one for each stretch; None takes those of ``effects``, or finds them
    share : float in (0, 1], an image has a prototype if it fills so much of its places
    present_in : float in (0, 1], a group has a prototype if so much of its images do

    Returns
    -------
    DataFrame
        ``interval, label, prototype, n_groups, n_with, kind, influence``. The groups of a class are those in which it is the most
        frequent one. ``kind`` is "shared" where all of them have the prototype, "specialised" where only some do; prototypes that
        none has are left out. With a single group nothing can be specialised: read ``n_groups`` first.

    Raises
    ------
    TypeError, ValueError
        If effects or groups do not belong to the trace.

    Notes
    -----
    Li et al. (2026); when a group "has" a prototype is our reading. Taught in chapter 17.
    """
    trace = traced(trace)
    check.instance(effects, Effects, "effects")
    if effects.beta.shape != (trace.n_intervals, trace.P.shape[2], trace.Y.shape[2]):
        raise ValueError(f"effects do not belong to this trace: their shape is {effects.beta.shape}.")
    for value, name in ((share, "share"), (present_in, "present_in")):
        check.number(value, name, low=0, high=1, open_low=True)
    known = _groups_of(trace, groups if groups is not None or not effects.groups else effects.groups)
    has = trace.shares >= share
    parts = [_of_groups(has, trace.labels, known[t].labels, present_in).assign(interval=t) for t in range(trace.n_intervals)]
    frame = pd.concat(parts, ignore_index=True)
    influence = effects.influence[frame["interval"], frame["prototype"], frame["label"]]
    kind = np.where(frame["n_with"] == frame["n_groups"], "shared", "specialised")
    return frame.assign(kind=kind, influence=influence)[
        ["interval", "label", "prototype", "n_groups", "n_with", "kind", "influence"]
    ]


def separation(trace: Trace, *, accuracy: float = 0.9) -> pd.DataFrame:
    """When each pair of classes came apart, the earliest first: the order in which the model learned to tell them.

    Parameters
    ----------
    trace : Trace
    accuracy : float in (0.5, 1], the pair is apart from the first checkpoint at which, and after which, so many of both classes'
        images (each class counts half) have more confidence in their own class than in the other one

    Returns
    -------
    DataFrame
        ``first, second, checkpoint, step, final_accuracy``; checkpoint -1 and step NaN for a pair that never came apart for good.

    Raises
    ------
    TypeError, ValueError
        If ``accuracy`` is out of range.

    Notes
    -----
    Taught in chapter 17.
    """
    trace = traced(trace)
    check.number(accuracy, "accuracy", low=0.5, high=1, open_low=True)
    present = np.unique(trace.labels)
    one_way = np.stack([_wins(Y, trace.labels, present) for Y in trace.Y])
    both = (one_way + one_way.transpose(0, 2, 1)) / 2
    first, second = np.triu_indices(len(present), 1)
    apart = both[:, first, second] >= accuracy
    for_good = np.logical_and.accumulate(apart[::-1], axis=0)[::-1]
    checkpoint = np.where(for_good.any(axis=0), for_good.argmax(axis=0), -1)
    step = np.where(checkpoint >= 0, trace.steps[checkpoint], np.nan)
    columns = {"first": present[first], "second": present[second], "checkpoint": checkpoint, "step": step}
    frame = pd.DataFrame(columns | {"final_accuracy": both[-1, first, second]})
    return frame.sort_values(["step", "first", "second"], kind="stable", ignore_index=True)


def _wins(Y: np.ndarray, labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Share of the images of each class (row) with more confidence in it than in each other class (column)."""
    return np.stack([(Y[labels == a][:, [a]] > Y[labels == a][:, present]).mean(axis=0) for a in present])


def _rows(trace: Trace, t: int, groups: Groups | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of one regression and their weights: images, or groups of images."""
    dP, dY = trace.dP(t), trace.dY(t)
    if groups is None:
        return dP, dY, np.ones(len(dP))
    return groups.means(dP), groups.means(dY), groups.sizes.astype(float)


def _of_groups(has: np.ndarray, labels: np.ndarray, group_of: np.ndarray, present_in: float) -> pd.DataFrame:
    """For each class and prototype, how many groups the class has and how many of those have the prototype."""
    numbers = range(group_of.max() + 1)
    owner = np.array([np.bincount(labels[group_of == g]).argmax() for g in numbers])
    with_it = np.stack([has[group_of == g].mean(axis=0) >= present_in for g in numbers])
    parts = []
    for c in np.unique(owner):
        n_with = with_it[owner == c].sum(axis=0)
        k = np.flatnonzero(n_with)
        parts.append(pd.DataFrame({"label": c, "prototype": k, "n_groups": int((owner == c).sum()), "n_with": n_with[k]}))
    return pd.concat(parts)


def _groups_of(trace: Trace, groups: Any) -> tuple[Groups, ...]:
    """Checked groups, one set for each stretch, found now if there are none."""
    if groups is None:
        steps = range(trace.n_intervals)
        return tuple(find_groups(trace.dY(t)) for t in progress(steps, len(steps), "groups"))
    if not isinstance(groups, Sequence) or len(groups) != trace.n_intervals:
        raise TypeError(f"groups must be a list of {trace.n_intervals} Groups, one for each stretch, not {check.shown(groups)}.")
    return tuple(_one_grouping(one, len(trace.labels)) for one in groups)


def _one_grouping(groups: Any, n: int) -> Groups:
    check.instance(groups, Groups, "groups")
    if len(groups.labels) != n:
        raise ValueError(f"groups must be those of the trace's {n} images, but hold {len(groups.labels)}.")
    return groups


def traced(trace: Any) -> Trace:
    from xailib.i2x.tracing import Trace

    return check.instance(trace, Trace, "trace")
