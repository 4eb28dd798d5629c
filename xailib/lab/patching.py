"""Labs of chapter 12."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase, SubFigure

from xailib import patching, plots, worlds, zoo
from xailib.lab.playground import Playground, Prediction, Reading, choice, switch, tiles
from xailib.patching import Site

_WORDS = "unlike Oslo , people in Paris speak"
_OTHERS = {
    "another deciding city": "unlike Oslo , people in Rome speak",
    "both cities": "unlike Berlin , people in Rome speak",
}
_ANSWERS = ("French", "Italian")
#: what is patched at a place: hook points of the layer, each with a head or None
_PARTS: dict[str, list[tuple[str, int | None]]] = {
    "residual stream": [("resid_pre", None)],
    "attention output": [("attn_out", None)],
    "MLP output": [("mlp.out", None)],
    **{f"head {h}": [("attention.heads", h)] for h in range(4)},
    "heads 0 and 1": [("attention.heads", 0), ("attention.heads", 1)],
    "heads 2 and 3": [("attention.heads", 2), ("attention.heads", 3)],
    "head 3 and MLP": [("attention.heads", 3), ("mlp.out", None)],
}
_LENGTH, _LAYERS = 8, 2
_SUBJECT, _LAST, _OSLO = 6, 7, 2
_PARIS, _SPEAK, _BOTH = "Paris, tile 15", "speak, tile 16", "only both together"


def patching_board() -> Playground:
    """A board of places to click: every click patches one more place, and fills its cell of the map."""
    pictures, captions = _board()
    for part in _PARTS:
        _singles(part, next(iter(_OTHERS)), False)
    controls = {
        "places": tiles("places", pictures, [7], captions=captions),
        "part": choice("part", list(_PARTS)),
        "corrupted": choice("changed", list(_OTHERS)),
        "noise": switch("noise"),
    }
    strip: list[dict[str, Any]] = [
        {"places": (7, 8)},
        {"places": (15, 16)},
        {"places": (8, 16), "part": "heads 2 and 3"},
        {"places": (3, 7), "corrupted": "both cities"},
        {"places": (15, 16), "noise": True},
    ]
    question = (
        "Tile 7 is Paris before the first layer; patched, it brings French back. Which place does so before the second layer?"
    )
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=strip,
        title=f"Patch places of '{_WORDS} ...' (French, not Italian)",
        predict=Prediction(question, [_PARIS, _SPEAK, _BOTH]),
        verdict=_verdict,
        size=(6.4, 4.2),
    )


@cache
def _model() -> Any:
    return zoo.load("facts-transformer")


@cache
def _tokens() -> dict[str, np.ndarray]:
    """The clean prompt (under "") and the corrupted ones, (1, 8) each."""
    vocabulary = zoo.vocabulary("facts-transformer")
    return {name: vocabulary.encode([f"<s> {text}"]) for name, text in {"": _WORDS, **_OTHERS}.items()}


@cache
def _answers() -> np.ndarray:
    vocabulary = worlds.facts().truth.vocabulary
    return np.array([[vocabulary.number(word) for word in _ANSWERS]])


@cache
def _board() -> tuple[np.ndarray, tuple[str, ...]]:
    """A picture of each word in each layer (16, 68, 68, 3), and a caption."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    words = ["<s>", *_WORDS.split()]
    pictures = []
    for layer in range(_LAYERS):
        for word in words:
            figure = Figure(figsize=(0.68, 0.68), dpi=100, facecolor=("#8fa3b5", "#c9b48c")[layer])
            canvas = FigureCanvasAgg(figure)
            figure.text(0.5, 0.66, word, ha="center", va="center", fontsize=8, color="black")
            figure.text(0.96, 0.06, f"layer {layer}", ha="right", va="bottom", fontsize=5.5, color="black")
            canvas.draw()
            pictures.append(np.asarray(canvas.buffer_rgba())[:, :, :3] / 255)
    captions = [f"'{word}' in layer {layer}" for layer in range(_LAYERS) for word in words]
    return np.array(pictures), tuple(captions)


def _runs(corrupted: str, noise: bool) -> tuple[np.ndarray, np.ndarray]:
    """Tokens to patch into, and tokens whose values are taken."""
    clean, other = _tokens()[""], _tokens()[corrupted]
    return (clean, other) if noise else (other, clean)


@lru_cache(maxsize=64)
def _singles(part: str, corrupted: str, noise: bool) -> tuple[np.ndarray, float, float]:
    """What each place does alone, (2, 8), and the logit differences of the clean and the corrupted run."""
    into, source = _runs(corrupted, noise)
    into, source = (np.repeat(tokens, _LENGTH, axis=0) for tokens in (into, source))
    one_each = np.arange(_LENGTH)  # row p patches position p
    scores = [patching.patch(_model(), into, source, _sites(part, layer, one_each)) for layer in range(_LAYERS)]
    patched = np.array([patching.logit_difference(found, _answers()[0]) for found in scores])
    both = np.concatenate([_tokens()[""], _tokens()[corrupted]])
    clean, other = patching.logit_difference(patching.record(_model(), both, "embedded").scores, _answers()[0]).tolist()
    return (patched - other) / (clean - other), clean, other


