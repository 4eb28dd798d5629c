"""The lab of chapter 7: a loan officer's desk, where limits are set and the nearest ways to a yes are read off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import counterfactuals, plots, predictor, worlds, zoo
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch

#: row numbers of denied applicants in the world, by the name on their file
APPLICANTS = {"Mara": 5149, "Jon": 5381, "Edith": 5677}
FEATURES = ("annual_income_keur", "loan_amount_keur", "open_loans", "employment", "credit_age_years")
LABELS = ("income", "loan", "open loans", "employment", "credit age")
#: what the debt ratio loses with each open loan that is paid back, in this world
RATIO_OF_A_LOAN = 0.1
INCOME_STEP_KEUR, MAX_RAISE_KEUR = 1, 30
SMALLEST_LOAN_PERCENT = 20
MAX_PAID_BACK = 3
EMPLOYMENTS = ("permanent", "fixed-term", "self-employed", "civil servant")
#: an option in which a feature differs by less counts as doing the same there
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class _File:
    """An applicant and every combination of changes on the desk, scored once."""

    before: np.ndarray
    values: np.ndarray
    cost: np.ndarray
    score: np.ndarray
    truth: np.ndarray
    score_before: float


def desk_lab() -> Playground:
    """Limits on income, loan and employment, a margin below the threshold, and how many alternatives are asked for."""
    controls = {
        "applicant": choice("applicant", list(APPLICANTS)),
        "raise_keur": slider("raise up to (keur)", 0, MAX_RAISE_KEUR, 15, INCOME_STEP_KEUR),
        "loan_percent": slider("loan from (% of wish)", SMALLEST_LOAN_PERCENT, 100, 50, 10),
        "margin": slider("safety margin", 0.0, 0.2, 0.0, 0.02),
        "alternatives": slider("alternatives", 1, 4, 2),
        "lock_employment": switch("employment stays", True),
        "no_waiting": switch("no waiting for credit age", True),
    }
    question = "Leave Mara's income where it is (raise up to 0) and her employment. What is left, with half of the loan?"
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[
            {"no_waiting": False},
            {},
            {"raise_keur": 0},
            {"applicant": "Jon", "alternatives": 3},
            {"margin": 0.1},
        ],
        title="The loan officer's desk",
        predict=Prediction(question, ["ask for less", "wait for an older credit record", "nothing"]),
        verdict=_verdict,
        size=(6.6, 3.7),
    )


LABS = [desk_lab]


def _compute(
    applicant: str, raise_keur: int, loan_percent: int, margin: float, alternatives: int, lock_employment: bool, no_waiting: bool
) -> Reading:
    """The nearest allowed rows of the applicant's file, none of which does all that another one does and more."""
    file = _file(applicant)
    income, loan, _, employment, past = range(len(FEATURES))
    v, x = file.values, file.before
    allowed = (v[:, income] <= x[income] + raise_keur + _SAME) & (v[:, loan] >= loan_percent / 100 * x[loan] - _SAME)
    if lock_employment:
        allowed &= v[:, employment] == x[employment]
    if no_waiting:
        allowed &= v[:, past] == x[past]
    valid = np.flatnonzero(allowed & (file.score <= 0.5 - margin))
    chosen = _options(file, valid, alternatives)
    numbers: dict[str, float | int | str] = {
        "risk now, by the model": round(file.score_before, 3),
        "allowed rows looked at": int(allowed.sum()),
        "of them approved": len(valid),
    }
    for i, k in enumerate(chosen):
        changes = ", ".join(_change(x, v[k], j) for j in _moved(x, v[k]))
        numbers[f"option {i + 1}"] = (
            f"{changes}; distance {file.cost[k]:.2f}, model {file.score[k]:.2f}, truth {file.truth[k]:.2f}"
        )
    if not chosen:
        numbers["option 1"] = "none on this desk"
    return Reading(numbers, (file, chosen, raise_keur, loan_percent, alternatives, margin))


def _options(file: _File, valid: np.ndarray, n: int) -> list[int]:
    """Cheapest first; a row beyond one already chosen in every feature is no alternative."""
    chosen: list[int] = []
    left = valid[np.argsort(file.cost[valid], kind="stable")]
    while len(left) and len(chosen) < n:
        best = file.values[left[0]]
        chosen.append(int(left[0]))
        others = file.values[left]
        ordered = (file.before <= best) & (best <= others) | (others <= best) & (best <= file.before)
        ordered[:, FEATURES.index("employment")] = (others == best)[:, FEATURES.index("employment")] | bool(
            best[FEATURES.index("employment")] == file.before[FEATURES.index("employment")]
        )
        left = left[~ordered.all(axis=1)]
    return chosen


def _verdict(reading: Reading, prediction: str | None) -> str:
    with_limits = _compute("Mara", 0, 50, 0.0, 1, lock_employment=True, no_waiting=True).numbers
    free_past = _compute("Mara", 0, 50, 0.0, 1, lock_employment=True, no_waiting=False).numbers
    way = str(with_limits["option 1"])
    found = "ask for less" if way.startswith("loan") else "nothing" if way.startswith("none") else "another way"
    measured = f"With these limits: {way}. Could she wait for an older record: {free_past['option 1']}."
    if prediction is None:
        return measured
    return f"{measured} You said {prediction}: {'as measured.' if prediction == found else 'not what the desk says.'}"


