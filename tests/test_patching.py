"""Closed forms of patching: clean values give clean logits, linear effects add up, direct effects are a sum; no side effects."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import patching
from xailib.patching import PARTS, Site
from xailib.zoo.transformer import Transformer, hook_points

VOCABULARY, CONTEXT, HEADS = 12, 9, 3


def network(seed: int = 0, **options) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(VOCABULARY, CONTEXT, **{"width": 24, "n_heads": HEADS, "n_layers": 3} | options).eval()
        for parameter in model.parameters():  # biases and norms of their own
            parameter.data += 0.1 * torch.randn_like(parameter)
        return model.requires_grad_(False)


def linear(seed: int = 0, **options) -> Transformer:
    """Uniform attention and nothing else that is not linear."""
    model = network(seed, mlp=False, normalise=False, **options)
    for block in model.blocks:
        for weight in (*block.attention.W_Q.parameters(), *block.attention.W_K.parameters()):
            weight.zero_()
    return model


def pairs(n: int = 4, length: int = 7, seed: int = 1, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences that differ in two tokens, and two answers for each."""
    rng = np.random.default_rng(seed)
    clean, corrupted = rng.integers(first, VOCABULARY, (2, n, length))
    corrupted[:, [0, 1, 3, 5, 6]] = clean[:, [0, 1, 3, 5, 6]]
    return clean, corrupted, np.array([rng.choice(VOCABULARY, 2, replace=False) for _ in range(n)])


def scores_of(model: Transformer, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.as_tensor(tokens)).numpy()


# --- record -----------------------------------------------------------------------------------------------------------


def test_a_recording_holds_what_stops_at_each_point_and_leaves_no_trace():
    model, tokens = network().train(), pairs()[0]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = patching.record(model, tokens, batch_size=3)
    assert list(run.values) == hook_points(model)
    np.testing.assert_array_equal(run.tokens, tokens)
    np.testing.assert_allclose(run.scores, scores_of(network(), tokens), atol=1e-6)
    stream = run["embedded"] + sum(run[f"blocks.{k}.attn_out"] + run[f"blocks.{k}.mlp.out"] for k in range(3))
    np.testing.assert_allclose(run["blocks.2.resid_post"], stream, atol=1e-5)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with pytest.raises(KeyError, match="recorded were embedded"):
        patching.record(model, tokens, "embedded")["final"]


# --- patch ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["embedded", "blocks.0.resid_pre", "blocks.1.resid_mid", "blocks.2.resid_post", "final"])
def test_all_sites_of_the_stream_give_the_clean_scores_exactly(point):
    model, (clean, corrupted, _) = network(), pairs()
    np.testing.assert_array_equal(patching.patch(model, corrupted, clean, point), scores_of(model, clean))
    np.testing.assert_array_equal(patching.patch(model, clean, corrupted, point), scores_of(model, corrupted))


def test_all_parts_that_write_into_the_stream_give_the_clean_scores_exactly():
    model, (clean, corrupted, _) = network(), pairs()
    sites = ["embedded", *(f"blocks.{k}.{part}" for k in range(3) for part in ("attn_out", "mlp.out"))]
    np.testing.assert_array_equal(patching.patch(model, corrupted, clean, sites), scores_of(model, clean))


def test_the_positions_that_differ_are_enough_before_the_first_layer():
    model, (clean, corrupted, _) = network(), pairs()
    sites = [Site("blocks.0.resid_pre", position=p) for p in (2, 4)]
    np.testing.assert_array_equal(patching.patch(model, corrupted, clean, sites), scores_of(model, clean))
    only = patching.patch(model, corrupted, clean, sites[:1])
    mixed = corrupted.copy()
    mixed[:, 2] = clean[:, 2]
    np.testing.assert_array_equal(only, scores_of(model, mixed))


