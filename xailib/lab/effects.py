"""The lab of chapter 3: what partial dependence asks about, what ALE asks about, and where each is misled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import effects, plots, worlds
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider
from xailib.models import Predict
from xailib.worlds._world import World
from xailib.worlds.houses import HousesTruth

FEATURE = "square_metres"
SIZES_M2 = np.arange(30, 181, 10)
MAX_CORRELATION = 0.95
ANCHOR_M2 = 110
TICKS_M2 = (60, 110, 160)
N_HOUSES = 600
#: an error below this is not called one, in keur
NOTICEABLE_KEUR = 10.0
MODELS = ("wrong off the data", "the rule itself")
METHODS = ("PD", "ALE")


@dataclass(frozen=True)
class _Curve:
    """What one method finds: its grid, its distance from the rule's curve there, and the rows it asks about."""

    grid: np.ndarray
    error: np.ndarray
    rows: pd.DataFrame

    def largest_error(self, low: float = -np.inf, high: float = np.inf) -> float:
        """In keur, between two sizes; between two grid points the curve is straight, and so is its error."""
        sizes = np.clip(self.grid, low, high)
        return float(np.abs(np.interp(sizes, self.grid, self.error)).max())


def support_lab() -> Playground:
    """Correlation of size and bedrooms, a size to ask about, the intervals of ALE, the method and the model."""
    controls = {
        "correlation": slider("correlation", 0, MAX_CORRELATION, 0.8, 0.05),
        "size_m2": slider("size (m²)", int(SIZES_M2[0]), int(SIZES_M2[-1]), 60, 10),
        "intervals": slider("intervals of ALE", 2, 60, 20, 2),
        "method": choice("who asks", METHODS),
        "model": choice("model", MODELS),
    }
    question = (
        "Raise the correlation to 0.9 and keep the model that is wrong off the data. Which curve leaves the rule for the "
        "middle 90 % of the houses?"
    )
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[
            {"correlation": 0.0},
            {"correlation": 0.9},
            {"correlation": 0.9, "method": "ALE"},
            {"correlation": 0.9, "size_m2": 180, "method": "ALE", "intervals": 4},
            {"correlation": 0.9, "model": MODELS[1]},
        ],
        title="Who asks about impossible houses?",
        predict=Prediction(question, ["PD", "ALE", "both", "neither"]),
        verdict=_verdict,
        size=(6.4, 3.6),
    )


LABS = [support_lab]


def _compute(correlation: float, size_m2: int, intervals: int, method: str, model: str) -> Reading:
    """Largest distance of each curve from the rule's, share of impossible rows it asks about, and the share at this size."""
    world = _world(round(correlation, 2))
    curves = {m: _curve(m, round(correlation, 2), intervals, model) for m in METHODS}
    middle = tuple(np.quantile(world.X[FEATURE], [0.05, 0.95]))
    asked_m2 = _nearest(curves[method].grid, size_m2)
    rows = curves[method].rows
    shown = rows[rows[FEATURE] == asked_m2]
    numbers: dict[str, float | int | str] = {
        f"largest error of {m} (keur)": f"{c.largest_error():.1f}; middle 90 %: {c.largest_error(*middle):.1f}"
        for m, c in curves.items()
    }
    numbers |= {f"impossible rows of the whole {m} curve": _percent(~c.rows["possible"]) for m, c in curves.items()}
    numbers["impossible rows in the left picture"] = _percent(~shown["possible"])
    return Reading(numbers, (world.X, curves, shown, asked_m2, method, middle))


def _verdict(reading: Reading, prediction: str | None) -> str:
    _, curves, _, _, _, middle = reading.data
    errors = {method: curve.largest_error(*middle) for method, curve in curves.items()}
    off = [method for method, error in errors.items() if error > NOTICEABLE_KEUR]
    found = off[0] if len(off) == 1 else "both" if off else "neither"
    measured = (
        f"Over the middle 90 % PD is off by up to {errors['PD']:.1f} keur and ALE by up to {errors['ALE']:.1f}, "
        f"so the answer is: {found}. At the ends ALE is off by up to {curves['ALE'].largest_error():.1f}."
    )
    if prediction is None:
        return measured
    return f"{measured} You said {prediction}: {'as predicted.' if prediction == found else 'not what happened here.'}"


@cache
def _world(correlation: float) -> World[HousesTruth]:
    return worlds.houses(N_HOUSES, correlation=correlation)


