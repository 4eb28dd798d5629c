"""Prediction sets of CHiQPM that contain the truth as often as promised, and what they are compared with.

Split conformal prediction needs one thing: a score that was fixed before the calibration data came. The hierarchical score says
how far down the explanation a class stays beside the prediction. How many levels a set may leave open is chosen on one half of
the data, the threshold on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xailib import _validation as check
from xailib.chiqpm._inputs import activations, assignment, classes, similarity_matrix
from xailib.chiqpm.hierarchy import common_prefixes, ordered_features, predicted_classes
from xailib.chiqpm.metrics import set_coherence

__all__ = [
    "METHODS",
    "Calibrated",
    "aps_scores",
    "calibrate",
    "choose_level",
    "class_coverage",
    "covered_reference",
    "hierarchical_scores",
    "level_accuracy",
    "over_splits",
    "quantile",
    "reference_quantile",
    "reference_scores",
    "set_quality",
    "thr_scores",
]

#: what :func:`calibrate` offers
METHODS = ("hierarchical", "hierarchical, same data", "APS", "THR", "reference", "reference, inclusive")
#: share of the calibration data that chooses the level
LEVEL_SHARE = 0.5


# --- scores: the larger, the stranger the class ---------------------------------------------------------------------


def hierarchical_scores(features: Any, W: Any, n_limit: int, predicted: Any = None) -> np.ndarray:
    r"""How strange every class is beside the prediction, given that sets shall share its first ``n_limit`` features.

    .. math:: s_c = \begin{cases} - f^*_{F^c_{k+1}} - \sum_{j = n_\mathrm{limit} + 1}^{k} f^*_{F^c_j} & k \ge n_\mathrm{limit} \\
        (n_\mathrm{limit} - k) - f^*_{F^c_{k+1}} / (1 + f^*_{F^c_{k+1}}) & k < n_\mathrm{limit} \end{cases}

    :math:`k` is the number of features with which the class begins like the prediction; the first term falls away for
    :math:`k = n_{wc}`.

    Parameters
    ----------
    features : (n, n_f), normalised and rectified
    W : (n_classes, n_f) bool
    n_limit : int from 0 to n_wc
    predicted : (n,) class numbers, default those with the largest sums of features

    Returns
    -------
    array (n, n_classes)
        At most 0 for classes that share the first ``n_limit`` features, above 0 for all others, level by level.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    The first line is Norrenbrock et al. (2025), eqs. 10-13. The released code gives a class that leaves early the score 0, which
    is also that of a class whose remaining features are inactive (:func:`reference_scores`). Here it gets a score of its own,
    above all that stay and below those that leave a level earlier: one score, fixed before calibration, with a finite quantile
    whatever happens. Only the order of scores matters, so any increasing function would do below the limit. Taught in chapter 16.

    Examples
    --------
    >>> f, W = [[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]]
    >>> hierarchical_scores(f, W, 1), hierarchical_scores(f, W, 2).round(4)
    (array([[-0.5, -1. ]]), array([[0.6667, 0.    ]]))
    """
    within, diversion, shared, limit = _parts(features, W, n_limit, predicted)
    return np.where(shared >= limit, 0.0 - diversion - within, (limit - shared) - diversion / (1 + diversion))


def reference_scores(features: Any, W: Any, n_limit: int, predicted: Any = None) -> np.ndarray:
    r"""The score as the released code computes it: 0 for every class that leaves before ``n_limit``.

    .. math:: s_c = \delta^c_{n_\mathrm{limit}} \Big( - f^*_{F^c_{k+1}} - \sum_{j = n_\mathrm{limit} + 1}^{k} f^*_{F^c_j} \Big)

    Parameters
    ----------
    features, W, n_limit, predicted : as in :func:`hierarchical_scores`

    Returns
    -------
    array (n, n_classes), at most 0

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025), eqs. 10-13. Large scores mean strange classes, so an excluded class ought to have the largest score
    of all; 0 is the largest only as long as nothing else is 0. Taught in chapter 16.

    Examples
    --------
    >>> reference_scores([[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]], 2).tolist()
    [[0.0, 0.0]]
    """
    within, diversion, shared, limit = _parts(features, W, n_limit, predicted)
    return np.where(shared >= limit, 0.0 - diversion - within, 0.0)


def _parts(features: Any, W: Any, n_limit: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Common activation beyond the limit, activation of the feature in which a class parts, length of the common beginning."""
    own = assignment(W)
    n_per_class = int(own[0].sum())
    limit = int(check.number(n_limit, "n_limit", low=0, high=n_per_class, integer=True))
    f = activations(features, own.shape[1])
    order = ordered_features(f, own)
    shared = common_prefixes(f, own, predicted)
    strength = f[np.arange(len(f))[:, None, None], order]
    place = np.arange(n_per_class)
    within = np.where((place >= limit) & (place < shared[:, :, None]), strength, 0).sum(axis=2)
    diversion = np.where(place == shared[:, :, None], strength, 0).sum(axis=2)
    return within, diversion, shared, limit


