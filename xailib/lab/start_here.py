"""Labs of chapter 0: the chooser, and how explanations are graded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import FigureBase

from xailib import methods, plots, worlds, zoo
from xailib.evaluation import mean_interval, rank_agreement, resampling_effects
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch
from xailib.models import predictor

EXPLANATIONS = ("swap, five others", "swap, typical", "average bars", "a stranger's", "random")
MODELS = ("the rule itself", "the trained model")
CUSTOMERS, DONORS, FEW = 200, 25, 5
LOST = ("nearly all of it", "about half", "nearly none")


def chooser() -> Playground:
    """Which method for which question: compiled from the method cards."""
    return Playground(
        _compute_choice,
        _draw_choice,
        {
            "question": choice("I ask", methods.QUESTIONS),
            "data": choice("about", methods.DATA, "images"),
            "access": choice("and may use", methods.ACCESS, methods.ACCESS[1]),
        },
        filmstrip=[
            {"question": q, "data": d, "access": a}
            for q, d, a in (
                (methods.QUESTIONS[0], "a table", methods.ACCESS[0]),
                (methods.QUESTIONS[0], "text", methods.ACCESS[1]),
                (methods.QUESTIONS[1], "a table", methods.ACCESS[0]),
                (methods.QUESTIONS[2], "a table", methods.ACCESS[0]),
                (methods.QUESTIONS[4], "images", methods.ACCESS[2]),
            )
        ],
        title="Which method answers my question?",
        size=(6.2, 4.0),
    )


def _compute_choice(question: str, data: str, access: str) -> Reading:
    found = methods.choose(question, data, access)
    return Reading({"methods (chapter)": methods.chapters_of(found)}, found)


def _draw_choice(reading: Reading, figure: FigureBase) -> None:
    """The cards that fit: name, cost, and how the method fails."""
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(-6, 0))
    for k, card in enumerate(reading.data):
        ax.text(0.0, -1.15 * k, f"{card.chapter}  {card.name}", va="top", weight="bold", color=plots.ANCHOR)
        text = f"costs {card.cost}\n{fill('fails: ' + card.fails, 62)}"
        ax.text(0.05, -1.15 * k - 0.28, text, va="top", fontsize="small", linespacing=1.25)
    if not reading.data:
        ax.text(0.0, -0.3, "No method of this course. Ask for more access,\nor ask another question.", va="top")


def grading_lab() -> Playground:
    """Grade five explanations of loan decisions: against the planted rule, against a trained model, with and without signs."""
    graded = {name: _grade(name) for name in MODELS}
    return Playground(
        lambda **settings: _compute_grade(graded, **settings),
        _draw_grade,
        {
            "model": choice("explain", MODELS),
            "explanation": choice("graded", EXPLANATIONS),
            "signed": switch("signs count", True),
            "customers": slider("customers", 10, CUSTOMERS, 50, 10),
        },
        filmstrip=[
            {"signed": True},
            {"signed": False},
            {"signed": True, "customers": 10},
            {"signed": False, "customers": 10},
            {"signed": False, "customers": CUSTOMERS, "model": MODELS[1]},
        ],
        title="How we grade",
        predict=Prediction(
            "'Swap, five others' leads 'average bars', which say the same about everybody. How much of this lead is lost when "
            "you untick 'signs count', so that only sizes are graded?",
            LOST,
        ),
        verdict=_verdict,
        size=(6.2, 4.4),
    )


@dataclass(frozen=True)
class Graded:
    """Scores of every explanation of one model: name -> (customers,), with signs and without."""

    signed: dict[str, np.ndarray]
    unsigned: dict[str, np.ndarray]


def _grade(model: str) -> Graded:
    """Explain a model in five ways and compare each with the model's own truth."""
    world = worlds.loans()
    X = world.test[0].reset_index(drop=True)
    customers, donors = X.iloc[:CUSTOMERS], X.iloc[CUSTOMERS : CUSTOMERS + DONORS]
    score = world.truth.log_odds if model == MODELS[0] else predictor(zoo.load("loans-boosting"), "log_odds")
    truth = resampling_effects(score, customers, donors)
    made = explanations(score, customers, few=X.iloc[300 : 300 + FEW], typical=typical_customer(X))
    return Graded(*({n: rank_agreement(e, truth, signed=s) for n, e in made.items()} for s in (True, False)))


