"""ECOR's joint and prompt tuning against their floor, one pass of the image tower; there is no package to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.peers.measure import row
from xailib import ecor, worlds, zoo


def rows() -> list[dict[str, Any]]:
    """A joint costs one pass over the pictures and one over the sentences, whatever the factorisation."""
    towers, truth = zoo.load("birds-clip"), worlds.birds(40).truth
    candidates = ecor.rationales({name: truth.looks(s) for s, name in enumerate(truth.species_names)})
    rng = np.random.default_rng(0)
    images = rng.random((1000, 3, 64, 64)).astype(np.float32)
    few, y, r = images[:320], np.arange(320) % 20, np.arange(320) % len(candidates.rationales)
    sentences = [text for texts in ecor.prompts(candidates).values() for text in texts.flat]
    tokens = torch.randn(8, towers.width, requires_grad=True)
    return [
        row(
            f"ECOR, joint of 1,000 pictures and {len(sentences)} sentences (floor: both towers once)",
            lambda: ecor.beliefs(towers, images, candidates),
            "-",
            None,
            lambda: _pass(towers, images, sentences),
            repeats=3,
        ),
        row(
            "ECOR, one epoch of tuning on 320 pictures",
            lambda: ecor.tune(towers, few, y, r, candidates, n_tokens=8, epochs=1, validation_share=0.01),
            "-",
            None,
            lambda: _steps(towers, few, tokens),
            repeats=3,
        ),
    ]


def _pass(towers: Any, images: np.ndarray, sentences: list[str]) -> None:
    with torch.no_grad():
        for start in range(0, len(images), ecor.BATCH_SIZE):
            towers.encode_image(images[start : start + ecor.BATCH_SIZE])
        towers.encode_text(sentences)


def _steps(towers: Any, images: np.ndarray, tokens: torch.Tensor) -> None:
    """Forward and back through the frozen image tower, batch by batch."""
    towers.requires_grad_(False)
    for start in range(0, len(images), 64):
        vectors = towers.encode_image(images[start : start + 64], {0: tokens})
        torch.autograd.grad(vectors.sum(), tokens)
    towers.requires_grad_(True)