def thr_scores(probabilities: Any) -> np.ndarray:
    r"""Threshold on the probability: :math:`s_c = 1 - p_c`.

    Parameters
    ----------
    probabilities : (n, n_classes), rows add up to 1

    Returns
    -------
    array (n, n_classes)

    Raises
    ------
    TypeError, ValueError
        If rows are no probabilities.

    Notes
    -----
    Sadinle, Lei & Wasserman (2019). Taught in chapter 16.

    Examples
    --------
    >>> thr_scores([[0.75, 0.25]])
    array([[0.25, 0.75]])
    """
    return 1 - _probabilities(probabilities)


def aps_scores(probabilities: Any, *, random_state: Any = 0) -> np.ndarray:
    r"""Adaptive prediction sets: the probability of all classes from the likeliest down to this one, its own share at random.

    .. math:: s_c = \sum_{c': p_{c'} > p_c} p_{c'} + (1 - U)\, p_c, \qquad U \sim \mathrm{Uniform}(0, 1)

    Parameters
    ----------
    probabilities : (n, n_classes), rows add up to 1
    random_state : int, Generator or None, for one U a row

    Returns
    -------
    array (n, n_classes)

    Raises
    ------
    TypeError, ValueError
        If rows are no probabilities.

    Notes
    -----
    Romano, Sesia & Candès (2020). Of equally likely classes the one with the smaller number comes first. Taught in chapter 16.

    Examples
    --------
    >>> s = aps_scores([[0.75, 0.25]], random_state=0)
    >>> bool(0 <= s[0, 0] <= 0.75 <= s[0, 1] <= 1)
    True
    """
    p = _probabilities(probabilities)
    U = check.random_generator(random_state).random((len(p), 1))
    order = np.argsort(-p, axis=1, kind="stable")
    down = np.take_along_axis(p, order, axis=1)
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, np.cumsum(down, axis=1) - U * down, axis=1)
    return scores


def _probabilities(probabilities: Any) -> np.ndarray:
    p = check.array(probabilities, "probabilities", ndim=2)
    if p.min() < 0 or not np.allclose(p.sum(axis=1), 1, atol=1e-4):
        raise ValueError("probabilities must not be negative and must add up to 1 in every row: give softmax of the scores.")
    return p


# --- thresholds -----------------------------------------------------------------------------------------------------


def quantile(scores: Any, alpha: float) -> float:
    r"""The conformal quantile: the :math:`\lceil (n + 1)(1 - \alpha) \rceil`-th smallest of n calibration scores.

    Parameters
    ----------
    scores : (n,) scores of the true classes
    alpha : float in (0, 1), share of misses allowed

    Returns
    -------
    float; a new score is at most this with probability at least 1 - alpha

    Raises
    ------
    TypeError, ValueError
        If there are so few scores that only an infinite threshold would keep the promise.

    Notes
    -----
    Vovk, Gammerman & Shafer (2005). Taught in chapter 16.

    Examples
    --------
    >>> quantile([3.0, 1.0, 2.0, 4.0], 0.25)
    4.0
    """
    s = check.array(scores, "scores", ndim=1)
    rank = _rank(len(s), alpha)
    return float(np.sort(s)[rank - 1])


def _rank(n: int, alpha: Any) -> int:
    check.number(alpha, "alpha", low=0, high=1, open_low=True, open_high=True)
    rank = int(np.ceil(np.round((n + 1) * (1 - alpha), 9)))  # rounded, for 10 * (1 - 0.1) is 9 and not a little more
    if rank > n:
        least = int(np.ceil(np.round(1 / alpha - 1, 9)))
        raise ValueError(
            f"alpha {alpha:g} needs at least {least} calibration scores, and there are {n}: give more, or a larger alpha."
        )
    return rank


