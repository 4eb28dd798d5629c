"""TCAV with 50 + 50 images, 5 random sets and 2 layers: ours, captum and the floor, measured in turns, medians."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from tests.peers.measure import row
from xailib import tcav, zoo
from xailib.worlds.birds import birds

LAYERS = ["features.pool2", "features.relu3"]
N_IMAGES, N_SETS, TARGET = 50, 5, 3


def rows() -> list[dict[str, Any]]:
    """One row per task; nothing is kept in memory or on disk between calls.

    The floor: every image once through the network, no further than needed, and one gradient.
    """
    net, world = zoo.load("birds-cnn"), birds(600)
    shows = np.isin(world.y, np.flatnonzero(world.truth.attributes["striped wings"]))
    striped, others = np.flatnonzero(shows), np.random.default_rng(0).permutation(np.flatnonzero(~shows))
    concept, (x, *random) = world.X[striped[:N_IMAGES]], world.X[others[: (1 + N_SETS) * N_IMAGES].reshape(-1, N_IMAGES)]

    def ours(classifier: Any, *, controls: bool) -> Callable[[], Any]:
        def call() -> Any:
            tcav.clear_cache()
            return tcav.scores(net, x, TARGET, {"c": concept}, random, LAYERS, classifier=classifier, controls=controls)

        return call

    def floor() -> None:
        with torch.no_grad():
            for images in (concept, *random):
                _to_last_layer(torch.tensor(images))
        _backward(net, x)

    def _to_last_layer(images: torch.Tensor) -> torch.Tensor:
        return net.features[: 1 + list(dict(net.features.named_children())).index(LAYERS[-1].removeprefix("features."))](images)

    task = f"{N_IMAGES} + {N_IMAGES} images, {N_SETS} random sets, {len(LAYERS)} layers"
    sgd, logistic = (_captum(net, concept, random, x, kind) for kind in ("SGD", "logistic"))
    return [
        row(f"{task}: ridge", ours("ridge", controls=False), "captum, SGD", sgd, floor),
        row(f"{task}: ridge, with random against random", ours("ridge", controls=True), "captum, SGD", sgd, floor),
        row(f"{task}: logistic", ours("logistic", controls=False), "captum, logistic", logistic, floor),
        row(f"{task}: the same estimator", ours(LogisticRegression(), controls=False), "captum, logistic", logistic, floor),
        row(f"{task}: svm", ours("svm", controls=False), "captum, SGD", sgd, floor),
    ]


def _backward(net: nn.Module, x: np.ndarray) -> None:
    """The class images once forward, and back to the first layer."""
    kept: list[torch.Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[0]

    hook = net.get_submodule(LAYERS[0]).register_forward_hook(cut)
    score = net(torch.tensor(x))[:, TARGET].sum()
    hook.remove()
    torch.autograd.grad(score, kept)


def _captum(net: nn.Module, concept: np.ndarray, random: list[np.ndarray], x: np.ndarray, kind: str) -> Callable[[], Any] | None:
    """captum with its default classifier, or the same with its logistic regression; a fresh folder every time."""
    try:
        from captum._utils.models.linear_model.model import SkLearnLogisticRegression
        from captum.concept import TCAV, Concept
        from captum.concept._utils.classifier import DefaultClassifier
    except ImportError:
        return None
    from torch.utils.data import DataLoader

    class Logistic(DefaultClassifier):
        def __init__(self) -> None:
            self.lm = SkLearnLogisticRegression()

    def call() -> Any:
        made = [Concept(i, str(i), DataLoader(torch.tensor(a), batch_size=N_IMAGES)) for i, a in enumerate([concept, *random])]
        classifier = Logistic() if kind == "logistic" else None
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = TCAV(net, LAYERS, classifier=classifier, save_path=folder)
            return peer.interpret(torch.tensor(x), [[made[0], other] for other in made[1:]], target=TARGET)

    return call
