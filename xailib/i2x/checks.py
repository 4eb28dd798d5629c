"""Is it so? How many prototypes there should be, and whether the map from attention to confidence is linear, and causal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import KFold
from torch import nn

from xailib import _validation as check
from xailib._networks import class_scores, require_network, undisturbed
from xailib._progress import progress
from xailib.evaluation import mean_interval, rank_agreement
from xailib.i2x._inputs import class_labels, interval
from xailib.i2x.explanation import Effects, solve_ridge, traced
from xailib.i2x.prototypes import BATCH_SIZE, Prototypes, assign, coordinates, find_prototypes, k_means, nearest_centres
from xailib.i2x.tracing import Source, Trace, count_classes, looking, mean_attention, passes, softmax
from xailib.i2x.training import Checkpoints

__all__ = ["Agreement", "Occlusion", "causal_check", "choose_n_prototypes", "linearity", "occlude"]

CANDIDATES = (4, 8, 16, 32, 64, 128)
#: the flexible part of the check of linearity: small trees can not fit noise, so a gain is worth something
TREES, LEAST_LEAF = 30, 20
GUESSES = ("ridge", "intercept", "flexible", "label_only", "presence_only")
FILL = "mean"
Folds = list[tuple[np.ndarray, np.ndarray]]
"""Images to fit to, images to judge on."""


def choose_n_prototypes(
    checkpoints: Checkpoints,
    images: Any,
    labels: Any,
    layer: str | nn.Module,
    *,
    candidates: Sequence[int] = CANDIDATES,
    folds: int = 5,
    max_images: int = 2000,
    alpha: float = 1.0,
    source: Source = "gradcam",
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> pd.DataFrame:
    r"""How many prototypes: the fewest that tell images of one class apart about as well as the best number does.

    .. math:: K^* = \min\{K : R^2_K \ge R^2_{\hat K} - \mathrm{SE}_{\hat K}\}, \quad \hat K = \arg\max_K R^2_K, \qquad
        R^2 = 1 - \frac{\sum_t \| \widetilde{dY}{}^t - \widetilde{dP}{}^t \beta^t \|^2}{\sum_t \| \widetilde{dY}{}^t \|^2}

    Parameters
    ----------
    checkpoints : Checkpoints
    images : array or tensor (n, channels, height, width)
    labels : (n,) true classes
    layer : dotted name, or module of ``checkpoints.model``
    candidates : increasing whole numbers of at least 2, values of K to try
    folds : int, means and ridge are fitted without each fold of the images and judged on it
    max_images : int, more images than this are sampled
    alpha, source : as in :func:`~xailib.i2x.explain` and :func:`~xailib.i2x.trace`
    random_state : int, Generator or None, images, folds and starts of k-means
    batch_size : int, images per model call

    Returns
    -------
    DataFrame
        One row per candidate: ``n_prototypes, r2, standard_error, stability, chosen``. A choice at an end of the candidates says
        that they do not reach far enough. Stability is for information: the adjusted Rand index of the assignments by k-means of
        two halves of the images, 1 for the same and 0 for unrelated prototypes.

    Raises
    ------
    TypeError, ValueError
        If a candidate is larger than the number of images, or as :func:`~xailib.i2x.trace`.

    Notes
    -----
    Ours: the paper sets K by hand. Changes are taken minus the mean change of their class (the tilde): without that, finer
    prototypes always do better, because which of them an image has gives its class away. The rule is that of one standard error
    (Breiman et al. 1984); it asks what prototypes are for, and not how round the clusters are. One pass over the images at every
    checkpoint serves all candidates. K-means sees the features of all images, never their confidences. Taught in chapter 17.
    """
    look = looking(checkpoints, layer, source, True, False, "layer")
    x = check.images(images)
    y = class_labels(labels, len(x))
    sizes = _candidates(candidates, min(len(x), check.number(max_images, "max_images", low=4, integer=True)))
    check.number(folds, "folds", low=2, high=min(len(x), max_images), integer=True)
    check.number(alpha, "alpha", low=0, open_low=True)
    check.number(batch_size, "batch_size", low=1, integer=True)
    rng = check.random_generator(random_state)
    if len(x) > max_images:
        rows = np.sort(rng.choice(len(x), max_images, replace=False))
        x, y = x[rows], y[rows]
    count_classes(checkpoints, x, labels=y)
    maps, Y, Z = _seen_once(checkpoints, x, y, look, batch_size)
    held_out = list(KFold(folds, shuffle=True, random_state=int(rng.integers(2**31))).split(x))
    rows_of = [_one_size(Z, maps, Y, y, K, held_out, alpha, rng) for K in progress(sizes, len(sizes), "values of K")]
    return _with_choice(pd.DataFrame(rows_of))


def linearity(
    trace: Trace,
    *,
    model: Any = None,
    alpha: float = 1.0,
    folds: int = 5,
    max_rows: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    r"""Is the map from changes of attention to changes of confidence linear, and is it about changes of attention at all?

    .. math:: \text{gain} = R^2\big[dP \beta + b + g(dP)\big] - R^2\big[dP \beta + b\big], \qquad
        g \text{ fitted to } dY - dP \beta - b

    Parameters
    ----------
    trace : Trace
    model : scikit-learn regressor of several outputs, g; default a random forest with large leaves
    alpha : float above 0, as in :func:`~xailib.i2x.ridge`
    folds : int, everything is fitted without each fold of the images and judged on it
    max_rows : int, more images than this are sampled
    random_state : int

    Returns
    -------
    DataFrame
        One row for each stretch and one for ``"all"``: ``interval, ridge, intercept, flexible, gain, low, high,
        label_only, presence_only``. ``ridge`` is the paper's formula, ``intercept`` adds b, ``flexible`` adds g: held-out R2
        against the mean change. ``gain`` is flexible minus intercept, with its 95 % interval over the folds (they share images,
        so it is too narrow). Two controls know nothing of attention: ``label_only`` each image's class, ``presence_only`` which
        prototypes it has, by a ridge with an intercept.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the model is no regressor.

    Notes
    -----
    Ours. The flexible model contains the linear one: a gain above 0 says that a line misses something, a gain of 0 that this
    model found nothing more. A ridge no better than ``presence_only`` says that its beta may be about what is in an image, and
    not about how attention to it changed. Taught in chapter 17.
    """
    trace = traced(trace)
    flexible = _regressor(model, random_state)
    check.number(alpha, "alpha", low=0, open_low=True)
    check.number(max_rows, "max_rows", low=4, integer=True)
    check.number(folds, "folds", low=2, high=min(len(trace.labels), max_rows), integer=True)
    seed = check.number(random_state, "random_state", low=0, integer=True)
    rng = np.random.default_rng(seed)
    n = len(trace.labels)
    rows = np.arange(n) if n <= max_rows else np.sort(rng.choice(n, max_rows, replace=False))
    held_out = list(KFold(folds, shuffle=True, random_state=seed).split(rows))
    steps = range(trace.n_intervals)
    errors = np.stack(
        [
            _errors(trace.dP(t)[rows], trace.dY(t)[rows], trace.labels[rows], trace.present[rows], held_out, alpha, flexible)
            for t in progress(steps, len(steps), "stretches")
        ]
    )
    return pd.DataFrame(
        [{"interval": t} | _summary(errors[t]) for t in steps] + [{"interval": "all"} | _summary(errors.sum(axis=0))]
    )


@dataclass(frozen=True, eq=False)
class Occlusion:
    r"""What happens to the confidences when the places of one prototype are covered.

    Attributes
    ----------
    drop : (K, C), confidence before minus after, mean over images; NaN for a prototype that no image has
    control : (K, C), the same for a region of the same shape elsewhere in the image
    std_errors : (K, C), of ``effect``, over images; NaN below two images
    n_images : (K,), images that were covered for each prototype
    area : (K,), share of the pixels that were covered
    """

    drop: np.ndarray
    control: np.ndarray
    std_errors: np.ndarray
    n_images: np.ndarray
    area: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        """(K, C), drop minus control: what these places are worth beyond being covered at all."""
        return self.drop - self.control

    def to_frame(self) -> pd.DataFrame:
        """Long form: prototype, label, drop, control, effect, std_error, n_images, area."""
        k, c = (index.ravel() for index in np.indices(self.drop.shape))
        columns = {"drop": self.drop, "control": self.control, "effect": self.effect, "std_error": self.std_errors}
        frame = pd.DataFrame({"prototype": k, "label": c} | {name: values.ravel() for name, values in columns.items()})
        return frame.assign(n_images=self.n_images[k], area=self.area[k])

    def __repr__(self) -> str:
        return f"Occlusion({(self.n_images > 0).sum()} prototypes covered in up to {self.n_images.max()} images each)"


def occlude(
    model: nn.Module,
    images: Any,
    prototypes: Prototypes,
    *,
    per_prototype: int = 50,
    fill: Any = FILL,
    grow_pixels: int = 0,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Occlusion:
    r"""Cover the places of each prototype and see how the confidences drop: an intervention, which attention is not.

    .. math:: \text{drop}_{kc} = \frac1{n_k} \sum_{i \ni k} \big( y_c(x_i) - y_c(x_i \text{ without } k) \big)

    Parameters
    ----------
    model : torch module, the final model
    images : array or tensor (n, channels, height, width), rather test images
    prototypes : Prototypes of one of its layers
    per_prototype : int, images per prototype, drawn at random from those that have it
    fill : "mean" or float, what covered pixels become: the mean of each channel over the images, or a number
    grow_pixels : int, regions are grown by so much on all sides; a place of the layer sees more than its own pixels
    random_state : int, Generator or None, which images, and where the control lies
    batch_size : int, images per model call

    Returns
    -------
    Occlusion

    Raises
    ------
    TypeError, ValueError
        If the prototypes belong to another network, or their layer has a single place.

    Notes
    -----
    Larger regions cost more confidence whatever is in them; the control is the same region moved elsewhere, over the edges if
    need be. A covered image is no image that the network has seen. Taught in chapter 17.
    """
    require_network(model)
    check.instance(prototypes, Prototypes, "prototypes")
    x = check.images(images)
    check.number(per_prototype, "per_prototype", low=1, integer=True)
    check.number(grow_pixels, "grow_pixels", low=0, integer=True)
    paint = _paint(fill, x)
    rng = check.random_generator(random_state)
    a = assign(model, x, prototypes, batch_size=batch_size)
    if a[0].size == 1:
        raise ValueError(f"prototypes are of layer {prototypes.layer!r}, which has a single place: nothing is left to compare.")
    K = prototypes.n_prototypes
    results = [
        _covered(model, x, a, k, paint, per_prototype, grow_pixels, rng, batch_size) for k in progress(range(K), K, "covered")
    ]
    n_classes = next(r[0].shape[1] for r in results if len(r[0]))
    return Occlusion(*(np.stack(column) for column in zip(*(_averaged(*r, n_classes) for r in results), strict=True)))


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well two rankings agree, with a bootstrap interval over prototypes.

    Attributes
    ----------
    rho : Spearman's rank correlation over all pairs of a prototype and a class
    low, high : the interval
    level : of the interval
    n_prototypes : prototypes that were compared
    described, measured : (n_prototypes, classes), what was compared
    """

    rho: float
    low: float
    high: float
    level: float
    n_prototypes: int
    described: np.ndarray
    measured: np.ndarray

    def __repr__(self) -> str:
        span = f"{self.level:.0%} interval {self.low:.2f} to {self.high:.2f}"
        return f"Agreement(rank correlation {self.rho:.2f}, {span}, {self.n_prototypes} prototypes)"


