"""The labs of chapter 5: fill a room player by player, and choose with whom an applicant is compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from scipy.special import logit

from xailib import plots
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch
from xailib.models import batched, predictor
from xailib.results import Attribution
from xailib.worlds._tabular import exact_shapley
from xailib.worlds._world import World
from xailib.worlds.loans import LoansTruth, loans
from xailib.zoo.tabular import tabular

#: the refused applicant of the chapter, and a second one for the choice of a background
NOOR, BELA = 4122, 4394
#: features that join the room alone; all others come as one
ALONE = ("prior_defaults", "annual_income_keur", "credit_age_years", "debt_to_income", "region")
#: the players as a reader says them, in that order
WORDS = ("prior defaults", "income", "credit age", "debt to income", "region", "the rest")
SWITCHES = tuple(word.replace(" ", "_") for word in WORDS)
SCALES = ("probability", "log-odds")
N_BACKGROUND = 100
N_ORDERS = 60
#: a difference below this is called none
SAME = 0.01


def coalition_lab() -> Playground:
    """Switches for the features that are known, the one to watch, how many orders to average, and the scale."""
    controls: dict[str, Any] = {key: switch(word, word == "income") for key, word in zip(SWITCHES, WORDS, strict=True)}
    controls |= {
        "watch": choice("watch", WORDS),
        "orders": slider("orders averaged", 1, N_ORDERS, 5),
        "scale": choice("scale", SCALES),
    }
    question = "Watch prior defaults on the probability scale. When do they add more: joining an empty room, or joining last?"
    return Playground(
        _coalition,
        _draw_coalition,
        controls,
        filmstrip=[
            {"income": False, "orders": 1},
            {"income": True, "orders": 5},
            {"income": False, "the_rest": True, "orders": 20},
            {"income": True, "the_rest": True, "orders": N_ORDERS},
            {"income": True, "the_rest": True, "orders": N_ORDERS, "scale": SCALES[1]},
        ],
        title="Who is in the room?",
        predict=Prediction(question, ["joining an empty room", "joining last", "the same"]),
        verdict=_coalition_verdict,
        size=(6.6, 3.6),
    )


def background_lab() -> Playground:
    """Which applicant, with whom compared, and how many of those rows."""
    controls = {
        "applicant": choice("applicant", ("Bela", "Noor")),
        "background": choice("compared with", tuple(_backgrounds())),
        "rows": slider("rows of it", 1, 200, 100),
    }
    question = (
        "Bela has one prior default. Compared with everyone it counts against him. Compare him with the refused "
        "applicants: what is its share now?"
    )
    return Playground(
        _compare,
        _draw_compare,
        controls,
        filmstrip=[
            {"background": "everyone"},
            {"background": "refused"},
            {"background": "safest tenth"},
            {"background": "one average applicant"},
            {"background": "everyone", "rows": 3},
        ],
        title="Compared with whom?",
        predict=Prediction(question, ["still above zero", "about zero", "below zero"]),
        verdict=_compare_verdict,
        size=(6.6, 3.7),
    )


LABS = [coalition_lab, background_lab]


@cache
def _world() -> World[LoansTruth]:
    return loans()


# who is in the room -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Watched:
    """What one player adds: to every coalition of the others, and in each of the sampled orders."""

    room: np.ndarray
    size: np.ndarray
    added: np.ndarray
    in_orders: np.ndarray
    shapley: float


def _coalition(watch: str, orders: int, scale: str, **switches: bool) -> Reading:
    """Worth of the room, what the watched player adds to the others in it, and the running average over orders."""
    present = np.array([switches[key] for key in SWITCHES])
    j = WORDS.index(watch)
    worths, watched = _worths(scale), _watched(scale, j)
    room = int(present @ 2 ** np.arange(len(WORDS)))
    without = room & ~(1 << j)
    added = worths[without | 1 << j] - worths[without]
    numbers: dict[str, float | int | str] = {
        "worth of the room": float(worths[room]),
        f"added by {watch}": float(added),
        f"average over {orders} order{'s' if orders > 1 else ''}": float(watched.in_orders[:orders].mean()),
        "Shapley value (all 720 orders)": watched.shapley,
    }
    place = int(np.flatnonzero(watched.room == without)[0])
    return Reading(numbers, (watched, place, orders, watch, scale))


def _coalition_verdict(reading: Reading, prediction: str | None) -> str:
    watched, _, _, watch, scale = reading.data
    first, last = (float(watched.added[watched.size == s][0]) for s in (0, len(WORDS) - 1))
    found = "the same" if abs(first - last) < SAME else "joining last" if last > first else "joining an empty room"
    measured = f"On the {scale} scale, joining an empty room adds {first:.3f} ({watch}), joining last {last:.3f}: {found}."
    if prediction is None:
        return measured
    return f"{measured} You said {prediction}: {'as predicted.' if prediction == found else 'not what happened here.'}"


@cache
def _worths(scale: str) -> np.ndarray:
    """Worth of all 64 rooms, as row number k in binary: the mean risk when Noor's known features meet the background."""
    world = _world()
    background = world.train[0][:N_BACKGROUND].reset_index(drop=True)
    noor = world.X.loc[NOOR]
    rest = [name for name in background.columns if name not in ALONE]
    groups = [[name] for name in ALONE] + [rest]
    rooms = []
    for k in range(2 ** len(WORDS)):
        rows = background.copy()
        for name in (name for j, group in enumerate(groups) if k >> j & 1 for name in group):
            rows[name] = pd.Series([noor[name]] * len(rows), dtype=background[name].dtype)
        rooms.append(rows)
    risk = batched(predictor(tabular("loans-boosting")), pd.concat(rooms, ignore_index=True), width=1)
    risk = risk if scale == "probability" else logit(risk)
    return risk.reshape(len(rooms), N_BACKGROUND).mean(axis=1)


