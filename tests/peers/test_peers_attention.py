"""Our attributions against captum's, our flow against networkx's, and the row that copies of vit-explain do not normalise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.test_attention import classifier, network, random_attention, sentences
from xailib import attention

captum_attr = pytest.importorskip("captum.attr", reason="captum is not installed: pip install -e .[peers]")


def scores_at(model, read):
    """What captum explains: the scores of the position that is read."""
    return lambda tokens: model(tokens) if model.n_outputs is not None else model(tokens)[:, read]


MODELS = [classifier, network]


@pytest.mark.parametrize("make", MODELS, ids=["classifier", "next word"])
@pytest.mark.parametrize("skip", [[], [5]], ids=["all words", "one skipped"])
def test_integrated_gradients_equal_captums_on_the_embedding_layer(make, skip):
    model, tokens = make(), torch.as_tensor(sentences(padded=False))
    read = 4 if model.n_outputs is None else None
    ours = attention.integrated_gradients(model, tokens, 2, position=read, baseline=3, skip=skip, steps=20)
    peer = captum_attr.LayerIntegratedGradients(scores_at(model, read), model.tokens)
    blank = torch.where(torch.isin(tokens, torch.tensor(skip, dtype=torch.long)), tokens, 3)
    theirs = peer.attribute(tokens, blank, target=2, n_steps=20, method="gausslegendre").sum(dim=2)
    np.testing.assert_allclose(ours.values, theirs.detach().numpy(), atol=1e-7)  # captum: another order of sums


@pytest.mark.parametrize("make", MODELS, ids=["classifier", "next word"])
def test_gradient_x_input_equals_captums_on_the_embedding_layer(make):
    model, tokens = make(), torch.as_tensor(sentences(padded=False))
    read = 4 if model.n_outputs is None else None
    ours = attention.gradient_x_input(model, tokens, 1, position=read)
    peer = captum_attr.LayerGradientXActivation(scores_at(model, read), model.tokens)
    theirs = peer.attribute(tokens, target=1).sum(dim=2).detach().numpy()
    np.testing.assert_allclose(ours.values, theirs, atol=1e-10)


def test_occlusion_equals_captums_feature_ablation():
    model, tokens = classifier(), torch.as_tensor(sentences(padded=False))
    theirs = captum_attr.FeatureAblation(model).attribute(tokens, baselines=3, target=1).numpy()
    np.testing.assert_allclose(attention.occlusion(model, tokens, 1, replacement=3).values, theirs, atol=1e-10)


@pytest.mark.parametrize("n_layers", [2, 3, 5])
def test_flow_equals_networkx(n_layers):
    networkx = pytest.importorskip("networkx", reason="networkx is not installed")
    A = random_attention(np.random.default_rng(n_layers), n_layers, 3, 5, 5, causal=True)
    mixed = A.mean(axis=1) / 2 + np.eye(5) / 2
    graph = networkx.DiGraph()
    graph.add_nodes_from((0, j) for j in range(5))
    for k, i, j in zip(*np.nonzero(mixed), strict=True):
        graph.add_edge((k + 1, i), (k, j), capacity=mixed[k, i, j])
    theirs = [networkx.maximum_flow_value(graph, (n_layers, 4), (0, j)) for j in range(5)]
    np.testing.assert_allclose(attention.flow(A), theirs, atol=1e-7)


def copied_rollout(patterns, fusion):
    """The lines that copies of vit-explain share, in our names: a sum without its axis kept divides columns, not rows."""
    result = torch.eye(patterns.shape[-1], dtype=torch.float64)
    for A in torch.as_tensor(patterns):
        fused = A.mean(dim=0) if fusion == "mean" else A.amax(dim=0)
        with_stream = fused + torch.eye(len(fused), dtype=torch.float64)
        result = (with_stream / with_stream.sum(dim=-1)) @ result
    return result.numpy()


def test_the_row_sums_find_the_axis_that_was_not_kept():
    """Invisible for the mean of heads, whose rows sum to 2 with the stream; with the largest weights rows no longer sum to 1."""
    A = random_attention(np.random.default_rng(0), 2, 3, 4, 4)
    np.testing.assert_allclose(copied_rollout(A, "mean"), attention.rollout(A), atol=1e-12)
    broken = copied_rollout(A, "max").sum(axis=1)
    assert np.abs(broken - 1).max() > 0.02
    np.testing.assert_allclose(attention.rollout(A, fusion="max").sum(axis=1), 1)