def typical_customer(X: pd.DataFrame) -> pd.DataFrame:
    """One row: the median of every number, the most frequent level of every category."""
    row = X.iloc[[0]].copy()
    for name in X.columns:
        category = isinstance(X[name].dtype, pd.CategoricalDtype)
        row[name] = pd.Series([X[name].mode()[0] if category else X[name].median()], index=row.index).astype(X[name].dtype)
    return row


def explanations(
    score: Callable[[pd.DataFrame], np.ndarray], customers: pd.DataFrame, *, few: pd.DataFrame, typical: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Five explanations of the same predictions: two honest estimates, and three that cannot be right about a customer."""
    honest = resampling_effects(score, customers, few)
    return {
        "swap, five others": honest,
        "swap, typical": resampling_effects(score, customers, typical),
        "average bars": np.broadcast_to(np.abs(honest).mean(axis=0), honest.shape).copy(),
        "a stranger's": np.roll(honest, 1, axis=0),
        "random": np.random.default_rng(0).normal(size=honest.shape),
    }


def _compute_grade(graded: dict[str, Graded], model: str, explanation: str, signed: bool, customers: int) -> Reading:
    tables = {True: graded[model].signed, False: graded[model].unsigned}
    scores = {name: mean_interval(values[:customers]) for name, values in tables[signed].items()}
    lead = {s: float((t[EXPLANATIONS[0]] - t["average bars"])[:customers].mean()) for s, t in tables.items()}
    stranger = tables[signed]["a stranger's"][:customers]
    numbers: dict[str, float | int | str] = {
        "agreement with the truth": "{:.2f} ({:.2f} to {:.2f})".format(*scores[explanation]),
        "ahead of a stranger's, paired": "{:+.2f} ({:+.2f} to {:+.2f})".format(
            *mean_interval(tables[signed][explanation][:customers] - stranger)
        ),
        "lead of five others over average bars": round(lead[signed], 2),
    }
    return Reading(numbers, (scores, explanation, signed, customers, lead))


def _draw_grade(reading: Reading, figure: FigureBase) -> None:
    """One dot with its interval for each explanation."""
    scores, chosen, signed, customers, _ = reading.data
    ax = figure.subplots()
    for row, (name, (mean, low, high)) in enumerate(scores.items()):
        colour, marker = (plots.ANCHOR, "D") if name == chosen else (plots.CONTEXT, "o")
        ax.errorbar(mean, -row, xerr=[[mean - low], [high - mean]], fmt=marker, color=colour, capsize=4, ms=8)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(0, -len(scores), -1), list(scores))
    ax.set(xlim=(-0.6, 1.05), ylim=(-len(scores) + 0.5, 0.5), xlabel="rank agreement with the truth; bars: 95 % intervals")
    ax.set_title(f"{'Signs count' if signed else 'Sizes only'}, {customers} customers")


def _verdict(reading: Reading, prediction: str | None) -> str:
    """How much of the lead goes when signs no longer count, for the present model and customers."""
    lead = reading.data[-1]
    lost = 1 - lead[False] / lead[True]
    answer = LOST[0] if lost > 0.75 else LOST[1] if lost > 0.25 else LOST[2]
    measured = f"The lead is {lead[True]:.2f} with signs and {lead[False]:.2f} without: {100 * lost:.0f} % of it is lost."
    if prediction is None:
        return f"{measured} A score that forgets signs hardly tells a chart about everybody from one about this customer."
    return f"{measured} You predicted {prediction}: {'right' if prediction == answer else 'not this time'}."


LABS = [chooser, grading_lab]
