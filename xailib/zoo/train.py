"""Train the networks of the zoo from nothing: ``python -m xailib.zoo.train [names]``, which is what ``make weights`` runs.

After every epoch the whole state goes into the cache folder, so that a run that was killed goes on where it stopped and ends
with the same weights. Nothing of it needs pickle, and nothing is written in place.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from xailib import _cache, worlds
from xailib import _validation as check
from xailib.course import manifest
from xailib.zoo import cards, vision
from xailib.zoo.architectures import SHAPES, GapCNN, folded

LICENCE = "MIT"
DIGITS = "three quarters of scikit-learn's digits (UCI Optical Recognition of Handwritten Digits, CC BY 4.0)"
WEIGHT_DECAY = 1e-3
# spreads evidence evenly over "for this species" and "against its sibling"; without it a class score may ignore its own pivots
LABEL_SMOOTHING = 0.1


@dataclass(frozen=True)
class Recipe:
    """How one network is made.

    Attributes
    ----------
    data : function () -> (images (n, channels, height, width), labels (n,)), the training part
    epochs, batch_size, peak_learning_rate, seed : training
    origin : what the weights were made from, in a few words
    """

    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    epochs: int
    origin: str
    batch_size: int = 64
    peak_learning_rate: float = 4e-3
    seed: int = 0


def _digits_for_training() -> tuple[np.ndarray, np.ndarray]:
    images, labels, n_train = vision.digits()
    return images[:n_train], labels[:n_train]


RECIPES: dict[str, Recipe] = {
    "birds-cnn": Recipe(lambda: worlds.birds().train, 8, "trained on worlds.birds()"),
    "birds-cnn-snow": Recipe(lambda: worlds.birds(shortcut="snow").train, 8, "trained on worlds.birds(shortcut='snow')"),
    "birds-cnn-marker": Recipe(lambda: worlds.birds(marker=True).train, 8, "trained on worlds.birds(marker=True)"),
    "digits-cnn": Recipe(_digits_for_training, 20, f"trained on {DIGITS}"),
}


def train(name: str, *, checkpoints: Path | None = None) -> GapCNN:
    """Train one network, or finish a training that was interrupted.

    Parameters
    ----------
    name : one of :data:`RECIPES`
    checkpoints : folder for the state after each epoch, default ``weights`` in the cache folder

    Returns
    -------
    GapCNN
        In evaluation mode, batch normalisation folded away.

    Notes
    -----
    AdamW with a one-cycle learning rate and smoothed labels. Initial weights and the order of the images come from the recipe's
    seed and one thread does all sums, so an interrupted training ends with the same weights as an uninterrupted one.
    """
    recipe = RECIPES[check.one_of(name, "name", RECIPES)]
    path = checkpoint_path(name, checkpoints)
    with _one_thread():
        run = TrainingRun(recipe, SHAPES[name])
        run.resume(path)
        for epoch in tqdm(range(run.epoch, recipe.epochs), desc=name, unit="epoch", disable=None):
            run.one_epoch(epoch)
            run.save(path)
        return folded(run.model.eval())


def checkpoint_path(name: str, folder: Path | None = None) -> Path:
    """Where the state of a training lies; another text of the code or of the world is another file."""
    sources = [(files(package) / file).read_text(encoding="utf-8") for package, file in _SOURCES]
    return (folder or _cache.cache_dir() / "weights") / f"{name}-{_cache.content_key(*sources)}.safetensors"


_SOURCES = (
    ("xailib.zoo", "train.py"),
    ("xailib.zoo", "architectures.py"),
    ("xailib.worlds", "birds.py"),
    ("xailib.worlds", "_bird_drawing.py"),
)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in the same order every time; the caller's settings come back afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


class TrainingRun:
    """A network, its optimiser and its data: everything that changes from epoch to epoch."""

    def __init__(self, recipe: Recipe, shape: dict[str, Any]) -> None:
        self.recipe = recipe
        self.images, self.labels = (torch.as_tensor(a) for a in recipe.data())
        torch.manual_seed(recipe.seed)
        self.model = GapCNN(**shape, batch_norm=True)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=recipe.peak_learning_rate, weight_decay=WEIGHT_DECAY)
        self.epoch = 0

    def one_epoch(self, epoch: int) -> None:
        """One pass over the training images in the order that belongs to this epoch."""
        self.model.train()
        batches = self._batches(epoch)
        for k, batch in enumerate(batches):
            self._set_learning_rate((epoch + k / len(batches)) / self.recipe.epochs)
            scores = self.model(self.images[batch])
            loss = nn.functional.cross_entropy(scores, self.labels[batch], label_smoothing=LABEL_SMOOTHING)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        self.epoch = epoch + 1

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Whole batches in random order; the few images left over come in another epoch."""
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.images))
        whole = len(order) // self.recipe.batch_size * self.recipe.batch_size
        return torch.as_tensor(order[:whole]).split(self.recipe.batch_size)

    def _set_learning_rate(self, progress: float) -> None:
        """One cycle: up along a line for the first 30 %, then down along a cosine."""
        rise = min(progress / 0.3, 1.0)
        fall = 0.5 + 0.5 * np.cos(np.pi * max(progress - 0.3, 0.0) / 0.7)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.peak_learning_rate * max(rise * fall, 0.01)

    def save(self, path: Path) -> None:
        """Write weights, running statistics and optimiser state in one step."""
        state = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{number}.{k}": v for k, v in moments.items()}
        metadata = {"epoch": str(self.epoch)}
        _cache.write_atomically(path, lambda part: save_file(state, part, metadata))

    def resume(self, path: Path) -> None:
        """Go back to a saved state, if there is one that can be read."""
        try:
            with safe_open(path, framework="pt") as stored:
                epoch = int(stored.metadata()["epoch"])
                state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118, it can not be iterated itself
        except (FileNotFoundError, SafetensorError):
            return
        self.epoch = epoch
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


def make_weights(names: list[str], folder: Path | None = None) -> None:
    """Train, write and register networks; checkpoints go once all of them are there.

    Parameters
    ----------
    names : which of :data:`RECIPES`
    folder : where to write, default ``data/``
    """
    folder = folder or manifest.data_dir()
    for name in names:
        weights = train(name).state_dict()
        path = folder / f"{name}.safetensors"
        _cache.write_atomically(path, partial(save_file, weights))
        origin, command = RECIPES[name].origin, f"python -m xailib.zoo.train {name}"
        manifest.record(path.name, origin=origin, licence=LICENCE, command=command, folder=folder)
    for name in names:
        checkpoint_path(name).unlink(missing_ok=True)


def main() -> None:
    """Command line: the names of networks, or nothing for all of them."""
    parser = argparse.ArgumentParser(prog="python -m xailib.zoo.train", description="Train the networks of the zoo from nothing.")
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(RECIPES)} (default: all)")
    names = parser.parse_args().names
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        parser.error(f"unknown model {', '.join(unknown)}; there are {', '.join(RECIPES)}.")
    names = names or list(RECIPES)
    make_weights(names)
    cards.record_measurements(names)


if __name__ == "__main__":
    main()
