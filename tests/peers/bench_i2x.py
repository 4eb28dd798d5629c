"""I2X: what tracing and explaining cost beside the passes they need; clustering apart. No package of the field does this."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tests.peers.measure import row
from xailib import i2x
from xailib.zoo.architectures import GapCNN

BATCH = 256


def rows() -> list[dict[str, Any]]:
    """The floor is one forward pass of every image at every checkpoint, and back from the score down to the layer."""
    return [
        _analysis("I2X: 10 checkpoints, 2,000 images of 28 x 28, K = 32", (1, 28, 28), 32, "features.relu3"),
        _analysis("I2X: 10 checkpoints, 1,000 images of 32 x 32 x 3, K = 128", (3, 32, 32), 128, "features.relu3", n=1000),
        *_clustering(),
    ]


def _analysis(task: str, shape: tuple[int, ...], K: int, layer: str, n: int = 2000) -> dict[str, Any]:
    checkpoints, images, labels = _made(shape, n)
    found = i2x.find_prototypes(checkpoints.model, images, layer, K)
    return row(
        task,
        lambda: i2x.explain(i2x.trace(checkpoints, images, labels, found, batch_size=BATCH)),
        "-",
        None,
        lambda: _passes(checkpoints, torch.tensor(images), torch.tensor(labels)),
        repeats=3,
    )


def _clustering() -> list[dict[str, Any]]:
    """Apart: their floor is that of the analysis they belong to."""
    checkpoints, images, labels = _made((1, 28, 28), 2000)
    layer = "features.relu3"
    found = i2x.find_prototypes(checkpoints.model, images, layer, 32)
    traced = i2x.trace(checkpoints, images, labels, found, batch_size=BATCH)

    def floor() -> None:
        _passes(checkpoints, torch.tensor(images), torch.tensor(labels))

    return [
        row(
            "I2X: PCA and k-means, K = 32", lambda: i2x.find_prototypes(checkpoints.model, images, layer, 32), "-", None, floor, 3
        ),
        row("I2X: HDBSCAN, 9 stretches", lambda: [i2x.find_groups(traced.dY(t)) for t in range(9)], "-", None, floor, 3),
    ]


def _made(shape: tuple[int, ...], n: int) -> tuple[i2x.Checkpoints, np.ndarray, np.ndarray]:
    """Ten networks with random weights, between two of which lies a straight line, and images of noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, last = (GapCNN(shape[0], (16, 32, 64), (1, 2), 10).state_dict() for _ in range(2))
        model = GapCNN(shape[0], (16, 32, 64), (1, 2), 10)
    states = [{name: torch.lerp(first[name], last[name], t / 9) for name in first} for t in range(10)]
    rng = np.random.default_rng(0)
    images = rng.random((n, *shape)).astype(np.float32)
    return i2x.collect(states, model=model), images, np.arange(n) % 10


def _passes(checkpoints: i2x.Checkpoints, x: torch.Tensor, y: torch.Tensor) -> None:
    for t in range(10):
        model = checkpoints.at(t)
        for batch, classes in zip(x.split(BATCH), y.split(BATCH), strict=True):
            with torch.no_grad():
                A = model.features(batch)
            _tail(model.classifier, A.requires_grad_(), classes)


def _tail(classifier: nn.Module, A: torch.Tensor, classes: torch.Tensor) -> None:
    scores = classifier(A.mean(dim=(2, 3)))
    torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), A)