def causal_check(
    effects: Effects,
    occlusion: Occlusion,
    *,
    t: int | None = None,
    classes: Any = None,
    unit: str = "influence",
    control: bool = True,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: Any = 0,
) -> Agreement:
    r"""Does the explanation rank prototypes as the intervention does? Rank correlation of beta with the drop of confidence.

    .. math:: \rho = \mathrm{corr}\big(\mathrm{rank} \textstyle\sum_t \beta^t_{kc},\; \mathrm{rank}\; \text{effect}_{kc}\big)

    Parameters
    ----------
    effects : Effects
    occlusion : Occlusion of the same prototypes
    t : int or None, one stretch of training; None sums over all, what was learned in the end
    classes : list of class numbers or None, only these; None takes all
    unit : {"influence", "beta"}, per standard deviation or per unit of intensity
    control : bool, compare with drop minus control, or with the drop as it is
    level : float in (0, 1)
    n_resamples : int, bootstrap samples; prototypes are drawn, for the classes of one prototype hang together
    random_state : int, Generator or None

    Returns
    -------
    Agreement

    Raises
    ------
    TypeError, ValueError
        If the two have other prototypes or classes, or fewer than three prototypes were covered.

    Notes
    -----
    Ours. Attention and confidence change by the same updates of the weights, so beta may be large where nothing depends on the
    place. The interval holds for other prototypes of the same training; it knows nothing of other trainings. Taught in
    chapter 17.
    """
    check.instance(effects, Effects, "effects")
    check.instance(occlusion, Occlusion, "occlusion")
    if occlusion.drop.shape != effects.beta.shape[1:]:
        raise ValueError(
            f"occlusion must have the prototypes and classes of effects, {effects.beta.shape[1:]}, not {occlusion.drop.shape}."
        )
    check.one_of(unit, "unit", ["influence", "beta"])
    check.flag(control, "control")
    check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
    check.number(n_resamples, "n_resamples", low=1, integer=True)
    columns = np.atleast_1d(check.positions(classes, "classes", effects.beta.shape[2], "class"))
    rng = check.random_generator(random_state)
    values = effects.influence if unit == "influence" else effects.beta
    described = values.sum(axis=0) if t is None else values[interval(t, len(values))]
    covered = occlusion.n_images > 0
    if covered.sum() < 3:
        raise ValueError("occlusion covers fewer than three prototypes: there is nothing to rank.")
    measured = occlusion.effect if control else occlusion.drop
    a, b = described[covered][:, columns], measured[covered][:, columns]
    draws = rng.integers(len(a), size=(n_resamples, len(a)))
    low, high = np.quantile(_rank_correlation(a[draws], b[draws]), [(1 - level) / 2, (1 + level) / 2])
    return Agreement(float(_rank_correlation(a[None], b[None])[0]), float(low), float(high), float(level), len(a), a, b)


