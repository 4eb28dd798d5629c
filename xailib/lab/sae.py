"""Labs of chapter 13: features crowd into two dimensions, a dictionary of the wrong size, and a dial inside a mail filter."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import FigureBase, SubFigure

from xailib import plots, sae, worlds, zoo
from xailib.experiments import sae as stored
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider, switch

# --- superposition ----------------------------------------------------------------------------------------------------

_FOUR, _FIVE, _TWO = "two opposite pairs: four", "all five", "still two"


def superposition() -> Playground:
    """Make features rarer and watch how many directions two dimensions hold."""
    controls = {
        "rarity": slider("rarity of features (0: always on)", 0, len(stored.DENSITIES) - 1, 0),
        "features": slider("features", stored.FEATURES[0], stored.FEATURES[-1], 5),
        "equal": switch("all equally important"),
    }
    strip: list[dict[str, Any]] = [{"rarity": 0}, {"rarity": 4}, {"rarity": 6}, {"rarity": 8}, {"rarity": 8, "features": 7}]
    question = "Five features in two dimensions, each on in 30 % of the inputs (rarity 4). How many get a direction of their own?"
    return Playground(
        _compute_toy,
        _draw_toy,
        controls,
        filmstrip=strip,
        title="Superposition: features in two dimensions",
        predict=Prediction(question, [_TWO, _FOUR, _FIVE]),
        verdict=_verdict_toy,
        size=(6.2, 3.4),
    )


def _compute_toy(rarity: int, features: int, equal: bool) -> Reading:
    arrays, where = stored.explorer(), (stored.FEATURES.index(features), int(equal), rarity)
    importance = stored.DECAYS[int(equal)] ** np.arange(features)
    W, b = arrays["W"][where][:, :features].astype(float), arrays["b"][where][:features].astype(float)
    toy = sae.ToyModel(W, b, stored.DENSITIES[rarity], importance, float(arrays["loss"][where]))
    numbers: dict[str, float | int | str] = {
        "density": toy.density,
        "features with a direction of their own": toy.n_represented,
        "mean interference": float(toy.interference[toy.norms >= sae.REPRESENTED].mean()),
        "loss": toy.loss,
    }
    return Reading(numbers, toy)


def _draw_toy(reading: Reading, figure: FigureBase) -> None:
    toy = reading.data
    plane, bars = figure.subplots(1, 2, width_ratios=[1.7, 1])
    toy.plot(plane)
    plane.set_title("directions of the features", fontsize=9)
    kept = toy.norms >= sae.REPRESENTED
    colours = np.select([toy.represented, kept], [plots.ANCHOR, plots.NEGATIVE], plots.CONTEXT)
    bars.barh(np.arange(1, len(kept) + 1), toy.norms, color=colours, height=0.6)
    bars.axvline(sae.REPRESENTED, color="black", lw=0.8, ls="dotted")
    bars.set(xlim=(0, 1.5), yticks=range(1, len(kept) + 1), xlabel="length of the direction", ylabel="feature")
    bars.invert_yaxis()
    shared = " (dashed: shared)" if (kept & ~toy.represented).any() else ""
    bars.set_title(f"density {toy.density:g}{shared}", fontsize=9)


def _verdict_toy(reading: Reading, prediction: str | None) -> str:
    toy, n = reading.data, int(reading.numbers["features with a direction of their own"])
    measured = f"{n} of {len(toy.norms)} features have a direction of their own at density {toy.density:g}."
    asked = toy.density == 0.3 and len(toy.norms) == 5
    if prediction is None or not asked:
        return f"{measured} The prediction was for five features at rarity 4: go there to see whether it holds."
    happened = {2: _TWO, 4: _FOUR, 5: _FIVE}.get(n)
    return f"{measured} You predicted {prediction}: {'right' if prediction == happened else 'not this time'}."


# --- a dictionary of the wrong size -------------------------------------------------------------------------------------

_LOWER, _SAME, _HIGHER = "clearly lower", "about the same", "clearly higher"


def dictionary_bench() -> Playground:
    """Size and sparsity of a dictionary, live: what of the planted features it finds, and how good it looks."""
    controls = {
        "size": choice("latents", [str(size) for size in stored.SIZES], "16"),
        "k": slider("k, on in a row", stored.STRENGTHS[0], stored.STRENGTHS[-1], 2),
    }
    strip: list[dict[str, Any]] = [{}, {"size": "8"}, {"size": "32"}, {"k": 1}, {"k": 4}]
    question = "The dictionary is made twice too large: 32 latents. Compared with 16, its explained variance will be ..."
    return Playground(
        _compute_bench,
        _draw_bench,
        controls,
        filmstrip=strip,
        title="A dictionary for 16 planted features",
        predict=Prediction(question, [_LOWER, _SAME, _HIGHER]),
        verdict=_verdict_bench,
        size=(6.2, 3.4),
    )


def _compute_bench(size: str, k: int) -> Reading:
    arrays, where = stored.explorer(), (stored.SIZES.index(int(size)), stored.STRENGTHS.index(k))
    cosine, f1 = arrays["cosine"][where], arrays["f1"][where]
    numbers: dict[str, float | int | str] = {
        "mean matched cosine": float(cosine.mean()),
        "F1 of when features fire": float(f1.mean()),
        "explained variance": float(arrays["explained"][where]),
        "latents on in a row": float(arrays["l0"][where]),
        "dead latents, share": float(arrays["dead"][where]),
    }
    return Reading(numbers, (cosine, f1, int(size), k))


def _draw_bench(reading: Reading, figure: FigureBase) -> None:
    cosine, f1, size, k = reading.data
    ax = figure.subplots()
    order = np.argsort(-cosine, kind="stable")
    places = np.arange(1, len(order) + 1)
    ax.bar(places, cosine[order], color=plots.ANCHOR, width=0.7, label="matched cosine")
    has_latent = cosine[order] != 0  # with too few latents some features get none
    ax.plot(places[has_latent], f1[order][has_latent], "D", color=plots.POSITIVE, ms=5, label="F1 of firing")
    ax.axhline(float(reading.numbers["explained variance"]), color=plots.TRUTH, ls="--", lw=1.5, label="explained variance")
    ax.set(ylim=(min(-0.05, float(cosine.min()) - 0.05), 1.3), xlabel="planted feature, best found first", xticks=places[::3])
    ax.set_ylabel("cosine, F1 or share (0 to 1)", fontsize=8)
    ax.set_title(f"{size} latents, {k} on in a row", fontsize=9)
    small = isinstance(figure, SubFigure)
    ax.legend(fontsize=6.5 if small else 8, ncols=3, loc="upper center", columnspacing=1, handlelength=1.2)


def _verdict_bench(reading: Reading, prediction: str | None) -> str:
    size = reading.data[2]
    large, right = (float(_compute_bench(str(m), 2).numbers["explained variance"]) for m in (32, 16))
    happened = _SAME if abs(large - right) < 0.05 else _HIGHER if large > right else _LOWER
    here = f"With {size} latents: matched cosine {reading.numbers['mean matched cosine']:.2f}."
    measured = f"{here} Explained variance at k = 2: {right:.2f} with 16 latents and {large:.2f} with 32, {happened}."
    if prediction is None:
        return measured
    return f"{measured} You predicted {prediction}: {'right' if prediction == happened else 'not this time'}."


# --- the dial -----------------------------------------------------------------------------------------------------------

_MODEL, _PLACE = stored.MODEL, stored.PLACE
_SPAM, _HAM, _WORD = "speaks for spam", "speaks for ham", "the word 'museum'"
_WAYS = ("the latent's own direction", "a random direction", "difference of means")
_N_MAILS = 60
_MORE, _LESS, _EQUAL = "farther than the latent", "less far than the latent", "equally far"


def steering_dial() -> Playground:
    """Clamp one latent at one neutral word of sixty mails, and watch the filter change its mind."""
    _filter()
    controls = {
        "latent": choice("latent", [_SPAM, _HAM, _WORD]),
        "value": slider("clamped to (on mails: 0 to 1.7)", 0, 4, 1, 0.25),
        "way": choice("move along", _WAYS),
    }
    strip: list[dict[str, Any]] = [
        {"value": 0},
        {"value": 2.0},
        {"value": 2.0, "way": _WAYS[1]},
        {"value": 2.0, "way": _WAYS[2]},
        {"value": 2.0, "latent": _HAM},
    ]
    question = "With the same steps, the plain difference of means (spam cues minus words without weight) moves the score ..."
    return Playground(
        _compute_dial,
        _draw_dial,
        controls,
        filmstrip=strip,
        title="A dial inside a mail filter",
        predict=Prediction(question, [_MORE, _LESS, _EQUAL]),
        verdict=_verdict_dial,
        size=(6.2, 3.6),
    )


class _Filter:
    """The mail filter, a dictionary of its embedding, and the mails to steer."""

    def __init__(self) -> None:
        world = worlds.messages(2 * stored.MAILS)
        self.model, words = zoo.load(_MODEL), np.array(zoo.vocabulary(_MODEL).words)
        tokens = zoo.encode(_MODEL, world.X)
        A = sae.token_activations(self.model, tokens[:500], _PLACE)
        self.one = _dictionary()
        weight = np.array([world.truth.cue_weights.get(word, 0.0) for word in words])
        z, w = self.one.encode(A.values), weight[A.tokens]
        self.latents = {
            name: int(np.argmax([sae.score_name(column, fits).f1 for column in z.T]))
            for name, fits in ((_SPAM, w > 1.5), (_HAM, w < -1.5), (_WORD, words[A.tokens] == "museum"))
        }
        plain = A.values[w == 0].mean(axis=0)
        groups = {_SPAM: w > 1.5, _HAM: w < -1.5, _WORD: words[A.tokens] == "museum"}
        self.means = {name: A.values[group].mean(axis=0) - plain for name, group in groups.items()}
        self.random = sae.random_dictionary(1, A.values.shape[1], random_state=3)[0]
        self.mails = tokens[stored.MAILS : stored.MAILS + _N_MAILS]
        self.where = first_neutral(self.mails, words, world.truth.relevant)


def _dictionary() -> sae.SparseAutoencoder:
    names = ("encoder", "encoder_bias", "dictionary", "bias", "threshold")
    encoder, encoder_bias, dictionary, bias, threshold = (stored.explorer()[name].astype(float) for name in names)
    k = float(stored.DIAL["k"])
    return sae.SparseAutoencoder(
        encoder, encoder_bias, dictionary, bias, "batch-top-k", k, np.nan, float(threshold), np.ones(1), 0
    )


def first_neutral(tokens: np.ndarray, words: np.ndarray, relevant: frozenset[str]) -> np.ndarray:
    """The first word of each mail that the planted rule does not read, as a mask (n, l)."""
    neutral = (tokens > 0) & ~np.isin(words[tokens], [*relevant, ".", "<read>"])
    where = np.zeros(tokens.shape, dtype=bool)
    where[np.arange(len(tokens)), neutral.argmax(axis=1)] = True
    return where


@cache
def _filter() -> _Filter:
    return _Filter()


@cache
def _moved(latent: str, value: float, way: str) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of spam before and after clamping."""
    f = _filter()
    direction = {_WAYS[0]: None, _WAYS[1]: f.random, _WAYS[2]: f.means[latent]}[way]
    values = [value, value + 1.0]  # two doses are the least; the first is shown
    response = sae.steer(
        f.model, f.mails, _PLACE, f.one, f.latents[latent], values, target=1, against=0, direction=direction, where=f.where
    )
    return response.untouched, response.scores[:, 0]


