"""Labs of chapter 0: the chooser, and how explanations are graded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import FigureBase

from xailib import methods, plots, worlds, zoo
from xailib.evaluation import mean_interval, rank_agreement, resampling_effects
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch
from xailib.models import predictor

EXPLANATIONS = ("swap to typical", "average bars", "a stranger's", "random")
MODELS = ("the rule itself", "the trained model")
CUSTOMERS, DONORS = 200, 25


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
                (methods.QUESTIONS[0], "images", methods.ACCESS[1]),
                (methods.QUESTIONS[1], "a table", methods.ACCESS[0]),
                (methods.QUESTIONS[3], "token sequences", methods.ACCESS[1]),
                (methods.QUESTIONS[4], "images", methods.ACCESS[2]),
            )
        ],
        title="Which method answers my question?",
        size=(6.2, 4.6),
    )


def _compute_choice(question: str, data: str, access: str) -> Reading:
    found = methods.choose(question, data, access)
    numbers: dict[str, float | int | str] = {"methods (chapter)": methods.chapters_of(found)}
    for card in found[:4]:
        numbers[card.name] = f"costs {card.cost}; fails: {card.fails}"
    return Reading(numbers, found)


def _draw_choice(reading: Reading, figure: FigureBase) -> None:
    """All methods in two columns; those that fit stand out by weight, colour and a mark."""
    ax = figure.subplots()
    ax.set_axis_off()
    half = (len(methods.CARDS) + 1) // 2
    for k, card in enumerate(methods.CARDS):
        fits = card in reading.data
        style: dict[str, Any] = {"color": plots.ANCHOR, "weight": "bold"} if fits else {"color": "#767676"}
        mark = "> " if fits else "   "
        ax.text(k // half, -(k % half), f"{mark}{card.chapter}  {card.name}", va="top", fontsize="small", **style)
    ax.set_title(f"{len(reading.data)} of {len(methods.CARDS)} methods answer this")
    ax.set(xlim=(0, 2), ylim=(-half, 0.4))


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
            {"signed": False, "explanation": "average bars"},
            {"signed": False, "explanation": "average bars", "customers": CUSTOMERS},
            {"signed": False, "explanation": "average bars", "customers": CUSTOMERS, "model": MODELS[1]},
        ],
        title="How we grade",
        predict=Prediction(
            "Untick 'signs count', so that only the order of sizes is graded. Which of the four will score best then?",
            EXPLANATIONS,
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
    """Explain a model in four ways and compare each with the model's own truth."""
    world = worlds.loans()
    X = world.test[0].reset_index(drop=True)
    customers, donors = X.iloc[:CUSTOMERS], X.iloc[CUSTOMERS : CUSTOMERS + DONORS]
    score = world.truth.log_odds if model == MODELS[0] else predictor(zoo.load("loans-boosting"), "log_odds")
    truth = resampling_effects(score, customers, donors)
    made = explanations(score, customers, typical_customer(X), truth)
    return Graded(*({n: rank_agreement(e, truth, signed=s) for n, e in made.items()} for s in (True, False)))


def typical_customer(X: pd.DataFrame) -> pd.DataFrame:
    """One row: the median of every number, the most frequent level of every category."""
    row = X.iloc[[0]].copy()
    for name in X.columns:
        category = isinstance(X[name].dtype, pd.CategoricalDtype)
        row[name] = pd.Series([X[name].mode()[0] if category else X[name].median()], index=row.index).astype(X[name].dtype)
    return row


def explanations(
    score: Callable[[pd.DataFrame], np.ndarray], customers: pd.DataFrame, typical: pd.DataFrame, truth: np.ndarray
) -> dict[str, np.ndarray]:
    """Four explanations of the same predictions: one honest shortcut, and three that no one should believe."""
    shape = truth.shape
    return {
        "swap to typical": resampling_effects(score, customers, typical),
        "average bars": np.broadcast_to(np.abs(truth).mean(axis=0), shape).copy(),
        "a stranger's": np.roll(truth, 1, axis=0),
        "random": np.random.default_rng(0).normal(size=shape),
    }


def _compute_grade(graded: dict[str, Graded], model: str, explanation: str, signed: bool, customers: int) -> Reading:
    table = graded[model].signed if signed else graded[model].unsigned
    scores = {name: mean_interval(values[:customers]) for name, values in table.items()}
    mean, low, high = scores[explanation]
    ahead = (
        mean_interval((table[explanation] - table["a stranger's"])[:customers]) if explanation != "a stranger's" else (0.0,) * 3
    )
    numbers: dict[str, float | int | str] = {
        "agreement with the truth": f"{mean:.2f} ({low:.2f} to {high:.2f})",
        "ahead of a stranger's, paired": f"{ahead[0]:+.2f} ({ahead[1]:+.2f} to {ahead[2]:+.2f})",
        "best": max(scores, key=lambda name: scores[name][0]),
    }
    return Reading(numbers, (scores, explanation, signed, customers))


def _draw_grade(reading: Reading, figure: FigureBase) -> None:
    """One dot with its interval for each explanation."""
    scores, chosen, signed, customers = reading.data
    ax = figure.subplots()
    for row, (name, (mean, low, high)) in enumerate(scores.items()):
        colour = plots.ANCHOR if name == chosen else plots.CONTEXT
        ax.errorbar(mean, -row, xerr=[[mean - low], [high - mean]], fmt="o", color=colour, capsize=4, ms=8)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(0, -len(scores), -1), list(scores))
    ax.set(xlim=(-0.6, 1.05), ylim=(-len(scores) + 0.5, 0.5), xlabel="rank agreement with the truth")
    ax.set_title(f"{'Signs count' if signed else 'Sizes only'}, {customers} customers")


def _verdict(reading: Reading, prediction: str | None) -> str:
    """Only the unsigned ranking answers the question asked."""
    scores, _, signed, _ = reading.data
    if signed:
        return "Untick 'signs count' first: the question is about sizes alone."
    best = max(scores, key=lambda name: scores[name][0])
    opening = f"Best now: {best}, {scores[best][0]:.2f}; the honest swap has {scores['swap to typical'][0]:.2f}"
    if prediction is None:
        return f"{opening}. A score that forgets signs rewards a list that is the same for everyone."
    return f"{opening}. You predicted {prediction}: {'right' if prediction == best else 'not this time'}."


LABS = [chooser, grading_lab]
