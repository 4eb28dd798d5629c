"""One way to train a network: AdamW, one cycle, the same weights again, and a state on disk after every epoch.

Nothing of it needs pickle, and nothing is written in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xailib import _cache

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(model, images, labels) -> the loss of one batch."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in the same order every time; the caller's settings and random numbers come back afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)


class TrainingRun:
    """A network, its optimiser and its data: everything that changes from epoch to epoch.

    ``key`` names the training that a saved state belongs to: a state with another key is not taken up. An epoch is one pass over
    the images, or ``steps_per_epoch`` batches of them.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        loss: Loss,
        *,
        epochs: int,
        batch_size: int,
        peak_learning_rate: float,
        weight_decay: float,
        seed: int,
        key: str = "",
        steps_per_epoch: int | None = None,
    ) -> None:
        self.model, self.images, self.labels, self.loss = model, images, labels, loss
        self.epochs, self.peak_learning_rate, self.seed, self.key = epochs, peak_learning_rate, seed, key
        self.batch_size = min(batch_size, len(images))
        self.steps_per_epoch = min(steps_per_epoch or len(images), len(images) // self.batch_size)
        self.device = next(model.parameters()).device
        trainable = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(trainable, lr=peak_learning_rate, weight_decay=weight_decay)
        self.epoch = 0

    def one_epoch(self, epoch: int) -> None:
        """One pass over the training images in the order that belongs to this epoch."""
        torch.manual_seed(self.seed * 100_003 + epoch)  # for dropout: the epoch draws the same numbers after a restart
        self.model.train()
        batches = self._batches(epoch)
        for k, batch in enumerate(batches):
            self._set_learning_rate((epoch + k / len(batches)) / self.epochs)
            loss = self.loss(self.model, self.images[batch].to(self.device), self.labels[batch].to(self.device))
            if not torch.isfinite(loss.detach()):
                raise ValueError(f"the loss became {loss.item()} in epoch {epoch + 1}: train with a smaller learning_rate.")
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        self.epoch = epoch + 1

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Whole batches in random order; the images left over come in another epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        return torch.as_tensor(order[: self.steps_per_epoch * self.batch_size]).split(self.batch_size)

    def _set_learning_rate(self, progress: float) -> None:
        """One cycle: up along a line for the first 30 %, then down along a cosine."""
        rise = min(progress / 0.3, 1.0)
        fall = 0.5 + 0.5 * np.cos(np.pi * max(progress - 0.3, 0.0) / 0.7)
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak_learning_rate * max(rise * fall, 0.01)

    def save(self, path: Path) -> None:
        """Write weights, running statistics and optimiser state in one step."""
        state = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{number}.{k}": v for k, v in moments.items()}
        metadata = {"epoch": str(self.epoch), "key": self.key}
        _cache.write_atomically(path, lambda part: save_file(state, part, metadata))

    def resume(self, path: Path) -> None:
        """Go back to a saved state, if there is one of this training that can be read."""
        try:
            with safe_open(path, framework="pt") as stored:
                metadata = stored.metadata()
                state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118, it can not be iterated itself
        except (FileNotFoundError, SafetensorError):
            return
        if metadata.get("key", "") != self.key:
            return
        self.epoch = int(metadata["epoch"])
        self.model.load_state_dict(_below("model.", state))
        self._resume_optimiser(_below("optimiser.", state))

    def _resume_optimiser(self, moments: dict[str, Tensor]) -> None:
        by_parameter: dict[int, dict[str, Tensor]] = {}
        for key, value in moments.items():
            number, name = key.split(".")
            by_parameter.setdefault(int(number), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": by_parameter})


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose key starts with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
