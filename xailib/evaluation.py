"""Scores for explanations: where a map points, how much of it lies on the truth, and what deleting its favourites does.

A map without positive values says nothing, and scores what a blank map would: the share of the picture that the mask covers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from xailib import _validation as check
from xailib.models import BATCH_ROWS, batched
from xailib.results import DeletionCurve, Heatmap

#: small networks are fastest on a CPU in calls of some hundred images
IMAGES_PER_CALL = 256

__all__ = [
    "activation_consistency",
    "activation_precision",
    "activation_sensitivity",
    "deletion_curve",
    "iou",
    "mean_interval",
    "patch_deletion",
    "pointing_game",
    "rank_agreement",
    "relevance_mass",
    "resampling_effects",
    "topk_localisation",
]


def pointing_game(maps: Heatmap | np.ndarray, masks: np.ndarray) -> np.ndarray:
    r"""Does the largest value of each map lie inside its mask?

    .. math:: \mathrm{hit} = \frac{|\{p \in \mathrm{mask}: M_p = \max M\}|}{|\{p: M_p = \max M\}|}

    Parameters
    ----------
    maps : Heatmap, or array (n, height, width); a Heatmap is up-sampled to image resolution first
    masks : boolean array (n, height, width), or (height, width) for all maps; true where the evidence is

    Returns
    -------
    array, shape (n,)
        1 for a hit, 0 for a miss; pixels that share the maximum share the point.

    Raises
    ------
    ValueError
        If shapes differ, or a mask is empty or covers the whole picture.

    Notes
    -----
    Zhang et al. (2018), without the tolerance of 15 pixels. Taught in chapters 0 and 8.

    Examples
    --------
    >>> pointing_game(np.array([[[0.1, 0.9], [0.3, 0.2]]]), np.array([[[False, True], [False, False]]]))
    array([1.])
    """
    M, mask = _maps_and_masks(maps, masks)
    top = M.max(axis=(1, 2), keepdims=True) == M
    return (top & mask).sum(axis=(1, 2)) / top.sum(axis=(1, 2))


def iou(maps: Heatmap | np.ndarray, masks: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    r"""Overlap of the thresholded map with the mask: intersection over union.

    .. math:: \mathrm{IoU} = \frac{|S \cap \mathrm{mask}|}{|S \cup \mathrm{mask}|}, \qquad S = \{p: M_p \ge \tau \max M\}

    Parameters
    ----------
    maps, masks : as in :func:`pointing_game`
    threshold : float in (0, 1], share of each map's own maximum

    Returns
    -------
    array, shape (n,), from 0 to 1

    Raises
    ------
    ValueError
        As :func:`pointing_game`, and if the threshold is outside (0, 1].

    Notes
    -----
    The number depends on the threshold as much as on the map: report a curve. Taught in chapters 0 and 8.

    Examples
    --------
    >>> iou(np.array([[[0.1, 0.9], [0.5, 0.2]]]), np.array([[[False, True], [False, False]]]), threshold=0.5)
    array([0.5])
    """
    check.number(threshold, "threshold", low=0, high=1, open_low=True)
    M, mask = _maps_and_masks(maps, masks)
    M = _positive_or_blank(M)
    chosen = threshold * M.max(axis=(1, 2), keepdims=True) <= M
    return (chosen & mask).sum(axis=(1, 2)) / (chosen | mask).sum(axis=(1, 2))


def relevance_mass(maps: Heatmap | np.ndarray, masks: np.ndarray) -> np.ndarray:
    r"""Share of a map's positive relevance that lies inside the mask.

    .. math:: \frac{\sum_{p \in \mathrm{mask}} \max(M_p, 0)}{\sum_p \max(M_p, 0)}

    Parameters
    ----------
    maps, masks : as in :func:`pointing_game`

    Returns
    -------
    array, shape (n,), from 0 to 1

    Raises
    ------
    ValueError
        As :func:`pointing_game`.

    Notes
    -----
    Arras, Osman & Samek (2022). With the background as the mask it is a detector of shortcuts. Taught in chapters 0 and 8.

    Examples
    --------
    >>> relevance_mass(np.array([[[1.0, 3.0], [-5.0, 0.0]]]), np.array([[[False, True], [False, False]]]))
    array([0.75])
    """
    M, mask = _maps_and_masks(maps, masks)
    M = _positive_or_blank(M)
    return (M * mask).sum(axis=(1, 2)) / M.sum(axis=(1, 2))


def activation_precision(maps: Heatmap | np.ndarray, masks: np.ndarray) -> np.ndarray:
    r"""How much of what a map highlights is annotated.

    .. math:: \frac{\sum_p S_p M_p}{\sum_p S_p}, \qquad S = \text{min-max}\big(\mathrm{ReLU}(\text{map})\big) \in [0, 1]

    Parameters
    ----------
    maps, masks : as in :func:`pointing_game`

    Returns
    -------
    array, shape (n,), from 0 to 1; 0 for a map without positive values

    Raises
    ------
    ValueError, TypeError
        As :func:`pointing_game`.

    Notes
    -----
    Djoumessi et al. (2025), eq. 6. It equals :func:`relevance_mass` wherever the map has a value that is not positive; a map that
    says nothing scores 0 here, as in the paper. A Heatmap is up-sampled bilinearly, where the paper's code uses bicubic
    interpolation, which overshoots: beside a negative peak it makes positive evidence that no network has given. Taught
    in chapter 14.

    Examples
    --------
    >>> activation_precision(np.array([[[1.0, 3.0], [-5.0, 0.0]]]), np.array([[[False, True], [False, False]]]))
    array([0.75])
    """
    M, mask = _maps_and_masks(maps, masks)
    S = _between_0_and_1(M)
    total = S.sum(axis=(1, 2))
    return np.divide((S * mask).sum(axis=(1, 2)), total, out=np.zeros(len(S)), where=total > 0)


def activation_sensitivity(maps: Heatmap | np.ndarray, masks: np.ndarray) -> np.ndarray:
    r"""How much of what is annotated a map highlights, and how strongly.

    .. math:: \frac{\sum_p S_p M_p}{\sum_p M_p}, \qquad S = \text{min-max}\big(\mathrm{ReLU}(\text{map})\big) \in [0, 1]

    Parameters
    ----------
    maps, masks : as in :func:`pointing_game`

    Returns
    -------
    array, shape (n,), from 0 to 1; 0 for a map without positive values

    Raises
    ------
    ValueError, TypeError
        As :func:`pointing_game`.

    Notes
    -----
    Djoumessi et al. (2025), eq. 7. A map that is bright nearly everywhere comes near 1: read it beside
    :func:`activation_precision`. Taught in chapter 14.

    Examples
    --------
    >>> activation_sensitivity(np.array([[[2.0, 4.0], [-5.0, 0.0]]]), np.array([[[True, True], [False, False]]]))
    array([0.75])
    """
    M, mask = _maps_and_masks(maps, masks)
    return (_between_0_and_1(M) * mask).sum(axis=(1, 2)) / mask.sum(axis=(1, 2))


def activation_consistency(maps: Heatmap | np.ndarray, positive: Any) -> np.ndarray:
    r"""Share of places where the evidence has the sign of the truth: above 0 where the class is there, below 0 where it is not.

    .. math:: r^+ = \frac{|\{ij: A^{ij} > 0\}|}{hw}, \qquad r^- = \frac{|\{ij: A^{ij} < 0\}|}{hw}

    Parameters
    ----------
    maps : Heatmap, or array (n, h, w), at the method's own resolution; all of one class, the disease
    positive : boolean array (n,), true for images of the class

    Returns
    -------
    array, shape (n,)
        :math:`r^+` for images of the class and :math:`r^-` for the others.

    Raises
    ------
    TypeError, ValueError
        If ``positive`` is not one boolean per map.

    Notes
    -----
    Djoumessi et al. (2025). Small lesions cover few places, so a good map of a sick eye has a small :math:`r^+`; only
    :math:`r^-` is better when larger. Maps that are zero agree with neither. Taught in chapter 14.

    Examples
    --------
    >>> A = np.array([[[1.0, -1.0], [-1.0, -1.0]], [[-1.0, -2.0], [0.0, -1.0]]])
    >>> activation_consistency(A, np.array([True, False]))
    array([0.25, 0.75])
    """
    A = check.array(maps.values if isinstance(maps, Heatmap) else maps, "maps", ndim=3)
    truth = np.asarray(positive)
    if truth.dtype != bool or truth.shape != (len(A),):
        raise ValueError(f"positive must hold one True or False for each of the {len(A)} maps, not {check.shown(positive)}.")
    right = np.where(truth[:, None, None], A > 0, A < 0)
    return right.mean(axis=(1, 2))


def topk_localisation(
    maps: Heatmap | np.ndarray, masks: np.ndarray, *, k: int = 10, patch: int | None = None, threshold: float = 0.0
) -> np.ndarray:
    r"""Of the patches that a map likes best, how many show something annotated?

    .. math:: \mathrm{precision}(j) = \frac{\sum_i |\{\text{hits among the best } j \text{ patches of image } i\}|}
        {\sum_i |\{\text{best } j \text{ patches of image } i \text{ above the threshold}\}|}

    Parameters
    ----------
    maps, masks : as in :func:`pointing_game`
    k : int, the largest number of patches per image
    patch : int or None
        Side of the square patches in pixels, which lie side by side without overlap. None scales the paper's 33 of 512 pixels
        to the image: 6 pixels at 96.
    threshold : float, a patch counts if the largest value in it is above this

    Returns
    -------
    array, shape (k,)
        Pooled precision of the best 1, 2, ..., k patches; NaN if no patch of any image is above the threshold.

    Raises
    ------
    ValueError, TypeError
        As :func:`pointing_game`, and if ``k`` or ``patch`` does not fit the image.

    Notes
    -----
    Djoumessi et al. (2025), with tiles scored by their largest value. A hit is a patch with any annotated pixel. Masks here
    are boolean: the released code turns numbers into whole ones, so that a mask of 0.99 becomes 0. Taught in chapter 14.

    Examples
    --------
    >>> maps = np.array([[[9.0, 0.0, 5.0, 0.0]]])
    >>> topk_localisation(maps, maps == 5, k=2, patch=1)
    array([0. , 0.5])
    """
    M, mask = _maps_and_masks(maps, masks)
    side = _patch_side(patch, M.shape[1:])
    check.number(threshold, "threshold")
    best = _tiles(M, side).max(axis=2)
    check.number(k, "k", low=1, high=best.shape[1], integer=True)
    order = np.argsort(-best, axis=1, kind="stable")[:, :k]
    counted = np.take_along_axis(best, order, axis=1) > threshold
    hit = np.take_along_axis(_tiles(mask.astype(float), side).max(axis=2) > 0, order, axis=1) & counted
    hits, patches = (np.cumsum(a.sum(axis=0)) for a in (hit, counted))
    return np.divide(hits, patches, out=np.full(k, np.nan), where=patches > 0)


def patch_deletion(
    predict: Callable[[np.ndarray], np.ndarray],
    images: Any,
    maps: Heatmap | np.ndarray,
    target: Any,
    *,
    k: int = 30,
    patch: int | None = None,
    baseline: Any = 0.0,
    score: str = "accuracy",
    batch_rows: int = IMAGES_PER_CALL,
) -> DeletionCurve:
    r"""Cover the patches that a map likes best, one after the other, and watch whether the class survives.

    .. math:: s_j = \mathbf 1[\arg\max p(x_j) = t] \quad\text{or}\quad s_j = \frac{\min(p_t(x_0),\, p_t(x_j))}{p_t(x_0)}

    Parameters
    ----------
    predict : function, (m, channels, height, width) -> (m, c) class scores or probabilities
    images : array (n, channels, height, width)
    maps : as in :func:`pointing_game`
    target : int or (n,) ints, the class to follow
    k : int, how many patches to cover
    patch : int or None, as in :func:`topk_localisation`
    baseline : float or array that broadcasts to the images, what covers a patch; the paper takes the mean colour
    score : {"accuracy", "confidence"}
        Whether the class is still predicted, or the share of its probability that is left (``predict`` gives probabilities).
    batch_rows : int, images per model call

    Returns
    -------
    DeletionCurve
        ``fractions`` are those of the k patches, 0 to 1, and ``scores`` (n, k + 1); ``area()`` is smaller when the patches that
        matter went first.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or the target is no column of the predictions.

    Notes
    -----
    Djoumessi et al. (2025), the AUDC. Their curves begin at 1 because only images that are classified correctly take part:
    leave the others out beforehand. Curves of different networks differ in the network too. Taught in chapter 14.

    Examples
    --------
    >>> images = np.array([[[[3.0, 1.0]]]])
    >>> def first_if_bright(x):
    ...     bright = x.sum(axis=(1, 2, 3)) > 2
    ...     return np.column_stack([bright, ~bright])
    >>> patch_deletion(first_if_bright, images, images[:, 0], 0, k=2, patch=1).scores.tolist()
    [[1.0, 0.0, 0.0]]
    """
    check.function(predict, "predict")
    check.one_of(score, "score", ["accuracy", "confidence"])
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    x = check.images(images)
    M = check.array(maps.upsample() if isinstance(maps, Heatmap) else maps, "maps", ndim=3)
    if M.shape != (len(x), *x.shape[2:]):
        raise ValueError(f"maps must have shape {(len(x), *x.shape[2:])} to match images of shape {x.shape}, not {M.shape}.")
    side, base, columns = _patch_side(patch, M.shape[1:]), _fitting_baseline(baseline, x), _columns(target, len(x))
    rank = _tile_rank(M, side)
    check.number(k, "k", low=1, high=int(rank.max()) + 1, integer=True)
    rows = [np.where(rank[:, None] < j, base, x).astype(x.dtype) for j in range(k + 1)]
    answers = [batched(predict, row, batch_rows=batch_rows) for row in rows]
    return DeletionCurve(np.linspace(0, 1, k + 1), _survival(answers, columns, score), "best patches first")


def deletion_curve(
    predict: Callable[[np.ndarray], np.ndarray],
    X: Any,
    relevance: Heatmap | np.ndarray,
    *,
    baseline: Any = 0.0,
    target: Any = None,
    steps: int = 20,
    least_first: bool = False,
    batch_rows: int | None = None,
) -> DeletionCurve:
    r"""Replace the most relevant features, or pixels, by a baseline, more and more of them, and watch the prediction.

    .. math:: s_k = f(x \text{ with its } \lceil k d / K \rceil \text{ most relevant of } d \text{ features replaced by } b)

    Parameters
    ----------
    predict : function, (m, ...) -> (m,), or (m, k) together with ``target``
    X : array, shape (n, p) for features or (n, channels, height, width) for images
    relevance : array (n, p), or array (n, height, width) or Heatmap for images (a pixel goes in all channels at once)
    baseline : float or array that broadcasts to ``X``: what stands in for a deleted value
    target : int, (n,) ints or None, the column of ``predict`` to follow
    steps : int, deletions after the first point; the last one leaves only the baseline
    least_first : bool, start with the least relevant instead
    batch_rows : int, rows per model call; by default 50,000 for tables and 256 for images

    Returns
    -------
    DeletionCurve
        ``fractions`` (steps + 1,) and ``scores`` (n, steps + 1), the first of which are the untouched predictions.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit or the predictions are not one number per row.

    Notes
    -----
    Samek et al. (2017). Compare with the curve of a random ranking. A deleted pixel is replaced, not absent: what replaces it
    decides the curve. Taught in chapters 0 and 18.

    Examples
    --------
    >>> curve = deletion_curve(lambda X: X @ [3.0, 1.0, 2.0], np.ones((1, 3)), np.array([[3.0, 1.0, 2.0]]), steps=3)
    >>> curve.scores.tolist()
    [[6.0, 3.0, 1.0, 0.0]]
    """
    check.function(predict, "predict")
    check.number(steps, "steps", low=1, integer=True)
    check.flag(least_first, "least_first")
    if batch_rows is not None:
        check.number(batch_rows, "batch_rows", low=1, integer=True)
    x = check.array(X, "X", ndim=(2, 4))
    rank = _deletion_rank(x, relevance, least_first)
    base = _fitting_baseline(baseline, x)
    columns = None if target is None else _columns(target, len(x))
    batch_rows = batch_rows or (BATCH_ROWS if x.ndim == 2 else IMAGES_PER_CALL)
    counts = np.ceil(np.arange(steps + 1) * rank[0].size / steps).astype(int)
    scores = []
    for i in _blocks(len(x), max(1, batch_rows // (steps + 1))):
        rows = np.concatenate([np.where(rank[i] < k, base[i], x[i]) for k in counts])
        values = batched(predict, rows, batch_rows=batch_rows)
        scores.append(_follow(values, None if columns is None else columns[i]).reshape(steps + 1, -1).T)
    order = "least relevant first" if least_first else "most relevant first"
    return DeletionCurve(counts / rank[0].size, np.concatenate(scores), order)


def mean_interval(values: np.ndarray, *, level: float = 0.95) -> tuple[float, float, float]:
    r"""Mean of independent scores with its Student-t interval; give differences to compare two methods on the same images.

    .. math:: \bar v \pm t_{n-1} \, s / \sqrt{n}

    Parameters
    ----------
    values : array, shape (n,), n >= 2
    level : float in (0, 1)

    Returns
    -------
    (mean, lower, upper)

    Raises
    ------
    ValueError
        If there are fewer than two values.

    Notes
    -----
    Taught in chapter 0.

    Examples
    --------
    >>> [round(float(v), 3) for v in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484]
    """
    from scipy import stats

    check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
    v = check.array(values, "values", ndim=1)
    if len(v) < 2:
        raise ValueError("values must hold at least two scores: one score has no spread.")
    half = stats.t.ppf((1 + level) / 2, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v))
    return float(v.mean()), float(v.mean() - half), float(v.mean() + half)


def resampling_effects(
    predict: Callable[[Any], np.ndarray], X: Any, background: Any, *, batch_rows: int = BATCH_ROWS
) -> np.ndarray:
    r"""What each value of a row is worth to a model, found by intervention: replace that value alone by those of other rows.

    .. math:: e_{ij} = f(x_i) - \frac{1}{m} \sum_{k=1}^{m} f(x_{i1}, \dots, z_{kj}, \dots, x_{ip})

    Parameters
    ----------
    predict : function, (n, p) -> (n,)
    X : DataFrame or array (n, p), the rows to explain
    background : like X with m rows z, where replacements come from
    batch_rows : int, rows per model call

    Returns
    -------
    array, shape (n, p), in units of the prediction

    Raises
    ------
    TypeError, ValueError
        If the tables do not have the same columns, or the model does not return one number per row.

    Notes
    -----
    Exact for a given background: the experiment itself, not an estimate of it. It is what the course means by "the model's own
    truth" where no mechanism is known. It moves one feature at a time, so a feature that only works together with another one
    shows what it does in the company of this row. Taught in chapter 0.

    Examples
    --------
    >>> resampling_effects(lambda X: X @ [2.0, 1.0], np.array([[3.0, 5.0]]), np.array([[0.0, 0.0], [2.0, 2.0]]))
    array([[4., 4.]])
    """
    check.function(predict, "predict")
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    x, z = pd.DataFrame(check.table(X)), pd.DataFrame(check.table(background, "background"))
    if list(x.columns) != list(z.columns):
        raise ValueError("background must have the same columns as X, in the same order.")
    untouched = batched(predict, X, batch_rows=batch_rows, width=1)
    repeated = x.iloc[np.repeat(np.arange(len(x)), len(z))].reset_index(drop=True)
    effects = np.empty(x.shape)
    for j, column in enumerate(x.columns):
        donors = pd.concat([z[column]] * len(x), ignore_index=True)
        rows = repeated.copy()
        rows[column] = donors
        answers = batched(predict, rows if isinstance(X, pd.DataFrame) else rows.to_numpy(), batch_rows=batch_rows, width=1)
        effects[:, j] = untouched - answers.reshape(len(x), len(z)).mean(axis=1)
    return effects


def rank_agreement(values: np.ndarray, truth: np.ndarray, *, signed: bool = True) -> np.ndarray:
    r"""Spearman rank correlation of each row of an explanation with its truth.

    .. math:: \rho_i = \mathrm{corr}(\mathrm{rank}(v_i), \mathrm{rank}(t_i))

    Parameters
    ----------
    values, truth : arrays (n, p), p >= 2
    signed : bool; False compares sizes only, and then a list that ignores the instance can score well

    Returns
    -------
    array, shape (n,), from -1 to 1; 0 for a row that ranks nothing (all values equal)

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Ties share their mean rank. Taught in chapter 0.

    Examples
    --------
    >>> rank_agreement(np.array([[0.5, -0.2, 0.1]]), np.array([[3.0, -1.0, 0.0]]))
    array([1.])
    """
    from scipy.stats import rankdata

    check.flag(signed, "signed")
    v, t = check.array(values, "values", ndim=2), check.array(truth, "truth", ndim=2)
    if v.shape != t.shape or v.shape[1] < 2:
        raise ValueError(f"values and truth must have the same shape with two columns or more, not {v.shape} and {t.shape}.")
    ranks = [rankdata(a if signed else np.abs(a), axis=1) for a in (v, t)]
    a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0)


def _maps_and_masks(maps: Heatmap | np.ndarray, masks: Any) -> tuple[np.ndarray, np.ndarray]:
    """Maps (n, height, width) at the masks' resolution, and boolean masks of the same shape."""
    M = check.array(maps.upsample() if isinstance(maps, Heatmap) else maps, "maps", ndim=3)
    mask = np.asarray(masks)
    if mask.dtype != bool:
        raise TypeError(f"masks must be boolean, not {mask.dtype}: compare with a threshold first, as in masks > 0.")
    if mask.shape not in (M.shape, M.shape[1:]):
        raise ValueError(f"masks must have the shape of the maps, {M.shape}, or of one of them, not {mask.shape}.")
    mask = np.broadcast_to(mask, M.shape)
    covered = mask.mean(axis=(1, 2))
    if ((covered == 0) | (covered == 1)).any():
        bad = int(np.flatnonzero((covered == 0) | (covered == 1))[0])
        raise ValueError(f"mask {bad} is {'empty' if covered[bad] == 0 else 'full'}, so every map scores the same: leave it out.")
    return M, mask


