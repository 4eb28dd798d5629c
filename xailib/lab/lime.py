"""The lab of chapter 4: an instance, a kernel width, and the line that LIME fits to a function whose slope we know."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from scipy.special import expit

from xailib import lime, plots
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider

CENTRES = ("instance", "data mean")
WIDTHS = np.round(np.arange(0.1, 3.05, 0.1), 1)
REACH = 3.0
STEPS, SIZES = (-0.245, 0.005, 0.255, 0.505, 0.755), (0.8, 2.0, 3.5, 5.0, 6.5)
#: five samples that count per coefficient, as in the library; below, the error is a guess
ENOUGH = 15
#: heights between which lines are drawn, below the legend
LOW, HIGH = -0.35, 1.2
#: a slope this small has no sign worth arguing about
FLAT = 0.05


def kernel_lab() -> Playground:
    """Two sliders for the instance, the kernel width, the number of samples, and where they are drawn."""
    controls = {
        "x1": slider("x1", -2.0, 2.0, 0.2, 0.1),
        "x2": slider("x2", -2.0, 2.0, 0.0, 0.1),
        "width": slider("kernel width", 0.1, 3.0, 0.3, 0.1),
        "samples": slider("samples", 100, 3000, 1000, 100),
        "centre": choice("around", CENTRES),
    }
    question = (
        "Leave the instance where it is and move the kernel width from 0.1 to 3. Which widths give x1 the sign of its true slope?"
    )
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[
            {"width": 0.2},
            {"width": 0.7},
            {"width": 2.5},
            {"x1": 1.6, "x2": -1.5, "width": 0.3, "centre": CENTRES[1]},
            {"width": 0.1, "samples": 100},
        ],
        title="A straight line on a curved hill",
        predict=Prediction(question, ["the narrow ones", "the wide ones", "all", "none"]),
        verdict=_verdict,
        size=(6.6, 3.6),
    )


LABS = [kernel_lab]


def hill(x1: Any, x2: Any) -> np.ndarray:
    """The model: a probability whose border winds, while its trend in x1 points the other way than its slope at 0."""
    return expit(2 * (x2 + 0.6 * np.asarray(x1) - np.sin(2.5 * np.asarray(x1))))


def true_slope(x1: float, x2: float) -> np.ndarray:
    """The gradient of :func:`hill`."""
    p = float(hill(x1, x2))
    return 2 * p * (1 - p) * np.array([0.6 - 2.5 * np.cos(2.5 * x1), 1.0])


def _compute(x1: float, x2: float, width: float, samples: int, centre: str) -> Reading:
    """LIME without bins, on samples that stay the same while you drag."""
    points = _points(x1, x2, samples, centre)
    fit, weights = _fit(points, x1, x2, width)
    truth = true_slope(x1, x2)
    few = fit.effective_samples < ENOUGH
    half = ["unknown" if few else f"{1.96 * error:.2f}" for error in fit.std_errors]
    numbers: dict[str, float | int | str] = {
        f"slope of x{j + 1}": f"LIME {fit.coefficients[j]:+.2f} ± {half[j]}, true {truth[j]:+.2f}" for j in range(2)
    }
    numbers["fidelity (weighted R squared)"] = round(fit.fidelity, 2)
    numbers["samples that count"] = f"{fit.effective_samples:.0f}" + (", TOO FEW" if few else "")
    return Reading(numbers, (points, weights, fit, truth, np.array([x1, x2])))


def _fit(points: np.ndarray, x1: float, x2: float, width: float) -> tuple[lime.LocalFit, np.ndarray]:
    z = points - [x1, x2]
    weights = lime.kernel(np.hypot(z[:, 0], z[:, 1]), width)
    return lime.fit_local(z, hill(points[:, 0], points[:, 1]), weights), weights


def _points(x1: float, x2: float, samples: int, centre: str) -> np.ndarray:
    """The instance first, then the same standard normal draws at every call."""
    middle = np.array([x1, x2]) if centre == CENTRES[0] else np.zeros(2)
    return np.vstack([[x1, x2], middle + _noise()[: samples - 1]])


@cache
def _noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3000, 2))


def _verdict(reading: Reading, prediction: str | None) -> str:
    points, _, _, truth, instance = reading.data
    where = f"At ({instance[0]:.1f}, {instance[1]:.1f}) the true slope of x1 is {truth[0]:+.2f}"
    if abs(truth[0]) < FLAT:
        return f"{where}: too flat for its sign to mean much. Move the instance and ask again."
    right = (
        np.array([_fit(points, float(instance[0]), float(instance[1]), float(w))[0].coefficients[0] for w in WIDTHS]) * truth[0]
        > 0
    )
    if right.all() or not right.any():
        found, measured = ("all", "every width") if right.all() else ("none", "no width")
    else:
        # one change of side tells narrow from wide; the end decides where there are several
        found = "the narrow ones" if right[0] else "the wide ones"
        measured = f"{right.sum()} of {len(right)} widths ({_spans(right)})"
    text = f"{where}; {measured} give it that sign, so the answer is: {found}."
    return (
        text if prediction is None else f"{text} You said {prediction}: {'as measured.' if prediction == found else 'not here.'}"
    )


def _spans(right: np.ndarray) -> str:
    """Runs of widths with the right sign, "0.1 to 0.6"."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], right.astype(int), [0]])))
    return ", ".join(f"{WIDTHS[a]:.1f} to {WIDTHS[b - 1]:.1f}" for a, b in edges.reshape(-1, 2))


