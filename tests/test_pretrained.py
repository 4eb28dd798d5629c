"""GPT-2 behind the course's hooks, with random weights in place of the downloaded ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xailib import patching, pretrained
from xailib._torchvision import torchvision

torchvision()  # transformers imports it
transformers = pytest.importorskip("transformers")

WORDS = ["Mary", "John", "and", "gave", "a", "drink", "to"]


class Tokenizer:
    """Words separated by blanks, a token each; unknown words fall into letters."""

    eos_token_id = 0

    def encode(self, text: str) -> list[int]:
        return [1 + WORDS.index(w) if w in WORDS else 20 for word in text.split() for w in ([word] if word in WORDS else word)]

    def decode(self, tokens: list[int]) -> str:
        return " ".join(["<s>", *WORDS, *"?" * 40][token] for token in tokens)


def random_gpt2(**options):
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **{"vocab_size": 30, "n_positions": 16, "n_embd": 24, "n_layer": 3, "n_head": 4, "initializer_range": 0.2} | options
    )
    return transformers.GPT2LMHeadModel(config).eval()


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setattr(pretrained, "_network", lambda: (Tokenizer(), pretrained.from_gpt2(random_gpt2())))


@pytest.mark.parametrize("activation", ["gelu_new", "relu"])
def test_the_converted_model_gives_the_same_scores_and_streams(activation):
    network = random_gpt2(activation_function=activation)
    model, tokens = pretrained.from_gpt2(network), np.random.default_rng(0).integers(0, 30, (4, 11))
    with torch.no_grad():
        theirs = network(torch.as_tensor(tokens), output_hidden_states=True)
    run = patching.record(model, tokens)
    np.testing.assert_allclose(run.scores, theirs.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(run["blocks.2.resid_pre"], theirs.hidden_states[2].numpy(), atol=1e-4)


def test_the_copy_has_weights_of_its_own():
    network = random_gpt2()
    model = pretrained.from_gpt2(network)
    model.tokens.weight.data.zero_()
    assert network.transformer.wte.weight.abs().max() > 0


@pytest.mark.parametrize("options", [{"activation_function": "silu"}, {"n_inner": 50}, {"scale_attn_by_inverse_layer_idx": True}])
def test_other_settings_are_refused(options):
    with pytest.raises(ValueError, match="settings that a plain GPT-2 does not have"):
        pretrained.from_gpt2(random_gpt2(**options))


def test_the_command_prints_lens_contributions_and_map(untrained, capsys):
    command = ["Mary and John gave a drink to", "--answer", " Mary", "--against", " John"]
    assert pretrained.main(command) == 0
    out = capsys.readouterr().out
    assert "' Mary' rather than ' John': logit difference" in out
    for line in ("resid_pre patched, clean into corrupted", "blocks.2.resid_post", "'drink'"):
        assert line in out
    assert pretrained.main([*command, "--part", "heads"]) == 0
    assert "heads patched" in capsys.readouterr().out


def test_what_goes_wrong_is_one_sentence(untrained, capsys):
    names = ["--answer", " Mary", "--against", " John"]
    for arguments, sentence in (
        (["Mary gave a drink to", *names], "' John' is not in the prompt"),
        (["Mary and John gave a", "--answer", " Mary", "--against", " Peter"], "' Peter' is 5 tokens of GPT-2"),
        (["Mary and John gave a", *names, "--corrupted", "Mary gave"], "as many tokens as each other, not 6 and 3"),
        (["Mary and John gave a", "--answer", " Mary", "--against", " Mary"], "are the same twice"),
    ):
        assert pretrained.main(arguments) == 1
        assert sentence in capsys.readouterr().err


def test_without_network_the_missing_weights_are_named(monkeypatch, capsys):
    def offline(*_args, **_kwargs):
        raise OSError("offline")

    monkeypatch.setattr(transformers.GPT2TokenizerFast, "from_pretrained", offline)
    assert pretrained.main(["Mary gave", "--answer", " Mary", "--against", " John"]) == 1
    assert "does not answer: try again online" in capsys.readouterr().err
