"""Uncertain prototypes, training without the images that contain them, and the controls that this must be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from torch import nn

from xailib import _validation as check
from xailib._networks import class_scores, undisturbed
from xailib.i2x._inputs import class_labels, class_pair
from xailib.i2x.explanation import Effects, traced
from xailib.i2x.training import check_settings, fine_tune

if TYPE_CHECKING:
    from xailib.i2x.tracing import Trace

__all__ = [
    "ARMS",
    "Curation",
    "confusions",
    "curate",
    "matched_removal",
    "most_confused",
    "protocol",
    "random_removal",
    "uncertain_prototypes",
]

#: images per model call when an arm is tested
TEST_BATCH = 256
RULES = ("share", "intensity")
#: name of each arm -> the images of its stages
ARMS: Mapping[str, tuple[str, ...]] = {
    "full": ("full",),
    "curated": ("curated",),
    "random": ("random",),
    "matched": ("matched",),
    "full -> full": ("full", "full"),
    "curated -> curated": ("curated", "curated"),
    "curated -> full": ("curated", "full"),
    "random -> full": ("random", "full"),
    "matched -> full": ("matched", "full"),
}


@dataclass(frozen=True, eq=False)
class Curation:
    """Training images of which some are left out.

    Attributes
    ----------
    kept, removed : increasing image numbers; together all of them
    rule : why images were left out
    """

    kept: np.ndarray
    removed: np.ndarray
    rule: str

    def removed_per_class(self, labels: Any) -> np.ndarray:
        """(C,), how many images of each class are left out, given the labels of all images."""
        y = class_labels(labels, len(self.kept) + len(self.removed))
        return np.bincount(y[self.removed], minlength=y.max() + 1)

    def overlap(self, other: Curation) -> float:
        """Share of the images left out here that the other one leaves out as well; NaN if none are left out."""
        check.instance(other, Curation, "other")
        return float(np.isin(self.removed, other.removed).mean()) if len(self.removed) else float("nan")

    def __repr__(self) -> str:
        return f"Curation({len(self.kept)} images kept, {len(self.removed)} left out: {self.rule})"


def most_confused(predicted: Any, labels: Any) -> tuple[int, int]:
    """The two classes that are most often taken for each other.

    Parameters
    ----------
    predicted : (n,) class numbers
    labels : (n,) true classes

    Returns
    -------
    (a, b), the smaller number first; of several such pairs the first

    Raises
    ------
    ValueError
        If no image is misclassified.

    Notes
    -----
    Taught in chapter 17.

    Examples
    --------
    >>> most_confused([0, 2, 1, 2], [0, 1, 2, 2])
    (1, 2)
    """
    p, y = _two_labelings(predicted, labels)
    size = int(max(p.max(), y.max())) + 1
    table = np.bincount(y * size + p, minlength=size**2).reshape(size, size)
    both = np.triu(table + table.T, 1)
    if not both.any():
        raise ValueError("predicted equals labels everywhere: no two classes are confused; take images the model gets wrong.")
    a, b = np.unravel_index(both.argmax(), both.shape)
    return int(a), int(b)


def confusions(predicted: Any, labels: Any, pair: Any) -> int:
    """How many images of one class of a pair are taken for the other, both ways together.

    Parameters
    ----------
    predicted, labels : (n,) class numbers
    pair : two class numbers

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the pair is no two of the classes.

    Notes
    -----
    Taught in chapter 17.

    Examples
    --------
    >>> confusions([0, 2, 1, 2], [0, 1, 2, 2], (1, 2))
    2
    """
    p, y = _two_labelings(predicted, labels)
    a, b = class_pair(pair, int(max(p.max(), y.max())) + 1)
    return int(((y == a) & (p == b)).sum() + ((y == b) & (p == a)).sum())


def uncertain_prototypes(
    effects: Effects, pair: Any, *, min_changes: int = 2, active: float = 0.5, swing: float = 0.75
) -> pd.DataFrame:
    r"""Prototypes that speak now for one class of a pair, now for the other: how often, and how strongly both ways.

    .. math:: d_k^t = \beta_{ka}^t - \beta_{kb}^t, \qquad \text{swing}_k = \min\big(\max_t d_k^t,\; \max_t (-d_k^t)\big)

    Parameters
    ----------
    effects : Effects; their ``influence`` is used, so that prototypes are compared in one unit
    pair : two class numbers, a and b
    min_changes : int, sign changes that an uncertain prototype has at least
    active : float in [0, 1), entries d below this quantile of :math:`|d|` over all prototypes and stretches are not counted
    swing : float in [0, 1], an uncertain prototype has a swing at or above this quantile over the prototypes

    Returns
    -------
    DataFrame
        One row per prototype: ``prototype, changes, swing, uncertain``, uncertain ones first, then by swing.

    Raises
    ------
    TypeError, ValueError
        If the pair is no two of the classes, or a number is out of range.

    Notes
    -----
    Li et al. (2026) call such prototypes uncertain without a rule; this one is ours. It has no test against chance: effects that
    are pure noise change sign too, so compare with effects of shuffled images. Taught in chapter 17.
    """
    check.instance(effects, Effects, "effects")
    a, b = class_pair(pair, effects.beta.shape[2])
    check.number(min_changes, "min_changes", low=1, integer=True)
    check.number(active, "active", low=0, high=1, open_high=True)
    check.number(swing, "swing", low=0, high=1)
    d = effects.influence[:, :, a] - effects.influence[:, :, b]
    counted = np.where(np.abs(d) >= np.quantile(np.abs(d), active), d, 0.0)
    sizes = np.maximum(np.minimum(counted.max(axis=0), -counted.min(axis=0)), 0)
    changes = np.array([_sign_changes(one) for one in counted.T])
    uncertain = (changes >= min_changes) & (sizes >= np.quantile(sizes, swing)) & (sizes > 0)
    frame = pd.DataFrame({"prototype": np.arange(len(sizes)), "changes": changes, "swing": sizes, "uncertain": uncertain})
    return frame.sort_values(["uncertain", "swing"], ascending=False, kind="stable", ignore_index=True)


def curate(
    trace: Trace, prototypes: Any, pair: Any = None, *, rule: str = "share", share: float = 0.1, quantile: float = 0.9
) -> Curation:
    r"""The training images without those that contain certain prototypes.

    Parameters
    ----------
    trace : Trace of the training images
    prototypes : list of prototype numbers, the uncertain ones
    pair : two class numbers, or None
        Only images of these classes are left out; None leaves out images of any class.
    rule : {"share", "intensity"}
        An image contains a prototype if it fills a ``share`` of the places or more; or if its final intensity is above this
        ``quantile`` of the images that have it at all.
    share : float in (0, 1]
    quantile : float in (0, 1)

    Returns
    -------
    Curation

    Raises
    ------
    TypeError, ValueError
        If a prototype is unknown, or no image of some class would be left.

    Notes
    -----
    Li et al. (2026); what "contains" means is not stated, and almost every image has most prototypes at some place. Taught in
    chapter 17.
    """
    trace = traced(trace)
    chosen = np.unique(np.atleast_1d(check.positions(_given(prototypes), "prototypes", trace.P.shape[2], "prototype")))
    classes = None if pair is None else class_pair(pair, trace.Y.shape[2])
    check.one_of(rule, "rule", RULES)
    check.number(share, "share", low=0, high=1, open_low=True)
    check.number(quantile, "quantile", low=0, high=1, open_low=True, open_high=True)
    contains = trace.shares[:, chosen] >= share if rule == "share" else _intense(trace, chosen, quantile)
    out = np.asarray(contains.any(axis=1))
    if classes is not None:
        out &= np.isin(trace.labels, classes)
    for c in np.unique(trace.labels[out]):
        if out[trace.labels == c].all():
            raise ValueError(f"share and quantile leave no image of class {c}: raise them, or give fewer prototypes.")
    names = check.listed([f"P-{k}" for k in chosen], 40)
    return Curation(np.flatnonzero(~out), np.flatnonzero(out), f"contains {names} by {rule}")


def random_removal(curation: Curation, labels: Any, *, random_state: Any = 0) -> Curation:
    """A control: as many images of each class as the curation leaves out, drawn at random from all images.

    Parameters
    ----------
    curation : Curation to imitate
    labels : (N,) classes of all training images
    random_state : int, Generator or None

    Returns
    -------
    Curation

    Raises
    ------
    TypeError, ValueError
        If the labels are not those of the curation's images.

    Notes
    -----
    Without it a gain can not be attributed to the prototypes: fewer images may be enough. Taught in chapter 17.

    Examples
    --------
    >>> random_removal(Curation(np.arange(4), np.array([4, 5]), "demo"), [0, 1, 0, 1, 0, 0])
    Curation(4 images kept, 2 left out: at random)
    """
    y = _labels_of(curation, labels)
    return _removed_alike(curation, y, check.random_generator(random_state), "at random")


def matched_removal(curation: Curation, labels: Any, losses: Any, *, bins: int = 10, random_state: Any = 0) -> Curation:
    """A control: images of the same classes *and about the same loss* as those that the curation leaves out.

    Parameters
    ----------
    curation : Curation to imitate
    labels : (N,) classes of all training images
    losses : (N,) loss of each, such as ``trace.losses``
    bins : int, each class is cut into so many parts of equal size by loss; from each part as many images are drawn at random as
        the curation leaves out there
    random_state : int, Generator or None

    Returns
    -------
    Curation

    Raises
    ------
    TypeError, ValueError
        If labels and losses are not those of the curation's images.

    Notes
    -----
    Curated training may do no more than leave out what is hard. Images are drawn from all, those of the curation among them:
    where a part was left out almost wholly, the two overlap, which :meth:`Curation.overlap` tells. Taught in chapter 17.

    Examples
    --------
    >>> matched_removal(Curation(np.arange(4), np.array([4, 5]), "demo"), [0] * 6, [0, 1, 2, 3, 4, 5], bins=2).removed >= 3
    array([ True,  True])
    """
    y = _labels_of(curation, labels)
    loss = check.array(losses, "losses", ndim=1, length=len(y))
    check.number(bins, "bins", low=1, integer=True)
    rng = check.random_generator(random_state)
    part = np.empty(len(y), dtype=int)
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        rank = np.argsort(np.argsort(loss[rows], kind="stable"), kind="stable")
        part[rows] = c * bins + rank * bins // len(rows)
    return _removed_alike(curation, part, rng, f"at random, matched by loss in {bins} parts")


def protocol(
    model: nn.Module,
    images: Any,
    labels: Any,
    curation: Curation,
    losses: Any,
    test_images: Any,
    test_labels: Any,
    pair: Any,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    random_state: int = 0,
) -> pd.DataFrame:
    """Fine-tune one model in every arm and test each: full, curated, controls, one stage and two.

    Parameters
    ----------
    model : torch classifier, where every arm starts
    images, labels : the training images
    curation : Curation of them
    losses : (N,) loss of each, for the matched control
    test_images, test_labels : what every arm is tested on
    pair : two class numbers, whose confusions are counted
    epochs : int, passes over the images of each stage
    batch_size, learning_rate, weight_decay : as in :func:`~xailib.i2x.train`
    random_state : int, the order of the images, and what the controls leave out; one number is one repetition, paired over arms

    Returns
    -------
    DataFrame
        One row per arm of :data:`ARMS`: ``arm, accuracy, confusions, n_first, updates``, images of the first stage and updates
        of the weights in all. Arms that begin alike share their first stage.

    Raises
    ------
    TypeError, ValueError
        If the curation does not belong to the images, or as :func:`~xailib.i2x.fine_tune`.

    Notes
    -----
    Li et al. (2026), with two controls that the paper lacks. An epoch of fewer images is fewer updates, so compare "curated" with
    "random" and "matched", not with "full". Taught in chapter 17.
    """
    settings: dict[str, Any] = {"batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay}
    check_settings(model, **settings)
    check.number(epochs, "epochs", low=1, integer=True)
    seed = check.number(random_state, "random_state", low=0, integer=True)
    x, x_test = check.images(images), check.images(test_images, "test_images")
    y, y_test = class_labels(labels, len(x)), class_labels(test_labels, len(x_test), "test_labels", "test images")
    pair = class_pair(pair, int(max(y.max(), y_test.max())) + 1)
    sets = {
        "full": np.arange(len(x)),
        "curated": _imitable(curation, len(x)).kept,
        "random": random_removal(curation, y, random_state=seed).kept,
        "matched": matched_removal(curation, y, losses, random_state=seed).kept,
    }
    tuned: dict[str, nn.Module] = {}
    for arm, stages in ARMS.items():
        if len(stages) == 2:  # the arm of one stage is its beginning
            rows = [sets[stage] for stage in stages]
            tuned[stages[0]], tuned[arm] = fine_tune(model, x, y, rows, epochs=epochs, **settings, random_state=seed)
    return pd.DataFrame(
        [{"arm": arm} | _tested(tuned[arm], x_test, y_test, pair) | _spent(arm, sets, epochs, batch_size) for arm in ARMS]
    )


def _tested(model: nn.Module, x: np.ndarray, y: np.ndarray, pair: tuple[int, int]) -> dict[str, float]:
    with undisturbed(model):
        predicted = class_scores(model, x, TEST_BATCH).argmax(axis=1)
    a, b = pair
    mixed = ((y == a) & (predicted == b)) | ((y == b) & (predicted == a))
    return {"accuracy": float((predicted == y).mean()), "confusions": int(mixed.sum())}


def _spent(arm: str, sets: Mapping[str, np.ndarray], epochs: int, batch_size: int) -> dict[str, int]:
    """What an arm has seen: images in the first stage, updates of the weights in all."""
    sizes = [len(sets[stage]) for stage in ARMS[arm]]
    return {"n_first": sizes[0], "updates": epochs * sum(n // min(batch_size, n) for n in sizes)}


# --- removal ----------------------------------------------------------------------------------------------------------


def _intense(trace: Trace, chosen: np.ndarray, quantile: float) -> np.ndarray:
    """(N, m) bool, whether the final intensity is in the upper tail of the images that have the prototype."""
    P = np.where(trace.present, trace.P[-1], np.nan)[:, chosen]
    limits = [np.nanquantile(column, quantile) if np.isfinite(column).any() else np.inf for column in P.T]
    return np.asarray(np.greater(P, limits))  # NaN, absent, is above nothing


def _removed_alike(curation: Curation, part: np.ndarray, rng: np.random.Generator, rule: str) -> Curation:
    """From each part as many images at random as the curation leaves out of it."""
    out = np.zeros(len(part), dtype=bool)
    for p, count in zip(*np.unique(part[curation.removed], return_counts=True), strict=True):
        out[rng.choice(np.flatnonzero(part == p), count, replace=False)] = True
    return Curation(np.flatnonzero(~out), np.flatnonzero(out), rule)


def _sign_changes(d: np.ndarray) -> int:
    """How often the sign turns over, zeros left out."""
    signs = np.sign(d[d != 0])
    return int((signs[1:] != signs[:-1]).sum())


# --- arguments --------------------------------------------------------------------------------------------------------


def _two_labelings(predicted: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.shape(predicted)[:1], np.shape(labels)[:1]
    if len(set(sizes)) > 1 or sizes[0] in ((), (0,)):
        raise ValueError(
            f"predicted and labels must hold one class number per image each, not {check.shown(predicted, 40)} and "
            f"{check.shown(labels, 40)}."
        )
    n = sizes[0][0]
    return class_labels(predicted, n, "predicted"), class_labels(labels, n)


def _given(prototypes: Any) -> Any:
    if prototypes is None:
        raise TypeError("prototypes must be a list of prototype numbers, not None.")
    return prototypes


def _imitable(curation: Any, n: int) -> Curation:
    check.instance(curation, Curation, "curation")
    if len(curation.kept) + len(curation.removed) != n:
        raise ValueError(
            f"curation must be one of the {n} training images, but divides {len(curation.kept) + len(curation.removed)}."
        )
    return curation


def _labels_of(curation: Any, labels: Any) -> np.ndarray:
    check.instance(curation, Curation, "curation")
    return class_labels(labels, len(curation.kept) + len(curation.removed))
