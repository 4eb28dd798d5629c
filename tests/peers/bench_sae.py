"""Sparse autoencoders and toy models: ours, scikit-learn's dictionary learning and the floor, in turns, medians.

sae-lens does not install beside our pins. How well each recovers planted features stands in ``test_peers_sae``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from tests.peers.measure import row
from xailib import sae
from xailib._training import one_thread

N_FEATURES, N_DIMS, N_ROWS, STEPS, BATCH, SEEDS = 32, 20, 6000, 1000, 256, 5


def rows() -> list[dict[str, Any]]:
    """One row per task. The floor: the six matrix products of every training step, without anything between them."""
    worlds = [sae.planted(N_ROWS, N_FEATURES, N_DIMS, random_state=seed) for seed in range(SEEDS)]
    A = np.stack([world.activations for world in worlds])
    tasks: list[tuple[str, dict[str, Any]]] = [
        ("batch-top-k", {"kind": "batch-top-k", "k": 2}),
        ("top-k", {"kind": "top-k", "k": 2}),
        ("relu", {"kind": "relu", "l1": 0.2}),
    ]
    size = f"{N_FEATURES} latents, {N_DIMS} dimensions, {STEPS} steps of {BATCH}"
    table = [
        row(f"{size}: {name}", fitted(A[0], more), "scikit-learn, MiniBatchDictionaryLearning", peer(A[0]), floor(1), 3)
        for name, more in tasks
    ]
    together, alone = fitted(A, tasks[0][1]), [fitted(one, tasks[0][1]) for one in A]
    table.append(
        row(f"{SEEDS} of them at once: batch-top-k", together, "ours, one by one", lambda: [f() for f in alone], floor(SEEDS), 3)
    )
    densities = np.geomspace(0.02, 1, 12)
    short = {"steps": 400, "restarts": 1, "batch_size": 256}
    grid = lambda: sae.toy_models(densities, **short)  # noqa: E731
    singly = lambda: [sae.toy_model(density=float(p), **short) for p in densities]  # noqa: E731
    table.append(row("12 toy models, 5 features in 2 dimensions, 400 steps", grid, "ours, one by one", singly, toy_floor, 3))
    return table


def fitted(A: np.ndarray, more: dict[str, Any]) -> Callable[[], Any]:
    return lambda: sae.fit_many(A, N_FEATURES, steps=STEPS, batch_size=BATCH, **more)


def peer(A: np.ndarray) -> Callable[[], Any]:
    """As many rows seen as ours: STEPS batches of BATCH."""
    passes = round(STEPS * BATCH / len(A))

    def call() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = MiniBatchDictionaryLearning(
                N_FEATURES, alpha=0.2, batch_size=BATCH, max_iter=passes, max_no_improvement=None,
                fit_algorithm="cd", positive_code=True, random_state=0,
            )  # fmt: skip
            return model.fit(A)

    return call


def floor(n_models: int) -> Callable[[], Any]:
    """Forward through two matrices, and for each the gradient of its weights and of its input."""
    x = torch.rand(n_models, BATCH, N_DIMS, dtype=torch.float64)
    W = torch.rand(n_models, N_DIMS, N_FEATURES, dtype=torch.float64)
    z = x @ W

    def call() -> None:
        with one_thread(), torch.no_grad():
            for _ in range(STEPS):
                for left, right in ((x, W), (z, W.mT), (z.mT, x), (x.mT, z), (x, W), (z, W.mT)):
                    _ = left @ right

    return call


def toy_floor() -> None:
    x, W = torch.rand(1, 256, 5, dtype=torch.float64), torch.rand(12, 2, 5, dtype=torch.float64)
    h = x @ W.mT
    with one_thread(), torch.no_grad():
        for _ in range(400):
            for left, right in ((x, W.mT), (h, W), (h.mT, x), (h, W), (h.mT, x), (h, W)):
                _ = left @ right
