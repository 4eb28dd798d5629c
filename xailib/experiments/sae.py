"""Toy models, dictionaries of many sizes, and a dictionary of the mail filter, for chapter 13 and its labs.

``python -m xailib.experiments.sae`` trains them all and stores what is shown. Every part is kept in the cache folder, so that a
killed run goes on where it stopped. About three minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import MiniBatchDictionaryLearning

from xailib import _cache, sae, worlds, zoo
from xailib._progress import progress
from xailib.course import manifest
from xailib.evaluation import mean_interval
from xailib.zoo import cards

__all__ = ["explorer", "main"]

FILE = "sae_explorer.npz"
COMMAND = "python -m xailib.experiments.sae"
#: superposition: densities, numbers of features in two dimensions, importances that fall by a factor or are equal
DENSITIES = (1.0, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02)
FEATURES = (3, 4, 5, 6, 7)
DECAYS = (0.8, 1.0)
TOY = {"steps": 1500, "restarts": 6, "batch_size": 512}
#: a dictionary of the wrong size: planted features, dimensions, latents, latents on in a row
PLANTED = {"n": 8000, "n_features": 16, "n_dims": 12, "n_active": 2.0, "random_state": 1}
SIZES, STRENGTHS = (4, 8, 12, 16, 24, 32), (1, 2, 3, 4)
#: phase diagram of two features in one dimension
PHASE: dict[str, Any] = {"steps": 800, "restarts": 6}
#: five worlds of 32 features in 20 dimensions: dictionaries of these sizes, each trained from two seeds; scikit-learn beside them
WORLDS: dict[str, Any] = {"n": 8000, "n_features": 32, "n_dims": 20}
N_WORLDS, ALL_SIZES, SEEDS = 5, (16, 24, 28, 32, 40, 64), (0, 7)
#: a latent comes again when the other seed has a direction with a cosine above this
AGAIN = 0.95
PEER: dict[str, Any] = {"alpha": 0.2, "batch_size": 256, "max_iter": 15, "fit_algorithm": "cd", "transform_algorithm": "lasso_cd",
        "transform_alpha": 0.2, "positive_code": True, "random_state": 0}  # fmt: skip
#: the dial: a dictionary of the mail filter's embedding
MODEL, PLACE, MAILS = "messages-transformer", "embedded", 750
DIAL = {"n_latents": 192, "k": 2}
#: other code, other numbers: what was kept of an interrupted run is taken up by the same code only
CODE = ("sae.py", "_sae_training.py", "experiments/sae.py", "worlds/messages.py")


@cache
def explorer() -> dict[str, np.ndarray]:
    """The stored arrays.

    ``W`` (features, decays, densities, 2, 7), and ``b`` of the toy models, filled up with 0, and their ``loss``;
    ``phase_weights`` (densities, importances, 2) and ``phase_losses``; for the five worlds (sizes, worlds): ``size_cosine`` over
    all features, ``size_matched`` and ``size_good`` (mean cosine, and share above 0.9) of the features that have a latent,
    ``size_again`` (share of latents that another seed finds too), ``size_explained``; ``peer_cosine, peer_f1`` (worlds) of
    scikit-learn; for the lab ``cosine, f1`` (sizes, strengths, 16) and ``explained, l0, dead`` (sizes, strengths) of the
    dictionaries; ``encoder, encoder_bias, dictionary, bias, threshold`` of the dial.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    return manifest.shipped_arrays(FILE)


def toys(n: int) -> dict[str, np.ndarray]:
    """Toy models of n features: every decay, every density."""
    importance = np.repeat([decay ** np.arange(n) for decay in DECAYS], len(DENSITIES), axis=0)
    found = sae.toy_models(DENSITIES * len(DECAYS), n, 2, importance=importance, **TOY)
    shape, most = (len(DECAYS), len(DENSITIES)), max(FEATURES)
    W, b = np.zeros((*shape, 2, most)), np.zeros((*shape, most))
    W[..., :n], b[..., :n] = (
        np.array([toy.W for toy in found]).reshape(*shape, 2, n),
        np.array([t.b for t in found]).reshape(*shape, n),
    )
    return {"W": W, "b": b, "loss": np.array([toy.loss for toy in found]).reshape(shape)}


def dictionaries(size: int) -> dict[str, np.ndarray]:
    """Dictionaries of one size: every strength."""
    train, test = sae.planted(**PLANTED).halves()  # type: ignore[arg-type]
    found = sae.fit_many(train.activations, size, k=STRENGTHS)
    scores = [
        sae.recovery(one.dictionary, test.dictionary, latents=one.encode(test.activations), codes=test.codes) for one in found
    ]
    fits = [sae.evaluate(one, test.activations) for one in found]
    return {
        "cosine": np.array([score.cosines for score in scores]),
        "f1": np.array([score.f1 for score in scores]),
        **{name: np.array([getattr(fit, name) for fit in fits]) for name in ("explained", "l0", "dead")},
    }


def phase() -> dict[str, np.ndarray]:
    """The grid of two features in one dimension."""
    diagram = sae.phase_diagram(**PHASE)
    return {"phase_weights": diagram.weights, "phase_losses": diagram.losses}


