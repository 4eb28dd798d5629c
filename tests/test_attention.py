"""Attention: closed forms of rollout and flow, literal definitions, experiments that must find nothing where there is nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from xailib import attention, worlds
from xailib._attention_edits import shuffled
from xailib._transformers import record
from xailib.zoo.compiled import compiled_copies
from xailib.zoo.transformer import Transformer

VOCABULARY, CONTEXT, WIDTH, HEADS = 12, 10, 16, 2
CAUSAL = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])


def network(scale: float = 1.0, **options) -> Transformer:
    """A small transformer with weights large enough for attention that is not flat."""
    options = {"width": WIDTH, "n_heads": HEADS, "padding": 0, **options}
    model, generator = Transformer(VOCABULARY, CONTEXT, **options).double().eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" not in name:
                p.copy_(scale * (0.4 if p.ndim > 1 else 0.1) * torch.randn(p.shape, generator=generator))
    return model


def classifier(**options) -> Transformer:
    return network(n_outputs=3, causal=False, **options)


def sentences(n: int = 4, length: int = 7, *, padded: bool = True) -> np.ndarray:
    tokens = np.random.default_rng(1).integers(1, VOCABULARY, (n, length))
    if padded:
        tokens[0, 5:] = 0
    return tokens


def random_attention(rng: np.random.Generator, *shape: int, causal: bool = False) -> np.ndarray:
    A = rng.dirichlet(np.full(shape[-1], 0.5), size=shape[:-1]) + 1e-9
    A = np.tril(A) if causal else A
    return A / A.sum(axis=-1, keepdims=True)


# --- maps -------------------------------------------------------------------------------------------------------------


def test_maps_are_the_patterns_and_say_what_each_query_sees():
    model, tokens = network(), sentences()
    found = attention.maps(model, tokens)
    assert found.values.shape == (2, 4, HEADS, 7, 7)
    _, seen = record(model, torch.as_tensor(tokens), ["blocks.1.attention.pattern"])
    np.testing.assert_allclose(found.values[1], seen["blocks.1.attention.pattern"].numpy())
    np.testing.assert_allclose(found.values.sum(axis=-1), 1)
    np.testing.assert_array_equal(found.visible[1], np.tril(np.ones((7, 7), dtype=bool)))
    assert not found.visible[0, 4, 5:].any()
    np.testing.assert_array_equal(found.read, [4, 6, 6, 6])
    np.testing.assert_allclose(found.at_read()[1, 0], found.values[1, 0, :, 4])


def test_the_frame_holds_every_visible_pair_once():
    found = attention.maps(network(), sentences())
    frame = found.to_frame()
    assert len(frame) == 2 * HEADS * found.visible.sum()
    row = frame.query("layer == 1 and sequence == 2 and head == 1 and query == 5 and key == 3")
    assert row["weight"].item() == found.values[1, 2, 1, 5, 3]


def test_without_scales_the_rest_and_leaves_rows_that_have_nothing_else():
    found = attention.maps(network(), sentences(padded=False))
    changed = found.without(0)
    np.testing.assert_array_equal(changed[..., 0, :], found.values[..., 0, :])  # the first position sees itself only
    assert (changed[..., 1:, 0] == 0).all()
    np.testing.assert_allclose(changed.sum(axis=-1), 1)
    ratio = changed[..., 5, 1:6] / found.values[..., 5, 1:6]
    np.testing.assert_allclose(ratio, ratio[..., :1] * np.ones(5))
    one_each = found.without([1, 2, 3, 4])
    assert one_each[0, 2, 1, 6, 3] == 0 < one_each[0, 2, 1, 6, 1]
    where = np.zeros((4, 7), dtype=bool)
    where[:, [1, 2]] = True
    assert (found.without(where)[..., 3:, 1:3] == 0).all()


def test_without_scales_up_the_smallest_rest():
    """A head that is as good as sure keeps e^-30 for the others: taking its favourite away must not be a silent nothing."""
    built = compiled_copies()
    layer, head = built.heads["mute"]
    found = attention.maps(built.model, worlds.copies(30).X[:3])
    assert found.values[layer, :, head, 1:, 0].min() > 1 - 1e-9
    changed = found.without(0)[layer, :, head, 1:]
    assert (changed[..., 0] == 0).all()
    np.testing.assert_allclose(changed.sum(axis=-1), 1)


def test_uniform_is_flat_over_what_is_visible():
    flat = attention.maps(network(), sentences()).uniform()
    np.testing.assert_allclose(flat[0, 1, 0, 4], [0.2] * 5 + [0, 0])
    np.testing.assert_allclose(flat.sum(axis=-1), 1)


def test_plots_draw_what_they_show():
    found = attention.maps(network(), sentences())
    ax = found.plot(layer=1, head=1, row=2, names=list("abcdefg"))
    np.testing.assert_allclose(ax.images[0].get_array().filled(0), found.values[1, 2, 1])
    assert [t.get_text() for t in ax.get_xticklabels()] == list("abcdefg")
    result = attention.adversary(classifier(), sentences(), steps=3)
    assert [bar.get_height() for bar in result.plot().patches[:7]] == pytest.approx(result.original[0].mean(axis=0))
    moved = attention.permutations(classifier(), sentences(), n_permutations=5)
    np.testing.assert_allclose(moved.plot().lines[0].get_ydata(), np.median(moved.tvd, axis=1))
    assert "4 sequences" in repr(found) + repr(result)
    assert "5 permutations of layer 1" in repr(moved)
    assert len(result.to_frame()) == len(moved.to_frame()) == 4


# --- rollout and flow -------------------------------------------------------------------------------------------------


def test_rollout_of_two_layers_by_hand():
    R = attention.rollout([[CAUSAL], [CAUSAL]])
    np.testing.assert_allclose(R[2], [0.2125, 0.225, 0.5625])
    np.testing.assert_allclose(R, np.linalg.matrix_power((CAUSAL + np.eye(3)) / 2, 2))


@pytest.mark.parametrize("n_layers", [1, 2, 5])
def test_rollout_of_uniform_attention(n_layers):
    """B = (I + J/l) / 2 has powers I / 2^L + (1 - 2^-L) J/l."""
    length, share = 4, 2.0**-n_layers
    R = attention.rollout(np.full((n_layers, 3, length, length), 1 / length))
    np.testing.assert_allclose(R, share * np.eye(length) + (1 - share) / length)


def test_later_layers_stand_on_the_left():
    first, last = np.array([[1.0, 0], [1, 0]]), np.array([[1.0, 0], [0, 1]])
    np.testing.assert_allclose(attention.rollout([[first], [last]], residual=0), last @ first)
    first, last = random_attention(np.random.default_rng(0), 2, 1, 4, 4)
    np.testing.assert_allclose(attention.rollout([first, last], residual=0), last[0] @ first[0])


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    n_layers=st.integers(1, 4),
    fusion=st.sampled_from(["mean", "max", "min"]),
    residual=st.sampled_from([0.0, 0.5, 0.9]),
    causal=st.booleans(),
)
def test_rollout_and_flow_keep_what_attention_keeps(seed, n_layers, fusion, residual, causal):
    """Rows sum to 1 whatever the fusion; nobody sees the future; a flow is never less than what rollout sends."""
    A = random_attention(np.random.default_rng(seed), n_layers, 2, 3, 5, 5, causal=causal)
    R = attention.rollout(A, fusion=fusion, residual=residual)
    np.testing.assert_allclose(R.sum(axis=-1), 1)
    F = attention.flow(A, 3, fusion=fusion, residual=residual)
    assert (R[:, 3] - 1e-6 <= F).all()
    assert (F <= 1 + 1e-6).all()
    if causal:
        assert (np.triu(R, 1) == 0).all()
        assert (F[:, 4] == 0).all()


def test_heads_that_share_nothing_leave_the_stream():
    """Smallest weights of disjoint heads are all zero: no row is divided by zero."""
    A = np.array([[[1.0, 0], [1, 0]], [[0, 1.0], [0, 1]]])
    np.testing.assert_array_equal(attention.rollout([A, A], fusion="min"), np.eye(2))


def literal_maximum_flow(layers: np.ndarray, source: int, sink: int) -> float:
    """Ford and Fulkerson's definition: as long as a path with room is found, fill it up."""
    n_layers, length, _ = layers.shape
    room = {(k + 1, i, k, j): layers[k, i, j] for k in range(n_layers) for i in range(length) for j in range(length)}
    room |= {(b, j, a, i): 0.0 for (a, i, b, j) in room}
    total = 0.0
    while True:
        came_from = {(n_layers, source): None}
        queue = [(n_layers, source)]
        while queue and (0, sink) not in came_from:
            node = queue.pop(0)
            for (a, i, b, j), capacity in room.items():
                if (a, i) == node and capacity > 1e-9 and (b, j) not in came_from:
                    came_from[b, j] = node
                    queue.append((b, j))
        if (0, sink) not in came_from:
            return total
        path, node = [], (0, sink)
        while came_from[node] is not None:
            path.append((*came_from[node], *node))
            node = came_from[node]
        amount = min(room[edge] for edge in path)
        for a, i, b, j in path:
            room[a, i, b, j] -= amount
            room[b, j, a, i] += amount
        total += amount


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_flow_is_the_literal_maximum_flow(n_layers):
    A = random_attention(np.random.default_rng(n_layers), n_layers, 2, 4, 4)
    mixed = A.mean(axis=1) / 2 + np.eye(4) / 2
    literal = [literal_maximum_flow(mixed, 2, j) for j in range(4)]
    np.testing.assert_allclose(attention.flow(A, 2), literal, atol=1e-6)