def test_a_position_may_differ_from_sequence_to_sequence():
    model, (clean, corrupted, _) = network(), pairs()
    where = np.array([2, 4, 2, -3])
    found = patching.patch(model, corrupted, clean, Site("embedded", position=where))
    mixed = corrupted.copy()
    mixed[np.arange(4), where] = clean[np.arange(4), where]
    np.testing.assert_array_equal(found, scores_of(model, mixed))


def test_patching_a_run_with_itself_changes_nothing():
    model, clean = network(), pairs()[0]
    for point in hook_points(model):
        np.testing.assert_array_equal(patching.patch(model, clean, clean, point, batch_size=2), scores_of(model, clean))


@given(seed=st.integers(0, 10**6), layer=st.integers(0, 2), first=st.integers(0, 6), second=st.integers(0, 6))
@settings(deadline=None, max_examples=20)
def test_in_a_linear_network_effects_add_up(seed, layer, first, second):
    model, (clean, corrupted, _) = linear(seed % 7), pairs(seed=seed)
    start = scores_of(model, corrupted)
    a = Site(f"blocks.{layer}.attention.heads", head=0, position=first)
    b = Site(f"blocks.{layer}.attention.heads", head=1, position=second)
    each = [patching.patch(model, corrupted, clean, site) - start for site in (a, b)]
    both = patching.patch(model, corrupted, clean, [a, b]) - start
    np.testing.assert_allclose(both, each[0] + each[1], atol=1e-4)


def test_in_a_linear_network_the_positions_of_a_layer_make_the_whole():
    model, (clean, corrupted, answers) = linear(), pairs()
    found = patching.patch_map(model, clean, corrupted, answers)
    np.testing.assert_allclose(found.values.sum(axis=2), 1, atol=2e-3)


# --- ablate -----------------------------------------------------------------------------------------------------------


def test_ablation_puts_in_what_it_says():
    """Into the stream in front of the output layer, where the scores can be computed by hand."""
    model, (tokens, reference, _) = network(), pairs(n=5)
    W, b = model.output.weight.numpy(), model.output.bias.numpy()
    here, there = (patching.record(model, rows, "final")["final"] for rows in (tokens, reference))
    site = Site("final", position=3)
    np.testing.assert_allclose(patching.ablate(model, tokens, site, to="zero")[:, 3], np.tile(b, (5, 1)), atol=1e-6)
    own = patching.ablate(model, tokens, site)
    np.testing.assert_allclose(own[:, 3], np.tile(here[:, 3].mean(axis=0) @ W.T + b, (5, 1)), atol=1e-5)
    np.testing.assert_allclose(own[:, 2], scores_of(model, tokens)[:, 2], atol=1e-6)
    other = patching.ablate(model, tokens, site, reference=reference[:2])
    np.testing.assert_allclose(other[:, 3], np.tile(there[:2, 3].mean(axis=0) @ W.T + b, (5, 1)), atol=1e-5)
    drawn = patching.ablate(model, tokens, site, to="resample")[:, 3]
    whole = scores_of(model, tokens)[:, 3]
    donors = np.array([np.abs(whole - row).max(axis=1).argmin() for row in drawn])
    np.testing.assert_allclose(drawn, whole[donors], atol=1e-5)
    assert sorted(donors) == list(range(5))
    assert (donors != np.arange(5)).all()


