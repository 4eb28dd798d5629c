"""Labs of chapter 11: the probe bench. Question, network, point, probe, number of training rows, control task on and off."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase, SubFigure
from scipy import stats

from xailib import plots
from xailib._probes import TEST_SHARE
from xailib.experiments.probing import HIDDEN, NETWORKS, POINTS, QUESTIONS, TRAINING_ROWS, bench, rows
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch

_PROBES = {"linear" if not hidden else f"MLP, {hidden} units": i for i, hidden in enumerate(HIDDEN)}
_PLACES = {"embedded": "embedded", **{p: p.removeprefix("blocks.").replace(".resid_", " ") for p in POINTS[1:]}}
_CLIMBS, _STAYS, _FALLS = "climb towards the accuracy", "stay where it is", "fall to guessing"


def probe_bench() -> Playground:
    """What a probe reads, and what it would have read from coins: by point, by capacity, by the number of training rows."""
    bench()
    _n_types()
    controls = {
        "question": choice("question", list(QUESTIONS)),
        "network": choice("network", list(NETWORKS)),
        "point": choice("point", list(_PLACES.values()), "1 post"),
        "probe": choice("probe", list(_PROBES)),
        "rows": slider("training sentences", 100, 800, 200, 100),
        "control": switch("control task", True),
    }
    at_noun = {"question": QUESTIONS[1], "point": "0 mid", "rows": 700}
    strip: list[dict[str, Any]] = [
        {"rows": 700},
        {"rows": 700, "network": "untrained"},
        {**at_noun},
        {**at_noun, "probe": "MLP, 64 units"},
        {"question": QUESTIONS[2], "probe": "MLP, 64 units", "rows": 700},
    ]
    question = "Number at its noun, point 0 mid: from the linear probe to the MLP with 64 units, the control task will ..."
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=strip,
        title="The probe bench",
        predict=Prediction(question, [_CLIMBS, _STAYS, _FALLS]),
        verdict=_verdict,
        size=(6.6, 3.6),
    )


@cache
def _means() -> dict[str, np.ndarray]:
    """Mean and half-width of the 95 % interval over splits of accuracy, control and selectivity; axes as in the bench."""
    stored = {name: array.astype(float) for name, array in bench().items()}
    stored["selectivity"] = stored["accuracy"] - stored["control"]
    n_splits = stored["accuracy"].shape[-1]
    factor = stats.t.ppf(0.975, n_splits - 1) * np.sqrt(1 / n_splits + TEST_SHARE / (1 - TEST_SHARE))  # as Measurement.interval
    found = {}
    for name, array in stored.items():
        found[name], found[f"{name} half"] = array.mean(axis=-1), array.std(axis=-1, ddof=1) * factor
    return found


@cache
def _n_types() -> dict[str, int]:
    """How many types the control task of each question has: only within a question are control tasks comparable."""
    return {question: len(np.unique(rows(question)[3])) for question in QUESTIONS}


def _at(name: str, rows: float, *place: int) -> Any:
    """A measurement between two measured numbers of training rows: a straight line over their logarithm."""
    curves = np.moveaxis(_means()[name][place], -1, 0)
    x = np.log(TRAINING_ROWS)
    k = int(np.clip(np.searchsorted(x, np.log(rows)) - 1, 0, len(x) - 2))
    w = (np.log(rows) - x[k]) / (x[k + 1] - x[k])
    return (1 - w) * curves[k] + w * curves[k + 1]


def _compute(question: str, network: str, point: str, probe: str, rows: int, control: bool) -> Reading:
    """Readings at one place, the learning curve there, and all points at this number of rows."""
    q, n, i = QUESTIONS.index(question), NETWORKS.index(network), list(_PLACES.values()).index(point)
    k = _PROBES[probe]
    accuracy, half = _at("accuracy", rows, q, n, i, k), _at("accuracy half", rows, q, n, i, k)
    numbers: dict[str, float | int | str] = {
        "accuracy": float(accuracy),
        "interval, 95 %": f"{accuracy - half:.2f} to {min(accuracy + half, 1):.2f}",
        "most frequent label": float(_at("majority", rows, q)),
    }
    if control:
        numbers["control task"] = float(_at("control", rows, q, n, i, k))
        width = _at("selectivity half", rows, q, n, i, k)
        numbers["selectivity"] = float(accuracy - numbers["control task"])
        numbers["selectivity, 95 %"] = f"{numbers['selectivity'] - width:.2f} to {numbers['selectivity'] + width:.2f}"
        numbers["types of the control task"] = _n_types()[question]
    shown = ("accuracy", "control") if control else ("accuracy",)
    data = {
        "curves": {name: (_means()[name][q, n, i, k], _means()[f"{name} half"][q, n, i, k]) for name in shown},
        "points": {
            name: np.array([[_at(f"{name}{half}", rows, q, n, j, k) for j in range(len(POINTS))] for half in ("", " half")])
            for name in shown
        },
        "rows": rows,
        "chosen": i,
        "majority": numbers["most frequent label"],
        "settings": (question, network, point, probe),
    }
    return Reading(numbers, data)


_STYLES: dict[str, dict[str, Any]] = {
    "accuracy": {"color": plots.ANCHOR, "ls": "-", "marker": "o"},
    "control": {"color": plots.NEGATIVE, "ls": ":", "marker": "s"},
}
_LABELS = {"accuracy": "property", "control": "control task"}


def _draw(reading: Reading, figure: FigureBase) -> None:
    """Left the accuracy by training rows at the chosen point, right by point at the chosen number of rows."""
    data, small = reading.data, isinstance(figure, SubFigure)
    fixed = {}
    if isinstance(figure, Figure):  # places by hand: a layout engine would measure every text twice
        figure.set_layout_engine("none")
        fixed = {"left": 0.09, "right": 0.99, "top": 0.92, "bottom": 0.2, "wspace": 0.08}
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw=fixed)
    for name, (mean, half) in data["curves"].items():
        left.plot(TRAINING_ROWS, mean, ms=4, lw=1.4, label=_LABELS[name], **_STYLES[name])
        left.vlines(TRAINING_ROWS, mean - half, np.minimum(mean + half, 1), color=_STYLES[name]["color"], lw=1.4)
        at_points, wide = data["points"][name]
        right.plot(at_points, ms=5, lw=1.4, **_STYLES[name])
        right.vlines(range(len(POINTS)), at_points - wide, np.minimum(at_points + wide, 1), color=_STYLES[name]["color"], lw=1.4)
    left.axvline(data["rows"], color=plots.TRUTH, lw=2)
    right.axvline(data["chosen"], color=plots.TRUTH, lw=2)
    for ax in (left, right):
        ax.axhline(data["majority"], color="black", lw=0.8)
    left.set(xscale="log", ylim=(0.2, 1.05), xlabel="training sentences", ylabel="held-out accuracy")
    left.set_xticks([25, 100, 400], ["25", "100", "400"], minor=False)
    left.set_xticks([], minor=True)
    left.legend(fontsize=7 if small else 8, loc="lower left", ncols=2, borderpad=0.2, columnspacing=0.8, handlelength=1.2)
    right.set_xticks(
        range(len(POINTS)),
        [place.replace(" ", "\n").replace("embedded", "em-\nbedded") for place in _PLACES.values()],
        fontsize=7 if small else 8,
    )
    right.set_xlabel(f"point, {data['rows']} sentences")
    left.set_title(f"{data['settings'][3]}, at {data['settings'][2]}", fontsize=9)
    right.set_title(f"{data['settings'][1]} network", fontsize=9)


def _verdict(reading: Reading, prediction: str | None) -> str:
    """What the numbers say, beside what was predicted."""
    question, network, point, _probe = reading.data["settings"]
    where = (QUESTIONS.index(question), NETWORKS.index(network), list(_PLACES.values()).index(point))
    linear, large = (float(_at("control", reading.data["rows"], *where, k)) for k in (0, len(HIDDEN) - 1))
    measured = f"Here the control task goes from {linear:.2f} (linear) to {large:.2f} (MLP, {HIDDEN[-1]} units)."
    if prediction is None or question != QUESTIONS[1] or point != "0 mid":
        return f"{measured} The prediction was for the number at its noun, point 0 mid: choose them to see whether it holds."
    happened = _CLIMBS if large > linear + 0.05 else _FALLS if large < linear - 0.05 else _STAYS
    return f"{measured} You predicted that it will {prediction}: {'right' if prediction == happened else 'not this time'}."


LABS = [probe_bench]
