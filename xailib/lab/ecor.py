"""Lab of chapter 15: change the sentences, the candidates, the order and the tokens, and watch joint and vote."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import ecor, plots
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider

_SENTENCES = {
    "... because there is ...": "This is a photo of a {c} because there is {r}.",
    "... with ...": "This is a photo of a {c} with {r}.",
    "since there is ..., this is ...": "Since there is {r}, this is a {c}.",
    "... despite ... (a word in no caption)": "This is a photo of a {c} despite {r}.",
}
_BOOK, _STRANGERS, _NO_BODY = "the book", "the book and strangers", "the book without bodies"
_PLACES = ((0.005, 0.24, 0.22, 0.56), (0.4, 0.17, 0.19, 0.72), (0.605, 0.17, 0.39, 0.72))  # left, bottom, width, height
_SAME, _SOME, _MOST = "none or one", "two or three", "four or five"


def joint_lab() -> Playground:
    """P(r|I), the joint and the vote of one picture, under sentences, candidates, factorisation and tokens of your choice."""
    controls = {
        "picture": choice("picture", list(_pictures())),
        "way": choice("joint", list(ecor.FACTORISATIONS)),
        "sentence": choice("pair sentence", list(_SENTENCES)),
        "candidates": choice("rationales", (_BOOK, _STRANGERS, _NO_BODY)),
        "tokens": choice("tuned tokens", [str(n) for n in _stored()["n_tokens"]]),
        "k": slider("pairs that vote", 1, 15, 5),
    }
    for sentence in _SENTENCES:
        _texts(sentence)  # now, so that no step of a control waits for it
    first = next(iter(_pictures()))
    strip: list[dict[str, Any]] = [
        {"picture": first},
        {"picture": first, "sentence": "... with ..."},
        {"picture": first, "way": "category-first"},
        {"picture": first, "way": "dror"},
        {"picture": first, "tokens": "8"},
    ]
    question = "Replace 'because there is' by 'with' in the sentence about pairs. How many of the five best pairs change?"
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=strip,
        title="A joint of category and reason",
        predict=Prediction(question, [_SAME, _SOME, _MOST]),
        verdict=_verdict,
        size=(6.5, 3.4),
    )


@cache
def _stored() -> dict[str, np.ndarray]:
    """Eight held-out pictures and their vectors with more and more tuned tokens."""
    from xailib.experiments import ecor as experiment

    return experiment.explorer()


@cache
def _pictures() -> dict[str, int]:
    """The stored pictures by number and true species."""
    return {f"{i + 1}: {_candidates(_BOOK).categories[species]}": i for i, species in enumerate(_stored()["y"])}


@cache
def _candidates(name: str) -> ecor.Rationales:
    from xailib.experiments import ecor as experiment

    book = experiment.book(extra=experiment.STRANGERS if name == _STRANGERS else ())
    if name != _NO_BODY:
        return book
    return ecor.rationales({c: [r for r in book.of(c) if not r.endswith("body")] for c in book.categories})


@cache
def _texts(sentence: str) -> tuple[dict[str, np.ndarray], float]:
    """Vectors of all sentences with all rationales, by template, and the scale."""
    import torch

    from xailib import zoo

    towers, candidates = zoo.load("birds-clip"), _candidates(_STRANGERS)
    templates, vectors = ecor.Templates(pair=_SENTENCES[sentence]), {}
    for way in ("ecor", "independence", "false conditioning", "with"):
        for name, texts in ecor.prompts(candidates, factorisation=way, templates=templates).items():
            with torch.no_grad():
                vectors[name] = towers.encode_text(list(texts.ravel())).numpy().reshape(*texts.shape, -1)
    return vectors, towers.logit_scale


@cache
def _beliefs(picture: int, way: str, sentence: str, candidates: str, tokens: str) -> ecor.Beliefs:
    vectors, tau = _texts(sentence)
    chosen = _candidates(candidates)
    own = [_candidates(_STRANGERS).number(r) for r in chosen.rationales]
    v = _stored()["vectors"][_place(tokens), picture].astype(float)
    scores = {name: tau * (t if name == "category" else t[..., own, :]) @ v for name, t in vectors.items()}
    return ecor.from_scores({name: s[None] for name, s in scores.items()}, chosen, factorisation=way)


def _compute(picture: str, way: str, sentence: str, candidates: str, tokens: str, k: int) -> Reading:
    """The joint, its k best pairs, their vote, and what of it can be seen."""
    i, stored = _pictures()[picture], _stored()
    believed = _beliefs(i, way, sentence, candidates, tokens)
    pairs, names = believed.top_pairs(k), believed.rationales
    seen, y = _seen(i, names), int(stored["y"][i])
    word = str(ecor.outcomes(pairs, [y], seen[None])[0])
    voted = int(ecor.vote(pairs)[0])
    best = int(believed.rationale[0].argmax())
    numbers: dict[str, float | int | str] = {
        "the vote, and the truth": f"{names.categories[voted]}, {names.categories[y]}",
        "category and reason": word,
        "shown rationales that can be seen": f"{int(seen[pairs.rationale[0]].sum())} of {k}",
        "most probable rationale": f"{names.rationales[best]}, {believed.rationale[0, best]:.2f}",
        "P(c|I) of the true species": float(believed.category[0, y]),
        "best pair": float(pairs.probability[0, 0]),
        "RR with these tokens, 400 pictures": float(stored["RR"][_place(tokens)]),
    }
    data = {"believed": believed, "pairs": pairs, "seen": seen, "y": y, "voted": voted, "word": word, "k": k}
    image = np.moveaxis(stored["images"][i], 0, -1)
    return Reading(numbers, {**data, "image": image, "changed": _changed(i, way, candidates, tokens), "way": way})


def _seen(picture: int, names: ecor.Rationales) -> np.ndarray:
    """Which candidates can be seen in the picture, (R,) bool; the stored truth is in the order of the book."""
    book = _candidates(_BOOK).rationales
    truth = {r for r, there in zip(book, _stored()["seen"][picture], strict=True) if there}
    return np.array([r in truth for r in names.rationales])


def _place(tokens: str) -> int:
    """Where the stored arrays have this number of tokens."""
    return int(np.flatnonzero(_stored()["n_tokens"] == int(tokens))[0])


def _changed(picture: int, way: str, candidates: str, tokens: str) -> int:
    """How many of the five best pairs under "because" are no longer there under "with"."""
    because, beside = (
        {(int(c), int(r)) for c, r in zip(p.category[0], p.rationale[0], strict=True)}
        for p in (_beliefs(picture, way, s, candidates, tokens).top_pairs(5) for s in list(_SENTENCES)[:2])
    )
    return len(because - beside)


def _draw(reading: Reading, figure: FigureBase) -> None:
    """The picture, bars of P(r|I), and beside them the joint with the ranks of the pairs that vote."""
    if not isinstance(figure, Figure):
        _draw_joint(reading, figure.subplots(), *_best(reading, 5, 3), labelled=True)
        return
    rows, columns = _best(reading, 7, 4)
    figure.set_layout_engine("none")  # places of our own: computing a layout takes longer than the drawing
    picture, bars, table = (figure.add_axes(place) for place in _PLACES)
    picture.imshow(reading.data["image"])
    picture.set_axis_off()
    picture.set_title(f"{reading.data['word']}: {_short(reading, reading.data['voted'])}", fontsize=9, loc="left")
    _draw_bars(reading, bars, rows)
    _draw_joint(reading, table, rows, columns)


def _best(reading: Reading, n_rows: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rationales and categories to show: those of the pairs, then probable ones; the true category in any case."""
    believed, pairs, y = (reading.data[key] for key in ("believed", "pairs", "y"))
    rows = _first_of(believed.rationale[0], pairs.rationale[0], n_rows)
    columns = _first_of(believed.category[0], np.append(pairs.category[0], y), n_columns)
    return rows, columns if y in columns else np.append(columns[:-1], y)