def reference_quantile(scores: Any, alpha: float) -> float:
    """The quantile as TorchCP 0.1.3 computes it: interpolated, the rounding up misplaced; it promises nothing exactly.

    Parameters
    ----------
    scores : (n,) scores of the true classes
    alpha : float in (0, 1)

    Returns
    -------
    float; that package then keeps the classes whose scores are *below* it

    Raises
    ------
    TypeError, ValueError
        If alpha is out of range or there are too few scores.

    Notes
    -----
    The released code pins this version. Taught in chapter 16.

    Examples
    --------
    >>> reference_quantile([3.0, 1.0, 2.0, 4.0], 0.25)
    3.8125
    """
    s = check.array(scores, "scores", ndim=1)
    _rank(len(s), alpha)
    return float(np.quantile(s, min(1.0, (len(s) + 1) * (1 - alpha) / len(s))))


def level_accuracy(features: Any, W: Any, y: Any) -> np.ndarray:
    """How often the true class shares the first n features with the prediction, for n = 1 to n_wc.

    Parameters
    ----------
    features : (n, n_f), normalised and rectified
    W : (n_classes, n_f) bool
    y : (n,) true classes

    Returns
    -------
    array (n_wc,), falling; the last number is the accuracy

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025). Taught in chapter 16.

    Examples
    --------
    >>> level_accuracy([[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]], [0]).tolist()
    [1.0, 0.0]
    """
    shared = common_prefixes(features, W)
    truth = classes(y, len(shared), "y", shared.shape[1])
    levels = np.arange(1, assignment(W).sum(axis=1)[0] + 1)
    return (shared[np.arange(len(shared)), truth][:, None] >= levels).mean(axis=0)


def choose_level(features: Any, W: Any, y: Any, alpha: float) -> int:
    r"""How many features a set may share with the prediction and still hold the truth often enough.

    .. math:: n_\mathrm{limit} = \max\{n : \mathrm{acc}_n \ge 1 - \alpha\}, \text{ or 0}

    Parameters
    ----------
    features, W, y : as in :func:`level_accuracy`, of data that are not used for the threshold
    alpha : float in (0, 1)

    Returns
    -------
    int, from 0 to n_wc

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025). Taught in chapter 16.

    Examples
    --------
    >>> choose_level([[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]], [0], 0.1)
    1
    """
    check.number(alpha, "alpha", low=0, high=1, open_low=True, open_high=True)
    return int((level_accuracy(features, W, y) >= 1 - alpha).sum())  # accuracies fall from level to level


