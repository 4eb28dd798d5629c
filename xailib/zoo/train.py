"""Train the networks of the zoo from nothing: ``python -m xailib.zoo.train [names]``, which is what ``make weights`` runs.

After every epoch the whole state goes into the cache folder, so that a run that was killed goes on where it stopped and ends
with the same weights. Nothing of it needs pickle, and nothing is written in place.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from xailib import _cache, worlds
from xailib import _validation as check
from xailib._training import Loss, TrainingRun, one_thread
from xailib.chiqpm import _pipeline
from xailib.course import manifest
from xailib.zoo import cards, chiqpm, language, two_towers, vision
from xailib.zoo._corpora import CORPORA, NOT_ASKED, Corpus
from xailib.zoo.architectures import SHAPES, GapCNN, folded
from xailib.zoo.transformer import Transformer
from xailib.zoo.two_towers import contrastive_loss

LICENCE = "MIT"
DIGITS = "three quarters of scikit-learn's digits (UCI Optical Recognition of Handwritten Digits, CC BY 4.0)"
DOCSTRINGS = "the docstrings of SciPy and scikit-learn (BSD 3-Clause)"
#: after how many epochs of 25 steps the history of the copying transformer shows its weights
COPIES_KEPT = (0, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 24, 36, 48)
# spreads evidence evenly over "for this species" and "against its sibling"; without it a class score may ignore its own pivots
LABEL_SMOOTHING = 0.1
FARTHEST_PIXELS = 4  # by which a captioned picture is moved


def _smoothed_cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(model(images), labels, label_smoothing=LABEL_SMOOTHING)


def _token_cross_entropy(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """One target for each sequence, or one for each position."""
    return cross_entropy(model(tokens).flatten(0, -2), targets.flatten(), ignore_index=NOT_ASKED)


def _captioned(towers: nn.Module, images: Tensor, captions: Tensor) -> Tensor:
    """The contrastive loss with one of each picture's captions; the pictures move a little, so that none is learnt by heart."""
    chosen = torch.randint(captions.shape[1], (len(captions),))
    down, right = torch.randint(-FARTHEST_PIXELS, FARTHEST_PIXELS + 1, (2,)).tolist()
    return contrastive_loss(towers, torch.roll(images, (down, right), (2, 3)), captions[torch.arange(len(captions)), chosen])


@dataclass(frozen=True)
class Recipe:
    """How one network is made.

    Attributes
    ----------
    data : function () -> (images (n, channels, height, width) or tokens (n, l), targets), the training part
    epochs, batch_size, peak_learning_rate, weight_decay, seed, loss : training
    origin : what the weights were made from, in a few words
    steps_per_epoch : batches in an epoch, if not all
    kept : epochs after which a copy of the weights is kept, to ship as the model's history; 0 is before the first
    whole : function (checkpoint) -> finished network, where a training has more than one part
    """

    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    epochs: int
    origin: str
    batch_size: int = 64
    peak_learning_rate: float = 4e-3
    weight_decay: float = 1e-3
    seed: int = 0
    loss: Loss = _smoothed_cross_entropy
    steps_per_epoch: int | None = None
    kept: tuple[int, ...] = ()
    whole: Callable[[Path], nn.Module] | None = None


def _digits_for_training() -> tuple[np.ndarray, np.ndarray]:
    images, labels, n_train = vision.digits()
    return images[:n_train], labels[:n_train]


