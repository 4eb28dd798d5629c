"""The engine of :func:`xailib.counterfactuals.search`: tables as numbers, what is asked, and the search itself.

A search is a talk with the model (a generator): it yields rows and is sent their predictions. That way many searches run side by
side and share the model's calls, and each of them still reads from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import logit

from xailib import _validation as check
from xailib import models
from xailib.models import Predict, Talk
from xailib.results import Counterfactuals

SIDES = ("below", "above")
DIRECTIONS = ("increase", "decrease")
#: rows of the data that a search starts from and that isolation is measured against
MAX_ROWS = 1_000
N_NEIGHBOURS = 5
#: shares of a change that are kept when it is taken back: none of it, a little, ..., a half, three quarters, ..., nearly all
COARSE = np.array([0.0, *0.5 ** np.arange(8, 1, -2), *(1 - 0.5 ** np.arange(1, 8))])
FINE = np.array([0.0, *0.5 ** np.arange(14, 1, -1), *(1 - 0.5 ** np.arange(1, 14))])
#: steps from the instance along one feature, in units of its scale
NEAR = 0.5 ** np.arange(-1, 8)
#: rows of the other side that are taken apart, for ten features; fewer for more
N_DONORS = 150
MAX_DECIMALS = 3
_TINY = 1e-12

# tables as numbers ------------------------------------------------------------------------------------------------------


def as_frame(table: Any) -> pd.DataFrame:
    """A DataFrame as it is; an array with columns x0, x1, ..."""
    if isinstance(table, pd.DataFrame):
        return table
    return pd.DataFrame(table, columns=check.feature_names(table)).infer_objects()


def same_columns(a: pd.DataFrame, name_a: str, b: pd.DataFrame, name_b: str) -> None:
    if list(a.columns) != list(b.columns):
        raise ValueError(f"{name_a} must have the same columns as {name_b}, in the same order: {check.listed(b.columns)}.")


def columns_of(frame: pd.DataFrame, features: Any, name: str) -> list[int]:
    """Column numbers of a list of features."""
    if isinstance(features, str) or not isinstance(features, list | tuple | set | frozenset | pd.Index | np.ndarray):
        raise TypeError(f"{name} must be a list of features, not {check.shown(features)}.")
    return [check.column(frame, feature, name) for feature in features]


def _by_column(frame: pd.DataFrame, mapping: Any, name: str) -> dict[int, Any]:
    """A mapping from features as one from column numbers."""
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise TypeError(f"{name} must be a dict from features, not {check.shown(mapping)}.")
    return {check.column(frame, feature, name): value for feature, value in mapping.items()}


def evenly(rows: np.ndarray, n: int) -> np.ndarray:
    """At most n rows, spread evenly over the table."""
    return rows if len(rows) <= n else rows[np.linspace(0, len(rows) - 1, n).astype(int)]


@dataclass(frozen=True)
class Coding:
    """Rows as numbers and back: a category is the number of its level, and everything else is itself."""

    like: pd.DataFrame
    as_array: bool
    array_dtype: Any
    levels: Mapping[int, pd.Index]
    scale: np.ndarray

    @cached_property
    def categorical(self) -> np.ndarray:
        mask = np.zeros(self.like.shape[1], bool)
        mask[list(self.levels)] = True
        return mask

    def encode(self, table: Any, name: str) -> np.ndarray:
        frame = as_frame(table)
        Z = np.empty(frame.shape)
        for j, column in enumerate(frame):
            if j not in self.levels:
                Z[:, j] = frame[column].to_numpy(float)
                continue
            Z[:, j] = self.levels[j].get_indexer(pd.Index(frame[column].astype(object)))
            if (Z[:, j] < 0).any():
                level = frame[column].iloc[int((Z[:, j] < 0).argmax())]
                known = check.listed(self.levels[j], 80)
                raise ValueError(f"{name} has level {level!r} in column {column!r} that data does not hold: {known}.")
        return Z

    def decode(self, Z: np.ndarray) -> Any:
        """What the model gets: a frame with the dtypes of the data, or an array."""
        frame = self.frame(Z)
        return frame.to_numpy(dtype=self.array_dtype) if self.as_array else frame

    def frame(self, Z: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({c: self._column(Z[:, j], j) for j, c in enumerate(self.like)}, copy=False)

    def _column(self, codes: np.ndarray, j: int) -> Any:
        dtype = self.like.dtypes.iloc[j]
        if j not in self.levels:
            whole = np.round(codes) if dtype.kind in "iub" else codes
            return whole if dtype == whole.dtype else pd.Series(whole).astype(dtype).array
        if isinstance(dtype, pd.CategoricalDtype):
            return pd.Categorical.from_codes(codes.astype(int), dtype=dtype)
        return pd.Series(self.levels[j].take(codes.astype(int))).astype(dtype).array

    def costs(self, x: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """(n, p), what each change costs in units of distance."""
        return np.where(self.categorical, x != Z, np.abs(Z - x)) / self.scale

    def embed(self, Z: np.ndarray) -> np.ndarray:
        """Coordinates in which the city-block distance is the distance: two levels are one unit apart."""
        numbers = Z[:, ~self.categorical] / self.scale[~self.categorical]
        halves = [(Z[:, [j]] == np.arange(len(levels))) / (2 * self.scale[j]) for j, levels in self.levels.items()]
        return np.hstack([numbers, *halves])


def coding_of(data: Any, scale: np.ndarray, others: Iterable[Any] = ()) -> Coding:
    """The coding of a table; ``others`` may hold levels of text columns that the table does not."""
    frame = as_frame(data)
    tables = [frame, *map(as_frame, others)]
    levels = {}
    for j, column in enumerate(frame):
        if check.is_numeric(frame[column]):
            bad = [t for t in tables if not check.is_numeric(t.iloc[:, j])]
            if bad:
                raise TypeError(f"column {column!r} of data is numeric, but other rows given hold {bad[0].dtypes.iloc[j]} there.")
        elif isinstance(frame[column].dtype, pd.CategoricalDtype):
            levels[j] = frame[column].cat.categories
        else:
            levels[j] = pd.Index(pd.unique(pd.concat([t.iloc[:, j].astype(object) for t in tables])), dtype=object)
    array_dtype = None if isinstance(data, pd.DataFrame) else data.dtype
    return Coding(frame.iloc[:0], not isinstance(data, pd.DataFrame), array_dtype, levels, scale)


@dataclass(frozen=True)
class Crowd:
    """Rows of the data in embedded coordinates, and how far each is from its neighbours."""

    coding: Coding
    points: np.ndarray
    n_neighbours: int
    own: np.ndarray

    def isolation(self, Z: np.ndarray) -> np.ndarray:
        near = np.concatenate([self._nearness(self.coding.embed(part), 0) for part in np.array_split(Z, -(-len(Z) // 2_000))])
        return np.searchsorted(self.own, near - 1e-9) / len(self.own)

    def _nearness(self, points: np.ndarray, skip: int) -> np.ndarray:
        """Mean distance to the nearest rows, the first ``skip`` of them left out."""
        d = cdist(points, self.points, "cityblock")
        k = self.n_neighbours + skip
        return np.sort(np.partition(d, k - 1, axis=1)[:, :k], axis=1)[:, skip:].mean(axis=1)


def crowd_of(coding: Coding, Z: np.ndarray, n_neighbours: int) -> Crowd:
    points = coding.embed(Z)
    empty = Crowd(coding, points, n_neighbours, np.empty(0))
    return Crowd(coding, points, n_neighbours, np.sort(empty._nearness(points, 1)))


# what is asked ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goal:
    """Where the prediction has to be, and how far it is from there."""

    target: str | int
    threshold: float
    margin: float
    as_log_odds: bool

    @property
    def text(self) -> str:
        if not isinstance(self.target, str):
            return f"class {self.target} ahead" + (f" by more than {self.margin:g}" if self.margin else "")
        limit = self.threshold + (-self.margin if self.target == "below" else self.margin)
        return f"prediction {'at most' if self.target == 'below' else 'above'} {limit:g}"

    def slack(self, raw: np.ndarray) -> np.ndarray:
        """At least zero exactly where the goal is met; for probabilities measured in log-odds, where effects add up."""
        if not isinstance(self.target, str):
            gap = raw[:, self.target] - np.delete(raw, self.target, axis=1).max(axis=1) - self.margin
            size, met = gap, gap > 0
        else:
            sign = -1.0 if self.target == "below" else 1.0
            limit = self.threshold + sign * self.margin
            met = raw <= limit if sign < 0 else raw > limit
            size = sign * (_log_odds(raw) - _log_odds(np.array(limit)) if self.as_log_odds else raw - limit)
        return np.where(met, np.maximum(size, 0.0), np.minimum(size, -_TINY))


def _log_odds(p: np.ndarray) -> np.ndarray:
    return logit(np.clip(p, 1e-6, 1 - 1e-6))


def goal_maker(target: Any, threshold: Any, margin: Any) -> Callable[[Any], Goal]:
    """Check what is asked; the goal itself depends on the prediction of the instance."""
    check.number(threshold, "threshold")
    check.number(margin, "margin", low=0)
    if not (target is None or isinstance(target, str)):
        check.number(target, "target", low=0, integer=True)
    elif target is not None:
        check.one_of(target, "target", [*SIDES, None])

    def goal(raw: Any) -> Goal:
        raw = np.asarray(raw)
        if raw.ndim == 1 and not isinstance(target, int | np.integer):
            raise ValueError(f"target must be the number of a class, 0 to {len(raw) - 1}, for a model with {len(raw)} outputs.")
        if raw.ndim == 1 and target >= len(raw):
            raise ValueError(f"target {target} is out of range: the model has {len(raw)} outputs.")
        if raw.ndim == 0 and not (target is None or isinstance(target, str)):
            raise ValueError(f"target must be 'below', 'above' or None for a model with one output, not {target}.")
        side = target if target is not None else ("below" if raw > threshold else "above")
        return Goal(side, float(threshold), float(margin), raw.ndim == 0 and 0 <= raw <= 1 and 0 < threshold < 1)

    return goal


@dataclass(frozen=True)
class Problem:
    """Everything about a search that does not depend on the instance."""

    predict: Predict
    coding: Coding
    sample: np.ndarray
    grids: Sequence[np.ndarray]
    goal_of: Callable[[Any], Goal]
    fixed: frozenset[int]
    direction: Mapping[int, str]
    ranges: Mapping[int, Any]
    derived: Mapping[int, Callable[[Any], Any]]
    decimals: np.ndarray
    crowd: Crowd | None
    n_counterfactuals: int
    max_changed: int | None
    sparsity: float
    plausibility: float | None
    diversity: float
    scale_name: str
    batch_rows: int

    @cached_property
    def movable(self) -> np.ndarray:
        """Features that the search itself may set."""
        return np.array([j not in self.fixed and j not in self.derived for j in range(len(self.coding.scale))])

    def complete(self, Z: np.ndarray) -> np.ndarray:
        """The same rows with derived columns computed anew."""
        if not self.derived:
            return Z
        rows, Z = self.coding.decode(Z), Z.copy()
        for j, follow in self.derived.items():
            values = np.asarray(follow(rows))
            if values.shape != (len(Z),) or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
                name = str(self.coding.like.columns[j])
                raise ValueError(f"derived function of {name!r} must return {len(Z)} finite numbers, one per row.")
            Z[:, j] = values
        return Z

    def rounded(self, Z: np.ndarray) -> np.ndarray:
        Z = Z.copy()
        for digits in np.unique(self.decimals[self.decimals >= 0]):
            columns = self.decimals == digits
            Z[:, columns] = np.round(Z[:, columns], digits)
        return Z

    def limits(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
        """Lowest and highest value of each number, and allowed levels of each category, for one instance."""
        low, high = np.minimum(self.sample.min(axis=0), x), np.maximum(self.sample.max(axis=0), x)
        levels = {j: np.arange(len(names), dtype=float) for j, names in self.coding.levels.items()}
        for j, given in self.ranges.items():
            if j in levels:
                levels[j] = given
            else:
                low[j], high[j] = given[0], given[1]
        for j, way in self.direction.items():
            if way == "increase":
                low[j] = max(low[j], x[j])
            else:
                high[j] = min(high[j], x[j])
        for j in self.fixed:
            levels[j] = levels[j][levels[j] == x[j]] if j in levels else np.empty(0)
            low[j], high[j] = max(low[j], x[j]), min(high[j], x[j])
        return low, high, {j: levels[j] for j in self.coding.levels}


def problem_of(
    predict: Predict,
    instances: Any,
    data: Any,
    name: str,
    batch_rows: int,
    *,
    target: Any,
    threshold: Any,
    margin: Any,
    n_counterfactuals: Any,
    immutable: Any,
    direction: Any,
    ranges: Any,
    derived: Any,
    max_changed: Any,
    sparsity: Any,
    plausibility: Any,
    diversity: Any,
    scale: np.ndarray,
    scale_name: str,
    rounding: Any,
) -> Problem:
    """Check every argument of a search and put it into its final form."""
    goal_of = goal_maker(target, threshold, margin)
    check.number(n_counterfactuals, "n_counterfactuals", low=1, integer=True)
    check.number(sparsity, "sparsity", low=0)
    check.number(diversity, "diversity", low=0, high=1, open_high=True)
    check.flag(rounding, "rounding")
    if max_changed is not None:
        check.number(max_changed, "max_changed", low=1, integer=True)
    if plausibility is not None:
        check.number(plausibility, "plausibility", low=0, high=1, open_low=True)
        check.table(data, "data", min_rows=N_NEIGHBOURS + 1)
    frame = as_frame(data)
    same_columns(as_frame(instances), name, frame, "data")
    coding = coding_of(data, scale, [instances])
    sample = coding.encode(data, "data")
    fixed = frozenset(columns_of(frame, immutable, "immutable"))
    following = _derived(frame, derived, coding, fixed)
    crowd = None if plausibility is None else crowd_of(coding, evenly(sample, MAX_ROWS), N_NEIGHBOURS)
    return Problem(
        predict, coding, sample, [_grid(sample[:, j]) for j in range(sample.shape[1])], goal_of, fixed,
        _directions(frame, direction, coding, following), _ranges(frame, ranges, coding, following), following,
        _decimals(frame, sample, rounding), crowd, n_counterfactuals, max_changed, float(sparsity), plausibility,
        float(diversity), scale_name, batch_rows,
    )  # fmt: skip


def _derived(frame: pd.DataFrame, derived: Any, coding: Coding, fixed: frozenset[int]) -> dict[int, Any]:
    following = _by_column(frame, derived, "derived")
    for j, function in following.items():
        check.function(function, f"derived[{str(frame.columns[j])!r}]")
        if j in coding.levels or j in fixed:
            kind = "a category" if j in coding.levels else "immutable"
            raise ValueError(f"derived feature {str(frame.columns[j])!r} must be a number that may follow, but it is {kind}.")
    return following


def _directions(frame: pd.DataFrame, direction: Any, coding: Coding, following: Mapping[int, Any]) -> dict[int, str]:
    ways = _by_column(frame, direction, "direction")
    for j, way in ways.items():
        check.one_of(way, f"direction[{str(frame.columns[j])!r}]", DIRECTIONS)
        if j in coding.levels or j in following:
            kind = "a category" if j in coding.levels else "derived"
            raise ValueError(
                f"direction is for numbers that the search sets, but {str(frame.columns[j])!r} is {kind}: use ranges."
            )
    return ways


def _ranges(frame: pd.DataFrame, ranges: Any, coding: Coding, following: Mapping[int, Any]) -> dict[int, Any]:
    """Pairs of numbers, or level numbers."""
    checked = {}
    for j, given in _by_column(frame, ranges, "ranges").items():
        label = f"ranges[{str(frame.columns[j])!r}]"
        if j in following:
            raise ValueError(f"{label} is for a derived feature, which follows others: limit those instead.")
        if isinstance(given, str) or not isinstance(given, list | tuple | set | np.ndarray | pd.Index) or len(given) == 0:
            raise TypeError(f"{label} must be a pair (lowest, highest) or a list of levels, not {check.shown(given)}.")
        if j in coding.levels:
            unknown = [level for level in given if level not in coding.levels[j]]
            if unknown:
                raise ValueError(f"{label} has the unknown level {unknown[0]!r}; there are {check.listed(coding.levels[j])}.")
            checked[j] = np.sort(coding.levels[j].get_indexer(pd.Index(list(given)))).astype(float)
            continue
        pair = check.array(list(given), label, ndim=1)
        if len(pair) != 2 or pair[0] > pair[1]:
            raise ValueError(f"{label} must be a pair (lowest, highest), not {check.shown(given)}.")
        checked[j] = pair
    return checked


def _grid(values: np.ndarray) -> np.ndarray:
    """Nine deciles of the data, as values to try."""
    return np.quantile(values, np.linspace(0.1, 0.9, 9), method="inverted_cdf")


def _decimals(frame: pd.DataFrame, sample: np.ndarray, rounding: bool) -> np.ndarray:
    """Decimals of each column: 0 for integers, as many as the data have (at most three), -1 for no rounding."""
    digits = np.full(frame.shape[1], -1)
    for j, column in enumerate(frame):
        if not check.is_numeric(frame[column]):
            continue
        if frame[column].dtype.kind in "iub":
            digits[j] = 0
        elif rounding:
            fits = [d for d in range(MAX_DECIMALS + 1) if (np.round(sample[:, j], d) == sample[:, j]).all()]
            digits[j] = fits[0] if fits else -1
    return digits


# the search -------------------------------------------------------------------------------------------------------------


def run_all(problem: Problem, searches: Sequence[Search]) -> list[Counterfactuals]:
    """Run the searches side by side: the rows that all of them wait for go to the model together."""
    ask = lambda Z: models.batched(problem.predict, problem.coding.decode(Z), batch_rows=problem.batch_rows)  # noqa: E731
    found = models.side_by_side([search.run() for search in searches], ask)
    return [search.result(Z) for search, Z in zip(searches, found, strict=True)]


def _distinct(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows in the order in which they appear, and for each row its place among them."""
    places: dict[bytes, int] = {}
    lines = np.ascontiguousarray(Z + 0.0).view(f"V{8 * Z.shape[1]}").ravel().tolist()
    back = np.array([places.setdefault(line, len(places)) for line in lines])
    return Z[np.unique(back, return_index=True)[1]], back