@cache
def _curve(method: str, correlation: float, intervals: int, model: str) -> _Curve:
    """The curve of all houses, tails included; PD does not use the number of intervals."""
    houses, truth = _world(correlation).X, _world(correlation).truth
    predict = _predict(truth, model)
    if method == "PD":
        result = effects.partial_dependence(predict, houses, FEATURE, grid=SIZES_M2)
    else:
        result = effects.ale(predict, houses, FEATURE, bins=intervals)
    grid = result.grid[0]
    error = result.values - truth.centred_shape(FEATURE, grid)
    rows = _asked_rows(houses, grid, method)
    return _Curve(grid, error - np.median(error), rows.assign(possible=truth.possible(rows)))


def _predict(truth: HousesTruth, model: str) -> Predict:
    return truth.predict if model == MODELS[1] else truth.predict_wrong_off_support


def _asked_rows(houses: pd.DataFrame, grid: np.ndarray, method: str) -> pd.DataFrame:
    """PD gives every size to every house; ALE moves a house to the two ends of the interval it lives in."""
    if method == "PD":
        return pd.concat([houses.assign(**{FEATURE: z}) for z in grid])
    interval = np.maximum(np.searchsorted(grid, houses[FEATURE]) - 1, 0)
    return pd.concat([houses.assign(**{FEATURE: grid[interval + end]}) for end in (0, 1)])


def _nearest(grid: np.ndarray, size_m2: int) -> int:
    """The size closest to this one that the method asks about."""
    return int(grid[np.abs(grid - size_m2).argmin()])


def _percent(chosen: pd.Series) -> str:
    return f"{chosen.mean():.1%}"


def _draw(reading: Reading, figure: FigureBase) -> None:
    houses, curves, shown, asked_m2, method, middle = reading.data
    height = 0.68
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and the axes do not jump
        height = 0.78
    left, right = (figure.add_axes((x, 0.14, 0.35, height)) for x in (0.1, 0.63))
    _draw_rows(houses, shown, left)
    left.set_title(f"{method} asks at {asked_m2} m²")
    _draw_curves(curves, asked_m2, middle, right)


def _draw_rows(houses: pd.DataFrame, rows: pd.DataFrame, ax: Axes) -> None:
    """The houses there are and the rows asked about; bedrooms are spread a little, so that dots can be told apart."""
    spread = pd.Series(np.random.default_rng(0).uniform(-0.3, 0.3, len(houses)), houses.index)
    ax.plot(houses[FEATURE], houses["bedrooms"] + spread, ".", color=plots.CONTEXT, ms=3, alpha=0.6, label="houses")
    for possible, style, name in ((True, ".", "asked, possible"), (False, "x", "asked, impossible")):
        chosen = rows[rows["possible"] == possible]
        colour = plots.NEGATIVE if possible else plots.POSITIVE
        heights = chosen["bedrooms"] + spread[chosen.index]
        ax.plot(chosen[FEATURE], heights, style, color=colour, ms=4, mew=1, label=name)
    ax.set(xlabel="square metres", ylabel="bedrooms", xlim=(15, 190), ylim=(0.3, 8.2), xticks=TICKS_M2, yticks=range(1, 7))
    ax.legend(loc="upper left", fontsize=7.5, labelspacing=0.2, borderpad=0, handletextpad=0.2)


def _draw_curves(curves: dict[str, _Curve], asked_m2: int, middle: tuple[float, float], ax: Axes) -> None:
    """Each curve as the rule's curve plus its error; levels are a convention, so errors have median zero."""
    sizes = np.arange(20, 186)
    ax.axvspan(*middle, color=plots.CONTEXT, alpha=0.15, lw=0, label="middle 90 %")
    ax.plot(sizes, _rule_curve(sizes), color=plots.TRUTH, lw=6, alpha=0.7, label="the rule")
    for method, style, colour in (("ALE", "o-", plots.ANCHOR), ("PD", "--", plots.POSITIVE)):
        curve = curves[method]
        ax.plot(curve.grid, _rule_curve(curve.grid) + curve.error, style, color=colour, ms=3, label=method)
    ax.axvline(asked_m2, color=plots.CONTEXT, lw=1)
    ax.set(xlabel="square metres", ylabel="change of price (keur)", xlim=(15, 190), ylim=(-240, 130), xticks=TICKS_M2)
    ax.set_title("The curves")
    ax.legend(loc="lower right", fontsize=7.5, labelspacing=0.3)


def _rule_curve(sizes: np.ndarray) -> np.ndarray:
    """Price by the rule against a house of the anchor size, in keur; bedrooms and all else unchanged."""
    shape = _world(0.0).truth.centred_shape(FEATURE, np.append(sizes, ANCHOR_M2))
    return shape[:-1] - shape[-1]
