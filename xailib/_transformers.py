"""Transformers as the methods see them: checked tokens, values seen and replaced at hook points, scores without a trace.

Shared by attention, probing, patching and sparse autoencoders. Works on every torch module that passes its values through
modules with names (``xailib.zoo.transformer.HookPoint``); nothing of the caller's model changes, even after an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _validation as check
from xailib._networks import blocks, require_network, undisturbed
from xailib.zoo.transformer import HookPoint, hook_points

Edit = Callable[[Tensor], Tensor]
"""What happens to a value on its way: takes it, returns one of the same shape, does not change it in place."""


def point(model: Any, name: Any) -> HookPoint:
    """The hook point of that name; the message lists the ones there are."""
    require_network(model)
    named = {known: model.get_submodule(known) for known in hook_points(model)}
    if not named:
        raise ValueError(
            f"model has no hook points: a {type(model).__name__} is not built like xailib.zoo.transformer.Transformer."
        )
    if not isinstance(name, str) or name not in named:
        raise ValueError(f"{check.shown(name)} is not a hook point of the model; it has {_summary(named)}.")
    return named[name]


def _summary(names: Collection[str]) -> str:
    """All names in short: what every block has is said once."""
    short = dict.fromkeys(re.sub(r"^blocks\.\d+\.", "", name) if name.startswith("blocks.") else name for name in names)
    plain, of_block = ([name for name in short if (name in names) == known] for known in (True, False))
    everywhere = f", and in each blocks.k. {', '.join(of_block)}" if of_block else ""
    return ", ".join(plain) + everywhere


def token_batch(model: Any, tokens: Any, name: str = "tokens") -> Tensor:
    """Tokens as a whole-number tensor (n, l) that the model can read."""
    require_network(model)
    values = tokens.detach().cpu().numpy() if isinstance(tokens, Tensor) else np.asarray(tokens)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        given = f"{values.dtype} of shape {values.shape}"
        raise TypeError(
            f"{name} must be whole numbers of shape (sequences, length), not {given}: encode texts with a Vocabulary."
        )
    if values.size == 0:
        raise ValueError(f"{name} are empty: give at least one sequence with one token.")
    context, vocabulary = getattr(model, "context", None), getattr(model, "vocabulary", None)
    if context is not None and values.shape[1] > context:
        raise ValueError(f"{name} have {values.shape[1]} positions, but the model reads {context} at most: cut the sequences.")
    if vocabulary is not None and (values.min() < 0 or values.max() >= vocabulary):
        odd = values[(values < 0) | (values >= vocabulary)][0]
        raise ValueError(
            f"{name} must lie from 0 to {vocabulary - 1}, but one is {odd}: encode texts with the model's vocabulary."
        )
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.as_tensor(np.array(values, dtype=np.int64), device=device)


def run(model: nn.Module, tokens: Tensor) -> Tensor:
    """The model's scores, once they are known to be finite."""
    scores = model(tokens)
    if not isinstance(scores, Tensor) or len(scores) != len(tokens):
        given = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"model must return one row of scores per sequence: {len(tokens)} sequences in, {given} back.")
    if not torch.isfinite(scores.detach()).all():
        raise ValueError("model returned missing or infinite scores: check it on these sequences before explaining it.")
    return scores


def record(
    model: nn.Module, tokens: Tensor, names: Sequence[str], *, batch_size: int = 256, desc: str | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores and the values at some hook points, batch by batch, without a graph."""
    places = [point(model, name) for name in names]
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    scores = []
    hooks = [place.register_forward_hook(partial(_keep, parts)) for place, parts in zip(places, seen.values(), strict=True)]
    try:
        with undisturbed(model), torch.no_grad():
            scores = [run(model, tokens[block]) for block in blocks(len(tokens), batch_size)]
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(scores), {name: torch.cat(parts) for name, parts in seen.items()}


def _keep(parts: list[Tensor], _module: nn.Module, _inputs: Any, value: Tensor) -> None:
    parts.append(value.detach())


@contextmanager
def edited(model: nn.Module, edits: Mapping[str, Edit]) -> Iterator[None]:
    """Inside, every named value is replaced by what its edit makes of it."""
    places = {name: point(model, name) for name in edits}
    hooks = [places[name].register_forward_hook(partial(_replace, name, edit)) for name, edit in edits.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _replace(name: str, edit: Edit, _module: nn.Module, _inputs: Any, value: Tensor) -> Tensor:
    new = edit(value)
    if not isinstance(new, Tensor) or new.shape != value.shape:
        given = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
        raise ValueError(f"the edit at {name!r} must return a tensor of shape {tuple(value.shape)}, not {given}.")
    return new
