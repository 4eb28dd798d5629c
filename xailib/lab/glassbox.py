"""The lab of chapter 1: take a fitted Explainable Boosting Machine, redraw one of its curves, and see who is hit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from scipy.special import expit
from sklearn.metrics import log_loss

from xailib import glassbox, plots, worlds
from xailib.evaluation import mean_interval
from xailib.glassbox import AdditiveModel
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch

FEATURES = ("annual_income_keur", "credit_age_years", "debt_to_income")
UNITS = {"annual_income_keur": "income (keur)", "credit_age_years": "credit age (years)", "debt_to_income": "debt to income"}
#: the three applicants: nearest to this probability of default (more than one half is denied) with an income in this range
CHOSEN_NEAR = ((0.42, 18, 30), (0.46, 40, 60), (0.56, 25, 60))
APPLICANTS = ("applicant 1", "applicant 2", "applicant 3")
SETTINGS = {"outer_bags": 4, "interactions": 3, "learning_rate": 0.04, "max_bins": 128, "max_interaction_bins": 16}
#: for lines that are not in focus, dark enough on white
PALE = "#6f6f6f"
#: a change of accuracy below this many points is called none
NOTICEABLE_POINTS = 1.0
OPTIONS = ("it falls by more than a point", "it moves by less than a point", "it rises by more than a point")


@dataclass(frozen=True, eq=False)
class Bank:
    """The fitted model as it was, the rows it is judged on, and its curves at the values that occur."""

    model: AdditiveModel
    X_train: pd.DataFrame
    X: pd.DataFrame
    y: np.ndarray
    score: np.ndarray
    applicants: np.ndarray
    curves: dict[str, Any]


def shape_lab() -> Playground:
    """Which curve, from where to where, how much to add, flat or not, and whose decision to watch."""
    controls = {
        "feature": choice("curve", FEATURES),
        "start": slider("from (% below)", 0, 90, 0, 5),
        "stop": slider("to (% below)", 10, 100, 30, 5),
        "add": slider("add", -2.0, 2.0, 0.5, 0.25),
        "flatten": switch("flatten first"),
        "who": choice("watch", APPLICANTS),
    }
    question = (
        "The bank adds 0.5 to the log-odds of default of its poorest 30 %: their odds rise by two thirds. "
        "What happens to the accuracy on 2,000 held-out applicants?"
    )
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[
            {"add": 0.0},
            {"add": 0.5},
            {"add": 0.0, "flatten": True, "stop": 100},
            {"feature": FEATURES[1], "add": 1.0},
            {"feature": FEATURES[2], "add": -1.0, "start": 60, "stop": 100},
        ],
        title="Redraw a curve",
        predict=Prediction(question, OPTIONS),
        verdict=_verdict,
        size=(6.4, 3.7),
    )


LABS = [shape_lab]


def _compute(feature: str, start: int, stop: int, add: float, flatten: bool, who: str) -> Reading:
    """Accuracy with its paired interval, decisions won and lost, and the applicants' probabilities, before and after."""
    fitted = bank()
    ends = tuple(np.quantile(fitted.X_train[feature], sorted((start / 100, stop / 100))))
    edited = glassbox.edit_shape(fitted.model, feature, ends, add=add, flatten=flatten)
    score = edited.score(fitted.X)
    right_before, right = ((s > 0) == fitted.y for s in (fitted.score, score))
    points, low, high = mean_interval(100 * (right.astype(float) - right_before))
    n_lost, n_won = int((right_before & ~right).sum()), int((right & ~right_before).sum())
    losses = [log_loss(fitted.y, expit(s)) for s in (fitted.score, score)]
    risks = expit([fitted.score[fitted.applicants], score[fitted.applicants]])
    numbers: dict[str, float | int | str] = {
        "accuracy": f"{right.mean():.1%}, change {points:+.2f} ({low:+.2f} to {high:+.2f}) points",
        "decisions turned": f"{n_lost + n_won} ({n_lost} now wrong, {n_won} now right)",
        "risks": f"{_listed(risks[1])} (were {_listed(risks[0])})",
        "edited": f"{UNITS[feature]} {ends[0]:g} to {ends[1]:g}",
        "held-out log loss": f"{losses[1]:.3f} (was {losses[0]:.3f})",
    }
    return Reading(numbers, (feature, ends, _curve(edited, feature), score, who, points))


def _listed(risks: np.ndarray) -> str:
    return ", ".join(f"{p:.2f}" for p in risks)


def _verdict(reading: Reading, prediction: str | None) -> str:
    points = reading.data[-1]
    found = OPTIONS[1] if abs(points) < NOTICEABLE_POINTS else OPTIONS[0] if points < 0 else OPTIONS[2]
    measured = (
        f"Measured at the present settings: {points:+.2f} points, so {found}; decisions turned: "
        f"{reading.numbers['decisions turned']}. Wrong turns and right turns cancel in the accuracy; the people in them do not."
    )
    if prediction is None:
        return measured
    return f"{measured} You said: {prediction}. {'As predicted.' if prediction == found else 'Not what happened here.'}"


