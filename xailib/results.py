"""The few result types of the course: frozen, documented shapes, each with ``.plot()``, ``.to_frame()`` and a readable repr.

Numbers only. How a result is drawn is in :mod:`xailib.plots`, which is imported when ``.plot`` is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from xailib import _validation as check

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Attribution:
    """Shares of predictions, one number per feature: the common currency of local explanations.

    Attributes
    ----------
    values : (n, p) or (p,), in units of the prediction; (n, k, p) for a model with k outputs: features are always last
    base_value : float or (n,), where the explanation starts counting; (k,) or (n, k) for k outputs
    prediction : float or (n,), the model's output for the instances; (n, k) for k outputs
    feature_names : p names
    instance : (n, p) or (p,), the explained rows
    method : what was computed, estimand included ("exact Shapley, marginal")
    std_errors : like ``values``, or None when exact
    details : what only this method has (LIME: ``fidelity``; sampling: ``n_evaluations``)
    """

    values: np.ndarray
    base_value: Any
    prediction: Any
    feature_names: list[str]
    instance: Any
    method: str
    std_errors: np.ndarray | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def efficiency_gap(self) -> np.ndarray:
        """Prediction minus base value minus the sum of the values: zero for a complete explanation."""
        return np.asarray(self.prediction) - np.asarray(self.base_value) - self.values.sum(axis=-1)

    def of_output(self, index: int) -> Attribution:
        """The explanation of one output (one class) of a model with several."""
        if self.values.ndim != 3:
            raise ValueError("of_output is for models with several outputs: this explanation is of one number already.")
        check.number(index, "index", low=0, high=self.values.shape[1] - 1, integer=True)
        return replace(
            self,
            values=self.values[:, index],
            base_value=np.asarray(self.base_value)[..., index],
            prediction=np.asarray(self.prediction)[..., index],
            std_errors=None if self.std_errors is None else self.std_errors[:, index],
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per instance (and output, where there are several), one column per feature."""
        if self.values.ndim == 3:
            labels = pd.MultiIndex.from_product(map(range, self.values.shape[:2]), names=["instance", "output"])
            return pd.DataFrame(self.values.reshape(-1, self.values.shape[2]), index=labels, columns=self.feature_names)
        return pd.DataFrame(np.atleast_2d(self.values), columns=self.feature_names)

    def plot(self, ax: Axes | None = None, *, row: int = 0) -> Axes:
        """Signed bars for one instance, largest first."""
        from xailib import plots

        return plots.attribution(self, ax, row=row)

    def __repr__(self) -> str:
        if self.values.ndim == 3:
            return f"Attribution({self.method}; {len(self.values)} instances, {self.values.shape[1]} outputs: see of_output)"
        values = np.atleast_2d(self.values)
        order = np.argsort(-np.abs(values[0]))[:3]
        top = ", ".join(f"{self.feature_names[j]} {values[0, j]:+.4f}" for j in order)
        return f"Attribution({self.method}; {len(values)} instance{'s' if len(values) > 1 else ''}; first: {top})"