def test_resampling_is_reproducible_and_the_same_for_all_sites():
    model, tokens = network(), pairs(n=6)[0]
    sites = ["embedded", *(f"blocks.{k}.{part}" for k in range(3) for part in ("attn_out", "mlp.out"))]
    one, again = (patching.ablate(model, tokens, sites, to="resample", random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    whole = scores_of(model, tokens)
    for row in one:  # everything comes from one donor, so that the whole run is the donor's
        assert np.abs(whole - row).max(axis=(1, 2)).min() < 1e-5


def test_padding_is_left_out_of_the_mean():
    model = network(padding=0)
    tokens = pairs(first=1)[0]
    tokens[2:, 5:] = 0
    values = patching.record(model, tokens, "blocks.0.attn_out")["blocks.0.attn_out"]
    instead = np.concatenate([values[:, :5].mean(axis=0), values[:2, 5:].mean(axis=0)])
    found = patching.ablate(model, tokens, "blocks.0.attn_out")
    with torch.no_grad():
        hook = model.blocks[0].attn_out.register_forward_hook(lambda *_: torch.tensor(instead).expand(4, -1, -1))
        expected = model(torch.as_tensor(tokens)).numpy()
        hook.remove()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_single_sequence_has_no_other_to_draw_from():
    with pytest.raises(ValueError, match="no other to resample from"):
        patching.ablate(network(), pairs()[0][:1], "embedded", to="resample")


# --- maps -------------------------------------------------------------------------------------------------------------


def by_hooks(model, clean, corrupted, answers, part, direction):
    """The map, site by site, with the whole model run each time."""
    into, source = (corrupted, clean) if direction == "denoise" else (clean, corrupted)
    point = "attention.heads" if part == "heads" else part
    heads = range(HEADS) if part == "heads" else [None]
    rows = [
        [[Site(f"blocks.{k}.{point}", head, p) for p in range(clean.shape[1])] for head in heads]
        for k in range(len(model.blocks))
    ]
    found = [
        [[patching.logit_difference(patching.patch(model, into, source, site), answers) for site in sites] for sites in heads_]
        for heads_ in rows
    ]
    values = np.moveaxis(np.array(found), -1, 0)
    return values if part == "heads" else values[:, :, 0]


@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("part", PARTS)
def test_a_map_equals_the_same_sites_one_by_one(part, direction):
    model, (clean, corrupted, answers) = network(), pairs()
    found = patching.patch_map(model, clean, corrupted, answers, part, direction=direction)
    np.testing.assert_allclose(found.difference, by_hooks(model, clean, corrupted, answers, part, direction), atol=1e-5)
    whole = [patching.logit_difference(scores_of(model, rows), answers) for rows in (clean, corrupted)]
    np.testing.assert_allclose(np.array([found.clean, found.corrupted]), whole, atol=1e-5)
    gap = found.clean - found.corrupted
    ends = found.difference - found.corrupted.reshape(-1, *[1] * (found.values.ndim - 1))
    np.testing.assert_allclose(found.values, ends / gap.reshape(ends.shape[:1] + (1,) * (ends.ndim - 1)), atol=1e-9)


@pytest.mark.parametrize("part", PARTS)
def test_the_batch_size_changes_nothing(part):
    model, (clean, corrupted, answers) = network(), pairs(n=5)
    whole = patching.patch_map(model, clean, corrupted, answers, part)
    small = patching.patch_map(model, clean, corrupted, answers, part, batch_size=4)
    np.testing.assert_allclose(small.difference, whole.difference, atol=1e-5)
    assert list(whole.axes) == ["layer", "head", "position"] if part == "heads" else ["layer", "position"]


def test_all_positions_of_a_stream_give_one_and_of_the_heads_what_hooks_give():
    model, (clean, corrupted, answers) = network(), pairs()
    for part in ("resid_pre", "resid_mid", "resid_post"):
        found = patching.patch_map(model, clean, corrupted, answers, part, by_position=False)
        assert found.values.shape == (4, 3)
        np.testing.assert_allclose(found.values, 1, atol=1e-4)
    found = patching.patch_map(model, clean, corrupted, answers, "heads", by_position=False)
    for layer, head in np.ndindex(3, HEADS):
        scores = patching.patch(model, corrupted, clean, Site(f"blocks.{layer}.attention.heads", head))
        np.testing.assert_allclose(found.difference[:, layer, head], patching.logit_difference(scores, answers), atol=1e-5)


@pytest.mark.parametrize("options", [{"n_outputs": 4, "causal": False}, {}], ids=["classifier", "next token"])
def test_padded_sequences_and_other_reading_positions(options):
    model, (clean, corrupted, answers) = network(padding=0, **options), pairs(first=1)
    for rows in (clean, corrupted):
        rows[1:3, 5:] = 0
    answers = answers % 4 if options else answers
    answers[answers[:, 0] == answers[:, 1], 1] = 3 - answers[answers[:, 0] == answers[:, 1], 0]
    at = np.array([6, 4, 4, 6])
    found = patching.patch_map(model, clean, corrupted, answers, "resid_mid")
    site = Site("blocks.1.resid_mid", position=2)
    scores = patching.patch(model, corrupted, clean, site)
    np.testing.assert_allclose(found.difference[:, 1, 2], patching.logit_difference(scores, answers, at=at), atol=1e-5)
    if not options:
        earlier = patching.patch_map(model, clean, corrupted, answers, "resid_mid", at=at - 1)
        expected = patching.logit_difference(scores, answers, at=at - 1)
        np.testing.assert_allclose(earlier.difference[:, 1, 2], expected, atol=1e-5)


def test_a_pair_without_a_difference_is_named():
    clean, corrupted, answers = pairs()
    corrupted[2] = clean[2]
    with pytest.raises(ValueError, match="same logit difference in pair 2"):
        patching.patch_map(network(), clean, corrupted, answers)
    with pytest.raises(ValueError, match="attention only"):
        patching.patch_map(network(mlp=False), clean, corrupted, answers, "mlp.out")
    padded = clean.copy()
    padded[0, 6] = 0
    with pytest.raises(ValueError, match="padding at the same positions"):
        patching.patch_map(network(padding=0), clean, padded, answers)


def test_a_map_is_read_in_words_and_tables():
    model, (clean, corrupted, answers) = network(), pairs()
    found = patching.patch_map(model, clean, corrupted, answers, "heads")
    gap = found.clean.mean() - found.corrupted.mean()
    np.testing.assert_allclose(found.mean(), (found.difference.mean(axis=0) - found.corrupted.mean()) / gap)
    table = found.to_frame()
    assert list(table.columns) == ["layer", "head", "position", "effect", "low", "high"]
    np.testing.assert_allclose(table["effect"], found.values.mean(axis=0).ravel())
    assert (table["low"] <= table["effect"]).all()
    assert list(patching.patch_map(model, clean[:1], corrupted[:1], answers[:1]).to_frame()) == ["layer", "position", "effect"]
    assert "4 pairs; largest: layer" in repr(found)
    for part, ylabel in (("heads", "layer.head"), ("attn_out", "layer")):
        ax = patching.patch_map(model, clean, corrupted, answers, part).plot(labels=list("abcdefg"))
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("position", ylabel)
        plt.close(ax.figure)


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_direct_paths_to_the_logits_are_the_whole_story_without_anything_in_between(direction):
    """One layer, attention only, no normalisation: all that is written reaches the logits directly, so that it adds up to one."""
    model, (clean, corrupted, answers) = network(n_layers=1, mlp=False, normalise=False), pairs()
    found = patching.path_patch(model, clean, corrupted, answers, direction=direction)
    assert found.axes["sender"] == ["embedded", "head 0.0", "head 0.1", "head 0.2"]
    shares = found.values if direction == "denoise" else 1 - found.values
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-3)


def test_a_direct_path_by_hand():
    """Hold every head and MLP behind the sender at its own value, patch the sender: only the straight path is left."""
    model, (clean, corrupted, answers) = network(), pairs()
    found = patching.path_patch(model, clean, corrupted, answers)
    own = patching.record(model, corrupted)
    held = ["blocks.0.mlp.out", *(f"blocks.{k}.{part}" for k in (1, 2) for part in ("attn_out", "mlp.out"))]
    with torch.no_grad():
        hooks = [
            model.get_submodule(name).register_forward_hook(lambda *_, value=own[name]: torch.tensor(value)) for name in held
        ]
        scores = patching.patch(model, corrupted, clean, Site("blocks.0.attention.heads", head=1))
        for hook in hooks:
            hook.remove()
    np.testing.assert_allclose(
        found.difference[:, found.axes["sender"].index("head 0.1")], patching.logit_difference(scores, answers), atol=1e-5
    )


def test_paths_to_a_head_add_up_in_what_it_hears():
    """The stream is a sum: with all senders together a receiver hears the other run, as far as one input goes."""
    model, (clean, corrupted, answers) = linear(n_layers=2), pairs()
    through = patching.path_patch(model, clean, corrupted, answers, (1, 2), inputs="values")
    assert through.axes["sender"] == ["embedded", "head 0.0", "head 0.1", "head 0.2"]
    head = patching.patch_map(model, clean, corrupted, answers, "heads", by_position=False).values[:, 1, 2]
    np.testing.assert_allclose(through.values.sum(axis=1), head, atol=1e-3)
    nothing = patching.path_patch(model, clean, corrupted, answers, (1, 2), inputs=["queries", "keys"])
    np.testing.assert_allclose(nothing.values, 0, atol=1e-4)


@pytest.mark.parametrize("inputs", ["queries", "keys", "values"])
def test_a_path_to_a_head_by_hand(inputs):
    """Give the receiver's input the value it has when the sender's other value is added to what it reads."""
    model, (clean, corrupted, answers) = network(), pairs()
    found = patching.path_patch(model, clean, corrupted, answers, (2, 1), inputs=inputs)
    run, own = (patching.record(model, rows) for rows in (clean, corrupted))
    weight = model.blocks[0].attention.W_O.weight.numpy()[:, 8:16]
    change = (run["blocks.0.attention.heads"] - own["blocks.0.attention.heads"])[:, 1] @ weight.T
    block = model.blocks[2]
    with torch.no_grad():
        heard = block.norm1(torch.tensor(own["blocks.2.resid_pre"] + change))
        project = {"queries": block.attention.W_Q, "keys": block.attention.W_K, "values": block.attention.W_V}[inputs]
        other = project(heard).unflatten(2, (HEADS, -1)).transpose(1, 2)

        def hear(_module, _inputs, value):
            value = value.clone()
            value[:, 1] = other[:, 1]
            return value

        hook = block.attention.get_submodule(inputs).register_forward_hook(hear)
        scores = model(torch.as_tensor(corrupted)).numpy()
        hook.remove()
    expected = patching.logit_difference(scores, answers)
    np.testing.assert_allclose(found.difference[:, found.axes["sender"].index("head 0.1")], expected, atol=1e-5)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"mlp": False}, {"normalise": False}, {"padding": 0}])
