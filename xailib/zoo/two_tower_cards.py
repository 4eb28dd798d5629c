"""Model cards of the shipped towers for images and texts: what is measured, and the text around the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from xailib import worlds
from xailib.zoo import two_towers
from xailib.zoo._corpora import BIRDS_MISSING_RATE
from xailib.zoo._markdown import table

STORIES = {"birds-clip": "Pictures of birds and sentences about them in one space; learnt from careless captions."}
PICTURES, SEED = 3000, 1
_NAME, _REASON = "This is a photo of a {}.", "There is {}."


def measure(name: str) -> dict[str, float]:
    """Everything the card states, measured now on held-out pictures without any tuning.

    Parameters
    ----------
    name : one of :data:`STORIES`
    """
    world, towers = worlds.birds(PICTURES, missing_rate=BIRDS_MISSING_RATE, random_state=SEED), two_towers.network(name)
    truth, n = world.truth, world.n_train
    looks = sorted({look for species in range(len(truth.species_names)) for look in truth.looks(species)})
    with torch.no_grad():
        pictures = towers.encode_image(world.X[n:])
        names = (pictures @ towers.encode_text([_NAME.format(c) for c in truth.species_names]).T).numpy()
        reasons = (pictures @ towers.encode_text([_REASON.format(r) for r in looks]).T).numpy()
    y, seen = world.y[n:], np.array([[look in own for look in looks] for own in truth.rationales()])[n:]
    found = {
        "species named first": (names.argmax(axis=1) == y).mean(),
        "family of the species named first": (names.argmax(axis=1) // 4 == y // 4).mean(),
        "reason that fits best can be seen": seen[np.arange(len(y)), reasons.argmax(axis=1)].mean(),
        "area under the curve, mean over reasons": np.mean([roc_auc_score(s, f) for s, f in zip(seen.T, reasons.T, strict=True)]),
    }
    return {key: round(float(value), 4) for key, value in found.items()}


def section(measured: dict[str, Any]) -> str:
    """The measured part of a card in Markdown."""
    rows = [[what, f"{value:.3f}"] for what, value in measured.items()]
    return table([f"measured on {PICTURES // 6} new pictures, untuned", "value"], rows)


def making(name: str, entry: dict[str, Any]) -> str:
    """How the towers are built and what they were made from, in Markdown."""
    model = two_towers.network(name)
    return (
        f"`TinyCLIP`: an image tower of {model.n_blocks} blocks, width {model.width}, over 64 patches, and a text tower for "
        f"{len(model.vocabulary)} words, at most {model.context} of them; logit scale {model.logit_scale:.1f}; "
        f"{entry['bytes'] / 1000:,.0f} kB. It was {entry['origin']}; make it again with `{entry['command']}`. One caption in "
        "twenty belongs to another picture, one name in twenty is a sibling's, many leave out what can be seen or tell what only "
        "the book knows."
    )