@dataclass(frozen=True, eq=False)
class Interactions:
    """Shares of predictions for every feature alone and every pair of features.

    Attributes
    ----------
    values : (n, p, p), symmetric, in units of the prediction; (n, k, p, p) for a model with k outputs
        Off the diagonal the whole interaction of a pair, which stands there twice; on the diagonal the main effects.
    base_value : float, or (k,), where the explanation starts counting
    prediction : (n,), the model's output for the instances; (n, k) for k outputs
    feature_names : p names
    instance : (n, p), the explained rows
    method : what was computed, estimand included
    details : what only this method has
    """

    values: np.ndarray
    base_value: Any
    prediction: Any
    feature_names: list[str]
    instance: Any
    method: str
    details: dict[str, Any] = field(default_factory=dict)

    def shapley_values(self) -> np.ndarray:
        """Each feature's main effect and half of all its interactions, shape (n, p)."""
        main = np.diagonal(self.values, axis1=-2, axis2=-1)
        return main + (self.values.sum(axis=-1) - main) / 2

    def efficiency_gap(self) -> np.ndarray:
        """Prediction minus base value minus the main effects and the pairs, each once: zero for a complete explanation."""
        return np.asarray(self.prediction) - np.asarray(self.base_value) - self.shapley_values().sum(axis=-1)

    def of_output(self, index: int) -> Interactions:
        """The explanation of one output (one class) of a model with several."""
        if self.values.ndim != 4:
            raise ValueError("of_output is for models with several outputs: this explanation is of one number already.")
        check.number(index, "index", low=0, high=self.values.shape[1] - 1, integer=True)
        base, prediction = np.asarray(self.base_value)[..., index], np.asarray(self.prediction)[..., index]
        return replace(self, values=self.values[:, index], base_value=base, prediction=prediction)

    def to_frame(self) -> pd.DataFrame:
        """One row per instance (and output) and pair, the largest pairs of each first; a feature with itself: its main effect."""
        first, second = np.triu_indices(len(self.feature_names))
        pairs = self.values[..., first, second]
        place = np.indices(pairs.shape).reshape(pairs.ndim, -1)
        frame = pd.DataFrame(dict(zip(["instance", "output"], place[:-1], strict=False)))
        names = np.array(self.feature_names, dtype=object)
        frame["feature"], frame["other"] = names[first[place[-1]]], names[second[place[-1]]]
        frame["value"] = pairs.ravel()
        order = np.lexsort([-np.abs(pairs.ravel()), *place[:-1][::-1]])
        return frame.iloc[order].reset_index(drop=True)

    def plot(self, ax: Axes | None = None, *, row: int = 0) -> Axes:
        """A signed map of one instance: main effects on the diagonal, interactions beside it."""
        from xailib import plots

        return plots.interactions(self, ax, row=row)

    def __repr__(self) -> str:
        if self.values.ndim == 4:
            return f"Interactions({self.method}; {len(self.values)} instances, {self.values.shape[1]} outputs: see of_output)"
        frame = self.to_frame()
        top = frame[(frame["instance"] == 0) & (frame["feature"] != frame["other"])][:3]
        shown = ", ".join(f"{a} x {b} {v:+.4f}" for a, b, v in zip(top["feature"], top["other"], top["value"], strict=True))
        n = len(self.values)
        return f"Interactions({self.method}; {n} instance{'s' if n > 1 else ''}; first: {shown or 'one feature, no pair'})"


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One relevance value per pixel of one or more images, raw and signed unless the method says otherwise.

    Attributes
    ----------
    values : (n, h, w) at the method's own resolution, in units of the score (times 1/pixel for gradients)
    target : (n,) the class each map explains
    method : what was computed, layer included
    image_shape : (height, width) of the inputs, for up-sampling
    score : (n,) the explained score
    baseline_score : (n,) the score where a complete map starts counting, or None when the method promises no such sum
    against : (n,) the class each target is set against, or None when the map explains one class alone
    """

    values: np.ndarray
    target: np.ndarray
    method: str
    image_shape: tuple[int, int]
    score: np.ndarray
    baseline_score: np.ndarray | None = None
    against: np.ndarray | None = None

    def completeness_gap(self) -> np.ndarray:
        """Score minus baseline score minus the sum of the map, shape (n,): zero for a complete explanation."""
        if self.baseline_score is None:
            raise ValueError(f"{self.method} promises no sum to check: only a path method such as integrated gradients does.")
        return self.score - self.baseline_score - self.values.sum(axis=(1, 2))

    def upsample(self) -> np.ndarray:
        """Maps at image resolution (n, height, width): bilinear with half-pixel centres, values not rescaled."""
        import torch
        import torch.nn.functional as F

        maps = torch.as_tensor(self.values)[:, None]
        return F.interpolate(maps, size=self.image_shape, mode="bilinear", align_corners=False)[:, 0].numpy()

    def to_frame(self) -> pd.DataFrame:
        """Long form: image, row, column, value."""
        image, row, column = np.indices(self.values.shape).reshape(3, -1)
        return pd.DataFrame({"image": image, "row": row, "column": column, "value": self.values.ravel()})

    def plot(
        self, ax: Axes | None = None, *, image: np.ndarray | None = None, index: int = 0, limit: float | None = None
    ) -> Axes:
        """One map, laid over its image when given; ``limit`` is the value of the strongest colour."""
        from xailib import plots

        return plots.heatmap(self, ax, image=image, index=index, limit=limit)

    def __repr__(self) -> str:
        n, h, w = self.values.shape
        low, high = self.values.min(), self.values.max()
        gap = "" if self.baseline_score is None else f"; largest completeness gap {np.abs(self.completeness_gap()).max():.2g}"
        return f"Heatmap({self.method}; {n} map{'s' if n > 1 else ''} of {h}x{w}; values {low:.3g} to {high:.3g}{gap})"


@dataclass(frozen=True, eq=False)
class DeletionCurve:
    """What happens to predictions while features or pixels are replaced by a baseline.

    Attributes
    ----------
    fractions : (k,), share of the features replaced, from 0 to 1
    scores : (n, k), predictions, one row per instance
    order : "most relevant first" or "least relevant first"
    """

    fractions: np.ndarray
    scores: np.ndarray
    order: str

    def area(self) -> np.ndarray:
        """Area under each instance's curve, shape (n,): small when the right things were deleted first."""
        return np.trapezoid(self.scores, self.fractions, axis=1)

    def to_frame(self) -> pd.DataFrame:
        """One row per fraction, one column per instance."""
        return pd.DataFrame(self.scores.T, index=pd.Index(self.fractions, name="fraction"))

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """The mean curve."""
        from xailib import plots

        return plots.deletion_curve(self, ax, label=label)

    def __repr__(self) -> str:
        n, k = self.scores.shape
        return f"DeletionCurve({self.order}; {n} instance{'s' if n > 1 else ''}, {k} points; mean area {self.area().mean():.4g})"


