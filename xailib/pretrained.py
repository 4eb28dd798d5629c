"""GPT-2 behind the hooks of the course.  ``python -m xailib.pretrained "John went to" --answer " the" --against " a"``.

Prints what the logit lens reads layer by layer, which heads write the answer, and the map of patched positions. Needs the extra
``pretrained`` (Hugging Face's transformers); the weights (550 MB) are fetched on first use, later everything works offline.
Taught in chapter 12.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import pandas as pd
import torch

from xailib import patching
from xailib._torchvision import torchvision
from xailib.zoo.transformer import Transformer

__all__ = ["from_gpt2"]

NAME, REVISION = "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"
_HELP = "What in GPT-2 makes it answer ANSWER rather than AGAINST?"


def main(arguments: list[str] | None = None) -> int:
    """Explain one prompt and print what was found; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m xailib.pretrained", description=_HELP)
    parser.add_argument("prompt", help='such as "When Mary and John went to the store, John gave a drink to"')
    parser.add_argument("--answer", required=True, help='the word that should follow, as one token: " Mary"')
    parser.add_argument("--against", required=True, help='the word that should not: " John"')
    parser.add_argument("--corrupted", help="the prompt with another answer (default: last AGAINST replaced by ANSWER)")
    parser.add_argument("--part", default="resid_pre", choices=patching.PARTS, help="what to patch (default: resid_pre)")
    options = parser.parse_args(arguments)
    try:
        print(explain(options.prompt, options.answer, options.against, options.corrupted, options.part))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def explain(prompt: str, answer: str, against: str, corrupted: str | None = None, part: str = "resid_pre") -> str:
    """Logit lens, direct attributions and patch map of one pair of prompts, as text.

    Raises
    ------
    OSError, ValueError
        If transformers or the weights are neither here nor reachable, an answer is not one token, or the prompts are not equally
        long.
    """
    tokenizer, model = _network()
    pair = np.array([[_one_token(tokenizer, word) for word in (answer, against)]])
    clean = _tokens(tokenizer, prompt)
    other = _tokens(tokenizer, corrupted or _swapped(prompt, answer, against))
    if clean.shape != other.shape:
        raise ValueError(f"the prompts must have as many tokens as each other, not {clean.shape[1]} and {other.shape[1]}.")
    words = [repr(tokenizer.decode([token])) for token in clean[0]]
    lens = patching.logit_lens(model, clean)
    said = lens.to_frame()
    said["token"] = [repr(tokenizer.decode([token])) for token in said["token"]]
    said["difference"] = lens.difference(pair)[0]
    direct = patching.direct_logit_attribution(model, clean, pair)
    order = np.argsort(-np.abs(direct.values[0]))[:10]
    largest = pd.DataFrame({"part": np.array(direct.feature_names)[order], "logits": direct.values[0, order]})
    found = patching.patch_map(model, clean, other, pair, part)
    layers = _table(found, words)
    difference = f"logit difference {found.clean[0]:.2f}, in the corrupted prompt {found.corrupted[0]:.2f}"
    titles = {
        f"{answer!r} rather than {against!r}: {difference}": None,
        "The lens: what each stage would say": said.drop(columns="sequence"),
        "Largest direct contributions": largest,
        f"{found.method}: 0 as corrupted, 1 as clean": layers,
    }
    return "\n\n".join(title if table is None else f"{title}\n{_plain(table)}" for title, table in titles.items())


