"""A layer sweep, a permutation test and a code length: ours, a plain scikit-learn loop, and the floor, in turns, medians."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.peers.measure import row
from xailib import probing
from xailib.worlds.agreement import agreement
from xailib.zoo.transformer import Transformer

POINTS = ["embedded", "blocks.0.resid_mid", "blocks.0.resid_post", "blocks.1.resid_mid", "blocks.1.resid_post"]
N, SPLITS, SHUFFLES = 1000, 5, 99


def rows() -> list[dict[str, Any]]:
    """One row per task. The floor is what nobody can leave out: one pass through the network, or one fit."""
    world = agreement(N)
    torch.manual_seed(0)
    model = Transformer(len(world.truth.vocabulary), world.X.shape[1], padding=0).eval()
    tokens, at = world.X, world.truth.verb(world.X) - 1
    y, subjects = world.y, tokens[np.arange(N), world.truth.subject(tokens)]
    A = probing.activations(model, tokens, POINTS[-1], at)

    def linear() -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    def values(point: str) -> np.ndarray:
        kept: list[torch.Tensor] = []
        hook = model.get_submodule(point).register_forward_hook(lambda _, __, value: kept.append(value))
        with torch.no_grad():
            model(torch.tensor(tokens))
        hook.remove()
        return kept[0][np.arange(N), at].numpy().astype(float)

    def sweep() -> Any:
        return probing.sweep(model, tokens, y, positions=at, types=subjects, n_splits=SPLITS, n_untrained=0)

    def layer_by_layer() -> None:
        for point in POINTS:
            X = values(point)
            rng = np.random.default_rng(0)
            for train, test in GroupShuffleSplit(SPLITS, test_size=1 / 3, random_state=0).split(X, y, np.arange(N)):
                control = rng.integers(2, size=subjects.max() + 1)[subjects]
                for labels in (y, control):
                    linear().fit(X[train], labels[train]).score(X[test], labels[test])

    def shuffles(estimator: Any) -> None:
        rng = np.random.default_rng(0)
        for _ in range(1 + SHUFFLES):
            labels = rng.permutation(y)
            make_pipeline(StandardScaler(), estimator).fit(A[: 2 * N // 3], labels[: 2 * N // 3]).score(
                A[2 * N // 3 :], labels[2 * N // 3 :]
            )

    def online_code() -> None:
        stops = [math.ceil(end * N) for end in probing.CODE_ENDS]
        for start, stop in pairwise(stops):
            if len(set(y[:start])) > 1:
                linear().fit(A[:start], y[:start]).predict_log_proba(A[start:stop])

    def one_ridge() -> None:
        make_pipeline(StandardScaler(), RidgeClassifier()).fit(A[: 2 * N // 3], y[: 2 * N // 3])

    task = f"{N} sentences"
    peer = "a loop over scikit-learn"
    return [
        row(f"{task}, sweep: 5 points, {SPLITS} splits, control", sweep, peer, layer_by_layer, lambda: values(POINTS[-1]), 3),
        row(
            f"{task}, {SHUFFLES} shuffles, ridge",
            lambda: probing.detect(A, y, n_shuffles=SHUFFLES),
            peer,
            lambda: shuffles(RidgeClassifier()),
            one_ridge,
        ),
        row(
            f"{task}, {SHUFFLES} shuffles, logistic",
            lambda: probing.detect(A, y, probe="linear", n_shuffles=SHUFFLES),
            peer,
            lambda: shuffles(LogisticRegression(max_iter=1000)),
            lambda: linear().fit(A[: 2 * N // 3], y[: 2 * N // 3]),
            2,
        ),
        row(
            f"{task}, online code, one order",
            lambda: probing.code_length(A, y, n_orders=1),
            peer,
            online_code,
            lambda: linear().fit(A[: N // 2], y[: N // 2]),
        ),
    ]