@dataclass(frozen=True, eq=False)
class Importance:
    """How much a model relies on each feature or group of features.

    Attributes
    ----------
    values : (g,), mean over repeats, in units of ``unit``
    samples : (g, r), one value per repeat
    std_errors : (g,), uncertainty of ``values`` from the evaluation rows and the repeats
    p_values : (g,), paired one-sided test of "no worse than untouched"
    names : g names of features or groups
    baseline : float, loss or score of the untouched model
    unit : what one unit is ("increase of log_loss", "ratio of log_loss", "decrease of accuracy")
    method : "permutation" or "conditional permutation", with its details
    n_rows : evaluation rows
    """

    values: np.ndarray
    samples: np.ndarray
    std_errors: np.ndarray
    p_values: np.ndarray
    names: list[str]
    baseline: float
    unit: str
    method: str
    n_rows: int

    def interval(self, level: float = 0.95) -> np.ndarray:
        """Normal interval for each value, shape (g, 2)."""
        from scipy.stats import norm

        check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
        half = norm.ppf(0.5 + level / 2) * self.std_errors
        return np.column_stack([self.values - half, self.values + half])

    def ranking(self) -> list[str]:
        """Names from most to least important."""
        return [self.names[j] for j in np.argsort(-self.values, kind="stable")]

    def to_frame(self) -> pd.DataFrame:
        """One row per feature or group, most important first."""
        frame = pd.DataFrame(
            {"importance": self.values, "std_error": self.std_errors, "p_value": self.p_values}, index=self.names
        )
        return frame.sort_values("importance", ascending=False, kind="stable")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Bars with intervals, largest first."""
        from xailib import plots

        return plots.importance(self, ax)

    def __repr__(self) -> str:
        top = ", ".join(f"{name} {self.values[self.names.index(name)]:.4f}" for name in self.ranking()[:3])
        return f"Importance({self.method}; {self.unit}; {len(self.names)} features; largest: {top})"


@dataclass(frozen=True, eq=False)
class Effect:
    """How a prediction changes with one or two features.

    Attributes
    ----------
    names : one or two feature names
    grid : one array of grid points per name (numbers, or levels of a category)
    values : (k,) or (k1, k2), in units of the prediction
    method : "PDP", "ICE", "derivative ICE", "ALE", with its conventions
    lower, upper : interval bounds shaped like ``values``, or None
    curves : (n, k) individual curves, or None
    data : the feature values of the rows used, one array per name (for the rug), or None
    details : method-specific arrays (ALE: ``deltas``, ``counts``, ``bins``)
    """

    names: list[str]
    grid: list[np.ndarray]
    values: np.ndarray
    method: str
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    curves: np.ndarray | None = None
    data: list[np.ndarray] | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """One row per grid point, with the interval where there is one."""
        points = np.meshgrid(*self.grid, indexing="ij")
        frame = pd.DataFrame({name: p.ravel() for name, p in zip(self.names, points, strict=True)})
        frame["effect"] = self.values.ravel()
        if self.lower is not None and self.upper is not None:
            frame["lower"], frame["upper"] = self.lower.ravel(), self.upper.ravel()
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Line with band and rug, ICE curves, bars for categories, or a map for two features."""
        from xailib import plots

        return plots.effect(self, ax)

    def __repr__(self) -> str:
        size = "x".join(str(len(g)) for g in self.grid)
        low, high = self.values.min(), self.values.max()
        return f"Effect({self.method} of {' x '.join(self.names)}; {size} grid points; {low:.4g} to {high:.4g})"


