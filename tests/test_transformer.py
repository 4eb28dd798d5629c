"""The course's transformer computes what torch's own layers compute, and every value can be seen and replaced by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xailib.zoo.transformer import Transformer, hook_points

WIDTH, HEADS, VOCABULARY, CONTEXT = 24, 3, 11, 9


def seeded(**options) -> Transformer:
    torch.manual_seed(0)
    return Transformer(VOCABULARY, CONTEXT, width=WIDTH, n_heads=HEADS, **options).eval()


def some_tokens(n=4, length=7):
    return torch.randint(1, VOCABULARY, (n, length), generator=torch.Generator().manual_seed(1))


def torchs_own(block) -> nn.TransformerEncoderLayer:
    """The same weights in torch's layer."""
    options = {"activation": block.mlp.activation, "batch_first": True, "norm_first": True}
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0, **options).eval()
    a = block.attention
    layer.self_attn.in_proj_weight.data = torch.cat([a.W_Q.weight, a.W_K.weight, a.W_V.weight]).data
    layer.self_attn.in_proj_bias.data = torch.cat([a.W_Q.bias, a.W_K.bias, a.W_V.bias]).data
    for theirs, ours in (
        (layer.self_attn.out_proj, a.W_O),
        (layer.linear1, block.mlp.W1),
        (layer.linear2, block.mlp.W2),
        (layer.norm1, block.norm1),
        (layer.norm2, block.norm2),
    ):
        theirs.load_state_dict(ours.state_dict())
    return layer


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_it_computes_what_torchs_own_layers_compute(causal, padding, activation):
    model, tokens = seeded(causal=causal, padding=padding, activation=activation), some_tokens()
    if padding is not None:
        tokens[0, 4:] = padding
    seen = {}
    for name in ("embedded", "final"):
        model.get_submodule(name).register_forward_hook(lambda _, __, value, name=name: seen.update({name: value}))
    with torch.no_grad():
        scores = model(tokens)
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1]).isinf() if causal else None
        x = seen["embedded"]
        for block in model.blocks:
            x = torchs_own(block)(x, src_mask=mask, src_key_padding_mask=None if padding is None else tokens == padding)
        real = torch.ones_like(tokens, dtype=torch.bool) if padding is None else tokens != padding
        torch.testing.assert_close(seen["final"][real], model.norm(x)[real], atol=1e-5, rtol=1e-5)
    assert scores.shape == (*tokens.shape, VOCABULARY)


def test_a_causal_transformer_never_looks_ahead():
    model, tokens = seeded(), some_tokens()
    other = tokens.clone()
    other[:, 4:] = 1 + other[:, 4:] % (VOCABULARY - 1)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, :4], model(other)[:, :4])
        assert not torch.allclose(model(tokens)[:, 4:], model(other)[:, 4:])


def test_a_classifier_reads_the_last_real_token_whatever_the_padding():
    model = seeded(n_outputs=2, padding=0, causal=False)
    short = some_tokens(3, 5)
    padded = torch.cat([short, torch.zeros(3, 4, dtype=torch.long)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model(short), model(padded))
    assert model(short).shape == (3, 2)


@pytest.mark.parametrize("mlp", [True, False])
def test_every_hook_point_is_passed_and_can_replace_its_value(mlp):
    model, tokens = seeded(mlp=mlp), some_tokens()
    names = hook_points(model)
    assert any("mlp" in name for name in names) == mlp
    with torch.no_grad():
        before = model(tokens)
        for name in names:
            seen = []
            handle = model.get_submodule(name).register_forward_hook(lambda _, __, value, seen=seen: seen.append(value))
            torch.testing.assert_close(model(tokens), before)
            handle.remove()
            assert len(seen) == 1, name
            handle = model.get_submodule(name).register_forward_hook(lambda _, __, value: torch.zeros_like(value))
            same = torch.allclose(model(tokens), before, atol=1e-6)
            handle.remove()
            assert not same, name


def test_patterns_are_attention_and_the_stream_is_a_sum():
    model, tokens, seen = seeded(), some_tokens(), {}
    for name in hook_points(model):
        model.get_submodule(name).register_forward_hook(lambda _, __, value, name=name: seen.update({name: value}))
    with torch.no_grad():
        model(tokens)
    pattern = seen["blocks.1.attention.pattern"]
    assert pattern.shape == (4, HEADS, 7, 7)
    torch.testing.assert_close(pattern.sum(dim=3), torch.ones(4, HEADS, 7))
    assert (pattern.triu(1) == 0).all()
    parts = [seen[f"blocks.{k}.{part}"] for k in (0, 1) for part in ("attn_out", "mlp.out")]
    torch.testing.assert_close(seen["blocks.1.resid_post"], seen["embedded"] + sum(parts), atol=1e-5, rtol=1e-5)


def test_without_normalisation_and_mlp_the_output_is_linear_in_the_values():
    """Attention fixed, doubling all values doubles what the heads add."""
    model, tokens, seen = seeded(mlp=False, normalise=False, n_layers=1), some_tokens(), []
    heads = model.get_submodule("blocks.0.attention.heads")
    heads.register_forward_hook(lambda _, __, value: seen.append(value))
    with torch.no_grad():
        model(tokens)
        model.get_submodule("blocks.0.attention.values").register_forward_hook(lambda _, __, value: 2 * value)
        model(tokens)
    torch.testing.assert_close(seen[1], 2 * seen[0])


@pytest.mark.parametrize(
    ("tokens", "error", "says"),
    [
        (torch.zeros(2, 3), TypeError, "whole-number tensor"),
        ([[1, 2]], TypeError, "whole-number tensor"),
        (torch.zeros(3, dtype=torch.long), TypeError, "sequences, length"),
        (torch.zeros(1, CONTEXT + 1, dtype=torch.long), ValueError, "10 tokens, but this transformer reads 9 at most"),
        (torch.zeros(0, 3, dtype=torch.long), ValueError, "tokens are empty"),
        (torch.full((1, 3), VOCABULARY), ValueError, "tokens must lie from 0 to 10"),
        (torch.full((1, 3), -1), ValueError, "tokens must lie from 0 to 10"),
    ],
)
def test_what_it_can_not_read_is_refused(tokens, error, says):
    with pytest.raises(error, match=says):
        seeded()(tokens)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"width": 10, "n_heads": 3}, "multiple of n_heads"),
        ({"n_layers": 0}, "n_layers"),
        ({"n_outputs": 0}, "n_outputs"),
    ],
)
def test_unusable_sizes_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        Transformer(VOCABULARY, CONTEXT, **options)