def test_flow_by_hand():
    """0.4 of position 1 can come through itself, 0.6 through position 0; the narrower pipe of each path counts."""
    A = np.array([[1.0, 0.0], [0.4, 0.6]])
    np.testing.assert_allclose(attention.flow([[A], [A]]), [min(0.2, 1.0) + min(0.8, 0.2), min(0.8, 0.8)])


def test_flow_starts_where_the_output_is_read():
    found = attention.maps(classifier(), sentences())
    by_row = [attention.flow(found.values[:, i], found.read[i]) for i in range(4)]
    np.testing.assert_allclose(attention.flow(found), by_row)


# --- value-weighted norms ---------------------------------------------------------------------------------------------


def test_written_values_sum_to_what_attention_adds_and_norms_are_their_lengths():
    model, tokens = classifier(), sentences()
    names = ["blocks.1.resid_pre", "blocks.1.attention.pattern", "blocks.1.attn_out"]
    _, seen = record(model, torch.as_tensor(tokens), names)
    x, A, out = (seen[name] for name in names)
    block, size = model.blocks[1], WIDTH // HEADS
    v = block.attention.W_V(block.norm1(x)).detach()
    W = block.attention.W_O.weight.detach()
    parts = [slice(h * size, (h + 1) * size) for h in range(HEADS)]
    f = torch.stack([v[:, :, part] @ W[:, part].T for part in parts], dim=1)  # (n, h, l, d)
    written = A[..., None] * f[:, :, None]
    torch.testing.assert_close(written.sum(dim=(1, 3)) + block.attention.W_O.bias.detach(), out)
    each = attention.value_weighted(model, tokens)
    np.testing.assert_allclose(each[1], written.norm(dim=-1).numpy())
    together = attention.value_weighted(model, tokens, heads="sum", batch_size=3)
    np.testing.assert_allclose(together[1], written.sum(dim=1).norm(dim=-1).numpy())


