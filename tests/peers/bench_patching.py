"""Whole patching maps: ours, TransformerLens and the floor, measured in turns, medians; the same weights, pairs and sites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.peers.measure import row
from xailib import patching
from xailib.zoo.transformer import Transformer

#: part -> the sweep of transformer_lens.patching that patches the same sites
SWEEPS = {
    "resid_pre": "get_act_patch_resid_pre",
    "resid_mid": "get_act_patch_resid_mid",
    "attn_out": "get_act_patch_attn_out",
    "mlp.out": "get_act_patch_mlp_out",
    "heads": "get_act_patch_attn_head_out_by_pos",
}


def rows() -> list[dict[str, Any]]:
    """One row per map; the floor is one forward pass of every patched sequence, all in one batch, without any patching."""
    found = []
    for layers, width, heads, length, n, vocabulary in (
        (2, 64, 4, 8, 50, 160),
        (4, 128, 4, 24, 1, 500),
        (4, 128, 4, 24, 10, 500),
    ):
        torch.manual_seed(0)
        model = Transformer(vocabulary, length, width=width, n_heads=heads, n_layers=layers).eval()
        clean, corrupted, answers = pairs(vocabulary, length, n)
        for part in ("resid_pre", "heads"):
            sites = layers * length * (heads if part == "heads" else 1)
            task = f"{part}: {layers} layers of width {width}, {sites} sites, {n} pair{'s' if n > 1 else ''}"
            ours = _ours(model, clean, corrupted, answers, part)
            found.append(
                row(task, ours, "TransformerLens", _theirs(model, clean, corrupted, answers, part), _floor(model, clean, sites))
            )
    return found


def pairs(vocabulary: int, length: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random sequences that differ in one token, and two answers for each."""
    rng = np.random.default_rng(1)
    clean = rng.integers(0, vocabulary, (n, length))
    corrupted = clean.copy()
    corrupted[:, 2] = (clean[:, 2] + rng.integers(1, vocabulary, n)) % vocabulary
    return clean, corrupted, np.array([rng.choice(vocabulary, 2, replace=False) for _ in range(n)])


def bridge(model: Transformer) -> Any:
    """The same weights in TransformerLens."""
    from xailib._torchvision import torchvision

    torchvision()  # transformers imports it
    from transformer_lens import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
    from transformer_lens.model_bridge.sources.native import NativeModel

    block = model.blocks[0]
    width, heads = model.tokens.embedding_dim, block.attention.n_heads
    config = TransformerBridgeConfig(
        d_model=width,
        d_head=width // heads,
        n_heads=heads,
        n_layers=len(model.blocks),
        n_ctx=model.context,
        d_vocab=model.vocabulary,
        d_mlp=4 * width,
        act_fn="relu",
        attn_only=block.mlp is None,
        normalization_type="LN" if isinstance(model.norm, torch.nn.LayerNorm) else None,
        positional_embedding_type="standard",
        architecture="TransformerLensNative",
    )
    native = NativeModel(config)
    native.load_state_dict(_native_weights(model))
    made = build_bridge_from_module(native, "TransformerLensNative", tl_config=config)
    made.eval()
    return made


def _native_weights(model: Transformer) -> dict[str, torch.Tensor]:
    modules = {"tok_embed": model.tokens, "pos": model.positions, "ln_out": model.norm}
    for k, block in enumerate(model.blocks):
        own = {"ln1": block.norm1, "attn.q": block.attention.W_Q, "attn.k": block.attention.W_K, "attn.v": block.attention.W_V}
        own["attn.o"] = block.attention.W_O
        if block.mlp is not None:
            own |= {"ln2": block.norm2, "mlp.fc_in": block.mlp.W1, "mlp.fc_out": block.mlp.W2}
        modules |= {f"layers.{k}.{name}": module for name, module in own.items()}
    weights = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    # a native model has no bias in its output layer: it shifts all logit differences alike, and is zero here
    assert not model.output.bias.any()
    return weights | {"head.weight": model.output.weight.detach()}


def sweep(peer: Any, clean: np.ndarray, corrupted: np.ndarray, answers: np.ndarray, part: str) -> torch.Tensor:
    """The same map by TransformerLens: mean logit difference for every site."""
    from transformer_lens import patching as theirs

    a = torch.tensor(answers)
    rows = torch.arange(len(a))

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return (logits[rows, -1, a[:, 0]] - logits[rows, -1, a[:, 1]]).mean()

    with torch.no_grad():
        _, cache = peer.run_with_cache(torch.tensor(clean))
        return getattr(theirs, SWEEPS[part])(peer, torch.tensor(corrupted), cache, metric)


def _ours(model: Transformer, clean: np.ndarray, corrupted: np.ndarray, answers: np.ndarray, part: str) -> Callable[[], Any]:
    return lambda: patching.patch_map(model, clean, corrupted, answers, part)


def _theirs(
    model: Transformer, clean: np.ndarray, corrupted: np.ndarray, answers: np.ndarray, part: str
) -> Callable[[], Any] | None:
    torch.nn.init.zeros_(model.output.bias)
    try:
        peer = bridge(model)
    except ImportError:
        return None
    return lambda: sweep(peer, clean, corrupted, answers, part)


def _floor(model: Transformer, clean: np.ndarray, sites: int) -> Callable[[], Any]:
    batch = torch.tensor(clean).repeat(sites, 1)

    def call() -> None:
        with torch.no_grad():
            for some in batch.split(256):
                model(some)

    return call