def test_the_last_stage_of_the_lens_is_the_model(options):
    model, tokens = network(**options), pairs(first=1)[0]
    at = np.full(4, 6)
    if "padding" in options:
        tokens[1, 4:] = 0
        at[1] = 3
    lens = patching.logit_lens(model, tokens, batch_size=3)
    whole = scores_of(model, tokens)[np.arange(4), at]
    np.testing.assert_allclose(lens.scores[:, -1], whole, atol=1e-5)
    assert lens.stages[0] == "embedded"
    assert lens.stages[-1] == "blocks.2.resid_post"
    first = patching.record(model, tokens)["embedded"][np.arange(4), at]
    with torch.no_grad():
        expected = model.output(model.norm(torch.tensor(first))).numpy()
    np.testing.assert_allclose(lens.scores[:, 0], expected, atol=1e-5)


def test_what_a_lens_says():
    model, (tokens, _, answers) = network(), pairs()
    lens = patching.logit_lens(model, tokens, at=3)
    whole = scores_of(model, tokens)
    np.testing.assert_allclose(lens.difference(answers)[:, -1], patching.logit_difference(whole, answers, at=3), atol=1e-5)
    best = whole[:, 3].argmax(axis=1)
    assert (lens.ranks(best)[:, -1] == 1).all()
    order = np.argsort(-whole[:, 3], axis=1)
    assert (lens.ranks(order[:, 4])[:, -1] == 5).all()
    table = lens.to_frame()
    p = np.exp(whole[:, 3]) / np.exp(whole[:, 3]).sum(axis=1, keepdims=True)
    last = table[table["stage"] == "blocks.2.resid_post"]
    np.testing.assert_array_equal(last["token"], best)
    np.testing.assert_allclose(last["probability"], p.max(axis=1), atol=1e-5)
    ax = lens.plot(answers)
    assert ax.get_ylabel() == "logit difference"
    plt.close(ax.figure)
    assert "4 sequences" in repr(lens)