@cache
def _watched(scale: str, j: int) -> _Watched:
    worths, p = _worths(scale), len(WORDS)
    others = np.array([k for k in range(2**p) if not k >> j & 1])
    rng = np.random.default_rng(5)
    in_orders = []
    for _ in range(N_ORDERS):
        order = rng.permutation(p)
        before = int(sum(1 << k for k in order[: np.flatnonzero(order == j)[0]]))
        in_orders.append(worths[before | 1 << j] - worths[before])
    exact = exact_shapley(lambda coalitions: worths[coalitions @ 2 ** np.arange(p)], p)
    size = np.array([bin(k).count("1") for k in others])
    return _Watched(others, size, worths[others | 1 << j] - worths[others], np.array(in_orders), float(exact[j]))


def _draw_coalition(reading: Reading, figure: FigureBase) -> None:
    watched, place, orders, watch, scale = reading.data
    left, right = _two_axes(figure, 0.14, 0.64, 0.4, 0.34)
    _draw_rooms(watched, place, left)
    left.set(title=f"Added by {watch}", ylabel=scale)
    _draw_average(watched, orders, right)


def _draw_rooms(watched: _Watched, place: int, ax: Axes) -> None:
    """One dot per coalition of the others, by its size; the mean of each size; the room of the switches."""
    spread = np.linspace(-0.25, 0.25, 7)[np.arange(len(watched.size)) % 7]
    x = watched.size + np.where(watched.size % 5 == 0, 0.0, spread)  # a single room of its size needs no spread
    ax.plot(x, watched.added, ".", color=plots.CONTEXT, ms=5, label="every room")
    sizes = np.arange(len(WORDS))
    means = [watched.added[watched.size == s].mean() for s in sizes]
    ax.plot(sizes, means, "s", color=plots.ANCHOR, ms=5, label="mean of a size")
    ax.axhline(watched.shapley, color=plots.TRUTH, lw=3, alpha=0.8, zorder=1, label="Shapley")
    ring: dict[str, Any] = {"color": "none", "mec": plots.POSITIVE, "mew": 2.2}
    ax.plot(x[place], watched.added[place], "o", ms=12, **ring)
    ax.plot([], [], "o", ms=5, **ring, label="your room")
    ax.set(xlabel="others in the room", xticks=sizes, xlim=(-0.6, 5.6))
    low, high = min(0.0, watched.added.min()), max(0.0, watched.added.max())
    ax.set_ylim(low - 0.08 * (high - low), high + 0.42 * (high - low))
    ax.legend(loc="upper left", fontsize=6.8, ncol=2, columnspacing=0.6, handletextpad=0.3, handlelength=1.2, borderpad=0)


def _draw_average(watched: _Watched, orders: int, ax: Axes) -> None:
    """The contribution in each order so far and their running mean."""
    places, so_far = np.arange(1, orders + 1), watched.in_orders[:orders]
    ax.axhline(watched.shapley, color=plots.TRUTH, lw=3, alpha=0.8)
    ax.plot(places, so_far, ".", color=plots.CONTEXT, ms=5, label="one order")
    ax.plot(places, np.cumsum(so_far) / places, color=plots.ANCHOR, label="average so far")
    ax.plot(orders, so_far.mean(), "o", color=plots.ANCHOR, ms=4)
    ax.set(title="Random orders", xlabel="orders averaged", xlim=(0, N_ORDERS + 1))
    low, high = min(0.0, watched.added.min()), max(0.0, watched.added.max())
    ax.set_ylim(low - 0.08 * (high - low), high + 0.42 * (high - low))
    ax.legend(loc="upper right", fontsize=6.8, borderpad=0, labelspacing=0.2)


