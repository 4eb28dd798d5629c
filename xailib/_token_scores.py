"""The score of a sequence as a function of its tokens or of their embeddings: what attributions to tokens share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _validation as check
from xailib._attention_edits import at_read
from xailib._networks import blocks, one_class_each, question, require_network, signs, undisturbed
from xailib._transformers import point, record, run, token_batch
from xailib.results import Attribution
from xailib.zoo.transformer import hook_points


def read_arguments(model: Any, tokens: Any, position: Any, batch_size: Any) -> tuple[Tensor, np.ndarray]:
    """Checked tokens and the position of each sequence from which the output is read."""
    check.number(batch_size, "batch_size", low=1, integer=True)
    x = token_batch(model, tokens)
    places(model, "pattern")
    padding = getattr(model, "padding", None)
    real = np.ones(x.shape, dtype=bool) if padding is None else (x != padding).cpu().numpy()
    last = real.shape[1] - 1 - np.where(real.any(axis=1), real[:, ::-1].argmax(axis=1), real.shape[1] - 1)
    if position is None:
        return x, last
    read = one_position_each(position, "position", *x.shape)
    if getattr(model, "n_outputs", None) is not None and (read != last).any():
        raise ValueError("position must be None for a classifier, which reads its output from the last token itself.")
    return x, read


def places(model: Any, part: str) -> list[str]:
    """Hook points of all layers for one part of attention, first layer first."""
    require_network(model)
    found = [name for name in hook_points(model) if name.endswith(f"attention.{part}")]
    if not found:
        point(model, f"blocks.0.attention.{part}")
    return found


def one_position_each(given: Any, name: str, n: int, length: int) -> np.ndarray:
    """One position per sequence."""
    at = check.positions(given, name, length, "position")
    if given is None or (at.ndim == 1 and len(at) != n):
        raise ValueError(f"{name} must be one position, or one for each of the {n} sequences, not {check.shown(given)}.")
    return np.broadcast_to(at, n)


def layer_numbers(given: Any, n_layers: int, name: str = "layers") -> list[int]:
    """Numbers of layers in ascending order; None is the last."""
    if given is None:
        return [n_layers - 1]
    if isinstance(given, str) or not np.iterable(given) or not list(given):
        raise TypeError(f"{name} must be a list of layer numbers, not {check.shown(given)}.")
    return sorted({int(check.number(k, name, low=0, high=n_layers - 1, integer=True)) for k in given})


def position_names(names: Any, length: int) -> list[str]:
    """Names of the positions, such as the words of one text."""
    if names is None:
        return [f"position {j}" for j in range(length)]
    if isinstance(names, str) or not np.iterable(names) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names must be a list of {length} words, not {check.shown(names)}.")
    words = list(names)
    if len(words) != length:
        raise ValueError(f"names must hold {length} words, one per position, not {len(words)}.")
    return words


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be explained, checked: scores of chosen classes at chosen positions, as functions of embeddings or tokens."""

    model: nn.Module
    x: Tensor  # (n, l)
    read: np.ndarray  # (n,)
    classes: np.ndarray  # (n, 2): class and the one it is set against, -1 for "the predicted one" and "none"
    real: np.ndarray  # (n, l), no padding
    explained: np.ndarray  # (n, l)
    names: list[str]
    batch_size: int

    @classmethod
    def checked(
        cls, model: Any, tokens: Any, target: Any, against: Any, position: Any, skip: Any, names: Any, batch_size: Any
    ) -> Task:
        x, read = read_arguments(model, tokens, position, batch_size)
        classes = np.column_stack([one_class_each(target, "target", len(x)), one_class_each(against, "against", len(x))])
        left_out = np.asarray(skip if not isinstance(skip, str) else None)
        if left_out.ndim != 1 or (left_out.size and left_out.dtype.kind not in "iu"):
            raise TypeError(f"skip must be a list of token numbers, not {check.shown(skip)}.")
        numbers = x.cpu().numpy()
        padding = getattr(model, "padding", None)
        real = np.full(numbers.shape, True) if padding is None else numbers != padding
        return cls(
            model, x, read, classes, real, real & ~np.isin(numbers, left_out), position_names(names, x.shape[1]), batch_size
        )

    def embeddings(self, baseline: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of the tokens and of the baseline, (n, l, d); what is not explained is the same in both."""
        layer = embedding(self.model)
        e = layer.weight.detach()[self.x].cpu().numpy()
        if isinstance(baseline, str) and baseline == "zero":
            b = np.zeros(e.shape[2])
        elif isinstance(baseline, str) or baseline is None or np.ndim(baseline) == 0:
            number = check.number(baseline, "baseline", low=0, high=layer.num_embeddings - 1, integer=True)
            b = layer.weight.detach()[int(number)].cpu().numpy()
        else:
            b = check.array(baseline, "baseline", ndim=1, length=None)
            if len(b) != e.shape[2]:
                raise ValueError(f"baseline must have {e.shape[2]} numbers, the width of an embedding, not {len(b)}.")
        return e, np.where(self.explained[:, :, None], b, e).astype(e.dtype)

    def gradients(self, e: np.ndarray, which: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gradients at embeddings (m, l, d) in the place of those of sequences ``which`` (m,), the classes, and the scores."""
        parts = [self._some_gradients(e[rows], which[rows], classes[rows]) for rows in blocks(len(e), self.batch_size)]
        G, chosen, score = (np.concatenate(part) for part in zip(*parts, strict=True))
        return G, chosen, score

    def _some_gradients(self, e: np.ndarray, which: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        leaf = torch.as_tensor(e, device=self.x.device).requires_grad_(True)
        with undisturbed(self.model), embedded(self.model, leaf):
            scores = at_read(run(self.model, self.x[which]), self.read[which])
            chosen, score = question(scores.detach().cpu().numpy(), classes)
            total = (scores * torch.as_tensor(signs(chosen, scores.shape[1])).to(scores)).sum()
            G = torch.autograd.grad(total, leaf)[0]
        return G.cpu().numpy(), chosen, score

    def mean_gradient(self, e: np.ndarray, b: np.ndarray, points: Any, weights: Any, classes: np.ndarray) -> np.ndarray:
        """Weighted mean of the gradients at b + point (e - b), (n, l, d): as many points at once as a batch holds."""
        n, total = len(e), np.zeros(e.shape)
        for some in blocks(len(points), max(1, self.batch_size // n)):
            alpha, weight = (v[some, None, None, None].astype(e.dtype) for v in (points, weights))
            path, m = b + alpha * (e - b), len(alpha)
            G = self.gradients(path.reshape(m * n, *e.shape[1:]), np.tile(np.arange(n), m), np.tile(classes, (m, 1)))[0]
            total += (weight * G.reshape(path.shape)).sum(axis=0)
        return total

    def score_and_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """The score of each sequence, and the classes with predictions filled in."""
        scores = at_read(record(self.model, self.x, [], batch_size=self.batch_size)[0], self.read).cpu().numpy()
        chosen, score = question(scores, self.classes)
        return score, chosen

    def scores_at(self, e: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Scores of sequences whose tokens have these embeddings, (n,)."""
        parts = []
        for rows in blocks(len(e), self.batch_size):
            values = torch.as_tensor(e[rows], device=self.x.device)
            with undisturbed(self.model), torch.no_grad(), embedded(self.model, values):
                scores = at_read(run(self.model, self.x[rows]), self.read[rows]).cpu().numpy()
            parts.append(question(scores, classes[rows])[1])
        return np.concatenate(parts)

    def without(self, i: np.ndarray, gone: np.ndarray, replacement: int | None, classes: np.ndarray) -> np.ndarray:
        """Scores of the sequences i without the tokens marked in ``gone`` (m, l); all rows lose equally many."""
        tokens, read = self.x.cpu().numpy()[i], self.read[i]
        if replacement is None:
            read = np.maximum(read - (gone & (np.arange(gone.shape[1]) <= read[:, None])).sum(axis=1), 0)
            tokens = tokens[~gone].reshape(len(i), -1)
        else:
            tokens = np.where(gone, replacement, tokens)
        shorter = torch.as_tensor(tokens, device=self.x.device)
        scores = at_read(record(self.model, shorter, [], batch_size=self.batch_size)[0], read).cpu().numpy()
        return question(scores, classes[i])[1]

    def all_gone(self, replacement: int | None, classes: np.ndarray) -> np.ndarray:
        """Scores with every explained token gone, (n,); NaN where nothing would be left."""
        if replacement is not None:
            return self.without(np.arange(len(self.x)), self.explained, replacement, classes)
        base, kept = np.full(len(self.x), np.nan), (~self.explained).sum(axis=1)
        something = (self.real & ~self.explained).any(axis=1)
        for size in np.unique(kept[something]):
            rows = np.flatnonzero(something & (kept == size))
            base[rows] = self.without(rows, self.explained[rows], None, classes)
        return base

    def attribution(self, values: np.ndarray, base: np.ndarray, score: np.ndarray, method: str) -> Attribution:
        """The result; what is not explained gets 0."""
        shown = np.where(self.explained, values, 0.0).astype(np.float64)
        numbers = (base.astype(np.float64), score.astype(np.float64))
        return Attribution(shown, *numbers, self.names, self.x.cpu().numpy(), method, details={"explained": self.explained})


def embedding(model: nn.Module) -> nn.Embedding:
    """The layer that turns token numbers into vectors."""
    layer = getattr(model, "tokens", None)
    if not isinstance(layer, nn.Embedding):
        raise TypeError("model must have an embedding named 'tokens', as xailib.zoo.transformer.Transformer has.")
    return layer


@contextmanager
def embedded(model: nn.Module, values: Tensor) -> Iterator[None]:
    """Inside, the token embedding gives these values, whatever the tokens are."""
    hook = embedding(model).register_forward_hook(lambda _module, _inputs, _output: values)
    try:
        yield
    finally:
        hook.remove()
