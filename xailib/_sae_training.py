"""How toy models of superposition and sparse autoencoders are trained: many of one shape at once, in one batched tensor.

The first axis of every tensor counts models. They share nothing but the order of their random draws: losses are added up, so
each model gets its own gradient, and Adam works number by number. Double precision, one thread: the same numbers again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xailib._progress import progress
from xailib._training import one_thread

DTYPE = torch.float64
#: sparse autoencoders are checked so many times for dead latents, in the first part of the training
CHECKS, CHECKED_PART = 20, 0.8
#: a latent is dead when it fires less often than this share of an average latent
DEAD = 0.05
#: the learning rate falls to zero in the last part of the training
COOLING = 0.4


def generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator seeded from a NumPy one."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))


# --- toy models -------------------------------------------------------------------------------------------------------


def sparse_features(shape: tuple[int, ...], density: Tensor, g: torch.Generator) -> Tensor:
    """Uniform on [0, 1] with probability ``density``, otherwise 0; all models see the same numbers."""
    present = torch.rand(shape, generator=g, dtype=DTYPE) < density
    return torch.rand(shape, generator=g, dtype=DTYPE) * present


def toys(
    density: np.ndarray,
    importance: np.ndarray,
    n_hidden: int,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (r, m, n), biases (r, n) and losses (r,) of r toy models with densities (r,) and importances (r, n)."""
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        g, (r, n) = generator(rng), importance.shape
        p, weight = torch.tensor(density, dtype=DTYPE)[:, None, None], torch.tensor(importance, dtype=DTYPE)
        W = (torch.randn(r, n_hidden, n, generator=g, dtype=DTYPE) / 2 / n_hidden**0.5).requires_grad_()
        b = torch.zeros(r, 1, n, dtype=DTYPE, requires_grad=True)
        adam = torch.optim.Adam([W, b], lr=learning_rate)
        for step in progress(range(steps), steps, "toy models"):
            adam.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
            x = sparse_features((1, batch_size, n), p, g)
            adam.zero_grad()
            toy_loss(x, W, b, weight).sum().backward()
            adam.step()
        return W.detach().numpy(), b.detach()[:, 0].numpy(), _judged(W.detach(), b.detach(), p, weight)


def _judged(W: Tensor, b: Tensor, p: Tensor, importance: Tensor) -> np.ndarray:
    """Losses (r,) on one set of rows for all, larger than any batch: chance must not choose the best."""
    u, v = torch.rand((2, 1, 8192, W.shape[2]), generator=torch.Generator().manual_seed(0), dtype=DTYPE)
    losses = [toy_loss(u * (v < p[i]), W[[i]], b[[i]], importance[[i]]) for i in range(len(W))]
    return torch.cat(losses).numpy()


def toy_loss(x: Tensor, W: Tensor, b: Tensor, importance: Tensor) -> Tensor:
    """Weighted squared error of ReLU(W'W x + b), mean over rows: one number per model."""
    out = torch.relu(x @ W.mT @ W + b)
    return ((x - out) ** 2).mean(dim=-2).mul(importance).sum(dim=-1)


# --- sparse autoencoders ----------------------------------------------------------------------------------------------


@dataclass
class Settings:
    """What all autoencoders of one training share, and the k (r,) or l1 (r,) of each."""

    kind: str
    k: np.ndarray
    l1: np.ndarray
    n_latents: int
    steps: int
    batch_size: int
    learning_rate: float
    unit_norm: bool
    resample: bool


@dataclass
class Trained:
    """r autoencoders in the activations' own units."""

    encoder: np.ndarray  # (r, d, m)
    encoder_bias: np.ndarray  # (r, m)
    dictionary: np.ndarray  # (r, m, d)
    bias: np.ndarray  # (r, d)
    threshold: np.ndarray  # (r,)
    scale: np.ndarray  # (r,)
    loss: np.ndarray  # (r, steps), share of the variance that is lost, before any penalty
    resampled: np.ndarray  # (r,) how often a latent was started anew


def autoencoders(activations: np.ndarray, settings: Settings, rng: np.random.Generator) -> Trained:
    """Train one autoencoder per entry of ``settings.k`` on activations (r, n, d), or (1, n, d) for all of them."""
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        return _Training(torch.as_tensor(activations, dtype=DTYPE), settings, generator(rng)).run()