def _compute_dial(latent: str, value: float, way: str) -> Reading:
    before, after = _moved(latent, value, way)
    numbers: dict[str, float | int | str] = {
        "mean change of the log-odds of spam": float((after - before).mean()),
        "mails called spam before": int((before > 0).sum()),
        "mails called spam now": int((after > 0).sum()),
    }
    return Reading(numbers, (before, after, latent, value, way))


def _draw_dial(reading: Reading, figure: FigureBase) -> None:
    before, after, latent, value, way = reading.data
    ax = figure.subplots()
    ax.plot([-9, 9], [-9, 9], color=plots.CONTEXT, lw=1, label="unchanged")
    changed = (after > 0) != (before > 0)
    ax.plot(before[~changed], after[~changed], "o", color=plots.ANCHOR, ms=4, label="same verdict")
    ax.plot(before[changed], after[changed], "D", color=plots.POSITIVE, ms=6, label="verdict changed")
    ax.axhline(0, color="black", lw=0.8, ls="dotted")
    ax.set(xlim=(-8, 8), ylim=(-9, 9), xlabel="log-odds of spam before", ylabel="and with the clamp")
    ax.set_title(f"{latent}: {value:g}, {way}", fontsize=9)
    ax.legend(fontsize=8, loc="upper left")


def _verdict_dial(reading: Reading, prediction: str | None) -> str:
    _, _, latent, value, way = reading.data
    own, mean = ((lambda pair: float((pair[1] - pair[0]).mean()))(_moved(_SPAM, 2.0, w)) for w in (_WAYS[0], _WAYS[2]))
    happened = _MORE if mean > own + 0.05 else _LESS if mean < own - 0.05 else _EQUAL
    measured = f"The spam latent at 2: {own:+.2f}, the difference of means with the same steps: {mean:+.2f}, {happened}."
    if prediction is None:
        return f"{measured} Now shown: {latent} at {value:g}, {way}."
    return f"{measured} You predicted {prediction}: {'right' if prediction == happened else 'not this time'}."


LABS = [superposition, dictionary_bench, steering_dial]
