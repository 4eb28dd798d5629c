"""Labs of chapter 14: choose how brief a network must be, then rewrite its evidence and watch the scores follow."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import plots, softcam
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider
from xailib.results import Heatmap

_GRADES = ("healthy", "mild", "severe")
_CLASSES = ("healthy", "diseased")
_SHOWN = ("diseased", "healthy", "diseased minus healthy")
_LESIONS, _RIM, _BRIGHTEST, _REST = "cells with a lesion", "those and their neighbours", "the strongest cell", "all other cells"
_REGIONS = (_LESIONS, _RIM, _BRIGHTEST, _REST)
_STAYS, _HEALTHY, _DISEASED = "stays as it is", "becomes healthy", "becomes diseased"
_PLACES = ((0.005, 0.06, 0.7, 0.76), (0.8, 0.3, 0.19, 0.36))  # left, bottom, width, height
_TITLE = "A penalty to choose, and evidence to rewrite"


def explorer_lab() -> Playground:
    """Evidence of a network trained with the chosen penalty; a region of it is multiplied, and the scores are its means."""
    last = len(_stored()["l1"]) - 1
    controls = {
        "picture": choice("picture", list(_pictures()), list(_pictures())[-1]),
        "l1": slider("sparse penalty, step", 0, last, 0),
        "l2": slider("dense penalty, step", 0, last, 0),
        "evidence": choice("evidence for", _SHOWN),
        "region": choice("edit", _REGIONS),
        "factor": slider("multiply by", 0.0, 2.0, 1.0, 0.25),
    }
    strip: list[dict[str, Any]] = [
        {"l1": 0},
        {"l1": 3},
        {"picture": "mild 1", "factor": 0.0},
        {"picture": "mild 1", "region": _RIM, "factor": 0.0},
        {"picture": "mild 1", "region": _BRIGHTEST, "factor": 0.0},
    ]
    question = "Multiply the evidence in the cells with a lesion by 0, for both classes. The network's answer ..."
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=strip,
        title=_TITLE,
        predict=Prediction(question, [_STAYS, _HEALTHY, _DISEASED]),
        verdict=_verdict,
        size=(6.3, 3.2),
    )


@cache
def _stored() -> dict[str, np.ndarray]:
    """Evidence of the precomputed networks, with the pictures, masks and grades it belongs to."""
    from xailib.experiments import softcam as experiment

    return experiment.explorer()


@cache
def _pictures() -> dict[str, int]:
    """The stored pictures by grade and number."""
    names: dict[str, int] = {}
    for i, grade in enumerate(_stored()["grades"]):
        number = sum(name.startswith(_GRADES[grade]) for name in names) + 1
        names[f"{_GRADES[grade]} {number}"] = i
    return names


def _compute(picture: str, l1: int, l2: int, evidence: str, region: str, factor: float) -> Reading:
    """The evidence before and after the edit, and the scores of both, which are plain means."""
    stored, i = _stored(), _pictures()[picture]
    A = stored["evidence"][l1, l2, i][None].astype(np.float64)
    lesions = _cells(stored["masks"][i], A.shape[2])
    where = _region(A[0], lesions, region)
    edited = softcam.edit_maps(A, where, factor=factor)
    before, after = A.mean(axis=(2, 3))[0], edited.mean(axis=(2, 3))[0]
    heat = _heatmap(edited, evidence, stored["images"].shape[2:])
    k = _index(evidence)
    numbers: dict[str, float | int | str] = {
        "strengths, sparse and dense": f"{stored['l1'][l1]:g} and {stored['l2'][l2]:g}",
        "answer before, after the edit": f"{_CLASSES[before.argmax()]}, {_CLASSES[after.argmax()]}",
        f"score {_CLASSES[k]}, before": float(before[k]),
        f"score {_CLASSES[k]}, after": float(after[k]),
        "mean of what the edit added to it": float(((factor - 1) * A[0, k] * where).mean()),
        "probability of disease, before": float(1 - _softmax(before)[0]),
        "probability of disease, after": float(1 - _softmax(after)[0]),
        "this network: accuracy": float(stored["accuracy"][l1, l2]),
        "this network: activation precision": float(stored["precision"][l1, l2]),
        "this network: activation sensitivity": float(stored["sensitivity"][l1, l2]),
    }
    data = {"heat": heat, "before": before, "after": after, "image": stored["images"][i], "mask": stored["masks"][i]}
    limit = float(np.quantile(np.abs(_heatmap(A, evidence, stored["images"].shape[2:]).values), 0.995)) or 1.0
    return Reading(numbers, {**data, "where": where, "factor": factor, "limit": limit, "evidence": evidence, "region": region})


def _cells(mask: np.ndarray, side: int) -> np.ndarray:
    """Cells of the evidence maps, (side, side), of which any pixel is in the mask."""
    step = mask.shape[0] // side
    return np.array(mask.reshape(side, step, side, step).any(axis=(1, 3)))


def _region(A: np.ndarray, lesions: np.ndarray, region: str) -> np.ndarray:
    """The cells to edit, (h, w) bool."""
    from scipy.ndimage import binary_dilation

    if region == _BRIGHTEST:
        difference = A[1] - A[0]
        return np.array(difference == difference.max(), dtype=bool)
    if region == _LESIONS:
        return lesions
    near = binary_dilation(lesions, np.ones((3, 3)))
    return near if region == _RIM else ~near


def _index(evidence: str) -> int:
    return _CLASSES.index(evidence.split()[0])


def _heatmap(A: np.ndarray, evidence: str, shape: tuple[int, ...]) -> Heatmap:
    """The map to show: one class, or diseased set against healthy."""
    k, against = _index(evidence), 0 if "minus" in evidence else None
    values = A[:, k] - (0 if against is None else A[:, against])
    return Heatmap(values, np.array([k]), "evidence", (shape[0], shape[1]), values.mean(axis=(1, 2)))


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def _draw(reading: Reading, figure: FigureBase) -> None:
    """Picture, edited evidence and the scores; a panel of the filmstrip has room for the last two."""
    if not isinstance(figure, Figure):
        axes = figure.subplots(1, 2, width_ratios=[1.25, 1])
        _draw_evidence(reading, axes[0])
        _draw_scores(reading, axes[1])
        return
    figure.set_layout_engine("none")  # places of our own: computing a layout takes longer than the drawing
    pictures, scores = (figure.add_axes(place) for place in _PLACES)
    _draw_evidence(reading, pictures, "right")
    pictures.set_title("the eye; gold: lesions", fontsize=9, loc="left")
    side = len(reading.data["mask"])
    beside = (-side - 4.5, -4.5, side - 0.5, -0.5)
    pictures.imshow(np.moveaxis(reading.data["image"], 0, -1), extent=beside)
    pictures.contour(reading.data["mask"], levels=[0.5], colors=[plots.TRUTH], linewidths=1.2, extent=beside, origin="upper")
    pictures.set_xlim(-side - 4.5, side - 0.5)
    _draw_scores(reading, scores)


def _outline(mask: np.ndarray, ax: Axes) -> None:
    if mask.any():
        ax.contour(mask, levels=[0.5], colors=[plots.TRUTH], linewidths=1.2)


def _draw_evidence(reading: Reading, ax: Axes, loc: Literal["left", "right"] = "left") -> None:
    """The edited map over the grey eye, lesions in gold, the edited cells dashed."""
    data = reading.data
    plots.heatmap(data["heat"], ax, image=data["image"] / 255, limit=data["limit"])
    _outline(data["mask"], ax)
    where = np.kron(data["where"], np.ones([len(data["mask"]) // len(data["where"])] * 2)) > 0
    if where.any():
        ax.contour(where, levels=[0.5], colors="black", linewidths=0.8, linestyles="dashed")
    ax.set_title(f"evidence: {data['evidence']}\nfull colour at {data['limit']:.2g}", fontsize=9, loc=loc)


def _draw_scores(reading: Reading, ax: Axes) -> None:
    """Hollow bars before, filled bars after the edit."""
    before, after, factor = (reading.data[key] for key in ("before", "after", "factor"))
    places = np.arange(len(_CLASSES))
    ax.barh(places, after, height=0.5, color=np.where(after >= 0, plots.POSITIVE, plots.NEGATIVE))
    ax.barh(places, before, height=0.72, facecolor="none", edgecolor="black", linewidth=1)
    ax.axvline(0, color="black", lw=0.8)
    reach = 1.15 * max(1.0, float(np.abs([before, after]).max()))
    ax.set(xlim=(-reach, reach), ylim=(1.6, -0.6), yticks=places, yticklabels=_CLASSES)
    ax.locator_params(axis="x", nbins=4)
    ax.set_xlabel("score", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.set_title(f"filled: x {factor:g}\nhollow: before", fontsize=9)


def _verdict(reading: Reading, prediction: str | None) -> str:
    """Say what the edit did, to the last decimal, and whether the prediction held."""
    before, after, factor = (reading.data[key] for key in ("before", "after", "factor"))
    if factor == 1:
        return "Nothing is edited yet: move 'multiply by' away from 1, to 0 for an erased region."
    if not reading.data["where"].any():
        return "This eye has no such cells, so nothing was edited: choose a diseased one."
    happened = _STAYS if after.argmax() == before.argmax() else (_HEALTHY, _DISEASED)[after.argmax()]
    moved = ", ".join(f"{grade} {z:+.2f}" for grade, z in zip(_CLASSES, after - before, strict=True))
    measured = f"The answer {happened}. The scores moved by exactly the mean of what was changed: {moved}."
    if prediction is None or reading.data["region"] != _LESIONS or factor != 0:
        return measured
    return f"{measured} You predicted that it {prediction}: {'right' if prediction == happened else 'not this time'}."


LABS = [explorer_lab]