# compared with whom -----------------------------------------------------------------------------------------------------


def _compare(applicant: str, background: str, rows: int) -> Reading:
    """Exact shares of the rule's log-odds against the first rows of the chosen background, and against everyone."""
    truth = _world().truth
    x = _row(applicant)
    chosen = _backgrounds()[background]
    shares = truth.shapley(x, chosen[:rows])
    everyone = _against_everyone(applicant)
    names = [name for name in shares.feature_names if name in truth.relevant]
    columns = [shares.feature_names.index(name) for name in names]
    values, reference = shares.values[0][columns], everyone.values[0][columns]
    top = int(np.abs(values).argmax())
    numbers: dict[str, float | int | str] = {
        "rows compared with": min(rows, len(chosen)),
        "base value -> prediction (log-odds)": f"{shares.base_value:.3f} -> {everyone.prediction[0]:.3f}",
        "share of prior_defaults": float(values[names.index("prior_defaults")]),
        "largest share": f"{names[top]} {values[top]:+.3f}",
        "share of annual_income_keur": float(values[names.index("annual_income_keur")]),
    }
    return Reading(numbers, (names, values, reference, applicant, background))


def _compare_verdict(reading: Reading, prediction: str | None) -> str:
    names, values, reference, applicant, background = reading.data
    j = names.index("prior_defaults")
    found = "about zero" if abs(values[j]) < 10 * SAME else "still above zero" if values[j] > 0 else "below zero"
    before = f"(with everyone {reference[j]:+.3f})"
    measured = f"{applicant}, compared with {background}: prior_defaults {values[j]:+.3f} {before}, so {found}."
    if prediction is None:
        return measured
    return f"{measured} You said {prediction}: {'as predicted.' if prediction == found else 'not what happened here.'}"


def _row(applicant: str) -> pd.DataFrame:
    return _world().X.loc[[BELA if applicant == "Bela" else NOOR]]


@cache
def _against_everyone(applicant: str) -> Attribution:
    """Exact shares against all training rows: the ticks of the picture."""
    return _world().truth.shapley(_row(applicant))


@cache
def _backgrounds() -> dict[str, pd.DataFrame]:
    """Whom to compare with: training rows by the trained model's decision, by age, and one made-up average."""
    X, _ = _world().train
    risk = predictor(tabular("loans-boosting"))(X)
    average = {name: X[name].mean() if X[name].dtype.kind in "if" else X[name].mode()[0] for name in X}
    one = pd.DataFrame([average]).astype({name: X[name].dtype for name in X if X[name].dtype.kind not in "if"})
    return {
        "everyone": X,
        "approved": X[risk < 0.5],
        "refused": X[risk >= 0.5],
        "safest tenth": X[risk <= np.quantile(risk, 0.1)],
        "under 30": X[X["age_years"] < 30],
        "one average applicant": one,
    }


def _draw_compare(reading: Reading, figure: FigureBase) -> None:
    names, values, reference, applicant, background = reading.data
    places = np.arange(len(names))[::-1]
    ax = _one_axes(figure)
    colours = np.where(values >= 0, plots.POSITIVE, plots.NEGATIVE)
    ax.barh(places, values, color=colours, height=0.62, label=f"with {background}")
    ax.plot(reference, places, "|", color="black", ms=11, mew=2, label="with all 4,000")
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(places, names)
    ax.set(xlabel="share of the log-odds of default", xlim=(-2.1, 2.9), title=f"{applicant} by the rule, against {background}")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right", fontsize=8, handles=[ax.lines[0]])


def _two_axes(figure: FigureBase, left: float, right: float, wide: float, narrow: float) -> tuple[Axes, Axes]:
    """Fixed margins are faster than a layout engine, and the axes do not jump."""
    height = 0.68
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")
        height = 0.76
    return figure.add_axes((left, 0.14, wide, height)), figure.add_axes((right, 0.14, narrow, height))


def _one_axes(figure: FigureBase) -> Axes:
    height = 0.68
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")
        height = 0.76
    return figure.add_axes((0.32, 0.14, 0.65, height))
