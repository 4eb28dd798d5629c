"""CHiQPM on birds, from pictures to the fine-tuned network: what the experiment measures and the zoo ships."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from xailib.chiqpm import network
from xailib.chiqpm.network import CHiQPM
from xailib.chiqpm.program import Program, Solution, build_program, similar_pairs
from xailib.chiqpm.scalable import solve
from xailib.zoo.architectures import GapCNN

N_FEATURES, N_PER_CLASS, DENSITY = 16, 4, 0.5


def balance(n_features: int) -> float:
    """The weight of redundancy that keeps its share as it is with the 50 features of the paper.

    Of 50 features redundancy may cost up to 50 * 49 / 2 = 1225, about what correlation can earn (1000); of 16 it is 120, and with
    weight 1 the program keeps near copies of the same feature.
    """
    return 50 * 49 / (n_features * (n_features - 1))


REDUNDANCY = balance(N_FEATURES)
#: how many pictures tell how local a feature is
LOCAL_PICTURES = 1000
FINE_TUNING: dict[str, Any] = {"train_from": "conv3", "learning_rate": 1.2e-2}


@dataclass(frozen=True, eq=False)
class Start:
    """What every binary network of one dense network starts from.

    Attributes
    ----------
    dense : GapCNN
    features : (n, F) pooled features of the training pictures
    program : without similar pairs
    """

    dense: GapCNN
    features: np.ndarray
    program: Program

    def with_(self, *, density: float = DENSITY, redundancy: float = REDUNDANCY) -> Program:
        """The program with this many similar pairs per class and this weight of redundancy."""
        weights = (self.program.weights[0], redundancy, self.program.weights[2])
        return replace(self.program, pairs=similar_pairs(self.program.A, density), weights=weights)


def start(dense: GapCNN, world: Any) -> Start:
    """Pooled features of the training pictures and the constants of the program."""
    X, y = world.train
    features = network.pooled_features(dense, X)
    program = build_program(
        features,
        y,
        n_features=N_FEATURES,
        n_per_class=N_PER_CLASS,
        density=0.0,
        maps=network.feature_maps(dense, X[:LOCAL_PICTURES]),
        threshold=0.0,  # of so few features all pairs can count
        weights=(1.0, REDUNDANCY, 1.0),
    )
    return Start(dense, features, program)


def binary_network(begin: Start, solution: Solution) -> CHiQPM:
    """The selected features with the solution's head, not yet fine-tuned."""
    return network.with_binary_head(begin.dense, solution.selected, solution.W, begin.features)


class Networks(nn.Module):
    """Both networks of one training set, as the zoo ships them: ``dense``, and ``binary``, which was made from it."""

    def __init__(self, dense: GapCNN, binary: CHiQPM) -> None:
        super().__init__()
        self.dense, self.binary = dense, binary

    def forward(self, x: Tensor) -> Tensor:
        """Class scores of the binary network."""
        return self.binary(x)


def train(world: Any, seed: int, *, checkpoint: str | Path | None = None) -> Networks:
    """The whole way with the settings of the course; the dense training can be interrupted."""
    dense = network.train_dense(*world.train, random_state=seed, checkpoint=checkpoint)
    begin = start(dense, world)
    solution = solve(begin.with_(), random_state=seed)
    binary = network.fine_tune(binary_network(begin, solution), *world.train, random_state=seed, **FINE_TUNING)
    return Networks(dense, binary).eval()


def from_state(state: dict[str, Tensor]) -> Networks:
    """Both networks from their stored weights."""
    n_classes, n_features = state["binary.W"].shape
    dense = GapCNN(3, network.WIDTHS, network.POOL_AFTER, n_classes)
    layers = GapCNN(3, (*network.WIDTHS[:-1], n_features), network.POOL_AFTER, n_classes).features
    head: dict[str, Any] = {name: state[f"binary.{name}"].numpy() for name in ("W", "mean", "std", "selected")}
    both = Networks(dense, CHiQPM(layers, **head))
    both.load_state_dict(state)
    return both.eval()