@cache
def bank() -> Bank:
    """The chapter's machine, fitted once per process: the same settings, rows and seed."""
    from interpret.glassbox import ExplainableBoostingClassifier

    world = worlds.loans()
    (X_train, y_train), (X, y) = world.train, world.test
    ebm = ExplainableBoostingClassifier(n_jobs=1, random_state=0, **SETTINGS).fit(X_train, y_train)
    model = glassbox.read_ebm(ebm)
    score = model.score(X)
    income = X["annual_income_keur"].to_numpy()
    far = [np.where((low <= income) & (income <= high), np.abs(expit(score) - p), 1) for p, low, high in CHOSEN_NEAR]
    applicants = np.argmin(far, axis=1)
    shapes = glassbox.shape_functions(model, X_train)
    curves = {feature: shapes[feature] for feature in FEATURES}
    return Bank(model, X_train, X.reset_index(drop=True), y, score, applicants, curves)


@cache
def _probe(feature: str) -> tuple[pd.DataFrame, np.ndarray]:
    """One applicant at every value of a feature, and the score there before any edit."""
    fitted = bank()
    grid = fitted.curves[feature].grid[0]
    rows = fitted.X_train.iloc[[0] * len(grid)].assign(**{feature: grid})
    return rows, fitted.model.score(rows)


def _curve(edited: AdditiveModel, feature: str) -> np.ndarray:
    rows, before = _probe(feature)
    return bank().curves[feature].values + edited.score(rows) - before


def _decision(p: float) -> str:
    return "denied" if p > 0.5 else "approved"


def _draw(reading: Reading, figure: FigureBase) -> None:
    feature, ends, curve, score, who, _ = reading.data
    height = 0.66
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and the axes do not jump
        height = 0.76
    left, right = figure.add_axes((0.11, 0.15, 0.40, height)), figure.add_axes((0.73, 0.15, 0.25, height))
    _draw_curves(feature, ends, curve, left)
    _mark_applicant(feature, curve, who, left)
    _draw_applicants(score, who, right)


def _draw_curves(feature: str, ends: tuple[float, float], curve: np.ndarray, ax: Axes) -> None:
    effect = bank().curves[feature]
    ax.axvspan(*ends, color=plots.TRUTH, alpha=0.25, lw=0, label="edited range")
    ax.plot(effect.grid[0], effect.values, "--", color=PALE, lw=2, label="as learned")
    ax.plot(effect.grid[0], curve, color=plots.ANCHOR, lw=2, label="after the edit")
    plots.rug(effect.data[0], ax)
    ax.set(xlabel=UNITS[feature], ylabel="adds to the log-odds of default", title="The curve")
    ax.set_xlim(np.quantile(effect.grid[0], 0), np.quantile(effect.data[0], 0.995))
    ax.set_ylim(-3.6, 4.0)


def _mark_applicant(feature: str, curve: np.ndarray, who: str, ax: Axes) -> None:
    """Where the watched applicant stands on the curve."""
    fitted, grid = bank(), bank().curves[feature].grid[0]
    value = float(fitted.X[feature].iloc[fitted.applicants[APPLICANTS.index(who)]])
    place = np.abs(grid - value).argmin()
    ax.plot(value, curve[place], "D", color=plots.ANCHOR, mec="white", ms=8, label=who)
    ax.legend(loc="upper right", fontsize=7.5, labelspacing=0.2)


def _draw_applicants(score: np.ndarray, who: str, ax: Axes) -> None:
    fitted = bank()
    for k, (name, row) in enumerate(zip(APPLICANTS, fitted.applicants, strict=True)):
        before, after = expit(fitted.score[row]), expit(score[row])
        colour = plots.ANCHOR if name == who else PALE
        ax.plot([before, after], [k, k], color=colour, lw=2)
        ax.plot(before, k, "o", color="white", mec=colour, mew=1.5, ms=7, label="before" if k == 0 else None)
        ax.plot(after, k, "D", color=colour, ms=7, label="after" if k == 0 else None)
    ax.axvline(0.5, color=plots.POSITIVE, lw=1, label="denied beyond", zorder=1.5)
    names = [f"{k + 1}: {_decision(p)}" for k, p in enumerate(expit(score[fitted.applicants]))]
    ax.set(xlim=(0, 1), ylim=(-1.5, 2.6), yticks=range(3), yticklabels=names, xlabel="probability of default")
    ax.tick_params("y", labelsize=7.5)
    ax.set_title("The people")
    ax.legend(loc="lower right", fontsize=7, borderpad=0.2, labelspacing=0.3)
