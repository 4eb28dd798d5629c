"""The few result types of the course: frozen, documented shapes, each with ``.plot()``, ``.to_frame()`` and a readable repr.

Numbers only. How a result is drawn is in :mod:`xailib.plots`, which is imported when ``.plot`` is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

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