def _first_of(probability: np.ndarray, wanted: np.ndarray, n: int) -> np.ndarray:
    """Numbers of n entries, the most probable first; those that pairs name displace all others."""
    chosen = np.lexsort((-probability, -np.isin(np.arange(len(probability)), wanted).astype(int)))[:n]
    return chosen[np.argsort(-probability[chosen], kind="stable")]


def _short(reading: Reading, category: int) -> str:
    name = reading.data["believed"].rationales.categories[category]
    return f"{name} (true)" if category == reading.data["y"] else name


def _draw_bars(reading: Reading, ax: Axes, rows: np.ndarray) -> None:
    """P(r|I): gold with a tick for what can be seen."""
    p, seen = reading.data["believed"].rationale[0, rows], reading.data["seen"][rows]
    ax.barh(range(len(rows)), p, color=np.where(seen, plots.TRUTH, plots.CONTEXT), height=0.7)
    names = [reading.data["believed"].rationales.rationales[r] for r in rows]
    labels = [f"{name} \u2713" if there else name for name, there in zip(names, seen, strict=True)]
    ax.set(yticks=range(len(rows)), yticklabels=labels, xlim=(0, max(0.3, 1.08 * p.max())), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xticks([0, 0.2] if p.max() < 0.4 else [0, 0.5])
    ax.tick_params(labelsize=7)
    ax.set_xlabel("probability", fontsize=8)
    ax.grid(False)
    ax.set_title("P(r|I), \u2713 visible", fontsize=8, loc="left")


def _draw_joint(reading: Reading, ax: Axes, rows: np.ndarray, columns: np.ndarray, *, labelled: bool = False) -> None:
    """The joint as a table; numbers are ranks of the pairs that vote."""
    believed, pairs = reading.data["believed"], reading.data["pairs"]
    table = believed.joint[0][np.ix_(columns, rows)].T
    ax.imshow(table, cmap="Greys", vmin=0, vmax=max(0.1, table.max()) * 1.6, aspect="auto")
    marks = []
    ranks = {(int(c), int(r)): k + 1 for k, (c, r) in enumerate(zip(pairs.category[0], pairs.rationale[0], strict=True))}
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            if (int(c), int(r)) in ranks:
                right = c == reading.data["y"] and reading.data["seen"][r]
                marks.append((j, i, plots.TRUTH if right else plots.ANCHOR, 1.8 if right else 0.8))
                ax.text(j, i, f"{ranks[c, r]}", ha="center", va="center_baseline", fontsize=7)
    if marks:
        x, y, colours, widths = zip(*marks, strict=True)
        ax.scatter(x, y, s=110, marker="s", c="white", edgecolors=colours, linewidths=widths)
    names = [believed.rationales.rationales[r] for r in rows] if labelled else []
    ax.set(xticks=range(len(columns)), yticks=range(len(names)), yticklabels=names)
    ax.set_xticklabels([_short(reading, c).replace(" ", "\n", 1) for c in columns], fontsize=6.5)
    ax.tick_params(axis="y", labelsize=7)
    ax.grid(False)
    ax.set_title(f"joint, {reading.data['way']}, and its {reading.data['k']} best pairs", fontsize=8, loc="left")


def _verdict(reading: Reading, prediction: str | None) -> str:
    """Say how many pairs hang on the word, and whether the prediction held."""
    changed = reading.data["changed"]
    happened = _SAME if changed < 2 else _SOME if changed < 4 else _MOST
    measured = f"With 'with' for 'because there is', {changed} of the five best pairs of '{reading.data['way']}' change."
    if prediction is None:
        return measured
    return f"{measured} You predicted {prediction}: {'right' if prediction == happened else 'not this time'}."


LABS = [joint_lab]