@pytest.mark.parametrize("options", [{}, {"mlp": False}, {"normalise": False}, {"n_outputs": 5, "padding": 0}])
def test_direct_attributions_are_complete(options):
    model, (tokens, _, answers) = network(**options), pairs(first=1)
    answers = np.array([1, 3]) if options.get("n_outputs") else answers
    found = patching.direct_logit_attribution(model, tokens, answers, batch_size=3)
    whole = patching.logit_difference(scores_of(model, tokens), answers)
    np.testing.assert_allclose(found.prediction, whole, atol=1e-5)
    np.testing.assert_allclose(found.efficiency_gap(), 0, atol=1e-5)
    assert ("MLP 1" in found.feature_names) == options.get("mlp", True)
    assert len(found.feature_names) == 1 + 3 * (HEADS + 1 + options.get("mlp", True))


def test_a_direct_attribution_without_normalisation_is_a_scalar_product():
    model, (tokens, _, answers) = network(normalise=False), pairs()
    found = patching.direct_logit_attribution(model, tokens, answers, at=2)
    W = model.output.weight.numpy()
    towards = W[answers[:, 0]] - W[answers[:, 1]]
    head = (
        patching.record(model, tokens)["blocks.1.attention.heads"][:, 2, 2]
        @ model.blocks[1].attention.W_O.weight.numpy()[:, 16:].T
    )
    np.testing.assert_allclose(found.values[:, found.feature_names.index("head 1.2")], (head * towards).sum(axis=1), atol=1e-5)