class Condition(NamedTuple):
    """One predicate of a rule: a feature, a relation and a value; for a text, the relation ``contains`` and a word.

    Attributes
    ----------
    feature : name of the feature, or "text"
    relation : one of ``<=``, ``<``, ``>``, ``>=``, ``=``, ``contains``
    value : a number, a level of a category, or a word
    """

    feature: str
    relation: str
    value: Any

    def __str__(self) -> str:
        value = f"{self.value:.6g}" if isinstance(self.value, int | float | np.number) else str(self.value)
        return f'"{value}"' if self.relation == "contains" else f"{self.feature} {self.relation} {value}"


@dataclass(frozen=True, eq=False)
class Anchor:
    """A rule under which a model nearly always says the same, or the statement that none was found.

    Attributes
    ----------
    conditions : what the rule demands, all at once; empty for a rule that always applies
    found : whether the rule passed its test on fresh draws; if not, this is the best rule that was tried
    precision : share of rows under the rule with the same label, estimated on draws the search never saw
    interval : (low, high) for the precision, at ``confidence``
    coverage : share of the data that obeys the rule (texts: of the texts with words missing)
    threshold : the precision asked for
    confidence : probability that the interval holds
    prediction : the label the rule speaks of
    distribution : what the precision is a share of
    n_samples : draws behind ``precision``; 0 when it was counted without sampling
    model_rows : rows the model was asked for this rule, besides one prediction of the data
    """

    conditions: tuple[Condition, ...]
    found: bool
    precision: float
    interval: tuple[float, float]
    coverage: float
    threshold: float
    confidence: float
    prediction: float
    distribution: str
    n_samples: int
    model_rows: int

    @property
    def predicates(self) -> list[str]:
        """The conditions as text."""
        return [str(condition) for condition in self.conditions]

    @property
    def rule(self) -> str:
        """The rule as one line."""
        return " AND ".join(self.predicates) or "(always)"

    def __len__(self) -> int:
        return len(self.conditions)

    def covers(self, X: Any) -> np.ndarray:
        """Which rows (or texts) obey the rule, shape (n,) of True and False; X must have the rule's columns."""
        if any(condition.relation == "contains" for condition in self.conditions):
            from xailib.text import split_words

            present = [set(split_words(text).words) if text.strip() else set() for text in check.texts(X, "X")]
            return np.array([all(condition.value in words for condition in self.conditions) for words in present])
        check.table(X)
        obeyed = [holds(c, X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]) for c, j in self._columns(X)]
        return np.logical_and.reduce([np.full(len(X), True), *obeyed])

    def _columns(self, X: Any) -> list[tuple[Condition, int]]:
        return [(condition, check.column(X, condition.feature, "feature of the rule, in X,")) for condition in self.conditions]

    def to_frame(self) -> pd.DataFrame:
        """One row: rule, label, precision with its interval, coverage; several anchors can be put under each other."""
        low, high = self.interval
        return pd.DataFrame(
            {
                "rule": [self.rule],
                "prediction": [self.prediction],
                "found": [self.found],
                "precision": [self.precision],
                "lower": [low],
                "upper": [high],
                "coverage": [self.coverage],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Precision with its interval and the threshold, and the coverage, on one axis from 0 to 1."""
        from xailib import plots

        return plots.anchor(self, ax)

    def __repr__(self) -> str:
        joint = "; " if self.found else " has "
        return f"Anchor({joint.join(self._parts())})"

    def __str__(self) -> str:
        """The rule, and its numbers on a line of their own."""
        rule, numbers = self._parts()
        return f"{fill(rule, 100, subsequent_indent='    ')}\n  {numbers}"

    def _parts(self) -> tuple[str, str]:
        low, high = self.interval
        rule, sure = f"IF {self.rule} THEN {self.prediction:g}", f"precision {self.precision:.3f} ({low:.3f} to {high:.3f})"
        rest = f"coverage {self.coverage:.3f}, {self.distribution}"
        if self.found:
            return rule, f"{sure}, {rest}"
        return f"not an anchor: {rule}", f"{sure}, asked {self.threshold:g}; {rest}"


def holds(condition: Condition, values: Any) -> np.ndarray:
    """Which values of a column satisfy a condition, shape (n,); a level is compared as text.

    Parameters
    ----------
    condition : Condition, of any relation but ``contains``
    values : (n,) numbers, or levels for ``=``
    """
    check.instance(condition, Condition, "condition")
    check.one_of(condition.relation, "relation of the condition", [*_COMPARE, "="])
    column = np.asarray(values)
    numeric = check.is_numeric(column) or (column.dtype == object and all(isinstance(v, int | float | np.number) for v in column))
    if condition.relation == "=":
        same_kind = numeric and isinstance(condition.value, int | float | np.number)
        return column == condition.value if same_kind else column.astype(str) == str(condition.value)
    if not numeric:
        raise TypeError(f"values of {condition.feature!r} must be numbers for '{condition}', not {column.dtype}: use '='.")
    return _COMPARE[condition.relation](column.astype(float), float(condition.value))


_COMPARE = {"<=": np.less_equal, "<": np.less, ">": np.greater, ">=": np.greater_equal}


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """Rows like an instance that the model decides otherwise, or the reason why there is none.

    Attributes
    ----------
    instance : DataFrame of one row, what is explained
    rows : DataFrame (k, p) in the same columns, the counterfactuals, nearest first; k is 0 when none was found
    prediction : float, or (c,) for a model with c outputs, the model's output before the change
    predictions : (k,) or (k, c), its output after
    distances : (k,), from the instance to each row, in units of ``scale``
    scale : (p,), what one unit of distance is in each feature; a changed category costs one divided by its scale
    target : what was asked of the prediction, in words
    method : what was computed, scale and norm included
    reason : why there is no row, and whether that is proven; empty when there is one
    details : what only this method has (``n_evaluations``, ``n_calls``)
    """

    instance: pd.DataFrame
    rows: pd.DataFrame
    prediction: Any
    predictions: np.ndarray
    distances: np.ndarray
    scale: np.ndarray
    target: str
    method: str
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether there is at least one counterfactual."""
        return len(self.rows) > 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def changed(self) -> list[list[str]]:
        """Names of the features that differ from the instance, for each counterfactual."""
        different = self._different()
        return [[str(name) for name, d in zip(self.rows.columns, line, strict=True) if d] for line in different]

    def _different(self) -> np.ndarray:
        """(k, p), true where a counterfactual differs from the instance."""
        pairs = ((self.rows[c].to_numpy(), self.instance[c].to_numpy()) for c in self.rows.columns)
        return np.column_stack([after != before for after, before in pairs]).reshape(self.rows.shape)

    def to_frame(self) -> pd.DataFrame:
        """The instance on top, a row for each counterfactual, and only columns that change; unchanged entries are empty text."""
        different = self._different()
        both = pd.concat([self.instance, self.rows]).astype(object)
        kept = np.vstack([np.full(different.shape[1], True), different])
        labels = ["now", *(f"option {i + 1}" for i in range(len(self.rows)))]
        frame = both.where(kept, "").set_axis(labels).loc[:, different.any(axis=0)]
        if np.ndim(self.prediction) == 0:
            frame["prediction"] = [self.prediction, *self.predictions]
        frame["distance"] = [0.0, *self.distances]
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """How far each feature moves in each counterfactual, in units of its scale."""
        from xailib import plots

        return plots.counterfactuals(self, ax)

    def __repr__(self) -> str:
        if not self.found:
            return f"Counterfactuals({self.method}; none found: {self.reason})"
        first = ", ".join(f"{name} {_brief(self.instance[name])} -> {_brief(self.rows[name])}" for name in self.changed[0][:3])
        more = ", ..." if len(self.changed[0]) > 3 else ""
        found = f"{len(self)} found; nearest at {self.distances[0]:.4g}"
        return f"Counterfactuals({self.method}; {found}: {first or 'nothing'}{more})"


def _brief(column: pd.Series) -> str:
    """The first entry of a column, numbers to four digits."""
    value = column.iloc[0]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
