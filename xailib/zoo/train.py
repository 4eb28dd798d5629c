"""Train the networks of the zoo from nothing: ``python -m xailib.zoo.train [names]``, which is what ``make weights`` runs.

After every epoch the whole state goes into the cache folder, so that a run that was killed goes on where it stopped and ends
with the same weights. Nothing of it needs pickle, and nothing is written in place.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from xailib import _cache, worlds
from xailib import _validation as check
from xailib._training import TrainingRun, one_thread
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


def _fundus_for_training(*, onset: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images with the channels of a pixel side by side in memory, which makes convolutions of few channels twice as fast."""
    images, grades = worlds.fundus().train
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(images, 1, 3)), 3, 1), (grades > 0).astype(np.int64) if onset else grades


RECIPES: dict[str, Recipe] = {
    "birds-cnn": Recipe(lambda: worlds.birds().train, 8, "trained on worlds.birds()"),
    "birds-cnn-snow": Recipe(lambda: worlds.birds(shortcut="snow").train, 8, "trained on worlds.birds(shortcut='snow')"),
    "birds-cnn-marker": Recipe(lambda: worlds.birds(marker=True).train, 8, "trained on worlds.birds(marker=True)"),
    "fundus-cnn": Recipe(
        partial(_fundus_for_training, onset=True), 16, "trained on worlds.fundus(), healthy or diseased", batch_size=16
    ),
    "fundus-cnn-grades": Recipe(
        partial(_fundus_for_training, onset=False), 16, "trained on worlds.fundus(), in three grades", batch_size=16
    ),
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
    with one_thread():
        torch.manual_seed(recipe.seed)
        model = GapCNN(**SHAPES[name], batch_norm=True)
        run = _training_run(recipe, model)
        run.resume(path)
        for epoch in tqdm(range(run.epoch, recipe.epochs), desc=name, unit="epoch", disable=None):
            run.one_epoch(epoch)
            run.save(path)
        return folded(model.eval())


def _training_run(recipe: Recipe, model: GapCNN) -> TrainingRun:
    images, labels = (torch.as_tensor(a) for a in recipe.data())
    return TrainingRun(
        model,
        images,
        labels,
        _smoothed_cross_entropy,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        peak_learning_rate=recipe.peak_learning_rate,
        weight_decay=WEIGHT_DECAY,
        seed=recipe.seed,
    )


def _smoothed_cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(images), labels, label_smoothing=LABEL_SMOOTHING)


def checkpoint_path(name: str, folder: Path | None = None) -> Path:
    """Where the state of a training lies; another text of the code or of the world is another file."""
    sources = [(files(package) / file).read_text(encoding="utf-8") for package, file in _SOURCES]
    return (folder or _cache.cache_dir() / "weights") / f"{name}-{_cache.content_key(*sources)}.safetensors"


_SOURCES = (
    ("xailib", "_training.py"),
    ("xailib.zoo", "train.py"),
    ("xailib.zoo", "architectures.py"),
    ("xailib.worlds", "birds.py"),
    ("xailib.worlds", "_bird_drawing.py"),
    ("xailib.worlds", "fundus.py"),
    ("xailib.worlds", "_fundus_drawing.py"),
)


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