# --- calibration ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A rule that turns features into prediction sets.

    Attributes
    ----------
    method : one of :data:`METHODS`
    alpha : share of misses allowed
    threshold : largest score of a class that is kept
    n_limit : level that sets keep to where they can; None for APS and THR
    n_scores : how many calibration scores the threshold comes from
    W : (n_classes, n_f) bool
    """

    method: str
    alpha: float
    threshold: float
    n_limit: int | None
    n_scores: int
    W: np.ndarray

    def sets(self, features: Any, *, with_prediction: bool = False, random_state: Any = 0) -> np.ndarray:
        """Prediction sets, (n, n_classes) bool.

        Parameters
        ----------
        features : (n, n_f), normalised and rectified
        with_prediction : bool, add the predicted class to every set: no set is empty then, and more sets hold the truth than
            promised
        random_state : int, Generator or None, for the random part of APS
        """
        check.flag(with_prediction, "with_prediction")
        f = activations(features, self.W.shape[1])
        scores = _scores(self.method, f, self.W, self.n_limit, random_state)
        return _kept(self.method, scores, self.threshold, predicted_classes(f, self.W) if with_prediction else None)

    def __repr__(self) -> str:
        level = "" if self.n_limit is None else f"level {self.n_limit}, "
        return (
            f"Calibrated({self.method}, alpha {self.alpha:g}: {level}threshold {self.threshold:.4g} from {self.n_scores} scores)"
        )


def calibrate(
    features: Any, W: Any, y: Any, *, alpha: float = 0.1, method: str = "hierarchical", random_state: Any = 0
) -> Calibrated:
    r"""Fix a rule for prediction sets that hold the true class with probability at least :math:`1 - \alpha`.

    Parameters
    ----------
    features : (n, n_f), normalised and rectified, of calibration pictures that no training has seen
    W : (n_classes, n_f) bool
    y : (n,) their true classes
    alpha : float in (0, 1), share of misses allowed
    method : {"hierarchical", "hierarchical, same data", "APS", "THR", "reference", "reference, inclusive"}
        ``"hierarchical"``: the level from a random half, the threshold from the other half: this keeps the promise. ``"same
        data"``: both from all data, as in the paper, which uses the truth twice. ``"APS"`` and ``"THR"``: the same quantile of
        other scores, of the softmax. ``"reference"``: as the released code, with TorchCP 0.1.3's quantile and strict comparison;
        ``"inclusive"``: the same with at most.
    random_state : int, Generator or None, for the halves and the random part of APS

    Returns
    -------
    Calibrated

    Raises
    ------
    TypeError, ValueError
        If there are fewer calibration pictures than alpha needs.

    Notes
    -----
    Norrenbrock et al. (2025), with the repairs of this course. Taught in chapter 16.

    Examples
    --------
    >>> rng, W = np.random.default_rng(0), [[True, True, False], [False, True, True], [True, False, True]]
    >>> f = rng.exponential(size=(60, 3))
    >>> calibrate(f, W, rng.integers(3, size=60), alpha=0.2, method="THR").sets(f).shape
    (60, 3)
    """
    own = assignment(W)
    f = activations(features, own.shape[1])
    truth = classes(y, len(f), "y", len(own))
    check.one_of(method, "method", METHODS)
    rng = check.random_generator(random_state)
    n_limit, threshold, n_scores = _fit(_Pool(f, own, rng), truth, np.arange(len(f)), alpha, method, rng)
    return Calibrated(method, float(alpha), threshold, n_limit, n_scores, own)


class _Pool:
    """Pictures with their scores, each kind computed once; the random part of APS is drawn once."""

    def __init__(self, f: np.ndarray, W: np.ndarray, random_state: Any) -> None:
        self.f, self.W, self.random_state = f, W, random_state
        self.predicted, self.shared = predicted_classes(f, W), common_prefixes(f, W)
        self._tables: dict[tuple[str, int | None], np.ndarray] = {}

    def scores(self, method: str, n_limit: int | None) -> np.ndarray:
        key = method.split(",")[0], n_limit
        if key not in self._tables:
            self._tables[key] = _scores(method, self.f, self.W, n_limit, self.random_state)
        return self._tables[key]


def _fit(
    pool: _Pool, y: np.ndarray, rows: np.ndarray, alpha: float, method: str, rng: np.random.Generator
) -> tuple[int | None, float, int]:
    """Level, threshold and number of scores behind it, from these rows of the pool."""
    for_level, for_threshold = _parts_of(rows, alpha, method, rng)
    n_limit = None
    if for_level is not None:
        n_limit = _limit(pool.shared[for_level, y[for_level]], int(pool.W[0].sum()), alpha)
    own = pool.scores(method, n_limit)[for_threshold, y[for_threshold]]
    return n_limit, _threshold(method, own, alpha), len(own)


def _parts_of(rows: np.ndarray, alpha: float, method: str, rng: np.random.Generator) -> tuple[np.ndarray | None, np.ndarray]:
    """Rows for the level and rows for the threshold; a sentence if these are too few."""
    if method != "hierarchical":
        _rank(len(rows), alpha)
        return (None if method in ("APS", "THR") else rows), rows
    n_level = int(LEVEL_SHARE * len(rows))
    try:
        _rank(len(rows) - n_level, alpha)
    except ValueError as error:
        raise ValueError(str(error).replace("calibration scores", "calibration scores in the half for the threshold")) from None
    shuffled = rng.permutation(rows)
    return shuffled[:n_level], shuffled[n_level:]


def _limit(shared_with_truth: np.ndarray, n_levels: int, alpha: float) -> int:
    """The last level at which enough pictures keep their true class."""
    accuracies = (shared_with_truth[:, None] >= np.arange(1, n_levels + 1)).mean(axis=0)
    return int((accuracies >= 1 - alpha).sum())


def _scores(method: str, f: np.ndarray, W: np.ndarray, n_limit: int | None, random_state: Any) -> np.ndarray:
    if n_limit is not None:
        return (reference_scores if method.startswith("reference") else hierarchical_scores)(f, W, n_limit)
    sums = f @ W.T
    p = np.exp(sums - sums.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return aps_scores(p, random_state=random_state) if method == "APS" else thr_scores(p)


def _threshold(method: str, true_scores: np.ndarray, alpha: float) -> float:
    return (reference_quantile if method.startswith("reference") else quantile)(true_scores, alpha)


def _kept(method: str, scores: np.ndarray, threshold: float, predicted: np.ndarray | None) -> np.ndarray:
    sets = scores < threshold if method == "reference" else scores <= threshold
    if predicted is not None:
        sets[np.arange(len(sets)), predicted] = True
    return sets


# --- how good sets are ----------------------------------------------------------------------------------------------


def set_quality(sets: Any, y: Any, *, similarity: Any = None) -> dict[str, float]:
    """Coverage and size of prediction sets in numbers.

    Parameters
    ----------
    sets : (n, n_classes) bool
    y : (n,) true classes
    similarity : (n_classes, n_classes), optional, for the coherence of sets

    Returns
    -------
    dict
        ``coverage``; ``size``, the mean; ``empty``, ``single`` and ``everything``: shares of sets with no, one and all classes;
        ``largest``, a number of classes; with ``similarity`` also ``coherence``, see ``metrics.set_coherence``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> quality = set_quality([[True, True, False], [False, False, False]], [1, 2])
    >>> quality["coverage"], quality["size"], quality["empty"]
    (0.5, 1.0, 0.5)
    """
    chosen, truth = _sets(sets, y)
    return _numbers(chosen, truth, similarity)


def _numbers(sets: np.ndarray, y: np.ndarray, similarity: Any) -> dict[str, float]:
    sizes = sets.sum(axis=1)
    quality = {
        "coverage": _coverage(sets, y),
        "size": float(sizes.mean()),
        "empty": float((sizes == 0).mean()),
        "single": float((sizes == 1).mean()),
        "everything": float((sizes == sets.shape[1]).mean()),
        "largest": float(sizes.max()),
    }
    return quality if similarity is None else {**quality, "coherence": set_coherence(sets, similarity)}


def _coverage(sets: np.ndarray, y: np.ndarray) -> float:
    return float(sets[np.arange(len(y)), y].mean())


def class_coverage(sets: Any, y: Any, *, level: float = 0.95) -> pd.DataFrame:
    """Coverage class by class, with Clopper-Pearson intervals: the promise holds on average over classes, not for each.

    Parameters
    ----------
    sets : (n, n_classes) bool
    y : (n,) true classes
    level : float in (0, 1), of the intervals

    Returns
    -------
    DataFrame
        One row for each class that occurs: ``n``, ``coverage``, ``lower``, ``upper``, ``size`` (mean size of its sets).

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> class_coverage([[True, False], [True, False]], [0, 1])["coverage"].tolist()
    [1.0, 0.0]
    """
    chosen, truth = _sets(sets, y)
    check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
    hit = pd.DataFrame({"class": truth, "hit": chosen[np.arange(len(truth)), truth], "size": chosen.sum(axis=1)})
    table = hit.groupby("class").agg(n=("hit", "size"), coverage=("hit", "mean"), size=("size", "mean"))
    found, tail = table["n"] * table["coverage"], (1 - level) / 2
    lower = np.nan_to_num(stats.beta.ppf(tail, found, table["n"] - found + 1), nan=0.0)
    upper = np.nan_to_num(stats.beta.ppf(1 - tail, found + 1, table["n"] - found), nan=1.0)
    return table.assign(lower=lower, upper=upper)[["n", "coverage", "lower", "upper", "size"]]


def _sets(sets: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.asarray(sets)
    if chosen.dtype != bool or chosen.ndim != 2 or chosen.size == 0:
        raise TypeError(
            f"sets must be a table of True and False, one row per picture, one column per class, not {check.shown(sets)}."
        )
    return chosen, classes(y, len(chosen), "y", chosen.shape[1])


def covered_reference(n_scores: int, n_test: int, alpha: float) -> Any:
    r"""Distribution of the number of covered test pictures, when calibration and test data are drawn together and no scores tie.

    .. math:: \text{covered} \sim \mathrm{BetaBinomial}(n_\mathrm{test},\, k,\, n + 1 - k), \qquad
        k = \lceil (n + 1)(1 - \alpha) \rceil

    Parameters
    ----------
    n_scores : int, calibration scores behind the threshold
    n_test : int, test pictures
    alpha : float in (0, 1)

    Returns
    -------
    frozen scipy distribution; its ``cdf`` at a measured number says how unlikely so few are: drift shows there

    Raises
    ------
    TypeError, ValueError
        If there are too few calibration scores for alpha.

    Notes
    -----
    Vovk (2012). It holds for random splits of one pool as well as for fresh draws. Ties only raise coverage. Taught in chapter
    16.

    Examples
    --------
    >>> float(covered_reference(99, 1000, 0.1).mean())
    900.0
    """
    check.number(n_scores, "n_scores", low=1, integer=True)
    check.number(n_test, "n_test", low=1, integer=True)
    rank = _rank(n_scores, alpha)
    return stats.betabinom(n_test, rank, n_scores + 1 - rank)


def over_splits(
    features: Any,
    W: Any,
    y: Any,
    *,
    alphas: Sequence[float] = (0.12, 0.10, 0.075, 0.05),
    methods: Sequence[str] = METHODS,
    n_splits: int = 200,
    n_calibration: int | None = None,
    similarity: Any = None,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Calibrate and test again and again on random splits of the same pictures.

    Parameters
    ----------
    features : (n, n_f), normalised and rectified, of pictures that no training has seen
    W : (n_classes, n_f) bool
    y : (n,) true classes
    alphas, methods : what to compare, on the same splits
    n_splits : int
    n_calibration : int, pictures for calibration, default half; the others are for testing
    similarity : (n_classes, n_classes), optional, for the coherence of sets
    random_state : int, Generator or None

    Returns
    -------
    DataFrame
        One row per split, alpha and method: ``threshold``, ``n_limit``, ``n_scores``, ``n_test``, the numbers of
        :func:`set_quality`, and ``coverage_with_prediction`` and ``size_with_prediction`` when the predicted class is added to
        every set.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together, or a calibration part is too small for an alpha.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> rng, W = np.random.default_rng(0), [[True, True, False], [False, True, True], [True, False, True]]
    >>> table = over_splits(rng.exponential(size=(90, 3)), W, rng.integers(3, size=90), alphas=[0.2], methods=["THR"], n_splits=3)
    >>> len(table), table["n_test"].tolist()
    (3, [45, 45, 45])
    """
    own = assignment(W)
    f = activations(features, own.shape[1])
    truth = classes(y, len(f), "y", len(own))
    chosen = _list(methods, "methods", lambda m: check.one_of(m, "each of methods", METHODS))
    rates = _list(alphas, "alphas", lambda a: check.number(a, "each of alphas", low=0, high=1, open_low=True, open_high=True))
    check.number(n_splits, "n_splits", low=1, integer=True)
    size = len(f) // 2 if n_calibration is None else n_calibration
    check.number(size, "n_calibration", low=1, high=len(f) - 1, integer=True)
    related = None if similarity is None else similarity_matrix(similarity, len(own))
    rng = check.random_generator(random_state)
    pool = _Pool(f, own, rng)
    rows = []
    for split in range(n_splits):
        order = rng.permutation(len(f))
        first, rest = order[:size], order[size:]
        for alpha in rates:
            for method in chosen:
                n_limit, threshold, n_scores = _fit(pool, truth, first, alpha, method, rng)
                sets = _kept(method, pool.scores(method, n_limit)[rest], threshold, None)
                fuller = _kept(method, pool.scores(method, n_limit)[rest], threshold, pool.predicted[rest])
                rows.append(
                    {"split": split, "alpha": alpha, "method": method, "threshold": threshold}
                    | {"n_limit": -1 if n_limit is None else n_limit, "n_scores": n_scores, "n_test": len(rest)}
                    | _numbers(sets, truth[rest], related)
                    | {
                        "coverage_with_prediction": _coverage(fuller, truth[rest]),
                        "size_with_prediction": fuller.sum(axis=1).mean(),
                    }
                )
    return pd.DataFrame(rows)


def _list(values: Any, name: str, each: Any) -> list[Any]:
    if isinstance(values, str) or not np.iterable(values) or not len(list(values)):
        raise TypeError(f"{name} must be a list with at least one entry, not {check.shown(values)}.")
    return [each(value) for value in values]
