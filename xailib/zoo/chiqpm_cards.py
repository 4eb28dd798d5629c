"""Model cards of CHiQPM's networks: what is measured, and the text around the numbers."""

from __future__ import annotations

from typing import Any

import torch

from xailib import worlds
from xailib.zoo import chiqpm
from xailib.zoo._markdown import table

STORIES = {
    "birds-chiqpm": "A dense network for birds, and its binary one: four of sixteen features make a species.",
    "birds-chiqpm-ambiguous": "The same for birds whose pivot parts are often hidden, so that nobody can always be right.",
}
PICTURES, SEED = 3000, 1


def measure(name: str) -> dict[str, float]:
    """Accuracy of both networks on new pictures, and how the binary one is built.

    Parameters
    ----------
    name : one of :data:`STORIES`
    """
    from xailib.chiqpm import metrics, network

    world, both = worlds.birds(PICTURES, random_state=SEED, **chiqpm.SHAPES[name]), chiqpm.network(name)
    X, y = world.test
    with torch.no_grad():
        dense = both.dense(torch.as_tensor(X)).numpy().argmax(axis=1)
    binary = network.describe(both.binary, X)
    shared = metrics.shared_pairs(both.binary.W.numpy() > 0)
    found = {
        "accuracy of the dense network": (dense == y).mean(),
        "accuracy of the binary network": (binary.predicted == y).mean(),
        "features active in a picture, mean": (binary.features > 0).sum(axis=1).mean(),
        "pairs of species that share all features but one": shared["contrastive"].mean(),
    }
    return {key: round(float(value), 4) for key, value in found.items()}


def section(measured: dict[str, Any]) -> str:
    """The measured part of a card in Markdown."""
    return table(
        [f"measured on {PICTURES // 6} new pictures", "value"], [[what, f"{value:.3f}"] for what, value in measured.items()]
    )


def making(name: str, entry: dict[str, Any]) -> str:
    """How the networks are built and what they were made from, in Markdown."""
    n_classes, n_features = chiqpm.network(name).binary.W.shape
    return (
        f"`Networks`: `dense`, a `GapCNN` with 96 channels and a linear head; `binary`, a `CHiQPM` with {n_features} of these "
        f"channels and a head of zeros and ones for {n_classes} species. {entry['bytes'] / 1000:,.0f} kB. They were "
        f"{entry['origin']}; make them again with `{entry['command']}`."
    )