def test_attention_to_a_target_is_the_mean_of_the_pattern_there():
    model, tokens = network(), pairs()[0]
    targets = np.full((4, 7), -1)
    targets[:, 3], targets[1, 5] = 1, 0
    found = patching.attention_to(model, tokens, targets)
    pattern = patching.record(model, tokens)["blocks.2.attention.pattern"]
    assert found.shape == (4, 3, HEADS)
    np.testing.assert_allclose(found[0, 2], pattern[0, :, 3, 1], atol=1e-6)
    np.testing.assert_allclose(found[1, 2], (pattern[1, :, 3, 1] + pattern[1, :, 5, 0]) / 2, atol=1e-6)
    itself = patching.attention_to(model, tokens, np.arange(7))
    np.testing.assert_allclose(itself[:, 2], pattern[:, :, np.arange(7), np.arange(7)].mean(axis=2), atol=1e-6)


def test_the_logit_difference_is_a_log_ratio_of_probabilities():
    z = np.random.default_rng(0).normal(size=(5, 3, 8))
    p = np.exp(z) / np.exp(z).sum(axis=2, keepdims=True)
    found = patching.logit_difference(z, [2, 6], at=[0, 1, 2, -1, -3])
    at = np.array([0, 1, 2, 2, 0])
    np.testing.assert_allclose(found, np.log(p[np.arange(5), at, 2] / p[np.arange(5), at, 6]))
    np.testing.assert_allclose(patching.logit_difference(z[:, 1], [2, 6]), patching.logit_difference(z, [2, 6], at=1))


def test_nothing_of_the_model_changes():
    model, (clean, corrupted, answers) = network().train(), pairs()
    model.requires_grad_(True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    patching.patch_map(model, clean, corrupted, answers, "heads")
    patching.path_patch(model, clean, corrupted, answers, (2, 0))
    patching.ablate(model, clean, "blocks.0.attn_out")
    patching.logit_lens(model, clean)
    patching.direct_logit_attribution(model, clean, answers)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