@cache
def _file(applicant: str) -> _File:
    world = worlds.loans()
    x = world.X.loc[[APPLICANTS[applicant]]]
    predict = predictor(zoo.load("loans-boosting"))
    values = np.array(list(product(*_values(x))))
    rows = pd.concat([x] * len(values), ignore_index=True)
    numbers = [f for f in FEATURES if f != "employment"]
    for f in numbers:
        rows[f] = values[:, FEATURES.index(f)]
    paid = float(x["open_loans"].iloc[0]) - values[:, FEATURES.index("open_loans")]
    rows["open_loans"] = rows["open_loans"].astype(x["open_loans"].dtype)
    rows["debt_to_income"] = np.round(rows["debt_to_income"] - RATIO_OF_A_LOAN * paid, 2)
    codes = values[:, FEATURES.index("employment")].astype(int)
    rows["employment"] = pd.Categorical.from_codes(codes, dtype=world.X["employment"].dtype)
    scale = counterfactuals.mad_scale(world.train[0]).loc[list(FEATURES), "scale"].to_numpy()
    before = _codes(x)
    moves = np.abs(values - before)
    moves[:, FEATURES.index("employment")] = codes != before[FEATURES.index("employment")]
    cost = (moves / scale).sum(axis=1)
    return _File(before, values, cost, predict(rows), world.truth.predict(rows), float(predict(x)[0]))


def _codes(x: pd.DataFrame) -> np.ndarray:
    return np.array([EMPLOYMENTS.index(x[f].iloc[0]) if f == "employment" else float(x[f].iloc[0]) for f in FEATURES])


def _values(x: pd.DataFrame) -> list[np.ndarray]:
    """Raises by the thousand, loans by the tenth, other loans paid back, posts, more years of record."""
    income, loan, debts, _, past = _codes(x)
    return [
        np.round(income + np.arange(0, MAX_RAISE_KEUR + 1, INCOME_STEP_KEUR), 1),
        np.round(loan * np.arange(SMALLEST_LOAN_PERCENT, 101, 10) / 100, 1),
        debts - np.arange(min(debts, MAX_PAID_BACK) + 1),
        np.arange(len(EMPLOYMENTS), dtype=float),
        np.round(past + np.array([0.0, 0.5, 1.0, 3.0]), 1),
    ]


def _moved(before: np.ndarray, after: np.ndarray) -> list[int]:
    return [j for j in range(len(FEATURES)) if abs(after[j] - before[j]) > _SAME]


def _change(before: np.ndarray, after: np.ndarray, j: int) -> str:
    if FEATURES[j] == "employment":
        return f"{LABELS[j]} {EMPLOYMENTS[int(before[j])]} → {EMPLOYMENTS[int(after[j])]}"
    return f"{LABELS[j]} {before[j]:g} → {after[j]:g}"


def _draw(reading: Reading, figure: FigureBase) -> None:
    file, chosen, raise_keur, loan_percent, alternatives, margin = reading.data
    height = 0.66
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and the axes do not jump
        height = 0.74
    left, right = figure.add_axes((0.23, 0.15, 0.4, height)), figure.add_axes((0.76, 0.15, 0.22, height))
    _draw_changes(file, chosen, raise_keur, loan_percent, left)
    left.set_title(f"{alternatives} asked for, {len(chosen)} found")
    _draw_risks(file, chosen, margin, right)


def _draw_changes(file: _File, chosen: list[int], raise_keur: int, loan_percent: int, ax: Axes) -> None:
    """Change of each feature in per cent of what it is now; the pale bands are the limits on the desk."""
    x = file.before
    ax.barh(0, 100 * raise_keur / x[0], color=plots.CONTEXT, alpha=0.35, height=0.8, lw=0)
    ax.barh(1, loan_percent - 100, color=plots.CONTEXT, alpha=0.35, height=0.8, lw=0)
    debts = file.values[:, 2]
    if x[2]:
        ax.barh(2, 100 * (debts.min() / x[2] - 1), color=plots.CONTEXT, alpha=0.35, height=0.8, lw=0)
    for i, k in enumerate(chosen):
        for j in _moved(x, file.values[k]):
            place = j + 0.22 * (i - (len(chosen) - 1) / 2)
            category = FEATURES[j] == "employment"
            size = 0.0 if category else 100 * (file.values[k, j] / x[j] - 1)
            ax.plot([0, size], [place, place], color=plots.ANCHOR, lw=1.5)
            ax.plot(size, place, "D" if category else (">" if size > 0 else "<"), color=plots.ANCHOR, ms=4)
            ax.annotate(
                f"{i + 1}", (size, place), (6 if size >= 0 else -11, 0), textcoords="offset points", va="center", fontsize=8
            )
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(LABELS)), LABELS, fontsize=8)
    ax.set(xlim=(-100, 110), ylim=(len(LABELS) - 0.4, -0.6), xlabel="change (%); diamond: another kind")


def _draw_risks(file: _File, chosen: list[int], margin: float, ax: Axes) -> None:
    """Risk by the model and true risk, now and for every option; below the line the bank says yes."""
    places = np.arange(len(chosen) + 1)
    now = np.flatnonzero((file.values == file.before).all(axis=1))[0]
    rows = [int(now), *chosen]
    ax.bar(places, file.score[rows], color=plots.CONTEXT, width=0.6, label="model")
    ax.plot(places, file.truth[rows], "D", color=plots.TRUTH, ms=6, mec="black", mew=0.6, label="truth")
    ax.axhline(0.5 - margin, color=plots.POSITIVE, lw=1.5, ls="--")
    ax.set_xticks(places, ["now", *map(str, range(1, len(chosen) + 1))])
    ax.set(ylim=(0, 1), xlim=(-0.6, max(len(chosen), 2) + 0.6), ylabel="risk of default")
    ax.legend(loc="upper right", fontsize=7, ncols=2, columnspacing=0.8, handletextpad=0.3)