def _between_0_and_1(M: np.ndarray) -> np.ndarray:
    """Positive part of each map, from its smallest value as 0 to its largest as 1; a map without contrast becomes 0."""
    S = np.maximum(M, 0)
    S = S - S.min(axis=(1, 2), keepdims=True)
    largest = S.max(axis=(1, 2), keepdims=True)
    return np.divide(S, largest, out=np.zeros_like(S), where=largest > 0)


def _patch_side(patch: Any, shape: tuple[int, ...]) -> int:
    """Side of a patch; 33 pixels of 512 unless given."""
    if patch is None:
        return max(1, round(min(shape) * 33 / 512))
    return int(check.number(patch, "patch", low=1, high=min(shape), integer=True))


def _tiles(M: np.ndarray, side: int) -> np.ndarray:
    """Maps (n, height, width) cut into tiles, (n, tiles, side * side); tiles over the edge are filled up with its last pixels."""
    n, height, width = M.shape
    padded = np.pad(M, ((0, 0), (0, -height % side), (0, -width % side)), mode="edge")
    rows, columns = padded.shape[1] // side, padded.shape[2] // side
    return padded.reshape(n, rows, side, columns, side).swapaxes(2, 3).reshape(n, rows * columns, side * side)


def _tile_rank(M: np.ndarray, side: int) -> np.ndarray:
    """For every pixel the place of its tile in the order of deletion, 0 first, (n, height, width)."""
    n, height, width = M.shape
    order = np.argsort(-_tiles(M, side).max(axis=2), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable").reshape(n, -(-height // side), -(-width // side))
    return rank.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]


