"""Probes of many sizes on many rows, for the probe bench of chapter 11: ``python -m xailib.experiments.probing``.

Three questions to ``agreement-transformer`` and to one untrained network of its shape: at every point of the residual stream,
with every probe and every number of training rows, the held-out accuracy on the property and on its control task. Every part is
kept in the cache folder, so that a killed run goes on where it stopped. About two minutes on one core.
"""

from __future__ import annotations

import argparse
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np

from xailib import _cache, probing, worlds, zoo
from xailib._progress import progress
from xailib._training import one_thread
from xailib.course import manifest
from xailib.zoo import cards

__all__ = ["bench", "main"]

FILE = "probing_bench.npz"
COMMAND = "python -m xailib.experiments.probing"
MODEL = "agreement-transformer"
QUESTIONS = ("number of the subject, before the verb", "number of the subject, at its noun", "the author's coin, before the verb")
NETWORKS = ("trained", "untrained")
POINTS = ("embedded", "blocks.0.resid_mid", "blocks.0.resid_post", "blocks.1.resid_mid", "blocks.1.resid_post")
HIDDEN = (0, 16, 64)  # 0: a linear probe
TRAINING_ROWS = (25, 50, 100, 200, 400, 800)
ROWS, SPLITS = 1200, 5
#: other code, other numbers: what was kept of an interrupted run is taken up by the same code only
CODE = ("probing.py", "_probes.py", "experiments/probing.py", "worlds/agreement.py")


@cache
def bench() -> dict[str, np.ndarray]:
    """The stored measurements.

    ``accuracy``, ``control``, each (questions, networks, points, probes, training sizes, splits); ``majority``
    (questions, training sizes, splits).

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    return manifest.shipped_arrays(FILE)


def rows(question: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tokens, positions, labels and the types of the control task: what a probe could learn by heart."""
    world = worlds.agreement()
    X, truth = world.X, world.truth
    between = (truth.noun_positions(X) >= 0).sum(axis=1) > 1
    adjective = ~np.isin(np.take_along_axis(X, truth.subject(X)[:, None] - 1, axis=1)[:, 0], [truth.vocabulary.number("the")])
    at_noun = question == QUESTIONS[1]
    chosen = np.flatnonzero(adjective if at_noun else between)[:ROWS]
    X, i = X[chosen], np.arange(len(chosen))
    subject = truth.subject(X)
    nouns = X[i, subject]
    types = nouns * len(truth.vocabulary) + X[i, subject - 1] if at_noun else nouns
    labels = truth.author[chosen] if question == QUESTIONS[2] else truth.number(X)
    return X, subject if at_noun else truth.verb(X) - 1, labels, types


def part(question: str, network: str, point: str) -> dict[str, np.ndarray]:
    """Accuracies of all probes and sizes at one point."""
    X, positions, y, types = rows(question)
    model = zoo.load(MODEL)
    model = model if network == "trained" else probing.untrained(model, random_state=0)
    A = probing.activations(model, X, point, positions)
    found = {name: np.empty((len(HIDDEN), len(TRAINING_ROWS), SPLITS)) for name in ("accuracy", "control", "majority")}
    for (i, hidden), (j, n) in product(enumerate(HIDDEN), enumerate(TRAINING_ROWS)):
        probe = probing.mlp_probe(hidden) if hidden else "linear"
        one = probing.measure(A, y, types=types, probe=probe, n_splits=SPLITS, n_train=n)
        for name, array in found.items():
            array[i, j] = getattr(one, name)
    return found


def run() -> None:
    """Measure what is missing, and write the file with its entry in the manifest."""
    parts = list(product(QUESTIONS, NETWORKS, POINTS))
    weights = manifest.read()[f"{MODEL}.safetensors"]["sha256"]
    found = []
    with one_thread():
        for names in progress(parts, len(parts), "points"):
            key = _cache.content_key(_cache.source_texts(*CODE), weights, names, HIDDEN, TRAINING_ROWS, ROWS, SPLITS)
            found.append(_cache.cached_arrays("probing-bench", key, partial(part, *names)))
    shape = (len(QUESTIONS), len(NETWORKS), len(POINTS), len(HIDDEN), len(TRAINING_ROWS), SPLITS)
    arrays: dict[str, Any] = {
        name: np.array([one[name] for one in found]).reshape(shape).astype(np.float32) for name in ("accuracy", "control")
    }
    arrays["majority"] = np.array([one["majority"] for one in found]).reshape(shape)[:, 0, 0, 0].astype(np.float32)
    manifest.ship_arrays(FILE, arrays, origin=f"measured on {MODEL} and worlds.agreement()", command=COMMAND)


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog=COMMAND, description="Probes of many sizes, for the lab of chapter 11.").parse_args()
    run()
    cards.write_readme()


if __name__ == "__main__":
    main()
