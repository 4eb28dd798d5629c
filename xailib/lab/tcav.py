"""Labs of chapter 9: click pictures into a concept, and see its vector, its examples, its score and how much that proves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure, FigureBase, SubFigure

from xailib import plots, tcav, worlds, zoo
from xailib.lab.playground import Playground, Prediction, Reading, choice, tiles

_NETWORKS = {"clean": "birds-cnn", "snow": "birds-cnn-snow"}
_SPECIES = {"bramble finch": 1, "acorn finch": 0, "fern jay": 5, "juniper wren": 9}
_LAYERS = ("pool2", "relu3", "relu4")
_WINGS = {"striped": 1, "plain": 0, "banded": 6}  # and a species that has them
_BOARD = (
    *(("striped", place) for place in ("meadow", "snow") for _ in range(6)),
    *((w, p) for w in ("plain", "banded") for p in ("meadow", "snow")),
)
_N_BOARD, _N_SETS, _N_CLASS, _N_VIEW = len(_BOARD), 19, 20, 48
_N_DRAWN = 40  # times the concept's pictures are drawn again
_ENOUGH = 8  # pictures for an accuracy: with fewer, the side of the one left out is outnumbered, which pushes it below chance
_SHOWN = 7
_LEVEL = 0.1  # the smallest p-value that 19 sets allow
_FOR, _AGAINST, _NOTHING = (
    "near 1, and significant at 10 %",
    "near 0, and significant at 10 %",
    "nothing that chance could not do",
)


def concept_builder() -> Playground:
    """A board of pictures to click into the concept set; the score of the set, its interval, and what random sets score."""
    pictures, captions = _board()
    for network in _NETWORKS:
        _spaces(network)
    striped = [k for k, (wing, _) in enumerate(_BOARD, start=1) if wing == "striped"]
    snowless, snowy = striped[:6], striped[6:]
    controls = {
        "concept": tiles("your concept", np.moveaxis(pictures, 1, -1), striped, captions=captions),
        "network": choice("network", list(_NETWORKS)),
        "species": choice("score of", list(_SPECIES)),
        "layer": choice("layer", list(_LAYERS)),
    }
    strip: list[dict[str, Any]] = [
        {"concept": tuple(striped)},
        {"concept": tuple(striped), "species": "acorn finch"},
        {"concept": tuple(striped), "layer": "relu4"},
        {"concept": tuple(snowy), "network": "snow", "species": "juniper wren"},
        {"concept": tuple(snowless), "network": "snow", "species": "juniper wren"},
    ]
    question = "The striped wings are chosen. For the acorn finch, whose wings are plain, their score will be ..."
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=strip,
        title="Build a concept by clicking pictures",
        predict=Prediction(question, [_FOR, _AGAINST, _NOTHING]),
        verdict=_verdict,
        size=(6.4, 4.4),
    )


@cache
def _world() -> Any:
    return worlds.birds(600, random_state=1)


@cache
def _rows() -> np.ndarray:
    """Training pictures in random order: the board, then pictures to sort, then the random sets."""
    return np.random.default_rng(0).permutation(_world().n_train)


@cache
def _board() -> tuple[np.ndarray, tuple[str, ...]]:
    """Pictures (16, 3, 64, 64) with striped, plain and banded wings, on a meadow and in snow, and what each shows."""
    render = _world().truth.render
    drawn = [
        render([i], part_from={"wing": _WINGS[wing]}, background=place) for i, (wing, place) in zip(_rows(), _BOARD, strict=False)
    ]
    return np.concatenate(drawn), tuple(f"{wing} wings, {place}" for wing, place in _BOARD)


@dataclass(frozen=True, eq=False)
class _Space:
    """One network at one layer: inner products of all pictures, and the slopes of the class scores along each picture."""

    K: np.ndarray  # (pictures, pictures)
    slopes: dict[str, np.ndarray]  # species -> (class pictures, pictures)


@cache
def _spaces(network: str) -> dict[str, _Space]:
    """Every layer of one network, from one pass forwards and one backwards."""
    world, net = _world(), zoo.load(_NETWORKS[network]).requires_grad_(False)
    A = _kept(net, np.concatenate([_board()[0], world.X[_rows()[_N_BOARD : _first_set() + _N_SETS * _N_BOARD]]]))
    A = {layer: a - a.mean(dim=0) for layer, a in A.items()}
    slopes: dict[str, dict[str, np.ndarray]] = {layer: {} for layer in _LAYERS}
    for species, number in _SPECIES.items():
        own = _kept(net, world.X[world.y == number][:_N_CLASS], number)
        for layer, gradient in own.items():
            slopes[layer][species] = (gradient @ A[layer].T).numpy()
    return {layer: _Space((A[layer] @ A[layer].T).double().numpy(), slopes[layer]) for layer in _LAYERS}


def _kept(net: Any, images: np.ndarray, target: int | None = None) -> dict[str, torch.Tensor]:
    """What each layer gives for each image as one row; with a target, the gradient of its logit instead."""
    a, kept = torch.from_numpy(np.ascontiguousarray(images)), {}
    with torch.set_grad_enabled(target is not None):
        for name, layer in net.features.named_children():
            a = layer(a)
            if name in _LAYERS:
                a = kept[name] = a.requires_grad_() if name == _LAYERS[0] and target is not None else a
        if target is not None:
            logit = net.classifier(a.mean(dim=(2, 3)))[:, target].sum()
            kept = dict(zip(kept, torch.autograd.grad(logit, list(kept.values())), strict=True))
    return {name: rows.flatten(1) for name, rows in kept.items()}


def _first_set() -> int:
    return _N_BOARD + _N_VIEW


def _sets(size: int) -> np.ndarray:
    """Rows of the random sets, cut to the size of the concept: (sets, size)."""
    return _first_set() + _N_BOARD * np.arange(_N_SETS)[:, None] + np.arange(size)


@dataclass(frozen=True, eq=False)
class _Cavs:
    """Many ridge classifiers at once: rows (runs, pictures), the weight of each in the concept vector, and the accuracies."""

    rows: np.ndarray
    weights: np.ndarray
    accuracy: np.ndarray

    def scores(self, slopes: np.ndarray) -> np.ndarray:
        """Share of the class pictures whose logit grows along each vector, half for a slope of zero: (runs,)."""
        along = np.einsum("crp,rp->rc", slopes[:, self.rows], self.weights)
        return (1 + np.sign(along).mean(axis=1)) / 2


def _cavs(K: np.ndarray, concepts: np.ndarray, randoms: np.ndarray) -> _Cavs:
    """From rows (runs, n) on either side; the accuracy leaves each picture out in turn, which ridge does without refitting."""
    rows, n = np.concatenate([concepts, randoms], axis=1), concepts.shape[1]
    y = np.repeat([1.0, -1.0], [n, randoms.shape[1]])
    G = K[rows[:, :, None], rows[:, None, :]]
    middle = G.mean(axis=1)
    G = G - middle[:, None] - middle[:, :, None] + middle.mean(axis=1)[:, None, None]
    strength = tcav.PENALTY * np.trace(G, axis1=1, axis2=2)
    inverse = np.linalg.inv(G + strength[:, None, None] * np.eye(len(y)))
    weights = inverse @ (y - y.mean())
    hat = G @ inverse + 1 / len(y)
    left_out = y - (y - hat @ y) / np.maximum(1 - np.diagonal(hat, axis1=1, axis2=2), 1e-9)
    right = left_out * y > 0
    accuracy = (right[:, :n].mean(axis=1) + right[:, n:].mean(axis=1)) / 2
    return _Cavs(rows, weights - weights.mean(axis=1, keepdims=True), accuracy)


@cache
def _controls(network: str, layer: str, species: str, size: int) -> np.ndarray:
    """For each random set the sum of its scores against all others, (sets,)."""
    space, sets = _spaces(network)[layer], _sets(size)
    i, j = np.array(list(combinations(range(_N_SETS), 2))).T
    scores = _cavs(space.K, sets[i], sets[j]).scores(space.slopes[species])
    return np.bincount(i, scores, _N_SETS) + np.bincount(j, 1 - scores, _N_SETS)


def _compute(concept: tuple[int, ...], network: str, species: str, layer: str) -> Reading:
    """Score of the chosen set against 19 random sets, its interval, and its rank among the same scores of the random sets.

    The interval is of the score itself, the mean over the random sets, with the concept's pictures drawn again.
    """
    chosen = np.array(concept, dtype=int) - 1
    if len(chosen) < 2:
        return Reading({"pictures in the concept": len(chosen), "next": "choose at least two"}, None)
    space, sets = _spaces(network)[layer], _sets(len(chosen))
    cavs = _cavs(space.K, np.tile(chosen, (_N_SETS, 1)), sets)
    runs = cavs.scores(space.slopes[species])
    null = (_controls(network, layer, species, len(chosen)) + 1 - runs) / _N_SETS
    above, below = np.sum(null >= runs.mean() - 1e-12), np.sum(null <= runs.mean() + 1e-12)
    p = min(1.0, 2 * (1 + min(above, below)) / (1 + _N_SETS))
    drawn = np.random.default_rng(0).choice(chosen, (_N_DRAWN, len(chosen)))
    again = _cavs(space.K, np.repeat(drawn, _N_SETS, axis=0), np.tile(sets, (_N_DRAWN, 1))).scores(space.slopes[species])
    low, high = np.quantile(again.reshape(_N_DRAWN, _N_SETS).mean(axis=1), [_LEVEL / 2, 1 - _LEVEL / 2])
    numbers: dict[str, float | int | str] = {
        "TCAV score, mean of 19 runs": float(runs.mean()),
        "interval, 90 %, pictures drawn again": f"{low:.2f} to {high:.2f}",
        "p-value, permutation": float(p),
        "CAV accuracy, left out in turn": float(cavs.accuracy.mean()) if len(chosen) >= _ENOUGH else "needs 8 pictures",
        "pictures in the concept": len(chosen),
    }
    data = {"score": runs.mean(), "interval": (low, high), "null": null, "order": _sorted(space, chosen), "species": species}
    return Reading(numbers, data)


def _sorted(space: _Space, chosen: np.ndarray) -> np.ndarray:
    """Pictures to sort, from the one farthest along the concept vector to the one farthest against it."""
    cav = _cavs(space.K, chosen[None], _sets(_N_BOARD).reshape(1, -1)[:, : 4 * _N_BOARD])
    view = np.arange(_N_BOARD, _first_set())
    order = np.argsort(-space.K[np.ix_(view, cav.rows[0])] @ cav.weights[0], kind="stable")
    return _rows()[view[order]]


def _draw(reading: Reading, figure: FigureBase) -> None:
    """The pictures at both ends of the concept vector, and the score among those of random sets."""
    if reading.data is None:
        figure.text(0.5, 0.5, "Choose at least two pictures.", ha="center")
        return
    data, small = reading.data, isinstance(figure, SubFigure)
    fixed = {}
    if isinstance(figure, Figure):  # places by hand: a layout engine would measure every text twice, half of the time of a click
        figure.set_layout_engine("none")
        fixed = {"left": 0.1, "right": 0.98, "top": 0.93, "bottom": 0.12, "hspace": 0.35}
    ends, strip = figure.subplots(2, 1, height_ratios=[1.5, 1], gridspec_kw=fixed)
    order = data["order"]
    ends.imshow(np.vstack([_row(order[:_SHOWN]), _row(order[::-1][:_SHOWN])]))
    ends.set(xticks=[], yticks=[32, 96], yticklabels=["most", "least"])
    ends.grid(visible=False)
    ends.set_title("like the concept, of 48 other pictures", fontsize=9 if small else 10)
    low, high = data["interval"]
    shake = np.random.default_rng(0).uniform(-0.25, 0.25, len(data["null"]))
    strip.plot(data["null"], shake, "o", color=plots.CONTEXT, ms=4)
    strip.plot([low, high], [0, 0], color=plots.ANCHOR, lw=2)
    strip.plot(data["score"], 0, "D", color=plots.ANCHOR, ms=8)
    strip.axvline(0.5, color="black", lw=0.8, ls="dotted")
    strip.set(xlim=(-0.03, 1.03), ylim=(-0.6, 0.6), yticks=[], xlabel=f"TCAV score of the {data['species']}")
    strip.set_title("diamond: your concept; grey: random sets", fontsize=9 if small else 10)


def _row(numbers: np.ndarray) -> np.ndarray:
    """Pictures side by side, (64, 64 n, 3)."""
    return np.concatenate(list(np.moveaxis(_world().X[numbers], 1, -1)), axis=1)


def _verdict(reading: Reading, prediction: str | None) -> str:
    """What the numbers say, beside what was predicted."""
    if reading.data is None:
        return "There is no concept yet: choose at least two pictures."
    score, p = float(reading.numbers["TCAV score, mean of 19 runs"]), float(reading.numbers["p-value, permutation"])
    happened = _NOTHING if p > _LEVEL else _FOR if score > 0.5 else _AGAINST
    measured = f"For the {reading.data['species']}: {score:.2f} with p = {p:.2f}, {happened}."
    if prediction is None or reading.data["species"] != "acorn finch":
        return f"{measured} The prediction was for the acorn finch: choose it to see whether it holds."
    return f"{measured} You predicted {prediction}: {'right' if prediction == happened else 'not this time'}."


LABS = [concept_builder]
