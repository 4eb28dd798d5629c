"""The lab of chapter 2: what repeats, metric, data, grouping and correlation do to permutation importance.

The lab's bank is the world ``loans`` with one change: of the two heights only ``height_cm`` matters, three times as much as both
do there, and ``height_in`` follows it with the correlation you choose. A forest is fitted for each correlation when the lab
is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase
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
    measured()
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
    """What the picture needs: the bars of one setting, the axis they share with other settings, and both ends of the slider."""

    importance: Importance
    names: list[str]
    repeats: int
    x_limits: tuple[float, float]
    at_zero: Importance
    at_one: Importance


@cache
def measured() -> dict[tuple[float, str, str], Importance]:
    """Importance for every correlation, data set and metric, with the most repeats: (correlation, data, metric) -> result."""
    results = {}
    for correlation in CORRELATIONS:
        world = bank(correlation)
        forest = clone(tabular("loans-forest")).set_params(
            randomforestclassifier__n_estimators=TREES, randomforestclassifier__min_samples_leaf=3
        )
        predict = predictor(forest.fit(*world.train))
        for data, (X, y) in zip(DATA, (world.test, world.train), strict=True):
            for metric, result in _importances(predict, X[:ROWS], y[:ROWS]).items():
                results[correlation, data, metric] = result
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
    importance = measured()[correlation, data, name]
    hidden = set(HEIGHTS) if grouped else {PAIR}
    names = [n for n in [*FEATURES[:4], PAIR, *FEATURES[4:]] if n not in hidden]
    ends = [measured()[end, data, name] for end in (0.0, 1.0)]
    shown = Shown(importance, names, repeats, _x_limits(name), *ends)
    numbers = {n: _mean(importance, n, repeats) for n in names if n in {*HEIGHTS, PAIR, "customer_number"}}
    spread = importance.samples[importance.names.index(PAIR if grouped else "height_cm"), :repeats].std()
    untouched = {f"untouched model's {metric}": importance.baseline}
    return Reading({**numbers, "spread over repeats (height)": float(spread), **untouched}, shown)


def _mean(importance: Importance, name: str, repeats: int = MAX_REPEATS) -> float:
    return float(importance.samples[importance.names.index(name), :repeats].mean())


@cache
def _x_limits(metric: str) -> tuple[float, float]:
    """One axis for all settings of a metric, so that bars of different settings compare."""
    samples = np.concatenate([result.samples.ravel() for (_, _, m), result in measured().items() if m == metric])
    return 1.05 * samples.min(), 1.05 * samples.max()


def _draw(reading: Reading, figure: FigureBase) -> None:
    """Bars are means, rings are single repeats; heights dark, noise hatched."""
    shown: Shown = reading.data
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and bars do not jump when labels change
    # a panel of the film strip is narrower and has a heading
    ax = figure.add_axes((0.27, 0.14, 0.70, 0.83) if isinstance(figure, Figure) else (0.37, 0.14, 0.60, 0.70))
    positions = np.arange(len(shown.names))[::-1]
    for position, name in zip(positions, shown.names, strict=True):
        samples = shown.importance.samples[shown.importance.names.index(name), : shown.repeats]
        colour = plots.ANCHOR if "height" in name else plots.CONTEXT
        ax.barh(position, samples.mean(), color=colour, height=0.62, hatch="////" if name in NOISE else None, edgecolor="white")
        ax.plot(samples, np.full(len(samples), position), "o", ms=3.2, mfc="none", mec=plots.POSITIVE, mew=0.8)
    ax.set_yticks(positions, shown.names)
    ax.axvline(0, color="black", lw=0.8)
    ax.set(xlim=shown.x_limits, xlabel=shown.importance.unit.replace("_", " "))
    ax.grid(axis="y", visible=False)


def _verdict(reading: Reading, prediction: str | None) -> str:
    """The stored numbers at both ends of the correlation slider, for the metric and data on screen."""
    shown: Shown = reading.data
    alone, pair = ([_mean(end, name) for end in (shown.at_zero, shown.at_one)] for name in ("height_cm", PAIR))
    measured_word = "it falls" if alone[1] < alone[0] else "it rises"
    opening = {None: "Skipped", measured_word: "You were right"}.get(prediction, "You expected otherwise")
    return (
        f"{opening}: from correlation 0 to 1, height_cm alone goes from {alone[0]:.3f} to {alone[1]:.3f}, both heights together "
        f"from {pair[0]:.3f} to {pair[1]:.3f}. At 1 the forest splits on either column, and shuffling one leaves it the other."
    )


LABS = [shuffle_lab]