def _survival(answers: list[np.ndarray], columns: np.ndarray, score: str) -> np.ndarray:
    """What is left of each image's class after each deletion, (n, k + 1)."""
    P, rows = np.stack(answers), np.arange(len(columns))
    if P.ndim != 3 or columns.max() >= P.shape[2]:
        classes = "one column" if P.ndim != 3 else f"{P.shape[2]} columns"
        raise ValueError(f"target must be a column of the predictions, which have {classes}, not {columns.max()}.")
    if score == "accuracy":
        return (P.argmax(axis=2) == columns).T.astype(float)
    p = P[:, rows, columns]
    if (p < 0).any() or (p > 1).any() or (p[0] == 0).any():
        raise ValueError("predict must give probabilities, and more than 0 to the target, for score='confidence'.")
    return (np.minimum(p, p[0]) / p[0]).T


def _positive_or_blank(M: np.ndarray) -> np.ndarray:
    """Positive part of each map; a map without one becomes constant."""
    positive = np.maximum(M, 0)
    return np.where(positive.max(axis=(1, 2), keepdims=True) > 0, positive, 1.0)


def _deletion_rank(x: np.ndarray, relevance: Heatmap | np.ndarray, least_first: bool) -> np.ndarray:
    """Place in the order of deletion, 0 first, shaped (n, p) or (n, 1, height, width)."""
    values = check.array(relevance.upsample() if isinstance(relevance, Heatmap) else relevance, "relevance", ndim=(2, 3))
    wanted = x.shape if x.ndim == 2 else (len(x), *x.shape[2:])
    if values.shape != wanted:
        raise ValueError(f"relevance must have shape {wanted} to match X of shape {x.shape}, not {values.shape}.")
    flat = values.reshape(len(x), -1)
    order = np.argsort(flat if least_first else -flat, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return rank if x.ndim == 2 else rank.reshape(len(x), 1, *x.shape[2:])


def _fitting_baseline(baseline: Any, x: np.ndarray) -> np.ndarray:
    values = check.array(baseline, "baseline")
    try:
        return np.broadcast_to(values, x.shape)
    except ValueError:
        raise ValueError(
            f"baseline of shape {values.shape} does not fit X of shape {x.shape}: give a number or an array like X."
        ) from None


def _columns(target: Any, n: int) -> np.ndarray:
    """The column of the prediction to follow, one per instance."""
    columns = np.asarray(target)
    if columns.dtype.kind not in "iu" or columns.shape not in ((), (n,)) or (columns < 0).any():
        raise ValueError(f"target must be one column number, or one for each of the {n} rows of X, not {target!r}.")
    return np.broadcast_to(columns, n)


def _follow(values: np.ndarray, columns: np.ndarray | None) -> np.ndarray:
    """One score per row: the predictions themselves, or the column of each row's instance (instances repeat in order)."""
    values = values.reshape(len(values), -1)
    if columns is None and values.shape[1] > 1:
        raise ValueError(f"predict returns {values.shape[1]} columns: say which one to follow with target=.")
    columns = np.zeros(1, int) if columns is None else columns
    if columns.max() >= values.shape[1]:
        raise ValueError(f"target {columns.max()} is out of range: predict returns {values.shape[1]} columns.")
    return values[np.arange(len(values)), np.resize(columns, len(values))]


def _blocks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
