"""Maps and direct paths equal TransformerLens, on the same weights, pairs and sites."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.peers.bench_patching import SWEEPS, bridge, pairs, sweep
from xailib import patching, pretrained
from xailib._torchvision import torchvision
from xailib.zoo.transformer import Transformer

torchvision()  # transformers, which TransformerLens brings, imports it
pytest.importorskip("transformer_lens")

HEADS, VOCABULARY = 4, 20
KINDS = {"with MLP": {}, "attention only": {"mlp": False}, "without normalisation": {"normalise": False}}


@pytest.fixture(params=KINDS)
def model(request) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(VOCABULARY, 12, width=32, n_heads=HEADS, n_layers=3, **KINDS[request.param]).eval()
    torch.nn.init.zeros_(made.output.bias)
    return made.requires_grad_(False)


def test_the_converted_model_gives_the_same_scores(model):
    clean = pairs(VOCABULARY, 10, 5)[0]
    with torch.no_grad():
        torch.testing.assert_close(bridge(model)(torch.tensor(clean)), model(torch.tensor(clean)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("part", SWEEPS)
def test_maps_are_transformer_lens(model, part):
    if part in ("mlp.out", "resid_mid") and model.blocks[0].mlp is None:
        pytest.skip("attention only: no MLP, and TransformerLens has no stage in the middle")
    clean, corrupted, answers = pairs(VOCABULARY, 10, 5)
    theirs = sweep(bridge(model), clean, corrupted, answers, part).numpy()  # heads: (layer, position, head)
    ours = patching.patch_map(model, clean, corrupted, answers, part).difference.mean(axis=0)
    np.testing.assert_allclose(ours, theirs.transpose(0, 2, 1) if part == "heads" else theirs, atol=1e-5)


@pytest.mark.parametrize(("letter", "inputs"), [("q", "queries"), ("k", "keys"), ("v", "values")])
def test_direct_paths_between_heads_are_transformer_lens(letter, inputs):
    """On a GPT-2, whose attention TransformerLens can split; the same weights through both conversions."""
    from transformer_lens import patching as theirs
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=VOCABULARY, n_positions=12, n_embd=32, n_layer=3, n_head=HEADS, initializer_range=0.2)
    config.architectures = ["GPT2LMHeadModel"]
    network = GPT2LMHeadModel(config).eval()
    model = pretrained.from_gpt2(network)
    peer = build_bridge_from_module(network, "GPT2LMHeadModel", hf_config=config)
    peer.enable_compatibility_mode(no_processing=True)
    clean, corrupted, answers = pairs(VOCABULARY, 10, 5)
    a = torch.tensor(answers)

    def metric(logits):
        return (logits[torch.arange(5), -1, a[:, 0]] - logits[torch.arange(5), -1, a[:, 1]]).mean()

    with torch.no_grad():
        caches = [peer.run_with_cache(torch.tensor(rows))[1] for rows in (clean, corrupted)]
        found = theirs.get_act_patch_direct_path(peer, torch.tensor(corrupted), *caches, metric, 0, 1, letter, verbose=False)
    for layer in (1, 2):
        for head in range(HEADS):
            ours = patching.path_patch(model, clean, corrupted, answers, (layer, head), inputs=inputs)
            sender = ours.axes["sender"].index("head 0.1")
            assert ours.difference[:, sender].mean() == pytest.approx(float(found[layer, head]), abs=1e-5)


def test_the_lens_and_the_direct_attributions_are_transformer_lens(model):
    clean, _, answers = pairs(VOCABULARY, 10, 5)
    peer = bridge(model)
    with torch.no_grad():
        cache = peer.run_with_cache(torch.tensor(clean))[1]
        stack, labels = cache.accumulated_resid(layer=3, incl_mid=False, pos_slice=-1, return_labels=True)
        towards = model.output.weight[answers[:, 0]] - model.output.weight[answers[:, 1]]
        read = torch.stack([(model.norm(x) * towards).sum(dim=1) for x in stack], dim=1)
    lens = patching.logit_lens(model, clean)
    stages = ["embedded", *(f"blocks.{k}.resid_post" for k in range(3))]
    ours = lens.difference(answers)[:, [lens.stages.index(stage) for stage in stages]]
    assert len(labels) == 4
    np.testing.assert_allclose(ours, read.numpy(), atol=1e-5)
