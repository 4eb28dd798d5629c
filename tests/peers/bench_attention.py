"""Attention on 64 texts of 24 tokens: ours, captum or networkx, and the floor, measured in turns, medians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.peers.measure import row
from xailib import attention
from xailib.zoo.transformer import Transformer

N, LENGTH, STEPS = 64, 24, 32


def rows() -> list[dict[str, Any]]:
    """One row per task; the floor is the model's own work: forward, or forward and backward, in batches of the same size."""
    torch.manual_seed(0)
    model = Transformer(300, 48, n_outputs=2, causal=False, padding=0).eval().requires_grad_(False)
    tokens = np.random.default_rng(0).integers(1, 300, (N, LENGTH))
    x = torch.as_tensor(tokens)
    deep = np.random.default_rng(0).dirichlet(np.full(LENGTH, 0.3), (4, 4, LENGTH))

    def forward(times: int, size: int = 256) -> Callable[[], Any]:
        def call() -> None:
            many = x.repeat(times, 1)
            with torch.no_grad():
                for start in range(0, len(many), size):
                    model(many[start : start + size])

        return call

    def backward(times: int, size: int = 256) -> Callable[[], Any]:
        def call() -> None:
            many = x.repeat(times, 1)
            for start in range(0, len(many), size):
                leaf = model.tokens(many[start : start + size]).requires_grad_(True)
                hook = model.tokens.register_forward_hook(lambda _m, _i, _o, leaf=leaf: leaf)
                score = model(many[start : start + size])[:, 1].sum()
                hook.remove()
                torch.autograd.grad(score, leaf)

        return call

    size = f"{N} texts of {LENGTH} words"
    return [
        row(
            f"integrated gradients, {STEPS} steps, {size}",
            lambda: attention.integrated_gradients(model, tokens, 1, steps=STEPS),
            "captum",
            _captum_ig(model, x),
            backward(STEPS),
        ),
        row(
            f"gradient x input, {size}",
            lambda: attention.gradient_x_input(model, tokens, 1),
            "captum",
            _captum_gxi(model, x),
            backward(1),
        ),
        row(
            f"occlusion, {size}",
            lambda: attention.occlusion(model, tokens, 1, replacement=0),
            "captum",
            _captum_ablation(model, x),
            forward(LENGTH),
        ),
        row(
            f"flow, 4 layers, one text of {LENGTH} words",
            lambda: attention.flow(deep),
            "networkx",
            _networkx(deep),
            lambda: attention.rollout(deep),
        ),
        row(
            f"100 permutations, 8 texts of {LENGTH} words",
            lambda: attention.permutations(model, tokens[:8], n_permutations=100),
            "none",
            None,
            forward(100 * 8 // N, 100),
        ),
    ]


def _captum_ig(model: Any, x: torch.Tensor) -> Callable[[], Any] | None:
    try:
        from captum.attr import LayerIntegratedGradients
    except ImportError:
        return None
    peer = LayerIntegratedGradients(model, model.tokens)
    model.tokens.requires_grad_(True)  # captum needs a graph that begins at the weights
    blank = torch.zeros_like(x)
    return lambda: peer.attribute(x, blank, target=1, n_steps=STEPS, method="gausslegendre", internal_batch_size=256)


def _captum_gxi(model: Any, x: torch.Tensor) -> Callable[[], Any] | None:
    try:
        from captum.attr import LayerGradientXActivation
    except ImportError:
        return None
    return lambda: LayerGradientXActivation(model, model.tokens).attribute(x, target=1)


def _captum_ablation(model: Any, x: torch.Tensor) -> Callable[[], Any] | None:
    try:
        from captum.attr import FeatureAblation
    except ImportError:
        return None
    return lambda: FeatureAblation(model).attribute(x, baselines=0, target=1, perturbations_per_eval=4)


def _networkx(patterns: np.ndarray) -> Callable[[], Any] | None:
    try:
        import networkx
    except ImportError:
        return None
    mixed = patterns.mean(axis=1) / 2 + np.eye(LENGTH) / 2

    def call() -> None:
        graph = networkx.DiGraph()
        for k, i, j in zip(*np.nonzero(mixed), strict=True):
            graph.add_edge((k + 1, i), (k, j), capacity=mixed[k, i, j])
        for j in range(LENGTH):
            networkx.maximum_flow_value(graph, (len(mixed), LENGTH - 1), (0, j))

    return call