def _compute(places: tuple[int, ...], part: str, corrupted: str, noise: bool) -> Reading:
    """Logit difference with all chosen places patched at once, beside what each does alone."""
    values, clean, other = _singles(part, corrupted, noise)
    start = clean if noise else other
    sites = [site for place in places for site in _sites(part, *divmod(place - 1, _LENGTH))]
    into, source = _runs(corrupted, noise)
    patched = float(patching.logit_difference(patching.patch(_model(), into, source, sites), _answers())[0]) if sites else start
    together = (patched - other) / (clean - other)
    worth = 1 - values if noise else values  # noise: what is taken away
    alone = [worth[divmod(place - 1, _LENGTH)] for place in places]
    numbers: dict[str, float | int | str] = {
        "logit difference": round(patched, 2) + 0.0,
        "scale: 0 corrupted, 1 clean": round(together, 2) + 0.0,
        "the places one by one": ", ".join(f"{value + 0:.2f}".replace("-0.00", "0.00") for value in alone) or "none",
        "untouched clean, corrupted": f"{clean:.2f}, {other:.2f}",
        "places patched": len(places),
    }
    data = {"places": places, "worth": worth, "together": together, "noise": noise, "part": part}
    return Reading(numbers, data)


def _sites(part: str, layer: int, position: Any) -> list[Site]:
    return [Site(f"blocks.{layer}.{point}", head, position) for point, head in _PARTS[part]]


def _draw(reading: Reading, figure: FigureBase) -> None:
    """The map, filled where somebody clicked, and the scale below it."""
    data, small = reading.data, isinstance(figure, SubFigure)
    fixed = {}
    if isinstance(figure, Figure):  # places by hand: a layout engine would measure every text twice
        figure.set_layout_engine("none")
        fixed = {"left": 0.1, "right": 0.97, "top": 0.9, "bottom": 0.13, "hspace": 0.75}
    board, scale = figure.subplots(2, 1, height_ratios=[2.2, 1], gridspec_kw=fixed)
    filled = np.full((_LAYERS, _LENGTH), np.nan)
    for tile in range(1, _LAYERS * _LENGTH + 1):
        layer, position = where = divmod(tile - 1, _LENGTH)
        ink = "black"
        if tile in data["places"]:
            filled[where] = data["worth"][where]
            ink = "white" if abs(filled[where]) > 0.6 else "black"
            text = f"{filled[where] + 0:.2f}".replace("-0.00", "0.00")
            board.text(position, layer + 0.1, text, ha="center", va="center", fontsize=7 if small else 10, color=ink)
        board.text(position - 0.45, layer - 0.44, str(tile), ha="left", va="top", fontsize=5 if small else 7, color=ink)
    board.patch.set(facecolor="#e6e6e6")
    board.imshow(filled, cmap=plots.SIGNED_MAP, vmin=-1, vmax=1, aspect="auto")
    size = 7 if small else 9
    board.set_xticks(range(_LENGTH), ["<s>", *_WORDS.split()], fontsize=size, rotation=90 if small else 0)
    board.set_yticks(range(_LAYERS), [f"layer {layer}" for layer in range(_LAYERS)], fontsize=size)
    board.grid(visible=False)
    alone = "what each place alone takes away" if data["noise"] else "each place alone"
    title = f"{data['part']}: {alone}" + ("" if small else " (grey: not clicked)")
    board.set_title(title, fontsize=8 if small else 10)
    scale.axvline(0, color=plots.NEGATIVE, lw=1.5)
    scale.axvline(1, color=plots.POSITIVE, lw=1.5)
    scale.plot([1.0 if data["noise"] else 0.0, data["together"]], [0, 0], color=plots.ANCHOR, lw=2)
    scale.plot(data["together"], 0, "D", color=plots.ANCHOR, ms=9)
    label = f"{data['together'] + 0:.2f}".replace("-0.00", "0.00")
    plain = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    scale.text(data["together"], 0.4, label, ha="center", va="bottom", fontsize=size, bbox=plain)
    scale.set(xlim=(-0.55, 1.55), ylim=(-1, 1), yticks=[])
    scale.set_xticks([0, 1], ["corrupted: Italian", "clean: French"], fontsize=size)
    scale.set_title("all clicked places at once", fontsize=8 if small else 10)


def _verdict(reading: Reading, prediction: str | None) -> str:
    """What brings the answer back before the second layer, beside what was predicted."""
    values = _singles("residual stream", next(iter(_OTHERS)), False)[0][1]
    happened = _SPEAK if values[_LAST] > 0.8 else _PARIS if values[_SUBJECT] > 0.8 else _BOTH
    measured = f"Residual stream before layer 1: 'Paris' {values[_SUBJECT] + 0:.2f}, 'speak' {values[_LAST]:.2f}."
    here = f" Your {reading.numbers['places patched']} places together: {reading.data['together'] + 0:.2f}."
    if prediction is None:
        return measured + here
    return f"{measured} You predicted {prediction}: {'right' if prediction == happened else 'not this time'}.{here}"


LABS = [patching_board]
