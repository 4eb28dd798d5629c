"""Toy models, dictionaries of many sizes, and a dictionary of the mail filter, for the labs of chapter 13.

``python -m xailib.experiments.sae`` trains them all and stores what the labs show. Every part is kept in the cache folder, so
that a killed run goes on where it stopped. About a minute on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from xailib import _cache, sae, worlds, zoo
from xailib._progress import progress
from xailib.course import manifest
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
#: the dial: a dictionary of the mail filter's embedding
MODEL, PLACE, MAILS = "messages-transformer", "embedded", 750
DIAL = {"n_latents": 192, "k": 2}


@cache
def explorer() -> dict[str, np.ndarray]:
    """The stored arrays.

    ``W`` (features, decays, densities, 2, 7), and ``b`` of the toy models, filled up with 0, and their ``loss``;
    ``cosine, f1`` (sizes, strengths, 16) and ``explained, l0, dead`` (sizes, strengths) of the dictionaries; ``encoder,
    encoder_bias, dictionary, bias, threshold`` of the dial.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    with np.load(manifest.verified(FILE), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


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


def dial() -> dict[str, np.ndarray]:
    """The mail filter's dictionary."""
    tokens = zoo.encode(MODEL, worlds.messages(2 * MAILS).X[:MAILS])
    one = sae.fit(sae.token_activations(zoo.load(MODEL), tokens, PLACE).values, **DIAL)  # type: ignore[arg-type]
    names = ("encoder", "encoder_bias", "dictionary", "bias")
    return {name: getattr(one, name) for name in names} | {"threshold": np.array(one.threshold)}


def run() -> None:
    """Train what is missing, and write the file with its entry in the manifest."""
    parts: list[tuple[Any, Callable[[], dict[str, np.ndarray]]]] = [
        *((("toys", n, DENSITIES, DECAYS, TOY), partial(toys, n)) for n in FEATURES),
        *((("bench", size, STRENGTHS, PLANTED), partial(dictionaries, size)) for size in SIZES),
        (("dial", manifest.read()[f"{MODEL}.safetensors"]["sha256"], MAILS, DIAL), dial),
    ]
    found = [
        _cache.cached_arrays("sae-explorer", _cache.content_key(repr(key)), make)
        for key, make in progress(parts, len(parts), "trainings")
    ]
    first, second, (last,) = found[: len(FEATURES)], found[len(FEATURES) : -1], found[-1:]
    arrays = {name: np.array([one[name] for one in group]) for group in (first, second) for name in group[0]} | last
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    _cache.write_atomically(manifest.data_dir() / FILE, lambda to: _save(to, arrays))
    manifest.record(FILE, origin=f"toy models, planted features and {MODEL}", licence="CC-BY-4.0", command=COMMAND)


def _save(path: Any, arrays: dict[str, np.ndarray]) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog=COMMAND, description="Toy models and dictionaries for the labs of chapter 13.").parse_args()
    run()
    cards.write_readme()


if __name__ == "__main__":
    main()