# --- the number of prototypes -----------------------------------------------------------------------------------------


def _seen_once(
    checkpoints: Checkpoints, x: np.ndarray, y: np.ndarray, look: Any, batch_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps (T + 1, n, h, w), confidences (T + 1, n, C) and the final features in PCA coordinates, (n, h w, r)."""
    space = find_prototypes(checkpoints.model, x, look.layer, 2, batch_size=batch_size)
    maps, Y, Z = [], [], []
    for t, rows, seen in passes(checkpoints, x, y, look, batch_size):
        maps.append(seen.maps)
        Y.append(softmax(seen.scores))
        if t == checkpoints.n_intervals:
            Z.append(coordinates(space, seen.features).reshape(rows.stop - rows.start, -1, len(space.axes)))
    I, confidences = (np.concatenate(parts).reshape(len(checkpoints.states), len(x), *parts[0].shape[1:]) for parts in (maps, Y))  # noqa: E741
    return I, confidences, np.concatenate(Z)


def _one_size(
    Z: np.ndarray,
    maps: np.ndarray,
    Y: np.ndarray,
    labels: np.ndarray,
    K: int,
    held_out: Folds,
    alpha: float,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Held-out R2 of K prototypes, its standard error over the folds, and how stable they are."""
    vectors = Z.reshape(-1, Z.shape[2])
    a = nearest_centres(vectors, k_means(vectors, K, rng)[0])[0].reshape(maps.shape[1:])
    P = np.stack([mean_attention(one, a, K)[0] for one in maps])
    r2 = [_within_classes(np.diff(P, axis=0), np.diff(Y, axis=0), labels, fit, test, alpha) for fit, test in held_out]
    error = np.std(r2, ddof=1) / np.sqrt(len(r2))
    return {"n_prototypes": K, "r2": np.mean(r2), "standard_error": error, "stability": _stability(Z, K, rng)}


def _within_classes(dP: np.ndarray, dY: np.ndarray, labels: np.ndarray, fit: np.ndarray, test: np.ndarray, alpha: float) -> float:
    """1 minus the error of ridge over that of the class means, all stretches together."""
    error = total = 0.0
    for changes in zip(dP, dY, strict=True):
        P, Y = (one - _class_means(one[fit], labels[fit], dY.shape[2])[labels] for one in changes)
        beta = solve_ridge(P[fit], Y[fit], alpha, np.ones(len(fit)))
        error, total = error + ((Y[test] - P[test] @ beta) ** 2).sum(), total + (Y[test] ** 2).sum()
    return 1 - error / total


def _stability(Z: np.ndarray, K: int, rng: np.random.Generator) -> float:
    """Adjusted Rand index of the assignments of all places by prototypes of two halves of the images."""
    order, vectors = rng.permutation(len(Z)), Z.reshape(-1, Z.shape[2])
    halves = np.array_split(order, 2)
    first, second = (nearest_centres(vectors, k_means(Z[h].reshape(-1, Z.shape[2]), K, rng)[0])[0] for h in halves)
    return float(adjusted_rand_score(first, second))


def _with_choice(frame: pd.DataFrame) -> pd.DataFrame:
    """The fewest prototypes within one standard error of the best."""
    best = frame.loc[frame["r2"].idxmax()]
    enough = frame["r2"] >= best["r2"] - best["standard_error"]
    return frame.assign(chosen=frame["n_prototypes"] == frame.loc[enough, "n_prototypes"].min())


def _candidates(candidates: Any, n: int) -> list[int]:
    a = np.asarray(candidates) if np.iterable(candidates) and not isinstance(candidates, str) else np.empty(0)
    if a.dtype.kind not in "iu" or a.ndim != 1 or not len(a) or (np.diff(a) <= 0).any() or a[0] < 2:
        raise ValueError(f"candidates must be increasing whole numbers of at least 2, not {check.shown(candidates)}.")
    if a[-1] > n:
        raise ValueError(f"candidates go up to {a[-1]}, but {n} images are looked at: give smaller numbers or more images.")
    return [int(K) for K in a]


# --- linearity --------------------------------------------------------------------------------------------------------


def _errors(
    dP: np.ndarray,
    dY: np.ndarray,
    labels: np.ndarray,
    present: np.ndarray,
    held_out: Folds,
    alpha: float,
    flexible: Any,
) -> np.ndarray:
    """(folds, 6) squared errors on held-out images: of the mean change, and of each of :data:`GUESSES`."""
    errors = []
    for fit, test in held_out:
        w, mean = np.ones(len(fit)), dY[fit].mean(axis=0)
        line = _affine(dP, dY, fit, alpha)
        rest = clone(flexible).fit(dP[fit], (dY - line)[fit]).predict(dP[test])
        guesses = (
            mean,
            dP[test] @ solve_ridge(dP[fit], dY[fit], alpha, w),
            line[test],
            line[test] + rest.reshape(len(test), -1),
            _class_means(dY[fit], labels[fit], dY.shape[1])[labels[test]],
            _affine(present.astype(float), dY, fit, alpha)[test],
        )
        errors.append([((dY[test] - guess) ** 2).sum() for guess in guesses])
    return np.array(errors)


def _affine(X: np.ndarray, dY: np.ndarray, fit: np.ndarray, alpha: float) -> np.ndarray:
    """What ridge with an intercept, fitted to some rows, says of all."""
    beta = solve_ridge(X[fit], dY[fit], alpha, np.ones(len(fit)), centre=True)
    return dY[fit].mean(axis=0) + (X - X[fit].mean(axis=0)) @ beta


def _class_means(values: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(C, m) mean of each class's rows; the overall one for a class without rows here."""
    mean = values.mean(axis=0)
    return np.stack([values[labels == c].mean(axis=0) if (labels == c).any() else mean for c in range(n_classes)])


def _summary(errors: np.ndarray) -> dict[str, float]:
    r2 = dict(zip(GUESSES, (1 - errors[:, 1:].sum(axis=0) / errors[:, 0].sum()).tolist(), strict=True))
    gain, low, high = mean_interval((errors[:, 2] - errors[:, 3]) / errors[:, 0])
    interval_of_gain = {"gain": gain, "low": low, "high": high}
    return {name: r2[name] for name in GUESSES[:3]} | interval_of_gain | {name: r2[name] for name in GUESSES[3:]}


def _regressor(model: Any, random_state: Any) -> Any:
    if model is None:
        check.number(random_state, "random_state", low=0, integer=True)
        return RandomForestRegressor(TREES, min_samples_leaf=LEAST_LEAF, max_features=1 / 3, random_state=random_state)
    if not (hasattr(model, "fit") and hasattr(model, "predict") and hasattr(model, "get_params")) or isinstance(model, type):
        raise TypeError(f"model must be a scikit-learn regressor or None, not {check.shown(model)}.")
    return model


# --- occlusion --------------------------------------------------------------------------------------------------------


def _covered(
    model: nn.Module,
    x: np.ndarray,
    a: np.ndarray,
    k: int,
    paint: np.ndarray,
    per_prototype: int,
    grow_pixels: int,
    rng: np.random.Generator,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drops (m, C) of m images, those of the control, and the share of pixels that were covered, (m,)."""
    rows = np.flatnonzero((a == k).any(axis=(1, 2)))
    rows = np.sort(rng.choice(rows, min(per_prototype, len(rows)), replace=False))
    if not len(rows):
        return np.empty((0, 0)), np.empty((0, 0)), np.empty(0)
    places = a[rows] == k
    elsewhere = np.stack([_moved(mask, rng) for mask in places])
    masks = [_pixels(m, x.shape[2:], grow_pixels) for m in (places, elsewhere)]
    stack = np.concatenate([x[rows], *(np.where(mask[:, None], paint, x[rows]) for mask in masks)])
    with undisturbed(model):
        before, without, control = np.split(softmax(class_scores(model, stack, batch_size)), 3)
    return before - without, before - control, masks[0].mean(axis=(1, 2))


def _moved(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same shape at another place, over the edges."""
    h, w = mask.shape
    return np.roll(mask, divmod(int(rng.integers(1, h * w)), w), axis=(0, 1))


def _pixels(places: np.ndarray, shape: tuple[int, ...], grow_pixels: int) -> np.ndarray:
    """Masks (m, h, w) of places as masks of pixels: each pixel belongs to the place it lies in."""
    row, column = (np.arange(size) * n // size for size, n in zip(shape, places.shape[1:], strict=True))
    masks = places[:, row][:, :, column]
    if not grow_pixels:
        return masks
    return binary_dilation(masks, np.ones((1, 3, 3), dtype=bool), iterations=grow_pixels)


def _averaged(drop: np.ndarray, control: np.ndarray, area: np.ndarray, C: int) -> tuple[Any, ...]:
    if not len(drop):
        return np.full(C, np.nan), np.full(C, np.nan), np.full(C, np.nan), 0, np.nan
    effect, m = drop - control, len(drop)
    error = effect.std(axis=0, ddof=1) / np.sqrt(m) if m > 1 else np.full(C, np.nan)
    return drop.mean(axis=0), control.mean(axis=0), error, m, area.mean()


def _paint(fill: Any, x: np.ndarray) -> np.ndarray:
    """What covered pixels become, (1, channels, 1, 1)."""
    if isinstance(fill, str) and fill == FILL:
        return x.mean(axis=(0, 2, 3), keepdims=True)
    if isinstance(fill, str):
        raise ValueError(f"fill must be 'mean' or a number, not {fill!r}.")
    return np.full((1, x.shape[1], 1, 1), check.number(fill, "fill"))


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rho of each row, (m, prototypes, classes) -> (m,); 0 where one side ranks nothing."""
    return rank_agreement(a.reshape(len(a), -1), b.reshape(len(b), -1))