class _Training:
    """The state of one training: parameters, optimiser, and who fired since the last check."""

    def __init__(self, A: Tensor, settings: Settings, g: torch.Generator) -> None:
        self.settings, self.g, r, m = settings, g, len(settings.k), settings.n_latents
        mean = A.mean(dim=1, keepdim=True)
        # with a mean squared length of 1 the penalty means the same in every layer, and the error is a share of the variance
        self.scale = ((A - mean) ** 2).sum(dim=2).mean(dim=1).sqrt()[:, None, None]
        self.A = A / self.scale
        D = torch.randn(r, m, A.shape[2], generator=g, dtype=DTYPE)
        D = D / D.norm(dim=2, keepdim=True)
        bias = (mean / self.scale).expand(r, 1, -1).clone()
        self.parameters = [D.mT.contiguous(), torch.zeros(r, 1, m, dtype=DTYPE), D, bias]
        for value in self.parameters:
            value.requires_grad_()
        self.adam = torch.optim.Adam(self.parameters, lr=settings.learning_rate)
        self.fired, self.resampled = torch.zeros(r, m, dtype=DTYPE), np.zeros(r, dtype=int)
        self.threshold = torch.zeros(r, dtype=DTYPE)

    def run(self) -> Trained:
        steps, (W, b, D, bias) = self.settings.steps, self.parameters
        checks = {int(steps * CHECKED_PART * (i + 1) / CHECKS) for i in range(CHECKS)} if self.settings.resample else set()
        losses = np.empty((len(b), steps))
        for step in progress(range(steps), steps, "autoencoders"):
            self.adam.param_groups[0]["lr"] = self.settings.learning_rate * min(1, (1 - step / steps) / COOLING)
            x, error = self._step(step)
            losses[:, step] = (error**2).sum(dim=2).mean(dim=1).detach()
            if step + 1 in checks:
                self._revive(x, (error**2).sum(dim=2))
        s = self.scale[:, 0, 0].expand(len(b))
        return Trained(
            W.detach().numpy(),
            (b.detach()[:, 0] * s[:, None]).numpy(),
            D.detach().numpy(),
            (bias.detach()[:, 0] * s[:, None]).numpy(),
            (self.threshold * s).numpy(),
            s.numpy().copy(),
            losses,
            self.resampled,
        )

    def _step(self, step: int) -> tuple[Tensor, Tensor]:
        """One batch, one step of Adam; returns the batch and its errors."""
        W, b, D, bias = self.parameters
        x = self.A[:, torch.randint(self.A.shape[1], (self.settings.batch_size,), generator=self.g)]
        z = self._sparse(torch.relu((x - bias) @ W + b), step)
        error = z @ D + bias - x
        loss = (error**2).sum(dim=2).mean(dim=1)
        if self.settings.kind == "relu":
            loss = loss + torch.as_tensor(self.settings.l1) * z.sum(dim=2).mean(dim=1)
        self.adam.zero_grad()
        loss.sum().backward()
        self._keep_unit_norm(before=True)
        self.adam.step()
        self._keep_unit_norm(before=False)
        self.fired += (z.detach() > 0).sum(dim=1)
        return x.detach().expand(len(b), -1, -1), error.detach()

    def _sparse(self, z: Tensor, step: int) -> Tensor:
        """All latents, the k largest of each row, or the k times rows largest of the batch."""
        k = torch.as_tensor(self.settings.k)
        if self.settings.kind == "top-k":
            return z * (z >= kth_largest(z, k[:, None].expand(z.shape[:2]))[..., None])
        if self.settings.kind == "batch-top-k":
            smallest = kth_largest(z.flatten(1), (k * z.shape[1]).round().long())
            recent = smallest.detach()
            self.threshold = recent if step == 0 else 0.95 * self.threshold + 0.05 * recent
            return z * (z >= smallest[:, None, None])
        return z

    def _keep_unit_norm(self, *, before: bool) -> None:
        """Dictionary rows stay on the sphere: no gradient off it before a step, length 1 after it."""
        if not self.settings.unit_norm:
            return
        D = self.parameters[2]
        with torch.no_grad():
            if before and D.grad is not None:
                D.grad -= (D.grad * D).sum(dim=2, keepdim=True) * D
            else:
                D /= D.norm(dim=2, keepdim=True).clamp(min=1e-12)

    def _revive(self, x: Tensor, squared_error: Tensor) -> None:
        """Dead latents start anew as inputs that are rebuilt badly; the optimiser forgets what it knew about them."""
        W, b, D, bias = self.parameters
        dead = self.fired < DEAD * self.fired.mean(dim=1, keepdim=True)
        with torch.no_grad():
            for i in torch.nonzero(dead.any(dim=1))[:, 0].tolist():
                j = torch.nonzero(dead[i])[:, 0]
                rows = torch.multinomial(squared_error[i] + 1e-12, len(j), replacement=True, generator=self.g)
                start = x[i, rows] - bias[i]
                D[i, j] = start / start.norm(dim=1, keepdim=True).clamp(min=1e-12)
                W[i][:, j], b[i, 0, j] = D[i, j].T, 0
                self._forget(W, (i, slice(None), j))
                self._forget(b, (i, 0, j))
                self._forget(D, (i, j))
                self.resampled[i] += len(j)
        self.fired.zero_()

    def _forget(self, parameter: Tensor, where: Any) -> None:
        for moment in ("exp_avg", "exp_avg_sq"):
            self.adam.state[parameter][moment][where] = 0


def kth_largest(z: Tensor, k: Tensor) -> Tensor:
    """The k-th largest number along the last axis, with a k of its own for each row."""
    top = z.topk(int(k.max()), dim=-1).values
    return top.gather(-1, (k - 1)[..., None].long())[..., 0]
