"""The shipped networks: load them, and measure by intervention what they rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch import nn

from xailib import _validation as check
from xailib.course import manifest
from xailib.models import batched, predictor
from xailib.worlds._world import World
from xailib.worlds.birds import BirdsTruth
from xailib.zoo.architectures import SHAPES, GapCNN

N_SPECIES = len(BirdsTruth.species_names)
BATCH_IMAGES = 256  # per model call: the first feature maps of more images would not fit into a processor's cache


def network(name: str) -> GapCNN:
    """A shipped network in evaluation mode: a new module at every call, free to be changed.

    Raises
    ------
    ValueError, FileNotFoundError
        If the name is unknown, or the weights in ``data/`` are missing or do not match their hash in the manifest.

    Notes
    -----
    Called through :func:`xailib.zoo.load`. Introduced in chapter 8.

    Examples
    --------
    >>> network("digits-cnn").classifier
    Linear(in_features=64, out_features=10, bias=True)
    """
    model = GapCNN(**SHAPES[check.one_of(name, "name", SHAPES)])
    model.load_state_dict(load_file(manifest.verified(f"{name}.safetensors")))
    return model.eval()


def digits() -> tuple[np.ndarray, np.ndarray, int]:
    """scikit-learn's handwritten digits as images in [0, 1], in the order ``"digits-cnn"`` was trained in.

    Returns
    -------
    images (1797, 1, 8, 8) float32, labels (1797,), and the number of images, from the first, that were used for training
    """
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = (bunch.images[order, None] / bunch.images.max()).astype(np.float32)
    return images, bunch.target[order], len(order) * 3 // 4


def part_reliance(
    model: nn.Module, world: World[BirdsTruth], indices: Any = None, *, target: Any = None, against: Any = None
) -> pd.DataFrame:
    r"""By how much a class score falls when one part is taken out of the picture: the model's own truth.

    .. math:: \Delta_p(x) = z_c(x) - z_c(x \text{ drawn without part } p)

    Parameters
    ----------
    model : torch module, (n, 3, 64, 64) -> (n, 20) class scores
    world : a birds world
    indices : picture numbers, default all held-out pictures
    target : class number, or one per picture; default each picture's own species
    against : class number, or one per picture, optional: the score is then :math:`z_c - z_{c'}`, what speaks
        for ``target`` rather than ``against``

    Returns
    -------
    DataFrame
        One row per picture, one column per removable part, in units of the score; NaN where the picture lacks the part.

    Raises
    ------
    TypeError, ValueError
        If the picture numbers or classes are none of this world's.

    Notes
    -----
    Single deletion of the FunnyBirds protocol (Hesse, Schaub-Meyer & Roth 2023), on pictures drawn again with everything else the
    same. Training pictures lack parts too, so the changed pictures are in distribution. Taught in chapter 8.
    """
    if not isinstance(getattr(world, "truth", None), BirdsTruth):
        raise TypeError("world must be a birds world, as made by xailib.worlds.birds().")
    truth = world.truth
    held_out = np.arange(world.n_train, len(world.y))
    indices = held_out if indices is None else np.atleast_1d(check.positions(indices, "indices", len(world.y), "picture"))
    score = _score(model, world.y[indices] if target is None else target, against, len(indices))
    before = score(world.X[indices])
    drops = {part: before - score(truth.without(indices, part)) for part in truth.removable_parts}
    present = truth.present[indices][:, : len(truth.removable_parts)]
    return pd.DataFrame(drops, index=pd.Index(indices, name="picture")).where(present)


def _score(model: nn.Module, target: Any, against: Any, n: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function from n images to one score each: a class score, or the difference of two."""
    logits, rows = predictor(model, "logit"), np.arange(n)
    target = _classes(target, "target", n)
    rival = None if against is None else _classes(against, "against", n)

    def score(images: np.ndarray) -> np.ndarray:
        scores = batched(logits, images, batch_rows=BATCH_IMAGES, width=N_SPECIES)
        return scores[rows, target] - (0 if rival is None else scores[rows, rival])

    return score


def _classes(value: Any, name: str, n: int) -> np.ndarray:
    """One class number per picture."""
    classes = np.asarray(value)
    if classes.dtype.kind not in "iu" or classes.shape not in ((), (n,)):
        raise ValueError(f"{name} must be a class number, or one for each of the {n} pictures.")
    for extreme in (classes.min(), classes.max()):
        check.number(extreme, name, low=0, high=N_SPECIES - 1, integer=True)
    return np.broadcast_to(classes, (n,))
