"""Attention that is not the model's own: edits of a pattern, and the search for one that leaves the output as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from xailib._networks import undisturbed
from xailib._transformers import edited, run


def at_read(scores: Tensor, read: np.ndarray) -> Tensor:
    """Scores of the position that is read, (n, k)."""
    return scores if scores.ndim == 2 else scores[torch.arange(len(scores)), torch.as_tensor(np.array(read))]


def read_row(pattern: Tensor, read: np.ndarray) -> Tensor:
    """The row of the position that is read, (n, h, l)."""
    return pattern[torch.arange(len(pattern)), :, torch.as_tensor(np.array(read))]


def replaced_by(values: np.ndarray) -> Callable[[Tensor], Tensor]:
    """An edit that puts a whole pattern in the place of the model's."""

    def edit(pattern: Tensor) -> Tensor:
        if values.shape != pattern.shape:
            raise ValueError(f"patterns must have the shape of the layer's own, {tuple(pattern.shape)}, not {values.shape}.")
        return torch.as_tensor(values).to(pattern)

    return edit


def keeping(kept: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """No edit: it remembers what it sees, graph included."""

    def look(value: Tensor) -> Tensor:
        kept.append(value)
        return value

    return look


def shuffled(visible: np.ndarray, m: int, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """An edit that moves every row's weights to other keys that the row sees."""
    from_key = np.argsort(~visible, axis=1, kind="stable")  # visible keys first

    def edit(pattern: Tensor) -> Tensor:
        order = np.argsort(np.where(visible, rng.random((m, pattern.shape[1], *visible.shape)), 2.0), axis=3)
        source = np.empty_like(order)
        np.put_along_axis(source, order, np.broadcast_to(from_key, order.shape), axis=3)
        return pattern.gather(3, torch.as_tensor(source, device=pattern.device))

    return edit


@dataclass
class Search:
    """Adam on the logits of free attention weights, for many sequences and starts at once."""

    model: nn.Module
    name: str
    epsilon: float
    steps: int
    learning_rate: float

    def best(
        self, x: Tensor, read: np.ndarray, original: np.ndarray, seen: np.ndarray, before: Tensor, start: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights (n, h, l) and the change of the output (n,), the most different ones that keep it."""
        n, starts = len(x), start.shape[1]
        dtype = next(p for p in self.model.parameters() if p.is_floating_point()).dtype
        own = torch.as_tensor(original).to(dtype).repeat_interleave(starts, dim=0)
        hidden = torch.as_tensor(~seen).repeat_interleave(starts, dim=0)[:, None]
        target, positions = before.to(dtype).repeat_interleave(starts, dim=0), np.repeat(read, starts)
        tokens = x.repeat_interleave(starts, dim=0)
        logits = torch.as_tensor(start.reshape(n * starts, *start.shape[2:])).to(dtype).requires_grad_(True)
        found, distance, change = own.clone(), torch.zeros(len(own), dtype=dtype), torch.zeros(len(own), dtype=dtype)
        optimiser = torch.optim.Adam([logits], lr=self.learning_rate)
        with undisturbed(self.model):
            for _ in range(self.steps):
                weights = logits.masked_fill(hidden, -torch.inf).softmax(dim=2)
                with edited(self.model, {self.name: with_row(weights, positions)}):
                    output = at_read(run(self.model, tokens), positions).softmax(dim=1)
                apart, different = (output - target).abs().sum(dim=1) / 2, torch_jsd(own, weights).mean(dim=1)
                with torch.no_grad():
                    better = (apart <= self.epsilon) & (different > distance)
                    found[better], distance[better], change[better] = weights[better], different[better], apart[better]
                loss = (torch.relu(apart - 0.8 * self.epsilon) / self.epsilon - different).sum()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        rows = torch.arange(n) * starts + distance.reshape(n, starts).argmax(dim=1)
        return found[rows].numpy().astype(np.float64), change[rows].numpy().astype(np.float64)


def with_row(weights: Tensor, read: np.ndarray) -> Callable[[Tensor], Tensor]:
    """An edit that replaces the row of the reading position."""

    def edit(pattern: Tensor) -> Tensor:
        at = torch.as_tensor(read, device=pattern.device)
        here = torch.arange(pattern.shape[2], device=pattern.device) == at[:, None]
        return torch.where(here[:, None, :, None], weights[:, :, None], pattern)

    return edit


def torch_jsd(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence along the last axis, for tensors that are differentiated."""
    p, q = p.clamp(min=1e-12), q.clamp(min=1e-12)
    m = (p + q) / 2
    return (p * (p / m).log() + q * (q / m).log()).sum(dim=-1) / 2


def batches(n: int, size: int, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Row numbers of each step: every sequence once, in random order, again and again."""
    size = min(size, n)
    rounds = [rng.permutation(n) for _ in range(-(-steps * size // n))]
    return list(np.concatenate(rounds)[: steps * size].reshape(steps, size))