def _draw(reading: Reading, figure: FigureBase) -> None:
    points, weights, fit, truth, instance = reading.data
    height = 0.66
    if isinstance(figure, Figure):
        figure.set_layout_engine("none")  # fixed margins are faster, and the axes do not jump
        height = 0.74
    left, right = (figure.add_axes((x, 0.15, 0.34, height)) for x in (0.12, 0.64))
    _draw_map(points, weights, instance, left)
    _draw_slice(fit, truth, instance, right)


def _draw_map(points: np.ndarray, weights: np.ndarray, instance: np.ndarray, ax: Axes) -> None:
    """The hill from above; a sample is as large as its weight."""
    ax.imshow(_picture(), extent=(-REACH, REACH, -REACH, REACH), origin="lower", cmap="Greys", vmin=0, vmax=1.6, aspect="auto")
    ax.plot(points[:, 0], points[:, 1], ",", color=plots.NEGATIVE)  # every sample, however light
    for low, size in zip(STEPS, SIZES, strict=True):  # a few sizes: a thousand different ones are slow to draw
        near = (weights > low) & (weights <= low + 0.25)
        ax.plot(points[near, 0], points[near, 1], ".", color=plots.NEGATIVE, ms=size, mew=0)
    ax.plot(*instance, "*", color=plots.POSITIVE, ms=9, mec="white")
    ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xlabel="x1", ylabel="x2", title="Samples, sized by weight")
    ax.grid(visible=False)


def _draw_slice(fit: lime.LocalFit, truth: np.ndarray, instance: np.ndarray, ax: Axes) -> None:
    """Along x1 through the instance: the model, its tangent, and LIME's line."""
    x = np.linspace(-REACH, REACH, 241)
    height = float(hill(*instance))
    ax.plot(x, hill(x, instance[1]), color=plots.CONTEXT, lw=2, label="the model")
    tangent = height + truth[0] * (x - instance[0])
    near = (np.abs(x - instance[0]) < 0.8) & (tangent > LOW) & (tangent < HIGH)
    ax.plot(x[near], tangent[near], color=plots.TRUTH, lw=6, alpha=0.7, label="true slope")
    line = fit.intercept + fit.coefficients[0] * (x - instance[0])
    inside = (line > LOW) & (line < HIGH)  # not across the legend
    ax.plot(x[inside], line[inside], "--", color=plots.ANCHOR, label="LIME")
    ax.plot(instance[0], height, "*", color=plots.POSITIVE, ms=13, mec="white")
    ax.set(
        xlim=(-REACH, REACH),
        ylim=(-0.4, 1.95),
        yticks=(0, 0.5, 1),
        xlabel="x1",
        ylabel="prediction",
        title=f"Along x1, at x2 = {instance[1]:.1f}",
    )
    ax.legend(loc="upper left", fontsize=7.5, labelspacing=0.2, handlelength=1.4, borderpad=0.1)


@cache
def _picture() -> np.ndarray:
    at = np.linspace(-REACH, REACH, 90)
    return hill(at[None], at[:, None])