def test_a_head_without_values_has_norm_zero_whatever_it_looks_at():
    model = classifier()
    with torch.no_grad():
        model.blocks[0].attention.W_V.weight[: WIDTH // HEADS] = 0
        model.blocks[0].attention.W_V.bias[: WIDTH // HEADS] = 0
    norms = attention.value_weighted(model, sentences())
    assert (norms[0, :, 0] == 0).all()
    assert norms[0, 1, 1].max() > 0.01
    assert attention.maps(model, sentences()).values[0, :, 0].max() > 0.3


def test_norms_catch_the_mute_head_and_only_an_intervention_the_decoy():
    """In the transformer built by formula the role of each head is known."""
    built, world = compiled_copies(), worlds.copies(30)
    X, answer = world.X[:12, :40], world.X[:12, 40]
    found = attention.maps(built.model, X)
    norms = attention.value_weighted(built.model, X)
    longest = {role: norms[layer][:, head, -1].max(axis=1) for role, (layer, head) in built.heads.items()}
    assert longest["mute"].max() == 0
    np.testing.assert_allclose(longest["decoy"], longest["induction"], rtol=1e-5)

    def right(role):
        layer, head = built.heads[role]
        flat = found.values[layer].copy()
        flat[:, head] = found.uniform()[layer][:, head]
        return np.mean(attention.rerun(built.model, X, {layer: flat}).argmax(axis=1) == answer)

    assert np.mean(attention.rerun(built.model, X, {}).argmax(axis=1) == answer) == 1
    assert right("decoy") == right("mute") == 1
    assert right("induction") < 0.5


# --- one number per token ---------------------------------------------------------------------------------------------


def test_token_weights_are_rows_of_what_they_name():
    model, tokens = classifier(), sentences()
    found, rows = attention.maps(model, tokens), np.arange(4)
    expected = {
        "last layer": found.values[1].mean(axis=1)[rows, found.read],
        "rollout": attention.rollout(found)[rows, found.read],
        "flow": attention.flow(found),
        "value-weighted": attention.value_weighted(model, tokens, heads="sum")[1][rows, found.read],
    }
    assert tuple(expected) == attention.AGGREGATIONS
    for name, values in expected.items():
        got = attention.token_weights(model, tokens, name)
        np.testing.assert_allclose(got, values)
        assert (got[0, 5:] == 0).all(), name


@pytest.mark.parametrize("aggregation", attention.AGGREGATIONS)
def test_padding_changes_nothing(aggregation):
    model, tokens = classifier(), sentences()
    alone = attention.token_weights(model, tokens[:1, :5], aggregation)
    np.testing.assert_allclose(attention.token_weights(model, tokens, aggregation)[0, :5], alone[0])


def test_a_next_word_model_is_read_where_you_say():
    model, tokens = network(), sentences(padded=False)
    got = attention.token_weights(model, tokens, "rollout", position=[3, 4, 5, 6])
    np.testing.assert_allclose(got[0], attention.token_weights(model, tokens[:1], "rollout", position=3)[0])
    assert (got[0, 4:] == 0).all()


# --- changing attention -----------------------------------------------------------------------------------------------


def test_rerun_with_its_own_attention_is_the_model():
    for model, read in ((classifier(), slice(None)), (network(), None)):
        tokens = sentences(padded=False)
        found = attention.maps(model, tokens)
        with torch.no_grad():
            scores = model(torch.as_tensor(tokens)).numpy()
        scores = scores if read is not None else scores[:, -1]
        np.testing.assert_allclose(attention.rerun(model, tokens, {}), scores)
        both = {0: found.values[0], 1: found.values[1]}
        np.testing.assert_allclose(attention.rerun(model, tokens, both, batch_size=3), scores)
        assert np.abs(attention.rerun(model, tokens, {0: found.uniform()[0]}) - scores).max() > 0.01


def test_only_the_reading_row_of_the_last_layer_matters():
    model, tokens = classifier(), sentences()
    found = attention.maps(model, tokens)
    changed = found.uniform()[1]
    changed[np.arange(4), :, found.read] = found.at_read()[1]
    np.testing.assert_allclose(attention.rerun(model, tokens, {1: changed}), attention.rerun(model, tokens, {}))


def test_distances_are_scipys():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(5), 20), rng.dirichlet(np.full(5, 0.1), 20)
    p[0], q[0] = [1, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5]
    np.testing.assert_allclose(attention.jsd(p, q), jensenshannon(p, q, axis=1) ** 2, atol=1e-12)
    np.testing.assert_allclose(attention.tvd(p, q), np.maximum(p - q, 0).sum(axis=1))
    assert attention.jsd(p[0], q[0]) == pytest.approx(np.log(2))
    assert attention.jsd(p, p).max() == 0
    np.testing.assert_allclose(attention.probabilities([[1000.0, 1000.0 + np.log(3)]]), [[0.25, 0.75]])


def test_a_permutation_moves_weights_among_visible_keys_only():
    found = attention.maps(network(), sentences())
    edit = shuffled(found.visible[0], 50, np.random.default_rng(0))
    A = torch.as_tensor(found.values[1, :1]).expand(50, -1, -1, -1)
    moved = edit(A).numpy()
    assert (moved[:, :, ~found.visible[0]] == 0).all()
    np.testing.assert_allclose(np.sort(moved, axis=3), np.sort(A.numpy(), axis=3))
    where = (moved[:, 0, 4] == A[0, 0, 4, 2].item()).argmax(axis=1)
    assert set(where) == {0, 1, 2, 3, 4}  # every visible key gets the weight of key 2 at some time
    assert (moved[0, 0] != moved[1, 0]).any()


@pytest.mark.parametrize("part", ["W_Q", "W_V"])
def test_permuting_does_nothing_where_attention_is_flat_or_values_are_equal(part):
    model = classifier()
    with torch.no_grad():
        for p in getattr(model.blocks[1].attention, part).parameters():
            p.zero_()
    result = attention.permutations(model, sentences(), n_permutations=20)
    assert result.tvd.max() < 1e-12
    assert result.same_class.all()
    assert attention.permutations(classifier(), sentences(), n_permutations=20).tvd.max() > 0.01


def test_permutations_are_those_of_rerun_and_depend_on_the_seed_alone():
    model, tokens = classifier(), sentences()
    result = attention.permutations(model, tokens, n_permutations=6, layers=[0, 1], random_state=3)
    again = attention.permutations(model, tokens, n_permutations=6, layers=[1, 0], random_state=3, batch_size=100)
    np.testing.assert_array_equal(result.tvd, again.tvd)
    assert (attention.permutations(model, tokens, n_permutations=6, random_state=4).tvd != result.tvd).any()
    first_two = attention.permutations(model, tokens[:2], n_permutations=6, layers=[0, 1], random_state=3)
    np.testing.assert_allclose(first_two.tvd, result.tvd[:2])
    peak = attention.maps(model, tokens).at_read()[1].mean(axis=1).max(axis=1)
    np.testing.assert_allclose(result.largest_weight, peak)


def test_the_adversary_keeps_its_promise():
    model, tokens = classifier(), sentences()
    result = attention.adversary(model, tokens, epsilon=0.02, steps=80)
    found = attention.maps(model, tokens)
    changed = found.values[1].copy()
    changed[np.arange(4), :, found.read] = result.weights
    before, after = (attention.probabilities(attention.rerun(model, tokens, p)) for p in ({}, {1: changed}))
    np.testing.assert_allclose(attention.tvd(before, after), result.tvd, atol=1e-9)
    assert (result.tvd <= 0.02).all()
    np.testing.assert_allclose(result.jsd, attention.jsd(result.weights, result.original).mean(axis=1))
    np.testing.assert_allclose(result.weights.sum(axis=2), 1)
    assert (result.weights[0, :, 5:] == 0).all()
    again = attention.adversary(model, tokens, epsilon=0.02, steps=80, batch_size=3)
    np.testing.assert_allclose(again.jsd, result.jsd, atol=1e-6)


def test_where_values_are_equal_the_adversary_may_look_anywhere():
    model = classifier()
    with torch.no_grad():
        for p in model.blocks[1].attention.W_V.parameters():
            p.zero_()
    free = attention.adversary(model, sentences(), steps=60)
    assert free.tvd.max() < 1e-12
    held = attention.adversary(classifier(), sentences(), steps=60, epsilon=1e-6)
    assert free.jsd.min() > 0.3
    assert free.jsd.mean() > held.jsd.mean() + 0.05


def test_a_trained_adversary_changes_queries_and_keys_of_one_layer_only():
    model, tokens = classifier(), sentences(40, padded=False)
    before = copy.deepcopy(model.state_dict())
    other = attention.trained_adversary(model, tokens, steps=40, strength=1.0, learning_rate=0.02)
    assert all(torch.equal(before[name], p) for name, p in model.state_dict().items())
    changed = {name for name, p in other.state_dict().items() if not torch.equal(before[name], p)}
    assert changed == {f"blocks.1.attention.{part}.{kind}" for part in ("W_Q", "W_K") for kind in ("weight", "bias")} - (
        {"blocks.1.attention.W_K.bias"} - changed
    )  # the same number added to all scores of a row changes nothing, so the keys' bias may stand still
    rows = [attention.maps(m, tokens).at_read()[1] for m in (model, other)]
    assert attention.jsd(*rows).mean() > 0.1
    assert not other.training
    assert all(p.requires_grad and p.grad is None for p in other.parameters())


# --- attributions -----------------------------------------------------------------------------------------------------


def linear() -> Transformer:
    """Flat attention, no MLP, no normalisation: the score is linear in the embeddings."""
    model = classifier(mlp=False, normalise=False)
    with torch.no_grad():
        for block in model.blocks:
            for p in block.attention.W_Q.parameters():
                p.zero_()
        model.tokens.weight[11] = 0  # a word that is nothing
    return model


def test_all_methods_agree_on_a_linear_score():
    model, tokens = linear(), sentences() % 11
    tokens[0, 5:] = 0
    gradient = attention.gradient_x_input(model, tokens, 1)
    assert np.abs(gradient.efficiency_gap()).max() < 1e-12
    np.testing.assert_allclose(attention.integrated_gradients(model, tokens, 1, steps=3).values, gradient.values, atol=1e-12)
    occlusion = attention.occlusion(model, tokens, 1, replacement=11)
    np.testing.assert_allclose(occlusion.values, gradient.values, atol=1e-12)
    np.testing.assert_allclose(occlusion.base_value, gradient.base_value)
    assert (gradient.values[0, 5:] == 0).all()
    assert np.abs(gradient.values).max() > 0.01


@pytest.mark.parametrize("baseline", ["zero", 3, np.full(WIDTH, 0.1)], ids=["zero", "token", "vector"])
def test_integrated_gradients_are_complete(baseline):
    """To 1e-3 on a smooth network; where rectifiers make kinks, more steps help."""
    model, tokens = classifier(mlp=False), sentences()
    result = attention.integrated_gradients(model, tokens, 2, against=0, baseline=baseline)
    assert np.abs(result.efficiency_gap()).max() < 1e-3
    kinked = [attention.integrated_gradients(classifier(), tokens, 2, baseline=baseline, steps=k) for k in (10, 300)]
    gaps = [np.abs(k.efficiency_gap()).mean() for k in kinked]
    assert gaps[1] < min(gaps[0] / 2, 0.02)
    scores = attention.rerun(model, tokens, {})
    np.testing.assert_allclose(result.prediction, scores[:, 2] - scores[:, 0])
    assert np.abs(result.values).max() > 0.01


def test_a_token_as_baseline_is_the_text_of_that_token():
    model, tokens = classifier(), sentences()
    result = attention.gradient_x_input(model, tokens, 0, baseline=3, skip=[5])
    blank = np.where((tokens == 5) | (tokens == 0), tokens, 3)
    np.testing.assert_allclose(result.base_value, attention.rerun(model, blank, {})[:, 0])
    assert (result.values[(tokens == 5) | (tokens == 0) | (tokens == 3)] == 0).all()


def test_occlusion_is_the_difference_of_two_runs():
    model, tokens = classifier(), sentences()
    tokens[1] = [1, 2, 3, 4, 5, 6, 7]
    result = attention.occlusion(model, tokens, 1, skip=[6, 7])
    scores = attention.rerun(model, tokens, {})[:, 1]
    shorter = np.delete(tokens[1:2], 2, axis=1)
    assert result.values[1, 2] == pytest.approx(scores[1] - attention.rerun(model, shorter, {})[0, 1])
    alone = attention.rerun(model, tokens[:1, [0, 1, 3, 4]], {})[0, 1]
    assert result.values[0, 2] == pytest.approx(scores[0] - alone)
    assert (result.values[1, 5:] == 0).all()
    assert result.base_value[1] == pytest.approx(attention.rerun(model, [[6, 7]], {})[0, 1])


def test_deleting_before_the_reading_position_moves_it():
    model, tokens = network(), sentences(padded=False)
    result = attention.occlusion(model, tokens, 4, position=5)
    scores = attention.rerun(model, tokens, {}, position=5)[:, 4]
    without = attention.rerun(model, np.delete(tokens, 1, axis=1), {}, position=4)[:, 4]
    np.testing.assert_allclose(result.values[:, 1], scores - without)
    assert (result.values[:, 6] == 0).all()  # the future of a causal model
    assert np.isnan(result.base_value).all()


def test_predicted_class_and_names():
    model, tokens = classifier(), sentences(padded=False)
    names = [f"word {j}" for j in range(7)]
    own = attention.gradient_x_input(model, tokens, names=names)
    top = attention.rerun(model, tokens, {}).argmax(axis=1)
    np.testing.assert_allclose(own.values, attention.gradient_x_input(model, tokens, top).values)
    assert own.feature_names == names
    assert "gradient x input" in repr(own)


def test_blocks_of_sequences_change_nothing():
    model, tokens = classifier(), sentences()
    for method in (attention.gradient_x_input, attention.integrated_gradients, attention.occlusion):
        np.testing.assert_allclose(method(model, tokens, 1).values, method(model, tokens, 1, batch_size=3).values, atol=1e-10)


def test_the_model_stays_as_it_was():
    model, tokens = classifier().train(), sentences()
    model.output.weight.requires_grad_(False)
    state = copy.deepcopy(model.state_dict())
    calls = (
        lambda: attention.maps(model, tokens),
        lambda: attention.permutations(model, tokens, n_permutations=2),
        lambda: attention.adversary(model, tokens, steps=2),
        lambda: attention.trained_adversary(model, tokens, steps=2),
        lambda: attention.integrated_gradients(model, tokens, steps=2),
        lambda: attention.occlusion(model, tokens),
        lambda: attention.rerun(model, tokens, {0: attention.maps(model, tokens).values[0]}),
    )
    for call in calls:
        call()
        assert model.training
        assert not model.output.weight.requires_grad
        assert model.tokens.weight.requires_grad
        assert all(p.grad is None for p in model.parameters())
        assert all(not m._forward_hooks for m in model.modules())
        assert all(torch.equal(state[name], p) for name, p in model.state_dict().items())


def test_a_classifier_is_read_at_its_own_position():
    with pytest.raises(ValueError, match="position must be None for a classifier"):
        attention.maps(classifier(), sentences(), position=2)
