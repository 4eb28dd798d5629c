"""The lab of chapter 6: grow a rule for one applicant by hand, and watch its precision, its interval and its coverage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import anchors, plots, worlds
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch
from xailib.results import Anchor

#: the applicant of the chapter, and conditions that hold for her
APPLICANT = 4016
CONDITIONS = {
    "defaults": "prior_defaults >= 2",
    "income": "annual_income_keur <= 31.3",
    "debt": "debt_to_income > 0.45",
    "amount": "loan_amount_keur <= 12.8",
    "region": "region = north",
}
LABELS = ("defaults >= 2", "income <= 31.3", "debt > 0.45", "amount <= 12.8", "region north")
THRESHOLD, TOLERANCE, MAX_DRAWS, N_ROWS = 0.95, 0.05, 1000, 4000
#: the rule that the question is about: defaults and income
ASKED = (True, True, False, False, False)
OPTIONS = {"about 50": (0, 80), "about 150": (80, 280), "about 500": (280, 800), "more than 800": (800, np.inf)}
#: each bound errs with probability 2.5 %
BETA = np.log(2 / 0.05)


@dataclass(frozen=True)
class _Rule:
    """Which of its draws get her label, and the share of applicants under the rule."""

    hits: np.ndarray
    coverage: float

    def precision(self, n: int) -> tuple[float, float, float, int]:
        """Estimate and bounds from the first n draws, and how many there were."""
        seen = self.hits[:n]
        if not len(seen):
            return 0.5, 0.0, 1.0, 0
        low, high = anchors.kl_bounds(seen.mean(), len(seen), BETA)
        return float(seen.mean()), float(low), float(high), len(seen)


def rule_lab() -> Playground:
    """Five conditions to switch on, how many draws to look at, and what a draw is."""
    controls = {name: switch(label, name == "defaults") for name, label in zip(CONDITIONS, LABELS, strict=True)}
    controls |= {
        "draws": slider("draws", 20, MAX_DRAWS, 100, 20),
        "distribution": choice("rows", anchors.DISTRIBUTIONS),
    }
    question = "With defaults and income on: after how many draws does the lower bound stay above 0.90?"
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[
            {},
            {"income": True},
            {"income": True, "draws": 800},
            {"income": True, "debt": True, "draws": 800},
            {"income": True, "debt": True, "draws": 800, "distribution": "data"},
        ],
        title="Grow a rule for Mara",
        predict=Prediction(question, list(OPTIONS)),
        verdict=_verdict,
        size=(6.4, 3.6),
    )


LABS = [rule_lab]


def _compute(draws: int, distribution: str, **switched: bool) -> Reading:
    """Precision of the rule from so many draws, its interval and its coverage."""
    chosen = tuple(bool(switched[name]) for name in CONDITIONS)
    rules = _rules(distribution)
    mean, low, high, n = rules[chosen].precision(draws)
    numbers: dict[str, float | int | str] = {
        "your rule": " AND ".join(t for t, on in zip(CONDITIONS.values(), chosen, strict=True) if on) or "(always)",
        "precision": f"{mean:.3f} ({low:.3f} to {high:.3f}) from {n} draws",
        "coverage": f"{rules[chosen].coverage:.4f}",
        "is yours an anchor": "yes" if _is_anchor(mean, low) else "no",
    }
    return Reading(numbers, (chosen, draws, distribution))


def _is_anchor(mean: float, low: float) -> bool:
    return mean >= THRESHOLD and low >= THRESHOLD - TOLERANCE


def _verdict(reading: Reading, prediction: str | None) -> str:
    _, _, distribution = reading.data
    needed, found = _draws_needed(_rules(distribution)[ASKED].hits), _search(distribution)
    measured = (
        f'With "{distribution}" rows the lower bound of defaults and income stays above 0.90 from {needed} draws on. The search: '
        f"{found.rule}: {found.precision:.3f}, coverage {found.coverage:.4f}, {found.n_samples} draws in its last test."
    )
    if prediction is None:
        return measured
    low, high = OPTIONS[prediction]
    return f"{measured} You said {prediction}: {'as predicted.' if low <= needed < high else 'not what happened here.'}"


def _draws_needed(hits: np.ndarray) -> int:
    """After so many draws the lower bound no longer falls below the threshold minus the tolerance."""
    n = np.arange(1, len(hits) + 1)
    below = anchors.kl_bounds(np.cumsum(hits) / n, n, BETA)[0] < THRESHOLD - TOLERANCE
    return int(n[below].max(initial=0)) + 1


def _model(X: pd.DataFrame) -> np.ndarray:
    """1 where the rule of the world makes default more likely than not."""
    return (worlds.loans().truth.predict(X) > 0.5).astype(int)


@cache
def _data() -> pd.DataFrame:
    return worlds.loans(N_ROWS, random_state=1).X


@cache
def _search(distribution: str) -> Anchor:
    mara = worlds.loans().X.loc[[APPLICANT]]
    return anchors.explain(_model, mara, _data(), distribution=distribution)


@cache
def _rules(distribution: str) -> dict[tuple[bool, ...], _Rule]:
    """All 32 rules. The same draws for each: a row of the data, its broken features mended from rows that meet the condition."""
    data, rng = _data(), np.random.default_rng(0)
    parsed = [anchors.precision(_none, data, [text], 1, distribution="data").conditions[0] for text in CONDITIONS.values()]
    obeys = np.array([Anchor((c,), True, 1, (1, 1), 1, 1, 1, 1, "", 0, 0).covers(data) for c in parsed])
    columns = [data.columns.get_loc(c.feature) for c in parsed]
    rows = rng.integers(len(data), size=MAX_DRAWS)
    spare = [rng.choice(np.flatnonzero(o), MAX_DRAWS) for o in obeys]
    labels, shuffled = _model(data), rng.permutation(len(data))
    rules = {}
    for chosen in product((False, True), repeat=len(parsed)):
        covered = np.logical_and.reduce([np.full(len(data), True), *obeys[np.array(chosen)]])
        if distribution == "data":
            hits = labels[shuffled[covered[shuffled]]][:MAX_DRAWS] == 1
        else:
            donors = np.repeat(rows[:, None], data.shape[1], axis=1)
            for k in np.flatnonzero(chosen):
                broken = ~obeys[k][rows]
                donors[broken, columns[k]] = spare[k][broken]
            drawn = pd.DataFrame({name: data[name].array.take(donors[:, j]) for j, name in enumerate(data.columns)})
            hits = _model(drawn) == 1
        rules[chosen] = _Rule(hits, float(covered.mean()))
    return rules


def _none(X: pd.DataFrame) -> np.ndarray:
    return np.zeros(len(X))


def _draw(reading: Reading, figure: FigureBase) -> None:
    height = 0.68
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and the axes do not jump
        height = 0.74
    left, right = (figure.add_axes((x, 0.15, 0.34, height)) for x in (0.13, 0.63))
    _draw_rules(reading, left)
    _draw_path(reading, right)


def _draw_rules(reading: Reading, ax: Axes) -> None:
    """Every rule a dot; yours with its interval."""
    chosen, draws, distribution = reading.data
    rules = _rules(distribution)
    found = _search(distribution)
    ax.plot(found.coverage, found.precision, "D", color=plots.TRUTH, ms=8, label="the search")
    for size in range(1 + len(CONDITIONS)):  # a rule is drawn as its number of conditions
        others = [(r.coverage, r.hits[:MAX_DRAWS].mean()) for rule, r in rules.items() if sum(rule) == size and len(r.hits)]
        ax.plot(*np.transpose(others), ls="", marker=f"${size}$", color="0.45", ms=5, mew=0.3)
    mean, low, high, _ = rules[chosen].precision(draws)
    coverage = rules[chosen].coverage
    ax.plot([coverage] * 2, [low, high], color=plots.ANCHOR, lw=2)
    ax.plot(coverage, mean, "o", color=plots.ANCHOR, ms=7, label="yours")
    ax.axhline(THRESHOLD, color=plots.POSITIVE, ls="--", lw=1.2)
    ax.set(xscale="log", xlim=(2e-4, 1.3), ylim=(0, 1.03), xlabel="coverage (share of applicants)", ylabel="precision")
    ax.minorticks_off()  # ticks between the powers of ten take half of the drawing's time
    ax.set_title("32 rules, by length")
    ax.legend(loc="lower left", fontsize=7.5)


def _draw_path(reading: Reading, ax: Axes) -> None:
    """How the estimate and its interval settle as draws come in."""
    chosen, draws, distribution = reading.data
    hits = _rules(distribution)[chosen].hits[:draws]
    if len(hits):
        n = np.unique(np.geomspace(1, len(hits), 60).astype(int))
        mean = np.cumsum(hits)[n - 1] / n
        low, high = anchors.kl_bounds(mean, n, BETA)
        ax.fill_between(n, low, high, color=plots.ANCHOR, alpha=0.2, lw=0, label="KL interval")
        ax.plot(n, mean, color=plots.ANCHOR, label="estimate")
        ax.legend(loc="lower right", fontsize=7.5)
    ax.axhline(THRESHOLD, color=plots.POSITIVE, ls="--", lw=1.2)
    ax.axvline(draws, color=plots.CONTEXT, lw=1)
    ax.set(xscale="log", xlim=(1, 1.1 * MAX_DRAWS), ylim=(0, 1.03), xlabel="draws under your rule", ylabel="precision")
    ax.minorticks_off()
    ax.set_title(f"After {len(hits)} draws")