@dataclass
class Search:
    """The search for one instance, as a talk with the model: it yields rows and is sent their predictions.

    ``base`` is the instance, moved inside the limits where it is outside; all changes start there.
    """

    problem: Problem
    x: np.ndarray
    raw: Any
    seeds: np.ndarray
    raw_seeds: np.ndarray
    n_evaluations: int = 0
    n_calls: int = 0
    best_slack: float = -np.inf
    best_raw: Any = None
    reason: str = ""
    after: Any = None

    def __post_init__(self) -> None:
        p = self.problem
        self.goal = p.goal_of(self.raw)
        self.low, self.high, self.levels = p.limits(self.x)
        self.base, self.free = self._start()
        self.width = max(16, 6 * p.n_counterfactuals)
        self.limit = 1.0
        if p.crowd is not None and p.plausibility is not None:
            self.limit = max(p.plausibility, float(p.crowd.isolation(self.x[None])[0]))

    def _start(self) -> tuple[np.ndarray, np.ndarray]:
        """The instance inside the limits, and the features with more than one value to choose from."""
        base, free = self.x.copy(), self.problem.movable.copy()
        self.empty = np.zeros(len(base), bool)
        for j in range(len(base)):
            if j in self.levels:
                self.empty[j] = len(self.levels[j]) == 0
                if self.x[j] not in self.levels[j] and len(self.levels[j]):
                    base[j] = self.levels[j][np.argmax([(self.problem.sample[:, j] == v).sum() for v in self.levels[j]])]
                free[j] &= len(self.levels[j]) > 1
                continue
            inside = self.low[j] <= self.x[j] <= self.high[j]
            digits = self.problem.decimals[j]
            if digits >= 0 and j not in self.problem.derived:  # only values with this many decimals: limits move inwards
                unit = 10.0**digits
                self.low[j] = np.round(np.ceil(self.low[j] * unit - 1e-6) / unit, digits)
                self.high[j] = np.round(np.floor(self.high[j] * unit + 1e-6) / unit, digits)
            self.empty[j] = not inside and self.low[j] > self.high[j]
            base[j] = self.x[j] if inside else np.clip(self.x[j], self.low[j], self.high[j])
            free[j] &= self.low[j] <= self.high[j] and (self.low[j] < self.high[j] or self.low[j] != base[j])
        return base, free

    def run(self) -> Talk:
        """Rows that were found valid, coded; the talk asks for whatever it needs."""
        nothing = np.empty((0, len(self.x)))
        if self.goal.slack(np.asarray(self.raw)[None])[0] >= 0:
            self.reason = f"nothing to change: the instance is in the target already ({self.goal.text})"
            return nothing
        if self.empty.any():
            self.reason = f"proven: the limits leave no value for {str(self.problem.coding.like.columns[self.empty.argmax()])!r}"
            return nothing
        pool, gains = yield from self._along_lines()
        pool = np.vstack([pool, (yield from self._from_seeds(gains))])
        for _ in range(2):
            pool, _ = yield from self._pulled(pool, 2 * self.width, COARSE)
        for _ in range(3):
            before = self._lowest(pool)
            near = yield from self._exchanged(self._best(pool, 4))
            near, _ = yield from self._pulled(near, self.width, COARSE)
            pool = np.vstack([pool, near])
            if not self._lowest(pool) < 0.999 * before:
                break
        for _ in range(2):
            pool, better = yield from self._pulled(pool, 3 * self.problem.n_counterfactuals, FINE)
            if not better:
                break
        return (yield from self._confirmed(self._chosen(pool)))

    def _ask(self, Z: np.ndarray) -> Talk:
        """The rows as they would be handed out, and their slack: at least zero where valid and plausible."""
        numbers = ~self.problem.coding.categorical
        inside = np.where(numbers, np.clip(self.problem.rounded(Z), self.low, self.high), Z)
        Z = np.where((self.base == Z) | ~self.free, self.base, inside)
        Z = self.problem.complete(Z)
        if not len(Z):
            return Z, np.empty(0)
        unique, back = _distinct(Z)
        raw = yield unique
        self.n_evaluations, self.n_calls = self.n_evaluations + len(unique), self.n_calls + 1
        slack = self.goal.slack(raw)
        if slack.max() > self.best_slack:
            self.best_slack, self.best_raw = slack.max(), raw[slack.argmax()]
        if self.problem.crowd is not None and (slack >= 0).any():
            valid = np.flatnonzero(slack >= 0)
            slack[valid[self.problem.crowd.isolation(unique[valid]) > self.limit]] = -_TINY
        return Z, slack[back]

    def _along_lines(self) -> Talk:
        """One feature at a time over its values: valid rows, and what each value brings."""
        values = {j: self._values(j) for j in np.flatnonzero(self.free).tolist()}
        rows = [self.base[None]]
        for j, v in values.items():
            line = np.tile(self.base, (len(v), 1))
            line[:, j] = v
            rows.append(line)
        Z, slack = yield from self._ask(np.vstack(rows))
        gains, start = {}, 1
        for j, v in values.items():
            gains[j] = (v, slack[start : start + len(v)] - slack[0])
            start += len(v)
        return Z[slack >= 0], gains

    def _values(self, j: int) -> np.ndarray:
        """Values worth trying for a feature: all levels, or deciles and even steps inside the limits."""
        if j in self.levels:
            return self.levels[j][self.levels[j] != self.base[j]]
        even = np.linspace(self.low[j], self.high[j], 11)
        near = self.base[j] + self.problem.coding.scale[j] * np.concatenate([-NEAR, NEAR])
        values = np.clip(np.concatenate([even, near, self.problem.grids[j]]), self.low[j], self.high[j])
        if self.problem.decimals[j] >= 0:
            values = np.round(values, self.problem.decimals[j])
        values = np.unique(values)
        return values[values != self.base[j]]

    def _from_seeds(self, gains: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> Talk:
        """Combinations that promise to be valid."""
        donors = self._donors()
        undone = np.where(np.eye(len(self.x), dtype=bool)[self.free], self.base, donors[:, None])  # each without one change
        rows = np.vstack([self._frontier(gains), self._pairs(gains), self._transplants(donors[:25], gains)])
        Z, slack = yield from self._ask(np.vstack([donors, undone.reshape(-1, len(self.x)), rows]))
        needed = np.zeros(donors.shape, bool)
        needed[:, self.free] = slack[len(donors) :][: undone.shape[0] * undone.shape[1]].reshape(undone.shape[:2]) < 0
        sparse, slack_sparse = yield from self._ask(np.where(needed, donors, self.base)[slack[: len(donors)] >= 0])
        return np.vstack([Z[slack >= 0], sparse[slack_sparse >= 0]])

    def _frontier(self, gains: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Were effects additive, these rows would be best: Wachter's objective, feature by feature, for every price."""
        costs = {j: self._line_costs(j, v) for j, (v, _) in gains.items()}
        each = [c[g > 0] / g[g > 0] for (_, g), c in zip(gains.values(), costs.values(), strict=True)]
        ratios = np.unique(np.concatenate([np.empty(0), *each]))
        if not len(ratios):
            return np.empty((0, len(self.x)))
        rows = np.tile(self.base, (min(len(ratios), 60), 1))
        prices = evenly(ratios, 60) * (1 + 1e-6)
        for j, (v, g) in gains.items():
            worth = g[None] * np.ones((len(prices), 1)) - costs[j][None] / prices[:, None]
            best = worth.argmax(axis=1)
            take = worth[np.arange(len(prices)), best] > 0
            rows[take, j] = v[best[take]]
        return rows

    def _line_costs(self, j: int, v: np.ndarray) -> np.ndarray:
        one = np.tile(self.base, (len(v), 1))
        one[:, j] = v
        return self.problem.coding.costs(self.x, one)[:, j] + self.problem.sparsity

    def _pairs(self, gains: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Every pair of the features that bring most alone, in all or for their cost, at six values each."""
        most = sorted(gains, key=lambda j: -gains[j][1].max(initial=-np.inf))
        cheapest = sorted(gains, key=lambda j: -(gains[j][1] / self._line_costs(j, gains[j][0])).max(initial=-np.inf))
        leading = list(dict.fromkeys([*most[:5], *cheapest[:5]]))
        rows = []
        for a, j in enumerate(leading):
            for k in leading[a + 1 :]:
                v, w = (np.ravel(u) for u in np.meshgrid(*(evenly(gains[i][0], 6) for i in (j, k))))
                block = np.tile(self.base, (len(v), 1))
                block[:, j], block[:, k] = v, w
                rows.append(block)
        return np.vstack([np.empty((0, len(self.x))), *rows])

    def _donors(self) -> np.ndarray:
        """The nearest rows of the data that are in the target, moved into the limits (where they may have left the target)."""
        there = self.seeds[self.goal.slack(self.raw_seeds) >= 0]
        donors = np.where(self.free, np.clip(self.problem.rounded(there), self.low, self.high), self.base)
        for j, allowed in self.levels.items():
            if self.free[j]:
                donors[:, j] = np.where(np.isin(there[:, j], allowed), there[:, j], self.base[j])
        order = np.argsort(self.problem.coding.costs(self.base, donors).sum(axis=1), kind="stable")
        return donors[order[: max(25, min(N_DONORS, 10 * N_DONORS // max(1, self.free.sum())))]]

    def _transplants(self, donors: np.ndarray, gains: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Values of each donor put into the instance: the most useful one, the two most useful, ..."""
        rows = [np.empty((0, len(self.x)))]
        for donor in donors:
            columns = np.flatnonzero(donor != self.base)
            worth = [self._gain_at(gains[j], donor[j], j in self.levels) for j in columns.tolist()]
            row = np.tile(self.base, (len(columns), 1))
            for step, c in enumerate(columns[np.argsort(worth, kind="stable")[::-1]]):
                row[step:, c] = donor[c]
            rows.append(row)
        return np.vstack(rows)

    @staticmethod
    def _gain_at(gain: tuple[np.ndarray, np.ndarray], value: float, level: bool) -> float:
        values, gains = gain
        return (
            float(gains[values == value].max(initial=0.0) if level else np.interp(value, values, gains)) if len(values) else 0.0
        )

    def _pulled(self, pool: np.ndarray, width: int, kept: np.ndarray) -> Talk:
        """The best rows of a pool with changes taken back as far as they stay valid, and whether that helped."""
        Z = self._best(pool, width)
        if not len(Z):
            return pool, False
        i, j = np.nonzero((self.base != Z) & self.free)
        trial, slack = yield from self._ask(self._taken_back(Z, i, j, kept))
        valid = np.column_stack([(slack >= 0).reshape(len(i), len(kept)), np.ones(len(i), bool)])
        first = valid.argmax(axis=1)
        values = np.column_stack([trial[np.arange(len(trial)), np.repeat(j, len(kept))].reshape(len(i), len(kept)), Z[i, j]])
        target = Z.copy()
        target[i, j] = values[np.arange(len(i)), first]
        together, slack_together = yield from self._ask(self._cumulated(Z, target))
        improved = np.vstack([trial[slack >= 0], together[slack_together >= 0]])
        lowest = self._lowest(pool)
        pool = self._best(np.vstack([pool, improved]), 6 * self.width)
        return pool, self._lowest(pool) < lowest * (1 - 1e-3)

    def _taken_back(self, Z: np.ndarray, i: np.ndarray, j: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Each change alone, at each kept share; of a category nothing or all is kept."""
        trial, column = np.repeat(Z[i], len(kept), axis=0), np.repeat(j, len(kept))
        at = np.arange(len(trial)), column
        share = np.tile(kept, len(i))
        share = np.where(self.problem.coding.categorical[column], (share > 0).astype(float), share)
        trial[at] = self.base[column] + share * (trial[at] - self.base[column])
        return trial

    def _cumulated(self, Z: np.ndarray, target: np.ndarray) -> np.ndarray:
        """All those moves together: the one that saves most, the two that save most, ..."""
        costs = self.problem.coding.costs
        saved = costs(self.x, Z) - costs(self.x, target) + self.problem.sparsity * (target == self.base)
        saved = np.where(self.free, saved, 0.0)
        if self.problem.max_changed is not None:
            crowded = ((self.base != Z) & self.free).sum(axis=1) > self.problem.max_changed
            saved += 1e6 * ((target == self.base) & (self.base != Z) & crowded[:, None])
        rows = [np.empty((0, Z.shape[1]))]
        for z, goal, s in zip(Z, target, saved, strict=True):
            order = np.argsort(-s, kind="stable")[: (s > 0).sum()]
            block = np.tile(z, (len(order), 1))
            for step, c in enumerate(order):
                block[step:, c] = goal[c]
            rows.append(block)
        return np.vstack(rows)

    def _exchanged(self, Z: np.ndarray) -> Talk:
        """Neighbours of good rows with one feature set to another value: what is gained can be taken back elsewhere."""
        rows = [np.empty((0, len(self.x)))]
        for z in Z:
            for j in np.flatnonzero(self.free).tolist():
                values = evenly(self._values(j), 10)
                block = np.tile(z, (len(values), 1))
                block[:, j] = values
                rows.append(block)
        tried, slack = yield from self._ask(np.vstack(rows))
        tried, slack = tried[slack >= 0], slack[slack >= 0]
        extra = np.maximum(self._cost(tried) - self._cost(Z).min(initial=np.inf), 1e-3) if len(tried) else np.empty(0)
        return tried[np.argsort(-(slack / extra), kind="stable")[: 2 * self.width]]

    def _cost(self, Z: np.ndarray) -> np.ndarray:
        """Distance, and the price of each changed feature; a row with too many changes costs more than any other."""
        counted = ~np.isin(np.arange(len(self.x)), list(self.problem.derived))
        n_changed = ((self.x != Z) & counted).sum(axis=1)
        cost = self._distances(Z) + self.problem.sparsity * n_changed
        return cost if self.problem.max_changed is None else cost + 1e9 * np.maximum(n_changed - self.problem.max_changed, 0)

    def _distances(self, Z: np.ndarray) -> np.ndarray:
        counted = ~np.isin(np.arange(len(self.x)), list(self.problem.derived))
        return (self.problem.coding.costs(self.x, Z) * counted).sum(axis=1)

    def _lowest(self, Z: np.ndarray) -> float:
        return float(self._cost(Z).min(initial=np.inf))

    def _best(self, Z: np.ndarray, n: int) -> np.ndarray:
        """The n cheapest rows, at most three with the same features changed; half of the places go to ways of their own.

        The cheapest rows are often one good way with idle changes added. Alone they would crowd out another way, dear now and
        cheap once its changes are taken back.
        """
        if not len(Z):
            return Z
        Z, _ = _distinct(Z)
        Z = Z[np.argsort(self._cost(Z), kind="stable")]
        chosen = dict.fromkeys([*self._ways(Z, n // 2, apart=True), *self._ways(Z, n, apart=False)])
        return Z[sorted(list(chosen)[:n])]

    def _ways(self, Z: np.ndarray, n: int, *, apart: bool) -> list[int]:
        """The first n rows, at most three with the same features changed; ``apart``: none that goes beyond another."""
        seen: dict[bytes, int] = {}
        chosen: list[int] = []
        beyond = np.zeros(len(Z), bool)
        for i, changed in enumerate(self.base != Z):
            key = changed.tobytes()
            if len(chosen) == n or beyond[i] or seen.get(key, 0) == 3:
                continue
            seen[key] = seen.get(key, 0) + 1
            chosen.append(i)
            if apart:
                beyond |= self._beyond(Z, Z[i])
        return chosen

    def _beyond(self, Z: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Which rows do all that ``row`` does, and as much or more: taking changes back may lead from them to it."""
        up = (self.base <= row) & (row <= Z)
        down = (self.base >= row) & (row >= Z)
        further = ~self.problem.coding.categorical & (up | down)
        return (further | (row == Z) | (row == self.base)).all(axis=1)

    def _chosen(self, pool: np.ndarray) -> np.ndarray:
        """The cheapest row, then whichever is cheap and far from those already chosen.

        A row that does all that a chosen one does, and more, is no alternative.
        """
        cost = self._cost(pool)
        pool, cost = pool[cost < 1e9], cost[cost < 1e9]
        if not len(pool):
            return pool
        chosen = [int(cost.argmin())]
        away, pointless = np.full(len(pool), np.inf), np.zeros(len(pool), bool)
        while len(chosen) < self.problem.n_counterfactuals:
            last = pool[chosen[-1]]
            away = np.minimum(away, self.problem.coding.costs(last, pool).sum(axis=1))
            pointless |= self._beyond(pool, last)
            if pointless.all():
                break
            chosen.append(int(np.where(pointless, np.inf, cost - self.problem.diversity * away).argmin()))
        return pool[chosen]

    def _confirmed(self, Z: np.ndarray) -> Talk:
        """The rows that the model, asked once more about exactly what is handed out, still puts into the target."""
        if not len(Z):
            return Z
        Z = Z[np.argsort(self._distances(Z), kind="stable")]
        raw = yield Z
        self.n_evaluations, self.n_calls = self.n_evaluations + len(Z), self.n_calls + 1
        valid = self.goal.slack(raw) >= 0
        self.after = raw[valid]
        return Z[valid]

    def result(self, Z: np.ndarray) -> Counterfactuals:
        coding, p = self.problem.coding, self.problem
        reason = self.reason if len(Z) or self.reason else self._how_hard()
        return Counterfactuals(
            instance=coding.frame(self.x[None]),
            rows=coding.frame(Z),
            prediction=float(self.raw) if np.ndim(self.raw) == 0 else self.raw,
            predictions=self.after if len(Z) else np.empty((0, *np.shape(self.raw))),
            distances=self._distances(Z),
            scale=coding.scale,
            target=self.goal.text,
            method=f"search, L1 in units of the {p.scale_name}",
            reason=reason,
            details={"n_evaluations": self.n_evaluations, "n_calls": self.n_calls},
        )

    def _how_hard(self) -> str:
        where = "" if np.ndim(self.raw) or self.best_raw is None else f"; the best prediction was {float(self.best_raw):.4g}"
        return f"no row inside these limits found among {self.n_evaluations:,} tried{where}: a search, not a proof"
