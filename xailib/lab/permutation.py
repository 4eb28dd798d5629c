"""The lab of chapter 2: what repeats, metric, data, grouping and correlation do to permutation importance.

The lab's bank is the world ``loans`` with two changes: of the two heights only ``height_cm`` matters, three times as much as both
do there, and ``height_in`` follows it with the correlation you choose. A forest is fitted for each position of the slider when
the lab is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.special import expit
from sklearn.base import clone

from xailib import plots, predictor, worlds
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch
from xailib.permutation import permutation_importances
from xailib.results import Importance
from xailib.worlds._world import World
from xailib.zoo.tabular import tabular

CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
METRICS = {"log loss": "log_loss", "accuracy": "accuracy", "AUC": "roc_auc"}
DATA = ("held-out", "training")
HEIGHTS = ["height_cm", "height_in"]
PAIR = "both heights"
NOISE = ["favourite_colour", "customer_number"]
FEATURES = ["prior_defaults", "annual_income_keur", "debt_to_income", "age_years", *HEIGHTS, *NOISE]
MAX_REPEATS, ROWS, TREES = 20, 800, 40
#: extra log-odds of default per centimetre, added to the 0.03 less per centimetre that the world itself plants
EXTRA_PER_CM = -0.06


def shuffle_lab() -> Playground:
    """Shuffle a bank's features: repeats, metric, data, grouped heights, correlation of the heights."""
    for correlation in CORRELATIONS:
        measured(correlation)
    return Playground(
        _compute,
        _draw,
        {
            "correlation": slider("correlation", 0, 1, 0, 0.25),
            "grouped": switch("shuffle both heights together"),
            "repeats": slider("repeats", 1, MAX_REPEATS, 5),
            "metric": choice("metric", list(METRICS)),
            "data": choice("data", list(DATA)),
        },
        filmstrip=[
            {"correlation": 0.0},
            {"correlation": 1.0},
            {"correlation": 1.0, "grouped": True},
            {"correlation": 1.0, "metric": "accuracy"},
            {"correlation": 1.0, "data": "training"},
        ],
        title="Shuffle a bank's features",
        predict=Prediction(
            "Only height_cm matters in this bank, and that never changes. Move the correlation of the two heights from 0 to 1: "
            "what happens to the importance of height_cm?",
            ["it stays", "it falls", "it rises"],
        ),
        verdict=_verdict,
    )


@dataclass(frozen=True)
class Shown:
    """What picture and verdict need: one setting, the axis it shares with others, and the same bank at correlation 0."""

    importance: Importance
    names: list[str]
    repeats: int
    x_limits: tuple[float, float]
    correlation: float
    at_zero: Importance


@cache
def measured(correlation: float) -> dict[tuple[str, str], Importance]:
    """Importance in the bank of one correlation, with the most repeats: (data, metric) -> result."""
    world = bank(correlation)
    forest = clone(tabular("loans-forest")).set_params(
        randomforestclassifier__n_estimators=TREES, randomforestclassifier__min_samples_leaf=3
    )
    predict = predictor(forest.fit(*world.train))
    results = {}
    for data, (X, y) in zip(DATA, (world.test, world.train), strict=True):
        for metric, result in _importances(predict, X[:ROWS], y[:ROWS]).items():
            results[data, metric] = result
    return results


def bank(correlation: float) -> World:
    """The lab's bank: loans in which height_cm carries all of a strong effect and height_in follows it."""
    world = worlds.loans(3000)
    rng = np.random.default_rng(0)
    X, height_cm = world.X, world.X["height_cm"]
    p = expit(world.truth.log_odds(X.assign(height_in=height_cm / 2.54)) + EXTRA_PER_CM * (height_cm - 172))
    y = (rng.random(len(X)) < p).astype(int)
    own = height_cm.std() * rng.standard_normal(len(X))
    follower = 172 + correlation * (height_cm - 172) + np.sqrt(1 - correlation**2) * own
    return replace(world, X=X.assign(height_in=(follower / 2.54).round(1)), y=y)


def _importances(predict: Any, X: Any, y: np.ndarray) -> dict[str, Importance]:
    settings: dict[str, Any] = {"features": FEATURES, "groups": {PAIR: HEIGHTS}, "n_repeats": MAX_REPEATS}
    return permutation_importances(predict, X, y, metrics=list(METRICS.values()), **settings)


