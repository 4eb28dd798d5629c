"""Networks as the methods see them: run one without leaving a trace, cut it at a layer, differentiate a class score.

Shared by every method that takes a torch module. Nothing of the caller's model changes: mode, ``requires_grad``, gradients and
hooks are as before, even after an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _validation as check

Target = Any
"""A class for all images, one class per image, or None for the class each image is given by the model."""


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, frozen parameters, gradients on; afterwards every submodule and parameter is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    trainable = [p for p in model.parameters() if p.requires_grad]
    try:
        model.eval()
        for p in trainable:
            p.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for p in trainable:
            p.requires_grad_(True)


def run_from(model: nn.Module, module: nn.Module, name: str, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """One forward pass whose graph begins at the output of ``module``: that activation (n, k, h, w), and the scores."""
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        check_activation(output, name, already_seen=bool(leaves))
        # own memory on both sides: neither an in-place layer behind nor one that aliases its input can change the leaf
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[0].clone()

    hook = module.register_forward_hook(cut)
    try:
        scores = checked_scores(answer(model, as_tensor(model, images)), len(images))
    finally:
        hook.remove()
    if not leaves:
        raise ValueError(f"layer {name!r} did not run in the forward pass: choose a layer that the model calls.")
    return leaves[0], scores


def score_gradient(scores: Tensor, leaf: Tensor, classes: np.ndarray, what: str) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Gradient of each image's score at ``leaf``; images do not mix in evaluation mode, so one sum serves all."""
    chosen, score = question(scores.detach().cpu().numpy(), classes)
    total = (scores * torch.as_tensor(signs(chosen, scores.shape[1])).to(scores)).sum()
    G = torch.autograd.grad(total, leaf, allow_unused=True)[0] if total.requires_grad else None
    if G is None:
        raise ValueError(f"the class score does not depend on {what}, so there is nothing to explain: choose another.")
    return G, chosen, score


def class_scores(model: nn.Module, x: np.ndarray, batch_size: int) -> np.ndarray:
    """Scores of all images before the softmax, (n, k), batch by batch and without a graph."""
    with torch.no_grad():
        parts = [checked_scores(answer(model, as_tensor(model, x[i])), i.stop - i.start) for i in blocks(len(x), batch_size)]
    return torch.cat(parts).cpu().numpy()


def question(scores: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes with predictions filled in, and the score to explain: of one class, or the difference of two."""
    k = scores.shape[1]
    if classes.max() >= k:
        name = "target" if classes[:, 0].max() >= k else "against"
        raise ValueError(f"{name} {classes.max()} is out of range: the model has {k} classes, 0 to {k - 1}.")
    chosen = classes.copy()
    chosen[:, 0] = np.where(classes[:, 0] < 0, scores.argmax(axis=1), classes[:, 0])
    return chosen, (scores * signs(chosen, k)).sum(axis=1)


def signs(classes: np.ndarray, k: int) -> np.ndarray:
    """(n, k): 1 for the class explained, -1 for the one it is set against."""
    target, against = classes.T[:, :, None]
    return (np.arange(k) == target) * 1.0 - (np.arange(k) == against)


def arguments(model: Any, images: Any, target: Target, against: Target, batch_size: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked images (n, c, h, w) and classes (n, 2); -1 stands for "the predicted class" and for "no second class"."""
    require_network(model)
    check.number(batch_size, "batch_size", low=1, integer=True)
    x = check.images(images)
    return x, np.column_stack([one_class_each(target, "target", len(x)), one_class_each(against, "against", len(x))])


def one_class_each(given: Target, name: str, n: int) -> np.ndarray:
    """One class number per image; -1 everywhere where none was given."""
    if given is None:
        return np.full(n, -1)
    classes = np.asarray(given)
    if classes.dtype.kind not in "iu" or classes.ndim > 1 or (classes < 0).any():
        raise ValueError(f"{name} must be a class number from 0, one class number per image, or None, not {check.shown(given)}.")
    if classes.ndim == 1 and len(classes) != n:
        raise ValueError(f"{name} must have one class per image: {n} images, {len(classes)} classes.")
    return np.broadcast_to(classes, n).astype(int)


def module_of(model: Any, layer: Any, what: str = "layer") -> tuple[str, nn.Module]:
    """(dotted name, module) of a layer given either way; the message lists the layers there are."""
    require_network(model)
    named = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    for name, module in named.items():
        if layer is module or (isinstance(layer, str) and layer == name):
            return name, module
    near = difflib.get_close_matches(str(layer), named, n=1) if isinstance(layer, str) else []
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    given = repr(layer) if isinstance(layer, str) else type(layer).__name__
    raise ValueError(f"{what} {given} is not part of the model{hint}; its layers are {check.listed(named)}.")


def known_layers(model: Any, layers: Any) -> list[str]:
    """Names of layers that the model has, at least one."""
    require_network(model)
    if isinstance(layers, str) or not np.iterable(layers) or not list(layers):
        raise ValueError(f"layers must be a list of layer names with at least one entry, not {check.shown(layers)}.")
    return [module_of(model, name)[0] for name in layers]


def require_network(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, not {type(model).__name__}: gradients need one.")


def check_activation(output: Any, name: str, *, already_seen: bool) -> None:
    """Refuse a layer that runs twice or whose output is not a stack of maps."""
    if already_seen:
        raise ValueError(
            f"layer {name!r} runs more than once in a forward pass: give a layer that runs once, such as the block around it."
        )
    if not isinstance(output, Tensor) or output.ndim != 4:
        given = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"layer {name!r} must give maps of shape (n, channels, h, w), but gives {given}: choose a convolution or its block."
        )


def checked_scores(scores: Any, n: int) -> Tensor:
    """The scores, once they are known to be finite and one row per image."""
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != n:
        raise ValueError(f"model must return class scores of shape (n, k): {n} images in, {shape} back.")
    if not torch.isfinite(scores.detach()).all():
        raise ValueError("model returned missing or infinite scores: check it on these images before explaining it.")
    return scores


def answer(model: nn.Module, x: Tensor) -> Any:
    """What the model returns; images that do not go through it get a sentence, and torch's own words as its cause."""
    try:
        return model(x)
    except RuntimeError as error:
        fit = "give images of the size and with the channels it was made for"
        raise ValueError(f"images of shape {tuple(x.shape)} do not go through the model: {fit}.") from error


def as_tensor(model: nn.Module, images: np.ndarray) -> Tensor:
    """Images in the type and on the device of the model's parameters."""
    first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(1, dtype=torch.float64))
    own = np.array(images, dtype=np.float64 if first.dtype == torch.float64 else np.float32, order="C")
    return torch.from_numpy(own).to(first)


def blocks(n: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that cover 0 to n."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
