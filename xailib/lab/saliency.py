"""Labs of chapter 8: look where a network looks, then cover the place and see whether the score agrees."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase, SubFigure
from matplotlib.patches import Rectangle

from xailib import evaluation, plots, saliency, worlds, zoo
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider
from xailib.results import Heatmap

_CAMS: dict[str, Callable[..., Heatmap]] = {
    "Grad-CAM": saliency.gradcam,
    "HiResCAM": saliency.hirescam,
    "LayerCAM": saliency.layercam,
}
_PIXEL_METHODS: dict[str, Callable[..., Heatmap]] = {
    "gradient": saliency.gradient,
    "SmoothGrad": saliency.smoothgrad,
    "integrated gradients": saliency.integrated_gradients,
}
_METHODS = (*(f"{cam}, relu{k}" for cam in _CAMS for k in (4, 3, 2, 1)), *_PIXEL_METHODS)
_NETWORKS = {"clean": "birds-cnn", "snow": "birds-cnn-snow"}
_QUESTIONS = ("own species", "own minus sibling", "sibling", "another family")
_GREY = 0.5
_STRONG = 0.995
_FAINT = 0.05
_FALLS, _DENTS, _HOLDS = "falls by more than half", "falls by less than half", "stays or rises"


def occluder_lab() -> Playground:
    """A heat map beside the picture, and a grey square to cover what the map calls important."""
    controls = {
        "network": choice("network", list(_NETWORKS)),
        "picture": choice("picture", list(_pictures())),
        "explain": choice("explain the score of", _QUESTIONS),
        "method": choice("method", list(_METHODS)),
        "threshold": slider("threshold, %", 20, 95, 50, 5),
        "left": slider("square left, px", 0, 56, 4, 4),
        "top": slider("square top, px", 0, 56, 4, 4),
        "size": slider("square size, px", 4, 32, 12, 4),
    }
    strip = [
        {"method": "Grad-CAM, relu4"},
        {"method": "LayerCAM, relu2"},
        {"method": "integrated gradients"},
        {"method": "Grad-CAM, relu4", "explain": "own minus sibling"},
        {"method": "HiResCAM, relu2", "explain": "own minus sibling"},
    ]
    question = "Move the square over the strongest spot of the map. The score ..."
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=[{**s, **_on_the_hot_spot(s)} for s in strip],
        title="Cover what the map calls important",
        predict=Prediction(question, [_FALLS, _DENTS, _HOLDS]),
        verdict=_verdict,
        size=(6.6, 3.6),
    )


@cache
def _world() -> Any:
    return worlds.birds(600, random_state=1)


@cache
def _pictures() -> dict[str, int]:
    """One held-out picture of each family, by species name."""
    world = _world()
    first = {int(world.y[i]) // 4: i for i in reversed(range(world.n_train, len(world.X)))}
    return {world.truth.species_names[world.y[i]]: i for _, i in sorted(first.items())}


@cache
def _network(name: str) -> Any:
    return zoo.load(_NETWORKS[name])


def _deciding_part(species: int) -> str:
    """The part that tells a species from the sibling of this lab."""
    return _world().truth.pivots(species)[1]


def _classes(species: int, explain: str) -> tuple[int, int | None]:
    """The class to explain, and the one it is set against."""
    sibling = _world().truth.sibling(species, _deciding_part(species))
    return {
        "own species": (species, None),
        "own minus sibling": (species, sibling),
        "sibling": (sibling, None),
        "another family": ((species + 4) % 20, None),
    }[explain]


@cache
def _map(network: str, picture: str, explain: str, method: str) -> Heatmap:
    world, i = _world(), _pictures()[picture]
    name, _, layer = method.partition(", ")
    at = (f"features.{layer}",) if layer else ()
    target, against = _classes(int(world.y[i]), explain)
    return (_CAMS | _PIXEL_METHODS)[name](_network(network), world.X[i : i + 1], *at, target=target, against=against)


def _score(network: str, image: np.ndarray, target: int, against: int | None) -> float:
    with torch.no_grad():
        scores = _network(network)(torch.from_numpy(image[None]))[0]
    return float(scores[target] - (0 if against is None else scores[against]))


def _compute(network: str, picture: str, explain: str, method: str, threshold: int, left: int, top: int, size: int) -> Reading:
    """The map, its scores against the deciding part, and the class score with and without the square."""
    world, i = _world(), _pictures()[picture]
    species = int(world.y[i])
    heat = _map(network, picture, explain, method)
    part = world.truth.mask(_deciding_part(species), [i])
    square = np.zeros(heat.image_shape, dtype=bool)
    square[top : top + size, left : left + size] = True
    painted = np.where(square, np.float32(_GREY), world.X[i])
    covers = square[np.unravel_index(heat.upsample()[0].argmax(), square.shape)]
    numbers = {
        "score, untouched": float(heat.score[0]),
        "score, square painted": _score(network, painted, *_classes(species, explain)),
        "share of the map under the square": float(evaluation.relevance_mass(heat, square)[0]),
        "square covers the strongest spot": "yes" if covers else "no",
        "deciding part": _deciding_part(species),
        "strongest spot on it (pointing game)": float(evaluation.pointing_game(heat, part)[0]),
        "IoU at the threshold": float(evaluation.iou(heat, part, threshold=threshold / 100)[0]),
        "relevance mass on it": float(evaluation.relevance_mass(heat, part)[0]),
        "relevance mass on the background": float(evaluation.relevance_mass(heat, world.truth.mask("background", [i]))[0]),
    }
    data = {
        "heat": heat,
        "painted": painted,
        "image": world.X[i],
        "part": part[0],
        "name": _deciding_part(species),
        "square": square,
    }
    return Reading(numbers, {**data, "level": threshold / 100})


def _draw(reading: Reading, figure: FigureBase) -> None:
    """The painted picture, and the map of the untouched one; a panel of the filmstrip has room for the map alone."""
    if isinstance(figure, SubFigure):
        _draw_map(reading, figure.subplots())
        return
    left, right = figure.subplots(1, 2)
    left.imshow(np.moveaxis(reading.data["painted"], 0, -1))
    left.set_title("what the network gets", fontsize=10)
    left.set_axis_off()
    _draw_map(reading, right)


def _draw_map(reading: Reading, ax: Axes) -> None:
    """The map with the deciding part, the threshold and the square."""
    data = reading.data
    big = data["heat"].upsample()[0]
    strong = float(np.quantile(np.abs(big), _STRONG))  # single pixels far above the rest would leave the others invisible
    plots.heatmap(data["heat"], ax, image=data["image"], limit=strong)
    ax.contour(data["part"], levels=[0.5], colors=[plots.TRUTH], linewidths=1.8)
    faint = big.max() < _FAINT * np.abs(big).max()
    if not faint:
        ax.contour(big, levels=[data["level"] * big.max()], colors="black", linewidths=0.9, linestyles="dashed")
    rows, columns = (np.flatnonzero(data["square"].any(axis=axis)) for axis in (1, 0))
    corner = (columns[0] - 0.5, rows[0] - 0.5)
    ax.add_patch(Rectangle(corner, len(columns), len(rows), fill=False, edgecolor="black", linewidth=1))
    note = "hardly anything speaks for it" if faint else f"full colour at {strong:.2g}"
    ax.set_title(f"gold: {data['name']}; {note}", fontsize=10)


def _verdict(reading: Reading, prediction: str | None) -> str:
    """Say what the square did, and whether that tests the map."""
    numbers = reading.numbers
    before, after = float(numbers["score, untouched"]), float(numbers["score, square painted"])
    if before <= 0:
        return f"The score was {before:.2f} before you painted anything: explain a class that the network believes in."
    happened = _FALLS if after < before / 2 else _DENTS if after < before else _HOLDS
    measured = f"The score {happened}: from {before:.2f} to {after:.2f}."
    if numbers["square covers the strongest spot"] == "no":
        return f"{measured} That was beside the strongest spot; cover it to test the map."
    if prediction is None:
        return measured
    return f"{measured} You predicted that it {prediction}: {'right' if prediction == happened else 'not this time'}."


def _on_the_hot_spot(settings: dict[str, str]) -> dict[str, int]:
    """Position that centres the square on the strongest spot, in steps of the sliders."""
    heat = _map("clean", next(iter(_pictures())), settings.get("explain", _QUESTIONS[0]), settings["method"])
    row, column = np.unravel_index(heat.upsample()[0].argmax(), heat.image_shape)
    return {"left": _edge(int(column)), "top": _edge(int(row))}


def _edge(centre: int) -> int:
    return int(np.clip(4 * round((centre - 6) / 4), 0, 52))


LABS = [occluder_lab]