def _compute(correlation: float, grouped: bool, repeats: int, metric: str, data: str) -> Reading:
    """Bars of the chosen setting, from the first ``repeats`` of the stored shuffles."""
    name = METRICS[metric]
    importance = measured(correlation)[data, name]
    hidden = set(HEIGHTS) if grouped else {PAIR}
    names = [n for n in [*FEATURES[:4], PAIR, *FEATURES[4:]] if n not in hidden]
    shown = Shown(importance, names, repeats, _x_limits(name), correlation, measured(0.0)[data, name])
    numbers = {n: _mean(importance, n, repeats) for n in names if n in {*HEIGHTS, PAIR, "customer_number"}}
    height = importance.names.index(PAIR if grouped else "height_cm")
    uncertainty = {
        f"{importance.names[height]}: standard error by rows": float(importance.std_errors[height]),
        f"{importance.names[height]}: spread over repeats": float(importance.samples[height, :repeats].std()),
    }
    return Reading({**numbers, **uncertainty, f"untouched model's {metric}": importance.baseline}, shown)


def _mean(importance: Importance, name: str, repeats: int) -> float:
    return float(importance.samples[importance.names.index(name), :repeats].mean())


@cache
def _x_limits(metric: str) -> tuple[float, float]:
    """One axis for all settings of a metric, so that bars of different settings compare."""
    results = [measured(correlation)[data, metric] for correlation in CORRELATIONS for data in DATA]
    samples = np.concatenate([result.samples.ravel() for result in results])
    return 1.05 * samples.min(), 1.05 * samples.max()


def _draw(reading: Reading, figure: FigureBase) -> None:
    """Bars are means, whiskers 95 % intervals by rows, rings single repeats; heights dark, noise named."""
    shown: Shown = reading.data
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and bars do not jump when labels change
    # a panel of the film strip is narrower and has a heading
    ax = figure.add_axes((0.345, 0.14, 0.625, 0.76) if isinstance(figure, Figure) else (0.42, 0.14, 0.55, 0.64))
    positions = np.arange(len(shown.names))[::-1]
    for position, name in zip(positions, shown.names, strict=True):
        _draw_bar(ax, position, name, shown)
    ax.set_yticks(positions, [f"{name} (noise)" if name in NOISE else name for name in shown.names])
    ax.axvline(0, color="black", lw=0.8)
    ax.set(xlim=shown.x_limits, xlabel=shown.importance.unit.replace("_", " "))
    ax.grid(axis="y", visible=False)
    ax.legend(handles=_legend(), loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize=7.5, frameon=False, borderpad=0)


def _draw_bar(ax: Axes, position: int, name: str, shown: Shown) -> None:
    """One feature: its mean, the interval around it, and every repeat."""
    j = shown.importance.names.index(name)
    samples = shown.importance.samples[j, : shown.repeats]
    colour = plots.ANCHOR if "height" in name else plots.CONTEXT
    ax.barh(position, samples.mean(), color=colour, height=0.62, hatch="////" if name in NOISE else None, edgecolor="white")
    half = 1.96 * shown.importance.std_errors[j]
    ax.plot([samples.mean() - half, samples.mean() + half], [position, position], color=plots.TRUTH, lw=2)
    ax.plot(samples, np.full(len(samples), position), "o", ms=3.2, mfc="none", mec=plots.POSITIVE, mew=0.8)


def _legend() -> list[Artist]:
    return [
        Patch(color=plots.ANCHOR, label="heights"),
        Line2D([], [], color=plots.TRUTH, lw=2, label="95 % by rows"),
        Line2D([], [], ls="", marker="o", ms=3.2, mfc="none", mec=plots.POSITIVE, label="one repeat"),
    ]


def _verdict(reading: Reading, prediction: str | None) -> str:
    """Before the slider is at 1 only a reminder; there, the bars on screen beside those of correlation 0."""
    shown: Shown = reading.data
    if shown.correlation < 1:
        noted = "Skipped." if prediction is None else f"Noted: '{prediction}'."
        return f"{noted} The answer appears when the correlation is 1: move the slider there."
    before, after = (_mean(result, "height_cm", shown.repeats) for result in (shown.at_zero, shown.importance))
    pair = [_mean(result, PAIR, shown.repeats) for result in (shown.at_zero, shown.importance)]
    return (
        f"{_opening(shown, after - before, prediction)}: from correlation 0 to 1, height_cm alone goes from {before:.3f} to "
        f"{after:.3f}, both heights together from {pair[0]:.3f} to {pair[1]:.3f}. At 1 the forest splits on either column, and "
        "shuffling one leaves it the other."
    )


def _opening(shown: Shown, change: float, prediction: str | None) -> str:
    """Right or not, or undecided where the change is within the standard errors of both ends."""
    j = shown.importance.names.index("height_cm")
    if abs(change) < 1.96 * np.hypot(shown.importance.std_errors[j], shown.at_zero.std_errors[j]):
        return f"Undecided, since {ROWS} rows are too few under this metric"
    if prediction is None:
        return "Skipped"
    return "You were right" if prediction == ("it rises" if change > 0 else "it falls") else "You expected otherwise"


LABS = [shuffle_lab]