def _fundus_for_training(*, onset: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images with the channels of a pixel side by side in memory, which makes convolutions of few channels twice as fast."""
    images, grades = worlds.fundus().train
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(images, 1, 3)), 3, 1), (grades > 0).astype(np.int64) if onset else grades


def _birds_for_training(**options: Any) -> tuple[np.ndarray, np.ndarray]:
    return worlds.birds(**options).train


def _dense_and_binary(checkpoint: Path, **options: Any) -> nn.Module:
    return _pipeline.train(worlds.birds(**options), seed=0, checkpoint=checkpoint)


@lru_cache(maxsize=1)
def _corpus(name: str) -> Corpus:
    return CORPORA[name]()


def _tokens_for_training(name: str) -> tuple[np.ndarray, np.ndarray]:
    return _corpus(name)[:2]


def _transformer(name: str, epochs: int, origin: str, **training: Any) -> Recipe:
    data = partial(_tokens_for_training, name)
    defaults = {"peak_learning_rate": 3e-3, "weight_decay": 1e-2, "loss": _token_cross_entropy}
    return Recipe(data, epochs, f"trained on {origin}", **{**defaults, **training})


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
    "messages-transformer": _transformer("messages-transformer", 5, "worlds.messages, half of the mails with words deleted"),
    # every 25 steps, because the heads that copy form within a few hundred
    "copies-transformer": _transformer(
        "copies-transformer", 48, "worlds.copies", steps_per_epoch=25, peak_learning_rate=2e-3, kept=COPIES_KEPT
    ),
    "facts-transformer": _transformer("facts-transformer", 40, "three quarters of worlds.facts"),
    "agreement-transformer": _transformer("agreement-transformer", 6, "worlds.agreement"),
    "brackets-transformer": _transformer("brackets-transformer", 14, "worlds.brackets"),
    "docstrings-transformer": _transformer("docstrings-transformer", 12, DOCSTRINGS, batch_size=32, weight_decay=0.1),
    "birds-clip": Recipe(
        partial(_tokens_for_training, "birds-clip"),
        28,
        "trained on pictures of worlds.birds(missing_rate=0.3) with captions",
        batch_size=128,
        peak_learning_rate=2e-3,
        weight_decay=0.05,
        loss=_captioned,
    ),
    **{
        name: Recipe(
            partial(_birds_for_training, **options),
            8,
            f"trained on worlds.birds({', '.join(f'{key}={value}' for key, value in options.items())}), its head by a program",
            whole=partial(_dense_and_binary, **options),
        )
        for name, options in chiqpm.SHAPES.items()
    },
}


def train(name: str, *, checkpoints: Path | None = None) -> nn.Module:
    """Train one network, or finish a training that was interrupted.

    Parameters
    ----------
    name : one of :data:`RECIPES`
    checkpoints : folder for the state after each epoch, default ``weights`` in the cache folder

    Returns
    -------
    torch module
        In evaluation mode; a GapCNN with batch normalisation folded away, a Transformer, a TinyCLIP, or CHiQPM's two networks.

    Notes
    -----
    AdamW with a one-cycle learning rate. Initial weights and the order of the inputs come from the recipe's seed and one thread
    does all sums, so an interrupted training ends with the same weights as an uninterrupted one.
    """
    recipe = RECIPES[check.one_of(name, "name", RECIPES)]
    path = checkpoint_path(name, checkpoints)
    with one_thread():
        if recipe.whole is not None:
            return recipe.whole(path)
        run = _training_run(name, recipe)
        run.resume(path)
        _keep(run, recipe, path)
        for epoch in tqdm(range(run.epoch, recipe.epochs), desc=name, unit="epoch", disable=None):
            run.one_epoch(epoch)
            _keep(run, recipe, path)
            run.save(path)
        model = run.model.eval()
        return folded(model) if isinstance(model, GapCNN) else model


def _training_run(name: str, recipe: Recipe) -> TrainingRun:
    inputs, targets = (torch.as_tensor(a) for a in recipe.data())
    torch.manual_seed(recipe.seed)
    return TrainingRun(
        _untrained(name),
        inputs,
        targets,
        recipe.loss,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        peak_learning_rate=recipe.peak_learning_rate,
        weight_decay=recipe.weight_decay,
        seed=recipe.seed,
        steps_per_epoch=recipe.steps_per_epoch,
    )


def _untrained(name: str) -> nn.Module:
    if name in SHAPES:
        return GapCNN(**SHAPES[name], batch_norm=True)
    words = _corpus(name)[2]
    if name in two_towers.SHAPES:
        return two_towers.TinyCLIP(words, **two_towers.SHAPES[name])
    return Transformer(len(words), **language.SHAPES[name])


def _keep(run: TrainingRun, recipe: Recipe, path: Path) -> None:
    """Put a copy of the weights aside, if this is one of the epochs to keep."""
    if run.epoch in recipe.kept:
        rounded = {key: value.half() for key, value in run.model.state_dict().items()}
        _cache.write_atomically(_kept_path(path, run.epoch), partial(save_file, rounded))


def _kept_path(path: Path, epoch: int) -> Path:
    return path.with_name(f"{path.stem}-after-{epoch}{path.suffix}")


def checkpoint_path(name: str, folder: Path | None = None) -> Path:
    """Where the state of a training lies; another text of the code or of the world is another file."""
    return (folder or _cache.cache_dir() / "weights") / f"{name}-{_code_key()}.safetensors"


@cache
def _code_key() -> str:
    """A short name for the code as it was when this process began."""
    return _cache.content_key(_cache.source_texts(*_SOURCES))


_SOURCES = (
    "_training.py",
    "zoo/train.py",
    "zoo/architectures.py",
    "worlds/birds.py",
    "worlds/_bird_drawing.py",
    "worlds/fundus.py",
    "worlds/_fundus_drawing.py",
    "zoo/transformer.py",
    "zoo/language.py",
    "zoo/two_towers.py",
    "zoo/_captions.py",
    "zoo/_corpora.py",
    *(f"chiqpm/{part}.py" for part in ("_pipeline", "network", "program", "scalable", "exact", "_assignment", "_bound")),
    "text.py",
    "worlds/real.py",
    *(f"worlds/{world}.py" for world in ("messages", "copies", "facts", "agreement", "brackets")),
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
        weights, path, words = train(name).state_dict(), checkpoint_path(name), _words(name)
        weights = {key: value.contiguous() for key, value in weights.items()}
        _ship(f"{name}.safetensors", weights, words, name, folder)
        if RECIPES[name].kept:
            _ship(f"{name}-training.safetensors", _history(name, path), words, name, folder)
    for name in names:
        checkpoint_path(name).unlink(missing_ok=True)
        for epoch in RECIPES[name].kept:
            _kept_path(checkpoint_path(name), epoch).unlink(missing_ok=True)


def _ship(file: str, tensors: dict[str, Tensor], words: dict[str, str] | None, name: str, folder: Path) -> None:
    """Write one file and enter it in the manifest."""
    _cache.write_atomically(folder / file, lambda part: save_file(tensors, part, words))
    origin, command = RECIPES[name].origin, f"python -m xailib.zoo.train {name}"
    manifest.record(file, origin=origin, licence=LICENCE, command=command, folder=folder)


def _words(name: str) -> dict[str, str] | None:
    """The vocabulary of a transformer as metadata of its file."""
    return {"words": json.dumps(_corpus(name)[2].words)} if name in CORPORA else None


def _history(name: str, path: Path) -> dict[str, Tensor]:
    """The kept weights, with the number of steps before each name."""
    recipe = RECIPES[name]
    return {
        f"{epoch * (recipe.steps_per_epoch or 1)}/{key}": value
        for epoch in recipe.kept
        for key, value in load_file(_kept_path(path, epoch)).items()
    }


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