def from_gpt2(network: Any) -> Transformer:
    """A GPT-2 of Hugging Face as a :class:`xailib.zoo.transformer.Transformer`: same scores, hook points of the course.

    Parameters
    ----------
    network : transformers.GPT2LMHeadModel

    Returns
    -------
    Transformer in evaluation mode, with weights of its own

    Raises
    ------
    TypeError, ValueError
        If the network is no GPT-2, or one with settings that the course's transformer does not have.

    Notes
    -----
    Radford et al. (2019). Taught in chapter 12.
    """
    if type(network).__name__ != "GPT2LMHeadModel":
        raise TypeError(f"network must be a transformers.GPT2LMHeadModel, not {type(network).__name__}.")
    config, weights = network.config, {name: value.detach() for name, value in network.state_dict().items()}
    width = config.n_embd
    activation = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu"}.get(config.activation_function)
    plain = config.scale_attn_weights and not config.scale_attn_by_inverse_layer_idx and not config.add_cross_attention
    if activation is None or not plain or config.n_inner not in (None, 4 * width) or config.layer_norm_epsilon != 1e-5:
        raise ValueError("network has settings that a plain GPT-2 does not have: only such weights can be converted.")
    model = Transformer(
        config.vocab_size,
        config.n_positions,
        width=width,
        n_heads=config.n_head,
        n_layers=config.n_layer,
        activation=activation,
    )
    own = {"tokens.weight": weights["transformer.wte.weight"], "positions.weight": weights["transformer.wpe.weight"]}
    own |= {"output.weight": weights["lm_head.weight"], "output.bias": torch.zeros(config.vocab_size)}
    own |= {f"norm.{kind}": weights[f"transformer.ln_f.{kind}"] for kind in ("weight", "bias")}
    for k in range(config.n_layer):
        theirs = {name.removeprefix(f"transformer.h.{k}."): value for name, value in weights.items()}
        own |= {f"blocks.{k}.{name}": value for name, value in _block(theirs, width).items()}
    model.load_state_dict(own)
    return model.eval()


def _block(theirs: dict[str, torch.Tensor], width: int) -> dict[str, torch.Tensor]:
    """One block under our names: their matrices are (in, out), and queries, keys and values stand side by side."""
    own: dict[str, torch.Tensor] = {}
    for kind in ("weight", "bias"):
        turned = {name: value.T if value.ndim == 2 else value for name, value in theirs.items() if name.endswith(kind)}
        own |= {f"norm1.{kind}": theirs[f"ln_1.{kind}"], f"norm2.{kind}": theirs[f"ln_2.{kind}"]}
        three = turned[f"attn.c_attn.{kind}"].split(width)
        own |= {f"attention.W_{letter}.{kind}": part for letter, part in zip("QKV", three, strict=True)}
        own[f"attention.W_O.{kind}"] = turned[f"attn.c_proj.{kind}"]
        own |= {f"mlp.W1.{kind}": turned[f"mlp.c_fc.{kind}"], f"mlp.W2.{kind}": turned[f"mlp.c_proj.{kind}"]}
    return own


def _network() -> tuple[Any, Transformer]:
    """GPT-2's tokenizer, and its weights behind our hooks."""
    torchvision()  # transformers imports it
    try:
        from transformers import GPT2LMHeadModel, GPT2TokenizerFast
    except ImportError:
        raise OSError("transformers is not installed: pip install 'xailib[pretrained]' brings it.") from None
    try:
        tokenizer = GPT2TokenizerFast.from_pretrained(NAME, revision=REVISION)
        network = GPT2LMHeadModel.from_pretrained(NAME, revision=REVISION, use_safetensors=True)
    except OSError as error:
        raise OSError("the weights of GPT-2 are not here and huggingface.co does not answer: try again online.") from error
    return tokenizer, from_gpt2(network)


def _tokens(tokenizer: Any, text: str) -> np.ndarray:
    """The text's tokens after GPT-2's mark for a new text, (1, l)."""
    return np.array([[tokenizer.eos_token_id, *tokenizer.encode(text)]])


def _one_token(tokenizer: Any, word: str) -> int:
    tokens = tokenizer.encode(word)
    if len(tokens) != 1:
        raise ValueError(f"{word!r} is {len(tokens)} tokens of GPT-2: give a word that is one, with its blank in front.")
    return int(tokens[0])


def _swapped(prompt: str, answer: str, against: str) -> str:
    """The prompt with its last ``against`` replaced by ``answer``."""
    before, found, after = prompt.rpartition(against.strip())
    if not found:
        raise ValueError(
            f"{against!r} is not in the prompt, so that nothing can be exchanged: say the other prompt with --corrupted."
        )
    return before + answer.strip() + after


def _table(found: patching.PatchMap, words: list[str]) -> pd.DataFrame:
    """One row per token, one column per layer; of heads the sum over heads is no use, so the strongest one at each place."""
    values = found.values[0]
    if values.ndim == 3:
        strongest = np.abs(values).argmax(axis=1)
        values = np.take_along_axis(values, strongest[:, None], axis=1)[:, 0]
    return pd.DataFrame(values.T, index=pd.Index(words), columns=found.axes["layer"]).rename_axis("token").reset_index()


def _plain(table: pd.DataFrame) -> str:
    return str(table.to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    sys.exit(main())