def five_worlds() -> list[tuple[sae.Planted, sae.Planted]]:
    """Rows to train on and rows to judge by."""
    return [sae.planted(**WORLDS, random_state=seed).halves() for seed in range(N_WORLDS)]


def all_sizes(size: int) -> dict[str, np.ndarray]:
    """Dictionaries of one size in the five worlds: what they find, and what comes again from another seed."""
    halves = five_worlds()
    rows = np.stack([train.activations for train, _ in halves])
    found, again = (sae.fit_many(rows, size, k=2, random_state=seed) for seed in SEEDS)
    table = [_of_one_size(one, other, test) for one, other, (_, test) in zip(found, again, halves, strict=True)]
    return {f"size_{name}": np.array([row[name] for row in table]) for name in table[0]}


def _of_one_size(one: sae.SparseAutoencoder, other: sae.SparseAutoencoder, test: sae.Planted) -> dict[str, float]:
    score = sae.recovery(one.dictionary, test.dictionary)
    matched = score.cosines[score.latents >= 0]
    common = (one.dictionary @ other.dictionary.T).max(axis=1)
    return {
        "cosine": score.mean_cosine,
        "matched": float(matched.mean()),
        "good": float((matched > 0.9).mean()),
        "again": float((common > AGAIN).mean()),
        "explained": sae.evaluate(one, test.activations).explained,
    }


def graded(models: Sequence[sae.SparseAutoencoder], halves: Sequence[tuple[sae.Planted, sae.Planted]]) -> pd.DataFrame:
    """One row per autoencoder and its world: what it finds and how it rebuilds, on the rows to judge by."""
    rows = []
    for one, (_, test) in zip(models, halves, strict=True):
        score = sae.recovery(one.dictionary, test.dictionary, latents=one.encode(test.activations), codes=test.codes)
        fit = sae.evaluate(one, test.activations)
        rows.append((score.mean_cosine, score.mean_f1, fit.explained, fit.l0, fit.dead))
    return pd.DataFrame(rows, columns=["cosine", "f1", "explained", "l0", "dead"])


def line(name: str, grades: pd.DataFrame) -> str:
    """Grades of several worlds in a line of text: the cosine with its 95 % interval, means of the rest."""
    mean, low, high = np.minimum(mean_interval(grades["cosine"].to_numpy()), 1)  # no cosine exceeds 1
    rest = "  ".join(f"{column} {value:.2f}" for column, value in grades.drop(columns="cosine").mean().items())
    return f"{name:24} cosine {mean:.2f} ({low:.2f} to {high:.2f})  {rest}"


def peer() -> dict[str, np.ndarray]:
    """scikit-learn's dictionary learning in the five worlds."""
    scores = []
    for train, test in five_worlds():
        model = MiniBatchDictionaryLearning(WORLDS["n_features"], **PEER).fit(train.activations)
        codes = model.transform(test.activations)
        scores.append(sae.recovery(model.components_, test.dictionary, latents=codes, codes=test.codes))
    return {"peer_cosine": np.array([s.mean_cosine for s in scores]), "peer_f1": np.array([s.mean_f1 for s in scores])}


def dial() -> dict[str, np.ndarray]:
    """The mail filter's dictionary."""
    tokens = zoo.encode(MODEL, worlds.messages(2 * MAILS).X[:MAILS])
    one = sae.fit(sae.token_activations(zoo.load(MODEL), tokens, PLACE).values, **DIAL)  # type: ignore[arg-type]
    names = ("encoder", "encoder_bias", "dictionary", "bias")
    return {name: getattr(one, name) for name in names} | {"threshold": np.array(one.threshold)}


def run() -> None:
    """Train what is missing, and write the file with its entry in the manifest."""
    groups: list[list[tuple[Any, Callable[[], dict[str, np.ndarray]]]]] = [
        [(("toys", n, DENSITIES, DECAYS, TOY), partial(toys, n)) for n in FEATURES],
        [(("bench", size, STRENGTHS, PLANTED), partial(dictionaries, size)) for size in SIZES],
        [(("sizes", size, WORLDS, N_WORLDS, SEEDS), partial(all_sizes, size)) for size in ALL_SIZES],
    ]
    alone: list[tuple[Any, Callable[[], dict[str, np.ndarray]]]] = [
        (("phase", PHASE), phase),
        (("peer", WORLDS, N_WORLDS, PEER), peer),
        (("dial", manifest.read()[f"{MODEL}.safetensors"]["sha256"], MAILS, DIAL), dial),
    ]
    parts = [part for group in [*groups, alone] for part in group]
    made = iter(
        _cache.cached_arrays("sae-explorer", _cache.content_key(_cache.source_texts(*CODE), repr(key)), make)
        for key, make in progress(parts, len(parts), "trainings")
    )
    arrays: dict[str, np.ndarray] = {}
    for group in groups:
        found = [next(made) for _ in group]
        arrays |= {name: np.array([one[name] for one in found]) for name in found[0]}
    for one in made:
        arrays |= one
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    manifest.ship_arrays(FILE, arrays, origin=f"toy models, planted features and {MODEL}", command=COMMAND)


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog=COMMAND, description="Toy models and dictionaries for the labs of chapter 13.").parse_args()
    run()
    cards.write_readme()


if __name__ == "__main__":
    main()
