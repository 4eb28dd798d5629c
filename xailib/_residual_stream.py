"""The residual stream as patching sees it: who writes into it, what the output layer reads, and a run that starts in the middle.

Shared by the maps and the readings of :mod:`xailib.patching`; everything here works on checked tensors of a
:class:`xailib.zoo.transformer.Transformer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _transformers as transformers
from xailib import _validation as check
from xailib._networks import blocks
from xailib.zoo.transformer import Transformer

DIRECTIONS = ("denoise", "noise")
#: where the run goes on after a part was replaced: before the attention of its block, before its MLP, or behind both
STAGES = {"resid_pre": "pre", "resid_mid": "mid", "attn_out": "mid", "heads": "mid", "resid_post": "post", "mlp.out": "post"}

# --- pairs of runs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Checked pairs: rows of tokens, answers (n, 2), where the answer is read (n,)."""

    model: Any
    clean: Tensor
    corrupted: Tensor
    answers: Tensor
    at: Tensor
    direction: str

    @classmethod
    def checked(cls, model: Any, clean: Any, corrupted: Any, answers: Any, direction: Any, at: Any) -> Pairs:
        require_transformer(model)
        rows, others = same_shape(model, clean, corrupted, ("clean", "corrupted"))
        chosen = torch.as_tensor(answer_pairs(answers, len(rows), model.output.out_features), device=rows.device)
        check.one_of(direction, "direction", DIRECTIONS)
        where = read_at(model, rows, at)
        if model.padding is not None and not torch.equal(rows == model.padding, others == model.padding):
            raise ValueError("clean and corrupted must have their padding at the same positions.")
        return cls(model, rows, others, chosen, where, direction)

    @property
    def base(self) -> Tensor:
        return self.corrupted if self.direction == "denoise" else self.clean

    @property
    def source(self) -> Tensor:
        return self.clean if self.direction == "denoise" else self.corrupted

    @property
    def hidden(self) -> Tensor | None:
        """Padding, which nobody attends to: the same in both runs."""
        return None if self.model.padding is None else self.clean == self.model.padding

    def some(self, rows: slice) -> Pairs:
        return Pairs(self.model, self.clean[rows], self.corrupted[rows], self.answers[rows], self.at[rows], self.direction)

    def untouched(self, base: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Logit difference of the clean and of the corrupted run, from the last residual streams of base and source."""
        rows = torch.arange(len(self.at), device=self.at.device)
        both = [prefer(self.model, x[rows, self.at], self.answers) for x in (base, source)]
        return (both[1], both[0]) if self.direction == "denoise" else (both[0], both[1])


Part = tuple[Tensor, Tensor, Tensor]
"""Logit differences of patched runs (n, ...), of the clean runs (n,) and of the corrupted runs (n,)."""


def map_of(pairs: Pairs, part: str, by_position: bool, batch_size: int) -> Part:
    """One map for some pairs: both runs once, then layer after layer."""
    model = pairs.model
    wanted = points_of(model, "attention.heads" if part == "heads" else part)
    stage = STAGES[part]
    streams = points_of(model, f"resid_{stage}")
    names = list(dict.fromkeys([*wanted, *streams, last_stream(model)]))
    base, source = (transformers.record(model, rows, names, batch_size=batch_size)[1] for rows in (pairs.base, pairs.source))
    clean, corrupted = pairs.untouched(base[last_stream(model)], source[last_stream(model)])
    found = []
    for k, block in enumerate(layers(model)):
        x, old, new = base[streams[k]], base[wanted[k]], source[wanted[k]]
        if part.startswith("resid"):
            target = new[:, None]
        elif part == "heads":
            target = x[:, None] + _heads_out(block, new - old)
        else:
            target = (x + (new - old))[:, None]
        found.append(_go_on(pairs, k, stage, x, target, by_position, batch_size))
    return torch.stack(found, dim=1), clean, corrupted


def _go_on(pairs: Pairs, layer: int, stage: str, x: Tensor, target: Tensor, by_position: bool, batch_size: int) -> Tensor:
    """Logit differences (n, groups) or (n, groups, l) when each ``target`` (n, groups, l, d) is put into ``x``."""
    n, groups, length, _ = target.shape
    shape = (n, groups, length) if by_position else (n, groups)
    places = torch.cartesian_prod(*(torch.arange(size) for size in shape)).reshape(-1, len(shape)).to(x.device)
    found = []
    for some in blocks(len(places), batch_size):
        i, g, *p = places[some].T
        patched = x[i] if by_position else target[i, g]
        if by_position:
            patched[torch.arange(len(i), device=x.device), p[0]] = target[i, g, p[0]]
        found.append(_difference_from(pairs, layer, stage, patched, i))
    return torch.cat(found).reshape(shape)


def _difference_from(pairs: Pairs, layer: int, stage: str, x: Tensor, i: Tensor) -> Tensor:
    """The rest of the computation from a stage of a layer on, for rows of pairs ``i``: the logit difference where it is read."""
    model, hidden = pairs.model, pairs.hidden
    unseen = None if hidden is None else hidden[i]
    rows, last = torch.arange(len(x), device=x.device), len(model.blocks) - 1
    for k in range(layer, last + 1):
        block = model.blocks[k]
        if k > layer or stage == "pre":
            x = x + block.attention(block.norm1(x), unseen)
        if k == last:
            x = x[rows, pairs.at[i]]  # what follows works on each position alone
        if block.mlp is not None and (k > layer or stage != "post"):
            x = x + block.mlp(block.norm2(x))
    return prefer(model, x, pairs.answers[i])


def paths_of(pairs: Pairs, senders: list[str], receiver: tuple[int, int] | None, inputs: list[str]) -> Part:
    """Direct paths of some pairs, sender by sender."""
    model, last = pairs.model, last_stream(pairs.model)
    reads = last if receiver is None else f"blocks.{receiver[0]}.resid_pre"
    names = list(dict.fromkeys(["embedded", *points_of(model, "attention.heads"), *points_of(model, "mlp.out"), reads, last]))
    base, source = (transformers.record(model, rows, names)[1] for rows in (pairs.base, pairs.source))
    clean, corrupted = pairs.untouched(base[last], source[last])
    before, after = written(model, base), written(model, source)
    rows = torch.arange(len(pairs.at), device=pairs.at.device)
    found = []
    for name in senders:
        x = base[reads] + (after[name] - before[name])
        if receiver is None:
            found.append(prefer(model, x[rows, pairs.at], pairs.answers))
        else:
            found.append(_through_head(pairs, receiver, inputs, base[reads], x))
    return torch.stack(found, dim=1), clean, corrupted


def _through_head(pairs: Pairs, receiver: tuple[int, int], inputs: list[str], x: Tensor, heard: Tensor) -> Tensor:
    """Logit difference when one head reads ``heard`` through some inputs, and all others read ``x``."""
    layer, head = receiver
    block = pairs.model.blocks[layer]
    attention, normed = block.attention, block.norm1(heard)
    weights = {"queries": attention.W_Q, "keys": attention.W_K, "values": attention.W_V}

    def hear(name: str) -> transformers.Edit:
        other = weights[name](normed).unflatten(2, (attention.n_heads, -1)).transpose(1, 2)
        chosen = torch.arange(attention.n_heads, device=x.device)[:, None, None] == head
        return lambda value: torch.where(chosen, other, value)

    with transformers.edited(pairs.model, {f"blocks.{layer}.attention.{name}": hear(name) for name in inputs}):
        x = x + attention(block.norm1(x), pairs.hidden)
    return _difference_from(pairs, layer, "mid", x, torch.arange(len(x), device=x.device))


# --- what the parts write, and what the output layer makes of it ------------------------------------------------------


def prefer(model: Any, x: Tensor, answers: Tensor) -> Tensor:
    """Logit difference (n,) of two answers (n, 2), read from the residual stream (n, d)."""
    weight, bias = model.output.weight, model.output.bias
    towards = weight[answers[:, 0]] - weight[answers[:, 1]]
    return (model.norm(x) * towards).sum(dim=1) + bias[answers[:, 0]] - bias[answers[:, 1]]


def direct_effects(model: Any, parts: Mapping[str, Tensor], x: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """What each part (n, d) of the stream x adds to the logit difference (n, parts), and what the biases prefer (n,)."""
    weight, bias = model.output.weight, model.output.bias
    towards, offset = weight[answers[:, 0]] - weight[answers[:, 1]], bias[answers[:, 0]] - bias[answers[:, 1]]
    stack = torch.stack(list(parts.values()), dim=1)
    if isinstance(model.norm, nn.LayerNorm):
        sd = (x.var(dim=1, unbiased=False) + model.norm.eps).sqrt()
        offset = offset + towards @ model.norm.bias
        towards = towards * model.norm.weight / sd[:, None]
        stack = stack - stack.mean(dim=2, keepdim=True)
    return (stack * towards[:, None]).sum(dim=2), offset


def _heads_out(block: Any, heads: Tensor) -> Tensor:
    """What each head (n, h, l, k) adds to the residual stream, (n, h, l, d), without the common bias."""
    weight = block.attention.W_O.weight.unflatten(1, (block.attention.n_heads, -1))  # (d, h, k)
    return torch.einsum("nhlk,dhk->nhld", heads, weight)


def written(model: Any, seen: Mapping[str, Tensor], *, biases: bool = False) -> dict[str, Tensor]:
    """All that is added to the residual stream, (n, l, d) each, by name."""
    parts = {"embedded": seen["embedded"]}
    for k, block in enumerate(layers(model)):
        heads = _heads_out(block, seen[f"blocks.{k}.attention.heads"])
        parts |= {f"head {k}.{h}": heads[:, h] for h in range(heads.shape[1])}
        if biases:
            parts[f"attention bias {k}"] = block.attention.W_O.bias.expand_as(heads[:, 0])
        if block.mlp is not None:
            parts[f"MLP {k}"] = seen[f"blocks.{k}.mlp.out"]
    return parts


def writers(model: Any, layer: int) -> list[str]:
    """Names of all that write into the residual stream before a layer reads it."""
    names = ["embedded"]
    for k, block in enumerate(layers(model)[:layer]):
        names += [f"head {k}.{h}" for h in range(block.attention.n_heads)]
        if block.mlp is not None:
            names.append(f"MLP {k}")
    return names


def points_of(model: Any, what: str) -> list[str]:
    """The hook point of that kind in each block that has it."""
    return [f"blocks.{k}.{what}" for k, block in enumerate(layers(model)) if block.mlp is not None or what != "mlp.out"]


def last_stream(model: Any) -> str:
    return f"blocks.{len(model.blocks) - 1}.resid_post"


def layers(model: Any) -> list[Any]:
    return list(model.blocks)


def n_heads(model: Any) -> int:
    return int(model.blocks[0].attention.n_heads)


# --- checks -----------------------------------------------------------------------------------------------------------


def require_transformer(model: Any) -> None:
    if not isinstance(model, Transformer):
        raise TypeError(f"model must be an xailib.zoo.transformer.Transformer, not {type(model).__name__}: convert it first.")


def same_shape(model: Any, first: Any, second: Any, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    rows, others = transformers.token_batch(model, first, names[0]), transformers.token_batch(model, second, names[1])
    if rows.shape != others.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same shape, token under token, "
            f"not {tuple(rows.shape)} and {tuple(others.shape)}."
        )
    return rows, others


def answer_pairs(answers: Any, n: int, k: int) -> np.ndarray:
    """(n, 2) numbers of two different answers."""
    a = np.asarray(answers)
    if a.dtype.kind not in "iu" or a.shape not in ((n, 2), (2,)):
        raise TypeError(f"answers must be whole numbers of shape ({n}, 2) or (2,): right, wrong; not {check.shown(answers)}.")
    if a.min() < 0 or a.max() >= k:
        raise ValueError(f"answers must lie from 0 to {k - 1}, the outputs of the model.")
    a = np.broadcast_to(a, (n, 2)).astype(np.int64)
    if (same := np.flatnonzero(a[:, 0] == a[:, 1])).size:
        raise ValueError(f"answers of sequence {same[0]} are the same twice: give the right answer and a wrong one.")
    return a.copy()


def one_token_each(given: Any, name: str, n: int, k: int) -> np.ndarray:
    a = np.asarray(given)
    if a.dtype.kind not in "iu" or a.shape not in ((n,), ()):
        raise TypeError(f"{name} must be one whole number per sequence, shape ({n},), not {check.shown(given)}.")
    if a.min() < 0 or a.max() >= k:
        raise ValueError(f"{name} must lie from 0 to {k - 1}, the outputs of the model.")
    return np.broadcast_to(a, (n,)).astype(np.int64)


def positions(given: Any, name: str, n: int, length: int) -> np.ndarray:
    """One position per sequence, negative ones counted from the end."""
    try:
        p = np.asarray(given)
    except ValueError:
        p = np.empty((0, 0))
    if p.dtype.kind not in "iu" or p.shape not in ((n,), ()):
        raise TypeError(f"{name} must be a whole number or one per sequence, shape ({n},), not {check.shown(given)}.")
    if p.min() < -length or p.max() >= length:
        raise ValueError(f"{name} must lie from {-length} to {length - 1}: the sequences have {length} positions.")
    return np.broadcast_to(p, (n,)) % length


def read_at(model: Any, rows: Tensor, at: Any) -> Tensor:
    """Where the answer is read, (n,): the last real token unless given; a classifier reads there anyway."""
    n, length = rows.shape
    if at is None or model.n_outputs is not None:
        real = torch.full((n,), length) if model.padding is None else (rows != model.padding).sum(dim=1).clamp(min=1)
        return real.to(rows.device) - 1
    return torch.as_tensor(positions(at, "at", n, length), device=rows.device)


def checked_receiver(model: Any, receiver: Any) -> None:
    if not isinstance(receiver, tuple | list) or len(receiver) != 2:
        raise TypeError(f"receiver must be (layer, head), or None for the logits, not {check.shown(receiver)}.")
    check.number(receiver[0], "receiver: layer", low=0, high=len(model.blocks) - 1, integer=True)
    check.number(receiver[1], "receiver: head", low=0, high=n_heads(model) - 1, integer=True)


def numbers(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
