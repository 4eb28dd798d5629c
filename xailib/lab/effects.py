"""The lab of chapter 3: what partial dependence asks about, what ALE asks about, and where each is misled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import effects, plots, worlds
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider
from xailib.models import Predict
from xailib.worlds.houses import HousesTruth

SIZES_M2 = np.arange(50, 171, 10)
CORRELATIONS = [round(0.05 * i, 2) for i in range(20)]
ANCHOR_M2 = 110
TICKS_M2 = (60, 110, 160)
N_HOUSES = 600
#: an error below this is not called one, in keur
NOTICEABLE_KEUR = 10.0
MODELS = ("wrong off the data", "planted rule")
METHODS = ("PDP", "ALE")


@dataclass(frozen=True)
class _Asked:
    """Everything one setting of correlation and model gives: computed once, drawn for every size."""

    houses: pd.DataFrame
    truth: np.ndarray
    curves: dict[str, np.ndarray]
    impossible: dict[str, float]


def support_lab() -> Playground:
    """Correlation of size and bedrooms, a size to ask about, the method and the model; every curve is computed on creation."""
    for correlation, model in product(CORRELATIONS, MODELS):
        _asked(correlation, model)
    controls = {
        "correlation": slider("correlation", 0, CORRELATIONS[-1], 0.8, CORRELATIONS[1]),
        "size_m2": slider("size (m²)", 50, 170, 60, 10),
        "method": choice("who asks", METHODS),
        "model": choice("model", MODELS),
    }
    question = "Raise the correlation to 0.95 and keep the model that is wrong off the data. Which curve leaves the truth?"
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[
            {"correlation": 0.0},
            {"correlation": 0.6},
            {"correlation": 0.9},
            {"correlation": 0.9, "method": "ALE"},
            {"correlation": 0.9, "model": MODELS[1]},
        ],
        title="Who asks about impossible houses?",
        predict=Prediction(question, ["PDP", "ALE", "both", "neither"]),
        verdict=_verdict,
        size=(6.4, 3.6),
    )


LABS = [support_lab]


def _compute(correlation: float, size_m2: int, method: str, model: str) -> Reading:
    """Share of impossible rows among all that a whole curve asks about, and the largest distance of each curve from truth."""
    asked = _asked(round(correlation, 2), model)
    numbers: dict[str, float | int | str] = {f"impossible rows asked by {m}": asked.impossible[m] for m in METHODS}
    numbers |= {f"largest error of {m} (keur)": float(np.abs(asked.curves[m] - asked.truth).max()) for m in METHODS}
    return Reading(numbers, (asked, _rows_at(asked.houses, size_m2, method, correlation), size_m2, method))


def _verdict(reading: Reading, prediction: str | None) -> str:
    errors = {method: float(reading.numbers[f"largest error of {method} (keur)"]) for method in METHODS}
    off = [method for method, error in errors.items() if error > NOTICEABLE_KEUR]
    found = off[0] if len(off) == 1 else "both" if off else "neither"
    measured = (
        f"Here PDP is off by up to {errors['PDP']:.1f} keur and ALE by up to {errors['ALE']:.1f}, so the answer is: {found}."
    )
    if prediction is None:
        return measured
    return f"{measured} You said {prediction}: {'as predicted.' if prediction == found else 'not what happened here.'}"


@cache
def _asked(correlation: float, model: str) -> _Asked:
    world = worlds.houses(correlation=correlation)
    houses = world.X[world.X["square_metres"].between(SIZES_M2[0], SIZES_M2[-1])][:N_HOUSES]
    predict = _predict(world.truth, model)
    results = {
        "PDP": effects.partial_dependence(predict, houses, "square_metres", grid=SIZES_M2),
        "ALE": effects.ale(predict, houses, "square_metres", bins=SIZES_M2),
    }
    truth = world.truth.centred_shape("square_metres", SIZES_M2)
    impossible = {m: np.mean(np.concatenate([~_possible(houses, int(z), m, world.truth) for z in SIZES_M2])) for m in METHODS}
    return _Asked(
        houses,
        _against_anchor(truth),
        {m: _against_anchor(r.values) for m, r in results.items()},
        {m: float(share) for m, share in impossible.items()},
    )


def _predict(truth: HousesTruth, model: str) -> Predict:
    return truth.predict if model == MODELS[1] else truth.predict_wrong_off_support


def _against_anchor(values: np.ndarray) -> np.ndarray:
    """A curve as the price compared with a house of the anchor size: the curves differ by constants that mean nothing."""
    return values - values[SIZES_M2 == ANCHOR_M2]


def _possible(houses: pd.DataFrame, size_m2: int, method: str, truth: HousesTruth) -> np.ndarray:
    """Which of the rows asked about at this size could exist."""
    return truth.possible(_asked_rows(houses, size_m2, method))


def _asked_rows(houses: pd.DataFrame, size_m2: int, method: str) -> pd.DataFrame:
    """PDP gives the size to every house; ALE to those in the interval on either side of it."""
    interval = np.maximum(np.searchsorted(SIZES_M2, houses["square_metres"]), 1)
    edge = np.searchsorted(SIZES_M2, size_m2)
    chosen = houses if method == "PDP" else houses[(interval == edge) | (interval == edge + 1)]
    return chosen.assign(square_metres=size_m2)


def _rows_at(houses: pd.DataFrame, size_m2: int, method: str, correlation: float) -> pd.DataFrame:
    rows = _asked_rows(houses, size_m2, method)
    return rows.assign(possible=worlds.houses(60, correlation=round(correlation, 2)).truth.possible(rows))


def _draw(reading: Reading, figure: FigureBase) -> None:
    asked, rows, size_m2, method = reading.data
    height = 0.68
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and the axes do not jump
        height = 0.78
    left, right = (figure.add_axes((x, 0.14, 0.37, height)) for x in (0.09, 0.615))
    _draw_rows(asked.houses, rows, left)
    left.set_title(f"{method} asks at {size_m2} m²")
    _draw_curves(asked, size_m2, right)


def _draw_rows(houses: pd.DataFrame, rows: pd.DataFrame, ax: Axes) -> None:
    """The houses there are and the rows asked about; bedrooms are spread a little, so that dots can be told apart."""
    spread = pd.Series(np.random.default_rng(0).uniform(-0.3, 0.3, len(houses)), houses.index)
    ax.plot(houses["square_metres"], houses["bedrooms"] + spread, ".", color=plots.CONTEXT, ms=3, alpha=0.6, label="houses")
    for possible, style, name in ((True, ".", "asked, possible"), (False, "x", "asked, impossible")):
        chosen = rows[rows["possible"] == possible]
        colour = plots.NEGATIVE if possible else plots.POSITIVE
        heights = chosen["bedrooms"] + spread[chosen.index]
        ax.plot(chosen["square_metres"], heights, style, color=colour, ms=4, mew=1, label=name)
    ax.set(xlabel="square metres", ylabel="bedrooms", xlim=(45, 175), ylim=(0.3, 7.6), xticks=TICKS_M2, yticks=range(1, 7))
    ax.legend(loc="upper left", fontsize=7.5, labelspacing=0.2, borderpad=0, handletextpad=0.2)


def _draw_curves(asked: _Asked, size_m2: int, ax: Axes) -> None:
    ax.plot(SIZES_M2, asked.truth, color=plots.TRUTH, lw=6, alpha=0.7, label="truth")
    ax.plot(SIZES_M2, asked.curves["ALE"], color=plots.ANCHOR, label="ALE")
    ax.plot(SIZES_M2, asked.curves["PDP"], "--", color=plots.POSITIVE, label="PDP")
    ax.axvline(size_m2, color=plots.CONTEXT, lw=1)
    ax.set(xlabel="square metres", ylabel=f"price against {ANCHOR_M2} m² (keur)", ylim=(-175, 115), xticks=TICKS_M2)
    ax.set_title("The curves")
    ax.legend(loc="lower right", fontsize=8)
